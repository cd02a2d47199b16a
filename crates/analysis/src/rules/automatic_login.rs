//! SEC049: a machine on the network whose screen is open to whoever stands before it.

use std::cell::LazyCell;

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC049"),
    name: "automatic-login",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["utoLogin", "autologin"],
    doc: "\
Flags an automatic login on a machine that runs an SSH or a remote desktop server.

## Why it matters

The session is open without a password, with the keys of its user, on a machine that others reach
over the network. It is off by default, as a machine behind a locked door, or with an encrypted
disk, may well log in by itself.

## Example

```nix
{ services.getty.autologinUser = \"alice\"; services.openssh.enable = true; }
```

## Better

```nix
{ services.openssh.enable = true; }
```

## Source

NixOS options, `services.displayManager.autoLogin`.
",
};

const LOGINS: &[&str] = &[
    "services.displayManager.autoLogin.user",
    "services.xserver.displayManager.autoLogin.user",
    "services.xserver.displayManager.auto.user",
    "services.getty.autologinUser",
    "services.mingetty.autologinUser",
];

const SERVERS: &[&str] =
    &["services.openssh.enable", "services.xrdp.enable", "services.sshd.enable"];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    let is_reached = LazyCell::new(|| context.enables(SERVERS));
    for setting in settings.matching(LOGINS) {
        let is_off =
            matches!(context.value_behind(setting.value), Some(value) if value.text() == "null");
        if !is_off && *is_reached {
            let message =
                "this user is logged in without a password, on a machine with a remote login";
            report.add(Finding::at(setting.value.range(), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn machines_without_a_server_are_silent() {
        assert_eq!(marked("SEC049", "{ services.getty.autologinUser = \"a\"; }"), "");
        let text = "{ services = { getty.autologinUser = mkForce null; openssh.enable = true; }; }";
        assert_eq!(marked("SEC049", text), "");
        let text =
            "{ services = { displayManager.autoLogin = { user = u; }; xrdp.enable = true; }; }";
        assert_eq!(marked("SEC049", text), "u");
    }
}
