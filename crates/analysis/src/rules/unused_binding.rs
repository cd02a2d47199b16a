//! DEAD001: a `let` binding that nothing uses.

use cim_nix_base::{Code, Severity, TextEdit};
use cim_nix_semantics::{AttrKind, BindingId, BindingKind, ScopeKind};
use cim_nix_syntax::NodeKind;

use crate::context::Context;
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

Bindings that only refer to each other, or only to themselves, count as unused.

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

Never: Nix does not evaluate what nothing refers to. A binding that other unused bindings refer to
is removed after them.

## Source

Also found by deadnix and nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for set in &context.ir.sets {
        let Some(scope) = set.scope else { continue };
        let scope = context.ir.scopes[scope.index()];
        if scope.kind != ScopeKind::Let {
            continue;
        }
        for (at, attr) in context.ir.attrs[set.attrs.range()].iter().enumerate() {
            let id = BindingId(scope.bindings.start + at as u32);
            let is_own = context.ir.binding(id).kind == BindingKind::Let;
            if is_own && !context.live().is_live(id) {
                report.add(finding(context, id, attr.kind));
            }
        }
    }
}

fn finding(context: &Context<'_>, id: BindingId, kind: AttrKind) -> Finding {
    let name = context.name(id);
    let range = context.name_range(id);
    let uses = context.uses().of(id);
    let node = context.node(context.ir.binding(id).name);
    let binding = node.ancestors().find(|above| above.kind() == NodeKind::Binding);
    if !uses.is_empty() {
        return Finding::at(range, format!("`{name}` is used only by bindings that are unused"));
    }
    let found = Finding::at(range, format!("`{name}` is never used"));
    match binding {
        // Dotted names can be spread over several bindings; a person sees better what to do.
        Some(binding) if kind == AttrKind::Plain => {
            let edit = TextEdit::remove(crate::layout::removal(binding));
            found.safe_fix("remove the binding", vec![edit], vec![Rewrite::Remove(binding.id())])
        }
        _ => found,
    }
}
