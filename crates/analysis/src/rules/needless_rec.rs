//! DEAD008: a `rec` whose set does not refer to itself.

use cim_nix_base::{Code, Severity, TextEdit, TextRange};
use cim_nix_semantics::{AttrKind, Expr, Ir};
use cim_nix_syntax::{Node, TokenKind, ast};

use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEAD008"),
    name: "needless-rec",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Safe,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags `rec` in front of a set in which nothing refers to an attribute of the set by its name.

Sets with `__overrides` and sets that other attribute paths are merged into are left alone.

## Why it matters

In a recursive set every name may mean an attribute of the set, so the reader has to know them all,
and a new attribute can capture a name that meant something else.

## Example

```nix
stdenv:
stdenv.mkDerivation rec {
  pname = \"hello\";
  version = \"2.12\";
}
```

## Better

```nix
stdenv:
stdenv.mkDerivation {
  pname = \"hello\";
  version = \"2.12\";
}
```

## When the fix is unsafe

Never: no name means anything else without the `rec`.

## Source

Also found by nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let mut merged = None;
    for (at, set) in context.ir.sets.iter().enumerate() {
        let Some(scope) = set.scope else { continue };
        let Some(literal) = ast::AttrSet::cast(context.node(set.node)) else { continue };
        let attrs = &context.ir.attrs[set.attrs.range()];
        let is_free = |name: &str| name != "__overrides";
        let is_needless =
            context.ir.scope_bindings(scope).all(|id| context.uses().of(id).is_empty())
                && attrs.iter().all(|attr| is_free(context.ir.symbol(attr.symbol)));
        if !is_needless || merged.get_or_insert_with(|| merged_sets(context.ir))[at] {
            continue;
        }
        if let Some(rec) = literal.rec_token() {
            report.add(finding(context, literal.node(), rec.range()));
        }
    }
}

/// For each set: whether it is a literal that another binding of the same name was merged into.
fn merged_sets(ir: &Ir) -> Vec<bool> {
    let mut merged = vec![false; ir.sets.len()];
    for attr in ir.attrs.iter().filter(|attr| attr.kind == AttrKind::Nested) {
        if let Expr::AttrSet(set) = ir.expr(attr.value) {
            merged[set.index()] = true;
        }
    }
    merged
}

fn finding(context: &Context<'_>, set: Node<'_>, rec: TextRange) -> Finding {
    let rest = &context.text()[rec.end as usize..];
    let blanks = rest.len() - rest.trim_start().len();
    let edit = TextEdit::remove(TextRange::new(rec.start, rec.end + blanks as u32));
    let tokens = set.own_tokens().filter(|token| token.kind() != TokenKind::Rec);
    let tokens = tokens.map(|token| token.text().to_owned()).collect();
    let rewrite = Rewrite::SetTokens { node: set.id(), tokens };
    Finding::at(rec, "this set does not refer to itself").safe_fix(
        "remove the `rec`",
        vec![edit],
        vec![rewrite],
    )
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, marked};

    #[test]
    fn sets_that_do_not_refer_to_themselves_are_found() {
        assert_eq!(marked("DEAD008", "rec { }"), "rec");
        assert_eq!(marked("DEAD008", "rec { a = 1; b = { c = 2; }; }"), "rec");
        assert_eq!(marked("DEAD008", "a: rec { inherit a; b = s.a; }"), "rec");
        assert_eq!(marked("DEAD008", "rec { a = rec { a = 1; b = a; }; }"), "rec");
        assert_eq!(marked("DEAD008", "rec { a = a: a; }"), "rec");
        assert_eq!(marked("DEAD008", "let { body = 1; }"), "");
    }

    #[test]
    fn every_kind_of_reference_counts() {
        assert_eq!(marked("DEAD008", "rec { a = 1; b = a; }"), "");
        assert_eq!(marked("DEAD008", "rec { a = 1; b = { inherit a; }; }"), "");
        assert_eq!(marked("DEAD008", "rec { a = { }; inherit (a) b; }"), "");
        assert_eq!(marked("DEAD008", "rec { a = \"b\"; ${a} = 1; }"), "");
        assert_eq!(marked("DEAD008", "rec { a = 1; ${b} = a; }"), "");
        assert_eq!(marked("DEAD008", "s: rec { a = 1; b = with s; a; }"), "");
        assert_eq!(marked("DEAD008", "rec { a.b = 1; c = a.b; }"), "");
        assert_eq!(marked("DEAD008", "rec { __sub = a: b: 0; c = 1 - 2; }"), "");
    }

    #[test]
    fn sets_that_are_more_than_they_seem_are_left_alone() {
        assert_eq!(marked("DEAD008", "rec { a = 1; __overrides = { a = 2; }; }"), "");
        assert_eq!(marked("DEAD008", "rec { inherit (x) __overrides; }"), "");
        assert_eq!(marked("DEAD008", "{ a = rec { b = 1; }; a.c = 2; }"), "");
        assert_eq!(marked("DEAD008", "{ a.b = rec { c = 1; }; a.b.d = 2; }"), "");
        assert_eq!(marked("DEAD008", "{ a.c = 2; a = rec { b = 1; }; }"), "");
        assert_eq!(marked("DEAD008", "{ a.b = rec { c = 1; }; a.d = 2; }"), "rec");
    }

    #[test]
    fn the_word_goes_with_the_blanks_behind_it() {
        assert_eq!(fixed("DEAD008", "f rec { a = 1; }"), "f { a = 1; }");
        assert_eq!(fixed("DEAD008", "f rec{a=1;}"), "f {a=1;}");
        assert_eq!(fixed("DEAD008", "f rec\r\n{ a = 1; }"), "f { a = 1; }");
        assert_eq!(fixed("DEAD008", "f rec /* b */ { a = 1; }"), "f /* b */ { a = 1; }");
        assert_eq!(fixed("DEAD008", "rec { a = rec { b = 1; }; }"), "{ a = { b = 1; }; }");
    }
}
