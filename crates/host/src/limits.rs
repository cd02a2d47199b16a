//! What a command of somebody whom nobody vouches for may name: paths in the project's folder,
//! links and profiles where they may be, sources and caches that are allowed.
//!
//! All that is decided before anything is done with the command. Nothing in a refusal tells whether
//! there is something at a path outside.

use std::path::{Component, Path, PathBuf};

use cim_domain_nix::model::{FlakePlace, FlakeRef};
use cim_domain_nix::{Command, Configuration, FlakeEdit, State};
use cim_nix_base::Error;
use cim_nix_vfs::is_within;

use crate::protocol::Sources;

/// The formatters that run no command of the project's.
pub const FORMATTERS: [&str; 3] = ["nixfmt", "nixpkgs-fmt", "alejandra"];

/// Folders of the project that are not the project's code: what Git believes there could run
/// programs, and this program's own.
const HIDDEN: [&str; 2] = [".git", ".cim-nix"];

/// What commands may name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The project's folder, absolute and without links.
    pub root: PathBuf,
    /// Folders that code may read beside it.
    pub readable: Vec<PathBuf>,
    /// The folder of the store.
    pub store_dir: PathBuf,
    /// Folders that links to what was built may be in.
    pub outputs: Vec<PathBuf>,
    /// Folders that profiles may be in.
    pub profiles: Vec<PathBuf>,
    /// The profile that is meant where none is named.
    pub usual_profile: PathBuf,
    /// The caches that may be copied to and from, as they are written.
    pub caches: Vec<String>,
    /// Where sources may come from.
    pub sources: Sources,
    /// Whether programs of Nix may be run.
    pub runs_programs: bool,
    /// Whether what nothing needs may be removed from the store, which others may share.
    pub collects_garbage: bool,
}

/// The refusal of a path.
pub(crate) fn outside(path: &str) -> Error {
    Error::user(format!("`{}` is outside of the project", path.escape_debug()))
}

/// Errors: the path leads to what is no code of the project.
pub(crate) fn refuse_hidden(path: &Path) -> Result<(), Error> {
    let is_hidden = |part: Component<'_>| match part {
        Component::Normal(name) => HIDDEN.iter().any(|hidden| name.eq_ignore_ascii_case(hidden)),
        _ => false,
    };
    match path.components().any(is_hidden) {
        true => Err(Error::user(format!(
            "`{}` is not a file of the project's code",
            path.to_string_lossy().escape_debug()
        ))),
        false => Ok(()),
    }
}

/// Errors: a word could be taken for an option, or holds what no word does.
fn check_word(word: &str, what: &str) -> Result<(), Error> {
    let why = match word {
        _ if word.starts_with('-') => "starts with `-`, as options do",
        _ if word.contains('\0') => "has a NUL in it",
        _ => return Ok(()),
    };
    Err(Error::user(format!("{what} `{}` {why}", word.escape_debug())))
}

impl Limits {
    /// The folders that code may read.
    #[must_use]
    pub fn readable(&self) -> Vec<PathBuf> {
        let own = [self.root.clone(), self.store_dir.clone()];
        own.into_iter().chain(self.readable.iter().cloned()).collect()
    }

    /// A command as it may be run: its paths are absolute, and all that it names is allowed.
    ///
    /// Errors: it names what it must not.
    pub fn admit(&self, command: &Command) -> Result<Command, Error> {
        let mut command = command.clone();
        match &mut command {
            Command::CreateFlake(it) => {
                self.place(&mut it.path)?;
                it.template.as_deref().map_or(Ok(()), |typed| self.typed(typed, "the template"))?;
            }
            Command::UpdateFlake(it) => {
                self.place(&mut it.path)?;
                it.inputs.iter().try_for_each(|input| check_word(input, "the input"))?;
                if let Some(FlakeEdit::RetargetInput { url, .. }) = &it.edit {
                    self.reference(&it.path, url)?;
                }
            }
            Command::AddFlakeInput(it) => {
                self.place(&mut it.path)?;
                self.reference(&it.path, &it.url)?;
            }
            Command::RemoveFlakeInput(it) => self.place(&mut it.path)?,
            Command::BuildPackage(it) => {
                self.needs_programs()?;
                self.package(&it.flake_ref)?;
                if let Some(path) = &mut it.output_path {
                    self.below(path, &self.outputs, "a link to what is built")?;
                }
            }
            Command::CachePackage(it) => {
                self.needs_programs()?;
                self.package(&it.flake_ref)?;
                self.cache(&it.cache)?;
            }
            Command::CreateModule(it) => {
                self.written(&mut it.project, &it.name, &it.module.file)?;
            }
            Command::UpdateModule(it) => {
                self.written(&mut it.project, &it.name, &it.module.file)?;
            }
            Command::DeleteModule(it) => self.written(&mut it.project, &it.name, "")?,
            Command::CreateOverlay(it) => {
                self.written(&mut it.project, &it.name, &it.overlay.file)?;
            }
            Command::UpdateOverlay(it) => {
                self.written(&mut it.project, &it.name, &it.overlay.file)?;
            }
            Command::DeleteOverlay(it) => self.written(&mut it.project, &it.name, "")?,
            Command::CreateConfiguration(it) => {
                self.written(&mut it.project, &it.name, &it.configuration.path)?;
            }
            Command::UpdateConfiguration(it) => {
                self.written(&mut it.project, &it.name, &it.configuration.path)?;
            }
            Command::ActivateConfiguration(it) => {
                self.needs_programs()?;
                self.written(&mut it.project, &it.name, "")?;
                if let Some(path) = &it.store_path {
                    self.in_store(path)?;
                }
                self.profile(&mut it.profile)?;
            }
            Command::RollbackConfiguration(it) => {
                self.needs_programs()?;
                self.written(&mut it.project, &it.name, "")?;
                // Where none is named, it is the one that was used last; see `check_state`.
                if it.profile.is_some() {
                    self.profile(&mut it.profile)?;
                }
            }
            Command::CheckFlake(it) => self.place(&mut it.path)?,
            Command::FixProject(it) => self.place(&mut it.path)?,
            Command::FormatProject(it) => {
                self.place(&mut it.path)?;
                if let Some(formatter) = it.formatter.as_deref()
                    && !FORMATTERS.contains(&formatter)
                {
                    let known = FORMATTERS.join(", ");
                    return Err(Error::user("a formatter of one's own is not run here")
                        .hint(format!("these are: {known}")));
                }
            }
            Command::RenameSymbol(it) => {
                self.place(&mut it.path)?;
                self.file(Path::new(&it.path), &it.file)?;
            }
            Command::EvaluateExpression(_) => {}
            Command::RunGarbageCollection(_) => {
                self.needs_programs()?;
                if !self.collects_garbage {
                    return Err(Error::user("collecting garbage is not allowed here")
                        .hint("others may share the store: whoever runs the service collects it"));
                }
            }
        }
        Ok(command)
    }

    /// Checks what a command that was admitted takes from what is known.
    ///
    /// Errors: it would use a profile that it must not.
    pub fn check_state(&self, command: &Command, state: &State) -> Result<(), Error> {
        match (command, state) {
            (
                Command::RollbackConfiguration(it),
                State::Configuration(Configuration(Some(known))),
            ) if it.profile.is_none() && !known.profile.is_empty() => {
                self.profile(&mut Some(known.profile.clone()))
            }
            (Command::RollbackConfiguration(it), _) if it.profile.is_none() => {
                self.profile(&mut None)
            }
            _ => Ok(()),
        }
    }

    fn needs_programs(&self) -> Result<(), Error> {
        match self.runs_programs {
            true => Ok(()),
            false => Err(Error::user("running Nix is not allowed here")),
        }
    }

    /// A folder of the project; a relative one becomes absolute.
    fn place(&self, path: &mut String) -> Result<(), Error> {
        let full = self.full(path)?;
        if !is_within(&full, [self.root.as_path()]) {
            return Err(outside(path));
        }
        refuse_hidden(full.strip_prefix(&self.root).unwrap_or(&full))?;
        full.to_str().ok_or_else(|| outside(path))?.clone_into(path);
        Ok(())
    }

    /// A path from the project's folder, without dots.
    fn full(&self, path: &str) -> Result<PathBuf, Error> {
        check_word(path, "the path")?;
        let full = self.root.join(path);
        match full.components().any(|part| part == Component::ParentDir) {
            true => Err(outside(path)),
            // Collected anew, without doubled slashes and single dots.
            false => Ok(full.components().collect()),
        }
    }

    /// A thing that a file is written for.
    fn written(&self, project: &mut String, name: &str, file: &str) -> Result<(), Error> {
        if !project.is_empty() {
            self.place(project)?;
        }
        check_word(name, "the name")?;
        self.file(&self.root, file)
    }

    /// A file that is named from a folder of the project.
    fn file(&self, folder: &Path, file: &str) -> Result<(), Error> {
        check_word(file, "the file")?;
        let path = Path::new(file);
        let is_plain =
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_plain || !is_within(&folder.join(path), [self.root.as_path()]) {
            return Err(outside(file));
        }
        refuse_hidden(path)
    }

    /// A path in one of some folders.
    fn below(&self, path: &mut String, folders: &[PathBuf], what: &str) -> Result<(), Error> {
        let full = self.full(path)?;
        let folders = folders.iter().map(PathBuf::as_path);
        // What is replaced is the link itself: where a former one leads to is no matter.
        let folder = full.parent().unwrap_or(&full);
        if !is_within(folder, folders) || refuse_hidden(&full).is_err() {
            return Err(Error::user(format!("{what} must not be at `{}`", path.escape_debug()))
                .hint("whoever runs the service says in which folders it may be"));
        }
        full.to_str().ok_or_else(|| outside(path))?.clone_into(path);
        Ok(())
    }

    fn profile(&self, profile: &mut Option<String>) -> Result<(), Error> {
        match profile {
            Some(path) => self.below(path, &self.profiles, "a profile"),
            None => {
                let usual = self.usual_profile.to_string_lossy().into_owned();
                self.profile(&mut Some(usual))
            }
        }
    }

    fn in_store(&self, path: &str) -> Result<(), Error> {
        check_word(path, "the store path")?;
        let full = Path::new(path);
        let is_below = full.strip_prefix(&self.store_dir).is_ok_and(|rest| {
            rest.components().next().is_some()
                && rest.components().all(|part| matches!(part, Component::Normal(_)))
        });
        match is_below {
            true => Ok(()),
            false => Err(Error::user(format!("`{}` is not in the store", path.escape_debug()))),
        }
    }

    fn cache(&self, cache: &str) -> Result<(), Error> {
        check_word(cache, "the cache")?;
        match self.caches.iter().any(|known| known == cache) {
            true => Ok(()),
            false => Err(Error::user(format!(
                "the cache `{}` is not among those that may be used",
                cache.escape_debug()
            ))),
        }
    }

    /// A package's flake, file or derivation.
    fn package(&self, flake_ref: &str) -> Result<(), Error> {
        check_word(flake_ref, "the package")?;
        if Path::new(flake_ref).starts_with(&self.store_dir) {
            return self.in_store(flake_ref);
        }
        self.typed(flake_ref, "the package")
    }

    /// A flake as people type it.
    fn typed(&self, typed: &str, what: &str) -> Result<(), Error> {
        check_word(typed, what)?;
        if typed.starts_with('<') {
            let typed = typed.escape_debug();
            return Err(Error::user(format!("there is no search path here for `{typed}`")));
        }
        let (place, _) =
            FlakePlace::parse(typed).map_err(|error| Error::user(error.to_string()))?;
        match place {
            FlakePlace::Reference(reference) => self.source(&reference),
            FlakePlace::Folder(folder) => {
                let path = folder.path();
                if path.starts_with('~') {
                    return Err(outside(path));
                }
                self.place(&mut path.to_owned())
            }
        }
    }

    /// Where an input of the flake in `folder` comes from.
    fn reference(&self, folder: &str, url: &str) -> Result<(), Error> {
        check_word(url, "the reference")?;
        let place = FlakePlace::parse(url).map_err(|error| Error::user(error.to_string()))?.0;
        match place {
            FlakePlace::Reference(reference) => match reference.text("path") {
                Some(path) if reference.is_relative() => self.beside(folder, path),
                _ => self.source(&reference),
            },
            FlakePlace::Folder(place) => self.beside(folder, place.path()),
        }
    }

    /// A path that a flake names, which may lead upwards in the project.
    fn beside(&self, folder: &str, path: &str) -> Result<(), Error> {
        let mut full = PathBuf::from(folder);
        for part in Path::new(path).components() {
            match part {
                Component::RootDir | Component::Prefix(_) => full = PathBuf::from("/"),
                Component::CurDir => {}
                Component::ParentDir => drop(full.pop()),
                Component::Normal(name) => full.push(name),
            }
        }
        match path.starts_with('~') || !is_within(&full, [self.root.as_path()]) {
            true => Err(outside(path)),
            false => Ok(()),
        }
    }

    fn source(&self, source: &FlakeRef) -> Result<(), Error> {
        self.sources.check(source, &self.readable())
    }
}

#[cfg(test)]
mod tests;
