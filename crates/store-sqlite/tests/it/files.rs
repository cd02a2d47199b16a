//! The file: whose it is, who may read it, and what is refused without touching it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use cim_domain_nix::{EventStore, StoreError};
use cim_nix_store_sqlite::{Options, SqliteStore};
use expect_test::{Expect, expect};
use rusqlite::Connection;

use crate::disk;
use crate::power::{append, fill};

/// What opening a file says, without the folder of the test.
fn check(path: &Path, options: Options, expect: Expect) {
    let error = SqliteStore::open(path, options).err().expect("it cannot be opened");
    expect.assert_eq(&told(&error, path));
}

/// An error as its reader sees it.
pub(crate) fn told(error: &StoreError, path: &Path) -> String {
    let hint = match error {
        StoreError::Unavailable { hint: Some(hint), .. } => format!("\n  hint: {hint}"),
        _ => String::new(),
    };
    let folder = path.parent().unwrap().display().to_string();
    format!("{error}{hint}").replace(&folder, "..")
}

fn plain() -> Options {
    Options { patience: Duration::from_millis(50), ..Options::default() }
}

#[test]
fn makes_a_private_file_and_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    fill(&store, 1, 1..=3);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!((mode(&folder.path().join("a")), mode(&folder.path().join("a/b"))), (0o700, 0o700));
    drop(store);
    // Closed, the store is one file.
    let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[68..72], b"cimx");
    assert_eq!(SqliteStore::open(&path, Options::default()).unwrap().head().unwrap(), 3);
}

/// A store is whole before it has its name: where nothing is left, something was lost.
#[test]
fn refuses_what_is_left_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fill(&SqliteStore::open(&path, Options::default()).unwrap(), 1, 1..=3);
    fs::write(&path, "").unwrap();
    check(
        &path,
        plain(),
        expect![
            "the event store is damaged: ../store.db: nothing is left in it: put a backup in its place, or remove the file to begin without a history"
        ],
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), 0, "it was changed");
    // A database without anything in it is none that was made here, either.
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (b); DROP TABLE a").unwrap();
    check(
        &path,
        plain(),
        expect![
            "the event store is damaged: ../store.db: nothing is left in it: put a backup in its place, or remove the file to begin without a history"
        ],
    );
}

/// Of many that make a store at once all use the same.
#[test]
fn is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || {
                fill(&SqliteStore::open(path, Options::default()).unwrap(), n, [n + 1]);
            });
        }
    });
    assert_eq!(SqliteStore::open(&path, plain()).unwrap().head().unwrap(), 8);
    // Closed, it is alone: nothing is left of those that came too late.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Nothing that is acknowledged gets lost while the store moves.
#[test]
fn moves_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let options = || Options { successor: Some(new.clone()), ..Options::default() };
    let store = SqliteStore::open(&old, options()).unwrap();
    fill(&store, 9, [1_000_000]);
    let refusal = std::sync::Mutex::new(String::new());
    let acknowledged = std::sync::Mutex::new(Vec::from([1_000_000]));
    std::thread::scope(|scope| {
        for writer in 1..4 {
            let (refusal, acknowledged) = (&refusal, &acknowledged);
            let store = SqliteStore::open(&old, options()).unwrap();
            let old = &old;
            scope.spawn(move || {
                for n in (writer * 100_000).. {
                    match store.append(append(writer, [n])) {
                        Ok(_) => acknowledged.lock().unwrap().push(n),
                        Err(error) => return *refusal.lock().unwrap() = told(&error, old),
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(100));
        let refused = || Err(StoreError::Invalid("not now".into()));
        assert!(store.move_to(&new, &mut { refused }).is_err());
        assert!(!new.exists());
        store.move_to(&new, &mut || Ok(())).unwrap();
    });
    let mut found = crate::power::all(&SqliteStore::open(&new, plain()).unwrap());
    let mut acknowledged = acknowledged.into_inner().unwrap();
    found.sort_unstable();
    acknowledged.sort_unstable();
    assert_eq!(found, acknowledged);
    expect![[r#"
        the event store ../old.db was moved to ../new.db
          hint: run the command again: it uses the new place"#]]
    .assert_eq(&refusal.into_inner().unwrap());
}

#[test]
fn refuses_what_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("notes.txt"), "this is a text of more than a hundred bytes ".repeat(40)).unwrap();
    let other = Connection::open(at("other.db")).unwrap();
    other.execute_batch("CREATE TABLE cats (name); INSERT INTO cats VALUES ('Tom')").unwrap();
    drop(other);
    let before = (fs::read(at("notes.txt")).unwrap(), fs::read(at("other.db")).unwrap());
    check(
        &at("notes.txt"),
        plain(),
        expect![[r#"
            ../notes.txt is no event store: it is not a database
              hint: name another file, or move this one away; nothing was changed in it"#]],
    );
    check(
        &at("other.db"),
        plain(),
        expect![[r#"
            ../other.db is no event store: it is a database of another program
              hint: name another file; nothing was changed in this one"#]],
    );
    fs::create_dir(at("folder")).unwrap();
    check(
        &at("folder"),
        plain(),
        expect![[r#"
            ../folder is no event store: it is not a file
              hint: name a file"#]],
    );
    check(
        &at("absent.db"),
        Options { create: false, ..plain() },
        expect!["there is no event store at ../absent.db"],
    );
    check(
        &at("notes.txt/store.db"),
        plain(),
        expect![[r#"
            cannot open the event store ../store.db: Not a directory (os error 20)
              hint: the file and its folder have to be writable for you"#]],
    );
    assert_eq!(before, (fs::read(at("notes.txt")).unwrap(), fs::read(at("other.db")).unwrap()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "something was left behind");
}

#[test]
fn leaves_a_store_of_a_newer_version_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fill(&SqliteStore::open(&path, Options::default()).unwrap(), 1, 1..=3);
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 4).unwrap();
    drop(raw);
    let before = fs::read(&path).unwrap();
    check(
        &path,
        plain(),
        expect![
            "the event store ../store.db was written by a newer version: it has version 4, 3 is known here"
        ],
    );
    // Also where what is newer stands in the log alone.
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 5).unwrap();
    let log = fs::read(folder.path().join("store.db-wal")).unwrap();
    assert!(!log.is_empty());
    check(
        &path,
        plain(),
        expect![
            "the event store ../store.db was written by a newer version: it has version 5, 3 is known here"
        ],
    );
    assert_eq!(fs::read(folder.path().join("store.db-wal")).unwrap(), log);
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// Another process may bring the tables to a version that this one does not know.
#[test]
fn stops_writing_when_the_store_becomes_newer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, plain()).unwrap();
    fill(&store, 1, 1..=3);
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 4).unwrap();
    let refused = store.append(append(1, [4]));
    assert!(matches!(refused, Err(StoreError::Newer { found: 4, known: 3, .. })), "{refused:?}");
    raw.pragma_update(None, "user_version", 3).unwrap();
    fill(&store, 1, 4..=4);
}

#[test]
fn says_who_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, plain()).unwrap();
    fill(&store, 1, 1..=3);
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.append(append(1, [4])).unwrap_err();
    expect![[r#"
        another process holds the event store ../store.db
          hint: try again when the other process has finished"#]]
    .assert_eq(&told(&refused, &path));
    // Reading goes on, and opening another handle, too.
    assert_eq!(store.head().unwrap(), 3);
    assert_eq!(SqliteStore::open(&path, plain()).unwrap().head().unwrap(), 3);
    holder.execute_batch("COMMIT").unwrap();
    fill(&store, 1, 4..=4);
    assert_eq!(store.head().unwrap(), 4);
}

#[test]
fn refuses_a_disk_without_shared_memory() {
    disk::install();
    disk::lack_shared_memory();
    let folder = tempfile::tempdir().unwrap();
    check(
        &folder.path().join("store.db"),
        plain(),
        expect![[r#"
            the file system of ../store.db cannot hold an event store
              hint: keep it on a local disk: network file systems lack the locks and the shared memory"#]],
    );
}
