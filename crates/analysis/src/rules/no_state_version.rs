//! DEP019: configurations without a `stateVersion`. Found over all files.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_project::FileId;

use crate::across::Across;
use crate::rule::{Check, Finding, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP019"),
    name: "no-state-version",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags the configurations of a flake when no file of the project sets a `stateVersion`.

It is told only where the whole project was looked at, and at the first configuration of
`nixosConfigurations`, `homeConfigurations` or `darwinConfigurations` that is written out.

## Why it matters

`stateVersion` says with which release the data of a machine was made, so that an update does not
start a database of another format on it. Without it NixOS takes the newest, and says so at each
evaluation; Home Manager refuses to evaluate.

## Example

In the `flake.nix` of a project that says nothing of a `stateVersion`:

```nix
{
  outputs = { self, nixpkgs }: {
    nixosConfigurations.host = nixpkgs.lib.nixosSystem { modules = [ { } ]; };
  };
}
```

## Better

```nix
{
  outputs = { self, nixpkgs }: {
    nixosConfigurations.host = nixpkgs.lib.nixosSystem {
      modules = [ { system.stateVersion = \"24.05\"; } ];
    };
  };
}
```

## Source

The manual of NixOS on `system.stateVersion`.
",
};

pub(crate) fn find(project: &Across<'_>) -> Vec<(FileId, Finding)> {
    if !project.is_whole() || project.facts.iter().any(|facts| facts.has_state_version) {
        return Vec::new();
    }
    let is_flake = |file: &FileId| {
        let path = &project.graph.snapshot().files()[file.index()].path;
        path.file_name().is_some_and(|name| name == "flake.nix")
    };
    let first = project.files().filter(is_flake).find_map(|file| {
        let host = project.facts(file)?.hosts.first()?;
        let kind = host.name.split('.').next().unwrap_or_default();
        matches!(kind, "nixosConfigurations" | "homeConfigurations" | "darwinConfigurations")
            .then_some((file, host))
    });
    let Some((file, host)) = first else { return Vec::new() };
    let message =
        format!("no file of this project sets a `stateVersion`, not even for `{}`", host.name);
    let start = host.range.start;
    vec![(file, Finding::at(TextRange::new(start, start + 1), message))]
}

#[cfg(test)]
mod tests {
    use crate::across::testing::found;

    #[test]
    fn one_mention_anywhere_is_enough() {
        let flake = "//- /p/flake.nix\n{ outputs = x: { nixosConfigurations.host = x.f { modules = [ ./a.nix ]; }; }; }\n//- /p/a.nix\n";
        assert_eq!(
            found("DEP019", &format!("{flake}{{ }}\n")),
            "/p/flake.nix n: no file of this project sets a `stateVersion`, not even for `nixosConfigurations.host`\n"
        );
        assert_eq!(
            found("DEP019", &format!("{flake}{{ system.stateVersion = \"24.05\"; }}\n")),
            ""
        );
        assert_eq!(
            found("DEP019", "//- /p/flake.nix\n{ outputs = x: { packages.x = 1; }; }\n"),
            ""
        );
    }
}
