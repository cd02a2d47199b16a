//! `builtins.fromTOML`.

use toml::de::{DeTable, DeValue};

use crate::code::Pos;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::symbols::{Symbol, known};
use crate::value::Value;

/// Reads a TOML text.
pub(super) fn parse(ev: &Evaluator, text: &[u8], position: Pos) -> Res {
    let error = |message: String| {
        ev.fail(ErrorKind::Other, position, format!("while parsing TOML: {message}"))
    };
    let text = std::str::from_utf8(text).map_err(|_| error("the text is not UTF-8".to_owned()))?;
    let table = DeTable::parse(text).map_err(|problem| error(problem.to_string()))?;
    build_table(ev, table.get_ref(), &error)
}

fn build_table(
    ev: &Evaluator,
    table: &DeTable<'_>,
    error: &impl Fn(String) -> crate::error::Failed,
) -> Res {
    let mut attrs: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(table.len());
    for (name, value) in table {
        check_text(name.get_ref(), error)?;
        let symbol = ev.symbol(name.get_ref().as_bytes());
        attrs.push((symbol, 0, build(ev, value.get_ref(), error)?));
    }
    Ok(ev.attrs(&mut attrs))
}

fn check_text(text: &str, error: &impl Fn(String) -> crate::error::Failed) -> Res<()> {
    match text.contains('\0') {
        true => Err(error(format!(
            "error: input string '{}' cannot be represented as Nix string because it contains null bytes",
            text.replace('\0', "␀")
        ))),
        false => Ok(()),
    }
}

fn build(
    ev: &Evaluator,
    value: &DeValue<'_>,
    error: &impl Fn(String) -> crate::error::Failed,
) -> Res {
    let _level = ev.level(0)?;
    Ok(match value {
        DeValue::String(text) => {
            check_text(text, error)?;
            ev.heap.string(text.as_bytes())
        }
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix());
            ev.heap.int(value.map_err(|_| error(format!("[error] toml::parse_dec_integer: too large integer: current max digits = 2^63 ({number})")))?)
        }
        DeValue::Float(number) => {
            let value = number.as_str().parse::<f64>();
            ev.heap.float(value.map_err(|_| error(format!("'{number}' is no number")))?)
        }
        DeValue::Boolean(value) => Value::bool(*value),
        DeValue::Datetime(time) => {
            if !ev.settings.features.iter().any(|known| known == "parse-toml-timestamps") {
                return Err(error("Dates and times are not supported".to_owned()));
            }
            let kind = ev.symbol(b"_type");
            ev.attrs(&mut [
                (kind, 0, ev.heap.string(b"timestamp")),
                (known::VALUE, 0, ev.heap.string(timestamp(&time.to_string()).as_bytes())),
            ])
        }
        DeValue::Array(elements) => {
            let mut list = Vec::with_capacity(elements.len());
            for element in elements {
                list.push(build(ev, element.get_ref(), error)?);
            }
            ev.heap.list(&list)
        }
        DeValue::Table(table) => build_table(ev, table, error)?,
    })
}

/// A date or time as Nix writes it: with a fraction of the seconds in steps of three digits.
fn timestamp(text: &str) -> String {
    let Some((start, rest)) = text.split_once('.') else { return text.to_owned() };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, offset) = rest.split_at(end);
    let width = digits.trim_end_matches('0').len().div_ceil(3) * 3;
    match width {
        0 => format!("{start}{offset}"),
        _ => format!("{start}.{:0<width$}{offset}", &digits[..digits.len().min(width)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_come_in_steps_of_three_digits() {
        let check = |text: &str, want: &str| assert_eq!(timestamp(text), want, "{text}");
        check("07:32:00", "07:32:00");
        check("07:32:00.5", "07:32:00.500");
        check("07:32:00.999999", "07:32:00.999999");
        check("1979-05-27T00:32:00.9999-07:00", "1979-05-27T00:32:00.999900-07:00");
        check("07:32:00.000Z", "07:32:00Z");
    }
}
