//! A line that moves while a long run goes on: on a terminal only, and not before there is
//! something to wait for.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::output::thousands;

/// Most runs are over before.
const PATIENCE: Duration = Duration::from_millis(300);
const PACE: Duration = Duration::from_millis(100);

/// Counts the files that are done and shows the count.
pub(crate) struct Progress {
    counts: Arc<Counts>,
    ticker: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    done: AtomicUsize,
    total: AtomicUsize,
    /// What is counted.
    things: &'static str,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Progress {
    /// Counts files; shows something if `wanted` and if somebody can see it.
    pub(crate) fn new(wanted: bool) -> Self {
        Self::of("files", wanted)
    }

    /// The same for other things.
    pub(crate) fn of(things: &'static str, wanted: bool) -> Self {
        let counts = Arc::new(Counts { things, ..Counts::default() });
        let ticker = (wanted && io::stderr().is_terminal()).then(|| {
            let counts = Arc::clone(&counts);
            thread::Builder::new().spawn(move || tick(&counts)).ok()
        });
        Self { counts, ticker: ticker.flatten() }
    }

    /// There are `total` files.
    pub(crate) fn start(&self, total: usize) {
        self.counts.total.store(total, Ordering::Relaxed);
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        self.counts.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *self.counts.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.counts.over.notify_all();
        if let Some(ticker) = self.ticker.take() {
            // It only prints; whatever happened to it is no matter.
            let _ = ticker.join();
        }
    }
}

fn tick(counts: &Counts) {
    let mut wait = PATIENCE;
    let mut is_shown = false;
    let mut is_over = counts.is_over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*is_over {
        let waited = counts.over.wait_timeout(is_over, wait);
        is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
        if !*is_over {
            let done = thousands(counts.done.load(Ordering::Relaxed));
            let line = match counts.total.load(Ordering::Relaxed) {
                0 => format!("looking for {}", counts.things),
                total => format!("{done} of {} {}", thousands(total), counts.things),
            };
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            is_shown = true;
            wait = PACE;
        }
    }
    if is_shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}
