//! Suppression comments.
//!
//! `# cim-nix: ignore[CODE, …] reason` behind code silences its line, on a line of its own the next
//! line; `# cim-nix: ignore-file[CODE, …] reason` anywhere silences the whole file. Without a list
//! everything is silenced. `# deadnix: skip` silences dead-code findings on the next line.

use cim_nix_base::{LineIndex, TextRange};
use cim_nix_syntax::{TokenRef, Tree};
use memchr::memmem;

/// One suppression comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Suppression {
    /// The comment.
    pub(crate) range: TextRange,
    /// The line that it silences; `None` for the whole file.
    line: Option<u32>,
    /// Codes or prefixes; empty for everything.
    pub(crate) codes: Vec<String>,
    /// For each code (or for the whole): whether it silenced a finding.
    pub(crate) used: Vec<bool>,
}

impl Suppression {
    fn new(range: TextRange, line: Option<u32>, codes: Vec<String>) -> Self {
        let used = vec![false; codes.len().max(1)];
        Self { range, line, codes, used }
    }

    /// Whether it silences `code` on any line from `first` to `last`; remembers that it did.
    pub(crate) fn silences(&mut self, code: &str, first: u32, last: u32) -> bool {
        if self.line.is_some_and(|line| line < first || line > last) {
            return false;
        }
        if self.codes.is_empty() {
            self.used[0] = true;
            return true;
        }
        let mut found = false;
        for (wanted, used) in self.codes.iter().zip(&mut self.used) {
            if code.starts_with(wanted.as_str()) {
                *used = true;
                found = true;
            }
        }
        found
    }
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
        let is_skip = rest.trim_start().starts_with("skip");
        return is_skip.then(|| Suppression::new(range, Some(target), vec!["DEAD".to_owned()]));
    }
    let rest = body.strip_prefix("cim-nix:")?.trim_start();
    if let Some(rest) = rest.strip_prefix("ignore-file") {
        return Some(Suppression::new(range, None, codes(rest)?));
    }
    let rest = rest.strip_prefix("ignore")?;
    Some(Suppression::new(range, Some(target), codes(rest)?))
}

/// The codes in `[A, B]` at the start of `rest`; none when there is no bracket, `None` when other
/// text touches the word.
fn codes(rest: &str) -> Option<Vec<String>> {
    let Some(list) = rest.strip_prefix('[') else {
        let ends_word = rest.is_empty() || rest.starts_with(char::is_whitespace);
        return ends_word.then(Vec::new);
    };
    let (list, _) = list.split_once(']')?;
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    Some(words.map(str::to_owned).collect())
}
