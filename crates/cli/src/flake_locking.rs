//! Lock files of flakes for whoever writes them: the text of a `flake.nix`, which need not be on
//! the disk yet, and of the lock file so far, to the text of the new one.
//!
//! Nothing is written here, but for what is fetched into the cache. The graph of inputs is computed
//! in `cim-nix-model`, and the sources for it are those of an evaluation.

mod overlay;

use std::cell::RefCell;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;

use crate::reading::OurFiles;
use cim_nix_base::{ChangeSet, ContentHash, Error, Op};
use cim_nix_eval::{ErrorKind, EvalError, FlakeOptions, GivenLockFile, Weight, with_stack};
use cim_nix_fetch::git_command;
use cim_nix_model::{FlakeRef, LockChange, LockFile};
use cim_nix_project::{Files as _, Problem};
use cim_nix_vfs::SOURCE_LIMIT;

use self::overlay::Overlay;
use crate::evaluation::Surroundings;
use crate::flake_writing::is_in_repository;
use crate::installable;
use crate::lock_args::LockRequest;
use crate::progress::Progress;
use crate::scope::shown;

/// What is to be locked, and how.
pub(crate) struct LockTask<'t> {
    /// The folder of the flake: relative inputs start there, and where it lies in a Git repository,
    /// only files that Git knows are part of the flake.
    pub(crate) folder: &'t Path,
    /// What `flake.nix` says, or is to say. Nobody reads the one on the disk.
    pub(crate) flake_nix: &'t str,
    /// The text of the lock file so far, if there is one. Nobody reads the one on the disk.
    pub(crate) old_lock: Option<&'t str>,
    /// Which inputs are locked anew or come from elsewhere, and which names stand for what.
    pub(crate) request: &'t LockRequest,
    /// Whether an input that nothing fixes, such as files that were never committed, is an error:
    /// the lock file is not written then. Otherwise it is a warning.
    pub(crate) fails_on_unlocked: bool,
}

/// A lock file that was computed.
#[derive(Debug)]
pub(crate) struct NewLock {
    /// What `flake.lock` has to hold; nothing if it can stay as it is.
    pub(crate) text: Option<String>,
    /// How it differs from the old one, by input. It may be empty although there is a new text.
    pub(crate) changes: Vec<LockChange>,
    /// What is worth a warning, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// The texts of a flake on the disk.
#[derive(Debug)]
pub(crate) struct FlakeTexts {
    /// What stands in `flake.nix`.
    pub(crate) flake_nix: String,
    /// What stands in `flake.lock`, if it is there.
    pub(crate) lock: Option<String>,
    /// Whether the lock file counts: in a Git repository, one that Git does not know is not part of
    /// the flake, and Nix locks anew what stands in it.
    pub(crate) lock_counts: bool,
}

impl FlakeTexts {
    /// Errors: there is no `flake.nix`, Git does not know it, or a file is no text.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let cannot = |path: &Path, problem: Problem| {
            Error::user(format!("cannot read `{}`: {problem}", shown(path)))
        };
        let path = folder.join("flake.nix");
        let flake_nix = OurFiles.read(&path, SOURCE_LIMIT);
        let flake_nix = flake_nix.map_err(|problem| cannot(&path, problem))?;
        if !is_known(folder, "flake.nix") {
            let message = format!("`{}` is not tracked by Git", shown(&path));
            let hint = "what Git does not know is not part of a flake: `git add --intent-to-add flake.nix` makes it known";
            return Err(Error::user(message).hint(hint));
        }
        let path = folder.join("flake.lock");
        let lock = match OurFiles.read(&path, SOURCE_LIMIT) {
            Ok(text) => Some(text),
            Err(Problem::Missing) => None,
            Err(problem) => return Err(cannot(&path, problem)),
        };
        let lock_counts = lock.is_some() && is_known(folder, "flake.lock");
        Ok(Self { flake_nix, lock, lock_counts })
    }

    /// The text of the lock file that counts.
    pub(crate) fn old_lock(&self) -> Option<&str> {
        self.lock.as_deref().filter(|_| self.lock_counts)
    }

    /// What is there becomes what was computed.
    pub(crate) fn push_lock(&self, new: &NewLock, set: &mut ChangeSet) {
        let Some(text) = &new.text else { return };
        let op = match &self.lock {
            None => Op::Create { content: text.clone(), mode: None },
            Some(before) if before == text => return,
            Some(before) => {
                let expected = ContentHash::of(before.as_bytes());
                Op::Write { expected, content: text.clone() }
            }
        };
        set.push("flake.lock", op);
    }
}

/// Whether a file is part of the flake: everything is, outside of Git repositories.
fn is_known(folder: &Path, name: &str) -> bool {
    if !is_in_repository(folder) {
        return true;
    }
    let ask = ["ls-files", "--error-unmatch", "--", name];
    let mut command = git_command(folder);
    let command = command.args(ask).stdin(Stdio::null()).stdout(Stdio::null());
    // Without Git, fetching the flake says what is wrong.
    command.stderr(Stdio::null()).status().map_or(true, |status| status.success())
}

/// Computes the lock file of a flake, as Nix does. It may use the network, and writes nothing.
///
/// Errors: `flake.nix` is broken, an input cannot be had or is no flake, or inputs do not fit
/// together ([`User`](cim_nix_base::ErrorKind::User)); files, network or memory failed
/// ([`Outside`](cim_nix_base::ErrorKind::Outside)).
pub(crate) fn new_lock(surroundings: &Surroundings, task: &LockTask<'_>) -> Result<NewLock, Error> {
    let folder = task.folder.canonicalize().map_err(|error| {
        Error::user(format!("cannot read the folder `{}`", shown(task.folder))).because(error)
    })?;
    let flake = installable::flake_in(&folder)?;
    let mut surroundings = surroundings.clone();
    surroundings.with_flakes(true, false);
    let ended = with_stack(|| lock_on_stack(&surroundings, &folder, &flake, task));
    ended.map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))?
}

fn lock_on_stack(
    surroundings: &Surroundings,
    folder: &Path,
    flake: &FlakeRef,
    task: &LockTask<'_>,
) -> Result<NewLock, Error> {
    let warnings = Rc::new(RefCell::new(Vec::new()));
    let say = {
        let warnings = warnings.clone();
        Rc::new(move |text: &str| {
            let text = text.strip_prefix("warning: ").unwrap_or(text);
            warnings.borrow_mut().push(text.to_owned());
        })
    };
    let evaluation = surroundings.start_over(say, |below| Overlay {
        below,
        path: folder.join("flake.nix"),
        text: task.flake_nix.as_bytes().to_vec(),
        on_fetch: RefCell::new(counting()),
    });
    let old_text = task.old_lock.map_or_else(|| LockFile::default().to_text(), str::to_owned);
    let name = folder.join("flake.lock").to_string_lossy().into_owned();
    let options = FlakeOptions {
        is_written: true,
        lock_file: Some(GivenLockFile { name, text: old_text }),
        ..task.request.options.clone()
    };
    let locked = task.request.prepare(&evaluation).and_then(|()| evaluation.lock(flake, &options));
    let locked = locked.map_err(|error| failed(folder, &error))?;
    let (old, new) = (&locked.old_lock_file, &locked.lock_file);
    let mut text = (old != new).then(|| new.to_text());
    if text.is_some()
        && let Some(unlocked) = new.unlocked().filter(|_| !surroundings.allows_dirty_locks)
    {
        let message = format!(
            "the lock file of `{}` would have an input that nothing fixes: '{unlocked}'",
            shown(folder)
        );
        if task.fails_on_unlocked {
            let hint =
                "commit the files of that input, or accept it by `--option allow-dirty-locks true`";
            return Err(Error::user(message).hint(hint));
        }
        warnings.borrow_mut().push(format!("{message}; it is not written"));
        text = None;
    }
    let warnings = warnings.take();
    Ok(NewLock { text, changes: old.changed_inputs(new), warnings })
}

/// Shows how many of the sources that are known by now were fetched.
fn counting() -> Box<dyn FnMut(bool)> {
    let progress = Progress::of("sources", true);
    let mut n_begun = 0;
    Box::new(move |begins| match begins {
        true => {
            n_begun += 1;
            progress.start(n_begun);
        }
        false => progress.step(),
    })
}

/// An evaluation's failure in one line: what was tried, and what was found.
fn failed(folder: &Path, error: &EvalError) -> Error {
    let message = format!("cannot lock the inputs of `{}`", shown(folder));
    let frames = error.trace.iter().filter(|frame| frame.weight != Weight::Detail);
    let mut steps: Vec<&str> = frames.map(|frame| frame.text.as_str()).collect();
    // That is what the message says.
    steps.retain(|step| !step.starts_with("while updating the lock file of flake"));
    let mut cause = [&steps[..], &[&*error.message]].concat().join(": ");
    if let Some(place) = &error.place {
        cause.push_str(&format!(", at {}:{}:{}", place.origin, place.line, place.column));
    }
    let failure = match error.kind {
        ErrorKind::Io | ErrorKind::Limit => Error::outside(message),
        _ => Error::user(message),
    };
    failure.because(cause)
}

#[cfg(test)]
mod tests;
