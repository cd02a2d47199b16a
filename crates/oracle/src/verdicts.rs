//! Verdicts of real Nix as tab-separated text: one program a line.

use std::fmt::Write as _;

use cim_nix_base::Error;

use crate::{Place, Verdict};

/// Writes `name`, `ok` or `error`, the place (`-` where there is none) and the message.
#[must_use]
pub fn render<'v>(verdicts: impl IntoIterator<Item = (&'v str, &'v Verdict)>) -> String {
    let mut out = String::new();
    for (name, verdict) in verdicts {
        match verdict {
            Verdict::Ok => {
                let _ = writeln!(out, "{name}\tok");
            }
            Verdict::Error { message, place } => {
                let place = place.map_or_else(|| "-".to_owned(), |place| place.to_string());
                let _ = writeln!(out, "{name}\terror\t{place}\t{}", escape(message.as_bytes()));
            }
        }
    }
    out
}

/// Reads what [`render`] wrote.
///
/// Errors: a line of another form, named by its number.
pub fn read(text: &str) -> Result<Vec<(String, Verdict)>, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines.map(|(idx, line)| read_line(line).ok_or_else(|| bad_line(idx + 1))).collect()
}

fn read_line(line: &str) -> Option<(String, Verdict)> {
    let mut fields = line.split('\t');
    let name = fields.next()?.to_owned();
    let verdict = match fields.next()? {
        "ok" => Verdict::Ok,
        "error" => {
            let place = match fields.next()? {
                "-" => None,
                place => Some(Place::read(place)?),
            };
            let message = String::from_utf8_lossy(&unescape(fields.next()?)?).into_owned();
            Verdict::Error { message, place }
        }
        _ => return None,
    };
    fields.next().is_none().then_some((name, verdict))
}

fn bad_line(number: usize) -> Error {
    Error::user(format!("line {number} of the verdicts is neither `NAME ok` nor an error"))
        .hint("record them again with `cim-nix-oracle corpus`")
}

/// Writes any bytes on one line: printable text stays, the rest becomes `\n`, `\t`, `\r`, `\\` or
/// `\xNN`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                _ if is_visible(c) => out.push(c),
                _ => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_hex(&mut out, byte)),
            }
        }
        chunk.invalid().iter().for_each(|&byte| push_hex(&mut out, byte));
    }
    out
}

fn is_visible(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace() || c == '\u{feff}')
}

fn push_hex(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// Reads what [`escape`] wrote; `None` for an unknown escape.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, len) = match rest.as_bytes().get(at + 1)? {
            b'n' => (b'\n', 2),
            b't' => (b'\t', 2),
            b'r' => (b'\r', 2),
            b'\\' => (b'\\', 2),
            b'x' => (u8::from_str_radix(rest.get(at + 2..at + 4)?, 16).ok()?, 4),
            _ => return None,
        };
        out.push(byte);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_a_line_of_text() {
        let bytes: Vec<u8> = (0..=255).chain("é\u{feff}\u{a0}\\x41".bytes()).collect();
        let line = escape(&bytes);
        assert!(!line.contains(['\n', '\t', '\r']));
        assert_eq!(unescape(&line), Some(bytes));
    }

    #[test]
    fn unknown_escapes_are_refused() {
        assert_eq!(unescape("\\q"), None);
        assert_eq!(unescape("a\\"), None);
        assert_eq!(unescape("\\x4"), None);
    }

    #[test]
    fn verdicts_survive_a_file() {
        let place = Some(Place { line: 2, column: 7 });
        let verdicts = [
            ("a.nix", Verdict::Ok),
            ("b c.nix", Verdict::Error { message: "x\ty".to_owned(), place }),
            ("d.nix", Verdict::Error { message: String::new(), place: None }),
        ];
        let text = render(verdicts.iter().map(|(name, verdict)| (*name, verdict)));
        let read = read(&text).unwrap();
        let owned = verdicts.map(|(name, verdict)| (name.to_owned(), verdict));
        assert_eq!(read, owned);
        assert!(super::read("a.nix\tmaybe\n").is_err());
    }
}
