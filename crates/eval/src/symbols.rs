//! Names of attributes and variables as numbers.

use std::cell::RefCell;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::heap::Heap;
use crate::value::{Str, Value};

/// A name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Symbol(pub(crate) u32);

/// All names that one evaluation has met.
pub(crate) struct Symbols {
    table: RefCell<HashTable<u32>>,
    names: RefCell<Vec<Str>>,
}

/// Declares the symbols that the evaluator itself looks for.
macro_rules! well_known {
    ($($name:ident = $text:literal,)*) => {
        /// Symbols that every table begins with.
        pub(crate) mod known {
            use super::Symbol;
            well_known!(@each 0u32; $($name)*);
        }
        const WELL_KNOWN: &[&str] = &[$($text),*];
    };
    (@each $at:expr; $name:ident $($rest:ident)*) => {
        pub(crate) const $name: Symbol = Symbol($at);
        well_known!(@each $at + 1; $($rest)*);
    };
    (@each $at:expr;) => {};
}

well_known! {
    TYPE = "type",
    OUT_PATH = "outPath",
    DRV_PATH = "drvPath",
    TO_STRING = "__toString",
    FUNCTOR = "__functor",
    OVERRIDES = "__overrides",
    BODY = "body",
    NAME = "name",
    VALUE = "value",
    SUCCESS = "success",
    FILE = "file",
    LINE = "line",
    COLUMN = "column",
    PREFIX = "prefix",
    PATH = "path",
    KEY = "key",
    START_SET = "startSet",
    OPERATOR = "operator",
    RIGHT = "right",
    WRONG = "wrong",
    VERSION = "version",
    FIND_FILE = "__findFile",
    NIX_PATH = "__nixPath",
    ALL_OUTPUTS = "allOutputs",
    OUTPUTS = "outputs",
    STRUCTURED_ATTRS = "__structuredAttrs",
    IGNORE_NULLS = "__ignoreNulls",
    CONTENT_ADDRESSED = "__contentAddressed",
    IMPURE = "__impure",
    ARGS = "args",
    BUILDER = "builder",
    SYSTEM = "system",
    OUTPUT_HASH = "outputHash",
    OUTPUT_HASH_ALGO = "outputHashAlgo",
    OUTPUT_HASH_MODE = "outputHashMode",
    JSON = "__json",
    FILTER = "filter",
    RECURSIVE = "recursive",
    SHA256 = "sha256",
    SUB = "__sub",
    MUL = "__mul",
    DIV = "__div",
    LESS_THAN = "__lessThan",
}

impl Symbols {
    pub(crate) fn new(heap: &Heap) -> Self {
        let symbols = Self {
            table: RefCell::new(HashTable::with_capacity(4096)),
            names: RefCell::new(Vec::with_capacity(4096)),
        };
        for text in WELL_KNOWN {
            symbols.intern(heap, text.as_bytes());
        }
        symbols
    }

    /// The number of a name.
    pub(crate) fn intern(&self, heap: &Heap, text: &[u8]) -> Symbol {
        let hash = hash(text);
        let mut table = self.table.borrow_mut();
        let mut names = self.names.borrow_mut();
        if let Some(found) = table.find(hash, |&at| names[at as usize].bytes() == text) {
            return Symbol(*found);
        }
        Self::add(&mut table, &mut names, hash, heap.string_with(text, 0))
    }

    /// The number of the name that a string without context spells; the string is kept as its text.
    pub(crate) fn intern_string(&self, heap: &Heap, text: Str) -> Symbol {
        let hash = hash(text.bytes());
        let mut table = self.table.borrow_mut();
        let mut names = self.names.borrow_mut();
        if let Some(found) = table.find(hash, |&at| names[at as usize].bytes() == text.bytes()) {
            return Symbol(*found);
        }
        let text = if text.context() == 0 { text } else { heap.string_with(text.bytes(), 0) };
        Self::add(&mut table, &mut names, hash, text)
    }

    fn add(table: &mut HashTable<u32>, names: &mut Vec<Str>, hash_: u64, text: Str) -> Symbol {
        let number = names.len() as u32;
        names.push(text);
        table.insert_unique(hash_, number, |&at| hash(names[at as usize].bytes()));
        Symbol(number)
    }

    /// The number of a name that was met before.
    pub(crate) fn find(&self, text: &[u8]) -> Option<Symbol> {
        let names = self.names.borrow();
        let table = self.table.borrow();
        table.find(hash(text), |&at| names[at as usize].bytes() == text).map(|&at| Symbol(at))
    }

    /// The text of a name.
    pub(crate) fn text(&self, symbol: Symbol) -> &'static [u8] {
        self.names.borrow()[symbol.0 as usize].bytes()
    }

    /// The text of a name, as a string value.
    pub(crate) fn value(&self, symbol: Symbol) -> Value {
        self.names.borrow()[symbol.0 as usize].value()
    }

    /// Sorts positions of `keys` by the text of their names.
    pub(crate) fn sort_by_text(&self, keys: &[Symbol], order: &mut [u32]) {
        let names = self.names.borrow();
        order.sort_unstable_by_key(|&at| names[keys[at as usize].0 as usize].bytes());
    }
}

fn hash(text: &[u8]) -> u64 {
    FxBuildHasher.hash_one(text)
}
