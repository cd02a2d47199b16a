//! Rows of tables as the domain's values, and back.

use std::hash::Hasher as _;

use cim_domain_nix::{
    Kind, MessageId, NewEvent, Record, StoreError, StreamId, Timestamp, Uuid, Visit,
};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, ToSql};
use twox_hash::xxhash3_64;

use crate::fault::{Fault, corrupt};

/// The columns that [`record`] reads, in this order; a join adds the stream's kind and aggregate
/// behind them.
pub(crate) const COLUMNS: &str = "e.position, e.version, e.id, e.type, e.schema, e.at, \
                                  e.correlation, e.causation, e.meta, e.body, e.sum";

/// Numbers of events and versions as SQLite has them. None reaches the end of either type.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from the file.
pub(crate) fn number(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    let found: i64 = row.get(column)?;
    u64::try_from(found).map_err(|_| corrupt("a number", format!("{found} is below zero")))
}

/// An id as 16 bytes.
pub(crate) fn uuid(value: ValueRef<'_>) -> Option<Uuid> {
    match value {
        ValueRef::Blob(bytes) => Uuid::from_slice(bytes).ok(),
        _ => None,
    }
}

/// An id of a message: 16 bytes, or a text for a content id.
pub(crate) struct IdColumn<'a>(pub(crate) &'a MessageId);

impl ToSql for IdColumn<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            MessageId::Uuid(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            MessageId::Cid(id) => ToSqlOutput::Owned(Value::Text(id.to_string())),
        })
    }
}

fn message_id(value: ValueRef<'_>) -> Option<MessageId> {
    match value {
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?;
            Some(MessageId::Cid(text.into()))
        }
        value => uuid(value).map(MessageId::Uuid),
    }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r str> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Shows an event to a visitor, if it is what was written.
pub(crate) fn record(
    row: &Row<'_>,
    visit: &mut dyn FnMut(&Record<'_>) -> Visit,
) -> Result<std::ops::ControlFlow<()>, Fault> {
    let sum: i64 = row.get(10)?;
    unchecked(row, &mut |event| match Summed::of(event).sum() == sum {
        true => visit(event),
        false => Err(StoreError::Corrupt {
            place: format!("event {}", event.position),
            problem: "it is not what was written (`store check`)".into(),
        }),
    })
}

/// Shows an event to a visitor as it stands there.
pub(crate) fn unchecked(
    row: &Row<'_>,
    visit: &mut dyn FnMut(&Record<'_>) -> Visit,
) -> Result<std::ops::ControlFlow<()>, Fault> {
    let position = number(row, 0)?;
    let broken =
        |what: &str| corrupt(format!("event {position}"), format!("{what} cannot be read"));
    let ids = (message_id(row.get_ref(6)?), message_id(row.get_ref(7)?));
    let (Some(correlation), Some(causation)) = ids else {
        return Err(broken("the id of a message"));
    };
    let record = Record {
        position,
        kind: text(row, 11).ok_or_else(|| broken("its kind"))?,
        aggregate: uuid(row.get_ref(12)?).ok_or_else(|| broken("its aggregate"))?,
        version: number(row, 1)?,
        id: uuid(row.get_ref(2)?).ok_or_else(|| broken("its id"))?,
        event_type: text(row, 3).ok_or_else(|| broken("its type"))?,
        schema: u32::try_from(number(row, 4)?).map_err(|_| broken("its schema"))?,
        at: Timestamp::from_micros(row.get(5)?),
        correlation: &correlation,
        causation: &causation,
        body: text(row, 9).ok_or_else(|| broken("its body"))?,
        meta: text(row, 8).ok_or_else(|| broken("its meta"))?,
    };
    Ok(visit(&record)?)
}

/// The stream that a record stands in.
///
/// Errors: the kind is no token.
pub(crate) fn stream(kind: &str, aggregate: Uuid) -> Result<StreamId, StoreError> {
    let kind: Kind = kind.parse().map_err(|_| StoreError::Corrupt {
        place: format!("stream {aggregate}"),
        problem: format!("`{}` is no kind of stream", kind.escape_debug()),
    })?;
    Ok(StreamId::new(kind, aggregate))
}

/// What the sum of an event is over: all that a reader gets, but its position.
pub(crate) struct Summed<'a> {
    pub(crate) kind: &'a str,
    pub(crate) aggregate: Uuid,
    pub(crate) version: u64,
    pub(crate) id: Uuid,
    pub(crate) event_type: &'a str,
    pub(crate) schema: u32,
    pub(crate) at: Timestamp,
    pub(crate) correlation: &'a MessageId,
    pub(crate) causation: &'a MessageId,
    pub(crate) body: &'a str,
    pub(crate) meta: &'a str,
}

impl<'a> Summed<'a> {
    pub(crate) fn new(stream: &'a StreamId, version: u64, event: &'a NewEvent) -> Self {
        Self {
            kind: stream.kind.token(),
            aggregate: stream.id,
            version,
            id: event.id,
            event_type: &event.event_type,
            schema: event.schema,
            at: event.at,
            correlation: &event.correlation,
            causation: &event.causation,
            body: &event.body,
            meta: &event.meta,
        }
    }

    pub(crate) fn of(event: &Record<'a>) -> Self {
        Self {
            kind: event.kind,
            aggregate: event.aggregate,
            version: event.version,
            id: event.id,
            event_type: event.event_type,
            schema: event.schema,
            at: event.at,
            correlation: event.correlation,
            causation: event.causation,
            body: event.body,
            meta: event.meta,
        }
    }

    /// An XXH3 of 64 bits: enough to notice what a disk did, and a tenth of what a SHA-256 costs.
    /// It is no protection against whoever means to deceive; file permissions are.
    pub(crate) fn sum(&self) -> i64 {
        let texts = [self.kind, self.event_type, self.body, self.meta];
        let n_bytes: usize = texts.iter().map(|text| text.len()).sum();
        // Gathered first, short ones take a third of the time.
        if n_bytes < 4_096 {
            let mut bytes = Gathered(Vec::with_capacity(n_bytes + 256));
            self.feed(&mut bytes);
            return bytes.finish().cast_signed();
        }
        let mut hash = xxhash3_64::Hasher::new();
        self.feed(&mut hash);
        hash.finish().cast_signed()
    }

    fn feed(&self, hash: &mut impl std::hash::Hasher) {
        hash.write(self.aggregate.as_bytes());
        hash.write(self.id.as_bytes());
        hash.write(&self.version.to_le_bytes());
        hash.write(&self.schema.to_le_bytes());
        hash.write(&self.at.micros().to_le_bytes());
        for id in [self.correlation, self.causation] {
            match id {
                MessageId::Uuid(id) => hash.write(id.as_bytes()),
                MessageId::Cid(id) => {
                    // Bytes and a text of the same bytes are one bit apart in the file.
                    hash.write(&(id.len() as u64 + 1).to_le_bytes());
                    hash.write(id.as_bytes());
                }
            }
        }
        for text in [self.kind, self.event_type, self.body, self.meta] {
            // Lengths keep the texts apart.
            hash.write(&(text.len() as u64).to_le_bytes());
            hash.write(text.as_bytes());
        }
    }
}

/// What a sum is over, in one piece.
struct Gathered(Vec<u8>);

impl std::hash::Hasher for Gathered {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        xxhash3_64::Hasher::oneshot(&self.0)
    }
}
