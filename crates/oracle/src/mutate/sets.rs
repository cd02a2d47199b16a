//! Mutations of sets and `let` blocks: duplicates, merges, recursion.

use fastrand::Rng;
use rnix::{SyntaxKind, SyntaxNode};

use super::pieces;
use super::source::{Edit, Source, bindings, insert, pick, range_of, remove, replace, word};

/// A block of bindings with at least `least` of them.
fn block<'s>(source: &'s Source<'_>, rng: &mut Rng, least: usize) -> Option<&'s SyntaxNode> {
    let is_block = |node: &SyntaxNode| {
        matches!(
            node.kind(),
            SyntaxKind::NODE_ATTR_SET | SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET
        )
    };
    source.node(rng, |node| is_block(node) && bindings(node).len() >= least)
}

/// Repeats a binding in its own block or in another one.
pub(super) fn duplicate_binding(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let home = block(source, rng, 1)?;
    let target = if rng.u8(0..4) == 0 { block(source, rng, 1)? } else { home };
    let (copied, beside) =
        (pick(rng, &bindings(home))?.clone(), pick(rng, &bindings(target))?.clone());
    let text = format!(" {}", source.text_of(&range_of(&copied)));
    Some(vec![insert(range_of(&beside).end, text)])
}

/// Defines a prefix, the whole or an extension of an attribute path once more, in one of the many
/// spellings that Nix merges or refuses.
pub(super) fn duplicate_path(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let home = block(source, rng, 1)?;
    let all = bindings(home);
    let with_path: Vec<&SyntaxNode> =
        all.iter().filter(|node| node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE).collect();
    let path = pick(rng, &with_path)?.first_child()?;
    let names: Vec<&str> = path.children().map(|name| source.text_of(&range_of(&name))).collect();
    let cut = rng.usize(1..=names.len());
    let spelled: Vec<String> = names[..cut].iter().map(|name| spell(rng, name)).collect();
    let head = spelled.join(word(rng, &[".", ".", ".", " . "]));
    let new = second_definition(source, rng, &head, &names[cut..]);
    let beside = range_of(pick(rng, &all)?);
    let at = if rng.bool() { beside.start } else { beside.end };
    Some(vec![insert(at, format!(" {new} "))])
}

fn second_definition(source: &Source<'_>, rng: &mut Rng, head: &str, tail: &[&str]) -> String {
    let rest = if tail.is_empty() { "zz".to_owned() } else { tail.join(".") };
    let name = source.some_name(rng);
    let value = word(rng, pieces::EXPRESSIONS);
    match rng.u8(0..14) {
        0 => format!("{head} = {{ }};"),
        1 => format!("{head} = {value};"),
        2 => format!("{head}.{rest} = {value};"),
        3 => format!("{head} = {{ {rest} = {value}; }};"),
        4 => format!("{head} = rec {{ {rest} = 1; yy = {name}; }};"),
        5 => format!("{head} = ({{ {rest} = 1; }});"),
        6 => format!("{head}.{rest}.deep = {name};"),
        7 => format!("{head} = {{ inherit {name}; }};"),
        8 => format!("{head} = {{ inherit (nope) {name}; }};"),
        9 => format!("{head}.${{{name}}} = 1;"),
        10 => format!("{head} = {{ ${{{name}}} = 1; {rest} = nope; }};"),
        11 => format!("inherit {head};"),
        12 => format!("inherit ({name}) {head};"),
        _ => format!("{head} = let {{ {rest} = 1; }};"),
    }
}

/// Another spelling of the same attribute name.
fn spell(rng: &mut Rng, name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match rng.u8(0..10) {
        0 if is_plain => format!("\"{name}\""),
        1 if is_plain => format!("${{\"{name}\"}}"),
        2 if is_plain => format!("${{''{name}''}}"),
        3 if is_plain => format!("${{(\"{name}\")}}"),
        4 if is_plain => format!("\"${{\"{name}\"}}\""),
        _ => name.to_owned(),
    }
}

/// The binding `a = { x; y; z; };` of some block as its path, its set and the set's bindings.
fn nested_set(
    source: &Source<'_>,
    rng: &mut Rng,
) -> Option<(SyntaxNode, SyntaxNode, Vec<SyntaxNode>)> {
    let is_set = |node: &SyntaxNode| node.kind() == SyntaxKind::NODE_ATTR_SET;
    let binding = source.node(rng, |node| {
        node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE
            && node.last_child().is_some_and(|value| is_set(&value) && !bindings(&value).is_empty())
    })?;
    let set = binding.last_child()?;
    let inner = bindings(&set);
    Some((binding.clone(), set, inner))
}

/// Writes one set as two that merge: `a = { x; }; a = { y; };`.
pub(super) fn split_set(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let (binding, _, inner) = nested_set(source, rng)?;
    let path = source.text_of(&range_of(&binding.first_child()?));
    let cut = range_of(pick(rng, &inner)?).end;
    let mark = word(rng, &["", "", "rec "]);
    Some(vec![insert(cut, format!(" }}; {path} = {mark}{{"))])
}

/// Writes a nested set as attribute paths: `a.x = 1; a.y = 2;`.
pub(super) fn flatten_set(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let (binding, _, inner) = nested_set(source, rng)?;
    let path = source.text_of(&range_of(&binding.first_child()?));
    let flat: Vec<String> = inner
        .iter()
        .map(|entry| {
            let text = source.text_of(&range_of(entry));
            if entry.kind() == SyntaxKind::NODE_INHERIT {
                format!("{path} = {{ {text} }};")
            } else {
                format!("{path}.{text}")
            }
        })
        .collect();
    Some(vec![replace(&binding, flat.join(" "))])
}

/// Exchanges two bindings of a block: order decides which of several faults is the first.
pub(super) fn swap_bindings(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let all = bindings(block(source, rng, 2)?);
    let (a, b) = (pick(rng, &all)?, pick(rng, &all)?);
    let used = source.node(rng, super::source::is_use)?;
    let text = |node: &SyntaxNode| source.text_of(&range_of(node)).to_owned();
    Some(vec![replace(a, text(b)), replace(b, text(a)), replace(used, "nope")])
}

/// Adds or removes `rec`.
pub(super) fn toggle_rec(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let set = source.node_of(rng, &[SyntaxKind::NODE_ATTR_SET])?;
    let range = range_of(set);
    if source.text_of(&range).starts_with("rec") {
        return Some(vec![remove(range.start..range.start + "rec".len())]);
    }
    Some(vec![insert(range.start, word(rng, &["rec ", "rec", "rec rec "]))])
}

/// Computes a name that was written out, or writes it in another way.
pub(super) fn dynamic_name(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let name = source.node(rng, |node| {
        node.parent().is_some_and(|parent| parent.kind() == SyntaxKind::NODE_ATTRPATH)
    })?;
    let old = source.text_of(&range_of(name)).trim_matches('"');
    let used = source.some_name(rng);
    let new = match rng.u8(0..12) {
        0 => format!("${{{used}}}"),
        1 => format!("\"${{{used}}}\""),
        2 => format!("\"{old}${{{used}}}\""),
        3 => format!("\"{old}\""),
        4 => format!("${{\"{old}\"}}"),
        5 => format!("${{''{old}''}}"),
        6 => format!("''{old}''"),
        7 => format!("({old})"),
        8 => format!("{old}.${{{used}}}"),
        9 => format!("${{{used}}}.{old}"),
        10 => format!("${{\"{old}\" + {used}}}"),
        _ => format!("{old}.or"),
    };
    Some(vec![replace(name, new)])
}

/// Turns `let … in body` into the old form, or back.
pub(super) fn legacy_let(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let block = source.node_of(rng, &[SyntaxKind::NODE_LET_IN, SyntaxKind::NODE_LEGACY_LET])?;
    let inner: Vec<&str> =
        bindings(block).iter().map(|entry| source.text_of(&range_of(entry))).collect();
    let inner = inner.join(" ");
    let new = if block.kind() == SyntaxKind::NODE_LEGACY_LET {
        format!("let {inner} in body")
    } else {
        let body = source.text_of(&range_of(&block.last_child()?));
        let name = word(rng, &["body", "body", "body.a", "bdy", "${\"body\"}"]);
        format!("let {{ {inner} {name} = {body}; }}")
    };
    Some(vec![replace(block, new)])
}
