//! The calls that change a project's files, each one step of a [`Probe`].
//!
//! Every call walks from the open root to the file's folder without following a symlink. So a
//! folder that somebody replaces by a symlink while a change is under way leads to an error, never
//! out of the root.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cim_nix_base::{ContentHash, FileMode};
use rustix::buffer::spare_capacity;
use rustix::fs::{
    Access, AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, XattrFlags, accessat, fchown, fgetxattr,
    flistxattr, fremovexattr, fsetxattr, linkat, mkdirat, openat, renameat, renameat_with,
    unlinkat,
};
#[cfg(target_os = "linux")]
use rustix::fs::{ResolveFlags, openat2};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::path::RelPath;
use crate::probe::{Probe, Renames};

/// The largest file that is ever read to be hashed. A change set holds its texts in memory, so a
/// larger file is certainly none of ours.
const LARGEST: u64 = 1 << 30;

/// The bits of a mode that `chmod` sets.
const MODE_BITS: u32 = 0o7777;

/// A root whose files are changed.
pub(crate) struct Disk<'a> {
    root: OwnedFd,
    path: PathBuf,
    probe: &'a dyn Probe,
}

/// Who owns a file and what they may do with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl From<&Metadata> for Owner {
    fn from(meta: &Metadata) -> Self {
        Self { mode: meta.mode() & MODE_BITS, uid: meta.uid(), gid: meta.gid() }
    }
}

/// What is at a name.
pub(crate) enum Found {
    Nothing,
    /// A directory, symlink, pipe, device, or a file too large to be ours.
    Other,
    File(Seen),
}

/// A regular file that was read.
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hash: ContentHash,
    pub(crate) owner: Owner,
    pub(crate) links: u64,
}

impl Found {
    pub(crate) fn is(&self, hash: ContentHash) -> bool {
        matches!(self, Self::File(seen) if seen.hash == hash)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// When what was written becomes durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Syncing {
    /// Each file and folder by itself, at once.
    Each,
    /// All together by [`Disk::sync_dirs`], which the caller must call.
    Together,
}

impl Syncing {
    /// What is faster for a change of so many files. Syncing a file takes milliseconds, but syncing
    /// a file system writes out what other programs left behind as well.
    pub(crate) fn of(n_files: usize) -> Self {
        let can = cfg!(target_os = "linux");
        if can && n_files > 64 { Self::Together } else { Self::Each }
    }
}

/// The attributes that a new file starts with.
pub(crate) enum Style<'a> {
    /// Those that the process gives to new files, or this mode.
    Default(Option<FileMode>),
    /// This owner and mode, and the extended attributes of the file at this path, if there is one.
    Like(Owner, &'a RelPath),
}

impl<'a> Disk<'a> {
    /// Opens the root; symlinks on the way to it are followed.
    pub(crate) fn open(root: &Path, probe: &'a dyn Probe) -> io::Result<Self> {
        let path = root.canonicalize()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { root, path, probe })
    }

    /// The root without symlinks.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder below the root. A symlink on the way is an error.
    fn dir(&self, dir: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        #[cfg(target_os = "linux")]
        match openat2(&self.root, here, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(fd) => return Ok(fd),
            Err(Errno::NOENT) => return Err(Errno::NOENT),
            // Old kernels and some sandboxes do not know the call; the long way is as safe.
            Err(_) => {}
        }
        self.dir_by_parts(here, flags)
    }

    fn dir_by_parts(&self, dir: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut fd = openat(&self.root, c".", flags, Mode::empty())?;
        for part in dir.components() {
            fd = openat(&fd, part.as_os_str(), flags, Mode::empty())?;
        }
        Ok(fd)
    }

    /// Reads what is at `path`, never following a symlink or waiting for a pipe.
    pub(crate) fn look(&self, path: &RelPath) -> io::Result<Found> {
        let file = match self.open_file(path) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(Found::Other),
            Err(errno) => return Err(errno.into()),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() > LARGEST {
            return Ok(Found::Other);
        }
        let mut bytes = Vec::with_capacity(meta.len() as usize + 1);
        file.take(LARGEST).read_to_end(&mut bytes)?;
        let hash = ContentHash::of(&bytes);
        Ok(Found::File(Seen { bytes, hash, owner: Owner::from(&meta), links: meta.nlink() }))
    }

    /// Whether this process may write to the file, as far as its mode tells.
    pub(crate) fn check_writable(&self, path: &RelPath) -> io::Result<()> {
        let dir = self.dir(path.dir())?;
        match accessat(dir, path.name(), Access::WRITE_OK, AtFlags::EACCESS) {
            // An old kernel cannot tell; then the calls that follow will.
            Ok(()) | Err(Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether two paths are one regular file.
    pub(crate) fn is_same_file(&self, left: &RelPath, right: &RelPath) -> bool {
        let identity = |path| {
            let meta = self.open_file(path).ok()?.metadata().ok()?;
            meta.is_file().then(|| (meta.dev(), meta.ino()))
        };
        identity(left).is_some_and(|left| Some(left) == identity(right))
    }

    /// Writes and syncs a new file. Answers which attributes could not be kept.
    ///
    /// Errors leave the file behind, possibly in part.
    pub(crate) fn stage(
        &self,
        path: &RelPath,
        bytes: &[u8],
        style: &Style<'_>,
        syncing: Syncing,
    ) -> io::Result<Vec<&'static str>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // What replaces a private file is private from its first moment.
        let first = if matches!(style, Style::Like(..)) { 0o600 } else { 0o666 };
        let dir = self.dir(path.dir())?;
        self.probe.step("create temporary")?;
        let mut file = File::from(openat(dir, path.name(), flags, Mode::from_raw_mode(first))?);
        self.probe.step("write temporary")?;
        file.write_all(bytes)?;
        let mut lost = Vec::new();
        match style {
            Style::Default(None) => {}
            Style::Default(Some(mode)) => self.set_mode(&file, mode.0)?,
            Style::Like(owner, original) => {
                let mode = give_to(&file, *owner, &mut lost)?;
                if let Ok(original) = self.open_file(original)
                    && !copy_attributes(&original, &file)
                {
                    lost.push("extended attributes");
                }
                self.set_mode(&file, mode)?;
            }
        }
        if syncing == Syncing::Each {
            self.sync(&file, "sync temporary")?;
        }
        Ok(lost)
    }

    /// Swaps two files; `false` if the file system cannot.
    pub(crate) fn exchange(&self, one: &RelPath, two: &RelPath) -> io::Result<bool> {
        if self.probe.can_rename() < Renames::WithFlags {
            return Ok(false);
        }
        let dirs = (self.dir(one.dir())?, self.dir(two.dir())?);
        self.probe.step("exchange")?;
        match renameat_with(dirs.0, one.name(), dirs.1, two.name(), RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Renames over whatever file is there.
    pub(crate) fn replace(&self, from: &RelPath, to: &RelPath) -> io::Result<()> {
        let dirs = (self.dir(from.dir())?, self.dir(to.dir())?);
        self.probe.step("replace")?;
        Ok(renameat(dirs.0, from.name(), dirs.1, to.name())?)
    }

    /// Renames to a name where nothing may be; [`io::ErrorKind::AlreadyExists`] if something is.
    pub(crate) fn move_new(&self, from: &RelPath, to: &RelPath) -> io::Result<()> {
        let (from_dir, to_dir) = (self.dir(from.dir())?, self.dir(to.dir())?);
        let (old, new) = (from.name(), to.name());
        if self.probe.can_rename() >= Renames::WithFlags {
            self.probe.step("move")?;
            match renameat_with(&from_dir, old, &to_dir, new, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                outcome => return Ok(outcome?),
            }
        }
        if self.probe.can_rename() >= Renames::WithLinks {
            // While both names are there, they are one file: going back can tell.
            self.probe.step("link")?;
            match linkat(&from_dir, old, &to_dir, new, AtFlags::empty()) {
                Ok(()) => return self.unlink(from),
                Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::MLINK) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if !self.look(to)?.is_nothing() {
            return Err(Errno::EXIST.into());
        }
        self.probe.step("move")?;
        Ok(renameat(from_dir, old, to_dir, new)?)
    }

    /// Removes a file; nothing to remove is fine.
    pub(crate) fn unlink(&self, path: &RelPath) -> io::Result<()> {
        self.remove(path, AtFlags::empty(), "unlink")
    }

    /// Removes a folder if it is there and empty.
    pub(crate) fn remove_empty_dir(&self, path: &RelPath) -> io::Result<()> {
        let stays = [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotADirectory];
        match self.remove(path, AtFlags::REMOVEDIR, "remove folder") {
            Err(error) if stays.contains(&error.kind()) => Ok(()),
            outcome => outcome,
        }
    }

    fn remove(&self, path: &RelPath, flags: AtFlags, what: &'static str) -> io::Result<()> {
        let removed = self.dir(path.dir()).map_err(io::Error::from).and_then(|dir| {
            self.probe.step(what)?;
            unlinkat(dir, path.name(), flags)?;
            Ok(())
        });
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Creates a folder; one that is there already is fine.
    pub(crate) fn make_dir(&self, path: &RelPath) -> io::Result<()> {
        let dir = self.dir(path.dir())?;
        self.probe.step("create folder")?;
        match mkdirat(&dir, path.name(), Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Changes the mode of a file and syncs it.
    pub(crate) fn change_mode(&self, path: &RelPath, mode: u32) -> io::Result<()> {
        let file = match self.open_file(path) {
            Ok(file) => file,
            // The mode that is to be taken back may forbid its owner to open the file.
            Err(Errno::ACCESS) => {
                let dir = self.dir(path.dir())?;
                self.probe.step("set mode")?;
                let mode = Mode::from_raw_mode(mode & MODE_BITS);
                return Ok(rustix::fs::chmodat(dir, path.name(), mode, AtFlags::empty())?);
            }
            Err(errno) => return Err(errno.into()),
        };
        self.set_mode(&file, mode)?;
        self.sync(&file, "sync mode")
    }

    /// The mode of the regular file at `path`, if there is one.
    pub(crate) fn mode(&self, path: &RelPath) -> io::Result<Option<u32>> {
        match self.path.join(path.as_path()).symlink_metadata() {
            Ok(meta) => Ok(meta.is_file().then(|| Owner::from(&meta).mode)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_file(&self, path: &RelPath) -> Result<File, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        openat(self.dir(path.dir())?, path.name(), flags, Mode::empty()).map(File::from)
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        self.probe.step("set mode")?;
        file.set_permissions(Permissions::from_mode(mode & MODE_BITS))
    }

    fn sync(&self, file: &File, what: &'static str) -> io::Result<()> {
        self.probe.step(what)?;
        if self.probe.syncs() { file.sync_all() } else { Ok(()) }
    }

    /// Makes the names in `dirs` durable, and with [`Syncing::Together`] everything that was written
    /// on their file systems. A folder that is gone needs nothing.
    pub(crate) fn sync_dirs(&self, dirs: &[&Path], syncing: Syncing) -> io::Result<()> {
        let mut devices = Vec::new();
        for dir in dirs {
            let fd = match self.dir(dir) {
                Ok(fd) => File::from(fd),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno.into()),
            };
            if syncing == Syncing::Each {
                self.sync(&fd, "sync folder")?;
                continue;
            }
            let device = fd.metadata()?.dev();
            if !devices.contains(&device) {
                devices.push(device);
                self.sync_file_system(&fd)?;
            }
        }
        Ok(())
    }

    fn sync_file_system(&self, file: &File) -> io::Result<()> {
        self.probe.step("sync file system")?;
        if !self.probe.syncs() {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        return Ok(rustix::fs::syncfs(file)?);
        #[cfg(not(target_os = "linux"))]
        return file.sync_all();
    }
}

/// Gives `file` to `owner` as far as this process may; answers the mode that is right for the
/// owner it got.
fn give_to(file: &File, owner: Owner, lost: &mut Vec<&'static str>) -> io::Result<u32> {
    let now = Owner::from(&file.metadata()?);
    let uid = (now.uid != owner.uid).then(|| Uid::from_raw(owner.uid));
    let gid = (now.gid != owner.gid).then(|| Gid::from_raw(owner.gid));
    let kept_user = uid.is_none() || fchown(file, uid, None).is_ok();
    let kept_group = gid.is_none() || fchown(file, None, gid).is_ok();
    if !kept_user {
        lost.push("owner");
    }
    if !kept_group {
        lost.push("group");
    }
    // Bits that lend somebody's rights must not lend another's.
    Ok(if kept_user && kept_group { owner.mode } else { owner.mode & 0o1777 })
}

/// Copies access list and `user.*` attributes; `false` if one could not be copied.
fn copy_attributes(from: &File, to: &File) -> bool {
    const ACCESS_LIST: &[u8] = b"system.posix_acl_access";
    // The most that Linux gives for a list or a value; untouched pages cost nothing.
    let mut list = Vec::with_capacity(64 << 10);
    if flistxattr(from, spare_capacity(&mut list)).is_err() {
        // A file system without attributes has none to keep.
        return true;
    }
    let names = || list.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    if !names().any(|name| name == ACCESS_LIST) {
        // What the folder's default list gave to the new file. Usually there is none.
        let _ = fremovexattr(to, ACCESS_LIST);
    }
    let mut value = Vec::with_capacity(64 << 10);
    names().filter(|name| name.starts_with(b"user.") || *name == ACCESS_LIST).all(|name| {
        value.clear();
        fgetxattr(from, name, spare_capacity(&mut value)).is_ok()
            && fsetxattr(to, name, &value, XattrFlags::empty()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Live;
    use crate::testing::Project;

    #[test]
    fn folders_are_reached_without_symlinks_either_way() {
        let project = Project::new("a/b/c: 1\nlink -> a\nout -> /");
        let disk = Disk::open(&project.root(), &Live).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for dir in ["", "a", "a/b"] {
            let slow = if dir.is_empty() { "." } else { dir };
            let slow = File::from(disk.dir_by_parts(Path::new(slow), flags).unwrap());
            let fast = File::from(disk.dir(Path::new(dir)).unwrap());
            let real = std::fs::metadata(project.path(dir)).unwrap();
            let inodes = [&slow, &fast].map(|file| file.metadata().unwrap().ino());
            assert_eq!(inodes, [real.ino(); 2], "{dir}");
        }
        for dir in ["link", "link/b", "out", "a/b/c"] {
            let errors =
                [disk.dir(Path::new(dir)).err(), disk.dir_by_parts(Path::new(dir), flags).err()];
            assert_eq!(errors, [Some(Errno::NOTDIR); 2], "{dir}");
        }
        assert_eq!(disk.dir(Path::new("none")).err(), Some(Errno::NOENT));
    }
}
