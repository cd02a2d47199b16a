//! PERF007 and PERF008: searches that go through a list again for each element.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::{arguments, called_library, spelled};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const UNIQUE: Rule = Rule {
    code: Code("PERF007"),
    name: "unique-of-computed-list",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_unique),
    words: &["unique"],
    doc: "\
Flags `lib.unique` of a list that is computed: mapped, joined or flattened.

## Why it matters

`unique` compares each element with all those before it, so the work grows with the square of the
length. The attributes of a set are unique by themselves. The rule is opt-in, since short lists are
as common.

## Example

```nix
{ lib, users }:
lib.unique (lib.concatMap (user: user.groups) users)
```

## Better

```nix
{ lib, users }:
lib.attrNames (lib.mergeAttrsList (map (user: lib.genAttrs user.groups (_: null)) users))
```

## Source

NixOS/nixpkgs issue 104744; no other tool looks for it.
",
};

pub(crate) const ELEM: Rule = Rule {
    code: Code("PERF008"),
    name: "elem-of-long-list",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_elem),
    words: &["elem"],
    doc: "\
Flags `elem` in a function that looks through a list of sixteen or more elements that is written out.

## Why it matters

Each call goes through the list. A look-up in a set takes the same time whatever its size. The rule
is opt-in, since it matters only where the function is called often.

## Example

```nix
names:
builtins.filter (
  name: builtins.elem name [ \"a\" \"b\" \"c\" \"d\" \"e\" \"f\" \"g\" \"h\" \"i\" \"j\" \"k\" \"l\" \"m\" \"n\" \"o\" \"p\" ]
) names
```

## Better

```nix
{ names, known }:
builtins.filter (name: known ? ${name}) names
```

## Source

No other tool looks for it.
",
};

/// Lists of fewer elements are searched as fast as sets.
const MIN_LONG: usize = 16;

/// Functions whose results are as long as the data.
const COMPUTED: &[&str] =
    &["concatMap", "map", "flatten", "concatLists", "mapAttrsToList", "filter", "catAttrs"];

fn check_unique(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if spelled_head(node) != Some("unique") {
        return;
    }
    let Some([list]) = arguments(node) else { return };
    let is_computed = ast::without_parens(list).is_some_and(|list| match list.kind() {
        NodeKind::Apply => spelled_head(list).is_some_and(|name| COMPUTED.contains(&name)),
        NodeKind::Binary => ast::Binary::cast(list).is_some_and(|sum| {
            sum.operator() == TokenKind::Concat
                && list.children().all(|operand| operand.kind() != NodeKind::List)
        }),
        _ => false,
    });
    if is_computed && called_library(context, node, &["unique"]).is_some() {
        let message = "`unique` compares each element with all those before it";
        report.add(
            Finding::at(node.range(), message).help("the attributes of a set are unique as well"),
        );
    }
}

fn check_elem(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if spelled_head(node) != Some("elem") {
        return;
    }
    let Some([_, list]) = arguments(node) else { return };
    let Some(list) = context.value_behind(list).filter(|list| list.kind() == NodeKind::List) else {
        return;
    };
    let is_long = list.children().nth(MIN_LONG - 1).is_some();
    let is_called_often = node.ancestors().any(|above| {
        above.kind() == NodeKind::Lambda
            && above.parent().is_some_and(|paren| {
                paren.kind() == NodeKind::Paren
                    && paren.parent().is_some_and(|call| call.kind() == NodeKind::Apply)
            })
    });
    if is_long && is_called_often && called_library(context, node, &["elem"]).is_some() {
        report.add(
            Finding::at(node.range(), "each call goes through the whole list")
                .label(list.range(), "this one")
                .help("make a set of it once, and ask by `?`"),
        );
    }
}

fn spelled_head(apply: Node<'_>) -> Option<&str> {
    spelled(apply.child(0)?)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn computed_lists_made_unique() {
        let text = "{ lib }: x: lib.unique (map f x)";
        assert_eq!(marked("PERF007", text), "lib.unique (map f x)");
        assert_eq!(marked("PERF007", "with lib; x: unique (x.a ++ x.b)"), "unique (x.a ++ x.b)");
        assert_eq!(marked("PERF007", "{ lib }: x: lib.unique x"), "");
        assert_eq!(marked("PERF007", "{ lib }: x: lib.unique (x ++ [ 1 ])"), "");
        assert_eq!(marked("PERF007", "{ unique }: unique (map f x)"), "");
    }

    #[test]
    fn long_lists_searched_in_functions() {
        let list = format!("[{}]", " 1".repeat(16));
        let text = format!("let l = {list}; in builtins.filter (x: builtins.elem x l) [ ]");
        assert_eq!(marked("PERF008", &text), "builtins.elem x l");
        assert_eq!(marked("PERF008", &format!("x: builtins.elem x {list}")), "");
        assert_eq!(marked("PERF008", "builtins.filter (x: builtins.elem x [ 1 2 ]) [ ]"), "");
    }
}
