//! What a file defines: its bindings, attributes and parameters, with the first line of their docs.

use cim_nix_base::TextRange;
use cim_nix_syntax::ast::{self, Binding, Inherit, Pattern};
use cim_nix_syntax::doc::doc_comment;
use cim_nix_syntax::{Node, NodeKind, TokenKind, Tree};

/// How a name came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SymbolKind {
    /// `name = …;` in a `let`.
    Let,
    /// `name = …;` in a set.
    Attribute,
    /// A name in an `inherit`.
    Inherited,
    /// What a function takes.
    Parameter,
}

impl SymbolKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Let => "let",
            Self::Attribute => "attribute",
            Self::Inherited => "inherited",
            Self::Parameter => "parameter",
        }
    }
}

/// A name that a file defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Symbol {
    /// The name as it is written, behind the names of the bindings around it: `outputs.lib.id`.
    pub(crate) path: String,
    pub(crate) kind: SymbolKind,
    /// What its value is; none for parameters and inherited names.
    pub(crate) value: Option<&'static str>,
    /// All of it.
    pub(crate) range: TextRange,
    /// The name alone.
    pub(crate) name_range: TextRange,
    /// Number of bindings around it.
    pub(crate) depth: usize,
    /// The first line of its doc comment.
    pub(crate) doc: Option<String>,
}

/// The names that `tree` defines, in the order of the text.
pub(crate) fn outline(tree: &Tree) -> Vec<Symbol> {
    let mut outline = Outline { around: Vec::new(), path: String::new(), out: Vec::new() };
    for node in tree.nodes() {
        outline.leave(node.id().0);
        match node.kind() {
            NodeKind::Binding => outline.binding(node),
            NodeKind::Inherit => outline.inherit(node),
            NodeKind::Param => outline.parameter(node, node.range()),
            NodeKind::Pattern => outline.pattern(node),
            _ => {}
        }
    }
    outline.out
}

struct Outline {
    /// The bindings around the current node: where each one's nodes end, and how long the path
    /// was without it.
    around: Vec<(u32, usize)>,
    path: String,
    out: Vec<Symbol>,
}

impl Outline {
    fn leave(&mut self, node: u32) {
        while let Some(&(end, len)) = self.around.last()
            && end <= node
        {
            self.path.truncate(len);
            self.around.pop();
        }
    }

    fn binding(&mut self, node: Node<'_>) {
        let Some(path) = node.child_of_kind(NodeKind::AttrPath) else { return };
        let is_let = node.parent().is_some_and(|parent| parent.kind() == NodeKind::LetIn);
        let kind = if is_let { SymbolKind::Let } else { SymbolKind::Attribute };
        let value = Binding::cast(node).and_then(Binding::value).and_then(ast::without_parens);
        let doc = doc_line(node);
        self.add(node, path.range(), path.text(), kind, value.map(describe), doc);
        self.around.push((node.subtree_end(), self.path.len()));
        join(&mut self.path, path.text());
    }

    fn inherit(&mut self, node: Node<'_>) {
        let Some(inherit) = Inherit::cast(node) else { return };
        for name in inherit.names() {
            let (node, doc) = (name.node(), doc_line(name.node()));
            self.add(node, node.range(), node.text(), SymbolKind::Inherited, None, doc);
        }
    }

    fn pattern(&mut self, node: Node<'_>) {
        let Some(pattern) = Pattern::cast(node) else { return };
        for formal in pattern.formals() {
            if let Some(name) = formal.name() {
                self.parameter(formal.node(), name.range());
            }
        }
        if let Some(name) = pattern.bind_name() {
            self.add(node, name.range(), name.text(), SymbolKind::Parameter, None, None);
        }
    }

    fn parameter(&mut self, node: Node<'_>, name: TextRange) {
        let text = &node.tree().text()[name.as_usize()];
        self.add(node, name, text, SymbolKind::Parameter, None, doc_line(node));
    }

    fn add(
        &mut self,
        node: Node<'_>,
        name_range: TextRange,
        name: &str,
        kind: SymbolKind,
        value: Option<&'static str>,
        doc: Option<String>,
    ) {
        let mut path = self.path.clone();
        join(&mut path, name);
        let (range, depth) = (node.range(), self.around.len());
        self.out.push(Symbol { path, kind, value, range, name_range, depth, doc });
    }
}

fn join(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn doc_line(node: Node<'_>) -> Option<String> {
    let doc = doc_comment(node)?;
    let line = doc.text.lines().find(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

fn describe(value: Node<'_>) -> &'static str {
    match value.kind() {
        NodeKind::Lambda => "function",
        NodeKind::AttrSet => "set",
        NodeKind::List => "list",
        NodeKind::Str | NodeKind::IndStr => "string",
        NodeKind::Path | NodeKind::SearchPath => "path",
        NodeKind::Literal => match value.first_token().map(|token| token.kind()) {
            Some(TokenKind::Uri) => "string",
            _ => "number",
        },
        NodeKind::Ident | NodeKind::Select => "reference",
        NodeKind::Apply => "call",
        _ => "expression",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, want: Expect) {
        let tree = cim_nix_syntax::parse(text).tree;
        let mut out = String::new();
        for symbol in outline(&tree) {
            let Symbol { path, kind, value, name_range, depth, doc, .. } = symbol;
            let name = &text[name_range.as_usize()];
            let value = value.unwrap_or("-");
            let _ = writeln!(out, "{depth} {} {path} `{name}` {value} {doc:?}", kind.word());
        }
        want.assert_eq(&out);
    }

    #[test]
    fn names_carry_the_path_to_them() {
        check(
            "{ a.b = { c = [ ]; }; \"d e\" = 1; ${f} = ./g; h = 2; }",
            expect![[r#"
            0 attribute a.b `a.b` set None
            1 attribute a.b.c `c` list None
            0 attribute "d e" `"d e"` number None
            0 attribute ${f} `${f}` path None
            0 attribute h `h` number None
        "#]],
        );
    }

    #[test]
    fn every_way_to_define_a_name() {
        check(
            "args@{ a, b ? 1, ... }: x: let inherit (a) c; d = x: y; in { inherit d; }",
            expect![[r#"
            0 parameter a `a` - None
            0 parameter b `b` - None
            0 parameter args `args` - None
            0 parameter x `x` - None
            0 inherited c `c` - None
            0 let d `d` function None
            1 parameter d.x `x` - None
            0 inherited d `d` - None
        "#]],
        );
    }

    #[test]
    fn the_first_line_of_the_doc() {
        check(
            "{\n  /**\n    Adds.\n\n    More.\n  */\n  add = a: b: a + b;\n  # Old style.\n  x = 1;\n}",
            expect![[r#"
            0 attribute add `add` function Some("Adds.")
            1 parameter add.a `a` - None
            1 parameter add.b `b` - None
            0 attribute x `x` number Some("Old style.")
        "#]],
        );
    }

    #[test]
    fn broken_code_defines_something() {
        check(
            "{ a = ; = 2; b = { c = 1; ",
            expect![[r#"
            0 attribute a `a` expression None
            0 attribute b `b` set None
            1 attribute b.c `c` number None
        "#]],
        );
        check("", expect![[""]]);
    }
}
