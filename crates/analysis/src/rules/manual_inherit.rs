//! STY001: bindings that an `inherit` says shorter.

use cim_nix_base::{Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::calls::has_comment;
use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY001"),
    name: "manual-inherit",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Safe,
    check: Check::Nodes(&[NodeKind::AttrSet, NodeKind::LetIn], check),
    words: &[],
    doc: "\
Flags `a = a;` and `a = set.a;`, which `inherit` says shorter. Neighbours become one `inherit`.

A binding with a comment inside is left alone. In a `let` or a recursive set, `a = a;` means
something else: see `self-reference`.

## Why it matters

The name stands there once instead of twice. It is a matter of taste, so the rule is opt-in.

## Example

```nix
{ lib, pkgs }:
{
  lib = lib;
  hello = pkgs.hello;
  tree = pkgs.tree;
}
```

## Better

```nix
{ lib, pkgs }:
{
  inherit lib;
  inherit (pkgs) hello tree;
}
```

## When the fix is unsafe

Never: values are taken from the same sets, as late as before. Comments stay where they are.

## Source

Also found by statix, as two rules whose fixes make one `inherit` for each name.
",
};

/// A binding that takes a value of the same name from somewhere.
#[derive(Clone, Copy)]
struct Taken<'t> {
    binding: Node<'t>,
    name: &'t str,
    /// Where from; `None` for what is in scope.
    source: Option<TextRange>,
}

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let is_plain = ast::AttrSet::cast(node).is_some_and(|set| !set.is_rec());
    let mut run: Option<(Taken<'_>, Taken<'_>)> = None;
    for entry in node.children() {
        let taken = taken(entry).filter(|taken| taken.source.is_some() || is_plain);
        run = match (run, taken) {
            (Some((first, last)), Some(taken)) if goes_on(context, last, taken) => {
                Some((first, taken))
            }
            (run, taken) => {
                add(context, run, report);
                taken.map(|taken| (taken, taken))
            }
        };
    }
    add(context, run, report);
}

fn taken(entry: Node<'_>) -> Option<Taken<'_>> {
    let binding = ast::Binding::cast(entry)?;
    let value = entry.child(1)?;
    if !matches!(value.kind(), NodeKind::Ident | NodeKind::Select) {
        return None;
    }
    let name = only_name(binding.attr_path()?.node())?;
    let source = match value.kind() {
        NodeKind::Ident => (value.text() == name).then_some(None)?,
        _ => Some(source(value, name)?),
    };
    (!has_comment(entry)).then_some(Taken { binding: entry, name, source })
}

/// The name that an attribute path consists of.
fn only_name(path: Node<'_>) -> Option<&str> {
    let mut elements = path.children();
    let name = elements.next().filter(|name| name.kind() == NodeKind::Name)?;
    elements.next().is_none().then(|| name.text())
}

/// What `name` is selected from by `select`.
fn source(select: Node<'_>, name: &str) -> Option<TextRange> {
    let view = ast::Select::cast(select)?;
    let path = view.attr_path()?.node();
    let last = path.last_child().filter(|last| last.kind() == NodeKind::Name)?;
    if last.text() != name || view.default().is_some() {
        return None;
    }
    let base = view.base()?;
    if path.child(0) != Some(last) {
        let dot = last.token_before().filter(|token| token.kind() == TokenKind::Dot)?;
        return Some(TextRange::new(base.range().start, dot.range().start));
    }
    Some(ast::without_parens(base)?.range())
}

/// Whether two bindings, one behind the other, take from the same place and nothing but one line
/// break stands between them.
fn goes_on(context: &Context<'_>, last: Taken<'_>, next: Taken<'_>) -> bool {
    let text = |taken: Taken<'_>| taken.source.map(|range| &context.text()[range.as_usize()]);
    let between = TextRange::new(last.binding.range().end, next.binding.range().start);
    let gap = &context.text()[between.as_usize()];
    let is_near = gap.trim().is_empty() && gap.bytes().filter(|byte| *byte == b'\n').count() < 2;
    is_near && text(last) == text(next)
}

fn add(context: &Context<'_>, run: Option<(Taken<'_>, Taken<'_>)>, report: &mut Report) {
    let Some((first, last)) = run else { return };
    let mut text = "inherit".to_owned();
    if let Some(source) = first.source {
        text.push_str(&format!(" ({})", &context.text()[source.as_usize()]));
    }
    let mut rewrites = Vec::new();
    let followers = std::iter::successors(Some(first.binding), |node| node.next_sibling());
    for binding in followers {
        let Some(taken) = taken(binding) else { break };
        text.push(' ');
        text.push_str(taken.name);
        rewrites.push(Rewrite::Remove(binding.id()));
        if binding == last.binding {
            break;
        }
    }
    text.push(';');
    rewrites[0] = Rewrite::Entry { node: first.binding.id(), text: text.clone() };
    let range = first.binding.range().cover(last.binding.range());
    let found = Finding::at(range, "an `inherit` says this shorter");
    let edit = TextEdit::replace(range, text);
    report.add(found.safe_fix("use `inherit`", vec![edit], rewrites));
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn names_taken_as_they_are() {
        assert_eq!(marked("STY001", "a: { a = a; }"), "a = a;");
        assert_eq!(marked("STY001", "x: { a = x.y.a; }"), "a = x.y.a;");
        assert_eq!(marked("STY001", "x: let a = x.a; in a"), "a = x.a;");
        assert_eq!(marked("STY001", "x: { a = x.a or 1; b.a = x.a; a1 = x.a; ${x}.b = 1; }"), "");
        assert_eq!(marked("STY001", "rec { a = a; }"), "");
        assert_eq!(marked("STY001", "let a = a; in 1"), "");
        assert_eq!(marked("STY001", "x: { a = x.\"a\"; \"b\" = x.b; }"), "");
    }

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(
            fixed("STY001", "x: { a = x.a; b = x.b; c = 1; d = x.d; }"),
            "x: { inherit (x) a b; c = 1; inherit (x) d; }"
        );
        assert_eq!(fixed("STY001", "a: b: { a = a; b = b; }"), "a: b: { inherit a b; }");
        assert_eq!(
            fixed("STY001", "f: { a = (f 1).a; b = (f 1).b; }"),
            "f: { inherit (f 1) a b; }"
        );
        assert_eq!(
            fixed("STY001", "x: { a = x.y.a; b = x.b; }"),
            "x: { inherit (x.y) a; inherit (x) b; }"
        );
        assert_eq!(fixed("STY001", "x: let a = x.a; in a"), "x: let inherit (x) a; in a");
        assert_eq!(fixed("STY001", "x: rec { a = x.a; }"), "x: rec { inherit (x) a; }");
        assert_eq!(fixed("STY001", "x: { or = x.or; }"), "x: { inherit (x) or; }");
    }

    #[test]
    fn comments_stay() {
        assert_eq!(
            fixed("STY001", "x: {\n  a = x.a; # one\n  # two\n  b = x.b;\n\n  c = x.c;\n}"),
            "x: {\n  inherit (x) a; # one\n  # two\n  inherit (x) b;\n\n  inherit (x) c;\n}"
        );
        let inside = "x: { a = /* why */ x.a; }";
        assert_eq!(fixed("STY001", inside), inside);
    }
}
