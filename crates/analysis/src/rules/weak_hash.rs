//! SEC005: a download that is checked with a broken hash function.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::fetchers::{Fetch, HASHES, short_text};
use super::places::is_alternative;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC005"),
    name: "weak-hash",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply, NodeKind::Binding], check),
    words: &["md5", "sha1"],
    doc: "\
Flags a fetcher, or an `outputHashAlgo`, that uses MD5 or SHA-1.

A fetcher that is given a stronger hash as well is left alone, and so is a hash that is handed on
from elsewhere.

## Why it matters

For both functions, two different files with the same hash can be made. Whoever prepares a download
can so replace it later without Nix noticing. Nix has removed MD5 from most places.

## Example

```nix
{ fetchurl }:
fetchurl {
  url = \"https://example.org/tool.tar.gz\";
  sha1 = \"da39a3ee5e6b4b0d3255bfef95601890afd80709\";
}
```

## Better

```nix
{ fetchurl }:
fetchurl {
  url = \"https://example.org/tool.tar.gz\";
  hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}
```

## Source

SHA-1 is a Shambles (2020); MD5 has been broken since 2004.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let weak = match node.kind() {
        NodeKind::Apply => Fetch::of(context, node).and_then(|fetch| weak_hash(context, &fetch)),
        _ => weak_algorithm(context, node),
    };
    if let Some((weak, algorithm)) = weak {
        let message = format!("{algorithm} does not protect this download: collisions can be made");
        report.add(Finding::at(weak.range(), message).help("use `hash = \"sha256-…\"`"));
    }
}

fn weak_hash<'a>(context: &Context<'a>, fetch: &Fetch<'a>) -> Option<(Node<'a>, &'static str)> {
    let mut weak = None;
    for &name in HASHES {
        let Some(attr) = fetch.argument.get(name) else { continue };
        let text = attr.value.and_then(|value| short_text(context, value));
        let by_name = match name {
            "md5" => Some("MD5"),
            "sha1" => Some("SHA-1"),
            _ => text.as_deref().and_then(by_prefix),
        };
        match (attr.value, by_name, text.as_deref()) {
            (Some(_), Some(algorithm), Some(text)) if !text.is_empty() => {
                weak = Some((attr.name, algorithm));
            }
            (_, Some(_), _) => {}
            // A stronger one beside it decides.
            (_, None, _) => return None,
        }
    }
    weak
}

fn by_prefix(hash: &str) -> Option<&'static str> {
    let prefix = hash.split(['-', ':']).next()?;
    match prefix {
        "md5" => Some("MD5"),
        "sha1" => Some("SHA-1"),
        _ => None,
    }
}

fn weak_algorithm<'a>(context: &Context<'a>, node: Node<'a>) -> Option<(Node<'a>, &'static str)> {
    let binding = ast::Binding::cast(node)?;
    let name = binding.attr_path()?.elements().last()?;
    // A fetcher of its own chooses by what it is given.
    (name.name()? == "outputHashAlgo" && !is_alternative(node)).then_some(())?;
    let value = binding.value()?;
    by_prefix(&short_text(context, value)?).map(|algorithm| (value, algorithm))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn weak_hashes_are_found() {
        assert_eq!(marked("SEC005", "{ fetchurl }: fetchurl { md5 = \"a\"; }"), "md5");
        assert_eq!(marked("SEC005", "{ fetchurl }: fetchurl { hash = \"sha1-a\"; }"), "hash");
        assert_eq!(marked("SEC005", "{ outputHashAlgo = \"md5\"; }"), "\"md5\"");
        assert_eq!(
            marked("SEC005", "{ fetchurl }: let h = \"a\"; in fetchurl { sha1 = h; }"),
            "sha1"
        );
    }

    #[test]
    fn stronger_and_handed_on_ones_are_fine() {
        assert_eq!(marked("SEC005", "{ fetchurl }: fetchurl { hash = \"sha256-a\"; }"), "");
        assert_eq!(
            marked("SEC005", "{ fetchurl }: fetchurl { sha1 = \"a\"; sha256 = \"b\"; }"),
            ""
        );
        assert_eq!(marked("SEC005", "{ fetchurl, sha1 }: fetchurl { inherit sha1; }"), "");
        assert_eq!(marked("SEC005", "{ fetchurl }: fetchurl { md5 = \"\"; sha256 = \"b\"; }"), "");
        assert_eq!(marked("SEC005", "builtins.hashString \"md5\" \"sha1\""), "");
        assert_eq!(marked("SEC005", "{ md5 = \"a\"; }"), "");
        let chosen = "s: if s == \"\" then { } else { outputHashAlgo = \"sha1\"; }";
        assert_eq!(marked("SEC005", chosen), "");
    }
}
