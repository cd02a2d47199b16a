//! What stands before the routes: who asks, what no request may look like, and what all answers have.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::response::{IntoResponse as _, Response};
use cim_nix_service::{Caller, Cause, Refusal, Refused, Service, Tokens};
use futures_util::FutureExt as _;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use crate::auth::{Guesses, Peer, Scheme, VIA, who};
use crate::feed::Feeds;
use crate::problem::Problem;
use crate::proxies::client;
use crate::request::trace;
use crate::serve::Version;
use crate::settings::Settings;
use crate::shares::{Shares, TenantCaller};

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) service: Arc<Service>,
    pub(crate) settings: Settings,
    pub(crate) tokens: Arc<RwLock<Arc<Tokens>>>,
    pub(crate) metrics: Box<dyn Fn() -> String + Send + Sync>,
    pub(crate) problems: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    pub(crate) version: Version,
    pub(crate) guesses: Guesses,
    pub(crate) feeds: Feeds,
    /// Places for streams.
    pub(crate) streams: Arc<Semaphore>,
    /// How many of them each caller of each tenant has.
    pub(crate) streams_of: Shares<TenantCaller>,
    /// Cancelled when the server stops: streams end.
    pub(crate) closing: CancellationToken,
    pub(crate) openapi: bytes::Bytes,
    pub(crate) status: RwLock<Option<(Instant, Arc<cim_nix_service::Health>)>>,
    /// Held by whoever looks how the service is.
    pub(crate) looking: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
    /// Notes a refusal for the operations page and the log.
    pub(crate) fn note(&self, caller: &Caller, tenant: &str, path: &str, refusal: &Refusal) {
        let short = |text: &str| text.chars().take(200).collect::<String>();
        self.service.audit().note(Refused {
            at: self.service.now(),
            tenant: short(tenant),
            caller: caller.name.to_string(),
            via: VIA,
            what: short(path),
            cause: refusal.cause.word(),
            message: refusal.message.clone(),
        });
        metrics::counter!("cim_nix_auth_refused_total", "reason" => refusal.cause.word())
            .increment(1);
    }

    /// How the service is; looked at once a second at most, as looking asks the stores. Who asks
    /// hears in time that stores do not answer, and does not wait for them.
    pub(crate) async fn health(self: &Arc<Self>) -> Arc<cim_nix_service::Health> {
        let known = self.status.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, health)) = known
            && at.elapsed() < FRESH
        {
            return health;
        }
        let Ok(place) = self.looking.clone().try_lock_owned() else {
            // Somebody looks already, and asks for the next second.
            let looked = tokio::time::timeout(PATIENCE, self.looking.lock()).await;
            let known = self.status.read().unwrap_or_else(PoisonError::into_inner).clone();
            return match (looked, known) {
                (Ok(_), Some((_, health))) => health,
                _ => Arc::new(silent()),
            };
        };
        let shared = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let health = Arc::new(shared.service.health());
            let new = Some((Instant::now(), health.clone()));
            *shared.status.write().unwrap_or_else(PoisonError::into_inner) = new;
            drop(place);
            health
        });
        match tokio::time::timeout(PATIENCE, looked).await {
            Ok(Ok(health)) => health,
            // A store that panics is not ready, and neither is one that says nothing.
            _ => Arc::new(silent()),
        }
    }
}

/// How long what was seen is told again.
const FRESH: Duration = Duration::from_secs(1);

/// How long stores may take to say how they are. Probes do not wait much longer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How a service is whose stores do not say how they are.
fn silent() -> cim_nix_service::Health {
    cim_nix_service::Health {
        is_ready: false,
        is_draining: false,
        tenants: Vec::new(),
        breakers: Vec::new(),
        uptime: Duration::ZERO,
    }
}

/// Bytes of names and values that the head of a request may have.
const HEAD_BYTES: usize = 16 << 10;
/// Bytes of a path with its parameters.
const URI_BYTES: usize = 8 << 10;

/// Answers a request, whatever it is.
pub(crate) async fn answer<B>(
    shared: Arc<Shared>,
    router: Router,
    peer: Arc<Peer>,
    request: Request<B>,
) -> Response
where
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let began = Instant::now();
    let method = request.method().clone();
    let is_secure = shared.settings.tls.is_some();
    // As conventions of OpenTelemetry have it; the name gets its route when it is collected.
    let span = tracing::info_span!(
        "http",
        otel.name = method.as_str(),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
        traceparent = trace(request.headers()),
        http.request.method = method.as_str(),
        http.route = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty,
        url.path = request.uri().path(),
    );
    let routed = routed(&shared, router, &peer, request).instrument(span.clone());
    let routed = AssertUnwindSafe(routed).catch_unwind().await;
    let mut response = match routed {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            let detail = "the handler of this request failed";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Cause::Bug.word(), detail)
                .hint("please report what the log says of it")
                .into_response()
        }
    };
    if let Some(route) = response.extensions().get::<MatchedPath>() {
        span.record("http.route", route.as_str());
    }
    if response.status().is_server_error() {
        span.record("otel.status_code", "error");
        span.record("error.type", response.status().as_str());
    }
    span.record("http.response.status_code", response.status().as_u16());
    finish(response.headers_mut(), is_secure);
    count(&method, &response, began);
    response
}

fn count(method: &Method, response: &Response, began: Instant) {
    let route = response.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    };
    let seconds = began.elapsed().as_secs_f64();
    metrics::histogram!(
        "cim_nix_http_request_seconds", "route" => route.clone(), "method" => method
    )
    .record(seconds);
    let status = response.status().as_str().to_owned();
    metrics::counter!(
        "cim_nix_http_requests_total", "route" => route, "method" => method, "status" => status
    )
    .increment(1);
}

async fn routed<B>(
    shared: &Arc<Shared>,
    router: Router,
    peer: &Peer,
    mut request: Request<B>,
) -> Result<Response, Problem>
where
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    check_head(&request)?;
    let path = request.uri().path();
    let peer = &Peer {
        address: client(&shared.settings, peer.address, request.headers()),
        certificate: peer.certificate.clone(),
    };
    match openness(path, &shared.settings) {
        Openness::For(scheme) => {
            let known = who(shared, peer, request.headers(), path, scheme)?;
            request.extensions_mut().insert(known);
        }
        // Who says who they are may learn more; who does not need not.
        Openness::All if request.headers().contains_key(header::AUTHORIZATION) => {
            if let Ok(known) = who(shared, peer, request.headers(), path, Scheme::Bearer) {
                request.extensions_mut().insert(known);
            }
        }
        Openness::All => {}
    }
    let answered = router.oneshot(request.map(Body::new)).await;
    Ok(answered.unwrap_or_else(|never| match never {}))
}

/// Who may see what is under a path.
enum Openness {
    /// Everybody.
    All,
    /// Who says who they are.
    For(Scheme),
}

fn openness(path: &str, settings: &Settings) -> Openness {
    match path {
        "/health/live" | "/health/ready" | "/version" if settings.open_health => Openness::All,
        "/metrics" if settings.open_metrics => Openness::All,
        "/" => Openness::For(Scheme::Basic),
        path if path.starts_with("/operations/") => Openness::For(Scheme::Basic),
        _ => Openness::For(Scheme::Bearer),
    }
}

/// Errors: a head that no honest client writes.
fn check_head<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > URI_BYTES) {
        let detail = format!("paths and parameters have {URI_BYTES} bytes at most");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, Cause::TooLarge.word(), detail));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEAD_BYTES {
        let detail = format!("headers have {HEAD_BYTES} bytes at most");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, Cause::TooLarge.word(), detail));
    }
    // Two servers in a row could take such a request for two different ones. Where a length stands
    // beside chunks, hyper has dropped the length, and closes the connection after the answer.
    let n_lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let n_hosts = headers.get_all(header::HOST).iter().count();
    if n_lengths > 1 || n_hosts > 1 {
        let detail = "the length or the host of the request is not clear";
        return Err(Problem::malformed(detail)
            .header(header::CONNECTION, HeaderValue::from_static("close")));
    }
    if headers.contains_key(header::EXPECT) && headers[header::EXPECT] != "100-continue" {
        let status = StatusCode::EXPECTATION_FAILED;
        return Err(Problem::new(status, "unsupported", "only 100-continue can be expected"));
    }
    Ok(())
}

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds what all answers have.
fn finish(headers: &mut HeaderMap, is_secure: bool) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    }
    if is_secure {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}
