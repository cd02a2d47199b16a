//! A relative link in a document leads to a file of the repository.

use super::rules::Rules;
use super::{Problem, Tree};

pub(super) fn check(tree: &Tree, _rules: &Rules) -> Vec<Problem> {
    let documents = tree.files.iter().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| check_document(tree, path, text)).collect()
}

fn check_document(tree: &Tree, path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut in_code = false;
    for (position, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for target in targets(line) {
            let is_dead =
                resolve(path, target).is_none_or(|path| !path.is_empty() && !tree.has(&path));
            if is_dead {
                let place = format!("{path}:{}", position + 1);
                problems.push(Problem::new(place, format!("the link to `{target}` leads nowhere")));
            }
        }
    }
    problems
}

/// Returns the relative targets of the links in a line, without their anchors.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    // What stands in code quotes is no link: those are the odd pieces.
    let prose = line.split('`').step_by(2);
    prose.flat_map(|piece| piece.split("](").skip(1)).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next()?;
        (!target.is_empty() && !target.contains(':')).then_some(target)
    })
}

/// Returns the path that `target` means in a document at `path`, none if it leaves the repository.
fn resolve(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::problems;
    use super::*;

    fn check_text(text: &str, expected: &str) {
        let tree = format!("//- README.md\n\n//- docs/a.md\n{text}\n//- docs/rules/b.md\n\n");
        assert_eq!(problems(check, &Tree::fixture(&tree), ""), expected);
    }

    #[test]
    fn living_links_are_fine() {
        check_text(
            "[a](rules/b.md#top) [b](../README.md) [c](rules/) [d](#here) [e](mailto:x@y)",
            "",
        );
    }

    #[test]
    fn dead_links_are_named() {
        check_text(
            "x\n[a](b.md) and [b](../../out.md)",
            "docs/a.md:2: the link to `b.md` leads nowhere\n\
             docs/a.md:2: the link to `../../out.md` leads nowhere\n",
        );
    }

    #[test]
    fn code_holds_no_links() {
        check_text("`[a](b.md)`\n```md\n[a](b.md)\n```", "");
    }
}
