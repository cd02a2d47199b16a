//! A command while it is run: by which way it goes, and what is answered.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};
use std::time::Instant;

use cim_domain_nix::{Command, Event};
use cim_nix_app::{App, Mode, Outcome, Tools};
use cim_nix_base::{Error, ErrorKind};

use crate::ids::DIGEST;
use crate::reply::{Accepted, Cause, EventRef, Ids, Refusal};
use crate::service::Request;
use crate::tenant::Keeps;

/// What is written down of the origin of events.
type Origin = BTreeMap<String, serde_json::Value>;

/// A command, and all that is there to run it.
pub(crate) struct Running<'a> {
    pub(crate) request: &'a Request,
    /// The command, with the paths that it names found.
    pub(crate) command: &'a Command,
    /// What tells it from another one with the same id.
    pub(crate) digest: &'a str,
    pub(crate) app: App<'a>,
    pub(crate) tools: &'a dyn Tools,
}

impl Running<'_> {
    /// Runs it to its end.
    ///
    /// Errors: it was refused, or could not be run; nothing has changed then.
    pub(crate) fn run(self) -> Result<Accepted, Refusal> {
        let Request { tenant, is_dry_run, expected, .. } = self.request;
        let is_effect = is_effect(self.command);
        let has_files = tenant.keeps() == Keeps::Files;
        // Ids of events follow from the command's, and no store takes one twice. So a command that
        // only appends, and was run before, comes to nothing, and that tells early enough.
        let is_plain = !has_files && !is_effect && !is_dry_run;
        if !is_plain && let Some(accepted) = self.done_before()? {
            return Ok(accepted);
        }
        let began = Instant::now();
        let outcome = self.decide();
        if is_effect || has_files {
            tenant.count_work(began.elapsed());
        } else {
            let is_away = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Outside);
            tenant.is_failing.store(is_away, Ordering::Relaxed);
        }
        // Of a store that is away nobody learns anything; whoever sends the command again does.
        let is_nothing = match &outcome {
            Ok(outcome) => outcome.events.is_empty(),
            Err(error) => error.kind() != ErrorKind::Outside,
        };
        if is_plain
            && is_nothing
            && let Some(accepted) = self.done_before()?
        {
            return Ok(accepted);
        }
        let outcome = outcome.map_err(|error| {
            let mut refusal = Refusal::from(error);
            // Another conflict is one of ids, or of files, which the expectation does not speak of.
            refusal.has_other_version = refusal.cause == Cause::Conflict
                && expected.is_some_and(|expected| self.version() != expected);
            refusal
        })?;
        if let Some(origin) = &outcome.earlier {
            return self.repeated(&outcome.events, outcome.position, origin);
        }
        let failed = |event: &Event| Some((event.event_type(), event.failure()?.to_owned()));
        if let Some((kind, message)) = outcome.events.iter().find_map(failed) {
            fail(&tracing::Span::current(), kind, &message);
        }
        Ok(Accepted {
            position: outcome.position,
            version: outcome.version.unwrap_or_else(|| self.version()),
            is_dry_run: *is_dry_run,
            diff: is_dry_run.then(|| outcome.diff()),
            notes: outcome.notes,
            ..self.accepted(&outcome.events)
        })
    }

    /// Has it decided, and what is decided done, when it is its turn.
    fn decide(&self) -> Result<Outcome, Error> {
        let Request { tenant, is_dry_run, .. } = self.request;
        let Self { command, app, tools, .. } = self;
        let mode = if *is_dry_run { Mode::DryRun } else { Mode::Apply };
        if is_effect(command) {
            return app.effect(command, mode);
        }
        if tenant.keeps() == Keeps::Files {
            let _one = tenant.changing.lock().unwrap_or_else(PoisonError::into_inner);
            return app.run(command, *tools, mode);
        }
        let place = command.stream().id.as_u128() % tenant.deciding.len() as u128;
        let place = usize::try_from(place).expect("the length of an array is a usize");
        let _one = match tenant.deciding[place].try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                // Whoever has it may be waiting in the store, which must not wait for this.
                drop(app.announced.take());
                let one = tenant.deciding[place].lock();
                let one = one.unwrap_or_else(PoisonError::into_inner);
                app.announced.set(tenant.store().announce());
                one
            }
        };
        app.catalogue(command, mode)
    }

    /// The answer, if it was run before.
    fn done_before(&self) -> Result<Option<Accepted>, Refusal> {
        let done = self.app.done_before(self.command.identity())?;
        done.map(|done| self.repeated(&done.events, Some(done.position), &done.origin)).transpose()
    }

    /// The answer that events of an earlier run are.
    ///
    /// Errors: it was another command that had the id.
    fn repeated(
        &self,
        events: &[Event],
        position: Option<u64>,
        origin: &Origin,
    ) -> Result<Accepted, Refusal> {
        match origin.get(DIGEST).and_then(serde_json::Value::as_str) == Some(self.digest) {
            true => Ok(Accepted {
                position,
                version: self.version(),
                is_repeated: true,
                ..self.accepted(events)
            }),
            false => Err(taken(&self.request.message.ids)),
        }
    }

    fn accepted(&self, events: &[Event]) -> Accepted {
        Accepted {
            ids: self.request.message.ids.clone(),
            events: events.iter().map(EventRef::from).collect(),
            position: None,
            version: 0,
            is_repeated: false,
            is_dry_run: false,
            diff: None,
            notes: Vec::new(),
        }
    }

    /// The version that the aggregate has; 0 where that cannot be told now.
    fn version(&self) -> u64 {
        self.app.store.version(&self.command.stream()).unwrap_or_default()
    }
}

/// The refusal of an id that another command has.
pub(crate) fn taken(ids: &Ids) -> Refusal {
    Refusal::new(Cause::Conflict, format!("another command has the id {}", ids.message))
        .hint("each command needs an id of its own")
}

/// Says in a span what went wrong.
pub(crate) fn fail(span: &tracing::Span, kind: &str, message: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "error");
    span.record("otel.status_description", message);
}

/// Whether a command runs programs.
pub(crate) fn is_effect(command: &Command) -> bool {
    matches!(
        command,
        Command::BuildPackage(_)
            | Command::CachePackage(_)
            | Command::ActivateConfiguration(_)
            | Command::RollbackConfiguration(_)
            | Command::EvaluateExpression(_)
            | Command::RunGarbageCollection(_)
    )
}
