//! Arrows between crates point down: a crate uses crates of lower rows, and of its own row only
//! where the rules name the pair.

use super::rules::Rules;
use super::{Problem, RULES_FILE, Tree};
use crate::metadata::Package;

pub(super) fn check(tree: &Tree, rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in tree.packages.iter().filter(|package| !is_outside(package.dir(), rules)) {
        check_name(package, rules, &mut problems);
        check_arrows(package, rules, &mut problems);
        check_tests_only(package, rules, &mut problems);
    }
    problems
}

fn check_name(package: &Package, rules: &Rules, problems: &mut Vec<Problem>) {
    let dir = package.dir();
    if row_of(dir, rules).is_none() {
        let text = format!("crate `{dir}` has no row: DESIGN comes first, then the list here");
        problems.push(Problem::new(RULES_FILE, text));
    }
    let otherwise = rules.named_otherwise.get(dir).cloned();
    let name = otherwise.unwrap_or_else(|| format!("cim-nix-{dir}"));
    if package.name != name {
        let text = format!("package `{}` should be named `{name}`", package.name);
        problems.push(Problem::new(manifest(dir), text));
    }
}

fn check_arrows(package: &Package, rules: &Rules, problems: &mut Vec<Problem>) {
    let user = package.dir();
    for dependency in &package.dependencies {
        let Some(used) = dependency.workspace_dir() else { continue };
        if is_outside(used, rules) {
            // Tests may ask a judge.
            if dependency.kind.as_deref() == Some("dev") {
                continue;
            }
            problems.push(Problem::new(manifest(user), format!("no crate may use `{used}`")));
        } else if let (Some(from), Some(to)) = (row_of(user, rules), row_of(used, rules)) {
            let is_beside = from == to
                && rules.beside.iter().any(|pair| pair.user == user && pair.used == used);
            if to >= from && !is_beside {
                let (from, to) = (&rules.rows[from].name, &rules.rows[to].name);
                let text = format!(
                    "`{user}` (row {from}) may not use `{used}` (row {to}): arrows point down"
                );
                problems.push(Problem::new(manifest(user), text));
            }
        }
    }
}

fn check_tests_only(package: &Package, rules: &Rules, problems: &mut Vec<Problem>) {
    let linked = package.dependencies.iter().filter(|dependency| {
        dependency.kind.as_deref() != Some("dev") && dependency.path.is_none()
    });
    for dependency in linked {
        if let Some(reason) = rules.tests_only.get(&dependency.name) {
            let text = format!("`{}` is for tests only: {reason}", dependency.name);
            problems.push(Problem::new(manifest(package.dir()), text));
        }
    }
}

fn is_outside(dir: &str, rules: &Rules) -> bool {
    rules.outside.iter().any(|outside| outside == dir)
}

/// Returns the position of a crate's row, from the bottom.
fn row_of(dir: &str, rules: &Rules) -> Option<usize> {
    rules.rows.iter().position(|row| row.crates.iter().any(|name| name == dir))
}

fn manifest(dir: &str) -> String {
    format!("crates/{dir}/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    const RULES: &str = r#"
        outside = ["xtask"]
        tests-only = { oracle = "it judges us" }
        rows = [
            { name = "base", crates = ["base"] },
            { name = "language", crates = ["syntax", "semantics"] },
        ]
        beside = [{ user = "semantics", used = "syntax" }]
    "#;

    fn check_packages(packages: &str, expected: &str) {
        let tree = Tree::fixture("").with_packages(packages);
        assert_eq!(problems(check, &tree, RULES), expected);
    }

    #[test]
    fn arrows_down_and_named_pairs_are_fine() {
        check_packages("base\nsyntax -> base\nsemantics -> base, syntax\nxtask -> syntax", "");
    }

    #[test]
    fn arrows_up_and_other_pairs_are_named() {
        check_packages(
            "base -> syntax",
            "crates/base/Cargo.toml: `base` (row base) may not use `syntax` (row language): arrows point down\n",
        );
        check_packages(
            "syntax -> dev:semantics",
            "crates/syntax/Cargo.toml: `syntax` (row language) may not use `semantics` (row language): arrows point down\n",
        );
    }

    #[test]
    fn nobody_uses_a_crate_outside_the_rows() {
        check_packages("base -> xtask", "crates/base/Cargo.toml: no crate may use `xtask`\n");
        check_packages("base -> dev:xtask", "");
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        check_packages(
            "lsp",
            "crates/xtask/src/tidy.toml: crate `lsp` has no row: DESIGN comes first, then the list here\n",
        );
    }

    #[test]
    fn a_judge_stays_in_the_tests() {
        check_packages("syntax -> dev:'oracle'\nxtask -> 'oracle'", "");
        check_packages(
            "syntax -> 'oracle'",
            "crates/syntax/Cargo.toml: `oracle` is for tests only: it judges us\n",
        );
    }
}
