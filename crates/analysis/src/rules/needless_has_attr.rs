//! STY009: a test for an attribute that `or` makes needless.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{as_operand, has_comment, is_same_code, replaced, with_fix};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY009"),
    name: "needless-has-attr",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::IfElse], check),
    words: &[],
    doc: "\
Flags `if set ? a then set.a else b`, which is `set.a or b`.

## Why it matters

The set and the name stand there once instead of twice. It is a matter of taste, so the rule is
opt-in.

## Example

```nix
set: if set ? port then set.port else 80
```

## Better

```nix
set: set.port or 80
```

## When the fix is unsafe

Never: both give the default where the set lacks the attribute or is no set, and both pass on what
fails while the attribute is evaluated. Where there are comments there is no fix.

## Source

Also found by statix.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(test) =
        node.child(0).filter(|test| matches!(test.kind(), NodeKind::HasAttr | NodeKind::Paren))
    else {
        return;
    };
    let Some(test) = ast::without_parens(test).and_then(ast::HasAttr::cast) else { return };
    let Some(branches) = ast::IfElse::cast(node) else { return };
    let taken = branches.consequence().and_then(ast::without_parens).and_then(ast::Select::cast);
    let (Some(taken), Some(default)) = (taken, branches.alternative()) else { return };
    if !is_tested(test, taken).unwrap_or_default() {
        return;
    }
    let found = Finding::at(node.range(), "`or` says this shorter");
    let fix = replaced(node, || format!("{} or {}", taken.node().text(), as_operand(default)));
    let fix = fix.filter(|_| !has_comment(node));
    report.add(with_fix(found, Applicability::Safe, "use `or`", fix));
}

/// Whether `taken` selects exactly what `test` looks for.
fn is_tested(test: ast::HasAttr<'_>, taken: ast::Select<'_>) -> Option<bool> {
    let is_plain = taken.default().is_none();
    let paths = is_same_code(test.attr_path()?.node(), taken.attr_path()?.node());
    Some(is_plain && paths && is_same_code(test.base()?, taken.base()?))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn tests_that_a_default_replaces() {
        for (before, after) in [
            ("x: if x ? a then x.a else 1", "x: x.a or 1"),
            ("x: if x ? a.b then x.a.b else x.c", "x: x.a.b or x.c"),
            ("x: if (x ? ${x}) then x.${x} else x 1", "x: x.${x} or (x 1)"),
            ("x: [ (if x ? a then (x.a) else -1) ]", "x: [ (x.a or (-1)) ]"),
            ("x: if x ? a then x.a else if x ? b then x.b else 1", "x: x.a or (x.b or 1)"),
            ("f: if (f 1) ? a then (f 1).a else x: x", "f: (f 1).a or (x: x)"),
        ] {
            assert_eq!(fixed("STY009", before), after, "{before}");
        }
    }

    #[test]
    fn other_tests_stay() {
        assert_eq!(marked("STY009", "x: if x ? a then x.b else 1"), "");
        assert_eq!(marked("STY009", "x: if x ? a then x.a.b else 1"), "");
        assert_eq!(marked("STY009", "x: if x ? a then x.a or 2 else 1"), "");
        assert_eq!(marked("STY009", "x: y: if x ? a then y.a else 1"), "");
        assert_eq!(marked("STY009", "x: if !x ? a then x.a else 1"), "");
        let commented = "x: if x ? a then x.a /* why */ else 1";
        assert_eq!(fixed("STY009", commented), commented);
    }
}
