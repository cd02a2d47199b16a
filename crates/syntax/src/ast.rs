//! Typed views of nodes.
//!
//! A view is a [`Node`] whose kind is known; its accessors say which child is what. Views allocate
//! nothing and copy freely. On broken trees every accessor answers `None` (or ends its list) where
//! the part is absent; a part that the parser marked as missing is an empty [`NodeKind::Error`]
//! node, which counts as an expression. Values of literals are in [`crate::literal`].
//!
//! ```
//! use cim_nix_syntax::ast::{Expr, Lambda};
//!
//! let parse = cim_nix_syntax::parse("x: x + 1 + y");
//! let lambda = Lambda::cast(parse.tree.root().child(0).unwrap()).unwrap();
//! let Some(Expr::Binary(sum)) = lambda.body().and_then(Expr::cast) else { panic!() };
//! assert_eq!(sum.operands().map(|node| node.text()).collect::<Vec<_>>(), ["x", "1", "y"]);
//! ```

use std::borrow::Cow;

use crate::literal::{self, StrPart};
use crate::{Node, NodeKind, TokenKind, TokenRef, Tree};

/// Declares views: newtypes over nodes of certain kinds.
macro_rules! views {
    ($($(#[$doc:meta])* $name:ident = $($kind:ident)|+;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name<'t>(Node<'t>);

        impl<'t> $name<'t> {
            /// The view of `node`, if it is of the right kind.
            #[inline]
            #[must_use]
            pub fn cast(node: Node<'t>) -> Option<Self> {
                matches!(node.kind(), $(NodeKind::$kind)|+).then_some(Self(node))
            }

            /// The node behind the view.
            #[inline]
            #[must_use]
            pub fn node(self) -> Node<'t> {
                self.0
            }
        }
    )*};
}

views! {
    /// A variable.
    Ident = Ident;
    /// An integer, float or URI.
    Literal = Literal;
    /// `"…"` or `''…''`.
    Str = Str | IndStr;
    /// `${ expression }` in a string or path.
    Interpol = Interpol;
    /// `./path`, maybe with interpolation.
    Path = Path;
    /// `<nixpkgs/lib>`.
    SearchPath = SearchPath;
    /// `( expression )`.
    Paren = Paren;
    /// `[ … ]`.
    List = List;
    /// `{ … }` or `rec { … }`.
    AttrSet = AttrSet;
    /// The old `let { …; body = …; }`.
    LegacyLet = LegacyLet;
    /// `let … in body`.
    LetIn = LetIn;
    /// `with namespace; body`.
    With = With;
    /// `assert condition; body`.
    Assert = Assert;
    /// `if condition then consequence else alternative`.
    IfElse = IfElse;
    /// `parameter: body`.
    Lambda = Lambda;
    /// `function argument …`.
    Apply = Apply;
    /// `set.attribute.path`, maybe with `or default`.
    Select = Select;
    /// `set ? attribute.path`.
    HasAttr = HasAttr;
    /// `!x` or `-x`.
    Unary = Unary;
    /// A chain of one operator: `a + b + c`.
    Binary = Binary;
    /// `a.b."c".${d}`.
    AttrPath = AttrPath;
    /// An element of an attribute path or a name in an `inherit`, maybe a missing one.
    Attr = Name | Str | Dynamic | Error;
    /// `attribute.path = value;`.
    Binding = Binding;
    /// `inherit a b;` or `inherit (set) a b;`.
    Inherit = Inherit;
    /// The parameter of `x: body`.
    Param = Param;
    /// `{ a, b ? c, ... } @ args`.
    Pattern = Pattern;
    /// `name` or `name ? default` in a pattern.
    Formal = Formal;
}

/// The expression of a whole file.
#[must_use]
pub fn file_expr(tree: &Tree) -> Option<Node<'_>> {
    tree.root().child(0)
}

/// Any expression, by its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expr<'t> {
    /// A missing expression (empty) or tokens that fit nowhere.
    Error(Node<'t>),
    /// A variable.
    Ident(Ident<'t>),
    /// An integer, float or URI.
    Literal(Literal<'t>),
    /// A string of either form.
    Str(Str<'t>),
    /// A path.
    Path(Path<'t>),
    /// `<nixpkgs>`.
    SearchPath(SearchPath<'t>),
    /// An expression in parentheses.
    Paren(Paren<'t>),
    /// A list.
    List(List<'t>),
    /// An attribute set.
    AttrSet(AttrSet<'t>),
    /// The old `let { … }`.
    LegacyLet(LegacyLet<'t>),
    /// `let … in …`.
    LetIn(LetIn<'t>),
    /// `with …; …`.
    With(With<'t>),
    /// `assert …; …`.
    Assert(Assert<'t>),
    /// `if … then … else …`.
    IfElse(IfElse<'t>),
    /// A function.
    Lambda(Lambda<'t>),
    /// The application of a function.
    Apply(Apply<'t>),
    /// A selection.
    Select(Select<'t>),
    /// A test for an attribute.
    HasAttr(HasAttr<'t>),
    /// A prefix operator.
    Unary(Unary<'t>),
    /// A chain of an infix operator.
    Binary(Binary<'t>),
}

impl<'t> Expr<'t> {
    /// The view of `node`, if it is an expression.
    #[must_use]
    pub fn cast(node: Node<'t>) -> Option<Self> {
        Some(match node.kind() {
            NodeKind::Error => Self::Error(node),
            NodeKind::Ident => Self::Ident(Ident(node)),
            NodeKind::Literal => Self::Literal(Literal(node)),
            NodeKind::Str | NodeKind::IndStr => Self::Str(Str(node)),
            NodeKind::Path => Self::Path(Path(node)),
            NodeKind::SearchPath => Self::SearchPath(SearchPath(node)),
            NodeKind::Paren => Self::Paren(Paren(node)),
            NodeKind::List => Self::List(List(node)),
            NodeKind::AttrSet => Self::AttrSet(AttrSet(node)),
            NodeKind::LegacyLet => Self::LegacyLet(LegacyLet(node)),
            NodeKind::LetIn => Self::LetIn(LetIn(node)),
            NodeKind::With => Self::With(With(node)),
            NodeKind::Assert => Self::Assert(Assert(node)),
            NodeKind::IfElse => Self::IfElse(IfElse(node)),
            NodeKind::Lambda => Self::Lambda(Lambda(node)),
            NodeKind::Apply => Self::Apply(Apply(node)),
            NodeKind::Select => Self::Select(Select(node)),
            NodeKind::HasAttr => Self::HasAttr(HasAttr(node)),
            NodeKind::Unary => Self::Unary(Unary(node)),
            NodeKind::Binary => Self::Binary(Binary(node)),
            _ => return None,
        })
    }

    /// The node behind the view.
    #[must_use]
    pub fn node(self) -> Node<'t> {
        match self {
            Self::Error(node)
            | Self::Ident(Ident(node))
            | Self::Literal(Literal(node))
            | Self::Str(Str(node))
            | Self::Path(Path(node))
            | Self::SearchPath(SearchPath(node))
            | Self::Paren(Paren(node))
            | Self::List(List(node))
            | Self::AttrSet(AttrSet(node))
            | Self::LegacyLet(LegacyLet(node))
            | Self::LetIn(LetIn(node))
            | Self::With(With(node))
            | Self::Assert(Assert(node))
            | Self::IfElse(IfElse(node))
            | Self::Lambda(Lambda(node))
            | Self::Apply(Apply(node))
            | Self::Select(Select(node))
            | Self::HasAttr(HasAttr(node))
            | Self::Unary(Unary(node))
            | Self::Binary(Binary(node)) => node,
        }
    }
}

/// `node` with the parentheses around it taken off; `None` for empty parentheses.
#[must_use]
pub fn without_parens(mut node: Node<'_>) -> Option<Node<'_>> {
    while node.kind() == NodeKind::Paren {
        node = node.child(0)?;
    }
    Some(node)
}

/// An entry of a set or `let`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<'t> {
    /// `attribute.path = value;`.
    Binding(Binding<'t>),
    /// `inherit …;`.
    Inherit(Inherit<'t>),
}

impl<'t> Entry<'t> {
    /// The view of `node`, if it is an entry.
    #[must_use]
    pub fn cast(node: Node<'t>) -> Option<Self> {
        match node.kind() {
            NodeKind::Binding => Some(Self::Binding(Binding(node))),
            NodeKind::Inherit => Some(Self::Inherit(Inherit(node))),
            _ => None,
        }
    }

    /// The node behind the view.
    #[must_use]
    pub fn node(self) -> Node<'t> {
        match self {
            Self::Binding(Binding(node)) | Self::Inherit(Inherit(node)) => node,
        }
    }
}

/// The entries of a set or `let` node; none for other nodes.
pub fn entries(node: Node<'_>) -> impl Iterator<Item = Entry<'_>> + Clone {
    node.children().filter_map(Entry::cast)
}

/// The last child, if it is an expression: the body of what ends in one.
fn body_of(node: Node<'_>) -> Option<Node<'_>> {
    node.last_child().filter(|child| child.kind().is_expr())
}

impl<'t> Ident<'t> {
    /// The variable's name.
    #[must_use]
    pub fn name(self) -> &'t str {
        self.0.text()
    }
}

impl<'t> Literal<'t> {
    /// Its token: [`TokenKind::Int`], [`TokenKind::Float`] or [`TokenKind::Uri`].
    #[must_use]
    pub fn token(self) -> Option<TokenRef<'t>> {
        self.0.first_token()
    }
}

impl<'t> Str<'t> {
    /// Whether it is written as `''…''`.
    #[must_use]
    pub fn is_indented(self) -> bool {
        self.0.kind() == NodeKind::IndStr
    }

    /// Its value, see [`literal::string_parts`].
    #[must_use]
    pub fn parts(self) -> Vec<StrPart<'t>> {
        literal::string_parts(self.0)
    }

    /// Its value where nothing is interpolated, see [`literal::static_string`].
    #[must_use]
    pub fn static_value(self) -> Option<Cow<'t, str>> {
        literal::static_string(self.0)
    }

    /// What is interpolated.
    pub fn interpolations(self) -> impl Iterator<Item = Interpol<'t>> + Clone {
        self.0.children().filter_map(Interpol::cast)
    }
}

impl<'t> Interpol<'t> {
    /// The expression between the braces.
    #[must_use]
    pub fn expr(self) -> Option<Node<'t>> {
        self.0.child(0)
    }
}

impl<'t> Path<'t> {
    /// Its pieces, see [`literal::path_parts`].
    #[must_use]
    pub fn parts(self) -> Vec<StrPart<'t>> {
        literal::path_parts(self.0)
    }

    /// Its text where nothing is interpolated.
    #[must_use]
    pub fn static_text(self) -> Option<&'t str> {
        self.0.is_leaf().then(|| self.0.text())
    }
}

impl<'t> SearchPath<'t> {
    /// What stands between the angle brackets.
    #[must_use]
    pub fn path(self) -> &'t str {
        literal::search_path(self.0).unwrap_or_default()
    }
}

impl<'t> Paren<'t> {
    /// The expression between the parentheses.
    #[must_use]
    pub fn inner(self) -> Option<Node<'t>> {
        self.0.child(0)
    }
}

impl<'t> List<'t> {
    /// The elements.
    pub fn elements(self) -> impl Iterator<Item = Node<'t>> + Clone {
        self.0.children()
    }
}

impl<'t> AttrSet<'t> {
    /// The `rec` in front of the brace.
    #[must_use]
    pub fn rec_token(self) -> Option<TokenRef<'t>> {
        self.0.first_token().filter(|token| token.kind() == TokenKind::Rec)
    }

    /// Whether its attributes see each other.
    #[must_use]
    pub fn is_rec(self) -> bool {
        self.rec_token().is_some()
    }

    /// The bindings and inherits.
    pub fn entries(self) -> impl Iterator<Item = Entry<'t>> + Clone {
        entries(self.0)
    }
}

impl<'t> LegacyLet<'t> {
    /// The bindings and inherits.
    pub fn entries(self) -> impl Iterator<Item = Entry<'t>> + Clone {
        entries(self.0)
    }
}

impl<'t> LetIn<'t> {
    /// The bindings and inherits.
    pub fn entries(self) -> impl Iterator<Item = Entry<'t>> + Clone {
        entries(self.0)
    }

    /// The `in`.
    #[must_use]
    pub fn in_token(self) -> Option<TokenRef<'t>> {
        self.0.own_token(TokenKind::In)
    }

    /// The expression behind the `in`.
    #[must_use]
    pub fn body(self) -> Option<Node<'t>> {
        body_of(self.0)
    }
}

impl<'t> With<'t> {
    /// The set whose attributes come into scope.
    #[must_use]
    pub fn namespace(self) -> Option<Node<'t>> {
        self.0.child(0)
    }

    /// The expression behind the `;`.
    #[must_use]
    pub fn body(self) -> Option<Node<'t>> {
        self.0.child(1)
    }
}

impl<'t> Assert<'t> {
    /// What must be true.
    #[must_use]
    pub fn condition(self) -> Option<Node<'t>> {
        self.0.child(0)
    }

    /// The expression behind the `;`.
    #[must_use]
    pub fn body(self) -> Option<Node<'t>> {
        self.0.child(1)
    }
}

impl<'t> IfElse<'t> {
    /// The expression behind `if`.
    #[must_use]
    pub fn condition(self) -> Option<Node<'t>> {
        self.0.child(0)
    }

    /// The expression behind `then`.
    #[must_use]
    pub fn consequence(self) -> Option<Node<'t>> {
        self.0.child(1)
    }

    /// The expression behind `else`.
    #[must_use]
    pub fn alternative(self) -> Option<Node<'t>> {
        self.0.child(2)
    }
}

impl<'t> Lambda<'t> {
    /// The parameter `x` of `x: …`.
    #[must_use]
    pub fn param(self) -> Option<Param<'t>> {
        Param::cast(self.0.child(0)?)
    }

    /// The parameter `{ … }` of `{ … }: …`.
    #[must_use]
    pub fn pattern(self) -> Option<Pattern<'t>> {
        Pattern::cast(self.0.child(0)?)
    }

    /// The expression behind the `:`.
    #[must_use]
    pub fn body(self) -> Option<Node<'t>> {
        self.0.child(1)
    }
}

impl<'t> Param<'t> {
    /// The parameter's name.
    #[must_use]
    pub fn name(self) -> &'t str {
        self.0.text()
    }
}

impl<'t> Pattern<'t> {
    /// The named parameters.
    pub fn formals(self) -> impl Iterator<Item = Formal<'t>> + Clone {
        self.0.children().filter_map(Formal::cast)
    }

    /// The `...`.
    #[must_use]
    pub fn ellipsis(self) -> Option<TokenRef<'t>> {
        self.0.own_token(TokenKind::Ellipsis)
    }

    /// The name of the whole argument: `args` of `{ … } @ args` or `args @ { … }`.
    #[must_use]
    pub fn bind_name(self) -> Option<TokenRef<'t>> {
        self.0.child_of_kind(NodeKind::PatBind)?.own_token(TokenKind::Ident)
    }
}

impl<'t> Formal<'t> {
    /// The parameter's name.
    #[must_use]
    pub fn name(self) -> Option<TokenRef<'t>> {
        self.0.first_token().filter(|token| token.kind() == TokenKind::Ident)
    }

    /// The expression behind the `?`.
    #[must_use]
    pub fn default(self) -> Option<Node<'t>> {
        self.0.child(0)
    }
}

impl<'t> Apply<'t> {
    /// What is applied.
    #[must_use]
    pub fn function(self) -> Option<Node<'t>> {
        self.0.child(0)
    }

    /// What it is applied to, one after the other.
    pub fn arguments(self) -> impl Iterator<Item = Node<'t>> + Clone {
        self.0.children().skip(1)
    }
}

impl<'t> Select<'t> {
    /// What is selected from.
    #[must_use]
    pub fn base(self) -> Option<Node<'t>> {
        self.0.child(0)
    }

    /// What is selected.
    #[must_use]
    pub fn attr_path(self) -> Option<AttrPath<'t>> {
        AttrPath::cast(self.0.child(1)?)
    }

    /// The expression behind `or`.
    #[must_use]
    pub fn default(self) -> Option<Node<'t>> {
        self.0.child(2)
    }
}

impl<'t> HasAttr<'t> {
    /// What is looked into.
    #[must_use]
    pub fn base(self) -> Option<Node<'t>> {
        self.0.child(0)
    }

    /// What is looked for.
    #[must_use]
    pub fn attr_path(self) -> Option<AttrPath<'t>> {
        AttrPath::cast(self.0.child(1)?)
    }
}

impl<'t> Unary<'t> {
    /// [`TokenKind::Not`] or [`TokenKind::Sub`].
    #[must_use]
    pub fn operator(self) -> Option<TokenKind> {
        self.0.first_token().map(TokenRef::kind)
    }

    /// What it applies to.
    #[must_use]
    pub fn operand(self) -> Option<Node<'t>> {
        self.0.child(0)
    }
}

impl<'t> Binary<'t> {
    /// The operator, the same between all operands; [`TokenKind::Error`] where none is left.
    #[must_use]
    pub fn operator(self) -> TokenKind {
        self.operator_tokens().next().map_or(TokenKind::Error, TokenRef::kind)
    }

    /// The operators between the operands.
    pub fn operator_tokens(self) -> impl Iterator<Item = TokenRef<'t>> {
        self.0.own_tokens()
    }

    /// The operands, at least two in sound code.
    pub fn operands(self) -> impl Iterator<Item = Node<'t>> + Clone {
        self.0.children()
    }
}

impl<'t> AttrPath<'t> {
    /// The names between the dots, missing ones included.
    pub fn elements(self) -> impl Iterator<Item = Attr<'t>> + Clone {
        self.0.children().filter_map(Attr::cast)
    }
}

impl<'t> Attr<'t> {
    /// The name, if it is known without evaluation, see [`literal::attr_name`].
    #[must_use]
    pub fn name(self) -> Option<Cow<'t, str>> {
        literal::attr_name(self.0)
    }

    /// Whether only evaluation can tell the name.
    #[must_use]
    pub fn is_dynamic(self) -> bool {
        matches!(self.0.kind(), NodeKind::Str | NodeKind::Dynamic) && self.name().is_none()
    }
}

impl<'t> Binding<'t> {
    /// The path in front of the `=`.
    #[must_use]
    pub fn attr_path(self) -> Option<AttrPath<'t>> {
        AttrPath::cast(self.0.child(0)?)
    }

    /// The expression behind the `=`.
    #[must_use]
    pub fn value(self) -> Option<Node<'t>> {
        self.0.child(1).filter(|child| child.kind().is_expr())
    }

    /// The `=`.
    #[must_use]
    pub fn assign_token(self) -> Option<TokenRef<'t>> {
        self.0.own_token(TokenKind::Assign)
    }

    /// The `;` at the end.
    #[must_use]
    pub fn semicolon(self) -> Option<TokenRef<'t>> {
        self.0.last_token().filter(|token| token.kind() == TokenKind::Semicolon)
    }
}

impl<'t> Inherit<'t> {
    /// The expression in parentheses that the names are taken from.
    #[must_use]
    pub fn from(self) -> Option<Node<'t>> {
        self.0.child_of_kind(NodeKind::InheritFrom)?.child(0)
    }

    /// The names.
    pub fn names(self) -> impl Iterator<Item = Attr<'t>> + Clone {
        self.0.children().filter(|child| child.kind() != NodeKind::Error).filter_map(Attr::cast)
    }

    /// The `;` at the end.
    #[must_use]
    pub fn semicolon(self) -> Option<TokenRef<'t>> {
        self.0.last_token().filter(|token| token.kind() == TokenKind::Semicolon)
    }
}

#[cfg(test)]
mod tests;
