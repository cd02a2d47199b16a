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

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
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

/// A token of what Nix prints.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    /// A string literal, escapes resolved.
    Text(String),
    /// Anything else.
    Other(String),
}

/// Joins strings that are added to each other and drops parentheses around a single one.
///
/// Nix prints the pieces into which its lexer cut a string. In a program, `"a" + "b"` looks the
/// same, so both sides of a comparison need this.
#[must_use]
pub fn normalize(printed: &str) -> String {
    let mut tokens: Vec<Token> = Vec::new();
    for token in tokenize(printed) {
        push(&mut tokens, token);
    }
    tokens
        .into_iter()
        .map(|token| match token {
            Token::Text(text) => quoted(&text),
            Token::Other(text) => text,
        })
        .collect()
}

/// Adds a token; what it completes collapses.
fn push(tokens: &mut Vec<Token>, token: Token) {
    match token {
        Token::Text(text) => {
            if let [.., Token::Text(before), Token::Other(plus)] = tokens.as_mut_slice()
                && plus == " + "
            {
                before.push_str(&text);
                tokens.pop();
            } else {
                tokens.push(Token::Text(text));
            }
        }
        Token::Other(mut other) => {
            // Each closing parenthesis may meet a string that an opening one stands before.
            while other.starts_with(')') && has_open_text(tokens) {
                other.remove(0);
                let text = tokens.pop();
                if let Some(Token::Other(before)) = tokens.last_mut() {
                    before.pop();
                    if before.is_empty() {
                        tokens.pop();
                    }
                }
                if let Some(Token::Text(text)) = text {
                    push(tokens, Token::Text(text));
                }
            }
            if !other.is_empty() {
                tokens.push(Token::Other(other));
            }
        }
    }
}

fn has_open_text(tokens: &[Token]) -> bool {
    matches!(tokens, [.., Token::Other(before), Token::Text(_)] if before.ends_with('('))
}

fn tokenize(printed: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut other = String::new();
    // How many braces are open inside each computed name, innermost last.
    let mut names: Vec<usize> = Vec::new();
    let mut rest = printed;
    while let Some(c) = rest.chars().next() {
        if c == '"' && !rest.starts_with("\"${") {
            tokens.extend((!other.is_empty()).then(|| Token::Other(std::mem::take(&mut other))));
            let (text, len) = read_string(rest);
            tokens.push(Token::Text(text));
            rest = &rest[len..];
            continue;
        }
        let taken = match (c, names.last_mut()) {
            ('"', _) => {
                names.push(0);
                "\"${".len()
            }
            ('{', Some(depth)) => {
                *depth += 1;
                1
            }
            ('}', Some(0)) => {
                names.pop();
                "}\"".len().min(rest.len())
            }
            ('}', Some(depth)) => {
                *depth -= 1;
                1
            }
            _ => c.len_utf8(),
        };
        other.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    tokens.extend((!other.is_empty()).then_some(Token::Other(other)));
    tokens
}

/// Reads a string literal; its value and its length with the quotes.
fn read_string(printed: &str) -> (String, usize) {
    let mut out = String::new();
    let mut chars = printed.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, at + 1),
            '\\' => out.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 'r')) => '\r',
                Some((_, 't')) => '\t',
                Some((_, other)) => other,
                None => '\\',
            }),
            _ => out.push(c),
        }
    }
    (out, printed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_string_are_joined() {
        assert_eq!(normalize(r#"("a" + "''" + "b")"#), r#""a''b""#);
        assert_eq!(normalize(r#"("$" + "{x}" + c)"#), r#"("\${x}" + c)"#);
        assert_eq!(normalize(r#"((("a")) + "b")"#), r#""ab""#);
        assert_eq!(normalize(r#"[ ("a") (f "b") ]"#), r#"[ "a" (f "b") ]"#);
        assert_eq!(normalize(r#"(f ("a") + 1)"#), r#"(f "a" + 1)"#);
    }

    #[test]
    fn computed_names_are_no_strings() {
        let printed = r#"{ "${("a" + { b = "}"; }.b)}" = "${("c")}"; }"#;
        assert_eq!(normalize(printed), r#"{ "${("a" + { b = "}"; }.b)}" = "${"c"}"; }"#);
    }
}
