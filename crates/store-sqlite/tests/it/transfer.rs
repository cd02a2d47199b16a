//! Backups, exports and imports.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cim_domain_nix::{
    Append, EventStore, Expected, Intent, IntentStore, MessageId, NewEvent, Snapshot, StoreError,
    Timestamp, Uuid,
};
use cim_nix_store_sqlite::{Moved, Options, SqliteStore};
use expect_test::{Expect, expect};

use crate::files::told;
use crate::power::{all, event, fill, options, stream};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

#[test]
fn backs_up_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db"), options(50)).unwrap();
    fill(&store, 1, 1..=20);
    let (to, is_done) = (folder.path().join("backup.db"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 21.. {
                fill(&store, n % 3, [n]);
                if is_done.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        store.backup(&to).unwrap();
        is_done.store(true, Ordering::Release);
    });
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let backup = SqliteStore::open(&to, options(50)).unwrap();
    assert_eq!(backup.integrity().unwrap().problems, Vec::<String>::new());
    let found = all(&backup);
    assert!(found.len() >= 20);
    assert_eq!(found, (1..=found.len() as u128).collect::<Vec<_>>());
    let progress = backup.progress("counts").unwrap();
    assert_eq!(progress.position, progress.head);
    fill(&backup, 1, [1_000_000]);
    // It never replaces anything, and leaves nothing where it fails.
    for taken in [&to, &folder.path().join("none/backup.db")] {
        assert!(matches!(store.backup(taken), Err(StoreError::Unavailable { .. })));
    }
    let error = store.backup(&to).unwrap_err();
    expect![[r#"
        cannot write the backup ../backup.db: entity already exists
          hint: name a file that does not exist, in a folder that you may write to"#]]
    .assert_eq(&told(&error, &to));
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| name.to_str().unwrap().contains("partial"));
    assert!(left.is_empty(), "{left:?}");
}

/// A store with one of everything.
fn varied(store: &SqliteStore) {
    let bodies = [r#"{"a" : [1e400, "\ud800", "é"], "a":2}"#, "{\n  \"lines\": 2\n}", " 7"];
    for (n, body) in (1..).zip(bodies) {
        let event = NewEvent {
            body: body.to_owned(),
            meta: ["{}", "{ }", "{\r\n}"][n as usize % 3].to_owned(),
            causation: MessageId::Cid("bafkreiabcdefgh".into()),
            ..event(n, 0)
        };
        let events = vec![event];
        let request =
            Append { stream: stream(n % 2), expected: Expected::Any, events, intent: None };
        store.append(request).unwrap();
    }
    let intent = Intent {
        id: Uuid::from_u128(9),
        at: Timestamp::from_micros(0),
        stream: stream(1),
        expected: 0,
        events: Vec::new(),
        plan: "{}".to_owned(),
    };
    store.open_intent(&intent, &[b"", b"\0\xff bytes"]).unwrap();
    store.published(&[1, 3]).unwrap();
    let snapshot = Snapshot { version: 1, schema: 1, state: "{}".to_owned() };
    store.save_snapshot(&stream(1), &snapshot).unwrap();
}

fn export(store: &SqliteStore) -> String {
    let mut out = Vec::new();
    store.export(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn exports_lines_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store.db"));
    varied(&store);
    expect![[r#"
        {"head":{"format":"cim-nix-events","version":1,"published":1}}
        {"blob":{"hash":"b00c6e4be222eebfcf5b147c533f5935dff18a6278532db23013c5a76d03e8a3","base64":"AP8gYnl0ZXM="}}
        {"blob":{"hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","base64":""}}
        {"event":{"position":1,"stream":"project-00000000-0000-0000-0000-000000000001","version":1,"id":"00000000-0000-0000-0000-000000000001","type":"CodeFixed","schema":1,"at":"1970-01-01T00:00:00.000001Z","correlation":"00000000-0000-0000-0000-000000000000","causation":{"Cid":"bafkreiabcdefgh"},"body":{"a" : [1e400, "\ud800", "é"], "a":2},"meta":{ }}}
        {"event":{"position":2,"stream":"project-00000000-0000-0000-0000-000000000000","version":1,"id":"00000000-0000-0000-0000-000000000002","type":"CodeFixed","schema":1,"at":"1970-01-01T00:00:00.000002Z","correlation":"00000000-0000-0000-0000-000000000000","causation":{"Cid":"bafkreiabcdefgh"},"body_text":"{\n  \"lines\": 2\n}","meta_text":"{\r\n}"}}
        {"event":{"position":3,"stream":"project-00000000-0000-0000-0000-000000000001","version":2,"id":"00000000-0000-0000-0000-000000000003","type":"CodeFixed","schema":1,"at":"1970-01-01T00:00:00.000003Z","correlation":"00000000-0000-0000-0000-000000000000","causation":{"Cid":"bafkreiabcdefgh"},"body_text":" 7","meta":{}}}
        {"end":{"events":3,"blobs":2}}
    "#]].assert_eq(&export(&store));
}

#[test]
fn imports_what_was_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (open(&folder.path().join("a.db")), open(&folder.path().join("b.db")));
    varied(&from);
    let lines = export(&from);
    let mut subscription = to.subscribe(0).unwrap();
    assert_eq!(to.import(&mut lines.as_bytes()).unwrap(), Moved { events: 3, blobs: 2 });
    assert_eq!(export(&to), lines);
    assert_eq!(to.integrity().unwrap().problems, Vec::<String>::new());
    let waiting: Vec<_> = to.outgoing(9).unwrap().iter().map(|event| event.position).collect();
    assert_eq!(waiting, [2, 3]);
    let follows = subscription
        .next(std::time::Duration::ZERO, &mut |_| Ok(std::ops::ControlFlow::Continue(())));
    assert_eq!(follows.unwrap(), 3);
    // What goes on where the store ends is taken as well.
    fill(&from, 1, [50]);
    let lines = export(&from);
    let (head, rest) = lines.split_once('\n').unwrap();
    let event = rest.lines().find(|line| line.contains("-000000000032\"")).unwrap();
    let part = format!("{head}\n{event}\n{{\"end\":{{\"events\":1,\"blobs\":0}}}}\n");
    assert_eq!(to.import(&mut part.as_bytes()).unwrap(), Moved { events: 1, blobs: 0 });
    assert_eq!(all(&to), all(&from));
}

/// Exports of random stores come back alike.
#[test]
fn exports_and_imports_agree() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (open(&folder.path().join("a.db")), open(&folder.path().join("b.db")));
        for n in 1..30 {
            let length = random.usize(..50);
            let text: String = std::iter::repeat_with(|| random.char(..)).take(length).collect();
            let space = [" ", "\n", "\t", "", "\r\n"][random.usize(..5)];
            let text = serde_json::to_string(&text).unwrap();
            let events = vec![NewEvent {
                event_type: random.char('a'..).to_string(),
                body: format!("{space}[{text},{space}{n}]{space}"),
                meta: format!("{{{text}:{space}{text}}}"),
                at: Timestamp::from_micros(random.i64(..)),
                schema: random.u32(1..),
                ..event(n, 0)
            }];
            let to = stream(random.u128(..3));
            from.append(Append { stream: to, expected: Expected::Any, events, intent: None })
                .unwrap();
        }
        let lines = export(&from);
        to.import(&mut lines.as_bytes()).unwrap();
        assert_eq!(export(&to), lines);
        assert_eq!(to.integrity().unwrap().problems, Vec::<String>::new());
    }
}

/// What an import of changed lines says; nothing of it may be stored.
fn refuse(change: impl Fn(&mut Vec<String>), expect: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (open(&folder.path().join("a.db")), open(&folder.path().join("b.db")));
    varied(&from);
    let mut lines: Vec<String> = export(&from).lines().map(|line| format!("{line}\n")).collect();
    change(&mut lines);
    fill(&to, 7, [77]);
    let error = to.import(&mut lines.concat().as_bytes()).unwrap_err();
    expect.assert_eq(&error.to_string());
    assert_eq!(all(&to), [77]);
    fill(&to, 7, [78]);
}

#[test]
fn refuses_lines_that_are_not_as_they_should_be() {
    refuse(
        |lines| lines.clear(),
        expect!["cannot import: line 1 is missing: an export ends with a line `end`"],
    );
    refuse(
        |lines| drop(lines.remove(0)),
        expect!["cannot import: line 1 is not the first line of an export"],
    );
    refuse(
        |lines| lines[0] = "hello\n".to_owned(),
        expect![
            "cannot import: line 1 is not the first line of an export: expected value at column 1"
        ],
    );
    refuse(
        |lines| lines[0] = lines[0].replace("\"version\":1", "\"version\":2,\"new\":1"),
        expect!["the export was written by a newer version: it has version 2, 1 is known here"],
    );
    refuse(
        |lines| lines.insert(1, lines[0].clone()),
        expect!["cannot import: line 2 begins a second export"],
    );
    refuse(
        |lines| lines[1] = lines[2].replace("\"base64\":\"", "\"base64\":\"AAAA"),
        expect!["cannot import: line 2 holds bytes with another hash than it says"],
    );
    refuse(
        |lines| lines[2] = lines[2].replace("\"base64\":\"", "\"base64\":\"*"),
        expect!["cannot import: line 3 holds a blob that is no base64"],
    );
    // Twice, out of order, with a gap.
    refuse(
        |lines| lines.insert(4, lines[3].clone()),
        expect!["cannot import: line 5 goes back: events stand in the order of their positions"],
    );
    refuse(
        |lines| lines.swap(3, 4),
        expect!["cannot import: line 5 goes back: events stand in the order of their positions"],
    );
    refuse(
        |lines| drop(lines.remove(3)),
        expect![
            "cannot import: line 5 is version 2 of project-00000000-0000-0000-0000-000000000001, which is at version 0 here"
        ],
    );
    refuse(
        |lines| lines[3] = lines[3].replace("\"version\":1", "\"version\":0"),
        expect!["cannot import: line 4 has version 0: they count from 1"],
    );
    refuse(
        |lines| lines[4] = lines[4].replace("0002\",\"type", "0001\",\"type"),
        expect![
            "cannot import: line 5 has the event 00000000-0000-0000-0000-000000000001, which is another one here"
        ],
    );
    refuse(
        |lines| lines[5] = lines[5].replace("0003\",\"type", "004d\",\"type"),
        expect![
            "cannot import: line 6 has the event 00000000-0000-0000-0000-00000000004d, which is another one here"
        ],
    );
    // Fields.
    refuse(
        |lines| lines[3] = lines[3].replace("\"schema\":1", "\"schema\":0"),
        expect![
            "cannot import: line 4 is wrong: event 00000000-0000-0000-0000-000000000001 cannot be stored: versions of bodies count from 1"
        ],
    );
    refuse(
        |lines| lines[3] = lines[3].replace("\"schema\":1", "\"schema\":1,\"x\":2"),
        expect![
            "cannot import: line 4 is no line of an export: unknown field `x`, expected one of `position`, `stream`, `version`, `id`, `type`, `schema`, `at`, `correlation`, `causation`, `body`, `body_text`, `meta`, `meta_text` at column 168"
        ],
    );
    refuse(
        |lines| lines[3] = lines[3].replace("\"meta\"", "\"meta_text\":\"{}\",\"meta\""),
        expect!["cannot import: line 4 has a body or meta twice, or not at all"],
    );
    refuse(
        |lines| lines[3] = lines[3].replace("\"body\":", "\"body\":}"),
        expect!["cannot import: line 4 is no line of an export: expected value at column 299"],
    );
    refuse(
        |lines| lines[3] = lines[3].replace("project-", "Project-"),
        expect![
            "cannot import: line 4 is no line of an export: `Project-00000000-0000-0000-0000-000000000001` names no stream such as flake-UUID at column 78"
        ],
    );
    refuse(
        |lines| lines[4] = lines[4].replace("\\n}\"", "\\n\""),
        expect![
            "cannot import: line 5 is wrong: event 00000000-0000-0000-0000-000000000002 cannot be stored: its body is not JSON"
        ],
    );
    // The end.
    refuse(
        |lines| drop(lines.pop()),
        expect!["cannot import: line 7 is missing: an export ends with a line `end`"],
    );
    refuse(
        |lines| drop(lines.remove(5)),
        expect!["cannot import: line 6 counts 3 events and 2 blobs, but there were 2 and 2"],
    );
    refuse(
        |lines| lines.push("{}\n".to_owned()),
        expect!["cannot import: line 8 stands behind the end"],
    );
    refuse(
        |lines| lines[5].truncate(20),
        expect!["cannot import: line 6 is no line of an export: expected `:` at column 21"],
    );
    refuse(
        |lines| lines[6].truncate(9),
        expect!["cannot import: line 7 has no end: the export was cut off, or it is none"],
    );
    // Deep and long.
    refuse(
        |lines| lines[3] = "[".repeat(1_000_000) + "\n",
        expect!["cannot import: line 4 is no line of an export: expected value at column 1"],
    );
    refuse(
        |lines| lines[3] = "{\"event\":{\"body\":".to_owned() + &"[".repeat(1_000_000) + "\n",
        expect![
            "cannot import: line 4 is no line of an export: EOF while parsing a list at column 0"
        ],
    );
}

/// Two stores can be brought together as often as one likes.
#[test]
fn imports_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (open(&folder.path().join("a.db")), open(&folder.path().join("b.db")));
    varied(&from);
    let lines = export(&from);
    to.import(&mut lines.as_bytes()).unwrap();
    assert_eq!(to.import(&mut lines.as_bytes()).unwrap(), Moved::default());
    assert_eq!(export(&to), lines);
    fill(&from, 1, [50, 51]);
    let more = export(&from);
    assert_eq!(to.import(&mut more.as_bytes()).unwrap(), Moved { events: 2, blobs: 0 });
    // And back again, beside streams of its own.
    fill(&to, 8, [80]);
    assert_eq!(from.import(&mut export(&to).as_bytes()).unwrap(), Moved { events: 1, blobs: 0 });
    assert_eq!(all(&from), all(&to));
    // The same id with another content is none that is there already.
    let error = from.import(&mut more.replace(" 7", " 8").as_bytes()).unwrap_err();
    expect!["cannot import: line 6 has the event 00000000-0000-0000-0000-000000000003, which is another one here"].assert_eq(&error.to_string());
    let error = cim_nix_base::Error::from(error);
    assert_eq!(error.kind(), cim_nix_base::ErrorKind::User);
}

/// Undoing an event writes files, so events from elsewhere must not speak of any file.
#[test]
fn refuses_events_that_reach_outside() {
    refuse(
        |lines| {
            let body = r#""body":{"changes":[{"path":".git/hooks/pre-commit"}],"x":"#;
            lines[3] = lines[3].replace("\"body\":", body).replace(",\"meta\"", "},\"meta\"");
        },
        expect![
            "cannot import: line 4 changes `.git/hooks/pre-commit`, which is no file that a project's event may change"
        ],
    );
}

/// Who gives the lines slowly holds nobody up.
#[test]
fn reads_all_lines_before_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (open(&folder.path().join("a.db")), open(&folder.path().join("b.db")));
    varied(&from);
    let lines = export(&from);
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::thread::scope(|scope| {
        let import = scope.spawn(|| to.import(&mut std::io::BufReader::new(reader)));
        let (first, rest) = lines.split_at(lines.len() / 2);
        writer.write_all(first.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        fill(&open(&folder.path().join("b.db")), 8, [80]);
        writer.write_all(rest.as_bytes()).unwrap();
        drop(writer);
        assert_eq!(import.join().unwrap().unwrap(), Moved { events: 3, blobs: 2 });
    });
    assert_eq!(to.head().unwrap(), 4);
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_str().unwrap().contains("partial")));
}

#[test]
fn exports_a_whole_file_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("a.db"));
    varied(&store);
    let to = folder.path().join("out.jsonl");
    assert_eq!(store.export_to(&to).unwrap(), Moved { events: 3, blobs: 2 });
    assert_eq!(fs::read_to_string(&to).unwrap(), export(&store));
    assert!(store.export_to(&to).is_err());
    fs::remove_file(&to).unwrap();
    let raw = rusqlite::Connection::open(store.path()).unwrap();
    raw.execute("UPDATE events SET body = '8' WHERE position = 3", []).unwrap();
    assert!(matches!(store.export_to(&to), Err(StoreError::Corrupt { .. })));
    let n_left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!((to.exists(), n_left), (false, 3));
}

#[test]
fn long_bodies_come_through() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (open(&folder.path().join("a.db")), open(&folder.path().join("b.db")));
    // As a text it doubles: every byte of it is escaped.
    let body = format!("{}1", "\n".repeat(6 << 20));
    let events = vec![NewEvent { body, ..event(1, 0) }];
    from.append(Append { stream: stream(1), expected: Expected::Any, events, intent: None })
        .unwrap();
    let lines = export(&from);
    assert!(lines.len() > 12 << 20);
    to.import(&mut lines.as_bytes()).unwrap();
    assert!(export(&to) == lines);
}
