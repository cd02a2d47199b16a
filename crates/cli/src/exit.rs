//! What the exit status says, for all commands alike.

use std::process::ExitCode;

use cim_nix_base::{Error, ErrorKind};

/// How a run ended. Ordered: the worse end wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Nothing to complain about.
    Clean = 0,
    /// Findings at or above `--fail-on`, or changes that `--diff` would make.
    Findings = 1,
    /// The request, the configuration or the syntax of a file is wrong; or somebody else changed a
    /// file at the same time.
    Refused = 2,
    /// The machine or this program failed.
    Broken = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::User | ErrorKind::Config | ErrorKind::Conflict => Self::Refused,
            ErrorKind::Outside | ErrorKind::Bug => Self::Broken,
        }
    }
}
