//! Rules over Nix code.
//!
//! A [`Rule`] says which nodes it wants, and one pass over each file runs them all. Findings may
//! carry a fix: text edits together with the [`Rewrite`] of the tree that they stand for, so that
//! [`fix_text`] can refuse any edit that does more or less than its rule declares. What real Nix
//! refuses (syntax, names, duplicates) is reported by the same means. Reading files, configuration
//! files and output formats are the edge's business.
//!
//! ```
//! use cim_nix_analysis::{Checker, Lints};
//!
//! let lints = Lints::default();
//! let found = Checker::default().check("default.nix", "let x = 1; in y", &lints);
//! let codes: Vec<&str> = found.findings.iter().map(|found| found.diagnostic.code.0).collect();
//! assert_eq!(codes, ["DEAD001", "COR001"]);
//! ```

mod across;
mod category;
mod checker;
mod context;
mod docs;
mod fix;
mod flake;
mod gate;
mod layout;
mod lints;
mod options;
mod origin;
mod rewrite;
mod rule;
mod rules;
mod settings;
mod suppress;

pub use across::{FileFacts, WantedFacts, find_across};
pub use category::Category;
pub use checker::{CheckedFile, Checker, Found, Silenced};
pub use context::Context;
pub use docs::{DocExample, RuleDoc};
pub use fix::{FixMode, Fixed, fix_text};
pub use flake::{FlakeFacts, Limits, Surroundings};
pub use lints::{Lints, UnknownRule};
pub use options::{OptionFact, OptionTable, OptionType};
pub use rewrite::{Rewrite, Shape};
pub use rule::{Check, Finding, FixKind, Report, Rule};
pub use rules::{all, find};

/// The worked example in Rust; it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/examples/in-process.md")]
struct InProcess;
