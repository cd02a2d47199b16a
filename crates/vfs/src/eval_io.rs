//! The files and the environment of this machine, for the evaluator.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cim_nix_eval::{FileKind, Io};

/// The disk and the environment as they are.
#[derive(Clone, Copy, Default, Debug)]
pub struct DiskIo;

fn kind_of(kind: std::fs::FileType) -> FileKind {
    if kind.is_symlink() {
        FileKind::Symlink
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_file() {
        FileKind::Regular
    } else {
        FileKind::Unknown
    }
}

impl Io for DiskIo {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn read_for_archive(&self, path: &Path, bytes: &mut Vec<u8>) -> io::Result<bool> {
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut file = std::fs::File::options().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        // One byte more than there should be: that the file ends needs no further question then.
        bytes.clear();
        bytes.resize(metadata.len() as usize + 1, 0);
        let mut filled = 0;
        loop {
            match file.read(&mut bytes[filled..]) {
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if filled == bytes.len() {
                // It has grown meanwhile.
                bytes.resize(filled * 2, 0);
            } else if filled as u64 >= metadata.len() {
                break;
            } else {
                bytes.truncate(filled);
                file.read_to_end(bytes)?;
                filled = bytes.len();
                break;
            }
        }
        bytes.truncate(filled);
        Ok(metadata.mode() & 0o100 != 0)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().into_encoded_bytes();
            entries.push((name, kind_of(entry.file_type()?)));
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(kind_of(std::fs::symlink_metadata(path)?.file_type()))
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(kind_of(std::fs::metadata(path)?.file_type()))
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }

    fn is_executable(&self, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::PermissionsExt as _;

        Ok(std::fs::symlink_metadata(path)?.permissions().mode() & 0o100 != 0)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
