//! The data behind the checks, as it lies in `tidy.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Result;

/// Budgets, rows, banned words and exceptions.
///
/// A missing table is an empty one, so that a test names only what it is about.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Rules {
    pub(super) lines: Lines,
    /// From the bottom to the top.
    pub(super) rows: Vec<Row>,
    /// Arrows within a row: who may use whom.
    pub(super) beside: Vec<Beside>,
    /// Crates that judge the others: outside the rows, they use everything and are used by none.
    pub(super) outside: Vec<String>,
    /// Packages that others know by a name of its own, by folder.
    pub(super) named_otherwise: BTreeMap<String, String>,
    /// Registry packages that only tests may use, and why.
    pub(super) tests_only: BTreeMap<String, String>,
    /// Names that say nothing, and so are no name for a file or a module.
    pub(super) banned_names: Vec<String>,
    /// How many packages the lock file may list.
    pub(super) lock_entries: usize,
    /// Starts of paths that exist on one machine only. Where the checkout lies is added when the
    /// checks run, so that no such path has to be written down.
    pub(super) machine_paths: Vec<String>,
}

/// How long files may be.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Lines {
    /// No file may be longer.
    pub(super) most: usize,
    /// Nine files of ten should have fewer lines of code.
    pub(super) aim: usize,
    /// Longer files, and why.
    pub(super) longer: BTreeMap<String, String>,
}

/// Crates that may be used by all above them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) crates: Vec<String>,
}

/// An arrow within a row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beside {
    pub(super) user: String,
    pub(super) used: String,
}

impl Rules {
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| format!("cannot read the rules of tidy: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_refused() {
        let message = Rules::parse("lock-size = 3").err().unwrap();
        assert!(message.contains("lock-size"), "{message}");
    }

    #[test]
    fn our_own_rules_are_well_formed() {
        let rules = Rules::parse(include_str!("../tidy.toml")).unwrap();
        assert!(rules.lines.most >= rules.lines.aim);
        assert!(!rules.rows.is_empty());
    }
}
