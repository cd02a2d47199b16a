//! Ids are stored once, for ever, whatever the server remembers.

use std::time::Duration;

use cim_domain_nix::{Append, EventStore, Expected, StoreError};
use cim_nix_store_jetstream::Options;
use cim_nix_store_jetstream::async_nats::{self, jetstream};

use crate::samples::{all, append, event, options, place, stream};

/// The server forgets ids after this time.
const WINDOW: Duration = Duration::from_millis(100);

fn forgetful() -> Options {
    Options { duplicate_window: WINDOW, ..options() }
}

#[test]
fn late_repeats_are_answered_as_the_first_time() {
    let Some(place) = place() else { return };
    let store = place.open_with(forgetful()).unwrap();
    let request = || Append { expected: Expected::Version(0), ..append(1, [1, 2]) };
    let first = store.append(request()).unwrap();
    store.append(append(2, [3])).unwrap();
    std::thread::sleep(3 * WINDOW);
    for store in [&store, &place.open_with(forgetful()).unwrap()] {
        let again = store.append(request()).unwrap();
        assert_eq!((again.version, again.position), (first.version, first.position));
        assert!(again.is_repeated);
    }
    assert_eq!(all(&store), [1, 2, 3]);
    assert_eq!(store.status().unwrap().last_message, 2);
}

/// A program whose index is behind does not know that an id occurred, and the server has forgotten
/// it: the message is stored, and counts for nobody.
#[test]
fn an_id_that_occurred_elsewhere_does_not_count() {
    let Some(place) = place() else { return };
    let behind = place.open_with(forgetful()).unwrap();
    let store = place.open_with(forgetful()).unwrap();
    store.append(append(1, [1, 2])).unwrap();
    std::thread::sleep(3 * WINDOW);
    let refused = behind.append(append(2, [2]));
    assert!(
        matches!(refused, Err(StoreError::Duplicate { id }) if id == event(2).id),
        "{refused:?}"
    );
    assert_eq!(store.status().unwrap().other_messages, 1);
    for store in [&store, &behind, &place.open_with(forgetful()).unwrap()] {
        assert_eq!((all(store), store.version(&stream(2)).unwrap()), (vec![1, 2], 0));
    }
    // The stream goes on, from either program, and the id of what did not count is free.
    let appended = store.append(append(2, [9])).unwrap();
    assert_eq!((appended.version, appended.position), (1, 3));
    behind.append(append(2, [10])).unwrap();
    assert_eq!(all(&store), [1, 2, 9, 10]);
}

/// The same while the server remembers the id: the message that does not count had it.
#[test]
fn what_did_not_count_may_be_stored_later() {
    let Some(place) = place() else { return };
    let behind = place.open_with(forgetful()).unwrap();
    let store = place.open_with(forgetful()).unwrap();
    store.append(append(1, [2])).unwrap();
    std::thread::sleep(3 * WINDOW);
    let refused = behind.append(append(2, [1, 2]));
    assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    // Event 1 is free, though the server has just seen a message with its id.
    assert_eq!(behind.append(append(2, [1])).unwrap().version, 1);
    assert_eq!(all(&store), [2, 1]);
}

/// Without all that, the server stores twice what is sent again after its window.
#[test]
fn the_server_alone_would_store_twice() {
    let Some(place) = place() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let n_stored = runtime.block_on(async {
        let client = async_nats::connect(place.server.url()).await.unwrap();
        let context = jetstream::new(client);
        let config = jetstream::stream::Config {
            name: "control".into(),
            subjects: vec!["control".into()],
            duplicate_window: WINDOW,
            ..Default::default()
        };
        let mut stream = context.create_stream(config).await.unwrap();
        for _ in 0..2 {
            let message = jetstream::message::PublishMessage::build().message_id("one");
            context.send_publish("control", message).await.unwrap().await.unwrap();
            tokio::time::sleep(3 * WINDOW).await;
        }
        stream.info().await.unwrap().state.messages
    });
    assert_eq!(n_stored, 2);
}
