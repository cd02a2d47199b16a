//! Builtins that name or make things in the store.

use std::collections::BTreeSet;
use std::rc::Rc;

use cim_nix_model::{
    Derivation, Hash, HashKind, Method, Output, References, check_name, downstream_placeholder,
    placeholder,
};

use super::json::{JsonStyle, push_json};
use super::{Coercion, Entry, Text};
use crate::attrs::Attrs;
use crate::code::Pos;
use crate::contexts::Element;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::io::FileKind;
use crate::paths;
use crate::symbols::{Symbol, known};
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("derivationStrict", 1, 1, derivation_strict),
    Entry::new("derivation", 1, 0, |ev, a, position| {
        let function = ev.derivation_function()?;
        ev.apply(function, a, position)
    })
    .untraced(),
    Entry::new("placeholder", 1, 1, |ev, a, position| {
        let name = ev.plain_string(a[0], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the first argument passed to builtins.placeholder",
            )
        })?;
        let name = String::from_utf8_lossy(name.bytes());
        Ok(ev.heap.string(placeholder(&name).as_bytes()))
    }),
    Entry::new("toFile", 2, 2, to_file),
    Entry::new("path", 1, 1, path),
    Entry::new("filterSource", 2, 0, |ev, a, position| {
        let why = "while evaluating the second argument (the path to filter) passed to 'builtins.filterSource'";
        let path = ev.built_path_argument(a[1], position, why)?;
        let filter = ev.function(a[0], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the first argument passed to builtins.filterSource",
            )
        })?;
        let name = String::from_utf8_lossy(paths::base_name(&path)).into_owned();
        let wanted = Wanted { name, filter: Some(filter), method: Method::Nar, hash: None };
        add_path(ev, &path, &wanted, position)
    }),
    Entry::new("storePath", 1, 1, store_path),
    Entry::new("getContext", 1, 1, get_context),
    Entry::new("appendContext", 2, 2, append_context),
    Entry::new("unsafeDiscardOutputDependency", 1, 1, |ev, a, position| {
        let mut text = Text::new(ev);
        let why = "while evaluating the argument passed to builtins.unsafeDiscardOutputDependency";
        ev.coerce(a[0], &mut text, Coercion::INTERPOLATION, position, why)?;
        let shallow = |element: &Element| match element {
            Element::Deep(path) => Element::Path(path.clone()),
            other => other.clone(),
        };
        let context = ev.contexts.get(text.context()).iter().map(shallow).collect();
        let context = ev.contexts.number(context);
        Ok(ev.heap.string_with(text.bytes(), context).value())
    }),
    Entry::new("addDrvOutputDependencies", 1, 1, add_output_dependencies),
    Entry::new("outputOf", 2, 2, |ev, _, position| {
        let message = "'builtins.outputOf' needs the experimental feature 'dynamic-derivations', which this evaluator does not have";
        Err(ev.fail(ErrorKind::Unsupported, position, message))
    }),
];

fn add_output_dependencies(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let mut text = Text::new(ev);
    let why = "while evaluating the argument passed to builtins.addDrvOutputDependencies";
    ev.coerce(a[0], &mut text, Coercion::INTERPOLATION, position, why)?;
    let context = ev.contexts.get(text.context());
    let error = |message: String| Err(ev.fail(ErrorKind::Other, position, message));
    let mut elements = context.iter();
    let (Some(element), None) = (elements.next(), elements.next()) else {
        let shown = String::from_utf8_lossy(text.bytes());
        return error(format!(
            "context of string '{shown}' must have exactly one element, but has {}",
            context.len()
        ));
    };
    let deep = match element {
        Element::Deep(path) => Element::Deep(path.clone()),
        Element::Path(path) if path.ends_with(".drv") => Element::Deep(path.clone()),
        Element::Path(path) => return error(format!("path '{path}' is not a derivation")),
        Element::Output { output, .. } => {
            return error(format!(
                "`addDrvOutputDependencies` can only act on derivations, not on a derivation output such as '{output}'"
            ));
        }
    };
    let context = ev.contexts.one(deep);
    Ok(ev.heap.string_with(text.bytes(), context).value())
}

fn get_context(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    #[derive(Default)]
    struct Info {
        is_path: bool,
        is_deep: bool,
        outputs: Vec<Rc<str>>,
    }
    let text = ev.string(a[0], position).map_err(|failed| {
        ev.trace(failed, position, "while evaluating the argument passed to builtins.getContext")
    })?;
    let mut infos: std::collections::BTreeMap<Rc<str>, Info> = std::collections::BTreeMap::new();
    for element in &*ev.contexts.get(text.context()) {
        match element {
            Element::Path(path) => infos.entry(path.clone()).or_default().is_path = true,
            Element::Deep(path) => infos.entry(path.clone()).or_default().is_deep = true,
            Element::Output { derivation, output } => {
                infos.entry(derivation.clone()).or_default().outputs.push(output.clone());
            }
        }
    }
    let mut all: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(infos.len());
    for (path, info) in infos {
        let mut attrs = Vec::with_capacity(3);
        if info.is_path {
            attrs.push((known::PATH, 0, Value::TRUE));
        }
        if info.is_deep {
            attrs.push((ev.symbol(b"allOutputs"), 0, Value::TRUE));
        }
        if !info.outputs.is_empty() {
            let names: Vec<Value> =
                info.outputs.iter().map(|name| ev.heap.string(name.as_bytes())).collect();
            attrs.push((known::OUTPUTS, 0, ev.heap.list(&names)));
        }
        all.push((ev.symbol(path.as_bytes()), 0, ev.attrs(&mut attrs)));
    }
    Ok(ev.attrs(&mut all))
}

fn append_context(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let text = ev.string(a[0], position).map_err(|failed| {
        ev.trace(
            failed,
            position,
            "while evaluating the first argument passed to builtins.appendContext",
        )
    })?;
    let attrs = ev.set(a[1], position).map_err(|failed| {
        ev.trace(
            failed,
            position,
            "while evaluating the second argument passed to builtins.appendContext",
        )
    })?;
    let mut elements: BTreeSet<Element> = (*ev.contexts.get(text.context())).clone();
    let flat = ev.layouts.flat(&ev.heap, attrs);
    for (at, &key) in flat.layout.keys.iter().enumerate() {
        let position = flat.layout.position(at);
        let error = |message: String| Err(ev.fail(ErrorKind::Other, position, message));
        let path = ev.name(key);
        if !ev.store.is_path(&path) {
            return error(format!("context key '{}' is not a store path", ev.shown_name(key)));
        }
        let own: Rc<str> = path.as_str().into();
        let info = ev.set(flat.values[at].get(), position).map_err(|failed| {
            ev.trace(failed, position, "while evaluating the value of a string context")
        })?;
        let is_derivation = path.ends_with(".drv");
        if let Some(found) = info.find(known::PATH)
            && ev.bool(found.value.get(), found.position).map_err(|failed| {
                ev.trace(
                    failed,
                    found.position,
                    "while evaluating the `path` attribute of a string context",
                )
            })?
        {
            elements.insert(Element::Path(own.clone()));
        }
        if let Some(found) = info.find(ev.symbol(b"allOutputs"))
            && ev.bool(found.value.get(), found.position).map_err(|failed| {
                ev.trace(
                    failed,
                    found.position,
                    "while evaluating the `allOutputs` attribute of a string context",
                )
            })?
        {
            if !is_derivation {
                return error(format!(
                    "tried to add all-outputs context of {}, which is not a derivation, to a string",
                    ev.shown_name(key)
                ));
            }
            elements.insert(Element::Deep(own.clone()));
        }
        if let Some(found) = info.find(known::OUTPUTS) {
            let outputs = ev.list(found.value.get(), found.position).map_err(|failed| {
                ev.trace(
                    failed,
                    found.position,
                    "while evaluating the `outputs` attribute of a string context",
                )
            })?;
            if !outputs.is_empty() && !is_derivation {
                return error(format!(
                    "tried to add derivation output context of {}, which is not a derivation, to a string",
                    ev.shown_name(key)
                ));
            }
            for output in outputs {
                let output = ev.plain_string(output.get(), found.position).map_err(|failed| {
                    ev.trace(
                        failed,
                        found.position,
                        "while evaluating an output name within a string context",
                    )
                })?;
                let output = String::from_utf8_lossy(output.bytes()).into();
                elements.insert(Element::Output { derivation: own.clone(), output });
            }
        }
    }
    let context = ev.contexts.number(elements);
    Ok(ev.heap.string_with(text.bytes(), context).value())
}

fn to_file(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let name = ev.plain_string(a[0], position).map_err(|failed| {
        ev.trace(failed, position, "while evaluating the first argument passed to builtins.toFile")
    })?;
    let name = String::from_utf8_lossy(name.bytes());
    let text = ev.string(a[1], position).map_err(|failed| {
        ev.trace(failed, position, "while evaluating the second argument passed to builtins.toFile")
    })?;
    let mut references = References::new();
    for element in &*ev.contexts.get(text.context()) {
        let Element::Path(path) = element else {
            let message = format!(
                "files created by builtins.toFile may not reference derivations, but {name} references {}",
                element.encoded()
            );
            return Err(ev.fail(ErrorKind::Other, position, message));
        };
        references.insert(path.to_string());
    }
    let path = ev.add_text(&name, text.bytes(), &references, position)?;
    Ok(ev.store_string(&path).value())
}

/// What `builtins.path` is asked for.
struct Wanted {
    name: String,
    filter: Option<Value>,
    method: Method,
    hash: Option<Hash>,
}

fn path(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let attrs = ev.set(a[0], position).map_err(|failed| {
        ev.trace(failed, position, "while evaluating the argument passed to 'builtins.path'")
    })?;
    let flat = ev.layouts.flat(&ev.heap, attrs);
    let mut source = None;
    let mut wanted = Wanted { name: String::new(), filter: None, method: Method::Nar, hash: None };
    for (at, &key) in flat.layout.keys.iter().enumerate() {
        let (value, position) = (flat.values[at].get(), flat.layout.position(at));
        let traced = |failed: Failed, what: &str| {
            ev.trace(
                failed,
                position,
                format!("while evaluating the {what} passed to builtins.path"),
            )
        };
        let is = |key, name: &[u8]| ev.symbols.text(key) == name;
        match key {
            known::PATH => {
                let why = "while evaluating the 'path' attribute passed to 'builtins.path'";
                let path = ev.built_path_argument(value, position, why)?;
                source = Some(path);
            }
            known::NAME => {
                let name = ev.plain_string(value, position);
                let name = name.map_err(|failed| traced(failed, "`name` attribute"))?;
                wanted.name = String::from_utf8_lossy(name.bytes()).into_owned();
            }
            _ if is(key, b"filter") => {
                let filter = ev.function(value, position);
                wanted.filter =
                    Some(filter.map_err(|failed| traced(failed, "`filter` parameter"))?);
            }
            _ if is(key, b"recursive") => {
                let is_recursive = ev.bool(value, position);
                let is_recursive =
                    is_recursive.map_err(|failed| traced(failed, "`recursive` attribute"))?;
                wanted.method = if is_recursive { Method::Nar } else { Method::Flat };
            }
            _ if is(key, b"sha256") => {
                let hash = ev.plain_string(value, position);
                let hash = hash.map_err(|failed| traced(failed, "`sha256` attribute"))?;
                let hash = String::from_utf8_lossy(hash.bytes());
                wanted.hash = Some(ev.parse_hash(&hash, Some(HashKind::Sha256), 0)?);
            }
            other => {
                let name = ev.name(other);
                let message = format!("unsupported argument '{name}' to 'builtins.path'");
                return Err(ev.fail(ErrorKind::Other, position, message));
            }
        }
    }
    let Some(source) = source else {
        let message = "missing required 'path' attribute in the first argument to 'builtins.path'";
        return Err(ev.fail(ErrorKind::Other, position, message));
    };
    if wanted.name.is_empty() {
        wanted.name = String::from_utf8_lossy(paths::base_name(&source)).into_owned();
    }
    add_path(ev, &source, &wanted, position)
}

/// Adds a file tree, or what a filter leaves of it, to the store.
fn add_path(ev: &Evaluator, source: &[u8], wanted: &Wanted, position: Pos) -> Res {
    let result = add_path_of(ev, source, wanted, position);
    result.map_err(|failed| {
        let path = String::from_utf8_lossy(source);
        ev.trace(failed, 0, format!("while adding path '{path}'"))
    })
}

fn add_path_of(ev: &Evaluator, source: &[u8], wanted: &Wanted, position: Pos) -> Res {
    let Wanted { name, filter, method, hash } = wanted;
    let none = References::new();
    let expected = hash.map(|hash| ev.store.fixed_path(name, *method, &hash, &none));
    if let Some(path) = &expected {
        ev.check_path_name(path, name, position)?;
    }
    // What is there already need not be read again.
    if let Some(path) = &expected
        && ev.world.link_kind(path.as_bytes()).is_ok()
    {
        return Ok(ev.store_string(path).value());
    }
    let resolved = ev.resolve_links(source);
    let call = |path: &[u8], kind: FileKind| -> Res<bool> {
        let Some(filter) = *filter else { return Ok(true) };
        let arguments = [ev.heap.string(path), ev.heap.string(kind.word().as_bytes())];
        let result = ev.apply(filter, &arguments, position)?;
        ev.bool(result, position).map_err(|failed| {
            let text = "while evaluating the return value of the path filter function";
            ev.trace(failed, position, text)
        })
    };
    let path = match method {
        Method::Nar => {
            let filter: Option<crate::store::Filter<'_>> =
                if filter.is_some() { Some(&call) } else { None };
            ev.add_tree(&resolved, name, filter, position)?
        }
        _ => {
            let hash = ev.flat_hash(&resolved, position)?;
            let path = ev.store.fixed_path(name, *method, &hash, &none);
            ev.check_path_name(&path, name, position)?;
            path
        }
    };
    if expected.is_some_and(|expected| expected != path) {
        let shown = String::from_utf8_lossy(source);
        let message =
            format!("store path mismatch in (possibly filtered) path added from '{shown}'");
        return Err(ev.fail(ErrorKind::Other, position, message));
    }
    Ok(ev.store_string(&path).value())
}

fn store_path(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let why = "while evaluating the first argument passed to 'builtins.storePath'";
    let path = ev.path_argument(a[0], position, why)?;
    let mut path = String::from_utf8_lossy(&path).into_owned();
    if !ev.store.is_path(&path) {
        path = String::from_utf8_lossy(&ev.resolve_links(path.as_bytes())).into_owned();
    }
    let Some(own) = ev.store.of_path(&path) else {
        let message = no_store_path(&path, &ev.settings.store_dir);
        return Err(ev.fail(ErrorKind::Other, position, message));
    };
    let context = ev.contexts.one(Element::Path(own.into()));
    Ok(ev.heap.string_with(path.as_bytes(), context).value())
}

/// Why a path is none of the store, in the words of Nix.
fn no_store_path(path: &str, store_dir: &str) -> String {
    let below = path.strip_prefix(store_dir).and_then(|rest| rest.strip_prefix('/'));
    let Some(base) = below.map(|below| below.split('/').next().unwrap_or(below)) else {
        return format!("path '{path}' is not in the Nix store");
    };
    let is_digit = |c: char| c.is_ascii_digit() || (c.is_ascii_lowercase() && !"eotu".contains(c));
    let (Some(digits), Some(name)) = (base.get(..32), base.get(33..)) else {
        return format!("'{base}' is too short to be a valid store path");
    };
    if let Some(c) = digits.chars().find(|&c| !is_digit(c)) {
        return format!("store path '{base}' contains illegal base-32 character '{c}'");
    }
    match check_name(name) {
        Err(error) => format!("path '{base}' is not a valid store path: {error}"),
        Ok(()) => format!("path '{path}' is not in the Nix store"),
    }
}

impl Evaluator {
    /// Reads a hash as Nix does where an empty one means zeros.
    pub(crate) fn parse_hash(
        &self,
        text: &str,
        kind: Option<HashKind>,
        position: Pos,
    ) -> Res<Hash> {
        if !text.is_empty() {
            return Hash::parse(text, kind)
                .map_err(|error| self.fail(ErrorKind::Other, position, error.to_string()));
        }
        let Some(kind) = kind else {
            let message = "empty hash requires explicit hash algorithm";
            return Err(self.fail(ErrorKind::Other, position, message));
        };
        let hash = Hash::from_bytes(kind, &[]);
        let shown = hash.format(cim_nix_model::HashFormat::Sri);
        (self.warnings)(&format!("warning: found empty hash, assuming '{shown}'"));
        Ok(hash)
    }

    /// Whether an experimental feature is on.
    ///
    /// Errors: it is not.
    fn require(&self, feature: &str, position: Pos) -> Res<()> {
        if self.settings.features.iter().any(|known| known == feature) {
            return Ok(());
        }
        let message = format!(
            "experimental Nix feature '{feature}' is disabled; add '--extra-experimental-features {feature}' to enable it"
        );
        Err(self.fail(ErrorKind::Other, position, message))
    }
}

fn derivation_strict(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let attrs = ev.set(a[0], position).map_err(|failed| {
        ev.trace(
            failed,
            position,
            "while evaluating the argument passed to builtins.derivationStrict",
        )
    })?;
    let Some(name) = attrs.find(known::NAME) else {
        let failed = ev.fail(ErrorKind::MissingAttribute, 0, "attribute 'name' missing");
        let text = "in the attrset passed as argument to builtins.derivationStrict";
        return Err(ev.trace(failed, position, text));
    };
    let text = ev.plain_string(name.value.get(), position).map_err(|failed| {
        let text = "while evaluating the `name` attribute passed to builtins.derivationStrict";
        let failed = ev.trace(failed, position, text);
        ev.trace(failed, name.position, "while evaluating the derivation attribute 'name'")
    })?;
    let text = String::from_utf8_lossy(text.bytes()).into_owned();
    let maker = Maker {
        ev,
        position,
        name: &text,
        derivation: Derivation::default(),
        context: 0,
        json: None,
        is_content_addressed: false,
        is_impure: false,
        hash: None,
        hash_kind: None,
        method: None,
        outputs: BTreeSet::from(["out".to_owned()]),
    };
    maker.make(attrs).map_err(|failed| {
        let place = ev.place_text(name.position).unwrap_or_else(|| "«none»".to_owned());
        let text = format!(
            "while evaluating derivation '{text}'\n  whose name attribute is located at {place}"
        );
        ev.trace(failed, 0, text)
    })
}

/// A derivation in the making.
struct Maker<'m> {
    ev: &'m Evaluator,
    position: Pos,
    name: &'m str,
    derivation: Derivation,
    context: u32,
    /// The attributes as JSON, with `__structuredAttrs`.
    json: Option<Text>,
    is_content_addressed: bool,
    is_impure: bool,
    hash: Option<String>,
    hash_kind: Option<HashKind>,
    method: Option<Method>,
    outputs: BTreeSet<String>,
}

impl Maker<'_> {
    fn error<T>(&self, message: impl Into<String>) -> Res<T> {
        Err(self.ev.fail(ErrorKind::Other, self.position, message))
    }

    fn make(mut self, attrs: Attrs) -> Res {
        let ev = self.ev;
        if let Err(error) = check_name(self.name) {
            return self.error(format!(
                "invalid derivation name: {error}. Please pass a different 'name'."
            ));
        }
        if self.name.ends_with(".drv") {
            let is_fine = self.flag_allows_derivation_name(attrs)?;
            if !is_fine {
                return self.error("derivation names are allowed to end in '.drv' only if they produce a single derivation file");
            }
        }
        let flag = |symbol, name: &str| match attrs.get(symbol) {
            None => Ok(false),
            Some(value) => ev.bool(value, self.position).map_err(|failed| {
                let text = format!(
                    "while evaluating the `{name}` attribute passed to builtins.derivationStrict"
                );
                ev.trace(failed, self.position, text)
            }),
        };
        if flag(known::STRUCTURED_ATTRS, "__structuredAttrs")? {
            self.json = Some(Text::new(ev));
        }
        let ignores_nulls = flag(known::IGNORE_NULLS, "__ignoreNulls")?;
        let flat = ev.layouts.flat(&ev.heap, attrs);
        for &at in flat.layout.order(&ev.heap, &ev.symbols) {
            let at = at as usize;
            let key = flat.layout.keys[at];
            if key == known::IGNORE_NULLS {
                continue;
            }
            let value = flat.values[at].get();
            self.attribute(key, value, ignores_nulls).map_err(|failed| {
                let (key, name) = (ev.name(key), self.name);
                let text = format!("while evaluating attribute '{key}' of derivation '{name}'");
                ev.trace(failed, flat.layout.position(at), text)
            })?;
        }
        if let Some(json) = self.json.take() {
            let mut text = b"{".to_vec();
            // Every member begins with a comma; the first one's is left out.
            text.extend_from_slice(json.bytes().get(1..).unwrap_or_default());
            text.push(b'}');
            self.context = ev.contexts.union(self.context, json.context());
            self.derivation.environment.insert(b"__json".to_vec(), text);
        }
        self.finish()
    }

    /// A name that ends in `.drv` is for what makes a derivation.
    fn flag_allows_derivation_name(&self, attrs: Attrs) -> Res<bool> {
        let Some(mode) = attrs.get(known::OUTPUT_HASH_MODE) else { return Ok(false) };
        let mode = self.ev.force(mode)?;
        Ok(mode.as_string().is_some_and(|text| text.bytes() == b"text"))
    }

    fn attribute(&mut self, key: Symbol, value: Value, ignores_nulls: bool) -> Res<()> {
        let ev = self.ev;
        let position = self.position;
        if ignores_nulls && ev.force(value)? == Value::NULL {
            return Ok(());
        }
        match key {
            known::CONTENT_ADDRESSED => {
                if ev.bool(value, position)? {
                    self.is_content_addressed = true;
                    ev.require("ca-derivations", position)?;
                }
                Ok(())
            }
            known::IMPURE => {
                if ev.bool(value, position)? {
                    self.is_impure = true;
                    ev.require("impure-derivations", position)?;
                }
                Ok(())
            }
            known::ARGS => {
                for argument in ev.list(value, position)? {
                    let mut text = Text::new(ev);
                    let why = "while evaluating an element of the argument list";
                    ev.coerce(argument.get(), &mut text, Coercion::DERIVATION, position, why)?;
                    self.context = ev.contexts.union(self.context, text.context());
                    self.derivation.arguments.push(text.bytes().to_vec());
                }
                Ok(())
            }
            known::STRUCTURED_ATTRS if self.json.is_some() => Ok(()),
            _ if self.json.is_some() => self.json_attribute(key, value),
            _ => self.plain_attribute(key, value),
        }
    }

    fn plain_attribute(&mut self, key: Symbol, value: Value) -> Res<()> {
        let ev = self.ev;
        let mut text = Text::new(ev);
        ev.coerce(value, &mut text, Coercion::DERIVATION, self.position, "")?;
        self.context = ev.contexts.union(self.context, text.context());
        if key == known::JSON {
            let json = serde_json::from_slice::<serde_json::Value>(text.bytes());
            let Ok(json) = json else { return self.error("cannot process __json attribute") };
            let json = json.to_string().into_bytes();
            self.derivation.environment.insert(b"__json".to_vec(), json);
            return Ok(());
        }
        let shown = || String::from_utf8_lossy(text.bytes()).into_owned();
        match key {
            known::BUILDER => self.derivation.builder = text.bytes().to_vec(),
            known::SYSTEM => self.derivation.system = shown(),
            known::OUTPUT_HASH => self.hash = Some(shown()),
            known::OUTPUT_HASH_ALGO => self.hash_kind = HashKind::from_name(&shown()),
            known::OUTPUT_HASH_MODE => self.set_method(&shown())?,
            known::OUTPUTS => {
                let names = shown();
                let names = names.split([' ', '\t', '\n', '\r']).filter(|name| !name.is_empty());
                self.set_outputs(names.map(str::to_owned).collect())?;
            }
            _ => {}
        }
        let name = ev.symbols.text(key).to_vec();
        self.derivation.environment.insert(name, text.bytes().to_vec());
        Ok(())
    }

    fn json_attribute(&mut self, key: Symbol, value: Value) -> Res<()> {
        let ev = self.ev;
        let position = self.position;
        if let Some(json) = &mut self.json {
            json.push_bytes(b",");
            super::json::push_string(ev, ev.symbols.text(key), json, position)?;
            json.push_bytes(b":");
            push_json(ev, value, json, JsonStyle::DATA, position)?;
        }
        let plain = |value| -> Res<String> {
            let text = ev.plain_string(value, position)?;
            Ok(String::from_utf8_lossy(text.bytes()).into_owned())
        };
        match key {
            known::BUILDER => {
                let text = ev.string(value, position)?;
                self.context = ev.contexts.union(self.context, text.context());
                self.derivation.builder = text.bytes().to_vec();
            }
            known::SYSTEM => self.derivation.system = plain(value)?,
            known::OUTPUT_HASH => self.hash = Some(plain(value)?),
            known::OUTPUT_HASH_ALGO => self.hash_kind = HashKind::from_name(&plain(value)?),
            known::OUTPUT_HASH_MODE => self.set_method(&plain(value)?)?,
            known::OUTPUTS => {
                let names = ev.list(value, position)?;
                let names: Res<Vec<String>> = names.iter().map(|name| plain(name.get())).collect();
                self.set_outputs(names?)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn set_method(&mut self, mode: &str) -> Res<()> {
        let Some(method) = Method::from_mode(mode) else {
            return self.error(format!("invalid value '{mode}' for 'outputHashMode' attribute"));
        };
        match method {
            Method::Text => self.ev.require("dynamic-derivations", self.position)?,
            Method::Git => self.ev.require("git-hashing", self.position)?,
            _ => {}
        }
        self.method = Some(method);
        Ok(())
    }

    fn set_outputs(&mut self, names: Vec<String>) -> Res<()> {
        self.outputs.clear();
        for name in names {
            if name == "drvPath" {
                return self.error("invalid derivation output name 'drvPath'");
            }
            if self.outputs.contains(&name) {
                return self.error(format!("duplicate derivation output '{name}'"));
            }
            self.outputs.insert(name);
        }
        match self.outputs.is_empty() {
            true => self.error("derivation cannot have an empty set of outputs"),
            false => Ok(()),
        }
    }

    /// Names the outputs and the derivation itself.
    fn finish(mut self) -> Res {
        let ev = self.ev;
        ev.add_inputs(&mut self.derivation, self.context, self.position)?;
        if self.derivation.builder.is_empty() {
            return self.error("required attribute 'builder' missing");
        }
        if self.derivation.system.is_empty() {
            return self.error("required attribute 'system' missing");
        }
        if let Some(hash) = self.hash.take() {
            self.fixed_output(&hash)?;
        } else if self.is_content_addressed || self.is_impure {
            self.floating_outputs()?;
        } else {
            self.input_addressed_outputs()?;
        }
        let path = ev.add_derivation(&self.derivation, self.name, self.position)?;
        let deep = ev.contexts.one(Element::Deep(path.clone()));
        let own = ev.heap.string_with(path.as_bytes(), deep).value();
        let mut attrs: Vec<(Symbol, Pos, Value)> = vec![(known::DRV_PATH, 0, own)];
        for (name, output) in &self.derivation.outputs {
            let value = match output.path() {
                Some(known) => ev.output_string(&path, name, known),
                None => ev.output_string(&path, name, &downstream_placeholder(&path, name)),
            };
            attrs.push((ev.symbol(name.as_bytes()), 0, value));
        }
        Ok(ev.attrs(&mut attrs))
    }

    fn set_output(&mut self, name: &str, output: Output, value: &str) {
        self.derivation.environment.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        self.derivation.outputs.insert(name.to_owned(), output);
    }

    fn fixed_output(&mut self, hash: &str) -> Res<()> {
        if self.outputs.len() != 1 || !self.outputs.contains("out") {
            return self.error("multiple outputs are not supported in fixed-output derivations");
        }
        let hash = self.ev.parse_hash(hash, self.hash_kind, self.position)?;
        let method = self.method.unwrap_or(Method::Flat);
        let path = self.ev.store.fixed_path(self.name, method, &hash, &References::new());
        self.set_output("out", Output::Fixed { method, hash, path: path.clone() }, &path);
        Ok(())
    }

    fn floating_outputs(&mut self) -> Res<()> {
        if self.is_content_addressed && self.is_impure {
            return self.error("derivation cannot be both content-addressed and impure");
        }
        let kind = self.hash_kind.unwrap_or(HashKind::Sha256);
        let method = self.method.unwrap_or(Method::Nar);
        for name in std::mem::take(&mut self.outputs) {
            let output = match self.is_impure {
                true => Output::Impure { method, kind },
                false => Output::Floating { method, kind },
            };
            self.set_output(&name, output, &placeholder(&name));
        }
        Ok(())
    }

    fn input_addressed_outputs(&mut self) -> Res<()> {
        let ev = self.ev;
        let names = std::mem::take(&mut self.outputs);
        for name in &names {
            self.set_output(name, Output::Deferred, "");
        }
        let hash = ev.hash_modulo(&self.derivation, true, self.position)?;
        if let cim_nix_model::DerivationHash::Deferred(_) = hash {
            return Ok(());
        }
        for name in &names {
            let path = ev.store.output_path(name, hash.hash(), self.name);
            self.set_output(name, Output::InputAddressed(path.clone()), &path);
        }
        Ok(())
    }
}
