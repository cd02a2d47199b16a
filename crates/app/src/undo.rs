//! Taking changes back, and back again.

use std::ops::ControlFlow;

use cim_domain_nix::command::RollbackConfiguration;
use cim_domain_nix::{
    Configuration, Draft, Event, FileChange, MessageIdentity, State, StoreError, StreamId,
    UndoStack, Uuid, is_undoable, reverted, undo,
};
use cim_nix_base::{ChangeSet, Error};

use crate::change::Change;
use crate::effect::Task;
use crate::{App, Mode, Outcome};

/// A stored event, read.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    /// Its place among all events.
    pub position: u64,
    /// Its place in its stream.
    pub version: u64,
    /// The event.
    pub event: Event,
    /// What else is known of its origin, as a JSON object.
    pub meta: String,
}

impl App<'_> {
    /// The event with an id.
    ///
    /// Errors: there is none, or it cannot be read.
    pub fn event(&self, id: Uuid) -> Result<Stored, Error> {
        let mut found = None;
        self.store.find(id, &mut |record| {
            found = Some((
                record.position,
                record.version,
                Event::read(record.event_type, record.schema, record.body),
                record.meta.to_owned(),
            ));
            Ok(ControlFlow::Break(()))
        })?;
        let Some((position, version, event, meta)) = found else {
            return Err(Error::user(format!("there is no event {id}"))
                .hint("`cim-nix log` lists the events of this project"));
        };
        let event = event.map_err(|problem| {
            Error::outside(format!("event {id} cannot be read")).because(problem)
        })?;
        Ok(Stored { position, version, event, meta })
    }

    /// What can be undone and redone, from all events.
    ///
    /// Errors: those of the store. Events that cannot be read cannot be undone and are left out.
    pub fn undo_stack(&self) -> Result<UndoStack, Error> {
        let mut stack = UndoStack::default();
        self.store.read_all(0, &mut |record| {
            if let Ok(event) = Event::read(record.event_type, record.schema, record.body) {
                stack.push(&event);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(stack)
    }

    /// Takes an event back; the last one that is in force if `id` is left out.
    ///
    /// Files are restored to the byte. An activation is rolled back to the former generation, by the
    /// programs.
    ///
    /// Errors: there is nothing to undo, the event cannot be undone, or a file or the profile was
    /// changed since, by a later event or by others.
    pub fn undo(&self, id: Option<Uuid>, mode: Mode) -> Result<Outcome, Error> {
        let stack = self.undo_stack()?;
        let id = match id {
            Some(id) => match stack.undone_by(id) {
                Some(by) => {
                    return Err(Error::user(format!("event {id} is undone already, by {by}"))
                        .hint("`cim-nix redo` brings it back"));
                }
                None => id,
            },
            None => stack.next_undo().ok_or_else(|| {
                Error::user("there is nothing to undo").hint("`cim-nix log` lists the events")
            })?,
        };
        self.take_back(id, "undo", mode)
    }

    /// Brings back what was undone last.
    ///
    /// Errors: nothing was undone since the last change, or a file was changed since.
    pub fn redo(&self, mode: Mode) -> Result<Outcome, Error> {
        let stack = self.undo_stack()?;
        let id = stack.next_redo().ok_or_else(|| {
            Error::user("there is nothing to redo")
                .hint("what was undone before a change stays undone")
        })?;
        self.take_back(id, "redo", mode)
    }

    fn take_back(&self, id: Uuid, verb: &str, mode: Mode) -> Result<Outcome, Error> {
        let Stored { version, event, position, .. } = self.event(id)?;
        is_undoable(&event)?;
        let stream = event.stream();
        if let Some(switch) = Switch::of(&event) {
            return self.switch_back(id, &stream, &switch, verb, mode);
        }
        let (before, _) = self.load_until(&stream, version.saturating_sub(1))?;
        let set = self.way_back(&event, verb)?;
        let conflicts = self.conflicts(&set)?;
        if !conflicts.is_empty() {
            let mut error = Error::conflict(format!(
                "cannot {verb} {} {id}: {} changed since",
                event.event_type(),
                conflicts.iter().map(|it| format!("`{}`", it.path)).collect::<Vec<_>>().join(", ")
            ));
            let later = self.later(position, &event)?;
            if !later.is_empty() {
                let ids: Vec<_> = later.iter().rev().map(Uuid::to_string).collect();
                error = error.hint(format!("undo what came later first: {}", ids.join(", ")));
            }
            return Err(conflicts
                .iter()
                .fold(error, |error, it| error.hint(it.render().trim_end())));
        }
        let what = Change {
            stream,
            cause: MessageIdentity::root(self.world.new_id()),
            command_type: if verb == "redo" { "Redo" } else { "Undo" },
            set,
            notes: Vec::new(),
        };
        let decide = |_: &_, changes: &[FileChange], draft: &mut Draft<'_>| {
            Ok(vec![undo(&before, &event, changes.to_vec(), draft)?])
        };
        self.make(what, &decide, mode)
    }

    /// Rolls a profile back to where it led before an event.
    fn switch_back(
        &self,
        id: Uuid,
        stream: &StreamId,
        switch: &Switch<'_>,
        verb: &str,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let Switch { profile, to, from } = *switch;
        let (state, _) = self.load(stream)?;
        let State::Configuration(Configuration(Some(state))) = state else {
            return Err(Error::bug(format!("event {id} is of no configuration")));
        };
        let current = self.programs.generation(profile)?;
        if current != Some(from) {
            let now = current.map_or("none".to_owned(), |number| number.to_string());
            return Err(Error::conflict(format!(
                "cannot {verb} event {id}: the profile `{profile}` was at generation {from}, and is at {now} now"
            ))
            .hint("`cim-nix config rollback NAME --to N` goes to a certain generation"));
        }
        let command = RollbackConfiguration {
            project: self.files.root().to_string_lossy().into_owned(),
            name: state.name,
            generation: Some(to),
            profile: Some(profile.to_owned()),
            identity: MessageIdentity::root(self.world.new_id()),
        };
        let stream = stream.clone();
        self.effect_of(&Task { command: &command.into(), stream, undoes: Some(id) }, mode)
    }

    /// The change set that restores the files of an event.
    fn way_back(&self, event: &Event, verb: &str) -> Result<ChangeSet, Error> {
        let title = format!("{verb} {}", event.event_type());
        let mut failed = None;
        let set = reverted(&title, event.changes(), |hash| match self.text(hash) {
            Ok(text) => text,
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        match (set, failed) {
            (Ok(set), _) => Ok(set),
            (Err(_), Some(error)) => Err(error),
            (Err(hash), None) => Err(Error::outside(format!(
                "cannot {verb} {}: the former bytes with the hash {hash} are not in the store",
                event.event_type()
            ))
            .hint("an imported or copied store has the events alone; use the store that the change was made with")),
        }
    }

    /// The events after `position` that changed a file of `event` and are in force.
    fn later(&self, position: u64, event: &Event) -> Result<Vec<Uuid>, Error> {
        let stack = self.undo_stack()?;
        let mut later = Vec::new();
        self.store.read_all(position, &mut |record| {
            let Ok(other) = Event::read(record.event_type, record.schema, record.body) else {
                return Ok(ControlFlow::Continue(()));
            };
            let touches =
                |change: &FileChange| event.changes().iter().any(|it| it.path == change.path);
            if other.changes().iter().any(touches) && stack.is_in_force(record.id) {
                later.push(record.id);
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
        Ok(later)
    }
}

/// An event that moved a profile.
struct Switch<'e> {
    profile: &'e str,
    /// The generation before.
    to: u32,
    /// The generation after.
    from: u32,
}

impl<'e> Switch<'e> {
    fn of(event: &'e Event) -> Option<Self> {
        match event {
            Event::ConfigurationActivated(it) => {
                Some(Self { profile: &it.profile, to: it.previous?, from: it.generation })
            }
            Event::ConfigurationRolledBack(it) => {
                Some(Self { profile: &it.profile, to: it.previous?, from: it.generation })
            }
            _ => None,
        }
    }
}
