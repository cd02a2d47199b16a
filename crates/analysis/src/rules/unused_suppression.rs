//! DEAD016: a suppression comment that silences nothing.

use cim_nix_base::{Applicability, Code, Severity, TextEdit, TextRange};
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
project, such as DEP014, or from `--eval` where nothing was evaluated.

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

Where the comment names no code: it may be there for a rule that did not run.

## Source

The idea is that of ruff's RUF100.
",
};

/// Which rules had their say.
#[derive(Clone, Copy)]
pub(crate) struct Ran<'a> {
    pub(crate) lints: &'a Lints,
    /// Whether the options of some configuration are known.
    pub(crate) is_evaluated: bool,
}

/// The comments (or codes in them) that silenced nothing although their rules ran.
pub(crate) fn stale(tree: &Tree, suppressions: &[Suppression], ran: Ran<'_>) -> Vec<Finding> {
    suppressions.iter().filter_map(|suppression| finding(tree, suppression, ran)).collect()
}

fn finding(tree: &Tree, suppression: &Suppression, ran: Ran<'_>) -> Option<Finding> {
    let text = &tree.text()[suppression.range.as_usize()];
    // `# deadnix: skip` may be there for deadnix, whose findings differ from ours.
    if text.contains("deadnix:") {
        return None;
    }
    let is_stale = |code: &str, used: bool| !used && all_ran(code, ran);
    if suppression.codes.is_empty() {
        let found = Finding::at(suppression.range, "this suppression comment silences nothing");
        // Without codes there is no telling which rule it is for, and not all of them ran.
        let how = Applicability::Unsafe;
        return (!suppression.used[0]).then(|| with_removal(tree, suppression.range, found, how));
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
        return Some(with_removal(tree, suppression.range, found, Applicability::Safe));
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
fn all_ran(code: &str, ran: Ran<'_>) -> bool {
    let mut selected = rules::all().iter().filter(|rule| selects(code, rule.code));
    selected.all(|rule| {
        ran.lints.severity(rule.code).is_some()
            && !rule.looks_beyond_file()
            && (ran.is_evaluated || !rule.asks_evaluation())
    })
}

fn with_removal(tree: &Tree, range: TextRange, finding: Finding, how: Applicability) -> Finding {
    let edit = TextEdit::remove(crate::layout::comment_removal(tree, range));
    finding.fix(how, "remove the comment", vec![edit], Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    #[test]
    fn codes_that_others_or_evaluation_find_are_left_alone() {
        for rule in rules::all() {
            let text = format!("# cim-nix: ignore[{}]\n{{ a = 1; }}\n", rule.code);
            let codes = format!("DEAD016 {}", rule.code);
            let is_stale = !marked(&codes, &text).is_empty();
            let is_open = rule.looks_beyond_file() || rule.asks_evaluation();
            assert_eq!(is_stale, !is_open, "{}", rule.code);
        }
        for code in ["COR017", "COR019", "SEC023", "DEAD011", "DEAD013", "DEAD015", "DEP014"] {
            let text = format!("# cim-nix: ignore[{code}] x\n{{ a = 1; }}\n");
            assert_eq!(fixed(&format!("DEAD016 {code}"), &text), text);
        }
    }

    #[test]
    fn comments_without_codes_go_by_wish_only() {
        let text = "# cim-nix: ignore\n{ a = 1; }\n";
        assert_eq!(marked("DEAD016", text), "# cim-nix: ignore");
        assert_eq!(fixed("DEAD016", text), text);
        assert_eq!(fixed_unsafely("DEAD016", text), "{ a = 1; }\n");
    }
}
