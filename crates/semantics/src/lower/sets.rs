//! Attribute sets: dotted names, merging, duplicates.
//!
//! Nix merges `a.b = 1; a = { c = 2; };` into one set while parsing, before names are resolved, so
//! which scope a value sees depends on the merged shape. Lowering a set therefore first groups all
//! its entries by their first name; a group of several entries must consist of sets only and
//! becomes one nested set, whose recursiveness is that of its first part.

use cim_nix_base::{Diagnostic, Severity, TextRange};
use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind, Tree};

use super::Lowerer;
use crate::codes;
use crate::ir::{
    Attr, AttrKind, Binding, BindingKind, DynamicAttr, Expr, ExprId, Merge, Scope, ScopeId,
    ScopeKind, ScopeOwner, Set, SetId, Source, SourceId, Span, Symbol,
};

const NONE: u32 = u32::MAX;

/// One entry on its way into a set.
#[derive(Clone, Copy)]
struct Item {
    /// The attribute name that this set is to hold.
    name: NodeId,
    /// One past the last node of the attribute path that `name` belongs to; 0 for `inherit`.
    path_end: u32,
    /// The value of the binding; unused for `inherit`.
    value: NodeId,
    /// Which of the set's sources an inherited name comes from; [`NONE`] for the scope around.
    source: u32,
    /// The next item of the same group.
    next: u32,
}

impl Item {
    fn is_inherit(self) -> bool {
        self.path_end == 0
    }

    /// Whether more names follow in the path.
    fn is_dotted(self, tree: &Tree) -> bool {
        !self.is_inherit() && tree.node(self.name).subtree_end() < self.path_end
    }
}

/// The entries of a set that share their first name.
#[derive(Clone, Copy)]
struct Group {
    symbol: Symbol,
    first: u32,
    last: u32,
}

/// Buffers for grouping; all are stacks, since sets nest.
#[derive(Default)]
pub(super) struct Grouping {
    items: Vec<Item>,
    groups: Vec<Group>,
    dynamics: Vec<Item>,
    sources: Vec<NodeId>,
    /// Values of duplicates: part of no set, but looked into for what is wrong in them.
    refused: Vec<NodeId>,
    /// For each symbol: the epoch that claimed it last, and for what.
    claims: Vec<(u32, u32)>,
    epoch: u32,
}

impl Grouping {
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.groups.clear();
        self.dynamics.clear();
        self.sources.clear();
        self.refused.clear();
        self.claims.clear();
        self.epoch = 0;
    }

    pub(super) fn next_epoch(&mut self) -> u32 {
        self.epoch += 1;
        self.epoch
    }

    /// Claims `symbol` for `value`; tells what it was claimed for before in this epoch.
    pub(super) fn claim(&mut self, symbol: Symbol, epoch: u32, value: u32) -> Option<u32> {
        if self.claims.len() <= symbol.index() {
            self.claims.resize(symbol.index() + 1, (0, 0));
        }
        let slot = &mut self.claims[symbol.index()];
        if slot.0 == epoch {
            return Some(slot.1);
        }
        *slot = (epoch, value);
        None
    }
}

/// Where the stacks stood when a set began.
#[derive(Clone, Copy)]
struct Frame {
    items: usize,
    groups: usize,
    dynamics: usize,
    sources: usize,
    refused: usize,
}

/// How the names of a set are visible.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Rec,
    Let,
}

impl Lowerer {
    fn frame(&self) -> Frame {
        Frame {
            items: self.grouping.items.len(),
            groups: self.grouping.groups.len(),
            dynamics: self.grouping.dynamics.len(),
            sources: self.grouping.sources.len(),
            refused: self.grouping.refused.len(),
        }
    }

    fn drop_frame(&mut self, frame: Frame) {
        self.grouping.items.truncate(frame.items);
        self.grouping.groups.truncate(frame.groups);
        self.grouping.dynamics.truncate(frame.dynamics);
        self.grouping.sources.truncate(frame.sources);
        self.grouping.refused.truncate(frame.refused);
    }

    /// Lowers a literal set.
    pub(super) fn set(&mut self, node: Node<'_>, is_rec: bool) -> SetId {
        let frame = self.frame();
        self.collect(node, frame.sources);
        let shape = if is_rec { Shape::Rec } else { Shape::Plain };
        let (id, scope) = self.open_set(node, shape, frame);
        self.close_set(scope, frame);
        id
    }

    pub(super) fn let_in(&mut self, node: Node<'_>) -> ExprId {
        let frame = self.frame();
        self.collect(node, frame.sources);
        let (set, scope) = self.open_set(node, Shape::Let, frame);
        let body = self.body(node);
        self.close_set(scope, frame);
        self.push(Expr::Let { set, body }, node.id())
    }

    /// Pushes the entries of a literal set or `let`. `sources` is where the receiving set's own
    /// sources begin.
    fn collect(&mut self, node: Node<'_>, sources: usize) {
        for entry in node.children() {
            match entry.kind() {
                NodeKind::Binding => self.collect_binding(entry),
                NodeKind::Inherit => self.collect_inherit(entry, sources),
                _ => {}
            }
        }
    }

    fn collect_binding(&mut self, entry: Node<'_>) {
        let mut parts = entry.children();
        let (Some(path), Some(value)) = (parts.next(), parts.next()) else { return };
        let Some(name) = path.children().next() else { return };
        let path_end = path.subtree_end();
        let (name, value) = (name.id(), value.id());
        self.grouping.items.push(Item { name, path_end, value, source: NONE, next: NONE });
    }

    fn collect_inherit(&mut self, entry: Node<'_>, sources: usize) {
        let mut source = NONE;
        for child in entry.children() {
            if child.kind() == NodeKind::InheritFrom {
                source = (self.grouping.sources.len() - sources) as u32;
                self.grouping.sources.push(child.id());
                continue;
            }
            let (name, value) = (child.id(), child.id());
            self.grouping.items.push(Item { name, path_end: 0, value, source, next: NONE });
        }
    }

    /// Groups the items since `frame`, declares the set's names and lowers all its values. The
    /// scope that it returns, if any, is still open.
    fn open_set(&mut self, node: Node<'_>, shape: Shape, frame: Frame) -> (SetId, Option<usize>) {
        let tree = node.tree();
        self.group(tree, shape, frame);
        let id = SetId(self.sets.len() as u32);
        let n_attrs = self.grouping.groups.len() - frame.groups;
        let attrs = Span { start: self.attrs.len() as u32, len: n_attrs as u32 };
        let scope = (shape != Shape::Plain).then_some(ScopeId(self.scopes.len() as u32));
        let empty = Span::default();
        let sources = Span::default();
        self.sets.push(Set { node: node.id(), scope, attrs, dynamics: empty, sources });
        let first_binding = self.bindings.len() as u32;
        for at in frame.groups..frame.groups + n_attrs {
            let group = self.grouping.groups[at];
            let item = self.grouping.items[group.first as usize];
            let kind = attr_kind(item, group.first == group.last, tree);
            let Item { name, .. } = item;
            self.attrs.push(Attr { symbol: group.symbol, kind, name, value: ExprId(0) });
            if let Some(scope) = scope {
                let kind = binding_kind(kind, shape);
                self.bindings.push(Binding { symbol: group.symbol, kind, scope, name });
            }
        }
        // `inherit x;` means the `x` outside, so it is looked up before the scope opens.
        self.lower_inherited(tree, attrs, frame);
        let mark = scope.map(|_| {
            let bindings = Span { start: first_binding, len: n_attrs as u32 };
            let kind = if shape == Shape::Let { ScopeKind::Let } else { ScopeKind::Rec };
            let owner = ScopeOwner::Set(id);
            self.scopes.push(Scope { kind, owner, node: node.id(), bindings });
            self.enter(bindings)
        });
        let sources = self.lower_sources(tree, frame);
        self.sets[id.index()].sources = sources;
        for at in 0..n_attrs {
            let attr = attrs.start as usize + at;
            if self.attrs[attr].kind != AttrKind::Inherited {
                let value = self.attr_value(tree, attr, frame.groups + at, sources);
                self.attrs[attr].value = value;
            }
        }
        self.sets[id.index()].dynamics = self.lower_dynamics(tree, frame);
        for at in frame.refused..self.grouping.refused.len() {
            self.expr(tree.node(self.grouping.refused[at]));
        }
        (id, mark)
    }

    fn close_set(&mut self, scope: Option<usize>, frame: Frame) {
        if let Some(mark) = scope {
            self.leave(mark);
        }
        self.drop_frame(frame);
    }

    /// Sorts the items since `frame` into groups and computed names.
    fn group(&mut self, tree: &Tree, shape: Shape, frame: Frame) {
        let epoch = self.grouping.next_epoch();
        for at in frame.items..self.grouping.items.len() {
            let item = self.grouping.items[at];
            let name = tree.node(item.name);
            let Some(symbol) = self.static_name(name) else {
                self.dynamic_item(item, name, shape);
                continue;
            };
            let group = self.grouping.groups.len() as u32;
            match self.grouping.claim(symbol, epoch, group) {
                None => {
                    let at = at as u32;
                    self.grouping.groups.push(Group { symbol, first: at, last: at });
                }
                Some(group) => self.join(tree, group as usize, at as u32),
            }
        }
    }

    fn dynamic_item(&mut self, item: Item, name: Node<'_>, shape: Shape) {
        let place = match (item.is_inherit(), shape) {
            (true, _) => "`inherit`",
            (false, Shape::Let) => "`let`",
            _ => {
                self.grouping.dynamics.push(item);
                return;
            }
        };
        if name.kind() != NodeKind::Error {
            let message = format!("a computed attribute name cannot stand in {place}");
            let code = codes::DYNAMIC_NAME;
            self.problems.push(Diagnostic::new(code, Severity::Error, name.range(), message));
        }
        if !item.is_inherit() {
            self.grouping.dynamics.push(item);
        }
    }

    /// Adds an item to a group whose name it repeats, if the two can be merged.
    fn join(&mut self, tree: &Tree, group: usize, at: u32) {
        let Group { symbol, first, last } = self.grouping.groups[group];
        let (old, new) = (self.grouping.items[first as usize], self.grouping.items[at as usize]);
        if part_of_set(old, tree).is_none() || part_of_set(new, tree).is_none() {
            if !new.is_inherit() {
                self.grouping.refused.push(new.value);
            }
            return self.duplicate(
                symbol,
                path_to(tree.node(new.name)),
                path_to(tree.node(old.name)),
            );
        }
        let (first_is_rec, second_is_rec) = (is_rec(old, tree), is_rec(new, tree));
        if first_is_rec != second_is_rec {
            let part = |item: Item| part_of_set(item, tree).unwrap_or(item.name);
            self.merges.push(Merge { first: part(old), second: part(new), first_is_rec });
        }
        self.grouping.items[last as usize].next = at;
        self.grouping.groups[group].last = at;
    }

    fn duplicate(&mut self, symbol: Symbol, range: TextRange, earlier: TextRange) {
        let name = self.symbols.name(symbol);
        let message = format!("the attribute `{name}` is defined twice");
        self.problems.push(
            Diagnostic::new(codes::DUPLICATE, Severity::Error, range, message)
                .label(earlier, "first defined here"),
        );
    }

    fn lower_inherited(&mut self, tree: &Tree, attrs: Span, frame: Frame) {
        for at in 0..attrs.len as usize {
            let group = self.grouping.groups[frame.groups + at];
            let item = self.grouping.items[group.first as usize];
            if item.is_inherit() && item.source == NONE {
                let target = self.resolve(group.symbol);
                let node = tree.node(item.name).id();
                let value = self.push(Expr::Var { symbol: group.symbol, target }, node);
                self.attrs[attrs.start as usize + at].value = value;
            }
        }
    }

    fn lower_sources(&mut self, tree: &Tree, frame: Frame) -> Span {
        let start = self.pending.len();
        for at in frame.sources..self.grouping.sources.len() {
            let source = self.first_expr(tree.node(self.grouping.sources[at]));
            self.pending.push(source);
        }
        let first = self.sources.len() as u32;
        let nodes = self.grouping.sources[frame.sources..].iter();
        let exprs = self.pending.drain(start..);
        self.sources.extend(nodes.zip(exprs).map(|(&node, expr)| Source { node, expr }));
        Span { start: first, len: self.sources.len() as u32 - first }
    }

    /// Lowers the value of attribute number `attr`, which comes from group number `group`.
    fn attr_value(&mut self, tree: &Tree, attr: usize, group: usize, sources: Span) -> ExprId {
        let Group { symbol, first, .. } = self.grouping.groups[group];
        let item = self.grouping.items[first as usize];
        match self.attrs[attr].kind {
            AttrKind::Nested => self.nested_set(tree, first),
            AttrKind::InheritedFrom => {
                let source = SourceId(sources.start + item.source);
                self.push(Expr::InheritFrom { source, symbol }, item.name)
            }
            _ => self.expr(tree.node(item.value)),
        }
    }

    /// Lowers the set that a chain of items makes together.
    fn nested_set(&mut self, tree: &Tree, first: u32) -> ExprId {
        let name = tree.node(self.grouping.items[first as usize].name);
        self.nested(name, |lowerer| lowerer.nested_here(tree, first))
    }

    fn nested_here(&mut self, tree: &Tree, first: u32) -> ExprId {
        let frame = self.frame();
        let head = self.grouping.items[first as usize];
        let mut at = first;
        while at != NONE {
            let item = self.grouping.items[at as usize];
            at = item.next;
            if item.is_dotted(tree) {
                let name = NodeId(tree.node(item.name).subtree_end());
                self.grouping.items.push(Item { name, next: NONE, ..item });
            } else if let Some(part) = part_of_set(item, tree) {
                self.collect(tree.node(part), frame.sources);
            }
        }
        let shape = if is_rec(head, tree) { Shape::Rec } else { Shape::Plain };
        let node = part_of_set(head, tree).unwrap_or(head.name);
        let (set, scope) = self.open_set(tree.node(node), shape, frame);
        self.close_set(scope, frame);
        self.push(Expr::AttrSet(set), node)
    }

    fn lower_dynamics(&mut self, tree: &Tree, frame: Frame) -> Span {
        let n_dynamics = self.grouping.dynamics.len() - frame.dynamics;
        let start = self.pending.len();
        for at in frame.dynamics..frame.dynamics + n_dynamics {
            let item = self.grouping.dynamics[at];
            let name = self.dynamic_name(tree.node(item.name));
            let value = if item.is_dotted(tree) {
                let first = self.grouping.items.len() as u32;
                self.grouping.items.push(Item { next: NONE, ..item });
                self.nested_set(tree, first)
            } else {
                self.expr(tree.node(item.value))
            };
            self.pending.push(name);
            self.pending.push(value);
        }
        let span = Span { start: self.dynamics.len() as u32, len: n_dynamics as u32 };
        let pairs = self.pending[start..].chunks_exact(2);
        let items = self.grouping.dynamics[frame.dynamics..].iter();
        self.dynamics.extend(items.zip(pairs).map(|(item, pair)| DynamicAttr {
            node: item.name,
            name: pair[0],
            value: pair[1],
        }));
        self.pending.truncate(start);
        span
    }
}

/// A name with what stands in front of it in its attribute path: where Nix, too, sees a definition.
fn path_to(name: Node<'_>) -> TextRange {
    match name.parent() {
        Some(path) if path.kind() == NodeKind::AttrPath => {
            TextRange::new(path.range().start, name.range().end)
        }
        _ => name.range(),
    }
}

/// The node of the set that an item contributes: the literal, or the name of a dotted path; `None`
/// for anything that is not a set to the parser.
fn part_of_set(item: Item, tree: &Tree) -> Option<NodeId> {
    if item.is_inherit() {
        return None;
    }
    if item.is_dotted(tree) {
        return Some(item.name);
    }
    let mut value = tree.node(item.value);
    while value.kind() == NodeKind::Paren {
        value = value.children().find(|child| child.kind().is_expr())?;
    }
    (value.kind() == NodeKind::AttrSet).then_some(value.id())
}

fn is_rec(item: Item, tree: &Tree) -> bool {
    !item.is_dotted(tree)
        && part_of_set(item, tree)
            .is_some_and(|part| tree.node(part).own_token(TokenKind::Rec).is_some())
}

fn attr_kind(item: Item, is_single: bool, tree: &Tree) -> AttrKind {
    if item.is_inherit() {
        return if item.source == NONE { AttrKind::Inherited } else { AttrKind::InheritedFrom };
    }
    if !is_single || item.is_dotted(tree) { AttrKind::Nested } else { AttrKind::Plain }
}

fn binding_kind(kind: AttrKind, shape: Shape) -> BindingKind {
    match (kind, shape == Shape::Let) {
        (AttrKind::Inherited, true) => BindingKind::LetInherit,
        (AttrKind::Inherited, false) => BindingKind::RecInherit,
        (AttrKind::InheritedFrom, true) => BindingKind::LetInheritFrom,
        (AttrKind::InheritedFrom, false) => BindingKind::RecInheritFrom,
        (_, true) => BindingKind::Let,
        (_, false) => BindingKind::Rec,
    }
}
