//! DEP014: an import of a file that is not there. Found in the import graph.

use cim_nix_base::{Code, Severity};

use crate::rule::{Check, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP014"),
    name: "missing-import",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags an import of a file that does not exist, or exists under a name with other capitals.

Imports behind `builtins.pathExists`, with a computed part, or of a path outside the project are left
alone.

## Why it matters

Evaluation fails where it gets to the import. A name with other capitals works on some machines
only.

## Example

Without a file `nowhere.nix` beside this one:

```nix
import ./nowhere.nix
```

## Better

```nix
if builtins.pathExists ./nowhere.nix then import ./nowhere.nix else { }
```

## Source

Nix reports `path does not exist` when the import is evaluated.
",
};
