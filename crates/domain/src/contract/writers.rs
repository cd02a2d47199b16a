//! Several writers at once.

use std::ops::ControlFlow;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::samples::{all, append, event, events, numbers, put, stream};
use crate::{EventStore, Expected, StoreError};

const N_WRITERS: u128 = 8;

/// Of writers that expect the same version one succeeds, the others get a conflict.
pub fn lets_one_writer_win<S: EventStore>(open: &dyn Fn() -> S) {
    let handles: Vec<S> = (0..N_WRITERS).map(|_| open()).collect();
    let start = Barrier::new(handles.len());
    let n_won = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (writer, store) in (1..).zip(&handles) {
            let (start, n_won) = (&start, &n_won);
            scope.spawn(move || {
                start.wait();
                for n in 0..25 {
                    let version = store.version(&stream(1)).unwrap();
                    let request =
                        append(stream(1), Expected::Version(version), events([writer * 1_000 + n]));
                    match store.append(request) {
                        Ok(appended) => {
                            assert_eq!(appended.version, version + 1);
                            n_won.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(StoreError::Conflict { expected, found, .. }) => {
                            assert_eq!(expected, version);
                            assert!(found > version, "lost against {found}");
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let store = open();
    let n_won = n_won.into_inner();
    assert_eq!(store.version(&stream(1)).unwrap(), n_won);
    let versions: Vec<u64> = all(&store).iter().map(|kept| kept.version).collect();
    assert_eq!(versions, (1..=n_won).collect::<Vec<_>>());
}

/// The same request from several at once is stored once, and all are told where.
pub fn stores_a_race_of_repeats_once<S: EventStore>(open: &dyn Fn() -> S) {
    let handles: Vec<S> = (0..N_WRITERS).map(|_| open()).collect();
    let start = Barrier::new(handles.len());
    for round in 1..=10 {
        let first = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let racers: Vec<_> = handles
                .iter()
                .map(|store| {
                    let (start, first) = (&start, &first);
                    scope.spawn(move || {
                        let request = append(
                            stream(round),
                            Expected::Version(0),
                            events([round * 10, round * 10 + 1]),
                        );
                        start.wait();
                        let appended = store.append(request).unwrap();
                        first.fetch_add(u64::from(!appended.is_repeated), Ordering::Relaxed);
                        (appended.version, appended.position)
                    })
                })
                .collect();
            let answers: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        });
        assert_eq!(first.into_inner(), 1);
    }
    assert_eq!(all(&open()).len(), 20);
}

/// Who reads by position while others write sees everything once and in order: no event turns up
/// behind a position that was read.
pub fn hides_no_event_from_readers<S: EventStore>(open: &dyn Fn() -> S) {
    let (handles, reader) = ([open(), open()], open());
    let is_done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6_u128)
            .map(|writer| {
                let store = &handles[usize::try_from(writer % 2).unwrap()];
                scope.spawn(move || {
                    for n in 0..40 {
                        let first = writer * 1_000 + n * 3 + 1;
                        put(store, writer, first..first + 1 + n % 3);
                    }
                })
            })
            .collect();
        let reading = scope.spawn(|| {
            let (mut seen, mut position) = (Vec::new(), 0);
            loop {
                let was_done = is_done.load(Ordering::Acquire);
                let before = seen.len();
                let read = reader.read_all(position, &mut |record| {
                    assert!(record.position > position, "{} after {position}", record.position);
                    position = record.position;
                    seen.push(record.id.as_u128());
                    Ok(ControlFlow::Continue(()))
                });
                read.unwrap();
                if was_done && seen.len() == before {
                    return seen;
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        is_done.store(true, Ordering::Release);
        reading.join().unwrap()
    });
    assert_eq!(seen, numbers(|visit| reader.read_all(0, visit)));
    assert_eq!(seen.len(), 6 * 79);
    for writer in 0..6 {
        let own: Vec<u128> = seen.iter().copied().filter(|n| (n - 1) / 1_000 == writer).collect();
        assert!(own.is_sorted(), "writer {writer}: {own:?}");
    }
}

/// A subscription and an outbox lose nothing while several write.
pub fn follows_while_others_write<S: EventStore>(open: &dyn Fn() -> S) {
    let (one, two) = (open(), open());
    std::thread::scope(|scope| {
        for (writer, store) in [(1, &one), (2, &two), (3, &one)] {
            scope.spawn(move || {
                for n in 0..50 {
                    let request = append(
                        stream(writer),
                        Expected::Version(n),
                        vec![event(writer * 100 + u128::from(n))],
                    );
                    store.append(request).unwrap();
                }
            });
        }
        let mut subscription = one.subscribe(0).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 150 {
            let n_visited = subscription.next(Duration::from_secs(20), &mut |record| {
                seen.push(record.position);
                Ok(ControlFlow::Continue(()))
            });
            assert!(n_visited.unwrap() > 0, "nothing came after {} events", seen.len());
        }
        assert!(seen.is_sorted_by(|a, b| a < b));
        let mut n_published = 0;
        while n_published < 150 {
            let waiting = two.outgoing(7).unwrap();
            let positions: Vec<u64> = waiting.iter().map(|event| event.position).collect();
            two.published(&positions).unwrap();
            n_published += positions.len();
        }
        assert!(one.outgoing(9).unwrap().is_empty());
    });
}
