//! Subscriptions.

use std::ops::ControlFlow;
use std::time::Duration;

use super::samples::{put, stream};
use crate::{EventStore, Record, StoreError, Subscription, Visit};

/// Longer than any store takes, so that a test fails rather than hangs.
const LONG: Duration = Duration::from_secs(20);

/// The numbers of the next `n` events.
fn next(subscription: &mut dyn Subscription, n: usize) -> Vec<u128> {
    let mut seen = Vec::new();
    while seen.len() < n {
        let mut visit = |record: &Record<'_>| -> Visit {
            seen.push(record.id.as_u128());
            Ok(ControlFlow::Continue(()))
        };
        let n_visited = subscription.next(LONG, &mut visit).unwrap();
        assert!(n_visited > 0, "nothing came after {seen:?}");
    }
    seen
}

/// A subscription shows what is there, then what anybody appends, in order and once.
pub fn subscribes_to_all_writers<S: EventStore>(open: &dyn Fn() -> S) {
    let (store, other) = (open(), open());
    put(&store, 1, [1, 2]);
    let mut early = store.subscribe(0).unwrap();
    let mut late = store.subscribe(store.head().unwrap()).unwrap();
    assert_eq!(next(&mut *early, 2), [1, 2]);
    put(&store, 2, [3]);
    put(&other, 1, [4, 5]);
    assert_eq!(next(&mut *early, 3), [3, 4, 5]);
    assert_eq!(next(&mut *late, 3), [3, 4, 5]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 6..=40 {
                put(if n % 2 == 0 { &store } else { &other }, n, [n]);
            }
        });
        assert_eq!(next(&mut *early, 35), (6..=40).collect::<Vec<_>>());
        writer.join().unwrap();
    });
    assert_eq!(next(&mut *late, 35), (6..=40).collect::<Vec<_>>());
    assert_eq!(store.version(&stream(6)).unwrap(), 1);
}

/// An event whose visitor failed is visited again; one that stopped the reading is not.
pub fn repeats_what_a_subscriber_failed_at<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, [1, 2, 3, 4]);
    let mut subscription = store.subscribe(0).unwrap();
    let mut seen = Vec::new();
    let failed = subscription.next(LONG, &mut |record| {
        seen.push(record.version);
        match record.version {
            2 => Err(StoreError::Visitor("not now".into())),
            _ => Ok(ControlFlow::Continue(())),
        }
    });
    assert!(matches!(failed, Err(StoreError::Visitor(_))), "{failed:?}");
    let stopped = subscription.next(LONG, &mut |record| {
        seen.push(record.version);
        Ok(if record.version == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    assert_eq!(stopped.unwrap(), 2);
    assert_eq!(seen, [1, 2, 2, 3]);
    assert_eq!(next(&mut *subscription, 1), [4]);
}

/// Who waits for nothing gets nothing, in time.
pub fn waits_no_longer_than_asked<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    put(&store, 1, [1]);
    let mut subscription = store.subscribe(store.head().unwrap()).unwrap();
    let mut none = |_: &Record<'_>| -> Visit { unreachable!("nobody appends") };
    for patience in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(60)] {
        assert_eq!(subscription.next(patience, &mut none).unwrap(), 0);
    }
    put(&store, 1, [2]);
    let mut n_seen = 0;
    let visited = subscription.next(Duration::ZERO, &mut |_| {
        n_seen += 1;
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!((visited.unwrap(), n_seen), (1, 1));
    let mut ahead = store.subscribe(u64::MAX).unwrap();
    assert_eq!(ahead.next(Duration::from_millis(1), &mut none).unwrap(), 0);
}
