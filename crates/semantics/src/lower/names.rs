//! Scopes and the resolution of names.

use cim_nix_base::{Diagnostic, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use super::Lowerer;
use crate::codes;
use crate::ir::{Binding, BindingId, BindingKind, Expr, ExprId, ScopeId, Span, Symbol, Target};

impl Lowerer {
    /// Makes `bindings` visible; [`leave`](Self::leave) with the returned mark hides them again.
    pub(super) fn enter(&mut self, bindings: Span) -> usize {
        let mark = self.hidden.len();
        if self.current.len() < self.symbols.len() {
            self.current.resize(self.symbols.len(), 0);
        }
        for at in bindings.range() {
            let symbol = self.bindings[at].symbol;
            let slot = &mut self.current[symbol.index()];
            self.hidden.push((symbol, *slot));
            *slot = at as u32 + 1;
        }
        mark
    }

    pub(super) fn leave(&mut self, mark: usize) {
        for (symbol, before) in self.hidden.drain(mark..).rev() {
            self.current[symbol.index()] = before;
        }
    }

    #[inline]
    pub(super) fn resolve(&self, symbol: Symbol) -> Target {
        match self.current.get(symbol.index()) {
            Some(&found) if found != 0 => Target::Local(BindingId(found - 1)),
            _ => Target::Free(self.with),
        }
    }

    pub(super) fn variable(&mut self, node: Node<'_>) -> ExprId {
        let name = node.text();
        if name == "__curPos" {
            return self.push(Expr::CurPos, node.id());
        }
        let symbol = self.symbols.intern(name);
        let target = self.resolve(symbol);
        self.push(Expr::Var { symbol, target }, node.id())
    }

    /// Adds a binding for each name of a pattern; doubles are reported and left out.
    pub(super) fn formal_bindings(&mut self, pattern: Node<'_>, scope: ScopeId, first: u32) {
        let epoch = self.grouping.next_epoch();
        let start = self.bindings.len();
        for formal in pattern.children().filter(|child| child.kind() == NodeKind::Formal) {
            let Some(token) = formal.first_token().filter(|t| t.kind() == TokenKind::Ident) else {
                continue;
            };
            let symbol = self.symbols.intern(token.text());
            if let Some(earlier) = self.grouping.claim(symbol, epoch, self.bindings.len() as u32) {
                let earlier = pattern.tree().node(self.bindings[earlier as usize].name).range();
                self.duplicate_formal(symbol, token.range(), earlier);
                continue;
            }
            let kind = BindingKind::Formal;
            self.bindings.push(Binding { symbol, kind, scope, name: formal.id() });
        }
        if (first as usize) < start {
            let named = self.bindings[first as usize];
            if let Some(at) = self.grouping.claim(named.symbol, epoch, first) {
                let range = pattern.tree().node(self.bindings[at as usize].name).range();
                let bind = pattern.tree().node(named.name);
                let name = bind.own_token(TokenKind::Ident).map_or(bind.range(), |t| t.range());
                self.duplicate_formal(named.symbol, name, range);
                self.bindings.remove(at as usize);
            }
        }
    }

    fn duplicate_formal(&mut self, symbol: Symbol, range: TextRange, earlier: TextRange) {
        let name = self.symbols.name(symbol);
        let message = format!("the parameter `{name}` is defined twice");
        self.problems.push(
            Diagnostic::new(codes::DUPLICATE, Severity::Error, range, message)
                .label(earlier, "first defined here"),
        );
    }
}
