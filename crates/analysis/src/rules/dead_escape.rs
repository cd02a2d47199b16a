//! COR009: a backslash that Nix drops.

use cim_nix_base::{Applicability, Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef};

use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR009"),
    name: "dead-escape",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Str], check),
    words: &["\\"],
    doc: "\
Flags a backslash in a `\"…\"` string in front of a character that has no escape.

The escapes of Nix are `\\n`, `\\r`, `\\t`, `\\\\`, `\\\"` and `\\$`.

## Why it matters

Nix drops the backslash without a word: `\"\\.\"` is a dot that matches everything, `\"\\d\"` the letter
d, and a backslash at the end of a line joins nothing.

## Example

```nix
name: builtins.match \"[a-z]+\\.nix\" name
```

## Better

```nix
name: builtins.match \"[a-z]+\\\\.nix\" name
```

## When the fix is unsafe

It doubles the backslash, which is what regular expressions and shells want to see. The text was
another one until now, and somebody may rely on it.

## Source

Nix's lexer; nixpkgs-vet reports the same as NPV-170.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    // Not the node's text: strings within strings would be read over and over.
    if !node.own_tokens().any(|token| memchr::memchr(b'\\', token.text().as_bytes()).is_some()) {
        return;
    }
    let mut first = None;
    let mut edits = Vec::new();
    let mut tokens = Vec::new();
    for token in node.own_tokens() {
        let mut doubled = String::new();
        let mut from = 0;
        if token.kind() == TokenKind::StrContent {
            for at in dead_escapes(token.text()) {
                first = first.or(Some((token, at)));
                edits.push(TextEdit::insert(token.range().start + at as u32, "\\"));
                doubled.push_str(&token.text()[from..at]);
                doubled.push('\\');
                from = at;
            }
        }
        if first.is_some() {
            doubled.push_str(&token.text()[from..]);
            tokens.push(doubled);
        } else {
            tokens.push(String::new());
        }
    }
    let Some((token, at)) = first else { return };
    // What stands before the first one was not copied.
    for (text, own) in tokens.iter_mut().zip(node.own_tokens()).filter(|(text, _)| text.is_empty())
    {
        own.text().clone_into(text);
    }
    let rewrite = Rewrite::SetTokens { node: node.id(), tokens };
    let title = if edits.len() == 1 { "double the backslash" } else { "double the backslashes" };
    report.add(finding(token, at, edits.len() - 1).fix(
        Applicability::Unsafe,
        title,
        edits,
        vec![rewrite],
    ));
}

/// Where backslashes stand that Nix drops.
fn dead_escapes(text: &str) -> impl Iterator<Item = usize> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + memchr::memchr(b'\\', &text.as_bytes()[from..])?;
            let escaped = text[at + 1..].chars().next()?;
            from = at + 1 + escaped.len_utf8();
            // `$\{` keeps the brace from opening an interpolation.
            let keeps_text = escaped == '{' && text[..at].ends_with('$');
            if !keeps_text && !matches!(escaped, 'n' | 'r' | 't' | '\\' | '"' | '$') {
                return Some(at);
            }
        }
    })
}

/// The finding for the first of a string's dead escapes, which `n_more` follow.
fn finding(token: TokenRef<'_>, at: usize, n_more: usize) -> Finding {
    let escaped = token.text()[at + 1..].chars().next().unwrap_or(' ');
    let start = token.range().start + at as u32;
    let range = TextRange::new(start, start + 1 + escaped.len_utf8() as u32);
    let more =
        if n_more > 0 { format!(", and {n_more} more in this string") } else { String::new() };
    match escaped {
        '\n' => Finding::at(
            TextRange::new(start, start + 1),
            format!("Nix drops this backslash: the line ends here all the same{more}"),
        ),
        c if c.is_control() => Finding::at(range, format!("Nix drops this backslash{more}")),
        c => Finding::at(range, format!("`\\{c}` is no escape: Nix drops the backslash{more}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    #[test]
    fn backslashes_that_nix_drops_are_found() {
        assert_eq!(marked("COR009", r#""\d+\.\w""#), r"\d");
        assert_eq!(marked("COR009", "\"a \\\n b\""), "\\");
        assert_eq!(marked("COR009", "x: \"${x}\\é\""), "\\é");
        assert_eq!(marked("COR009", "{ \"a\\.b\" = 1; }"), "\\.");
    }

    #[test]
    fn escapes_are_fine() {
        assert_eq!(marked("COR009", r#""\n\r\t\\\"\${x}\$a""#), "");
        assert_eq!(marked("COR009", r#""\\d \\\\.""#), "");
        assert_eq!(marked("COR009", r"'' \d ''"), "");
        assert_eq!(marked("COR009", r#""$\{out}""#), "");
        assert_eq!(marked("COR009", r#"1 # "\d""#), "");
    }

    #[test]
    fn the_fix_doubles_them() {
        assert_eq!(fixed("COR009", r#""\d""#), r#""\d""#);
        assert_eq!(fixed_unsafely("COR009", r#""\d+\.\w\n""#), r#""\\d+\\.\\w\n""#);
        assert_eq!(fixed_unsafely("COR009", r#"x: "${x}\.${x}\d""#), r#"x: "${x}\\.${x}\\d""#);
    }
}
