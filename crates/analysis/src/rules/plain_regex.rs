//! PERF020: a regular expression that only looks for a text.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::{arguments, called_library, is_global};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF020"),
    name: "plain-regex",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binary], check),
    words: &["match"],
    doc: "\
Flags a comparison of `builtins.match` with `null` whose expression only asks whether a text begins
with, ends in or holds another.

## Why it matters

`.*` tries each place of the text, and Nix fails on long texts with a stack overflow. `lib.hasPrefix`
and `lib.hasSuffix` compare in place. The rule is opt-in, as code without `lib` has nothing as short.

## Example

```nix
name: builtins.match \".*-unwrapped\" name != null
```

## Better

```nix
{ lib, name }: lib.hasSuffix \"-unwrapped\" name
```

## Source

No other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_comparison = ast::Binary::cast(node)
        .is_some_and(|binary| matches!(binary.operator(), TokenKind::Equal | TokenKind::NotEqual));
    let (Some(left), Some(right)) = (node.child(0), node.child(1)) else { return };
    if !is_comparison || right.text() != "null" || left.kind() != NodeKind::Apply {
        return;
    }
    let Some([regex, _]) = arguments(left) else { return };
    if called_library(context, left, &["match"]).is_none() || !is_global(context, right, "null") {
        return;
    }
    let Some(regex) = ast::Str::cast(regex).and_then(ast::Str::static_value) else { return };
    if let Some(better) = plain(&regex) {
        let message = format!("this expression does what `lib.{better}` does");
        report.add(Finding::at(left.range(), message));
    }
}

/// The function of the library that does what `regex` does.
fn plain(regex: &str) -> Option<&'static str> {
    let (rest, is_open_before) = match regex.strip_prefix(".*") {
        Some(rest) => (rest, true),
        None => (regex, false),
    };
    let (text, is_open_behind) = match rest.strip_suffix(".*") {
        Some(text) => (text, true),
        None => (rest, false),
    };
    let is_plain = !text.is_empty()
        && !text.contains(['.', '*', '+', '?', '(', ')', '[', ']'])
        && !text.contains(['{', '}', '|', '^', '$', '\\']);
    match (is_open_before, is_open_behind) {
        _ if !is_plain => None,
        (true, true) => Some("hasInfix"),
        (true, false) => Some("hasSuffix"),
        (false, true) => Some("hasPrefix"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn expressions_without_a_choice() {
        let hint = |regex: &str| {
            let text = found("PERF020", &format!("x: builtins.match \"{regex}\" x == null"));
            text.rsplit_once("lib.").map(|(_, name)| name.trim_end_matches("` does\n").to_owned())
        };
        assert_eq!(hint(".*a b.*").as_deref(), Some("hasInfix"));
        assert_eq!(hint("ab.*").as_deref(), Some("hasPrefix"));
        assert_eq!(hint(".*ab").as_deref(), Some("hasSuffix"));
        for regex in ["ab", ".*a+", ".*[ab]", "a.c.*", ".*", "(a).*"] {
            assert_eq!(hint(regex), None, "{regex}");
        }
        assert_eq!(marked("PERF020", "x: builtins.match \"a.*\" x"), "");
    }
}
