//! Derivations: what is to be built, how, and what its outputs are called.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::{Hash, HashKind};
use crate::store_path::{References, StoreDir};

/// How the hash of an output is computed from its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// The hash of one file's bytes.
    Flat,
    /// The hash of the archive.
    Nar,
    /// The hash of one file's bytes that may refer to other paths.
    Text,
    /// The hash of the Git tree.
    Git,
}

impl Method {
    /// What stands before the algorithm in a derivation.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::Nar => "r:",
            Self::Text => "text:",
            Self::Git => "git:",
        }
    }

    /// The method of `outputHashMode`.
    #[must_use]
    pub fn from_mode(mode: &str) -> Option<Self> {
        match mode {
            "flat" => Some(Self::Flat),
            "nar" | "recursive" => Some(Self::Nar),
            "text" => Some(Self::Text),
            "git" => Some(Self::Git),
            _ => None,
        }
    }
}

/// An output of a derivation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Output {
    /// Its path follows from the derivation.
    InputAddressed(String),
    /// Its path follows from the hash that it must have.
    Fixed {
        /// How the hash is computed.
        method: Method,
        /// The hash.
        hash: Hash,
        /// The path.
        path: String,
    },
    /// Its path follows from what the build gives.
    Floating {
        /// How the hash is computed.
        method: Method,
        /// The algorithm.
        kind: HashKind,
    },
    /// As [`Output::Floating`], and may differ each time.
    Impure {
        /// How the hash is computed.
        method: Method,
        /// The algorithm.
        kind: HashKind,
    },
    /// Its path follows from the derivation once its inputs are built.
    Deferred,
}

impl Output {
    /// The path, if it is known before the build.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::InputAddressed(path) | Self::Fixed { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// A derivation, as it is written to the store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Derivation {
    /// The outputs by name.
    pub outputs: BTreeMap<String, Output>,
    /// The derivations that it needs, with the outputs it needs of each.
    pub input_derivations: BTreeMap<String, BTreeSet<String>>,
    /// The other store paths that it needs.
    pub input_sources: References,
    /// The system that it is built on.
    pub system: String,
    /// The program that builds it.
    pub builder: Vec<u8>,
    /// The arguments of the program.
    pub arguments: Vec<Vec<u8>>,
    /// The environment of the program.
    pub environment: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a derivation counts as in the hashes of those that need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DerivationHash {
    /// One hash for every output.
    Regular(Hash),
    /// A hash for the only output, whose content is known.
    Fixed(Hash),
    /// Nothing can be said before it is built.
    Deferred(Hash),
}

impl DerivationHash {
    /// The hash.
    #[must_use]
    pub const fn hash(&self) -> &Hash {
        match self {
            Self::Regular(hash) | Self::Fixed(hash) | Self::Deferred(hash) => hash,
        }
    }
}

impl Derivation {
    /// All store paths that the text of the derivation refers to.
    #[must_use]
    pub fn references(&self) -> References {
        self.input_derivations.keys().chain(&self.input_sources).cloned().collect()
    }

    /// The path of the derivation itself, and its text.
    #[must_use]
    pub fn path(&self, store: &StoreDir, name: &str) -> (String, Vec<u8>) {
        let text = self.to_aterm();
        let hash = Hash::of(HashKind::Sha256, &text);
        (store.text_path(&format!("{name}.drv"), &hash, &self.references()), text)
    }

    /// The hash modulo fixed outputs: it does not depend on where known contents come from.
    /// `hash_of` gives the same of the derivations that this one needs. With `is_masked` the
    /// outputs' own paths count as empty, which is how they are computed.
    ///
    /// Errors: those of `hash_of`.
    pub fn hash_modulo<E>(
        &self,
        is_masked: bool,
        mut hash_of: impl FnMut(&str) -> Result<DerivationHash, E>,
    ) -> Result<DerivationHash, E> {
        if let Some(Output::Fixed { method, hash, path }) = self.outputs.get("out")
            && self.outputs.len() == 1
        {
            let (prefix, kind, digits) = (method.prefix(), hash.kind(), hash.base16());
            let text = format!("fixed:out:{prefix}{kind}:{digits}:{path}");
            return Ok(DerivationHash::Fixed(Hash::of(HashKind::Sha256, text.as_bytes())));
        }
        let is_open =
            |output: &Output| matches!(output, Output::Floating { .. } | Output::Impure { .. });
        let mut is_deferred = self.outputs.values().any(is_open);
        let mut inputs: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (path, outputs) in &self.input_derivations {
            let hash = hash_of(path)?;
            is_deferred |= matches!(hash, DerivationHash::Deferred(_));
            let entry = inputs.entry(hash.hash().base16()).or_default();
            entry.extend(outputs.iter().map(String::as_str));
        }
        let text = self.aterm(is_masked, &inputs);
        let hash = Hash::of(HashKind::Sha256, &text);
        Ok(match is_deferred {
            true => DerivationHash::Deferred(hash),
            false => DerivationHash::Regular(hash),
        })
    }
}
