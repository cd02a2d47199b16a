//! Subscriptions: who waits for events of this process is woken, those of others are looked for.

use std::time::{Duration, Instant};

use cim_domain_nix::{EventStore as _, Record, StoreError, Subscription, Visit};

use crate::store::JetStreamStore;

/// How long to wait before asking for what others stored: soon at first, for those that answer each
/// other, then less often.
const SOON: Duration = Duration::from_millis(2);
const LATER: Duration = Duration::from_millis(50);

pub(crate) struct Follower {
    store: JetStreamStore,
    position: u64,
}

impl Follower {
    pub(crate) fn new(store: JetStreamStore, after: u64) -> Self {
        Self { store, position: after }
    }
}

impl Subscription for Follower {
    fn next(
        &mut self,
        patience: Duration,
        visit: &mut dyn FnMut(&Record<'_>) -> Visit,
    ) -> Result<usize, StoreError> {
        let start = Instant::now();
        let mut pause = SOON;
        let store = self.store.clone();
        loop {
            let mut n_visited = 0;
            store.read_all(self.position, &mut |event| {
                let flow = visit(event)?;
                self.position = event.position;
                n_visited += 1;
                Ok(flow)
            })?;
            let left = patience.saturating_sub(start.elapsed());
            if n_visited > 0 || left.is_zero() {
                return Ok(n_visited);
            }
            store.shared().wait_for_growth(self.position, pause.min(left));
            pause = (pause * 2).min(LATER);
        }
    }
}
