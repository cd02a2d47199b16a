//! Where the parser goes on behind broken code.
//!
//! Anchors are the tokens that people type first: `;`, closing brackets, `in`, and a name followed
//! by `=` (which can only begin a binding). What is skipped is kept in an `Error` node.

use super::{Mark, Run};
use crate::NodeKind;
use crate::TokenKind::{self, *};

impl Run<'_> {
    /// Whether a binding begins here: a name or dotted names and then `=`. That sequence occurs
    /// nowhere else, so code in front of it lacks a `;`.
    #[inline]
    pub(super) fn at_binding(&self) -> bool {
        if self.kind != Ident {
            return false;
        }
        match self.peek(1) {
            Assign => true,
            Dot => self.dotted_then_assign(),
            _ => false,
        }
    }

    fn dotted_then_assign(&self) -> bool {
        let mut wants_name = true;
        for token in &self.tokens[self.at as usize..] {
            match token.kind() {
                kind if kind.is_trivia() => {}
                Ident | Or if wants_name => wants_name = false,
                Dot if !wants_name => wants_name = true,
                Assign => return !wants_name,
                _ => return false,
            }
        }
        false
    }

    /// Whether a line ends between the last consumed token and the current one.
    pub(super) fn line_break_before(&self) -> bool {
        let start = self.tokens[self.consumed as usize - 1].end() as usize;
        let end = self.token_range(self.at).start as usize;
        self.text[start..end].contains('\n')
    }

    /// Consumes the closing `kind` of the bracket at `mark`, maybe behind broken code.
    pub(super) fn close(&mut self, kind: TokenKind, mark: Mark) {
        if self.eat(kind) {
            return;
        }
        self.blame_missing(kind.describe(), Some((mark.token, "to close this")));
        // A `;` or a binding is more likely to belong to what is around than to a list or
        // parentheses; an interpolation in a string must find its end, else the string is lost.
        let is_brace = kind == RBrace;
        let error = self.mark();
        if self.skip(|run, depth| depth == 0 && !is_brace && run.at_anchor()) {
            self.finish(error, NodeKind::Error);
        }
        self.eat(kind);
    }

    fn at_anchor(&self) -> bool {
        matches!(self.kind, Semicolon | In | Then | Else | Comma | Inherit) || self.at_binding()
    }

    /// Skips tokens up to a closing bracket that was not opened on the way, or to where `stop`
    /// says so. Tells whether any was skipped.
    fn skip(&mut self, stop: impl Fn(&Self, u32) -> bool) -> bool {
        let mut depth = 0;
        let mut n_skipped = 0;
        loop {
            if self.kind == Eof || stop(self, depth) {
                return n_skipped > 0;
            }
            match self.kind {
                LBrace | InterpolStart | LParen | LBracket | StrStart | IndStart => depth += 1,
                RBrace | RParen | RBracket | StrEnd | IndEnd => {
                    if depth == 0 {
                        return n_skipped > 0;
                    }
                    depth -= 1;
                }
                _ => {}
            }
            self.bump();
            n_skipped += 1;
        }
    }

    /// The `;` of a binding, or what stands in its place.
    pub(super) fn end_binding(&mut self) {
        if self.eat(Semicolon) {
            return;
        }
        self.blame_missing("`;`", None);
        if matches!(self.kind, In | Inherit) || self.at_binding() {
            return;
        }
        let error = self.mark();
        let at_end = |run: &Self| matches!(run.kind, Semicolon | In | Inherit) || run.at_binding();
        if self.skip(|run, depth| depth == 0 && at_end(run)) {
            self.finish(error, NodeKind::Error);
        }
        self.eat(Semicolon);
    }

    /// Skips what cannot begin a binding. False where the bindings are over.
    pub(super) fn skip_in_bindings(&mut self, end: TokenKind) -> bool {
        let belongs_outside = match self.kind {
            RParen => self.open_parens > 0,
            RBracket => self.open_brackets > 0,
            StrEnd | IndEnd | StrContent | IndContent => true,
            // Inside `let`, a closing brace belongs to what is around it.
            RBrace => end == In,
            _ => end == In && self.starts_expr(),
        };
        if belongs_outside {
            return false;
        }
        self.blame(format!("expected a binding, found {}", self.kind.describe()));
        let error = self.mark();
        self.bump();
        self.skip(|run, depth| {
            depth == 0 && (matches!(run.kind, Semicolon | In | Inherit) || run.at_binding())
        });
        self.eat(Semicolon);
        self.finish(error, NodeKind::Error);
        true
    }

    /// Skips or takes what cannot be a list element. False where the list is over.
    pub(super) fn skip_in_list(&mut self) -> bool {
        match self.kind {
            Eof | RBrace | RParen | StrEnd | IndEnd | StrContent | IndContent => false,
            _ if self.at_anchor() && self.kind != Comma => false,
            If | Let | With | Assert => {
                self.blame(format!("{} needs parentheses around it here", self.kind.describe()));
                self.expr();
                true
            }
            _ => {
                let hint = match self.kind {
                    Comma => "; list elements are separated by blanks",
                    Sub => "; a negative number needs parentheses",
                    _ => "",
                };
                self.blame(format!("unexpected {} in a list{hint}", self.kind.describe()));
                self.leaf(NodeKind::Error);
                true
            }
        }
    }

    /// Skips what cannot be a parameter. False where the pattern is over.
    pub(super) fn skip_in_formals(&mut self) -> bool {
        if self.kind == Semicolon || self.at_binding() {
            return false;
        }
        let error = self.mark();
        let skipped =
            self.skip(|run, depth| depth == 0 && matches!(run.kind, Comma | Semicolon | Ident));
        if skipped {
            self.finish(error, NodeKind::Error);
        }
        skipped && matches!(self.kind, Comma | Ident)
    }
}
