//! Commands: `POST /v1/{tenant}/commands/{type}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use cim_domain_nix::{Command, MessageId};
use cim_nix_service::{Accepted, Cause, Message, Refusal, Reply, Request};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, StatusCode, Uri};
use tokio::sync::{mpsc, oneshot};

use crate::front::Shared;
use crate::problem::{Problem, add_ids};
use crate::request::{
    Asking, body, etag, expected, flag, idempotency_key, message_headers, params, trace,
    wants_stream,
};
use crate::settings::seconds;
use crate::sse;

/// Lines of progress that wait for a client; what comes while there is no room is left out.
const PROGRESS: usize = 256;

/// Runs a command.
pub(crate) async fn run(
    State(shared): State<Arc<Shared>>,
    asking: Asking,
    uri: Uri,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    let command_type = asking.rest.as_deref().unwrap_or_default();
    let known = Command::TYPES.iter().find(|known| **known == command_type);
    let command_type = known.copied().ok_or_else(unknown_type)?;
    let params = params(uri.query(), &["dry_run"])?;
    let is_dry_run = flag(&params, "dry_run")?;
    let expected = expected(&headers)?;
    let size = shared.service.size();
    let bytes = body(&headers, sent, size.bytes, seconds(shared.settings.body_seconds)).await?;
    let message = read(&shared, &asking, command_type, &headers, &bytes)?;
    let mut request = Request::new(asking.tenant, asking.caller, message);
    request.expected = expected;
    request.is_dry_run = is_dry_run;
    // The handler belongs to the span of this request.
    request.trace = shared.service.trace().or_else(|| trace(&headers));
    if wants_stream(&headers) {
        return stream(&shared, request);
    }
    let reply = submit(&shared, request).await;
    Ok(respond(reply))
}

fn unknown_type() -> Problem {
    let types = Command::TYPES.join(", ");
    Problem::new(StatusCode::NOT_FOUND, Cause::NotFound.word(), "there is no such command")
        .hint(format!("there are {types}"))
}

fn read(
    shared: &Shared,
    asking: &Asking,
    command_type: &str,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Message, Problem> {
    let key = idempotency_key(headers, asking)?;
    let mut names = message_headers(headers)?;
    let is_other = |id: &Option<MessageId>| key.is_some() && id.is_some() && *id != key;
    let two_ids = || Problem::malformed("Idempotency-Key and the message name two ids");
    if is_other(&names.message_id) {
        return Err(two_ids());
    }
    names.message_id = key.clone().or(names.message_id);
    let size = shared.service.size();
    let mut new_id = || shared.service.new_id();
    let message = Message::read(command_type, bytes, &names, size, &mut new_id)?;
    match is_other(&Some(message.ids.message.clone())) {
        true => Err(two_ids()),
        false => Ok(message),
    }
}

/// Hands a command to the service and waits for the reply. Who goes away meanwhile stops nothing:
/// the command comes to its end, and its id leads to what came of it.
async fn submit(shared: &Shared, request: Request) -> Reply {
    let ids = request.message.ids.clone();
    let (tell, told) = oneshot::channel();
    shared.service.submit(request, move |reply| {
        // Nobody waits if the client is gone.
        let _ = tell.send(reply);
    });
    told.await.unwrap_or_else(|_| {
        Reply::Refused(Refusal::new(Cause::Bug, "the handler ended without a reply"), Some(ids))
    })
}

fn respond(reply: Reply) -> Response {
    match reply {
        Reply::Accepted(accepted) => accept(&accepted),
        Reply::Answered(_) => problem_of(Refusal::new(Cause::Bug, "a command was answered"), None),
        Reply::Refused(refusal, ids) => refuse(refusal, ids).into_response(),
    }
}

/// The problem of a refusal. `If-Match` has a status of its own where it does not hold.
fn refuse(refusal: Refusal, ids: Option<cim_nix_service::Ids>) -> Problem {
    let has_other_version = refusal.has_other_version;
    let problem = Problem::of(refusal, ids);
    match has_other_version {
        true => problem.status(StatusCode::PRECONDITION_FAILED),
        false => problem,
    }
}

fn problem_of(refusal: Refusal, ids: Option<cim_nix_service::Ids>) -> Response {
    Problem::of(refusal, ids).into_response()
}

fn accept(accepted: &Accepted) -> Response {
    let mut response = Response::new(Body::from(accepted.to_json()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    add_ids(headers, &accepted.ids);
    if let Some(tag) = etag(accepted.version).filter(|_| accepted.version > 0) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Runs a command and tells of its progress: events `progress`, then one `reply` or `problem`.
fn stream(shared: &Arc<Shared>, mut request: Request) -> Result<Response, Problem> {
    let (stream, writer) = sse::open(shared, &request.tenant, &request.caller)?;
    let (progress, mut lines) = mpsc::channel::<String>(PROGRESS);
    request.progress = Some(Arc::new(move |line: &str| {
        // A command does not wait for a client that reads slowly.
        let _ = progress.try_send(line.to_owned());
    }));
    let shared = shared.clone();
    tokio::spawn(async move {
        let mut reply = std::pin::pin!(submit(&shared, request));
        let pulse = seconds(shared.settings.heartbeat_seconds);
        let reply = loop {
            tokio::select! {
                reply = &mut reply => break reply,
                Some(line) = lines.recv() => {
                    if writer.send(sse::event("progress", None, &line)).await.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(pulse) => {
                    if writer.send(sse::heartbeat()).await.is_err() {
                        return;
                    }
                }
            }
        };
        while let Ok(line) = lines.try_recv() {
            if writer.send(sse::event("progress", None, &line)).await.is_err() {
                return;
            }
        }
        let last = match reply {
            Reply::Refused(refusal, ids) => {
                let problem = refuse(refusal, ids);
                sse::event("problem", None, &problem.to_value().to_string())
            }
            reply => sse::event("reply", None, &reply.to_json()),
        };
        // Whether the client is still there changes nothing any more.
        let _ = writer.send(last).await;
    });
    Ok(stream)
}
