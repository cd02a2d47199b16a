//! Taking things out, with the comments that belong to them.

use cim_nix_base::{TextEdit, TextRange};

use super::layout::{Container, with_trailing_comment, wrong_kind};
use super::{EditError, node_of, sorted};
use crate::ast::Inherit;
use crate::trivia::{begins_line, blank_after, blank_before, line_feeds};
use crate::{Node, NodeId, NodeKind, TokenKind, TokenRef, Tree};

/// Removes a binding or an `inherit` from its set or `let`, or one name from its `inherit` (the
/// whole `inherit` with its last name).
///
/// Comments directly above and behind it on the same line go with it.
pub fn remove_binding(tree: &Tree, node: NodeId) -> Result<Vec<TextEdit>, EditError> {
    let node = node_of(tree, node)?;
    let parent = node.parent();
    let edit = match (node.kind(), parent.map(Node::kind)) {
        (NodeKind::Binding | NodeKind::Inherit, _) => removed_node(node)?,
        (_, Some(NodeKind::Inherit)) if node.kind() != NodeKind::InheritFrom => removed_name(node)?,
        _ => return Err(wrong_kind(node, "a binding")),
    };
    Ok(sorted(vec![edit]))
}

/// The removal of a binding, list element or other node that stands on its own.
pub(super) fn removed_node(node: Node<'_>) -> Result<TextEdit, EditError> {
    if let Some(parent) = node.parent()
        && matches!(node.kind(), NodeKind::Binding | NodeKind::Inherit)
    {
        Container::of_entries(parent)?;
    }
    match node.first_token().zip(node.last_token()) {
        Some((first, last)) => Ok(removed_tokens(first, last)),
        None => Err(EditError::Broken(node.range())),
    }
}

/// The removal of a name from its `inherit`, or of the `inherit` where it is the only one.
pub(super) fn removed_name(name: Node<'_>) -> Result<TextEdit, EditError> {
    let inherit = name.parent().and_then(Inherit::cast);
    match inherit {
        Some(inherit) if inherit.names().count() == 1 => removed_node(inherit.node()),
        _ => removed_node(name),
    }
}

/// The removal of the tokens `first` to `last` and of the comments that belong to them. Of the
/// blanks around them one side is kept, so that the neighbours stay apart as they were.
pub(super) fn removed_tokens(first: TokenRef<'_>, last: TokenRef<'_>) -> TextEdit {
    let first = with_comments_above(first);
    let last = with_trailing_comment(last);
    let before = blank_before(first);
    let after = blank_after(last);
    let start = before.map_or(first.range().start, |blank| blank.range().start);
    let end = after.map_or(last.range().end, |blank| blank.range().end);
    let left = before.unwrap_or(first).previous();
    let right = after.unwrap_or(last).next();

    let keeps_before = keeps_blank_before(left, before, after, right);
    let kept = if keeps_before { before } else { after };
    if kept.is_none() && would_join(left, right) {
        return TextEdit::replace(TextRange::new(start, end), " ");
    }
    if keeps_before {
        TextEdit::remove(TextRange::new(first.range().start, end))
    } else {
        TextEdit::remove(TextRange::new(start, last.range().end))
    }
}

/// Whether the blanks in front of what is removed stay rather than those behind it.
fn keeps_blank_before(
    left: Option<TokenRef<'_>>,
    before: Option<TokenRef<'_>>,
    after: Option<TokenRef<'_>>,
    right: Option<TokenRef<'_>>,
) -> bool {
    let opens = left.is_none_or(|token| {
        matches!(
            token.kind(),
            TokenKind::LBrace | TokenKind::LBracket | TokenKind::Let | TokenKind::Inherit
        )
    });
    let closes = right.is_none_or(|token| {
        matches!(
            token.kind(),
            TokenKind::RBrace | TokenKind::RBracket | TokenKind::In | TokenKind::Eof
        )
    });
    let n_before = before.map_or(0, line_feeds);
    let n_after = after.map_or(0, line_feeds);
    if n_after == 0 {
        // The line goes on behind it, so what is left of the line keeps its start. A closing
        // bracket alone can move up, unless a comment would swallow it.
        let in_comment = left.is_some_and(|token| token.kind() == TokenKind::LineComment);
        n_before > 0 && (!closes || in_comment)
    } else if closes {
        false
    } else if opens {
        n_after > n_before
    } else {
        n_before > n_after
    }
}

/// Whether two tokens without blanks between them could be read as one.
fn would_join(left: Option<TokenRef<'_>>, right: Option<TokenRef<'_>>) -> bool {
    let stands_alone = |token: TokenRef<'_>| {
        matches!(
            token.kind(),
            TokenKind::LBrace
                | TokenKind::RBrace
                | TokenKind::LBracket
                | TokenKind::RBracket
                | TokenKind::LParen
                | TokenKind::RParen
                | TokenKind::Comma
                | TokenKind::Semicolon
                | TokenKind::Eof
        )
    };
    !left.is_none_or(stands_alone) && !right.is_none_or(stands_alone)
}

/// The first of the comments directly above `token`, or in front of it on its line.
pub(super) fn with_comments_above(token: TokenRef<'_>) -> TokenRef<'_> {
    let mut first = token;
    loop {
        let blank = blank_before(first);
        let distance = blank.map_or(0, line_feeds);
        let comment = blank.unwrap_or(first).previous().filter(|before| before.kind().is_comment());
        match comment {
            Some(comment) if distance == 0 || (distance == 1 && begins_line(comment)) => {
                first = comment;
            }
            _ => return first,
        }
    }
}
