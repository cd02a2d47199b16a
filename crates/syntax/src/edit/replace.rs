//! Putting other text in the place of a node.

use cim_nix_base::{TextEdit, TextRange, apply_edits};

use super::layout::{line_end, line_indent, operand_text, value_text};
use super::{EditError, node_of};
use crate::build::{check_expression, is_operand};
use crate::{Node, NodeId, NodeKind, Tree, parse};

/// Replaces a node by `text`.
///
/// In the place of an expression `text` must be one too; it gets parentheses where it needs them
/// there. Other nodes take any text that leaves the file without new syntax errors.
pub fn replace_node(tree: &Tree, node: NodeId, text: &str) -> Result<Vec<TextEdit>, EditError> {
    let node = node_of(tree, node)?;
    if !node.kind().is_expr() || is_attr(node) {
        return replace_other(node, text);
    }
    let indent = line_indent(tree, node.range().start);
    let line_end = line_end(tree);
    let kind = check_expression(text)?.root().child(0).map_or(NodeKind::Error, Node::kind);
    let text = if needs_parens(node, kind) {
        operand_text(&format!("({})", value_text(text, "", "\n")?), indent, line_end)?
    } else {
        value_text(text, indent, line_end)?
    };
    if text == node.text() {
        return Ok(Vec::new());
    }
    let text = padded(tree, node.range(), &text);
    Ok(vec![TextEdit::replace(node.range(), text)])
}

/// Whether an expression of `kind` needs parentheses in the place of `node`.
fn needs_parens(node: Node<'_>, kind: NodeKind) -> bool {
    match node.parent().map(Node::kind) {
        Some(NodeKind::List | NodeKind::Apply) => !is_operand(kind),
        // A selection's default would swallow what is selected behind it.
        Some(NodeKind::Select) => kind == NodeKind::Select || !is_operand(kind),
        Some(NodeKind::HasAttr | NodeKind::Unary | NodeKind::Binary) => {
            kind != NodeKind::Apply && !is_operand(kind)
        }
        _ => false,
    }
}

/// Whether the node is a name in an attribute path or `inherit`.
fn is_attr(node: Node<'_>) -> bool {
    let parent = node.parent().map(Node::kind);
    matches!(parent, Some(NodeKind::AttrPath | NodeKind::Inherit))
}

fn replace_other(node: Node<'_>, text: &str) -> Result<Vec<TextEdit>, EditError> {
    let tree = node.tree();
    let edits = vec![TextEdit::replace(node.range(), text)];
    let broken = EditError::Broken(node.range());
    let after = apply_edits(tree.text(), &edits).map_err(|_| broken.clone())?;
    let n_before = parse(tree.text()).problems.len();
    if parse(after).problems.len() > n_before { Err(broken) } else { Ok(edits) }
}

/// `text` with blanks around it where it would else join what it touches at `range`.
pub(super) fn padded(tree: &Tree, range: TextRange, text: &str) -> String {
    /// Characters that can belong to a token together with others.
    fn joins(c: char) -> bool {
        !(c.is_whitespace()
            || matches!(c, '"' | '(' | ')' | '[' | ']' | '{' | '}' | ';' | ',' | '#'))
    }
    let range = range.as_usize();
    let before = &tree.text()[..range.start];
    let before = &before[before.trim_end_matches(joins).len()..];
    let after = &tree.text()[range.end..];
    let after = &after[..after.len() - after.trim_start_matches(joins).len()];
    for (left, right) in [("", ""), ("", " "), (" ", ""), (" ", " ")] {
        let new = format!("{left}{text}{right}");
        if before.is_empty() && after.is_empty() {
            return new;
        }
        let tree = parse(format!("{before}{new}{after}")).tree;
        let start = before.len() + left.len();
        let ends =
            |at: usize| at == 0 || tree.tokens().any(|token| token.range().end as usize == at);
        if ends(start) && ends(start + text.len()) {
            return new;
        }
    }
    format!(" {text} ")
}
