//! What the service says of itself: health, discovery and metrics in both spellings that other
//! services use, and the protocol of NATS's micro services.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use cim_domain_nix::{Role as For, Timestamp, Uuid};
use cim_nix_base::Error;
use cim_nix_service::{Service, Tenant};
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::desk::may_answer;
use crate::space::Place;
use crate::stats::{Endpoint, Stats};

/// The name of the service, as others look for it.
pub(crate) const NAME: &str = "cim-domain-nix";
/// The spellings of the name in subjects.
const NAMES: [&str; 2] = ["nix", NAME];
const VERSION: &str = env!("CARGO_PKG_VERSION");
const DESCRIPTION: &str =
    "Nix flakes, packages, modules, overlays and configurations, event-sourced";

/// Says of one tenant's service what others ask.
pub(crate) struct About {
    pub(crate) service: Arc<Service>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) place: Place,
    pub(crate) connection: Connection,
    pub(crate) stats: Arc<Stats>,
    pub(crate) queue: String,
    pub(crate) reply_prefixes: Vec<String>,
    pub(crate) id: String,
    pub(crate) began: Instant,
    pub(crate) started: Timestamp,
}

impl About {
    /// Subscribes to all that is asked about the service.
    ///
    /// Errors: the connection is closed.
    pub(crate) async fn subscribe(&self) -> Result<Vec<Subscriber>, Error> {
        let topics = ["health", "discovery", "metrics"];
        let mut subjects: Vec<String> = topics
            .iter()
            .flat_map(|topic| NAMES.map(|name| self.place.subject(&format!("{topic}.{name}"))))
            .collect();
        // The protocol knows no prefixes.
        subjects.push("$SRV.*".to_owned());
        subjects.push(format!("$SRV.*.{NAME}"));
        subjects.push(format!("$SRV.*.{NAME}.{}", self.id));
        let mut all = Vec::new();
        for subject in subjects {
            let subscribed = self.connection.client.subscribe(subject.clone()).await;
            all.push(subscribed.map_err(|error| {
                Error::outside(format!("cannot subscribe to `{subject}`"))
                    .because(std::io::Error::other(error.to_string()))
            })?);
        }
        Ok(all)
    }

    /// Answers, and announces the service at the beginning and every now and then, until `stop`.
    pub(crate) async fn run(
        self: Arc<Self>,
        asked: Vec<Subscriber>,
        every: Duration,
        stop: CancellationToken,
    ) {
        let mut asked = select_all(asked);
        let mut announcements = tokio::time::interval(every.max(Duration::from_secs(1)));
        announcements.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = announcements.tick() => {
                    let subject = self.place.subject("discovery.announce");
                    self.publish(subject.into(), &self.discovery()).await;
                }
                next = asked.next() => match next {
                    Some(message) => self.answer(message).await,
                    None => return,
                }
            }
        }
    }

    async fn answer(self: &Arc<Self>, message: Message) {
        let Some(to) = message.reply else { return };
        if !may_answer(&self.reply_prefixes, &to) {
            return;
        }
        let topic = match message.subject.strip_prefix("$SRV.") {
            Some(verb) => verb.split('.').next().unwrap_or_default().to_owned(),
            None => {
                let relative = self.place.relative(&message.subject).unwrap_or_default();
                relative.split('.').next().unwrap_or_default().to_owned()
            }
        };
        let about = self.clone();
        // Stores are asked, which may take a moment.
        let said = tokio::task::spawn_blocking(move || about.say(&topic)).await;
        if let Ok(Some(said)) = said {
            self.publish(to, &said).await;
        }
    }

    fn say(&self, topic: &str) -> Option<Value> {
        match topic {
            "health" => Some(self.health()),
            "discovery" => Some(self.discovery()),
            "metrics" => Some(self.metrics()),
            "PING" => Some(self.micro("ping", json!({}))),
            "INFO" => Some(self.micro("info", self.info())),
            "STATS" => Some(self.micro("stats", self.stats())),
            _ => None,
        }
    }

    async fn publish(&self, subject: async_nats::Subject, said: &Value) {
        if let Err(error) = self.connection.client.publish(subject, said.to_string().into()).await {
            tracing::debug!("what was asked about the service is not answered: {error}");
        }
    }

    fn now(&self) -> String {
        self.service.now().to_string()
    }

    fn nats(&self) -> &'static str {
        if self.connection.is_connected() { "connected" } else { "disconnected" }
    }

    fn health(&self) -> Value {
        let health = self.service.health();
        let tenant = health.tenants.iter().find(|tenant| tenant.name == *self.tenant.name());
        let problem = tenant.and_then(|tenant| tenant.problem.clone());
        let status = match (&problem, health.is_draining) {
            (Some(_), _) => "unhealthy",
            (None, true) => "draining",
            (None, false) => "healthy",
        };
        let (used, total) = memory();
        let mib = |kib: u64| kib / 1_024;
        let per_mille = (used * 1_000).checked_div(total).unwrap_or_default();
        json!({
            "status": status,
            "service": NAME,
            "version": VERSION,
            "timestamp": self.now(),
            "details": {
                "uptime": self.began.elapsed().as_secs(),
                "memory": {
                    "used_mb": mib(used),
                    "total_mb": mib(total),
                    "percentage": f64::from(u32::try_from(per_mille).unwrap_or(u32::MAX)) / 10.0,
                },
                "connections": { "nats": self.nats() },
                "problem": problem,
                "events": tenant.map(|tenant| tenant.head),
                "events_to_publish": tenant.map(|tenant| tenant.outbox),
            },
        })
    }

    fn discovery(&self) -> Value {
        let endpoints: Vec<String> = self
            .stats
            .all()
            .iter()
            .map(|(subject, _)| self.place.subject(subject.as_str()))
            .collect();
        let capabilities: Vec<&str> =
            self.stats.all().iter().map(|(subject, _)| subject.message_type()).collect();
        json!({
            "service": {
                "name": NAME,
                "version": VERSION,
                "instance_id": self.id,
                "description": DESCRIPTION,
                "capabilities": capabilities,
                "endpoints": endpoints,
            },
            "timestamp": self.now(),
        })
    }

    fn metrics(&self) -> Value {
        let tenant = self.tenant.health();
        let sum = |role: For, of: fn(&Endpoint) -> u64| -> u64 {
            let all = self.stats.all().iter().filter(|(subject, _)| subject.role() == role);
            all.map(|(_, endpoint)| of(endpoint)).sum()
        };
        let requests = |endpoint: &Endpoint| endpoint.requests.load(Ordering::Relaxed);
        let errors = |endpoint: &Endpoint| endpoint.errors.load(Ordering::Relaxed);
        let statistics = self.connection.client.statistics();
        let count = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
        let projections: serde_json::Map<String, Value> = tenant
            .projections
            .iter()
            .map(|(name, position)| {
                ((*name).to_owned(), json!(tenant.head - (*position).min(tenant.head)))
            })
            .collect();
        json!({
            "service": NAME,
            "version": VERSION,
            "instance_id": self.id,
            "timestamp": self.now(),
            "metrics": {
                "uptime_seconds": self.began.elapsed().as_secs(),
                "memory_bytes": memory().0 * 1_024,
                "commands": sum(For::Command, requests),
                "commands_refused": sum(For::Command, errors),
                "commands_under_way": tenant.commands,
                "queries": sum(For::Query, requests),
                "queries_refused": sum(For::Query, errors),
                "unknown_subjects": count(&self.stats.unknown),
                "events": tenant.head,
                "events_published": count(&self.stats.published),
                "events_passed_over": count(&self.stats.passed_over),
                "events_to_publish": tenant.outbox,
                "foreign_events": count(&self.stats.foreign),
                "projection_lag": projections,
                "nats": {
                    "connected": self.connection.is_connected(),
                    "reconnects": self.connection.n_connects().saturating_sub(1),
                    "messages_in": statistics.in_messages.load(Ordering::Relaxed),
                    "messages_out": statistics.out_messages.load(Ordering::Relaxed),
                    "slow": self.connection.n_slow(),
                },
            },
        })
    }

    /// What every reply of the protocol has, and `more`.
    fn micro(&self, kind: &str, more: Value) -> Value {
        let mut value = json!({
            "type": format!("io.nats.micro.v1.{kind}_response"),
            "name": NAME,
            "id": self.id,
            "version": VERSION,
            "metadata": { "tenant": &**self.tenant.name() },
        });
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    }

    fn info(&self) -> Value {
        let endpoints: Vec<Value> = self
            .stats
            .all()
            .iter()
            .map(|(subject, _)| {
                json!({
                    "name": subject.message_type(),
                    "subject": self.place.subject(subject.as_str()),
                    "queue_group": self.queue,
                    "metadata": { "kind": subject.kind().token(), "role": subject.role().token() },
                })
            })
            .collect();
        json!({ "description": DESCRIPTION, "endpoints": endpoints })
    }

    fn stats(&self) -> Value {
        let endpoints: Vec<Value> = self
            .stats
            .all()
            .iter()
            .map(|(subject, endpoint)| {
                let requests = endpoint.requests.load(Ordering::Relaxed);
                let nanos = endpoint.nanos.load(Ordering::Relaxed);
                let last = endpoint.last_error.lock().map(|it| it.clone()).unwrap_or_default();
                json!({
                    "name": subject.message_type(),
                    "subject": self.place.subject(subject.as_str()),
                    "queue_group": self.queue,
                    "num_requests": requests,
                    "num_errors": endpoint.errors.load(Ordering::Relaxed),
                    "last_error": last,
                    "processing_time": nanos,
                    "average_processing_time": nanos.checked_div(requests).unwrap_or_default(),
                })
            })
            .collect();
        json!({ "started": self.started.to_string(), "endpoints": endpoints })
    }
}

/// An id of an instance, as the protocol takes it: letters and digits.
pub(crate) fn instance_id(id: Uuid) -> String {
    id.simple().to_string()
}

/// KiB that this process takes, and that the machine has; 0 where that cannot be told.
fn memory() -> (u64, u64) {
    let field = |path: &str, name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let of = |path, name| field(path, name).unwrap_or_default();
    (of("/proc/self/status", "VmRSS:"), of("/proc/meminfo", "MemTotal:"))
}
