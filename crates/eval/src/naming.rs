//! The order in which Nix meets the names of a file.
//!
//! It decides in which order the members of a set are evaluated where all of them are, and so
//! which one fails first. Nix meets a name when it has read what the name belongs to: the parameter
//! of a function behind its body.

use cim_nix_semantics::{Ir, Symbol};
use cim_nix_syntax::{Node, NodeKind, TokenKind, Tree, literal};
use rustc_hash::FxHashMap;

/// Some names of a file, in that order.
pub(crate) fn in_order(tree: &Tree, ir: &Ir, names: &[Symbol]) -> Vec<Symbol> {
    let mut left: FxHashMap<&str, Symbol> =
        names.iter().map(|&name| (ir.symbol(name), name)).collect();
    // Most names of a file are none of these, which their length and first byte tell already.
    let mark = |text: &str| {
        let first = text.as_bytes().first().copied().unwrap_or_default();
        1u64 << ((usize::from(first) ^ text.len() << 3) & 63)
    };
    let marks = names.iter().fold(0, |marks, &name| marks | mark(ir.symbol(name)));
    let mut order = Vec::with_capacity(left.len());
    let mut meet = |text: &str| {
        if marks & mark(text) != 0 {
            order.extend(left.remove(text));
        }
        left.is_empty()
    };
    // Names that are met at the end of a node, the innermost last.
    let mut waiting: Vec<(u32, &str)> = Vec::new();
    let mut is_over = names.is_empty();
    for node in tree.nodes() {
        while let Some((_, text)) = waiting.pop_if(|(end, _)| *end <= node.id().0) {
            is_over = meet(text);
        }
        match node.kind() {
            NodeKind::Ident | NodeKind::Name => is_over = meet(node.text()),
            NodeKind::Param => wait(&mut waiting, node, node.parent()),
            NodeKind::PatBind => {
                wait(&mut waiting, node, node.parent().and_then(Node::parent));
            }
            NodeKind::Formal if node.is_leaf() => {
                if let Some(token) = node.first_token() {
                    is_over = meet(token.text());
                }
            }
            NodeKind::Formal => wait(&mut waiting, node, Some(node)),
            NodeKind::Str | NodeKind::Dynamic => {
                let parent = node.parent().map(Node::kind);
                if matches!(parent, Some(NodeKind::AttrPath | NodeKind::Inherit))
                    && let Some(text) = literal::attr_name(node)
                {
                    is_over = meet(&text);
                }
            }
            _ => {}
        }
        if is_over {
            break;
        }
    }
    while let Some((_, text)) = waiting.pop() {
        meet(text);
    }
    let mut rest: Vec<Symbol> = left.into_values().collect();
    rest.sort_unstable();
    order.extend(rest);
    order
}

fn wait<'t>(waiting: &mut Vec<(u32, &'t str)>, named: Node<'t>, whole: Option<Node<'t>>) {
    let token = named.own_token(TokenKind::Ident);
    if let (Some(token), Some(whole)) = (token, whole) {
        waiting.push((whole.subtree_end(), token.text()));
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_semantics::Lowerer;
    use cim_nix_syntax::Parser;

    use super::*;

    fn order(text: &str) -> String {
        let parse = Parser::default().parse(text);
        let ir = Lowerer::default().lower(&parse.tree);
        let all: Vec<Symbol> = (0..ir.symbol_count() as u32).map(Symbol).collect();
        let names = in_order(&parse.tree, &ir, &all);
        names.into_iter().map(|name| ir.symbol(name)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_met_in_the_order_of_the_text() {
        assert_eq!(
            order("{ b.c = { d = 1; }; a = b: 2; \"e f\" = 1; ${\"g\"} = 2; }"),
            "b c d a e f g"
        );
        assert_eq!(order("let inherit (x) y z; in y.w or v"), "x y z w v");
    }

    #[test]
    fn parameters_are_met_behind_their_functions() {
        assert_eq!(order("x: { a = y: z; b = 1; }"), "a z y b x");
        assert_eq!(order("{ p, q ? r, ... }@s: t"), "p r q t s");
    }
}
