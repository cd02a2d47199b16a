//! The lock file stays small: every entry is code that somebody must trust and compile.

use super::rules::Rules;
use super::{Problem, Tree};

const LOCK: &str = "Cargo.lock";

pub(super) fn check(tree: &Tree, rules: &Rules) -> Vec<Problem> {
    let Some(lock) = tree.files.get(LOCK) else {
        return vec![Problem::new(LOCK, "the lock file is missing: it belongs to a program")];
    };
    let n_entries = lock.lines().filter(|line| *line == "[[package]]").count();
    let cap = rules.lock_entries;
    if n_entries <= cap {
        return Vec::new();
    }
    vec![Problem::new(LOCK, format!("{n_entries} packages, the cap is {cap}: which can go?"))]
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    #[test]
    fn packages_are_counted() {
        let tree = Tree::fixture("//- Cargo.lock\n[[package]]\nname = \"a\"\n[[package]]\n");
        assert_eq!(problems(check, &tree, "lock-entries = 2"), "");
        let expected = "Cargo.lock: 2 packages, the cap is 1: which can go?\n";
        assert_eq!(problems(check, &tree, "lock-entries = 1"), expected);
    }
}
