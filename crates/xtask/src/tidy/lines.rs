//! Long files hide things: no file above the budget, nine of ten well below it.

use super::rules::Rules;
use super::{Problem, RULES_FILE, Tree};
use crate::source;

pub(super) fn check(tree: &Tree, rules: &Rules) -> Vec<Problem> {
    let budget = rules.lines.most;
    let too_long = tree.rust_files().filter_map(|(path, text)| {
        let n_lines = text.lines().count();
        let is_listed = rules.lines.longer.contains_key(path);
        (n_lines > budget && !is_listed).then(|| {
            let advice = "split it, or list it with a reason";
            Problem::new(path, format!("{n_lines} lines, the budget is {budget}: {advice}"))
        })
    });
    let needless = rules.lines.longer.keys().filter_map(|path| {
        let n_lines = tree.files.get(path).map(|text| text.lines().count());
        match n_lines {
            None => Some(format!("`{path}` is listed as long and does not exist")),
            Some(n) if n <= budget => Some(format!("`{path}` is listed as long and is not")),
            Some(_) => None,
        }
    });
    too_long.chain(needless.map(|text| Problem::new(RULES_FILE, text))).collect()
}

/// Says so if one file of ten has more lines of code than we aim at.
pub(super) fn warning(tree: &Tree, rules: &Rules) -> Option<String> {
    let mut lengths: Vec<(usize, &str)> = tree
        .rust_files()
        .filter(|(path, _)| !source::is_test_file(path))
        .map(|(path, text)| (source::code_lines(text), path))
        .collect();
    lengths.sort_unstable();
    let (p90, _) = *lengths.get(lengths.len() * 9 / 10)?;
    let (longest, path) = *lengths.last()?;
    let aim = rules.lines.aim;
    (p90 > aim).then(|| {
        format!(
            "one file of ten has {p90} lines of code or more, the aim is {aim}; the longest is \
             {path} with {longest}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    const TREE: &str = "//- crates/a/src/lib.rs\n1\n2\n3\n//- crates/a/src/b.rs\n1\n";

    fn check_rules(rules: &str, expected: &str) {
        assert_eq!(problems(check, &Tree::fixture(TREE), rules), expected);
    }

    #[test]
    fn a_long_file_is_named() {
        check_rules(
            "lines.most = 2",
            "crates/a/src/lib.rs: 3 lines, the budget is 2: split it, or list it with a reason\n",
        );
        check_rules("lines.most = 3", "");
    }

    #[test]
    fn a_listed_file_may_be_long() {
        check_rules("lines.most = 2\nlines.longer.\"crates/a/src/lib.rs\" = \"a table\"", "");
    }

    #[test]
    fn a_needless_exception_is_named() {
        check_rules(
            "lines.most = 3\nlines.longer.\"crates/a/src/lib.rs\" = \"a table\"",
            "crates/xtask/src/tidy.toml: `crates/a/src/lib.rs` is listed as long and is not\n",
        );
    }

    #[test]
    fn the_tenth_longest_file_is_compared_with_the_aim() {
        let warning = |rules| warning(&Tree::fixture(TREE), &Rules::parse(rules).unwrap());
        assert_eq!(warning("lines.aim = 3"), None);
        assert!(warning("lines.aim = 2").unwrap().ends_with("crates/a/src/lib.rs with 3"));
    }
}
