//! DEP001: a source that is locked twice although one copy could follow the other.

use std::collections::BTreeMap;

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_flake::{Repository, is_same_source};
use cim_nix_model::{FlakeRef, LockFile, NodeId, show_input_path};

use crate::context::Context;
use crate::flake::{self, FlakeFacts, Source};
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
itself gives a source, are meant to be apart.

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

/// A copy, and what it could follow.
struct Copy {
    path: Vec<String>,
    target: String,
}

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let mut copies: BTreeMap<String, Vec<Copy>> = BTreeMap::new();
    let sources = facts.sources();
    for source in sources.iter().filter(|source| source.path.len() > 1) {
        if let Some(target) = target(facts, &sources, source) {
            let copy = Copy { path: source.path.clone(), target };
            copies.entry(source.path[0].clone()).or_default().push(copy);
        }
    }
    for (input, copies) in copies {
        report.add(finding(context, facts, &input, &copies));
    }
}

/// What a source could follow.
fn target(facts: &FlakeFacts<'_>, sources: &[Source<'_>], source: &Source<'_>) -> Option<String> {
    let original = &source.input.original;
    let is_given = facts.file.input(&source.path[0]).is_some_and(|input| {
        let mut all = input.all().into_iter();
        all.any(|(path, input)| path == source.path && input.reference.is_some())
    });
    if is_given || original.text("rev").is_some() || !source.input.is_flake {
        return None;
    }
    let relock = facts.relock().ok()?;
    let mut roots: Vec<(&str, NodeId, &FlakeRef)> = Vec::new();
    for name in relock.file.inputs(LockFile::ROOT).keys() {
        let node = relock.file.find(std::slice::from_ref(name)).ok().flatten();
        let input = node.and_then(|node| Some((node, relock.file.input(node)?)));
        if let Some((node, input)) =
            input.filter(|(node, input)| *node != source.node && input.is_flake)
        {
            roots.push((name, node, &input.original));
        }
    }
    if let Some((name, ..)) = roots.iter().find(|(.., other)| is_same_source(other, original)) {
        return Some((*name).to_owned());
    }
    let is_plain = source.path.last().is_some_and(|name| name == "nixpkgs");
    let is_pull = original.text("ref").is_some_and(|branch| branch.starts_with("pull/"));
    if Repository::of(original) != Repository::Nixpkgs || !is_plain || is_pull {
        return None;
    }
    // A fork of it is meant to be used by all, too.
    let is_fork = |other: &FlakeRef| other.text("repo").is_some_and(|repo| repo == "nixpkgs");
    roots.retain(|(name, _, other)| {
        let is_nixpkgs = Repository::of(other) == Repository::Nixpkgs || is_fork(other);
        *name == "nixpkgs" || is_nixpkgs && other.text("rev").is_none()
    });
    let named = roots.iter().find(|(name, ..)| *name == "nixpkgs").or(roots.first());
    if let Some((name, ..)) = named {
        return Some((*name).to_owned());
    }
    // Without one of its own, the flake can use the first that it gets from others.
    let is_first =
        |other: &&Source<'_>| Repository::of(&other.input.original) == Repository::Nixpkgs;
    let first = sources.iter().find(is_first)?;
    let is_other = first.node != source.node && first.path[0] != source.path[0];
    (is_other && first.path.len() > 1).then(|| show_input_path(&first.path))
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
