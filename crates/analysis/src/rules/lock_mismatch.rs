//! DEP004: a lock file that Nix would write anew, or refuses.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::{Change, Lock, Relock};
use cim_nix_model::{Edge, LockFile, show_input_path};

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP004"),
    name: "lock-mismatch",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags a `flake.lock` that does not fit its `flake.nix`, and one that Nix refuses to read.

Findings are told in `flake.nix`, at the input that is locked otherwise, since JSON has no place for
a comment that suppresses them.

## Why it matters

Nix writes the lock file anew before it does anything else: whoever runs it gets a changed file, and
maybe other versions. With `--no-update-lock-file`, or where the flake is used as an input, it fails
or goes by other sources than `flake.nix` says.

## Example

With a `flake.lock` that holds `nixpkgs` alone:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  inputs.flake-utils.url = \"github:numtide/flake-utils\";
  outputs = { self, nixpkgs, flake-utils }: { };
}
```

## Better

The same after `nix flake lock`, or without the input:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  outputs = { self, nixpkgs }: { };
}
```

## Source

The lock file is computed as Nix 2.34 does it, as far as that goes without fetching.
",
};

const NIX_LOCK: &str = "`nix flake lock` brings it up to date";

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let head = facts.file.head(context.tree);
    let old = match &facts.around.lock {
        Lock::Refused(why) => {
            let finding = Finding::at(head, format!("flake.lock cannot be used: {why}"));
            return report
                .add(finding.help("mend it, or remove it and let `nix flake lock` write it"));
        }
        Lock::Read(old) => old,
        Lock::Unknown | Lock::Absent | Lock::Unfixed(_) => return,
    };
    // What cannot be read of the inputs is told by another rule.
    if !facts.file.faults.is_empty() {
        return;
    }
    match facts.relock() {
        Ok(relock) => {
            for change in relock.changes(old) {
                report.add(finding(context, facts, relock, old, &change));
            }
        }
        Err(why) => report.add(Finding::at(head, format!("flake.lock cannot be used: {why}"))),
    }
}

fn finding(
    context: &Context<'_>,
    facts: &FlakeFacts<'_>,
    relock: &Relock,
    old: &LockFile,
    change: &Change,
) -> Finding {
    let path = show_input_path(&change.path);
    let source = |file: &LockFile, edge: &Edge| match edge {
        Edge::Follows(target) => format!("`{}` by `follows`", show_input_path(target)),
        Edge::Node(node) => {
            file.input(*node).map_or(String::new(), |input| format!("`{}`", input.original))
        }
    };
    let message = match (&change.old, &change.new) {
        (None, Some(Edge::Follows(target))) => {
            format!("flake.lock does not have `{path}` follow `{}`", show_input_path(target))
        }
        (None, _) => format!("`{path}` is not in flake.lock"),
        (Some(_), None) => format!("flake.lock holds `{path}`, which this flake does not ask for"),
        (Some(Edge::Follows(target)), Some(Edge::Node(node))) if relock.is_unread(*node) => {
            let target = show_input_path(target);
            format!("flake.lock has `{path}` follow `{target}`, which this flake does not say")
        }
        (Some(was), Some(is)) => {
            let (was, is) = (source(old, was), source(&relock.file, is));
            format!("flake.lock has `{path}` from {was}, and this flake asks for {is}")
        }
    };
    let first = change.path.first().map_or("", String::as_str);
    let range = match facts.file.nearest(&change.path) {
        Some(input) => input.range,
        None => facts.file.place(context.tree, first),
    };
    Finding::at(range, message).help(NIX_LOCK)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{flake_found, flake_lock};

    #[track_caller]
    fn check(inputs: &str, lock: &str, want: &str) {
        let text = format!("{{ inputs = {{ {inputs} }}; outputs = x: {{ }}; }}");
        assert_eq!(flake_found("DEP004", &text, lock), want);
    }

    const INPUTS: &str = "a.url = \"github:o/a\"; n.url = \"github:o/n\";";

    fn lock() -> String {
        flake_lock("root: a; n\na: n=>n; m @ github:o/a\nm: @ github:o/m\nn: @ github:o/n")
    }

    #[test]
    fn what_fits_is_silent() {
        check(&format!("{INPUTS} a.inputs.n.follows = \"n\";"), &lock(), "");
        check("", &flake_lock("root:"), "");
        // A flag is no source.
        check(&format!("{INPUTS} a.flake = true; a.inputs.n.follows = \"n\";"), &lock(), "");
    }

    #[test]
    fn what_an_input_follows_of_its_own_is_its_own_business() {
        let lock =
            flake_lock("root: a\na: h; n=>a/h/n @ github:o/a\nh: n @ github:o/h\nn: @ github:o/n");
        check("a.url = \"github:o/a\";", &lock, "");
    }

    #[test]
    fn each_difference_is_told_at_its_place() {
        let inputs = format!("{INPUTS} a.inputs.n.follows = \"n\";");
        check(
            &format!("{inputs} b.url = \"github:o/b\";"),
            &lock(),
            "b: `b` is not in flake.lock\n",
        );
        check(
            &inputs.replace("github:o/n", "github:o/x"),
            &lock(),
            "n: flake.lock has `n` from `github:o/n`, and this flake asks for `github:o/x`\n",
        );
        check(
            INPUTS,
            &lock(),
            "a: flake.lock has `a/n` follow `n`, which this flake does not say\n",
        );
        check(
            "n.url = \"github:o/n\";",
            &lock(),
            "inputs: flake.lock holds `a`, which this flake does not ask for\n",
        );
        check(
            &format!("{inputs} a.inputs.m.follows = \"n\";"),
            &lock(),
            "m: flake.lock has `a/m` from `github:o/m`, and this flake asks for `n` by `follows`\n",
        );
    }

    #[test]
    fn lock_files_that_nix_refuses_are_told() {
        let refused = |lock: &str, want: &str| {
            let got = flake_found("DEP004", "{ inputs = { }; outputs = x: { }; }", lock);
            let want = format!("inputs: flake.lock cannot be used: {want}");
            assert!(got.starts_with(&want), "{lock:.60}: {got}");
        };
        refused("{", "Could not parse 'flake.lock'");
        refused("[]", "lock file 'flake.lock' has unsupported version 0");
        refused("{\"version\": 8}", "lock file 'flake.lock' has unsupported version 8");
        refused(
            "{\"version\": 7, \"root\": \"r\"}",
            "lock file 'flake.lock' is broken: it has no 'nodes'",
        );
        let nodes = |nodes: &str| format!("{{\"version\":7,\"root\":\"r\",\"nodes\":{nodes}}}");
        refused(
            &nodes("{\"r\":{\"inputs\":{\"a\":\"b\"}}}"),
            "lock file references missing node 'b'",
        );
        refused(
            &nodes("{\"r\":{\"inputs\":{\"a\":1}}}"),
            "lock file 'flake.lock' is broken: input 'a'",
        );
        refused(
            &nodes("{\"r\":{\"inputs\":{\"a\":\"r\"}}}"),
            "lock file contains cycle to root node",
        );
        refused(
            &nodes("{\"r\":{\"inputs\":[]}}"),
            "lock file 'flake.lock' is broken: the inputs of 'r'",
        );
        refused(&"[".repeat(100_000), "Could not parse 'flake.lock'");
    }

    #[test]
    fn circles_and_large_graphs_end() {
        // Inputs that contain each other.
        let lock = flake_lock("root: a\na: b @ github:o/a\nb: a @ github:o/b");
        let got =
            flake_found("DEP004", "{ inputs.a.url = \"github:o/a\"; outputs = x: { }; }", &lock);
        assert!(got.starts_with("inputs.a.url: flake.lock cannot be used: "), "{got}");
        // Each of forty inputs has the next one twice: ways without number.
        let rows: Vec<String> =
            (0..40).map(|at| format!("n{at}: l=n{0}; r=n{0} @ github:o/n{at}", at + 1)).collect();
        let lock = flake_lock(&format!("root: n0\n{}\nn40: @ github:o/n40", rows.join("\n")));
        let got =
            flake_found("DEP004", "{ inputs.n0.url = \"github:o/n0\"; outputs = x: { }; }", &lock);
        assert!(got.contains("too many or too deep"), "{got}");
        let rows: Vec<String> = (0..6_000).map(|at| format!("n{at}: @ github:o/n{at}")).collect();
        let names: Vec<String> = (0..6_000).map(|at| format!("n{at}")).collect();
        let lock = flake_lock(&format!("root: {}\n{}", names.join("; "), rows.join("\n")));
        let got =
            flake_found("DEP004", "{ inputs.n0.url = \"github:o/n0\"; outputs = x: { }; }", &lock);
        assert!(got.contains("holds 6001 sources, more than are looked at (5000)"), "{got}");
    }
}
