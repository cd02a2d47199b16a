//! The trait through which everything in this crate sees files.
//!
//! It asks for the few things that discovery and import resolution need. The disk implements it in
//! `vfs`, [`MemoryFiles`](crate::MemoryFiles) in tests.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// What stands at a path, symbolic links not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// Why a path could not be looked at, as the state that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// Nothing is there (any more).
    Missing,
    /// The system does not let us look.
    Denied,
    /// Symbolic links lead in a circle.
    LinkLoop,
    /// A folder, device, socket or pipe where a file was asked for.
    NotAFile,
    /// Something else where a folder was asked for.
    NotAFolder,
    /// The bytes are no UTF-8.
    NotUtf8 {
        /// Offset of the first byte that is none.
        offset: usize,
    },
    /// The file is larger than the limit.
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// Anything else, in the system's words.
    Other(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::Denied => f.write_str("permission denied"),
            Self::LinkLoop => f.write_str("its symbolic links lead in a circle"),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::NotAFolder => f.write_str("it is not a folder"),
            Self::NotUtf8 { offset } => write!(f, "it is not UTF-8 (byte {offset})"),
            Self::TooLarge { size } => write!(f, "it is too large ({size} bytes)"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

/// Read access to a tree of files. Relative paths are taken from wherever the implementation
/// stands; this crate passes on what it was given and what [`real_path`](Self::real_path) answers.
pub trait Files: Send + Sync {
    /// The text of the file at `path`, symbolic links followed.
    ///
    /// Errors: [`Problem::TooLarge`] when it has more than `max_bytes` bytes; such a file is not
    /// read. May block.
    fn read(&self, path: &Path, max_bytes: u64) -> Result<String, Problem>;

    /// What stands at `path`, symbolic links not followed.
    fn kind(&self, path: &Path) -> Result<EntryKind, Problem>;

    /// The absolute path without symbolic links, `.` and `..` that names the same thing.
    fn real_path(&self, path: &Path) -> Result<PathBuf, Problem>;

    /// Calls `visit` with the name and kind of every entry of `folder`, in any order, without
    /// `.` and `..`. A walk calls this once a folder, so it should not look at each entry again
    /// to tell its kind.
    ///
    /// Errors: entries may have been visited before the problem was met.
    fn list(&self, folder: &Path, visit: &mut dyn FnMut(&OsStr, EntryKind)) -> Result<(), Problem>;
}
