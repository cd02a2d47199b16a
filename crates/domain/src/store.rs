//! What a store of events has to do.
//!
//! A store keeps events in streams and all of them in one order, too. It knows nothing of what they
//! mean: bodies are JSON texts that it gives back byte for byte. All calls block; a store may be
//! shared by threads, and a store on a disk by processes.
//!
//! What every store promises, and `contract` checks:
//!
//! * [`append`](EventStore::append) is all or nothing, and durable when it returns.
//! * Versions of a stream are 1, 2, 3 without gaps. Positions grow; they may have gaps.
//! * An id of an event is stored once. Appending the same events again answers what the first time
//!   answered, so a caller that does not know whether it got through simply tries again.
//! * Who reads all events by position misses none: an event never appears behind a position that
//!   was already read.
//! * Read models move in the same transaction as their checkpoint.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cim_nix_base::ContentHash;
use uuid::Uuid;

use crate::{Kind, MessageId, Reading, StreamId, Timestamp};

/// What version a stream must have for an append to succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Any, an empty stream included.
    Any,
    /// Exactly this many events; 0 for a stream that does not exist yet.
    Version(u64),
}

/// An event on its way into a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// Its id, unique for ever.
    pub id: Uuid,
    /// The name of its type, `FlakeCreated`.
    pub event_type: String,
    /// The version of its body's shape, from 1.
    pub schema: u32,
    /// When it happened, by the clock of whoever wrote it.
    pub at: Timestamp,
    /// The conversation that it belongs to.
    pub correlation: MessageId,
    /// The message that caused it; for the event of a command, the command's id.
    pub causation: MessageId,
    /// The event as JSON.
    pub body: String,
    /// What else is known of its origin (who, where, with what), as a JSON object.
    pub meta: String,
}

/// Events for one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// What version it must have.
    pub expected: Expected,
    /// The events, at least one.
    pub events: Vec<NewEvent>,
    /// The intent that these events fulfil. A store that keeps intents closes it in the same
    /// transaction; where another one keeps it, recovery finds it fulfilled by the events' ids.
    pub intent: Option<Uuid>,
}

/// Where events were stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The version of the stream after the last of them.
    pub version: u64,
    /// The position of the last of them.
    pub position: u64,
    /// Whether they had been stored before, by an earlier attempt.
    pub is_repeated: bool,
}

/// A stored event, as a view of what the store read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Its place among all events, from 1.
    pub position: u64,
    /// The kind of its stream.
    pub kind: &'a str,
    /// The aggregate.
    pub aggregate: Uuid,
    /// Its place in its stream, from 1.
    pub version: u64,
    /// Its id.
    pub id: Uuid,
    /// The name of its type.
    pub event_type: &'a str,
    /// The version of its body's shape.
    pub schema: u32,
    /// When it happened, by the clock of whoever wrote it.
    pub at: Timestamp,
    /// The conversation that it belongs to.
    pub correlation: &'a MessageId,
    /// The message that caused it.
    pub causation: &'a MessageId,
    /// The event as JSON.
    pub body: &'a str,
    /// What else is known of its origin, as a JSON object.
    pub meta: &'a str,
}

impl Append {
    /// The longest body and the longest meta that stores take, in bytes.
    pub const MOST: usize = 64 << 20;

    /// What every store looks at before it stores anything.
    ///
    /// Errors: [`StoreError::Invalid`] for an empty append and for events that could not be read
    /// again, [`StoreError::Duplicate`] for an id that occurs twice in it.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.events.is_empty() {
            return Err(StoreError::Invalid(format!("an append to {} has no events", self.stream)));
        }
        if !is_kind(&self.stream.kind) {
            return Err(StoreError::Invalid(format!("`{}` names no stream", self.stream)));
        }
        let mut ids: Vec<Uuid> = self.events.iter().map(|event| event.id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StoreError::Duplicate { id: pair[0] });
        }
        self.events.iter().try_for_each(NewEvent::check)
    }
}

impl NewEvent {
    /// What [`Append::check`] asks of each event.
    ///
    /// Errors: [`StoreError::Invalid`] for one that could not be read again.
    pub fn check(&self) -> Result<(), StoreError> {
        let refuse = |problem: &str| {
            Err(StoreError::Invalid(format!("event {} cannot be stored: {problem}", self.id)))
        };
        if self.event_type.is_empty() || self.event_type.len() > 200 {
            return refuse("its type has to have a name, of at most 200 bytes");
        }
        if ![&self.correlation, &self.causation].into_iter().all(is_message_id) {
            return refuse("an id of a message is neither a UUID nor a content id");
        }
        if self.schema == 0 {
            return refuse("versions of bodies count from 1");
        }
        if self.body.len().max(self.meta.len()) > Append::MOST {
            return refuse("its body is longer than 64 MiB");
        }
        if !is_json(&self.body) {
            return refuse("its body is not JSON");
        }
        if !is_object(&self.meta) {
            return refuse("its meta is not a JSON object");
        }
        Ok(())
    }
}

/// Whether a kind reads back as itself.
fn is_kind(kind: &Kind) -> bool {
    match kind {
        Kind::Other(token) => token.parse().as_ref() == Ok(kind),
        _ => true,
    }
}

/// Whether an id reads back as itself.
fn is_message_id(id: &MessageId) -> bool {
    match id {
        MessageId::Uuid(_) => true,
        MessageId::Cid(text) => text.parse().as_ref() == Ok(id),
    }
}

/// Whether `text` is one JSON value, however deep.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && is_json(text)
}

impl Snapshot {
    /// What every store looks at before it keeps a snapshot.
    ///
    /// Errors: [`StoreError::Invalid`] for one that could not be read again.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.version > 0 && is_json(&self.state) && self.state.len() <= Append::MOST {
            true => Ok(()),
            false => Err(StoreError::Invalid(
                "a snapshot stands for a version and has a state in JSON, of at most 64 MiB".into(),
            )),
        }
    }
}

impl Record<'_> {
    /// The stream that it stands in.
    ///
    /// Errors: the store holds a kind that is no token.
    pub fn stream(&self) -> Result<StreamId, StoreError> {
        let kind: Kind = self.kind.parse().map_err(|_| StoreError::Corrupt {
            place: format!("event {}", self.position),
            problem: format!("`{}` is no kind of stream", self.kind.escape_debug()),
        })?;
        Ok(StreamId::new(kind, self.aggregate))
    }
}

/// What a visitor answers: go on, stop, or fail.
pub type Visit = Result<ControlFlow<()>, StoreError>;

/// A snapshot of an aggregate's state: an optimisation that may be thrown away at any time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The version of the stream that it stands for.
    pub version: u64,
    /// The version of the state's shape; another one is not read.
    pub schema: u32,
    /// The state as JSON.
    pub state: String,
}

/// An event that waits to be published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Its position: what [`EventStore::published`] takes.
    pub position: u64,
    /// Its id, for `Nats-Msg-Id`.
    pub id: Uuid,
    /// Its stream.
    pub stream: StreamId,
    /// Its version in the stream.
    pub version: u64,
    /// The name of its type.
    pub event_type: String,
    /// The version of its body's shape.
    pub schema: u32,
    /// When it happened, by the clock of whoever wrote it.
    pub at: Timestamp,
    /// The conversation that it belongs to.
    pub correlation: MessageId,
    /// The message that caused it.
    pub causation: MessageId,
    /// The event as JSON.
    pub body: String,
    /// What else is known of its origin, as a JSON object.
    pub meta: String,
}

/// Rows of one read model: texts by key, in the order of their keys.
pub trait Rows {
    /// The row of `key`.
    fn get(&self, key: &str) -> Result<Option<String>, StoreError>;
    /// Writes a row.
    fn put(&mut self, key: &str, value: &str) -> Result<(), StoreError>;
    /// Removes a row; nothing happens if there is none.
    fn remove(&mut self, key: &str) -> Result<(), StoreError>;
    /// Visits the rows whose key starts with `prefix` and is greater than `after`.
    fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> Visit,
    ) -> Result<(), StoreError>;
}

/// A read model that follows all events. It can be dropped and built again from nothing.
pub trait Projection: Send + Sync {
    /// Its name, unique in a store.
    fn name(&self) -> &'static str;
    /// The version of its rows' shape. A store that holds another one drops the rows and follows
    /// from the first event.
    fn schema(&self) -> u32;
    /// Takes one event into the rows. Must depend on nothing but the rows and the event.
    ///
    /// Errors: those of the rows. Events that it cannot read are left out, not an error: a read
    /// model must not stop because of one event from a newer version.
    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError>;
}

impl<P: Projection + ?Sized> Projection for &P {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn schema(&self) -> u32 {
        (**self).schema()
    }

    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        (**self).apply(event, rows)
    }
}

/// How far a read model has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The position of the last event that it has taken in.
    pub position: u64,
    /// The position of the last event in the store.
    pub head: u64,
}

/// Waits for events that others append.
pub trait Subscription: Send {
    /// Visits the events after the last one visited; waits up to `patience` for the first.
    ///
    /// Shape: answers how many were visited; 0 when `patience` ran out. An event whose visitor
    /// failed is visited again by the next call.
    fn next(
        &mut self,
        patience: Duration,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<usize, StoreError>;
}

/// An append that somebody is going to make soon, or not at all; over when it is dropped.
#[derive(Default, Debug)]
pub struct Announced(Option<Arc<AtomicUsize>>);

impl Announced {
    /// One that is counted as long as it lives.
    #[must_use]
    pub fn counted(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Some(count.clone()))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Keeps events. See the module's text for what each store promises.
pub trait EventStore: Send + Sync {
    /// Appends events to one stream, all or nothing, and durable when it returns.
    ///
    /// Errors: [`StoreError::Conflict`] when the stream has another version than expected,
    /// [`StoreError::Duplicate`] when an id is taken by another event.
    fn append(&self, append: Append) -> Result<Appended, StoreError>;

    /// Says that somebody is going to append, until what this answers is dropped. A store that
    /// writes appends together may wait a moment for those that are announced.
    fn announce(&self) -> Announced {
        Announced::default()
    }

    /// Visits the events of a stream with versions above `after`, in order. A stream that does not
    /// exist has none.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError>;

    /// Visits all events with positions above `after`, in order.
    fn read_all(
        &self,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError>;

    /// Visits all events with positions below `before` (all for `None`), the newest first.
    fn read_back(
        &self,
        before: Option<u64>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError>;

    /// Visits the event with this id; answers whether there is one.
    fn find(
        &self,
        id: Uuid,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<bool, StoreError>;

    /// Visits the events that message `cause` caused directly, in order.
    fn caused_by(
        &self,
        cause: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError>;

    /// Visits the events of a conversation, in order.
    fn correlated(
        &self,
        correlation: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError>;

    /// The version of a stream; 0 where there is none.
    fn version(&self, stream: &StreamId) -> Result<u64, StoreError>;

    /// The position of the last event; 0 in an empty store.
    fn head(&self) -> Result<u64, StoreError>;

    /// Follows all events after `after`, whoever appends them.
    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError>;

    /// The newest snapshot of a stream.
    fn snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Keeps a snapshot; an older one of the stream may go.
    ///
    /// Errors: [`StoreError::Conflict`] when the stream has not come that far.
    fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> Result<(), StoreError>;

    /// The first `limit` events that were not published yet, in order.
    fn outgoing(&self, limit: usize) -> Result<Vec<Outgoing>, StoreError>;

    /// Notes that the events at these positions are published. Noting it twice is fine.
    fn published(&self, positions: &[u64]) -> Result<(), StoreError>;

    /// Brings a read model up to the head; rows and checkpoint move together. One that the store
    /// moves along with each append has nothing to do.
    fn catch_up(&self, projection: &dyn Projection) -> Result<Progress, StoreError>;

    /// How far a read model has come, without moving it.
    fn progress(&self, name: &str) -> Result<Progress, StoreError>;

    /// Drops the rows and the checkpoint of a read model.
    fn drop_projection(&self, name: &str) -> Result<(), StoreError>;

    /// Reads rows of a read model, at one moment.
    fn rows(
        &self,
        name: &str,
        read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

/// A change that is under way: written before the first file is touched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Intent {
    /// Its id; the journal of the files carries it as well.
    pub id: Uuid,
    /// When it was written.
    pub at: Timestamp,
    /// The stream that the events will stand in.
    pub stream: StreamId,
    /// The version that the stream had: its events will follow this one.
    pub expected: u64,
    /// The ids of the events, by which recovery finds out whether they were stored.
    pub events: Vec<Uuid>,
    /// What is to be done, as a JSON object for whoever recovers it.
    pub plan: String,
}

impl Intent {
    /// What every store looks at before it keeps an intent.
    ///
    /// Errors: [`StoreError::Invalid`] for one that could not be read again.
    pub fn check(&self) -> Result<(), StoreError> {
        let is_sound = is_object(&self.plan) && is_kind(&self.stream.kind);
        match is_sound && self.plan.len() <= Append::MOST {
            true => Ok(()),
            false => Err(StoreError::Invalid(format!(
                "intent {} names no stream, or its plan is no JSON object of at most 64 MiB",
                self.id
            ))),
        }
    }
}

/// Keeps intents and the bytes of files, beside the events.
pub trait IntentStore: Send + Sync {
    /// Writes an intent and the blobs that it needs, in one transaction, durable when it returns.
    fn open_intent(&self, intent: &Intent, blobs: &[&[u8]]) -> Result<(), StoreError>;

    /// Closes an intent that came to nothing. Closing twice is fine.
    fn close_intent(&self, id: Uuid) -> Result<(), StoreError>;

    /// The intents that are open, the oldest first.
    fn open_intents(&self) -> Result<Vec<Intent>, StoreError>;

    /// The bytes with this hash.
    fn blob(&self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Why a store did not do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The stream has another version: somebody else was faster. Load it again and decide anew.
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What was expected.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// An id that another event has.
    Duplicate {
        /// The id.
        id: Uuid,
    },
    /// The request makes no sense: an empty append, a body that is no JSON.
    Invalid(String),
    /// What is stored cannot be read.
    Corrupt {
        /// Where.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store was written by a newer version.
    Newer {
        /// Where.
        place: String,
        /// The version that it has.
        found: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// Nobody has room or time: the disk is full, another process holds the store.
    Unavailable {
        /// What happened.
        problem: String,
        /// What may be done.
        hint: Option<String>,
    },
    /// A visitor gave up.
    Visitor(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { stream, expected, found } => {
                write!(f, "{stream} is at version {found}, not {expected} as expected")
            }
            Self::Duplicate { id } => write!(f, "another event has the id {id}"),
            Self::Invalid(problem) => f.write_str(problem),
            Self::Corrupt { place, problem } => {
                write!(f, "the event store is damaged: {place}: {problem}")
            }
            Self::Newer { place, found, known } => {
                write!(
                    f,
                    "{place} was written by a newer version: it has version {found}, {known} is known here"
                )
            }
            Self::Unavailable { problem, .. } => f.write_str(problem),
            Self::Visitor(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for cim_nix_base::Error {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Conflict { .. } => Self::conflict(message)
                .hint("somebody else changed it in the meantime; run the command again"),
            StoreError::Duplicate { .. } => Self::conflict(message),
            StoreError::Invalid(_) => Self::bug(message),
            StoreError::Corrupt { .. } => Self::outside(message).hint(
                // Which of the programs says it, a library does not know; both have the command.
                "`store check` lists all damage of a store in a file; restore a backup, or move the \
                 store away",
            ),
            StoreError::Newer { .. } => {
                Self::outside(message).hint("a version as new as the one that wrote it reads it")
            }
            StoreError::Unavailable { hint, .. } => {
                let error = Self::outside(message);
                match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            }
            StoreError::Visitor(cause) => match cause.downcast::<Self>() {
                Ok(error) => *error,
                Err(cause) => Self::outside(cause.to_string()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cim-nix` says them, and so does the service, and whoever links this library.
    #[test]
    fn hints_are_right_whoever_says_them() {
        let (place, problem) = ("event 4".to_owned(), "it is not what was written".to_owned());
        let errors = [
            StoreError::Corrupt { place: place.clone(), problem },
            StoreError::Newer { place, found: 9, known: 4 },
        ];
        let said = errors.map(|error| {
            let error = cim_nix_base::Error::from(error);
            format!("{}\nhint: {}\n", error.chain(), error.hints().join("\nhint: "))
        });
        expect_test::expect![[r#"
            the event store is damaged: event 4: it is not what was written
            hint: `store check` lists all damage of a store in a file; restore a backup, or move the store away
            event 4 was written by a newer version: it has version 9, 4 is known here
            hint: a version as new as the one that wrote it reads it
        "#]]
        .assert_eq(&said.concat());
    }
}
