//! Asks a Nix of 2022, version 2.8.0, which many systems still have.
//!
//! Its messages have other words, so of failures only that they are failures is compared.

use std::path::Path;
use std::process::{Command, Stdio};

use cim_nix_base::Error;

use super::answer::{Answer, Outcome};
use super::world::{self, FOLDER, HOME, ROOT, VARIABLES};

/// What an old Nix says: a value, or nothing but that it fails.
pub type OldAnswer = Option<String>;

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .envs(VARIABLES.iter().copied())
        .env("PATH", path)
        .env("HOME", HOME)
        .env("NIX_REMOTE", "dummy://")
        .env("NIX_PATH", format!("w={FOLDER}"))
        .env("NIX_CONFIG", "experimental-features = nix-command flakes")
        .env("NIX_USER_CONF_FILES", "")
        .current_dir(ROOT)
        .stdin(Stdio::null())
        .args(["--eval", "--strict"]);
    command
}

/// The answers to the expressions in some slots. One process evaluates until one fails.
///
/// Errors: the program cannot be started.
pub fn old_answers(program: &Path, slots: &[usize]) -> Result<Vec<OldAnswer>, Error> {
    let mut answers = Vec::with_capacity(slots.len());
    while answers.len() < slots.len() {
        let rest = &slots[answers.len()..];
        let rest = &rest[..rest.len().min(200)];
        let output = command(program)
            .args(rest.iter().map(|&slot| world::path_of(slot)))
            .output()
            .map_err(|error| {
                Error::outside(format!("cannot start `{}`", program.display())).because(error)
            })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let before = answers.len();
        answers.extend(text.lines().map(|line| Some(line.to_owned())));
        if answers.len() - before < rest.len() {
            answers.push(None);
        }
    }
    Ok(answers)
}

/// Whether an old answer agrees with one of today.
#[must_use]
pub fn old_agrees(answer: &Answer, old: &OldAnswer) -> bool {
    match (&answer.outcome, old) {
        (Outcome::Value(value), Some(old)) => value == old,
        (Outcome::Failure(_), None) => true,
        _ => false,
    }
}
