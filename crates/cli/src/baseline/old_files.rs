//! The files of a revision, read as if they lay on the disk.
//!
//! Those that have not changed since are read where they lie; the others come from Git, all at once.
//! Whatever is outside of the repository, or in its `.git`, is as it is now.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use crate::reading::OurFiles;
use cim_nix_base::Error;
use cim_nix_project::{EntryKind, Files, Problem};

use crate::git::{Change, Repository, TreeEntry};
use crate::reading::{SourceText, Sources};

/// The files of a revision.
pub(super) struct OldFiles {
    top: PathBuf,
    /// Everything below the top, folders included.
    kinds: HashMap<PathBuf, EntryKind>,
    /// What lies in each folder.
    folders: HashMap<PathBuf, Vec<(OsString, EntryKind)>>,
    /// What has another content now.
    contents: HashMap<PathBuf, Vec<u8>>,
}

impl OldFiles {
    /// Errors: Git does not give the files.
    pub(super) fn read(
        repository: &Repository,
        commit: &str,
        changes: &[Change],
    ) -> Result<Self, Error> {
        let tree = repository.tree(commit)?;
        let changed: Vec<&Path> =
            changes.iter().filter_map(|change| change.old.as_deref()).collect();
        let by_path: HashMap<&Path, &TreeEntry> =
            tree.iter().map(|entry| (&*entry.path, entry)).collect();
        let wanted: Vec<&TreeEntry> = changed
            .iter()
            .filter_map(|path| by_path.get(path).copied())
            .filter(|entry| entry.kind == EntryKind::File && is_read(&entry.path))
            .collect();
        let ids: Vec<&str> = wanted.iter().map(|entry| &*entry.id).collect();
        let found = repository.contents(&ids)?;
        let content =
            |entry: &&TreeEntry| Some((entry.path.clone(), found.get(&entry.id)?.clone()));
        let contents = wanted.iter().filter_map(content).collect();
        let mut files = Self {
            top: repository.top.clone(),
            kinds: HashMap::new(),
            folders: HashMap::new(),
            contents,
        };
        files.kinds.insert(files.top.clone(), EntryKind::Folder);
        for TreeEntry { path, kind, .. } in &tree {
            files.add(path, *kind);
        }
        if let Ok(kind) = OurFiles.kind(&files.top.join(".git")) {
            files.folders.entry(files.top.clone()).or_default().push((".git".into(), kind));
        }
        Ok(files)
    }

    /// Adds a file, and the folders that it lies in.
    fn add(&mut self, path: &Path, kind: EntryKind) {
        let (mut path, mut kind) = (path, kind);
        while self.kinds.insert(path.to_path_buf(), kind).is_none() {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
            let siblings = self.folders.entry(folder.to_path_buf()).or_default();
            siblings.push((name.to_owned(), kind));
            (path, kind) = (folder, EntryKind::Folder);
        }
    }

    /// Whether the revision has a file at `path`.
    pub(super) fn has_file(&self, path: &Path) -> bool {
        self.kinds.get(path) == Some(&EntryKind::File)
    }

    /// Whether the revision has a say about `path`.
    fn is_inside(&self, path: &Path) -> bool {
        let inside = path.strip_prefix(&self.top);
        inside.is_ok_and(|inside| {
            inside.components().next() != Some(Component::Normal(".git".as_ref()))
        })
    }
}

/// Whether a file of this name is ever read.
fn is_read(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_code = path.extension().is_some_and(|end| end == "nix");
    is_code || [".gitignore", ".ignore", "flake.lock"].iter().any(|known| name == *known)
}

impl Files for OldFiles {
    fn read(&self, path: &Path, max_bytes: u64) -> Result<String, Problem> {
        if !self.is_inside(path) {
            return OurFiles.read(path, max_bytes);
        }
        if let Some(bytes) = self.contents.get(path) {
            if bytes.len() as u64 > max_bytes {
                return Err(Problem::TooLarge { size: bytes.len() as u64 });
            }
            let text = String::from_utf8(bytes.clone());
            return text
                .map_err(|error| Problem::NotUtf8 { offset: error.utf8_error().valid_up_to() });
        }
        match self.kinds.get(path) {
            Some(EntryKind::File | EntryKind::Link) => OurFiles.read(path, max_bytes),
            Some(_) => Err(Problem::NotAFile),
            None => Err(Problem::Missing),
        }
    }

    fn kind(&self, path: &Path) -> Result<EntryKind, Problem> {
        match self.is_inside(path) {
            true => self.kinds.get(path).copied().ok_or(Problem::Missing),
            false => OurFiles.kind(path),
        }
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, Problem> {
        // What is still there may be reached through links; what is gone is taken as it is written.
        let real = OurFiles.real_path(path).unwrap_or_else(|_| plain(path));
        if !self.is_inside(&real) || self.kinds.contains_key(&real) {
            return Ok(real);
        }
        let plain = plain(path);
        self.kinds.contains_key(&plain).then_some(plain).ok_or(Problem::Missing)
    }

    fn list(&self, folder: &Path, visit: &mut dyn FnMut(&OsStr, EntryKind)) -> Result<(), Problem> {
        if !self.is_inside(folder) {
            return OurFiles.list(folder, visit);
        }
        let Some(entries) = self.folders.get(folder) else {
            return match self.kinds.get(folder) {
                Some(EntryKind::Folder) => Ok(()),
                Some(_) => Err(Problem::NotAFolder),
                None => Err(Problem::Missing),
            };
        };
        for (name, kind) in entries {
            visit(name, *kind);
        }
        Ok(())
    }
}

impl Sources for OldFiles {
    fn source(&self, path: &Path) -> Result<SourceText, Problem> {
        if let Some(bytes) = self.contents.get(path) {
            return Ok(SourceText::new(bytes.clone()));
        }
        match self.is_inside(path) && !self.has_file(path) {
            true => Err(Problem::Missing),
            false => OurFiles.source(path),
        }
    }
}

/// `path` without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in crate::scope::here().join(path).components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            _ => out.push(part),
        }
    }
    out
}
