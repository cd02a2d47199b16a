//! `cim-nix`: checks Nix projects, and shows what it knows about them.
//!
//! `main` parses the arguments, calls the command and turns its end into an exit status. Each
//! command is one file in `commands`; what they share (finding files, settings, checking, output)
//! lies beside it. This crate reads the environment, the clock and the terminal, so that no other
//! crate has to.
#![allow(clippy::disallowed_methods, reason = "the edge: here arguments, files and clocks are met")]

mod args;
mod baseline;
mod checking;
mod commands;
mod config;
mod confinement;
mod dates;
mod effects;
mod escapes;
mod evaluation;
mod exit;
mod fixing;
mod flake_check;
mod flake_locking;
mod flake_show;
mod flake_template;
mod flake_writing;
mod formatting;
mod git;
mod installable;
mod listing;
mod lock_args;
mod migration;
mod nix_conf;
mod outcome;
mod outline;
mod output;
mod programs;
mod progress;
mod reading;
mod recording;
mod roots;
mod scope;
mod settings;
mod terminal;
mod watch;
mod worker;

use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| args::with_tip(error).exit());
    let ended = catch_unwind(|| commands::run(&cli.command, cli.color));
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            terminal::report(&error, cli.color);
            Exit::from(&error)
        }
        // The panic has said what and where.
        Err(_) => {
            terminal::note("this is a fault of cim-nix: please report it");
            Exit::Broken
        }
    };
    exit.into()
}
