//! Checks what no other tool does: sizes, arrows between crates, names, forgotten files, the map
//! in `ARCHITECTURE.md`, the lock file, paths of somebody's machine.
//!
//! Each check is a function from the [`Tree`] and the [`Rules`] to problems and reads nothing
//! itself. Every budget and exception is data in `tidy.toml`, with its reason beside it; an
//! exception that is no longer needed is a problem too.

mod architecture;
mod arrows;
mod lines;
mod links;
mod lock;
mod modules;
mod names;
mod paths;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;

use crate::Result;
use crate::metadata::{self, Package};
use crate::repo::Repo;

use self::rules::Rules;

/// Where the rules lie, relative to the root.
const RULES_FILE: &str = "crates/xtask/src/tidy.toml";

/// The repository in memory: every text file by path, and the packages as Cargo sees them.
struct Tree {
    files: BTreeMap<String, String>,
    packages: Vec<Package>,
}

/// Something that is not as agreed.
#[derive(Debug, PartialEq)]
struct Problem {
    /// A path, or a path with a line.
    place: String,
    text: String,
}

impl Problem {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

type Check = fn(&Tree, &Rules) -> Vec<Problem>;

const CHECKS: &[Check] = &[
    lines::check,
    arrows::check,
    names::check,
    modules::check,
    architecture::check,
    links::check,
    lock::check,
    paths::check,
];

/// Names the folders of the crates that are no part of the product.
pub(crate) fn judges(repo: &Repo) -> Result<Vec<String>> {
    let path = repo.path(RULES_FILE);
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {RULES_FILE}: {error}"))?;
    Ok(Rules::parse(&text)?.outside)
}

/// Runs every check and prints what it found.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let tree = Tree::read(repo)?;
    let rules = tree.files.get(RULES_FILE).ok_or_else(|| format!("{RULES_FILE} is missing"))?;
    let mut rules = Rules::parse(rules)?;
    // A checkout right below the root has a name such as `/src`, which is no machine's own.
    if repo.root().components().count() > 2 {
        rules.machine_paths.push(format!("{}/", repo.root().display()));
    }
    if let Some(warning) = lines::warning(&tree, &rules) {
        println!("warning: {warning}");
    }
    let problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(&tree, &rules)).collect();
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err("one thing is untidy".to_owned()),
        n => Err(format!("{n} things are untidy")),
    }
}

impl Tree {
    fn read(repo: &Repo) -> Result<Self> {
        let packages = metadata::read(repo)?.packages;
        // A file that is deleted but still tracked is none; in one that is no text, there is nothing
        // to check, but documents may link to it.
        let files = repo.files()?.into_iter().filter_map(|path| {
            match fs::read_to_string(repo.path(&path)) {
                Ok(text) => Some((path, text)),
                Err(error) if error.kind() == ErrorKind::InvalidData => Some((path, String::new())),
                Err(_) => None,
            }
        });
        Ok(Self { files: files.collect(), packages })
    }

    /// Lists the Rust files of all crates.
    fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| path.starts_with("crates/") && path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Says whether a file or a folder of this path exists.
    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
            || self
                .files
                .keys()
                .any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

#[cfg(test)]
mod fixture;
