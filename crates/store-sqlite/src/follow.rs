//! Subscriptions: who waits for events of this process is woken, those of others are looked for.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use cim_domain_nix::{EventStore as _, Record, StoreError, Subscription, Visit};

use crate::store::SqliteStore;

/// How long to wait before looking for what other processes stored: soon at first, for those that
/// answer each other, then less often.
const SOON: Duration = Duration::from_millis(2);
const LATER: Duration = Duration::from_millis(50);

pub(crate) struct Follower<'s> {
    store: &'s SqliteStore,
    position: u64,
}

impl<'s> Follower<'s> {
    pub(crate) fn new(store: &'s SqliteStore, after: u64) -> Self {
        Self { store, position: after }
    }

    /// Visits what is there.
    fn visit(&mut self, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> Result<usize, StoreError> {
        let mut n_visited = 0;
        let store = self.store;
        store.read_all(self.position, &mut |event| {
            let flow = visit(event)?;
            self.position = event.position;
            n_visited += 1;
            Ok(flow)
        })?;
        Ok(n_visited)
    }
}

impl Subscription for Follower<'_> {
    fn next(
        &mut self,
        patience: Duration,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<usize, StoreError> {
        let start = Instant::now();
        let mut pause = SOON;
        loop {
            let n_visited = self.visit(visit)?;
            let left = patience.saturating_sub(start.elapsed());
            if n_visited > 0 || left.is_zero() {
                return Ok(n_visited);
            }
            let head = self.store.head.lock().unwrap_or_else(PoisonError::into_inner);
            let position = self.position;
            let grown = &self.store.grown;
            drop(grown.wait_timeout_while(head, pause.min(left), |head| *head <= position));
            pause = (pause * 2).min(LATER);
        }
    }
}
