//! How a file of version 1 becomes one of version 2.
//!
//! Version 1 found events by four indexes of the log, each a page more that an append has to write,
//! and loading a stream read a page of the log for each of its events.

use rusqlite::Connection;

use crate::decode::COLUMNS;
use crate::fault::Fault;
use crate::tail::pack_row;

const TABLES: &str = "
CREATE TABLE stream_events (
  place INTEGER PRIMARY KEY,
  event BLOB NOT NULL
) STRICT;
CREATE TABLE ids (
  id ANY NOT NULL,
  named INTEGER NOT NULL,
  what INTEGER NOT NULL,
  PRIMARY KEY (id, named)
) STRICT, WITHOUT ROWID;
";

const IDS: &str = "
INSERT INTO ids SELECT id, 0, position FROM events;
INSERT INTO ids SELECT causation, position, 1 FROM events WHERE causation <> correlation;
INSERT INTO ids SELECT correlation, position, iif(causation = correlation, 3, 2) FROM events;
DROP INDEX events_of_streams;
DROP INDEX events_by_id;
DROP INDEX events_by_correlation;
DROP INDEX events_by_causation;
ALTER TABLE streams DROP COLUMN version;
";

pub(crate) fn second(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(TABLES)?;
    fill(connection)?;
    Ok(connection.execute_batch(IDS)?)
}

/// Packs all events, in the order of their places, so that pages are filled one after the other.
fn fill(connection: &Connection) -> Result<(), Fault> {
    let mut query = connection.prepare(&format!(
        "SELECT {COLUMNS}, s.kind, s.aggregate, e.stream FROM streams s \
         CROSS JOIN events e INDEXED BY events_of_streams ON e.stream = s.id \
         ORDER BY s.id, e.version"
    ))?;
    let mut insert = connection.prepare("INSERT INTO stream_events VALUES (?1, ?2)")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        pack_row(row, &mut insert)?;
    }
    Ok(())
}
