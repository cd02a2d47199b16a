//! Read models that move along with each append.

use std::sync::Arc;

use cim_domain_nix::{EventStore, Progress, Projection, Reading, Rows, StoreError};
use cim_nix_store_sqlite::{Options, SqliteStore};

use crate::power::{Counts, all, append, fill, options, stream};

fn count(store: &SqliteStore, of: u128) -> u64 {
    let mut row = None;
    let key = stream(of).id.to_string();
    store.rows("counts", &mut |rows| rows.get(&key).map(|found| row = found)).unwrap();
    row.map_or(0, |row| row.parse().unwrap())
}

#[test]
fn registered_models_move_with_each_append() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    for n in 1..=20 {
        fill(&store, n % 3, [n]);
        assert_eq!(
            store.progress("counts").unwrap(),
            Progress { position: n as u64, head: n as u64 }
        );
        assert_eq!(count(&store, n % 3), store.version(&stream(n % 3)).unwrap());
    }
    // A handle that does not know the model leaves it behind; catching up is all it takes.
    let plain = SqliteStore::open(&path, Options::default()).unwrap();
    fill(&plain, 1, [21, 22]);
    fill(&store, 1, [23]);
    assert_eq!(store.progress("counts").unwrap(), Progress { position: 20, head: 23 });
    store.catch_up(&Counts).unwrap();
    assert_eq!(count(&store, 1), store.version(&stream(1)).unwrap());
    fill(&store, 1, [24]);
    assert_eq!(store.progress("counts").unwrap(), Progress { position: 24, head: 24 });
    assert_eq!(count(&store, 1), store.version(&stream(1)).unwrap());
}

/// Fails at event 3, and panics at event 6.
struct Broken;

impl Projection for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        rows.put("last", &event.id.as_u128().to_string())?;
        match event.id.as_u128() {
            3 => Err(StoreError::Visitor("cannot take event 3".into())),
            6 => panic!("a fault of the model"),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_broken_model_loses_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let projections: Vec<Arc<dyn Projection>> = vec![Arc::new(Broken), Arc::new(Counts)];
    let store = SqliteStore::open(&path, Options { projections, ..Options::default() }).unwrap();
    fill(&store, 1, 1..=5);
    assert_eq!(all(&store), [1, 2, 3, 4, 5]);
    // The other model is not held up; the broken one says why it stands.
    assert_eq!(store.progress("counts").unwrap(), Progress { position: 5, head: 5 });
    assert_eq!(store.progress("broken").unwrap(), Progress { position: 2, head: 5 });
    let error = store.catch_up(&Broken).unwrap_err();
    assert_eq!(error.to_string(), "cannot take event 3");
    let mut last = None;
    store.rows("broken", &mut |rows| rows.get("last").map(|row| last = row)).unwrap();
    assert_eq!(last.as_deref(), Some("2"));
}

#[test]
fn a_model_that_panics_does_not_take_the_writer_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let projections: Vec<Arc<dyn Projection>> = vec![Arc::new(Broken)];
    let store = SqliteStore::open(&path, Options { projections, ..Options::default() }).unwrap();
    store.append(append(1, [4, 5, 6, 7])).unwrap();
    fill(&store, 1, [8]);
    assert_eq!(all(&store), [4, 5, 6, 7, 8]);
    let error = store.catch_up(&Broken).unwrap_err();
    assert_eq!(error.to_string(), "the read model `broken` failed at event 3");
    assert_eq!(store.progress("broken").unwrap(), Progress { position: 2, head: 5 });
}

/// What is left out of memory: a model of many rows is built in portions.
#[test]
fn builds_from_many_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    for n in 0..12 {
        store.append(append(n, n * 1_000 + 1..=n * 1_000 + 1_000)).unwrap();
    }
    assert_eq!(store.catch_up(&Counts).unwrap(), Progress { position: 12_000, head: 12_000 });
    assert_eq!((0..12).map(|n| count(&store, n)).sum::<u64>(), 12_000);
    store.drop_projection("counts").unwrap();
    assert_eq!(count(&store, 1), 0);
}
