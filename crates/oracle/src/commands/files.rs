//! Files of a corpus.

use std::fs;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;

use crate::args::Args;

/// Files above this size are left out of random draws: they would take all the time.
const LARGEST_DRAWN: usize = 200_000;

/// The folder that `--corpus` names.
pub(super) fn corpus_root(args: &Args) -> Result<PathBuf, Error> {
    let root = args.path("corpus")?;
    root.canonicalize().map_err(|cause| unreadable(&root, cause))
}

/// All regular files with the extension `nix` below `root`, sorted by path. Links are not followed.
///
/// Errors: a folder that cannot be read, and no file at all.
pub(super) fn corpus_files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let found = nix_files(root)?;
    if found.is_empty() {
        return Err(Error::user(format!("there is no .nix file below `{}`", root.display()))
            .hint("links are not followed"));
    }
    Ok(found)
}

fn nix_files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|cause| unreadable(&folder, cause))? {
            let entry = entry.map_err(|cause| unreadable(&folder, cause))?;
            let kind = entry.file_type().map_err(|cause| unreadable(&entry.path(), cause))?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|ext| ext == "nix") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file; `None` for one that is too large, no UTF-8 or unreadable.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    String::from_utf8(bytes).ok().filter(|text| text.len() <= LARGEST_DRAWN)
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|cause| unreadable(path, cause))
}

/// Removes the files with the extension `nix` in a folder, if it is there.
pub(super) fn remove_nix_files(folder: &Path) -> Result<(), Error> {
    if !folder.is_dir() {
        return Ok(());
    }
    for path in nix_files(folder)? {
        fs::remove_file(&path).map_err(|cause| unwritable(&path, cause))?;
    }
    Ok(())
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::outside(format!("cannot read `{}`", path.display())).because(cause)
}

/// Writes a file and the folders it lies in.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|cause| unwritable(folder, cause))?;
    }
    fs::write(path, bytes).map_err(|cause| unwritable(path, cause))
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::outside(format!("cannot write `{}`", path.display())).because(cause)
}
