//! PERF019: traces that were left over from debugging.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{arguments, called_library, is_same_code};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF019"),
    name: "leftover-trace",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["trace"],
    doc: "\
Flags what only serves to look at a value while debugging: `lib.traceVal`, `lib.traceSeq` and their
kin, and `builtins.trace` of the value that it returns.

A `builtins.trace` with a text is left alone: it may be a message for users, although `lib.warn` is
made for that. So is `deepSeq`, which may well be meant.

The rule is opt-in: in code that was committed, nearly all of these are meant, to show a value right
before an error about it.

## Why it matters

`traceSeq` and `traceValSeq` evaluate all of a value, most of which may not be needed, and what is
printed says nothing to those who use the code.

## Example

```nix
{ lib, x }: lib.traceValSeq x
```

```nix
x: builtins.trace x x
```

## Better

```nix
{ lib, x }: lib.warnIf (x == null) \"x is not set\" x
```

## Source

No other tool looks for it.
",
};

/// Functions of the library for debugging alone.
const DEBUGGING: &[&str] = &[
    "traceVal",
    "traceValFn",
    "traceSeq",
    "traceSeqN",
    "traceValSeq",
    "traceValSeqFn",
    "traceValSeqN",
    "traceValSeqNFn",
    "traceFnSeqN",
];

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(function) = node.child(0) else { return };
    let is_debugging =
        called_library(context, node, DEBUGGING).is_some_and(|origin| origin.home == Home::Lib);
    if is_debugging || traces_itself(context, node) {
        let message = "this looks left over from debugging";
        let help = "for a message to users, `lib.warn` says that it is one";
        report.add(Finding::at(function.range(), message).help(help));
    }
}

/// Whether `trace` prints what it returns.
fn traces_itself(context: &Context<'_>, node: Node<'_>) -> bool {
    let Some([message, value]) = arguments(node) else { return false };
    let (Some(message), Some(value)) = (ast::without_parens(message), ast::without_parens(value))
    else {
        return false;
    };
    let is_itself = is_same_code(message, value);
    is_itself && called_library(context, node, &["trace"]).is_some_and(|o| o.is_builtin("trace"))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn what_serves_debugging_is_found() {
        assert_eq!(marked("PERF019", "{ lib }: lib.debug.traceVal 1"), "lib.debug.traceVal");
        assert_eq!(marked("PERF019", "with lib; traceSeqN 2 x y"), "traceSeqN");
        assert_eq!(marked("PERF019", "x: builtins.trace x.a (x.a)"), "builtins.trace");
    }

    #[test]
    fn what_may_be_for_users_is_not() {
        assert_eq!(marked("PERF019", "x: builtins.trace \"x is old\" x"), "");
        assert_eq!(marked("PERF019", "x: y: builtins.trace x y"), "");
        assert_eq!(marked("PERF019", "x: builtins.deepSeq x x"), "");
        assert_eq!(marked("PERF019", "let traceVal = x: x; in traceVal 1"), "");
        assert_eq!(marked("PERF019", "{ lib }: { f = lib.traceVal; }"), "");
    }
}
