//! Findings as text: for people, for editors, for programs.
//!
//! A file's findings are rendered where they were found, in the worker: so no text has to be kept
//! until the end, and rendering is as parallel as checking. What comes before, between and behind
//! all files is added by [`Report`].

mod concise;
mod fingerprint;
mod github;
mod gitlab;
mod html;
mod human;
mod json;
mod junit;
mod place;
mod rdjson;
mod report;
mod sarif;
mod statistics;
mod tally;

use std::cell::{Cell, OnceCell};
use std::path::Path;

use cim_nix_analysis::Silenced;
use cim_nix_base::{Diagnostic, LineIndex, Position, Related};
use clap::ValueEnum;

pub(crate) use fingerprint::{Key, fingerprints, keys};
pub(crate) use json::{JsonRange, text as json_text};
pub(crate) use report::{Ending, Report, Status, number, thousands};
pub(crate) use tally::Tally;

use crate::reading::read;
use crate::settings::FailOn;

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
    /// SARIF 2.1.0, for code scanners and editors
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// A Code Quality report of GitLab
    Gitlab,
    /// JUnit XML, for whatever shows test results
    Junit,
    /// Diagnostics for reviewdog
    Rdjson,
    /// A page with source excerpts, filters and trends, in one file
    Html,
}

impl Format {
    /// Whether somebody is shown what comments silence.
    pub(crate) fn has_silenced(self) -> bool {
        matches!(self, Self::Sarif | Self::Html)
    }

    /// Whether somebody is shown how findings came and went since the baseline.
    pub(crate) fn has_trends(self) -> bool {
        self == Self::Html
    }

    /// Whether rules can be counted in it instead of findings.
    pub(crate) fn has_statistics(self) -> bool {
        matches!(self, Self::Human | Self::Concise | Self::Json | Self::JsonLines)
    }
}

/// What columns count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Unicode scalar values: what people count.
    Chars,
    /// What JavaScript and editors count.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
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
    /// The path as it is, for formats that name files in their own way.
    file: Option<&'t Path>,
    /// The text; empty where it could not be read.
    pub(crate) text: &'t str,
    /// Whether there is a text to show.
    is_read: bool,
    /// Which findings in it fail the run.
    fail_on: FailOn,
    index: OnceCell<LineIndex>,
    /// The last position that was asked for: in what, its offset and what was answered.
    last: Cell<Option<(Unit, u32, Position)>>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(path: &'t str, text: &'t str) -> Self {
        let (index, last) = (OnceCell::new(), Cell::new(None));
        Self { path, file: None, text, is_read: true, fail_on: FailOn::default(), index, last }
    }

    /// The same text, told which findings in it fail the run.
    pub(crate) fn failing_on(self, fail_on: FailOn) -> Self {
        Self { fail_on, ..self }
    }

    /// The same text, told where it lies.
    pub(crate) fn at(self, file: &'t Path) -> Self {
        Self { file: Some(file), ..self }
    }

    /// A file whose text is not known.
    pub(crate) fn unread(path: &'t str) -> Self {
        Self { is_read: false, ..Self::new(path, "") }
    }

    /// The path as it is, where it was told.
    pub(crate) fn file(&self) -> Option<&'t Path> {
        self.file
    }

    /// Where lines begin; computed at the first call.
    pub(crate) fn lines(&self) -> &LineIndex {
        self.index.get_or_init(|| LineIndex::new(self.text))
    }

    /// Line and column as people count them: from 1, columns in characters.
    pub(crate) fn position(&self, offset: u32) -> Position {
        self.position_in(Unit::Chars, offset)
    }

    /// Line and column, from 1.
    ///
    /// Cost: counts from the last position on the same line, so that many findings on one long
    /// line do not each count from its start.
    pub(crate) fn position_in(&self, unit: Unit, offset: u32) -> Position {
        let line = self.lines().line_of(offset.min(self.text.len() as u32));
        let at = match self.last.get() {
            Some((known, last, at)) if known == unit && at.line == line => {
                self.moved(unit, last, at, offset)
            }
            _ => self.counted(unit, offset),
        };
        self.last.set(Some((unit, offset, at)));
        Position { line: at.line + 1, column: at.column + 1 }
    }

    /// The position of `offset`, counted from the start of its line.
    fn counted(&self, unit: Unit, offset: u32) -> Position {
        match unit {
            Unit::Chars => self.lines().position_chars(self.text, offset),
            Unit::Utf16 => self.lines().position_utf16(self.text, offset),
            Unit::Bytes => self.lines().position(self.text, offset),
        }
    }

    /// The position of `offset` on the line of `last`, which is at `at`.
    fn moved(&self, unit: Unit, last: u32, at: Position, offset: u32) -> Position {
        let between = last.min(offset) as usize..last.max(offset) as usize;
        // Offsets that cut a character or leave the text are left to who knows what they mean.
        let Some(text) = self.text.get(between) else { return self.counted(unit, offset) };
        let n = match unit {
            Unit::Chars => text.chars().count(),
            Unit::Utf16 => text.chars().map(char::len_utf16).sum(),
            Unit::Bytes => text.len(),
        } as u32;
        let column = if offset < last { at.column - n } else { at.column + n };
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
    /// The file as it is shown.
    path: Box<str>,
    text: Box<str>,
    /// Where the text of each finding ends.
    ends: Box<[u32]>,
}

impl Rendered {
    /// Renders `findings` in their order.
    pub(crate) fn new(style: Style, source: &Source<'_>, findings: &[Diagnostic]) -> Self {
        Self::with_reasons(style, source, findings, &[])
    }

    /// Renders findings that comments silence.
    pub(crate) fn silenced(style: Style, source: &Source<'_>, silenced: &[Silenced]) -> Self {
        let findings: Vec<Diagnostic> =
            silenced.iter().map(|silenced| silenced.diagnostic.clone()).collect();
        let reasons: Vec<&str> = silenced.iter().map(|silenced| &*silenced.reason).collect();
        Self::with_reasons(style, source, &findings, &reasons)
    }

    /// Renders findings; if there are reasons, one for each, they are silenced.
    fn with_reasons(
        style: Style,
        source: &Source<'_>,
        findings: &[Diagnostic],
        reasons: &[&str],
    ) -> Self {
        if findings.is_empty() {
            return Self::default();
        }
        let mut text = String::new();
        let mut ends = Vec::with_capacity(findings.len());
        let human = human::Human::new(style);
        let prints = match style.format {
            Format::Json | Format::JsonLines | Format::Sarif | Format::Gitlab => {
                fingerprints(&keys(source, findings))
            }
            _ => Vec::new(),
        };
        for (at, finding) in findings.iter().enumerate() {
            let print = prints.get(at).map_or("", |print| &**print);
            let reason = reasons.get(at).copied();
            match style.format {
                Format::Human => human.write(source, finding, &mut text),
                Format::Concise => concise::write(source, finding, &mut text),
                Format::Json | Format::JsonLines => json::write(source, finding, print, &mut text),
                Format::Sarif => sarif::write(source, finding, print, reason, &mut text),
                Format::Github => github::write(source, finding, &mut text),
                Format::Gitlab => gitlab::write(source, finding, print, &mut text),
                Format::Junit => junit::write(source, finding, &mut text),
                Format::Rdjson => rdjson::write(source, finding, &mut text),
                Format::Html => html::write(style, source, finding, reason, &mut text),
            }
            ends.push(text.len() as u32);
        }
        Self { path: source.path.into(), text: text.into(), ends: ends.into() }
    }

    /// The text of each finding.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start as usize..end as usize])
    }

    /// The findings that `keep` speaks for, in their order.
    pub(crate) fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for (_, finding) in self.findings().enumerate().filter(|(at, _)| keep(*at)) {
            text.push_str(finding);
            ends.push(text.len() as u32);
        }
        if ends.is_empty() {
            return Self::default();
        }
        Self { path: self.path.clone(), text: text.into(), ends: ends.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_do_not_depend_on_what_was_asked_before() {
        let text = "aλb\n\u{1f600}x\r\nlast";
        let source = Source::new("a.nix", text);
        let last = text.len() as u32 + 2;
        let units = [Unit::Chars, Unit::Utf16, Unit::Bytes];
        for (first, second) in (0..=last).flat_map(|first| (0..=last).map(move |at| (first, at))) {
            for unit in units {
                source.position_in(unit, first);
                let want = Source::new("a.nix", text).counted(unit, second);
                let want = Position { line: want.line + 1, column: want.column + 1 };
                assert_eq!(source.position_in(unit, second), want, "{first} then {second}");
            }
        }
    }
}
