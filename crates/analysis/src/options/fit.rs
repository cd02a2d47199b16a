//! Whether a value that is written down fits what an option takes.

use cim_nix_semantics::{Expr, Target};
use cim_nix_syntax::literal::StrPart;
use cim_nix_syntax::{Node, ast};

use super::kinds::OptionType;
use crate::context::Context;

/// A value that does not fit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Misfit<'a> {
    /// The value, or the element of it.
    pub(crate) node: Node<'a>,
    /// What it is, in words.
    pub(crate) what: &'static str,
}

/// What can be seen of a value without evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Path,
    List,
    Set,
    Function,
}

impl Seen {
    fn words(self) -> &'static str {
        match self {
            Self::Null => "`null`",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a floating point number",
            Self::Text => "a string",
            Self::Path => "a path",
            Self::List => "a list",
            Self::Set => "an attribute set",
            Self::Function => "a function",
        }
    }
}

/// The part of `value` that `kind` certainly does not take. A value that only evaluation can tell
/// fits.
pub(crate) fn misfit<'a>(
    context: &Context<'a>,
    kind: &OptionType,
    value: Node<'a>,
) -> Option<Misfit<'a>> {
    let value = ast::without_parens(value)?;
    let seen = see(context, value)?;
    let wrong = || Some(Misfit { node: value, what: seen.words() });
    let fits = match kind {
        OptionType::Any => true,
        OptionType::Null => seen == Seen::Null,
        OptionType::Bool => seen == Seen::Bool,
        OptionType::Int(low, high) => {
            let number = integer(context, value);
            seen == Seen::Int && number.is_none_or(|number| (*low..=*high).contains(&number))
        }
        OptionType::Float => seen == Seen::Float,
        OptionType::Text => seen == Seen::Text,
        OptionType::Path => seen == Seen::Path || seen == Seen::Set || may_be_path(seen, value),
        OptionType::Package => matches!(seen, Seen::Set | Seen::Path) || may_be_path(seen, value),
        OptionType::Submodule => {
            matches!(seen, Seen::Set | Seen::Function | Seen::Path | Seen::Text)
        }
        OptionType::Enum(words) => {
            let text = ast::Str::cast(value).and_then(ast::Str::static_value);
            seen == Seen::Text && text.is_none_or(|text| words.iter().any(|word| *word == text))
        }
        OptionType::List(inner) => {
            if seen != Seen::List {
                return wrong();
            }
            let elements = ast::List::cast(value)?.elements();
            return elements.into_iter().find_map(|element| misfit(context, inner, element));
        }
        OptionType::Attrs(_) => seen == Seen::Set,
        OptionType::Either(kinds) => {
            kinds.iter().any(|kind| misfit(context, kind, value).is_none())
        }
    };
    if fits { None } else { wrong() }
}

fn see(context: &Context<'_>, value: Node<'_>) -> Option<Seen> {
    let ir = context.ir;
    Some(match ir.expr(context.expr_of(value.id())?) {
        Expr::Int(_) => Seen::Int,
        Expr::Float(_) => Seen::Float,
        Expr::Str(_) | Expr::Text => Seen::Text,
        Expr::Path(_) => Seen::Path,
        Expr::List(_) => Seen::List,
        Expr::AttrSet(_) => Seen::Set,
        Expr::Lambda(_) => Seen::Function,
        Expr::Not(_) => Seen::Bool,
        Expr::Negate(inner) => match ir.expr(inner) {
            Expr::Int(_) => Seen::Int,
            Expr::Float(_) => Seen::Float,
            _ => return None,
        },
        Expr::Var { symbol, target: Target::Free(_) } => match ir.symbol(symbol) {
            "null" => Seen::Null,
            "true" | "false" => Seen::Bool,
            _ => return None,
        },
        _ => return None,
    })
}

/// The integer that a literal, maybe behind a minus, stands for.
fn integer(context: &Context<'_>, value: Node<'_>) -> Option<i64> {
    match context.ir.expr(context.expr_of(value.id())?) {
        Expr::Int(number) => Some(number),
        Expr::Negate(inner) => match context.ir.expr(inner) {
            Expr::Int(number) => number.checked_neg(),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a string may be a path: it begins with a slash, or with what only evaluation knows.
fn may_be_path(seen: Seen, value: Node<'_>) -> bool {
    let Some(text) = ast::Str::cast(value) else { return false };
    seen == Seen::Text
        && match text.parts().first() {
            Some(StrPart::Text(text)) => text.starts_with('/'),
            Some(StrPart::Interpol(_)) => true,
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use cim_nix_semantics::lower;
    use cim_nix_syntax::parse;

    use super::*;

    #[track_caller]
    fn check(kind: &str, text: &str, want: &str) {
        let tree = parse(text).tree;
        let ir = lower(&tree);
        let context = Context::new("default.nix", &tree, &ir);
        let value = ast::file_expr(&tree).unwrap();
        let found = misfit(&context, &OptionType::parse(kind), value);
        let got = found.map_or("fits".to_owned(), |it| format!("{} {}", it.node.text(), it.what));
        assert_eq!(got, want, "{kind} of {text}");
    }

    #[test]
    fn literals_fit_or_not() {
        check("boolean", "true", "fits");
        check("boolean", "\"yes\"", "\"yes\" a string");
        check("boolean", "x: x", "x: x a function");
        check("boolean", "!1", "fits");
        check("null or string", "null", "fits");
        check("string", "null", "null `null`");
        check(
            "16 bit unsigned integer; between 0 and 65535 (both inclusive)",
            "70000",
            "70000 an integer",
        );
        check("integer between -20 and 19 (both inclusive)", "-20", "fits");
        check("floating point number", "1", "1 an integer");
        check("one of \"a\", \"b\"", "\"c\"", "\"c\" a string");
        check("one of \"a\", \"b\"", "\"${c}\"", "fits");
        check("submodule", "1.5", "1.5 a floating point number");
    }

    #[test]
    fn elements_are_looked_at() {
        check("list of string", "[ \"a\" (f 1) 2 ]", "2 an integer");
        check("list of string", "\"a\"", "\"a\" a string");
        check("list of (string or signed integer)", "[ \"a\" 2 ]", "fits");
        check("null or (list of string)", "[ 1 ]", "[ 1 ] a list");
    }

    #[test]
    fn paths_and_packages() {
        check("path", "./x", "fits");
        check("absolute path", "\"/etc\"", "fits");
        check("absolute path", "\"${home}/x\"", "fits");
        check("absolute path", "\"etc\"", "\"etc\" a string");
        check("package", "\"hello\"", "\"hello\" a string");
        check("package", "pkgs.hello", "fits");
    }

    #[test]
    fn what_only_evaluation_can_tell_fits() {
        check("boolean", "f 1", "fits");
        check("boolean", "if a then 1 else 2", "fits");
        check("JSON value", "1", "fits");
        check("boolean", "null: null", "null: null a function");
        check("boolean", "let true = 1; in true", "fits");
    }
}
