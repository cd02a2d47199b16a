//! Tree to IR, with names resolved on the way.
//!
//! Scopes live on a shadow stack: `current[symbol]` is the innermost binding of that name, and
//! leaving a scope restores what it hid. So resolving a variable is one array look-up, and the
//! whole pass is linear in the size of the file.

mod names;
mod sets;

use cim_nix_base::{Diagnostic, Severity, TextRange};
use cim_nix_syntax::{MAX_DEPTH, MAX_PROBLEMS, Node, NodeId, NodeKind, TokenKind, Tree, literal};

use crate::ir::{
    Attr, BinaryOp, Binding, BindingId, BindingKind, DynamicAttr, Expr, ExprId, Formal, Ir, Lambda,
    LambdaId, List, Merge, Path, PathElement, PathId, Scope, ScopeId, ScopeKind, ScopeOwner, Set,
    Source, Span, Symbol, Target, With, WithId,
};
use crate::symbols::Interner;

/// Lowers one tree. For many files keep a [`Lowerer`], which reuses its buffers.
#[must_use]
pub fn lower(tree: &Tree) -> Ir {
    Lowerer::default().lower(tree)
}

/// Buffers for lowering that outlive one file.
#[derive(Default)]
pub struct Lowerer {
    symbols: Interner,
    exprs: Vec<Expr>,
    nodes: Vec<NodeId>,
    lists: Vec<ExprId>,
    sets: Vec<Set>,
    attrs: Vec<Attr>,
    dynamics: Vec<DynamicAttr>,
    sources: Vec<Source>,
    lambdas: Vec<Lambda>,
    formals: Vec<Formal>,
    withs: Vec<With>,
    paths: Vec<Path>,
    path_elements: Vec<PathElement>,
    bindings: Vec<Binding>,
    scopes: Vec<Scope>,
    merges: Vec<Merge>,
    problems: Vec<Diagnostic>,
    /// Innermost binding of each symbol, plus one; 0 for none.
    current: Vec<u32>,
    /// What entering scopes has hidden.
    hidden: Vec<(Symbol, u32)>,
    /// The innermost `with`.
    with: Option<WithId>,
    /// Members of lists that are not complete yet.
    pending: Vec<ExprId>,
    grouping: sets::Grouping,
    level: usize,
}

impl Lowerer {
    /// Lowers one tree; never fails. Broken parts become [`Expr::Missing`].
    #[must_use]
    pub fn lower(&mut self, tree: &Tree) -> Ir {
        self.clear();
        match tree.root().children().find(|node| node.kind().is_expr()) {
            Some(node) => self.expr(node),
            None => self.push(Expr::Missing, NodeId(0)),
        };
        let mut problems = std::mem::take(&mut self.problems);
        problems.sort_by_key(|problem| problem.range.start);
        problems.truncate(MAX_PROBLEMS);
        let (names, name_ends) = self.symbols.copy();
        Ir {
            exprs: self.exprs.as_slice().into(),
            nodes: self.nodes.as_slice().into(),
            lists: self.lists.as_slice().into(),
            sets: self.sets.as_slice().into(),
            attrs: self.attrs.as_slice().into(),
            dynamics: self.dynamics.as_slice().into(),
            sources: self.sources.as_slice().into(),
            lambdas: self.lambdas.as_slice().into(),
            formals: self.formals.as_slice().into(),
            withs: self.withs.as_slice().into(),
            paths: self.paths.as_slice().into(),
            path_elements: self.path_elements.as_slice().into(),
            bindings: self.bindings.as_slice().into(),
            scopes: self.scopes.as_slice().into(),
            merges: self.merges.as_slice().into(),
            problems,
            names,
            name_ends,
        }
    }

    fn clear(&mut self) {
        self.symbols.clear();
        self.exprs.clear();
        self.nodes.clear();
        self.lists.clear();
        self.sets.clear();
        self.attrs.clear();
        self.dynamics.clear();
        self.sources.clear();
        self.lambdas.clear();
        self.formals.clear();
        self.withs.clear();
        self.paths.clear();
        self.path_elements.clear();
        self.bindings.clear();
        self.scopes.clear();
        self.merges.clear();
        self.problems.clear();
        self.current.clear();
        self.hidden.clear();
        self.with = None;
        self.pending.clear();
        self.grouping.clear();
        self.level = 0;
    }

    #[inline]
    fn push(&mut self, expr: Expr, node: NodeId) -> ExprId {
        self.exprs.push(expr);
        self.nodes.push(node);
        ExprId(self.exprs.len() as u32 - 1)
    }

    /// Lowers any expression.
    fn expr(&mut self, node: Node<'_>) -> ExprId {
        self.nested(node, |lowerer| lowerer.expr_here(node))
    }

    /// Runs `lower` for `node` one level deeper, on more stack where it gets short. A dotted name
    /// is flat in the tree but nested here, so the tree's own cap is not enough.
    fn nested(&mut self, node: Node<'_>, lower: impl FnOnce(&mut Self) -> ExprId) -> ExprId {
        if self.level >= MAX_DEPTH {
            self.too_deep(node.range());
            return self.push(Expr::Missing, node.id());
        }
        self.level += 1;
        let id = if self.level.is_multiple_of(16) {
            stacker::maybe_grow(512 * 1024, 8 * 1024 * 1024, || lower(self))
        } else {
            lower(self)
        };
        self.level -= 1;
        id
    }

    #[cold]
    fn too_deep(&mut self, range: TextRange) {
        let code = cim_nix_syntax::codes::TOO_DEEP;
        if !self.problems.iter().any(|problem| problem.code == code) {
            let message = format!("code is nested more than {MAX_DEPTH} levels deep");
            self.problems.push(Diagnostic::new(code, Severity::Error, range, message));
        }
    }

    fn expr_here(&mut self, node: Node<'_>) -> ExprId {
        let at = node.id();
        match node.kind() {
            NodeKind::Ident => self.variable(node),
            NodeKind::Literal => {
                let value = literal_value(node);
                self.push(value, at)
            }
            NodeKind::Str | NodeKind::IndStr => {
                let parts = self.interpolations(node);
                self.push(Expr::Str(parts), at)
            }
            NodeKind::Path => {
                let parts = self.interpolations(node);
                self.push(Expr::Path(parts), at)
            }
            NodeKind::SearchPath => self.search_path(node),
            NodeKind::Paren => self.first_expr(node),
            NodeKind::List => {
                let members = self.exprs_of(node);
                self.push(Expr::List(members), at)
            }
            NodeKind::Apply => {
                let members = self.exprs_of(node);
                self.push(Expr::Apply(members), at)
            }
            NodeKind::AttrSet => {
                let is_rec = node.own_token(TokenKind::Rec).is_some();
                let set = self.set(node, is_rec);
                self.push(Expr::AttrSet(set), at)
            }
            NodeKind::LegacyLet => {
                let set = self.set(node, true);
                self.push(Expr::LegacyLet(set), at)
            }
            NodeKind::LetIn => self.let_in(node),
            NodeKind::With => self.with(node),
            NodeKind::Assert => {
                let [condition, body] = self.operands(node);
                self.push(Expr::Assert { condition, body }, at)
            }
            NodeKind::IfElse => {
                let [condition, consequence, alternative] = self.operands(node);
                self.push(Expr::If { condition, consequence, alternative }, at)
            }
            NodeKind::Lambda => self.lambda(node),
            NodeKind::Select => self.select(node),
            NodeKind::HasAttr => {
                let [base] = self.operands(node);
                let path = self.path(node);
                self.push(Expr::HasAttr { base, path }, at)
            }
            NodeKind::Unary => self.unary(node),
            NodeKind::Binary => self.binary(node),
            _ => self.push(Expr::Missing, at),
        }
    }

    /// Lowers the first expression below `node`.
    fn first_expr(&mut self, node: Node<'_>) -> ExprId {
        match node.children().find(|child| child.kind().is_expr()) {
            Some(child) => self.expr(child),
            None => self.push(Expr::Missing, node.id()),
        }
    }

    /// Lowers the last expression below `node`, which is the body of whatever has one.
    fn body(&mut self, node: Node<'_>) -> ExprId {
        match node.children().filter(|child| child.kind().is_expr()).last() {
            Some(child) => self.expr(child),
            None => self.push(Expr::Missing, node.id()),
        }
    }

    /// Lowers the first `N` expressions below `node`; missing ones become [`Expr::Missing`].
    fn operands<const N: usize>(&mut self, node: Node<'_>) -> [ExprId; N] {
        let mut children = node.children().filter(|child| child.kind().is_expr());
        std::array::from_fn(|_| match children.next() {
            Some(child) => self.expr(child),
            None => self.push(Expr::Missing, node.id()),
        })
    }

    /// Lowers all expressions below `node`.
    fn exprs_of(&mut self, node: Node<'_>) -> List {
        let start = self.pending.len();
        for child in node.children().filter(|child| child.kind().is_expr()) {
            let id = self.expr(child);
            self.pending.push(id);
        }
        self.close_list(start)
    }

    /// Lowers the expressions inside the interpolations of a string or path.
    fn interpolations(&mut self, node: Node<'_>) -> List {
        if node.is_leaf() {
            return List::default();
        }
        let start = self.pending.len();
        for child in node.children().filter(|child| child.kind() == NodeKind::Interpol) {
            let id = self.first_expr(child);
            self.pending.push(id);
        }
        self.close_list(start)
    }

    /// Makes a list of what is pending since `start`.
    fn close_list(&mut self, start: usize) -> List {
        let span =
            Span { start: self.lists.len() as u32, len: (self.pending.len() - start) as u32 };
        self.lists.extend(self.pending.drain(start..));
        List(span)
    }

    fn select(&mut self, node: Node<'_>) -> ExprId {
        let mut parts = node.children().filter(|child| child.kind().is_expr());
        let base = match parts.next() {
            Some(base) => self.expr(base),
            None => self.push(Expr::Missing, node.id()),
        };
        // As Nix does it: the default before computed names in the path.
        let default = parts.next().map_or(Expr::NO_DEFAULT, |default| self.expr(default));
        let path = self.path(node);
        self.push(Expr::Select { base, path, default }, node.id())
    }

    /// Lowers the attribute path below `node`.
    fn path(&mut self, node: Node<'_>) -> PathId {
        let first = self.path_elements.len();
        // Computed elements can contain paths of their own; most paths are fixed names.
        let mut nested: Vec<PathElement> = Vec::new();
        let mut is_nested = false;
        if let Some(path) = node.child_of_kind(NodeKind::AttrPath) {
            for (at, element) in path.children().enumerate() {
                let lowered = match self.static_name(element) {
                    Some(symbol) => PathElement::Name(symbol),
                    None => {
                        if !is_nested {
                            is_nested = true;
                            nested = self.path_elements.split_off(first);
                            debug_assert_eq!(nested.len(), at);
                        }
                        PathElement::Dynamic(self.dynamic_name(element))
                    }
                };
                if is_nested {
                    nested.push(lowered);
                } else {
                    self.path_elements.push(lowered);
                }
            }
        }
        let start = if is_nested { self.path_elements.len() } else { first };
        self.path_elements.extend(nested);
        let len = (self.path_elements.len() - start) as u32;
        self.paths.push(Path { elements: Span { start: start as u32, len } });
        PathId(self.paths.len() as u32 - 1)
    }

    /// The symbol of an attribute name that is fixed.
    fn static_name(&mut self, element: Node<'_>) -> Option<Symbol> {
        if element.kind() == NodeKind::Name {
            return Some(self.symbols.intern(element.text()));
        }
        literal::attr_name(element).map(|name| self.symbols.intern(&name))
    }

    /// Lowers an attribute name that is computed.
    fn dynamic_name(&mut self, element: Node<'_>) -> ExprId {
        if element.kind() == NodeKind::Dynamic {
            return self.first_expr(element);
        }
        self.expr(element)
    }

    fn with(&mut self, node: Node<'_>) -> ExprId {
        let mut parts = node.children().filter(|child| child.kind().is_expr());
        let namespace = match parts.next() {
            Some(namespace) => self.expr(namespace),
            None => self.push(Expr::Missing, node.id()),
        };
        let outer = self.with;
        let id = WithId(self.withs.len() as u32);
        self.withs.push(With { node: node.id(), namespace, body: ExprId(0), outer });
        self.with = Some(id);
        let body = match parts.next() {
            Some(body) => self.expr(body),
            None => self.push(Expr::Missing, node.id()),
        };
        self.with = outer;
        self.withs[id.index()].body = body;
        self.push(Expr::With(id), node.id())
    }

    fn lambda(&mut self, node: Node<'_>) -> ExprId {
        let id = LambdaId(self.lambdas.len() as u32);
        let scope = ScopeId(self.scopes.len() as u32);
        let first = self.bindings.len() as u32;
        let pattern = node.child_of_kind(NodeKind::Pattern);
        let named = match pattern {
            Some(pattern) => pattern.child_of_kind(NodeKind::PatBind),
            None => node.child_of_kind(NodeKind::Param),
        };
        let kind = if pattern.is_some() { BindingKind::At } else { BindingKind::Param };
        let mut has_name = false;
        if let Some(token) = named.and_then(|named| named.own_token(TokenKind::Ident)) {
            let symbol = self.symbols.intern(token.text());
            let name = named.map_or(node.id(), Node::id);
            self.bindings.push(Binding { symbol, kind, scope, name });
            has_name = true;
        }
        if let Some(pattern) = pattern {
            self.formal_bindings(pattern, scope, first);
        }
        let bindings = Span { start: first, len: self.bindings.len() as u32 - first };
        let owner = ScopeOwner::Lambda(id);
        self.scopes.push(Scope { kind: ScopeKind::Lambda, owner, node: node.id(), bindings });
        let formals_start = self.formals.len() as u32;
        let first_formal = first + u32::from(has_name);
        for at in first_formal..self.bindings.len() as u32 {
            self.formals.push(Formal { binding: BindingId(at), default: Expr::NO_DEFAULT });
        }
        let formals = Span { start: formals_start, len: bindings.len - u32::from(has_name) };
        let has_ellipsis =
            pattern.is_some_and(|pattern| pattern.own_token(TokenKind::Ellipsis).is_some());
        let has_pattern = pattern.is_some();
        let body = ExprId(0);
        self.lambdas.push(Lambda {
            node: node.id(),
            scope,
            has_pattern,
            has_ellipsis,
            has_name,
            formals,
            body,
        });
        let mark = self.enter(bindings);
        for at in formals.range() {
            let name = self.bindings[self.formals[at].binding.index()].name;
            let default = node.tree().node(name).children().find(|child| child.kind().is_expr());
            if let Some(default) = default {
                self.formals[at].default = self.expr(default);
            }
        }
        let body = self.body_behind_parameter(node);
        self.leave(mark);
        self.lambdas[id.index()].body = body;
        self.push(Expr::Lambda(id), node.id())
    }

    fn body_behind_parameter(&mut self, node: Node<'_>) -> ExprId {
        match node.children().nth(1) {
            Some(body) if body.kind().is_expr() => self.expr(body),
            _ => self.body(node),
        }
    }

    fn unary(&mut self, node: Node<'_>) -> ExprId {
        let [operand] = self.operands(node);
        let is_not = node.own_token(TokenKind::Not).is_some();
        if is_not {
            return self.push(Expr::Not(operand), node.id());
        }
        if let Some(function) = self.operator_function("__sub", node.id()) {
            let zero = self.push(Expr::Int(0), node.id());
            return self.call(&[function, zero, operand], node.id());
        }
        self.push(Expr::Negate(operand), node.id())
    }

    fn binary(&mut self, node: Node<'_>) -> ExprId {
        let Some(op) = node.own_tokens().find_map(|token| binary_op(token.kind())) else {
            return self.first_expr(node);
        };
        let operands = self.exprs_of(node);
        if self.symbols.has_operator_names
            && let Some(call) = self.operator_call(op, operands, node.id())
        {
            return call;
        }
        self.push(Expr::Binary { op, operands }, node.id())
    }

    /// A call of `members[0]` with the others.
    fn call(&mut self, members: &[ExprId], node: NodeId) -> ExprId {
        let span = Span { start: self.lists.len() as u32, len: members.len() as u32 };
        self.lists.extend_from_slice(members);
        self.push(Expr::Apply(List(span)), node)
    }

    /// Arithmetic and comparison are calls of functions that are looked up by name, and a binding
    /// of that name in the file counts. `None` where no such binding is in scope.
    fn operator_call(&mut self, op: BinaryOp, operands: List, node: NodeId) -> Option<ExprId> {
        let (name, is_swapped, is_negated) = match op {
            BinaryOp::Sub => ("__sub", false, false),
            BinaryOp::Mul => ("__mul", false, false),
            BinaryOp::Div => ("__div", false, false),
            BinaryOp::Less => ("__lessThan", false, false),
            BinaryOp::Greater => ("__lessThan", true, false),
            BinaryOp::LessEqual => ("__lessThan", true, true),
            BinaryOp::GreaterEqual => ("__lessThan", false, true),
            _ => return None,
        };
        self.operator_function(name, node)?;
        let members: Vec<ExprId> = self.lists[operands.0.range()].to_vec();
        let mut left = *members.first()?;
        for &right in &members[1..] {
            let function = self.operator_function(name, node)?;
            let (first, second) = if is_swapped { (right, left) } else { (left, right) };
            left = self.call(&[function, first, second], node);
        }
        Some(if is_negated { self.push(Expr::Not(left), node) } else { left })
    }

    /// A variable for an operator's function, if the file binds that name here.
    fn operator_function(&mut self, name: &str, node: NodeId) -> Option<ExprId> {
        if !self.symbols.has_operator_names {
            return None;
        }
        let symbol = self.symbols.get(name)?;
        let target @ Target::Local(_) = self.resolve(symbol) else { return None };
        Some(self.push(Expr::Var { symbol, target }, node))
    }

    fn search_path(&mut self, node: Node<'_>) -> ExprId {
        let at = node.id();
        if !self.symbols.has_operator_names {
            return self.push(Expr::SearchPath, at);
        }
        let name = |lowerer: &mut Self, name: &str| {
            let symbol = lowerer.symbols.intern(name);
            let target = lowerer.resolve(symbol);
            (matches!(target, Target::Local(_)), Expr::Var { symbol, target })
        };
        let (binds_function, function) = name(self, "__findFile");
        let (binds_path, path) = name(self, "__nixPath");
        if !binds_function && !binds_path {
            return self.push(Expr::SearchPath, at);
        }
        let function = self.push(function, at);
        let path = self.push(path, at);
        // The text between the angle brackets, as a string.
        let text = self.push(Expr::Text, at);
        self.call(&[function, path, text], at)
    }
}

fn literal_value(node: Node<'_>) -> Expr {
    let text = node.text();
    match node.first_token().map(|token| token.kind()) {
        Some(TokenKind::Int) => text.parse().map_or(Expr::Missing, Expr::Int),
        Some(TokenKind::Float) => text.parse().map_or(Expr::Missing, Expr::Float),
        _ => Expr::Text,
    }
}

fn binary_op(kind: TokenKind) -> Option<BinaryOp> {
    Some(match kind {
        TokenKind::Add => BinaryOp::Add,
        TokenKind::Sub => BinaryOp::Sub,
        TokenKind::Mul => BinaryOp::Mul,
        TokenKind::Div => BinaryOp::Div,
        TokenKind::Concat => BinaryOp::Concat,
        TokenKind::Update => BinaryOp::Update,
        TokenKind::Equal => BinaryOp::Equal,
        TokenKind::NotEqual => BinaryOp::NotEqual,
        TokenKind::Less => BinaryOp::Less,
        TokenKind::LessEqual => BinaryOp::LessEqual,
        TokenKind::Greater => BinaryOp::Greater,
        TokenKind::GreaterEqual => BinaryOp::GreaterEqual,
        TokenKind::And => BinaryOp::And,
        TokenKind::OrOr => BinaryOp::Or,
        TokenKind::Implies => BinaryOp::Implies,
        TokenKind::PipeInto => BinaryOp::PipeInto,
        TokenKind::PipeFrom => BinaryOp::PipeFrom,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
