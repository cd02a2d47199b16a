//! STY021, STY022 and STY023: what a package says about itself.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use super::packages::{self, attributes, definition, has};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const LICENSE: Rule = Rule {
    code: Code("STY021"),
    name: "missing-license",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], |_, node, report| missing(node, "license", report)),
    words: packages::WORDS,
    doc: "\
Flags a package whose `meta` has no `license`.

## Why it matters

Without it nobody knows whether the package may be distributed, and checks for free software pass it
by. The rule is opt-in: packages for oneself need none.

## Example

```nix
{ stdenv }:
stdenv.mkDerivation {
  pname = \"tool\";
  meta = { description = \"A tool\"; };
}
```

## Better

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  pname = \"tool\";
  meta = { description = \"A tool\"; license = lib.licenses.mit; };
}
```

## Source

The rule `license-missing` of nixpkgs-hammering, without evaluation.
",
};

pub(crate) const DESCRIPTION: Rule = Rule {
    code: Code("STY022"),
    name: "missing-description",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], |_, node, report| missing(node, "description", report)),
    words: packages::WORDS,
    doc: "\
Flags a package whose `meta` has no `description`.

## Why it matters

Searches show it, and it is often all that they show. The rule is opt-in: packages for oneself need
none.

## Example

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  pname = \"tool\";
  meta = { license = lib.licenses.mit; };
}
```

## Better

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  pname = \"tool\";
  meta = { license = lib.licenses.mit; description = \"A tool\"; };
}
```

## Source

The manual of nixpkgs on meta-attributes; nixpkgs-hammering looks at neighbouring attributes.
",
};

pub(crate) const MAIN_PROGRAM: Rule = Rule {
    code: Code("STY023"),
    name: "missing-main-program",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_program),
    words: packages::WORDS,
    doc: "\
Flags a package that mentions `$out/bin/…` and whose `meta` has no `mainProgram`.

## Why it matters

`nix run` and `lib.getExe` take the name of the package for that of the program where nothing else is
said. The rule is opt-in: the two are often the same.

## Example

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  pname = \"tool\";
  postInstall = ''
    strip $out/bin/tl
  '';
  meta = { license = lib.licenses.mit; };
}
```

## Better

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  pname = \"tool\";
  postInstall = ''
    strip $out/bin/tl
  '';
  meta = { license = lib.licenses.mit; mainProgram = \"tl\"; };
}
```

## Source

The manual of nixpkgs on `meta.mainProgram`.
",
};

/// The `meta` of the package that `apply` defines, if all of it is written out: name and value.
fn meta(apply: Node<'_>) -> Option<(Node<'_>, Node<'_>)> {
    attributes(definition(apply)?)
        .find(|(name, value)| name.text() == "meta" && is_written_out(*value))
}

/// Whether a value is a set literal, maybe behind a `with`.
fn is_written_out(value: Node<'_>) -> bool {
    meta_set(value).is_some()
}

fn meta_set(value: Node<'_>) -> Option<Node<'_>> {
    match value.kind() {
        NodeKind::AttrSet => Some(value),
        NodeKind::With => value.child(1).filter(|body| body.kind() == NodeKind::AttrSet),
        _ => None,
    }
}

fn missing(apply: Node<'_>, attribute: &str, report: &mut Report) {
    let Some((name, value)) = meta(apply) else { return };
    if meta_set(value).is_some_and(|set| !has(set, attribute)) {
        report.add(Finding::at(name.range(), format!("`meta` has no `{attribute}`")));
    }
}

fn check_program(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some((name, value)) = meta(node) else { return };
    let lacks = meta_set(value).is_some_and(|set| !has(set, "mainProgram"));
    if lacks && definition(node).is_some_and(|set| set.text().contains("$out/bin/")) {
        report.add(
            Finding::at(name.range(), "`meta` has no `mainProgram`")
                .help("name the program in `$out/bin` that `nix run` is to start"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn what_meta_lacks() {
        let text = "stdenv.mkDerivation { meta = { }; }";
        assert_eq!(marked("STY021 STY022 STY023", text), "meta meta");
        assert_eq!(
            marked("STY021", "p.buildGoModule (final: rec { meta = with lib; { }; })"),
            "meta"
        );
        assert_eq!(marked("STY021", "stdenv.mkDerivation { meta = { inherit license; }; }"), "");
        assert_eq!(
            marked("STY021", "stdenv.mkDerivation { meta = { license.free = true; }; }"),
            ""
        );
        assert_eq!(marked("STY021", "stdenv.mkDerivation { meta = x // { }; }"), "");
        assert_eq!(marked("STY021", "stdenv.mkDerivation { }"), "");
        assert_eq!(marked("STY021", "f { meta = { }; }"), "");
        assert_eq!(
            marked("STY023", "stdenv.mkDerivation { a = \"$out/bin/a\"; meta = { }; }"),
            "meta"
        );
    }
}
