//! Keeps events of other domains in a tenant's store, each of them once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, AckKind};
use async_nats::{HeaderMap, Subscriber};
use cim_domain_nix::{Append, Expected, Kind, MessageId, NewEvent, StoreError, StreamId, Uuid};
use cim_nix_base::Error;
use cim_nix_service::{Service, Tenant, metrics};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::ForeignEvent;
use crate::connection::Connection;
use crate::space::Place;
use crate::stats::Stats;
use crate::wire;

/// Keeps what comes on some subjects.
pub(crate) struct Keeper {
    pub(crate) service: Arc<Service>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) place: Place,
    pub(crate) connection: Connection,
    pub(crate) stats: Arc<Stats>,
}

impl Keeper {
    /// Keeps what is published while this runs. What comes while nobody listens is missed.
    pub(crate) async fn follow(self: Arc<Self>, mut events: Subscriber, stop: CancellationToken) {
        loop {
            let message = tokio::select! {
                next = events.next() => next,
                () = stop.cancelled() => return,
            };
            let Some(message) = message else { return };
            let kept = self
                .clone()
                .keep(message.subject.to_string(), message.headers, message.payload.to_vec())
                .await;
            if let Err(error) = kept {
                tracing::warn!(
                    tenant = %self.tenant.name(), subject = %message.subject,
                    "an event of another domain is lost: {}", error.chain()
                );
            }
        }
    }

    /// Keeps what a stream of another service has on `subject`, from its beginning, and remembers in
    /// a durable consumer of that stream how far that got.
    pub(crate) async fn consume(
        self: Arc<Self>,
        stream: String,
        subject: String,
        durable: String,
        stop: CancellationToken,
    ) {
        let mut said = String::new();
        while !stop.is_cancelled() {
            let consumed = tokio::select! {
                consumed = self.consume_once(&stream, &subject, &durable) => consumed,
                () = stop.cancelled() => return,
            };
            let text = consumed.map_or_else(|error| error.chain(), |()| "it ended".to_owned());
            if text != said {
                tracing::warn!(stream, "events of another domain do not come now: {text}");
                said = text;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn consume_once(
        self: &Arc<Self>,
        stream: &str,
        subject: &str,
        durable: &str,
    ) -> Result<(), Error> {
        let outside = |error: &dyn std::fmt::Display| {
            Error::outside(format!("cannot read the stream {stream}"))
                .because(std::io::Error::other(error.to_string()))
        };
        let context = jetstream::new(self.connection.client.clone());
        let stream = context.get_stream(stream).await.map_err(|error| outside(&error))?;
        let config = pull::Config {
            durable_name: Some(durable.to_owned()),
            ack_policy: AckPolicy::Explicit,
            filter_subject: subject.to_owned(),
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(durable, config).await;
        let consumer = consumer.map_err(|error| outside(&error))?;
        let mut events = consumer.messages().await.map_err(|error| outside(&error))?;
        while let Some(next) = events.next().await {
            let message = next.map_err(|error| outside(&error))?;
            let (subject, headers) = (message.subject.to_string(), message.headers.clone());
            let kept = self.clone().keep(subject, headers, message.payload.to_vec()).await;
            let answer = match &kept {
                Ok(()) => AckKind::Ack,
                // The store may take it later.
                Err(_) => AckKind::Nak(Some(Duration::from_secs(1))),
            };
            message.ack_with(answer).await.map_err(|error| outside(&error))?;
            kept?;
        }
        Ok(())
    }

    /// Keeps one event. One that cannot be read at all is passed over.
    ///
    /// Errors: the store does not take it now.
    async fn keep(
        self: Arc<Self>,
        subject: String,
        headers: Option<HeaderMap>,
        body: Vec<u8>,
    ) -> Result<(), Error> {
        let keeping = tokio::task::spawn_blocking(move || self.keep_now(&subject, headers, &body));
        keeping.await.map_err(|error| Error::bug("an event was not kept").because(error))?
    }

    fn keep_now(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        body: &[u8],
    ) -> Result<(), Error> {
        let tenant = self.tenant.name();
        let relative = self.place.relative(subject).unwrap_or(subject);
        // Headers that are none of ours to judge are as good as missing.
        let headers = wire::wishes(headers.as_ref()).unwrap_or_default().headers;
        let read = match body.len() <= self.service.size().bytes {
            true => ForeignEvent::read(relative, &headers, body),
            false => Err(format!("it has {} bytes", body.len())),
        };
        let event = match read {
            Ok(event) => event,
            Err(problem) => {
                tracing::warn!(%tenant, subject, "an event of another domain cannot be read: {problem}");
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(body).into_owned();
        let stream = event.stream();
        let id = id_of(&event, relative, &text);
        let of_store = MessageId::Uuid(id);
        let identity = event.identity.as_ref();
        let new = NewEvent {
            id,
            event_type: format!("{}.{}", event.domain, event.event_type)
                .chars()
                .take(100)
                .collect(),
            schema: 1,
            at: event.at.unwrap_or_else(|| self.service.now()),
            correlation: identity.map_or_else(|| of_store.clone(), |it| it.correlation_id.clone()),
            causation: identity.map_or_else(|| of_store.clone(), |it| it.causation_id.clone()),
            body: text,
            meta: json!({
                "actor": headers.user.as_deref().unwrap_or(event.domain),
                "via": "nats",
                "subject": subject,
                "message_id": identity.map(|it| &it.message_id),
            })
            .to_string(),
        };
        let append = Append { stream, expected: Expected::Any, events: vec![new], intent: None };
        match self.tenant.store().append(append) {
            Ok(appended) if appended.is_repeated => Ok(()),
            Ok(_) => {
                metrics::foreign_event(tenant, event.domain);
                self.stats.foreign.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(StoreError::Duplicate { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The id in the store: it follows from the message's, or from all it says where it has none, and is
/// never one that an event of ours could have, as others choose theirs freely.
fn id_of(event: &ForeignEvent, subject: &str, body: &str) -> Uuid {
    let kind = Kind::Other(format!("foreign_{}", event.domain).into());
    match &event.identity {
        Some(identity) => StreamId::of(kind, &["message", &identity.message_id.to_string()]).id,
        None => StreamId::of(kind, &["content", subject, body]).id,
    }
}
