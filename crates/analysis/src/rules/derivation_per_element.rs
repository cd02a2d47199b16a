//! PERF022: a derivation for each element of a list.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{called, called_library};
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF022"),
    name: "derivation-per-element",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["writeText", "writeShellScript", "writeScript", "runCommand"],
    doc: "\
Flags `map`, `mapAttrs` and the like of a function that makes one small file or runs one command for
each element.

## Why it matters

Each derivation takes a build with a sandbox of its own, which takes far longer than writing a small
file. `linkFarm`, or one `runCommand` that goes through the elements, builds once. The rule is
opt-in: few elements do no harm.

## Example

```nix
{ pkgs, names }:
map (name: pkgs.writeText name \"\") names
```

## Better

```nix
{ pkgs, names }:
pkgs.runCommand \"files\" { inherit names; } ''
  mkdir $out
  for name in $names; do touch $out/$name; done
''
```

## Source

No other tool looks for it.
",
};

const LOOPS: &[&str] =
    &["map", "mapAttrs", "mapAttrsToList", "concatMap", "genList", "imap0", "imap1", "mapAttrs'"];

const WRITERS: &[&str] = &[
    "writeText",
    "writeTextFile",
    "writeShellScript",
    "writeShellScriptBin",
    "writeScript",
    "writeScriptBin",
    "runCommand",
    "runCommandLocal",
];

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if called_library(context, node, LOOPS).is_none() {
        return;
    }
    let Some(mut body) = node.child(1).and_then(ast::without_parens) else { return };
    while body.kind() == NodeKind::Lambda {
        match body.child(1).and_then(ast::without_parens) {
            Some(inner) => body = inner,
            None => return,
        }
    }
    let is_writer = body.kind() == NodeKind::Apply
        && called(context, body, WRITERS).is_some_and(|origin| origin.home == Home::Packages);
    if is_writer {
        report.add(
            Finding::at(body.range(), "this is built once for each element")
                .help("`linkFarm` or one `runCommand` builds once"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn files_made_one_by_one() {
        let text = "{ pkgs, lib }: lib.mapAttrs (n: v: pkgs.writeText n v) { }";
        assert_eq!(marked("PERF022", text), "pkgs.writeText n v");
        assert_eq!(
            marked("PERF022", "{ pkgs }: map (pkgs.writeText \"a\") [ ]"),
            "pkgs.writeText \"a\""
        );
        assert_eq!(marked("PERF022", "{ pkgs }: map (x: f (pkgs.writeText x)) [ ]"), "");
        assert_eq!(marked("PERF022", "{ pkgs }: pkgs.writeText \"a\" \"b\""), "");
    }
}
