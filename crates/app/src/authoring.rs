//! Commands about modules, overlays and configurations: the file of each, and the attribute of the
//! flake that hands it on, change together.
//!
//! A file is written where none was, and is changed or removed only while it is what commands made
//! it: what somebody wrote by hand is shown and left alone.

mod listing;
mod users;

use std::path::{Path, PathBuf};

use cim_domain_nix::{
    Command, Draft, Event, Evidence, FileChange, ModuleClass, NixOSConfiguration, Overlay, State,
    StreamId, Uuid,
};
use cim_nix_base::{ChangeSet, ContentHash, Error, Op, unified_diff};

use crate::render::{Rendered, in_our_style, render_configuration, render_module, render_overlay};
use crate::{App, Mode, Outcome, Proposal, Sources};

/// Whether, and as what, a flake hands on what is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    /// `flake.nix` stays as it is.
    None,
    /// It is an output: a module of this class, an overlay, a configuration.
    Output(ModuleClass),
}

/// What a command makes of a thing.
#[derive(Clone, Debug)]
enum Thing {
    Module(cim_domain_nix::NixModule),
    Overlay(Overlay),
    Configuration(NixOSConfiguration),
}

impl Thing {
    fn file(&self) -> &str {
        match self {
            Self::Module(module) => &module.file,
            Self::Overlay(overlay) => &overlay.file,
            Self::Configuration(configuration) => &configuration.path,
        }
    }

    fn render(&self) -> Result<Rendered, Error> {
        match self {
            Self::Module(module) => render_module(module),
            Self::Overlay(overlay) => render_overlay(overlay),
            Self::Configuration(configuration) => render_configuration(configuration),
        }
    }

    /// What a state holds, if it says all of it.
    fn of_state(state: &State) -> Option<Self> {
        match state {
            State::Module(state) => state.0.clone().map(Self::Module),
            State::Overlay(state) => state.0.clone().map(Self::Overlay),
            State::Configuration(state) => {
                state.0.as_ref().and_then(|state| state.said.clone()).map(Self::Configuration)
            }
            _ => None,
        }
    }

    /// What an event says that it is now.
    fn of_event(event: &Event) -> Option<Self> {
        match event {
            Event::ModuleCreated(event) => Some(Self::Module(event.module.clone())),
            Event::ModuleUpdated(event) => Some(Self::Module(event.module.clone())),
            Event::OverlayCreated(event) => Some(Self::Overlay(event.overlay.clone())),
            Event::OverlayUpdated(event) => Some(Self::Overlay(event.overlay.clone())),
            Event::ConfigurationCreated(event) => {
                Some(Self::Configuration(event.configuration.clone()))
            }
            Event::ConfigurationUpdated(event) => {
                Some(Self::Configuration(event.configuration.clone()))
            }
            _ => None,
        }
    }
}

/// What a command is about, in its parts.
struct Asked<'c> {
    project: &'c str,
    name: &'c str,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Create,
    Update,
    Delete,
}

impl<'c> Asked<'c> {
    fn of(command: &'c Command) -> Result<Self, Error> {
        use Action::{Create, Delete, Update};
        let (project, name, action) = match command {
            Command::CreateModule(it) => (&it.project, &it.name, Create),
            Command::UpdateModule(it) => (&it.project, &it.name, Update),
            Command::DeleteModule(it) => (&it.project, &it.name, Delete),
            Command::CreateOverlay(it) => (&it.project, &it.name, Create),
            Command::UpdateOverlay(it) => (&it.project, &it.name, Update),
            Command::DeleteOverlay(it) => (&it.project, &it.name, Delete),
            Command::CreateConfiguration(it) => (&it.project, &it.name, Create),
            Command::UpdateConfiguration(it) => (&it.project, &it.name, Update),
            _ => return Err(Error::bug(format!("{} writes no file", command.command_type()))),
        };
        Ok(Self { project, name, action })
    }
}

impl App<'_> {
    /// Runs a command that makes, changes or removes a module, an overlay or a configuration.
    ///
    /// Errors: it is refused; code in it is no code; the file was written or changed by others; or
    /// other files need what is to be removed. Nothing has changed then.
    pub fn author(
        &self,
        command: &Command,
        listing: Listing,
        sources: &dyn Sources,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let asked = Asked::of(command)?;
        let folder = self.project_folder(asked.project)?;
        let stream = command.stream();
        let (state, _) = self.load(&stream)?;
        let old = Thing::of_state(&state);
        let is_there = |thing: &Thing| -> Result<(PathBuf, Option<String>), Error> {
            let file = folder.join(thing.file());
            let text = self.files.read(&file)?;
            Ok((file, text))
        };
        let mut draft = Pending::new(command, &folder);
        match asked.action {
            Action::Create => {
                let new = self.presumed(command, &state)?;
                let rendered = new.render()?;
                let (file, text) = is_there(&new)?;
                if text.is_some() {
                    draft.is_there = true;
                    let refused = |error: Error| {
                        error.hint(format!("`{}` is there, and stays as it is", file.display()))
                    };
                    return self.finish(command, draft, mode).map_err(refused);
                }
                draft.set.create(&file, rendered.text.clone());
                let is_handed_in = match listing {
                    Listing::None => false,
                    Listing::Output(class) => {
                        self.list(&mut draft, asked.name, &new, &rendered, class)?
                    }
                };
                if !is_handed_in {
                    draft.notes.extend(rendered.notes);
                }
            }
            Action::Update => {
                let new = self.presumed(command, &state)?;
                let (file, text) = is_there(&new)?;
                if let Some(text) = text {
                    draft.is_there = true;
                    let rendered = new.render()?;
                    self.check_ours(&stream, &file, &text, old.as_ref())?;
                    draft.write(&file, &text, &rendered.text);
                    let is_handed_in = match (listing, &old) {
                        (Listing::Output(_), Some(old)) => {
                            self.list_anew(&mut draft, asked.name, old, &new, &rendered)?
                        }
                        _ => false,
                    };
                    if !is_handed_in {
                        draft.notes.extend(rendered.notes);
                    }
                }
            }
            Action::Delete => {
                self.check_name(command, &state)?;
                if let Some(old) = &old {
                    let (file, text) = is_there(old)?;
                    if let Some(text) = text {
                        draft.is_there = true;
                        self.check_ours(&stream, &file, &text, Some(old))?;
                        draft.remove(&file, &text);
                    }
                    self.unlist(&mut draft, asked.name, old)?;
                    self.check_unused(&draft, &file, sources)?;
                }
            }
        }
        self.finish(command, draft, mode)
    }

    fn finish(&self, command: &Command, draft: Pending, mode: Mode) -> Result<Outcome, Error> {
        let is_there = draft.is_there;
        let evidence = move |changes: Vec<FileChange>| Evidence::Files { is_there, changes };
        let proposal =
            Proposal { set: draft.set, evidence: Box::new(evidence), notes: draft.notes };
        self.change(command, proposal, mode)
    }

    /// The folder of a command's project, below that of all files.
    fn project_folder(&self, project: &str) -> Result<PathBuf, Error> {
        match project {
            "" => Ok(PathBuf::new()),
            project => self.below(Path::new(project)),
        }
    }

    /// What the domain makes of a command, presumed that its file is as it has to be: names and
    /// paths are checked, and what was left out is there.
    fn presumed(&self, command: &Command, state: &State) -> Result<Thing, Error> {
        let is_there = matches!(
            command,
            Command::UpdateModule(_) | Command::UpdateOverlay(_) | Command::UpdateConfiguration(_)
        );
        let events = self.decide_dry(command, state, is_there)?;
        let thing = events.iter().find_map(Thing::of_event).or_else(|| Thing::of_state(state));
        let thing = thing.ok_or_else(|| {
            Error::bug(format!("{} says nothing of what it makes", command.command_type()))
        })?;
        check_is_code(thing.file())?;
        Ok(thing)
    }

    /// Errors: the name cannot be.
    fn check_name(&self, command: &Command, state: &State) -> Result<(), Error> {
        self.decide_dry(command, state, true).map(|_| ())
    }

    fn decide_dry(
        &self,
        command: &Command,
        state: &State,
        is_there: bool,
    ) -> Result<Vec<Event>, Error> {
        let evidence = Evidence::Files { is_there, changes: Vec::new() };
        // What is decided here is never stored.
        let mut new_id = Uuid::nil;
        let mut draft =
            Draft { cause: command.identity(), at: self.world.now(), new_id: &mut new_id };
        Ok(state.decide(command, &evidence, &mut draft)?)
    }

    /// Refuses to touch a file that is not what commands made it.
    fn check_ours(
        &self,
        stream: &StreamId,
        file: &Path,
        text: &str,
        old: Option<&Thing>,
    ) -> Result<(), Error> {
        let shown = file.display();
        let Some(old) = old else {
            return Err(Error::conflict(format!("`{shown}` was not written by a command")).hint(
                "nothing here knows what it says: change it by hand, or move it away first",
            ));
        };
        let hash = ContentHash::of(text.as_bytes());
        if self.last_written(stream, file)? == Some(hash) {
            return Ok(());
        }
        let rendered = old.render()?.text;
        // Another formatter may have laid it out.
        if text == rendered || in_our_style(text).is_some_and(|styled| styled == rendered) {
            return Ok(());
        }
        let diff = unified_diff("as commands made it", "on disk", &rendered, text);
        Err(Error::conflict(format!("`{shown}` was changed by hand since a command wrote it"))
            .hint(format!("it is left as it is; this is the difference:\n{}", diff.trim_end()))
            .hint("go on by hand, or put the file back to what commands made it"))
    }

    /// The hash of what the events of a stream wrote last into a file.
    fn last_written(&self, stream: &StreamId, file: &Path) -> Result<Option<ContentHash>, Error> {
        let mut last = None;
        self.store.read_stream(stream, 0, &mut |record| {
            if let Ok(event) = Event::read(record.event_type, record.schema, record.body) {
                let of_file = |change: &&FileChange| Path::new(&change.path) == file;
                if let Some(change) = event.changes().iter().rev().find(of_file) {
                    last = change.after;
                }
            }
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(last)
    }
}

/// Refuses files that hold no code of the project, or another kind of it.
fn check_is_code(file: &str) -> Result<(), Error> {
    let why = match file {
        "flake.nix" => "it is the flake",
        _ if file.split('/').any(|part| part == ".git") => "it is inside of Git's own folder",
        _ if !file.ends_with(".nix") => "its name does not end in `.nix`",
        _ => return Ok(()),
    };
    Err(Error::user(format!("`{}` cannot be written: {why}", file.escape_debug())))
}

/// A change that is being put together.
struct Pending {
    set: ChangeSet,
    notes: Vec<String>,
    is_there: bool,
    /// The project's folder below that of all files.
    folder: PathBuf,
}

impl Pending {
    fn new(command: &Command, folder: &Path) -> Self {
        let set = ChangeSet::new(title(command));
        Self { set, notes: Vec::new(), is_there: false, folder: folder.to_owned() }
    }

    fn write(&mut self, file: &Path, before: &str, after: &str) {
        if before != after {
            let expected = ContentHash::of(before.as_bytes());
            self.set.push(file, Op::Write { expected, content: after.to_owned() });
        }
    }

    fn remove(&mut self, file: &Path, text: &str) {
        self.set.push(file, Op::Remove { expected: ContentHash::of(text.as_bytes()) });
    }

    /// What a file will hold, if the change says so.
    fn text_of(&self, file: &Path) -> Option<&str> {
        self.set.changes.iter().find_map(|change| match &change.op {
            Op::Write { content, .. } | Op::Create { content, .. } if change.path == file => {
                Some(content.as_str())
            }
            _ => None,
        })
    }
}

/// What a command does, in words.
fn title(command: &Command) -> String {
    let (verb, what, name) = match command {
        Command::CreateModule(it) => ("create", "module", &it.name),
        Command::UpdateModule(it) => ("change", "module", &it.name),
        Command::DeleteModule(it) => ("remove", "module", &it.name),
        Command::CreateOverlay(it) => ("create", "overlay", &it.name),
        Command::UpdateOverlay(it) => ("change", "overlay", &it.name),
        Command::DeleteOverlay(it) => ("remove", "overlay", &it.name),
        Command::CreateConfiguration(it) => ("create", "configuration", &it.name),
        Command::UpdateConfiguration(it) => ("change", "configuration", &it.name),
        _ => return command.command_type().to_owned(),
    };
    format!("{verb} the {what} `{name}`")
}

#[cfg(test)]
mod tests;
