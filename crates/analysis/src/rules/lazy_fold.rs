//! PERF006: a fold that keeps every step waiting.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use super::calls::{called, last_name, replaced, with_fix};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF006"),
    name: "lazy-fold",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["fold"],
    doc: "\
Flags `lib.foldl`, which `lib.foldl'` does better, and `lib.fold`, the old name of `lib.foldr`.

## Why it matters

`lib.foldl` is a function of the library that calls itself once for each element before it computes
anything, so it is slow and long lists overflow the stack. `lib.foldl'` is a builtin that computes
each step at once.

## Example

```nix
{ lib }:
lib.foldl (a: b: a + b) 0
```

## Better

```nix
{ lib }:
lib.foldl' (a: b: a + b) 0
```

## When the fix is unsafe

Always: `foldl'` evaluates each intermediate result, so a step that fails but is not needed fails
then, and `lib` is told by its name alone. Where a comment above speaks of `foldl'`, the choice is
taken for made.

## Source

NixOS/nixpkgs pull request 520712; no other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(origin) = called(context, node, &["foldl", "fold"]) else { return };
    let Some(function) = node.child(0).filter(|_| origin.home == Home::Lib) else { return };
    let (message, better) = match origin.name {
        "foldl" if is_explained(node) => return,
        "foldl" => {
            ("`lib.foldl` goes through the whole list before it computes anything", "foldl'")
        }
        "fold" => ("`lib.fold` is the old name of `lib.foldr`", "foldr"),
        _ => return,
    };
    let found = Finding::at(function.range(), message);
    // Elsewhere the name is one that the file gives, and would have to change there.
    let Some(name) = last_name(function).filter(|name| *name != function) else {
        return report.add(found.help(format!("write `{better}`")));
    };
    let head = &function.text()[..(name.range().start - function.range().start) as usize];
    let fix = replaced(function, || format!("{head}{better}"));
    report.add(with_fix(found, Applicability::Unsafe, format!("use `{better}`"), fix));
}

/// How far above a fold a comment may stand that is about it.
const MAX_ABOVE: usize = 24;

/// Whether a comment above says why it is not `foldl'`.
fn is_explained(node: Node<'_>) -> bool {
    let before = std::iter::successors(node.token_before(), |token| token.previous());
    let mut comments = before.take(MAX_ABOVE).filter(|token| token.kind().is_comment());
    comments.any(|comment| comment.text().contains("foldl'"))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    #[test]
    fn folds_of_the_library() {
        assert_eq!(marked("PERF006", "{ lib }: lib.foldl f 0 [ ]"), "lib.foldl");
        assert_eq!(marked("PERF006", "{ lib }: lib.lists.fold f 0 [ ]"), "lib.lists.fold");
        assert_eq!(marked("PERF006", "let inherit (lib) foldl; in foldl f 0 [ ]"), "foldl");
        assert_eq!(marked("PERF006", "{ lib }: lib.fold\n  f 0 [ ]"), "lib.fold");
        assert_eq!(marked("PERF006", "{ lib }: lib.fold(x: y: x) 0 [ ]"), "lib.fold");
        assert_eq!(marked("PERF006", "{ lib }: lib.foldl' f 0 [ ]"), "");
        assert_eq!(marked("PERF006", "let foldl = f: f; in foldl f 0 [ ]"), "");
        let explained = "{ lib }: # not foldl', which evaluates each step\nlib.foldl f 0 [ ]";
        assert_eq!(marked("PERF006", explained), "");
        assert_eq!(marked("PERF006", "{ lib }: # a sum\nlib.foldl f 0 [ ]"), "lib.foldl");
        assert_eq!(marked("PERF006", "{ fold }: fold f 0 [ ]"), "");
    }

    #[test]
    fn the_name_is_replaced() {
        let fixed = |text: &str| fixed_unsafely("PERF006", text);
        assert_eq!(fixed("{ lib }: lib.foldl (a: b: a) 0"), "{ lib }: lib.foldl' (a: b: a) 0");
        assert_eq!(fixed("{ lib }: lib.lists.fold f 0 x"), "{ lib }: lib.lists.foldr f 0 x");
    }
}
