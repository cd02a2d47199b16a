//! STY012: a call of the deprecated `toPath`.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use super::calls::called_library;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY012"),
    name: "to-path",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["toPath"],
    doc: "\
Flags a call of `toPath`.

## Why it matters

It is deprecated: in spite of its name the result is a string. The rule is opt-in since it still
works.

## Example

```nix
builtins.toPath \"/etc/nixos\"
```

## Better

```nix
/. + \"/etc/nixos\"
```

## Source

The manual of Nix on `toPath`; also found by statix.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if called_library(context, node, &["toPath"]).is_none() {
        return;
    }
    if let Some(function) = node.child(0) {
        report.add(
            Finding::at(function.range(), "`toPath` is deprecated and returns a string")
                .help("for a path, write `/. + \"/absolute/path\"` or a path relative to the file"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn calls_are_found() {
        assert_eq!(marked("STY012", "builtins.toPath x"), "builtins.toPath");
        assert_eq!(marked("STY012", "__toPath x"), "");
        assert_eq!(marked("STY012", "with lib; toPath x"), "toPath");
        assert_eq!(marked("STY012", "{ toPath }: toPath x"), "");
    }
}
