//! What happened: `GET /v1/{tenant}/events`, one event, and the stream of all.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use cim_domain_nix::{StoreError, Uuid};
use cim_nix_base::Error;
use cim_nix_service::{Cause, Refusal, Tenant};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Uri};
use tokio::sync::broadcast::error::RecvError;

use crate::feed::{Written, to_json, written};
use crate::front::Shared;
use crate::problem::Problem;
use crate::request::{Asking, number, params};
use crate::settings::seconds;
use crate::sse::{self, Gone, Writer};

/// Events in one answer, at most.
pub(crate) const MOST: u64 = 1_000;
/// Bytes of one answer, from which on no further event is added.
const BYTES: usize = 4 << 20;
/// Events that are read from the store at a time for one follower.
const PORTION: usize = 256;

/// Runs what waits for a store where that holds up nobody else.
pub(crate) async fn blocking<T: Send + 'static>(
    shared: &Shared,
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let time = seconds(shared.settings.query_seconds);
    match tokio::time::timeout(time, tokio::task::spawn_blocking(read)).await {
        Ok(Ok(read)) => read.map_err(|error| Refusal::from(Error::from(error)).into()),
        Ok(Err(_)) => Err(Refusal::new(Cause::Bug, "reading the store failed").into()),
        Err(_) => {
            let detail = format!("the store took longer than {} s", time.as_secs());
            Err(Refusal::new(Cause::TimedOut, detail).into())
        }
    }
}

/// A page of events, the oldest first.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    asking: Asking,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = params(uri.query(), &["after", "limit"])?;
    let after = number(&params, "after", i64::MAX as u64)?.unwrap_or(0);
    let limit = number(&params, "limit", MOST)?.unwrap_or(100);
    shared.service.admit_reader(&asking.tenant, &asking.caller, "events")?;
    let tenant = asking.tenant;
    Ok(json(blocking(&shared, move || page(&tenant, after, limit)).await?))
}

fn page(tenant: &Tenant, after: u64, limit: u64) -> Result<String, StoreError> {
    let store = tenant.store();
    let head = store.head()?;
    let mut text = "{\"items\":[".to_owned();
    let (mut next, mut n) = (after, 0);
    if limit > 0 {
        store.read_all(after, &mut |record| {
            if n > 0 {
                text.push(',');
            }
            text.push_str(&to_json(record));
            next = record.position;
            n += 1;
            Ok(match n < limit && text.len() < BYTES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
    }
    text.push_str(&format!("],\"next\":{next},\"head\":{}}}", head.max(next)));
    Ok(text)
}

fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// One event by its id.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    asking: Asking,
    uri: Uri,
) -> Result<Response, Problem> {
    params(uri.query(), &[])?;
    let id = asking.rest.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    let id = id.ok_or_else(|| Problem::malformed("the id of an event is a UUID"))?;
    shared.service.admit_reader(&asking.tenant, &asking.caller, "events")?;
    let tenant = asking.tenant;
    let found = blocking(&shared, move || find(&tenant, id)).await?;
    let found = found.ok_or_else(|| Refusal::new(Cause::NotFound, "there is no such event"))?;
    Ok(json(found))
}

fn find(tenant: &Tenant, id: Uuid) -> Result<Option<String>, StoreError> {
    let mut found = None;
    tenant.store().find(id, &mut |record| {
        found = Some(to_json(record));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// All events behind a position, and those to come.
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    asking: Asking,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = params(uri.query(), &["after"])?;
    let after = number(&params, "after", i64::MAX as u64)?;
    // A client that lost its connection says where it was.
    let after = last_event_id(&headers)?.or(after);
    shared.service.admit_reader(&asking.tenant, &asking.caller, "events")?;
    let Asking { tenant, caller, .. } = asking;
    let feed = shared.feeds.of(&tenant).map_err(|error| {
        Refusal::new(Cause::Overloaded, format!("no thread for the stream: {error}"))
    })?;
    let mut live = feed.follow();
    let patience = seconds(shared.settings.query_seconds);
    if tokio::time::timeout(patience, feed.begun()).await.is_err() {
        return Err(Refusal::new(Cause::Outside, "the events cannot be followed just now")
            .after(Duration::from_secs(5))
            .into());
    }
    let head = {
        let tenant = tenant.clone();
        blocking(&shared, move || tenant.store().head()).await?
    };
    let mut follower = Follower { shared: shared.clone(), tenant, position: after.unwrap_or(head) };
    let (response, writer) = sse::open(&shared, &follower.tenant, &caller)?;
    tokio::spawn(async move {
        tokio::select! {
            () = shared.closing.cancelled() => writer.end("closing"),
            () = writer.gone() => {}
            _ = follower.follow(&mut live, &writer) => {}
        }
        // The feed lives as long as somebody follows.
        drop(feed);
    });
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse().ok().filter(|id| is_number && *id <= i64::MAX as u64);
    id.map(Some).ok_or_else(|| Problem::malformed("Last-Event-ID is the position of an event"))
}

/// One who follows.
struct Follower {
    shared: Arc<Shared>,
    tenant: Arc<Tenant>,
    /// The last event that was sent.
    position: u64,
}

impl Follower {
    /// Sends events as long as they are taken.
    async fn follow(
        &mut self,
        live: &mut tokio::sync::broadcast::Receiver<Written>,
        writer: &Writer,
    ) -> Result<(), Gone> {
        let pulse = seconds(self.shared.settings.heartbeat_seconds);
        // Where clients without events begin when they come back.
        writer.send(sse::event("hello", Some(self.position), "{}")).await?;
        self.catch_up(writer).await?;
        loop {
            match tokio::time::timeout(pulse, live.recv()).await {
                Err(_) => writer.send(sse::heartbeat()).await?,
                Ok(Ok(written)) if written.position <= self.position => {}
                Ok(Ok(Written { position, event: Some(event) })) => {
                    self.position = position;
                    writer.send(event).await?;
                }
                // The event is too long for the feed, or the follower too far behind: the store has
                // what it wants.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => self.catch_up(writer).await?,
                Ok(Err(RecvError::Closed)) => {
                    writer.end("closing");
                    return Err(Gone);
                }
            }
        }
    }

    /// Sends what the store has behind the position.
    async fn catch_up(&mut self, writer: &Writer) -> Result<(), Gone> {
        loop {
            let (tenant, after) = (self.tenant.clone(), self.position);
            let read = blocking(&self.shared, move || portion(&tenant, after)).await;
            let Ok((events, is_end)) = read else {
                writer.end("store");
                return Err(Gone);
            };
            for Written { position, event } in events {
                self.position = position;
                if let Some(event) = event {
                    writer.send(event).await?;
                }
            }
            if is_end {
                return Ok(());
            }
        }
    }
}

/// Some of the events behind a position, and whether these are all.
fn portion(tenant: &Tenant, after: u64) -> Result<(Vec<Written>, bool), StoreError> {
    let (mut events, mut bytes, mut is_end) = (Vec::new(), 0, true);
    tenant.store().read_all(after, &mut |record| {
        let written = written(record);
        bytes += written.event.as_ref().map_or(0, bytes::Bytes::len);
        events.push(written);
        is_end = events.len() < PORTION && bytes < BYTES;
        Ok(match is_end {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok((events, is_end))
}
