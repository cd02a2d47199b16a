//! SEC013: evaluation that runs programs.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC013"),
    name: "native-code",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(
        &[
            NodeKind::Select,
            NodeKind::Ident,
            NodeKind::Binding,
            NodeKind::Inherit,
            NodeKind::Str,
            NodeKind::IndStr,
        ],
        check,
    ),
    words: &["exec", "importNative", SETTING],
    doc: "\
Flags `builtins.exec`, `builtins.importNative`, and the setting
`allow-unsafe-native-code-during-evaluation` that switches them on.

## Why it matters

With the setting, whatever is evaluated can run any program as the user: a look into somebody's
flake is enough. The setting holds for all that the user evaluates, not for the one file that wants
it.

## Example

```nix
builtins.exec [ \"date\" ]
```

```nix
{ nix.settings.allow-unsafe-native-code-during-evaluation = true; }
```

## Better

```nix
{ nix.settings.allow-unsafe-native-code-during-evaluation = false; }
```

## Source

The Nix manual on the setting, which it calls unsafe.
",
};

const SETTING: &str = "allow-unsafe-native-code-during-evaluation";

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    match node.kind() {
        NodeKind::Select | NodeKind::Ident => {
            // Other names for them are seen where they are given.
            let text = node.text();
            if !text.ends_with("exec") && !text.ends_with("importNative") {
                return;
            }
            let origin = context.origin(node).filter(|origin| origin.home == Home::Builtins);
            let Some(origin) = origin else { return };
            let is_name = matches!(node.parent(), Some(above) if above.kind() == NodeKind::Select);
            if is_native(origin.name) && !is_name {
                let message = format!("`{}` runs native code while evaluating", origin.name);
                report.add(Finding::at(node.range(), message));
            }
        }
        NodeKind::Inherit => inherited(context, node, report),
        NodeKind::Binding => {
            let Some(binding) = ast::Binding::cast(node) else { return };
            let name = binding.attr_path().and_then(|path| path.elements().last());
            let is_setting = name.and_then(|name| name.name()).as_deref() == Some(SETTING);
            let is_on = binding.value().is_some_and(|value| value.text() == "true");
            if is_setting && is_on {
                report.add(Finding::at(node.range(), "this lets all evaluation run native code"));
            }
        }
        _ => in_configuration_text(node, report),
    }
}

fn is_native(name: &str) -> bool {
    matches!(name, "exec" | "importNative")
}

/// `inherit (builtins) exec;`.
fn inherited(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(inherit) = ast::Inherit::cast(node) else { return };
    let Some(from) = inherit.from().filter(|from| from.text() == "builtins") else { return };
    if context.expr_of(from.id()).is_none() {
        return;
    }
    for name in inherit.names() {
        if let Some(text) = name.name().filter(|text| is_native(text)) {
            let message = format!("`{text}` runs native code while evaluating");
            report.add(Finding::at(name.node().range(), message));
        }
    }
}

/// A line of `nix.conf` in a string.
fn in_configuration_text(node: Node<'_>, report: &mut Report) {
    let is_on = |line: &str| {
        let setting = line.trim_start_matches([' ', '\t', '"', '\'']).strip_prefix(SETTING);
        let value = setting.and_then(|rest| rest.trim_start().strip_prefix('='));
        value.is_some_and(|value| value.trim_start().starts_with("true"))
    };
    let lines = |text: &str| text.split('\n').flat_map(|line| line.split("\\n")).any(is_on);
    if node.own_tokens().any(|token| lines(token.text())) {
        report.add(Finding::at(node.range(), "this lets all evaluation run native code"));
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn functions_and_settings_are_found() {
        assert_eq!(marked("SEC013", "builtins.importNative ./a.so \"x\""), "builtins.importNative");
        assert_eq!(marked("SEC013", "let b = builtins; in b.exec [ ]"), "b.exec");
        assert_eq!(marked("SEC013", "let inherit (builtins) exec; in 1"), "exec");
        let text =
            "{ nix.extraOptions = ''\n  allow-unsafe-native-code-during-evaluation = true\n''; }";
        assert!(!marked("SEC013", text).is_empty());
        let text = r#""a = b\nallow-unsafe-native-code-during-evaluation=true""#;
        assert!(!marked("SEC013", text).is_empty());
    }

    #[test]
    fn others_of_that_name_are_fine() {
        assert_eq!(marked("SEC013", "{ exec }: exec 1"), "");
        assert_eq!(marked("SEC013", "{ exec = 1; a = pkgs.exec; pkgs = { }; }"), "");
        assert_eq!(marked("SEC013", "{ allow-unsafe-native-code-during-evaluation = false; }"), "");
        assert_eq!(marked("SEC013", "\"exec allow-unsafe-native-code-during-evaluation\""), "");
    }
}
