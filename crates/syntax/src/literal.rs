//! The values that literals stand for, exactly as Nix 2.34 computes them.
//!
//! Escapes, line endings and the indentation of `''…''` strings are worked out here; resolving a
//! path against its file, and everything that needs evaluation, is left to others. Every function
//! takes any node, broken ones included, and answers `None` or nothing where the question makes no
//! sense. Source of the rules: Nix's lexer and its stripping of indentation.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memrchr};

use crate::{Node, NodeKind, TokenKind};

/// A piece of a string or path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StrPart<'t> {
    /// Text, with escapes resolved and indentation stripped. Never empty.
    Text(Cow<'t, str>),
    /// A [`NodeKind::Interpol`]; its child is the expression.
    Interpol(Node<'t>),
}

/// The parts of a `"…"` or `''…''` string in their order.
///
/// Shape: no two texts in a row, no empty text; no part at all for an empty string and for other
/// nodes. Cost: allocates for the list, and for texts only where they differ from the source.
#[must_use]
pub fn string_parts(node: Node<'_>) -> Vec<StrPart<'_>> {
    match node.kind() {
        NodeKind::Str => quoted_parts(node),
        NodeKind::IndStr => {
            let mut merged = Vec::new();
            indented_parts(node).into_iter().for_each(|part| push_merged(&mut merged, part));
            merged
        }
        _ => Vec::new(),
    }
}

/// The value of a `"…"` or `''…''` string without interpolation.
#[must_use]
pub fn static_string(node: Node<'_>) -> Option<Cow<'_, str>> {
    if !matches!(node.kind(), NodeKind::Str | NodeKind::IndStr) || !node.is_leaf() {
        return None;
    }
    let kind = match node.kind() {
        NodeKind::Str => TokenKind::StrContent,
        _ => TokenKind::IndContent,
    };
    let mut contents = node.own_tokens().filter(|token| token.kind() == kind);
    let Some(content) = contents.next() else { return Some(Cow::Borrowed("")) };
    if node.kind() == NodeKind::Str {
        return Some(unescape(content.text()));
    }
    // Most have neither escapes nor a second piece: no list of pieces is needed then.
    let text = without_blank_first_line(content.text());
    if contents.next().is_none() && next_special(text, 0).is_none() {
        let indent = common_indent(&[IndPiece::Plain(text)]);
        let mut strip = Strip { indent, at_line_start: true, dropped: 0 };
        return Some(without_blank_last_line(strip.text(text)));
    }
    match string_parts(node).pop() {
        Some(StrPart::Text(text)) => Some(text),
        Some(StrPart::Interpol(_)) => None,
        None => Some(Cow::Borrowed("")),
    }
}

/// The name that an element of an attribute path (or of an `inherit`) has without evaluation.
///
/// `a`, `"a"` and, since Nix sees through them while it parses, `${"a"}`, `${''a''}`, `${("a")}`
/// and even `${''${"a"}''}`. `None` for names that only evaluation can tell and for missing ones.
#[must_use]
pub fn attr_name(node: Node<'_>) -> Option<Cow<'_, str>> {
    match node.kind() {
        NodeKind::Name => Some(Cow::Borrowed(node.text())),
        NodeKind::Str => static_string(node),
        NodeKind::Dynamic => constant_string(node.child(0)?),
        _ => None,
    }
}

/// The string that Nix's parser makes of an expression, where it makes one.
fn constant_string(mut node: Node<'_>) -> Option<Cow<'_, str>> {
    loop {
        match node.kind() {
            NodeKind::Paren => node = node.child(0)?,
            NodeKind::Str => return static_string(node),
            NodeKind::Literal => return uri(node).map(Cow::Borrowed),
            NodeKind::IndStr => {
                // Several pieces are a concatenation to Nix even when each of them is plain text.
                let mut parts = indented_parts(node);
                let last = parts.pop();
                if !parts.is_empty() {
                    return None;
                }
                match last {
                    Some(StrPart::Text(text)) => return Some(text),
                    Some(StrPart::Interpol(inner)) => node = inner.child(0)?,
                    None => return Some(Cow::Borrowed("")),
                }
            }
            _ => return None,
        }
    }
}

/// The parts of a path as written: nothing is resolved. No part for other nodes.
#[must_use]
pub fn path_parts(node: Node<'_>) -> Vec<StrPart<'_>> {
    if node.kind() != NodeKind::Path {
        return Vec::new();
    }
    let mut parts = Vec::new();
    for_each_piece(node, |piece| match piece {
        Piece::Raw(text) => push_merged(&mut parts, StrPart::Text(Cow::Borrowed(text))),
        Piece::Interpol(inner) => parts.push(StrPart::Interpol(inner)),
    });
    parts
}

/// What stands between the angle brackets of a search path.
#[must_use]
pub fn search_path(node: Node<'_>) -> Option<&str> {
    if node.kind() != NodeKind::SearchPath {
        return None;
    }
    node.text().strip_prefix('<')?.strip_suffix('>')
}

/// The value of an integer literal; `None` for other nodes and for numbers over 64 bits.
#[must_use]
pub fn int_value(node: Node<'_>) -> Option<i64> {
    literal_text(node, TokenKind::Int)?.parse().ok()
}

/// The value of a float literal; `None` for other nodes and for numbers that are too large.
#[must_use]
pub fn float_value(node: Node<'_>) -> Option<f64> {
    let value: f64 = literal_text(node, TokenKind::Float)?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The text of an unquoted URI, which is a string to Nix.
#[must_use]
pub fn uri(node: Node<'_>) -> Option<&str> {
    literal_text(node, TokenKind::Uri)
}

/// The text of a string that is written without quotes, or with quotes and without interpolation:
/// a URI, the inside of a search path, a plain string.
#[must_use]
pub fn constant_text(node: Node<'_>) -> Option<Cow<'_, str>> {
    uri(node).or_else(|| search_path(node)).map(Cow::Borrowed).or_else(|| static_string(node))
}

fn literal_text(node: Node<'_>, kind: TokenKind) -> Option<&str> {
    let token = node.first_token()?;
    (node.kind() == NodeKind::Literal && token.kind() == kind).then(|| token.text())
}

/// A piece of a string or path as it stands in the source.
enum Piece<'t> {
    Raw(&'t str),
    Interpol(Node<'t>),
}

/// Calls `found` for each text token and interpolation of `node` in their order.
fn for_each_piece<'t>(node: Node<'t>, mut found: impl FnMut(Piece<'t>)) {
    let mut children = node.children().peekable();
    for token in node.own_tokens() {
        while let Some(child) = children.next_if(|child| child.range().start < token.range().start)
        {
            found(Piece::Interpol(child));
        }
        if matches!(
            token.kind(),
            TokenKind::StrContent
                | TokenKind::IndContent
                | TokenKind::Path
                | TokenKind::PathStart
                | TokenKind::PathPart
        ) {
            found(Piece::Raw(token.text()));
        }
    }
    children.for_each(|child| found(Piece::Interpol(child)));
}

fn push_merged<'t>(parts: &mut Vec<StrPart<'t>>, part: StrPart<'t>) {
    match (parts.last_mut(), part) {
        (Some(StrPart::Text(before)), StrPart::Text(text)) => before.to_mut().push_str(&text),
        (_, part) => parts.push(part),
    }
}

fn quoted_parts(node: Node<'_>) -> Vec<StrPart<'_>> {
    let mut parts = Vec::new();
    for_each_piece(node, |piece| match piece {
        Piece::Raw(text) => parts.push(StrPart::Text(unescape(text))),
        Piece::Interpol(inner) => parts.push(StrPart::Interpol(inner)),
    });
    parts
}

/// Resolves `\` escapes and turns CR and CRLF into LF.
fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr2(b'\\', b'\r', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut special = Some(first);
    while let Some(found) = special {
        out.push_str(&text[at..found]);
        let rest = &text[found + 1..];
        at = if text.as_bytes()[found] == b'\r' {
            out.push('\n');
            found + 1 + usize::from(rest.starts_with('\n'))
        } else {
            let escaped = rest.chars().next();
            out.extend(escaped.map(escape));
            found + 1 + escaped.map_or(0, char::len_utf8)
        };
        special = memchr2(b'\\', b'\r', &text.as_bytes()[at..]).map(|next| at + next);
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

/// What a character stands for behind a `\`.
fn escape(c: char) -> char {
    match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

/// A piece of an indented string as Nix's lexer cuts it.
enum IndPiece<'t> {
    /// Plain text, whose leading spaces count as indentation.
    Plain(&'t str),
    /// What an escape stands for, or a `$` or `'` that Nix lexes on its own.
    Special(Cow<'t, str>),
    Interpol(Node<'t>),
}

/// The parts of an indented string, cut where Nix's lexer cuts and without empty texts.
fn indented_parts(node: Node<'_>) -> Vec<StrPart<'_>> {
    let pieces = indented_pieces(node);
    let mut strip = Strip { indent: common_indent(&pieces), at_line_start: true, dropped: 0 };
    let mut parts = Vec::new();
    let n_pieces = pieces.len();
    for (at, piece) in pieces.into_iter().enumerate() {
        let text = match piece {
            IndPiece::Interpol(inner) => {
                strip.at_line_start = false;
                strip.dropped = 0;
                parts.push(StrPart::Interpol(inner));
                continue;
            }
            IndPiece::Plain(text) => strip.text(text),
            // One character (or `''`): it stays whole or goes whole.
            IndPiece::Special(text) if strip.text(&text).is_empty() => continue,
            IndPiece::Special(text) => text,
        };
        let text = if at + 1 == n_pieces { without_blank_last_line(text) } else { text };
        if !text.is_empty() {
            parts.push(StrPart::Text(text));
        }
    }
    parts
}

fn indented_pieces(node: Node<'_>) -> Vec<IndPiece<'_>> {
    let mut pieces = Vec::new();
    let mut is_first = true;
    for_each_piece(node, |piece| {
        match piece {
            Piece::Raw(text) => {
                let text = if is_first { without_blank_first_line(text) } else { text };
                cut_indented(text, &mut pieces);
            }
            Piece::Interpol(inner) => pieces.push(IndPiece::Interpol(inner)),
        }
        is_first = false;
    });
    pieces
}

/// Blanks up to a line feed directly behind the opening `''` belong to it. A CR is no blank.
fn without_blank_first_line(text: &str) -> &str {
    text.trim_start_matches(' ').strip_prefix('\n').unwrap_or(text)
}

/// Cuts raw text of an indented string into pieces.
fn cut_indented<'t>(text: &'t str, pieces: &mut Vec<IndPiece<'t>>) {
    let mut plain = 0;
    while let Some((start, special, end)) = next_special(text, plain) {
        if plain < start {
            pieces.push(IndPiece::Plain(&text[plain..start]));
        }
        pieces.push(IndPiece::Special(special));
        plain = end;
    }
    if plain < text.len() {
        pieces.push(IndPiece::Plain(&text[plain..]));
    }
}

/// The first piece from `at` on that is not plain: where it starts, what it stands for, its end.
fn next_special(text: &str, mut at: usize) -> Option<(usize, Cow<'_, str>, usize)> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied();
    while let Some(found) = memchr2(b'\'', b'$', bytes.get(at..)?) {
        at += found;
        let (special, end) = match (bytes[at], byte(at + 1), byte(at + 2)) {
            (b'\'', Some(b'\''), Some(b'$')) => (Cow::Borrowed("$"), at + 3),
            (b'\'', Some(b'\''), Some(b'\'')) => (Cow::Borrowed("''"), at + 3),
            (b'\'', Some(b'\''), Some(b'\\')) => {
                let escaped = text[at + 3..].chars().next();
                let end = at + 3 + escaped.map_or(0, char::len_utf8);
                (Cow::Owned(escaped.map(escape).into_iter().collect()), end)
            }
            (b'\'', None | Some(b'$' | b'\''), _) | (b'$', None | Some(b'\''), _) => {
                (Cow::Borrowed(&text[at..=at]), at + 1)
            }
            // The byte behind belongs to the plain text whatever it is, as in `$${`.
            _ => {
                at += 2;
                continue;
            }
        };
        return Some((at, special, end));
    }
    None
}

/// The number of spaces that all lines with content begin with. Tabs are content, and so is a CR.
fn common_indent(pieces: &[IndPiece<'_>]) -> usize {
    // Nix's own start value: nothing in a string without content is indented more than that.
    let mut common = 1_000_000;
    let mut indent = 0;
    let mut at_line_start = true;
    for piece in pieces {
        let IndPiece::Plain(text) = piece else {
            if at_line_start {
                at_line_start = false;
                common = common.min(indent);
            }
            continue;
        };
        let mut rest = text.as_bytes();
        loop {
            if !at_line_start {
                let Some(line_end) = memchr(b'\n', rest) else { break };
                rest = &rest[line_end + 1..];
                at_line_start = true;
                indent = 0;
            }
            let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
            indent += spaces;
            match rest.get(spaces) {
                None => break,
                Some(b'\n') => indent = 0,
                Some(_) => {
                    at_line_start = false;
                    common = common.min(indent);
                }
            }
            rest = &rest[spaces + 1..];
        }
    }
    common
}

/// Drops the indentation of line after line; the state lives on from piece to piece.
struct Strip {
    indent: usize,
    at_line_start: bool,
    /// Spaces seen at the start of the current line.
    dropped: usize,
}

impl Strip {
    fn text<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let mut kept = Kept { text, range: 0..0, owned: None };
        let mut at = 0;
        while at < bytes.len() {
            if self.at_line_start {
                let spaces = bytes[at..].iter().take_while(|&&byte| byte == b' ').count();
                let drop = self.indent.saturating_sub(self.dropped).min(spaces);
                kept.push(at + drop, at + spaces);
                self.dropped += spaces;
                at += spaces;
                let Some(&next) = bytes.get(at) else { break };
                self.dropped = 0;
                self.at_line_start = next == b'\n';
                if self.at_line_start {
                    kept.push(at, at + 1);
                    at += 1;
                    continue;
                }
            }
            let line_end = memchr(b'\n', &bytes[at..]);
            self.at_line_start = line_end.is_some();
            let end = line_end.map_or(bytes.len(), |line_end| at + line_end + 1);
            kept.push(at, end);
            at = end;
        }
        kept.finish()
    }
}

/// Collects slices of a text, and copies only once they do not touch.
struct Kept<'t> {
    text: &'t str,
    range: std::ops::Range<usize>,
    owned: Option<String>,
}

impl<'t> Kept<'t> {
    fn push(&mut self, start: usize, end: usize) {
        if start == end {
            return;
        }
        if let Some(owned) = &mut self.owned {
            owned.push_str(&self.text[start..end]);
        } else if self.range.is_empty() {
            self.range = start..end;
        } else if self.range.end == start {
            self.range.end = end;
        } else {
            let mut owned = String::with_capacity(self.text.len());
            owned.push_str(&self.text[self.range.clone()]);
            owned.push_str(&self.text[start..end]);
            self.owned = Some(owned);
        }
    }

    fn finish(self) -> Cow<'t, str> {
        match self.owned {
            Some(owned) => Cow::Owned(owned),
            None => Cow::Borrowed(&self.text[self.range]),
        }
    }
}

/// Drops a last line of nothing but spaces, but keeps the line feed before it.
fn without_blank_last_line(text: Cow<'_, str>) -> Cow<'_, str> {
    let Some(line_feed) = memrchr(b'\n', text.as_bytes()) else { return text };
    if !text[line_feed + 1..].bytes().all(|byte| byte == b' ') {
        return text;
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..=line_feed]),
        Cow::Owned(mut text) => {
            text.truncate(line_feed + 1);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests;
