//! Builtins on lists.

use std::cell::Cell;

use super::Entry;
use crate::code::Pos;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::symbols::{Symbol, known};
use crate::value::{List, Str, Value};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("map", 2, 0, map),
    Entry::new("filter", 2, 0, filter),
    Entry::new("elem", 2, 0, |ev, a, position| {
        let list = arg_list(ev, a[1], position, "second", "elem")?;
        for element in list {
            if ev.equal_members(a[0], element.get(), position)? {
                return Ok(Value::TRUE);
            }
        }
        Ok(Value::FALSE)
    }),
    Entry::new("elemAt", 2, 1, |ev, a, position| {
        let at = ev.int(a[1], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the second argument passed to 'builtins.elemAt'",
            )
        })?;
        let list = arg_list(ev, a[0], position, "first", "'builtins.elemAt'")?;
        match usize::try_from(at).ok().and_then(|at| list.get(at)) {
            Some(element) => force_cell(ev, element),
            None => {
                let message = format!(
                    "'builtins.elemAt' called with index {at} on a list of size {}",
                    list.len()
                );
                Err(ev.fail(ErrorKind::Other, position, message))
            }
        }
    }),
    Entry::new("head", 1, 1, |ev, a, position| {
        let list = arg_list(ev, a[0], position, "first", "'builtins.head'")?;
        match list.first() {
            Some(element) => force_cell(ev, element),
            None => {
                Err(ev.fail(ErrorKind::Other, position, "'builtins.head' called on an empty list"))
            }
        }
    }),
    Entry::new("tail", 1, 1, |ev, a, position| {
        let list = arg_list(ev, a[0], position, "first", "'builtins.tail'")?;
        match list.split_first() {
            Some((_, rest)) => Ok(ev.heap.list_from(rest.len(), rest.iter().map(Cell::get))),
            None => {
                Err(ev.fail(ErrorKind::Other, position, "'builtins.tail' called on an empty list"))
            }
        }
    }),
    Entry::new("length", 1, 1, |ev, a, position| {
        let list = arg_list(ev, a[0], position, "first", "length")?;
        Ok(ev.heap.int(list.len() as i64))
    }),
    Entry::new("concatLists", 1, 1, |ev, a, position| {
        let lists = arg_list(ev, a[0], position, "first", "concatLists")?;
        let mut parts = Vec::with_capacity(lists.len());
        for list in lists {
            parts.push(ev.list(list.get(), position).map_err(|failed| {
                ev.trace(
                    failed,
                    position,
                    "while evaluating a value of the list passed to builtins.concatLists",
                )
            })?);
        }
        concat(ev, &parts, position)
    }),
    Entry::new("concatMap", 2, 0, |ev, a, position| {
        let function = arg_function(ev, a[0], position, "concatMap")?;
        let list = arg_list(ev, a[1], position, "second", "concatMap")?;
        let mut parts = Vec::with_capacity(list.len());
        for element in list {
            let part = ev.apply(function, &[element.get()], position)?;
            parts.push(ev.list(part, position).map_err(|failed| {
                ev.trace(failed, position, "while evaluating the return value of the function passed to builtins.concatMap")
            })?);
        }
        concat(ev, &parts, position)
    }),
    Entry::new("foldl'", 3, 0, |ev, a, position| {
        let function = arg_function(ev, a[0], position, "foldlStrict")?;
        let list = arg_list(ev, a[2], position, "third", "foldlStrict")?;
        let mut sum = a[1];
        for element in list {
            sum = ev.apply(function, &[sum, element.get()], position)?;
        }
        ev.force(sum)
    }),
    Entry::new("all", 2, 0, |ev, a, position| any_all(ev, a, position, false, "all")),
    Entry::new("any", 2, 0, |ev, a, position| any_all(ev, a, position, true, "any")),
    Entry::new("genList", 2, 0, |ev, a, position| {
        let n = ev.int(a[1], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the second argument passed to builtins.genList",
            )
        })?;
        let Ok(n) = usize::try_from(n) else {
            let message = format!("cannot create list of size {n}");
            return Err(ev.fail(ErrorKind::Other, position, message));
        };
        let function = ev.function(a[0], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the first argument passed to builtins.genList",
            )
        })?;
        if n > (1 << 40) || ev.heap.lacks(n.saturating_mul(4)) {
            let message = format!("cannot create list of size {n}");
            return Err(ev.fail(ErrorKind::Limit, position, message));
        }
        let call = ev.lazy_calls(function, n);
        let elements = (0..n).map(|at| call([ev.heap.int(at as i64)]));
        Ok(ev.heap.list_from(n, elements))
    }),
    Entry::new("sort", 2, 0, sort),
    Entry::new("partition", 2, 0, |ev, a, position| {
        let function = arg_function(ev, a[0], position, "partition")?;
        let list = arg_list(ev, a[1], position, "second", "partition")?;
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        for element in list {
            force_cell(ev, element)?;
            let is_right = predicate(ev, function, element.get(), position, "partition")?;
            if is_right { &mut right } else { &mut wrong }.push(element.get());
        }
        Ok(ev.attrs(&mut [
            (known::RIGHT, 0, ev.heap.list(&right)),
            (known::WRONG, 0, ev.heap.list(&wrong)),
        ]))
    }),
    Entry::new("groupBy", 2, 0, |ev, a, position| {
        let function = arg_function(ev, a[0], position, "groupBy")?;
        let list = arg_list(ev, a[1], position, "second", "groupBy")?;
        let mut groups: Vec<(Symbol, Vec<Value>)> = Vec::new();
        let mut places = rustc_hash::FxHashMap::default();
        for element in list {
            let name = ev.apply(function, &[element.get()], position)?;
            let name = ev.plain_string(name, position).map_err(|failed| {
                ev.trace(failed, position, "while evaluating the return value of the grouping function passed to builtins.groupBy")
            })?;
            let symbol = ev.symbols.intern_string(&ev.heap, name);
            let at = *places.entry(symbol).or_insert_with(|| {
                groups.push((symbol, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(element.get());
        }
        let mut attrs: Vec<_> =
            groups.iter().map(|(symbol, group)| (*symbol, 0, ev.heap.list(group))).collect();
        Ok(ev.attrs(&mut attrs))
    }),
];

pub(super) fn arg_list(
    ev: &Evaluator,
    value: Value,
    position: Pos,
    which: &str,
    name: &str,
) -> Res<List> {
    let value = ev.force(value)?;
    ev.list(value, position).map_err(|failed| {
        let text = format!("while evaluating the {which} argument passed to builtins.{name}");
        ev.trace(failed, position, text)
    })
}

/// A string, which may have a context, as an argument.
pub(super) fn arg_string(
    ev: &Evaluator,
    value: Value,
    position: Pos,
    which: &str,
    name: &str,
) -> Res<Str> {
    ev.string(value, position).map_err(|failed| {
        let text = format!("while evaluating the {which} argument passed to builtins.{name}");
        ev.trace(failed, position, text)
    })
}

/// A string without context as an argument.
pub(super) fn arg_plain(
    ev: &Evaluator,
    value: Value,
    position: Pos,
    which: &str,
    name: &str,
) -> Res<Str> {
    ev.plain_string(value, position).map_err(|failed| {
        let text = format!("while evaluating the {which} argument passed to builtins.{name}");
        ev.trace(failed, position, text)
    })
}

pub(super) fn arg_function(ev: &Evaluator, value: Value, position: Pos, name: &str) -> Res {
    ev.function(value, position).map_err(|failed| {
        let text = format!("while evaluating the first argument passed to builtins.{name}");
        ev.trace(failed, position, text)
    })
}

/// The value of an element, which replaces its thunk.
pub(super) fn force_cell(ev: &Evaluator, cell: &Cell<Value>) -> Res {
    let value = ev.force(cell.get())?;
    cell.set(value);
    Ok(value)
}

fn predicate(
    ev: &Evaluator,
    function: Value,
    value: Value,
    position: Pos,
    name: &str,
) -> Res<bool> {
    let result = ev.apply(function, &[value], position)?;
    ev.bool(result, position).map_err(|failed| {
        let kind = match name {
            "filter" => "filtering function",
            "partition" => "partition function",
            _ => "function",
        };
        let text =
            format!("while evaluating the return value of the {kind} passed to builtins.{name}");
        ev.trace(failed, position, text)
    })
}

fn map(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let list = arg_list(ev, a[1], position, "second", "map")?;
    if list.is_empty() {
        return Ok(a[1].as_list().map_or_else(|| ev.heap.list(&[]), |_| a[1]));
    }
    let function = arg_function(ev, a[0], position, "map")?;
    let call = ev.lazy_calls(function, list.len());
    let elements = list.iter().map(|element| call([element.get()]));
    Ok(ev.heap.list_from(list.len(), elements))
}

fn filter(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let list = arg_list(ev, a[1], position, "second", "filter")?;
    if list.is_empty() {
        return ev.force(a[1]);
    }
    let function = arg_function(ev, a[0], position, "filter")?;
    let mut kept = Vec::new();
    for element in list {
        if predicate(ev, function, element.get(), position, "filter")? {
            kept.push(element.get());
        }
    }
    if kept.len() == list.len() {
        return ev.force(a[1]);
    }
    Ok(ev.heap.list(&kept))
}

fn concat(ev: &Evaluator, parts: &[List], position: Pos) -> Res {
    let n = parts.iter().map(|part| part.len()).sum();
    ev.long_list(n, parts.iter().flat_map(|part| part.iter().map(Cell::get)), position)
}

fn any_all(ev: &Evaluator, a: &[Value], position: Pos, wanted: bool, name: &str) -> Res {
    let function = arg_function(ev, a[0], position, name)?;
    let list = arg_list(ev, a[1], position, "second", name)?;
    for element in list {
        if predicate(ev, function, element.get(), position, name)? == wanted {
            return Ok(Value::bool(wanted));
        }
    }
    Ok(Value::bool(!wanted))
}

fn sort(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let list = arg_list(ev, a[1], position, "second", "sort")?;
    if list.is_empty() {
        return ev.force(a[1]);
    }
    let function = arg_function(ev, a[0], position, "sort")?;
    let mut values: Vec<Value> = Vec::with_capacity(list.len());
    for element in list {
        values.push(ev.force(element.get())?);
    }
    // `builtins.lessThan` needs no call, and of numbers or strings alone it is an order.
    let is_plain = function.as_builtin().is_some_and(|builtin| builtin.name == "lessThan");
    if is_plain && values.iter().all(|value| value.as_small_int().is_some()) {
        values.sort_by_key(|value| value.as_small_int());
        return Ok(ev.heap.list(&values));
    }
    if is_plain && values.iter().all(|value| value.as_string().is_some()) {
        values.sort_by_key(|value| value.as_string().map_or(&b""[..], Str::bytes));
        return Ok(ev.heap.list(&values));
    }
    let mut failure = None;
    let mut less = |x: Value, y: Value| -> bool {
        if failure.is_some() {
            return false;
        }
        let result = if is_plain {
            ev.less_than(x, y, "")
        } else {
            ev.apply(function, &[x, y], position).and_then(|result| {
                ev.bool(result, position).map_err(|failed| {
                    ev.trace(failed, position, "while evaluating the return value of the sorting function passed to builtins.sort")
                })
            })
        };
        result.unwrap_or_else(|failed| {
            failure = Some(failed);
            false
        })
    };
    merge_sort(&mut values, &mut less);
    match failure {
        Some(failed) => Err(failed),
        None => Ok(ev.heap.list(&values)),
    }
}

/// A stable sort that survives comparisons without any order: those of a standard library may panic.
fn merge_sort(values: &mut [Value], less: &mut impl FnMut(Value, Value) -> bool) {
    let n = values.len();
    let mut runs: Vec<usize> = vec![0];
    let mut at = 0;
    // Runs that are sorted already are kept.
    while at < n {
        let start = at;
        at += 1;
        if at < n && less(values[at], values[start]) {
            while at < n && less(values[at], values[at - 1]) {
                at += 1;
            }
            values[start..at].reverse();
        } else {
            while at < n && !less(values[at], values[at - 1]) {
                at += 1;
            }
        }
        runs.push(at);
    }
    let mut scratch: Vec<Value> = Vec::with_capacity(n);
    while runs.len() > 2 {
        let mut merged = vec![0];
        let mut pairs = runs.windows(2).map(|pair| (pair[0], pair[1]));
        while let Some((start, middle)) = pairs.next() {
            let Some((_, end)) = pairs.next() else {
                merged.push(middle);
                break;
            };
            scratch.clear();
            let (mut left, mut right) = (start, middle);
            while left < middle && right < end {
                if less(values[right], values[left]) {
                    scratch.push(values[right]);
                    right += 1;
                } else {
                    scratch.push(values[left]);
                    left += 1;
                }
            }
            scratch.extend_from_slice(&values[left..middle]);
            scratch.extend_from_slice(&values[right..end]);
            values[start..end].copy_from_slice(&scratch);
            merged.push(end);
        }
        runs = merged;
    }
}
