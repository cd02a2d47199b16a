//! From the IR of a file to code with slots.

mod update;

use cim_nix_semantics::{
    AttrKind, BinaryOp, BindingId, Expr as Ir, ExprId, Ir as File, LambdaId, List, PathElement,
    PathId, ScopeId, SetId, SourceId, Symbol as Name, Target, WithId,
};
use cim_nix_syntax::literal::{self, StrPart};
use cim_nix_syntax::{NodeId, NodeKind, Tree};

use crate::attrs::Attrs;
use crate::code::{
    AssertCode, BinaryCode, CallCode, Code, Dynamic, Expr, FailCode, Formal, HasCode, IfCode,
    JoinCode, Lambda, LetCode, Op, Pattern, Pos, Select1, SelectCode, SetCode, Source, Step,
    WithCode, WithName,
};
use crate::evaluator::Evaluator;
use crate::load::encode;
use crate::paths;
use crate::symbols::{Symbol, known};
use crate::value::Value;

/// What a slot can hold: the number of a binding, a `with` or an inherited-from set, in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u32);

/// A frame while its code is linked: that of the file, of a function or of a thunk.
#[derive(Default)]
struct Frame {
    captures: Vec<Key>,
    n_slots: u32,
}

/// A file to be linked.
pub(crate) struct Input<'a> {
    pub(crate) ir: &'a File,
    pub(crate) tree: &'a Tree,
    /// The folder that relative paths start from, absolute.
    pub(crate) folder: &'a [u8],
    /// The position of the file's first byte.
    pub(crate) base: Pos,
    /// What `scopedImport` puts in front of the base environment.
    pub(crate) scope: Option<Attrs>,
    /// Whether characters stand for bytes that are no UTF-8.
    pub(crate) has_stand_ins: bool,
}

struct Linker<'a> {
    ev: &'a Evaluator,
    input: Input<'a>,
    symbols: Vec<Symbol>,
    frames: Vec<Frame>,
    /// Buffers of frames that were closed.
    spare: Vec<Vec<Key>>,
    /// The frame and slot that each key lives in.
    homes: Vec<(u32, u32)>,
    /// Attributes of the sets that are being linked, those of inner ones behind those of outer ones.
    attrs: Vec<(Symbol, Pos, Expr)>,
    /// Names and positions of one set.
    keys: Vec<Symbol>,
    positions: Vec<Pos>,
}

/// In [`Linker::homes`]: not bound yet.
const NOWHERE: (u32, u32) = (u32::MAX, 0);

/// Links a whole file.
pub(crate) fn link(ev: &Evaluator, input: Input<'_>) -> &'static Code {
    let symbol = |text: &str| match input.has_stand_ins {
        true => ev.symbol(&encode(text)),
        false => ev.symbol(text.as_bytes()),
    };
    let mut symbols = vec![known::TYPE; input.ir.symbol_count()];
    for name in crate::naming::in_order(input.tree, input.ir) {
        symbols[name.index()] = symbol(input.ir.symbol(name));
    }
    let root = input.ir.root();
    let n_keys = input.ir.bindings.len() + input.ir.withs.len() + input.ir.sources.len();
    let mut linker = Linker {
        ev,
        input,
        symbols,
        frames: vec![Frame::default()],
        spare: Vec::new(),
        homes: vec![NOWHERE; n_keys],
        attrs: Vec::new(),
        keys: Vec::new(),
        positions: Vec::new(),
    };
    let body = linker.expr(root);
    let (captures, n_slots) = linker.close();
    ev.heap.keep_any(Code { captures, n_slots, body })
}

impl<'a> Linker<'a> {
    fn keep<T>(&self, code: T) -> &'static T {
        self.ev.heap.keep_any(code)
    }

    fn keep_all<T>(&self, codes: Vec<T>) -> &'static [T] {
        self.ev.heap.keep_all(codes)
    }

    fn symbol(&self, name: Name) -> Symbol {
        self.symbols[name.index()]
    }

    fn binding_key(binding: BindingId) -> Key {
        Key(binding.0)
    }

    fn with_key(&self, with: WithId) -> Key {
        Key(self.input.ir.bindings.len() as u32 + with.0)
    }

    fn source_key(&self, source: SourceId) -> Key {
        Key((self.input.ir.bindings.len() + self.input.ir.withs.len()) as u32 + source.0)
    }

    fn level(&self) -> usize {
        self.frames.len() - 1
    }

    fn open(&mut self) {
        let captures = self.spare.pop().unwrap_or_default();
        self.frames.push(Frame { captures, n_slots: 0 });
    }

    fn frame(&mut self) -> &mut Frame {
        let level = self.level();
        &mut self.frames[level]
    }

    fn slot(&mut self) -> u32 {
        let frame = self.frame();
        frame.n_slots += 1;
        frame.n_slots - 1
    }

    fn bind(&mut self, key: Key) -> u32 {
        let slot = self.slot();
        self.homes[key.0 as usize] = (self.level() as u32, slot);
        slot
    }

    fn source_at(&mut self, key: Key, level: usize) -> Source {
        let (home, slot) = self.homes[key.0 as usize];
        debug_assert!(home != NOWHERE.0, "names are bound before their scope is linked");
        if home as usize == level {
            return Source::Slot(slot);
        }
        let captures = &mut self.frames[level].captures;
        let at = captures.iter().position(|&known| known == key).unwrap_or_else(|| {
            captures.push(key);
            captures.len() - 1
        });
        Source::Capture(at as u32)
    }

    fn source(&mut self, key: Key) -> Source {
        self.source_at(key, self.level())
    }

    fn variable(&mut self, key: Key, position: Pos) -> Expr {
        match self.source(key) {
            Source::Slot(at) => Expr::Slot(at, position),
            Source::Capture(at) => Expr::Capture(at, position),
        }
    }

    /// Ends the innermost frame: where its captures lie in the frame around it.
    fn close(&mut self) -> (&'static [Source], u32) {
        let Frame { mut captures, n_slots } = self.frames.pop().unwrap_or_default();
        if self.frames.is_empty() {
            captures.clear();
        }
        let place = self.ev.heap.keep_with(captures.len(), |at| self.source(captures[at]));
        captures.clear();
        self.spare.push(captures);
        (place, n_slots)
    }

    fn thunk(&mut self, link: impl FnOnce(&mut Self) -> Expr) -> Expr {
        self.open();
        let body = link(self);
        let (captures, n_slots) = self.close();
        Expr::Thunk(self.keep(Code { captures, n_slots, body }))
    }

    fn position(&self, node: NodeId) -> Pos {
        self.input.base + self.input.tree.node(node).range().start
    }

    fn expr_position(&self, id: ExprId) -> Pos {
        self.position(self.input.ir.node(id))
    }

    /// Where an expression stands with the parentheses around it.
    fn outer_position(&self, id: ExprId) -> Pos {
        let mut node = self.input.tree.node(self.input.ir.node(id));
        while let Some(parent) = node.parent().filter(|parent| parent.kind() == NodeKind::Paren) {
            node = parent;
        }
        self.input.base + node.range().start
    }

    /// Where a call is for Nix, which puts `(f a) b` and `f a b` into one.
    fn call_position(&self, id: ExprId) -> Pos {
        let ir = self.input.ir;
        match ir.expr(id) {
            Ir::Apply(list) => match ir.list(list).first() {
                Some(&function) if self.is_call(function) => self.call_position(function),
                // An operator that a name of the file stands for.
                _ if self.input.tree.node(ir.node(id)).kind() == NodeKind::Binary => {
                    let left = |id| match ir.expr(id) {
                        Ir::Apply(list) => ir.list(list).get(1).copied(),
                        _ => None,
                    };
                    let same = |inner: &ExprId| ir.node(*inner) == ir.node(id);
                    let n =
                        std::iter::successors(Some(id), |&id| left(id)).take_while(same).count();
                    self.operator_positions(id, n).get(n - 1).copied().unwrap_or(0)
                }
                _ => self.expr_position(id),
            },
            Ir::Binary { op, operands } => {
                let ids = ir.list(operands);
                let function = match op {
                    BinaryOp::PipeInto => ids.last(),
                    BinaryOp::PipeFrom => ids.first(),
                    _ => None,
                };
                match function {
                    Some(&function) if self.is_call(function) => self.call_position(function),
                    _ => self.operator_position(id, ids.len()),
                }
            }
            _ => self.expr_position(id),
        }
    }

    /// Whether it is a call for Nix, as some operators are.
    fn is_call(&self, id: ExprId) -> bool {
        match self.input.ir.expr(id) {
            Ir::Apply(_) | Ir::Negate(_) => true,
            Ir::Binary { op, .. } => matches!(
                op,
                BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::Div
                    | BinaryOp::Less
                    | BinaryOp::Greater
                    | BinaryOp::PipeInto
                    | BinaryOp::PipeFrom
            ),
            _ => false,
        }
    }

    /// Where the outermost operator of a chain stands.
    fn operator_position(&self, id: ExprId, n: usize) -> Pos {
        let positions = self.operator_positions(id, n);
        let is_right = matches!(
            self.input.ir.expr(id),
            Ir::Binary {
                op: BinaryOp::Concat | BinaryOp::Update | BinaryOp::Implies | BinaryOp::PipeFrom,
                ..
            }
        );
        let at = if is_right { 0 } else { n.saturating_sub(2) };
        positions.get(at).copied().unwrap_or(0)
    }

    /// The place that Nix keeps for an expression, 0 where it keeps none.
    fn own_position(&self, id: ExprId) -> Pos {
        let ir = self.input.ir;
        match ir.expr(id) {
            Ir::Int(_) | Ir::Float(_) | Ir::Text | Ir::Let { .. } | Ir::LegacyLet(_) => 0,
            Ir::Str(list) | Ir::Path(list) if list.0.len == 0 => 0,
            Ir::List(list) => ir.list(list).first().map_or(0, |&first| self.own_position(first)),
            Ir::HasAttr { base: inner, .. } | Ir::Not(inner) => self.own_position(inner),
            Ir::Binary { .. } | Ir::Apply(_) => self.call_position(id),
            _ => self.expr_position(id),
        }
    }

    /// Every level of `a.b.c = 1` stands at the start of the path.
    fn attr_position(&self, name: NodeId) -> Pos {
        let node = self.input.tree.node(name);
        let path = node.parent().filter(|parent| parent.kind() == NodeKind::AttrPath);
        self.input.base + path.unwrap_or(node).range().start
    }

    fn string(&self, text: &str) -> Value {
        if self.input.has_stand_ins {
            return self.ev.heap.string(&encode(text));
        }
        self.ev.heap.string(text.as_bytes())
    }

    /// The value of a name of the base environment.
    fn global(&self, name: Name) -> Option<Expr> {
        if let Some(value) = self.input.scope.and_then(|scope| scope.get(self.symbol(name))) {
            return Some(Expr::Shared(value));
        }
        self.ev.global(self.input.ir.symbol(name)).map(Expr::Const)
    }

    fn scoped(&self, name: Symbol) -> Option<Expr> {
        self.input.scope?.get(name).map(Expr::Shared)
    }

    /// An expression whose value may be passed on without being evaluated.
    fn lazy(&mut self, id: ExprId) -> Expr {
        match self.input.ir.expr(id) {
            Ir::Var { target: Target::Local(_), .. }
            | Ir::Int(_)
            | Ir::Float(_)
            | Ir::Text
            | Ir::Lambda(_) => self.expr(id),
            Ir::Var { symbol, .. } => match self.global(symbol) {
                Some(value) => value,
                None => self.thunk(|linker| linker.expr(id)),
            },
            Ir::Str(list) | Ir::Path(list) if list.0.len == 0 => self.expr(id),
            Ir::List(list) if list.0.len == 0 => self.expr(id),
            Ir::AttrSet(set) if self.is_empty_set(set) => self.expr(id),
            _ => self.thunk(|linker| linker.expr(id)),
        }
    }

    fn is_empty_set(&self, id: SetId) -> bool {
        let set = self.input.ir.set(id);
        set.attrs.len == 0 && set.dynamics.len == 0 && set.sources.len == 0
    }

    /// The same inside of the scope whose names are being made: a name of that scope has no value
    /// yet that could be passed on, unless it comes before `made`.
    fn lazy_in(&mut self, id: ExprId, scope: Option<ScopeId>, made: Option<Symbol>) -> Expr {
        match self.input.ir.expr(id) {
            Ir::Var { symbol, target: Target::Local(binding) }
                if Some(self.input.ir.binding(binding).scope) == scope
                    && made.is_none_or(|made| self.symbol(symbol) >= made) =>
            {
                self.thunk(|linker| linker.expr(id))
            }
            _ => self.lazy(id),
        }
    }

    fn lazies(&mut self, ids: &[ExprId]) -> &'static [Expr] {
        self.ev.heap.keep_with(ids.len(), |at| self.lazy(ids[at]))
    }

    fn ids(&self, list: List) -> &'a [ExprId] {
        self.input.ir.list(list)
    }

    fn expr(&mut self, id: ExprId) -> Expr {
        let (ir, tree) = (self.input.ir, self.input.tree);
        let node = tree.node(ir.node(id));
        let position = self.input.base + node.range().start;
        match ir.expr(id) {
            Ir::Missing => self.fail("this code is incomplete", position),
            Ir::Int(value) => Expr::Const(self.ev.heap.int(value)),
            Ir::Float(value) => Expr::Const(self.ev.heap.float(value)),
            Ir::Text => {
                let text = literal::constant_text(node).unwrap_or_default();
                Expr::Const(self.string(&text))
            }
            Ir::Str(list) => self.interpolated(id, list),
            Ir::Path(list) => self.path_literal(id, list),
            Ir::SearchPath => {
                let text = literal::search_path(node).unwrap_or_default();
                self.search_path(text, position)
            }
            Ir::CurPos => Expr::Position(position),
            Ir::Var { target: Target::Local(binding), .. } => {
                self.variable(Self::binding_key(binding), position)
            }
            Ir::Var { symbol, target: Target::Free(with) } => self.free(symbol, with, position),
            Ir::InheritFrom { source, symbol } => {
                let base = self.variable(self.source_key(source), position);
                self.select1(base, self.symbol(symbol), position)
            }
            Ir::List(list) => {
                let elements = self.lazies(self.ids(list));
                if elements.is_empty() {
                    return Expr::Const(self.ev.heap.list(&[]));
                }
                Expr::List(self.keep(elements))
            }
            Ir::Apply(list) => {
                let ids = self.ids(list);
                let function = self.expr(ids[0]);
                let arguments = self.lazies(&ids[1..]);
                let position = self.call_position(id);
                Expr::Call(self.keep(CallCode { function, arguments, position }))
            }
            Ir::Select { base, path, default } => self.select(base, path, default, position),
            Ir::HasAttr { base, path } => {
                let base = self.expr(base);
                let elements = self.input.ir.path(path);
                let path = self.ev.heap.keep_with(elements.len(), |at| self.step(elements[at]));
                Expr::Has(self.keep(HasCode { base, path }))
            }
            Ir::Lambda(lambda) => self.lambda(lambda),
            Ir::AttrSet(set) => self.set(set),
            Ir::LegacyLet(set) => {
                let base = self.set(set);
                self.select1(base, known::BODY, position)
            }
            Ir::Let { set, body } => {
                let bindings = self.declare(set);
                let body = self.expr(body);
                self.let_in(bindings, body)
            }
            Ir::With(with) => {
                let namespace = self.lazy(ir.with(with).namespace);
                let slot = self.bind(self.with_key(with));
                let body = self.expr(ir.with(with).body);
                Expr::With(self.keep(WithCode { slot, namespace, body }))
            }
            Ir::Assert { condition, body } => self.assert(condition, body, position),
            Ir::If { condition, consequence, alternative } => {
                let condition = self.expr(condition);
                let consequence = self.expr(consequence);
                let alternative = self.expr(alternative);
                Expr::If(self.keep(IfCode { condition, consequence, alternative, position }))
            }
            Ir::Not(operand) => {
                let inner = self.expr(operand);
                let position = self.own_position(operand);
                Expr::Not(self.keep((inner, position)))
            }
            Ir::Negate(operand) => match self.scoped(known::SUB) {
                Some(function) => {
                    let zero = Expr::Const(self.ev.heap.int(0));
                    let arguments = vec![zero, self.lazy(operand)];
                    let arguments = self.keep_all(arguments);
                    Expr::Call(self.keep(CallCode { function, arguments, position }))
                }
                None => {
                    let inner = self.expr(operand);
                    Expr::Negate(self.keep((inner, position)))
                }
            },
            Ir::Binary { op, operands } => self.binary(id, op, operands),
        }
    }

    fn fail(&self, message: &str, position: Pos) -> Expr {
        let message = self.ev.heap.keep_slice(message.as_bytes());
        Expr::Fail(self.keep(FailCode { message, position }))
    }

    fn assert(&mut self, condition: ExprId, body: ExprId, position: Pos) -> Expr {
        let sides = match self.input.ir.expr(condition) {
            Ir::Binary { op: BinaryOp::Equal, operands } if operands.0.len == 2 => {
                let ids = self.ids(operands);
                Some((self.expr(ids[0]), self.expr(ids[1])))
            }
            _ => None,
        };
        let condition = self.expr(condition);
        let body = self.expr(body);
        Expr::Assert(self.keep(AssertCode { condition, body, position, sides }))
    }

    fn free(&mut self, name: Name, with: Option<WithId>, position: Pos) -> Expr {
        if let Some(value) = self.global(name) {
            return value;
        }
        let mut sets = Vec::new();
        let mut at = with;
        while let Some(with) = at {
            let code = *self.input.ir.with(with);
            sets.push((self.source(self.with_key(with)), self.position(code.node)));
            at = code.outer;
        }
        if sets.is_empty() {
            let message = format!("undefined variable '{}'", self.input.ir.symbol(name));
            return self.fail(&message, position);
        }
        let sets = self.keep_all(sets);
        Expr::WithName(self.keep(WithName { symbol: self.symbol(name), position, sets }))
    }

    fn interpolated(&mut self, id: ExprId, list: List) -> Expr {
        let node = self.input.tree.node(self.input.ir.node(id));
        if let Some(text) = literal::static_string(node) {
            return Expr::Const(self.string(&text));
        }
        let parts = self.parts(literal::string_parts(node), list);
        match parts {
            [] => Expr::Const(self.string("")),
            [(only @ Expr::Const(value), _)] if value.as_string().is_some() => *only,
            _ => {
                let position = self.input.base + node.range().start;
                Expr::Join(self.keep(JoinCode { parts, position }))
            }
        }
    }

    fn parts(&mut self, parts: Vec<StrPart<'_>>, list: List) -> &'static [(Expr, Pos)] {
        let mut inner = self.ids(list).iter();
        self.ev.heap.keep_with(parts.len(), |at| match &parts[at] {
            StrPart::Text(text) => (Expr::Const(self.string(text)), 0),
            StrPart::Interpol(node) => {
                let position = self.input.base + node.range().start;
                let expr = match inner.next() {
                    Some(&id) => self.expr(id),
                    None => self.fail("this code is incomplete", position),
                };
                (expr, position)
            }
        })
    }

    fn path_literal(&mut self, id: ExprId, list: List) -> Expr {
        let node = self.input.tree.node(self.input.ir.node(id));
        let position = self.input.base + node.range().start;
        let mut parts = literal::path_parts(node);
        let text = match parts.first() {
            Some(StrPart::Text(text)) => text,
            _ => "",
        };
        let mut start = match text.as_bytes() {
            [b'/', ..] => Vec::new(),
            [b'~', ..] => self.ev.home(),
            _ => self.input.folder.to_vec(),
        };
        start.push(b'/');
        let rest = text.strip_prefix('~').unwrap_or(text);
        match self.input.has_stand_ins {
            true => start.extend(encode(rest)),
            false => start.extend_from_slice(rest.as_bytes()),
        }
        if parts.len() <= 1 {
            return Expr::Const(self.ev.path(&paths::canonical(&start)));
        }
        parts.remove(0);
        let first = (Expr::Const(self.ev.heap.string(&start)), 0);
        let rest = self.parts(parts, list);
        let parts = self.ev.heap.keep_with(1 + rest.len(), |at| match at {
            0 => first,
            at => rest[at - 1],
        });
        Expr::JoinPath(self.keep(JoinCode { parts, position }))
    }

    fn search_path(&mut self, text: &str, position: Pos) -> Expr {
        let constant = |name: &str| self.ev.global(name).map(Expr::Const);
        let function = self.scoped(known::FIND_FILE).or_else(|| constant("__findFile"));
        let paths = self.scoped(known::NIX_PATH).or_else(|| constant("__nixPath"));
        let (Some(function), Some(paths)) = (function, paths) else {
            return self.fail("there is no `__findFile`", position);
        };
        let arguments = self.keep_all(vec![paths, Expr::Const(self.string(text))]);
        Expr::Call(self.keep(CallCode { function, arguments, position }))
    }

    fn select(&mut self, base: ExprId, path: PathId, default: ExprId, position: Pos) -> Expr {
        let base = self.expr(base);
        let elements = self.input.ir.path(path);
        if let ([PathElement::Name(name)], Ir::NO_DEFAULT) = (elements, default) {
            return self.select1(base, self.symbol(*name), position);
        }
        let path = self.ev.heap.keep_with(elements.len(), |at| self.step(elements[at]));
        let default = (default != Ir::NO_DEFAULT).then(|| self.expr(default));
        Expr::Select(self.keep(SelectCode { base, path, default, position }))
    }

    fn select1(&self, base: Expr, symbol: Symbol, position: Pos) -> Expr {
        let cache = std::cell::Cell::new((0, 0));
        Expr::Select1(self.keep(Select1 { base, symbol, position, cache }))
    }

    fn step(&mut self, element: PathElement) -> (Step, Pos) {
        match element {
            PathElement::Name(name) => (Step::Name(self.symbol(name)), 0),
            PathElement::Dynamic(id) => {
                let position = self.own_position(id);
                (Step::Computed(self.expr(id)), position)
            }
        }
    }

    /// The names that a set or `let` makes, as slots and what they begin with.
    fn declare(&mut self, id: SetId) -> &'static [(u32, Expr)] {
        let ir = self.input.ir;
        let set = *ir.set(id);
        let first_source = set.sources.start;
        // Bound one after the other, so their slots follow each other.
        let first_slot = self.frame().n_slots;
        for binding in ir.set_bindings(id) {
            self.bind(Self::binding_key(binding));
        }
        let first_source_slot = self.frame().n_slots;
        for source in set.sources.range() {
            self.bind(self.source_key(SourceId(source as u32)));
        }
        let n_sources = set.sources.len as usize;
        let attrs = if set.scope.is_some() { ir.set_attrs(id) } else { &[] };
        let has_overrides = attrs.iter().any(|attr| self.symbol(attr.symbol) == known::OVERRIDES);
        // In the order of Nix, in which a name that is made may be passed on.
        let mut order: Vec<usize> = (0..attrs.len()).collect();
        order.sort_unstable_by_key(|&at| self.symbol(attrs[at].symbol));
        self.ev.heap.keep_with(n_sources + attrs.len(), |at| {
            let Some(at) = at.checked_sub(n_sources) else {
                let source = ir.source(SourceId(first_source + at as u32)).expr;
                return (first_source_slot + at as u32, self.lazy_in(source, set.scope, None));
            };
            let at = order[at];
            let attr = attrs[at];
            let value = if has_overrides {
                // What is overridden must be a cell that others refer to.
                self.thunk(|linker| linker.expr(attr.value))
            } else {
                self.attr_value(&attr, set.scope)
            };
            (first_slot + at as u32, value)
        })
    }

    fn attr_value(&mut self, attr: &cim_nix_semantics::Attr, scope: Option<ScopeId>) -> Expr {
        let made = self.symbol(attr.symbol);
        let linked = self.lazy_in(attr.value, scope, Some(made));
        match (attr.kind, linked) {
            (AttrKind::Plain, Expr::Lambda(lambda)) => self.named(lambda, attr.name),
            _ => linked,
        }
    }

    /// A function that a binding names.
    fn named(&self, lambda: &'static Lambda, name: NodeId) -> Expr {
        let text = literal::attr_name(self.input.tree.node(name));
        match text.map(|text| self.ev.symbol(text.as_bytes())) {
            Some(name) => self.with_name(lambda, name),
            None => Expr::Lambda(lambda),
        }
    }

    /// A function with a name; a function that it gives at once has the name, too.
    fn with_name(&self, lambda: &'static Lambda, name: Symbol) -> Expr {
        let body = match lambda.body {
            Expr::Lambda(inner) => self.with_name(inner, name),
            body => body,
        };
        Expr::Lambda(self.keep(Lambda { name: Some(name), body, ..*lambda }))
    }

    fn let_in(&self, bindings: &'static [(u32, Expr)], body: Expr) -> Expr {
        if bindings.is_empty() {
            return body;
        }
        Expr::Let(self.keep(LetCode { bindings, body }))
    }

    fn set(&mut self, id: SetId) -> Expr {
        let ir = self.input.ir;
        if self.is_empty_set(id) {
            return Expr::Const(self.ev.empty_attrs());
        }
        let bindings = self.declare(id);
        let mut names = ir.set_bindings(id);
        let start = self.attrs.len();
        let mut overrides = None;
        for attr in ir.set_attrs(id) {
            let symbol = self.symbol(attr.symbol);
            let value = match names.next() {
                Some(binding) => {
                    let variable = self.variable(Self::binding_key(binding), 0);
                    if let (known::OVERRIDES, Expr::Slot(slot, _)) = (symbol, variable) {
                        overrides = Some(slot);
                    }
                    variable
                }
                None => self.attr_value(attr, None),
            };
            let position = self.attr_position(attr.name);
            self.attrs.push((symbol, position, value));
        }
        let heap = &self.ev.heap;
        let attrs = &mut self.attrs[start..];
        attrs.sort_unstable_by_key(|attr| attr.0);
        self.keys.clear();
        self.keys.extend(attrs.iter().map(|attr| attr.0));
        self.positions.clear();
        self.positions.extend(attrs.iter().map(|attr| attr.1));
        let layout = self.ev.layouts.layout(heap, &self.keys, &self.positions);
        let values = heap.keep_with(attrs.len(), |at| attrs[at].2);
        self.attrs.truncate(start);
        let dynamics = ir.set_dynamics(id);
        let dynamics = heap.keep_with(dynamics.len(), |at| {
            let dynamic = &dynamics[at];
            let position = self.attr_position(dynamic.node);
            let name = self.expr(dynamic.name);
            let value = self.lazy(dynamic.value);
            Dynamic { name, position, value }
        });
        let code = SetCode { layout, values, dynamics, overrides };
        let body = Expr::Attrs(self.keep(code));
        self.let_in(bindings, body)
    }

    fn lambda(&mut self, id: LambdaId) -> Expr {
        let ir = self.input.ir;
        self.open();
        let mut lambda = *ir.lambda(id);
        let outer = lambda;
        let mut arity = 1;
        let named = |lambda: &cim_nix_semantics::Lambda| {
            let binding = ir.scope_bindings(lambda.scope).next().filter(|_| lambda.has_name);
            binding.map(|binding| ir.binding(binding).symbol)
        };
        let mut parameters = vec![named(&lambda).map(|name| self.symbol(name))];
        // Functions of one name that give functions take all arguments at once.
        while !lambda.has_pattern {
            self.parameter(&lambda);
            match ir.expr(lambda.body) {
                Ir::Lambda(inner) => {
                    lambda = *ir.lambda(inner);
                    arity += 1;
                    parameters.push(named(&lambda).map(|name| self.symbol(name)));
                }
                _ => break,
            }
        }
        let pattern = lambda.has_pattern.then(|| self.pattern(&lambda));
        let parameter = named(&lambda).map(|name| self.symbol(name));
        let body = self.expr(lambda.body);
        let (captures, n_slots) = self.close();
        // The functions that were joined, once more.
        let mut next = outer;
        let positions = self.ev.heap.keep_with(arity, |_| {
            let position = self.position(next.node);
            if let Ir::Lambda(inner) = ir.expr(next.body) {
                next = *ir.lambda(inner);
            }
            position
        });
        Expr::Lambda(self.keep(Lambda {
            captures,
            n_slots,
            arity: arity as u32,
            pattern,
            body,
            position: positions[positions.len() - 1],
            positions,
            name: None,
            parameter,
            parameters: self.keep_all(parameters),
        }))
    }

    /// The slot of a function's argument.
    fn parameter(&mut self, lambda: &cim_nix_semantics::Lambda) -> u32 {
        let binding = self.input.ir.scope_bindings(lambda.scope).next();
        match binding.filter(|_| lambda.has_name) {
            Some(binding) => self.bind(Self::binding_key(binding)),
            None => self.slot(),
        }
    }

    fn pattern(&mut self, lambda: &cim_nix_semantics::Lambda) -> &'static Pattern {
        let ir = self.input.ir;
        self.parameter(lambda);
        let formals = &ir.formals[lambda.formals.range()];
        for formal in formals {
            self.bind(Self::binding_key(formal.binding));
        }
        let mut linked = Vec::with_capacity(formals.len());
        for formal in formals {
            let binding = *ir.binding(formal.binding);
            let default = (formal.default != Ir::NO_DEFAULT)
                .then(|| self.lazy_in(formal.default, Some(binding.scope), None));
            let default = default.map(|default| self.keep(default));
            let position = self.position(binding.name);
            let (_, slot) = self.homes[formal.binding.index()];
            linked.push(Formal { symbol: self.symbol(binding.symbol), position, slot, default });
        }
        linked.sort_unstable_by_key(|formal| formal.symbol);
        let formals = self.keep_all(linked);
        self.keep(Pattern { formals, has_ellipsis: lambda.has_ellipsis })
    }

    fn binary(&mut self, id: ExprId, op: BinaryOp, operands: List) -> Expr {
        let ids = self.ids(operands);
        let positions = self.operator_positions(id, ids.len());
        let linked = match op {
            BinaryOp::Add => return self.add(ids, &positions),
            BinaryOp::PipeInto => return self.pipe(ids, &positions[..ids.len() - 1]),
            BinaryOp::PipeFrom => {
                let ids: Vec<ExprId> = ids.iter().rev().copied().collect();
                let positions: Vec<Pos> =
                    positions[..ids.len() - 1].iter().rev().copied().collect();
                return self.pipe(&ids, &positions);
            }
            BinaryOp::Sub => Op::Sub,
            BinaryOp::Mul => Op::Mul,
            BinaryOp::Div => Op::Div,
            BinaryOp::Concat => Op::Concat,
            BinaryOp::Update => return self.update(ids),
            BinaryOp::Equal => Op::Equal,
            BinaryOp::NotEqual => Op::NotEqual,
            BinaryOp::Less => Op::Less,
            BinaryOp::LessEqual => Op::LessEqual,
            BinaryOp::Greater => Op::Greater,
            BinaryOp::GreaterEqual => Op::GreaterEqual,
            BinaryOp::And => Op::And,
            BinaryOp::Or => Op::Or,
            BinaryOp::Implies => Op::Implies,
        };
        if let Some(expr) = self.scoped_operator(linked, ids, &positions) {
            return expr;
        }
        let exprs: Vec<Expr> = ids.iter().map(|&id| self.expr(id)).collect();
        let is_right = matches!(linked, Op::Concat | Op::Implies);
        let mut folded = exprs[if is_right { exprs.len() - 1 } else { 0 }];
        for at in 1..exprs.len() {
            let (left, right, position) = if is_right {
                let left = exprs.len() - 1 - at;
                (exprs[left], folded, positions[left])
            } else {
                (folded, exprs[at], positions[at - 1])
            };
            folded = Expr::Binary(self.keep(BinaryCode { op: linked, left, right, position }));
        }
        folded
    }

    /// Where the operators of a chain stand.
    fn operator_positions(&self, id: ExprId, n: usize) -> Vec<Pos> {
        let node = self.input.tree.node(self.input.ir.node(id));
        let tokens = node.own_tokens().filter(|token| !token.kind().is_trivia());
        let mut all: Vec<Pos> = tokens.map(|token| self.input.base + token.range().start).collect();
        all.resize(n, 0);
        all
    }

    fn add(&mut self, ids: &[ExprId], positions: &[Pos]) -> Expr {
        let parts = self
            .ev
            .heap
            .keep_with(ids.len(), |at| (self.expr(ids[at]), self.outer_position(ids[at])));
        Expr::Add(self.keep(JoinCode { parts, position: positions[0] }))
    }

    /// An operator whose function `scopedImport` replaces; the file itself cannot know.
    fn scoped_operator(&mut self, op: Op, ids: &[ExprId], positions: &[Pos]) -> Option<Expr> {
        let name = match op {
            Op::Sub => known::SUB,
            Op::Mul => known::MUL,
            Op::Div => known::DIV,
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => known::LESS_THAN,
            _ => return None,
        };
        let function = self.scoped(name)?;
        let (&last, before) = ids.split_last()?;
        let left = match before {
            [only] => self.lazy(*only),
            _ => self.thunk(|linker| {
                let inner = linker.scoped_operator(op, before, positions);
                inner.unwrap_or(Expr::Const(Value::NULL))
            }),
        };
        let right = self.lazy(last);
        let is_swapped = matches!(op, Op::Greater | Op::LessEqual);
        let arguments = if is_swapped { vec![right, left] } else { vec![left, right] };
        let arguments = self.keep_all(arguments);
        let position = positions[before.len() - 1];
        let call = Expr::Call(self.keep(CallCode { function, arguments, position }));
        let is_negated = matches!(op, Op::LessEqual | Op::GreaterEqual);
        Some(if is_negated { Expr::Not(self.keep((call, position))) } else { call })
    }

    /// `a |> f |> g`: everything but the first is a function.
    fn pipe(&mut self, ids: &[ExprId], positions: &[Pos]) -> Expr {
        let (&last, before) = match ids.split_last() {
            Some((last, before)) if !before.is_empty() => (last, before),
            _ => return self.expr(ids[0]),
        };
        let position = match self.is_call(last) {
            true => self.call_position(last),
            false => positions.last().copied().unwrap_or(0),
        };
        let function = self.expr(last);
        let argument = match before {
            [only] => self.lazy(*only),
            _ => self.thunk(|linker| linker.pipe(before, &positions[..positions.len() - 1])),
        };
        let arguments = self.keep_all(vec![argument]);
        Expr::Call(self.keep(CallCode { function, arguments, position }))
    }
}
