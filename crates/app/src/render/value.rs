//! Values as code, and code as values.

use std::collections::BTreeMap;

use cim_domain_nix::NixValue;
use cim_domain_nix::model::AttributePath;
use cim_nix_base::Error;
use cim_nix_syntax::build::{self, attr_name_text};
use cim_nix_syntax::{Node, ast, literal};

use super::{built, check_code, code, code_element};

/// Refuses values that no event could hold; whoever walks a value relies on it.
pub(super) fn check(what: &str, value: &NixValue) -> Result<(), Error> {
    value.check().map_err(|why| Error::user(format!("{what} cannot be written: {why}")))
}

/// A name as it stands in an attribute path.
pub(super) fn name(what: &str, name: &str) -> Result<String, Error> {
    match name.contains('\0') {
        true => Err(Error::user(format!("{what} has a name with a NUL byte"))),
        false => Ok(attr_name_text(name).into_owned()),
    }
}

/// A checked value as it can stand behind a `=`.
pub(super) fn bound(what: &str, value: &NixValue) -> Result<String, Error> {
    text(what, value, false)
}

fn text(what: &str, value: &NixValue, is_element: bool) -> Result<String, Error> {
    let value = match value {
        NixValue::AttrSet(attrs) if attrs.is_empty() => return Ok("{ }".to_owned()),
        NixValue::AttrSet(attrs) => return Ok(format!("{{ {} }}", bindings(what, attrs)?)),
        NixValue::List(elements) => {
            let mut out = String::from("[ ");
            for element in elements {
                out.push_str(&text(what, element, true)?);
                out.push(' ');
            }
            out.push(']');
            return Ok(out);
        }
        NixValue::Expression(expression) if is_element => return code_element(what, expression),
        NixValue::Expression(expression) => return code(what, expression),
        NixValue::Path(_) => {
            // A path that no literal can say is a sum.
            let code = value.to_code();
            check_code(what, &code)?;
            build::Value::Raw(code)
        }
        NixValue::String(text) => build::Value::Str(text.clone()),
        NixValue::Int(number) => build::Value::Int(*number),
        NixValue::Float(number) => build::Value::Float(*number),
        NixValue::Bool(value) => build::Value::Bool(*value),
        NixValue::Null => build::Value::Null,
    };
    built(what, if is_element { value.render_element(0) } else { value.render(0) })
}

/// The bindings of a checked set, with spaces between. A set with one attribute is joined to the
/// path that leads to it.
pub(super) fn bindings(what: &str, attrs: &BTreeMap<String, NixValue>) -> Result<String, Error> {
    let mut out = String::new();
    for (first, value) in attrs {
        let mut path = name(what, first)?;
        let mut value = value;
        while let NixValue::AttrSet(inner) = value
            && let Some((next, below)) = inner.first_key_value()
            && inner.len() == 1
        {
            path.push('.');
            path.push_str(&name(what, next)?);
            value = below;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("{path} = {};", bound(what, value)?));
    }
    Ok(out)
}

/// The value that code is, as far as it says so itself; anything that has to be evaluated stays
/// code. `what` is what it was given for.
///
/// Errors: the text is not one expression; or it is a bare word, which is rarely meant.
pub fn value_of_code(what: &str, text: &str) -> Result<NixValue, Error> {
    check_code(what, text)?;
    let tree = cim_nix_syntax::parse(text).tree;
    let word = ast::file_expr(&tree).and_then(|node| match ast::Expr::cast(node) {
        Some(ast::Expr::Ident(_)) => Some(node.text().to_owned()),
        _ => None,
    });
    if let Some(word) = word {
        return match word.as_str() {
            "true" => Ok(NixValue::Bool(true)),
            "false" => Ok(NixValue::Bool(false)),
            "null" => Ok(NixValue::Null),
            _ => Err(Error::user(format!("{what} is the name `{word}`, not a value"))
                .hint(format!("for the text, write '\"{word}\"'"))),
        };
    }
    let literal = ast::file_expr(&tree).and_then(|node| literal_value(node, 0));
    Ok(literal.unwrap_or_else(|| NixValue::Expression(text.trim().to_owned())))
}

/// How deep literals are looked into: what is deeper stays code.
const MOST_LEVELS: usize = 40;

/// The value of what is no more than literals.
fn literal_value(node: Node<'_>, depth: usize) -> Option<NixValue> {
    if depth > MOST_LEVELS {
        return None;
    }
    Some(match ast::Expr::cast(node)? {
        ast::Expr::Ident(_) => match node.text() {
            "true" => NixValue::Bool(true),
            "false" => NixValue::Bool(false),
            "null" => NixValue::Null,
            _ => return None,
        },
        ast::Expr::Literal(_) => match (literal::int_value(node), literal::float_value(node)) {
            (Some(number), _) => NixValue::Int(number),
            (None, Some(number)) => NixValue::Float(number),
            (None, None) => NixValue::String(literal::uri(node)?.to_owned()),
        },
        ast::Expr::Unary(_) => {
            let (sign, number) = node.text().split_at(1);
            let inner = node.child(0)?;
            match literal_value(inner, depth + 1)? {
                NixValue::Int(value) if sign == "-" && number == inner.text() => {
                    NixValue::Int(-value)
                }
                NixValue::Float(value) if sign == "-" && number == inner.text() => {
                    NixValue::Float(-value)
                }
                _ => return None,
            }
        }
        ast::Expr::Str(_) => NixValue::String(literal::static_string(node)?.into_owned()),
        ast::Expr::Path(_) if node.is_leaf() && node.text().starts_with(['.', '/']) => {
            NixValue::Path(node.text().to_owned())
        }
        ast::Expr::List(list) => {
            let elements = list.elements().map(|element| literal_value(element, depth + 1));
            NixValue::List(elements.collect::<Option<_>>()?)
        }
        ast::Expr::AttrSet(set) if !set.is_rec() => {
            let mut attrs = BTreeMap::new();
            for entry in set.entries() {
                let ast::Entry::Binding(binding) = entry else { return None };
                let names = binding.attr_path()?.elements().map(|attr| attr.name());
                let names: Vec<String> =
                    names.map(|name| name.map(Into::into)).collect::<Option<_>>()?;
                let value = literal_value(binding.value()?, depth + names.len())?;
                put(&mut attrs, &names, value)?;
            }
            NixValue::AttrSet(attrs)
        }
        _ => return None,
    })
}

/// Puts a value into nested sets; `None` if something is there.
pub(super) fn put(
    attrs: &mut BTreeMap<String, NixValue>,
    path: &[String],
    value: NixValue,
) -> Option<()> {
    let (last, above) = path.split_last()?;
    let mut attrs = attrs;
    for name in above {
        let inner = attrs.entry(name.clone()).or_insert_with(NixValue::empty);
        let NixValue::AttrSet(inner) = inner else { return None };
        attrs = inner;
    }
    match attrs.contains_key(last) {
        true => None,
        false => {
            attrs.insert(last.clone(), value);
            Some(())
        }
    }
}

/// Sets an attribute of nested sets; what was there is replaced.
///
/// Errors: on the way is something that is no set.
pub fn set_at(sets: &mut NixValue, path: &AttributePath, value: NixValue) -> Result<(), Error> {
    let mut at = sets;
    for name in path.segments() {
        let NixValue::AttrSet(attrs) = at else { return Err(no_set(path)) };
        at = attrs.entry(name.clone()).or_insert_with(NixValue::empty);
    }
    *at = value;
    Ok(())
}

/// Takes an attribute out of nested sets, and the sets that it leaves empty.
///
/// Errors: it is not there.
pub fn unset_at(sets: &mut NixValue, path: &AttributePath) -> Result<(), Error> {
    match take(sets, path.segments()) {
        true => Ok(()),
        false => Err(Error::user(format!("`{path}` is not set"))),
    }
}

fn take(sets: &mut NixValue, path: &[String]) -> bool {
    let (NixValue::AttrSet(attrs), Some((first, rest))) = (sets, path.split_first()) else {
        return false;
    };
    if rest.is_empty() {
        return attrs.remove(first).is_some();
    }
    let Some(inner) = attrs.get_mut(first) else { return false };
    let is_taken = take(inner, rest);
    if is_taken && inner.is_empty_set() {
        attrs.remove(first);
    }
    is_taken
}

fn no_set(path: &AttributePath) -> Error {
    Error::user(format!("`{path}` cannot be set: a part of it is no set"))
        .hint("code and plain values have no attributes; unset them first")
}
