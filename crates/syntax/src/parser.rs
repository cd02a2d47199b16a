//! Tokens to a tree.
//!
//! A recursive-descent parser with operator precedence climbing, after Nix's own grammar. It pushes
//! nodes in postorder, where wrapping an operand costs nothing, and turns them into preorder in one
//! pass at the end. It never fails: what is missing becomes an empty [`NodeKind::Error`] node, what
//! fits nowhere becomes an `Error` node with tokens, and each leaves a problem.

mod bindings;
mod expressions;
mod recovery;

use cim_nix_base::{Code, Diagnostic, Severity, TextRange};

use crate::lexer::{Lexer, MAX_FILE_SIZE, Token};
use crate::tree::{NodeData, Tree};
use crate::{NodeKind, TokenKind, codes};

/// Deepest nesting of nodes. What lies deeper is dropped from the tree and reported, so that every
/// consumer can rely on a bounded depth. (Nix 2.34 itself goes on until its stack overflows.)
pub const MAX_DEPTH: usize = 10_000;

/// Most problems that are told of one file: enough for any file that a person wrote, and a bound for
/// those that a machine broke.
pub const MAX_PROBLEMS: usize = 1000;

/// A parsed file and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Parse {
    /// The tree, whole even when there are problems.
    pub tree: Tree,
    /// Syntax errors in the order of their places. Without any, real Nix parses the file, too
    /// (names and duplicate attributes aside, which `semantics` judges).
    pub problems: Vec<Diagnostic>,
}

/// Parses one text. For many files keep a [`Parser`], which reuses its buffers.
#[must_use]
pub fn parse(text: impl Into<Box<str>>) -> Parse {
    Parser::default().parse(text)
}

/// A parser with buffers that outlive one file.
#[derive(Default)]
pub struct Parser {
    lexer: Lexer,
    nodes: Vec<PostNode>,
}

impl Parser {
    /// Parses one text. Never fails; texts over [`MAX_FILE_SIZE`] give an empty tree and a problem.
    #[must_use]
    pub fn parse(&mut self, text: impl Into<Box<str>>) -> Parse {
        let text = text.into();
        if text.len() > MAX_FILE_SIZE {
            return self.too_large(text.len());
        }
        self.lexer.lex(&text);
        self.nodes.clear();
        self.nodes.reserve(self.lexer.tokens.len() / 2);
        let mut problems = std::mem::take(&mut self.lexer.problems);
        let mut run = Run::new(&text, &self.lexer.tokens, &mut self.nodes, &mut problems);
        run.file();
        let nodes = self.preorder(&mut problems);
        problems.sort_by_key(|problem| problem.range.start);
        problems.truncate(MAX_PROBLEMS);
        let tree = Tree { text, tokens: self.lexer.tokens.as_slice().into(), nodes };
        Parse { tree, problems }
    }

    fn too_large(&mut self, size: usize) -> Parse {
        let mut parse = self.parse("");
        let message =
            format!("the file has {size} bytes, more than the {MAX_FILE_SIZE} that can be read");
        parse.problems =
            vec![Diagnostic::new(codes::TOO_LARGE, Severity::Error, TextRange::empty(0), message)];
        parse
    }

    /// Turns the postorder nodes into preorder with parents, and cuts what is nested too deeply.
    ///
    /// A node's preorder number is the number of nodes left of its subtree (its first postorder
    /// number) plus the number of its ancestors. A scan from the end meets parents first, and the
    /// parents it has written are the stack that it climbs.
    fn preorder(&mut self, problems: &mut Vec<Diagnostic>) -> Box<[NodeData]> {
        let mut out =
            vec![NodeData { kind_size: 0, first: 0, end: 0, parent: 0 }; self.nodes.len()];
        let (mut parent, mut parent_start, mut depth, mut deepest) = (0, 0, 0, 0);
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let at = at as u32;
            while at < parent_start {
                depth -= 1;
                parent = out[parent as usize].parent;
                parent_start = parent + 1 - depth;
            }
            let size = node.kind_size >> 6;
            let start = at + 1 - size;
            let number = start + depth;
            let (kind_size, first, end) = (node.kind_size, node.first, node.end);
            out[number as usize] = NodeData { kind_size, first, end, parent };
            if size > 1 {
                (parent, parent_start) = (number, start);
                depth += 1;
                deepest = deepest.max(depth);
            }
        }
        if deepest as usize > MAX_DEPTH {
            return cut(&out, &self.lexer.tokens, problems);
        }
        out.into()
    }
}

/// Drops the nodes below [`MAX_DEPTH`] and reports the first of them.
fn cut(nodes: &[NodeData], tokens: &[Token], problems: &mut Vec<Diagnostic>) -> Box<[NodeData]> {
    let mut kept: Vec<NodeData> = Vec::with_capacity(nodes.len());
    let mut path: Vec<(u32, u32)> = Vec::new();
    let mut first_cut = None;
    for (at, node) in nodes.iter().enumerate() {
        while path.last().is_some_and(|&(end, _)| end <= at as u32) {
            path.pop();
        }
        if path.len() >= MAX_DEPTH {
            first_cut.get_or_insert(node.first);
            continue;
        }
        let parent = path.last().map_or(0, |&(_, number)| number);
        path.push((at as u32 + node.size(), kept.len() as u32));
        kept.push(NodeData { kind_size: (node.kind_size & 63) | 1 << 6, parent, ..*node });
    }
    for at in (1..kept.len()).rev() {
        let size = kept[at].kind_size >> 6;
        let parent = kept[at].parent as usize;
        kept[parent].kind_size += size << 6;
    }
    if let Some(first) = first_cut
        && !problems.iter().any(|problem| problem.code == codes::TOO_DEEP)
    {
        let at = if first == 0 { 0 } else { tokens[first as usize - 1].end() };
        problems.push(too_deep(TextRange::new(at, tokens[first as usize].end())));
    }
    kept.into()
}

fn too_deep(range: TextRange) -> Diagnostic {
    let message = format!("code is nested more than {MAX_DEPTH} levels deep");
    Diagnostic::new(codes::TOO_DEEP, Severity::Error, range, message)
        .help("split it into several bindings")
}

/// A node as it is pushed: kind in the low six bits, subtree size above.
struct PostNode {
    kind_size: u32,
    first: u32,
    end: u32,
}

/// Where a node begins.
#[derive(Clone, Copy)]
struct Mark {
    node: u32,
    token: u32,
}

/// One run over one file.
struct Run<'a> {
    text: &'a str,
    tokens: &'a [Token],
    nodes: &'a mut Vec<PostNode>,
    problems: &'a mut Vec<Diagnostic>,
    /// The current token, never trivia.
    at: u32,
    /// Its kind.
    kind: TokenKind,
    /// The significant token behind it; most decisions look one token ahead.
    next_at: u32,
    /// Its kind.
    next_kind: TokenKind,
    /// One past the last consumed token.
    consumed: u32,
    /// Nesting of the functions below, for the cap and for growing the stack.
    level: usize,
    /// Parentheses and brackets that are open, so that a stray one is told from a missing one.
    open_parens: u32,
    open_brackets: u32,
    /// Set once the code was too deep: the rest is skipped without further problems.
    gave_up: bool,
    /// The token of the last problem; one problem a place is enough.
    blamed: u32,
}

impl<'a> Run<'a> {
    fn new(
        text: &'a str,
        tokens: &'a [Token],
        nodes: &'a mut Vec<PostNode>,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Self {
        let mut run = Run {
            text,
            tokens,
            nodes,
            problems,
            at: 0,
            kind: TokenKind::Eof,
            next_at: 0,
            next_kind: tokens[0].kind(),
            consumed: 0,
            level: 0,
            open_parens: 0,
            open_brackets: 0,
            gave_up: false,
            blamed: u32::MAX,
        };
        if run.next_kind.is_trivia() {
            run.look_ahead();
        }
        run.at = run.next_at;
        run.kind = run.next_kind;
        run.look_ahead();
        run
    }

    /// The whole file.
    fn file(&mut self) {
        self.expr();
        if self.kind != TokenKind::Eof {
            let message = format!("unexpected {} behind the expression", self.kind.describe());
            self.blame(message);
            let mark = self.mark();
            while self.kind != TokenKind::Eof {
                self.bump();
                if self.starts_expr() {
                    self.expr();
                }
            }
            self.finish(mark, NodeKind::Error);
        }
        let end = self.tokens.len() as u32 - 1;
        let size = self.nodes.len() as u32 + 1;
        let kind_size = NodeKind::Root as u32 | size << 6;
        self.nodes.push(PostNode { kind_size, first: 0, end });
    }

    /// Moves the look-ahead to the significant token behind it; the end of the file stays.
    #[inline]
    fn look_ahead(&mut self) {
        while self.next_kind != TokenKind::Eof {
            self.next_at += 1;
            self.next_kind = self.tokens[self.next_at as usize].kind();
            if !self.next_kind.is_trivia() {
                return;
            }
        }
    }

    /// Consumes the current token; the end of the file stays where it is.
    #[inline]
    fn bump(&mut self) {
        if self.kind == TokenKind::Eof {
            return;
        }
        self.consumed = self.at + 1;
        self.at = self.next_at;
        self.kind = self.next_kind;
        self.look_ahead();
    }

    /// The kind of the significant token `ahead` of the current one, at least 1.
    #[inline]
    fn peek(&self, ahead: usize) -> TokenKind {
        if ahead == 1 {
            return self.next_kind;
        }
        let mut at = self.next_at as usize;
        let mut left = ahead - 1;
        while left > 0 && at + 1 < self.tokens.len() {
            at += 1;
            left -= usize::from(!self.tokens[at].kind().is_trivia());
        }
        self.tokens[at].kind()
    }

    #[inline]
    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.kind == kind;
        if found {
            self.bump();
        }
        found
    }

    #[inline]
    fn mark(&self) -> Mark {
        Mark { node: self.nodes.len() as u32, token: self.at }
    }

    /// Ends the node that began at `mark`; everything pushed since lies below it.
    #[inline]
    fn finish(&mut self, mark: Mark, kind: NodeKind) {
        let size = self.nodes.len() as u32 - mark.node + 1;
        // A missing first operand lies where the code before it ended, in front of the mark.
        let first_child = self.nodes.get(mark.node as usize).map_or(mark.token, |node| node.first);
        let first = mark.token.min(self.consumed).min(first_child);
        self.nodes.push(PostNode { kind_size: kind as u32 | size << 6, first, end: self.consumed });
    }

    /// A node of the current token alone.
    #[inline]
    fn leaf(&mut self, kind: NodeKind) {
        let first = self.at;
        self.bump();
        self.nodes.push(PostNode { kind_size: kind as u32 | 1 << 6, first, end: first + 1 });
    }

    /// An empty node where something is missing.
    fn missing(&mut self) {
        let at = self.consumed;
        self.nodes.push(PostNode {
            kind_size: NodeKind::Error as u32 | 1 << 6,
            first: at,
            end: at,
        });
    }

    /// Runs `parse` one level deeper, on more stack where it gets short; gives up at the cap.
    #[inline]
    fn nested(&mut self, parse: impl FnOnce(&mut Self)) {
        if self.level >= MAX_DEPTH {
            return self.give_up();
        }
        self.level += 1;
        if self.level.is_multiple_of(16) {
            stacker::maybe_grow(512 * 1024, 8 * 1024 * 1024, || parse(self));
        } else {
            parse(self);
        }
        self.level -= 1;
    }

    #[cold]
    fn give_up(&mut self) {
        if !self.gave_up {
            self.problems.push(too_deep(self.token_range(self.at)));
        }
        self.gave_up = true;
        let mark = self.mark();
        while self.kind != TokenKind::Eof {
            self.bump();
        }
        self.finish(mark, NodeKind::Error);
    }

    fn token_range(&self, at: u32) -> TextRange {
        let start = if at == 0 { 0 } else { self.tokens[at as usize - 1].end() };
        TextRange::new(start, self.tokens[at as usize].end())
    }

    fn problem(&mut self, code: Code, range: TextRange, message: String) {
        self.problems.push(Diagnostic::new(code, Severity::Error, range, message));
    }

    /// Reports the current token, unless it or a deeper cause was reported already.
    #[cold]
    fn blame(&mut self, message: String) {
        if !self.gave_up && self.blamed != self.at {
            self.blamed = self.at;
            self.problem(codes::SYNTAX_ERROR, self.token_range(self.at), message);
        }
    }

    /// Reports what is missing behind the last consumed token.
    #[cold]
    fn blame_missing(&mut self, what: &str, opened: Option<(u32, &'static str)>) {
        if self.gave_up || self.blamed == self.at {
            return;
        }
        self.blamed = self.at;
        let at = if self.consumed == 0 { 0 } else { self.tokens[self.consumed as usize - 1].end() };
        let message = format!("expected {what}, found {}", self.kind.describe());
        let mut found =
            Diagnostic::new(codes::SYNTAX_ERROR, Severity::Error, TextRange::empty(at), message);
        if let Some((token, remark)) = opened {
            found = found.label(self.token_range(token), remark);
        }
        self.problems.push(found);
    }

    /// Consumes a token of `kind` or reports that it is missing.
    fn expect(&mut self, kind: TokenKind) -> bool {
        if self.eat(kind) {
            return true;
        }
        self.blame_missing(kind.describe(), None);
        false
    }
}

#[cfg(test)]
mod tests;
