//! Builtins on files and paths.

use cim_nix_model::downstream_placeholder;

use super::{Coercion, Entry, Text};
use crate::code::Pos;
use crate::contexts::Element;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::paths;
use crate::symbols::{Symbol, known};
use crate::value::{Kind, Str, Value};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("baseNameOf", 1, 1, |ev, a, position| {
        let mut text = Text::new(ev);
        let why = "while evaluating the first argument passed to builtins.baseNameOf";
        ev.coerce(a[0], &mut text, Coercion::FIRST, position, why)?;
        let name = paths::base_name(text.bytes()).to_vec();
        Ok(ev.heap.string_with(&name, text.context()).value())
    }),
    Entry::new("dirOf", 1, 1, |ev, a, position| {
        let value = ev.force(a[0])?;
        if let Kind::Path(path) = value.kind() {
            return Ok(ev.path(paths::parent(path.bytes())));
        }
        let mut text = Text::new(ev);
        let why = "while evaluating the first argument passed to 'builtins.dirOf'";
        ev.coerce(value, &mut text, Coercion::FIRST, position, why)?;
        let bytes = text.bytes();
        let folder: &[u8] = match bytes.iter().rposition(|&byte| byte == b'/') {
            None => b".",
            Some(0) => b"/",
            Some(at) => &bytes[..at],
        };
        Ok(ev.heap.string_with(folder, text.context()).value())
    }),
    Entry::new("pathExists", 1, 1, |ev, a, position| {
        let (path, has_slash) = {
            let value = ev.force(a[0])?;
            let ends = |bytes: &[u8]| bytes.ends_with(b"/") || bytes.ends_with(b"/.");
            let has_slash = value.as_string().is_some_and(|text| ends(text.bytes()));
            (ev.built_path_argument(value, position, REALISING)?, has_slash)
        };
        let exists = match has_slash {
            true => ev.world.kind(&path).is_ok_and(|kind| kind == crate::io::FileKind::Directory),
            false => ev.world.link_kind(&path).is_ok(),
        };
        // There always is a store, even where nothing is in it yet.
        let exists = exists || path == ev.settings.store_dir.as_bytes();
        Ok(Value::bool(exists))
    }),
    Entry::new("readFile", 1, 1, |ev, a, position| {
        let path = ev.built_path_argument(a[0], position, REALISING)?;
        let bytes = ev.read_file(&path, position)?;
        if bytes.contains(&0) {
            let name = String::from_utf8_lossy(&path).into_owned();
            let message =
                format!("the contents of the file '{name}' cannot be represented as a Nix string");
            return Err(ev.fail(ErrorKind::Other, position, message));
        }
        Ok(ev.heap.string(&bytes))
    }),
    Entry::new("readDir", 1, 1, |ev, a, position| {
        let path = ev.built_path_argument(a[0], position, REALISING)?;
        let entries = ev.world.list(&path);
        let entries = entries.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotADirectory => {
                let name = String::from_utf8_lossy(&ev.resolve_links(&path)).into_owned();
                let message = format!("cannot read directory \"{name}\": Not a directory");
                ev.fail(ErrorKind::Io, position, message)
            }
            _ => ev.io_error(&path, &error, position),
        })?;
        let mut attrs: Vec<(Symbol, Pos, Value)> = entries
            .iter()
            .map(|(name, kind)| {
                let word = ev.symbols.value(ev.symbol(kind.word().as_bytes()));
                (ev.symbol(name), 0, word)
            })
            .collect();
        Ok(ev.attrs(&mut attrs))
    }),
    Entry::new("readFileType", 1, 1, |ev, a, position| {
        let path = ev.built_path_argument(a[0], position, REALISING)?;
        let kind = ev.world.link_kind(&path);
        let kind = kind.map_err(|error| ev.io_error(&path, &error, position))?;
        Ok(ev.heap.string(kind.word().as_bytes()))
    }),
    Entry::new("toPath", 1, 1, |ev, a, position| {
        let why = "while evaluating the first argument passed to builtins.toPath";
        let path = ev.path_argument(a[0], position, why)?;
        Ok(ev.heap.string(&path))
    }),
    Entry::new("findFile", 2, 1, find_file),
];

impl Evaluator {
    /// An absolute path, given as a path or string.
    pub(crate) fn path_argument(&self, value: Value, position: Pos, why: &str) -> Res<Vec<u8>> {
        let value = self.force(value)?;
        if let Kind::Path(path) = value.kind() {
            return Ok(path.bytes().to_vec());
        }
        let mut text = Text::new(self);
        self.coerce(value, &mut text, Coercion::FIRST, position, why)?;
        if text.bytes().first() != Some(&b'/') {
            let shown = String::from_utf8_lossy(text.bytes()).into_owned();
            let message = format!("string '{shown}' doesn't represent an absolute path");
            let failed = self.fail(ErrorKind::Other, 0, message);
            return Err(self.trace(failed, position, why));
        }
        Ok(paths::canonical(text.bytes()))
    }

    /// The same for what is to be read: what does not exist before it is built is built first, if
    /// that is possible.
    pub(crate) fn built_path_argument(
        &self,
        value: Value,
        position: Pos,
        why: &str,
    ) -> Res<Vec<u8>> {
        let path = self.path_argument(value, position, why)?;
        let context = self.force(value)?.as_string().map_or(0, Str::context);
        // A set stands for its output.
        let context = match self.force(value)?.as_attrs() {
            Some(_) => {
                let mut text = Text::new(self);
                self.coerce(value, &mut text, Coercion::FIRST, position, why)?;
                text.context()
            }
            None => context,
        };
        if context == 0 { Ok(path) } else { self.build_for(path, context) }
    }

    fn build_for(&self, mut path: Vec<u8>, context: u32) -> Res<Vec<u8>> {
        for element in &*self.contexts.get(context) {
            let Element::Output { derivation, output } = element else { continue };
            let known = self.known_derivation(derivation, 0)?;
            let known = known.outputs.get(&**output).and_then(Option::as_deref);
            if known.is_some_and(|path| self.world.link_kind(path.as_bytes()).is_ok()) {
                continue;
            }
            let built = self.world.io().build(derivation, output).map_err(|why| {
                let message = format!(
                    "output '{output}' of '{derivation}' is needed to go on, but it is not built: {why}"
                );
                let failed = self.fail(ErrorKind::Unsupported, 0, message);
                let shown = String::from_utf8_lossy(&path);
                self.trace(failed, 0, format!("while realising the context of path '{shown}'"))
            })?;
            if known.is_none() {
                // Only now is there a path for what stood in its place.
                let stand_in = downstream_placeholder(derivation, output);
                path = replaced(&path, stand_in.as_bytes(), built.as_bytes());
            }
        }
        Ok(path)
    }
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Why most builtins want a path.
pub(super) const REALISING: &str = "while realising the context of a path";

fn find_file(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let entries = ev.list(a[0], position)?;
    // All entries are looked at before any of them is used.
    let mut candidates = Vec::with_capacity(entries.len());
    for entry in entries {
        let entry = ev.set(entry.get(), position)?;
        let prefix = match entry.get(known::PREFIX) {
            Some(prefix) => ev.plain_string(prefix, position)?.bytes(),
            None => b"",
        };
        let Some(path) = entry.get(known::PATH) else {
            return Err(ev.fail(ErrorKind::MissingAttribute, position, "attribute 'path' missing"));
        };
        let mut folder = Text::new(ev);
        ev.coerce(path, &mut folder, Coercion::FIRST, position, "while evaluating the `path` attribute of an element of the list passed to builtins.findFile")?;
        candidates.push((prefix, folder));
    }
    let wanted = ev.plain_string(a[1], position)?;
    for (prefix, folder) in candidates {
        let rest = match wanted.bytes().strip_prefix(prefix) {
            _ if prefix.is_empty() => wanted.bytes(),
            Some(b"") => b"",
            Some([b'/', rest @ ..]) => rest,
            _ => continue,
        };
        let written = String::from_utf8_lossy(folder.bytes()).into_owned();
        let folder = paths::join(ev.settings.folder.as_bytes(), folder.bytes());
        if let Err(error) = ev.world.link_kind(&folder) {
            // Refused by the evaluation itself, not missing.
            if error.get_ref().is_some() {
                return Err(ev.io_error(&folder, &error, position));
            }
            if ev.missing_entries.borrow_mut().insert(written.clone()) {
                (ev.warnings)(&format!(
                    "warning: Nix search path entry '{written}' does not exist, ignoring"
                ));
            }
            continue;
        }
        let path = paths::canonical(&[&folder[..], b"/", rest].concat());
        match ev.world.link_kind(&path) {
            Ok(_) => return Ok(ev.path(&path)),
            Err(error) if error.get_ref().is_some() => {
                return Err(ev.io_error(&path, &error, position));
            }
            Err(_) => {}
        }
    }
    if let Some(rest) = wanted.bytes().strip_prefix(b"nix/") {
        return Ok(ev.path(&[b"<nix/", rest, b">"].concat()));
    }
    let name = String::from_utf8_lossy(wanted.bytes()).into_owned();
    let message = match ev.world.is_pure() {
        true => {
            format!(
                "cannot look up '<{name}>' in pure evaluation mode (use '--impure' to override)"
            )
        }
        false => format!(
            "file '{name}' was not found in the Nix search path (add it using $NIX_PATH or -I)"
        ),
    };
    Err(ev.fail(ErrorKind::Throw, position, message))
}
