//! Recovering: what to do about a change that was interrupted, and the way back of one that failed.

use std::path::{Path, PathBuf};

use cim_nix_base::{Error, ErrorKind, Ledger};

use crate::apply::{open_root, sync_dirs};
use crate::disk::Disk;
use crate::journal::{Action, Intent, Journal, Kept, Phase};
use crate::plan::cannot;
use crate::probe::{Live, Probe};
use crate::revert::Undo;

/// What [`recover`] found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recovered {
    /// No change was interrupted.
    Nothing,
    /// The change was taken back: its files are old.
    Reverted(Interrupted),
    /// The change had been made; what was left of it was tidied up: its files are new.
    Finished(Interrupted),
}

/// A change that was interrupted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// The title of its change set.
    pub title: String,
    /// What a ledger calls it, if it was to be recorded in one.
    pub tag: Option<String>,
    /// The files it was about, relative to the root.
    pub files: Vec<PathBuf>,
    /// What a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Finishes or reverts a change that was interrupted in the project at `root`.
///
/// `state_dir` is the one that was given to [`apply`](crate::apply()). May be interrupted and
/// repeated at any time. Cost when there is nothing to do: one failed system call.
///
/// Errors: [`ErrorKind::Conflict`](cim_nix_base::ErrorKind::Conflict) if a file was edited since,
/// so that it is neither old nor new. It stays, the rest is reverted, the other version is kept,
/// and the hints name both. The same error comes again until the kept version is removed or moved.
/// Also if another run holds the project, the disk fails, or the journal is damaged.
///
/// A change of [`apply_recorded`](crate::apply_recorded()) is left alone, and is a conflict: whether
/// it was made is known to its ledger.
pub fn recover(root: &Path, state_dir: &Path) -> Result<Recovered, Error> {
    recover_with(root, state_dir, None, &Live)
}

/// Like [`recover`], for changes that `ledger` knows: those that it has recorded are finished, all
/// others are reverted.
pub fn recover_recorded(
    root: &Path,
    state_dir: &Path,
    ledger: &dyn Ledger,
) -> Result<Recovered, Error> {
    recover_with(root, state_dir, Some(ledger), &Live)
}

pub(crate) fn recover_with(
    root: &Path,
    state_dir: &Path,
    ledger: Option<&dyn Ledger>,
    probe: &dyn Probe,
) -> Result<Recovered, Error> {
    let journal = Journal::new(state_dir, probe);
    if !journal.is_open()? {
        return Ok(Recovered::Nothing);
    }
    let disk = open_root(root, probe)?;
    let _lock = journal.lock()?;
    recover_locked(&disk, &journal, ledger)
}

/// [`recover`] for who holds the lock already.
pub(crate) fn recover_locked(
    disk: &Disk<'_>,
    journal: &Journal<'_>,
    ledger: Option<&dyn Ledger>,
) -> Result<Recovered, Error> {
    // Asked again: whoever had the lock may have ended well.
    if !journal.is_open()? {
        return Ok(Recovered::Nothing);
    }
    settle(disk, journal, ledger).map_err(|error| match error.kind() {
        ErrorKind::Outside => error.hint(journal.way_out()),
        _ => error,
    })
}

fn settle(
    disk: &Disk<'_>,
    journal: &Journal<'_>,
    ledger: Option<&dyn Ledger>,
) -> Result<Recovered, Error> {
    let intent = journal.load()?;
    if intent.root != disk.path() {
        return Err(Error::user(format!(
            "cannot recover the project `{}`: its state folder belongs to `{}`",
            disk.path().display(),
            intent.root.display()
        )));
    }
    let report = |warnings| Interrupted {
        title: intent.title.clone(),
        tag: intent.tag.clone(),
        files: intent.steps.iter().map(|step| step.path.as_path().to_path_buf()).collect(),
        warnings,
    };
    match journal.phase()? {
        Phase::Committed => Ok(Recovered::Finished(report(tidy(disk, journal, &intent)?))),
        Phase::Stopped => {
            let kept = journal.unsettled()?;
            if !kept.is_empty() {
                return Err(stopped(disk, journal, &intent, &kept));
            }
            journal.close()?;
            Ok(Recovered::Reverted(report(Vec::new())))
        }
        Phase::Swapping if is_recorded(&intent, ledger)? => {
            Ok(Recovered::Finished(report(tidy(disk, journal, &intent)?)))
        }
        phase => {
            let swapped = if phase == Phase::Swapping { intent.steps.len() } else { 0 };
            let warnings = roll_back(disk, journal, &intent, swapped)?;
            Ok(Recovered::Reverted(report(warnings)))
        }
    }
}

/// Whether the ledger says that a change was made.
fn is_recorded(intent: &Intent, ledger: Option<&dyn Ledger>) -> Result<bool, Error> {
    match (&intent.tag, ledger) {
        (None, _) => Ok(false),
        (Some(tag), Some(ledger)) => ledger.is_recorded(tag),
        (Some(_), None) => Err(Error::conflict(format!(
            "the change \"{}\" was interrupted, and only its record says whether it was made",
            intent.title
        ))
        .hint("`cim-nix recover` finishes or reverts it")),
    }
}

/// Takes everything back, of which only the first `swapped` steps may have changed files, and
/// closes the journal. Answers warnings.
pub(crate) fn roll_back(
    disk: &Disk<'_>,
    journal: &Journal<'_>,
    intent: &Intent,
    swapped: usize,
) -> Result<Vec<String>, Error> {
    let mut undo = Undo::new(disk, journal, intent);
    for step in (0..intent.steps.len()).rev() {
        if step < swapped {
            undo.revert(step)?;
        } else {
            undo.unstage(step)?;
        }
    }
    for dir in intent.dirs.iter().rev() {
        disk.remove_empty_dir(dir).map_err(|error| cannot("remove the folder", dir, error))?;
    }
    sync_dirs(disk, intent)?;
    let Undo { mut kept, mut warnings, .. } = undo;
    kept.reverse();
    warnings.reverse();
    if kept.is_empty() {
        journal.close()?;
        return Ok(warnings);
    }
    journal.stop(&kept)?;
    let error = stopped(disk, journal, intent, &kept);
    Err(warnings.into_iter().fold(error, Error::hint))
}

/// Removes what a committed change displaced and closes the journal. Answers warnings.
pub(crate) fn tidy(
    disk: &Disk<'_>,
    journal: &Journal<'_>,
    intent: &Intent,
) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    for (index, step) in intent.steps.iter().enumerate() {
        let (Action::Write { before, .. } | Action::Remove { before }) = &step.action else {
            continue;
        };
        let temporary = intent.temporary(index);
        let io = |error| cannot("tidy up after", &step.path, error);
        let found = disk.look(&temporary).map_err(io)?;
        if found.is(before.hash) {
            disk.unlink(&temporary).map_err(io)?;
        } else if !found.is_nothing() {
            warnings.push(format!(
                "another program wrote to the former `{}` while it was replaced; \
                 what it wrote is in `{temporary}`",
                step.path
            ));
        }
    }
    sync_dirs(disk, intent)?;
    journal.close()?;
    Ok(warnings)
}

fn stopped(disk: &Disk<'_>, journal: &Journal<'_>, intent: &Intent, kept: &[Kept]) -> Error {
    let paths: Vec<_> = kept.iter().map(|kept| format!("`{}`", kept.path)).collect();
    let error = Error::conflict(format!(
        "cannot revert the interrupted change \"{}\" in full: {} changed since",
        intent.title,
        paths.join(", ")
    ));
    let hint = |kept: &Kept| {
        format!(
            "`{}` stays as it is; its other version is `{}`: remove that or move it over the \
             file, then run the command again",
            disk.path().join(kept.path.as_path()).display(),
            journal.kept_path(kept).display()
        )
    };
    kept.iter().map(hint).fold(error, Error::hint)
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
