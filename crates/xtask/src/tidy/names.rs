//! A name that fits every file helps nobody to find one.

use super::rules::Rules;
use super::{Problem, Tree};

pub(super) fn check(tree: &Tree, rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.rust_files() {
        if let Some(word) =
            path.trim_end_matches(".rs").split('/').find(|word| is_banned(word, rules))
        {
            problems.push(Problem::new(path, says_nothing(word)));
        }
        for (position, line) in text.lines().enumerate() {
            if let Some(word) = inline_module(line).filter(|word| is_banned(word, rules)) {
                problems.push(Problem::new(format!("{path}:{}", position + 1), says_nothing(word)));
            }
        }
    }
    problems
}

fn says_nothing(word: &str) -> String {
    format!("`{word}` says nothing: name what it answers")
}

/// Says whether a name is a banned word or its plural.
fn is_banned(name: &str, rules: &Rules) -> bool {
    let singular = name.strip_suffix('s').unwrap_or(name);
    rules.banned_names.iter().any(|banned| banned == name || banned == singular)
}

/// Returns the name of a module whose body starts on this line.
fn inline_module(line: &str) -> Option<&str> {
    let declaration = line.trim().strip_suffix('{')?;
    let (_, name) = declaration.rsplit_once("mod ")?;
    Some(name.trim())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    fn check_tree(tree: &str, expected: &str) {
        let rules = "banned-names = [\"util\", \"misc\"]";
        assert_eq!(problems(check, &Tree::fixture(tree), rules), expected);
    }

    #[test]
    fn files_folders_and_modules_are_looked_at() {
        check_tree(
            "//- crates/a/src/util/mod.rs\n//- crates/a/src/misc.rs\n//- crates/a/src/lib.rs\npub mod utils {\n}\n",
            "crates/a/src/lib.rs:1: `utils` says nothing: name what it answers\n\
             crates/a/src/misc.rs: `misc` says nothing: name what it answers\n\
             crates/a/src/util/mod.rs: `util` says nothing: name what it answers\n",
        );
    }

    #[test]
    fn part_of_a_word_is_no_word() {
        check_tree("//- crates/a/src/utility_bill.rs\nmod miscount {\n}\n", "");
    }
}
