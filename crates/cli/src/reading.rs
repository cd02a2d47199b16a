//! Nix code from the disk or from standard input, whatever its bytes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_project::{EntryKind, Files, Problem};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};

use crate::confinement::may_read;
use crate::scope::shown;

/// The files of the machine, as far as this process may look at them; others are not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OurFiles;

impl OurFiles {
    fn check(path: &Path) -> Result<(), Problem> {
        if may_read(path) { Ok(()) } else { Err(Problem::Missing) }
    }
}

impl Files for OurFiles {
    fn read(&self, path: &Path, max_bytes: u64) -> Result<String, Problem> {
        Self::check(path)?;
        DiskFiles.read(path, max_bytes)
    }

    fn kind(&self, path: &Path) -> Result<EntryKind, Problem> {
        Self::check(path)?;
        DiskFiles.kind(path)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, Problem> {
        Self::check(path)?;
        DiskFiles.real_path(path)
    }

    fn list(&self, folder: &Path, visit: &mut dyn FnMut(&OsStr, EntryKind)) -> Result<(), Problem> {
        Self::check(folder)?;
        DiskFiles.list(folder, visit)
    }
}

/// The text of a file.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SourceText {
    pub(crate) text: String,
    /// Where the first byte stood that belongs to no character and had to be replaced.
    pub(crate) first_bad: Option<usize>,
}

impl SourceText {
    /// The bytes as text; those that are none are replaced, since Nix takes any bytes in strings
    /// and comments.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { text, first_bad: None },
            Err(error) => {
                let first_bad = Some(error.utf8_error().valid_up_to());
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Self { text, first_bad }
            }
        }
    }
}

/// Where the files of a run come from.
pub(crate) trait Sources: Files {
    /// The text of the file at `path`, whatever its bytes.
    fn source(&self, path: &Path) -> Result<SourceText, Problem>;
}

impl Sources for OurFiles {
    fn source(&self, path: &Path) -> Result<SourceText, Problem> {
        read(path)
    }
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path) -> Result<SourceText, Problem> {
    match OurFiles.read(path, SOURCE_LIMIT) {
        Ok(text) => Ok(SourceText { text, first_bad: None }),
        // Rare enough to be read twice.
        Err(Problem::NotUtf8 { .. }) => match fs::read(path) {
            Ok(bytes) => Ok(SourceText::new(bytes)),
            Err(error) => Err(Problem::Other(error.to_string())),
        },
        Err(problem) => Err(problem),
    }
}

/// Reads the file that a command was asked for, or standard input for `-`.
///
/// Errors: it cannot be read.
pub(crate) fn read_named(path: &Path) -> Result<SourceText, Error> {
    if is_stdin(path) {
        return Ok(SourceText::new(read_stdin()?));
    }
    read(path).map_err(|problem| Error::user(format!("cannot read `{}`: {problem}", shown(path))))
}

/// Whether `path` stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All of standard input.
///
/// Errors: the system does not let us.
pub(crate) fn read_stdin() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes);
    read.map_err(|error| Error::outside("cannot read standard input").because(error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let text = SourceText::new(b"\"a\xffb\"".to_vec());
        assert_eq!(text, SourceText { text: "\"a\u{fffd}b\"".to_owned(), first_bad: Some(2) });
        assert_eq!(SourceText::new(b"1".to_vec()).first_bad, None);
    }
}
