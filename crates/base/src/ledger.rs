//! The record that decides whether a change was made.

use crate::Error;

/// A record that says whether a change to files was made: a store of events, say.
///
/// Whoever applies a [`ChangeSet`](crate::ChangeSet) asks it to write the change down once all files
/// are new and synced. From then on the change counts as made, and until then as not made, whatever
/// happens in between.
pub trait Ledger {
    /// Writes down, durably, that the change `tag` is made.
    ///
    /// Errors: it may or may not be written; [`is_recorded`](Self::is_recorded) is asked.
    fn record(&mut self, tag: &str) -> Result<(), Error>;

    /// Whether it is written down that the change `tag` is made.
    ///
    /// Errors: that cannot be told now. The change stays as it is until it can.
    fn is_recorded(&self, tag: &str) -> Result<bool, Error>;
}
