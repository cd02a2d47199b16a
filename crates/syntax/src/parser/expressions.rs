//! Expressions, from functions down to literals.
//!
//! Precedence and associativity are those of Nix's grammar; `!` and unary `-` may begin any operand
//! and reach as far as their own precedence says.

use super::{Mark, Run};
use crate::NodeKind;
use crate::TokenKind::{self, *};
use crate::codes;

/// Precedence of the prefix operators: an operand must bind tighter.
const NOT: u8 = 7;
const NEGATE: u8 = 12;
const HAS_ATTR: u8 = 11;

/// Precedence of an operator, from 1; 0 for other tokens.
#[inline]
fn precedence(kind: TokenKind) -> u8 {
    match kind {
        Implies => 1,
        OrOr => 2,
        And => 3,
        Equal | NotEqual => 4,
        Less | Greater | LessEqual | GreaterEqual => 5,
        Update => 6,
        Add | Sub => 8,
        Mul | Div => 9,
        Concat => 10,
        Question => HAS_ATTR,
        _ => 0,
    }
}

fn is_non_associative(precedence: u8) -> bool {
    matches!(precedence, 4 | 5)
}

impl Run<'_> {
    /// Any expression.
    pub(super) fn expr(&mut self) {
        self.nested(Self::expr_here);
    }

    fn expr_here(&mut self) {
        match self.kind {
            If => self.if_else(),
            Assert => self.guarded(NodeKind::Assert),
            With => self.guarded(NodeKind::With),
            Let if self.peek(1) != LBrace => self.let_in(),
            Ident if matches!(self.peek(1), Colon | At) => self.lambda(),
            LBrace if self.at_pattern() => self.lambda(),
            _ => self.pipe(),
        }
    }

    fn if_else(&mut self) {
        let mark = self.mark();
        self.bump();
        self.expr();
        self.clause(Then, mark);
        self.clause(Else, mark);
        self.finish(mark, NodeKind::IfElse);
    }

    /// `then x` or `else x` of the `if` at `mark`.
    fn clause(&mut self, keyword: TokenKind, mark: Mark) {
        if self.eat(keyword) {
            return self.expr();
        }
        self.blame_missing(keyword.describe(), Some((mark.token, "for this `if`")));
        self.missing();
    }

    /// `with x; body` or `assert x; body`.
    fn guarded(&mut self, kind: NodeKind) {
        let mark = self.mark();
        self.bump();
        self.expr();
        if self.expect(Semicolon) || self.starts_expr() {
            self.expr();
        } else {
            self.missing();
        }
        self.finish(mark, kind);
    }

    fn let_in(&mut self) {
        let mark = self.mark();
        self.bump();
        self.bindings(In);
        if self.eat(In) {
            self.expr();
        } else {
            self.blame_missing("`in`", Some((mark.token, "for this `let`")));
            if self.starts_expr() {
                self.expr();
            } else {
                self.missing();
            }
        }
        self.finish(mark, NodeKind::LetIn);
    }

    /// Whether the `{` at hand opens a pattern rather than a set.
    fn at_pattern(&self) -> bool {
        match self.peek(1) {
            Ellipsis | Comma => true,
            RBrace => matches!(self.peek(2), Colon | At),
            Ident => match self.peek(2) {
                Comma | Question => true,
                RBrace => matches!(self.peek(3), Colon | At),
                _ => false,
            },
            _ => false,
        }
    }

    fn lambda(&mut self) {
        let mark = self.mark();
        if self.kind == Ident && self.peek(1) == Colon {
            self.leaf(NodeKind::Param);
        } else {
            self.pattern();
        }
        self.expect(Colon);
        self.expr();
        self.finish(mark, NodeKind::Lambda);
    }

    /// `a |> b |> c` or `a <| b <| c`; the two do not mix.
    fn pipe(&mut self) {
        let mark = self.mark();
        self.operation(1);
        let mut n_chains = 0;
        while matches!(self.kind, PipeInto | PipeFrom) {
            if n_chains > 0 {
                self.blame("`|>` and `<|` cannot be mixed without parentheses".to_owned());
            }
            n_chains += 1;
            let operator = self.kind;
            while self.eat(operator) {
                self.operation(1);
            }
            self.finish(mark, NodeKind::Binary);
        }
    }

    /// Operands joined by operators of at least the precedence `min`.
    fn operation(&mut self, min: u8) {
        let mark = self.mark();
        match self.kind {
            Not => self.prefix(mark, NOT),
            Sub => self.prefix(mark, NEGATE),
            _ => self.apply(),
        }
        let mut last = 0;
        loop {
            let operator = self.kind;
            let level = precedence(operator);
            if level == 0 || level < min {
                return;
            }
            if level == last && is_non_associative(level) {
                let name = operator.describe();
                self.blame(format!("{name} cannot follow an operator of its own precedence"));
            }
            last = level;
            if operator == Question {
                self.bump();
                self.attr_path();
                self.finish(mark, NodeKind::HasAttr);
                continue;
            }
            while self.eat(operator) {
                self.operation(level + 1);
                if is_non_associative(level) {
                    break;
                }
            }
            self.finish(mark, NodeKind::Binary);
        }
    }

    fn prefix(&mut self, mark: Mark, precedence: u8) {
        self.bump();
        self.nested(|run| run.operation(precedence + 1));
        self.finish(mark, NodeKind::Unary);
    }

    /// `f x y`.
    fn apply(&mut self) {
        let mark = self.mark();
        self.operand();
        if !self.starts_operand() || self.at_binding() {
            return;
        }
        while self.starts_operand() && !self.at_binding() {
            self.operand();
        }
        self.finish(mark, NodeKind::Apply);
    }

    /// Whether the token at hand can begin an operand.
    #[inline]
    pub(super) fn starts_operand(&self) -> bool {
        match self.kind {
            Ident | Int | Float | Uri | Path | PathStart | SearchPath | StrStart | IndStart
            | LParen | LBrace | LBracket | Rec => true,
            Let => self.peek(1) == LBrace,
            _ => false,
        }
    }

    /// Whether the token at hand can begin an expression.
    pub(super) fn starts_expr(&self) -> bool {
        self.starts_operand() || matches!(self.kind, If | Assert | With | Let | Not | Sub)
    }

    /// An argument, list element or operand: a simple expression, maybe with a selection.
    fn operand(&mut self) {
        let bare = match self.kind {
            Ident if matches!(self.peek(1), Colon | At) => Some("a function"),
            LBrace if self.at_pattern() => Some("a function"),
            If => Some("`if`"),
            Assert => Some("`assert`"),
            With => Some("`with`"),
            Let if self.peek(1) != LBrace => Some("`let`"),
            _ => None,
        };
        if let Some(what) = bare {
            self.blame(format!("{what} needs parentheses around it here"));
            return self.expr();
        }
        self.select();
    }

    fn select(&mut self) {
        let mark = self.mark();
        self.simple();
        match self.kind {
            Dot => {
                self.bump();
                self.selected_path();
                if self.eat(Or) {
                    self.nested(Self::operand_or_missing);
                }
                self.finish(mark, NodeKind::Select);
            }
            // `f or` is an application of `f` to a variable named `or`: a leftover of old Nix.
            Or => {
                self.leaf(NodeKind::Ident);
                self.finish(mark, NodeKind::Apply);
            }
            _ => {}
        }
    }

    fn operand_or_missing(&mut self) {
        if self.starts_expr() && self.kind != Sub && self.kind != Not {
            self.operand();
        } else {
            self.blame_missing("a default behind `or`", None);
            self.missing();
        }
    }

    fn simple(&mut self) {
        match self.kind {
            Ident => self.leaf(NodeKind::Ident),
            Int | Float | Uri => self.leaf(NodeKind::Literal),
            Path => self.leaf(NodeKind::Path),
            SearchPath => self.leaf(NodeKind::SearchPath),
            StrStart => self.string(NodeKind::Str, StrEnd),
            IndStart => self.string(NodeKind::IndStr, IndEnd),
            PathStart => self.path(),
            LParen => self.paren(),
            LBracket => self.nested(Self::list),
            LBrace | Rec => self.set(NodeKind::AttrSet),
            Let if self.peek(1) == LBrace => self.set(NodeKind::LegacyLet),
            Error => {
                let text = &self.text[self.token_range(self.at).as_usize()];
                self.blame(format!("unexpected character {text:?}"));
                self.leaf(NodeKind::Error);
            }
            _ => {
                self.blame(format!("expected an expression, found {}", self.kind.describe()));
                self.missing();
            }
        }
    }

    fn paren(&mut self) {
        let mark = self.mark();
        self.bump();
        self.open_parens += 1;
        self.expr();
        self.close(RParen, mark);
        self.open_parens -= 1;
        self.finish(mark, NodeKind::Paren);
    }

    fn list(&mut self) {
        let mark = self.mark();
        self.bump();
        self.open_brackets += 1;
        loop {
            if self.starts_operand() && !self.at_binding() {
                self.operand();
            } else if self.kind == RBracket || !self.skip_in_list() {
                break;
            }
        }
        self.close(RBracket, mark);
        self.open_brackets -= 1;
        self.finish(mark, NodeKind::List);
    }

    /// `{ … }`, `rec { … }` or `let { … }`.
    fn set(&mut self, kind: NodeKind) {
        let mark = self.mark();
        if self.kind != LBrace {
            self.bump();
        }
        if self.expect(LBrace) {
            self.bindings(RBrace);
            self.close(RBrace, mark);
        }
        self.finish(mark, kind);
    }

    /// `"…"` or `''…''`, up to its `end`.
    pub(super) fn string(&mut self, kind: NodeKind, end: TokenKind) {
        let mark = self.mark();
        self.bump();
        loop {
            match self.kind {
                StrContent | IndContent => self.bump(),
                InterpolStart => self.interpolation(NodeKind::Interpol),
                found if found == end => {
                    self.bump();
                    break;
                }
                _ => {
                    if !self.gave_up {
                        let message = "this string is never closed".to_owned();
                        self.problem(codes::UNTERMINATED, self.token_range(mark.token), message);
                        self.gave_up = true;
                    }
                    break;
                }
            }
        }
        self.finish(mark, kind);
    }

    /// A path with interpolations: pieces that touch each other.
    fn path(&mut self) {
        let mark = self.mark();
        self.bump();
        loop {
            let touches = self.at == self.consumed;
            match self.kind {
                PathPart if touches => self.bump(),
                InterpolStart if touches => self.interpolation(NodeKind::Interpol),
                _ => break,
            }
        }
        self.finish(mark, NodeKind::Path);
    }

    /// `${ expression }`.
    pub(super) fn interpolation(&mut self, kind: NodeKind) {
        let mark = self.mark();
        self.bump();
        let outer = (self.open_parens, self.open_brackets);
        (self.open_parens, self.open_brackets) = (0, 0);
        self.expr();
        self.close(RBrace, mark);
        (self.open_parens, self.open_brackets) = outer;
        self.finish(mark, kind);
    }
}
