//! Which attributes of a file need which others, as a graph.

use std::collections::HashMap;

use cim_nix_base::{Edge, Graph, GraphNode};

use crate::ir::{
    Attr, AttrKind, BindingId, Expr, ExprId, Ir, PathElement, PathId, ScopeKind, ScopeOwner, SetId,
    Target,
};

/// Names of attributes are told with so many names in front, at most.
const MAX_NAMES: usize = 12;
/// The node for what the file itself gives.
const FILE: &str = "(file)";

/// The names of `let` and sets of a file, and which need which.
///
/// Shape: nodes are called by their paths, kinds are `let`, `rec`, `attribute` and `inherit`, and
/// `file` for the file's own value. An edge `uses` leads to what a value refers to; where it selects
/// from a set that is written out, to that attribute of it. An edge `has` leads from a set to its
/// attributes. What neither uses anything nor is used is left out. Parameters of functions are no
/// attributes.
///
/// Cost: linear in the size of the file, and in the length of names.
#[must_use]
pub fn attribute_graph(ir: &Ir) -> Graph {
    let mut finder = Finder {
        ir,
        owners: vec![None; ir.attrs.len()],
        kinds: vec![""; ir.attrs.len()],
        uses: Vec::new(),
        todo: vec![(ir.root(), None)],
    };
    while let Some((id, owner)) = finder.todo.pop() {
        finder.visit(id, owner);
    }
    finder.graph()
}

/// An attribute by its place in [`Ir::attrs`]; nothing for the file.
type Owner = Option<u32>;

struct Finder<'i> {
    ir: &'i Ir,
    /// In whose value each attribute stands.
    owners: Vec<Owner>,
    kinds: Vec<&'static str>,
    uses: Vec<(Owner, u32)>,
    todo: Vec<(ExprId, Owner)>,
}

impl Finder<'_> {
    fn visit(&mut self, id: ExprId, owner: Owner) {
        let ir = self.ir;
        match ir.expr(id) {
            Expr::Var { target: Target::Local(binding), .. } => {
                if let Some(at) = self.attr_of(binding) {
                    self.uses.push((owner, at));
                }
            }
            Expr::InheritFrom { source, symbol } => {
                let from = ir.source(source).expr;
                if let Some(at) = self.set_of(from) {
                    let inner = self.member(at, symbol);
                    self.uses.push((owner, inner.unwrap_or(at)));
                }
            }
            Expr::Select { base, path, default } => match self.set_of(base) {
                Some(at) => {
                    self.uses.push((owner, self.selected(at, path)));
                    self.computed(path, owner);
                    if default != Expr::NO_DEFAULT {
                        self.todo.push((default, owner));
                    }
                }
                None => self.children(id, owner),
            },
            Expr::AttrSet(set) | Expr::LegacyLet(set) => self.set(set, owner),
            Expr::Let { set, body } => {
                self.set(set, owner);
                self.todo.push((body, owner));
            }
            _ => self.children(id, owner),
        }
    }

    fn children(&mut self, id: ExprId, owner: Owner) {
        let mut children = Vec::new();
        self.ir.children(id, &mut children);
        self.todo.extend(children.into_iter().map(|child| (child, owner)));
    }

    fn computed(&mut self, path: PathId, owner: Owner) {
        for element in self.ir.path(path) {
            if let PathElement::Dynamic(name) = element {
                self.todo.push((*name, owner));
            }
        }
    }

    fn set(&mut self, id: SetId, owner: Owner) {
        let ir = self.ir;
        let set = ir.set(id);
        let scope = set.scope.map(|scope| ir.scopes[scope.index()].kind);
        for (at, attr) in set.attrs.range().zip(ir.set_attrs(id)) {
            self.owners[at] = owner;
            self.kinds[at] = kind(attr, scope);
            self.todo.push((attr.value, Some(at as u32)));
        }
        // What several names are inherited from belongs to none of them alone.
        for source in ir.set_sources(id) {
            if self.set_of(source.expr).is_none() {
                self.todo.push((source.expr, owner));
            }
        }
        for computed in ir.set_dynamics(id) {
            self.todo.extend([(computed.name, owner), (computed.value, owner)]);
        }
    }

    fn attr_of(&self, binding: BindingId) -> Owner {
        let scope = &self.ir.scopes[self.ir.binding(binding).scope.index()];
        match scope.owner {
            ScopeOwner::Set(set) => {
                Some(self.ir.set(set).attrs.start + (binding.0 - scope.bindings.start))
            }
            ScopeOwner::Lambda(_) => None,
        }
    }

    /// The attribute that an expression is the name of.
    fn set_of(&self, id: ExprId) -> Owner {
        match self.ir.expr(id) {
            Expr::Var { target: Target::Local(binding), .. } => self.attr_of(binding),
            _ => None,
        }
    }

    /// The attribute of an attribute whose value is a set that is written out.
    fn member(&self, at: u32, symbol: crate::Symbol) -> Owner {
        let Expr::AttrSet(set) = self.ir.expr(self.ir.attrs[at as usize].value) else {
            return None;
        };
        let place = self.ir.set_attrs(set).iter().position(|attr| attr.symbol == symbol)?;
        Some(self.ir.set(set).attrs.start + place as u32)
    }

    /// The deepest attribute that a path leads to.
    fn selected(&self, mut at: u32, path: PathId) -> u32 {
        for element in self.ir.path(path) {
            let PathElement::Name(symbol) = element else { break };
            match self.member(at, *symbol) {
                Some(inner) => at = inner,
                None => break,
            }
        }
        at
    }

    fn graph(mut self) -> Graph {
        self.uses.sort_unstable();
        self.uses.dedup();
        let mut is_shown = vec![false; self.owners.len()];
        let ends = self.uses.iter().flat_map(|(from, to)| from.iter().chain([to]));
        let mut todo: Vec<u32> = ends.copied().collect();
        while let Some(at) = todo.pop() {
            if !std::mem::replace(&mut is_shown[at as usize], true) {
                todo.extend(self.owners[at as usize]);
            }
        }
        let mut graph = Graph::default();
        let mut numbers = vec![u32::MAX; self.owners.len()];
        let mut file = None;
        let add = |graph: &mut Graph, name: String, kind: &str| {
            graph.nodes.push(GraphNode { name, kind: kind.to_owned(), ..GraphNode::default() });
            graph.nodes.len() as u32 - 1
        };
        if self.uses.iter().any(|(from, _)| from.is_none()) {
            file = Some(add(&mut graph, FILE.to_owned(), "file"));
        }
        let mut taken: HashMap<String, u32> = HashMap::new();
        for at in (0..self.owners.len()).filter(|&at| is_shown[at]) {
            let mut name = self.name(at as u32);
            let n = taken.entry(name.clone()).or_default();
            *n += 1;
            if *n > 1 {
                name.push_str(&format!(" #{n}"));
            }
            numbers[at] = add(&mut graph, name, self.kinds[at]);
        }
        let edge = |from, to, kind| Edge { from, to, kind, name: String::new() };
        for (from, to) in &self.uses {
            let from = from.map_or(file, |from| Some(numbers[from as usize]));
            graph.edges.extend(from.map(|from| edge(from, numbers[*to as usize], "uses")));
        }
        for at in (0..self.owners.len()).filter(|&at| is_shown[at] && self.kinds[at] != "let") {
            let owner = self.owners[at].map(|owner| numbers[owner as usize]);
            graph.edges.extend(owner.map(|owner| edge(owner, numbers[at], "has")));
        }
        graph.normalise();
        graph
    }

    fn name(&self, at: u32) -> String {
        let above = std::iter::successors(Some(at), |at| self.owners[*at as usize]);
        let mut names: Vec<&str> = above
            .take(MAX_NAMES + 1)
            .map(|at| self.ir.symbol(self.ir.attrs[at as usize].symbol))
            .collect();
        if names.len() > MAX_NAMES {
            names[MAX_NAMES] = "…";
        }
        names.reverse();
        names.join(".")
    }
}

fn kind(attr: &Attr, scope: Option<ScopeKind>) -> &'static str {
    match (attr.kind, scope) {
        (_, Some(ScopeKind::Let)) => "let",
        (AttrKind::Inherited | AttrKind::InheritedFrom, _) => "inherit",
        (_, Some(ScopeKind::Rec)) => "rec",
        _ => "attribute",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, want: Expect) {
        let ir = crate::lower(&cim_nix_syntax::parse(text).tree);
        want.assert_eq(&attribute_graph(&ir).to_text());
    }

    #[test]
    fn values_use_names_and_members() {
        check(
            "let a = { x = 1; y = b; }; b = 2; unused = 3; in { c = a.x; d.e = a.y + c; c2 = x: a.z; }",
            expect![[r#"
                c [attribute]
                  uses a.x [attribute]
                d [attribute]
                  has d.e [attribute]
                    uses a.y [attribute]
                      uses b [let]
                c2 [attribute]
                  uses a [let]
                    has a.x [attribute]
                    has a.y [attribute] (*)
            "#]],
        );
    }

    #[test]
    fn recursion_and_inheritance() {
        check(
            "rec { a = b; b = { inherit (c) d e; }; c.d = a; f = n: f (n - 1); }",
            expect![[r#"
                f [rec]
                  uses f [rec] (cycle)
                a [rec]
                  uses b [rec]
                    has b.d [inherit]
                      uses c.d [attribute]
                        uses a [rec] (cycle)
                    has b.e [inherit]
                      uses c [rec]
                        has c.d [attribute] (*)
            "#]],
        );
    }

    #[test]
    fn deep_sets_end() {
        let text = format!("let x = 1; in {}x{}", "{ a = ".repeat(2_000), "; }".repeat(2_000));
        let ir = crate::lower(&cim_nix_syntax::parse(text).tree);
        let graph = attribute_graph(&ir);
        assert_eq!(graph.nodes.len(), 2_001);
        assert!(graph.nodes.iter().all(|node| node.name.len() < 60));
    }
}
