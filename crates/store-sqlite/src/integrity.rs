//! Whether the file still says what was written.

use std::ops::ControlFlow;

use cim_domain_nix::{MessageId, StoreError};
use cim_nix_base::ContentHash;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::decode::{IdColumn, Summed, number, sql};
use crate::fault::{Fault, corrupt};
use crate::packed::{Packer, place};
use crate::store::SqliteStore;
use crate::{read, schema, tail, write};

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
    /// Checks everything: the tables that are there, the file's pages and indexes, the sums of all
    /// events, the ways to them by stream and by id, versions without gaps, hashes of blobs, and
    /// marks that point at what exists.
    ///
    /// Cost: reads the whole file. Others may go on reading and writing.
    ///
    /// Errors: the file cannot be read at all; what is wrong in it stands in the answer.
    pub fn integrity(&self) -> Result<Integrity, StoreError> {
        self.read_moment(|connection| {
            let mut found = Integrity::default();
            for check in [parts, pages, events, copies, versions, blobs, marks] as [Check; 7] {
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

/// Each event that is sound stands in its stream and under its ids, and nothing else does.
fn copies(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let mut rows =
        connection.prepare("SELECT id FROM streams WHERE kind = ?1 AND aggregate = ?2")?;
    let mut packed = connection.prepare("SELECT event FROM stream_events WHERE place = ?1")?;
    let mut own = connection.prepare("SELECT what FROM ids WHERE id = ?1 AND named = 0")?;
    let mut names = connection.prepare("SELECT what FROM ids WHERE id = ?1 AND named = ?2")?;
    let mut sums = connection.prepare("SELECT sum FROM events WHERE position = ?1")?;
    let (mut n_events, mut n_names) = (0_i64, 0_i64);
    let mut fault = None;
    let arranged = tail::arranged(connection)?;
    read::all_unchecked(connection, &mut |event| {
        if event.position > arranged {
            return Ok(ControlFlow::Break(()));
        }
        let summed = Summed::of(event);
        let position = sql(event.position);
        n_events += 1;
        n_names += 1 + named(&summed).count() as i64;
        let mut check = || -> Result<(), rusqlite::Error> {
            if sums.query_row([position], |row| row.get::<_, i64>(0))? != summed.sum() {
                return Ok(());
            }
            let stream: i64 =
                rows.query_row(params![event.kind, event.aggregate.as_bytes()], |row| row.get(0))?;
            let place = place(stream, event.version);
            let copy: Option<Vec<u8>> = packed.query_row([place], |row| row.get(0)).optional()?;
            let packer = Packer::of(event.kind, event.aggregate);
            let is_elsewhere = |copy: &[u8]| copy == packer.elsewhere(place, event.position);
            let wanted = packer.pack(place, event.position, &summed);
            if !copy.is_some_and(|copy| copy == wanted || is_elsewhere(&copy)) {
                found.tell(format!("event {position} is not what its stream has of it"));
            }
            let mut is_named =
                own.query_row([event.id.as_bytes()], |row| row.get::<_, i64>(0)).optional()?
                    == Some(position);
            for (id, what) in named(&summed) {
                let noted = names
                    .query_row(params![IdColumn(id), position], |row| row.get::<_, i64>(0))
                    .optional()?;
                is_named &= noted == Some(what);
            }
            if !is_named {
                found.tell(format!("event {position} is not found by its ids"));
            }
            Ok(())
        };
        Ok(match check() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                fault = Some(error);
                ControlFlow::Break(())
            }
        })
    })?;
    if let Some(error) = fault {
        return Err(error.into());
    }
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let n_packed = count("SELECT count(*) FROM stream_events")?;
    if n_packed != n_events {
        found.tell(format!("streams have {n_packed} events, but there are {n_events}"));
    }
    let n_noted = count("SELECT count(*) FROM ids")?;
    if n_noted != n_names {
        found.tell(format!("ids name events {n_noted} times, where events have {n_names}"));
    }
    Ok(())
}

/// The messages that an event names, and as what: its cause 1, its correlation 2, both 3.
fn named<'a>(event: &Summed<'a>) -> impl Iterator<Item = (&'a MessageId, i64)> {
    let is_one = event.causation == event.correlation;
    let cause = (!is_one).then_some((event.causation, 1));
    cause.into_iter().chain([(event.correlation, if is_one { 3 } else { 2 })])
}

/// Versions of each stream have no gaps.
fn versions(connection: &Connection, found: &mut Integrity) -> Result<(), Fault> {
    let streams: i64 =
        connection.query_row("SELECT count(*) FROM streams", [], |row| row.get(0))?;
    found.streams = streams.unsigned_abs();
    let mut query = connection.prepare(
        "WITH loose AS (SELECT stream, count(*) AS n, max(version) AS version \
                        FROM events WHERE position > ?1 GROUP BY stream), \
         packed AS (SELECT place >> 31 AS stream, count(*) AS n, max(place & 2147483647) AS version \
                    FROM stream_events GROUP BY place >> 31), \
         ends AS (SELECT s.kind, hex(s.aggregate), coalesce(p.n, 0) + coalesce(l.n, 0) AS n, \
                         max(coalesce(p.version, 0), coalesce(l.version, 0)) AS version \
                  FROM streams s LEFT JOIN packed p ON p.stream = s.id \
                  LEFT JOIN loose l ON l.stream = s.id ORDER BY s.id) \
         SELECT * FROM ends WHERE version = 0 OR n <> version",
    )?;
    let mut rows = query.query([sql(tail::arranged(connection)?)])?;
    while let Some(row) = rows.next()? {
        let (kind, aggregate): (String, String) = (row.get(0)?, row.get(1)?);
        let (count, version): (i64, i64) = (row.get(2)?, row.get(3)?);
        found.tell(format!(
            "stream {kind}-{} is at version {version}, but has {count} events",
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
    let head = tail::head(connection)?;
    let arranged = tail::arranged(connection)?;
    if arranged > head {
        found.tell(format!("events up to {arranged} count as arranged, but {head} is the last"));
    }
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
        "SELECT count(*) FROM snapshots n LEFT JOIN stream_events p \
         ON p.place = (n.stream << 31) + n.version \
         WHERE p.place IS NULL AND NOT EXISTS (SELECT 1 FROM events e \
         WHERE e.position > ?1 AND e.stream = n.stream AND e.version = n.version)",
        [sql(arranged)],
        |row| row.get(0),
    )?;
    if ahead > 0 {
        found.tell(format!("{ahead} snapshots stand for versions that their streams have not"));
    }
    Ok(())
}
