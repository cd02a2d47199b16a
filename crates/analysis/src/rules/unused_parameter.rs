//! DEAD005: a plain parameter that nothing uses.

use std::cell::LazyCell;
use std::collections::HashSet;

use cim_nix_base::{Code, Severity, TextEdit};
use cim_nix_semantics::{BindingId, Expr};

use super::reachability::Reach;
use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD005"),
    name: "unused-parameter",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags the parameter of a plain function `x: …` that the function never uses.

Names that begin with `_` say so themselves and are left alone.

## Why it matters

A `_` in front of the name tells the reader at once that the argument does not matter.

## Example

```nix
builtins.mapAttrs (name: value: value + 1) { a = 1; }
```

## Better

```nix
builtins.mapAttrs (_name: value: value + 1) { a = 1; }
```

## When the fix is unsafe

Never: the name cannot be seen from outside, save for functions printed with `builtins.toXML`. Where
the file refers to the new name already there is no fix.

## Source

Also found by deadnix.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let reach = LazyCell::new(|| Reach::of(context));
    let taken = LazyCell::new(|| underscored_variables(context));
    for lambda in context.ir.lambdas.iter().filter(|lambda| !lambda.has_pattern) {
        let Some(id) = context.ir.scope_bindings(lambda.scope).next() else { continue };
        let name = context.name(id);
        if name.starts_with('_') || context.live().is_live(id) {
            continue;
        }
        let range = context.name_range(id);
        if context.uses().of(id).is_empty() {
            let found = Finding::at(range, format!("the parameter `{name}` is never used"));
            report.add(with_underscore(context, &taken, found, id));
        } else if !reach.is_live(id) {
            let message = format!("the parameter `{name}` is used only by code that is unused");
            report.add(Finding::at(range, message));
        }
    }
}

fn with_underscore(
    context: &Context<'_>,
    taken: &HashSet<&str>,
    found: Finding,
    id: BindingId,
) -> Finding {
    let name = format!("_{}", context.name(id));
    if taken.contains(name.as_str()) {
        return found;
    }
    let node = context.ir.binding(id).name;
    let edit = TextEdit::insert(found.range.start, "_");
    let rewrite = Rewrite::SetTokens { node, tokens: vec![name.clone()] };
    found.safe_fix(format!("rename it to `{name}`"), vec![edit], vec![rewrite])
}

/// The names beginning with `_` that some variable of the file has: a parameter of that name might
/// capture it.
fn underscored_variables<'a>(context: &Context<'a>) -> HashSet<&'a str> {
    let variables = context.ir.exprs.iter().filter_map(|expr| match expr {
        Expr::Var { symbol, .. } => Some(context.ir.symbol(*symbol)),
        _ => None,
    });
    variables.filter(|name| name.starts_with('_')).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, found, marked};

    #[test]
    fn parameters_without_uses_are_found() {
        assert_eq!(marked("DEAD005", "a: b: _c: _: b"), "a");
        assert_eq!(marked("DEAD005", "{ __functor = self: x: x; }"), "self");
        assert_eq!(marked("DEAD005", "final: prev: { inherit (prev) a; }"), "final");
        assert_eq!(marked("DEAD005", "{ a }: 1"), "");
        assert_eq!(marked("DEAD005", "x: x: x"), "x");
        assert_eq!(marked("DEAD005", "let f = x: x; in 1"), "");
        assert_eq!(
            found("DEAD005", "x: let y = x; in 1"),
            "x: the parameter `x` is used only by code that is unused\n"
        );
    }

    #[test]
    fn the_new_name_captures_nothing() {
        assert_eq!(fixed("DEAD005", "x: y: 1"), "_x: _y: 1");
        assert_eq!(fixed("DEAD005", "x :x :1"), "_x :_x :1");
        assert_eq!(fixed("DEAD005", "_x: x: _x"), "_x: x: _x");
        assert_eq!(fixed("DEAD005", "s: with s; x: _x"), "s: with s; x: _x");
        assert_eq!(fixed("DEAD005", "_x: x: { inherit _x; }"), "_x: x: { inherit _x; }");
        assert_eq!(fixed("DEAD005", "x: { _x = 1; }"), "_x: { _x = 1; }");
    }
}
