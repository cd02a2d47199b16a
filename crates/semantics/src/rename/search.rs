//! What has to be called the same: from one thing to all that goes by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cim_nix_base::TextRange;
use cim_nix_syntax::edit::Role;
use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind, Tree, literal};

use super::refusal::{CannotRename, Why};
use super::spelling::{Names, Spellings, spellings};
use super::{Occurrences, Slot};
use crate::builtins;
use crate::ir::{
    BindingId, BindingKind, Expr, ExprId, Ir, LambdaId, List, PathElement, PathId, ScopeKind,
    ScopeOwner, SetId, SourceId, Target,
};
use crate::query::Uses;

/// How far a value is followed: steps, and names on the way to it.
const MOST_STEPS: usize = 100_000;
const MOST_NAMES: usize = 16;

/// Where a value stands.
#[derive(Clone, Copy)]
enum Context {
    /// It is the value of the file.
    Root,
    /// It is part of an expression.
    Part(ExprId),
    /// It is the value of an attribute or a name of a `let`.
    Value(SetId, u32),
    /// Names are inherited from it.
    Source(SourceId),
}

/// What is looked for in a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Wanted {
    /// The attribute of a set.
    Attr,
    /// The calls of a function.
    Calls,
}

/// A value that holds what is looked for behind some names.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Flow {
    expr: ExprId,
    /// The names to select by, the first one last.
    path: Vec<Box<str>>,
    wanted: Wanted,
}

/// A search for all that has to be called the same.
pub(super) struct Search<'a> {
    pub(super) tree: &'a Tree,
    pub(super) ir: &'a Ir,
    pub(super) old: String,
    new: String,
    /// What asks for the new name already, where there is none or a default.
    asks_for_new: Option<NodeId>,
    /// What gets the new name.
    pub(super) slots: BTreeSet<Slot>,
    /// Elements of attribute paths and names of an `inherit` that ask for it.
    pub(super) reads: HashSet<NodeId>,
    pub(super) occurrences: Occurrences,
    pub(super) escapes: BTreeMap<TextRange, Why>,
    names: Names,
    spellings: Spellings,
    uses: Uses,
    contexts: Vec<Context>,
    /// The attributes that are inherited from each source.
    inherited: HashMap<SourceId, Vec<u32>>,
    set_exprs: Vec<Option<ExprId>>,
    lambda_exprs: Vec<Option<ExprId>>,
    todo: Vec<Slot>,
    flows: Vec<Flow>,
    seen: HashSet<Flow>,
    /// Sets that are passed to the function whose parameter gets the new name.
    calls: Vec<SetId>,
}

impl<'a> Search<'a> {
    pub(super) fn new(tree: &'a Tree, ir: &'a Ir) -> Self {
        let names = Names::of(ir);
        let spellings = spellings(tree, ir, &names);
        let mut set_exprs = vec![None; ir.sets.len()];
        let mut lambda_exprs = vec![None; ir.lambdas.len()];
        for (at, expr) in ir.exprs.iter().enumerate() {
            match expr {
                Expr::AttrSet(set) => set_exprs[set.index()] = Some(ExprId(at as u32)),
                Expr::Lambda(lambda) => lambda_exprs[lambda.index()] = Some(ExprId(at as u32)),
                _ => {}
            }
        }
        let mut inherited: HashMap<SourceId, Vec<u32>> = HashMap::new();
        for (attr, at) in ir.attrs.iter().zip(0..) {
            if let Expr::InheritFrom { source, .. } = ir.expr(attr.value) {
                inherited.entry(source).or_default().push(at);
            }
        }
        Self {
            tree,
            ir,
            old: String::new(),
            new: String::new(),
            asks_for_new: None,
            slots: BTreeSet::new(),
            reads: HashSet::new(),
            occurrences: Occurrences::new(),
            escapes: BTreeMap::new(),
            names,
            spellings,
            uses: ir.uses(),
            contexts: contexts(ir),
            inherited,
            set_exprs,
            lambda_exprs,
            todo: Vec::new(),
            flows: Vec::new(),
            seen: HashSet::new(),
            calls: Vec::new(),
        }
    }

    /// What the name at a byte of the file stands for, and the name.
    pub(super) fn slot_at(&self, offset: u32) -> Result<(Slot, String), CannotRename> {
        let node = self.name_at(offset).ok_or(CannotRename::NoName(offset))?;
        let unclear =
            |name: &str| CannotRename::Unclear { name: name.to_owned(), range: node.range() };
        let name = match node.kind() {
            NodeKind::Ident => node.text().to_owned(),
            NodeKind::Param | NodeKind::Formal | NodeKind::PatBind => {
                let token = node.own_token(TokenKind::Ident);
                token.ok_or(CannotRename::NoName(offset))?.text().to_owned()
            }
            _ => literal::attr_name(node).ok_or(CannotRename::NoName(offset))?.into_owned(),
        };
        let slot = match node.kind() {
            NodeKind::Ident => self.variable(node.id())?,
            NodeKind::Param | NodeKind::Formal | NodeKind::PatBind => {
                self.parameter(node.id()).ok_or_else(|| unclear(&name))?
            }
            _ => match node.parent().map(|parent| (parent, parent.kind())) {
                Some((inherit, NodeKind::Inherit)) => {
                    let from = inherit.child_of_kind(NodeKind::InheritFrom);
                    match from {
                        None => self.variable(node.id())?,
                        Some(_) => self.spelled(node).ok_or_else(|| unclear(&name))?,
                    }
                }
                _ => match self.spelled(node) {
                    Some(slot) => slot,
                    None => self.selected(node).ok_or_else(|| unclear(&name))?,
                },
            },
        };
        Ok((slot, name))
    }

    /// The node of the name at a byte, or just in front of it.
    fn name_at(&self, offset: u32) -> Option<Node<'a>> {
        let (left, right) = self.tree.tokens_around(offset);
        [Some(right), left].into_iter().flatten().find_map(|token| {
            let inner = self.tree.covering(token.range());
            std::iter::once(inner).chain(inner.ancestors()).take(6).find(|node| match node.kind() {
                NodeKind::Ident | NodeKind::Param => node.range() == token.range(),
                NodeKind::Formal | NodeKind::PatBind => node
                    .own_token(TokenKind::Ident)
                    .is_some_and(|name| name.range() == token.range()),
                NodeKind::Name | NodeKind::Str | NodeKind::Dynamic => {
                    let around = node.parent().map(Node::kind);
                    matches!(around, Some(NodeKind::AttrPath | NodeKind::Inherit))
                        && literal::attr_name(*node).is_some()
                }
                _ => false,
            })
        })
    }

    /// What a variable refers to.
    fn variable(&self, node: NodeId) -> Result<Slot, CannotRename> {
        let ir = self.ir;
        let found = (0..ir.exprs.len() as u32).map(ExprId).find_map(|id| match ir.expr(id) {
            Expr::Var { symbol, target } if ir.node(id) == node => Some((symbol, target)),
            _ => None,
        });
        let range = self.tree.node(node).range();
        let Some((symbol, target)) = found else {
            // `__curPos` looks like a variable.
            return Err(CannotRename::Reserved(self.tree.node(node).text().to_owned()));
        };
        match target {
            Target::Local(binding) => Ok(self.slot_of(binding)),
            Target::Free(with) => {
                let name = ir.symbol(symbol).to_owned();
                let by = match (builtins::global(&name), with) {
                    (Some(_), _) => "Nix supplies it",
                    (None, Some(_)) => "a `with` supplies it",
                    (None, None) => "it is undefined",
                };
                Err(CannotRename::NotBound { name, range, by })
            }
        }
    }

    fn slot_of(&self, binding: BindingId) -> Slot {
        let scope = self.ir.scopes[self.ir.binding(binding).scope.index()];
        match (self.ir.binding(binding).kind, scope.owner) {
            (BindingKind::Formal, _) => Slot::Formal(binding),
            (_, ScopeOwner::Set(set)) if scope.kind == ScopeKind::Rec => {
                let at = binding.0 - scope.bindings.start;
                Slot::Attr(set, self.ir.set(set).attrs.start + at)
            }
            _ => Slot::Variable(binding),
        }
    }

    fn parameter(&self, node: NodeId) -> Option<Slot> {
        let bindings = (0..self.ir.bindings.len() as u32).map(BindingId);
        let mut named = bindings.filter(|&id| {
            let binding = self.ir.binding(id);
            binding.is_parameter() && binding.name == node
        });
        named.next().map(|id| self.slot_of(id))
    }

    /// What a name in a binding or `inherit` defines.
    fn spelled(&self, node: Node<'_>) -> Option<Slot> {
        let (set, attr) = *self.spellings.of_node.get(&node.id())?;
        match self.binding_of(set, attr) {
            Some(binding) => Some(self.slot_of(binding)),
            None => Some(Slot::Attr(set, attr)),
        }
    }

    /// The name that an attribute of a `let` or a recursive set is visible by.
    fn binding_of(&self, set: SetId, attr: u32) -> Option<BindingId> {
        let set = self.ir.set(set);
        let scope = self.ir.scopes[set.scope?.index()];
        Some(BindingId(scope.bindings.start + (attr - set.attrs.start)))
    }

    /// The attribute that an element of a selection's path asks for.
    fn selected(&self, element: Node<'_>) -> Option<Slot> {
        let path = element.parent()?;
        let select = path.parent()?.id();
        let exprs = (0..self.ir.exprs.len() as u32).map(ExprId);
        let (base, names) =
            exprs.filter(|&id| self.ir.node(id) == select).find_map(|id| {
                match self.ir.expr(id) {
                    Expr::Select { base, path, .. } | Expr::HasAttr { base, path } => {
                        Some((base, path))
                    }
                    _ => None,
                }
            })?;
        let at = path.children().position(|child| child == element)?;
        let mut value = base;
        for name in &self.ir.path(names)[..at] {
            let PathElement::Name(symbol) = name else { return None };
            value = match self.member(value, self.ir.symbol(*symbol))? {
                Slot::Attr(_, attr) => self.ir.attrs[attr as usize].value,
                _ => return None,
            };
        }
        self.member(value, &literal::attr_name(element)?)
    }

    /// The attribute of a value, where it can be told what that is.
    fn member(&self, mut value: ExprId, name: &str) -> Option<Slot> {
        for _ in 0..64 {
            match self.ir.expr(value) {
                Expr::AttrSet(set) => {
                    return self.names.get(set, name).map(|attr| Slot::Attr(set, attr));
                }
                Expr::Let { body, .. } => value = body,
                Expr::Var { target: Target::Local(binding), .. } => {
                    if let Some(attr) = self.ir.binding_attr(binding) {
                        value = attr.value;
                        continue;
                    }
                    let is_at = self.ir.binding(binding).kind == BindingKind::At;
                    let scope = self.ir.binding(binding).scope;
                    let mut formals = self.ir.scope_bindings(scope).filter(|&other| {
                        let other = self.ir.binding(other);
                        other.kind == BindingKind::Formal && self.ir.symbol(other.symbol) == name
                    });
                    return formals.next().filter(|_| is_at).map(Slot::Formal);
                }
                Expr::Select { base, path, default: Expr::NO_DEFAULT } => {
                    let [PathElement::Name(symbol)] = self.ir.path(path) else { return None };
                    match self.member_once(base, self.ir.symbol(*symbol))? {
                        Slot::Attr(_, attr) => value = self.ir.attrs[attr as usize].value,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        None
    }

    /// Like [`member`](Self::member), of a set that a name stands for: selections are not looked
    /// through again, so that chains of them cost what they are long.
    fn member_once(&self, base: ExprId, name: &str) -> Option<Slot> {
        match self.ir.expr(base) {
            Expr::Var { target: Target::Local(binding), .. } => {
                match self.ir.expr(self.ir.binding_attr(binding)?.value) {
                    Expr::AttrSet(set) => self.names.get(set, name).map(|it| Slot::Attr(set, it)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Finds all that has to be called as `first` is.
    pub(super) fn run(&mut self, first: Slot, old: &str, new: &str) -> Result<(), CannotRename> {
        old.clone_into(&mut self.old);
        new.clone_into(&mut self.new);
        self.todo.push(first);
        let mut n_steps = 0;
        loop {
            if let Some(slot) = self.todo.pop() {
                if self.slots.insert(slot) {
                    self.take(slot)?;
                }
                continue;
            }
            let Some(flow) = self.flows.pop() else { break };
            if !self.seen.insert(flow.clone()) {
                continue;
            }
            n_steps += 1;
            if n_steps > MOST_STEPS || flow.path.len() > MOST_NAMES {
                self.escape(flow.expr, Why::HandedOn);
                continue;
            }
            self.follow(flow);
        }
        Ok(())
    }

    /// Notes where a thing is named, and what has to be followed for it.
    fn take(&mut self, slot: Slot) -> Result<(), CannotRename> {
        match slot {
            Slot::Variable(binding) => {
                match self.ir.scopes[self.ir.binding(binding).scope.index()].owner {
                    ScopeOwner::Set(set) => {
                        let bindings = self.ir.scopes[self.ir.binding(binding).scope.index()];
                        let at = binding.0 - bindings.bindings.start;
                        self.define(self.ir.set(set).attrs.start + at);
                    }
                    ScopeOwner::Lambda(_) => self.define_parameter(binding)?,
                }
                self.use_variable(binding)
            }
            Slot::Formal(binding) => {
                self.define_parameter(binding)?;
                self.use_variable(binding)?;
                self.follow_function(binding);
                Ok(())
            }
            Slot::Attr(set, attr) => self.take_attr(set, attr),
        }
    }

    fn take_attr(&mut self, set: SetId, attr: u32) -> Result<(), CannotRename> {
        self.define(attr);
        if let Some(computed) = self.ir.set_dynamics(set).first() {
            return Err(CannotRename::Computed(self.tree.node(computed.node).range()));
        }
        if let Some(binding) = self.binding_of(set, attr) {
            let overrides = self.names.get(set, "__overrides");
            if let Some(overrides) = overrides {
                let node = self.ir.attrs[overrides as usize].name;
                return Err(CannotRename::Computed(self.tree.node(node).range()));
            }
            self.use_variable(binding)?;
        }
        match self.set_exprs[set.index()] {
            // A set that is written out where a function is called goes nowhere else.
            Some(expr) if !self.is_argument(expr) => self.flow(expr, Vec::new(), Wanted::Attr),
            // The old `let`: only what it is about is asked for.
            None if self.old == "body" => return Err(CannotRename::Reserved(self.old.clone())),
            _ => {}
        }
        Ok(())
    }

    fn is_argument(&self, expr: ExprId) -> bool {
        let Context::Part(call) = self.contexts[expr.index()] else { return false };
        let Expr::Apply(list) = self.ir.expr(call) else { return false };
        let [function, argument, ..] = *self.ir.list(list) else { return false };
        let call = Flow { expr: function, path: Vec::new(), wanted: Wanted::Calls };
        argument == expr && self.seen.contains(&call)
    }

    fn define(&mut self, attr: u32) {
        for &node in self.spellings.of_attr.get(&attr).into_iter().flatten() {
            let range = self.tree.node(node).range();
            self.occurrences.entry(range).or_default().push(Role::Definition);
        }
    }

    fn define_parameter(&mut self, binding: BindingId) -> Result<(), CannotRename> {
        let node = self.tree.node(self.ir.binding(binding).name);
        let name = node.own_token(TokenKind::Ident);
        let range = name.ok_or(CannotRename::Spoken(node.range()))?.range();
        self.occurrences.entry(range).or_default().push(Role::Definition);
        Ok(())
    }

    fn use_variable(&mut self, binding: BindingId) -> Result<(), CannotRename> {
        for &id in self.uses.of(binding) {
            let node = self.tree.node(self.ir.node(id));
            let is_inherited = node.parent().is_some_and(|it| it.kind() == NodeKind::Inherit);
            if node.kind() != NodeKind::Ident && !is_inherited {
                return Err(CannotRename::Spoken(node.range()));
            }
            self.occurrences.entry(node.range()).or_default().push(Role::Use);
        }
        Ok(())
    }

    /// A place that asks for an attribute of a set that has the one with the old name.
    fn ask(&mut self, name: &str, node: NodeId) {
        if name != self.old {
            if name == self.new {
                self.asks_for_new = self.asks_for_new.or(Some(node));
            }
            return;
        }
        if self.reads.insert(node) {
            let range = self.tree.node(node).range();
            self.occurrences.entry(range).or_default().push(Role::Use);
        }
    }

    fn follow_function(&mut self, binding: BindingId) {
        let ScopeOwner::Lambda(lambda) =
            self.ir.scopes[self.ir.binding(binding).scope.index()].owner
        else {
            return;
        };
        if let Some(expr) = self.lambda_exprs[lambda.index()] {
            self.flow(expr, Vec::new(), Wanted::Calls);
        }
        if let Some(named) = self.at_name(lambda) {
            for at in 0..self.uses.of(named).len() {
                let expr = self.uses.of(named)[at];
                self.flow(expr, Vec::new(), Wanted::Attr);
            }
        }
    }

    fn at_name(&self, lambda: LambdaId) -> Option<BindingId> {
        let lambda = self.ir.lambda(lambda);
        let first = self.ir.scope_bindings(lambda.scope).next()?;
        (lambda.has_pattern && lambda.has_name).then_some(first)
    }

    fn flow(&mut self, expr: ExprId, path: Vec<Box<str>>, wanted: Wanted) {
        self.flows.push(Flow { expr, path, wanted });
    }

    fn escape(&mut self, at: ExprId, why: Why) {
        let range = self.tree.node(self.ir.node(at)).range();
        self.escapes.entry(range).or_insert(why);
    }

    /// Goes one step with a value.
    fn follow(&mut self, flow: Flow) {
        match self.contexts[flow.expr.index()] {
            Context::Root => self.escape(flow.expr, Why::Given),
            Context::Value(set, attr) => self.follow_value(&flow, set, attr),
            Context::Source(source) => self.follow_source(&flow, source),
            Context::Part(outer) => self.follow_part(flow, outer),
        }
    }

    fn follow_value(&mut self, flow: &Flow, set: SetId, attr: u32) {
        if let Some(binding) = self.binding_of(set, attr) {
            for at in 0..self.uses.of(binding).len() {
                let expr = self.uses.of(binding)[at];
                self.flow(expr, flow.path.clone(), flow.wanted);
            }
        }
        let is_let = self
            .ir
            .set(set)
            .scope
            .is_some_and(|scope| self.ir.scopes[scope.index()].kind == ScopeKind::Let);
        let name = self.ir.symbol(self.ir.attrs[attr as usize].symbol);
        match self.set_exprs[set.index()] {
            Some(expr) => {
                let mut path = flow.path.clone();
                path.push(name.into());
                self.flow(expr, path, flow.wanted);
            }
            None if !is_let && name == "body" => self.escape(flow.expr, Why::HandedOn),
            None => {}
        }
    }

    fn follow_source(&mut self, flow: &Flow, source: SourceId) {
        let ir = self.ir;
        for at in self.inherited.get(&source).cloned().unwrap_or_default() {
            let attr = ir.attrs[at as usize];
            let name = ir.symbol(attr.symbol);
            match flow.path.last() {
                None if flow.wanted == Wanted::Attr => self.ask(name, attr.name),
                Some(first) if **first == *name => {
                    let path = flow.path[..flow.path.len() - 1].to_vec();
                    self.flow(attr.value, path, flow.wanted);
                }
                _ => {}
            }
        }
    }

    fn follow_part(&mut self, flow: Flow, outer: ExprId) {
        match self.ir.expr(outer) {
            Expr::Select { base, path, default } if base == flow.expr => {
                if let Some(rest) = self.follow_selection(flow, outer, path) {
                    match default {
                        Expr::NO_DEFAULT => self.flows.push(rest),
                        // What asks for the attribute may ask the default for it.
                        _ => self.escape(outer, Why::HandedOn),
                    }
                }
            }
            Expr::HasAttr { base, path } if base == flow.expr => {
                self.follow_selection(flow, outer, path);
            }
            Expr::Let { .. } | Expr::Assert { .. } if !self.is_condition(outer, flow.expr) => {
                self.flow(outer, flow.path, flow.wanted);
            }
            Expr::With(with) if self.ir.with(with).body == flow.expr => {
                self.flow(outer, flow.path, flow.wanted);
            }
            Expr::With(_) => self.escape(flow.expr, Why::With),
            Expr::Apply(list) if flow.wanted == Wanted::Calls && flow.path.is_empty() => {
                match *self.ir.list(list) {
                    [function, argument, ..] if function == flow.expr => {
                        self.follow_call(argument);
                    }
                    _ => self.escape(flow.expr, Why::HandedOn),
                }
            }
            Expr::Apply(list) if flow.path.is_empty() => {
                match self.parameter_for(list, flow.expr) {
                    Some(slot) => self.todo.push(slot),
                    None => self.escape(flow.expr, Why::HandedOn),
                }
            }
            _ => self.escape(flow.expr, Why::HandedOn),
        }
    }

    /// The parameter that an attribute of the argument of a call is for.
    fn parameter_for(&self, call: List, argument: ExprId) -> Option<Slot> {
        let [function, first, ..] = *self.ir.list(call) else { return None };
        let value = match self.ir.expr(function) {
            Expr::Var { target: Target::Local(binding), .. } => {
                self.ir.binding_attr(binding)?.value
            }
            Expr::Select { base, path, default: Expr::NO_DEFAULT } => {
                let [PathElement::Name(name)] = self.ir.path(path) else { return None };
                match self.member_once(base, self.ir.symbol(*name))? {
                    Slot::Attr(_, attr) => self.ir.attrs[attr as usize].value,
                    _ => return None,
                }
            }
            _ => function,
        };
        let Expr::Lambda(lambda) = self.ir.expr(value) else { return None };
        let mut formals = self.ir.lambda_formals(lambda).iter().map(|formal| formal.binding);
        let name = |binding: BindingId| self.ir.symbol(self.ir.binding(binding).symbol);
        let formal = formals.find(|&binding| name(binding) == self.old);
        formal.filter(|_| first == argument).map(Slot::Formal)
    }

    fn is_condition(&self, outer: ExprId, part: ExprId) -> bool {
        matches!(self.ir.expr(outer), Expr::Assert { condition, .. } if condition == part)
    }

    /// Goes along the path of a selection; answers what is left if all of it leads to the value.
    fn follow_selection(&mut self, flow: Flow, outer: ExprId, path: PathId) -> Option<Flow> {
        let ir = self.ir;
        let mut rest = flow.path;
        for (at, element) in ir.path(path).iter().enumerate() {
            let PathElement::Name(symbol) = element else {
                self.escape(outer, Why::Computed);
                return None;
            };
            let name = ir.symbol(*symbol);
            match rest.pop() {
                Some(first) if *first == *name => {}
                Some(_) => return None,
                None => {
                    if flow.wanted == Wanted::Attr {
                        let holder = self.tree.node(ir.node(outer));
                        let names = holder.child_of_kind(NodeKind::AttrPath);
                        let node = names.and_then(|names| names.child(at));
                        node.into_iter().for_each(|node| self.ask(name, node.id()));
                    }
                    return None;
                }
            }
        }
        Some(Flow { expr: outer, path: rest, wanted: flow.wanted })
    }

    /// A call of the function whose parameter gets the new name.
    fn follow_call(&mut self, argument: ExprId) {
        let Expr::AttrSet(set) = self.ir.expr(argument) else {
            return self.escape(argument, Why::Called);
        };
        if !self.ir.set_dynamics(set).is_empty() {
            return self.escape(argument, Why::Computed);
        }
        if let Some(attr) = self.names.get(set, &self.old) {
            self.todo.push(Slot::Attr(set, attr));
        }
        self.calls.push(set);
    }

    /// Errors: something beside what gets the new name has it already.
    pub(super) fn check_free(&self, new: &str) -> Result<(), CannotRename> {
        for slot in &self.slots {
            let taken = match *slot {
                Slot::Attr(set, _) => self.attr_named(set, new),
                Slot::Variable(binding) | Slot::Formal(binding) => {
                    let scope = self.ir.binding(binding).scope;
                    let mut others = self.ir.scope_bindings(scope);
                    others
                        .find(|&other| self.ir.symbol(self.ir.binding(other).symbol) == new)
                        .map(|other| self.ir.binding(other).name)
                }
            };
            if let Some(node) = taken {
                return Err(self.there(node, new));
            }
            if let (Slot::Attr(set, _), "__overrides" | "body") = (*slot, new)
                && self.ir.set(set).scope.is_some()
                && (new == "__overrides" || self.set_exprs[set.index()].is_none())
            {
                return Err(CannotRename::Reserved(new.to_owned()));
            }
        }
        if let Some(node) = self.asks_for_new {
            let range = self.tree.node(node).range();
            return Err(CannotRename::Hides { name: new.to_owned(), range });
        }
        // What is passed under the new name would reach the parameter from now on.
        let passed = self.calls.iter().find_map(|&set| self.attr_named(set, new));
        passed.map_or(Ok(()), |node| Err(self.there(node, new)))
    }

    fn attr_named(&self, set: SetId, name: &str) -> Option<NodeId> {
        self.names.get(set, name).map(|attr| self.ir.attrs[attr as usize].name)
    }

    fn there(&self, node: NodeId, name: &str) -> CannotRename {
        let range = self.tree.node(node).range();
        CannotRename::AlreadyThere { name: name.to_owned(), range }
    }
}

/// Where every expression stands.
fn contexts(ir: &Ir) -> Vec<Context> {
    let mut contexts = vec![Context::Root; ir.exprs.len()];
    let mut children = Vec::new();
    for id in (0..ir.exprs.len() as u32).map(ExprId) {
        ir.children(id, &mut children);
        for child in children.drain(..) {
            contexts[child.index()] = Context::Part(id);
        }
    }
    for set in (0..ir.sets.len() as u32).map(SetId) {
        for attr in ir.set(set).attrs.range() {
            contexts[ir.attrs[attr].value.index()] = Context::Value(set, attr as u32);
        }
        for source in ir.set(set).sources.range() {
            let expr = ir.source(SourceId(source as u32)).expr;
            contexts[expr.index()] = Context::Source(SourceId(source as u32));
        }
    }
    contexts
}
