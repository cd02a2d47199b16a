//! Queries: resources such as `GET /v1/{tenant}/flakes/{id}`, and each type of queries under its name.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use cim_domain_nix::Query;
use cim_nix_service::{Answered, Cause, Message, Refusal, Reply, Request};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, StatusCode, Uri};
use serde_json::{Map, Value};
use twox_hash::XxHash3_128;

use crate::front::Shared;
use crate::problem::{Problem, add_ids};
use crate::request::{Asking, body, etag, has_tag, message_headers, number, params, trace};
use crate::settings::seconds;

/// A path of things that are asked for: what stands behind the tenant, and the query that it means.
pub(crate) struct Resource {
    /// The path below the tenant's.
    pub(crate) path: &'static str,
    /// The type of the query.
    pub(crate) query: &'static str,
}

/// All such paths.
pub(crate) const RESOURCES: &[Resource] = &[
    Resource { path: "/flakes", query: "ListFlakes" },
    Resource { path: "/flakes/{id}", query: "GetFlake" },
    Resource { path: "/flakes/{id}/inputs", query: "GetFlakeInputs" },
    Resource { path: "/packages", query: "ListPackages" },
    Resource { path: "/packages/{id}", query: "GetPackage" },
    Resource { path: "/packages/{id}/builds", query: "GetBuildStatus" },
    Resource { path: "/modules", query: "ListModules" },
    Resource { path: "/modules/{id}", query: "GetModule" },
    Resource { path: "/overlays", query: "ListOverlays" },
    Resource { path: "/overlays/{id}", query: "GetOverlay" },
    Resource { path: "/configurations", query: "ListConfigurations" },
    Resource { path: "/configurations/{id}", query: "GetConfiguration" },
    Resource { path: "/configurations/{id}/current", query: "GetCurrentConfiguration" },
    Resource { path: "/configurations/{id}/history", query: "GetConfigurationHistory" },
];

/// Answers a query of the type that a path means.
pub(crate) async fn resource(
    query_type: &'static str,
    shared: Arc<Shared>,
    asking: Asking,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = asking.rest.clone();
    ask(&shared, asking, query_type, id.as_deref(), uri.query(), &headers).await
}

/// Answers a query of the type that the path names, with the parameters as its fields.
pub(crate) async fn get(
    State(shared): State<Arc<Shared>>,
    asking: Asking,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query_type = query_type(&asking)?;
    ask(&shared, asking, query_type, None, uri.query(), &headers).await
}

fn query_type(asking: &Asking) -> Result<&'static str, Problem> {
    let name = asking.rest.as_deref().unwrap_or_default();
    Query::TYPES.iter().find(|known| **known == name).copied().ok_or_else(|| {
        let detail = "there is no such query";
        Problem::new(StatusCode::NOT_FOUND, Cause::NotFound.word(), detail)
            .hint(format!("there are {}", Query::TYPES.join(", ")))
    })
}

async fn ask(
    shared: &Arc<Shared>,
    asking: Asking,
    query_type: &'static str,
    id: Option<&str>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let fields = Query::fields_of(query_type).unwrap_or_default();
    let text = match (id, query) {
        (None, None) => Cow::Borrowed("{}"),
        _ => Cow::Owned(fields_as_json(fields, id, query)?),
    };
    let names = message_headers(headers)?;
    let mut new_id = || shared.service.new_id();
    let size = shared.service.size();
    let message = Message::read(query_type, text.as_bytes(), &names, size, &mut new_id)?;
    let mut request = Request::new(asking.tenant, asking.caller, message);
    request.trace = trace(headers);
    let answered = answer(shared, request).await?;
    Ok(respond(&answered, headers))
}

/// The body of a query whose fields are parameters.
fn fields_as_json(
    known: &[&str],
    id: Option<&str>,
    query: Option<&str>,
) -> Result<String, Problem> {
    // The path has the id already.
    let known: Vec<&str> =
        known.iter().copied().filter(|name| *name != "id" || id.is_none()).collect();
    let given = params(query, &known)?;
    let mut fields = Map::new();
    if let Some(id) = id {
        fields.insert("id".to_owned(), Value::from(id));
    }
    if let Some(limit) = number(&given, "limit", u64::from(u32::MAX))? {
        fields.insert("limit".to_owned(), Value::from(limit));
    }
    for (name, value) in given.into_iter().filter(|(name, _)| name != "limit") {
        fields.insert(name.into_owned(), Value::from(value.into_owned()));
    }
    Ok(Value::Object(fields).to_string())
}

/// The answer to a query; at once if it is known, or by a thread that may wait for the store.
async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Answered, Problem> {
    let reply = match shared.service.answer_known(request) {
        Ok(reply) => reply,
        Err(request) => {
            let service = shared.service.clone();
            let asked = tokio::task::spawn_blocking(move || service.call(*request));
            let time = seconds(shared.settings.query_seconds);
            match tokio::time::timeout(time, asked).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => return Err(Refusal::new(Cause::Bug, "the query failed").into()),
                Err(_) => {
                    let detail = format!("the query took longer than {} s", time.as_secs());
                    return Err(Refusal::new(Cause::TimedOut, detail).into());
                }
            }
        }
    };
    match reply {
        Reply::Answered(answered) => Ok(answered),
        Reply::Accepted(_) => Err(Refusal::new(Cause::Bug, "a query was accepted").into()),
        Reply::Refused(refusal, ids) => Err(Problem::of(refusal, ids)),
    }
}

/// An answer as it is, or 304 if the caller has it.
fn respond(answered: &Answered, headers: &HeaderMap) -> Response {
    let tag = match answered.version {
        Some(version) => etag(version),
        // Lists have no version: their bytes stand for themselves.
        None => {
            let sum = XxHash3_128::oneshot(answered.result.as_bytes());
            HeaderValue::try_from(format!("W/\"{sum:032x}\"")).ok()
        }
    };
    let is_known = tag.as_ref().is_some_and(|tag| has_tag(headers, tag));
    let mut response = match is_known {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => json(Body::from(Bytes::from_owner(Shown(answered.result.clone())))),
    };
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    add_ids(response.headers_mut(), &answered.ids);
    response
}

/// An answer that is kept elsewhere, too: it is sent without a copy.
struct Shown(Arc<str>);

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// Answers a query in the body, bare or in an envelope, in the style of other services.
pub(crate) async fn post(
    State(shared): State<Arc<Shared>>,
    asking: Asking,
    uri: Uri,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    let query_type = query_type(&asking)?;
    params(uri.query(), &[])?;
    let size = shared.service.size();
    let bytes = body(&headers, sent, size.bytes, seconds(shared.settings.body_seconds)).await?;
    let names = message_headers(&headers)?;
    let mut new_id = || shared.service.new_id();
    let message = Message::read(query_type, &bytes, &names, size, &mut new_id)?;
    let mut request = Request::new(asking.tenant, asking.caller, message);
    request.trace = trace(&headers);
    let answered = answer(&shared, request).await?;
    let mut response = json(Body::from(answered.to_json()));
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    add_ids(own, &answered.ids);
    Ok(response)
}
