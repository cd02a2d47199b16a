//! DEP018: a `flake.nix` that would have to be evaluated to be read.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP018"),
    name: "computed-flake",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags what Nix refuses to read in a `flake.nix`: inputs that are computed, references that are none,
attributes that a flake does not have.

Nix reads a flake without evaluating anything but its outputs: the file is a set, its inputs are sets,
strings and Booleans as they stand.

## Why it matters

Every command on the flake fails.

## Example

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/\" + \"nixos-24.05\";
  outputs = { self, nixpkgs }: { };
}
```

```nix
let
  url = \"github:NixOS/nixpkgs\";
in
{
  inputs.nixpkgs.url = url;
  outputs = { self, nixpkgs }: { };
}
```

## Better

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  outputs = { self, nixpkgs }: { };
}
```

## Source

Nix: `expected a string but got a thunk`, `file 'flake.nix' must be an attribute set`, `flake has an
unsupported attribute`.
",
};

fn check(_: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    for fault in &facts.file.faults {
        report.add(Finding::at(fault.range, fault.message.clone()));
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::flake_found;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(flake_found("DEP018", text, ""), want);
    }

    #[test]
    fn what_stands_there_is_read() {
        for text in [
            "{ description = \"d\"; inputs = { a = { url = \"github:o/a\"; flake = false; }; }; outputs = x: { }; nixConfig.a = 1; }",
            "{ inputs = rec { a.url = github:o/a; b.url = ./b; }; outputs = { self, a, b }: { }; }",
            "({ inputs.\"a\".\"url\" = (''github:o/a''); outputs = ({ self, ... }: { }); })",
            "{ inputs.a = { type = \"git\"; url = \"https://x.org\"; submodules = true; shallow = false; }; outputs = x: { }; }",
            "{ inputs.self.submodules = true; outputs = x: { }; }",
            // No flake at all.
            "{ a = 1; }",
            "{ config, ... }: { outputs = 1; inputs = 2; }",
            "let a = 1; in { outputs = a; }",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn what_is_computed_is_refused() {
        let thunk = "as it stands: Nix evaluates nothing to read a flake";
        check(
            "{ inputs.a.url = \"a\" + \"b\"; outputs = x: { }; }",
            &format!("\"a\" + \"b\": `inputs.a.url` must be a string {thunk}\n"),
        );
        check(
            "{ inputs = import ./i.nix; outputs = x: { }; }",
            &format!("import ./i.nix: `inputs` must be a set {thunk}\n"),
        );
        check(
            "{ inputs.${\"a\" + \"b\"}.url = \"github:o/a\"; outputs = x: { }; }",
            "${\"a\" + \"b\"}: this name is computed, but Nix evaluates nothing to read a flake\n",
        );
        check(
            "{ inputs = { inherit (1) a; }; outputs = x: { }; }",
            &format!("a: `inputs.a` must be a set {thunk}\n"),
        );
        check(
            "{ inputs.a.flake = 1; inputs.a.url = \"github:o/a\"; outputs = x: { }; }",
            &format!("1: `inputs.a.flake` must be `true` or `false` {thunk}\n"),
        );
        check(
            "{ inputs.a.url = \"github:o/a\"; outputs = import ./o.nix; }",
            "import ./o.nix: `outputs` must be a function as it stands: Nix evaluates nothing to read it\n",
        );
    }

    #[test]
    fn what_is_no_flake_is_refused() {
        check("{ inputs.a.url = \"github:o/a\"; }", "{: this flake has no `outputs`\n");
        check(
            "{ outputs = x: { }; input.a.url = \"x\"; }",
            "input: Nix knows no attribute `input` of a flake\n",
        );
        check(
            "{ inputs.a.owner = \"o\"; outputs = x: { }; }",
            "\"o\": an input without `type` has no attribute `owner`\n",
        );
        check(
            "{ inputs.a = { url = \"github:o/a\"; follows = \"b\"; }; outputs = x: { }; }",
            "\"github:o/a\": `a` has both a source and `follows`\n",
        );
        check(
            "{ inputs.a.inputs.self.follows = \"b\"; outputs = x: { }; }",
            "self: `self` is no input of an input\n",
        );
    }

    #[test]
    fn deep_inputs_end() {
        let text =
            format!("{{ inputs.{}a.url = \"x\"; outputs = x: {{ }}; }}", "a.inputs.".repeat(4_000));
        assert!(flake_found("DEP018", &text, "").contains("nested too deeply"));
    }
}
