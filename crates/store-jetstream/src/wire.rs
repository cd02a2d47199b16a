//! A message of the stream: one append with all its events.
//!
//! The payload is a JSON array of events, so anybody can read it. One header says what the events
//! do not: the version of this format, the version of the first event in its stream, how many there
//! are, a sum of all that, and which attempt wrote it. A payload that the server would refuse for
//! its length stands in parts before its message, whose own payload lists them.

use std::borrow::Cow;
use std::sync::Arc;

use async_nats::Subject;
use bytes::Bytes;
use cim_domain_nix::{
    Append, MessageId, NewEvent, Record, StoreError, StreamId, Timestamp, Uuid, Visit,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use twox_hash::XxHash3_64;

/// The header that makes a message one of ours.
pub(crate) const HEADER: &str = "Cim-Append";
/// The format that is written, and the newest that can be read.
pub(crate) const FORMAT: u32 = 1;

/// What the header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// The version of the first event.
    pub(crate) first: u64,
    pub(crate) n_events: u32,
    /// Whether the payload lists parts.
    pub(crate) is_parted: bool,
    pub(crate) sum: u64,
    /// Tells apart who wrote the same events at once.
    pub(crate) attempt: u64,
}

/// Why a header could not be read.
pub(crate) enum BadHead {
    Newer(u32),
    Broken,
}

impl Head {
    /// The header's text: `FORMAT FIRST COUNT whole|parts SUM ATTEMPT`.
    pub(crate) fn print(&self) -> String {
        let Self { first, n_events, is_parted, sum, attempt } = self;
        let mut out = String::with_capacity(96);
        push_number(&mut out, FORMAT.into());
        for number in [*first, (*n_events).into()] {
            out.push(' ');
            push_number(&mut out, number);
        }
        out.push_str(if *is_parted { " parts " } else { " whole " });
        push_hex(&mut out, *sum);
        out.push(' ');
        push_hex(&mut out, *attempt);
        out
    }

    pub(crate) fn read(text: &str) -> Result<Self, BadHead> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(BadHead::Broken);
        let format: u32 = next()?.parse().map_err(|_| BadHead::Broken)?;
        if format > FORMAT {
            return Err(BadHead::Newer(format));
        }
        let head = Self {
            first: next()?.parse().map_err(|_| BadHead::Broken)?,
            n_events: next()?.parse().map_err(|_| BadHead::Broken)?,
            is_parted: match next()? {
                "whole" => false,
                "parts" => true,
                _ => return Err(BadHead::Broken),
            },
            sum: u64::from_str_radix(next()?, 16).map_err(|_| BadHead::Broken)?,
            attempt: u64::from_str_radix(next()?, 16).map_err(|_| BadHead::Broken)?,
        };
        match words.next().is_none() && head.first > 0 && head.n_events > 0 {
            true => Ok(head),
            false => Err(BadHead::Broken),
        }
    }
}

/// As `{number}`. This and the next ones, as a format takes several times as long.
pub(crate) fn push_number(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// As `{number:016x}`.
pub(crate) fn push_hex(out: &mut String, number: u64) {
    let digit = |place: u32| (number >> (4 * place)) as usize & 15;
    out.extend((0..16).rev().map(|place| char::from(b"0123456789abcdef"[digit(place)])));
}

/// As `{id}`.
pub(crate) fn push_uuid(out: &mut String, id: Uuid) {
    out.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

/// Errors: it is no text, which those that are made here are.
pub(crate) fn subject(text: Bytes) -> Result<Subject, StoreError> {
    Subject::from_utf8(text).map_err(|error| StoreError::Invalid(error.to_string()))
}

/// The sum of a whole payload at its place.
pub(crate) fn sum(stream: &StreamId, first: u64, n_events: u32, payload: &[u8]) -> u64 {
    let mut place = String::with_capacity(128);
    place.push_str(stream.kind.token());
    place.push('-');
    push_uuid(&mut place, stream.id);
    for number in [first, n_events.into()] {
        place.push(' ');
        push_number(&mut place, number);
    }
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(place.as_bytes()), payload)
}

/// An event as JSON.
#[derive(Deserialize)]
struct Line<'a> {
    id: Uuid,
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    schema: u32,
    at: Timestamp,
    correlation: MessageId,
    causation: MessageId,
    #[serde(borrow, default, deserialize_with = "some")]
    body: Option<&'a RawValue>,
    /// A body with space around it, which JSON would drop.
    #[serde(borrow, default)]
    body_text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "some")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    meta_text: Option<Cow<'a, str>>,
}

/// `null` is a body as well.
fn some<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The payload of an append whose events were checked: their bodies are JSON. With room for `more`.
pub(crate) fn print_events(events: &[NewEvent], more: usize) -> Vec<u8> {
    // By hand: a serializer would have to be shown again that bodies are JSON.
    let room = |event: &NewEvent| event.body.len() + event.meta.len() + event.event_type.len();
    let room: usize = events.iter().map(|event| room(event) + 320).sum();
    let mut out = Vec::with_capacity(room + more);
    for (n, event) in events.iter().enumerate() {
        out.push(if n == 0 { b'[' } else { b',' });
        print(event, &mut out);
    }
    out.push(b']');
    out
}

fn print(event: &NewEvent, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    print_uuid(event.id, out);
    out.extend_from_slice(b",\"type\":");
    print_text(&event.event_type, out);
    print_text_of(format_args!(",\"schema\":{},\"at\":\"{}\"", event.schema, event.at), out);
    out.extend_from_slice(b",\"correlation\":");
    print_message_id(&event.correlation, out);
    out.extend_from_slice(b",\"causation\":");
    print_message_id(&event.causation, out);
    print_raw("body", &event.body, out);
    print_raw("meta", &event.meta, out);
    out.push(b'}');
}

/// JSON as it is where that keeps its bytes, as a text where it does not.
fn print_raw(key: &str, json: &str, out: &mut Vec<u8>) {
    let is_kept = json.trim_ascii().len() == json.len();
    let rest = if is_kept { "" } else { "_text" };
    for text in [",\"", key, rest, "\":"] {
        out.extend_from_slice(text.as_bytes());
    }
    match is_kept {
        true => out.extend_from_slice(json.as_bytes()),
        false => print_text(json, out),
    }
}

fn print_message_id(id: &MessageId, out: &mut Vec<u8>) {
    match id {
        MessageId::Uuid(id) => print_uuid(*id, out),
        MessageId::Cid(id) => {
            out.extend_from_slice(b"{\"Cid\":");
            print_text(id, out);
            out.push(b'}');
        }
    }
}

fn print_uuid(id: Uuid, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    out.push(b'"');
}

fn print_text(text: &str, out: &mut Vec<u8>) {
    // A text can always be written, and a vector takes everything.
    let _ = serde_json::to_writer(out, text);
}

fn print_text_of(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // A vector takes everything.
    let _ = out.write_fmt(text);
}

/// A message of ours, whole and with the right sum.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) stream: StreamId,
    pub(crate) head: Head,
    pub(crate) payload: Bytes,
}

/// What the index keeps of a message.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) stream: StreamId,
    pub(crate) first: u64,
    pub(crate) ids: SmallVec<[Uuid; 1]>,
    /// Each once.
    pub(crate) causes: SmallVec<[MessageId; 1]>,
    pub(crate) correlations: SmallVec<[MessageId; 1]>,
}

impl Facts {
    fn new(stream: &StreamId, first: u64) -> Self {
        let (ids, causes, correlations) = (SmallVec::new(), SmallVec::new(), SmallVec::new());
        Self { stream: stream.clone(), first, ids, causes, correlations }
    }

    pub(crate) fn of(append: &Append, first: u64) -> Self {
        let mut facts = Self::new(&append.stream, first);
        for event in &append.events {
            facts.push(event.id, &event.causation, &event.correlation);
        }
        facts
    }

    fn push(&mut self, id: Uuid, cause: &MessageId, correlation: &MessageId) {
        self.ids.push(id);
        for (list, id) in [(&mut self.causes, cause), (&mut self.correlations, correlation)] {
            if !list.contains(id) {
                list.push(id.clone());
            }
        }
    }
}

/// Which events of a message a reader wants, and in which order.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'w> {
    /// The position of the message's first event.
    pub(crate) position: u64,
    /// Only those with positions above.
    pub(crate) after: u64,
    /// Only those with positions up to this.
    pub(crate) until: u64,
    /// Only those that this says.
    pub(crate) which: &'w dyn Fn(&Record<'_>) -> bool,
    pub(crate) backwards: bool,
}

impl Stored {
    fn lines(&self) -> Result<Vec<Line<'_>>, StoreError> {
        let lines: Vec<Line<'_>> = serde_json::from_slice(&self.payload)
            .map_err(|error| self.broken(&format!("its events cannot be read: {error}")))?;
        match lines.len() == self.head.n_events as usize {
            true => Ok(lines),
            false => Err(self.broken("it has another number of events than it says")),
        }
    }

    fn broken(&self, problem: &str) -> StoreError {
        broken(self.sequence, problem)
    }

    pub(crate) fn facts(&self) -> Result<Facts, StoreError> {
        let mut facts = Facts::new(&self.stream, self.head.first);
        for line in self.lines()? {
            facts.push(line.id, &line.causation, &line.correlation);
        }
        Ok(facts)
    }

    /// Shows events to a visitor. Answers whether it wants more.
    pub(crate) fn visit(
        &self,
        wanted: Wanted<'_>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Visit {
        let lines = self.lines()?;
        let n_lines = lines.len();
        for n in 0..n_lines {
            let n = if wanted.backwards { n_lines - 1 - n } else { n };
            let record = self.record(&lines[n], n as u64, wanted.position)?;
            let is_wanted = (wanted.after < record.position && record.position <= wanted.until)
                && (wanted.which)(&record);
            if is_wanted && visit(&record)?.is_break() {
                return Ok(std::ops::ControlFlow::Break(()));
            }
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    fn record<'r>(
        &'r self,
        line: &'r Line<'r>,
        n: u64,
        position: u64,
    ) -> Result<Record<'r>, StoreError> {
        let text = |raw: Option<&'r RawValue>, text: &'r Option<Cow<'r, str>>| match (raw, text) {
            (Some(raw), None) => Ok(raw.get()),
            (None, Some(text)) => Ok(&**text),
            _ => Err(self.broken("an event has no body, or two")),
        };
        Ok(Record {
            position: position + n,
            kind: self.stream.kind.token(),
            aggregate: self.stream.id,
            version: self.head.first + n,
            id: line.id,
            event_type: &line.event_type,
            schema: line.schema,
            at: line.at,
            correlation: &line.correlation,
            causation: &line.causation,
            body: text(line.body, &line.body_text)?,
            meta: text(line.meta, &line.meta_text)?,
        })
    }

    /// What it weighs in a cache.
    pub(crate) fn weight(&self) -> usize {
        self.payload.len() + 200
    }
}

/// Damage at a message.
pub(crate) fn broken(sequence: u64, problem: &str) -> StoreError {
    StoreError::Corrupt { place: format!("message {sequence}"), problem: problem.to_owned() }
}

/// Whether a record says what an event that is to be stored says.
pub(crate) fn is_same(record: &Record<'_>, event: &NewEvent) -> bool {
    record.id == event.id
        && record.event_type == event.event_type
        && record.schema == event.schema
        && record.at == event.at
        && *record.correlation == event.correlation
        && *record.causation == event.causation
        && record.body == event.body
        && record.meta == event.meta
}

/// A message as it came, before anybody looked into it.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) header: Option<String>,
    pub(crate) payload: Bytes,
}

/// What a message is.
pub(crate) enum Content {
    /// An append.
    Stored(Arc<Stored>),
    /// Something that others put there; it takes a place on the subject of a stream, if it has one.
    Foreign(Option<StreamId>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    fn event(body: &str, meta: &str) -> NewEvent {
        NewEvent {
            id: Uuid::from_u128(1),
            event_type: "FlakeCreated".into(),
            schema: 1,
            at: Timestamp::from_micros(7),
            correlation: MessageId::Cid("bafkreiabcdefgh".into()),
            causation: MessageId::Uuid(Uuid::from_u128(2)),
            body: body.into(),
            meta: meta.into(),
        }
    }

    fn stored(events: &[NewEvent]) -> Stored {
        let stream = StreamId::new(cim_domain_nix::Kind::Flake, Uuid::from_u128(9));
        let payload = print_events(events, 0);
        let n_events = u32::try_from(events.len()).expect("few");
        let sum = sum(&stream, 3, n_events, &payload);
        let head = Head { first: 3, n_events, is_parted: false, sum, attempt: 5 };
        Stored { sequence: 12, stream, head, payload: payload.into() }
    }

    #[test]
    fn payloads_are_plain_json() {
        let stored = stored(&[event("{\"a\":1}", "{}"), event(" {}\n", "{ }")]);
        expect_test::expect![[r#"
            [{"id":"00000000-0000-0000-0000-000000000001","type":"FlakeCreated","schema":1,"at":"1970-01-01T00:00:00.000007Z","correlation":{"Cid":"bafkreiabcdefgh"},"causation":"00000000-0000-0000-0000-000000000002","body":{"a":1},"meta":{}},{"id":"00000000-0000-0000-0000-000000000001","type":"FlakeCreated","schema":1,"at":"1970-01-01T00:00:00.000007Z","correlation":{"Cid":"bafkreiabcdefgh"},"causation":"00000000-0000-0000-0000-000000000002","body_text":" {}\n","meta":{ }}]
            1 3 2 whole 7d428ad719b1576a 0000000000000005"#]]
        .assert_eq(&format!(
            "{}\n{}",
            std::str::from_utf8(&stored.payload).expect("JSON"),
            stored.head.print()
        ));
    }

    #[test]
    fn types_are_quoted() {
        let event = NewEvent { event_type: "a \"b\"\\\n\u{1}é".into(), ..event("{}", "{}") };
        let stored = stored(std::slice::from_ref(&event));
        let wanted = Wanted {
            position: 1,
            after: 0,
            until: 9,
            which: &|record| is_same(record, &event),
            backwards: false,
        };
        let mut n_seen = 0;
        let flow = stored.visit(wanted, &mut |_| {
            n_seen += 1;
            Ok(ControlFlow::Continue(()))
        });
        assert!(flow.is_ok() && n_seen == 1);
    }

    #[test]
    fn events_come_back_as_they_were() {
        let events = [event(" {\"a\": [1,\n2]}\t", "{\"b\" : 1}"), event("null", " {} ")];
        let stored = stored(&events);
        for backwards in [false, true] {
            let mut seen = Vec::new();
            let wanted = Wanted { position: 41, after: 0, until: 99, which: &|_| true, backwards };
            let flow = stored.visit(wanted, &mut |record| {
                assert!(is_same(record, &events[record.version as usize - 3]));
                seen.push(record.position);
                Ok(ControlFlow::Continue(()))
            });
            assert!(flow.expect("sound").is_continue());
            assert_eq!(seen, if backwards { [42, 41] } else { [41, 42] });
        }
        assert_eq!(stored.facts().expect("sound").causes.len(), 1);
    }

    #[test]
    fn heads_are_read_or_refused() {
        let head = stored(&[event("{}", "{}")]).head;
        assert!(Head::read(&head.print()).is_ok_and(|read| read == head));
        for text in [
            "",
            "1",
            "1 0 1 whole 0 0",
            "1 1 0 whole 0 0",
            "1 1 1 half 0 0",
            "1 1 1 whole 0 0 0",
            "1 1 1 whole x 0",
            "-1 1 1 whole 0 0",
        ] {
            assert!(matches!(Head::read(text), Err(BadHead::Broken)), "{text}");
        }
        assert!(matches!(Head::read("2 anything"), Err(BadHead::Newer(2))));
    }
}
