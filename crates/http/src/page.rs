//! The operations page: how the service is, for people, without a script.
//!
//! It only reads. Who looks gives a token as the password that the browser asks for; paths that
//! change something take no passwords, so no other site can use one that a browser keeps.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use cim_domain_nix::{Record, StoreError, Uuid};
use cim_nix_service::{
    BreakerHealth, BreakerState, Cause, Health, Known, Refusal, Refused, Role, Tenant, TenantHealth,
};
use hyper::Uri;
use hyper::header::{self, HeaderValue};
use maud::{DOCTYPE, Markup, html};

use crate::events::blocking;
use crate::front::Shared;
use crate::problem::Problem;
use crate::request::{Asking, params};

/// Events that the page shows of each tenant.
const EVENTS: usize = 25;
/// Events in which it looks for streams.
const LOOKED_AT: usize = 500;
const STREAMS: usize = 12;
const REFUSALS: usize = 20;
/// Events of one conversation.
const CORRELATED: usize = 100;

const STYLE: &str = include_str!("page.css");

/// Nothing but its own style is loaded, nothing is sent, nobody frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn page(title: &str, refresh: bool, content: &Markup) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if refresh { meta http-equiv="refresh" content="10"; }
                title { (title) " - cim-nix" }
                link rel="stylesheet" href="/operations/style.css";
            }
            body { (content) }
        }
    };
    let mut response = Response::new(Body::from(text.into_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// The style of the pages.
pub(crate) async fn style() -> Response {
    let mut response = Response::new(Body::from(STYLE));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    response
}

/// An event in a list.
struct Line {
    position: u64,
    at: String,
    event_type: String,
    stream: String,
    version: u64,
    id: Uuid,
    by: String,
}

impl Line {
    fn of(record: &Record<'_>) -> Self {
        let origin: serde_json::Value = serde_json::from_str(record.meta).unwrap_or_default();
        Self {
            position: record.position,
            at: record.at.to_string(),
            event_type: record.event_type.to_owned(),
            stream: format!("{}-{}", record.kind, record.aggregate),
            version: record.version,
            id: record.id,
            by: origin["actor"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// What is shown of a tenant beside its health.
#[derive(Default)]
struct Recent {
    events: Vec<Line>,
    /// Name, version, last event, when; the latest first.
    streams: Vec<(String, u64, String, String)>,
}

fn recent(tenant: &Tenant) -> Result<Recent, StoreError> {
    let mut recent = Recent::default();
    let mut seen = BTreeMap::new();
    let mut n_seen = 0;
    tenant.store().read_back(None, &mut |record| {
        let line = Line::of(record);
        n_seen += 1;
        if recent.streams.len() < STREAMS && seen.insert(line.stream.clone(), ()).is_none() {
            let stream = line.stream.clone();
            recent.streams.push((stream, line.version, line.event_type.clone(), line.at.clone()));
        }
        if recent.events.len() < EVENTS {
            recent.events.push(line);
        }
        let is_enough = recent.events.len() >= EVENTS && recent.streams.len() >= STREAMS;
        Ok(match is_enough || n_seen >= LOOKED_AT {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    Ok(recent)
}

/// The page at `/`.
pub(crate) async fn overview(
    State(shared): State<Arc<Shared>>,
    Extension(known): Extension<Arc<Known>>,
) -> Result<Response, Problem> {
    let health = shared.health().await;
    let mut tenants = Vec::new();
    for tenant in shared.service.tenants() {
        if !known.tenants.iter().any(|own| **own == **tenant.name()) {
            continue;
        }
        shared.service.admit_reader(tenant, &known.caller, "operations")?;
        let asked = tenant.clone();
        let recent = blocking(&shared, move || recent(&asked)).await.unwrap_or_default();
        let of_tenant = health.tenants.iter().find(|it| it.name == *tenant.name());
        tenants.push((tenant.name().clone(), of_tenant.cloned(), recent));
    }
    let elsewhere = (shared.problems)();
    let content = html! {
        (head(&shared, &known, &health, &elsewhere))
        main {
            @if tenants.is_empty() { p { "No tenant is open to this token." } }
            @for (name, health, recent) in &tenants { (of_tenant(name, health.as_ref(), recent)) }
            div.pair {
                (breakers(&health, &known))
                (refusals(&shared, &known))
            }
        }
        footer {
            "up for " (duration(health.uptime.as_secs())) "; read anew every 10 seconds"
        }
    };
    Ok(page("Operations", true, &content))
}

fn head(shared: &Shared, known: &Known, health: &Health, elsewhere: &[String]) -> Markup {
    let is_ready = health.is_ready && elsewhere.is_empty();
    let word = match (health.is_draining, is_ready) {
        (true, _) => "shutting down",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    html! {
        header {
            h1 { a href="/" { "cim-nix" } }
            span class=(if is_ready { "state good" } else { "state bad" }) { (word) }
            span.quiet { (shared.version.name) " " (shared.version.version) }
            span.quiet { (known.caller.name) ", " (known.caller.role) }
        }
        @for problem in elsewhere { p.problem { (problem) } }
    }
}

fn of_tenant(name: &str, health: Option<&TenantHealth>, recent: &Recent) -> Markup {
    html! {
        section {
            h2 { (name) }
            @if let Some(health) = health {
                @if let Some(problem) = &health.problem { p.problem { (problem) } }
                dl.numbers {
                    div { dt { "events up to" } dd { (health.head) } }
                    div { dt { "to be published" } dd class=(late(health.outbox)) { (health.outbox) } }
                    div { dt { "commands under way" } dd { (health.commands) } }
                    div { dt { "builds and the like" } dd { (health.effects) } }
                    div { dt { "storage" } dd { (health.storage.map_or_else(|| "not known".to_owned(), bytes)) } }
                }
                div.pair {
                    (models(health))
                    (streams(recent))
                }
            }
            h3 { "Recent events" }
            (events(name, &recent.events))
        }
    }
}

/// How a number looks that should be near 0.
fn late(behind: u64) -> &'static str {
    match behind {
        0..=999 => "",
        _ => "late",
    }
}

fn models(health: &TenantHealth) -> Markup {
    html! {
        div {
            h3 { "Read models" }
            div.scroll { table {
                thead { tr { th { "read model" } th.number { "events behind" } } }
                tbody {
                    @for (name, at) in &health.projections {
                        @let behind = health.head.saturating_sub(*at);
                        tr { td { (name) } td.number.(late(behind)) { (behind) } }
                    }
                }
            } }
        }
    }
}

fn streams(recent: &Recent) -> Markup {
    html! {
        div {
            h3 { "Streams that changed last" }
            div.scroll { table {
                thead { tr { th { "stream" } th.number { "version" } th { "last event" } } }
                tbody {
                    @for (stream, version, event_type, at) in &recent.streams {
                        tr {
                            td.code { (stream) }
                            td.number { (version) }
                            td title=(at) { (event_type) }
                        }
                    }
                    @if recent.streams.is_empty() { tr { td colspan="3" { "none yet" } } }
                }
            } }
        }
    }
}

fn events(tenant: &str, events: &[Line]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th.number { "position" } th { "when" } th { "what" } th { "stream" }
                th.number { "version" } th { "who" }
            } }
            tbody {
                @for event in events {
                    tr {
                        td.number { (event.position) }
                        td.when { (event.at) }
                        td { a href=(link(tenant, event.id)) { (event.event_type) } }
                        td.code { (event.stream) }
                        td.number { (event.version) }
                        td { (event.by) }
                    }
                }
                @if events.is_empty() { tr { td colspan="6" { "none yet" } } }
            }
        } }
    }
}

fn link(tenant: &str, id: Uuid) -> String {
    // The name of a tenant has nothing that a path could misunderstand.
    format!("/operations/{tenant}/events/{id}")
}

fn breakers(health: &Health, known: &Known) -> Markup {
    let is_own = |it: &&BreakerHealth| known.tenants.iter().any(|own| **own == *it.tenant);
    let own: Vec<&BreakerHealth> = health.breakers.iter().filter(is_own).collect();
    html! {
        section {
            h2 { "Breakers" }
            div.scroll { table {
                thead { tr { th { "around" } th { "state" } th.number { "opened" } } }
                tbody {
                    @for breaker in &own {
                        tr {
                            td { (breaker.name) span.quiet { " of " (breaker.tenant) } }
                            td.(if breaker.state == BreakerState::Closed { "good" } else { "bad" }) {
                                (breaker.state.word().replace('_', " "))
                            }
                            td.number { (breaker.n_trips) }
                        }
                    }
                    @if own.is_empty() { tr { td colspan="3" { "nothing was called yet" } } }
                }
            } }
        }
    }
}

fn refusals(shared: &Shared, known: &Known) -> Markup {
    // What nobody in particular tried is the business of those who may do something about it.
    let is_shown = |refused: &&Refused| match refused.tenant.is_empty() {
        true => known.caller.role >= Role::Operator,
        false => known.tenants.contains(&refused.tenant),
    };
    let last = shared.service.audit().last(500);
    let last: Vec<&Refused> = last.iter().filter(is_shown).take(REFUSALS).collect();
    html! {
        section {
            h2 { "Refusals" }
            div.scroll { table {
                thead { tr { th { "when" } th { "who" } th { "what" } th { "why" } } }
                tbody {
                    @for refused in &last {
                        tr {
                            td.when { (refused.at) }
                            td { (refused.caller) " " span.quiet { (refused.via) } }
                            td.code.wrap { (refused.what) }
                            td title=(refused.message) { (refused.cause.replace('_', " ")) }
                        }
                    }
                    @if last.is_empty() { tr { td colspan="4" { "none" } } }
                }
            } }
        }
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..=1_023 => format!("{bytes} B"),
        1_024..=1_048_575 => format!("{} KiB", bytes >> 10),
        1_048_576..=1_073_741_823 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An event with all that is known of it.
struct Detail {
    line: Line,
    schema: u32,
    correlation: String,
    causation: String,
    body: String,
    origin: String,
    correlated: Vec<Line>,
}

fn detail(tenant: &Tenant, id: Uuid) -> Result<Option<Detail>, StoreError> {
    let store = tenant.store();
    let mut found = None;
    let mut conversation = None;
    store.find(id, &mut |record| {
        conversation = Some(record.correlation.clone());
        found = Some(Detail {
            line: Line::of(record),
            schema: record.schema,
            correlation: record.correlation.to_string(),
            causation: record.causation.to_string(),
            body: pretty(record.body),
            origin: pretty(record.meta),
            correlated: Vec::new(),
        });
        Ok(ControlFlow::Break(()))
    })?;
    let (Some(mut detail), Some(conversation)) = (found, conversation) else { return Ok(None) };
    store.correlated(&conversation, &mut |record| {
        detail.correlated.push(Line::of(record));
        Ok(match detail.correlated.len() < CORRELATED {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(Some(detail))
}

/// Bytes of JSON that a page shows.
const SHOWN: usize = 256 << 10;

fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(json).ok();
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    let mut text = pretty.unwrap_or_else(|| json.to_owned());
    if text.len() > SHOWN {
        let end = (0..=SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push_str("\n.. and more; the API has all of it");
    }
    text
}

/// The page of one event.
pub(crate) async fn event(
    State(shared): State<Arc<Shared>>,
    Extension(known): Extension<Arc<Known>>,
    asking: Asking,
    uri: Uri,
) -> Result<Response, Problem> {
    params(uri.query(), &[])?;
    let id = asking.rest.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    let id = id.ok_or_else(|| Problem::malformed("the id of an event is a UUID"))?;
    shared.service.admit_reader(&asking.tenant, &asking.caller, "operations")?;
    let health = shared.health().await;
    let tenant = asking.tenant.clone();
    let found = blocking(&shared, move || detail(&tenant, id)).await?;
    let found = found.ok_or_else(|| Refusal::new(Cause::NotFound, "there is no such event"))?;
    let name = asking.tenant.name();
    let line = &found.line;
    let content = html! {
        (head(&shared, &known, &health, &[]))
        main {
            section {
                h2 { (line.event_type) }
                dl.facts {
                    dt { "tenant" } dd { (name) }
                    dt { "event" } dd.code { (line.id) }
                    dt { "stream" } dd.code { (line.stream) ", version " (line.version) }
                    dt { "position" } dd { (line.position) }
                    dt { "when" } dd { (line.at) }
                    dt { "who" } dd { (line.by) }
                    dt { "caused by" } dd.code { (found.causation) }
                    dt { "conversation" } dd.code { (found.correlation) }
                    dt { "shape" } dd { (found.schema) }
                }
                h3 { "What it says" }
                pre { (found.body) }
                h3 { "Where it comes from" }
                pre { (found.origin) }
                h3 { "All events of the conversation" }
                (events(name, &found.correlated))
            }
        }
    };
    Ok(page(&line.event_type, false, &content))
}
