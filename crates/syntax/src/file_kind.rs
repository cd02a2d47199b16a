//! What a file is for, told from what it says.
//!
//! [`detect`] answers for Nix code, [`detect_lock`] for the JSON of lock files. Both give a kind and
//! the reason for it. They look at the spine of a file only: its leading functions, the names it
//! sets, the function it calls. The file's path is a hint that breaks ties and never needs to
//! exist. What a file means to its project (who imports it) is left to `project`.

mod heads;
mod module;
mod options;
mod rules;
mod shape;
mod spine;

use std::borrow::Cow;
use std::fmt;

use cim_nix_base::TextRange;

use crate::{Node, Tree};

/// What a file is for. Where several kinds fit, the first of this list is given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileKind {
    /// A flake: a set with `outputs`, as in `flake.nix`.
    Flake,
    /// A lock file: JSON that pins the inputs of a flake or of npins.
    LockFile,
    /// One or several tests for a test runner: `makeTest`, `runTest`, `runTests`, `nodes` with
    /// `testScript`.
    Test,
    /// One or several overlays: functions of the final and the previous package set.
    Overlay,
    /// One or several development shells: `mkShell` and its like, or what a `shell.nix` gives.
    Shell,
    /// A module: sets or declares options of NixOS, Home Manager, nix-darwin or another module
    /// system. [`Detected::system`] says whose, if it can be told.
    Module,
    /// One derivation, mostly as a function of what it is built from.
    Package,
    /// Several derivations or fetched sources, as a set or a list.
    PackageSet,
    /// Functions for other Nix code, or a set of mostly functions.
    Library,
    /// Nothing but another file's value: `import ./other.nix` with or without arguments.
    Import,
    /// A set or list of plain values: strings, numbers, paths and sets and lists of them.
    Data,
    /// Any other expression.
    Expression,
}

impl FileKind {
    /// Every kind, the more special ones first.
    pub const ALL: [Self; 12] = [
        Self::Flake,
        Self::LockFile,
        Self::Test,
        Self::Overlay,
        Self::Shell,
        Self::Module,
        Self::Package,
        Self::PackageSet,
        Self::Library,
        Self::Import,
        Self::Data,
        Self::Expression,
    ];

    /// The word for the kind in messages and machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flake => "flake",
            Self::LockFile => "lock-file",
            Self::Test => "test",
            Self::Overlay => "overlay",
            Self::Shell => "shell",
            Self::Module => "module",
            Self::Package => "package",
            Self::PackageSet => "package-set",
            Self::Library => "library",
            Self::Import => "import",
            Self::Data => "data",
            Self::Expression => "expression",
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A module system with options of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ModuleSystem {
    /// NixOS.
    NixOs,
    /// Home Manager.
    HomeManager,
    /// nix-darwin.
    Darwin,
}

impl ModuleSystem {
    /// Every system.
    pub const ALL: [Self; 3] = [Self::NixOs, Self::HomeManager, Self::Darwin];

    /// The word for the system in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NixOs => "nixos",
            Self::HomeManager => "home-manager",
            Self::Darwin => "darwin",
        }
    }
}

impl fmt::Display for ModuleSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NixOs => "NixOS",
            Self::HomeManager => "Home Manager",
            Self::Darwin => "nix-darwin",
        })
    }
}

/// A file's kind and what decided it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detected {
    /// The kind.
    pub kind: FileKind,
    /// Whose module it is; only for [`FileKind::Module`], and only where options, parameters or
    /// the path tell.
    pub system: Option<ModuleSystem>,
    /// What in the file decided, as the rest of a sentence that begins with the file's name.
    pub reason: Cow<'static, str>,
    /// Where that is.
    pub range: Option<TextRange>,
}

impl Detected {
    fn new(kind: FileKind, reason: impl Into<Cow<'static, str>>, at: Node<'_>) -> Self {
        Self { kind, system: None, reason: reason.into(), range: Some(at.range()) }
    }
}

/// Tells what kind of file `tree` is.
///
/// `path` is the file's name or its path within the project, with `/` between the parts; pass `""`
/// if there is none. Broken code is judged by what is left of it.
///
/// Cost: bounded by a constant and the number of attributes at the top; never recurses deeply.
///
/// ```
/// use cim_nix_syntax::file_kind::{FileKind, detect};
///
/// let tree = cim_nix_syntax::parse("final: prev: { hello = prev.hello; }").tree;
/// let found = detect("overlay.nix", &tree);
/// assert_eq!(found.kind, FileKind::Overlay);
/// assert_eq!(found.reason, "is a function of `final` and `prev`");
/// ```
#[must_use]
pub fn detect(path: &str, tree: &Tree) -> Detected {
    if let Some(lock) = detect_lock(tree.text()) {
        return lock;
    }
    rules::detect(path, tree)
}

/// Bytes of a text that are looked at to tell a lock file.
const LOCK_HEAD: usize = 4_096;

/// Tells whether a text is a lock file: JSON with the nodes of a flake's lock or the pins of npins.
///
/// Looks at the start of the text only, so a truncated lock file is one, too.
#[must_use]
pub fn detect_lock(text: &str) -> Option<Detected> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let inner = text.strip_prefix('{')?.trim_start();
    if !inner.starts_with('"') {
        return None;
    }
    let mut end = inner.len().min(LOCK_HEAD);
    while !inner.is_char_boundary(end) {
        end -= 1;
    }
    let head = &inner[..end];
    // In Nix a string in front of a colon is no attribute name, so this is JSON.
    let has_key = |key: &str| {
        head.match_indices(key).any(|(at, _)| head[at + key.len()..].trim_start().starts_with(':'))
    };
    let reason = if has_key("\"nodes\"") && (has_key("\"locked\"") || has_key("\"root\"")) {
        "is JSON with the locked `nodes` of a flake"
    } else if has_key("\"pins\"") {
        "is JSON with the `pins` of npins"
    } else {
        return None;
    };
    Some(Detected { kind: FileKind::LockFile, system: None, reason: reason.into(), range: None })
}

#[cfg(test)]
mod tests;
