//! SEC029: a secret in an environment variable that a file sets.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::secret_names;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC029"),
    name: "secret-in-environment",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["environment", "Environment", "sessionVariables"],
    doc: "\
Flags an environment variable that a file gives a secret.

## Why it matters

The value lies in the store, which every user of the machine can read; variables of a unit are
shown by `systemctl show` as well, and variables of a session go to every program. Let the program
read a file, or load the variable from one with `EnvironmentFile`.

## Example

```nix
{ systemd.services.app.environment.DB_PASSWORD = \"hunter2\"; }
```

```nix
{ environment.variables.GITHUB_TOKEN = \"0123456789abcdef\"; }
```

## Better

```nix
{ systemd.services.app.serviceConfig.EnvironmentFile = \"/run/secrets/app.env\"; }
```

```nix
{ systemd.services.app.environment.DB_PASSWORD_FILE = \"/run/secrets/db\"; }
```

## Source

systemd.exec(5) on `Environment=`.
",
};

const VARIABLES: &[&str] = &[
    "environment.variables.*",
    "environment.sessionVariables.*",
    "home.sessionVariables.*",
    "systemd.services.*.environment.*",
    "systemd.user.services.*.environment.*",
    "containers.*.environment.*",
    "systemd.user.sessionVariables.*",
];

const ASSIGNMENTS: &[&str] = &[
    "systemd.services.*.serviceConfig.Environment",
    "systemd.user.services.*.serviceConfig.Environment",
    "systemd.user.services.*.Service.Environment",
];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(VARIABLES) {
        let is_secret = settings.name(setting, 0).is_some_and(secret_names::is_secret);
        if is_secret && is_given(context, setting.value) {
            report.add(finding(setting.value));
        }
    }
    for setting in settings.matching(ASSIGNMENTS) {
        let Some(text) = context.text_value(setting.value) else { continue };
        let holds_secret = |assignment: &str| {
            assignment.trim_matches('"').split_once('=').is_some_and(|(name, value)| {
                secret_names::is_secret(name) && is_secret_value(value)
            })
        };
        if text.split_whitespace().any(holds_secret) {
            report.add(finding(setting.value));
        }
    }
}

fn finding(value: Node<'_>) -> Finding {
    Finding::at(value.range(), "this secret lies in the store, where all can read it")
        .help("let the program read it from a file, or use `EnvironmentFile`")
}

/// Whether a value is a secret itself.
fn is_given<'a>(context: &Context<'a>, value: Node<'a>) -> bool {
    let value = context.value_behind(value).unwrap_or(value);
    match value.kind() {
        NodeKind::Str | NodeKind::IndStr => {
            context.text_value(value).is_some_and(|text| is_secret_value(&text))
        }
        NodeKind::Select => {
            let path = ast::Select::cast(value).and_then(ast::Select::attr_path);
            path.is_some_and(|path| {
                let is_stand_in = |name: Node<'_>| name.text().starts_with("placeholder");
                let last = path.node().last_child().map_or("", Node::text);
                // Options of this name take the path of a key.
                let is_path = last == "privateKey";
                !path.node().children().any(is_stand_in)
                    && !is_path
                    && secret_names::is_secret(last)
            })
        }
        _ => false,
    }
}

/// Whether a text is neither empty, a place, a switch, a stand-in, nor filled in at run time.
fn is_secret_value(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_switch =
        matches!(&*lower, "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "none");
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_place = text.starts_with(['/', '~', '.', '%', '<']) || text.contains("://");
    let is_short = text.len() < 3;
    !is_switch
        && !is_number
        && !is_place
        && !is_short
        && !secret_names::is_stand_in(&lower)
        && !text.contains(['$', '`'])
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn values_that_are_secrets() {
        assert_eq!(
            marked(
                "SEC029",
                "{ systemd.services.a = { environment = { API_KEY = cfg.apiKey; X = \"y\"; }; }; }"
            ),
            "cfg.apiKey"
        );
        assert_eq!(
            marked(
                "SEC029",
                "{ systemd.services.a.serviceConfig.Environment = [ \"A=b\" \"X_TOKEN=abc\" ]; }"
            ),
            "\"X_TOKEN=abc\""
        );
    }

    #[test]
    fn places_switches_and_what_is_filled_in_are_silent() {
        for value in [
            "\"False\"",
            "\"-\"",
            "\"dummy-key\"",
            "\"/run/x\"",
            "\"true\"",
            "\"$(cat /run/x)\"",
            "\"\"",
            "config.age.secrets.x.path",
            "f x",
        ] {
            let text = format!("{{ environment.variables.A_TOKEN = {value}; }}");
            assert_eq!(marked("SEC029", &text), "", "{value}");
        }
        let key = "{ systemd.services.a.environment.PRIVATE_KEY = cfg.privateKey; }";
        assert_eq!(marked("SEC029", key), "");
        assert_eq!(marked("SEC029", "{ environment.variables.TOKEN_FILE = \"x\"; }"), "");
        assert_eq!(marked("SEC029", "{ options.environment.variables.TOKEN = \"x\"; }"), "");
    }
}
