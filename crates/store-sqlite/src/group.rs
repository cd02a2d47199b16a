//! Group commit: who waits together is written together.
//!
//! There is no thread that writes. A caller puts its request into the queue; if nobody leads, it
//! leads: it takes what waits, writes it in one transaction and answers everybody. So a lone caller
//! pays for its own flush and nothing else, and while one flush is under way the requests of the
//! next gather. Where several were there lately, a leader waits for them as long as more keep coming,
//! and for those who announced that they are going to append; at most twice as long as the last group
//! took. Whoever keeps coming keeps the processors busy meanwhile. A lone caller is not held up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use cim_domain_nix::{Announced, Append, Appended, Intent, Snapshot, StoreError, StreamId, Uuid};
use cim_nix_base::ContentHash;

/// What the writer is asked for.
pub(crate) enum Job {
    Append(Append),
    OpenIntent(Intent, Vec<(ContentHash, Vec<u8>)>),
    CloseIntent(Uuid),
    SaveSnapshot(StreamId, Snapshot),
    Published(Vec<u64>),
}

/// What it answers; the appended events where that was asked for.
pub(crate) type Answer = Result<Option<Appended>, StoreError>;

/// Requests in one transaction at most, and their bytes.
const MOST_JOBS: usize = 1_024;
const MOST_BYTES: usize = 16 << 20;
/// The longest that a leader waits for others.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// The same while none comes.
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(crate) struct Group {
    queue: Mutex<Queue>,
    /// Says a leader that gathers that all are there.
    gathered: Condvar,
    /// Who said that they are going to append, and have not yet.
    announced: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Ticket>>,
    /// Whether somebody leads, or was told to.
    is_led: bool,
    /// Whether a leader waits for others.
    is_gathering: bool,
    /// How many were there at once lately, in a group or waiting for the next one.
    active: usize,
    /// How long the last group took.
    took: Duration,
}

struct Ticket {
    size: usize,
    job: Mutex<Option<Job>>,
    told: Mutex<Option<Told>>,
    /// Who waits. Each is woken alone: all at once would stand in line for one lock.
    thread: Thread,
}

/// What somebody who waits is told.
enum Told {
    /// What came of it.
    Answer(Answer),
    /// To lead the next group, in which it is the first.
    Lead,
}

impl Ticket {
    fn new(job: Job) -> Self {
        Self {
            size: job.size(),
            job: Mutex::new(Some(job)),
            told: Mutex::default(),
            thread: thread::current(),
        }
    }

    fn tell(&self, told: Told) {
        *locked(&self.told) = Some(told);
        self.thread.unpark();
    }

    fn wait(&self) -> Told {
        loop {
            if let Some(told) = locked(&self.told).take() {
                return told;
            }
            thread::park();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under these locks is one step, so a panic leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    pub(crate) fn announce(&self) -> Announced {
        Announced::counted(&self.announced)
    }

    /// Has `job` written, by `write` or by whoever leads.
    pub(crate) fn submit(&self, job: Job, write: &dyn Fn(&[Job]) -> Vec<Answer>) -> Answer {
        let ticket = Arc::new(Ticket::new(job));
        let mut queue = locked(&self.queue);
        queue.waiting.push_back(Arc::clone(&ticket));
        if queue.is_led {
            // Waking nobody is a call of the system all the same.
            if queue.is_gathering && self.is_gathered(&queue) {
                self.gathered.notify_one();
            }
            drop(queue);
            match ticket.wait() {
                Told::Answer(answer) => return answer,
                Told::Lead => queue = locked(&self.queue),
            }
        }
        // Who leads is the first who waits: nobody else waits where nobody leads, and who is told
        // to lead is taken from the front.
        self.lead(queue, write);
        match ticket.wait() {
            Told::Answer(answer) => answer,
            Told::Lead => Err(failed()),
        }
    }

    fn lead<'g>(&'g self, mut queue: MutexGuard<'g, Queue>, write: &dyn Fn(&[Job]) -> Vec<Answer>) {
        queue.is_led = true;
        let mut queue = self.gather(queue);
        let mut lead = Lead { group: self, tickets: queue.take(), answers: Vec::new(), took: None };
        drop(queue);
        let jobs: Vec<Job> =
            lead.tickets.iter().filter_map(|ticket| locked(&ticket.job).take()).collect();
        let start = Instant::now();
        lead.answers = write(&jobs);
        lead.took = Some(start.elapsed());
    }

    /// Waits for those who were there lately, as long as some come, and for those who are announced.
    fn gather<'g>(&'g self, mut queue: MutexGuard<'g, Queue>) -> MutexGuard<'g, Queue> {
        let took = queue.took;
        let deadline = Instant::now() + (took * 2).min(LONGEST_WAIT);
        let pause = (took / 4).min(LONGEST_PAUSE);
        queue.is_gathering = true;
        while queue.active > 1 && !self.is_gathered(&queue) {
            let n_before = queue.waiting.len();
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.gathered.wait_timeout(queue, pause.min(left));
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            // Nobody tells that an announced one is not coming, so at most the whole time is lost.
            let may_come = queue.waiting.len() > n_before || self.n_announced() > 0;
            if !may_come || Instant::now() >= deadline {
                break;
            }
        }
        queue.is_gathering = false;
        queue
    }

    /// Whether nobody else is to be expected.
    fn is_gathered(&self, queue: &Queue) -> bool {
        let n_waiting = queue.waiting.len();
        n_waiting >= MOST_JOBS || n_waiting >= queue.active && self.n_announced() == 0
    }

    fn n_announced(&self) -> usize {
        self.announced.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// The next group, at least one.
    fn take(&mut self) -> Vec<Arc<Ticket>> {
        let mut bytes = 0;
        let n_taken = self.waiting.iter().take(MOST_JOBS).take_while(|ticket| {
            let is_first = bytes == 0;
            bytes += ticket.size.max(1);
            is_first || bytes <= MOST_BYTES
        });
        let n_taken = n_taken.count();
        self.waiting.drain(..n_taken).collect()
    }
}

/// A group that is being written. Whatever happens, its members get an answer.
struct Lead<'g> {
    group: &'g Group,
    tickets: Vec<Arc<Ticket>>,
    answers: Vec<Answer>,
    took: Option<Duration>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut queue = locked(&self.group.queue);
        let n_here = self.tickets.len() + queue.waiting.len();
        // Those who stay away are waited for a few times less each time.
        queue.active = n_here.max(queue.active - queue.active.div_ceil(8));
        queue.took = self.took.unwrap_or_default();
        let next = queue.waiting.front().cloned();
        queue.is_led = next.is_some();
        drop(queue);
        // The next group begins while this one hears what came of it.
        if let Some(next) = next {
            next.tell(Told::Lead);
        }
        let mut answers = self.answers.drain(..);
        for ticket in &self.tickets {
            ticket.tell(Told::Answer(answers.next().unwrap_or_else(|| Err(failed()))));
        }
    }
}

fn failed() -> StoreError {
    StoreError::Unavailable {
        problem: "the writer of the event store failed".into(),
        hint: Some("whether it was stored is not known; asking again is harmless".into()),
    }
}

impl Job {
    /// About how many bytes it writes.
    fn size(&self) -> usize {
        match self {
            Self::Append(append) => {
                append.events.iter().map(|event| event.body.len() + event.meta.len()).sum()
            }
            Self::OpenIntent(intent, blobs) => {
                intent.plan.len() + blobs.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
            }
            Self::SaveSnapshot(_, snapshot) => snapshot.state.len(),
            Self::CloseIntent(_) => 0,
            Self::Published(positions) => positions.len() * 8,
        }
    }
}

#[cfg(test)]
mod tests;
