//! Opens a store: makes the file, knows ours from others, brings older ones up to date.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cim_domain_nix::{Projection, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::fault::{Fault, corrupt, full, is_no_room, no_wal, unavailable};
use crate::partial::Partial;
use crate::schema;

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Read models that move with each append, in its transaction.
    pub projections: Vec<Arc<dyn Projection>>,
    /// How long to wait for another process that is writing.
    pub patience: Duration,
    /// Whether a store that does not exist is made.
    pub create: bool,
    /// The file that takes this one's place as soon as it is there: from then on nothing is written
    /// here, whoever has it open.
    pub successor: Option<PathBuf>,
    /// Events at the end that may stand in the log alone: loading a stream or looking for an id goes
    /// through them, and as soon as there are as many, an append takes them all up into the tables
    /// for that.
    pub loose: u32,
    /// Pages of 4 KiB that the log may have before it is taken over into the file. A single append
    /// writes about two: with the default, two thousand share the flushes of a take-over.
    pub checkpoint: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            projections: Vec::new(),
            patience: Duration::from_secs(10),
            create: true,
            successor: None,
            loose: 256,
            checkpoint: 4_000,
        }
    }
}

/// What the log keeps of its length after a burst, for the next one: overwriting is cheaper than
/// growing.
const LOG_BYTES: u32 = 64 << 20;
/// Memory for pages, in KiB.
const WRITER_CACHE: u32 = 16 << 10;
const READER_CACHE: u32 = 16 << 10;

/// How long the log becomes before it is taken over.
pub(crate) fn log_bytes(options: &Options) -> u64 {
    // A page and its head.
    (u64::from(options.checkpoint) * (4_096 + 24)).min(u64::from(LOG_BYTES))
}

/// Only one store is opened at a time: a file that this process closes while it is open as a
/// database in another thread would lose that one's locks.
static OPENING: Mutex<()> = Mutex::new(());

/// The connection that writes, to a store that is ours and up to date.
pub(crate) fn writer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    find(path, options.create)?;
    let deadline = Instant::now() + options.patience;
    loop {
        match prepare(path, options.checkpoint) {
            Err(fault) if fault.is_busy() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            prepared => return prepared.map_err(|fault| fault.at(path)),
        }
    }
}

/// A connection that reads.
pub(crate) fn reader(path: &Path, patience: Duration) -> Result<Connection, Fault> {
    let connection = connect(path)?;
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection that copies the store into another file.
pub(crate) fn copier(path: &Path, patience: Duration) -> Result<Connection, Fault> {
    let connection = connect(path)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise some statements are compiled again with each new value, which may suggest another
    // plan: a third of what an append and a read took.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Sorting and the like stay off the disk.
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

/// Makes sure that there is a file which may be a store.
fn find(path: &Path, create: bool) -> Result<(), StoreError> {
    let cannot = |what: &str, error: &io::Error| {
        unavailable(
            format!("cannot {what} the event store {}: {error}", path.display()),
            "the file and its folder have to be writable for you",
        )
    };
    match fs::metadata(path) {
        // Ours are whole before they have their name.
        Ok(found) if found.is_file() && found.len() == 0 => Err(empty(path)),
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(unavailable(
            format!("{} is no event store: it is not a file", path.display()),
            "name a file",
        )),
        Err(error) if error.kind() == ErrorKind::NotFound && create => {
            make(path).map_err(|fault| match fault {
                Unmade::Disk(error) if is_no_room(&error) => full("event store", path),
                Unmade::Disk(error) => cannot("make", &error),
                Unmade::Sql(fault) => fault.at(path),
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Unavailable {
            problem: format!("there is no event store at {}", path.display()),
            hint: None,
        }),
        Err(error) => Err(cannot("open", &error)),
    }
}

/// A file where a store should be, without anything of one.
fn empty(path: &Path) -> StoreError {
    StoreError::Corrupt {
        place: path.display().to_string(),
        problem: "nothing is left in it: put a backup in its place, or remove the file to begin \
                  without a history"
            .into(),
    }
}

/// Why a store could not be made.
enum Unmade {
    Disk(io::Error),
    Sql(Fault),
}

impl From<io::Error> for Unmade {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Makes a store without events that only its owner may read. It gets its name when it is whole and
/// on the disk, and its place in the folder is durable.
fn make(path: &Path) -> Result<(), Unmade> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = match Partial::make(path) {
        // Another process was faster. A link that leads nowhere is in the way all the same.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.exists() => return Ok(()),
        made => made?,
    };
    let built = connect(new.path()).and_then(|mut connection| {
        // Nobody misses it if this is cut off.
        connection.pragma_update(None, "journal_mode", "memory")?;
        schema::migrate(&mut connection, schema::STEPS)
    });
    built.map_err(Unmade::Sql)?;
    match new.finish(path) {
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        finished => finished?,
    }
    // The folder may be new as well, so the one above it is synced, too.
    if let Some(above) = folder.parent().filter(|above| *above != Path::new("")) {
        fs::File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Looks whose file it is before anything is written to it.
fn prepare(path: &Path, checkpoint: u32) -> Result<Connection, Fault> {
    let mut connection = connect(path)?;
    connection.busy_timeout(Duration::from_millis(100))?;
    // Who only looks must not change anything when closing, either.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    check_owner(&connection, path)?;
    // Turning to the log is the one change that goes through a journal; "extra" syncs its removal.
    connection.pragma_update(None, "synchronous", "extra")?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Store(no_wal(path)));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE))?;
    schema::migrate(&mut connection, schema::STEPS)?;
    Ok(connection)
}

fn check_owner(connection: &Connection, path: &Path) -> Result<(), Fault> {
    // One moment: another process may be making the store.
    let moment = connection.unchecked_transaction()?;
    let application: i32 = moment.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found = schema::version(&moment)?;
    let n_parts: i64 =
        moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let missing = schema::missing(&moment, found)?;
    moment.finish()?;
    if application == 0 && found == 0 && n_parts == 0 {
        return Err(Fault::Store(empty(path)));
    }
    if application != schema::APPLICATION {
        return Err(Fault::Store(unavailable(
            format!("{} is no event store: it is a database of another program", path.display()),
            "name another file; nothing was changed in this one",
        )));
    }
    if found <= schema::newest(schema::STEPS)
        && let [first, ..] = missing[..]
    {
        return Err(corrupt(
            path.display().to_string(),
            format!("the table `{first}` is missing: put a backup in its place"),
        ));
    }
    check_version(found, path)
}

/// Refuses a store of a newer version: also later, when another process has changed it.
pub(crate) fn check_version(found: u32, path: &Path) -> Result<(), Fault> {
    let known = schema::newest(schema::STEPS);
    match found > known {
        true => {
            let place = format!("the event store {}", path.display());
            Err(Fault::Store(StoreError::Newer { place, found, known }))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_later_finds_the_store_that_another_one_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/store.db");
        // Both have seen that there is none.
        assert!(make(&path).is_ok());
        let first = fs::read(&path).unwrap();
        assert!(make(&path).is_ok());
        assert_eq!(fs::read(&path).unwrap(), first);
        assert!(writer(&path, &Options::default()).is_ok());
        let nowhere = folder.path().join("link.db");
        std::os::unix::fs::symlink("nothing", &nowhere).unwrap();
        assert!(make(&nowhere).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }
}
