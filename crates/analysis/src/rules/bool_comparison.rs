//! STY007: a comparison with `true` or `false`.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::{has_comment, is_global, replaced, with_fix};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY007"),
    name: "bool-comparison",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Binary], check),
    words: &["true", "false"],
    doc: "\
Flags a comparison with `true` or `false`.

## Why it matters

A Boolean is a condition by itself. The rule is opt-in, as the comparison has a meaning where the
value may be `null` or anything else.

## Example

```nix
x: if x.enable == true then 1 else 2
```

## Better

```nix
x: if x.enable then 1 else 2
```

## When the fix is unsafe

Where the value may be no Boolean: `null == true` is false, and `if null` fails.

## Source

Also found by statix, whose fix takes the value for a Boolean.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(binary) = ast::Binary::cast(node) else { return };
    let is_equal = match binary.operator() {
        TokenKind::Equal => true,
        TokenKind::NotEqual => false,
        _ => return,
    };
    let mut operands = node.children();
    let (Some(left), Some(right), None) = (operands.next(), operands.next(), operands.next())
    else {
        return;
    };
    let value = |node: Node<'_>| match node.text() {
        "true" => is_global(context, node, "true").then_some(true),
        "false" => is_global(context, node, "false").then_some(false),
        _ => None,
    };
    let (kept, constant) = match (value(left), value(right)) {
        (None, Some(constant)) => (left, constant),
        (Some(constant), None) => (right, constant),
        _ => return,
    };
    let found = Finding::at(node.range(), "a Boolean needs no comparison");
    let fix = replaced(node, || match is_equal == constant {
        true => kept.text().to_owned(),
        false => negated(kept),
    });
    let fix = fix.filter(|_| !has_comment(node));
    report.add(with_fix(found, Applicability::Unsafe, "take the value itself", fix));
}

fn negated(node: Node<'_>) -> String {
    use NodeKind as K;
    let is_tight = matches!(node.kind(), K::Ident | K::Select | K::Apply | K::Paren | K::HasAttr);
    if is_tight { format!("!{}", node.text()) } else { format!("!({})", node.text()) }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    #[test]
    fn comparisons_with_constants() {
        assert_eq!(marked("STY007", "x: x == true"), "x == true");
        assert_eq!(marked("STY007", "x: false != x"), "false != x");
        assert_eq!(marked("STY007", "true: true == 1"), "");
        assert_eq!(marked("STY007", "true == false"), "");
        assert_eq!(marked("STY007", "x: x == null || x < true"), "");
    }

    #[test]
    fn no_fix_is_safe() {
        let text = "x: x == false";
        assert_eq!(fixed("STY007", text), text, "`x` may be no Boolean");
        assert_eq!(fixed_unsafely("STY007", text), "x: !x");
        assert_eq!(fixed_unsafely("STY007", "x: x.a != false && x"), "x: x.a && x");
        assert_eq!(fixed_unsafely("STY007", "x: f: f x != true"), "x: f: !f x");
        assert_eq!(fixed_unsafely("STY007", "x: x // x == false"), "x: !(x // x)");
        assert_eq!(fixed_unsafely("STY007", "x: x ? a == false"), "x: !x ? a");
    }
}
