//! SEC047: who may talk to Docker is root.

use std::cell::LazyCell;

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC047"),
    name: "docker-root",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["docker", "lxd", "incus-admin"],
    doc: "\
Flags accounts in the groups `docker`, `lxd` and `incus-admin`, and a Docker daemon that listens on \
the network without encryption. Groups count in files that enable Docker, LXD or Incus themselves: \
on other machines they may not exist.

## Why it matters

Who may start containers may start one that sees all files of the machine as root. So every program
of that account can become root without a password. Rootless Docker and Podman need no such group.

## Example

```nix
{
  virtualisation.docker.enable = true;
  users.users.alice.extraGroups = [ \"wheel\" \"docker\" ];
}
```

```nix
{ virtualisation.docker.listenOptions = [ \"0.0.0.0:2375\" ]; }
```

## Better

```nix
{ virtualisation.docker.rootless.enable = true; users.users.alice.extraGroups = [ \"wheel\" ]; }
```

## Source

Docker manual, \"Docker daemon attack surface\"; Incus manual, \"Security\".
",
};

const GROUPS: &[&str] = &["users.users.*.extraGroups", "users.extraUsers.*.extraGroups"];

const MEMBERS: &[&str] = &[
    "users.groups.docker.members",
    "users.groups.incus-admin.members",
    "users.groups.lxd.members",
    "users.extraGroups.docker.members",
];

const LISTENERS: &[&str] =
    &["virtualisation.docker.listenOptions", "virtualisation.docker.daemon.settings.hosts"];

const TLS: &[&str] = &[
    "virtualisation.docker.daemon.settings.tlsverify",
    "virtualisation.docker.daemon.settings.tls",
];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(GROUPS) {
        let Some(group) = context.text_value(setting.value) else { continue };
        if setting.is_element && is_there(context, &group) {
            let message = format!("members of `{group}` can become root without a password");
            report.add(Finding::at(setting.value.range(), message));
        }
    }
    for setting in settings.matching(MEMBERS).filter(|setting| setting.is_element) {
        let group = settings.name(setting, 1).unwrap_or_default();
        if !is_there(context, group) {
            continue;
        }
        let message = format!("members of `{group}` can become root without a password");
        report.add(Finding::at(setting.value.range(), message));
    }
    let has_tls = LazyCell::new(|| {
        settings.matching(TLS).any(|setting| context.bool_value(setting.value) != Some(false))
    });
    for setting in settings.matching(LISTENERS) {
        let is_open = context.text_value(setting.value).is_some_and(|text| is_open(&text));
        if is_open && !*has_tls {
            let message = "whoever reaches this port is root on this machine";
            report.add(Finding::at(setting.value.range(), message));
        }
    }
}

/// Whether the file sets up what gives the group its power; without it there is no such group.
fn is_there(context: &Context<'_>, group: &str) -> bool {
    match group {
        "docker" => context.enables(&[
            "virtualisation.docker.enable",
            "virtualisation.podman.dockerSocket.enable",
        ]),
        "lxd" => context.enables(&["virtualisation.lxd.enable"]),
        "incus-admin" => context.enables(&["virtualisation.incus.enable"]),
        _ => false,
    }
}

/// Whether an address can be reached from the network.
fn is_open(address: &str) -> bool {
    let is_unix =
        address.starts_with('/') || ["unix:", "fd:"].iter().any(|kind| address.starts_with(kind));
    let host = address.strip_prefix("tcp://").unwrap_or(address);
    !is_unix && !["127.", "localhost", "[::1]", "::1"].iter().any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn groups_and_members() {
        let text = "{ virtualisation.docker.enable = true; \
            users.users.a = { extraGroups = [ \"b\" ] ++ lib.optional c \"docker\"; }; \
            users.groups.docker.members = [ \"x\" ]; }";
        assert_eq!(marked("SEC047", text), "\"docker\" \"x\"");
    }

    #[test]
    fn tls_that_is_off_is_none() {
        let text = "{ virtualisation.docker.daemon.settings = { hosts = [ \"tcp://0.0.0.0:1\" ]; tls = false; }; }";
        assert_eq!(marked("SEC047", text), "\"tcp://0.0.0.0:1\"");
    }

    #[test]
    fn local_addresses_and_tls_are_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC047", text), "", "{text}");
        silent(
            "{ virtualisation.docker.listenOptions = [ \"/run/docker.sock\" \"127.0.0.1:1\" ]; }",
        );
        silent(
            "{ virtualisation.docker.daemon.settings = { hosts = [ \"tcp://0.0.0.0:1\" ]; tlsverify = true; }; }",
        );
        silent(
            "{ users.users.a.extraGroups = [ \"dockerish\" ]; users.users.a.group = \"docker\"; }",
        );
        silent("{ users.users.a.extraGroups = [ \"docker\" \"lxd\" ]; }");
        silent("{ nodes.a.users.users.a.extraGroups = [ \"docker\" ]; testScript = \"\"; }");
    }
}
