//! What the service measures: every name, unit, label and help text, and the only functions that
//! count.
//!
//! Whoever counts calls a function of this module, so labels cannot be forgotten or invented. What
//! tells series apart is known when the program is compiled (commands, outcomes, reasons), with three
//! exceptions: tenants, routes and connections. The exporter bounds those too. Ids, paths and names of flakes
//! are never labels. [`ALL`] is what exporters, dashboards, alerts and the manual are checked
//! against. Who collects what is counted here, is decided by the program.

use metrics::{counter, gauge, histogram};

use crate::{BreakerState, Cause, Reply};

/// One metric, as operators see it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Metric {
    /// The whole name, with its unit.
    pub name: &'static str,
    /// Whether it counts, stands at a value, or sorts observations into buckets.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// What tells its series apart.
    pub labels: &'static [&'static str],
    /// One sentence for whoever looks at it.
    pub help: &'static str,
}

/// How a metric moves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Stands at a value.
    Gauge,
    /// Counts observations up to each of these bounds.
    Histogram(&'static [f64]),
}

/// What the numbers of a metric are; always a base unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Unit {
    /// Things, such as requests or events.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What came of a command, a query or a run of the worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// What was asked for was done.
    Ok,
    /// What was asked for is wrong or not allowed.
    Rejected,
    /// Somebody else was faster; the caller may try again.
    Conflict,
    /// It is not the caller's fault.
    Failed,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Rejected, Self::Conflict, Self::Failed];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }
}

impl BreakerState {
    /// The gauge's value.
    const fn value(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

impl Outcome {
    /// What came of a request with this reply.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        match reply.refusal().map(|refusal| refusal.cause) {
            None => Self::Ok,
            Some(Cause::Conflict) => Self::Conflict,
            Some(Cause::Overloaded | Cause::TimedOut | Cause::Outside | Cause::Bug) => Self::Failed,
            Some(_) => Self::Rejected,
        }
    }
}

/// From half a millisecond to ten seconds: what is answered while somebody waits.
const REQUESTS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// From a tenth of a millisecond, a flush of a fast disk, to a second.
const APPENDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// From ten milliseconds to an hour: evaluations and builds.
const RUNS: &[f64] =
    &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $id:ident = $name:literal, $kind:expr, $unit:ident, [$($label:literal),*];)+) => {
        $(
            $(#[doc = $help])+
            pub const $id: Metric = Metric {
                name: concat!("cim_nix_", $name),
                kind: $kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: one_line(concat!($($help),+)),
            };
        )+
        /// Every metric that the service itself counts, in the order of the manual.
        pub const ALL: &[Metric] = &[$($id),+];
    };
}

/// The text of a doc comment, which begins with a space.
const fn one_line(text: &'static str) -> &'static str {
    match text.as_bytes() {
        [b' ', ..] => text.split_at(1).1,
        _ => text,
    }
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    /// Commands that were answered, by what came of them.
    COMMANDS = "commands_total", Counter, Count, ["tenant", "command", "outcome"];
    /// Time from a command's arrival to its answer.
    COMMAND_SECONDS = "command_seconds", Histogram(REQUESTS), Seconds, ["command"];
    /// Queries that were answered, by what came of them.
    QUERIES = "queries_total", Counter, Count, ["tenant", "query", "outcome"];
    /// Time from a query's arrival to its answer.
    QUERY_SECONDS = "query_seconds", Histogram(REQUESTS), Seconds, ["query"];
    /// Events that were appended to the store.
    EVENTS_APPENDED = "events_appended_total", Counter, Count, ["tenant", "kind"];
    /// Time that one append took, the flush included.
    STORE_APPEND_SECONDS = "store_append_seconds", Histogram(APPENDS), Seconds, [];
    /// Bytes that a tenant's store takes.
    TENANT_STORAGE = "tenant_storage_bytes", Gauge, Bytes, ["tenant"];
    /// Events that wait to be published.
    OUTBOX_LAG = "outbox_lag", Gauge, Count, ["tenant"];
    /// How long the oldest of them has been waiting.
    OUTBOX_OLDEST = "outbox_oldest_seconds", Gauge, Seconds, ["tenant"];
    /// Events that were handed to NATS, by what came of them.
    EVENTS_PUBLISHED = "events_published_total", Counter, Count, ["tenant", "outcome"];
    /// Events of other domains that were kept.
    FOREIGN_EVENTS = "foreign_events_total", Counter, Count, ["tenant", "domain"];
    /// Events that a projection has not seen yet.
    PROJECTION_LAG = "projection_lag", Gauge, Count, ["tenant", "projection"];
    /// Whether a connection to NATS stands (1) or not (0).
    NATS_CONNECTED = "nats_connected", Gauge, Count, ["connection"];
    /// What happened to connections to NATS: connected, disconnected, slow_consumer and others.
    NATS_EVENTS = "nats_events_total", Counter, Count, ["connection", "event"];
    /// HTTP requests that were answered.
    HTTP_REQUESTS = "http_requests_total", Counter, Count, ["route", "method", "status"];
    /// Time from an HTTP request's head to its answer's head.
    HTTP_REQUEST_SECONDS = "http_request_seconds", Histogram(REQUESTS), Seconds, ["route", "method"];
    /// Requests that are being worked on.
    IN_FLIGHT = "in_flight", Gauge, Count, ["kind"];
    /// Requests that wait for their turn.
    QUEUE_DEPTH = "queue_depth", Gauge, Count, ["kind"];
    /// Requests that were turned away before any work.
    REJECTED = "rejected_total", Counter, Count, ["reason"];
    /// Requests that came faster than a limit allows.
    RATE_LIMITED = "rate_limited_total", Counter, Count, ["tenant", "of"];
    /// Callers that were refused: who they are, or what they may do.
    AUTH_REFUSED = "auth_refused_total", Counter, Count, ["reason"];
    /// What the breaker before a dependency does: 0 lets calls through, 1 tries one, 2 refuses.
    BREAKER_STATE = "breaker_state", Gauge, Count, ["tenant", "dependency"];
    /// How often a breaker opened.
    BREAKER_TRIPS = "breaker_trips_total", Counter, Count, ["tenant", "dependency"];
    /// Calls that failed and were made again.
    RETRIES = "retries_total", Counter, Count, ["dependency"];
    /// Runs of the worker process, by what came of them.
    WORKER_RUNS = "worker_runs_total", Counter, Count, ["kind", "outcome"];
    /// Time that one run of the worker process took.
    WORKER_SECONDS = "worker_seconds", Histogram(RUNS), Seconds, ["kind"];
    /// Worker processes that were ended from outside.
    WORKER_KILLED = "worker_killed_total", Counter, Count, ["reason"];
    /// Always 1; its labels say what runs.
    BUILD_INFO = "build_info", Gauge, Count, ["version"];
}

/// Counts a command that was answered `seconds` after it came.
pub fn command(tenant: &str, command: &'static str, outcome: Outcome, seconds: f64) {
    let tenant = tenant.to_owned();
    counter!(COMMANDS.name, "tenant" => tenant, "command" => command, "outcome" => outcome.as_str())
        .increment(1);
    histogram!(COMMAND_SECONDS.name, "command" => command).record(seconds);
}

/// Counts a query that was answered `seconds` after it came.
pub fn query(tenant: &str, query: &'static str, outcome: Outcome, seconds: f64) {
    let tenant = tenant.to_owned();
    counter!(QUERIES.name, "tenant" => tenant, "query" => query, "outcome" => outcome.as_str())
        .increment(1);
    histogram!(QUERY_SECONDS.name, "query" => query).record(seconds);
}

/// Counts events of aggregates of `kind` that were stored.
pub fn events_appended(tenant: &str, kind: &'static str, events: u64) {
    counter!(EVENTS_APPENDED.name, "tenant" => tenant.to_owned(), "kind" => kind).increment(events);
}

/// Tells how long one append took.
pub fn store_append(seconds: f64) {
    histogram!(STORE_APPEND_SECONDS.name).record(seconds);
}

/// Tells how much a tenant's store takes.
pub fn tenant_storage(tenant: &str, bytes: u64) {
    gauge!(TENANT_STORAGE.name, "tenant" => tenant.to_owned()).set(number(bytes));
}

/// Tells how many events wait to be published.
pub fn outbox_lag(tenant: &str, events: u64) {
    gauge!(OUTBOX_LAG.name, "tenant" => tenant.to_owned()).set(number(events));
}

/// Tells how long the oldest event has been waiting to be published.
pub fn outbox_oldest(tenant: &str, seconds: f64) {
    gauge!(OUTBOX_OLDEST.name, "tenant" => tenant.to_owned()).set(seconds);
}

/// Counts events that were handed to NATS.
pub fn events_published(tenant: &str, outcome: &'static str, events: u64) {
    counter!(EVENTS_PUBLISHED.name, "tenant" => tenant.to_owned(), "outcome" => outcome)
        .increment(events);
}

/// Counts an event of another domain (`network`, `git`) that was kept.
pub fn foreign_event(tenant: &str, domain: &'static str) {
    counter!(FOREIGN_EVENTS.name, "tenant" => tenant.to_owned(), "domain" => domain).increment(1);
}

/// Tells how many events a projection has not seen yet.
pub fn projection_lag(tenant: &str, projection: &'static str, events: u64) {
    gauge!(PROJECTION_LAG.name, "tenant" => tenant.to_owned(), "projection" => projection)
        .set(number(events));
}

/// Tells whether a connection to NATS stands.
pub fn nats_connected(connection: &str, connected: bool) {
    gauge!(NATS_CONNECTED.name, "connection" => connection.to_owned())
        .set(f64::from(u8::from(connected)));
}

/// Counts what happened to a connection to NATS.
pub fn nats_event(connection: &str, event: &'static str) {
    counter!(NATS_EVENTS.name, "connection" => connection.to_owned(), "event" => event)
        .increment(1);
}

/// Counts an HTTP request. `route` is the pattern that matched, never the path.
pub fn http_request(route: &str, method: &str, status: u16, seconds: f64) {
    let method = known_method(method);
    counter!(
        HTTP_REQUESTS.name,
        "route" => route.to_owned(),
        "method" => method,
        "status" => status.to_string(),
    )
    .increment(1);
    histogram!(HTTP_REQUEST_SECONDS.name, "route" => route.to_owned(), "method" => method)
        .record(seconds);
}

/// Anybody may invent methods.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

/// Stands for one request that is being worked on, for as long as it lives.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct InFlight(&'static str);

impl InFlight {
    /// One request of `kind` (`command`, `query`, `worker`) more.
    pub fn enter(kind: &'static str) -> Self {
        gauge!(IN_FLIGHT.name, "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT.name, "kind" => self.0).decrement(1.0);
    }
}

/// Tells how many requests of `kind` wait for their turn.
pub fn queue_depth(kind: &'static str, requests: usize) {
    gauge!(QUEUE_DEPTH.name, "kind" => kind).set(number(requests as u64));
}

/// Counts a request that was turned away before any work, for instance as `overloaded`.
pub fn rejected(reason: &'static str) {
    counter!(REJECTED.name, "reason" => reason).increment(1);
}

/// Counts a request that was over a limit of the whole `tenant`, or of one `caller`.
pub fn rate_limited(tenant: &str, of: &'static str) {
    counter!(RATE_LIMITED.name, "tenant" => tenant.to_owned(), "of" => of).increment(1);
}

/// Counts a caller that was refused.
pub fn auth_refused(reason: &'static str) {
    counter!(AUTH_REFUSED.name, "reason" => reason).increment(1);
}

/// Tells what a tenant's breaker before `dependency` does now.
pub fn breaker_state(tenant: &str, dependency: &'static str, state: BreakerState) {
    gauge!(BREAKER_STATE.name, "tenant" => tenant.to_owned(), "dependency" => dependency)
        .set(state.value());
}

/// Counts that a tenant's breaker before `dependency` opened.
pub fn breaker_tripped(tenant: &str, dependency: &'static str) {
    counter!(BREAKER_TRIPS.name, "tenant" => tenant.to_owned(), "dependency" => dependency)
        .increment(1);
}

/// Counts a call to `dependency` that is made again.
pub fn retried(dependency: &'static str) {
    counter!(RETRIES.name, "dependency" => dependency).increment(1);
}

/// Counts a run of the worker process.
pub fn worker_run(kind: &'static str, outcome: Outcome, seconds: f64) {
    counter!(WORKER_RUNS.name, "kind" => kind, "outcome" => outcome.as_str()).increment(1);
    histogram!(WORKER_SECONDS.name, "kind" => kind).record(seconds);
}

/// Counts a worker process that was ended from outside (`time`, `output`, `cancelled`).
pub fn worker_killed(reason: &'static str) {
    counter!(WORKER_KILLED.name, "reason" => reason).increment(1);
}

/// Tells what runs.
pub fn build_info(version: &'static str) {
    gauge!(BUILD_INFO.name, "version" => version).set(1.0);
}

/// Counts are exact far beyond anything that is counted here.
#[expect(clippy::cast_precision_loss, reason = "exact up to nine quadrillion")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_in_what_they_are() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let name = metric.name;
            assert_eq!(metric.kind == Counter, name.ends_with("_total"), "{name}");
            assert_eq!(metric.unit == Unit::Seconds, name.ends_with("_seconds"), "{name}");
            assert_eq!(metric.unit == Unit::Bytes, name.ends_with("_bytes"), "{name}");
        }
    }

    #[test]
    fn help_is_one_sentence() {
        for metric in ALL {
            let help = metric.help;
            assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "{help:?}");
            assert!(!help.contains('\n') && !help.contains("  "), "{help:?}");
        }
    }

    #[test]
    fn buckets_grow() {
        for metric in ALL {
            if let Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|one, next| one < next), "{}", metric.name);
            }
        }
    }

    #[test]
    fn methods_that_nobody_knows_are_one() {
        assert_eq!(known_method("GET"), "GET");
        assert_eq!(known_method("get"), "other");
        assert_eq!(known_method("X'; DROP"), "other");
    }
}
