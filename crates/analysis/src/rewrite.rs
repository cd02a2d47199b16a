//! What a fix does to the tree, as data.
//!
//! A [`Shape`] is a tree without trivia and positions. A rule states its change as [`Rewrite`]s of
//! nodes; applying them to the shape of the old text must give the shape of the new text, or the
//! fix is refused. So a fix can neither eat a neighbour nor change what its rule does not name.

use std::collections::HashMap;

use cim_nix_base::{TextEdit, TextRange, apply_edits};
use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind, Tree, parse};

/// One change of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rewrite {
    /// The node goes away.
    Remove(NodeId),
    /// The node is replaced by one of its descendants.
    Replace {
        /// What goes away.
        node: NodeId,
        /// What takes its place.
        with: NodeId,
    },
    /// The node is replaced by the expression that `text` parses to.
    Substitute {
        /// What goes away.
        node: NodeId,
        /// What takes its place.
        text: String,
    },
    /// The node is replaced by the expression that its text parses to after an edit within it.
    /// Those of one node go together.
    Patch {
        /// What changes.
        node: NodeId,
        /// How, in places of the file.
        edit: TextEdit,
    },
    /// The entry of a set or `let` is replaced by the one that `text` parses to.
    Entry {
        /// What goes away.
        node: NodeId,
        /// What takes its place.
        text: String,
    },
    /// The node goes away and its children take its place among those of its parent.
    Unfold(NodeId),
    /// The parameter of a function becomes a plain name.
    Parameter {
        /// The function.
        lambda: NodeId,
        /// The name.
        name: String,
    },
    /// The node's own tokens become `tokens`; its children stay.
    SetTokens {
        /// The node.
        node: NodeId,
        /// The texts of its significant tokens.
        tokens: Vec<String>,
    },
}

/// A tree without trivia and positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    kind: NodeKind,
    tokens: Vec<String>,
    children: Vec<Self>,
}

impl Shape {
    /// The shape of a whole tree.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        build(tree.root(), &Changes::default())
            .unwrap_or_else(|| unreachable!("nothing is removed"))
    }

    /// The shape of `tree` after `rewrites`, or `None` if they remove the root.
    #[must_use]
    pub fn rewritten(tree: &Tree, rewrites: &[Rewrite]) -> Option<Self> {
        let mut changes = Changes::default();
        for rewrite in rewrites {
            let node = target(rewrite);
            changes.by_node.insert(node, rewrite);
            if let Rewrite::Patch { edit, .. } = rewrite {
                changes.patches.entry(node).or_default().push(edit);
            }
        }
        build(tree.root(), &changes)
    }
}

/// Rewrites by the nodes that they change.
#[derive(Default)]
struct Changes<'r> {
    by_node: HashMap<NodeId, &'r Rewrite>,
    patches: HashMap<NodeId, Vec<&'r TextEdit>>,
}

impl Changes<'_> {
    /// The text of a node after its patches, `None` where they do not go together.
    fn patched(&self, node: Node<'_>) -> Option<String> {
        let start = node.range().start;
        let moved = |edit: &&TextEdit| {
            let range = edit.range;
            let at = range.start.checked_sub(start)?;
            Some(TextEdit::replace(TextRange::new(at, at + range.len()), edit.text.as_str()))
        };
        let edits: Option<Vec<TextEdit>> =
            self.patches.get(&node.id())?.iter().map(moved).collect();
        let mut edits = edits?;
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        apply_edits(node.text(), &edits).ok()
    }
}

fn target(rewrite: &Rewrite) -> NodeId {
    match rewrite {
        Rewrite::Remove(node)
        | Rewrite::Unfold(node)
        | Rewrite::Replace { node, .. }
        | Rewrite::Substitute { node, .. }
        | Rewrite::Patch { node, .. }
        | Rewrite::Entry { node, .. }
        | Rewrite::Parameter { lambda: node, .. }
        | Rewrite::SetTokens { node, .. } => *node,
    }
}

/// Builds the shape of a subtree without recursion on its depth: nodes come in preorder, so each
/// finished shape is attached to the one still open above it.
fn build(root: Node<'_>, changes: &Changes<'_>) -> Option<Shape> {
    let tree = root.tree();
    let mut open: Vec<(u32, Shape)> = Vec::new();
    let mut done: Option<Shape> = None;
    let mut at = root.id().0;
    let mut end = root.subtree_end();
    // Jumping into a descendant narrows the walk; where it ends, the walk goes on behind the node.
    let mut resume: Vec<(u32, u32)> = Vec::new();
    loop {
        while at >= end {
            let Some((next, outer)) = resume.pop() else {
                close(&mut open, u32::MAX, &mut done);
                return done;
            };
            (at, end) = (next, outer);
        }
        close(&mut open, at, &mut done);
        let node = tree.node(NodeId(at));
        match changes.by_node.get(&node.id()) {
            Some(Rewrite::Remove(_)) => {
                at = node.subtree_end();
                continue;
            }
            Some(Rewrite::Unfold(_)) => {
                at += 1;
                continue;
            }
            Some(Rewrite::Replace { with, .. }) => {
                let with = tree.node(*with);
                resume.push((node.subtree_end(), end));
                (at, end) = (with.id().0, with.subtree_end());
                continue;
            }
            Some(Rewrite::Substitute { text, .. }) => {
                attach(&mut open, &mut done, parsed_shape(text)?);
                at = node.subtree_end();
                continue;
            }
            Some(Rewrite::Patch { .. }) => {
                attach(&mut open, &mut done, parsed_shape(&changes.patched(node)?)?);
                at = node.subtree_end();
                continue;
            }
            Some(Rewrite::Entry { text, .. }) => {
                let set = parsed_shape(&format!("{{ {text} }}"))?;
                attach(&mut open, &mut done, set.children.into_iter().next()?);
                at = node.subtree_end();
                continue;
            }
            Some(Rewrite::Parameter { name, .. }) => {
                let tokens = own_tokens(node);
                let param = Shape {
                    kind: NodeKind::Param,
                    tokens: vec![name.clone()],
                    children: Vec::new(),
                };
                open.push((
                    node.subtree_end(),
                    Shape { kind: node.kind(), tokens, children: vec![param] },
                ));
                at = node.child(0)?.subtree_end();
                continue;
            }
            _ => {}
        }
        let tokens = match changes.by_node.get(&node.id()) {
            Some(Rewrite::SetTokens { tokens, .. }) => tokens.clone(),
            _ => own_tokens(node),
        };
        open.push((node.subtree_end(), Shape { kind: node.kind(), tokens, children: Vec::new() }));
        at += 1;
    }
}

/// The shape of the expression that `text` is.
fn parsed_shape(text: &str) -> Option<Shape> {
    let parsed = parse(text);
    build(parsed.tree.root(), &Changes::default())?.children.into_iter().next()
}

/// Closes the open shapes that end at or before `at`.
fn close(open: &mut Vec<(u32, Shape)>, at: u32, done: &mut Option<Shape>) {
    while open.last().is_some_and(|(end, _)| *end <= at) {
        if let Some((_, shape)) = open.pop() {
            attach(open, done, shape);
        }
    }
}

fn attach(open: &mut [(u32, Shape)], done: &mut Option<Shape>, shape: Shape) {
    match open.last_mut() {
        Some((_, parent)) => parent.children.push(shape),
        None => *done = Some(shape),
    }
}

/// The texts of a node's own tokens. Separators say nothing that the children do not say.
fn own_tokens(node: Node<'_>) -> Vec<String> {
    let tokens = node.own_tokens().filter(|token| {
        !matches!(token.kind(), TokenKind::Comma | TokenKind::Semicolon | TokenKind::Eof)
    });
    tokens.map(|token| token.text().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node<'t>(tree: &'t Tree, kind: NodeKind, text: &str) -> Node<'t> {
        let found = tree.nodes().find(|node| node.kind() == kind && node.text() == text);
        found.unwrap_or_else(|| panic!("no {kind:?} {text:?}"))
    }

    fn check(before: &str, after: &str, rewrites: impl Fn(&Tree) -> Vec<Rewrite>) {
        let tree = parse(before).tree;
        let got = Shape::rewritten(&tree, &rewrites(&tree));
        assert_eq!(got, Some(Shape::of(&parse(after).tree)));
        assert_ne!(got, Some(Shape::of(&tree)), "the rewrite changed nothing");
    }

    #[test]
    fn removal_replacement_substitution() {
        check("{ a = 1; b = 2; }", "{ b = 2; }", |tree| {
            vec![Rewrite::Remove(node(tree, NodeKind::Binding, "a = 1;").id())]
        });
        check("[ (with x; f 1) 2 ]", "[ (f 1) 2 ]", |tree| {
            let with = node(tree, NodeKind::With, "with x; f 1");
            let body = node(tree, NodeKind::Apply, "f 1");
            vec![Rewrite::Replace { node: with.id(), with: body.id() }]
        });
        check("f x", "f (a.b)", |tree| {
            let x = node(tree, NodeKind::Ident, "x").id();
            vec![Rewrite::Substitute { node: x, text: "(a.b)".to_owned() }]
        });
        check("{ a = b.a; c = 1; }", "{ inherit (b) a; c = 1; }", |tree| {
            let node = node(tree, NodeKind::Binding, "a = b.a;").id();
            vec![Rewrite::Entry { node, text: "inherit (b) a;".to_owned() }]
        });
        check("let a = 1; in let b = 2; in a", "let a = 1; b = 2; in a", |tree| {
            vec![Rewrite::Unfold(node(tree, NodeKind::LetIn, "let b = 2; in a").id())]
        });
        check("[ ({ ... }: x) ]", "[ (_: x) ]", |tree| {
            let lambda = node(tree, NodeKind::Lambda, "{ ... }: x").id();
            vec![Rewrite::Parameter { lambda, name: "_".to_owned() }]
        });
        check("rec { a = 1; }", "{ a = 1; }", |tree| {
            let set = node(tree, NodeKind::AttrSet, "rec { a = 1; }").id();
            vec![Rewrite::SetTokens { node: set, tokens: vec!["{".into(), "}".into()] }]
        });
    }

    #[test]
    fn patches_of_one_node_go_together() {
        let patch = |tree: &Tree, old: &str, new: &str| {
            let node = tree.nodes().find(|node| node.kind() == NodeKind::Str).unwrap();
            let at = tree.text().find(old).unwrap() as u32;
            let range = TextRange::new(at, at + old.len() as u32);
            Rewrite::Patch { node: node.id(), edit: TextEdit::replace(range, new) }
        };
        check("{ a = \"b c d\"; }", "{ a = \"b x ${y}\"; }", |tree| {
            vec![patch(tree, "d", "${y}"), patch(tree, "c", "x")]
        });
        let tree = parse("\"b c d\"").tree;
        let meeting = [patch(&tree, "b c", ""), patch(&tree, "c d", "")];
        assert_eq!(Shape::rewritten(&tree, &meeting), None);
    }

    #[test]
    fn nested_rewrites_compose() {
        check("with a; with b; { c = 1; d = 2; }", "{ d = 2; }", |tree| {
            let outer = node(tree, NodeKind::With, tree.root().text());
            let inner = node(tree, NodeKind::With, "with b; { c = 1; d = 2; }");
            let set = node(tree, NodeKind::AttrSet, "{ c = 1; d = 2; }");
            vec![
                Rewrite::Replace { node: outer.id(), with: inner.id() },
                Rewrite::Replace { node: inner.id(), with: set.id() },
                Rewrite::Remove(node(tree, NodeKind::Binding, "c = 1;").id()),
            ]
        });
    }

    #[test]
    fn comments_and_layout_do_not_count() {
        let tight = Shape::of(&parse("{a=[1];}").tree);
        assert_eq!(tight, Shape::of(&parse("{ # c\n  a = [ 1 /* d */ ];\n}").tree));
    }
}
