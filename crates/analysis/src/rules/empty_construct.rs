//! DEAD017: a construct without content.

use cim_nix_base::{Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef, ast};

use crate::context::Context;
use crate::layout;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD017"),
    name: "empty-construct",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::LetIn, NodeKind::Inherit, NodeKind::Binary], check),
    words: &[],
    doc: "\
Flags a `let` without bindings, an `inherit` without names, and an empty set or list that `//` or
`++` joins to something.

There is no rule STY005 about an empty `inherit`, as this one finds it.

Where a comment stands inside or beside it, the emptiness is meant and nothing is reported. Nor is an
empty first operand that lets the operators of all others begin their lines.

## Why it matters

The reader searches for a content that is not there.

## Example

```nix
{ lib }:
let
in
lib.id
```

```nix
a: [ ] ++ a
```

## Better

```nix
{ lib }:
lib.id
```

```nix
a: a
```

## When the fix is unsafe

Never. Code that fails because the other operand is no set or no list may work afterwards.

## Source

Also found by statix.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let finding = match node.kind() {
        NodeKind::LetIn => empty_let(node),
        NodeKind::Inherit => empty_inherit(node),
        _ => empty_operands(node),
    };
    if let Some(finding) = finding {
        report.add(finding);
    }
}

fn empty_let(node: Node<'_>) -> Option<Finding> {
    let let_in = ast::LetIn::cast(node)?;
    if let_in.entries().next().is_some() {
        return None;
    }
    let (word, end, body) = (node.first_token()?, let_in.in_token()?, let_in.body()?);
    if has_comment(word, end.range().start) {
        return None;
    }
    let mut behind = std::iter::successors(end.next(), |token| token.next());
    let kept = behind.find(|token| token.kind() != TokenKind::Whitespace)?;
    let (edits, rewrite) = layout::unwrapped(node, body, kept.range().start);
    let range = TextRange::new(word.range().start, end.range().end);
    let found = Finding::at(range, "this `let` binds nothing");
    Some(found.safe_fix("remove the `let`", edits, vec![rewrite]))
}

fn empty_inherit(node: Node<'_>) -> Option<Finding> {
    let is_empty = ast::Inherit::cast(node)?.names().next().is_none();
    if !is_empty || has_comment(node.first_token()?, node.range().end) {
        return None;
    }
    let edits = layout::deletions(node.tree(), vec![layout::removal(node)]);
    let found = Finding::at(node.range(), "this `inherit` names nothing");
    Some(found.safe_fix("remove the `inherit`", edits, vec![Rewrite::Remove(node.id())]))
}

/// Whether a comment stands between `first` and `end`.
fn has_comment(first: TokenRef<'_>, end: u32) -> bool {
    let tokens = std::iter::successors(Some(first), |token| token.next());
    tokens.take_while(|token| token.range().start < end).any(|token| token.kind().is_comment())
}

fn empty_operands(node: Node<'_>) -> Option<Finding> {
    let operator = ast::Binary::cast(node)?.operator();
    let literal = match operator {
        TokenKind::Update => NodeKind::AttrSet,
        TokenKind::Concat => NodeKind::List,
        _ => return None,
    };
    let operands: Vec<Node<'_>> = node.children().collect();
    let is_empty = |at: &usize| operands[*at].kind() == literal && is_idle(&operands, *at);
    let mut empty: Vec<usize> = (0..operands.len()).filter(is_empty).collect();
    if empty.len() == operands.len() {
        // One has to stay.
        empty.remove(0);
    }
    let (&first, others) = empty.split_first()?;
    let message = format!("this operand of {} adds nothing", operator.describe());
    let mut found = Finding::at(operands[first].range(), message);
    for &other in others {
        found = found.label(operands[other].range(), "nor does this one");
    }
    let (edits, rewrites) = without_operands(node, &operands, &empty);
    Some(found.safe_fix("remove what adds nothing", edits, rewrites))
}

/// Whether an empty operand is there for nothing: no comment stands inside or beside it, and it is
/// not the head of a column of operators.
fn is_idle(operands: &[Node<'_>], at: usize) -> bool {
    let operand = operands[at];
    let first = match at.checked_sub(1) {
        Some(before) => operands[before].last_token(),
        None if operand.token_after().text().contains('\n') => return false,
        None => operand.first_token(),
    };
    let end = operands.get(at + 1).map_or(operand.range().end, |next| next.range().start);
    let is_commented = first.is_none_or(|first| has_comment(first, end))
        || layout::remark_behind(operand).is_some();
    operand.is_leaf() && !is_commented
}

/// Drops the operands number `dropped`, at least one but not all, of the chain `node`.
fn without_operands(
    node: Node<'_>,
    operands: &[Node<'_>],
    dropped: &[usize],
) -> (Vec<TextEdit>, Vec<Rewrite>) {
    let kept: Vec<usize> = (0..operands.len()).filter(|at| !dropped.contains(at)).collect();
    if let [only] = kept[..] {
        let only = operands[only];
        let (edits, rewrite) = layout::unwrapped(node, only, only.range().start);
        return (edits, vec![rewrite]);
    }
    let ranges = dropped.iter().map(|&at| match at.checked_sub(1) {
        // What follows moves to the start of the chain.
        _ if at < kept[0] => {
            TextRange::new(operands[at].range().start, operands[at + 1].range().start)
        }
        Some(before) => TextRange::new(operands[before].range().end, operands[at].range().end),
        None => operands[at].range(),
    });
    let edits = layout::deletions(node.tree(), ranges.collect());
    let mut rewrites: Vec<Rewrite> =
        dropped.iter().map(|&at| Rewrite::Remove(operands[at].id())).collect();
    let operators = node.own_tokens().take(kept.len() - 1);
    let tokens = operators.map(|token| token.text().to_owned()).collect();
    rewrites.push(Rewrite::SetTokens { node: node.id(), tokens });
    (edits, rewrites)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, found, marked};

    #[test]
    fn constructs_without_content_are_found() {
        assert_eq!(marked("DEAD017", "let in 1"), "let in");
        assert_eq!(marked("DEAD017", "{ inherit; inherit (a); }"), "inherit; inherit (a);");
        assert_eq!(marked("DEAD017", "a // { } // b ++ [ ]"), "{ } [ ]");
        assert_eq!(marked("DEAD017", "{ } // { }"), "{ }");
        assert_eq!(marked("DEAD017", "a // rec { }"), "rec { }");
        assert_eq!(marked("DEAD017", "f [ ] { } // { a = 1; } ++ [ 1 ]"), "");
        assert_eq!(marked("DEAD017", "[ [ ] { } ] == [ ] || a ? b && { } == { }"), "");
        assert_eq!(found("DEAD017", "[ ] ++ a"), "[ ]: this operand of `++` adds nothing\n");
    }

    #[test]
    fn a_comment_says_that_it_is_meant() {
        assert_eq!(marked("DEAD017", "let /* none yet */ in 1"), "");
        assert_eq!(marked("DEAD017", "{ inherit # none yet\n; }"), "");
        assert_eq!(marked("DEAD017", "a // { /* b = 1; */ }"), "");
        assert_eq!(marked("DEAD017", "a\n# b\n++ [ ]"), "");
        assert_eq!(marked("DEAD017", "[ ] # b\n++ a"), "");
        assert_eq!(marked("DEAD017", "a ++ [ ] # b\n"), "");
        assert_eq!(marked("DEAD017", "# c\na ++ [ ]\n# b\n"), "[ ]");
    }

    #[test]
    fn the_head_of_a_column_stays() {
        assert_eq!(marked("DEAD017", "[ ]\n  ++ a\n  ++ b"), "");
        assert_eq!(marked("DEAD017", "{ } //\n  a"), "{ }");
    }

    #[test]
    fn a_let_gives_way_to_its_body() {
        assert_eq!(fixed("DEAD017", "let\nin\n{\n}\n"), "{\n}\n");
        assert_eq!(fixed("DEAD017", "x: let\n\nin {\n}\n"), "x: {\n}\n");
        assert_eq!(fixed("DEAD017", "{x}:let in x"), "{x}: x");
        assert_eq!(fixed("DEAD017", "f (let in x)"), "f x");
        assert_eq!(fixed("DEAD017", "f (let in x y)"), "f (x y)");
        assert_eq!(fixed("DEAD017", "let in let in 1"), "1");
        assert_eq!(
            fixed("DEAD017", "{\n  a =\n    let\n    in\n    # b\n    1;\n}"),
            "{\n  a =\n    # b\n    1;\n}"
        );
        assert_eq!(fixed("DEAD001 DEAD017", "x:\nlet\n  a = 1;\nin\nx\n"), "x:\nx\n");
    }

    #[test]
    fn an_inherit_leaves_no_hole() {
        assert_eq!(fixed("DEAD017", "{ inherit; }"), "{ }");
        assert_eq!(fixed("DEAD017", "{\n  inherit (a);\n\n  b = 1;\n}"), "{\n  b = 1;\n}");
    }

    #[test]
    fn chains_keep_their_other_operands() {
        assert_eq!(fixed("DEAD017", "a // { }"), "a");
        assert_eq!(fixed("DEAD017", "[ ] ++ a ++ [ ] ++ b ++ [ ]"), "a ++ b");
        assert_eq!(fixed("DEAD017", "[ ] ++ [ ] ++ a ++ b"), "a ++ b");
        assert_eq!(fixed("DEAD017", "{ } // { } // { }"), "{ }");
        assert_eq!(fixed("DEAD017", "f (a // { }) ({ } // a.b) ({ } // f a)"), "f a a.b (f a)");
        assert_eq!(fixed("DEAD017", "(a // { }).b"), "a.b");
        assert_eq!(fixed("DEAD017", "(a.b or c // { }).d"), "(a.b or c).d");
        assert_eq!(fixed("DEAD017", "with a; (a.b // { }) or c"), "with a; (a.b) or c");
        assert_eq!(fixed("DEAD017", "f(a ++ [])g"), "f a g");
        assert_eq!(fixed("DEAD017", "{x}:{}//x"), "{x}: x");
        assert_eq!(fixed("DEAD017", "(!a) // { }"), "(!a)");
        assert_eq!(fixed("DEAD017", "a // { } // !b"), "a // !b");
    }

    #[test]
    fn chains_over_several_lines() {
        assert_eq!(
            fixed("DEAD017", "{\n  a =\n    [ ] ++ b\n    ++ c;\n}"),
            "{\n  a =\n    b\n    ++ c;\n}"
        );
        assert_eq!(
            fixed("DEAD017", "{\n  a = b\n    ++ [ ]\n    ++ c;\n}"),
            "{\n  a = b\n    ++ c;\n}"
        );
        assert_eq!(fixed("DEAD017", "{\n  a = [ ] ++\n    b;\n}"), "{\n  a =\n    b;\n}");
        assert_eq!(
            fixed("DEAD017", "{\n  a = b # c\n    // d // { };\n}"),
            "{\n  a = b # c\n    // d;\n}"
        );
    }
}
