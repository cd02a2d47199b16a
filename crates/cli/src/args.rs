//! The arguments of the program, declared as types; `--help` and completions come from here.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

use crate::commands::check::CheckArgs;
use crate::commands::collect::CollectArgs;
use crate::commands::completions::CompletionsArgs;
use crate::commands::config::ConfigArgs;
use crate::commands::eval::EvalCommand;
use crate::commands::eval_compat::EvalCompatArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::files::FilesArgs;
use crate::commands::flake::FlakeArgs;
use crate::commands::fmt::FmtArgs;
use crate::commands::graph::GraphArgs;
use crate::commands::history::{
    BlameArgs, LogArgs, RecoverArgs, RedoArgs, ReplayArgs, ShowArgs, StatusArgs, UndoArgs,
};
use crate::commands::instantiate::InstantiateArgs;
use crate::commands::migrate_config::MigrateConfigArgs;
use crate::commands::module::ModuleArgs;
use crate::commands::options::OptionsArgs;
use crate::commands::overlay::OverlayArgs;
use crate::commands::package::PackageArgs;
use crate::commands::parse::ParseArgs;
use crate::commands::query::QueryArgs;
use crate::commands::rename::RenameArgs;
use crate::commands::repl::ReplArgs;
use crate::commands::server::ServerArgs;
use crate::commands::store::{ExportArgs, ImportArgs, StoreArgs};
use crate::commands::symbols::SymbolsArgs;
use crate::terminal::ColorWhen;
use crate::worker::WorkerArgs;

/// The version, with the commit where whoever built the program named it: a build that asks Git
/// itself would fail in a release archive, and would run again after every commit.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("CIM_NIX_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("{version} ({commit})"),
        _ => version.to_owned(),
    }
});

const EXAMPLES: &str = "\
Examples:
  cim-nix check                      check the project in this folder
  cim-nix check --fix modules/       mend what can be mended safely
  cim-nix fmt                        format it in its own style
  cim-nix explain DEAD001            what a rule is about
  cim-nix eval .#packages --each     what a flake has, without Nix
  cim-nix symbols flake.nix          what a file defines

Exit status: 0 nothing found, 1 findings, 2 wrong usage or syntax, 3 the program or machine failed.";

const SERVE_EXAMPLES: &str = "\
Examples:
  cim-nix serve --tenant main=/srv/fleet
  cim-nix serve --help                       what else there is";

const SEND_EXAMPLES: &str = "\
Examples:
  cim-nix send ListFlakes
  cim-nix send GetFlake '{\"path\": \"/srv/fleet\"}'
  cim-nix send --help                        what else there is";

/// Checks Nix projects, and shows what it knows about them.
#[derive(Parser, Debug)]
#[command(name = "cim-nix", version = VERSION.as_str(), after_help = EXAMPLES)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorWhen,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Look for faults in files and folders, and mend them
    Check(CheckArgs),
    /// Format files and folders in the style of their project
    Fmt(FmtArgs),
    /// Change a name wherever its file speaks of it
    Rename(RenameArgs),
    /// Evaluate a file, an expression or a flake, without Nix
    Eval(EvalCommand),
    /// Evaluate with the arguments of nix-instantiate
    EvalCompat(EvalCompatArgs),
    /// Print the store paths of derivations, and write them on request
    Instantiate(InstantiateArgs),
    /// Show what a flake has and where it comes from
    Flake(FlakeArgs),
    /// Build packages with Nix, and copy them to caches and back
    Package(PackageArgs),
    /// Make, change and remove modules
    Module(ModuleArgs),
    /// Make, change and remove overlays
    Overlay(OverlayArgs),
    /// Make, change and activate configurations of machines and homes
    Config(ConfigArgs),
    /// Remove from the store what nothing needs
    CollectGarbage(CollectArgs),
    /// Show what happened to a project
    Log(LogArgs),
    /// Show one event: who, when, what, and what it did to files
    Show(ShowArgs),
    /// Take a change back
    Undo(UndoArgs),
    /// Bring back what was undone last
    Redo(RedoArgs),
    /// Say which event wrote each line of a file
    Blame(BlameArgs),
    /// Show what there was after an event
    Replay(ReplayArgs),
    /// Say whether files are what the events say
    Status(StatusArgs),
    /// Finish or revert what was interrupted
    Recover(RecoverArgs),
    /// Ask what the events say: flakes, packages and builds, modules, overlays, configurations
    Query(QueryArgs),
    /// Write all events as JSON lines
    Export(ExportArgs),
    /// Take events over that `export` wrote
    Import(ImportArgs),
    /// Check, back up and move the store of a project
    Store(StoreArgs),
    /// Show the options of NixOS, Home Manager or own modules
    Options(OptionsArgs),
    /// Evaluate expressions as you type them
    Repl(ReplArgs),
    /// Print the syntax tree or the tokens of a file
    Parse(ParseArgs),
    /// List what files define: bindings, attributes, parameters
    Symbols(SymbolsArgs),
    /// List the files of a project, and what each one is
    Files(FilesArgs),
    /// Show which files import which, and other graphs
    Graph(GraphArgs),
    /// Turn settings of statix, deadnix and nixf-diagnose into a cim-nix.toml
    MigrateConfig(MigrateConfigArgs),
    /// Explain a rule
    Explain(ExplainArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Serve projects to other programs, over NATS and HTTP
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServerArgs),
    /// Send a command or a query to a service over NATS
    #[command(after_help = SEND_EXAMPLES)]
    Send(ServerArgs),
    /// Do one thing for a service, within bounds
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// Which files are meant, for every command that looks for files.
#[derive(Args, Debug, Default)]
pub(crate) struct WalkArgs {
    /// Leave out what matches PATTERN, written as in a .gitignore file
    #[arg(long, value_name = "PATTERN", help_heading = "Files")]
    pub(crate) exclude: Vec<String>,
    /// Leave out what settings and --exclude leave out, and what tools wrote, even where it is named
    #[arg(long, help_heading = "Files")]
    pub(crate) force_exclude: bool,
    /// Take files that .gitignore and .ignore leave out
    #[arg(long, help_heading = "Files")]
    pub(crate) no_ignore: bool,
    /// Enter hidden folders
    #[arg(long, help_heading = "Files")]
    pub(crate) hidden: bool,
    /// Work on N threads [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = threads, help_heading = "Files")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Read the settings from FILE instead of the nearest cim-nix.toml
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,
    /// Read no cim-nix.toml
    #[arg(long, conflicts_with = "config", help_heading = "Settings")]
    pub(crate) isolated: bool,
}

/// Adds what a command is called here to the error about one that other programs have.
pub(crate) fn with_tip(mut error: clap::Error) -> clap::Error {
    let tip = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => match &**word {
            "fix" => "`cim-nix check --fix` mends what it finds",
            "lint" => "`cim-nix check` looks for faults",
            "format" => "`cim-nix fmt` formats",
            _ => return error,
        },
        _ => return error,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it should be a number of threads, 1 at least".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn declarations_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{}", command.get_name());
        }
    }
}
