//! DEAD001: a `let` binding that nothing uses.

use std::borrow::Cow;
use std::cell::{LazyCell, RefCell};
use std::collections::{BTreeMap, HashMap};

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::{Attr, AttrKind, BindingId, BindingKind, ScopeId, ScopeKind, Symbol};
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
    words: &[],
    doc: "\
Flags a `let` binding that the code never reaches through its name.

Bindings that only refer to each other, or only to themselves, count as unused. Names that an
`inherit` brings are the business of `unused-inherit`, and those that an inner one of the same name
hides that of `shadowed-binding`. A binding to a call of `throw` or `abort` is
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
    check_lets(context, report, &[BindingKind::Let, BindingKind::Rec], Hidden::Others);
}

/// Which unused names a rule is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    /// Those that an inner binding hides.
    Only,
    /// Those that none hides.
    Others,
    /// All.
    Any,
}

/// Reports the unused names of all `let`s that came to be in one of the ways of `kinds`.
pub(super) fn check_lets(
    context: &Context<'_>,
    report: &mut Report,
    kinds: &[BindingKind],
    hidden: Hidden,
) {
    let bindings = Bindings::new(context);
    let namesakes = LazyCell::new(|| Namesakes::of(context));
    let dead = LazyCell::new(|| DeadNames::of(&bindings));
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
                let hider = if hidden == Hidden::Any { None } else { namesakes.hider(context, id) };
                match (hidden, hider) {
                    (Hidden::Only, Some(hider)) => report.add(hidden_by(&bindings, id, hider)),
                    (Hidden::Only, None) | (Hidden::Others, Some(_)) => {}
                    _ => report.add(never_used(&bindings, id)),
                }
            } else if hidden != Hidden::Only && !dead.reach.is_live(id) {
                report.add(used_in_vain(&dead, id));
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

fn never_used(bindings: &Bindings<'_, '_>, id: BindingId) -> Finding {
    let context = bindings.context;
    let found =
        Finding::at(context.name_range(id), format!("`{}` is never used", context.name(id)));
    with_removal(bindings, found, &[id])
}

fn hidden_by(bindings: &Bindings<'_, '_>, id: BindingId, hider: BindingId) -> Finding {
    let context = bindings.context;
    let name = context.name(id);
    let message = format!("`{name}` is never read: an inner `{name}` hides it");
    let found =
        Finding::at(context.name_range(id), message).label(context.name_range(hider), "here");
    with_removal(bindings, found, &[id])
}

fn used_in_vain(dead: &DeadNames<'_, '_, '_>, id: BindingId) -> Finding {
    let context = dead.bindings.context;
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
        Some(group) => with_removal(dead.bindings, found, &group),
        None => found,
    }
}

/// Adds a fix that removes the names `ids` from their `let`s.
fn with_removal(bindings: &Bindings<'_, '_>, found: Finding, ids: &[BindingId]) -> Finding {
    let context = bindings.context;
    let mut gone: Vec<Node<'_>> = Vec::new();
    let mut inherited: BTreeMap<NodeId, Vec<Node<'_>>> = BTreeMap::new();
    for &id in ids {
        let name = context.node(context.ir.binding(id).name);
        match name.parent().filter(|parent| parent.kind() == NodeKind::Inherit) {
            Some(inherit) => inherited.entry(inherit.id()).or_default().push(name),
            None => gone.extend(bindings.of(id)),
        }
    }
    for (inherit, names) in inherited {
        let inherit = context.node(inherit);
        if has_names(inherit, names.len()) { gone.push(inherit) } else { gone.extend(names) }
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

/// Whether an `inherit` has as many names as `n_names`, looking at no more than that.
fn has_names(inherit: Node<'_>, n_names: usize) -> bool {
    let mut names = inherit.children().filter(|child| child.kind() != NodeKind::InheritFrom);
    names.nth(n_names).is_none()
}

/// All bindings by their names.
struct Namesakes(HashMap<Symbol, Vec<BindingId>>);

/// How many bindings of the same name are looked at.
const MAX_NAMESAKES: usize = 64;

impl Namesakes {
    fn of(context: &Context<'_>) -> Self {
        let mut found: HashMap<Symbol, Vec<BindingId>> = HashMap::new();
        for (at, binding) in context.ir.bindings.iter().enumerate() {
            found.entry(binding.symbol).or_default().push(BindingId(at as u32));
        }
        Self(found)
    }

    /// A binding inside the `let` of `id` that has its name and is used.
    fn hider(&self, context: &Context<'_>, id: BindingId) -> Option<BindingId> {
        let outer = context.ir.binding(id);
        let node = |scope: ScopeId| context.node(context.ir.scopes[scope.index()].node);
        let around = node(outer.scope);
        let mut namesakes = self.0.get(&outer.symbol)?.iter().copied().take(MAX_NAMESAKES);
        namesakes.find(|&other| {
            let scope = context.ir.binding(other).scope;
            let is_inner = scope != outer.scope && around.contains(node(scope));
            is_inner && !context.uses().of(other).is_empty()
        })
    }
}

/// The bindings of a `let` by their first name.
type ByName<'a> = HashMap<Cow<'a, str>, Vec<Node<'a>>>;

/// The bindings that make up each name of a `let`.
struct Bindings<'c, 'a> {
    context: &'c Context<'a>,
    /// Filled for each `let` that was asked for a dotted name.
    by_name: RefCell<HashMap<ScopeId, ByName<'a>>>,
}

impl<'c, 'a> Bindings<'c, 'a> {
    fn new(context: &'c Context<'a>) -> Self {
        Self { context, by_name: RefCell::default() }
    }

    /// The bindings of a name: several where its path is dotted.
    fn of(&self, id: BindingId) -> Vec<Node<'a>> {
        let binding = self.context.ir.binding(id);
        let is_plain = |attr: &Attr| attr.kind == AttrKind::Plain;
        if self.context.ir.binding_attr(id).is_some_and(is_plain) {
            let mut above = self.context.node(binding.name).ancestors();
            return above.find(|node| node.kind() == NodeKind::Binding).into_iter().collect();
        }
        let mut by_name = self.by_name.borrow_mut();
        let names = by_name.entry(binding.scope).or_insert_with(|| {
            let scope = self.context.ir.scopes[binding.scope.index()];
            let mut names = ByName::new();
            for entry in ast::entries(self.context.node(scope.node)) {
                if let Some(name) = first_name(entry) {
                    names.entry(name).or_default().push(entry.node());
                }
            }
            names
        });
        names.get(self.context.name(id)).cloned().unwrap_or_default()
    }
}

fn first_name(entry: Entry<'_>) -> Option<Cow<'_, str>> {
    match entry {
        Entry::Binding(binding) => binding.attr_path()?.elements().next()?.name(),
        Entry::Inherit(_) => None,
    }
}

/// The unused names of all `let`s and what they are used by.
struct DeadNames<'b, 'c, 'a> {
    bindings: &'b Bindings<'c, 'a>,
    reach: Reach,
    /// For entries of `let`s that hold unused names only: which.
    entries: HashMap<NodeId, Vec<BindingId>>,
}

/// Groups are followed up to this many names, more than a person would remove in one go, and this
/// many uses of them.
const MAX_GROUP: usize = 64;
const MAX_USES: usize = 1024;

impl<'b, 'c, 'a> DeadNames<'b, 'c, 'a> {
    fn of(bindings: &'b Bindings<'c, 'a>) -> Self {
        let context = bindings.context;
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
                    for node in bindings.of(id) {
                        entries.entry(node.id()).or_default().push(id);
                    }
                }
            }
        }
        Self { bindings, reach, entries }
    }

    /// The name and all unused ones that refer to it, directly or not; `None` if something else
    /// refers to one of them or they are too many.
    fn group(&self, id: BindingId) -> Option<Vec<BindingId>> {
        let context = self.bindings.context;
        let mut group = vec![id];
        let (mut at, mut n_uses) = (0, 0);
        while let Some(&id) = group.get(at) {
            at += 1;
            let uses = context.uses().of(id);
            n_uses += uses.len();
            if n_uses > MAX_USES {
                return None;
            }
            for &variable in uses {
                for user in self.users(context.node(context.ir.node(variable)))? {
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
        if ids.len() > MAX_GROUP {
            return None;
        }
        if entry.kind() == NodeKind::Binding {
            return Some(ids);
        }
        if entry.child_of_kind(NodeKind::InheritFrom).is_none() {
            let own = ids
                .iter()
                .position(|&id| self.bindings.context.ir.binding(id).name == node.id())?;
            return Some(&ids[own..=own]);
        }
        // The source goes away only with the last of its names.
        has_names(entry, ids.len()).then_some(ids)
    }
}

#[cfg(test)]
mod tests;
