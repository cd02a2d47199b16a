//! What people type to mean a package or a flake: `.`, `./x#a.b`, `nixpkgs#hello^dev`,
//! `github:owner/repo?dir=x#attr`, `/nix/store/…`.
//!
//! Reading one asks no disk: whether a folder has a flake, and which repository it is part of, is
//! for others to find out. What one means follows Nix 2.34.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::flake_ref::{FlakeRef, FlakeRefError, path_url};
use crate::outputs::{Outputs, OutputsError};
use crate::store_path::{StoreDir, StorePath};
use crate::url::{Authority, Url, path_parts, percent_encode, write_query};
use crate::{AttributePath, AttributePathError};

/// Why a text means nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InstallableError {
    /// What stands behind its `^` names no outputs.
    Outputs(OutputsError),
    /// What stands before its `#` is no reference to a flake.
    Flake(FlakeRefError),
    /// What stands behind its `#` is no attribute path.
    Attribute(AttributePathError),
}

impl fmt::Display for InstallableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outputs(error) => error.fmt(f),
            Self::Flake(error) => error.fmt(f),
            Self::Attribute(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InstallableError {}

impl From<OutputsError> for InstallableError {
    fn from(error: OutputsError) -> Self {
        Self::Outputs(error)
    }
}

impl From<FlakeRefError> for InstallableError {
    fn from(error: FlakeRefError) -> Self {
        Self::Flake(error)
    }
}

impl From<AttributePathError> for InstallableError {
    fn from(error: AttributePathError) -> Self {
        Self::Attribute(error)
    }
}

/// What somebody means who types one: a store path, or an attribute of a flake; and which outputs.
///
/// As a text alone, and so in JSON, store paths are those of the usual store.
///
/// ```
/// # use cim_nix_model::Installable;
/// let typed: Installable = "nixpkgs#hello^dev".parse()?;
/// let Installable::Flake { place, attr, outputs } = &typed else { unreachable!() };
/// assert_eq!(place.to_string(), "nixpkgs");
/// assert_eq!(attr.path().segments(), ["hello"]);
/// assert_eq!(outputs.names().collect::<Vec<_>>(), ["dev"]);
/// assert_eq!(typed.to_string(), "nixpkgs#hello^dev");
/// # Ok::<(), cim_nix_model::InstallableError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Installable {
    /// A store path.
    Store {
        /// Which one.
        path: StorePath,
        /// Of a derivation, the outputs; by default the path itself is meant.
        outputs: Outputs,
    },
    /// An attribute of a flake.
    Flake {
        /// Which flake.
        place: FlakePlace,
        /// Which attribute.
        attr: FlakeAttr,
        /// Which outputs, if it is a derivation.
        outputs: Outputs,
    },
}

impl Installable {
    /// Reads what somebody typed. Symbolic links that lead to a store are not followed.
    ///
    /// Errors: outputs, the reference to the flake or the attribute path are broken.
    pub fn parse(typed: &str, store: &StoreDir) -> Result<Self, InstallableError> {
        let (before, outputs) = Outputs::split(typed)?;
        if before.starts_with('/') {
            // Who names outputs must name the derivation; else something inside will do.
            let path = match outputs.is_default() {
                true => store.read_below(before).map(|(path, _)| path),
                false => store.read(before),
            };
            if let Ok(path) = path {
                return Ok(Self::Store { path, outputs });
            }
        }
        let (place, attr) = FlakePlace::parse(before)?;
        Ok(Self::Flake { place, attr, outputs })
    }

    /// The text that [`Installable::parse`] reads again, with the same store.
    #[must_use]
    pub fn show(&self, store: &StoreDir) -> String {
        match self {
            Self::Store { path, outputs } => format!("{}{outputs}", store.show(path)),
            Self::Flake { place, attr, outputs } if attr.is_default() => {
                // With a `#`, the flake at the top of a store path is meant, not the path.
                let place = place.to_string();
                let sign = if store.read_below(&place).is_ok() { "#" } else { "" };
                format!("{place}{sign}{outputs}")
            }
            Self::Flake { place, attr, outputs } => {
                let attr = percent_encode(&attr.to_string(), "\"!$&'()*+,;=:@/?");
                format!("{place}#{attr}{outputs}")
            }
        }
    }

    /// Which outputs are meant.
    #[must_use]
    pub const fn outputs(&self) -> &Outputs {
        match self {
            Self::Store { outputs, .. } | Self::Flake { outputs, .. } => outputs,
        }
    }
}

impl fmt::Display for Installable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(&StoreDir::default()))
    }
}

impl FromStr for Installable {
    type Err = InstallableError;

    fn from_str(text: &str) -> Result<Self, InstallableError> {
        Self::parse(text, &StoreDir::default())
    }
}

impl TryFrom<String> for Installable {
    type Error = InstallableError;

    fn try_from(text: String) -> Result<Self, InstallableError> {
        text.parse()
    }
}

impl From<Installable> for String {
    fn from(installable: Installable) -> Self {
        installable.to_string()
    }
}

/// A flake as somebody typed it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FlakePlace {
    /// A reference to a flake; with `path:`, perhaps a relative one.
    Reference(FlakeRef),
    /// A folder.
    Folder(FlakeFolder),
}

impl FlakePlace {
    /// Reads what somebody typed for a flake and an attribute of it.
    ///
    /// Errors: the reference or the attribute path is broken.
    pub fn parse(typed: &str) -> Result<(Self, FlakeAttr), InstallableError> {
        let (place, fragment) = Self::parse_place(typed)?;
        Ok((place, FlakeAttr::parse(&fragment)?))
    }

    fn parse_place(typed: &str) -> Result<(Self, String), FlakeRefError> {
        if let Some((reference, fragment)) = FlakeRef::parse_unless_path(typed)? {
            return Ok((Self::Reference(reference), fragment));
        }
        let url = path_url(typed)?;
        let mut path = url.path_text();
        let is_plain = path == "." || path == "..";
        if path.is_empty() {
            ".".clone_into(&mut path);
        } else if !is_plain && !["/", "./", "../", "~/"].iter().any(|s| path.starts_with(s)) {
            path.insert_str(0, "./");
        }
        Ok((Self::Folder(FlakeFolder { path, query: url.query }), url.fragment))
    }
}

impl fmt::Display for FlakePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = match self {
            Self::Folder(folder) => return folder.fmt(f),
            Self::Reference(reference) => reference,
        };
        let Some(url) = reference.exact_url() else { return reference.fmt(f) };
        let url = url.to_string();
        // People write `nixpkgs` rather than `flake:nixpkgs`.
        match url.strip_prefix("flake:") {
            Some(short) if FlakeRef::parse(short).is_ok_and(|again| again == *reference) => {
                f.write_str(short)
            }
            _ => f.write_str(&url),
        }
    }
}

/// A folder that somebody typed, without `path:`.
///
/// A flake in a folder above will do. If that is part of a Git repository, the files that Git knows
/// are meant, and what stands behind the `?` goes for the repository: `.?submodules=1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlakeFolder {
    path: String,
    query: BTreeMap<String, String>,
}

impl FlakeFolder {
    /// The folder at `path`, without anything behind a `?`.
    #[must_use]
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), query: BTreeMap::new() }
    }

    /// The path: from the root, from the home folder with `~/`, or from where it was typed with
    /// `.` or `..` at its start.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The reference, if the flake lies at `folder`, which starts at the root, and in no
    /// repository.
    ///
    /// Errors: what stands behind the `?` says nothing about folders.
    pub fn as_path(&self, folder: &str) -> Result<FlakeRef, FlakeRefError> {
        self.reference("path", folder, self.query.clone())
    }

    /// The reference, if the flake lies at `below` in the Git repository at `top`, which starts at
    /// the root.
    ///
    /// Errors: what stands behind the `?` is wrong for repositories, or it names a folder, too.
    pub fn as_repository(
        &self,
        top: &str,
        below: &str,
        is_shallow: bool,
    ) -> Result<FlakeRef, FlakeRefError> {
        let mut query = self.query.clone();
        if !below.is_empty() && query.insert("dir".to_owned(), below.to_owned()).is_some() {
            let message = format!("flake URL '{self}' has an inconsistent 'dir' parameter");
            return Err(FlakeRefError::new(message));
        }
        if is_shallow {
            query.insert("shallow".to_owned(), "1".to_owned());
        }
        self.reference("git+file", top, query)
    }

    fn reference(
        &self,
        scheme: &str,
        path: &str,
        query: BTreeMap<String, String>,
    ) -> Result<FlakeRef, FlakeRefError> {
        let (scheme, authority) = (scheme.to_owned(), Some(Authority::default()));
        let (path, fragment) = (path_parts(path), String::new());
        let (reference, _) = FlakeRef::from_url(Url { scheme, authority, path, query, fragment })?;
        Ok(reference)
    }
}

impl fmt::Display for FlakeFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        write_query(f, &self.query)
    }
}

/// An attribute of a flake, as it stands behind the `#`.
///
/// Most are looked for among the packages first; with a dot before it, one is meant as it stands.
/// Its text is a selection path, see [`AttributePath::parse_selection`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FlakeAttr(Wanted);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
enum Wanted {
    #[default]
    Default,
    Searched(AttributePath),
    Exact(AttributePath),
}

impl FlakeAttr {
    /// Reads what stands behind the `#`.
    ///
    /// Errors: it is no selection path.
    pub fn parse(fragment: &str) -> Result<Self, AttributePathError> {
        Ok(Self(match fragment.strip_prefix('.') {
            None if fragment.is_empty() => Wanted::Default,
            None => Wanted::Searched(AttributePath::parse_selection(fragment)?),
            Some(rest) => Wanted::Exact(AttributePath::parse_selection(rest)?),
        }))
    }

    /// An attribute that is meant as it stands; `None` if nobody can type it.
    #[must_use]
    pub fn exact(path: AttributePath) -> Option<Self> {
        path.to_selection()?;
        Some(Self(Wanted::Exact(path)))
    }

    /// An attribute that is looked for among the packages first; `None` if nobody can type it.
    #[must_use]
    pub fn searched(path: AttributePath) -> Option<Self> {
        path.to_selection()?;
        Some(Self(Wanted::Searched(path)))
    }

    /// Whether none is named.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == Wanted::Default
    }

    /// The attribute path as it was typed, without the dot before it.
    #[must_use]
    pub fn path(&self) -> &AttributePath {
        static NONE: AttributePath = AttributePath::EMPTY;
        match &self.0 {
            Wanted::Default => &NONE,
            Wanted::Searched(path) | Wanted::Exact(path) => path,
        }
    }

    /// The outputs of the flake that are meant, in the order in which `nix build` and `nix eval`
    /// look for them: the first that is there counts.
    #[must_use]
    pub fn candidates(&self, system: &str) -> Vec<AttributePath> {
        let below = |output: &str| AttributePath::new([output, system]);
        match &self.0 {
            Wanted::Exact(path) => vec![path.clone()],
            Wanted::Default => vec![below("packages").child("default"), below("defaultPackage")],
            Wanted::Searched(path) => {
                let groups = ["packages", "legacyPackages"];
                let grouped = groups.iter().map(|group| below(group).join(path));
                grouped.chain([path.clone()]).collect()
            }
        }
    }
}

impl fmt::Display for FlakeAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path: &AttributePath| {
            path.to_selection().expect("only what can be typed is taken or read")
        };
        match &self.0 {
            Wanted::Default => Ok(()),
            Wanted::Exact(path) => write!(f, ".{}", text(path)),
            // An empty name, which leads nowhere: nothing at all would be the default.
            Wanted::Searched(path) if path.is_empty() => f.write_str("\"\""),
            Wanted::Searched(path) => f.write_str(&text(path)),
        }
    }
}

impl FromStr for FlakeAttr {
    type Err = AttributePathError;

    fn from_str(text: &str) -> Result<Self, AttributePathError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
