//! Which imports evaluation of a file cannot avoid.
//!
//! Follows what must be evaluated to learn what the file's value is (its head, in Nix's words its
//! weak head normal form): operands of strict operators, what is selected from, conditions,
//! bodies. What stands in lists, attributes, branches and arguments is evaluated later, or never.
//! A function's body must be entered once it has got its arguments, so imports are told apart by
//! how many arguments the file itself must have got.

use std::collections::HashSet;

use cim_nix_semantics::{
    BinaryOp, BindingId, Expr, ExprId, Ir, PathElement, ScopeKind, Target, builtins,
};
use cim_nix_syntax::NodeId;

use super::Strict;

/// Files are functions of one or two arguments; more are not told apart.
pub(crate) const MAX_ARGUMENTS: u8 = 3;

/// The applications of `import` that evaluation cannot avoid.
pub(super) fn imports(ir: &Ir) -> Vec<(NodeId, Strict)> {
    let mut walk = Walk { ir, seen: HashSet::new(), todo: Vec::new(), out: Vec::new() };
    walk.push(ir.root(), Demand { after: 0, given: 0, passes_on: true });
    while let Some((id, demand)) = walk.todo.pop() {
        walk.visit(id, demand);
    }
    // The earliest entry says the most.
    walk.out.sort_by_key(|(node, strict)| (*node, *strict));
    walk.out.dedup_by_key(|(node, _)| *node);
    walk.out
}

/// How an expression is evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Demand {
    /// How many arguments the file must have got.
    after: u8,
    /// How many arguments the value is applied to.
    given: u8,
    /// Whether the value is the file's value, and so gets any further arguments of it.
    passes_on: bool,
}

impl Demand {
    /// Only the value's head is looked at.
    fn head(self) -> Self {
        Self { given: 0, passes_on: false, ..self }
    }

    fn more(self, given: usize) -> Self {
        Self { given: self.given.saturating_add(given.min(99) as u8).min(MAX_ARGUMENTS), ..self }
    }
}

struct Walk<'i> {
    ir: &'i Ir,
    seen: HashSet<(ExprId, Demand)>,
    todo: Vec<(ExprId, Demand)>,
    out: Vec<(NodeId, Strict)>,
}

impl Walk<'_> {
    fn push(&mut self, id: ExprId, demand: Demand) {
        if self.seen.insert((id, demand)) {
            self.todo.push((id, demand));
        }
    }

    fn visit(&mut self, id: ExprId, demand: Demand) {
        let head = demand.head();
        match self.ir.expr(id) {
            Expr::Let { body, .. } => self.push(body, demand),
            Expr::Var { target, .. } => self.variable(target, demand),
            Expr::Apply(list) => {
                let [function, arguments @ ..] = self.ir.list(list) else { return };
                self.apply(id, *function, arguments, demand);
            }
            Expr::Lambda(lambda) => {
                let body = self.ir.lambda(lambda).body;
                if demand.given > 0 {
                    self.push(body, Demand { given: demand.given - 1, ..demand });
                } else if demand.passes_on && demand.after < MAX_ARGUMENTS {
                    self.push(body, Demand { after: demand.after + 1, ..demand });
                }
            }
            Expr::With(with) => self.push(self.ir.with(with).body, demand),
            Expr::Assert { condition, body } => {
                self.push(condition, head);
                self.push(body, demand);
            }
            Expr::If { condition, .. } => self.push(condition, head),
            Expr::InheritFrom { source, .. } => self.push(self.ir.source(source).expr, head),
            Expr::Select { base, .. }
            | Expr::HasAttr { base, .. }
            | Expr::Not(base)
            | Expr::Negate(base) => self.push(base, head),
            Expr::Str(parts) | Expr::Path(parts) => {
                for &part in self.ir.list(parts) {
                    self.push(part, head);
                }
            }
            Expr::AttrSet(set) => {
                for dynamic in self.ir.set_dynamics(set) {
                    self.push(dynamic.name, head);
                }
            }
            Expr::Binary { op, operands } => self.operator(id, op, self.ir.list(operands), demand),
            Expr::LegacyLet(_)
            | Expr::List(_)
            | Expr::Missing
            | Expr::Int(_)
            | Expr::Float(_)
            | Expr::Text
            | Expr::SearchPath
            | Expr::CurPos => {}
        }
    }

    fn variable(&mut self, target: Target, demand: Demand) {
        // A name out of a `with` is left alone: which of several supplies it is not known here.
        if let Target::Local(binding) = target
            && let Some(value) = self.value(binding)
        {
            self.push(value, demand);
        }
    }

    /// The value of a name that a `let` binds. Those of a recursive set may be overridden.
    fn value(&self, id: BindingId) -> Option<ExprId> {
        let scope = self.ir.binding(id).scope;
        let is_let = self.ir.scopes[scope.index()].kind == ScopeKind::Let;
        self.ir.binding_attr(id).filter(|_| is_let).map(|attr| attr.value)
    }

    fn apply(&mut self, id: ExprId, function: ExprId, arguments: &[ExprId], demand: Demand) {
        let n_own = match () {
            () if self.is_builtin(function, "import") => 1,
            () if self.is_builtin(function, "scopedImport") => 2,
            () => return self.push(function, demand.more(arguments.len())),
        };
        if let Some(n_given) = arguments.len().checked_sub(n_own) {
            self.import(id, demand.more(n_given));
            self.push(arguments[n_own - 1], demand.head());
        }
    }

    fn import(&mut self, id: ExprId, demand: Demand) {
        let Demand { after, given, passes_on } = demand;
        self.out.push((self.ir.node(id), Strict { after, given, passes_on }));
    }

    fn operator(&mut self, id: ExprId, op: BinaryOp, operands: &[ExprId], demand: Demand) {
        let [first, .., last] = operands else { return };
        match op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Implies => self.push(*first, demand.head()),
            BinaryOp::PipeInto if self.is_builtin(*last, "import") => self.import(id, demand),
            BinaryOp::PipeInto => self.push(*last, demand.more(1)),
            BinaryOp::PipeFrom if self.is_builtin(*first, "import") => self.import(id, demand),
            BinaryOp::PipeFrom => self.push(*first, demand.more(1)),
            _ => operands.iter().for_each(|operand| self.push(*operand, demand.head())),
        }
    }

    /// Whether an expression is the builtin `name`, bare or out of `builtins`.
    fn is_builtin(&self, id: ExprId, name: &str) -> bool {
        match self.ir.expr(id) {
            Expr::Var { symbol, target: Target::Free(_) } => {
                self.ir.symbol(symbol) == name && builtins::global(name).is_some()
            }
            Expr::Select { base, path, .. } => {
                let is_name = matches!(self.ir.path(path), [PathElement::Name(symbol)]
                    if self.ir.symbol(*symbol) == name);
                is_name && self.is_builtin(base, "builtins")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists the imports that cannot be avoided as `TARGET after/given`, with a `+` where further
    /// arguments are passed on.
    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let tree = cim_nix_syntax::parse(text).tree;
        let ir = cim_nix_semantics::Lowerer::default().lower(&tree);
        let found = imports(&ir).into_iter().map(|(node, strict)| {
            let target = tree.node(node).child(1).map_or("", |path| path.text());
            let plus = if strict.passes_on { "+" } else { "" };
            format!("{target} {}/{}{plus}", strict.after, strict.given)
        });
        assert_eq!(found.collect::<Vec<_>>(), want, "{text}");
    }

    #[test]
    fn heads_are_strict() {
        check("import ./a", &["./a 0/0+"]);
        check("import ./a { } 1", &["./a 0/2+"]);
        check("(import ./a { }).b.c", &["./a 0/1"]);
        check("builtins.import ./a", &["./a 0/0+"]);
        check("let a = import ./a; b = a; in b 1", &["./a 0/1+"]);
        check("import ./a // { }", &["./a 0/0"]);
        check("with import ./lib; import ./b", &["./b 0/0+"]);
        check("assert (import ./a); { }", &["./a 0/0"]);
        check("if import ./a then import ./b else 1", &["./a 0/0"]);
        check("\"${import ./a}\"", &["./a 0/0"]);
        check("let inherit (import ./a) x; in x", &["./a 0/0"]);
        check("import ./a && import ./b", &["./a 0/0"]);
        check("let f = x: import ./a; in f 1", &["./a 0/0+"]);
        check("{ ${import ./a} = 1; }", &["./a 0/0"]);
        check("scopedImport { } ./a 1", &["{ } 0/1+"]);
    }

    #[test]
    fn functions_wait_for_their_arguments() {
        check("{ pkgs }: import ./a { }", &["./a 1/1+"]);
        check("a: b: (import ./a).b", &["./a 2/0"]);
    }

    #[test]
    fn lazy_places_are_not_strict() {
        check("{ a = import ./a; }", &[]);
        check("[ (import ./a) ]", &[]);
        check("f (import ./a)", &[]);
        check("let a = import ./a; in { inherit a; }", &[]);
        check("let f = x: import ./a; in f", &["./a 1/0+"]);
        check("import: import ./a", &[]);
    }
}
