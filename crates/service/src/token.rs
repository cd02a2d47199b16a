//! Bearer tokens: who somebody is by what they know.
//!
//! Tokens are 256 random bits, so a plain SHA-256 of one is as good as one that costs time: there is
//! nothing to guess. Only hashes are kept; a look-up by hash tells nothing of how near a guess was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use cim_domain_nix::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::caller::{Caller, Role};
use crate::reply::{Cause, Refusal};

/// What every token starts with, so that scanners of secrets know one.
pub const PREFIX: &str = "cimnix_";

/// A token as settings have it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenEntry {
    /// Who has it, as events and logs have it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The tenants that it is for.
    pub tenants: Vec<String>,
    /// SHA-256 of the token, in hexadecimal.
    pub sha256: String,
    /// When it stops to count, as RFC 3339.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// Somebody whose token is known.
#[derive(Clone, PartialEq, Debug)]
pub struct Known {
    /// Who it is.
    pub caller: Caller,
    /// The tenants that they may ask.
    pub tenants: Vec<String>,
}

/// All tokens by their hashes.
#[derive(Clone, Default, Debug)]
pub struct Tokens(BTreeMap<String, TokenEntry>);

/// The hash of an empty text.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The hash of a token, as settings have it.
#[must_use]
pub fn hash(token: &str) -> String {
    // Each request has one, so it is not written by the machinery of `format!`.
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 0xf)]);
    let hash = Sha256::digest(token.as_bytes());
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// A token of 32 random bytes.
#[must_use]
pub fn of_random(bytes: [u8; 32]) -> String {
    let mut text = PREFIX.to_owned();
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Tokens {
    /// Errors: a hash is none, or that of no token; somebody has no name or no tenant; or two tokens
    /// have one hash.
    pub fn new(entries: impl IntoIterator<Item = TokenEntry>) -> Result<Self, String> {
        let mut by_hash = BTreeMap::new();
        for entry in entries {
            let is_hash = entry.sha256.len() == 64
                && entry.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_hash {
                return Err(format!(
                    "the token of `{}` has no SHA-256 of 64 hexadecimal digits",
                    entry.name.escape_debug()
                ));
            }
            let hash = entry.sha256.to_ascii_lowercase();
            let shown = entry.name.escape_debug();
            if hash == EMPTY {
                return Err(format!("the token of `{shown}` is empty, so anybody would have it"));
            }
            if entry.name.trim().is_empty() || entry.name.chars().any(char::is_control) {
                return Err(format!("`{shown}` cannot be the name of somebody with a token"));
            }
            if entry.tenants.is_empty() {
                return Err(format!("the token of `{shown}` is for no tenant"));
            }
            let name = entry.name.clone();
            if let Some(other) = by_hash.insert(hash, entry) {
                return Err(format!(
                    "`{}` and `{}` have the same token",
                    other.name.escape_debug(),
                    name.escape_debug()
                ));
            }
        }
        Ok(Self(by_hash))
    }

    /// Who has this token at the moment `now`; `via` says what carried it.
    ///
    /// Errors: nobody, or it has expired.
    pub fn find(&self, token: &str, now: Timestamp, via: &'static str) -> Result<Known, Refusal> {
        let unknown =
            || Refusal::new(Cause::Unauthenticated, "the token is not known, or it has expired");
        let entry = self.0.get(&hash(token)).ok_or_else(unknown)?;
        if entry.expires.is_some_and(|end| end <= now) {
            return Err(unknown());
        }
        let caller = Caller { name: Arc::from(&*entry.name), role: entry.role, via };
        Ok(Known { caller, tenants: entry.tenants.clone() })
    }
}
