//! What our own front end says of a program, in the words of Nix's verdicts.

use cim_nix_base::{Code, Diagnostic};
use cim_nix_semantics::codes::{DUPLICATE, DYNAMIC_NAME};
use cim_nix_semantics::{ExprId, Ir};
use cim_nix_syntax::codes::{INVALID_NUMBER, NUL_BYTE, TOO_DEEP, TRAILING_SLASH};
use cim_nix_syntax::{NodeKind, Tree};

use crate::{Fault, Place};

/// A variable that nothing defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undefined {
    /// Its name.
    pub name: String,
    /// Where Nix would point.
    pub place: Place,
}

/// A finding of our parser or lowering that makes a program invalid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Its code.
    pub code: Code,
    /// What kind of fault it is.
    pub fault: Fault,
    /// Where it is.
    pub place: Place,
    /// Its message.
    pub message: String,
}

/// Everything that we find wrong with a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ours {
    /// Findings of the parser.
    pub syntax: Vec<Finding>,
    /// Findings of the lowering; empty when the parser found something.
    pub semantics: Vec<Finding>,
    /// Undefined variables in the order of the text; empty when there are other findings.
    pub undefined: Vec<Undefined>,
    /// The one of them that Nix reports.
    pub first_undefined: Option<Undefined>,
}

impl Ours {
    /// Judges a program. Bytes that are no UTF-8 count as U+FFFD.
    #[must_use]
    pub fn judge(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let parse = cim_nix_syntax::parse(&*text);
        let syntax = findings(&parse.problems, &text);
        let mut ours =
            Self { syntax, semantics: Vec::new(), undefined: Vec::new(), first_undefined: None };
        if !ours.syntax.is_empty() {
            return ours;
        }
        let ir = cim_nix_semantics::lower(&parse.tree);
        ours.semantics = findings(&ir.problems, &text);
        if ours.semantics.is_empty() {
            ours.find_undefined(&ir, &parse.tree, &text);
        }
        ours
    }

    fn find_undefined(&mut self, ir: &Ir, tree: &Tree, text: &str) {
        let mut all: Vec<ExprId> =
            ir.free_names().map(|(_, id)| id).filter(|&id| ir.is_undefined(id)).collect();
        all.sort_by_key(|&id| tree.node(ir.node(id)).range().start);
        self.undefined = all.iter().map(|&id| undefined(ir, tree, text, id)).collect();
        let first = ir.first_undefined(tree);
        self.first_undefined = first.map(|id| undefined(ir, tree, text, id));
    }

    /// Whether we accept the program.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.syntax.is_empty() && self.semantics.is_empty() && self.undefined.is_empty()
    }

    /// The first finding as one line; `ok` for none.
    #[must_use]
    pub fn summary(&self) -> String {
        if let Some(finding) = self.syntax.first().or(self.semantics.first()) {
            return format!("{}: {} {}", finding.place, finding.code, finding.message);
        }
        match &self.first_undefined {
            Some(first) => format!("{}: undefined variable '{}'", first.place, first.name),
            None => "ok".to_owned(),
        }
    }
}

fn findings(problems: &[Diagnostic], text: &str) -> Vec<Finding> {
    let finding = |problem: &Diagnostic| Finding {
        code: problem.code,
        fault: fault(problem.code),
        place: Place::of(text.as_bytes(), problem.range.start as usize),
        message: problem.message.clone().into_owned(),
    };
    problems.iter().map(finding).collect()
}

fn fault(code: Code) -> Fault {
    match code {
        DUPLICATE => Fault::DuplicateAttr,
        DYNAMIC_NAME => Fault::Dynamic,
        INVALID_NUMBER | TRAILING_SLASH | NUL_BYTE => Fault::Token,
        TOO_DEEP => Fault::Other,
        _ => Fault::Syntax,
    }
}

fn undefined(ir: &Ir, tree: &Tree, text: &str, id: ExprId) -> Undefined {
    let node = tree.node(ir.node(id));
    let name = match ir.expr(id) {
        cim_nix_semantics::Expr::Var { symbol, .. } => ir.symbol(symbol).to_owned(),
        _ => node.text().to_owned(),
    };
    // Nix points at the function of the old form `f or`.
    let shown = node.parent().filter(|parent| name == "or" && parent.kind() == NodeKind::Apply);
    let start = shown.unwrap_or(node).range().start;
    Undefined { name, place: Place::of(text.as_bytes(), start as usize) }
}
