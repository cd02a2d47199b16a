//! COR012: sets are merged of which only one is recursive.

use cim_nix_base::{Code, Severity};

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
Flags two definitions of one attribute set of which only one says `rec`.

## Why it matters

Nix merges them, and the first one alone decides: behind a plain set, a later `rec` is ignored;
behind a recursive one, the names in later parts resolve inside the set, too.

## Example

```nix
{ a.b = 1; a = rec { c = 2; d = 3; }; }
```

## Better

```nix
{ a = rec { b = 1; c = 2; d = 3; }; }
```

## Source

NixOS/nix issue 9020.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for merge in &context.ir.merges {
        let (first, second) = (context.node(merge.first), context.node(merge.second));
        let message = if merge.first_is_rec {
            "this part is merged into a recursive set, so its names resolve inside that set"
        } else {
            "this `rec` is ignored: the set is merged into one that is not recursive"
        };
        report.add(Finding::at(second.range(), message).label(first.range(), "the first part"));
    }
}
