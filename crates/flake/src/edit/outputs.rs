//! Adding outputs, and removing them.

use cim_nix_base::{TextEdit, TextRange, apply_edits};
use cim_nix_syntax::build::attr_path_text;
use cim_nix_syntax::edit::{self, EditError};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef, Tree};

use super::draft::Draft;
use super::source::Source;
use super::walk::{Found, Walk};
use super::{Edit, ModuleKind, Refusal};

pub(super) fn add(source: &Source, path: &[String], value: &str) -> Result<Edit, Refusal> {
    if path.is_empty() {
        return Err(Refusal::Edit(EditError::EmptyPath));
    }
    let mut draft = Draft::new(source);
    match Walk::find(source, path)? {
        Found::There(node) => {
            let there = source.node(node);
            if is_same_code(there, value) {
                return Ok(Edit::default());
            }
            let name = attr_path_text(path);
            return Err(Refusal::AlreadyThere { name, range: there.range() });
        }
        Found::Beside(node) => draft.edit(vec![beside(source.node(node), path, value)?]),
        Found::Goal(goal) => {
            let (path, value) = match &goal.wrap {
                None => (goal.path, value.to_owned()),
                Some((front, end)) => {
                    let (first, rest) = goal.path.split_at(1);
                    let inner = match rest {
                        [] => value.trim().to_owned(),
                        _ => set_in("{\n}", 0, rest, value)?,
                    };
                    (first.to_vec(), format!("{front}{inner}{end}"))
                }
            };
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            draft.edit(edit::set_attr(&source.tree, goal.set, &path, &value)?);
        }
    }
    draft.finish()
}

/// Takes an attribute out that has this value. Where there is none, nothing is to be done.
pub(super) fn remove(source: &Source, path: &[String], value: &str) -> Result<Edit, Refusal> {
    if path.is_empty() {
        return Err(Refusal::Edit(EditError::EmptyPath));
    }
    let Found::There(node) = Walk::find(source, path)? else { return Ok(Edit::default()) };
    let there = source.node(node);
    let binding = there.parent().filter(|node| node.kind() == NodeKind::Binding);
    match binding.filter(|_| is_same_code(there, value)) {
        Some(binding) => {
            let mut draft = Draft::new(source);
            draft.remove(binding.id());
            draft.finish()
        }
        None => Err(Refusal::AlreadyThere { name: attr_path_text(path), range: there.range() }),
    }
}

/// Puts a set with an attribute behind an expression: `… // { path = value; }`.
fn beside(node: Node<'_>, path: &[String], value: &str) -> Result<TextEdit, Refusal> {
    let (text, at) = (node.tree().text(), node.range().end as usize);
    let start =
        text[..node.range().start as usize].rfind('\n').map_or(0, |line_feed| line_feed + 1);
    let line = &text[start..];
    let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let set = match node.text().contains('\n') {
        true => format!(" // {{{line_end}{indent}}}"),
        false => " // { }".to_owned(),
    };
    // The attribute is written as in any other set that stands there.
    let (front, end) = text.split_at(at);
    let after = set_in(&format!("{front}{set}{end}"), at + 4, path, value)?;
    let added = after.get(at..after.len() - end.len()).unwrap_or_default();
    Ok(TextEdit::insert(node.range().end, added))
}

/// A text in which the set that begins at `at` has an attribute more.
fn set_in(text: &str, at: usize, path: &[String], value: &str) -> Result<String, Refusal> {
    let tree = cim_nix_syntax::parse(text).tree;
    let set = tree.covering(TextRange::new(at as u32, at as u32 + 1));
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let edits = edit::set_attr(&tree, set.id(), &path, value)?;
    apply_edits(text, &edits).map_err(|error| Refusal::Unproven(error.to_string()))
}

/// Whether a node is the code of a text, layout aside.
fn is_same_code(node: Node<'_>, text: &str) -> bool {
    let tree: Tree = cim_nix_syntax::parse(text).tree;
    let is_code =
        |token: &TokenRef<'_>| !token.kind().is_trivia() && token.kind() != TokenKind::Eof;
    // Indented strings are indented as the code is.
    let words = |token: TokenRef<'_>| -> Vec<String> {
        token.text().split_whitespace().map(str::to_owned).collect()
    };
    let there = node.tokens().filter(is_code).flat_map(words);
    there.eq(tree.tokens().filter(is_code).flat_map(words))
}

/// The output that modules of a kind stand in; homes have two names for it.
pub(super) fn modules(source: &Source, kind: ModuleKind) -> &'static str {
    match kind {
        ModuleKind::NixOs => "nixosModules",
        ModuleKind::Darwin => "darwinModules",
        ModuleKind::Flake => "flakeModules",
        ModuleKind::Home => {
            let has = |name: &str| source.ir.find_symbol(name).is_some();
            if has("homeManagerModules") && !has("homeModules") {
                "homeManagerModules"
            } else {
                "homeModules"
            }
        }
    }
}
