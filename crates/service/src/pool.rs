//! Threads that run what blocks.
//!
//! Commands wait for disks and programs, and a store shares one flush between those that wait for
//! it together, so each command has a thread while it runs.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Something to run.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Some threads with one queue.
pub(crate) struct Pool {
    queue: Mutex<Option<SyncSender<Job>>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Pool {
    /// `n_threads` threads, with room for `waiting` jobs beside those that run.
    ///
    /// Errors: the machine gives no thread.
    pub(crate) fn new(name: &str, n_threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting.max(1));
        let jobs: Arc<Mutex<Receiver<Job>>> = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::new();
        for n in 0..n_threads.max(1) {
            let jobs = jobs.clone();
            let builder = thread::Builder::new().name(format!("{name}-{n}"));
            threads.push(builder.spawn(move || work(&jobs))?);
        }
        Ok(Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads) })
    }

    /// Queues a job.
    ///
    /// Errors: the job, as there is no room, or the pool is closed.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            None => Err(job),
            Some(queue) => queue.try_send(job).map_err(|error| match error {
                TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
            }),
        }
    }

    /// Takes nothing more, and waits until all that was taken is done.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads: Vec<_> =
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for thread in threads {
            // A job that panicked was caught by the thread; there is nothing to tell.
            let _ = thread.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // Whoever waits for the job hears of it by what the job drops; the thread lives on.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        if ended.is_err() {
            tracing::error!("a handler panicked");
        }
    }
}
