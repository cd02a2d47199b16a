//! SEC004: a hash that was only put in to learn the right one.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::fetchers::Fetch;
use super::places::{is_alternative, is_test_file, names_around};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC004"),
    name: "fake-hash",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binding], check),
    words: &[
        "fakeHash",
        "fakeSha",
        "sha256-AAAAAAAA",
        "sha512-AAAAAAAA",
        "00000000000000000000",
        "\"\"",
    ],
    doc: "\
Flags a hash that cannot be right: `lib.fakeHash` and its like, all zeros, or an empty string.

An empty string counts in the call of a fetcher, and for the names that package builders give to
hashes (`vendorHash`, `cargoHash`, `npmDepsHash`, …). Branches of an `if`, `passthru` and tests are
left alone.

## Why it matters

Such a hash is put in so that Nix reports the right one. Left behind, the package does not build, or
somebody takes the hash of whatever was downloaded that day without a look at it.

## Example

```nix
{ fetchurl, lib }:
fetchurl {
  url = \"https://example.org/tool.tar.gz\";
  hash = lib.fakeHash;
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

The nixpkgs manual on updating source hashes with fake ones.
",
};

/// The names that hashes of dependencies have in package builders, in lower case.
const BUILDER_HASHES: &[&str] = &[
    "cargohash",
    "cargosha256",
    "composerhash",
    "depshash",
    "depssha256",
    "mixhash",
    "mvnhash",
    "nodemoduleshash",
    "npmdepshash",
    "pnpmdepshash",
    "vendorhash",
    "vendorsha256",
    "yarnhash",
    "yarnofflinecachehash",
    "zigdepshash",
];

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(binding) = ast::Binding::cast(node) else { return };
    let name = binding.attr_path().and_then(|path| path.elements().last());
    let Some(name) = name.and_then(|name| name.name()) else { return };
    if !is_hash(&name) {
        return;
    }
    let Some(value) = binding.value().and_then(ast::without_parens) else { return };
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("fake") || !is_fake(context, node, value, &lower) {
        return;
    }
    if is_alternative(node) || is_set_aside(node) || is_test_file(context.path) {
        return;
    }
    let found = Finding::at(value.range(), "this hash is a stand-in for the right one");
    report.add(found.help("build it once and put in the hash that Nix reports"));
}

/// Whether a name says that it is that of a hash.
fn is_hash(name: &str) -> bool {
    ["hash", "sha256", "sha512", "sha1", "md5"].iter().any(|end| {
        let start = name.len().checked_sub(end.len());
        let tail = start.and_then(|start| name.as_bytes().get(start..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
    })
}

fn is_fake<'a>(context: &Context<'a>, binding: Node<'a>, value: Node<'a>, name: &str) -> bool {
    match value.kind() {
        NodeKind::Ident | NodeKind::Select => context.origin(value).is_some_and(|origin| {
            let is_theirs = matches!(origin.home, Home::Lib | Home::Packages | Home::Unknown);
            is_theirs && matches!(origin.name, "fakeHash" | "fakeSha256" | "fakeSha512")
        }),
        NodeKind::Str => ast::Str::cast(value).and_then(ast::Str::static_value).is_some_and(
            |text| match &*text {
                "" => BUILDER_HASHES.contains(&name) || is_fetched_with(context, binding),
                text => is_blank(text),
            },
        ),
        _ => false,
    }
}

/// Whether the binding stands in a set that says itself that it is no package: `fakeHashes`, or what
/// `passthru` holds for programs that update the package.
fn is_set_aside(binding: Node<'_>) -> bool {
    names_around(binding).any(|name| {
        let name = name.name().unwrap_or_default();
        name.starts_with("fake") || name == "passthru"
    })
}

/// Whether a hash is written with zero bits only.
fn is_blank(text: &str) -> bool {
    let digits = text.split_once(['-', ':']).map_or(text, |(_, digits)| digits);
    let digits = digits.trim_end_matches('=');
    let is_sri = text.contains('-');
    let blank = if is_sri { b'A' } else { b'0' };
    digits.len() >= 32 && digits.bytes().all(|byte| byte == blank)
}

/// Whether a fetcher is called with the set that the binding stands in.
fn is_fetched_with<'a>(context: &Context<'a>, binding: Node<'a>) -> bool {
    let Some(set) = binding.parent() else { return false };
    let around = set.ancestors().find(|node| node.kind() != NodeKind::Paren);
    let call = around.and_then(|call| Fetch::of(context, call));
    call.is_some_and(|fetch| fetch.argument.sets.contains(&set))
}

#[cfg(test)]
mod tests {
    use crate::Checker;
    use crate::Lints;
    use crate::rules::testing::marked;

    #[test]
    fn stand_ins_are_found() {
        assert_eq!(marked("SEC004", "{ lib }: { hash = lib.fakeHash; }"), "lib.fakeHash");
        assert_eq!(
            marked("SEC004", "{ lib }: with lib; { cargoSha256 = fakeSha256; }"),
            "fakeSha256"
        );
        assert_eq!(
            marked("SEC004", "{ pkgs }: { a.sha256 = pkgs.lib.fakeSha256; }"),
            "pkgs.lib.fakeSha256"
        );
        let zeros = "0".repeat(52);
        assert_eq!(
            marked("SEC004", &format!("{{ sha256 = \"{zeros}\"; }}")),
            format!("\"{zeros}\"")
        );
        let sri = format!("\"sha256-{}=\"", "A".repeat(43));
        assert_eq!(marked("SEC004", &format!("{{ vendorHash = {sri}; }}")), sri);
        assert_eq!(marked("SEC004", "{ fetchurl }: fetchurl { url = 1; hash = \"\"; }"), "\"\"");
        assert_eq!(marked("SEC004", "f: f { vendorHash = \"\"; }"), "\"\"");
        assert_eq!(marked("SEC004", "{fetchurl}:fetchurl{url=1;hash=\"\";}"), "\"\"");
    }

    #[test]
    fn other_empty_texts_and_alternatives_are_fine() {
        assert_eq!(marked("SEC004", "{ hash = \"\"; }"), "");
        assert_eq!(marked("SEC004", "f: f { default = \"\"; vendorHash = null; }"), "");
        assert_eq!(
            marked("SEC004", "{ lib, h }: { hash = if h == \"\" then lib.fakeHash else h; }"),
            ""
        );
        assert_eq!(marked("SEC004", "{ lib, h }: if h then h else { hash = lib.fakeHash; }"), "");
        assert_eq!(marked("SEC004", "{ lib }: { fakeH = { hash = lib.fakeHash; }; }"), "");
        assert_eq!(marked("SEC004", "{ lib }: { passthru.a = { hash = lib.fakeHash; }; }"), "");
        assert_eq!(marked("SEC004", "{ lib, hash ? lib.fakeHash }: { inherit hash; }"), "");
        assert_eq!(marked("SEC004", "{ lib, s }: { hash = s.hash or lib.fakeHash; }"), "");
        assert_eq!(
            marked(
                "SEC004",
                "{ sha256 = \"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\"; }"
            ),
            ""
        );
    }

    #[test]
    fn tests_may_use_them() {
        let mut lints = Lints::nothing();
        lints.select("SEC004").unwrap();
        let text = "{ lib }: { hash = lib.fakeHash; }";
        for (path, n_found) in
            [("pkgs/test/a.nix", 0), ("nixos/tests/b.nix", 0), ("pkgs/testing.nix", 1)]
        {
            let checked = Checker::default().check(path, text, &lints);
            assert_eq!(checked.findings.len(), n_found, "{path}");
        }
    }
}
