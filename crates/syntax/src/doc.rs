//! Doc comments: which comment documents a node, and what it says.
//!
//! `/** … */` counts as Nix 2.34 and RFC 145 have it: it belongs to the token behind it, reaches
//! from a binding into the function that is its value, and from a function into the functions that
//! it returns; the innermost one wins. Where there is none, a `/* … */` or lines of `#` directly
//! above a binding, parameter or file count, which is how older code is documented. What the text
//! means (Markdown, types, examples) is left to the reader.

use cim_nix_base::TextRange;

use crate::ast::{self, Binding, Lambda};
use crate::trivia::{begins_line, blank_before, line_feeds};
use crate::{Node, NodeKind, TokenKind, TokenRef};

/// How a doc comment is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DocStyle {
    /// `/** … */`.
    Doc,
    /// `/* … */`.
    Block,
    /// Lines of `# …`.
    Lines,
}

/// A comment that documents a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocComment {
    /// What it says: without comment marks, common indentation and blank lines at both ends. Lines
    /// end in a line feed each but the last.
    pub text: String,
    /// Where it stands, marks included.
    pub range: TextRange,
    /// How it is written.
    pub style: DocStyle,
}

/// The comment that documents `node`.
///
/// Made for bindings, functions, parameters of a pattern, `inherit`s and the names in them, and
/// the root, which stands for the file. For any other node only a `/** … */` right in front counts.
#[must_use]
pub fn doc_comment(node: Node<'_>) -> Option<DocComment> {
    match node.kind() {
        NodeKind::Root => {
            let expr = node.child(0)?;
            doc_in_front(expr).or_else(|| older_form(expr))
        }
        NodeKind::Binding => binding_doc(node),
        NodeKind::Lambda => lambda_doc(node),
        NodeKind::Formal | NodeKind::Inherit => doc_in_front(node).or_else(|| older_form(node)),
        _ => doc_in_front(node),
    }
}

fn binding_doc(node: Node<'_>) -> Option<DocComment> {
    let value = Binding::cast(node)?.value();
    let inner = value.and_then(ast::without_parens);
    inner
        .filter(|inner| inner.kind() == NodeKind::Lambda)
        .and_then(doc_in_front)
        .or_else(|| doc_in_front(node))
        .or_else(|| value.and_then(doc_in_front))
        .or_else(|| older_form(node))
}

/// A function's own comment, or that of the nearest function or binding whose value it is.
fn lambda_doc(node: Node<'_>) -> Option<DocComment> {
    let mut inner = node;
    loop {
        if let Some(doc) = doc_in_front(inner).filter(|_| inner.kind() != NodeKind::Paren) {
            return Some(doc);
        }
        let outer = inner.parent()?;
        match outer.kind() {
            NodeKind::Paren => {}
            NodeKind::Lambda if Lambda::cast(outer)?.body() == Some(inner) => {}
            NodeKind::Binding => return doc_in_front(outer).or_else(|| older_form(outer)),
            _ => return None,
        }
        inner = outer;
    }
}

/// The `/** … */` whose next significant token is the first of `node`.
fn doc_in_front(node: Node<'_>) -> Option<DocComment> {
    let comment = trivia_in_front(node).find(|token| is_doc(token.text()))?;
    let inner = &comment.text()[3..comment.text().len() - 2];
    let text = block_text(inner);
    (!text.is_empty()).then_some(DocComment { text, range: comment.range(), style: DocStyle::Doc })
}

/// The trivia in front of `node`, from the nearest to the farthest.
fn trivia_in_front(node: Node<'_>) -> impl Iterator<Item = TokenRef<'_>> {
    let nearest = node.first_token().and_then(TokenRef::previous);
    std::iter::successors(nearest, |token| token.previous())
        .take_while(|token| token.kind().is_trivia())
}

/// Whether a comment is `/** … */` with something in it; `/***` and `/**/` are ordinary comments.
fn is_doc(comment: &str) -> bool {
    comment
        .strip_prefix("/**")
        .and_then(|rest| rest.strip_suffix("*/"))
        .is_some_and(|inner| !inner.is_empty() && !inner.starts_with(['*', '/']))
}

/// A `/* … */` or lines of `#` directly above `node`, alone on their lines.
fn older_form(node: Node<'_>) -> Option<DocComment> {
    let mut trivia = trivia_in_front(node).peekable();
    let mut nearest = trivia.next()?;
    if nearest.kind() == TokenKind::Whitespace {
        if line_feeds(nearest) > 1 {
            return None;
        }
        nearest = trivia.next()?;
    }
    if !begins_line(nearest) {
        return None;
    }
    match nearest.kind() {
        TokenKind::BlockComment => {
            let inner = nearest.text().strip_prefix("/*")?;
            let text = block_text(&without_gutter(inner.strip_suffix("*/").unwrap_or(inner)));
            let doc = DocComment { text, range: nearest.range(), style: DocStyle::Block };
            Some(doc).filter(|doc| !doc.text.is_empty())
        }
        TokenKind::LineComment => lines_doc(nearest),
        _ => None,
    }
}

/// The lines of `#` that end in `last`.
fn lines_doc(last: TokenRef<'_>) -> Option<DocComment> {
    let mut first = last;
    while let Some(above) = line_comment_above(first) {
        first = above;
    }
    let lines = std::iter::successors(Some(first), |token| token.next())
        .take_while(|token| token.id() <= last.id())
        .filter(|token| token.kind() == TokenKind::LineComment && !token.text().starts_with("#!"))
        .map(|token| token.text().trim_start_matches('#'));
    let text = without_indent(lines);
    let range = first.range().cover(last.range());
    (!text.is_empty()).then_some(DocComment { text, range, style: DocStyle::Lines })
}

fn line_comment_above(comment: TokenRef<'_>) -> Option<TokenRef<'_>> {
    let blank = blank_before(comment)?;
    let above = blank.previous().filter(|token| token.kind() == TokenKind::LineComment)?;
    (line_feeds(blank) == 1 && begins_line(above)).then_some(above)
}

/// The text of a block comment without its marks. The first line follows the opening mark, so its
/// indentation says nothing about that of the others.
fn block_text(inner: &str) -> String {
    let (first, rest) = inner.split_once('\n').unwrap_or((inner, ""));
    let rest = without_indent(rest.lines());
    match first.trim() {
        "" => rest,
        first if rest.is_empty() => first.to_owned(),
        first => {
            // A blank line between the first and the others is part of the text.
            let blank = inner.lines().nth(1).is_some_and(|line| line.trim().is_empty());
            format!("{first}\n{}{rest}", if blank { "\n" } else { "" })
        }
    }
}

/// Takes off the `*` that every line behind the first begins with, if each does.
fn without_gutter(inner: &str) -> String {
    let mut lines = inner.lines();
    let first = lines.next().unwrap_or_default();
    let has_gutter = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('*');
    if !lines.clone().all(|line| has_gutter(&line)) {
        return inner.to_owned();
    }
    let rest = lines.map(|line| line.trim_start().trim_start_matches('*'));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

/// The lines without the blanks that all of them begin with and without blank ones at both ends.
fn without_indent<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.map(str::trim_end).collect();
    let is_text = |line: &&str| !line.is_empty();
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = lines.iter().copied().filter(is_text).map(indent).min().unwrap_or(0);
    let first = lines.iter().position(is_text).unwrap_or(0);
    let end = lines.iter().rposition(is_text).map_or(0, |last| last + 1);
    let kept = lines.get(first..end).unwrap_or_default();
    kept.iter().map(|line| line.get(common..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
