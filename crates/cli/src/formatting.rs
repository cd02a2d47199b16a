//! Formatting files: which formatter, running it, judging what it answers.
//!
//! Everything about a file happens in one worker, as it does when files are checked. Finding files,
//! and doing something with the outcomes, is left to the command.

mod changed_lines;
mod choice;
mod runner;
mod styles;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cim_nix_base::{
    ContentHash, Diagnostic, Error, Severity, TextRange, apply_edits, unified_diff,
};
use cim_nix_format::detect::Decision;
use cim_nix_format::{Failure, Formatted, Gate, Refusal, codes};
use cim_nix_project::{
    Panicked, SourceFile, Workers, encrypted_reason, for_each, generated_reason,
};

pub(crate) use changed_lines::{ChangedLines, Lines};
pub(crate) use choice::{Choice, choose};
pub(crate) use runner::{Way, become_command, limit_memory};
pub(crate) use styles::Styles;

use self::runner::Runner;
use crate::checking::{FixedFile, guard};
use crate::progress::Progress;
use crate::reading::{SourceText, read};
use crate::scope::shown;

/// What a run does with every file.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) projects: &'a [Project],
    /// The time for each file.
    pub(crate) limit: Duration,
    /// The lines that are formatted; all where there is nothing.
    pub(crate) lines: &'a Lines,
    /// Whether somebody wants to see the differences.
    pub(crate) wants_diff: bool,
    pub(crate) workers: Workers,
}

/// A project, and how its files are formatted.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) decision: Decision,
    pub(crate) way: Way,
}

/// Why a file is not formatted although nothing is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LeftOut {
    /// A tool wrote it.
    Generated,
    /// It is no code without its key.
    Encrypted,
    /// The settings of the project's formatter leave it out.
    Excluded,
}

/// What came of one file.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was as it should be.
    Unchanged,
    /// It has another text now.
    Formatted(FixedFile),
    LeftOut(LeftOut),
    /// It stays as it is, since something is wrong with it or with what the formatter made of it.
    Refused {
        /// The text that the findings are about.
        text: String,
        findings: Vec<Diagnostic>,
        /// Whether the fault is in the file, not in the formatter.
        is_broken: bool,
    },
    /// It cannot be read.
    Unreadable(String),
    /// This program failed on it.
    Failed(String),
}

/// What one worker keeps from file to file.
struct Worker<'a> {
    gate: Gate,
    /// One for each project.
    runners: Vec<Runner<'a>>,
}

/// A text with a name.
struct Subject<'a> {
    path: &'a Path,
    text: &'a str,
    lines: Option<&'a [RangeInclusive<u32>]>,
}

/// Formats all of `files`; answers in their order.
///
/// Errors: no thread can be started.
pub(crate) fn format_all(
    job: Job<'_>,
    files: &[SourceFile],
    progress: &Progress,
) -> Result<Vec<Outcome>, Error> {
    let answers = for_each(
        job.workers,
        files.len(),
        || Worker::new(job),
        |worker, at| {
            let outcome = format_file(job, worker, &files[at]);
            progress.step();
            outcome
        },
    )?;
    Ok(answers.into_iter().map(settled).collect())
}

/// Formats a text that came from elsewhere as if it were the file at `path`.
///
/// Errors: no thread can be started.
pub(crate) fn format_stdin(
    job: Job<'_>,
    path: &Path,
    source: &SourceText,
) -> Result<Outcome, Error> {
    let answers = for_each(
        job.workers,
        1,
        || Worker::new(job),
        |worker, _| format_source(job, worker, path, source),
    )?;
    // One text, one answer.
    let none = || Outcome::Failed("internal error: there is no answer".to_owned());
    Ok(answers.into_iter().next().map_or_else(none, settled))
}

fn settled(answer: Result<Outcome, Panicked>) -> Outcome {
    answer.unwrap_or_else(|Panicked(text)| Outcome::Failed(format!("internal error: {text}")))
}

impl<'a> Worker<'a> {
    fn new(job: Job<'a>) -> Self {
        let runners = job.projects.iter().map(|project| Runner::new(&project.way, job.limit));
        Self { gate: Gate::default(), runners: runners.collect() }
    }
}

fn format_file(job: Job<'_>, worker: &mut Worker<'_>, file: &SourceFile) -> Outcome {
    let source = match read(&file.path) {
        Ok(source) => source,
        Err(problem) => return Outcome::Unreadable(format!("cannot read it: {problem}")),
    };
    if !file.is_named && generated_reason(&file.path, &source.text).is_some() {
        return Outcome::LeftOut(LeftOut::Generated);
    }
    let outcome = format_source(job, worker, &file.path, &source);
    // What is written is compared with the disk anyway.
    let is_kept = matches!(outcome, Outcome::Unchanged | Outcome::Refused { .. });
    let at = project_of(job.projects, &file.path);
    let is_command = at.is_some_and(|at| matches!(job.projects[at].way, Way::Command(_)));
    if is_kept && is_command && !read(&file.path).is_ok_and(|now| now.text == source.text) {
        let message = "it changed on the disk while the formatter ran, which is to answer with \
            the new text and to write nothing";
        return Outcome::Unreadable(message.to_owned());
    }
    outcome
}

fn format_source(
    job: Job<'_>,
    worker: &mut Worker<'_>,
    path: &Path,
    source: &SourceText,
) -> Outcome {
    let Some(at) = project_of(job.projects, path) else {
        return Outcome::Failed("internal error: it belongs to no project".to_owned());
    };
    if !job.projects[at].decision.takes(path) {
        return Outcome::LeftOut(LeftOut::Excluded);
    }
    if encrypted_reason(&source.text).is_some() {
        return Outcome::LeftOut(LeftOut::Encrypted);
    }
    let lines = match job.lines.of(path) {
        Some([]) => return Outcome::Unchanged,
        lines => lines,
    };
    if let Some(offset) = source.first_bad {
        let message = format!("it is not UTF-8: byte {offset} belongs to no character");
        return Outcome::Unreadable(message);
    }
    let name = job.projects[at].decision.formatter.name();
    let subject = Subject { path, text: &source.text, lines };
    match format_text(worker, at, name, &subject) {
        Ok(None) => Outcome::Unchanged,
        Ok(Some(text)) => Outcome::Formatted(changed(job, &subject, text)),
        Err(Refusal::Broken(findings)) => {
            Outcome::Refused { text: source.text.clone(), findings, is_broken: true }
        }
        Err(Refusal::Formatter(finding)) => Outcome::Refused {
            text: source.text.clone(),
            findings: vec![*finding],
            is_broken: false,
        },
    }
}

/// The new text, if it is another.
fn format_text(
    worker: &mut Worker<'_>,
    at: usize,
    name: &str,
    subject: &Subject<'_>,
) -> Result<Option<String>, Refusal> {
    let Worker { gate, runners } = worker;
    let before = gate.read(subject.text)?;
    // nixfmt runs in this process and is not ours.
    let answer = guard::guarded(|| runners[at].run(&before));
    let answer = answer.unwrap_or_else(|text| Err(Failure::new(format!("it failed: {text}"))));
    let formatted: Formatted = gate.judge(before, name, answer)?;
    if !formatted.is_changed() {
        return Ok(None);
    }
    let Some(lines) = subject.lines else { return Ok(Some(formatted.text().to_owned())) };
    let edits = gate.edits_within(&formatted, lines, name)?;
    let text = apply_edits(subject.text, &edits).map_err(|error| {
        let finding = Diagnostic::new(
            codes::FAILED,
            Severity::Error,
            TextRange::empty(0),
            format!("internal error: {error}"),
        );
        Refusal::Formatter(Box::new(finding))
    })?;
    Ok((text != subject.text).then_some(text))
}

fn changed(job: Job<'_>, subject: &Subject<'_>, text: String) -> FixedFile {
    let name = shown(subject.path);
    let name = name.trim_start_matches('/');
    let diff = match job.wants_diff {
        true => unified_diff(&format!("a/{name}"), &format!("b/{name}"), subject.text, &text),
        false => String::new(),
    };
    let before = ContentHash::of(subject.text.as_bytes());
    FixedFile { path: subject.path.to_path_buf(), before, text, diff }
}

/// The innermost project that the file at `path` belongs to.
pub(crate) fn project_of(projects: &[Project], path: &Path) -> Option<usize> {
    let holders = projects.iter().enumerate().filter(|(_, it)| path.starts_with(&it.root));
    holders.max_by_key(|(_, it)| it.root.components().count()).map(|(at, _)| at)
}
