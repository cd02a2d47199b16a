//! Repositories in one string, for the tests of the checks.

use std::collections::BTreeMap;

use super::rules::Rules;
use super::{Check, Tree};
use crate::metadata::{self, Package};

impl Tree {
    /// Reads files that each start with a line `//- path`.
    pub(super) fn fixture(text: &str) -> Self {
        let files = text.split("//- ").skip(1).map(|file| {
            let (path, text) = file.split_once('\n').expect("a header line ends");
            (path.trim().to_owned(), text.to_owned())
        });
        Self { files: files.collect::<BTreeMap<_, _>>(), packages: Vec::new() }
    }

    /// Adds packages: one a line, `folder -> dependency, dev:dependency`.
    ///
    /// A dependency in single quotes comes from the registry.
    pub(super) fn with_packages(mut self, lines: &str) -> Self {
        self.packages = lines.lines().map(package).collect();
        self
    }
}

fn package(line: &str) -> Package {
    let (dir, arrows) = line.split_once("->").unwrap_or((line, ""));
    let dir = dir.trim();
    let dependencies =
        arrows.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| {
            let (kind, name) =
                word.split_once(':').map_or((None, word), |(kind, name)| (Some(kind), name));
            let from_registry = name.starts_with('\'');
            let name = name.trim_matches('\'');
            serde_json::json!({
                "name": if from_registry { name.to_owned() } else { format!("cim-nix-{name}") },
                "kind": kind,
                "path": (!from_registry).then(|| format!("/repo/crates/{name}")),
            })
        });
    let package = serde_json::json!({ "packages": [{
        "name": if dir == "xtask" { dir.to_owned() } else { format!("cim-nix-{dir}") },
        "manifest_path": format!("/repo/crates/{dir}/Cargo.toml"),
        "dependencies": dependencies.collect::<Vec<_>>(),
        "targets": [{ "kind": ["lib"] }],
    }] });
    let metadata = metadata::parse(&package.to_string()).expect("the JSON above is complete");
    metadata.packages.into_iter().next().expect("the JSON above has one package")
}

/// Runs one check and returns what it found, one problem a line.
pub(super) fn problems(check: Check, tree: &Tree, rules: &str) -> String {
    let rules = Rules::parse(rules).expect("the rules of a test are well formed");
    check(tree, &rules).iter().map(|problem| format!("{problem}\n")).collect()
}
