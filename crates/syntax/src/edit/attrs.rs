//! Setting and removing attributes by their path.

use cim_nix_base::{TextEdit, TextRange};

use super::layout::{Container, deeper, line_end, line_indent, value_text};
use super::remove::{removed_name, removed_node};
use super::{EditError, node_of, sorted};
use crate::ast::{self, Attr, Binding, Entry, Inherit};
use crate::build::attr_path_text;
use crate::{Node, NodeId, NodeKind, Tree};

/// Gives the attribute `path` of a set or `let` the value `value`.
///
/// Where the attribute is there already, its value is replaced; definitions of parts of it
/// (`a.b = …` when `a` is set) go. Else it is put into the set written for the longest part of the
/// path, behind the bindings that share most of it, or at the end.
///
/// Errors: [`EditError::NotASet`] if a part of the path has a value that is not written as a set.
pub fn set_attr(
    tree: &Tree,
    set: NodeId,
    path: &[&str],
    value: &str,
) -> Result<Vec<TextEdit>, EditError> {
    if let Some(name) = path.iter().find(|name| name.contains('\0')) {
        return Err(EditError::InvalidName((*name).to_owned()));
    }
    let found = search(tree, set, path)?;
    if let Some((&first, others)) = found.definitions.split_first() {
        let mut edits = replaced(first, path, value)?;
        for other in others {
            edits.push(removed(*other)?);
        }
        return Ok(sorted(edits));
    }
    if let Some((range, names)) = found.blocked {
        return Err(EditError::NotASet { path: attr_path_text(&path[..names]), range });
    }
    inserted(&found, path, value).map(|edit| vec![edit])
}

/// Removes the attribute `path` of a set or `let`, however it is defined, with its comments.
///
/// The last name takes its `inherit` along; sets that get empty stay.
pub fn remove_attr(tree: &Tree, set: NodeId, path: &[&str]) -> Result<Vec<TextEdit>, EditError> {
    let found = search(tree, set, path)?;
    if found.definitions.is_empty() {
        return Err(EditError::NotFound(attr_path_text(path)));
    }
    let edits = found.definitions.into_iter().map(removed).collect::<Result<Vec<_>, _>>()?;
    Ok(sorted(edits))
}

/// An entry that defines an attribute or something below it.
#[derive(Clone, Copy)]
enum Definition<'t> {
    /// `a = …;` for `a`.
    Whole(Binding<'t>),
    /// `a.b = …;` for `a`, and the element that the path ends with.
    Part(Binding<'t>, Node<'t>),
    /// A name in an `inherit`.
    Inherited(Inherit<'t>, Node<'t>),
}

/// A set that the path leads into, and the number of names on the way.
#[derive(Clone, Copy)]
struct Home<'t> {
    set: Node<'t>,
    depth: usize,
}

/// What a set says about a path.
struct Found<'t> {
    definitions: Vec<Definition<'t>>,
    /// The deepest set written for a part of the path.
    home: Home<'t>,
    /// The set with bindings that share more of the path than any, and how much they share.
    siblings: Option<(Home<'t>, usize)>,
    /// Where a part of the path, given by its length, has a value that is no set.
    blocked: Option<(TextRange, usize)>,
}

fn search<'t>(tree: &'t Tree, set: NodeId, path: &[&str]) -> Result<Found<'t>, EditError> {
    let node = node_of(tree, set)?;
    let set = ast::without_parens(node).unwrap_or(node);
    Container::of_entries(set)?;
    if path.is_empty() {
        return Err(EditError::EmptyPath);
    }
    let root = Home { set, depth: 0 };
    let mut found = Found { definitions: Vec::new(), home: root, siblings: None, blocked: None };
    let mut open = vec![root];
    while let Some(home) = open.pop() {
        if home.depth > found.home.depth {
            found.home = home;
        }
        for entry in ast::entries(home.set) {
            match entry {
                Entry::Binding(binding) => found.binding(home, binding, path, &mut open),
                Entry::Inherit(inherit) => found.inherit(home, inherit, path),
            }
        }
    }
    Ok(found)
}

impl<'t> Found<'t> {
    fn binding(
        &mut self,
        home: Home<'t>,
        binding: Binding<'t>,
        path: &[&str],
        open: &mut Vec<Home<'t>>,
    ) {
        let rest = &path[home.depth..];
        let n_shared = n_shared(binding, rest);
        if n_shared == 0 {
            return;
        }
        let n_names = names(binding).count();
        let depth = home.depth + n_shared;
        if n_shared == rest.len() {
            let last = names(binding).nth(n_shared - 1).filter(|_| n_shared < n_names);
            self.definitions.push(match last {
                Some(last) => Definition::Part(binding, last.node()),
                None => Definition::Whole(binding),
            });
        } else if n_shared == n_names {
            let value = binding.value().and_then(ast::without_parens);
            match value.filter(|value| value.kind() == NodeKind::AttrSet) {
                Some(set) => open.push(Home { set, depth }),
                None => self.blocked = self.blocked.or(Some((binding.node().range(), depth))),
            }
        } else if self.siblings.is_none_or(|(_, most)| most < depth) {
            self.siblings = Some((home, depth));
        }
    }

    fn inherit(&mut self, home: Home<'t>, inherit: Inherit<'t>, path: &[&str]) {
        let rest = &path[home.depth..];
        let Some(name) = inherit.names().find(|name| is_named(*name, rest[0])) else { return };
        if rest.len() == 1 {
            self.definitions.push(Definition::Inherited(inherit, name.node()));
        } else {
            self.blocked = self.blocked.or(Some((name.node().range(), home.depth + 1)));
        }
    }
}

fn names<'t>(binding: Binding<'t>) -> impl Iterator<Item = Attr<'t>> {
    binding.attr_path().into_iter().flat_map(|path| path.elements())
}

fn is_named(attr: Attr<'_>, name: &str) -> bool {
    attr.name().is_some_and(|found| found == name)
}

/// The number of names that the path of `binding` and `path` begin with in common.
fn n_shared(binding: Binding<'_>, path: &[&str]) -> usize {
    names(binding).zip(path).take_while(|(attr, name)| is_named(*attr, name)).count()
}

fn removed(definition: Definition<'_>) -> Result<TextEdit, EditError> {
    match definition {
        Definition::Whole(binding) | Definition::Part(binding, _) => removed_node(binding.node()),
        Definition::Inherited(_, name) => removed_name(name),
    }
}

/// Makes an entry define its attribute as `value`.
fn replaced(
    definition: Definition<'_>,
    path: &[&str],
    value: &str,
) -> Result<Vec<TextEdit>, EditError> {
    let (entry, start, assign) = match definition {
        Definition::Whole(binding) => (binding.node(), None, ""),
        Definition::Part(binding, last) => (binding.node(), Some(last.range().end), " = "),
        Definition::Inherited(inherit, name) => return uninherited(inherit, name, path, value),
    };
    let tree = entry.tree();
    let broken = EditError::Broken(entry.range());
    let old = Binding::cast(entry).and_then(Binding::value);
    let old = old.filter(|old| !old.range().is_empty()).ok_or(broken)?;
    let indent = line_indent(tree, entry.range().start);
    let text = value_text(value, indent, line_end(tree))?;
    if start.is_none() && old.text() == text {
        return Ok(Vec::new());
    }
    let range = TextRange::new(start.unwrap_or(old.range().start), old.range().end);
    Ok(vec![TextEdit::replace(range, format!("{assign}{text}"))])
}

/// Makes a binding of a name in an `inherit`.
fn uninherited(
    inherit: Inherit<'_>,
    name: Node<'_>,
    path: &[&str],
    value: &str,
) -> Result<Vec<TextEdit>, EditError> {
    let last = path.last().copied().unwrap_or_default();
    let tree = name.tree();
    replaced_inherit(inherit, name, |indent| {
        let value = value_text(value, indent, line_end(tree))?;
        Ok(format!("{} = {value};", attr_path_text([last])))
    })
}

/// Puts a binding in the place of a name in an `inherit`: behind it, or instead of it where the
/// name is the only one. The binding is made for the indentation of its line.
pub(super) fn replaced_inherit(
    inherit: Inherit<'_>,
    name: Node<'_>,
    binding: impl FnOnce(&str) -> Result<String, EditError>,
) -> Result<Vec<TextEdit>, EditError> {
    let node = inherit.node();
    let parent = node.parent().ok_or(EditError::Broken(node.range()))?;
    let container = Container::of_entries(parent)?;
    if inherit.names().count() == 1 {
        let text = binding(line_indent(node.tree(), node.range().start))?;
        return Ok(vec![TextEdit::replace(node.range(), text)]);
    }
    let slot = container.slot_after(node, &[]);
    let text = binding(&slot.indent)?;
    Ok(sorted(vec![removed_name(name)?, slot.fill(&text)]))
}

/// Adds an attribute that is not there yet.
fn inserted(found: &Found<'_>, path: &[&str], value: &str) -> Result<TextEdit, EditError> {
    if let Some((home, most)) = found.siblings.filter(|(_, most)| *most > found.home.depth) {
        let rest = &path[home.depth..];
        let container = Container::of_entries(home.set)?;
        let shares = |node: &Node<'_>| {
            Binding::cast(*node).is_some_and(|binding| home.depth + n_shared(binding, rest) == most)
        };
        let siblings: Vec<_> = container.items.iter().copied().filter(shares).collect();
        if let Some(&last) = siblings.last() {
            let slot = container.slot_after(last, &siblings);
            let value = value_text(value, &slot.indent, line_end(container.tree))?;
            return Ok(slot.fill(&format!("{} = {value};", attr_path_text(rest))));
        }
    }
    let home = found.home;
    let rest = &path[home.depth..];
    let container = Container::of_entries(home.set)?;
    let is_nested = rest.len() > 1 && prefers_nested(&container);
    let slot = container.slot_at_end(value.trim().contains('\n'));
    let text = if is_nested {
        nested_text(&container, rest, value, &slot.indent)?
    } else {
        let value = value_text(value, &slot.indent, line_end(container.tree))?;
        format!("{} = {value};", attr_path_text(rest))
    };
    Ok(slot.fill(&text))
}

/// Whether the entries around prefer `a = { b = 1; };` to `a.b = 1;`.
fn prefers_nested(container: &Container<'_>) -> bool {
    let bindings = || container.items.iter().copied().filter_map(Binding::cast);
    let has_dots = |binding: Binding<'_>| names(binding).count() > 1;
    let has_set = |binding: Binding<'_>| {
        binding.value().is_some_and(|value| ast::entries(value).next().is_some())
    };
    bindings().any(has_set) && !bindings().any(has_dots)
}

/// `a = { b = value; };` over one line, or over several where the set has several.
fn nested_text(
    container: &Container<'_>,
    path: &[&str],
    value: &str,
    indent: &str,
) -> Result<String, EditError> {
    let line_end = line_end(container.tree);
    let set = TextRange::new(container.opener.range().start, container.closer.range().end);
    let is_inline = !container.tree.text()[set.as_usize()].contains('\n');
    let mut levels = vec![indent.to_owned()];
    for _ in 1..path.len() {
        let last = levels.last().map_or("", String::as_str);
        levels.push(if is_inline { indent.to_owned() } else { deeper(last) });
    }
    let innermost = levels.last().map_or("", String::as_str);
    let mut text = format!("{};", value_text(value, innermost, line_end)?);
    for (at, name) in path.iter().enumerate().rev() {
        text = format!("{} = {text}", attr_path_text([name]));
        if at > 0 && is_inline {
            text = format!("{{ {text} }};");
        } else if at > 0 {
            let (inner, outer) = (&levels[at], &levels[at - 1]);
            text = format!("{{{line_end}{inner}{text}{line_end}{outer}}};");
        }
    }
    Ok(text)
}
