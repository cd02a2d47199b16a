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
        /// Symbols that every table begins with, in the order of Nix: where several members of a
        /// set are evaluated, those whose names were met first come first.
        #[allow(dead_code, reason = "some stand here for the order alone")]
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
    OUT_PATH = "outPath",
    DRV_PATH = "drvPath",
    TYPE = "type",
    META = "meta",
    NAME = "name",
    VALUE = "value",
    SYSTEM = "system",
    OVERRIDES = "__overrides",
    OUTPUTS = "outputs",
    OUTPUT_NAME = "outputName",
    IGNORE_NULLS = "__ignoreNulls",
    FILE = "file",
    LINE = "line",
    COLUMN = "column",
    FUNCTOR = "__functor",
    TO_STRING = "__toString",
    RIGHT = "right",
    WRONG = "wrong",
    STRUCTURED_ATTRS = "__structuredAttrs",
    JSON = "__json",
    ALLOWED_REFERENCES = "allowedReferences",
    ALLOWED_REQUISITES = "allowedRequisites",
    DISALLOWED_REFERENCES = "disallowedReferences",
    DISALLOWED_REQUISITES = "disallowedRequisites",
    MAX_SIZE = "maxSize",
    MAX_CLOSURE_SIZE = "maxClosureSize",
    BUILDER = "builder",
    ARGS = "args",
    CONTENT_ADDRESSED = "__contentAddressed",
    IMPURE = "__impure",
    OUTPUT_HASH = "outputHash",
    OUTPUT_HASH_ALGO = "outputHashAlgo",
    OUTPUT_HASH_MODE = "outputHashMode",
    RECURSE_FOR_DERIVATIONS = "recurseForDerivations",
    DESCRIPTION = "description",
    SELF = "self",
    START_SET = "startSet",
    OPERATOR = "operator",
    KEY = "key",
    PATH = "path",
    PREFIX = "prefix",
    OUTPUT_SPECIFIED = "outputSpecified",
    SUB = "__sub",
    LESS_THAN = "__lessThan",
    MUL = "__mul",
    DIV = "__div",
    OR = "or",
    FIND_FILE = "__findFile",
    NIX_PATH = "__nixPath",
    BODY = "body",
}

/// The names that Nix has met besides before it reads the first file, in its order: those of its
/// builtins and of the file behind `derivation`.
const MET_BEFORE: &[&str] = &[
    "builtins",
    "true",
    "false",
    "null",
    "__currentTime",
    "currentTime",
    "__currentSystem",
    "currentSystem",
    "__nixVersion",
    "nixVersion",
    "__storeDir",
    "storeDir",
    "__langVersion",
    "langVersion",
    "__traceVerbose",
    "traceVerbose",
    "nixPath",
    "scopedImport",
    "import",
    "__typeOf",
    "typeOf",
    "isNull",
    "__isFunction",
    "isFunction",
    "__isInt",
    "isInt",
    "__isFloat",
    "isFloat",
    "__isString",
    "isString",
    "__isBool",
    "isBool",
    "__isPath",
    "isPath",
    "__genericClosure",
    "genericClosure",
    "break",
    "abort",
    "throw",
    "__addErrorContext",
    "addErrorContext",
    "__ceil",
    "ceil",
    "__floor",
    "floor",
    "__tryEval",
    "tryEval",
    "__getEnv",
    "getEnv",
    "__seq",
    "seq",
    "__deepSeq",
    "deepSeq",
    "__trace",
    "trace",
    "__warn",
    "warn",
    "derivationStrict",
    "placeholder",
    "__toPath",
    "toPath",
    "__storePath",
    "storePath",
    "__pathExists",
    "pathExists",
    "baseNameOf",
    "dirOf",
    "__readFile",
    "readFile",
    "findFile",
    "__hashFile",
    "hashFile",
    "__readFileType",
    "readFileType",
    "__readDir",
    "readDir",
    "__toXML",
    "toXML",
    "__toJSON",
    "toJSON",
    "__fromJSON",
    "fromJSON",
    "__toFile",
    "toFile",
    "__filterSource",
    "filterSource",
    "__path",
    "__attrNames",
    "attrNames",
    "__attrValues",
    "attrValues",
    "__getAttr",
    "getAttr",
    "__unsafeGetAttrPos",
    "unsafeGetAttrPos",
    "__hasAttr",
    "hasAttr",
    "__isAttrs",
    "isAttrs",
    "removeAttrs",
    "__listToAttrs",
    "listToAttrs",
    "__intersectAttrs",
    "intersectAttrs",
    "__catAttrs",
    "catAttrs",
    "__functionArgs",
    "functionArgs",
    "__mapAttrs",
    "mapAttrs",
    "__zipAttrsWith",
    "zipAttrsWith",
    "__isList",
    "isList",
    "__elemAt",
    "elemAt",
    "__head",
    "head",
    "__tail",
    "tail",
    "map",
    "__filter",
    "filter",
    "__elem",
    "elem",
    "__concatLists",
    "concatLists",
    "__length",
    "length",
    "__foldl'",
    "foldl'",
    "__any",
    "any",
    "__all",
    "all",
    "__genList",
    "genList",
    "__sort",
    "sort",
    "__partition",
    "partition",
    "__groupBy",
    "groupBy",
    "__concatMap",
    "concatMap",
    "__add",
    "add",
    "sub",
    "mul",
    "div",
    "__bitAnd",
    "bitAnd",
    "__bitOr",
    "bitOr",
    "__bitXor",
    "bitXor",
    "lessThan",
    "toString",
    "__substring",
    "substring",
    "__stringLength",
    "stringLength",
    "__hashString",
    "hashString",
    "__convertHash",
    "convertHash",
    "__match",
    "match",
    "__split",
    "split",
    "__concatStringsSep",
    "concatStringsSep",
    "__replaceStrings",
    "replaceStrings",
    "__parseDrvName",
    "parseDrvName",
    "__compareVersions",
    "compareVersions",
    "__splitVersion",
    "splitVersion",
    "__unsafeDiscardStringContext",
    "unsafeDiscardStringContext",
    "__hasContext",
    "hasContext",
    "__unsafeDiscardOutputDependency",
    "unsafeDiscardOutputDependency",
    "__addDrvOutputDependencies",
    "addDrvOutputDependencies",
    "__getContext",
    "getContext",
    "__appendContext",
    "appendContext",
    "fetchMercurial",
    "fetchTree",
    "fetchFinalTree",
    "__fetchurl",
    "fetchurl",
    "fetchTarball",
    "fetchGit",
    "fromTOML",
    "__getFlake",
    "getFlake",
    "__parseFlakeRef",
    "parseFlakeRef",
    "__flakeRefToString",
    "flakeRefToString",
    "derivation",
    "strict",
    "drvAttrs",
    "commonAttrs",
    "outputsList",
    "x",
    "outputToAttrListElement",
];

impl Symbols {
    pub(crate) fn new(heap: &Heap) -> Self {
        let symbols = Self {
            table: RefCell::new(HashTable::with_capacity(4096)),
            names: RefCell::new(Vec::with_capacity(4096)),
        };
        for text in WELL_KNOWN.iter().chain(MET_BEFORE) {
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
