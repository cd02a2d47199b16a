//! How ids are hashed: fast, with a key that nobody outside knows, as others choose ids.

use std::hash::{BuildHasher, RandomState};

use foldhash::fast::{FixedState, FoldHasher};

/// The state of a table.
#[derive(Clone)]
pub(crate) struct Hashes(FixedState);

impl Default for Hashes {
    fn default() -> Self {
        Self(FixedState::with_seed(RandomState::new().hash_one(0)))
    }
}

impl BuildHasher for Hashes {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, Hashes>;
