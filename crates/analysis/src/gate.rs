//! Which rules a text can concern at all.
//!
//! Most rules are about a few names, and most files have none of them. So the words of all rules
//! are looked for in one search, and only the rules that some word speaks for are run.

use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind, StartKind};

/// The gates of the rules that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    words: Vec<&'static str>,
    /// The search for them, made once they are looked for: selections change more often.
    search: Arc<OnceLock<AhoCorasick>>,
    /// For each word, the rules that it opens.
    opened: Vec<Vec<u16>>,
    /// By rule: whether it is open without a word.
    always: Vec<bool>,
}

impl Gate {
    /// The gate of rules given by their words, `None` for those that do not run.
    pub(crate) fn new<'w>(rules: impl Iterator<Item = Option<&'w [&'static str]>>) -> Self {
        let mut gate = Self::default();
        for (at, rule) in rules.enumerate() {
            gate.always.push(rule.is_some_and(<[_]>::is_empty));
            for word in rule.unwrap_or_default() {
                let known = gate.words.iter().position(|other| other == word);
                let word = known.unwrap_or_else(|| {
                    gate.words.push(word);
                    gate.opened.push(Vec::new());
                    gate.words.len() - 1
                });
                gate.opened[word].push(at as u16);
            }
        }
        gate
    }

    /// Sets, by rule, whether `text` concerns it.
    pub(crate) fn open(&self, text: &str, open: &mut Vec<bool>) {
        open.clear();
        open.extend_from_slice(&self.always);
        if self.words.is_empty() {
            return;
        }
        let search = self.search.get_or_init(|| search_for(&self.words));
        let mut n_left = self.opened.len();
        let mut seen = vec![false; n_left];
        let overlapping = search.try_find_overlapping_iter(Input::new(text));
        for found in overlapping.expect("standard searches may overlap") {
            let word = found.pattern().as_usize();
            if !std::mem::replace(&mut seen[word], true) {
                for &rule in &self.opened[word] {
                    open[usize::from(rule)] = true;
                }
                n_left -= 1;
                if n_left == 0 {
                    return;
                }
            }
        }
    }
}

/// A search that finds words within others, too.
///
/// As a table it takes some milliseconds and less than a MiB to make, and is three times as fast as
/// what the library would choose for so many words.
fn search_for(words: &[&str]) -> AhoCorasick {
    let search = AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .start_kind(StartKind::Unanchored)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words);
    search.expect("a few hundred short words fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_open_their_rules() {
        let rules: [Option<&[&str]>; 5] =
            [Some(&[]), Some(&["pass"]), Some(&["password", "x"]), None, Some(&["sword"])];
        let gate = Gate::new(rules.into_iter());
        let check = |text: &str, want: [bool; 5]| {
            let mut open = Vec::new();
            gate.open(text, &mut open);
            assert_eq!(open, want, "{text}");
        };
        check("", [true, false, false, false, false]);
        check("a pass", [true, true, false, false, false]);
        check("passwords", [true, true, true, false, true]);
        check("six", [true, false, true, false, false]);
    }

    #[test]
    fn no_words_no_search() {
        let mut open = vec![true];
        Gate::new([None, Some(&[] as &[&str])].into_iter()).open("text", &mut open);
        assert_eq!(open, [false, true]);
    }
}
