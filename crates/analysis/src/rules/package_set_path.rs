//! PERF015: the source of nixpkgs by way of the package set.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF015"),
    name: "package-set-path",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Select], check),
    words: &["pkgs.path", "prev.path", "final.path", "super.path"],
    doc: "\
Flags `pkgs.path`.

## Why it matters

Interpolated into a string it copies all of nixpkgs to the store once more, and what is imported
from it is evaluated beside what is there already. The rule is opt-in: modules reach files of
nixpkgs by it, for which there is no other way without flakes.

## Example

```nix
{ pkgs }: import \"${pkgs.path}/nixos/lib/make-disk-image.nix\"
```

## Better

```nix
{ modulesPath }: import \"${modulesPath}/../lib/make-disk-image.nix\"
```

## Source

NixOS/nixpkgs issue 256640, where it took twenty times as long; no other tool looks for it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_path = node.child(1).is_some_and(|path| path.text() == "path");
    let is_set =
        node.child(0).is_some_and(|set| matches!(set.text(), "pkgs" | "prev" | "final" | "super"));
    if is_path && is_set && context.origin(node).is_some_and(|o| o.home == Home::Packages) {
        report.add(Finding::at(node.range(), "this takes all of nixpkgs for a source"));
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn paths_of_package_sets() {
        assert_eq!(marked("PERF015", "{ pkgs }: \"${pkgs.path}/lib\""), "pkgs.path");
        assert_eq!(marked("PERF015", "{ pkgs }: pkgs.path.a"), "");
        assert_eq!(marked("PERF015", "let pkgs = { path = 1; }; in pkgs.path"), "");
    }
}
