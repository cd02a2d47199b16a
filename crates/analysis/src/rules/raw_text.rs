//! The text of string literals as it is spelled, line by line, so that findings and edits point at
//! the very word. Escapes are left alone: what the rules look for needs none.

use std::borrow::Cow;
use std::collections::HashSet;

use cim_nix_base::{Applicability, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::Finding;

/// A line of a string literal, or a piece of one between interpolations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RawLine<'a> {
    pub(super) text: &'a str,
    start: u32,
    /// Whether something interpolated goes on from it.
    is_cut: bool,
}

impl<'a> RawLine<'a> {
    /// Where `part`, a slice of the line, is spelled.
    pub(super) fn range_of(self, part: &str) -> TextRange {
        let start = self.start + (part.as_ptr() as usize - self.text.as_ptr() as usize) as u32;
        TextRange::new(start, start + part.len() as u32)
    }

    /// The words of `part`, a slice of the line, but for one that something interpolated ends.
    pub(super) fn words(self, part: &'a str) -> impl Iterator<Item = &'a str> {
        let end = self.text.as_ptr() as usize + self.text.len();
        let is_cut = self.is_cut;
        let is_whole = move |word: &&str| !is_cut || word.as_ptr() as usize + word.len() != end;
        part.split_whitespace().filter(is_whole)
    }
}

/// What the settings that `patterns` tell are set to, each once: several may name one literal.
pub(super) fn values<'c>(
    context: &'c Context<'_>,
    patterns: &'static [&'static str],
) -> impl Iterator<Item = Node<'c>> {
    let mut seen = HashSet::new();
    let values = context.settings().matching(patterns);
    let values = values.filter_map(|setting| context.value_behind(setting.value));
    values.filter(move |value| seen.insert(value.id()))
}

/// The lines of a string literal.
pub(super) fn lines(string: Node<'_>) -> impl Iterator<Item = RawLine<'_>> {
    let is_string = matches!(string.kind(), NodeKind::Str | NodeKind::IndStr);
    let tokens = is_string.then(|| string.own_tokens()).into_iter().flatten();
    let contents = tokens
        .filter(|token| matches!(token.kind(), TokenKind::StrContent | TokenKind::IndContent));
    contents.flat_map(|token| {
        let is_followed = token.next().is_some_and(|next| next.kind() == TokenKind::InterpolStart);
        let (text, start) = (token.text(), token.range().start);
        let is_quoted = token.kind() == TokenKind::StrContent;
        split_lines(text, is_quoted).map(move |line| {
            let at = line.as_ptr() as usize - text.as_ptr() as usize;
            let is_last = at + line.len() == text.len();
            RawLine { text: line, start: start + at as u32, is_cut: is_followed && is_last }
        })
    })
}

fn split_lines(text: &str, is_quoted: bool) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(move |line| {
        let separator = if is_quoted { "\\n" } else { "\n" };
        line.split(separator)
    })
}

/// Adds the fix that puts `text` in the place of `range`, which lies within `node`.
pub(super) fn with_fix(
    finding: Finding,
    title: impl Into<Cow<'static, str>>,
    node: Node<'_>,
    range: TextRange,
    text: &str,
) -> Finding {
    let edit = TextEdit::replace(range, text);
    let rewrite = Rewrite::Patch { node: node.id(), edit: edit.clone() };
    finding.fix(Applicability::Unsafe, title, vec![edit], vec![rewrite])
}

#[cfg(test)]
mod tests {
    use cim_nix_syntax::parse;

    use super::*;

    #[test]
    fn lines_know_their_places() {
        let text = "''\n  a = b ${c}d\n e ${f}''";
        let tree = parse(text).tree;
        let string = tree.root().child(0).unwrap();
        let words: Vec<String> = lines(string)
            .flat_map(|line| {
                line.words(line.text)
                    .map(|word| format!("{word}@{:?}", line.range_of(word)))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(words, ["a@5..6", "=@7..8", "b@9..10", "d@15..16", "e@18..19"]);
    }

    #[test]
    fn quoted_strings_break_at_their_escapes() {
        let tree = parse(r#""a\nb${c}""#).tree;
        let string = tree.root().child(0).unwrap();
        let texts: Vec<&str> = lines(string).map(|line| line.text).collect();
        assert_eq!(texts, ["a", "b"]);
        let words: Vec<&str> = lines(string).flat_map(|line| line.words(line.text)).collect();
        assert_eq!(words, ["a"]);
    }
}
