//! Follows the events of tenants: one thread for each that somebody follows, for all who do.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use cim_domain_nix::{Record, StoreError};
use cim_nix_service::Tenant;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use crate::sse;

/// Events that are kept for followers; who is further behind reads the store.
const KEPT: usize = 512;
/// How long a thread takes to see that nobody follows any more.
const PATIENCE: Duration = Duration::from_millis(500);

/// Bytes of an event that the feed keeps; a longer one is read from the store by each who follows.
const LONGEST: usize = 64 << 10;

/// An event, written once for all who follow.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) position: u64,
    /// `None` for a long one.
    pub(crate) event: Option<Bytes>,
}

/// Who follows the events of one tenant.
pub(crate) struct Feed {
    events: broadcast::Sender<Written>,
    has_begun: watch::Receiver<bool>,
    is_over: Arc<AtomicBool>,
}

impl Feed {
    /// The events from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Written> {
        self.events.subscribe()
    }

    /// Waits until it has begun. What the store has from then on is in the feed as well.
    pub(crate) async fn begun(&self) {
        // Who holds the feed keeps the thread, and with it the sender.
        let _ = self.has_begun.clone().wait_for(|has_begun| *has_begun).await;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The feeds that somebody follows, by tenant.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<HashMap<Arc<str>, Weak<Feed>>>);

impl Feeds {
    /// The feed of a tenant. It goes when nobody has it any more.
    ///
    /// Errors: the machine gives no thread.
    pub(crate) fn of(&self, tenant: &Arc<Tenant>) -> std::io::Result<Arc<Feed>> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = feeds.get(tenant.name()).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let (events, _) = broadcast::channel(KEPT);
        let (begin, has_begun) = watch::channel(false);
        let is_over = Arc::new(AtomicBool::new(false));
        let feed = Feed { events: events.clone(), has_begun, is_over: is_over.clone() };
        let thread = std::thread::Builder::new().name(format!("feed-{}", tenant.name()));
        let followed = Followed { tenant: tenant.clone(), events, begin, is_over };
        thread.spawn(move || followed.run())?;
        let feed = Arc::new(feed);
        feeds.insert(tenant.name().clone(), Arc::downgrade(&feed));
        Ok(feed)
    }
}

/// What a thread has of a feed.
struct Followed {
    tenant: Arc<Tenant>,
    events: broadcast::Sender<Written>,
    begin: watch::Sender<bool>,
    is_over: Arc<AtomicBool>,
}

impl Followed {
    /// Follows the tenant until nobody wants it any more. What happened before is read from the
    /// store by who wants it.
    fn run(&self) {
        let mut position = None;
        let mut pause = Duration::from_millis(100);
        while !self.is_over.load(Ordering::Relaxed) {
            let before = position;
            let Err(error) = self.follow(&mut position) else { return };
            tracing::warn!(tenant = %self.tenant.name(), "cannot follow the events: {error}");
            pause = match before == position {
                true => (pause * 2).min(Duration::from_secs(5)),
                false => Duration::from_millis(100),
            };
            std::thread::sleep(pause);
        }
    }

    fn follow(&self, position: &mut Option<u64>) -> Result<(), StoreError> {
        let store = self.tenant.store();
        let after = match *position {
            Some(after) => after,
            None => store.head()?,
        };
        *position = Some(after);
        let mut subscription = store.subscribe(after)?;
        self.begin.send_replace(true);
        while !self.is_over.load(Ordering::Relaxed) {
            subscription.next(PATIENCE, &mut |record| {
                let mut written = written(record);
                written.event = written.event.filter(|event| event.len() <= LONGEST);
                *position = Some(written.position);
                // Nobody may be there just now.
                let _ = self.events.send(written);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }
}

/// An event as a server-sent one; its id is its position.
pub(crate) fn written(record: &Record<'_>) -> Written {
    let event = sse::event("event", Some(record.position), &to_json(record));
    Written { position: record.position, event: Some(event) }
}

/// An event as JSON.
pub(crate) fn to_json(record: &Record<'_>) -> String {
    let value = json!({
        "position": record.position,
        "stream": format!("{}-{}", record.kind, record.aggregate),
        "version": record.version,
        "event_id": record.id,
        "event_type": record.event_type,
        "schema": record.schema,
        "at": record.at,
        "correlation_id": record.correlation,
        "causation_id": record.causation,
    });
    let mut text = value.to_string();
    // The last brace makes room for texts that are JSON already, and stay as they were stored.
    text.pop();
    for (name, json) in [("origin", record.meta), ("event", record.body)] {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        // The store has checked them; what another writer left there must not break ours.
        match serde_json::from_str::<&RawValue>(json) {
            Ok(raw) => text.push_str(raw.get()),
            Err(_) => text.push_str(&Value::from(json).to_string()),
        }
    }
    text.push('}');
    text
}
