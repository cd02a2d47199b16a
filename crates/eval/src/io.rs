//! What an evaluation sees of the world.

use cim_nix_model::{FlakeRef, References, Registries, Registry, TreeWriter};
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

/// A source that was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The folder or file.
    pub path: PathBuf,
    /// How paths in it are shown to people.
    pub shown: String,
    /// The reference with all that is known now: hash, revision, dates.
    pub source: FlakeRef,
    /// The files that count, where not all do.
    pub tracked: Option<Tracked>,
}

/// The files that Git knows in a working tree.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The folder of the working tree.
    pub repository: String,
    /// The files, relative to it.
    pub files: Vec<Vec<u8>>,
}

/// The files and the environment that an evaluation may look at.
///
/// One evaluation should see one version of each file, so whoever implements this on changing
/// files remembers what it has read.
pub trait Io {
    /// The bytes of a file, links followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The same of a file with at most so many bytes.
    ///
    /// Errors: those of reading; it is longer ([`io::ErrorKind::OutOfMemory`]), or what lies there
    /// is neither a file nor a folder.
    fn read_within(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        match bytes.len() > limit {
            true => Err(io::ErrorKind::OutOfMemory.into()),
            false => Ok(bytes),
        }
    }
    /// Reads a file, links not followed: whether its owner may run it, and how many bytes it has.
    /// These are the first ones of `buffer`, which may be longer, so that it can be used again and
    /// again without being cleared.
    fn read_for_archive(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        *buffer = self.read(path)?;
        Ok((self.is_executable(path)?, buffer.len()))
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
    /// Keeps a file tree under a store path; `write` gives its nodes.
    fn add_tree(
        &self,
        _path: &str,
        _write: &mut dyn FnMut(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        Ok(())
    }
    /// Builds an output of a derivation, of which all that was instantiated so far is known from
    /// [`add_text`](Self::add_text) and [`add_tree`](Self::add_tree); gives the output's path.
    fn build(&self, _derivation: &str, _output: &str) -> Result<String, String> {
        Err("import from derivation is not possible here".to_owned())
    }
    /// Brings a source to this machine, or finds it where it is.
    fn fetch(&self, source: &FlakeRef) -> Result<Fetched, String> {
        Err(format!("cannot fetch '{source}': fetching is not possible here"))
    }
    /// The registry at a place in the order in which they are asked, counted from 0, if there are
    /// so many; those that are not among `registries` are left out.
    fn registry(
        &self,
        _number: usize,
        _registries: Registries,
    ) -> Option<Result<Registry, String>> {
        None
    }
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}
