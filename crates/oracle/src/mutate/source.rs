//! A program with the places where it can be struck.

use std::ops::Range;

use fastrand::Rng;
use rnix::{SyntaxKind, SyntaxNode};

/// Replaces the bytes of a range.
pub(super) type Edit = (Range<usize>, Vec<u8>);

/// A token of rnix.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) kind: SyntaxKind,
    pub(super) range: Range<usize>,
}

/// A program as rnix sees it.
pub(super) struct Source<'t> {
    pub(super) text: &'t str,
    pub(super) nodes: Vec<SyntaxNode>,
    pub(super) tokens: Vec<Token>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let root = rnix::Root::parse(text).syntax();
        let mut start = 0;
        let tokens = rnix::tokenize(text).map(|(kind, token)| {
            let range = start..start + token.len();
            start = range.end;
            Token { kind, range }
        });
        Self { text, nodes: root.descendants().collect(), tokens: tokens.collect() }
    }

    /// A random node that `fits`.
    pub(super) fn node(
        &self,
        rng: &mut Rng,
        fits: impl Fn(&SyntaxNode) -> bool,
    ) -> Option<&SyntaxNode> {
        let all: Vec<&SyntaxNode> = self.nodes.iter().filter(|node| fits(node)).collect();
        pick(rng, &all).copied()
    }

    /// A random node of one of `kinds`.
    pub(super) fn node_of(&self, rng: &mut Rng, kinds: &[SyntaxKind]) -> Option<&SyntaxNode> {
        self.node(rng, |node| kinds.contains(&node.kind()))
    }

    /// A random expression.
    pub(super) fn expr(&self, rng: &mut Rng) -> Option<&SyntaxNode> {
        self.node(rng, is_expr)
    }

    /// A random token that `fits`.
    pub(super) fn token(&self, rng: &mut Rng, fits: impl Fn(&Token) -> bool) -> Option<&Token> {
        let all: Vec<&Token> = self.tokens.iter().filter(|token| fits(token)).collect();
        pick(rng, &all).copied()
    }

    /// A random token that is neither white space nor comment.
    pub(super) fn code_token(&self, rng: &mut Rng) -> Option<&Token> {
        self.token(rng, |token| !is_trivia(token.kind))
    }

    pub(super) fn text_of(&self, range: &Range<usize>) -> &'t str {
        &self.text[range.clone()]
    }

    /// A name that the program uses somewhere.
    pub(super) fn some_name(&self, rng: &mut Rng) -> String {
        let name = self.token(rng, |token| token.kind == SyntaxKind::TOKEN_IDENT);
        name.map_or_else(|| "nope".to_owned(), |token| self.text_of(&token.range).to_owned())
    }

    /// The nearest character boundary at or before `at`.
    pub(super) fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// A random element.
pub(super) fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> Option<&'a T> {
    if all.is_empty() { None } else { all.get(rng.usize(..all.len())) }
}

/// A random word of a list that is not empty.
pub(super) fn word(rng: &mut Rng, words: &[&'static str]) -> &'static str {
    pick(rng, words).copied().unwrap_or_default()
}

/// The bytes of `node` without the white space that rnix may attach.
pub(super) fn range_of(node: &SyntaxNode) -> Range<usize> {
    let range = node.text_range();
    usize::from(range.start())..usize::from(range.end())
}

pub(super) fn insert(at: usize, text: impl Into<Vec<u8>>) -> Edit {
    (at..at, text.into())
}

pub(super) fn remove(range: Range<usize>) -> Edit {
    (range, Vec::new())
}

/// Replaces a node by a text.
pub(super) fn replace(node: &SyntaxNode, text: impl Into<Vec<u8>>) -> Edit {
    (range_of(node), text.into())
}

/// Applies edits in the order of their places; one that overlaps its predecessor is left out.
pub(super) fn apply(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut out, mut done) = (Vec::with_capacity(text.len() + 64), 0);
    for (range, new) in edits {
        if range.start < done || range.end > text.len() {
            continue;
        }
        out.extend_from_slice(&text[done..range.start]);
        out.extend_from_slice(&new);
        done = range.end;
    }
    out.extend_from_slice(&text[done..]);
    out
}

pub(super) fn is_trivia(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::TOKEN_WHITESPACE | SyntaxKind::TOKEN_COMMENT)
}

/// Whether the node stands where an expression is wanted.
pub(super) fn is_expr(node: &SyntaxNode) -> bool {
    use SyntaxKind as K;
    let is_kind = matches!(
        node.kind(),
        K::NODE_APPLY
            | K::NODE_ASSERT
            | K::NODE_ATTR_SET
            | K::NODE_BIN_OP
            | K::NODE_CUR_POS
            | K::NODE_HAS_ATTR
            | K::NODE_IDENT
            | K::NODE_IF_ELSE
            | K::NODE_LAMBDA
            | K::NODE_LEGACY_LET
            | K::NODE_LET_IN
            | K::NODE_LIST
            | K::NODE_LITERAL
            | K::NODE_PAREN
            | K::NODE_PATH_ABS
            | K::NODE_PATH_HOME
            | K::NODE_PATH_REL
            | K::NODE_PATH_SEARCH
            | K::NODE_SELECT
            | K::NODE_STRING
            | K::NODE_UNARY_OP
            | K::NODE_WITH
    );
    is_kind && !is_name(node)
}

/// Whether the node is a name that binds or selects rather than a use.
pub(super) fn is_name(node: &SyntaxNode) -> bool {
    use SyntaxKind as K;
    let Some(parent) = node.parent() else { return false };
    match parent.kind() {
        K::NODE_ATTRPATH | K::NODE_INHERIT | K::NODE_IDENT_PARAM | K::NODE_PAT_BIND => true,
        K::NODE_PAT_ENTRY => parent.first_child().as_ref() == Some(node),
        _ => false,
    }
}

/// Whether the node is a variable that is used.
pub(super) fn is_use(node: &SyntaxNode) -> bool {
    node.kind() == SyntaxKind::NODE_IDENT && !is_name(node)
}

/// Whether the node is one entry of a set or `let`.
pub(super) fn is_binding(node: &SyntaxNode) -> bool {
    matches!(node.kind(), SyntaxKind::NODE_ATTRPATH_VALUE | SyntaxKind::NODE_INHERIT)
}

/// The bindings that stand beside each other in `node`.
pub(super) fn bindings(node: &SyntaxNode) -> Vec<SyntaxNode> {
    node.children().filter(is_binding).collect()
}
