//! Tools behind circuit breakers: what fails again and again is not asked for a while, and what may
//! succeed a moment later is asked again.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use cim_domain_nix::{Command, Evidence, State};
use cim_nix_app::{
    Code, LockWish, Locks, NewLock, Programs, Repository, Run, Sources, Templates, Tools, Work,
};
use cim_nix_base::{ChangeSet, Error, ErrorKind};
use serde_json::Value;

use crate::breaker::{BreakerState, Breakers};
use crate::metrics;

/// Tools behind breakers.
pub(crate) struct Guarded<'t> {
    pub(crate) tools: Box<dyn Tools + 't>,
    pub(crate) breakers: &'t Breakers,
    pub(crate) tenant: &'t str,
    pub(crate) run: Run,
}

/// What there is a breaker around.
pub const DEPENDENCIES: &[&str] = &["fetch", "git", "worker", "evaluation", "nix"];

/// Whether calls of a kind are made again when they fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It only looks, so it does no harm.
    Yes,
    /// It changes something outside.
    No,
}

impl Guarded<'_> {
    /// Calls behind the breaker around `name`.
    fn call<T>(
        &self,
        name: &'static str,
        again: Again,
        call: &dyn Fn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(if again == Again::Yes { 2 } else { 0 })
            .with_jitter();
        let mut delays = delays.build();
        loop {
            // Who is left alone is not asked again: callers get a quick answer.
            let ended = self.once(name, call)?;
            let is_outside = matches!(&ended, Err(error) if error.kind() == ErrorKind::Outside);
            let Some(delay) = delays.next().filter(|_| is_outside) else { return ended };
            let is_wanted = !self.run.cancelled.load(Ordering::Relaxed);
            if !is_wanted || Instant::now() + delay >= self.run.deadline {
                return ended;
            }
            metrics::retried(name);
            if let Err(error) = &ended {
                tracing::info!(
                    tenant = self.tenant,
                    dependency = name,
                    "a call is made again: {error}"
                );
            }
            std::thread::sleep(delay);
        }
    }

    /// Errors: it is left alone; else the call's own result.
    fn once<T>(
        &self,
        name: &'static str,
        call: &dyn Fn() -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        let breaker = self.breakers.of(name);
        let trips = breaker.n_trips();
        let leave = breaker.ask(Instant::now()).map_err(|wait| left_alone(name, wait))?;
        let before = breaker.state(Instant::now());
        metrics::breaker_state(self.tenant, name, before);
        if before == BreakerState::HalfOpen {
            tracing::info!(
                tenant = self.tenant,
                dependency = name,
                "a circuit breaker lets one call through"
            );
        }
        let ended = call();
        let is_failure = matches!(&ended, Err(error) if error.kind() == ErrorKind::Outside);
        leave.tell(is_failure, Instant::now(), 0.5 + fastrand::f64() / 2.0);
        let after = breaker.state(Instant::now());
        metrics::breaker_state(self.tenant, name, after);
        if breaker.n_trips() > trips {
            let why = ended.as_ref().err().map_or("it is too slow".to_owned(), Error::chain);
            tracing::warn!(
                tenant = self.tenant,
                dependency = name,
                "a circuit breaker opened: {why}"
            );
            metrics::breaker_tripped(self.tenant, name);
        }
        match (before, after) {
            (BreakerState::HalfOpen, BreakerState::Closed) => {
                tracing::info!(dependency = name, "a circuit breaker closed");
            }
            (BreakerState::HalfOpen, BreakerState::Open) => {
                tracing::warn!(
                    tenant = self.tenant,
                    dependency = name,
                    "a circuit breaker stays open: the call failed"
                );
            }
            _ => {}
        }
        Ok(ended)
    }
}

impl Locks for Guarded<'_> {
    fn lock(
        &self,
        folder: &Path,
        flake_nix: &str,
        old_lock: Option<&str>,
        wish: &LockWish,
    ) -> Result<NewLock, Error> {
        let lock = || self.tools.lock(folder, flake_nix, old_lock, wish);
        self.call("fetch", Again::Yes, &lock)
    }
}

impl Sources for Guarded<'_> {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        self.tools.nix_files()
    }
}

impl Repository for Guarded<'_> {
    fn announce(&self, files: &[PathBuf]) -> Result<(), Error> {
        self.call("git", Again::Yes, &|| self.tools.announce(files))
    }
}

impl Templates for Guarded<'_> {
    fn files(
        &self,
        folder: &Path,
        template: Option<&str>,
        description: &str,
    ) -> Result<ChangeSet, Error> {
        let name = if template.is_some() { "fetch" } else { "worker" };
        self.call(name, Again::Yes, &|| self.tools.files(folder, template, description))
    }
}

impl Code for Guarded<'_> {
    fn work(&self, command: &Command) -> Result<Work, Error> {
        self.call("worker", Again::Yes, &|| self.tools.work(command))
    }
}

/// The refusal of a call to what is left alone.
fn left_alone(name: &str, wait: Duration) -> Error {
    metrics::rejected("breaker_open");
    Error::outside(format!("{name} failed again and again and is left alone for now"))
        .because(Pause(wait.max(Duration::from_millis(1))))
}

/// How long something is left alone.
#[derive(Debug)]
pub(crate) struct Pause(pub(crate) Duration);

impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it is asked again in {} ms", self.0.as_millis())
    }
}

impl std::error::Error for Pause {}

/// What runs a command outside.
fn program(command: &Command) -> &'static str {
    match command {
        Command::EvaluateExpression(_) => "evaluation",
        _ => "nix",
    }
}

impl Programs for Guarded<'_> {
    fn before(&self, command: &Command, state: &State) -> Result<Value, Error> {
        // What it prepares could not be run: that is told before a worker is started.
        let program = program(command);
        if let Some(wait) = self.breakers.of(program).pause(Instant::now()) {
            return Err(left_alone(program, wait));
        }
        // It only looks, so that it works says nothing of the program.
        self.call("worker", Again::Yes, &|| self.tools.before(command, state))
    }

    fn plan(&self, command: &Command, state: &State, before: &Value) -> Result<Vec<String>, Error> {
        self.call("worker", Again::Yes, &|| self.tools.plan(command, state, before))
    }

    fn run(&self, command: &Command, state: &State, before: &Value) -> Result<Evidence, Error> {
        self.call(program(command), Again::No, &|| self.tools.run(command, state, before))
    }

    fn settle(&self, command: &Command, before: &Value) -> Result<Option<Evidence>, Error> {
        self.tools.settle(command, before)
    }

    fn generation(&self, profile: &str) -> Result<Option<u32>, Error> {
        self.tools.generation(profile)
    }
}
