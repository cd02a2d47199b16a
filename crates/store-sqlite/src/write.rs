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
use crate::packed::{MOST_VERSIONS, Packer, place, version_at};
use crate::read;

/// A stream as the file knows it.
#[derive(Clone, Copy)]
pub(crate) struct StreamRow {
    pub(crate) id: i64,
    pub(crate) version: u64,
}

/// The row of a stream that has events.
pub(crate) fn stream_row(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Option<StreamRow>, Fault> {
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

/// The position of the last event.
pub(crate) fn head(connection: &Connection) -> Result<u64, Fault> {
    let mut query = connection.prepare_cached("SELECT max(position) FROM events")?;
    let head: Option<i64> = query.query_row([], |row| row.get(0))?;
    let head = head.unwrap_or(0);
    u64::try_from(head).map_err(|_| corrupt("events", format!("position {head} is below zero")))
}

/// Appends events after what `head` counts, and moves it.
pub(crate) fn append(
    connection: &Connection,
    append: &Append,
    head: &mut u64,
) -> Result<Appended, Fault> {
    if let Some(appended) = repeated(connection, append)? {
        close_intent(connection, append.intent)?;
        return Ok(appended);
    }
    let row = stream_row(connection, &append.stream)?;
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
    let row = match row {
        Some(row) => row.id,
        None => add_stream(connection, &append.stream)?,
    };
    let packer = Packer::new(&append.stream);
    for (event, version) in append.events.iter().zip(found + 1..) {
        *head += 1;
        let summed = Summed::new(&append.stream, version, event);
        insert(connection, *head, row, &summed)?;
        let place = place(row, version);
        let mut packed = connection.prepare_cached("INSERT INTO stream_events VALUES (?1, ?2)")?;
        packed.execute(params![place, packer.pack(place, *head, &summed)])?;
        name(connection, *head, &summed)?;
    }
    close_intent(connection, append.intent)?;
    Ok(Appended { version, position: *head, is_repeated: false })
}

/// Where the events stand if they were all stored before, next to each other.
fn repeated(connection: &Connection, append: &Append) -> Result<Option<Appended>, Fault> {
    let mut stored = Vec::with_capacity(append.events.len());
    for event in &append.events {
        stored.push(same(connection, &append.stream, event)?);
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

fn same(connection: &Connection, stream: &StreamId, event: &NewEvent) -> Result<Stored, Fault> {
    let mut query = read::named(connection, "i.named = 0", "i.what")?;
    let mut rows = query.query([event.id.as_bytes()])?;
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

/// Notes under its ids where an event stands.
fn name(connection: &Connection, position: u64, event: &Summed<'_>) -> Result<(), Fault> {
    let (own, at) = (event.id.as_bytes(), sql(position));
    let (correlation, causation) = (IdColumn(event.correlation), IdColumn(event.causation));
    if event.correlation == event.causation {
        let both = "INSERT INTO ids VALUES (?1, 0, ?2), (?3, ?2, 3)";
        connection.prepare_cached(both)?.execute(params![own, at, correlation])?;
    } else {
        let each = "INSERT INTO ids VALUES (?1, 0, ?2), (?3, ?2, 1), (?4, ?2, 2)";
        connection.prepare_cached(each)?.execute(params![own, at, causation, correlation])?;
    }
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
) -> Result<(), Fault> {
    let row = stream_row(connection, stream)?;
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
    let head = head(connection)?;
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
        connection.execute("UPDATE store SET published = ?1", [sql(mark)])?;
        connection.execute("DELETE FROM published_ahead WHERE position <= ?1", [sql(mark)])?;
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
