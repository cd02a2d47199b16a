use std::fmt::Write as _;

use cim_nix_base::apply_edits;
use expect_test::{Expect, expect};

use crate::{CannotRename, Renaming, lower, rename};

fn try_rename(text: &str, offset: usize, new: &str) -> Result<(String, Renaming), CannotRename> {
    let parsed = cim_nix_syntax::parse(text);
    let done = rename(&parsed, &lower(&parsed.tree), offset as u32, new, false)?;
    Ok((apply_edits(text, &done.edits).unwrap(), done))
}

/// Splits a text at its mark.
fn marked(fixture: &str) -> (String, usize) {
    let at = fixture.find("$0").expect("there is a mark");
    (fixture.replacen("$0", "", 1), at)
}

/// Renames what stands at the mark to `new`.
fn check(fixture: &str, want: &str) {
    let (text, at) = marked(fixture);
    let (renamed, done) = match try_rename(&text, at, "new") {
        Ok(renamed) => renamed,
        Err(refusal) => panic!("{fixture}: {}", told(&refusal, &text)),
    };
    assert_eq!(renamed, want, "{fixture}");
    // From any of its places it is the same.
    for place in &done.places {
        let (again, _) = try_rename(&text, place.start as usize, "new")
            .unwrap_or_else(|refusal| panic!("{fixture} at {place:?}: {}", told(&refusal, &text)));
        // An `inherit` has two sides, and from there the other one may be meant.
        let before = &text[..place.start as usize];
        let is_ambiguous = before.rsplit([';', '{']).next().unwrap().contains("inherit");
        assert!(again == want || is_ambiguous, "{fixture} at {place:?}: {again}");
    }
}

fn told(refusal: &CannotRename, text: &str) -> String {
    let error = refusal.error("f.nix", text);
    let hints = error.hints().iter().map(|hint| format!("\n  {hint}"));
    format!("{error}{}", hints.collect::<String>())
}

/// Why what stands at the mark of each text cannot get the name beside it.
fn check_no(cases: &[(&str, &str)], want: Expect) {
    let mut out = String::new();
    for (fixture, new) in cases {
        let (text, at) = marked(fixture);
        match try_rename(&text, at, new) {
            Ok((renamed, _)) => panic!("{fixture} became {renamed}"),
            Err(refusal) => {
                let _ = writeln!(out, "{fixture} => {new}: {}", told(&refusal, &text));
            }
        }
    }
    want.assert_eq(&out);
}

#[test]
fn names_of_a_let() {
    check("let $0a = 1; b = a; in a + b.a", "let new = 1; b = new; in new + b.a");
    check("let a = 1; in { a = $0a; b.a = a; }", "let new = 1; in { a = new; b.a = new; }");
}

#[test]
fn shadowed_names_stay() {
    check(
        "let a$0 = 1; in [ a (let a = 2; in a) (a: a) ({ a }: a) ]",
        "let new = 1; in [ new (let a = 2; in a) (a: a) ({ a }: a) ]",
    );
    check("let a = 1; in let $0a = 2; in a", "let a = 1; in let new = 2; in new");
}

#[test]
fn parameters() {
    check("x$0: y: x y.x", "new: y: new y.x");
    check("args$0@{ a, ... }: args.a + a", "new@{ a, ... }: new.a + a");
    check("{ a }@args: [ $0args ]", "{ a }@new: [ new ]");
}

#[test]
fn parts_of_strings_and_paths() {
    check(
        r#"let a = "x"; in "a ${$0a}" + ./${a}/a"#,
        r#"let new = "x"; in "a ${new}" + ./${new}/a"#,
    );
    check(
        "let a = 1; in ''\n  ${toString $0a} a\n''",
        "let new = 1; in ''\n  ${toString new} a\n''",
    );
}

#[test]
fn an_inherit_keeps_its_other_side() {
    check("let $0a = 1; in { inherit a; }", "let new = 1; in { a = new; }");
    check("a$0: b: { inherit a b; }", "new: b: { inherit b; a = new; }");
}

#[test]
fn what_is_inherited_is_defined() {
    check("lib: let inherit (lib) $0a; in a", "lib: let new = lib.a; in new");
    check(
        "lib: let inherit (lib) a b; in $0a b",
        "lib: let inherit (lib) b; new = lib.a; in new b",
    );
    check("let x = 1; in let inherit x; in $0x", "let x = 1; in let new = x; in new");
}

#[test]
fn what_is_inherited_from_a_selection_becomes_one() {
    check("lib: let inherit (lib.lists) $0a; in a", "lib: let new = lib.lists.a; in new");
    check("x: let inherit (x.${$0x.n}) a; in a", "new: let inherit (new.${new.n}) a; in a");
    check(
        "x: let inherit (x.${x.n}) $0a b; in a b",
        "x: let inherit (x.${x.n}) b; new = x.${x.n}.a; in new b",
    );
    check("x: let inherit (x.y or { }) $0a; in a", "x: let new = (x.y or { }).a; in new");
    check("let s.t.a = 1; inherit (s.t) a; in s.t.$0a", "let s.t.new = 1; a = s.t.new; in s.t.new");
}

#[test]
fn dotted_names_are_one() {
    check(
        "let s$0.a = 1; s.b = 2; s.c.d = 3; in s.a",
        "let new.a = 1; new.b = 2; new.c.d = 3; in new.a",
    );
    check("let s.a.x = 1; s.a.y = 2; in s.$0a.x", "let s.new.x = 1; s.new.y = 2; in s.new.x");
    check(
        "let s = { a = 1; }; s.b = 2; in s.b$0 + s.a",
        "let s = { a = 1; }; s.new = 2; in s.new + s.a",
    );
    check(
        "let s.x = 0; s = { a = 1; }; in $0s.x + s.a",
        "let new.x = 0; new = { a = 1; }; in new.x + new.a",
    );
    check(
        "let s.t.x = 0; s.t = { a$0 = 1; }; in s.t.a",
        "let s.t.x = 0; s.t = { new = 1; }; in s.t.new",
    );
}

#[test]
fn attributes_that_only_this_file_asks_for() {
    check(
        "let s = { $0a = 1; b = 2; }; in s.a + s.b + (s.a or 3) + (if s ? a then 1 else 2)",
        "let s = { new = 1; b = 2; }; in s.new + s.b + (s.new or 3) + (if s ? new then 1 else 2)",
    );
    check("let s = { a = 1; }; inherit (s) $0a; in a", "let s = { a = 1; }; new = s.a; in new");
    check("let s = { a$0 = 1; }; inherit (s) a; in a", "let s = { new = 1; }; a = s.new; in a");
    check("let t.s = { a$0 = 1; }; u = t.s; in u.a", "let t.s = { new = 1; }; u = t.s; in u.new");
    check(
        "let t = { s = { a = { }; }; u = t.s; }; in t.u.$0a.b",
        "let t = { s = { new = { }; }; u = t.s; }; in t.u.new.b",
    );
    check(
        "let s = rec { a$0 = 1; b = a; }; in s.a + s.b",
        "let s = rec { new = 1; b = new; }; in s.new + s.b",
    );
    check(
        r#"let s = { "$0a" = 1; }; in s."a" + s.${"a"}"#,
        r#"let s = { new = 1; }; in s.new + s.new"#,
    );
}

#[test]
fn parameters_that_only_this_file_passes() {
    check(
        "let f = { $0a, b ? a, ... }: a + b; in f { a = 1; } + f { a = 2; b = 3; }",
        "let f = { new, b ? new, ... }: new + b; in f { new = 1; } + f { new = 2; b = 3; }",
    );
    check(
        "let f = { a$0 }: a; in a: f { inherit a; }",
        "let f = { new }: new; in a: f { new = a; }",
    );
    check(
        "let f = { a, ... }@args: args.a + a; in f { $0a = 1; }",
        "let f = { new, ... }@args: args.new + new; in f { new = 1; }",
    );
    check("({ $0a }: a) { a = 1; }", "({ new }: new) { new = 1; }");
    check(
        "let l.f = { a$0 }: a; in l.f rec { a = 1; c = a; }",
        "let l.f = { new }: new; in l.f rec { new = 1; c = new; }",
    );
}

#[test]
fn old_sets() {
    check("let { $0a = 1; body = a; }", "let { new = 1; body = new; }");
}

#[test]
fn layout_stays() {
    check(
        "# a\nlet\n  # the a\n  $0a   = 1 ; /* a */\nin [\n\ta # a\n]\n",
        "# a\nlet\n  # the a\n  new   = 1 ; /* a */\nin [\n\tnew # a\n]\n",
    );
    check("let a$0=1;in[a]", "let new=1;in[new]");
}

#[test]
fn nothing_is_caught() {
    check_no(
        &[
            ("let $0a = 1; in let b = 2; in a + b", "b"),
            ("let b = 1; in let $0a = 2; in a + b", "b"),
            ("let $0a = 2; in x: with x; a + b", "b"),
            ("let $0a = 2; in a + toString 1", "toString"),
            ("let $0a = 2; in [ a undefined ]", "undefined"),
            ("{ b }: let $0a = b; in { inherit a; }", "b"),
            ("x: let s = rec { $0a = 1; c = x; }; in s.a", "x"),
            ("let s = { $0a = 1; }; in s.a + (s.b or 2)", "b"),
            ("let s = { $0a = 1; }; in rec { inherit (s) a b; }", "b"),
            ("let f = { $0a, ... }@all: all ? b; in f { a = 1; }", "b"),
        ],
        expect![[r#"
            let $0a = 1; in let b = 2; in a + b => b: `b` means something else where the old name is used
              f.nix:1:29: the old name is used here
              take another name
            let b = 1; in let $0a = 2; in a + b => b: `b` is used for something else, which would change its meaning
              f.nix:1:33: it is used here
              take another name
            let $0a = 2; in x: with x; a + b => b: `b` is used for something else, which would change its meaning
              f.nix:1:30: it is used here
              take another name
            let $0a = 2; in a + toString 1 => toString: `toString` is used for something else, which would change its meaning
              f.nix:1:19: it is used here
              take another name
            let $0a = 2; in [ a undefined ] => undefined: `undefined` is used for something else, which would change its meaning
              f.nix:1:19: it is used here
              take another name
            { b }: let $0a = b; in { inherit a; } => b: `b` is used for something else, which would change its meaning
              f.nix:1:16: it is used here
              take another name
            x: let s = rec { $0a = 1; c = x; }; in s.a => x: `x` is used for something else, which would change its meaning
              f.nix:1:29: it is used here
              take another name
            let s = { $0a = 1; }; in s.a + (s.b or 2) => b: `b` is used for something else, which would change its meaning
              f.nix:1:33: it is used here
              take another name
            let s = { $0a = 1; }; in rec { inherit (s) a b; } => b: `b` is used for something else, which would change its meaning
              f.nix:1:44: it is used here
              take another name
            let f = { $0a, ... }@all: all ? b; in f { a = 1; } => b: `b` is used for something else, which would change its meaning
              f.nix:1:31: it is used here
              take another name
        "#]],
    );
}

#[test]
fn names_that_are_taken() {
    check_no(
        &[
            ("let $0a = 1; b = 2; in a", "b"),
            ("{ $0a, b }: a", "b"),
            ("let s = { $0a = 1; b.c = 2; }; in s.a", "b"),
            ("let s.a = 1; s.b = 2; in s.$0a", "b"),
            ("let f = { $0a, ... }: a; in f { a = 1; b = 2; }", "b"),
            ("let f = { $0a ? 1, ... }: a; in f { b = 2; }", "b"),
        ],
        expect![[r#"
            let $0a = 1; b = 2; in a => b: there is another `b` already
              f.nix:1:12: it is here
              take another name
            { $0a, b }: a => b: other code may ask for `a` by this name
              f.nix:1:1: the file gives it, and other files may use it
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let s = { $0a = 1; b.c = 2; }; in s.a => b: there is another `b` already
              f.nix:1:18: it is here
              take another name
            let s.a = 1; s.b = 2; in s.$0a => b: there is another `b` already
              f.nix:1:16: it is here
              take another name
            let f = { $0a, ... }: a; in f { a = 1; b = 2; } => b: there is another `b` already
              f.nix:1:38: it is here
              take another name
            let f = { $0a ? 1, ... }: a; in f { b = 2; } => b: there is another `b` already
              f.nix:1:35: it is here
              take another name
        "#]],
    );
}

#[test]
fn names_that_cannot_be() {
    check_no(
        &[
            ("let $0a = 1; in a", "in"),
            ("let $0a = 1; in a", "or"),
            ("let $0a = 1; in a", "a b"),
            ("let $0a = 1; in a", ""),
            ("let $0a = 1; in a - 1", "__sub"),
            ("let $0__sub = x: y: 1; in 2 - 1", "b"),
            ("let { a = 1; $0body = a; }", "b"),
            ("let { $0a = 1; x = a; }", "body"),
        ],
        expect![[r#"
            let $0a = 1; in a => in: "in" cannot be a name here
            let $0a = 1; in a => or: "or" cannot be a name here
            let $0a = 1; in a => a b: "a b" cannot be a name here
            let $0a = 1; in a => : "" cannot be a name here
            let $0a = 1; in a - 1 => __sub: the language itself uses the name `__sub`
            let $0__sub = x: y: 1; in 2 - 1 => b: the name is used without being written, so it cannot be changed
              f.nix:1:25: here
            let { a = 1; $0body = a; } => b: the language itself uses the name `body`
            let { $0a = 1; x = a; } => body: the language itself uses the name `body`
        "#]],
    );
}

#[test]
fn places_without_a_name() {
    check_no(
        &[
            ("let a = $01; in a", "b"),
            ("let a = 1; $0in a", "b"),
            ("# $0a\nlet a = 1; in a", "b"),
            (r#""$0a""#, "b"),
            ("$0", "b"),
        ],
        expect![[r#"
            let a = $01; in a => b: there is no name at this place
              f.nix:1:9: here
              `cim-nix symbols` lists names with their places
            let a = 1; $0in a => b: there is no name at this place
              f.nix:1:12: here
              `cim-nix symbols` lists names with their places
            # $0a
            let a = 1; in a => b: there is no name at this place
              f.nix:1:3: here
              `cim-nix symbols` lists names with their places
            "$0a" => b: there is no name at this place
              f.nix:1:2: here
              `cim-nix symbols` lists names with their places
            $0 => b: the file is broken: expected an expression, found the end of the file
              f.nix:1:1: here
              correct the file first
        "#]],
    );
}

#[test]
fn names_that_come_from_elsewhere() {
    check_no(
        &[
            ("[ $0x ]", "b"),
            ("with import ./x.nix; [ $0x ]", "b"),
            ("$0map (x: x)", "b"),
            ("x: x.$0a", "b"),
            ("{ inherit ($0__curPos) line; }", "b"),
            ("{ inherit $0a; }", "b"),
        ],
        expect![[r#"
            [ $0x ] => b: `x` is not bound in this file: it is undefined
              f.nix:1:3: here
            with import ./x.nix; [ $0x ] => b: `x` is not bound in this file: a `with` supplies it
              f.nix:1:24: here
            $0map (x: x) => b: `map` is not bound in this file: Nix supplies it
              f.nix:1:1: here
            x: x.$0a => b: it cannot be told which set this attribute `a` belongs to
              f.nix:1:6: here
              point at where it is defined
            { inherit ($0__curPos) line; } => b: the language itself uses the name `__curPos`
            { inherit $0a; } => b: `a` is not bound in this file: it is undefined
              f.nix:1:11: here
        "#]],
    );
}

#[test]
fn attributes_that_others_may_ask_for() {
    check_no(
        &[
            ("{ $0a = 1; }", "b"),
            ("rec { $0a = 1; c = a; }", "b"),
            ("{ lib, ... }: { x = { services.$0a = 1; }; }", "b"),
            ("let s = { $0a = 1; }; in f: [ (f s) (with s; a) s.${f} (s // { }) s.a ]", "b"),
            ("let s.t = { $0a = 1; }; in (s.t or { }).a", "b"),
            ("let s = { $0a = 1; }; in x: (if x then s else { a = 2; }).a", "b"),
            (r#"let s = { $0a = 1; ${b} = 2; }; b = "b"; in s.a"#, "b"),
            ("let s = rec { $0a = 1; __overrides.a = 2; }; in s.a", "b"),
            ("{ $0a, c }: a + c", "b"),
            ("let f = { $0a }: a; x = { a = 1; }; in f x", "b"),
            ("let f = { $0a }: a; in map f [ { a = 1; } ]", "b"),
        ],
        expect![[r#"
            { $0a = 1; } => b: other code may ask for `a` by this name
              f.nix:1:1: the file gives it, and other files may use it
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            rec { $0a = 1; c = a; } => b: other code may ask for `a` by this name
              f.nix:1:1: the file gives it, and other files may use it
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            { lib, ... }: { x = { services.$0a = 1; }; } => b: other code may ask for `a` by this name
              f.nix:1:15: the value is handed on here
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let s = { $0a = 1; }; in f: [ (f s) (with s; a) s.${f} (s // { }) s.a ] => b: other code may ask for `a` by this name
              f.nix:1:32: the value is handed on here
              f.nix:1:41: `with` makes its attributes variables here
              f.nix:1:47: an attribute is asked for by a computed name here
              f.nix:1:55: the value is handed on here
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let s.t = { $0a = 1; }; in (s.t or { }).a => b: other code may ask for `a` by this name
              f.nix:1:27: the value is handed on here
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let s = { $0a = 1; }; in x: (if x then s else { a = 2; }).a => b: other code may ask for `a` by this name
              f.nix:1:38: the value is handed on here
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let s = { $0a = 1; ${b} = 2; }; b = "b"; in s.a => b: names beside it are computed, and one of them may be the new name
              f.nix:1:18: here
            let s = rec { $0a = 1; __overrides.a = 2; }; in s.a => b: names beside it are computed, and one of them may be the new name
              f.nix:1:22: here
            { $0a, c }: a + c => b: other code may ask for `a` by this name
              f.nix:1:1: the file gives it, and other files may use it
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let f = { $0a }: a; x = { a = 1; }; in f x => b: other code may ask for `a` by this name
              f.nix:1:40: the function is called with a set that is not written out here
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            let f = { $0a }: a; in map f [ { a = 1; } ] => b: other code may ask for `a` by this name
              f.nix:1:26: the value is handed on here
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
        "#]],
    );
}

#[test]
fn broken_files_are_left_alone() {
    check_no(
        &[("let $0a = 1; in a )", "b"), ("let $0a = 1; a = 2; in a", "b")],
        expect![[r#"
            let $0a = 1; in a ) => b: the file is broken: unexpected `)` behind the expression
              f.nix:1:17: here
              correct the file first
            let $0a = 1; a = 2; in a => b: the file is broken: the attribute `a` is defined twice
              f.nix:1:12: here
              correct the file first
        "#]],
    );
}

#[test]
fn who_insists_is_told_where_else_to_look() {
    let text = "{ a = 1; s.b = 2; }";
    let parsed = cim_nix_syntax::parse(text);
    let done = rename(&parsed, &lower(&parsed.tree), 2, "new", true).unwrap();
    assert_eq!(apply_edits(text, &done.edits).unwrap(), "{ new = 1; s.b = 2; }");
    assert_eq!(done.elsewhere.len(), 1);
}

#[test]
fn the_same_name_changes_nothing() {
    let (renamed, done) = try_rename("let a = 1; in a", 4, "a").unwrap();
    assert_eq!((renamed.as_str(), done.edits.len()), ("let a = 1; in a", 0));
}
