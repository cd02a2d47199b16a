//! STY031: a prefix that a builtin does not need.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_semantics::{Expr, PathElement, Target, builtins};
use cim_nix_syntax::NodeKind;

use super::calls::{has_comment, replaced, with_fix};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY031"),
    name: "builtins-prefix",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &["builtins"],
    doc: "\
Flags `builtins.` in front of a builtin that is in scope by its plain name, such as `builtins.map`.

Names that the file binds anywhere are left alone.

## Why it matters

It is a matter of taste, so the rule is opt-in.

## Example

```nix
builtins.map builtins.toString [ 1 2 ]
```

## Better

```nix
map toString [ 1 2 ]
```

## When the fix is unsafe

Never: no `with` and no binding of the file can change what the plain name means.

## Source

The table of builtins of Nix 2.34.8; also found by nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let ir = context.ir;
    for (at, expr) in ir.exprs.iter().enumerate() {
        let Expr::Select { base, path, default: Expr::NO_DEFAULT } = *expr else { continue };
        let [PathElement::Name(attribute)] = ir.path(path) else { continue };
        let Expr::Var { symbol, target: Target::Free(_) } = ir.expr(base) else { continue };
        let name = ir.symbol(*attribute);
        let is_plain = builtins::global(name).is_some_and(|global| !global.underscored);
        if ir.symbol(symbol) != "builtins" || !is_plain {
            continue;
        }
        let node = context.node(ir.nodes[at]);
        if node.kind() != NodeKind::Select || context.is_bound_global(*attribute) {
            continue;
        }
        let found = Finding::at(node.range(), format!("`{name}` is in scope by its plain name"));
        let fix = replaced(node, || name.to_owned()).filter(|_| !has_comment(node));
        report.add(with_fix(found, Applicability::Safe, "remove the prefix", fix));
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn needless_prefixes() {
        assert_eq!(
            marked("STY031", "builtins.map f (with x; builtins.toString 1)"),
            "builtins.map builtins.toString"
        );
        assert_eq!(marked("STY031", "builtins\n  .map"), "builtins\n  .map");
        assert_eq!(marked("STY031", "[ builtins.attrNames builtins.true.a builtins.map.b ]"), "");
        assert_eq!(marked("STY031", "builtins: builtins.map"), "");
        assert_eq!(marked("STY031", "map: [ map builtins.map ]"), "");
        assert_eq!(marked("STY031", "rec { map = builtins.map; }"), "");
        assert_eq!(marked("STY031", "builtins.map or 1"), "");
        assert_eq!(fixed("STY031", "[ (builtins.throw) builtins.null ]"), "[ (throw) null ]");
    }
}
