//! The arena tree: nodes in preorder beside a token array that keeps every byte.
//!
//! A node is 16 bytes: kind and subtree size, first token, end token, parent. Children are found by
//! jumping over subtrees, so walking needs no pointers and the whole tree is two allocations. A
//! [`Node`] is a copyable handle; its text is a slice of the tree's own copy of the source.

use cim_nix_base::{TextRange, TextSize};

use crate::lexer::Token;
use crate::{NodeKind, TokenKind};

/// The number of a node within its tree; the root is 0 and numbers grow in preorder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The number of a token within its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u32);

impl std::fmt::Debug for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "t{}", self.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeData {
    /// Kind in the low six bits, number of nodes in the subtree (itself included) above.
    pub(crate) kind_size: u32,
    /// First token that belongs to the node (trivia only in front of a missing first child).
    pub(crate) first: u32,
    /// One past its last token (never trivia); equal to `first` for a missing node.
    pub(crate) end: u32,
    /// Preorder number of the parent; the root is its own.
    pub(crate) parent: u32,
}

impl NodeData {
    #[inline]
    pub(crate) fn kind(self) -> NodeKind {
        NodeKind::from_bits(self.kind_size)
    }

    #[inline]
    pub(crate) fn size(self) -> u32 {
        self.kind_size >> 6
    }
}

/// A parsed file: its text, tokens and nodes. Immutable.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    pub(crate) text: Box<str>,
    pub(crate) tokens: Box<[Token]>,
    pub(crate) nodes: Box<[NodeData]>,
}

impl Tree {
    /// The text that was parsed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text alone, for whoever needs the rest no more.
    #[must_use]
    pub fn into_text(self) -> Box<str> {
        self.text
    }

    /// The node of the whole file.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        self.node(NodeId(0))
    }

    /// The handle of a node.
    ///
    /// Panics if `id` comes from another tree and is out of range.
    #[inline]
    #[must_use]
    pub fn node(&self, id: NodeId) -> Node<'_> {
        assert!((id.0 as usize) < self.nodes.len(), "{id:?} is not a node of this tree");
        Node { tree: self, id }
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never true: every tree has a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All nodes in preorder.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Node<'_>> + ExactSizeIterator {
        (0..self.nodes.len() as u32).map(|id| Node { tree: self, id: NodeId(id) })
    }

    /// Number of tokens, the end-of-file token included.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// All tokens, trivia and the final [`TokenKind::Eof`] included, in the order of the text.
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = TokenRef<'_>> + ExactSizeIterator {
        (0..self.tokens.len() as u32).map(|id| TokenRef { tree: self, id: TokenId(id) })
    }

    /// The handle of a token.
    ///
    /// Panics if `id` comes from another tree and is out of range.
    #[inline]
    #[must_use]
    pub fn token(&self, id: TokenId) -> TokenRef<'_> {
        assert!((id.0 as usize) < self.tokens.len(), "{id:?} is not a token of this tree");
        TokenRef { tree: self, id }
    }

    #[inline]
    fn token_start(&self, id: u32) -> TextSize {
        if id == 0 { 0 } else { self.tokens[id as usize - 1].end() }
    }

    /// The token that holds the byte at `offset`; the last token for offsets past the end.
    #[must_use]
    pub fn token_at(&self, offset: TextSize) -> TokenRef<'_> {
        let at = self.tokens.partition_point(|token| token.end() <= offset);
        self.token(TokenId(at.min(self.tokens.len() - 1) as u32))
    }

    /// The tokens left and right of the cursor position `offset`; both are the same token when the
    /// position lies inside it, and the left one is absent at the start of the file.
    #[must_use]
    pub fn tokens_around(&self, offset: TextSize) -> (Option<TokenRef<'_>>, TokenRef<'_>) {
        let right = self.token_at(offset);
        if right.range().start < offset {
            return (Some(right), right);
        }
        (right.previous(), right)
    }

    /// The smallest node that covers all of `range`, trivia outside nodes belonging to the parent.
    ///
    /// Cost: proportional to the depth and the number of siblings passed over.
    #[must_use]
    pub fn covering(&self, range: TextRange) -> Node<'_> {
        let mut node = self.root();
        loop {
            let inner = node.children().find(|child| {
                let found = child.range();
                found.contains_range(range) && (range.is_empty() || !found.is_empty())
            });
            match inner {
                Some(child) => node = child,
                None => return node,
            }
        }
    }

    /// The smallest node that touches the cursor position `offset`; where two meet, the right one.
    #[must_use]
    pub fn node_at(&self, offset: TextSize) -> Node<'_> {
        let mut node = self.root();
        loop {
            match node.children().filter(|child| child.range().touches(offset)).last() {
                Some(child) => node = child,
                None => return node,
            }
        }
    }

    /// Heap bytes held by tokens and nodes, the text not counted.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        size_of_val(&*self.tokens) + size_of_val(&*self.nodes)
    }

    /// Prints the tree, one node a line: kind, range and, for leaves, the text.
    #[must_use]
    pub fn dump(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        let mut ends: Vec<u32> = Vec::new();
        for node in self.nodes() {
            while ends.last().is_some_and(|&end| end <= node.id.0) {
                ends.pop();
            }
            let _ = write!(out, "{:1$}", "", ends.len() * 2);
            let _ = write!(out, "{:?}@{:?}", node.kind(), node.range());
            if node.is_leaf() && !node.range().is_empty() && node.kind() != NodeKind::Root {
                let _ = write!(out, " {:?}", node.text());
            }
            out.push('\n');
            ends.push(node.subtree_end());
        }
        out
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.dump())
    }
}

/// A handle of a node.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    tree: &'t Tree,
    id: NodeId,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.tree, other.tree)
    }
}

impl Eq for Node<'_> {}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{:?}", self.kind(), self.range())
    }
}

impl<'t> Node<'t> {
    #[inline]
    fn data(self) -> NodeData {
        self.tree.nodes[self.id.0 as usize]
    }

    /// Its number.
    #[inline]
    #[must_use]
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The tree it belongs to.
    #[inline]
    #[must_use]
    pub fn tree(self) -> &'t Tree {
        self.tree
    }

    /// What it is.
    #[inline]
    #[must_use]
    pub fn kind(self) -> NodeKind {
        self.data().kind()
    }

    /// Its byte range, without the trivia around it.
    #[inline]
    #[must_use]
    pub fn range(self) -> TextRange {
        let data = self.data();
        let start = if data.first == data.end {
            self.tree.token_start(data.first)
        } else {
            return TextRange::new(
                self.tree.token_start(data.first),
                self.tree.token_start(data.end),
            );
        };
        TextRange::empty(start)
    }

    /// Its text, without the trivia around it.
    #[inline]
    #[must_use]
    pub fn text(self) -> &'t str {
        &self.tree.text[self.range().as_usize()]
    }

    /// The node that holds it; `None` for the root.
    #[inline]
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let parent = self.data().parent;
        (parent != self.id.0).then_some(Self { tree: self.tree, id: NodeId(parent) })
    }

    /// Parent, grandparent and so on up to the root.
    pub fn ancestors(self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), |node| node.parent())
    }

    /// The first preorder number behind its subtree.
    #[inline]
    #[must_use]
    pub fn subtree_end(self) -> u32 {
        self.id.0 + self.data().size()
    }

    /// Whether it has no children.
    #[inline]
    #[must_use]
    pub fn is_leaf(self) -> bool {
        self.data().size() == 1
    }

    /// Its children in the order of the text.
    #[inline]
    #[must_use]
    pub fn children(self) -> Children<'t> {
        Children { tree: self.tree, next: self.id.0 + 1, end: self.subtree_end() }
    }

    /// The child number `at`, from 0.
    #[inline]
    #[must_use]
    pub fn child(self, at: usize) -> Option<Self> {
        self.children().nth(at)
    }

    /// The first child of a kind.
    #[must_use]
    pub fn child_of_kind(self, kind: NodeKind) -> Option<Self> {
        self.children().find(|child| child.kind() == kind)
    }

    /// The last child.
    #[must_use]
    pub fn last_child(self) -> Option<Self> {
        self.children().last()
    }

    /// The sibling behind it.
    #[must_use]
    pub fn next_sibling(self) -> Option<Self> {
        let next = self.subtree_end();
        let parent = self.parent()?;
        (next < parent.subtree_end()).then_some(Self { tree: self.tree, id: NodeId(next) })
    }

    /// Itself and everything below it, in preorder.
    pub fn descendants(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        let tree = self.tree;
        (self.id.0..self.subtree_end()).map(move |id| Node { tree, id: NodeId(id) })
    }

    /// Whether `other` is this node or lies below it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.id.0 <= other.id.0 && other.id.0 < self.subtree_end()
    }

    /// Its tokens from the first to the last, trivia between them included.
    pub fn tokens(self) -> impl DoubleEndedIterator<Item = TokenRef<'t>> + ExactSizeIterator {
        let (tree, data) = (self.tree, self.data());
        (data.first..data.end).map(move |id| TokenRef { tree, id: TokenId(id) })
    }

    /// Its tokens that belong to none of its children, without trivia.
    pub fn own_tokens(self) -> impl Iterator<Item = TokenRef<'t>> {
        let (tree, data) = (self.tree, self.data());
        let mut children = self.children();
        let mut skip = children.next();
        let mut at = data.first;
        std::iter::from_fn(move || {
            loop {
                while let Some(child) = skip {
                    let child_data = child.data();
                    if at < child_data.first {
                        break;
                    }
                    at = at.max(child_data.end);
                    skip = children.next();
                }
                if at >= data.end {
                    return None;
                }
                at += 1;
                let token = TokenRef { tree, id: TokenId(at - 1) };
                if !token.kind().is_trivia() {
                    return Some(token);
                }
            }
        })
    }

    /// The first of its own tokens of a kind.
    #[must_use]
    pub fn own_token(self, kind: TokenKind) -> Option<TokenRef<'t>> {
        self.own_tokens().find(|token| token.kind() == kind)
    }

    /// Its first token; `None` for a missing node.
    #[inline]
    #[must_use]
    pub fn first_token(self) -> Option<TokenRef<'t>> {
        let data = self.data();
        (data.first < data.end).then_some(TokenRef { tree: self.tree, id: TokenId(data.first) })
    }

    /// Its last token; `None` for a missing node.
    #[must_use]
    pub fn last_token(self) -> Option<TokenRef<'t>> {
        let data = self.data();
        (data.first < data.end).then_some(TokenRef { tree: self.tree, id: TokenId(data.end - 1) })
    }

    /// The token in front of it (maybe trivia).
    #[must_use]
    pub fn token_before(self) -> Option<TokenRef<'t>> {
        let first = self.data().first;
        (first > 0).then(|| TokenRef { tree: self.tree, id: TokenId(first - 1) })
    }

    /// The token behind it (maybe trivia or the end of the file).
    #[must_use]
    pub fn token_after(self) -> TokenRef<'t> {
        TokenRef { tree: self.tree, id: TokenId(self.data().end) }
    }
}

/// The children of a node.
#[derive(Clone)]
pub struct Children<'t> {
    tree: &'t Tree,
    next: u32,
    end: u32,
}

impl<'t> Iterator for Children<'t> {
    type Item = Node<'t>;

    #[inline]
    fn next(&mut self) -> Option<Node<'t>> {
        if self.next >= self.end {
            return None;
        }
        let node = Node { tree: self.tree, id: NodeId(self.next) };
        self.next += node.data().size();
        Some(node)
    }
}

/// A handle of a token.
#[derive(Clone, Copy)]
pub struct TokenRef<'t> {
    tree: &'t Tree,
    id: TokenId,
}

impl PartialEq for TokenRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.tree, other.tree)
    }
}

impl Eq for TokenRef<'_> {}

impl std::fmt::Debug for TokenRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{:?} {:?}", self.kind(), self.range(), self.text())
    }
}

impl<'t> TokenRef<'t> {
    /// Its number.
    #[must_use]
    pub fn id(self) -> TokenId {
        self.id
    }

    /// What it is.
    #[inline]
    #[must_use]
    pub fn kind(self) -> TokenKind {
        self.tree.tokens[self.id.0 as usize].kind()
    }

    /// Its byte range.
    #[inline]
    #[must_use]
    pub fn range(self) -> TextRange {
        let end = self.tree.tokens[self.id.0 as usize].end();
        TextRange::new(self.tree.token_start(self.id.0), end)
    }

    /// Its text.
    #[inline]
    #[must_use]
    pub fn text(self) -> &'t str {
        &self.tree.text[self.range().as_usize()]
    }

    /// The token behind it, trivia included; `None` behind the end-of-file token.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let next = self.id.0 + 1;
        ((next as usize) < self.tree.tokens.len())
            .then_some(Self { tree: self.tree, id: TokenId(next) })
    }

    /// The token in front of it, trivia included.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        (self.id.0 > 0).then(|| Self { tree: self.tree, id: TokenId(self.id.0 - 1) })
    }

    /// The next token that is not trivia.
    #[must_use]
    pub fn next_significant(self) -> Option<Self> {
        std::iter::successors(self.next(), |token| token.next()).find(|t| !t.kind().is_trivia())
    }

    /// The previous token that is not trivia.
    #[must_use]
    pub fn previous_significant(self) -> Option<Self> {
        std::iter::successors(self.previous(), |token| token.previous())
            .find(|t| !t.kind().is_trivia())
    }
}
