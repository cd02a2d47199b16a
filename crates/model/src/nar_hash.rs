//! The hash of a tree's archive, as lock files and fetchers have it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hash::{Hash, HashError, HashKind};

/// The SHA-256 of an archive (NAR). Its text, also in JSON, is `sha256-…` as in Subresource
/// Integrity; the other forms that Nix knows are read, too.
///
/// ```
/// # use cim_nix_model::NarHash;
/// let hash: NarHash = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73".parse()?;
/// assert_eq!(hash.to_string(), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
/// # Ok::<(), cim_nix_model::HashError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NarHash(Hash);

impl NarHash {
    /// The hash of an archive.
    ///
    /// Errors: it is of another kind than SHA-256.
    pub fn new(hash: Hash) -> Result<Self, HashError> {
        match hash.kind() {
            HashKind::Sha256 => Ok(Self(hash)),
            _ => Err(HashError::WrongKind { text: hash.to_string(), wanted: HashKind::Sha256 }),
        }
    }

    /// The hash.
    #[must_use]
    pub const fn hash(&self) -> &Hash {
        &self.0
    }
}

impl fmt::Display for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for NarHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Hash::parse(text, Some(HashKind::Sha256)).map(Self)
    }
}

impl TryFrom<String> for NarHash {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<NarHash> for String {
    fn from(hash: NarHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::HashFormat;

    #[test]
    fn any_hash_is_read_again() {
        let mut random = fastrand::Rng::with_seed(13);
        for kind in HashKind::ALL {
            for _ in 0..200 {
                let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(64).collect();
                let hash = Hash::from_bytes(kind, &bytes);
                assert_eq!(hash.to_string().parse(), Ok(hash));
                let json = serde_json::to_string(&hash).unwrap();
                assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), hash);
                let Ok(nar) = NarHash::new(hash) else {
                    assert_ne!(kind, HashKind::Sha256);
                    continue;
                };
                for format in [HashFormat::Base16, HashFormat::Nix32, HashFormat::Base64] {
                    assert_eq!(hash.format(format).parse(), Ok(nar));
                }
                assert_eq!(serde_json::to_string(&nar).unwrap(), json);
                assert_eq!(serde_json::from_str::<NarHash>(&json).unwrap(), nar);
            }
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        let error = |text: &str| serde_json::from_str::<NarHash>(text).unwrap_err().to_string();
        expect!["hash 'md5-kAFQmDzST7DWlj99KOF/cg==' should have type 'sha256'"]
            .assert_eq(&error(r#""md5-kAFQmDzST7DWlj99KOF/cg==""#));
        expect!["hash 'abc' has wrong length for hash algorithm 'sha256'"]
            .assert_eq(&error(r#""abc""#));
        let md5 = Hash::of(HashKind::Md5, b"abc");
        expect!["hash 'md5-kAFQmDzST7DWlj99KOF/cg==' should have type 'sha256'"]
            .assert_eq(&NarHash::new(md5).unwrap_err().to_string());
    }
}
