//! SEC043: a machine without a firewall.

use std::cell::LazyCell;

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC043"),
    name: "firewall-off",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["firewall"],
    doc: "\
Flags `networking.firewall.enable = false`.

## Why it matters

Every service of the machine can be reached from outside, also those that were meant for
`localhost` and listen everywhere by mistake. Open what is needed with `allowedTCPPorts` instead.
Tests of NixOS, containers behind their host, and files that set up another firewall (nftables,
ferm, shorewall) are not flagged.

## Example

```nix
{ networking.firewall.enable = false; }
```

## Better

```nix
{ networking.firewall.allowedTCPPorts = [ 443 ]; }
```

## Source

NixOS options, `networking.firewall.enable`.
",
};

/// Options by which a file filters packets itself.
const OTHER_FIREWALLS: &[&str] = &[
    "networking.nftables.enable",
    "networking.nftables.ruleset",
    "networking.nftables.rulesetFile",
    "networking.nftables.tables.*",
    "networking.nftables.tables.*.content",
    "services.ferm.enable",
    "services.firewalld.enable",
    "services.shorewall.enable",
];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    let has_other = LazyCell::new(|| {
        let mut others = settings.matching(OTHER_FIREWALLS);
        others.any(|other| context.bool_value(other.value) != Some(false))
    });
    for setting in settings.matching(&["networking.firewall.enable"]) {
        let mut names = settings.names(setting);
        let is_in_container = names.any(|name| matches!(name, Some("containers" | "microvm")));
        let is_off = context.bool_value(setting.value) == Some(false);
        let is_guest = || context.enables(&["boot.isContainer"]);
        if is_off && !is_in_container && !*has_other && !is_guest() {
            report.add(
                Finding::at(setting.value.range(), "this machine has no firewall")
                    .help("open what is needed with `allowedTCPPorts` and `allowedUDPPorts`"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn machines_without_a_firewall() {
        let text = "{ networking = lib.mkIf c { firewall.enable = lib.mkForce false; }; }";
        assert_eq!(marked("SEC043", text), "false");
        for no_firewall in [
            "nftables.enable = false",
            "nftables.enable = lib.mkForce false",
            "nat.enable = true",
            "jool.enable = true",
            "firewall.package = pkgs.iptables",
        ] {
            let text = format!("{{ networking = {{ firewall.enable = false; {no_firewall}; }}; }}");
            assert_eq!(found("SEC043", &text), "false: this machine has no firewall\n", "{text}");
        }
    }

    #[test]
    fn tests_containers_and_other_firewalls_are_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC043", text), "", "{text}");
        silent("{ nodes.a.networking.firewall.enable = false; testScript = \"\"; }");
        silent("{ containers.a.config = { ... }: { networking.firewall.enable = false; }; }");
        silent("{ networking = { firewall.enable = false; nftables.ruleset = x; }; }");
        silent("{ networking = { firewall.enable = false; nftables.enable = true; }; }");
        silent("{ networking = { firewall.enable = false; nftables.enable = cfg.x; }; }");
        silent("{ networking.firewall.enable = cfg.x; }");
        silent("{ boot.isContainer = true; networking.firewall.enable = false; }");
    }
}
