//! SEC012 and SEC056: flakes that choose the caches of their users.

use cim_nix_base::{Code, Severity};

use super::nix_conf;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const ACCEPTED: Rule = Rule {
    code: Code("SEC012"),
    name: "accept-flake-config",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_accepted),
    words: &["accept-flake-config"],
    doc: "\
Flags `accept-flake-config = true`.

## Why it matters

The `nixConfig` of any flake is then used without a question: it may name caches and keys, and
commands that run after each build. A look at a stranger's flake is enough.

## Example

```nix
{ nix.settings.accept-flake-config = true; }
```

## Better

```nix
{ nix.settings.accept-flake-config = false; }
```

## Source

Nix manual, `accept-flake-config`.
",
};

pub(crate) const ASKED: Rule = Rule {
    code: Code("SEC056"),
    name: "flake-config-trust",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_asked),
    words: &["nixConfig"],
    doc: "\
Flags a flake whose `nixConfig` adds caches, keys, or commands that Nix runs.

## Why it matters

Who accepts it trusts that cache with everything that runs on the machine, and often for good:
Nix remembers the answer. Tell users of the cache in the documentation instead, so that it is
their decision.

## Example

```nix
{
  nixConfig.extra-substituters = [ \"https://example.cachix.org\" ];
  outputs = { self }: { };
}
```

## Better

```nix
{
  outputs = { self }: { };
}
```

## Source

Nix manual, `nix flake`, on `nixConfig`.
",
};

fn check_accepted(context: &Context<'_>, report: &mut Report) {
    for word in nix_conf::words_of(context) {
        if word.is("accept-flake-config", "true") {
            report.add(Finding::at(
                word.range,
                "every flake may change the configuration of Nix without a question",
            ));
        }
    }
}

fn check_asked(context: &Context<'_>, report: &mut Report) {
    let words = nix_conf::words_of(context);
    // Once a setting is enough: what follows needs the same decision.
    let mut seen: Vec<&str> = Vec::new();
    for word in words.iter().filter(|word| word.is_of_flake) {
        let message = match &*word.name {
            "substituters" | "trusted-substituters" => "this flake adds caches for its users",
            "trusted-public-keys" => "this flake adds trusted keys for its users",
            "post-build-hook" | "pre-build-hook" | "build-hook" => {
                "this flake adds a command that Nix runs"
            }
            _ => continue,
        };
        if !is_official(word.text.unwrap_or_default()) && !seen.contains(&message) {
            seen.push(message);
            report.add(Finding::at(word.range, message));
        }
    }
}

/// What every Nix trusts anyway.
fn is_official(word: &str) -> bool {
    word.starts_with("https://cache.nixos.org") || word.starts_with("cache.nixos.org-1:")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{flake_found, marked};

    #[test]
    fn what_all_trust_is_silent() {
        let text = "{ outputs = _: { }; \
            nixConfig = { extra-substituters = [ \"https://cache.nixos.org/\" ]; x = 1; }; }";
        assert_eq!(flake_found("SEC056", text, ""), "");
    }

    #[test]
    fn other_files_ask_nobody() {
        let text = "{ outputs = _: { }; nixConfig.substituters = [ \"https://a.org\" ]; }";
        let found = "https://a.org: this flake adds caches for its users\n";
        assert_eq!(flake_found("SEC056", text, ""), found);
        assert_eq!(marked("SEC056", text), "");
    }

    #[test]
    fn a_setting_is_reported_once() {
        let text = "{ outputs = _: { }; nixConfig = { substituters = [ \"https://a.org\" \"https://b.org\" ]; \
            trusted-public-keys = \"k:1\"; }; }";
        assert_eq!(
            flake_found("SEC056", text, ""),
            "https://a.org: this flake adds caches for its users\n\
             k:1: this flake adds trusted keys for its users\n"
        );
    }

    #[test]
    fn flakes_of_any_kind_may_accept() {
        let flake = "{ outputs = _: { }; nixConfig.accept-flake-config = true; }";
        assert_eq!(
            flake_found("SEC012", flake, ""),
            "true: every flake may change the configuration of Nix without a question\n"
        );
        assert_eq!(
            marked("SEC012", "{ nix.extraOptions = \"accept-flake-config = true\"; }"),
            "true"
        );
    }
}
