//! `cim-nix flake`: what a flake has, where it and its inputs come from, and its lock file.

mod check;
pub(crate) mod edit;
mod lock;
mod new;

use std::collections::HashSet;

use cim_nix_base::Error;
use cim_nix_eval::LockedFlake;
use cim_nix_model::{Edge, LockFile, NodeId, show_input_path};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::check::CheckCommand;
use self::lock::{LockCommand, UpdateCommand};
use self::new::{InitCommand, NewCommand};
use crate::commands::graph::inputs::{self, InputsArgs};
use crate::evaluation::EvalArgs;
use crate::exit::Exit;
use crate::flake_show::{self, ShowOptions};
use crate::installable::Installable;
use crate::lock_args::LockArgs;
use crate::terminal::{ColorWhen, Out, printable};

const EXAMPLES: &str = "\
Examples:
  cim-nix flake show                     the outputs of the flake here
  cim-nix flake show github:owner/repo --json
  cim-nix flake metadata                 where it and its inputs come from
  cim-nix flake show --override-input nixpkgs ../nixpkgs
  cim-nix flake lock                     add to flake.lock what it lacks
  cim-nix flake update nixpkgs           lock an input to its newest version
  cim-nix flake check                    whether all outputs are what they should be
  cim-nix flake graph                    the inputs as a tree; --format svg draws them
  cim-nix flake new tool                 a folder with a small flake
  cim-nix flake add-input utils github:numtide/flake-utils
  cim-nix flake rename-input utils flake-utils

Nix need not be installed. What a lock file lacks is locked for this run; lock, update, new, init and
the edits write files, and `cim-nix undo` takes that back.
Exit status: 0 shown, 1 evaluation failed, 2 wrong usage, 3 the machine failed.";

/// Show, check, lock and make flakes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FlakeArgs {
    #[command(subcommand)]
    command: FlakeCommand,
}

#[derive(Subcommand, Debug)]
enum FlakeCommand {
    /// Show the outputs of a flake
    Show(ShowArgs),
    /// Show where a flake and its inputs come from
    Metadata(MetadataArgs),
    /// Add to the lock file what it lacks
    Lock(LockCommand),
    /// Lock inputs to their newest versions
    Update(UpdateCommand),
    /// Give the flake an input
    AddInput(edit::AddInput),
    /// Take an input from the flake
    RemoveInput(edit::RemoveInput),
    /// Let an input come from elsewhere
    SetInput(edit::SetInput),
    /// Give an input another name, wherever it is used
    RenameInput(edit::RenameInput),
    /// Let an input of an input be another one of the flake
    Follow(edit::Follow),
    /// Let an input of an input be its own again
    Unfollow(edit::Unfollow),
    /// Let inputs that are locked several times follow one
    Dedupe(edit::Dedupe),
    /// Say what the flake is
    Describe(edit::Describe),
    /// Give the flake an output
    AddOutput(edit::AddOutput),
    /// Let the outputs be for one more system
    AddSystem(edit::AddSystem),
    /// Give the flake an overlay
    AddOverlay(edit::AddOverlay),
    /// Give the flake a module
    AddModule(edit::AddModule),
    /// Check whether all outputs are what their names promise
    Check(CheckCommand),
    /// Show the inputs as they are locked, with `follows`, ages and copies
    Graph(InputsArgs),
    /// Make a folder with a flake from a template
    New(NewCommand),
    /// Put a flake from a template here
    Init(InitCommand),
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct ShowArgs {
    /// The flake
    #[arg(value_name = "FLAKE", default_value = ".")]
    flake: String,
    /// Show what is for other systems, too
    #[arg(long)]
    all_systems: bool,
    /// Show what is in `legacyPackages`, too
    #[arg(long)]
    legacy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct MetadataArgs {
    /// The flake
    #[arg(value_name = "FLAKE", default_value = ".")]
    flake: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

pub(crate) fn run(args: &FlakeArgs, color: ColorWhen) -> Result<Exit, Error> {
    match &args.command {
        FlakeCommand::Show(args) => show(args),
        FlakeCommand::Metadata(args) => metadata(args),
        FlakeCommand::Lock(args) => lock::lock(args, color),
        FlakeCommand::Update(args) => lock::update(args, color),
        FlakeCommand::AddInput(args) => args.run(color),
        FlakeCommand::RemoveInput(args) => args.run(color),
        FlakeCommand::SetInput(args) => args.run(color),
        FlakeCommand::RenameInput(args) => args.run(color),
        FlakeCommand::Follow(args) => args.run(color),
        FlakeCommand::Unfollow(args) => args.run(color),
        FlakeCommand::Dedupe(args) => args.run(color),
        FlakeCommand::Describe(args) => args.run(color),
        FlakeCommand::AddOutput(args) => args.run(color),
        FlakeCommand::AddSystem(args) => args.run(color),
        FlakeCommand::AddOverlay(args) => args.run(color),
        FlakeCommand::AddModule(args) => args.run(color),
        FlakeCommand::Check(args) => check::run(args),
        FlakeCommand::Graph(args) => inputs::run(args),
        FlakeCommand::New(args) => new::new(args, color),
        FlakeCommand::Init(args) => new::init(args, color),
    }
}

fn show(args: &ShowArgs) -> Result<Exit, Error> {
    let flake = Installable::parse(&args.flake)?.flake;
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(true, args.eval_args.impure);
    let system = surroundings.settings.system.clone();
    surroundings.evaluate(|evaluation, _, out| {
        request.prepare(evaluation)?;
        let flake = evaluation.lock(&flake, &request.options)?;
        let value = evaluation.flake(&flake)?;
        let outputs = evaluation.attr(value, "outputs")?.unwrap_or(value);
        let options = ShowOptions {
            system: &system,
            has_all_systems: args.all_systems,
            has_legacy: args.legacy,
            is_json: args.json,
        };
        flake_show::show(evaluation, outputs, &flake.locked.to_string(), options, out)
    })
}

fn metadata(args: &MetadataArgs) -> Result<Exit, Error> {
    let flake = Installable::parse(&args.flake)?.flake;
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(true, args.eval_args.impure);
    surroundings.evaluate(|evaluation, _, out| {
        request.prepare(evaluation)?;
        let flake = evaluation.lock(&flake, &request.options)?;
        let LockedFlake { description, original, resolved, locked, store_path, lock_file, .. } =
            &flake;
        if args.json {
            let mut shown = locked.to_json();
            shown["__final"] = json!(true);
            let mut json = json!({
                "locked": shown,
                "locks": lock_file.to_json(),
                "original": original.to_json(),
                "originalUrl": original.to_string(),
                "path": store_path,
                "resolved": resolved.to_json(),
                "resolvedUrl": resolved.to_string(),
                "url": locked.to_string(),
            });
            let mut add = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    json[name] = value;
                }
            };
            add("description", description.clone().map(Value::from));
            add("lastModified", locked.number("lastModified").map(Value::from));
            add("revCount", locked.number("revCount").map(Value::from));
            add("revision", locked.text("rev").map(Value::from));
            add("fingerprint", flake.fingerprint().map(Value::from));
            add("dirtyRevision", locked.text("dirtyRev").map(Value::from));
            out.line(json.to_string());
            return Ok(());
        }
        let mut line =
            |name: &str, value: &str| out.line(format!("{:<15}{value}", format!("{name}:")));
        line("Resolved URL", &resolved.to_string());
        // Files that were never committed have no place where they will be found again.
        if locked.is_locked() {
            line("Locked URL", &locked.to_string());
        }
        if let Some(description) = description {
            line("Description", &printable(description));
        }
        line("Path", store_path);
        if let Some(rev) = locked.text("rev").or(locked.text("dirtyRev")) {
            line("Revision", rev);
        }
        if let Some(count) = locked.number("revCount") {
            line("Revisions", &count.to_string());
        }
        if let Some(seconds) = locked.number("lastModified") {
            line("Last modified", &date(seconds));
        }
        if let Some(fingerprint) = flake.fingerprint() {
            line("Fingerprint", &fingerprint);
        }
        if !lock_file.is_empty() {
            out.line("Inputs:");
            let mut seen = HashSet::from([LockFile::ROOT]);
            draw_inputs(lock_file, LockFile::ROOT, "", &mut seen, out);
        }
        Ok(())
    })
}

/// The inputs of a node of a lock file, and theirs; those of a node that is met again are left out.
fn draw_inputs(
    lock_file: &LockFile,
    node: NodeId,
    indent: &str,
    seen: &mut HashSet<NodeId>,
    out: &mut Out,
) {
    let inputs = lock_file.inputs(node);
    for (at, (name, edge)) in inputs.iter().enumerate() {
        let is_last = at + 1 == inputs.len();
        let (branch, below) =
            if is_last { ("└───", "    ") } else { ("├───", "│   ") };
        let child = match edge {
            Edge::Node(child) => *child,
            Edge::Follows(path) => {
                let path = show_input_path(path);
                out.line(format!("{indent}{branch}{name} follows input '{path}'"));
                continue;
            }
        };
        let Some(input) = lock_file.input(child) else { continue };
        let changed = input.locked.number("lastModified");
        let changed = changed.map_or(String::new(), |seconds| format!(" ({})", date(seconds)));
        out.line(format!("{indent}{branch}{name}: {}{changed}", input.locked));
        if seen.insert(child) {
            draw_inputs(lock_file, child, &format!("{indent}{below}"), seen, out);
        }
    }
}

/// Seconds since 1970 as `YYYY-MM-DD hh:mm:ss`.
fn date(seconds: u64) -> String {
    let digits = cim_nix_model::date_digits(seconds);
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    format!(
        "{}-{}-{} {}:{}:{}",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14)
    )
}
