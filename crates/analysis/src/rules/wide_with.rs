//! PERF016, PERF017 and STY032: a `with` whose names are hard to trace.

use std::collections::HashSet;

use cim_nix_base::{Applicability, Code, Severity, TextEdit, TextRange};
use cim_nix_semantics::WithId;
use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::{Fix, spelled, with_fix};
use crate::context::Context;
use crate::layout;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const PACKAGES: Rule = Rule {
    code: Code("PERF016"),
    name: "wide-with-pkgs",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::File(check_packages),
    words: &["with"],
    doc: "\
Flags `with pkgs;` around a whole file or around more than fifty lines.

## Why it matters

Each name that is not bound is looked up in a set of many thousands, and neither readers nor tools
can tell which names come from it: a slip of the pen becomes a package. Projects disagree on that,
so the rule is opt-in.

## Example

```nix
{ pkgs }:
with pkgs;
{
  tools = hello;
}
```

## Better

```nix
{ pkgs }:
{
  tools = pkgs.hello;
}
```

## When the fix is unsafe

Always, although it keeps the meaning where it is offered: it changes each place where a name of the
set is used. It is not offered where names are inherited, or where `pkgs` means something else.

## Source

The page \"Best practices\" of nix.dev.
",
};

pub(crate) const NESTED: Rule = Rule {
    code: Code("PERF017"),
    name: "nested-with",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check_nested),
    words: &["with"],
    doc: "\
Flags a `with` inside another, where both supply names.

## Why it matters

A name may come from either set, and which one it is changes with the contents of the inner one:
names of the inner set hide those of the outer one. Each look-up asks both. `with pkgs; with lib;`
is common, so the rule is opt-in.

## Example

```nix
{ pkgs, lib }: with pkgs; with lib; [ hello toUpper ]
```

## Better

```nix
{ pkgs, lib }: with pkgs; [ hello lib.toUpper ]
```

## Source

The page \"Best practices\" of nix.dev.
",
};

pub(crate) const LIBRARY: Rule = Rule {
    code: Code("STY032"),
    name: "with-lib",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::File(check_library),
    words: &["with"],
    doc: "\
Flags `with lib;` around a whole file.

## Why it matters

Neither readers nor tools can tell which names come from `lib`. Nixpkgs moves away from it file by
file; many projects keep it, so the rule is opt-in.

## Example

```nix
{ lib, config, ... }:

with lib;

{
  options.port = mkOption { type = types.port; };
}
```

## Better

```nix
{ lib, config, ... }:

{
  options.port = lib.mkOption { type = lib.types.port; };
}
```

## When the fix is unsafe

Always, although it keeps the meaning where it is offered: it changes each place where a name of the
library is used. It is not offered where names are inherited, or where `lib` means something else.

## Source

NixOS/nixpkgs issue 208242 and pull request 331085.
",
};

/// A `with` over more lines than this is wide.
const MAX_LINES: usize = 50;

fn check_packages(context: &Context<'_>, report: &mut Report) {
    for (id, with) in withs(context) {
        let Some(namespace) = with.namespace().filter(|set| ends_in(*set, "pkgs")) else {
            continue;
        };
        let is_wide = || with.node().text().bytes().filter(|b| *b == b'\n').count() > MAX_LINES;
        if is_around_file(with.node()) || is_wide() {
            let found = Finding::at(head(with, namespace), "this `with` reaches far");
            let fix = spelled_out(context, id, with);
            report.add(with_fix(found, Applicability::Unsafe, "name the set at each use", fix));
        }
    }
}

fn check_library(context: &Context<'_>, report: &mut Report) {
    for (id, with) in withs(context) {
        let Some(namespace) = with.namespace().filter(|set| ends_in(*set, "lib")) else { continue };
        if is_around_file(with.node()) {
            let found = Finding::at(head(with, namespace), "this `with` is around the whole file");
            let fix = spelled_out(context, id, with);
            report.add(with_fix(found, Applicability::Unsafe, "name the set at each use", fix));
        }
    }
}

fn check_nested(context: &Context<'_>, report: &mut Report) {
    for (id, with) in withs(context) {
        let Some(outer) = context.ir.with(id).outer else { continue };
        if !context.is_with_used(id) || !context.is_with_used(outer) {
            continue;
        }
        let outer = ast::With::cast(context.node(context.ir.with(outer).node));
        let (Some(namespace), Some(outer)) = (with.namespace(), outer) else { continue };
        let Some(around) = outer.namespace() else { continue };
        report.add(
            Finding::at(head(with, namespace), "this `with` lies inside another")
                .label(head(outer, around), "this one"),
        );
    }
}

fn withs<'a>(context: &Context<'a>) -> impl Iterator<Item = (WithId, ast::With<'a>)> {
    (0..context.ir.withs.len() as u32).filter_map(|at| {
        let node = context.node(context.ir.with(WithId(at)).node);
        Some((WithId(at), ast::With::cast(node)?))
    })
}

fn ends_in(namespace: Node<'_>, name: &str) -> bool {
    spelled(namespace) == Some(name)
}

fn head(with: ast::With<'_>, namespace: Node<'_>) -> TextRange {
    TextRange::new(with.node().range().start, namespace.range().end)
}

/// Whether nothing but functions and `let`s stands around `node`.
fn is_around_file(node: Node<'_>) -> bool {
    use NodeKind as K;
    node.ancestors().all(|above| {
        matches!(above.kind(), K::Root | K::Lambda | K::LetIn | K::Paren | K::With | K::Assert)
    })
}

/// Names the set at each use of one of its names, and takes the `with` away.
fn spelled_out(context: &Context<'_>, id: WithId, with: ast::With<'_>) -> Option<Fix> {
    let ir = context.ir;
    let (namespace, body) = (with.namespace()?, with.body()?);
    if namespace.kind() != NodeKind::Ident || ir.with(id).outer.is_some() {
        return None;
    }
    let is_outermost = |with: &WithId| ir.with(*with).outer == Some(id);
    if (0..ir.withs.len() as u32).map(WithId).any(|with| is_outermost(&with)) {
        return None;
    }
    // The name must mean the same at each use: only one binding of the file may have it.
    let name = namespace.text();
    let namesakes = ir.bindings.iter().filter(|binding| ir.symbol(binding.symbol) == name);
    if namesakes.count() > 1 {
        return None;
    }
    let mut uses = HashSet::new();
    for (variable, symbol, innermost) in ir.free_variables() {
        if innermost != Some(id) || context.is_global(ir.symbol(symbol)) {
            continue;
        }
        let node = context.node(ir.node(variable));
        if node.kind() != NodeKind::Ident || is_selected_with_or(node) {
            return None;
        }
        uses.insert(node.id());
    }
    let (mut edits, rewrite) = layout::unwrapped(with.node(), body, body.range().start);
    let mut rewrites = vec![rewrite];
    for node in uses.into_iter().map(|id| context.node(id)) {
        // The set of a selection takes one name more: its path grows.
        if let Some(select) =
            node.parent().filter(|p| p.kind() == NodeKind::Select && p.child(0) == Some(node))
        {
            let text = format!("{name}.{}", select.text());
            rewrites.push(Rewrite::Substitute { node: select.id(), text });
        } else {
            let text = format!("{name}.{}", node.text());
            rewrites.push(Rewrite::Substitute { node: node.id(), text });
        }
        edits.push(TextEdit::insert(node.range().start, format!("{name}.")));
    }
    edits.sort_by_key(|edit| edit.range.start);
    Some((edits, rewrites))
}

/// Whether a variable is selected from in a way that holds further code, which a fix would have to
/// write anew.
fn is_selected_with_or(node: Node<'_>) -> bool {
    let select = node.parent().filter(|p| p.kind() == NodeKind::Select && p.child(0) == Some(node));
    select.is_some_and(|select| {
        let is_plain = select
            .child(1)
            .is_some_and(|path| path.children().all(|element| element.kind() == NodeKind::Name));
        !is_plain || select.child(2).is_some()
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    #[test]
    fn withs_that_reach_far() {
        assert_eq!(marked("PERF016", "{ pkgs }: with pkgs; [ hello ]"), "with pkgs");
        assert_eq!(marked("PERF016", "{ pkgs }: with\n  pkgs; [ hello ]"), "with\n  pkgs");
        assert_eq!(marked("PERF016", "{ pkgs }: { a = with pkgs; [ hello ]; }"), "");
        let long = format!("{{ pkgs }}: {{ a = with pkgs; [{}]; }}", " hello\n".repeat(60));
        assert_eq!(marked("PERF016", &long), "with pkgs");
        assert_eq!(marked("STY032", "{ lib }: let a = 1; in with lib; id a"), "with lib");
        assert_eq!(marked("STY032", "{ lib }: with\n  lib; id a"), "with\n  lib");
        assert_eq!(marked("STY032", "{ lib }: { a = with lib; id 1; }"), "");
    }

    #[test]
    fn withs_inside_each_other() {
        assert_eq!(marked("PERF017", "a: b: with a; with b; c"), "with b");
        assert_eq!(marked("PERF017", "a: b: with(a); with(b); c"), "with(b)");
        assert_eq!(marked("PERF017", "a: b: [ (with a; c) (with b; d) ]"), "");
        assert_eq!(marked("PERF017", "a: b: with a; [ c (with b; 1) ]"), "");
    }

    #[test]
    fn the_set_is_named_at_each_use() {
        let fixed = |text: &str| fixed_unsafely("STY032", text);
        assert_eq!(
            fixed("{ lib }: with lib; { a = mkIf true (map id [ ]); b = types.int; c = x: x; }"),
            "{ lib }: { a = lib.mkIf true (map lib.id [ ]); b = lib.types.int; c = x: x; }"
        );
        for text in [
            "{ lib }: with lib; { inherit id; }",
            "{ lib }: with lib; lib: id",
            "{ lib }: with lib; { a = with lib; id; }",
            "{ lib }: with lib; a.b or c",
        ] {
            assert_eq!(fixed(text), text);
        }
    }
}
