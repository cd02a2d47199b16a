//! Taking changes back, and back again.

use std::ops::ControlFlow;

use cim_domain_nix::command::RollbackConfiguration;
use cim_domain_nix::projection::{UndoPlace, undo_place, undone_by};
use cim_domain_nix::{
    Configuration, Draft, Event, FileChange, Irrevocable, MessageIdentity, State, StoreError,
    StreamId, Uuid, is_undoable, reverted, undo,
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

    /// Which event is undone next, and which one is redone.
    ///
    /// Errors: those of the store.
    pub fn undo_place(&self) -> Result<UndoPlace, Error> {
        Ok(undo_place(self.store, None)?)
    }

    /// The event that took an event back, if it is taken back.
    ///
    /// Errors: those of the store.
    pub fn undone_by(&self, id: Uuid) -> Result<Option<Uuid>, Error> {
        Ok(undone_by(self.store, None, id)?.1)
    }

    /// The event that an undo or a redo is about in the end: the one that was no undo itself.
    ///
    /// Errors: an event of the chain is not there, or cannot be read.
    pub fn origin_of(&self, event: &Event) -> Result<Event, Error> {
        let mut at = event.clone();
        // Each event takes back an earlier one, so this ends; a store that is damaged may say other.
        for _ in 0..10_000 {
            let Some(target) = at.undoes() else { break };
            at = self.event(target)?.event;
        }
        Ok(at)
    }

    /// Takes an event back; the last one that is in force if `id` is left out.
    ///
    /// Files are restored to the byte. An activation is rolled back to the former generation, by the
    /// programs.
    ///
    /// Errors: there is nothing to undo, the event cannot be undone, or a file or the profile was
    /// changed since, by a later event or by others.
    pub fn undo(&self, id: Option<Uuid>, mode: Mode) -> Result<Outcome, Error> {
        let id = match id {
            Some(id) => match self.undone_by(id)? {
                Some(by) => {
                    return Err(Error::user(format!("event {id} is undone already, by {by}"))
                        .hint("`cim-nix redo` brings it back"));
                }
                None => id,
            },
            None => self.undo_place()?.next_undo.ok_or_else(|| {
                Error::user("there is nothing to undo").hint("`cim-nix log` lists the events")
            })?,
        };
        self.take_back(id, "undo", mode)
    }

    /// Brings back what was undone last.
    ///
    /// Errors: nothing was undone since the last change, or a file was changed since.
    pub fn redo(&self, mode: Mode) -> Result<Outcome, Error> {
        let id = self.undo_place()?.next_redo.ok_or_else(|| {
            Error::user("there is nothing to redo")
                .hint("what was undone before a change stays undone")
        })?;
        self.take_back(id, "redo", mode)
    }

    fn take_back(&self, id: Uuid, verb: &str, mode: Mode) -> Result<Outcome, Error> {
        let Stored { version, event, position, .. } = self.event(id)?;
        is_undoable(&event)?;
        self.check_in_force(id, position, verb)?;
        let stream = event.stream();
        if let Some(switch) = Switch::of(&event) {
            return self.switch_back((id, position), &stream, &switch, verb, mode);
        }
        let (before, _) = self.load_until(&stream, version.saturating_sub(1))?;
        let set = self.way_back(&event, verb)?;
        let conflicts = self.conflicts(&set)?;
        if !conflicts.is_empty() {
            let paths = conflicts.iter().map(|it| format!("`{}`", it.path));
            let error = Error::conflict(format!(
                "cannot {verb} event {position}, {}: {} changed since",
                event.event_type(),
                paths.collect::<Vec<_>>().join(", ")
            ));
            let later = self.later(position, &event)?;
            if !later.is_empty() {
                let list: Vec<_> = later.iter().rev().map(u64::to_string).collect();
                return Err(error.hint(format!(
                    "later events changed the same files: undo them first, in this order: {}",
                    list.join(", ")
                )));
            }
            let error =
                conflicts.iter().fold(error, |error, it| error.hint(it.render().trim_end()));
            return Err(error.hint(format!(
                "put the file back as it was recorded, or make the change by hand: `cim-nix show {position}` has it"
            )));
        }
        let what = Change {
            stream,
            cause: MessageIdentity::root(self.world.new_id()),
            command_type: if verb == "redo" { "Redo" } else { "Undo" },
            set,
            notes: Vec::new(),
        };
        let decide = |_: &_, changes: &[FileChange], draft: &mut Draft<'_>| {
            // Somebody else may have taken it back since it was chosen. What happens from here on is
            // noticed by the version that the stream must have.
            self.check_in_force(id, position, verb)?;
            Ok(vec![undo(&before, &event, changes.to_vec(), draft)?])
        };
        self.make(what, &decide, mode)
    }

    /// Errors: the event is not one that can be undone or redone now.
    fn check_in_force(&self, id: Uuid, position: u64, verb: &str) -> Result<(), Error> {
        let is_next = match verb {
            "redo" => self.undo_place()?.next_redo == Some(id),
            _ => undone_by(self.store, None, id)?.0,
        };
        match is_next {
            true => Ok(()),
            false => Err(Error::conflict(format!(
                "cannot {verb} event {position}: it was taken back in the meantime"
            ))
            .hint("`cim-nix status` says what is next")),
        }
    }

    /// Rolls a profile back to where it led before an event.
    fn switch_back(
        &self,
        (id, position): (Uuid, u64),
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
                "cannot {verb} event {position}: the profile `{profile}` was at generation {from}, and is at {now} now"
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
            (Err(why), None) => {
                let error = Error::user(format!("cannot {verb} {}", event.event_type()));
                let hint = match why {
                    Irrevocable::Missing(_) => {
                        "use the store that the change was made with: this one has the event alone"
                    }
                    _ => "the event was not made by this program, or the store was tampered with",
                };
                Err(error.because(why).hint(hint))
            }
        }
    }

    /// The positions of the events after `position` that changed a file of `event` and are in force.
    fn later(&self, position: u64, event: &Event) -> Result<Vec<u64>, Error> {
        let mut found = Vec::new();
        self.store.read_all(position, &mut |record| {
            let Ok(other) = Event::read(record.event_type, record.schema, record.body) else {
                return Ok(ControlFlow::Continue(()));
            };
            let touches =
                |change: &FileChange| event.changes().iter().any(|it| it.path == change.path);
            if other.changes().iter().any(touches) {
                found.push((record.id, record.position));
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
        let mut later = Vec::new();
        for (id, position) in found {
            if undone_by(self.store, None, id)?.0 {
                later.push(position);
            }
        }
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
