//! Suppression comments.
//!
//! `# cim-nix: ignore[CODE, …] reason` behind code silences its line, on a line of its own the next
//! line; `# cim-nix: ignore-file[CODE, …] reason` anywhere silences the whole file. Without a list
//! everything is silenced, unless the first words are codes or names whose brackets were forgotten:
//! then those are silenced. `# deadnix: skip` silences dead-code findings on the next line.
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
    /// The codes with the blank before them, where they lack brackets.
    pub(crate) bare: Option<TextRange>,
}

impl Suppression {
    fn new(range: TextRange, line: Option<u32>, (codes, reason): (Vec<String>, &str)) -> Self {
        let used = vec![false; codes.len().max(1)];
        Self { range, line, codes, used, reason: reason.into(), bare: None }
    }

    /// Reads codes at the beginning of the reason as if they stood in brackets. `rest` is the end of
    /// the comment, from the reason or the blank before it on.
    fn with_bare_codes(mut self, rest: &str) -> Self {
        let (codes, n_bytes) = bare_codes(rest);
        if !self.codes.is_empty() || codes.is_empty() {
            return self;
        }
        let start = self.range.end - rest.len() as u32;
        self.bare = Some(TextRange::new(start, start + n_bytes as u32));
        self.used = vec![false; codes.len()];
        self.codes = codes;
        self.reason = without_end(&rest[n_bytes..]).trim_start_matches(':').trim_start().into();
        self
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

/// Whether `word` is the code, a beginning of it, the name of its rule or `ALL`.
pub(crate) fn selects(word: &str, code: Code) -> bool {
    let start = code.0.get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        || word.eq_ignore_ascii_case("ALL")
        || rules::find(code.0).is_some_and(|rule| rule.name.eq_ignore_ascii_case(word))
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
        return Some(Suppression::new(range, None, codes(rest)?).with_bare_codes(rest));
    }
    let rest = rest.strip_prefix("ignore")?;
    Some(Suppression::new(range, Some(target), codes(rest)?).with_bare_codes(rest))
}

/// The codes and names that `rest` begins with, and how many bytes they take with what parts them.
fn bare_codes(rest: &str) -> (Vec<String>, usize) {
    let mut codes = Vec::new();
    let mut n_bytes = 0;
    loop {
        let behind = rest[n_bytes..].trim_start_matches([' ', '\t', ',']);
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let word = &behind[..end.unwrap_or(behind.len())];
        if !is_meant_as_code(word) {
            return (codes, n_bytes);
        }
        n_bytes = rest.len() - behind.len() + word.len();
        codes.push(word.to_owned());
    }
}

/// Whether nobody would write `word` but for a rule: prose has no codes and no words like
/// `unused-binding`.
fn is_meant_as_code(word: &str) -> bool {
    let has_mark = word.contains(|c: char| c.is_ascii_digit() || c == '-');
    has_mark && rules::find(word).is_some()
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
        check("# cim-nix: ignore[]\n1", &[], "");
        check("# cim-nix: ignore-file[A1]\n1", &["A1"], "");
        check("# deadnix: skip for now\n1", &["DEAD"], "for now");
    }

    #[test]
    fn brackets_may_be_forgotten() {
        check("1 # cim-nix: ignore DEAD001", &["DEAD001"], "");
        check("1 # cim-nix: ignore dead001: why", &["dead001"], "why");
        check(
            "/* cim-nix: ignore DEAD001, unused-formal  why */ 1",
            &["DEAD001", "unused-formal"],
            "why",
        );
        check("# cim-nix: ignore-file DEAD001\n1", &["DEAD001"], "");
        check("1 # cim-nix: ignore DEAD code, NOPE001", &[], "DEAD code, NOPE001");
        check("1 # cim-nix: ignore[A1] DEAD001", &["A1"], "DEAD001");
    }

    #[test]
    fn words_are_codes_beginnings_and_names() {
        let code = Code("DEAD001");
        for word in ["DEAD001", "DEAD", "dead001", "unused-binding", "ALL"] {
            assert!(selects(word, code), "{word}");
        }
        assert!(!selects("unused-formal", code) && !selects("COR", code));
        assert!(!selects("DEAD0011", code) && !selects("\u{e9}\u{e9}\u{e9}", code));
    }
}
