//! Mutations of names and of what binds them.

use fastrand::Rng;
use rnix::{SyntaxKind, SyntaxNode};

use super::pieces;
use super::source::{
    Edit, Source, bindings, insert, is_binding, is_name, is_use, pick, range_of, remove, replace,
    word,
};

fn new_name(source: &Source<'_>, rng: &mut Rng) -> String {
    if rng.bool() { source.some_name(rng) } else { pieces::other_name(rng).to_owned() }
}

/// Lets one use name something else.
pub(super) fn rename_use(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let used = source.node(rng, is_use)?;
    Some(vec![replace(used, new_name(source, rng))])
}

/// Lets several uses name nothing, each another nothing: which does Nix report first?
pub(super) fn rename_uses(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let n_renamed = rng.usize(2..5);
    (0..n_renamed)
        .map(|idx| Some(replace(source.node(rng, is_use)?, format!("nope{idx}"))))
        .collect()
}

/// Gives a binding another name, so that its uses lose it.
pub(super) fn rename_binding(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let bound = source.node(rng, |node| node.kind() == SyntaxKind::NODE_IDENT && is_name(node))?;
    Some(vec![replace(bound, new_name(source, rng))])
}

/// Removes one entry of a set or `let`, or one name of an `inherit`; mostly one that others may use.
pub(super) fn drop_binding(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let is_inherited = |node: &SyntaxNode| {
        node.parent().is_some_and(|parent| parent.kind() == SyntaxKind::NODE_INHERIT)
    };
    let is_visible = |node: &SyntaxNode| {
        node.ancestors().skip(1).take(2).any(|outer| match outer.kind() {
            SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET => true,
            SyntaxKind::NODE_ATTR_SET => source.text_of(&range_of(&outer)).starts_with("rec"),
            _ => false,
        })
    };
    let is_any = |node: &SyntaxNode| is_binding(node) || is_inherited(node);
    let visible = source.node(rng, |node| is_any(node) && is_visible(node));
    let dropped = match visible {
        Some(visible) if rng.u8(0..4) > 0 => visible,
        _ => source.node(rng, is_any)?,
    };
    Some(vec![remove(range_of(dropped))])
}

/// Removes an argument of a pattern with its comma, or the `@name`.
pub(super) fn drop_formal(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let formal = source.node_of(rng, &[SyntaxKind::NODE_PAT_ENTRY, SyntaxKind::NODE_PAT_BIND])?;
    let mut range = range_of(formal);
    let rest = &source.text[range.end..];
    let is_followed = rest.trim_start().starts_with(',');
    if is_followed && rng.u8(0..8) > 0 {
        range.end += rest.len() - rest.trim_start().len() + 1;
    }
    Some(vec![remove(range)])
}

/// Exchanges two names, wherever they stand.
pub(super) fn swap_names(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let is_ident = |node: &SyntaxNode| node.kind() == SyntaxKind::NODE_IDENT;
    let (a, b) = (source.node(rng, is_ident)?, source.node(rng, is_ident)?);
    let text = |node: &SyntaxNode| source.text_of(&range_of(node)).to_owned();
    Some(vec![replace(a, text(b)), replace(b, text(a))])
}

/// Writes an `inherit` in another way, or makes one of an ordinary binding.
pub(super) fn inherit(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let name = source.some_name(rng);
    if rng.bool() {
        let set = source.node(rng, |node| !bindings(node).is_empty())?;
        let entry = pick(rng, &bindings(set))?.clone();
        let from = word(rng, &["", "(x)", "({ })", "(nope)", "(x.y or { })", "(let in { })"]);
        let new = format!(" inherit {from} {name};");
        return Some(vec![insert(range_of(&entry).end, new)]);
    }
    let inherited = source.node(rng, |node| {
        node.parent().is_some_and(|p| p.kind() == SyntaxKind::NODE_INHERIT)
            && node.kind() != SyntaxKind::NODE_INHERIT_FROM
    })?;
    let old = source.text_of(&range_of(inherited)).trim_matches('"');
    let new = match rng.u8(0..9) {
        0 => format!("\"{old}\""),
        1 => format!("${{\"{old}\"}}"),
        2 => format!("${{''{old}''}}"),
        3 => format!("${{{old}}}"),
        4 => format!("\"${{{old}}}\""),
        5 => format!("{old} {old}"),
        6 => format!("{old}.{name}"),
        7 => format!("{old} {name}"),
        _ => format!("{old}; inherit (nope) {name}"),
    };
    Some(vec![replace(inherited, new)])
}

/// Names an argument of a pattern twice.
pub(super) fn duplicate_formal(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let pattern = source.node(rng, |node| {
        node.kind() == SyntaxKind::NODE_PATTERN
            && node.children().any(|child| child.kind() == SyntaxKind::NODE_PAT_ENTRY)
    })?;
    let entries: Vec<SyntaxNode> =
        pattern.children().filter(|child| child.kind() == SyntaxKind::NODE_PAT_ENTRY).collect();
    let name = |entry: &SyntaxNode| {
        entry.first_child().map(|name| source.text_of(&range_of(&name)).to_owned())
    };
    let (a, b) = (pick(rng, &entries)?, pick(rng, &entries)?);
    let bound = pattern.children().find(|child| child.kind() == SyntaxKind::NODE_PAT_BIND);
    let whole = range_of(pattern);
    match (rng.u8(0..6), bound) {
        (0, None) => Some(vec![insert(whole.start, format!("{}@", name(a)?))]),
        (1, None) => Some(vec![insert(whole.end, format!("@{}", name(a)?))]),
        (0 | 1, Some(bound)) => {
            let bound_name = bound.first_child()?;
            Some(vec![replace(&bound_name, name(a)?)])
        }
        (2, _) => Some(vec![replace(&a.first_child()?, name(b)?)]),
        (3, _) => Some(vec![insert(range_of(a).start, format!("{} ? nope, ", name(b)?))]),
        _ => {
            let text = source.text_of(&range_of(b)).to_owned();
            Some(vec![insert(range_of(a).start, format!("{text}, "))])
        }
    }
}
