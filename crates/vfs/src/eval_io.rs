//! The files and the environment of this machine, for the evaluator.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cim_nix_eval::{FileKind, Io};
use cim_nix_model::{References, TreeWriter};

/// The disk and the environment as they are.
#[derive(Default, Debug)]
pub struct DiskIo {
    /// The folder that stands for `/` where derivations and sources are written; none for
    /// evaluation that writes nothing.
    store_root: Option<PathBuf>,
    /// The folder of the store that was made last, to ask for it once only.
    made: RefCell<PathBuf>,
    /// Whether files that nobody may run, and others, come to have the rights that they are made
    /// with, which a `umask` can prevent. Unknown before the first file.
    keeps_mode: [Cell<Option<bool>>; 2],
}

impl DiskIo {
    /// Writes what is instantiated below `root`: a store path `/nix/store/x` becomes
    /// `ROOT/nix/store/x`. What is there already stays as it is.
    #[must_use]
    pub fn writing_to(root: PathBuf) -> Self {
        let parent = root.parent().and_then(|parent| parent.canonicalize().ok());
        let root = match (parent, root.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => root,
        };
        Self { store_root: Some(root), ..Self::default() }
    }

    /// Where a store path that is to be written lies, if it is not there yet.
    fn place(&self, path: &str) -> io::Result<Option<PathBuf>> {
        let Some(root) = &self.store_root else { return Ok(None) };
        let place = root.join(path.trim_start_matches('/'));
        if place.symlink_metadata().is_ok() {
            return Ok(None);
        }
        if let Some(parent) = place.parent()
            && *self.made.borrow() != parent
        {
            std::fs::create_dir_all(parent)?;
            self.made.replace(parent.to_owned());
        }
        Ok(Some(place))
    }

    /// Writes a file that is not there yet, and seals it.
    fn write_sealed(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

        let mut options = std::fs::File::options();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(content)?;
        file.set_modified(sealed_time())?;
        let known = &self.keeps_mode[usize::from(mode & 0o100 != 0)];
        let keeps_mode = match known.get() {
            Some(keeps) => keeps,
            None => file.metadata()?.mode() & 0o777 == mode,
        };
        known.set(Some(keeps_mode));
        if !keeps_mode {
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

/// Store paths are dated to the first second of 1970, as in all stores.
fn sealed_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1)
}

/// Writes a file tree beside its place.
struct TreeFolder<'d> {
    disk: &'d DiskIo,
    at: PathBuf,
}

impl TreeWriter for TreeFolder<'_> {
    fn file(&mut self, is_executable: bool, content: &[u8]) -> io::Result<()> {
        self.disk.write_sealed(&self.at, content, if is_executable { 0o555 } else { 0o444 })
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt as _;

        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), &self.at)
    }

    fn open(&mut self) -> io::Result<()> {
        std::fs::create_dir(&self.at)
    }

    fn entry(&mut self, name: &[u8]) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt as _;

        self.at.push(std::ffi::OsStr::from_bytes(name));
        Ok(())
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.at.pop();
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = std::fs::File::open(&self.at)?;
        folder.set_modified(sealed_time())?;
        folder.set_permissions(std::fs::Permissions::from_mode(0o555))
    }
}

/// Removes a half-written tree, whose folders may not be written to any more.
fn remove_tree(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
        if let Ok(entries) = std::fs::read_dir(path) {
            entries.flatten().for_each(|entry| remove_tree(&entry.path()));
        }
        let _ = std::fs::remove_dir(path);
    } else {
        let _ = std::fs::remove_file(path);
    }
}

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

    fn read_within(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::OpenOptionsExt as _;

        // A pipe that nobody writes to would wait for ever.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = std::fs::File::options().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            let message = format!("'{}' is neither a file nor a folder", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let size = usize::try_from(metadata.len()).map_err(|_| too_large())?;
        if size > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(size + 1);
        // It may grow meanwhile, or say nothing of its size, as files of /proc.
        file.take(limit.saturating_add(1) as u64).read_to_end(&mut bytes)?;
        if bytes.len() > limit { Err(too_large()) } else { Ok(bytes) }
    }

    fn read_for_archive(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut file = std::fs::File::options().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        // One byte more than there should be: that the file ends needs no further question then.
        let wanted = metadata.len() as usize + 1;
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let mut filled = 0;
        loop {
            let n = match file.read(&mut buffer[filled..]) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            filled += n;
            if filled == buffer.len() {
                // It has grown meanwhile, or the kernel gave all that fits.
                buffer.resize(filled * 2, 0);
            } else if n == 0 || filled as u64 == metadata.len() {
                break;
            }
        }
        Ok((metadata.mode() & 0o100 != 0, filled))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().into_encoded_bytes();
            entries.push((name, kind_of(entry.file_type()?)));
        }
        // What is written is no part of what is read, even where it lies in the same folder: a
        // source would have to contain itself.
        if let Some(root) = &self.store_root
            && root.parent() == Some(path)
        {
            entries.retain(|(name, _)| {
                Some(name.as_slice()) != root.file_name().map(|n| n.as_encoded_bytes())
            });
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

    fn add_text(&self, path: &str, text: &[u8], _references: &References) -> io::Result<()> {
        let Some(place) = self.place(path)? else { return Ok(()) };
        let new = place.with_extension(format!("new-{}", std::process::id()));
        match self.write_sealed(&new, text, 0o444) {
            // Another process of this number was stopped while it wrote.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree(&new);
                self.write_sealed(&new, text, 0o444)?;
            }
            written => written?,
        }
        std::fs::rename(&new, &place)
    }

    fn add_tree(
        &self,
        path: &str,
        write: &mut dyn FnMut(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(place) = self.place(path)? else { return Ok(()) };
        let new = place.with_extension(format!("new-{}", std::process::id()));
        remove_tree(&new);
        let written = write(&mut TreeFolder { disk: self, at: new.clone() });
        written.and_then(|()| std::fs::rename(&new, &place)).inspect_err(|_| remove_tree(&new))
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
