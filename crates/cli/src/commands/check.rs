//! `cim-nix check`: looks for faults, and mends them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::reading::OurFiles;
use cim_domain_nix::Evidence;
use cim_domain_nix::command::CheckFlake;
use cim_nix_analysis::FixMode;
use cim_nix_app::{Mode, Proposal};
use cim_nix_base::{ChangeSet, Error};
use clap::Args;

use crate::args::WalkArgs;
use crate::baseline::{self, Baseline, Project};
use crate::checking::evaluated::{EvalRequest, evaluate};
use crate::checking::{FixedFile, Outcome, Run, Wanted, check_all, check_stdin};
use crate::config;
use crate::evaluation::{duration, size};
use crate::exit::Exit;
use crate::fixing::{Purpose, Target};
use crate::output::{Ending, Format, Report, Status, Style, Tally, number};
use crate::progress::Progress;
use crate::reading::{is_stdin, read_stdin};
use crate::recording::{self, Recorder, new_identity};
use crate::scope;
use crate::settings::{FailOn, RuleChoice, Settings};
use crate::terminal::{ColorWhen, Out, colored_diff, note, printable, report as report_error};
use crate::watch::{self, Versions};

const EXAMPLES: &str = "\
Examples:
  cim-nix check                        check everything below this folder
  cim-nix check --fix flake.nix        mend what can be mended safely
  cim-nix check --diff                 show what --fix would change
  cim-nix check --select DEAD,COR001   run these rules only
  cim-nix check --format json          findings for another program
  cim-nix check --baseline main        what is new since a revision
  cim-nix check --record               note the result in the log of the project
  cim-nix check --format html --output report.html
  cim-nix check - < default.nix        check standard input

Findings go to standard output, everything else to standard error. Exit status: 0 no findings at
or above --fail-on, 1 findings (or changes that --diff shows), 2 wrong usage, unreadable files or
syntax errors, 3 the program or the machine failed.";

/// Look for faults in files and folders, and mend them
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Files and folders; `-` is standard input
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The path that standard input is taken to have
    #[arg(long, value_name = "PATH", help_heading = "Files")]
    stdin_filename: Option<PathBuf>,
    /// Mend what can be mended without a change of meaning
    #[arg(long)]
    fix: bool,
    /// Mend what may change the meaning, too (with --fix or --diff)
    #[arg(long)]
    unsafe_fixes: bool,
    /// Write fixed files without an event that tells of it and lets `cim-nix undo` take it back
    #[arg(long, requires = "fix")]
    no_record: bool,
    /// Note in the log of the project how many findings of which rules there are in it
    #[arg(
        long,
        conflicts_with_all = ["diff", "watch", "baseline", "changed_since", "select", "ignore", "no_record"]
    )]
    record: bool,
    /// Show what --fix would change instead of changing it
    #[arg(long, conflicts_with_all = ["fix", "format", "statistics", "max_findings"])]
    diff: bool,
    /// Check again whenever a file changes
    #[arg(long, conflicts_with_all = ["fix", "diff"])]
    watch: bool,
    /// How to write findings
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = "Output")]
    format: Format,
    /// Write to FILE instead of standard output; it is replaced when the report is whole
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Report only what is new since REV, a revision in Git or a FILE.json of an earlier run
    #[arg(long, value_name = "REV", conflicts_with_all = ["fix", "diff"])]
    baseline: Option<String>,
    /// Check only files that changed since REV, a revision in Git, and those that it does not know
    #[arg(long, value_name = "REV", help_heading = "Files")]
    changed_since: Option<String>,
    /// Run these rules instead of the usual ones: codes, beginnings of codes, names or ALL
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = "Rules")]
    select: Vec<String>,
    /// Leave out these rules
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = "Rules")]
    ignore: Vec<String>,
    /// Evaluate configurations, for rules about options: `.#NAME` or a file [default: the flake here]
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        help_heading = "Evaluation"
    )]
    eval: Vec<String>,
    /// Stop evaluating after TIME, such as 30s or 5m
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration,
        default_value = "2m",
        requires = "eval",
        help_heading = "Evaluation"
    )]
    eval_timeout: Duration,
    /// Stop evaluating when values take more than SIZE, such as 500M
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = size,
        default_value = "4G",
        requires = "eval",
        help_heading = "Evaluation"
    )]
    eval_max_memory: usize,
    /// Evaluate without the network: what is not in the cache is missing
    #[arg(long, requires = "eval", help_heading = "Evaluation")]
    eval_offline: bool,
    /// From which severity on findings fail the run [default: warning]
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Rules")]
    fail_on: Option<FailOn>,
    /// Run rules on files that tools wrote, too
    #[arg(long, help_heading = "Files")]
    include_generated: bool,
    /// Count findings by rule instead of showing them
    #[arg(long, help_heading = "Output")]
    statistics: bool,
    /// Write findings only: no summary, no remarks, no progress
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Show at most N findings
    #[arg(long, value_name = "N", help_heading = "Output")]
    max_findings: Option<usize>,
    #[command(flatten)]
    walk: WalkArgs,
}

pub(crate) fn run(args: &CheckArgs, color: ColorWhen) -> Result<Exit, Error> {
    if args.statistics && !args.format.has_statistics() {
        return Err(Error::user(
            "`--statistics` counts instead of listing, which this format cannot",
        )
        .hint("take human, concise, json or json-lines"));
    }
    let is_stdin_among = args.paths.iter().any(|path| is_stdin(path));
    if !is_stdin_among {
        if args.stdin_filename.is_some() {
            return Err(Error::user("`--stdin-filename` is for standard input")
                .hint("give `-` as the path"));
        }
        return match args.watch {
            true => watch(args, color),
            false => Ok(check(args, color)?.exit),
        };
    }
    if args.paths.len() > 1 {
        return Err(Error::user("`-` is standard input and stands alone, without other paths"));
    }
    let is_text = !matches!(
        args.format,
        Format::Sarif | Format::Gitlab | Format::Junit | Format::Rdjson | Format::Html
    );
    if args.fix && !is_text {
        return Err(Error::user("with `--fix -` standard output is the fixed text, not a report")
            .hint("take human, concise, json-lines or github, which go to standard error"));
    }
    let of_revisions = [("--baseline", &args.baseline), ("--changed-since", &args.changed_since)];
    if let Some((option, _)) = of_revisions.iter().find(|(_, given)| given.is_some()) {
        return Err(Error::user(format!("`{option}` is for files, not for standard input")));
    }
    if args.walk.force_exclude {
        return Err(Error::user("`--force-exclude` is for files, not for standard input"));
    }
    if args.record {
        return Err(Error::user("`--record` is for a whole project, not for standard input"));
    }
    if args.watch {
        return Err(Error::user("standard input cannot be watched"));
    }
    let path = args.stdin_filename.clone().unwrap_or_else(|| "stdin.nix".into());
    let config = scope::config(&args.walk, std::slice::from_ref(&path))?;
    let settings = Settings::new(&config, &args.rule_choice())?;
    let run = args.run(&settings, color);
    check_standard_input(args, run, &path)
}

/// What of a project is to be mended.
pub(crate) struct Wish {
    /// The rules; those of its settings for none.
    pub(crate) select: Vec<String>,
    /// Whether fixes are wanted that may change what code means.
    pub(crate) unsafe_fixes: bool,
}

/// What was found in a project.
pub(crate) struct Found {
    pub(crate) tally: Tally,
    /// The files as they would be.
    pub(crate) files: Vec<FixedFile>,
    /// What a reader should know.
    pub(crate) notes: Vec<String>,
}

impl Found {
    /// How often each rule mends something.
    pub(crate) fn fixes(&self) -> BTreeMap<String, u64> {
        self.tally.fixed.iter().map(|(code, n)| (code.to_string(), *n as u64)).collect()
    }
}

/// Checks all of the project at `root` by its settings; nothing is written.
///
/// Errors: the settings are wrong, or this program failed on a file.
pub(crate) fn look_through(root: &Path, wish: Option<&Wish>) -> Result<Found, Error> {
    let walk = WalkArgs::default();
    let paths = [root.to_owned()];
    let choice = RuleChoice {
        select: wish.map(|wish| wish.select.clone()).unwrap_or_default(),
        ..RuleChoice::default()
    };
    let config = scope::config(&walk, &paths)?;
    let mut settings = Settings::new(&config, &choice)?;
    let mut found = scope::find_files(&OurFiles, &walk, &paths, &config)?;
    let own = scope::config_path(&walk, &paths);
    settings.read_nested(own.as_deref(), &choice, &mut found.files)?;
    let unsafe_fixes = wish.is_some_and(|wish| wish.unsafe_fixes);
    let run = Run {
        root,
        settings: &settings,
        wanted: Wanted::of(&settings),
        files: &OurFiles,
        only: None,
        is_compared: false,
        style: Style { format: Format::Concise, color: false, unsafe_fixes },
        fix: wish.map(|_| if unsafe_fixes { FixMode::Unsafe } else { FixMode::Safe }),
        workers: scope::workers(&walk),
    };
    let outcomes = check_all(run, root, &found, &Progress::new(false))?;
    let mut tally = Tally::default();
    outcomes.iter().for_each(|outcome| tally.add(&outcome.tally));
    if tally.failures > 0 {
        let files = number(tally.failures, "file");
        return Err(Error::bug(format!("the check failed on {files}")));
    }
    let notes = outcomes.iter().filter_map(|outcome| outcome.left_out.clone()).collect();
    let files = outcomes.into_iter().filter_map(|outcome| outcome.fixed).collect();
    Ok(Found { tally, files, notes })
}

/// How one run over files ended.
struct Checked {
    exit: Exit,
    /// Whether somebody still reads what is printed.
    has_reader: bool,
}

fn check(args: &CheckArgs, color: ColorWhen) -> Result<Checked, Error> {
    args.refuse_output()?;
    let config = scope::config(&args.walk, &args.paths)?;
    let mut settings = Settings::new(&config, &args.rule_choice())?;
    let root = scope::project_root(&args.paths);
    args.refuse_partial_record(&root)?;
    let evaluation = args.evaluate(&mut settings, &root)?;
    let target = match args.fix {
        true => Some(Target::new(root.clone(), !args.no_record)?),
        false => None,
    };
    if let Some(target) = &target {
        target.recover()?;
    }
    let progress = Progress::new(!args.quiet);
    let mut found = scope::find_files(&OurFiles, &args.walk, &args.paths, &config)?;
    if args.walk.config.is_none() && !args.walk.isolated {
        let own = scope::config_path(&args.walk, &args.paths);
        settings.read_nested(own.as_deref(), &args.rule_choice(), &mut found.files)?;
    }
    let baseline =
        args.baseline.as_deref().map(|named| Baseline::read(named, &root)).transpose()?;
    let only = args.changed_since.as_deref().map(|rev| baseline::changed_since(rev, &root));
    let only = only.transpose()?;
    let run =
        Run { only: only.as_ref(), is_compared: baseline.is_some(), ..args.run(&settings, color) };
    let mut outcomes = check_all(run, &root, &found, &progress)?;
    if let Some(baseline) = baseline {
        let (walk, paths) = (&args.walk, &*args.paths);
        let project = Project { root: &root, walk, paths, config: &config };
        baseline.part(run, &project, &mut outcomes)?;
    }
    drop(progress);
    if !args.quiet && outcomes.iter().all(|outcome| outcome.tally.files == 0) {
        note(if only.is_some() { "no Nix files changed" } else { "no Nix files found" });
    }
    args.remark(&outcomes);
    if args.diff {
        return Ok(Checked { exit: show_changes(args, run, &outcomes)?, has_reader: true });
    }
    if let Some(target) = &target {
        target.write(
            "fix what `cim-nix check --fix` found",
            outcomes.iter().filter_map(|outcome| outcome.fixed.as_ref()),
            args.purpose(&outcomes),
        )?;
    }
    let mut tally = Tally::default();
    outcomes.iter().for_each(|outcome| tally.add(&outcome.tally));
    let event = if args.record { record(&root, &tally)? } else { None };
    let mut out = args.out()?;
    report(args, run, &outcomes, (&tally, event.as_deref()), &mut out);
    out.flush();
    let has_reader = !out.is_closed();
    out.finish()?;
    let exit = outcomes.iter().map(Outcome::exit).max().unwrap_or(Exit::Clean);
    Ok(Checked { exit: exit.max(evaluation), has_reader })
}

/// Checks again whenever a file changes, until somebody ends it or nobody reads.
fn watch(args: &CheckArgs, color: ColorWhen) -> Result<Exit, Error> {
    let mut versions = look(args);
    loop {
        if io::stdout().is_terminal() {
            let mut out = Out::new();
            out.text(CLEAR);
            out.finish()?;
        }
        // A setting that is wrong now may be right in a moment.
        let has_reader = check(args, color).map_or_else(
            |error| {
                report_error(&error, color);
                true
            },
            |checked| checked.has_reader,
        );
        if !has_reader {
            return Ok(Exit::Clean);
        }
        if !args.quiet {
            note(format_args!("watching {}; Ctrl-C ends", number(versions.len(), "file")));
        }
        let now = watch::wait_for_change(&versions, || look(args));
        if !args.quiet {
            note(changed(&versions.changes(&now)));
        }
        versions = now;
    }
}

/// Clears the screen and what was scrolled out of it.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// The files that are looked at, settings included.
fn look(args: &CheckArgs) -> Versions {
    let settings = scope::config_path(&args.walk, &args.paths);
    let config = scope::config(&args.walk, &args.paths).unwrap_or_default();
    let found = scope::find_files(&OurFiles, &args.walk, &args.paths, &config);
    let files = found.unwrap_or_default().files;
    let folders: BTreeSet<PathBuf> =
        files.iter().filter_map(|file| file.path.parent()).map(Path::to_path_buf).collect();
    let nested =
        folders.iter().map(|folder| folder.join(config::FILE_NAME)).filter(|path| path.is_file());
    let settings: BTreeSet<PathBuf> = settings.into_iter().chain(nested).collect();
    Versions::of(files.into_iter().map(|file| file.path.to_path_buf()).chain(settings))
}

fn changed(paths: &[&Path]) -> String {
    let shown: Vec<String> = paths.iter().take(3).map(|path| scope::shown(path)).collect();
    let more = paths.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("changed: {}{more}", shown.join(", "))
}

impl CheckArgs {
    fn rule_choice(&self) -> RuleChoice {
        RuleChoice {
            select: self.select.clone(),
            ignore: self.ignore.clone(),
            fail_on: self.fail_on,
            include_generated: self.include_generated,
            force_exclude: self.walk.force_exclude,
        }
    }

    /// What fixed files are written for.
    fn purpose(&self, outcomes: &[Outcome]) -> Purpose {
        let mut fixes = BTreeMap::new();
        for (code, n) in outcomes.iter().flat_map(|outcome| &outcome.tally.fixed) {
            *fixes.entry(code.to_string()).or_default() += *n as u64;
        }
        Purpose::Fix { select: self.select.clone(), unsafe_fixes: self.unsafe_fixes, fixes }
    }

    /// Evaluates what was asked for. Whatever the rules find, a run does not end better than this.
    fn evaluate(&self, settings: &mut Settings, root: &Path) -> Result<Exit, Error> {
        if self.eval.is_empty() {
            return Ok(Exit::Clean);
        }
        if let Some(path) = self.paths.iter().find(|path| path.to_string_lossy().contains('#')) {
            let shown = path.display();
            return Err(Error::user(format!("`{shown}` is no file to check")).hint(format!(
                "a configuration to evaluate is joined to the option: --eval={shown}"
            )));
        }
        let request = EvalRequest {
            what: self.eval.clone(),
            timeout: self.eval_timeout,
            max_memory: self.eval_max_memory,
            offline: self.eval_offline,
            quiet: self.quiet,
        };
        let evaluated = evaluate(&request, root)?;
        evaluated.failures.iter().chain(&evaluated.complaints).for_each(note);
        settings.options = evaluated.tables;
        Ok(match (evaluated.failures.is_empty(), evaluated.complaints.is_empty()) {
            (false, _) => Exit::Refused,
            (true, false) => Exit::Findings,
            (true, true) => Exit::Clean,
        })
    }

    /// Errors: only a part of the project is checked, which says nothing of the whole.
    fn refuse_partial_record(&self, root: &Path) -> Result<(), Error> {
        let is_whole = |path: &PathBuf| scope::real(path) == root;
        if !self.record || self.paths.iter().any(is_whole) {
            return Ok(());
        }
        let shown = scope::shown(root);
        Err(Error::user("`--record` is for a whole project, and this is a part of one")
            .hint(format!("the project is `{shown}`")))
    }

    /// Says which files that were asked for were not looked at.
    fn remark(&self, outcomes: &[Outcome]) {
        if !self.quiet {
            outcomes.iter().filter_map(|outcome| outcome.left_out.as_ref()).for_each(note);
        }
    }

    /// Errors: the report would take the place of code, as in `-o *.nix`.
    fn refuse_output(&self) -> Result<(), Error> {
        let Some(path) = self.output.as_deref().filter(|path| path.is_file()) else {
            return Ok(());
        };
        let is_code = path.extension().is_some_and(|end| end == "nix")
            || path.file_name().is_some_and(|name| name == "flake.lock" || name == "cim-nix.toml");
        if !is_code {
            return Ok(());
        }
        let shown = printable(&path.to_string_lossy()).into_owned();
        Err(Error::user(format!("`{shown}` is part of a project, and a report would replace it"))
            .hint("name another file behind `--output`"))
    }

    /// Where the answer goes.
    fn out(&self) -> Result<Out, Error> {
        match &self.output {
            Some(path) => Out::to_file(path),
            None => Ok(Out::new()),
        }
    }

    fn run<'s>(&self, settings: &'s Settings, color: ColorWhen) -> Run<'s> {
        let color = match self.output {
            Some(_) => color == ColorWhen::Always,
            None => color.applies_to(&io::stdout()),
        };
        let mode = if self.unsafe_fixes { FixMode::Unsafe } else { FixMode::Safe };
        Run {
            root: Path::new("/"),
            settings,
            wanted: Wanted::of(settings),
            files: &OurFiles,
            only: None,
            is_compared: false,
            style: Style { format: self.format, color, unsafe_fixes: self.unsafe_fixes },
            fix: (self.fix || self.diff).then_some(mode),
            workers: scope::workers(&self.walk),
        }
    }
}

/// Writes the findings; with them comes the event that tells of the check, if there is one.
fn report(
    args: &CheckArgs,
    run: Run<'_>,
    outcomes: &[Outcome],
    (tally, event): (&Tally, Option<&str>),
    out: &mut Out,
) {
    let ending = Ending {
        statistics: args.statistics,
        quiet: args.quiet,
        has_baseline: args.baseline.is_some(),
        max_findings: args.max_findings,
    };
    let new = outcomes.iter().map(|outcome| &outcome.rendered);
    let mut report = Report::new(out, run.style, ending, tally, new);
    for outcome in outcomes {
        let Outcome { rendered, old, gone, silenced, .. } = outcome;
        report.file(&[
            (Status::New, rendered),
            (Status::Unchanged, old),
            (Status::Gone, gone),
            (Status::Silenced, silenced),
        ]);
    }
    report.end(tally, event);
    if let Some(event) = event.filter(|_| !args.quiet) {
        note(format_args!("recorded as event {event}"));
    }
    if let Some(path) = args.output.as_ref().filter(|_| !args.quiet) {
        let findings = number(tally.findings(), "finding");
        note(format_args!("{findings} written to {}", scope::shown(&scope::here().join(path))));
    }
}

/// Notes the result of a check in the project's log, and returns the id of the event.
///
/// Errors: it cannot be stored.
fn record(root: &Path, tally: &Tally) -> Result<Option<String>, Error> {
    if tally.failures > 0 {
        let files = number(tally.failures, "file");
        note(format_args!("note: the check failed on {files}, so it is not recorded"));
        return Ok(None);
    }
    let recorder = Recorder::open(root)?;
    let path = recording::text_of(recorder.root())?;
    let command = CheckFlake { path, identity: new_identity() }.into();
    let (files, findings) = (tally.files as u64, tally.as_findings());
    let evidence = move |_| Evidence::Checked { files, findings: findings.clone() };
    let set = ChangeSet::default();
    let proposal = Proposal { set, evidence: Box::new(evidence), notes: Vec::new() };
    let outcome = recorder.app().change(&command, proposal, Mode::Apply)?;
    Ok(outcome.events.first().map(|event| event.identity().message_id.to_string()))
}

fn check_standard_input(args: &CheckArgs, run: Run<'_>, path: &Path) -> Result<Exit, Error> {
    let bytes = read_stdin()?;
    let given = args.fix.then(|| bytes.clone());
    let path = scope::real(path);
    let root = scope::project_root(std::slice::from_ref(&path));
    let run = Run { root: &root, ..run };
    let outcome = check_stdin(run, &path, bytes)?;
    args.remark(std::slice::from_ref(&outcome));
    if args.diff {
        return show_changes(args, run, &[outcome]);
    }
    let mut out = args.out()?;
    if let Some(given) = given {
        // The text goes where it is expected, so the findings go to the other stream.
        match &outcome.fixed {
            Some(fixed) => out.text(&fixed.text),
            None => out.bytes(&given),
        }
        for finding in outcome.rendered.findings() {
            note(finding.trim_end());
        }
        out.finish()?;
        return Ok(outcome.exit());
    }
    let exit = outcome.exit();
    let tally = outcome.tally.clone();
    report(args, run, &[outcome], (&tally, None), &mut out);
    out.finish()?;
    Ok(exit)
}

fn show_changes(args: &CheckArgs, run: Run<'_>, outcomes: &[Outcome]) -> Result<Exit, Error> {
    let mut out = args.out()?;
    let mut tally = Tally::default();
    for outcome in outcomes {
        tally.add(&outcome.tally);
        if let Some(fixed) = &outcome.fixed {
            out.text(&colored_diff(&fixed.diff, run.style.color));
        }
    }
    out.finish()?;
    if !args.quiet {
        let n_fixed = number(tally.n_fixed(), "finding");
        note(match tally.fixed_files {
            0 => "nothing to fix".to_owned(),
            n => format!("would fix {n_fixed} in {}", number(n, "file")),
        });
    }
    Ok(match tally {
        Tally { failures: 1.., .. } => Exit::Broken,
        Tally { unparsed: 1.., .. } => Exit::Refused,
        Tally { fixed_files: 1.., .. } => Exit::Findings,
        _ => Exit::Clean,
    })
}
