//! Whom a leader waits for. That it waits shows in the queue: somebody leads while somebody's request
//! is still in there, which is one step where nobody is waited for. Patience is short, so what needs
//! others to come in time is tried until they did.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, scope, sleep, spawn, yield_now};

use super::*;

/// A group, and the numbers that were written together.
#[derive(Default)]
struct Desk {
    group: Group,
    written: Mutex<Vec<Vec<u64>>>,
}

/// Where a write waits for the test.
#[derive(Clone)]
struct Gate(Sender<()>, Arc<Mutex<Receiver<()>>>);

impl Gate {
    fn new() -> Self {
        let (open, opened) = channel();
        Self(open, Arc::new(Mutex::new(opened)))
    }

    fn open(&self) {
        self.0.send(()).unwrap();
    }

    fn pass(&self) {
        locked(&self.1).recv_timeout(LONG).expect("somebody opens it");
    }
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

impl Desk {
    /// Has a number written; `writing` is what that takes where this one leads.
    fn submit(&self, number: u64, writing: impl Fn()) {
        let write = |jobs: &[Job]| {
            writing();
            let number = |job: &Job| match job {
                Job::Published(numbers) => numbers[0],
                _ => panic!("nobody asked for it"),
            };
            let mut numbers: Vec<u64> = jobs.iter().map(number).collect();
            numbers.sort_unstable();
            locked(&self.written).push(numbers);
            jobs.iter().map(|_| Ok(None)).collect()
        };
        assert!(matches!(self.group.submit(Job::Published(vec![number]), &write), Ok(None)));
    }

    /// Whether the queue is seen to be so before `is_over`.
    fn sees(&self, is_over: &AtomicBool, is_so: impl Fn(&Queue) -> bool) -> bool {
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            if is_so(&locked(&self.group.queue)) {
                return true;
            }
            if was_over {
                return false;
            }
            yield_now();
        }
    }

    fn wait_until(&self, is_so: impl Fn(&Queue) -> bool) {
        let since = Instant::now();
        while !is_so(&locked(&self.group.queue)) {
            assert!(since.elapsed() < LONG, "it takes too long");
            yield_now();
        }
    }

    /// Writes 0 alone, and then 1 and 2 together, for as long as others may be waited for
    /// afterwards. `meanwhile` happens before these are written.
    fn write_two<'s>(&'s self, scope: &'s Scope<'s, '_>, meanwhile: impl FnOnce()) {
        let (first, second) = (Gate::new(), Gate::new());
        let gate = first.clone();
        scope.spawn(move || self.submit(0, || gate.pass()));
        self.wait_until(|queue| queue.is_led);
        for number in [1, 2] {
            let gate = second.clone();
            scope.spawn(move || self.submit(number, || gate.pass()));
        }
        self.wait_until(|queue| queue.waiting.len() == 2);
        first.open();
        self.wait_until(|queue| queue.is_led && queue.waiting.is_empty());
        meanwhile();
        sleep(LONGEST_WAIT);
        second.open();
    }

    /// What was written after 1 and 2.
    fn written_then(&self) -> Vec<Vec<u64>> {
        let mut written = locked(&self.written).clone();
        assert_eq!(written[..2], [vec![0], vec![1, 2]]);
        written.split_off(2)
    }
}

/// Whether it goes so at least once.
fn sometime(goes_so: impl Fn() -> bool) -> bool {
    (0..300).any(|_| goes_so())
}

#[test]
fn those_who_were_there_lately_are_waited_for() {
    assert!(sometime(|| {
        let (desk, is_over) = (Desk::default(), AtomicBool::new(false));
        scope(|scope| {
            desk.write_two(scope, || {});
            desk.wait_until(|queue| queue.active == 2 && !queue.is_led);
            scope.spawn(|| {
                desk.submit(3, || {});
                is_over.store(true, Ordering::Release);
            });
            if desk.sees(&is_over, |queue| queue.is_led && queue.waiting.len() == 1) {
                desk.submit(4, || {});
            }
        });
        desk.written_then() == [[3, 4]]
    }));
}

#[test]
fn those_who_are_announced_are_waited_for() {
    assert!(sometime(|| {
        let (desk, is_over) = (Desk::default(), AtomicBool::new(false));
        let announced = desk.group.announce();
        scope(|scope| {
            // More are there while it is written than come afterwards.
            desk.write_two(scope, || {
                for number in [3, 4] {
                    let (desk, is_over) = (&desk, &is_over);
                    scope.spawn(move || {
                        desk.submit(number, || {});
                        is_over.store(true, Ordering::Release);
                    });
                }
                desk.wait_until(|queue| queue.waiting.len() == 2);
            });
            let waits =
                |queue: &Queue| queue.active == 4 && queue.is_led && queue.waiting.len() == 2;
            if desk.sees(&is_over, waits) {
                // Nobody who is not announced is waited for so long.
                sleep(LONGEST_PAUSE * 3);
                drop(announced);
                desk.submit(5, || {});
            }
        });
        desk.written_then() == [[3, 4, 5]]
    }));
}

#[test]
fn nobody_is_waited_for_after_a_lone_one() {
    let (desk, is_over) = (Desk::default(), AtomicBool::new(false));
    let _announced = desk.group.announce();
    let was_held_up = scope(|scope| {
        scope.spawn(|| {
            for number in 0..50 {
                desk.submit(number, || sleep(Duration::from_millis(4)));
            }
            is_over.store(true, Ordering::Release);
        });
        desk.sees(&is_over, |queue| queue.is_led && !queue.waiting.is_empty())
    });
    assert!(!was_held_up);
    assert_eq!(locked(&desk.written).len(), 50);
}

#[test]
fn those_who_do_not_come_hold_nobody_up_for_long() {
    let desk = Arc::new(Desk::default());
    let _announced = desk.group.announce();
    scope(|scope| desk.write_two(scope, || {}));
    let (tell, told) = channel();
    let other = desk.clone();
    spawn(move || {
        other.submit(3, || {});
        tell.send(()).unwrap();
    });
    told.recv_timeout(LONG).expect("neither who wrote before nor who is announced comes");
    assert_eq!(desk.written_then(), [[3]]);
}
