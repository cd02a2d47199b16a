//! PERF001: evaluation that has to wait for a build.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::callers;
use super::calls::{called, spelled};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF001"),
    name: "import-from-derivation",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &[
        "import",
        "scopedImport",
        "readFile",
        "readDir",
        "hashFile",
        "fileContents",
        "callPackage",
        "pathExists",
    ],
    doc: "\
Flags `import`, `readFile` and the like of something that has to be built first.

Only what is plainly a derivation counts: the result of a fetcher of the package set, of
`runCommand`, `mkDerivation` and the like, or a package of `pkgs`, by itself, with a path behind it,
or through a name that a `let` gives to it. `builtins.fetchTarball` and its kin fetch during
evaluation and build nothing.

## Why it matters

Evaluation stops until the build is done, and no two such builds run at the same time. `nix flake
show`, search indexes and `nixpkgs` itself refuse such code, and evaluation for another platform
needs a builder of that platform.

## Example

```nix
{ pkgs }:
import (pkgs.fetchFromGitHub {
  owner = \"owner\";
  repo = \"repo\";
  rev = \"v1\";
  hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}) { }
```

```nix
{ pkgs }:
builtins.readFile \"${pkgs.hello}/share/info/hello.info\"
```

## Better

```nix
import (builtins.fetchTarball {
  url = \"https://github.com/owner/repo/archive/v1.tar.gz\";
  sha256 = \"0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\";
}) { }
```

## Source

The section \"Import From Derivation\" of the Nix manual; no other tool finds it without evaluation.
",
};

/// What reads a file or folder, by the number of the argument that names it.
const READERS: &[(&str, usize)] = &[
    ("import", 0),
    ("scopedImport", 1),
    ("readFile", 0),
    ("readDir", 0),
    ("readFileType", 0),
    ("pathExists", 0),
    ("hashFile", 1),
    ("fileContents", 0),
    ("importJSON", 0),
    ("importTOML", 0),
    ("callPackage", 0),
];

/// Functions of a package set whose results are derivations.
const BUILDERS: &[&str] = &[
    "applyPatches",
    "buildEnv",
    "concatText",
    "concatTextFile",
    "fetchCrate",
    "fetchFromBitbucket",
    "fetchFromForgejo",
    "fetchFromGitHub",
    "fetchFromGitLab",
    "fetchFromGitea",
    "fetchFromGitiles",
    "fetchFromRepoOrCz",
    "fetchFromSavannah",
    "fetchFromSourcehut",
    "fetchPypi",
    "fetchgit",
    "fetchhg",
    "fetchpatch",
    "fetchpatch2",
    "fetchsvn",
    "fetchurl",
    "fetchzip",
    "linkFarm",
    "mkDerivation",
    "runCommand",
    "runCommandCC",
    "runCommandLocal",
    "runCommandNoCC",
    "srcOnly",
    "substituteAll",
    "symlinkJoin",
    "writeScript",
    "writeShellScript",
    "writeShellScriptBin",
    "writeText",
    "writeTextDir",
    "writeTextFile",
];

/// How deep a derivation is looked for in what is added to it or selected from it.
const MAX_STEPS: u8 = 4;

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(function) = node.child(0) else { return };
    let name = spelled(function).and_then(|name| READERS.iter().find(|(known, _)| *known == name));
    let Some(&(name, at)) = name else { return };
    let Some(argument) = node.children().nth(at + 1).filter(|node| may_build(*node)) else {
        return;
    };
    let Some(origin) = context.called(node) else { return };
    let is_reader = origin.is_library(name)
        || (name == "callPackage" && matches!(origin.home, Home::Packages | Home::Unknown));
    let is_found = is_reader && is_derivation(context, argument, MAX_STEPS);
    if is_found && !callers::is_unread(context, node) {
        let message = format!("`{name}` makes evaluation wait for this to be built");
        let help = if name == "import" || name == "callPackage" {
            "fetch sources of Nix code with a builtin fetcher or as an input of a flake"
        } else {
            "keep a copy of the file with the code, or let the build read it"
        };
        report.add(Finding::at(argument.range(), message).help(help));
    }
}

/// Whether an argument can be a derivation at all; most are plain paths.
fn may_build(argument: Node<'_>) -> bool {
    use NodeKind as K;
    match argument.kind() {
        K::Path | K::SearchPath | K::Literal | K::AttrSet | K::List | K::Lambda => false,
        K::Str | K::IndStr => !argument.is_leaf(),
        _ => true,
    }
}

/// Whether `node` is plainly a derivation, or a path inside of one.
fn is_derivation<'a>(context: &Context<'a>, node: Node<'a>, steps: u8) -> bool {
    let Some(node) = context.value_behind(node).filter(|_| steps > 0) else { return false };
    match node.kind() {
        NodeKind::Apply => {
            called(context, node, &["derivation"]).is_some_and(|o| o.is_builtin("derivation"))
                || called(context, node, BUILDERS).is_some_and(|o| o.home == Home::Packages)
                || is_made_by_stdenv(node)
        }
        NodeKind::Str => {
            let begins_with = node.child(0).filter(|first| {
                node.first_token().is_some_and(|quote| quote.range().end == first.range().start)
            });
            let inner = begins_with.and_then(ast::Interpol::cast).and_then(ast::Interpol::expr);
            inner.is_some_and(|inner| {
                is_derivation(context, inner, steps - 1) || is_package(context, inner)
            })
        }
        NodeKind::Binary => {
            let is_sum = ast::Binary::cast(node).is_some_and(|b| b.operator() == TokenKind::Add);
            is_sum && node.child(0).is_some_and(|first| is_derivation(context, first, steps - 1))
        }
        NodeKind::Select => is_output(context, node, steps) || is_source(context, node),
        _ => false,
    }
}

/// Whether `apply` calls `mkDerivation` of a `stdenv`, whoever gave that.
fn is_made_by_stdenv(apply: Node<'_>) -> bool {
    let function = apply.child(0).map(Node::text).unwrap_or_default();
    function.strip_suffix(".mkDerivation").is_some_and(|set| set.starts_with("stdenv"))
}

/// Whether `select` is an output of a derivation.
fn is_output<'a>(context: &Context<'a>, select: Node<'a>, steps: u8) -> bool {
    let is_output = matches!(spelled(select), Some("out" | "outPath" | "dev" | "src"));
    let is_one_step = select.child(1).is_some_and(|path| path.children().count() == 1);
    is_output
        && is_one_step
        && select.child(0).is_some_and(|base| is_derivation(context, base, steps - 1))
}

/// Whether `select` is the source of a package of `pkgs`.
fn is_source(context: &Context<'_>, select: Node<'_>) -> bool {
    let is_deep = select.child(1).is_some_and(|path| path.children().count() > 1);
    spelled(select) == Some("src") && is_deep && is_from_pkgs(context, select)
}

/// Whether `node` is a package of `pkgs`, as far as names tell.
fn is_package(context: &Context<'_>, node: Node<'_>) -> bool {
    let Some(node) = ast::without_parens(node) else { return false };
    if node.kind() != NodeKind::Select {
        return false;
    }
    let no_package = ["path", "system", "version", "pname", "name", "rev", "config"];
    let is_one = spelled(node).is_some_and(|name| !no_package.contains(&name));
    is_one && is_from_pkgs(context, node)
}

fn is_from_pkgs<'a>(context: &Context<'a>, select: Node<'a>) -> bool {
    let base = select.child(0).filter(|base| matches!(base.text(), "pkgs" | "prev" | "final"));
    base.is_some() && context.origin(select).is_some_and(|o| o.home == Home::Packages)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn what_is_built_first_is_found() {
        assert_eq!(
            found("PERF001", "{ pkgs }: import (pkgs.runCommand \"x\" { } \"\") { }"),
            "(pkgs.runCommand \"x\" { } \"\"): `import` makes evaluation wait for this to be built\n"
        );
        let by_name = "{ fetchzip }: let s = fetchzip { }; in builtins.readDir \"${s}/a\"";
        assert_eq!(marked("PERF001", by_name), "\"${s}/a\"");
        let sum = "{ pkgs }: import (pkgs.fetchgit { } + \"/x.nix\")";
        assert_eq!(marked("PERF001", sum), "(pkgs.fetchgit { } + \"/x.nix\")");
        let output = "{ stdenv, lib }: lib.importJSON (stdenv.mkDerivation { }).out";
        assert_eq!(marked("PERF001", output), "(stdenv.mkDerivation { }).out");
        let package = "{ pkgs }: builtins.readFile \"${pkgs.hello}/x\"";
        assert_eq!(marked("PERF001", package), "\"${pkgs.hello}/x\"");
        let called = "{ pkgs }: pkgs.callPackage (pkgs.fetchFromGitHub { }) { }";
        assert_eq!(marked("PERF001", called), "(pkgs.fetchFromGitHub { })");
        assert_eq!(marked("PERF001", "import (derivation { })"), "(derivation { })");
        let scoped = "builtins.scopedImport { } (derivation { })";
        assert_eq!(marked("PERF001", scoped), "(derivation { })");
    }

    #[test]
    fn fetching_during_evaluation_builds_nothing() {
        assert_eq!(marked("PERF001", "import (builtins.fetchTarball { }) { }"), "");
        assert_eq!(marked("PERF001", "import (fetchGit { url = ./.; })"), "");
        let builtin = "let inherit (builtins) fetchurl; in import (fetchurl { })";
        assert_eq!(marked("PERF001", builtin), "");
        assert_eq!(marked("PERF001", "import \"${builtins.fetchGit { }}/x.nix\""), "");
    }

    #[test]
    fn what_may_be_a_path_is_left_alone() {
        assert_eq!(marked("PERF001", "{ pkgs }: import \"${pkgs.path}/nixos\""), "");
        assert_eq!(marked("PERF001", "{ nixpkgs }: import \"${nixpkgs}/lib\""), "");
        assert_eq!(marked("PERF001", "{ pkgs }: import (./. + \"/${pkgs.system}.nix\")"), "");
        assert_eq!(marked("PERF001", "src: builtins.readFile \"${src}/x\""), "");
        assert_eq!(marked("PERF001", "{ pkgs }: builtins.readFile \"/etc/${pkgs.hello}\""), "");
        assert_eq!(marked("PERF001", "import: import (derivation { })"), "");
    }
}
