//! SEC023: a secret in an option that has a sibling for files.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::ast;

use super::secret_names::is_secret;
use crate::context::Context;
use crate::options::Lookup;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC023"),
    name: "secret-in-option",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a secret that is written down although its option has a sibling that names a file (with
`--eval`).

What `cim-nix check --eval` evaluates tells which options there are: `X` is a secret by its name,
and there is an option `XFile` beside it.

## Why it matters

What an option is set to ends up in the Nix store, which every user of the machine can read. The
file is read when the service starts.

## Example

```nix
{
  services.web.enable = true;
  services.web.password = \"hunter2\";
}
```

## Better

```nix
{
  services.web.enable = true;
  services.web.passwordFile = \"/run/secrets/web\";
}
```

## Source

Most modules of NixOS that take a secret take the name of a file, too (NixOS/nixpkgs#24288).
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let Some(held) = context.held() else { return };
    for it in &held.settings {
        let Some(name) = it.names().last().flatten().filter(|name| is_secret(name)) else {
            continue;
        };
        let text = ast::Str::cast(it.setting.value).and_then(ast::Str::static_value);
        if text.is_none_or(|text| text.is_empty()) {
            continue;
        }
        let (Lookup::Option(_), table, root) = held.look(it) else { continue };
        let file = format!("{name}File");
        let beside = it.names().take(it.len() - 1).chain([Some(&*file)]);
        if !matches!(table.look(root, beside), Lookup::Option(_)) {
            continue;
        }
        let message = "this secret ends up in the Nix store, where everybody can read it";
        let help = format!(
            "set `{file}` to a file outside of the store (by evaluation of {})",
            table.label
        );
        report.add(Finding::at(it.setting.value.range(), message).help(help));
    }
}
