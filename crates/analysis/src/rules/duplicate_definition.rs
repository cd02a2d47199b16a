//! COR002: an attribute or parameter that is defined twice. Found while lowering.

use cim_nix_base::{Code, Severity};

use crate::rule::{Check, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR002"),
    name: "duplicate-definition",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags an attribute or a parameter that is defined twice.

Two attribute sets of the same name are merged and are no duplicate: `{ a.b = 1; a = { c = 2; }; }`.

## Why it matters

Nix refuses the whole file. No selection of rules switches the finding off; a comment silences it.

## Example

```nix
{ port = 80; port = 8080; }
```

```nix
{ pkgs, lib, pkgs }: lib
```

## Better

```nix
{ port = 8080; }
```

```nix
{ pkgs, lib }: lib
```

## Source

Nix reports `attribute already defined` and `duplicate formal function argument` for the same code.
",
};
