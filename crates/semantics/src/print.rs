//! An IR as `nix-instantiate --parse` prints a program.
//!
//! What Nix prints shows everything that it made of the text: precedence, the values of strings,
//! numbers and paths, merged sets, desugared operators. So the strictest question that can be asked
//! without an evaluator is whether our IR prints the same.

mod text;

use std::path::Path;

use cim_nix_syntax::Tree;
use cim_nix_syntax::literal::{self, StrPart};

use crate::ir::{AttrKind, BinaryOp, Expr, ExprId, Ir, LambdaId, PathElement, PathId, SetId};
pub use text::quoted;
use text::{canonical, float, identifier};

/// Where Nix believes relative and home paths to start.
#[derive(Clone, Copy, Debug)]
pub struct Places<'p> {
    /// The folder of the file, absolute.
    pub folder: &'p Path,
    /// The user's home.
    pub home: &'p str,
}

/// Prints a lowered file.
#[must_use]
pub fn print(ir: &Ir, tree: &Tree, places: Places<'_>) -> String {
    print_expr(ir, tree, ir.root(), places)
}

/// Prints one expression of a lowered file.
#[must_use]
pub fn print_expr(ir: &Ir, tree: &Tree, id: ExprId, places: Places<'_>) -> String {
    Printer { ir, tree, places }.show(id).text
}

/// Stack that one level of printing may take, and what is taken when less is left.
const RED_ZONE: usize = 64 * 1024;
const STACK: usize = 4 * 1024 * 1024;

/// A printed expression.
struct Shown {
    text: String,
    /// Whether it is a call, which takes further arguments inside its parentheses.
    is_call: bool,
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self { text, is_call: false }
    }
}

struct Printer<'i> {
    ir: &'i Ir,
    tree: &'i Tree,
    places: Places<'i>,
}

impl Printer<'_> {
    fn text(&self, id: ExprId) -> String {
        self.show(id).text
    }

    fn show(&self, id: ExprId) -> Shown {
        // Nested code recurses up to the depth cap whatever stack the caller runs on.
        stacker::maybe_grow(RED_ZONE, STACK, || self.show_here(id))
    }

    fn show_here(&self, id: ExprId) -> Shown {
        let ir = self.ir;
        let text = match ir.expr(id) {
            Expr::Missing => "<missing>".to_owned(),
            Expr::Int(value) => value.to_string(),
            Expr::Float(value) => float(value),
            Expr::Text => quoted(&literal::constant_text(self.node(id)).unwrap_or_default()),
            Expr::Str(_) => self.string(id),
            Expr::Path(_) => self.path(id),
            Expr::SearchPath => {
                let inner = literal::search_path(self.node(id)).unwrap_or_default();
                return call("__findFile", &["__nixPath".to_owned(), quoted(inner)]);
            }
            Expr::CurPos => "__curPos".to_owned(),
            Expr::Var { symbol, .. } => identifier(ir.symbol(symbol)),
            // Only its set prints it.
            Expr::InheritFrom { symbol, .. } => identifier(ir.symbol(symbol)),
            Expr::List(list) => {
                let members = ir.list(list).iter().map(|&id| format!("({}) ", self.text(id)));
                format!("[ {}]", members.collect::<String>())
            }
            Expr::Apply(list) => return self.apply(ir.list(list)),
            Expr::Select { base, path, default } => {
                let or = match default {
                    Expr::NO_DEFAULT => String::new(),
                    default => format!(" or ({})", self.text(default)),
                };
                format!("({}).{}{or}", self.text(base), self.attr_path(path))
            }
            Expr::HasAttr { base, path } => {
                format!("(({}) ? {})", self.text(base), self.attr_path(path))
            }
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::AttrSet(set) => self.set(set),
            Expr::LegacyLet(set) => format!("({}).body", self.set(set)),
            Expr::Let { set, body } => {
                format!("(let {}in {})", self.bindings(set), self.text(body))
            }
            Expr::With(with) => {
                let with = ir.with(with);
                format!("(with {}; {})", self.text(with.namespace), self.text(with.body))
            }
            Expr::Assert { condition, body } => {
                format!("assert {}; {}", self.text(condition), self.text(body))
            }
            Expr::If { condition, consequence, alternative } => {
                let [a, b, c] = [condition, consequence, alternative].map(|id| self.text(id));
                format!("(if {a} then {b} else {c})")
            }
            Expr::Not(operand) => format!("(! {})", self.text(operand)),
            Expr::Negate(operand) => return call("__sub", &["0".to_owned(), self.text(operand)]),
            Expr::Binary { op, operands } => return self.binary(op, ir.list(operands)),
        };
        text.into()
    }

    fn node(&self, id: ExprId) -> cim_nix_syntax::Node<'_> {
        self.tree.node(self.ir.node(id))
    }

    fn apply(&self, members: &[ExprId]) -> Shown {
        let mut members = members.iter();
        let function = members.next().map_or_else(|| String::new().into(), |&id| self.show(id));
        // The old form `f or` is a call of its own.
        if let Some(&or) = members.as_slice().first()
            && self.node(or).text() == "or"
        {
            return Shown { text: format!("({} or)", function.text), is_call: true };
        }
        members.fold(function, |function, &id| apply(function, &self.text(id)))
    }

    /// A chain of one operator, nested as the operator associates.
    fn binary(&self, op: BinaryOp, operands: &[ExprId]) -> Shown {
        let mut shown = operands.iter().map(|&id| self.show(id));
        let is_right = matches!(
            op,
            BinaryOp::Implies | BinaryOp::Update | BinaryOp::Concat | BinaryOp::PipeFrom
        );
        let nested = if is_right {
            shown.rev().reduce(|right, left| operation(op, left, right))
        } else {
            shown.next().map(|first| shown.fold(first, |left, right| operation(op, left, right)))
        };
        nested.unwrap_or_else(|| String::new().into())
    }

    fn string(&self, id: ExprId) -> String {
        let parts = literal::string_parts(self.node(id));
        if let [] | [StrPart::Text(_)] = parts.as_slice() {
            let text = parts.iter().find_map(|part| match part {
                StrPart::Text(text) => Some(text.as_ref()),
                StrPart::Interpol(_) => None,
            });
            return quoted(text.unwrap_or_default());
        }
        let Expr::Str(list) = self.ir.expr(id) else { return String::new() };
        let mut inner = self.ir.list(list).iter();
        let shown = parts.iter().map(|part| match part {
            StrPart::Text(text) => quoted(text),
            StrPart::Interpol(_) => inner.next().map_or_else(String::new, |&id| self.text(id)),
        });
        format!("({})", shown.collect::<Vec<_>>().join(" + "))
    }

    fn path(&self, id: ExprId) -> String {
        let Expr::Path(list) = self.ir.expr(id) else { return String::new() };
        let mut inner = self.ir.list(list).iter();
        let parts = literal::path_parts(self.node(id));
        let shown = parts.iter().enumerate().map(|(idx, part)| match part {
            // A token of a path ends behind the first of two slashes.
            StrPart::Text(text) if idx == 0 => match text.split_once("//") {
                Some((start, rest)) => {
                    let start = canonical(&format!("{start}/"), self.places);
                    format!("{start} + {}", quoted(&format!("/{rest}")))
                }
                None => canonical(text, self.places),
            },
            StrPart::Text(text) => quoted(text),
            StrPart::Interpol(_) => inner.next().map_or_else(String::new, |&id| self.text(id)),
        });
        let shown: Vec<String> = shown.collect();
        match shown.as_slice() {
            [path] => path.clone(),
            parts => format!("({})", parts.join(" + ")),
        }
    }

    fn attr_path(&self, path: PathId) -> String {
        let elements = self.ir.path(path).iter().map(|element| match element {
            PathElement::Name(symbol) => identifier(self.ir.symbol(*symbol)),
            PathElement::Dynamic(id) => format!("\"${{{}}}\"", self.text(*id)),
        });
        elements.collect::<Vec<_>>().join(".")
    }

    fn lambda(&self, id: LambdaId) -> String {
        let (ir, lambda) = (self.ir, self.ir.lambda(id));
        let bindings: Vec<_> = ir.scope_bindings(lambda.scope).collect();
        let name = |at: usize| identifier(ir.symbol(ir.binding(bindings[at]).symbol));
        let named = if lambda.has_name { name(0) } else { String::new() };
        let body = self.text(lambda.body);
        if !lambda.has_pattern {
            return format!("({named}: {body})");
        }
        let formals = ir.lambda_formals(id).iter();
        let mut formals: Vec<(&str, String)> = formals
            .map(|formal| {
                let name = ir.symbol(ir.binding(formal.binding).symbol);
                let default = match formal.default {
                    Expr::NO_DEFAULT => String::new(),
                    default => format!(" ? {}", self.text(default)),
                };
                (name, identifier(name) + &default)
            })
            .collect();
        formals.sort();
        let mut formals: Vec<String> = formals.into_iter().map(|(_, shown)| shown).collect();
        formals.extend(lambda.has_ellipsis.then(|| "...".to_owned()));
        let at = if lambda.has_name { format!(" @ {named}") } else { String::new() };
        format!("({{ {} }}{at}: {body})", formals.join(", "))
    }

    fn set(&self, set: SetId) -> String {
        let keyword = if self.ir.set(set).scope.is_some() { "rec " } else { "" };
        format!("{keyword}{{ {}}}", self.bindings(set))
    }

    /// Names that are inherited, then those inherited from each source, then the rest.
    fn bindings(&self, id: SetId) -> String {
        let ir = self.ir;
        let mut attrs: Vec<_> = ir.set_attrs(id).iter().collect();
        attrs.sort_by_key(|attr| ir.symbol(attr.symbol));
        let names = |fits: &dyn Fn(&crate::ir::Attr) -> bool| {
            let fitting = attrs.iter().filter(|attr| fits(attr));
            fitting
                .map(|attr| format!(" {}", identifier(ir.symbol(attr.symbol))))
                .collect::<String>()
        };
        let mut out = String::new();
        let inherited = names(&|attr| attr.kind == AttrKind::Inherited);
        if !inherited.is_empty() {
            out += &format!("inherit{inherited}; ");
        }
        let sources = ir.set(id).sources;
        for (at, source) in sources.range().zip(ir.set_sources(id)) {
            let from = names(&|attr| match ir.expr(attr.value) {
                Expr::InheritFrom { source, .. } => source.index() == at,
                _ => false,
            });
            if !from.is_empty() {
                out += &format!("inherit ({}){from}; ", self.text(source.expr));
            }
        }
        for attr in attrs {
            if matches!(attr.kind, AttrKind::Plain | AttrKind::Nested) {
                let name = identifier(ir.symbol(attr.symbol));
                out += &format!("{name} = {}; ", self.text(attr.value));
            }
        }
        for attr in ir.set_dynamics(id) {
            out += &format!("\"${{{}}}\" = {}; ", self.text(attr.name), self.text(attr.value));
        }
        out
    }
}

fn call(function: &str, arguments: &[String]) -> Shown {
    Shown { text: format!("({function} {})", arguments.join(" ")), is_call: true }
}

/// Gives a function one more argument: a call takes it as its last one.
fn apply(function: Shown, argument: &str) -> Shown {
    let open = match function.text.strip_suffix(')') {
        Some(open) if function.is_call => open.to_owned(),
        _ => format!("({}", function.text),
    };
    Shown { text: format!("{open} {argument})"), is_call: true }
}

fn operation(op: BinaryOp, left: Shown, right: Shown) -> Shown {
    let function = |name, left: Shown, right: Shown| call(name, &[left.text, right.text]);
    let word = match op {
        BinaryOp::Sub => return function("__sub", left, right),
        BinaryOp::Mul => return function("__mul", left, right),
        BinaryOp::Div => return function("__div", left, right),
        BinaryOp::Less => return function("__lessThan", left, right),
        BinaryOp::Greater => return function("__lessThan", right, left),
        BinaryOp::LessEqual => {
            return format!("(! {})", function("__lessThan", right, left).text).into();
        }
        BinaryOp::GreaterEqual => {
            return format!("(! {})", function("__lessThan", left, right).text).into();
        }
        BinaryOp::PipeInto => return apply(right, &left.text),
        BinaryOp::PipeFrom => return apply(left, &right.text),
        BinaryOp::Add => "+",
        BinaryOp::Concat => "++",
        BinaryOp::Update => "//",
        BinaryOp::Equal => "==",
        BinaryOp::NotEqual => "!=",
        BinaryOp::And => "&&",
        BinaryOp::Or => "||",
        BinaryOp::Implies => "->",
    };
    format!("({} {word} {})", left.text, right.text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let places = Places { folder: Path::new("/dir"), home: "/home/u" };
        let parse = cim_nix_syntax::parse(text);
        assert_eq!(parse.problems, [], "{text}");
        print(&crate::lower(&parse.tree), &parse.tree, places)
    }

    #[test]
    fn operators_and_calls_print_as_nix_prints_them() {
        let pairs = [
            ("a: a - a - a", "(a: (__sub (__sub a a) a))"),
            ("a: a // a // a", "(a: (a // (a // a)))"),
            ("a: a <= a", "(a: (! (__lessThan a a)))"),
            ("a: (a a) a", "(a: (a a a))"),
            ("a: a |> a |> a", "(a: (a (a a)))"),
            ("a: (a |> a) <| a", "(a: (a a a))"),
            ("a: a <a> a", "(a: (a (__findFile __nixPath \"a\") a))"),
            ("a: - a ? b", "(a: (((__sub 0 a)) ? b))"),
        ];
        pairs.iter().for_each(|(text, want)| assert_eq!(printed(text), *want));
    }

    #[test]
    fn sets_print_as_nix_prints_them() {
        let pairs = [
            ("{ b = 1; a.c = 2; a = { d = 3; }; }", "{ a = { c = 2; d = 3; }; b = 1; }"),
            (
                "x: { y = 1; inherit x; inherit (x) b a; }",
                "(x: { inherit x; inherit (x) a b; y = 1; })",
            ),
            (
                "x: { ${x} = 1; \"a b\" = 2; \"if\" = 3; }",
                "(x: { \"a b\" = 2; \"if\" = 3; \"${x}\" = 1; })",
            ),
            ("let { body = 1; }", "(rec { body = 1; }).body"),
            ("x@{ b, a ? 1, ... }: x", "({ a ? 1, b, ... } @ x: x)"),
        ];
        pairs.iter().for_each(|(text, want)| assert_eq!(printed(text), *want));
    }

    #[test]
    fn literals_print_as_nix_prints_them() {
        let pairs = [
            (
                "[ 1.5e308 1. 100000.0 1234567.0 0.0001 0.00001 ]",
                "[ (1.5e+308) (1) (100000) (1.23457e+06) (0.0001) (1e-05) ]",
            ),
            ("x: ./a/../b/${x}/c", "(x: (/dir/b/ + x + \"/c\"))"),
            ("[ ~/. ./. /a/../b ]", "[ (/home/u/.) (/dir) (/b) ]"),
            ("\"a\\n$${\"", "\"a\\n$\\${\""),
        ];
        pairs.iter().for_each(|(text, want)| assert_eq!(printed(text), *want));
    }
}
