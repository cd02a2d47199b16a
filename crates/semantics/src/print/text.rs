//! Texts inside what Nix prints.

use super::Places;

/// A name; in quotes unless it could stand in a program.
pub(super) fn identifier(name: &str) -> String {
    const KEYWORDS: [&str; 9] =
        ["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"];
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_part = |byte: u8| is_start(byte) || byte.is_ascii_digit() || b"'-".contains(&byte);
    let is_plain = name.bytes().next().is_some_and(is_start)
        && name.bytes().all(is_part)
        && !KEYWORDS.contains(&name);
    if is_plain { name.to_owned() } else { quoted(name) }
}

/// A string literal, escaped as Nix prints it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for (at, c) in text.char_indices() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if text[at + 1..].starts_with('{') => out.push_str("\\$"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A float with six digits, as C++ streams print it.
pub(super) fn float(value: f64) -> String {
    const DIGITS: i32 = 6;
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..DIGITS).contains(&exponent) {
        let places = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        return trim(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

/// A path, or the literal start of one: absolute, without `.` and `..`; a slash at the end stays.
pub(super) fn canonical(path: &str, places: Places<'_>) -> String {
    if let Some(rest) = path.strip_prefix('~') {
        return format!("{}{rest}", places.home);
    }
    let folder = places.folder.to_string_lossy();
    let base = if path.starts_with('/') { "" } else { &*folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let mut out = format!("/{}", parts.join("/"));
    if path.ends_with('/') && out != "/" {
        out.push('/');
    }
    if path.ends_with('/') && path.len() > 1 && out == "/" {
        out.push('/');
    }
    out
}
