//! Checking one file after another: reading, rules, fixes, rendering.
//!
//! Everything about a file happens in one worker, and only what is printed or written leaves it;
//! text, tree and IR are dropped at once. That keeps a run over tens of thousands of files small.
//! Finding the files, and doing something with the outcomes, is left to the commands.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use cim_nix_analysis::{CheckedFile, Checker, FixMode, Lints, fix_text};
use cim_nix_base::{Code, ContentHash, Diagnostic, Error, Severity, TextRange, unified_diff};
use cim_nix_project::{
    Discovery, Files, Panicked, Problem, SourceFile, Trouble, Workers, for_each, generated_reason,
};
use cim_nix_syntax::{NodeKind, TokenKind, Tree, ast, parse};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};

use crate::output::{Rendered, Source, Style, Tally};
use crate::progress::Progress;
use crate::reading::{SourceText, read};
use crate::scope::shown;
use crate::settings::{PIPE_OPERATORS, Settings};

const NOT_UTF8: Code = Code("SYN007");
const UNREADABLE: Code = Code("SYN008");
const PIPE: Code = Code("SYN010");
/// This program failed on the file.
const INTERNAL: Code = Code("INT001");

/// What a run does with every file.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) style: Style,
    /// Which fixes to apply, if any.
    pub(crate) fix: Option<FixMode>,
}

/// What came of one file.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rendered: Rendered,
    pub(crate) tally: Tally,
    pub(crate) fixed: Option<FixedFile>,
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

/// Checks all files that were found, in the order of their paths.
///
/// Errors: no thread can be started.
pub(crate) fn check_all(
    run: Run<'_>,
    found: &Discovery,
    workers: Workers,
    progress: &Progress,
) -> Result<Vec<Outcome>, Error> {
    let files: Vec<&SourceFile> = found.files.iter().filter(|file| is_nix(file)).collect();
    progress.start(files.len());
    let outcomes = for_each(workers, files.len(), Checker::default, |checker, at| {
        let outcome = check_guarded(run, checker, &files[at].path, |checker| {
            check_file(run, checker, files[at])
        });
        progress.step();
        outcome
    })?;
    let mut all: Vec<(&Path, Outcome)> = Vec::with_capacity(outcomes.len());
    for (file, outcome) in files.iter().zip(outcomes) {
        let outcome = outcome.unwrap_or_else(|Panicked(text)| failure(run, &file.path, &text));
        all.push((&file.path, outcome));
    }
    for Trouble { path, problem } in &found.troubles {
        all.push((path, unreadable(run, path, problem)));
    }
    if !found.troubles.is_empty() {
        all.sort_by_key(|(path, _)| path.as_os_str());
    }
    Ok(all.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Checks a text that came from elsewhere as if it were the file at `path`.
///
/// Errors: no thread can be started.
pub(crate) fn check_stdin(
    run: Run<'_>,
    path: &Path,
    bytes: Vec<u8>,
    workers: Workers,
) -> Result<Outcome, Error> {
    let text = SourceText::new(bytes);
    let outcomes = for_each(workers, 1, Checker::default, |checker, _| {
        check_guarded(run, checker, path, |checker| {
            check_text(run, checker, path, text.clone(), true)
        })
    })?;
    let outcome = outcomes.into_iter().next();
    Ok(match outcome {
        Some(Ok(outcome)) => outcome,
        Some(Err(Panicked(text))) => failure(run, path, &text),
        None => Outcome::default(),
    })
}

/// Whether `file` is Nix code as far as its name tells: lock files are found, too.
pub(crate) fn is_nix(file: &SourceFile) -> bool {
    file.path.file_name().is_none_or(|name| name != "flake.lock")
}

fn check_file(run: Run<'_>, checker: &mut Checker, file: &SourceFile) -> Outcome {
    match read(&file.path) {
        Ok(text) => check_text(run, checker, &file.path, text, file.is_named),
        Err(problem) => unreadable(run, &file.path, &problem),
    }
}

fn check_text(
    run: Run<'_>,
    checker: &mut Checker,
    path: &Path,
    source: SourceText,
    is_named: bool,
) -> Outcome {
    let settings = run.settings;
    let name = shown(path);
    let SourceText { text, first_bad } = source;
    let is_generated =
        !is_named && !settings.include_generated && generated_reason(path, &text).is_some();
    let own_lints = settings.lints_of(path);
    let lints = match &own_lints {
        _ if is_generated => &settings.generated_lints,
        Some(lints) => lints,
        None => &settings.lints,
    };
    let mut checked = checker.check(&name, text, lints);
    // A fixed file is written anew, and replaced bytes must not be.
    let mode = run.fix.filter(|_| first_bad.is_none());
    let mut mended = Vec::new();
    let mut fixed = None;
    if let Some(mode) = mode.filter(|_| has_fix(&checked)) {
        let before = checked.tree.text().to_owned();
        let after = fix_text(checker, &name, checked, lints, mode);
        (checked, mended) = (after.rest, after.mended);
        if after.text != before {
            fixed = Some(fixed_file(path, &name, &before, after.text));
        }
    }
    let lints = own_lints.as_ref().unwrap_or(&settings.lints);
    let findings = findings(&checked, path, settings, lints, first_bad);
    let mut tally = Tally::of(&findings);
    tally.suppressed = checked.n_suppressed;
    tally.generated = usize::from(is_generated);
    tally.fixed_files = usize::from(fixed.is_some());
    for found in &mended {
        *tally.fixed.entry(found.diagnostic.code).or_default() += 1;
    }
    let source = Source::new(&name, checked.tree.text());
    Outcome { rendered: Rendered::new(run.style, &source, &findings), tally, fixed }
}

fn has_fix(checked: &CheckedFile) -> bool {
    checked.findings.iter().any(|found| found.diagnostic.fix.is_some())
}

fn fixed_file(path: &Path, name: &str, before: &str, text: String) -> FixedFile {
    let name = name.trim_start_matches('/');
    let diff = unified_diff(&format!("a/{name}"), &format!("b/{name}"), before, &text);
    FixedFile { path: path.to_path_buf(), before: ContentHash::of(before.as_bytes()), text, diff }
}

/// What the rules found and what only this crate can know.
fn findings(
    checked: &CheckedFile,
    path: &Path,
    settings: &Settings,
    lints: &Lints,
    first_bad: Option<usize>,
) -> Vec<Diagnostic> {
    let mut all: Vec<Diagnostic> =
        checked.findings.iter().map(|found| found.diagnostic.clone()).collect();
    let n_found = all.len();
    if let (Some(at), Some(severity)) = (first_bad, lints.severity(NOT_UTF8)) {
        let range = TextRange::new(at as u32, at as u32 + 3);
        let text = format!("this file is not UTF-8: byte {at} belongs to no character");
        all.push(Diagnostic::new(NOT_UTF8, severity, range, text));
    }
    let is_parsed =
        !all.iter().any(|found| found.code.0.starts_with("SYN") && found.code != NOT_UTF8);
    if is_parsed && let Some(severity) = lints.severity(PIPE) {
        all.extend(pipe(&checked.tree, path, settings, severity));
    }
    if all.len() > n_found {
        all.sort_by_key(|found| found.range.start);
    }
    all
}

/// The first pipe operator of a project that does not enable them.
fn pipe(tree: &Tree, path: &Path, settings: &Settings, severity: Severity) -> Option<Diagnostic> {
    let text = tree.text().as_bytes();
    let has = |operator: &str| memchr::memmem::find(text, operator.as_bytes()).is_some();
    if settings.has_pipes || !(has("|>") || has("<|")) {
        return None;
    }
    let is_pipe = |kind| matches!(kind, TokenKind::PipeInto | TokenKind::PipeFrom);
    let token = tree.tokens().find(|token| is_pipe(token.kind()))?;
    if path.ancestors().skip(1).any(flake_has_pipes) {
        return None;
    }
    let message =
        format!("`{}` is experimental, and this project does not enable it", token.text());
    let help = format!(
        "add `experimental-features = [\"{PIPE_OPERATORS}\"]` to cim-nix.toml if your Nix has it on"
    );
    Some(Diagnostic::new(PIPE, severity, token.range(), message).help(help))
}

/// Whether the flake in `folder`, if there is one, enables pipe operators in its `nixConfig`.
fn flake_has_pipes(folder: &Path) -> bool {
    let text = DiskFiles.read(&folder.join("flake.nix"), SOURCE_LIMIT);
    text.is_ok_and(|text| enables_pipes(&parse(text).tree))
}

/// Nix takes a list of strings or one string with blanks in it; both are literals in a flake.
fn enables_pipes(flake: &Tree) -> bool {
    let strings =
        flake.nodes().filter(|node| matches!(node.kind(), NodeKind::Str | NodeKind::IndStr));
    let mut named = strings.filter(|node| {
        let text = ast::Str::cast(*node).and_then(ast::Str::static_value);
        text.is_some_and(|text| text.split_whitespace().any(|word| word == PIPE_OPERATORS))
    });
    named.any(|node| {
        let names = node.ancestors().filter_map(|above| above.child_of_kind(NodeKind::AttrPath));
        let path: Vec<&str> = names.map(|path| path.text()).collect();
        let outermost = path.iter().rev().flat_map(|part| part.split('.')).collect::<Vec<_>>();
        let is_setting =
            |name: &str| matches!(name, "experimental-features" | "extra-experimental-features");
        matches!(outermost.as_slice(), ["nixConfig", name] if is_setting(name))
    })
}

fn unreadable(run: Run<'_>, path: &Path, problem: &Problem) -> Outcome {
    let code = match problem {
        Problem::TooLarge { .. } => cim_nix_syntax::codes::TOO_LARGE,
        _ => UNREADABLE,
    };
    let Some(severity) = run.settings.lints.severity(code) else { return Outcome::default() };
    let message = match problem {
        Problem::TooLarge { size } => {
            format!("this file is too large to be checked: {size} bytes, {SOURCE_LIMIT} at most")
        }
        _ => format!("cannot read this path: {problem}"),
    };
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
    Outcome { rendered, tally: Tally::of(&findings), fixed: None }
}

thread_local! {
    /// What the panic on this thread says and where, while a file is checked.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `check`; a panic in it is an outcome, too, and `checker` is made anew.
fn check_guarded(
    run: Run<'_>,
    checker: &mut Checker,
    path: &Path,
    check: impl FnOnce(&mut Checker) -> Outcome,
) -> Outcome {
    install_hook();
    PANIC.set(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(|| check(checker)));
    let text = PANIC.take().unwrap_or_default();
    outcome.unwrap_or_else(|panic: Box<dyn Any + Send>| {
        drop(panic);
        *checker = Checker::default();
        failure(run, path, &text)
    })
}

/// While a file is checked, a panic is kept for its finding instead of being printed.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_kept = PANIC.with_borrow_mut(|slot| {
                slot.as_mut().map(|slot| {
                    let payload = info.payload_as_str().unwrap_or("a panic without a message");
                    let place = info.location().map(|at| format!(" ({at})")).unwrap_or_default();
                    *slot = format!("{payload}{place}");
                })
            });
            if is_kept.is_none() {
                default(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
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
        Run { settings, style, fix: None }
    }

    fn check(bytes: &[u8], want: Expect) -> Tally {
        let settings = settings();
        let mut checker = Checker::default();
        let text = SourceText::new(bytes.to_owned());
        let outcome = check_text(run(&settings), &mut checker, Path::new("/x/a.nix"), text, true);
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
    }

    #[test]
    fn a_flake_enables_pipes() {
        let check =
            |text: &str, want: bool| assert_eq!(enables_pipes(&parse(text).tree), want, "{text}");
        check("{ nixConfig.experimental-features = [ \"flakes\" \"pipe-operators\" ]; }", true);
        check(
            "{ nixConfig = { extra-experimental-features = \"flakes pipe-operators\"; }; }",
            true,
        );
        check("{ nixConfig.experimental-features = [ \"flakes\" ]; }", false);
        check("{ description = \"pipe-operators\"; }", false);
        check("{ a.nixConfig.experimental-features = [ \"pipe-operators\" ]; }", false);
    }

    #[test]
    fn a_panic_is_a_finding() {
        let settings = settings();
        let path = Path::new("/x/a.nix");
        let outcome = check_guarded(run(&settings), &mut Checker::default(), path, |_| {
            panic!("nobody expected this")
        });
        let text: String = outcome.rendered.findings().collect();
        assert!(
            text.starts_with("/x/a.nix:1:1: error[INT001] internal error: nobody expected this")
        );
        assert!(text.contains("checking.rs"));
        assert_eq!(outcome.tally.failures, 1);
    }
}
