//! Runs commands: finds out what one would change, lets the domain decide, makes the change, and
//! stores the events. (documentation follows)

#![forbid(unsafe_code)]

mod authoring;
mod change;
mod conflict;
mod effect;
mod flakes;
mod history;
mod outside;
mod recover;
pub mod render;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod undo;

pub use authoring::Listing;
pub use change::{Mode, Outcome, Proposal};
pub use conflict::Conflict;
pub use effect::Programs;
pub use flakes::flake_facts;
pub use history::{BlamedLine, Drift, Filter, Logged, OpenChange, Past, Writer};
pub use outside::{LockWish, Locks, NewLock, Settled, Sources, Store, Workspace, World};
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
}
