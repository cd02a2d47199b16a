use expect_test::{Expect, expect};

use crate::rules::testing::{fixed, found, marked};

fn check_fix(before: &str, after: Expect) {
    after.assert_eq(&fixed("DEAD001", before));
}

#[test]
fn names_without_uses_are_found() {
    assert_eq!(marked("DEAD001", "let a = 1; b = 2; in b"), "a");
    assert_eq!(marked("DEAD001", "let a = 1; in { inherit (rec { a = 2; }) a; }"), "a");
    assert_eq!(marked("DEAD001", "let a = 1; in x: with x; a"), "");
    assert_eq!(marked("DEAD001", "let a = 1; in { inherit a; }"), "");
    assert_eq!(marked("DEAD001", "let a.b = 1; a.c = 2; in 1"), "a");
    assert_eq!(marked("DEAD001", "let __sub = a: b: 0; in 1 - 2"), "");
    assert_eq!(marked("DEAD001", "let __nixPath = [ ]; in <a>"), "");
    assert_eq!(marked("DEAD001", "a: a.b or (let c = 1; in 2)"), "c");
}

#[test]
fn guards_are_left_alone() {
    assert_eq!(marked("DEAD001", "stdenv: let stdenv = throw \"no\"; a = throw; in 1"), "a");
    assert_eq!(marked("DEAD001", "let a = throw b; b = c; c = 1; in 2"), "");
    assert_eq!(marked("DEAD001", "let a = (builtins.abort \"no\"); in x: 1"), "");
}

#[test]
fn uses_in_unused_code_do_not_count() {
    let text = "let a = b; b = 1; f = x: f (x - 1); c = d; d = c; in 1";
    expect![[r#"
        a: `a` is never used
        b: `b` is used only by bindings that are unused
        f: `f` is used only by itself
        c: `c` is used only by bindings that are unused
        d: `d` is used only by bindings that are unused
    "#]]
    .assert_eq(&found("DEAD001", text));
    check_fix(text, expect!["let in 1"]);
}

#[test]
fn names_inside_unused_code_are_judged_there() {
    assert_eq!(marked("DEAD001", "let f = x: let y = x; z = y; w = 1; in z; in 2"), "f w");
    assert_eq!(marked("DEAD001", "let f = let g = 1; in a: g; in 2"), "f");
    assert_eq!(marked("DEAD001", "{ a ? let b = 1; in b, ... }: 2"), "");
    assert_eq!(marked("DEAD001", "let f = let s = { }; inherit (s) a; in a; in 2"), "f");
    assert_eq!(marked("DEAD001", "let inherit (let a = 1; in a); in 2"), "");
}

#[test]
fn defaults_that_callers_may_replace_are_uses() {
    assert_eq!(marked("DEAD001", "let b = c; c = 1; in { a ? b }: 1"), "");
    assert_eq!(marked("DEAD001", "let b = 1; in { a ? b, ... }@args: args"), "");
    assert_eq!(marked("DEAD001", "let b = 1; in { a ? b, ... }: 1"), "b");
    assert_eq!(
        fixed("DEAD001", "let b = 1; in { a ? b, ... }: 1"),
        "let b = 1; in { a ? b, ... }: 1"
    );
}

#[test]
fn the_old_let_evaluates_its_body() {
    assert_eq!(marked("DEAD001", "let { body = x; x = y; y = 1; z = 2; v = w; w = v; }"), "z v w");
    assert_eq!(marked("DEAD001", "let { body = 1; x = 2; __overrides = { }; }"), "x");
    assert_eq!(fixed("DEAD001", "let { body = 1; x = 2; y = y; }"), "let { body = 1; }");
    assert_eq!(fixed("DEAD001", "x: let a = b: let { body = a; }; in x"), "x: let in x");
    assert_eq!(marked("DEAD001", "rec { a = 1; }"), "");
}

#[test]
fn dotted_names_go_as_a_whole() {
    check_fix(
        "let\n  a.b = 1;\n  c = 2;\n  a.d.e = 3;\n  a = { f = 4; };\n  \"a\".g = 5;\nin\nc\n",
        expect![[r#"
            let
              c = 2;
            in
            c
        "#]],
    );
    check_fix("let a = { b = 1; }; a.c = 2; d = 3; in d", expect!["let d = 3; in d"]);
}

#[test]
fn groups_go_together() {
    check_fix(
        "let
  inherit (types) listOf submodule;
  # A tree.
  node = submodule { options.children = nodes; };

  nodes = listOf node;
in
# nodes
1
",
        expect![[r#"
            let
              inherit (types) listOf submodule;
            in
            # nodes
            1
        "#]],
    );
    check_fix(
        "let inherit (a) b c; a = { b = 1; c = a; }; in c",
        expect![["let inherit (a) b c; a = { b = 1; c = a; }; in c"]],
    );
    check_fix("let inherit (a) b c; a = { b = 1; c = b; }; in 1", expect!["let in 1"]);
}

#[test]
fn comments_of_a_binding_go_with_it() {
    check_fix(
        "let
  # About the section.

  # About a,
  # in two lines.
  a = 1; # one
  /* About b. */
  b = 2;
in
b
",
        expect![[r#"
            let
              # About the section.

              /* About b. */
              b = 2;
            in
            b
        "#]],
    );
    check_fix("let a = 1; b = 2; # both\nin b", expect!["let b = 2; # both\nin b"]);
}

#[test]
fn comments_above_several_bindings_stay() {
    check_fix(
        "let
  # Two
  a = 1;
  b = 2;

  # Own, being long
  c = [
  ];
  d = 3;
  # Own, being in the midst
  e = 4;
  f = 5;
in
[ b d f ]
",
        expect![[r#"
            let
              # Two
              b = 2;

              d = 3;
              f = 5;
            in
            [ b d f ]
        "#]],
    );
    check_fix("let\n  # Two\n  a = 1;\n  b = 2;\nin\n1", expect!["let\nin\n1"]);
}

#[test]
fn no_empty_line_is_left_over() {
    check_fix(
        "let\n  a = 1;\n\n  b = 2;\n\n  c = 3;\nin\n[ a c ]",
        expect![[r#"
        let
          a = 1;

          c = 3;
        in
        [ a c ]"#]],
    );
    check_fix(
        "let\n  a = 1;\n\n  b = 2;\n  c = 3;\n\n  d = 4;\nin\n[ b c ]",
        expect![[r#"
        let
          b = 2;
          c = 3;
        in
        [ b c ]"#]],
    );
    check_fix(
        "let\n  a = 1;\n\nin\n1",
        expect![[r#"
        let
        in
        1"#]],
    );
}

#[test]
fn bindings_beside_each_other() {
    check_fix("let a = 1; b = 2; in b", expect!["let b = 2; in b"]);
    check_fix("let b = 2; a = 1; in b", expect!["let b = 2; in b"]);
    check_fix("let a = 1;\n    b = 2; in b", expect!["let b = 2; in b"]);
    check_fix("let b = 1;\n    a = 2; in b", expect!["let b = 1; in b"]);
    check_fix("let b = 1; # c\n    a = 2; in b", expect!["let b = 1; # c\n    in b"]);
    check_fix("let\n  a = 1; b = 2;\nin b", expect!["let\n  b = 2;\nin b"]);
    check_fix("let\n  b = 1; a = 2;\nin b", expect!["let\n  b = 1;\nin b"]);
}

#[test]
fn carriage_returns_stay_in_pairs() {
    assert_eq!(
        fixed(
            "DEAD001",
            "let\r\n  a = 1;\r\n\r\n  # about b\r\n  b = 2;\r\n\r\n  c = 3;\r\nin\r\n[ a c ]\r\n"
        ),
        "let\r\n  a = 1;\r\n\r\n  c = 3;\r\nin\r\n[ a c ]\r\n"
    );
    assert_eq!(
        fixed("DEAD001", "let\r\n  a = 1; # a\r\n  b = 2;\r\nin b"),
        "let\r\n  b = 2;\r\nin b"
    );
}
