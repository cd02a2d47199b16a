//! Builtins on flakes and references to them.

use cim_nix_model::{FlakeRef, LockOptions, RefAttr, RefAttrs};

use super::Entry;
use crate::code::Pos;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::fetching::Download;
use crate::locking::FlakeOptions;
use crate::symbols::Symbol;
use crate::value::{Kind, Value};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("fetchTree", 1, 1, |ev, a, position| ev.fetch_tree_builtin(a[0], false, position)),
    Entry::new("fetchFinalTree", 1, 1, |ev, a, position| {
        ev.fetch_tree_builtin(a[0], true, position)
    })
    .untraced(),
    Entry::new("fetchGit", 1, 1, |ev, a, position| ev.fetch_git_builtin(a[0], position)),
    Entry::new("fetchMercurial", 1, 1, |ev, a, p| ev.fetch_mercurial_builtin(a[0], p)),
    Entry::new("fetchTarball", 1, 1, |ev, a, position| {
        ev.fetch_url_builtin(a[0], Download::Tarball, position)
    }),
    Entry::new("fetchurl", 1, 1, |ev, a, position| {
        ev.fetch_url_builtin(a[0], Download::File, position)
    }),
    Entry::new("getFlake", 1, 1, |ev, a, position| {
        let text = ev.plain_string(a[0], position).map_err(|failed| {
            ev.trace(failed, 0, "while evaluating the argument passed to builtins.getFlake")
        })?;
        let text = String::from_utf8_lossy(text.bytes()).into_owned();
        let reference = ev.flake_ref(&text, position)?;
        if ev.world.is_pure() && !reference.is_locked() {
            let message = format!(
                "cannot call 'getFlake' on unlocked flake reference '{text}', at «none»:0 (use --impure to override)"
            );
            return Err(ev.fail(ErrorKind::Other, 0, message));
        }
        let options = FlakeOptions {
            lock: LockOptions {
                uses_registries: !ev.world.is_pure(),
                locks_anything: !ev.world.is_pure(),
                ..LockOptions::default()
            },
            is_for_this_run: true,
            ..FlakeOptions::default()
        };
        ev.flake_value(&ev.lock_flake(&reference, &options)?)
    }),
    Entry::new("parseFlakeRef", 1, 1, |ev, a, position| {
        let text = ev.plain_string(a[0], position)?;
        let text = String::from_utf8_lossy(text.bytes());
        let reference = ev.flake_ref(&text, position)?;
        Ok(ev.ref_value(&reference.attrs()))
    }),
    Entry::new("flakeRefToString", 1, 1, |ev, a, position| {
        let set = ev.set(a[0], position)?;
        let mut attrs = RefAttrs::new();
        for (name, value) in ev.members(set) {
            let value = ev.force(value)?;
            let attr = match value.kind() {
                Kind::Int(number) => match u64::try_from(number) {
                    Ok(number) => RefAttr::Number(number),
                    Err(_) => {
                        let message =
                            format!("negative value given for flake ref attr {name}: {number}");
                        return Err(ev.fail(ErrorKind::Other, 0, message));
                    }
                },
                Kind::Bool(value) => RefAttr::Bool(value),
                Kind::String(text) => {
                    RefAttr::Text(String::from_utf8_lossy(text.bytes()).into_owned())
                }
                _ => {
                    let phrase = ev.type_phrase(value);
                    let message = format!(
                        "flake reference attribute sets may only contain integers, Booleans, and strings, but attribute '{name}' is {phrase}"
                    );
                    return Err(ev.fail(ErrorKind::Type, 0, message));
                }
            };
            attrs.insert(name, attr);
        }
        let reference = FlakeRef::from_attrs(attrs);
        let url = reference.and_then(|reference| reference.to_url());
        let url = url.map_err(|error| ev.fail(ErrorKind::Other, 0, error.to_string()))?;
        Ok(ev.heap.string(url.to_string().as_bytes()))
    }),
];

impl Evaluator {
    /// The reference that a text stands for.
    pub(crate) fn flake_ref(&self, text: &str, position: Pos) -> Res<FlakeRef> {
        let absolute = |reference: FlakeRef| match reference.text("path") {
            Some(path)
                if reference.kind() == "path"
                    && !path.starts_with('/')
                    && !text.starts_with("path:") =>
            {
                Err(format!("flake reference '{text}' is not an absolute path"))
            }
            _ => Ok(reference),
        };
        let reference = FlakeRef::parse(text).map_err(|error| error.to_string());
        reference
            .and_then(absolute)
            .map_err(|message| self.fail(ErrorKind::Other, position, message))
    }

    /// The set of a reference's attributes.
    pub(crate) fn ref_value(&self, attrs: &RefAttrs) -> Value {
        let value = |attr: &RefAttr| match attr {
            RefAttr::Text(text) => self.heap.string(text.as_bytes()),
            RefAttr::Number(number) => self.heap.int(i64::try_from(*number).unwrap_or(i64::MAX)),
            RefAttr::Bool(flag) => Value::bool(*flag),
        };
        let mut members: Vec<(Symbol, Pos, Value)> = attrs
            .iter()
            .map(|(name, attr)| (self.symbol(name.as_bytes()), 0, value(attr)))
            .collect();
        self.attrs(&mut members)
    }

    /// Names and values of a set, by name.
    pub(crate) fn members(&self, set: crate::attrs::Attrs) -> Vec<(String, Value)> {
        let flat = self.layouts.flat(&self.heap, set);
        let keys = flat.layout.keys.iter();
        let mut members: Vec<(String, Value)> =
            keys.zip(flat.values).map(|(&key, value)| (self.name(key), value.get())).collect();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        members
    }
}
