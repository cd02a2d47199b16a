//! The files of one project on the disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cim_nix_app::{Settled, Workspace};
use cim_nix_base::{ChangeSet, Error, FileMode, Ledger, Op};
use cim_nix_project::{Files as _, Problem};
use cim_nix_vfs::{DiskFiles, Recovered, SOURCE_LIMIT, is_within, journal_dir};

use crate::limits::{outside, refuse_hidden};

/// The project's files on the disk.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    journal: PathBuf,
    is_bounded: bool,
}

impl Disk {
    /// The project at `root`, which is absolute and without symbolic links; what is being changed is
    /// noted below `state_home`.
    ///
    /// Errors: there is no place for the notes.
    pub fn new(root: PathBuf, state_home: &Path) -> Result<Self, Error> {
        let journal = journal_dir(state_home, &root)?;
        Ok(Self { root, journal, is_bounded: false })
    }

    /// The same for whoever does not trust what is asked for: links that lead out of the project are
    /// not followed, and what Git and this program keep of their own is not touched.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self { is_bounded: true, ..self }
    }

    /// The full path of a file.
    ///
    /// Errors: it must not be looked at.
    fn full(&self, path: &Path) -> Result<PathBuf, Error> {
        let full = self.root.join(path);
        if self.is_bounded {
            refuse_hidden(path)?;
            if !is_within(&full, [self.root.as_path()]) {
                return Err(outside(&path.to_string_lossy()));
            }
        }
        Ok(full)
    }
}

impl Workspace for Disk {
    fn root(&self) -> &Path {
        &self.root
    }

    fn read(&self, path: &Path) -> Result<Option<String>, Error> {
        let full = self.full(path)?;
        match DiskFiles.read(&full, SOURCE_LIMIT) {
            Ok(text) => Ok(Some(text)),
            Err(Problem::Missing) => Ok(None),
            Err(problem) => {
                Err(Error::outside(format!("cannot read `{}`: {problem}", named(&full))))
            }
        }
    }

    fn mode(&self, path: &Path) -> Result<Option<FileMode>, Error> {
        let full = self.full(path)?;
        match fs::metadata(&full) {
            Ok(meta) => Ok(Some(FileMode(meta.permissions().mode() & 0o7777))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(Error::outside(format!("cannot look at `{}`", named(&full))).because(error))
            }
        }
    }

    fn apply(
        &self,
        set: &ChangeSet,
        tag: &str,
        ledger: &mut dyn Ledger,
    ) -> Result<Vec<String>, Error> {
        for change in &set.changes {
            self.full(&change.path)?;
            if let Op::Rename { to, .. } = &change.op {
                self.full(to)?;
            }
        }
        let applied = cim_nix_vfs::apply_recorded(&self.root, &self.journal, set, tag, ledger)?;
        Ok(applied.warnings)
    }

    fn recover(&self, ledger: &dyn Ledger) -> Result<Option<Settled>, Error> {
        let recovered = cim_nix_vfs::recover_recorded(&self.root, &self.journal, ledger)?;
        let (interrupted, is_made) = match recovered {
            Recovered::Nothing => return Ok(None),
            Recovered::Reverted(interrupted) => (interrupted, false),
            Recovered::Finished(interrupted) => (interrupted, true),
        };
        let cim_nix_vfs::Interrupted { title, files, warnings, .. } = interrupted;
        Ok(Some(Settled { title, is_made, files, warnings }))
    }
}

/// A path on one line, whatever is in it.
fn named(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}
