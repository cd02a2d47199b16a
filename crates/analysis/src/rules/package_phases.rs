//! STY027 to STY030: how a package is built.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::packages::{attributes, definition, has};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const FLAGS_ARRAY: Rule = Rule {
    code: Code("STY027"),
    name: "flags-array",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_array),
    words: &["FlagsArray"],
    doc: "\
Flags an attribute such as `makeFlagsArray` of a package.

## Why it matters

The builder knows such arrays as variables of the shell that a phase fills; an attribute arrives
there as one text. The rule is opt-in, as it concerns few.

## Example

```nix
{ stdenv }: stdenv.mkDerivation { makeFlagsArray = [ \"CFLAGS=-O1 -g\" ]; }
```

## Better

```nix
{ stdenv }: stdenv.mkDerivation { preBuild = ''makeFlagsArray+=(\"CFLAGS=-O1 -g\")''; }
```

## Source

The rule `no-flags-array` of nixpkgs-hammering, without evaluation.
",
};

pub(crate) const PHASES: Rule = Rule {
    code: Code("STY028"),
    name: "explicit-phases",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_phases),
    words: &["phases"],
    doc: "\
Flags a package that lists its `phases`.

## Why it matters

A list leaves out what it does not name, such as the phase that mends paths in what was built.
`dontUnpack` and the like switch off one phase. The rule is opt-in, as such a list may be right.

## Example

```nix
{ stdenv }: stdenv.mkDerivation { phases = [ \"installPhase\" ]; }
```

## Better

```nix
{ stdenv }: stdenv.mkDerivation { dontUnpack = true; dontBuild = true; }
```

## Source

The rule `explicit-phases` of nixpkgs-hammering.
",
};

pub(crate) const FLAG_SPACES: Rule = Rule {
    code: Code("STY029"),
    name: "flag-with-spaces",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_spaces),
    words: &["Flags"],
    doc: "\
Flags a flag with a blank in it, in a list such as `makeFlags` or `cmakeFlags`.

## Why it matters

The builder splits such lists at blanks, so the flag arrives in pieces unless the package sets
`__structuredAttrs`. The rule is opt-in: two flags in one text work.

## Example

```nix
{ stdenv }: stdenv.mkDerivation { makeFlags = [ \"CFLAGS=-O1 -g\" ]; }
```

## Better

```nix
{ stdenv }: stdenv.mkDerivation { makeFlags = [ \"PREFIX=/usr\" ]; env.CFLAGS = \"-O1 -g\"; }
```

## Source

The rule `no-flags-spaces` of nixpkgs-hammering, without evaluation.
",
};

pub(crate) const PHASE_HOOKS: Rule = Rule {
    code: Code("STY030"),
    name: "missing-phase-hooks",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_hooks),
    words: &["Phase"],
    doc: "\
Flags a phase of a package that does not run the hooks in front of and behind it.

## Why it matters

`preInstall` and `postInstall`, in an override or by a hook of another package, then do nothing. The
rule is opt-in: packages for oneself may have no hooks.

## Example

```nix
{ stdenv }: stdenv.mkDerivation { installPhase = ''cp -r . $out''; }
```

## Better

```nix
{ stdenv }:
stdenv.mkDerivation {
  installPhase = ''
    runHook preInstall
    cp -r . $out
    runHook postInstall
  '';
}
```

## Source

The rule `missing-phase-hooks` of nixpkgs-hammering.
",
};

/// Arrays that phases of the standard builder read. That of the Python builder is an attribute.
const ARRAYS: &[&str] = &[
    "buildFlagsArray",
    "checkFlagsArray",
    "cmakeFlagsArray",
    "configureFlagsArray",
    "installCheckFlagsArray",
    "installFlagsArray",
    "makeFlagsArray",
    "mesonFlagsArray",
    "ninjaFlagsArray",
];

/// Lists that the builder splits at blanks.
const SPLIT: &[&str] =
    &["buildFlags", "cmakeFlags", "configureFlags", "installFlags", "makeFlags", "mesonFlags"];

/// Phases with hooks, and how the hooks are called behind `pre` and `post`.
const HOOKED: &[(&str, &str)] = &[
    ("buildPhase", "Build"),
    ("checkPhase", "Check"),
    ("configurePhase", "Configure"),
    ("installPhase", "Install"),
];

fn check_array(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    for (name, _) in attributes(set).filter(|(name, _)| ARRAYS.contains(&name.text())) {
        let message = format!("`{}` is a variable of the shell, not an attribute", name.text());
        report.add(Finding::at(name.range(), message).help("fill it in a phase"));
    }
}

fn check_phases(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    for (name, _) in attributes(set).filter(|(name, _)| name.text() == "phases") {
        report.add(
            Finding::at(name.range(), "this leaves out all phases that it does not name")
                .help("switch off single phases by `dontUnpack` and the like"),
        );
    }
}

fn check_spaces(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    if has(set, "__structuredAttrs") {
        return;
    }
    for (_, list) in attributes(set).filter(|(name, _)| SPLIT.contains(&name.text())) {
        let flags = list.children().filter(|_| list.kind() == NodeKind::List);
        for flag in flags.filter(|flag| ast::Str::cast(*flag).is_some() && flag.is_leaf()) {
            if flag.text().trim_matches(['"', '\'']).trim().contains(' ') {
                report.add(Finding::at(flag.range(), "this is split at its blanks"));
            }
        }
    }
}

fn check_hooks(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    for (name, value) in attributes(set) {
        let Some((_, hook)) = HOOKED.iter().find(|(phase, _)| *phase == name.text()) else {
            continue;
        };
        if ast::Str::cast(value).is_none() || value.text().len() < 5 {
            continue;
        }
        let runs = |when: &str| {
            let mut calls = value.text().split("runHook ").skip(1);
            calls.any(|call| call.strip_prefix(when).is_some_and(|call| call.starts_with(hook)))
        };
        if !runs("pre") || !runs("post") {
            report.add(
                Finding::at(name.range(), "this phase does not run its hooks")
                    .help(format!("call `runHook pre{hook}` first and `runHook post{hook}` last")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    fn of(code: &str, attributes: &str) -> String {
        marked(code, &format!("{{ stdenv }}: stdenv.mkDerivation {{ {attributes} }}"))
    }

    #[test]
    fn arrays_and_phases() {
        assert_eq!(
            of("STY027", "makeFlagsArray = [ ]; makeFlags = [ ]; pytestFlagsArray = [ ];"),
            "makeFlagsArray"
        );
        assert_eq!(of("STY028", "phases = \"a\"; unpackPhase = \"b\";"), "phases");
        assert_eq!(marked("STY028", "{ phases = 1; }"), "");
    }

    #[test]
    fn flags_with_blanks() {
        assert_eq!(of("STY029", "makeFlags = [ \"A=b c\" \"D=${e} f\" \"g\" ];"), "\"A=b c\"");
        assert_eq!(of("STY029", "makeFlags = [ \"A=b c\" ]; __structuredAttrs = true;"), "");
        assert_eq!(of("STY029", "otherFlags = [ \"A=b c\" ];"), "");
    }

    #[test]
    fn phases_without_hooks() {
        let text = "stdenv.mkDerivation { buildPhase = ''runHook preBuild; make''; }";
        assert_eq!(found("STY030", text), "buildPhase: this phase does not run its hooks\n");
        assert_eq!(of("STY030", "checkPhase = ''runHook preCheck; runHook postCheck'';"), "");
        assert_eq!(
            of("STY030", "installPhase = x; buildPhase = \"\"; patchPhase = \"patch\";"),
            ""
        );
    }
}
