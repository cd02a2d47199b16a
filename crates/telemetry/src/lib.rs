//! Logs, metrics and traces of the service, as operators collect them.
//!
//! [`init`] is called once, by the program, before anything else; it gives a [`Guard`] that the
//! program keeps until it ends. Everyone else writes log lines and spans with `tracing` and counts
//! with the functions of `cim_nix_service::metrics`, and needs nothing of this crate.
//!
//! * **Logs** go to standard error, a line each, as JSON or for people ([`Settings`]); the level can
//!   be changed while the program runs ([`Guard::set_log_filter`]). Each line has the fields of the
//!   spans around it, so `tenant` and `correlation` are told once, by the span of the request.
//! * **Metrics** are told by [`Metrics::render`], for the route `/metrics`.
//! * **Traces** go to a collector by OTLP if one is named, and join across processes by the header
//!   `traceparent` ([`traceparent`]).
//!
//! Nobody waits for readers of logs or for the collector: what they do not take in time is dropped
//! and counted. Secrets are masked on the way out, in lines and spans ([`mask`](mask::mask)).

// This crate is the one that knows the clock, the process and standard error.
#![allow(clippy::disallowed_methods, reason = "an adapter: the clock and the process are its work")]
#![forbid(unsafe_code)]

mod export;
mod lines;
mod process;
mod recorder;
mod settings;
mod sink;

mod told;

pub mod mask;
pub mod traceparent;

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cim_nix_base::Error;
use cim_nix_service::metrics::{Kind, Metric, Unit};
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::reload;

use export::{Counts, Exporter};
use lines::Lines;
pub use settings::{Format, Identity, Log, Settings, Traces};
use sink::Sink;
pub use told::{Told, ToldOf, tell};

/// How often what was counted is put in order while nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(5);

/// Spans, by what became of them.
const SPANS: Metric = Metric {
    name: "cim_nix_spans_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["outcome"],
    help: "Spans that ended, that a collector took, and that it did not.",
};
const LINES_DROPPED: Metric = Metric {
    name: "cim_nix_log_lines_dropped_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Log lines that were dropped because nobody read them.",
};
const UNDECLARED: Metric = Metric {
    name: "cim_nix_metrics_undeclared_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Times that something was counted which nobody declared; a mistake in the program.",
};

const OWN: &[Metric] = &[SPANS, LINES_DROPPED, UNDECLARED];

/// Every metric that [`Metrics::render`] can tell, in the order of the manual.
pub fn declared() -> impl Iterator<Item = &'static Metric> + Clone {
    cim_nix_service::metrics::ALL.iter().chain(OWN).chain(process::ALL)
}

/// Starts logs, metrics and traces, for the whole process and once.
///
/// May be called before there is a runtime. Panics are logged as errors from then on.
/// Errors: a setting that is wrong, or something was started before.
pub fn init(settings: &Settings, identity: &Identity) -> Result<Guard, Error> {
    init_to(settings, identity, std::io::stderr())
}

/// [`init`] with another place for log lines.
pub fn init_to(
    settings: &Settings,
    identity: &Identity,
    log: impl Write + Send + 'static,
) -> Result<Guard, Error> {
    let filter = log_filter(&settings.log.filter)?;
    let exporter = settings.traces.endpoint.as_deref();
    let exporter =
        exporter.map(|url| Exporter::new(url, &settings.traces, identity)).transpose()?;
    let sink = Sink::new(log)
        .map_err(|error| Error::outside("cannot start the thread for log lines").because(error))?;
    let metrics = Metrics::start(&sink, exporter.as_ref())?;

    let (filter, reload) = reload::Layer::new(filter);
    let lines = Lines::new(settings.log.format, sink.clone(), SystemTime::now).with_filter(filter);
    let spans = exporter.as_ref().map(|exporter| {
        tracing_opentelemetry::layer()
            .with_tracer(exporter.tracer())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(traced())
    });
    let subscriber = tracing_subscriber::registry()
        .with(traceparent::Adopt)
        .with(spans)
        .with(traceparent::Release)
        .with(lines);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::bug("logs were started before").because(error))?;
    if let Some(exporter) = &exporter {
        told::take(exporter.tracer());
    }
    log_panics();
    let set_filter = Box::new(move |filter| reload.reload(filter).map_err(|e| e.to_string()));
    Ok(Guard { sink, exporter, metrics, set_filter, is_done: AtomicBool::new(false) })
}

/// Whether logs and traces could be started with the settings.
///
/// Errors: what [`init`] would say.
pub fn check(settings: &Settings) -> Result<(), Error> {
    log_filter(&settings.log.filter)?;
    settings.traces.check()?;
    let identity = Identity { name: "", version: "", instance: String::new() };
    let exporter = settings.traces.endpoint.as_deref();
    exporter.map_or(Ok(()), |url| Exporter::new(url, &settings.traces, &identity).map(drop))
}

/// What is traced: our own work. The parts that carry the traces away are not.
fn traced() -> Targets {
    Targets::new().with_target("cim_nix", Level::INFO).with_target("cim_domain_nix", Level::INFO)
}

/// Reads a filter such as `info,cim_nix_nats=debug`. The client of NATS says what it warns of, unless
/// the filter names it.
///
/// Errors: something in it is no level. A word alone is one, so that a misspelt level is no target.
pub fn log_filter(filter: &str) -> Result<Targets, Error> {
    let targets = filter.split(',').try_fold(Targets::new(), |targets, part| {
        let (target, level) = match part.split_once('=') {
            Some((target, level)) => (Some(target.trim()), level),
            None => (None, part),
        };
        let level: Option<LevelFilter> = level.trim().parse().ok();
        match (target, level) {
            (None, Some(level)) => Ok(targets.with_default(level)),
            (Some(target), Some(level)) if !target.is_empty() => {
                Ok(targets.with_target(target, level))
            }
            _ => Err(Error::config(format!("`{part}` is no filter for logs")).hint(
                "write a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), and behind \
                 commas levels for single targets: `info,cim_nix_nats=debug`",
            )),
        }
    })?;
    // The client of NATS tells of each attempt to connect, and not of where; what matters of it has a
    // line of ours.
    let is_loud = targets.default_level().is_some_and(|level| level > LevelFilter::WARN);
    Ok(match is_loud && !filter.contains(NATS_CLIENT) {
        true => targets.with_target(NATS_CLIENT, LevelFilter::WARN),
        false => targets,
    })
}

/// What the client of NATS is called in filters.
const NATS_CLIENT: &str = "async_nats";

/// A panic would else be told on standard error, in no format and with whatever is in its message.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("(no name)");
        tracing::error!(target: "cim_nix_telemetry", place, thread, "panic: {message}");
    }));
}

/// Keeps logs, metrics and traces going. [`Guard::shutdown`] ends them in order.
pub struct Guard {
    sink: Sink,
    exporter: Option<Exporter>,
    metrics: Metrics,
    set_filter: Box<dyn Fn(Targets) -> Result<(), String> + Send + Sync>,
    is_done: AtomicBool,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Guard {
    /// What is counted, for the route that tells it.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Changes what is logged from now on.
    ///
    /// Errors: something in it is no level; then all stays as it is.
    pub fn set_log_filter(&self, filter: &str) -> Result<(), Error> {
        let targets = log_filter(filter)?;
        (self.set_filter)(targets).map_err(Error::bug)
    }

    /// Delivers spans and lines that wait, within `limit`, and stops. Whether all were delivered.
    ///
    /// Blocks for as long; call it last, outside of the runtime or where blocking is allowed.
    pub fn shutdown(mut self, limit: Duration) -> bool {
        self.finish(limit)
    }

    fn finish(&mut self, limit: Duration) -> bool {
        if self.is_done.swap(true, Ordering::Relaxed) {
            return true;
        }
        let end = Instant::now() + limit;
        let delivered = self.exporter.as_mut().is_none_or(|exporter| exporter.shutdown(limit));
        // Lines have no network before them: they get a moment even if the collector took it all.
        let rest = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        let written = self.sink.flush(rest);
        self.sink.close();
        self.metrics.stop();
        delivered && written
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.finish(Duration::from_secs(1));
    }
}

/// What is counted. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Registry>);

struct Registry {
    handle: PrometheusHandle,
    start: SystemTime,
    sink: Sink,
    spans: Option<Arc<Counts>>,
    n_undeclared: Arc<AtomicU64>,
    is_stopped: Mutex<bool>,
    stopping: Condvar,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    fn start(sink: &Sink, exporter: Option<&Exporter>) -> Result<Self, Error> {
        let (recorder, handle, n_undeclared) = recorder::registry(declared())?;
        metrics::set_global_recorder(recorder)
            .map_err(|error| Error::bug("metrics were started before").because(error))?;
        let registry = Arc::new(Registry {
            handle,
            start: SystemTime::now(),
            sink: sink.clone(),
            spans: exporter.map(Exporter::counts),
            n_undeclared,
            is_stopped: Mutex::new(false),
            stopping: Condvar::new(),
        });
        let kept = Arc::clone(&registry);
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || kept.keep()).map_err(
            |error| Error::outside("cannot start the thread for metrics").because(error),
        )?;
        Ok(Self(registry))
    }

    fn stop(&self) {
        *self.0.is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.stopping.notify_all();
    }

    /// All metrics in Prometheus' text format (`text/plain; version=0.0.4`).
    #[must_use]
    pub fn render(&self) -> String {
        self.0.count_own();
        let mut text = self.0.handle.render();
        process::render(self.0.start, &mut text);
        text
    }
}

impl Registry {
    /// Puts observations into their buckets; without it, they would pile up until somebody asks.
    fn keep(&self) {
        let mut is_stopped = self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_stopped {
            let waited = self.stopping.wait_timeout(is_stopped, UPKEEP);
            is_stopped = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.handle.run_upkeep();
        }
    }

    fn count_own(&self) {
        metrics::counter!(LINES_DROPPED.name).absolute(self.sink.n_dropped());
        metrics::counter!(UNDECLARED.name).absolute(self.n_undeclared.load(Ordering::Relaxed));
        if let Some(spans) = &self.spans {
            let outcomes =
                [("ended", &spans.ended), ("exported", &spans.exported), ("failed", &spans.failed)];
            for (outcome, count) in outcomes {
                metrics::counter!(SPANS.name, "outcome" => outcome)
                    .absolute(count.load(Ordering::Relaxed));
            }
        }
    }
}
