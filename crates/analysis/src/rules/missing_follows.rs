//! DEP002: `follows` to an input that does not exist, or of one.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::{Lead, Relock};
use cim_nix_model::{Edge, show_input_path};

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP002"),
    name: "missing-follows-target",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags `follows` to an input that does not exist, and what is said of an input that another flake does
not have.

What inputs another flake has is told by the lock file; inputs that it does not hold yet are left
alone.

## Why it matters

Nix refuses to lock a flake with an input that follows nothing. What is said of an input that is not
there does nothing, often since the other flake renamed or dropped it, so the copy that it was to
prevent may be back under another name.

## Example

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  inputs.home-manager.url = \"github:nix-community/home-manager/release-24.05\";
  inputs.home-manager.inputs.nixpkgs.follows = \"nixpkgs-stable\";
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

## Source

Nix: `input 'a' follows a non-existent input 'b'`, `follow cycle detected`, and the warning `input 'a'
has an override for a non-existent input 'b'`.
",
};

fn check(_: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let is_declared = !facts.file.inputs.is_empty() && facts.file.faults.is_empty();
    let Some(relock) = facts.relock().ok().filter(|_| is_declared) else { return };
    for input in &facts.file.inputs {
        for (path, input) in input.all() {
            let Some(follows) = &input.follows else {
                if path.len() > 1 && input.reference.is_some() && has_no_such(relock, &path) {
                    report.add(needless(&path, input.range));
                }
                continue;
            };
            let target = show_input_path(&follows.value);
            match relock.lead(&follows.value) {
                Lead::Nothing => {
                    let message = format!("there is no input `{target}` to follow");
                    report.add(Finding::at(follows.range, message));
                }
                Lead::Circle(way) => {
                    let message = format!("inputs follow each other in a circle: {}", way_of(&way));
                    report.add(Finding::at(follows.range, message));
                }
                Lead::Found(_) | Lead::Unknown => {
                    if path.len() > 1 && has_no_such(relock, &path) {
                        report.add(needless(&path, input.range));
                    }
                }
            }
        }
    }
}

fn way_of(message: &str) -> &str {
    let inner = message.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
    inner.unwrap_or(message)
}

/// Whether the flake that an override is for is known not to have that input.
fn has_no_such(relock: &Relock, path: &[String]) -> bool {
    let Some((name, above)) = path.split_last() else { return false };
    let mut at = cim_nix_model::LockFile::ROOT;
    for name in above {
        // What is said of the inputs of what follows another input means nothing, but Nix is silent.
        let Some(Edge::Node(child)) = relock.file.inputs(at).get(name) else { return false };
        at = *child;
    }
    !relock.is_unread(at) && !relock.file.inputs(at).contains_key(name)
}

fn needless(path: &[String], range: cim_nix_base::TextRange) -> Finding {
    let (name, above) = path.split_last().map_or(("", &[][..]), |(name, above)| (name, above));
    let message = format!("`{}` has no input `{name}`", show_input_path(above));
    Finding::at(range, message).help("remove this, or look how the input is called now")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{flake_found, flake_lock};

    #[track_caller]
    fn check(inputs: &str, lock: &str, want: &str) {
        let text = format!("{{ inputs = {{ {inputs} }}; outputs = x: {{ }}; }}");
        assert_eq!(flake_found("DEP002", &text, lock), want);
    }

    #[test]
    fn targets_at_the_top_are_known_without_a_lock_file() {
        check(
            "a.url = \"github:o/a\"; a.inputs.n.follows = \"b\";",
            "",
            "\"b\": there is no input `b` to follow\n",
        );
        check("a.url = \"github:o/a\"; a.inputs.n.follows = \"a/b\";", "", "");
        check("a.follows = \"c\"; c.url = \"github:o/c\";", "", "");
        check("a.url = \"github:o/a\"; a.inputs.n.follows = \"\";", "", "");
    }

    #[test]
    fn inputs_of_others_are_known_from_the_lock_file() {
        let lock = flake_lock("root: a; n\na: m @ github:o/a\nm: @ github:o/m\nn: @ github:o/n");
        let inputs = "a.url = \"github:o/a\"; n.url = \"github:o/n\"; a.inputs";
        check(&format!("{inputs}.m.follows = \"n\";"), &lock, "");
        check(&format!("{inputs}.x.follows = \"n\";"), &lock, "x: `a` has no input `x`\n");
        check(
            &format!("{inputs}.m.follows = \"a/x\";"),
            &lock,
            "\"a/x\": there is no input `a/x` to follow\n",
        );
        check(&format!("{inputs}.x = {{ }};"), &lock, "");
        // Another source may have other inputs.
        check(
            "a.url = \"github:o/b\"; n.url = \"github:o/n\"; a.inputs.x.follows = \"n\";",
            &lock,
            "",
        );
    }

    #[test]
    fn circles_end() {
        check(
            "a.follows = \"b\"; b.follows = \"a\";",
            "",
            "\"b\": inputs follow each other in a circle: b -> a -> b\n\"a\": inputs follow each other in a circle: a -> b -> a\n",
        );
    }
}
