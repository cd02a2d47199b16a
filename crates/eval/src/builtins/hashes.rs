//! Builtins that compute hashes or write them otherwise.

use cim_nix_model::{Hash, HashFormat, HashKind};

use super::Entry;
use crate::code::Pos;
use crate::error::{ErrorKind, Res};
use crate::evaluator::Evaluator;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("hashString", 2, 2, |ev, a, position| {
        let kind = kind(ev, a[0], "hashString", position)?;
        let text = ev.string(a[1], position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating the second argument passed to builtins.hashString",
            )
        })?;
        Ok(ev.heap.string(Hash::of(kind, text.bytes()).base16().as_bytes()))
    }),
    Entry::new("hashFile", 2, 1, |ev, a, position| {
        let kind = kind(ev, a[0], "hashFile", position)?;
        let path = ev.built_path_argument(a[1], position, super::files::REALISING)?;
        let bytes = ev.read_file(&path, position)?;
        Ok(ev.heap.string(Hash::of(kind, &bytes).base16().as_bytes()))
    }),
    Entry::new("convertHash", 1, 1, convert),
];

fn kind(ev: &Evaluator, value: Value, function: &str, position: Pos) -> Res<HashKind> {
    let name = ev.plain_string(value, position).map_err(|failed| {
        let text = format!("while evaluating the first argument passed to builtins.{function}");
        ev.trace(failed, position, text)
    })?;
    named(ev, &String::from_utf8_lossy(name.bytes()), position)
}

fn named(ev: &Evaluator, name: &str, position: Pos) -> Res<HashKind> {
    HashKind::from_name(name).ok_or_else(|| {
        let message = format!(
            "unknown hash algorithm '{name}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'"
        );
        ev.fail(ErrorKind::Other, position, message)
    })
}

fn convert(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let attrs = ev.set(a[0], position).map_err(|failed| {
        ev.trace(
            failed,
            position,
            "while evaluating the first argument passed to builtins.convertHash",
        )
    })?;
    let text = |name: &str| -> Res<Option<String>> {
        let Some(found) = attrs.get(ev.symbol(name.as_bytes())) else { return Ok(None) };
        let text = ev.plain_string(found, position).map_err(|failed| {
            ev.trace(failed, position, format!("while evaluating the attribute '{name}'"))
        })?;
        Ok(Some(String::from_utf8_lossy(text.bytes()).into_owned()))
    };
    let needed = |name: &str| -> Res<String> {
        text(name)?.ok_or_else(|| {
            let message = format!("attribute '{name}' missing");
            let failed = ev.fail(ErrorKind::MissingAttribute, 0, message);
            ev.trace(failed, position, format!("while locating the attribute '{name}'"))
        })
    };
    let hash = needed("hash")?;
    let kind = match text("hashAlgo")? {
        Some(name) => Some(named(ev, &name, position)?),
        None => None,
    };
    let format = needed("toHashFormat")?;
    let Some(format) = HashFormat::from_name(&format) else {
        let message = format!(
            "unknown hash format '{format}', expect 'base16', 'base32', 'base64', or 'sri'"
        );
        return Err(ev.fail(ErrorKind::Other, position, message));
    };
    if format == HashFormat::Nix32 && needed("toHashFormat")? == "base32" {
        (ev.warnings)("warning: \"base32\" is a deprecated alias for hash format \"nix32\".");
    }
    let hash = Hash::parse(&hash, kind)
        .map_err(|error| ev.fail(ErrorKind::Other, position, error.to_string()))?;
    Ok(ev.heap.string(hash.format(format).as_bytes()))
}
