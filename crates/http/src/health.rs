//! Health, metrics, version: what machines ask that look after the service.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use cim_nix_service::{BreakerHealth, Health, Known, TenantHealth};
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::front::Shared;

fn response(status: StatusCode, media_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    response(status, "application/json", value.to_string())
}

/// The process answers.
pub(crate) async fn live() -> Response {
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Whether the service can do its work, and why not. Names of tenants and details are for those who
/// say who they are.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let health = shared.health().await;
    let known = request.extensions().get::<Arc<Known>>();
    let elsewhere = (shared.problems)();
    let is_ready = health.is_ready && elsewhere.is_empty();
    let mut reasons = Vec::new();
    if health.is_draining {
        reasons.push("the service is being shut down".to_owned());
    }
    let n_ailing = health.tenants.iter().filter(|tenant| tenant.problem.is_some()).count();
    match n_ailing {
        0 => {}
        1 => reasons.push("1 tenant cannot do its work".to_owned()),
        _ => reasons.push(format!("{n_ailing} tenants cannot do their work")),
    }
    if health.tenants.is_empty() {
        reasons.push("the stores do not answer".to_owned());
    }
    reasons.extend(elsewhere);
    let mut value = json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "reasons": reasons,
        "uptime_seconds": health.uptime.as_secs(),
    });
    if let Some(known) = known {
        let own =
            health.tenants.iter().filter(|it| known.tenants.iter().any(|own| **own == *it.name));
        value["tenants"] = own.map(tenant).collect();
        value["breakers"] = breakers(&health, known);
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_response(status, &value)
}

fn tenant(health: &TenantHealth) -> Value {
    let models: serde_json::Map<String, Value> = health
        .projections
        .iter()
        .map(|(name, at)| ((*name).to_owned(), json!(health.head.saturating_sub(*at))))
        .collect();
    json!({
        "name": &*health.name,
        "problem": health.problem,
        "head": health.head,
        "outbox": health.outbox,
        "read_models_behind": models,
        "commands": health.commands,
        "effects": health.effects,
        "storage_bytes": health.storage,
    })
}

fn breakers(health: &Health, known: &Known) -> Value {
    let one = |it: &BreakerHealth| json!({ "tenant": &*it.tenant, "name": it.name, "state": it.state.word(), "trips": it.n_trips });
    let own =
        health.breakers.iter().filter(|it| known.tenants.iter().any(|own| **own == *it.tenant));
    own.map(one).collect()
}

/// What was counted and measured, as Prometheus reads it. Who comes with a token gets what is of all
/// and of their own tenants; names of others are not theirs to know.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let mut text = (shared.metrics)();
    if let Some(known) = request.extensions().get::<Arc<Known>>()
        && !shared.settings.open_metrics
    {
        let tenants = shared.service.tenants().map(|tenant| tenant.name());
        let others = tenants.filter(|name| known.tenants.iter().all(|own| *own != ***name));
        let labels: Vec<String> = others.map(|name| format!("=\"{name}\"")).collect();
        let is_own = |line: &&str| !labels.iter().any(|label| line.contains(&**label));
        text = text.split_inclusive('\n').filter(is_own).collect();
    }
    response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

/// Which version answers.
pub(crate) async fn version(State(shared): State<Arc<Shared>>) -> Response {
    let version = &shared.version;
    let value = json!({ "name": version.name, "version": version.version, "api": "v1" });
    json_response(StatusCode::OK, &value)
}

/// What can be asked, for programs.
pub(crate) async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    let mut response = Response::new(Body::from(shared.openapi.clone()));
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}
