//! Events and blobs from lines of JSON, all or nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cim_domain_nix::{Append, Expected, NewEvent, StoreError};
use cim_nix_base::{ContentHash, Error};
use rusqlite::Connection;

use crate::decode::sql;
use crate::fault::{Fault, full, is_no_room, unavailable};
use crate::lines::{BlobLine, EventLine, Head, Line, Moved, VERSION, stored};
use crate::store::SqliteStore;
use crate::tail::Tail;
use crate::{partial, reach, write};

/// The longest line: the largest blob and its name.
const MOST_LINE: u64 = 700 << 20;
/// Events that are arranged at once.
const PORTION: u64 = 10_000;

impl SqliteStore {
    /// Takes over what [`export`](Self::export) wrote, in one transaction; answers what is new.
    /// Into a store that has events already it goes as well, as long as the streams go on where
    /// they end here: events that are stored already are passed over. All lines are read, into a
    /// nameless file beside the store, before others have to wait.
    ///
    /// Errors: [`StoreError::Visitor`] holds an error of the kind `User`, which names the first line
    /// that is not as it should be: no line of an export, an event that is stored with another
    /// content, a version that is missing, files outside of the project, bytes with another hash, an
    /// end that is missing. Then nothing was taken over.
    pub fn import(&self, lines: &mut dyn BufRead) -> Result<Moved, StoreError> {
        let mut lines = BufReader::new(self.spool(lines)?);
        let imported = self.write_with_tail(|connection, tail| {
            tail.catch_up(connection)?;
            let mut import = Import::after(connection, tail);
            import.lines(&mut lines)?;
            let taken = import.taken;
            tail.arrange(connection, 1)?;
            Ok((taken, tail.head))
        });
        let (moved, head) = imported.map_err(|fault| fault.at(self.path()))?;
        self.note(head);
        Ok(moved)
    }

    /// All that `lines` has, in a file: whoever writes it may take its time.
    fn spool(&self, lines: &mut dyn BufRead) -> Result<File, StoreError> {
        let cannot = |error: io::Error| match is_no_room(&error) {
            true => full("import beside the event store", self.path()),
            false => unavailable(
                format!("cannot read the import: {error}"),
                "nothing was imported; the folder of the store has to be writable for you",
            ),
        };
        let mut file = partial::nameless(self.path()).map_err(cannot)?;
        io::copy(lines, &mut file).map_err(cannot)?;
        file.rewind().map_err(cannot)?;
        Ok(file)
    }
}

struct Import<'c> {
    connection: &'c Connection,
    /// The position of the last event before.
    before: u64,
    tail: &'c mut Tail,
    /// What the lines hold.
    moved: Moved,
    /// What of it was not here.
    taken: Moved,
    /// Of the line that is read.
    number: u64,
    /// What the first line says.
    said: Option<Head>,
    is_ended: bool,
    /// The position in the export of the event before.
    position: u64,
    n_published: u64,
}

impl<'c> Import<'c> {
    fn after(connection: &'c Connection, tail: &'c mut Tail) -> Self {
        Self {
            connection,
            before: tail.head,
            tail,
            moved: Moved::default(),
            taken: Moved::default(),
            number: 0,
            said: None,
            is_ended: false,
            position: 0,
            n_published: 0,
        }
    }

    fn lines(&mut self, lines: &mut dyn BufRead) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.number += 1;
            let n_read = lines.take(MOST_LINE).read_until(b'\n', &mut bytes);
            match n_read.map_err(|error| self.wrong(&format!("cannot be read: {error}")))? {
                0 => break,
                _ if !bytes.ends_with(b"\n") => {
                    return Err(self.wrong("has no end: the export was cut off, or it is none"));
                }
                _ => self.line(&bytes)?,
            }
        }
        match self.is_ended {
            true => self.publish(),
            false => Err(self.wrong("is missing: an export ends with a line `end`")),
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.is_ended {
            return Err(self.wrong("stands behind the end"));
        }
        let line = match serde_json::from_slice(bytes) {
            Ok(line) => line,
            Err(error) => return Err(self.wrong(&self.no_line(&error))),
        };
        match line {
            Line::Head(head) if self.said.is_none() => self.start(head),
            _ if self.said.is_none() => Err(self.wrong("is not the first line of an export")),
            Line::Head(_) => Err(self.wrong("begins a second export")),
            Line::Blob(line) => self.blob(&line),
            Line::Event(line) => self.event(line),
            Line::End(said) if said == self.moved => {
                self.is_ended = true;
                Ok(())
            }
            Line::End(said) => Err(self.wrong(&format!(
                "counts {} events and {} blobs, but there were {} and {}",
                said.events, said.blobs, self.moved.events, self.moved.blobs
            ))),
        }
    }

    fn no_line(&self, error: &serde_json::Error) -> String {
        let wanted = match self.said {
            Some(_) => "is no line of an export",
            None => "is not the first line of an export",
        };
        // It counts lines as well, in a text that is one line.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        format!("{wanted}: {text} at column {}", error.column())
    }

    fn start(&mut self, head: Head) -> Result<(), Fault> {
        if head.version > VERSION {
            let (found, known) = (head.version, VERSION);
            return Err(StoreError::Newer { place: "the export".into(), found, known }.into());
        }
        self.said = Some(head);
        Ok(())
    }

    fn blob(&mut self, line: &BlobLine<'_>) -> Result<(), Fault> {
        let bytes = BASE64.decode(line.base64.as_bytes());
        let bytes = bytes.map_err(|_| self.wrong("holds a blob that is no base64"))?;
        let hash =
            ContentHash::from_hex(&line.hash).filter(|hash| *hash == ContentHash::of(&bytes));
        let hash = hash.ok_or_else(|| self.wrong("holds bytes with another hash than it says"))?;
        self.taken.blobs += u64::from(write::put_blob(self.connection, hash, &bytes)?);
        self.moved.blobs += 1;
        Ok(())
    }

    fn event(&mut self, line: EventLine<'_>) -> Result<(), Fault> {
        if line.position <= self.position {
            return Err(self.wrong("goes back: events stand in the order of their positions"));
        }
        self.position = line.position;
        let (Some(body), Some(meta)) =
            (stored(line.body, line.body_text), stored(line.meta, line.meta_text))
        else {
            return Err(self.wrong("has a body or meta twice, or not at all"));
        };
        let event = NewEvent {
            id: line.id,
            event_type: line.event_type.into_owned(),
            schema: line.schema,
            at: line.at,
            correlation: line.correlation,
            causation: line.causation,
            body,
            meta,
        };
        event.check().map_err(|error| self.wrong(&format!("is wrong: {error}")))?;
        reach::check(&event.body).map_err(|problem| self.wrong(&problem))?;
        self.append(
            line.version,
            Append {
                expected: Expected::Version(line.version.saturating_sub(1)),
                stream: line.stream,
                events: vec![event],
                intent: None,
            },
        )
    }

    fn append(&mut self, version: u64, append: Append) -> Result<(), Fault> {
        let appended = write::append(self.connection, &append, self.tail);
        self.tail.arrange(self.connection, PORTION)?;
        match appended {
            Ok(_) if version == 0 => return Err(self.wrong("has version 0: they count from 1")),
            Ok(appended) if !appended.is_repeated => self.taken.events += 1,
            Ok(appended) if appended.version == version => {}
            Ok(_) | Err(Fault::Store(StoreError::Duplicate { .. })) => {
                let id = append.events[0].id;
                return Err(self.wrong(&format!("has the event {id}, which is another one here")));
            }
            Err(Fault::Store(StoreError::Conflict { stream, found, .. })) => {
                return Err(self.wrong(&format!(
                    "is version {version} of {stream}, which is at version {found} here"
                )));
            }
            Err(fault) => return Err(fault),
        }
        self.moved.events += 1;
        let published = self.said.as_ref().map_or(0, |head| head.published);
        self.n_published += u64::from(self.position <= published);
        Ok(())
    }

    /// What was published there is published here, where all events come from there.
    fn publish(&self) -> Result<(), Fault> {
        if self.before == 0 && self.n_published > 0 {
            self.connection.execute("UPDATE store SET published = ?1", [sql(self.n_published)])?;
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Fault {
        let problem = format!("cannot import: line {} {what}", self.number);
        // What the lines say is up to who gave them, not to this machine.
        Fault::Store(StoreError::Visitor(Box::new(
            Error::user(problem).hint("nothing was imported"),
        )))
    }
}
