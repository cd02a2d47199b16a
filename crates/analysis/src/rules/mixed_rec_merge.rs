//! COR012: sets are merged of which only one is recursive.

use std::collections::{HashMap, HashSet};

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::{Expr, Merge, ScopeId, Symbol, Target};
use cim_nix_syntax::{Node, NodeId, NodeKind, ast};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR012"),
    name: "mixed-rec-merge",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags two definitions of one attribute set of which only one says `rec`, where a name resolves
otherwise than its part alone says.

## Why it matters

Nix merges them, and the first one alone decides: behind a plain set, a later `rec` is ignored;
behind a recursive one, the names in later parts resolve inside the set, too.

## Example

```nix
let c = 1; in { a.b = 1; a = rec { c = 2; d = c; }; }
```

## Better

```nix
{ a = rec { b = 1; c = 2; d = c; }; }
```

## Source

NixOS/nix issue 9020.
",
};

/// How many variables of a file are looked at, since parts may lie in parts.
const MAX_LOOKS: usize = 1 << 20;

fn check(context: &Context<'_>, report: &mut Report) {
    if context.ir.merges.is_empty() {
        return;
    }
    let mut names = Names::of(context);
    for merge in &context.ir.merges {
        let Some(name) = names.misread(context, merge) else { continue };
        let name = context.ir.symbol(name);
        let (first, second) = (context.node(merge.first), context.node(merge.second));
        let message = if merge.first_is_rec {
            format!("this part is merged into a recursive set, where `{name}` is another one")
        } else {
            format!(
                "this `rec` is ignored, since the first part has none: `{name}` comes from outside"
            )
        };
        report.add(Finding::at(second.range(), message).label(first.range(), "the first part"));
    }
}

/// A name that is used.
struct Variable {
    node: NodeId,
    symbol: Symbol,
    /// The scope that it is found in, if this file has it.
    scope: Option<ScopeId>,
}

struct Names {
    /// In the order of the text.
    variables: Vec<Variable>,
    /// The scopes of recursive sets by their nodes.
    scopes: HashMap<NodeId, ScopeId>,
    looks_left: usize,
}

impl Names {
    fn of(context: &Context<'_>) -> Self {
        let ir = context.ir;
        let variable = |(expr, node): (&Expr, &NodeId)| match *expr {
            Expr::Var { symbol, target } => {
                let scope = match target {
                    Target::Local(binding) => Some(ir.binding(binding).scope),
                    Target::Free(_) => None,
                };
                Some(Variable { node: *node, symbol, scope })
            }
            _ => None,
        };
        let mut variables: Vec<_> = ir.exprs.iter().zip(&ir.nodes).filter_map(variable).collect();
        variables.sort_unstable_by_key(|variable| variable.node);
        let scopes = ir.sets.iter().filter_map(|set| Some((set.node, set.scope?))).collect();
        Self { variables, scopes, looks_left: MAX_LOOKS }
    }

    /// The first name in the second part that does not mean what this part alone says.
    fn misread(&mut self, context: &Context<'_>, merge: &Merge) -> Option<Symbol> {
        let second = context.node(merge.second);
        let part = whole_part(second);
        let (start, end) = (part.id(), part.subtree_end());
        let from = self.variables.partition_point(|variable| variable.node < start);
        let inside = self.variables[from..].iter().take_while(|variable| variable.node.0 < end);
        let inside = inside.take(self.looks_left).inspect(|_| self.looks_left -= 1);
        let mut inside = inside;
        if merge.first_is_rec {
            let scope = *self.scopes.get(&merge.first)?;
            return inside.find(|found| found.scope == Some(scope)).map(|found| found.symbol);
        }
        let own = own_names(second);
        let is_inside = |scope: ScopeId| {
            let node = context.ir.scopes[scope.index()].node;
            start <= node && node.0 < end
        };
        let is_misread = |found: &&Variable| {
            own.contains(context.ir.symbol(found.symbol)) && !found.scope.is_some_and(is_inside)
        };
        inside.find(is_misread).map(|found| found.symbol)
    }
}

/// The binding whose dotted name `part` is, or the set that it is itself.
fn whole_part(part: Node<'_>) -> Node<'_> {
    let is_set = part.kind() == NodeKind::AttrSet;
    let binding = part.ancestors().find(|above| above.kind() == NodeKind::Binding);
    binding.filter(|_| !is_set).unwrap_or(part)
}

/// The names that a set would give to its own values if it were recursive.
fn own_names(set: Node<'_>) -> HashSet<String> {
    let mut names = HashSet::new();
    for entry in set.children() {
        let path = entry.child(0).and_then(ast::AttrPath::cast);
        let first = path.and_then(|path| path.elements().next());
        names.extend(first.and_then(ast::Attr::name).map(|name| name.to_string()));
        if let Some(inherit) = ast::Inherit::cast(entry) {
            names.extend(inherit.names().filter_map(ast::Attr::name).map(|name| name.to_string()));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn names_that_a_merge_leads_astray_are_found() {
        assert_eq!(marked("COR012", "b: { a = rec { b = 1; }; a.c = b; }"), "a");
        assert_eq!(marked("COR012", "b: { a = rec { b = 1; }; a = { c = b; }; }"), "{ c = b; }");
        assert_eq!(
            marked("COR012", "b: { a.c = 1; a = rec { b = 1; d = b; }; }"),
            "rec { b = 1; d = b; }"
        );
        assert_eq!(
            marked("COR012", "{ a.c = 1; a = rec { inherit (x) b; d = b; }; }"),
            "rec { inherit (x) b; d = b; }"
        );
        assert_eq!(marked("COR012", "b: { a = rec { b = 1; }; a.${b} = 2; }"), "a");
    }

    #[test]
    fn parts_that_mean_the_same_alone_are_left_alone() {
        assert_eq!(marked("COR012", "d: { a = rec { b = 1; c = b; }; a.e = d; }"), "");
        assert_eq!(marked("COR012", "{ a = rec { b = 1; }; a.c = let b = 2; in b; }"), "");
        assert_eq!(marked("COR012", "{ a = rec { b = 1; }; a.c = x.b; }"), "");
        assert_eq!(marked("COR012", "d: { a.b = 1; a = rec { c = d; }; }"), "");
        assert_eq!(marked("COR012", "{ a.b = 1; a = rec { c = x: x; x = 1; }; }"), "");
        assert_eq!(marked("COR012", "b: { a.b = 1; a.c = b; }"), "");
    }
}
