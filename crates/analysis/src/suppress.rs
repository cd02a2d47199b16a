//! Suppression comments.
//!
//! `# cim-nix: ignore[CODE, …] reason` behind code silences its line, on a line of its own the next
//! line; `# cim-nix: ignore-file[CODE, …] reason` anywhere silences the whole file. Without a list
//! everything is silenced. `# deadnix: skip` silences dead-code findings on the next line.
//! Comments hold for whatever is found in a file that can be parsed, warnings of the parser included.

use cim_nix_base::{Code, LineIndex, TextRange};
use cim_nix_syntax::{TokenRef, Tree};
use memchr::memmem;

use crate::rules;

/// One suppression comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Suppression {
    /// The comment.
    pub(crate) range: TextRange,
    /// The line that it silences; `None` for the whole file.
    line: Option<u32>,
    /// Codes, prefixes of codes or names; empty for everything.
    pub(crate) codes: Vec<String>,
    /// For each code (or for the whole): whether it silenced a finding.
    pub(crate) used: Vec<bool>,
    /// What stands behind the list, for people.
    pub(crate) reason: Box<str>,
}

impl Suppression {
    fn new(range: TextRange, line: Option<u32>, (codes, reason): (Vec<String>, &str)) -> Self {
        let used = vec![false; codes.len().max(1)];
        Self { range, line, codes, used, reason: reason.into() }
    }

    /// Whether it silences `code` on `line`; remembers that it did.
    pub(crate) fn silences(&mut self, code: Code, line: u32) -> bool {
        if self.line.is_some_and(|silent| silent != line) {
            return false;
        }
        if self.codes.is_empty() {
            self.used[0] = true;
            return true;
        }
        let mut found = false;
        for (word, used) in self.codes.iter().zip(&mut self.used) {
            if selects(word, code) {
                *used = true;
                found = true;
            }
        }
        found
    }
}

/// Whether `word` is the code, a beginning of it or the name of its rule.
pub(crate) fn selects(word: &str, code: Code) -> bool {
    code.0.starts_with(word) || rules::find(code.0).is_some_and(|rule| rule.name == word)
}

/// The suppression comments of a file, in the order of the text.
pub(crate) fn suppressions(tree: &Tree, index: &LineIndex) -> Vec<Suppression> {
    let text = tree.text();
    let bytes = text.as_bytes();
    let is_plausible =
        memmem::find(bytes, b"cim-nix:").is_some() || memmem::find(bytes, b"deadnix:").is_some();
    if !is_plausible {
        return Vec::new();
    }
    let comments = tree.tokens().filter(|token| token.kind().is_comment());
    comments.filter_map(|comment| parse(comment, text, index)).collect()
}

/// Whether the file may hold a suppression comment: a cheap look before building a line index.
pub(crate) fn may_suppress(text: &str) -> bool {
    memmem::find(text.as_bytes(), b"cim-nix:").is_some()
        || memmem::find(text.as_bytes(), b"deadnix:").is_some()
}

fn parse(comment: TokenRef<'_>, text: &str, index: &LineIndex) -> Option<Suppression> {
    let range = comment.range();
    let body = comment.text().trim_start_matches(['#', '/', '*']).trim_start();
    let line = index.line_of(range.start);
    let start = index.line_range(text, line).map_or(0, |line| line.start);
    let stands_alone = text[start as usize..range.start as usize].trim().is_empty();
    let target = if stands_alone { index.line_of(range.end) + 1 } else { line };
    if let Some(rest) = body.strip_prefix("deadnix:") {
        let reason = rest.trim_start().strip_prefix("skip")?.trim();
        return Some(Suppression::new(range, Some(target), (vec!["DEAD".to_owned()], reason)));
    }
    let rest = body.strip_prefix("cim-nix:")?.trim_start();
    if let Some(rest) = rest.strip_prefix("ignore-file") {
        return Some(Suppression::new(range, None, codes(rest)?));
    }
    let rest = rest.strip_prefix("ignore")?;
    Some(Suppression::new(range, Some(target), codes(rest)?))
}

/// The codes in `[A, B]` at the start of `rest`, and what follows; no codes when there is no
/// bracket, `None` when other text touches the word.
fn codes(rest: &str) -> Option<(Vec<String>, &str)> {
    let Some(list) = rest.strip_prefix('[') else {
        let ends_word = rest.is_empty() || rest.starts_with(char::is_whitespace);
        return ends_word.then(|| (Vec::new(), without_end(rest)));
    };
    let (list, rest) = list.split_once(']')?;
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    Some((words.map(str::to_owned).collect(), without_end(rest)))
}

/// The text of a comment without what closes it.
fn without_end(text: &str) -> &str {
    text.trim_end().trim_end_matches("*/").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, codes: &[&str], reason: &str) {
        let tree = cim_nix_syntax::parse(text).tree;
        let found = suppressions(&tree, &LineIndex::new(text));
        assert_eq!(found.len(), 1, "{text:?}");
        assert_eq!((&*found[0].codes, &*found[0].reason), (&*own(codes), reason), "{text:?}");
    }

    fn own(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_reason_follows_the_codes() {
        check("1 # cim-nix: ignore[A1, B] it is  so \n", &["A1", "B"], "it is  so");
        check("/* cim-nix: ignore why not */ 1", &[], "why not");
        check("# cim-nix: ignore-file[A1]\n1", &["A1"], "");
        check("# deadnix: skip for now\n1", &["DEAD"], "for now");
    }

    #[test]
    fn words_are_codes_beginnings_and_names() {
        let code = Code("DEAD001");
        for word in ["DEAD001", "DEAD", "unused-binding"] {
            assert!(selects(word, code), "{word}");
        }
        assert!(!selects("unused-formal", code) && !selects("COR", code));
    }
}
