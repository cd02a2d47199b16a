//! Our tree beside rnix's.
//!
//! Both are brought to one form: a preorder list of kinds and ranges in which applications and
//! chains of one operator are flat, as in our tree, and names that bind are leaves.

use std::fmt;
use std::ops::Range;

use cim_nix_syntax::{NodeKind, Tree};
use rnix::{SyntaxKind, SyntaxNode};

/// A node in the common form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How many nodes are around it.
    pub depth: usize,
    /// What it is.
    pub kind: NodeKind,
    /// The operator of a [`NodeKind::Binary`] or [`NodeKind::Unary`], empty otherwise.
    pub operator: String,
    /// Where it is.
    pub range: Range<usize>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.range;
        write!(f, "{:?}{} {start}..{end} at depth {}", self.kind, self.operator, self.depth)
    }
}

/// The outcome of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The same tree of so many nodes.
    Same(usize),
    /// Another tree: our node and rnix's where they first differ.
    Differ(Option<Entry>, Option<Entry>),
    /// Only one of them finds the text valid.
    Validity {
        /// Whether it is ours.
        we_accept: bool,
    },
    /// Both find the text broken; broken trees are not compared.
    BothRefuse,
}

/// Compares the trees of a text.
#[must_use]
pub fn compare_trees(text: &str) -> Outcome {
    let ours = cim_nix_syntax::parse(text);
    let theirs = rnix::Root::parse(text);
    match (ours.problems.is_empty(), theirs.errors().is_empty()) {
        (false, false) => Outcome::BothRefuse,
        (true, true) => {
            let (ours, theirs) = (our_entries(&ours.tree), their_entries(&theirs.syntax()));
            let n_same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
            if n_same == ours.len() && n_same == theirs.len() {
                return Outcome::Same(n_same);
            }
            Outcome::Differ(ours.get(n_same).cloned(), theirs.get(n_same).cloned())
        }
        (we_accept, _) => Outcome::Validity { we_accept },
    }
}

/// Whether the tokens of our tree give back the very text, broken or not.
#[must_use]
pub fn rebuilds(text: &str) -> bool {
    let parse = cim_nix_syntax::parse(text);
    let rebuilt: String = parse.tree.tokens().map(|token| token.text().to_owned()).collect();
    rebuilt == text
}

fn our_entries(tree: &Tree) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(tree.len());
    let mut ends: Vec<u32> = Vec::new();
    for node in tree.nodes().skip(1) {
        while ends.last().is_some_and(|&end| end <= node.id().0) {
            ends.pop();
        }
        let operator = match node.kind() {
            NodeKind::Binary | NodeKind::Unary => {
                node.own_tokens().find(|token| !token.kind().is_trivia())
            }
            _ => None,
        };
        entries.push(Entry {
            depth: ends.len(),
            kind: node.kind(),
            operator: operator.map(|token| token.text().to_owned()).unwrap_or_default(),
            range: node.range().as_usize(),
        });
        ends.push(node.subtree_end());
    }
    entries
}

fn their_entries(root: &SyntaxNode) -> Vec<Entry> {
    let mut entries = Vec::new();
    // What is still to visit, next last.
    let mut stack: Vec<(SyntaxNode, usize)> = Vec::new();
    push_all(&mut stack, root.children().collect(), 0);
    while let Some((node, depth)) = stack.pop() {
        let Some(kind) = kind_of(&node) else { continue };
        let range = node.text_range();
        let operator = operator_of(&node).unwrap_or_default();
        let range = usize::from(range.start())..usize::from(range.end());
        entries.push(Entry { depth, kind, operator, range });
        push_all(&mut stack, parts(&node, kind), depth + 1);
    }
    entries
}

fn push_all(stack: &mut Vec<(SyntaxNode, usize)>, nodes: Vec<SyntaxNode>, depth: usize) {
    stack.extend(nodes.into_iter().rev().map(|node| (node, depth)));
}

/// The children in the common form.
fn parts(node: &SyntaxNode, kind: NodeKind) -> Vec<SyntaxNode> {
    let children = node.children();
    match kind {
        NodeKind::Param | NodeKind::PatBind | NodeKind::Ident | NodeKind::Name => Vec::new(),
        NodeKind::Formal => children.skip(1).collect(),
        NodeKind::Apply => flatten(node, |inner| inner.kind() == SyntaxKind::NODE_APPLY, 0),
        NodeKind::Binary => {
            let operator = operator_of(node);
            let is_right = operator.as_deref().is_some_and(associates_right);
            let side = usize::from(is_right);
            flatten(node, |inner| is_binary(inner) && operator_of(inner) == operator, side)
        }
        _ => children.collect(),
    }
}

/// The operands of a chain that nests on one `side`: 0 for the left, 1 for the right.
fn flatten(
    node: &SyntaxNode,
    continues: impl Fn(&SyntaxNode) -> bool,
    side: usize,
) -> Vec<SyntaxNode> {
    let mut operands = Vec::new();
    let mut inner = node.clone();
    loop {
        let pair: Vec<SyntaxNode> = inner.children().collect();
        let Some((nested, other)) = pair.get(side).zip(pair.get(1 - side)) else {
            operands.extend(pair);
            break;
        };
        operands.push(other.clone());
        if !continues(nested) {
            operands.push(nested.clone());
            break;
        }
        inner = nested.clone();
    }
    if side == 0 {
        operands.reverse();
    }
    operands
}

fn associates_right(operator: &str) -> bool {
    matches!(operator, "->" | "//" | "++" | "<|")
}

fn is_binary(node: &SyntaxNode) -> bool {
    node.kind() == SyntaxKind::NODE_BIN_OP
}

fn operator_of(node: &SyntaxNode) -> Option<String> {
    if !is_binary(node) && node.kind() != SyntaxKind::NODE_UNARY_OP {
        return None;
    }
    let tokens = node.children_with_tokens().filter_map(|element| element.into_token());
    let is_trivia = |kind| matches!(kind, SyntaxKind::TOKEN_WHITESPACE | SyntaxKind::TOKEN_COMMENT);
    tokens.filter(|token| !is_trivia(token.kind())).map(|token| token.text().to_owned()).next()
}

fn kind_of(node: &SyntaxNode) -> Option<NodeKind> {
    use SyntaxKind as K;
    Some(match node.kind() {
        K::NODE_IDENT if is_attribute_name(node) => NodeKind::Name,
        K::NODE_IDENT | K::NODE_CUR_POS => NodeKind::Ident,
        K::NODE_IDENT_PARAM => NodeKind::Param,
        K::NODE_PAT_ENTRY => NodeKind::Formal,
        K::NODE_PAT_BIND => NodeKind::PatBind,
        K::NODE_PATTERN => NodeKind::Pattern,
        K::NODE_LAMBDA => NodeKind::Lambda,
        K::NODE_APPLY => NodeKind::Apply,
        K::NODE_ASSERT => NodeKind::Assert,
        K::NODE_ATTR_SET => NodeKind::AttrSet,
        K::NODE_ATTRPATH => NodeKind::AttrPath,
        K::NODE_ATTRPATH_VALUE => NodeKind::Binding,
        K::NODE_BIN_OP => NodeKind::Binary,
        K::NODE_UNARY_OP => NodeKind::Unary,
        K::NODE_DYNAMIC => NodeKind::Dynamic,
        K::NODE_HAS_ATTR => NodeKind::HasAttr,
        K::NODE_IF_ELSE => NodeKind::IfElse,
        K::NODE_INHERIT => NodeKind::Inherit,
        K::NODE_INHERIT_FROM => NodeKind::InheritFrom,
        K::NODE_INTERPOL => NodeKind::Interpol,
        K::NODE_LEGACY_LET => NodeKind::LegacyLet,
        K::NODE_LET_IN => NodeKind::LetIn,
        K::NODE_LIST => NodeKind::List,
        K::NODE_LITERAL => NodeKind::Literal,
        K::NODE_PAREN => NodeKind::Paren,
        K::NODE_PATH_ABS | K::NODE_PATH_HOME | K::NODE_PATH_REL => NodeKind::Path,
        K::NODE_PATH_SEARCH => NodeKind::SearchPath,
        K::NODE_SELECT => NodeKind::Select,
        K::NODE_STRING if node.text().char_at(0.into()) == Some('"') => NodeKind::Str,
        K::NODE_STRING => NodeKind::IndStr,
        K::NODE_WITH => NodeKind::With,
        K::NODE_ERROR => NodeKind::Error,
        _ => return None,
    })
}

fn is_attribute_name(node: &SyntaxNode) -> bool {
    node.parent().is_some_and(|parent| {
        matches!(parent.kind(), SyntaxKind::NODE_ATTRPATH | SyntaxKind::NODE_INHERIT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_see_the_same_tree() {
        let texts = [
            "f a b.c (d e) or { }",
            "a + b + c - d - e",
            "a // b // c ++ d ++ e",
            "x@{ a, b ? 1, ... }: { y }@z: w: a.b.\"c\".${d} or e",
            "let inherit (a) b \"c\"; d.e = 1; in with f; assert !g; if h then -i else ''${j}''",
            "rec { a = ./b/${c}; d = <e>; f = [ g ~/h http://i ]; }",
            "let { body = a ? b.c; }",
            "a |> b |> c",
        ];
        for text in texts {
            assert!(matches!(compare_trees(text), Outcome::Same(_)), "{text}");
        }
    }

    #[test]
    fn a_difference_is_seen() {
        let one = rnix::Root::parse("a + b * c").syntax();
        let other = rnix::Root::parse("a * b + c").syntax();
        assert_ne!(their_entries(&one), their_entries(&other));
    }

    #[test]
    fn broken_texts_are_rebuilt() {
        for text in ["", "{ a = ", "\"${", "a\r\nb é \u{feff}", "'' ${ ''"] {
            assert!(rebuilds(text), "{text}");
        }
    }
}
