//! A copy of the store while it is in use.

use std::path::Path;

use cim_domain_nix::StoreError;

use crate::fault::{full, is_no_room, unavailable};
use crate::open;
use crate::partial::Partial;
use crate::store::SqliteStore;

impl SqliteStore {
    /// Writes a copy of this moment to the file `to`, which must not exist. Others may go on
    /// reading and writing. The copy is a store of its own: a single file that can be opened,
    /// checked, or put in the place of a lost one.
    ///
    /// Errors: [`StoreError::Unavailable`] when the file exists or cannot be written; then there is
    /// no file `to`.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.copy(to)
    }

    /// Moves the history to the file `to`, which must not exist, if `check` allows it. Nobody writes
    /// from before `check` until `to` is there; whoever opened this store with `to` as its
    /// [`successor`](crate::Options::successor) is refused from then on. This file stays as it was.
    ///
    /// Errors: those of [`backup`](Self::backup) and of `check`; another process is writing. Then
    /// this store is used as before.
    pub fn move_to(
        &self,
        to: &Path,
        check: &mut dyn FnMut() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let moved = self.write(|_| {
            check()?;
            Ok(self.copy(to)?)
        });
        moved.map_err(|fault| fault.at(self.path()))
    }

    fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let cannot = |error: &std::io::Error| match is_no_room(error) {
            true => full("backup", to),
            false => unavailable(
                format!("cannot write the backup {}: {error}", to.display()),
                "name a file that does not exist, in a folder that you may write to",
            ),
        };
        let partial = Partial::make(to).map_err(|error| cannot(&error))?;
        let connection = open::copier(self.path(), self.patience());
        let copied = connection.and_then(|connection| {
            let name = partial.path().to_str().ok_or_else(|| {
                unavailable(
                    format!("cannot write the backup {}", to.display()),
                    "its path has to be valid UTF-8",
                )
            })?;
            Ok(connection.execute("VACUUM INTO ?1", [name])?)
        });
        copied.map_err(|fault| fault.writing(to, self.path()))?;
        partial.finish(to).map_err(|error| cannot(&error))
    }
}
