//! DEAD004: the name of a whole argument that nothing uses.

use std::cell::LazyCell;

use cim_nix_base::{Code, Severity, TextEdit, TextRange};
use cim_nix_semantics::BindingId;

use super::callers;
use super::reachability::Reach;
use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD004"),
    name: "unused-at-name",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags the name beside the `@` of a pattern when the function never uses it.

## Why it matters

The name says that the function passes its argument on as a whole, which it does not.

## Example

```nix
{ pname, version, ... }@args:
\"${pname}-${version}\"
```

## Better

```nix
{ pname, version, ... }:
\"${pname}-${version}\"
```

## When the fix is unsafe

Never: the name cannot be seen from outside, save for functions printed with `builtins.toXML`.

## Source

Also found by deadnix and nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let reach = LazyCell::new(|| Reach::of(context));
    for lambda in &context.ir.lambdas {
        let Some(id) = callers::at_binding(context, lambda) else { continue };
        if context.live().is_live(id) {
            continue;
        }
        let name = context.name(id);
        let range = context.name_range(id);
        if context.uses().of(id).is_empty() {
            let found = Finding::at(range, format!("`{name}` is never used"));
            report.add(with_removal(context, found, id));
        } else if !reach.is_live(id) {
            let message = format!("`{name}` is used only by code that is unused");
            report.add(Finding::at(range, message));
        }
    }
}

fn with_removal(context: &Context<'_>, found: Finding, id: BindingId) -> Finding {
    let part = context.node(context.ir.binding(id).name);
    let range = part.range();
    let (before, after) = context.text().split_at(range.start as usize);
    let range = if after.starts_with('@') {
        let kept = before.trim_end();
        // Behind a line comment nothing may follow.
        let start = if kept.ends_with('}') { kept.len() as u32 } else { range.start };
        TextRange::new(start, range.end)
    } else {
        let rest = &after[range.len() as usize..];
        TextRange::new(range.start, range.end + (rest.len() - rest.trim_start().len()) as u32)
    };
    let title = format!("remove `{}`", context.name(id));
    found.safe_fix(title, vec![TextEdit::remove(range)], vec![Rewrite::Remove(part.id())])
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, found, marked};

    #[test]
    fn names_without_uses_are_found() {
        assert_eq!(marked("DEAD004", "{ a }@b: a"), "b");
        assert_eq!(marked("DEAD004", "b@{ a ? b.c }: a"), "");
        assert_eq!(marked("DEAD004", "{ ... }@b: { inherit (b) c; }"), "");
        assert_eq!(marked("DEAD004", "{ ... }@b: x: with b; c"), "");
        assert_eq!(marked("DEAD004", "let f = { ... }@b: b; in 1"), "");
        assert_eq!(
            found("DEAD004", "{ ... }@b: let c = b; in 1"),
            "b: `b` is used only by code that is unused\n"
        );
    }

    #[test]
    fn the_name_goes_with_its_at_sign_and_blanks() {
        assert_eq!(fixed("DEAD004", "{ a }@b: a"), "{ a }: a");
        assert_eq!(fixed("DEAD004", "{ a } @ b : a"), "{ a } : a");
        assert_eq!(fixed("DEAD004", "b@{ a }: a"), "{ a }: a");
        assert_eq!(fixed("DEAD004", "b @\n{ a }: a"), "{ a }: a");
        assert_eq!(fixed("DEAD004", "{x}:b@{a}: x"), "{x}:{a}: x");
        assert_eq!(fixed("DEAD004", "{\n  a,\n}\n@b:\na"), "{\n  a,\n}:\na");
        assert_eq!(fixed("DEAD004", "{ a } # c\n@b: a"), "{ a } # c\n: a");
        assert_eq!(fixed("DEAD004", "b@ # c\n{ a }: a"), "# c\n{ a }: a");
    }
}
