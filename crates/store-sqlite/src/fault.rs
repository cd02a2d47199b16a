//! What goes wrong in SQLite, in the words of the domain.

use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use cim_domain_nix::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::partial;

/// A failure on its way to the boundary, where the path of the store is known.
pub(crate) enum Fault {
    /// SQLite failed: what was written in the transaction cannot stay.
    Sql(rusqlite::Error),
    /// Nothing was written: the request was refused, or a visitor gave up.
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// Whether another connection holds what was asked for.
    pub(crate) fn is_busy(&self) -> bool {
        let Self::Sql(rusqlite::Error::SqliteFailure(error, _)) = self else { return false };
        matches!(error.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    }

    /// The error for callers that wanted another file from the store at `path`.
    pub(crate) fn writing(self, to: &Path, path: &Path) -> StoreError {
        match self {
            Self::Sql(rusqlite::Error::SqliteFailure(error, _))
                if error.code == ErrorCode::DiskFull =>
            {
                full("file", to)
            }
            fault => fault.at(path),
        }
    }

    /// The error for callers of the store at `path`.
    pub(crate) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(rusqlite::Error::SqliteFailure(error, text)) => {
                failure(error, text.as_deref(), path, &has_room)
            }
            // Types and numbers of columns: the schema is ours, so somebody changed it.
            Self::Sql(error) => StoreError::Corrupt {
                place: path.display().to_string(),
                problem: error.to_string(),
            },
        }
    }
}

fn failure(
    error: ffi::Error,
    text: Option<&str>,
    path: &Path,
    has_room: &dyn Fn(&Path) -> bool,
) -> StoreError {
    let shown = path.display();
    let detail = text.map_or_else(|| error.to_string(), str::to_owned);
    let corrupt = |problem: String| StoreError::Corrupt { place: shown.to_string(), problem };
    match error.code {
        ErrorCode::NotADatabase => unavailable(
            format!("{shown} is no event store: it is not a database"),
            "name another file, or move this one away; nothing was changed in it",
        ),
        ErrorCode::DatabaseCorrupt => corrupt(detail),
        ErrorCode::DiskFull => full("event store", path),
        // SQLite does not tell a full disk from a broken one where it makes files or memory.
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen if !has_room(path) => {
            full("event store", path)
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => unavailable(
            format!("another process holds the event store {shown}"),
            "try again when the other process has finished",
        ),
        ErrorCode::ReadOnly => unavailable(
            format!("cannot write the event store {shown}: it is read-only"),
            "allow writing to the file and to its folder, or keep the store elsewhere",
        ),
        ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthorizationForStatementDenied => unavailable(
            format!("cannot open the event store {shown}: {detail}"),
            "the file and its folder have to be writable for you",
        ),
        ErrorCode::TooBig => StoreError::Invalid(format!(
            "{shown} cannot hold a value of more than 1,000,000,000 bytes"
        )),
        ErrorCode::FileLockingProtocolFailed | ErrorCode::NoLargeFileSupport => no_wal(path),
        ErrorCode::SystemIoFailure if is_shared_memory(error.extended_code) => no_wal(path),
        ErrorCode::SystemIoFailure => unavailable(
            format!("the disk failed under the event store {shown}: {detail}"),
            "what was acknowledged before is safe; whether the last request was stored is not \
             known, and asking again is harmless",
        ),
        ErrorCode::OutOfMemory => {
            StoreError::Unavailable { problem: format!("no memory left for {shown}"), hint: None }
        }
        _ => StoreError::Unavailable {
            problem: format!("the event store {shown} failed: {detail}"),
            hint: None,
        },
    }
}

/// Whether a small file can be written beside the store.
fn has_room(path: &Path) -> bool {
    let written = partial::nameless(path)
        .and_then(|mut file| file.write_all(&[1; PROBE]).and_then(|()| file.sync_all()));
    !written.is_err_and(|error| is_no_room(&error))
}

/// What the log and the shared memory take at first.
const PROBE: usize = 64 << 10;

/// Whether a disk or a quota is used up.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// There is no room for what the file `path` is.
pub(crate) fn full(what: &str, path: &Path) -> StoreError {
    unavailable(
        format!("cannot write the {what} {}: the disk is full", path.display()),
        "make room and try again; what was stored before is safe",
    )
}

fn is_shared_memory(code: i32) -> bool {
    [
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMLOCK,
        ffi::SQLITE_IOERR_SHMMAP,
    ]
    .contains(&code)
}

/// The store needs memory that processes share, and locks that work.
pub(crate) fn no_wal(path: &Path) -> StoreError {
    unavailable(
        format!("the file system of {} cannot hold an event store", path.display()),
        "keep it on a local disk: network file systems lack the locks and the shared memory",
    )
}

pub(crate) fn unavailable(problem: String, hint: &str) -> StoreError {
    StoreError::Unavailable { problem, hint: Some(hint.to_owned()) }
}

/// An event is not what its sum was made of.
pub(crate) fn altered(place: impl Into<String>) -> Fault {
    corrupt(place, "it is not what was written (`store check`)")
}

/// What is stored at `place` cannot be read.
pub(crate) fn corrupt(place: impl Into<String>, problem: impl Into<String>) -> Fault {
    Fault::Store(StoreError::Corrupt { place: place.into(), problem: problem.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No room for the shared memory is no fault of the file system.
    #[test]
    fn tells_a_full_disk_from_one_that_lacks_something() {
        let codes = [ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_CANTOPEN];
        let said = |has_room: bool| {
            let told = codes.map(|code| {
                let error = ffi::Error::new(code);
                failure(error, None, Path::new("s.db"), &|_| has_room).to_string()
            });
            told.join("\n")
        };
        expect_test::expect![[r#"
            cannot write the event store s.db: the disk is full
            cannot write the event store s.db: the disk is full
            cannot write the event store s.db: the disk is full"#]]
        .assert_eq(&said(false));
        assert!(!said(true).contains("full"), "{}", said(true));
        assert!(is_no_room(&io::Error::from_raw_os_error(28)));
    }

    #[test]
    fn looks_for_room() {
        let folder = tempfile::tempdir().unwrap();
        assert!(has_room(&folder.path().join("s.db")));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
