//! DEAD011: a file that no entry point leads to. Found in the import graph.

use std::collections::HashSet;

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_project::{Destination, FileId, SourceFile};

use crate::across::Across;
use crate::rule::{Check, Finding, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD011"),
    name: "unreached-file",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags a file that nothing leads to from the files at the top of the project, or from any `flake.nix`
or `shell.nix`.

A folder that is listed, picked from or only named (`./modules`, `./.`) leads to all files in it, since
frameworks import whole folders; so do paths that begin with `self`, from the folder of the flake. Files in folders called `templates` are left alone, and in projects without a flake, so are
`configuration.nix` and `home.nix`. It is told only where the whole project was looked at.

## Why it matters

Nobody evaluates the file, so nobody notices when it breaks.

## Example

With a `flake.nix` that does not lead to this file, directly or by others:

```nix
{ pkgs, ... }: { environment.systemPackages = [ pkgs.hello ]; }
```

## Better

The same with `imports = [ ./this-file.nix ];` in a module that the flake leads to:

```nix
{ imports = [ ./this-file.nix ]; }
```

## Source

`cim-nix graph` shows what leads where.
",
};

pub(crate) fn find(project: &Across<'_>) -> Vec<(FileId, Finding)> {
    if !project.is_whole() {
        return Vec::new();
    }
    let snapshot = project.graph.snapshot();
    let top = |file: &SourceFile| file.path.parent() == Some(snapshot.root());
    let has_flake =
        snapshot.files().iter().any(|file| top(file) && file.path.ends_with("flake.nix"));
    let is_entry = |file: &SourceFile| {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        top(file)
            || matches!(name, "flake.nix" | "shell.nix")
            || (!has_flake && matches!(name, "configuration.nix" | "home.nix"))
    };
    let entries: Vec<FileId> =
        project.files().filter(|file| is_entry(&snapshot.files()[file.index()])).collect();
    let reached = reach(project, entries);
    let mut found = Vec::new();
    for file in project.files().filter(|file| !reached.contains(file)) {
        let path = &snapshot.files()[file.index()].path;
        let is_code = path.extension().is_some_and(|ending| ending == "nix");
        let mut folders = snapshot.relative(path).iter();
        let is_template = folders.any(|name| name == "templates" || name == "template");
        if is_code && !is_template {
            let message = "nothing leads to this file from the top of the project or a flake";
            found.push((file, Finding::at(TextRange::empty(0), message)));
        }
    }
    found
}

/// The files that others may open; a folder that is only named may be listed elsewhere.
fn reach(project: &Across<'_>, mut todo: Vec<FileId>) -> HashSet<FileId> {
    let graph = project.graph;
    let mut reached = HashSet::new();
    let mut open = HashSet::new();
    while let Some(file) = todo.pop() {
        if !reached.insert(file) {
            continue;
        }
        for edge in graph.edges_from(file) {
            match edge.to {
                Destination::File(to) => todo.push(to),
                Destination::Folder(at) if open.insert(at) => {
                    let folder = &graph.folders()[at as usize];
                    let path = |file: FileId| &graph.snapshot().files()[file.index()].path;
                    todo.extend(project.files().filter(|f| folder.may_open(*f, path(*f))));
                }
                Destination::Folder(_) | Destination::Outside(_) => {}
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use crate::across::testing::found;

    #[test]
    fn files_without_a_way_to_them_are_found() {
        let project = "//- /p/flake.nix\n{ outputs = x: [ (import ./a.nix) ./named (x: ./hosts + x) ]; }\n//- /p/a.nix\nimport ./lib/b.nix\n//- /p/lib/b.nix\n1\n//- /p/lib/c.nix\n2\n//- /p/named/d.nix\n3\n//- /p/hosts/e.nix\n4\n//- /p/templates/x/f.nix\n5\n//- /p/sub/shell.nix\nimport ./g.nix\n//- /p/sub/g.nix\n6\n";
        assert_eq!(
            found("DEAD011", project),
            "/p/lib/c.nix : nothing leads to this file from the top of the project or a flake\n"
        );
    }

    #[test]
    fn paths_from_the_folder_of_the_flake_lead_there() {
        let project = "//- /p/flake.nix\n{ outputs = x: import ./parts/a.nix; }\n//- /p/parts/a.nix\n{ self }: { a = \"${self}/hosts\"; b = self + \"/b.nix\"; c = n: \"${self}/users/${n}.nix\"; }\n//- /p/hosts/c.nix\n1\n//- /p/lib/b.nix\n2\n//- /p/users/d.nix\n3\n";
        assert_eq!(
            found("DEAD011", project),
            "/p/lib/b.nix : nothing leads to this file from the top of the project or a flake\n"
        );
    }
}
