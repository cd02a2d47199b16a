//! Recovering: what an interrupted process left behind.

use cim_nix_base::{Error, Ledger};

use crate::change::Plan;
use crate::{App, Settled};

/// What [`App::recover`] found and did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recovery {
    /// The change to files that was interrupted.
    pub files: Option<Settled>,
    /// Changes that were written down and never begun, or whose files were put back, by title.
    pub dropped: Vec<String>,
    /// Programs that were interrupted, by title; the events say so now.
    pub interrupted: Vec<String>,
    /// What others are doing right now, by title.
    pub running: Vec<String>,
}

impl Recovery {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.files.is_none() && self.dropped.is_empty() && self.interrupted.is_empty()
    }
}

/// The store as a ledger that is only asked.
struct Asked<'a>(&'a App<'a>);

impl Ledger for Asked<'_> {
    fn record(&mut self, _: &str) -> Result<(), Error> {
        Err(Error::bug("recovering records nothing"))
    }

    fn is_recorded(&self, tag: &str) -> Result<bool, Error> {
        self.0.is_recorded(tag)
    }
}

impl App<'_> {
    /// Finishes or reverts what an interrupted process left behind. May be interrupted and repeated
    /// at any time.
    ///
    /// Files first: those of a change whose events are stored become new, all others old. Then each
    /// intent without events is closed; a program that was interrupted gets an event that says so.
    ///
    /// Errors: a file was edited since and is neither old nor new (a conflict that names both
    /// versions), or the disk or the store fail.
    pub fn recover(&self) -> Result<Recovery, Error> {
        self.settle(true)
    }

    /// Like [`recover`](Self::recover), for files alone: programs that were interrupted are left to
    /// whoever can find out what became of them.
    pub fn recover_files(&self) -> Result<Recovery, Error> {
        self.settle(false)
    }

    fn settle(&self, with_effects: bool) -> Result<Recovery, Error> {
        let mut recovery =
            Recovery { files: self.files.recover(&Asked(self))?, ..Recovery::default() };
        for intent in self.store.open_intents()? {
            let plan = Plan::read(&intent)?;
            let title = plan.title().to_owned();
            if self.world.is_running(plan.process()) {
                recovery.running.push(title);
                continue;
            }
            let is_stored = match intent.events.first() {
                Some(id) => self.is_recorded(&id.to_string())?,
                None => false,
            };
            match plan {
                _ if is_stored => self.store.close_intent(intent.id)?,
                Plan::Files { .. } => {
                    self.store.close_intent(intent.id)?;
                    recovery.dropped.push(title);
                }
                Plan::Effect { .. } if !with_effects => {}
                Plan::Effect { .. } => {
                    self.settle_effect(&intent, &plan)?;
                    recovery.interrupted.push(title);
                }
            }
        }
        Ok(recovery)
    }
}
