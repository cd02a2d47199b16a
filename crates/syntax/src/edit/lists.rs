//! Elements of lists.

use cim_nix_base::TextEdit;

use super::layout::{Container, line_end, line_indent, operand_text};
use super::remove::{removed_node, with_comments_above};
use super::{EditError, node_of, sorted};
use crate::trivia::begins_line;
use crate::{NodeId, Tree};

/// Puts `element` into a list as its element number `at`; at the end without one, or where the list
/// is shorter. Parentheses are added where the element needs them.
pub fn insert_in_list(
    tree: &Tree,
    list: NodeId,
    at: Option<usize>,
    element: &str,
) -> Result<Vec<TextEdit>, EditError> {
    let container = Container::of_elements(node_of(tree, list)?)?;
    let line_end = line_end(tree);
    let behind = container.items.get(at.unwrap_or(usize::MAX));
    let slot = match (at, behind) {
        (Some(0), Some(first)) => {
            let Some(token) = first.first_token() else {
                return Err(EditError::Broken(first.range()));
            };
            let indent = line_indent(tree, token.range().start);
            let text = operand_text(element, indent, line_end)?;
            return Ok(vec![if begins_line(token) {
                let top = with_comments_above(token).range().start;
                TextEdit::insert(top, format!("{text}{line_end}{indent}"))
            } else {
                TextEdit::insert(token.range().start, format!("{text} "))
            }]);
        }
        (Some(at), Some(_)) => container.slot_after(container.items[at - 1], &[]),
        _ => container.slot_at_end(element.trim().contains('\n')),
    };
    let text = operand_text(element, &slot.indent, line_end)?;
    Ok(vec![slot.fill(&text)])
}

/// Removes the element number `at` from a list, with its comments.
pub fn remove_from_list(tree: &Tree, list: NodeId, at: usize) -> Result<Vec<TextEdit>, EditError> {
    let container = Container::of_elements(node_of(tree, list)?)?;
    match container.items.get(at) {
        Some(&element) => Ok(sorted(vec![removed_node(element)?])),
        None => Err(EditError::NotFound(format!("element {at}"))),
    }
}
