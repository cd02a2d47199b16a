//! What is stored, what is refused, and what is asked twice.

use uuid::Uuid;

use super::samples::{all, append, event, events, kept, put, stream};
use crate::{
    Append, EventStore, Expected, Kind, MessageId, NewEvent, StoreError, StreamId, Timestamp,
};

/// Versions count from 1 without gaps, positions grow, and both are answered.
pub fn answers_where_events_stand<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    assert_eq!((store.head().unwrap(), store.version(&stream(1)).unwrap()), (0, 0));
    let first = store.append(append(stream(1), Expected::Version(0), events([1]))).unwrap();
    let other = store.append(append(stream(2), Expected::Version(0), events([2, 3]))).unwrap();
    let third = store.append(append(stream(1), Expected::Version(1), events([4, 5, 6]))).unwrap();
    assert_eq!((first.version, other.version, third.version), (1, 2, 4));
    assert!(0 < first.position && first.position < other.position);
    assert!(other.position < third.position);
    assert!(!first.is_repeated && !other.is_repeated && !third.is_repeated);
    let again = open();
    assert_eq!(again.head().unwrap(), third.position);
    assert_eq!(again.version(&stream(1)).unwrap(), 4);
    assert_eq!(again.version(&stream(3)).unwrap(), 0);
    let all = all(&again);
    let versions: Vec<_> = all.iter().map(|kept| (kept.event.id.as_u128(), kept.version)).collect();
    assert_eq!(versions, [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 4)]);
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert_eq!(all[2].position, other.position);
}

/// Who expects another version gets a conflict, and nothing is stored.
pub fn refuses_another_version<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, [1, 2]);
    let before = all(&store);
    for wrong in [0, 1, 3, u64::MAX] {
        let refused = store.append(append(stream(1), Expected::Version(wrong), events([3])));
        let Err(StoreError::Conflict { stream: of, expected, found }) = refused else {
            panic!("expected version {wrong} of 2 gave {refused:?}");
        };
        assert_eq!((of, expected, found), (stream(1), wrong, 2));
    }
    let refused = store.append(append(stream(9), Expected::Version(1), events([3])));
    assert!(matches!(refused, Err(StoreError::Conflict { found: 0, .. })), "{refused:?}");
    assert_eq!(all(&store), before);
    store.append(append(stream(1), Expected::Version(2), events([3]))).unwrap();
    store.append(append(stream(1), Expected::Any, events([4]))).unwrap();
    assert_eq!(store.version(&stream(1)).unwrap(), 4);
}

/// What could not be read again is not stored.
pub fn refuses_nonsense<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let refuse = |events: Vec<NewEvent>| {
        let refused = store.append(append(stream(1), Expected::Any, events));
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    };
    refuse(Vec::new());
    for body in ["", "{", "{} {}", "nul", "\"\u{0}\"", "[1,]", "\u{feff}{}", "{\"a\":\"\n\"}"] {
        refuse(vec![event(1), NewEvent { body: body.to_owned(), ..event(2) }]);
    }
    for meta in ["", "[]", "1", "{"] {
        refuse(vec![NewEvent { meta: meta.to_owned(), ..event(1) }]);
    }
    refuse(vec![NewEvent { event_type: String::new(), ..event(1) }]);
    refuse(vec![NewEvent { event_type: "x".repeat(201), ..event(1) }]);
    refuse(vec![NewEvent { schema: 0, ..event(1) }]);
    for id in ["", "a b", "0198f7a2-7c00-7000-8000-000000000001", "correlation:bafkreiabcdefgh"] {
        refuse(vec![NewEvent { correlation: MessageId::Cid(id.into()), ..event(1) }]);
        refuse(vec![NewEvent { causation: MessageId::Cid(id.into()), ..event(1) }]);
    }
    for kind in ["", "Flake", "a-b", "flake", "a b", "é"] {
        let stream = StreamId::new(Kind::Other(kind.into()), Uuid::from_u128(1));
        let refused = store.append(append(stream, Expected::Any, events([1])));
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{kind}: {refused:?}");
    }
    let twice = store.append(append(stream(1), Expected::Any, events([1, 2, 1])));
    assert!(matches!(twice, Err(StoreError::Duplicate { id }) if id == event(1).id), "{twice:?}");
    assert_eq!((store.head().unwrap(), all(&store)), (0, Vec::new()));
}

/// The same events again are answered as the first time, and stored once.
pub fn answers_repeats_alike<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let request = || append(stream(1), Expected::Version(0), events([1, 2, 3]));
    let first = store.append(request()).unwrap();
    put(&store, 1, [4]);
    put(&store, 2, [5]);
    let before = all(&store);
    for again in [&store, &open()] {
        let repeated = again.append(request()).unwrap();
        assert_eq!((repeated.version, repeated.position), (first.version, first.position));
        assert!(repeated.is_repeated);
    }
    // Whatever was expected of the stream: the ids say that it happened.
    for expected in [Expected::Any, Expected::Version(3), Expected::Version(4)] {
        let repeated = store.append(Append { expected, ..request() }).unwrap();
        assert_eq!((repeated.version, repeated.position), (first.version, first.position));
    }
    let part = store.append(append(stream(1), Expected::Any, events([2]))).unwrap();
    assert_eq!((part.version, part.is_repeated), (2, true));
    assert_eq!(all(&store), before);
}

/// An id is stored once: not with another content, place or company.
pub fn refuses_ids_that_are_taken<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, [1, 2, 3]);
    put(&store, 2, [4]);
    let before = all(&store);
    let refuse = |to: u128, events: Vec<NewEvent>| {
        let refused = store.append(append(stream(to), Expected::Any, events.clone()));
        let Err(StoreError::Duplicate { id }) = refused else {
            panic!("{events:?} gave {refused:?}");
        };
        assert!(events.iter().any(|event| event.id == id), "{id} is none of theirs");
    };
    // Some are new.
    refuse(1, events([3, 9]));
    refuse(1, events([9, 1]));
    refuse(1, events([1, 2, 3, 9]));
    // Another stream, another order, not next to each other.
    refuse(2, events([1]));
    refuse(9, events([1]));
    refuse(1, events([2, 1]));
    refuse(1, events([1, 3]));
    refuse(2, events([3, 4]));
    // Another content.
    refuse(1, vec![NewEvent { body: "{}".to_owned(), ..event(1) }]);
    refuse(1, vec![NewEvent { body: r#"{ "n":1}"#.to_owned(), ..event(1) }]);
    refuse(1, vec![NewEvent { meta: r#"{"a":1}"#.to_owned(), ..event(1) }]);
    refuse(1, vec![NewEvent { event_type: "FlakeGone".to_owned(), ..event(1) }]);
    refuse(1, vec![NewEvent { schema: 2, ..event(1) }]);
    refuse(1, vec![NewEvent { at: Timestamp::from_micros(0), ..event(1) }]);
    refuse(1, vec![NewEvent { causation: MessageId::Uuid(Uuid::nil()), ..event(1) }]);
    refuse(1, vec![NewEvent { correlation: MessageId::Uuid(Uuid::nil()), ..event(1) }]);
    let other_kind = StreamId::new(Kind::Package, stream(1).id);
    let refused = store.append(append(other_kind, Expected::Any, events([1])));
    assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    assert_eq!(all(&store), before);
    // The ids of refused events are free.
    put(&store, 1, [9]);
}

/// Bodies come back as the bytes that were written, whatever JSON allows.
pub fn keeps_bodies_byte_for_byte<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let every_plane: String =
        ('\u{20}'..=char::MAX).step_by(257).filter(|char| !matches!(char, '"' | '\\')).collect();
    let bodies = [
        " {\n\t\"a\" :  [ ] }\r\n ".to_owned(),
        r#"{"a":1,"a":2,"a":{}}"#.to_owned(),
        r#"[1E400,-0,0.10,123456789012345678901234567890]"#.to_owned(),
        r#"["\u0000","\ud800","\uDFFF","\u00e9","\/","é"]"#.to_owned(),
        "\"\u{feff}\u{ffff}\u{10ffff}\u{2028}\u{85}\u{7f}e\u{301}\"".to_owned(),
        format!("\"{every_plane}\""),
        "null".to_owned(),
        "\"\"".to_owned(),
    ];
    for (n, body) in (1..).zip(&bodies) {
        let meta = format!(" {{\"body\": {body}}}\n");
        let event = NewEvent { body: body.clone(), meta, ..event(n) };
        store.append(append(stream(1), Expected::Any, vec![event])).unwrap();
    }
    let back = all(&open());
    assert_eq!(back.len(), bodies.len());
    for (kept, body) in back.iter().zip(&bodies) {
        assert_eq!(kept.event.body, *body);
        assert_eq!(kept.event.meta, format!(" {{\"body\": {body}}}\n"));
    }
}

/// Neither depth nor length of a body is a matter, up to a few megabytes.
pub fn keeps_deep_and_huge_bodies<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let deep = 300_000;
    let bodies = [
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("\"{}\"", "x\u{e9}".repeat(1_500_000)),
    ];
    for (n, body) in (1..).zip(&bodies) {
        let event = NewEvent { body: body.clone(), ..event(n) };
        store.append(append(stream(1), Expected::Any, vec![event])).unwrap();
    }
    let back = all(&open());
    assert!(back.iter().map(|kept| &kept.event.body).eq(&bodies), "a body has changed");
    let body = format!("\"{}\"", "x".repeat(Append::MOST));
    let longer = NewEvent { body, ..event(3) };
    let refused = store.append(append(stream(1), Expected::Any, vec![longer]));
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
}

/// Every field comes back, with values at the ends of what its type allows.
pub fn keeps_every_field<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let kinds = Kind::KNOWN.into_iter().chain([Kind::Other("fleet_2".into())]);
    let moments = [i64::MIN, -1, 0, 1, i64::MAX];
    let cid = MessageId::Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".into());
    let mut written = Vec::new();
    for (n, kind) in (1_u128..).zip(kinds) {
        let to = StreamId::new(kind, Uuid::from_u128(u128::MAX / n));
        let event = NewEvent {
            id: Uuid::from_u128(u128::MAX - n),
            event_type: ["Ünïcode\u{0}\n", "A", "a.b c'\"%_"][n as usize % 3].to_owned(),
            schema: [1, 7, u32::MAX][n as usize % 3],
            at: Timestamp::from_micros(moments[n as usize % 5]),
            correlation: [cid.clone(), MessageId::Uuid(Uuid::nil())][n as usize % 2].clone(),
            causation: [MessageId::Uuid(Uuid::max()), cid.clone()][n as usize % 2].clone(),
            ..event(n)
        };
        store.append(append(to.clone(), Expected::Version(0), vec![event.clone()])).unwrap();
        written.push((to, event));
    }
    let again = open();
    let back = all(&again);
    assert!(back.iter().map(|kept| (kept.stream.clone(), kept.event.clone())).eq(written.clone()));
    for (to, event) in written {
        let alone = kept(|visit| again.read_stream(&to, 0, visit));
        assert_eq!((alone.len(), &alone[0].event), (1, &event));
        assert_eq!(again.version(&to).unwrap(), 1);
    }
}

/// Events stand in the order in which they were stored, even if clocks went backwards.
pub fn keeps_order_whatever_clocks_say<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    for n in 1..=5 {
        let at = Timestamp::from_micros(-(n as i64) * 1_000_000_000);
        store
            .append(append(stream(n % 2), Expected::Any, vec![NewEvent { at, ..event(n) }]))
            .unwrap();
    }
    let order: Vec<_> = all(&store).iter().map(|kept| kept.event.id.as_u128()).collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
}
