//! SEC044: the firewall lets through what nobody outside should reach.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::Node;

use crate::context::Context;
use crate::origin::attribute;
use crate::rule::{Check, Finding, FixKind, Report, Rule};
use crate::settings::{is_conditional_on, set_around};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC044"),
    name: "open-ports",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["allowedTCPPort", "allowedUDPPort"],
    doc: "\
Flags a firewall that opens the port of a database or of a container engine, or more than 20,000 \
ports at once.

## Why it matters

Databases are found within hours by those who look for them, and many ask for no password. Reach
them through a tunnel, or open the port on one interface only, which is not flagged. A huge range
is no firewall any more.

## Example

```nix
{ networking.firewall.allowedTCPPorts = [ 443 5432 ]; }
```

```nix
{ networking.firewall.allowedTCPPortRanges = [ { from = 0; to = 65535; } ]; }
```

## Better

```nix
{
  networking.firewall.allowedTCPPorts = [ 443 ];
  networking.firewall.interfaces.wg0.allowedTCPPorts = [ 5432 ];
}
```

## Source

NixOS options, `networking.firewall`; the services' own manuals on their ports.
",
};

const DANGEROUS: &[(i64, &str)] = &[
    (1433, "Microsoft SQL Server"),
    (1521, "Oracle"),
    (2375, "the Docker API without encryption"),
    (2379, "etcd"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (5984, "CouchDB"),
    (6379, "Redis"),
    (7474, "Neo4j"),
    (8086, "InfluxDB"),
    (9042, "Cassandra"),
    (9200, "Elasticsearch"),
    (9300, "Elasticsearch"),
    (11211, "memcached"),
    (27017, "MongoDB"),
];

const MANY: i64 = 20_000;

const PORTS: &[&str] =
    &["networking.firewall.allowedTCPPorts", "networking.firewall.allowedUDPPorts"];

const ENDS: &[&str] =
    &["networking.firewall.allowedTCPPortRanges.to", "networking.firewall.allowedUDPPortRanges.to"];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(PORTS) {
        let Some(port) = context.int_value(setting.value) else { continue };
        if is_asked_for(setting.value) {
            continue;
        }
        if let Some((_, service)) = DANGEROUS.iter().find(|(dangerous, _)| *dangerous == port) {
            let message = format!("this opens the port of {service} to everybody");
            report.add(Finding::at(setting.value.range(), message));
        }
    }
    for end in settings.matching(ENDS) {
        let Some(set) = set_around(end.value) else { continue };
        let start = attribute(set, "from").and_then(|start| start.value);
        let Some(start) = start.and_then(|start| context.int_value(start)) else { continue };
        let Some(end) = context.int_value(end.value) else { continue };
        let n_ports = end.saturating_sub(start).saturating_add(1);
        if n_ports > MANY && !is_asked_for(set) {
            let message = format!("this opens {n_ports} ports to everybody");
            report.add(Finding::at(set.range(), message));
        }
    }
}

/// Whether an option of the module leaves the decision to its user.
fn is_asked_for(node: Node<'_>) -> bool {
    is_conditional_on(node, "openFirewall")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn lists_of_any_shape() {
        let text = "let db = 3306; in { networking.firewall = mkIf c { \
            allowedTCPPorts = [ 80 ] ++ mkIf d [ db ]; allowedUDPPorts = [ 11211 ]; }; }";
        assert_eq!(marked("SEC044", text), "db 11211");
        let text = "{ networking.firewall.allowedUDPPortRanges = [ { from = 1; to = 9; } \
            { to = 60000; from = 1024; } ]; }";
        assert_eq!(
            found("SEC044", text),
            "{ to = 60000; from = 1024; }: this opens 58977 ports to everybody\n"
        );
    }

    #[test]
    fn one_interface_and_tests_are_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC044", text), "", "{text}");
        silent("{ networking.firewall.interfaces.\"wg0\".allowedTCPPorts = [ 3306 ]; }");
        silent("{ nodes.a.networking.firewall.allowedTCPPorts = [ 3306 ]; testScript = \"\"; }");
        silent("{ networking.firewall.allowedTCPPorts = [ cfg.port ]; }");
        silent("{ networking.firewall = mkIf cfg.openFirewall { allowedTCPPorts = [ 2379 ]; }; }");
    }
}
