//! What a rule is and how it reports.

use std::borrow::Cow;

use cim_nix_base::{Applicability, Code, Label, Severity, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind};

use crate::{Context, FlakeFacts, Rewrite};

/// Whether a rule can mend what it finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixKind {
    /// It cannot.
    None,
    /// Some or all findings have a fix that provably keeps the meaning.
    Safe,
    /// Fixes need a human look.
    Unsafe,
}

/// How a rule gets to its findings.
#[derive(Clone, Copy)]
pub enum Check {
    /// Called for every node of the listed kinds.
    Nodes(&'static [NodeKind], fn(&Context<'_>, Node<'_>, &mut Report)),
    /// Called once a file, for rules about names.
    File(fn(&Context<'_>, &mut Report)),
    /// Called once for a `flake.nix`, with what lies around it.
    Flake(fn(&Context<'_>, &FlakeFacts<'_>, &mut Report)),
    /// Found on the way: by the parser, the lowering, the import graph or the driver.
    Elsewhere,
}

/// One rule: everything about it lies in the file that declares it.
pub struct Rule {
    /// Stable code.
    pub code: Code,
    /// The smell, in words joined by hyphens: it reads well behind "ignore".
    pub name: &'static str,
    /// How bad a finding is unless the settings say otherwise.
    pub severity: Severity,
    /// Whether it runs unless the settings say otherwise.
    pub is_default: bool,
    /// Whether it can mend what it finds.
    pub fix: FixKind,
    /// How it gets to its findings.
    pub check: Check,
    /// The gate: it runs only on files whose text holds one of these words anywhere; on every file
    /// if there are none. One search a file looks for the words of all rules.
    pub words: &'static [&'static str],
    /// Its page in Markdown: a first sentence, then the sections that [`crate::RuleDoc`] knows.
    /// The examples on it are run as tests.
    pub doc: &'static str,
}

impl Rule {
    /// Whether a file alone cannot tell what the rule finds in it: it looks at other files, too, or
    /// it is the driver that finds it.
    #[must_use]
    pub fn looks_beyond_file(&self) -> bool {
        match self.check {
            Check::Flake(_) => true,
            Check::Elsewhere => !IN_FILE.contains(&self.code.0),
            Check::Nodes(..) | Check::File(_) => false,
        }
    }

    /// Whether the rule is silent unless options were evaluated.
    pub(crate) fn asks_evaluation(&self) -> bool {
        EVALUATED.contains(&self.code.0)
    }
}

/// Rules without a check of their own whose findings the text of a file decides.
const IN_FILE: &[&str] = &[
    "COR002", "COR016", "DEAD016", "SYN001", "SYN002", "SYN003", "SYN004", "SYN005", "SYN006",
    "SYN009", "SYN011",
];

/// Rules about what options are, which only evaluation knows.
const EVALUATED: &[&str] = &["COR017", "COR018", "COR019", "SEC023"];

/// What a rule has found at one place.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where.
    pub range: TextRange,
    /// What, lower case without a full stop.
    pub message: Cow<'static, str>,
    /// Further places in the file.
    pub labels: Vec<Label>,
    /// What to do next.
    pub help: Option<Cow<'static, str>>,
    /// A way to mend it.
    pub fix: Option<FindingFix>,
}

/// Edits and the change of the tree that they amount to.
#[derive(Clone, Debug)]
pub struct FindingFix {
    /// What it does, imperative.
    pub title: Cow<'static, str>,
    /// Whether it needs a human look.
    pub applicability: Applicability,
    /// The edits.
    pub edits: Vec<TextEdit>,
    /// What they do to the tree; checked before the result is taken.
    pub rewrites: Vec<Rewrite>,
}

impl Finding {
    /// A finding at `range`.
    #[must_use]
    pub fn at(range: TextRange, message: impl Into<Cow<'static, str>>) -> Self {
        Self { range, message: message.into(), labels: Vec::new(), help: None, fix: None }
    }

    /// Adds a remark at a further place.
    #[must_use]
    pub fn label(mut self, range: TextRange, message: impl Into<Cow<'static, str>>) -> Self {
        self.labels.push(Label { range, message: message.into() });
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a fix.
    #[must_use]
    pub fn fix(
        mut self,
        applicability: Applicability,
        title: impl Into<Cow<'static, str>>,
        edits: Vec<TextEdit>,
        rewrites: Vec<Rewrite>,
    ) -> Self {
        self.fix = Some(FindingFix { title: title.into(), applicability, edits, rewrites });
        self
    }

    /// Adds a fix that keeps the meaning.
    #[must_use]
    pub fn safe_fix(
        self,
        title: impl Into<Cow<'static, str>>,
        edits: Vec<TextEdit>,
        rewrites: Vec<Rewrite>,
    ) -> Self {
        self.fix(Applicability::Safe, title, edits, rewrites)
    }
}

/// Collects the findings of one rule on one file.
#[derive(Default)]
pub struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}
