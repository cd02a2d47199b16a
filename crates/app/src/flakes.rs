//! Commands about flakes: what they would change of `flake.nix` and `flake.lock`, together.

use std::path::{Path, PathBuf};

use cim_domain_nix::model::{InputPath, LockFile, input_path, show_input_path};
use cim_domain_nix::{
    Command, Evidence, FileChange, FlakeEdit, FlakeFacts, LockChange, ModuleClass,
};
use cim_nix_base::{ChangeSet, ContentHash, Error, LineIndex, Op, TextRange};
use cim_nix_flake::FlakeFile;
use cim_nix_flake::edit::{
    Follows, ModuleKind, NewInput, Note, Origin, Request, deduplication, plan,
};

use crate::{App, LockWish, Locks, Mode, Outcome, Proposal};

/// A flake as it is on disk.
struct OnDisk {
    /// Its folder below the project's.
    folder: PathBuf,
    flake_nix: String,
    lock: Option<String>,
}

/// What a flake says of itself.
///
/// Errors: the text is no flake.
pub fn flake_facts(path: &str, text: &str) -> Result<FlakeFacts, Error> {
    let parsed = cim_nix_syntax::parse(text);
    if let Some(problem) = parsed.problems.first() {
        let at = LineIndex::new(text).position(text, problem.range.start);
        return Err(Error::user(format!(
            "`{path}` is broken in line {}, column {}: {}",
            at.line + 1,
            at.column + 1,
            problem.message
        ))
        .hint("`cim-nix check` shows the place"));
    }
    let file = FlakeFile::read(&parsed.tree).ok_or_else(|| {
        Error::user(format!("`{path}` is no flake: it sets neither `inputs` nor `outputs`"))
    })?;
    let description = file.description.and_then(|it| it.value).unwrap_or_default();
    let inputs = file.inputs.into_iter().map(|input| {
        let from = match (input.follows, input.reference, input.url) {
            (Some(follows), ..) => format!("follows:{}", show_input_path(&follows.value)),
            // As it is written: that is what people look for.
            (None, _, Some(url)) => url.value,
            (None, Some(reference), None) => reference.to_string(),
            (None, None, None) => format!("flake:{}", input.name),
        };
        (input.name, from)
    });
    Ok(FlakeFacts { description, inputs: inputs.collect() })
}

impl App<'_> {
    /// Runs a command about a flake, but for making one.
    ///
    /// Errors: it is refused, with the places that speak against it; an input cannot be locked; or
    /// somebody else changed a file. Nothing has changed then.
    pub fn flake(
        &self,
        command: &Command,
        locks: &dyn Locks,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let (path, wish, is_locked) = match command {
            Command::AddFlakeInput(it) => (&it.path, LockWish::default(), it.lock),
            Command::RemoveFlakeInput(it) => (&it.path, LockWish::default(), it.lock),
            Command::UpdateFlake(it) if it.edit.is_none() => {
                (&it.path, LockWish { updates: Some(it.inputs.clone()) }, true)
            }
            Command::UpdateFlake(it) => (&it.path, LockWish::default(), it.lock),
            _ => {
                return Err(Error::bug(format!("{} is not about a flake", command.command_type())));
            }
        };
        let flake = self.flake_on_disk(Path::new(path))?;
        let shown = flake.folder.join("flake.nix").display().to_string();
        let before = flake_facts(&shown, &flake.flake_nix)?;
        let mut notes = Vec::new();
        let text = match request(command, &flake, &mut notes)? {
            None => flake.flake_nix.clone(),
            Some(request) => {
                let refused =
                    |refusal: cim_nix_flake::edit::Refusal| refusal.error(&shown, &flake.flake_nix);
                let edit = plan(&flake.flake_nix, &request).map_err(refused)?;
                notes.extend(edit.notes.iter().map(|note| words(note, &flake.flake_nix)));
                edit.apply(&flake.flake_nix)?
            }
        };
        let after = flake_facts(&shown, &text)?;
        let mut set = ChangeSet::new(title(command));
        push(&mut set, &flake.folder.join("flake.nix"), Some(&flake.flake_nix), &text);
        let mut moved: Vec<LockChange> = Vec::new();
        if is_locked {
            let folder = self.files.root().join(&flake.folder);
            let new = locks.lock(&folder, &text, flake.lock.as_deref(), &wish)?;
            notes.extend(new.warnings);
            moved = new.changes;
            if let Some(lock) = &new.text {
                push(&mut set, &flake.folder.join("flake.lock"), flake.lock.as_deref(), lock);
            }
        }
        let evidence = move |changes: Vec<FileChange>| Evidence::Flake {
            before: Some(before.clone()),
            after: after.clone(),
            locks: moved.clone(),
            changes,
        };
        self.change(command, Proposal { set, evidence: Box::new(evidence), notes }, mode)
    }

    /// Records that the lock file of a flake becomes `lock`, which somebody computed.
    ///
    /// Errors: somebody else changed a file. Nothing has changed then.
    pub fn write_lock(
        &self,
        command: &Command,
        lock: &str,
        moved: Vec<LockChange>,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let Command::UpdateFlake(it) = command else {
            return Err(Error::bug(format!("{} locks nothing", command.command_type())));
        };
        let flake = self.flake_on_disk(Path::new(&it.path))?;
        let shown = flake.folder.join("flake.nix").display().to_string();
        let facts = flake_facts(&shown, &flake.flake_nix)?;
        let mut set = ChangeSet::new(title(command));
        push(&mut set, &flake.folder.join("flake.lock"), flake.lock.as_deref(), lock);
        let evidence = move |changes: Vec<FileChange>| Evidence::Flake {
            before: Some(facts.clone()),
            after: facts.clone(),
            locks: moved.clone(),
            changes,
        };
        self.change(
            command,
            Proposal { set, evidence: Box::new(evidence), notes: Vec::new() },
            mode,
        )
    }

    /// Makes a flake of files that somebody put together: a template, say. The set creates
    /// `flake.nix` in the folder of the command.
    ///
    /// Errors: a flake is there already, or a file is in the way.
    pub fn create_flake(
        &self,
        command: &Command,
        set: ChangeSet,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let Command::CreateFlake(it) = command else {
            return Err(Error::bug(format!("{} makes no flake", command.command_type())));
        };
        let folder = self.below(Path::new(&it.path))?;
        let file = folder.join("flake.nix");
        let shown = file.display().to_string();
        let before = match self.files.read(&file)? {
            Some(text) => Some(flake_facts(&shown, &text)?),
            None => None,
        };
        let text = set.changes.iter().find_map(|change| match &change.op {
            Op::Create { content, .. } if change.path == file => Some(content),
            _ => None,
        });
        let after = match (text, &before) {
            (Some(text), _) => flake_facts(&shown, text)?,
            (None, Some(before)) => before.clone(),
            (None, None) => return Err(Error::user(format!("the template has no `{shown}`"))),
        };
        let evidence = move |changes: Vec<FileChange>| Evidence::Flake {
            before: before.clone(),
            after: after.clone(),
            locks: Vec::new(),
            changes,
        };
        self.change(
            command,
            Proposal { set, evidence: Box::new(evidence), notes: Vec::new() },
            mode,
        )
    }

    /// A folder as a path below the project's.
    pub(crate) fn below(&self, folder: &Path) -> Result<PathBuf, Error> {
        let below = folder.strip_prefix(self.files.root()).map_err(|_| {
            Error::user(format!(
                "`{}` is outside of the project `{}`",
                folder.display(),
                self.files.root().display()
            ))
        })?;
        Ok(below.to_path_buf())
    }

    fn flake_on_disk(&self, folder: &Path) -> Result<OnDisk, Error> {
        let below = self.below(folder)?;
        let flake_nix = self.files.read(&below.join("flake.nix"))?.ok_or_else(|| {
            Error::user(format!("there is no `flake.nix` in `{}`", folder.display()))
                .hint("`cim-nix flake new` makes one")
        })?;
        let lock = self.files.read(&below.join("flake.lock"))?;
        Ok(OnDisk { folder: below, flake_nix, lock })
    }
}

fn push(set: &mut ChangeSet, path: &Path, before: Option<&str>, after: &str) {
    match before {
        Some(before) if before == after => {}
        Some(before) => {
            let expected = ContentHash::of(before.as_bytes());
            set.push(path, Op::Write { expected, content: after.to_owned() });
        }
        None => set.create(path, after),
    }
}

/// An expression without blanks and comments around it, which would be part of what follows.
///
/// Errors: it is no expression.
fn bare(text: &str) -> Result<String, Error> {
    let parsed = cim_nix_syntax::parse(text);
    if let Some(problem) = parsed.problems.first() {
        let shown: String = text.chars().take(60).collect();
        return Err(Error::user(format!(
            "`{}` is no expression: {}",
            shown.escape_debug(),
            problem.message
        )));
    }
    let root = parsed.tree.root();
    let expression = root.children().next().unwrap_or(root);
    Ok(text.get(expression.range().as_usize()).unwrap_or(text).to_owned())
}

fn path_of(text: &str) -> Result<InputPath, Error> {
    match text {
        "" => Ok(Vec::new()),
        _ => input_path(text).map_err(|error| Error::user(error.to_string())),
    }
}

/// What a command asks of `flake.nix`; `None` where it is about the lock file alone.
fn request(
    command: &Command,
    flake: &OnDisk,
    notes: &mut Vec<String>,
) -> Result<Option<Request>, Error> {
    let edit = match command {
        Command::AddFlakeInput(it) => {
            let follows = it.follows.iter().map(|(path, target)| {
                Ok(Follows { path: path_of(path)?, target: path_of(target)? })
            });
            return Ok(Some(Request::AddInput(NewInput {
                name: it.name.clone(),
                origin: Origin::Url(it.url.clone()),
                is_flake: it.flake,
                follows: follows.collect::<Result<_, Error>>()?,
            })));
        }
        Command::RemoveFlakeInput(it) => {
            return Ok(Some(Request::RemoveInput { name: it.name.clone() }));
        }
        Command::UpdateFlake(it) => match &it.edit {
            None | Some(FlakeEdit::Lock) => return Ok(None),
            Some(edit) => edit.clone(),
        },
        _ => return Ok(None),
    };
    Ok(Some(match edit {
        FlakeEdit::RetargetInput { name, url } => Request::RetargetInput { name, url },
        FlakeEdit::RenameInput { from, to, even_if_handed_on } => {
            Request::RenameInput { old: from, new: to, even_if_handed_on }
        }
        FlakeEdit::SetFollows { input, target } => {
            Request::SetFollows(vec![Follows { path: path_of(&input)?, target: path_of(&target)? }])
        }
        FlakeEdit::RemoveFollows { input } => Request::RemoveFollows { path: path_of(&input)? },
        FlakeEdit::DedupeInputs => {
            let lock = flake.lock.as_deref().ok_or_else(|| {
                Error::user("the flake has no lock file, so no copies are known")
                    .hint("`cim-nix flake lock` writes it")
            })?;
            let lock = LockFile::parse(lock, "flake.lock", &mut |_| {})
                .map_err(|error| Error::user(error.to_string()))?;
            let shown = flake.folder.join("flake.nix").display().to_string();
            let request = deduplication(&flake.flake_nix, &lock)
                .map_err(|refusal| refusal.error(&shown, &flake.flake_nix))?;
            if let Request::SetFollows(all) = &request {
                notes.extend(all.iter().filter_map(|follows| other_branch(&lock, follows)));
            }
            request
        }
        FlakeEdit::SetDescription { description } => Request::SetDescription(description),
        FlakeEdit::AddOutput { attribute, expression } => {
            Request::AddOutput { path: attribute.segments().to_vec(), value: bare(&expression)? }
        }
        FlakeEdit::AddSystem { system } => Request::AddSystem { system, list: None },
        FlakeEdit::AddOverlay { name, expression } => {
            Request::AddOverlay { name, value: bare(&expression)? }
        }
        FlakeEdit::AddModule { class, name, expression } => {
            let kind = match class {
                ModuleClass::Nixos => ModuleKind::NixOs,
                ModuleClass::Home => ModuleKind::Home,
                ModuleClass::Darwin => ModuleKind::Darwin,
                ModuleClass::Flake => ModuleKind::Flake,
            };
            Request::AddModule { kind, name, value: bare(&expression)? }
        }
        FlakeEdit::Lock => return Ok(None),
    }))
}

/// Says that an input asked for another branch or release than the one that it follows now.
fn other_branch(lock: &LockFile, follows: &Follows) -> Option<String> {
    let branch = |path: &[String]| {
        let node = lock.find(path).ok().flatten()?;
        Some(lock.input(node)?.original.text("ref").unwrap_or("its default branch").to_owned())
    };
    let (own, other) = (branch(&follows.path)?, branch(&follows.target)?);
    (own != other).then(|| {
        format!(
            "`{}` asked for {own} and gets {other} from `{}`",
            show_input_path(&follows.path),
            show_input_path(&follows.target)
        )
    })
}

/// What is worth knowing about an edit, as a sentence.
fn words(note: &Note, text: &str) -> String {
    let line = |range: &TextRange| LineIndex::new(text).position(text, range.start).line + 1;
    match note {
        Note::NoSuchInput(name) => format!("there is no input `{name}`"),
        Note::WasInRegistry(name) => {
            format!("`{name}` was looked up in the registry until now: only `outputs` named it")
        }
        Note::NoParameter { name, range } => format!(
            "`{name}` means something else in `outputs` (line {}), so it got no parameter there",
            line(range)
        ),
        Note::HandedOn(range) => format!(
            "all inputs are handed on in line {}: other files may use the input",
            line(range)
        ),
        Note::NoLongerFollows { path, range } => format!(
            "`{}` followed the input (line {}) and is its own again",
            show_input_path(path),
            line(range)
        ),
        Note::SourceReplaced(range) => {
            format!("the source that line {} told is replaced", line(range))
        }
        _ => format!("{note:?}"),
    }
}

/// What a command does, in words.
fn title(command: &Command) -> String {
    match command {
        Command::AddFlakeInput(it) => format!("add the input `{}`", it.name),
        Command::RemoveFlakeInput(it) => format!("remove the input `{}`", it.name),
        Command::UpdateFlake(it) => match &it.edit {
            None => "update the lock file".to_owned(),
            Some(FlakeEdit::RetargetInput { name, url }) => format!("take `{name}` from {url}"),
            Some(FlakeEdit::RenameInput { from, to, .. }) => {
                format!("rename the input `{from}` to `{to}`")
            }
            Some(FlakeEdit::SetFollows { input, target }) => {
                format!("let `{input}` follow `{target}`")
            }
            Some(FlakeEdit::RemoveFollows { input }) => format!("let `{input}` follow nothing"),
            Some(FlakeEdit::DedupeInputs) => "let copies of inputs follow one".to_owned(),
            Some(FlakeEdit::SetDescription { .. }) => "describe the flake".to_owned(),
            Some(FlakeEdit::AddOutput { attribute, .. }) => format!("add the output `{attribute}`"),
            Some(FlakeEdit::AddSystem { system }) => format!("add the system {system}"),
            Some(FlakeEdit::AddOverlay { name, .. }) => format!("add the overlay `{name}`"),
            Some(FlakeEdit::AddModule { name, .. }) => format!("add the module `{name}`"),
            Some(FlakeEdit::Lock) => "lock the inputs".to_owned(),
        },
        _ => command.command_type().to_owned(),
    }
}
