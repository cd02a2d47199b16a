//! DEAD009: code that no evaluation reaches.

use cim_nix_base::{Applicability, Code, Severity, TextEdit};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef, ast};

use super::calls::is_global;
use crate::context::Context;
use crate::layout;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD009"),
    name: "unreachable-branch",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::IfElse, NodeKind::Binary, NodeKind::Select], check),
    words: &["true", "false", "or"],
    doc: "\
Flags code that no evaluation reaches: a branch of `if true` or `if false`, what stands behind
`false &&`, `true ||` or `false ->`, and a default behind the attribute of a set that is written out
and has it.

Where a comment stands beside the constant, right above the expression or behind it on its line, the
code is switched off on purpose and nothing is reported.

## Why it matters

The reader takes it for code that runs, and nobody notices when it breaks.

## Example

```nix
x: if true then x else throw \"never\"
```

## Better

```nix
x: x
```

## When the fix is unsafe

The value stays the same, but the code that goes away may be wanted later, and a slip of
parentheses may be behind it: `x.a or false && b` is `(x.a or false) && b`.

## Source

No other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let finding = match node.kind() {
        NodeKind::IfElse => constant_condition(context, node),
        NodeKind::Binary => constant_operand(context, node),
        _ => needless_default(node),
    };
    if let Some(finding) = finding.filter(|_| !is_remarked(node)) {
        report.add(finding);
    }
}

fn constant_condition(context: &Context<'_>, node: Node<'_>) -> Option<Finding> {
    let branches = ast::IfElse::cast(node)?;
    let is_true = constant(context, branches.condition()?)?;
    let (taken, other) = (branches.consequence()?, branches.alternative()?);
    let (taken, other) = if is_true { (taken, other) } else { (other, taken) };
    let found = Finding::at(other.range(), "this branch is never taken")
        .label(branches.condition()?.range(), "since this never changes");
    Some(kept(found, node, taken, "keep the other branch"))
}

fn constant_operand(context: &Context<'_>, node: Node<'_>) -> Option<Finding> {
    let first =
        node.child(0).filter(|first| matches!(first.kind(), NodeKind::Ident | NodeKind::Paren))?;
    let stops_at = match ast::Binary::cast(node)?.operator() {
        TokenKind::And | TokenKind::Implies => false,
        TokenKind::OrOr => true,
        _ => return None,
    };
    if constant(context, first)? != stops_at {
        return None;
    }
    let second = node.child(1)?;
    let range = second.range().cover(node.range());
    let range = cim_nix_base::TextRange::new(second.range().start, range.end);
    let is_implication = node.own_token(TokenKind::Implies).is_some();
    let found = Finding::at(range, "this is never evaluated")
        .label(first.range(), "since this settles the result");
    // `false -> x` is true, which none of its operands is.
    Some(if is_implication { found } else { kept(found, node, first, "keep the constant") })
}

/// `{ a = 1; }.a or 2`.
fn needless_default(node: Node<'_>) -> Option<Finding> {
    let select = ast::Select::cast(node)?;
    let set =
        select.base().filter(|base| matches!(base.kind(), NodeKind::AttrSet | NodeKind::Paren))?;
    let default = select.default()?;
    let set = ast::without_parens(set).filter(|set| set.kind() == NodeKind::AttrSet)?;
    let mut path = select.attr_path()?.elements();
    let name = path.next()?.name()?;
    let is_there = crate::origin::attribute(set, &name).is_some() && path.next().is_none();
    is_there.then(|| {
        Finding::at(default.range(), "this default is never used")
            .label(set.range(), format!("this set has `{name}`"))
    })
}

/// The value of a condition that is `true` or `false` itself.
fn constant(context: &Context<'_>, node: Node<'_>) -> Option<bool> {
    let node = ast::without_parens(node)?;
    let value = match node.text() {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    is_global(context, node, node.text()).then_some(value)
}

/// How many tokens behind an expression are looked at for a comment on its line.
const MAX_BEHIND: usize = 8;

/// Whether a comment stands right in front of `node`, beside its first part, or behind it on its
/// line.
fn is_remarked(node: Node<'_>) -> bool {
    let is_comment = |token: TokenRef<'_>| token.kind().is_comment();
    let before = node.token_before();
    let is_blank = |token: &TokenRef<'_>| token.kind() == TokenKind::Whitespace;
    let before = before.filter(is_blank).map_or(before, TokenRef::previous);
    let second = node.children().nth(1).map_or(node.range().end, |second| second.range().start);
    let from = |token| std::iter::successors(token, |token: &TokenRef<'_>| token.next());
    let mut beside = from(node.first_token()).take_while(|token| token.range().end <= second);
    let mut behind = from(Some(node.token_after()))
        .take(MAX_BEHIND)
        .take_while(|token| !is_blank(token) || !token.text().contains('\n'));
    before.is_some_and(is_comment) || beside.any(is_comment) || behind.any(is_comment)
}

fn kept(found: Finding, node: Node<'_>, inner: Node<'_>, title: &'static str) -> Finding {
    let (edits, rewrite): (Vec<TextEdit>, Rewrite) =
        layout::unwrapped(node, inner, inner.range().start);
    found.fix(Applicability::Unsafe, title, edits, vec![rewrite])
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, found, marked};

    #[test]
    fn branches_of_constants() {
        assert_eq!(found("DEAD009", "if true then 1 else 2"), "2: this branch is never taken\n");
        assert_eq!(marked("DEAD009", "if (false) then 1 else 2"), "1");
        assert_eq!(marked("DEAD009", "false && f x && y"), "f x && y");
        assert_eq!(marked("DEAD009", "a: a.b or (true || a)"), "a");
        assert_eq!(marked("DEAD009", "a: false -> a"), "a");
        assert_eq!(marked("DEAD009", "{ a = 1; }.a or 2"), "2");
        assert_eq!(marked("DEAD009", "{ a = 1; }.a\nor 2"), "2");
    }

    #[test]
    fn what_may_be_reached_is_left_alone() {
        assert_eq!(marked("DEAD009", "a: a && false || a"), "");
        assert_eq!(marked("DEAD009", "a: true && a"), "");
        assert_eq!(marked("DEAD009", "a: true -> a"), "");
        assert_eq!(marked("DEAD009", "true: if true then 1 else 2"), "");
        assert_eq!(marked("DEAD009", "a: a.b or false && a"), "");
        assert_eq!(marked("DEAD009", "{ a = 1; }.b or 2"), "");
        assert_eq!(marked("DEAD009", "x: { ${x} = 1; }.a or 2"), "");
        assert_eq!(marked("DEAD009", "{ a = { }; }.a.b or 2"), "");
    }

    #[test]
    fn a_comment_says_why() {
        assert_eq!(marked("DEAD009", "x: if false /* see 1234 */ then x else 1"), "");
        assert_eq!(
            marked("DEAD009", "{\n  # broken\n  a = 1;\n  b =\n    # flaky\n    false && x; }"),
            ""
        );
    }

    #[test]
    fn comments_in_the_code_say_nothing() {
        assert_eq!(marked("DEAD009", "x: if true then x else (/* y */ 1)"), "(/* y */ 1)");
        assert_eq!(marked("DEAD009", "{\n  a = false && x; # flaky\n}"), "");
    }

    #[test]
    fn what_is_reached_stays() {
        assert_eq!(fixed_unsafely("DEAD009", "f: f (if true then f 1 else 2)"), "f: f (f 1)");
        assert_eq!(fixed_unsafely("DEAD009", "{ a = false && x; }"), "{ a = false; }");
        let implication = "x: false -> x";
        assert_eq!(fixed_unsafely("DEAD009", implication), implication);
    }
}
