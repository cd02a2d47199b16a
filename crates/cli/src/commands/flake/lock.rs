//! `cim-nix flake lock` and `cim-nix flake update`: the lock file as it should be, written.

use std::path::{Path, PathBuf};

use cim_nix_base::{ChangeSet, Error};
use cim_nix_model::{FlakeRef, LockChange, input_path, show_input_path};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::evaluation::EvalArgs;
use crate::exit::Exit;
use crate::flake_locking::{FlakeTexts, LockTask, NewLock, new_lock};
use crate::flake_writing::{FlakeChange, GitStep, Reason, apply};
use crate::installable::Installable;
use crate::lock_args::LockArgs;
use crate::scope::shown;
use crate::terminal::{ColorWhen, Out, colored_diff, note, printable};

const LOCK_EXAMPLES: &str = "\
Examples:
  cim-nix flake lock                       add to flake.lock what it lacks
  cim-nix flake lock --dry-run             show what would be added, and write nothing
  cim-nix flake lock --update-input nixpkgs
  cim-nix flake lock --override-input nixpkgs github:NixOS/nixpkgs/nixos-24.05
  cim-nix flake lock --no-update-lock-file fail if something is missing, for CI

Nix need not be installed: the file is byte for byte what Nix 2.34 writes. What is locked already
stays as it is. Exit status: 0 the file is as it should be, 1 --dry-run found something to change,
2 an input cannot be locked, or wrong usage, 3 the network or the machine failed.";

const UPDATE_EXAMPLES: &str = "\
Examples:
  cim-nix flake update                     lock all inputs to their newest versions
  cim-nix flake update nixpkgs home-manager/nixpkgs
                                           only these, the second one an input of an input
  cim-nix flake update --flake ./infra     those of another flake
  cim-nix flake update --commit-lock-file  commit flake.lock with what changed as the message
  cim-nix flake update --dry-run --format json
                                           what would change, for a program

Nix need not be installed: the file is byte for byte what Nix 2.34 writes. Exit status: 0 the file is
as it should be, 1 --dry-run found something to change, 2 an input cannot be locked, or wrong usage,
3 the network or the machine failed.";

#[derive(Args, Debug)]
#[command(after_help = LOCK_EXAMPLES)]
pub(super) struct LockCommand {
    /// The flake: a folder on this machine
    #[arg(value_name = "FLAKE", default_value = ".")]
    flake: String,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug)]
#[command(after_help = UPDATE_EXAMPLES)]
pub(super) struct UpdateCommand {
    /// The inputs to update; `a/b` is the input `b` of the input `a` [default: all]
    #[arg(value_name = "INPUT")]
    inputs: Vec<String>,
    /// The flake: a folder on this machine
    #[arg(long, value_name = "FLAKE", default_value = ".")]
    flake: String,
    #[command(flatten)]
    writing: WritingArgs,
}

/// What the commands that write a lock file have in common.
#[derive(Args, Debug)]
struct WritingArgs {
    /// Show what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Commit the lock file, with what changed as the message
    #[arg(long, conflicts_with_all = ["dry_run", "output_lock_file"])]
    commit_lock_file: bool,
    /// Write to FILE instead of the flake's own lock file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    output_lock_file: Option<PathBuf>,
    /// How to say what changed
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

/// How to say what changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ResultFormat {
    /// As Nix does
    #[default]
    Text,
    /// One JSON object; its fields are documented in docs/flakes.md
    Json,
}

/// Errors: the flake cannot be locked.
pub(super) fn lock(args: &LockCommand, color: ColorWhen) -> Result<Exit, Error> {
    let request = args.writing.lock_args.request()?;
    Writing { args: &args.writing, flake: &args.flake, request, fails_on_unlocked: true }.run(color)
}

/// Errors: the flake cannot be locked, or there is no such input.
pub(super) fn update(args: &UpdateCommand, color: ColorWhen) -> Result<Exit, Error> {
    let mut request = args.writing.lock_args.request()?;
    let lock = &mut request.options.lock;
    for input in &args.inputs {
        let path = input_path(input).map_err(|error| Error::user(error.to_string()))?;
        if path.is_empty() {
            return Err(Error::user("an input to update has a name"));
        }
        lock.updates.insert(path);
    }
    lock.is_anew |= lock.updates.is_empty();
    Writing { args: &args.writing, flake: &args.flake, request, fails_on_unlocked: false }
        .run(color)
}

/// A lock file to be written.
struct Writing<'a> {
    args: &'a WritingArgs,
    flake: &'a str,
    request: crate::lock_args::LockRequest,
    fails_on_unlocked: bool,
}

impl Writing<'_> {
    fn run(mut self, color: ColorWhen) -> Result<Exit, Error> {
        let args = self.args;
        let flake = Installable::parse(self.flake)?.flake;
        let folder = local_folder(&flake).ok_or_else(|| {
            Error::user(format!("cannot write the lock file of '{flake}'"))
                .hint("name a folder on this machine, without a revision or a branch")
        })?;
        let texts = FlakeTexts::read(&folder)?;
        let given = self.request.options.lock_file.take().map(|given| given.text);
        let mut surroundings = args.eval_args.surroundings()?;
        // What was looked up before may be old.
        surroundings.asks_anew();
        let task = LockTask {
            folder: &folder,
            flake_nix: &texts.flake_nix,
            old_lock: given.as_deref().or(texts.old_lock()),
            request: &self.request,
            fails_on_unlocked: self.fails_on_unlocked,
        };
        let new = new_lock(&surroundings, &task)?;
        for warning in &new.warnings {
            note(printable(&format!("warning: {warning}")));
        }
        if new.text.is_some() && self.request.options.needs_current_lock {
            let message =
                format!("the lock file of `{}` is not what its inputs need", shown(&folder));
            return Err(Error::user(message).hint("`cim-nix flake lock` writes it"));
        }
        let summary = surroundings.commit_summary.as_deref();
        let change = self.planned(&folder, &texts, &new, summary);
        let text = new.text.as_deref().or(texts.lock.as_deref());
        if let (Some(path), Some(text)) = (&args.output_lock_file, text) {
            let mut out = Out::to_file(path)?;
            out.text(text);
            out.finish()?;
        } else if !args.dry_run {
            apply(&change)?;
        }
        self.tell(&change, &texts, &new, color)?;
        let would_change = args.dry_run && !change.set.is_empty();
        Ok(if would_change { Exit::Findings } else { Exit::Clean })
    }

    /// The change that makes the lock file what it should be.
    fn planned(
        &self,
        folder: &Path,
        texts: &FlakeTexts,
        new: &NewLock,
        summary: Option<&str>,
    ) -> FlakeChange {
        let mut set = ChangeSet::new("lock the inputs of a flake");
        texts.push_lock(new, &mut set);
        let git = match self.args.commit_lock_file {
            true => GitStep::Commit(commit_message(texts, &new.changes, summary)),
            false => GitStep::Announce { forced: false },
        };
        let lock = &self.request.options.lock;
        let updates = lock.updates.iter().map(|path| show_input_path(path)).collect();
        let reason = Reason::Lock {
            updates: (lock.is_anew || !lock.updates.is_empty()).then_some(updates),
            changes: super::edit::moved(&new.changes),
        };
        FlakeChange { root: folder.to_owned(), set, others: Vec::new(), git, reason }
    }

    fn tell(
        &self,
        change: &FlakeChange,
        texts: &FlakeTexts,
        new: &NewLock,
        color: ColorWhen,
    ) -> Result<(), Error> {
        let args = self.args;
        let path = match &args.output_lock_file {
            Some(path) => path.clone(),
            None => change.root.join("flake.lock"),
        };
        let is_changed = new.text.is_some();
        let mut out = Out::new();
        if args.format == ResultFormat::Json {
            let changes: Vec<_> = new.changes.iter().map(LockChange::to_json).collect();
            out.line(json!({
                "version": 1,
                "file": shown(&path),
                "changed": is_changed,
                "written": is_changed && !args.dry_run,
                "changes": changes,
                "warnings": new.warnings,
            }));
            return out.finish();
        }
        if args.quiet {
            return Ok(());
        }
        let verb = match (is_changed, texts.lock.is_some(), args.dry_run) {
            (false, ..) => {
                out.line(format_args!("`{}` is as it should be", shown(&path)));
                return out.finish();
            }
            (true, false, false) => "created",
            (true, true, false) => "updated",
            (true, false, true) => "would create",
            (true, true, true) => "would update",
        };
        let colon = if new.changes.is_empty() { "" } else { ":" };
        out.line(format_args!("{verb} `{}`{colon}", shown(&path)));
        new.changes.iter().for_each(|change| out.text(&printable(&change.to_string())));
        if args.dry_run {
            let diff = change.set.unified_diff(|_| texts.lock.clone());
            let color = color.applies_to(&std::io::stdout());
            out.text(&format!("\n{}", colored_diff(&diff, color)));
        }
        out.finish()
    }
}

/// The folder of a flake that can be written to.
fn local_folder(flake: &FlakeRef) -> Option<PathBuf> {
    let folder = match flake.kind() {
        "path" => PathBuf::from(flake.text("path")?),
        "git" if flake.text("ref").is_none() && flake.text("rev").is_none() => {
            let url = cim_nix_model::Url::parse(flake.text("url")?).ok()?;
            let is_local = url.scheme == "file";
            is_local.then(|| PathBuf::from(url.path_text()))?
        }
        _ => return None,
    };
    Some(folder.join(flake.dir()))
}

/// What Nix writes into the log.
fn commit_message(texts: &FlakeTexts, changes: &[LockChange], summary: Option<&str>) -> String {
    let verb = if texts.lock.is_some() { "Update" } else { "Add" };
    let summary = summary.map_or_else(|| format!("flake.lock: {verb}"), str::to_owned);
    let changes: String = changes.iter().map(LockChange::to_string).collect();
    format!("{summary}\n\nFlake lock file updates:\n\n{changes}")
}
