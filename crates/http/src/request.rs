//! Reading requests: who is asked, headers, parameters, bodies.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::rejection::RawPathParamsRejection;
use bytes::Bytes;
use cim_domain_nix::headers::{BadHeader, Headers};
use cim_domain_nix::{MessageId, Uuid, headers as names};
use cim_nix_service::{Caller, Cause, Known, Refusal, Tenant};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts as Head;
use hyper::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::front::Shared;
use crate::problem::Problem;

pub(crate) const MESSAGE_ID: HeaderName = HeaderName::from_static("x-message-id");
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Which tenant is asked, by whom, and the other parts of the path.
pub(crate) struct Asking {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) caller: Caller,
    /// What stands in the path behind the tenant.
    pub(crate) rest: Option<String>,
}

impl FromRequestParts<Arc<Shared>> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Head, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let unread = |problem: RawPathParamsRejection| Problem::malformed(problem.to_string());
        let params = axum::extract::RawPathParams::from_request_parts(head, shared);
        let params = params.await.map_err(unread)?;
        let (mut name, mut rest) = (None, None);
        for (key, value) in &params {
            match key {
                "tenant" => name = Some(value),
                _ => rest = Some(value.to_owned()),
            }
        }
        let known = head.extensions.get::<Arc<Known>>().cloned();
        let known = known.ok_or_else(|| Problem::unauthenticated("nobody knows who asks"))?;
        let name = name.unwrap_or_default();
        // Whether there is such a tenant is the business of those who may ask it.
        let is_allowed = known.tenants.iter().any(|tenant| tenant == name);
        let tenant = shared.service.tenant(name).filter(|_| is_allowed);
        let Some(tenant) = tenant else {
            let path = head.uri.path();
            let refusal = Refusal::new(Cause::Forbidden, "this tenant is not open to the caller");
            shared.note(&known.caller, name, path, &refusal);
            return Err(refusal.into());
        };
        Ok(Self { tenant: tenant.clone(), caller: known.caller.clone(), rest })
    }
}

/// Reads the headers that messages have.
///
/// Errors: one is no text, or not what it should be.
pub(crate) fn message_headers(headers: &HeaderMap) -> Result<Headers, Problem> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-") {
            continue;
        }
        let is_known =
            [names::MESSAGE_ID, names::CORRELATION_ID, names::CAUSATION_ID, names::USER_ID]
                .into_iter()
                .any(|known| known.eq_ignore_ascii_case(name));
        if is_known {
            let value = text(name, value)?;
            if value.trim().is_empty() && name != "x-user-id" {
                return Err(Problem::malformed(format!("the header {name} is empty")));
            }
            pairs.push((name, value));
        }
    }
    if pairs.is_empty() {
        return Ok(Headers::default());
    }
    Headers::read(pairs).map_err(|error: BadHeader| Problem::malformed(error.to_string()))
}

fn text<'v>(name: &str, value: &'v HeaderValue) -> Result<&'v str, Problem> {
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let text = text.filter(|text| !text.chars().any(char::is_control));
    text.ok_or_else(|| Problem::malformed(format!("the header {name} is no text")))
}

/// The id of the command that a key of idempotency stands for: a UUID is the id itself, any other
/// text leads to one that only this caller of this tenant gets.
///
/// Errors: the key is empty, no text, or longer than 255 bytes.
pub(crate) fn idempotency_key(
    headers: &HeaderMap,
    asking: &Asking,
) -> Result<Option<MessageId>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = keys.next() else { return Ok(None) };
    let key = text("Idempotency-Key", value)?.trim();
    // As structured headers have it, text stands in quotes.
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if bare.is_empty() || bare.len() > 255 || keys.next().is_some() {
        return Err(Problem::malformed("Idempotency-Key is one text of 1 to 255 bytes"));
    }
    Ok(Some(MessageId::Uuid(match Uuid::try_parse(bare) {
        Ok(id) => id,
        Err(_) => id_of_key(asking.tenant.name(), &asking.caller.name, bare),
    })))
}

fn id_of_key(tenant: &str, caller: &str, key: &str) -> Uuid {
    let mut hash = Sha256::new();
    for part in ["cim-nix idempotency key", tenant, caller, key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}

/// The version that the caller expects: `If-Match: "3"`, or `If-None-Match: *` for none yet.
///
/// Errors: what they say is no version.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    if let Some(value) = headers.get(header::IF_NONE_MATCH) {
        return match value.as_bytes() {
            b"*" if !headers.contains_key(header::IF_MATCH) => Ok(Some(0)),
            _ => Err(Problem::malformed("of a command, If-None-Match can only say `*`")
                .hint("it means that the thing must not be there yet")),
        };
    }
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let wanted = value.to_str().ok().map(str::trim);
    let digits = wanted.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let version = digits.filter(is_number).and_then(|text| text.parse().ok());
    version.map(Some).ok_or_else(|| {
        Problem::malformed("If-Match has to be one version in quotes, such as \"3\"")
            .hint("answers to queries have it as their ETag")
    })
}

/// The span of the caller, if the header is one.
pub(crate) fn trace(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let hex = |part: &str, n: usize| {
        part.len() == n && part.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let is_span = hex(parts.next()?, 2)
        && hex(parts.next()?, 32)
        && hex(parts.next()?, 16)
        && hex(parts.next()?, 2)
        && parts.next().is_none();
    is_span.then(|| text.to_owned())
}

/// Whether the caller wants a stream.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        let mut types = accepted.split(',').map(|it| it.split(';').next().unwrap_or_default());
        types.any(|it| it.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// Names and values of parameters.
pub(crate) type Params<'q> = Vec<(Cow<'q, str>, Cow<'q, str>)>;

/// The parameters of a query string, each once.
///
/// Errors: one comes twice, or is none of `known`.
pub(crate) fn params<'q>(query: Option<&'q str>, known: &[&str]) -> Result<Params<'q>, Problem> {
    let mut params = Params::new();
    let Some(query) = query else { return Ok(params) };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&&*name) {
            let shown: String = name.chars().take(60).collect();
            let known = match known {
                [] => "there are none here".to_owned(),
                known => format!("there are {}", known.join(", ")),
            };
            let problem = format!("there is no parameter `{}`", shown.escape_debug());
            return Err(Problem::malformed(problem).hint(known));
        }
        if params.iter().any(|(other, _)| *other == name) {
            return Err(Problem::malformed(format!("the parameter `{name}` comes twice")));
        }
        params.push((name, value));
    }
    Ok(params)
}

/// A number among the parameters.
///
/// Errors: it is none, or larger than `most`.
pub(crate) fn number(
    params: &[(Cow<'_, str>, Cow<'_, str>)],
    name: &str,
    most: u64,
) -> Result<Option<u64>, Problem> {
    let Some((_, value)) = params.iter().find(|(known, _)| known == name) else { return Ok(None) };
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number| is_number && *number <= most);
    number
        .map(Some)
        .ok_or_else(|| Problem::malformed(format!("`{name}` has to be a number from 0 to {most}")))
}

/// A yes or no among the parameters; no if it is not there.
///
/// Errors: it is neither.
pub(crate) fn flag(params: &[(Cow<'_, str>, Cow<'_, str>)], name: &str) -> Result<bool, Problem> {
    match params.iter().find(|(known, _)| known == name).map(|(_, value)| &**value) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::malformed(format!("`{name}` has to be true or false"))),
    }
}

/// Reads a body of JSON.
///
/// Errors: it is of another type, too large, or takes too long.
pub(crate) async fn body(
    headers: &HeaderMap,
    body: axum::body::Body,
    most: usize,
    time: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let refusal = Refusal::new(Cause::TooLarge, format!("{most} bytes are allowed"));
        // What was not read is still on its way.
        Problem::from(refusal).header(header::CONNECTION, HeaderValue::from_static("close"))
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        let detail = "the body has to come as it is, without Content-Encoding";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", detail));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > most as u64) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(time, Limited::new(body, most).collect()).await;
    let Ok(read) = read else {
        let detail = format!("the body took longer than {} s", time.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Cause::TimedOut.word(), detail)
            .header(header::CONNECTION, HeaderValue::from_static("close")));
    };
    let bytes = match read {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => return Err(Problem::malformed(format!("the body ended early: {error}"))),
    };
    if !bytes.is_empty() && !is_json(headers) {
        let detail = "the body has to be JSON, and its Content-Type application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", detail));
    }
    Ok(bytes)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let own = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own = own.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = own == "application/json"
        || own.strip_prefix("application/").is_some_and(|own| own.ends_with("+json"));
    is_json && types.next().is_none()
}

/// A header for a version.
pub(crate) fn etag(version: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

/// Whether `If-None-Match` has this tag; both may be weak.
pub(crate) fn has_tag(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(bare) else { return false };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || value.split(',').any(|known| bare(known) == tag))
}
