//! The same work on many files, on several threads.
//!
//! Answers in the order of the input. A panic in one piece of work is that piece's answer and
//! stops nothing else. Threads are started for the one call: a run has one or two of them, and
//! plain threads are the only ones whose stack can be sized for deeply nested code without a pool
//! that outlives it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cim_nix_base::Error;

/// How many indices a worker claims at once. Small, since one file of a run can be a thousand times
/// as large as the others; larger than one, so that workers do not fight for the counter.
const CLAIM: usize = 8;

/// How many threads to work on, and how deep each may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workers {
    /// Number of threads; no more are started than there is work for.
    pub threads: NonZeroUsize,
    /// Stack of each thread in bytes. Pages that are never touched cost nothing.
    pub stack_size: usize,
}

/// A piece of work panicked, with this message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panicked(pub String);

/// Calls `work` for each of `0..len` and answers in that order.
///
/// Every thread makes one `S` with `new_scratch` and hands it to each call, so that buffers are
/// reused; after a panic it makes another. Panics are caught only where they unwind, and still
/// reach the panic hook.
///
/// Errors: no thread could be started. If some could, those do all the work.
pub fn for_each<S, T: Send>(
    workers: Workers,
    len: usize,
    new_scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Result<Vec<Result<T, Panicked>>, Error> {
    let next = AtomicUsize::new(0);
    let run = || run_worker(&next, len, &new_scratch, &work);
    let threads = workers.threads.get().min(len.div_ceil(CLAIM));
    let mut done = Vec::with_capacity(len);
    thread::scope(|scope| {
        let mut started = Vec::with_capacity(threads);
        for _ in 0..threads {
            let builder = thread::Builder::new().stack_size(workers.stack_size);
            match builder.spawn_scoped(scope, run) {
                Ok(thread) => started.push(thread),
                Err(error) if started.is_empty() => {
                    return Err(Error::outside("cannot start a worker thread").because(error));
                }
                Err(_) => break,
            }
        }
        for thread in started {
            // Only `new_scratch` can panic past the guard around `work`.
            done.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        Ok(())
    })?;
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, answer)| answer).collect())
}

fn run_worker<S, T>(
    next: &AtomicUsize,
    len: usize,
    new_scratch: impl Fn() -> S,
    work: impl Fn(&mut S, usize) -> T,
) -> Vec<(usize, Result<T, Panicked>)> {
    let mut scratch = new_scratch();
    let mut done = Vec::new();
    loop {
        let start = next.fetch_add(CLAIM, Ordering::Relaxed);
        if start >= len {
            return done;
        }
        for at in start..len.min(start + CLAIM) {
            // A scratch that saw a panic is thrown away, so no broken state is ever looked at.
            let answer = catch_unwind(AssertUnwindSafe(|| work(&mut scratch, at)));
            let answer = answer.map_err(|panic| {
                scratch = new_scratch();
                Panicked(message(&*panic))
            });
            done.push((at, answer));
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(threads: usize) -> Workers {
        Workers { threads: NonZeroUsize::MIN.saturating_add(threads - 1), stack_size: 1 << 20 }
    }

    #[test]
    fn answers_in_order() {
        for (threads, len) in [(1, 0), (1, 1), (3, 7), (3, 1_000), (64, 20)] {
            let squares = for_each(workers(threads), len, || (), |(), at| at * at);
            let want: Vec<_> = (0..len).map(|at| Ok(at * at)).collect();
            assert_eq!(squares.expect("threads start"), want, "{threads} threads, {len} pieces");
        }
    }

    #[test]
    fn a_panic_is_one_answer() {
        let work = |seen: &mut Vec<usize>, at: usize| {
            seen.push(at);
            assert!(at % 5 != 3, "piece {at} is bad");
            // Whatever the scratch holds was seen since the last panic.
            assert!(!seen.iter().any(|at| at % 5 == 3), "stale scratch");
            at
        };
        let answers = for_each(workers(2), 100, Vec::new, work).expect("threads start");
        for (at, answer) in answers.into_iter().enumerate() {
            let want =
                if at % 5 == 3 { Err(Panicked(format!("piece {at} is bad"))) } else { Ok(at) };
            assert_eq!(answer, want);
        }
    }

    #[test]
    fn stack_is_as_large_as_asked() {
        fn deep(n: u64) -> u64 {
            let pad = std::hint::black_box([n; 16]);
            if n == 0 { 0 } else { deep(n - 1) + pad[0] - pad[15] + 1 }
        }
        let workers = Workers { stack_size: 256 << 20, ..workers(1) };
        let answers = for_each(workers, 1, || (), |(), _| deep(200_000)).expect("thread starts");
        assert_eq!(answers, [Ok(200_000)]);
    }
}
