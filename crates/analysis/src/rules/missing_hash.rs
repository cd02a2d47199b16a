//! SEC002: a fetcher of nixpkgs without a hash.

use cim_nix_base::{Code, Severity};

use super::fetchers::Fetcher;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC002"),
    name: "missing-hash",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["fetch", "requireFile"],
    doc: "\
Flags a fetcher of nixpkgs (`fetchurl`, `fetchFromGitHub`, `fetchPypi`, …) without a hash.

Fetchers are told by their names. Calls whose argument is computed may hold a hash and are left
alone, and so are those whose result is overridden at once.

## Why it matters

The download cannot be checked, so Nix refuses to make it: the package does not build. Some fetchers
fill in a fake hash, which only fails once all has been downloaded.

## Example

```nix
{ fetchFromGitHub }:
fetchFromGitHub {
  owner = \"NixOS\";
  repo = \"patchelf\";
  rev = \"0.18.0\";
}
```

## Better

```nix
{ fetchFromGitHub }:
fetchFromGitHub {
  owner = \"NixOS\";
  repo = \"patchelf\";
  rev = \"0.18.0\";
  hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}
```

## Source

The nixpkgs manual, chapter \"Fetchers\".
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for fetch in context.fetches() {
        // What only asks for the mirrors downloads nothing.
        let argument = &fetch.argument;
        let is_call = !argument.sets.is_empty() && argument.get("showURLs").is_none();
        if fetch.fetcher == Fetcher::Package && is_call && fetch.is_unpinned() {
            let message = format!("this `{}` has no hash", fetch.name);
            let found = Finding::at(fetch.function.range(), message);
            report.add(found.help(
                "put `hash = \"\";` in, build once, and take the hash that Nix reports after a look \
                 at what was downloaded",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn calls_without_a_hash_are_found() {
        assert_eq!(marked("SEC002", "{ fetchurl }: fetchurl { url = \"a\"; }"), "fetchurl");
        let addon = "{ fetchFirefoxAddon, x }: fetchFirefoxAddon { name = \"a\"; url = x; }";
        assert_eq!(marked("SEC002", addon), "fetchFirefoxAddon");
        let source = addon.replace("url", "src");
        assert_eq!(marked("SEC002", &source), "", "its source has the hash");
        assert_eq!(
            marked("SEC002", "{ fetchNpmDeps, src }: fetchNpmDeps { inherit src; }"),
            "fetchNpmDeps"
        );
        assert_eq!(marked("SEC002", "p: p.pkgs.fetchzip { url = \"a\"; }"), "p.pkgs.fetchzip");
        assert_eq!(
            marked("SEC002", "{ pkgs }: with pkgs; fetchgit (let u = 1; in { url = u; })"),
            "fetchgit"
        );
        assert_eq!(
            marked("SEC002", "{ fetchurl }: fetchurl ({ url = 1; } // { name = 2; })"),
            "fetchurl"
        );
        assert_eq!(
            marked("SEC002", "{ fetchzip }: fetchzip (final: { url = final.x; })"),
            "fetchzip"
        );
    }

    #[test]
    fn every_way_to_give_a_hash_counts() {
        for hash in [
            "hash = 1;",
            "sha512 = 1;",
            "inherit (x) sha256;",
            "inherit hash;",
            "outputHash = 1;",
            "sha1 = x.y;",
        ] {
            let text = format!("{{ fetchurl, x, hash }}: fetchurl {{ url = 1; {hash} }}");
            assert_eq!(marked("SEC002", &text), "", "{hash}");
        }
        assert_eq!(marked("SEC002", "{ fetchurl, a }: fetchurl ({ url = 1; } // a)"), "");
        assert_eq!(marked("SEC002", "{ fetchurl, a }: fetchurl (a // { url = 1; })"), "");
        assert_eq!(marked("SEC002", "{ fetchurl, a }: fetchurl a"), "");
        assert_eq!(marked("SEC002", "{ fetchurl, a }: fetchurl (removeAttrs { url = 1; } a)"), "");
        assert_eq!(marked("SEC002", "{ fetchurl }: map fetchurl [ { url = 1; } ]"), "");
        assert_eq!(marked("SEC002", "{ fetchurl }: fetchurl.override { curl = 1; }"), "");
        let overridden =
            "{ fetchzip }: (fetchzip { url = 1; }).overrideAttrs (_: { outputHash = 1; })";
        assert_eq!(marked("SEC002", overridden), "");
    }

    #[test]
    fn functions_of_the_file_are_not_those_of_nixpkgs() {
        assert_eq!(marked("SEC002", "let fetchurl = a: b: a; in fetchurl { url = 1; }"), "");
        let wrapped = "{ fetchzip }: let get = { url }@args: fetchzip args; in get { url = 1; }";
        assert_eq!(marked("SEC002", wrapped), "get");
        let pinning =
            "{ fetchzip, h }: let get = a: fetchzip (a // { hash = h; }); in get { url = 1; }";
        assert_eq!(marked("SEC002", pinning), "");
    }
}
