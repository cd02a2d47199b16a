//! The workspace as Cargo sees it, cut down to what the checks ask about.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::process;
use crate::repo::Repo;

/// The part of `cargo metadata --no-deps` that we read.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// A line in a package's dependency tables.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`, or none for what the product links.
    pub(crate) kind: Option<String>,
    /// Where it lies, if it is no registry package.
    pub(crate) path: Option<PathBuf>,
}

/// Something that Cargo builds from a package.
#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
}

impl Package {
    /// Returns the name of the folder that the package lies in.
    pub(crate) fn dir(&self) -> &str {
        dir_name(self.manifest_path.parent())
    }

    pub(crate) fn is_library(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib"))
    }
}

impl Dependency {
    /// Returns the folder of a crate of this workspace, none for what comes from a registry.
    pub(crate) fn workspace_dir(&self) -> Option<&str> {
        self.path.as_deref().map(|path| dir_name(Some(path)))
    }
}

/// Asks Cargo about the packages of the workspace; no network.
pub(crate) fn read(repo: &Repo) -> Result<Metadata> {
    let mut cargo = repo.cargo();
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    parse(&process::output(&mut cargo)?)
}

/// Reads what `cargo metadata` printed.
pub(crate) fn parse(json: &str) -> Result<Metadata> {
    serde_json::from_str(json).map_err(|error| format!("cannot read `cargo metadata`: {error}"))
}

fn dir_name(path: Option<&Path>) -> &str {
    path.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default()
}
