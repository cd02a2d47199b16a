//! DEP013: files that import each other without end. Found in the import graph.

use cim_nix_base::{Code, Severity};

use crate::rule::{Check, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP013"),
    name: "import-cycle",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags files that import each other in a circle which evaluation cannot leave.

Only imports count that must be evaluated to get the file's own value: the file's expression itself,
what it applies, operands of its operators. Files that mention each other inside attributes,
functions or lists are legal; `cim-nix graph` shows those circles.

## Why it matters

Evaluating any of the files is an infinite recursion.

## Example

With `a.nix` importing this file in the same way:

```nix
import ./a.nix + 1
```

## Better

```nix
{ next = import ./a.nix; }
```

## Source

Nix reports `infinite recursion encountered` when one of the files is evaluated.
",
};
