//! COR001: a name that nothing defines.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::builtins;
use cim_nix_syntax::NodeId;

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR001"),
    name: "undefined-variable",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a variable that no binding, no `with` and no builtin supplies.

## Why it matters

Nix refuses the whole file, even where the variable is never evaluated. Where there are several,
the one that Nix reports comes first.

## Example

```nix
let greeting = \"hello\"; in greting
```

## Better

```nix
let greeting = \"hello\"; in greeting
```

## Source

Nix reports `undefined variable` for the same names.
",
};

/// How many names a file's undefined ones are held against for what may be meant.
const MAX_LOOKS: usize = 1 << 18;

fn check(context: &Context<'_>, report: &mut Report) {
    let mut looks_left = MAX_LOOKS;
    for (symbol, variable) in context.ir.free_names() {
        let name = context.ir.symbol(symbol);
        // `unknown-builtin` says more about names of builtins that lack their prefix.
        if builtins::global(name).is_some() || builtins::builtin(name).is_some() {
            continue;
        }
        let node = context.node(context.ir.node(variable));
        let finding = Finding::at(node.range(), format!("undefined variable `{name}`"));
        report.add(match nearest(context, node.id(), name, &mut looks_left) {
            Some(near) => finding.help(format!("a name that is in scope here: `{near}`")),
            None => finding,
        });
    }
}

/// The name in scope that differs least from `name`, if little.
fn nearest(context: &Context<'_>, at: NodeId, name: &str, left: &mut usize) -> Option<String> {
    if *left == 0 {
        return None;
    }
    let visible = context.ir.visible_at(context.tree, at);
    *left = left.saturating_sub(visible.len() + 1);
    let names = visible.iter().map(|&id| context.name(id));
    let scored = names.map(|known| (crate::lints::distance(known, name), known));
    let (score, known) = scored.min_by_key(|(score, _)| *score)?;
    (score <= name.len().div_ceil(4)).then(|| known.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::check;

    #[test]
    fn the_one_that_nix_reports_comes_first() {
        check(
            "COR001",
            "{ version = u1; a = u2; name = u3; }",
            &[
                "31..33 undefined variable `u3`",
                "12..14 undefined variable `u1`",
                "20..22 undefined variable `u2`",
            ],
        );
        check(
            "COR001",
            "[ u1 u2 ]",
            &["2..4 undefined variable `u1`", "5..7 undefined variable `u2`"],
        );
    }
}
