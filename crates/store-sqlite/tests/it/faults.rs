//! Disks that are full, fail or change what was written.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cim_domain_nix::{Append, EventStore, Expected, NewEvent, StoreError};
use cim_nix_store_sqlite::{Options, SqliteStore};
use expect_test::{Expect, expect};
use rusqlite::ffi;

use crate::disk::{self, Plan};
use crate::files::told;
use crate::power::{all, append, event, fill, options, stream};

/// A disk on which every write fails with `code` from some moment on; then it recovers.
fn check_writes(code: i32, expect: Expect) {
    disk::install();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(20)).unwrap();
    fill(&store, 1, 1..=50);
    for from in 1..=6 {
        disk::plan(Plan { fail_writes: Some((from, code)), ..Plan::default() });
        let (mut n_stored, mut refused) = (0, None);
        for n in 0..10 {
            match store.append(append(1, [1_000 * u128::from(from) + n])) {
                Ok(_) => n_stored += 1,
                Err(error) => refused = Some(error),
            }
        }
        let error = refused.expect("the disk was full");
        if from == 1 {
            expect.assert_eq(&told(&error, &path));
            assert_eq!(n_stored, 0);
        }
        disk::plan(Plan::default());
        // What was acknowledged is there, the rest goes through when it is asked again.
        for n in 0..10 {
            let again = store.append(append(1, [1_000 * u128::from(from) + n])).unwrap();
            assert_eq!(again.is_repeated, n < n_stored, "event {n} from {from}");
        }
    }
    assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
    assert_eq!(all(&store).len(), 50 + 6 * 10);
    let progress = store.progress("counts").unwrap();
    assert_eq!(progress.position, progress.head);
}

#[test]
fn a_full_disk_loses_nothing() {
    check_writes(
        ffi::SQLITE_FULL,
        expect![[r#"
            cannot write the event store ../store.db: the disk is full
              hint: make room and try again; what was stored before is safe"#]],
    );
}

#[test]
fn a_failing_disk_loses_nothing() {
    check_writes(
        ffi::SQLITE_IOERR_WRITE,
        expect![[r#"
            the disk failed under the event store ../store.db: disk I/O error
              hint: what was acknowledged before is safe; whether the last request was stored is not known, and asking again is harmless"#]],
    );
}

#[test]
fn a_read_only_disk_says_so() {
    check_writes(
        ffi::SQLITE_READONLY,
        expect![[r#"
            cannot write the event store ../store.db: it is read-only
              hint: allow writing to the file and to its folder, or keep the store elsewhere"#]],
    );
}

#[test]
fn a_sync_that_fails_acknowledges_nothing() {
    disk::install();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    fill(&store, 1, 1..=3);
    disk::plan(Plan { fail_syncs: Some(1), ..Plan::default() });
    let error = store.append(append(1, [4])).unwrap_err();
    expect![[r#"
        the disk failed under the event store ../store.db: disk I/O error
          hint: what was acknowledged before is safe; whether the last request was stored is not known, and asking again is harmless"#]]
    .assert_eq(&told(&error, &path));
    disk::plan(Plan::default());
    store.append(append(1, [4])).unwrap();
    assert_eq!(all(&store), [1, 2, 3, 4]);
}

/// A store of a few hundred pages, closed.
fn filled(path: &Path) {
    let store = SqliteStore::open(path, options(4_000)).unwrap();
    for n in 0..40 {
        store.append(append(n % 5, n * 50 + 1..=n * 50 + 50)).unwrap();
    }
}

/// What a check finds. Where it finds nothing, everything can be read.
fn read(path: &Path) -> Result<Vec<String>, StoreError> {
    let store = SqliteStore::open(path, Options::default())?;
    let problems = store.integrity()?.problems;
    if problems.is_empty() {
        store.read_all(0, &mut |_| Ok(ControlFlow::Continue(())))?;
    }
    Ok(problems)
}

/// No way to an event serves it altered, and no other event is held back.
#[test]
fn altered_events_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    fill(&store, 1, 1..=9);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE events SET body = '\"y\"' WHERE position = 4", []).unwrap();
    raw.execute("UPDATE events SET type = 'CodeFormatted' WHERE position = 5", []).unwrap();
    // Streams have their own copies.
    let place = "place & 0x7fffffff = 6";
    raw.execute(&format!("UPDATE stream_events SET event = zeroblob(60) WHERE {place}"), [])
        .unwrap();
    drop(raw);
    let mut seen = Vec::new();
    let mut visit = |event: &cim_domain_nix::Record<'_>| {
        seen.push(event.position);
        Ok(ControlFlow::Continue(()))
    };
    let id = |n| cim_domain_nix::Uuid::from_u128(n);
    let message = |n| cim_domain_nix::MessageId::Uuid(id(n));
    let said = [
        store.read_all(0, &mut visit),
        store.read_stream(&stream(1), 2, &mut visit),
        store.read_back(Some(7), &mut visit),
        store.find(id(4), &mut visit).map(drop),
        store.caused_by(&message(1), &mut visit),
        store.correlated(&message(0), &mut visit),
        store.outgoing(20).map(drop),
        store.export(&mut Vec::new()).map(drop),
        store.drop_projection("counts"),
        store.catch_up(&crate::power::Counts).map(drop),
    ];
    let said = said.map(|said| match said {
        Ok(()) => "fine".to_owned(),
        Err(error) => error.to_string(),
    });
    expect![[r#"
        the event store is damaged: event 4: it is not what was written (`store check`)
        the event store is damaged: version 6 of project-00000000-0000-0000-0000-000000000001: it is not what was written (`store check`)
        the event store is damaged: event 5: it is not what was written (`store check`)
        the event store is damaged: event 4: it is not what was written (`store check`)
        the event store is damaged: event 4: it is not what was written (`store check`)
        the event store is damaged: event 4: it is not what was written (`store check`)
        the event store is damaged: event 4: it is not what was written (`store check`)
        the event store is damaged: event 4: it is not what was written (`store check`)
        fine
        the event store is damaged: event 4: it is not what was written (`store check`)"#]]
    .assert_eq(&said.join("\n"));
    expect!["[1, 2, 3, 3, 4, 5, 6, 3, 1, 2, 3]"].assert_eq(&format!("{seen:?}"));
    // The damage is told whole, and new events are stored.
    expect![[r#"
        event 4 is not what was written: its sum differs
        event 5 is not what was written: its sum differs
        event 6 is not what its stream has of it"#]]
    .assert_eq(&store.integrity().unwrap().problems.join("\n"));
    fill(&store, 1, [10]);
}

/// Tables and indexes are part of what is checked.
#[test]
fn a_damaged_schema_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path);
    let change = |sql: &str| {
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute_batch(sql).unwrap();
    };
    change(
        "CREATE INDEX more ON events (at); ALTER TABLE snapshots ADD COLUMN more TEXT; CREATE TABLE cats (name)",
    );
    expect![[r#"
        the table snapshots is not as it was made
        the index more does not belong to a store
        the table cats does not belong to a store"#]]
    .assert_eq(&read(&path).unwrap().join("\n"));
    change("ALTER TABLE streams RENAME TO streamq");
    let error = read(&path).unwrap_err();
    expect!["the event store is damaged: ../store.db: the table `streams` is missing: put a backup in its place"].assert_eq(&told(&error, &path));
}

#[test]
fn garbage_in_a_page_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.db");
    filled(&whole);
    assert_eq!(read(&whole).unwrap(), Vec::<String>::new());
    let n_pages = fs::metadata(&whole).unwrap().len() / 4_096;
    assert!(n_pages > 100);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..40 {
        let path = folder.path().join("broken.db");
        fs::copy(&whole, &path).unwrap();
        let page = random.u64(..n_pages);
        let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(4_096).collect();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&garbage, page * 4_096).unwrap();
        drop(file);
        match catch_unwind(AssertUnwindSafe(|| read(&path))).expect("no panic") {
            Ok(problems) => {
                assert!(!problems.is_empty(), "round {round}: page {page} of {n_pages}");
            }
            Err(StoreError::Corrupt { .. }) => {}
            // The first page says that it is a database, and whose.
            Err(StoreError::Unavailable { .. } | StoreError::Newer { .. }) => assert_eq!(page, 0),
            Err(error) => panic!("round {round}: page {page}: {error}"),
        }
    }
}

/// An event that is damaged while it stands in the log alone stays known as that, and the others
/// are written and read as ever.
#[test]
fn damage_of_the_last_events_is_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    fill(&store, 1, 1..=3);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE events SET body = '\"y\"' WHERE position = 2", []).unwrap();
    drop(raw);
    let read = |store: &SqliteStore, after| {
        let mut seen = 0;
        let mut visit = |_: &cim_domain_nix::Record<'_>| {
            seen += 1;
            Ok(ControlFlow::Continue(()))
        };
        let read = store.read_stream(&stream(1), after, &mut visit);
        format!("{seen} events, {}", read.err().map_or_else(String::new, |error| error.to_string()))
    };
    let told =
        "1 events, the event store is damaged: event 2: it is not what was written (`store check`)";
    assert_eq!((&*read(&store, 0), &*read(&store, 2)), (told, "1 events, "));
    drop(store);
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    fill(&store, 1, 4..=9);
    assert_eq!((&*read(&store, 0), &*read(&store, 2)), (told, "7 events, "));
    let problems = store.integrity().unwrap().problems;
    assert_eq!(problems, ["event 2 is not what was written: its sum differs"]);
}

/// One bit in a body breaks no page; the event's sum finds it.
#[test]
fn a_bit_in_a_body_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path);
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    let body = format!("\"{}\"", "y".repeat(40));
    let events = vec![NewEvent { body, ..event(9_999, 0) }];
    let to = stream(1);
    store.append(Append { stream: to, expected: Expected::Any, events, intent: None }).unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    // Pages may hold older copies of what they held.
    let places = 0..bytes.len() - 40;
    for at in places.filter(|at| bytes[*at..].starts_with(&[b'y'; 40])).collect::<Vec<_>>() {
        bytes[at + 7] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let problems = read(&path).unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with("is not what was written: its sum differs"), "{problems:?}");
}

#[test]
fn what_was_changed_by_hand_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "PRAGMA foreign_keys = OFF;
         DELETE FROM events WHERE position = 7;
         UPDATE events SET meta = '{\"who\":\"me\"}' WHERE position = 9;
         DELETE FROM stream_events WHERE place = (3 << 31) + 20;
         DELETE FROM ids WHERE named = 11;
         UPDATE projections SET position = 5000;
         UPDATE store SET published = 4000;
         INSERT INTO blobs VALUES (zeroblob(32), x'01');
         INSERT INTO snapshots VALUES (1, 900, 1, '{}');",
    )
    .unwrap();
    drop(raw);
    let problems = read(&path).unwrap().join("\n");
    expect![[r#"
        events between 6 and 8 are missing
        event 9 is not what was written: its sum differs
        event 11 is not found by its ids
        event 120 is not what its stream has of it
        ids name events 5996 times, where events have 5995
        stream project-00000000000000000000000000000002 is at version 400, but has 399 events
        blob 0000000000000000000000000000000000000000000000000000000000000000 is not what was written: its hash differs
        events up to 4000 count as published, but 2000 is the last
        read model counts is at event 5000, but 2000 is the last
        1 snapshots stand for versions that their streams have not"#]]
    .assert_eq(&problems);
}

/// What SQLite cannot know to be missing leaves a whole store of an earlier moment.
#[test]
fn a_log_that_was_cut_leaves_a_whole_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(4_000)).unwrap();
    fill(&store, 1, 1..=100);
    let (main, log) =
        (fs::read(&path).unwrap(), fs::read(folder.path().join("store.db-wal")).unwrap());
    let mut most = 0;
    for part in 0..=20 {
        let image = folder.path().join(part.to_string());
        fs::create_dir(&image).unwrap();
        let path = image.join("store.db");
        fs::write(&path, &main).unwrap();
        fs::write(image.join("store.db-wal"), &log[..log.len() * part / 20]).unwrap();
        let store = SqliteStore::open(&path, options(4_000)).unwrap();
        assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
        let found = all(&store);
        assert_eq!(found, (1..=found.len() as u128).collect::<Vec<_>>());
        assert!(found.len() >= most, "a longer log has fewer events");
        most = found.len();
        fill(&store, 1, [1_000]);
    }
    assert_eq!(most, 100);
}
