//! The proof that a renaming changes names and nothing else: the new text is lowered, and both IRs are
//! walked together.

use std::collections::{HashMap, HashSet};

use cim_nix_base::{Severity, TextEdit, TextRange, apply_edits};
use cim_nix_syntax::{NodeId, NodeKind, Tree};

use super::Slot;
use super::refusal::CannotRename;
use super::search::Search;
use crate::ir::{
    BindingId, Expr, ExprId, Ir, LambdaId, List, PathElement, PathId, Scope, SetId, SourceId,
    Symbol, Target,
};

const NONE: u32 = u32::MAX;

/// Proves that `edits` give all that `search` found the name `new`, and change nothing else.
///
/// Errors: they do not; what is wrong says why the renaming is refused.
pub(super) fn prove(
    search: &Search<'_>,
    edits: &[TextEdit],
    new: &str,
) -> Result<(), CannotRename> {
    let unproven = |what: &str| CannotRename::Unproven(what.to_owned());
    let text =
        apply_edits(search.tree.text(), edits).map_err(|error| unproven(&error.to_string()))?;
    let parsed = cim_nix_syntax::parse(text);
    if parsed.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(unproven("it does not parse"));
    }
    let ir = crate::lower(&parsed.tree);
    if let Some(problem) = ir.problems.first() {
        return Err(unproven(&problem.message));
    }
    let mut walk = Walk {
        before: Side { tree: search.tree, ir: search.ir },
        after: Side { tree: &parsed.tree, ir: &ir },
        search,
        new,
        bindings: vec![NONE; search.ir.bindings.len()],
        withs: vec![NONE; search.ir.withs.len()],
        sources: HashSet::new(),
        renamed: HashSet::new(),
        todo: vec![(search.ir.root(), ir.root())],
    };
    while let Some((before, after)) = walk.todo.pop() {
        walk.compare(before, after)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Side<'a> {
    tree: &'a Tree,
    ir: &'a Ir,
}

struct Walk<'a> {
    before: Side<'a>,
    after: Side<'a>,
    search: &'a Search<'a>,
    new: &'a str,
    /// What each binding became.
    bindings: Vec<u32>,
    withs: Vec<u32>,
    /// Sources that have been compared.
    sources: HashSet<(SourceId, SourceId)>,
    /// The bindings after the change that have the new name for it.
    renamed: HashSet<BindingId>,
    todo: Vec<(ExprId, ExprId)>,
}

impl Walk<'_> {
    fn range(&self, before: ExprId) -> TextRange {
        self.before.tree.node(self.before.ir.node(before)).range()
    }

    fn differs(&self, before: ExprId) -> CannotRename {
        CannotRename::Unproven(format!("bytes {:?} differ", self.range(before)))
    }

    fn check(&self, is_same: bool, before: ExprId) -> Result<(), CannotRename> {
        if is_same { Ok(()) } else { Err(self.differs(before)) }
    }

    fn compare(&mut self, before: ExprId, after: ExprId) -> Result<(), CannotRename> {
        let (old, new) = (self.before.ir.expr(before), self.after.ir.expr(after));
        match (old, new) {
            (Expr::Missing, Expr::Missing) | (Expr::CurPos, Expr::CurPos) => Ok(()),
            (Expr::Int(a), Expr::Int(b)) => self.check(a == b, before),
            (Expr::Float(a), Expr::Float(b)) => self.check(a.to_bits() == b.to_bits(), before),
            (Expr::Text, Expr::Text) | (Expr::SearchPath, Expr::SearchPath) => {
                self.compare_tokens(before, after)
            }
            (Expr::Str(a), Expr::Str(b)) | (Expr::Path(a), Expr::Path(b)) => {
                self.compare_tokens(before, after)?;
                self.compare_lists(a, b, before)
            }
            (Expr::List(a), Expr::List(b)) | (Expr::Apply(a), Expr::Apply(b)) => {
                self.compare_lists(a, b, before)
            }
            (Expr::Binary { op: a, operands: x }, Expr::Binary { op: b, operands: y }) => {
                self.check(a == b, before)?;
                self.compare_lists(x, y, before)
            }
            (Expr::Var { symbol, target }, Expr::Var { symbol: name, target: now }) => {
                self.compare_variables((symbol, target), (name, now), before)
            }
            (
                Expr::InheritFrom { source: a, symbol: x },
                Expr::InheritFrom { source: b, symbol: y },
            ) => {
                let wanted = self.asked_for(self.before.ir.node(before), x);
                self.check(wanted == self.after.ir.symbol(y), before)?;
                if self.sources.insert((a, b)) {
                    self.todo.push((self.before.ir.source(a).expr, self.after.ir.source(b).expr));
                }
                Ok(())
            }
            (
                Expr::InheritFrom { source, symbol },
                Expr::Select { base, path, default: Expr::NO_DEFAULT },
            ) => self.compare_selection((before, source, symbol), (base, path)),
            (
                Expr::Select { base: a, path: p, default: x },
                Expr::Select { base: b, path: q, default: y },
            ) => {
                self.todo.push((a, b));
                self.compare_optional(x, y, before)?;
                self.compare_paths(p, q, before)
            }
            (Expr::HasAttr { base: a, path: p }, Expr::HasAttr { base: b, path: q }) => {
                self.todo.push((a, b));
                self.compare_paths(p, q, before)
            }
            (Expr::Lambda(a), Expr::Lambda(b)) => self.compare_functions(a, b, before),
            (Expr::AttrSet(a), Expr::AttrSet(b)) | (Expr::LegacyLet(a), Expr::LegacyLet(b)) => {
                self.compare_sets(a, b, before)
            }
            (Expr::Let { set: a, body: x }, Expr::Let { set: b, body: y }) => {
                self.todo.push((x, y));
                self.compare_sets(a, b, before)
            }
            (Expr::With(a), Expr::With(b)) => {
                self.withs[a.index()] = b.0;
                let (a, b) = (self.before.ir.with(a), self.after.ir.with(b));
                self.todo.extend([(a.namespace, b.namespace), (a.body, b.body)]);
                Ok(())
            }
            (Expr::Assert { condition: a, body: x }, Expr::Assert { condition: b, body: y }) => {
                self.todo.extend([(a, b), (x, y)]);
                Ok(())
            }
            (
                Expr::If { condition: a, consequence: x, alternative: p },
                Expr::If { condition: b, consequence: y, alternative: q },
            ) => {
                self.todo.extend([(a, b), (x, y), (p, q)]);
                Ok(())
            }
            (Expr::Not(a), Expr::Not(b)) | (Expr::Negate(a), Expr::Negate(b)) => {
                self.todo.push((a, b));
                Ok(())
            }
            _ => Err(self.differs(before)),
        }
    }

    fn compare_tokens(&self, before: ExprId, after: ExprId) -> Result<(), CannotRename> {
        let a = self.before.tree.node(self.before.ir.node(before));
        let b = self.after.tree.node(self.after.ir.node(after));
        let is_same = a.own_tokens().map(|it| it.text()).eq(b.own_tokens().map(|it| it.text()));
        self.check(is_same, before)
    }

    fn compare_lists(&mut self, a: List, b: List, at: ExprId) -> Result<(), CannotRename> {
        let (a, b) = (self.before.ir.list(a), self.after.ir.list(b));
        self.check(a.len() == b.len(), at)?;
        self.todo.extend(a.iter().copied().zip(b.iter().copied()));
        Ok(())
    }

    fn compare_optional(&mut self, a: ExprId, b: ExprId, at: ExprId) -> Result<(), CannotRename> {
        match (a, b) {
            (Expr::NO_DEFAULT, Expr::NO_DEFAULT) => Ok(()),
            (Expr::NO_DEFAULT, _) | (_, Expr::NO_DEFAULT) => Err(self.differs(at)),
            _ => {
                self.todo.push((a, b));
                Ok(())
            }
        }
    }

    fn compare_variables(
        &self,
        (symbol, target): (Symbol, Target),
        (name, now): (Symbol, Target),
        at: ExprId,
    ) -> Result<(), CannotRename> {
        let (was, is) = (self.before.ir.symbol(symbol), self.after.ir.symbol(name));
        let is_same = match (target, now) {
            (Target::Local(a), Target::Local(b)) => self.bindings[a.index()] == b.0,
            (Target::Free(a), Target::Free(b)) => {
                let with = a.map(|with| self.withs[with.index()]);
                was == is && with == b.map(|with| with.0)
            }
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        let (name, range) = (self.new.to_owned(), self.range(at));
        match (target, now) {
            (Target::Local(a), _) if self.is_renamed(a) => {
                Err(CannotRename::Hidden { name, range })
            }
            (_, Target::Local(b)) if self.renamed.contains(&b) => {
                Err(CannotRename::Hides { name, range })
            }
            _ => Err(self.differs(at)),
        }
    }

    fn is_renamed(&self, binding: BindingId) -> bool {
        let after = self.bindings[binding.index()];
        after != NONE && self.renamed.contains(&BindingId(after))
    }

    /// The attribute that a node asks for after the change.
    fn asked_for(&self, node: NodeId, symbol: Symbol) -> &str {
        match self.search.reads.contains(&node) {
            true => self.new,
            false => self.before.ir.symbol(symbol),
        }
    }

    /// Compares a name that was inherited with the selection that it became.
    fn compare_selection(
        &mut self,
        (at, source, symbol): (ExprId, SourceId, Symbol),
        (base, path): (ExprId, PathId),
    ) -> Result<(), CannotRename> {
        let wanted = self.asked_for(self.before.ir.node(at), symbol);
        let Some((PathElement::Name(name), around)) = self.after.ir.path(path).split_last() else {
            return Err(self.differs(at));
        };
        self.check(wanted == self.after.ir.symbol(*name), at)?;
        let from = self.before.ir.source(source).expr;
        match self.before.ir.expr(from) {
            // What is selected from a selection is one selection.
            Expr::Select { base: inner, path, default: Expr::NO_DEFAULT } if !around.is_empty() => {
                self.todo.push((inner, base));
                self.compare_elements(self.before.ir.path(path), around, from)
            }
            _ => {
                self.todo.push((from, base));
                self.check(around.is_empty(), at)
            }
        }
    }

    fn compare_paths(&mut self, a: PathId, b: PathId, at: ExprId) -> Result<(), CannotRename> {
        let (a, b) = (self.before.ir.path(a), self.after.ir.path(b));
        self.compare_elements(a, b, at)
    }

    fn compare_elements(
        &mut self,
        a: &[PathElement],
        b: &[PathElement],
        at: ExprId,
    ) -> Result<(), CannotRename> {
        self.check(a.len() == b.len(), at)?;
        let holder = self.before.tree.node(self.before.ir.node(at));
        let nodes = holder.child_of_kind(NodeKind::AttrPath);
        let nodes = nodes.into_iter().flat_map(|path| path.children());
        for ((old, new), node) in a.iter().zip(b).zip(nodes) {
            match (old, new) {
                (PathElement::Name(x), PathElement::Name(y)) => {
                    let wanted = self.asked_for(node.id(), *x);
                    self.check(wanted == self.after.ir.symbol(*y), at)?;
                }
                (PathElement::Dynamic(x), PathElement::Dynamic(y)) => self.todo.push((*x, *y)),
                _ => return Err(self.differs(at)),
            }
        }
        Ok(())
    }

    /// Notes that two scopes are the same one.
    fn pair(&mut self, before: BindingId, after: BindingId, is_renamed: bool) {
        self.bindings[before.index()] = after.0;
        if is_renamed {
            self.renamed.insert(after);
        }
    }

    fn compare_functions(
        &mut self,
        a: LambdaId,
        b: LambdaId,
        at: ExprId,
    ) -> Result<(), CannotRename> {
        let (old, new) = (self.before.ir, self.after.ir);
        let (x, y) = (old.lambda(a), new.lambda(b));
        let is_same = (x.has_pattern, x.has_ellipsis, x.has_name, x.formals.len)
            == (y.has_pattern, y.has_ellipsis, y.has_name, y.formals.len);
        self.check(is_same, at)?;
        for (before, after) in old.scope_bindings(x.scope).zip(new.scope_bindings(y.scope)) {
            let slots = [Slot::Formal(before), Slot::Variable(before)];
            let is_renamed = slots.iter().any(|slot| self.search.slots.contains(slot));
            self.compare_names(
                old.binding(before).symbol,
                new.binding(after).symbol,
                is_renamed,
                at,
            )?;
            self.pair(before, after, is_renamed);
        }
        for (before, after) in old.lambda_formals(a).iter().zip(new.lambda_formals(b)) {
            self.compare_optional(before.default, after.default, at)?;
        }
        self.todo.push((x.body, y.body));
        Ok(())
    }

    fn compare_names(
        &self,
        old: Symbol,
        new: Symbol,
        is_renamed: bool,
        at: ExprId,
    ) -> Result<(), CannotRename> {
        let wanted = if is_renamed { self.new } else { self.before.ir.symbol(old) };
        self.check(self.after.ir.symbol(new) == wanted, at)
    }

    fn compare_sets(&mut self, a: SetId, b: SetId, at: ExprId) -> Result<(), CannotRename> {
        let (old, new) = (self.before.ir, self.after.ir);
        let (x, y) = (old.set(a), new.set(b));
        let scope = |ir: &Ir, id: Option<crate::ScopeId>| -> Option<Scope> {
            id.map(|id| ir.scopes[id.index()])
        };
        let (outer, inner) = (scope(old, x.scope), scope(new, y.scope));
        let is_same = outer.map(|scope| scope.kind) == inner.map(|scope| scope.kind)
            && (x.attrs.len, x.dynamics.len) == (y.attrs.len, y.dynamics.len);
        self.check(is_same, at)?;
        let named: HashMap<&str, u32> = new
            .set_attrs(b)
            .iter()
            .zip(0..)
            .map(|(attr, place)| (new.symbol(attr.symbol), place))
            .collect();
        for (attr, place) in old.set_attrs(a).iter().zip(0..) {
            let binding = outer.map(|scope| BindingId(scope.bindings.start + place));
            let is_renamed = self.search.slots.contains(&Slot::Attr(a, x.attrs.start + place))
                || binding.is_some_and(|it| self.search.slots.contains(&Slot::Variable(it)));
            let wanted = if is_renamed { self.new } else { old.symbol(attr.symbol) };
            let Some(&found) = named.get(wanted) else { return Err(self.differs(at)) };
            if let (Some(before), Some(scope)) = (binding, inner) {
                self.pair(before, BindingId(scope.bindings.start + found), is_renamed);
            }
            self.todo.push((attr.value, new.set_attrs(b)[found as usize].value));
        }
        for (before, after) in old.set_dynamics(a).iter().zip(new.set_dynamics(b)) {
            self.todo.extend([(before.name, after.name), (before.value, after.value)]);
        }
        Ok(())
    }
}
