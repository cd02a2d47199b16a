//! What a formatter changed, as edits that touch as little as possible.
//!
//! A formatter keeps nearly all tokens; so the tokens of both texts are matched, and an edit is what
//! differs between two of them, cut to the bytes that differ. Edits that only make sense together
//! (all lines of an indented string, both parentheses) are one [`Edit::group`].

use std::ops::RangeInclusive;

use cim_nix_base::{LineIndex, TextEdit, TextRange};
use cim_nix_syntax::{TokenKind, Tree};
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// An edit, and which others it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edit {
    pub(crate) edit: TextEdit,
    group: u32,
}

/// Edits of tokens that came, went or became others: parentheses, for the most part.
const TOKENS: u32 = 0;

/// A token that is no trivia.
#[derive(Clone, Copy)]
struct Piece {
    kind: TokenKind,
    range: TextRange,
}

/// What one token is matched by. The text inside of strings may be written in another way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key<'t>(TokenKind, &'t str);

/// The edits that make the one text of the other, sorted and free of overlap.
pub(crate) fn edits(before: &Tree, after: &Tree) -> Vec<Edit> {
    let (old, new) = (pieces(before), pieces(after));
    let (old_keys, new_keys) = (keys(before.text(), &old), keys(after.text(), &new));
    let mut out =
        Collector { before: before.text(), after: after.text(), edits: Vec::new(), group: TOKENS };
    let (mut old_end, mut new_end, mut last_group) = (0, 0, TOKENS);
    // The groups of the indented strings that are open.
    let mut strings: Vec<u32> = Vec::new();
    for op in matched(&old_keys, &new_keys) {
        match op {
            DiffOp::Equal { old_index, new_index, len } => {
                for at in 0..len {
                    let (from, to) = (old[old_index + at], new[new_index + at]);
                    last_group += 1;
                    out.group = match from.kind {
                        TokenKind::IndContent => strings.last().copied().unwrap_or(last_group),
                        TokenKind::IndEnd => strings.pop().unwrap_or(last_group),
                        _ => last_group,
                    };
                    if from.kind == TokenKind::IndStart {
                        last_group += 1;
                        strings.push(last_group);
                    }
                    out.gap(old_end..from.range.start, new_end..to.range.start);
                    out.gap(from.range.start..from.range.end, to.range.start..to.range.end);
                    (old_end, new_end) = (from.range.end, to.range.end);
                }
            }
            _ => {
                let to =
                    (end_of(&old[op.old_range()], old_end), end_of(&new[op.new_range()], new_end));
                out.group = TOKENS;
                out.gap(old_end..to.0, new_end..to.1);
                (old_end, new_end) = to;
            }
        }
    }
    out.edits
}

/// Where the last of `pieces` ends; `last` if there is none.
fn end_of(pieces: &[Piece], last: u32) -> u32 {
    pieces.last().map_or(last, |piece| piece.range.end)
}

/// Those of `edits` that touch one of `lines` (counted from 0 in the old text), with all that belong
/// to them.
pub(crate) fn within(text: &str, edits: &[Edit], lines: &[RangeInclusive<u32>]) -> Vec<TextEdit> {
    let index = LineIndex::new(text);
    let is_touched = |edit: &&Edit| {
        let range = edit.edit.range;
        let (first, last) = (index.line_of(range.start), index.line_of(range.end));
        lines.iter().any(|lines| *lines.start() <= last && first <= *lines.end())
    };
    let mut groups: Vec<u32> = edits.iter().filter(is_touched).map(|edit| edit.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let is_wanted = |edit: &&Edit| groups.binary_search(&edit.group).is_ok();
    edits.iter().filter(is_wanted).map(|edit| edit.edit.clone()).collect()
}

fn pieces(tree: &Tree) -> Vec<Piece> {
    let tokens = tree.tokens().filter(|token| !token.kind().is_trivia());
    tokens.map(|token| Piece { kind: token.kind(), range: token.range() }).collect()
}

fn keys<'t>(text: &'t str, pieces: &[Piece]) -> Vec<Key<'t>> {
    let key = |piece: &Piece| match piece.kind {
        TokenKind::IndContent | TokenKind::StrContent => Key(piece.kind, ""),
        _ => Key(piece.kind, &text[piece.range.as_usize()]),
    };
    pieces.iter().map(key).collect()
}

fn matched(old: &[Key<'_>], new: &[Key<'_>]) -> Vec<DiffOp> {
    if old == new {
        return vec![DiffOp::Equal { old_index: 0, new_index: 0, len: old.len() }];
    }
    capture_diff_slices(Algorithm::Myers, old, new)
}

struct Collector<'t> {
    before: &'t str,
    after: &'t str,
    edits: Vec<Edit>,
    group: u32,
}

impl Collector<'_> {
    /// Adds what differs between two pieces of text, line by line where that is possible.
    fn gap(&mut self, old: std::ops::Range<u32>, new: std::ops::Range<u32>) {
        let (start, end) = (old.start as usize, old.end as usize);
        let (before, after) =
            (&self.before[start..end], &self.after[new.start as usize..new.end as usize]);
        if before == after {
            return;
        }
        let lines = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count();
        if lines(before) != lines(after) {
            self.trimmed(start, before, after);
            return;
        }
        let mut at = start;
        for (old, new) in before.split_inclusive('\n').zip(after.split_inclusive('\n')) {
            self.trimmed(at, old, new);
            at += old.len();
        }
        // What stands behind the last line feed may be empty on one side only.
        let rest = |text: &str| text.rfind('\n').map_or(0, |at| at + 1);
        let (old_rest, new_rest) = (&before[rest(before)..], &after[rest(after)..]);
        if old_rest.is_empty() != new_rest.is_empty() {
            self.trimmed(start + rest(before), old_rest, new_rest);
        }
    }

    /// Adds an edit without the bytes that both begin and end with.
    fn trimmed(&mut self, at: usize, before: &str, after: &str) {
        let same = |(old, new): &(char, char)| old == new;
        let head: usize =
            before.chars().zip(after.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
        let (before, after) = (&before[head..], &after[head..]);
        let ends = before.chars().rev().zip(after.chars().rev());
        let tail: usize = ends.take_while(same).map(|(c, _)| c.len_utf8()).sum();
        let (before, after) = (&before[..before.len() - tail], &after[..after.len() - tail]);
        if before.is_empty() && after.is_empty() {
            return;
        }
        let start = (at + head) as u32;
        let range = TextRange::new(start, start + before.len() as u32);
        self.edits.push(Edit { edit: TextEdit::replace(range, after), group: self.group });
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_base::apply_edits;
    use cim_nix_syntax::parse;
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, want: Expect) {
        let edits = edits(&parse(before).tree, &parse(after).tree);
        let plain: Vec<TextEdit> = edits.iter().map(|edit| edit.edit.clone()).collect();
        assert_eq!(apply_edits(before, &plain).expect("edits fit"), after);
        let show = |TextEdit { range, text }: &TextEdit| {
            format!("{:?} {:?} -> {text:?}\n", range, &before[range.as_usize()])
        };
        want.assert_eq(&plain.iter().map(show).collect::<String>());
    }

    #[test]
    fn edits_touch_what_differs() {
        check(
            "{a=1;}",
            "{ a = 1; }\n",
            expect![[r#"
            1..1 "" -> " "
            2..2 "" -> " "
            3..3 "" -> " "
            5..5 "" -> " "
            6..6 "" -> "\n"
        "#]],
        );
        check(
            "[\n 1\n   2\n]\n",
            "[\n  1\n  2\n]\n",
            expect![[r#"
            3..3 "" -> " "
            7..8 " " -> ""
        "#]],
        );
        check(
            "{\n\n\n  a = 1;\n\n\n}\n",
            "{\n\n  a = 1;\n\n}\n",
            expect![[r#"
            3..4 "\n" -> ""
            14..15 "\n" -> ""
        "#]],
        );
        check(
            "# a\n1 /* b */",
            "# a\n1 # b\n",
            expect![[r##"
            6..13 "/* b */" -> "# b\n"
        "##]],
        );
        check(
            "x: (x)",
            "x: x",
            expect![[r#"
            2..4 " (" -> ""
            4..4 "" -> " "
            5..6 ")" -> ""
        "#]],
        );
        check(
            "{a, b}: a",
            "{\n  a,\n  b,\n}:\na",
            expect![[r#"
            1..1 "" -> "\n  "
            3..3 "" -> "\n "
            5..5 "" -> ","
            5..5 "" -> "\n"
            7..8 " " -> "\n"
        "#]],
        );
        check(
            "''\n  λ\n  b\n''",
            "''\n    λ\n    b\n''",
            expect![[r#"
            5..5 "" -> "  "
            10..10 "" -> "  "
        "#]],
        );
        check("1", "1", expect![[""]]);
    }

    #[track_caller]
    fn check_lines(before: &str, after: &str, lines: RangeInclusive<u32>, want: Expect) {
        let edits = edits(&parse(before).tree, &parse(after).tree);
        let wanted = within(before, &edits, &[lines]);
        want.assert_eq(&apply_edits(before, &wanted).expect("edits fit"));
    }

    #[test]
    fn only_some_lines_are_touched() {
        let before = "{\na=1;\nb=2;\nc=3;\n}\n";
        let after = "{\n  a = 1;\n  b = 2;\n  c = 3;\n}\n";
        check_lines(
            before,
            after,
            2..=2,
            expect![[r#"
            {
            a=1;
              b = 2;
            c=3;
            }
        "#]],
        );
        check_lines(
            before,
            after,
            9..=9,
            expect![[r#"
            {
            a=1;
            b=2;
            c=3;
            }
        "#]],
        );
    }

    #[test]
    fn a_string_is_moved_whole() {
        let before = "{\na=''\n${x}\n b\n'';\nc=1;\n}\n";
        let after = "{\n  a = ''\n    ${x}\n     b\n  '';\n  c = 1;\n}\n";
        check_lines(
            before,
            after,
            3..=3,
            expect![[r#"
            {
            a=''
                ${x}
                 b
              '';
            c=1;
            }
        "#]],
        );
    }
}
