//! DEP008: an input whose content can change under its lock, or that only this machine has.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::Input;
use cim_nix_model::FlakeRef;

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP008"),
    name: "mutable-input",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input that is the archive of a branch, or that lies at an absolute path.

## Why it matters

The lock file keeps the hash of an archive, but not how to get it again: once the branch moves, the
URL gives something else, and everybody without the old archive in the store is stuck. Of an absolute
path, other machines have another content or none.

## Example

```nix
{
  inputs.a.url = \"https://github.com/owner/a/archive/master.tar.gz\";
  inputs.b.url = \"path:/home/me/src/b\";
  outputs = { self, a, b }: { };
}
```

## Better

```nix
{
  inputs.a.url = \"github:owner/a/master\";
  inputs.b.url = \"path:./b\";
  outputs = { self, a, b }: { };
}
```

## Source

The manual of Nix on flake references.
",
};

fn check(_: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    for input in &facts.file.inputs {
        for (_, input) in input.all() {
            let Some(reference) = input.reference.as_ref().filter(|r| !r.is_locked()) else {
                continue;
            };
            let name = &input.name;
            let finding = match reference.kind() {
                "path" if !reference.is_relative() => {
                    let path = reference.text("path").unwrap_or_default();
                    let message =
                        format!("`{name}` is at `{path}`, which other machines do not have");
                    Finding::at(input.source_range(), message)
                }
                "git" if is_local(reference) => {
                    let message =
                        format!("`{name}` is a repository that other machines do not have");
                    Finding::at(input.source_range(), message)
                }
                "tarball" | "file" => {
                    let url = reference.text("url").unwrap_or_default();
                    let Some(branch) = branch_of(url).filter(|_| !is_lockable(facts, input)) else {
                        continue;
                    };
                    let message =
                        format!("`{name}` is the archive of the branch `{branch}`, which changes");
                    Finding::at(input.source_range(), message)
                        .help("name the repository instead: its commits can be fetched again")
                }
                _ => continue,
            };
            report.add(finding);
        }
    }
}

/// Whether the server said at which URL the same archive can be had again: that is what is locked.
fn is_lockable(facts: &FlakeFacts<'_>, input: &Input) -> bool {
    let url = input.reference.as_ref().and_then(|reference| reference.text("url"));
    let is_usual =
        url.is_some_and(|url| url.contains("://github.com/") || url.contains("://gitlab."));
    let locked = facts.around.lock.file().and_then(|file| {
        let node = file.find(std::slice::from_ref(&input.name)).ok().flatten()?;
        Some(&file.input(node)?.locked)
    });
    match locked {
        Some(locked) => locked.text("rev").is_some() || locked.text("url") != url,
        // Without a lock file, only these are known to tell nothing.
        None => !is_usual,
    }
}

fn is_local(reference: &FlakeRef) -> bool {
    let url = reference.text("url").unwrap_or_default();
    url.starts_with("file:///") || url.starts_with('/')
}

/// The branch whose archive a URL of a usual host is. Tags and commits do not change.
fn branch_of(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, file) = path.split_once("/archive/")?;
    let file = file.strip_prefix("refs/heads/").unwrap_or(file);
    // GitLab has the archive in a folder of the version's name.
    let name = file.split('/').next().filter(|_| url.contains("/-/archive/")).unwrap_or(file);
    let endings = [".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz"];
    let name = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let is_heads = path.contains("/refs/heads/");
    let is_usual = matches!(
        name,
        "master" | "main" | "develop" | "dev" | "trunk" | "unstable" | "nightly" | "HEAD"
    );
    let is_channel = (name.starts_with("nixos-")
        || name.starts_with("nixpkgs-")
        || name.starts_with("release-"))
        && path.contains("/nixpkgs/");
    (is_heads || is_usual || is_channel).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::flake_found;

    #[test]
    fn archives_of_branches_are_told_from_those_of_tags() {
        let cases = [
            ("https://github.com/o/r/archive/master.tar.gz", Some("master")),
            ("https://github.com/o/r/archive/refs/heads/x/y.zip", Some("x/y")),
            ("https://gitlab.com/o/r/-/archive/main/r-main.tar.gz", Some("main")),
            (
                "https://github.com/NixOS/nixpkgs/archive/nixos-unstable.tar.gz",
                Some("nixos-unstable"),
            ),
            ("https://github.com/o/r/archive/refs/tags/v1.tar.gz", None),
            ("https://github.com/o/r/archive/v1.2.tar.gz", None),
            (
                "https://github.com/o/r/archive/5a48e3c2e435e95103d56590188cfed7b70e108c.tar.gz",
                None,
            ),
            ("https://example.org/x.tar.gz", None),
        ];
        for (url, want) in cases {
            assert_eq!(branch_of(url), want, "{url}");
        }
    }

    #[test]
    fn paths_of_this_machine_are_found() {
        let check = |url: &str, is_found: bool| {
            let text = format!("{{ inputs.n.url = \"{url}\"; outputs = x: {{ }}; }}");
            assert_eq!(!flake_found("DEP008", &text, "").is_empty(), is_found, "{url}");
        };
        check("path:/home/me/x", true);
        check("/home/me/x", true);
        check("path:./x", false);
        check("./x", false);
        check("path:../x", false);
        check("git+file:///home/me/x", true);
        check("git+file:./x", false);
        check("git+https://example.org/x", false);
        check("git+file:///x?rev=5a48e3c2e435e95103d56590188cfed7b70e108c", false);
        let hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";
        check(&format!("https://github.com/o/r/archive/master.tar.gz?narHash={hash}"), false);
    }
}
