//! DEAD012: an input that the outputs of a flake never use.

use std::collections::HashSet;

use cim_nix_base::{Applicability, Code, Severity, TextRange};
use cim_nix_flake::{FlakeFile, Outputs};
use cim_nix_semantics::{BindingId, BindingKind};
use cim_nix_syntax::ast::{self, Attr, Inherit, Lambda};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use super::callers::bare_top;
use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::layout;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD012"),
    name: "unused-input",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input of a flake that its outputs never use.

A flake with empty outputs is there for its lock file, which other files read; an input that only
follows another one costs nothing. Both are left alone.

Silent where all inputs are passed on as a whole (`inherit inputs;`, `specialArgs = { inherit self; }`,
`@inputs` as an argument), for inputs that others follow, and for `flake-compat`, which other files
read from the lock file.

## Why it matters

Whoever uses the flake fetches the input, and trusts it, for nothing.

## Example

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  inputs.flake-utils.url = \"github:numtide/flake-utils\";
  outputs = { self, nixpkgs, flake-utils }: {
    packages.x86_64-linux.default = nixpkgs.legacyPackages.x86_64-linux.hello;
  };
}
```

## Better

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-24.05\";
  outputs = { self, nixpkgs }: {
    packages.x86_64-linux.default = nixpkgs.legacyPackages.x86_64-linux.hello;
  };
}
```

## When the fix is unsafe

Other flakes may follow the input, and other files may read it from the lock file. The lock file is
written anew.

## Source

Inputs of flakes are described in the manual of Nix under `nix flake`.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    for name in names(context, facts.file) {
        report.add(finding(context, facts.file, &name));
    }
}

/// The inputs that are never used; those that are only parameters are among them.
pub(super) fn names(context: &Context<'_>, file: &FlakeFile) -> Vec<String> {
    let Some(outputs) = &file.outputs else { return Vec::new() };
    let Some(used) = Used::of(context, outputs) else { return Vec::new() };
    let followed: HashSet<String> = file
        .inputs
        .iter()
        .flat_map(|input| input.all())
        .filter_map(|(_, input)| input.follows.as_ref()?.value.first().cloned())
        .collect();
    let is_unused = |name: &String| {
        !used.names.contains(name) && !followed.contains(name) && name != "flake-compat"
    };
    // What only follows is fetched by nobody.
    let inputs = file.inputs.iter().filter(|input| input.follows.is_none());
    inputs.map(|input| input.name.clone()).filter(is_unused).collect()
}

/// What outputs use of their inputs.
#[derive(Default)]
struct Used {
    names: HashSet<String>,
}

impl Used {
    /// `None` where that cannot be told: inputs are passed on as a whole.
    fn of(context: &Context<'_>, outputs: &Outputs) -> Option<Self> {
        let lambda = outputs.lambda?;
        let body = Lambda::cast(context.node(lambda)).and_then(Lambda::body);
        // A flake that has nothing but inputs is there for its lock file.
        if body.is_some_and(|body| body.kind() == NodeKind::AttrSet && body.is_leaf()) {
            return None;
        }
        let lambda = context.ir.lambdas.iter().find(|other| other.node == lambda)?;
        let mut used = Self::default();
        used.formals(context, lambda)?;
        if lambda.has_name
            && let Some(all) = context.ir.scope_bindings(lambda.scope).next()
            && matches!(context.ir.binding(all).kind, BindingKind::At | BindingKind::Param)
        {
            for node in uses(context, all) {
                used.whole(node)?;
            }
        }
        Some(used)
    }

    fn formals(&mut self, context: &Context<'_>, lambda: &cim_nix_semantics::Lambda) -> Option<()> {
        for formal in &context.ir.formals[lambda.formals.range()] {
            let name = context.name(formal.binding);
            if name == "self" {
                for node in uses(context, formal.binding) {
                    self.own(node)?;
                }
            } else if !context.uses().of(formal.binding).is_empty() {
                self.names.insert(name.to_owned());
            }
        }
        Some(())
    }

    /// Notes what is used by `node`, which stands for all inputs.
    fn whole(&mut self, node: Node<'_>) -> Option<()> {
        let around = node.parent()?;
        let path = match around.kind() {
            NodeKind::Select | NodeKind::HasAttr if around.child(0) == Some(node) => {
                path_of(around)
            }
            NodeKind::InheritFrom => {
                let names = Inherit::cast(around.parent()?)?.names().map(Attr::name);
                for name in names {
                    let name = name?;
                    if name == "self" {
                        return None;
                    }
                    self.names.insert(name.into_owned());
                }
                return Some(());
            }
            _ => return None,
        };
        let first = path.first()?.clone()?;
        if first == "self" {
            return self.own_path(bare_top(around), &path[1..]);
        }
        self.names.insert(first);
        Some(())
    }

    /// Notes what is used by `node`, which stands for the flake itself: it has all inputs, too.
    fn own(&mut self, node: Node<'_>) -> Option<()> {
        let around = node.parent()?;
        match around.kind() {
            NodeKind::Select | NodeKind::HasAttr if around.child(0) == Some(node) => {
                self.own_path(bare_top(around), &path_of(around))
            }
            NodeKind::InheritFrom => {
                let mut names = Inherit::cast(around.parent()?)?.names();
                let is_harmless =
                    names.all(|name| name.name().is_some_and(|name| name != "inputs"));
                is_harmless.then_some(())
            }
            _ => self.own_path(node, &[]),
        }
    }

    /// The same with what is selected from it; `node` is the selection.
    fn own_path(&mut self, node: Node<'_>, path: &[Option<String>]) -> Option<()> {
        let around = node.parent()?;
        match path {
            [] => stays_folder(around).then_some(()),
            [first, rest @ ..] => match (first.as_deref()?, rest) {
                ("inputs", [name, ..]) => {
                    self.names.insert(name.clone()?);
                    Some(())
                }
                ("inputs", []) => self.whole(node),
                _ => Some(()),
            },
        }
    }
}

/// Whether the flake itself means its folder in `around`: as a part of a string or path, or when it
/// is compared. `self // { }` has all of its attributes.
fn stays_folder(around: Node<'_>) -> bool {
    let operator = ast::Binary::cast(around).map(ast::Binary::operator);
    around.kind() == NodeKind::Interpol
        || matches!(operator, Some(TokenKind::Add | TokenKind::Equal | TokenKind::NotEqual))
}

/// The places that use a binding, with the parentheses around them.
fn uses<'a>(context: &Context<'a>, binding: BindingId) -> Vec<Node<'a>> {
    let uses = context.uses().of(binding).iter();
    uses.map(|&variable| bare_top(context.node(context.ir.node(variable)))).collect()
}

/// The names that a selection goes through; nothing for computed ones.
fn path_of(select: Node<'_>) -> Vec<Option<String>> {
    let path = select.child(1).and_then(ast::AttrPath::cast);
    let names = path.into_iter().flat_map(ast::AttrPath::elements);
    names.map(|attr| attr.name().map(std::borrow::Cow::into_owned)).collect()
}

fn finding(context: &Context<'_>, file: &FlakeFile, name: &str) -> Finding {
    let range = file.place(context.tree, name);
    let finding = Finding::at(range, format!("the input `{name}` is never used"));
    let Some(input) = file.input(name).filter(|_| file.faults.is_empty()) else { return finding };
    let entries: Vec<Node<'_>> = input.entries.iter().map(|entry| context.node(*entry)).collect();
    if entries.iter().any(|entry| entry.kind() != NodeKind::Binding) {
        return finding;
    }
    let mut ranges: Vec<TextRange> = entries.iter().map(|entry| layout::removal(*entry)).collect();
    let mut rewrites: Vec<Rewrite> =
        entries.iter().map(|entry| Rewrite::Remove(entry.id())).collect();
    let formals = file.outputs.iter().flat_map(|outputs| &outputs.formals);
    for formal in formals.filter(|formal| formal.name == name) {
        ranges.extend(layout::formal_removal(context.node(formal.node)));
        rewrites.push(Rewrite::Remove(formal.node));
    }
    let edits = layout::deletions(context.tree, ranges);
    finding.fix(Applicability::Unsafe, format!("remove the input `{name}`"), edits, rewrites)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_flake, flake_found};

    fn unused(inputs: &str, outputs: &str) -> String {
        let text = format!("{{ inputs = {{ {inputs} }}; outputs = {outputs}; }}");
        let found = flake_found("DEAD012", &text, "");
        found.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>().join(" ")
    }

    const AB: &str = "a.url = \"github:o/a\"; b.url = \"github:o/b\";";

    #[test]
    fn uses_are_seen_in_all_their_forms() {
        for (outputs, want) in [
            ("{ self, a, b }: { x = a; }", "b"),
            ("{ self, a, ... }: { x = a; }", "b"),
            ("{ self, ... }: { x = 1; }", "a b"),
            ("_: { }", ""),
            ("inputs: { x = inputs.a; }", "b"),
            ("{ self, ... }@inputs: { x = inputs.a.y; z = inputs ? b; }", ""),
            ("{ self, ... }@inputs: { inherit (inputs) b; }", "a"),
            ("{ self, a, ... }@inputs: { x = { inherit inputs; }; }", ""),
            ("inputs: import ./o.nix inputs", ""),
            ("inputs: with inputs; { x = a; }", ""),
            ("inputs: { x = inputs.${\"a\"}; y = x: inputs.${x}; }", ""),
            ("{ self, ... }: { x = self.inputs.a; }", "b"),
            ("{ self, ... }: { x = self.inputs; }", ""),
            ("{ self, ... }: { x = { inherit self; }; }", ""),
            ("{ self, ... }: { x = \"${self}/y\"; z = self + \"/w\"; v = self.lib.x; }", "a b"),
            ("{ self, ... }: { x = self != null; }", "a b"),
            ("{ self, ... }: { x = f (self // { y = 1; }); f = x: x; }", ""),
            ("{ self, ... }: { x = { y = 1; } // self; }", ""),
            ("inputs: { x = inputs.self // { }; }", ""),
            ("inputs: { x = inputs.self.packages; y = inputs.self.inputs.b; }", "a"),
            ("inputs: { x = f inputs.self; f = x: x; }", ""),
            ("import ./o.nix", ""),
        ] {
            assert_eq!(unused(AB, outputs), want, "{outputs}");
        }
    }

    #[test]
    fn what_others_follow_is_used() {
        let inputs = format!("{AB} a.inputs.b.follows = \"b\";");
        assert_eq!(unused(&inputs, "{ self, a, ... }: { x = a; }"), "");
        assert_eq!(unused("a.follows = \"b/a\"; b.url = \"x\";", "{ b, ... }: { x = b; }"), "");
        assert_eq!(unused("flake-compat.url = \"x\";", "{ self, ... }: { }"), "");
    }

    #[test]
    fn the_input_goes_with_its_parameter() {
        let text = "{\n  inputs.a.url = \"github:o/a\";\n  # b is fine\n  inputs.b = {\n    url = \"github:o/b\";\n  };\n  inputs.b.flake = false;\n  outputs = { self, a, b }: { x = a; };\n}\n";
        assert_eq!(
            fixed_flake("DEAD012", text, ""),
            "{\n  inputs.a.url = \"github:o/a\";\n  outputs = { self, a }: { x = a; };\n}\n"
        );
    }
}
