//! PERF021: neighbouring lists that could be one.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF021"),
    name: "split-list",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binary], check),
    words: &["++"],
    doc: "\
Flags two list literals next to each other that `++` joins.

## Why it matters

Each `++` copies what stands in front of it. The rule is opt-in: pieces with a heading each may be
easier to read.

## Example

```nix
x: [ 1 2 ] ++ [ 3 ] ++ x
```

## Better

```nix
x: [ 1 2 3 ] ++ x
```

## Source

No other tool looks for it.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(chain) = ast::Binary::cast(node) else { return };
    if chain.operator() != TokenKind::Concat {
        return;
    }
    let is_list = |operand: &Node<'_>| operand.kind() == NodeKind::List && !operand.is_leaf();
    let mut last: Option<Node<'_>> = None;
    for operand in node.children() {
        if let Some(before) = last.filter(|_| is_list(&operand)) {
            let found = Finding::at(operand.range(), "this list can join the one before it");
            report.add(found.label(before.range(), "this one"));
        }
        last = Some(operand).filter(is_list);
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn neighbours_are_found() {
        assert_eq!(marked("PERF021", "x: [ 1 ] ++ [ 2 ] ++ x ++ [ 3 ] ++ [ 4 ]"), "[ 2 ] [ 4 ]");
        assert_eq!(marked("PERF021", "x: [ 1 ] ++ x ++ [ 2 ] ++ [ ]"), "");
    }
}
