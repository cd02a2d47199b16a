//! The index and how it follows the stream; what all handles on a store share.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cim_domain_nix::{StoreError, StreamId};
use futures_util::StreamExt as _;
use futures_util::stream;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::cache::Cache;
use crate::fault::{retry, unavailable};
use crate::hash::{HashMap, Hashes};
use crate::index::{Gap, Index, Outcome, Place};
use crate::options::Options;
use crate::post::{Answered, Noted, Own, Reply};
use crate::remote::Remote;
use crate::saved::Recorder;
use crate::wire::{Arrived, Content, Facts, Stored, broken};

pub(crate) struct Shared {
    pub(crate) remote: Remote,
    pub(crate) options: Options,
    state: Mutex<State>,
    /// Says that the index has more events.
    grown: Condvar,
    /// Held while messages of others are fetched into the index.
    fetching: tokio::sync::Mutex<()>,
    queues: Mutex<Queues>,
    cache: Mutex<Cache>,
}

/// Who waits for a turn at a stream, for each stream with an append under way.
type Queues = HashMap<StreamId, VecDeque<oneshot::Sender<Turn>>>;

pub(crate) struct State {
    pub(crate) index: Index,
    /// Own messages that stand behind others which are not taken in yet.
    ahead: BTreeMap<u64, Facts>,
    /// When the stream was made: another moment is another stream.
    created: Option<String>,
    /// How often this had been connected when the stream was seen to be the same.
    n_connections: u64,
    /// What the history cannot be read beyond.
    damage: Option<Damage>,
    recorder: Option<Recorder>,
    /// How many wait for more events: waking nobody costs a call of the system as well.
    n_waiting: usize,
}

/// An answer that a message is stored.
struct Stated<'a> {
    sequence: u64,
    own: &'a Own,
    noted: &'a mut Noted,
}

fn stated(answered: &mut Answered) -> Option<Stated<'_>> {
    match (&mut answered.reply, &answered.own) {
        (Reply::Stored { sequence, noted }, Some(own)) => {
            Some(Stated { sequence: *sequence, own, noted })
        }
        _ => None,
    }
}

enum Damage {
    Corrupt {
        place: String,
        problem: String,
    },
    Newer {
        place: String,
        found: u32,
        known: u32,
    },
    /// The stream is another one.
    Replaced(String),
}

impl Damage {
    fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Corrupt { place, problem } => {
                Some(Self::Corrupt { place: place.clone(), problem: problem.clone() })
            }
            StoreError::Newer { place, found, known } => {
                Some(Self::Newer { place: place.clone(), found: *found, known: *known })
            }
            _ => None,
        }
    }

    fn error(&self) -> StoreError {
        match self {
            Self::Corrupt { place, problem } => {
                StoreError::Corrupt { place: place.clone(), problem: problem.clone() }
            }
            Self::Newer { place, found, known } => {
                StoreError::Newer { place: place.clone(), found: *found, known: *known }
            }
            Self::Replaced(stream) => unavailable(
                format!(
                    "the stream `{stream}` is not the one that it was: it was made again, or an older state was restored"
                ),
                "see what happened to it, then start this program again",
            ),
        }
    }
}

/// How many messages are fetched one by one at the same time.
const SINGLES: usize = 32;
/// Fewer than this many are fetched one by one.
const FEW: usize = 6;

impl Shared {
    pub(crate) fn new(remote: Remote, options: Options) -> Self {
        let cache = Mutex::new(Cache::new(options.cache));
        let state = State {
            index: Index::default(),
            ahead: BTreeMap::new(),
            created: None,
            n_connections: 0,
            damage: None,
            recorder: None,
            n_waiting: 0,
        };
        Self {
            remote,
            options,
            state: Mutex::new(state),
            grown: Condvar::new(),
            fetching: tokio::sync::Mutex::default(),
            queues: Mutex::default(),
            cache,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and each change is whole before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the index.
    ///
    /// Errors: the history is damaged.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Index) -> T) -> Result<T, StoreError> {
        let state = self.state();
        match &state.damage {
            Some(damage) => Err(damage.error()),
            None => Ok(look(&state.index)),
        }
    }

    /// Waits until the index has events above `position`, or `patience` is over.
    pub(crate) fn wait_for_growth(&self, position: u64, patience: std::time::Duration) {
        let waits = |state: &mut State| state.damage.is_none() && state.index.head() <= position;
        let mut state = self.state();
        state.n_waiting += 1;
        let waited = self.grown.wait_timeout_while(state, patience, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.n_waiting -= 1;
    }

    /// Keeps what was read from a file, which goes on from there.
    pub(crate) fn begin(&self, index: Index, created: String, recorder: Option<Recorder>) {
        let mut state = self.state();
        (state.index, state.created, state.recorder) = (index, Some(created), recorder);
    }

    /// Writes down what the recorder still holds.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        if let Some(recorder) = &mut state.recorder {
            recorder.flush();
        }
    }

    /// Brings the index to where the stream is now.
    pub(crate) async fn sync(self: &Arc<Self>) -> Result<(), StoreError> {
        // Before the server is asked: what comes in meanwhile is no sign of an older state.
        let applied = self.look(Index::applied)?;
        let standing = self.remote.standing().await?;
        let is_another = {
            let mut state = self.state();
            let created = state.created.get_or_insert_with(|| standing.created.clone());
            *created != standing.created
        };
        if is_another || standing.last < applied || !self.is_the_same().await? {
            return Err(self.replaced());
        }
        if applied + 1 < standing.first {
            return Err(self.damaged(gap_of(applied + 1, standing.first - 1)));
        }
        self.advance_to(standing.last).await
    }

    /// Looks at the index; `None` where a connection was made since the stream was seen to be the
    /// one that it was.
    pub(crate) fn look_unless_unseen<T>(
        &self,
        look: impl FnOnce(&Index) -> T,
    ) -> Result<Option<T>, StoreError> {
        let state = self.state();
        match &state.damage {
            Some(damage) => Err(damage.error()),
            None if state.n_connections != self.remote.n_connections() => Ok(None),
            None => Ok(Some(look(&state.index))),
        }
    }

    /// Whether the stream still has the last message that counts. A server that lost power, or got
    /// an older state back, may have lost it, and has been connected to anew since.
    async fn is_the_same(&self) -> Result<bool, StoreError> {
        let n_connections = self.remote.n_connections();
        let last = {
            let state = self.state();
            match state.n_connections == n_connections {
                true => return Ok(true),
                false => state.index.last(),
            }
        };
        let is_there = match last {
            Some((sequence, id)) => self.remote.has(sequence, id).await?,
            None => true,
        };
        self.state().n_connections = n_connections;
        Ok(is_there)
    }

    /// Takes in all messages up to `target`.
    pub(crate) async fn advance_to(self: &Arc<Self>, target: u64) -> Result<(), StoreError> {
        if self.look(Index::applied)? >= target {
            return Ok(());
        }
        let _one = self.fetching.lock().await;
        let mut coming = None;
        loop {
            let from = self.look(Index::applied)? + 1;
            if from > target {
                return Ok(());
            }
            let batch = match coming.take() {
                Some((first, coming)) if first == from => joined(coming).await?,
                _ => self.batch(from, target).await?,
            };
            if let Some(last) = batch.last()
                && last.sequence < target
            {
                // The next ones travel while these are looked into.
                let (shared, next) = (Arc::clone(self), last.sequence + 1);
                let batch = async move { shared.batch(next, target).await };
                coming = Some((next, tokio::spawn(batch)));
            }
            self.take_batch(batch, from).await?;
        }
    }

    async fn batch(&self, from: u64, target: u64) -> Result<Vec<Arrived>, StoreError> {
        let most = usize::try_from(target - from + 1).unwrap_or(usize::MAX);
        retry(self.remote.patience(), "read from the stream", || {
            self.remote.batch(from, most, None)
        })
        .await
    }

    async fn take_batch(
        self: &Arc<Self>,
        batch: Vec<Arrived>,
        from: u64,
    ) -> Result<(), StoreError> {
        let mut next = from;
        if batch.is_empty() {
            // A follower that is behind gives nothing; the leader knows.
            let arrived = self.surely(from).await?;
            return self.take_arrived(arrived).await;
        }
        for arrived in batch {
            while next < arrived.sequence {
                if self.look(Index::applied)? < next {
                    let missed = self.surely(next).await?;
                    self.take_arrived(missed).await?;
                }
                next += 1;
            }
            next = arrived.sequence + 1;
            self.take_arrived(arrived).await?;
        }
        Ok(())
    }

    /// A message that has to be there.
    async fn surely(&self, sequence: u64) -> Result<Arrived, StoreError> {
        match self.remote.message(sequence).await? {
            Some(arrived) => Ok(arrived),
            None => Err(self.damaged(gap_of(sequence, sequence))),
        }
    }

    async fn take_arrived(&self, arrived: Arrived) -> Result<(), StoreError> {
        let sequence = arrived.sequence;
        if self.look(Index::applied)? >= sequence {
            return Ok(());
        }
        let content = self.remote.read(arrived).await;
        let content = content.map_err(|error| self.damaged(error))?;
        match &content {
            Content::Stored(stored) => {
                let facts = stored.facts().map_err(|error| self.damaged(error))?;
                self.take(sequence, Some(&stored.stream), Some(&facts))?;
                self.cache().put(stored);
            }
            Content::Foreign(stream) => {
                if stream.is_some() {
                    tracing::warn!(sequence, "a message that is no append stands among the events");
                }
                self.take(sequence, stream.as_ref(), None)?;
            }
        }
        Ok(())
    }

    /// Remembers damage, so that everybody is told.
    fn damaged(&self, error: StoreError) -> StoreError {
        if let Some(damage) = Damage::of(&error) {
            self.state().damage = Some(damage);
            self.grown.notify_all();
        }
        error
    }

    fn replaced(&self) -> StoreError {
        let damage = Damage::Replaced(self.remote.name.clone());
        let error = damage.error();
        self.state().damage = Some(damage);
        self.grown.notify_all();
        error
    }

    fn take(
        &self,
        sequence: u64,
        stream: Option<&StreamId>,
        facts: Option<&Facts>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.index.applied() + 1 != sequence {
            // An own message came in meanwhile.
            return Ok(());
        }
        state.take(sequence, stream, facts)?;
        state.take_ahead()?;
        self.grown(state);
        Ok(())
    }

    /// Takes in messages that were sent from here, and says of each what it came to.
    pub(crate) fn note(&self, answers: &mut [Answered]) {
        let mut own: SmallVec<[Stated<'_>; 32]> = answers.iter_mut().filter_map(stated).collect();
        if own.is_empty() {
            return;
        }
        {
            let mut cache = self.cache();
            own.iter().for_each(|Stated { sequence, own, .. }| cache.put(&own.at(*sequence)));
        }
        let mut state = self.state();
        let mut n_later = 0;
        for Stated { sequence, own, noted } in &mut own {
            **noted = state.note(*sequence, own);
            n_later += usize::from(**noted == Noted::NotYet);
        }
        if n_later > 0 {
            // Whoever waits for a message that could not be taken in comes upon the reason again.
            let _ = state.take_ahead();
            for Stated { sequence, noted, .. } in own {
                if *noted == Noted::NotYet {
                    *noted = state.noted(sequence);
                }
            }
        }
        self.grown(state);
    }

    /// The position of the first event of a message that was sent from here, if it counts.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        sequence: u64,
        noted: Noted,
    ) -> Result<Option<u64>, StoreError> {
        match noted {
            Noted::Counts(position) => Ok(Some(position)),
            Noted::Void => Ok(None),
            Noted::Replaced => Err(self.replaced()),
            Noted::NotYet => {
                self.advance_to(sequence).await?;
                self.look(|index| index.position_at(sequence))
            }
        }
    }

    /// Wakes who waits for more events.
    fn grown(&self, state: MutexGuard<'_, State>) {
        let is_awaited = state.n_waiting > 0;
        drop(state);
        if is_awaited {
            self.grown.notify_all();
        }
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other append to the stream is under way from here: the server compares the
    /// last message on a subject, so the second would have to know what becomes of the first.
    pub(crate) async fn turn(self: &Arc<Self>, stream: &StreamId) -> Turn {
        let coming = match self.queues().entry(stream.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(VecDeque::new());
                None
            }
            Entry::Occupied(mut entry) => {
                let (sender, receiver) = oneshot::channel();
                entry.get_mut().push_back(sender);
                Some(receiver)
            }
        };
        if let Some(coming) = coming
            && let Ok(turn) = coming.await
        {
            return turn;
        }
        Turn { shared: Some(Arc::clone(self)), stream: stream.clone() }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages at these places, in their order; `stream` if all stand in one.
    pub(crate) async fn load(
        self: Arc<Self>,
        places: Vec<Place>,
        stream: Option<StreamId>,
    ) -> Result<Vec<(Place, Arc<Stored>)>, StoreError> {
        let mut found: HashMap<u64, Arc<Stored>> =
            HashMap::with_capacity_and_hasher(places.len(), Hashes::default());
        let mut missing = Vec::new();
        {
            let cache = self.cache();
            for place in &places {
                match cache.get(place.sequence) {
                    Some(stored) => drop(found.insert(place.sequence, stored)),
                    None => missing.push(place.sequence),
                }
            }
        }
        if missing.len() >= FEW {
            self.load_many(&missing, stream.as_ref(), &mut found).await?;
        }
        let rest: Vec<u64> =
            missing.into_iter().filter(|sequence| !found.contains_key(sequence)).collect();
        let mut singles = stream::iter(rest.into_iter().map(|sequence| self.load_one(sequence)))
            .buffered(SINGLES);
        while let Some(stored) = singles.next().await {
            let stored = stored?;
            found.insert(stored.sequence, stored);
        }
        drop(singles);
        let taken = places.into_iter().filter_map(|place| {
            let stored = found.get(&place.sequence)?;
            Some((place, Arc::clone(stored)))
        });
        Ok(taken.collect())
    }

    /// Fetches a run of messages in one go. What it does not bring is fetched one by one.
    async fn load_many(
        &self,
        missing: &[u64],
        stream: Option<&StreamId>,
        found: &mut HashMap<u64, Arc<Stored>>,
    ) -> Result<(), StoreError> {
        let subject = stream.map(|stream| self.remote.subject(stream));
        let (Some(first), Some(last)) = (missing.iter().min(), missing.iter().max()) else {
            return Ok(());
        };
        let span = match &subject {
            Some(_) => missing.len(),
            None => usize::try_from(last - first + 1).unwrap_or(usize::MAX),
        };
        // Far apart: a run would bring mostly what nobody asked for.
        if span > missing.len() * 4 {
            return Ok(());
        }
        let batch = retry(self.remote.patience(), "read from the stream", || {
            self.remote.batch(*first, span, subject.as_deref())
        })
        .await?;
        let wanted: std::collections::HashSet<u64> = missing.iter().copied().collect();
        for arrived in batch {
            if wanted.contains(&arrived.sequence)
                && let Content::Stored(stored) = self.remote.read(arrived).await?
            {
                if stream.is_some() {
                    self.cache().put(&stored);
                }
                found.insert(stored.sequence, stored);
            }
        }
        Ok(())
    }

    async fn load_one(&self, sequence: u64) -> Result<Arc<Stored>, StoreError> {
        let mut batch = retry(self.remote.patience(), "read from the stream", || {
            self.remote.batch(sequence, 1, None)
        })
        .await?;
        let arrived = match batch.pop().filter(|arrived| arrived.sequence == sequence) {
            Some(arrived) => arrived,
            None => self.surely(sequence).await?,
        };
        match self.remote.read(arrived).await? {
            Content::Stored(stored) => {
                self.cache().put(&stored);
                Ok(stored)
            }
            Content::Foreign(_) => Err(broken(sequence, "it is not what was written")),
        }
    }
}

impl State {
    fn take(
        &mut self,
        sequence: u64,
        stream: Option<&StreamId>,
        facts: Option<&Facts>,
    ) -> Result<Outcome, StoreError> {
        let n_new = facts.map_or(0, |facts| facts.ids.len());
        if self.index.ids_len() + n_new > Index::MOST {
            return Err(unavailable(
                "the stream has more events than this program can number",
                "begin another tenant",
            ));
        }
        let outcome = self.index.take(sequence, stream, facts).map_err(|gap| {
            let error = missing_events(sequence, gap);
            self.damage = Damage::of(&error);
            error
        })?;
        if let Some(recorder) = &mut self.recorder {
            recorder.note(sequence, stream, facts, outcome);
        }
        Ok(outcome)
    }

    /// Takes in a message that was sent from here, if those before it were, or sets it aside.
    fn note(&mut self, sequence: u64, own: &Own) -> Noted {
        if sequence <= self.index.applied() {
            return match self.index.id(own.draft.append.events[0].id) {
                Some(_) => self.noted(sequence),
                None => Noted::Replaced,
            };
        }
        let facts = own.draft.facts(own.head.first);
        let position = self.index.head() + 1;
        if sequence == self.index.applied() + 1 && self.ahead.is_empty() {
            match self.take(sequence, Some(&facts.stream), Some(&facts)) {
                Ok(Outcome::Counts) => return Noted::Counts(position),
                Ok(Outcome::Void) => return Noted::Void,
                Err(_) => {}
            }
        }
        self.ahead.insert(sequence, facts);
        Noted::NotYet
    }

    /// What a message that was sent from here came to.
    fn noted(&self, sequence: u64) -> Noted {
        match self.index.position_at(sequence) {
            _ if self.index.applied() < sequence => Noted::NotYet,
            Some(position) => Noted::Counts(position),
            None => Noted::Void,
        }
    }

    /// Takes in own messages whose turn has come.
    fn take_ahead(&mut self) -> Result<(), StoreError> {
        while let Some(first) = self.ahead.first_entry()
            && *first.key() <= self.index.applied() + 1
        {
            let (sequence, facts) = first.remove_entry();
            if sequence == self.index.applied() + 1 {
                self.take(sequence, Some(&facts.stream), Some(&facts))?;
            }
        }
        Ok(())
    }
}

async fn joined(
    coming: tokio::task::JoinHandle<Result<Vec<Arrived>, StoreError>>,
) -> Result<Vec<Arrived>, StoreError> {
    match coming.await {
        Ok(batch) => batch,
        Err(_) => Err(unavailable("reading from the stream was interrupted", "try again")),
    }
}

fn gap_of(first: u64, last: u64) -> StoreError {
    let place = match first == last {
        true => format!("message {first}"),
        false => format!("messages {first} to {last}"),
    };
    StoreError::Corrupt { place, problem: "the stream has lost it".to_owned() }
}

fn missing_events(sequence: u64, gap: Gap) -> StoreError {
    let Gap { version, first } = gap;
    broken(
        sequence,
        &format!("it begins with version {first} of its stream, which ends with version {version}"),
    )
}

/// A turn at a stream.
pub(crate) struct Turn {
    /// Taken when it is handed on.
    shared: Option<Arc<Shared>>,
    stream: StreamId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        loop {
            // Not held while somebody is woken.
            let next = {
                let mut queues = shared.queues();
                let queue = queues.get_mut(&self.stream);
                let next = queue.and_then(VecDeque::pop_front);
                if next.is_none() {
                    queues.remove(&self.stream);
                }
                next
            };
            let Some(next) = next else { return };
            let turn = Self { shared: Some(Arc::clone(&shared)), stream: self.stream.clone() };
            // Who has it may be gone before it is seen: then it is dropped there, and comes here.
            match next.send(turn) {
                Ok(()) => return,
                Err(mut turn) => turn.shared = None,
            }
        }
    }
}

/// The parts of a payload.
pub(crate) fn parts(payload: &Bytes, room: usize) -> impl Iterator<Item = Bytes> {
    let n_parts = payload.len().div_ceil(room);
    (0..n_parts).map(move |n| payload.slice(n * room..payload.len().min((n + 1) * room)))
}
