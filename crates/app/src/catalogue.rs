//! Commands where there are no files: what they say is written down, and nothing else happens.
//!
//! A service may keep the record of flakes, modules, overlays and configurations whose files lie
//! elsewhere. What was found out for a command is then what the events say.

use std::collections::BTreeMap;
use std::path::Path;

use cim_domain_nix::{
    Command, Configuration, Draft, Evidence, FileChange, Flake, FlakeEdit, FlakeFacts, Kind,
    Module, OverlayAggregate, State,
};
use cim_nix_base::{ChangeSet, Error, FileMode, Ledger};

use crate::change::Change;
use crate::{App, Mode, Outcome, Settled, Workspace};

/// The files of a project that has none here.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoFiles;

impl Workspace for NoFiles {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn read(&self, _: &Path) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn mode(&self, _: &Path) -> Result<Option<FileMode>, Error> {
        Ok(None)
    }

    fn apply(&self, _: &ChangeSet, _: &str, _: &mut dyn Ledger) -> Result<Vec<String>, Error> {
        Err(no_files())
    }

    fn recover(&self, _: &dyn Ledger) -> Result<Option<Settled>, Error> {
        Ok(None)
    }
}

fn no_files() -> Error {
    Error::user("there are no files here that a command could change")
        .hint("it is a catalogue: it keeps what commands say, and the files lie elsewhere")
}

impl App<'_> {
    /// Writes down what a command says.
    ///
    /// Errors: the domain refuses it, or it makes sense with files only. Nothing has changed then.
    pub fn catalogue(&self, command: &Command, mode: Mode) -> Result<Outcome, Error> {
        check_folder(command)?;
        // What is the case is what the state says that is decided upon, whoever was faster.
        let decide = |state: &State, _: &[FileChange], draft: &mut Draft<'_>| {
            Ok(state.decide(command, &said(command, state)?, draft)?)
        };
        let what = Change {
            stream: command.stream(),
            cause: command.identity().clone(),
            command_type: command.command_type(),
            set: ChangeSet::default(),
            notes: Vec::new(),
        };
        self.make(what, &decide, mode)
    }
}

/// Refuses names of folders that could not be those of projects. Nothing is looked for there, but
/// whoever reads the events may.
fn check_folder(command: &Command) -> Result<(), Error> {
    let folder = match command {
        Command::CreateFlake(it) => &it.path,
        Command::UpdateFlake(it) => &it.path,
        Command::AddFlakeInput(it) => &it.path,
        Command::RemoveFlakeInput(it) => &it.path,
        Command::CreateModule(it) => &it.project,
        Command::UpdateModule(it) => &it.project,
        Command::DeleteModule(it) => &it.project,
        Command::CreateOverlay(it) => &it.project,
        Command::UpdateOverlay(it) => &it.project,
        Command::DeleteOverlay(it) => &it.project,
        Command::CreateConfiguration(it) => &it.project,
        Command::UpdateConfiguration(it) => &it.project,
        _ => return Ok(()),
    };
    let is_plain =
        |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    let is_good = match folder.strip_prefix('/') {
        Some(below) => below.is_empty() || below.split('/').all(is_plain),
        // The project of a catalogue need not have a name.
        None => folder.is_empty() && !is_about_a_flake(command),
    };
    match is_good && folder.len() <= 4_096 {
        true => Ok(()),
        false => Err(Error::user(format!(
            "`{}` cannot be the folder of a project",
            folder.chars().take(100).collect::<String>().escape_debug()
        ))
        .hint("folders are named from the root, without `.` and `..`")),
    }
}

fn is_about_a_flake(command: &Command) -> bool {
    command.kind() == Kind::Flake
}

/// What is the case before and after a command, as the events have it.
fn said(command: &Command, state: &State) -> Result<Evidence, Error> {
    let is_there = match state {
        State::Module(Module(module)) => module.is_some(),
        State::Overlay(OverlayAggregate(overlay)) => overlay.is_some(),
        State::Configuration(Configuration(Some(state))) => state.said.is_some(),
        State::Flake(flake) => return facts(command, flake),
        _ => false,
    };
    match command {
        Command::CreateModule(_)
        | Command::UpdateModule(_)
        | Command::DeleteModule(_)
        | Command::CreateOverlay(_)
        | Command::UpdateOverlay(_)
        | Command::DeleteOverlay(_)
        | Command::CreateConfiguration(_)
        | Command::UpdateConfiguration(_) => Ok(Evidence::Files { is_there, changes: Vec::new() }),
        _ => Err(no_files()),
    }
}

fn facts(command: &Command, flake: &Flake) -> Result<Evidence, Error> {
    let before = flake.0.as_ref().map(|flake| FlakeFacts {
        description: flake.description.clone(),
        inputs: flake.inputs.clone(),
    });
    let mut after = before.clone().unwrap_or_default();
    match command {
        Command::CreateFlake(it) if it.template.is_some() => return Err(no_files()),
        Command::CreateFlake(it) => {
            after = FlakeFacts { description: it.description.clone(), inputs: BTreeMap::new() };
        }
        Command::AddFlakeInput(it) => {
            // One that leads elsewhere is refused, so the present one is not written over.
            after.inputs.insert(it.name.clone(), it.url.clone());
            for (input, target) in &it.follows {
                after.inputs.insert(format!("{}/{input}", it.name), format!("follows:{target}"));
            }
        }
        Command::RemoveFlakeInput(it) => {
            let below = format!("{}/", it.name);
            after.inputs.retain(|name, _| *name != it.name && !name.starts_with(&below));
        }
        Command::UpdateFlake(it) => edit(it.edit.as_ref(), &mut after)?,
        _ => return Err(no_files()),
    }
    Ok(Evidence::Flake { before, after, locks: Vec::new(), changes: Vec::new() })
}

fn edit(edit: Option<&FlakeEdit>, facts: &mut FlakeFacts) -> Result<(), Error> {
    let missing = |name: &str| Error::user(format!("there is no input `{}`", name.escape_debug()));
    match edit {
        Some(FlakeEdit::SetDescription { description }) => {
            facts.description.clone_from(description);
        }
        Some(FlakeEdit::RetargetInput { name, url }) => {
            *facts.inputs.get_mut(name).ok_or_else(|| missing(name))? = url.clone();
        }
        Some(FlakeEdit::RenameInput { from, to, .. }) => {
            if facts.inputs.contains_key(to) {
                return Err(Error::user(format!(
                    "there is an input `{}` already",
                    to.escape_debug()
                )));
            }
            let url = facts.inputs.remove(from).ok_or_else(|| missing(from))?;
            facts.inputs.insert(to.clone(), url);
        }
        Some(FlakeEdit::SetFollows { input, target }) => {
            facts.inputs.insert(input.clone(), format!("follows:{target}"));
        }
        Some(FlakeEdit::RemoveFollows { input }) => {
            facts.inputs.remove(input).ok_or_else(|| missing(input))?;
        }
        _ => return Err(no_files()),
    }
    Ok(())
}
