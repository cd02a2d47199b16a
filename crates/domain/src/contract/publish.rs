//! The outbox.

use super::samples::{event, put, stream};
use crate::EventStore;

/// What is stored waits until it is noted as published, in order and once.
pub fn publishes_once<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    assert!(store.outgoing(10).unwrap().is_empty());
    put(&store, 1, [1, 2, 3]);
    put(&store, 2, [4, 5]);
    let waiting = |limit| -> Vec<u128> {
        let waiting = open().outgoing(limit).unwrap();
        waiting.iter().map(|event| event.id.as_u128()).collect()
    };
    assert_eq!(waiting(10), [1, 2, 3, 4, 5]);
    assert_eq!((waiting(0), waiting(2)), (vec![], vec![1, 2]));
    let all = store.outgoing(usize::MAX).unwrap();
    let (last, sample) = (&all[4], event(5));
    assert_eq!((&last.stream, last.version, last.schema), (&stream(2), 2, 1));
    assert_eq!((&last.event_type, &last.body), (&sample.event_type, &sample.body));
    assert_eq!((&last.meta, last.at), (&sample.meta, sample.at));
    assert_eq!((&last.correlation, &last.causation), (&sample.correlation, &sample.causation));
    let at = |n: usize| all[n - 1].position;
    store.published(&[]).unwrap();
    store.published(&[at(2)]).unwrap();
    assert_eq!(waiting(10), [1, 3, 4, 5]);
    store.published(&[at(5), at(1), at(2), at(1)]).unwrap();
    assert_eq!(waiting(10), [3, 4]);
    // Nobody has these yet; noting them must not swallow what comes later.
    store.published(&[at(5) + 1, u64::MAX, 0]).unwrap();
    put(&store, 1, [6]);
    assert_eq!(waiting(10), [3, 4, 6]);
    store.published(&[at(4), at(3)]).unwrap();
    assert_eq!(waiting(1), [6]);
    let rest: Vec<u64> = store.outgoing(9).unwrap().iter().map(|event| event.position).collect();
    store.published(&rest).unwrap();
    assert!(waiting(10).is_empty());
    put(&store, 1, [7]);
    assert_eq!(waiting(10), [7]);
}
