//! DEP017: more inputs than anybody can look after.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP017"),
    name: "input-budget",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags a flake whose lock file holds more than 40 sources.

`check.dependencies.max-inputs` in `cim-nix.toml` sets another number.

## Why it matters

Each source is fetched by everybody who evaluates the flake, is somebody's code that is trusted, and
has to be updated.

## Example

With a `flake.lock` of more than 40 nodes:

```nix
{
  inputs.everything.url = \"github:owner/everything\";
  outputs = { self, everything }: { };
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

`cim-nix graph inputs` shows what brings what.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let Some(file) = facts.around.lock.file() else { return };
    let (n, most) = (file.len() - 1, facts.limits.max_inputs);
    if n > most {
        let message = format!("flake.lock holds {n} sources, more than {most}");
        report.add(Finding::at(facts.file.head(context.tree), message));
    }
}

#[cfg(test)]
mod tests {
    use crate::Lints;
    use crate::rules::testing::{flake_found_by, flake_lock};

    #[test]
    fn sources_are_counted() {
        let text = "{ inputs.a.url = \"github:o/a\"; outputs = x: { }; }";
        let lock = flake_lock("root: a\na: b @ github:o/a\nb: @ github:o/b");
        let mut lints = Lints::nothing();
        lints.select("DEP017").unwrap();
        lints.limits.max_inputs = 2;
        assert_eq!(flake_found_by(&lints, text, &lock), "");
        lints.limits.max_inputs = 1;
        assert_eq!(
            flake_found_by(&lints, text, &lock),
            "inputs.a.url: flake.lock holds 2 sources, more than 1\n"
        );
    }
}
