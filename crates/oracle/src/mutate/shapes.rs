//! Mutations of expressions: what may stand where, and what belongs to what.

use fastrand::Rng;
use rnix::SyntaxKind;

use super::pieces;
use super::source::{Edit, Source, insert, range_of, remove, replace, word};

/// Puts parentheses around an expression.
pub(super) fn wrap_parens(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let range = range_of(source.expr(rng)?);
    Some(vec![insert(range.start, "("), insert(range.end, ")")])
}

/// Takes a pair of parentheses away, so that precedence decides.
pub(super) fn unwrap_parens(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let range = range_of(source.node_of(rng, &[SyntaxKind::NODE_PAREN])?);
    let space = word(rng, &[" ", " ", " ", ""]);
    let end = range.end.checked_sub(1).filter(|end| *end > range.start)?;
    Some(vec![(range.start..range.start + 1, space.into()), (end..range.end, space.into())])
}

/// Puts a `with` before an expression, where it may not even stand.
pub(super) fn insert_with(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let at = range_of(source.expr(rng)?).start;
    let name = source.some_name(rng);
    let set = word(rng, &["x", "{ }", "nope", "1", "x: x", "let in { }", "with { }; y"]);
    let set = if rng.bool() { set.to_owned() } else { name };
    Some(vec![insert(at, format!("with {set}; "))])
}

/// Binds some name of the program around an expression: shadowing, also of operators.
pub(super) fn insert_let(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let range = range_of(source.expr(rng)?);
    let (name, other) = (source.some_name(rng), source.some_name(rng));
    let bound = word(rng, &["__sub", "__lessThan", "__findFile", "or", "true", "body"]);
    let name = if rng.u8(0..4) == 0 { bound.to_owned() } else { name };
    let binding = match rng.u8(0..6) {
        0 => format!("inherit {name};"),
        1 => format!("inherit ({other}) {name};"),
        2 => format!("{name}.{other} = 1;"),
        3 => format!("{name} = {other}; {other} = {name};"),
        4 => String::new(),
        _ => format!("{name} = 1;"),
    };
    let (open, close) = if rng.bool() { ("(", ")") } else { ("", "") };
    Some(vec![insert(range.start, format!("{open}let {binding} in ")), insert(range.end, close)])
}

/// Puts an expression of any kind in the place of another one, without parentheses.
pub(super) fn nest_operand(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let struck = source.expr(rng)?;
    let old = source.text_of(&range_of(struck));
    let piece = word(rng, pieces::EXPRESSIONS);
    let new = match rng.u8(0..10) {
        0 => format!("if {old} then {piece} else {old}"),
        1 => format!("assert {old}; {old}"),
        2 => format!("{old} {piece}"),
        3 => format!("{piece} {old}"),
        4 => format!("let q = {piece}; in {old}"),
        5 => format!("q: {old}"),
        _ => piece.to_owned(),
    };
    Some(vec![replace(struck, new)])
}

/// Puts one expression of the program in the place of another one.
pub(super) fn splice(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let (struck, moved) = (source.expr(rng)?, source.expr(rng)?);
    let moved = source.text_of(&range_of(moved));
    if moved.len() > 2000 {
        return None;
    }
    Some(vec![replace(struck, moved)])
}

/// Continues an expression: an operator, a selection, a default, an argument.
pub(super) fn append(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let at = range_of(source.expr(rng)?).end;
    let name = source.some_name(rng);
    let piece = word(rng, pieces::EXPRESSIONS);
    let operator = word(rng, pieces::OPERATORS);
    let new = match rng.u8(0..14) {
        0 => format!(".{name}"),
        1 => format!(" .{name}"),
        2 => format!(".{name} or {piece}"),
        3 => format!(" or {piece}"),
        4 => " or".to_owned(),
        5 => format!(" ? {name}"),
        6 => format!(" ? {name}.\"{name}\".${{{name}}}"),
        7 => format!(" {name}"),
        8 => format!(".{name}.or or {name}"),
        9 => format!("{operator}{name}"),
        10 => format!("{operator}{piece}"),
        _ => format!(" {operator} {piece}"),
    };
    Some(vec![insert(at, new)])
}

/// Puts something before an expression: a sign, a function, an operand.
pub(super) fn prepend(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let at = range_of(source.expr(rng)?).start;
    let name = source.some_name(rng);
    let operator = word(rng, pieces::OPERATORS);
    let new = match rng.u8(0..9) {
        0 => "-".to_owned(),
        1 => "!".to_owned(),
        2 => "- !".to_owned(),
        3 => format!("{name}: "),
        4 => format!("{name}:"),
        5 => format!("{{ {name} ? 1, ... }}: "),
        6 => format!("{name} "),
        _ => format!("{name} {operator} "),
    };
    Some(vec![insert(at, new)])
}

/// Strikes the punctuation of a pattern.
pub(super) fn pattern(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let pattern = source.node_of(rng, &[SyntaxKind::NODE_PATTERN])?;
    let range = range_of(pattern);
    let text = source.text_of(&range);
    let (open, close) = (text.find('{')?, text.rfind('}')?);
    let (open, close) = (range.start + open + 1, range.start + close);
    let name = source.some_name(rng);
    let edit = match rng.u8(0..14) {
        0 => insert(close, ","),
        1 => insert(close, ", ..."),
        2 => insert(close, "..."),
        3 => insert(open, "..., "),
        4 => insert(open, ","),
        5 => insert(open, format!(" {name}, ")),
        6 => insert(close, format!(", {name} ? nope")),
        7 => insert(range.start, format!("{name}@")),
        8 => insert(range.end, format!("@{name}")),
        9 => insert(range.end, format!(" @ {name} ")),
        10 => insert(open, " or, "),
        11 => insert(open, " \"a\", "),
        12 => remove(range.end..source.text.len().min(range.end + 1)),
        _ => remove(open..close),
    };
    Some(vec![edit])
}
