//! Which names are used only by code that is itself unused.
//!
//! [`cim_nix_semantics::LiveNames`] answers what evaluating the file can reach. For findings that is
//! too strict: inside an unused function nothing is reachable, yet its own parameters are no
//! separate mistakes. Here code that nothing reaches is walked, too, so that each name is judged
//! within the smallest unused piece that holds it. Defaults of parameters that callers may pass
//! (see [`callers::listed_names`]) count as used, since the parameter has to stay.

use cim_nix_semantics::{Attr, BindingId, Expr, ExprId, ScopeId, ScopeKind, SetId};
use cim_nix_syntax::NodeKind;

use super::callers::{self, ListedNames};
use super::unused_binding::is_guard;
use crate::context::Context;

/// What is reached from the file, or from within the unused piece around it.
pub(super) struct Reach {
    live: Box<[bool]>,
}

impl Reach {
    /// Walks the whole file. Linear in its size, save for sorting what is unused.
    pub(super) fn of(context: &Context<'_>) -> Self {
        let mut walk = Walk::new(context);
        walk.run(context.ir.root());
        let sources = context.ir.sources.iter().map(|source| source.expr);
        let values = walk.values.iter().copied().filter(|id| is_some(*id));
        let mut left: Vec<ExprId> = values.chain(sources).collect();
        // Children come before their parents in the arena: the larger piece is walked first.
        left.sort_unstable_by(|a, b| b.cmp(a));
        for value in left {
            walk.run(value);
        }
        Self { live: walk.live.into() }
    }

    /// Whether the binding is used by code that is not itself unused.
    pub(super) fn is_live(&self, id: BindingId) -> bool {
        self.live[id.index()]
    }
}

fn is_some(id: ExprId) -> bool {
    id != Expr::NO_DEFAULT
}

struct Walk<'c, 'a> {
    context: &'c Context<'a>,
    live: Vec<bool>,
    /// What only the uses of a binding reach.
    values: Vec<ExprId>,
    seen: Vec<bool>,
    /// The number of the run that entered a scope.
    entered: Vec<u32>,
    run: u32,
    queue: Vec<ExprId>,
}

impl<'c, 'a> Walk<'c, 'a> {
    fn new(context: &'c Context<'a>) -> Self {
        let ir = context.ir;
        Self {
            context,
            live: vec![false; ir.bindings.len()],
            values: lazy_values(context),
            seen: vec![false; ir.exprs.len()],
            entered: vec![0; ir.scopes.len()],
            run: 0,
            queue: Vec::new(),
        }
    }

    /// Walks one piece; names from outside of it are left as they are.
    fn run(&mut self, root: ExprId) {
        self.run += 1;
        self.queue.push(root);
        while let Some(id) = self.queue.pop() {
            if !std::mem::replace(&mut self.seen[id.index()], true) {
                self.visit(id);
            }
        }
    }

    fn visit(&mut self, id: ExprId) {
        let ir = self.context.ir;
        if let Some(binding) = ir.definition(id) {
            let is_inside = self.entered[ir.binding(binding).scope.index()] == self.run;
            if is_inside && !std::mem::replace(&mut self.live[binding.index()], true) {
                self.reach(self.values[binding.index()]);
            }
            return;
        }
        match ir.expr(id) {
            Expr::Let { set, body } => {
                self.enter_let(set);
                self.queue.push(body);
            }
            Expr::LegacyLet(set) => self.enter_let(set),
            Expr::InheritFrom { source, .. } => self.queue.push(ir.source(source).expr),
            Expr::AttrSet(set) => {
                self.enter(ir.set(set).scope);
                ir.children(id, &mut self.queue);
            }
            Expr::Lambda(lambda) => {
                self.enter(Some(ir.lambda(lambda).scope));
                for formal in ir.lambda_formals(lambda) {
                    // The others are among the values.
                    if !is_some(self.values[formal.binding.index()]) {
                        self.reach(formal.default);
                    }
                }
                self.queue.push(ir.lambda(lambda).body);
            }
            _ => ir.children(id, &mut self.queue),
        }
    }

    fn enter(&mut self, scope: Option<ScopeId>) {
        if let Some(scope) = scope {
            self.entered[scope.index()] = self.run;
        }
    }

    fn reach(&mut self, value: ExprId) {
        if is_some(value) {
            self.queue.push(value);
        }
    }

    /// What is no lazy value counts as reached with the `let`.
    fn enter_let(&mut self, set: SetId) {
        let ir = self.context.ir;
        self.enter(ir.set(set).scope);
        for (id, attr) in ir.set_bindings(set).zip(ir.set_attrs(set)) {
            if !is_some(self.values[id.index()]) {
                self.live[id.index()] = true;
                self.queue.push(attr.value);
            }
        }
        let dynamics = ir.set_dynamics(set);
        self.queue.extend(dynamics.iter().flat_map(|attr| [attr.name, attr.value]));
    }
}

/// For each binding: the value or default that only its uses reach.
fn lazy_values(context: &Context<'_>) -> Vec<ExprId> {
    let ir = context.ir;
    let mut values = vec![Expr::NO_DEFAULT; ir.bindings.len()];
    for (at, set) in ir.sets.iter().enumerate() {
        let Some(scope) = set.scope else { continue };
        let is_legacy = is_legacy_let(context, scope);
        if ir.scopes[scope.index()].kind != ScopeKind::Let && !is_legacy {
            continue;
        }
        let attrs = &ir.attrs[set.attrs.range()];
        let is_overridden = |attr: &Attr| ir.symbol(attr.symbol) == "__overrides";
        if is_legacy && attrs.iter().any(is_overridden) {
            continue;
        }
        for (id, attr) in ir.set_bindings(SetId(at as u32)).zip(attrs) {
            let is_entry = is_legacy && context.name(id) == "body";
            if !is_entry && !is_guard(context, id) {
                values[id.index()] = attr.value;
            }
        }
    }
    for lambda in &ir.lambdas {
        let listed = callers::listed_names(context, lambda);
        if lambda.has_ellipsis && !matches!(listed, ListedNames::All) {
            for formal in &ir.formals[lambda.formals.range()] {
                values[formal.binding.index()] = formal.default;
            }
        }
    }
    values
}

/// Whether a scope is that of the old `let { … }`.
pub(super) fn is_legacy_let(context: &Context<'_>, scope: ScopeId) -> bool {
    let node = context.ir.scopes[scope.index()].node;
    context.node(node).kind() == NodeKind::LegacyLet
}
