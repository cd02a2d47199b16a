//! COR016: a path that ends in a slash. Found by the lexer.

use cim_nix_base::{Code, Severity};

use crate::rule::{Check, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR016"),
    name: "trailing-slash",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags a path that ends in a slash.

## Why it matters

Nix refuses the whole file. No selection of rules switches the finding off; a comment silences it.

## Example

```nix
{ src = ./src/; }
```

## Better

```nix
{ src = ./src; }
```

## When the fix is unsafe

Never: with the slash the file does not parse, so no program changes its meaning.

## Source

Nix reports `path has a trailing slash` for the same code.
",
};
