//! Requests to the server: how far the stream is, its messages, and new ones.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::header::{HeaderName, NATS_SEQUENCE, NATS_SUBJECT};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, Info};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, HeaderMap, Message, Request, Statistics};
use bytes::Bytes;
use cim_domain_nix::{Kind, StoreError, StreamId, Uuid};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;

use crate::fault::{Trouble, gone, judge, no_answer, passing, retry, unavailable};
use crate::options::{Options, differences};
use crate::post::{Letter, Noted, Post, Reply};
use crate::wire::{Arrived, BadHead, Content, FORMAT, HEADER, Head, Stored, broken, sum};

pub(crate) struct Remote {
    client: Client,
    statistics: Arc<Statistics>,
    pub(crate) context: Context,
    pub(crate) post: Arc<Post>,
    /// The stream's name.
    pub(crate) name: String,
    /// What subjects of events start with.
    root: String,
    patience: Duration,
    /// How long one request may take.
    step: Duration,
}

/// How far the stream is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    pub(crate) created: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: u64,
    /// The server that leads, where there are several.
    pub(crate) leader: Option<String>,
}

/// What became of a message that was sent.
pub(crate) enum Sent {
    /// At this place, of which the index says so much.
    Stored(u64, Noted),
    /// The server has a message with this id, at this place.
    Known(u64),
    /// Somebody else was faster.
    Late,
    /// It may have been stored.
    Unknown(String),
}

#[derive(Deserialize)]
struct Answer<T> {
    error: Option<jetstream::Error>,
    #[serde(flatten)]
    answer: Option<T>,
}

/// How many messages one request asks for, and how many bytes.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 8 << 20;

impl Remote {
    pub(crate) fn new(client: Client, options: &Options) -> Self {
        // Several attempts must fit into a call.
        let step = (options.patience / 4).clamp(Duration::from_millis(100), Duration::from_secs(5));
        let builder = ContextBuilder::new();
        let builder = match &options.api_prefix {
            Some(prefix) => builder.api_prefix(prefix.clone()).timeout(step),
            None => builder.timeout(step),
        };
        let context = builder.ack_timeout(step).build(client.clone());
        let (name, root) = (options.stream_name(), options.root());
        let post = Post::new(client.clone(), name.clone(), options.max_in_flight, step).into();
        let (statistics, patience) = (client.statistics(), options.patience);
        Self { client, statistics, context, post, name, root, patience, step }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// How often this has been connected: after each time the server may have lost something.
    pub(crate) fn n_connections(&self) -> u64 {
        self.statistics.connects.load(Ordering::Acquire)
    }

    /// Whether message `sequence` is an append that begins with the event `id`.
    pub(crate) async fn has(&self, sequence: u64, id: Uuid) -> Result<bool, StoreError> {
        let Some(arrived) = self.message(sequence).await? else { return Ok(false) };
        match self.read(arrived).await? {
            Content::Stored(stored) => Ok(stored.facts()?.ids.first() == Some(&id)),
            Content::Foreign(_) => Ok(false),
        }
    }

    /// How long a payload may be.
    pub(crate) fn room(&self) -> usize {
        // The rest is for headers.
        self.client.max_payload().saturating_sub(2_048).max(1_024)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        subject: String,
        payload: &impl serde::Serialize,
    ) -> Result<T, Trouble> {
        let answer: serde_json::Value =
            self.context.request(subject, payload).await.map_err(passing)?;
        let answer: Answer<T> = serde_json::from_value(answer).map_err(passing)?;
        match answer {
            Answer { error: Some(error), .. } => Err(judge(&self.name, &error)),
            Answer { answer: Some(answer), .. } => Ok(answer),
            Answer { .. } => Err(passing("the server's answer cannot be read")),
        }
    }

    /// How far the stream is, by its leader.
    pub(crate) async fn standing(&self) -> Result<Standing, StoreError> {
        #[derive(Deserialize)]
        struct Said {
            created: String,
            state: State,
            cluster: Option<Cluster>,
        }
        #[derive(Deserialize)]
        struct Cluster {
            leader: Option<String>,
        }
        #[derive(Deserialize)]
        struct State {
            first_seq: u64,
            last_seq: u64,
            bytes: u64,
        }
        let said: Said = retry(self.patience, "ask for the stream", || {
            self.request(format!("STREAM.INFO.{}", self.name), &())
        })
        .await?;
        let Said { created, state: State { first_seq: first, last_seq: last, bytes }, cluster } =
            said;
        let leader = cluster.and_then(|cluster| cluster.leader);
        Ok(Standing { created, first, last, bytes, leader })
    }

    /// Makes the stream, or sees whether the one that is there will do.
    pub(crate) async fn prepare(&self, options: &Options) -> Result<(), StoreError> {
        // Of a connection that was never made, no version is known.
        if self.client.server_info().version.is_empty() {
            return Err(no_answer("open the stream", "no NATS server has answered yet"));
        }
        if !self.client.is_server_compatible(2, 11, 0) {
            return Err(unavailable(
                format!("nats-server {} is too old", self.client.server_info().version),
                "version 2.11 or newer is needed, and 2.12.3 or newer to be safe",
            ));
        }
        let wanted = options.config();
        let found =
            retry(self.patience, "open the stream", || self.make(&wanted, options.create)).await?;
        let differences = differences(&wanted, &found);
        match differences.is_empty() {
            true => Ok(()),
            false => Err(unavailable(
                format!(
                    "the stream `{}` has other settings: {}",
                    self.name,
                    differences.join("; ")
                ),
                "change the stream (`nats stream edit`) or the options, so that both say the same",
            )),
        }
    }

    /// The settings of the stream, which is made where there is none, if that is wanted.
    async fn make(&self, wanted: &Config, create: bool) -> Result<Config, Trouble> {
        let subject = format!("STREAM.INFO.{}", self.name);
        let answer: serde_json::Value =
            self.context.request(subject, &()).await.map_err(passing)?;
        let is_missing = answer["error"]["err_code"] == ErrorCode::STREAM_NOT_FOUND.0;
        if !is_missing {
            let answer: Answer<Info> = serde_json::from_value(answer).map_err(passing)?;
            return match answer {
                Answer { error: Some(error), .. } => Err(judge(&self.name, &error)),
                Answer { answer: Some(info), .. } => Ok(info.config),
                Answer { .. } => Err(passing("the server's answer cannot be read")),
            };
        }
        if !create {
            return Err(Trouble::Final(unavailable(
                format!("there is no stream `{}`", self.name),
                "see whether the tenant, the prefix and the account are right",
            )));
        }
        let subject = format!("STREAM.CREATE.{}", self.name);
        // Where somebody else makes another one meanwhile, the next attempt finds it.
        let info: Info = match self.request(subject, wanted).await {
            Err(Trouble::Final(StoreError::Unavailable { problem, .. }))
                if problem.contains("already in use") =>
            {
                return Err(Trouble::Passing(problem));
            }
            made => made?,
        };
        Ok(info.config)
    }

    /// The subject of a stream's events.
    pub(crate) fn subject(&self, stream: &StreamId) -> String {
        format!("{}.{}.{}", self.root, stream.kind.token(), stream.id)
    }

    /// As `subject`, at the end of a text.
    pub(crate) fn print_subject(&self, stream: &StreamId, out: &mut Vec<u8>) {
        for text in [&self.root, ".", stream.kind.token(), "."] {
            out.extend_from_slice(text.as_bytes());
        }
        let id = stream.id.hyphenated();
        out.extend_from_slice(id.encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    }

    /// How long subjects of streams are at most.
    pub(crate) fn longest_subject(&self) -> usize {
        self.root.len() + 72
    }

    /// The subject of a part of an append with this first id.
    pub(crate) fn part_subject(&self, id: Uuid, attempt: u64) -> String {
        format!("{}.parts.{id}.{attempt:016x}", self.root)
    }

    fn stream_of(&self, subject: &str) -> Option<StreamId> {
        let (kind, id) = subject.strip_prefix(&self.root)?.strip_prefix('.')?.split_once('.')?;
        let id = Uuid::try_parse(id).ok().filter(|parsed| parsed.to_string() == id)?;
        Some(StreamId::new(kind.parse::<Kind>().ok()?, id))
    }

    /// The messages from sequence `from` on, as many as come in one go; on one subject, or all.
    pub(crate) async fn batch(
        &self,
        from: u64,
        most: usize,
        subject: Option<&str>,
    ) -> Result<Vec<Arrived>, Trouble> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(passing)?;
        let most = most.min(BATCH);
        let request = serde_json::json!({
            "seq": from, "batch": most, "max_bytes": BATCH_BYTES,
            "next_by_subj": subject.unwrap_or(">"),
        });
        let request = Request::new().payload(request.to_string().into()).inbox(inbox);
        let sent = self.context.send_request(format!("DIRECT.GET.{}", self.name), request);
        tokio::time::timeout(self.step, sent).await.map_err(passing)?.map_err(passing)?;
        let mut out = Vec::new();
        loop {
            let next = tokio::time::timeout(self.step, answers.next()).await;
            let Ok(Some(message)) = next else {
                return Err(passing("no answer to a request for messages"));
            };
            match message.status.map(|status| status.as_u16()) {
                None => out.push(arrived(message)?),
                Some(204 | 404) => return Ok(out),
                Some(503) => return Err(passing("nobody has the stream's messages at hand")),
                Some(status) => {
                    return Err(passing(format!(
                        "the server refuses to give messages: {status} {}",
                        message.description.as_deref().unwrap_or_default()
                    )));
                }
            }
        }
    }

    /// One message, by the stream's leader; `None` where there is none.
    pub(crate) async fn message(&self, sequence: u64) -> Result<Option<Arrived>, StoreError> {
        let stream = retry(self.patience, "read from the stream", async || {
            self.context.get_stream_no_info(&self.name).await.map_err(passing)
        })
        .await?;
        retry(self.patience, "read from the stream", async || {
            use async_nats::jetstream::stream::RawMessageErrorKind as Kind;
            match stream.get_raw_message(sequence).await {
                Ok(message) => Ok(Some(Arrived {
                    sequence,
                    subject: message.subject.to_string(),
                    header: text(&message.headers, HEADER),
                    payload: message.payload,
                })),
                Err(error) if matches!(error.kind(), Kind::NoMessageFound) => Ok(None),
                Err(error) => Err(passing(error)),
            }
        })
        .await
    }

    /// What a message is. Parts are fetched where it has some.
    pub(crate) async fn read(&self, arrived: Arrived) -> Result<Content, StoreError> {
        let Arrived { sequence, subject, header, payload } = arrived;
        let stream = self.stream_of(&subject);
        let (Some(header), Some(id)) = (header, &stream) else {
            return Ok(Content::Foreign(stream));
        };
        let head = Head::read(&header).map_err(|bad| match bad {
            BadHead::Newer(found) => {
                StoreError::Newer { place: format!("message {sequence}"), found, known: FORMAT }
            }
            BadHead::Broken => broken(sequence, "its header cannot be read"),
        })?;
        let payload = if head.is_parted { self.join(sequence, &payload).await? } else { payload };
        if sum(id, head.first, head.n_events, &payload) != head.sum {
            return Err(broken(sequence, "it is not what was written: its sum differs"));
        }
        Ok(Content::Stored(Arc::new(Stored { sequence, stream: id.clone(), head, payload })))
    }

    /// The payload that stands in parts.
    async fn join(&self, sequence: u64, list: &[u8]) -> Result<Bytes, StoreError> {
        let parts: Vec<u64> = serde_json::from_slice(list)
            .map_err(|_| broken(sequence, "the list of its parts cannot be read"))?;
        let mut whole = Vec::new();
        for part in parts {
            let found = self.message(part).await?;
            let found = found.filter(|_| part < sequence);
            let Some(found) = found else {
                return Err(broken(sequence, &format!("its part, message {part}, is missing")));
            };
            whole.extend_from_slice(&found.payload);
        }
        Ok(whole.into())
    }

    /// Sends a message and waits for what becomes of it.
    ///
    /// Errors: it was not stored.
    pub(crate) fn send<'s>(
        &'s self,
        letter: Letter,
        what: &'s str,
        permit: Option<SemaphorePermit<'s>>,
    ) -> impl Future<Output = Result<Sent, StoreError>> + Send + use<'s> {
        let reply = self.post.send(letter, permit);
        async move { self.sent(reply.await, what) }
    }

    fn sent(&self, reply: Reply, what: &str) -> Result<Sent, StoreError> {
        match reply {
            Reply::Stored { sequence, noted } => Ok(Sent::Stored(sequence, noted)),
            Reply::Known(sequence) => Ok(Sent::Known(sequence)),
            // Only where ours is gone can another one have its subjects.
            Reply::Elsewhere => Err(gone(&self.name)),
            Reply::Lost(problem) => Ok(Sent::Unknown(format!("cannot {what}: {problem}"))),
            // The other code says so of a message that is on its way into the stream.
            Reply::Refused(error)
                if [
                    ErrorCode::STREAM_WRONG_LAST_SEQUENCE,
                    ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
                ]
                .contains(&error.error_code()) =>
            {
                Ok(Sent::Late)
            }
            Reply::Refused(error) => match judge(&self.name, &error) {
                Trouble::Final(error) => Err(error),
                Trouble::Passing(problem) => Ok(Sent::Unknown(problem)),
            },
        }
    }
}

/// A message as a request for messages is answered.
fn arrived(message: Message) -> Result<Arrived, Trouble> {
    let headers = message.headers.unwrap_or_default();
    let sequence = headers.get(NATS_SEQUENCE).and_then(|text| u64::from_str(text.as_str()).ok());
    let subject = headers.get(NATS_SUBJECT).map(|subject| subject.as_str().to_owned());
    let (Some(sequence), Some(subject)) = (sequence, subject) else {
        return Err(passing("the server gave a message without its place"));
    };
    Ok(Arrived { sequence, subject, header: text(&headers, HEADER), payload: message.payload })
}

fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
    headers.get(HeaderName::from_static(name)).map(|text| text.as_str().to_owned())
}
