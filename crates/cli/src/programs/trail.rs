//! What an effect finds out on its way, noted at once: this process may be gone the next moment.

use std::fs;
use std::path::PathBuf;

use cim_domain_nix::Command;
use cim_nix_base::{ContentHash, Error};

use crate::recording::state_home;

/// A file with a store path, and behind a derivation, the names of the outputs that are built of it.
#[derive(Clone, Debug)]
pub(super) struct Trail(PathBuf);

/// Where the trail of a command lies.
///
/// Errors: there is no place for it.
pub(super) fn place(command: &Command) -> Result<PathBuf, Error> {
    let id = command.identity().message_id.to_string();
    let name = ContentHash::of(id.as_bytes()).to_string();
    Ok(state_home()?.join("cim-nix").join("effects").join(&name[..32]))
}

impl Trail {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Notes a path. Without the note less can be told after a crash, which stops nothing.
    pub(super) fn note(&self, path: &str) {
        if let Some(folder) = self.0.parent() {
            let _ = fs::create_dir_all(folder);
        }
        // With its end, so that a part of it is not taken for the whole.
        let _ = fs::write(&self.0, format!("{path}\n"));
    }

    /// Notes a derivation with the outputs that are going to be built, or all of them.
    pub(super) fn note_build(&self, derivation: &str, outputs: Option<&[String]>) {
        match outputs {
            Some(outputs) => self.note(&format!("{derivation} {}", outputs.join(" "))),
            None => self.note(derivation),
        }
    }

    /// The path that was noted, with the names behind it.
    pub(super) fn noted(&self) -> Option<(String, Vec<String>)> {
        let text = fs::read_to_string(&self.0).ok()?;
        let mut words = text.strip_suffix('\n')?.split(' ').map(str::to_owned);
        Some((words.next()?, words.collect()))
    }

    pub(super) fn remove(self) {
        let _ = fs::remove_file(self.0);
    }
}
