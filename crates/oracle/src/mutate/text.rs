//! Mutations of the text below the grammar: bytes, white space, strings, paths.

use fastrand::Rng;
use rnix::SyntaxKind;

use super::pieces;
use super::source::{Edit, Source, insert, range_of, remove, word};

/// Changes or removes white space, or adds some between any two tokens.
pub(super) fn whitespace(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let new = word(rng, pieces::TRIVIA);
    if rng.u8(0..4) == 0 {
        return Some(vec![insert(source.token(rng, |_| true)?.range.end, new)]);
    }
    let space = source.token(rng, |token| token.kind == SyntaxKind::TOKEN_WHITESPACE)?;
    Some(vec![(space.range.clone(), new.into())])
}

/// Ends all lines, or those from some place on, in another way, and names nothing near the end.
pub(super) fn line_ends(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let new = word(rng, &["\r\n", "\r", "\n\r", "\r\r\n"]);
    let from = if rng.bool() { 0 } else { source.boundary(rng.usize(..=source.text.len())) };
    let ends = source.text[from..].match_indices('\n');
    let mut edits: Vec<Edit> =
        ends.map(|(at, end)| (from + at..from + at + end.len(), new.into())).collect();
    if let Some(used) = source.node(rng, super::source::is_use)
        && rng.bool()
    {
        edits.push((range_of(used), b"nope".to_vec()));
    }
    Some(edits)
}

/// Puts bytes into the program that text should not have.
pub(super) fn bytes(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    const BYTES: &[&[u8]] = &[
        b"\0",
        b"\0",
        b"\0",
        b"\\\0",
        b"''\\\0",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc0\x80",
        b"\x80",
        b"\xed\xa0\x80",
        b"\x1b",
        b"\x7f",
        b"\xc3",
        b"\xf0\x9f\x99\x82",
        b"\xe2\x80\xa8",
    ];
    let new = BYTES[rng.usize(..BYTES.len())].to_vec();
    let at = match rng.u8(0..8) {
        0 => 0,
        1 => source.text.len(),
        2 | 3 => source.token(rng, |token| is_text(token.kind))?.range.end,
        _ => rng.usize(..=source.text.len()),
    };
    let mut edits = vec![insert(at, new)];
    if let Some(used) = source.node(rng, super::source::is_use)
        && rng.u8(0..4) == 0
    {
        edits.push((range_of(used), b"nope".to_vec()));
    }
    Some(edits)
}

fn is_text(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::TOKEN_COMMENT | SyntaxKind::TOKEN_STRING_CONTENT)
}

/// Cuts the program off at any byte, often where a string stands.
pub(super) fn truncate(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let at = match rng.u8(0..3) {
        0 => source.token(rng, |token| is_text(token.kind))?.range.end,
        1 => source.token(rng, |_| true)?.range.end,
        _ => rng.usize(..=source.text.len()),
    };
    Some(vec![remove(at..source.text.len())])
}

/// Removes a few characters.
pub(super) fn delete(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let start = source.boundary(rng.usize(..=source.text.len()));
    let end = source.boundary((start + rng.usize(1..20)).min(source.text.len()));
    Some(vec![remove(start..end)])
}

/// Breaks a string: its ends, its interpolations, its escapes.
pub(super) fn string(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    use SyntaxKind as K;
    const PIECES: &[&str] = &[
        "\"", "''", "${", "}", "\\", "$", "'", "''$", "''\\", "'''", "\\${", "$${", "''${", "\r",
        "\r\n", "\n", "\t", "\\n", "\\\"", "\\\\", "${x}", "$", "$$", "''\\n", "\u{b}", "é",
    ];
    let is_end = |kind| {
        matches!(
            kind,
            K::TOKEN_STRING_START
                | K::TOKEN_STRING_END
                | K::TOKEN_INTERPOL_START
                | K::TOKEN_INTERPOL_END
        )
    };
    if rng.u8(0..3) == 0 {
        let end = source.token(rng, |token| is_end(token.kind))?.range.clone();
        let new = word(rng, &["", "", "\"", "''", "${", "}", "'", "$"]);
        return Some(vec![(end, new.into())]);
    }
    let content =
        source.token(rng, |token| is_end(token.kind) || token.kind == K::TOKEN_STRING_CONTENT)?;
    let range = &content.range;
    let at = source.boundary(rng.usize(range.start..=range.end));
    let until = source.boundary((at + rng.usize(..2)).min(range.end)).max(at);
    Some(vec![(at..until, word(rng, PIECES).into())])
}

/// Strikes a path, or makes one of what stands there.
pub(super) fn path(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    use SyntaxKind as K;
    const PIECES: &[&str] = &[
        "/", "//", "${x}", "/${x}", "${x}/", "${", ".", "..", "~", "'", ":", "+", "-", "<", ">",
        " ", "?", "\"", "/./", "/a", "\u{e9}", "$", "@", "#", "/*",
    ];
    const PATHS: &[&str] = &[
        "./.",
        "./a",
        "./a/",
        "../..",
        "a/b",
        "a/b/",
        "/",
        "/a",
        "~/a",
        "~/",
        "~",
        "<a>",
        "<a/>",
        "<a/b>",
        "./${x}",
        "./a${x}b",
        "./${x}/",
        "./a//b",
        "a//b",
        "./a/${x}//b",
        "~/${x}",
        "/${x}",
        "<${x}>",
        "./.${x}",
        "..",
        ".",
    ];
    let kinds = [K::NODE_PATH_ABS, K::NODE_PATH_HOME, K::NODE_PATH_REL, K::NODE_PATH_SEARCH];
    let struck = match source.node_of(rng, &kinds) {
        Some(path) if rng.u8(0..3) > 0 => path,
        _ => {
            let expr = source.expr(rng)?;
            return Some(vec![(range_of(expr), word(rng, PATHS).into())]);
        }
    };
    let range = range_of(struck);
    let at = source.boundary(rng.usize(range.start..=range.end));
    Some(vec![insert(at, word(rng, PIECES))])
}
