//! Running programs outside: builds, copies, activations. What happens outside cannot be rolled
//! back with a transaction, so an intent says beforehand what is going to happen, and whoever finds
//! it open finds out what became of it.

use std::collections::BTreeMap;

use cim_domain_nix::{
    Append, Command, Draft, Event, Evidence, Expected, Intent, State, StoreError, StreamId, Uuid,
    package_name, undo,
};
use cim_nix_base::{ChangeSet, Error};
use serde_json::Value;

use crate::change::Plan;
use crate::{App, Mode, Outcome};

/// How often events are appended anew because somebody else was faster.
const ATTEMPTS: usize = 20;

/// Programs outside, as far as commands need them.
pub trait Programs {
    /// What is the case before: all that [`settle`](Self::settle) needs to find out what became of
    /// the command, as JSON.
    ///
    /// Errors: the command makes no sense as things are, or a program is missing.
    fn before(&self, command: &Command, state: &State) -> Result<Value, Error>;

    /// What would be run, one command line each.
    ///
    /// Errors: as for [`before`](Self::before).
    fn plan(&self, command: &Command, state: &State, before: &Value) -> Result<Vec<String>, Error>;

    /// Runs the command to its end. A failure that is worth an event is evidence, not an error.
    ///
    /// Errors: it was not begun.
    fn run(&self, command: &Command, state: &State, before: &Value) -> Result<Evidence, Error>;

    /// What became of a command whose process is gone; `None` if nothing did.
    ///
    /// Errors: that cannot be told now.
    fn settle(&self, command: &Command, before: &Value) -> Result<Option<Evidence>, Error>;

    /// The generation that a profile leads to.
    ///
    /// Errors: the profile cannot be read.
    fn generation(&self, profile: &str) -> Result<Option<u32>, Error>;
}

/// A command that runs programs, and what it is for.
pub(crate) struct Task<'t> {
    pub(crate) command: &'t Command,
    /// The stream that its events stand in.
    pub(crate) stream: StreamId,
    /// The event that it takes back.
    pub(crate) undoes: Option<Uuid>,
}

impl App<'_> {
    /// Runs a command whose effect is outside, and stores what came of it.
    ///
    /// Errors: it was refused or not begun, and nothing has happened; or what happened cannot be
    /// stored now, and `recover` will.
    pub fn effect(&self, command: &Command, mode: Mode) -> Result<Outcome, Error> {
        self.effect_of(&Task { command, stream: command.stream(), undoes: None }, mode)
    }

    pub(crate) fn effect_of(&self, task: &Task<'_>, mode: Mode) -> Result<Outcome, Error> {
        let Task { command, stream, undoes } = task;
        let (state, version) = self.load(stream)?;
        self.check_expected(stream, version)?;
        let before = self.programs.before(command, &state)?;
        let mut outcome = Outcome::new(ChangeSet::default(), BTreeMap::new());
        if mode == Mode::DryRun {
            outcome.notes = self.programs.plan(command, &state, &before)?;
            return Ok(outcome);
        }
        let id = self.world.event_id(&command.identity().message_id, 0);
        let plan = Plan::Effect {
            title: title(command),
            process: self.world.process(),
            command_type: command.command_type().to_owned(),
            command: as_value(command)?,
            before: before.clone(),
            undoes: *undoes,
        };
        let intent = Intent {
            id,
            at: self.world.now(),
            stream: stream.clone(),
            expected: version,
            events: vec![id],
            plan: plan.text()?,
        };
        self.store.open_intent(&intent, &[])?;
        match self.programs.run(command, &state, &before) {
            Err(error) => {
                self.store.close_intent(id)?;
                Err(error)
            }
            Ok(evidence) => {
                self.conclude(task, &evidence, id, &mut outcome)?;
                Ok(outcome)
            }
        }
    }

    /// Stores what came of a command and closes its intent, whose id the last event gets.
    fn conclude(
        &self,
        task: &Task<'_>,
        evidence: &Evidence,
        intent: Uuid,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Task { command, stream, .. } = task;
        for _ in 0..ATTEMPTS {
            let loaded = self.loaded(stream)?;
            let mut nth = 0;
            let mut new_id = || {
                nth += 1;
                self.world.event_id(&command.identity().message_id, nth)
            };
            let mut draft =
                Draft { cause: command.identity(), at: self.world.now(), new_id: &mut new_id };
            let events = match self.decided(task, &loaded.state, evidence, &mut draft) {
                Ok(events) => events,
                Err(error) => {
                    // What happened outside has happened; that it was refused is for the caller.
                    self.store.close_intent(intent)?;
                    return Err(error);
                }
            };
            if events.is_empty() {
                outcome.events.clear();
                self.know(stream, loaded);
                return Ok(self.store.close_intent(intent)?);
            }
            outcome.events = events;
            let events = self.new_events(command.command_type(), &outcome.events)?;
            let n_bytes = events.iter().map(|event| event.body.len()).sum();
            let append = Append {
                stream: stream.clone(),
                expected: Expected::Version(loaded.version),
                events,
                intent: Some(intent),
            };
            match self.store.append(append) {
                Err(StoreError::Conflict { .. }) => {}
                appended => {
                    outcome.stored(appended?);
                    self.moved(stream, loaded, outcome, n_bytes);
                    return Ok(());
                }
            }
        }
        Err(Error::conflict(format!("{stream} is changed by others all the time"))
            .hint("what came of the command is stored by `cim-nix recover`"))
    }

    /// The events that say what came of a command.
    fn decided(
        &self,
        task: &Task<'_>,
        state: &State,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Error> {
        match (task.undoes, evidence) {
            (Some(id), Evidence::Activated { store_path, .. }) => {
                let stored = self.event(id)?;
                let (before, _) =
                    self.load_until(&task.stream, stored.version.saturating_sub(1))?;
                let mut event = undo(&before, &stored.event, Vec::new(), draft)?;
                if let Event::ConfigurationRolledBack(event) = &mut event {
                    event.store_path.clone_from(store_path);
                }
                Ok(vec![event])
            }
            // Its project may be written otherwise than in the command that is taken back.
            (Some(_), Evidence::ActivationFailed { message, .. })
                if task.command.stream() != task.stream =>
            {
                Err(Error::outside(format!("cannot roll back: {message}")))
            }
            _ => Ok(state.decide(task.command, evidence, draft)?),
        }
    }

    /// Finds out what became of a program whose process is gone.
    pub(crate) fn settle_effect(&self, intent: &Intent, plan: &Plan) -> Result<(), Error> {
        let Plan::Effect { command_type, command, before, undoes, .. } = plan else {
            return Ok(());
        };
        let command = Command::read(command_type, &command.to_string()).map_err(|problem| {
            Error::outside(format!("the intent {} cannot be read: {problem}", intent.id))
                .hint("a newer cim-nix may have written it: recover with that")
        })?;
        // An interrupted process may have stored its events and not closed the intent, where events
        // and intents are kept apart.
        let mut is_concluded = false;
        self.store.caused_by(&command.identity().message_id, &mut |_| {
            is_concluded = true;
            Ok(std::ops::ControlFlow::Break(()))
        })?;
        match (is_concluded, self.programs.settle(&command, before)?) {
            (false, Some(evidence)) => {
                let stream = intent.stream.clone();
                let task = Task { command: &command, stream, undoes: *undoes };
                let mut outcome = Outcome::new(ChangeSet::default(), BTreeMap::new());
                self.conclude(&task, &evidence, intent.id, &mut outcome)
            }
            _ => Ok(self.store.close_intent(intent.id)?),
        }
    }
}

/// What a command does, in a few words.
fn title(command: &Command) -> String {
    match command {
        Command::BuildPackage(it) => {
            format!("build {}", package_name(&it.flake_ref, &it.attribute))
        }
        Command::CachePackage(it) => {
            let way = if it.is_download { "from" } else { "to" };
            let name = package_name(&it.flake_ref, &it.attribute);
            format!("copy {name} {way} {}", it.cache)
        }
        Command::ActivateConfiguration(it) => format!("activate `{}`", it.name),
        Command::RollbackConfiguration(it) => format!("roll `{}` back", it.name),
        Command::RunGarbageCollection(_) => "collect garbage".to_owned(),
        Command::EvaluateExpression(it) => format!("evaluate {}", it.expression),
        _ => format!("{} {}", command.command_type(), command.stream()),
    }
}

fn as_value(command: &Command) -> Result<Value, Error> {
    let text = command.to_json();
    text.and_then(|text| serde_json::from_str(&text))
        .map_err(|error| Error::user("the command cannot be written as JSON").because(error))
}
