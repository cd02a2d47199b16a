//! Messages that nobody of ours wrote, and streams that are not what they were.

use cim_domain_nix::{EventStore, StoreError};
use cim_nix_store_jetstream::Options;
use cim_nix_store_jetstream::async_nats::{self, HeaderMap, jetstream};
use expect_test::{Expect, expect};
use twox_hash::XxHash3_64;

use crate::samples::{Place, all, append, options, place, stream, told};

const STREAM: &str = "cim-nix_acme";

/// Does something to the server that the store would not.
fn meddle<F: Future<Output = ()>>(place: &Place, work: impl FnOnce(jetstream::Context) -> F) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(place.server.url()).await.unwrap();
        work(jetstream::new(client)).await;
    });
}

/// Puts a message on the subject of stream `to`.
fn put(place: &Place, to: u128, header: Option<&str>, payload: &str) {
    let subject = format!("cim.nix.v1.acme.flake.{}", stream(to).id);
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert("Cim-Append", header);
    }
    let payload = payload.to_owned();
    meddle(place, async |context| {
        let sent = context.publish_with_headers(subject, headers, payload.into()).await;
        sent.unwrap().await.unwrap();
    });
}

#[test]
fn messages_of_others_are_passed_over() {
    let Some(place) = place() else { return };
    let store = place.open();
    store.append(append(1, [1])).unwrap();
    put(&place, 1, None, "hello");
    put(&place, 2, None, "");
    meddle(&place, async |context| {
        let sent = context.publish("cim.nix.v1.acme.what.ever", "x".into()).await;
        sent.unwrap().await.unwrap();
    });
    store.append(append(1, [2])).unwrap();
    store.append(append(2, [3])).unwrap();
    for store in [store, place.open()] {
        assert_eq!((all(&store), store.version(&stream(1)).unwrap()), (vec![1, 2, 3], 2));
        assert_eq!(store.status().unwrap().other_messages, 3);
    }
}

/// A message that says it is one of ours: everything up to it is served, nothing is written after
/// it, and everybody is told.
fn check_forged(header: &str, payload: &str, expect: Expect) {
    let Some(place) = place() else { return };
    let store = place.open();
    store.append(append(1, [1])).unwrap();
    put(&place, 1, Some(header), payload);
    let said = [
        store.append(append(1, [2])).map(drop),
        store.head().map(drop),
        store.read_all(0, &mut |_| unreachable!("it says that it is damaged")),
        place.open_with(options()).map(drop),
    ];
    let said = said.map(|said| told(&said.unwrap_err()));
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    expect.assert_eq(&said[0]);
}

#[test]
fn altered_messages_are_not_served() {
    check_forged(
        "1 2 1 whole 0000000000000000 0000000000000000",
        "[]",
        expect![
            "the event store is damaged: message 2: it is not what was written: its sum differs"
        ],
    );
}

#[test]
fn headers_that_cannot_be_read_are_told() {
    check_forged(
        "1 two",
        "[]",
        expect!["the event store is damaged: message 2: its header cannot be read"],
    );
}

#[test]
fn newer_messages_are_told() {
    check_forged(
        "9 anything",
        "[]",
        expect!["message 2 was written by a newer version: it has version 9, 1 is known here"],
    );
}

#[test]
fn fields_that_are_not_known_are_passed_over() {
    let Some(place) = place() else { return };
    let payload = r#"[{"id":"00000000-0000-0000-0000-000000000009","type":"FlakeCreated","schema":1,"at":"2026-11-26T00:00:00Z","correlation":"00000000-0000-0000-0000-000000000001","causation":"00000000-0000-0000-0000-000000000001","colour":[[]],"body":{},"meta":{}}]"#;
    // The sum as the page about the store has it.
    let at = format!("{} 1 1", stream(1));
    let seed = XxHash3_64::oneshot(at.as_bytes());
    let sum = XxHash3_64::oneshot_with_seed(seed, payload.as_bytes());
    drop(place.open());
    put(&place, 1, Some(&format!("1 1 1 whole {sum:016x} 0000000000000000")), payload);
    assert_eq!(all(&place.open()), [9]);
}

#[test]
fn lost_messages_are_told() {
    let Some(place) = place() else { return };
    let open = || place.open_with(Options { locked: false, ..options() });
    let store = open().unwrap();
    store.append(append(1, [1])).unwrap();
    store.append(append(1, [2])).unwrap();
    store.append(append(1, [3])).unwrap();
    meddle(&place, async |context| {
        let stream = context.get_stream(STREAM).await.unwrap();
        stream.delete_message(2).await.unwrap();
    });
    let error = open().map(drop).unwrap_err();
    expect!["the event store is damaged: message 2: the stream has lost it"]
        .assert_eq(&told(&error));
    meddle(&place, async |context| {
        let stream = context.get_stream(STREAM).await.unwrap();
        stream.purge().sequence(3).await.unwrap();
    });
    let error = open().map(drop).unwrap_err();
    expect!["the event store is damaged: messages 1 to 2: the stream has lost it"]
        .assert_eq(&told(&error));
}

#[test]
fn messages_cannot_be_removed() {
    let Some(place) = place() else { return };
    let store = place.open();
    store.append(append(1, [1])).unwrap();
    meddle(&place, async |context| {
        let stream = context.get_stream(STREAM).await.unwrap();
        assert!(stream.delete_message(1).await.is_err());
        assert!(stream.purge().await.is_err());
    });
    assert_eq!(all(&store), [1]);
}

#[test]
fn a_stream_that_is_gone_is_told() {
    let Some(place) = place() else { return };
    let store = place.open();
    store.append(append(1, [1])).unwrap();
    meddle(&place, async |context| {
        context.delete_stream(STREAM).await.unwrap();
    });
    let gone = expect![[r#"
        the stream `cim-nix_acme` is gone
          hint: somebody removed it: restore it (`nats stream restore`), or copy a backup of the store into a new one"#]];
    gone.assert_eq(&told(&store.head().unwrap_err()));
    let error = store.append(append(1, [2])).unwrap_err();
    assert!(told(&error).contains("the stream `cim-nix_acme` is gone"), "{error}");
    // Somebody makes it again: that is another history.
    let other = place.open();
    other.append(append(5, [50])).unwrap();
    let another = expect![[r#"
        the stream `cim-nix_acme` is not the one that it was: it was made again, or an older state was restored
          hint: see what happened to it, then start this program again"#]];
    another.assert_eq(&told(&store.head().unwrap_err()));
    another.assert_eq(&told(&store.append(append(2, [2])).unwrap_err()));
}

/// Another stream that has the subjects now may even store the message: that is no acknowledgement.
#[test]
fn a_stream_in_the_place_of_another_is_told() {
    let Some(place) = place() else { return };
    let store = place.open();
    store.append(append(1, [1])).unwrap();
    meddle(&place, async |context| {
        context.delete_stream(STREAM).await.unwrap();
        let subjects = vec!["cim.nix.v1.acme.>".to_owned()];
        let other = jetstream::stream::Config {
            name: "other".to_owned(),
            subjects,
            ..jetstream::stream::Config::default()
        };
        context.create_stream(other).await.unwrap();
    });
    for n in [1, 2] {
        let error = store.append(append(n, [n + 1])).unwrap_err();
        assert!(told(&error).contains("the stream `cim-nix_acme` is gone"), "{error}");
    }
}

#[test]
fn other_settings_are_named() {
    let Some(place) = place() else { return };
    drop(place.open());
    let other = Options { max_bytes: Some(1 << 20), compression: true, ..options() };
    let error = place.open_with(other).map(drop).unwrap_err();
    expect![[r#"
        the stream `cim-nix_acme` has other settings: `compression` is None, not S2; `max_bytes` is -1, not 1048576
          hint: change the stream (`nats stream edit`) or the options, so that both say the same"#]]
    .assert_eq(&told(&error));
    let replicas = Options { replicas: 3, tenant: "three".into(), ..options() };
    let error = place.open_with(replicas).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("replicas > 1 not supported"), "{error}");
}

/// A server that comes back with an older state, and goes on from there.
#[test]
fn an_older_state_is_noticed() {
    let Some(mut place) = place() else { return };
    let file = place.folder().join("index");
    let with_file = Options { index_file: Some(file), ..options() };
    let (store, filed) = (place.open(), place.open_with(with_file.clone()).unwrap());
    store.append(append(1, [1])).unwrap();
    place.server.kill();
    copy_folder(&place.folder().join("data"), &place.folder().join("older"));
    place.server.restart();
    for n in 2..=5 {
        store.append(append(1, [n])).unwrap();
    }
    assert_eq!(all(&filed).len(), 5);
    drop(filed);
    place.server.kill();
    std::fs::remove_dir_all(place.folder().join("data")).unwrap();
    copy_folder(&place.folder().join("older"), &place.folder().join("data"));
    place.server.restart();
    // Others go on, beyond what this program has seen.
    let other = place.open();
    assert_eq!(all(&other), [1]);
    for n in 12..=20 {
        other.append(append(1, [n])).unwrap();
    }
    let error = store.head().unwrap_err();
    assert!(error.to_string().contains("an older state was restored"), "{error}");
    let error = store.append(append(2, [30])).unwrap_err();
    assert!(error.to_string().contains("an older state was restored"), "{error}");
    // What a program starts with from its file is the same as without.
    let again = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        place.open_with(with_file.clone()).ok()
    });
    assert_eq!(all(&again.unwrap()), all(&other));
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}
