//! SEC053: a means of protection is switched off.

use cim_nix_base::{Code, Severity};

use super::raw_text;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC053"),
    name: "protection-off",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["apparmor", "audit", "nftables", "trustedInterfaces", "extraCommands"],
    doc: "\
Flags AppArmor and the audit daemon when they are switched off, and packet filters that let \
everything in.

## Why it matters

What other modules switched on is lost without a word, and a filter whose policy is to accept
filters nothing that its author did not think of. It is off by default, as NixOS itself enables
neither AppArmor nor audit.

## Example

```nix
{ security.apparmor.enable = false; }
```

```nix
{
  networking.nftables.ruleset = ''
    table inet filter {
      chain input {
        type filter hook input priority 0; policy accept;
      }
    }
  '';
}
```

## Better

```nix
{
  networking.nftables.ruleset = ''
    table inet filter {
      chain input {
        type filter hook input priority 0; policy drop;
        tcp dport 443 accept
      }
    }
  '';
}
```

## Source

NixOS options, `security.apparmor`, `security.auditd`, `networking.nftables`; nft(8) on policies.
",
};

const SWITCHES: &[&str] =
    &["security.apparmor.enable", "security.audit.enable", "security.auditd.enable"];

const TEXTS: &[&str] = &[
    "networking.nftables.ruleset",
    "networking.nftables.tables.*.content",
    "networking.firewall.extraCommands",
];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(SWITCHES) {
        if context.bool_value(setting.value) == Some(false) {
            let what = settings.name(setting, 1).unwrap_or_default();
            report.add(Finding::at(setting.value.range(), format!("this switches `{what}` off")));
        }
    }
    for string in raw_text::values(context, TEXTS) {
        for line in raw_text::lines(string).filter(|line| lets_all_in(line.text)) {
            let message = "packets from outside are let in unless a rule says otherwise";
            report.add(Finding::at(line.range_of(line.text.trim()), message));
        }
    }
    for setting in settings.matching(&["networking.firewall.trustedInterfaces"]) {
        let Some(name) = context.text_value(setting.value) else { continue };
        if ["eth", "en", "wl", "wwan"].iter().any(|start| name.starts_with(start)) {
            let message = format!("the firewall lets everything in that comes over `{name}`");
            report.add(Finding::at(setting.value.range(), message));
        }
    }
}

/// Whether a line of nftables or iptables accepts what nothing else is said about.
fn lets_all_in(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    // Chains of another priority see packets before or behind the one that decides.
    let decides = ["priority 0", "priority filter"].iter().any(|at| line.contains(at));
    let is_nft =
        line.contains("type filter hook input") && decides && line.contains("policy accept");
    let mut words = line.split_whitespace().skip_while(|word| !matches!(*word, "-P" | "--policy"));
    let is_ipt =
        words.next().is_some() && words.next() == Some("INPUT") && words.next() == Some("ACCEPT");
    is_nft || is_ipt
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn filters_that_let_all_in() {
        let text = "{ networking.firewall.extraCommands = ''\n  iptables -P INPUT ACCEPT\n  iptables -P INPUT DROP\n''; }";
        assert_eq!(marked("SEC053", text), "iptables -P INPUT ACCEPT");
        let shared = "let c = \"iptables -P INPUT ACCEPT\"; in { \
            a.networking.firewall.extraCommands = c; b.networking.firewall.extraCommands = c; }";
        assert_eq!(marked("SEC053", shared), "iptables -P INPUT ACCEPT");
        let text = "{ networking.firewall.trustedInterfaces = [ \"eth0\" \"wg0\" ]; }";
        assert_eq!(marked("SEC053", text), "\"eth0\"");
        assert_eq!(marked("SEC053", "{ security.auditd.enable = mkDefault false; }"), "false");
        assert_eq!(marked("SEC053", "{ security.auditd.enable = true; }"), "");
    }
}
