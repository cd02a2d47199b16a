//! DEAD015: an option that no module reads. Found over all files.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity};
use cim_nix_project::FileId;

use crate::across::{Across, DeclaredKind};
use crate::rule::{Check, Finding, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD015"),
    name: "unread-option",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags an option of a module when no file of the project reads any attribute of its name.

Options of submodules are left alone, since they are mostly read as a whole. So are options whose name
is read anywhere for whatever reason. A set of options that is read as a whole cannot be seen.

## Why it matters

Whoever sets the option expects it to do something.

## Example

When nothing speaks of `colour`:

```nix
{ lib, ... }:
{
  options.services.lamp.colour = lib.mkOption { type = lib.types.str; };
}
```

## Better

```nix
{ config, lib, ... }:
{
  options.services.lamp.colour = lib.mkOption { type = lib.types.str; };
  config.environment.etc.lamp.text = config.services.lamp.colour;
}
```

## Source

Names are compared over all files of the project.
",
};

pub(crate) fn find(project: &Across<'_>, read: &HashSet<u32>) -> Vec<(FileId, Finding)> {
    if !project.is_whole() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for file in project.files() {
        let Some(names) = project.facts(file).and_then(|facts| facts.names.as_ref()) else {
            continue;
        };
        let unread = names.declared.iter().filter(|declared| {
            declared.kind == DeclaredKind::Option && !read.contains(&declared.name)
        });
        for declared in unread {
            let message = "nothing in this project reads an option of this name";
            found.push((file, Finding::at(declared.range, message)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::across::testing::found;

    #[test]
    fn options_that_nobody_reads_are_found() {
        let project = "//- /p/a.nix\n{ config, lib, ... }: { options.s = { lamp.colour = lib.mkOption { }; size = lib.mkOption { type = lib.types.submodule { options.inner = lib.mkOption { }; }; }; }; config.x = config.s.size; }\n//- /p/b.nix\n{ s.lamp.colour = \"red\"; }\n";
        assert_eq!(
            found("DEAD015", project),
            "/p/a.nix colour: nothing in this project reads an option of this name\n"
        );
    }
}
