//! DEP009: an input that a registry has to tell.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_model::{Edge, FlakeRef, LockFile};

use super::places::is_test_file;
use crate::context::Context;
use crate::flake::{self, FlakeFacts};
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP009"),
    name: "indirect-input",
    severity: Severity::Info,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input that names no source: a registry tells what is meant.

## Why it matters

Which source is taken depends on a list that Nix downloads, and on older versions of Nix on the lists
of the user and the machine, too. The flake alone does not tell where its code comes from.

## Example

```nix
{
  outputs = { self, nixpkgs }: { };
}
```

```nix
{
  inputs.utils.url = \"flake-utils\";
  outputs = { self, utils }: { };
}
```

## Better

```nix
{
  outputs = { self, nixpkgs }: { };
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixpkgs-unstable\";
}
```

```nix
{
  inputs.utils.url = \"github:numtide/flake-utils\";
  outputs = { self, utils }: { };
}
```

## When the fix is unsafe

It writes the source that the lock file has, or else the one in the common registry. Whoever has
another one in a registry gets that no more, and the lock file is written anew.

## Source

The manual of Nix on `nix registry`.
",
};

/// What the common registry says of names that flakes use; those of others are told by lock files.
const COMMON: &[(&str, &str)] = &[
    ("flake-compat", "github:edolstra/flake-compat"),
    ("flake-parts", "github:hercules-ci/flake-parts"),
    ("flake-utils", "github:numtide/flake-utils"),
    ("home-manager", "github:nix-community/home-manager"),
    ("nix-darwin", "github:nix-darwin/nix-darwin"),
    ("nixos-hardware", "github:NixOS/nixos-hardware"),
    ("nixpkgs", "github:NixOS/nixpkgs/nixpkgs-unstable"),
    ("systems", "github:nix-systems/default"),
];

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    // What a test hands to a flake, no registry is asked for.
    if is_test_file(context.path) {
        return;
    }
    for (name, input) in facts.file.declared() {
        let reference = match &input.reference {
            Some(reference) if reference.kind() == "indirect" => reference.clone(),
            // A declaration without any source means the name, as no declaration does.
            None if input.follows.is_none() && is_readable(facts, &name) => {
                let Ok(reference) = FlakeRef::parse(&name) else { continue };
                reference
            }
            _ => continue,
        };
        let declared = facts.file.input(&name);
        let range = declared.map(|input| input.source_range());
        let range = range.unwrap_or_else(|| facts.file.place(context.tree, &name));
        let id = reference.text("id").unwrap_or_default().to_owned();
        let message = match declared.and_then(|input| input.url.as_ref()) {
            Some(_) => format!("`{id}` is looked up in a registry"),
            None => format!("`{name}` has no source, so it is looked up in a registry"),
        };
        let mut finding = Finding::at(range, message);
        if let Some(url) = source(facts, &name, &reference) {
            let change = (vec!["inputs", &name, "url"], format!("\"{url}\""));
            match flake::set_attrs(context, &[change]) {
                Some((edits, rewrites)) if facts.file.faults.is_empty() => {
                    let title = format!("take it from `{url}`");
                    finding = finding.fix(Applicability::Unsafe, title, edits, rewrites);
                }
                _ => finding = finding.help(format!("take it from `{url}`")),
            }
        }
        report.add(finding);
    }
}

/// Whether all that is said of an input could be read.
fn is_readable(facts: &FlakeFacts<'_>, name: &str) -> bool {
    let declared = facts.file.input(name);
    facts.file.faults.is_empty() && declared.is_none_or(|input| input.attrs.is_empty())
}

/// The source that a name stands for: what it was locked to, or what the common registry says.
fn source(facts: &FlakeFacts<'_>, name: &str, reference: &FlakeRef) -> Option<String> {
    let id = reference.text("id")?;
    let version = reference.text("rev").or(reference.text("ref"));
    let common = COMMON.iter().find(|(known, _)| *known == id).map(|(_, url)| *url);
    let locked = facts.around.lock.file().and_then(|file| {
        let Edge::Node(node) = file.inputs(LockFile::ROOT).get(name)? else { return None };
        let locked = &file.input(*node)?.locked;
        let place = format!("{}/{}", locked.text("owner")?, locked.text("repo")?);
        let is_plain =
            locked.kind() == "github" && locked.dir().is_empty() && locked.text("host").is_none();
        is_plain.then(|| format!("github:{place}"))
    });
    let base = match (locked, common) {
        (Some(locked), Some(common))
            if common.to_lowercase().starts_with(&locked.to_lowercase()) =>
        {
            common.to_owned()
        }
        (Some(locked), _) => locked,
        (None, common) => common?.to_owned(),
    };
    Some(match version {
        // A branch of Nixpkgs stands where the registry has its own.
        Some(version) => {
            let plain = base.split('/').take(2).collect::<Vec<_>>().join("/");
            format!("{plain}/{version}")
        }
        None => base,
    })
}

#[cfg(test)]
mod tests {
    use crate::Lints;
    use crate::rules::testing::{fixed_flake, flake_checker, flake_found, flake_lock};

    #[track_caller]
    fn check(text: &str, lock: &str, found: &str, fixed: &str) {
        assert_eq!(flake_found("DEP009", text, lock), found);
        assert_eq!(fixed_flake("DEP009", text, lock), fixed);
    }

    #[test]
    fn flakes_of_tests_get_their_inputs_by_hand() {
        let text = "{ outputs = { self, nixpkgs }: { }; }";
        let mut lints = Lints::nothing();
        lints.select("DEP009").unwrap();
        let found = |path| flake_checker("").check(path, text, &lints).findings.len();
        assert_eq!([found("a/flake.nix"), found("tests/a/flake.nix")], [1, 0]);
    }

    #[test]
    fn names_get_the_source_of_the_registry() {
        check(
            "{ outputs = { self, nixpkgs }: { }; }",
            "",
            "nixpkgs: `nixpkgs` has no source, so it is looked up in a registry\n",
            "{ outputs = { self, nixpkgs }: { }; inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixpkgs-unstable\"; }",
        );
        check(
            "{ inputs.n.url = \"nixpkgs/nixos-24.05\"; outputs = x: { }; }",
            "",
            "\"nixpkgs/nixos-24.05\": `nixpkgs` is looked up in a registry\n",
            "{ inputs.n.url = \"github:NixOS/nixpkgs/nixos-24.05\"; outputs = x: { }; }",
        );
        check(
            "{ inputs.n = { type = \"indirect\"; id = \"x\"; }; outputs = x: { }; }",
            "",
            "\"indirect\": `n` has no source, so it is looked up in a registry\n",
            "{ inputs.n = { type = \"indirect\"; id = \"x\"; }; outputs = x: { }; }",
        );
    }

    #[test]
    fn what_is_locked_tells_more() {
        let lock = flake_lock("root: n\nn: @ github:o/other");
        check(
            "{ inputs.n.url = \"flake:n\"; outputs = x: { }; }",
            &lock,
            "\"flake:n\": `n` is looked up in a registry\n",
            "{ inputs.n.url = \"github:o/other\"; outputs = x: { }; }",
        );
    }

    #[test]
    fn sources_and_follows_are_fine() {
        let text = "{ inputs.a.url = \"github:o/a\"; inputs.b.follows = \"a\"; outputs = { self, a, b }: { }; }";
        check(text, "", "", text);
    }
}
