//! Formatting Nix code without a change of meaning.
//!
//! nixfmt and nixpkgs-fmt are built in, any other formatter is a program. What it answers goes
//! through the [`Gate`]: the text is parsed before and after, and the two trees must mean the same
//! and keep all comments, or the answer is refused and says why. [`detect`] tells which formatter a
//! project uses.
//!
//! This crate works on texts. Starting programs, and keeping nixpkgs-fmt in a child process with a
//! limit on time and memory, is left to whoever calls; [`child`] is how they talk.
//!
//! ```
//! use cim_nix_format::{Gate, Options, nixfmt};
//!
//! let mut gate = Gate::default();
//! let run = |text: &str| nixfmt(text, Options::default());
//! let formatted = gate.format("{a=1;\nb=2;}", "nixfmt", run).expect("it parses");
//! assert_eq!(formatted.text(), "{\n  a = 1;\n  b = 2;\n}\n");
//!
//! // Only the second line: the edits that an editor applies to a selection.
//! let edits = gate.edits_within(&formatted, &[1..=1], "nixfmt").expect("they keep the meaning");
//! assert_eq!(cim_nix_base::apply_edits("{a=1;\nb=2;}", &edits)?, "{a=1;\n  b = 2;\n}\n");
//!
//! // What would mean something else is refused.
//! let wrong = gate.format("a - b", "mine", |_| Ok("a + b".to_owned()));
//! assert!(wrong.is_err());
//! # Ok::<(), cim_nix_base::Error>(())
//! ```

pub mod child;
pub mod codes;
pub mod detect;
mod edits;
mod formatter;
pub mod gate;
pub mod pages;

use std::ops::RangeInclusive;

use cim_nix_base::{Diagnostic, Severity, TextEdit, TextRange, apply_edits};
use cim_nix_syntax::{Parser, Tree};

pub use formatter::{
    Failure, Formatter, NIXFMT_VERSION, Options, nixfmt, nixpkgs_fmt, settled, takes_long,
};

/// Parses texts and compares them. Keeps the parser's buffers from text to text.
#[derive(Default)]
pub struct Gate {
    parser: Parser,
}

/// Why a text was not formatted. It stays as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The syntax is broken; never empty.
    Broken(Vec<Diagnostic>),
    /// The formatter failed, or its answer did not pass. The place is one in the old text.
    Formatter(Box<Diagnostic>),
}

/// A text that was formatted, and passed.
#[derive(Clone, Debug)]
pub struct Formatted {
    before: Tree,
    /// `None` where nothing changed.
    after: Option<Tree>,
}

impl Gate {
    /// Parses `text`, as the first step of formatting it.
    ///
    /// Errors: the syntax is broken.
    pub fn read(&mut self, text: impl Into<Box<str>>) -> Result<Tree, Refusal> {
        let mut parse = self.parser.parse(text);
        parse.problems.retain(|problem| problem.severity == Severity::Error);
        if parse.problems.is_empty() {
            Ok(parse.tree)
        } else {
            Err(Refusal::Broken(parse.problems))
        }
    }

    /// Looks at what the formatter called `name` made of the text of `before`.
    ///
    /// Errors: it failed, or its answer means something else or lacks a comment.
    pub fn judge(
        &mut self,
        before: Tree,
        name: &str,
        answer: Result<String, Failure>,
    ) -> Result<Formatted, Refusal> {
        let text = answer.map_err(|failure| failed(before.text(), name, &failure))?;
        if text == before.text() {
            return Ok(Formatted { before, after: None });
        }
        let after = self.passed(&before, text, name)?;
        Ok(Formatted { before, after: Some(after) })
    }

    /// Formats `text` by `run`, which messages call `name`.
    ///
    /// Errors: the syntax is broken, the formatter failed, or its answer did not pass.
    pub fn format(
        &mut self,
        text: impl Into<Box<str>>,
        name: &str,
        run: impl FnOnce(&str) -> Result<String, Failure>,
    ) -> Result<Formatted, Refusal> {
        let before = self.read(text)?;
        let answer = run(before.text());
        self.judge(before, name, answer)
    }

    /// The edits of [`Formatted::edits`] that touch one of `lines`, counted from 0 in the old text,
    /// with those that belong to them: a multi-line string is moved as a whole.
    ///
    /// Errors: half of the changes would mean something else.
    pub fn edits_within(
        &mut self,
        formatted: &Formatted,
        lines: &[RangeInclusive<u32>],
        name: &str,
    ) -> Result<Vec<TextEdit>, Refusal> {
        let Some(after) = &formatted.after else { return Ok(Vec::new()) };
        let before = &formatted.before;
        let wanted = edits::within(before.text(), &edits::edits(before, after), lines);
        let text = apply_edits(before.text(), &wanted)
            .map_err(|error| failed(before.text(), name, &Failure::new(error.to_string())))?;
        if text != before.text() {
            self.passed(before, text, name)?;
        }
        Ok(wanted)
    }

    /// The tree of `text`, if it means what `before` means.
    fn passed(&mut self, before: &Tree, text: String, name: &str) -> Result<Tree, Refusal> {
        let refused = |code, range, message: String| {
            let finding = Diagnostic::new(code, Severity::Error, range, message)
                .help("the file is left as it is; please report this to the formatter's authors");
            Refusal::Formatter(Box::new(finding))
        };
        let parse = self.parser.parse(text);
        if let Some(problem) = parse.problems.iter().find(|it| it.severity == Severity::Error) {
            let message = format!("{name} would break the syntax: {}", problem.message);
            let at = same_place(before.text(), parse.tree.text(), problem.range.start);
            return Err(refused(codes::BREAKS, TextRange::empty(at), message));
        }
        if let Some(found) = gate::difference(before, &parse.tree) {
            let message = format!("{name} would change the meaning: {}", found.what);
            return Err(refused(codes::CHANGES, found.before, message));
        }
        if let Some(range) = gate::lost_comment(before, &parse.tree) {
            let message = format!("{name} would lose a part of this comment");
            return Err(refused(codes::LOSES, range, message));
        }
        Ok(parse.tree)
    }
}

impl Formatted {
    /// The formatted text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.after.as_ref().unwrap_or(&self.before).text()
    }

    /// The text that was given.
    #[must_use]
    pub fn before(&self) -> &str {
        self.before.text()
    }

    /// Whether formatting changed anything.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.after.is_some()
    }

    /// The changes as edits of the old text: sorted, free of overlap, and as small as can be.
    #[must_use]
    pub fn edits(&self) -> Vec<TextEdit> {
        let Some(after) = &self.after else { return Vec::new() };
        edits::edits(&self.before, after).into_iter().map(|edit| edit.edit).collect()
    }
}

fn failed(text: &str, name: &str, failure: &Failure) -> Refusal {
    let at = (failure.at.unwrap_or(0) as usize).min(text.len());
    let range = TextRange::empty(text.floor_char_boundary(at) as u32);
    let message = format!("{name} cannot format this file: {}", failure.message);
    Refusal::Formatter(Box::new(Diagnostic::new(codes::FAILED, Severity::Error, range, message)))
}

/// The place in `before` that has as many characters other than blanks in front of it as `at` has
/// in `after`: formatters change little else.
fn same_place(before: &str, after: &str, at: u32) -> u32 {
    let n_before =
        after.as_bytes()[..at as usize].iter().filter(|byte| !byte.is_ascii_whitespace());
    let mut dark = before.bytes().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace());
    let place = dark.nth(n_before.count()).map_or(before.len(), |(at, _)| at);
    before.floor_char_boundary(place) as u32
}

#[cfg(test)]
mod tests;
