//! Derivations as text: the part of the ATerm format that Nix uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::derivation::{Derivation, Method, Output};
use crate::hash::{Hash, HashKind};

/// Why a text is no derivation, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtermError {
    /// What was expected.
    pub message: String,
    /// In bytes.
    pub offset: usize,
}

impl fmt::Display for AtermError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for AtermError {}

impl Derivation {
    /// The text that is written to the store.
    #[must_use]
    pub fn to_aterm(&self) -> Vec<u8> {
        let mut inputs = BTreeMap::new();
        for (path, outputs) in &self.input_derivations {
            inputs.insert(path.clone(), outputs.iter().map(String::as_str).collect());
        }
        self.aterm(false, &inputs)
    }

    pub(crate) fn aterm(
        &self,
        is_masked: bool,
        inputs: &BTreeMap<String, BTreeSet<&str>>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"Derive([");
        separated(&mut out, &self.outputs, |out, (name, output)| {
            push_output(out, name, output, is_masked);
        });
        out.extend_from_slice(b"],[");
        separated(&mut out, inputs, |out, (path, outputs)| {
            out.push(b'(');
            push_plain(out, path.as_bytes());
            out.extend_from_slice(b",[");
            separated(out, outputs, |out, name| push_plain(out, name.as_bytes()));
            out.extend_from_slice(b"])");
        });
        out.extend_from_slice(b"],[");
        separated(&mut out, &self.input_sources, |out, path| push_plain(out, path.as_bytes()));
        out.extend_from_slice(b"],");
        push_plain(&mut out, self.system.as_bytes());
        out.push(b',');
        push_text(&mut out, &self.builder);
        out.extend_from_slice(b",[");
        separated(&mut out, &self.arguments, |out, argument| push_text(out, argument));
        out.extend_from_slice(b"],[");
        separated(&mut out, &self.environment, |out, (name, value)| {
            let is_output = || {
                let name = std::str::from_utf8(name);
                name.is_ok_and(|name| self.outputs.contains_key(name))
            };
            let value: &[u8] = if is_masked && is_output() { b"" } else { value };
            out.push(b'(');
            push_text(out, name);
            out.push(b',');
            push_text(out, value);
            out.push(b')');
        });
        out.extend_from_slice(b"])");
        out
    }

    /// Reads a derivation's text.
    ///
    /// Errors: it is none.
    pub fn from_aterm(text: &[u8]) -> Result<Self, AtermError> {
        let mut reader = Reader { text, at: 0 };
        let mut derivation = Self::default();
        reader.expect(b"Derive(")?;
        reader.list(|reader| {
            reader.expect(b"(")?;
            let name = reader.utf8()?;
            reader.expect(b",")?;
            let path = reader.utf8()?;
            reader.expect(b",")?;
            let kind = reader.utf8()?;
            reader.expect(b",")?;
            let hash = reader.utf8()?;
            let output = read_output(path, &kind, &hash);
            let output = output.ok_or_else(|| reader.error("a valid output was expected"))?;
            reader.expect(b")")?;
            derivation.outputs.insert(name, output);
            Ok(())
        })?;
        reader.expect(b",")?;
        reader.list(|reader| {
            reader.expect(b"(")?;
            let path = reader.utf8()?;
            reader.expect(b",")?;
            let mut outputs = BTreeSet::new();
            reader.list(|reader| {
                outputs.insert(reader.utf8()?);
                Ok(())
            })?;
            reader.expect(b")")?;
            derivation.input_derivations.insert(path, outputs);
            Ok(())
        })?;
        reader.expect(b",")?;
        reader.list(|reader| {
            derivation.input_sources.insert(reader.utf8()?);
            Ok(())
        })?;
        reader.expect(b",")?;
        derivation.system = reader.utf8()?;
        reader.expect(b",")?;
        derivation.builder = reader.string()?;
        reader.expect(b",")?;
        reader.list(|reader| {
            derivation.arguments.push(reader.string()?);
            Ok(())
        })?;
        reader.expect(b",")?;
        reader.list(|reader| {
            reader.expect(b"(")?;
            let name = reader.string()?;
            reader.expect(b",")?;
            let value = reader.string()?;
            reader.expect(b")")?;
            derivation.environment.insert(name, value);
            Ok(())
        })?;
        reader.expect(b")")?;
        Ok(derivation)
    }
}

fn separated<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}

fn push_output(out: &mut Vec<u8>, name: &str, output: &Output, is_masked: bool) {
    let open = |method: Method, kind: HashKind| format!("{}{kind}", method.prefix());
    let (path, kind, hash) = match output {
        Output::InputAddressed(_) if is_masked => ("", String::new(), String::new()),
        Output::InputAddressed(path) => (path.as_str(), String::new(), String::new()),
        Output::Fixed { method, hash, path } => {
            (if is_masked { "" } else { path.as_str() }, open(*method, hash.kind()), hash.base16())
        }
        Output::Floating { method, kind } => ("", open(*method, *kind), String::new()),
        Output::Impure { method, kind } => ("", open(*method, *kind), "impure".to_owned()),
        Output::Deferred => ("", String::new(), String::new()),
    };
    out.push(b'(');
    push_plain(out, name.as_bytes());
    for text in [path, &kind, &hash] {
        out.push(b',');
        push_plain(out, text.as_bytes());
    }
    out.push(b')');
}

fn read_output(path: String, kind: &str, hash: &str) -> Option<Output> {
    if kind.is_empty() {
        return Some(match path.as_str() {
            "" => Output::Deferred,
            _ => Output::InputAddressed(path),
        });
    }
    let (method, kind) = match kind.split_once(':') {
        Some(("r", kind)) => (Method::Nar, kind),
        Some(("text", kind)) => (Method::Text, kind),
        Some(("git", kind)) => (Method::Git, kind),
        Some(_) => return None,
        None => (Method::Flat, kind),
    };
    let kind = HashKind::from_name(kind)?;
    Some(match hash {
        "impure" => Output::Impure { method, kind },
        "" => Output::Floating { method, kind },
        _ => Output::Fixed { method, hash: Hash::parse(hash, Some(kind)).ok()?, path },
    })
}

/// A string that needs no escapes.
fn push_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// The first byte that is written with a backslash. Looks at eight bytes at a time, since build
/// scripts are long and hardly any of their bytes is one.
fn first_special(text: &[u8]) -> Option<usize> {
    let is_special = |byte: u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
    let mut at = 0;
    for chunk in text.chunks_exact(8) {
        if chunk.iter().fold(false, |found, &byte| found | is_special(byte)) {
            break;
        }
        at += 8;
    }
    text[at..].iter().position(|&byte| is_special(byte)).map(|found| at + found)
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = first_special(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, message: &str) -> AtermError {
        AtermError { message: message.to_owned(), offset: self.at }
    }

    fn expect(&mut self, token: &[u8]) -> Result<(), AtermError> {
        if !self.text[self.at..].starts_with(token) {
            let token = String::from_utf8_lossy(token);
            return Err(self.error(&format!("'{token}' was expected")));
        }
        self.at += token.len();
        Ok(())
    }

    fn list(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), AtermError>,
    ) -> Result<(), AtermError> {
        self.expect(b"[")?;
        if self.expect(b"]").is_ok() {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.expect(b",").is_err() {
                return self.expect(b"]");
            }
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, AtermError> {
        self.expect(b"\"")?;
        let mut out = Vec::new();
        loop {
            let Some(&byte) = self.text.get(self.at) else {
                return Err(self.error("the end of the string is missing"));
            };
            self.at += 1;
            match byte {
                b'"' => return Ok(out),
                b'\\' => {
                    let escaped = self.text.get(self.at).copied();
                    let escaped = escaped.ok_or_else(|| self.error("a character was expected"))?;
                    self.at += 1;
                    out.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                }
                byte => out.push(byte),
            }
        }
    }

    fn utf8(&mut self) -> Result<String, AtermError> {
        let at = self.at;
        String::from_utf8(self.string()?)
            .map_err(|_| AtermError { message: "text was expected".to_owned(), offset: at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreDir;

    fn sample() -> Derivation {
        let mut derivation = Derivation {
            system: "x86_64-linux".to_owned(),
            builder: b"/bin/sh".to_vec(),
            arguments: vec![b"-c".to_vec(), b"echo \"a\\b\"\n\t> $out\r".to_vec()],
            ..Derivation::default()
        };
        derivation.outputs.insert("out".to_owned(), Output::Deferred);
        for (name, value) in [("builder", "/bin/sh"), ("name", "a"), ("system", "x86_64-linux")] {
            derivation.environment.insert(name.into(), value.into());
        }
        derivation.environment.insert(b"out".to_vec(), Vec::new());
        derivation
    }

    #[test]
    fn paths_are_those_of_nix() {
        // `(derivation { name = "a"; builder = "/bin/sh"; system = "x86_64-linux"; args = [ … ]; })`
        let store = StoreDir::default();
        let mut derivation = sample();
        let hash = derivation.hash_modulo::<()>(true, |_| Err(())).unwrap();
        let out = store.output_path("out", hash.hash(), "a");
        assert_eq!(out, "/nix/store/dwak8n3mlfqarqwy9d98cm3gfmb4dhpj-a");
        derivation.environment.insert(b"out".to_vec(), out.clone().into_bytes());
        derivation.outputs.insert("out".to_owned(), Output::InputAddressed(out));
        let (path, text) = derivation.path(&store, "a");
        assert_eq!(path, "/nix/store/g7civg9n5rbjd5pk9l1na6nypyvxqp5z-a.drv");
        assert_eq!(Derivation::from_aterm(&text), Ok(derivation));
    }

    #[test]
    fn broken_texts_are_refused() {
        let text = sample().to_aterm();
        for end in 0..text.len() {
            assert!(Derivation::from_aterm(&text[..end]).is_err(), "{end}");
        }
        let error = Derivation::from_aterm(b"Derive([(\"out\",1").unwrap_err();
        assert_eq!(error.to_string(), "'\"' was expected at byte 15");
    }

    fn some_bytes(random: &mut fastrand::Rng) -> Vec<u8> {
        const PIECES: [&[u8]; 9] =
            [b"a", b"\"", b"\\", b"\n", b"\r", b"\t", b"\xff\xfe", b"\0", "é".as_bytes()];
        let n_pieces = random.usize(..6);
        (0..n_pieces).flat_map(|_| PIECES[random.usize(..PIECES.len())]).copied().collect()
    }

    fn some_derivation(random: &mut fastrand::Rng) -> Derivation {
        let path = |random: &mut fastrand::Rng| format!("/nix/store/{}-a", random.u32(..));
        let methods = [Method::Flat, Method::Nar, Method::Text, Method::Git];
        let mut derivation = Derivation {
            system: ["x86_64-linux", ""][random.usize(..2)].to_owned(),
            builder: some_bytes(random),
            arguments: (0..random.usize(..3)).map(|_| some_bytes(random)).collect(),
            ..Derivation::default()
        };
        for _ in 0..random.usize(..3) {
            derivation.environment.insert(some_bytes(random), some_bytes(random));
            derivation.input_sources.insert(path(random));
            let outputs = ["out", "dev"][..random.usize(..3)].iter().map(ToString::to_string);
            derivation.input_derivations.insert(path(random), outputs.collect());
            let method = methods[random.usize(..4)];
            let kind = HashKind::ALL[random.usize(..5)];
            let output = match random.u8(..5) {
                0 => Output::InputAddressed(path(random)),
                1 => Output::Floating { method, kind },
                2 => Output::Impure { method, kind },
                3 => Output::Deferred,
                _ => {
                    let hash = Hash::of(kind, &some_bytes(random));
                    Output::Fixed { method, hash, path: path(random) }
                }
            };
            derivation.outputs.insert(["out", "dev", "man"][random.usize(..3)].to_owned(), output);
        }
        derivation
    }

    #[test]
    fn any_derivation_is_read_again() {
        let mut random = fastrand::Rng::with_seed(23);
        for _ in 0..2_000 {
            let derivation = some_derivation(&mut random);
            let text = derivation.to_aterm();
            let again = Derivation::from_aterm(&text);
            assert_eq!(again.as_ref(), Ok(&derivation), "{}", String::from_utf8_lossy(&text));
        }
    }
}
