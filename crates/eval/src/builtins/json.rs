//! JSON.

use super::{Coercion, Text};
use crate::code::Pos;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::symbols::{Symbol, known};
use crate::value::{Kind, Value};

/// How values become JSON.
#[derive(Clone, Copy)]
pub(crate) struct JsonStyle {
    /// Whether what is not evaluated is evaluated.
    pub(crate) forces: bool,
    /// Whether paths stay as they are, instead of being copied to the store.
    pub(crate) keeps_paths: bool,
}

impl JsonStyle {
    /// As programs get it.
    pub(crate) const DATA: Self = Self { forces: true, keeps_paths: false };
}

/// Appends a value as JSON. Thunks are forced if `forces`.
pub(crate) fn push_json(
    ev: &Evaluator,
    value: Value,
    out: &mut Text,
    style: JsonStyle,
    position: Pos,
) -> Res<()> {
    let value = if style.forces { ev.force(value)? } else { value };
    match value.kind() {
        Kind::Null => out.push_bytes(b"null"),
        Kind::Bool(value) => out.push_bytes(if value { b"true" } else { b"false" }),
        Kind::Int(number) => out.push_bytes(number.to_string().as_bytes()),
        Kind::Float(number) => out.push_bytes(float(number).as_bytes()),
        Kind::String(text) => {
            push_string(ev, text.bytes(), out, position)?;
            out.add_context(ev, text.context());
        }
        Kind::Path(path) if style.keeps_paths => push_string(ev, path.bytes(), out, position)?,
        Kind::Path(_) => {
            let mut copied = Text::new(ev);
            ev.coerce(value, &mut copied, Coercion::INTERPOLATION, position, "")?;
            push_string(ev, copied.bytes(), out, position)?;
            out.add_context(ev, copied.context());
        }
        Kind::List(list) => {
            let _level = ev.level(position)?;
            out.check(ev)?;
            out.push_bytes(b"[");
            for (at, element) in list.iter().enumerate() {
                if at > 0 {
                    out.push_bytes(b",");
                }
                push_json(ev, element.get(), out, style, position).map_err(|failed| {
                    let text = format!("while evaluating list element at index {at}");
                    ev.trace(failed, position, text)
                })?;
            }
            out.push_bytes(b"]");
        }
        Kind::Attrs(attrs) => {
            let _level = ev.level(position)?;
            out.check(ev)?;
            if attrs.find(known::TO_STRING).is_some() {
                let mut text = Text::new(ev);
                ev.coerce(value, &mut text, Coercion::INTERPOLATION, position, "")?;
                push_string(ev, text.bytes(), out, position)?;
                out.add_context(ev, text.context());
                return Ok(());
            }
            if let Some(path) = attrs.get(known::OUT_PATH) {
                return push_json(ev, path, out, style, position);
            }
            let flat = ev.layouts.flat(&ev.heap, attrs);
            let order = flat.layout.order(&ev.heap, &ev.symbols);
            out.push_bytes(b"{");
            for (n, &at) in order.iter().enumerate() {
                let at = at as usize;
                if n > 0 {
                    out.push_bytes(b",");
                }
                let key = flat.layout.keys[at];
                push_string(ev, ev.symbols.text(key), out, position)?;
                out.push_bytes(b":");
                let defined = flat.layout.position(at);
                push_json(ev, flat.values[at].get(), out, style, defined).map_err(|failed| {
                    let text = format!("while evaluating attribute '{}'", ev.shown_name(key));
                    ev.trace(failed, defined, text)
                })?;
            }
            out.push_bytes(b"}");
        }
        _ => {
            let phrase = ev.type_phrase(value);
            let message = format!("cannot convert {phrase} to JSON");
            let own = ev.function_position(value);
            let position = if own == 0 { position } else { own };
            return Err(ev.fail(ErrorKind::Type, position, message));
        }
    }
    Ok(())
}

/// A number as Nix's JSON library prints it: the shortest digits that read back, `1.0` for whole
/// ones, an exponent for what would be long.
fn float(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number == 0.0 {
        return format!("{sign}0.0");
    }
    // The shortest digits that read back, and where the point stands among them.
    let shortest = format!("{:e}", number.abs());
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = digits.replace('.', "");
    let n = digits.len() as i32;
    let point = exponent.parse().unwrap_or(0) + 1;
    let at = |place: i32| usize::try_from(place).unwrap_or(0);
    match point {
        1..=15 if n <= point => format!("{sign}{digits}{}.0", "0".repeat(at(point - n))),
        1..=15 => format!("{sign}{}.{}", &digits[..at(point)], &digits[at(point)..]),
        -3..=0 => format!("{sign}0.{}{digits}", "0".repeat(at(-point))),
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let (mark, power) = if point < 1 { ('-', 1 - point) } else { ('+', point - 1) };
            format!("{sign}{first}{dot}{rest}e{mark}{power:02}")
        }
    }
}

pub(super) fn push_string(ev: &Evaluator, text: &[u8], out: &mut Text, position: Pos) -> Res<()> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let message = format!(
                "JSON serialization error: [json.exception.type_error.316] {}",
                utf8_fault(text, error)
            );
            return Err(ev.fail(ErrorKind::Other, position, message));
        }
    };
    out.push_bytes(b"\"");
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.push_bytes(&bytes[start..at]);
        if escape.is_empty() {
            out.push_bytes(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.push_bytes(escape);
        }
        start = at + 1;
    }
    out.push_bytes(&bytes[start..]);
    out.push_bytes(b"\"");
    Ok(())
}

/// What is wrong with a text: the byte that no text can go on with, or that it ends too early.
fn utf8_fault(text: &[u8], error: std::str::Utf8Error) -> String {
    let start = error.valid_up_to();
    let Some(taken) = error.error_len() else {
        let last = text.last().copied().unwrap_or(0);
        return format!("incomplete UTF-8 string; last byte: 0x{last:02X}");
    };
    // A byte that may begin a character is fine; the fault is in what follows.
    let at = if matches!(text[start], 0xC2..=0xF4) { start + taken } else { start };
    format!("invalid UTF-8 byte at index {at}: 0x{:02X}", text[at])
}

/// Reads a JSON text.
pub(crate) fn parse(ev: &Evaluator, text: &[u8], position: Pos) -> Res {
    match serde_json::from_slice::<serde_json::Value>(&without_minus_zero(text)) {
        Ok(value) => build(ev, &value, position),
        Err(error) => {
            let message = format!("[json.exception.parse_error.101] parse error: {error}");
            Err(ev.fail(ErrorKind::Other, position, message))
        }
    }
}

/// The text with `0` for the integer `-0`, which would become a float.
fn without_minus_zero(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !text.windows(2).any(|pair| pair == b"-0") {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let (mut is_in_string, mut is_escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'"' if !is_escaped => is_in_string = !is_in_string,
            b'-' if !is_in_string && text.get(at + 1) == Some(&b'0') => {
                let before = at.checked_sub(1).map(|before| text[before]);
                let starts = before.is_none_or(|byte| b" \t\r\n[,:".contains(&byte));
                let goes_on = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E');
                if starts && !text.get(at + 2).is_some_and(goes_on) {
                    continue;
                }
            }
            _ => {}
        }
        is_escaped = byte == b'\\' && !is_escaped;
        out.push(byte);
    }
    out.into()
}

fn build(ev: &Evaluator, value: &serde_json::Value, position: Pos) -> Res {
    Ok(match value {
        serde_json::Value::Null => Value::NULL,
        serde_json::Value::Bool(value) => Value::bool(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => ev.heap.int(number),
            None if number.is_u64() => {
                let message = format!("unsigned json number {number} outside of Nix integer range");
                return Err(ev.fail(ErrorKind::Other, position, message));
            }
            None => ev.heap.float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => {
            ev.check_text(text, position)?;
            ev.heap.string(text.as_bytes())
        }
        serde_json::Value::Array(elements) => {
            let mut list = Vec::with_capacity(elements.len());
            for element in elements {
                list.push(build(ev, element, position)?);
            }
            ev.heap.list(&list)
        }
        serde_json::Value::Object(members) => {
            let mut attrs: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(members.len());
            for (name, member) in members {
                ev.check_text(name, position)?;
                attrs.push((ev.symbol(name.as_bytes()), 0, build(ev, member, position)?));
            }
            ev.attrs(&mut attrs)
        }
    })
}

impl Evaluator {
    /// Refuses a NUL byte, which no string of Nix may have.
    fn check_text(&self, text: &str, position: Pos) -> Res<()> {
        if text.contains('\0') { Err(self.nul_in(text, position)) } else { Ok(()) }
    }
}
