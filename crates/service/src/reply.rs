//! Replies, and how they are written: as other services expect them, with what people need beside.

use std::time::Duration;

use cim_domain_nix::{Event, MessageId, Subject, Uuid};
use cim_nix_base::{Error, ErrorKind};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::guard::Pause;

/// Why something was refused. Nothing has changed then, unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The message cannot be read.
    Malformed,
    /// Nobody knows who asks.
    Unauthenticated,
    /// The caller may not do that.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// Somebody else was faster, or the thing has another version than asked for.
    Conflict,
    /// The message is too large or too deep.
    TooLarge,
    /// The domain refuses it.
    Rejected,
    /// Too many requests of one caller or tenant, or a quota is used up.
    Limited,
    /// The service has too much to do.
    Overloaded,
    /// It took longer than allowed.
    TimedOut,
    /// Something outside failed: a disk, Nix, the network.
    Outside,
    /// The service is wrong.
    Bug,
}

impl Cause {
    /// Its name on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Limited => "limited",
            Self::Overloaded => "overloaded",
            Self::TimedOut => "timed_out",
            Self::Outside => "outside",
            Self::Bug => "bug",
        }
    }

    /// The status that HTTP has for it, and NATS services in `Nats-Service-Error-Code`.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Rejected => 422,
            Self::Limited => 429,
            Self::Bug => 500,
            Self::Outside => 502,
            Self::Overloaded => 503,
            Self::TimedOut => 504,
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn may_pass(self) -> bool {
        use Cause::{Conflict, Limited, Outside, Overloaded, TimedOut};
        matches!(self, Conflict | Limited | Overloaded | TimedOut | Outside)
    }
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub cause: Cause,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What may be done.
    pub hints: Vec<String>,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
    /// Whether the thing has another version than the request expects: a conflict of which the caller
    /// spoke beforehand.
    pub has_other_version: bool,
    /// Whose limit it was, if it was one: else the tenant's.
    pub limit_of: LimitOf,
}

/// Whose limit something went over.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum LimitOf {
    /// That of all callers of a tenant together, or of what the tenant may keep and run.
    #[default]
    Tenant,
    /// That of one caller.
    Caller,
}

impl Refusal {
    /// A refusal that says `message`.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: message.into(),
            hints: Vec::new(),
            retry_after: None,
            has_other_version: false,
            limit_of: LimitOf::default(),
        }
    }

    /// Whose limit it was, as a word.
    pub(crate) fn limit_of(&self) -> &'static str {
        match self.limit_of {
            LimitOf::Tenant => "tenant",
            LimitOf::Caller => "caller",
        }
    }

    /// Adds a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    /// As JSON, for a message with these ids.
    #[must_use]
    pub fn to_value(&self, ids: Option<&Ids>) -> Value {
        let mut value = json!({
            "status": if ids.is_some_and(|ids| ids.is_enveloped) { "Rejected" } else { "error" },
            "message": self.message,
            "reason": self.message,
            "code": self.cause.word(),
        });
        if !self.hints.is_empty() {
            value["hints"] = json!(self.hints);
        }
        if let Some(time) = self.retry_after {
            value["retry_after_ms"] = json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(ids) = ids {
            ids.add_to(&mut value);
        }
        value
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let cause = match error.kind() {
            ErrorKind::User | ErrorKind::Config => Cause::Rejected,
            ErrorKind::Conflict => Cause::Conflict,
            ErrorKind::Outside => Cause::Outside,
            ErrorKind::Bug => Cause::Bug,
        };
        let hints = error.hints().to_vec();
        let pause = std::error::Error::source(&error).and_then(|why| why.downcast_ref::<Pause>());
        let retry_after = pause.map(|pause| pause.0);
        Self { hints, retry_after, ..Self::new(cause, error.chain()) }
    }
}

/// Which message a reply is to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ids {
    /// The message.
    pub message: MessageId,
    /// The conversation.
    pub correlation: MessageId,
    /// Whether it came in an envelope, and the reply is an acknowledgement in the same style.
    pub is_enveloped: bool,
}

impl Ids {
    fn add_to(&self, value: &mut Value) {
        value["command_id"] = json!({ "id": self.message });
        value["correlation_id"] = json!(self.correlation);
    }
}

/// An event as replies have it.
#[derive(Clone, PartialEq, Debug)]
pub struct EventRef {
    /// Its id.
    pub id: Option<Uuid>,
    /// The name of its type.
    pub event_type: &'static str,
    /// The subject on which other services hear of it.
    pub subject: Option<&'static str>,
    /// Its stream.
    pub stream: String,
    /// The event as JSON; `null` for one that cannot be written.
    pub body: String,
}

impl From<&Event> for EventRef {
    fn from(event: &Event) -> Self {
        Self {
            id: event.identity().message_id.uuid(),
            event_type: event.event_type(),
            subject: Subject::of(event.event_type()).map(Subject::as_str),
            stream: event.stream().to_string(),
            body: event.to_json().unwrap_or_else(|_| "null".to_owned()),
        }
    }
}

/// A command that was run.
#[derive(Clone, PartialEq, Debug)]
pub struct Accepted {
    /// Which one.
    pub ids: Ids,
    /// What happened; nothing if nothing had to.
    pub events: Vec<EventRef>,
    /// Where the last event was stored; `None` if none was.
    pub position: Option<u64>,
    /// The version that the aggregate has now.
    pub version: u64,
    /// Whether it was run before, and this is what came of it then.
    pub is_repeated: bool,
    /// Whether it was only asked what would happen.
    pub is_dry_run: bool,
    /// A diff of the files, where that was asked for.
    pub diff: Option<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// An event as it is written in a reply.
#[derive(Serialize)]
struct WrittenEvent<'a> {
    event_id: Option<Uuid>,
    event_type: &'static str,
    subject: Option<&'static str>,
    stream: &'a str,
    event: Option<&'a RawValue>,
}

impl<'a> WrittenEvent<'a> {
    fn of(event: &'a EventRef) -> Self {
        Self {
            event_id: event.id,
            event_type: event.event_type,
            subject: event.subject,
            stream: &event.stream,
            event: serde_json::from_str(&event.body).ok(),
        }
    }
}

/// An acceptance as it is written. Bodies of events are not read again for that.
#[derive(Serialize)]
struct Written<'a> {
    status: &'static str,
    message: &'static str,
    reason: Option<&'static str>,
    changed: bool,
    events: Vec<WrittenEvent<'a>>,
    position: Option<u64>,
    version: u64,
    repeated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    command_id: WrittenId<'a>,
    correlation_id: &'a MessageId,
}

#[derive(Serialize)]
struct WrittenId<'a> {
    id: &'a MessageId,
}

impl Accepted {
    /// As JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let written = Written {
            status: if self.ids.is_enveloped { "Accepted" } else { "success" },
            message: "Command processed successfully",
            reason: None,
            changed: !self.events.is_empty(),
            events: self.events.iter().map(WrittenEvent::of).collect(),
            position: self.position,
            version: self.version,
            repeated: self.is_repeated,
            dry_run: self.is_dry_run.then_some(true),
            diff: self.diff.as_deref().filter(|_| self.is_dry_run),
            notes: &self.notes,
            command_id: WrittenId { id: &self.ids.message },
            correlation_id: &self.ids.correlation,
        };
        serde_json::to_string(&written).expect("texts, numbers and JSON can be written as JSON")
    }
}

/// A query that was answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered {
    /// Which one; its id is that of the query.
    pub ids: Ids,
    /// The answer as JSON.
    pub result: std::sync::Arc<str>,
    /// The version of the thing that it is about, where it is about one.
    pub version: Option<u64>,
}

impl Answered {
    /// As the text of a `QueryResponse`. The answer is not read again for that.
    #[must_use]
    pub fn to_json(&self) -> String {
        let ids = json!({ "id": self.ids.message });
        let correlation = json!(self.ids.correlation);
        let result = &self.result;
        format!(r#"{{"query_id":{ids},"correlation_id":{correlation},"result":{result}}}"#)
    }
}

/// What came of a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// A command was run.
    Accepted(Box<Accepted>),
    /// A query was answered.
    Answered(Answered),
    /// It was refused.
    Refused(Refusal, Option<Ids>),
}

impl Reply {
    /// As JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Accepted(accepted) => accepted.to_json(),
            Self::Answered(answered) => answered.to_json(),
            Self::Refused(refusal, ids) => refusal.to_value(ids.as_ref()).to_string(),
        }
    }

    /// How it ended, for counting: `accepted`, `answered`, or the cause of the refusal.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Answered(_) => "answered",
            Self::Refused(refusal, _) => refusal.cause.word(),
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal, _) => Some(refusal),
            _ => None,
        }
    }
}
