//! What lies around a `flake.nix`: its lock file, and flakes that name its folder.

use std::path::{Component, Path, PathBuf};

use cim_nix_analysis::Surroundings;
use cim_nix_flake::Lock;
use cim_nix_project::{Files as _, Problem};
use cim_nix_syntax::ast::Expr;
use cim_nix_syntax::{Tree, literal, parse};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};

/// How many folders above a flake are looked at for another one.
const MAX_ABOVE: usize = 16;

/// What lies around the file at `path`, if it is a `flake.nix`.
pub(super) fn around(path: &Path) -> Option<Surroundings> {
    if path.file_name()? != "flake.nix" {
        return None;
    }
    let folder = path.parent()?;
    let lock = match DiskFiles.read(&folder.join("flake.lock"), SOURCE_LIMIT) {
        Ok(text) => Lock::parse(&text),
        Err(Problem::Missing) => Lock::Absent,
        Err(problem) => Lock::Refused(problem.to_string()),
    };
    let is_template = lock == Lock::Absent && is_template(folder);
    Some(Surroundings { lock, is_template })
}

/// Whether the flake in a folder is meant to be copied elsewhere, or is part of a flake above that
/// names its folder.
fn is_template(folder: &Path) -> bool {
    let is_usual = |part: Component<'_>| {
        let name = part.as_os_str();
        name == "templates" || name == "template"
    };
    folder.components().any(is_usual)
        || folder.ancestors().skip(1).take(MAX_ABOVE).any(|above| names(above, folder))
}

/// Whether the flake in the folder `above`, if there is one, names the folder `below`.
fn names(above: &Path, below: &Path) -> bool {
    let text = DiskFiles.read(&above.join("flake.nix"), SOURCE_LIMIT);
    text.is_ok_and(|text| {
        let targets = targets(&parse(text).tree);
        targets.iter().any(|target| normal(&above.join(target)) == below)
    })
}

/// The relative paths that a flake names: path literals, and references to flakes below it.
fn targets(tree: &Tree) -> Vec<String> {
    let target = |node| match Expr::cast(node)? {
        Expr::Path(path) => path.static_text().map(str::to_owned),
        Expr::Str(_) | Expr::Literal(_) => {
            let text = literal::constant_text(node)?;
            let path = text.strip_prefix("path:").unwrap_or(&text);
            let path = path.split('?').next().unwrap_or(path);
            path.starts_with('.').then(|| path.to_owned())
        }
        _ => None,
    };
    tree.nodes().filter_map(target).collect()
}

/// A path without `.` and `..`, as Nix makes it.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
