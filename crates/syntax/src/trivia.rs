//! Questions about blanks and comments that several modules ask.

use crate::{TokenKind, TokenRef};

/// Number of line feeds in a token.
pub(crate) fn line_feeds(token: TokenRef<'_>) -> usize {
    memchr::memchr_iter(b'\n', token.text().as_bytes()).count()
}

/// Whether nothing but blanks stands in front of the token on its line.
pub(crate) fn begins_line(token: TokenRef<'_>) -> bool {
    match token.previous() {
        None => true,
        Some(before) if before.kind() != TokenKind::Whitespace => false,
        Some(blank) => line_feeds(blank) > 0 || blank.previous().is_none(),
    }
}

/// The blanks behind a token, if there are any.
pub(crate) fn blank_after(token: TokenRef<'_>) -> Option<TokenRef<'_>> {
    token.next().filter(|next| next.kind() == TokenKind::Whitespace)
}

/// The blanks in front of a token, if there are any.
pub(crate) fn blank_before(token: TokenRef<'_>) -> Option<TokenRef<'_>> {
    token.previous().filter(|before| before.kind() == TokenKind::Whitespace)
}
