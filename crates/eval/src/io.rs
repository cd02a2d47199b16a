//! What an evaluation sees of the world.

use cim_nix_model::References;
use std::io;
use std::path::{Path, PathBuf};

/// What lies at a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FileKind {
    /// A file.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Unknown,
}

impl FileKind {
    /// The word of `builtins.readFileType`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Unknown => "unknown",
        }
    }
}

/// The files and the environment that an evaluation may look at.
///
/// One evaluation should see one version of each file, so whoever implements this on changing
/// files remembers what it has read.
pub trait Io {
    /// The bytes of a file, links followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Puts the bytes of a file into `bytes`, links not followed, and says whether its owner may
    /// run it.
    fn read_for_archive(&self, path: &Path, bytes: &mut Vec<u8>) -> io::Result<bool> {
        *bytes = self.read(path)?;
        self.is_executable(path)
    }
    /// The names in a folder with their kinds, sorted by name; links are not followed.
    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>>;
    /// What lies at a path; links are not followed.
    fn link_kind(&self, path: &Path) -> io::Result<FileKind>;
    /// What lies at a path; links are followed.
    fn kind(&self, path: &Path) -> io::Result<FileKind>;
    /// Where a symbolic link points, as it is written.
    fn link_target(&self, path: &Path) -> io::Result<PathBuf>;
    /// Whether the owner of a file may run it.
    fn is_executable(&self, path: &Path) -> io::Result<bool>;
    /// Keeps a text, such as a derivation, under a store path. What evaluates without writing to
    /// a store has nothing to do.
    fn add_text(&self, _path: &str, _text: &[u8], _references: &References) -> io::Result<()> {
        Ok(())
    }
    /// Keeps a file tree under a store path; `write` writes its archive.
    fn add_tree(
        &self,
        _path: &str,
        _write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        Ok(())
    }
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}
