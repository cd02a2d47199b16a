//! STY020 and STY024: how a package is named and in which order it says what.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::packages::{self, attributes, definition, has};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const NAME: Rule = Rule {
    code: Code("STY020"),
    name: "name-with-version",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_name),
    words: packages::WORDS,
    doc: "\
Flags a package that has a `name` with the version in it rather than `pname` and `version`.

## Why it matters

Updates, overrides and vulnerability scanners read `pname` and `version`. The rule is opt-in:
packages for oneself can do without.

## Example

```nix
{ stdenv }: stdenv.mkDerivation { name = \"tool-1.2\"; }
```

## Better

```nix
{ stdenv }: stdenv.mkDerivation { pname = \"tool\"; version = \"1.2\"; }
```

## Source

The rule `name-and-version` of nixpkgs-hammering, without evaluation.
",
};

pub(crate) const ORDER: Rule = Rule {
    code: Code("STY024"),
    name: "attribute-order",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_order),
    words: packages::WORDS,
    doc: "\
Flags a package whose attributes stand in an unusual order: name, version, source, patches, inputs,
phases from first to last, `passthru`, and `meta` at the end.

## Why it matters

Readers find things where they look for them. It is a matter of taste, so the rule is opt-in.

## Example

```nix
{ stdenv }: stdenv.mkDerivation { version = \"1\"; pname = \"tool\"; }
```

## Better

```nix
{ stdenv }: stdenv.mkDerivation { pname = \"tool\"; version = \"1\"; }
```

## Source

The rule `attribute-ordering` of nixpkgs-hammering.
",
};

/// The usual order; what is not here may stand anywhere.
const USUAL: &[&str] = &[
    "pname",
    "version",
    "src",
    "patches",
    "nativeBuildInputs",
    "buildInputs",
    "propagatedBuildInputs",
    "configurePhase",
    "buildPhase",
    "checkPhase",
    "installPhase",
    "passthru",
    "meta",
];

fn check_name(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    let Some((name, value)) = attributes(set).find(|(name, _)| name.text() == "name") else {
        return;
    };
    let Some(text) = ast::Str::cast(value) else { return };
    let is_versioned = has(set, "version") && !value.is_leaf()
        || text.static_value().is_some_and(|text| ends_in_version(&text));
    if is_versioned && !has(set, "pname") {
        report.add(
            Finding::at(name.range(), "this name holds the version")
                .help("give `pname` and `version`; the name is made of them"),
        );
    }
}

/// Whether the last part of a name, behind a dash, begins with a digit.
fn ends_in_version(name: &str) -> bool {
    let last = name.rsplit_once('-').map(|(_, last)| last.as_bytes());
    last.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

fn check_order(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    let mut last: Option<(usize, Node<'_>)> = None;
    for (name, _) in attributes(set) {
        let Some(rank) = USUAL.iter().position(|usual| *usual == name.text()) else { continue };
        match last {
            Some((before, other)) if before > rank => {
                let message = format!("`{}` usually stands before `{}`", name.text(), other.text());
                return report.add(Finding::at(name.range(), message).label(other.range(), "here"));
            }
            _ => last = Some((rank, name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn names_with_versions() {
        assert_eq!(marked("STY020", "stdenv.mkDerivation { name = \"a-1\"; }"), "name");
        assert_eq!(
            marked("STY020", "stdenv.mkDerivation rec { name = \"a-${version}\"; version = 1; }"),
            "name"
        );
        assert_eq!(marked("STY020", "stdenv.mkDerivation { name = \"a-1500-b\"; }"), "");
        assert_eq!(marked("STY020", "stdenv.mkDerivation { name = \"a-1\"; pname = \"a\"; }"), "");
    }

    #[test]
    fn the_usual_order() {
        assert_eq!(
            found("STY024", "stdenv.mkDerivation { meta = 1; src = 2; pname = 3; }"),
            "src: `src` usually stands before `meta`\n"
        );
        assert_eq!(
            marked("STY024", "stdenv.mkDerivation { z = 1; src = 2; a = 3; meta = 4; }"),
            ""
        );
    }
}
