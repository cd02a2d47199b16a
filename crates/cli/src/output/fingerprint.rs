//! What makes a finding the same as an earlier one, wherever its line has moved to.
//!
//! Two findings of one file are the same if their rule, what they mark and the line around it are,
//! blanks aside. Several that are the same are told apart by their order. Paths are no part of it:
//! a report that needs them adds them.

use std::collections::HashMap;

use cim_nix_base::{Code, ContentHash, Diagnostic};

use super::Source;

/// Longer marks are known by their beginning.
const MAX_MARK: usize = 400;

/// Longer lines tell little about one place, and comparing them for each of their findings takes
/// time that grows with the square of their length.
const MAX_LINE: u32 = 400;

/// What a finding is known by in its file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) code: Code,
    /// What it marks, or its message where it marks nothing.
    pub(crate) mark: Box<str>,
    /// The line that the mark starts on; empty if it is too long.
    pub(crate) line: Box<str>,
}

/// The key of each finding.
pub(crate) fn keys(source: &Source<'_>, findings: &[Diagnostic]) -> Vec<Key> {
    findings.iter().map(|finding| key(source, finding)).collect()
}

/// A word for each key: the same for the same finding in later versions of the file, and another
/// for each finding of it.
pub(crate) fn fingerprints(keys: &[Key]) -> Vec<String> {
    let mut seen: HashMap<&Key, usize> = HashMap::new();
    let print = |key| {
        let nth = seen.entry(key).or_default();
        *nth += 1;
        let Key { code, mark, line } = key;
        short_hash(&format!("{code}\0{mark}\0{line}\0{nth}"))
    };
    keys.iter().map(print).collect()
}

/// The first half of a hash, which is enough to tell findings apart.
pub(super) fn short_hash(text: &str) -> String {
    let mut hash = ContentHash::of(text.as_bytes()).to_string();
    hash.truncate(32);
    hash
}

fn key(source: &Source<'_>, finding: &Diagnostic) -> Key {
    let text = source.text;
    let start = finding.range.start.min(text.len() as u32);
    let mut end = (finding.range.end as usize).min(start as usize + MAX_MARK).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mark = plain(text.get(start as usize..end).unwrap_or_default());
    let line = source.lines().line_range(text, source.lines().line_of(start));
    let line = line.filter(|line| line.len() <= MAX_LINE).unwrap_or_default();
    let mark = if mark.is_empty() { finding.message.as_ref().into() } else { mark };
    Key { code: finding.code, mark, line: plain(&text[line.as_usize()]) }
}

/// `text` with one blank for each run of blanks.
fn plain(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use cim_nix_base::{Severity, TextRange};

    use super::*;

    /// The fingerprints of findings at every `x` of a text.
    fn prints(text: &str) -> Vec<String> {
        let at = |at: usize| TextRange::new(at as u32, at as u32 + 1);
        let finding = |range| Diagnostic::new(Code("X1"), Severity::Info, range, "found");
        let findings: Vec<Diagnostic> =
            text.match_indices('x').map(|(start, _)| finding(at(start))).collect();
        fingerprints(&keys(&Source::new("a.nix", text), &findings))
    }

    #[test]
    fn lines_may_move_and_blanks_may_change() {
        assert_eq!(prints("a = x;"), prints("\n\n  a   =\tx;  \n"));
        assert_ne!(prints("a = x;"), prints("b = x;"));
    }

    #[test]
    fn equal_findings_are_told_apart_by_their_order() {
        let two = prints("x\nx\n");
        assert_ne!(two[0], two[1]);
        assert_eq!(two[0], prints("x\n")[0]);
        assert_eq!(two, prints("\nx\n1\nx\n"));
    }

    #[test]
    fn long_lines_cost_nothing() {
        let line = "x ".repeat(10_000);
        let found = prints(&line);
        assert_eq!(found.iter().collect::<std::collections::HashSet<_>>().len(), 10_000);
    }

    #[test]
    fn a_finding_about_a_whole_file_is_known_by_its_message() {
        let source = Source::unread("a.nix");
        let at = TextRange::empty(0);
        let key = |message: &'static str| {
            key(&source, &Diagnostic::new(Code("X1"), Severity::Error, at, message))
        };
        assert_ne!(key("gone"), key("denied"));
    }

    #[test]
    fn marks_are_cut_between_characters() {
        let text = "λ".repeat(1000);
        let range = TextRange::new(0, 2000);
        let finding = Diagnostic::new(Code("X1"), Severity::Info, range, "found");
        assert_eq!(key(&Source::new("a.nix", &text), &finding).mark.len(), MAX_MARK);
    }
}
