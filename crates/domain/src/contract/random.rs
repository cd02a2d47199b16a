//! Random operations, against a list.

use std::collections::BTreeSet;

use super::samples::{Kept, append, event, kept, seeded, stream};
use crate::{EventStore, Expected, Snapshot, StoreError};

/// What a store should hold.
#[derive(Default)]
struct Model {
    events: Vec<Kept>,
    published: BTreeSet<usize>,
    snapshots: Vec<(u128, u64)>,
}

impl Model {
    fn of(&self, n: u128) -> Vec<Kept> {
        self.events.iter().filter(|kept| kept.stream == stream(n)).cloned().collect()
    }

    fn version(&self, n: u128) -> u64 {
        self.of(n).len() as u64
    }

    fn snapshot(&self, n: u128) -> Option<u64> {
        let of = self.snapshots.iter().filter(|(of, _)| *of == n);
        of.map(|(_, version)| *version).max()
    }
}

const N_STREAMS: u128 = 4;

/// A thousand random operations leave what they leave in a list, asked through several handles.
pub fn agrees_with_a_list<S: EventStore>(open: &dyn Fn() -> S) {
    let mut random = seeded();
    let mut handles = [open(), open()];
    let mut model = Model::default();
    for step in 0..1_000 {
        if random.u8(..) < 4 {
            let at = random.usize(..handles.len());
            handles[at] = open();
        }
        let store = &handles[random.usize(..handles.len())];
        let n = random.u128(..N_STREAMS);
        match random.u8(..10) {
            0..=3 => random_append(&mut random, store, &mut model, n),
            4 => {
                let after = random.u64(..model.version(n) + 2);
                let wanted = model.of(n).into_iter().filter(|kept| kept.version > after);
                let read = kept(|visit| store.read_stream(&stream(n), after, visit));
                assert!(read.into_iter().eq(wanted), "stream {n} after {after} in step {step}");
            }
            5 => {
                let split = random.usize(..=model.events.len());
                let at = split.checked_sub(1).map_or(0, |last| model.events[last].position);
                let read = kept(|visit| store.read_all(at, visit));
                assert_eq!(read, model.events[split..], "after {at} in step {step}");
                let mut back = kept(|visit| store.read_back(Some(at + 1), visit));
                back.reverse();
                assert_eq!(back, model.events[..split], "before {at} in step {step}");
            }
            6 => random_publish(&mut random, store, &mut model),
            7 => {
                let version = random.u64(..model.version(n) + 2);
                let snapshot = Snapshot { version, schema: 1, state: "{}".to_owned() };
                match store.save_snapshot(&stream(n), &snapshot) {
                    Ok(()) => model.snapshots.push((n, version)),
                    Err(StoreError::Invalid(_)) => assert_eq!(version, 0),
                    Err(StoreError::Conflict { .. }) => assert!(version > model.version(n)),
                    Err(error) => panic!("{error} in step {step}"),
                }
            }
            8 => {
                let found = store.snapshot(&stream(n)).unwrap().map(|snapshot| snapshot.version);
                assert_eq!(found, model.snapshot(n), "step {step}");
            }
            _ => {
                assert_eq!(store.version(&stream(n)).unwrap(), model.version(n));
                let head = model.events.last().map_or(0, |kept| kept.position);
                assert_eq!(store.head().unwrap(), head);
            }
        }
    }
    let store = open();
    assert_eq!(kept(|visit| store.read_all(0, visit)), model.events);
}

/// New events, old ones and mixtures, with right and wrong expectations.
fn random_append<S: EventStore>(random: &mut fastrand::Rng, store: &S, model: &mut Model, n: u128) {
    let known = model.events.len() as u128;
    let first = match random.u8(..4) {
        0 => random.u128(1..=known + 1),
        _ => known + 1,
    };
    let events: Vec<_> = (first..first + random.u128(1..4)).map(event).collect();
    let version = model.version(n);
    let expected = match random.u8(..3) {
        0 => Expected::Any,
        1 => Expected::Version(version),
        _ => Expected::Version(random.u64(..version + 2)),
    };
    let answer = store.append(append(stream(n), expected, events.clone()));
    let stored: Vec<_> = events
        .iter()
        .map(|event| model.events.iter().find(|kept| kept.event.id == event.id).cloned())
        .collect();
    if stored.iter().any(Option::is_some) {
        let here: Option<Vec<_>> = stored.into_iter().collect();
        let is_repeat = here.as_ref().is_some_and(|here| {
            here.iter().all(|kept| kept.stream == stream(n))
                && here.windows(2).all(|pair| pair[0].version + 1 == pair[1].version)
        });
        match answer {
            Ok(appended) => {
                assert!(is_repeat && appended.is_repeated, "{appended:?}");
                let last = here.and_then(|mut here| here.pop()).expect("at least one");
                assert_eq!((appended.version, appended.position), (last.version, last.position));
            }
            Err(StoreError::Duplicate { .. }) => assert!(!is_repeat),
            Err(error) => panic!("{error}"),
        }
        return;
    }
    let fits = match expected {
        Expected::Any => true,
        Expected::Version(expected) => expected == version,
    };
    match answer {
        Ok(appended) => {
            assert!(fits && !appended.is_repeated, "{expected:?} of {version}: {appended:?}");
            assert_eq!(appended.version, version + events.len() as u64);
            let read = kept(|visit| store.read_stream(&stream(n), version, visit));
            assert!(read.iter().map(|kept| &kept.event).eq(&events));
            assert_eq!(read.last().map(|kept| kept.position), Some(appended.position));
            model.events.extend(read);
        }
        Err(StoreError::Conflict { found, .. }) => {
            assert!(!fits && found == version, "{expected:?} of {version}");
        }
        Err(error) => panic!("{error}"),
    }
}

fn random_publish<S: EventStore>(random: &mut fastrand::Rng, store: &S, model: &mut Model) {
    let waiting: Vec<usize> =
        (0..model.events.len()).filter(|at| !model.published.contains(at)).collect();
    let limit = random.usize(..6);
    let wanted = waiting.iter().take(limit).map(|at| model.events[*at].position);
    let found = store.outgoing(limit).unwrap();
    assert!(found.iter().map(|event| event.position).eq(wanted));
    let chosen: Vec<usize> = (0..model.events.len()).filter(|_| random.u8(..8) == 0).collect();
    let positions: Vec<u64> = chosen.iter().map(|at| model.events[*at].position).collect();
    store.published(&positions).unwrap();
    model.published.extend(chosen);
}
