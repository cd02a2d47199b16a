//! Counts what a run has tried: builtins, kinds of nodes, kinds of errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cim_nix_semantics::builtins;
use cim_nix_semantics::{AttrKind, BinaryOp, Expr, Ir, Lowerer, PathElement, ScopeKind, Target};
use cim_nix_syntax::{NodeKind, Parser, Tree};

use super::answer::{Answer, Outcome};
use super::errors;
use super::judge::Calls;
use super::world::FEATURES;

/// In how many expressions with a value, and in how many that fail.
type Count = [u64; 2];

/// What was tried how often. An expression counts once for each thing in it.
pub struct Census {
    builtins: BTreeMap<&'static str, Count>,
    nodes: BTreeMap<&'static str, Count>,
    errors: BTreeMap<&'static str, u64>,
    /// Messages of no known kind, shortened, with how many there were.
    others: BTreeMap<String, u64>,
    /// How often Nix has called each builtin.
    pub calls: Calls,
}

impl Default for Census {
    fn default() -> Self {
        let builtins = builtin_names().map(|name| (name, Count::default())).collect();
        let nodes = NODES.iter().map(|name| (*name, Count::default())).collect();
        let errors = errors::kinds().map(|kind| (kind, 0)).collect();
        Self { builtins, nodes, errors, others: BTreeMap::new(), calls: Calls::new() }
    }
}

fn builtin_names() -> impl Iterator<Item = &'static str> {
    let features: Vec<&str> = FEATURES.split(' ').collect();
    let is_bound = move |builtin: &&builtins::Builtin| builtin.is_bound(&features);
    builtins::all().iter().filter(is_bound).map(|builtin| builtin.name)
}

/// Rows of the table of nodes.
const NODES: &[&str] = &[
    "integer",
    "float",
    "string",
    "string with interpolation",
    "indented string",
    "path",
    "path with interpolation",
    "search path",
    "__curPos",
    "local variable",
    "global variable",
    "variable of a with",
    "list",
    "call",
    "call with several arguments",
    "select",
    "select with or",
    "select of a computed name",
    "has attribute",
    "has attribute of a computed name",
    "function",
    "function with a pattern",
    "pattern with ...",
    "pattern with @",
    "pattern with a default",
    "set",
    "recursive set",
    "computed attribute",
    "dotted attribute",
    "inherit",
    "inherit from",
    "legacy let",
    "let",
    "with",
    "assert",
    "if",
    "!",
    "- (sign)",
    "+",
    "-",
    "*",
    "/",
    "++",
    "//",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "&&",
    "||",
    "->",
    "|>",
    "<|",
    "__functor",
    "__toString",
    "outPath",
    "__overrides",
];

impl Census {
    /// Counts an expression and Nix's answer to it.
    pub fn add(&mut self, text: &str, nix: &Answer) {
        let has_failed = usize::from(!matches!(nix.outcome, Outcome::Value(_)));
        let parse = Parser::default().parse(text);
        if parse.problems.is_empty() {
            let ir = Lowerer::default().lower(&parse.tree);
            let (nodes, builtins) = content(&parse.tree, &ir);
            for name in nodes {
                self.nodes.entry(name).or_default()[has_failed] += 1;
            }
            for name in builtins {
                if let Some(count) = self.builtins.get_mut(name) {
                    count[has_failed] += 1;
                }
            }
        }
        if let Outcome::Failure(failure) = &nix.outcome {
            match errors::kind(&failure.message) {
                Some(kind) => *self.errors.entry(kind).or_default() += 1,
                None => {
                    let start: String = failure.first_line().chars().take(70).collect();
                    *self.others.entry(start).or_default() += 1;
                }
            }
        }
    }

    /// What was seen fewer than `enough` times.
    #[must_use]
    pub fn below(&self, enough: u64) -> Vec<String> {
        let rare = |count: &u64| *count < enough;
        let sum = |count: &Count| count[0] + count[1];
        let mut all: Vec<String> = Vec::new();
        let name = |name: &&str| (*name).to_owned();
        all.extend(self.builtins.iter().filter(|b| rare(&sum(b.1))).map(|b| name(b.0)));
        all.extend(self.nodes.iter().filter(|n| rare(&sum(n.1))).map(|n| name(n.0)));
        all.extend(self.errors.iter().filter(|e| rare(e.1)).map(|e| name(e.0)));
        let uncalled = self.builtins.keys().filter(|name| {
            let is_function = builtins::builtin(name).is_some_and(|found| found.arity > 0);
            // `derivation` is a function of the language.
            is_function && **name != "derivation" && rare(self.calls.get(**name).unwrap_or(&0))
        });
        all.extend(uncalled.map(|name| format!("calls of {name}")));
        all
    }

    /// Messages of no known kind, shortened, with how many there were.
    pub fn others(&self) -> impl Iterator<Item = (&str, u64)> {
        self.others.iter().map(|(start, count)| (start.as_str(), *count))
    }

    /// The tables, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::from(
            "| builtin | in values | in failures | calls |\n| --- | --- | --- | --- |\n",
        );
        for (name, [ok, failed]) in &self.builtins {
            let calls = self.calls.get(*name).copied().unwrap_or(0);
            let _ = writeln!(out, "| `{name}` | {ok} | {failed} | {calls} |");
        }
        out += "\n| node | in values | in failures |\n| --- | --- | --- |\n";
        for name in NODES {
            let [ok, failed] = self.nodes.get(name).copied().unwrap_or_default();
            let name = name.replace('|', "\\|");
            let _ = writeln!(out, "| {name} | {ok} | {failed} |");
        }
        out += "\n| error | how often |\n| --- | --- |\n";
        for (name, count) in &self.errors {
            let _ = writeln!(out, "| {name} | {count} |");
        }
        let others: u64 = self.others.values().sum();
        let _ = writeln!(out, "| others | {others} |");
        out
    }
}

/// The kinds of nodes and the builtins that a file mentions.
fn content(tree: &Tree, ir: &Ir) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let mut nodes = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (at, expr) in ir.exprs.iter().enumerate() {
        nodes.extend(node_name(tree, ir, at, expr));
        match *expr {
            Expr::Var { symbol, target: Target::Free(_) } => {
                let global = builtins::global(ir.symbol(symbol));
                used.extend(global.map(|global| global.builtin.name));
            }
            Expr::Select { base, path, .. } => {
                let is_builtins = matches!(ir.expr(base), Expr::Var { symbol, target: Target::Free(_) } if ir.symbol(symbol) == "builtins");
                if let (true, [PathElement::Name(name), ..]) = (is_builtins, ir.path(path)) {
                    used.extend(builtins::builtin(ir.symbol(*name)).map(|builtin| builtin.name));
                }
            }
            _ => {}
        }
    }
    for lambda in &ir.lambdas {
        if lambda.has_pattern {
            nodes.insert("function with a pattern");
            nodes.extend(lambda.has_ellipsis.then_some("pattern with ..."));
            nodes.extend(lambda.has_name.then_some("pattern with @"));
            let has_default =
                |formal: &cim_nix_semantics::Formal| formal.default != Expr::NO_DEFAULT;
            let formals = &ir.formals[lambda.formals.range()];
            nodes.extend(formals.iter().any(has_default).then_some("pattern with a default"));
        }
    }
    if !ir.dynamics.is_empty() {
        nodes.insert("computed attribute");
    }
    for attr in &ir.attrs {
        nodes.extend(match attr.kind {
            AttrKind::Nested => Some("dotted attribute"),
            AttrKind::Inherited => Some("inherit"),
            AttrKind::InheritedFrom => Some("inherit from"),
            AttrKind::Plain => None,
        });
        let special = ["__functor", "__toString", "outPath", "__overrides"];
        nodes.extend(special.iter().find(|name| **name == ir.symbol(attr.symbol)));
    }
    let is_rec = ir.scopes.iter().any(|scope| scope.kind == ScopeKind::Rec);
    nodes.extend(is_rec.then_some("recursive set"));
    (nodes, used)
}

fn node_name(tree: &Tree, ir: &Ir, at: usize, expr: &Expr) -> Option<&'static str> {
    Some(match *expr {
        Expr::Missing | Expr::Text | Expr::InheritFrom { .. } => return None,
        Expr::Int(_) => "integer",
        Expr::Float(_) => "float",
        Expr::Str(list) if list.0.len > 0 => "string with interpolation",
        Expr::Str(_) if tree.node(ir.nodes[at]).kind() == NodeKind::IndStr => "indented string",
        Expr::Str(_) => "string",
        Expr::Path(list) if list.0.len > 0 => "path with interpolation",
        Expr::Path(_) => "path",
        Expr::SearchPath => "search path",
        Expr::CurPos => "__curPos",
        Expr::Var { target: Target::Local(_), .. } => "local variable",
        Expr::Var { symbol, target: Target::Free(with) } => {
            match builtins::global(ir.symbol(symbol)) {
                None if with.is_some() => "variable of a with",
                _ => "global variable",
            }
        }
        Expr::List(_) => "list",
        Expr::Apply(list) if list.0.len > 2 => "call with several arguments",
        Expr::Apply(_) => "call",
        Expr::Select { path, default, .. } => {
            let is_computed = |element: &PathElement| matches!(element, PathElement::Dynamic(_));
            if default != Expr::NO_DEFAULT {
                "select with or"
            } else if ir.path(path).iter().any(is_computed) {
                "select of a computed name"
            } else {
                "select"
            }
        }
        Expr::HasAttr { path, .. } => {
            let is_computed = |element: &PathElement| matches!(element, PathElement::Dynamic(_));
            match ir.path(path).iter().any(is_computed) {
                true => "has attribute of a computed name",
                false => "has attribute",
            }
        }
        Expr::Lambda(_) => "function",
        Expr::AttrSet(_) => "set",
        Expr::LegacyLet(_) => "legacy let",
        Expr::Let { .. } => "let",
        Expr::With(_) => "with",
        Expr::Assert { .. } => "assert",
        Expr::If { .. } => "if",
        Expr::Not(_) => "!",
        Expr::Negate(_) => "- (sign)",
        Expr::Binary { op, .. } => match op {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Concat => "++",
            BinaryOp::Update => "//",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
            BinaryOp::Implies => "->",
            BinaryOp::PipeInto => "|>",
            BinaryOp::PipeFrom => "<|",
        },
    })
}
