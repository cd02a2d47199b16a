//! A path that exists on one machine only has no place in the repository.

use super::rules::Rules;
use super::{Problem, Tree};

pub(super) fn check(tree: &Tree, rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in &tree.files {
        for (position, line) in text.lines().enumerate() {
            if let Some(start) = rules.machine_paths.iter().find(|start| holds(line, start)) {
                let place = format!("{path}:{}", position + 1);
                problems.push(Problem::new(place, format!("`{start}` is a path of one machine")));
            }
        }
    }
    problems
}

/// Says whether a path in `line` starts with `start`, rather than holds it in its middle.
fn holds(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before
            .is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '/' | '}' | '$'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    #[test]
    fn starts_of_paths_are_found() {
        let tree = Tree::fixture("//- a.md\nsee /mine/x\n//- b.md\n./mine/x and deter/mine/d\n");
        let expected = "a.md:1: `/mine/` is a path of one machine\n";
        assert_eq!(problems(check, &tree, "machine-paths = [\"/mine/\"]"), expected);
    }
}
