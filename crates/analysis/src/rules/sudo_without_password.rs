//! SEC045: root without a password.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::Node;

use super::raw_text;
use crate::context::Context;
use crate::origin::attribute;
use crate::rule::{Check, Finding, FixKind, Report, Rule};
use crate::settings::{Setting, set_around};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC045"),
    name: "sudo-without-password",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["wheelNeedsPassword", "NOPASSWD", "noPass"],
    doc: "\
Flags `sudo` and `doas` rules that let users run every command as root without a password.

## Why it matters

Every program that such a user runs, a browser or a package of some language, can become root
unasked. Rules for single commands are not flagged.

## Example

```nix
{ security.sudo.wheelNeedsPassword = false; }
```

```nix
{
  security.sudo.extraRules = [
    { users = [ \"alice\" ]; commands = [ { command = \"ALL\"; options = [ \"NOPASSWD\" ]; } ]; }
  ];
}
```

## Better

```nix
{
  security.sudo.extraRules = [
    {
      users = [ \"alice\" ];
      commands = [ { command = \"/run/current-system/sw/bin/reboot\"; options = [ \"NOPASSWD\" ]; } ];
    }
  ];
}
```

## Source

sudoers(5), `NOPASSWD`; NixOS options, `security.sudo`.
",
};

const WHEEL: &[&str] = &[
    "security.sudo.wheelNeedsPassword",
    "security.sudo-rs.wheelNeedsPassword",
    "security.doas.wheelNeedsPassword",
];

const RULE_OPTIONS: &[&str] =
    &["security.sudo.extraRules.commands.options", "security.sudo-rs.extraRules.commands.options"];

const TEXTS: &[&str] =
    &["security.sudo.extraConfig", "security.sudo-rs.extraConfig", "security.sudo.configFile"];

const ALL: &str = "all commands may be run as root without a password";

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(WHEEL) {
        let is_on = beside(setting, "enable").and_then(|value| context.bool_value(value));
        if context.bool_value(setting.value) == Some(false) && is_on != Some(false) {
            let message = "members of `wheel` become root without a password";
            report.add(Finding::at(setting.value.range(), message));
        }
    }
    for setting in settings.matching(RULE_OPTIONS) {
        let is_free = context.text_value(setting.value).is_some_and(|text| text == "NOPASSWD");
        let command = || context.text_value(beside(setting, "command")?);
        if is_free && command().is_some_and(|command| command == "ALL") {
            report.add(Finding::at(setting.value.range(), ALL));
        }
    }
    for setting in settings.matching(&["security.doas.extraRules.noPass"]) {
        let is_free = context.bool_value(setting.value) == Some(true);
        // It is off unless somebody switches it on.
        let is_on = || context.enables(&["security.doas.enable"]);
        if is_free && beside(setting, "cmd").is_none() && is_on() {
            report.add(Finding::at(setting.value.range(), ALL));
        }
    }
    for string in raw_text::values(context, TEXTS) {
        for line in raw_text::lines(string).filter(|line| is_for_all(line.text)) {
            report.add(Finding::at(line.range_of(line.text.trim()), ALL));
        }
    }
}

/// The attribute `name` beside a setting.
fn beside<'a>(setting: Setting<'a>, name: &str) -> Option<Node<'a>> {
    attribute(set_around(setting.value)?, name)?.value
}

/// Whether a line of sudoers lets somebody other than root run all commands without a password.
fn is_for_all(line: &str) -> bool {
    let Some((before, commands)) = line.split_once("NOPASSWD:") else { return false };
    let who = before.split_whitespace().next().unwrap_or("#");
    let commands = commands.trim().trim_start_matches("SETENV:").trim();
    !who.starts_with('#') && who != "root" && commands == "ALL"
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn rules_of_any_kind() {
        let text = "{ security.sudo.extraConfig = ''\n  %wheel ALL=(ALL) NOPASSWD: ALL\n  a ALL=NOPASSWD: /bin/x\n''; }";
        assert_eq!(marked("SEC045", text), "%wheel ALL=(ALL) NOPASSWD: ALL");
        let shared = "let t = \"a ALL=NOPASSWD: ALL\"; in { security.sudo.extraConfig = t; \
            security.sudo-rs.extraConfig = t; }";
        assert_eq!(marked("SEC045", shared), "a ALL=NOPASSWD: ALL");
        let text = "{ security.doas.enable = true; \
            security.doas.extraRules = [ { users = [ \"a\" ]; noPass = true; } \
            { noPass = true; cmd = \"x\"; } ]; }";
        assert_eq!(marked("SEC045", text), "true");
        assert_eq!(
            marked("SEC045", "{ security.sudo-rs.wheelNeedsPassword = mkForce false; }"),
            "false"
        );
    }

    #[test]
    fn tests_and_what_is_off_are_silent() {
        let off = "{ security.doas = { enable = false; wheelNeedsPassword = false; }; }";
        assert_eq!(marked("SEC045", off), "");
        let text = "{ nodes.a.security.sudo.wheelNeedsPassword = false; testScript = \"\"; }";
        assert_eq!(marked("SEC045", text), "");
    }
}
