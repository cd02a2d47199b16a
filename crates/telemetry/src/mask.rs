//! Takes secrets out of what is logged and traced.
//!
//! Callers are not trusted to do it: every text passes here on its way out, be it a message, a
//! field, or an attribute of a span. What a secret looks like is found in three ways: by the name
//! that stands before it (`password=`, `"token":`, `Authorization:`), by its own shape (NATS seeds,
//! JWTs, keys of well-known hosts, PEM), and by its place (`user:password@` in addresses). One pass
//! over the text, linear in its length; a text without secrets is not copied. What is masked too
//! often costs a reader a word; what is masked too rarely costs more.

use std::borrow::Cow;
use std::ops::Range;

mod names;
mod shapes;

use names::{Secrecy, secrecy};

/// What stands where a secret stood.
pub const MASK: &str = "***";

/// No user and password of an address are longer than that.
const MOST_USER: usize = 1024;

/// Returns `text` without the secrets in it.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let ranges = secrets(text);
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        masked.push_str(&text[at..range.start]);
        masked.push_str(MASK);
        at = range.end;
    }
    masked.push_str(&text[at..]);
    Cow::Owned(masked)
}

/// Returns the value of the field `name` without the secrets in it; the name may tell that it is one.
#[must_use]
pub fn mask_field<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    if secrecy(name) != Secrecy::None && !value.is_empty() {
        return Cow::Borrowed(MASK);
    }
    mask(value)
}

/// Texts are cut behind so many bytes: none is a way to fill a disk.
const MOST: usize = 8 << 10;

/// [`mask_field`] of a text of any length, cut if it is long.
pub(crate) fn bounded<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    cut(name, &value[..head_of(value)], value.len())
}

/// The beginning of a text that will be masked and cut, if it is wanted at all.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Bounded {
    head: String,
    n_bytes: usize,
}

impl Bounded {
    pub(crate) fn new(value: &str) -> Self {
        Self { head: value[..head_of(value)].to_owned(), n_bytes: value.len() }
    }

    /// What [`bounded`] makes of the whole text.
    pub(crate) fn masked(&self, name: &str) -> String {
        cut(name, &self.head, self.n_bytes).into_owned()
    }
}

/// So much more that what is secret at the cut is still recognized.
fn head_of(value: &str) -> usize {
    value.floor_char_boundary(2 * MOST)
}

fn cut<'v>(name: &str, head: &'v str, n_bytes: usize) -> Cow<'v, str> {
    let masked = mask_field(name, head);
    if head.len() == n_bytes && masked.len() <= MOST {
        return masked;
    }
    let end = masked.floor_char_boundary(MOST);
    Cow::Owned(format!("{}… ({n_bytes} bytes)", &masked[..end]))
}

/// Where the secrets of `text` are, from left to right and apart from each other.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // The next `@`, looked for once: without one near, there is no user in an address.
    let mut sign = find(bytes, 0, b'@');
    while at < bytes.len() {
        if sign < at {
            sign = find(bytes, at, b'@');
        }
        if let Some(end) = shapes::pem(text, at) {
            found.push(at..end);
            at = end;
        } else if text[at..].starts_with("://") {
            at += 3;
            let is_near = sign < bytes.len().min(at + MOST_USER);
            if let Some(end) = is_near.then(|| user_of(bytes, at)).flatten() {
                let keeps = is_login_only(&text[..at - 3], &text[at..end]);
                found.extend((!keeps).then_some(at..end));
                at = end;
            }
        } else if is_word(bytes[at]) {
            let end = end_of(bytes, at, is_word);
            // A block of PEM may begin where a word ends.
            let block = text[at + 1..end].find("-----BEGIN").map(|block| at + 1 + block);
            at = word(text, at..block.unwrap_or(end), &mut found);
        } else {
            at = next_char(text, at);
        }
    }
    found
}

/// Judges a word and what it names; returns where to go on.
fn word(text: &str, word: Range<usize>, found: &mut Vec<Range<usize>>) -> usize {
    let name = &text[word.clone()];
    if shapes::is_secret(name) {
        found.push(word.clone());
        return word.end;
    }
    if is_scheme(name) && text[word.end..].starts_with(' ') {
        let from = end_of(text.as_bytes(), word.end, |byte| byte == b' ');
        let to = end_of(text.as_bytes(), from, is_credential);
        if shapes::is_credential(&text[from..to]) {
            found.push(from..to);
            return to;
        }
    }
    let may_name = text.as_bytes().get(word.end).is_some_and(|byte| b"\\\"' \t=:".contains(byte));
    let secrecy = if may_name { secrecy(name) } else { Secrecy::None };
    if secrecy == Secrecy::None {
        return word.end;
    }
    let Some(value) = value_after(text, word.clone(), secrecy) else { return word.end };
    let end = value.end;
    found.extend((!value.is_empty()).then_some(value));
    end
}

/// The value that stands behind a name: after `=`, `:` or `=>`, or as the next argument of a command.
fn value_after(text: &str, name: Range<usize>, secrecy: Secrecy) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // The quote that may end the name, as in JSON; escaped where JSON stands in a text.
    let mut at = end_of(bytes, name.end, |byte| matches!(byte, b'\\' | b'"' | b'\''));
    let closed_name = at > name.end;
    at = end_of(bytes, at, is_blank);
    let is_argument = name_begins_argument(text, &name) || is_netrc(text, &name);
    match bytes.get(at)? {
        b'=' | b':' => {
            at = end_of(bytes, at + 1, |byte| matches!(byte, b'=' | b'>' | b':'));
            at = end_of(bytes, at, is_blank);
        }
        _ if is_argument && !closed_name && at > name.end => {}
        _ => return None,
    }
    // What `Debug` writes around optional values.
    for wrapper in ["Some(", "Ok(", "["] {
        if text[at..].starts_with(wrapper) {
            at += wrapper.len();
        }
    }
    Some(value_at(text, at, secrecy))
}

/// The value that begins at `at`, without the quotes around it.
fn value_at(text: &str, at: usize, secrecy: Secrecy) -> Range<usize> {
    let bytes = text.as_bytes();
    let escapes = end_of(bytes, at, |byte| byte == b'\\');
    if let Some(&quote @ (b'"' | b'\'')) = bytes.get(escapes) {
        let from = escapes + 1;
        return from..closing(bytes, from, quote, escapes - at);
    }
    let end = match secrecy {
        // `Bearer TOKEN`, lists of `host=token`: all there is on the line.
        Secrecy::Line => end_of(bytes, at, |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'')),
        _ => end_of(bytes, at, |byte| !is_blank(byte) && !b"\n\r,;&)}]\"'<>`".contains(&byte)),
    };
    at..end
}

/// Where the quote is closed that has `n_escapes` backslashes before it; the text's end otherwise.
fn closing(bytes: &[u8], from: usize, quote: u8, n_escapes: usize) -> usize {
    let mut n_before = 0;
    for (position, byte) in bytes.iter().enumerate().skip(from) {
        match *byte {
            b'\\' => n_before += 1,
            byte if byte == quote && closes(n_before, n_escapes) => {
                return position - n_before.min(n_escapes);
            }
            _ => n_before = 0,
        }
    }
    bytes.len()
}

/// Whether a quote with backslashes before it ends what another began: it has no more of them, or
/// they escape each other.
fn closes(n_before: usize, n_escapes: usize) -> bool {
    n_before <= n_escapes || (n_escapes == 0 && n_before.is_multiple_of(2))
}

/// Where the user and password of an address end, if it has any: at the last `@` of its authority.
///
/// Looks no further than that of any real address is, so that many beginnings of addresses are not
/// many walks to the end.
fn user_of(bytes: &[u8], from: usize) -> Option<usize> {
    let bytes = &bytes[..bytes.len().min(from + MOST_USER)];
    let end = end_of(bytes, from, |byte| !is_blank(byte) && !b"\n\r\"'<>`".contains(&byte));
    let address = &bytes[from..end];
    let authority = address.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(address.len());
    if let Some(at) = address[..authority].iter().rposition(|byte| *byte == b'@') {
        return Some(from + at);
    }
    // A password with a slash in it is no valid address, and still a password: what stands behind
    // the colon is no port then.
    let colon = address[..authority].iter().position(|byte| *byte == b':')?;
    let port = &address[colon + 1..authority];
    let is_port = !port.is_empty() && port.iter().all(u8::is_ascii_digit);
    let at = address.iter().rposition(|byte| *byte == b'@')?;
    (!is_port && address[0] != b'[').then_some(from + at)
}

/// Whether the user of an address is a name that everyone has, as in `ssh://git@host`.
fn is_login_only(before: &str, user: &str) -> bool {
    before.ends_with("ssh") && !user.contains(':') && !shapes::is_secret(user)
}

/// `login NAME password VALUE`, as in a netrc file.
fn is_netrc(text: &str, name: &Range<usize>) -> bool {
    let near = text.floor_char_boundary(name.start.saturating_sub(256));
    let mut before = text[near..name.start].split_ascii_whitespace().rev().skip(1);
    text[name.clone()].eq_ignore_ascii_case("password") && before.next() == Some("login")
}

/// `--token VALUE`, as an argument of a program.
fn name_begins_argument(text: &str, name: &Range<usize>) -> bool {
    text[name.clone()].starts_with("--")
}

/// How credentials of HTTP begin.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "token", "digest"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn end_of(bytes: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let n_more = bytes[from..].iter().position(|byte| !is_part(*byte));
    n_more.map_or(bytes.len(), |n_more| from + n_more)
}

/// Where a byte is at or behind `from`; the end if it is not.
fn find(bytes: &[u8], from: usize, wanted: u8) -> usize {
    end_of(bytes, from, |byte| byte != wanted)
}

fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests;
