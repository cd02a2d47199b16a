//! What is done inside a transaction of the writer.
//!
//! Each function looks first and writes then: a refusal has written nothing, so its neighbours in
//! the same transaction can stay. A failure of SQLite in between takes the transaction with it.

use std::ops::ControlFlow;

use cim_domain_nix::{
    Append, Appended, Expected, Intent, NewEvent, Snapshot, StoreError, StreamId, Uuid,
};
use cim_nix_base::ContentHash;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::decode::{IdColumn, Summed, number, record, sql};
use crate::fault::{Fault, corrupt};
use crate::packed::{MOST_VERSIONS, version_at};
use crate::read;
use crate::tail::{self, Tail};

/// A stream as the file knows it.
#[derive(Clone, Copy)]
pub(crate) struct StreamRow {
    pub(crate) id: i64,
    pub(crate) version: u64,
}

/// The row of a stream that has events.
fn known_row(
    connection: &Connection,
    stream: &StreamId,
    tail: &Tail,
) -> Result<Option<StreamRow>, Fault> {
    if let Some(row) = tail.stream(stream) {
        return Ok(Some(row));
    }
    let mut query = connection.prepare_cached(
        "SELECT s.id, (SELECT max(place) FROM stream_events \
                       WHERE place BETWEEN s.id << 31 AND (s.id << 31) + 2147483647) \
         FROM streams s WHERE kind = ?1 AND aggregate = ?2",
    )?;
    let mut rows = query.query(params![stream.kind.token(), stream.id.as_bytes()])?;
    match rows.next()? {
        Some(row) => {
            let last: Option<i64> = row.get(1)?;
            Ok(Some(StreamRow { id: row.get(0)?, version: last.map_or(0, version_at) }))
        }
        None => Ok(None),
    }
}

/// Appends events after those that `tail` knows.
pub(crate) fn append(
    connection: &Connection,
    append: &Append,
    tail: &mut Tail,
) -> Result<Appended, Fault> {
    if let Some(appended) = repeated(connection, append, tail)? {
        close_intent(connection, append.intent)?;
        return Ok(appended);
    }
    let row = known_row(connection, &append.stream, tail)?;
    let found = row.map_or(0, |row| row.version);
    if let Expected::Version(expected) = append.expected
        && expected != found
    {
        let stream = append.stream.clone();
        return Err(Fault::Store(StoreError::Conflict { stream, expected, found }));
    }
    let version = found + append.events.len() as u64;
    if version > MOST_VERSIONS {
        let stream = &append.stream;
        return Err(StoreError::Invalid(format!("{stream} is full: it has {found} events")).into());
    }
    let id = match row {
        Some(row) => row.id,
        None => add_stream(connection, &append.stream)?,
    };
    for (event, version) in append.events.iter().zip(found + 1..) {
        tail.push(event.id);
        insert(connection, tail.head, id, &Summed::new(&append.stream, version, event))?;
    }
    tail.end(&append.stream, StreamRow { id, version });
    close_intent(connection, append.intent)?;
    Ok(Appended { version, position: tail.head, is_repeated: false })
}

/// Where the events stand if they were all stored before, next to each other.
fn repeated(
    connection: &Connection,
    append: &Append,
    tail: &Tail,
) -> Result<Option<Appended>, Fault> {
    let mut stored = Vec::with_capacity(append.events.len());
    for event in &append.events {
        stored.push(same(connection, &append.stream, event, tail)?);
    }
    let Some(known) = stored.iter().position(|stored| !matches!(stored, Stored::Not)) else {
        return Ok(None);
    };
    let mut last: Option<Appended> = None;
    for stored in stored {
        match stored {
            Stored::Same(here) if last.is_none_or(|last| last.version + 1 == here.version) => {
                last = Some(here);
            }
            _ => return Err(Fault::Store(StoreError::Duplicate { id: append.events[known].id })),
        }
    }
    Ok(last)
}

/// What is stored under the id of an event.
enum Stored {
    Not,
    Same(Appended),
    Other,
}

fn same(
    connection: &Connection,
    stream: &StreamId,
    event: &NewEvent,
    tail: &Tail,
) -> Result<Stored, Fault> {
    let (mut in_tail, mut arranged);
    let mut rows = match tail.find(event.id) {
        Some(position) => {
            in_tail = read::joined(connection, "e.position = ?1")?;
            in_tail.query([sql(position)])?
        }
        None => {
            arranged = read::named(connection, "i.named = 0", "i.what")?;
            arranged.query([event.id.as_bytes()])?
        }
    };
    let Some(row) = rows.next()? else { return Ok(Stored::Not) };
    let mut found = Stored::Other;
    let _ = record(row, &mut |stored| {
        let is_same = stored.kind == stream.kind.token()
            && stored.aggregate == stream.id
            && stored.event_type == event.event_type
            && stored.schema == event.schema
            && stored.at == event.at
            && *stored.correlation == event.correlation
            && *stored.causation == event.causation
            && stored.body == event.body
            && stored.meta == event.meta;
        if is_same {
            let (version, position) = (stored.version, stored.position);
            found = Stored::Same(Appended { version, position, is_repeated: true });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The row of a stream that had no events.
fn add_stream(connection: &Connection, stream: &StreamId) -> Result<i64, Fault> {
    let mut insert =
        connection.prepare_cached("INSERT INTO streams (kind, aggregate) VALUES (?1, ?2)")?;
    Ok(insert.insert(params![stream.kind.token(), stream.id.as_bytes()])?)
}

fn insert(
    connection: &Connection,
    position: u64,
    stream: i64,
    event: &Summed<'_>,
) -> Result<(), Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (position, stream, version, id, type, schema, at, correlation, \
         causation, sum, meta, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    insert.execute(params![
        sql(position),
        stream,
        sql(event.version),
        event.id.as_bytes(),
        event.event_type,
        event.schema,
        event.at.micros(),
        IdColumn(event.correlation),
        IdColumn(event.causation),
        event.sum(),
        event.meta,
        event.body,
    ])?;
    Ok(())
}

/// Keeps an intent and the bytes that it needs.
pub(crate) fn open_intent(
    connection: &Connection,
    intent: &Intent,
    blobs: &[(ContentHash, Vec<u8>)],
) -> Result<(), Fault> {
    let mut query = connection.prepare_cached("SELECT 1 FROM intents WHERE id = ?1")?;
    if query.exists([intent.id.as_bytes()])? {
        return Err(Fault::Store(StoreError::Duplicate { id: intent.id }));
    }
    for (hash, bytes) in blobs {
        put_blob(connection, *hash, bytes)?;
    }
    let events: Vec<u8> = intent.events.iter().flat_map(Uuid::as_bytes).copied().collect();
    let mut insert = connection.prepare_cached(
        "INSERT INTO intents (id, at, stream, expected, events, plan) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        intent.id.as_bytes(),
        intent.at.micros(),
        intent.stream.to_string(),
        sql(intent.expected),
        events,
        intent.plan,
    ])?;
    Ok(())
}

/// Keeps bytes under their hash; answers whether they were not there.
pub(crate) fn put_blob(
    connection: &Connection,
    hash: ContentHash,
    bytes: &[u8],
) -> Result<bool, Fault> {
    let mut insert = connection
        .prepare_cached("INSERT INTO blobs (hash, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    Ok(insert.execute(params![hash.as_bytes(), bytes])? > 0)
}

/// Closes an intent if it is open.
pub(crate) fn close_intent(connection: &Connection, id: Option<Uuid>) -> Result<(), Fault> {
    if let Some(id) = id {
        let mut delete = connection.prepare_cached("DELETE FROM intents WHERE id = ?1")?;
        delete.execute([id.as_bytes()])?;
    }
    Ok(())
}

/// Keeps a snapshot, unless there is a newer one.
pub(crate) fn save_snapshot(
    connection: &Connection,
    stream: &StreamId,
    snapshot: &Snapshot,
    tail: &Tail,
) -> Result<(), Fault> {
    let row = known_row(connection, stream, tail)?;
    let found = row.map_or(0, |row| row.version);
    let Some(row) = row.filter(|_| snapshot.version <= found) else {
        let (stream, expected) = (stream.clone(), snapshot.version);
        return Err(Fault::Store(StoreError::Conflict { stream, expected, found }));
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO snapshots (stream, version, schema, state) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET version = ?2, schema = ?3, state = ?4 WHERE version <= ?2",
    )?;
    insert.execute(params![row.id, sql(snapshot.version), snapshot.schema, snapshot.state])?;
    Ok(())
}

/// Notes that events are published: those after the mark one by one, until the mark reaches them.
pub(crate) fn published(connection: &Connection, positions: &[u64]) -> Result<(), Fault> {
    let head = tail::head(connection)?;
    let mut mark = published_mark(connection)?;
    let former = mark;
    let mut insert = connection.prepare_cached(
        "INSERT INTO published_ahead (position) VALUES (?1) ON CONFLICT DO NOTHING",
    )?;
    for position in positions.iter().filter(|position| (mark + 1..=head).contains(position)) {
        insert.execute([sql(*position)])?;
    }
    let mut ahead = connection
        .prepare_cached("SELECT position FROM published_ahead WHERE position > ?1 ORDER BY 1")?;
    let mut rows = ahead.query([sql(mark)])?;
    // Positions have no gaps: they are counted inside the transaction that stores the event.
    while let Some(row) = rows.next()? {
        match number(row, 0)? == mark + 1 {
            true => mark += 1,
            false => break,
        }
    }
    drop(rows);
    if mark > former {
        let mut note = connection.prepare_cached("UPDATE store SET published = ?1")?;
        note.execute([sql(mark)])?;
        let mut forget =
            connection.prepare_cached("DELETE FROM published_ahead WHERE position <= ?1")?;
        forget.execute([sql(mark)])?;
    }
    Ok(())
}

/// All events up to here are published.
pub(crate) fn published_mark(connection: &Connection) -> Result<u64, Fault> {
    let mut query = connection.prepare_cached("SELECT published FROM store")?;
    let mark: Option<i64> = query.query_row([], |row| row.get(0)).optional()?;
    mark.and_then(|mark| u64::try_from(mark).ok())
        .ok_or_else(|| corrupt("store", "the mark of what is published is not there"))
}
