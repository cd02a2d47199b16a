//! Taking events back: by further events, never by forgetting.
//!
//! Undoing an event appends the event that leads back ([`undo`]); undoing that one is a redo. Which
//! of them is next is the [`UndoStack`]'s business.

use std::fmt;

use uuid::Uuid;

use crate::{ActivationType, Draft, Event, FileChange, Project, State};

/// Why an event cannot be taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotUndoable {
    /// What it says cannot be made not to have happened.
    Final {
        /// The type of the event.
        event_type: &'static str,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// It changed nothing.
    Nothing {
        /// The type of the event.
        event_type: &'static str,
    },
    /// What was the case before is not known.
    Unknown {
        /// The type of the event.
        event_type: &'static str,
    },
}

impl fmt::Display for NotUndoable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Final { event_type, why } => write!(f, "{event_type} cannot be undone: {why}"),
            Self::Nothing { event_type } => {
                write!(f, "{event_type} changed nothing, so there is nothing to undo")
            }
            Self::Unknown { event_type } => {
                write!(f, "{event_type} cannot be undone: what was before it is not known")
            }
        }
    }
}

impl std::error::Error for NotUndoable {}

impl From<NotUndoable> for cim_nix_base::Error {
    fn from(reason: NotUndoable) -> Self {
        Self::user(reason.to_string())
    }
}

/// Whether an event can be taken back at all.
///
/// Errors: why not.
pub fn is_undoable(event: &Event) -> Result<(), NotUndoable> {
    let event_type = event.event_type();
    let why = match event {
        Event::PackageBuilt(_) => {
            "what was built stays in the store until it is collected as garbage"
        }
        Event::PackageCached(_) => "what was copied stays where it was copied to",
        Event::GarbageCollected(_) => "what was removed has to be built or fetched again",
        Event::PackageBuildFailed(_)
        | Event::ConfigurationActivationFailed(_)
        | Event::ProjectChecked(_)
        | Event::ExpressionEvaluated(_)
        | Event::FlakeObserved(_)
        | Event::ConfigurationObserved(_) => return Err(NotUndoable::Nothing { event_type }),
        Event::ConfigurationActivated(event) if event.activation_type == ActivationType::Test => {
            "it was a test, which ends when a generation is activated"
        }
        Event::ConfigurationActivated(event) if event.previous.is_none() => {
            "it was the first generation of its profile"
        }
        Event::ConfigurationRolledBack(event) if event.previous.is_none() => {
            return Err(NotUndoable::Unknown { event_type });
        }
        _ => return Ok(()),
    };
    Err(NotUndoable::Final { event_type, why })
}

/// The event that takes `event` back. `before` is the state of its aggregate in which it was decided
/// upon, and `changes` are what happens to files on the way back.
///
/// Errors: the event cannot be taken back.
pub fn undo(
    before: &State,
    event: &Event,
    changes: Vec<FileChange>,
    draft: &mut Draft<'_>,
) -> Result<Event, NotUndoable> {
    is_undoable(event)?;
    let event_type = event.event_type();
    let id = event.identity().message_id.uuid().ok_or(NotUndoable::Unknown { event_type })?;
    let back = match before {
        State::Flake(state) => state.undo(event, id, changes, draft),
        State::Module(state) => state.undo(event, id, changes, draft),
        State::Overlay(state) => state.undo(event, id, changes, draft),
        State::Configuration(state) => state.undo(event, id, changes, draft),
        State::Project(_) => Project::undo(event, id, changes, draft),
        State::Package(_) | State::Once(_) => None,
    };
    back.ok_or(NotUndoable::Unknown { event_type })
}

/// Which event is undone and redone next: what editors do with a stack.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct UndoStack {
    /// Events that can be taken back, the next one last.
    done: Vec<Uuid>,
    /// What was taken back and is not in force again, the last one last.
    undone: Vec<Undone>,
}

/// An event that was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Undone {
    /// The event that took it back, which can be taken back itself.
    undo: Uuid,
    /// What it took back.
    target: Uuid,
    /// Whether nothing else was done since: only then is a redo what people expect next.
    is_next: bool,
}

impl UndoStack {
    /// Takes the next event of a project in.
    pub fn push(&mut self, event: &Event) {
        let Some(id) = event.identity().message_id.uuid() else { return };
        if is_undoable(event).is_err() {
            return;
        }
        let Some(target) = event.undoes() else {
            self.done.push(id);
            self.undone.iter_mut().rev().map_while(Undone::leave_behind).for_each(drop);
            return;
        };
        // From the end, since the last one is what is nearly always meant.
        if let Some(at) = self.undone.iter().rposition(|undone| undone.undo == target) {
            // A redo: what was taken back is in force again, under the id of the redo, since that is
            // the event whose files are there now.
            self.undone.remove(at);
            self.done.push(id);
        } else {
            if let Some(at) = self.done.iter().rposition(|done| *done == target) {
                self.done.remove(at);
            }
            self.undone.push(Undone { undo: id, target, is_next: true });
        }
    }

    /// The event to undo next.
    #[must_use]
    pub fn next_undo(&self) -> Option<Uuid> {
        self.done.last().copied()
    }

    /// The event to take back to redo what was undone last.
    #[must_use]
    pub fn next_redo(&self) -> Option<Uuid> {
        self.undone.last().filter(|undone| undone.is_next).map(|undone| undone.undo)
    }

    /// Whether `event` is in force: it was not taken back.
    #[must_use]
    pub fn is_in_force(&self, event: Uuid) -> bool {
        self.done.contains(&event)
    }

    /// The undo that took `event` back, if it is still taken back.
    #[must_use]
    pub fn undone_by(&self, event: Uuid) -> Option<Uuid> {
        self.undone.iter().rev().find(|undone| undone.target == event).map(|undone| undone.undo)
    }
}

impl Undone {
    /// Something else was done since. `None` if that was known, and so is known of all before it.
    fn leave_behind(&mut self) -> Option<()> {
        std::mem::take(&mut self.is_next).then_some(())
    }
}
