use expect_test::{Expect, expect};

use crate::rules::testing::{fixed, fixed_unsafely, found, marked};

/// The pattern after the fix, in a function whose callers are all known.
fn check_pattern(before: &str, after: Expect) {
    let tail = ": [ a b c ]) 1";
    let got = fixed("DEAD002", &format!("({before}{tail}"));
    after.assert_eq(got.strip_prefix('(').unwrap().strip_suffix(tail).unwrap());
}

fn is_safe(text: &str) -> bool {
    assert_ne!(fixed_unsafely("DEAD002", text), text, "there is no fix at all");
    fixed("DEAD002", text) != text
}

#[test]
fn parameters_without_uses_are_found() {
    assert_eq!(marked("DEAD002", "{ a, b ? 1, c, ... }: c"), "a b");
    assert_eq!(marked("DEAD002", "{ a, b }: a"), "");
    assert_eq!(marked("DEAD002", "{ a, ... }: { inherit a; }"), "");
    assert_eq!(marked("DEAD002", "{ a, ... }: x: with x; a"), "");
    assert_eq!(marked("DEAD002", "{ a, b ? a, ... }: b"), "");
    assert_eq!(marked("DEAD002", "{ a ? a, ... }: 1"), "a");
    expect![[r#"
        a: the parameter `a` is used only by code that is unused
        b: the parameter `b` is never used
        c: the parameter `c` is used only by code that is unused
    "#]]
    .assert_eq(&found("DEAD002", "{ a, b ? a, c, ... }: let d = c; in 1"));
}

#[test]
fn an_at_name_reads_parameters() {
    assert_eq!(marked("DEAD002", "{ a, b, ... }@args: a + args.b"), "");
    assert_eq!(marked("DEAD002", "{ a, b, ... }@args: f args"), "");
    assert_eq!(marked("DEAD002", "args@{ a, b, ... }: [ (args).b.c (args ? \"c\") ]"), "a");
    assert_eq!(marked("DEAD002", "{ a, b, ... }@args: { inherit (args) b; }"), "a");
    assert_eq!(marked("DEAD002", "{ a, b, ... }@args: x: args.${x}"), "");
    assert_eq!(marked("DEAD002", "{ a, b, ... }@args: a"), "b");
}

#[test]
fn parameters_that_somebody_may_ask_for_are_left_alone() {
    let text = "{ lib, f }: lib.functionArgs (f [ ({ a, ... }: 1) ])";
    assert_eq!(marked("DEAD002", text), "");
    assert_eq!(marked("DEAD002", &text.replace("functionArgs", "id")), "a");
    assert_eq!(marked("DEAD002", "let f = { a, ... }: 1; in builtins.functionArgs f"), "");
}

#[test]
fn functions_inside_unused_code_are_judged_there() {
    assert_eq!(marked("DEAD002", "let f = { a, b, ... }: a; in 1"), "b");
}

#[test]
fn the_fix_is_safe_where_nobody_sees_the_pattern() {
    assert!(is_safe("({ a, ... }: 1) { a = 2; }"));
    assert!(is_safe("let f = { a, ... }: 1; in f { a = 2; } + f { a = 3; }"));
    assert!(is_safe("let f = x: ({ a, ... }: x); in f 1 { a = 2; }"));
    assert!(is_safe("xs: map ({ a, ... }: 1) xs"));
    assert!(is_safe("xs: builtins.mapAttrs (name: { a, ... }: name) xs"));
    assert!(is_safe("let f = { a, ... }: 1; in xs: map f xs"));
}

#[test]
fn the_fix_needs_a_look_where_the_pattern_shows() {
    assert!(!is_safe("{ a, ... }: 1"));
    assert!(!is_safe("let f = { a, ... }: 1; in { inherit f; }"));
    assert!(!is_safe("let f = x: { a, ... }: x; in f 1"));
    assert!(!is_safe("let f.g = { a, ... }: 1; in f.g { a = 2; }"));
    assert!(!is_safe("map: xs: map ({ a, ... }: 1) xs"));
    assert!(!is_safe("builtins: xs: builtins.map ({ a, ... }: 1) xs"));
    assert!(!is_safe("xs: map (x: { a, ... }: x) xs"));
    assert!(!is_safe("xs: lib.map ({ a, ... }: 1) xs"));
    assert!(!is_safe("{ a, ... }@args: args ? b"));
    assert!(!is_safe("({ a, ... }@args: args ? a) { } || ({ b, ... }@args: args ? c) { }"));
    assert!(!is_safe("{ outputs = { self, ... }: { }; }"));
    assert!(!is_safe("{ stdenv, lib, ... }: stdenv.mkDerivation { }"));
}

#[test]
fn modules_are_asked_for_their_parameters_by_the_module_system_only() {
    assert!(is_safe("{ lib, pkgs, ... }: { services.a.enable = true; users.users.b = { }; }"));
    assert!(is_safe("{ lib, pkgs, ... }: let a = 1; in { options.a = a; }"));
    assert!(is_safe("{ config, lib, pkgs, ... }: lib.mkIf config.a { b = 1; }"));
    assert!(is_safe("{ config, lib, pkgs, ... }: { a = config.b; }"));
    assert!(is_safe("{ pkgs, ... }: { imports = [ ]; a = 1; }"));
    assert!(!is_safe("{ pkgs, ... }: { config = { }; modules = [ ]; }"));
    assert!(!is_safe("{ pkgs, ... }: { fonts = 1; nix = 2; }"));
    assert!(!is_safe("{ config, pkgs, ... }: { a = 1; services = 2; }"));
    assert!(!is_safe("{ config ? { }, pkgs, ... }: { a = config.b; }"));
    assert!(!is_safe("{ pkgs, ... }: { }"));
    assert!(!is_safe("{ a = { pkgs, ... }: { services.b = 1; }; }"));
}

#[test]
fn commas_go_with_their_parameter() {
    check_pattern("{ a, x, b, c, ... }", expect!["{ a, b, c, ... }"]);
    check_pattern("{ x, a, b, c, ... }", expect!["{ a, b, c, ... }"]);
    check_pattern("{x, a, b, c, ...}", expect!["{a, b, c, ...}"]);
    check_pattern("{ a, b, c, x ? { y = 1; }, ... }", expect!["{ a, b, c, ... }"]);
    check_pattern("{ a, b, c, /* x */ x, ... }", expect!["{ a, b, c, /* x */ ... }"]);
    expect!["({ ... }: 1) 2"].assert_eq(&fixed("DEAD002", "({ x, y, z, ... }: 1) 2"));
    expect!["({...}: 1) 2"].assert_eq(&fixed("DEAD002", "({x,...}: 1) 2"));
}

#[test]
fn commas_at_the_end_of_lines() {
    check_pattern(
        "{
  a,
  # About x.
  x ? [
    1
  ], # as well
  b, # about b
  y,

  # The rest.
  c,
  z,
  ...
}",
        expect![[r#"
            {
              a,
              b, # about b

              # The rest.
              c,
              ...
            }"#]],
    );
    check_pattern("{ a, x,\n  b, y, c,\n  z, ... }", expect!["{ a,\n  b, c,\n  ... }"]);
    check_pattern("{ x,\n  a, b, c, ... }", expect!["{ a, b, c, ... }"]);
}

#[test]
fn commas_at_the_start_of_lines() {
    check_pattern(
        "{ x
, a
, y, b # about b
# about z
, z # as well
# about v
, v ? 1
# about c
, u
, c, t
# about w
, w
, ...
}",
        expect![[r#"
            { a
            , b # about b
            # about c
            , c
            , ...
            }"#]],
    );
    check_pattern(
        "{ x # about x\n  # about a\n, a, b, c, ... }",
        expect!["{ # about a\na, b, c, ... }"],
    );
    check_pattern("{ a, x\n, b, c\n, ... }", expect!["{ a\n, b, c\n, ... }"]);
    check_pattern("{\n  x\n, a\n, b\n, c\n, ...\n}", expect!["{\n  a\n, b\n, c\n, ...\n}"]);
}

#[test]
fn carriage_returns_stay_in_pairs() {
    check_pattern(
        "{\r\n  a,\r\n  x, # x\r\n  b,\r\n  c,\r\n  ...\r\n}",
        expect![["{\r\n  a,\r\n  b,\r\n  c,\r\n  ...\r\n}"]],
    );
    check_pattern(
        "{ a\r\n, x # x\r\n, b\r\n, c\r\n, ...\r\n}",
        expect![["{ a\r\n, b\r\n, c\r\n, ...\r\n}"]],
    );
}
