//! DEP011: a search path in code that a flake gets to. Found in the import graph.

use cim_nix_base::{Code, Severity};
use cim_nix_project::FileId;

use crate::across::{Across, ImpureKind, Reached};
use crate::rule::{Check, Finding, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP011"),
    name: "impure-lookup",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags `<nixpkgs>` and other search paths in a `flake.nix`, and in files that it imports.

As the default of a parameter (`pkgs ? import <nixpkgs> { }`), behind `or`, or in a branch of an `if`,
a search path is what the file falls back on outside of flakes, and is left alone.

## Why it matters

Flakes are evaluated without search paths: `cannot look up '<nixpkgs>' in pure evaluation mode`.

## Example

In a file that `flake.nix` imports:

```nix
let
  pkgs = import <nixpkgs> { };
in
pkgs.hello
```

## Better

```nix
{ pkgs ? import <nixpkgs> { } }:
pkgs.hello
```

## Source

The manual of Nix on `pure-eval`.
",
};

pub(crate) fn find(project: &Across<'_>, reached: &Reached) -> Vec<(FileId, Finding)> {
    let mut found = Vec::new();
    for file in reached.files() {
        let Some(facts) = project.facts(file) else { continue };
        for impure in &facts.impure {
            if let ImpureKind::SearchPath(text) = &impure.what {
                let message =
                    format!("`<{text}>` is looked up on the machine, which flakes cannot do");
                let finding = Finding::at(impure.range, message);
                found.push((file, with_way(project, reached, file, finding)));
            }
        }
    }
    found
}

/// Tells how a flake gets to a file.
pub(super) fn with_way(
    project: &Across<'_>,
    reached: &Reached,
    file: FileId,
    finding: Finding,
) -> Finding {
    let way = reached.way(file);
    let names: Vec<String> = way.iter().map(|file| format!("`{}`", project.shown(*file))).collect();
    match &names[..] {
        [] | [_] => finding,
        [flake, _] => finding.help(format!("{flake} imports this file")),
        [flake, between @ .., _] => {
            finding.help(format!("{flake} leads to this file by way of {}", between.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::across::testing::found;

    #[test]
    fn only_what_flakes_get_to_is_found() {
        let project = "//- /p/flake.nix\n{ outputs = x: import ./a.nix; }\n//- /p/a.nix\n{ b = import ./b.nix; c = ./c.nix; }\n//- /p/b.nix\n[ <nixpkgs> ]\n//- /p/c.nix\n<nixpkgs>\n";
        assert_eq!(
            found("DEP011", project),
            "/p/b.nix <nixpkgs>: `<nixpkgs>` is looked up on the machine, which flakes cannot do\n"
        );
    }

    #[test]
    fn long_and_deep_files_take_no_time() {
        let flake = |text: &str| format!("//- /p/flake.nix\n{{ outputs = x: {text}; }}\n");
        let long = flake(&format!("[ {} ]", "<a> ".repeat(20_000)));
        assert_eq!(found("DEP011", &long).lines().count(), 20_000);
        for depth in [2_000, 5_000] {
            let deep = format!("{}<a>{}", "(".repeat(depth), " <b>)".repeat(depth));
            assert!(found("DEP011", &flake(&deep)).lines().count() < 256);
        }
    }

    #[test]
    fn what_evaluation_can_avoid_is_left_alone() {
        for text in [
            "{ pkgs ? import <nixpkgs> { } }: pkgs",
            "x: x.pkgs or (import <nixpkgs> { })",
            "x: if x then import <nixpkgs> { } else 1",
            "x: x -> <nixpkgs> == 1",
            "x: builtins.tryEval <nixpkgs>",
            "x: x.lib.optionalString x.y \"${<nixpkgs>}\"",
            "import <nix/fetchurl.nix>",
        ] {
            let project = format!(
                "//- /p/flake.nix\n{{ outputs = x: import ./a.nix; }}\n//- /p/a.nix\n{text}\n"
            );
            assert_eq!(found("DEP011", &project), "", "{text}");
        }
        let project = "//- /p/flake.nix\n{ outputs = x: if <a> then 1 else 2; }\n";
        assert!(found("DEP011", project).starts_with("/p/flake.nix <a>: "));
    }
}
