//! What readers are shown.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::samples::{append, event, kept, numbers, put, stream};
use crate::{EventStore, Expected, MessageId, NewEvent, Record, Snapshot, StoreError, Visit};

/// Streams are read from any version on.
pub fn reads_streams<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, 1..=600);
    put(&store, 2, 1_001..=1_003);
    put(&store, 1, 601..=603);
    let read = |of, after| numbers(|visit| store.read_stream(&stream(of), after, visit));
    assert_eq!(read(1, 0), (1..=603).collect::<Vec<_>>());
    assert_eq!(read(1, 255), (256..=603).collect::<Vec<_>>());
    assert_eq!(read(1, 602), [603]);
    assert_eq!(read(2, 1), [1_002, 1_003]);
    assert!(read(2, 3).is_empty() && read(2, 4).is_empty() && read(2, u64::MAX).is_empty());
    assert!(read(3, 0).is_empty());
}

/// All events are read from any position on, in both directions.
pub fn reads_all_forward_and_back<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    assert!(numbers(|visit| store.read_back(None, visit)).is_empty());
    for n in 1..=300 {
        put(&store, n % 3, [2 * n - 1, 2 * n]);
    }
    let forward = kept(|visit| store.read_all(0, visit));
    let mut back = kept(|visit| store.read_back(None, visit));
    back.reverse();
    assert_eq!(forward, back);
    assert_eq!(forward.len(), 600);
    for split in [0_usize, 1, 255, 256, 257, 599, 600] {
        let position = split.checked_sub(1).map_or(0, |last| forward[last].position);
        assert_eq!(kept(|visit| store.read_all(position, visit)), forward[split..], "{split}");
        let mut back = kept(|visit| store.read_back(Some(position + 1), visit));
        back.reverse();
        assert_eq!(back, forward[..split], "{split}");
    }
    assert!(numbers(|visit| store.read_all(u64::MAX, visit)).is_empty());
    assert!(numbers(|visit| store.read_back(Some(0), visit)).is_empty());
    assert!(numbers(|visit| store.read_back(Some(1), visit)).is_empty());
    assert_eq!(numbers(|visit| store.read_back(Some(u64::MAX), visit)).len(), 600);
}

/// Events are found by id, by what caused them and by their conversation.
pub fn finds_by_id_and_by_cause<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let id = |n| MessageId::Uuid(Uuid::from_u128(n));
    let cid = MessageId::Cid("bafkreiabcdefgh".into());
    let message = |n, correlation: &MessageId, causation: &MessageId| {
        let (correlation, causation) = (correlation.clone(), causation.clone());
        let event = NewEvent { correlation, causation, ..event(n) };
        store.append(append(stream(n % 2), Expected::Any, vec![event])).unwrap();
    };
    message(1, &id(100), &id(100));
    message(2, &id(100), &id(1));
    message(3, &id(100), &id(1));
    message(4, &id(100), &id(2));
    message(5, &cid, &id(1));
    message(6, &cid, &cid);
    let found = kept(|visit| {
        assert!(store.find(Uuid::from_u128(3), visit)?);
        Ok(())
    });
    assert_eq!((found.len(), &found[0].event.body), (1, &event(3).body));
    assert!(!store.find(Uuid::from_u128(7), &mut |_| unreachable!("no such event")).unwrap());
    let caused = |cause: &MessageId| numbers(|visit| store.caused_by(cause, visit));
    assert_eq!(caused(&id(1)), [2, 3, 5]);
    assert_eq!((caused(&cid), caused(&id(2)), caused(&id(9))), (vec![6], vec![4], vec![]));
    let correlated = |id: &MessageId| numbers(|visit| store.correlated(id, visit));
    assert_eq!((correlated(&id(100)), correlated(&cid)), (vec![1, 2, 3, 4], vec![5, 6]));
    assert!(correlated(&id(1)).is_empty());
}

/// A visitor stops a reading, or makes it fail with its own error.
pub fn passes_on_what_visitors_say<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, 1..=10);
    let shared = MessageId::Uuid(Uuid::from_u128(1 << 64));
    let cause = MessageId::Uuid(Uuid::from_u128(2 << 64));
    for round in 0..6 {
        let read = |visit: &mut dyn FnMut(&Record<'_>) -> Visit| match round {
            0 => store.read_stream(&stream(1), 0, visit),
            1 => store.read_all(0, visit),
            2 => store.read_back(None, visit),
            3 => store.caused_by(&cause, visit),
            4 => store.correlated(&shared, visit),
            _ => store.find(event(1).id, visit).map(drop),
        };
        let most = if round == 5 { 1 } else { 3 };
        let mut n_seen = 0;
        read(&mut |_| {
            n_seen += 1;
            let is_last = n_seen == most;
            Ok(if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
        assert_eq!(n_seen, most, "round {round}");
        let failed = read(&mut |_| Err(StoreError::Visitor("no ink left".into())));
        let Err(StoreError::Visitor(error)) = failed else { panic!("round {round}: {failed:?}") };
        assert_eq!(error.to_string(), "no ink left");
        // Neither leaves anything behind.
        put(&store, 2, [100 + round]);
        assert_eq!(numbers(|visit| store.read_stream(&stream(1), 8, visit)), [9, 10]);
    }
}

/// A visitor may read and append: a reader holds nobody up, itself included.
pub fn lets_visitors_use_the_store<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, [1, 2]);
    let outer = numbers(|visit| {
        store.read_all(0, &mut |record| {
            let inner = numbers(|visit| store.read_stream(&stream(1), 0, visit));
            assert_eq!(inner, [1, 2]);
            put(&store, 2, [record.id.as_u128() + 10]);
            store.rows("none", &mut |rows| rows.get("x").map(|row| assert_eq!(row, None)))?;
            visit(record)
        })
    });
    assert_eq!(outer, [1, 2]);
    assert_eq!(numbers(|visit| store.read_all(0, visit)), [1, 2, 11, 12]);
}

/// A reading shows the moment at which it began, whatever is appended in the meantime.
pub fn shows_one_moment<S: EventStore>(open: &dyn Fn() -> S) {
    let (store, other) = (open(), open());
    put(&store, 1, 1..=1_000);
    let mut next = 1_000;
    let mut disturb = |record: &Record<'_>| {
        if record.version % 300 == 1 {
            next += 1;
            put(&other, 1, [next]);
        }
        Ok(ControlFlow::Continue(()))
    };
    type Read<'r> = &'r dyn Fn(&mut dyn FnMut(&Record<'_>) -> Visit);
    let mut count = |read: Read<'_>| {
        let mut n_seen = 0;
        read(&mut |record| {
            n_seen += 1;
            disturb(record)
        });
        n_seen
    };
    assert_eq!(count(&|visit| store.read_all(0, visit).unwrap()), 1_000);
    assert_eq!(count(&|visit| store.read_stream(&stream(1), 0, visit).unwrap()), 1_004);
    assert_eq!(count(&|visit| store.read_back(None, visit).unwrap()), 1_008);
    assert_eq!(store.version(&stream(1)).unwrap(), 1_012);
}

/// The newest snapshot of a stream is kept; one of the future is refused.
pub fn keeps_snapshots<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let snapshot = |version, state: &str| Snapshot { version, schema: 3, state: state.to_owned() };
    assert_eq!(store.snapshot(&stream(1)).unwrap(), None);
    put(&store, 1, 1..=5);
    for (version, found, of) in [(6, 5, 1), (1, 0, 2)] {
        let refused = store.save_snapshot(&stream(of), &snapshot(version, "{}"));
        let Err(StoreError::Conflict { stream: at, expected, found: has }) = refused else {
            panic!("version {version} of {found} gave {refused:?}");
        };
        assert_eq!((at, expected, has), (stream(of), version, found));
    }
    for wrong in [snapshot(0, "{}"), snapshot(1, "{"), snapshot(1, "")] {
        let refused = store.save_snapshot(&stream(1), &wrong);
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    let state = " {\"a\": \"\\u0000é\"}\n";
    store.save_snapshot(&stream(1), &snapshot(3, state)).unwrap();
    assert_eq!(open().snapshot(&stream(1)).unwrap(), Some(snapshot(3, state)));
    store.save_snapshot(&stream(1), &snapshot(5, "[5]")).unwrap();
    // Late, from somebody slower: the newer one stays.
    store.save_snapshot(&stream(1), &snapshot(4, "[4]")).unwrap();
    assert_eq!(store.snapshot(&stream(1)).unwrap(), Some(snapshot(5, "[5]")));
    store.save_snapshot(&stream(1), &Snapshot { schema: 4, ..snapshot(5, "[6]") }).unwrap();
    assert_eq!(store.snapshot(&stream(1)).unwrap().unwrap().schema, 4);
    assert_eq!(store.snapshot(&stream(2)).unwrap(), None);
}
