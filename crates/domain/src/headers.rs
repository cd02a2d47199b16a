//! The headers that messages travel with, as pairs of names and values.
//!
//! They repeat what bodies say, for readers that route or sort messages without reading bodies. Other
//! services write some of them in other ways, which [`Headers::read`] understands: prefixes before
//! ids, and the aggregate's id where the message's belongs.

use std::fmt;

use uuid::Uuid;

use crate::{Command, Event, MessageId, MessageIdentity, Timestamp};

/// The id of an event; other services have that of the aggregate here.
pub const EVENT_ID: &str = "X-Event-ID";
/// The id of a message that is no event.
pub const MESSAGE_ID: &str = "X-Message-ID";
/// The type of an event, `FlakeCreated`.
pub const EVENT_TYPE: &str = "X-Event-Type";
/// The conversation.
pub const CORRELATION_ID: &str = "X-Correlation-ID";
/// The message that caused this one.
pub const CAUSATION_ID: &str = "X-Causation-ID";
/// The aggregate that an event is about.
pub const AGGREGATE_ID: &str = "X-Aggregate-ID";
/// When it happened, as RFC 3339.
pub const TIMESTAMP: &str = "X-Timestamp";
/// The domain that it comes from: `nix` here.
pub const DOMAIN: &str = "X-Domain";
/// The version of the shape of the body; 1 where it is missing.
pub const SCHEMA_VERSION: &str = "X-Schema-Version";
/// Who caused it, if that is known.
pub const USER_ID: &str = "X-User-ID";
/// The id by which a broker drops what it has already.
pub const DEDUPLICATION_ID: &str = "Nats-Msg-Id";

/// Headers to write, in order.
pub type Pairs = Vec<(&'static str, String)>;

fn of_identity(id_header: &'static str, identity: &MessageIdentity) -> Pairs {
    let MessageIdentity { message_id, correlation_id, causation_id } = identity;
    vec![
        (id_header, message_id.to_string()),
        (DEDUPLICATION_ID, message_id.to_string()),
        (CORRELATION_ID, correlation_id.to_string()),
        (CAUSATION_ID, causation_id.to_string()),
        (DOMAIN, "nix".to_owned()),
    ]
}

/// The headers of an event.
///
/// ```
/// use cim_domain_nix::{Event, headers};
///
/// let body = r#"{"flake_id":"305e9bba-2c9c-50f9-a922-34b228dc03cc","timestamp":"2026-11-24T14:20:59Z",
///     "identity":{"message_id":"0198f7a2-7c00-7000-8000-000000000002",
///         "correlation_id":"0198f7a2-7c00-7000-8000-000000000001",
///         "causation_id":"0198f7a2-7c00-7000-8000-000000000001"},
///     "path":"/home/ann/fleet"}"#;
/// let event = Event::read("FlakeUpdated", 1, body)?;
/// let pairs = headers::of_event(&event, None)?;
/// assert!(pairs.contains(&(headers::EVENT_ID, "0198f7a2-7c00-7000-8000-000000000002".to_owned())));
/// let read = headers::Headers::read(pairs.iter().map(|(name, value)| (*name, value.as_str())))?;
/// assert_eq!(read.identity(), Some(event.identity().clone()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Errors: the user's name has characters that headers cannot hold.
pub fn of_event(event: &Event, user: Option<&str>) -> Result<Pairs, BadHeader> {
    let mut pairs = of_identity(EVENT_ID, event.identity());
    pairs.extend([
        (EVENT_TYPE, event.event_type().to_owned()),
        (AGGREGATE_ID, event.aggregate().to_string()),
        (TIMESTAMP, event.at().to_string()),
        (SCHEMA_VERSION, event.schema().to_string()),
    ]);
    add_user(&mut pairs, user)?;
    Ok(pairs)
}

/// The headers of a command.
///
/// Errors: the user's name has characters that headers cannot hold.
pub fn of_command(command: &Command, user: Option<&str>) -> Result<Pairs, BadHeader> {
    let mut pairs = of_identity(MESSAGE_ID, command.identity());
    add_user(&mut pairs, user)?;
    Ok(pairs)
}

fn add_user(pairs: &mut Pairs, user: Option<&str>) -> Result<(), BadHeader> {
    let Some(user) = user else { return Ok(()) };
    if user.trim() != user || user.is_empty() || user.chars().any(char::is_control) {
        return Err(BadHeader::new(USER_ID, user, "a name without control characters"));
    }
    pairs.push((USER_ID, user.to_owned()));
    Ok(())
}

/// A header whose value is not what it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadHeader {
    /// The header.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What its value should be.
    pub expected: &'static str,
}

impl BadHeader {
    fn new(name: &'static str, value: &str, expected: &'static str) -> Self {
        Self { name, value: value.to_owned(), expected }
    }
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, expected } = self;
        let shown: String = value.chars().take(60).collect();
        write!(f, "the header {name} is `{}`, not {expected}", shown.escape_debug())
    }
}

impl std::error::Error for BadHeader {}

/// What headers say of a message; fields are `None` where a header is missing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Headers {
    /// The message.
    pub message_id: Option<MessageId>,
    /// The conversation.
    pub correlation_id: Option<MessageId>,
    /// The message that caused it.
    pub causation_id: Option<MessageId>,
    /// The type of the event.
    pub event_type: Option<String>,
    /// The aggregate that it is about.
    pub aggregate_id: Option<Uuid>,
    /// When it happened.
    pub timestamp: Option<Timestamp>,
    /// The domain that it comes from.
    pub domain: Option<String>,
    /// The version of the shape of the body.
    pub schema: Option<u32>,
    /// Who caused it.
    pub user: Option<String>,
}

impl Headers {
    /// Reads headers. Capitals do not matter, unknown ones are passed over, and of several with one
    /// name the first counts.
    ///
    /// An event's id that is that of its aggregate is none: other services write that, and the
    /// second event of an aggregate would be taken for the first.
    ///
    /// Errors: a value that is not what it should be.
    pub fn read<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadHeader> {
        let mut headers = Self::default();
        let (mut event_id, mut own_id, mut deduplication_id) = (None, None, None);
        for (name, value) in pairs {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let value = value.trim();
            if is(EVENT_ID) {
                set(&mut event_id, EVENT_ID, value, "an id")?;
            } else if is(MESSAGE_ID) {
                set(&mut own_id, MESSAGE_ID, value, "an id")?;
            } else if is(DEDUPLICATION_ID) {
                // Others may deduplicate by anything.
                deduplication_id = deduplication_id.or_else(|| value.parse().ok());
            } else if is(CORRELATION_ID) {
                set(&mut headers.correlation_id, CORRELATION_ID, value, "an id")?;
            } else if is(CAUSATION_ID) {
                set(&mut headers.causation_id, CAUSATION_ID, value, "an id")?;
            } else if is(AGGREGATE_ID) {
                set(&mut headers.aggregate_id, AGGREGATE_ID, value, "a UUID")?;
            } else if is(TIMESTAMP) {
                set(&mut headers.timestamp, TIMESTAMP, value, "a moment as RFC 3339")?;
            } else if is(SCHEMA_VERSION) {
                set(&mut headers.schema, SCHEMA_VERSION, value, "a number from 1")?;
                if headers.schema == Some(0) {
                    return Err(BadHeader::new(SCHEMA_VERSION, value, "a number from 1"));
                }
            } else if is(EVENT_TYPE) {
                set(&mut headers.event_type, EVENT_TYPE, value, "text")?;
            } else if is(DOMAIN) {
                set(&mut headers.domain, DOMAIN, value, "text")?;
            } else if is(USER_ID) {
                // It is written down with what is done, and stands in lines and headers then.
                if value.chars().any(char::is_control) || value.len() > LONGEST_USER {
                    let expected = "a short name without control characters";
                    return Err(BadHeader::new(USER_ID, value, expected));
                }
                set(&mut headers.user, USER_ID, value, "text")?;
            }
        }
        let aggregate = headers.aggregate_id.map(MessageId::Uuid);
        let is_message = |id: &MessageId| Some(id) != aggregate.as_ref();
        let ids = [own_id, event_id, deduplication_id];
        headers.message_id = ids.into_iter().flatten().find(is_message);
        Ok(headers)
    }

    /// The identity, if the message has an id: a message of which nothing else is known caused
    /// itself and began its conversation.
    #[must_use]
    pub fn identity(&self) -> Option<MessageIdentity> {
        self.message_id.clone().map(|id| self.identity_of(id))
    }

    /// The identity of the message with this id, for those whose headers have none.
    #[must_use]
    pub fn identity_of(&self, message_id: MessageId) -> MessageIdentity {
        let or_itself = |id: &Option<MessageId>| id.clone().unwrap_or_else(|| message_id.clone());
        let causation_id = or_itself(&self.causation_id);
        let correlation_id = match (&self.correlation_id, &self.causation_id) {
            (Some(id), _) => id.clone(),
            // Whatever caused it belongs to the conversation.
            (None, Some(cause)) => cause.clone(),
            (None, None) => message_id.clone(),
        };
        MessageIdentity { message_id, correlation_id, causation_id }
    }
}

/// Bytes that the name of a user may have.
const LONGEST_USER: usize = 1_024;

/// Notes the first value of a header; an empty one is as good as none.
fn set<T: std::str::FromStr>(
    slot: &mut Option<T>,
    name: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<(), BadHeader> {
    if slot.is_none() && !value.is_empty() {
        *slot = Some(value.parse().map_err(|_| BadHeader::new(name, value, expected))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CheckFlake;

    const ONE: &str = "0198f7a2-7c00-7000-8000-000000000001";
    const TWO: &str = "0198f7a2-7c00-7000-8000-000000000002";
    const AGGREGATE: &str = "305e9bba-2c9c-50f9-a922-34b228dc03cc";

    fn id(text: &str) -> MessageId {
        text.parse().expect("an id")
    }

    fn read(pairs: &[(&str, &str)]) -> Headers {
        Headers::read(pairs.iter().copied()).expect("good headers")
    }

    fn event(identity: MessageIdentity) -> Event {
        crate::event::FlakeDeleted {
            flake_id: Uuid::try_parse(AGGREGATE).expect("written above"),
            timestamp: Timestamp::from_micros(1_795_530_059_123_456),
            identity,
            path: "/p".to_owned(),
            undoes: None,
            changes: Vec::new(),
        }
        .into()
    }

    #[test]
    fn an_event_has_all_of_them() {
        let root = MessageIdentity::root(id(ONE).uuid().expect("a UUID"));
        let event = event(root.caused(id(TWO).uuid().expect("a UUID")));
        let pairs = of_event(&event, Some("ann")).expect("a good name");
        let shown: String =
            pairs.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        expect_test::expect![[r#"
            X-Event-ID: 0198f7a2-7c00-7000-8000-000000000002
            Nats-Msg-Id: 0198f7a2-7c00-7000-8000-000000000002
            X-Correlation-ID: 0198f7a2-7c00-7000-8000-000000000001
            X-Causation-ID: 0198f7a2-7c00-7000-8000-000000000001
            X-Domain: nix
            X-Event-Type: FlakeDeleted
            X-Aggregate-ID: 305e9bba-2c9c-50f9-a922-34b228dc03cc
            X-Timestamp: 2026-11-24T14:20:59.123456Z
            X-Schema-Version: 1
            X-User-ID: ann
        "#]]
        .assert_eq(&shown);
        let headers =
            read(&pairs.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>());
        assert_eq!(headers.identity().as_ref(), Some(event.identity()));
        assert_eq!(headers.schema, Some(1));
        assert_eq!(headers.timestamp, Some(event.at()));
        assert_eq!(headers.aggregate_id, Some(event.aggregate()));
        assert_eq!(headers.user.as_deref(), Some("ann"));
    }

    #[test]
    fn content_ids_pass() {
        let mut identity = MessageIdentity::root(id(ONE).uuid().expect("a UUID"));
        identity.correlation_id = id("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy");
        let command: Command =
            CheckFlake { path: "/p".to_owned(), identity: identity.clone() }.into();
        let pairs = of_command(&command, None).expect("no name");
        let headers =
            read(&pairs.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>());
        assert_eq!(headers.identity(), Some(identity));
    }

    #[test]
    fn prefixes_are_stripped_and_capitals_do_not_matter() {
        let correlation = format!("correlation:{ONE}");
        let headers = read(&[
            ("x-message-id", TWO),
            ("X-CORRELATION-ID", &correlation),
            ("X-Causation-ID", " causation:0198f7a2-7c00-7000-8000-000000000001 "),
            ("X-Unknown", "\u{1}"),
        ]);
        let root = MessageIdentity::root(id(ONE).uuid().expect("a UUID"));
        assert_eq!(headers.identity(), Some(root.caused(id(TWO).uuid().expect("a UUID"))));
    }

    #[test]
    fn the_id_of_an_aggregate_is_none_of_an_event() {
        let headers = read(&[("X-Event-ID", AGGREGATE), ("X-Aggregate-ID", AGGREGATE)]);
        assert_eq!((headers.message_id.clone(), headers.identity()), (None, None));
        let headers = read(&[
            ("X-Event-ID", AGGREGATE),
            ("X-Aggregate-ID", AGGREGATE),
            ("Nats-Msg-Id", ONE),
            ("X-Causation-ID", TWO),
        ]);
        let identity = headers.identity().expect("the broker's id is left");
        assert_eq!((identity.message_id, identity.correlation_id), (id(ONE), id(TWO)));
    }

    #[test]
    fn a_message_without_ids_gets_one() {
        let root = MessageIdentity::root(id(ONE).uuid().expect("a UUID"));
        assert_eq!(Headers::default().identity_of(id(ONE)), root);
    }

    #[test]
    fn says_which_header_is_bad() {
        let mut errors = String::new();
        for (name, value) in [
            ("X-Event-ID", "7"),
            ("X-Correlation-ID", "correlation:"),
            ("X-Aggregate-ID", "flake"),
            ("X-Timestamp", "yesterday\r\nX-User-ID: root"),
            ("X-Schema-Version", "0"),
            ("x-schema-version", "4294967296"),
        ] {
            let error = Headers::read([(name, value)]).expect_err("a bad header");
            errors.push_str(&format!("{error}\n"));
        }
        let named = event(MessageIdentity::root(id(ONE).uuid().expect("a UUID")));
        let error = of_event(&named, Some("ann\r\nX-Domain: git")).expect_err("two lines");
        errors.push_str(&format!("{error}\n"));
        expect_test::expect![[r#"
            the header X-Event-ID is `7`, not an id
            the header X-Correlation-ID is `correlation:`, not an id
            the header X-Aggregate-ID is `flake`, not a UUID
            the header X-Timestamp is `yesterday\r\nX-User-ID: root`, not a moment as RFC 3339
            the header X-Schema-Version is `0`, not a number from 1
            the header X-Schema-Version is `4294967296`, not a number from 1
            the header X-User-ID is `ann\r\nX-Domain: git`, not a name without control characters
        "#]]
        .assert_eq(&errors);
    }
}
