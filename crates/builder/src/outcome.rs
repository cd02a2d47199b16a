//! How something ended that gives nothing but its effect.

use crate::run::Ended;

/// How something ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As it should.
    Done,
    /// A program failed.
    Failed {
        /// Its exit status; nothing if a signal ended it.
        code: Option<i32>,
        /// What it said last.
        reason: String,
    },
    /// The flag of the [`Control`](crate::Control) was set.
    Cancelled,
    /// It took more than the time limit.
    TimedOut,
}

impl Outcome {
    pub(crate) fn of(ended: Ended, reason: impl FnOnce() -> String) -> Self {
        match ended {
            Ended::Exited(status) if status.success() => Self::Done,
            Ended::Exited(status) => Self::Failed { code: status.code(), reason: reason() },
            Ended::Cancelled => Self::Cancelled,
            Ended::TimedOut => Self::TimedOut,
        }
    }

    /// Whether it ended as it should.
    #[must_use]
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }
}
