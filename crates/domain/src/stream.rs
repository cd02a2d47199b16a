//! Streams: where the events of one aggregate stand, one after the other.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What kind of thing a stream is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A flake: its inputs and what its files say.
    Flake,
    /// A package of a flake, for builds and copies to caches.
    Package,
    /// A module of a project.
    Module,
    /// An overlay of a project.
    Overlay,
    /// A configuration of a machine or a home, with its generations.
    Configuration,
    /// The code of a project: checks, fixes, formatting, renames.
    Project,
    /// One evaluation of an expression.
    Evaluation,
    /// One garbage collection.
    Collection,
    /// A kind that this version does not know, from a newer one.
    Other(Arc<str>),
}

/// Tokens are short: they are part of subjects and of keys.
const MAX_TOKEN: usize = 32;

impl Kind {
    /// The kinds that this version knows.
    pub const KNOWN: [Self; 8] = [
        Self::Flake,
        Self::Package,
        Self::Module,
        Self::Overlay,
        Self::Configuration,
        Self::Project,
        Self::Evaluation,
        Self::Collection,
    ];

    /// The token in subjects and stream names.
    #[must_use]
    pub fn token(&self) -> &str {
        match self {
            Self::Flake => "flake",
            Self::Package => "package",
            Self::Module => "module",
            Self::Overlay => "overlay",
            Self::Configuration => "config",
            Self::Project => "project",
            Self::Evaluation => "evaluation",
            Self::Collection => "collection",
            Self::Other(token) => token,
        }
    }
}

impl FromStr for Kind {
    type Err = NoStream;

    fn from_str(text: &str) -> Result<Self, NoStream> {
        if let Some(known) = Self::KNOWN.iter().find(|kind| kind.token() == text) {
            return Ok(known.clone());
        }
        let is_token =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        match !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(is_token) {
            true => Ok(Self::Other(text.into())),
            false => Err(NoStream(text.to_owned())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// The stream of one aggregate, written `flake-0198f7a2-7c00-7000-8000-000000000001`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId {
    /// What kind of thing it is about.
    pub kind: Kind,
    /// The aggregate's id.
    pub id: Uuid,
}

/// The name space of aggregate ids, itself an id of version 5 (of `cim-domain-nix` as a DNS name).
const NAMESPACE: Uuid = Uuid::from_u128(0xe157_e9aa_b6e2_5cc1_bb11_4d56_bfb0_74f3);

impl StreamId {
    /// The stream with a known id.
    #[must_use]
    pub fn new(kind: Kind, id: Uuid) -> Self {
        Self { kind, id }
    }

    /// The stream of what `key` names: the same key always leads to the same stream, so nobody
    /// creates a second aggregate for one thing.
    ///
    /// `parts` are what tells the thing from others of its kind (the project's folder, a name); they
    /// may hold any text.
    #[must_use]
    pub fn of(kind: Kind, parts: &[&str]) -> Self {
        let mut key = kind.token().to_owned();
        for part in parts {
            // Lengths keep parts apart whatever they hold.
            key.push_str(&format!("\0{}\0{part}", part.len()));
        }
        Self { id: Uuid::new_v5(&NAMESPACE, key.as_bytes()), kind }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.id)
    }
}

/// Text that names no stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoStream(String);

impl fmt::Display for NoStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(60).collect();
        write!(f, "`{}` names no stream such as flake-UUID", shown.escape_debug())
    }
}

impl std::error::Error for NoStream {}

impl FromStr for StreamId {
    type Err = NoStream;

    fn from_str(text: &str) -> Result<Self, NoStream> {
        let broken = || NoStream(text.to_owned());
        let (kind, id) = text.split_once('-').ok_or_else(broken)?;
        // One way to write it, or a stream would have several names.
        let is_canonical = id.len() == 36 && !id.bytes().any(|byte| byte.is_ascii_uppercase());
        let id = Uuid::try_parse(id).ok().filter(|_| is_canonical).ok_or_else(broken)?;
        Ok(Self { kind: kind.parse().map_err(|_| broken())?, id })
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_names() {
        for kind in Kind::KNOWN.into_iter().chain([Kind::Other("fleet2".into())]) {
            let stream = StreamId::new(kind, Uuid::from_u128(7));
            assert_eq!(stream.to_string().parse(), Ok(stream));
        }
        for text in ["", "flake", "flake-7", "-00000000-0000-0000-0000-000000000007", "Flake-x"] {
            assert!(text.parse::<StreamId>().is_err(), "{text}");
        }
        let upper = "flake-0000000A-0000-0000-0000-000000000007";
        assert!(upper.parse::<StreamId>().is_err());
    }

    #[test]
    fn keys_are_apart() {
        let of = |parts: &[&str]| StreamId::of(Kind::Package, parts);
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_ne!(of(&["a", "b"]), of(&["a\u{0}1\u{0}b"]));
        assert_ne!(of(&["a"]).id, StreamId::of(Kind::Module, &["a"]).id);
    }
}
