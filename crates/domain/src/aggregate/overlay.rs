//! An overlay of a project, with its file.
//!
//! # States
//!
//! ```text
//! absent ──OverlayCreated──► present ──OverlayUpdated──► present
//!    ▲                       │
//!    └──────OverlayDeleted────────┘
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

use crate::decide::{check_file, check_name};
use crate::event::{OverlayCreated, OverlayDeleted, OverlayUpdated};
use crate::{Command, Decider, Draft, Event, Evidence, FileChange, Kind, Overlay, Rejection};

/// The overlay with a name, if there is one.
#[derive(Clone, PartialEq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct OverlayAggregate(pub Option<Overlay>);

/// The file of a overlay whose command names none.
#[must_use]
pub fn overlay_file(name: &str) -> String {
    format!("overlays/{name}.nix")
}

fn what(name: &str) -> String {
    format!("overlay `{name}`")
}

impl Decider for OverlayAggregate {
    const KIND: Kind = Kind::Overlay;

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
            Command::CreateOverlay(command) => {
                if *is_there {
                    return Err(Rejection::AlreadyExists {
                        what: format!("the {}", what(&command.name)),
                    });
                }
                let overlay = self.complete(id, &command.name, &command.overlay)?;
                OverlayCreated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    overlay,
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            Command::UpdateOverlay(command) => {
                if !*is_there {
                    return Err(Rejection::NotFound { what: what(&command.name) });
                }
                let overlay = self.complete(id, &command.name, &command.overlay)?;
                if changes.is_empty() && self.0.as_ref() == Some(&overlay) {
                    return Ok(Vec::new());
                }
                OverlayUpdated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    overlay,
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            Command::DeleteOverlay(command) => {
                check_name("the name of an overlay", &command.name)?;
                if !*is_there && self.0.is_none() {
                    return Err(Rejection::NotFound { what: what(&command.name) });
                }
                OverlayDeleted {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    overlay_id: id,
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
            Event::OverlayCreated(event) => self.0 = Some(event.overlay.clone()),
            Event::OverlayUpdated(event) => self.0 = Some(event.overlay.clone()),
            Event::OverlayDeleted(_) => self.0 = None,
            _ => {}
        }
    }
}

impl OverlayAggregate {
    /// What a command says, with what it may leave out.
    fn complete(&self, id: Uuid, name: &str, said: &Overlay) -> Result<Overlay, Rejection> {
        check_name("the name of an overlay", name)?;
        let mut overlay = said.clone();
        overlay.id = id;
        overlay.name = name.to_owned();
        if overlay.file.is_empty() {
            overlay.file = match &self.0 {
                Some(known) => known.file.clone(),
                None => overlay_file(name),
            };
        }
        check_file("the file of an overlay", &overlay.file)?;
        match &self.0 {
            Some(known) if known.file != overlay.file => Err(Rejection::Invalid {
                what: format!("the file of {}", what(name)),
                value: overlay.file,
                why: format!("it is in `{}`", known.file),
            }),
            _ => Ok(overlay),
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
        let deleted = |project: &str, overlay: &Overlay, identity, changes| {
            OverlayDeleted {
                event_id,
                occurred_at,
                identity,
                project: project.to_owned(),
                overlay_id: overlay.id,
                name: overlay.name.clone(),
                undoes,
                changes,
            }
            .named()
        };
        let identity = draft.identity();
        Some(match (event, &self.0) {
            (Event::OverlayCreated(event), _) => {
                deleted(&event.project, &event.overlay, identity, changes)
            }
            // One that nobody made here: what it was is known to its file alone.
            (Event::OverlayUpdated(event), None) => OverlayUpdated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                overlay: event.overlay.clone(),
                undoes,
                changes,
            }
            .named(),
            (Event::OverlayUpdated(event), Some(before)) => OverlayUpdated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                overlay: before.clone(),
                undoes,
                changes,
            }
            .named(),
            (Event::OverlayDeleted(event), before) => OverlayCreated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                overlay: before.clone().unwrap_or_else(|| {
                    let file = event.changes.first().map(|change| change.path.clone());
                    Overlay::unknown(event.overlay_id, &event.name, file.unwrap_or_default())
                }),
                undoes,
                changes,
            }
            .named(),
            _ => return None,
        })
    }
}
