//! Reading: what is at a path, as an answer rather than an error.
//!
//! A checker that walks a whole tree meets pipes, devices, binary files and files that go away
//! under its hands. None of them is a failure of the run, so none of them is an `Err`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The largest Nix source that the program reads, in bytes: every size and position in one stays
/// below 64 MiB.
pub const SOURCE_LIMIT: u64 = (64 << 20) - 1;

/// What a directory entry is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

impl From<fs::FileType> for FileKind {
    fn from(file_type: fs::FileType) -> Self {
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_symlink() {
            Self::Symlink
        } else {
            Self::Other
        }
    }
}

/// What [`read`] found at a path.
#[derive(Debug)]
pub enum Content {
    /// UTF-8 text. NUL bytes and a byte order mark are part of it.
    Text(String),
    /// A regular file that is not UTF-8.
    NotUtf8 {
        /// Offset of the first byte that does not belong to a character.
        first_bad: usize,
    },
    /// A regular file above the limit. Nothing of it was read unless it grew meanwhile.
    TooLarge {
        /// Its size in bytes; at least this much.
        size: u64,
    },
    /// A directory, pipe, socket or device. Nothing was read.
    NotAFile(FileKind),
    /// Nothing is there (any more), or a symlink that leads nowhere.
    Vanished,
    /// The file or a folder on the way may not be read.
    Denied,
    /// Anything else: a disk error, a loop of symlinks, too many open files.
    Failed(io::Error),
}

/// Reads the regular file at `path`, following symlinks, if it has at most `limit` bytes.
///
/// Never waits for a pipe, terminal or device. Cost: five system calls and one allocation of the
/// file's size.
#[must_use]
pub fn read(path: &Path, limit: u64) -> Content {
    match read_bytes(path, limit) {
        Ok(bytes) => String::from_utf8(bytes).map_or_else(
            |error| Content::NotUtf8 { first_bad: error.utf8_error().valid_up_to() },
            Content::Text,
        ),
        Err(found) => found,
    }
}

fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Content> {
    // Without NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(errno) => return Err(not_opened(errno)),
    };
    let meta = file.metadata().map_err(Content::Failed)?;
    if !meta.is_file() {
        return Err(Content::NotAFile(meta.file_type().into()));
    }
    if meta.len() > limit {
        return Err(Content::TooLarge { size: meta.len() });
    }
    // One byte more than it should have, so that the read which meets the end needs no growing.
    let mut bytes = Vec::with_capacity(meta.len() as usize + 1);
    loop {
        match rustix::io::read(&file, spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) if bytes.len() as u64 > limit => {
                return Err(Content::TooLarge { size: bytes.len() as u64 });
            }
            Ok(_) if bytes.len() == bytes.capacity() => bytes.reserve(64 << 10),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Content::Failed(errno.into())),
        }
    }
}

fn not_opened(errno: Errno) -> Content {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Content::Vanished,
        Errno::ACCESS | Errno::PERM => Content::Denied,
        // A socket, or a device without a driver.
        Errno::NXIO | Errno::NODEV => Content::NotAFile(FileKind::Other),
        errno => Content::Failed(errno.into()),
    }
}

/// What `path` itself is, without following a symlink; `None` if nothing is there.
pub fn kind(path: &Path) -> io::Result<Option<FileKind>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta.file_type().into())),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DirItem {
    /// Its name.
    pub name: OsString,
    /// What it is; a symlink is not followed.
    pub kind: FileKind,
}

/// The entries of the directory `path`, sorted by the bytes of their names, without `.` and `..`.
pub fn list_dir(path: &Path) -> io::Result<Vec<DirItem>> {
    let mut items = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // An entry that goes away between the listing and this look is as good as never there.
        match entry.file_type() {
            Ok(file_type) => {
                items.push(DirItem { name: entry.file_name(), kind: file_type.into() });
            }
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error),
        }
    }
    items.sort_unstable();
    Ok(items)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Puts `bytes` into a file and shows what reading it says.
    fn check(bytes: &[u8], limit: u64) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.nix");
        fs::write(&path, bytes).unwrap();
        format!("{:?}", read(&path, limit))
    }

    #[test]
    fn reads_text_with_nul_and_mark() {
        assert_eq!(check(b"", 0), r#"Text("")"#);
        assert_eq!(check(b"{ }\r\n", 99), r#"Text("{ }\r\n")"#);
        assert_eq!(check(b"a\0b", 3), r#"Text("a\0b")"#);
        assert_eq!(check("\u{feff}λ".as_bytes(), 99), r#"Text("\u{feff}λ")"#);
    }

    #[test]
    fn names_the_first_bad_byte() {
        assert_eq!(check(b"ab\xffc\xfe", 99), "NotUtf8 { first_bad: 2 }");
        assert_eq!(check(b"\xce", 99), "NotUtf8 { first_bad: 0 }");
    }

    #[test]
    fn limit_is_inclusive() {
        assert_eq!(check(b"1234", 4), r#"Text("1234")"#);
        assert_eq!(check(b"12345", 4), "TooLarge { size: 5 }");
    }

    #[test]
    fn reads_files_that_claim_to_be_empty() {
        let Content::Text(text) = read(Path::new("/proc/self/status"), SOURCE_LIMIT) else {
            panic!("no text");
        };
        assert!(text.starts_with("Name:"));
        let found = read(Path::new("/proc/self/status"), 10);
        assert!(matches!(found, Content::TooLarge { .. }), "{found:?}");
    }

    #[test]
    fn does_not_hang_on_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let fifo = (rustix::fs::FileType::Fifo, Mode::from(0o644));
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo.0, fifo.1, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (path, kind) in [
            (at("pipe"), FileKind::Other),
            (at("socket"), FileKind::Other),
            ("/dev/zero".into(), FileKind::Other),
            (dir.path().into(), FileKind::Directory),
        ] {
            let found = read(&path, SOURCE_LIMIT);
            assert!(matches!(found, Content::NotAFile(k) if k == kind), "{path:?}: {found:?}");
        }
    }

    #[test]
    fn says_what_is_missing_or_broken() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "x").unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("file", at("link")).unwrap();
        assert!(matches!(read(&at("none"), 9), Content::Vanished));
        assert!(matches!(read(&at("file/below"), 9), Content::Vanished));
        assert!(matches!(read(&at("dangling"), 9), Content::Vanished));
        assert!(matches!(read(&at("loop"), 9), Content::Failed(_)));
        assert!(matches!(read(&at("link"), 9), Content::Text(text) if text == "x"));
    }

    #[test]
    fn lists_sorted_with_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("b"), "").unwrap();
        fs::create_dir(at("c")).unwrap();
        symlink("b", at("a")).unwrap();
        let items = list_dir(dir.path()).unwrap();
        let shown: Vec<_> =
            items.iter().map(|item| (item.name.to_str().unwrap(), item.kind)).collect();
        let want = [("a", FileKind::Symlink), ("b", FileKind::File), ("c", FileKind::Directory)];
        assert_eq!(shown, want);
        assert_eq!(kind(&at("a")).unwrap(), Some(FileKind::Symlink));
        assert_eq!(kind(&at("nope")).unwrap(), None);
        assert!(list_dir(&at("nope")).is_err());
    }
}
