//! Versions of packages: how Nix splits them, which it takes for the newer one, and where in
//! `hello-2.12.1` the version begins.
//!
//! This is what `builtins.splitVersion`, `builtins.compareVersions` and `builtins.parseDrvName` do,
//! and no Semantic Versioning: any text is a version.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Takes the next part of a version: digits or others, without the dots and dashes between.
fn next_part<'t>(rest: &mut &'t [u8]) -> &'t [u8] {
    let text = *rest;
    let start = text.iter().position(|byte| !matches!(byte, b'.' | b'-')).unwrap_or(text.len());
    let text = &text[start..];
    let is_number = text.first().is_some_and(u8::is_ascii_digit);
    let is_part = |byte: &u8| match is_number {
        true => byte.is_ascii_digit(),
        false => !byte.is_ascii_digit() && !matches!(byte, b'.' | b'-'),
    };
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    *rest = &text[end..];
    &text[..end]
}

/// The parts of a version, as `builtins.splitVersion` gives them.
///
/// ```
/// let parts: Vec<&[u8]> = cim_nix_model::split_version(b"1.2.3pre-4").collect();
/// assert_eq!(parts, [&b"1"[..], b"2", b"3", b"pre", b"4"]);
/// ```
pub fn split_version(version: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = version;
    std::iter::from_fn(move || Some(next_part(&mut rest)).filter(|part| !part.is_empty()))
}

/// What a part of a version counts as, in the order in which Nix has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part<'t> {
    /// `pre` comes before everything, even before the end of the version.
    Pre,
    End,
    /// Letters come before digits. Digits beyond an `int` of C are letters to Nix, too.
    Letters(&'t [u8]),
    Number(i32),
}

impl<'t> Part<'t> {
    fn new(part: &'t [u8]) -> Self {
        let number = || std::str::from_utf8(part).ok()?.parse().ok();
        match part {
            b"" => Self::End,
            b"pre" => Self::Pre,
            _ => number().map_or(Self::Letters(part), Self::Number),
        }
    }
}

/// Which of two versions is the older one, as `builtins.compareVersions` says.
///
/// Versions can be equal and written differently: `1.0`, `1-0` and `1.00` are.
///
/// ```
/// # use std::cmp::Ordering;
/// assert_eq!(cim_nix_model::compare_versions(b"1.9", b"1.10"), Ordering::Less);
/// assert_eq!(cim_nix_model::compare_versions(b"2.0pre1", b"2.0"), Ordering::Less);
/// ```
#[must_use]
pub fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() || !b.is_empty() {
        let order = Part::new(next_part(&mut a)).cmp(&Part::new(next_part(&mut b)));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Splits what a derivation is called into its name and its version, as `builtins.parseDrvName`
/// does: the version begins behind the first dash that no letter follows. There may be none.
///
/// ```
/// let (name, version) = cim_nix_model::split_drv_name(b"nix-js-2.3");
/// assert_eq!((name, version), (&b"nix-js"[..], &b"2.3"[..]));
/// ```
#[must_use]
pub fn split_drv_name(text: &[u8]) -> (&[u8], &[u8]) {
    let dash = (0..text.len()).find(|&at| {
        text[at] == b'-' && text.get(at + 1).is_some_and(|byte| !byte.is_ascii_alphabetic())
    });
    match dash {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

/// A version: any text, ordered as Nix orders versions.
///
/// Two versions are equal if Nix finds neither older, so `1.0` equals `1-0` and `1.00`; each still
/// prints as it was written. Compare [`Version::as_str`] where the writing matters.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// A version.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, as `builtins.splitVersion` gives them.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let is_part = |part| std::str::from_utf8(part).expect("versions are cut beside ASCII only");
        split_version(self.0.as_bytes()).map(is_part)
    }

    fn counted(&self) -> impl Iterator<Item = Part<'_>> {
        split_version(self.0.as_bytes()).map(Part::new)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_versions(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.counted().for_each(|part| part.hash(state));
        Part::End.hash(state);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({:?})", self.0)
    }
}

impl FromStr for Version {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Version {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What a derivation is called, in its two parts: `hello-2.12.1` is `hello` of version `2.12.1`.
///
/// They are ordered by name, then by version. As with [`Version`], equal ones may be written
/// differently.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct DrvName {
    name: String,
    version: Option<Version>,
}

impl DrvName {
    /// Splits a name as `builtins.parseDrvName` does.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (name, version) = split_drv_name(text.as_bytes());
        let (name, rest) = text.split_at(name.len());
        let version = (!version.is_empty()).then(|| Version::new(&rest[1..]));
        Self { name: name.to_owned(), version }
    }

    /// The name without the version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, where there is one; it is never empty.
    #[must_use]
    pub const fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }
}

impl fmt::Display for DrvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, "-{version}"),
            None => Ok(()),
        }
    }
}

impl FromStr for DrvName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl From<String> for DrvName {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<DrvName> for String {
    fn from(name: DrvName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests;
