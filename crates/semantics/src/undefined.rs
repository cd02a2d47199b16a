//! Which undefined variable Nix reports when there are several.
//!
//! Nix stops at the first one of its own walk, and that walk visits the attributes of a set in the
//! order in which their names first occurred to the process: names that Nix itself uses come
//! first, then those of the file as its parser reduces them. [`Ranks`] tells that order;
//! [`first_undefined`] walks the IR with it. Every rule here was learnt by asking Nix 2.34.8.

use std::collections::HashMap;

use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind, Tree, literal};

use crate::builtins;
use crate::ir::{Attr, BinaryOp, Expr, ExprId, Ir, LambdaId, PathElement, PathId, SetId, Target};

/// The names that exist before the first file is read, in their order. Recorded by letting Nix
/// 2.34.8 choose the first of a set that defines all words of its own sources, again and again.
const OWN_NAMES: &str = include_str!("symbols.txt");

impl Ir {
    /// Whether the expression is a variable that nothing at all supplies.
    #[must_use]
    pub fn is_undefined(&self, id: ExprId) -> bool {
        match self.expr(id) {
            Expr::Var { symbol, target: Target::Free(None) } => {
                builtins::global(self.symbol(symbol)).is_none()
            }
            _ => false,
        }
    }

    /// The undefined variable that Nix reports, which need not be the first of the text.
    ///
    /// `tree` is what the IR was lowered from. Linear in the size of the file, but for the sorting
    /// of attributes.
    #[must_use]
    pub fn first_undefined(&self, tree: &Tree) -> Option<ExprId> {
        let mut undefined = self.free_names().map(|(_, id)| id).filter(|&id| self.is_undefined(id));
        let first = undefined.next()?;
        if undefined.next().is_none() {
            return Some(first);
        }
        let ranks = Ranks::of(tree);
        let mut walk = Walk { ir: self, ranks: &ranks, stack: vec![self.root()] };
        while let Some(id) = walk.stack.pop() {
            if self.is_undefined(id) {
                return Some(id);
            }
            let mark = walk.stack.len();
            walk.push_parts(id);
            walk.stack[mark..].reverse();
        }
        // Only duplicates, for which Nix refuses the file anyway, are no part of the walk.
        Some(first)
    }
}

/// The order in which Nix met the names of a file.
struct Ranks {
    ranks: HashMap<String, usize>,
}

impl Ranks {
    fn of(tree: &Tree) -> Self {
        let mut ranks = Self { ranks: HashMap::new() };
        OWN_NAMES.lines().for_each(|name| ranks.add(name));
        // Names that are met at the end of a node, innermost last.
        let mut late: Vec<(u32, &str)> = Vec::new();
        for node in tree.nodes() {
            ranks.add_late(&mut late, node.id());
            match node.kind() {
                // As an expression, `__curPos` is no name.
                NodeKind::Ident if node.text() == "__curPos" => {}
                NodeKind::Ident | NodeKind::Name => ranks.add(node.text()),
                NodeKind::Str | NodeKind::IndStr if is_name(node) => {
                    if let Some(name) = literal::constant_text(node) {
                        ranks.add(&name);
                    }
                }
                NodeKind::Formal | NodeKind::Lambda => {
                    late.extend(late_name(node).map(|name| (node.subtree_end(), name)));
                }
                _ => {}
            }
        }
        ranks.add_late(&mut late, NodeId(u32::MAX));
        ranks
    }

    /// Adds the names whose nodes have ended before `next`.
    fn add_late(&mut self, late: &mut Vec<(u32, &str)>, next: NodeId) {
        while let Some((_, name)) = late.pop_if(|(end, _)| *end <= next.0) {
            self.add(name);
        }
    }

    fn add(&mut self, name: &str) {
        let next = self.ranks.len();
        if !self.ranks.contains_key(name) {
            self.ranks.insert(name.to_owned(), next);
        }
    }

    fn rank(&self, name: &str) -> usize {
        self.ranks.get(name).copied().unwrap_or(usize::MAX)
    }
}

/// The name of a formal, or the one before the colon or beside the `@` of a function.
///
/// Nix meets a parameter when the function is complete, a formal when its default is.
fn late_name(node: Node<'_>) -> Option<&str> {
    let holder = match node.kind() {
        NodeKind::Formal => node,
        _ => match node.child(0)? {
            pattern if pattern.kind() == NodeKind::Pattern => {
                pattern.child_of_kind(NodeKind::PatBind)?
            }
            param => param,
        },
    };
    let mut tokens = holder.own_tokens();
    let is_name = |kind| matches!(kind, TokenKind::Ident | TokenKind::Or);
    tokens.find(|token| is_name(token.kind())).map(|token| token.text())
}

/// Whether a string stands where an attribute's name is wanted.
fn is_name(node: Node<'_>) -> bool {
    let mut around = node
        .ancestors()
        .skip_while(|outer| matches!(outer.kind(), NodeKind::Dynamic | NodeKind::Paren));
    let outer = around.next().map(Node::kind);
    node.is_leaf() && matches!(outer, Some(NodeKind::AttrPath | NodeKind::Inherit))
}

struct Walk<'i> {
    ir: &'i Ir,
    ranks: &'i Ranks,
    /// What is still to visit, next last.
    stack: Vec<ExprId>,
}

impl Walk<'_> {
    /// Pushes the parts of an expression in the order of Nix's walk.
    fn push_parts(&mut self, id: ExprId) {
        let ir = self.ir;
        match ir.expr(id) {
            Expr::Binary { op, operands } => {
                let mark = self.stack.len();
                self.stack.extend_from_slice(ir.list(operands));
                // They are calls whose function or first argument stands on the right.
                if matches!(op, BinaryOp::Greater | BinaryOp::LessEqual | BinaryOp::PipeInto) {
                    self.stack[mark..].reverse();
                }
            }
            Expr::Select { base, path, default } => {
                self.stack.push(base);
                self.stack.extend(Some(default).filter(|&default| default != Expr::NO_DEFAULT));
                self.push_computed_names(path);
            }
            Expr::AttrSet(set) | Expr::LegacyLet(set) => self.push_set(set),
            Expr::Let { set, body } => {
                self.push_set(set);
                self.stack.push(body);
            }
            Expr::Lambda(lambda) => self.push_lambda(lambda),
            _ => ir.children(id, &mut self.stack),
        }
    }

    fn push_computed_names(&mut self, path: PathId) {
        let names = self.ir.path(path).iter();
        self.stack.extend(names.filter_map(|element| match element {
            PathElement::Dynamic(name) => Some(*name),
            PathElement::Name(_) => None,
        }));
    }

    fn push_set(&mut self, set: SetId) {
        let ir = self.ir;
        self.stack.extend(ir.set_sources(set).iter().map(|source| source.expr));
        let mut attrs: Vec<&Attr> = ir.set_attrs(set).iter().collect();
        attrs.sort_by_key(|attr| self.ranks.rank(ir.symbol(attr.symbol)));
        // The sources have been visited already.
        attrs.retain(|attr| !matches!(ir.expr(attr.value), Expr::InheritFrom { .. }));
        self.stack.extend(attrs.iter().map(|attr| attr.value));
        self.stack.extend(ir.set_dynamics(set).iter().flat_map(|attr| [attr.name, attr.value]));
    }

    fn push_lambda(&mut self, lambda: LambdaId) {
        let ir = self.ir;
        let mut formals: Vec<_> = ir.lambda_formals(lambda).iter().collect();
        formals.sort_by_key(|f| self.ranks.rank(ir.symbol(ir.binding(f.binding).symbol)));
        let defaults = formals.iter().map(|formal| formal.default);
        self.stack.extend(defaults.filter(|&default| default != Expr::NO_DEFAULT));
        self.stack.push(ir.lambda(lambda).body);
    }
}

#[cfg(test)]
mod tests {

    /// The undefined variable that comes first.
    fn first(text: &str) -> String {
        let parse = cim_nix_syntax::parse(text);
        let ir = crate::lower(&parse.tree);
        let found = ir.first_undefined(&parse.tree);
        found.map_or_else(String::new, |id| parse.tree.node(ir.node(id)).text().to_owned())
    }

    #[test]
    fn attributes_come_in_the_order_of_first_sight() {
        assert_eq!(first("{ zz = u1; yy = u2; }"), "u1");
        assert_eq!(first("zz: { q = zz; yy = u1; zz = u2; }"), "u2");
        assert_eq!(first("{ a = u1; name = u2; }"), "u2");
        assert_eq!(first("{ version = u1; x = u2; }"), "u2");
    }

    #[test]
    fn parameters_are_met_after_the_body() {
        assert_eq!(first("zz: yy: { yy = u1; zz = u2; }"), "u1");
        assert_eq!(first("[ (zz: yy: 1) { zz = u1; yy = u2; } ]"), "u2");
        assert_eq!(first("[ ({ zz ? yy, yy }: 1) { zz = u1; yy = u2; } ]"), "u2");
        assert_eq!(first("[ (zz@{ yy }: 1) { zz = u1; yy = u2; } ]"), "u2");
    }

    #[test]
    fn sources_come_first_and_computed_names_last() {
        assert_eq!(first("{ a = u2; inherit (u1) x; }"), "u1");
        assert_eq!(first("{ ${u1} = 1; a = u2; }"), "u2");
        assert_eq!(first("u1.${u2} or u3"), "u1");
        assert_eq!(first("x: x.${u1} or u2"), "u2");
    }

    #[test]
    fn some_operators_look_right_first() {
        let all = ["u1 < u2", "u1 >= u2", "u1 <| u2", "u2 > u1", "u2 <= u1", "u2 |> u1"];
        all.iter().for_each(|text| assert_eq!(first(text), "u1", "{text}"));
    }
}
