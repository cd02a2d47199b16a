//! COR006: a binding that is nothing but itself.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::{BindingId, BindingKind, Expr, ExprId, Target};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR006"),
    name: "self-reference",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a binding of `let` or `rec` whose value is the binding itself, maybe through other names.

## Why it matters

The name hides the one outside that was meant, and evaluating it is an infinite recursion.

## Example

```nix
{ pkgs }: let pkgs = pkgs; in pkgs
```

```nix
version: rec { version = version; name = \"tool\"; }
```

## Better

```nix
{ pkgs }: pkgs
```

```nix
version: rec { inherit version; name = \"tool\"; }
```

## Source

nix.dev, \"Best practices\", on recursive attribute sets.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let mut circular: Option<Vec<bool>> = None;
    for set in &context.ir.sets {
        let Some(scope) = set.scope else { continue };
        let first = context.ir.scopes[scope.index()].bindings.start;
        for (at, attr) in context.ir.attrs[set.attrs.range()].iter().enumerate() {
            let id = BindingId(first + at as u32);
            if alias(context, attr.value).is_none() || is_inherited(context, id) {
                continue;
            }
            let circular = circular.get_or_insert_with(|| circles(context, &values_of(context)));
            if circular[id.index()] && !has_overrides(context, set.attrs.range()) {
                let name = context.name(id);
                let message = format!("`{name}` is defined as itself: an infinite recursion");
                report.add(
                    Finding::at(context.name_range(id), message)
                        .help(format!("to take `{name}` from outside, write `inherit {name};`")),
                );
            }
        }
    }
}

/// The binding that an expression is nothing but a use of.
fn alias(context: &Context<'_>, value: ExprId) -> Option<BindingId> {
    match context.ir.expr(value) {
        Expr::Var { target: Target::Local(binding), .. } => Some(binding),
        _ => None,
    }
}

fn is_inherited(context: &Context<'_>, id: BindingId) -> bool {
    !matches!(context.ir.binding(id).kind, BindingKind::Let | BindingKind::Rec)
}

/// The value of each binding that is one of a set or `let`.
fn values_of(context: &Context<'_>) -> Vec<ExprId> {
    let mut values = vec![Expr::NO_DEFAULT; context.ir.bindings.len()];
    for set in &context.ir.sets {
        let Some(scope) = set.scope else { continue };
        let first = context.ir.scopes[scope.index()].bindings.start as usize;
        for (at, attr) in context.ir.attrs[set.attrs.range()].iter().enumerate() {
            values[first + at] = attr.value;
        }
    }
    values
}

/// For each binding, whether following plain names from it leads back to it. Linear: each binding
/// is entered once.
fn circles(context: &Context<'_>, values: &[ExprId]) -> Vec<bool> {
    let next = |at: BindingId| {
        let value = values[at.index()];
        if value == Expr::NO_DEFAULT { None } else { alias(context, value) }
    };
    let mut is_circular = vec![false; values.len()];
    // In which walk a binding was met first; 0 for never.
    let mut walks = vec![0u32; values.len()];
    for start in 0..values.len() as u32 {
        let walk = start + 1;
        let mut at = Some(BindingId(start));
        while let Some(id) = at.filter(|id| walks[id.index()] == 0) {
            walks[id.index()] = walk;
            at = next(id);
        }
        // Where a walk meets itself, a circle begins.
        let mut circle = at.filter(|id| walks[id.index()] == walk);
        while let Some(id) = circle.filter(|id| !is_circular[id.index()]) {
            is_circular[id.index()] = true;
            circle = next(id);
        }
    }
    is_circular
}

/// `__overrides` replaces attributes of a recursive set before they are evaluated.
fn has_overrides(context: &Context<'_>, attrs: std::ops::Range<usize>) -> bool {
    context.ir.attrs[attrs].iter().any(|attr| context.ir.symbol(attr.symbol) == "__overrides")
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::check;

    #[test]
    fn circles_of_names_are_found() {
        let want = [
            "4..5 `a` is defined as itself: an infinite recursion",
            "11..12 `b` is defined as itself: an infinite recursion",
        ];
        check("COR006", "let a = b; b = (a); c = a; in c", &want);
    }

    #[test]
    fn names_from_outside_are_fine() {
        check("COR006", "a: { a = a; }", &[]);
        check("COR006", "a: rec { inherit a; b = a; }", &[]);
        check("COR006", "let a = [ a ]; in a", &[]);
        check("COR006", "rec { a = a; __overrides = { a = 1; }; }", &[]);
    }
}
