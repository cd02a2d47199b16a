//! Which rules run, and how bad their findings are.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::NodeKind;

use crate::flake::Limits;
use crate::gate::Gate;
use crate::rule::{Check, Rule};
use crate::rules;

/// A word that selects no rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownRule {
    /// The word as it was given.
    pub word: String,
    /// The rule that it may have meant.
    pub suggestion: Option<&'static str>,
}

/// The selection of rules for a run.
#[derive(Clone, Debug)]
pub struct Lints {
    /// By place in the registry; `None` for a rule that does not run.
    severities: Box<[Option<Severity>]>,
    /// The running rules that look at whole files.
    pub(crate) file_rules: Vec<usize>,
    /// The running rules about flakes.
    pub(crate) flake_rules: Vec<usize>,
    /// What numbers the rules go by.
    pub limits: Limits,
    /// By node kind, the running rules that want such nodes.
    pub(crate) node_rules: Vec<Vec<usize>>,
    /// Which of them a text concerns.
    pub(crate) gate: Gate,
}

impl Default for Lints {
    /// The rules that are on by default, each with its own severity.
    fn default() -> Self {
        Self::new(|rule| rule.is_default.then_some(rule.severity))
    }
}

impl Lints {
    /// Every rule there is.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(|rule| Some(rule.severity))
    }

    /// No rule at all; what Nix itself refuses is still reported.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(|_| None)
    }

    fn new(severity: impl Fn(&Rule) -> Option<Severity>) -> Self {
        let severities = rules::all().iter().map(|rule| severity(rule)).collect();
        let mut lints = Self {
            severities,
            file_rules: Vec::new(),
            flake_rules: Vec::new(),
            limits: Limits::default(),
            node_rules: Vec::new(),
            gate: Gate::default(),
        };
        lints.plan();
        lints
    }

    /// Sorts the running rules by what they want to look at, once for all files.
    fn plan(&mut self) {
        self.file_rules.clear();
        self.flake_rules.clear();
        self.node_rules = vec![Vec::new(); NodeKind::ALL.len()];
        for (at, rule) in rules::all().iter().enumerate() {
            match rule.check {
                _ if self.severities[at].is_none() => {}
                Check::File(_) => self.file_rules.push(at),
                Check::Flake(_) => self.flake_rules.push(at),
                Check::Nodes(kinds, _) => {
                    for kind in kinds {
                        self.node_rules[*kind as usize].push(at);
                    }
                }
                Check::Elsewhere => {}
            }
        }
        let running = rules::all().iter().zip(&self.severities);
        self.gate = Gate::new(running.map(|(rule, severity)| severity.map(|_| rule.words)));
    }

    /// Switches on the rules that `word` selects: a code, a prefix of codes, a name or `ALL`.
    pub fn select(&mut self, word: &str) -> Result<(), UnknownRule> {
        self.change(word, |rule, slot| *slot = slot.or(Some(rule.severity)))
    }

    /// Switches off the rules that `word` selects.
    pub fn ignore(&mut self, word: &str) -> Result<(), UnknownRule> {
        self.change(word, |_, slot| *slot = None)
    }

    /// Sets how bad the findings are of those running rules that `word` selects.
    pub fn set_severity(&mut self, word: &str, severity: Severity) -> Result<(), UnknownRule> {
        self.change(word, |_, slot| *slot = slot.map(|_| severity))
    }

    fn change(
        &mut self,
        word: &str,
        change: impl Fn(&Rule, &mut Option<Severity>),
    ) -> Result<(), UnknownRule> {
        // Lists are written `A, B`, and codes in any case.
        let word = word.trim();
        let mut n_selected = 0;
        for (rule, slot) in rules::all().iter().zip(&mut self.severities) {
            if selects(word, rule) {
                change(rule, slot);
                n_selected += 1;
            }
        }
        if n_selected > 0 {
            self.plan();
            return Ok(());
        }
        Err(UnknownRule { word: word.to_owned(), suggestion: nearest(word) })
    }

    /// The severity of a rule's findings; `None` if it does not run.
    #[must_use]
    pub fn severity(&self, code: Code) -> Option<Severity> {
        let at = rules::all().iter().position(|rule| rule.code == code)?;
        self.severities[at]
    }

    pub(crate) fn severity_at(&self, at: usize) -> Option<Severity> {
        self.severities[at]
    }
}

fn selects(word: &str, rule: &Rule) -> bool {
    let start = rule.code.0.get(..word.len());
    let is_prefix = !word.is_empty() && start.is_some_and(|start| start.eq_ignore_ascii_case(word));
    is_prefix || rule.name.eq_ignore_ascii_case(word) || word.eq_ignore_ascii_case("ALL")
}

/// The code or name closest to `word`, if one is close.
pub(crate) fn nearest(word: &str) -> Option<&'static str> {
    let words = rules::all().iter().flat_map(|rule| [rule.code.0, rule.name]);
    let upper = word.to_uppercase();
    let scored = words.map(|known| (distance(known, word).min(distance(known, &upper)), known));
    let (score, known) = scored.min_by_key(|(score, _)| *score)?;
    (score <= word.len() / 3 + 1).then_some(known)
}

/// Number of characters to insert, remove or change to get from one word to the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = corner + usize::from(left != *right);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_by_code_prefix_name_and_all() {
        let mut lints = Lints::nothing();
        lints.select("DEAD").unwrap();
        assert!(lints.severity(Code("DEAD001")).is_some());
        assert!(lints.severity(Code("COR001")).is_none());
        lints.ignore("unused-binding").unwrap();
        assert!(lints.severity(Code("DEAD001")).is_none());
        lints.select("ALL").unwrap();
        lints.set_severity("DEAD001", Severity::Info).unwrap();
        assert_eq!(lints.severity(Code("DEAD001")), Some(Severity::Info));
    }

    #[test]
    fn case_and_blanks_do_not_matter() {
        for word in ["dead001", " DEAD001 ", "Unused-Binding", "all"] {
            let mut lints = Lints::nothing();
            lints.select(word).unwrap();
            assert!(lints.severity(Code("DEAD001")).is_some(), "{word}");
        }
        assert!(Lints::nothing().select(" ").is_err());
    }

    #[test]
    fn unknown_words_get_a_suggestion() {
        let unknown = Lints::default().select("daed001").unwrap_err();
        assert_eq!(unknown.suggestion, Some("DEAD001"));
        assert_eq!(Lints::default().select("xyzzy-plugh").unwrap_err().suggestion, None);
    }
}
