//! What people type to mean a flake: `.`, `./x#attr`, `nixpkgs#hello`, `github:owner/repo`.

use std::env;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_model::{FlakeRef, RefAttr, dubious_query};

use crate::terminal::note;

/// A flake and an attribute of it.
#[derive(Clone, Debug)]
pub(crate) struct Installable {
    pub(crate) flake: FlakeRef,
    pub(crate) attr: String,
}

impl Installable {
    /// Reads what somebody typed; paths start from the working folder.
    ///
    /// Errors: it is no reference to a flake, or there is no flake.
    pub(crate) fn parse(typed: &str) -> Result<Self, Error> {
        Self::parse_typed(typed, true)
    }

    fn parse_typed(typed: &str, must_exist: bool) -> Result<Self, Error> {
        for part in dubious_query(typed) {
            note(format!(
                "warning: dubious URI query '{part}' is missing equal sign '=', ignoring"
            ));
        }
        let (reference, _) = typed.split_once('#').unwrap_or((typed, ""));
        let path = reference.split('?').next().unwrap_or_default();
        let is_path = path.is_empty()
            || path == "."
            || path == ".."
            || path.starts_with('/')
            || path.starts_with("./")
            || path.starts_with("../")
            || path.starts_with("~/");
        let broken = |error: cim_nix_model::FlakeRefError| Error::user(error.to_string());
        if is_path {
            let (found, attr) = FlakeRef::of_path(typed).map_err(broken)?;
            return Ok(Self { flake: of_folder(path, &found, must_exist)?, attr });
        }
        let (flake, attr) = FlakeRef::parse_with_fragment(typed).map_err(broken)?;
        // A name such as `x/y` that is no flake's id is a path, too.
        let flake = match flake.text("path") {
            Some(inner) if flake.kind() == "path" && !inner.starts_with('/') => {
                match typed.starts_with("path:") {
                    true => absolute(inner, &flake)?,
                    false => of_folder(inner, &flake, must_exist)?,
                }
            }
            _ => flake,
        };
        Ok(Self { flake, attr })
    }
}

/// Reads a reference that somebody typed: without an attribute, and to a folder that may have no
/// flake, for whoever uses it will say so.
///
/// Errors: it is no reference.
pub(crate) fn reference(typed: &str) -> Result<FlakeRef, Error> {
    let Installable { flake, attr } = Installable::parse_typed(typed, false)?;
    match attr.as_str() {
        "" => Ok(flake),
        _ => Err(Error::user(format!("unexpected fragment '{attr}' in flake reference '{typed}'"))),
    }
}

/// The flake in a folder, which need not have a `flake.nix` yet; `folder` is absolute, without
/// symbolic links in it.
///
/// Errors: the path is no text.
pub(crate) fn flake_in(folder: &Path) -> Result<FlakeRef, Error> {
    let broken = |error: cim_nix_model::FlakeRefError| Error::user(error.to_string());
    let path = folder.to_str().ok_or_else(|| {
        Error::user(format!("the path `{}` is no text, as flakes need it", folder.display()))
    })?;
    let attrs = [("type", "path"), ("path", path)]
        .map(|(name, value)| (name.to_owned(), RefAttr::Text(value.to_owned())));
    in_folder(folder, &FlakeRef::from_attrs(attrs.into()).map_err(broken)?)
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
fn of_folder(path: &str, typed: &FlakeRef, is_searched: bool) -> Result<FlakeRef, Error> {
    let failed =
        |error: std::io::Error| Error::user(format!("cannot read `{path}`")).because(error);
    let path = match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(rest),
        None => PathBuf::from(if path.is_empty() { "." } else { path }),
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
fn in_folder(folder: &Path, typed: &FlakeRef) -> Result<FlakeRef, Error> {
    let repository = folder.ancestors().find(|above| above.join(".git").exists());
    let text = |path: &Path| RefAttr::Text(path.to_string_lossy().into_owned());
    let mut attrs = typed.attrs();
    let Some(top) = repository else {
        attrs.insert("path".to_owned(), text(folder));
        return FlakeRef::from_attrs(attrs).map_err(|error| Error::user(error.to_string()));
    };
    attrs.remove("path");
    attrs.insert("type".to_owned(), RefAttr::Text("git".to_owned()));
    attrs.insert("url".to_owned(), text(top));
    if top.join(".git/shallow").exists() {
        attrs.insert("shallow".to_owned(), RefAttr::Bool(true));
    }
    let below = folder.strip_prefix(top).unwrap_or(Path::new(""));
    if below.as_os_str().is_empty() {
    } else if attrs.contains_key("dir") {
        return Err(Error::user("the flake lies in a subfolder already, so `dir` cannot be given"));
    } else {
        attrs.insert("dir".to_owned(), text(below));
    }
    FlakeRef::from_attrs(attrs).map_err(|error| Error::user(error.to_string()))
}
