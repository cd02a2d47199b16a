//! DEP010: an input that is fetched without encryption.

use cim_nix_base::{Applicability, Code, Severity, TextEdit};
use cim_nix_syntax::{NodeKind, ast};

use super::hosts::{host_of, is_this_machine};
use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP010"),
    name: "plain-transport",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input that is fetched over `http://`, `git://` or `ftp://`.

Addresses of the same machine are left alone.

## Why it matters

Anybody on the way can see what is fetched, and when the lock file is written, can replace it: what
came is then locked.

## Example

```nix
{
  inputs.a.url = \"git+http://example.org/a\";
  outputs = { self, a }: { };
}
```

## Better

```nix
{
  inputs.a.url = \"git+https://example.org/a\";
  outputs = { self, a }: { };
}
```

## When the fix is unsafe

The server may not answer over HTTPS, or under another certificate. The lock file is written anew.

## Source

The manual of Nix on flake references.
",
};

/// Beginnings of references, and what to use instead.
const PLAIN: &[(&str, &str)] = &[
    ("http://", "https://"),
    ("git://", "git+https://"),
    ("git+http://", "git+https://"),
    ("tarball+http://", "tarball+https://"),
    ("file+http://", "file+https://"),
    ("hg+http://", "hg+https://"),
    ("ftp://", ""),
];

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    for input in &facts.file.inputs {
        for (_, input) in input.all() {
            let Some(url) = &input.url else { continue };
            let plain = PLAIN.iter().find(|(plain, _)| url.value.starts_with(plain));
            let Some((plain, secure)) = plain else { continue };
            if is_this_machine(host_of(&url.value[plain.len()..])) {
                continue;
            }
            let message = format!("`{}` is fetched without encryption", input.name);
            let mut finding = Finding::at(url.range, message);
            let node = context.node(url.node);
            let rest = node.text().strip_prefix('"').and_then(|text| text.strip_prefix(plain));
            if let Some(rest) = rest.filter(|_| is_plain_string(node) && !secure.is_empty()) {
                let text = format!("\"{secure}{rest}");
                finding = finding.fix(
                    Applicability::Unsafe,
                    "use HTTPS",
                    vec![TextEdit::replace(node.range(), text.clone())],
                    vec![Rewrite::Substitute { node: node.id(), text }],
                );
            }
            report.add(finding);
        }
    }
}

fn is_plain_string(node: cim_nix_syntax::Node<'_>) -> bool {
    node.kind() == NodeKind::Str
        && ast::Str::cast(node).is_some_and(|text| text.static_value().is_some())
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_flake, flake_found};

    fn flake(url: &str) -> String {
        format!("{{ inputs.n.url = {url}; outputs = x: {{ }}; }}")
    }

    #[test]
    fn plain_transports_are_found() {
        let check = |url: &str, is_found: bool| {
            assert_eq!(!flake_found("DEP010", &flake(url), "").is_empty(), is_found, "{url}");
        };
        check("\"http://example.org/x.tar.gz\"", true);
        check("\"git://example.org/x\"", true);
        check("http://example.org/x.tar.gz", true);
        check("\"https://example.org/x.tar.gz\"", false);
        check("\"git+ssh://git@example.org/x\"", false);
        check("\"http://localhost:8080/x.tar.gz\"", false);
        check("\"http://u@127.0.0.1/x.tar.gz\"", false);
        check("\"http://127.0.0.1.example.org.evil/x.tar.gz\"", true);
    }

    #[test]
    fn the_scheme_is_replaced() {
        let check = |url: &str, want: &str| {
            assert_eq!(fixed_flake("DEP010", &flake(url), ""), flake(want));
        };
        check("\"git://example.org/x?ref=a\"", "\"git+https://example.org/x?ref=a\"");
        check("\"http://example.org/x.tar.gz\"", "\"https://example.org/x.tar.gz\"");
        check("http://example.org/x.tar.gz", "http://example.org/x.tar.gz");
    }
}
