//! SEC050: a service runs as root with all its rights.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::raw_text;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC050"),
    name: "unhardened-service",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::File(check),
    words: &["ExecStart"],
    doc: "\
Flags a systemd service that runs as root, with nothing taken from its rights.

## Why it matters

Who breaks into the service owns the machine. A few lines take away what hardly any program needs.
It is off by default, as many small services are there to change the machine; those of the type
`oneshot`, and services that another file describes, are not flagged.

## Example

```nix
{
  systemd.services.app = {
    wantedBy = [ \"multi-user.target\" ];
    serviceConfig = {
      ExecStart = \"/run/current-system/sw/bin/app\";
    };
  };
}
```

## Better

```nix
{
  systemd.services.app = {
    wantedBy = [ \"multi-user.target\" ];
    serviceConfig = {
      ExecStart = \"/run/current-system/sw/bin/app\";
      NoNewPrivileges = true;
      PrivateTmp = true;
      ProtectHome = true;
      ProtectSystem = \"strict\";
    };
  };
}
```

## When the fix is unsafe

The service may need what is taken away: folders to write to (`StateDirectory`, `ReadWritePaths`),
homes, programs that change the user.

## Source

systemd.exec(5), \"Sandboxing\"; `systemd-analyze security`.
",
};

/// What the fix adds.
const TEMPLATE: &[(&str, &str)] = &[
    ("NoNewPrivileges", "true"),
    ("PrivateTmp", "true"),
    ("ProtectHome", "true"),
    ("ProtectSystem", "\"strict\""),
];

/// Keys that show that somebody has thought about rights.
fn is_about_rights(key: &str) -> bool {
    let starts = ["Capability", "Private", "Protect", "Restrict", "SystemCall"];
    matches!(key, "User" | "DynamicUser" | "NoNewPrivileges" | "AmbientCapabilities")
        || starts.iter().any(|start| key.starts_with(start))
}

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    // The services that somebody has thought about, or whose settings are not all known.
    let mut decided = HashSet::new();
    // Others are those of a module elsewhere, which may say more.
    let mut defined = HashSet::new();
    for setting in settings.on_hosts() {
        let mut names = settings.names(setting);
        let first = names.next().flatten();
        if matches!(first, Some("description" | "wantedBy")) {
            defined.insert(path_of(names));
        } else if first == Some("serviceConfig") {
            // What is merged into the set may hold anything.
            decided.insert(path_of(names));
        } else if names.next().flatten() == Some("serviceConfig") {
            let is_oneshot = || context.text_value(setting.value).is_some_and(|t| t == "oneshot");
            let decides = |name| is_about_rights(name) || name == "Type" && is_oneshot();
            if first.is_none_or(decides) {
                decided.insert(path_of(names));
            }
        }
    }
    for start in settings.matching(&["systemd.services.*.serviceConfig.ExecStart"]) {
        let service = path_of(settings.names(start).skip(2));
        // An empty command takes back those of another module.
        let is_override = context.text_value(start.value).is_some_and(|text| text.is_empty());
        if is_override || !defined.contains(&service) || !decided.insert(service) {
            continue;
        }
        let finding = Finding::at(start.value.range(), "this service runs as root with all rights");
        report.add(match hardening(start.value) {
            Some((set, at, lines)) => {
                raw_text::with_fix(finding, "take rights away", set, at, &lines)
            }
            None => finding,
        });
    }
}

/// The names of a path as one text.
fn path_of<'n>(names: impl Iterator<Item = Option<&'n str>>) -> String {
    let mut path = String::new();
    for name in names {
        path.push_str(name.unwrap_or("*"));
        path.push('\n');
    }
    path
}

/// The set that the binding of `value` stands in, the place behind that binding, and the lines of
/// the template.
fn hardening(value: Node<'_>) -> Option<(Node<'_>, TextRange, String)> {
    let binding = value.ancestors().find_map(ast::Binding::cast)?;
    let set = binding.node().parent().filter(|set| set.kind() == NodeKind::AttrSet)?;
    let path = binding.attr_path()?.node().text();
    let prefix = path.strip_suffix("ExecStart")?;
    let text = value.tree().text();
    let start = binding.node().range().start as usize;
    let line = &text[text[..start].rfind('\n')? + 1..start];
    let indent = line.chars().all(char::is_whitespace).then_some(line)?;
    let lines = TEMPLATE.iter().map(|(key, value)| format!("\n{indent}{prefix}{key} = {value};"));
    Some((set, TextRange::empty(binding.node().range().end), lines.collect()))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    #[test]
    fn what_has_an_account_or_a_wall_is_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC050", text), "", "{text}");
        let service = |more: &str| {
            format!(
                "{{ systemd.services.a = {{ description = \"a\"; serviceConfig = {{ ExecStart = \"x\"; {more} }}; }}; }}"
            )
        };
        assert_eq!(marked("SEC050", &service("Restart = \"always\";")), "\"x\"");
        assert_eq!(
            marked(
                "SEC050",
                &service("ExecStart = [ \"\" \"y\" \"z\" ];").replace("ExecStart = \"x\";", "")
            ),
            "\"y\""
        );
        silent("{ systemd.services.a.serviceConfig.ExecStart = \"x\"; }");
        silent(&service("User = \"a\";"));
        silent(&service("DynamicUser = true;"));
        silent(&service("ProtectSystem = true;"));
        silent(&service("Type = \"oneshot\";"));
        silent(&service("inherit (x) User;"));
        silent(
            "{ systemd.services.a.wantedBy = [ x ]; systemd.services.a.serviceConfig = hardening // { ExecStart = \"x\"; }; }",
        );
        silent(
            "{ systemd.user.services.a.description = \"x\"; systemd.user.services.a.serviceConfig.ExecStart = \"x\"; }",
        );
    }

    #[test]
    fn dotted_keys_stay_dotted() {
        let text = "{\n  systemd.services.a = {\n    wantedBy = [ x ];\n    serviceConfig.ExecStart = \"x\";\n  };\n}";
        let want = "serviceConfig.ExecStart = \"x\";\n    serviceConfig.NoNewPrivileges = true;\n";
        assert!(fixed_unsafely("SEC050", text).contains(want));
    }
}
