//! The events of one store in another, and the proof that they are the same.
//!
//! A copy goes event by event through the traits, so it works between any two stores. It can be
//! interrupted and run again: what is there already is compared, and the rest is added. At the end
//! both stores are read whole, and their sums have to be equal.

use std::ops::ControlFlow;

use cim_nix_base::ContentHash;

use crate::{
    Append, EventStore, Expected, MessageId, NewEvent, Record, StoreError, StreamId, Uuid,
};

/// What a copy came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// How many events were added.
    pub n_added: u64,
    /// How many had been there.
    pub n_there: u64,
    /// How many are marked as published.
    pub n_published: u64,
    /// The sum of all events, the same in both stores.
    pub digest: ContentHash,
    /// Whether each event has the position that it had. Positions may have gaps, and a store that
    /// numbers without gaps closes them.
    pub keeps_positions: bool,
}

/// The most events that are appended at once.
const MOST: usize = 200;
/// The most bytes of them.
const MOST_BYTES: usize = 4 << 20;
/// The most events behind the first unpublished one that are looked through for published ones.
const MOST_OUTGOING: usize = 10_000;

/// Copies all events of `from` to `to`: streams, versions, ids, bodies and meta as they are, in the
/// same order, and which of them are published. Snapshots and read models are left out, as they can
/// be made again, and so are intents.
///
/// `to` has to be empty, or hold the first events of `from` and no others; `tell` hears after each
/// portion how many events are there. Nobody may write to `from` meanwhile: its last position is
/// compared at the end.
///
/// Errors: [`StoreError::Invalid`] where `to` holds something else, or `from` has grown;
/// [`StoreError::Corrupt`] where the stores differ afterwards; those of the stores.
pub fn copy(
    from: &dyn EventStore,
    to: &dyn EventStore,
    tell: &mut dyn FnMut(u64),
) -> Result<Copied, StoreError> {
    let head = from.head()?;
    let (n_there, after) = shared_beginning(from, to)?;
    let mut portion = Portion::default();
    let mut n_added = 0;
    from.read_all(after, &mut |event| {
        if portion.is_full_for(event)? {
            n_added += portion.flush(to)?;
            tell(n_there + n_added);
        }
        portion.push(event)?;
        Ok(ControlFlow::Continue(()))
    })?;
    n_added += portion.flush(to)?;
    tell(n_there + n_added);
    let n_published = copy_marks(from, to)?;
    if from.head()? != head {
        return Err(StoreError::Invalid(
            "the store has grown while it was copied: stop whoever writes to it, and copy again"
                .into(),
        ));
    }
    let (one, other) = (digest(from)?, digest(to)?);
    if one.sum != other.sum || one.n_events != other.n_events {
        return Err(StoreError::Corrupt {
            place: "the copy".into(),
            problem: format!(
                "it has {} events with the sum {}, not {} with {}",
                other.n_events, other.sum, one.n_events, one.sum
            ),
        });
    }
    let keeps_positions = one.positions == other.positions;
    Ok(Copied { n_added, n_there, n_published, digest: one.sum, keeps_positions })
}

/// How many events both have, and the position of the last of them in `from`.
fn shared_beginning(from: &dyn EventStore, to: &dyn EventStore) -> Result<(u64, u64), StoreError> {
    let mut theirs: Option<ContentHash> = None;
    let mut n_there = 0;
    let mut sum = Sum::default();
    to.read_all(0, &mut |event| {
        n_there += 1;
        sum.add(event);
        Ok(ControlFlow::Continue(()))
    })?;
    if n_there == 0 {
        return Ok((0, 0));
    }
    let (mut ours, mut n_seen, mut after) = (Sum::default(), 0, 0);
    from.read_all(0, &mut |event| {
        n_seen += 1;
        ours.add(event);
        after = event.position;
        if n_seen == n_there {
            theirs = Some(ours.finish());
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    match theirs == Some(sum.finish()) {
        true => Ok((n_there, after)),
        false => Err(StoreError::Invalid(
            "the store that is copied to holds other events: name an empty one, or one where a copy of the same store was interrupted".into(),
        )),
    }
}

/// Marks as published what is.
fn copy_marks(from: &dyn EventStore, to: &dyn EventStore) -> Result<u64, StoreError> {
    // Positions may differ, the order does not: events are told apart by their place in it.
    let waiting = from.outgoing(MOST_OUTGOING)?;
    let first = waiting.first().map_or(u64::MAX, |event| event.position);
    let mut ids: Vec<Uuid> = waiting.iter().map(|event| event.id).collect();
    ids.sort_unstable();
    // Where more wait than were listed, those behind the last one listed are taken to wait.
    let last = match waiting.len() == MOST_OUTGOING {
        true => waiting.last().map_or(u64::MAX, |event| event.position),
        false => u64::MAX,
    };
    let mut published_ids = Vec::new();
    let mut n_before = 0_u64;
    from.read_all(0, &mut |event| {
        if event.position < first {
            n_before += 1;
        } else if event.position <= last && ids.binary_search(&event.id).is_err() {
            published_ids.push(event.id);
        }
        Ok(if event.position > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    published_ids.sort_unstable();
    let (mut n_seen, mut n_published, mut positions) = (0, 0, Vec::new());
    to.read_all(0, &mut |event| {
        n_seen += 1;
        if n_seen <= n_before || published_ids.binary_search(&event.id).is_ok() {
            positions.push(event.position);
            n_published += 1;
        }
        if positions.len() == MOST_OUTGOING {
            to.published(&std::mem::take(&mut positions))?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    to.published(&positions)?;
    Ok(n_published)
}

/// Events of one stream that stand next to each other and have one cause: what was one append stays
/// one.
#[derive(Default)]
struct Portion {
    of: Option<(StreamId, MessageId)>,
    first: u64,
    n_bytes: usize,
    events: Vec<NewEvent>,
}

impl Portion {
    fn is_full_for(&self, event: &Record<'_>) -> Result<bool, StoreError> {
        let Some((stream, cause)) = &self.of else { return Ok(false) };
        let goes_on = event.stream()? == *stream && event.causation == cause;
        Ok(!goes_on || self.events.len() >= MOST || self.n_bytes >= MOST_BYTES)
    }

    fn push(&mut self, event: &Record<'_>) -> Result<(), StoreError> {
        if self.events.is_empty() {
            self.of = Some((event.stream()?, event.causation.clone()));
            self.first = event.version;
        }
        self.n_bytes += event.body.len() + event.meta.len();
        self.events.push(NewEvent {
            id: event.id,
            event_type: event.event_type.to_owned(),
            schema: event.schema,
            at: event.at,
            correlation: event.correlation.clone(),
            causation: event.causation.clone(),
            body: event.body.to_owned(),
            meta: event.meta.to_owned(),
        });
        Ok(())
    }

    fn flush(&mut self, to: &dyn EventStore) -> Result<u64, StoreError> {
        let Some((stream, _)) = self.of.take() else { return Ok(0) };
        let Self { first, events, .. } = std::mem::take(self);
        let n_events = events.len() as u64;
        let expected = Expected::Version(first.saturating_sub(1));
        to.append(Append { stream, expected, events, intent: None })?;
        Ok(n_events)
    }
}

/// What all events of a store come to.
struct Digest {
    n_events: u64,
    sum: ContentHash,
    positions: ContentHash,
}

fn digest(store: &dyn EventStore) -> Result<Digest, StoreError> {
    let (mut sum, mut positions, mut n_events) = (Sum::default(), Sum::default(), 0);
    store.read_all(0, &mut |event| {
        n_events += 1;
        sum.add(event);
        positions.add_position(event.position);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Digest { n_events, sum: sum.finish(), positions: positions.finish() })
}

/// A chain of hashes: each is of the one before and of an event, so one more event is one more hash.
struct Sum {
    hash: ContentHash,
    bytes: Vec<u8>,
}

impl Default for Sum {
    fn default() -> Self {
        Self { hash: ContentHash::of(b""), bytes: Vec::new() }
    }
}

impl Sum {
    fn add(&mut self, event: &Record<'_>) {
        self.field(event.kind.as_bytes());
        self.field(event.aggregate.as_bytes());
        self.field(&event.version.to_le_bytes());
        self.field(event.id.as_bytes());
        self.field(event.event_type.as_bytes());
        self.field(&event.schema.to_le_bytes());
        self.field(&event.at.micros().to_le_bytes());
        self.field(event.correlation.to_string().as_bytes());
        self.field(event.causation.to_string().as_bytes());
        self.field(event.body.as_bytes());
        self.field(event.meta.as_bytes());
        self.link();
    }

    fn add_position(&mut self, position: u64) {
        self.field(&position.to_le_bytes());
        self.link();
    }

    /// Its length stands before each field, so that no two lists of fields look alike.
    fn field(&mut self, bytes: &[u8]) {
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(bytes);
    }

    fn link(&mut self) {
        let former = *self.hash.as_bytes();
        self.field(&former);
        self.hash = ContentHash::of(&self.bytes);
        self.bytes.clear();
    }

    fn finish(&self) -> ContentHash {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, MemoryStore, Timestamp};

    fn event(n: u128) -> NewEvent {
        NewEvent {
            id: Uuid::from_u128(n),
            event_type: "FlakeCreated".into(),
            schema: 1,
            at: Timestamp::from_micros(n as i64),
            correlation: MessageId::Uuid(Uuid::from_u128(1)),
            causation: MessageId::Uuid(Uuid::from_u128(n / 3)),
            body: format!(" {{\"n\": {n}}}"),
            meta: "{}".into(),
        }
    }

    fn put(store: &MemoryStore, numbers: impl IntoIterator<Item = u128>) {
        for n in numbers {
            let stream = StreamId::new(Kind::Flake, Uuid::from_u128(n / 5 % 3));
            let events = vec![event(n)];
            let append = Append { stream, expected: Expected::Any, events, intent: None };
            store.append(append).expect("free");
        }
    }

    fn publish(store: &MemoryStore, positions: &[u64]) {
        store.published(positions).expect("there");
    }

    fn waiting(store: &MemoryStore) -> Vec<u64> {
        let waiting = store.outgoing(usize::MAX).expect("in memory");
        waiting.iter().map(|event| event.position).collect()
    }

    /// A store that fails after some appends.
    fn copy_cut_off(from: &MemoryStore, to: &MemoryStore, after: u64) {
        let mut n_told = 0;
        let failed = from.read_all(0, &mut |event| {
            n_told += 1;
            if n_told > after {
                return Err(StoreError::Visitor("cut off".into()));
            }
            put(to, [event.id.as_u128()]);
            Ok(ControlFlow::Continue(()))
        });
        assert!(failed.is_err());
    }

    #[test]
    fn copies_are_the_same_whenever_they_were_cut_off() {
        let from = MemoryStore::new();
        put(&from, 0..100);
        publish(&from, &[1, 2, 3, 7]);
        for cut in [0, 1, 42, 99] {
            let to = MemoryStore::new();
            copy_cut_off(&from, &to, cut);
            let mut told = Vec::new();
            let copied = copy(&from, &to, &mut |n| told.push(n)).expect("a beginning");
            assert_eq!((copied.n_there, copied.n_added, copied.n_published), (cut, 100 - cut, 4));
            assert!(copied.keeps_positions && told.is_sorted() && told.last() == Some(&100));
            assert_eq!(waiting(&to), waiting(&from));
            assert_eq!(digest(&to).expect("whole").sum, copied.digest);
            // Once more has nothing to do.
            let again = copy(&from, &to, &mut |_| {}).expect("the same");
            assert_eq!((again.n_there, again.n_added), (100, 0));
        }
    }

    #[test]
    fn what_is_published_is_marked_in_the_copy() {
        let from = MemoryStore::new();
        put(&from, 0..9);
        publish(&from, &(1..=9).collect::<Vec<_>>());
        let to = MemoryStore::new();
        assert_eq!(copy(&from, &to, &mut |_| {}).expect("empty").n_published, 9);
        assert!(waiting(&to).is_empty());
        let (none, to) = (MemoryStore::new(), MemoryStore::new());
        assert_eq!(copy(&none, &to, &mut |_| {}).expect("empty").n_added, 0);
    }

    #[test]
    fn other_events_are_no_beginning() {
        let from = MemoryStore::new();
        put(&from, 0..9);
        for numbers in [vec![0, 2], (0..10).collect(), vec![77]] {
            let to = MemoryStore::new();
            put(&to, numbers);
            let refused = copy(&from, &to, &mut |_| {});
            assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_store_that_grows_is_copied_again() {
        let (from, to) = (MemoryStore::new(), MemoryStore::new());
        put(&from, 0..9);
        let grown = copy(&from, &to, &mut |n| {
            if n == 9 {
                put(&from, [50]);
            }
        });
        assert!(matches!(grown, Err(StoreError::Invalid(_))), "{grown:?}");
        assert_eq!(copy(&from, &to, &mut |_| {}).expect("the rest").n_added, 1);
    }
}
