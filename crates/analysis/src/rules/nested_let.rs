//! STY002: a `let` right inside the body of another.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY002"),
    name: "nested-let",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::LetIn], check),
    words: &[],
    doc: "\
Flags a `let` whose body is another `let`, where one can hold the bindings of both.

Two are needed where the inner one binds a name that the outer one binds or mentions, or one such as
`__sub`, which operators look up; nothing is reported there.

## Why it matters

Two steps make the reader look for the reason. It is a matter of taste, so the rule is opt-in.

## Example

```nix
let
  a = 1;
in
let
  b = a;
in
b
```

## Better

```nix
let
  a = 1;
  b = a;
in
b
```

## When the fix is unsafe

Never: no name means anything else in the joined `let`. Comments stay.

## Source

Also found by statix.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(inner) = joinable(node) else { return };
    // Of a chain, the first two are joined first: what they bind together decides about the next.
    let around = node.parent().filter(|around| around.kind() == NodeKind::LetIn);
    if around.and_then(joinable) == Some(node) {
        return;
    }
    let (Some(end), Some(begin)) = (node.own_token(TokenKind::In), inner.first_token()) else {
        return;
    };
    let found = Finding::at(begin.range(), "this `let` can join the one around it");
    report.add(match joined(node.tree().text(), end.range(), begin.range()) {
        Some(edit) => found.safe_fix("join them", vec![edit], vec![Rewrite::Unfold(inner.id())]),
        None => found,
    });
}

/// The `let` that is the body of `outer`, if one can hold the bindings of both.
fn joinable(outer: Node<'_>) -> Option<Node<'_>> {
    let inner = outer.last_child().filter(|body| body.kind() == NodeKind::LetIn)?;
    let has_entries = |node: Node<'_>| ast::entries(node).next().is_some();
    (has_entries(outer) && has_entries(inner) && !meet(outer, inner)).then_some(inner)
}

/// Whether the outer `let` mentions a name that the inner one binds, be it by an operator: `-` and
/// some others look names up that begin with `__`.
fn meet(outer: Node<'_>, inner: Node<'_>) -> bool {
    let mut bound = HashSet::new();
    for entry in ast::entries(inner) {
        match entry {
            ast::Entry::Binding(binding) => {
                let first = binding.attr_path().and_then(|path| path.elements().next());
                match first.and_then(ast::Attr::name) {
                    Some(name) => bound.insert(name),
                    None => return true,
                };
            }
            ast::Entry::Inherit(inherit) => {
                bound.extend(inherit.names().filter_map(ast::Attr::name));
            }
        }
    }
    if bound.iter().any(|name| name.starts_with("__")) {
        return true;
    }
    let mut tokens = ast::entries(outer).flat_map(|entry| entry.node().tokens());
    // A name in quotes binds as well.
    tokens.any(|token| {
        matches!(token.kind(), TokenKind::Ident | TokenKind::StrContent | TokenKind::Or)
            && bound.contains(token.text())
    })
}

/// The edit that takes out `in let`.
fn joined(text: &str, end: TextRange, begin: TextRange) -> Option<TextEdit> {
    let gap = &text[end.end as usize..begin.start as usize];
    // A comment between the two would lose its place.
    gap.trim().is_empty().then_some(())?;
    let before = &text[..end.start as usize];
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let after = &text[begin.end as usize..];
    let ends_line = after.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
    let cut = if before[line..].trim().is_empty() && ends_line {
        let rest = after.find('\n').map_or(0, |at| at + 1);
        TextRange::new(line as u32, begin.end + rest as u32)
    } else if ends_line {
        TextRange::new(before.trim_end_matches([' ', '\t']).len() as u32, begin.end)
    } else {
        let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
        TextRange::new(end.start, begin.end + blanks as u32)
    };
    Some(TextEdit::remove(cut))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn one_let_is_enough() {
        assert_eq!(marked("STY002", "let a = 1; in let b = a; in b"), "let");
        assert_eq!(marked("STY002", "let a = 1; in (let b = a; in b)"), "");
        assert_eq!(marked("STY002", "let a = 1; in { b = let c = a; in c; }"), "");
    }

    #[test]
    fn two_are_needed_where_names_meet() {
        assert_eq!(marked("STY002", "let a = 1; in let a = 2; in a"), "");
        assert_eq!(marked("STY002", "b: let a = b; in let b = 2; in a"), "");
        assert_eq!(marked("STY002", "let a.b = 1; in let a.c = 2; in a"), "");
        assert_eq!(marked("STY002", "let a = 1; in let inherit (x) a; in a"), "");
        assert_eq!(marked("STY002", "let inherit (x) b; in let \"b\" = 1; in b"), "");
        assert_eq!(marked("STY002", "let a = { inherit b; }; in let b = 1; in a"), "");
        assert_eq!(marked("STY002", "let \"a\" = 1; in let a = 1; in a"), "");
    }

    #[test]
    fn operators_look_names_up() {
        assert_eq!(marked("STY002", "let a = 3 - 1; in let __sub = x: y: 0; in a"), "");
        assert_eq!(marked("STY002", "x: let a = <a>; in let inherit (x) __nixPath; in a"), "");
        assert_eq!(marked("STY002", "let a = 3 - 1; in let \"__sub\" = x: y: 0; in a"), "");
        assert_eq!(marked("STY002", "let __sub = x: y: 0; in let a = 3 - 1; in a"), "let");
    }

    #[test]
    fn what_was_joined_counts_for_the_next() {
        let text = "b: let a = b; in let c = 1; in let b = a; in b";
        assert_eq!(marked("STY002", text), "let");
        assert_eq!(fixed("STY002", text), "b: let a = b; c = 1; in let b = a; in b");
    }

    #[test]
    fn both_become_one() {
        assert_eq!(fixed("STY002", "let a = 1; in let b = a; in b"), "let a = 1; b = a; in b");
        assert_eq!(
            fixed("STY002", "let\n  a = 1;\nin let\n  # b\n  b = a; # c\nin\nb\n"),
            "let\n  a = 1;\n  # b\n  b = a; # c\nin\nb\n"
        );
        assert_eq!(
            fixed("STY002", "let a = 1; in let b = 2; in let c = 3; in a"),
            "let a = 1; b = 2; c = 3; in a"
        );
        assert_eq!(
            fixed("STY002", "let a = 1; in let\n  b = a;\nin b\n"),
            "let a = 1;\n  b = a;\nin b\n"
        );
        let commented = "let a = 1; in /* why */ let b = a; in b";
        assert_eq!(fixed("STY002", commented), commented);
    }
}
