//! Server-sent events: what is written, and clients that do not keep up.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cim_nix_service::{Caller, Cause, Refusal, Tenant};
use futures_util::Stream;
use hyper::header::{self, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::front::Shared;
use crate::problem::Problem;
use crate::settings::seconds;
use crate::shares::{Share, TenantCaller};

/// Events that wait for a client.
const WAITING: usize = 16;

/// Where a stream is written to.
pub(crate) struct Writer {
    events: mpsc::Sender<Bytes>,
    /// Why the stream ended, for its last event.
    end: Arc<OnceLock<&'static str>>,
    patience: Duration,
}

/// The client is gone, or took nothing for too long.
pub(crate) struct Gone;

impl Writer {
    /// Writes an event; waits for a client that is behind, but not for ever.
    ///
    /// Errors: the stream is over.
    pub(crate) async fn send(&self, event: Bytes) -> Result<(), Gone> {
        match tokio::time::timeout(self.patience, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                self.end("too_slow");
                Err(Gone)
            }
        }
    }

    /// Says why the stream ends; the first reason counts.
    pub(crate) fn end(&self, reason: &'static str) {
        let _ = self.end.set(reason);
    }

    /// Waits until the client is gone.
    pub(crate) async fn gone(&self) {
        self.events.closed().await;
    }
}

/// The events of a stream as its body.
struct Reader {
    events: mpsc::Receiver<Bytes>,
    end: Arc<OnceLock<&'static str>>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
    _share: Share<TenantCaller>,
    _counted: Counted,
}

impl Stream for Reader {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match self.events.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(event))),
            Poll::Ready(None) => {
                self.is_over = true;
                let last = self
                    .end
                    .get()
                    .map(|reason| Ok(event("end", None, &format!(r#"{{"reason":"{reason}"}}"#))));
                Poll::Ready(last)
            }
        }
    }
}

/// A stream in the gauge of what is under way.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("cim_nix_in_flight", "kind" => "http_stream").increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("cim_nix_in_flight", "kind" => "http_stream").decrement(1);
    }
}

/// A response that is a stream, and where it is written to.
///
/// Errors: there are as many as there may be.
pub(crate) fn open(
    shared: &Shared,
    tenant: &Tenant,
    caller: &Caller,
) -> Result<(Response, Writer), Problem> {
    let of = (tenant.name().clone(), caller.name.clone());
    let share =
        shared.streams_of.enter(of, shared.settings.streams_per_caller).ok_or_else(|| {
            Refusal::new(Cause::Limited, "this caller has as many streams open as one may have")
                .after(Duration::from_secs(5))
        })?;
    let place = shared.streams.clone().try_acquire_owned().map_err(|_| {
        Refusal::new(Cause::Overloaded, "as many streams as possible are open")
            .after(Duration::from_secs(5))
    })?;
    let (sender, events) = mpsc::channel(WAITING);
    let end = Arc::new(OnceLock::new());
    let reader = Reader {
        events,
        end: end.clone(),
        is_over: false,
        _place: place,
        _share: share,
        _counted: Counted::new(),
    };
    let mut response = Response::new(Body::from_stream(reader));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies would keep events until they have many.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let patience = seconds(shared.settings.stall_seconds);
    Ok((response, Writer { events: sender, end, patience }))
}

/// One event. Line ends in `data`, which JSON may have between its parts, start a line of their own.
pub(crate) fn event(name: &str, id: Option<u64>, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + 64);
    // Writing to a text does not fail.
    let _ = writeln!(text, "event: {name}");
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    for line in data.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
    Bytes::from(text)
}

/// A sign of life.
pub(crate) fn heartbeat() -> Bytes {
    Bytes::from_static(b": alive\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_lines_of_their_own() {
        let event = event("event", Some(7), "{\n\"a\": 1\r\n}");
        let text = std::str::from_utf8(&event).expect("text");
        assert_eq!(text, "event: event\nid: 7\ndata: {\ndata: \"a\": 1\ndata: }\n\n");
    }
}
