//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that is not whole yet; removed unless it is finished.
pub(crate) struct Partial(PathBuf);

impl Partial {
    /// An empty file beside `to`, which must not exist.
    pub(crate) fn make(to: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let path = beside(to)?;
        // Only its owner may read it from the start.
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the file its name, once it is on the disk for sure.
    pub(crate) fn finish(&self, to: &Path) -> io::Result<()> {
        fs::File::open(&self.0)?.sync_all()?;
        // A link never replaces what somebody has put there in the meantime.
        match fs::hard_link(&self.0, to) {
            // Some file systems have no links.
            Err(error) if is_without_links(&error) => {
                if fs::symlink_metadata(to).is_ok() {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                fs::rename(&self.0, to)?;
            }
            linked => {
                linked?;
                fs::remove_file(&self.0)?;
            }
        }
        let folder = to.parent().filter(|folder| *folder != Path::new(""));
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already where it was finished.
        let _ = fs::remove_file(&self.0);
    }
}

/// A file without a name, on the disk that holds `path`: it is gone when it is closed.
pub(crate) fn nameless(path: &Path) -> io::Result<fs::File> {
    let name = beside(path)?;
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&name)?;
    fs::remove_file(&name)?;
    Ok(file)
}

/// A name beside `path` that nobody has.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".partial-{}-{number}", std::process::id()));
    let path = path.with_file_name(name);
    // Whoever had this number is gone, and may have been killed.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(path),
    }
}

fn is_without_links(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)
}
