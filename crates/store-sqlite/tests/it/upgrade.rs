//! Files of older versions become newer ones, with all that is in them.

use std::ops::ControlFlow;
use std::path::Path;

use cim_domain_nix::{EventStore, Kind, MessageId, Record, StreamId, Uuid};
use cim_nix_store_sqlite::{Options, SqliteStore};
use expect_test::expect;
use rusqlite::Connection;

use crate::power::{append, fill};

/// Makes a store of version 1; `more` changes it by hand.
fn first_version(path: &Path, more: &str) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(include_str!("version-1.sql")).unwrap();
    file.execute_batch(more).unwrap();
}

/// The events that `read` visits, a line each.
fn shown(
    read: impl FnOnce(&mut dyn FnMut(&Record<'_>) -> cim_domain_nix::Visit) -> Result<(), String>,
) -> String {
    let mut lines = Vec::new();
    let read = read(&mut |event| {
        let body: String = event.body.chars().take(20).collect();
        let id = |id: &MessageId| match id {
            MessageId::Uuid(id) => id.as_u128().to_string(),
            MessageId::Cid(id) => id[..7].to_owned(),
        };
        lines.push(format!(
            "{} {} {} v{} {} {} {} {body} {}",
            event.position,
            event.kind,
            event.aggregate.as_u128(),
            event.version,
            event.id.as_u128() & 0xff,
            id(event.correlation),
            id(event.causation),
            event.meta
        ));
        Ok(ControlFlow::Continue(()))
    });
    lines.extend(read.err());
    lines.join("\n")
}

fn flake(n: u128) -> StreamId {
    StreamId::new(Kind::Flake, Uuid::from_u128(n))
}

#[test]
fn a_store_of_the_first_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    first_version(&path, "");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    // Tables and indexes are those of a new store, too.
    assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
    expect![[r#"
        1 flake 1 v1 1 90 90 {"name":"first"} {"actor":"ü"}
        2 module 2 v1 2 90 91 {"name":"größer"} {"actor":"ü"}
        3 flake 1 v2 3 bafybei 91 "long long long long {"actor":"ü"}
        4 flake 1 v3 4 bafybei bafybei [3] {"actor":"ü"}
        5 module 2 v2 5 92 bafybei { "space" : 1.0 } {"actor":"ü"}
        6 flake 3 v1 6 90 90 5 {"actor":"ü"}"#]]
    .assert_eq(&shown(|visit| store.read_all(0, visit).map_err(|error| error.to_string())));
    expect![[r#"
        1 flake 1 v1 1 90 90 {"name":"first"} {"actor":"ü"}
        3 flake 1 v2 3 bafybei 91 "long long long long {"actor":"ü"}
        4 flake 1 v3 4 bafybei bafybei [3] {"actor":"ü"}"#]]
    .assert_eq(&shown(|visit| {
        store.read_stream(&flake(1), 0, visit).map_err(|error| error.to_string())
    }));
    let id = |n| MessageId::Uuid(Uuid::from_u128(n));
    let cid = MessageId::Cid("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".into());
    let positions = |message: &MessageId, is_cause: bool| {
        let mut found = Vec::new();
        let mut visit = |event: &Record<'_>| {
            found.push(event.position);
            Ok(ControlFlow::Continue(()))
        };
        match is_cause {
            true => store.caused_by(message, &mut visit).unwrap(),
            false => store.correlated(message, &mut visit).unwrap(),
        }
        found
    };
    assert_eq!((positions(&id(90), true), positions(&id(90), false)), (vec![1, 6], vec![1, 2, 6]));
    assert_eq!((positions(&id(91), true), positions(&id(91), false)), (vec![2, 3], vec![]));
    assert_eq!((positions(&cid, true), positions(&cid, false)), (vec![4, 5], vec![3, 4]));
    assert_eq!(store.snapshot(&flake(1)).unwrap().map(|found| found.version), Some(2));
    let outgoing = store.outgoing(9).unwrap();
    assert_eq!(outgoing.iter().map(|event| event.position).collect::<Vec<_>>(), [3, 5, 6]);
    // And on.
    let appended = store.append(cim_domain_nix::Append { stream: flake(1), ..append(1, [7]) });
    assert_eq!(appended.map(|found| (found.version, found.position)).unwrap(), (4, 7));
    fill(&store, 1, 8..=20);
    assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
}

/// An event that was damaged before does not become sound, and holds the others up as little as ever.
#[test]
fn damage_is_not_laundered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    first_version(&path, "UPDATE events SET body = '[4]' WHERE position = 4");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    expect![[r#"
        1 flake 1 v1 1 90 90 {"name":"first"} {"actor":"ü"}
        3 flake 1 v2 3 bafybei 91 "long long long long {"actor":"ü"}
        the event store is damaged: event 4: it is not what was written (`store check`)"#]]
    .assert_eq(&shown(|visit| {
        store.read_stream(&flake(1), 0, visit).map_err(|error| error.to_string())
    }));
    expect!["event 4 is not what was written: its sum differs"]
        .assert_eq(&store.integrity().unwrap().problems.join("\n"));
}

/// In version 2 all events were arranged when they came.
#[test]
fn a_store_of_the_second_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let options = Options { loose: 1, ..Options::default() };
    fill(&SqliteStore::open(&path, options).unwrap(), 1, 1..=5);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("ALTER TABLE store DROP COLUMN arranged; PRAGMA user_version = 2").unwrap();
    drop(raw);
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
    fill(&store, 1, 6..=7);
    let mut seen = Vec::new();
    let mut visit = |event: &Record<'_>| {
        seen.push((event.version, event.position));
        Ok(ControlFlow::Continue(()))
    };
    store.read_stream(&crate::power::stream(1), 3, &mut visit).unwrap();
    assert_eq!(seen, [(4, 4), (5, 5), (6, 6), (7, 7)]);
    let raw = Connection::open(&path).unwrap();
    let loose = "SELECT count(*), (SELECT arranged FROM store) FROM stream_events";
    let found: (u32, u32) = raw.query_row(loose, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(found, (5, 5));
}
