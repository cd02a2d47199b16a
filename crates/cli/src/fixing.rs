//! Writing fixed files: all of a run or none.
//!
//! The journal lies in `$XDG_STATE_HOME/cim-nix/journal/` (or below `~/.local/state`), since a file
//! beside `flake.nix` would be part of the flake.

use std::env;
use std::path::PathBuf;

use cim_nix_base::{ChangeSet, Error, Op};
use cim_nix_vfs::{Recovered, journal_dir};

use crate::checking::FixedFile;
use crate::output::number;
use crate::scope::shown;
use crate::terminal::note;

/// The project whose files are written.
pub(crate) struct Target {
    root: PathBuf,
    state: PathBuf,
}

impl Target {
    /// Errors: the folder is gone, or there is no place for the journal.
    pub(crate) fn new(root: PathBuf) -> Result<Self, Error> {
        let state = journal_dir(&state_home()?, &root)?;
        Ok(Self { root, state })
    }

    /// Finishes or reverts what an earlier run was interrupted in.
    pub(crate) fn recover(&self) -> Result<(), Error> {
        let (interrupted, what) = match cim_nix_vfs::recover(&self.root, &self.state)? {
            Recovered::Nothing => return Ok(()),
            Recovered::Reverted(interrupted) => (interrupted, "reverted"),
            Recovered::Finished(interrupted) => (interrupted, "finished"),
        };
        let files = number(interrupted.files.len(), "file");
        note(format_args!(
            "note: an earlier run was interrupted while it wrote {files}; {what} it"
        ));
        for warning in interrupted.warnings {
            note(format_args!("note: {warning}"));
        }
        Ok(())
    }

    /// Writes `files`, all or none; `title` says what for.
    ///
    /// Errors: nothing has changed. A conflict names the file that somebody else changed meanwhile.
    pub(crate) fn write<'f>(
        &self,
        title: &str,
        files: impl Iterator<Item = &'f FixedFile>,
    ) -> Result<(), Error> {
        let mut set = ChangeSet::new(title);
        for file in files {
            let Ok(path) = file.path.strip_prefix(&self.root) else {
                let (path, root) = (shown(&file.path), shown(&self.root));
                return Err(Error::bug(format!("`{path}` is outside of the project `{root}`")));
            };
            set.push(path, Op::Write { expected: file.before, content: file.text.clone() });
        }
        self.apply(&set)
    }

    /// Makes a change, all of it or none.
    ///
    /// Errors: nothing has changed. A conflict names the file that somebody else changed meanwhile.
    pub(crate) fn apply(&self, set: &ChangeSet) -> Result<(), Error> {
        let applied = cim_nix_vfs::apply(&self.root, &self.state, set)?;
        for warning in applied.warnings {
            note(format_args!("note: {warning}"));
        }
        Ok(())
    }
}

fn state_home() -> Result<PathBuf, Error> {
    // As the specification has it, a relative path counts as none.
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").map(|home| home.join(".local/state"));
    folder("XDG_STATE_HOME").or_else(home).ok_or_else(|| {
        Error::user("there is no place for the journal of what is written: HOME is not set")
            .hint("set XDG_STATE_HOME to a folder of yours")
    })
}
