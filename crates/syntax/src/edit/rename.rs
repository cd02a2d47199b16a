//! Giving a name another spelling at all of its places.

use cim_nix_base::{TextEdit, TextRange};

use super::attrs::replaced_inherit;
use super::replace::padded;
use super::{EditError, sorted};
use crate::ast::{self, Attr, Entry, Inherit, Select};
use crate::build::{attr_name_text, is_bare_name, is_operand, quote_string};
use crate::literal::attr_name;
use crate::{Node, NodeKind, TokenKind, Tree};

/// A place where a name stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence {
    /// The range of the name itself, with its quotes if it has some.
    pub range: TextRange,
    /// What the renamed thing has to do with the place. In `inherit x;` both an outer variable is
    /// used and an attribute defined; only one of them gets the new name.
    pub role: Role,
}

/// What the renamed thing has to do with a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It is defined here.
    Definition,
    /// It is used here.
    Use,
}

/// Renames a variable, parameter or attribute at the given places to `new`.
///
/// An `inherit` becomes a binding, so that the other side keeps its name: `inherit x;` turns into
/// `x = new;` where `x` is used, and `inherit (set) x;` into `new = set.x;` where it is defined, or
/// into `x = set.new;` where the attribute of `set` is used.
///
/// Errors: [`EditError::NotAName`] where no name stands that can be changed,
/// [`EditError::InvalidName`] if `new` cannot stand at one of the places, and
/// [`EditError::AlreadyThere`] if a set or `let` where it would be defined has the new name. Whether
/// the new name hides another one elsewhere is for `semantics` to judge.
pub fn rename(
    tree: &Tree,
    occurrences: &[Occurrence],
    new: &str,
) -> Result<Vec<TextEdit>, EditError> {
    let mut occurrences = occurrences.to_vec();
    occurrences.sort_by_key(|occurrence| occurrence.range);
    occurrences.dedup_by_key(|occurrence| occurrence.range);
    let mut edits = Vec::with_capacity(occurrences.len());
    for occurrence in occurrences {
        let range = occurrence.range;
        if range.end as usize > tree.text().len() {
            return Err(EditError::NotAName(range));
        }
        let node = tree.covering(range);
        match node.parent().and_then(Inherit::cast) {
            Some(inherit) if node.range() == range => {
                edits.extend(renamed_inherit(inherit, node, occurrence.role, new)?);
            }
            _ => {
                let text = renamed(node, occurrence, new)?;
                edits.push(TextEdit::replace(range, padded(tree, range, &text)));
            }
        }
    }
    Ok(sorted(edits))
}

/// The text of the new name where it is no name in an `inherit`.
fn renamed(node: Node<'_>, occurrence: Occurrence, new: &str) -> Result<String, EditError> {
    let range = occurrence.range;
    let refused = EditError::NotAName(range);
    let parent = node.parent();
    match node.kind() {
        NodeKind::Ident | NodeKind::Param if node.range() == range => variable(new),
        NodeKind::Formal | NodeKind::PatBind => {
            let name = node.own_token(TokenKind::Ident).filter(|token| token.range() == range);
            name.map_or(Err(refused), |_| variable(new))
        }
        NodeKind::Name | NodeKind::Str | NodeKind::Dynamic
            if node.range() == range && attr_name(node).is_some() =>
        {
            match parent.map(|parent| (parent, parent.kind())) {
                Some((path, NodeKind::AttrPath)) => {
                    if occurrence.role == Role::Definition {
                        check_free(path, node, new)?;
                    }
                    Ok(attr_name_text(new).into_owned())
                }
                Some((_, NodeKind::Dynamic)) => Ok(quote_string(new)),
                _ => Err(refused),
            }
        }
        _ => Err(refused),
    }
}

/// A name that is used as a variable.
fn variable(name: &str) -> Result<String, EditError> {
    if is_bare_name(name) && name != "or" {
        Ok(name.to_owned())
    } else {
        Err(EditError::InvalidName(name.to_owned()))
    }
}

/// Checks that the set around a binding has no entry with the new name of its first element.
fn check_free(path: Node<'_>, element: Node<'_>, new: &str) -> Result<(), EditError> {
    let binding = path.parent().filter(|parent| parent.kind() == NodeKind::Binding);
    let set = binding.and_then(Node::parent);
    match set {
        Some(set) if path.child(0) == Some(element) && defines(set, new) => {
            Err(EditError::AlreadyThere(new.to_owned()))
        }
        _ => Ok(()),
    }
}

fn defines(set: Node<'_>, name: &str) -> bool {
    let is_it = |attr: Attr<'_>| attr.name().is_some_and(|found| found == name);
    ast::entries(set).any(|entry| match entry {
        Entry::Binding(binding) => {
            binding.attr_path().and_then(|path| path.elements().next()).is_some_and(is_it)
        }
        Entry::Inherit(inherit) => inherit.names().any(is_it),
    })
}

/// The attribute `name` of the set that `from` stands for.
fn selected(from: Node<'_>, name: &str) -> String {
    let name = attr_name_text(name);
    // A path of names needs no parentheses; a default behind it would swallow the name.
    let is_path = Select::cast(from).is_some_and(|select| select.default().is_none());
    if is_path || (is_operand(from.kind()) && from.kind() != NodeKind::Select) {
        format!("{}.{name}", from.text())
    } else {
        format!("({}).{name}", from.text())
    }
}

fn renamed_inherit(
    inherit: Inherit<'_>,
    name: Node<'_>,
    role: Role,
    new: &str,
) -> Result<Vec<TextEdit>, EditError> {
    let refused = EditError::NotAName(name.range());
    let Some(old) = attr_name(name) else { return Err(refused) };
    let set = inherit.node().parent().ok_or(EditError::Broken(inherit.node().range()))?;
    let (target, value) = match (role, inherit.from()) {
        (Role::Use, None) => (attr_name_text(&old), variable(new)?),
        (Role::Use, Some(from)) => (attr_name_text(&old), selected(from, new)),
        (Role::Definition, None) => (attr_name_text(new), variable(&old)?),
        (Role::Definition, Some(from)) => (attr_name_text(new), selected(from, &old)),
    };
    // The other side of what is used keeps its name: only a variable can be caught.
    let sees_itself = ast::AttrSet::cast(set).is_none_or(ast::AttrSet::is_rec);
    if (role == Role::Definition || (sees_itself && inherit.from().is_none())) && defines(set, new)
    {
        return Err(EditError::AlreadyThere(new.to_owned()));
    }
    replaced_inherit(inherit, name, |_| Ok(format!("{target} = {value};")))
}
