//! SEC028: a secret in a text that goes to the store.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::secret_names;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC028"),
    name: "secret-in-text",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["assword", "asswd", "assphrase", "oken", "ecret", "ey}"],
    doc: "\
Flags a secret that is put into a file of the store, by `writeText`, `builtins.toFile` or \
`environment.etc`.

## Why it matters

Every user of the machine can read the store. What is a secret is told by names: an interpolated
`password`, or a file of that name whose text is in the code. Placeholders that a secret takes the
place of at run time (as in the templates of sops-nix) are fine.

## Example

```nix
{ cfg, pkgs }: pkgs.writeText \"app.conf\" \"db_password = ${cfg.dbPassword}\"
```

```nix
{ pkgs }: pkgs.writeText \"admin-password\" \"hunter2\"
```

## Better

```nix
{ cfg, pkgs }: pkgs.writeText \"app.conf\" \"db_password_file = ${cfg.dbPasswordFile}\"
```

## Source

Nix manual, `builtins.toFile`; NixOS options, `environment.etc`.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in
        settings.matching(&["environment.etc.*.text", "xdg.configFile.*.text", "home.file.*.text"])
    {
        check_text(context, setting.value, report);
    }
    if !["writeText", "toFile"].iter().any(|name| context.text().contains(name)) {
        return;
    }
    for apply in context.tree.nodes().filter(|node| node.kind() == NodeKind::Apply) {
        let Some(function) = context.called(apply) else { continue };
        if !matches!(function.name, "writeText" | "toFile") || !settings.is_on_host(apply) {
            continue;
        }
        let mut arguments = apply.children().skip(1);
        let (Some(name), Some(text)) = (arguments.next(), arguments.next()) else { continue };
        check_text(context, text, report);
        let is_secret = context.text_value(name).is_some_and(|name| is_secret_name_of_file(&name));
        let has_text = || context.text_value(text).is_some_and(|text| is_plain_secret(&text));
        if is_secret && has_text() && !is_named_so(apply) {
            report.add(Finding::at(
                text.range(),
                "this secret is written to the store, where all can read it",
            ));
        }
    }
}

/// Whether the option that gets the file says by its name that it is secret, see SEC025.
fn is_named_so(apply: Node<'_>) -> bool {
    let binding = apply.ancestors().find_map(ast::Binding::cast);
    let name = binding.and_then(|binding| binding.attr_path()?.elements().last()?.name());
    name.is_some_and(|name| secret_names::is_secret_file(&name))
}

fn is_secret_name_of_file(name: &str) -> bool {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    matches!(end, "" | "txt") && secret_names::is_secret(stem)
}

/// Whether a text is one word, as secrets are, rather than a configuration.
fn is_plain_secret(text: &str) -> bool {
    let text = text.trim();
    let is_stand_in = secret_names::is_stand_in(&text.to_ascii_lowercase());
    !text.is_empty() && !text.contains(char::is_whitespace) && !is_stand_in
}

/// Reports the secrets that a text interpolates.
fn check_text(context: &Context<'_>, text: Node<'_>, report: &mut Report) {
    let Some(string) = ast::without_parens(text).and_then(ast::Str::cast) else { return };
    for interpol in string.interpolations() {
        let Some(expr) = interpol.expr().and_then(ast::without_parens) else { continue };
        let Some(secret) = secret_of(expr) else { continue };
        // What a name stands for is known better than what it says.
        let value = context.value_behind(expr).unwrap_or(expr);
        let is_text = matches!(value.kind(), NodeKind::Str | NodeKind::IndStr) && value.is_leaf();
        if value != expr && !is_text && secret_of(value).is_none() {
            continue;
        }
        report.add(
            Finding::at(
                expr.range(),
                format!("`{secret}` is written to the store, where all can read it"),
            )
            .help("let the program read it from a file at run time"),
        );
    }
}

/// The name of the secret that an expression reads.
fn secret_of(expr: Node<'_>) -> Option<&str> {
    let name = match expr.kind() {
        NodeKind::Ident => expr.text(),
        NodeKind::Select => {
            let path = ast::Select::cast(expr)?.attr_path()?.node();
            let is_stand_in =
                |name: Node<'_>| matches!(name.text(), "placeholder" | "placeholders");
            if path.children().any(is_stand_in) {
                return None;
            }
            path.last_child()?.text()
        }
        _ => return None,
    };
    (name.len() < 60 && secret_names::is_secret(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn interpolated_secrets() {
        let text = "{ environment.etc.\"a.conf\".text = ''\n  p=${config.x.password} ${f x}\n''; }";
        assert_eq!(marked("SEC028", text), "config.x.password");
        assert_eq!(marked("SEC028", "builtins.toFile \"x\" \"${token}\""), "token");
    }

    #[test]
    fn stand_ins_and_files_are_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC028", text), "", "{text}");
        silent("pkgs.writeText \"x\" \"${config.sops.placeholder.password}\"");
        silent("pkgs.writeText \"x\" \"${passwordFile} ${config.age.secrets.token.path}\"");
        silent("pkgs.writeText \"imap-password\" \"@imap-password@\"");
        silent("pkgs.writeText \"password.nix\" \"x\"");
        silent("let secret = ./x; in pkgs.writeText \"x\" \"${secret}\"");
        silent(
            "c: let password = if c then \"''\" else \"read()\"; in toFile \"x\" \"${password}\"",
        );
        silent("pkgs.nixosTest { testScript = pkgs.writeText \"password\" \"x\"; }");
    }
}
