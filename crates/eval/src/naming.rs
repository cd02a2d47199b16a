//! The order in which Nix meets the names of a file.
//!
//! It decides in which order the members of a set are evaluated where all of them are, and so
//! which one fails first. Nix meets a name when it has read what the name belongs to: the parameter
//! of a function behind its body.

use cim_nix_semantics::{Expr, Ir, PathElement, Symbol};
use cim_nix_syntax::{Node, NodeId, NodeKind, Tree};

/// Some names of a file, in that order.
pub(crate) fn in_order(tree: &Tree, ir: &Ir, names: &[Symbol]) -> Vec<Symbol> {
    let mut first = First { times: vec![0; ir.symbol_count()] };
    for &name in names {
        first.times[name.index()] = NEVER;
    }
    for (expr, &node) in ir.exprs.iter().zip(&ir.nodes) {
        match *expr {
            Expr::Var { symbol, .. } | Expr::InheritFrom { symbol, .. } => {
                first.see(symbol, || at_node(node));
            }
            Expr::Select { path, .. } | Expr::HasAttr { path, .. } => {
                for (at, element) in ir.path(path).iter().enumerate() {
                    if let PathElement::Name(symbol) = *element {
                        first.see(symbol, || at_node(step(tree.node(node), at)));
                    }
                }
            }
            _ => {}
        }
    }
    for attr in &ir.attrs {
        first.see(attr.symbol, || at_node(attr.name));
    }
    for binding in &ir.bindings {
        first.see(binding.symbol, || named_at(tree.node(binding.name)));
    }
    let mut order = names.to_vec();
    order.sort_unstable_by_key(|name| (first.times[name.index()], *name));
    order
}

/// When Nix meets something: the larger, the later. 0 is for names that nobody asks for.
type Time = u64;

const NEVER: Time = Time::MAX;

/// When each name is met first.
struct First {
    times: Vec<Time>,
}

impl First {
    #[inline]
    fn see(&mut self, name: Symbol, time: impl FnOnce() -> Time) {
        let known = self.times[name.index()];
        if known > 0 {
            self.times[name.index()] = known.min(time());
        }
    }
}

/// Nodes are numbered in the order of the text.
fn at_node(node: NodeId) -> Time {
    (Time::from(node.0) * 2 + 1) << 32
}

/// Behind a node: before what follows it, and of several that end here, the innermost first.
fn behind(node: Node<'_>) -> Time {
    (Time::from(node.subtree_end()) * 2) << 32 | Time::from(u32::MAX - node.id().0)
}

/// When the name of a parameter or an attribute is met.
fn named_at(name: Node<'_>) -> Time {
    let whole = match name.kind() {
        NodeKind::Param => name.parent(),
        NodeKind::PatBind => name.parent().and_then(Node::parent),
        NodeKind::Formal if !name.is_leaf() => Some(name),
        _ => None,
    };
    whole.map_or_else(|| at_node(name.id()), behind)
}

/// The node of a step of the path of a selection.
fn step(selection: Node<'_>, at: usize) -> NodeId {
    let path = selection.child_of_kind(NodeKind::AttrPath);
    path.and_then(|path| path.children().nth(at)).unwrap_or(selection).id()
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
