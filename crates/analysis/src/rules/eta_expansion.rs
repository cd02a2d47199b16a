//! STY008: a function that only calls another one with its argument.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{binding_of, has_comment, replaced, with_fix};
use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY008"),
    name: "eta-expansion",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Lambda], check),
    words: &[],
    doc: "\
Flags `x: f x`, which is `f`.

## Why it matters

It is a matter of taste, so the rule is opt-in.

## Example

```nix
f: map (x: f x) [ 1 2 ]
```

## Better

```nix
f: map f [ 1 2 ]
```

## When the fix is unsafe

Always: `x: f x` is a function before `f` is evaluated, which recursive definitions may rely on, and
it has no named arguments that `callPackage` or a module system would fill in.

## Source

Also found by statix; its issues 4, 5, 6 and 76 tell what went wrong.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(body) = node.child(1).filter(|body| body.kind() == NodeKind::Apply) else { return };
    let Some(param) = node.child(0).filter(|param| param.kind() == NodeKind::Param) else { return };
    let Some(last) = body.last_child().filter(|last| last.text() == param.text()) else { return };
    let Some(binding) = binding_of(context, last) else { return };
    let is_parameter = context.ir.binding(binding).name == param.id();
    if !is_parameter || context.uses().of(binding).len() != 1 {
        return;
    }
    let Some(function) = body.child(0).filter(|function| {
        matches!(function.kind(), NodeKind::Ident | NodeKind::Select)
            && binding_of(context, *function).is_none_or(|id| id != binding)
    }) else {
        return;
    };
    let found =
        Finding::at(node.range(), format!("this function only calls `{}`", shown(function)));
    let is_alone = body.child(1) == Some(last);
    let fix = if has_comment(node)
        || ast::Select::cast(function).is_some_and(|s| s.default().is_some())
    {
        None
    } else if is_alone {
        let (edits, rewrite) = layout::unwrapped(node, function, function.range().start);
        Some((edits, vec![rewrite]))
    } else {
        let end = last.range().start - body.range().start;
        replaced(node, || body.text()[..end as usize].trim_end().to_owned())
    };
    report.add(with_fix(found, Applicability::Unsafe, "take that function itself", fix));
}

/// Names may be as long as their file.
fn shown(function: Node<'_>) -> &str {
    if function.text().len() > 80 { "another function" } else { function.text() }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    #[test]
    fn functions_that_only_call_another() {
        assert_eq!(marked("STY008", "f: x: f x"), "x: f x");
        assert_eq!(marked("STY008", "f: (x: f.g 1 x)"), "x: f.g 1 x");
        assert_eq!(marked("STY008", "f: x: f x x"), "");
        assert_eq!(marked("STY008", "x: x x"), "");
        assert_eq!(marked("STY008", "f: x: f x.y"), "");
        assert_eq!(marked("STY008", "f: { x }: f x"), "");
        assert_eq!(marked("STY008", "f: x: (f x) x"), "");
    }

    #[test]
    fn no_fix_is_safe() {
        let text = "f: [ (map (x: f x)) f ]";
        assert_eq!(fixed("STY008", text), text);
        assert_eq!(fixed_unsafely("STY008", text), "f: [ (map f) f ]");
        assert_eq!(fixed_unsafely("STY008", "f: [ (x: f.g 1 x) ]"), "f: [ (f.g 1) ]");
        assert_eq!(fixed_unsafely("STY008", "f: map (x: f x)"), "map", "it is `f: map f` first");
        let commented = "f: [ (x: /* why */ f x) ]";
        assert_eq!(fixed_unsafely("STY008", commented), commented);
    }
}
