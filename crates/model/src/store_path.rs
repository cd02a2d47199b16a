//! Store paths: how they follow from what they hold.

use std::collections::BTreeSet;
use std::fmt;

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
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_nix_does() {
        let ok = ["a", "hello-2.12.1", ".config", "a?b=c+d_e", "..a", "._-"];
        ok.iter().for_each(|name| assert_eq!(check_name(name), Ok(()), "{name}"));
        let bad = ["", ".", "..", ".-a", "..-a", "a b", "ä", "a/b", "a\0"];
        bad.iter().for_each(|name| assert!(check_name(name).is_err(), "{name}"));
        assert!(check_name(&"a".repeat(211)).is_ok());
        assert!(check_name(&"a".repeat(212)).is_err());
    }

    #[test]
    fn paths_are_those_of_nix() {
        let store = StoreDir::default();
        // `nix-instantiate --eval -E 'builtins.toFile "foo" "bar"'`
        let hash = Hash::of(HashKind::Sha256, b"bar");
        assert_eq!(
            store.text_path("foo", &hash, &References::new()),
            "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"
        );
        // `nix-instantiate --eval -E 'builtins.placeholder "out"'`
        assert_eq!(placeholder("out"), "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9");
    }

    #[test]
    fn store_paths_are_found_in_paths() {
        let store = StoreDir::default();
        let path = "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo";
        assert_eq!(store.of_path(&format!("{path}/a/b")), Some(path));
        assert!(store.is_path(path));
        assert!(!store.is_path(&format!("{path}/a")));
        for no in [
            "/nix/store/",
            "/nix/store/foo",
            "/nix/storevxjiw",
            "/tmp",
            "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-",
        ] {
            assert_eq!(store.of_path(no), None, "{no}");
        }
    }
}
