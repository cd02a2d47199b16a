//! Findings as text: for people, for editors, for programs.
//!
//! A file's findings are rendered where they were found, in the worker: so no text has to be kept
//! until the end, and rendering is as parallel as checking. What comes before, between and behind
//! all files is added by [`Report`].

mod concise;
mod human;
mod json;
mod report;
mod tally;

use std::cell::{Cell, OnceCell};

use cim_nix_base::{Diagnostic, LineIndex, Position, Related};
use clap::ValueEnum;

pub(crate) use json::{JsonRange, text as json_text};
pub(crate) use report::{Ending, Report, number, thousands};
pub(crate) use tally::Tally;

use crate::reading::read;

/// How findings are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// Source excerpts with remarks, for people
    #[default]
    Human,
    /// One line a finding: `path:line:column: severity[CODE] message`
    Concise,
    /// One JSON object; its schema is documented in docs/cli.md
    Json,
    /// One JSON object a line: each finding, then the summary
    JsonLines,
}

/// How to render.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) color: bool,
    /// Whether unsafe fixes are as good as safe ones.
    pub(crate) unsafe_fixes: bool,
}

/// The file that findings are about.
pub(crate) struct Source<'t> {
    /// The path as it is shown.
    pub(crate) path: &'t str,
    /// The text; empty where it could not be read.
    pub(crate) text: &'t str,
    /// Whether there is a text to show.
    is_read: bool,
    index: OnceCell<LineIndex>,
    /// The last position that was asked for: its offset and what was answered.
    last: Cell<Option<(u32, Position)>>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(path: &'t str, text: &'t str) -> Self {
        Self { path, text, is_read: true, index: OnceCell::new(), last: Cell::new(None) }
    }

    /// A file whose text is not known.
    pub(crate) fn unread(path: &'t str) -> Self {
        Self { is_read: false, ..Self::new(path, "") }
    }

    /// Where lines begin; computed at the first call.
    pub(crate) fn lines(&self) -> &LineIndex {
        self.index.get_or_init(|| LineIndex::new(self.text))
    }

    /// Line and column as people count them: from 1, columns in characters.
    ///
    /// Cost: counts from the last position on the same line, so that many findings on one long
    /// line do not each count from its start.
    pub(crate) fn position(&self, offset: u32) -> Position {
        let line = self.lines().line_of(offset.min(self.text.len() as u32));
        let at = match self.last.get() {
            Some((last, at)) if at.line == line => self.moved(last, at, offset),
            _ => self.lines().position_chars(self.text, offset),
        };
        self.last.set(Some((offset, at)));
        Position { line: at.line + 1, column: at.column + 1 }
    }

    /// The position of `offset` on the line of `last`, which is at `at`.
    fn moved(&self, last: u32, at: Position, offset: u32) -> Position {
        let between = last.min(offset) as usize..last.max(offset) as usize;
        // Offsets that cut a character or leave the text are left to who knows what they mean.
        let Some(text) = self.text.get(between) else {
            return self.lines().position_chars(self.text, offset);
        };
        let n_chars = text.chars().count() as u32;
        let column = if offset < last { at.column - n_chars } else { at.column + n_chars };
        Position { column, ..at }
    }
}

/// The text of another file that a finding speaks of; empty where it cannot be read (any more).
/// Few findings do, so reading it again is cheaper than keeping all texts.
fn text_of(related: &Related) -> String {
    read(&related.file).map(|source| source.text).unwrap_or_default()
}

/// The rendered findings of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rendered {
    text: Box<str>,
    /// Where the text of each finding ends.
    ends: Box<[u32]>,
}

impl Rendered {
    /// Renders `findings` in their order.
    pub(crate) fn new(style: Style, source: &Source<'_>, findings: &[Diagnostic]) -> Self {
        if findings.is_empty() {
            return Self::default();
        }
        let mut text = String::new();
        let mut ends = Vec::with_capacity(findings.len());
        let human = human::Human::new(style);
        for finding in findings {
            match style.format {
                Format::Human => human.write(source, finding, &mut text),
                Format::Concise => concise::write(source, finding, &mut text),
                Format::Json | Format::JsonLines => json::write(source, finding, &mut text),
            }
            ends.push(text.len() as u32);
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// The text of each finding.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start as usize..end as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_do_not_depend_on_what_was_asked_before() {
        let text = "aλb\n\u{1f600}x\r\nlast";
        let source = Source::new("a.nix", text);
        for first in 0..=text.len() as u32 + 2 {
            for second in 0..=text.len() as u32 + 2 {
                source.position(first);
                let want = LineIndex::new(text).position_chars(text, second);
                let want = Position { line: want.line + 1, column: want.column + 1 };
                assert_eq!(source.position(second), want, "{first} then {second}");
            }
        }
    }
}
