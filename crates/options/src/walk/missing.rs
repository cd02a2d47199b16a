//! What to say where there is no such option.

use std::collections::VecDeque;

use cim_nix_eval::{EvalError, Handle};

use super::{Res, Walker};
use crate::pattern::Pattern;
use crate::pretty::is_text;

/// So many sets and options are looked at for a name that is not where it should be.
const MAX_SEARCHED: usize = 20_000;
/// So many names may have been meant.
const MAX_SUGGESTIONS: usize = 5;

impl<'e> Walker<'e, '_> {
    /// The error for a pattern that means nothing here.
    pub(super) fn missing(&self, tree: Handle<'e>, pattern: &Pattern) -> Res<Box<EvalError>> {
        let Some(exact) = pattern.exact() else {
            let message = format!("no option fits `{pattern}`");
            return Ok(Box::new(EvalError::other(message)));
        };
        let dialect = self.dialect.unwrap_or_default();
        let mut at = tree;
        for (depth, part) in exact.iter().enumerate() {
            let Some(next) = self.evaluation.attr(at, part)? else {
                let parts: Vec<String> = exact.iter().map(|&part| part.to_owned()).collect();
                let name = |parts: &[String]| dialect.full_name(parts);
                let siblings = match depth {
                    0 => "at the top".to_owned(),
                    _ => format!("in `{}`", name(&parts[..depth])),
                };
                let message = format!(
                    "there is no option `{}`: there is no `{}` {siblings}",
                    name(&parts),
                    dialect.part(part)
                );
                let known = self.evaluation.attr_names(at)?;
                let mut error = EvalError::unknown_name(message, part, known.clone());
                if error.suggestions.is_empty() {
                    error.suggestions = containing(part, known);
                }
                if error.suggestions.is_empty() {
                    error.suggestions = self.elsewhere(tree, exact[exact.len() - 1]);
                }
                return Ok(Box::new(error));
            };
            at = next;
        }
        let message = format!("there are no options in `{pattern}`");
        Ok(Box::new(EvalError::other(message)))
    }

    /// Where else in the tree something has a name, the shortest ways first; what fails has nothing.
    fn elsewhere(&self, tree: Handle<'e>, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut queue = VecDeque::from([(Vec::new(), tree)]);
        let mut n_left = MAX_SEARCHED;
        while let Some((path, at)) = queue.pop_front() {
            n_left -= 1;
            if n_left == 0 {
                break;
            }
            if is_text(self.evaluation, at, "_type", "option").unwrap_or(true) {
                continue;
            }
            for (member, value) in self.evaluation.members(at).unwrap_or_default() {
                let is_meant = member == name;
                let path = [&path[..], &[member]].concat();
                if is_meant {
                    found.push(self.dialect.unwrap_or_default().full_name(&path));
                }
                if found.len() >= MAX_SUGGESTIONS {
                    return found;
                }
                queue.push_back((path, value));
            }
        }
        found
    }
}

/// The names that have a part in them.
fn containing(part: &str, names: Vec<String>) -> Vec<String> {
    let part = part.to_lowercase();
    let mut found: Vec<String> =
        names.into_iter().filter(|name| name.to_lowercase().contains(&part)).collect();
    found.truncate(MAX_SUGGESTIONS);
    found
}
