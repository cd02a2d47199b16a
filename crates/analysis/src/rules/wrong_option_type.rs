//! COR018: a value that its option does not take.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::options::{Lookup, OptionType, misfit};
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR018"),
    name: "wrong-option-type",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a value that its option does not take (with `--eval`).

What `cim-nix check --eval` evaluates tells the type of each option. Only values that are written
down are looked at; what has to be computed is left alone.

## Why it matters

Evaluation fails with `A definition for option … is not of type …`.

## Example

```nix
{
  services.web.enable = true;
  services.web.port = \"80\";
}
```

## Better

```nix
{
  services.web.enable = true;
  services.web.port = 80;
}
```

## Source

The module system reports it when the configuration is built.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let Some(held) = context.held() else { return };
    for it in &held.settings {
        let (Lookup::Option(fact), table, _) = held.look(it) else { continue };
        let kind = match (&fact.kind, it.setting.is_element) {
            // Elements of what is merged are no elements of a list.
            (OptionType::List(inner), true) => &**inner,
            (_, true) => continue,
            (kind, false) => kind,
        };
        let Some(misfit) = misfit(context, kind, it.setting.value) else { continue };
        let message =
            format!("`{}` takes {}, and this is {}", it.shown(), fact.type_words, misfit.what);
        let by = format!("by evaluation of {}", table.label);
        report.add(Finding::at(misfit.node.range(), message).help(by));
    }
}
