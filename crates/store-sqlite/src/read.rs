//! What readers ask.

use std::ops::ControlFlow;

use cim_domain_nix::{MessageId, Outgoing, Record, Snapshot, StreamId, Uuid, Visit};
use rusqlite::{CachedStatement, Connection, Params, params};

use crate::decode::{COLUMNS, IdColumn, number, record, sql, stream as stream_id, unchecked};
use crate::fault::{Fault, altered, corrupt};
use crate::packed::{MOST_VERSIONS, Packed, Packer, version_at};
use crate::write::published_mark;

type Visitor<'v> = &'v mut dyn FnMut(&Record<'_>) -> Visit;

/// A query for events with their streams.
fn joined<'c>(connection: &'c Connection, rest: &str) -> Result<CachedStatement<'c>, Fault> {
    Ok(connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.kind, s.aggregate FROM events e JOIN streams s ON s.id = e.stream \
         WHERE {rest}"
    ))?)
}

/// A query for the events that an id names, with their streams.
pub(crate) fn named<'c>(
    connection: &'c Connection,
    rest: &str,
    position: &str,
) -> Result<CachedStatement<'c>, Fault> {
    Ok(connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.kind, s.aggregate FROM ids i \
         CROSS JOIN events e ON e.position = {position} CROSS JOIN streams s ON s.id = e.stream \
         WHERE i.id = ?1 AND {rest}"
    ))?)
}

/// Shows what a query finds; answers whether it found anything.
fn show(
    mut query: CachedStatement<'_>,
    values: impl Params,
    visit: Visitor<'_>,
) -> Result<bool, Fault> {
    let mut rows = query.query(values)?;
    let mut has_found = false;
    while let Some(row) = rows.next()? {
        has_found = true;
        if record(row, visit)?.is_break() {
            break;
        }
    }
    Ok(has_found)
}

pub(crate) fn stream(
    connection: &Connection,
    stream: &StreamId,
    after: u64,
    visit: Visitor<'_>,
) -> Result<(), Fault> {
    let mut query = connection.prepare_cached(
        "SELECT p.place, p.event FROM streams s CROSS JOIN stream_events p \
         WHERE s.kind = ?1 AND s.aggregate = ?2 \
         AND p.place > (s.id << 31) + ?3 AND p.place <= (s.id << 31) + 2147483647 ORDER BY p.place",
    )?;
    let after = sql(after.min(MOST_VERSIONS));
    let mut rows = query.query(params![stream.kind.token(), stream.id.as_bytes(), after])?;
    let packer = Packer::new(stream);
    while let Some(row) = rows.next()? {
        let place = row.get(0)?;
        let version = version_at(place);
        let packed = row.get_ref(1)?.as_blob().ok().and_then(|event| packer.unpack(place, event));
        let flow = match packed {
            Some(Packed::Event(event)) => visit(&Record {
                position: event.position,
                kind: stream.kind.token(),
                aggregate: stream.id,
                version,
                id: event.id,
                event_type: event.event_type,
                schema: event.schema,
                at: event.at,
                correlation: &event.correlation,
                causation: &event.causation,
                body: event.body,
                meta: event.meta,
            })?,
            Some(Packed::Elsewhere(position)) => at(connection, position, visit)?,
            None => return Err(altered(format!("version {version} of {stream}"))),
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// The event at a position that has one.
fn at(
    connection: &Connection,
    position: u64,
    visit: Visitor<'_>,
) -> Result<ControlFlow<()>, Fault> {
    let mut query = joined(connection, "e.position = ?1")?;
    let mut rows = query.query([sql(position)])?;
    match rows.next()? {
        Some(row) => record(row, visit),
        None => Err(corrupt(format!("event {position}"), "it is missing (`store check`)")),
    }
}

pub(crate) fn all(connection: &Connection, after: u64, visit: Visitor<'_>) -> Result<(), Fault> {
    let query = joined(connection, "e.position > ?1 ORDER BY e.position")?;
    show(query, [sql(after)], visit).map(drop)
}

/// All events as they stand there, whether or not they are what was written.
pub(crate) fn all_unchecked(connection: &Connection, visit: Visitor<'_>) -> Result<(), Fault> {
    let mut query = joined(connection, "TRUE ORDER BY e.position")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if unchecked(row, visit)?.is_break() {
            break;
        }
    }
    Ok(())
}

pub(crate) fn back(connection: &Connection, before: u64, visit: Visitor<'_>) -> Result<(), Fault> {
    let query = joined(connection, "e.position < ?1 ORDER BY e.position DESC")?;
    show(query, [sql(before)], visit).map(drop)
}

pub(crate) fn find(connection: &Connection, id: Uuid, visit: Visitor<'_>) -> Result<bool, Fault> {
    show(named(connection, "i.named = 0", "i.what")?, [id.as_bytes()], visit)
}

pub(crate) fn caused_by(
    connection: &Connection,
    cause: &MessageId,
    visit: Visitor<'_>,
) -> Result<(), Fault> {
    let query = named(connection, "i.named > 0 AND i.what & 1 ORDER BY i.named", "i.named")?;
    show(query, [IdColumn(cause)], visit).map(drop)
}

pub(crate) fn correlated(
    connection: &Connection,
    correlation: &MessageId,
    visit: Visitor<'_>,
) -> Result<(), Fault> {
    let query = named(connection, "i.named > 0 AND i.what & 2 ORDER BY i.named", "i.named")?;
    show(query, [IdColumn(correlation)], visit).map(drop)
}

pub(crate) fn snapshot(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Option<Snapshot>, Fault> {
    let mut query = connection.prepare_cached(
        "SELECT n.version, n.schema, n.state FROM snapshots n JOIN streams s ON s.id = n.stream \
         WHERE s.kind = ?1 AND s.aggregate = ?2",
    )?;
    let mut rows = query.query(params![stream.kind.token(), stream.id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let schema = u32::try_from(number(row, 1)?)
        .map_err(|_| corrupt(format!("the snapshot of {stream}"), "its schema cannot be read"))?;
    Ok(Some(Snapshot { version: number(row, 0)?, schema, state: row.get(2)? }))
}

pub(crate) fn outgoing(connection: &Connection, limit: usize) -> Result<Vec<Outgoing>, Fault> {
    let query = joined(
        connection,
        "e.position > ?1 AND NOT EXISTS \
         (SELECT 1 FROM published_ahead p WHERE p.position = e.position) \
         ORDER BY e.position LIMIT ?2",
    )?;
    let values = params![sql(published_mark(connection)?), sql(limit as u64)];
    let mut found = Vec::new();
    show(query, values, &mut |event| {
        found.push(Outgoing {
            position: event.position,
            id: event.id,
            stream: stream_id(event.kind, event.aggregate)?,
            version: event.version,
            event_type: event.event_type.to_owned(),
            schema: event.schema,
            at: event.at,
            correlation: event.correlation.clone(),
            causation: event.causation.clone(),
            body: event.body.to_owned(),
            meta: event.meta.to_owned(),
        });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
