//! The store: blocking calls on the outside, a runtime of its own inside.

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use async_nats::Client;
use cim_domain_nix::{
    Append, Appended, EventStore, MessageId, Outgoing, Progress, Projection, Reading, Record, Rows,
    Snapshot, Staged, StoreError, StreamId, Subscription, Uuid, Visit,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::fault::unavailable;
use crate::follow::Follower;
use crate::index::{Index, Place};
use crate::kept::Kept;
use crate::models::{self, Model, Standing};
use crate::options::Options;
use crate::outbox::{self, Published};
use crate::post;
use crate::remote::Remote;
use crate::saved;
use crate::shared::Shared;
use crate::wire::{Stored, Wanted};

/// Events in a stream of JetStream, read models in memory, snapshots in a key-value bucket. Clones
/// are handles on the same store.
#[derive(Clone)]
pub struct JetStreamStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    kept: Arc<Kept>,
    /// Taken when the last handle goes.
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.flush();
        if let Some(runtime) = self.runtime.take() {
            // Waiting is forbidden where the last handle goes on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}

/// What a store is at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The stream's name.
    pub stream: String,
    /// How many events count.
    pub events: u64,
    /// The last message of the stream.
    pub last_message: u64,
    /// Messages that are no append that counts: parts of long ones, what others put there, and what
    /// came too late.
    pub other_messages: u64,
    /// What the stream takes on the server's disk.
    pub bytes: u64,
    /// The server that leads the stream; `None` outside of a cluster, and while nobody leads.
    pub leader: Option<String>,
}

/// A snapshot as the bucket keeps it.
#[derive(Serialize, Deserialize)]
struct KeptSnapshot {
    version: u64,
    schema: u32,
    state: String,
}

/// How many messages a reader takes at a time, at first and at most.
const FIRST_PORTION: usize = 32;
const LAST_PORTION: usize = 1_000;
/// Portions grow until they have this many bytes.
const HEAVY: usize = 1 << 20;
/// Events that a read model takes before others see where it is.
const STEP: usize = 5_000;

/// Messages on their way.
type Coming = Receiver<Result<Vec<(Place, Arc<Stored>)>, StoreError>>;

impl JetStreamStore {
    /// Opens the store, and makes its stream and its bucket where there are none.
    ///
    /// `connect` runs on a runtime of the store's own, and so does the connection that it makes
    /// there: then no thread that waits for the store keeps the store from going on. A client that
    /// lives on another runtime may be given as well (`async { Ok(client) }`), as long as that one
    /// never has all its threads wait for the store.
    ///
    /// Blocks until the index has read the stream. Errors: [`StoreError::Unavailable`] where there
    /// is no connection, where the stream has other settings than the options want.
    pub fn open<E: Display + Send + 'static>(
        connect: impl Future<Output = Result<Client, E>> + Send + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        options.check()?;
        let runtime = Builder::new_multi_thread()
            // The connection and who takes in its answers take turns: a second thread would have to be
            // woken for each handful of messages.
            .worker_threads(1)
            .thread_name("jetstream")
            .enable_all()
            .build()
            .map_err(|error| {
                unavailable(format!("cannot start threads: {error}"), "see the limits of this user")
            })?;
        let opened = wait_on(&runtime, async move {
            let client = connect.await.map_err(|error| {
                unavailable(
                    format!("cannot connect to NATS: {error}"),
                    "see whether the server runs, and whether its address and the credentials are right",
                )
            })?;
            let remote = Remote::new(client, &options);
            remote.prepare(&options).await?;
            let kept = Kept::open(&remote, &options).await?;
            let answers = remote.post.answers().await?;
            let shared = Shared::new(remote, options);
            begin(&shared).await?;
            let shared = Arc::new(shared);
            let step = shared.remote.post.step;
            tokio::spawn(post::carry(Arc::clone(&shared.remote.post)));
            tokio::spawn(post::listen(Arc::downgrade(&shared), answers, step));
            shared.sync().await?;
            Ok((shared, Arc::new(kept)))
        });
        match opened {
            Ok((shared, kept)) => {
                Ok(Self { inner: Arc::new(Inner { shared, kept, runtime: Some(runtime) }) })
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Appends without blocking, for those who have many under way at once. Runs on the caller's
    /// runtime, which has to be tokio's, with its clock. One that is dropped half-way may have
    /// been stored or not.
    pub async fn append_async(&self, append: Append) -> Result<Appended, StoreError> {
        self.shared().append(append).await
    }

    /// How much there is. Asks the server.
    pub fn status(&self) -> Result<Status, StoreError> {
        let shared = Arc::clone(self.shared());
        let standing = self.wait(async move {
            let standing = shared.remote.standing().await?;
            shared.advance_to(standing.last).await.map(|()| standing)
        })?;
        self.shared().look(|index| Status {
            stream: self.shared().remote.name.clone(),
            events: index.head(),
            last_message: index.applied(),
            other_messages: index.applied() - index.n_messages() as u64,
            bytes: standing.bytes,
            leader: standing.leader.clone().filter(|leader| !leader.is_empty()),
        })
    }

    /// Puts the rows of a read model into the bucket, whatever its options say: before a shutdown.
    pub fn save_model(&self, name: &str) -> Result<(), StoreError> {
        let Some(model) = self.shared().options.models.get(name) else { return Ok(()) };
        self.save(name, &model)
    }

    fn save(&self, name: &str, model: &Model) -> Result<(), StoreError> {
        let standing = model.standing();
        if standing.position <= standing.saved {
            return Ok(());
        }
        let (shared, kept) = (Arc::clone(self.shared()), Arc::clone(&self.inner.kept));
        let (name, position) = (name.to_owned(), standing.position);
        self.wait(async move {
            let longest = kept.longest(shared.remote.room());
            models::save(&kept, longest, &name, &standing).await
        })?;
        model.is_saved(position);
        Ok(())
    }

    /// Does the work on this thread, which sleeps meanwhile.
    fn wait<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.inner.runtime {
            Some(runtime) => {
                let _clock = runtime.enter();
                block_on(work)
            }
            None => Err(interrupted()),
        }
    }

    fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Receiver<Result<T, StoreError>> {
        let (sender, receiver) = sync_channel(1);
        if let Some(runtime) = &self.inner.runtime {
            spawn(runtime, work, sender);
        }
        receiver
    }

    fn sync(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(self.shared());
        self.wait(async move { shared.sync().await })
    }

    /// What the index says, with all that is stored by now.
    fn ask<T>(&self, look: impl FnOnce(&Index) -> T) -> Result<T, StoreError> {
        self.sync()?;
        self.shared().look(look)
    }

    /// Shows what stands at the places that `portion` gives, up to as many at once as it is told.
    fn walk(
        &self,
        mut portion: impl FnMut(usize) -> Result<Vec<Place>, StoreError>,
        wanted: Wanted<'_>,
        stream: Option<&StreamId>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let mut size = FIRST_PORTION;
        let mut ask = |size: usize| -> Result<Option<Coming>, StoreError> {
            let places = portion(size)?;
            if places.is_empty() {
                return Ok(None);
            }
            let shared = Arc::clone(self.shared());
            Ok(Some(self.start(shared.load(places, stream.cloned()))))
        };
        let mut coming: VecDeque<Coming> = ask(size)?.into_iter().collect();
        while let Some(next) = coming.pop_front() {
            let messages = next.recv().map_err(|_| interrupted())??;
            let weight: usize = messages.iter().map(|(_, stored)| stored.weight()).sum();
            size = match weight {
                0..HEAVY => (size * 2).min(LAST_PORTION),
                _ => (size / 2).max(1),
            };
            // The next ones travel while these are looked at.
            coming.extend(ask(size)?);
            for (place, stored) in messages {
                let wanted = Wanted { position: place.position.into(), ..wanted };
                if stored.visit(wanted, visit)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Shows what stands at places that are known.
    fn walk_list(
        &self,
        places: Vec<Place>,
        which: &dyn Fn(&Record<'_>) -> bool,
        stream: Option<&StreamId>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let mut next = 0;
        let portion = |size: usize| {
            let from = next;
            next = places.len().min(from + size);
            Ok(places[from..next].to_vec())
        };
        let wanted = Wanted { position: 0, after: 0, until: u64::MAX, which, backwards: false };
        self.walk(portion, wanted, stream, visit)
    }

    /// Shows what was there when this began, forward from a position.
    fn walk_forward(
        &self,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let (mut next, end, head) = self
            .shared()
            .look(|index| (index.message_after(after), index.n_messages(), index.head()))?;
        let portion = |size: usize| {
            let from = next;
            next = end.min(from + size);
            self.shared().look(|index| (from..next).map(|at| index.place(at)).collect())
        };
        let wanted = Wanted { position: 0, after, until: head, which: &|_| true, backwards: false };
        self.walk(portion, wanted, None, visit)
    }

    fn published_marks(&self) -> Result<Published, StoreError> {
        let kept = Arc::clone(&self.inner.kept);
        self.wait(async move { Published::read(kept.get(outbox::KEY).await?.as_deref()) })
    }

    /// Moves a read model on by up to `STEP` events; answers whether it may go on.
    fn step(&self, projection: &dyn Projection, model: &Model) -> Result<bool, StoreError> {
        let standing = model.standing();
        let mut staged = Staged::over(&*standing.rows);
        let mut position = standing.position;
        let mut n_taken = 0;
        let read = self.walk_forward(position, &mut |event| {
            take(&mut staged, projection, &Reading::new(*event))?;
            position = event.position;
            n_taken += 1;
            Ok(if n_taken == STEP { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        let changes = staged.into_changes();
        // So that the rows need not be copied for this.
        drop(standing);
        model.write(changes, position);
        read.map(|()| n_taken == STEP)
    }

    /// Prepares a read model for a projection: rows of another schema go.
    fn prepare(&self, projection: &dyn Projection, model: &Model) -> Result<(), StoreError> {
        let (name, schema) = (projection.name().to_owned(), projection.schema());
        let standing = model.standing();
        let head = self.shared().look(Index::head)?;
        let is_new = standing.schema != schema || standing.position == 0;
        if !is_new {
            return Ok(());
        }
        let kept = Arc::clone(&self.inner.kept);
        let saved = self.wait(async move { models::load(&kept, &name, schema, head).await })?;
        model.set(saved.unwrap_or(Standing { schema, ..Standing::default() }));
        Ok(())
    }
}

/// Reads the index file, if there is one.
async fn begin(shared: &Shared) -> Result<(), StoreError> {
    let Some(path) = shared.options.index_file.clone() else { return Ok(()) };
    let standing = shared.remote.standing().await?;
    let (name, created) = (shared.remote.name.clone(), standing.created.clone());
    let read = move |last| {
        let (path, name, created) = (path.clone(), name.clone(), created.clone());
        tokio::task::spawn_blocking(move || saved::open(&path, &name, &created, last))
    };
    let (mut index, mut recorder) = read(standing.last).await.map_err(|_| interrupted())??;
    if let Some((sequence, id)) = index.last()
        && !shared.remote.has(sequence, id).await?
    {
        // It is of a state that the server has lost.
        drop(recorder);
        (index, recorder) = read(0).await.map_err(|_| interrupted())??;
    }
    shared.begin(index, standing.created, Some(recorder));
    Ok(())
}

/// One event. A projection that panics must not take the model with it.
fn take(
    staged: &mut Staged<'_>,
    projection: &dyn Projection,
    event: &Reading<'_>,
) -> Result<(), StoreError> {
    // What it wrote before it panicked is undone, so nothing half-done is seen later.
    let taken = catch_unwind(AssertUnwindSafe(|| staged.take(projection, event)));
    taken.unwrap_or_else(|_| {
        staged.undo();
        Err(StoreError::Invalid(format!(
            "the read model `{}` failed at event {}",
            projection.name(),
            event.position
        )))
    })
}

/// Runs a future to its end, on any thread: also on one of a runtime, where that itself would
/// refuse.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Parked(Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    // The budget of a task that this may run in is never filled up while it waits here.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Parked(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn wait_on<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, receiver) = sync_channel(1);
    spawn(runtime, work, sender);
    receiver.recv().map_err(|_| interrupted())?
}

fn spawn<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    sender: std::sync::mpsc::SyncSender<Result<T, StoreError>>,
) {
    runtime.spawn(async move {
        // Nobody waits any more where this fails.
        let _ = sender.send(work.await);
    });
}

fn interrupted() -> StoreError {
    unavailable("the store is shutting down", "open it again")
}

fn snapshot_key(stream: &StreamId) -> String {
    format!("snapshot.{}.{}", stream.kind.token(), stream.id)
}

impl EventStore for JetStreamStore {
    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let shared = Arc::clone(self.shared());
        self.wait(async move { shared.append(append).await })
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let places = self.ask(|index| index.messages_of(stream, after))?;
        self.walk_list(places, &|event| event.version > after, Some(stream), visit)
    }

    fn read_all(
        &self,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.sync()?;
        self.walk_forward(after, visit)
    }

    fn read_back(
        &self,
        before: Option<u64>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let until = before.map_or(u64::MAX, |before| before.saturating_sub(1));
        let (mut end, until) = self.ask(|index| {
            let until = until.min(index.head());
            let end = match until {
                0 => 0,
                _ => index.message_after(until - 1) + 1,
            };
            (end, until)
        })?;
        let portion = |size: usize| {
            let from = end.saturating_sub(size);
            let places =
                self.shared().look(|index| (from..end).rev().map(|at| index.place(at)).collect());
            end = from;
            places
        };
        let wanted = Wanted { position: 0, after: 0, until, which: &|_| true, backwards: true };
        self.walk(portion, wanted, None, visit)
    }

    fn find(
        &self,
        id: Uuid,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<bool, StoreError> {
        let place = self.ask(|index| {
            index.id(id).map(|position| index.place(index.message_after(position - 1)))
        })?;
        let Some(place) = place else { return Ok(false) };
        self.walk_list(vec![place], &|event| event.id == id, None, visit).map(|()| true)
    }

    fn caused_by(
        &self,
        cause: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let places = self.ask(|index| index.caused_by(cause))?;
        self.walk_list(places, &|event| event.causation == cause, None, visit)
    }

    fn correlated(
        &self,
        correlation: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        let places = self.ask(|index| index.correlated(correlation))?;
        self.walk_list(places, &|event| event.correlation == correlation, None, visit)
    }

    fn version(&self, stream: &StreamId) -> Result<u64, StoreError> {
        self.ask(|index| index.tip(stream).version)
    }

    fn head(&self) -> Result<u64, StoreError> {
        self.ask(Index::head)
    }

    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError> {
        Ok(Box::new(Follower::new(self.clone(), after)))
    }

    fn snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let (kept, key) = (Arc::clone(&self.inner.kept), snapshot_key(stream));
        let found = self.wait(async move { kept.get(&key).await })?;
        // One that cannot be read is none: it can be made again.
        let read = found.and_then(|found| serde_json::from_slice::<KeptSnapshot>(&found).ok());
        Ok(read.map(|KeptSnapshot { version, schema, state }| Snapshot { version, schema, state }))
    }

    /// A snapshot that does not fit into a message is not kept: it is an optimisation.
    fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        let mut found = self.shared().look(|index| index.tip(stream).version)?;
        if snapshot.version > found {
            found = self.version(stream)?;
        }
        if snapshot.version > found {
            let (stream, expected) = (stream.clone(), snapshot.version);
            return Err(StoreError::Conflict { stream, expected, found });
        }
        let Snapshot { version, schema, ref state } = *snapshot;
        let value = KeptSnapshot { version, schema, state: state.clone() };
        let value = serde_json::to_vec(&value);
        let value = value.map_err(|error| StoreError::Invalid(error.to_string()))?;
        if value.len() > self.shared().remote.room() {
            tracing::debug!(%stream, bytes = value.len(), "a snapshot is too long to be kept");
            return Ok(());
        }
        let (kept, key) = (Arc::clone(&self.inner.kept), snapshot_key(stream));
        self.wait(async move {
            let change = |found: Option<&[u8]>| {
                let found =
                    found.and_then(|found| serde_json::from_slice::<KeptSnapshot>(found).ok());
                let is_late = found.is_some_and(|found| found.version > version);
                Ok((!is_late).then(|| value.clone().into()))
            };
            kept.change(&key, change).await.map(drop)
        })
    }

    fn outgoing(&self, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let marks = self.published_marks()?;
        let mut out = Vec::new();
        if limit == 0 {
            return Ok(out);
        }
        self.read_all(marks.upto, &mut |event| {
            if !marks.has(event.position) {
                out.push(outgoing(event)?);
            }
            Ok(if out.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(out)
    }

    fn published(&self, positions: &[u64]) -> Result<(), StoreError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut head = self.shared().look(Index::head)?;
        if positions.iter().any(|position| *position > head) {
            head = self.head()?;
        }
        let (kept, positions) = (Arc::clone(&self.inner.kept), positions.to_vec());
        self.wait(async move {
            let change = |found: Option<&[u8]>| {
                let before = Published::read(found)?;
                let mut after = before.clone();
                after.note(&positions, head);
                if after == before { Ok(None) } else { after.print().map(Some) }
            };
            kept.change(outbox::KEY, change).await.map(drop)
        })
    }

    fn catch_up(&self, projection: &dyn Projection) -> Result<Progress, StoreError> {
        self.sync()?;
        let model = self.shared().options.models.get_or_make(projection.name());
        let _moving = model.moving.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.prepare(projection, &model)?;
        while self.step(projection, &model)? {}
        let standing = model.standing();
        if standing.position - standing.saved >= self.shared().options.save_models_every
            && let Err(error) = self.save(projection.name(), &model)
        {
            tracing::warn!(name = projection.name(), %error, "rows of a read model are not saved");
        }
        Ok(Progress { position: standing.position, head: self.shared().look(Index::head)? })
    }

    fn progress(&self, name: &str) -> Result<Progress, StoreError> {
        let head = self.head()?;
        let model = self.shared().options.models.get(name);
        Ok(Progress { position: model.map_or(0, |model| model.standing().position), head })
    }

    fn drop_projection(&self, name: &str) -> Result<(), StoreError> {
        self.shared().options.models.remove(name);
        let (kept, name) = (Arc::clone(&self.inner.kept), name.to_owned());
        self.wait(async move { models::forget(&kept, &name).await })
    }

    fn rows(
        &self,
        name: &str,
        read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let model = self.shared().options.models.get(name);
        let rows = model.map(|model| model.standing().rows).unwrap_or_default();
        read(&*rows)
    }
}

fn outgoing(event: &Record<'_>) -> Result<Outgoing, StoreError> {
    Ok(Outgoing {
        position: event.position,
        id: event.id,
        stream: event.stream()?,
        version: event.version,
        event_type: event.event_type.to_owned(),
        schema: event.schema,
        at: event.at,
        correlation: event.correlation.clone(),
        causation: event.causation.clone(),
        body: event.body.to_owned(),
        meta: event.meta.to_owned(),
    })
}
