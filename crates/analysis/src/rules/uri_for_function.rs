//! COR007: a URI literal where a function was meant.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR007"),
    name: "uri-for-function",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Literal], check),
    words: &[],
    doc: "\
Flags an unquoted URI that looks like a function without a blank behind its colon.

## Why it matters

`x:x` is not a function but the string `\"x:x\"`.

## Example

```nix
map (x:x) [ 1 2 ]
```

## Better

```nix
map (x: x) [ 1 2 ]
```

```nix
{ url = https://example.org; contact = mailto:me@example.org; }
```

## Source

NixOS/nix issue 1017; RFC 45 on the deprecation of unquoted URIs.
",
};

/// Schemes that are used without `//` in Nix code.
const SCHEMES: &[&str] = &[
    "about",
    "data",
    "flake",
    "git",
    "github",
    "gitlab",
    "indirect",
    "magnet",
    "mailto",
    "mirror",
    "news",
    "path",
    "sourcehut",
    "tel",
    "tarball",
    "urn",
    "xmpp",
    "file",
    "http",
    "https",
    "ftp",
];

/// Bytes of an address that a message repeats; it may be as long as its file.
const MAX_SHOWN: usize = 60;

/// An address holds ASCII alone.
fn first_chars(text: &str) -> &str {
    text.get(..MAX_SHOWN).unwrap_or(text)
}

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_uri = node.first_token().is_some_and(|token| token.kind() == TokenKind::Uri);
    let Some((scheme, rest)) = node.text().split_once(':').filter(|_| is_uri) else { return };
    if is_address(node.text()) {
        return;
    }
    let is_short = node.text().len() <= MAX_SHOWN;
    let (text, function) = if is_short {
        (node.text().to_owned(), format!("{scheme}: {rest}"))
    } else {
        (format!("{}…", first_chars(node.text())), "argument: body".to_owned())
    };
    report.add(
        Finding::at(node.range(), format!("this is the string \"{text}\", not a function"))
            .help(format!("for a function, put a blank behind the colon: `{function}`")),
    );
}

/// Whether a URI is one that people write, rather than a function without a blank.
pub(super) fn is_address(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with('/') || SCHEMES.contains(&scheme) || scheme.contains(['+', '.'])
    })
}
