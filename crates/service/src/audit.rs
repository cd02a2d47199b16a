//! What was refused, and to whom: kept for the operations page, and said to the log.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use cim_domain_nix::Timestamp;

/// Refusals that are kept.
const KEPT: usize = 500;

/// Something that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// The tenant that was asked.
    pub tenant: String,
    /// Who asked; empty if nobody knows.
    pub caller: String,
    /// What carried it.
    pub via: &'static str,
    /// The type of the message, or the path.
    pub what: String,
    /// The word for the cause.
    pub cause: &'static str,
    /// What was answered.
    pub message: String,
}

/// The last refusals.
#[derive(Debug, Default)]
pub struct Audit(Mutex<VecDeque<Refused>>);

impl Audit {
    /// Notes a refusal, here and in the log.
    pub fn note(&self, refused: Refused) {
        tracing::warn!(
            target: "audit",
            tenant = %refused.tenant,
            caller = %refused.caller,
            via = refused.via,
            what = %refused.what,
            cause = refused.cause,
            "refused: {}",
            refused.message
        );
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(refused);
    }

    /// The last ones, the newest first.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<Refused> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(most).cloned().collect()
    }
}
