//! COR017: an option that does not exist.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::lints::distance;
use crate::options::Lookup;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR017"),
    name: "unknown-option",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags an option that no module declares (with `--eval`).

What `cim-nix check --eval` evaluates tells which options there are. A file is held against them if
the module system complains about it, or if half of what it sets is known there; in the latter case
a name is reported when at least two names before it lead to a set of options, or when a known name
is close.

## Why it matters

Evaluation fails with `The option … does not exist`, for the machine as a whole.

## Example

```nix
{
  services.web.enable = true;
  services.web.prot = 80;
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
        let (Lookup::Unknown(known), table, root) = held.look(it) else { continue };
        let Some(path) = it.first_names(known) else { continue };
        let Some(name) = it.names().nth(known).flatten() else { continue };
        let near = nearest(name, table.names_at(root, &path));
        if !held.is_certain && known < 2 && near.is_none() {
            continue;
        }
        let Some(node) = it.name_node(known) else { continue };
        let whole = [&path[..], &[name]].concat().join(".");
        let finding = Finding::at(node.range(), format!("there is no option `{whole}`"));
        let label = &table.label;
        report.add(finding.help(match near {
            Some(near) => format!("did you mean `{near}`? (by evaluation of {label})"),
            None => format!("by evaluation of {label}"),
        }));
    }
}

/// The known name that `name` may be a slip of.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let scored = known.map(|other| (distance(other, name), other));
    let (score, other) = scored.min()?;
    (score <= name.chars().count() / 4 + 1).then_some(other)
}
