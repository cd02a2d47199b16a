//! Sends messages, and takes in what the server answers.
//!
//! Both happen on the store's own runtime, whoever appends: there a message is made of its letter,
//! many at a time where many append, and goes to the connection on the same thread.
//!
//! All answers come on one subscription, in the order of the stream. So whoever takes them in can
//! bring own messages into the index many at a time, before anybody who waits is woken: by then the
//! index knows what the answer means. A connection that breaks loses answers, never order.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::client::PublishError;
use async_nats::header::{
    HeaderMap, HeaderName, HeaderValue, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::jetstream;
use async_nats::message::OutboundMessage;
use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use cim_domain_nix::StoreError;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot};
use tokio::time::MissedTickBehavior;

use crate::append::Draft;
use crate::shared::Shared;
use crate::wire::{HEADER, Head, Stored, push_hex};

/// An append that was sent, as the index takes it in once its place is known.
pub(crate) struct Own {
    pub(crate) draft: Arc<Draft>,
    pub(crate) head: Head,
}

impl Own {
    pub(crate) fn at(&self, sequence: u64) -> Arc<Stored> {
        let (stream, payload) = (self.draft.append.stream.clone(), self.draft.payload.clone());
        Arc::new(Stored { sequence, stream, head: self.head, payload })
    }
}

/// A message that nobody has sent yet.
pub(crate) enum Letter {
    Append {
        own: Own,
        /// The last message on its subject.
        last: u64,
        /// What the server shall know it by, where that is not the id of its first event.
        id: Option<String>,
        /// The payload, where that is a list of parts.
        parts: Option<Bytes>,
    },
    /// A part of an append.
    Part { subject: Subject, id: String, payload: Bytes },
}

impl Letter {
    /// The message, and the append that it is.
    fn open(self, reply: Option<Subject>) -> (OutboundMessage, Option<Own>) {
        let mut headers = HeaderMap::new();
        let (subject, payload, own) = match self {
            Self::Append { own, last, id, parts } => {
                let draft = &own.draft;
                headers.insert(NATS_MESSAGE_ID, id.unwrap_or_else(|| draft.id()));
                headers.insert(HeaderName::from_static(HEADER), own.head.print());
                headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(last));
                let payload = parts.unwrap_or_else(|| draft.payload.clone());
                (draft.subject.clone(), payload, Some(own))
            }
            Self::Part { subject, id, payload } => {
                headers.insert(NATS_MESSAGE_ID, id);
                (subject, payload, None)
            }
        };
        (OutboundMessage { subject, payload, reply, headers: Some(headers) }, own)
    }
}

/// What the server answered.
pub(crate) enum Reply {
    Stored {
        sequence: u64,
        /// The position of its first event, or that it does not count; unknown while messages of
        /// others that stand before it are not taken in.
        noted: Noted,
    },
    /// The server has a message with this id, at this place.
    Known(u64),
    /// It is in another stream, that was made in the place of ours.
    Elsewhere,
    Refused(jetstream::Error),
    /// Nobody knows what became of it.
    Lost(String),
}

/// What the index made of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Noted {
    Counts(u64),
    Void,
    /// The stream is not the one that it was.
    Replaced,
    NotYet,
}

/// Somebody waits for an answer.
struct Waiter {
    since: Instant,
    own: Option<Own>,
    sender: oneshot::Sender<Reply>,
}

/// An answer, and who waited for it.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// The append that it is about.
    pub(crate) own: Option<Own>,
    sender: oneshot::Sender<Reply>,
}

/// Who waits, by the numbers of their messages: these follow each other, and answers mostly do.
#[derive(Default)]
struct Waiting {
    /// The number of the first in the queue.
    first: u64,
    waiters: VecDeque<Option<Waiter>>,
    /// The subjects of some answers, the last of them included, all of the same length.
    subjects: Bytes,
}

impl Waiting {
    /// The number that the next answer will bear, and its subject.
    fn next(&mut self, inbox: &str) -> (u64, Bytes) {
        let number = self.first + self.waiters.len() as u64;
        let place = (number % SUBJECTS) as usize;
        if place == 0 || self.subjects.is_empty() {
            self.subjects = subjects(inbox, number - number % SUBJECTS);
        }
        let length = inbox.len() + 16;
        (number, self.subjects.slice(place * length..(place + 1) * length))
    }

    fn place(&mut self, number: u64) -> Option<&mut Option<Waiter>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.waiters.get_mut(place)
    }

    fn has(&mut self, number: u64) -> bool {
        self.place(number).is_some_and(|place| place.is_some())
    }

    fn remove(&mut self, number: u64) -> Option<Waiter> {
        let waiter = self.place(number)?.take();
        self.trim();
        waiter
    }

    /// Removes those of which this is true.
    fn drop_if(&mut self, is_gone: impl Fn(&Waiter) -> bool) {
        for waiter in &mut self.waiters {
            waiter.take_if(|waiter| is_gone(waiter));
        }
        self.trim();
    }

    fn trim(&mut self) {
        while let Some(None) = self.waiters.front() {
            self.waiters.pop_front();
            self.first += 1;
        }
    }
}

pub(crate) struct Post {
    client: Client,
    /// The stream that acknowledges.
    stream: String,
    /// What the subjects of answers start with.
    inbox: String,
    in_flight: Semaphore,
    /// How long an answer may take.
    pub(crate) step: Duration,
    /// What is to be sent, by `carry`.
    letters: Mutex<VecDeque<Sealed>>,
    is_filled: Notify,
    waiting: Mutex<Waiting>,
}

/// A letter, since when it waits to be sent, and who waits for the answer.
struct Sealed {
    letter: Letter,
    since: Instant,
    sender: oneshot::Sender<Reply>,
}

/// How many subjects of answers are made at once.
const SUBJECTS: u64 = 64;

/// The subjects of answers from number `first` on.
fn subjects(inbox: &str, first: u64) -> Bytes {
    let mut out = String::with_capacity((inbox.len() + 16) * SUBJECTS as usize);
    for number in first..first + SUBJECTS {
        out.push_str(inbox);
        push_hex(&mut out, number);
    }
    out.into()
}

/// How many answers are taken in at once.
const MOST: usize = 32;

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<jetstream::Error>,
}

impl Post {
    pub(crate) fn new(client: Client, stream: String, most: usize, step: Duration) -> Self {
        let inbox = format!("{}.", client.new_inbox());
        let in_flight = Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS));
        let (letters, is_filled, waiting) = Default::default();
        Self { client, stream, inbox, in_flight, step, letters, is_filled, waiting }
    }

    /// Where answers come in; somebody has to [`listen`] there before the first message is sent.
    pub(crate) async fn answers(&self) -> Result<Subscriber, StoreError> {
        let subscribed = self.client.subscribe(format!("{}*", self.inbox)).await;
        subscribed
            .map_err(|error| crate::fault::no_answer("listen for answers", &error.to_string()))
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<Sealed>> {
        // Nothing panics while it is held.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more message may be under way.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.in_flight.acquire().await.ok()
    }

    /// Has a message sent; the answer is what is waited for.
    pub(crate) fn send<'p>(
        &'p self,
        letter: Letter,
        permit: Option<SemaphorePermit<'p>>,
    ) -> impl Future<Output = Reply> + Send + use<'p> {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut letters = self.letters();
            letters.push_back(Sealed { letter, since: Instant::now(), sender });
            letters.len() == 1
        };
        if is_first {
            self.is_filled.notify_one();
        }
        async move {
            let answer = receiver.await;
            drop(permit);
            answer.unwrap_or_else(|_| Reply::Lost("no answer in time".to_owned()))
        }
    }

    /// Some of the messages that are to be sent next, with their numbers. From here on they may be
    /// on their way.
    fn open(&self, sealed: &mut Vec<Sealed>, messages: &mut Vec<(u64, OutboundMessage)>) {
        {
            let mut letters = self.letters();
            let n_taken = letters.len().min(MOST);
            sealed.extend(letters.drain(..n_taken));
        }
        let mut waiting = self.waiting();
        for Sealed { letter, since, sender } in sealed.drain(..) {
            // Who has gone does not want it to be sent.
            if sender.is_closed() {
                continue;
            }
            let (number, reply) = waiting.next(&self.inbox);
            let (message, own) = letter.open(Subject::from_utf8(reply).ok());
            waiting.waiters.push_back(Some(Waiter { since, own, sender }));
            messages.push((number, message));
        }
    }

    /// Says that a message could not be sent.
    fn lose(&self, number: u64, error: &PublishError) {
        let waiter = self.waiting().remove(number);
        if let Some(Waiter { sender, .. }) = waiter {
            // Who waited may be gone.
            let _ = sender.send(Reply::Lost(error.to_string()));
        }
    }

    /// Lets go who has waited for long enough. One clock for all: a timer for each costs as much as
    /// making the message.
    fn give_up(&self) {
        let is_late = |waiter: &Waiter| waiter.since.elapsed() >= self.step;
        self.waiting().drop_if(is_late);
        self.letters().retain(|letter| letter.since.elapsed() < self.step);
    }

    /// Reads answers. One that nobody waits for any more is left out: what was stored is read later.
    fn sort(&self, messages: &mut Vec<Message>, answers: &mut Vec<Answered>) {
        let number = |message: &Message| {
            let digits = message.subject.strip_prefix(&*self.inbox)?;
            u64::from_str_radix(digits, 16).ok()
        };
        let mut waiting = self.waiting();
        answers.extend(messages.drain(..).filter_map(|message| {
            let Waiter { own, sender, .. } = waiting.remove(number(&message)?)?;
            Some(Answered { reply: self.read(&message), own, sender })
        }));
    }

    fn read(&self, message: &Message) -> Reply {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Reply::Lost("no stream takes its subject, or nobody leads it".to_owned());
        }
        if let Some(sequence) = stored(&message.payload, &self.stream) {
            return Reply::Stored { sequence, noted: Noted::NotYet };
        }
        match serde_json::from_slice::<Said<'_>>(&message.payload) {
            Ok(Said { error: Some(error), .. }) => Reply::Refused(error),
            Ok(Said { stream, .. }) if stream != self.stream => Reply::Elsewhere,
            Ok(Said { seq, duplicate: true, .. }) => Reply::Known(seq),
            Ok(Said { seq, .. }) => Reply::Stored { sequence: seq, noted: Noted::NotYet },
            Err(error) => Reply::Lost(format!("the server's answer cannot be read: {error}")),
        }
    }
}

/// What the ordinary answer says, `{"stream":"NAME","seq":NUMBER}`. `None` is no verdict.
fn stored(answer: &[u8], stream: &str) -> Option<u64> {
    let answer = answer.strip_prefix(br#"{"stream":""#)?.strip_prefix(stream.as_bytes())?;
    let digits = answer.strip_prefix(br#"","seq":"#)?.strip_suffix(b"}")?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Sends messages for as long as there is the connection.
///
/// They are made here, where the connection lives: what one thread allocates and another one frees
/// costs twice as much, and each message has some ten pieces.
pub(crate) async fn carry(post: Arc<Post>) {
    let mut connection = post.client.clone();
    let (mut sealed, mut messages) = (Vec::with_capacity(MOST), Vec::with_capacity(MOST));
    loop {
        post.is_filled.notified().await;
        loop {
            post.open(&mut sealed, &mut messages);
            if messages.is_empty() && post.letters().is_empty() {
                break;
            }
            for (number, message) in messages.drain(..) {
                // The connection may have had no room for longer than somebody waits.
                if !post.waiting().has(number) {
                    continue;
                }
                if let Err(error) = connection.feed(message).await {
                    post.lose(number, &error);
                }
            }
        }
    }
}

/// Takes in answers for as long as there are the store and the connection.
pub(crate) async fn listen(shared: Weak<Shared>, mut coming: Subscriber, step: Duration) {
    let mut clock = tokio::time::interval(step / 8);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut messages, mut answers) = (Vec::with_capacity(MOST), Vec::with_capacity(MOST));
    let mut is_open = true;
    loop {
        let is_time = tokio::select! {
            next = coming.next(), if is_open => {
                // Who waits when no more can come, or comes later, is told that there is no answer.
                is_open = next.is_some();
                messages.extend(next);
                false
            }
            _ = clock.tick() => true,
        };
        while messages.len() < MOST
            && let Some(Some(next)) = coming.next().now_or_never()
        {
            messages.push(next);
        }
        let Some(shared) = shared.upgrade() else { return };
        if is_time {
            shared.remote.post.give_up();
        }
        shared.remote.post.sort(&mut messages, &mut answers);
        shared.note(&mut answers);
        for Answered { reply, own, sender } in answers.drain(..) {
            // So that who waited is the last who has it, and frees it.
            drop(own);
            // Who waited may be gone.
            let _ = sender.send(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter() -> Waiter {
        let (sender, _) = oneshot::channel();
        Waiter { since: Instant::now(), own: None, sender }
    }

    #[test]
    fn who_waits_is_found_by_number() {
        let (mut waiting, mut model) = (Waiting::default(), std::collections::BTreeSet::new());
        fastrand::seed(4);
        for n in 0..2_000 {
            let (number, subject) = waiting.next("_INBOX.a.");
            assert_eq!((number, &*subject), (n, format!("_INBOX.a.{n:016x}").as_bytes()));
            waiting.waiters.push_back(Some(waiter()));
            model.insert(number);
            for _ in 0..2 {
                let number = fastrand::u64(n.saturating_sub(90)..n + 2);
                assert_eq!(waiting.has(number), model.contains(&number));
                assert_eq!(waiting.remove(number).is_some(), model.remove(&number));
            }
            assert_eq!(waiting.first, model.first().copied().unwrap_or(n + 1));
        }
        assert!(model.len() > 10 && !waiting.has(u64::MAX));
        waiting.drop_if(|_| true);
        assert!(waiting.waiters.is_empty() && waiting.first == 2_000);
    }

    #[test]
    fn ordinary_answers_are_read_at_once() {
        let read = |answer: &str| stored(answer.as_bytes(), "s");
        assert_eq!(read(r#"{"stream":"s","seq":12}"#), Some(12));
        assert_eq!(read(r#"{"stream":"s","seq":18446744073709551615}"#), Some(u64::MAX));
        for answer in [
            "",
            r#"{"stream":"t","seq":12}"#,
            r#"{"stream":"s1","seq":12}"#,
            r#"{"stream":"s","seq":}"#,
            r#"{"stream":"s","seq":+1}"#,
            r#"{"stream":"s","seq":18446744073709551616}"#,
            r#"{"stream":"s","seq":1,"duplicate":true}"#,
            r#"{"stream":"s","seq":1}}"#,
            r#"{"stream":"s","seq": 1}"#,
            r#"{"error":{"code":400,"err_code":10071},"stream":"s","seq":0}"#,
        ] {
            assert_eq!(read(answer), None, "{answer}");
        }
    }
}
