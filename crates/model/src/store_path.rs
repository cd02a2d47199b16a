//! Store paths: how they are written, and how they follow from what they hold.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::derivation::Method;
use crate::hash::{Hash, HashKind};
use crate::nix32;

/// The longest name of a store path, in bytes.
const MAX_NAME: usize = 211;

/// Why a text cannot be the name of a store path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameError(String);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NameError {}

/// Whether `name` may be the name of a store path.
///
/// Errors: why it may not.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let error = |message: String| Err(NameError(message));
    if name.is_empty() {
        return error("name must not be empty".to_owned());
    }
    if name.len() > MAX_NAME {
        return error(format!("name '{name}' must be no longer than {MAX_NAME} characters"));
    }
    if let Some(rest) = name.strip_prefix('.') {
        if rest.is_empty() {
            return error(format!("name '{name}' is not valid"));
        }
        if rest.starts_with('-') {
            return error(format!(
                "name '{name}' is not valid: first dash-separated component must not be '.'"
            ));
        }
        if let Some(rest) = rest.strip_prefix('.') {
            if rest.is_empty() {
                return error(format!("name '{name}' is not valid"));
            }
            if rest.starts_with('-') {
                return error(format!(
                    "name '{name}' is not valid: first dash-separated component must not be '..'"
                ));
            }
        }
    }
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    match name.chars().find(|&c| !is_fine(c)) {
        Some(c) => error(format!("name '{name}' contains illegal character '{c}'")),
        None => Ok(()),
    }
}

/// How many digits the hash of a store path has; they stand for 20 bytes and no bit is left.
const HASH_DIGITS: usize = 32;

/// Why a text is no store path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorePathError {
    text: String,
    why: String,
}

impl StorePathError {
    fn new(text: &str, why: impl Into<String>) -> Self {
        Self { text: text.to_owned(), why: why.into() }
    }
}

impl fmt::Display for StorePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no store path: {}", self.text, self.why)
    }
}

impl std::error::Error for StorePathError {}

/// A store path without the folder of its store: a hash, a dash and a name.
///
/// [`StoreDir::read`] reads one with its folder, and [`StoreDir::show`] prints it so. A text alone
/// is that, or a path in the usual store. In JSON it is written as `{"hash": …, "name": …}`, and
/// read from that or from a text. Store paths are ordered as their texts are.
///
/// ```
/// # use cim_nix_model::StorePath;
/// let path: StorePath = "/nix/store/g7civg9n5rbjd5pk9l1na6nypyvxqp5z-a.drv".parse()?;
/// assert_eq!(path.hash(), "g7civg9n5rbjd5pk9l1na6nypyvxqp5z");
/// assert_eq!((path.name(), path.derivation_name()), ("a.drv", Some("a")));
/// # Ok::<(), cim_nix_model::StorePathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Wire")]
pub struct StorePath {
    base: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a store path is a text or has a 'hash' and a 'name'")]
enum Wire {
    Text(String),
    Parts { hash: String, name: String },
}

impl TryFrom<Wire> for StorePath {
    type Error = StorePathError;

    fn try_from(wire: Wire) -> Result<Self, StorePathError> {
        match wire {
            Wire::Text(text) => text.parse(),
            Wire::Parts { hash, name } => Self::of_parts(&hash, &name),
        }
    }
}

impl Serialize for StorePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_struct("StorePath", 2)?;
        parts.serialize_field("hash", self.hash())?;
        parts.serialize_field("name", self.name())?;
        parts.end()
    }
}

impl StorePath {
    /// Reads a store path without its folder.
    ///
    /// Errors: the hash has another length or other digits than those of Nix's base 32, no dash
    /// follows it, or the name may not be one. (Nix takes any character for the dash, but no store
    /// has such paths.)
    pub fn parse(base: &str) -> Result<Self, StorePathError> {
        let error = |why: String| StorePathError::new(base, why);
        let (hash, name) =
            base.split_once('-').ok_or_else(|| error("it has no dash behind a hash".to_owned()))?;
        Self::check(hash, name).map_err(error)?;
        Ok(Self { base: base.to_owned() })
    }

    /// The store path of a hash, as text, and a name.
    ///
    /// Errors: as [`StorePath::parse`].
    pub fn of_parts(hash: &str, name: &str) -> Result<Self, StorePathError> {
        let base = format!("{hash}-{name}");
        match Self::check(hash, name) {
            Ok(()) => Ok(Self { base }),
            Err(why) => Err(StorePathError::new(&base, why)),
        }
    }

    fn check(hash: &str, name: &str) -> Result<(), String> {
        if let Some(c) = hash.chars().find(|&c| !nix32::is_digit(c)) {
            return Err(format!("its hash has '{c}', which is no digit of Nix's base 32"));
        }
        if hash.len() != HASH_DIGITS {
            return Err(format!("its hash has {} digits instead of {HASH_DIGITS}", hash.len()));
        }
        check_name(name).map_err(|error| error.to_string())
    }

    /// The hash, as text: it says which path it is, not what the path holds.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.base[..HASH_DIGITS]
    }

    /// What stands behind the hash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.base[HASH_DIGITS + 1..]
    }

    /// The hash, a dash and the name.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.base
    }

    /// Whether it is a derivation, by its name.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.derivation_name().is_some()
    }

    /// What the derivation is called; `None` if it is none.
    #[must_use]
    pub fn derivation_name(&self) -> Option<&str> {
        self.name().strip_suffix(".drv")
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePath({})", self.base)
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        match text.contains('/') {
            true => StoreDir::default().read(text),
            false => Self::parse(text),
        }
    }
}

/// The store paths that a store path refers to.
pub type References = BTreeSet<String>;

/// The folder of the store, which is part of every hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreDir(String);

impl Default for StoreDir {
    fn default() -> Self {
        Self("/nix/store".to_owned())
    }
}

impl StoreDir {
    /// A store at another place.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The store path of a kind (`source`, `text`, `output:out`, …), a hash and a name.
    #[must_use]
    pub fn make(&self, kind: &str, hash: &Hash, name: &str) -> String {
        let Self(folder) = self;
        let text = format!("{kind}:{}:{}:{folder}:{name}", hash.kind(), hash.base16());
        let digest = Hash::of(HashKind::Sha256, text.as_bytes());
        format!("{folder}/{}-{name}", nix32::encode(&compress(digest.bytes())))
    }

    /// The path of a text file with a SHA-256, such as a derivation.
    #[must_use]
    pub fn text_path(&self, name: &str, hash: &Hash, references: &References) -> String {
        self.make(&with_references("text", references), hash, name)
    }

    /// The path of what has a known hash: fetched files and sources.
    #[must_use]
    pub fn fixed_path(
        &self,
        name: &str,
        method: Method,
        hash: &Hash,
        references: &References,
    ) -> String {
        if method == Method::Nar && hash.kind() == HashKind::Sha256 {
            return self.make(&with_references("source", references), hash, name);
        }
        if method == Method::Text {
            return self.text_path(name, hash, references);
        }
        let text = format!("fixed:out:{}{}:{}:", method.prefix(), hash.kind(), hash.base16());
        self.make("output:out", &Hash::of(HashKind::Sha256, text.as_bytes()), name)
    }

    /// The path of a derivation's output.
    #[must_use]
    pub fn output_path(&self, output: &str, hash: &Hash, derivation: &str) -> String {
        self.make(&format!("output:{output}"), hash, &output_name(derivation, output))
    }

    /// A store path with the folder of this store.
    #[must_use]
    pub fn show(&self, path: &StorePath) -> String {
        format!("{}/{path}", self.0)
    }

    /// Reads a store path with the folder of this store; `.` and `..` in it are resolved as text.
    ///
    /// Errors: it lies elsewhere, is something inside a store path, or is none.
    pub fn read(&self, path: &str) -> Result<StorePath, StorePathError> {
        match self.read_below(path)? {
            (found, below) if below.is_empty() => Ok(found),
            (found, _) => {
                let why = format!("it lies inside '{}'", self.show(&found));
                Err(StorePathError::new(path, why))
            }
        }
    }

    /// Reads a path in a store path: gives that and the rest, without a slash at its start. `.` and
    /// `..` are resolved as text.
    ///
    /// Errors: the path lies in no store path.
    pub fn read_below(&self, path: &str) -> Result<(StorePath, String), StorePathError> {
        let plain = canonical(path);
        let below = plain.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix('/'));
        let Some(below) = below else {
            return Err(StorePathError::new(path, format!("it is not in the store '{}'", self.0)));
        };
        let (base, rest) = below.split_once('/').unwrap_or((below, ""));
        match StorePath::parse(base) {
            Ok(found) => Ok((found, rest.to_owned())),
            Err(error) => Err(StorePathError::new(path, error.why)),
        }
    }

    /// The store path that a path lies in (or is), if it has the shape of one.
    #[must_use]
    pub fn of_path<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&self.0)?.strip_prefix('/')?;
        let base = rest.split('/').next()?;
        let (digits, name) = (base.get(..32)?, base.get(33..)?);
        let is_path = base.as_bytes()[32] == b'-'
            && nix32::decode(digits.as_bytes()).is_some()
            && check_name(name).is_ok();
        is_path.then(|| &path[..self.0.len() + 1 + base.len()])
    }

    /// Whether `path` is a store path, not something in one.
    #[must_use]
    pub fn is_path(&self, path: &str) -> bool {
        self.of_path(path) == Some(path)
    }
}

/// A path without empty parts, `.` and `..`; one that does not start at the root stays as it is.
fn canonical(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The name of an output's path: the first output has the derivation's own.
pub(crate) fn output_name(derivation: &str, output: &str) -> String {
    match output {
        "out" => derivation.to_owned(),
        _ => format!("{derivation}-{output}"),
    }
}

fn with_references(kind: &str, references: &References) -> String {
    let mut out = kind.to_owned();
    for reference in references {
        out.push(':');
        out.push_str(reference);
    }
    out
}

/// Folds a hash into the 20 bytes that a store path has.
fn compress(digest: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    for (at, byte) in digest.iter().enumerate() {
        out[at % 20] ^= byte;
    }
    out
}

/// What stands for the path of an output that is not known before it is built.
#[must_use]
pub fn placeholder(output: &str) -> String {
    let digest = Hash::of(HashKind::Sha256, format!("nix-output:{output}").as_bytes());
    format!("/{}", nix32::encode(digest.bytes()))
}

/// What stands for the path of another derivation's output that is not known yet. `derivation` is
/// its store path.
#[must_use]
pub fn downstream_placeholder(derivation: &str, output: &str) -> String {
    let base = derivation.rsplit('/').next().unwrap_or(derivation);
    let (digits, name) = base.split_once('-').unwrap_or((base, ""));
    let name = output_name(name.strip_suffix(".drv").unwrap_or(name), output);
    let text = format!("nix-upstream-output:{digits}:{name}");
    let digest = Hash::of(HashKind::Sha256, text.as_bytes());
    format!("/{}", nix32::encode(digest.bytes()))
}

#[cfg(test)]
mod tests;
