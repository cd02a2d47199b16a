//! SEC058: a path literal that means a place on one machine.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::places::{is_prose, is_test_file};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC058"),
    name: "absolute-path",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a path literal that is absolute or begins with `~/`.

Strings are no path literals. Left alone are `/.` (the idiom that makes a path of a string), places
that are the same everywhere (`/dev`, `/proc`, `/sys`, `/tmp`, `/nix/store`), what is put behind another
path (`src + /lib`) or compared, files whose existence is asked
first with `pathExists`, and defaults and examples of options. Whether `../…` leaves a flake depends
on what is fetched with it, so it is not judged.

## Why it matters

The code works on one machine only, and evaluates to something else on the next one. Flakes cannot
read such paths. Where the path becomes part of a derivation, the file is copied to the Nix store,
which all users can read: write a string where a program is to open the file itself.

## Example

```nix
{ imports = [ /etc/nixos/hardware-configuration.nix ]; }
```

```nix
{ services.tool.keyFile = ~/keys/tool.key; }
```

## Better

```nix
{
  imports = [ ./hardware-configuration.nix ];
  services.tool.keyFile = \"/home/me/keys/tool.key\";
}
```

## Source

Nix reports `access to absolute path '…' is forbidden in pure evaluation mode`.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let mut asked: Option<HashSet<&str>> = None;
    for node in context.tree.nodes().filter(|node| node.kind() == NodeKind::Path) {
        let text = node.text();
        let is_home = text.starts_with("~/");
        if !is_home && !text.starts_with('/') || is_everywhere(text) {
            continue;
        }
        if is_joined(node) || is_prose(node) || is_test_file(context.path) {
            continue;
        }
        if asked.get_or_insert_with(|| asked_for(context)).contains(text) {
            continue;
        }
        let message = if is_home {
            "this path depends on who evaluates the code"
        } else {
            "this path is that of one machine"
        };
        report.add(
            Finding::at(node.range(), message)
                .help("use a path relative to this file, or a string if a program is to open it"),
        );
    }
}

/// Whether a path means the same on every machine, or is a way to write another one.
fn is_everywhere(path: &str) -> bool {
    const ROOTS: &[&str] = &[
        "/dev/",
        "/proc/",
        "/sys/",
        "/nix/store/",
        "/var/empty",
        "/bin/sh",
        "/usr/bin/env",
        "/no-such-path",
        "/homeless-shelter",
    ];
    matches!(
        path,
        "/." | "/.." | "/tmp" | "/var/tmp" | "/dev" | "/proc" | "/sys" | "/nix" | "/nix/store"
    ) || ROOTS.iter().any(|root| path.starts_with(root))
}

/// Whether a path is only put behind another one (`src + /lib`), or compared.
fn is_joined(path: Node<'_>) -> bool {
    let around = path.ancestors().find(|node| node.kind() != NodeKind::Paren);
    let Some(around) = around else { return false };
    match around.kind() {
        NodeKind::Binary => match ast::Binary::cast(around).map(ast::Binary::operator) {
            Some(TokenKind::Add) => around.child(0) != Some(path),
            operator => matches!(operator, Some(TokenKind::Equal | TokenKind::NotEqual)),
        },
        // `map (file: ./. + file) [ /a /b ]`.
        NodeKind::List => {
            let call = around.parent().filter(|node| node.kind() == NodeKind::Apply);
            let function =
                call.and_then(|call| call.child(0)).map_or("", |function| function.text());
            matches!(function.rsplit('.').next(), Some("map" | "concatMap" | "forEach"))
        }
        _ => false,
    }
}

/// The paths that the file asks for before it uses them.
fn asked_for<'a>(context: &Context<'a>) -> HashSet<&'a str> {
    if !context.text().contains("pathExists") {
        return HashSet::new();
    }
    let calls = context.tree.nodes().filter(|node| node.kind() == NodeKind::Apply);
    let asking = calls
        .filter(|call| context.called(*call).is_some_and(|called| called.is_library("pathExists")));
    let asked = asking.filter_map(|call| context.value_behind(call.child(1)?));
    asked.filter(|asked| asked.kind() == NodeKind::Path).map(|asked| asked.text()).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn places_of_one_machine_are_found() {
        assert_eq!(marked("SEC058", "import /etc/nixos/a.nix"), "/etc/nixos/a.nix");
        assert_eq!(marked("SEC058", "{ a = ~/b; }"), "~/b");
        assert_eq!(marked("SEC058", "n: [ /home/${n}/a ]"), "/home/${n}/a");
    }

    #[test]
    fn others_are_fine() {
        for text in [
            "p: /. + p",
            "{ a = /dev/null; b = /nix/store/x; }",
            "{ a = \"/etc/a\"; b = ../a; c = ./b; }",
            "if builtins.pathExists /etc/a then import /etc/a else { }",
            "let p = /etc/a; in if builtins.pathExists p then import p else { }",
            "{ mkOption }: mkOption { default = /etc/a; }",
            "{ path ? /etc/a }: path",
            "s: s + /lib/a",
            "s: s == /var/lib/a",
            "map (f: ./. + f) [ /a/b ]",
            "{ d = /tmp; }",
        ] {
            assert_eq!(marked("SEC058", text), "", "{text}");
        }
    }
}
