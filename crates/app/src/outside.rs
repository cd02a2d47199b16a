//! What the application needs from outside, as traits: files, clocks, stores. Adapters implement
//! them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use cim_domain_nix::{
    Command, EventStore, Evidence, IntentStore, LockChange, MessageId, Timestamp, Uuid,
};
use cim_nix_base::{ChangeSet, Error, FileMode, Ledger};

use crate::Programs;

/// A store of events that keeps intents as well.
pub trait Store: EventStore + IntentStore {}

impl<S: EventStore + IntentStore> Store for S {}

/// The files of one project.
pub trait Workspace {
    /// The project's folder, absolute.
    fn root(&self) -> &Path;

    /// The text of a file below the folder; `None` if there is none.
    ///
    /// Errors: it cannot be read, or is no text.
    fn read(&self, path: &Path) -> Result<Option<String>, Error>;

    /// The permission bits of a file; `None` if there is none.
    fn mode(&self, path: &Path) -> Result<Option<FileMode>, Error>;

    /// Makes the changes of `set`, all or none, as one step with the entry `tag` of `ledger`.
    ///
    /// Answers warnings. Errors: nothing has changed, or the next [`recover`](Self::recover) goes
    /// on with it. A conflict names the file that somebody else changed.
    fn apply(
        &self,
        set: &ChangeSet,
        tag: &str,
        ledger: &mut dyn Ledger,
    ) -> Result<Vec<String>, Error>;

    /// Finishes or reverts a change that was interrupted, as `ledger` says.
    fn recover(&self, ledger: &dyn Ledger) -> Result<Option<Settled>, Error>;
}

/// What became of a change that had been interrupted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// Its title.
    pub title: String,
    /// Whether its files are new; they are old otherwise.
    pub is_made: bool,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// What a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Clock, ids and who is there.
pub trait World {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// An id that nobody has used, of version 7.
    fn new_id(&self) -> Uuid;

    /// The id of the `nth` message that `cause` brings about. Who runs commands that may arrive twice
    /// answers the same id each time, so that no store takes both.
    fn event_id(&self, cause: &MessageId, nth: u32) -> Uuid {
        let _ = (cause, nth);
        self.new_id()
    }

    /// What is written down with each event of its origin: actor, host, program.
    fn origin(&self) -> BTreeMap<String, String>;

    /// This process, so that a later one can tell whether it is still there.
    fn process(&self) -> String;

    /// Whether a process that [`process`](Self::process) named is still there.
    fn is_running(&self, process: &str) -> bool;
}

/// Knows which files of Nix code a project has.
pub trait Sources {
    /// The files, relative to the project's folder.
    ///
    /// Errors: the project cannot be looked through.
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error>;
}

/// What to lock.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LockWish {
    /// The inputs that move to their newest versions, as paths `a/b`; all of them for `Some` of
    /// none.
    pub updates: Option<Vec<String>>,
}

/// A lock file that was computed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NewLock {
    /// Its text; `None` if it is as before, or if none is needed.
    pub text: Option<String>,
    /// How inputs moved.
    pub changes: Vec<LockChange>,
    /// What a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Computes lock files; sources may be fetched for that.
pub trait Locks {
    /// What Nix would write as the lock file of the flake in `folder` whose `flake.nix` has the text
    /// `flake_nix`, which may not be on disk yet.
    ///
    /// Errors: an input cannot be had, or the flake is refused.
    fn lock(
        &self,
        folder: &Path,
        flake_nix: &str,
        old_lock: Option<&str>,
        wish: &LockWish,
    ) -> Result<NewLock, Error>;
}

/// Gives new flakes their files.
pub trait Templates {
    /// The files of a template in `folder`, relative to the project's; a small flake that says
    /// `description` of itself where no template is named.
    ///
    /// Errors: the template cannot be had.
    fn files(
        &self,
        folder: &Path,
        template: Option<&str>,
        description: &str,
    ) -> Result<ChangeSet, Error>;
}

/// What commands about code (check, fix, format, rename) come to.
pub struct Work {
    /// The changes to files, relative to the project's folder.
    pub set: ChangeSet,
    /// What was found out; its own list of changes is filled in from the set.
    pub evidence: Evidence,
    /// What a reader should know, one sentence each.
    pub notes: Vec<String>,
}

/// Knows what is wrong with code and how it is mended.
pub trait Code {
    /// What a command about the code of a project comes to. Nothing is changed by it.
    ///
    /// Errors: it is refused, or files cannot be read.
    fn work(&self, command: &Command) -> Result<Work, Error>;
}

/// The repository that files lie in, if they lie in one.
pub trait Repository {
    /// Tells it of files that were made: what it does not know is no part of a flake.
    ///
    /// Errors: it fails.
    fn announce(&self, files: &[PathBuf]) -> Result<(), Error>;
}

/// All that commands need beside files and clock.
pub trait Tools: Locks + Sources + Templates + Code + Repository + Programs {}

impl<T: Locks + Sources + Templates + Code + Repository + Programs> Tools for T {}

/// What one run of tools has to heed.
#[derive(Clone)]
pub struct Run {
    /// When it has to be over.
    pub deadline: Instant,
    /// Set by whoever does not want it any more.
    pub cancelled: Arc<AtomicBool>,
    /// Is told of progress, one JSON object at a time.
    pub progress: Arc<dyn Fn(&str) + Send + Sync>,
    /// The span that it belongs to, as the header `traceparent` has it.
    pub trace: Option<String>,
}

/// Everything outside, for whoever runs the commands of many callers.
pub trait Outside: Send + Sync {
    /// A command as it may be run: what it names is in reach of whoever sends it. Who takes commands
    /// from others runs what this gives, not what came.
    ///
    /// Errors: it names what it must not.
    fn admit(&self, command: &Command) -> Result<Command, Error> {
        Ok(command.clone())
    }

    /// The files of the project.
    ///
    /// Errors: its folder is not there.
    fn files(&self) -> Result<Box<dyn Workspace + '_>, Error>;

    /// Clock and ids, for what `actor` does.
    fn world(&self, actor: &str) -> Box<dyn World + '_>;

    /// Tools for one command.
    fn tools(&self, run: Run) -> Box<dyn Tools + '_>;
}
