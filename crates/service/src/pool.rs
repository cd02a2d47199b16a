//! Threads that run what blocks.
//!
//! Commands wait for disks and programs, and a store shares one flush between those that wait for
//! it together, so each command has a thread while it runs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Something to run.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Some threads with one queue.
pub(crate) struct Pool {
    queue: Mutex<Option<SyncSender<Job>>>,
    /// Jobs that wait or run.
    n_jobs: Arc<AtomicUsize>,
    n_threads: usize,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Pool {
    /// `n_threads` threads, with room for `waiting` jobs beside those that run.
    ///
    /// Errors: the machine gives no thread.
    pub(crate) fn new(name: &str, n_threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting.max(1));
        let jobs: Arc<Mutex<Receiver<Job>>> = Arc::new(Mutex::new(jobs));
        let (n_jobs, n_threads) = (Arc::<AtomicUsize>::default(), n_threads.max(1));
        let mut threads = Vec::new();
        for n in 0..n_threads {
            let (jobs, n_jobs) = (jobs.clone(), n_jobs.clone());
            let builder = thread::Builder::new().name(format!("{name}-{n}"));
            threads.push(builder.spawn(move || work(&jobs, &n_jobs))?);
        }
        let (queue, threads) = (Mutex::new(Some(queue)), Mutex::new(threads));
        Ok(Self { queue, n_jobs, n_threads, threads })
    }

    /// Whether a job that came now would have a thread at once.
    pub(crate) fn has_room(&self) -> bool {
        self.n_jobs.load(Ordering::Relaxed) < self.n_threads
    }

    /// Queues a job.
    ///
    /// Errors: the job, as there is no room, or the pool is closed.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            None => Err(job),
            Some(queue) => {
                self.n_jobs.fetch_add(1, Ordering::Relaxed);
                queue.try_send(job).map_err(|error| {
                    self.n_jobs.fetch_sub(1, Ordering::Relaxed);
                    match error {
                        TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
                    }
                })
            }
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

/// Jobs of which one at a time may run, such as those that change one folder. They wait here, so that
/// they hold one thread of a pool between them and others have the rest.
#[derive(Default)]
pub(crate) struct Lane(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Whether a thread has the lane, or will.
    is_taken: bool,
}

impl Lane {
    /// Queues a job; how many wait is the business of whoever calls this.
    ///
    /// Errors: the job, as the pool has no room or is closed.
    pub(crate) fn submit(self: &Arc<Self>, pool: &Arc<Pool>, job: Job) -> Result<(), Job> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_taken {
            let (lane, of) = (self.clone(), pool.clone());
            if pool.submit(Box::new(move || lane.run(&of))).is_err() {
                return Err(job);
            }
            waiting.is_taken = true;
        }
        waiting.jobs.push_back(job);
        Ok(())
    }

    /// Runs the first job, and lets others have the thread before the next one.
    fn run(self: &Arc<Self>, pool: &Arc<Pool>) {
        loop {
            let next = {
                let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let next = waiting.jobs.pop_front();
                waiting.is_taken = next.is_some();
                next
            };
            let Some(job) = next else { return };
            run(job);
            let (lane, of) = (self.clone(), pool.clone());
            if pool.submit(Box::new(move || lane.run(&of))).is_ok() {
                return;
            }
            // The pool is full, or takes nothing more: what was taken comes to its end here.
        }
    }
}

/// Runs a job. Whoever waits for it hears of it by what the job drops; the thread lives on.
fn run(job: Job) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
        tracing::error!("a handler panicked");
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, n_jobs: &AtomicUsize) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        run(job);
        n_jobs.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lane_has_one_thread_and_all_its_jobs_are_run() {
        let pool = Arc::new(Pool::new("test", 2, 4).expect("threads"));
        let lane = Arc::new(Lane::default());
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (tell, told) = channel();
        for n in 0..50 {
            let (inside, most, tell) = (inside.clone(), most.clone(), tell.clone());
            let job: Job = Box::new(move || {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
                inside.fetch_sub(1, Ordering::SeqCst);
                tell.send(n).expect("somebody listens");
                assert!(n != 3, "a job that panics is not the last");
            });
            assert!(lane.submit(&pool, job).is_ok());
        }
        // Others have a thread meanwhile.
        let (other, heard) = channel();
        assert!(pool.submit(Box::new(move || other.send(()).expect("it waits"))).is_ok());
        heard.recv_timeout(Duration::from_millis(80)).expect("before the lane is empty");
        pool.close();
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert!(lane.submit(&pool, Box::new(|| {})).is_err());
    }
}
