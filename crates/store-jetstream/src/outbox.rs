//! Which events are published: all up to a mark, and some after it.

use std::collections::BTreeMap;

use bytes::Bytes;
use cim_domain_nix::StoreError;
use serde::{Deserialize, Serialize};

/// Where the marks are kept.
pub(crate) const KEY: &str = "published";

/// Positions of events that are published.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    /// All up to this one.
    pub(crate) upto: u64,
    /// Runs after that, by their first: their last.
    #[serde(default)]
    ahead: BTreeMap<u64, u64>,
}

impl Published {
    pub(crate) fn read(value: Option<&[u8]>) -> Result<Self, StoreError> {
        let Some(value) = value else { return Ok(Self::default()) };
        serde_json::from_slice(value).map_err(|error| StoreError::Corrupt {
            place: format!("the value `{KEY}` of the key-value bucket"),
            problem: error.to_string(),
        })
    }

    pub(crate) fn print(&self) -> Result<Bytes, StoreError> {
        let json = serde_json::to_vec(self);
        json.map(Into::into).map_err(|error| StoreError::Invalid(error.to_string()))
    }

    pub(crate) fn has(&self, position: u64) -> bool {
        let run = self.ahead.range(..=position).next_back();
        position <= self.upto || run.is_some_and(|(_, last)| position <= *last)
    }

    /// Notes positions, in any order, those up to `head` alone: nobody has the others yet.
    pub(crate) fn note(&mut self, positions: &[u64], head: u64) {
        let mut positions: Vec<u64> =
            positions.iter().copied().filter(|position| (1..=head).contains(position)).collect();
        positions.sort_unstable();
        for position in positions {
            if !self.has(position) {
                self.insert(position);
            }
        }
    }

    fn insert(&mut self, position: u64) {
        let after = self.ahead.remove(&(position + 1)).unwrap_or(position);
        let before = self.ahead.range_mut(..position).next_back();
        if position == self.upto + 1 {
            self.upto = after;
        } else if let Some((_, last)) = before.filter(|(_, last)| **last + 1 == position) {
            *last = after;
        } else {
            self.ahead.insert(position, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_say_what_was_noted() {
        fastrand::seed(5);
        for _ in 0..200 {
            let (mut published, mut model) =
                (Published::default(), std::collections::BTreeSet::new());
            let head = fastrand::u64(1..40);
            for _ in 0..fastrand::usize(..12) {
                let positions: Vec<u64> =
                    (0..fastrand::usize(..6)).map(|_| fastrand::u64(..50)).collect();
                published.note(&positions, head);
                model.extend(positions.into_iter().filter(|at| (1..=head).contains(at)));
                let json = published.print().expect("JSON");
                assert_eq!(Published::read(Some(&json)).expect("ours"), published);
            }
            for at in 1..60 {
                assert_eq!(published.has(at), model.contains(&at), "{at} in {published:?}");
            }
            assert!(!model.contains(&(published.upto + 1)));
            // Runs that touch are one.
            let runs: Vec<_> = published.ahead.iter().collect();
            assert!(runs.windows(2).all(|pair| pair[0].1 + 1 < *pair[1].0), "{published:?}");
        }
    }

    #[test]
    fn other_values_are_damage() {
        assert!(matches!(Published::read(Some(b"{")), Err(StoreError::Corrupt { .. })));
        let newer = Published::read(Some(br#"{"upto":3,"ahead":{},"more":1}"#));
        assert_eq!(newer.expect("a field more").upto, 3);
    }
}
