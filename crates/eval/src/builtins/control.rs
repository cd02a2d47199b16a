//! Builtins that steer evaluation.

use std::cell::Cell;

use super::lists::arg_plain;
use super::sets::arg_set;
use super::{Coercion, Entry, Text};
use crate::code::Pos;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::symbols::known;
use crate::value::{Kind, Value};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("abort", 1, 0, abort),
    Entry::new("throw", 1, 0, throw),
    Entry::new("tryEval", 1, 0, try_eval).untraced(),
    Entry::new("seq", 2, 1, |ev, a, _| {
        ev.force(a[0])?;
        ev.force(a[1])
    }),
    Entry::new("deepSeq", 2, 0, |ev, a, _| {
        ev.force_deep(a[0])?;
        ev.force(a[1])
    }),
    Entry::new("trace", 2, 0, trace),
    Entry::new("traceVerbose", 2, 0, |ev, a, _| ev.force(a[1])),
    Entry::new("warn", 2, 0, warn),
    Entry::new("break", 1, 0, |ev, a, _| ev.force(a[0])),
    Entry::new("addErrorContext", 2, 0, add_error_context).untraced(),
    Entry::new("functionArgs", 1, 1, function_args),
    Entry::new("import", 1, 1, import),
    Entry::new("scopedImport", 2, 1, scoped_import),
    Entry::new("getEnv", 1, 1, |ev, a, position| {
        let name = arg_plain(ev, a[0], position, "first", "getEnv")?;
        let name = String::from_utf8_lossy(name.bytes()).into_owned();
        let value = if ev.world.is_pure() { None } else { ev.world.io().variable(&name) };
        Ok(ev.heap.string(value.unwrap_or_default().as_bytes()))
    }),
    Entry::new("unsafeGetAttrPos", 2, 2, |ev, a, position| {
        let name = arg_plain(ev, a[0], position, "first", "unsafeGetAttrPos")?;
        let set = arg_set(ev, a[1], position, "the second argument", "unsafeGetAttrPos")?;
        let found = ev.symbols.find(name.bytes()).and_then(|symbol| set.find(symbol));
        Ok(found.map_or(Value::NULL, |found| ev.position_value(found.position)))
    }),
    Entry::new("genericClosure", 1, 1, generic_closure),
];

fn message(ev: &Evaluator, value: Value, how: Coercion, position: Pos, why: &str) -> Res<String> {
    let mut text = Text::new(ev);
    ev.coerce(value, &mut text, how, position, why)?;
    Ok(String::from_utf8_lossy(text.bytes()).into_owned())
}

fn abort(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let why = "while evaluating the error message passed to builtins.abort";
    let text = message(ev, a[0], Coercion::INTERPOLATION, position, why)?;
    let text = format!("evaluation aborted with the following error message: '{text}'");
    Err(ev.fail(ErrorKind::Abort, 0, text))
}

fn throw(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let why = "while evaluating the error message passed to builtin.throw";
    let text = message(ev, a[0], Coercion::INTERPOLATION, position, why)?;
    Err(ev.fail(ErrorKind::Throw, 0, text))
}

fn try_eval(ev: &Evaluator, a: &[Value], _: Pos) -> Res {
    let depth = ev.depth.get();
    let top = ev.stack.mark();
    let (value, is_success) = match ev.force(a[0]) {
        Ok(value) => (value, true),
        Err(failed) => match ev.failure_kind() {
            ErrorKind::Throw | ErrorKind::Assertion => {
                ev.depth.set(depth);
                ev.stack.reset(top);
                ev.forget_failure();
                (Value::FALSE, false)
            }
            _ => return Err(failed),
        },
    };
    Ok(ev.attrs(&mut [
        (ev.symbol(b"success"), 0, Value::bool(is_success)),
        (known::VALUE, 0, value),
    ]))
}

fn trace(ev: &Evaluator, a: &[Value], _: Pos) -> Res {
    let value = ev.force(a[0])?;
    let text = match value.kind() {
        Kind::String(text) => String::from_utf8_lossy(text.bytes()).into_owned(),
        _ => ev.traced(value),
    };
    (ev.warnings)(&format!("trace: {text}"));
    ev.force(a[1])
}

fn warn(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let text = ev.string(a[0], position).map_err(|failed| {
        ev.trace(
            failed,
            position,
            "while evaluating the first argument; the message passed to builtins.warn",
        )
    })?;
    let text = String::from_utf8_lossy(text.bytes()).into_owned();
    // As in Nix, of nothing to say nothing is left.
    let text = match text.trim_end() {
        "" => String::new(),
        text => format!("evaluation warning: {text}"),
    };
    (ev.warnings)(&text);
    ev.force(a[1])
}

fn add_error_context(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    ev.force(a[1]).map_err(|failed| {
        // A message that fails itself must not hide what went wrong.
        let failure = ev.hold_failure();
        let why = "while evaluating the error message passed to builtins.addErrorContext";
        let text = message(ev, a[0], Coercion::FIRST, position, why);
        match text {
            Ok(text) => {
                ev.restore_failure(failure);
                ev.main_step(failed, text)
            }
            Err(failed) => failed,
        }
    })
}

pub(crate) fn function_args(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let function = ev.force(a[0])?;
    let pattern = match function.kind() {
        Kind::Closure(closure) if closure.lambda().arity == 1 => closure.lambda().pattern,
        Kind::Partial(partial) => match partial.function().kind() {
            Kind::Closure(closure)
                if closure.lambda().arity as usize == partial.arguments().len() + 1 =>
            {
                closure.lambda().pattern
            }
            _ => None,
        },
        Kind::Closure(_) => None,
        Kind::Builtin(_) => None,
        _ => {
            let message = "'functionArgs' requires a function";
            return Err(ev.fail(ErrorKind::Type, position, message));
        }
    };
    let formals = pattern.map_or(&[][..], |pattern| pattern.formals);
    let mut attrs: Vec<_> = formals
        .iter()
        .map(|formal| (formal.symbol, formal.position, Value::bool(formal.default.is_some())))
        .collect();
    Ok(ev.attrs(&mut attrs))
}

fn import(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let path = ev.built_path_argument(a[0], position, super::files::REALISING)?;
    ev.import(&path, position)
}

fn scoped_import(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let scope = ev.set(a[0], position)?;
    let path = ev.built_path_argument(a[1], position, super::files::REALISING)?;
    ev.import_scoped(&path, scope, position)
}

fn generic_closure(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let what = |text: &str| {
        format!("while evaluating the {text} passed as argument to builtins.genericClosure")
    };
    let set = arg_set(ev, a[0], position, "the first argument", "genericClosure")?;
    let attribute = |symbol, name: &str| {
        set.get(symbol).ok_or_else(|| {
            let message = format!("attribute '{name}' missing");
            let failed = ev.fail(ErrorKind::MissingAttribute, position, message);
            let text = "in the attrset passed as argument to builtins.genericClosure";
            ev.trace(failed, position, text)
        })
    };
    let start = ev.force(attribute(known::START_SET, "startSet")?)?;
    let list = ev
        .list(start, position)
        .map_err(|failed| ev.trace(failed, position, what("'startSet' attribute")))?;
    if list.is_empty() {
        return Ok(start);
    }
    let operator = attribute(known::OPERATOR, "operator")?;
    let operator = ev
        .function(operator, position)
        .map_err(|failed| ev.trace(failed, position, what("'operator' attribute")))?;
    let mut queue: std::collections::VecDeque<Value> = list.iter().map(|e| e.get()).collect();
    let mut keys = Keys::default();
    let mut result = Vec::new();
    while let Some(element) = queue.pop_front() {
        let in_element = |failed| {
            let shown = ev.force(element).map_or_else(|_| "«thunk»".to_owned(), |e| ev.shown(e));
            ev.trace(failed, 0, format!("in genericClosure element {shown}"))
        };
        let element = ev.force(element)?;
        let attrs = ev.set(element, position).map_err(in_element)?;
        let Some(key) = attrs.get(known::KEY) else {
            let message = "attribute 'key' missing";
            return Err(in_element(ev.fail(ErrorKind::MissingAttribute, position, message)));
        };
        let key = ev.force(key)?;
        if !keys.insert(ev, key, element)? {
            continue;
        }
        result.push(element);
        let more = ev.apply(operator, &[element], position).and_then(|more| {
            let more = ev.list(more, position).map_err(|failed| {
                ev.trace(failed, position, "while evaluating the return value of the `operator` passed to builtins.genericClosure")
            })?;
            for element in more {
                queue.push_back(ev.force(element.get())?);
            }
            Ok(())
        });
        more.map_err(|failed| {
            let shown = ev.shown(element);
            ev.trace(failed, 0, format!("while calling operator on genericClosure element {shown}"))
        })?;
    }
    Ok(ev.heap.list(&result))
}

/// The keys of a closure.
#[derive(Default)]
struct Keys {
    /// Sorted, with their elements. Of strings, which are by far the most common keys, only the
    /// first is here.
    sorted: Vec<(Value, Value)>,
    strings: std::collections::HashSet<&'static [u8]>,
}

impl Keys {
    /// Whether the key is new.
    fn insert(&mut self, ev: &Evaluator, key: Value, element: Value) -> Res<bool> {
        let text = key.as_string();
        let at = match text {
            Some(_) => match self.sorted.first() {
                Some(&other) => self.compare(ev, (key, element), other).map(|_| 0)?,
                None => 0,
            },
            None => self.place(ev, (key, element))?,
        };
        let is_new = match text {
            Some(text) => self.strings.insert(text.bytes()),
            None => match self.sorted.get(at) {
                Some(&other) => self.compare(ev, (key, element), other)?,
                None => true,
            },
        };
        if is_new && (text.is_none() || self.sorted.is_empty()) {
            self.sorted.insert(at, (key, element));
        }
        Ok(is_new)
    }

    fn compare(&self, ev: &Evaluator, a: (Value, Value), b: (Value, Value)) -> Res<bool> {
        ev.less_than(a.0, b.0, "").map_err(|failed| {
            let failed = ev.trace(failed, 0, format!("with element {}", ev.shown(b.1)));
            ev.trace(failed, 0, format!("while comparing element {}", ev.shown(a.1)))
        })
    }

    /// The first place whose key is not less.
    fn place(&self, ev: &Evaluator, new: (Value, Value)) -> Res<usize> {
        let (mut low, mut high) = (0, self.sorted.len());
        while low < high {
            let middle = low.midpoint(high);
            // The new one comes first in messages.
            self.compare(ev, new, self.sorted[middle])?;
            if ev.less_than(self.sorted[middle].0, new.0, "")? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

impl Evaluator {
    /// Forces a value and all that it holds.
    pub(crate) fn force_deep(&self, value: Value) -> Res {
        let value = self.force(value)?;
        let mut seen = rustc_hash::FxHashSet::default();
        self.force_members(value, &mut seen)?;
        Ok(value)
    }

    fn force_members(&self, value: Value, seen: &mut rustc_hash::FxHashSet<usize>) -> Res<()> {
        let is_container = value.as_attrs().is_some() || value.as_list().is_some();
        if !is_container || !seen.insert(value.identity()) {
            return Ok(());
        }
        let _level = self.level(0)?;
        if let Some(list) = value.as_list() {
            for (at, element) in list.iter().enumerate() {
                let forced = self.force(element.get()).and_then(|forced| {
                    settle(element, forced);
                    self.force_members(forced, seen)
                });
                forced.map_err(|failed| {
                    self.trace(failed, 0, format!("while evaluating list element at index {at}"))
                })?;
            }
        } else if let Some(attrs) = value.as_attrs() {
            let flat = self.layouts.flat(&self.heap, attrs);
            for (at, cell) in flat.values.iter().enumerate() {
                let forced = self.force(cell.get()).and_then(|forced| {
                    settle(cell, forced);
                    self.force_members(forced, seen)
                });
                forced.map_err(|failed| {
                    let name = self.shown_name(flat.layout.keys[at]);
                    let text = format!("while evaluating the attribute '{name}'");
                    self.trace(failed, flat.layout.position(at), text)
                })?;
            }
        }
        Ok(())
    }
}

/// Puts a value where its thunk was. Lists stay behind theirs, since Nix tells lists apart by it
/// when it prints one that it has printed before.
fn settle(cell: &Cell<Value>, value: Value) {
    if value.as_list().is_none() {
        cell.set(value);
    }
}
