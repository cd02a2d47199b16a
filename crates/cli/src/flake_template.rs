//! New flakes: the files of a template in a folder, as `nix flake init` puts them there.
//!
//! What is there already stays: a file with the same content is skipped, and any other one is a
//! conflict that is told.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cim_nix_base::{ChangeSet, Error, FileMode, Op};
use cim_nix_eval::{EvalError, Evaluation, File};
use cim_nix_model::AttributePath;

use crate::flake_writing::{FlakeChange, GitStep, OtherFile, Reason};
use crate::installable::Installable;
use crate::lock_args::LockRequest;
use crate::scope::shown;

/// What a new flake starts with.
pub(crate) struct Template {
    files: Vec<(PathBuf, File)>,
    /// What its author has to say to whoever uses it.
    pub(crate) welcome: Option<String>,
}

impl Template {
    /// A package and a shell, for who names no template.
    pub(crate) fn built_in() -> Self {
        let bytes = include_bytes!("flake_template/flake.nix").to_vec();
        let file = File::Regular { bytes, is_executable: false };
        let welcome = "Put what you build in the place of `hello`, then run `cim-nix flake lock`.";
        Self { files: vec![("flake.nix".into(), file)], welcome: Some(welcome.to_owned()) }
    }

    /// The template that an attribute of a flake is: below `templates`, or anywhere.
    ///
    /// Errors: there is none, or it cannot be read.
    pub(crate) fn of_flake(
        evaluation: &Evaluation,
        template: &Installable,
        request: &LockRequest,
    ) -> Result<Self, Box<EvalError>> {
        request.prepare(evaluation)?;
        let locked = evaluation.lock(&template.flake, &request.options)?;
        let flake = evaluation.flake(&locked)?;
        let outputs = evaluation.attr(flake, "outputs")?.unwrap_or(flake);
        let attr = &template.attr;
        let path = attr.path();
        let paths = match (attr.is_default(), attr.to_string().starts_with('.')) {
            (true, _) => {
                vec![
                    AttributePath::new(["templates", "default"]),
                    AttributePath::new(["defaultTemplate"]),
                ]
            }
            (_, true) => vec![path.clone()],
            _ => vec![AttributePath::new(["templates"]).join(path), path.clone()],
        };
        let found = evaluation.first_of(outputs, &paths)?.map_err(|near| {
            let paths: Vec<String> = paths.iter().map(|path| format!("'{path}'")).collect();
            let message = format!(
                "flake '{}' does not provide attribute {}",
                template.flake,
                paths.join(" or ")
            );
            Box::new(EvalError::missing_attribute(message, near))
        })?;
        let path = evaluation.attr(found, "path")?.ok_or_else(|| {
            let message = format!("the template '{attr}' lacks attribute 'path'");
            Box::new(EvalError::missing_attribute(message, Vec::new()))
        })?;
        let welcome = match evaluation.attr(found, "welcomeText")? {
            None => None,
            Some(text) => {
                let text = evaluation.write(text, cim_nix_eval::Format::Raw, false)?;
                Some(String::from_utf8_lossy(&text).into_owned())
            }
        };
        Ok(Self { files: evaluation.files_below(path)?, welcome })
    }

    /// What becomes of a folder that gets the template, which somebody named `name`.
    ///
    /// Errors: what is in the folder cannot be read.
    pub(crate) fn planned(self, folder: &Path, name: Option<&str>) -> Result<Planned, Error> {
        let mut planned = Planned {
            change: FlakeChange {
                root: folder.to_owned(),
                set: ChangeSet::new("put the files of a template in place"),
                others: Vec::new(),
                // As in Nix: below the top of a repository, what is new is left to its owner.
                git: match folder.join(".git").exists() {
                    true => GitStep::Announce { forced: true },
                    false => GitStep::Nothing,
                },
                reason: Reason::Create(name.map(str::to_owned)),
            },
            same: Vec::new(),
            conflicts: Vec::new(),
        };
        for (path, file) in self.files {
            let place = folder.join(&path);
            let found = there(&place).map_err(|error| {
                Error::user(format!("cannot read `{}`", shown(&place))).because(error)
            })?;
            match found {
                Some(found) if found.as_ref().is_some_and(|found| is_same(found, &file)) => {
                    planned.same.push(path);
                }
                Some(_) => planned.conflicts.push(path),
                None => planned.change.add(path, file),
            }
        }
        Ok(planned)
    }
}

/// A template that is to be put into a folder.
pub(crate) struct Planned {
    pub(crate) change: FlakeChange,
    /// Files that are there already, with the same content.
    pub(crate) same: Vec<PathBuf>,
    /// Files that are there already and are other ones. They stay.
    pub(crate) conflicts: Vec<PathBuf>,
}

impl FlakeChange {
    fn add(&mut self, path: PathBuf, file: File) {
        match file {
            File::Link(target) => self.others.push((path, OtherFile::Link(target))),
            File::Regular { bytes, is_executable } => match String::from_utf8(bytes) {
                Ok(content) => {
                    // Of the rights, only this one is part of a source.
                    let mode = is_executable.then_some(FileMode(0o755));
                    self.set.push(path, Op::Create { content, mode });
                }
                Err(error) => {
                    let file = OtherFile::Bytes(error.into_bytes(), is_executable);
                    self.others.push((path, file));
                }
            },
        }
    }
}

/// What lies somewhere: nothing, something that is no file, or a file.
fn there(place: &Path) -> io::Result<Option<Option<File>>> {
    let metadata = match fs::symlink_metadata(place) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => return Ok(None),
        other => other?,
    };
    if metadata.is_symlink() {
        return Ok(Some(Some(File::Link(fs::read_link(place)?))));
    }
    if !metadata.is_file() {
        return Ok(Some(None));
    }
    let is_executable = metadata.permissions().mode() & 0o100 != 0;
    Ok(Some(Some(File::Regular { bytes: fs::read(place)?, is_executable })))
}

/// Whether two files hold the same; who may run them is no matter, as for Nix.
fn is_same(one: &File, other: &File) -> bool {
    match (one, other) {
        (File::Regular { bytes: one, .. }, File::Regular { bytes: other, .. }) => one == other,
        (one, other) => one == other,
    }
}
