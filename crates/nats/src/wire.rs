//! Requests and replies as messages of NATS: headers in, headers out.

use std::str::FromStr as _;
use std::time::Duration;

use async_nats::header::HeaderName;
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use cim_domain_nix::headers::{self, Headers};
use cim_domain_nix::{MessageId, Uuid};
use cim_nix_service::{Cause, Refusal, Reply};

/// The version that the aggregate must have.
pub(crate) const EXPECTED_VERSION: &str = "X-Expected-Version";
/// Whether it is only asked what would happen.
pub(crate) const DRY_RUN: &str = "X-Dry-Run";
/// The longest time to take, in milliseconds.
pub(crate) const TIMEOUT: &str = "X-Timeout-Ms";
/// The span that a message belongs to.
pub(crate) const TRACE: &str = "traceparent";
/// What went wrong, as services of NATS say it.
pub(crate) const SERVICE_ERROR: &str = "Nats-Service-Error";
/// Its status, as HTTP has it.
pub(crate) const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// What the headers of a request wish.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wishes {
    pub(crate) headers: Headers,
    pub(crate) expected: Option<u64>,
    pub(crate) is_dry_run: bool,
    pub(crate) patience: Option<Duration>,
    pub(crate) trace: Option<String>,
}

/// Reads the headers of a request.
///
/// Errors: a value that is not what it should be. What only helps to look at things, a trace, is
/// passed over instead.
pub(crate) fn wishes(map: Option<&HeaderMap>) -> Result<Wishes, Refusal> {
    let Some(map) = map else { return Ok(Wishes::default()) };
    let mut wishes = Wishes::default();
    for (name, value) in pairs(map) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let value = value.trim();
        let malformed = |expected: &str| {
            let shown: String = value.chars().take(60).collect();
            let shown = shown.escape_debug();
            Refusal::new(
                Cause::Malformed,
                format!("the header {name} is `{shown}`, not {expected}"),
            )
        };
        if is(EXPECTED_VERSION) {
            // As an ETag it stands in quotes.
            let number = value.trim_matches('"').parse();
            wishes.expected = Some(number.map_err(|_| malformed("a version"))?);
        } else if is(DRY_RUN) {
            wishes.is_dry_run = match &*value.to_ascii_lowercase() {
                "true" | "1" => true,
                "false" | "0" | "" => false,
                _ => return Err(malformed("true or false")),
            };
        } else if is(TIMEOUT) {
            let millis = value.parse().map_err(|_| malformed("a number of milliseconds"))?;
            wishes.patience = Some(Duration::from_millis(millis));
        } else if is(TRACE) && is_trace(value) {
            wishes.trace = Some(value.to_owned());
        }
    }
    wishes.headers = Headers::read(pairs(map))
        .map_err(|error| Refusal::new(Cause::Malformed, error.to_string()))?;
    Ok(wishes)
}

fn pairs(map: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    map.iter().filter_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.first().map(|value| (name, value.as_str()))
    })
}

/// Whether it is a `traceparent` of version 00: `00-TRACE-SPAN-FLAGS` in hexadecimal.
fn is_trace(value: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let is_hex =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    value.len() == 55
        && value.starts_with("00-")
        && value.split('-').map(str::len).eq(lengths)
        && value.split('-').all(is_hex)
}

/// A reply on its way.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

const MESSAGE_ID: HeaderName = HeaderName::from_static(headers::MESSAGE_ID);
const CORRELATION_ID: HeaderName = HeaderName::from_static(headers::CORRELATION_ID);
const CAUSATION_ID: HeaderName = HeaderName::from_static(headers::CAUSATION_ID);
const TRACEPARENT: HeaderName = HeaderName::from_static(TRACE);

/// The message for a reply. `id` is its own; one that is longer than `most` bytes is refused in its
/// place.
pub(crate) fn answer(
    reply: &Reply,
    asked: &Headers,
    trace: Option<&str>,
    id: Uuid,
    most: usize,
) -> Answer {
    let mut text = reply.to_json();
    let mut refusal = reply.refusal();
    let too_long;
    if text.len() + 1_024 > most {
        too_long = Refusal::new(
            Cause::TooLarge,
            format!("the answer has {} bytes; the server takes {most}", text.len()),
        )
        .hint("ask for less at a time with `limit`, or over HTTP");
        let ids = match reply {
            Reply::Accepted(accepted) => Some(&accepted.ids),
            Reply::Answered(answered) => Some(&answered.ids),
            Reply::Refused(_, ids) => ids.as_ref(),
        };
        text = too_long.to_value(ids).to_string();
        refusal = Some(&too_long);
    }
    let (message, correlation) = match reply {
        Reply::Accepted(accepted) => (Some(&accepted.ids.message), Some(&accepted.ids.correlation)),
        Reply::Answered(answered) => (Some(&answered.ids.message), Some(&answered.ids.correlation)),
        Reply::Refused(_, Some(ids)) => (Some(&ids.message), Some(&ids.correlation)),
        Reply::Refused(_, None) => (asked.message_id.as_ref(), asked.correlation_id.as_ref()),
    };
    let mut map = HeaderMap::new();
    map.insert(MESSAGE_ID, value(&id.to_string()));
    let id_value = |id: &MessageId| value(&id.to_string());
    if let Some(correlation) = correlation.or(message) {
        map.insert(CORRELATION_ID, id_value(correlation));
    }
    if let Some(message) = message {
        map.insert(CAUSATION_ID, id_value(message));
    }
    if let Some(trace) = trace {
        map.insert(TRACEPARENT, value(trace));
    }
    if let Some(refusal) = refusal {
        map.insert(SERVICE_ERROR, value(&one_line(&refusal.message)));
        map.insert(SERVICE_ERROR_CODE, value(&refusal.cause.status().to_string()));
    }
    Answer { headers: map, body: text.into() }
}

/// A value for a header; empty if it could not be one.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_default()
}

/// What fits into a header.
fn one_line(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use cim_nix_service::{Answered, Ids};

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, text) in pairs {
            map.append(*name, value(text));
        }
        map
    }

    #[test]
    fn reads_what_is_wished() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = wishes(Some(&map(&[
            ("x-expected-version", "\"7\""),
            ("X-DRY-RUN", "True"),
            ("X-Timeout-Ms", " 1500 "),
            ("Traceparent", trace),
            ("X-User-ID", "ann"),
            ("X-Correlation-ID", "correlation:0198f7a2-7c00-7000-8000-000000000001"),
        ])))
        .expect("good headers");
        assert_eq!(read.expected, Some(7));
        assert_eq!(read.patience, Some(Duration::from_millis(1_500)));
        assert_eq!((read.is_dry_run, read.trace.as_deref()), (true, Some(trace)));
        assert_eq!(read.headers.user.as_deref(), Some("ann"));
        assert!(read.headers.correlation_id.is_some());
    }

    #[test]
    fn a_trace_that_is_none_is_passed_over() {
        for trace in
            ["", "00", "00-x-y-z", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"]
        {
            assert_eq!(wishes(Some(&map(&[("traceparent", trace)]))).expect("good").trace, None);
        }
    }

    #[test]
    fn says_which_header_is_bad() {
        let mut errors = String::new();
        for (name, value) in [
            ("X-Expected-Version", "new"),
            ("X-Dry-Run", "perhaps"),
            ("X-Timeout-Ms", "-1"),
            ("X-Correlation-ID", "7"),
        ] {
            let refusal = wishes(Some(&map(&[(name, value)]))).expect_err("a bad header");
            errors.push_str(&format!("{} {}\n", refusal.cause.word(), refusal.message));
        }
        expect_test::expect![[r#"
            malformed the header X-Expected-Version is `new`, not a version
            malformed the header X-Dry-Run is `perhaps`, not true or false
            malformed the header X-Timeout-Ms is `-1`, not a number of milliseconds
            malformed the header X-Correlation-ID is `7`, not an id
        "#]]
        .assert_eq(&errors);
    }

    #[test]
    fn an_answer_that_is_too_long_is_a_refusal_with_the_same_ids() {
        let id: MessageId = "0198f7a2-7c00-7000-8000-000000000001".parse().expect("an id");
        let reply = Reply::Answered(Answered {
            ids: Ids { message: id.clone(), correlation: id, is_enveloped: false },
            result: format!("\"{}\"", "x".repeat(5_000)).into(),
            version: None,
        });
        let small = answer(&reply, &Headers::default(), None, Uuid::nil(), 1 << 20);
        assert!(small.headers.get(SERVICE_ERROR).is_none() && small.body.len() > 5_000);
        let large = answer(&reply, &Headers::default(), None, Uuid::nil(), 4_096);
        let code = large.headers.get(SERVICE_ERROR_CODE).expect("a code").as_str();
        let body: serde_json::Value = serde_json::from_slice(&large.body).expect("JSON");
        assert_eq!((code, &body["code"]), ("413", &serde_json::json!("too_large")));
        assert_eq!(body["command_id"]["id"], "0198f7a2-7c00-7000-8000-000000000001");
    }

    #[test]
    fn what_a_refusal_says_is_one_line_in_headers() {
        let refusal = Refusal::new(Cause::Rejected, "bad\r\nX-User-ID: root");
        let reply = Reply::Refused(refusal, None);
        let answer = answer(&reply, &Headers::default(), None, Uuid::nil(), 1 << 20);
        let said = answer.headers.get(SERVICE_ERROR).expect("an error").as_str();
        assert_eq!(said, "bad  X-User-ID: root");
    }
}
