//! Which references mean the same project.

use cim_nix_model::FlakeRef;

/// The project that a reference is to, without a branch or version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Repository {
    /// The package collection, from wherever.
    Nixpkgs,
    /// Another project: its host or kind, its owner and name or its URL, and the folder in it.
    Other(String),
}

impl Repository {
    /// The project that a reference is to.
    #[must_use]
    pub fn of(reference: &FlakeRef) -> Self {
        if is_nixpkgs(reference) {
            return Self::Nixpkgs;
        }
        let kind = reference.kind();
        let part = |name: &str| reference.text(name).unwrap_or_default().to_lowercase();
        let place = match kind {
            "github" | "gitlab" | "sourcehut" => {
                format!("{}/{}/{}", part("host"), part("owner"), part("repo"))
            }
            "indirect" => part("id"),
            "path" => part("path"),
            _ => part("url").trim_end_matches('/').trim_end_matches(".git").to_owned(),
        };
        Self::Other(format!("{kind}:{place}#{}", reference.dir()))
    }
}

/// Whether a reference is to Nixpkgs: the name, the repository or one of its mirrors and channels.
fn is_nixpkgs(reference: &FlakeRef) -> bool {
    if !reference.dir().is_empty() {
        return false;
    }
    let is = |name: &str, wanted: &str| {
        reference.text(name).is_some_and(|text| text.eq_ignore_ascii_case(wanted))
    };
    let url = reference.text("url").unwrap_or_default().to_lowercase();
    match reference.kind() {
        "indirect" => is("id", "nixpkgs"),
        "github" => is("owner", "nixos") && is("repo", "nixpkgs"),
        "git" => {
            url.trim_end_matches('/').trim_end_matches(".git").ends_with("github.com/nixos/nixpkgs")
        }
        "tarball" => {
            let is_channel =
                ["channels.nixos.org/", "nixos.org/channels/", "flakehub.com/f/nixos/nixpkgs"];
            is_channel.iter().any(|part| url.contains(part))
        }
        _ => false,
    }
}

/// Whether two references ask for the same version of the same project.
#[must_use]
pub fn is_same_source(one: &FlakeRef, other: &FlakeRef) -> bool {
    let part = |reference: &FlakeRef, name: &str| reference.text(name).map(str::to_lowercase);
    let version = |reference: &FlakeRef| (part(reference, "ref"), part(reference, "rev"));
    Repository::of(one) == Repository::of(other) && version(one) == version(other)
}
