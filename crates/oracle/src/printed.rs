//! Comparing what Nix prints of a program with what our IR prints.
//!
//! [`normalize`] removes the one thing that our IR rightly does not know: into how many pieces
//! Nix's lexer cut a string.

use cim_nix_semantics::print::{Places, print as print_ir, quoted};

/// Prints a program as `nix-instantiate --parse` does; `None` when we find it broken.
#[must_use]
pub fn print(text: &str, places: Places<'_>) -> Option<String> {
    let parse = cim_nix_syntax::parse(text);
    if !parse.problems.is_empty() {
        return None;
    }
    let ir = cim_nix_semantics::lower(&parse.tree);
    ir.problems.is_empty().then(|| print_ir(&ir, &parse.tree, places))
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
