//! PERF011: grouping by hand.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::{called_library, is_same_code, spelled};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("PERF011"),
    name: "manual-grouping",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["fold"],
    doc: "\
Flags a fold that sorts the elements of a list into groups by hand, which `builtins.groupBy` does.

## Why it matters

The fold copies the set and one of its lists in each step, so the work grows with the square of the
length. The rule is opt-in: `groupBy` keeps the order of the elements, and the fold may not.

## Example

```nix
builtins.foldl' (groups: x: groups // { ${x.kind} = (groups.${x.kind} or [ ]) ++ [ x ]; }) { }
```

## Better

```nix
builtins.groupBy (x: x.kind)
```

## Source

Found by an older version of statix.
",
};

const FOLDS: &[&str] = &["foldl'", "foldl", "foldr", "fold"];

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(name) = node.child(0).and_then(spelled).filter(|name| FOLDS.contains(name)) else {
        return;
    };
    let step = node.child(1).and_then(inner_body);
    if step.is_some_and(|step| adds_to_group(step).unwrap_or_default())
        && called_library(context, node, &[name]).is_some()
    {
        report.add(
            Finding::at(node.range(), "this is `builtins.groupBy`")
                .help("`groupBy (x: key) list` keeps the order of the list"),
        );
    }
}

/// The body of a function of two arguments.
fn inner_body(function: Node<'_>) -> Option<Node<'_>> {
    let outer = ast::Lambda::cast(ast::without_parens(function)?)?;
    let inner = ast::Lambda::cast(ast::without_parens(outer.body()?)?)?;
    ast::without_parens(inner.body()?)
}

/// Whether `step` is `set // { ${key} = (set.${key} or [ ]) ++ more; }`.
fn adds_to_group(step: Node<'_>) -> Option<bool> {
    let update = ast::Binary::cast(step).filter(|step| step.operator() == TokenKind::Update)?;
    let mut operands = update.operands();
    let (acc, group) = (operands.next()?, ast::without_parens(operands.next()?)?);
    let binding = ast::AttrSet::cast(group)?.entries().next()?.node();
    let key = binding.child(0)?.child(0).filter(|key| key.kind() == NodeKind::Dynamic)?;
    let value = ast::without_parens(binding.child(1)?)?;
    ast::Binary::cast(value).filter(|value| value.operator() == TokenKind::Concat)?;
    let mut parts = value.children().filter_map(ast::without_parens);
    let old = parts.find_map(ast::Select::cast)?;
    let is_same_key = is_same_code(old.attr_path()?.node(), key);
    Some(is_same_key && is_same_code(old.base()?, acc) && old.default().is_some())
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn groups_made_by_hand() {
        let fold = |step: &str| {
            !marked("PERF011", &format!("builtins.foldl' (a: x: {step}) {{ }}")).is_empty()
        };
        assert!(fold("a // { ${f x} = a.${f x} or [ ] ++ [ x ]; }"));
        assert!(fold("a // { ${x.k} = [ x ] ++ (a.${x.k} or [ ]); }"));
        assert!(!fold("a // { ${f x} = a.${f x} or 0 + 1; }"));
        assert!(!fold("a // { ${f x} = a.${x} or [ ] ++ [ x ]; }"));
        assert!(!fold("a // { b = a.b or [ ] ++ [ x ]; }"));
        assert!(!fold("a // x"));
    }
}
