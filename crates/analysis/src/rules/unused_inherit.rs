//! DEAD006: a name that a `let` inherits and nothing uses.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::BindingKind as Kind;

use super::unused_binding::{Hidden, check_lets};
use crate::context::Context;
use crate::rule::{Check, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD006"),
    name: "unused-inherit",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a name in an `inherit` of a `let` that the code never reaches.

## Why it matters

The reader looks for a use that is not there, and what is inherited from seems needed.

## Example

```nix
{ lib }:
let
  inherit (lib) mkIf mkOption types;
in
mkOption { type = types.str; }
```

## Better

```nix
{ lib }:
let
  inherit (lib) mkOption types;
in
mkOption { type = types.str; }
```

## When the fix is unsafe

Never: Nix does not evaluate what nothing refers to.

## Source

Also found by deadnix and nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let kinds = [Kind::LetInherit, Kind::LetInheritFrom, Kind::RecInherit, Kind::RecInheritFrom];
    check_lets(context, report, &kinds, Hidden::Any);
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::rules::testing::{fixed, found, marked};

    fn check_fix(before: &str, after: Expect) {
        after.assert_eq(&fixed("DEAD006", before));
    }

    #[test]
    fn names_without_uses_are_found() {
        assert_eq!(marked("DEAD006", "x: let inherit x; in 1"), "x");
        assert_eq!(marked("DEAD006", "let inherit (s) a \"b\" c; in [ c ]"), "a \"b\"");
        assert_eq!(marked("DEAD006", "let inherit (s) a; in { inherit a; }"), "");
        assert_eq!(marked("DEAD006", "{ inherit (s) a; } // rec { inherit (s) b; }"), "");
        assert_eq!(marked("DEAD006", "let { inherit (s) body a; }"), "a");
        expect!["a: `a` is used only by bindings that are unused\n"]
            .assert_eq(&found("DEAD006", "let inherit (s) a; b = a; in 1"));
    }

    #[test]
    fn the_last_name_takes_the_inherit_along() {
        check_fix("let inherit (s) a b; in b", expect!["let inherit (s) b; in b"]);
        check_fix("let inherit a b; in b", expect!["let inherit b; in b"]);
        check_fix("let inherit (s) a b c; in 1", expect!["let in 1"]);
        check_fix("let inherit (s) a; b = 1; in b", expect!["let b = 1; in b"]);
        check_fix("let inherit (s) a; b = a; in 1", expect!["let in 1"]);
    }

    #[test]
    fn names_on_lines_of_their_own() {
        check_fix(
            "let
  inherit (lib)
    a
    b # about b
    # about c
    c

    # about d and e
    e
    d
    ;
in
[ a d ]",
            expect![[r#"
                let
                  inherit (lib)
                    a

                    # about d and e
                    d
                    ;
                in
                [ a d ]"#]],
        );
        check_fix(
            "let\n  inherit (lib)\n    a\n    ;\n\n  b = 1;\nin\nb",
            expect!["let\n  b = 1;\nin\nb"],
        );
    }

    #[test]
    fn names_that_share_lines() {
        check_fix(
            "let\n  inherit (lib)\n    a b\n    c d\n    e;\nin [ a d ]",
            expect!["let\n  inherit (lib)\n    a\n    d;\nin [ a d ]"],
        );
        check_fix(
            "let\n  inherit (lib)\n    a # about a\n    b;\nin a",
            expect!["let\n  inherit (lib)\n    a # about a\n    ;\nin a"],
        );
    }
}
