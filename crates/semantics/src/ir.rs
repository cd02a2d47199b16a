//! The arena IR of one file.
//!
//! Expressions are 16-byte entries of one array, children before parents, and form a strict tree:
//! every expression but the root is part of exactly one other (of none, if it is the value of a
//! duplicate, for which Nix refuses the file). Everything of variable length lies in
//! side arrays and is named by a [`Span`]. Parentheses are gone, dotted bindings are
//! merged into nested sets, and every variable knows its [`Target`]. `nodes` maps each expression
//! back to the tree.

use cim_nix_base::Diagnostic;
use cim_nix_syntax::NodeId;

use crate::symbols::slice;

/// Declares a newtype over the index into one of the IR's arrays.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl $name {
            /// The index.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// An expression.
    ExprId,
    /// An attribute set (or the bindings of a `let`).
    SetId,
    /// A function.
    LambdaId,
    /// A `with`.
    WithId,
    /// An attribute path behind `.` or `?`.
    PathId,
    /// A name that can be referred to: of a `let`, a `rec` set or a function.
    BindingId,
    /// What introduces names.
    ScopeId,
    /// A set that names are inherited from.
    SourceId,
    /// A name, numbered per file.
    Symbol,
}

/// A slice of one of the IR's arrays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First index.
    pub start: u32,
    /// Number of entries.
    pub len: u32,
}

impl Span {
    /// The indices.
    #[inline]
    #[must_use]
    pub const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// A slice of [`Ir::list`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct List(pub Span);

/// Operators with two operands. `-x` and `!x` have expressions of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BinaryOp {
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `*`.
    Mul,
    /// `/`.
    Div,
    /// `++`.
    Concat,
    /// `//`.
    Update,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `->`.
    Implies,
    /// `|>`.
    PipeInto,
    /// `<|`.
    PipeFrom,
}

/// What a variable refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A binding of this file.
    Local(BindingId),
    /// Nothing in this file: a name of the base environment, or else of the innermost `with` (and
    /// the ones around it), or else undefined. The base environment wins over `with`, as in Nix.
    Free(Option<WithId>),
}

/// An expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expr {
    /// Missing or broken in the source.
    Missing,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string without interpolation that is none in the source: an unquoted URI, or the inside of
    /// `<…>` where the file binds what search paths look up. Text is read from the node by
    /// [`constant_text`](cim_nix_syntax::literal::constant_text).
    Text,
    /// `"…"` or `''…''`; the interpolated expressions. Text is read from the node.
    Str(List),
    /// A path; the interpolated expressions. Text is read from the node.
    Path(List),
    /// `<…>`; its text is the node's.
    SearchPath,
    /// `__curPos`.
    CurPos,
    /// A variable.
    Var {
        /// Its name.
        symbol: Symbol,
        /// What it refers to.
        target: Target,
    },
    /// The value of `symbol` in `inherit (source) symbol;`.
    InheritFrom {
        /// The set inherited from, shared by all names of one `inherit` and no part of any of them.
        source: SourceId,
        /// The attribute.
        symbol: Symbol,
    },
    /// A list.
    List(List),
    /// A function and its arguments.
    Apply(List),
    /// `base.path` or `base.path or default`.
    Select {
        /// The set.
        base: ExprId,
        /// The attribute path.
        path: PathId,
        /// What stands behind `or`; [`Expr::NO_DEFAULT`] for none.
        default: ExprId,
    },
    /// `base ? path`.
    HasAttr {
        /// The set.
        base: ExprId,
        /// The attribute path.
        path: PathId,
    },
    /// A function.
    Lambda(LambdaId),
    /// An attribute set.
    AttrSet(SetId),
    /// The old `let { … }`: attribute `body` selected from the recursive set as a whole, so that
    /// `__overrides` and computed names count.
    LegacyLet(SetId),
    /// `let … in body`.
    Let {
        /// The bindings.
        set: SetId,
        /// The body.
        body: ExprId,
    },
    /// `with`.
    With(WithId),
    /// `assert condition; body`.
    Assert {
        /// The condition.
        condition: ExprId,
        /// The body.
        body: ExprId,
    },
    /// `if … then … else …`.
    If {
        /// The condition.
        condition: ExprId,
        /// The value if it is true.
        consequence: ExprId,
        /// The value if it is false.
        alternative: ExprId,
    },
    /// `!x`.
    Not(ExprId),
    /// `-x`.
    Negate(ExprId),
    /// A chain of one operator, at least two operands. Associativity is the operator's; operator
    /// `i` of the chain is the `i`-th operator token of the node.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The operands in the order of the text.
        operands: List,
    },
}

impl Expr {
    /// Stands in [`Expr::Select`] where there is no default.
    pub const NO_DEFAULT: ExprId = ExprId(u32::MAX);
}

const _: () = assert!(size_of::<Expr>() == 16);

/// What introduces names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeKind {
    /// `let … in …`.
    Let,
    /// `rec { … }` or `let { … }`.
    Rec,
    /// A function.
    Lambda,
}

/// What a scope's bindings belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeOwner {
    /// The set of a `let` or a recursive set; binding `i` is attribute `i`.
    Set(SetId),
    /// A function.
    Lambda(LambdaId),
}

/// A scope: a contiguous run of bindings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope {
    /// What introduced it.
    pub kind: ScopeKind,
    /// What its bindings belong to.
    pub owner: ScopeOwner,
    /// The node that introduced it.
    pub node: NodeId,
    /// Its bindings in [`Ir::bindings`].
    pub bindings: Span,
}

/// How a name came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindingKind {
    /// `name = …` in a `let`.
    Let,
    /// `inherit name;` in a `let`.
    LetInherit,
    /// `inherit (…) name;` in a `let`.
    LetInheritFrom,
    /// `name = …` in a recursive set.
    Rec,
    /// `inherit name;` in a recursive set.
    RecInherit,
    /// `inherit (…) name;` in a recursive set.
    RecInheritFrom,
    /// The parameter of `name: …`.
    Param,
    /// A name in a pattern.
    Formal,
    /// The name beside `@`.
    At,
}

/// A name that can be referred to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The name.
    pub symbol: Symbol,
    /// How it came to be.
    pub kind: BindingKind,
    /// Where it is valid.
    pub scope: ScopeId,
    /// The node that spells it: an attribute name, a formal, a parameter or an `@` part.
    pub name: NodeId,
}

/// How an attribute came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttrKind {
    /// `name = value;`.
    Plain,
    /// A set that dotted names made, maybe merged with literal ones.
    Nested,
    /// `inherit name;`.
    Inherited,
    /// `inherit (…) name;`.
    InheritedFrom,
}

/// An attribute of a set whose name is fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// The name.
    pub symbol: Symbol,
    /// How it came to be.
    pub kind: AttrKind,
    /// The node that spells the name first.
    pub name: NodeId,
    /// Its value.
    pub value: ExprId,
}

/// A set in parentheses behind `inherit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The parentheses.
    pub node: NodeId,
    /// The set.
    pub expr: ExprId,
}

/// An attribute whose name is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DynamicAttr {
    /// The node that computes the name.
    pub node: NodeId,
    /// The name.
    pub name: ExprId,
    /// Its value.
    pub value: ExprId,
}

/// An attribute set, or the bindings of a `let`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Set {
    /// The literal, the `let`, or the binding whose dotted name made it.
    pub node: NodeId,
    /// The scope that its names make; `None` for a set that is not recursive.
    pub scope: Option<ScopeId>,
    /// Attributes in [`Ir::attrs`]; attribute `i` of a recursive set is binding `i` of its scope.
    pub attrs: Span,
    /// Computed attributes in [`Ir::dynamics`].
    pub dynamics: Span,
    /// The sets that are inherited from, in [`Ir::sources`], in the order of the text.
    pub sources: Span,
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lambda {
    /// Its node.
    pub node: NodeId,
    /// The scope of its names: the `@` name or parameter first, if any, then the formals.
    pub scope: ScopeId,
    /// Whether it takes a pattern.
    pub has_pattern: bool,
    /// Whether the pattern ends in `...`.
    pub has_ellipsis: bool,
    /// Whether the scope's first binding is the parameter or the `@` name.
    pub has_name: bool,
    /// Formals in [`Ir::formals`].
    pub formals: Span,
    /// Its body.
    pub body: ExprId,
}

/// A name in a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Formal {
    /// Its binding.
    pub binding: BindingId,
    /// Its default; [`Expr::NO_DEFAULT`] for none.
    pub default: ExprId,
}

/// A `with`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct With {
    /// Its node.
    pub node: NodeId,
    /// The set whose attributes it makes visible.
    pub namespace: ExprId,
    /// Where they are visible.
    pub body: ExprId,
    /// The next `with` around it.
    pub outer: Option<WithId>,
}

/// One step of an attribute path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathElement {
    /// A fixed name.
    Name(Symbol),
    /// A computed name.
    Dynamic(ExprId),
}

/// An attribute path: a slice of [`Ir::path_elements`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// The elements.
    pub elements: Span,
}

/// Two sets of which only one is recursive were merged into one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Merge {
    /// The node of the first part; whether it is recursive decides for the whole.
    pub first: NodeId,
    /// The node of the part that was merged into it.
    pub second: NodeId,
    /// Whether the first part is recursive.
    pub first_is_rec: bool,
}

/// A lowered file.
#[derive(Clone, Debug, Default)]
pub struct Ir {
    /// Expressions, children before parents; the last is the whole file.
    pub exprs: Box<[Expr]>,
    /// The node behind each expression.
    pub nodes: Box<[NodeId]>,
    /// Members of all [`List`]s.
    pub lists: Box<[ExprId]>,
    /// Attribute sets.
    pub sets: Box<[Set]>,
    /// Attributes of all sets.
    pub attrs: Box<[Attr]>,
    /// Computed attributes of all sets.
    pub dynamics: Box<[DynamicAttr]>,
    /// Sets that are inherited from.
    pub sources: Box<[Source]>,
    /// Functions.
    pub lambdas: Box<[Lambda]>,
    /// Formals of all functions.
    pub formals: Box<[Formal]>,
    /// `with`s.
    pub withs: Box<[With]>,
    /// Attribute paths.
    pub paths: Box<[Path]>,
    /// Elements of all attribute paths.
    pub path_elements: Box<[PathElement]>,
    /// Names that can be referred to.
    pub bindings: Box<[Binding]>,
    /// Scopes.
    pub scopes: Box<[Scope]>,
    /// Sets of different recursiveness that were merged.
    pub merges: Box<[Merge]>,
    /// What Nix would refuse: duplicates and misplaced computed names, in the order of the text.
    pub problems: Vec<Diagnostic>,
    pub(crate) names: Box<str>,
    pub(crate) name_ends: Box<[u32]>,
}

impl Ir {
    /// The expression of the whole file.
    #[must_use]
    pub fn root(&self) -> ExprId {
        ExprId(self.exprs.len() as u32 - 1)
    }

    /// An expression.
    #[inline]
    #[must_use]
    pub fn expr(&self, id: ExprId) -> Expr {
        self.exprs[id.index()]
    }

    /// The node behind an expression.
    #[inline]
    #[must_use]
    pub fn node(&self, id: ExprId) -> NodeId {
        self.nodes[id.index()]
    }

    /// The text of a symbol.
    #[must_use]
    pub fn symbol(&self, symbol: Symbol) -> &str {
        slice(&self.names, &self.name_ends, symbol.0)
    }

    /// Number of symbols.
    #[must_use]
    pub fn symbol_count(&self) -> usize {
        self.name_ends.len()
    }

    /// The number of a name, if the file mentions it.
    ///
    /// Cost: linear in the number of names.
    #[must_use]
    pub fn find_symbol(&self, name: &str) -> Option<Symbol> {
        (0..self.name_ends.len() as u32).map(Symbol).find(|&symbol| self.symbol(symbol) == name)
    }

    /// The members of a list.
    #[must_use]
    pub fn list(&self, list: List) -> &[ExprId] {
        &self.lists[list.0.range()]
    }

    /// A set.
    #[must_use]
    pub fn set(&self, id: SetId) -> &Set {
        &self.sets[id.index()]
    }

    /// The attributes of a set.
    #[must_use]
    pub fn set_attrs(&self, id: SetId) -> &[Attr] {
        &self.attrs[self.set(id).attrs.range()]
    }

    /// The computed attributes of a set.
    #[must_use]
    pub fn set_dynamics(&self, id: SetId) -> &[DynamicAttr] {
        &self.dynamics[self.set(id).dynamics.range()]
    }

    /// A set that is inherited from.
    #[must_use]
    pub fn source(&self, id: SourceId) -> &Source {
        &self.sources[id.index()]
    }

    /// The sets that the names of a set are inherited from.
    #[must_use]
    pub fn set_sources(&self, id: SetId) -> &[Source] {
        &self.sources[self.set(id).sources.range()]
    }

    /// The bindings of a `let` or a recursive set, in the order of its attributes; none for others.
    pub fn set_bindings(&self, id: SetId) -> impl Iterator<Item = BindingId> + use<> {
        let scope = self.set(id).scope;
        let bindings = scope.map_or(Span::default(), |scope| self.scopes[scope.index()].bindings);
        bindings.range().map(|at| BindingId(at as u32))
    }

    /// The attribute behind a name of a `let` or a recursive set.
    #[must_use]
    pub fn binding_attr(&self, id: BindingId) -> Option<&Attr> {
        let scope = &self.scopes[self.binding(id).scope.index()];
        match scope.owner {
            ScopeOwner::Set(set) => self.set_attrs(set).get((id.0 - scope.bindings.start) as usize),
            ScopeOwner::Lambda(_) => None,
        }
    }

    /// The formal behind a name of a pattern.
    #[must_use]
    pub fn binding_formal(&self, id: BindingId) -> Option<&Formal> {
        let scope = &self.scopes[self.binding(id).scope.index()];
        match scope.owner {
            ScopeOwner::Lambda(lambda) => {
                self.lambda_formals(lambda).iter().find(|formal| formal.binding == id)
            }
            ScopeOwner::Set(_) => None,
        }
    }

    /// A function.
    #[must_use]
    pub fn lambda(&self, id: LambdaId) -> &Lambda {
        &self.lambdas[id.index()]
    }

    /// The formals of a function.
    #[must_use]
    pub fn lambda_formals(&self, id: LambdaId) -> &[Formal] {
        &self.formals[self.lambda(id).formals.range()]
    }

    /// A `with`.
    #[must_use]
    pub fn with(&self, id: WithId) -> &With {
        &self.withs[id.index()]
    }

    /// The elements of an attribute path.
    #[must_use]
    pub fn path(&self, id: PathId) -> &[PathElement] {
        &self.path_elements[self.paths[id.index()].elements.range()]
    }

    /// A binding.
    #[must_use]
    pub fn binding(&self, id: BindingId) -> &Binding {
        &self.bindings[id.index()]
    }

    /// The bindings of a scope.
    pub fn scope_bindings(&self, id: ScopeId) -> impl Iterator<Item = BindingId> + use<> {
        self.scopes[id.index()].bindings.range().map(|at| BindingId(at as u32))
    }

    /// Heap bytes held.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        size_of_val(&*self.exprs)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.lists)
            + size_of_val(&*self.sets)
            + size_of_val(&*self.attrs)
            + size_of_val(&*self.dynamics)
            + size_of_val(&*self.sources)
            + size_of_val(&*self.merges)
            + size_of_val(&*self.lambdas)
            + size_of_val(&*self.formals)
            + size_of_val(&*self.withs)
            + size_of_val(&*self.paths)
            + size_of_val(&*self.path_elements)
            + size_of_val(&*self.bindings)
            + size_of_val(&*self.scopes)
            + self.names.len()
            + size_of_val(&*self.name_ends)
    }
}
