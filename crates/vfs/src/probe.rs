//! The seam by which tests stop the protocol at any step.

use std::io;

/// Sees every call that changes the disk before it is made.
pub(crate) trait Probe {
    /// `what` is about to happen; an error takes its place.
    fn step(&self, what: &'static str) -> io::Result<()> {
        let _ = what;
        Ok(())
    }

    /// Whether syncing reaches the disk. A test that simulates a crash in one process has no use
    /// for it and would spend its time there.
    fn syncs(&self) -> bool {
        true
    }

    /// The best that the file system can do; less is tried where it turns out not to.
    fn can_rename(&self) -> Renames {
        Renames::WithFlags
    }
}

/// How a file system renames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Renames {
    /// Neither flags nor hard links.
    #[cfg_attr(not(test), expect(dead_code, reason = "real disks are found out by trying"))]
    Plainly,
    /// A second link is refused where something is, which a rename can be made of.
    WithLinks,
    /// With `EXCHANGE` and `NOREPLACE`.
    WithFlags,
}

/// The probe of real runs: lets everything pass.
pub(crate) struct Live;

impl Probe for Live {}
