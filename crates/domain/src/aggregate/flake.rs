//! A flake: what it says of itself, and which inputs it has.
//!
//! # States
//!
//! ```text
//! absent ──FlakeCreated, FlakeObserved──► present ──FlakeUpdated, FlakeInputAdded,
//!    ▲                                      │  ▲     FlakeInputRemoved, FlakeObserved
//!    └────────────FlakeDeleted──────────────┘  └──────────────┘
//! ```
//!
//! # Invariants
//!
//! * A flake is created where its folder has none, whatever the events say; it is changed where its
//!   folder has one, whoever made it.
//! * The inputs are those of `flake.nix` after each event: where a command finds others, an
//!   observation comes first, so that nothing is lost that somebody did by other means.
//! * An input is added if it is not there, and removed if it is. Adding one that is there as asked
//!   for gives no event; adding one that leads elsewhere is refused.

use std::collections::BTreeMap;

use cim_nix_model::is_flake_id;
use uuid::Uuid;

use crate::command::{AddFlakeInput, CreateFlake, RemoveFlakeInput, UpdateFlake};
use crate::event::{
    FlakeCreated, FlakeDeleted, FlakeInputAdded, FlakeInputRemoved, FlakeObserved, FlakeUpdated,
};
use crate::{
    Command, Decider, Draft, Event, Evidence, FileChange, FlakeFacts, Kind, LockChange, Rejection,
};

/// The flake of a folder, if there is one.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct Flake(pub Option<FlakeState>);

/// A flake that is there.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct FlakeState {
    /// Its id.
    pub id: Uuid,
    /// Its folder.
    pub path: String,
    /// What it says of itself.
    pub description: String,
    /// Its inputs.
    pub inputs: BTreeMap<String, String>,
}

/// What was found out for a command about a flake.
struct Change<'a> {
    before: Option<&'a FlakeFacts>,
    after: &'a FlakeFacts,
    locks: &'a [LockChange],
    changes: &'a [FileChange],
}

fn what(path: &str) -> String {
    format!("flake in `{path}`")
}

impl Decider for Flake {
    const KIND: Kind = Kind::Flake;

    fn decide(
        &self,
        command: &Command,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let Evidence::Flake { before, after, locks, changes } = evidence else {
            return Err(Rejection::Unfit { command: command.command_type() });
        };
        let change = Change { before: before.as_ref(), after, locks, changes };
        let id = command.stream().id;
        match command {
            Command::CreateFlake(command) => self.create(id, command, &change, draft),
            Command::UpdateFlake(command) => self.update(id, command, &change, draft),
            Command::AddFlakeInput(command) => self.add_input(id, command, &change, draft),
            Command::RemoveFlakeInput(command) => self.remove_input(id, command, &change, draft),
            _ => Err(Rejection::Unfit { command: command.command_type() }),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::FlakeCreated(event) => {
                self.0 = Some(FlakeState {
                    id: event.flake_id,
                    path: event.path.clone(),
                    description: event.description.clone(),
                    inputs: event.inputs.clone(),
                });
            }
            Event::FlakeObserved(event) => {
                self.0 = Some(FlakeState {
                    id: event.flake_id,
                    path: event.path.clone(),
                    description: event.description.clone(),
                    inputs: event.inputs.clone(),
                });
            }
            Event::FlakeUpdated(event) => {
                let state = self.present(event.flake_id, &event.path);
                if let Some(description) = &event.description {
                    state.description.clone_from(description);
                }
                if let Some(inputs) = &event.inputs {
                    state.inputs.clone_from(inputs);
                }
            }
            Event::FlakeInputAdded(event) => {
                let state = self.present(event.flake_id, &event.path);
                state.inputs.insert(event.input_name.clone(), event.input_url.clone());
                if let Some(inputs) = &event.inputs {
                    state.inputs.clone_from(inputs);
                }
            }
            Event::FlakeInputRemoved(event) => {
                let state = self.present(event.flake_id, &event.path);
                state.inputs.remove(&event.input_name);
                if let Some(inputs) = &event.inputs {
                    state.inputs.clone_from(inputs);
                }
            }
            Event::FlakeDeleted(_) => self.0 = None,
            _ => {}
        }
    }
}

/// Refuses names that Nix does not take for inputs.
fn check_input(name: &str) -> Result<(), Rejection> {
    match is_flake_id(name) {
        true => Ok(()),
        false => Err(Rejection::Invalid {
            what: "the name of an input".to_owned(),
            value: name.to_owned(),
            why: "Nix wants a letter, then letters, digits, `_` and `-`".to_owned(),
        }),
    }
}

/// All inputs after a change, if more than `name` changed.
fn others(change: &Change<'_>, name: &str) -> Option<BTreeMap<String, String>> {
    let rest = |facts: &FlakeFacts| {
        let mut inputs = facts.inputs.clone();
        inputs.remove(name);
        inputs
    };
    let before = change.before.map(rest).unwrap_or_default();
    (before != rest(change.after)).then(|| change.after.inputs.clone())
}

impl Flake {
    fn inputs(&self) -> BTreeMap<String, String> {
        self.0.as_ref().map(|state| state.inputs.clone()).unwrap_or_default()
    }

    /// The state; made up from an event where other services, which need not create a flake before
    /// they change it, wrote the first one.
    fn present(&mut self, id: Uuid, path: &str) -> &mut FlakeState {
        self.0.get_or_insert_with(|| FlakeState {
            id,
            path: path.to_owned(),
            description: String::new(),
            inputs: BTreeMap::new(),
        })
    }

    /// An observation, if the flake is other than the events say.
    fn observe(
        &self,
        id: Uuid,
        path: &str,
        change: &Change<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let before = change.before.ok_or_else(|| Rejection::NotFound { what: what(path) })?;
        let is_known = self.0.as_ref().is_some_and(|state| {
            state.inputs == before.inputs && state.description == before.description
        });
        if is_known {
            return Ok(Vec::new());
        }
        Ok(vec![
            FlakeObserved {
                flake_id: id,
                timestamp: draft.at,
                identity: draft.identity(),
                path: path.to_owned(),
                description: before.description.clone(),
                inputs: before.inputs.clone(),
                undoes: None,
                changes: Vec::new(),
            }
            .into(),
        ])
    }

    fn create(
        &self,
        id: Uuid,
        command: &CreateFlake,
        change: &Change<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        // What is on disk counts: a flake whose files somebody removed may be made again.
        if change.before.is_some() {
            return Err(Rejection::AlreadyExists { what: format!("the {}", what(&command.path)) });
        }
        Ok(vec![
            FlakeCreated {
                flake_id: id,
                timestamp: draft.at,
                identity: draft.identity(),
                path: command.path.clone(),
                description: change.after.description.clone(),
                template: command.template.clone(),
                inputs: change.after.inputs.clone(),
                undoes: None,
                changes: change.changes.to_vec(),
            }
            .into(),
        ])
    }

    fn update(
        &self,
        id: Uuid,
        command: &UpdateFlake,
        change: &Change<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let mut events = self.observe(id, &command.path, change, draft)?;
        let before = change.before.unwrap_or(change.after);
        // Where the files lie elsewhere, what the flake says may change all the same.
        if change.changes.is_empty() && before == change.after {
            return Ok(events);
        }
        let is_other = before.description != change.after.description;
        events.push(
            FlakeUpdated {
                flake_id: id,
                timestamp: draft.at,
                identity: draft.identity(),
                path: command.path.clone(),
                edit: command.edit.clone(),
                description: is_other.then(|| change.after.description.clone()),
                inputs: (before.inputs != change.after.inputs).then(|| change.after.inputs.clone()),
                locks: change.locks.to_vec(),
                undoes: None,
                changes: change.changes.to_vec(),
            }
            .into(),
        );
        Ok(events)
    }

    fn add_input(
        &self,
        id: Uuid,
        command: &AddFlakeInput,
        change: &Change<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        check_input(&command.name)?;
        let mut events = self.observe(id, &command.path, change, draft)?;
        let before = change.before.and_then(|before| before.inputs.get(&command.name));
        match (before, change.after.inputs.get(&command.name)) {
            (Some(before), Some(after)) if before != after => {
                let what = format!("the input `{}` (from {before})", command.name);
                return Err(Rejection::AlreadyExists { what });
            }
            // The lock file alone may have lacked it.
            (Some(_), Some(_)) if change.changes.is_empty() => return Ok(events),
            _ => {}
        }
        let url = change.after.inputs.get(&command.name).cloned();
        let url = url.ok_or(Rejection::Unfit { command: "AddFlakeInput" })?;
        events.push(
            FlakeInputAdded {
                flake_id: id,
                timestamp: draft.at,
                identity: draft.identity(),
                path: command.path.clone(),
                input_name: command.name.clone(),
                input_url: url,
                inputs: others(change, &command.name),
                locks: change.locks.to_vec(),
                undoes: None,
                changes: change.changes.to_vec(),
            }
            .into(),
        );
        Ok(events)
    }

    fn remove_input(
        &self,
        id: Uuid,
        command: &RemoveFlakeInput,
        change: &Change<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let mut events = self.observe(id, &command.path, change, draft)?;
        let is_there = |facts: &FlakeFacts| facts.inputs.contains_key(&command.name);
        if !change.before.is_some_and(is_there) {
            let what = format!("input `{}` of the {}", command.name, what(&command.path));
            return Err(Rejection::NotFound { what });
        }
        if is_there(change.after) {
            return Err(Rejection::Unfit { command: "RemoveFlakeInput" });
        }
        events.push(
            FlakeInputRemoved {
                flake_id: id,
                timestamp: draft.at,
                identity: draft.identity(),
                path: command.path.clone(),
                input_name: command.name.clone(),
                inputs: others(change, &command.name),
                locks: change.locks.to_vec(),
                undoes: None,
                changes: change.changes.to_vec(),
            }
            .into(),
        );
        Ok(events)
    }

    /// The event that takes `event` back, which was decided upon in this state.
    pub(crate) fn undo(
        &self,
        event: &Event,
        undoes: Uuid,
        changes: Vec<FileChange>,
        draft: &mut Draft<'_>,
    ) -> Option<Event> {
        let (timestamp, identity, undoes) = (draft.at, draft.identity(), Some(undoes));
        let locks = |locks: &[LockChange]| locks.iter().rev().map(LockChange::reversed).collect();
        Some(match event {
            Event::FlakeCreated(event) => FlakeDeleted {
                flake_id: event.flake_id,
                timestamp,
                identity,
                path: event.path.clone(),
                undoes,
                changes,
            }
            .into(),
            Event::FlakeDeleted(event) => {
                let state = self.0.as_ref()?;
                FlakeCreated {
                    flake_id: event.flake_id,
                    timestamp,
                    identity,
                    path: event.path.clone(),
                    description: state.description.clone(),
                    template: None,
                    inputs: state.inputs.clone(),
                    undoes,
                    changes,
                }
                .into()
            }
            Event::FlakeUpdated(event) => {
                let state = self.0.as_ref()?;
                FlakeUpdated {
                    flake_id: event.flake_id,
                    timestamp,
                    identity,
                    path: event.path.clone(),
                    edit: None,
                    description: event.description.as_ref().map(|_| state.description.clone()),
                    inputs: event.inputs.as_ref().map(|_| state.inputs.clone()),
                    locks: locks(&event.locks),
                    undoes,
                    changes,
                }
                .into()
            }
            Event::FlakeInputAdded(event) => match self.0.as_ref()?.inputs.get(&event.input_name) {
                // It was there, and its lock was lacking, or what it follows.
                Some(_) => FlakeUpdated {
                    flake_id: event.flake_id,
                    timestamp,
                    identity,
                    path: event.path.clone(),
                    edit: None,
                    description: None,
                    inputs: event.inputs.as_ref().map(|_| self.inputs()),
                    locks: locks(&event.locks),
                    undoes,
                    changes,
                }
                .into(),
                None => FlakeInputRemoved {
                    flake_id: event.flake_id,
                    timestamp,
                    identity,
                    path: event.path.clone(),
                    input_name: event.input_name.clone(),
                    inputs: event.inputs.as_ref().map(|_| self.inputs()),
                    locks: locks(&event.locks),
                    undoes,
                    changes,
                }
                .into(),
            },
            Event::FlakeInputRemoved(event) => FlakeInputAdded {
                flake_id: event.flake_id,
                timestamp,
                identity,
                path: event.path.clone(),
                input_name: event.input_name.clone(),
                input_url: self.0.as_ref()?.inputs.get(&event.input_name)?.clone(),
                inputs: event.inputs.as_ref().map(|_| self.inputs()),
                locks: locks(&event.locks),
                undoes,
                changes,
            }
            .into(),
            _ => return None,
        })
    }
}
