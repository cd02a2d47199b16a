//! The kinds of tokens and nodes.

/// Declares a fieldless enum with a conversion from its number.
macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The kind behind the low six bits of a packed word.
            #[inline]
            pub(crate) const fn from_bits(bits: u32) -> Self {
                const TABLE: [$name; 64] = {
                    let mut table = [$name::ALL[0]; 64];
                    let mut at = 0;
                    while at < $name::ALL.len() {
                        table[at] = $name::ALL[at];
                        at += 1;
                    }
                    table
                };
                TABLE[(bits & 63) as usize]
            }
        }

        // Kinds share a word with a 26-bit number.
        const _: () = assert!($name::ALL.len() <= 64);
    };
}

kinds! {
    /// What a token is. Every byte of a file belongs to exactly one token.
    TokenKind {
        /// Blanks, tabs, carriage returns and line feeds.
        Whitespace,
        /// `# …` up to the end of the line.
        LineComment,
        /// `/* … */`, doc comments among them.
        BlockComment,
        /// Bytes that begin no token.
        Error,
        /// The empty token behind the last byte.
        Eof,
        /// An identifier.
        Ident,
        /// An integer literal.
        Int,
        /// A floating-point literal.
        Float,
        /// An unquoted URI.
        Uri,
        /// A whole path without interpolation: `./a`, `/a`, `a/b`, `~/a`.
        Path,
        /// The first piece of a path with interpolation.
        PathStart,
        /// A further piece of a path with interpolation.
        PathPart,
        /// `<nixpkgs/lib>`.
        SearchPath,
        /// The `"` that opens a string.
        StrStart,
        /// Raw text inside `"…"`, escapes included.
        StrContent,
        /// The `"` that closes a string.
        StrEnd,
        /// The `''` that opens an indented string.
        IndStart,
        /// Raw text inside `''…''`, escapes included.
        IndContent,
        /// The `''` that closes an indented string.
        IndEnd,
        /// `${`; its `}` is a [`TokenKind::RBrace`].
        InterpolStart,
        /// `if`.
        If,
        /// `then`.
        Then,
        /// `else`.
        Else,
        /// `assert`.
        Assert,
        /// `with`.
        With,
        /// `let`.
        Let,
        /// `in`.
        In,
        /// `rec`.
        Rec,
        /// `inherit`.
        Inherit,
        /// `or`: a keyword behind a selection, a plain name as an attribute.
        Or,
        /// `{`.
        LBrace,
        /// `}`.
        RBrace,
        /// `(`.
        LParen,
        /// `)`.
        RParen,
        /// `[`.
        LBracket,
        /// `]`.
        RBracket,
        /// `=`.
        Assign,
        /// `.`.
        Dot,
        /// `,`.
        Comma,
        /// `;`.
        Semicolon,
        /// `:`.
        Colon,
        /// `?`.
        Question,
        /// `@`.
        At,
        /// `...`.
        Ellipsis,
        /// `!`.
        Not,
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
        /// `>`.
        Greater,
        /// `<=`.
        LessEqual,
        /// `>=`.
        GreaterEqual,
        /// `&&`.
        And,
        /// `||`.
        OrOr,
        /// `->`.
        Implies,
        /// `|>`.
        PipeInto,
        /// `<|`.
        PipeFrom,
    }
}

impl TokenKind {
    /// Whether the token means nothing to the grammar: blanks and comments.
    #[inline]
    #[must_use]
    pub const fn is_trivia(self) -> bool {
        (self as u8) <= (Self::BlockComment as u8)
    }

    /// Whether the token is a comment.
    #[must_use]
    pub const fn is_comment(self) -> bool {
        matches!(self, Self::LineComment | Self::BlockComment)
    }

    /// Whether the token is a reserved word. `or` is one only in some places and counts as one here.
    #[must_use]
    pub const fn is_keyword(self) -> bool {
        (self as u8) >= (Self::If as u8) && (self as u8) <= (Self::Or as u8)
    }

    /// How messages speak of the token: its text in backquotes, or a word for its class.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Whitespace => "whitespace",
            Self::LineComment | Self::BlockComment => "a comment",
            Self::Error => "an unknown character",
            Self::Eof => "the end of the file",
            Self::Ident => "a name",
            Self::Int => "an integer",
            Self::Float => "a floating-point number",
            Self::Uri => "a URI",
            Self::Path | Self::PathStart | Self::PathPart => "a path",
            Self::SearchPath => "a search path",
            Self::StrStart | Self::StrContent => "a string",
            Self::StrEnd => "the end of a string",
            Self::IndStart | Self::IndContent => "an indented string",
            Self::IndEnd => "the end of an indented string",
            Self::InterpolStart => "`${`",
            Self::If => "`if`",
            Self::Then => "`then`",
            Self::Else => "`else`",
            Self::Assert => "`assert`",
            Self::With => "`with`",
            Self::Let => "`let`",
            Self::In => "`in`",
            Self::Rec => "`rec`",
            Self::Inherit => "`inherit`",
            Self::Or => "`or`",
            Self::LBrace => "`{`",
            Self::RBrace => "`}`",
            Self::LParen => "`(`",
            Self::RParen => "`)`",
            Self::LBracket => "`[`",
            Self::RBracket => "`]`",
            Self::Assign => "`=`",
            Self::Dot => "`.`",
            Self::Comma => "`,`",
            Self::Semicolon => "`;`",
            Self::Colon => "`:`",
            Self::Question => "`?`",
            Self::At => "`@`",
            Self::Ellipsis => "`...`",
            Self::Not => "`!`",
            Self::Add => "`+`",
            Self::Sub => "`-`",
            Self::Mul => "`*`",
            Self::Div => "`/`",
            Self::Concat => "`++`",
            Self::Update => "`//`",
            Self::Equal => "`==`",
            Self::NotEqual => "`!=`",
            Self::Less => "`<`",
            Self::Greater => "`>`",
            Self::LessEqual => "`<=`",
            Self::GreaterEqual => "`>=`",
            Self::And => "`&&`",
            Self::OrOr => "`||`",
            Self::Implies => "`->`",
            Self::PipeInto => "`|>`",
            Self::PipeFrom => "`<|`",
        }
    }
}

kinds! {
    /// What a node is. Application, attribute paths and chains of one operator are n-ary.
    NodeKind {
        /// The whole file; its child is the expression.
        Root,
        /// Tokens that fit nowhere, or (when empty) an expression that is missing.
        Error,
        /// A variable.
        Ident,
        /// An integer, float or URI.
        Literal,
        /// `"…"`; children: [`NodeKind::Interpol`].
        Str,
        /// `''…''`; children: [`NodeKind::Interpol`].
        IndStr,
        /// A path; children: [`NodeKind::Interpol`].
        Path,
        /// `<nixpkgs/lib>`.
        SearchPath,
        /// `${ expression }` inside a string or a path.
        Interpol,
        /// `( expression )`.
        Paren,
        /// `[ … ]`; children: the elements.
        List,
        /// `{ … }` or `rec { … }`; children: [`NodeKind::Binding`] and [`NodeKind::Inherit`].
        AttrSet,
        /// The old `let { …; body = …; }`; children as in [`NodeKind::AttrSet`].
        LegacyLet,
        /// `let … in body`; children: bindings, then the body.
        LetIn,
        /// `with namespace; body`.
        With,
        /// `assert condition; body`.
        Assert,
        /// `if condition then consequence else alternative`.
        IfElse,
        /// `parameter: body`; children: [`NodeKind::Param`] or [`NodeKind::Pattern`], then the body.
        Lambda,
        /// `function argument argument …`; also the old `x or`, whose argument is an `or` variable.
        Apply,
        /// `set.attribute.path`, maybe `or default`; children: the set, the path, the default.
        Select,
        /// `set ? attribute.path`.
        HasAttr,
        /// `!x` or `-x`.
        Unary,
        /// `a + b + c`; children: the operands. One operator for the whole chain.
        Binary,
        /// `a.b."c".${d}`; children: [`NodeKind::Name`], [`NodeKind::Str`], [`NodeKind::Dynamic`].
        AttrPath,
        /// An attribute's name, written as an identifier.
        Name,
        /// `${ expression }` as an attribute's name.
        Dynamic,
        /// `attribute.path = value;`.
        Binding,
        /// `inherit a b;` or `inherit (set) a b;`; children: maybe [`NodeKind::InheritFrom`], then
        /// names like those of an attribute path.
        Inherit,
        /// `( set )` in an `inherit`.
        InheritFrom,
        /// The parameter of `x: body`.
        Param,
        /// `{ a, b ? c, ... } @ args`; children: [`NodeKind::Formal`] and maybe [`NodeKind::PatBind`].
        Pattern,
        /// `name` or `name ? default` in a pattern.
        Formal,
        /// `args @` or `@ args`; the name is its token.
        PatBind,
    }
}

impl NodeKind {
    /// Whether the node is an expression (missing and broken ones count).
    #[must_use]
    pub const fn is_expr(self) -> bool {
        matches!(
            self,
            Self::Error
                | Self::Ident
                | Self::Literal
                | Self::Str
                | Self::IndStr
                | Self::Path
                | Self::SearchPath
                | Self::Paren
                | Self::List
                | Self::AttrSet
                | Self::LegacyLet
                | Self::LetIn
                | Self::With
                | Self::Assert
                | Self::IfElse
                | Self::Lambda
                | Self::Apply
                | Self::Select
                | Self::HasAttr
                | Self::Unary
                | Self::Binary
        )
    }
}
