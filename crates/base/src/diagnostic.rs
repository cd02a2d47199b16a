//! Findings at a place.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::{TextEdit, TextRange};

/// The stable code of a finding, such as `COR001`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Code(pub &'static str);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0)
    }
}

/// How bad a finding is. Ordered: `Error` is the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never fails a run unless asked to.
    Info,
    /// Probably not what was meant.
    Warning,
    /// Real Nix refuses the file, or evaluating the place fails.
    Error,
}

impl Severity {
    /// The lower-case word for this severity, as it is printed and configured.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Reads what [`word`](Self::word) prints.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|s| s.word() == word)
    }
}

/// A remark at a further place in the same file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Label {
    /// Where.
    pub range: TextRange,
    /// What is there, lower case without a full stop.
    pub message: Cow<'static, str>,
}

/// A remark at a place in another file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Related {
    /// The other file, relative to the project root where it lies inside it.
    pub file: Arc<Path>,
    /// Where in that file.
    pub range: TextRange,
    /// What is there, lower case without a full stop.
    pub message: Cow<'static, str>,
}

/// Whether a fix can be applied without a human look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applicability {
    /// Every program that evaluated before gives the same value, laziness, `functionArgs` and
    /// derivation paths.
    Safe,
    /// Meaning may change; applied only with `--unsafe-fixes`.
    Unsafe,
}

/// A way to mend a finding, as edits of the same file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fix {
    /// What the fix does, imperative: `remove the unused binding`.
    pub title: Cow<'static, str>,
    /// Whether it needs a human look.
    pub applicability: Applicability,
    /// Edits, sorted by range and free of overlap.
    pub edits: Vec<TextEdit>,
}

/// A finding at a place in one file.
///
/// The file is not part of it: whoever made the finding worked on one text, and [`FileReport`]
/// says which. That keeps `syntax` and the rules free of paths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub range: TextRange,
    /// What was found, lower case without a full stop.
    pub message: Cow<'static, str>,
    /// Further places in the same file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Places in other files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// What to do next, if there is more to say than the fix's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<Cow<'static, str>>,
    /// A way to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A finding without labels, help or fix.
    #[must_use]
    pub fn new(
        code: Code,
        severity: Severity,
        range: TextRange,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            severity,
            range,
            message: message.into(),
            labels: Vec::new(),
            related: Vec::new(),
            help: None,
            fix: None,
        }
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

    /// Adds a way to mend it.
    #[must_use]
    pub fn fix(
        mut self,
        title: impl Into<Cow<'static, str>>,
        applicability: Applicability,
        mut edits: Vec<TextEdit>,
    ) -> Self {
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        self.fix = Some(Fix { title: title.into(), applicability, edits });
        self
    }
}

/// All findings of one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FileReport {
    /// The file as the user should see it.
    pub path: Arc<Path>,
    /// Findings in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}
