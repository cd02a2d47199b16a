//! File-local interning of names.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::ir::Symbol;

/// Numbers the names of one file in the order of their first occurrence. Buffers are reused.
#[derive(Default)]
pub(crate) struct Interner {
    table: HashTable<u32>,
    text: String,
    ends: Vec<u32>,
    /// Whether a name such as `__sub` occurs, which Nix's operators would look up.
    pub(crate) has_operator_names: bool,
}

/// The names that operators and search paths look up.
pub(crate) const OPERATOR_NAMES: [&str; 6] =
    ["__sub", "__mul", "__div", "__lessThan", "__findFile", "__nixPath"];

impl Interner {
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.text.clear();
        self.ends.clear();
        self.has_operator_names = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    pub(crate) fn intern(&mut self, name: &str) -> Symbol {
        let hash = FxBuildHasher.hash_one(name);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(&found) = self.table.find(hash, |&at| slice(text, ends, at) == name) {
            return Symbol(found);
        }
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
        let (text, ends) = (&self.text, &self.ends);
        let rehash = |&at: &u32| FxBuildHasher.hash_one(slice(text, ends, at));
        self.table.insert_unique(hash, number, rehash);
        self.has_operator_names |= name.starts_with("__") && OPERATOR_NAMES.contains(&name);
        Symbol(number)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Symbol> {
        let hash = FxBuildHasher.hash_one(name);
        let found = self.table.find(hash, |&at| slice(&self.text, &self.ends, at) == name);
        found.map(|&at| Symbol(at))
    }

    pub(crate) fn name(&self, symbol: Symbol) -> &str {
        slice(&self.text, &self.ends, symbol.0)
    }

    /// Exact copies of the names and where each ends.
    pub(crate) fn copy(&self) -> (Box<str>, Box<[u32]>) {
        (self.text.as_str().into(), self.ends.as_slice().into())
    }
}

/// Name number `at` of a text in which name `i` ends at `ends[i]`.
#[inline]
pub(crate) fn slice<'t>(text: &'t str, ends: &[u32], at: u32) -> &'t str {
    let start = if at == 0 { 0 } else { ends[at as usize - 1] };
    &text[start as usize..ends[at as usize] as usize]
}
