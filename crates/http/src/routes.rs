//! The paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::{HeaderMap, StatusCode, Uri};

use crate::front::Shared;
use crate::problem::Problem;
use crate::request::Asking;
use crate::{commands, events, health, page, queries};

/// All paths, for requests whose callers are known.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/version", get(health::version))
        .route("/openapi.json", get(health::openapi))
        .route("/v1/{tenant}/commands/{type}", post(commands::run))
        .route("/v1/{tenant}/queries/{type}", get(queries::get).post(queries::post))
        .route("/v1/{tenant}/events", get(events::list))
        .route("/v1/{tenant}/events/stream", get(events::stream))
        .route("/v1/{tenant}/events/{id}", get(events::one));
    for resource in queries::RESOURCES {
        let query = resource.query;
        let handler =
            move |shared: State<Arc<Shared>>, asking: Asking, uri: Uri, headers: HeaderMap| {
                queries::resource(query, shared.0, asking, uri, headers)
            };
        router = router.route(&format!("/v1/{{tenant}}{}", resource.path), get(handler));
    }
    if shared.settings.page {
        router = router
            .route("/", get(page::overview))
            .route("/operations/style.css", get(page::style))
            .route("/operations/{tenant}/events/{id}", get(page::event));
    }
    router
        .route_layer(from_fn(name_route))
        .fallback(|| async { Problem::no_route() })
        .method_not_allowed_fallback(|| async {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let detail = "the path has no such method";
            Problem::new(status, "method_not_allowed", detail).into_response()
        })
        .with_state(shared)
}

/// Says which route it was, for counting.
async fn name_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}
