//! Which undefined variable Nix reports when there are several.
//!
//! Nix stops at the first one of its own walk, and that walk visits the attributes of a set in the
//! order in which their names first occurred to the process: names that Nix itself uses come
//! first, then those of the file as its parser reduces them. [`Ranks`] tells that order from
//! rnix's tree; [`first_undefined`] walks our IR with it. Every rule here was learnt by asking
//! Nix 2.34.8.

use std::collections::HashMap;

use cim_nix_semantics::builtins;
use cim_nix_semantics::{
    Attr, BinaryOp, Expr, ExprId, Ir, LambdaId, PathElement, PathId, SetId, Target,
};
use rnix::{NodeOrToken, SyntaxKind, SyntaxNode, SyntaxToken, WalkEvent};

/// The names that exist before the first file is read, in their order. Recorded by letting Nix
/// 2.34.8 choose the first of a set that defines all words of its own sources, again and again.
const OWN_NAMES: &str = include_str!("symbols.txt");

/// The order in which Nix met the names of a file.
pub(crate) struct Ranks {
    ranks: HashMap<String, usize>,
}

impl Ranks {
    pub(crate) fn of(text: &str) -> Self {
        let mut ranks = Self { ranks: HashMap::new() };
        OWN_NAMES.lines().for_each(|name| ranks.add(name));
        // To rnix, a lone carriage return does not end a comment.
        let root = rnix::Root::parse(&text.replace('\r', "\n")).syntax();
        for event in root.preorder_with_tokens() {
            match event {
                WalkEvent::Enter(NodeOrToken::Token(token)) if is_met_at_once(&token) => {
                    ranks.add(token.text());
                }
                WalkEvent::Enter(NodeOrToken::Node(node)) => {
                    static_string(&node).iter().for_each(|name| ranks.add(name));
                }
                WalkEvent::Leave(NodeOrToken::Node(node)) => ranks.add_late_names(&node),
                _ => {}
            }
        }
        ranks
    }

    fn add(&mut self, name: &str) {
        let next = self.ranks.len();
        if !self.ranks.contains_key(name) {
            self.ranks.insert(name.to_owned(), next);
        }
    }

    /// A parameter is met when its function is complete, a formal when its default is.
    fn add_late_names(&mut self, node: &SyntaxNode) {
        let name = match node.kind() {
            SyntaxKind::NODE_PAT_ENTRY => node.first_child(),
            SyntaxKind::NODE_LAMBDA => parameter(node),
            _ => None,
        };
        if let Some(name) = name {
            self.add(&name.text().to_string());
        }
    }

    fn rank(&self, name: &str) -> usize {
        self.ranks.get(name).copied().unwrap_or(usize::MAX)
    }
}

/// The identifier before the colon or beside the `@` of a function.
fn parameter(lambda: &SyntaxNode) -> Option<SyntaxNode> {
    let param = lambda.first_child()?;
    match param.kind() {
        SyntaxKind::NODE_IDENT_PARAM => param.first_child(),
        SyntaxKind::NODE_PATTERN => {
            let bind = param.children().find(|node| node.kind() == SyntaxKind::NODE_PAT_BIND)?;
            bind.first_child()
        }
        _ => None,
    }
}

fn is_met_at_once(token: &SyntaxToken) -> bool {
    matches!(token.kind(), SyntaxKind::TOKEN_IDENT | SyntaxKind::TOKEN_OR)
        && !token.parent().is_some_and(|ident| is_late(&ident))
}

fn is_late(ident: &SyntaxNode) -> bool {
    let Some(parent) = ident.parent() else { return false };
    match parent.kind() {
        SyntaxKind::NODE_IDENT_PARAM | SyntaxKind::NODE_PAT_BIND => true,
        SyntaxKind::NODE_PAT_ENTRY => parent.first_child().as_ref() == Some(ident),
        _ => false,
    }
}

/// The name that a string without interpolation spells where an attribute name is wanted.
fn static_string(node: &SyntaxNode) -> Option<String> {
    if node.kind() != SyntaxKind::NODE_STRING {
        return None;
    }
    let mut around = node.ancestors().skip(1).skip_while(|outer| {
        matches!(outer.kind(), SyntaxKind::NODE_DYNAMIC | SyntaxKind::NODE_PAREN)
    });
    let is_name = around.next().is_some_and(|outer| {
        matches!(outer.kind(), SyntaxKind::NODE_ATTRPATH | SyntaxKind::NODE_INHERIT)
    });
    let text = node.text().to_string();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).or_else(|| {
        text.strip_prefix("''").and_then(|text| text.strip_suffix("''")).map(str::trim)
    })?;
    (is_name && !inner.contains("${")).then(|| inner.to_owned())
}

/// The variable that Nix reports as undefined, if there is one.
pub(crate) fn first_undefined(ir: &Ir, ranks: &Ranks) -> Option<ExprId> {
    let mut walk = Walk { ir, ranks, stack: vec![ir.root()] };
    while let Some(id) = walk.stack.pop() {
        if is_undefined(ir, id) {
            return Some(id);
        }
        let mark = walk.stack.len();
        walk.push_parts(id);
        walk.stack[mark..].reverse();
    }
    None
}

/// Whether nothing at all supplies the variable.
pub(crate) fn is_undefined(ir: &Ir, id: ExprId) -> bool {
    match ir.expr(id) {
        Expr::Var { symbol, target: Target::Free(None) } => {
            builtins::global(ir.symbol(symbol)).is_none()
        }
        _ => false,
    }
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
    use super::*;

    /// The undefined variable that comes first.
    fn first(text: &str) -> String {
        let parse = cim_nix_syntax::parse(text);
        let ir = cim_nix_semantics::lower(&parse.tree);
        let found = first_undefined(&ir, &Ranks::of(text));
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
