//! STY025 and STY026: what a package is built with.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef};

use super::calls::{has_comment, spelled};
use super::packages::{attributes, definition};
use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const BUILD_TOOLS: Rule = Rule {
    code: Code("STY025"),
    name: "build-tool-in-inputs",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_tools),
    words: &["buildInputs"],
    doc: "\
Flags a tool that runs while building among the `buildInputs` of a package.

## Why it matters

Building for another platform takes `buildInputs` from that platform, where the tool cannot run. The
rule is opt-in: most builds never meet that.

## Example

```nix
{ stdenv, cmake }: stdenv.mkDerivation { buildInputs = [ cmake ]; }
```

## Better

```nix
{ stdenv, cmake }: stdenv.mkDerivation { nativeBuildInputs = [ cmake ]; }
```

## Source

The rule `build-tools-in-build-inputs` of nixpkgs-hammering, without evaluation.
",
};

pub(crate) const PATCHES: Rule = Rule {
    code: Code("STY026"),
    name: "missing-patch-comment",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binding], check_patches),
    words: &["patches"],
    doc: "\
Flags a patch without a comment.

## Why it matters

Whoever updates the package has to know what the patch is for and when it can go. The rule is
opt-in: the name of the patch may say as much.

## Example

```nix
{ patches = [ ./fix.patch ]; }
```

## Better

```nix
{
  patches = [
    # Builds with the new compiler; part of the next release
    ./fix.patch
  ];
}
```

## Source

The rule `missing-patch-comment` of nixpkgs-hammering.
",
};

/// Tools that are only of use while building, sorted.
const TOOLS: &[&str] = &[
    "autoconf",
    "autogen",
    "automake",
    "autoreconfHook",
    "bison",
    "cmake",
    "copyDesktopItems",
    "copyPkgconfigItems",
    "desktop-file-utils",
    "dos2unix",
    "doxygen",
    "flex",
    "gobject-introspection",
    "installShellFiles",
    "intltool",
    "libtool",
    "makeBinaryWrapper",
    "makeWrapper",
    "meson",
    "ninja",
    "pkg-config",
    "pkgconfig",
    "unzip",
    "updateAutotoolsGnuConfigScriptsHook",
    "wrapGAppsHook",
    "wrapGAppsHook3",
    "wrapGAppsHook4",
    "wrapQtAppsHook",
];

fn check_tools(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(set) = definition(node) else { return };
    let inputs = attributes(set).find(|(name, _)| name.text() == "buildInputs");
    let Some((_, list)) = inputs.filter(|(_, list)| list.kind() == NodeKind::List) else { return };
    for tool in list.children() {
        let name = spelled(tool).unwrap_or_default();
        if TOOLS.binary_search(&name).is_ok() {
            report.add(
                Finding::at(tool.range(), "this runs while building")
                    .help("it belongs to `nativeBuildInputs`"),
            );
        }
    }
}

fn check_patches(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(list) = node.child(1).filter(|list| list.kind() == NodeKind::List) else { return };
    if node.child(0).is_none_or(|path| path.text() != "patches") || is_remarked(node) {
        return;
    }
    for patch in list.children() {
        if !has_comment(patch) && !is_remarked(patch) {
            report.add(Finding::at(patch.range(), "nothing says what this patch is for"));
        }
    }
}

/// Whether a comment stands above `node`, or behind it on its line.
fn is_remarked(node: Node<'_>) -> bool {
    let is_comment = |token: &TokenRef<'_>| token.kind().is_comment();
    let before = node.token_before();
    let before = before.filter(|token| !is_comment(token)).map_or(before, TokenRef::previous);
    let is_above = before.filter(is_comment).is_some_and(|comment| {
        let start = comment.previous();
        start.is_none_or(|blank| {
            blank.kind() != TokenKind::Whitespace || blank.text().contains('\n')
        })
    });
    is_above || layout::remark_behind(node).is_some()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn tools_among_the_inputs() {
        let text = "stdenv.mkDerivation { buildInputs = [ zlib p.cmake (f ninja) meson ]; }";
        assert_eq!(marked("STY025", text), "p.cmake meson");
        assert_eq!(marked("STY025", "stdenv.mkDerivation { nativeBuildInputs = [ cmake ]; }"), "");
        assert_eq!(marked("STY025", "{ buildInputs = [ cmake ]; }"), "");
    }

    #[test]
    fn patches_without_a_comment() {
        assert_eq!(marked("STY026", "{ patches = [ ./a # a\n ./b\n # c\n ./c ]; }"), "./b");
        assert_eq!(marked("STY026", "{ patches = [ (f { /* a */ }) ]; }"), "");
        assert_eq!(marked("STY026", "{\n  # all\n  patches = [ ./a ./b ];\n}"), "");
        assert_eq!(marked("STY026", "{ patches = x; others = [ ./a ]; }"), "");
    }
}
