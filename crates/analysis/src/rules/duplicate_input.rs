//! DEP001: a source that is locked twice although one copy could follow the other.

use std::collections::BTreeMap;

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_flake::Copy;
use cim_nix_model::show_input_path;

use crate::context::Context;
use crate::flake::{self, FlakeFacts};
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP001"),
    name: "duplicate-input",
    severity: Severity::Info,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input of an input that is locked on its own although the flake has the same source already.

The same source is the same repository at the same branch or version; of an input called `nixpkgs`,
any branch counts, since that is what makes a flake slow. Inputs that are pinned to a revision or a
pull request, that have a name of their own (`nixpkgs-stable`) and another branch, or that the flake
itself gives a source, are meant to be apart. So are those whose `follows` is commented out beside the
input, which says that somebody decided against it.

## Why it matters

Each copy is fetched, kept and evaluated on its own. A second Nixpkgs takes another few hundred
megabytes and seconds, and brings other versions of the same libraries into one closure.

## Example

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  inputs.home-manager.url = \"github:nix-community/home-manager/release-24.05\";
  outputs = { self, nixpkgs, home-manager }: { };
}
```

## Better

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  inputs.home-manager.url = \"github:nix-community/home-manager/release-24.05\";
  inputs.home-manager.inputs.nixpkgs.follows = \"nixpkgs\";
  outputs = { self, nixpkgs, home-manager }: { };
}
```

Then `nix flake lock` writes the lock file anew.

## When the fix is unsafe

The other flake was tested with its own versions, and its binary cache is filled for them. So this
needs a look: suppress the finding where a copy is kept apart on purpose.

## Source

`cim-nix graph inputs` shows all copies. Inputs and `follows` are described in the manual of Nix under
`nix flake`.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let Ok(relock) = facts.relock() else { return };
    if facts.around.lock.file().is_none() {
        return;
    }
    let mut copies: BTreeMap<String, Vec<Copy>> = BTreeMap::new();
    for copy in cim_nix_flake::copies(&relock.file, Some(facts.file)) {
        if !relock.is_unread(copy.node) {
            copies.entry(copy.path[0].clone()).or_default().push(copy);
        }
    }
    for (input, copies) in copies {
        report.add(finding(context, facts, &input, &copies));
    }
}

fn finding(context: &Context<'_>, facts: &FlakeFacts<'_>, input: &str, copies: &[Copy]) -> Finding {
    let told: Vec<String> = copies
        .iter()
        .map(|copy| {
            format!("`{}` is another copy of `{}`", show_input_path(&copy.path), copy.target)
        })
        .collect();
    let mut finding = Finding::at(facts.file.place(context.tree, input), told.join(", "))
        .help("let it follow, or suppress this where it is kept apart on purpose");
    let changes: Vec<(Vec<&str>, String)> = copies
        .iter()
        .map(|copy| {
            let names = copy.path.iter().flat_map(|name| ["inputs", name.as_str()]);
            (names.chain(["follows"]).collect(), format!("\"{}\"", copy.target))
        })
        .collect();
    if let Some((edits, rewrites)) =
        flake::set_attrs(context, &changes).filter(|_| facts.file.faults.is_empty())
    {
        let paths: Vec<String> = copies.iter().map(|copy| show_input_path(&copy.path)).collect();
        let title = format!("let `{}` follow", paths.join("`, `"));
        finding = finding.fix(Applicability::Unsafe, title, edits, rewrites);
    }
    finding
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_flake, flake_found, flake_lock};

    fn lock() -> String {
        flake_lock(
            "root: nixpkgs; hm\nhm: nixpkgs=nixpkgs_2 @ github:nix-community/home-manager\nnixpkgs: @ github:NixOS/nixpkgs/nixos-24.05\nnixpkgs_2: @ github:NixOS/nixpkgs/nixos-unstable",
        )
    }

    const FLAKE: &str = "{
  inputs = {
    nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
    hm.url = \"github:nix-community/home-manager\"; # c
  };
  outputs = { self, nixpkgs, hm }: { };
}
";

    #[test]
    fn a_copy_is_found_and_made_to_follow() {
        assert_eq!(
            flake_found("DEP001", FLAKE, &lock()),
            "hm: `hm/nixpkgs` is another copy of `nixpkgs`\n"
        );
        let fixed = fixed_flake("DEP001", FLAKE, &lock());
        let want = "hm.url = \"github:nix-community/home-manager\"; # c\n    hm.inputs.nixpkgs.follows = \"nixpkgs\";\n";
        assert!(fixed.contains(want), "{fixed}");
    }

    #[test]
    fn what_follows_or_is_pinned_is_none() {
        let follows = FLAKE.replace("# c", "hm.inputs.nixpkgs.follows = \"nixpkgs\";");
        assert_eq!(flake_found("DEP001", &follows, &lock()), "");
        let pinned = lock()
            .replace("\"ref\":\"nixos-unstable\"", &format!("\"rev\":\"{}\"", "a".repeat(40)));
        assert_eq!(flake_found("DEP001", FLAKE, &pinned), "");
        let named = lock().replace("\"nixpkgs\":\"nixpkgs_2\"", "\"nixpkgs-old\":\"nixpkgs_2\"");
        assert_eq!(flake_found("DEP001", FLAKE, &named), "");
        let pull = lock().replace("nixos-unstable", "pull/1/head");
        assert_eq!(flake_found("DEP001", FLAKE, &pull), "");
    }

    #[test]
    fn a_commented_out_follows_is_a_decision() {
        let apart = FLAKE.replace("# c", "# hm.inputs.nixpkgs.follows = \"nixpkgs\";");
        assert_eq!(flake_found("DEP001", &apart, &lock()), "");
        let other = FLAKE.replace("# c", "# hm.inputs.other.follows = \"nixpkgs\";");
        assert_ne!(flake_found("DEP001", &other, &lock()), "");
    }

    #[test]
    fn what_a_copy_brings_goes_with_it() {
        let lock = flake_lock(
            "root: a; t; n\na: t=t2 @ github:o/a\nt: @ github:o/t\nt2: n=n2 @ github:o/t\nn: @ github:o/n\nn2: @ github:o/n",
        );
        let flake = "{ inputs = { a.url = \"github:o/a\"; n.url = \"github:o/n\"; t.url = \"github:o/t\"; }; outputs = x: { }; }";
        assert_eq!(flake_found("DEP001", flake, &lock), "a: `a/t` is another copy of `t`\n");
        assert!(!fixed_flake("DEP001", flake, &lock).contains("inputs.t.inputs"));
    }

    #[test]
    fn several_copies_are_one_finding() {
        let lock = flake_lock(
            "root: a; u\na: u=u2; b @ github:o/a\nb: u=u3 @ github:o/b\nu: @ github:o/u\nu2: @ github:o/u\nu3: @ github:o/U",
        );
        let flake =
            "{ inputs = { a.url = \"github:o/a\"; u.url = \"github:o/u\"; }; outputs = x: { }; }";
        assert_eq!(
            flake_found("DEP001", flake, &lock),
            "a: `a/u` is another copy of `u`, `a/b/u` is another copy of `u`\n"
        );
        assert!(
            fixed_flake("DEP001", flake, &lock).contains("a.inputs.b.inputs.u.follows = \"u\";")
        );
    }
}
