//! Attributes: selecting them, asking for them, and making sets.

use crate::attrs::Attrs;
use crate::builtins;
use crate::code::{Code, Expr, HasCode, Lambda, Pos, Select1, SelectCode, SetCode, Step, WithName};
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::symbols::Symbol;
use crate::value::{Slots, State, Thunk, Value};

use super::{fetch, settled};

impl Evaluator {
    #[inline(never)]
    pub(super) fn eval_select1(
        &self,
        select: &'static Select1,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        let base = self.eval(&select.base, frame, captures)?;
        let Some(attrs) = base.as_attrs() else {
            let failed = self.expected("a set", base, 0);
            let text = "while selecting an attribute";
            return Err(self.trace(failed, select.position, text));
        };
        let (value, position) = match attrs.as_flat() {
            Some(flat) => {
                let layout = std::ptr::from_ref(flat.layout) as usize;
                let (cached, at) = select.cache.get();
                let at = if cached == layout {
                    at as usize
                } else {
                    let Some(at) = flat.layout.find(select.symbol) else {
                        return Err(self.no_attribute(attrs, select.symbol, select.position));
                    };
                    select.cache.set((layout, at as u32));
                    at
                };
                (&flat.values[at], move || flat.layout.position(at))
            }
            None => return self.select_layered(attrs, select),
        };
        let word = value.get();
        if word.is_whnf() {
            return Ok(word);
        }
        match self.force(word) {
            Ok(forced) => {
                value.set(forced);
                Ok(forced)
            }
            Err(failed) => {
                Err(self.in_attribute(failed, select.symbol, position(), select.position))
            }
        }
    }

    #[inline(never)]
    pub(super) fn select_layered(&self, attrs: Attrs, select: &'static Select1) -> Res {
        let Some(found) = attrs.find(select.symbol) else {
            return Err(self.no_attribute(attrs, select.symbol, select.position));
        };
        match self.force(found.value.get()) {
            Ok(forced) => {
                found.value.set(forced);
                Ok(forced)
            }
            Err(failed) => {
                Err(self.in_attribute(failed, select.symbol, found.position, select.position))
            }
        }
    }

    #[cold]
    pub(super) fn in_attribute(
        &self,
        failed: Failed,
        symbol: Symbol,
        defined: Pos,
        position: Pos,
    ) -> Failed {
        let failed = match self.failure_kind() {
            ErrorKind::InfiniteRecursion => {
                self.at(failed, if defined == 0 { position } else { defined })
            }
            _ => failed,
        };
        // As in Nix, attributes of what `derivation` gives are no steps of their own.
        if defined == 0 || self.is_internal(defined) {
            return failed;
        }
        let text = format!("while evaluating the attribute '{}'", self.shown_name(symbol));
        self.trace(failed, defined, text)
    }

    #[cold]
    pub(super) fn no_attribute(&self, attrs: Attrs, symbol: Symbol, position: Pos) -> Failed {
        let name = self.name(symbol);
        let flat = self.layouts.flat(&self.heap, attrs);
        let known = flat.layout.keys.iter().map(|&key| self.name(key)).collect();
        let message = format!("attribute '{}' missing", self.shown_name(symbol));
        let near = builtins::suggestions(&name, known);
        self.fail_suggesting(ErrorKind::MissingAttribute, position, message, near)
    }

    #[inline(never)]
    pub(super) fn eval_select(
        &self,
        code: &'static SelectCode,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        let mut value = self.eval(&code.base, frame, captures)?;
        let mut defined = 0;
        for (at, (step, position)) in code.path.iter().enumerate() {
            let failed = |failed| self.in_path(failed, code, at, defined, frame, captures);
            let symbol = self.step(step, *position, frame, captures).map_err(failed)?;
            value = self.force(value).map_err(failed)?;
            let found = value.as_attrs().and_then(|attrs| attrs.find(symbol));
            match (found, &code.default) {
                (Some(found), _) => {
                    defined = found.position;
                    value = found.value.get();
                    if !value.is_whnf()
                        && let Some(done) = value.as_thunk().and_then(Thunk::done)
                    {
                        value = done;
                    }
                }
                (None, Some(default)) => return self.eval(default, frame, captures),
                (None, None) => {
                    let failed = match value.as_attrs() {
                        Some(attrs) => self.no_attribute(attrs, symbol, code.position),
                        None => {
                            let failed = self.expected("a set", value, 0);
                            self.trace(failed, code.position, "while selecting an attribute")
                        }
                    };
                    return Err(self.in_path(failed, code, at, defined, frame, captures));
                }
            }
        }
        self.force(value).map_err(|failed| {
            let failed = match self.failure_kind() {
                ErrorKind::InfiniteRecursion => self.at(failed, code.position),
                _ => failed,
            };
            self.in_path(failed, code, code.path.len(), defined, frame, captures)
        })
    }

    #[cold]
    pub(super) fn in_path(
        &self,
        failed: Failed,
        code: &SelectCode,
        _at: usize,
        defined: Pos,
        frame: Slots,
        captures: Slots,
    ) -> Failed {
        if defined == 0 || self.is_internal(defined) {
            return failed;
        }
        let names = code.path.iter().map(|(step, _)| match *step {
            Step::Name(symbol) => self.shown_name(symbol),
            Step::Computed(name) => {
                let known = match name {
                    Expr::Const(value) => Some(value),
                    Expr::Slot(at, _) => Some(frame.get(at)),
                    Expr::Capture(at, _) => Some(captures.get(at)),
                    _ => None,
                };
                let text = known.and_then(|value| settled(value).as_string());
                text.map_or_else(
                    || "\"${...}\"".to_owned(),
                    |text| String::from_utf8_lossy(text.bytes()).into_owned(),
                )
            }
        });
        let text =
            format!("while evaluating the attribute '{}'", names.collect::<Vec<_>>().join("."));
        self.trace(failed, defined, text)
    }

    pub(super) fn step(
        &self,
        step: &Step,
        position: Pos,
        frame: Slots,
        captures: Slots,
    ) -> Res<Symbol> {
        match step {
            Step::Name(symbol) => Ok(*symbol),
            Step::Computed(expr) => {
                let value = self.eval(expr, frame, captures)?;
                self.attribute_name(value, position)
            }
        }
    }

    pub(super) fn attribute_name(&self, value: Value, position: Pos) -> Res<Symbol> {
        let text = self
            .plain_string(value, position)
            .map_err(|failed| self.trace(failed, position, "while evaluating an attribute name"))?;
        Ok(self.symbols.intern_string(&self.heap, text))
    }

    #[inline(never)]
    pub(super) fn eval_has(&self, code: &'static HasCode, frame: Slots, captures: Slots) -> Res {
        let mut value = self.eval(&code.base, frame, captures)?;
        for (at, (step, position)) in code.path.iter().enumerate() {
            if at > 0 {
                value = self.force(value)?;
            }
            let symbol = self.step(step, *position, frame, captures)?;
            match value.as_attrs().and_then(|attrs| attrs.get(symbol)) {
                Some(found) => value = found,
                None => return Ok(Value::FALSE),
            }
        }
        Ok(Value::TRUE)
    }

    #[inline(never)]
    pub(super) fn eval_with_name(
        &self,
        name: &'static WithName,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        for &(source, position) in name.sets {
            let set = self.force(fetch(source, frame, captures));
            let Some(attrs) = set.ok().and_then(Value::as_attrs) else {
                let text = "while evaluating the first subexpression of a with expression";
                let failed = match set {
                    Ok(value) => self.expected("a set", value, 0),
                    Err(failed) => failed,
                };
                return Err(self.trace(failed, position, text));
            };
            if let Some(found) = attrs.find(name.symbol) {
                let value = self.force(found.value.get())?;
                found.value.set(value);
                return Ok(value);
            }
        }
        let message = format!("undefined variable '{}'", self.name(name.symbol));
        Err(self.fail(ErrorKind::Other, name.position, message))
    }

    #[inline(never)]
    pub(super) fn eval_set(&self, code: &'static SetCode, frame: Slots, captures: Slots) -> Res {
        let values = code.values.iter().map(|value| self.delay(value, frame, captures));
        let set = self.heap.attrs(code.layout, values);
        if code.dynamics.is_empty() && code.overrides.is_none() {
            return Ok(set.value());
        }
        let set = match code.overrides {
            Some(slot) => self.with_overrides(set, slot, frame)?,
            None => set,
        };
        if code.dynamics.is_empty() {
            return Ok(set.value());
        }
        let flat = self.layouts.flat(&self.heap, set);
        let keys = flat.layout.keys.iter().enumerate();
        let mut all: Vec<(Symbol, Pos, Value)> =
            keys.map(|(at, &key)| (key, flat.layout.position(at), flat.values[at].get())).collect();
        for dynamic in code.dynamics {
            let name = self.eval(&dynamic.name, frame, captures)?;
            if name == Value::NULL {
                continue;
            }
            let failed = |failed| {
                self.trace(
                    failed,
                    dynamic.position,
                    "while evaluating the name of a dynamic attribute",
                )
            };
            let text = self.plain_string(name, dynamic.position).map_err(failed)?;
            let symbol = self.symbols.intern_string(&self.heap, text);
            if let Some(known) = all.iter().find(|known| known.0 == symbol) {
                let place = self.place_text(known.1).unwrap_or_default();
                let name = self.shown_name(symbol);
                let message = format!("dynamic attribute '{name}' already defined at {place}");
                return Err(self.fail(ErrorKind::Other, dynamic.position, message));
            }
            let value = match dynamic.value {
                Expr::Lambda(lambda) => {
                    let named = Lambda { name: Some(symbol), ..*lambda };
                    self.closure(self.heap.keep_any(named), frame, captures).value()
                }
                ref value => self.delay(value, frame, captures),
            };
            all.push((symbol, dynamic.position, value));
        }
        Ok(self.attrs(&mut all))
    }

    /// Lays `__overrides` over a recursive set: whoever refers to a name sees the new value.
    #[inline(never)]
    pub(super) fn with_overrides(&self, set: Attrs, slot: u32, frame: Slots) -> Res<Attrs> {
        let overrides = self.force(frame.get(slot))?;
        let Some(overrides) = overrides.as_attrs() else {
            let failed = self.expected("a set", overrides, 0);
            return Err(self.trace(failed, 0, "while evaluating the `__overrides` attribute"));
        };
        let flat = self.layouts.flat(&self.heap, overrides);
        for (at, &key) in flat.layout.keys.iter().enumerate() {
            let value = flat.values[at].get();
            let old = set.get(key).and_then(Value::as_thunk);
            if let Some(thunk) = old
                && matches!(thunk.state(), State::Suspended(_))
            {
                let code = Code { captures: &[], n_slots: 0, body: Expr::Shared(value) };
                thunk.suspend(self.heap.keep_any(code));
            }
        }
        Ok(self.layouts.update(&self.heap, set, overrides))
    }

    // Operators.
}
