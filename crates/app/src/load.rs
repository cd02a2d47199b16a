//! States of aggregates: as they were known, from a snapshot, or from all their events; and the
//! events after that.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use cim_domain_nix::{Event, Snapshot, State, StoreError, StreamId};
use cim_nix_base::Error;

use crate::{App, Outcome};

/// After so many events that were read again, the state is kept in the store.
///
/// A command reads at most that many (some 70 us of them in `SQLite`), and one write in a hundred is
/// that of a snapshot.
const SNAPSHOT_AFTER: u64 = 100;

/// An aggregate as it was found.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) state: Arc<State>,
    pub(crate) version: u64,
    /// How many events came after the snapshot that the store has.
    n_since: u64,
    /// No more bytes than the state has, as far as it is known: those of a snapshot and of events.
    weight: usize,
}

/// States of aggregates that are known, for programs that run many commands.
///
/// An entry says what an aggregate was at a version. Events are never changed, so it is either the
/// newest or a good beginning.
#[derive(Debug, Default)]
pub struct States(Mutex<Known>);

/// Two halves: what was used since they were changed, and what was used before. The older one goes
/// when the newer one is full, so that what is used stays, with a bound of bytes.
#[derive(Debug, Default)]
struct Known {
    newer: HashMap<StreamId, Loaded>,
    older: HashMap<StreamId, Loaded>,
    weight: usize,
}

impl Known {
    /// Bytes of bodies in one of the halves.
    const FULL: usize = 16 << 20;
    /// Bytes of an entry without any.
    const ENTRY: usize = 512;

    fn take(&mut self, stream: &StreamId) -> Option<Loaded> {
        if let Some(found) = self.newer.remove(stream) {
            self.weight -= found.weight + Self::ENTRY;
            return Some(found);
        }
        self.older.remove(stream)
    }

    fn put(&mut self, stream: &StreamId, loaded: Loaded) {
        self.take(stream);
        let weight = loaded.weight + Self::ENTRY;
        if self.weight + weight > Self::FULL {
            self.older = std::mem::take(&mut self.newer);
            self.weight = 0;
        }
        self.weight += weight;
        self.newer.insert(stream.clone(), loaded);
    }
}

impl States {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // What a thread left in the middle is a map without an entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("version", &self.version).finish_non_exhaustive()
    }
}

impl App<'_> {
    /// The state of an aggregate, and its version.
    ///
    /// Errors: an event of it cannot be read; nothing may be decided without it.
    pub fn load(&self, stream: &StreamId) -> Result<(State, u64), Error> {
        let loaded = self.loaded(stream)?;
        let found = (State::clone(&loaded.state), loaded.version);
        self.know(stream, loaded);
        Ok(found)
    }

    /// The state of an aggregate up to and with `version`, and the version that it has.
    pub(crate) fn load_until(&self, stream: &StreamId, until: u64) -> Result<(State, u64), Error> {
        let start = self.kept(stream)?.filter(|kept| kept.version <= until);
        let mut loaded = start.unwrap_or_else(|| Loaded::empty(stream));
        self.follow(stream, until, &mut loaded)?;
        Ok((Arc::unwrap_or_clone(loaded.state), loaded.version))
    }

    /// An aggregate as it is now. Whoever takes it says what it has become: [`know`](Self::know) or
    /// [`moved`](Self::moved); it is forgotten otherwise.
    pub(crate) fn loaded(&self, stream: &StreamId) -> Result<Loaded, Error> {
        let mut loaded = match self.known(stream) {
            Some(known) => known,
            None => self.kept(stream)?.unwrap_or_else(|| Loaded::empty(stream)),
        };
        self.follow(stream, u64::MAX, &mut loaded)?;
        Ok(loaded)
    }

    /// An aggregate as it was known last. It is taken out, so that its state can go on without a
    /// copy.
    pub(crate) fn known(&self, stream: &StreamId) -> Option<Loaded> {
        self.states.and_then(|states| states.known().take(stream))
    }

    /// Takes note of an aggregate as it was found. One that is not there is nothing to know, and there
    /// is no end of those.
    pub(crate) fn know(&self, stream: &StreamId, loaded: Loaded) {
        if let Some(states) = self.states.filter(|_| loaded.version > 0) {
            states.known().put(stream, loaded);
        }
    }

    /// Takes note of what became of an aggregate that was loaded: the events of `outcome`, with
    /// bodies of `n_bytes` together, were stored after it.
    pub(crate) fn moved(
        &self,
        stream: &StreamId,
        mut loaded: Loaded,
        outcome: &Outcome,
        n_bytes: usize,
    ) {
        self.keep(stream, &mut loaded);
        let n_events = outcome.events.len() as u64;
        // Another version is that of an earlier attempt: others may have come after that.
        if self.states.is_none() || outcome.version != Some(loaded.version + n_events) {
            return;
        }
        let state = Arc::make_mut(&mut loaded.state);
        outcome.events.iter().for_each(|event| state.evolve(event));
        loaded.version += n_events;
        loaded.n_since += n_events;
        loaded.weight += n_bytes;
        self.know(stream, loaded);
    }

    /// Reads the events after what is loaded.
    fn follow(&self, stream: &StreamId, until: u64, loaded: &mut Loaded) -> Result<(), Error> {
        let after = loaded.version;
        Ok(self.store.read_stream(stream, after, &mut |record| {
            if record.version > until {
                return Ok(ControlFlow::Break(()));
            }
            let event = Event::read(record.event_type, record.schema, record.body);
            let event = event.map_err(|problem| {
                let text = format!("event {} of {stream} cannot be read", record.version);
                let error = Error::outside(text).because(problem);
                StoreError::Visitor(error.hint("use the version of cim-nix that wrote it").into())
            })?;
            Arc::make_mut(&mut loaded.state).evolve(&event);
            loaded.version = record.version;
            loaded.n_since += 1;
            loaded.weight += record.body.len();
            Ok(ControlFlow::Continue(()))
        })?)
    }

    /// The snapshot of an aggregate, if there is one that can be used.
    fn kept(&self, stream: &StreamId) -> Result<Option<Loaded>, Error> {
        let Some(snapshot) = self.store.snapshot(stream)? else { return Ok(None) };
        if snapshot.schema != State::SCHEMA {
            return Ok(None);
        }
        let Ok(state) = serde_json::from_str::<State>(&snapshot.state) else {
            // The events say the same as one that cannot be read.
            return Ok(None);
        };
        if !state.is_of(&stream.kind) {
            return Ok(None);
        }
        let weight = snapshot.state.len();
        Ok(Some(Loaded { state: Arc::new(state), version: snapshot.version, n_since: 0, weight }))
    }

    /// Keeps the state that a command was decided upon in the store, when many events came since
    /// that was done last.
    ///
    /// Whatever goes wrong with that is no fault of the command, which is stored already.
    fn keep(&self, stream: &StreamId, loaded: &mut Loaded) {
        if loaded.n_since < SNAPSHOT_AFTER {
            return;
        }
        let Ok(state) = serde_json::to_string(&*loaded.state) else { return };
        let weight = state.len();
        let snapshot = Snapshot { version: loaded.version, schema: State::SCHEMA, state };
        if self.store.save_snapshot(stream, &snapshot).is_ok() {
            (loaded.n_since, loaded.weight) = (0, weight);
        }
    }
}

impl Loaded {
    fn empty(stream: &StreamId) -> Self {
        let state = Arc::new(State::empty(&stream.kind));
        Self { state, version: 0, n_since: 0, weight: 0 }
    }
}
