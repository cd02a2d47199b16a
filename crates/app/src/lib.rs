//! Runs commands: finds out what one would change, lets the domain decide, makes the change, and
//! stores the events.
//!
//! Everything outside is a trait ([`Store`], [`Workspace`], [`World`], [`Locks`], [`Programs`]), so the
//! command line and a service run the same handlers, and tests run them in memory.
//!
//! # How files change
//!
//! 1. A capability gives a [`Proposal`]: a change set and what was found out for it.
//! 2. The aggregate is folded from its stream and decides: events or a refusal.
//! 3. An intent is stored, with the former and the new bytes of the files.
//! 4. The files are swapped. When all are new and synced, the events are appended, which closes the
//!    intent: from that moment on the change counts as made.
//!
//! Where somebody else was faster, in a file or in the stream, everything is as before; a stream is
//! decided upon anew, a file is a conflict that shows both sides. After a kill at any moment
//! [`App::recover`] makes files and events agree.
//!
//! # How programs run
//!
//! [`App::effect`] stores an intent with all that is needed to find out later what became of it, runs
//! the program to its end, and appends what came of it. What happened outside cannot be rolled back
//! with a transaction; an intent whose process is gone is looked into by [`Programs::settle`].
//!
//! # Looking back
//!
//! [`App::undo`] and [`App::redo`] append the event that leads back, [`App::log`], [`App::blame`],
//! [`App::replay`] and [`App::drift`] read.

#![forbid(unsafe_code)]

mod authoring;
mod catalogue;
mod change;
mod conflict;
mod effect;
mod flakes;
mod history;
mod load;
mod outside;
mod recover;
mod renaming;
pub mod render;
mod run;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod undo;

use std::cell::Cell;

use cim_domain_nix::Announced;

pub use authoring::Listing;
pub use catalogue::NoFiles;
pub use change::{Done, Mode, Outcome, Proposal};
pub use conflict::Conflict;
pub use effect::Programs;
pub use flakes::flake_facts;
pub use history::{BlamedLine, Drift, Filter, Logged, OpenChange, Past, Writer};
pub use load::States;
pub use outside::{
    Code, LockWish, Locks, NewLock, Outside, Repository, Run, Settled, Sources, Store, Templates,
    Tools, Work, Workspace, World,
};
pub use recover::Recovery;
pub use undo::Stored;

/// One project with its store: what commands are run with.
pub struct App<'a> {
    /// Where events are kept.
    pub store: &'a dyn Store,
    /// The project's files.
    pub files: &'a dyn Workspace,
    /// Clock and ids.
    pub world: &'a dyn World,
    /// Programs that build, copy and activate.
    pub programs: &'a dyn Programs,
    /// The version that an aggregate must have for a command, where whoever sends it says so.
    pub expected: Option<u64>,
    /// States that are known from former commands, in a program that runs many.
    pub states: Option<&'a States>,
    /// What was said to the store of the append that a command is going to make.
    pub announced: Cell<Announced>,
}
