//! STY004: a URI without quotes.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use super::calls::{replaced, with_fix};
use super::uri_for_function;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY004"),
    name: "unquoted-uri",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::Literal], check),
    words: &[],
    doc: "\
Flags a URI without quotes.

What looks like a function without a blank behind its colon is the business of `uri-for-function`.

## Why it matters

Such literals are deprecated; Nix can be told to refuse them. The rule is opt-in since it still
reads them.

## Example

```nix
{ url = https://example.org/a.tar.gz; }
```

## Better

```nix
{ url = \"https://example.org/a.tar.gz\"; }
```

## When the fix is unsafe

Never: it is the same string.

## Source

RFC 45; also found by statix and nixd.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_uri = node.first_token().is_some_and(|token| token.kind() == TokenKind::Uri);
    if !is_uri || !uri_for_function::is_address(node.text()) {
        return;
    }
    let found = Finding::at(node.range(), "this URI has no quotes");
    let fix = replaced(node, || format!("\"{}\"", node.text()));
    report.add(with_fix(found, Applicability::Safe, "add quotes", fix));
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn addresses_without_quotes() {
        assert_eq!(marked("STY004", "[ http://a.b/c?d=$e 1 ./x ]"), "http://a.b/c?d=$e");
        assert_eq!(marked("STY004", "x:x"), "");
        assert_eq!(marked("STY004", "\"http://a\""), "");
        assert_eq!(fixed("STY004", "[ http://a.b/$c'~ ]"), "[ \"http://a.b/$c'~\" ]");
    }
}
