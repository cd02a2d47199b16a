//! SEC024: an attribute with the name of a secret, and its value in plain sight.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::places::{is_prose, is_test_file, names_around};
use super::secret_names::is_secret;
use super::secret_values::looks_secret;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC024"),
    name: "secret-in-code",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binding], check),
    words: &[
        "assword",
        "asswd",
        "assphrase",
        "ecret",
        "oken",
        "Key",
        "_key",
        "-key",
        "apikey",
        "PASS",
        "SECRET",
        "TOKEN",
        "KEY",
    ],
    doc: "\
Flags an attribute whose name says that it is a secret (`password`, `apiKey`, `client_secret`, …)
and whose value is a string that looks like one.

Examples, defaults and descriptions of options are left alone, and so are paths, addresses, names of
variables, templates, stand-ins (`changeme`), plain words and tests. Passwords of `users.users` have
a rule of their own.

## Why it matters

Who can read the repository has the secret, and so has everybody on the machine: what a
configuration holds ends up in the Nix store, which all users can read.

## Example

```nix
{ services.tool.settings.apiToken = \"kT4x9-Qw8zP2-mB7vR3\"; }
```

## Better

```nix
{ config }:
{ services.tool.settings.apiTokenFile = config.sops.secrets.tool.path; }
```

## Source

NixOS/nix issue 8: the store keeps no secrets.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(binding) = ast::Binding::cast(node) else { return };
    let Some(value) = binding.value().filter(|value| value.kind() == NodeKind::Str) else { return };
    // Most strings are none, and that is seen sooner than what their names say.
    let text = ast::Str::cast(value).and_then(ast::Str::static_value);
    if !text.is_some_and(|text| looks_secret(&text)) {
        return;
    }
    let name = binding.attr_path().and_then(|path| path.elements().last());
    let Some(name) = name.and_then(|name| name.name()).filter(|name| is_secret(name)) else {
        return;
    };
    if is_prose(node) || is_test_file(context.path) || is_users_own(node) {
        return;
    }
    let found = Finding::at(value.range(), format!("the value of `{name}` is in plain sight"));
    report.add(found.help("read it from a file outside the store while the program runs"));
}

/// Whether the binding lies below `users.users`, which rules of its own look at.
fn is_users_own(node: Node<'_>) -> bool {
    names_around(node).any(|name| name.name().is_some_and(|name| name == "users"))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn values_in_plain_sight_are_found() {
        assert_eq!(marked("SEC024", "{ a.token = \"kT4x9-Qw8zP2\"; }"), "\"kT4x9-Qw8zP2\"");
        assert_eq!(
            marked("SEC024", "{ a.\"client_secret\" = \"9f86d081884c7d65\"; }"),
            "\"9f86d081884c7d65\""
        );
        assert_eq!(marked("SEC024", "let apiKey = \"kT4x9Qw8zP2\"; in apiKey"), "\"kT4x9Qw8zP2\"");
    }

    #[test]
    fn whatever_is_none_is_fine() {
        for text in [
            "{ example.token = \"kT4x9-Qw8zP2\"; }",
            "{ mkOption }: { token = mkOption { default = \"kT4x9-Qw8zP2\"; }; }",
            "{ mkOption }: { a = mkOption { example = { token = \"kT4x9-Qw8zP2\"; }; }; }",
            "{ token = \"/run/kT4x9-Qw8zP2\"; }",
            "{ token = /run/kT4x9Qw8zP2; }",
            "{ token = \"\"; }",
            "{ token = \"changeme-kT4x9\"; }",
            "{ tokenFile = \"kT4x9-Qw8zP2\"; }",
            "{ c }: { token = c.kT4x9Qw8zP2; }",
            "{ c }: { token = \"kT4x9-Qw8zP2${c}\"; }",
            "{ users.users.me.password = \"kT4x9-Qw8zP2\"; }",
            "{ token ? \"kT4x9-Qw8zP2\" }: token",
        ] {
            assert_eq!(marked("SEC024", text), "", "{text}");
        }
    }
}
