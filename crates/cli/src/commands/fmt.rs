//! `cim-nix fmt`: lays out Nix files in the style of their project.

use std::env;
use std::io::{self, BufWriter};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::reading::OurFiles;
use cim_nix_base::Error;
use cim_nix_format::{Failure, Options, child, nixfmt, nixpkgs_fmt, settled};
use cim_nix_project::{Discovery, SourceFile};
use clap::{Args, ValueEnum};

use crate::args::WalkArgs;
use crate::checking::{FixedFile, guard, is_nix};
use crate::config::{CheckConfig, Config};
use crate::exit::Exit;
use crate::fixing::{Purpose, Target};
use crate::formatting::{
    ChangedLines, Choice, Job, LeftOut, Lines, Outcome, Project, Styles, become_command, choose,
    format_all, format_stdin, limit_memory, project_of,
};
use crate::output::{Format, Rendered, Source, Style, number};
use crate::progress::Progress;
use crate::reading::{SourceText, is_stdin, read_stdin};
use crate::scope::{self, here, shown};
use crate::terminal::{ColorWhen, Out, colored_diff, note};

mod json;

const EXAMPLES: &str = "\
Examples:
  cim-nix fmt                            format everything below this folder
  cim-nix fmt --check                    list what would change, for CI
  cim-nix fmt --diff modules/            show what would change
  cim-nix fmt --explain                  which formatter, and why that one
  cim-nix fmt --formatter alejandra      choose another style
  cim-nix fmt --changed-since main       format only the lines that changed
  cim-nix fmt - < default.nix            format standard input

A file whose meaning a formatter would change is left as it is. Exit status: 0 all is formatted,
1 --check or --diff found something to change, 2 a file could not be formatted, or wrong usage,
3 the program or the machine failed.";

/// What a formatter needs for deeply nested code. Only pages that are touched take memory.
const STACK: usize = 512 << 20;

/// Format files and folders in the style of their project
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FmtArgs {
    /// Files and folders; `-` is standard input [default: the whole project for `nix fmt`, else .]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The path that standard input is taken to have
    #[arg(long, value_name = "PATH", help_heading = "Files")]
    stdin_filename: Option<PathBuf>,
    /// List the files that would change, and change nothing
    #[arg(long)]
    check: bool,
    /// Show what would change, and change nothing
    #[arg(long, conflicts_with = "check")]
    diff: bool,
    /// Write files without an event that tells of it and lets `cim-nix undo` take it back
    #[arg(long, conflicts_with_all = ["check", "diff"])]
    no_record: bool,
    /// Say which formatter each project gets and why, and format nothing
    #[arg(long, conflicts_with_all = ["check", "diff"])]
    explain: bool,
    /// nixfmt, nixpkgs-fmt, alejandra, or a command that reads and writes standard streams
    #[arg(long, value_name = "NAME|COMMAND", help_heading = "Style")]
    formatter: Option<String>,
    /// The widest line, in columns (nixfmt only) [default: 100]
    #[arg(long, value_name = "N", help_heading = "Style", value_parser = clap::value_parser!(u16).range(20..=1000))]
    width: Option<u16>,
    /// Spaces for each level (nixfmt only) [default: 2]
    #[arg(long, value_name = "N", help_heading = "Style", value_parser = clap::value_parser!(u8).range(1..=16))]
    indent: Option<u8>,
    /// Format only lines A to B, counted from 1; may be given several times
    #[arg(long, value_name = "A:B", value_parser = line_range, help_heading = "Lines")]
    range: Vec<RangeInclusive<u32>>,
    /// Format only lines that changed since this commit, and files that are new
    #[arg(long, value_name = "REV", conflicts_with = "range", help_heading = "Lines")]
    changed_since: Option<String>,
    /// End a formatter that takes longer than this for one file, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Style")]
    timeout_per_file: Duration,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = "Output")]
    format: ResultFormat,
    /// Say nothing but what is wrong
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    #[command(flatten)]
    walk: WalkArgs,
    /// Answer the requests of another process of this program
    #[arg(long, hide = true, value_name = "NAME")]
    serve: Option<String>,
    /// Become the command that the paths make up, with a limit on memory
    #[arg(long, hide = true)]
    run_bounded: bool,
}

/// How to say what was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ResultFormat {
    /// Names of files and a summary
    #[default]
    Text,
    /// One JSON object; its schema is documented in docs/formatting.md
    Json,
}

pub(crate) fn run(args: &FmtArgs, color: ColorWhen) -> Result<Exit, Error> {
    if let Some(name) = &args.serve {
        return serve(args, name);
    }
    if args.run_bounded {
        return Err(become_command(&args.paths));
    }
    let paths = args.given_paths();
    let is_stdin_among = paths.iter().any(|path| is_stdin(path));
    if args.stdin_filename.is_some() && !is_stdin_among {
        return Err(
            Error::user("`--stdin-filename` is for standard input").hint("give `-` as the path")
        );
    }
    if is_stdin_among && paths.len() > 1 {
        return Err(Error::user("`-` is standard input and stands alone, without other paths"));
    }
    if args.explain {
        return explain(args, &paths);
    }
    if is_stdin_among {
        return format_standard_input(args, color);
    }
    format_files(args, &paths, color)
}

/// Formats all of the project at `root`; nothing is written. Answers by what, the files as they would
/// be, and what a reader should know.
///
/// Errors: there is no such formatter, or this program failed on a file.
pub(crate) fn look_through(
    root: &Path,
    formatter: Option<&str>,
) -> Result<(String, Vec<FixedFile>, Vec<String>), Error> {
    let paths = vec![root.to_owned()];
    let args = FmtArgs {
        paths: paths.clone(),
        stdin_filename: None,
        check: false,
        diff: false,
        no_record: true,
        explain: false,
        formatter: formatter.map(str::to_owned),
        width: None,
        indent: None,
        range: Vec::new(),
        changed_since: None,
        timeout_per_file: Duration::from_secs(10),
        format: ResultFormat::Text,
        quiet: true,
        walk: WalkArgs::default(),
        serve: None,
        run_bounded: false,
    };
    let mut styles = styles(&args, &paths)?;
    let mut roots = paths.clone();
    let found = find(&args, &paths, &mut styles, &mut roots)?;
    let projects = projects(&args, roots, &mut styles)?;
    let outcomes =
        format_all(args.job(&projects, &Lines::All), &found.files, &Progress::new(false))?;
    let mut notes = Vec::new();
    for (file, outcome) in found.files.iter().zip(&outcomes) {
        let path = file.path.strip_prefix(root).unwrap_or(&file.path);
        match outcome {
            Outcome::Refused { is_broken, .. } => notes.push(format!(
                "`{}` {}",
                shown(path),
                if *is_broken { "has broken syntax" } else { "would mean something else" }
            )),
            Outcome::Unreadable(why) => notes.push(format!("`{}`: {why}", shown(path))),
            Outcome::Failed(why) => {
                return Err(Error::bug(format!("cannot format `{}`: {why}", shown(path))));
            }
            _ => {}
        }
    }
    let files = outcomes.into_iter().filter_map(|outcome| match outcome {
        Outcome::Formatted(file) => Some(file),
        _ => None,
    });
    let files = files.collect();
    Ok((names(&projects), files, notes))
}

/// The formatters of projects.
fn names(projects: &[Project]) -> String {
    let mut names: Vec<_> =
        projects.iter().map(|project| project.decision.formatter.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

impl FmtArgs {
    /// The paths that are meant. `nix fmt` gives none where it means the whole flake, and says where
    /// that is.
    fn given_paths(&self) -> Vec<PathBuf> {
        if !self.paths.is_empty() {
            return self.paths.clone();
        }
        let flake = env::var_os("PRJ_ROOT").map(PathBuf::from);
        let around =
            flake.filter(|root| root.is_absolute() && here().starts_with(scope::real(root)));
        vec![around.unwrap_or_else(|| ".".into())]
    }

    fn options(&self) -> Options {
        Options { width: self.width, indent: self.indent }
    }

    fn choice<'c>(&'c self, config: &'c Config) -> Choice<'c> {
        Choice {
            asked: self.formatter.as_deref(),
            options: self.options(),
            config,
            limit: self.timeout_per_file,
            workers: scope::workers(&self.walk),
        }
    }

    fn job<'j>(&self, projects: &'j [Project], lines: &'j Lines) -> Job<'j> {
        Job {
            projects,
            limit: self.timeout_per_file,
            lines,
            wants_diff: self.diff,
            workers: scope::workers(&self.walk),
        }
    }

    fn is_dry(&self) -> bool {
        self.check || self.diff
    }
}

fn line_range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let wanted = "a range is written as the first and the last line, such as `3:7`";
    let (first, last) = text.split_once(':').ok_or(wanted)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|&number| number > 0);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first - 1..=last - 1),
        _ => Err(wanted.to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|&seconds| seconds > 0.0);
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.ok_or_else(|| "it should be a number of seconds above zero".to_owned())
}

/// The configuration files of the run; `paths` tell where it starts.
fn styles(args: &FmtArgs, paths: &[PathBuf]) -> Result<Styles, Error> {
    let own = scope::config(&args.walk, paths)?;
    Styles::new(own, args.walk.config.is_some() || args.walk.isolated)
}

/// The folders of the projects that `paths` belong to.
fn roots(paths: &[PathBuf]) -> Vec<PathBuf> {
    let root = |path: &PathBuf| scope::project_root(std::slice::from_ref(path));
    let mut roots: Vec<PathBuf> = paths.iter().map(root).collect();
    roots.sort();
    roots.dedup();
    roots
}

/// The projects at `roots`, each with its formatter.
fn projects(
    args: &FmtArgs,
    mut roots: Vec<PathBuf>,
    styles: &mut Styles,
) -> Result<Vec<Project>, Error> {
    roots.sort();
    let project = |root: PathBuf| choose(&args.choice(styles.of(&root)?), root);
    roots.into_iter().map(project).collect()
}

fn explain(args: &FmtArgs, paths: &[PathBuf]) -> Result<Exit, Error> {
    let path = |path: &PathBuf| match is_stdin(path) {
        true => stdin_path(args),
        false => path.clone(),
    };
    let paths: Vec<PathBuf> = paths.iter().map(path).collect();
    let mut styles = styles(args, &paths)?;
    let mut roots = roots(&paths);
    find(args, &paths, &mut styles, &mut roots)?;
    let projects = projects(args, roots, &mut styles)?;
    let mut out = Out::new();
    if args.format == ResultFormat::Json {
        out.text(&json::explanation(&projects));
    } else {
        projects.iter().for_each(|project| out.text(&explained(project)));
    }
    out.finish()?;
    Ok(Exit::Clean)
}

fn explained(project: &Project) -> String {
    let decision = &project.decision;
    let formatter = &decision.formatter;
    let mut text =
        format!("{}: {}, {}\n", shown(&project.root), formatter.name(), project.way.describe());
    text += &format!("  because {} (rule {})\n", decision.because, decision.rule.word());
    let Options { width, indent } = decision.options;
    for (what, value) in [("width", width), ("indent", indent.map(u16::from))] {
        if let Some(value) = value {
            text += &format!("  {what} {value}\n");
        }
    }
    for pattern in &decision.filter.excludes {
        text += &format!("  leaves out `{pattern}`\n");
    }
    for remark in &decision.notes {
        text += &format!("  note: {remark}\n");
    }
    text
}

fn stdin_path(args: &FmtArgs) -> PathBuf {
    args.stdin_filename.clone().unwrap_or_else(|| "stdin.nix".into())
}

fn format_standard_input(args: &FmtArgs, color: ColorWhen) -> Result<Exit, Error> {
    if args.changed_since.is_some() {
        return Err(Error::user("Git does not know what changed in standard input")
            .hint("`--range` formats some lines of it"));
    }
    if args.walk.force_exclude {
        return Err(Error::user("`--force-exclude` is for files, not for standard input"));
    }
    let path = stdin_path(args);
    let paths = std::slice::from_ref(&path);
    let projects = projects(args, roots(paths), &mut styles(args, paths)?)?;
    let lines = lines(args, &[])?;
    let bytes = read_stdin()?;
    let source = SourceText::new(bytes.clone());
    let path = scope::real(&path);
    let outcome = format_stdin(args.job(&projects, &lines), &path, &source)?;
    let mut tally = Tally::default();
    tally.add(&outcome);
    let mut out = Out::new();
    match &outcome {
        _ if args.format == ResultFormat::Json => {}
        Outcome::Formatted(file) if args.diff => out.text(&colored_diff(&file.diff, colors(color))),
        _ if args.diff => {}
        Outcome::Formatted(file) if args.check => out.line(shown(&file.path)),
        _ if args.check => {}
        Outcome::Formatted(file) => out.text(&file.text),
        // Whoever replaces a text by the answer keeps it.
        _ => out.bytes(&bytes),
    }
    if args.format == ResultFormat::Json {
        let file = SourceFile { path: path.into(), is_named: true };
        out.text(&json::report(&projects, &[(file, outcome)], &tally, args.is_dry()));
    } else {
        complain(&path, &outcome, color);
    }
    out.finish()?;
    Ok(tally.exit(args.is_dry()))
}

fn lines(args: &FmtArgs, roots: &[PathBuf]) -> Result<Lines, Error> {
    if let Some(rev) = &args.changed_since {
        return Ok(Lines::Changed(ChangedLines::since(rev, roots)?));
    }
    Ok(match args.range.as_slice() {
        [] => Lines::All,
        ranges => Lines::Some(ranges.to_vec()),
    })
}

fn format_files(args: &FmtArgs, paths: &[PathBuf], color: ColorWhen) -> Result<Exit, Error> {
    let mut styles = styles(args, paths)?;
    let mut roots = roots(paths);
    let lines = lines(args, &roots)?;
    let found = find(args, paths, &mut styles, &mut roots)?;
    if !args.range.is_empty() && found.files.len() != 1 {
        return Err(Error::user("`--range` is for one file, or for standard input"));
    }
    let target = match args.is_dry() {
        true => None,
        false => Some(Target::new(scope::project_root(paths), !args.no_record)?),
    };
    if let Some(target) = &target {
        target.recover()?;
    }
    let projects = projects(args, roots, &mut styles)?;
    if !args.quiet {
        remark(&projects);
    }
    let progress = Progress::new(!args.quiet);
    progress.start(found.files.len());
    let outcomes = format_all(args.job(&projects, &lines), &found.files, &progress)?;
    drop(progress);
    if let Some(target) = &target {
        let changed = outcomes.iter().filter_map(Outcome::changed);
        let purpose = Purpose::Format { formatter: names(&projects) };
        target.write("format with `cim-nix fmt`", changed, purpose)?;
    }
    let mut tally = Tally { unreadable: found.troubles.len(), ..Tally::default() };
    outcomes.iter().for_each(|outcome| tally.add(outcome));
    let mut out = Out::new();
    if args.format == ResultFormat::Json {
        let all: Vec<_> = found.files.into_iter().zip(outcomes).collect();
        out.text(&json::report(&projects, &all, &tally, args.is_dry()));
    } else {
        show(args, &found, &outcomes, color, &mut out);
    }
    out.finish()?;
    if !args.quiet && args.format == ResultFormat::Text {
        note(tally.summary(args.is_dry()));
    }
    Ok(tally.exit(args.is_dry()))
}

/// The Nix files that are meant. What `[check]` leaves out is formatted nevertheless. Folders with
/// settings of their own that some of the files lie in are added to `roots`.
fn find(
    args: &FmtArgs,
    paths: &[PathBuf],
    styles: &mut Styles,
    roots: &mut Vec<PathBuf>,
) -> Result<Discovery, Error> {
    let own = styles.own();
    let exclude = own.format.exclude.clone();
    let check = CheckConfig { exclude, ..CheckConfig::default() };
    let config = Config { check, folder: own.folder.clone(), ..Config::default() };
    let mut found = scope::find_files(&OurFiles, &args.walk, paths, &config)?;
    found.files.retain(is_nix);
    found.files.iter_mut().for_each(|file| file.is_named &= !args.walk.force_exclude);
    styles.apply(&mut found.files, roots)?;
    Ok(found)
}

/// Says what people should know before: a formatter that is not ours, settings that are not obeyed.
fn remark(projects: &[Project]) {
    for project in projects {
        let name = project.decision.formatter.name();
        if matches!(project.way, crate::formatting::Way::Command(_)) {
            note(format_args!("note: {name} is {}", project.way.describe()));
        }
        for remark in &project.decision.notes {
            note(format_args!("note: {remark}"));
        }
    }
}

fn show(args: &FmtArgs, found: &Discovery, outcomes: &[Outcome], color: ColorWhen, out: &mut Out) {
    for (file, outcome) in found.files.iter().zip(outcomes) {
        match outcome {
            Outcome::Formatted(fixed) if args.diff => {
                out.text(&colored_diff(&fixed.diff, colors(color)));
            }
            Outcome::Formatted(_) if args.check => out.line(shown(&file.path)),
            _ => {}
        }
        complain(&file.path, outcome, color);
        if file.is_named && !args.quiet && matches!(outcome, Outcome::LeftOut(LeftOut::Encrypted)) {
            note(format_args!("left out: {} is encrypted", shown(&file.path)));
        }
    }
    for trouble in &found.troubles {
        note(format_args!("error: {}: {}", shown(&trouble.path), trouble.problem));
    }
}

fn colors(color: ColorWhen) -> bool {
    color.applies_to(&io::stdout())
}

/// Says why a file stays as it is, where something is wrong.
fn complain(path: &Path, outcome: &Outcome, color: ColorWhen) {
    let name = shown(path);
    match outcome {
        Outcome::Refused { text, findings, .. } => {
            let color = color.applies_to(&io::stderr());
            let style = Style { format: Format::Human, color, unsafe_fixes: false };
            let rendered = Rendered::new(style, &Source::new(&name, text), findings);
            rendered.findings().for_each(|finding| note(finding.trim_end_matches('\n')));
        }
        Outcome::Unreadable(message) | Outcome::Failed(message) => {
            note(format_args!("error: {name}: {message}"));
        }
        _ => {}
    }
}

impl Outcome {
    fn changed(&self) -> Option<&FixedFile> {
        match self {
            Self::Formatted(file) => Some(file),
            _ => None,
        }
    }
}

/// Counts of a run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Tally {
    unchanged: usize,
    formatted: usize,
    generated: usize,
    encrypted: usize,
    excluded: usize,
    /// Files with broken syntax.
    broken: usize,
    /// Files whose formatter failed, or whose result did not pass.
    refused: usize,
    unreadable: usize,
    /// Files on which this program failed.
    failures: usize,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        let slot = match outcome {
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Formatted(_) => &mut self.formatted,
            Outcome::LeftOut(LeftOut::Generated) => &mut self.generated,
            Outcome::LeftOut(LeftOut::Encrypted) => &mut self.encrypted,
            Outcome::LeftOut(LeftOut::Excluded) => &mut self.excluded,
            Outcome::Refused { is_broken: true, .. } => &mut self.broken,
            Outcome::Refused { .. } => &mut self.refused,
            Outcome::Unreadable(_) => &mut self.unreadable,
            Outcome::Failed(_) => &mut self.failures,
        };
        *slot += 1;
    }

    fn exit(&self, is_dry: bool) -> Exit {
        match self {
            Self { failures: 1.., .. } => Exit::Broken,
            Self { broken, refused, unreadable, .. } if broken + refused + unreadable > 0 => {
                Exit::Refused
            }
            Self { formatted: 1.., .. } if is_dry => Exit::Findings,
            _ => Exit::Clean,
        }
    }

    fn summary(&self, is_dry: bool) -> String {
        let verb = if is_dry { "would format" } else { "formatted" };
        let mut parts = vec![format!("{verb} {}", number(self.formatted, "file"))];
        for (n, what) in [
            (self.unchanged, "already formatted"),
            (self.generated, "generated"),
            (self.encrypted, "encrypted"),
            (self.excluded, "left out by the project's settings"),
            (self.broken, "with broken syntax"),
            (self.refused, "refused"),
            (self.unreadable + self.failures, "failed"),
        ] {
            if n > 0 {
                parts.push(format!("{} {what}", crate::output::thousands(n)));
            }
        }
        parts.join(", ")
    }
}

/// Answers texts with formatted ones until there are no more.
fn serve(args: &FmtArgs, name: &str) -> Result<Exit, Error> {
    limit_memory();
    let options = args.options();
    let is_nixfmt = name == "nixfmt";
    let answer = move |text: &str| {
        let run = || match is_nixfmt {
            true => nixfmt(text, options),
            false => settled(text, |text| Ok(nixpkgs_fmt(text))),
        };
        guard::guarded(run).unwrap_or_else(|text| Err(Failure::new(format!("it failed: {text}"))))
    };
    let work =
        move || child::serve(io::stdin().lock(), BufWriter::new(io::stdout().lock()), answer);
    let thread = thread::Builder::new().stack_size(STACK).spawn(work);
    let ended = thread.map(thread::JoinHandle::join);
    match ended {
        Ok(Ok(Ok(()))) => Ok(Exit::Clean),
        _ => Ok(Exit::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_does_not_decide_whose_fault_it_is() {
        let exit = |outcome: Outcome, is_dry| {
            let mut tally = Tally::default();
            tally.add(&outcome);
            tally.exit(is_dry)
        };
        let message = || "internal error: so it says".to_owned();
        assert_eq!(exit(Outcome::Unreadable(message()), false), Exit::Refused);
        assert_eq!(exit(Outcome::Failed("anything".to_owned()), true), Exit::Broken);
        for reason in [LeftOut::Generated, LeftOut::Encrypted, LeftOut::Excluded] {
            assert_eq!(exit(Outcome::LeftOut(reason), true), Exit::Clean);
        }
    }
}
