//! Read models of several programs, and what a program finds when it starts again.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use cim_domain_nix::{EventStore, MemoryStore, Projection, Reading, Rows, StoreError, copy};
use cim_nix_store_jetstream::{JetStreamStore, Models, Options};

use crate::samples::{all, append, options, place};

/// Counts events, and lists their bodies.
#[derive(Default)]
struct Counts {
    n_applied: AtomicU64,
    schema: u32,
}

impl Projection for Counts {
    fn name(&self) -> &'static str {
        "counts/é"
    }

    fn schema(&self) -> u32 {
        self.schema
    }

    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        self.n_applied.fetch_add(1, Ordering::Relaxed);
        rows.put(&format!("body/{:06}", event.position), event.body)?;
        rows.put("count", &event.position.to_string())
    }
}

fn rows(store: &impl EventStore) -> Vec<(String, String)> {
    let mut out = Vec::new();
    store
        .rows("counts/é", &mut |rows| {
            rows.scan("", None, &mut |key, value| {
                out.push((key.to_owned(), value.to_owned()));
                Ok(ControlFlow::Continue(()))
            })
        })
        .unwrap();
    out
}

fn fill(store: &impl EventStore, numbers: std::ops::RangeInclusive<u128>) {
    for n in numbers {
        store.append(append(n % 3, [n])).unwrap();
    }
}

/// A program that starts takes the rows that another one saved, and the events after them.
#[test]
fn rows_are_saved_and_found() {
    let Some(place) = place() else { return };
    // A program has its own memory.
    let open = || {
        let options = Options { models: Models::default(), save_models_every: 50, ..options() };
        place.open_with(options).unwrap()
    };
    let (store, counts) = (open(), Counts { schema: 1, ..Counts::default() });
    fill(&store, 1..=40);
    store.catch_up(&counts).unwrap();
    fill(&store, 41..=60);
    store.catch_up(&counts).unwrap();
    fill(&store, 61..=70);
    store.catch_up(&counts).unwrap();
    assert_eq!(counts.n_applied.swap(0, Ordering::Relaxed), 70);
    // Rows of 60 events are in the bucket.
    let other = open();
    assert_eq!(other.progress("counts/é").unwrap().position, 0);
    other.catch_up(&counts).unwrap();
    assert_eq!(counts.n_applied.swap(0, Ordering::Relaxed), 10);
    assert_eq!((rows(&other), rows(&other).len()), (rows(&store), 71));
    // All of them, before a program ends.
    other.save_model("counts/é").unwrap();
    open().catch_up(&counts).unwrap();
    assert_eq!(counts.n_applied.swap(0, Ordering::Relaxed), 0);
    // Another schema has nothing of them, and what is dropped is not found again.
    let newer = Counts { schema: 2, ..Counts::default() };
    open().catch_up(&newer).unwrap();
    assert_eq!(newer.n_applied.load(Ordering::Relaxed), 70);
    other.drop_projection("counts/é").unwrap();
    open().catch_up(&counts).unwrap();
    assert_eq!(counts.n_applied.load(Ordering::Relaxed), 70);
}

/// Rows that need more than one value of the bucket.
#[test]
fn large_models_are_saved_in_parts() {
    let Some(place) = place() else { return };
    let open = || {
        let options = Options { models: Models::default(), save_models_every: 1, ..options() };
        place.open_with(options).unwrap()
    };
    let counts = Counts { schema: 1, ..Counts::default() };
    let store = open();
    for n in 1..=4 {
        let mut request = append(1, [n]);
        request.events[0].body = format!("\"{}\"", "x".repeat(400_000));
        store.append(request).unwrap();
        store.catch_up(&counts).unwrap();
    }
    let other = open();
    other.catch_up(&counts).unwrap();
    assert_eq!(counts.n_applied.load(Ordering::Relaxed), 4);
    assert_eq!(rows(&other), rows(&store));
}

/// With an index file a start reads what is new; without it, or with another one, everything.
#[test]
fn a_start_goes_on_from_the_index_file() {
    let Some(place) = place() else { return };
    let file = place.folder().join("index");
    let open = |file| place.open_with(Options { index_file: Some(file), ..options() });
    let store = open(file.clone()).unwrap();
    fill(&store, 1..=30);
    let error = open(file.clone()).map(drop).unwrap_err();
    assert!(error.to_string().starts_with("another program uses the index file "), "{error}");
    drop(store);
    fill(&place.open(), 31..=40);
    let store = open_again(&open, &file);
    assert_eq!(all(&store), (1..=40).collect::<Vec<_>>());
    assert!(store.append(append(1, [7])).unwrap().is_repeated);
    fill(&store, 41..=42);
    drop(store);
    std::fs::write(&file, "cim-nix index 1 of another").unwrap();
    assert_eq!(all(&open_again(&open, &file)).len(), 42);
}

/// The file is free as soon as the threads of the former store have ended.
fn open_again(
    open: &impl Fn(std::path::PathBuf) -> Result<JetStreamStore, StoreError>,
    file: &std::path::Path,
) -> JetStreamStore {
    (0..200)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            open(file.to_owned()).ok()
        })
        .unwrap()
}

/// To the stream and back, everything as it was.
#[test]
fn copies_are_the_same() {
    let Some(place) = place() else { return };
    let from = MemoryStore::new();
    fill(&from, 1..=50);
    from.append(append(9, 100..=120)).unwrap();
    let mut request = append(9, [200]);
    request.events[0].body = " [\"\\u0000\", 1e400]\n".to_owned();
    from.append(request).unwrap();
    from.published(&(1..=30).collect::<Vec<_>>()).unwrap();
    from.published(&[40]).unwrap();
    let (store, back) = (place.open(), MemoryStore::new());
    // As if it had been cut off.
    fill(&store, 1..=17);
    let there = copy(&from, &store, &mut |_| {}).unwrap();
    assert_eq!((there.n_there, there.n_added, there.n_published), (17, 55, 31));
    let again = copy(&store, &back, &mut |_| {}).unwrap();
    assert_eq!((again.digest, again.n_published), (there.digest, 31));
    assert!(there.keeps_positions && again.keeps_positions);
    let waiting = |store: &dyn EventStore| -> Vec<u64> {
        store.outgoing(99).unwrap().iter().map(|event| event.position).collect()
    };
    assert_eq!(waiting(&store), waiting(&from));
}
