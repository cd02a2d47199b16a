//! `builtins.fromTOML`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::code::Pos;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::load::nul_message;
use crate::symbols::{Symbol, known};
use crate::value::Value;

/// Reads a TOML text.
pub(super) fn parse(ev: &Evaluator, text: &[u8], position: Pos) -> Res {
    let error = |message: String| {
        ev.fail(ErrorKind::Other, position, format!("while parsing TOML: {message}"))
    };
    let text = std::str::from_utf8(text).map_err(|_| error("the text is not UTF-8".to_owned()))?;
    let table = DeTable::parse(text).map_err(|problem| error(problem.to_string()))?;
    Builder { ev, text, error: &error }.table(table.get_ref())
}

/// Makes values of what was read.
struct Builder<'t> {
    ev: &'t Evaluator,
    text: &'t str,
    error: &'t dyn Fn(String) -> Failed,
}

impl Builder<'_> {
    fn table(&self, table: &DeTable<'_>) -> Res {
        let mut attrs: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(table.len());
        for (name, value) in table {
            self.check_text(name.get_ref())?;
            attrs.push((self.ev.symbol(name.get_ref().as_bytes()), 0, self.value(value)?));
        }
        Ok(self.ev.attrs(&mut attrs))
    }

    fn check_text(&self, text: &str) -> Res<()> {
        match text.contains('\0') {
            true => Err((self.error)(format!("error: {}", nul_message(text)))),
            false => Ok(()),
        }
    }

    /// A number that is too large, shown in its line.
    fn too_large(&self, end: usize) -> Failed {
        let before = &self.text[..end];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        let number = (before.matches('\n').count() + 1).to_string();
        let margin = " ".repeat(number.len());
        let blank = " ".repeat(end - start);
        (self.error)(format!(
            "[error] toml::parse_dec_integer: too large integer: current max digits = 2^63\n{margin}--> fromTOML\n {margin} |\n {number} | {line}\n {margin} | {blank}^-- must be < 2^63\n"
        ))
    }

    fn value(&self, spanned: &Spanned<DeValue<'_>>) -> Res {
        let ev = self.ev;
        let _level = ev.level(0)?;
        Ok(match spanned.get_ref() {
            DeValue::String(text) => {
                self.check_text(text)?;
                ev.heap.string(text.as_bytes())
            }
            DeValue::Integer(number) => {
                let value = i64::from_str_radix(number.as_str(), number.radix());
                ev.heap.int(value.map_err(|_| self.too_large(spanned.span().end))?)
            }
            DeValue::Float(number) => {
                let value = number.as_str().parse::<f64>();
                let value = value.map_err(|_| (self.error)(format!("'{number}' is no number")))?;
                ev.heap.float(value)
            }
            DeValue::Boolean(value) => Value::bool(*value),
            DeValue::Datetime(time) => {
                if !ev.settings.features.iter().any(|known| known == "parse-toml-timestamps") {
                    return Err((self.error)("Dates and times are not supported".to_owned()));
                }
                let kind = ev.symbol(b"_type");
                let text = timestamp(&time.to_string());
                ev.attrs(&mut [
                    (kind, 0, ev.heap.string(b"timestamp")),
                    (known::VALUE, 0, ev.heap.string(text.as_bytes())),
                ])
            }
            DeValue::Array(elements) => {
                let mut list = Vec::with_capacity(elements.len());
                for element in elements {
                    list.push(self.value(element)?);
                }
                ev.heap.list(&list)
            }
            DeValue::Table(table) => self.table(table)?,
        })
    }
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
