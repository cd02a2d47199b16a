//! STY006: parentheses that change nothing.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use super::calls::takes_anything;
use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY006"),
    name: "needless-parens",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::Paren], check),
    words: &[],
    doc: "\
Flags parentheses around what needs none: a whole value or body, and names, strings, sets, lists and
selections as operands.

Operands of operators that would be read the same without them are left alone, and so are
parentheses with a comment of their own or in front of an `or`.

## Why it matters

It is a matter of taste, so the rule is opt-in.

## Example

```nix
x: { a = (x.b x); }
```

## Better

```nix
x: { a = x.b x; }
```

## When the fix is unsafe

Never: the tree without them is the same. In `(f) or x`, they keep `or` from being a default.

## Source

Also found by statix and nixd.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let (Some(inner), Some(around)) = (node.child(0), node.parent()) else { return };
    if !is_needless(node, inner, around) || layout::has_own_comment(node, inner) {
        return;
    }
    let (edits, rewrite) = layout::unwrapped(node, inner, inner.range().start);
    let open = node.range().start;
    let found = Finding::at(TextRange::new(open, open + 1), "these parentheses change nothing");
    report.add(found.safe_fix("remove them", edits, vec![rewrite]));
}

fn is_needless(paren: Node<'_>, inner: Node<'_>, around: Node<'_>) -> bool {
    let is_or = |token: &cim_nix_syntax::TokenRef<'_>| token.kind() == TokenKind::Or;
    let after = paren.last_token().and_then(|token| token.next_significant());
    let is_before_or = after.as_ref().is_some_and(is_or);
    let is_or_inside = inner.last_token().as_ref().is_some_and(is_or);
    if is_before_or || is_or_inside || inner.kind() == NodeKind::Error {
        return false;
    }
    takes_anything(paren) || layout::fits(inner, paren, around) && around.kind() != NodeKind::Binary
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn parentheses_that_change_nothing() {
        for (before, after) in [
            ("x: (x)", "x: x"),
            ("{ a = (1 + 2); }", "{ a = 1 + 2; }"),
            ("x: [ (x) (x.y) \"${(x)}\" ]", "x: [ x x.y \"${x}\" ]"),
            ("f: f (f) ([ ]) ({ }.a)", "f: f f [ ] { }.a"),
            ("x: if (x) then (x) else (x)", "x: if x then x else x"),
            ("let a = (b: b); in (a)", "let a = b: b; in a"),
            ("x: ((x 1)).y", "x: (x 1).y"),
            ("x: (x).y or (x) ? y", "x: x.y or x ? y"),
            ("f: f(f)f", "f: f f f"),
            ("{\n  a = (\n    f: f\n  );\n}", "{\n  a =\n    f: f;\n}"),
        ] {
            assert_eq!(fixed("STY006", before), after, "{before}");
        }
    }

    #[test]
    fn parentheses_that_mean_something() {
        for text in [
            "f: f (f 1)",
            "[ (-1) (x: x) (a.b or c) ]",
            "f: (f) or 1",
            "(builtins.foldl') or 1 [ 2 ]",
            "f: (f or) 1",
            "(1 + 2) * 3",
            "(1 * 2) + 3",
            "(x: x) 1",
            "(let a = { b = 1; }; in a).b",
            "x: x (/* why */ x)",
            "x: !(x && x)",
        ] {
            assert_eq!(marked("STY006", text), "", "{text}");
        }
    }
}
