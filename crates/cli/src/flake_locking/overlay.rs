//! Files as they are, but for one that has another text: a `flake.nix` that is to be written.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cim_nix_eval::{Fetched, FileKind, Io};
use cim_nix_model::{FlakeRef, References, Registries, Registry, TreeWriter};

/// What lies below, with `text` at `path`.
pub(super) struct Overlay<I> {
    pub(super) below: I,
    /// Absolute, without symbolic links in it.
    pub(super) path: PathBuf,
    pub(super) text: Vec<u8>,
    /// Called before and after a source is fetched.
    pub(super) on_fetch: RefCell<Box<dyn FnMut(bool)>>,
}

impl<I: Io> Io for Overlay<I> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.path { Ok(self.text.clone()) } else { self.below.read(path) }
    }

    fn read_within(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path != self.path {
            return self.below.read_within(path, limit);
        }
        match self.text.len() > limit {
            true => Err(io::ErrorKind::OutOfMemory.into()),
            false => Ok(self.text.clone()),
        }
    }

    fn read_for_archive(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        if path != self.path {
            return self.below.read_for_archive(path, buffer);
        }
        buffer.clone_from(&self.text);
        Ok((self.is_executable(path)?, self.text.len()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        let mut entries = self.below.list(path)?;
        if self.path.parent() == Some(path) {
            let name = self.path.file_name().unwrap_or_default().as_bytes();
            match entries.binary_search_by(|(known, _)| known.as_slice().cmp(name)) {
                Ok(at) => entries[at].1 = FileKind::Regular,
                Err(at) => entries.insert(at, (name.to_vec(), FileKind::Regular)),
            }
        }
        Ok(entries)
    }

    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        if path == self.path { Ok(FileKind::Regular) } else { self.below.link_kind(path) }
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        if path == self.path { Ok(FileKind::Regular) } else { self.below.kind(path) }
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        match path == self.path {
            true => Err(io::ErrorKind::InvalidInput.into()),
            false => self.below.link_target(path),
        }
    }

    fn is_executable(&self, path: &Path) -> io::Result<bool> {
        match self.below.is_executable(path) {
            Err(_) if path == self.path => Ok(false),
            found => found,
        }
    }

    fn add_text(&self, path: &str, text: &[u8], references: &References) -> io::Result<()> {
        self.below.add_text(path, text, references)
    }

    fn add_tree(
        &self,
        path: &str,
        write: &mut dyn FnMut(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        self.below.add_tree(path, write)
    }

    fn build(&self, derivation: &str, output: &str) -> Result<String, String> {
        self.below.build(derivation, output)
    }

    /// The file counts in its repository even if Git does not know it yet: whoever writes it makes
    /// it known.
    fn fetch(&self, source: &FlakeRef) -> Result<Fetched, String> {
        (self.on_fetch.borrow_mut())(true);
        let fetched = self.below.fetch(source);
        (self.on_fetch.borrow_mut())(false);
        let mut fetched = fetched?;
        if let Some(tracked) = &mut fetched.tracked
            && let Ok(inside) = self.path.strip_prefix(&fetched.path)
        {
            let inside = OsStr::as_bytes(inside.as_os_str()).to_vec();
            if !tracked.files.contains(&inside) {
                tracked.files.push(inside);
            }
        }
        Ok(fetched)
    }

    fn registry(&self, number: usize, registries: Registries) -> Option<Result<Registry, String>> {
        self.below.registry(number, registries)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.below.variable(name)
    }
}
