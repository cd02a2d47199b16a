//! COR019: an option under its former name.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::options::Lookup;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR019"),
    name: "renamed-option",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags an option under a name that it no longer has (with `--eval`).

What `cim-nix check --eval` evaluates tells which options are only other names.

## Why it matters

The old name works until a release drops it, and prints a warning with every evaluation until then.

## Example

```nix
{
  services.web.enable = true;
  services.web.listenPort = 80;
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

The module system warns that the option has been renamed.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let Some(held) = context.held() else { return };
    for it in &held.settings {
        let (Lookup::Option(fact), table, _) = held.look(it) else { continue };
        let (Some(new), Some(node)) = (&fact.alias_of, it.name_node(it.len() - 1)) else {
            continue;
        };
        let message = format!("`{}` is called `{new}` now", it.shown());
        let by = format!("set `{new}` instead (by evaluation of {})", table.label);
        report.add(Finding::at(node.range(), message).help(by));
    }
}
