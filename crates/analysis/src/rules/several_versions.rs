//! DEP016: one project at several versions.

use std::collections::BTreeMap;

use cim_nix_base::{Code, Severity};
use cim_nix_flake::Repository;
use cim_nix_model::show_input_path;

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP016"),
    name: "several-versions",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags a project other than Nixpkgs that the lock file holds at several revisions.

## Why it matters

Modules and overlays of both versions may meet in one configuration. And a security fix is in one of
them alone.

## Example

With a `flake.lock` in which `a` brings a `flake-utils` of its own:

```nix
{
  inputs.flake-utils.url = \"github:numtide/flake-utils\";
  inputs.a.url = \"github:owner/a\";
  outputs = { self, flake-utils, a }: { };
}
```

## Better

```nix
{
  inputs.flake-utils.url = \"github:numtide/flake-utils\";
  inputs.a.url = \"github:owner/a\";
  inputs.a.inputs.flake-utils.follows = \"flake-utils\";
  outputs = { self, flake-utils, a }: { };
}
```

## Source

`cim-nix graph inputs` shows all copies.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let sources = facts.sources();
    let mut groups: BTreeMap<Repository, Vec<(&str, &Vec<String>)>> = BTreeMap::new();
    for source in &sources {
        let repository = Repository::of(&source.input.locked);
        if repository != Repository::Nixpkgs
            && let Some(rev) = source.input.locked.text("rev")
        {
            groups.entry(repository).or_default().push((rev, &source.path));
        }
    }
    for group in groups.into_values() {
        let (first_rev, first) = group[0];
        for (rev, path) in &group[1..] {
            if *rev != first_rev {
                let [here, there] = [path, first].map(|path| show_input_path(path));
                let message =
                    format!("`{here}` is the same project as `{there}` at another revision");
                report.add(Finding::at(facts.file.place(context.tree, &path[0]), message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{flake_found, flake_lock};

    #[test]
    fn copies_at_other_revisions_are_found() {
        let lock =
            flake_lock("root: a; u\na: u=v @ github:o/a\nu: @ github:o/u\nv: @ github:o/u/branch");
        let text =
            "{ inputs = { a.url = \"github:o/a\"; u.url = \"github:o/u\"; }; outputs = x: { }; }";
        assert_eq!(
            flake_found("DEP016", text, &lock),
            "a: `a/u` is the same project as `u` at another revision\n"
        );
        let same = lock.replace(&format!("{:040x}", 3), &format!("{:040x}", 2));
        assert_eq!(flake_found("DEP016", text, &same), "");
    }
}
