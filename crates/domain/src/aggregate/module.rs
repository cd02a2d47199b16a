//! A module of a project, with its file.
//!
//! # States
//!
//! ```text
//! absent ──ModuleCreated──► present ──ModuleUpdated──► present
//!    ▲                       │
//!    └──────ModuleDeleted────────┘
//! ```
//!
//! # Invariants
//!
//! * Its name and its file fit; a file never leads out of the project.
//! * It is made where its file is not there yet, whatever the events say, so that nothing is
//!   overwritten that somebody wrote by other means.
//! * It is changed where its file is there: one that nobody made here may be changed as well.
//! * An update that changes nothing gives no event. Moving it to another file is not an update.

use uuid::Uuid;

use crate::decide::{check_file, check_name, check_value};
use crate::event::{ModuleCreated, ModuleDeleted, ModuleUpdated};
use crate::{Command, Decider, Draft, Event, Evidence, FileChange, Kind, NixModule, Rejection};

/// The module with a name, if there is one.
#[derive(Clone, PartialEq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct Module(pub Option<NixModule>);

/// The file of a module whose command names none.
#[must_use]
pub fn module_file(name: &str) -> String {
    format!("modules/{name}.nix")
}

fn what(name: &str) -> String {
    format!("module `{name}`")
}

impl Decider for Module {
    const KIND: Kind = Kind::Module;

    fn decide(
        &self,
        command: &Command,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let Evidence::Files { is_there, changes } = evidence else {
            return Err(Rejection::Unfit { command: command.command_type() });
        };
        let id = command.stream().id;
        let event = match command {
            Command::CreateModule(command) => {
                if *is_there {
                    return Err(Rejection::AlreadyExists {
                        what: format!("the {}", what(&command.name)),
                    });
                }
                let module = self.complete(id, &command.name, &command.module)?;
                ModuleCreated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    module,
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            Command::UpdateModule(command) => {
                if !*is_there {
                    return Err(Rejection::NotFound { what: what(&command.name) });
                }
                let module = self.complete(id, &command.name, &command.module)?;
                if changes.is_empty() && self.0.as_ref() == Some(&module) {
                    return Ok(Vec::new());
                }
                ModuleUpdated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    module,
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            Command::DeleteModule(command) => {
                check_name("the name of a module", &command.name)?;
                if !*is_there && self.0.is_none() {
                    return Err(Rejection::NotFound { what: what(&command.name) });
                }
                ModuleDeleted {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    module_id: id,
                    name: command.name.clone(),
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            _ => return Err(Rejection::Unfit { command: command.command_type() }),
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::ModuleCreated(event) => self.0 = Some(event.module.clone()),
            Event::ModuleUpdated(event) => self.0 = Some(event.module.clone()),
            Event::ModuleDeleted(_) => self.0 = None,
            _ => {}
        }
    }
}

impl Module {
    /// What a command says, with what it may leave out.
    fn complete(&self, id: Uuid, name: &str, said: &NixModule) -> Result<NixModule, Rejection> {
        check_name("the name of a module", name)?;
        check_value("a value that a module sets", "config", &said.config)?;
        for (option, said) in &said.options {
            for value in said.default.iter().chain(&said.example) {
                check_value("an option of a module", option, value)?;
            }
        }
        let mut module = said.clone();
        module.id = id;
        module.name = name.to_owned();
        if module.file.is_empty() {
            module.file = match &self.0 {
                Some(known) => known.file.clone(),
                None => module_file(name),
            };
        }
        check_file("the file of a module", &module.file)?;
        match &self.0 {
            Some(known) if known.file != module.file => Err(Rejection::Invalid {
                what: format!("the file of {}", what(name)),
                value: module.file,
                why: format!("it is in `{}`", known.file),
            }),
            _ => Ok(module),
        }
    }

    /// The event that takes `event` back, which was decided upon in this state.
    pub(crate) fn undo(
        &self,
        event: &Event,
        undoes: Uuid,
        changes: Vec<FileChange>,
        draft: &mut Draft<'_>,
    ) -> Option<Event> {
        let (event_id, occurred_at, undoes) = (Uuid::nil(), draft.at, Some(undoes));
        let deleted = |project: &str, module: &NixModule, identity, changes| {
            ModuleDeleted {
                event_id,
                occurred_at,
                identity,
                project: project.to_owned(),
                module_id: module.id,
                name: module.name.clone(),
                undoes,
                changes,
            }
            .named()
        };
        let identity = draft.identity();
        Some(match (event, &self.0) {
            (Event::ModuleCreated(event), _) => {
                deleted(&event.project, &event.module, identity, changes)
            }
            // One that nobody made here: what it was is known to its file alone.
            (Event::ModuleUpdated(event), None) => ModuleUpdated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                module: event.module.clone(),
                undoes,
                changes,
            }
            .named(),
            (Event::ModuleUpdated(event), Some(before)) => ModuleUpdated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                module: before.clone(),
                undoes,
                changes,
            }
            .named(),
            (Event::ModuleDeleted(event), before) => ModuleCreated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                module: before.clone().unwrap_or_else(|| {
                    let file = event.changes.first().map(|change| change.path.clone());
                    NixModule::unknown(event.module_id, &event.name, file.unwrap_or_default())
                }),
                undoes,
                changes,
            }
            .named(),
            _ => return None,
        })
    }
}
