//! The journal: what is under way in one project, in a folder of its own.
//!
//! ```text
//! lock                 held while a change set is applied or recovered
//! open/                a change set that is under way, or was when something went wrong
//!   intent.json        what was to happen, in order
//!   pre-images         the former bytes of the files it changes
//!   staged             mark: every temporary is complete; files may have been swapped
//!   committed          mark: every file is new; only tidying is left (where a ledger says so instead,
//!                      there is no such mark)
//!   kept/, stopped.json  versions that the reader has to choose from
//! new/, closed/        `open` before and after; worthless
//! ```
//!
//! `open` appears and goes by a rename, and a mark is an empty file, so no state is half written.
//! What the states mean for a project's files is left to `apply` and `recover`.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cim_nix_base::{ContentHash, Error, FileMode};
use serde::{Deserialize, Serialize};

use crate::disk::Owner;
use crate::path::{RelPath, read_path, write_path};
use crate::probe::Probe;

/// How long a run waits for another one in the same project. Applying takes milliseconds unless
/// thousands of files change.
const PATIENCE: Duration = Duration::from_secs(1);

/// The form of `intent.json`.
const VERSION: u32 = 1;

/// The state folder for the project at `root`, below `state_home` (usually `$XDG_STATE_HOME`).
///
/// Two spellings of one folder, through a symlink for instance, give the same answer. Errors: the
/// root does not exist.
pub fn journal_dir(state_home: &Path, root: &Path) -> Result<PathBuf, Error> {
    let real = root.canonicalize().map_err(|error| {
        Error::user(format!("cannot open the project folder `{}`", root.display())).because(error)
    })?;
    let name = ContentHash::of(real.as_os_str().as_bytes()).to_string();
    Ok(state_home.join("cim-nix").join("journal").join(&name[..32]))
}

/// What was to happen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) version: u32,
    #[serde(serialize_with = "write_path", deserialize_with = "read_path")]
    pub(crate) root: PathBuf,
    pub(crate) title: String,
    /// What a [`Ledger`](cim_nix_base::Ledger) calls it, where one decides whether it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// What the names of temporaries have in common.
    pub(crate) token: String,
    /// Folders that did not exist, outer before inner.
    pub(crate) dirs: Vec<RelPath>,
    pub(crate) steps: Vec<Step>,
}

/// What was to happen to one file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The file itself, behind all symlinks.
    pub(crate) path: RelPath,
    #[serde(flatten)]
    pub(crate) action: Action,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub(crate) enum Action {
    Create { after: ContentHash },
    Write { before: PreImage, after: ContentHash },
    Rename { before: PreImage, to: RelPath },
    SetMode { before: ContentHash, from: FileMode, to: FileMode },
    Remove { before: PreImage },
}

/// A former content: where its bytes are in `pre-images`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PreImage {
    pub(crate) hash: ContentHash,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    #[serde(flatten)]
    pub(crate) owner: Owner,
}

impl Intent {
    pub(crate) fn new(root: &Path, title: &str, token: String) -> Self {
        Self {
            version: VERSION,
            root: root.to_path_buf(),
            title: title.to_owned(),
            tag: None,
            token,
            dirs: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Where the temporary of a step is: beside its file.
    pub(crate) fn temporary(&self, step: usize) -> RelPath {
        self.beside(step, "")
    }

    /// Where a former content is written to when it has to come from the journal.
    pub(crate) fn restored(&self, step: usize) -> RelPath {
        self.beside(step, "-old")
    }

    fn beside(&self, step: usize, suffix: &str) -> RelPath {
        self.steps[step].path.with_name(&format!(".cim-nix-{}-{step}{suffix}", self.token))
    }

    /// Every folder in which a name changes, once.
    pub(crate) fn touched_dirs(&self) -> Vec<&Path> {
        let targets = self.steps.iter().filter_map(|step| match &step.action {
            Action::Rename { to, .. } => Some(to.dir()),
            _ => None,
        });
        let made = self.dirs.iter().flat_map(|dir| [dir.as_path(), dir.dir()]);
        let mut dirs: Vec<_> = self.steps.iter().map(|step| step.path.dir()).collect();
        dirs.extend(targets.chain(made));
        dirs.sort_unstable();
        dirs.dedup();
        dirs
    }
}

/// A version that was kept because a file had changed under an interrupted change.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) path: RelPath,
    /// Its name in `kept`.
    pub(crate) name: String,
}

/// How far an interrupted change came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// No file was touched; temporaries and new folders may exist.
    Staging,
    /// Any file may be new or old.
    Swapping,
    /// Every file is new; what was displaced may still exist.
    Committed,
    /// Reverted, and waiting for the reader to choose between two versions of a file.
    Stopped,
}

/// The state folder of one project.
pub(crate) struct Journal<'a> {
    dir: PathBuf,
    probe: &'a dyn Probe,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(state_dir: &Path, probe: &'a dyn Probe) -> Self {
        Self { dir: state_dir.to_path_buf(), probe }
    }

    /// Whether something is under way or was interrupted: one failed system call if not.
    pub(crate) fn is_open(&self) -> Result<bool, Error> {
        match fs::symlink_metadata(self.open_dir()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.trouble("cannot look into", error)),
        }
    }

    /// Makes the state folder if need be and takes its lock, which is given back on drop.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.dir.join("lock");
        let file = self
            .make_durably()
            .and_then(|()| File::options().create(true).append(true).open(&path))
            .map_err(|error| self.trouble("cannot use", error))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::conflict("another cim-nix is changing this project")
                        .hint("wait for it to end, then run the command again"));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(self.trouble("cannot lock", error));
                }
            }
        }
    }

    /// Like `mkdir -p`, for the user alone, with every new name synced.
    fn make_durably(&self) -> io::Result<()> {
        let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        let missing: Vec<_> = self.dir.ancestors().take_while(is_missing).collect();
        for dir in missing.into_iter().rev() {
            match fs::DirBuilder::new().mode(0o700).create(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
            self.sync(&File::open(parent.unwrap_or(Path::new(".")))?)?;
        }
        Ok(())
    }

    /// Starts a journal; nothing is under way until [`Draft::open`]. Needs the lock.
    pub(crate) fn draft(&self) -> Result<Draft<'_>, Error> {
        let dir = self.dir.join("new");
        let pre_images = (|| {
            remove_tree(&dir)?;
            self.probe.step("create journal")?;
            fs::create_dir(&dir)?;
            File::create(dir.join("pre-images"))
        })();
        let pre_images = pre_images.map_err(|error| self.trouble("cannot write", error))?;
        Ok(Draft { journal: self, dir, pre_images, len: 0 })
    }

    /// How far the open journal came.
    pub(crate) fn phase(&self) -> Result<Phase, Error> {
        let marks = [
            ("committed", Phase::Committed),
            ("stopped.json", Phase::Stopped),
            ("staged", Phase::Swapping),
        ];
        for (mark, phase) in marks {
            let path = self.open_dir().join(mark);
            // Taking a mark that cannot be seen for absent would undo what was committed.
            if path.try_exists().map_err(|error| self.damaged(&path, error))? {
                return Ok(phase);
            }
        }
        Ok(Phase::Staging)
    }

    /// Reads what the open journal intends.
    pub(crate) fn load(&self) -> Result<Intent, Error> {
        let path = self.open_dir().join("intent.json");
        let intent: Intent = fs::read(&path)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .map_err(|error| self.damaged(&path, error))?;
        if intent.version != VERSION {
            let text = format!("version {}, where {VERSION} is known", intent.version);
            return Err(self.damaged(&path, io::Error::other(text)));
        }
        if !intent.token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let text = format!("`{}` cannot be part of a file name", intent.token);
            return Err(self.damaged(&path, io::Error::other(text)));
        }
        Ok(intent)
    }

    fn damaged(&self, path: &Path, error: io::Error) -> Error {
        Error::outside(format!("cannot read the journal `{}`", path.display())).because(error)
    }

    /// The way out when recovering fails for good.
    pub(crate) fn way_out(&self) -> String {
        format!(
            "a change was interrupted here; if this cannot be mended, put the files right by hand \
             (former contents are in `{0}/pre-images`) and remove `{0}`",
            self.open_dir().display()
        )
    }

    /// Reads a former content back.
    pub(crate) fn pre_image(&self, image: &PreImage) -> Result<Vec<u8>, Error> {
        let path = self.open_dir().join("pre-images");
        let bytes = (|| {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(image.offset))?;
            let mut bytes = Vec::new();
            file.take(image.len).read_to_end(&mut bytes)?;
            Ok(bytes)
        })();
        let bytes = bytes.map_err(|error| self.damaged(&path, error))?;
        if ContentHash::of(&bytes) == image.hash {
            Ok(bytes)
        } else {
            Err(self.damaged(&path, io::Error::other("its content does not match its hash")))
        }
    }

    /// Sets the mark `staged` or `committed`, durably.
    pub(crate) fn mark(&self, mark: &'static str) -> Result<(), Error> {
        let open = self.open_dir();
        (|| {
            self.probe.step(mark)?;
            self.sync(&File::create(open.join(mark))?)?;
            self.sync_dir(&open)
        })()
        .map_err(|error| self.trouble("cannot write", error))
    }

    /// Takes back a mark that could not be set, durably.
    pub(crate) fn unmark(&self, mark: &'static str) -> Result<(), Error> {
        let open = self.open_dir();
        (|| {
            self.probe.step("unmark")?;
            remove_file(&open.join(mark))?;
            self.sync_dir(&open)
        })()
        .map_err(|error| self.trouble("cannot write", error))
    }

    /// Keeps a version of a file for the reader, durably. Doing it twice is fine.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        let dir = self.open_dir().join("kept");
        (|| {
            self.probe.step("keep version")?;
            fs::create_dir_all(&dir)?;
            remove_file(&dir.join(name))?;
            let mut file = File::create(dir.join(name))?;
            file.write_all(bytes)?;
            // So that moving it over the file gives the mode back as well.
            file.set_permissions(Permissions::from_mode(mode))?;
            self.sync(&file)?;
            self.sync_dir(&dir)
        })()
        .map_err(|error| self.trouble("cannot write", error))
    }

    /// Where a kept version is.
    pub(crate) fn kept_path(&self, kept: &Kept) -> PathBuf {
        self.open_dir().join("kept").join(&kept.name)
    }

    /// Notes that the reader has to choose.
    pub(crate) fn stop(&self, kept: &[Kept]) -> Result<(), Error> {
        let open = self.open_dir();
        (|| {
            let temporary = open.join("stopped.new");
            self.write_synced(&temporary, &serde_json::to_vec_pretty(kept)?)?;
            self.probe.step("stop")?;
            fs::rename(&temporary, open.join("stopped.json"))?;
            self.sync_dir(&open)
        })()
        .map_err(|error| self.trouble("cannot write", error))
    }

    /// The versions that the reader has not disposed of yet.
    pub(crate) fn unsettled(&self) -> Result<Vec<Kept>, Error> {
        let path = self.open_dir().join("stopped.json");
        let kept: Vec<Kept> = fs::read(&path)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .map_err(|error| self.damaged(&path, error))?;
        let mut unsettled = Vec::new();
        for kept in kept {
            let path = self.kept_path(&kept);
            if path.try_exists().map_err(|error| self.damaged(&path, error))? {
                unsettled.push(kept);
            }
        }
        Ok(unsettled)
    }

    /// Tells the probe of a step that is nobody's own.
    pub(crate) fn step(&self, what: &'static str) -> Result<(), Error> {
        self.probe.step(what).map_err(|error| self.trouble("cannot write", error))
    }

    /// Ends what is under way.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let closed = self.dir.join("closed");
        (|| {
            remove_tree(&closed)?;
            self.probe.step("close journal")?;
            match fs::rename(self.open_dir(), &closed) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                outcome => outcome?,
            }
            self.sync_dir(&self.dir)?;
            self.probe.step("remove journal")?;
            remove_tree(&closed)
        })()
        .map_err(|error| self.trouble("cannot tidy", error))
    }

    fn open_dir(&self) -> PathBuf {
        self.dir.join("open")
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.probe.step("write journal")?;
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        self.sync(&file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync(&File::open(dir)?)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.probe.step("sync journal")?;
        if self.probe.syncs() { file.sync_all() } else { Ok(()) }
    }

    fn trouble(&self, tried: &str, error: io::Error) -> Error {
        Error::outside(format!("{tried} the state folder `{}`", self.dir.display())).because(error)
    }
}

/// A journal that is being filled.
pub(crate) struct Draft<'a> {
    journal: &'a Journal<'a>,
    dir: PathBuf,
    pre_images: File,
    len: u64,
}

impl Draft<'_> {
    /// Adds a former content.
    pub(crate) fn add(
        &mut self,
        bytes: &[u8],
        hash: ContentHash,
        owner: Owner,
    ) -> Result<PreImage, Error> {
        self.journal
            .probe
            .step("add pre-image")
            .and_then(|()| self.pre_images.write_all(bytes))
            .map_err(|error| self.journal.trouble("cannot write", error))?;
        let image = PreImage { hash, offset: self.len, len: bytes.len() as u64, owner };
        self.len += image.len;
        Ok(image)
    }

    /// Makes the journal durable and open: from here on `recover` cares for the project.
    pub(crate) fn open(self, intent: &Intent) -> Result<(), Error> {
        let journal = self.journal;
        (|| {
            journal.sync(&self.pre_images)?;
            journal.write_synced(&self.dir.join("intent.json"), &serde_json::to_vec(intent)?)?;
            journal.sync_dir(&self.dir)?;
            journal.probe.step("open journal")?;
            fs::rename(&self.dir, journal.open_dir())?;
            journal.sync_dir(&journal.dir)
        })()
        .map_err(|error| journal.trouble("cannot write", error))
    }

    /// Throws away a journal that was not opened.
    pub(crate) fn discard(self) -> Result<(), Error> {
        remove_tree(&self.dir).map_err(|error| self.journal.trouble("cannot tidy", error))
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
