//! Publishes the events of a tenant's store, in order, until each of them is acknowledged.
//!
//! An event is noted as published when the server has acknowledged it, so after a crash some may be
//! published again, with the same `Nats-Msg-Id`: a stream drops them. Each message of a portion
//! expects the one before it to be the last in the stream; what is lost in between stops those
//! behind it, and they are sent again, in order.
//!
//! A stream with replicas gets one message after the other instead. It would compare what is expected
//! when a message is written already (nats-server 2.15.1): where two instances publish at once, that
//! fails on all its servers, and none of them has the stream any more until it is started again.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture as _};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, context::ContextBuilder};
use bytes::Bytes;
use cim_domain_nix::{Outgoing, Record, StoreError, Subject, Uuid, headers};
use cim_nix_base::Error;
use cim_nix_service::{Tenant, metrics};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::settings::NatsSettings;
use crate::space::{Place, SubjectSpace};
use crate::stats::Stats;
use crate::{stream, wire};

/// Events that are read at once.
const PORTION: usize = 1_000;
/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look for events that nobody told of.
const INTERVAL: Duration = Duration::from_secs(1);
/// Where many events come, those of so much time are published and noted together. One that comes
/// alone does not wait.
const PACE: Duration = Duration::from_millis(10);

/// The events of one tenant on their way out.
pub(crate) struct Outbox {
    tenant: Arc<Tenant>,
    place: Place,
    connection: Connection,
    settings: NatsSettings,
    stream: String,
    /// How many servers keep each message of the stream, as far as that is known.
    n_replicas: AtomicUsize,
    context: jetstream::Context,
    stats: Arc<Stats>,
}

/// An acknowledgement that is still to come.
type Ack = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

/// How far a portion got.
struct Sent {
    /// The positions of events that need not be published any more.
    done: Vec<u64>,
    /// Why it did not get further.
    problem: Option<Problem>,
}

enum Problem {
    /// Somebody else published in between, or something was lost: it goes on at once.
    Order,
    /// The server is not there, or does not want it.
    Outside(Error),
}

impl Outbox {
    pub(crate) fn new(
        tenant: Arc<Tenant>,
        space: &SubjectSpace,
        connection: Connection,
        settings: &NatsSettings,
        stats: Arc<Stats>,
    ) -> Self {
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .ack_timeout(PATIENCE)
            .max_ack_inflight(settings.publish_in_flight.max(1) * 4)
            .build(connection.client.clone());
        Self {
            place: space.place(tenant.name()),
            stream: stream::name(&settings.stream, space, tenant.name()),
            n_replicas: AtomicUsize::new(settings.stream.replicas),
            tenant,
            connection,
            settings: settings.clone(),
            context,
            stats,
        }
    }

    /// Publishes until `stop`, and then what is there, as long as that works.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let outbox = Arc::new(self);
        let grown = Arc::new(Notify::new());
        let watching = outbox.watch(grown.clone(), stop.clone());
        let mut failures = 0_u32;
        let mut is_ready = !outbox.settings.stream.enabled;
        let mut said = String::new();
        loop {
            let next = tokio::time::Instant::now() + PACE;
            let passed = outbox.pass(&mut is_ready).await;
            let is_over = stop.is_cancelled();
            match passed {
                Ok(0) if is_over => break,
                Ok(0) => {
                    failures = 0;
                    tokio::select! {
                        () = grown.notified() => {}
                        () = tokio::time::sleep(INTERVAL) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Ok(_) => {
                    failures = 0;
                    tokio::select! {
                        () = tokio::time::sleep_until(next) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Err(error) => {
                    let text = error.chain();
                    if text != said {
                        tracing::warn!(tenant = %outbox.tenant.name(), "events are not published now: {text}");
                        said = text;
                    }
                    if is_over {
                        break;
                    }
                    failures += 1;
                    let longest = outbox.settings.longest_reconnect_ms.max(100);
                    let millis = (50_u64 << failures.min(16)).min(longest);
                    let pause = Duration::from_millis(millis).mul_f64(0.5 + fastrand::f64() / 2.0);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
        if let Some(thread) = watching {
            // It ends within its patience.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// A thread that says when the store has more events.
    fn watch(
        &self,
        grown: Arc<Notify>,
        stop: CancellationToken,
    ) -> Option<std::thread::JoinHandle<()>> {
        let store = self.tenant.store().clone();
        let watch = move || {
            let mut after = None;
            while !stop.is_cancelled() {
                let followed = follow(&*store, &mut after, &grown, &stop);
                if let Err(error) = followed {
                    tracing::debug!("cannot follow the store now: {error}");
                    std::thread::sleep(INTERVAL);
                }
            }
        };
        let name = format!("outbox-{}", self.tenant.name());
        let thread = std::thread::Builder::new().name(name).spawn(watch);
        thread.map_err(|error| tracing::warn!("events are published with a delay: {error}")).ok()
    }

    /// Publishes one portion; answers how many events need not be published any more.
    async fn pass(self: &Arc<Self>, is_ready: &mut bool) -> Result<usize, Error> {
        let portion = self.blocking(|tenant| tenant.store().outgoing(PORTION)).await?;
        self.measure(&portion).await?;
        if portion.is_empty() {
            return Ok(0);
        }
        if !*is_ready {
            let settings = &self.settings.stream;
            let n_replicas =
                stream::ensure(&self.context, settings, &self.stream, &self.place).await?;
            self.n_replicas.store(n_replicas, Ordering::Relaxed);
            *is_ready = true;
        }
        let Sent { done, problem } = match self.settings.stream.enabled {
            true => self.to_stream(&portion).await,
            false => self.to_all(&portion).await,
        };
        let n_done = done.len();
        if n_done > 0 {
            self.blocking(move |tenant| tenant.store().published(&done)).await?;
        }
        match problem {
            None | Some(Problem::Order) => Ok(n_done.max(1)),
            Some(Problem::Outside(error)) => {
                // The stream may be gone.
                *is_ready = !self.settings.stream.enabled;
                Err(error)
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        let tenant = self.tenant.clone();
        let ran = tokio::task::spawn_blocking(move || run(&tenant)).await;
        ran.map_err(|error| Error::bug("the outbox failed").because(error))?.map_err(Error::from)
    }

    /// Says how far behind the published events are.
    async fn measure(&self, portion: &[Outgoing]) -> Result<(), Error> {
        let lag = match portion.first() {
            Some(first) => {
                let head = self.blocking(|tenant| tenant.store().head()).await?;
                head.saturating_sub(first.position) + 1
            }
            None => 0,
        };
        metrics::outbox_lag(self.tenant.name(), lag);
        Ok(())
    }

    /// Publishes to a stream, with many events under way at once.
    async fn to_stream(&self, portion: &[Outgoing]) -> Sent {
        let mut sent = Sent { done: Vec::new(), problem: None };
        let mut under_way: VecDeque<(u64, Ack)> = VecDeque::new();
        let mut previous: Option<Uuid> = None;
        let is_replicated = self.n_replicas.load(Ordering::Relaxed) > 1;
        let most = if is_replicated { 1 } else { self.settings.publish_in_flight.max(1) };
        let connects = self.connection.n_connects();
        for event in portion {
            let Some(mut message) = self.message(event, &mut sent.done) else { continue };
            if under_way.len() >= most && !self.settle(&mut under_way, connects, &mut sent).await {
                return sent;
            }
            if let Some(previous) = previous.filter(|_| !is_replicated) {
                let expected = previous.to_string();
                message.headers.insert(
                    async_nats::header::NATS_EXPECTED_LAST_MESSAGE_ID,
                    wire::value(&expected),
                );
            }
            previous = Some(event.id);
            let publish = PublishMessage::build().headers(message.headers).payload(message.body);
            match self.context.send_publish(message.subject, publish).await {
                Ok(ack) => under_way.push_back((event.position, ack.into_future())),
                Err(error) => {
                    sent.problem = Some(Problem::Outside(not_taken(&error)));
                    break;
                }
            }
        }
        while !under_way.is_empty() && self.settle(&mut under_way, connects, &mut sent).await {}
        sent
    }

    /// Waits for the oldest acknowledgement; answers whether it was one.
    async fn settle(
        &self,
        under_way: &mut VecDeque<(u64, Ack)>,
        connects: u64,
        sent: &mut Sent,
    ) -> bool {
        let Some((position, mut ack)) = under_way.pop_front() else { return false };
        let mut reconnected: Option<Instant> = None;
        let ended = loop {
            match tokio::time::timeout(Duration::from_millis(100), &mut ack).await {
                Ok(ended) => break Some(ended),
                Err(_) if self.connection.n_connects() == connects => {}
                // What the former connection carried is not answered on the new one.
                Err(_) => {
                    let since = reconnected.get_or_insert_with(Instant::now);
                    if since.elapsed() > Duration::from_millis(300) {
                        break None;
                    }
                }
            }
        };
        match ended {
            Some(Ok(ack)) => {
                match ack.duplicate {
                    true => metrics::events_published(self.tenant.name(), "repeated", 1),
                    false => self.count(1),
                }
                sent.done.push(position);
                return true;
            }
            Some(Err(error)) if error.kind() == PublishErrorKind::WrongLastMessageId => {
                sent.problem.get_or_insert(Problem::Order);
            }
            Some(Err(error)) => {
                sent.problem.get_or_insert(Problem::Outside(not_taken(&error)));
            }
            None => {
                let error = Error::outside("the connection broke while events were published");
                sent.problem.get_or_insert(Problem::Outside(error));
            }
        }
        // Those behind it were acknowledged, or will be sent again: the stream knows them.
        while let Some((position, mut ack)) = under_way.pop_front() {
            let ended = tokio::time::timeout(Duration::ZERO, &mut ack).await;
            if matches!(ended, Ok(Ok(_))) {
                sent.done.push(position);
            }
        }
        false
    }

    /// Publishes to whoever listens. A message of our own that comes back afterwards says that the
    /// server has had all before it.
    async fn to_all(&self, portion: &[Outgoing]) -> Sent {
        let mut sent = Sent { done: Vec::new(), problem: None };
        let (connects, violations) = (self.connection.n_connects(), self.connection.n_violations());
        let published = self.publish_all(portion, &mut sent.done).await;
        let is_whole = self.connection.n_connects() == connects;
        let problem = match published {
            Err(error) => error,
            Ok(()) if !is_whole => {
                Error::outside("the connection broke while events were published")
            }
            Ok(()) if self.connection.n_violations() != violations => {
                Error::outside("the NATS server does not let us publish events")
            }
            Ok(()) => {
                self.count((portion.len() - sent.done.len()) as u64);
                sent.done = portion.iter().map(|event| event.position).collect();
                return sent;
            }
        };
        sent.problem = Some(Problem::Outside(problem));
        sent
    }

    async fn publish_all(&self, portion: &[Outgoing], done: &mut Vec<u64>) -> Result<(), Error> {
        let outside = |error: &dyn std::fmt::Display| {
            Error::outside("cannot publish events")
                .because(std::io::Error::other(error.to_string()))
        };
        let client = &self.connection.client;
        for event in portion {
            let Some(message) = self.message(event, done) else { continue };
            let sent =
                client.publish_with_headers(message.subject, message.headers, message.body).await;
            sent.map_err(|error| outside(&error))?;
        }
        self.connection.echo(PATIENCE).await.map_err(|error| outside(&error))
    }

    /// The message for an event; `None`, noted as done, for one that none is for.
    fn message(&self, event: &Outgoing, done: &mut Vec<u64>) -> Option<Message> {
        let Some(subject) = Subject::of(&event.event_type) else {
            self.pass_over(event.position, done, "no_subject");
            return None;
        };
        let mut headers = headers_of(event);
        let most = self.connection.client.max_payload().saturating_sub(2_048);
        let mut body = Bytes::copy_from_slice(event.body.as_bytes());
        if body.len() > most {
            match without_changes(&event.body).filter(|text| text.len() <= most) {
                Some(text) => {
                    headers.insert(CHANGES_OMITTED, wire::value("true"));
                    body = text.into();
                }
                None => {
                    tracing::error!(
                        tenant = %self.tenant.name(), event = %event.id, bytes = body.len(),
                        "an event is larger than the NATS server takes, and is not published"
                    );
                    self.pass_over(event.position, done, "too_large");
                    return None;
                }
            }
        }
        Some(Message { subject: self.place.subject(subject.as_str()), headers, body })
    }

    fn pass_over(&self, position: u64, done: &mut Vec<u64>, outcome: &'static str) {
        metrics::events_published(self.tenant.name(), outcome, 1);
        self.stats.passed_over.fetch_add(1, Ordering::Relaxed);
        done.push(position);
    }

    fn count(&self, n: u64) {
        metrics::events_published(self.tenant.name(), "published", n);
        self.stats.published.fetch_add(n, Ordering::Relaxed);
    }
}

/// Says that the changes of files were left out, as the message would have been too large.
pub(crate) const CHANGES_OMITTED: &str = "X-Changes-Omitted";

struct Message {
    subject: String,
    headers: HeaderMap,
    body: Bytes,
}

fn not_taken(error: &PublishError) -> Error {
    Error::outside("the NATS server does not take an event")
        .because(std::io::Error::other(error.to_string()))
}

/// Follows the store until something is wrong or `stop`. That there is more is all that is wanted, so
/// of each step the first event is read, whatever else there is.
fn follow(
    store: &dyn cim_domain_nix::EventStore,
    after: &mut Option<u64>,
    grown: &Notify,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    while !stop.is_cancelled() {
        let start = match *after {
            Some(after) => after,
            None => store.head()?,
        };
        *after = Some(start);
        let patience = Duration::from_millis(250);
        let first = &mut |_: &Record<'_>| Ok(ControlFlow::Break(()));
        if store.subscribe(start)?.next(patience, first)? > 0 {
            *after = Some(store.head()?);
            grown.notify_one();
            // More often than that nobody is told.
            std::thread::sleep(PACE);
        }
    }
    Ok(())
}

/// The headers of an event, from what the store has beside its body.
fn headers_of(event: &Outgoing) -> HeaderMap {
    let mut map = HeaderMap::new();
    let id = event.id.to_string();
    map.insert(headers::EVENT_ID, wire::value(&id));
    map.insert(async_nats::header::NATS_MESSAGE_ID, wire::value(&id));
    map.insert(headers::EVENT_TYPE, wire::value(&event.event_type));
    map.insert(headers::CORRELATION_ID, wire::value(&event.correlation.to_string()));
    map.insert(headers::CAUSATION_ID, wire::value(&event.causation.to_string()));
    map.insert(headers::AGGREGATE_ID, wire::value(&event.stream.id.to_string()));
    map.insert(headers::TIMESTAMP, wire::value(&event.at.to_string()));
    map.insert(headers::SCHEMA_VERSION, wire::value(&event.schema.to_string()));
    map.insert(headers::DOMAIN, wire::value("nix"));
    let meta: Value = serde_json::from_str(&event.meta).unwrap_or_default();
    let text = |name: &str| meta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(actor) = text("actor").filter(|actor| !actor.chars().any(char::is_control)) {
        map.insert(headers::USER_ID, wire::value(actor));
    }
    if let Some(trace) = text("trace") {
        map.insert(wire::TRACE, wire::value(trace));
    }
    map
}

/// The body without the changes of files, which may all be left out.
fn without_changes(body: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(body).ok()?;
    value.as_object_mut()?.remove("changes")?;
    Some(value.to_string())
}
