//! What readers ask.

use std::ops::ControlFlow;

use cim_domain_nix::{MessageId, Outgoing, Record, Snapshot, StreamId, Uuid, Visit};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, params};

use crate::decode::{COLUMNS, IdColumn, number, record, sql, stream as stream_id, unchecked};
use crate::fault::{Fault, altered, corrupt};
use crate::packed::{MOST_VERSIONS, Packed, Packer, place, version_at};
use crate::tail::arranged;
use crate::write::published_mark;

type Visitor<'v> = &'v mut dyn FnMut(&Record<'_>) -> Visit;

/// A query for events with their streams.
pub(crate) fn joined<'c>(
    connection: &'c Connection,
    rest: &str,
) -> Result<CachedStatement<'c>, Fault> {
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

/// What came of showing what a query finds.
struct Shown {
    is_found: bool,
    flow: ControlFlow<()>,
}

/// Shows what a query finds.
fn show(
    mut query: CachedStatement<'_>,
    values: impl Params,
    visit: Visitor<'_>,
) -> Result<Shown, Fault> {
    let mut rows = query.query(values)?;
    let mut shown = Shown { is_found: false, flow: ControlFlow::Continue(()) };
    while shown.flow.is_continue()
        && let Some(row) = rows.next()?
    {
        shown = Shown { is_found: true, flow: record(row, visit)? };
    }
    Ok(shown)
}

/// The row of a stream.
fn stream_row(connection: &Connection, stream: &StreamId) -> Result<Option<i64>, Fault> {
    let mut query =
        connection.prepare_cached("SELECT id FROM streams WHERE kind = ?1 AND aggregate = ?2")?;
    let values = params![stream.kind.token(), stream.id.as_bytes()];
    Ok(query.query_row(values, |row| row.get(0)).optional()?)
}

/// The events of a stream. In one moment, like all that look at the end of the log as well.
pub(crate) fn stream(
    connection: &Connection,
    stream: &StreamId,
    after: u64,
    visit: Visitor<'_>,
) -> Result<(), Fault> {
    let Some(row) = stream_row(connection, stream)? else { return Ok(()) };
    if arranged_stream(connection, (stream, row), after, visit)?.is_continue() {
        let query = joined(
            connection,
            "e.position > ?1 AND e.stream = ?2 AND e.version > ?3 ORDER BY e.position",
        )?;
        show(query, params![sql(arranged(connection)?), row, sql(after)], visit)?;
    }
    Ok(())
}

fn arranged_stream(
    connection: &Connection,
    (stream, row): (&StreamId, i64),
    after: u64,
    visit: Visitor<'_>,
) -> Result<ControlFlow<()>, Fault> {
    let mut query = connection.prepare_cached(
        "SELECT place, event FROM stream_events WHERE place > ?1 AND place <= ?2 ORDER BY place",
    )?;
    let mut rows = query.query([place(row, after), place(row, MOST_VERSIONS)])?;
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
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The version of a stream.
pub(crate) fn version(connection: &Connection, stream: &StreamId) -> Result<u64, Fault> {
    let Some(row) = stream_row(connection, stream)? else { return Ok(0) };
    let mut query = connection
        .prepare_cached("SELECT max(version) FROM events WHERE position > ?1 AND stream = ?2")?;
    let values = params![sql(arranged(connection)?), row];
    if let Some(version) = query.query_row(values, |row| row.get::<_, Option<i64>>(0))? {
        return Ok(version.unsigned_abs());
    }
    let mut query = connection
        .prepare_cached("SELECT max(place) FROM stream_events WHERE place BETWEEN ?1 AND ?2")?;
    let last: Option<i64> =
        query.query_row([place(row, 0), place(row, MOST_VERSIONS)], |row| row.get(0))?;
    Ok(last.map_or(0, version_at))
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
    if show(named(connection, "i.named = 0", "i.what")?, [id.as_bytes()], visit)?.is_found {
        return Ok(true);
    }
    let query = joined(connection, "e.position > ?1 AND e.id = ?2")?;
    Ok(show(query, params![sql(arranged(connection)?), id.as_bytes()], visit)?.is_found)
}

pub(crate) fn caused_by(
    connection: &Connection,
    cause: &MessageId,
    visit: Visitor<'_>,
) -> Result<(), Fault> {
    let query = named(connection, "i.named > 0 AND i.what & 1 ORDER BY i.named", "i.named")?;
    if show(query, [IdColumn(cause)], visit)?.flow.is_continue() {
        let query = joined(connection, "e.position > ?1 AND e.causation = ?2 ORDER BY e.position")?;
        show(query, params![sql(arranged(connection)?), IdColumn(cause)], visit)?;
    }
    Ok(())
}

pub(crate) fn correlated(
    connection: &Connection,
    correlation: &MessageId,
    visit: Visitor<'_>,
) -> Result<(), Fault> {
    let query = named(connection, "i.named > 0 AND i.what & 2 ORDER BY i.named", "i.named")?;
    if show(query, [IdColumn(correlation)], visit)?.flow.is_continue() {
        let query =
            joined(connection, "e.position > ?1 AND e.correlation = ?2 ORDER BY e.position")?;
        show(query, params![sql(arranged(connection)?), IdColumn(correlation)], visit)?;
    }
    Ok(())
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
