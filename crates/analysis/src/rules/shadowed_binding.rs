//! DEAD010: a `let` binding that an inner one of the same name hides from all who read it.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::BindingKind;

use super::unused_binding::{Hidden, check_lets};
use crate::context::Context;
use crate::rule::{Check, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD010"),
    name: "shadowed-binding",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a `let` binding that nothing reads, while an inner binding or parameter of the same name is
read.

Names that nothing of the kind hides are the business of `unused-binding`.

## Why it matters

The reader takes the outer value for the one that is used. Often one of the two was meant to have
another name.

## Example

```nix
let
  port = 80;
  serve = port: \"listen ${port}\";
in
serve \"8080\"
```

## Better

```nix
let
  serve = port: \"listen ${port}\";
in
serve \"8080\"
```

## When the fix is unsafe

Never: Nix does not evaluate what nothing refers to. Comments directly above the binding go with it.

## Source

Also found by deadnix, as an unused binding.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    check_lets(context, report, &[BindingKind::Let, BindingKind::Rec], Hidden::Only);
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, found, marked};

    #[test]
    fn hidden_bindings_are_found_once() {
        let text = "let a = 1; in let a = 2; in a";
        assert_eq!(found("DEAD010", text), "a: `a` is never read: an inner `a` hides it\n");
        assert_eq!(found("DEAD001", text), "");
        assert_eq!(marked("DEAD001 DEAD010", "let a = 1; in rec { a = 2; b = a; }"), "a");
        assert_eq!(marked("DEAD010", "let a = 1; in { a }: a"), "a");
        assert_eq!(marked("DEAD010", "let a = 1; f = a: a; in f 2"), "a");
    }

    #[test]
    fn other_unused_names_are_none_of_it() {
        assert_eq!(marked("DEAD010", "let a = 1; in a: 2"), "");
        assert_eq!(marked("DEAD010", "let a = 1; in a + (a: a) 2"), "");
        assert_eq!(marked("DEAD010", "let a = 1; in { inherit (rec { a = 2; }) a; }"), "");
        assert_eq!(marked("DEAD010", "[ (let a = 1; in 2) (a: a) ]"), "");
    }

    #[test]
    fn the_outer_one_goes_away() {
        assert_eq!(
            fixed("DEAD010", "let a = 1; b = 2; in let a = b; in a"),
            "let b = 2; in let a = b; in a"
        );
    }
}
