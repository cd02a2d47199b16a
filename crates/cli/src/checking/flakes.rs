//! What lies around a `flake.nix`: its lock file, and flakes above it.

use std::path::{Component, Path};

use cim_nix_analysis::Surroundings;
use cim_nix_flake::Lock;
use cim_nix_project::{EntryKind, Files, Problem};
use cim_nix_vfs::SOURCE_LIMIT;

/// How many folders above a flake are looked at for another one.
const MAX_ABOVE: usize = 16;

/// What lies around the file at `path`, if it is a `flake.nix`.
pub(super) fn around(files: &dyn Files, path: &Path) -> Option<Surroundings> {
    if path.file_name()? != "flake.nix" {
        return None;
    }
    let folder = path.parent()?;
    let lock = match files.read(&folder.join("flake.lock"), SOURCE_LIMIT) {
        Ok(text) => Lock::parse(&text),
        Err(Problem::Missing) => Lock::Absent,
        Err(problem) => Lock::Refused(problem.to_string()),
    };
    let is_template = lock == Lock::Absent && is_template(files, folder);
    Some(Surroundings { lock, is_template })
}

/// Whether the flake in a folder is meant to be copied elsewhere, or is a part of a flake above.
fn is_template(files: &dyn Files, folder: &Path) -> bool {
    let is_usual = |part: Component<'_>| {
        let name = part.as_os_str();
        name == "templates" || name == "template"
    };
    let has_flake = |above: &Path| files.kind(&above.join("flake.nix")) == Ok(EntryKind::File);
    folder.components().any(is_usual) || folder.ancestors().skip(1).take(MAX_ABOVE).any(has_flake)
}
