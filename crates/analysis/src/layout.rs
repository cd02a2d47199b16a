//! Which blanks and comments go together with a node that is removed.

use cim_nix_base::TextRange;
use cim_nix_syntax::{Node, TokenKind, TokenRef, Tree};

/// The range to delete so that `node`, an entry of a set, list or pattern, leaves no hole: with the
/// comments that belong to it and the blanks in front of it.
///
/// Comments directly above the node (no empty line between) and behind it on its line are about it
/// and go with it.
pub(crate) fn removal(node: Node<'_>) -> TextRange {
    let range = node.range();
    let text = node.tree().text();
    let start = start_with_comments(node);
    let end = trailing_comment_end(node).unwrap_or(range.end);
    let before = &text[..start as usize];
    let blanks = before.len() - before.trim_end_matches([' ', '\t', '\r', '\n']).len();
    let gap = &before[before.len() - blanks..];
    let start = match gap.find('\n') {
        // Keep what ends the line before; an empty line in front of the node stays as it was.
        Some(_) => start - (gap.len() - gap.rfind('\n').unwrap_or(0)) as u32,
        None => start - gap.len() as u32,
    };
    let start = if text.as_bytes().get(start as usize - 1) == Some(&b'\r') && start > 0 {
        start - 1
    } else {
        start
    };
    TextRange::new(start, end)
}

/// The start of the node or of the comments directly above it.
fn start_with_comments(node: Node<'_>) -> u32 {
    let text = node.tree().text();
    let mut start = node.range().start;
    let mut token = node.token_before();
    while let Some(gap) = token {
        let (comment, gap_text) = match gap.kind() {
            TokenKind::Whitespace => (gap.previous(), gap.text()),
            _ => (Some(gap), ""),
        };
        let Some(comment) = comment.filter(|comment| comment.kind().is_comment()) else { break };
        let is_near = gap_text.matches('\n').count() <= 1 && gap_text.contains('\n')
            || comment.kind() == TokenKind::BlockComment && !gap_text.contains("\n\n");
        if !is_near || !stands_alone(comment, text) {
            break;
        }
        start = comment.range().start;
        token = comment.previous();
    }
    start
}

/// Whether nothing but blanks stands in front of a comment on its line.
fn stands_alone(comment: TokenRef<'_>, text: &str) -> bool {
    let before = &text[..comment.range().start as usize];
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    line.trim().is_empty()
}

/// The end of a comment behind the node on its last line, when nothing else follows on that line.
fn trailing_comment_end(node: Node<'_>) -> Option<u32> {
    let mut token = node.token_after();
    if token.kind() == TokenKind::Whitespace {
        if token.text().contains('\n') {
            return None;
        }
        token = token.next()?;
    }
    (token.kind() == TokenKind::LineComment).then(|| token.range().end)
}

/// The range to delete for a comment: its whole line where it stands alone, else with the blanks in
/// front of it.
pub(crate) fn comment_removal(tree: &Tree, range: TextRange) -> TextRange {
    let text = tree.text();
    let before = &text[..range.start as usize];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let after = &text[range.end as usize..];
    if !before[line_start..].trim().is_empty() {
        let kept = before.trim_end_matches([' ', '\t']).len();
        return TextRange::new(kept as u32, range.end);
    }
    let rest = after.find('\n').map_or(after.len(), |at| at + 1);
    if after[..rest].trim().is_empty() {
        return TextRange::new(line_start as u32, range.end + rest as u32);
    }
    range
}
