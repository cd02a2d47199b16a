//! `cim-nix flake new` and `cim-nix flake init`: a flake from a template.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::with_stack;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::evaluation::EvalArgs;
use crate::exit::Exit;
use crate::flake_template::{Planned, Template};
use crate::flake_writing::apply;
use crate::installable::Installable;
use crate::lock_args::LockArgs;
use crate::output::number;
use crate::scope::{here, shown};
use crate::terminal::{self, ColorWhen, Out, colored_diff, printable};

const EXAMPLES: &str = "\
Examples:
  cim-nix flake new tool                 a folder with a small flake: a package and a shell
  cim-nix flake init                     the same here
  cim-nix flake new site -t github:owner/templates#web
  cim-nix flake init -t ../templates --dry-run

Files that are there already stay as they are; where one would have been another, the exit status is
2. In a Git repository, new files are made known to Git, since a flake has no others.
Exit status: 0 all files are there, 1 --dry-run found something to write or the template cannot be
evaluated, 2 a file is in the way, or wrong usage, 3 the network or the machine failed.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct NewCommand {
    /// The folder for the new flake
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    template: TemplateArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct InitCommand {
    #[command(flatten)]
    template: TemplateArgs,
}

#[derive(Args, Debug)]
struct TemplateArgs {
    /// The template: a flake with `templates`, and the name of one behind `#` [default: a small
    /// flake with a package and a shell]
    #[arg(long, short, value_name = "FLAKE#NAME")]
    template: Option<String>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    /// Say nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

/// How to say what was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ResultFormat {
    /// Names of files
    #[default]
    Text,
    /// One JSON object; its fields are documented in docs/flakes.md
    Json,
}

/// Errors: the template cannot be had, or a file is in the way.
pub(super) fn new(args: &NewCommand, color: ColorWhen) -> Result<Exit, Error> {
    if args.folder.exists() && !args.folder.is_dir() {
        return Err(Error::user(format!("`{}` is no folder", shown(&args.folder))));
    }
    fill(&args.template, &here().join(&args.folder), color)
}

/// Errors: the template cannot be had, or a file is in the way.
pub(super) fn init(args: &InitCommand, color: ColorWhen) -> Result<Exit, Error> {
    fill(&args.template, here(), color)
}

fn fill(args: &TemplateArgs, folder: &Path, color: ColorWhen) -> Result<Exit, Error> {
    let template = match &args.template {
        None => Template::built_in(),
        Some(typed) => {
            let installable = Installable::parse(typed)?;
            let request = args.lock_args.request()?;
            let mut surroundings = args.eval_args.surroundings()?;
            surroundings.with_flakes(true, args.eval_args.impure);
            let read = || {
                let (evaluation, _) = surroundings.start();
                Template::of_flake(&evaluation, &installable, &request)
            };
            let read = with_stack(read).map_err(|error| {
                Error::outside("cannot start a thread to evaluate on").because(error)
            })?;
            match read {
                Ok(template) => template,
                Err(error) => {
                    terminal::say(&error.render(surroundings.show_trace));
                    return Ok(Exit::Findings);
                }
            }
        }
    };
    let welcome = template.welcome.clone();
    let planned = template.planned(folder, args.template.as_deref())?;
    if !args.dry_run {
        apply(&planned.change)?;
    }
    tell(args, &planned, welcome.as_deref(), color)?;
    let would_change = !planned.change.set.is_empty() || !planned.change.others.is_empty();
    match &planned.conflicts[..] {
        [] if args.dry_run && would_change => Ok(Exit::Findings),
        [] => Ok(Exit::Clean),
        conflicts => {
            let first = shown(&folder.join(&conflicts[0]));
            let message = match conflicts.len() {
                1 => format!("`{first}` is there already, with other content, and stays as it is"),
                n => format!(
                    "`{first}` and {} are there already, with other content, and stay as they are",
                    number(n - 1, "other file")
                ),
            };
            let hint = "merge them by hand, or move them away and try again";
            Err(Error::user(message).hint(hint))
        }
    }
}

fn tell(
    args: &TemplateArgs,
    planned: &Planned,
    welcome: Option<&str>,
    color: ColorWhen,
) -> Result<(), Error> {
    let Planned { change, same, conflicts } = planned;
    let below = |path: &Path| shown(&change.root.join(path));
    let written = change.set.changes.iter().map(|change| below(&change.path));
    let written: Vec<String> =
        written.chain(change.others.iter().map(|(path, _)| below(path))).collect();
    let all = |paths: &[PathBuf]| paths.iter().map(|path| below(path)).collect::<Vec<_>>();
    let mut out = Out::new();
    if args.format == ResultFormat::Json {
        out.line(json!({
            "version": 1,
            "folder": shown(&change.root),
            "files": written,
            "written": !args.dry_run && !written.is_empty(),
            "same": all(same),
            "conflicts": all(conflicts),
            "welcome": welcome,
        }));
        return out.finish();
    }
    if args.quiet {
        return Ok(());
    }
    let verb = if args.dry_run { "would write" } else { "wrote" };
    written.iter().for_each(|path| out.line(format_args!("{verb} `{path}`")));
    all(same).iter().for_each(|path| out.line(format_args!("`{path}` is the same already")));
    if args.dry_run {
        let diff = change.set.unified_diff(|_| None);
        let gap = if diff.is_empty() { "" } else { "\n" };
        let diff = colored_diff(&diff, color.applies_to(&std::io::stdout()));
        out.text(&format!("{gap}{diff}"));
    } else if let Some(welcome) = welcome.filter(|_| conflicts.is_empty()) {
        out.line(format_args!("\n{}", printable(welcome.trim())));
    }
    out.finish()
}
