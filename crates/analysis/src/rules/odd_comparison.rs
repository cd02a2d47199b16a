//! COR013: comparisons that do not say what they seem to.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::builtins;
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use crate::context::Context;
use crate::origin::Home;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR013"),
    name: "odd-comparison",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binary], check),
    words: &["==", "!="],
    doc: "\
Flags `==` and `!=` with a function, with a float, or between two packages.

Packages are told by their names (`pkgs.a == pkgs.b`). It is off by default: the last two are often
meant as they stand.

## Why it matters

Two functions are never equal. Floats differ in digits that nobody sees. Two packages are equal if
their output paths are, so both must be evaluated in full; compare `pname` or `version` instead.

## Example

```nix
x: x * 0.1 == 0.3
```

## Better

```nix
x: x * 10 == 3
```

## Source

The Nix manual on the equality of values.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_comparison = node
        .own_tokens()
        .any(|token| matches!(token.kind(), TokenKind::Equal | TokenKind::NotEqual));
    if !is_comparison {
        return;
    }
    let operands: Vec<_> = node.children().filter_map(ast::without_parens).collect();
    if operands.iter().any(|operand| is_function(context, *operand)) {
        report.add(Finding::at(node.range(), "functions are never equal"));
    } else if operands.iter().any(|operand| holds_float(*operand)) {
        report.add(Finding::at(node.range(), "floats are rarely equal"));
    } else if operands.iter().all(|operand| is_package(context, *operand)) {
        report.add(Finding::at(node.range(), "this compares the output paths of two packages"));
    }
}

fn is_function<'a>(context: &Context<'a>, node: Node<'a>) -> bool {
    if !matches!(node.kind(), NodeKind::Ident | NodeKind::Select) {
        return node.kind() == NodeKind::Lambda;
    }
    let origin = context.origin(node).filter(|origin| origin.home == Home::Builtins);
    let builtin = origin.and_then(|origin| builtins::builtin(origin.name));
    builtin.is_some_and(|builtin| builtin.arity > 0)
}

/// Whether a float is compared, or arithmetic with one.
fn holds_float(node: Node<'_>) -> bool {
    let is_arithmetic = |node: Node<'_>| {
        matches!(node.kind(), NodeKind::Binary | NodeKind::Unary | NodeKind::Paren)
    };
    let is_float = |node: Node<'_>| node.own_token(TokenKind::Float).is_some();
    is_float(node) || is_arithmetic(node) && node.children().any(is_float)
}

/// `pkgs.name`, and nothing behind it.
fn is_package<'a>(context: &Context<'a>, node: Node<'a>) -> bool {
    const SETTINGS: &[&str] = &["system", "config", "path", "lib", "pname", "version", "name"];
    let is_direct = node.kind() == NodeKind::Select
        && node.child(0).is_some_and(|base| base.text() == "pkgs")
        && node.child(1).is_some_and(|path| path.children().count() == 1);
    is_direct
        && context
            .origin(node)
            .is_some_and(|origin| origin.home == Home::Packages && !SETTINGS.contains(&origin.name))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn odd_ones_are_found() {
        assert_eq!(marked("COR013", "a: a == (x: x)"), "a == (x: x)");
        assert_eq!(marked("COR013", "a: a != builtins.head"), "a != builtins.head");
        assert_eq!(marked("COR013", "a: a == 0.1"), "a == 0.1");
        assert_eq!(marked("COR013", "a: a * 0.1 == a"), "a * 0.1 == a");
        assert_eq!(marked("COR013", "{ pkgs }: pkgs.a == pkgs.b"), "pkgs.a == pkgs.b");
    }

    #[test]
    fn plain_ones_are_fine() {
        for text in [
            "a: a == 1",
            "a: a == builtins.nixVersion",
            "a: a == null",
            "a: a < 0.1",
            "{ pkgs, a }: pkgs.system == a",
            "{ pkgs }: pkgs.a.version == pkgs.b.version",
        ] {
            assert_eq!(marked("COR013", text), "", "{text}");
        }
    }
}
