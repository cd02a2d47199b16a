//! Applying a change set: the way forward.
//!
//! Each stage leaves the journal such that [`recover`](crate::recover()) knows what to do, and an
//! error on the way takes the same path back as a recovery does.

use std::cell::Cell;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use cim_nix_base::{ChangeSet, Error, Ledger};

use crate::disk::{Disk, Found, Style, Syncing};
use crate::journal::{Action, Intent, Journal, PreImage, Step};
use crate::path::RelPath;
use crate::plan::{Fresh, Plan, cannot, changed, plan};
use crate::probe::{Live, Probe};
use crate::recover::{Recovered, recover_locked, roll_back, tidy};

/// What is said of a file that changed after the set was planned.
const JUST_NOW: &str = "was changed by another program just now";

/// What [`apply`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// The files that changed, in the order of the set, behind all symlinks and relative to the
    /// root; a renamed file is here under its former name.
    pub changed: Vec<PathBuf>,
    /// What a reader should know although all went well: broken hard links, attributes that could
    /// not be kept, an earlier change that was interrupted and has been reverted. One sentence each.
    pub warnings: Vec<String>,
}

/// Applies `set` to the project at `root`, all or nothing.
///
/// `state_dir` holds lock and journal (see [`journal_dir`](crate::journal_dir)); it is made if need
/// be and may be on another file system. An empty set touches nothing, not even that. A set that
/// was interrupted is recovered first.
///
/// Errors: after any error all files are as they were, except those that another program changed.
/// [`ErrorKind::Conflict`](cim_nix_base::ErrorKind::Conflict) names a file that is not what the
/// set expects, or another run in the same project; [`User`](cim_nix_base::ErrorKind::User) a path
/// that does not fit; [`Outside`](cim_nix_base::ErrorKind::Outside) what the system refused. If
/// even going back fails, a hint says so and the next run goes on with it.
///
/// Blocks on the disk: every new file and touched folder is synced.
pub fn apply(root: &Path, state_dir: &Path, set: &ChangeSet) -> Result<Applied, Error> {
    apply_with(root, state_dir, set, &Live)
}

/// Like [`apply`], as one step with an entry in `ledger`: after it, and after a kill at any moment
/// followed by [`recover_recorded`](crate::recover_recorded()), either all files are new and the
/// ledger says so, or all are old and it does not.
///
/// `tag` is what the ledger calls the change; no other change may have it. The ledger is written
/// even where the set changes nothing.
///
/// Errors: those of [`apply`] and of the ledger.
pub fn apply_recorded(
    root: &Path,
    state_dir: &Path,
    set: &ChangeSet,
    tag: &str,
    ledger: &mut dyn Ledger,
) -> Result<Applied, Error> {
    apply_recorded_with(root, state_dir, set, (tag, ledger), &Live)
}

pub(crate) fn apply_recorded_with(
    root: &Path,
    state_dir: &Path,
    set: &ChangeSet,
    (tag, ledger): (&str, &mut dyn Ledger),
    probe: &dyn Probe,
) -> Result<Applied, Error> {
    apply_locked(root, state_dir, set, &mut Record::Ledger(tag, ledger), probe)
}

pub(crate) fn apply_with(
    root: &Path,
    state_dir: &Path,
    set: &ChangeSet,
    probe: &dyn Probe,
) -> Result<Applied, Error> {
    if set.is_empty() {
        return Ok(Applied::default());
    }
    apply_locked(root, state_dir, set, &mut Record::Journal, probe)
}

/// What says whether a change was made.
enum Record<'a> {
    /// The journal's own mark.
    Journal,
    /// A ledger, and what it calls the change.
    Ledger(&'a str, &'a mut dyn Ledger),
}

impl Record<'_> {
    fn ledger(&self) -> Option<&dyn Ledger> {
        match self {
            Self::Journal => None,
            Self::Ledger(_, ledger) => Some(&**ledger),
        }
    }
}

fn apply_locked(
    root: &Path,
    state_dir: &Path,
    set: &ChangeSet,
    record: &mut Record<'_>,
    probe: &dyn Probe,
) -> Result<Applied, Error> {
    let disk = open_root(root, probe)?;
    let journal = Journal::new(state_dir, probe);
    let _lock = journal.lock()?;
    let mut warnings = recovered_first(&disk, &journal, record.ledger())?;

    let mut draft = journal.draft()?;
    let plan = match plan(&disk, &mut draft, set, new_token()) {
        Ok(plan) if plan.intent.steps.is_empty() => {
            draft.discard()?;
            if let Record::Ledger(tag, ledger) = record {
                ledger.record(tag)?;
            }
            return Ok(Applied { changed: Vec::new(), warnings });
        }
        Ok(mut plan) => {
            if let Record::Ledger(tag, _) = record {
                plan.intent.tag = Some((*tag).to_owned());
            }
            plan
        }
        Err(error) => {
            // A draft is worthless and the next run removes it; the reason is what counts.
            let _ = draft.discard();
            return Err(error);
        }
    };
    let run = Run { disk: &disk, journal: &journal, plan: &plan, swapped: Cell::new(0) };
    match draft.open(&plan.intent).and_then(|()| run.forward()) {
        Ok(more) => warnings.extend(more),
        Err(error) => return Err(run.back(error)),
    }
    warnings.extend(run.commit(record)?);
    let Plan { intent, warnings: planned, .. } = plan;
    warnings.extend(planned);
    match tidy(&disk, &journal, &intent) {
        Ok(more) => warnings.extend(more),
        // The change is made and stays; the journal is open and says so to the next run.
        Err(error) => warnings.push(format!("{}; the next run tidies up", error.chain())),
    }
    let changed = intent.steps.iter().map(|step| step.path.as_path().to_path_buf()).collect();
    Ok(Applied { changed, warnings })
}

pub(crate) fn open_root<'a>(root: &Path, probe: &'a dyn Probe) -> Result<Disk<'a>, Error> {
    Disk::open(root, probe).map_err(|error| {
        Error::user(format!("cannot open the project folder `{}`", root.display())).because(error)
    })
}

fn recovered_first(
    disk: &Disk<'_>,
    journal: &Journal<'_>,
    ledger: Option<&dyn Ledger>,
) -> Result<Vec<String>, Error> {
    Ok(match recover_locked(disk, journal, ledger)? {
        Recovered::Nothing => Vec::new(),
        Recovered::Reverted(it) => {
            let text = format!("an earlier change, \"{}\", was interrupted; reverted it", it.title);
            [vec![text], it.warnings].concat()
        }
        Recovered::Finished(it) => it.warnings,
    })
}

/// Sixteen hexadecimal digits that nobody has used before.
fn new_token() -> String {
    // The keys of std's hash maps are the random numbers at hand.
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{random:016x}")
}

/// One change set on its way.
struct Run<'a> {
    disk: &'a Disk<'a>,
    journal: &'a Journal<'a>,
    plan: &'a Plan<'a>,
    /// How many steps may have changed their file.
    swapped: Cell<usize>,
}

impl Run<'_> {
    /// From the open journal to new files on disk. Answers warnings.
    fn forward(&self) -> Result<Vec<String>, Error> {
        let warnings = self.stage()?;
        self.journal.mark("staged")?;
        for step in 0..self.plan.intent.steps.len() {
            self.swap(step)?;
        }
        self.recheck()?;
        sync_dirs(self.disk, &self.plan.intent)?;
        Ok(warnings)
    }

    /// Decides that the change is made; goes back if that cannot be written down. Answers warnings.
    fn commit(&self, record: &mut Record<'_>) -> Result<Vec<String>, Error> {
        match record {
            Record::Journal => self.mark_committed().map(|()| Vec::new()),
            Record::Ledger(tag, ledger) => self.enter(tag, *ledger),
        }
    }

    fn enter(&self, tag: &str, ledger: &mut dyn Ledger) -> Result<Vec<String>, Error> {
        if let Err(error) = self.journal.step("record") {
            return Err(self.back(error));
        }
        let Err(error) = ledger.record(tag) else { return Ok(Vec::new()) };
        match ledger.is_recorded(tag) {
            Ok(true) => Ok(vec![error.chain()]),
            Ok(false) => Err(self.back(error)),
            // All files are new now, and going back would be wrong if the entry is there after all.
            Err(_) => Err(error.hint("the change is complete or will be reverted by the next run")),
        }
    }

    fn mark_committed(&self) -> Result<(), Error> {
        let Err(error) = self.journal.mark("committed") else { return Ok(()) };
        match self.journal.unmark("committed") {
            Ok(()) => Err(self.back(error)),
            // All files are new now, and whether the mark will be there after a crash is unknown.
            // Going back would be half way when the next run believes a mark.
            Err(_) => Err(error.hint("the change is complete or will be reverted by the next run")),
        }
    }

    /// Reverts everything and passes `error` on.
    fn back(&self, error: Error) -> Error {
        match roll_back(self.disk, self.journal, &self.plan.intent, self.swapped.get()) {
            Ok(warnings) => warnings.into_iter().fold(error, Error::hint),
            Err(second) => {
                let text = format!("going back failed as well: {}", second.chain());
                let hints = second.hints().iter().cloned();
                hints.fold(error.hint(text), Error::hint)
            }
        }
    }

    /// Makes folders and temporaries. Answers warnings.
    fn stage(&self) -> Result<Vec<String>, Error> {
        let intent = &self.plan.intent;
        for dir in &intent.dirs {
            self.disk.make_dir(dir).map_err(|error| cannot("create the folder", dir, error))?;
        }
        let syncing = Syncing::of(intent.steps.len());
        let mut warnings = Vec::new();
        for (index, (step, fresh)) in intent.steps.iter().zip(&self.plan.fresh).enumerate() {
            let Some(Fresh { content, mode }) = fresh else { continue };
            let style = match &step.action {
                Action::Write { before, .. } => Style::Like(before.owner, &step.path),
                _ => Style::Default(*mode),
            };
            let (temporary, bytes) = (intent.temporary(index), content.as_bytes());
            let staged = self.disk.stage(&temporary, bytes, &style, syncing);
            let lost = staged.map_err(|error| cannot("write", &step.path, error))?;
            if !lost.is_empty() {
                warnings.push(format!("`{}` could not keep its {}", step.path, lost.join(", ")));
            }
        }
        if syncing == Syncing::Together {
            sync_dirs(self.disk, intent)?;
        }
        Ok(warnings)
    }

    /// Brings one file from old to new and verifies what was old.
    fn swap(&self, index: usize) -> Result<(), Error> {
        let disk = self.disk;
        let Step { path, action } = &self.plan.intent.steps[index];
        let temporary = &self.plan.intent.temporary(index);
        match action {
            Action::Create { .. } => self.tried(index, "create", disk.move_new(temporary, path)),
            Action::Write { before, .. } => {
                if self.tried(index, "write", disk.exchange(temporary, path))? {
                    return self.verify(temporary, path, before);
                }
                // Not atomic: what another program writes between these two calls is lost.
                self.verify(path, path, before)?;
                self.tried(index, "write", disk.replace(temporary, path))
            }
            Action::Rename { before, to } => {
                self.tried(index, "rename", disk.move_new(path, to))?;
                self.verify(to, path, before)
            }
            Action::SetMode { before, from, to } => {
                let found = disk.look(path).map_err(|error| cannot("read", path, error))?;
                match found {
                    Found::File(seen) if seen.hash == *before && seen.owner.mode == from.0 => {}
                    _ => return Err(changed(path, JUST_NOW)),
                }
                self.tried(index, "set the mode of", disk.change_mode(path, to.0))
            }
            Action::Remove { before } => {
                self.tried(index, "remove", disk.move_new(path, temporary))?;
                self.verify(temporary, path, before)
            }
        }
    }

    /// Notes whether a call may have changed the file of a step and gives its error a name.
    fn tried<T>(&self, index: usize, verb: &str, outcome: io::Result<T>) -> Result<T, Error> {
        let Step { path, action } = &self.plan.intent.steps[index];
        let error = match outcome {
            Err(error) => error,
            Ok(value) => {
                self.swapped.set(index + 1);
                return Ok(value);
            }
        };
        match (error.kind(), action) {
            (io::ErrorKind::NotFound, _) => Err(changed(path, "is not there any more")),
            (io::ErrorKind::AlreadyExists, Action::Rename { to, .. }) => {
                Err(changed(to, "exists already"))
            }
            (io::ErrorKind::AlreadyExists, _) => Err(changed(path, "exists already")),
            _ => {
                // It may have failed half way, so going back has a look.
                self.swapped.set(index + 1);
                Err(cannot(verb, path, error))
            }
        }
    }

    /// Checks that what is at `place` now is what `path` was made of when the set was planned.
    fn verify(&self, place: &RelPath, path: &RelPath, before: &PreImage) -> Result<(), Error> {
        match self.disk.look(place).map_err(|error| cannot("read", path, error))? {
            Found::File(seen) if seen.hash == before.hash && seen.owner == before.owner => Ok(()),
            _ => Err(changed(path, JUST_NOW)),
        }
    }

    /// Checks everything displaced once more, for programs that had a file open and wrote to it.
    fn recheck(&self) -> Result<(), Error> {
        let intent = &self.plan.intent;
        for (index, Step { path, action }) in intent.steps.iter().enumerate() {
            let (Action::Write { before, .. } | Action::Remove { before }) = action else {
                continue;
            };
            let found = self.disk.look(&intent.temporary(index));
            let found = found.map_err(|error| cannot("read", path, error))?;
            // Nothing is there where the file system could not exchange.
            if !found.is_nothing() && !found.is(before.hash) {
                return Err(changed(path, JUST_NOW));
            }
        }
        Ok(())
    }
}

/// Makes every name that a change touched durable.
pub(crate) fn sync_dirs(disk: &Disk<'_>, intent: &Intent) -> Result<(), Error> {
    disk.sync_dirs(&intent.touched_dirs(), Syncing::of(intent.steps.len())).map_err(|error| {
        Error::outside(format!("cannot sync the project `{}`", disk.path().display()))
            .because(error)
    })
}

#[cfg(test)]
mod tests;
