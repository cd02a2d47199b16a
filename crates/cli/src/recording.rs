//! The project's store of events: where it lies, and the application over it.
//!
//! The store lies in `$XDG_STATE_HOME/cim-nix/store/` (or below `~/.local/state`), since a file beside
//! `flake.nix` would be part of the flake. A project that has a folder `.cim-nix` keeps its store
//! there; that folder makes Git ignore itself. A folder that was made by hand counts once the history
//! is in it, or where there is none yet.

use std::cell::Cell;
use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cim_domain_nix::projection::PROJECTIONS;
use cim_domain_nix::{Command, Evidence, MessageIdentity, State};
use cim_nix_app::{App, Programs, Recovery, Workspace as _};
use cim_nix_base::{ContentHash, Error};
use cim_nix_host::{Disk, Machine, new_id};
use cim_nix_store_sqlite::{Options, SqliteStore};

use crate::output::number;
use crate::scope::shown;
use crate::terminal::note;

/// The folder in a project that holds its store, if there is one.
pub(crate) const OWN_FOLDER: &str = ".cim-nix";

/// A project with its store.
pub(crate) struct Recorder {
    files: Disk,
    store: SqliteStore,
    machine: Machine,
}

impl Recorder {
    /// Opens the store of the project at `root`; makes one if there is none.
    ///
    /// Errors: there is no place for it, or it cannot be opened.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let root = real(root)?;
        let place = Place::of(&root)?;
        if let Place::Usual { own: true, .. } = place {
            tell_left(&root);
        }
        Self::open_at(root, &place)
    }

    /// Like [`open`](Self::open), for who is about to move the store.
    pub(crate) fn open_quietly(root: &Path) -> Result<Self, Error> {
        let root = real(root)?;
        let place = Place::of(&root)?;
        Self::open_at(root, &place)
    }

    fn open_at(root: PathBuf, place: &Place) -> Result<Self, Error> {
        let path = place.path();
        if let Some(folder) = path.parent() {
            make_private(folder).map_err(|error| {
                Error::outside(format!("cannot make the folder `{}`", shown(folder))).because(error)
            })?;
        }
        if let Place::Own(_) = place {
            ignore(&root.join(OWN_FOLDER))?;
            trust(&root)?;
        }
        let store = open_file(path, Some(own_path(&root)).filter(|own| own != path))?;
        Ok(Self { files: Disk::new(root, &state_home()?)?, store, machine: machine() })
    }

    /// Opens the store of the project at `root`, if there is one.
    ///
    /// Errors: it cannot be opened, or it cannot be told whether there is one.
    pub(crate) fn open_existing(root: &Path) -> Result<Option<Self>, Error> {
        match exists(Place::of(&real(root)?)?.path())? {
            true => Self::open(root).map(Some),
            false => Ok(None),
        }
    }

    /// The application over the project, with programs that may be run.
    pub(crate) fn app_with<'a>(&'a self, programs: &'a dyn Programs) -> App<'a> {
        let Self { store, files, machine } = self;
        App {
            store,
            files,
            world: machine,
            programs,
            expected: None,
            states: None,
            announced: Cell::default(),
        }
    }

    /// The application over the project, for commands that run no programs.
    pub(crate) fn app(&self) -> App<'_> {
        self.app_with(&NoPrograms)
    }

    /// The store.
    pub(crate) fn store(&self) -> &SqliteStore {
        &self.store
    }

    /// The project's folder.
    pub(crate) fn root(&self) -> &Path {
        self.files.root()
    }
}

/// Opens the store in a file, which is not written to any more once there is a `successor`.
///
/// Errors: it cannot be opened.
pub(crate) fn open_file(path: &Path, successor: Option<PathBuf>) -> Result<SqliteStore, Error> {
    let projections = PROJECTIONS.map(|projection| Arc::new(projection) as _).into();
    Ok(SqliteStore::open(path, Options { projections, successor, ..Options::default() })?)
}

/// A folder as text, which commands and events name it by.
///
/// Errors: its name is not UTF-8.
pub(crate) fn text_of(folder: &Path) -> Result<String, Error> {
    folder.to_str().map(str::to_owned).ok_or_else(|| {
        Error::user(format!("the name of the folder `{}` is not UTF-8", shown(folder)))
            .hint("events name folders as text: rename it, or use --no-record")
    })
}

/// A new command's identity.
pub(crate) fn new_identity() -> MessageIdentity {
    MessageIdentity::root(new_id())
}

/// Tells what a recovery did, unless it was nothing.
pub(crate) fn tell(recovery: &Recovery) {
    if let Some(settled) = &recovery.files {
        let files = number(settled.files.len(), "file");
        let what = if settled.is_made { "finished" } else { "reverted" };
        note(format_args!(
            "note: an earlier run was interrupted while it wrote {files}; {what} it"
        ));
        for warning in &settled.warnings {
            note(format_args!("note: {warning}"));
        }
    }
    for title in &recovery.interrupted {
        note(format_args!("note: an earlier run was interrupted: {title}; the log says so now"));
    }
}

/// Where the store of a project lies.
///
/// Errors: there is no place for it.
pub(crate) fn store_path(root: &Path) -> Result<PathBuf, Error> {
    Place::of(root).map(Place::into_path)
}

/// Where a store lies.
enum Place {
    /// In the project's own folder.
    Own(PathBuf),
    /// In the state folder, whether or not the project has a folder of its own.
    Usual { path: PathBuf, own: bool },
}

impl Place {
    /// Errors: there is no place, or it cannot be looked at.
    fn of(root: &Path) -> Result<Self, Error> {
        let own = own_path(root);
        if exists(&own)? {
            // A store is believed: its intents name programs to run, its events bytes to write. One
            // that came with somebody's repository must not be.
            if is_trusted(root)? {
                return Ok(Self::Own(own));
            }
            tell_foreign(root);
            return Ok(Self::Usual { path: usual_path(root)?, own: false });
        }
        let has_folder = root.join(OWN_FOLDER).is_dir();
        let usual = usual_path(root);
        match usual {
            // A history is never hidden by a folder that somebody made.
            Ok(path) if !has_folder || exists(&path)? => Ok(Self::Usual { path, own: has_folder }),
            Err(error) if !has_folder => Err(error),
            _ => Ok(Self::Own(own)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Own(path) | Self::Usual { path, .. } => path,
        }
    }

    fn into_path(self) -> PathBuf {
        match self {
            Self::Own(path) | Self::Usual { path, .. } => path,
        }
    }
}

/// Whether there is something; unlike [`Path::exists`] it does not take what is closed for nothing.
///
/// Errors: the folder cannot be looked into.
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(Error::outside(format!(
            "cannot tell whether there is an event store `{}`",
            shown(path)
        ))
        .because(error)
        .hint("the folders above it have to be open for you")),
    }
}

/// Where the store of a project lies that keeps it in its own folder.
pub(crate) fn own_path(root: &Path) -> PathBuf {
    root.join(OWN_FOLDER).join("events.sqlite")
}

/// Notes that the store in the project's own folder is this user's.
///
/// Errors: the state folder cannot be written to.
pub(crate) fn trust(root: &Path) -> Result<(), Error> {
    let path = trust_path(root)?;
    let write = || {
        make_private(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(&path, root.as_os_str().as_bytes())
    };
    match exists(&path)? {
        true => Ok(()),
        false => write().map_err(|error| {
            Error::outside(format!("cannot write `{}`", shown(&path))).because(error)
        }),
    }
}

fn is_trusted(root: &Path) -> Result<bool, Error> {
    exists(&trust_path(root)?)
}

fn trust_path(root: &Path) -> Result<PathBuf, Error> {
    Ok(state_home()?.join("cim-nix").join("here").join(key(root)))
}

/// Says, once in a process, that a store is not used.
fn tell_foreign(root: &Path) {
    static TOLD: OnceLock<()> = OnceLock::new();
    TOLD.get_or_init(|| {
        note(format_args!(
            "note: `{}` was not made here by you, so it is not used; `cim-nix store here` takes it, if you trust it",
            shown(&own_path(root))
        ));
    });
}

/// Makes Git ignore the project's folder for the store, unless somebody decided on that.
///
/// Errors: nothing can be written there.
pub(crate) fn ignore(folder: &Path) -> Result<(), Error> {
    let path = folder.join(".gitignore");
    if exists(&path)? {
        return Ok(());
    }
    fs::write(&path, "*\n")
        .map_err(|error| Error::outside(format!("cannot write `{}`", shown(&path))).because(error))
}

/// Says, once in a process, that the folder does not have the history.
fn tell_left(root: &Path) {
    static TOLD: OnceLock<()> = OnceLock::new();
    TOLD.get_or_init(|| {
        // `store here` holds this lock: it is about to bring it.
        if fs::File::open(root).is_ok_and(|root| root.try_lock().is_err()) {
            return;
        }
        note(format_args!(
            "note: `{}` is there, but the history is not in it yet; `cim-nix store here` brings it",
            shown(&root.join(OWN_FOLDER))
        ));
    });
}

/// Where the store of a project lies that has no folder for it.
///
/// Errors: there is no place for it.
pub(crate) fn usual_path(root: &Path) -> Result<PathBuf, Error> {
    let folder = state_home()?.join("cim-nix").join("store");
    Ok(folder.join(format!("{}.sqlite", key(root))))
}

/// What files about a project are called.
fn key(root: &Path) -> String {
    let mut name = ContentHash::of(root.as_os_str().as_bytes()).to_string();
    name.truncate(32);
    name
}

/// The folder for what programs keep of their state.
///
/// Errors: neither the environment nor the user has one.
pub(crate) fn state_home() -> Result<PathBuf, Error> {
    // As the specification has it, a relative path counts as none.
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").map(|home| home.join(".local/state"));
    folder("XDG_STATE_HOME").or_else(home).ok_or_else(|| {
        Error::user("there is no place for the journal of what is written: HOME is not set")
            .hint("set XDG_STATE_HOME to a folder of yours")
    })
}

fn real(root: &Path) -> Result<PathBuf, Error> {
    root.canonicalize().map_err(|error| {
        Error::user(format!("cannot open the project folder `{}`", shown(root))).because(error)
    })
}

/// Makes a folder that nobody else can read, since sources may be private.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// This machine, for whoever uses it.
fn machine() -> Machine {
    let given = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    let actor = ["CIM_NIX_ACTOR", "USER", "LOGNAME"].into_iter().find_map(given);
    let program = concat!("cim-nix ", env!("CARGO_PKG_VERSION"));
    Machine::new(actor.unwrap_or_else(Machine::user), program)
}

/// For commands that run no programs.
struct NoPrograms;

impl NoPrograms {
    fn none<T>() -> Result<T, Error> {
        Err(Error::bug("this command runs no programs"))
    }
}

impl Programs for NoPrograms {
    fn before(&self, _: &Command, _: &State) -> Result<serde_json::Value, Error> {
        Self::none()
    }

    fn plan(&self, _: &Command, _: &State, _: &serde_json::Value) -> Result<Vec<String>, Error> {
        Self::none()
    }

    fn run(&self, _: &Command, _: &State, _: &serde_json::Value) -> Result<Evidence, Error> {
        Self::none()
    }

    fn settle(&self, _: &Command, _: &serde_json::Value) -> Result<Option<Evidence>, Error> {
        Self::none()
    }

    fn generation(&self, _: &str) -> Result<Option<u32>, Error> {
        Self::none()
    }
}
