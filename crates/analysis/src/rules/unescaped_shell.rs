//! SEC054: an option's value becomes shell code.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::raw_text;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC054"),
    name: "unescaped-shell",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::File(check),
    // One of these begins each of the options; `script` stands in every description.
    words: &["systemd", "activationScripts"],
    doc: "\
Flags the value of an option that is put into a shell script without being escaped.

## Why it matters

A blank, a quote or a `$` in the value changes what the script does, and what comes from elsewhere
runs as code. It is off by default, as most options hold plain words; paths, ports, users and
packages are not flagged.

## Example

```nix
{ config, lib, ... }: {
  systemd.services.app.script = ''
    app --title ${config.services.app.title}
  '';
}
```

## Better

```nix
{ config, lib, ... }: {
  systemd.services.app.script = ''
    app --title ${lib.escapeShellArg config.services.app.title}
  '';
}
```

## When the fix is unsafe

The value may be meant to be several words, or to be expanded by the shell.

## Source

Nixpkgs manual, `lib.escapeShellArg`.
",
};

const SCRIPTS: &[&str] = &[
    "systemd.services.*.script",
    "systemd.services.*.preStart",
    "systemd.services.*.postStart",
    "systemd.services.*.preStop",
    "systemd.services.*.postStop",
    "systemd.services.*.reload",
    "systemd.user.services.*.script",
    "systemd.user.services.*.preStart",
    "system.activationScripts.*",
    "system.activationScripts.*.text",
];

/// Last words of options whose values need no escaping, or are code by intent.
const PLAIN: &[&str] = &[
    "address",
    "args",
    "arguments",
    "cmd",
    "command",
    "commands",
    "config",
    "dir",
    "directory",
    "drv",
    "exec",
    "extra",
    "file",
    "flags",
    "folder",
    "gid",
    "group",
    "home",
    "host",
    "hostname",
    "id",
    "interface",
    "level",
    "mode",
    "number",
    "options",
    "out",
    "package",
    "path",
    "port",
    "prefix",
    "script",
    "size",
    "text",
    "timeout",
    "toplevel",
    "uid",
    "url",
    "user",
    "version",
];

fn check(context: &Context<'_>, report: &mut Report) {
    for setting in context.settings().matching(SCRIPTS) {
        let Some(string) = ast::Str::cast(setting.value) else { continue };
        for interpol in string.interpolations() {
            let Some(expr) = interpol.expr().filter(|expr| is_free_text(*expr)) else { continue };
            let finding =
                Finding::at(expr.range(), "this value becomes a part of the script as it is")
                    .help("escape it with `lib.escapeShellArg`");
            let string = string.node();
            report.add(match word_around(string, interpol.node()) {
                Some(word) => {
                    let call = format!("${{lib.escapeShellArg {}}}", expr.text());
                    raw_text::with_fix(finding, "escape the value", string, word, &call)
                }
                None => finding,
            });
        }
    }
}

/// Whether an expression reads an option that may hold any text.
fn is_free_text(expr: Node<'_>) -> bool {
    let Some(select) = ast::Select::cast(expr) else { return false };
    let is_option = select.base().is_some_and(|base| matches!(base.text(), "cfg" | "config"));
    let Some(path) = select.attr_path().filter(|_| is_option) else { return false };
    let names = || path.elements().filter_map(ast::Attr::name);
    // What the system has made of its options are store paths.
    let is_built = names().any(|name| matches!(&*name, "build" | "package" | "finalPackage"));
    let Some(last) = names().last() else { return false };
    let words = super::secret_names::words(&last);
    let is_code = words.first().is_some_and(|word| word == "extra");
    !is_built && !is_code && words.last().is_some_and(|word| !PLAIN.contains(&word.as_str()))
}

/// What to put an escaped value in the place of, where it is a word of its own and `lib` is at hand.
fn word_around(string: Node<'_>, interpol: Node<'_>) -> Option<TextRange> {
    let has_library = |node: Node<'_>| {
        let pattern = ast::Lambda::cast(node).and_then(ast::Lambda::pattern);
        pattern.is_some_and(|pattern| {
            pattern.formals().any(|formal| formal.name().is_some_and(|name| name.text() == "lib"))
        })
    };
    if string.kind() != NodeKind::IndStr || !string.ancestors().any(has_library) {
        return None;
    }
    let text = string.tree().text();
    let TextRange { start, end } = interpol.range();
    let before = text[..start as usize].chars().next_back()?;
    let after = text[end as usize..].chars().next()?;
    let ends_word = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "=;)('".contains(c));
    match (before, after) {
        // Quotes around it would be quotes around quotes.
        ('"', '"') => {
            let before = text[..start as usize - 1].chars().next_back();
            let after = text[end as usize + 1..].chars().next();
            let is_alone = ends_word(before) && ends_word(after);
            is_alone.then(|| TextRange::new(start - 1, end + 1))
        }
        (before, after) => {
            let starts = before.is_whitespace() || before == '=';
            let ends = after.is_whitespace() || after == ';';
            (starts && ends).then(|| TextRange::new(start, end))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    fn script(code: &str) -> String {
        format!("{{ cfg, lib, ... }}: {{ systemd.services.a.preStart = ''\n  {code}\n''; }}")
    }

    #[test]
    fn quotes_around_a_value_go_away() {
        let fixed = |before, after| {
            assert_eq!(fixed_unsafely("SEC054", &script(before)), script(after));
        };
        fixed("a \"${cfg.title}\" b", "a ${lib.escapeShellArg cfg.title} b");
        fixed("X=${cfg.title};", "X=${lib.escapeShellArg cfg.title};");
        fixed("a \"${cfg.title}/b\"", "a \"${cfg.title}/b\"");
        assert_eq!(marked("SEC054", &script("a \"${cfg.title}/b\"")), "cfg.title");
    }

    #[test]
    fn scripts_of_any_name_and_spelling() {
        let found = |setting: &str| {
            let text =
                format!("{{ cfg, ... }}: {{ systemd.services.a.{setting}\"x ${{cfg.title}}\"; }}");
            assert_eq!(marked("SEC054", &text), "cfg.title", "{text}");
        };
        found("reload = ");
        found("script= ");
        found("script\n= ");
        found("postStop = ");
    }

    #[test]
    fn paths_ports_and_packages_are_silent() {
        for code in [
            "${cfg.package}/bin/x",
            "${cfg.dataDir} ${cfg.port}",
            "${lib.escapeShellArg cfg.x}",
            "${cfg.extraLines}",
            "${x}",
        ] {
            assert_eq!(marked("SEC054", &script(code)), "", "{code}");
        }
    }
}
