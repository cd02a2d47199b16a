//! Threads that run what blocks.
//!
//! Commands wait for disks and programs, and a store shares one flush between those that wait for
//! it together, so each command has a thread while it runs. What waits for one waits in a line of its
//! tenant, and the tenants have their turns.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Something to run.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Some threads, which tenants have in turn.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    n_threads: usize,
    /// Jobs of each tenant that may wait.
    most_waiting: usize,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

struct Shared {
    lines: Mutex<Lines>,
    /// Says that a job has come, or that none will any more.
    changed: Condvar,
    /// Jobs that wait or run.
    n_jobs: AtomicUsize,
    /// Threads that one tenant may have at once.
    most_each: usize,
}

/// Who waits for a thread.
#[derive(Default)]
struct Lines {
    by_tenant: HashMap<Arc<str>, Line>,
    /// Those who have something that waits; who had a turn is last again.
    turns: VecDeque<Arc<str>>,
    is_closed: bool,
}

/// What a tenant has in a pool.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Job>,
    n_running: usize,
}

impl Lines {
    /// The next job, and whose it is, if one may begin.
    fn take(&mut self, most_each: usize) -> Option<(Arc<str>, Job)> {
        let may_begin = |tenant: &Arc<str>| {
            self.by_tenant.get(tenant).is_some_and(|line| line.n_running < most_each)
        };
        let at = self.turns.iter().position(may_begin)?;
        let tenant = self.turns.remove(at)?;
        let line = self.by_tenant.get_mut(&tenant)?;
        let job = line.waiting.pop_front()?;
        line.n_running += 1;
        if !line.waiting.is_empty() {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, job))
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing that may panic happens under this lock.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// `n_threads` threads, with room for `waiting` jobs of each tenant beside those that run. One
    /// tenant has `most_each` of the threads at most.
    ///
    /// Errors: the machine gives no thread.
    pub(crate) fn new(
        name: &str,
        n_threads: usize,
        waiting: usize,
        most_each: usize,
    ) -> std::io::Result<Self> {
        let n_threads = n_threads.max(1);
        let shared = Arc::new(Shared {
            lines: Mutex::default(),
            changed: Condvar::new(),
            n_jobs: AtomicUsize::new(0),
            most_each: most_each.max(1),
        });
        let mut threads = Vec::new();
        for n in 0..n_threads {
            let shared = shared.clone();
            let builder = thread::Builder::new().name(format!("{name}-{n}"));
            threads.push(builder.spawn(move || work(&shared))?);
        }
        Ok(Self { shared, n_threads, most_waiting: waiting.max(1), threads: Mutex::new(threads) })
    }

    /// Whether a job that came now would have a thread at once.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.n_jobs.load(Ordering::Relaxed) < self.n_threads
    }

    /// Queues a job of a tenant.
    ///
    /// Errors: the job, as there is no room, or the pool is closed.
    pub(crate) fn submit(&self, tenant: &Arc<str>, job: Job) -> Result<(), Job> {
        let mut lines = self.shared.lines();
        if lines.is_closed {
            return Err(job);
        }
        let Lines { by_tenant, turns, .. } = &mut *lines;
        let line = match by_tenant.get_mut(tenant) {
            Some(line) => line,
            None => by_tenant.entry(tenant.clone()).or_default(),
        };
        if line.waiting.len() >= self.most_waiting {
            return Err(job);
        }
        if line.waiting.is_empty() {
            turns.push_back(tenant.clone());
        }
        line.waiting.push_back(job);
        self.shared.n_jobs.fetch_add(1, Ordering::Relaxed);
        drop(lines);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Takes nothing more, and waits until all that was taken is done.
    pub(crate) fn close(&self) {
        self.shared.lines().is_closed = true;
        self.shared.changed.notify_all();
        let threads: Vec<_> =
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for thread in threads {
            // A job that panicked was caught by the thread; there is nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    /// The threads end when nothing is left to run.
    fn drop(&mut self) {
        self.shared.lines().is_closed = true;
        self.shared.changed.notify_all();
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
    pub(crate) fn submit(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        tenant: &Arc<str>,
        job: Job,
    ) -> Result<(), Job> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_taken {
            if self.ask(pool, tenant).is_err() {
                return Err(job);
            }
            waiting.is_taken = true;
        }
        waiting.jobs.push_back(job);
        Ok(())
    }

    /// Asks for a thread.
    fn ask(self: &Arc<Self>, pool: &Arc<Pool>, tenant: &Arc<str>) -> Result<(), Job> {
        let (lane, of, whose) = (self.clone(), pool.clone(), tenant.clone());
        pool.submit(tenant, Box::new(move || lane.run(&of, &whose)))
    }

    /// Runs the first job, and lets others have the thread before the next one.
    fn run(self: &Arc<Self>, pool: &Arc<Pool>, tenant: &Arc<str>) {
        loop {
            let next = {
                let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let next = waiting.jobs.pop_front();
                waiting.is_taken = next.is_some();
                next
            };
            let Some(job) = next else { return };
            run(job);
            if self.ask(pool, tenant).is_ok() {
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

fn work(shared: &Shared) {
    let mut lines = shared.lines();
    loop {
        match lines.take(shared.most_each) {
            Some((tenant, job)) => {
                drop(lines);
                run(job);
                shared.n_jobs.fetch_sub(1, Ordering::Relaxed);
                lines = shared.lines();
                if let Some(line) = lines.by_tenant.get_mut(&tenant) {
                    line.n_running -= 1;
                }
            }
            // What may not begin yet is taken by those who run jobs of the same tenant.
            None if lines.is_closed => return,
            None => lines = shared.changed.wait(lines).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    /// A pool whose jobs say when they begin, and wait until they may end.
    struct Bench {
        pool: Pool,
        begin: Sender<&'static str>,
        begun: Receiver<&'static str>,
        end: Sender<()>,
        ended: Arc<Mutex<Receiver<()>>>,
    }

    impl Bench {
        fn new(n_threads: usize, waiting: usize, most_each: usize) -> Self {
            let pool = Pool::new("test", n_threads, waiting, most_each).expect("threads");
            let ((begin, begun), (end, ended)) = (channel(), channel());
            Self { pool, begin, begun, end, ended: Arc::new(Mutex::new(ended)) }
        }

        /// A job is called by its tenant, a letter, and a number.
        fn submit(&self, name: &'static str) -> bool {
            let (begin, ended) = (self.begin.clone(), self.ended.clone());
            let job = move || {
                begin.send(name).expect("somebody listens");
                let ended = ended.lock().expect("nobody panics").recv_timeout(LONG);
                ended.expect("somebody lets it end");
            };
            self.pool.submit(&Arc::from(&name[..1]), Box::new(job)).is_ok()
        }

        /// The next job that begins.
        fn next(&self) -> &'static str {
            self.begun.recv_timeout(LONG).expect("one begins")
        }

        fn end_one(&self) {
            self.end.send(()).expect("it waits for that");
        }

        fn wait_until_there_is_room(&self) {
            let since = std::time::Instant::now();
            while !self.pool.has_room() {
                assert!(since.elapsed() < LONG, "what ended is counted still");
                thread::yield_now();
            }
        }
    }

    #[test]
    fn there_is_room_while_fewer_wait_or_run_than_there_are_threads() {
        let bench = Bench::new(2, 1, 1);
        assert!(bench.pool.has_room());
        assert!(bench.submit("a1"));
        assert_eq!(bench.next(), "a1");
        assert!(bench.pool.has_room(), "one runs, and there are two threads");
        // It waits, as its tenant may have one thread.
        assert!(bench.submit("a2"));
        assert!(!bench.pool.has_room(), "one runs and one waits");
        // What is refused is not counted.
        assert!(!bench.submit("a3"));
        bench.end_one();
        assert_eq!(bench.next(), "a2");
        bench.wait_until_there_is_room();
        bench.end_one();
        bench.pool.close();
        assert!(!bench.submit("a4"));
        assert!(bench.pool.has_room());
        assert_eq!(bench.pool.shared.n_jobs.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tenants_have_threads_in_turn() {
        let bench = Bench::new(1, 8, 1);
        assert!(bench.submit("a1"));
        assert_eq!(bench.next(), "a1");
        for name in ["a2", "a3", "a4", "b1", "c1", "b2"] {
            assert!(bench.submit(name));
        }
        let mut order = Vec::new();
        for _ in 0..6 {
            bench.end_one();
            order.push(bench.next());
        }
        bench.end_one();
        assert_eq!(order, ["a2", "b1", "c1", "a3", "b2", "a4"]);
        bench.pool.close();
    }

    #[test]
    fn a_tenant_has_no_more_threads_than_it_may_and_what_waits_is_run_all_the_same() {
        let bench = Bench::new(3, 2, 2);
        for name in ["a1", "a2"] {
            assert!(bench.submit(name));
            assert_eq!(bench.next(), name);
        }
        assert!(bench.submit("a3") && bench.submit("a4"));
        // Neither its line nor its threads are those of others.
        assert!(!bench.submit("a5"), "as many wait as may");
        assert!(bench.submit("b1"));
        assert_eq!(bench.next(), "b1", "the third thread was free");
        thread::scope(|scope| {
            scope.spawn(|| bench.pool.close());
            for _ in 0..5 {
                bench.end_one();
            }
        });
        let mut then: Vec<&str> = bench.begun.try_iter().collect();
        then.sort_unstable();
        assert_eq!(then, ["a3", "a4"]);
    }

    #[test]
    fn a_lane_has_one_thread_and_all_its_jobs_are_run() {
        let pool = Arc::new(Pool::new("test", 2, 4, 2).expect("threads"));
        let tenant: Arc<str> = "a".into();
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
            assert!(lane.submit(&pool, &tenant, job).is_ok());
        }
        // Others have a thread meanwhile.
        let (other, heard) = channel();
        let job = Box::new(move || other.send(()).expect("it waits"));
        assert!(pool.submit(&tenant, job).is_ok());
        heard.recv_timeout(Duration::from_millis(80)).expect("before the lane is empty");
        pool.close();
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert!(lane.submit(&pool, &tenant, Box::new(|| {})).is_err());
    }
}
