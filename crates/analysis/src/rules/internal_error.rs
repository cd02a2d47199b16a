//! INT001: the program failed on a file. Found by the driver.

use cim_nix_base::{Code, Severity};

use crate::rule::{Check, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("INT001"),
    name: "internal-error",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Reports a fault of this program that one file brought to light.

The other files are checked all the same; the exit code is 3.

## Why it matters

The file was not checked. Please report the message together with the file.

## Source

Found by the driver, which keeps a fault in one file from ending the run.
",
};
