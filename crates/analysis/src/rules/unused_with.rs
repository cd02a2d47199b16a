//! DEAD007: a `with` that supplies no name.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_semantics::WithId;
use cim_nix_semantics::builtins::{self, Binding};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD007"),
    name: "unused-with",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a `with` when every name behind it comes from elsewhere.

Names of a `let`, a function or a recursive set win over a `with`, wherever it stands, and so do the
builtins.

A `with` before an empty list is left alone: `with pkgs; [ ]` waits for its first member.

## Why it matters

A reader of the code behind a `with` has to reckon with every name of its set.

## Example

```nix
{ lib }:

with lib;

{
  name = lib.toLower \"A\";
}
```

## Better

```nix
{ lib }:

{
  name = lib.toLower \"A\";
}
```

## When the fix is unsafe

Never: Nix does not evaluate the set before it needs a name of it.

## Source

Also found by nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let mut doubtful = None;
    for at in 0..context.ir.withs.len() {
        let with = WithId(at as u32);
        if context.is_with_used(with) {
            continue;
        }
        let doubtful = doubtful.get_or_insert_with(|| withs_of_gated_names(context));
        let node = context.node(context.ir.with(with).node);
        let Some(node) = ast::With::cast(node).filter(|_| !doubtful.contains(&with)) else {
            continue;
        };
        if let Some(finding) = finding(node) {
            report.add(finding);
        }
    }
}

/// The `with`s that supply a name to some Nix: one that is a builtin only where a feature is on, or
/// outside of pure evaluation.
fn withs_of_gated_names(context: &Context<'_>) -> HashSet<WithId> {
    let mut found = HashSet::new();
    for (_, symbol, with) in context.ir.free_variables() {
        let is_gated = builtins::global(context.ir.symbol(symbol)).is_some_and(|global| {
            global.builtin.impure_only || global.builtin.binding != Binding::Always
        });
        let mut with = with.filter(|_| is_gated);
        while let Some(at) = with.filter(|at| found.insert(*at)) {
            with = context.ir.with(at).outer;
        }
    }
    found
}

fn finding(with: ast::With<'_>) -> Option<Finding> {
    let node = with.node();
    let namespace = with.namespace()?;
    let body = with.body()?;
    if is_empty_list(body) {
        return None;
    }
    let range = TextRange::new(node.range().start, namespace.range().end);
    let found = Finding::at(range, "this `with` supplies no name");
    let kept = first_comment(namespace, body).unwrap_or(body.range().start);
    let (edits, rewrite) = layout::unwrapped(node, body, kept);
    Some(found.safe_fix("remove the `with`", edits, vec![rewrite]))
}

/// Whether `body` is a list that is to be filled later.
fn is_empty_list(body: Node<'_>) -> bool {
    let list = ast::without_parens(body).filter(|list| list.kind() == NodeKind::List);
    list.is_some_and(|list| list.child(0).is_none())
}

/// The start of the first comment between namespace and body that is not on the line of the `;`:
/// such comments are about the body.
fn first_comment(namespace: Node<'_>, body: Node<'_>) -> Option<u32> {
    let behind = std::iter::successors(Some(namespace.token_after()), |token| token.next());
    let mut is_next_line = false;
    for token in behind.take_while(|token| token.range().start < body.range().start) {
        match token.kind() {
            TokenKind::Semicolon => is_next_line = false,
            TokenKind::Whitespace => is_next_line |= token.text().contains('\n'),
            kind if kind.is_comment() && is_next_line => return Some(token.range().start),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn withs_that_supply_no_name_are_found() {
        assert_eq!(marked("DEAD007", "with a; 1"), "with a");
        assert_eq!(marked("DEAD007", "b: with a; b"), "with a");
        assert_eq!(marked("DEAD007", "let b = 1; in { inherit (x) y; z = with a; b; }"), "with a");
        assert_eq!(marked("DEAD007", "with a; map true null"), "with a");
        assert_eq!(marked("DEAD007", "with a; { b = 1; }.b"), "with a");
        assert_eq!(marked("DEAD007", "with a; <nixpkgs>"), "with a");
        assert_eq!(marked("DEAD007", "with a; b"), "");
        assert_eq!(marked("DEAD007", "with a; { inherit b; }"), "");
        assert_eq!(marked("DEAD007", "with a; x: x.${b}"), "");
    }

    #[test]
    fn empty_lists_wait_for_members() {
        assert_eq!(marked("DEAD007", "with a; [ ]"), "");
        assert_eq!(marked("DEAD007", "{ b = with a; [ # c\n ]; }"), "");
        assert_eq!(marked("DEAD007", "with a; ([ ])"), "");
        assert_eq!(marked("DEAD007", "with a; [ 1 ]"), "with a");
        assert_eq!(marked("DEAD007", "with a; [ ] ++ [ ]"), "with a");
    }

    #[test]
    fn nested_withs_share_what_they_supply() {
        assert_eq!(marked("DEAD007", "with a; with b; c"), "");
        assert_eq!(marked("DEAD007", "a: b: with a; with b; 1"), "with a with b");
        assert_eq!(marked("DEAD007", "with a; { b = with c; 1; d = e; }"), "with c");
        assert_eq!(marked("DEAD007", "with a; with b; 1"), "with b", "`b` may be one of `a`");
        assert_eq!(fixed("DEAD007", "with a; with b; 1"), "1");
        assert_eq!(fixed("DEAD007", "with a; with b; c"), "with a; with b; c");
    }

    #[test]
    fn names_that_only_some_nix_has_may_come_from_it() {
        assert_eq!(marked("DEAD007", "with a; fetchTree"), "");
        assert_eq!(marked("DEAD007", "with a; __currentTime"), "");
        assert_eq!(marked("DEAD007", "with a; fetchGit"), "with a");
    }

    #[test]
    fn the_body_takes_the_place() {
        assert_eq!(fixed("DEAD007", "{ a = with b; [ 1 ]; }"), "{ a = [ 1 ]; }");
        assert_eq!(fixed("DEAD007", "f (with b; [ 1 ]) c"), "f [ 1 ] c");
        assert_eq!(fixed("DEAD007", "f(with b; 1)c"), "f(1)c");
        assert_eq!(fixed("DEAD007", "f: x: f(with b; x)f"), "f: x: f x f");
        assert_eq!(fixed("DEAD007", "f: x: [ (with b; f x) ]"), "f: x: [ (f x) ]");
        assert_eq!(fixed("DEAD007", "x: (with b; x).y"), "x: x.y");
        assert_eq!(fixed("DEAD007", "x: with x; (with b; x.y) or x"), "x: with x; (x.y) or x");
        assert_eq!(fixed("DEAD007", "x: [ (with b; x.y or 1) ]"), "x: [ (x.y or 1) ]");
        assert_eq!(fixed("DEAD007", "{a}:with b;a"), "{a}: a");
        assert_eq!(fixed("DEAD007", "if true then with b; 1 else 2"), "if true then 1 else 2");
    }

    #[test]
    fn lines_stay_as_they_were() {
        assert_eq!(fixed("DEAD007", "with a;\n\n{\n}\n"), "{\n}\n");
        assert_eq!(fixed("DEAD007", "x:\n\nwith a;\n\n{\n}\n"), "x:\n\n{\n}\n");
        assert_eq!(fixed("DEAD007", "x: with a;\n\n{\n}\n"), "x:\n\n{\n}\n");
        assert_eq!(fixed("DEAD007", "x: with a; {\n}\n"), "x: {\n}\n");
        assert_eq!(fixed("DEAD007", "{\n  a = with b;\n    [ 1 ];\n}"), "{\n  a =\n    [ 1 ];\n}");
        assert_eq!(fixed("DEAD007", "{\n  a = with b;\n  [ 1 ];\n}"), "{\n  a = [ 1 ];\n}");
        assert_eq!(
            fixed("DEAD007", "{\r\n  a =\r\n    with b;\r\n    [ 1 ];\r\n}"),
            "{\r\n  a =\r\n    [ 1 ];\r\n}"
        );
    }

    #[test]
    fn comments_about_the_body_stay() {
        assert_eq!(fixed("DEAD007", "with a; # all of a\n# one\n1"), "# one\n1");
        assert_eq!(fixed("DEAD007", "with a;\n\n# one\n\n1"), "# one\n\n1");
        assert_eq!(fixed("DEAD007", "# top\nwith a /* b */;\n1"), "# top\n1");
    }
}
