//! Group commit: who waits together is written together.
//!
//! There is no thread that writes. A caller puts its request into the queue; if nobody leads, it
//! leads: it takes what waits, writes it in one transaction and answers everybody. So a lone caller
//! pays for its own flush and nothing else, and while one flush is under way the requests of the
//! next gather. After a group of several a leader gives those that were just answered a moment to
//! come back, a fraction of what the flush took, and those who announced that they are going to
//! append, too; a lone caller is never held up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
/// The longest that a leader waits for those who wrote with it the last time.
const LONGEST_WAIT: Duration = Duration::from_millis(1);
/// The same for those who are announced, and no longer than the last group took.
const LONGEST_WAIT_ANNOUNCED: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(crate) struct Group {
    queue: Mutex<Queue>,
    /// Says that answers are there, or that nobody leads.
    answered: Condvar,
    /// Says a waiting leader that one more has come.
    joined: Condvar,
    /// Who said that they are going to append, and have not yet.
    announced: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Ticket>>,
    is_led: bool,
    /// How many the last group had, and how long it took.
    last: usize,
    took: Duration,
}

struct Ticket {
    size: usize,
    job: Mutex<Option<Job>>,
    answer: Mutex<Option<Answer>>,
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
        let ticket = Arc::new(Ticket {
            size: job.size(),
            job: Mutex::new(Some(job)),
            answer: Mutex::default(),
        });
        let mut queue = locked(&self.queue);
        queue.waiting.push_back(Arc::clone(&ticket));
        // Waking nobody is a call of the system all the same.
        if queue.is_led {
            self.joined.notify_one();
        }
        loop {
            if let Some(answer) = locked(&ticket.answer).take() {
                return answer;
            }
            queue = match queue.is_led {
                true => self.answered.wait(queue).unwrap_or_else(PoisonError::into_inner),
                false => self.lead(queue, write),
            };
        }
    }

    fn lead<'g>(
        &'g self,
        mut queue: MutexGuard<'g, Queue>,
        write: &dyn Fn(&[Job]) -> Vec<Answer>,
    ) -> MutexGuard<'g, Queue> {
        queue.is_led = true;
        let mut queue = self.gather(queue);
        let mut lead = Lead { group: self, tickets: queue.take(), answers: Vec::new(), took: None };
        drop(queue);
        let jobs: Vec<Job> =
            lead.tickets.iter().filter_map(|ticket| locked(&ticket.job).take()).collect();
        let start = Instant::now();
        lead.answers = write(&jobs);
        lead.took = Some(start.elapsed());
        drop(lead);
        locked(&self.queue)
    }

    /// Waits for those of the last group, if it had several, and for those who are announced.
    fn gather<'g>(&'g self, queue: MutexGuard<'g, Queue>) -> MutexGuard<'g, Queue> {
        let wanted = queue.last.min(MOST_JOBS);
        if wanted < 2 {
            return queue;
        }
        let took = queue.took;
        let patience = (took / 4).min(LONGEST_WAIT);
        let few = |queue: &mut Queue| queue.waiting.len() < wanted;
        let waited = self.joined.wait_timeout_while(queue, patience, few);
        let queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        let patience = took.min(LONGEST_WAIT_ANNOUNCED);
        // Nobody tells that an announced one is not coming, so at most that time is lost.
        let more = |queue: &mut Queue| {
            queue.waiting.len() < MOST_JOBS && self.announced.load(Ordering::Relaxed) > 0
        };
        let waited = self.joined.wait_timeout_while(queue, patience, more);
        waited.unwrap_or_else(PoisonError::into_inner).0
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
        queue.is_led = false;
        queue.last = self.tickets.len();
        queue.took = self.took.unwrap_or_default();
        let mut answers = self.answers.drain(..);
        for ticket in &self.tickets {
            let answer = answers.next().unwrap_or_else(|| {
                Err(StoreError::Unavailable {
                    problem: "the writer of the event store failed".into(),
                    hint: Some(
                        "whether it was stored is not known; asking again is harmless".into(),
                    ),
                })
            });
            *locked(&ticket.answer) = Some(answer);
        }
        // Everybody else waits for an answer or to lead.
        if self.tickets.len() > 1 || !queue.waiting.is_empty() {
            self.group.answered.notify_all();
        }
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
