//! Questions to an IR that are answered on demand.

use cim_nix_syntax::{NodeId, Tree};

use crate::ir::{
    Binding, BindingId, BindingKind, Expr, ExprId, Ir, PathElement, ScopeId, ScopeKind, Symbol,
    Target, WithId,
};

/// The uses of every binding.
#[derive(Clone, Debug)]
pub struct Uses {
    starts: Box<[u32]>,
    exprs: Box<[ExprId]>,
}

impl Uses {
    /// The variables that refer to `binding`, in the order of the arena.
    #[must_use]
    pub fn of(&self, binding: BindingId) -> &[ExprId] {
        let at = binding.index();
        &self.exprs[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// What evaluating a file can reach through names.
///
/// A binding of a `let` or a default in a pattern is live if a variable in live code refers to it;
/// attributes of sets and function bodies always are. So a group of bindings that only refer to
/// each other is dead.
#[derive(Clone, Debug)]
pub struct LiveNames {
    bindings: Box<[bool]>,
}

impl LiveNames {
    /// Whether live code refers to the binding.
    #[must_use]
    pub fn is_live(&self, binding: BindingId) -> bool {
        self.bindings[binding.index()]
    }
}

impl Ir {
    /// Variables that refer to no binding of the file, with the innermost `with` around them.
    pub fn free_variables(&self) -> impl Iterator<Item = (ExprId, Symbol, Option<WithId>)> {
        self.exprs.iter().enumerate().filter_map(|(at, expr)| match *expr {
            Expr::Var { symbol, target: Target::Free(with) } => {
                Some((ExprId(at as u32), symbol, with))
            }
            _ => None,
        })
    }

    /// Names that neither the file nor a `with` supplies: builtins, or undefined. Nix refuses the
    /// whole file for an undefined one, even in code that is never evaluated.
    pub fn free_names(&self) -> impl Iterator<Item = (Symbol, ExprId)> {
        self.free_variables()
            .filter_map(|(id, symbol, with)| with.is_none().then_some((symbol, id)))
    }

    /// The binding that a variable refers to, if it is one of this file.
    #[must_use]
    pub fn definition(&self, variable: ExprId) -> Option<BindingId> {
        match self.expr(variable) {
            Expr::Var { target: Target::Local(binding), .. } => Some(binding),
            _ => None,
        }
    }

    /// The uses of all bindings. Linear in the size of the file.
    #[must_use]
    pub fn uses(&self) -> Uses {
        let mut starts = vec![0u32; self.bindings.len() + 1];
        let locals = || {
            self.exprs.iter().enumerate().filter_map(|(at, expr)| match *expr {
                Expr::Var { target: Target::Local(binding), .. } => {
                    Some((binding.index(), ExprId(at as u32)))
                }
                _ => None,
            })
        };
        for (binding, _) in locals() {
            starts[binding + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut exprs = vec![ExprId(0); starts[self.bindings.len()] as usize];
        for (binding, id) in locals() {
            exprs[next[binding] as usize] = id;
            next[binding] += 1;
        }
        Uses { starts: starts.into(), exprs: exprs.into() }
    }

    /// Which bindings live code refers to. Linear in the size of the file.
    #[must_use]
    pub fn live_names(&self) -> LiveNames {
        let values = self.lazy_values();
        let mut bindings = vec![false; self.bindings.len()];
        let mut queue = vec![self.root()];
        let mut seen = vec![false; self.exprs.len()];
        while let Some(id) = queue.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            if let Some(binding) = self.definition(id) {
                if !std::mem::replace(&mut bindings[binding.index()], true)
                    && values[binding.index()] != Expr::NO_DEFAULT
                {
                    queue.push(values[binding.index()]);
                }
                continue;
            }
            self.eager_children(id, &mut queue);
        }
        LiveNames { bindings: bindings.into() }
    }

    /// For each binding of a `let` and each formal: the value or default that only its uses reach.
    fn lazy_values(&self) -> Vec<ExprId> {
        let mut values = vec![Expr::NO_DEFAULT; self.bindings.len()];
        for set in &self.sets {
            let Some(scope) = set.scope.filter(|scope| self.is_let(*scope)) else { continue };
            let first = self.scopes[scope.index()].bindings.start as usize;
            for (at, attr) in self.attrs[set.attrs.range()].iter().enumerate() {
                values[first + at] = attr.value;
            }
        }
        for formal in &self.formals {
            values[formal.binding.index()] = formal.default;
        }
        values
    }

    fn is_let(&self, scope: ScopeId) -> bool {
        self.scopes[scope.index()].kind == ScopeKind::Let
    }

    /// Pushes what belongs to an expression without going through a name.
    fn eager_children(&self, id: ExprId, out: &mut Vec<ExprId>) {
        match self.expr(id) {
            // Nothing in a `let` is reached but through its names, and a source only through the
            // names that it supplies.
            Expr::Let { body, .. } => out.push(body),
            Expr::InheritFrom { source, .. } => out.push(self.source(source).expr),
            Expr::Lambda(lambda) => out.push(self.lambda(lambda).body),
            _ => self.children(id, out),
        }
    }

    /// Pushes the direct parts of an expression, in the order of the text for most kinds. What
    /// several names inherit from is a part of their set, not of each of them.
    pub fn children(&self, id: ExprId, out: &mut Vec<ExprId>) {
        match self.expr(id) {
            Expr::Missing
            | Expr::Int(_)
            | Expr::Float(_)
            | Expr::Text
            | Expr::InheritFrom { .. }
            | Expr::SearchPath
            | Expr::CurPos
            | Expr::Var { .. } => {}
            Expr::Str(list) | Expr::Path(list) | Expr::List(list) | Expr::Apply(list) => {
                out.extend_from_slice(self.list(list));
            }
            Expr::Binary { operands, .. } => out.extend_from_slice(self.list(operands)),
            Expr::Select { base, path, default } => {
                out.push(base);
                self.path_children(path, out);
                if default != Expr::NO_DEFAULT {
                    out.push(default);
                }
            }
            Expr::HasAttr { base, path } => {
                out.push(base);
                self.path_children(path, out);
            }
            Expr::Lambda(lambda) => {
                let defaults = self.lambda_formals(lambda).iter().map(|formal| formal.default);
                out.extend(defaults.filter(|&default| default != Expr::NO_DEFAULT));
                out.push(self.lambda(lambda).body);
            }
            Expr::AttrSet(set) | Expr::LegacyLet(set) => self.set_children(set, out),
            Expr::Let { set, body } => {
                self.set_children(set, out);
                out.push(body);
            }
            Expr::With(with) => {
                out.extend([self.with(with).namespace, self.with(with).body]);
            }
            Expr::Assert { condition, body } => out.extend([condition, body]),
            Expr::If { condition, consequence, alternative } => {
                out.extend([condition, consequence, alternative]);
            }
            Expr::Not(operand) | Expr::Negate(operand) => out.push(operand),
        }
    }

    fn path_children(&self, path: crate::PathId, out: &mut Vec<ExprId>) {
        out.extend(self.path(path).iter().filter_map(|element| match element {
            PathElement::Dynamic(id) => Some(*id),
            PathElement::Name(_) => None,
        }));
    }

    fn set_children(&self, set: crate::SetId, out: &mut Vec<ExprId>) {
        out.extend(self.set_sources(set).iter().map(|source| source.expr));
        out.extend(self.set_attrs(set).iter().map(|attr| attr.value));
        out.extend(self.set_dynamics(set).iter().flat_map(|attr| [attr.name, attr.value]));
    }

    /// The bindings visible at `node`, innermost first, shadowed ones left out.
    #[must_use]
    pub fn visible_at(&self, tree: &Tree, node: NodeId) -> Vec<BindingId> {
        let mut found: Vec<BindingId> = Vec::new();
        let mut hidden = vec![false; self.symbol_count()];
        let here = tree.node(node);
        for ancestor in std::iter::once(here).chain(here.ancestors()) {
            let scope = self.scopes.iter().position(|scope| scope.node == ancestor.id());
            let Some(scope) = scope else { continue };
            for id in self.scope_bindings(ScopeId(scope as u32)) {
                let symbol = self.binding(id).symbol;
                if !std::mem::replace(&mut hidden[symbol.index()], true) {
                    found.push(id);
                }
            }
        }
        found
    }

    /// The `with`s whose attributes are visible at `node`, innermost first.
    #[must_use]
    pub fn withs_at(&self, tree: &Tree, node: NodeId) -> Vec<WithId> {
        let here = tree.node(node);
        let around = std::iter::once(here).chain(here.ancestors());
        around
            .filter_map(|ancestor| {
                let at = self.withs.iter().position(|with| with.node == ancestor.id())?;
                let body = ancestor.children().filter(|child| child.kind().is_expr()).nth(1)?;
                body.contains(here).then_some(WithId(at as u32))
            })
            .collect()
    }
}

impl Binding {
    /// Whether the name belongs to a pattern or is a plain parameter.
    #[must_use]
    pub fn is_parameter(&self) -> bool {
        matches!(self.kind, BindingKind::Param | BindingKind::Formal | BindingKind::At)
    }
}
