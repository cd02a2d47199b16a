//! Checking files: reading, rules, fixes, rendering.
//!
//! Everything about a file happens in one worker, and only what is printed or written leaves it,
//! with a summary of its imports; text, tree and IR are dropped at once. That keeps a run over tens
//! of thousands of files small. The few files that the import graph speaks about are checked once
//! more. Finding files, and doing something with the outcomes, is left to the commands.

mod flakes;
mod guard;
mod imports;
mod pipes;

use std::path::{Path, PathBuf};

use cim_nix_analysis::{CheckedFile, Checker, FileFacts, FixMode, Lints, fix_text};
use cim_nix_base::{Code, ContentHash, Diagnostic, Error, Severity, TextRange, unified_diff};
use cim_nix_project::{
    Discovery, FileId, ImportGraph, Panicked, Problem, Snapshot, SourceFile, Summary, Trouble,
    Workers, for_each, generated_reason, summarise,
};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};

use crate::output::{Rendered, Source, Style, Tally};
use crate::progress::Progress;
use crate::reading::{SourceText, read};
use crate::scope::shown;
use crate::settings::Settings;

const NOT_UTF8: Code = Code("SYN007");
const UNREADABLE: Code = Code("SYN008");
/// This program failed on the file.
const INTERNAL: Code = Code("INT001");

/// What a run does with every file.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) style: Style,
    /// Which fixes to apply, if any.
    pub(crate) fix: Option<FixMode>,
    pub(crate) workers: Workers,
}

/// What came of one file.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rendered: Rendered,
    pub(crate) tally: Tally,
    pub(crate) fixed: Option<FixedFile>,
    /// What it refers to, where that was asked for.
    summary: Summary,
    /// What else the rules about all files must know of it.
    facts: FileFacts,
}

/// A file with another text.
#[derive(Debug)]
pub(crate) struct FixedFile {
    pub(crate) path: PathBuf,
    /// The hash of what was read.
    pub(crate) before: ContentHash,
    pub(crate) text: String,
    /// The difference, for people.
    pub(crate) diff: String,
}

/// A file with its text.
#[derive(Clone)]
struct Subject<'a> {
    path: &'a Path,
    source: SourceText,
    /// Whether it was asked for by name.
    is_named: bool,
}

/// Checks all files that were found in the project at `root`, in the order of their paths.
///
/// Errors: no thread can be started.
pub(crate) fn check_all(
    run: Run<'_>,
    root: &Path,
    found: &Discovery,
    progress: &Progress,
) -> Result<Vec<Outcome>, Error> {
    let snapshot = Snapshot::new(root, found.files.clone());
    let files = snapshot.files();
    let nix_files: Vec<usize> = (0..files.len()).filter(|&at| is_nix(&files[at])).collect();
    progress.start(nix_files.len());
    let outcomes = check_each(run, &nix_files, |checker, at| {
        let outcome = check_file(run, checker, &files[at]);
        progress.step();
        outcome
    })?;
    let mut all: Vec<Outcome> = Vec::new();
    all.resize_with(files.len(), Outcome::default);
    for ((at, outcome), file) in outcomes.into_iter().zip(nix_files.iter().map(|&at| &files[at])) {
        all[at] = outcome.unwrap_or_else(|text| failure(run, &file.path, &text));
    }
    if imports::is_wanted(run.settings) {
        check_imports(run, &snapshot, &mut all)?;
    }
    Ok(with_troubles(run, files, all, &found.troubles))
}

/// Checks a text that came from elsewhere as if it were the file at `path`. Its imports are not
/// looked at: there is no saying where they lead to.
///
/// Errors: no thread can be started.
pub(crate) fn check_stdin(run: Run<'_>, path: &Path, bytes: Vec<u8>) -> Result<Outcome, Error> {
    let subject = Subject { path, source: SourceText::new(bytes), is_named: true };
    let check = |checker: &mut Checker, _| check_text(run, checker, subject.clone(), &[]);
    let outcomes = check_each(run, &[0], check)?;
    let outcome = outcomes.into_iter().next().map(|(_, outcome)| outcome);
    Ok(outcome.map_or_else(Outcome::default, |outcome| {
        outcome.unwrap_or_else(|text| failure(run, path, &text))
    }))
}

/// Whether `file` is Nix code as far as its name tells: lock files are found, too.
pub(crate) fn is_nix(file: &SourceFile) -> bool {
    file.path.file_name().is_none_or(|name| name != "flake.lock")
}

/// An outcome, or what the panic says that came instead.
type Guarded = (usize, Result<Outcome, String>);

/// Calls `check` for each of `wanted` in the workers.
fn check_each(
    run: Run<'_>,
    wanted: &[usize],
    check: impl Fn(&mut Checker, usize) -> Outcome + Sync,
) -> Result<Vec<Guarded>, Error> {
    let answers = for_each(run.workers, wanted.len(), Checker::default, |checker, at| {
        let outcome = guard::guarded(|| check(checker, wanted[at]));
        if outcome.is_err() {
            *checker = Checker::default();
        }
        outcome
    })?;
    let flat = |answer: Result<Result<Outcome, String>, Panicked>| {
        answer.unwrap_or_else(|Panicked(text)| Err(text))
    };
    Ok(wanted.iter().copied().zip(answers.into_iter().map(flat)).collect())
}

/// Adds what only all files together tell to the files that it is about.
fn check_imports(run: Run<'_>, snapshot: &Snapshot, outcomes: &mut [Outcome]) -> Result<(), Error> {
    let summaries = outcomes.iter_mut().map(|outcome| std::mem::take(&mut outcome.summary));
    let graph = ImportGraph::link(snapshot, summaries.collect(), &DiskFiles);
    let facts: Vec<FileFacts> =
        outcomes.iter_mut().map(|outcome| std::mem::take(&mut outcome.facts)).collect();
    let mut findings = imports::find(&graph, &facts, run.settings);
    findings.retain(|file, _| outcomes[file.index()].tally.is_open_to_rules());
    let wanted: Vec<usize> = findings.keys().map(|file| file.index()).collect();
    let run = Run { fix: None, ..run };
    let fixed: &[Outcome] = outcomes;
    let again = check_each(run, &wanted, |checker, at| {
        let file = &snapshot.files()[at];
        let fixed = fixed[at].fixed.as_ref().map(|fixed| fixed.text.clone());
        let source = match fixed {
            Some(text) => Ok(SourceText { text, first_bad: None }),
            None => read(&file.path),
        };
        let more = findings.get(&FileId(at as u32)).map_or(&[][..], Vec::as_slice);
        match source {
            Ok(source) => {
                let subject = Subject { path: &file.path, source, is_named: file.is_named };
                check_text(run, checker, subject, more)
            }
            Err(problem) => unreadable(run, &file.path, &problem),
        }
    })?;
    for (at, outcome) in again {
        let path = &snapshot.files()[at].path;
        let outcome = outcome.unwrap_or_else(|text| failure(run, path, &text));
        outcomes[at].replace(outcome);
    }
    Ok(())
}

/// The outcomes of files and of paths that could not be looked at, in the order of the paths.
fn with_troubles(
    run: Run<'_>,
    files: &[SourceFile],
    outcomes: Vec<Outcome>,
    troubles: &[Trouble],
) -> Vec<Outcome> {
    let mut all: Vec<(&Path, Outcome)> =
        files.iter().map(|file| &*file.path).zip(outcomes).collect();
    for Trouble { path, problem } in troubles {
        all.push((path, unreadable(run, path, problem)));
    }
    if !troubles.is_empty() {
        all.sort_by_key(|(path, _)| path.as_os_str());
    }
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

impl Outcome {
    /// Takes over what was found now and keeps what was mended before.
    fn replace(&mut self, now: Self) {
        self.rendered = now.rendered;
        let before = std::mem::replace(&mut self.tally, now.tally);
        self.tally.fixed = before.fixed;
        self.tally.fixed_files = before.fixed_files;
    }
}

fn check_file(run: Run<'_>, checker: &mut Checker, file: &SourceFile) -> Outcome {
    match read(&file.path) {
        Ok(source) => {
            let subject = Subject { path: &file.path, source, is_named: file.is_named };
            check_text(run, checker, subject, &[])
        }
        Err(problem) => unreadable(run, &file.path, &problem),
    }
}

/// Checks one text; `more` are findings about it that were made elsewhere.
fn check_text(
    run: Run<'_>,
    checker: &mut Checker,
    subject: Subject<'_>,
    more: &[Diagnostic],
) -> Outcome {
    let Subject { path, source: SourceText { text, first_bad }, is_named } = subject;
    let settings = run.settings;
    let name = shown(path);
    let is_generated =
        !is_named && !settings.include_generated && generated_reason(path, &text).is_some();
    let own_lints = settings.lints_of(path);
    let lints = own_lints.as_ref().unwrap_or(&settings.lints);
    let active = if is_generated { &settings.generated_lints } else { lints };
    if let Some(around) = flakes::around(path) {
        checker.surround(around);
    }
    let mut checked = checker.check_with(&name, text, active, |_| more.to_vec());
    // A fixed file is written anew, and replaced bytes must not be.
    let mode = run.fix.filter(|_| first_bad.is_none());
    let mut mended = Vec::new();
    let mut fixed = None;
    if let Some(mode) = mode.filter(|_| has_fix(&checked)) {
        let before = checked.tree.text().to_owned();
        let after = fix_text(checker, &name, checked, active, mode);
        (checked, mended) = (after.rest, after.mended);
        if after.text != before {
            fixed = Some(fixed_file(path, &name, &before, after.text));
        }
    }
    let mut findings: Vec<Diagnostic> =
        checked.findings.iter().map(|found| found.diagnostic.clone()).collect();
    let more = [not_utf8(first_bad, lints), pipe(&checked, path, settings, lints)];
    for found in more.into_iter().flatten() {
        let at = findings.iter().position(|other| other.range.start > found.range.start);
        findings.insert(at.unwrap_or(findings.len()), found);
    }
    let mut tally = Tally::of(&findings);
    tally.suppressed = checked.n_suppressed;
    tally.generated = usize::from(is_generated);
    tally.fixed_files = usize::from(fixed.is_some());
    for found in &mended {
        *tally.fixed.entry(found.diagnostic.code).or_default() += 1;
    }
    let source = Source::new(&name, checked.tree.text());
    let rendered = Rendered::new(run.style, &source, &findings);
    let summary = match imports::is_wanted(settings) {
        true => summarise(&checked.tree, &checked.ir),
        false => Summary::default(),
    };
    let facts = match is_generated {
        true => FileFacts::default(),
        false => FileFacts::of(&checked, &summary, |code| settings.lints.severity(code).is_some()),
    };
    Outcome { rendered, tally, fixed, summary, facts }
}

fn has_fix(checked: &CheckedFile) -> bool {
    checked.findings.iter().any(|found| found.diagnostic.fix.is_some())
}

fn fixed_file(path: &Path, name: &str, before: &str, text: String) -> FixedFile {
    let name = name.trim_start_matches('/');
    let diff = unified_diff(&format!("a/{name}"), &format!("b/{name}"), before, &text);
    FixedFile { path: path.to_path_buf(), before: ContentHash::of(before.as_bytes()), text, diff }
}

fn not_utf8(first_bad: Option<usize>, lints: &Lints) -> Option<Diagnostic> {
    let (at, severity) = (first_bad?, lints.severity(NOT_UTF8)?);
    // The replacement character takes three bytes.
    let range = TextRange::new(at as u32, at as u32 + 3);
    let text = format!("this file is not UTF-8: byte {at} belongs to no character");
    Some(Diagnostic::new(NOT_UTF8, severity, range, text))
}

/// Nix meets a syntax error first, so a pipe behind one is no news.
fn pipe(
    checked: &CheckedFile,
    path: &Path,
    settings: &Settings,
    lints: &Lints,
) -> Option<Diagnostic> {
    let is_syntax = |code: Code| code.0.starts_with("SYN");
    let is_broken = checked.findings.iter().any(|found| is_syntax(found.diagnostic.code));
    if settings.has_pipes || is_broken {
        return None;
    }
    pipes::find(&checked.tree, path, lints.severity(pipes::CODE)?)
}

fn unreadable(run: Run<'_>, path: &Path, problem: &Problem) -> Outcome {
    let (code, message) = match problem {
        Problem::TooLarge { size } => (
            cim_nix_syntax::codes::TOO_LARGE,
            format!("this file is too large to be checked: {size} bytes, {SOURCE_LIMIT} at most"),
        ),
        _ => (UNREADABLE, format!("cannot read this path: {problem}")),
    };
    let Some(severity) = run.settings.lints.severity(code) else { return Outcome::default() };
    about_file(run, path, Diagnostic::new(code, severity, TextRange::empty(0), message))
}

/// The outcome of a file on which this program failed.
fn failure(run: Run<'_>, path: &Path, text: &str) -> Outcome {
    let message = format!("internal error: {text}");
    let finding = Diagnostic::new(INTERNAL, Severity::Error, TextRange::empty(0), message)
        .help("this is a fault of cim-nix, not of the file: please report it");
    let mut outcome = about_file(run, path, finding);
    outcome.tally.failures = 1;
    outcome
}

fn about_file(run: Run<'_>, path: &Path, finding: Diagnostic) -> Outcome {
    let name = shown(path);
    let findings = [finding];
    let rendered = Rendered::new(run.style, &Source::unread(&name), &findings);
    Outcome { rendered, tally: Tally::of(&findings), ..Outcome::default() }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::config::Config;
    use crate::output::Format;
    use crate::settings::RuleChoice;

    fn settings() -> Settings {
        Settings::new(&Config::default(), &RuleChoice::default()).unwrap()
    }

    fn run(settings: &Settings) -> Run<'_> {
        let style = Style { format: Format::Concise, color: false, unsafe_fixes: false };
        let workers = Workers { threads: NonZeroUsize::MIN, stack_size: 8 << 20 };
        Run { settings, style, fix: None, workers }
    }

    fn check(bytes: &[u8], want: Expect) -> Tally {
        let settings = settings();
        let outcome = check_stdin(run(&settings), Path::new("/x/a.nix"), bytes.to_owned()).unwrap();
        want.assert_eq(&outcome.rendered.findings().collect::<String>());
        outcome.tally
    }

    #[test]
    fn broken_bytes_are_a_finding_and_the_rest_is_checked() {
        let tally = check(
            b"let x = 1; in \"\xff\" + y",
            expect![[r#"
            /x/a.nix:1:5: warning[DEAD001] `x` is never used
            /x/a.nix:1:16: warning[SYN007] this file is not UTF-8: byte 15 belongs to no character
            /x/a.nix:1:21: error[COR001] undefined variable `y`
        "#]],
        );
        assert_eq!((tally.unparsed, tally.by_code.len()), (0, 3));
    }

    #[test]
    fn pipes_need_the_feature() {
        check(
            b"1 |> (x: x)",
            expect![[r#"
            /x/a.nix:1:3: error[SYN010] `|>` is experimental, and this project does not enable it
        "#]],
        );
        check(b"\"|>\"", expect![[""]]);
        check(
            b"1 |> ",
            expect![[r#"
            /x/a.nix:1:6: error[SYN001] expected an expression, found the end of the file
        "#]],
        );
    }

    #[test]
    fn a_panic_is_a_finding() {
        let settings = settings();
        let run = run(&settings);
        let check = |_: &mut Checker, _| panic!("nobody expected this");
        let (_, outcome) = check_each(run, &[0], check).unwrap().remove(0);
        let outcome = failure(run, Path::new("/x/a.nix"), &outcome.unwrap_err());
        let text: String = outcome.rendered.findings().collect();
        assert!(text.starts_with("/x/a.nix:1:1: error[INT001] internal error: nobody expected"));
        assert_eq!(outcome.tally.failures, 1);
    }
}
