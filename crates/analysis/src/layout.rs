//! Which blanks and comments go together with what is removed.

use cim_nix_base::{TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef, Tree};

use crate::rewrite::Rewrite;

/// The range to delete so that `node`, an entry of a set, `let`, list or `inherit`, leaves no hole.
///
/// Comments directly above the node (no empty line between) and behind it on its line are about it
/// and go with it, and so does one of two empty lines that would meet.
pub(crate) fn removal(node: Node<'_>) -> TextRange {
    match (node.first_token(), node.last_token()) {
        (Some(first), Some(last)) => {
            let mut peers = node.parent().into_iter().flat_map(Node::children);
            let is_first = peers.find(|peer| is_peer(node, *peer)) == Some(node);
            let is_last = node.next_sibling().is_none_or(|next| !is_peer(node, next));
            cut(&Piece { text: node.tree().text(), first, last, is_first, is_last })
        }
        _ => node.range(),
    }
}

/// The ranges to delete so that a parameter of a pattern goes away with its comma.
pub(crate) fn formal_removal(formal: Node<'_>) -> Vec<TextRange> {
    let (Some(first), Some(last)) = (formal.first_token(), formal.last_token()) else {
        return vec![formal.range()];
    };
    let text = formal.tree().text();
    let is_comma = |token: &TokenRef<'_>| token.kind() == TokenKind::Comma;
    let before = first.previous_significant().filter(is_comma);
    let after = last.next_significant().filter(is_comma);
    let follower = after.unwrap_or(last).next_significant();
    let is_last = follower.is_none_or(|token| token.kind() == TokenKind::RBrace);
    let piece = |first, last, is_first| Piece { text, first, last, is_first, is_last };
    let is_leading =
        |comma: &TokenRef<'_>| starts_line(*comma) && !between(text, *comma, first).contains('\n');
    match (before, after) {
        (Some(before), Some(after))
            if is_leading(&before) && between(text, last, after).contains('\n') =>
        {
            vec![cut(&piece(before, last, false))]
        }
        (_, Some(after)) if !between(text, last, after).contains('\n') => {
            vec![cut(&piece(first, after, before.is_none()))]
        }
        (Some(before), _) if has_comment(before, first) => {
            vec![before.range(), cut(&piece(first, last, false))]
        }
        (Some(before), _) => vec![cut(&piece(before, last, false))],
        (None, Some(after)) => first_of_leading_commas(text, first, last, after),
        (None, None) => vec![cut(&piece(first, last, true))],
    }
}

/// The first parameter where the comma behind it begins the next line: what follows the comma takes
/// its place.
fn first_of_leading_commas(
    text: &str,
    first: TokenRef<'_>,
    last: TokenRef<'_>,
    comma: TokenRef<'_>,
) -> Vec<TextRange> {
    let behind = next_solid(trailing_comment(text, last).unwrap_or(last));
    let (Some(behind), Some(next)) = (behind, next_solid(comma)) else {
        return vec![first.range()];
    };
    let start = first.range().start;
    if behind == comma {
        return vec![TextRange::new(start, next.range().start)];
    }
    // Comments about the next parameter stay.
    vec![
        TextRange::new(start, behind.range().start),
        TextRange::new(comma.range().start, next.range().start),
    ]
}

/// Deletions as edits, those that meet made one.
pub(crate) fn deletions(tree: &Tree, mut ranges: Vec<TextRange>) -> Vec<TextEdit> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<TextRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => *last = last.cover(range),
            _ => merged.push(range),
        }
    }
    merged.into_iter().map(|range| TextEdit::remove(behind_comment(tree, range))).collect()
}

/// The range to delete, without the line break in front if a comment there would swallow what
/// follows: only one of several that met knew what stands before them.
fn behind_comment(tree: &Tree, range: TextRange) -> TextRange {
    let text = tree.text();
    let Some(before) = tree.tokens_around(range.start).0 else { return range };
    let is_open = before.kind() == TokenKind::LineComment && before.range().end == range.start;
    if !is_open || text[range.end as usize..].starts_with(['\r', '\n']) {
        return range;
    }
    let gap = &text[range.as_usize()];
    let blanks = gap.len() - gap.trim_start().len();
    TextRange::new(range.start + blanks as u32, range.end)
}

/// Edits that put `inner`, a descendant of `node`, in the place of `node`. Parentheses around
/// `node` that `inner` does not need go, too.
///
/// `kept` starts in front of `inner` where comments before it are to stay.
pub(crate) fn unwrapped(node: Node<'_>, inner: Node<'_>, kept: u32) -> (Vec<TextEdit>, Rewrite) {
    let text = node.tree().text();
    let outer = without_needless_parens(node, inner, kept);
    let (range, end) = (outer.range(), inner.range().end);
    let front = front_of(outer, kept);
    let mut edits = Vec::new();
    let is_glued = !text[front.end as usize..].starts_with(char::is_whitespace)
        && touches_word(&text[..front.start as usize]);
    edits.push(TextEdit::replace(front, if is_glued { " " } else { "" }));
    if end < range.end {
        let follows = text[range.end as usize..].chars().next();
        let ends = |c: char| c.is_whitespace() || ")]};,.:".contains(c);
        let blank = if follows.is_none_or(ends) { "" } else { " " };
        edits.push(TextEdit::replace(TextRange::new(end, range.end), blank));
    }
    edits.retain(|edit| !edit.range.is_empty());
    (edits, Rewrite::Replace { node: outer.id(), with: inner.id() })
}

/// Whether what stands in front could merge with a following word into one token.
fn touches_word(before: &str) -> bool {
    let ends_token = |c: char| c.is_whitespace() || "([{;=,!".contains(c);
    !before.chars().next_back().is_none_or(ends_token)
}

/// What to delete between the start of `outer` and what is kept of it.
fn front_of(outer: Node<'_>, kept: u32) -> TextRange {
    let text = outer.tree().text();
    let start = outer.range().start;
    if kept == start {
        return TextRange::empty(start);
    }
    let before = &text[..kept as usize];
    let gap = &before[before.trim_end().len()..];
    let is_first = outer.first_token().is_some_and(starts_line);
    let stands_alone = gap.contains('\n');
    match (is_first, stands_alone) {
        (true, true) => {
            let kept_line = kept as usize - (gap.len() - gap.rfind('\n').map_or(0, |at| at + 1));
            TextRange::new(line_start(text, start) as u32, kept_line as u32)
        }
        (false, true) => {
            let indent = |line: &str| line.bytes().take_while(|b| b" \t".contains(b)).count();
            let kept_indent = indent(&gap[gap.rfind('\n').map_or(0, |at| at + 1)..]);
            if newlines(gap) > 1 || kept_indent > indent(&text[line_start(text, start)..]) {
                let start = text[..start as usize].trim_end().len();
                return TextRange::new(start as u32, kept - gap.len() as u32);
            }
            TextRange::new(start, kept)
        }
        _ => TextRange::new(start, kept),
    }
}

/// `node`, or the parentheses around it if `inner` can do without them where they stand.
fn without_needless_parens<'t>(node: Node<'t>, inner: Node<'t>, kept: u32) -> Node<'t> {
    let mut outer = node;
    while let Some(paren) = outer.parent().filter(|parent| parent.kind() == NodeKind::Paren) {
        let Some(around) = paren.parent() else { break };
        let is_kept = kept == inner.range().start && !has_own_comment(paren, node);
        if !is_kept || !fits(inner, paren, around) {
            break;
        }
        outer = paren;
    }
    outer
}

/// Whether `inner` needs no parentheses at the place of `paren` below `around`.
pub(crate) fn fits(inner: Node<'_>, paren: Node<'_>, around: Node<'_>) -> bool {
    use NodeKind as K;
    let after = paren.last_token().and_then(|token| token.next_significant());
    if after.is_some_and(|token| token.kind() == TokenKind::Or) {
        return false;
    }
    let is_operand =
        matches!(around.kind(), K::Apply | K::List | K::Binary | K::HasAttr | K::Unary);
    match inner.kind() {
        K::Ident | K::Str | K::IndStr | K::List | K::AttrSet | K::Paren => {
            is_operand || around.kind() == K::Select
        }
        K::Select => is_operand && inner.own_token(TokenKind::Or).is_none(),
        K::Apply => matches!(around.kind(), K::Binary | K::Unary),
        _ => false,
    }
}

/// Whether there is a comment in `paren` in front of or behind `inner`.
pub(crate) fn has_own_comment(paren: Node<'_>, inner: Node<'_>) -> bool {
    let from = |token| std::iter::successors(token, |token: &TokenRef<'_>| token.next());
    let before = from(paren.first_token()).take_while(|t| t.range().end <= inner.range().start);
    let after = from(Some(inner.token_after())).take_while(|t| t.range().end <= paren.range().end);
    before.chain(after).any(|token| token.kind().is_comment())
}

/// Tokens to cut out of a row of entries.
struct Piece<'t> {
    text: &'t str,
    first: TokenRef<'t>,
    last: TokenRef<'t>,
    /// Whether no entry stands in front.
    is_first: bool,
    /// Whether no entry follows.
    is_last: bool,
}

fn cut(piece: &Piece<'_>) -> TextRange {
    let text = piece.text;
    let begins_line = starts_line(piece.first);
    let first = if begins_line { first_own_token(piece) } else { piece.first };
    let own_comment = trailing_comment(text, piece.last).filter(|_| begins_line || piece.is_first);
    let last = own_comment.unwrap_or(piece.last);
    let (start, end) = (first.range().start, last.range().end);
    let (before, after) = (previous_solid(first), next_solid(last));
    let before_end = before.map_or(0, |token| token.range().end);
    let after_start = after.map_or(text.len() as u32, |token| token.range().start);
    let gap_after = &text[end as usize..after_start as usize];
    let ends_line = after.is_none_or(|t| t.kind() == TokenKind::Eof) || gap_after.contains('\n');
    let follows_line_comment = before.is_some_and(|token| token.kind() == TokenKind::LineComment);
    let is_closed = after.is_some_and(|token| closes(token.kind()));
    let with_blanks_before = TextRange::new(before_end, end);
    let with_blanks_after = TextRange::new(start, after_start);
    match (begins_line, ends_line) {
        (true, true) => whole_lines(piece, first, last),
        (true, false) if is_closed && !follows_line_comment => with_blanks_before,
        (true, false) => with_blanks_after,
        // What follows takes the place beside the opening token.
        (false, true) if piece.is_first && !piece.is_last && newlines(gap_after) == 1 => {
            with_blanks_after
        }
        (false, false) if before_end == start && !is_closed => with_blanks_after,
        (false, _) => with_blanks_before,
    }
}

/// Where the piece begins with the comments above it, as far as they are about it alone.
///
/// A comment above a name that another name follows on the next line may be the heading of both. It
/// is the name's own above a parameter with a default, a binding of several lines, and a binding
/// that has no empty line above the comment either.
fn first_own_token<'t>(piece: &Piece<'t>) -> TokenRef<'t> {
    let text = piece.text;
    let first = first_comment(text, piece.first);
    let last = trailing_comment(text, piece.last).unwrap_or(piece.last);
    let Some(next) = next_solid(last).filter(|_| !piece.is_last) else { return first };
    let name = if next.kind() == TokenKind::Comma { next_solid(next) } else { Some(next) };
    let is_alone = newlines(between(text, last, next)) > 1
        || name.is_none_or(|t| t.kind().is_comment() || t.kind() == TokenKind::Ellipsis);
    let entry = &text[piece.first.range().start as usize..last.range().end as usize];
    let is_own = if piece.last.kind() == TokenKind::Semicolon {
        let is_tight = previous_solid(first).is_some_and(|p| newlines(between(text, p, first)) < 2);
        entry.contains('\n') || is_tight && !piece.is_first
    } else {
        entry.contains('?')
    };
    if is_alone || is_own { first } else { piece.first }
}

/// The range of whole lines: from the end of the line before to the end of the piece's last line.
fn whole_lines(piece: &Piece<'_>, first: TokenRef<'_>, last: TokenRef<'_>) -> TextRange {
    let text = piece.text;
    let (before, after) = (previous_solid(first), next_solid(last));
    let is_solid = |token: Option<TokenRef<'_>>| token.is_some_and(|t| !t.kind().is_comment());
    let is_first = piece.is_first && is_solid(before);
    let is_last = piece.is_last && is_solid(after);
    let before_end = before.map_or(0, |token| token.range().end as usize);
    let (start, end) = (first.range().start as usize, last.range().end as usize);
    let after_start = after.map_or(text.len(), |token| token.range().start as usize);
    let (gap_before, gap_after) = (&text[before_end..start], &text[end..after_start]);
    let meets_empty_lines = newlines(gap_before) > 1 && newlines(gap_after) > 1;
    let start = if is_last { before_end } else { before_end + last_line_end(gap_before) };
    let end = match is_first || (meets_empty_lines && !is_last) {
        true => end + last_line_end(gap_after),
        false => end,
    };
    TextRange::new(start as u32, end as u32)
}

/// Where the last line break in a gap begins.
fn last_line_end(gap: &str) -> usize {
    let at = gap.rfind('\n').unwrap_or(0);
    if at > 0 && gap.as_bytes()[at - 1] == b'\r' { at - 1 } else { at }
}

fn newlines(gap: &str) -> usize {
    gap.bytes().filter(|&byte| byte == b'\n').count()
}

fn closes(kind: TokenKind) -> bool {
    use TokenKind::{Colon, In, RBrace, RBracket, RParen, Semicolon};
    matches!(kind, Colon | In | RBrace | RBracket | RParen | Semicolon)
}

/// Whether `other` stands in the same row of entries as `node`.
fn is_peer(node: Node<'_>, other: Node<'_>) -> bool {
    use NodeKind as K;
    match node.kind() {
        K::Binding | K::Inherit => matches!(other.kind(), K::Binding | K::Inherit),
        _ => matches!(other.kind(), K::Name | K::Str | K::Dynamic),
    }
}

/// The token or comment in front, blanks passed over.
fn previous_solid(token: TokenRef<'_>) -> Option<TokenRef<'_>> {
    let before = token.previous()?;
    if before.kind() == TokenKind::Whitespace { before.previous() } else { Some(before) }
}

/// The token or comment behind, blanks passed over.
fn next_solid(token: TokenRef<'_>) -> Option<TokenRef<'_>> {
    let after = token.next()?;
    if after.kind() == TokenKind::Whitespace { after.next() } else { Some(after) }
}

/// The text between two tokens.
fn between<'t>(text: &'t str, left: TokenRef<'_>, right: TokenRef<'_>) -> &'t str {
    &text[left.range().end as usize..right.range().start as usize]
}

fn has_comment(left: TokenRef<'_>, right: TokenRef<'_>) -> bool {
    let behind = std::iter::successors(left.next(), |token| token.next());
    behind.take_while(|token| *token != right).any(|token| token.kind().is_comment())
}

fn line_start(text: &str, at: u32) -> usize {
    text[..at as usize].rfind('\n').map_or(0, |at| at + 1)
}

/// Whether nothing but blanks stands in front of a token on its line.
pub(crate) fn starts_line(token: TokenRef<'_>) -> bool {
    token.previous().is_none_or(|before| {
        let is_blank = before.kind() == TokenKind::Whitespace;
        is_blank && (before.text().contains('\n') || before.previous().is_none())
    })
}

/// The comment right behind a node on its line.
pub(crate) fn remark_behind(node: Node<'_>) -> Option<TokenRef<'_>> {
    let after = node.token_after();
    let is_gap = after.kind() == TokenKind::Whitespace && !after.text().contains('\n');
    let next = if is_gap { after.next() } else { Some(after) };
    next.filter(|token| token.kind().is_comment())
}

/// The first of the comments directly above a token, or the token.
fn first_comment<'t>(text: &str, token: TokenRef<'t>) -> TokenRef<'t> {
    let mut first = token;
    while let Some(comment) = previous_solid(first).filter(|before| before.kind().is_comment()) {
        if newlines(between(text, comment, first)) > 1 || !starts_line(comment) {
            break;
        }
        first = comment;
    }
    first
}

/// The comment behind a token on its line, when nothing else follows there.
fn trailing_comment<'t>(text: &str, token: TokenRef<'t>) -> Option<TokenRef<'t>> {
    let comment = next_solid(token)?;
    let is_near = comment.kind().is_comment() && !between(text, token, comment).contains('\n');
    let after = next_solid(comment)?;
    let ends_line = after.kind() == TokenKind::Eof || between(text, comment, after).contains('\n');
    (is_near && ends_line).then_some(comment)
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
