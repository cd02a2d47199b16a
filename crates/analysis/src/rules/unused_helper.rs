//! DEAD013: a function in a set of helpers that nothing in the project selects. Found over all files.

use std::collections::{HashMap, HashSet};

use cim_nix_base::{Code, Severity};
use cim_nix_project::{Destination, FileId, ImportEdge, ReferenceKind};

use crate::across::{Across, DeclaredKind};
use crate::rule::{Check, Finding, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD013"),
    name: "unused-helper",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags a function in the set that a file gives when no file of the project reads any attribute of that
name.

It is told of files that others import, but that neither a `flake.nix` nor a file at the top of the
project imports: what these give may be for others. Names that are computed cannot be seen.

## Why it matters

The function is kept, read and changed for nobody.

## Example

In a `lib/strings.nix` that `lib/default.nix` imports, when nothing speaks of `shout`:

```nix
{
  shout = text: \"${text}!\";
}
```

## Better

```nix
{ }
```

## Source

Names are compared over all files of the project.
",
};

pub(crate) fn find(project: &Across<'_>, read: &HashSet<u32>) -> Vec<(FileId, Finding)> {
    if !project.is_whole() {
        return Vec::new();
    }
    let snapshot = project.graph.snapshot();
    let is_public = |file: FileId| {
        let path = &snapshot.files()[file.index()].path;
        path.parent() == Some(snapshot.root()) || path.ends_with("flake.nix")
    };
    let mut importers: HashMap<FileId, Vec<&ImportEdge>> = HashMap::new();
    for edge in project.graph.edges() {
        if let Destination::File(to) = edge.to {
            importers.entry(to).or_default().push(edge);
        }
    }
    let mut found = Vec::new();
    for file in project.files() {
        let Some(names) = project.facts(file).and_then(|facts| facts.names.as_ref()) else {
            continue;
        };
        let mut unused = names
            .declared
            .iter()
            .filter(|declared| {
                declared.kind == DeclaredKind::Helper && !read.contains(&declared.name)
            })
            .peekable();
        if unused.peek().is_none() || is_public(file) {
            continue;
        }
        let own = importers.get(&file).map_or(&[][..], Vec::as_slice);
        let is_imported = own.iter().any(|edge| edge.kind == ReferenceKind::Import);
        if !is_imported || own.iter().any(|edge| is_public(edge.from)) {
            continue;
        }
        for declared in unused {
            let message = "nothing in this project reads an attribute of this name";
            found.push((file, Finding::at(declared.range, message)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::across::testing::found;

    #[test]
    fn names_that_nobody_reads_are_found() {
        let project = "//- /p/flake.nix\n{ outputs = x: import ./a/b.nix; }\n//- /p/a/b.nix\nlet l = import ./l.nix; in { x = l.used; public = y: y; z = l.${\"quoted\"}; }\n//- /p/a/l.nix\n{ used = x: x; unused = x: x; quoted = x: x; value = 1; }\n";
        assert_eq!(
            found("DEAD013", project),
            "/p/a/l.nix unused: nothing in this project reads an attribute of this name\n"
        );
    }
}
