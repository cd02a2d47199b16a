//! Events for the suite, and what comes back of them.

use std::ops::ControlFlow;

use uuid::Uuid;

use crate::{
    Append, EventStore, Expected, Kind, MessageId, NewEvent, Record, StoreError, StreamId,
    Timestamp, Visit,
};

/// An event as it came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) position: u64,
    pub(super) stream: StreamId,
    pub(super) version: u64,
    pub(super) event: NewEvent,
}

impl Kept {
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self {
            position: record.position,
            stream: record.stream().expect("a kind that was written"),
            version: record.version,
            event: NewEvent {
                id: record.id,
                event_type: record.event_type.to_owned(),
                schema: record.schema,
                at: record.at,
                correlation: record.correlation.clone(),
                causation: record.causation.clone(),
                body: record.body.to_owned(),
                meta: record.meta.to_owned(),
            },
        }
    }
}

/// The stream of flake `n`.
pub(super) fn stream(n: u128) -> StreamId {
    StreamId::new(Kind::Flake, Uuid::from_u128(n))
}

/// Event `n`: no two numbers give the same id.
pub(super) fn event(n: u128) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(n),
        event_type: "FlakeCreated".to_owned(),
        schema: 1,
        at: Timestamp::from_micros(1_795_530_059_000_000 + n as i64),
        correlation: MessageId::Uuid(Uuid::from_u128(1 << 64)),
        causation: MessageId::Uuid(Uuid::from_u128(2 << 64)),
        body: format!(r#"{{"n":{n}}}"#),
        meta: "{}".to_owned(),
    }
}

pub(super) fn events(numbers: impl IntoIterator<Item = u128>) -> Vec<NewEvent> {
    numbers.into_iter().map(event).collect()
}

pub(super) fn append(stream: StreamId, expected: Expected, events: Vec<NewEvent>) -> Append {
    Append { stream, expected, events, intent: None }
}

/// Appends events to a stream of any version.
pub(super) fn put<S: EventStore>(store: &S, to: u128, numbers: impl IntoIterator<Item = u128>) {
    store.append(append(stream(to), Expected::Any, events(numbers))).unwrap();
}

/// What a reading shows.
pub(super) fn kept(
    read: impl FnOnce(&mut dyn FnMut(&Record<'_>) -> Visit) -> Result<(), StoreError>,
) -> Vec<Kept> {
    let mut out = Vec::new();
    read(&mut |record| {
        out.push(Kept::of(record));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    out
}

pub(super) fn all<S: EventStore>(store: &S) -> Vec<Kept> {
    kept(|visit| store.read_all(0, visit))
}

/// The numbers of the events that a reading shows.
pub(super) fn numbers(
    read: impl FnOnce(&mut dyn FnMut(&Record<'_>) -> Visit) -> Result<(), StoreError>,
) -> Vec<u128> {
    kept(read).into_iter().map(|kept| kept.event.id.as_u128()).collect()
}

/// The seed of a random run: a new one each time, unless the environment of the test gives one.
#[expect(clippy::print_stdout, reason = "tests show it when they fail")]
pub(super) fn seeded() -> fastrand::Rng {
    let seed = option_env!("CIM_NIX_SEED").and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}
