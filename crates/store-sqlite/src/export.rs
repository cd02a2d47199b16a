//! All events and blobs as lines of JSON.

use std::io::Write;
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cim_domain_nix::{Record, StoreError};
use cim_nix_base::ContentHash;
use rusqlite::Connection;

use crate::fault::{Fault, corrupt};
use crate::lines::{BlobLine, EventLine, Format, Head, Line, Moved, VERSION, written};
use crate::store::SqliteStore;
use crate::{read, write};

impl SqliteStore {
    /// Writes all events and blobs of this moment as lines of JSON, byte for byte as they are
    /// stored. Read models and snapshots are left out, as they can be made again, and so are open
    /// intents: they speak of files of this machine.
    ///
    /// Errors: what stands before an event that cannot be read is written.
    pub fn export(&self, out: &mut dyn Write) -> Result<Moved, StoreError> {
        self.read_moment(|connection| {
            let mut moved = Moved::default();
            let published = write::published_mark(connection)?;
            put(out, &Line::Head(Head { format: Format::Events, version: VERSION, published }))?;
            blobs(connection, out, &mut moved)?;
            read::all(connection, 0, &mut |event| {
                put(out, &Line::Event(line(event)?))?;
                moved.events += 1;
                Ok(ControlFlow::Continue(()))
            })?;
            put(out, &Line::End(moved))?;
            out.flush().map_err(|error| cannot(&error))?;
            Ok(moved)
        })
    }
}

fn blobs(connection: &Connection, out: &mut dyn Write, moved: &mut Moved) -> Result<(), Fault> {
    let mut query = connection.prepare("SELECT bytes FROM blobs ORDER BY hash")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let bytes =
            row.get_ref(0)?.as_blob().map_err(|_| corrupt("blobs", "a blob is no bytes"))?;
        let hash = ContentHash::of(bytes).to_string().into();
        put(out, &Line::Blob(BlobLine { hash, base64: BASE64.encode(bytes).into() }))?;
        moved.blobs += 1;
    }
    Ok(())
}

fn line<'a>(event: &Record<'a>) -> Result<EventLine<'a>, StoreError> {
    let (body, body_text) = written(event.body);
    let (meta, meta_text) = written(event.meta);
    Ok(EventLine {
        position: event.position,
        stream: event.stream()?,
        version: event.version,
        id: event.id,
        event_type: event.event_type.into(),
        schema: event.schema,
        at: event.at,
        correlation: event.correlation.clone(),
        causation: event.causation.clone(),
        body,
        body_text,
        meta,
        meta_text,
    })
}

fn put(out: &mut dyn Write, line: &Line<'_>) -> Result<(), StoreError> {
    let mut bytes = serde_json::to_vec(line)
        .map_err(|error| StoreError::Invalid(format!("a line cannot be written: {error}")))?;
    bytes.push(b'\n');
    out.write_all(&bytes).map_err(|error| cannot(&error))
}

fn cannot(error: &std::io::Error) -> StoreError {
    StoreError::Unavailable { problem: format!("cannot write the export: {error}"), hint: None }
}
