//! DEP003: a flake without a lock file whose inputs may be anything.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::Lock;

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP003"),
    name: "missing-lock",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags a flake that has no `flake.lock` although some input names no fixed version.

Templates have none by design: flakes in a folder called `templates`, and those below the folder of
another flake, are left alone.

## Why it matters

Everybody who uses the flake gets other versions, and tomorrow others again. What worked cannot be
built a second time.

## Example

Without a `flake.lock` beside it:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  outputs = { self, nixpkgs }: { };
}
```

## Better

The same with the `flake.lock` that `nix flake lock` writes, or with every version named:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/5a48e3c2e435e95103d56590188cfed7b70e108c\";
  outputs = { self, nixpkgs }: { };
}
```

## Source

The manual of Nix on `nix flake lock`.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    if facts.around.lock != Lock::Absent || facts.around.is_template {
        return;
    }
    let declared = facts.file.declared();
    let is_open = |name: &&String| {
        let input = &declared[*name];
        let is_fixed =
            |reference: &cim_nix_model::FlakeRef| reference.is_locked() || reference.is_relative();
        input.follows.is_none() && !input.reference.as_ref().is_some_and(is_fixed)
    };
    let open: Vec<&String> = declared.keys().filter(is_open).collect();
    let places = open.iter().map(|name| facts.file.place(context.tree, name));
    let Some(first) = places.min_by_key(|range| range.start) else { return };
    let message = match &open[..] {
        [only] => {
            format!("there is no flake.lock, so nothing says which version of `{only}` is meant")
        }
        all => format!(
            "there is no flake.lock, so nothing says which versions of {} inputs are meant",
            all.len()
        ),
    };
    report.add(Finding::at(first, message).help("`nix flake lock` writes one; commit it"));
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{flake_found, flake_lock};

    #[test]
    fn only_open_versions_need_a_lock_file() {
        let check = |inputs: &str, want: &str| {
            let text = format!("{{ inputs = {{ {inputs} }}; outputs = x: {{ }}; }}");
            assert_eq!(flake_found("DEP003", &text, ""), want, "{inputs}");
        };
        check("", "");
        check("a.url = \"path:./a\";", "");
        check("a.url = \"github:o/a/5a48e3c2e435e95103d56590188cfed7b70e108c\";", "");
        check("a.follows = \"b/c\"; b.url = \"path:./b\";", "");
        let one = "there is no flake.lock, so nothing says which version of `a` is meant\n";
        check("a.url = \"github:o/a\";", &format!("a: {one}"));
        check("a = { };", &format!("a: {one}"));
        check(
            "b.url = \"x\"; a.url = \"github:o/a\";",
            "b: there is no flake.lock, so nothing says which versions of 2 inputs are meant\n",
        );
    }

    #[test]
    fn parameters_are_inputs() {
        let text = "{ outputs = { self, nixpkgs, ... }: { }; }";
        assert!(flake_found("DEP003", text, "").starts_with("nixpkgs: there is no flake.lock"));
        assert_eq!(flake_found("DEP003", text, &flake_lock("root:")), "");
    }
}
