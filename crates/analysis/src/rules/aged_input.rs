//! DEP005: inputs that nobody has updated for long.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::{date, days};
use cim_nix_model::show_input_path;

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP005"),
    name: "aged-input",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags inputs whose locked version is older than 180 days.

Ages are told from the newest date in the lock file, so that the verdict depends on nothing but the
project; `check.dependencies.date` in `cim-nix.toml` sets a later one, and `max-age-days` another
number of days. Inputs of inputs are told at the input that they come with.

## Why it matters

Old versions lack security fixes, and the step to the newest gets larger.

## Example

With a `flake.lock` that holds `nixpkgs` of May and `flake-utils` of January of the year before:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  inputs.flake-utils.url = \"github:numtide/flake-utils\";
  outputs = { self, nixpkgs, flake-utils }: { };
}
```

## Better

The same after `nix flake update flake-utils`, or where old things can stay, without the rule:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  outputs = { self, nixpkgs }: { };
}
```

## Source

Also found by flake-checker, which goes by the day that it runs on.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let Some(now) = facts.date() else { return };
    for source in facts.sources() {
        let Some(changed) = source.input.locked.number("lastModified") else { continue };
        let age = days(now.saturating_sub(changed));
        if age > facts.limits.max_age {
            let place = facts.file.place(context.tree, &source.path[0]);
            let path = show_input_path(&source.path);
            let message =
                format!("`{path}` is of {}, {age} days before {}", date(changed), date(now));
            let help = format!("`nix flake update {}` takes the newest version", source.path[0]);
            report.add(Finding::at(place, message).help(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Lints;
    use crate::rules::testing::{flake_found, flake_found_by, flake_lock};

    const FLAKE: &str =
        "{ inputs.a.url = \"github:o/a\"; inputs.b.url = \"github:o/b\"; outputs = x: { }; }";

    fn lock() -> String {
        let b = 1_700_000_000;
        let (a, c) = (b - 100 * 86_400, b - 181 * 86_400);
        flake_lock(&format!(
            "root: a; b\na: @ github:o/a ~{a}\nb: c @ github:o/b ~{b}\nc: @ github:o/c ~{c}"
        ))
    }

    #[test]
    fn ages_are_told_from_the_newest_or_a_given_date() {
        assert_eq!(
            flake_found("DEP005", FLAKE, &lock()),
            "b: `b/c` is of 2023-05-17, 181 days before 2023-11-14\n"
        );
        let mut lints = Lints::nothing();
        lints.select("DEP005").unwrap();
        lints.limits.max_age = 300;
        assert_eq!(flake_found_by(&lints, FLAKE, &lock()), "");
        lints.limits.date = Some(1_700_000_000 + 250 * 86_400);
        assert_eq!(flake_found_by(&lints, FLAKE, &lock()).lines().count(), 2);
        // An earlier date than what is locked means nothing.
        lints.limits.date = Some(1);
        assert_eq!(flake_found_by(&lints, FLAKE, &lock()), "");
    }
}
