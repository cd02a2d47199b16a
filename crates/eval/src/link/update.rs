//! Chains of `//`.

use cim_nix_semantics::{BinaryOp, Expr as Ir, ExprId};

use super::Linker;
use crate::code::{Expr, Pos, UpdateCode, UpdateOperand};

impl Linker<'_> {
    /// `a // b // c`; what stands in parentheses among them is no chain of its own.
    pub(super) fn update(&mut self, ids: &[ExprId]) -> Expr {
        let mut flat = Vec::with_capacity(ids.len());
        self.flatten_update(ids, &mut flat);
        let operands = flat.iter().map(|&(id, is_right)| {
            let position = self.operand_position(id);
            UpdateOperand { expr: self.expr(id), position, is_right }
        });
        let operands = operands.collect::<Vec<_>>();
        let operands = self.keep_all(operands);
        Expr::Update(self.keep(UpdateCode { operands }))
    }

    fn flatten_update(&self, ids: &[ExprId], flat: &mut Vec<(ExprId, bool)>) {
        for (at, &id) in ids.iter().enumerate() {
            match self.input.ir.expr(id) {
                Ir::Binary { op: BinaryOp::Update, operands } => {
                    self.flatten_update(self.ids(operands), flat);
                }
                _ => flat.push((id, at + 1 == ids.len())),
            }
        }
    }

    /// Where Nix says that an operand of `//` is; it does not know that of every expression.
    fn operand_position(&self, id: ExprId) -> Pos {
        let start = self.expr_position(id);
        match self.input.ir.expr(id) {
            Ir::Missing | Ir::Int(_) | Ir::Float(_) | Ir::Text => 0,
            Ir::Let { .. } | Ir::LegacyLet(_) => 0,
            Ir::Binary { op: BinaryOp::Equal | BinaryOp::NotEqual, .. } => 0,
            Ir::Str(parts) if self.ids(parts).is_empty() => 0,
            Ir::Path(parts) if self.ids(parts).is_empty() => 0,
            Ir::Str(_) => {
                let text = self.input.tree.node(self.input.ir.node(id)).text();
                start + if text.starts_with("''") { 2 } else { 1 }
            }
            Ir::List(elements) => {
                self.ids(elements).first().map_or(0, |&first| self.operand_position(first))
            }
            Ir::Not(inner) => self.operand_position(inner),
            Ir::HasAttr { base, .. } => self.operand_position(base),
            Ir::Binary { op, operands } => {
                let n = self.ids(operands).len();
                let positions = self.operator_positions(id, n);
                let is_right =
                    matches!(op, BinaryOp::Concat | BinaryOp::Implies | BinaryOp::PipeFrom);
                positions[if is_right { 0 } else { n.saturating_sub(2) }]
            }
            _ => start,
        }
    }
}
