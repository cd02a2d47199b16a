//! Builtins on numbers and versions.

use cim_nix_model::{compare_versions, split_drv_name, split_version};

use super::lists::arg_plain;
use super::{Entry, arithmetic};
use crate::code::{Op, Pos};
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::symbols::known;
use crate::value::{Kind, Value};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("add", 2, 2, |ev, a, position| {
        let (x, y) = (ev.force(a[0])?, ev.force(a[1])?);
        let is_number = |value: Value| matches!(value.kind(), Kind::Int(_) | Kind::Float(_));
        for (value, which) in [(x, "first"), (y, "second")] {
            if !is_number(value) {
                let has_float = [x, y].iter().any(|value| matches!(value.kind(), Kind::Float(_)));
                let wanted = if has_float { "a float" } else { "an integer" };
                let failed = ev.expected(wanted, value, position);
                let text = format!("while evaluating the {which} argument of the addition");
                return Err(ev.trace(failed, position, text));
            }
        }
        super::add_numbers(ev, x, y, position)
    }),
    Entry::new("sub", 2, 2, |ev, a, _| arithmetic(ev, Op::Sub, a[0], a[1])),
    Entry::new("mul", 2, 2, |ev, a, _| arithmetic(ev, Op::Mul, a[0], a[1])),
    Entry::new("div", 2, 2, |ev, a, _| arithmetic(ev, Op::Div, a[0], a[1])),
    Entry::new("lessThan", 2, 2, |ev, a, _| Ok(Value::bool(ev.less_than(a[0], a[1], "")?))),
    Entry::new("bitAnd", 2, 2, |ev, a, p| bits(ev, a, p, "bitAnd", |x, y| x & y)),
    Entry::new("bitOr", 2, 2, |ev, a, p| bits(ev, a, p, "bitOr", |x, y| x | y)),
    Entry::new("bitXor", 2, 2, |ev, a, p| bits(ev, a, p, "bitXor", |x, y| x ^ y)),
    Entry::new("ceil", 1, 1, |ev, a, p| round(ev, a[0], p, "ceil", f64::ceil)),
    Entry::new("floor", 1, 1, |ev, a, p| round(ev, a[0], p, "floor", f64::floor)),
    Entry::new("compareVersions", 2, 2, |ev, a, position| {
        let x = arg_plain(ev, a[0], position, "first", "compareVersions")?;
        let y = arg_plain(ev, a[1], position, "second", "compareVersions")?;
        Ok(ev.heap.int(compare_versions(x.bytes(), y.bytes()) as i64))
    }),
    Entry::new("splitVersion", 1, 1, |ev, a, position| {
        let text = arg_plain(ev, a[0], position, "first", "splitVersion")?;
        let parts = split_version(text.bytes()).map(|part| ev.heap.string(part));
        Ok(ev.heap.list(&parts.collect::<Vec<_>>()))
    }),
    Entry::new("parseDrvName", 1, 1, |ev, a, position| {
        let text = arg_plain(ev, a[0], position, "first", "parseDrvName")?.bytes();
        let (name, version) = split_drv_name(text);
        Ok(ev.attrs(&mut [
            (known::NAME, 0, ev.heap.string(name)),
            (ev.symbol(b"version"), 0, ev.heap.string(version)),
        ]))
    }),
];

fn bits(ev: &Evaluator, a: &[Value], position: Pos, name: &str, op: fn(i64, i64) -> i64) -> Res {
    let at =
        |which: &str| format!("while evaluating the {which} argument passed to builtins.{name}");
    let x = ev.int(a[0], position).map_err(|f| ev.trace(f, position, at("first")))?;
    let y = ev.int(a[1], position).map_err(|f| ev.trace(f, position, at("second")))?;
    Ok(ev.heap.int(op(x, y)))
}

fn round(ev: &Evaluator, value: Value, position: Pos, name: &str, op: fn(f64) -> f64) -> Res {
    let value = ev.force(value)?;
    let number = match value.kind() {
        Kind::Int(whole) => {
            // Nix goes by way of a float, and says so where that shows.
            let rounded = op(whole as f64);
            if rounded as i128 == i128::from(whole) {
                return Ok(value);
            }
            let what = match rounded < 9_223_372_036_854_775_808.0 {
                true => format!(
                    "a loss of precision occurred in previous Nix versions because the NixInt argument {whole} was rounded to {}.",
                    rounded as i128
                ),
                false => format!(
                    "the NixInt argument {whole} caused undefined behavior in previous Nix versions."
                ),
            };
            let message = format!(
                "Due to a bug (see https://github.com/NixOS/nix/issues/12899) {what}\n\tFuture Nix versions might implement the correct behavior."
            );
            return Err(ev.fail(ErrorKind::Other, position, message));
        }
        Kind::Float(number) => number,
        _ => {
            let failed = ev.expected("a float", value, position);
            let text = format!("while evaluating the first argument passed to builtins.{name}");
            return Err(ev.trace(failed, position, text));
        }
    };
    let rounded = op(number);
    // The largest float below 2^63 and the smallest that fits.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        let shown = crate::print::float(number);
        let message = format!("NixFloat argument {shown} is not in the range of NixInt");
        return Err(ev.fail(ErrorKind::Other, position, message));
    }
    Ok(ev.heap.int(rounded as i64))
}
