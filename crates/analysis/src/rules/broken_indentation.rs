//! COR008: a tab or carriage return that keeps a string from losing its indentation.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR008"),
    name: "broken-indentation",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::IndStr], check),
    words: &["\t", "\r"],
    doc: "\
Flags a tab or a carriage return in the indentation of a `''…''` string that keeps its other lines
from losing theirs.

Strings whose lines are all indented by tabs are left alone, as nothing is taken off any of them.

## Why it matters

Nix takes off as many spaces as all lines begin with, and to it a tab is text. So one line that
begins with a tab, or an empty line that ends in a carriage return, is not indented at all, and every
other line keeps its spaces: here-documents do not end, YAML and Makefiles break.

## Example

```nix
''
    one
\ttwo
''
```

## Better

```nix
''
    one
    two
''
```

## Source

Nix's stripping of indentation; asked for in nixpkgs-vet issue 222 and nix-idea issue 26.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    // Not the node's text: strings within strings would be read over and over.
    let is_odd = |text: &str| memchr::memchr2(b'\t', b'\r', text.as_bytes()).is_some();
    if !node.own_tokens().any(|token| is_odd(token.text())) {
        return;
    }
    let lines = lines(node);
    let indents = |is_broken: bool| {
        lines.iter().filter(move |line| line.is_broken == is_broken).map(|line| line.n_spaces)
    };
    let (Some(sound), Some(broken)) = (indents(false).min(), indents(true).min()) else { return };
    if broken >= sound {
        return;
    }
    let first = lines.iter().find(|line| line.is_broken && line.n_spaces == broken);
    let Some(first) = first else { return };
    let word = if context_byte(node, first.range) == b'\t' { "tab" } else { "carriage return" };
    let n_kept = sound - broken;
    let spaces = if n_kept == 1 { "space" } else { "spaces" };
    let message =
        format!("this {word} makes all other lines keep {n_kept} {spaces} of indentation");
    report.add(Finding::at(first.range, message).help("indent every line by spaces"));
}

fn context_byte(node: Node<'_>, range: TextRange) -> u8 {
    node.tree().text().as_bytes()[range.start as usize]
}

/// A line of an indented string that counts for its indentation.
struct Line {
    n_spaces: usize,
    /// Whether a tab or carriage return ends the indentation.
    is_broken: bool,
    /// The byte that ends the indentation.
    range: TextRange,
}

/// The lines that count for the indentation. As in Nix, those of spaces only do not.
fn lines(node: Node<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    // The spaces of the current line, until its first byte that is none is found.
    let mut n_spaces = Some(0);
    let mut children = node.children().peekable();
    for token in node.own_tokens() {
        while let Some(child) = children.next_if(|child| child.range().start < token.range().start)
        {
            if let Some(n_spaces) = n_spaces.take() {
                lines.push(Line { n_spaces, is_broken: false, range: child.range() });
            }
        }
        if token.kind() != TokenKind::IndContent {
            continue;
        }
        for (at, byte) in token.text().bytes().enumerate() {
            match (byte, n_spaces) {
                (b'\n', _) => n_spaces = Some(0),
                (b' ', Some(n)) => n_spaces = Some(n + 1),
                (_, Some(n)) => {
                    let at = token.range().start + at as u32;
                    let range = TextRange::new(at, at + 1);
                    lines.push(Line {
                        n_spaces: n,
                        is_broken: matches!(byte, b'\t' | b'\r'),
                        range,
                    });
                    n_spaces = None;
                }
                (_, None) => {}
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use cim_nix_syntax::{literal, parse};

    use crate::rules::testing::{found, marked};

    #[track_caller]
    fn kept(text: &str) -> usize {
        let tree = parse(text).tree;
        let value = literal::static_string(tree.root().child(0).unwrap()).unwrap();
        let line = value.lines().find(|line| line.contains('a')).unwrap();
        line.bytes().take_while(|byte| *byte == b' ').count()
    }

    #[test]
    fn a_line_that_begins_with_a_tab_keeps_the_others_indented() {
        let text = "''\n    a\n\tb\n    c\n''";
        assert_eq!(
            found("COR008", text),
            "\t: this tab makes all other lines keep 4 spaces of indentation\n"
        );
        assert_eq!(kept(text), 4);
        let text = "''\n    a\n   \tb\n''";
        assert_eq!(
            found("COR008", text),
            "\t: this tab makes all other lines keep 1 space of indentation\n"
        );
        assert_eq!(kept(text), 1);
    }

    #[test]
    fn carriage_returns_are_text_to_nix() {
        let text = "''\n    a\n\r\n    b\n''";
        assert_eq!(marked("COR008", text), "\r");
        assert_eq!(kept(text), 4);
        assert_eq!(marked("COR008", "''\n    a\r\n    b\r\n''"), "");
    }

    #[test]
    fn what_takes_nothing_off_is_fine() {
        for text in [
            "''\n\ta\n\tb\n''",
            "''\n    a\n    \tb\n''",
            "''\n    a\n      \tb\n''",
            "''a\n\tb\n''",
            "''\n    a\tb\n''",
            "x: ''\n${x}\n\tb\n''",
            "''\n    a\n''\\tb\n''",
            "\"\n    a\n\tb\"",
        ] {
            assert_eq!(marked("COR008", text), "", "{text:?}");
        }
    }
}
