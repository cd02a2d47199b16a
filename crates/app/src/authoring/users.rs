//! Which files lead to one that is to be removed.

use std::path::{Component, Path, PathBuf};

use cim_nix_base::{Error, LineIndex};
use cim_nix_project::{Target, summarise};

use super::Pending;
use crate::{App, Sources};

/// Most places that a refusal names.
const MOST_PLACES: usize = 20;

impl App<'_> {
    /// Refuses to remove a file that others lead to, once `draft` is done.
    pub(super) fn check_unused(
        &self,
        draft: &Pending,
        file: &Path,
        sources: &dyn Sources,
    ) -> Result<(), Error> {
        let mut places = Vec::new();
        for other in sources.nix_files()? {
            if other == file {
                continue;
            }
            let text = match draft.text_of(&other) {
                Some(text) => text.to_owned(),
                // What cannot be read can lead nowhere that Nix would follow.
                None => match self.files.read(&other) {
                    Ok(Some(text)) => text,
                    _ => continue,
                },
            };
            places.extend(
                lines(&text, &other, &draft.folder, file)
                    .into_iter()
                    .map(|line| format!("{}:{line}", other.display())),
            );
        }
        if places.is_empty() {
            return Ok(());
        }
        let n = places.len();
        places.truncate(MOST_PLACES);
        let error = Error::user(format!("`{}` is still used", file.display()));
        let error = places.iter().fold(error, |error, place| error.hint(format!("by {place}")));
        Err(match n - places.len() {
            0 => error,
            more => error.hint(format!("and at {more} more places")),
        })
    }
}

/// The lines, from 1, at which the text of `other` leads to `file`.
fn lines(text: &str, other: &Path, flake: &Path, file: &Path) -> Vec<u32> {
    // Whoever names a file names the last part of its path, or the folder of a `default.nix`.
    let is_default = file.file_name().is_some_and(|name| name == "default.nix");
    let folder = if is_default { file.parent() } else { None };
    let named = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| text.contains(name))
    };
    if !named(file) && !folder.is_some_and(named) {
        return Vec::new();
    }
    let tree = cim_nix_syntax::parse(text).tree;
    let summary = summarise(&tree, &cim_nix_semantics::lower(&tree));
    let home = other.parent().unwrap_or(Path::new(""));
    let index = LineIndex::new(text);
    let leads = |target: &Target| {
        let path = match target {
            Target::Path(path) => normal(&home.join(&**path)),
            Target::Flake(inner) => match &**inner {
                Target::Path(path) => normal(&flake.join(path.trim_start_matches('/'))),
                _ => return false,
            },
            _ => return false,
        };
        path == file || folder.is_some_and(|folder| path == folder)
    };
    let used = summary.references.iter().filter(|reference| leads(&reference.target));
    let mut lines: Vec<u32> =
        used.map(|reference| index.position(text, reference.range.start).line + 1).collect();
    lines.dedup();
    lines
}

/// A path without `.` and `..`.
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
