//! STY003: the old form of `let`.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_semantics::{AttrKind, Expr};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::{Fix, has_comment, replaced, takes_anything, with_fix};
use crate::context::Context;
use crate::layout;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY003"),
    name: "legacy-let",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::LegacyLet], check),
    words: &[],
    doc: "\
Flags `let { …; body = …; }`, the old form of `let … in …`.

## Why it matters

Nobody expects a name `body` to have a meaning, and Nix warns of the form. It is opt-in since it
still works.

## Example

```nix
let { x = 1; body = x; }
```

## Better

```nix
let x = 1; in x
```

## When the fix is unsafe

Never. There is no fix where something refers to `body`, where `__overrides` or computed names play
a part, or where `body` has comments of its own.

## Source

Also found by statix and nixd.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let found =
        Finding::at(node.range(), "this is the old form of `let`").help("write `let … in …`");
    let fix = modern(context, node);
    report.add(with_fix(found, Applicability::Safe, "write `let … in …`", fix));
}

fn modern(context: &Context<'_>, node: Node<'_>) -> Option<Fix> {
    let Expr::LegacyLet(set) = context.ir.expr(context.expr_of(node.id())?) else { return None };
    let attrs = context.ir.set_attrs(set);
    let scope = context.ir.sets[set.index()].scope?;
    let body = attrs.iter().position(|attr| context.ir.symbol(attr.symbol) == "body")?;
    let binding = context.ir.scope_bindings(scope).nth(body)?;
    let is_known = attrs.iter().all(|attr| context.ir.symbol(attr.symbol) != "__overrides");
    let is_used = !context.uses().of(binding).is_empty();
    if !is_known
        || is_used
        || attrs[body].kind != AttrKind::Plain
        || !context.ir.set_dynamics(set).is_empty()
    {
        return None;
    }
    let entry =
        context.node(attrs[body].name).ancestors().find(|n| n.kind() == NodeKind::Binding)?;
    let value = ast::Binding::cast(entry)?.value()?;
    let gone = layout::removal(entry);
    let (brace, end) = (node.own_token(TokenKind::LBrace)?, node.last_token()?);
    let text = context.text();
    let is_bare = !text[gone.as_usize()].contains(['#', '*']) && !has_comment(entry);
    if !is_bare || ast::entries(node).nth(1).is_none() {
        return None;
    }
    let head = text[brace.range().end as usize..gone.start as usize].trim_end();
    let rest = text[gone.end as usize..end.range().start as usize].trim_end();
    let line = if node.text().contains('\n') { "\n" } else { " " };
    let (open, close) = if takes_anything(node) { ("", "") } else { ("(", ")") };
    replaced(node, || format!("{open}let{head}{rest}{line}in {}{close}", value.text()))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn the_old_form_is_found() {
        assert_eq!(marked("STY003", "let { body = 1; }"), "let { body = 1; }");
        assert_eq!(marked("STY003", "let body = 1; in body"), "");
    }

    #[test]
    fn it_becomes_the_new_one() {
        assert_eq!(fixed("STY003", "let { a = 1; body = a; }"), "let a = 1; in a");
        assert_eq!(fixed("STY003", "let { body = a; a = 1; }"), "let a = 1; in a");
        assert_eq!(fixed("STY003", "f: f let { a = 1; body = a; }"), "f: f (let a = 1; in a)");
        assert_eq!(
            fixed("STY003", "let {\n  # one\n  a = 1;\n  body = a;\n}\n"),
            "let\n  # one\n  a = 1;\nin a\n"
        );
    }

    #[test]
    fn what_is_more_than_a_let_stays() {
        for text in [
            "let { a = body; body = 1; }",
            "let { __overrides = { body = 2; }; body = 1; }",
            "x: let { ${x} = 2; body = 1; }",
            "x: let { inherit (x) a body; }",
            "let { body.a = 1; b = 2; }",
        ] {
            assert_eq!(fixed("STY003", text), text);
        }
    }
}
