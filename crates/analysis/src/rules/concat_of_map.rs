//! PERF009: a list of lists that is made only to be joined.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{
    Fix, arguments, called, called_library, has_comment, last_name, replaced, with_fix,
};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF009"),
    name: "concat-of-map",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["concatLists", "concatStringsSep"],
    doc: "\
Flags `concatLists (map …)`, which is `concatMap`, and `lib.concatStringsSep \"\" (map …)`, which is
`lib.concatMapStrings`.

## Why it matters

`concatMap` makes no list of lists, and says in one word what is meant.

## Example

```nix
xs: builtins.concatLists (map (x: [ x x ]) xs)
```

## Better

```nix
xs: builtins.concatMap (x: [ x x ]) xs
```

## When the fix is unsafe

Where a function comes from `lib`, which is told by its name alone, and where the function that
`map` gets is not written out: `concatMap` evaluates it even if the list is empty, `map` does not.

## Source

The manual of Nix on `concatMap`; no other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(origin) = called_library(context, node, &["concatLists", "concatStringsSep"]) else {
        return;
    };
    let better = if origin.name == "concatLists" { "concatMap" } else { "concatMapStrings" };
    let mapped = match origin.name {
        "concatLists" => arguments(node).map(|[mapped]| mapped),
        _ if origin.home == Home::Lib => arguments(node)
            .filter(|[separator, _]| separator.text() == "\"\"")
            .map(|[_, mapped]| mapped),
        _ => None,
    };
    let Some(mapped) = mapped.and_then(ast::without_parens) else { return };
    let Some(map) = called(context, mapped, &["map"]).filter(|map| map.is_library("map")) else {
        return;
    };
    let Some([function, list]) = arguments(mapped) else { return };
    let found = Finding::at(node.range(), format!("this is `{better}`"));
    let is_certain = origin.home == Home::Builtins && map.home == Home::Builtins;
    let is_function = ast::without_parens(function).is_some_and(|f| f.kind() == NodeKind::Lambda);
    let applicability = match is_certain && is_function {
        true => Applicability::Safe,
        false => Applicability::Unsafe,
    };
    let fix = joined(node, better, function, list);
    report.add(with_fix(found, applicability, format!("use `{better}`"), fix));
}

/// The call of `better` from the set that the function of `node` is selected from.
fn joined(node: Node<'_>, better: &str, function: Node<'_>, list: Node<'_>) -> Option<Fix> {
    let callee = node.child(0)?;
    let name = last_name(callee).filter(|name| *name != callee)?;
    let head = &callee.text()[..(name.range().start - callee.range().start) as usize];
    let fix = replaced(node, || format!("{head}{better} {} {}", function.text(), list.text()))?;
    let loses_comment =
        has_comment(callee) || n_comments(node) > n_comments(function) + n_comments(list);
    (!loses_comment).then_some(fix)
}

fn n_comments(node: Node<'_>) -> usize {
    node.tokens().filter(|token| token.kind().is_comment()).count()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, found, marked};

    #[test]
    fn joined_lists_are_found() {
        let text = "x: builtins.concatLists (map f x)";
        assert_eq!(found("PERF009", text), "builtins.concatLists (map f x): this is `concatMap`\n");
        let strings = "{ lib }: lib.concatStringsSep \"\" (map lib.toUpper [ ])";
        assert!(found("PERF009", strings).ends_with("this is `concatMapStrings`\n"));
        assert_eq!(marked("PERF009", "{ lib }: lib.concatStringsSep \",\" (map f [ ])"), "");
        assert_eq!(marked("PERF009", "builtins.concatStringsSep \"\" (map f [ ])"), "");
        assert_eq!(marked("PERF009", "builtins.concatLists (map f)"), "");
        assert_eq!(marked("PERF009", "map: builtins.concatLists (map f [ ])"), "");
    }

    #[test]
    fn certain_calls_are_rewritten() {
        assert_eq!(
            fixed("PERF009", "x: builtins.concatLists (map (y: [ y ]) x)"),
            "x: builtins.concatMap (y: [ y ]) x"
        );
        let named = "x: f: builtins.concatLists (map f x)";
        assert_eq!(fixed("PERF009", named), named);
        assert_eq!(fixed_unsafely("PERF009", named), "x: f: builtins.concatMap f x");
        let library = "{ lib, x }: lib.concatLists (map (y: [ y ]) x)";
        assert_eq!(fixed("PERF009", library), library);
        let commented = "x: builtins.concatLists (map /* b */ (y: [ y ]) x)";
        assert_eq!(fixed_unsafely("PERF009", commented), commented);
        assert_eq!(
            fixed("PERF009", "x: builtins.concatLists (map (y: /* b */ [ y ]) x)"),
            "x: builtins.concatMap (y: /* b */ [ y ]) x"
        );
    }
}
