//! The code of a project: checks, fixes, formatting and renames.
//!
//! # States
//!
//! There is one: a project is always there. It counts what was done and remembers what the last
//! check found.
//!
//! # Invariants
//!
//! * A command that changes no file gives no event, but for a check, which is an event itself.
//! * Each event that changes files names each of them with its hash before and after.

use uuid::Uuid;

use crate::event::{
    ProjectChecked, ProjectFixed, ProjectFormatted, ProjectReverted, SymbolRenamed,
};
use crate::{Command, Decider, Draft, Event, Evidence, FileChange, Findings, Kind, Rejection};

/// What was done to the code of a project.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct Project {
    /// What the last check found.
    pub findings: Option<Findings>,
    /// How many changes were made, those that were taken back included.
    pub n_changes: u64,
}

impl Decider for Project {
    const KIND: Kind = Kind::Project;

    fn decide(
        &self,
        command: &Command,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let project_id = command.stream().id;
        let timestamp = draft.at;
        let event: Event = match (command, evidence) {
            (Command::CheckFlake(command), Evidence::Checked { files, findings }) => {
                ProjectChecked {
                    project_id,
                    timestamp,
                    identity: draft.identity(),
                    path: command.path.clone(),
                    files: *files,
                    findings: findings.clone(),
                    undoes: None,
                    changes: Vec::new(),
                }
                .into()
            }
            (Command::FixProject(_), Evidence::Fixed { changes, .. })
            | (Command::FormatProject(_), Evidence::Formatted { changes, .. })
            | (Command::RenameSymbol(_), Evidence::Renamed { changes, .. })
                if changes.is_empty() =>
            {
                return Ok(Vec::new());
            }
            (Command::FixProject(command), Evidence::Fixed { fixes, changes }) => ProjectFixed {
                project_id,
                timestamp,
                identity: draft.identity(),
                path: command.path.clone(),
                fixes: fixes.clone(),
                undoes: None,
                changes: changes.clone(),
            }
            .into(),
            (Command::FormatProject(command), Evidence::Formatted { formatter, changes }) => {
                ProjectFormatted {
                    project_id,
                    timestamp,
                    identity: draft.identity(),
                    path: command.path.clone(),
                    formatter: formatter.clone(),
                    undoes: None,
                    changes: changes.clone(),
                }
                .into()
            }
            (Command::RenameSymbol(command), Evidence::Renamed { from, changes }) => {
                SymbolRenamed {
                    project_id,
                    timestamp,
                    identity: draft.identity(),
                    path: command.path.clone(),
                    file: command.file.clone(),
                    from: from.clone(),
                    to: command.to.clone(),
                    undoes: None,
                    changes: changes.clone(),
                }
                .into()
            }
            _ => return Err(Rejection::Unfit { command: command.command_type() }),
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::ProjectChecked(event) => self.findings = Some(event.findings.clone()),
            Event::ProjectFixed(_)
            | Event::ProjectFormatted(_)
            | Event::SymbolRenamed(_)
            | Event::ProjectReverted(_) => self.n_changes += 1,
            _ => {}
        }
    }
}

impl Project {
    /// The event that takes `event` back.
    pub(crate) fn undo(
        event: &Event,
        undoes: Uuid,
        changes: Vec<FileChange>,
        draft: &mut Draft<'_>,
    ) -> Option<Event> {
        let (project_id, path, title) = match event {
            Event::ProjectFixed(event) => {
                let rules: Vec<_> = event.fixes.keys().map(String::as_str).collect();
                (event.project_id, &event.path, format!("fix {}", rules.join(", ")))
            }
            Event::ProjectFormatted(event) => {
                (event.project_id, &event.path, format!("format with {}", event.formatter))
            }
            Event::SymbolRenamed(event) => (
                event.project_id,
                &event.path,
                format!("rename `{}` to `{}`", event.from, event.to),
            ),
            Event::ProjectReverted(event) => {
                (event.project_id, &event.path, format!("revert \"{}\"", event.title))
            }
            _ => return None,
        };
        Some(
            ProjectReverted {
                project_id,
                timestamp: draft.at,
                identity: draft.identity(),
                path: path.clone(),
                title,
                undoes: Some(undoes),
                changes,
            }
            .into(),
        )
    }
}
