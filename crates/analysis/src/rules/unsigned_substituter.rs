//! SEC008: packages are taken from a cache without a known signature.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity};

use super::nix_conf::{self, NixWord};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC008"),
    name: "unsigned-substituter",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[
        "require-sigs",
        "requireSignedBinaryCaches",
        "trusted=",
        "cachix.org",
        "garnix.io",
        "iog.io",
        "lix.systems",
        "flakehub.com",
    ],
    doc: "\
Flags binary caches whose packages are taken without a signature, and caches whose key is missing \
beside the keys that a file lists.

## Why it matters

With `require-sigs = false` or `?trusted=1`, whoever runs a cache (or sits between) decides what
runs as root on this machine. A cache whose key is not listed is asked in vain for every path.

Which key belongs to a cache is known for `*.cachix.org` and a few others. A file that lists no
keys may get them from elsewhere, and mirrors of `cache.nixos.org` are signed with the built-in
key: both are not flagged.

## Example

```nix
{ nix.settings.require-sigs = false; }
```

```nix
{
  nix.settings = {
    substituters = [ \"https://a.cachix.org\" \"https://b.cachix.org\" ];
    trusted-public-keys = [ \"a.cachix.org-1:AbCd=\" ];
  };
}
```

## Better

```nix
{
  nix.settings = {
    substituters = [ \"https://a.cachix.org\" ];
    trusted-public-keys = [ \"a.cachix.org-1:AbCd=\" ];
  };
}
```

## Source

Nix manual, `require-sigs`, `trusted-public-keys` and the `trusted` setting of stores.
",
};

/// Hosts and whose keys they use.
const KEYS: &[(&str, &str)] = &[
    ("cache.flakehub.com", "cache.flakehub.com"),
    ("cache.garnix.io", "cache.garnix.io"),
    ("cache.iog.io", "hydra.iohk.io"),
    ("cache.lix.systems", "cache.lix.systems"),
];

fn check(context: &Context<'_>, report: &mut Report) {
    let words = nix_conf::words_of(context);
    for word in &words {
        if word.is("require-sigs", "false") {
            report.add(
                Finding::at(word.range, "packages are taken from caches without a signature")
                    .help("list the keys of your caches in `trusted-public-keys` instead"),
            );
        }
        let is_trusted = |text: &str| {
            text.split(['?', '&']).skip(1).any(|part| matches!(part, "trusted=1" | "trusted=true"))
        };
        if is_cache(word) && word.text.is_some_and(is_trusted) {
            report.add(Finding::at(
                word.range,
                "packages are taken from this cache without a signature",
            ));
        }
    }
    let keys = || words.iter().filter(|word| word.name == "trusted-public-keys");
    // Keys that are computed may be any.
    if keys().next().is_none() || keys().any(|key| key.text.is_none()) {
        return;
    }
    let names: HashSet<&str> = keys().filter_map(|key| Some(owner_of(key.text?))).collect();
    for word in words.iter().filter(|word| is_cache(word)) {
        let Some(host) = word.text.and_then(host_of) else { continue };
        let Some(owner) = key_of(host) else { continue };
        if !names.contains(owner) {
            report.add(
                Finding::at(word.range, "the key of this cache is missing among the trusted keys")
                    .help(format!("add the key `{host}-1:…` to `trusted-public-keys`")),
            );
        }
    }
}

fn is_cache(word: &NixWord<'_>) -> bool {
    matches!(&*word.name, "substituters" | "trusted-substituters")
}

fn host_of(address: &str) -> Option<&str> {
    address.strip_prefix("https://")?.split(['/', '?', ':']).next()
}

/// The name of a key without its number.
fn owner_of(key: &str) -> &str {
    let name = key.split(':').next().unwrap_or_default();
    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-')
}

/// Whose keys a cache uses.
fn key_of(host: &str) -> Option<&str> {
    let known = KEYS.iter().find(|(known, _)| *known == host).map(|(_, key)| *key);
    known.or(host.ends_with(".cachix.org").then_some(host))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn signatures_that_are_not_asked_for() {
        assert_eq!(marked("SEC008", "{ nix.requireSignedBinaryCaches = false; }"), "false");
        assert_eq!(marked("SEC008", "{ nix.settings.require-sigs = true; }"), "");
        let text = "{ nix.settings.substituters = [ \"ssh://a?trusted=1\" ]; }";
        assert_eq!(marked("SEC008", text), "ssh://a?trusted=1");
    }

    #[test]
    fn mirrors_and_keys_from_elsewhere_are_silent() {
        let text = |caches: &str, keys: &str| {
            format!("{{ nix.settings = {{ substituters = [ {caches} ]; {keys} }}; }}")
        };
        let silent = |caches, keys| assert_eq!(marked("SEC008", &text(caches, keys)), "");
        let keys = "trusted-public-keys = [ \"other-1:x\" ];";
        silent("\"https://mirror.sjtu.edu.cn/nix-channels/store\"", keys);
        silent("\"https://cache.nixos.org\"", keys);
        silent("\"https://a.cachix.org\"", "");
        silent("\"https://a.cachix.org\"", "trusted-public-keys = [ key \"b:c\" ];");
        silent("\"https://a.cachix.org\"", "extra-trusted-public-keys = [ \"a.cachix.org-1:x\" ];");
        let found = text("\"https://a.cachix.org\"", keys);
        assert_eq!(marked("SEC008", &found), "https://a.cachix.org");
    }
}
