//! All events and blobs as lines of JSON.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cim_domain_nix::{Record, StoreError};
use cim_nix_base::ContentHash;
use rusqlite::Connection;

use crate::fault::{Fault, corrupt, full, is_no_room, unavailable};
use crate::lines::{BlobLine, EventLine, Format, Head, Line, Moved, VERSION, written};
use crate::partial::Partial;
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

impl SqliteStore {
    /// Like [`export`](Self::export), into the file `to`, which must not exist and appears whole or
    /// not at all.
    ///
    /// Errors: those of `export`; the file exists or cannot be written.
    pub fn export_to(&self, to: &Path) -> Result<Moved, StoreError> {
        let cannot = |error: &io::Error| match is_no_room(error) {
            true => full("export", to),
            false => unavailable(
                format!("cannot write the export {}: {error}", to.display()),
                "name a file that does not exist, in a folder that you may write to",
            ),
        };
        let partial = Partial::make(to).map_err(|error| cannot(&error))?;
        let file = fs::OpenOptions::new().write(true).open(partial.path());
        let mut out =
            Failing { out: BufWriter::new(file.map_err(|error| cannot(&error))?), failed: None };
        let moved = self.export(&mut out);
        if let Some(error) = out.failed {
            return Err(cannot(&error));
        }
        let moved = moved?;
        partial.finish(to).map_err(|error| cannot(&error))?;
        Ok(moved)
    }
}

/// Keeps why writing failed.
struct Failing<W> {
    out: W,
    failed: Option<io::Error>,
}

impl<W: Write> Failing<W> {
    fn keep<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

impl<W: Write> Write for Failing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.keep(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.keep(done)
    }
}

fn blobs(connection: &Connection, out: &mut dyn Write, moved: &mut Moved) -> Result<(), Fault> {
    let mut query = connection.prepare("SELECT bytes, hash FROM blobs ORDER BY hash")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let bytes =
            row.get_ref(0)?.as_blob().map_err(|_| corrupt("blobs", "a blob is no bytes"))?;
        let hash = ContentHash::of(bytes);
        if row.get_ref(1)?.as_blob().ok() != Some(hash.as_bytes()) {
            let place = format!("the blob with the hash {hash}");
            return Err(corrupt(place, "it was stored under another hash"));
        }
        let hash = hash.to_string().into();
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

fn cannot(error: &io::Error) -> StoreError {
    StoreError::Unavailable { problem: format!("cannot write the export: {error}"), hint: None }
}
