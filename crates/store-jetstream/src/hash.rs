//! How ids are hashed: fast, with keys that nobody outside knows, as others choose ids.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};

/// Half of what a hash depends on. The library's own is a constant, or of addresses alone: ids can be
/// made for a constant so that all of them have one hash, whatever the other half is.
static SHARED: LazyLock<SharedSeed> =
    LazyLock::new(|| SharedSeed::from_u64(RandomState::new().hash_one(1)));

/// The state of a table.
#[derive(Clone)]
pub(crate) struct Hashes(SeedableRandomState);

impl Default for Hashes {
    fn default() -> Self {
        let own = RandomState::new().hash_one(0);
        Self(SeedableRandomState::with_seed(own, &SHARED))
    }
}

impl BuildHasher for Hashes {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, Hashes>;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cim_domain_nix::{MessageId, Uuid};

    use super::*;

    /// These end with a constant of the library, with which its fixed state gives all one hash.
    #[test]
    fn ids_that_are_made_for_it_have_hashes_of_their_own() {
        let constant: [u8; 8] = [0x17, 0x09, 0x47, 0xb5, 0xb5, 0xd5, 0x84, 0x3f];
        let hashes = Hashes::default();
        let hash = |n: u64| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            bytes[8..].copy_from_slice(&constant);
            hashes.hash_one(MessageId::Uuid(Uuid::from_bytes(bytes)))
        };
        assert!((0..1_000).map(hash).collect::<HashSet<_>>().len() > 990);
    }
}
