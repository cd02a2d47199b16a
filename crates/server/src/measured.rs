//! A store whose appends are timed, and the figures that are looked up now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cim_domain_nix::{
    Announced, Append, Appended, EventStore, Intent, IntentStore, MessageId, Outgoing, Progress,
    Projection, Record, Rows, Snapshot, StoreError, StreamId, Subscription, Uuid, Visit,
};
use cim_nix_app::Store;
use cim_nix_base::{ContentHash, ErrorKind};
use cim_nix_host::protocol::{SpanOf, WorkSpan};
use cim_nix_host::{Ran, RanEnd, Tracing};
use cim_nix_service::metrics::{self, Outcome};
use cim_nix_telemetry::{Told, ToldOf};

/// A store whose appends are timed.
pub(crate) struct Measured(pub(crate) Arc<dyn Store>);

macro_rules! hand_on {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> Result<$answer, StoreError> {
            self.0.$name($($arg),*)
        })*
    };
}

impl EventStore for Measured {
    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let began = Instant::now();
        let appended = self.0.append(append);
        metrics::store_append(began.elapsed().as_secs_f64());
        appended
    }

    fn announce(&self) -> Announced {
        self.0.announce()
    }

    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError> {
        self.0.subscribe(after)
    }

    hand_on! {
        fn read_stream(&self, stream: &StreamId, after: u64, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn read_all(&self, after: u64, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn read_back(&self, before: Option<u64>, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn find(&self, id: Uuid, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> bool;
        fn caused_by(&self, cause: &MessageId, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn correlated(&self, correlation: &MessageId, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn version(&self, stream: &StreamId) -> u64;
        fn head(&self) -> u64;
        fn snapshot(&self, stream: &StreamId) -> Option<Snapshot>;
        fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> ();
        fn outgoing(&self, limit: usize) -> Vec<Outgoing>;
        fn published(&self, positions: &[u64]) -> ();
        fn catch_up(&self, projection: &dyn Projection) -> Progress;
        fn progress(&self, name: &str) -> Progress;
        fn drop_projection(&self, name: &str) -> ();
        fn rows(&self, name: &str, read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>) -> ();
    }
}

impl IntentStore for Measured {
    hand_on! {
        fn open_intent(&self, intent: &Intent, blobs: &[&[u8]]) -> ();
        fn close_intent(&self, id: Uuid) -> ();
        fn open_intents(&self) -> Vec<Intent>;
        fn blob(&self, hash: ContentHash) -> Option<Vec<u8>>;
    }
}

/// How often figures that nobody tells by themselves are looked up.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Looks up what is not told when it changes.
pub(crate) fn look(service: &cim_nix_service::Service) {
    let (health, now) = (service.health(), service.now());
    for tenant in &health.tenants {
        metrics::outbox_lag(&tenant.name, tenant.outbox);
        let since = tenant.outbox_since.map_or(0, |since| now.micros() - since.micros());
        metrics::outbox_oldest(
            &tenant.name,
            Duration::from_micros(since.max(0).unsigned_abs()).as_secs_f64(),
        );
        for (projection, position) in &tenant.projections {
            let lag = tenant.head.saturating_sub(*position);
            metrics::projection_lag(&tenant.name, projection, lag);
        }
        if let Some(bytes) = tenant.storage {
            metrics::tenant_storage(&tenant.name, bytes);
        }
    }
    let commands: usize = health.tenants.iter().map(|tenant| tenant.commands).sum();
    metrics::queue_depth("command", commands);
    // One that is open becomes half open by the clock alone.
    for breaker in &health.breakers {
        let known = cim_nix_service::DEPENDENCIES.iter().find(|known| **known == breaker.name);
        if let Some(name) = known {
            metrics::breaker_state(&breaker.tenant, name, breaker.state);
        }
    }
}

/// Where traces have runs of the worker, and of the programs that it runs.
pub(crate) const TRACING: Tracing =
    Tracing { current: cim_nix_telemetry::traceparent::current, program: was_done };

fn was_done(span: &WorkSpan) {
    let since = Duration::from_micros(span.began_micros.max(0).unsigned_abs());
    cim_nix_telemetry::tell(&Told {
        id: span.id.clone(),
        name: span.name.clone(),
        began: std::time::UNIX_EPOCH + since,
        took: Duration::from_micros(span.took_micros),
        of: match span.of.clone() {
            SpanOf::Program { executable, arguments, process, exit_code } => {
                ToldOf::Program { executable, arguments, process, exit_code }
            }
            SpanOf::Request { url, status } => ToldOf::Request { url, status },
        },
        error: span.error.clone().map(|error| (error.kind, error.message)),
    });
}

/// Counts a run of the worker.
pub(crate) fn worker_ran(ran: &Ran) {
    let killed = match ran.end {
        RanEnd::TimedOut => Some("time"),
        RanEnd::SaidTooMuch => Some("output"),
        RanEnd::Cancelled => Some("cancelled"),
        RanEnd::Done | RanEnd::Failed(_) | RanEnd::Broke => None,
    };
    if let Some(reason) = killed {
        metrics::worker_killed(reason);
    }
    let outcome = match ran.end {
        RanEnd::Done => Outcome::Ok,
        RanEnd::Cancelled | RanEnd::Failed(ErrorKind::User | ErrorKind::Config) => {
            Outcome::Rejected
        }
        RanEnd::Failed(ErrorKind::Conflict) => Outcome::Conflict,
        RanEnd::TimedOut | RanEnd::SaidTooMuch | RanEnd::Broke | RanEnd::Failed(_) => {
            Outcome::Failed
        }
    };
    metrics::worker_run(ran.task, outcome, ran.time.as_secs_f64());
}
