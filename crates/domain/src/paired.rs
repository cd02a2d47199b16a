//! Two stores as one: events here, intents there.
//!
//! A store of events that several machines share has no place for intents: they speak of files of
//! one machine, and have to be there when that one starts again. [`Paired`] keeps them in a store of
//! the machine's own. An intent is closed when its events are stored; where a machine ends between
//! the two, recovery finds it fulfilled by the ids of its events.

use cim_nix_base::ContentHash;
use uuid::Uuid;

use crate::{
    Announced, Append, Appended, EventStore, Intent, IntentStore, MessageId, Outgoing, Progress,
    Projection, Record, Rows, Snapshot, StoreError, StreamId, Subscription, Visit,
};

/// A store of events and one of intents.
///
/// ```
/// use cim_domain_nix::{EventStore, IntentStore, MemoryStore, Paired};
///
/// let store = Paired { events: MemoryStore::new(), intents: MemoryStore::new() };
/// assert_eq!(store.head()?, 0);
/// assert!(store.open_intents()?.is_empty());
/// # Ok::<(), cim_domain_nix::StoreError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Paired<E, I> {
    /// Keeps the events.
    pub events: E,
    /// Keeps the intents, and the bytes that they need.
    pub intents: I,
}

impl<E: EventStore, I: IntentStore> EventStore for Paired<E, I> {
    fn announce(&self) -> Announced {
        self.events.announce()
    }

    /// Events first. Where the intent cannot be closed, the append is still answered: they are
    /// stored, and who recovers closes the intent.
    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let intent = append.intent;
        let appended = self.events.append(append)?;
        if let Some(id) = intent {
            // What is left open is closed by whoever recovers it.
            let _ = self.intents.close_intent(id);
        }
        Ok(appended)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.events.read_stream(stream, after, visit)
    }

    fn read_all(
        &self,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.events.read_all(after, visit)
    }

    fn read_back(
        &self,
        before: Option<u64>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.events.read_back(before, visit)
    }

    fn find(
        &self,
        id: Uuid,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<bool, StoreError> {
        self.events.find(id, visit)
    }

    fn caused_by(
        &self,
        cause: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.events.caused_by(cause, visit)
    }

    fn correlated(
        &self,
        correlation: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.events.correlated(correlation, visit)
    }

    fn version(&self, stream: &StreamId) -> Result<u64, StoreError> {
        self.events.version(stream)
    }

    fn head(&self) -> Result<u64, StoreError> {
        self.events.head()
    }

    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError> {
        self.events.subscribe(after)
    }

    fn snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.events.snapshot(stream)
    }

    fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.events.save_snapshot(stream, snapshot)
    }

    fn outgoing(&self, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        self.events.outgoing(limit)
    }

    fn published(&self, positions: &[u64]) -> Result<(), StoreError> {
        self.events.published(positions)
    }

    fn catch_up(&self, projection: &dyn Projection) -> Result<Progress, StoreError> {
        self.events.catch_up(projection)
    }

    fn progress(&self, name: &str) -> Result<Progress, StoreError> {
        self.events.progress(name)
    }

    fn drop_projection(&self, name: &str) -> Result<(), StoreError> {
        self.events.drop_projection(name)
    }

    fn rows(
        &self,
        name: &str,
        read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.events.rows(name, read)
    }
}

impl<E: Send + Sync, I: IntentStore> IntentStore for Paired<E, I> {
    fn open_intent(&self, intent: &Intent, blobs: &[&[u8]]) -> Result<(), StoreError> {
        self.intents.open_intent(intent, blobs)
    }

    fn close_intent(&self, id: Uuid) -> Result<(), StoreError> {
        self.intents.close_intent(id)
    }

    fn open_intents(&self) -> Result<Vec<Intent>, StoreError> {
        self.intents.open_intents()
    }

    fn blob(&self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.intents.blob(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    /// Handles on the same two stores.
    fn place() -> impl Fn() -> Paired<MemoryStore, MemoryStore> {
        let store = Paired::<MemoryStore, MemoryStore>::default();
        move || store.clone()
    }

    crate::event_store_contract!(place());
    crate::intent_store_contract!(place());
    crate::whole_store_contract!(place());
}
