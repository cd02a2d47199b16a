//! PERF012, PERF013 and PERF014: code that puts its whole folder into the store.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef, ast};

use super::calls::{called, replaced, spelled, value_of, with_fix};
use super::places::around;
use crate::context::Context;
use crate::origin::{Home, attribute};
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const AS_SOURCE: Rule = Rule {
    code: Code("PERF012"),
    name: "whole-tree-source",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Binding], check_source),
    words: &["./.", "../."],
    doc: "\
Flags a package whose `src` is the whole project: `./.` in a `flake.nix`, or a folder above the
code's own.

A folder with nothing but a package and its sources is left alone: `src = ./.` does no harm there.
So are checks and formatters, which are about the whole project.

## Why it matters

Each change of any file there, be it a text about the package, another package or the Nix code
itself, makes another source, and everything that depends on it is built again. Without a flake, the
history and the results of builds are copied as well.

## Example

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  name = \"tool\";
  src = ../.;
}
```

## Better

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  name = \"tool\";
  src = lib.cleanSource ../.;
}
```

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  name = \"tool\";
  src = lib.fileset.toSource {
    root = ../.;
    fileset = ../src;
  };
}
```

## When the fix is unsafe

Always: `lib.cleanSource` leaves out version control, results of builds and backups, which a build
may want, and the source gets another store path.

## Source

The tutorial \"Working with local files\" on nix.dev; no other tool looks for it.
",
};

pub(crate) const FILTERED_SELF: Rule = Rule {
    code: Code("PERF013"),
    name: "filtered-flake-source",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_filtered),
    words: &["filterSource", "cleanSource", "cleanSourceWith"],
    doc: "\
Flags a filter over the source of a flake by `self`.

It is opt-in, as the filter still saves builds.

## Why it matters

The source of a flake is in the store already, with what Git tracks and nothing else; a filter copies
it once more, file by file, in each evaluation. Filtering a path of the code (`./.`) does the same
without waiting for the first copy, where Nix can avoid it.

## Example

```nix
{ self, lib }: lib.cleanSource self
```

## Better

```nix
{ lib }: lib.fileset.toSource { root = ./.; fileset = ./src; }
```

## Source

No other tool looks for it.
",
};

pub(crate) const INTERPOLATED: Rule = Rule {
    code: Code("PERF014"),
    name: "interpolated-tree",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Interpol], check_interpolated),
    words: &["./.", "../."],
    doc: "\
Flags a string that interpolates the whole folder of the code for one file: `\"${./.}/file\"`.

Where the folder itself is meant, or the file is Nix code, which may import its neighbours, nothing
is reported.

## Why it matters

That copies the folder to the store for the sake of one file, and changes the string whenever any
file of the folder changes. A path to the file alone copies that file. The rule is opt-in: a script
may need the files beside it, which it does not tell.

## Example

```nix
{ script = \"${./.}/run.sh\"; }
```

## Better

```nix
{ script = \"${./run.sh}\"; }
```

```nix
{ self }: { script = \"${self}/run.sh\"; }
```

## Source

No other tool looks for it.
",
};

/// How many parameters of a file are looked at.
const MAX_FORMALS: usize = 256;

/// Functions of a package set that take a `src`.
fn is_builder(name: &str) -> bool {
    name == "mkDerivation" || name == "runCommand" || name.starts_with("build")
}

/// Whether a path names a whole folder: this one or one above.
fn is_tree(node: Node<'_>) -> bool {
    node.kind() == NodeKind::Path && node.text().split('/').all(|part| matches!(part, "." | ".."))
}

fn check_source(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(value) = node.child(1).filter(|value| is_tree(*value)) else { return };
    let is_src = node.child(0).is_some_and(|path| path.text() == "src");
    let is_project = value.text().contains("..") || context.path.ends_with("flake.nix");
    if !is_src || !is_project || !is_package(context, node) || is_about_project(node) {
        return;
    }
    let found = Finding::at(value.range(), "this package depends on every file of the project")
        .help("name what it needs with `lib.fileset`, or use `lib.cleanSource`");
    let fix = library_here(node)
        .and_then(|lib| replaced(value, || format!("{lib}.cleanSource {}", value.text())));
    report.add(with_fix(found, Applicability::Unsafe, "use `cleanSource`", fix));
}

/// Whether the entry `binding` belongs to a check of the project, told by the names around it.
fn is_about_project(binding: Node<'_>) -> bool {
    let says_so = |text: &str| ["check", "fmt", "format", "lint"].iter().any(|w| text.contains(w));
    let names = ["name", "pname"].into_iter();
    let own = names.filter_map(|name| attribute(binding.parent()?, name)?.value);
    let above = around(binding).filter(|above| above.kind() == NodeKind::Binding);
    own.chain(above.filter_map(|above| above.child(0))).any(|name| says_so(name.text()))
}

/// Whether the entry `binding` belongs to the argument of a function that builds packages.
fn is_package(context: &Context<'_>, binding: Node<'_>) -> bool {
    let Some(set) = binding.parent().filter(|set| set.kind() == NodeKind::AttrSet) else {
        return false;
    };
    let call = set.ancestors().find(|above| {
        !matches!(above.kind(), NodeKind::Paren | NodeKind::Lambda | NodeKind::LetIn)
    });
    let Some(call) = call.filter(|call| call.kind() == NodeKind::Apply) else { return false };
    let Some(name) = call.child(0).and_then(spelled).filter(|name| is_builder(name)) else {
        return false;
    };
    called(context, call, &[name]).is_some_and(|o| matches!(o.home, Home::Packages | Home::Unknown))
}

/// How the library is spelled: by a name that the function takes which the file is.
fn library_here(node: Node<'_>) -> Option<&'static str> {
    let lambda = ast::Lambda::cast(ast::file_expr(node.tree())?)?;
    let names = || lambda.pattern().into_iter().flat_map(ast::Pattern::formals).take(MAX_FORMALS);
    let takes =
        |name: &str| names().any(|formal| formal.name().is_some_and(|token| token.text() == name));
    match (takes("lib"), takes("pkgs")) {
        (true, _) => Some("lib"),
        (false, true) => Some("pkgs.lib"),
        (false, false) => None,
    }
}

fn check_filtered(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let names = ["filterSource", "cleanSource", "cleanSourceWith"];
    let Some(name) = node.child(0).and_then(spelled).filter(|name| names.contains(name)) else {
        return;
    };
    let source = match name {
        "cleanSource" => node.child(1),
        "filterSource" => node.child(2),
        _ => node.child(1).and_then(|set| value_of(set, "src")),
    };
    let Some(source) = source.filter(|s| matches!(s.text(), "self" | "inputs.self")) else {
        return;
    };
    if called(context, node, &names).is_some_and(|origin| origin.is_library(name)) {
        let message = "this copies the source of the flake once more";
        report.add(Finding::at(source.range(), message).help("filter `./.` with `lib.fileset`"));
    }
}

fn check_interpolated(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_copied = node.child(0).and_then(ast::without_parens).is_some_and(is_tree);
    let is_text = || node.parent().is_some_and(|parent| ast::Str::cast(parent).is_some());
    if is_copied && is_text() && names_a_file(node.token_after()) {
        report.add(
            Finding::at(node.range(), "this copies the whole folder to the store")
                .help("interpolate the path of the file that is meant"),
        );
    }
}

/// Whether the text behind an interpolation goes on with the path of one file that is no Nix code.
fn names_a_file(behind: TokenRef<'_>) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
    let Some(path) = behind.text().strip_prefix('/') else { return false };
    let end = path.find(|c| !is_part(c)).unwrap_or(path.len());
    let is_whole = match path[end..].chars().next() {
        Some(next) => next.is_whitespace() || "\"';,)".contains(next),
        None => behind.next().is_some_and(|token| token.kind() != TokenKind::InterpolStart),
    };
    end > 0 && is_whole && !path[..end].ends_with(".nix")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, found, marked};
    use crate::{Checker, Lints};

    #[test]
    fn packages_of_a_whole_folder() {
        let text = "{ stdenv }: stdenv.mkDerivation { src = ../.; }";
        assert_eq!(
            found("PERF012", text),
            "../.: this package depends on every file of the project\n"
        );
        let built = "{ pkgs }: pkgs.buildGoModule (final: { src = ../../.; })";
        assert_eq!(marked("PERF012", built), "../../.");
        assert_eq!(marked("PERF012", "{ stdenv }: stdenv.mkDerivation { src = ../src; }"), "");
        let check = "{ stdenv }: { checks.a = stdenv.mkDerivation { src = ../.; }; }";
        assert_eq!(marked("PERF012", check), "");
        let named = "{ stdenv }: stdenv.mkDerivation { name = \"fmt\"; src = ../.; }";
        assert_eq!(marked("PERF012", named), "");
        assert_eq!(marked("PERF012", "{ stdenv }: f { src = ../.; }"), "");
        assert_eq!(marked("PERF012", "{ stdenv }: stdenv.mkDerivation { a.src = ../.; }"), "");
        assert_eq!(marked("PERF012", "{ stdenv }: stdenv.mkDerivation { root = ../.; }"), "");
    }

    #[test]
    fn the_folder_of_a_flake_is_the_project() {
        let text = "{ stdenv }: stdenv.mkDerivation { src = ./.; }";
        assert_eq!(marked("PERF012", text), "");
        let mut lints = Lints::nothing();
        lints.select("PERF012").unwrap();
        let checked = Checker::default().check("a/flake.nix", text, &lints);
        assert_eq!(checked.findings.len(), 1);
    }

    #[test]
    fn the_library_is_used_where_there_is_one() {
        let fixed = |text: &str| fixed_unsafely("PERF012", text);
        assert_eq!(
            fixed("{ pkgs }: pkgs.stdenv.mkDerivation { src = ../.; }"),
            "{ pkgs }: pkgs.stdenv.mkDerivation { src = pkgs.lib.cleanSource ../.; }"
        );
        let without = "{ stdenv }: stdenv.mkDerivation { src = ../.; }";
        assert_eq!(fixed(without), without);
    }

    #[test]
    fn filters_over_a_flake() {
        assert_eq!(marked("PERF013", "{ self, lib }: lib.cleanSourceWith { src = self; }"), "self");
        assert_eq!(marked("PERF013", "{ self }: builtins.filterSource f self"), "self");
        assert_eq!(marked("PERF013", "{ lib }: lib.cleanSource ./."), "");
    }

    #[test]
    fn interpolated_folders() {
        assert_eq!(marked("PERF014", "\"${./.}/x\""), "${./.}");
        assert_eq!(marked("PERF014", "''${ ../. }/a.sh b''"), "${ ../. }");
        assert_eq!(marked("PERF014", "[ \"${./.}\" \"${./.}#x\" \"${../..}/x.nix\" ]"), "");
        assert_eq!(marked("PERF014", "[ \"${./.}/a*\" \"${./.}/${x}\" \"${./.}/\" ]"), "");
        assert_eq!(marked("PERF014", "\"${./x}\""), "");
        assert_eq!(marked("PERF014", "\"${self}/x\""), "");
        assert_eq!(marked("PERF014", "./${x}"), "");
    }
}
