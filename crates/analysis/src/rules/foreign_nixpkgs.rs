//! DEP007: a Nixpkgs that is not that of the NixOS project.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP007"),
    name: "foreign-nixpkgs",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input that is a repository called `nixpkgs` of another owner than NixOS.

## Why it matters

A fork gets security fixes when its owner merges them, and its packages are in no binary cache unless
somebody builds them.

## Example

```nix
{
  inputs.nixpkgs.url = \"github:someone/nixpkgs/my-branch\";
  outputs = { self, nixpkgs }: { };
}
```

## Better

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-unstable\";
  outputs = { self, nixpkgs }: { };
}
```

## Source

Also found by flake-checker.
",
};

fn check(_: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    for input in &facts.file.inputs {
        let Some(reference) = &input.reference else { continue };
        let is = |name: &str, wanted: &str| {
            reference.text(name).is_some_and(|text| text.eq_ignore_ascii_case(wanted))
        };
        if is("repo", "nixpkgs") && !is("owner", "NixOS") {
            let owner = reference.text("owner").unwrap_or_default();
            let message = format!("`{}` is the Nixpkgs of `{owner}`, not of NixOS", input.name);
            report.add(Finding::at(input.source_range(), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::flake_found;

    #[test]
    fn only_forks_are_found() {
        let check = |url: &str| {
            let text = format!("{{ inputs.n.url = \"{url}\"; outputs = x: {{ }}; }}");
            flake_found("DEP007", &text, "")
        };
        assert_eq!(
            check("github:someone/nixpkgs"),
            "\"github:someone/nixpkgs\": `n` is the Nixpkgs of `someone`, not of NixOS\n"
        );
        assert_eq!(check("github:nixos/nixpkgs"), "");
        assert_eq!(check("github:someone/nixpkgs-fmt"), "");
        assert_eq!(check("nixpkgs"), "");
    }
}
