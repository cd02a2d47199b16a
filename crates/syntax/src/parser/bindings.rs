//! Bindings, attribute paths and patterns.

use super::{Mark, Run};
use crate::NodeKind;
use crate::TokenKind::{self, *};

impl Run<'_> {
    /// Bindings up to (not including) `end`, which is `}` or `in`.
    pub(super) fn bindings(&mut self, end: TokenKind) {
        loop {
            match self.kind {
                Eof => return,
                found if found == end => return,
                Inherit => self.inherit(),
                // `let a = 1; a` lacks its `in`.
                Ident if end == In && !matches!(self.peek(1), Assign | Dot | Semicolon | In) => {
                    return;
                }
                Ident | Or | StrStart | InterpolStart => self.binding(),
                _ if self.at_reserved_name() => self.binding(),
                _ => {
                    if !self.skip_in_bindings(end) {
                        return;
                    }
                }
            }
        }
    }

    /// `if = …`: a keyword where only a name makes sense.
    fn at_reserved_name(&self) -> bool {
        self.kind.is_keyword() && matches!(self.peek(1), Assign | Dot)
    }

    /// `attribute.path = value;`.
    fn binding(&mut self) {
        let mark = self.mark();
        self.binding_path();
        if self.eat(Assign) {
            self.expr();
        } else {
            self.blame_missing("`=`", None);
            self.missing();
        }
        self.end_binding();
        self.finish(mark, NodeKind::Binding);
    }

    /// `inherit a b;` or `inherit (set) a b;`.
    fn inherit(&mut self) {
        let mark = self.mark();
        self.bump();
        if self.kind == LParen {
            let from = self.mark();
            self.bump();
            self.open_parens += 1;
            self.expr();
            self.close(RParen, from);
            self.open_parens -= 1;
            self.finish(from, NodeKind::InheritFrom);
        }
        while matches!(self.kind, Ident | Or | StrStart | InterpolStart) && !self.at_binding() {
            self.attr();
        }
        self.end_binding();
        self.finish(mark, NodeKind::Inherit);
    }

    /// `a.b."c".${d}` in front of the `=` of a binding.
    fn binding_path(&mut self) {
        let mark = self.mark();
        self.attr();
        while self.eat(Dot) {
            self.attr();
        }
        self.finish(mark, NodeKind::AttrPath);
    }

    /// The attribute path behind `?`.
    pub(super) fn attr_path(&mut self) {
        let mark = self.mark();
        self.attr();
        self.attr_path_rest(mark);
    }

    /// The attribute path behind the `.` of a selection.
    pub(super) fn selected_path(&mut self) {
        let mark = self.mark();
        self.attr_behind_dot();
        self.attr_path_rest(mark);
    }

    fn attr_path_rest(&mut self, mark: Mark) {
        while self.eat(Dot) {
            self.attr_behind_dot();
        }
        self.finish(mark, NodeKind::AttrPath);
    }

    /// A name behind a dot, unless the line ended there and the name begins the next binding.
    fn attr_behind_dot(&mut self) {
        if self.kind == Ident && self.line_break_before() && self.at_binding() {
            self.blame_missing("an attribute name", None);
            self.missing();
        } else {
            self.attr();
        }
    }

    fn attr(&mut self) {
        match self.kind {
            Ident | Or => self.leaf(NodeKind::Name),
            StrStart => self.string(NodeKind::Str, StrEnd),
            InterpolStart => self.interpolation(NodeKind::Dynamic),
            _ if self.kind.is_keyword() && !matches!(self.peek(1), Ident | LBrace | LParen) => {
                let word = self.kind.describe();
                self.blame(format!("{word} is a keyword; as an attribute name it needs quotes"));
                self.leaf(NodeKind::Name);
            }
            _ => {
                self.blame_missing("an attribute name", None);
                self.missing();
            }
        }
    }

    /// `{ a, b ? c, ... } @ args` or `args @ { … }`; the `:` is left to the caller.
    pub(super) fn pattern(&mut self) {
        let mark = self.mark();
        let mut n_binds = 0;
        if self.kind == Ident {
            let bind = self.mark();
            self.bump();
            self.bump();
            self.finish(bind, NodeKind::PatBind);
            n_binds += 1;
        }
        let open = self.mark();
        if self.expect(LBrace) {
            self.formals();
            self.close(RBrace, open);
        }
        if self.kind == At {
            if n_binds > 0 {
                self.blame("a pattern can have only one `@` name".to_owned());
            }
            let bind = self.mark();
            self.bump();
            if !self.eat(Ident) {
                self.blame_missing("a name behind `@`", None);
            }
            self.finish(bind, NodeKind::PatBind);
        }
        self.finish(mark, NodeKind::Pattern);
    }

    /// `a, b ? c, ...` up to the `}`.
    fn formals(&mut self) {
        loop {
            match self.kind {
                RBrace => return,
                Ident => self.formal(),
                Ellipsis => {
                    self.bump();
                    if self.kind != RBrace {
                        self.blame_missing("`}` behind `...`", None);
                    }
                }
                _ => self.blame_missing("a parameter name", None),
            }
            match self.kind {
                RBrace => return,
                Comma => self.bump(),
                Ident => self.blame_missing("`,`", None),
                _ => {
                    self.blame_missing("`,` or `}`", None);
                    if !self.skip_in_formals() {
                        return;
                    }
                }
            }
        }
    }

    fn formal(&mut self) {
        let mark = self.mark();
        self.bump();
        if self.eat(Question) {
            self.expr();
        }
        self.finish(mark, NodeKind::Formal);
    }
}
