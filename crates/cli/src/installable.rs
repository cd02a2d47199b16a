//! Which flake is meant by what people type: what `model` reads, looked up on the disk.

use std::env;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_model::{
    FlakeAttr, FlakeFolder, FlakePlace, FlakeRef, Installable as Typed, InstallableError, Outputs,
    RefAttr, StoreDir, dubious_query,
};

use crate::terminal::note;

/// A flake and an attribute of it.
#[derive(Clone, Debug)]
pub(crate) struct Installable {
    pub(crate) flake: FlakeRef,
    pub(crate) attr: FlakeAttr,
}

impl Installable {
    /// Reads what somebody typed; paths start from the working folder. Which outputs are meant makes
    /// no difference to values, and a store path is taken for the flake that lies there.
    ///
    /// Errors: it is no reference to a flake, or there is no flake.
    pub(crate) fn parse(typed: &str) -> Result<Self, Error> {
        let (before, _) = Outputs::split(typed).map_err(|error| broken(error.into()))?;
        if let Typed::Store { outputs, .. } =
            Typed::parse(typed, &StoreDir::default()).map_err(broken)?
            && !outputs.is_default()
        {
            let message = format!("`{typed}` stands for outputs of a derivation and has no value");
            return Err(Error::user(message));
        }
        Self::parse_typed(before, true)
    }

    fn parse_typed(typed: &str, must_exist: bool) -> Result<Self, Error> {
        for part in dubious_query(typed) {
            note(format!(
                "warning: dubious URI query '{part}' is missing equal sign '=', ignoring"
            ));
        }
        let (place, attr) = FlakePlace::parse(typed).map_err(broken)?;
        let flake = match place {
            FlakePlace::Folder(folder) => of_folder(&folder, must_exist)?,
            FlakePlace::Reference(flake) => match flake.text("path") {
                Some(path) if flake.is_relative() => absolute(path, &flake)?,
                _ => flake,
            },
        };
        Ok(Self { flake, attr })
    }
}

fn broken(error: InstallableError) -> Error {
    Error::user(error.to_string())
}

/// Reads a reference that somebody typed: without an attribute, and to a folder that may have no
/// flake, for whoever uses it will say so.
///
/// Errors: it is no reference.
pub(crate) fn reference(typed: &str) -> Result<FlakeRef, Error> {
    let Installable { flake, attr } = Installable::parse_typed(typed, false)?;
    match attr.is_default() {
        true => Ok(flake),
        false => {
            Err(Error::user(format!("unexpected fragment '{attr}' in flake reference '{typed}'")))
        }
    }
}

/// The flake in a folder, which need not have a `flake.nix` yet; `folder` is absolute, without
/// symbolic links in it.
///
/// Errors: the path is no text.
pub(crate) fn flake_in(folder: &Path) -> Result<FlakeRef, Error> {
    let path = folder.to_str().ok_or_else(|| {
        Error::user(format!("the path `{}` is no text, as flakes need it", folder.display()))
    })?;
    in_folder(folder, &FlakeFolder::at(path))
}

/// The same reference with its path from the root.
fn absolute(path: &str, typed: &FlakeRef) -> Result<FlakeRef, Error> {
    let folder = Path::new(path).canonicalize();
    let folder =
        folder.map_err(|error| Error::user(format!("cannot read `{path}`")).because(error))?;
    let mut flake = typed.clone();
    flake.set("path", RefAttr::Text(folder.to_string_lossy().into_owned()));
    Ok(flake)
}

/// The flake of a folder, or of the nearest one above that has one; in a Git repository, the files
/// that Git knows.
fn of_folder(typed: &FlakeFolder, is_searched: bool) -> Result<FlakeRef, Error> {
    let path = typed.path();
    let failed =
        |error: std::io::Error| Error::user(format!("cannot read `{path}`")).because(error);
    let path = match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(rest),
        None => PathBuf::from(path),
    };
    let mut folder = path.canonicalize().map_err(failed)?;
    if folder.file_name().is_some_and(|name| name == "flake.nix") {
        let file = folder.display().to_string();
        folder.pop();
        note(format!(
            "warning: Path \"{file}\" should point at the directory containing the 'flake.nix' file, not the file itself. Pretending that you meant \"{}\"",
            folder.display()
        ));
    }
    let start = folder.display().to_string();
    if !folder.join("flake.nix").exists() && is_searched {
        note(format!("path \"{start}\" does not contain a 'flake.nix', searching up"));
    }
    while is_searched && !folder.join("flake.nix").exists() {
        let hint = "to evaluate a file or an expression, use `cim-nix eval FILE` or `-E EXPR`";
        if folder.join(".git").exists() {
            return Err(Error::user(format!(
                "path \"{start}\" is not part of a flake (neither it nor its parent directories contain a 'flake.nix' file)"
            ))
            .hint(hint));
        }
        if !folder.pop() {
            let message = format!("could not find a flake.nix file in \"{start}\" or above");
            return Err(Error::user(message).hint(hint));
        }
    }
    in_folder(&folder, typed)
}

/// The flake of a folder; in a Git repository, the files that Git knows.
fn in_folder(folder: &Path, typed: &FlakeFolder) -> Result<FlakeRef, Error> {
    let repository = folder.ancestors().find(|above| above.join(".git").exists());
    let found = match repository {
        None => typed.as_path(&folder.to_string_lossy()),
        Some(top) => {
            let below = folder.strip_prefix(top).unwrap_or(Path::new(""));
            let is_shallow = top.join(".git/shallow").exists();
            typed.as_repository(&top.to_string_lossy(), &below.to_string_lossy(), is_shallow)
        }
    };
    found.map_err(|error| Error::user(error.to_string()))
}
