//! Builtins that ask what a value is, or turn it into text.

use super::{Coercion, Entry, Text, json, toml, xml};
use crate::evaluator::Evaluator;
use crate::value::{Kind, Value};

fn is(ev: &Evaluator, value: Value, test: fn(Kind) -> bool) -> crate::error::Res {
    Ok(Value::bool(test(ev.force(value)?.kind())))
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("isNull", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::Null))),
    Entry::new("isBool", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::Bool(_)))),
    Entry::new("isInt", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::Int(_)))),
    Entry::new("isFloat", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::Float(_)))),
    Entry::new("isString", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::String(_)))),
    Entry::new("isPath", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::Path(_)))),
    Entry::new("isList", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::List(_)))),
    Entry::new("isAttrs", 1, 1, |ev, a, _| is(ev, a[0], |k| matches!(k, Kind::Attrs(_)))),
    Entry::new("isFunction", 1, 1, |ev, a, _| {
        is(ev, a[0], |k| matches!(k, Kind::Closure(_) | Kind::Builtin(_) | Kind::Partial(_)))
    }),
    Entry::new("typeOf", 1, 1, |ev, a, _| {
        let word: &[u8] = match ev.force(a[0])?.kind() {
            Kind::Null => b"null",
            Kind::Bool(_) => b"bool",
            Kind::Int(_) => b"int",
            Kind::Float(_) => b"float",
            Kind::String(_) => b"string",
            Kind::Path(_) => b"path",
            Kind::List(_) => b"list",
            Kind::Attrs(_) => b"set",
            _ => b"lambda",
        };
        Ok(ev.symbols.value(ev.symbol(word)))
    }),
    Entry::new("toString", 1, 1, |ev, a, position| {
        let value = ev.force(a[0])?;
        if value.as_string().is_some() {
            return Ok(value);
        }
        if let Some(number) = value.as_small_int() {
            return Ok(ev.heap.string(itoa::Buffer::new().format(number).as_bytes()));
        }
        let mut text = Text::new(ev);
        let why = "while evaluating the first argument passed to builtins.toString";
        ev.coerce(value, &mut text, Coercion::TO_STRING, position, why)?;
        text.finish(ev)
    }),
    Entry::new("toJSON", 1, 0, |ev, a, position| {
        let mut text = Text::new(ev);
        json::push_json(ev, a[0], &mut text, json::JsonStyle::DATA, position)?;
        text.finish(ev)
    }),
    Entry::new("fromJSON", 1, 1, |ev, a, position| {
        let text = ev.plain_string(a[0], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the first argument passed to builtins.fromJSON",
            )
        })?;
        json::parse(ev, text.bytes(), position)
    }),
    Entry::new("toXML", 1, 0, |ev, a, _| {
        let mut text = Text::new(ev);
        xml::to_xml(ev, a[0], &mut text, true, false)?;
        text.finish(ev)
    }),
    Entry::new("fromTOML", 1, 1, |ev, a, position| {
        let text = ev.plain_string(a[0], position).map_err(|failed| {
            ev.trace(failed, position, "while evaluating the argument passed to builtins.fromTOML")
        })?;
        toml::parse(ev, text.bytes(), position)
    }),
];
