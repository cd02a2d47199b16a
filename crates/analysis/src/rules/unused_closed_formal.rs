//! DEAD003: a parameter that nothing uses, in a pattern without `...`.

use cim_nix_base::{Code, Severity};

use super::unused_formal::check_patterns;
use crate::context::Context;
use crate::rule::{Check, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD003"),
    name: "unused-closed-formal",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a parameter in a pattern without `...` that the function never uses.

A function that passes its whole argument on through an `@` name uses all of its parameters.

## Why it matters

The pattern says what a function needs. A name in it that is not needed makes callers supply it, and
makes the reader look for its use.

## Example

```nix
{ lib, stdenv, fetchurl }:
stdenv.mkDerivation {
  name = lib.toLower \"A\";
}
```

## Better

```nix
{ lib, stdenv }:
stdenv.mkDerivation {
  name = lib.toLower \"A\";
}
```

## When the fix is unsafe

Always: Nix refuses a call that passes the removed name, so every caller has to change as well.

## Source

Also found by deadnix and nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    check_patterns(context, report, false);
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    fn check_fix(before: &str, after: &str) {
        assert_eq!(fixed_unsafely("DEAD003", before), after);
    }

    #[test]
    fn parameters_without_uses_are_found() {
        assert_eq!(marked("DEAD003", "{ a, b }: a"), "b");
        assert_eq!(marked("DEAD003", "{ a, b, ... }: a"), "");
        assert_eq!(marked("DEAD003", "{ a, b }@args: a + args.b"), "");
        assert_eq!(marked("DEAD003", "{ a, b, c }@args: args.b"), "a c");
        assert_eq!(marked("DEAD003", "{ a, b ? a }: 1"), "b");
    }

    #[test]
    fn callers_may_pass_the_parameter() {
        let text = "{ a, b }: a";
        assert_eq!(fixed("DEAD003", text), text);
    }

    #[test]
    fn the_last_parameter_takes_the_comma_in_front() {
        check_fix("{ a, b }: a", "{ a }: a");
        check_fix("{ a, b, }: a", "{ a, }: a");
        check_fix("{ b }: 1", "{ }: 1");
        check_fix("{\n  a,\n  b,\n}: a", "{\n  a,\n}: a");
        check_fix("{\n  a,\n  b\n}: a", "{\n  a\n}: a");
        check_fix("{\n  a,\n  # about b\n  b\n}: a", "{\n  a\n}: a");
        check_fix("{\n  a, # about a\n  b # about b\n}: a", "{\n  a # about a\n}: a");
        check_fix("{ a\n, b\n}: a", "{ a\n}: a");
        check_fix("{ a\n, b # about b\n}: a", "{ a\n}: a");
        check_fix("{\n  b\n}: 1", "{\n}: 1");
    }
}
