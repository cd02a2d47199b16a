//! Whether the file still says what was written.

use std::ops::ControlFlow;

use cim_domain_nix::StoreError;
use cim_nix_base::ContentHash;
use rusqlite::Connection;

use crate::decode::{Summed, number, sql};
use crate::fault::{Fault, corrupt};
use crate::store::SqliteStore;
use crate::{read, schema, write};

/// What a check of the whole store found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Integrity {
    /// Events that were looked at.
    pub events: u64,
    /// Streams.
    pub streams: u64,
    /// Blobs whose bytes were hashed.
    pub blobs: u64,
    /// What is wrong, at most a few hundred lines; none in a sound store.
    pub problems: Vec<String>,
}

type Check = fn(&Connection, &mut Integrity) -> Result<(), Fault>;

/// Problems that are told; the rest is counted.
const MOST_PROBLEMS: usize = 200;

impl SqliteStore {
    /// Checks everything: the tables that are there, the file's pages and indexes, the sums of all events, versions without
    /// gaps, hashes of blobs, and marks that point at what exists.
    ///
    /// Cost: reads the whole file. Others may go on reading and writing.
    ///
    /// Errors: the file cannot be read at all; what is wrong in it stands in the answer.
    pub fn integrity(&self) -> Result<Integrity, StoreError> {
        self.read_moment(|connection| {
            let mut found = Integrity::default();
            for check in [parts, pages, events, versions, blobs, marks] as [Check; 6] {
                match check(connection, &mut found) {
                    Ok(()) => {}
                    // Broken pages are what is looked for, not a reason to give up.
                    Err(fault) if fault.is_busy() => return Err(fault),
                    Err(fault) => found.tell(fault.at(self.path()).to_string()),
                }
            }
            found.finish();
            Ok(found)
        })
    }
}

impl Integrity {
    fn tell(&mut self, problem: String) {
        // One more than is told says that there are more.
        if self.problems.len() <= MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn finish(&mut self) {
        if self.problems.len() > MOST_PROBLEMS {
            self.problems.truncate(MOST_PROBLEMS);
            self.problems.push("and more".to_owned());
        }
    }
}

/// The tables and indexes are those that were made.
fn parts(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    for difference in schema::differences(connection)? {
        found.tell(difference);
    }
    Ok(())
}

fn pages(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let mut query = connection.prepare(&format!("PRAGMA integrity_check({MOST_PROBLEMS})"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            found.tell(line);
        }
    }
    Ok(())
}

/// Every event can be read, and its sum is that of what it says.
fn events(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let mut query = connection.prepare("SELECT sum FROM events ORDER BY position")?;
    let mut sums = query.query([])?;
    let mut last = 0;
    read::all_unchecked(connection, &mut |event| {
        found.events += 1;
        let sum = match sums.next() {
            Ok(Some(row)) => row.get::<_, i64>(0).ok(),
            _ => None,
        };
        if sum != Some(Summed::of(event).sum()) {
            found
                .tell(format!("event {} is not what was written: its sum differs", event.position));
        }
        if event.position != last + 1 {
            found.tell(format!("events between {last} and {} are missing", event.position));
        }
        last = event.position;
        Ok(ControlFlow::Continue(()))
    })?;
    let counted: i64 = connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
    if sql(found.events) != counted {
        found.tell(format!("{counted} events, but only {} have a stream", found.events));
    }
    Ok(())
}

/// Versions of each stream are 1 to its version.
fn versions(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let streams: i64 =
        connection.query_row("SELECT count(*) FROM streams", [], |row| row.get(0))?;
    found.streams = streams.unsigned_abs();
    let mut query = connection.prepare(
        "SELECT s.kind, hex(s.aggregate), s.version, count(e.version), coalesce(max(e.version), 0) \
         FROM streams s LEFT JOIN events e ON e.stream = s.id GROUP BY s.id \
         HAVING count(e.version) <> s.version OR coalesce(max(e.version), 0) <> s.version",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, aggregate): (String, String) = (row.get(0)?, row.get(1)?);
        let (version, count, max) = (number(row, 2)?, number(row, 3)?, number(row, 4)?);
        found.tell(format!(
            "stream {kind}-{} is at version {version}, but has {count} events up to version {max}",
            aggregate.to_lowercase()
        ));
    }
    Ok(())
}

/// Blobs have the hashes by which they are found.
fn blobs(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let mut query = connection.prepare("SELECT hash, bytes FROM blobs")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        found.blobs += 1;
        let hash = row.get_ref(0)?.as_blob().map_err(|_| corrupt("blobs", "a hash is no bytes"))?;
        let bytes =
            row.get_ref(1)?.as_blob().map_err(|_| corrupt("blobs", "a blob is no bytes"))?;
        if ContentHash::of(bytes).as_bytes() != hash {
            let shown: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            found.tell(format!("blob {shown} is not what was written: its hash differs"));
        }
    }
    Ok(())
}

/// Checkpoints, snapshots and the mark of the outbox point at what exists.
fn marks(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let head = write::head(connection)?;
    let published = write::published_mark(connection)?;
    if published > head {
        found.tell(format!("events up to {published} count as published, but {head} is the last"));
    }
    let mut query = connection.prepare("SELECT name, position FROM projections")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (name, position): (String, u64) = (row.get(0)?, number(row, 1)?);
        if position > head {
            found.tell(format!("read model {name} is at event {position}, but {head} is the last"));
        }
    }
    let ahead: i64 = connection.query_row(
        "SELECT count(*) FROM snapshots n LEFT JOIN streams s ON s.id = n.stream \
         WHERE n.version > coalesce(s.version, 0)",
        [],
        |row| row.get(0),
    )?;
    if ahead > 0 {
        found.tell(format!("{ahead} snapshots stand for versions that their streams have not"));
    }
    Ok(())
}
