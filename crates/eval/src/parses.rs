//! What several evaluations share: files that one of them has parsed and lowered.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cim_nix_semantics::{Ir, Lowerer};
use cim_nix_syntax::{Parse, Parser};
use rustc_hash::FxBuildHasher;

/// Parsed files, for evaluations that run side by side and read the same ones.
///
/// A file is known by its text, so it does not matter where it lies or whether it changes
/// meanwhile. What two evaluations want at the same time, one of them parses and the other waits
/// for.
#[derive(Clone, Default)]
pub struct SharedParses(Arc<Mutex<Known>>);

/// Files by the hashes of their texts.
type Known = HashMap<u64, Vec<(Arc<str>, Slot)>, FxBuildHasher>;
type Slot = Arc<OnceLock<Arc<Parsed>>>;

impl std::fmt::Debug for SharedParses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedParses")
    }
}

/// A text, its tree and what it means.
pub(crate) struct Parsed {
    pub(crate) parse: Parse,
    pub(crate) ir: Ir,
}

impl Parsed {
    pub(crate) fn of(text: Box<str>, parser: &mut Parser, lowerer: &mut Lowerer) -> Self {
        let parse = parser.parse(text);
        let ir = lowerer.lower(&parse.tree);
        Self { parse, ir }
    }
}

impl SharedParses {
    /// The file of a text, which `parse` makes if nobody did before.
    pub(crate) fn get(
        &self,
        text: Box<str>,
        parse: impl FnOnce(Box<str>) -> Parsed,
    ) -> Arc<Parsed> {
        let slot = self.slot(&text);
        slot.get_or_init(|| Arc::new(parse(text))).clone()
    }

    fn slot(&self, text: &str) -> Slot {
        let hash = FxBuildHasher.hash_one(text);
        // Whoever panicked did so outside of the lock; the map is whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same_hash = known.entry(hash).or_default();
        if let Some((_, slot)) = same_hash.iter().find(|(known, _)| **known == *text) {
            return slot.clone();
        }
        let slot = Slot::default();
        same_hash.push((text.into(), slot.clone()));
        slot
    }
}
