//! PERF018: a function that takes a list apart by calling itself.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use super::calls::{binding_of, called_library, tail_argument};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF018"),
    name: "recursion-along-list",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["tail"],
    doc: "\
Flags a function that calls itself with the `tail` of a list and does something with the result.

## Why it matters

Each call waits for the next one, so a long list overflows the stack; and each `tail` copies the
rest of the list, so the work grows with the square of its length. `map`, `filter`, `foldl'` and
`genericClosure` do neither. The rule is opt-in, since short lists are as common.

## Example

```nix
let
  sum = xs: if xs == [ ] then 0 else builtins.head xs + sum (builtins.tail xs);
in
sum
```

## Better

```nix
builtins.foldl' (a: b: a + b) 0
```

## Source

No other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(function) = node.child(0).filter(|f| f.kind() == NodeKind::Ident) else { return };
    let Some(tail) = tail_argument(node) else { return };
    let is_known = called_library(context, tail, &["tail"]).is_some();
    let definition = binding_of(context, function).and_then(|id| context.ir.binding_attr(id));
    let Some(definition) = definition.filter(|_| is_known) else { return };
    let value = context.node(context.ir.node(definition.value));
    if value.contains(node) && is_waited_for(node, value) {
        report.add(
            Finding::at(node.range(), "each of these calls waits for the next")
                .label(context.node(definition.name).range(), "in this function")
                .help("`foldl'`, `map` and `filter` go along a list without calls in calls"),
        );
    }
}

/// Whether something is done with the result of `call` inside the function `value`.
fn is_waited_for(call: Node<'_>, value: Node<'_>) -> bool {
    let mut inner = call;
    for above in call.ancestors() {
        let is_result = match above.kind() {
            NodeKind::Paren | NodeKind::Lambda => true,
            NodeKind::IfElse => above.child(0) != Some(inner),
            NodeKind::LetIn | NodeKind::With | NodeKind::Assert => {
                above.last_child() == Some(inner)
            }
            _ => false,
        };
        if !is_result {
            return true;
        }
        if above == value {
            return false;
        }
        inner = above;
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn calls_that_wait() {
        let text = "let f = xs: [ 1 ] ++ f (builtins.tail xs); in f";
        assert_eq!(marked("PERF018", text), "f (builtins.tail xs)");
        let bound = "let f = xs: let y = f (builtins.tail xs); in y; in f";
        assert_eq!(marked("PERF018", bound), "f (builtins.tail xs)");
    }

    #[test]
    fn calls_in_the_last_place() {
        let text = "let f = a: xs: if xs == [ ] then a else f (a + 1) (builtins.tail xs); in f";
        assert_eq!(marked("PERF018", text), "");
        assert_eq!(marked("PERF018", "let f = xs: g (builtins.tail xs); g = x: x; in f"), "");
        assert_eq!(marked("PERF018", "let f = xs: 1 + f xs; in f"), "");
    }
}
