//! SEC015 to SEC017: which packages nixpkgs lets through.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::NodeKind;

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const INSECURE: Rule = Rule {
    code: Code("SEC015"),
    name: "insecure-package",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_insecure),
    words: &["permittedInsecurePackages", "allowInsecurePredicate"],
    doc: "\
Flags packages that are let in although they are known to be insecure.

## Why it matters

Such a package has holes that nobody mends. An exception is easily forgotten, so it wants a reason
beside it (`# cim-nix: ignore[SEC015] reason`) and a look now and then. A predicate that is always
true lets in all of them, also those of tomorrow.

## Example

```nix
{ nixpkgs.config.permittedInsecurePackages = [ \"openssl-1.1.1w\" ]; }
```

```nix
import <nixpkgs> { config.allowInsecurePredicate = _: true; }
```

## Better

```nix
{ nixpkgs.config.permittedInsecurePackages = [ ]; }
```

## Source

Nixpkgs manual, \"Installing insecure packages\".
",
};

pub(crate) const UNFREE: Rule = Rule {
    code: Code("SEC016"),
    name: "unfree-for-all",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check_unfree),
    words: &["allowUnfree"],
    doc: "\
Flags `allowUnfree = true`, which lets in every package without a free license.

## Why it matters

Nobody but its maker can inspect or mend such a package. A predicate lists those that are wanted,
so that no other slips in. It is off by default, as many want exactly this.

## Example

```nix
{ nixpkgs.config.allowUnfree = true; }
```

## Better

```nix
{ lib, ... }: {
  nixpkgs.config.allowUnfreePredicate = package: lib.getName package == \"steam\";
}
```

## Source

Nixpkgs manual, \"Installing unfree packages\".
",
};

pub(crate) const BROKEN: Rule = Rule {
    code: Code("SEC017"),
    name: "broken-for-all",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check_broken),
    words: &["allowBroken", "allowUnsupportedSystem"],
    doc: "\
Flags `allowBroken = true` and `allowUnsupportedSystem = true`.

## Why it matters

Packages that are marked so are built by nobody and tested by nobody, and their faults go
unnoticed. It is off by default, as it is at times what somebody needs to mend one.

## Example

```nix
{ nixpkgs.config.allowBroken = true; }
```

## Better

```nix
{ nixpkgs.config.allowBroken = false; }
```

## Source

Nixpkgs manual, \"Installing broken packages\".
",
};

fn check_insecure(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(&["permittedInsecurePackages"]) {
        if setting.is_element && matches!(setting.value.kind(), NodeKind::Str | NodeKind::IndStr) {
            let message = "this package is let in although it is known to be insecure";
            report.add(Finding::at(setting.value.range(), message));
        }
    }
    for setting in settings.matching(&["allowInsecurePredicate"]) {
        let is_function =
            setting.value.parent().is_some_and(|parent| parent.kind() == NodeKind::Lambda);
        if is_function && context.bool_value(setting.value) == Some(true) {
            let message = "every package is let in that is known to be insecure";
            report.add(Finding::at(setting.value.range(), message));
        }
    }
}

fn check_unfree(context: &Context<'_>, report: &mut Report) {
    for setting in context.settings().matching(&["allowUnfree"]) {
        if context.bool_value(setting.value) == Some(true) {
            report.add(
                Finding::at(setting.value.range(), "every unfree package is let in")
                    .help("list those that you want with `allowUnfreePredicate`"),
            );
        }
    }
}

fn check_broken(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(&["allowBroken", "allowUnsupportedSystem"]) {
        if context.bool_value(setting.value) == Some(true) {
            let message = match settings.name(setting, 0) {
                Some("allowBroken") => "every package is let in that is marked as broken",
                _ => "every package is let in that was not made for this system",
            };
            report.add(Finding::at(setting.value.range(), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn each_exception_is_a_finding() {
        let text =
            "{ nixpkgs.config = mkIf c { permittedInsecurePackages = [ \"a\" ] ++ [ \"b\" ]; }; }";
        assert_eq!(marked("SEC015", text), "\"a\" \"b\"");
        assert_eq!(marked("SEC015", "{ permittedInsecurePackages = config.x; }"), "");
        assert_eq!(marked("SEC015", "{ allowInsecurePredicate = p: p.name == \"a\"; }"), "");
        assert_eq!(
            marked("SEC015", "{ allowInsecurePredicate = mkOption { default = _: true; }; }"),
            ""
        );
    }

    #[test]
    fn only_what_is_true_lets_in() {
        assert_eq!(marked("SEC016", "import x { config.allowUnfree = true; }"), "true");
        assert_eq!(marked("SEC016", "import x { config.allowUnfree = y; }"), "");
        assert_eq!(
            marked("SEC017", "{ allowUnsupportedSystem = true; allowBroken = false; }"),
            "true"
        );
    }
}
