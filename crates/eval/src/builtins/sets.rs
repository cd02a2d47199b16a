//! Builtins on attribute sets.

use super::Entry;
use super::lists::{arg_function, arg_list, force_cell};
use crate::attrs::{Attrs, Flat};
use crate::code::Pos;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::symbols::{Symbol, known};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("attrNames", 1, 1, |ev, a, position| {
        let flat = arg_flat(ev, a[0], position, "the argument", "attrNames")?;
        let order = flat.layout.order(&ev.heap, &ev.symbols);
        let names = order.iter().map(|&at| ev.symbols.value(flat.layout.keys[at as usize]));
        Ok(ev.heap.list_from(order.len(), names))
    }),
    Entry::new("attrValues", 1, 1, |ev, a, position| {
        let flat = arg_flat(ev, a[0], position, "the argument", "attrValues")?;
        let order = flat.layout.order(&ev.heap, &ev.symbols);
        let values = order.iter().map(|&at| flat.values[at as usize].get());
        Ok(ev.heap.list_from(order.len(), values))
    }),
    Entry::new("getAttr", 2, 2, |ev, a, position| {
        let name = arg_name(ev, a[0], position, "getAttr")?;
        let set = arg_set(ev, a[1], position, "the second argument", "getAttr")?;
        match set.find(name) {
            Some(found) => force_cell(ev, found.value),
            None => {
                let name = ev.shown_name(name);
                let failed = ev.fail(
                    ErrorKind::MissingAttribute,
                    position,
                    format!("attribute '{name}' missing"),
                );
                Err(ev.trace(failed, position, "in the attribute set under consideration"))
            }
        }
    }),
    Entry::new("hasAttr", 2, 2, |ev, a, position| {
        let name = arg_name(ev, a[0], position, "hasAttr")?;
        let set = arg_set(ev, a[1], position, "the second argument", "hasAttr")?;
        Ok(Value::bool(set.find(name).is_some()))
    }),
    Entry::new("removeAttrs", 2, 2, remove_attrs),
    Entry::new("listToAttrs", 1, 1, list_to_attrs),
    Entry::new("intersectAttrs", 2, 2, intersect_attrs),
    Entry::new("catAttrs", 2, 2, |ev, a, position| {
        let name = arg_name(ev, a[0], position, "catAttrs")?;
        let list = arg_list(ev, a[1], position, "second", "catAttrs")?;
        let mut found = Vec::new();
        for element in list {
            let set = ev.set(element.get(), position).map_err(|failed| {
                ev.trace(failed, position, "while evaluating an element in the list passed as second argument to builtins.catAttrs")
            })?;
            found.extend(set.get(name));
        }
        Ok(ev.heap.list(&found))
    }),
    Entry::new("mapAttrs", 2, 0, |ev, a, position| {
        let flat = arg_flat(ev, a[1], position, "the second argument", "mapAttrs")?;
        let names = flat.layout.keys.iter().zip(flat.values);
        let call = ev.lazy_calls(a[0], flat.values.len());
        let values = names.map(|(&key, value)| call([ev.symbols.value(key), value.get()]));
        // As in Nix, the new attributes are defined nowhere.
        let layout = ev.layouts.without_positions(&ev.heap, flat.layout);
        Ok(ev.heap.attrs(layout, values).value())
    }),
    Entry::new("zipAttrsWith", 2, 0, zip_attrs_with),
];

pub(super) fn arg_set(
    ev: &Evaluator,
    value: Value,
    position: Pos,
    which: &str,
    name: &str,
) -> Res<Attrs> {
    let value = ev.force(value)?;
    ev.set(value, position).map_err(|failed| {
        let text = format!("while evaluating {which} passed to builtins.{name}");
        ev.trace(failed, position, text)
    })
}

fn arg_flat(ev: &Evaluator, value: Value, position: Pos, which: &str, name: &str) -> Res<Flat> {
    let set = arg_set(ev, value, position, which, name)?;
    Ok(ev.layouts.flat(&ev.heap, set))
}

fn arg_name(ev: &Evaluator, value: Value, position: Pos, name: &str) -> Res<Symbol> {
    let text = ev.plain_string(value, position).map_err(|failed| {
        let text = format!("while evaluating the first argument passed to builtins.{name}");
        ev.trace(failed, position, text)
    })?;
    Ok(ev.symbols.intern_string(&ev.heap, text))
}

fn remove_attrs(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let set = arg_set(ev, a[0], position, "the first argument", "removeAttrs")?;
    let list = arg_list(ev, a[1], position, "second", "removeAttrs")?;
    let mut gone: Vec<Symbol> = Vec::with_capacity(list.len());
    for name in list {
        let text = ev.plain_string(name.get(), position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the values of the second argument passed to builtins.removeAttrs",
            )
        })?;
        gone.extend(ev.symbols.find(text.bytes()));
    }
    gone.retain(|&name| set.find(name).is_some());
    if gone.is_empty() {
        return Ok(set.value());
    }
    gone.sort_unstable();
    let flat = ev.layouts.flat(&ev.heap, set);
    Ok(kept(ev, flat, |key| gone.binary_search(&key).is_err()))
}

/// The attributes of a set whose names are wanted.
fn kept(ev: &Evaluator, flat: Flat, is_wanted: impl Fn(Symbol) -> bool) -> Value {
    let (mut keys, mut positions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (at, &key) in flat.layout.keys.iter().enumerate() {
        if is_wanted(key) {
            keys.push(key);
            positions.push(flat.layout.position(at));
            values.push(flat.values[at].get());
        }
    }
    let layout = ev.layouts.layout(&ev.heap, &keys, &positions);
    ev.heap.attrs(layout, values.into_iter()).value()
}

fn list_to_attrs(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let list = ev.force(a[0])?;
    let list = ev.list(list, position).map_err(|failed| {
        let text = "while evaluating the argument passed to builtins.listToAttrs";
        ev.trace(failed, position, text)
    })?;
    let mut attrs: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(list.len());
    let traced = |failed: Failed| ev.trace(failed, position, "in a {name=...; value=...;} pair");
    for element in list {
        let set = ev.set(force_cell(ev, element)?, position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating an element of the list passed to builtins.listToAttrs",
            )
        })?;
        let missing = |name: &str| {
            ev.fail(ErrorKind::MissingAttribute, position, format!("attribute '{name}' missing"))
        };
        let Some(name) = set.find(known::NAME) else { return Err(traced(missing("name"))) };
        let text = ev.plain_string(name.value.get(), name.position).map_err(|failed| {
            ev.trace(failed, name.position, "while evaluating the `name` attribute of an element of the list passed to builtins.listToAttrs")
        })?;
        let symbol = ev.symbols.intern_string(&ev.heap, text);
        let Some(value) = set.find(known::VALUE) else { return Err(traced(missing("value"))) };
        attrs.push((symbol, value.position, value.value.get()));
    }
    // The first of several with one name wins.
    attrs.sort_by_key(|attr| attr.0);
    attrs.dedup_by_key(|attr| attr.0);
    Ok(ev.attrs(&mut attrs))
}

fn intersect_attrs(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let left = arg_set(ev, a[0], position, "the first argument", "intersectAttrs")?;
    let right = arg_set(ev, a[1], position, "the second argument", "intersectAttrs")?;
    if left.is_empty() || right.is_empty() {
        return Ok(ev.empty_attrs());
    }
    if left.len() >= right.len() {
        let flat = ev.layouts.flat(&ev.heap, right);
        return Ok(kept(ev, flat, |key| left.find(key).is_some()));
    }
    let keys = ev.layouts.flat(&ev.heap, left).layout.keys;
    let mut attrs: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(keys.len());
    for &key in keys {
        if let Some(found) = right.find(key) {
            attrs.push((key, found.position, found.value.get()));
        }
    }
    Ok(ev.attrs(&mut attrs))
}

fn zip_attrs_with(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let function = arg_function(ev, a[0], position, "zipAttrsWith")?;
    let list = arg_list(ev, a[1], position, "second", "zipAttrsWith")?;
    let mut groups: std::collections::BTreeMap<Symbol, Vec<Value>> =
        std::collections::BTreeMap::new();
    for element in list {
        let set = ev.set(element.get(), position).map_err(|failed| {
            ev.trace(failed, position, "while evaluating a value of the list passed as second argument to builtins.zipAttrsWith")
        })?;
        let flat = ev.layouts.flat(&ev.heap, set);
        for (&key, value) in flat.layout.keys.iter().zip(flat.values) {
            groups.entry(key).or_default().push(value.get());
        }
    }
    let call = ev.lazy_calls(function, groups.len());
    let mut attrs: Vec<(Symbol, Pos, Value)> = groups
        .into_iter()
        .map(|(key, group)| {
            let group = ev.heap.list(&group);
            (key, 0, call([ev.symbols.value(key), group]))
        })
        .collect();
    Ok(ev.attrs(&mut attrs))
}
