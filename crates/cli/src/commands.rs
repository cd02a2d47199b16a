//! One command, one file.

pub(crate) mod authoring;
pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod eval;
pub(crate) mod eval_compat;
pub(crate) mod explain;
pub(crate) mod files;
pub(crate) mod flake;
pub(crate) mod fmt;
pub(crate) mod graph;
pub(crate) mod history;
pub(crate) mod instantiate;
pub(crate) mod migrate_config;
pub(crate) mod module;
pub(crate) mod options;
pub(crate) mod overlay;
pub(crate) mod package;
pub(crate) mod parse;
pub(crate) mod query;
pub(crate) mod rename;
pub(crate) mod repl;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod symbols;

use cim_nix_base::Error;

use crate::args::Command;
use crate::exit::Exit;
use crate::terminal::ColorWhen;
use crate::worker;

/// Runs a command. `color` is for what it prints.
pub(crate) fn run(command: &Command, color: ColorWhen) -> Result<Exit, Error> {
    match command {
        Command::Check(args) => check::run(args, color),
        Command::Fmt(args) => fmt::run(args, color),
        Command::Eval(args) => eval::run(args),
        Command::EvalCompat(args) => eval_compat::run(args),
        Command::Instantiate(args) => instantiate::run(args),
        Command::Rename(args) => args.run(color),
        Command::Flake(args) => flake::run(args, color),
        Command::Package(args) => args.run(),
        Command::Module(args) => args.run(color),
        Command::Overlay(args) => args.run(color),
        Command::Config(args) => args.run(color),
        Command::CollectGarbage(args) => args.run(),
        Command::Log(args) => args.run(color),
        Command::Show(args) => args.run(color),
        Command::Undo(args) => args.run(color),
        Command::Redo(args) => args.run(color),
        Command::Blame(args) => args.run(),
        Command::Replay(args) => args.run(),
        Command::Status(args) => args.run(color),
        Command::Recover(args) => args.run(),
        Command::Query(args) => args.run(),
        Command::Export(args) => args.run(),
        Command::Import(args) => args.run(),
        Command::Store(args) => args.run(),
        Command::Options(args) => options::run(args, color),
        Command::Repl(args) => repl::run(args),
        Command::Parse(args) => parse::run(args),
        Command::Symbols(args) => symbols::run(args),
        Command::Files(args) => files::run(args),
        Command::Graph(args) => graph::run(args),
        Command::MigrateConfig(args) => migrate_config::run(args),
        Command::Explain(args) => explain::run(args, color),
        Command::Completions(args) => completions::run(args),
        Command::Serve(args) => server::run("serve", args),
        Command::Send(args) => server::run("send", args),
        Command::Worker(args) => worker::run(args),
    }
}
