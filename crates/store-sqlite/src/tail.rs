//! Events that stand in the log alone.
//!
//! An append writes one page, the last one of the log: each table more would be a page more, and a
//! page in the middle of one is split every few times. So `stream_events` and `ids` take up many
//! events at once, those after the mark `arranged` of `store`. Who reads looks through them in the
//! log, which are a few pages at its end; who writes has them in memory.

use std::collections::HashMap;
use std::ops::ControlFlow;

use cim_domain_nix::{StreamId, Uuid};
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};

use crate::decode::{COLUMNS, Summed, number, record, sql, stream, uuid};
use crate::fault::{Fault, corrupt};
use crate::packed::{Packer, place};
use crate::write::StreamRow;

/// What the writer knows of these events. As no event ever changes, it stays true whatever other
/// processes do; only what was rolled back must be forgotten with its transaction.
#[derive(Default)]
pub(crate) struct Tail {
    arranged: u64,
    /// The position of the last event.
    pub(crate) head: u64,
    ids: HashMap<Uuid, u64>,
    /// Those of these events and some others.
    streams: HashMap<StreamId, StreamRow>,
}

/// Streams whose rows are kept in memory for longer.
const MOST_STREAMS: usize = 1_000;

impl Tail {
    /// Takes note of what other processes did.
    pub(crate) fn catch_up(&mut self, connection: &Connection) -> Result<(), Fault> {
        let arranged = arranged(connection)?;
        let head = head(connection)?;
        if !(arranged..=head).contains(&self.head) || arranged < self.arranged {
            *self = Self { head: arranged, ..Self::default() };
        }
        if arranged > self.arranged {
            self.arranged = arranged;
            self.ids.retain(|_, position| *position > arranged);
        }
        if head > self.head {
            self.read(connection)?;
            self.head = head;
        }
        Ok(())
    }

    fn read(&mut self, connection: &Connection) -> Result<(), Fault> {
        let mut query = connection.prepare_cached(
            "SELECT e.position, e.version, e.id, e.stream, s.kind, s.aggregate \
             FROM events e CROSS JOIN streams s ON s.id = e.stream \
             WHERE e.position > ?1 ORDER BY e.position",
        )?;
        let mut rows = query.query([sql(self.head)])?;
        while let Some(row) = rows.next()? {
            let (position, version) = (number(row, 0)?, number(row, 1)?);
            // What is damaged is told to those who read it, and holds up nobody else.
            if let Some(id) = uuid(row.get_ref(2)?) {
                self.ids.insert(id, position);
            }
            let (kind, aggregate) = (row.get_ref(4)?.as_str(), uuid(row.get_ref(5)?));
            if let (Ok(kind), Some(aggregate)) = (kind, aggregate)
                && let Ok(stream) = stream(kind, aggregate)
            {
                self.streams.insert(stream, StreamRow { id: row.get(3)?, version });
            }
        }
        Ok(())
    }

    /// Takes note of an event that was appended.
    pub(crate) fn push(&mut self, id: Uuid) {
        self.head += 1;
        self.ids.insert(id, self.head);
    }

    /// Takes note of where a stream ends now.
    pub(crate) fn end(&mut self, stream: &StreamId, row: StreamRow) {
        match self.streams.get_mut(stream) {
            Some(known) => *known = row,
            None => drop(self.streams.insert(stream.clone(), row)),
        }
    }

    /// The position of the event with this id, if it is one of these.
    pub(crate) fn find(&self, id: Uuid) -> Option<u64> {
        self.ids.get(&id).copied()
    }

    /// The row of a stream; of one that is not known here, all events are arranged.
    pub(crate) fn stream(&self, stream: &StreamId) -> Option<StreamRow> {
        self.streams.get(stream).copied()
    }

    /// Has these events taken up by the other tables if there are `most`.
    pub(crate) fn arrange(&mut self, connection: &Connection, most: u64) -> Result<(), Fault> {
        let n_events = self.head - self.arranged;
        if n_events == 0 || n_events < most {
            return Ok(());
        }
        pack(connection, self.arranged)?;
        name(connection, self.arranged)?;
        let mut mark = connection.prepare_cached("UPDATE store SET arranged = ?1")?;
        mark.execute([sql(self.head)])?;
        self.arranged = self.head;
        self.ids.clear();
        if self.streams.len() > MOST_STREAMS {
            self.streams.clear();
        }
        Ok(())
    }
}

/// Events after this stand in the log alone.
pub(crate) fn arranged(connection: &Connection) -> Result<u64, Fault> {
    let mut query = connection.prepare_cached("SELECT arranged FROM store")?;
    let mark: Option<i64> = query.query_row([], |row| row.get(0)).optional()?;
    mark.and_then(|mark| u64::try_from(mark).ok())
        .ok_or_else(|| corrupt("store", "the mark of what is arranged is not there"))
}

/// The position of the last event.
pub(crate) fn head(connection: &Connection) -> Result<u64, Fault> {
    let mut query = connection.prepare_cached("SELECT max(position) FROM events")?;
    let head: Option<i64> = query.query_row([], |row| row.get(0))?;
    let head = head.unwrap_or(0);
    u64::try_from(head).map_err(|_| corrupt("events", format!("position {head} is below zero")))
}

/// Packs the events after a position, those of a stream one after the other.
fn pack(connection: &Connection, after: u64) -> Result<(), Fault> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.kind, s.aggregate, e.stream \
         FROM events e CROSS JOIN streams s ON s.id = e.stream \
         WHERE e.position > ?1 ORDER BY e.stream, e.version"
    ))?;
    // Two in one place are damage, of which a check tells; it must not keep others from writing.
    let mut insert = connection
        .prepare_cached("INSERT INTO stream_events VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    let mut rows = query.query([sql(after)])?;
    while let Some(row) = rows.next()? {
        pack_row(row, &mut insert)?;
    }
    Ok(())
}

/// Packs the event of a row: the columns that are read, its kind, its aggregate and its stream.
pub(crate) fn pack_row(row: &Row<'_>, insert: &mut Statement<'_>) -> Result<(), Fault> {
    let (position, version) = (number(row, 0)?, number(row, 1)?);
    let place = place(row.get(13)?, version);
    let mut packed = None;
    let shown = record(row, &mut |event| {
        let packer = Packer::of(event.kind, event.aggregate);
        packed = Some(packer.pack(place, position, &Summed::of(event)));
        Ok(ControlFlow::Continue(()))
    });
    if let Err(Fault::Sql(error)) = shown {
        return Err(Fault::Sql(error));
    }
    let packed = match packed {
        Some(packed) => packed,
        // One that is not what was written stays where it is: there it is known, told and not
        // served, and the others are as useful as before.
        None => {
            let kind = row.get_ref(11)?.as_str().unwrap_or_default();
            let aggregate = uuid(row.get_ref(12)?).ok_or_else(|| {
                corrupt(format!("event {position}"), "its aggregate cannot be read")
            })?;
            Packer::of(kind, aggregate).elsewhere(place, position)
        }
    };
    insert.execute(params![place, packed])?;
    Ok(())
}

/// Notes under their ids where the events after a position stand.
fn name(connection: &Connection, after: u64) -> Result<(), Fault> {
    let notes = [
        "INSERT INTO ids SELECT id, 0, position FROM events WHERE position > ?1 \
         ON CONFLICT DO NOTHING",
        "INSERT INTO ids SELECT causation, position, 1 FROM events \
         WHERE position > ?1 AND causation <> correlation ON CONFLICT DO NOTHING",
        "INSERT INTO ids SELECT correlation, position, iif(causation = correlation, 3, 2) \
         FROM events WHERE position > ?1 ON CONFLICT DO NOTHING",
    ];
    for note in notes {
        connection.prepare_cached(note)?.execute([sql(after)])?;
    }
    Ok(())
}
