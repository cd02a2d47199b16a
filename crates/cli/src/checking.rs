//! Checking files: reading, rules, fixes, rendering.
//!
//! Everything about a file happens in one worker, and only what is printed or written leaves it,
//! with a summary of its imports; text, tree and IR are dropped at once. That keeps a run over tens
//! of thousands of files small. The few files that the import graph speaks about are checked once
//! more. Finding files, and doing something with the outcomes, is left to the commands.

pub(crate) mod evaluated;
mod flakes;
pub(crate) mod guard;
mod imports;
mod pipes;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cim_nix_analysis::{CheckedFile, Checker, FileFacts, FixMode, Lints, Silenced, fix_text};
use cim_nix_base::{Code, ContentHash, Diagnostic, Error, Severity, TextRange, unified_diff};
use cim_nix_project::{
    Discovery, FileId, ImportGraph, Panicked, Problem, Snapshot, SourceFile, Summary, Trouble,
    Workers, encrypted_reason, for_each, generated_reason, summarise,
};
use cim_nix_syntax::Tree;
use cim_nix_vfs::SOURCE_LIMIT;

pub(crate) use self::imports::Wanted;
use crate::exit::Exit;
use crate::output::{Key, Rendered, Source, Style, Tally, keys};
use crate::progress::Progress;
use crate::reading::{SourceText, Sources};
use crate::scope::shown;
use crate::settings::{FailOn, Settings};

const NOT_UTF8: Code = Code("SYN007");
const UNREADABLE: Code = Code("SYN008");
/// This program failed on the file.
const INTERNAL: Code = Code("INT001");

/// What a run does with every file.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// The folder of the project: what lies above it says nothing about a file.
    pub(crate) root: &'a Path,
    pub(crate) settings: &'a Settings,
    /// What the rules about files among each other need.
    pub(crate) wanted: Wanted,
    pub(crate) files: &'a dyn Sources,
    pub(crate) style: Style,
    /// Which fixes to apply, if any.
    pub(crate) fix: Option<FixMode>,
    pub(crate) workers: Workers,
    /// The only files whose findings matter; of others, only what these must know of them does.
    pub(crate) only: Option<&'a HashSet<PathBuf>>,
    /// Whether findings are kept to be compared with those of another revision.
    pub(crate) is_compared: bool,
}

impl Run<'_> {
    /// Whether the file at `path` matters only for the sake of others.
    fn is_context(&self, path: &Path) -> bool {
        self.only.is_some_and(|only| !only.contains(path))
    }
}

/// What came of one file.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rendered: Rendered,
    /// What comments silence, where the format shows it.
    pub(crate) silenced: Rendered,
    /// What was there at the baseline already, where the format shows it.
    pub(crate) old: Rendered,
    /// What was there at the baseline only, where the format shows it.
    pub(crate) gone: Rendered,
    pub(crate) tally: Tally,
    /// What the findings are compared by, where they are.
    pub(crate) compared: Option<Box<Compared>>,
    /// What fails a run by the settings of the file.
    fail_on: FailOn,
    pub(crate) fixed: Option<FixedFile>,
    /// Why nothing was looked for in it, where it was asked for by name.
    pub(crate) left_out: Option<String>,
    /// What it refers to, where that was asked for.
    summary: Summary,
    /// What else the rules about all files must know of it.
    facts: FileFacts,
}

/// The findings of a file, to be compared with those of another revision.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) path: PathBuf,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) keys: Vec<Key>,
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
    /// Whether only what others say about it matters.
    is_context: bool,
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
    let run = Run { root, ..run };
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
    if run.wanted.any {
        check_imports(run, &snapshot, &mut all)?;
    }
    Ok(with_troubles(run, files, all, &found.troubles))
}

/// Checks a text that came from elsewhere as if it were the file at `path`. Its imports are not
/// looked at: there is no saying where they lead to.
///
/// Errors: no thread can be started.
pub(crate) fn check_stdin(run: Run<'_>, path: &Path, bytes: Vec<u8>) -> Result<Outcome, Error> {
    let source = SourceText::new(bytes);
    let subject = Subject { path, source, is_named: true, is_context: false };
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
    let new = || Checker::with_options(run.settings.options.clone());
    let answers = for_each(run.workers, wanted.len(), new, |checker, at| {
        let outcome = guard::guarded(|| check(checker, wanted[at]));
        if outcome.is_err() {
            *checker = new();
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
    let graph = ImportGraph::link(snapshot, summaries.collect(), run.files);
    let facts: Vec<FileFacts> =
        outcomes.iter_mut().map(|outcome| std::mem::take(&mut outcome.facts)).collect();
    let mut findings = imports::find(&graph, &facts, run.settings);
    findings.retain(|file, findings| {
        if run.is_context(&snapshot.files()[file.index()].path) {
            // Of those that do not matter, only what concerns one that does.
            findings.retain(|found| found.related.iter().any(|other| !run.is_context(&other.file)));
            return !findings.is_empty();
        }
        outcomes[file.index()].tally.is_open_to_rules()
    });
    let wanted: Vec<usize> = findings.keys().map(|file| file.index()).collect();
    let run = Run { fix: None, ..run };
    let fixed: &[Outcome] = outcomes;
    let again = check_each(run, &wanted, |checker, at| {
        let file = &snapshot.files()[at];
        let fixed = fixed[at].fixed.as_ref().map(|fixed| fixed.text.clone());
        let source = match fixed {
            Some(text) => Ok(SourceText { text, first_bad: None }),
            None => run.files.source(&file.path),
        };
        let more = findings.get(&FileId(at as u32)).map_or(&[][..], Vec::as_slice);
        match source {
            Ok(source) => {
                let (path, is_named) = (&*file.path, file.is_named);
                let is_context = run.is_context(path);
                check_text(run, checker, Subject { path, source, is_named, is_context }, more)
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
        let before = std::mem::replace(self, now);
        self.tally.fixed = before.tally.fixed;
        self.tally.fixed_files = before.tally.fixed_files;
        self.fixed = before.fixed;
    }

    /// How the run ends as far as this file is concerned.
    pub(crate) fn exit(&self) -> Exit {
        self.tally.exit(self.fail_on)
    }

    /// Keeps apart what is there since the baseline and what was there before.
    pub(crate) fn part(&mut self, style: Style, is_new: &[bool]) {
        let Some(compared) = &self.compared else { return };
        // That this program failed is never old news.
        let failed = |at: usize| compared.findings.get(at).is_none_or(|it| it.code == INTERNAL);
        let is_new = |at: usize| is_new.get(at).copied().unwrap_or(true) || failed(at);
        let all = compared.findings.iter().enumerate();
        let (new, old): (Vec<_>, Vec<_>) = all.partition(|(at, _)| is_new(*at));
        let new: Vec<Diagnostic> = new.into_iter().map(|(_, found)| found.clone()).collect();
        let now = Tally::of(&new);
        let before = std::mem::take(&mut self.tally);
        self.tally = Tally {
            suppressed: before.suppressed,
            generated: before.generated,
            encrypted: before.encrypted,
            failures: before.failures,
            fixed: before.fixed,
            fixed_files: before.fixed_files,
            ..now
        };
        for (_, found) in old {
            *self.tally.old.entry(found.code).or_default() += 1;
        }
        if style.format.has_trends() {
            self.old = self.rendered.only(|at| !is_new(at));
        }
        self.rendered = self.rendered.only(is_new);
    }
}

impl Outcome {
    /// Adds what was found in the file earlier and is gone.
    pub(crate) fn add_gone(&mut self, style: Style, before: &Self, is_gone: &[bool]) {
        let is_gone = |at: usize| is_gone.get(at).copied().unwrap_or(false);
        let found = before.compared.iter().flat_map(|compared| &compared.findings);
        for (_, found) in found.enumerate().filter(|(at, _)| is_gone(*at)) {
            *self.tally.gone.entry(found.code).or_default() += 1;
        }
        if style.format.has_trends() {
            self.gone = before.rendered.only(is_gone);
        }
    }
}

/// Of a file whose findings do not matter: what it imports, and what others must know of it.
fn summary_only(run: Run<'_>, checker: &mut Checker, file: &SourceFile) -> Outcome {
    let source = match run.files.source(&file.path) {
        Ok(source) if run.wanted.any => source,
        _ => return Outcome::default(),
    };
    if encrypted_reason(&source.text).is_some() {
        return Outcome::default();
    }
    let checked = checker.check("", source.text, &run.settings.generated_lints);
    let summary = summarise(&checked.tree, &checked.ir);
    let facts = FileFacts::of(&checked, &summary, run.wanted.facts);
    Outcome { summary, facts, ..Outcome::default() }
}

fn check_file(run: Run<'_>, checker: &mut Checker, file: &SourceFile) -> Outcome {
    if run.is_context(&file.path) {
        return summary_only(run, checker, file);
    }
    match run.files.source(&file.path) {
        Ok(source) => {
            let (path, is_named) = (&*file.path, file.is_named);
            let subject = Subject { path, source, is_named, is_context: false };
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
    let Subject { path, source: SourceText { text, first_bad }, is_named, is_context } = subject;
    if let Some(reason) = encrypted_reason(&text) {
        return encrypted(path, is_named, reason);
    }
    let settings = run.settings.of(path);
    let name = shown(path);
    // What a path hints at must not depend on the folder that this runs in.
    let hint = path.strip_prefix(run.root).unwrap_or(path).to_string_lossy();
    let is_wanted = settings.include_generated || (is_named && !settings.force_exclude);
    let is_generated = !is_wanted && generated_reason(path, &text).is_some();
    let own_lints = run.settings.lints_of(path);
    let lints = own_lints.as_deref().unwrap_or(&settings.lints);
    let is_closed = is_generated || is_context;
    let active = if is_closed { &settings.generated_lints } else { lints };
    let others = |tree: &Tree| {
        let own = match is_context {
            false => [not_utf8(first_bad, lints), pipe(tree, path, settings, lints)],
            true => [None, None],
        };
        more.iter().cloned().chain(own.into_iter().flatten()).collect()
    };
    if let Some(around) = flakes::around(run.files, path) {
        checker.surround(around);
    }
    let mut checked = checker.check_with(&hint, text, active, others);
    // A fixed file is written anew, and replaced bytes must not be.
    let mode = run.fix.filter(|_| first_bad.is_none());
    let mut mended = Vec::new();
    let mut fixed = None;
    if let Some(mode) = mode.filter(|_| has_fix(&checked)) {
        let before = checked.tree.text().to_owned();
        let after = fix_text(checker, &hint, checked, active, mode);
        mended = after.mended;
        checked = match after.text == before {
            true => after.rest,
            false => {
                let checked = checker.check_with(&hint, after.text.as_str(), active, others);
                fixed = Some(fixed_file(path, &name, &before, after.text));
                checked
            }
        };
    }
    let findings = findings(&checked);
    let mut tally = Tally::of(&findings);
    tally.suppressed = checked.silenced.len();
    tally.generated = usize::from(is_generated);
    tally.fixed_files = usize::from(fixed.is_some());
    for found in &mended {
        *tally.fixed.entry(found.diagnostic.code).or_default() += 1;
    }
    let source = Source::new(&name, checked.tree.text()).at(path).failing_on(settings.fail_on);
    let summary = match run.wanted.any {
        true => summarise(&checked.tree, &checked.ir),
        false => Summary::default(),
    };
    let facts = match is_generated {
        true => FileFacts::reading(&checked, run.wanted.facts),
        false => FileFacts::of(&checked, &summary, run.wanted.facts),
    };
    let rendered = render(run, &source, findings, &checked.silenced);
    Outcome { tally, fixed, summary, facts, fail_on: settings.fail_on, ..rendered }
}

/// The outcome of a file that is no code without its key.
fn encrypted(path: &Path, is_named: bool, reason: &str) -> Outcome {
    let tally = Tally { files: 1, encrypted: 1, ..Tally::default() };
    let left_out = is_named.then(|| format!("left out: {} is {reason}", shown(path)));
    Outcome { tally, left_out, ..Outcome::default() }
}

/// What is found in a file, without what is no news.
fn findings(checked: &CheckedFile) -> Vec<Diagnostic> {
    let all = checked.findings.iter().map(|found| &found.diagnostic);
    let is_broken = |found: &Diagnostic| {
        found.code.0.starts_with("SYN")
            && found.severity == Severity::Error
            && found.code != pipes::CODE
    };
    // Nix meets a syntax error first, so a pipe behind one says nothing more.
    let has_syntax_error = checked.is_refused && all.clone().any(is_broken);
    all.filter(|found| !(has_syntax_error && found.code == pipes::CODE)).cloned().collect()
}

/// The texts of what was found, and what it takes to compare it.
fn render(
    run: Run<'_>,
    source: &Source<'_>,
    findings: Vec<Diagnostic>,
    silenced: &[Silenced],
) -> Outcome {
    let rendered = Rendered::new(run.style, source, &findings);
    let silenced = match run.style.format.has_silenced() {
        true => Rendered::silenced(run.style, source, silenced),
        false => Rendered::default(),
    };
    let compared = (run.is_compared && !findings.is_empty()).then(|| {
        let path = source.file().map(Path::to_path_buf).unwrap_or_default();
        Box::new(Compared { path, keys: keys(source, &findings), findings })
    });
    Outcome { rendered, silenced, compared, ..Outcome::default() }
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

fn pipe(tree: &Tree, path: &Path, settings: &Settings, lints: &Lints) -> Option<Diagnostic> {
    if settings.has_pipes {
        return None;
    }
    pipes::find(tree, path, &settings.pipe_projects, lints.severity(pipes::CODE)?)
}

fn unreadable(run: Run<'_>, path: &Path, problem: &Problem) -> Outcome {
    let (code, message) = match problem {
        Problem::TooLarge { size } => (
            cim_nix_syntax::codes::TOO_LARGE,
            format!("this file is too large to be checked: {size} bytes, {SOURCE_LIMIT} at most"),
        ),
        _ => (UNREADABLE, format!("cannot read this path: {problem}")),
    };
    let settings = run.settings.of(path);
    let Some(severity) = settings.lints.severity(code) else { return Outcome::default() };
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
    let findings = vec![finding];
    let tally = Tally::of(&findings);
    let fail_on = run.settings.of(path).fail_on;
    let source = Source::unread(&name).at(path).failing_on(fail_on);
    let rendered = render(run, &source, findings, &[]);
    Outcome { tally, fail_on, ..rendered }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::num::NonZeroUsize;
    use std::sync::Mutex;

    use crate::reading::OurFiles;
    use cim_nix_project::{EntryKind, Files, MemoryFiles, Request, discover};
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
        let (files, only, is_compared) = (&OurFiles, None, false);
        Run {
            root: Path::new("/x"),
            settings,
            wanted: Wanted::of(settings),
            files,
            style,
            fix: None,
            workers,
            only,
            is_compared,
        }
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

    /// Files of which each can be read once.
    struct Vanishing {
        files: MemoryFiles,
        read: Mutex<HashSet<PathBuf>>,
    }

    impl Files for Vanishing {
        fn read(&self, path: &Path, max_bytes: u64) -> Result<String, Problem> {
            self.files.read(path, max_bytes)
        }

        fn kind(&self, path: &Path) -> Result<EntryKind, Problem> {
            self.files.kind(path)
        }

        fn real_path(&self, path: &Path) -> Result<PathBuf, Problem> {
            self.files.real_path(path)
        }

        fn list(
            &self,
            folder: &Path,
            visit: &mut dyn FnMut(&OsStr, EntryKind),
        ) -> Result<(), Problem> {
            self.files.list(folder, visit)
        }
    }

    impl Sources for Vanishing {
        fn source(&self, path: &Path) -> Result<SourceText, Problem> {
            if !self.read.lock().unwrap().insert(path.to_path_buf()) {
                return Err(Problem::Missing);
            }
            let text = self.files.read(path, SOURCE_LIMIT)?;
            Ok(SourceText { text, first_bad: None })
        }
    }

    #[test]
    fn files_may_vanish_at_any_time() {
        let files = MemoryFiles::fixture(
            "//- /p/a.nix\nlet x = 1; in import ./gone.nix\n//- /p/b.nix\nlet x = 1; in 2\n",
        );
        let mut found = discover(&files, &Request::new(["/p"]));
        // Between the walk and the first look.
        found.files.push(SourceFile { path: Path::new("/p/c.nix").into(), is_named: false });
        let files = Vanishing { files, read: Mutex::default() };
        let settings = settings();
        let run = Run { files: &files, is_compared: true, ..run(&settings) };
        let quiet = Progress::new(false);
        let outcomes = check_all(run, Path::new("/p"), &found, &quiet).unwrap();
        let text: String =
            outcomes.iter().flat_map(|outcome| outcome.rendered.findings()).collect();
        expect![[r#"
            /p/a.nix:1:1: error[SYN008] cannot read this path: it does not exist
            /p/b.nix:1:5: warning[DEAD001] `x` is never used
            /p/c.nix:1:1: error[SYN008] cannot read this path: it does not exist
        "#]]
        .assert_eq(&text);
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
