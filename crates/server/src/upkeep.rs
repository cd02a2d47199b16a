//! `cim-nix-server store backup` and `store check`: what is done with a file now and then.

use std::fmt::Write as _;
use std::path::Path;

use cim_nix_base::Error;

use crate::config::StorePlace;
use crate::stores;

/// Writes a copy of one moment of a store, while the service goes on; answers what to tell.
///
/// Errors: the store is no file, or is not there; `to` exists or cannot be written.
pub(crate) fn backup(from: &StorePlace, to: &Path) -> Result<String, Error> {
    let store = stores::sqlite(file_of(from)?)?;
    store.backup(to)?;
    let copy = stores::sqlite(to)?.integrity()?;
    let shown = to.display();
    match copy.problems.first() {
        None => Ok(format!("{} events are in `{shown}`, and it is whole\n", copy.events)),
        Some(problem) => Err(Error::outside(format!("the copy `{shown}` is damaged: {problem}"))
            .hint("`cim-nix-server store check` tells what is wrong with the store itself")),
    }
}

/// Reads all of a store; answers what was looked at.
///
/// Errors: the store is no file, is not there, or is damaged.
pub(crate) fn check(store: &StorePlace) -> Result<String, Error> {
    let path = file_of(store)?;
    let found = stores::sqlite(path)?.integrity()?;
    let (shown, n_problems) = (path.display(), found.problems.len());
    if n_problems == 0 {
        let (events, streams, blobs) = (found.events, found.streams, found.blobs);
        return Ok(format!(
            "`{shown}` is whole: {events} events, {streams} streams, {blobs} blobs\n"
        ));
    }
    let mut text = format!("`{shown}` is damaged:");
    for problem in &found.problems {
        let _ = write!(text, "\n  {problem}");
    }
    Err(Error::outside(text).hint("put a backup in its place, see docs/operations.md"))
}

fn file_of(place: &StorePlace) -> Result<&Path, Error> {
    match place {
        StorePlace::Sqlite(path) if path.exists() => Ok(path),
        StorePlace::Sqlite(path) => {
            Err(Error::user(format!("there is no store `{}`", path.display())))
        }
        StorePlace::JetStream(_) => Err(Error::user("a store in JetStream is no file")
            .hint("`store copy jetstream:URL sqlite:/PATH` brings its events into one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_whole_and_no_file_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let place = StorePlace::Sqlite(folder.path().join("events.sqlite"));
        assert_eq!(check(&place).unwrap_err().kind(), cim_nix_base::ErrorKind::User);
        drop(stores::sqlite(&folder.path().join("events.sqlite")).unwrap());
        let to = folder.path().join("copy.sqlite");
        let said = backup(&place, &to).unwrap();
        assert!(said.starts_with("0 events are in ") && said.ends_with(", and it is whole\n"));
        backup(&place, &to).unwrap_err();
        assert!(check(&place).unwrap().contains(" is whole: 0 events, 0 streams, 0 blobs"));
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        std::fs::write(&path, "not a store").unwrap();
        check(&StorePlace::Sqlite(path)).unwrap_err();
    }
}
