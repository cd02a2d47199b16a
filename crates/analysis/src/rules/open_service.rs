//! SEC046: a service without a login is opened to the network.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};
use crate::settings::Setting;

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC046"),
    name: "open-service",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["openFirewall"],
    doc: "\
Flags `openFirewall = true` for a service that asks nobody who they are.

## Why it matters

Whoever reaches the machine can use the service: read its data, and often run commands with it.
It is off by default, as in a home network that is often what is wanted; a service that is told to
listen on this machine only is not flagged.

## Example

```nix
{ services.ollama = { enable = true; openFirewall = true; }; }
```

## Better

```nix
{ services.ollama.enable = true; networking.firewall.interfaces.wg0.allowedTCPPorts = [ 11434 ]; }
```

## Source

The services' manuals: none of those that are looked for has a login unless one is set up.
",
};

/// Services without a login of their own, or with none at first.
const WITHOUT_LOGIN: &[&str] = &[
    "apcupsd",
    "bazarr",
    "code-server",
    "deluge",
    "elasticsearch",
    "esphome",
    "flaresolverr",
    "frigate",
    "jupyter",
    "lidarr",
    "llama-cpp",
    "loki",
    "mosquitto",
    "netdata",
    "node-red",
    "nzbget",
    "octoprint",
    "ollama",
    "opensearch",
    "prometheus",
    "prowlarr",
    "qbittorrent",
    "radarr",
    "readarr",
    "redis",
    "sabnzbd",
    "snapserver",
    "sonarr",
    "tautulli",
    "transmission",
    "victoriametrics",
    "whisparr",
    "zigbee2mqtt",
    "zookeeper",
];

/// What names the address that a service listens on.
const ADDRESSES: &[&str] = &[
    "services.*.address",
    "services.*.bind",
    "services.*.host",
    "services.*.listenAddress",
    "services.*.settings.host",
];

const LOCAL: &[&str] = &["127.0.0.1", "::1", "[::1]", "localhost"];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    // Names of services, among others, that listen on this machine only.
    let is_local = |setting: &Setting<'_>| {
        context.text_value(setting.value).is_some_and(|text| LOCAL.contains(&&*text))
    };
    let local: HashSet<&str> = settings
        .matching(ADDRESSES)
        .filter(is_local)
        .flat_map(|setting| settings.names(setting).flatten().take(MAX_NAMES))
        .collect();
    for setting in settings.matching(&["services.*.openFirewall"]) {
        let Some(service) = settings.name(setting, 1) else { continue };
        let is_open = context.bool_value(setting.value) == Some(true);
        if is_open && WITHOUT_LOGIN.contains(&service) && !local.contains(service) {
            let message =
                format!("`{service}` asks nobody for a password and is opened to the network");
            report.add(Finding::at(setting.value.range(), message));
        }
    }
}

/// How many names from the end of an address's path may be that of its service.
const MAX_NAMES: usize = 3;

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn services_with_a_login_or_an_address_are_silent() {
        assert_eq!(
            marked("SEC046", "{ services = mkIf c { sonarr = { openFirewall = true; }; }; }"),
            "true"
        );
        assert_eq!(marked("SEC046", "{ services.openssh.openFirewall = true; }"), "");
        assert_eq!(marked("SEC046", "{ services.sonarr.openFirewall = cfg.x; }"), "");
        let text = "{ services.ollama = { openFirewall = true; host = \"127.0.0.1\"; }; }";
        assert_eq!(marked("SEC046", text), "");
    }
}
