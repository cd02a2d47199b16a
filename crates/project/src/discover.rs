//! The walk that finds the files of a project.
//!
//! Finds `*.nix` and `flake.lock` in folders and takes whatever is named outright. A walk looks at
//! names only: whether a file can be read, and whether a tool wrote it, is asked when it is read.
//!
//! Symbolic links inside a folder are never followed. One that leads to another place in the folder
//! would only find files a second time, one that leads out of it (`result` into the store) finds
//! files that are not the project's, and so no circle of links can hold the walk up. A link that is
//! named outright is followed, and what it leads to is reported under its real path.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::patterns::Verdict;
use crate::rules::{Excludes, Markers, Rules};
use crate::snapshot::{SourceFile, sort};
use crate::{EntryKind, Files, Problem};

/// What to look for, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// Files, taken whatever they are called and whatever rules say, and folders to walk.
    pub paths: Vec<PathBuf>,
    /// What the configuration leaves out of the walk.
    pub excludes: Excludes,
    /// Whether the walk enters hidden folders. `.git` is never entered.
    pub hidden: bool,
    /// Whether `.gitignore` and its kin are obeyed.
    pub ignore_files: bool,
}

impl Request {
    /// Looks in `paths` without excludes, obeys ignore files and enters no hidden folders.
    #[must_use]
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            excludes: Excludes::default(),
            hidden: false,
            ignore_files: true,
        }
    }
}

/// A path that could not be looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The path as it was asked for or met.
    pub path: PathBuf,
    /// What was found instead.
    pub problem: Problem,
}

/// How much a walk passed by; a folder counts once, whatever it holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LeftOut {
    /// Nix files and folders that an ignore file or `exclude` leaves out.
    pub ignored: usize,
    /// Hidden folders.
    pub hidden: usize,
    /// Symbolic links.
    pub links: usize,
}

/// What [`discover`] found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Discovery {
    /// The files, each once, in the order of their paths' bytes.
    pub files: Vec<SourceFile>,
    /// What could not be looked at, in the order of the paths.
    pub troubles: Vec<Trouble>,
    /// How much was passed by.
    pub left_out: LeftOut,
}

/// Finds the files that `request` asks for.
///
/// Shape: paths are real (absolute, without symbolic links), so a file that is reached in two ways
/// occurs once. Cost: one listing a folder; no file is opened but ignore files. May block.
#[must_use]
pub fn discover(files: &dyn Files, request: &Request) -> Discovery {
    let mut walk = Walk { files, request, out: Discovery::default(), todo: Vec::new() };
    let mut folders = Vec::new();
    for path in &request.paths {
        match locate(files, path) {
            Ok((real, EntryKind::Folder)) => folders.push(real),
            Ok((real, EntryKind::File)) => walk.take(&real, true),
            Ok(_) => walk.trouble(path.clone(), Problem::NotAFile),
            Err(problem) => walk.trouble(path.clone(), problem),
        }
    }
    folders.sort();
    folders.dedup();
    for folder in folders {
        walk.root(folder);
    }
    let mut out = walk.out;
    sort(&mut out.files);
    out.troubles.sort_by(|a, b| a.path.cmp(&b.path));
    out.troubles.dedup();
    out
}

fn locate(files: &dyn Files, path: &Path) -> Result<(PathBuf, EntryKind), Problem> {
    let real = files.real_path(path)?;
    let kind = files.kind(&real)?;
    Ok((real, kind))
}

struct Walk<'a> {
    files: &'a dyn Files,
    request: &'a Request,
    out: Discovery,
    /// Folders that wait, with the rules that hold around them.
    todo: Vec<(PathBuf, Option<Rc<Rules>>)>,
}

/// What the walk wants to know of one folder.
#[derive(Default)]
struct Listing {
    markers: Markers,
    /// Folders and files that could be taken.
    entries: Vec<(OsString, EntryKind)>,
    n_links: usize,
}

impl Walk<'_> {
    fn root(&mut self, folder: PathBuf) {
        let rules = if self.request.ignore_files {
            Rules::around(self.files, &folder, &mut self.out.troubles)
        } else {
            None
        };
        self.todo.push((folder, rules));
        let mut listing = Listing::default();
        while let Some((folder, rules)) = self.todo.pop() {
            self.folder(&folder, rules, &mut listing);
        }
    }

    fn folder(&mut self, folder: &Path, above: Option<Rc<Rules>>, listing: &mut Listing) {
        listing.markers = Markers::default();
        listing.entries.clear();
        listing.n_links = 0;
        let listed = self.files.list(folder, &mut |name, kind| listing.add(name, kind));
        if let Err(problem) = listed {
            self.trouble(folder.to_owned(), problem);
        }
        self.out.left_out.links += listing.n_links;
        let rules = if self.request.ignore_files {
            let troubles = &mut self.out.troubles;
            Rules::enter(self.files, folder, listing.markers, above, troubles)
        } else {
            None
        };
        // One buffer for all paths of the folder: the longest of them is allocated, not each.
        let mut path = folder.to_owned();
        for (name, kind) in &listing.entries {
            path.push(name);
            match kind {
                EntryKind::Folder if self.enters(&path, is_hidden(name), rules.as_deref()) => {
                    self.todo.push((path.clone(), rules.clone()));
                }
                EntryKind::File if self.is_kept(&path, rules.as_deref()) => {
                    self.take(&path, false);
                }
                _ => {}
            }
            path.pop();
        }
    }

    fn enters(&mut self, folder: &Path, is_hidden: bool, rules: Option<&Rules>) -> bool {
        let bytes = folder.as_os_str().as_encoded_bytes();
        let ours = self.request.excludes.verdict(bytes, true);
        if is_hidden && !self.request.hidden && ours.is_none() {
            self.out.left_out.hidden += 1;
            return false;
        }
        self.heed(ours.or_else(|| rules?.verdict(bytes, true)))
    }

    fn is_kept(&mut self, file: &Path, rules: Option<&Rules>) -> bool {
        let bytes = file.as_os_str().as_encoded_bytes();
        let ours = self.request.excludes.verdict(bytes, false);
        self.heed(ours.or_else(|| rules?.verdict(bytes, false)))
    }

    fn heed(&mut self, verdict: Option<Verdict>) -> bool {
        let is_left_out = verdict == Some(Verdict::LeftOut);
        self.out.left_out.ignored += usize::from(is_left_out);
        !is_left_out
    }

    fn take(&mut self, path: &Path, is_named: bool) {
        self.out.files.push(SourceFile { path: path.into(), is_named });
    }

    fn trouble(&mut self, path: PathBuf, problem: Problem) {
        self.out.troubles.push(Trouble { path, problem });
    }
}

impl Listing {
    fn add(&mut self, name: &OsStr, kind: EntryKind) {
        match kind {
            EntryKind::Folder if name == ".git" => self.markers.git = Some(kind),
            EntryKind::Folder => self.entries.push((name.to_owned(), kind)),
            EntryKind::File => match name.as_encoded_bytes() {
                b".git" => self.markers.git = Some(kind),
                b".gitignore" => self.markers.gitignore = true,
                b".ignore" => self.markers.ignore = true,
                name_bytes if is_source(name_bytes) => self.entries.push((name.to_owned(), kind)),
                _ => {}
            },
            EntryKind::Link => self.n_links += 1,
            EntryKind::Other => {}
        }
    }
}

/// Whether a walk takes a file of this name; `.nix` alone is a hidden file without extension.
fn is_source(name: &[u8]) -> bool {
    name == b"flake.lock" || (name.ends_with(b".nix") && name.len() > b".nix".len())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests;
