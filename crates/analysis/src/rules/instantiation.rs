//! PERF002, PERF003 and PERF023: package sets that are put together more often than needed.

use std::collections::HashMap;
use std::fmt::Write as _;

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_semantics::{BindingKind, Expr, Target};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::callers;
use super::calls::{arguments, binding_of, is_global, spelled};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const REPEATED: Rule = Rule {
    code: Code("PERF002"),
    name: "repeated-instantiation",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_repeated),
    words: &["nixpkgs"],
    doc: "\
Flags a package set that one file puts together more than once with the same arguments.

## Why it matters

Each `import nixpkgs { … }` evaluates the whole package set anew, which takes time and memory, and
what one of them has computed the others do not know.

## Example

```nix
{
  pkgs ? import <nixpkgs> { },
  lib ? (import <nixpkgs> { }).lib,
}:
lib.getName pkgs.hello
```

## Better

```nix
{
  pkgs ? import <nixpkgs> { },
  lib ? pkgs.lib,
}:
lib.getName pkgs.hello
```

## Source

No other tool looks for it; the measurements behind \"1000 instances of nixpkgs\" on the NixOS forum.
",
};

pub(crate) const PER_CALL: Rule = Rule {
    code: Code("PERF003"),
    name: "instantiation-per-call",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_per_call),
    words: &["nixpkgs"],
    doc: "\
Flags a package set that is put together inside a function which is called more than once, such as
an overlay or a function of the system.

It is opt-in, as a function of the system that is used once is fine.

## Why it matters

Nix does not remember what a function returned: each call evaluates the whole package set anew.

## Example

```nix
{ nixpkgs }:
{
  packages = system: { inherit (import nixpkgs { inherit system; }) hello; };
}
```

## Better

```nix
{ nixpkgs }:
{
  packages = system: { inherit (nixpkgs.legacyPackages.${system}) hello; };
}
```

## Source

No other tool looks for it.
",
};

pub(crate) const IN_OVERLAY: Rule = Rule {
    code: Code("PERF023"),
    name: "instantiation-in-overlay",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_overlay),
    words: &[".path"],
    doc: "\
Flags an overlay that imports the `path` of the package set it extends.

## Why it matters

That evaluates a second package set for each use of the overlay, and one without the overlays of the
first. What the overlay wants is usually there: `prev.pkgsCross`, `prev.pkgsi686Linux`,
`prev.extend`, or the set itself.

## Example

```nix
final: prev: {
  tools = import prev.path { inherit (prev) system; };
}
```

## Better

```nix
final: prev: {
  tools = prev.extend (_: _: { });
}
```

## Source

No other tool looks for it.
",
};

/// Nixpkgs as it is imported by `node` and the arguments it gets.
fn instantiation<'a>(context: &Context<'a>, node: Node<'a>) -> Option<[Node<'a>; 2]> {
    let [source, config] = arguments(node)?;
    let is_import = node.child(0).is_some_and(|function| is_global(context, function, "import"));
    (is_import && is_nixpkgs(source)).then_some([source, config])
}

fn is_nixpkgs(source: Node<'_>) -> bool {
    match source.kind() {
        NodeKind::SearchPath => source.text() == "<nixpkgs>",
        _ => spelled(source) == Some("nixpkgs"),
    }
}

/// Longer arguments are not compared.
const MAX_CONFIG: u32 = 4096;

fn check_repeated(context: &Context<'_>, report: &mut Report) {
    let mut seen: HashMap<String, TextRange> = HashMap::new();
    for node in context.tree.nodes().filter(|node| node.kind() == NodeKind::Apply) {
        let Some([source, config]) = instantiation(context, node) else { continue };
        // What a person writes is short; texts within each other would be kept many times.
        if config.range().len() > MAX_CONFIG || source.range().len() > MAX_CONFIG {
            continue;
        }
        if callers::is_unread(context, node) {
            continue;
        }
        let key = key_of(context, source, config);
        match seen.get(&key) {
            Some(first) => report.add(
                Finding::at(node.range(), "this package set was put together before")
                    .label(*first, "here")
                    .help("give the first one a name and use that"),
            ),
            None => {
                seen.insert(key, node.range());
            }
        }
    }
}

/// Tells package sets with the same arguments from others: the texts, and what the names in them
/// stand for.
fn key_of(context: &Context<'_>, source: Node<'_>, config: Node<'_>) -> String {
    let mut key = String::new();
    for token in source.tokens().chain(config.tokens()) {
        if !token.kind().is_trivia() {
            key.push_str(token.text());
            key.push(' ');
        }
    }
    // The names of `inherit` are uses, too.
    let is_name = |node: &Node<'_>| matches!(node.kind(), NodeKind::Ident | NodeKind::Name);
    for name in source.descendants().chain(config.descendants()).filter(is_name) {
        let expr = context.expr_of(name.id()).map(|id| context.ir.expr(id));
        if let Some(Expr::Var { target: Target::Local(binding), .. }) = expr {
            let _ = write!(key, "{} ", binding.0);
        }
    }
    key
}

fn check_per_call(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if instantiation(context, node).is_none() {
        return;
    }
    let Some(function) = called_often(node) else { return };
    report.add(
        Finding::at(node.range(), "each call of the function around puts this together anew")
            .label(function.range(), "called with this")
            .help("move it out of the function, or take `legacyPackages` of the flake"),
    );
}

/// The parameter of the innermost function around `node`, if the function takes a plain name and is
/// not the one that the file is.
fn called_often(node: Node<'_>) -> Option<Node<'_>> {
    let lambda = node.ancestors().find(|above| above.kind() == NodeKind::Lambda)?;
    let param = ast::Lambda::cast(lambda)?.param()?.node();
    let is_inner = lambda
        .ancestors()
        .any(|above| matches!(above.kind(), NodeKind::Binding | NodeKind::Apply | NodeKind::List));
    is_inner.then_some(param)
}

fn check_overlay(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(path) = node.child(1).filter(|path| path.kind() == NodeKind::Select) else { return };
    let is_import = node.child(0).is_some_and(|function| is_global(context, function, "import"));
    if !is_import || spelled(path) != Some("path") {
        return;
    }
    let Some(base) = path.child(0).filter(|base| is_overlay_name(base.text())) else { return };
    let Some(binding) = binding_of(context, base).map(|id| context.ir.binding(id)) else { return };
    if binding.kind == BindingKind::Param {
        let message = "this overlay evaluates a second package set";
        report.add(
            Finding::at(node.range(), message)
                .label(context.node(binding.name).range(), "beside this one"),
        );
    }
}

fn is_overlay_name(name: &str) -> bool {
    matches!(name, "final" | "prev" | "self" | "super")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn the_same_set_twice_is_found() {
        let twice = "{ a = import <nixpkgs> { }; b = import <nixpkgs> {}; }";
        assert_eq!(marked("PERF002", twice), "import <nixpkgs> {}");
        let flake = "{ inputs }: [ (import inputs.nixpkgs { system = 1; }) (import inputs.nixpkgs \
                     { system = /* b */ 1; }) ]";
        assert!(found("PERF002", flake).contains("was put together before"));
    }

    #[test]
    fn different_sets_are_different() {
        let text = "{ a = import <nixpkgs> { }; b = import <nixpkgs> { system = 1; }; }";
        assert_eq!(marked("PERF002", text), "");
        let systems = "{ nixpkgs, f }: { a = f (s: import nixpkgs { inherit s; }); b = f (s: import nixpkgs { inherit s; }); }";
        assert_eq!(marked("PERF002", systems), "", "each `s` is another one");
        let same =
            "{ nixpkgs, s }: [ (import nixpkgs { inherit s; }) (import nixpkgs { inherit s; }) ]";
        assert_eq!(marked("PERF002", same), "import nixpkgs { inherit s; }");
        assert_eq!(marked("PERF002", "[ (import <nixpkgs/lib>) (import <nixpkgs/lib>) ]"), "");
        assert_eq!(marked("PERF002", "x: y: [ (import x { }) (import y { }) ]"), "");
        let own = "import: [ (import <nixpkgs> { }) (import <nixpkgs> { }) ]";
        assert_eq!(marked("PERF002", own), "");
    }

    #[test]
    fn functions_that_put_a_set_together() {
        let each = "{ nixpkgs }: { a = map (s: import nixpkgs { system = s; }) [ 1 2 ]; }";
        assert_eq!(marked("PERF003", each), "import nixpkgs { system = s; }");
        assert_eq!(marked("PERF003", "nixpkgs: import nixpkgs { }"), "");
        assert_eq!(marked("PERF003", "{ a = { nixpkgs }: import nixpkgs { }; }"), "");
    }

    #[test]
    fn overlays_that_import_their_own_path() {
        assert_eq!(
            marked("PERF023", "self: super: import super.path { }"),
            "import super.path { }"
        );
        assert_eq!(marked("PERF023", "{ pkgs }: import pkgs.path { }"), "");
        assert_eq!(marked("PERF023", "{ self }: import self.path { }"), "");
        assert_eq!(marked("PERF023", "final: prev: import prev.src { }"), "");
    }

    #[test]
    fn what_nothing_reads_is_put_together_never() {
        let twice = "import nixpkgs { }";
        let read = format!("{{ nixpkgs }}: let a = {twice}; in [ a ({twice}) ]");
        assert_eq!(marked("PERF002", &read), twice);
        let unread = format!("{{ nixpkgs }}: let a = {twice}; in [ ({twice}) ]");
        assert_eq!(marked("PERF002", &unread), "");
    }
}
