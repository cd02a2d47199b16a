//! `cim-nix-oracle`: runs the judges from the command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is this program's job")]
#![allow(clippy::disallowed_methods, reason = "as in the library")]

mod args;
mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run(std::env::args_os().skip(1)) {
        Ok(report) => {
            print!("{}", report.text);
            if report.agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {}", error.chain());
            error.hints().iter().for_each(|hint| eprintln!("  hint: {hint}"));
            ExitCode::from(2)
        }
    }
}
