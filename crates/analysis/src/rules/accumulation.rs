//! PERF004 and PERF005: sets and lists that a fold or a recursive function builds step by step.

use cim_nix_base::{Applicability, Code, Severity};
use cim_nix_semantics::{BindingId, BindingKind, Expr};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::{
    Fix, arguments, binding_of, called_library, has_comment, last_name, replaced, tail_argument,
    with_fix,
};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const GROWING_SET: Rule = Rule {
    code: Code("PERF004"),
    name: "growing-set",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_sets),
    words: &["fold", "tail"],
    doc: "\
Flags a fold, or a function that calls itself with the tail of a list, that adds to a set by `//` in
each step.

Folds over a list of few elements that is written out are left alone, and so are those that look
into the set they build.

## Why it matters

Each `//` copies the set made so far, so the work grows with the square of the length.
`lib.mergeAttrsList` and `listToAttrs` do it in one go.

## Example

```nix
{ lib, names }:
lib.foldl' (set: name: set // { ${name} = lib.stringLength name; }) { } names
```

## Better

```nix
{ lib, names }:
lib.genAttrs names (name: lib.stringLength name)
```

```nix
{ lib, sets }:
lib.mergeAttrsList sets
```

## Source

NixOS/nixpkgs pull request 528515; no other tool looks for it.
",
};

pub(crate) const GROWING_LIST: Rule = Rule {
    code: Code("PERF005"),
    name: "growing-list",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::Nodes(&[NodeKind::Apply], check_lists),
    words: &["fold", "tail"],
    doc: "\
Flags a fold, or a function that calls itself with the tail of a list, that adds to a list by `++` in
each step.

Folds over a list of few elements that is written out are left alone, and so are those that look
into the list they build.

## Why it matters

Each `++` copies the list made so far, so the work grows with the square of the length. `concatMap`,
`map` and `filter` do it in one go.

## Example

```nix
{ lib, xs }:
lib.foldl' (acc: x: acc ++ [ x x ]) [ ] xs
```

## Better

```nix
{ lib, xs }:
lib.concatMap (x: [ x x ]) xs
```

## When the fix is unsafe

Always: `lib` is told by its name alone, and a fold that fails half-way may have been meant to.

## Source

NixOS/nixpkgs pull request 17626 (31.8 s became 0.1 s); no other tool looks for it.
",
};

/// Lists written out up to this length cost nothing worth a finding.
const MAX_FEW: usize = 8;

/// Whether `list` is a short list that is written out, or one that `map` makes of it.
fn is_short<'a>(context: &Context<'a>, list: Node<'a>) -> bool {
    let Some(list) = context.value_behind(list) else { return false };
    let list = match list.kind() {
        NodeKind::Apply if context.called(list).is_some_and(|made| made.is_builtin("map")) => {
            list.child(2).and_then(|list| context.value_behind(list))
        }
        _ => Some(list),
    };
    list.is_some_and(|list| list.kind() == NodeKind::List && list.children().count() <= MAX_FEW)
}

const FOLDS: &[&str] = &["foldl'", "foldl", "foldr", "fold", "foldlAttrs"];

fn check_sets(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if let Some(fold) = Fold::of(context, node) {
        if let Some(step) = fold.growth(context, TokenKind::Update) {
            report.add(
                Finding::at(step.range(), "each step of this fold copies the set made so far")
                    .help("`lib.mergeAttrsList` or `listToAttrs` makes the set in one go"),
            );
        }
    } else if let Some(step) = recursive_growth(context, node, TokenKind::Update) {
        report.add(
            Finding::at(step.range(), "each call copies the set made so far")
                .help("`lib.mergeAttrsList` or `listToAttrs` makes the set in one go"),
        );
    }
}

fn check_lists(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if let Some(fold) = Fold::of(context, node) {
        if let Some(step) = fold.growth(context, TokenKind::Concat) {
            let found =
                Finding::at(step.range(), "each step of this fold copies the list made so far")
                    .help("`concatMap`, `map` or `filter` makes the list in one go");
            let fix = fold.as_concat_map(context, step);
            report.add(with_fix(found, Applicability::Unsafe, "use `concatMap`", fix));
        }
    } else if let Some(step) = recursive_growth(context, node, TokenKind::Concat) {
        report.add(
            Finding::at(step.range(), "each call copies the list made so far")
                .help("`concatMap`, `map` or `filter` makes the list in one go"),
        );
    }
}

/// A fold with its function written out.
struct Fold<'a> {
    node: Node<'a>,
    is_from_right: bool,
    /// Whether it goes over the names and values of a set, as `foldlAttrs` does.
    is_over_set: bool,
    /// What has been built so far.
    acc: BindingId,
    /// The parameter for the element, if it is one name.
    element: Option<Node<'a>>,
    body: Node<'a>,
    /// Initial value and list, where both are given.
    rest: Option<[Node<'a>; 2]>,
}

impl<'a> Fold<'a> {
    fn of(context: &Context<'a>, node: Node<'a>) -> Option<Self> {
        let origin = called_library(context, node, FOLDS)?;
        let is_from_right = matches!(origin.name, "foldr" | "fold");
        let outer = ast::Lambda::cast(ast::without_parens(node.child(1)?)?)?;
        let mut inner = ast::Lambda::cast(ast::without_parens(outer.body()?)?)?;
        let (acc, element) = if is_from_right { (inner, outer) } else { (outer, inner) };
        let is_over_set = origin.name == "foldlAttrs";
        if is_over_set {
            inner = ast::Lambda::cast(ast::without_parens(inner.body()?)?)?;
        }
        let acc = parameter(context, acc.node())?;
        let element = element.param().map(ast::Param::node);
        let rest = arguments::<3>(node).map(|[_, initial, list]| [initial, list]);
        let body = inner.body()?;
        Some(Self { node, is_from_right, is_over_set, acc, element, body, rest })
    }

    /// Where the fold adds to what it has, if every step does nothing else with it.
    fn growth(&self, context: &Context<'a>, operator: TokenKind) -> Option<Node<'a>> {
        if self.rest.is_some_and(|[_, list]| is_short(context, list)) {
            return None;
        }
        let mut n_uses = 0;
        let step = grown(context, self.body, self.acc, operator, &mut n_uses)?;
        (context.uses().of(self.acc).len() == n_uses).then_some(step)
    }

    /// Edits that make `foldl' (acc: x: acc ++ e) [ ] xs` a `concatMap (x: e) xs`.
    fn as_concat_map(&self, context: &Context<'a>, step: Node<'a>) -> Option<Fix> {
        if self.is_over_set {
            return None;
        }
        let [initial, list] = self.rest?;
        let is_empty = initial.kind() == NodeKind::List && initial.is_leaf();
        let [left, right] = operands(step)?;
        let (kept, given) = if self.is_from_right { (left, right) } else { (right, left) };
        let keeps_order = binding_of(context, given) == Some(self.acc);
        let is_whole = ast::without_parens(self.body) == Some(step);
        let function = self.node.child(0)?;
        let name = last_name(function)?;
        if !is_empty || !is_whole || !keeps_order || function == name || has_comment(self.node) {
            return None;
        }
        let prefix = &function.text()[..(name.range().start - function.range().start) as usize];
        let element = self.element?.text();
        let (kept, list) = (kept.text(), list.text());
        replaced(self.node, || format!("{prefix}concatMap ({element}: {kept}) {list}"))
    }
}

fn operands(node: Node<'_>) -> Option<[Node<'_>; 2]> {
    let mut operands = node.children();
    let found = [operands.next()?, operands.next()?];
    operands.next().is_none().then_some(found)
}

/// The binding of the parameter of `lambda`, a plain name.
fn parameter(context: &Context<'_>, lambda: Node<'_>) -> Option<BindingId> {
    let Expr::Lambda(id) = context.ir.expr(context.expr_of(lambda.id())?) else { return None };
    let lambda = context.ir.lambda(id);
    let is_plain = !lambda.has_pattern;
    context.ir.scope_bindings(lambda.scope).next().filter(|_| is_plain)
}

/// The step in `body` that adds to `acc` by `operator`: every result must be `acc` itself or such a
/// step, and `n_uses` counts how often they name it.
fn grown<'a>(
    context: &Context<'a>,
    body: Node<'a>,
    acc: BindingId,
    operator: TokenKind,
    n_uses: &mut usize,
) -> Option<Node<'a>> {
    let mut step = None;
    let mut open = vec![body];
    while let Some(node) = open.pop() {
        match node.kind() {
            NodeKind::Paren => open.push(node.child(0)?),
            NodeKind::LetIn | NodeKind::With | NodeKind::Assert => open.push(node.last_child()?),
            NodeKind::IfElse => open.extend(node.children().skip(1)),
            NodeKind::Ident if binding_of(context, node) == Some(acc) => *n_uses += 1,
            NodeKind::Binary if ast::Binary::cast(node)?.operator() == operator => {
                let is_acc = |operand: &Node<'a>| binding_of(context, *operand) == Some(acc);
                if node.children().filter(is_acc).count() != 1 {
                    return None;
                }
                *n_uses += 1;
                step = step.or(Some(node));
            }
            _ => return None,
        }
    }
    step
}

/// The argument by which a function that works along a list calls itself and adds to what it was
/// given.
fn recursive_growth<'a>(
    context: &Context<'a>,
    node: Node<'a>,
    operator: TokenKind,
) -> Option<Node<'a>> {
    let function = node.child(0).filter(|function| function.kind() == NodeKind::Ident)?;
    let mut arguments = node.children().skip(1);
    tail_argument(node)?;
    let binding = context.ir.binding_attr(binding_of(context, function)?)?;
    let value = context.node(context.ir.node(binding.value));
    if !value.contains(node) {
        return None;
    }
    arguments.find_map(|argument| {
        let step = ast::without_parens(argument)?;
        let is_step = step.kind() == NodeKind::Binary
            && ast::Binary::cast(step).is_some_and(|step| step.operator() == operator);
        let is_given = |operand: Node<'a>| {
            let binding = binding_of(context, operand).map(|id| context.ir.binding(id));
            binding.is_some_and(|found| {
                found.kind == BindingKind::Param && value.contains(context.node(found.name))
            })
        };
        (is_step && step.children().any(is_given)).then_some(step)
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, found, marked};

    #[test]
    fn folds_that_grow_a_set() {
        assert_eq!(
            found("PERF004", "{ lib }: lib.foldl' (a: x: a // f x) { } xs"),
            "a // f x: each step of this fold copies the set made so far\n"
        );
        assert_eq!(marked("PERF004", "{ lib }: lib.foldr (x: a: f x // a) { }"), "f x // a");
        assert_eq!(
            marked("PERF004", "builtins.foldl' (a: x: let y = x; in a // y) { } xs"),
            "a // y"
        );
        let attrs = "{ lib }: lib.foldlAttrs (a: n: v: a // { ${v} = n; }) { } xs";
        assert_eq!(marked("PERF004", attrs), "a // { ${v} = n; }");
        assert_eq!(marked("PERF004", "with lib; fold (x: a: a // x) { } xs"), "a // x");
    }

    #[test]
    fn folds_that_grow_a_list() {
        assert_eq!(marked("PERF005", "{ lib }: lib.foldl' (a: x: a ++ x) [ ] xs"), "a ++ x");
        let chosen = "{ lib }: lib.foldl' (a: x: if x then a ++ [ x ] else a) [ ] xs";
        assert_eq!(marked("PERF005", chosen), "a ++ [ x ]");
    }

    #[test]
    fn folds_that_look_at_what_they_build_are_left_alone() {
        let lib =
            |body: &str| marked("PERF004 PERF005", &format!("{{ lib }}: lib.foldl' {body} xs"));
        assert_eq!(lib("(a: x: a // { n = a.n or 0 + 1; }) { }"), "");
        assert_eq!(lib("(a: x: if lib.elem x a then a else a ++ [ x ]) [ ]"), "");
        assert_eq!(lib("(a: x: { set = a.set // x; }) { }"), "");
        assert_eq!(lib("(a: x: lib.recursiveUpdate a x) { }"), "");
        assert_eq!(lib("(a: x: a + x) 0"), "");
        assert_eq!(marked("PERF004", "foldl' (a: x: a // x) { } xs"), "");
        assert_eq!(marked("PERF004", "{ lib }: lib.foldl' (a: x: a // x) { } [ 1 2 ]"), "");
    }

    #[test]
    fn functions_that_call_themselves() {
        let text =
            "let go = acc: xs: if xs == [ ] then acc else go (acc ++ [ (f xs) ]) (tail xs); in go";
        assert_eq!(marked("PERF005", text), "acc ++ [ (f xs) ]");
        let set = "let go = acc: xs: go (acc // xs.a) (builtins.tail xs); in go";
        assert_eq!(marked("PERF004", set), "acc // xs.a");
        assert_eq!(marked("PERF004", "let go = acc: x: go (acc // x.a) x.b; in go"), "");
        assert_eq!(marked("PERF004", "let go = f; acc = 1; in x: go (acc // x) (tail x)"), "");
    }

    #[test]
    fn a_fold_becomes_a_concat_map() {
        let fixed = |text: &str| fixed_unsafely("PERF005", text);
        assert_eq!(
            fixed("{ lib }: xs: lib.foldl' (a: x: a ++ [ x ]) [ ] xs"),
            "{ lib }: xs: lib.concatMap (x: [ x ]) xs"
        );
        assert_eq!(
            fixed("{ lib }: xs: lib.foldr (x: a: [ x ] ++ a) [ ] (lib.tail xs)"),
            "{ lib }: xs: lib.concatMap (x: [ x ]) (lib.tail xs)"
        );
        let unsure = "{ lib }: xs: lib.foldr (x: a: a ++ [ x ]) [ ] xs";
        assert_eq!(fixed(unsure), unsure, "it turns the list around");
        let more = "{ lib }: xs: lib.foldl' (a: x: a ++ [ x ]) [ 1 ] xs";
        assert_eq!(fixed(more), more);
        let set = "{ lib }: xs: lib.foldlAttrs (a: n: _: a ++ [ n ]) [ ] xs";
        assert_eq!(fixed(set), set, "`concatMap` wants a list");
    }

    #[test]
    fn a_short_list_that_is_mapped_is_short() {
        let fold = |list: &str| format!("builtins.foldl' (acc: x: acc // f x) {{ }} ({list})");
        assert_eq!(marked("PERF004", &fold("map g [ \"a\" \"b\" ]")), "");
        assert_eq!(marked("PERF004", &fold("map g xs")), "acc // f x");
    }
}
