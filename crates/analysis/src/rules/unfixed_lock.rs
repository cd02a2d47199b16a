//! DEP015: a locked source that nothing fixes.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::{Lock, Unfixed};
use cim_nix_model::show_input_path;

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP015"),
    name: "unfixed-lock",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags a source in `flake.lock` that has no hash, or no revision where it is a repository.

Sources at relative paths have neither by design: they lie in the source of another input.

## Why it matters

Without a hash nobody notices when something else comes than what was locked. Without a revision the
source cannot be fetched again once it was thrown away: such locks are made from working trees with
changes that were never committed.

## Example

With a `flake.lock` in which the node of `b` has no `rev`:

```nix
{
  inputs.b.url = \"git+file:///home/me/b\";
  outputs = { self, b }: { };
}
```

## Better

The same after a commit there and `nix flake update b`, or with a source that others can fetch:

```nix
{
  inputs.b.url = \"github:owner/b\";
  outputs = { self, b }: { };
}
```

## Source

Nix: `Lock file contains unlocked input`, and the warning `Lock file entry … is unlocked (e.g. lacks a
Git revision)`.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let unfixed: Vec<Unfixed> = match &facts.around.lock {
        Lock::Unfixed(unfixed) => unfixed.clone(),
        Lock::Read(file) => unfixed_in(file),
        _ => return,
    };
    for Unfixed { path, lacks } in unfixed {
        let first = path.first().map_or("", String::as_str);
        let what = if lacks == "rev" { "revision" } else { "hash" };
        let message =
            format!("`{}` has no {what} (`{lacks}`) in flake.lock", show_input_path(&path));
        let help = format!("`nix flake update {first}` locks it anew");
        report.add(Finding::at(facts.file.place(context.tree, first), message).help(help));
    }
}

/// The same for a lock file that Nix takes.
fn unfixed_in(file: &cim_nix_model::LockFile) -> Vec<Unfixed> {
    let paths = cim_nix_flake::paths(file).into_iter();
    let unfixed = paths.filter_map(|(node, path)| {
        let locked = &file.input(node)?.locked;
        let is_repository =
            matches!(locked.kind(), "github" | "gitlab" | "sourcehut" | "git" | "hg");
        let lacks = match () {
            () if locked.is_relative() => return None,
            () if is_repository && locked.text("rev").is_none() => "rev",
            () if locked.text("narHash").is_none_or(str::is_empty) => "narHash",
            () => return None,
        };
        Some(Unfixed { path, lacks })
    });
    unfixed.collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{flake_found, flake_lock};

    #[test]
    fn each_source_without_hash_or_revision_is_told() {
        let text = "{ inputs.a.url = \"github:o/a\"; outputs = x: { }; }";
        let lock = flake_lock("root: a\na: b @ github:o/a\nb: @ github:o/b");
        assert_eq!(flake_found("DEP015", text, &lock), "");
        let hash = ",\"narHash\":\"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
        let without_hash = lock.replace(hash, "");
        assert_eq!(
            flake_found("DEP015", text, &without_hash),
            "a: `a` has no hash (`narHash`) in flake.lock\na: `a/b` has no hash (`narHash`) in flake.lock\n"
        );
        let rev = format!(",\"rev\":\"{:040x}\"", 2);
        let without_rev = lock.replace(&rev, "");
        assert_eq!(
            flake_found("DEP015", text, &without_rev),
            "a: `a/b` has no revision (`rev`) in flake.lock\n"
        );
        // Nix refuses what has neither.
        let without_both = without_rev.replace(hash, "");
        assert!(flake_found("DEP015", text, &without_both).contains("`a/b` has no revision"));
        assert_eq!(flake_found("DEP004", text, &without_both), "");
    }

    #[test]
    fn relative_paths_need_nothing() {
        let lock = r#"{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"a"}},"a":{"locked":{"type":"path","path":"./a"},"original":{"type":"path","path":"./a"},"parent":[]}}}"#;
        let text = "{ inputs.a.url = \"path:./a\"; outputs = x: { }; }";
        assert_eq!(flake_found("DEP015", text, lock), "");
        assert_eq!(flake_found("DEP004", text, lock), "");
        let absolute = lock.replace("./a", "/a").replace(",\"parent\":[]", "");
        assert!(flake_found("DEP015", text, &absolute).contains("no hash"));
    }
}
