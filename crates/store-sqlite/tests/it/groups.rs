//! What a flush of the disk is shared by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cim_domain_nix::{Append, EventStore, Expected, StoreError};
use cim_nix_store_sqlite::{Options, SqliteStore};

use crate::disk::{self, Plan};
use crate::power::{all, append, fill, stream};

fn slow_disk() -> (tempfile::TempDir, SqliteStore) {
    disk::install();
    disk::plan(Plan { sync_takes: Duration::from_millis(3), ..Plan::default() });
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db"), Options::default()).unwrap();
    (folder, store)
}

#[test]
fn a_lone_append_costs_one_flush() {
    let (_folder, store) = slow_disk();
    fill(&store, 1, [1]);
    let before = disk::n_syncs();
    fill(&store, 1, 2..=301);
    let n_syncs = disk::n_syncs() - before;
    assert!((300..=330).contains(&n_syncs), "{n_syncs} flushes for 300 appends");
}

#[test]
fn many_writers_share_flushes() {
    let (_folder, store) = slow_disk();
    let before = disk::n_syncs();
    std::thread::scope(|scope| {
        for writer in 0..64 {
            let store = &store;
            scope.spawn(move || fill(store, writer, writer * 100 + 1..=writer * 100 + 20));
        }
    });
    let n_syncs = disk::n_syncs() - before;
    assert_eq!(all(&store).len(), 64 * 20);
    assert!(64 * 20 / n_syncs >= 16, "{n_syncs} flushes for {} appends", 64 * 20);
}

/// Requests that share a transaction are judged one by one.
#[test]
fn a_refusal_leaves_its_neighbours_be() {
    let (_folder, store) = slow_disk();
    fill(&store, 0, [1_000_000]);
    let n_refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..32 {
            let (store, n_refused) = (&store, &n_refused);
            scope.spawn(move || {
                for n in 0..10 {
                    let id = writer * 100 + n + 1;
                    let wrong = match n % 3 {
                        0 => Append { expected: Expected::Version(99), ..append(writer, [id]) },
                        1 => append(writer, [1_000_000]),
                        _ => {
                            store.append(append(writer, [id])).unwrap();
                            continue;
                        }
                    };
                    match store.append(wrong) {
                        Err(StoreError::Conflict { .. } | StoreError::Duplicate { .. }) => {
                            n_refused.fetch_add(1, Ordering::Relaxed);
                        }
                        // Event 1,000,000 stands in stream 0 already.
                        Ok(appended) => assert!(writer == 0 && appended.is_repeated),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(n_refused.into_inner(), 32 * 7 - 3);
    assert_eq!(all(&store).len(), 1 + 32 * 3);
    for writer in 0..32 {
        let version = store.version(&stream(writer)).unwrap();
        assert_eq!(version, 3 + u64::from(writer == 0));
    }
    assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
}
