//! DEAD001: a `let` binding that nothing uses.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::{BindingId, BindingKind, ScopeKind};
use cim_nix_syntax::ast::{self, Entry};
use cim_nix_syntax::{Node, NodeId, NodeKind};

use super::reachability::{Reach, is_legacy_let};
use crate::context::Context;
use crate::layout;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD001"),
    name: "unused-binding",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    doc: "\
Flags a `let` binding that the code never reaches through its name.

Bindings that only refer to each other, or only to themselves, count as unused. Names that an
`inherit` brings are the business of `unused-inherit`. A binding to a call of `throw` or `abort` is
left alone: it keeps a name of the surroundings from being used by mistake.

## Why it matters

The reader looks for a use that is not there, and what the binding refers to seems needed.

## Example

```nix
let
  unused = 1;
  used = 2;
in
used
```

## Better

```nix
let
  used = 2;
in
used
```

## When the fix is unsafe

Never: Nix does not evaluate what nothing refers to. Comments directly above the binding go with it.

## Source

Also found by deadnix and nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    check_lets(context, report, &[BindingKind::Let, BindingKind::Rec]);
}

/// Reports the unused names of all `let`s that came to be in one of the ways of `kinds`.
pub(super) fn check_lets(context: &Context<'_>, report: &mut Report, kinds: &[BindingKind]) {
    let dead = LazyCell::new(|| DeadNames::of(context));
    for set in &context.ir.sets {
        let Some(scope) = set.scope else { continue };
        let is_let = context.ir.scopes[scope.index()].kind == ScopeKind::Let;
        if !is_let && !is_legacy_let(context, scope) {
            continue;
        }
        for id in context.ir.scope_bindings(scope) {
            if !kinds.contains(&context.ir.binding(id).kind)
                || (is_let && context.live().is_live(id))
            {
                continue;
            }
            if is_entry(context, id) || is_guard(context, id) {
                continue;
            }
            if context.uses().of(id).is_empty() {
                report.add(never_used(context, id));
            } else if !dead.reach.is_live(id) {
                report.add(used_in_vain(context, &dead, id));
            }
        }
    }
}

/// Whether evaluation knows a name of the old `let { … }`.
fn is_entry(context: &Context<'_>, id: BindingId) -> bool {
    let is_known = matches!(context.name(id), "body" | "__overrides");
    is_known && is_legacy_let(context, context.ir.binding(id).scope)
}

/// Whether a binding fails when it is used, so that nobody uses an outer binding of its name.
pub(super) fn is_guard(context: &Context<'_>, id: BindingId) -> bool {
    let path = context.node(context.ir.binding(id).name).parent();
    let value = path.and_then(Node::next_sibling).and_then(ast::without_parens);
    let call = value.filter(|value| value.kind() == NodeKind::Apply);
    let function = call.and_then(|call| call.child(0)).map(Node::text);
    matches!(function, Some("throw" | "abort" | "builtins.throw" | "builtins.abort"))
}

fn never_used(context: &Context<'_>, id: BindingId) -> Finding {
    let found =
        Finding::at(context.name_range(id), format!("`{}` is never used", context.name(id)));
    with_removal(context, found, &[id])
}

fn used_in_vain(context: &Context<'_>, dead: &DeadNames<'_, '_>, id: BindingId) -> Finding {
    let name = context.name(id);
    let group = dead.group(id);
    let is_alone = group.as_ref().is_some_and(|group| group.len() == 1);
    let message = if is_alone {
        format!("`{name}` is used only by itself")
    } else {
        format!("`{name}` is used only by bindings that are unused")
    };
    let found = Finding::at(context.name_range(id), message);
    match group {
        Some(group) => with_removal(context, found, &group),
        None => found,
    }
}

/// Adds a fix that removes the names `ids` from their `let`s.
fn with_removal(context: &Context<'_>, found: Finding, ids: &[BindingId]) -> Finding {
    let mut gone: Vec<Node<'_>> = Vec::new();
    let mut inherited: BTreeMap<NodeId, Vec<Node<'_>>> = BTreeMap::new();
    for &id in ids {
        let name = context.node(context.ir.binding(id).name);
        match name.parent().filter(|parent| parent.kind() == NodeKind::Inherit) {
            Some(inherit) => inherited.entry(inherit.id()).or_default().push(name),
            None => gone.extend(bindings_of(context, id)),
        }
    }
    for (inherit, names) in inherited {
        let inherit = context.node(inherit);
        if names.len() == count_names(inherit) { gone.push(inherit) } else { gone.extend(names) }
    }
    let title = match ids {
        [id] => format!("remove `{}`", context.name(*id)),
        [first, ..] => format!("remove `{}` and what only refers to it", context.name(*first)),
        [] => return found,
    };
    let edits =
        layout::deletions(context.tree, gone.iter().map(|node| layout::removal(*node)).collect());
    let rewrites = gone.iter().map(|node| Rewrite::Remove(node.id())).collect();
    found.safe_fix(title, edits, rewrites)
}

fn count_names(inherit: Node<'_>) -> usize {
    inherit.children().filter(|child| child.kind() != NodeKind::InheritFrom).count()
}

/// The bindings that make up a name: several where its path is dotted.
fn bindings_of<'a>(context: &Context<'a>, id: BindingId) -> Vec<Node<'a>> {
    let binding = context.ir.binding(id);
    let mut above = context.node(binding.name).ancestors();
    let Some(first) = above.find(|node| node.kind() == NodeKind::Binding) else {
        return Vec::new();
    };
    let is_plain = context.node(binding.name).next_sibling().is_none();
    let is_single = is_plain && first.child(1).is_none_or(|value| !is_set(value));
    if is_single {
        return vec![first];
    }
    let scope = context.ir.scopes[binding.scope.index()];
    let entries = ast::entries(context.node(scope.node));
    let found = entries.filter_map(|entry| match entry {
        Entry::Binding(entry) => {
            let name = entry.attr_path()?.elements().next()?.name()?;
            (name == context.name(id)).then_some(entry.node())
        }
        Entry::Inherit(_) => None,
    });
    found.collect()
}

/// Whether other bindings of the same name could be merged with a value.
fn is_set(value: Node<'_>) -> bool {
    ast::without_parens(value).is_some_and(|value| value.kind() == NodeKind::AttrSet)
}

/// The unused names of all `let`s and what they are used by.
struct DeadNames<'c, 'a> {
    context: &'c Context<'a>,
    reach: Reach,
    /// For entries of `let`s that hold unused names only: which.
    entries: HashMap<NodeId, Vec<BindingId>>,
}

/// Groups are followed up to this many names, more than a person would remove in one go, and this
/// many uses of them.
const MAX_GROUP: usize = 64;
const MAX_USES: usize = 1024;

impl<'c, 'a> DeadNames<'c, 'a> {
    fn of(context: &'c Context<'a>) -> Self {
        let reach = Reach::of(context);
        let mut entries: HashMap<NodeId, Vec<BindingId>> = HashMap::new();
        for (at, binding) in context.ir.bindings.iter().enumerate() {
            let id = BindingId(at as u32);
            let scope = context.ir.scopes[binding.scope.index()];
            let is_let = scope.kind == ScopeKind::Let || is_legacy_let(context, binding.scope);
            if !is_let || reach.is_live(id) || is_entry(context, id) {
                continue;
            }
            let parent = context.node(binding.name).parent();
            match parent.filter(|parent| parent.kind() == NodeKind::Inherit) {
                Some(inherit) => entries.entry(inherit.id()).or_default().push(id),
                None => {
                    for node in bindings_of(context, id) {
                        entries.entry(node.id()).or_default().push(id);
                    }
                }
            }
        }
        Self { context, reach, entries }
    }

    /// The name and all unused ones that refer to it, directly or not; `None` if something else
    /// refers to one of them or they are too many.
    fn group(&self, id: BindingId) -> Option<Vec<BindingId>> {
        let mut group = vec![id];
        let (mut at, mut n_uses) = (0, 0);
        while let Some(&id) = group.get(at) {
            at += 1;
            let uses = self.context.uses().of(id);
            n_uses += uses.len();
            if n_uses > MAX_USES {
                return None;
            }
            for &variable in uses {
                for user in self.users(self.context.node(self.context.ir.node(variable)))? {
                    if !group.contains(user) {
                        group.push(*user);
                    }
                }
                if group.len() > MAX_GROUP {
                    return None;
                }
            }
        }
        Some(group)
    }

    /// The unused names that the code at `node` belongs to.
    fn users(&self, node: Node<'_>) -> Option<&[BindingId]> {
        let mut above = node.ancestors();
        let (entry, ids) = above.find_map(|node| Some((node, self.entries.get(&node.id())?)))?;
        if entry.kind() == NodeKind::Binding {
            return Some(ids);
        }
        if entry.child_of_kind(NodeKind::InheritFrom).is_none() {
            let own = ids.iter().position(|&id| self.context.ir.binding(id).name == node.id())?;
            return Some(&ids[own..=own]);
        }
        // The source goes away only with the last of its names.
        (count_names(entry) == ids.len()).then_some(ids)
    }
}

#[cfg(test)]
mod tests;
