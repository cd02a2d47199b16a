//! Edits on random code: what was set can be read, everything else stays.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::ast::{AttrSet, Entry, entries, without_parens};
use crate::literal::{StrPart, string_parts};
use crate::testing::Random;
use crate::{Node, TokenKind};

const NAMES: &[&str] = &["a", "b", "c", "d", "x y", "if", "or"];
const VALUES: &[&str] = &[
    "1",
    "\"s\"",
    "x: y",
    "f x",
    "-1",
    "{ }",
    "./p",
    "{\n  n = ''\n    t ${v}\n      u\n\n  '';\n}",
    "[\n  1\n  ''\n    two\n  ''\n  \"three\n  four\"\n]",
    "''a\n  b''",
    "1 # one",
];

/// How a piece of random code is laid out.
#[derive(Clone, Copy)]
struct Style {
    is_inline: bool,
    has_gaps: bool,
    unit: &'static str,
}

/// Writes random entries, with different names each, between braces.
fn random_set(random: &mut Random, style: Style, indent: &str, depth: usize, out: &mut String) {
    let inner = format!("{indent}{}", style.unit);
    out.push('{');
    let mut names = NAMES.to_vec();
    for at in 0..random.below(5) {
        let name = names.swap_remove(random.below(names.len()));
        if style.is_inline {
            out.push_str([" ", "  ", " /* of it */ "][random.below(3)]);
        } else {
            out.push_str(if at > 0 && style.has_gaps { "\n\n" } else { "\n" });
            match random.below(5) {
                0 => write!(out, "{inner}# about it\n{inner}").unwrap(),
                1 => write!(out, "{inner}/** About\n{inner}it. */\n{inner}").unwrap(),
                2 => write!(out, "{inner}# far\n\n{inner}").unwrap(),
                _ => out.push_str(&inner),
            }
        }
        random_entry(random, style, &inner, depth, name, out);
        if !style.is_inline && random.below(4) == 0 {
            out.push_str([" # behind", " /* behind */"][random.below(2)]);
        }
    }
    if style.is_inline {
        out.push_str(" }");
    } else {
        if random.below(5) == 0 {
            write!(out, "\n{inner}# the end").unwrap();
        }
        write!(out, "\n{indent}}}").unwrap();
    }
}

fn random_entry(
    random: &mut Random,
    style: Style,
    indent: &str,
    depth: usize,
    name: &str,
    out: &mut String,
) {
    let name = crate::build::attr_name_text(name);
    match random.below(6) {
        0 => return write!(out, "inherit {name};").unwrap(),
        1 => return write!(out, "inherit (s.t) {name} e f;").unwrap(),
        _ => out.push_str(&name),
    }
    let rest = random.pick(&["", "", ".b", ".b.\"x y\"", ".c.d"]);
    write!(out, "{rest} = ").unwrap();
    let style = if random.below(3) == 0 { Style { is_inline: true, ..style } } else { style };
    match random.below(4) {
        0 | 1 if depth > 0 => random_set(random, style, indent, depth - 1, out),
        2 if depth > 0 => {
            out.push_str("(rec ");
            random_set(random, style, indent, depth - 1, out);
            out.push(')');
        }
        _ => out.push_str(random.pick(&["1", "f x", "\"s\"", "[ 1 2 ]"])),
    }
    out.push(';');
}

fn random_file(random: &mut Random) -> String {
    let style = Style {
        is_inline: random.below(3) == 0,
        has_gaps: random.below(3) == 0,
        unit: random.pick(&["  ", "    ", "\t"]),
    };
    let mut out = random.pick(&["", "# α 𝄞\n", "{ lib, ... }:\n", "x: "]).to_string();
    random_set(random, style, "", 3, &mut out);
    out.push('\n');
    if random.below(5) == 0 { out.replace('\n', "\r\n") } else { out }
}

/// What an expression says, layout and comments aside.
fn meaning(node: Node<'_>) -> String {
    let mut out = String::new();
    for token in node.tokens().filter(|token| !token.kind().is_trivia()) {
        let is_content = matches!(token.kind(), TokenKind::IndContent | TokenKind::StrContent);
        if !is_content {
            out.push_str(token.text());
            out.push(' ');
        }
    }
    for part in node.descendants().flat_map(string_parts) {
        if let StrPart::Text(text) = part {
            write!(out, "{text:?} ").unwrap();
        }
    }
    out
}

/// Everything that a set defines: path to meaning. A name may be defined more than once.
fn flatten(set: Node<'_>, prefix: &[String], out: &mut BTreeMap<Vec<String>, Vec<String>>) {
    let mut add = |path: Vec<String>, meaning| out.entry(path).or_default().push(meaning);
    let below = |name: &str| [prefix, &[name.to_owned()]].concat();
    let mut inner = Vec::new();
    for entry in entries(set) {
        match entry {
            Entry::Binding(binding) => {
                let names = binding.attr_path().unwrap().elements();
                let names: Vec<_> = names.map(|name| name.name().unwrap().into_owned()).collect();
                let path = [prefix, &names].concat();
                let value = without_parens(binding.value().unwrap()).unwrap();
                match AttrSet::cast(value).filter(|set| set.entries().next().is_some()) {
                    Some(set) => inner.push((set.node(), path)),
                    None => add(path, meaning(value)),
                }
            }
            Entry::Inherit(inherit) => {
                for name in inherit.names() {
                    let from = inherit.from().map(meaning);
                    add(below(&name.name().unwrap()), format!("inherit {from:?}"));
                }
            }
        }
    }
    for (set, path) in inner {
        flatten(set, &path, out);
    }
}

fn all_of(tree: &Tree) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut out = BTreeMap::new();
    flatten(tree.node(file_set(tree).unwrap()), &[], &mut out);
    out
}

fn comments(tree: &Tree) -> Vec<&str> {
    tree.tokens().filter(|token| token.kind().is_comment()).map(|token| token.text()).collect()
}

fn apply(tree: &Tree, edits: &[TextEdit]) -> Tree {
    let after = apply_edits(tree.text(), edits).unwrap();
    let parse = parse(after.as_str());
    assert!(parse.problems.is_empty(), "{}\n-- {edits:?}\n{after}", tree.text());
    parse.tree
}

fn random_path(random: &mut Random) -> Vec<&'static str> {
    (0..=random.below(3)).map(|_| random.pick(NAMES)).collect()
}

fn starts_with(path: &[String], prefix: &[&str]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(name, want)| name == want)
}

#[test]
fn what_is_set_can_be_read_and_removed() {
    let mut random = Random::new(5);
    let (mut n_new, mut n_replaced, mut n_refused) = (0, 0, 0);
    for _ in 0..3000 {
        let source = random_file(&mut random);
        let parse_before = parse(source.as_str());
        assert!(parse_before.problems.is_empty(), "{source}");
        let tree = parse_before.tree;
        let set = file_set(&tree).unwrap();
        let path = random_path(&mut random);
        let value = random.pick(VALUES);
        let before = all_of(&tree);
        let Ok(edits) = set_attr(&tree, set, &path, value) else {
            n_refused += 1;
            continue;
        };
        let after = apply(&tree, &edits);
        let context = || format!("{path:?} = {value:?}\n{source}\n--\n{}", after.text());

        let mut want = before.clone();
        want.retain(|found, _| !starts_with(found, &path));
        // An empty set that is filled is no attribute of its own any more.
        want.retain(|found, _| found.len() >= path.len() || !starts_with_str(&path, found));
        let value_tree = parse(value).tree;
        let value_node = value_tree.root().child(0).unwrap();
        let key: Vec<_> = path.iter().map(|&name| name.to_owned()).collect();
        if entries(value_node).next().is_some() {
            flatten(value_node, &key, &mut want);
        } else {
            want.insert(key, vec![meaning(value_node)]);
        }
        assert_eq!(without_swallowed_parens(all_of(&after)), want, "{}", context());
        assert!(
            set_attr(&after, file_set(&after).unwrap(), &path, value)
                .is_ok_and(|edits| { edits.is_empty() || value.contains('#') }),
            "{}",
            context()
        );

        let is_new = !before.keys().any(|found| starts_with(found, &path));
        if !is_new {
            n_replaced += 1;
            continue;
        }
        n_new += 1;
        for comment in comments(&tree) {
            assert!(comments(&after).contains(&comment), "{}", context());
        }
        let known = (1..path.len())
            .take_while(|&len| {
                before.keys().any(|found| {
                    starts_with(found, &path[..len]) || starts_with_str(&path[..len], found)
                })
            })
            .count();
        let edits = remove_attr(&after, file_set(&after).unwrap(), &path[..=known]).unwrap();
        // A set on one line gets several when its first value has.
        if !value.contains('\n') {
            assert_eq!(apply(&after, &edits).text(), source, "{}", context());
        }
    }
    assert!(
        n_new > 1000 && n_replaced > 200 && n_refused > 100,
        "{n_new} {n_replaced} {n_refused}"
    );
}

fn starts_with_str(path: &[&str], prefix: &[String]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(name, want)| name == want)
}

/// A value that ends in a comment is put in parentheses, which change nothing.
fn without_swallowed_parens(
    mut all: BTreeMap<Vec<String>, Vec<String>>,
) -> BTreeMap<Vec<String>, Vec<String>> {
    for meaning in all.values_mut().flatten() {
        if let Some(inner) = meaning.strip_prefix("( ").and_then(|rest| rest.strip_suffix(") ")) {
            *meaning = inner.to_owned();
        }
    }
    all
}

#[test]
fn what_is_removed_is_gone_and_nothing_else() {
    let mut random = Random::new(6);
    let mut n_removed = 0;
    for _ in 0..3000 {
        let source = random_file(&mut random);
        let tree = parse(source.as_str()).tree;
        let set = file_set(&tree).unwrap();
        let before = all_of(&tree);
        let Some((path, _)) = before.iter().nth(random.below(before.len().max(1))) else {
            continue;
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let path = &path[..=random.below(path.len())];
        let after = apply(&tree, &remove_attr(&tree, set, path).unwrap());
        let mut want = before.clone();
        want.retain(|found, _| !starts_with(found, path));
        let mut found = all_of(&after);
        // Sets that got empty stay, as attributes without any below them.
        found.retain(|path, said| {
            want.contains_key(path)
                || said != &vec!["{ } ".to_owned()] && said != &vec!["rec { } ".to_owned()]
        });
        assert_eq!(found, want, "{path:?}\n{source}\n--\n{}", after.text());
        n_removed += 1;
    }
    assert!(n_removed > 1500);
}

#[test]
fn any_binding_can_be_removed() {
    let mut random = Random::new(8);
    for _ in 0..1000 {
        let source = random_file(&mut random);
        let tree = parse(source.as_str()).tree;
        for node in tree.nodes() {
            let parent = node.parent().map(|parent| parent.kind());
            let is_entry = matches!(node.kind(), NodeKind::Binding | NodeKind::Inherit);
            if is_entry
                || (parent == Some(NodeKind::Inherit) && node.kind() != NodeKind::InheritFrom)
            {
                apply(&tree, &remove_binding(&tree, node.id()).unwrap());
            } else {
                assert!(remove_binding(&tree, node.id()).is_err());
            }
        }
    }
}

#[test]
fn lists_take_and_lose_elements() {
    const GAPS: &[&str] = &[" ", "\n  ", "\n\n  ", " # c\n  ", "\n  # c\n  ", " /* c */ ", "\t"];
    let mut random = Random::new(9);
    for _ in 0..2000 {
        let mut source = "[".to_owned();
        for _ in 0..random.below(5) {
            source.push_str(random.pick(GAPS));
            source.push_str(random.pick(&["a", "\"b\"", "(f x)", "./p", "{ }", "''\n  s\n''"]));
        }
        source.push_str(random.pick(GAPS));
        source.push_str("]\n");
        let tree = parse(source.as_str()).tree;
        let list = first(&tree, NodeKind::List);
        let before: Vec<_> = tree.node(list).children().map(meaning).collect();
        let at = random.below(before.len() + 2);
        let after = apply(&tree, &insert_in_list(&tree, list, Some(at), "new").unwrap());
        let mut want = before.clone();
        want.insert(at.min(before.len()), "new ".to_owned());
        let context = || format!("{at}\n{source}\n--\n{}", after.text());
        let found: Vec<_> =
            after.node(first(&after, NodeKind::List)).children().map(meaning).collect();
        assert_eq!(found, want, "{}", context());
        assert_eq!(comments(&tree), comments(&after), "{}", context());
        let edits =
            remove_from_list(&after, first(&after, NodeKind::List), at.min(before.len())).unwrap();
        let back = apply(&after, &edits);
        let found: Vec<_> =
            back.node(first(&back, NodeKind::List)).children().map(meaning).collect();
        assert_eq!(found, before, "{}", context());
        if at >= before.len() {
            assert_eq!(back.text(), source, "{}", context());
        }
    }
}

#[test]
fn patterns_take_and_lose_parameters() {
    let mut random = Random::new(10);
    for _ in 0..2000 {
        let (before, behind) = random.pick(&[
            (" ", ", "),
            ("\n  ", ",\n  "),
            ("\n  ", ", # c\n  "),
            (" ", "\n, "),
            ("\n  ", ",\n  # c\n  "),
            (" ", " # c\n, "),
            ("\n  ", ",\n\n  "),
        ]);
        let mut items: Vec<&str> = (0..random.below(4)).map(|at| ["a", "b ? 1", "c"][at]).collect();
        if random.below(2) == 0 {
            items.push("...");
        }
        let end = if items.last().is_some_and(|item| *item != "...") && random.below(3) == 0 {
            ","
        } else {
            ""
        };
        let close = if before == " " { " }" } else { "\n}" };
        let bind = random.pick(&["", "@all"]);
        let source = format!("{{{before}{}{end}{close}{bind}: 1\n", items.join(behind));
        let tree = parse(source.as_str()).tree;
        let pattern = first(&tree, NodeKind::Pattern);
        let default = random.pick(&[None, Some("{ }"), Some("x: y")]);
        let after = apply(&tree, &add_formal(&tree, pattern, "new", default).unwrap());
        let names = |tree: &Tree| {
            let pattern = ast::Pattern::cast(tree.node(first(tree, NodeKind::Pattern))).unwrap();
            pattern
                .formals()
                .map(|formal| formal.name().unwrap().text().to_owned())
                .collect::<Vec<_>>()
        };
        let context = || format!("{source}\n--\n{}", after.text());
        assert_eq!([names(&tree), vec!["new".to_owned()]].concat(), names(&after), "{}", context());
        assert_eq!(comments(&tree), comments(&after), "{}", context());
        let edits = remove_formal(&after, first(&after, NodeKind::Pattern), "new").unwrap();
        assert_eq!(names(&apply(&after, &edits)), names(&tree), "{}", context());
        for name in names(&after) {
            let edits = remove_formal(&after, first(&after, NodeKind::Pattern), &name).unwrap();
            assert_eq!(
                names(&apply(&after, &edits)).len() + 1,
                names(&after).len(),
                "{}",
                context()
            );
        }
    }
}

#[test]
fn expressions_are_replaced_anywhere() {
    const PIECES: &[&str] = &[
        "a",
        "f a",
        "-a",
        "x: a",
        "a.b",
        "a.b or c",
        "[ a ]",
        "a + b",
        "a ? b",
        "\"${a}\"",
        "with a; b",
    ];
    let mut random = Random::new(11);
    for _ in 0..3000 {
        let mut source = "a".to_owned();
        for _ in 0..4 {
            let tree = parse(source.as_str()).tree;
            let exprs: Vec<_> = tree
                .nodes()
                .filter(|node| {
                    let parent = node.parent().map(|parent| parent.kind());
                    node.kind().is_expr() && parent != Some(NodeKind::AttrPath)
                })
                .collect();
            let node = random.pick(&exprs);
            let edits = replace_node(&tree, node.id(), random.pick(PIECES)).unwrap();
            source = apply(&tree, &edits).text().to_owned();
        }
    }
}

#[test]
fn no_edit_fails_on_broken_code() {
    const PIECES: &[&str] = &[
        "a", " b ", "=", ";", "{", "}", "(", ")", "[", "]", "let ", " in ", "inherit ", ".", ":",
        ",", "?", "@", "...", "\"", "''", "${", "1", "\n", "# c\n", "/* d */", "\u{e9}", "\r\n",
    ];
    let mut random = Random::new(12);
    for _ in 0..2000 {
        let source = random.text(PIECES, 20);
        let tree = parse(source.as_str()).tree;
        let check = |edits: Edits| {
            if let Ok(edits) = edits {
                apply_edits(&source, &edits).unwrap();
            }
        };
        for node in tree.nodes() {
            let id = node.id();
            check(set_attr(&tree, id, &["a", "b"], "1"));
            check(set_attr(&tree, id, &["a"], "1"));
            check(remove_attr(&tree, id, &["a"]));
            check(insert_in_list(&tree, id, None, "1"));
            check(insert_in_list(&tree, id, Some(0), "1"));
            check(remove_from_list(&tree, id, 0));
            check(add_formal(&tree, id, "n", None));
            check(remove_formal(&tree, id, "a"));
            check(remove_binding(&tree, id));
            check(replace_node(&tree, id, "1"));
            for role in [Role::Use, Role::Definition] {
                check(rename(&tree, &[Occurrence { range: node.range(), role }], "n"));
            }
        }
        check(set_attr(&tree, NodeId(u32::MAX), &["a"], "1"));
    }
}
