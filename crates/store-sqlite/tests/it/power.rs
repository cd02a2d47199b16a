//! Power cuts: nothing that was acknowledged is lost, and what is left is whole.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cim_domain_nix::{
    Append, EventStore, Expected, Intent, IntentStore, Kind, MessageId, NewEvent, Projection,
    Reading, Rows, StoreError, StreamId, Timestamp, Uuid,
};
use cim_nix_base::ContentHash;
use cim_nix_store_sqlite::{Options, SqliteStore};

use crate::disk::{self, Plan};

/// Counts the events of each stream: rows and checkpoint have to agree after any cut.
pub(crate) struct Counts;

impl Projection for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        let key = event.aggregate.to_string();
        let count: u64 = rows.get(&key)?.map_or(0, |count| count.parse().expect("ours"));
        rows.put(&key, &(count + 1).to_string())
    }
}

pub(crate) fn stream(n: u128) -> StreamId {
    StreamId::new(Kind::Project, Uuid::from_u128(n))
}

pub(crate) fn event(n: u128, length: usize) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(n),
        event_type: "CodeFixed".to_owned(),
        schema: 1,
        at: Timestamp::from_micros(n as i64),
        correlation: MessageId::Uuid(Uuid::from_u128(n / 7)),
        causation: MessageId::Uuid(Uuid::from_u128(n / 3)),
        body: format!("\"{}\"", "x".repeat(length)),
        meta: "{}".to_owned(),
    }
}

pub(crate) fn append(to: u128, numbers: impl IntoIterator<Item = u128>) -> Append {
    let events = numbers.into_iter().map(|n| event(n, 20)).collect();
    Append { stream: stream(to), expected: Expected::Any, events, intent: None }
}

/// Appends the events one by one.
pub(crate) fn fill(store: &SqliteStore, to: u128, numbers: impl IntoIterator<Item = u128>) {
    for n in numbers {
        store.append(append(to, [n])).unwrap();
    }
}

pub(crate) fn all(store: &SqliteStore) -> Vec<u128> {
    let mut found = Vec::new();
    store
        .read_all(0, &mut |event| {
            found.push(event.id.as_u128());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    found
}

pub(crate) fn options(checkpoint: u32) -> Options {
    Options { projections: vec![Arc::new(Counts)], loose: 4, checkpoint, ..Options::default() }
}

/// What the store said that it has.
#[derive(Default)]
struct Acknowledged {
    events: BTreeSet<u128>,
    /// Ids of intents that were opened, with the byte of their blob, and of those that were closed.
    opened: Vec<(u128, u8)>,
    closed: BTreeSet<u128>,
}

/// Writes until the power is gone.
fn work(store: &SqliteStore, writer: u128, seed: u64, said: &Mutex<Acknowledged>) {
    let mut random = fastrand::Rng::with_seed(seed);
    for step in 1.. {
        let first = (writer + 1) * 1_000_000 + step * 10;
        let length = [10, 10, 10, 300, 5_000, 40_000][random.usize(..6)];
        let numbers: Vec<u128> = (first..first + random.u128(1..4)).collect();
        let mut request = Append {
            stream: stream(random.u128(..5)),
            expected: Expected::Any,
            events: numbers.iter().map(|n| event(*n, length)).collect(),
            intent: None,
        };
        if random.bool() {
            let byte = random.u8(..);
            let intent = Intent {
                id: Uuid::from_u128(first),
                at: Timestamp::from_micros(0),
                stream: request.stream.clone(),
                expected: 0,
                events: numbers.iter().map(|n| Uuid::from_u128(*n)).collect(),
                plan: "{}".to_owned(),
            };
            if store.open_intent(&intent, &[&[byte; 3_000]]).is_err() {
                return;
            }
            said.lock().unwrap().opened.push((first, byte));
            request.intent = random.bool().then_some(intent.id);
        }
        let closes = request.intent.is_some();
        if store.append(request).is_err() {
            return;
        }
        let mut said = said.lock().unwrap();
        said.events.extend(&numbers);
        if closes {
            said.closed.insert(first);
        }
    }
}

/// What the image of the disk lacks of what was acknowledged; panics if what is there is not whole.
fn lost(image: &Path, said: &Acknowledged, n_streams: u128) -> usize {
    let path = image.join("store.db");
    let store = SqliteStore::open(&path, options(50)).unwrap();
    let integrity = store.integrity().unwrap();
    assert_eq!(integrity.problems, Vec::<String>::new());
    let found: BTreeSet<u128> = all(&store).into_iter().collect();
    let progress = store.progress("counts").unwrap();
    assert_eq!(progress.position, progress.head);
    for n in 0..n_streams {
        let version = store.version(&stream(n)).unwrap();
        let mut row = None;
        store
            .rows("counts", &mut |rows| {
                rows.get(&stream(n).id.to_string()).map(|found| row = found)
            })
            .unwrap();
        assert_eq!(row.map_or(0, |row| row.parse().unwrap()), version);
    }
    let open: BTreeSet<u128> =
        store.open_intents().unwrap().iter().map(|intent| intent.id.as_u128()).collect();
    let mut n_lost = said.events.difference(&found).count();
    for (id, byte) in &said.opened {
        // The power may have gone before its event was acknowledged, but after it was stored.
        let is_closed = said.closed.contains(id) || found.contains(id);
        n_lost += usize::from(!is_closed && !open.contains(id));
        assert!(!said.closed.contains(id) || !found.contains(id) || !open.contains(id));
        let blob = store.blob(ContentHash::of(&[*byte; 3_000])).unwrap();
        n_lost += usize::from(blob.is_none());
    }
    // And it goes on working.
    let request = Append {
        stream: stream(0),
        expected: Expected::Version(store.version(&stream(0)).unwrap()),
        events: vec![event(1, 10)],
        intent: None,
    };
    store.append(request).unwrap();
    n_lost
}

/// One life of a store, up to a cut; answers what was acknowledged and lost.
fn life(seed: u64, n_writers: u128, lies: bool) -> (usize, usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let path = folder.path().join("store.db");
    disk::plan(Plan {
        notes_writes: true,
        cut_at: Some(random.u64(1..1_500)),
        image: image.clone(),
        seed,
        lies,
        ..Plan::default()
    });
    let said = Mutex::default();
    let checkpoint = [10, 50, 300][random.usize(..3)];
    // An early cut may hit the making of the store.
    if let Ok(store) = SqliteStore::open(&path, options(checkpoint)) {
        std::thread::scope(|scope| {
            for writer in 0..n_writers {
                let (store, said) = (&store, &said);
                scope.spawn(move || work(store, writer, seed + writer as u64, said));
            }
        });
    }
    disk::cut();
    // What is looked at afterwards need not be synced for real.
    disk::plan(Plan { notes_writes: true, ..Plan::default() });
    let said = said.into_inner().unwrap();
    (said.events.len(), lost(&image, &said, 5))
}

/// 100 lives; no power cut loses what was acknowledged.
#[expect(clippy::print_stdout, reason = "tests show it when they fail")]
fn check(n_writers: u128) {
    disk::install();
    let first: u64 = fastrand::u64(..u64::MAX / 2);
    let mut n_acknowledged = 0;
    for seed in first..first + 100 {
        println!("seed {seed}");
        let (n_events, n_lost) = life(seed, n_writers, false);
        assert_eq!(n_lost, 0, "of {n_events} with seed {seed}");
        n_acknowledged += n_events;
    }
    println!("{n_acknowledged} events acknowledged");
    assert!(n_acknowledged > 2_000, "the power went too early each time");
}

#[test]
fn nothing_acknowledged_is_lost() {
    check(1);
}

#[test]
fn nothing_that_several_wrote_is_lost() {
    check(4);
}

/// The tests above can fail: on a disk that does not sync what it says, events are lost or the store
/// breaks.
#[test]
fn a_lying_disk_loses() {
    disk::install();
    let has_lost = |seed| {
        let found =
            std::panic::catch_unwind(|| life(seed, 1 + u128::from(seed % 2) * 3, true).1 > 0);
        found.unwrap_or(true)
    };
    let n_lost = (1..=20).filter(|seed| has_lost(*seed)).count();
    assert!(n_lost >= 10, "only {n_lost} of 20 lives lost something");
}
