//! Keeps what is counted, and tells it in Prometheus' text format.
//!
//! Only metrics that are declared are kept, with the labels that are declared for them. A label has
//! a bounded number of values: what comes after that is counted as `other`, so that no caller can
//! fill memory by inventing tenants.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cim_nix_base::Error;
use cim_nix_service::metrics::{self as declared, Kind, Metric};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Values that one label may have, over all metrics.
const MOST_VALUES: usize = 256;
/// A value is cut behind so many bytes.
const MOST_VALUE: usize = 128;
/// What all further values are.
const OTHER: &str = "other";

/// The registry of everything that is declared.
pub(crate) struct Bounded {
    inner: PrometheusRecorder,
    declared: HashMap<&'static str, &'static Metric>,
    values: HashMap<&'static str, RwLock<HashSet<String>>>,
    n_undeclared: Arc<AtomicU64>,
}

/// Makes the registry, and the handle that tells what is in it.
pub(crate) fn registry(
    metrics: impl Iterator<Item = &'static Metric> + Clone,
) -> Result<(Bounded, PrometheusHandle, Arc<AtomicU64>), Error> {
    let mut builder = PrometheusBuilder::new();
    for metric in metrics.clone() {
        if let Kind::Histogram(bounds) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, bounds)
                .map_err(|error| Error::bug("a histogram has no buckets").because(error))?;
        }
    }
    let inner = builder.build_recorder();
    let handle = inner.handle();
    let labels = metrics.clone().flat_map(|metric| metric.labels);
    let n_undeclared = Arc::default();
    let bounded = Bounded {
        declared: metrics.clone().map(|metric| (metric.name, metric)).collect(),
        values: labels.map(|label| (*label, RwLock::default())).collect(),
        n_undeclared: Arc::clone(&n_undeclared),
        inner,
    };
    metrics.for_each(|metric| bounded.describe(metric));
    Ok((bounded, handle, n_undeclared))
}

impl Bounded {
    fn describe(&self, metric: &Metric) {
        let (name, help) = (KeyName::from(metric.name), SharedString::from(metric.help));
        let unit = Some(match metric.unit {
            declared::Unit::Count => Unit::Count,
            declared::Unit::Seconds => Unit::Seconds,
            declared::Unit::Bytes => Unit::Bytes,
        });
        match metric.kind {
            Kind::Counter => self.inner.describe_counter(name, unit, help),
            Kind::Gauge => self.inner.describe_gauge(name, unit, help),
            Kind::Histogram(_) => self.inner.describe_histogram(name, unit, help),
        }
    }

    /// The key under which something is kept; `None` if it is not.
    fn admit<'k>(&self, key: &'k Key) -> Option<Cow<'k, Key>> {
        let Some(metric) = self.declared.get(key.name()) else {
            self.n_undeclared.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let is_as_declared =
            |label: &Label| metric.labels.contains(&label.key()) && self.is_known(label);
        if key.labels().all(is_as_declared) {
            return Some(Cow::Borrowed(key));
        }
        let labels = key.labels().filter(|label| metric.labels.contains(&label.key()));
        let labels: Vec<Label> = labels
            .map(|label| match self.is_known(label) {
                true => label.clone(),
                false => Label::new(label.key().to_owned(), OTHER),
            })
            .collect();
        Some(Cow::Owned(Key::from_parts(metric.name, labels)))
    }

    /// Whether a value is one of those that are kept; new ones are, while there is room.
    fn is_known(&self, label: &Label) -> bool {
        let value = label.value();
        let Some(values) = self.values.get(label.key()) else { return false };
        if value.len() > MOST_VALUE {
            return false;
        }
        if values.read().unwrap_or_else(PoisonError::into_inner).contains(value) {
            return true;
        }
        let mut values = values.write().unwrap_or_else(PoisonError::into_inner);
        values.contains(value) || (values.len() < MOST_VALUES && values.insert(value.to_owned()))
    }
}

impl Recorder for Bounded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        match self.admit(key) {
            Some(key) => self.inner.register_counter(&key, metadata),
            None => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        match self.admit(key) {
            Some(key) => self.inner.register_gauge(&key, metadata),
            None => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        match self.admit(key) {
            Some(key) => self.inner.register_histogram(&key, metadata),
            None => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_service::metrics::{ALL, Outcome};
    use expect_test::expect;

    use super::*;

    fn rendered(count: impl FnOnce()) -> String {
        let (registry, handle, _) = registry(ALL.iter()).unwrap();
        metrics::with_local_recorder(&registry, count);
        handle.render()
    }

    #[test]
    fn what_is_counted_is_told() {
        let text = rendered(|| {
            declared::events_appended("acme", "flake", 3);
            declared::events_appended("acme", "flake", 1);
            declared::store_append(0.002);
            declared::store_append(0.5);
            declared::nats_connected("main", true);
        });
        expect![[r#"
            # HELP cim_nix_events_appended_total Events that were appended to the store.
            # TYPE cim_nix_events_appended_total counter
            cim_nix_events_appended_total{tenant="acme",kind="flake"} 4

            # HELP cim_nix_nats_connected Whether a connection to NATS stands (1) or not (0).
            # TYPE cim_nix_nats_connected gauge
            cim_nix_nats_connected{connection="main"} 1

            # HELP cim_nix_store_append_seconds Time that one append took, the flush included.
            # TYPE cim_nix_store_append_seconds histogram
            cim_nix_store_append_seconds_bucket{le="0.0001"} 0
            cim_nix_store_append_seconds_bucket{le="0.00025"} 0
            cim_nix_store_append_seconds_bucket{le="0.0005"} 0
            cim_nix_store_append_seconds_bucket{le="0.001"} 0
            cim_nix_store_append_seconds_bucket{le="0.0025"} 1
            cim_nix_store_append_seconds_bucket{le="0.005"} 1
            cim_nix_store_append_seconds_bucket{le="0.01"} 1
            cim_nix_store_append_seconds_bucket{le="0.025"} 1
            cim_nix_store_append_seconds_bucket{le="0.05"} 1
            cim_nix_store_append_seconds_bucket{le="0.1"} 1
            cim_nix_store_append_seconds_bucket{le="0.25"} 1
            cim_nix_store_append_seconds_bucket{le="1"} 2
            cim_nix_store_append_seconds_bucket{le="+Inf"} 2
            cim_nix_store_append_seconds_sum 0.502
            cim_nix_store_append_seconds_count 2

        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn every_function_counts_what_is_declared() {
        let text = rendered(|| {
            declared::command("t", "c", Outcome::Ok, 0.1);
            declared::query("t", "q", Outcome::Rejected, 0.1);
            declared::events_appended("t", "k", 1);
            declared::store_append(0.1);
            declared::tenant_storage("t", 1);
            declared::outbox_lag("t", 1);
            declared::outbox_oldest("t", 1.0);
            declared::events_published("t", "published", 1);
            declared::foreign_event("t", "git");
            declared::projection_lag("t", "p", 1);
            declared::nats_connected("main", false);
            declared::nats_event("main", "connected");
            declared::http_request("/a/{id}", "GET", 200, 0.1);
            declared::queue_depth("command", 1);
            declared::rejected("overloaded");
            declared::rate_limited("t", "caller");
            declared::auth_refused("token");
            declared::breaker_state("acme", "nix", cim_nix_service::BreakerState::Open);
            declared::breaker_tripped("acme", "nix");
            declared::retried("nix");
            declared::worker_run("evaluate", Outcome::Failed, 0.1);
            declared::worker_killed("time");
            declared::build_info("1");
            drop(declared::InFlight::enter("command"));
        });
        for metric in ALL {
            let head = format!("# TYPE {} ", metric.name);
            assert!(text.contains(&head), "{} is never counted", metric.name);
            let sample = text.lines().find(|line| {
                line.starts_with(metric.name) && !line.contains("le=\"") && !line.ends_with("_sum")
            });
            for label in metric.labels {
                let sample = sample.unwrap();
                assert!(sample.contains(&format!("{label}=\"")), "{label} is missing: {sample}");
            }
        }
    }

    #[test]
    fn what_is_not_declared_is_not_kept() {
        let (registry, handle, n_undeclared) = registry(ALL.iter()).unwrap();
        metrics::with_local_recorder(&registry, || {
            metrics::counter!("invented_total").increment(1);
            metrics::counter!(declared::REJECTED.name, "reason" => "x", "id" => "42").increment(1);
        });
        assert_eq!(n_undeclared.load(Ordering::Relaxed), 1);
        let text = handle.render();
        assert!(text.contains("\ncim_nix_rejected_total{reason=\"x\"} 1\n"), "{text}");
        assert!(!text.contains("invented") && !text.contains("42"), "{text}");
    }

    #[test]
    fn invented_tenants_are_one() {
        let text = rendered(|| {
            for n in 0..10_000 {
                declared::outbox_lag(&format!("t{n}"), 1);
            }
            declared::outbox_lag(&"x".repeat(1000), 1);
            declared::outbox_lag("t7", 2);
        });
        let n_series = text.lines().filter(|line| line.starts_with("cim_nix_outbox_lag{")).count();
        assert_eq!(n_series, MOST_VALUES + 1);
        assert!(text.contains("{tenant=\"other\"} 1\n"), "{text}");
        assert!(text.contains("{tenant=\"t7\"} 2\n"), "{text}");
    }
}
