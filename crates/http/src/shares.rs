//! Places that each of many may have a few of: connections of an address, streams of a caller.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// A tenant with a caller: names of callers are told apart within a tenant alone.
pub(crate) type TenantCaller = (Arc<str>, Arc<str>);

/// Who has how many places.
pub(crate) struct Shares<K>(Arc<Mutex<HashMap<K, usize>>>);

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// A place that somebody has; free again when it is dropped.
pub(crate) struct Share<K: Eq + Hash> {
    all: Arc<Mutex<HashMap<K, usize>>>,
    of: K,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// A place for `of`, who may have `most`; none if these are taken.
    pub(crate) fn enter(&self, of: K, most: usize) -> Option<Share<K>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&of).copied().unwrap_or_default() >= most {
            return None;
        }
        *all.entry(of.clone()).or_default() += 1;
        drop(all);
        Some(Share { all: self.0.clone(), of })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = all.get_mut(&self.of) {
            *n -= 1;
            // Who has none is forgotten: names and addresses must not add up.
            if *n == 0 {
                all.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_their_own_and_nothing_is_kept() {
        let shares = Shares::default();
        let one = shares.enter("a", 2).expect("a place");
        let _two = shares.enter("a", 2).expect("a place");
        assert!(shares.enter("a", 2).is_none() && shares.enter("b", 2).is_some());
        drop(one);
        assert!(shares.enter("a", 2).is_some());
        assert_eq!(shares.0.lock().expect("nobody panicked").len(), 1);
        assert!(shares.enter("c", 0).is_none());
        assert_eq!(shares.0.lock().expect("nobody panicked").len(), 1);
    }
}
