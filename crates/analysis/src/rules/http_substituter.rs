//! SEC007: built packages are fetched without encryption.

use cim_nix_base::{Code, Severity, TextRange};

use super::hosts::{host_of, is_private_name};
use super::{nix_conf, raw_text};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC007"),
    name: "http-substituter",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::File(check),
    words: &["http://"],
    doc: "\
Flags a binary cache on the internet whose address begins with `http://`.

## Why it matters

Whoever sits between can see what the machine installs, hold back updates, and answer with garbage.
Signatures keep packages from being exchanged, but only where they are checked and the cache has
a key of its own. Caches on this machine and in private networks are not flagged.

## Example

```nix
{ nix.settings.substituters = [ \"http://cache.example.org\" ]; }
```

## Better

```nix
{ nix.settings.substituters = [ \"https://cache.example.org\" ]; }
```

```nix
{ nix.settings.substituters = [ \"http://localhost:5000\" \"http://192.168.1.2\" ]; }
```

## When the fix is unsafe

The server may not answer on `https`.

## Source

Nix manual, `substituters`.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for word in nix_conf::words_of(context) {
        let is_cache = matches!(&*word.name, "substituters" | "trusted-substituters");
        let Some(address) = word.text.filter(|_| is_cache) else { continue };
        let is_public = address.strip_prefix("http://").is_some_and(|rest| !is_private(rest));
        if is_public {
            let start = word.range.start;
            let scheme = TextRange::new(start, start + 4);
            let finding = Finding::at(word.range, "packages from this cache are not encrypted");
            let finding = raw_text::with_fix(finding, "use `https`", word.literal, scheme, "https");
            report.add(finding);
        }
    }
}

/// Whether an address without its scheme stays within one's own network.
fn is_private(address: &str) -> bool {
    let host = host_of(address);
    if host.starts_with('[') {
        return ["[::1]", "[fc", "[fd", "[fe80"].iter().any(|net| host.starts_with(net));
    }
    let mut numbers = host.split('.').map(str::parse::<u8>);
    if let (Some(Ok(first)), Some(Ok(second))) = (numbers.next(), numbers.next()) {
        return matches!(
            (first, second),
            (10 | 127, _) | (192, 168) | (172, 16..=31) | (169, 254) | (100, 64..=127)
        );
    }
    // No domain of the internet has a dash in its last name.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_inner = last.contains('-') && !last.starts_with("xn--");
    is_inner || is_private_name(host)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    #[test]
    fn many_in_one_text_are_mended_together() {
        let caches: String = (0..1500).map(|nth| format!("http://a{nth}.org ")).collect();
        let text = format!("{{ nix.settings.substituters = \"{caches}\"; }}");
        assert_eq!(fixed_unsafely("SEC007", &text), text.replace("http:", "https:"));
    }

    #[test]
    fn texts_of_configuration_count() {
        let text = "{ nix.extraOptions = ''\n  substituters = http://a.org https://b.org\n''; }";
        assert_eq!(marked("SEC007", text), "http://a.org");
        assert_eq!(fixed_unsafely("SEC007", text), text.replace("http:", "https:"));
        let text = "{ nix.settings.extra-substituters = \"http://a.org http://b.org\"; }";
        assert_eq!(fixed_unsafely("SEC007", text), text.replace("http:", "https:"));
    }

    #[test]
    fn own_networks_and_unknown_hosts_are_silent() {
        let silent = |address: &str| {
            let text = format!("{{ nix.settings.substituters = [ \"{address}\" ]; }}");
            assert_eq!(marked("SEC007", &text), "", "{address}");
        };
        silent("http://cache:8080/x");
        silent("http://127.0.0.1");
        silent("http://[::1]:80");
        silent("http://nas.lan");
        silent("http://store.nix-cache:48080?priority=8");
        silent("http://${config.cache.host}");
        silent("https://a.org");
    }
}
