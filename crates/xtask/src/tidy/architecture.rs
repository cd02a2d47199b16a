//! The map names every crate, and nothing that is gone.

use super::rules::Rules;
use super::{Problem, Tree};

const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree, _rules: &Rules) -> Vec<Problem> {
    let Some(map) = tree.files.get(MAP) else {
        return vec![Problem::new(MAP, "the map is missing")];
    };
    let unnamed =
        tree.packages.iter().filter(|package| !names(map, package.dir())).map(|package| {
            Problem::new(MAP, format!("crate `{}` is not on the map", package.dir()))
        });
    let gone = map.lines().enumerate().flat_map(|(position, line)| {
        let place = format!("{MAP}:{}", position + 1);
        gone_paths(tree, line)
            .map(move |path| Problem::new(place.clone(), format!("`{path}` does not exist")))
    });
    unnamed.chain(gone).collect()
}

/// Says whether the map names a crate: by its folder or, in code quotes, by its short name.
fn names(map: &str, dir: &str) -> bool {
    map.contains(&format!("`{dir}`")) || paths(map).any(|path| path == format!("crates/{dir}"))
}

fn gone_paths<'a>(tree: &'a Tree, line: &'a str) -> impl Iterator<Item = &'a str> {
    paths(line).filter(|path| !tree.has(path))
}

/// Returns the paths below `crates/` in a text, without what ends a sentence.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let is_of_path =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '*' | '<');
    text.match_indices("crates/").filter_map(move |(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|c| !is_of_path(c)).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches(['.', '/']);
        // `crates/<name>` and `crates/*` speak of all of them, `crates/` of the folder.
        (path != "crates" && !path.contains(['*', '<'])).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    fn check_map(map: &str, expected: &str) {
        let tree = format!(
            "//- ARCHITECTURE.md\n{map}\n//- crates/base/src/text.rs\n//- crates/vfs/Cargo.toml\n"
        );
        let tree = Tree::fixture(&tree).with_packages("base\nvfs");
        assert_eq!(problems(check, &tree, ""), expected);
    }

    #[test]
    fn every_crate_is_named() {
        check_map("`base` and crates/vfs, all below `crates/` (crates/*).", "");
        check_map("based on `vfs`", "ARCHITECTURE.md: crate `base` is not on the map\n");
    }

    #[test]
    fn every_path_exists() {
        check_map(
            "`base`, `vfs`.\nSee `crates/base/src/text.rs`, `crates/base/src` and crates/lsp/src.",
            "ARCHITECTURE.md:2: `crates/lsp/src` does not exist\n",
        );
    }

    #[test]
    fn the_map_itself_is_there() {
        assert_eq!(
            problems(check, &Tree::fixture(""), ""),
            "ARCHITECTURE.md: the map is missing\n"
        );
    }
}
