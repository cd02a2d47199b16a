//! Files that exist in memory only.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::io::{FileKind, Io};

/// A file system in memory, and an empty environment: for tests, and for programs that evaluate
/// what they hold.
#[derive(Clone, Default, Debug)]
pub struct MemoryIo {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl MemoryIo {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it. Its folders come into being with it.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    fn below<'m>(&'m self, folder: &'m Path) -> impl Iterator<Item = &'m Path> {
        let files = self.files.range(folder.to_owned()..).map(|(path, _)| path.as_path());
        files.filter_map(move |path| path.strip_prefix(folder).ok())
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Io for MemoryIo {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(missing)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        let mut entries: Vec<(Vec<u8>, FileKind)> = Vec::new();
        for rest in self.below(path) {
            let mut parts = rest.components();
            let Some(Component::Normal(name)) = parts.next() else { continue };
            let kind = match parts.next() {
                Some(_) => FileKind::Directory,
                None => FileKind::Regular,
            };
            entries.push((name.as_encoded_bytes().to_vec(), kind));
        }
        entries.sort();
        entries.dedup();
        if entries.is_empty() { Err(missing()) } else { Ok(entries) }
    }

    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        if self.files.contains_key(path) {
            return Ok(FileKind::Regular);
        }
        match self.below(path).next() {
            Some(_) => Ok(FileKind::Directory),
            None => Err(missing()),
        }
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.link_kind(path)
    }

    fn link_target(&self, _path: &Path) -> io::Result<PathBuf> {
        Err(io::Error::from(io::ErrorKind::InvalidInput))
    }

    fn is_executable(&self, _path: &Path) -> io::Result<bool> {
        Ok(false)
    }

    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}
