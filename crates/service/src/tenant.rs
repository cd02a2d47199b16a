//! A tenant: a store, a world of its own, and what it may use. Nothing of one leads to another.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cim_domain_nix::projection::PROJECTIONS;
use cim_domain_nix::{MessageId, Query, StoreError, Timestamp, ask};
use cim_nix_app::{App, NoFiles, Outside, Recovery, Run, States, Store};
use cim_nix_base::Error;

use crate::Reply;
use crate::guard::Guarded;
use crate::limits::{Bulkhead, Limits, Rates};
use crate::pool::Lane;
use crate::reply::{Cause, Refusal};

/// Whether commands of a tenant change files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    /// They do, below the tenant's folder.
    Files,
    /// They are written down only.
    Catalogue,
}

/// What a tenant is made of.
pub struct TenantParts {
    /// Its name: a token of a subject.
    pub name: String,
    /// Where its events are kept.
    pub store: Arc<dyn Store>,
    /// Whether the store moves its read models along with each append.
    pub moves_along: bool,
    /// Files, clock, tools.
    pub outside: Arc<dyn Outside>,
    /// Whether commands change files.
    pub keeps: Keeps,
    /// What it may use.
    pub limits: Limits,
    /// How many bytes its events take, as far as that is known.
    pub storage: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// A command that is under way.
pub(crate) struct UnderWay {
    /// What it says.
    pub(crate) digest: String,
    /// Who waits for its end.
    pub(crate) waiting: Vec<Waiting>,
}

/// Somebody who waits for the end of a command.
pub(crate) type Waiting = Box<dyn FnOnce(Reply) + Send>;

/// A tenant.
pub struct Tenant {
    name: Arc<str>,
    store: Arc<dyn Store>,
    moves_along: bool,
    outside: Arc<dyn Outside>,
    keeps: Keeps,
    pub(crate) use_: RwLock<Arc<Use>>,
    storage: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    stored: Mutex<Option<(Instant, u64)>>,
    /// Held while files change: they change one after the other anyway.
    pub(crate) changing: Mutex<()>,
    /// Where commands that change files wait for their turn.
    pub(crate) lane: Arc<Lane>,
    /// Held while a command about one of the aggregates that share it is decided upon and stored:
    /// waiting is cheaper than deciding anew.
    pub(crate) deciding: [Mutex<()>; 1_024],
    /// Commands that are under way, with those who sent them again.
    pub(crate) under_way: Mutex<HashMap<MessageId, UnderWay>>,
    answers: Mutex<Answers>,
    /// Whether the last append failed for a reason outside.
    pub(crate) is_failing: AtomicBool,
    worked: Mutex<Worked>,
    /// States of aggregates that commands were decided upon lately.
    pub(crate) states: States,
}

/// Limits with what counts against them.
pub(crate) struct Use {
    pub(crate) limits: Limits,
    pub(crate) rates: Rates,
    pub(crate) commands: Bulkhead,
    pub(crate) effects: Bulkhead,
}

impl Use {
    fn new(limits: Limits) -> Self {
        Self {
            rates: Rates::new(&limits),
            commands: Bulkhead::new(limits.commands_at_once * 2),
            effects: Bulkhead::new(limits.effects_at_once),
            limits,
        }
    }
}

/// Seconds of workers in the present hour.
#[derive(Default)]
struct Worked {
    since: Option<Instant>,
    seconds: f64,
}

/// Answers to queries, for the moment that they are from.
#[derive(Default)]
struct Answers {
    head: u64,
    by_query: HashMap<String, (Arc<str>, Option<u64>)>,
}

const MOST_ANSWERS: usize = 4_096;
const LONGEST_ANSWER: usize = 64 << 10;

/// How a tenant is.
#[derive(Clone, PartialEq, Debug)]
pub struct TenantHealth {
    /// Its name.
    pub name: Arc<str>,
    /// What is wrong; nothing if it can do its work.
    pub problem: Option<String>,
    /// The position of its last event.
    pub head: u64,
    /// Positions between the last published event and the last one.
    pub outbox: u64,
    /// When the first of these happened.
    pub outbox_since: Option<Timestamp>,
    /// How far each read model has come.
    pub projections: Vec<(&'static str, u64)>,
    /// Commands that are under way.
    pub commands: usize,
    /// Of these, builds and the like.
    pub effects: usize,
    /// Bytes of its store, as far as they are known.
    pub storage: Option<u64>,
}

/// What a store says of itself.
#[derive(Default)]
struct Figures {
    head: u64,
    /// The position and the time of the first event that was not published.
    waiting: Option<(u64, Timestamp)>,
    projections: Vec<(&'static str, u64)>,
    storage: Option<u64>,
}

impl Tenant {
    /// A tenant of its parts.
    ///
    /// Errors: the name could not be a part of a subject.
    pub fn new(parts: TenantParts) -> Result<Self, Error> {
        let TenantParts { name, store, moves_along, outside, keeps, limits, storage } = parts;
        check_name(&name)?;
        Ok(Self {
            name: name.into(),
            store,
            moves_along,
            outside,
            keeps,
            use_: RwLock::new(Arc::new(Use::new(limits))),
            storage,
            stored: Mutex::default(),
            changing: Mutex::default(),
            lane: Arc::default(),
            deciding: std::array::from_fn(|_| Mutex::default()),
            under_way: Mutex::default(),
            answers: Mutex::default(),
            is_failing: AtomicBool::new(false),
            worked: Mutex::default(),
            states: States::default(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where its events are kept.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether commands change files.
    #[must_use]
    pub fn keeps(&self) -> Keeps {
        self.keeps
    }

    /// Gives it other limits. What counts against them begins anew.
    pub fn set_limits(&self, limits: Limits) {
        let new = Arc::new(Use::new(limits));
        *self.use_.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    pub(crate) fn in_use(&self) -> Arc<Use> {
        self.use_.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn outside(&self) -> &dyn Outside {
        &*self.outside
    }

    /// Finishes or reverts what an earlier process left behind.
    ///
    /// Errors: those of [`App::recover`].
    pub fn recover(&self, run: Run, breakers: &crate::Breakers) -> Result<Recovery, Error> {
        let world = self.outside.world("cim-nix-server");
        let tools =
            Guarded { tools: self.outside.tools(run.clone()), breakers, tenant: &self.name, run };
        let files = match self.keeps {
            Keeps::Files => self.outside.files()?,
            Keeps::Catalogue => Box::new(NoFiles),
        };
        let app = App {
            store: &*self.store,
            files: &*files,
            world: &*world,
            programs: &tools,
            expected: None,
            states: Some(&self.states),
            announced: Cell::default(),
        };
        app.recover()
    }

    /// Answers a query, as JSON, with the version of the thing that it is about.
    pub(crate) fn answer(&self, query: &Query) -> Result<(Arc<str>, Option<u64>), Refusal> {
        if !self.moves_along {
            for projection in PROJECTIONS {
                self.store.catch_up(projection).map_err(refused)?;
            }
        }
        let head = self.store.head().map_err(refused)?;
        let key = key(query).map_err(|error| Refusal::new(Cause::Malformed, error.to_string()))?;
        {
            let answers = self.answers();
            if let Some(known) = answers.by_query.get(&key).filter(|_| answers.head == head) {
                return Ok(known.clone());
            }
        }
        let answer = ask(&*self.store, query).map_err(|problem| match Error::from(problem) {
            error if error.kind() == cim_nix_base::ErrorKind::User => {
                Refusal::new(Cause::NotFound, error.chain())
            }
            error => Refusal::from(error),
        })?;
        let value = answer
            .to_value()
            .map_err(|error| Refusal::new(Cause::Bug, format!("an answer: {error}")))?;
        let version = value.pointer("/changed/version").and_then(serde_json::Value::as_u64);
        let text: Arc<str> = value.to_string().into();
        let mut answers = self.answers();
        // What is appended meanwhile may or may not be in the answer: it is kept for nobody then.
        if self.store.head().is_ok_and(|now| now == head) && text.len() <= LONGEST_ANSWER {
            if answers.head != head || answers.by_query.len() >= MOST_ANSWERS {
                answers.by_query.clear();
                answers.head = head;
            }
            answers.by_query.insert(key, (text.clone(), version));
        }
        Ok((text, version))
    }

    /// The answer to a query, if it is known and nothing has happened since.
    pub(crate) fn known_answer(&self, query: &Query) -> Option<(Arc<str>, Option<u64>)> {
        let key = key(query).ok()?;
        let head = self.store.head().ok()?;
        let answers = self.answers();
        answers.by_query.get(&key).filter(|_| answers.head == head).cloned()
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Errors: the tenant's events take more room than it may use.
    pub(crate) fn check_storage(&self, limits: &Limits) -> Result<(), Refusal> {
        let now = Instant::now();
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match *stored {
            Some((at, bytes)) if now.saturating_duration_since(at) < Duration::from_secs(5) => {
                bytes
            }
            _ => {
                let bytes = (self.storage)().unwrap_or_default();
                *stored = Some((now, bytes));
                bytes
            }
        };
        match bytes > limits.storage_bytes {
            false => Ok(()),
            true => Err(Refusal::new(
                Cause::Limited,
                format!(
                    "the events of this tenant take {bytes} bytes; {} are allowed",
                    limits.storage_bytes
                ),
            )
            .hint("ask who runs the service for more room")),
        }
    }

    /// Errors: workers have run for the tenant as long as they may in this hour.
    pub(crate) fn check_worked(&self, limits: &Limits) -> Result<(), Refusal> {
        let hour = Duration::from_secs(3_600);
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = *worked.since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age >= hour {
            *worked = Worked { since: Some(now), seconds: 0.0 };
            return Ok(());
        }
        if worked.seconds < Duration::from_secs(limits.worker_seconds_per_hour).as_secs_f64() {
            return Ok(());
        }
        Err(Refusal::new(
            Cause::Limited,
            format!(
                "evaluations and builds of this tenant took {} s in this hour, as long as they may",
                limits.worker_seconds_per_hour
            ),
        )
        .after(hour.saturating_sub(age)))
    }

    pub(crate) fn count_work(&self, time: Duration) {
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        worked.seconds += time.as_secs_f64();
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> TenantHealth {
        let (figures, mut problem) = match self.figures() {
            Ok(figures) => (figures, None),
            Err(error) => (Figures::default(), Some(error.to_string())),
        };
        if self.is_failing.load(Ordering::Relaxed) {
            problem.get_or_insert("the last append failed".to_owned());
        }
        let Figures { head, waiting, projections, storage } = figures;
        let outbox = waiting.as_ref().map_or(0, |(position, _)| head.saturating_sub(*position) + 1);
        let in_use = self.in_use();
        TenantHealth {
            name: self.name.clone(),
            problem,
            head,
            outbox,
            outbox_since: waiting.map(|(_, at)| at),
            projections,
            commands: in_use.commands.inside(),
            effects: in_use.effects.inside(),
            storage,
        }
    }

    /// What the store says of itself. Each answer may take its time where the store is away, so the
    /// first that fails is the last that is asked for.
    fn figures(&self) -> Result<Figures, StoreError> {
        let head = self.store.head()?;
        let waiting = self.store.outgoing(1)?.first().map(|first| (first.position, first.at));
        let progress = |name| Ok((name, self.store.progress(name)?.position));
        let projections: Result<_, StoreError> =
            PROJECTIONS.iter().map(|it| progress(it.name())).collect();
        Ok(Figures { head, waiting, projections: projections?, storage: (self.storage)() })
    }
}

/// Errors: the name could not be a part of a subject, or of a file's name.
pub fn check_name(name: &str) -> Result<(), Error> {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !name.is_empty() && name.len() <= 63 && name.bytes().all(is_good) {
        true => Ok(()),
        false => Err(Error::config(format!("`{}` cannot be a tenant's name", name.escape_debug()))
            .hint("lower-case letters, digits and `-`, at most 63 of them")),
    }
}

/// What the answer to a query is kept under.
fn key(query: &Query) -> Result<String, serde_json::Error> {
    query.to_json().map(|text| format!("{}{text}", query.query_type()))
}

pub(crate) fn refused(error: StoreError) -> Refusal {
    Refusal::from(Error::from(error))
}
