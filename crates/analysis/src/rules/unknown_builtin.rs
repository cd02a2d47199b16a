//! COR004: a builtin that Nix does not have, or that needs its prefix.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity, TextEdit};
use cim_nix_semantics::{Expr, PathElement, Target, builtins};

use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR004"),
    name: "unknown-builtin",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a builtin that Nix does not have, and one that is used without its `builtins.` prefix.

A name is left alone where the file asks for it first (`builtins ? name`) or gives a default
(`builtins.name or …`).

## Why it matters

Only some builtins are in scope under their plain names. For the others, Nix reports an undefined
variable and refuses the file; an unknown attribute of `builtins` fails when it is evaluated.

## Example

```nix
attrNames { a = 1; }
```

## Better

```nix
builtins.attrNames { a = 1; }
```

## When the fix is unsafe

Never: without the prefix the file does not parse, so no program changes its meaning.

## Source

The table of builtins of Nix 2.34.8, compared with the program itself.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for (symbol, variable) in context.ir.free_names() {
        let name = context.ir.symbol(symbol);
        if builtins::global(name).is_none() && builtins::builtin(name).is_some() {
            report.add(needs_prefix(context, name, variable));
        }
    }
    let mut asked: Option<HashSet<String>> = None;
    for (at, expr) in context.ir.exprs.iter().enumerate() {
        let Expr::Select { base, path, default: Expr::NO_DEFAULT } = *expr else { continue };
        let Some(name) = builtin_attr(context, base, path) else { continue };
        if builtins::builtin(name).is_some() || name == "builtins" {
            continue;
        }
        if asked.get_or_insert_with(|| asked_for(context)).contains(name) {
            continue;
        }
        let node = context.node(context.ir.nodes[at]);
        let element = node.children().nth(1).and_then(|path| path.child(0));
        let range = element.map_or(node.range(), |element| element.range());
        report.add(Finding::at(range, format!("Nix has no builtin named `{name}`")));
    }
}

fn needs_prefix(context: &Context<'_>, name: &str, variable: cim_nix_semantics::ExprId) -> Finding {
    let node = context.node(context.ir.node(variable));
    let found =
        Finding::at(node.range(), format!("`{name}` is in scope only as `builtins.{name}`"));
    // In `inherit name;` there is no expression to prefix.
    if node.kind() != cim_nix_syntax::NodeKind::Ident {
        return found.help(format!("write `inherit (builtins) {name};`"));
    }
    let text = format!("builtins.{name}");
    let edit = TextEdit::insert(node.range().start, "builtins.");
    // `name.attr` becomes `builtins.name.attr`, whose tree is another.
    let is_selected = node.parent().is_some_and(|parent| {
        parent.kind() == cim_nix_syntax::NodeKind::Select && parent.child(0) == Some(node)
    });
    if is_selected {
        return found.help(format!("write `{text}`"));
    }
    let rewrite = Rewrite::Substitute { node: node.id(), text };
    found.safe_fix("add the prefix", vec![edit], vec![rewrite])
}

/// The first attribute that is selected from `builtins`, if `base` is that.
fn builtin_attr<'c>(
    context: &'c Context<'_>,
    base: cim_nix_semantics::ExprId,
    path: cim_nix_semantics::PathId,
) -> Option<&'c str> {
    let Expr::Var { symbol, target: Target::Free(_) } = context.ir.expr(base) else { return None };
    if context.ir.symbol(symbol) != "builtins" {
        return None;
    }
    match context.ir.path(path).first()? {
        PathElement::Name(name) => Some(context.ir.symbol(*name)),
        PathElement::Dynamic(_) => None,
    }
}

/// The names that the file asks for by `builtins ? name`.
fn asked_for(context: &Context<'_>) -> HashSet<String> {
    let asked = context.ir.exprs.iter().filter_map(|expr| match *expr {
        Expr::HasAttr { base, path } => builtin_attr(context, base, path),
        _ => None,
    });
    asked.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::check;

    #[test]
    fn asked_for_and_defaulted_names_are_fine() {
        check("COR004", "if builtins ? foo then builtins.foo 1 else 2", &[]);
        check("COR004", "builtins.foo or 1", &[]);
        check("COR004", "builtins.fetchClosure { }", &[]);
        check("COR004", "let builtins.foo = 1; in builtins.foo", &[]);
    }

    #[test]
    fn unknown_attributes_and_missing_prefixes() {
        check("COR004", "builtins.foo 1", &["9..12 Nix has no builtin named `foo`"]);
        check(
            "COR004",
            "{ inherit attrNames; }",
            &["10..19 `attrNames` is in scope only as `builtins.attrNames`"],
        );
        check("COR004", "with x; attrNames", &[]);
    }
}
