//! `cargo xtask COMMAND`: what this repository checks, measures and generates about itself.
//!
//! One command runs what the CI runs, so that a green run here is a green run there. Nothing in
//! this crate ships: it knows every other crate by name, and none of them knows it.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build tool reads files, starts programs and talks to a terminal"
)]

mod broker;
mod chaos;
mod codegen;
mod coverage;
mod domain;
mod fuzz;
mod lcov;
mod metadata;
mod oracle;
mod process;
mod readers;
mod repo;
mod source;
mod steps;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use crate::repo::Repo;

/// What this crate returns where something was asked for and not obtained; the text is the message.
type Result<T> = std::result::Result<T, String>;

const HELP: &str = "\
Checks, measures and generates what this repository says about itself.

Usage: cargo xtask COMMAND

Commands:
  test [STEP]...    Run every step that the CI runs, or only the named ones.
                    With CI=true a step that cannot run is a failure.
  coverage          Measure which lines the tests reach, per crate. Fails if the library crates
                    together stay below --min PERCENT, where that is given.
  codegen           Write the files that are made from code. With --check, write nothing and fail
                    if one of them is out of date.
  tidy              Check what no other tool does: sizes, arrows between crates, names, forgotten
                    files, ARCHITECTURE.md.
  fuzz-eval         Compare what random expressions are worth to real Nix and to our evaluator,
                    and print a table of what was in them. Takes --count N, --seed N, --nix PATH;
                    --record FILE writes Nix's answers down instead, with --old-nix PATH also
                    where Nix 2.8.0 agrees.
  chaos             Build the service, break it in every way that happens while writers send
                    commands, and count whether anything was lost or done twice. Takes faults,
                    --commands N, --store sqlite|jetstream, --seed N, --control.
  oracle            Put a current Nix beside the build output and print the path to its
                    nix-instantiate, the judge of the differential tests.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> Result<ExitCode> {
    match args {
        [] | ["help" | "-h" | "--help", ..] | [_, "-h" | "--help", ..] => {
            print!("{HELP}\nSteps of `test`, in their order:\n{}", steps::list());
        }
        ["test", steps @ ..] => return test::run(Repo::open()?, steps),
        ["coverage"] => coverage::run(&Repo::open()?, None)?,
        ["coverage", "--min", percent] => coverage::run(&Repo::open()?, Some(percent))?,
        ["codegen"] => codegen::write(&Repo::open()?)?,
        ["codegen", "--check"] => codegen::check(&Repo::open()?)?,
        ["tidy"] => tidy::run(&Repo::open()?)?,
        ["fuzz-eval", options @ ..] => fuzz::run(&Repo::open()?, options)?,
        ["chaos", options @ ..] => return chaos::run(&Repo::open()?, options),
        ["oracle"] => println!("{}", oracle::obtain(&Repo::open()?)?.path.display()),
        _ => {
            let line = args.join(" ");
            return Err(format!("`cargo xtask {line}` is no command; try `cargo xtask help`"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
