//! A store that keeps everything in memory: for tests, dry runs and services that forget.
//!
//! Events that are stored never change, so readers go through them in portions and see the moment
//! at which they began, without holding anybody up and without a copy of all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cim_nix_base::ContentHash;
use uuid::Uuid;

use crate::{
    Append, Appended, EventStore, Expected, Intent, IntentStore, MessageId, NewEvent, Outgoing,
    Progress, Projection, Reading, Record, Rows, Snapshot, Staged, StoreError, StreamId,
    Subscription, Visit,
};

/// Keeps events, read models, intents and blobs in memory. Clones are handles on the same store.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Says that `state` has more events.
    grown: Condvar,
    models: Mutex<HashMap<String, Model>>,
}

#[derive(Default)]
struct State {
    /// By position, from 1.
    events: Vec<Arc<Stored>>,
    /// Positions by version, from 1.
    streams: HashMap<StreamId, Vec<u64>>,
    ids: HashMap<Uuid, u64>,
    causes: HashMap<MessageId, Vec<u64>>,
    correlations: HashMap<MessageId, Vec<u64>>,
    snapshots: HashMap<StreamId, Snapshot>,
    unpublished: BTreeSet<u64>,
    /// In the order in which they were opened.
    intents: Vec<Intent>,
    blobs: HashMap<ContentHash, Arc<[u8]>>,
}

struct Stored {
    position: u64,
    stream: StreamId,
    version: u64,
    event: NewEvent,
}

/// A read model.
#[derive(Default)]
struct Model {
    schema: u32,
    position: u64,
    /// Shared with readers, which keep the moment at which they began.
    rows: Arc<BTreeMap<String, String>>,
}

/// How many events a reader takes at a time.
const PORTION: usize = 256;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and each change is whole before the next begins.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A projection may panic while the models are held: its changes are not in them yet.
    fn models(&self) -> MutexGuard<'_, HashMap<String, Model>> {
        self.shared.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visits the events at `positions`, as far as `portion` gives them.
    fn visit(
        &self,
        mut portion: impl FnMut(&State) -> Vec<Arc<Stored>>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        loop {
            let events = portion(&self.state());
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                if visit(&event.record())?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// Visits the events at the positions that `of` finds now.
    fn visit_listed(
        &self,
        of: impl Fn(&State) -> Option<&Vec<u64>>,
        after: usize,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let end = of(&self.state()).map_or(0, Vec::len);
        let mut next = after.min(end);
        let portion = |state: &State| {
            let from = next;
            next = end.min(from + PORTION);
            let positions = of(state).map_or(&[][..], |list| &list[from..next]);
            positions.iter().map(|position| state.at(*position)).collect()
        };
        self.visit(portion, visit)
    }
}

impl State {
    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn at(&self, position: u64) -> Arc<Stored> {
        Arc::clone(&self.events[index(position) - 1])
    }

    fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).map_or(0, |positions| positions.len() as u64)
    }

    /// Where the events stand if they were all stored before, next to each other.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>, StoreError> {
        let known = append.events.iter().find(|event| self.ids.contains_key(&event.id));
        let Some(known) = known else { return Ok(None) };
        let mut last: Option<Arc<Stored>> = None;
        for event in &append.events {
            let stored = self.ids.get(&event.id).map(|position| self.at(*position));
            let is_same = |stored: &Arc<Stored>| {
                stored.stream == append.stream
                    && stored.event == *event
                    && last.as_ref().is_none_or(|last| last.version + 1 == stored.version)
            };
            last = Some(stored.filter(is_same).ok_or(StoreError::Duplicate { id: known.id })?);
        }
        Ok(last.map(|last| Appended {
            version: last.version,
            position: last.position,
            is_repeated: true,
        }))
    }

    fn append(&mut self, append: Append) -> Result<Appended, StoreError> {
        if let Some(appended) = self.repeated(&append)? {
            self.close(append.intent);
            return Ok(appended);
        }
        let found = self.version(&append.stream);
        if let Expected::Version(expected) = append.expected
            && expected != found
        {
            return Err(StoreError::Conflict { stream: append.stream, expected, found });
        }
        for event in append.events {
            self.push(append.stream.clone(), event);
        }
        self.close(append.intent);
        let version = self.version(&append.stream);
        Ok(Appended { version, position: self.head(), is_repeated: false })
    }

    fn push(&mut self, stream: StreamId, event: NewEvent) {
        let position = self.head() + 1;
        let positions = self.streams.entry(stream.clone()).or_default();
        positions.push(position);
        let version = positions.len() as u64;
        self.ids.insert(event.id, position);
        self.causes.entry(event.causation.clone()).or_default().push(position);
        self.correlations.entry(event.correlation.clone()).or_default().push(position);
        self.unpublished.insert(position);
        self.events.push(Arc::new(Stored { position, stream, version, event }));
    }

    fn close(&mut self, intent: Option<Uuid>) {
        if let Some(id) = intent {
            self.intents.retain(|intent| intent.id != id);
        }
    }
}

impl Stored {
    fn record(&self) -> Record<'_> {
        Record {
            position: self.position,
            kind: self.stream.kind.token(),
            aggregate: self.stream.id,
            version: self.version,
            id: self.event.id,
            event_type: &self.event.event_type,
            schema: self.event.schema,
            at: self.event.at,
            correlation: &self.event.correlation,
            causation: &self.event.causation,
            body: &self.event.body,
            meta: &self.event.meta,
        }
    }

    fn outgoing(&self) -> Outgoing {
        Outgoing {
            position: self.position,
            id: self.event.id,
            stream: self.stream.clone(),
            version: self.version,
            event_type: self.event.event_type.clone(),
            schema: self.event.schema,
            at: self.event.at,
            correlation: self.event.correlation.clone(),
            causation: self.event.causation.clone(),
            body: self.event.body.clone(),
            meta: self.event.meta.clone(),
        }
    }
}

/// A position or a version as the place in a list; one that no list has where it does not fit.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl EventStore for MemoryStore {
    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        append.check()?;
        let appended = self.state().append(append)?;
        self.shared.grown.notify_all();
        Ok(appended)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.visit_listed(|state| state.streams.get(stream), index(after), visit)
    }

    fn read_all(
        &self,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let end = self.state().events.len();
        let mut next = index(after).min(end);
        let portion = |state: &State| {
            let from = next;
            next = end.min(from + PORTION);
            state.events[from..next].to_vec()
        };
        self.visit(portion, visit)
    }

    fn read_back(
        &self,
        before: Option<u64>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let end = self.state().events.len();
        let mut end = before.map_or(end, |before| index(before.saturating_sub(1)).min(end));
        let portion = |state: &State| {
            let from = end.saturating_sub(PORTION);
            let events = state.events[from..end].iter().rev().cloned().collect();
            end = from;
            events
        };
        self.visit(portion, visit)
    }

    fn find(
        &self,
        id: Uuid,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<bool, StoreError> {
        let state = self.state();
        let found = state.ids.get(&id).map(|position| state.at(*position));
        drop(state);
        match found {
            Some(event) => visit(&event.record()).map(|_| true),
            None => Ok(false),
        }
    }

    fn caused_by(
        &self,
        cause: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.visit_listed(|state| state.causes.get(cause), 0, visit)
    }

    fn correlated(
        &self,
        correlation: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.visit_listed(|state| state.correlations.get(correlation), 0, visit)
    }

    fn version(&self, stream: &StreamId) -> Result<u64, StoreError> {
        Ok(self.state().version(stream))
    }

    fn head(&self) -> Result<u64, StoreError> {
        Ok(self.state().head())
    }

    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError> {
        Ok(Box::new(Follower { store: self, position: after }))
    }

    fn snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.state().snapshots.get(stream).cloned())
    }

    fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        let mut state = self.state();
        let found = state.version(stream);
        if snapshot.version > found {
            let (stream, expected) = (stream.clone(), snapshot.version);
            return Err(StoreError::Conflict { stream, expected, found });
        }
        let kept = state.snapshots.get(stream).map_or(0, |kept| kept.version);
        if kept <= snapshot.version {
            state.snapshots.insert(stream.clone(), snapshot.clone());
        }
        Ok(())
    }

    fn outgoing(&self, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let state = self.state();
        let first = state.unpublished.iter().take(limit);
        Ok(first.map(|position| state.at(*position).outgoing()).collect())
    }

    fn published(&self, positions: &[u64]) -> Result<(), StoreError> {
        let mut state = self.state();
        for position in positions {
            state.unpublished.remove(position);
        }
        Ok(())
    }

    fn catch_up(&self, projection: &dyn Projection) -> Result<Progress, StoreError> {
        let mut models = self.models();
        let model = models.entry(projection.name().to_owned()).or_default();
        if model.schema != projection.schema() {
            *model = Model { schema: projection.schema(), ..Model::default() };
        }
        let base = Arc::clone(&model.rows);
        let mut staged = Staged::over(&*base);
        let mut position = model.position;
        let read = self.read_all(position, &mut |event| {
            staged.take(projection, &Reading::new(*event))?;
            position = event.position;
            Ok(ControlFlow::Continue(()))
        });
        let changes = staged.into_changes();
        drop(base);
        let rows = Arc::make_mut(&mut model.rows);
        for (key, change) in changes {
            match change {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        model.position = position;
        read.map(|()| Progress { position, head: self.state().head() })
    }

    fn progress(&self, name: &str) -> Result<Progress, StoreError> {
        let position = self.models().get(name).map_or(0, |model| model.position);
        Ok(Progress { position, head: self.state().head() })
    }

    fn drop_projection(&self, name: &str) -> Result<(), StoreError> {
        self.models().remove(name);
        Ok(())
    }

    fn rows(
        &self,
        name: &str,
        read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rows = self.models().get(name).map(|model| Arc::clone(&model.rows));
        read(&*rows.unwrap_or_default())
    }
}

/// A subscription.
struct Follower<'s> {
    store: &'s MemoryStore,
    position: u64,
}

impl Subscription for Follower<'_> {
    fn next(
        &mut self,
        patience: Duration,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<usize, StoreError> {
        let state = self.store.state();
        let waits = |state: &mut State| state.head() <= self.position;
        let waited = self.store.shared.grown.wait_timeout_while(state, patience, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        let mut n_visited = 0;
        self.store.read_all(self.position, &mut |event| {
            let flow = visit(event)?;
            self.position = event.position;
            n_visited += 1;
            Ok(flow)
        })?;
        Ok(n_visited)
    }
}

impl IntentStore for MemoryStore {
    fn open_intent(&self, intent: &Intent, blobs: &[&[u8]]) -> Result<(), StoreError> {
        intent.check()?;
        let mut state = self.state();
        if state.intents.iter().any(|open| open.id == intent.id) {
            return Err(StoreError::Duplicate { id: intent.id });
        }
        for bytes in blobs {
            state.blobs.entry(ContentHash::of(bytes)).or_insert_with(|| Arc::from(*bytes));
        }
        state.intents.push(intent.clone());
        Ok(())
    }

    fn close_intent(&self, id: Uuid) -> Result<(), StoreError> {
        self.state().close(Some(id));
        Ok(())
    }

    fn open_intents(&self) -> Result<Vec<Intent>, StoreError> {
        Ok(self.state().intents.clone())
    }

    fn blob(&self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().blobs.get(&hash).map(|bytes| bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> impl Fn() -> MemoryStore {
        let store = MemoryStore::new();
        move || store.clone()
    }

    crate::event_store_contract!(place());
    crate::intent_store_contract!(place());
    crate::whole_store_contract!(place());
}
