//! The builtin functions.

mod control;
mod data;
mod derivations;
mod files;
mod flakes;
mod hashes;
mod json;
mod lists;
mod numbers;
mod sets;
mod strings;
mod toml;
mod xml;

use crate::code::{CallCode, Code, Expr, Pos, Source};
use crate::error::Res;
use crate::evaluator::Evaluator;
use crate::symbols::Symbol;
use crate::value::Value;

pub(crate) use crate::ops::{Coercion, Text, add_numbers, arithmetic};
pub(crate) use control::function_args;
pub(crate) use json::{JsonStyle, parse as parse_json, push_json};
pub(crate) use xml::to_xml;

/// A builtin function.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) arity: usize,
    /// How many of the first arguments are evaluated before anything else happens.
    pub(crate) n_strict: usize,
    /// Whether failures say that they came by it.
    pub(crate) is_traced: bool,
    pub(crate) run: fn(&Evaluator, &[Value], Pos) -> Res,
}

impl Entry {
    const fn new(
        name: &'static str,
        arity: usize,
        n_strict: usize,
        run: fn(&Evaluator, &[Value], Pos) -> Res,
    ) -> Self {
        Self { name, arity, n_strict, is_traced: true, run }
    }

    const fn untraced(self) -> Self {
        Self { is_traced: false, ..self }
    }
}

static PARTS: [&[Entry]; 10] = [
    control::ENTRIES,
    data::ENTRIES,
    derivations::ENTRIES,
    files::ENTRIES,
    flakes::ENTRIES,
    hashes::ENTRIES,
    lists::ENTRIES,
    numbers::ENTRIES,
    sets::ENTRIES,
    strings::ENTRIES,
];

pub(crate) fn function(name: &str) -> Option<Value> {
    let mut all = PARTS.iter().flat_map(|entries| *entries);
    all.find(|entry| entry.name == name).map(Value::builtin)
}

/// The value of a builtin by its plain name.
pub(crate) fn value_of(ev: &Evaluator, name: &str) -> Option<Value> {
    if name == "builtins" {
        return Some(ev.builtins.get());
    }
    let symbol = ev.symbols.find(name.as_bytes())?;
    ev.builtins.get().as_attrs()?.get(symbol)
}

/// Makes the set `builtins`.
pub(crate) fn set_up(ev: &Evaluator) {
    let features: Vec<&str> = ev.settings.features.iter().map(String::as_str).collect();
    let mut all: Vec<(Symbol, Pos, Value)> = Vec::new();
    let entries = ev.settings.search_path.iter().map(|(prefix, path)| {
        ev.attrs(&mut [
            (crate::symbols::known::PREFIX, 0, ev.heap.string(prefix.as_bytes())),
            (crate::symbols::known::PATH, 0, ev.heap.string(path.as_bytes())),
        ])
    });
    let entries: Vec<Value> = if ev.world.is_pure() { Vec::new() } else { entries.collect() };
    let nix_path = ev.heap.list(&entries);
    ev.nix_path.set(nix_path);
    for builtin in cim_nix_semantics::builtins::all() {
        if !builtin.is_bound(&features) {
            continue;
        }
        let text = |text: &str| ev.heap.string(text.as_bytes());
        if ev.world.is_pure() && matches!(builtin.name, "currentSystem" | "currentTime") {
            continue;
        }
        let value = match builtin.name {
            "true" => Value::TRUE,
            "false" => Value::FALSE,
            "null" => Value::NULL,
            "nixVersion" => text("2.34.8"),
            "langVersion" => ev.heap.int(6),
            "storeDir" => text(&ev.settings.store_dir),
            "currentSystem" => text(&ev.settings.system),
            "currentTime" => ev.heap.int(ev.settings.current_time),
            "nixPath" => nix_path,
            "builtins" => continue,
            name => match function(name) {
                Some(value) => value,
                None => continue,
            },
        };
        all.push((ev.symbol(builtin.name.as_bytes()), 0, value));
    }
    // The set contains itself.
    let own = ev.symbol(b"builtins");
    all.push((own, 0, Value::NULL));
    let set = ev.attrs(&mut all);
    if let Some(found) = set.as_attrs().and_then(|attrs| attrs.find(own)) {
        found.value.set(set);
    }
    ev.builtins.set(set);
    let code = Code { captures: &[], n_slots: 0, body: Expr::Failed };
    ev.failed.set(ev.heap.thunk(ev.heap.keep_any(code)).value());
    for n in 1..=2 {
        let sources: Vec<Source> = (0..=n).map(Source::Slot).collect();
        let arguments = (1..=n).map(|at| Expr::Capture(at, 0)).collect();
        let call = CallCode {
            function: Expr::Capture(0, 0),
            arguments: ev.heap.keep_all(arguments),
            position: 0,
        };
        let code = Code {
            captures: ev.heap.keep_all(sources),
            n_slots: 0,
            body: Expr::Call(ev.heap.keep_any(call)),
        };
        ev.apply_codes[n as usize - 1].set(Some(ev.heap.keep_any(code)));
    }
}

/// Names that are like the one that was not found, at most three, the nearest first.
pub(crate) fn suggestions(name: &str, known: Vec<String>) -> Vec<String> {
    near_names(name, known).into_iter().map(|(_, name)| name).collect()
}

/// The same with how far each is away.
pub(crate) fn near_names(name: &str, known: Vec<String>) -> Vec<(usize, String)> {
    let mut near: Vec<(usize, String)> = known
        .into_iter()
        .map(|known| (distance(name, &known), known))
        .filter(|(distance, _)| *distance > 0 && *distance <= 2)
        .collect();
    near.sort();
    near.truncate(5);
    near
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > 2 || a.len() > 200 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1).min(row[j] + 1).min(before + usize::from(x != y));
            before = above;
        }
    }
    row[b.len()]
}
