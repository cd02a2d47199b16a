//! Any command, for whoever takes them from others: which handler runs it.

use std::path::{Path, PathBuf};

use cim_domain_nix::{Command, ConfigurationKind, Evidence, FileChange, ModuleClass};
use cim_nix_base::{Error, Op};

use crate::{App, Listing, Mode, Outcome, Proposal, Tools};

impl App<'_> {
    /// Runs any command of the domain on the project's files.
    ///
    /// Errors: those of its handler. Nothing has changed then.
    pub fn run(&self, command: &Command, tools: &dyn Tools, mode: Mode) -> Result<Outcome, Error> {
        let mut outcome = self.run_only(command, tools, mode)?;
        let made = outcome.set.changes.iter().filter(|it| matches!(it.op, Op::Create { .. }));
        let made: Vec<PathBuf> = made.map(|change| change.path.clone()).collect();
        // The change is made and recorded; that the repository does not know of it is worth a note.
        if outcome.position.is_some()
            && !made.is_empty()
            && let Err(error) = tools.announce(&made)
        {
            outcome
                .notes
                .push(format!("the repository was not told of new files: {}", error.chain()));
        }
        Ok(outcome)
    }

    fn run_only(&self, command: &Command, tools: &dyn Tools, mode: Mode) -> Result<Outcome, Error> {
        match command {
            Command::CreateFlake(it) => {
                let folder = self.below(Path::new(&it.path))?;
                let set = tools.files(&folder, it.template.as_deref(), &it.description)?;
                self.create_flake(command, set, mode)
            }
            Command::UpdateFlake(_) | Command::AddFlakeInput(_) | Command::RemoveFlakeInput(_) => {
                self.flake(command, tools, mode)
            }
            Command::CreateModule(_)
            | Command::UpdateModule(_)
            | Command::DeleteModule(_)
            | Command::CreateOverlay(_)
            | Command::UpdateOverlay(_)
            | Command::DeleteOverlay(_) => {
                self.author(command, Listing::Output(ModuleClass::Nixos), tools, mode)
            }
            Command::CreateConfiguration(it) => {
                self.author(command, listing(it.configuration.kind), tools, mode)
            }
            Command::UpdateConfiguration(it) => {
                self.author(command, listing(it.configuration.kind), tools, mode)
            }
            Command::BuildPackage(_)
            | Command::CachePackage(_)
            | Command::ActivateConfiguration(_)
            | Command::RollbackConfiguration(_)
            | Command::EvaluateExpression(_)
            | Command::RunGarbageCollection(_) => self.effect(command, mode),
            Command::RenameSymbol(_) => self.rename(command, mode),
            Command::CheckFlake(_) | Command::FixProject(_) | Command::FormatProject(_) => {
                let work = tools.work(command)?;
                let found = work.evidence;
                let evidence = move |changes| with_changes(found.clone(), changes);
                let evidence = Box::new(evidence);
                self.change(command, Proposal { set: work.set, evidence, notes: work.notes }, mode)
            }
        }
    }
}

fn listing(kind: ConfigurationKind) -> Listing {
    Listing::Output(match kind {
        ConfigurationKind::Nixos => ModuleClass::Nixos,
        ConfigurationKind::Home => ModuleClass::Home,
    })
}

/// What was found out, with the changes as events write them.
fn with_changes(mut evidence: Evidence, new: Vec<FileChange>) -> Evidence {
    match &mut evidence {
        Evidence::Flake { changes, .. }
        | Evidence::Files { changes, .. }
        | Evidence::Fixed { changes, .. }
        | Evidence::Formatted { changes, .. }
        | Evidence::Renamed { changes, .. } => *changes = new,
        _ => {}
    }
    evidence
}
