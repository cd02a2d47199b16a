//! XML.

use super::Text;
use crate::code::Pos;
use crate::error::Res;
use crate::evaluator::Evaluator;
use crate::symbols::known;
use crate::value::{Kind, Str, Value};

/// Appends a value as the document that `toXML` and `--xml` give.
pub(crate) fn to_xml(
    ev: &Evaluator,
    value: Value,
    out: &mut Text,
    forces: bool,
    has_places: bool,
) -> Res<()> {
    out.push_bytes(b"<?xml version='1.0' encoding='utf-8'?>\n<expr>\n");
    let mut writer = Writer { ev, out, forces, has_places, seen: Default::default() };
    writer.value(value, 1)?;
    out.push_bytes(b"</expr>\n");
    Ok(())
}

struct Writer<'e, 'o> {
    ev: &'e Evaluator,
    out: &'o mut Text,
    forces: bool,
    /// Whether attributes and functions tell where they are defined.
    has_places: bool,
    /// Derivations that were written in full.
    seen: std::collections::HashSet<Vec<u8>>,
}

impl Writer<'_, '_> {
    fn tag(&mut self, depth: usize, name: &str, attributes: &[(&str, &[u8])], is_empty: bool) {
        self.out.push_bytes(&b"  ".repeat(depth));
        self.out.push_bytes(b"<");
        self.out.push_bytes(name.as_bytes());
        for (key, value) in attributes {
            self.out.push_bytes(format!(" {key}=\"").as_bytes());
            for &byte in *value {
                match byte {
                    b'"' => self.out.push_bytes(b"&quot;"),
                    b'<' => self.out.push_bytes(b"&lt;"),
                    b'>' => self.out.push_bytes(b"&gt;"),
                    b'&' => self.out.push_bytes(b"&amp;"),
                    b'\n' => self.out.push_bytes(b"&#xA;"),
                    _ => self.out.push_bytes(&[byte]),
                }
            }
            self.out.push_bytes(b"\"");
        }
        self.out.push_bytes(if is_empty { b" />\n" } else { b">\n" });
    }

    /// A tag with the place of what it stands for.
    fn placed_tag(&mut self, depth: usize, tag: &str, name: Option<&[u8]>, position: Option<Pos>) {
        let place = position.filter(|_| self.has_places).and_then(|at| self.ev.spot(at));
        let numbers = place.as_ref().map(|at| (at.line.to_string(), at.column.to_string()));
        let mut attributes: Vec<(&str, &[u8])> = Vec::with_capacity(4);
        if let Some((line, column)) = &numbers {
            attributes.push(("column", column.as_bytes()));
            attributes.push(("line", line.as_bytes()));
        }
        attributes.extend(name.map(|name| ("name", name)));
        if let Some(file) = place.as_ref().and_then(|place| place.file.as_deref()) {
            attributes.push(("path", file));
        }
        self.tag(depth, tag, &attributes, false);
    }

    fn end(&mut self, depth: usize, name: &str) {
        self.out.push_bytes(&b"  ".repeat(depth));
        self.out.push_bytes(format!("</{name}>\n").as_bytes());
    }

    fn value(&mut self, value: Value, depth: usize) -> Res<()> {
        let ev = self.ev;
        let _level = ev.level(0)?;
        self.out.check(ev)?;
        let value = match self.forces {
            true => ev.force(value)?,
            false => value.as_thunk().and_then(crate::value::Thunk::done).unwrap_or(value),
        };
        match value.kind() {
            Kind::Thunk => self.tag(depth, "unevaluated", &[], true),
            Kind::Null => self.tag(depth, "null", &[], true),
            Kind::Bool(value) => {
                let word: &[u8] = if value { b"true" } else { b"false" };
                self.tag(depth, "bool", &[("value", word)], true);
            }
            Kind::Int(number) => {
                self.tag(depth, "int", &[("value", number.to_string().as_bytes())], true);
            }
            Kind::Float(number) => {
                let text = crate::print::float(number);
                self.tag(depth, "float", &[("value", text.as_bytes())], true);
            }
            Kind::String(text) => {
                self.out.add_context(ev, text.context());
                self.tag(depth, "string", &[("value", text.bytes())], true);
            }
            Kind::Path(text) => self.tag(depth, "path", &[("value", text.bytes())], true),
            Kind::List(list) => {
                self.tag(depth, "list", &[], false);
                for element in list {
                    self.value(element.get(), depth + 1)?;
                }
                self.end(depth, "list");
            }
            Kind::Attrs(attrs) if ev.is_derivation(attrs)? => self.derivation(attrs, depth)?,
            Kind::Attrs(attrs) => {
                self.tag(depth, "attrs", &[], false);
                self.members(attrs, depth)?;
                self.end(depth, "attrs");
            }
            Kind::Closure(closure) => self.function(closure.lambda(), 0, depth),
            Kind::Partial(partial) => match partial.function().as_closure() {
                Some(closure) => {
                    let lambda = closure.lambda();
                    self.function(lambda, partial.arguments().len(), depth);
                }
                None => self.tag(depth, "unevaluated", &[], true),
            },
            Kind::Builtin(_) => self.tag(depth, "unevaluated", &[], true),
        }
        Ok(())
    }

    /// A function that already has some of its arguments.
    fn function(&mut self, lambda: &crate::code::Lambda, n_given: usize, depth: usize) {
        let ev = self.ev;
        self.placed_tag(depth, "function", None, lambda.positions.get(n_given).copied());
        match lambda.pattern.filter(|_| lambda.arity as usize == n_given + 1) {
            Some(pattern) => {
                let mut attributes: Vec<(&str, &[u8])> = Vec::new();
                if pattern.has_ellipsis {
                    attributes.push(("ellipsis", b"1"));
                }
                if let Some(name) = lambda.parameter {
                    attributes.push(("name", ev.symbols.text(name)));
                }
                self.tag(depth + 1, "attrspat", &attributes, false);
                let mut names: Vec<&[u8]> =
                    pattern.formals.iter().map(|f| ev.symbols.text(f.symbol)).collect();
                names.sort_unstable();
                for name in names {
                    self.tag(depth + 2, "attr", &[("name", name)], true);
                }
                self.end(depth + 1, "attrspat");
            }
            None => {
                let name = lambda.parameters.get(n_given).copied().flatten();
                let name = name.map(|name| ev.symbols.text(name));
                self.tag(depth + 1, "varpat", &[("name", name.unwrap_or_default())], true);
            }
        }
        self.end(depth, "function");
    }

    fn members(&mut self, attrs: crate::attrs::Attrs, depth: usize) -> Res<()> {
        let ev = self.ev;
        let flat = ev.layouts.flat(&ev.heap, attrs);
        for &at in flat.layout.order(&ev.heap, &ev.symbols) {
            let at = at as usize;
            let name = ev.symbols.text(flat.layout.keys[at]);
            self.placed_tag(depth + 1, "attr", Some(name), Some(flat.layout.position(at)));
            self.value(flat.values[at].get(), depth + 2)?;
            self.end(depth + 1, "attr");
        }
        Ok(())
    }

    fn derivation(&mut self, attrs: crate::attrs::Attrs, depth: usize) -> Res<()> {
        let ev = self.ev;
        // As in Nix, paths that are no strings are left out.
        let text = |symbol| match attrs.get(symbol) {
            Some(value) => Ok(ev.force(value)?.as_string().map(Str::bytes)),
            None => Ok(None),
        };
        let (path, out) = (text(known::DRV_PATH)?, text(known::OUT_PATH)?);
        let mut attributes: Vec<(&str, &[u8])> = Vec::new();
        attributes.extend(path.map(|path| ("drvPath", path)));
        attributes.extend(out.map(|out| ("outPath", out)));
        self.tag(depth, "derivation", &attributes, false);
        if path.is_some_and(|path| !path.is_empty() && self.seen.insert(path.to_vec())) {
            self.members(attrs, depth)?;
        } else {
            self.tag(depth + 1, "repeated", &[], true);
        }
        self.end(depth, "derivation");
        Ok(())
    }
}
