//! The store: one connection that writes, some that read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cim_domain_nix::{
    Announced, Append, Appended, EventStore, MessageId, Outgoing, Progress, Projection, Record,
    Rows, Snapshot, StoreError, StreamId, Subscription, Uuid, Visit,
};
use rusqlite::Connection;

use crate::fault::{Fault, unavailable};
use crate::follow::Follower;
use crate::group::{Answer, Group, Job};
use crate::log::Log;
use crate::models::{self, ModelRows};
use crate::open::{self, Options};
use crate::tail::{self, Tail};
use crate::{read, schema, write};

/// Events, intents, blobs and read models in one SQLite file. Shared by threads as it is, and by
/// processes that open the same file.
pub struct SqliteStore {
    path: PathBuf,
    projections: Vec<Arc<dyn Projection>>,
    patience: Duration,
    successor: Option<PathBuf>,
    group: Group,
    writer: Mutex<Writer>,
    loose: u64,
    log: Log,
    readers: Mutex<Vec<Connection>>,
    /// The position of the last event that was stored through this value.
    pub(crate) head: Mutex<u64>,
    pub(crate) grown: Condvar,
}

struct Writer {
    connection: Connection,
    tail: Tail,
}

/// Readers that are kept for the next ones.
const MOST_READERS: usize = 8;
/// Events that a read model takes in one transaction while it catches up.
const PORTION: usize = 5_000;

impl SqliteStore {
    /// Opens the store in the file `path`, and makes it where there is none.
    ///
    /// Errors: [`StoreError::Unavailable`] for a file that is none of ours or that cannot be used,
    /// [`StoreError::Newer`] for one from a newer version; neither is changed.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let connection = open::writer(path, &options)?;
        let head = tail::head(&connection).map_err(|fault| fault.at(path))?;
        Ok(Self {
            log: Log::of(path, open::log_bytes(&options)),
            path: path.to_owned(),
            projections: options.projections,
            patience: options.patience,
            successor: options.successor,
            group: Group::default(),
            writer: Mutex::new(Writer { connection, tail: Tail::default() }),
            loose: options.loose.into(),
            readers: Mutex::default(),
            head: Mutex::new(head),
            grown: Condvar::new(),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it waits for other processes.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Runs `read` on a connection that reads.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let kept = self.kept_readers().pop();
        let connection = match kept {
            Some(connection) => Ok(connection),
            None => open::reader(&self.path, self.patience),
        };
        let answer = connection.and_then(|connection| {
            let answer = read(&connection);
            let mut kept = self.kept_readers();
            let is_sound = !matches!(answer, Err(Fault::Sql(_)));
            if is_sound && kept.len() < MOST_READERS {
                kept.push(connection);
            }
            answer
        });
        answer.map_err(|fault| fault.at(&self.path))
    }

    /// Runs `read` in a transaction, for those that ask several questions about one moment.
    pub(crate) fn read_moment<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.read(|connection| {
            let moment = connection.unchecked_transaction()?;
            let answer = read(&moment);
            moment.finish()?;
            answer
        })
    }

    fn kept_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `write` in a transaction of the writer; it is stored and durable if it answers well.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.write_with_tail(|connection, _| write(connection))
    }

    /// [`write`](Self::write), for those that append events.
    pub(crate) fn write_with_tail<T>(
        &self,
        write: impl FnOnce(&Connection, &mut Tail) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer { connection, tail: known } = &mut *writer;
        self.begin(connection)?;
        let guard = Rollback(connection);
        open::check_version(schema::version(connection)?, &self.path)?;
        self.check_place()?;
        // What is not committed is forgotten.
        let mut tail = std::mem::take(known);
        let answer = write(connection, &mut tail)?;
        self.log.prepare();
        connection.prepare_cached("COMMIT")?.execute([])?;
        drop(guard);
        *known = tail;
        Ok(answer)
    }

    /// Refuses to write to a store that was moved. Moving holds the lock of the writer as well, so
    /// this stays true until the transaction ends.
    fn check_place(&self) -> Result<(), Fault> {
        match &self.successor {
            Some(successor) if successor.exists() => Err(Fault::Store(unavailable(
                format!(
                    "the event store {} was moved to {}",
                    self.path.display(),
                    successor.display()
                ),
                "run the command again: it uses the new place",
            ))),
            _ => Ok(()),
        }
    }

    /// Begins to write, as soon as no other process does.
    fn begin(&self, writer: &Connection) -> Result<(), Fault> {
        let deadline = Instant::now() + self.patience;
        let mut pause = Duration::from_micros(200);
        loop {
            let begun = writer.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
            match begun.map_err(Fault::Sql) {
                Err(fault) if fault.is_busy() && Instant::now() < deadline => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                }
                begun => return begun.map(drop),
            }
        }
    }

    pub(crate) fn submit(&self, job: Job) -> Answer {
        self.group.submit(job, &|jobs| self.write_group(jobs))
    }

    /// Writes jobs in one transaction. If SQLite fails, each is tried on its own, so that one that
    /// cannot be stored does not take the others with it.
    fn write_group(&self, jobs: &[Job]) -> Vec<Answer> {
        let fault = match self.try_group(jobs) {
            Ok(answers) => return answers,
            Err(fault) => fault,
        };
        if let [_] = jobs {
            return vec![Err(fault.at(&self.path))];
        }
        if fault.is_busy() {
            return jobs.iter().map(|_| Err(self.busy())).collect();
        }
        let alone = |job| match self.try_group(std::slice::from_ref(job)) {
            Ok(mut answers) => answers.pop().expect("one answer for each job"),
            Err(fault) => Err(fault.at(&self.path)),
        };
        jobs.iter().map(alone).collect()
    }

    fn busy(&self) -> StoreError {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Fault::Sql(rusqlite::Error::SqliteFailure(code, None)).at(&self.path)
    }

    fn try_group(&self, jobs: &[Job]) -> Result<Vec<Answer>, Fault> {
        let (answers, head) = self.write_with_tail(|connection, tail| {
            tail.catch_up(connection)?;
            let before = tail.head;
            let mut answers = Vec::with_capacity(jobs.len());
            for job in jobs {
                answers.push(match run(connection, job, tail) {
                    Ok(answer) => Ok(answer),
                    Err(Fault::Store(refusal)) => Err(refusal),
                    Err(fault) => return Err(fault),
                });
            }
            if tail.head > before {
                tail.arrange(connection, self.loose)?;
                self.move_models(connection, before)?;
            }
            Ok((answers, tail.head))
        })?;
        self.note(head);
        Ok(answers)
    }

    /// Wakes those who wait for events up to `head`.
    pub(crate) fn note(&self, head: u64) {
        let mut known = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        *known = head.max(*known);
        self.grown.notify_all();
    }

    /// Takes the new events into the registered read models that had all before them. One that
    /// fails stays behind, and says why when it is told to catch up: an event is a fact, and must
    /// not be lost because of what somebody makes of it.
    fn move_models(&self, connection: &Connection, before: u64) -> Result<(), Fault> {
        let mut moving = Vec::with_capacity(self.projections.len());
        for projection in &self.projections {
            let projection = &**projection;
            let model = models::model(connection, projection.name())?;
            // In an empty store a model is up to date before it exists.
            let model = match model {
                None if before == 0 => models::prepare(connection, projection)?,
                Some(model) if model.position == before && model.schema == projection.schema() => {
                    model
                }
                _ => continue,
            };
            moving.push((projection, model));
        }
        models::follow(connection, &self.path, &moving, usize::MAX).map(drop)
    }
}

/// Takes back what was begun, unless it was committed.
struct Rollback<'c>(&'c Connection);

impl Drop for Rollback<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // SQLite has given up already where this fails.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

fn run(connection: &Connection, job: &Job, tail: &mut Tail) -> Result<Option<Appended>, Fault> {
    match job {
        Job::Append(append) => write::append(connection, append, tail).map(Some),
        Job::OpenIntent(intent, blobs) => {
            write::open_intent(connection, intent, blobs).map(|()| None)
        }
        Job::CloseIntent(id) => write::close_intent(connection, Some(*id)).map(|()| None),
        Job::SaveSnapshot(stream, snapshot) => {
            write::save_snapshot(connection, stream, snapshot, tail).map(|()| None)
        }
        Job::Published(positions) => write::published(connection, positions).map(|()| None),
    }
}

impl EventStore for SqliteStore {
    fn announce(&self) -> Announced {
        self.group.announce()
    }

    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        append.check()?;
        let appended = self.submit(Job::Append(append))?;
        Ok(appended.expect("an append is answered with where it stands"))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.read_moment(|connection| read::stream(connection, stream, after, visit))
    }

    fn read_all(
        &self,
        after: u64,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.read(|connection| read::all(connection, after, visit))
    }

    fn read_back(
        &self,
        before: Option<u64>,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.read(|connection| read::back(connection, before.unwrap_or(u64::MAX), visit))
    }

    fn find(
        &self,
        id: Uuid,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<bool, StoreError> {
        self.read_moment(|connection| read::find(connection, id, visit))
    }

    fn caused_by(
        &self,
        cause: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.read_moment(|connection| read::caused_by(connection, cause, visit))
    }

    fn correlated(
        &self,
        correlation: &MessageId,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<(), StoreError> {
        self.read_moment(|connection| read::correlated(connection, correlation, visit))
    }

    fn version(&self, stream: &StreamId) -> Result<u64, StoreError> {
        self.read_moment(|connection| read::version(connection, stream))
    }

    fn head(&self) -> Result<u64, StoreError> {
        self.read(tail::head)
    }

    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError> {
        Ok(Box::new(Follower::new(self, after)))
    }

    fn snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.read(|connection| read::snapshot(connection, stream))
    }

    fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        self.submit(Job::SaveSnapshot(stream.clone(), snapshot.clone())).map(drop)
    }

    fn outgoing(&self, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        self.read_moment(|connection| read::outgoing(connection, limit))
    }

    fn published(&self, positions: &[u64]) -> Result<(), StoreError> {
        match positions {
            [] => Ok(()),
            _ => self.submit(Job::Published(positions.to_vec())).map(drop),
        }
    }

    fn catch_up(&self, projection: &dyn Projection) -> Result<Progress, StoreError> {
        loop {
            let (model, head) = self.read_moment(|connection| {
                Ok((models::model(connection, projection.name())?, tail::head(connection)?))
            })?;
            if let Some(model) = model
                && model.schema == projection.schema()
                && model.position >= head
            {
                return Ok(Progress { position: model.position, head });
            }
            let followed = self.write(|connection| {
                let model = models::prepare(connection, projection)?;
                models::follow(connection, &self.path, &[(projection, model)], PORTION)
            });
            let followed = followed.map_err(|fault| fault.at(&self.path))?;
            if let Some(failure) = followed.into_iter().find_map(|followed| followed.failure) {
                return Err(failure);
            }
        }
    }

    fn progress(&self, name: &str) -> Result<Progress, StoreError> {
        self.read_moment(|connection| {
            let position = models::model(connection, name)?.map_or(0, |model| model.position);
            Ok(Progress { position, head: tail::head(connection)? })
        })
    }

    fn drop_projection(&self, name: &str) -> Result<(), StoreError> {
        let dropped = self.write(|connection| models::discard(connection, name));
        dropped.map_err(|fault| fault.at(&self.path))
    }

    fn rows(
        &self,
        name: &str,
        read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.read_moment(|connection| {
            let model = models::model(connection, name)?.map(|model| model.id);
            Ok(read(&ModelRows { connection, path: &self.path, model })?)
        })
    }
}
