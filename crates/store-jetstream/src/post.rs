//! Sends messages, and takes in what the server answers.
//!
//! All answers come on one subscription, in the order of the stream. So whoever takes them in can
//! bring own messages into the index many at a time, before anybody who waits is woken: by then the
//! index knows what the answer means. A connection that breaks loses answers, never order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use cim_domain_nix::StoreError;
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::MissedTickBehavior;

use crate::shared::Shared;
use crate::wire::{Facts, Head, Stored};

/// An append as the index takes it in, once its place is known.
pub(crate) struct Own {
    pub(crate) facts: Facts,
    pub(crate) head: Head,
    pub(crate) payload: Bytes,
}

impl Own {
    pub(crate) fn at(&self, sequence: u64) -> Arc<Stored> {
        let (stream, payload) = (self.facts.stream.clone(), self.payload.clone());
        Arc::new(Stored { sequence, stream, head: self.head, payload })
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
    own: Option<Box<Own>>,
    sender: oneshot::Sender<Reply>,
}

#[derive(Default)]
struct Waiting {
    n_sent: u64,
    waiters: HashMap<u64, Waiter>,
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
    waiting: Mutex<Waiting>,
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
        Self { client, stream, inbox, in_flight, step, waiting: Mutex::default() }
    }

    /// Where answers come in; somebody has to [`listen`] there before the first message is sent.
    pub(crate) async fn answers(&self) -> Result<Subscriber, StoreError> {
        let subscribed = self.client.subscribe(format!("{}*", self.inbox)).await;
        subscribed
            .map_err(|error| crate::fault::no_answer("listen for answers", &error.to_string()))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message and waits for the answer.
    pub(crate) async fn send(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        own: Option<Box<Own>>,
    ) -> Reply {
        let Ok(_permit) = self.in_flight.acquire().await else {
            return Reply::Lost("the store is shutting down".to_owned());
        };
        let (sender, mut receiver) = oneshot::channel();
        let number = {
            let mut waiting = self.waiting();
            waiting.n_sent += 1;
            let number = waiting.n_sent;
            waiting.waiters.insert(number, Waiter { since: Instant::now(), own, sender });
            number
        };
        let mut left = Left { post: self, number, is_answered: false };
        let reply = format!("{}{number}", self.inbox);
        let sent = self.client.publish_with_reply_and_headers(subject, reply, headers, payload);
        let answer = tokio::select! {
            biased;
            // Sending may have to wait as well, so the time may be over before.
            answer = &mut receiver => answer,
            sent = sent => match sent {
                Ok(()) => receiver.await,
                Err(error) => return Reply::Lost(error.to_string()),
            },
        };
        // Whoever answers, or gives up, has removed it.
        left.is_answered = true;
        answer.unwrap_or_else(|_| Reply::Lost("no answer in time".to_owned()))
    }

    /// Lets go who has waited for long enough. One clock for all: a timer for each costs as much as
    /// making the message.
    fn give_up(&self) {
        let is_late = |waiter: &Waiter| waiter.since.elapsed() >= self.step;
        self.waiting().waiters.retain(|_, waiter| !is_late(waiter));
    }

    /// Who waits for these answers. Who has gone is left out: what was stored is read later.
    fn matched(&self, messages: &mut Vec<Message>) -> Vec<(Message, Waiter)> {
        let mut matched = Vec::with_capacity(messages.len());
        let mut waiting = self.waiting();
        let of = |message: &Message| message.subject.strip_prefix(&*self.inbox)?.parse().ok();
        matched.extend(messages.drain(..).filter_map(|message| {
            let number: u64 = of(&message)?;
            let waiter = waiting.waiters.remove(&number)?;
            Some((message, waiter))
        }));
        matched
    }

    fn read(&self, message: &Message) -> Reply {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Reply::Lost("no stream takes its subject, or nobody leads it".to_owned());
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

/// Removes a waiter who goes.
struct Left<'p> {
    post: &'p Post,
    number: u64,
    is_answered: bool,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.post.waiting().waiters.remove(&self.number);
        }
    }
}

/// Takes in answers for as long as there are the store and the connection.
pub(crate) async fn listen(shared: Weak<Shared>, mut answers: Subscriber, step: Duration) {
    let mut clock = tokio::time::interval(step / 8);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut messages = Vec::with_capacity(MOST);
    let mut is_open = true;
    loop {
        let is_time = tokio::select! {
            next = answers.next(), if is_open => {
                // Who waits when no more can come, or comes later, is told that there is no answer.
                is_open = next.is_some();
                messages.extend(next);
                false
            }
            _ = clock.tick() => true,
        };
        while messages.len() < MOST
            && let Some(Some(next)) = answers.next().now_or_never()
        {
            messages.push(next);
        }
        let Some(shared) = shared.upgrade() else { return };
        if is_time {
            shared.remote.post.give_up();
        }
        take_in(&shared, &mut messages);
    }
}

fn take_in(shared: &Shared, messages: &mut Vec<Message>) {
    let post = &shared.remote.post;
    let mut matched = post.matched(messages);
    let mut answers: Vec<(Reply, oneshot::Sender<Reply>)> = Vec::with_capacity(matched.len());
    let mut owns = Vec::with_capacity(matched.len());
    for (message, waiter) in matched.drain(..) {
        answers.push((post.read(&message), waiter.sender));
        owns.push(waiter.own);
    }
    let mut stored = Vec::with_capacity(owns.len());
    for ((answer, _), own) in answers.iter_mut().zip(owns) {
        if let (Reply::Stored { sequence, noted }, Some(own)) = (answer, own) {
            stored.push((*sequence, own, noted));
        }
    }
    shared.note(stored);
    for (answer, sender) in answers {
        // Who waited may be gone.
        let _ = sender.send(answer);
    }
}
