//! COR014: `//` on what only the module system can merge, and imports that depend on the result.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::{BindingKind, Expr, Target};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::spelled;
use super::places::around;
use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR014"),
    name: "merged-condition",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binary, NodeKind::Binding], check),
    words: &["mkIf", "mkMerge", "mkForce", "mkDefault", "mkOverride", "mkBefore", "mkAfter", "mkOrder", "imports"],
    doc: "\
Flags `//` with an operand that `mkIf`, `mkMerge`, `mkForce` or one of their like has made, and the
`imports` of a module that depend on `config`.

## Why it matters

These functions make a set that the module system takes apart: `{ _type = \"if\"; condition; content; }`.
`//` puts attributes beside those, where nothing looks, or lets the marker swallow the other side;
in either case settings are lost without a word. `imports` must be known before there is a `config`:
to ask it there is an infinite recursion.

## Example

```nix
{ config, lib, ... }:
{
  services.tool = { enable = true; } // lib.mkIf config.big { size = 2; };
}
```

```nix
{ config, lib, ... }:
{
  imports = lib.optional config.services.tool.enable ./tool.nix;
}
```

## Better

```nix
{ config, lib, ... }:
{
  services.tool = lib.mkMerge [
    { enable = true; }
    (lib.mkIf config.big { size = 2; })
  ];
}
```

## Source

The NixOS manual on `mkIf` and `mkMerge`; Nix reports `infinite recursion encountered` for the
second one.
",
};

const MAKERS: &[&str] = &[
    "mkIf",
    "mkMerge",
    "mkForce",
    "mkDefault",
    "mkOverride",
    "mkBefore",
    "mkAfter",
    "mkOrder",
    "mkVMOverride",
];

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if node.kind() == NodeKind::Binding {
        return check_imports(context, node, report);
    }
    if node.own_token(TokenKind::Update).is_none() {
        return;
    }
    // Beside an empty set, nothing is lost.
    let is_empty = |operand: Node<'_>| {
        let set = ast::without_parens(operand).filter(|set| set.kind() == NodeKind::AttrSet);
        set.is_some_and(|set| set.child(0).is_none())
    };
    if node.children().count() == 2 && node.children().any(is_empty) {
        return;
    }
    for operand in node.children() {
        let Some(call) = ast::without_parens(operand) else { continue };
        let called = context.called(call).filter(|called| called.home != Home::Local);
        let name = called.map(|called| called.name);
        if let Some(name) = name.filter(|name| MAKERS.contains(name)) {
            let message = format!("`//` does not merge what `{name}` makes");
            let found = Finding::at(operand.range(), message);
            report.add(found.help("merge them by `mkMerge [ … ]`"));
        }
    }
}

fn check_imports(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(binding) = ast::Binding::cast(node) else { return };
    let is_imports = binding.attr_path().is_some_and(|path| path.node().text() == "imports");
    let Some(value) = binding.value().filter(|_| is_imports) else { return };
    if !is_modules_own(node) {
        return;
    }
    for variable in value.descendants().filter(|node| node.text() == "config") {
        if variable.kind() == NodeKind::Ident
            && is_modules_argument(context, variable)
            && decides(value, variable)
        {
            let found = Finding::at(variable.range(), "`imports` cannot depend on `config`");
            report.add(found.help("import it always, and put what it sets behind `mkIf`"));
            return;
        }
    }
}

/// Whether a binding stands in the set that the module of the file is.
fn is_modules_own(binding: Node<'_>) -> bool {
    around(binding).skip(1).all(|node| {
        matches!(
            node.kind(),
            NodeKind::Root | NodeKind::Paren | NodeKind::LetIn | NodeKind::With | NodeKind::Lambda
        )
    })
}

/// Whether a variable is the `config` that the file's function is given.
fn is_modules_argument<'a>(context: &Context<'a>, variable: Node<'a>) -> bool {
    let Some(id) = context.expr_of(variable.id()) else { return false };
    let Expr::Var { target: Target::Local(binding), .. } = context.ir.expr(id) else {
        return false;
    };
    let binding = context.ir.binding(binding);
    let lambda = context.node(context.ir.scopes[binding.scope.index()].node);
    let is_outermost = around(lambda).all(|node| {
        matches!(node.kind(), NodeKind::Root | NodeKind::Paren | NodeKind::LetIn | NodeKind::With)
    });
    // Who calls the file with arguments of his own (`inputs: { config, … }:`) may pass any `config`.
    binding.kind == BindingKind::Formal && is_outermost
}

/// Whether the list `imports` has other elements if the variable has another value: it is in the
/// condition of an `if` or of a function that makes lists, and not within a module or function.
fn decides(imports: Node<'_>, variable: Node<'_>) -> bool {
    let mut below = variable;
    let mut is_condition = false;
    for node in around(variable) {
        match node.kind() {
            NodeKind::AttrSet | NodeKind::Lambda | NodeKind::LetIn | NodeKind::LegacyLet => {
                return false;
            }
            NodeKind::IfElse => is_condition |= node.child(0) == Some(below),
            NodeKind::Apply => {
                let function = node.child(0).and_then(spelled).unwrap_or("");
                let is_conditional = matches!(function, "optional" | "optionals" | "mkIf");
                is_condition |= is_conditional && node.child(1) == Some(below);
            }
            _ => {}
        }
        if node == imports {
            break;
        }
        below = node;
    }
    is_condition
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn updates_of_what_modules_merge() {
        let check = |text: &str, want: &str| {
            assert_eq!(marked("COR014", &format!("{{ lib, a, ... }}: {text}")), want);
        };
        check("{ b = a // lib.mkIf true { }; }", "lib.mkIf true { }");
        check("{ b = lib.mkMerge [ a ] // a; }", "lib.mkMerge [ a ]");
        check("with lib; { b = (mkForce a) // a; }", "(mkForce a)");
        check("{ b = lib.mkIf true (a // { }); }", "");
        check("{ b = { } // lib.mkMerge [ a ]; }", "");
        check("{ b = lib.mkMerge [ (a // { }) ]; }", "");
        check("{ b = a // lib.optionalAttrs true { }; }", "");
        check("{ b = lib.mkOption { } // { }; }", "");
        check("let mkIf = c: s: s; in mkIf true a // a", "");
    }

    #[test]
    fn imports_that_ask_the_configuration() {
        let check = |text: &str, want: &str| {
            assert_eq!(marked("COR014", &format!("{{ config, lib, o, ... }}: {text}")), want);
        };
        check("{ imports = lib.optional config.a ./b; }", "config");
        check("{ imports = [ ./a ] ++ (if config.a then [ ] else [ ./b ]); }", "config");
        check("{ imports = with lib; optionals (!config.a && true) [ ]; }", "config");
        check("{ imports = lib.optional o.a ./b; }", "");
        check("{ imports = [ (import ./a { inherit config; }) ]; }", "");
        check("{ imports = [ (import ./a config) ]; }", "");
        check("{ imports = [ { a = lib.mkIf config.b 1; } ]; }", "");
        check(
            "{ imports = [ ({ config, ... }: { imports = if config.a then [ ] else [ ]; }) ]; }",
            "",
        );
        check("{ a.imports = lib.optional config.a ./b; }", "");
        check("{ a = { imports = lib.optional config.a ./b; }; }", "");
        check("{ imports = let config = o; in lib.optional config.a ./b; }", "");
    }
}
