//! The files that an evaluation sees: those of its [`Io`], source trees that were fetched and stand
//! at store paths, and the bounds of pure evaluation.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::evaluator::to_path;
use crate::io::{FileKind, Io, Tracked};

/// A source tree at a store path, whatever folder it really lies in.
struct Mount {
    store_path: Vec<u8>,
    real: PathBuf,
    /// How paths in it are shown to people.
    shown: Vec<u8>,
    tracked: Option<Rc<TrackedFiles>>,
}

struct TrackedFiles {
    repository: String,
    /// The files and the folders above them, relative.
    paths: HashSet<Vec<u8>>,
}

/// The names in a folder with their kinds.
pub(crate) type Listing = Rc<[(Vec<u8>, FileKind)]>;

/// The files of one evaluation.
pub(crate) struct World {
    io: Box<dyn Io>,
    mounts: RefCell<Vec<Rc<Mount>>>,
    /// Folders that were listed.
    listings: RefCell<FxHashMap<Vec<u8>, Listing>>,
    store_dir: Vec<u8>,
    is_pure: bool,
}

/// What a path leads to.
enum Way {
    Plain(PathBuf),
    Mounted { real: PathBuf, mount: Rc<Mount>, rest: Vec<u8> },
}

fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    match path.strip_prefix(folder)? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

impl World {
    pub(crate) fn new(io: Box<dyn Io>, store_dir: &str, is_pure: bool) -> Self {
        Self {
            io,
            mounts: RefCell::default(),
            listings: RefCell::default(),
            store_dir: store_dir.as_bytes().to_vec(),
            is_pure,
        }
    }

    /// The outside itself, for what are no files of the evaluation.
    pub(crate) fn io(&self) -> &dyn Io {
        &*self.io
    }

    pub(crate) fn is_pure(&self) -> bool {
        self.is_pure
    }

    /// A path that nothing else has, for a source whose store path is not known yet.
    pub(crate) fn nowhere(&self) -> String {
        format!("/\0source-{}", self.mounts.borrow().len())
    }

    /// Lets a store path stand for a folder.
    pub(crate) fn mount(
        &self,
        store_path: &str,
        real: PathBuf,
        shown: String,
        tracked: Option<&Tracked>,
    ) {
        let store_path = store_path.as_bytes().to_vec();
        let mut mounts = self.mounts.borrow_mut();
        if mounts.iter().any(|mount| mount.store_path == store_path) {
            return;
        }
        let tracked = tracked.map(|tracked| {
            let mut paths = HashSet::from([Vec::new()]);
            for file in &tracked.files {
                let mut path: &[u8] = file;
                while paths.insert(path.to_vec()) {
                    path = match path.iter().rposition(|&byte| byte == b'/') {
                        Some(at) => &path[..at],
                        None => break,
                    };
                }
            }
            Rc::new(TrackedFiles { repository: tracked.repository.clone(), paths })
        });
        mounts.push(Rc::new(Mount { store_path, real, shown: shown.into_bytes(), tracked }));
    }

    /// A path as people know it; the top of a source ends in a slash, as Nix shows it.
    pub(crate) fn shown(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mounts = self.mounts.borrow();
        // The folder of all sources is the top of their file system.
        if path == self.store_dir && !mounts.is_empty() {
            return Some([path, b"/"].concat());
        }
        mounts.iter().find_map(|mount| {
            let rest = below(path, &mount.store_path)?;
            Some([&mount.shown, &b"/"[..], rest].concat())
        })
    }

    /// What stands for a path in a source that was fetched: where it really lies, how it is shown,
    /// and its files that count.
    pub(crate) fn fetched(&self, path: &[u8]) -> Option<(PathBuf, String, Option<Tracked>)> {
        let mounts = self.mounts.borrow();
        mounts.iter().find_map(|mount| {
            let rest = below(path, &mount.store_path)?;
            let real =
                if rest.is_empty() { mount.real.clone() } else { mount.real.join(to_path(rest)) };
            let inside = |file: &Vec<u8>| match rest {
                [] => Some(file.clone()),
                rest => below(file, rest).map(<[u8]>::to_vec),
            };
            let tracked = mount.tracked.as_ref().map(|tracked| Tracked {
                repository: tracked.repository.clone(),
                files: tracked.paths.iter().filter_map(inside).collect(),
            });
            let shown = String::from_utf8_lossy(&mount.shown).into_owned();
            let rest = String::from_utf8_lossy(rest);
            Some((real, if rest.is_empty() { shown } else { format!("{shown}/{rest}") }, tracked))
        })
    }

    fn way(&self, path: &[u8]) -> io::Result<Way> {
        if !self.is_pure && self.mounts.borrow().is_empty() {
            return Ok(Way::Plain(to_path(path)));
        }
        for mount in &*self.mounts.borrow() {
            let Some(rest) = below(path, &mount.store_path) else { continue };
            let real =
                if rest.is_empty() { mount.real.clone() } else { mount.real.join(to_path(rest)) };
            return Ok(Way::Mounted { real, mount: mount.clone(), rest: rest.to_vec() });
        }
        // In the store, what is there once is there for good.
        let in_store = below(path, &self.store_dir).is_some_and(|rest| {
            rest.len() > 33
                && self.io.link_kind(&to_path(&path[..self.store_dir.len() + 34])).is_ok()
        });
        if self.is_pure && !in_store && path != b"/" && path != self.store_dir {
            let shown = String::from_utf8_lossy(path);
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "access to absolute path '{shown}' is forbidden in pure evaluation mode (use '--impure' to override)"
                ),
            ));
        }
        Ok(Way::Plain(to_path(path)))
    }

    /// Where a path really leads.
    fn real(&self, path: &[u8]) -> io::Result<PathBuf> {
        match self.way(path)? {
            Way::Plain(path) => Ok(path),
            Way::Mounted { real, mount, rest } => {
                let Some(tracked) = &mount.tracked else { return Ok(real) };
                if tracked.paths.contains(&rest) {
                    return Ok(real);
                }
                let name = String::from_utf8_lossy(&rest);
                let repository = &tracked.repository;
                let message = match self.io.link_kind(&real) {
                    Ok(_) => format!(
                        "Path '{name}' in the repository \"{repository}\" is not tracked by Git.\n\nTo make it visible to Nix, run:\n\ngit -C \"{repository}\" add \"{name}\""
                    ),
                    Err(_) => {
                        format!("Path '{name}' does not exist in Git repository \"{repository}\".")
                    }
                };
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        }
    }

    pub(crate) fn read(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        self.io.read(&self.real(path)?)
    }

    /// The bytes of a file that has at most so many.
    pub(crate) fn read_within(&self, path: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        self.io.read_within(&self.real(path)?, limit)
    }

    pub(crate) fn read_for_archive(
        &self,
        path: &[u8],
        buffer: &mut Vec<u8>,
    ) -> io::Result<(bool, usize)> {
        self.io.read_for_archive(&self.real(path)?, buffer)
    }

    /// Looks anew at what is asked for from now on.
    pub(crate) fn forget(&self) {
        self.listings.borrow_mut().clear();
    }

    /// What is in a folder; the same until somebody [forgets](Self::forget) it.
    pub(crate) fn list(&self, path: &[u8]) -> io::Result<Listing> {
        if let Some(known) = self.listings.borrow().get(path) {
            return Ok(known.clone());
        }
        let listing = Listing::from(self.read_folder(path)?);
        self.listings.borrow_mut().insert(path.to_vec(), listing.clone());
        Ok(listing)
    }

    fn read_folder(&self, path: &[u8]) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        let real = self.real(path)?;
        let mut entries = self.io.list(&real)?;
        if let Way::Mounted { mount, rest, .. } = self.way(path)?
            && let Some(tracked) = &mount.tracked
        {
            let slash: &[u8] = if rest.is_empty() { b"" } else { b"/" };
            entries.retain(|(name, _)| tracked.paths.contains(&[&rest[..], slash, name].concat()));
        }
        Ok(entries)
    }

    pub(crate) fn link_kind(&self, path: &[u8]) -> io::Result<FileKind> {
        // The folders above the store exist for whoever walks down to it.
        if self.is_pure && below(&self.store_dir, path).is_some() {
            return Ok(FileKind::Directory);
        }
        self.io.link_kind(&self.real(path)?)
    }

    pub(crate) fn kind(&self, path: &[u8]) -> io::Result<FileKind> {
        self.io.kind(&self.real(path)?)
    }

    pub(crate) fn link_target(&self, path: &[u8]) -> io::Result<PathBuf> {
        self.io.link_target(&self.real(path)?)
    }
}
