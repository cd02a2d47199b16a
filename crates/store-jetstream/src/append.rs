//! How an append comes to its end: stored once, or refused, or not known in time.

use std::sync::Arc;

use async_nats::Subject;
use bytes::Bytes;
use cim_domain_nix::{Append, Appended, Expected, StoreError, Visit};

use crate::fault::{Pauses, unavailable};
use crate::index::Tip;
use crate::post::{Letter, Noted, Own};
use crate::remote::Sent;
use crate::shared::{Shared, parts};
use crate::wire::{Facts, Head, Wanted, is_same, print_events, push_uuid, subject, sum};

/// What the index says of an append.
enum Verdict {
    /// Some of its ids occurred.
    Known,
    Conflict {
        expected: u64,
        found: u64,
    },
    Send(Tip),
    /// A connection was made since the stream was seen to be the one that it was.
    Unseen,
}

/// An append on its way.
pub(crate) struct Draft {
    pub(crate) append: Append,
    pub(crate) payload: Bytes,
    pub(crate) subject: Subject,
    n_events: u32,
    attempt: u64,
}

impl Draft {
    fn head(&self, first: u64, is_parted: bool) -> Head {
        let n_events = self.n_events;
        let sum = sum(&self.append.stream, first, n_events, &self.payload);
        Head { first, n_events, is_parted, sum, attempt: self.attempt }
    }

    /// The id of its first event.
    pub(crate) fn id(&self) -> String {
        let mut out = String::with_capacity(36);
        push_uuid(&mut out, self.append.events[0].id);
        out
    }

    pub(crate) fn facts(&self, first: u64) -> Facts {
        Facts::of(&self.append, first)
    }
}

/// How far an append has come.
struct Progress {
    /// What the server shall know the message by, where that is not the id of its first event.
    id: Option<String>,
    /// The numbers of its parts, once they are stored.
    parts: Option<Bytes>,
    /// Whether the index was as far as the stream since this began.
    is_fresh: bool,
    /// How often somebody else was faster.
    n_late: u32,
    pauses: Pauses,
}

impl Shared {
    /// Futures stay small, here and below: there may be many at once, and what is longer than a
    /// kilobyte takes the slow way through the allocator. So what is seldom done is in boxes.
    pub(crate) fn append(
        self: &Arc<Self>,
        append: Append,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send {
        let draft = self.draft(append);
        async move { self.carry_out(draft?).await }
    }

    fn draft(&self, append: Append) -> Result<Arc<Draft>, StoreError> {
        append.check()?;
        let n_events = u32::try_from(append.events.len())
            .map_err(|_| StoreError::Invalid("an append has too many events".to_owned()))?;
        // In one piece, which is shared from then on.
        let mut text = print_events(&append.events, self.remote.longest_subject());
        let n_bytes = text.len();
        self.remote.print_subject(&append.stream, &mut text);
        let text = Bytes::from(text);
        let (payload, subject) = (text.slice(..n_bytes), subject(text.slice(n_bytes..))?);
        Ok(Arc::new(Draft { append, payload, subject, n_events, attempt: fastrand::u64(..) }))
    }

    async fn carry_out(self: &Arc<Self>, draft: Arc<Draft>) -> Result<Appended, StoreError> {
        let _turn = self.turn(&draft.append.stream).await;
        let mut progress = Progress {
            id: None,
            parts: None,
            is_fresh: false,
            n_late: 0,
            pauses: Pauses::new(self.remote.patience()),
        };
        loop {
            let verdict = self.judge(&draft.append)?;
            let tip = match verdict {
                Verdict::Known => return Box::pin(self.repeated(&draft)).await,
                Verdict::Unseen => {
                    Box::pin(self.sync()).await?;
                    continue;
                }
                Verdict::Conflict { .. } if !progress.is_fresh => {
                    Box::pin(self.sync()).await?;
                    progress.is_fresh = true;
                    continue;
                }
                Verdict::Conflict { expected, found } => {
                    let stream = draft.append.stream.clone();
                    return Err(StoreError::Conflict { stream, expected, found });
                }
                Verdict::Send(tip) => tip,
            };
            let room = self.remote.room();
            if draft.payload.len() > room && progress.parts.is_none() {
                progress.parts = Some(Box::pin(self.send_parts(&draft, room)).await?);
            }
            if let Some(appended) = self.attempt(&draft, tip, &mut progress).await? {
                return Ok(appended);
            }
        }
    }

    /// Sends the message of an append once. Answers `None` where the index has to be asked again.
    async fn attempt(
        self: &Arc<Self>,
        draft: &Arc<Draft>,
        tip: Tip,
        progress: &mut Progress,
    ) -> Result<Option<Appended>, StoreError> {
        let permit = self.remote.post.permit().await;
        let sending = self.remote.send(letter(draft, tip, progress), "store events", permit);
        let sent = sending.await?;
        let position = match sent {
            Sent::Stored(_, Noted::Counts(position)) => position,
            sent => match Box::pin(self.go_on(draft, sent, progress)).await? {
                Some(position) => position,
                None => return Ok(None),
            },
        };
        Ok(Some(Appended {
            version: tip.version + u64::from(draft.n_events),
            position: position + u64::from(draft.n_events) - 1,
            is_repeated: false,
        }))
    }

    /// Does what an answer asks for; answers the position of the first event if it is stored.
    async fn go_on(
        self: &Arc<Self>,
        draft: &Draft,
        sent: Sent,
        progress: &mut Progress,
    ) -> Result<Option<u64>, StoreError> {
        match sent {
            Sent::Stored(sequence, noted) => {
                // Where it does not count, somebody used an id of it elsewhere, a moment before.
                progress.is_fresh = true;
                return self.settle(sequence, noted).await;
            }
            Sent::Known(sequence) => {
                self.advance_to(sequence).await?;
                let id = draft.append.events[0].id;
                if self.look(|index| index.id(id))?.is_none() {
                    // The server remembers a message that does not count.
                    self.sync().await?;
                    progress.id = Some(format!("{id}/{:016x}", fastrand::u64(..)));
                }
            }
            Sent::Late => {
                self.sync().await?;
                progress.n_late += 1;
                if progress.n_late > 3 && !progress.pauses.wait().await {
                    return Err(unavailable(
                        format!("others write to {} all the time", draft.append.stream),
                        "this was not stored; try again",
                    ));
                }
            }
            Sent::Unknown(problem) => {
                tracing::debug!(problem, "whether an append was stored is not known yet");
                if !progress.pauses.wait().await {
                    return Err(unknown(&problem));
                }
                self.sync().await.map_err(|error| match error {
                    StoreError::Unavailable { problem, .. } => unknown(&problem),
                    error => error,
                })?;
            }
        }
        progress.is_fresh = true;
        Ok(None)
    }

    fn judge(&self, append: &Append) -> Result<Verdict, StoreError> {
        self.look_unless_unseen(|index| {
            if append.events.iter().any(|event| index.id(event.id).is_some()) {
                return Verdict::Known;
            }
            let tip = index.tip(&append.stream);
            match append.expected {
                Expected::Version(expected) if expected != tip.version => {
                    Verdict::Conflict { expected, found: tip.version }
                }
                _ => Verdict::Send(tip),
            }
        })
        .map(|verdict| verdict.unwrap_or(Verdict::Unseen))
    }

    /// Stores the parts of a long payload; answers the list of their places.
    async fn send_parts(&self, draft: &Draft, room: usize) -> Result<Bytes, StoreError> {
        let id = draft.append.events[0].id;
        let mut places = Vec::new();
        for (n, part) in parts(&draft.payload, room).enumerate() {
            let mut pauses = Pauses::new(self.remote.patience());
            loop {
                let letter = Letter::Part {
                    subject: self.remote.part_subject(id, draft.attempt).into(),
                    id: format!("{:016x}/{n}", draft.attempt),
                    payload: part.clone(),
                };
                let permit = self.remote.post.permit().await;
                match self.remote.send(letter, "store a part of an event", permit).await? {
                    Sent::Stored(sequence, _) | Sent::Known(sequence) => {
                        places.push(sequence);
                        break;
                    }
                    Sent::Late => {}
                    Sent::Unknown(problem) => {
                        if !pauses.wait().await {
                            return Err(unknown(&problem));
                        }
                    }
                }
            }
        }
        let list =
            serde_json::to_vec(&places).map_err(|error| StoreError::Invalid(error.to_string()))?;
        Ok(list.into())
    }

    /// Where events stand of which some occurred.
    ///
    /// Errors: they are not all there, as they are, next to each other.
    async fn repeated(self: &Arc<Self>, draft: &Draft) -> Result<Appended, StoreError> {
        let append = &draft.append;
        let positions: Vec<Option<u64>> =
            self.look(|index| append.events.iter().map(|event| index.id(event.id)).collect())?;
        let known = append.events.iter().zip(&positions).find(|(_, position)| position.is_some());
        let id = known.map_or(append.events[0].id, |(event, _)| event.id);
        let duplicate = || StoreError::Duplicate { id };
        let mut last: Option<(u64, u64)> = None;
        let mut is_repeated = false;
        for (event, position) in append.events.iter().zip(positions) {
            let position = position.ok_or_else(duplicate)?;
            let place = self.look(|index| index.place(index.message_after(position - 1)))?;
            let loaded = Arc::clone(self).load(vec![place], None).await?;
            let (_, stored) = loaded.first().ok_or_else(duplicate)?;
            let mut version = None;
            let wanted = Wanted {
                position: place.position.into(),
                after: position - 1,
                until: position,
                which: &|_| true,
                backwards: false,
            };
            let _ = stored.visit(wanted, &mut |record| -> Visit {
                if is_same(record, event) {
                    version = Some(record.version);
                }
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
            let version = version.filter(|version| {
                stored.stream == append.stream
                    && last.is_none_or(|(former, _)| former + 1 == *version)
            });
            last = Some((version.ok_or_else(duplicate)?, position));
            // Our own, of which the answer was lost, is no repeat.
            is_repeated |= stored.head.attempt != draft.attempt;
        }
        let (version, position) = last.ok_or_else(duplicate)?;
        Ok(Appended { version, position, is_repeated })
    }
}

/// The message of an append at a place in its stream.
fn letter(draft: &Arc<Draft>, tip: Tip, progress: &Progress) -> Letter {
    let own = Own {
        draft: Arc::clone(draft),
        head: draft.head(tip.version + 1, progress.parts.is_some()),
    };
    let (id, parts) = (progress.id.clone(), progress.parts.clone());
    Letter::Append { own, last: tip.last, id, parts }
}

fn unknown(problem: &str) -> StoreError {
    unavailable(
        format!("JetStream does not say whether events were stored: {problem}"),
        "see whether the NATS server runs and whether this user may publish; asking again is harmless, as events are stored once",
    )
}
