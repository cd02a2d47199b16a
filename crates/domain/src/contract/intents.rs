//! Intents and blobs.

use cim_nix_base::ContentHash;
use uuid::Uuid;

use super::samples::{append, event, events, put, seeded, stream};
use crate::{Append, EventStore, Expected, Intent, IntentStore, StoreError, Timestamp};

fn intent(n: u128) -> Intent {
    Intent {
        id: Uuid::from_u128(n),
        at: Timestamp::from_micros(n as i64 - 5),
        stream: stream(n),
        expected: n as u64,
        events: (0..n % 4).map(|of| Uuid::from_u128(n * 100 + of)).collect(),
        plan: format!(" {{\"n\": {n}, \"text\": \"\\u0000é\"}}\n"),
    }
}

/// Intents are open until they are closed, the oldest first.
pub fn opens_and_closes_intents<S: IntentStore>(open: &dyn Fn() -> S) {
    let store = open();
    assert!(store.open_intents().unwrap().is_empty());
    for n in [9, 2, 5] {
        store.open_intent(&intent(n), &[]).unwrap();
    }
    assert_eq!(open().open_intents().unwrap(), [intent(9), intent(2), intent(5)]);
    store.close_intent(intent(2).id).unwrap();
    store.close_intent(intent(2).id).unwrap();
    store.close_intent(Uuid::from_u128(77)).unwrap();
    assert_eq!(open().open_intents().unwrap(), [intent(9), intent(5)]);
    store.open_intent(&intent(2), &[]).unwrap();
    assert_eq!(store.open_intents().unwrap(), [intent(9), intent(5), intent(2)]);
    for plan in ["", "[]", "{", "1"] {
        let refused = store.open_intent(&Intent { plan: plan.to_owned(), ..intent(1) }, &[]);
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
}

/// An id of an open intent is taken; nothing of the second one is kept.
pub fn refuses_a_second_intent_with_an_id<S: IntentStore>(open: &dyn Fn() -> S) {
    let store = open();
    store.open_intent(&intent(1), &[]).unwrap();
    let second = Intent { id: intent(1).id, ..intent(2) };
    let refused = store.open_intent(&second, &[b"bytes"]);
    assert!(matches!(refused, Err(StoreError::Duplicate { id }) if id == second.id), "{refused:?}");
    assert_eq!(store.open_intents().unwrap(), [intent(1)]);
    assert_eq!(store.blob(ContentHash::of(b"bytes")).unwrap(), None);
}

/// Blobs are found by their hash, also after their intent is closed: undoing needs them.
pub fn keeps_blobs<S: IntentStore>(open: &dyn Fn() -> S) {
    let store = open();
    let every_byte: Vec<u8> = (0..=255).collect();
    let huge = vec![7_u8; 3 << 20];
    let blobs: [&[u8]; 4] = [b"", &every_byte, &huge, b"\0"];
    store.open_intent(&intent(1), &blobs).unwrap();
    store.open_intent(&intent(2), &[&every_byte, b"more", b"more"]).unwrap();
    store.close_intent(intent(1).id).unwrap();
    let again = open();
    for bytes in blobs.into_iter().chain([&b"more"[..]]) {
        let found = again.blob(ContentHash::of(bytes)).unwrap();
        assert!(found.is_some_and(|found| found == bytes), "{} bytes", bytes.len());
    }
    assert_eq!(again.blob(ContentHash::of(b"never")).unwrap(), None);
}

/// An intent is closed by the append that names it, and by that alone.
pub fn closes_intents_with_their_events<S: EventStore + IntentStore>(open: &dyn Fn() -> S) {
    let store = open();
    let ids = || -> Vec<u128> {
        open().open_intents().unwrap().iter().map(|intent| intent.id.as_u128()).collect()
    };
    for n in [1, 2, 3] {
        store.open_intent(&intent(n), &[]).unwrap();
    }
    let request = |n, number| Append {
        intent: Some(intent(n).id),
        ..append(stream(1), Expected::Any, events([number]))
    };
    put(&store, 1, [100]);
    assert_eq!(ids(), [1, 2, 3]);
    store.append(request(1, 101)).unwrap();
    assert_eq!(ids(), [2, 3]);
    // What is refused fulfils nothing.
    let late = store.append(Append { expected: Expected::Version(0), ..request(2, 102) });
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    let taken = Append { stream: stream(2), ..request(2, 101) };
    assert!(matches!(store.append(taken), Err(StoreError::Duplicate { .. })));
    assert_eq!(ids(), [2, 3]);
    // A repeat does, for somebody who was interrupted between the two.
    assert!(store.append(request(2, 101)).unwrap().is_repeated);
    assert_eq!(ids(), [3]);
    // An intent that another store keeps, or that is closed already, is no error.
    store.append(request(77, 103)).unwrap();
    store.append(request(1, 104)).unwrap();
    assert_eq!(ids(), [3]);
}

/// Random intents, with events that close them, against a list.
pub fn agrees_with_a_list_of_intents<S: EventStore + IntentStore>(open: &dyn Fn() -> S) {
    let mut random = seeded();
    let handles = [open(), open()];
    let (mut model, mut next) = (Vec::<Intent>::new(), 1);
    for step in 0..300 {
        let store = &handles[random.usize(..2)];
        match random.u8(..5) {
            0 | 1 => {
                let bytes = [random.u8(..4)];
                store.open_intent(&intent(next), &[&bytes]).unwrap();
                assert_eq!(
                    store.blob(ContentHash::of(&bytes)).unwrap().as_deref(),
                    Some(&bytes[..])
                );
                model.push(intent(next));
            }
            2 if !model.is_empty() => {
                let closed = model.remove(random.usize(..model.len()));
                store.close_intent(closed.id).unwrap();
            }
            3 if !model.is_empty() => {
                let closed = model.remove(random.usize(..model.len()));
                let request = append(closed.stream, Expected::Any, vec![event(next)]);
                store.append(Append { intent: Some(closed.id), ..request }).unwrap();
            }
            _ => assert_eq!(store.open_intents().unwrap(), model, "step {step}"),
        }
        next += 1;
    }
}
