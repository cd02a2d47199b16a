//! Attribute paths: the names that lead from a set to a value in it.
//!
//! They are written in two ways. In Nix code, and so here by default, a name that is no identifier
//! stands in quotes, with the escapes of Nix's strings: `services."a.b".enable`. What stands behind
//! the `#` of an installable or behind `-A` is a *selection path*: quotes keep dots together there,
//! but there are no escapes, and names need no quotes for anything but dots.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no attribute path, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttributePathError {
    text: String,
    why: &'static str,
    at: usize,
}

impl AttributePathError {
    fn new(text: &str, why: &'static str, at: usize) -> Self {
        Self { text: text.to_owned(), why, at }
    }

    /// The byte of the text at which it goes wrong.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }
}

impl fmt::Display for AttributePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attribute path '{}': {} at byte {}", self.text, self.why, self.at)
    }
}

impl std::error::Error for AttributePathError {}

type Res<T> = Result<T, AttributePathError>;

/// The names that lead from a set to a value in it; none of them lead to the set itself.
///
/// In JSON it is written as `{"segments": ["a", "b.c"]}`, and read from that or from a text.
///
/// ```
/// # use cim_nix_model::AttributePath;
/// let path: AttributePath = r#"services."a.b".enable"#.parse()?;
/// assert_eq!(path.segments(), ["services", "a.b", "enable"]);
/// assert_eq!(AttributePath::new(["if", "x86_64-linux"]).to_string(), r#""if".x86_64-linux"#);
/// # Ok::<(), cim_nix_model::AttributePathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct AttributePath {
    segments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an attribute path is a text or has a list of 'segments'")]
enum Wire {
    Text(String),
    Segments { segments: Vec<String> },
}

impl TryFrom<Wire> for AttributePath {
    type Error = AttributePathError;

    fn try_from(wire: Wire) -> Res<Self> {
        match wire {
            Wire::Text(text) => Self::parse(&text),
            Wire::Segments { segments } => Ok(Self { segments }),
        }
    }
}

impl AttributePath {
    /// The path that leads nowhere else.
    pub const EMPTY: Self = Self { segments: Vec::new() };

    /// The path of these names.
    pub fn new<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Self {
        Self { segments: segments.into_iter().map(Into::into).collect() }
    }

    /// Reads a path as it stands in Nix code. Names need no quotes for characters that identifiers
    /// lack, such as a digit at the start; an empty text is the empty path.
    ///
    /// Errors: a name is missing or its quotes are not closed, something stands behind its quotes,
    /// or it is computed.
    pub fn parse(text: &str) -> Res<Self> {
        let mut segments = Vec::new();
        let mut at = 0;
        if text.is_empty() {
            return Ok(Self { segments });
        }
        loop {
            let (name, end) = match text[at..].starts_with('"') {
                true => quoted_name(text, at)?,
                false => bare_name(text, at)?,
            };
            segments.push(name);
            match text.as_bytes().get(end) {
                None => return Ok(Self { segments }),
                Some(b'.') => at = end + 1,
                Some(_) => {
                    let why = "a dot was expected behind the quotes";
                    return Err(AttributePathError::new(text, why, end));
                }
            }
        }
    }

    /// Reads a selection path, as it stands behind the `#` of an installable or behind `-A`: a
    /// quote begins or ends text in which dots are not special, and an empty name at the end
    /// counts for nothing.
    ///
    /// Errors: the last quote is not closed.
    pub fn parse_selection(text: &str) -> Res<Self> {
        let mut segments = Vec::new();
        let mut name = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['.', '"']) {
            name.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            if rest.as_bytes()[at] == b'.' {
                segments.push(std::mem::take(&mut name));
                rest = behind;
                continue;
            }
            let Some((inside, behind)) = behind.split_once('"') else {
                let at = text.len() - rest.len() + at;
                return Err(AttributePathError::new(text, "unclosed quote", at));
            };
            name.push_str(inside);
            rest = behind;
        }
        name.push_str(rest);
        if !name.is_empty() {
            segments.push(name);
        }
        Ok(Self { segments })
    }

    /// The path as a selection path, with quotes around names that have dots, and around an empty
    /// one at the start; `None` if a name has a quote, which no selection path can say.
    #[must_use]
    pub fn to_selection(&self) -> Option<String> {
        let mut out = String::new();
        for (at, name) in self.segments.iter().enumerate() {
            if name.contains('"') {
                return None;
            }
            let dot = if at > 0 { "." } else { "" };
            let is_quoted = name.contains('.') || (at == 0 && name.is_empty());
            let quote = if is_quoted { "\"" } else { "" };
            out.extend([dot, quote, name, quote]);
        }
        // At the end, only the dot behind it makes an empty name count.
        if self.name() == Some("") {
            out.push('.');
        }
        Some(out)
    }

    /// The names.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// How many names there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether it leads nowhere else.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.segments.last().map(String::as_str)
    }

    /// The path without its last name.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.segments.split_last()?;
        Some(Self { segments: above.to_vec() })
    }

    /// The path that goes on with another name.
    #[must_use]
    pub fn child(&self, name: impl Into<String>) -> Self {
        let mut segments = self.segments.clone();
        segments.push(name.into());
        Self { segments }
    }

    /// The path that goes on with another path.
    #[must_use]
    pub fn join(&self, more: &Self) -> Self {
        Self { segments: [&*self.segments, &*more.segments].concat() }
    }

    /// Whether the path leads through `above` or to it.
    #[must_use]
    pub fn starts_with(&self, above: &Self) -> bool {
        self.segments.starts_with(&above.segments)
    }
}

/// Reads a name without quotes from `start`; gives it and its end.
fn bare_name(text: &str, start: usize) -> Res<(String, usize)> {
    let rest = &text[start..];
    let end = rest.find(['.', '"']).unwrap_or(rest.len());
    let name = &rest[..end];
    let error = |why| Err(AttributePathError::new(text, why, start + end));
    if rest[end..].starts_with('"') {
        return error("a quote inside a name");
    }
    if let Some(at) = name.find("${") {
        return Err(AttributePathError::new(text, "a computed name", start + at));
    }
    if name.is_empty() {
        return error("a name is missing");
    }
    Ok((name.to_owned(), start + end))
}

/// Reads a name in quotes from `start`; gives it and the end of its quotes.
fn quoted_name(text: &str, start: usize) -> Res<(String, usize)> {
    let mut name = String::new();
    let mut at = start + 1;
    loop {
        let rest = &text[at..];
        let Some(len) = rest.find(['"', '\\', '$', '\r']) else {
            return Err(AttributePathError::new(text, "unclosed quote", start));
        };
        name.push_str(&rest[..len]);
        at += len;
        let mut chars = rest[len..].chars();
        match (chars.next(), chars.next()) {
            (Some('"'), _) => return Ok((name, at + 1)),
            (Some('\\'), Some(escaped)) => {
                name.push(match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                });
                at += 1 + escaped.len_utf8();
            }
            (Some('$'), Some('{')) => {
                return Err(AttributePathError::new(text, "a computed name", at));
            }
            // Of two dollars, the second one begins nothing.
            (Some('$'), Some('$')) => {
                name.push_str("$$");
                at += 2;
            }
            // Line ends are line feeds to Nix, however they are written.
            (Some('\r'), next) => {
                name.push('\n');
                at += if next == Some('\n') { 2 } else { 1 };
            }
            (Some('$'), _) => {
                name.push('$');
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Whether a name is an identifier that can stand without quotes. `or` is one as a name.
fn is_bare(name: &str) -> bool {
    const KEYWORDS: [&str; 9] =
        ["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"];
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_part = |byte: u8| is_start(byte) || byte.is_ascii_digit() || b"'-".contains(&byte);
    name.bytes().next().is_some_and(is_start)
        && name.bytes().all(is_part)
        && !KEYWORDS.contains(&name)
}

fn write_quoted(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    use fmt::Write as _;

    f.write_char('"')?;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '$' if chars.peek() == Some(&'{') => f.write_str("\\$")?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.segments.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            match is_bare(name) {
                true => f.write_str(name)?,
                false => write_quoted(f, name)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributePath({self})")
    }
}

impl FromStr for AttributePath {
    type Err = AttributePathError;

    fn from_str(text: &str) -> Res<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
