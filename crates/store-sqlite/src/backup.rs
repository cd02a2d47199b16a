//! A copy of the store while it is in use.

use std::fs;
use std::io::Result as IoResult;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cim_domain_nix::StoreError;

use crate::fault::unavailable;
use crate::open;
use crate::store::SqliteStore;

impl SqliteStore {
    /// Writes a copy of this moment to the file `to`, which must not exist. Others may go on
    /// reading and writing. The copy is a store of its own: a single file that can be opened,
    /// checked, or put in the place of a lost one.
    ///
    /// Errors: [`StoreError::Unavailable`] when the file exists or cannot be written; then there is
    /// no file `to`.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let cannot = |error: &std::io::Error| {
            unavailable(
                format!("cannot write the backup {}: {error}", to.display()),
                "name a file that does not exist, in a folder that you may write to",
            )
        };
        let partial = Partial::make(to).map_err(|error| cannot(&error))?;
        let connection = open::copier(self.path(), self.patience());
        let copied = connection.and_then(|connection| {
            let name = partial.0.to_str().ok_or_else(|| {
                unavailable(
                    format!("cannot write the backup {}", to.display()),
                    "its path has to be valid UTF-8",
                )
            })?;
            Ok(connection.execute("VACUUM INTO ?1", [name])?)
        });
        copied.map_err(|fault| fault.at(self.path()))?;
        partial.finish(to).map_err(|error| cannot(&error))
    }
}

/// A file that is not whole yet; removed unless it is finished.
struct Partial(PathBuf);

impl Partial {
    fn make(to: &Path) -> IoResult<Self> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        let mut name = to.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".partial-{}", std::process::id()));
        let path = to.with_file_name(name);
        // Only its owner may read it from the start.
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self(path))
    }

    /// Gives the file its name, once it is on the disk for sure.
    fn finish(&self, to: &Path) -> IoResult<()> {
        fs::File::open(&self.0)?.sync_all()?;
        // A link never replaces what somebody has put there in the meantime.
        fs::hard_link(&self.0, to)?;
        fs::remove_file(&self.0)?;
        let folder = to.parent().filter(|folder| *folder != Path::new(""));
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already where it was finished.
        let _ = fs::remove_file(&self.0);
    }
}
