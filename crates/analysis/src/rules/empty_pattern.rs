//! STY011 and STY013: patterns that take nothing by name.

use cim_nix_base::{Applicability, Code, Severity, TextEdit};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{Fix, has_comment, with_fix};
use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const EMPTY: Rule = Rule {
    code: Code("STY011"),
    name: "empty-pattern",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Lambda], check_empty),
    words: &["..."],
    doc: "\
Flags `{ ... }:`, which takes any set and uses nothing of it.

The function that a file is may be a module or a package and is left alone.

## Why it matters

`_:` says at a glance that the argument is not used. It is a matter of taste, so the rule is opt-in.

## Example

```nix
{ outputs = { ... }: { }; }
```

## Better

```nix
{ outputs = _: { }; }
```

## When the fix is unsafe

Always: `_:` also takes what is no set, and `functionArgs` tells them apart.

## Source

Also found by statix.
",
};

pub(crate) const NAMED: Rule = Rule {
    code: Code("STY013"),
    name: "redundant-pattern",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Lambda], check_named),
    words: &["..."],
    doc: "\
Flags `args@{ ... }:`, which is `args:` for whoever passes a set.

The function that a file is may be a module and is left alone.

## Why it matters

The pattern takes nothing by name. It is a matter of taste, so the rule is opt-in.

## Example

```nix
{ outputs = inputs@{ ... }: inputs; }
```

## Better

```nix
{ outputs = inputs: inputs; }
```

## When the fix is unsafe

Always: the pattern refuses what is no set, and `functionArgs` tells them apart.

## Source

Also found by statix; its issue 64 tells why no such fix is safe.
",
};

fn check_empty(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(pattern) = open_pattern(node).filter(|pattern| pattern.bind_name().is_none()) else {
        return;
    };
    let found = Finding::at(pattern.node().range(), "this pattern takes nothing by name");
    let fix = named(node, pattern, "_");
    report.add(with_fix(found, Applicability::Unsafe, "write `_`", fix));
}

fn check_named(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(pattern) = open_pattern(node) else { return };
    let Some(name) = pattern.bind_name().map(|token| token.text()) else { return };
    let found = Finding::at(pattern.node().range(), "this pattern takes nothing by name");
    let fix = named(node, pattern, name);
    report.add(with_fix(found, Applicability::Unsafe, "take the name alone", fix));
}

/// The pattern of an inner function, if it is nothing but `...`.
fn open_pattern(lambda: Node<'_>) -> Option<ast::Pattern<'_>> {
    let pattern = ast::Lambda::cast(lambda)?.pattern()?;
    let is_empty = pattern.formals().next().is_none() && pattern.ellipsis().is_some();
    let is_file = lambda.parent().is_none_or(|parent| parent.kind() == NodeKind::Root);
    (is_empty && !is_file).then_some(pattern)
}

/// Puts a plain name in the place of a pattern.
fn named(lambda: Node<'_>, pattern: ast::Pattern<'_>, name: &str) -> Option<Fix> {
    let pattern = pattern.node();
    if has_comment(pattern) {
        return None;
    }
    let edit = TextEdit::replace(pattern.range(), name);
    let rewrite = Rewrite::Parameter { lambda: lambda.id(), name: name.to_owned() };
    Some((vec![edit], vec![rewrite]))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    #[test]
    fn patterns_that_take_nothing() {
        assert_eq!(marked("STY011", "f: f ({ ... }: 1)"), "{ ... }");
        assert_eq!(marked("STY011", "{ ... }: 1"), "", "it may be a module");
        assert_eq!(marked("STY011", "[ ({ a, ... }: a) ({ }: 1) (a@{ ... }: a) ]"), "");
        assert_eq!(
            marked("STY013", "[ (a@{ ... }: a) ({ ... }@a: a) (a@{ b, ... }: a) ]"),
            "a@{ ... } { ... }@a"
        );
    }

    #[test]
    fn no_fix_is_safe() {
        let text = "[ ({ ... }: 1) (x@{ ... }: x) ]";
        assert_eq!(fixed("STY011 STY013", text), text, "they refuse what is no set");
        assert_eq!(fixed_unsafely("STY011 STY013", text), "[ (_: 1) (x: x) ]");
        assert_eq!(fixed_unsafely("STY011", "[ ({...}:1) ]"), "[ (_:1) ]");
    }
}
