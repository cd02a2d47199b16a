//! DEAD018: an `assert` that always holds.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::is_global;
use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD018"),
    name: "assert-true",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::Assert], check),
    words: &["assert"],
    doc: "\
Flags `assert true`.

## Why it matters

The reader looks for a condition that is not there.

## Example

```nix
x: assert true; x
```

## Better

```nix
x: x
```

## When the fix is unsafe

Never: the assertion holds whenever it is evaluated. Comments behind it stay.

## Source

No other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(condition) = node.child(0).and_then(ast::without_parens) else { return };
    if !is_global(context, condition, "true") {
        return;
    }
    let (Some(body), Some(semicolon)) = (node.child(1), node.own_token(TokenKind::Semicolon))
    else {
        return;
    };
    let range = TextRange::new(node.range().start, semicolon.range().end);
    let mut behind = std::iter::successors(semicolon.next(), |token| token.next());
    let kept = behind.find(|token| token.kind() != TokenKind::Whitespace);
    let kept = kept.map_or(body.range().start, |token| token.range().start);
    let (edits, rewrite) = layout::unwrapped(node, body, kept);
    let found = Finding::at(range, "this assertion always holds");
    report.add(found.safe_fix("remove the assertion", edits, vec![rewrite]));
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn assertions_that_hold() {
        assert_eq!(marked("DEAD018", "assert true; 1"), "assert true;");
        assert_eq!(marked("DEAD018", "assert (true); 1"), "assert (true);");
        assert_eq!(marked("DEAD018", "assert true && x; 1"), "");
        assert_eq!(marked("DEAD018", "assert false; 1"), "");
        assert_eq!(marked("DEAD018", "true: assert true; 1"), "");
    }

    #[test]
    fn the_body_takes_the_place() {
        assert_eq!(fixed("DEAD018", "x: f: f (assert true; x)"), "x: f: f x");
        assert_eq!(fixed("DEAD018", "x:\nassert true;\n# about x\nx\n"), "x:\n# about x\nx\n");
        assert_eq!(fixed("DEAD018", "assert true; assert true; 1"), "1");
    }
}
