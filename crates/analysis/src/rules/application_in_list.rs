//! COR010: list elements that look like an application.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_semantics::{Expr, Target, builtins};
use cim_nix_syntax::{Node, NodeKind};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR010"),
    name: "application-in-list",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::List], check),
    words: &[],
    doc: "\
Flags a function in a list that is followed by another element on the same line.

Only builtins are known to be functions.

## Why it matters

Blanks separate list elements: `[ f x ]` holds `f` and `x`, not the result of `f x`.

## Example

```nix
[ toString 1 ]
```

## Better

```nix
[ (toString 1) ]
```

## Source

A question that newcomers ask; no other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let mut elements = node.children().peekable();
    while let (Some(element), Some(next)) = (elements.next(), elements.peek()) {
        let between = TextRange::new(element.range().end, next.range().start);
        let on_one_line = !context.text()[between.as_usize()].contains('\n');
        if on_one_line && is_function(context, element) && !is_function(context, *next) {
            let range = element.range().cover(next.range());
            report.add(
                Finding::at(range, "these are two elements, not an application")
                    .help(format!("to apply it, write `({})`", &context.text()[range.as_usize()])),
            );
        }
    }
}

fn is_function(context: &Context<'_>, node: Node<'_>) -> bool {
    let is_callable = |name: &str| builtins::builtin(name).is_some_and(|found| found.arity > 0);
    match node.kind() {
        NodeKind::Ident => {
            let Some(id) = context.expr_of(node.id()) else { return false };
            match context.ir.expr(id) {
                Expr::Var { target: Target::Free(None), .. } => is_callable(node.text()),
                _ => false,
            }
        }
        NodeKind::Select => {
            let mut parts = node.children();
            let (Some(base), Some(path)) = (parts.next(), parts.next()) else { return false };
            base.text() == "builtins" && is_callable(path.text())
        }
        _ => false,
    }
}
