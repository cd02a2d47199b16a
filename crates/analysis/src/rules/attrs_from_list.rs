//! PERF010: sets that are made by way of a list of names and values.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{
    Fix, arguments, called_library, has_comment, last_name, replaced, value_of, with_fix,
};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF010"),
    name: "attrs-from-list",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["listToAttrs"],
    doc: "\
Flags `listToAttrs (map …)` where the name of each attribute is the element itself, which is
`lib.genAttrs`, and over `attrNames` of a set, which is `mapAttrs`.

## Why it matters

`mapAttrs` makes no list and shares the names of the set. The rule is opt-in: `genAttrs` is shorter
rather than faster.

## Example

```nix
{ lib, names }:
lib.listToAttrs (map (name: lib.nameValuePair name (lib.stringLength name)) names)
```

## Better

```nix
{ lib, names }:
lib.genAttrs names (name: lib.stringLength name)
```

## When the fix is unsafe

Always: `lib` is told by its name alone.

## Source

No other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(outer) = called_library(context, node, &["listToAttrs"]) else { return };
    let Some([mapped]) = arguments(node) else { return };
    let Some(mapped) = ast::without_parens(mapped) else { return };
    if called_library(context, mapped, &["map"]).is_none() {
        return;
    }
    let Some([function, list]) = arguments(mapped) else { return };
    let Some(function) = ast::without_parens(function).and_then(ast::Lambda::cast) else { return };
    let (Some(param), Some(body)) = (function.param(), function.body()) else { return };
    let Some(value) = named_value(context, body, param.name()) else { return };
    let names = ast::without_parens(list)
        .filter(|list| called_library(context, *list, &["attrNames"]).is_some());
    let better = if names.is_some() { "mapAttrs" } else { "genAttrs" };
    let found = Finding::at(node.range(), format!("this is `{better}`"));
    let is_library = outer.home == Home::Lib && names.is_none();
    let fix = is_library.then(|| generated(node, param.name(), value, list)).flatten();
    report.add(with_fix(found, Applicability::Unsafe, format!("use `{better}`"), fix));
}

/// The value that `body` gives to the attribute called `param`.
fn named_value<'a>(context: &Context<'a>, body: Node<'a>, param: &str) -> Option<Node<'a>> {
    let body = ast::without_parens(body)?;
    let (name, value) = match body.kind() {
        NodeKind::AttrSet => {
            let has_more = ast::entries(body).nth(2).is_some();
            let values = (value_of(body, "name"), value_of(body, "value"));
            if has_more || values.0.is_none() {
                let takes_name = |inherit: ast::Inherit<'a>| {
                    inherit.from().is_none() && inherit.names().any(|a| a.node().text() == param)
                };
                let inherits = ast::entries(body).any(|entry| match entry {
                    ast::Entry::Inherit(inherit) => takes_name(inherit),
                    ast::Entry::Binding(_) => false,
                });
                return values.1.filter(|_| inherits && param == "name" && !has_more);
            }
            (values.0?, values.1?)
        }
        NodeKind::Apply => {
            called_library(context, body, &["nameValuePair"])?;
            arguments(body).map(|[name, value]| (name, value))?
        }
        _ => return None,
    };
    (name.text() == param).then_some(value)
}

fn generated(node: Node<'_>, param: &str, value: Node<'_>, list: Node<'_>) -> Option<Fix> {
    let callee = node.child(0)?;
    let name = last_name(callee).filter(|name| *name != callee)?;
    let head = &callee.text()[..(name.range().start - callee.range().start) as usize];
    let value = ast::without_parens(value)?.text();
    if has_comment(node) {
        return None;
    }
    replaced(node, || format!("{head}genAttrs {} ({param}: {value})", list.text()))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, found, marked};

    fn is_found(text: &str) -> bool {
        !marked("PERF010", text).is_empty()
    }

    #[test]
    fn lists_of_names_and_values() {
        assert!(is_found("x: builtins.listToAttrs (map (n: { name = n; value = f n; }) x)"));
        assert!(is_found(
            "{ lib }: x: lib.listToAttrs (map (name: { inherit name; value = 1; }) x)"
        ));
        let names =
            "x: builtins.listToAttrs (map (n: { name = n; value = 1; }) (builtins.attrNames x))";
        assert!(found("PERF010", names).ends_with("this is `mapAttrs`\n"));
        assert!(!is_found("x: builtins.listToAttrs (map (n: { name = n.a; value = 1; }) x)"));
        assert!(!is_found("x: builtins.listToAttrs (map f x)"));
        assert!(!is_found("x: builtins.listToAttrs x"));
    }

    #[test]
    fn the_library_does_it_at_once() {
        let fixed = |text: &str| fixed_unsafely("PERF010", text);
        assert_eq!(
            fixed("{ lib }: x: lib.listToAttrs (map (n: lib.nameValuePair n (x n)) x)"),
            "{ lib }: x: lib.genAttrs x (n: x n)"
        );
        let builtin = "x: builtins.listToAttrs (map (n: { name = n; value = 1; }) x)";
        assert_eq!(fixed(builtin), builtin);
    }
}
