//! Hashes in all forms that Nix reads and writes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::nix32;

/// A hash algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HashKind {
    /// BLAKE3.
    Blake3,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256, the usual one.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Blake3, Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name that Nix uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How many bytes a hash has.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Blake3 | Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a hash is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashFormat {
    /// Hexadecimal.
    Base16,
    /// Nix's base 32.
    Nix32,
    /// Base 64 with padding.
    Base64,
    /// The algorithm, a dash and base 64, as in Subresource Integrity.
    Sri,
}

impl HashFormat {
    /// The format of a name; `base32` is the former name of `nix32`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "base16" => Some(Self::Base16),
            "nix32" | "base32" => Some(Self::Nix32),
            "base64" => Some(Self::Base64),
            "sri" => Some(Self::Sri),
            _ => None,
        }
    }
}

/// A hash with its algorithm. Its text, also in JSON, is that of Subresource Integrity; it is read
/// in any form that names the algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash {
    kind: HashKind,
    bytes: [u8; 64],
}

/// Why a text is no hash. The texts are those that Nix users know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HashError {
    /// An unknown algorithm.
    UnknownKind(String),
    /// Neither the text nor the caller names an algorithm.
    NoKind(String),
    /// The text names another algorithm than the caller.
    WrongKind {
        /// The text.
        text: String,
        /// What the caller wants.
        wanted: HashKind,
    },
    /// The text has a length that no format has.
    WrongLength {
        /// The text without the algorithm.
        text: String,
        /// Its algorithm.
        kind: HashKind,
    },
    /// The text has the right length but not the right characters.
    Invalid {
        /// The text without the algorithm.
        text: String,
        /// The format that its length says.
        format: &'static str,
        /// How many bytes it has; 0 if not all characters are of that format.
        length: usize,
        /// How many bytes it should have.
        wanted: usize,
    },
    /// An algorithm with `-` but no valid base 64.
    InvalidSri(String),
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(name) => write!(
                f,
                "unknown hash algorithm '{name}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'"
            ),
            Self::NoKind(text) => {
                write!(
                    f,
                    "hash '{text}' does not include a type, nor is the type otherwise known from context"
                )
            }
            Self::WrongKind { text, wanted } => {
                write!(f, "hash '{text}' should have type '{wanted}'")
            }
            Self::WrongLength { text, kind } => {
                write!(f, "hash '{text}' has wrong length for hash algorithm '{kind}'")
            }
            Self::Invalid { text, format, length, wanted } => write!(
                f,
                "invalid {format} hash '{text}', length {length} != expected length {wanted}"
            ),
            Self::InvalidSri(text) => write!(f, "hash '{text}' is not SRI"),
        }
    }
}

impl std::error::Error for HashError {}

impl Hash {
    /// The hash of bytes.
    #[must_use]
    pub fn of(kind: HashKind, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(kind);
        hasher.update(bytes);
        hasher.finish()
    }

    /// A hash that was computed elsewhere; missing bytes are zero.
    #[must_use]
    pub fn from_bytes(kind: HashKind, bytes: &[u8]) -> Self {
        let mut own = [0; 64];
        let len = kind.size().min(bytes.len());
        own[..len].copy_from_slice(&bytes[..len]);
        Self { kind, bytes: own }
    }

    /// The algorithm.
    #[must_use]
    pub const fn kind(&self) -> HashKind {
        self.kind
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.kind.size()]
    }

    /// Hexadecimal.
    #[must_use]
    pub fn base16(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |at: u8| char::from(DIGITS[usize::from(at & 15)]);
        self.bytes().iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
    }

    /// The text in a format. The algorithm is part of SRI only.
    #[must_use]
    pub fn format(&self, format: HashFormat) -> String {
        match format {
            HashFormat::Base16 => self.base16(),
            HashFormat::Nix32 => nix32::encode(self.bytes()),
            HashFormat::Base64 => base64(self.bytes()),
            HashFormat::Sri => format!("{}-{}", self.kind, base64(self.bytes())),
        }
    }

    /// Reads a hash in any format: `sha256-…`, `sha256:…` or, with `kind`, the digits alone.
    ///
    /// Errors: it is none, or of another kind.
    pub fn parse(text: &str, kind: Option<HashKind>) -> Result<Self, HashError> {
        let (name, digits, is_sri) = match (text.split_once(':'), text.split_once('-')) {
            (Some((name, digits)), _) => (Some(name), digits, false),
            (None, Some((name, digits))) => (Some(name), digits, true),
            (None, None) => (None, text, false),
        };
        let named = match name {
            Some(name) => Some(
                HashKind::from_name(name).ok_or_else(|| HashError::UnknownKind(name.to_owned()))?,
            ),
            None => None,
        };
        let kind = match (named, kind) {
            (Some(named), Some(wanted)) if named != wanted => {
                return Err(HashError::WrongKind { text: text.to_owned(), wanted });
            }
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => return Err(HashError::NoKind(text.to_owned())),
        };
        Self::parse_digits(digits, kind, is_sri)
    }

    fn parse_digits(digits: &str, kind: HashKind, is_sri: bool) -> Result<Self, HashError> {
        let size = kind.size();
        let (format, bytes) = if !is_sri && digits.len() == size * 2 {
            ("base16", decode_hex(digits))
        } else if !is_sri && digits.len() == nix32::encoded_len(size) {
            ("nix32", nix32::decode(digits.as_bytes()))
        } else if is_sri || digits.len() == size.div_ceil(3) * 4 {
            (if is_sri { "SRI" } else { "Base64" }, decode_base64(digits))
        } else {
            return Err(HashError::WrongLength { text: digits.to_owned(), kind });
        };
        let bytes = bytes.unwrap_or_default();
        if bytes.len() == size {
            return Ok(Self::from_bytes(kind, &bytes));
        }
        let text = digits.to_owned();
        Err(HashError::Invalid { text, format, length: bytes.len(), wanted: size })
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(HashFormat::Sri))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(HashFormat::Sri))
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::parse(text, None)
    }
}

impl TryFrom<String> for Hash {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks_exact(2);
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for n in 0..4 {
            out.push(match n <= chunk.len() {
                true => char::from(BASE64[(group >> (18 - 6 * n)) as usize & 63]),
                false => '=',
            });
        }
    }
    out
}

/// The bytes of base 64. As in Nix, the first `=` ends it, whatever follows, and there need not be
/// one: some hashes in nixpkgs have a tail that nobody noticed.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.split('=').next().unwrap_or_default();
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut group, mut bits) = (0_u32, 0);
    for digit in digits.bytes().filter(|&digit| digit != b'\n') {
        let value = BASE64.iter().position(|&known| known == digit)?;
        group = group << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((group >> bits) as u8);
            group &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// Hashes what it is given, piece by piece.
pub struct Hasher(Inner);

enum Inner {
    Blake3(Box<blake3::Hasher>),
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new(kind: HashKind) -> Self {
        Self(match kind {
            HashKind::Blake3 => Inner::Blake3(Box::default()),
            HashKind::Md5 => Inner::Md5(md5::Md5::default()),
            HashKind::Sha1 => Inner::Sha1(sha1::Sha1::default()),
            HashKind::Sha256 => Inner::Sha256(sha2::Sha256::default()),
            HashKind::Sha512 => Inner::Sha512(sha2::Sha512::default()),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Inner::Md5(hasher) => hasher.update(bytes),
            Inner::Sha1(hasher) => hasher.update(bytes),
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The hash of all of it.
    #[must_use]
    pub fn finish(self) -> Hash {
        match self.0 {
            Inner::Blake3(hasher) => {
                Hash::from_bytes(HashKind::Blake3, hasher.finalize().as_bytes())
            }
            Inner::Md5(hasher) => Hash::from_bytes(HashKind::Md5, &hasher.finalize()),
            Inner::Sha1(hasher) => Hash::from_bytes(HashKind::Sha1, &hasher.finalize()),
            Inner::Sha256(hasher) => Hash::from_bytes(HashKind::Sha256, &hasher.finalize()),
            Inner::Sha512(hasher) => Hash::from_bytes(HashKind::Sha512, &hasher.finalize()),
        }
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_formats_of_all_kinds_are_read_again() {
        for kind in HashKind::ALL {
            let hash = Hash::of(kind, b"abc");
            for format in [HashFormat::Base16, HashFormat::Nix32, HashFormat::Base64] {
                let text = hash.format(format);
                assert_eq!(Hash::parse(&text, Some(kind)), Ok(hash), "{text}");
                assert_eq!(Hash::parse(&format!("{kind}:{text}"), None), Ok(hash), "{text}");
            }
            assert_eq!(Hash::parse(&hash.format(HashFormat::Sri), None), Ok(hash));
        }
    }

    #[test]
    fn hashes_are_those_of_the_standards() {
        let check = |kind, want: &str| assert_eq!(Hash::of(kind, b"abc").base16(), want, "{kind}");
        check(HashKind::Md5, "900150983cd24fb0d6963f7d28e17f72");
        check(HashKind::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        check(HashKind::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(
            HashKind::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        );
        check(HashKind::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let check = |text: &str, kind, want: &str| {
            assert_eq!(Hash::parse(text, kind).unwrap_err().to_string(), want);
        };
        check(
            "abc",
            None,
            "hash 'abc' does not include a type, nor is the type otherwise known from context",
        );
        check("abc", Some(HashKind::Md5), "hash 'abc' has wrong length for hash algorithm 'md5'");
        check("md5:abc", Some(HashKind::Sha1), "hash 'md5:abc' should have type 'sha1'");
        check(
            "md6:abc",
            None,
            "unknown hash algorithm 'md6', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'",
        );
        check("md5-ab=c", None, "invalid SRI hash 'ab=c', length 1 != expected length 16");
        check("md5-!", None, "invalid SRI hash '!', length 0 != expected length 16");
        let base16 = "g".repeat(32);
        let want = format!("invalid base16 hash '{base16}', length 0 != expected length 16");
        check(&base16, Some(HashKind::Md5), &want);
        let base32 = "e".repeat(26);
        let want = format!("invalid nix32 hash '{base32}', length 0 != expected length 16");
        check(&base32, Some(HashKind::Md5), &want);
    }

    #[test]
    fn a_tail_of_base_64_counts_for_nothing() {
        let hash = Hash::of(HashKind::Md5, b"abc");
        let sri = hash.format(HashFormat::Sri);
        let bare = sri.trim_end_matches('=');
        for text in
            [&format!("{bare}=/x"), &format!("{sri} "), bare, &sri.replace("md5-", "md5-\n")]
        {
            assert_eq!(Hash::parse(text, None), Ok(hash), "{text:?}");
        }
    }
}
