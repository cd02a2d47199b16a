//! DEAD016: a suppression comment that silences nothing.

use cim_nix_base::{Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::Tree;

use crate::lints::Lints;
use crate::rule::{Check, Finding, FixKind, Rule};
use crate::rules;
use crate::suppress::{Suppression, selects};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD016"),
    name: "unused-suppression",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags a suppression comment, or a code in one, that silences no finding.

Codes of rules that did not run are left alone, and so are those whose findings come from the whole
project, such as DEP014.

## Why it matters

A stale comment hides the next real finding on its line.

## Example

```nix
# cim-nix: ignore[DEAD001] kept for the next release
{ a = 1; }
```

## Better

```nix
{ a = 1; }
```

## When the fix is unsafe

Never: only the comment goes.

## Source

The idea is that of ruff's RUF100.
",
};

/// The comments (or codes in them) that silenced nothing although their rules ran.
pub(crate) fn stale(tree: &Tree, suppressions: &[Suppression], lints: &Lints) -> Vec<Finding> {
    suppressions.iter().filter_map(|suppression| finding(tree, suppression, lints)).collect()
}

fn finding(tree: &Tree, suppression: &Suppression, lints: &Lints) -> Option<Finding> {
    let text = &tree.text()[suppression.range.as_usize()];
    // `# deadnix: skip` may be there for deadnix, whose findings differ from ours.
    if text.contains("deadnix:") {
        return None;
    }
    let is_stale = |code: &str, used: bool| !used && all_ran(code, lints);
    if suppression.codes.is_empty() {
        let found = Finding::at(suppression.range, "this suppression comment silences nothing");
        return (!suppression.used[0]).then(|| with_removal(tree, suppression.range, found));
    }
    let stale: Vec<&str> = suppression
        .codes
        .iter()
        .zip(&suppression.used)
        .filter(|(code, used)| is_stale(code, **used))
        .map(|(code, _)| code.as_str())
        .collect();
    if stale.is_empty() {
        return None;
    }
    if stale.len() == suppression.codes.len() {
        let found = Finding::at(suppression.range, "this suppression comment silences nothing");
        return Some(with_removal(tree, suppression.range, found));
    }
    let list = stale.join(", ");
    let kept: Vec<&str> =
        suppression.codes.iter().map(String::as_str).filter(|code| !stale.contains(code)).collect();
    let found = Finding::at(suppression.range, format!("{list} silences nothing here"));
    let (open, close) = (text.find('[')?, text.find(']')?);
    let start = suppression.range.start + open as u32 + 1;
    let list = TextRange::new(start, suppression.range.start + close as u32);
    let edit = TextEdit::replace(list, kept.join(", "));
    Some(found.safe_fix("drop the codes that silence nothing", vec![edit], Vec::new()))
}

/// Whether every rule that `code` selects ran. A code that selects none is stale for sure.
fn all_ran(code: &str, lints: &Lints) -> bool {
    let mut selected = rules::all().iter().filter(|rule| selects(code, rule.code));
    selected.all(|rule| lints.severity(rule.code).is_some() && !is_found_by_others(rule.code.0))
}

/// Whether one file alone cannot tell if the rule finds something in it.
fn is_found_by_others(code: &str) -> bool {
    code.starts_with("DEP") || matches!(code, "SYN007" | "SYN008" | "SYN010")
}

fn with_removal(tree: &Tree, range: TextRange, finding: Finding) -> Finding {
    let edit = TextEdit::remove(crate::layout::comment_removal(tree, range));
    finding.safe_fix("remove the comment", vec![edit], Vec::new())
}
