//! COR003: `or` used as a variable.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR003"),
    name: "or-as-variable",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Ident], check),
    words: &[],
    doc: "\
Flags `or` where Nix reads it as a variable rather than as the keyword of a default.

## Why it matters

`f or x` is not a default: Nix applies `f` to a variable named `or`, and the result to `x`. That is a
leftover of old Nix, and later versions will read it differently. Most often a selection was meant,
whose parentheses are in the wrong place.

## Example

```nix
set: (set.port) or 80
```

## Better

```nix
set: set.port or 80
```

## Source

Nix warns about some of these places; see NixOS/nix issue 11118.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let token = node.first_token().filter(|token| token.kind() == TokenKind::Or);
    let Some(token) = token else { return };
    let _ = context;
    report.add(
        Finding::at(token.range(), "`or` is a variable here, not the keyword of a default")
            .help("a default needs a selection in front of it: `set.attribute or default`"),
    );
}
