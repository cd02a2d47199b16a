//! URLs as Nix reads and writes them: RFC 3986, but blanks and quotes may stand in queries and
//! fragments as they are.

use std::collections::BTreeMap;
use std::fmt;

/// Why a text is no URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlError {
    url: String,
    why: String,
}

impl UrlError {
    fn new(url: &str, why: impl Into<String>) -> Self {
        Self { url: url.to_owned(), why: why.into() }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a valid URL: {}", self.url, self.why)
    }
}

impl std::error::Error for UrlError {}

/// Who answers: `user:password@host:port`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Authority {
    /// Before the `@`.
    pub user: Option<String>,
    /// Behind the user's colon.
    pub password: Option<String>,
    /// A name or address, without the brackets of IPv6.
    pub host: String,
    /// Where not the usual one of the scheme.
    pub port: Option<u16>,
}

/// A URL in parts, with what was escaped in clear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// Such as `git+https`, in lower case.
    pub scheme: String,
    /// What stands behind `//`.
    pub authority: Option<Authority>,
    /// The path, split at slashes; one that begins with a slash has an empty first part.
    pub path: Vec<String>,
    /// Names and values behind the `?`; the first of those with one name counts.
    pub query: BTreeMap<String, String>,
    /// What stands behind the `#`.
    pub fragment: String,
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// Escapes all but letters, digits, `-._~` and `keep`.
#[must_use]
pub fn percent_encode(text: &str, keep: &str) -> String {
    use fmt::Write as _;

    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Puts what was escaped in clear; `is_allowed` says which bytes may stand unescaped.
fn percent_decode(
    text: &str,
    url: &str,
    is_allowed: impl Fn(u8) -> bool,
) -> Result<String, UrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                return Err(UrlError::new(
                    url,
                    "two hexadecimal digits must follow a percent sign",
                ));
            };
            out.push((high * 16 + low) as u8);
        } else if is_unreserved(byte) || is_sub_delimiter(byte) || is_allowed(byte) {
            out.push(byte);
        } else {
            let shown = char::from(byte).escape_default();
            return Err(UrlError::new(url, format!("the character '{shown}' must be escaped")));
        }
    }
    String::from_utf8(out).map_err(|_| UrlError::new(url, "it is not UTF-8"))
}

/// Reads the names and values of a query. Those without a value are ignored, as in Nix.
pub(crate) fn decode_query(query: &str, url: &str) -> Result<BTreeMap<String, String>, UrlError> {
    let mut result = BTreeMap::new();
    let decode = |text| percent_decode(text, url, |byte| b":@/? \"".contains(&byte));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if let Some((name, value)) = pair.split_once('=') {
            result.entry(decode(name)?).or_insert(decode(value)?);
        } else {
            decode(pair)?;
        }
    }
    Ok(result)
}

/// A text for people in which no URL shows its password.
///
/// ```
/// # use cim_nix_model::without_passwords;
/// let said = without_passwords("cannot read 'https://me:secret@example.org/x': timeout");
/// assert_eq!(said, "cannot read 'https://me:***@example.org/x': timeout");
/// ```
#[must_use]
pub fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let end = after.find(|c: char| "/?#'\"".contains(c) || c.is_whitespace());
        let authority = &after[..end.unwrap_or(after.len())];
        let user_info = authority.rfind('@').map(|at| &authority[..at]);
        rest = match user_info.and_then(|info| Some((info.find(':')?, info.len()))) {
            Some((colon, end)) => {
                out.push_str(&after[..=colon]);
                out.push_str("***");
                &after[end..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// The parts of a URL's query that have no value and so are ignored.
#[must_use]
pub fn dubious_query(url: &str) -> Vec<&str> {
    let query = url.split('#').next().and_then(|url| url.split_once('?'));
    let parts = query.map_or("", |(_, query)| query).split('&');
    parts.filter(|part| !part.is_empty() && !part.contains('=')).collect()
}

/// Puts the fragment of a path in clear; unlike that of a URL, it may have any character.
pub(crate) fn decode_path_fragment(fragment: &str, url: &str) -> Result<String, UrlError> {
    percent_decode(fragment, url, |_| true)
}

/// Puts a fragment in clear.
pub(crate) fn decode_fragment(fragment: &str, url: &str) -> Result<String, UrlError> {
    percent_decode(fragment, url, |byte| b":@/? \"^".contains(&byte))
}

impl Authority {
    fn parse(text: &str, url: &str) -> Result<Self, UrlError> {
        let (user_info, host_port) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let decode = |text, more: &[u8]| percent_decode(text, url, |byte| more.contains(&byte));
        let (user, password) = match user_info.map(|info| (info, info.split_once(':'))) {
            None => (None, None),
            Some((info, None)) => (Some(decode(info, b"")?), None),
            Some((_, Some((user, password)))) => {
                (Some(decode(user, b"")?), Some(decode(password, b":")?))
            }
        };
        let (host, port) = match host_port.strip_prefix('[') {
            Some(rest) => {
                let Some((host, rest)) = rest.split_once(']') else {
                    return Err(UrlError::new(url, "the host's bracket is not closed"));
                };
                let port = match rest.strip_prefix(':') {
                    None if rest.is_empty() => None,
                    None => return Err(UrlError::new(url, "text stands behind the host")),
                    port => port,
                };
                (decode(host, b":")?, port)
            }
            None => match host_port.split_once(':') {
                Some((host, port)) => (decode(host, b"")?, Some(port)),
                None => (decode(host_port, b"")?, None),
            },
        };
        let port = match port.filter(|port| !port.is_empty()) {
            None => None,
            Some(port) => match port.parse() {
                Ok(port) => Some(port),
                Err(_) => return Err(UrlError::new(url, format!("port '{port}' is invalid"))),
            },
        };
        Ok(Self { user, password, host, port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            f.write_str(&percent_encode(user, ""))?;
            if let Some(password) = &self.password {
                write!(f, ":{}", percent_encode(password, ""))?;
            }
            f.write_str("@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", percent_encode(&self.host, ":"))?,
            false => f.write_str(&percent_encode(&self.host, ""))?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Url {
    /// Reads a URL.
    ///
    /// Errors: a part has characters that may not stand there, or there is no scheme.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some((scheme, rest)) = rest.split_once(':') else {
            return Err(UrlError::new(url, "it doesn't have a scheme"));
        };
        let is_scheme_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            || !scheme.bytes().all(is_scheme_byte)
        {
            return Err(UrlError::new(url, "it doesn't have a scheme"));
        }
        let (authority, path) = match rest.strip_prefix("//") {
            None => (None, rest),
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(Authority::parse(&rest[..end], url)?), &rest[end..])
            }
        };
        let mut parsed = Self {
            scheme: scheme.to_owned(),
            authority,
            path: Vec::new(),
            query: decode_query(query, url)?,
            // Here, and only here, another `#` may stand as it is.
            fragment: percent_decode(fragment, url, |byte| b":@/? \"^#".contains(&byte))?,
        };
        let is_file = parsed.transport() == "file";
        if is_file && parsed.authority.as_ref().is_some_and(|who| !who.host.is_empty()) {
            return Err(UrlError::new(url, "a file has no host"));
        }
        let path = if is_file && path.is_empty() { "/" } else { path };
        for part in path.split('/') {
            parsed.path.push(percent_decode(part, url, |byte| b":@".contains(&byte))?);
        }
        Ok(parsed)
    }

    /// What stands before the `+` of the scheme.
    #[must_use]
    pub fn application(&self) -> Option<&str> {
        self.scheme.split_once('+').map(|(application, _)| application)
    }

    /// What stands behind the `+` of the scheme, or all of it.
    #[must_use]
    pub fn transport(&self) -> &str {
        self.scheme.split_once('+').map_or(&self.scheme, |(_, transport)| transport)
    }

    /// The path in clear.
    #[must_use]
    pub fn path_text(&self) -> String {
        self.path.join("/")
    }

    /// The parts of the path that are not empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.iter().map(String::as_str).filter(|part| !part.is_empty())
    }
}

/// A file path as the parts of a URL's path.
#[must_use]
pub fn path_parts(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    if path.starts_with('/') {
        parts.push(String::new());
    }
    parts.extend(path.split('/').filter(|part| !part.is_empty()).map(str::to_owned));
    if path.ends_with('/') {
        parts.push(String::new());
    }
    parts
}

pub(crate) fn write_query(
    f: &mut fmt::Formatter<'_>,
    query: &BTreeMap<String, String>,
) -> fmt::Result {
    for (at, (name, value)) in query.iter().enumerate() {
        let sign = if at > 0 { "&" } else { "?" };
        let (name, value) = (percent_encode(name, ":@/?"), percent_encode(value, ":@/?"));
        write!(f, "{sign}{name}={value}")?;
    }
    Ok(())
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(authority) = &self.authority {
            write!(f, "//{authority}")?;
        }
        for (at, part) in self.path.iter().enumerate() {
            let slash = if at > 0 { "/" } else { "" };
            write!(f, "{slash}{}", percent_encode(part, ":@"))?;
        }
        write_query(f, &self.query)?;
        match self.fragment.as_str() {
            "" => Ok(()),
            fragment => write!(f, "#{}", percent_encode(fragment, "")),
        }
    }
}
