//! What stands in the file, and how older files become newer ones.
//!
//! `events` is the log: keyed by position, so appending writes at its end and reading all of them is
//! one walk. Nothing is ever updated in it, and it has no index: each would be a page more that an
//! append writes. `stream_events` has the events once more, packed ([`crate::packed`]): its key
//! `place` is the stream's row, shifted by 31 bits, and the version, so versions are unique and
//! those of a stream lie side by side.
//!
//! `ids` finds events by ids. With `named` 0 the id is an event's own, `what` is its position, and
//! there is one such row for an id; with another `named` the event at that position names the id,
//! as its cause (bit 1 of `what`), its correlation (bit 2) or both. One table has all of them,
//! because ids that belong together were mostly made one after the other, and so are on one page.
//! Ids are 16 bytes; an id of a message that is a content id is a text instead.
//!
//! Both take up many events at once ([`crate::tail`]): those after the mark `arranged` of `store`
//! stand in the log alone.
//!
//! What was published is a mark in `store` and, above it, `published_ahead`: no event costs a row
//! that has to be removed again.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};

use crate::fault::Fault;
use crate::upgrade;

/// "cimx", so that `file` and we can tell it from other databases.
pub(crate) const APPLICATION: i32 = 0x6369_6d78;

/// What leads from one version of the file to the next.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Sql(&'static str),
    Code(fn(&Connection) -> Result<(), Fault>),
}

/// One step per version of the file: step n leads from version n to n + 1.
pub(crate) const STEPS: &[Step] = &[Step::Sql(V1), Step::Code(upgrade::second), Step::Sql(V3)];

const V1: &str = "
CREATE TABLE streams (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  aggregate BLOB NOT NULL CHECK (length(aggregate) = 16),
  version INTEGER NOT NULL,
  UNIQUE (kind, aggregate)
) STRICT;

CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL REFERENCES streams (id),
  version INTEGER NOT NULL CHECK (version > 0),
  id BLOB NOT NULL CHECK (length(id) = 16),
  type TEXT NOT NULL,
  schema INTEGER NOT NULL,
  at INTEGER NOT NULL,
  correlation ANY NOT NULL,
  causation ANY NOT NULL,
  sum INTEGER NOT NULL,
  meta TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_of_streams ON events (stream, version);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_correlation ON events (correlation);
CREATE INDEX events_by_causation ON events (causation);

CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  published INTEGER NOT NULL
) STRICT;
INSERT INTO store VALUES (1, 0);
CREATE TABLE published_ahead (position INTEGER PRIMARY KEY) STRICT;

CREATE TABLE snapshots (
  stream INTEGER PRIMARY KEY REFERENCES streams (id),
  version INTEGER NOT NULL,
  schema INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;

CREATE TABLE projections (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  schema INTEGER NOT NULL,
  position INTEGER NOT NULL
) STRICT;
CREATE TABLE rows (
  projection INTEGER NOT NULL REFERENCES projections (id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (projection, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  at INTEGER NOT NULL,
  stream TEXT NOT NULL,
  expected INTEGER NOT NULL,
  events BLOB NOT NULL,
  plan TEXT NOT NULL
) STRICT;
CREATE TABLE blobs (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  bytes BLOB NOT NULL
) STRICT;
";

/// All events of version 2 are arranged.
const V3: &str = "
ALTER TABLE store ADD COLUMN arranged INTEGER NOT NULL DEFAULT 0;
UPDATE store SET arranged = (SELECT coalesce(max(position), 0) FROM events);
";

/// The tables that a store has, and since which version.
pub(crate) const TABLES: &[(&str, u32)] = &[
    ("streams", 1),
    ("events", 1),
    ("stream_events", 2),
    ("ids", 2),
    ("store", 1),
    ("published_ahead", 1),
    ("snapshots", 1),
    ("projections", 1),
    ("rows", 1),
    ("intents", 1),
    ("blobs", 1),
];

/// Those of [`TABLES`] that are not there in a file of a version.
pub(crate) fn missing(connection: &Connection, version: u32) -> Result<Vec<&'static str>, Fault> {
    let mut query =
        connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
    let mut missing = Vec::new();
    for (table, since) in TABLES {
        if *since <= version && !query.exists([table])? {
            missing.push(*table);
        }
    }
    Ok(missing)
}

/// Tables and indexes with their definitions, by name.
fn parts(connection: &Connection) -> Result<BTreeMap<String, String>, Fault> {
    let mut query =
        connection.prepare("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql > ''")?;
    let parts = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(parts.collect::<Result<_, _>>()?)
}

/// What differs from the tables and indexes that a store has, a line each.
pub(crate) fn differences(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut sound = Connection::open_in_memory()?;
    migrate(&mut sound, STEPS)?;
    let (wanted, mut found) = (parts(&sound)?, parts(connection)?);
    let mut differences = Vec::new();
    for (name, definition) in wanted {
        match found.remove(&name) {
            None => differences.push(format!("the {name} is missing")),
            Some(found) if found != definition => {
                differences.push(format!("the {name} is not as it was made"));
            }
            Some(_) => {}
        }
    }
    differences.extend(found.keys().map(|name| format!("the {name} does not belong to a store")));
    Ok(differences)
}

/// The version that `steps` lead to.
pub(crate) fn newest(steps: &[Step]) -> u32 {
    steps.len() as u32
}

/// What `PRAGMA user_version` says.
pub(crate) fn version(connection: &Connection) -> Result<u32, Fault> {
    let mut query = connection.prepare_cached("PRAGMA user_version")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Takes the missing steps, in one transaction.
pub(crate) fn migrate(connection: &mut Connection, steps: &[Step]) -> Result<(), Fault> {
    if version(connection)? == newest(steps) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = version(&transaction)?;
    for step in steps.iter().skip(found as usize) {
        match step {
            Step::Sql(batch) => transaction.execute_batch(batch)?,
            Step::Code(change) => change(&transaction)?,
        }
    }
    if found < newest(steps) {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", newest(steps))?;
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        let mut query = connection.prepare(names).unwrap();
        let names = query.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    /// Everything that an older file has is there afterwards.
    #[test]
    fn takes_the_steps_that_are_missing() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, STEPS).is_ok());
        connection.execute("INSERT INTO streams VALUES (3, 'flake', zeroblob(16))", []).unwrap();
        let later = [
            STEPS[0],
            STEPS[1],
            STEPS[2],
            Step::Sql("ALTER TABLE streams ADD COLUMN closed INTEGER NOT NULL DEFAULT 0"),
            Step::Sql("CREATE TABLE extra (one INTEGER) STRICT; UPDATE streams SET closed = id"),
        ];
        assert!(migrate(&mut connection, &later).is_ok());
        assert_eq!(version(&connection).ok(), Some(5));
        assert!(tables(&connection).contains(&"extra".to_owned()));
        let row = "SELECT id, closed FROM streams";
        let row: (i64, i64) =
            connection.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (3, 3));
        // Taken once.
        assert!(migrate(&mut connection, &later).is_ok());
    }

    /// A step that fails leaves the file as it was.
    #[test]
    fn takes_all_steps_or_none() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, STEPS).is_ok());
        let before = tables(&connection);
        let steps = ["CREATE TABLE extra (one INTEGER) STRICT", "CREATE NOTHING (x)"];
        let broken = [STEPS[0], STEPS[1], STEPS[2], Step::Sql(steps[0]), Step::Sql(steps[1])];
        assert!(migrate(&mut connection, &broken).is_err());
        assert_eq!((tables(&connection), version(&connection).ok()), (before, Some(3)));
    }

    /// The first version never changes: files that have it are out there.
    #[test]
    fn the_first_version_is_frozen() {
        let sum = cim_nix_base::ContentHash::of(V1.as_bytes()).to_string();
        expect_test::expect!["6a221d3c069ba04fd56184438297135416899d092d7a8a68e73d7846b1721d27"]
            .assert_eq(&sum);
    }
}
