//! What is answered where a request comes to nothing: problems in JSON, as RFC 9457 has them.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cim_nix_service::{Cause, Ids, Refusal};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::request::{CORRELATION_ID, MESSAGE_ID};

/// The media type of problems.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A request that came to nothing.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hints: Vec<String>,
    retry_after: Option<Duration>,
    ids: Option<Box<Ids>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of the kind `code` that says `detail`.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (hints, headers) = (Vec::new(), Vec::new());
        Self { status, code, detail: detail.into(), hints, retry_after: None, ids: None, headers }
    }

    /// The request cannot be read.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Cause::Malformed.word(), detail)
    }

    /// There is nothing under the path.
    pub(crate) fn no_route() -> Self {
        let detail = "there is nothing under this path";
        Self::new(StatusCode::NOT_FOUND, Cause::NotFound.word(), detail)
            .hint("/openapi.json has all paths")
    }

    /// Nobody knows who asks.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"cim-nix\"");
        Self::new(StatusCode::UNAUTHORIZED, Cause::Unauthenticated.word(), detail)
            .header(header::WWW_AUTHENTICATE, challenge)
    }

    /// Adds a next step.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says when to try again.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    /// Sets a header of the answer.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    /// Answers with another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A refusal by the service.
    pub(crate) fn of(refusal: Refusal, ids: Option<Ids>) -> Self {
        let status = StatusCode::from_u16(refusal.cause.status());
        let mut problem = Self::new(
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            refusal.cause.word(),
            refusal.message,
        );
        problem.hints = refusal.hints;
        problem.retry_after = refusal.retry_after;
        problem.ids = ids.map(Box::new);
        problem
    }

    /// As JSON.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({
            "type": format!("urn:cim-nix:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or(self.code),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if !self.hints.is_empty() {
            value["hints"] = json!(self.hints);
        }
        if let Some(time) = self.retry_after {
            value["retry_after_ms"] = json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(ids) = &self.ids {
            value["message_id"] = json!(ids.message);
            value["correlation_id"] = json!(ids.correlation);
        }
        value
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::of(refusal, None)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Bytes::from(self.to_value().to_string());
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(time) = self.retry_after {
            // Whole seconds, as the header has them; at least one.
            let seconds = time.as_millis().div_ceil(1_000).max(1);
            if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
                headers.insert(header::RETRY_AFTER, value);
            }
        }
        if let Some(ids) = &self.ids {
            add_ids(headers, ids);
        }
        headers.extend(self.headers);
        response
    }
}

/// Says in headers which message an answer is to.
pub(crate) fn add_ids(headers: &mut HeaderMap, ids: &Ids) {
    // An id is a UUID or multibase text, which headers can hold.
    if let Ok(value) = HeaderValue::try_from(ids.message.to_string()) {
        headers.insert(MESSAGE_ID, value);
    }
    if let Ok(value) = HeaderValue::try_from(ids.correlation.to_string()) {
        headers.insert(CORRELATION_ID, value);
    }
}
