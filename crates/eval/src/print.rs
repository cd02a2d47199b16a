//! Values as text: in Nix's own syntax and inside messages.

use crate::code::Pos;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::symbols::{Symbol, known};
use crate::value::{Kind, Thunk, Value};

/// How much of a value is printed.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    depth: usize,
    attrs: usize,
    elements: usize,
    bytes: usize,
    /// Whether thunks are forced.
    forces: bool,
    /// Whether what is not evaluated is named as for people.
    is_for_people: bool,
    /// Whether derivations are shown by name.
    short_derivations: bool,
    /// Whether members that fail are shown as what is wrong with them.
    shows_errors: bool,
}

/// For `--eval`: everything, thunks as they are.
pub(crate) const AS_IS: Limits = Limits {
    depth: usize::MAX,
    attrs: usize::MAX,
    elements: usize::MAX,
    bytes: usize::MAX,
    forces: false,
    is_for_people: false,
    short_derivations: false,
    shows_errors: false,
};

/// For people who asked for a value: all of it, derivations by name.
const FOR_PEOPLE: Limits = Limits {
    depth: usize::MAX,
    attrs: usize::MAX,
    elements: usize::MAX,
    bytes: usize::MAX,
    forces: true,
    is_for_people: true,
    short_derivations: true,
    shows_errors: true,
};

/// For messages.
const IN_MESSAGES: Limits = Limits {
    depth: 10,
    attrs: 10,
    elements: 10,
    bytes: 1024,
    forces: false,
    is_for_people: true,
    short_derivations: false,
    shows_errors: false,
};

/// For `trace`.
const IN_TRACES: Limits = Limits { is_for_people: true, ..AS_IS };

impl Evaluator {
    /// A value inside of a message.
    pub(crate) fn shown(&self, value: Value) -> String {
        let mut printer = Printer::new(self, IN_MESSAGES);
        // Nothing is forced, so nothing fails.
        let _ = printer.print(value, 0);
        String::from_utf8_lossy(&printer.out).into_owned()
    }

    /// A value as `trace` says it.
    pub(crate) fn traced(&self, value: Value) -> String {
        let mut printer = Printer::new(self, IN_TRACES);
        // Nothing is forced, so nothing fails.
        let _ = printer.print(value, 0);
        String::from_utf8_lossy(&printer.out).into_owned()
    }

    /// A name as it is written in an attribute path.
    pub(crate) fn shown_name(&self, symbol: Symbol) -> String {
        let mut out = Vec::new();
        push_name(&mut out, self.symbols.text(symbol));
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A value as `nix eval` prints it; `forces` says whether what is inside is evaluated.
    pub(crate) fn displayed(&self, value: Value, forces: bool) -> Res<Vec<u8>> {
        let mut printer = Printer::new(self, Limits { forces, ..FOR_PEOPLE });
        printer.print(value, 0)?;
        Ok(printer.out)
    }

    /// A value as `nix repl` prints it: its members, but not what is in them.
    pub(crate) fn surface(&self, value: Value) -> Res<Vec<u8>> {
        let mut printer = Printer::new(self, Limits { depth: 1, ..FOR_PEOPLE });
        printer.print(value, 0)?;
        Ok(printer.out)
    }

    /// A value as `nix-instantiate --eval` prints it.
    pub(crate) fn printed(&self, value: Value) -> Res<Vec<u8>> {
        let mut printer = Printer::new(self, AS_IS);
        printer.print(value, 0)?;
        Ok(printer.out)
    }
}

struct Printer<'e> {
    ev: &'e Evaluator,
    limits: Limits,
    out: Vec<u8>,
    /// Sets and lists that were begun; those in `done` are printed once.
    seen: rustc_hash::FxHashSet<usize>,
    n_attrs: usize,
    n_elements: usize,
}

impl<'e> Printer<'e> {
    fn new(ev: &'e Evaluator, limits: Limits) -> Self {
        let seen = rustc_hash::FxHashSet::default();
        Self { ev, limits, out: Vec::new(), seen, n_attrs: 0, n_elements: 0 }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn print(&mut self, word: Value, depth: usize) -> Res<()> {
        let value = match word.as_thunk() {
            None => word,
            Some(_) if self.limits.forces => match self.ev.force(word) {
                Ok(value) => value,
                Err(failed) => return self.failed(failed, depth),
            },
            Some(thunk) => match Thunk::done(thunk) {
                Some(value) => value,
                None => {
                    let text = match thunk.state() {
                        crate::value::State::Running => "«potential infinite recursion»",
                        _ => {
                            if self.limits.is_for_people {
                                "«thunk»"
                            } else {
                                "<CODE>"
                            }
                        }
                    };
                    self.push(text);
                    return Ok(());
                }
            },
        };
        if self.ev.stack.push(0).is_none() {
            return Err(self.ev.too_deep());
        }
        if self.ev.heap.lacks(self.out.len() / 8) {
            let message = "out of memory: what is printed is too long";
            return Err(self.ev.fail(ErrorKind::Limit, 0, message));
        }
        match value.kind() {
            Kind::Null => self.push("null"),
            Kind::Bool(value) => self.push(if value { "true" } else { "false" }),
            Kind::Int(number) => self.push(&number.to_string()),
            Kind::Float(number) => self.push(&float(number)),
            Kind::String(text) => push_string(&mut self.out, text.bytes(), self.limits.bytes),
            Kind::Path(text) => match self.ev.world.shown(text.bytes()) {
                Some(shown) => self.out.extend_from_slice(&shown),
                None => self.out.extend_from_slice(text.bytes()),
            },
            Kind::List(list) => self.list(word, list, depth)?,
            Kind::Attrs(attrs) => self.set(value, attrs, depth)?,
            Kind::Closure(closure) => {
                let lambda = closure.lambda();
                let position = lambda.positions.first().copied().unwrap_or(lambda.position);
                self.function(lambda.name, position);
            }
            Kind::Builtin(builtin) => {
                let name = builtin.name;
                if self.limits.is_for_people {
                    self.push(&format!("«primop {name}»"));
                } else {
                    self.push("<PRIMOP>");
                }
            }
            Kind::Partial(partial) => match partial.function().kind() {
                Kind::Closure(closure) => {
                    let lambda = closure.lambda();
                    let at = partial.arguments().len();
                    let position = lambda.positions.get(at).copied().unwrap_or(lambda.position);
                    self.function(lambda.name, position);
                }
                Kind::Builtin(builtin) if self.limits.is_for_people => {
                    let name = builtin.name;
                    self.push(&format!("«partially applied primop {name}»"));
                }
                _ => self.push("<PRIMOP-APP>"),
            },
            Kind::Thunk => self.push("<CODE>"),
        }
        Ok(())
    }

    /// Shows a failure in place of a member, or hands it on.
    fn failed(&mut self, failed: Failed, depth: usize) -> Res<()> {
        let is_bound = matches!(self.ev.failure_kind(), ErrorKind::Limit | ErrorKind::Depth);
        if depth == 0 || !self.limits.shows_errors || is_bound {
            return Err(failed);
        }
        let error = self.ev.take_error();
        self.push(&format!("«error: {error}»"));
        Ok(())
    }

    fn function(&mut self, name: Option<Symbol>, position: Pos) {
        if !self.limits.is_for_people {
            self.push("<LAMBDA>");
            return;
        }
        self.push("«lambda");
        if let Some(name) = name {
            self.push(" ");
            self.push(&self.ev.name(name));
        }
        if let Some(place) = self.ev.place_text(position) {
            self.push(" @ ");
            self.push(&place);
        }
        self.push("»");
    }

    fn list(&mut self, word: Value, list: crate::value::List, depth: usize) -> Res<()> {
        if depth >= self.limits.depth {
            self.push("[ ... ]");
            return Ok(());
        }
        if !list.is_empty() && !self.seen.insert(word.identity()) {
            self.push("«repeated»");
            return Ok(());
        }
        self.push("[ ");
        for (at, element) in list.iter().enumerate() {
            if self.n_elements >= self.limits.elements {
                self.elided(list.len() - at, "item");
                self.push(" ");
                break;
            }
            self.print(element.get(), depth + 1)?;
            self.n_elements += 1;
            self.push(" ");
        }
        self.push("]");
        Ok(())
    }

    fn set(&mut self, value: Value, attrs: crate::attrs::Attrs, depth: usize) -> Res<()> {
        if self.limits.short_derivations {
            match self.derivation(attrs) {
                Ok(None) => {}
                Ok(Some(path)) => {
                    self.push(&format!("«derivation {path}»"));
                    return Ok(());
                }
                Err(failed) => return self.failed(failed, depth),
            }
        }
        if depth >= self.limits.depth {
            self.push("{ ... }");
            return Ok(());
        }
        if !attrs.is_empty() && !self.seen.insert(value.identity()) {
            self.push("«repeated»");
            return Ok(());
        }
        self.push("{ ");
        let ev = self.ev;
        let flat = ev.layouts.flat(&ev.heap, attrs);
        let mut order = flat.layout.order(&ev.heap, &ev.symbols).to_vec();
        // Where not all may fit, what tells most comes first.
        if self.limits.attrs < usize::MAX {
            let tells = |at: &u32| {
                matches!(ev.symbols.text(flat.layout.keys[*at as usize]), b"type" | b"_type")
            };
            order.sort_by_key(|at| !tells(at));
        }
        for (n, &at) in order.iter().enumerate() {
            if self.n_attrs >= self.limits.attrs {
                self.elided(order.len() - n, "attribute");
                self.push(" ");
                break;
            }
            push_name(&mut self.out, ev.symbols.text(flat.layout.keys[at as usize]));
            self.push(" = ");
            self.print(flat.values[at as usize].get(), depth + 1)?;
            self.n_attrs += 1;
            self.push("; ");
        }
        self.push("}");
        Ok(())
    }

    fn elided(&mut self, n: usize, word: &str) {
        let plural = if n == 1 { "" } else { "s" };
        self.push(&format!("«{n} {word}{plural} elided»"));
    }

    /// The path of a derivation; where nothing is forced, as far as it is known.
    fn derivation(&self, attrs: crate::attrs::Attrs) -> Res<Option<String>> {
        let text = |symbol| {
            let Some(value) = attrs.get(symbol) else { return Ok(None) };
            let value = match value.as_thunk() {
                Some(_) if self.limits.forces => Some(self.ev.force(value)?),
                Some(thunk) => Thunk::done(thunk),
                None => Some(value),
            };
            Ok(value.and_then(Value::as_string))
        };
        if text(known::TYPE)?.is_none_or(|kind| kind.bytes() != b"derivation") {
            return Ok(None);
        }
        let path = text(known::DRV_PATH)?;
        Ok(path.map(|path| String::from_utf8_lossy(path.bytes()).into_owned()))
    }
}

/// A float with up to six significant digits, as C++ streams print it.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

/// A string literal; what exceeds `limit` bytes is left out and counted.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8], limit: usize) {
    out.push(b'"');
    for (at, &byte) in text.iter().enumerate() {
        if at >= limit {
            let n = text.len() - at;
            let plural = if n == 1 { "" } else { "s" };
            out.extend_from_slice(format!("\" «{n} byte{plural} elided»").as_bytes());
            return;
        }
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if text.get(at + 1) == Some(&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// An attribute's name, in quotes where it must be.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &[u8]) {
    const KEYWORDS: [&[u8]; 9] =
        [b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_part = |byte: &u8| is_start(*byte) || byte.is_ascii_digit() || b"'-".contains(byte);
    let is_plain = name.first().is_some_and(|&byte| is_start(byte))
        && name.iter().all(is_part)
        && !KEYWORDS.contains(&name);
    if is_plain {
        out.extend_from_slice(name);
    } else {
        push_string(out, name, usize::MAX);
    }
}
