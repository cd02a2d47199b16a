//! DEAD014: code in comments.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{NodeKind, TokenKind, TokenRef, ast, parse};

use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD014"),
    name: "commented-code",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["#"],
    doc: "\
Flags lines that were made a comment and are still code: they parse as bindings of a set.

Words and lists are left alone, since texts look like them.

## Why it matters

Nobody keeps it working, and version control remembers it. The rule is opt-in: templates show what
can be set in this way.

## Example

```nix
{
  a = 1;
  # services.openssh.enable = true;
  # services.openssh.ports = [ 22 ];
}
```

## Better

```nix
{
  a = 1;
}
```

## Source

No other tool looks for it.
",
};

/// Longer comments are texts.
const MAX_BYTES: usize = 16 * 1024;

fn check(context: &Context<'_>, report: &mut Report) {
    let mut block: Option<(TokenRef<'_>, TokenRef<'_>)> = None;
    for token in context.tree.tokens() {
        let is_line_comment = token.kind() == TokenKind::LineComment;
        block = match block {
            Some((first, _)) if is_line_comment => Some((first, token)),
            Some(block) if goes_on(token) => Some(block),
            Some(block) => {
                add(context, block, report);
                None
            }
            None if is_line_comment && layout::starts_line(token) => Some((token, token)),
            None => None,
        };
    }
}

/// Whether a block of comments may go on behind a token: the line break between two of them.
fn goes_on(token: TokenRef<'_>) -> bool {
    token.kind() == TokenKind::Whitespace
        && token.text().bytes().filter(|byte| *byte == b'\n').count() < 2
}

fn add(context: &Context<'_>, (first, last): (TokenRef<'_>, TokenRef<'_>), report: &mut Report) {
    let range = TextRange::new(first.range().start, last.range().end);
    let text = &context.text()[range.as_usize()];
    let may_be_code = text.contains('=') && text.trim_end().ends_with(';');
    if may_be_code && text.len() <= MAX_BYTES && is_code(text) {
        report.add(
            Finding::at(range, "this comment is code")
                .help("remove it; version control remembers it"),
        );
    }
}

/// Whether a block of line comments parses as bindings of a set.
fn is_code(block: &str) -> bool {
    let mut code = "{\n".to_owned();
    for line in block.lines() {
        code.push_str(line.trim_start().trim_start_matches('#'));
        code.push('\n');
    }
    code.push('}');
    let parse = parse(code);
    let root = parse.tree.root();
    let set = root.child(0).filter(|set| set.kind() == NodeKind::AttrSet);
    let Some(set) = set.filter(|_| parse.problems.is_empty()) else { return false };
    // A sentence with one `=` in it may parse by chance: as the application of one word to others.
    let is_sure = |value: cim_nix_syntax::Node<'_>| value.kind() != NodeKind::Apply;
    ast::entries(set).any(|entry| match entry {
        ast::Entry::Binding(binding) => binding.value().is_some_and(is_sure),
        ast::Entry::Inherit(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn bindings_in_comments() {
        assert_eq!(marked("DEAD014", "{\n  # a = 1;\n}"), "# a = 1;");
        assert_eq!(
            marked("DEAD014", "{\n  #a = {\n  #  b = [ ];\n  #};\n  c = 1; }"),
            "#a = {\n  #  b = [ ];\n  #};"
        );
        assert_eq!(marked("DEAD014", "{ }\n# a.b = x: x;\n\n# text\n"), "# a.b = x: x;");
    }

    #[test]
    fn texts_are_left_alone() {
        for comment in [
            "# set a = b to win;",
            "# a = b c d;",
            "# one; two;",
            "# a = 1;\n# and so on",
            "# like { a = 1; }",
            "# [ 1 2 ]",
        ] {
            assert_eq!(
                marked("DEAD014", &format!("{{\n  {comment}\n  z = 1;\n}}")),
                "",
                "{comment}"
            );
        }
        assert_eq!(marked("DEAD014", "{\n  z = 1; # a = 1;\n}"), "");
    }
}
