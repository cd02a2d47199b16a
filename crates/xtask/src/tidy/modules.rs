//! A Rust file that no module names is not compiled, and a test in it never runs.
//!
//! Integration tests lie in one program per crate (`tests/it/`), which links once instead of once
//! per file; so a file right below `tests/` is in the wrong place.

use super::rules::Rules;
use super::{Problem, Tree};

pub(super) fn check(tree: &Tree, _rules: &Rules) -> Vec<Problem> {
    tree.rust_files()
        .filter_map(|(path, _)| Some(Problem::new(path, complaint(tree, path)?)))
        .collect()
}

fn complaint(tree: &Tree, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let below_crate = parts.split_off(parts.len().min(2));
    let krate = parts.join("/");
    match below_crate.as_slice() {
        ["build"] | ["src", "main" | "lib"] | ["src", "bin", ..] => None,
        ["benches" | "examples", _] | ["tests", "it", "main"] => None,
        ["tests", _] => Some("tests lie in `tests/it/`, listed in its `main.rs`".to_owned()),
        // Data of tests may be Rust.
        [.., "fixtures" | "corpus", _] => None,
        [folders @ .., "mod"] => undeclared(tree, &krate, folders),
        path => undeclared(tree, &krate, path),
    }
}

/// Complains unless a file that may hold the declaration of this module does.
fn undeclared(tree: &Tree, krate: &str, module: &[&str]) -> Option<String> {
    let (name, folders) = module.split_last()?;
    let folder = format!("{krate}/{}", folders.join("/"));
    let parents = ["mod.rs", "lib.rs", "main.rs"].map(|file| format!("{folder}/{file}"));
    let is_declared = parents
        .into_iter()
        .chain([format!("{folder}.rs")])
        .filter_map(|parent| tree.files.get(&parent))
        .any(|text| text.lines().any(|line| declares(line, name)));
    let found = if folder.ends_with("/it") { "its tests never run" } else { "it is not compiled" };
    (!is_declared).then(|| format!("no `mod {name};` names this file, so {found}"))
}

fn declares(line: &str, name: &str) -> bool {
    let Some(declaration) = line.trim().strip_suffix(';') else { return false };
    let is_path = declaration.ends_with(&format!("{name}.rs\"]"));
    is_path || declaration.rsplit_once("mod ").is_some_and(|(_, declared)| declared == name)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    fn check_tree(tree: &str, expected: &str) {
        assert_eq!(problems(check, &Tree::fixture(tree), ""), expected);
    }

    #[test]
    fn declared_files_are_fine() {
        check_tree(
            "//- crates/a/src/lib.rs\nmod b;\npub(crate) mod c;\n\
             //- crates/a/src/b.rs\n#[cfg(test)] mod tests;\n\
             //- crates/a/src/b/tests.rs\n\
             //- crates/a/src/c/mod.rs\nmod d;\n\
             //- crates/a/src/c/d.rs\n\
             //- crates/a/tests/it/main.rs\nmod e;\n\
             //- crates/a/tests/it/e.rs\n\
             //- crates/a/benches/speed.rs\n",
            "",
        );
    }

    #[test]
    fn a_forgotten_file_is_named() {
        check_tree(
            "//- crates/a/src/lib.rs\n// mod b\n//- crates/a/src/b.rs\n",
            "crates/a/src/b.rs: no `mod b;` names this file, so it is not compiled\n",
        );
    }

    #[test]
    fn a_forgotten_test_is_named() {
        check_tree(
            "//- crates/a/tests/it/main.rs\n//- crates/a/tests/it/b.rs\n//- crates/a/tests/c.rs\n",
            "crates/a/tests/c.rs: tests lie in `tests/it/`, listed in its `main.rs`\n\
             crates/a/tests/it/b.rs: no `mod b;` names this file, so its tests never run\n",
        );
    }
}
