//! DEAD016: a suppression comment that silences nothing.

use cim_nix_base::{Applicability, Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::Tree;

use crate::lints::{Lints, nearest};
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

A code that is none is flagged, too, and so are codes without brackets: `ignore DEAD001` silences DEAD001
only, and is to say so.

Codes of rules that did not run are left alone, and so are those whose findings come from the whole
project, such as DEP014, or from `--eval` where nothing was evaluated. A beginning of codes, such as `DEAD`, is stale if those of its rules that
are on by default ran and found nothing.

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
        return unbracketed(suppression);
    }
    let is_whole = stale.len() == suppression.codes.len();
    let mut found = Finding::at(suppression.range, complaint(&stale, is_whole));
    let unknown = stale.iter().filter(|code| !is_known(code));
    if let Some(meant) = unknown.filter_map(|code| nearest(code)).next() {
        // Whoever mistyped a code wants it mended, not removed.
        found = found.help(format!("did you mean `{meant}`?"));
        return Some(found);
    }
    if is_whole {
        return Some(with_removal(tree, suppression.range, found, Applicability::Safe));
    }
    let kept: Vec<&str> =
        suppression.codes.iter().map(String::as_str).filter(|code| !stale.contains(code)).collect();
    let list = match suppression.bare {
        Some(bare) => bare,
        None => {
            let (open, close) = (text.find('[')?, text.find(']')?);
            let start = suppression.range.start;
            TextRange::new(start + open as u32, start + close as u32 + 1)
        }
    };
    let edit = TextEdit::replace(list, format!("[{}]", kept.join(", ")));
    Some(found.safe_fix("drop the codes that silence nothing", vec![edit], Vec::new()))
}

/// The finding about codes whose brackets were forgotten.
fn unbracketed(suppression: &Suppression) -> Option<Finding> {
    let bare = suppression.bare?;
    let list = format!("[{}]", suppression.codes.join(", "));
    let message = format!("codes stand in brackets: did you mean `ignore{list}`?");
    let edit = TextEdit::replace(bare, list);
    let found = Finding::at(suppression.range, message);
    Some(found.safe_fix("put the codes in brackets", vec![edit], Vec::new()))
}

/// What is wrong with codes of which none silences anything; `is_whole` if there are no others.
fn complaint(stale: &[&str], is_whole: bool) -> String {
    let (known, unknown): (Vec<&str>, Vec<&str>) = stale.iter().partition(|code| is_known(code));
    let quoted: Vec<String> = unknown.iter().map(|code| format!("`{code}`")).collect();
    let no_rule = format!("no rule is called {}", quoted.join(" or "));
    match (known.is_empty(), unknown.is_empty()) {
        (true, false) => no_rule,
        (_, true) if is_whole => "this suppression comment silences nothing".to_owned(),
        (_, true) => format!("{} silences nothing here", known.join(", ")),
        (false, false) => format!("{} silences nothing here, and {no_rule}", known.join(", ")),
    }
}

fn is_known(code: &str) -> bool {
    rules::all().iter().any(|rule| selects(code, rule.code))
}

/// Whether the rules that `code` selects ran; of several, those that usually do. A code that selects
/// none is stale for sure.
fn all_ran(code: &str, ran: Ran<'_>) -> bool {
    let selected: Vec<_> = rules::all().iter().filter(|rule| selects(code, rule.code)).collect();
    let has_ran = |rule: &Rule| ran.lints.severity(rule.code).is_some();
    let is_usual = |rule: &Rule| rule.is_default;
    let is_group = selected.len() > 1 && selected.iter().any(|rule| is_usual(rule));
    let has_all = selected.iter().all(|rule| has_ran(rule) || (is_group && !is_usual(rule)));
    let may_be_open =
        |rule: &Rule| rule.looks_beyond_file() || (rule.asks_evaluation() && !ran.is_evaluated);
    has_all && !selected.iter().any(|rule| may_be_open(rule))
}

fn with_removal(tree: &Tree, range: TextRange, finding: Finding, how: Applicability) -> Finding {
    let edit = TextEdit::remove(crate::layout::comment_removal(tree, range));
    finding.fix(how, "remove the comment", vec![edit], Vec::new())
}

#[cfg(test)]
mod tests {
    use cim_nix_base::apply_edits;

    use super::*;
    use crate::checker::Checker;
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    /// Checks `text` with the usual rules; `want` is each finding with its help, and `fixed` the text
    /// after the fixes of this rule.
    #[track_caller]
    fn check(text: &str, want: &[&str], fixed: &str) {
        let checked = Checker::default().check("default.nix", text, &Lints::default());
        let found: Vec<_> = checked.findings.iter().map(|found| &found.diagnostic).collect();
        let shown = found.iter().map(|found| match &found.help {
            Some(help) => format!("{} {} ({help})", found.code, found.message),
            None => format!("{} {}", found.code, found.message),
        });
        assert_eq!(shown.collect::<Vec<_>>(), want, "{text:?}");
        let own = found.iter().filter(|found| found.code == RULE.code);
        let edits: Vec<_> =
            own.filter_map(|found| found.fix.as_ref()).flat_map(|fix| fix.edits.clone()).collect();
        assert_eq!(apply_edits(text, &edits).unwrap(), fixed);
    }

    #[test]
    fn forgotten_brackets_silence_what_they_name() {
        check(
            "let a = 1; in missing # cim-nix: ignore DEAD001 later\n",
            &[
                "COR001 undefined variable `missing`",
                "DEAD016 codes stand in brackets: did you mean `ignore[DEAD001]`?",
            ],
            "let a = 1; in missing # cim-nix: ignore[DEAD001] later\n",
        );
        check(
            "let a = 1; in missing # cim-nix: ignore DEAD001, COR001\n",
            &["DEAD016 codes stand in brackets: did you mean `ignore[DEAD001, COR001]`?"],
            "let a = 1; in missing # cim-nix: ignore[DEAD001, COR001]\n",
        );
        check(
            "let a = 1; in a # cim-nix: ignore DEAD001\n",
            &["DEAD016 this suppression comment silences nothing"],
            "let a = 1; in a\n",
        );
        check(
            "let a = 1; in 2 # cim-nix: ignore DEAD001 COR001 why\n",
            &["DEAD016 COR001 silences nothing here"],
            "let a = 1; in 2 # cim-nix: ignore[DEAD001] why\n",
        );
        check(
            "let a = 1; in missing # cim-nix: ignore all of it\n",
            &[],
            "let a = 1; in missing # cim-nix: ignore all of it\n",
        );
    }

    #[test]
    fn unknown_rules_are_told() {
        check(
            "1 # cim-nix: ignore[NOPE-NOPE001]\n",
            &["DEAD016 no rule is called `NOPE-NOPE001`"],
            "1\n",
        );
        check(
            "let a = 1; in 2 # cim-nix: ignore[DAED001]\n",
            &[
                "DEAD001 `a` is never used",
                "DEAD016 no rule is called `DAED001` (did you mean `DEAD001`?)",
            ],
            "let a = 1; in 2 # cim-nix: ignore[DAED001]\n",
        );
        check(
            "let a = 1; in 2 # cim-nix: ignore[DEAD001, xyzzy-plugh, COR001]\n",
            &["DEAD016 COR001 silences nothing here, and no rule is called `xyzzy-plugh`"],
            "let a = 1; in 2 # cim-nix: ignore[DEAD001]\n",
        );
    }

    #[test]
    fn beginnings_are_stale_when_the_usual_rules_ran() {
        let line = "1 # cim-nix: ignore[PERF]\n";
        check(line, &["DEAD016 this suppression comment silences nothing"], "1\n");
        let mut lints = Lints::default();
        lints.ignore("PERF004").unwrap();
        assert!(Checker::default().check("default.nix", line, &lints).findings.is_empty());
    }

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
