//! DEAD002: a parameter that nothing uses, in a pattern with `...`.

use std::cell::LazyCell;

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_flake::FlakeFile;
use cim_nix_semantics::{BindingId, Lambda};

use super::callers::{self, ListedNames};
use super::reachability::Reach;
use super::unused_input;
use crate::context::Context;
use crate::layout;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD002"),
    name: "unused-formal",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a parameter in a pattern with `...` that the function never uses.

A function that passes its whole argument on through an `@` name uses all of its parameters. A file
that asks for `functionArgs` may mean any function in it that goes elsewhere: those are left alone.

## Why it matters

The pattern says what a function needs. A name in it that is not needed makes callers supply it, and
makes the reader look for its use.

## Example

```nix
packages: map ({ name, version, ... }: name) packages
```

```nix
{ config, lib, pkgs, ... }:
{
  services.openssh.enable = config.services.xserver.enable;
}
```

## Better

```nix
packages: map ({ name, ... }: name) packages
```

```nix
{ config, ... }:
{
  services.openssh.enable = config.services.xserver.enable;
}
```

## When the fix is unsafe

Callers need not change, since `...` accepts what they pass. But the names in a pattern can be seen
from outside: `builtins.functionArgs` lists them, `callPackage` passes what is listed, and a function
given to `override` sees what was passed. So the fix is safe only for modules and for functions that
are called in the same file and go nowhere else. It needs a look for all others, where the pattern
has an `@` name that is used, and for the `outputs` of a flake, whose parameters are its inputs.

## Source

Also found by deadnix and nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    check_patterns(context, report, true);
}

/// Reports the unused parameters of all patterns with or without `...`.
pub(super) fn check_patterns(context: &Context<'_>, report: &mut Report, is_open: bool) {
    let reach = LazyCell::new(|| Reach::of(context));
    let asks_for_names = LazyCell::new(|| context.ir.find_symbol("functionArgs").is_some());
    for lambda in context.ir.lambdas.iter().filter(|lambda| lambda.has_ellipsis == is_open) {
        let formals = &context.ir.formals[lambda.formals.range()];
        let names = formals.iter().map(|formal| formal.binding);
        let unused: Vec<BindingId> = names.filter(|id| !context.live().is_live(*id)).collect();
        if unused.is_empty() {
            continue;
        }
        let ListedNames::Some(read) = callers::listed_names(context, lambda) else { continue };
        let applicability = applicability(context, lambda);
        if applicability == Applicability::Unsafe && *asks_for_names {
            continue;
        }
        let inputs = unused_inputs(context, lambda);
        let is_told = |name: &str| {
            read.iter().any(|read| read == name) || inputs.iter().any(|input| input == name)
        };
        for id in unused.into_iter().filter(|&id| !is_told(context.name(id))) {
            if is_never_used(context, id) {
                report.add(never_used(context, id, applicability));
            } else if !reach.is_live(id) {
                let name = context.name(id);
                let message = format!("the parameter `{name}` is used only by code that is unused");
                report.add(Finding::at(context.name_range(id), message));
            }
        }
    }
}

/// The parameters of a flake's outputs that are inputs which nothing uses: told as such.
fn unused_inputs(context: &Context<'_>, lambda: &Lambda) -> Vec<String> {
    let is_outputs = |file: &FlakeFile| {
        file.outputs.as_ref().is_some_and(|outputs| outputs.lambda == Some(lambda.node))
    };
    let file = context.flake().filter(|file| is_outputs(file));
    file.map(|file| unused_input::names(context, file)).unwrap_or_default()
}

/// Whether nothing refers to a parameter, save for its own default.
fn is_never_used(context: &Context<'_>, id: BindingId) -> bool {
    let formal = context.node(context.ir.binding(id).name);
    let mut uses = context.uses().of(id).iter();
    uses.all(|&variable| formal.contains(context.node(context.ir.node(variable))))
}

fn never_used(context: &Context<'_>, id: BindingId, applicability: Applicability) -> Finding {
    let name = context.name(id);
    let formal = context.node(context.ir.binding(id).name);
    let edits = layout::deletions(context.tree, layout::formal_removal(formal));
    Finding::at(context.name_range(id), format!("the parameter `{name}` is never used")).fix(
        applicability,
        format!("remove the parameter `{name}`"),
        edits,
        vec![Rewrite::Remove(formal.id())],
    )
}

/// Whether the names in a pattern can be changed without anybody noticing.
fn applicability(context: &Context<'_>, lambda: &Lambda) -> Applicability {
    let is_named = callers::at_binding(context, lambda)
        .is_some_and(|name| !context.uses().of(name).is_empty());
    let is_open = lambda.has_ellipsis && !is_named;
    let is_hidden = is_open
        && !callers::is_flake_outputs(context.node(lambda.node))
        && callers::is_unobserved(context, lambda);
    if is_hidden { Applicability::Safe } else { Applicability::Unsafe }
}

#[cfg(test)]
mod tests;
