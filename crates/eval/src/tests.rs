//! What expressions are worth, and how they fail. Real Nix 2.34.8 gives the same answers.

use std::path::Path;

use expect_test::{Expect, expect};

use crate::{Evaluation, Format, MemoryIo, Settings, with_stack};

fn files() -> MemoryIo {
    MemoryIo::new()
        .with_file("/p/a.nix", "{ x = ./b.txt; y = import ./d; }")
        .with_file("/p/b.txt", "hello\n")
        .with_file("/p/d/default.nix", "1 + 1")
}

fn eval(text: &str, format: Format) -> String {
    let run = || {
        let evaluation = Evaluation::new(Settings::default(), Box::new(files()), Box::new(|_| {}));
        let value = evaluation.text(text, Path::new("/p"))?;
        let value = evaluation.force(value, true)?;
        evaluation.write(value, format, true)
    };
    match with_stack(run).unwrap() {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(error) => error.render(false),
    }
}

fn check(text: &str, want: &str) {
    assert_eq!(eval(text, Format::Nix), want, "{text}");
}

/// The same with all of the trace.
fn check_trace(text: &str, want: &Expect) {
    let run = || {
        let evaluation = Evaluation::new(Settings::default(), Box::new(files()), Box::new(|_| {}));
        let value = evaluation.text(text, Path::new("/p"))?;
        evaluation.force(value, true).map(|_| ())
    };
    want.assert_eq(&with_stack(run).unwrap().unwrap_err().render(true));
}

fn check_error(text: &str, want: &Expect) {
    want.assert_eq(&eval(text, Format::Nix));
}

/// What `-A` selects.
#[test]
fn selection_paths() {
    let check = |path: &str, want: Expect| {
        let run = || {
            let settings = Settings::default();
            let evaluation = Evaluation::new(settings, Box::new(files()), Box::new(|_| {}));
            let text = r#"{ a.b = 1; "a.b" = 7; "x\\y" = 8; l = [ 3 { c = 4; } ]; "" = 9; }"#;
            let value = evaluation.text(text, Path::new("/p"))?;
            let value = evaluation.select(value, path, &[])?;
            evaluation.write(evaluation.force(value, true)?, Format::Nix, true)
        };
        want.assert_eq(&match with_stack(run).unwrap() {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.message,
        });
    };
    check("a.b", expect!["1"]);
    check("a.", expect!["{ b = 1; }"]);
    check(r#""a.b""#, expect!["7"]);
    check(r"x\y", expect!["8"]);
    check("l.1.c", expect!["4"]);
    check("l.2", expect!["list index 2 in selection path 'l.2' is out of range"]);
    check(
        "a.0",
        expect![
            "the expression selected by the selection path 'a.0' should be a list but is a set"
        ],
    );
    check(
        "l.x",
        expect![
            "the expression selected by the selection path 'l.x' should be a set but is a list"
        ],
    );
    check("a..b", expect!["empty attribute name in selection path 'a..b'"]);
    check(r#"a."b"#, expect![[r#"missing closing quote in selection path 'a."b'"#]]);
}

#[test]
fn language() {
    check("let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 20", "6765");
    check("rec { a = b; b = 1; }", "{ a = 1; b = 1; }");
    check("{ a.b = 1; a.c = 2; }.a", "{ b = 1; c = 2; }");
    check("with { a = 1; }; let a = 2; in a", "2");
    check("({ a, b ? a + 1, ... }@all: [ a b all.c ]) { a = 1; c = 3; }", "[ 1 2 3 ]");
    check("let { body = x; x = 1; }", "1");
    check("(rec { __overrides = { a = 2; }; x = a; a = 1; }).x", "2");
    check("{ a = 1; } // { b = 2; } // { a = 3; }", "{ a = 3; b = 2; }");
    check("{ a.b = 1; } ? a.b && !({ } ? a)", "true");
    check("[ 1 ] ++ [ 2 ] == [ 1 2 ] && \"a\" < \"b\" && [ 1 2 ] < [ 1 3 ]", "true");
    check("let a = 1; in ''\n  x ${toString a}\n    y''", "\"x 1\\n  y\"");
    check("{ __functor = self: x: x + self.n; n = 1; } 2", "3");
    check("assert true; { inherit ({ a = 1; }) a; }", "{ a = 1; }");
    check("1.5 + 1", "2.5");
    check("{ outPath = \"/x\"; } + ./b.txt", "\"/x/p/b.txt\"");
    check("({ __toString = _: \"y\"; } + /nowhere) + \"z\"", "\"y/nowherez\"");
    check("(a: b: c: [ c b a ]) 1 2 3", "[ 3 2 1 ]");
}

#[test]
fn members_that_are_one_value_are_equal() {
    check("let f = x: x; in f == f", "false");
    check("let f = x: x; in [ f ] == [ f ]", "true");
    check("let f = x: x; a = { b = [ { inherit f; } ]; }; in builtins.elem a [ a ]", "true");
}

#[test]
fn members_of_what_is_compared_with_itself_are_evaluated() {
    let caught = |text: &str| format!("(builtins.tryEval ({text})).success");
    check(&caught("let s = { a = throw \"x\"; }; in s == s"), "false");
    check(&caught("let s = [ (throw \"x\") ]; in s == s"), "false");
    check(&caught("let s = { a = { b = throw \"x\"; }; }; in s == s"), "true");
    check(&caught("let s = { a = throw \"x\"; }; in [ s ] == [ s ]"), "true");
    check(&caught("let s = { type = \"derivation\"; outPath = throw \"x\"; }; in s == s"), "false");
    check("let f = x: x; s = { inherit f; }; in s == s", "true");
}

#[test]
fn files_are_seen_through_the_trait() {
    check("import ./a.nix", "{ x = /p/b.txt; y = 2; }");
    check("builtins.readFile ./b.txt", "\"hello\\n\"");
    check(
        "builtins.readDir ./.",
        "{ \"a.nix\" = \"regular\"; \"b.txt\" = \"regular\"; d = \"directory\"; }",
    );
    check("[ (builtins.pathExists ./d) (builtins.pathExists ./e) ]", "[ true false ]");
}

#[test]
fn store_paths_are_those_of_nix() {
    check("\"${./b.txt}\"", "\"/nix/store/pya12ppw50ip338mqvlkhh46sn99mr0b-b.txt\"");
    check("builtins.toFile \"foo\" \"bar\"", "\"/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo\"");
    let hello = "derivation { name = \"a\"; builder = \"/bin/sh\"; system = \"x\"; }";
    check(&format!("({hello}).drvPath"), "\"/nix/store/l9ldjc53ry43x24hvq73jx7dx0489mhj-a.drv\"");
    check(&format!("({hello}).outPath"), "\"/nix/store/0pd4llb3k36fnppfxwp6nlwsxwlv0y2c-a\"");
    check(
        &format!("builtins.getContext \"${{{hello}}}\""),
        "{ \"/nix/store/l9ldjc53ry43x24hvq73jx7dx0489mhj-a.drv\" = { outputs = [ \"out\" ]; }; }",
    );
}

#[test]
fn values_are_written_in_several_formats() {
    let text = "{ a = [ 1 null \"x\\ny\" ]; b.c = 1.0; }";
    assert_eq!(eval(text, Format::Json), r#"{"a":[1,null,"x\ny"],"b":{"c":1.0}}"#);
    assert_eq!(eval("\"x\\ny\"", Format::Raw), "x\ny");
    expect![[r#"
        <?xml version='1.0' encoding='utf-8'?>
        <expr>
          <list>
            <int value="1" />
          </list>
        </expr>
    "#]]
    .assert_eq(&eval("[ 1 ]", Format::Xml));
    // What Nix 2.34.8 makes of a derivation's path that is no string.
    expect![[r#"
        <?xml version='1.0' encoding='utf-8'?>
        <expr>
          <derivation>
            <repeated />
          </derivation>
        </expr>
    "#]]
    .assert_eq(&eval("{ type = \"derivation\"; drvPath = /a; b = 1; }", Format::Xml));
    expect![[r#"
        <?xml version='1.0' encoding='utf-8'?>
        <expr>
          <attrs>
            <attr column="3" line="1" name="f">
              <function column="7" line="1">
                <varpat name="x" />
              </function>
            </attr>
            <attr column="18" line="1" name="m">
              <attrs>
                <attr name="z">
                  <int value="1" />
                </attr>
              </attrs>
            </attr>
          </attrs>
        </expr>
    "#]]
    .assert_eq(&eval(
        "{ f = x: y: x;   m = builtins.mapAttrs (n: v: v) { z = 1; }; }",
        Format::PlacedXml,
    ));
}

#[test]
fn errors_say_where_and_on_the_way_to_what() {
    check_error(
        "let a = 1; in a.b",
        &expect![[r#"
            error:
                   … while selecting an attribute
                     at «string»:1:15:
                        1| let a = 1; in a.b
                         |               ^

                   error: expected a set but found an integer: 1"#]],
    );
    check_error(
        "throw \"no\"",
        &expect![[r#"
        error:
               … while calling the 'throw' builtin
                 at «string»:1:1:
                    1| throw "no"
                     | ^

               error: no"#]],
    );
    check_error(
        "builtins.add 1 \"x\"",
        &expect![[r#"
        error:
               … while calling the 'add' builtin
                 at «string»:1:1:
                    1| builtins.add 1 "x"
                     | ^

               … while evaluating the second argument of the addition

               error: expected an integer but found a string: "x""#]],
    );
    check_error(
        "x",
        &expect![[r#"
        error: undefined variable 'x'
               at «string»:1:1:
                    1| x
                     | ^"#]],
    );
    check_error(
        "{ a = }",
        &expect![[r#"
        error: expected an expression, found `}`
               at «string»:1:7:
                    1| { a = }
                     |       ^"#]],
    );
    check_error(
        "assert { a = 1; } == { a = 2; }; 1",
        &expect![[r#"
        error:
               … while evaluating the condition of the assertion '({ a = 1; } == { a = 2; })'
                 at «string»:1:1:
                    1| assert { a = 1; } == { a = 2; }; 1
                     | ^

               … while comparing attribute 'a'

               … where left hand side is
                 at «string»:1:10:
                    1| assert { a = 1; } == { a = 2; }; 1
                     |          ^

               (stack trace truncated; use '--show-trace' to show the full, detailed trace)

               error: an integer with value '1' is not equal to an integer with value '2'"#]],
    );
}

#[test]
fn what_fuzzing_has_found() {
    // Values.
    check("builtins.getContext (builtins.head (builtins.split \"x\" \"${./b.txt}\"))", "{ }");
    check(
        "map builtins.toJSON [ 1.0e-7 1.0e15 1.0e14 0.0001 0.00001 ]",
        r#"[ "1e-07" "1e+15" "100000000000000.0" "0.0001" "1e-05" ]"#,
    );
    check("toString ((1.0e300 * 1.0e300) - (1.0e300 * 1.0e300))", "\"-nan\"");
    check("builtins.fromJSON \"[-0, -0.0, 0]\"", "[ 0 -0 0 ]");
    check("builtins.stringLength ./b.txt", "49");
    check("let z = builtins.fromJSON \"-0.0\"; in [ (z + z) (builtins.add z z) ]", "[ 0 -0 ]");
    check("builtins.substring 0 5 ./b.txt", "\"/nix/\"");
    check("builtins.unsafeDiscardStringContext ./b.txt == \"${./b.txt}\"", "true");
    check("builtins.toXML (x: y: x) == builtins.toXML ((z: x: y: x) 1)", "true");
    check("rec { x = [ 1 ]; y = x; }", "{ x = [ 1 ]; y = «repeated»; }");
    check("builtins.split \"[^a]*\" \"a.b\"", r#"[ "" [ ] "a" [ ] "" [ ] "" ]"#);
    // Laziness.
    check("(builtins.tryEval (builtins.partition (x: true) [ (throw \"\") ])).success", "false");
    check("builtins.mapAttrs (throw \"\") { }", "{ }");
    check("(builtins.tryEval (let k = { f = throw \"\"; }; in k == k)).success", "false");
    check("(builtins.tryEval ({ a = throw \"\"; b = 1; } == { a = 1; c = 1; })).success", "false");
    // Which of two failures comes first.
    check("(builtins.tryEval ((1 + \"\") // (throw \"\"))).success", "false");
    check("(builtins.tryEval ((1 + \"\") > (throw \"\"))).success", "false");
    check("(builtins.tryEval (builtins.elemAt (1 + \"\") (throw \"\"))).success", "false");
    check(
        "(builtins.tryEval (builtins.deepSeq { foo = 1 + \"\"; x = throw \"\"; } 1)).success",
        "false",
    );
    check(
        "(builtins.tryEval (builtins.findFile [ { path = throw \"\"; } ] (1 + \"\"))).success",
        "false",
    );
}

#[test]
fn what_fuzzing_has_found_in_messages() {
    let message = |text: &str| {
        let error = eval(text, Format::Nix);
        let last = error.lines().rfind(|line| line.contains("error: ")).unwrap_or_default();
        last.split_once("error: ").map_or(error.clone(), |(_, message)| message.to_owned())
    };
    let check = |text, want: &str| assert_eq!(message(text), want, "{text}");
    check("builtins.toJSON map", "cannot convert the built-in function 'map' to JSON");
    check("{ }.${\"1\"}", "attribute '\"1\"' missing");
    check(
        "builtins.toFile \"a b\" \"x\"",
        "path 'dm85kbl5cy82j2dzvy1874s14y3salv3-a b' is not a valid store path: name 'a b' contains illegal character ' '",
    );
    check(
        "builtins.floor 9223372036854775807 + 1",
        "Due to a bug (see https://github.com/NixOS/nix/issues/12899) the NixInt argument 9223372036854775807 caused undefined behavior in previous Nix versions.",
    );
    check("builtins.fetchMercurial { }", "'url' argument required");
    check(
        "{ ${builtins.toFile \"n\" \"\"} = 1; }",
        "the string '/nix/store/cz72rq7a4ppxjchjq78hvwn93ff912w3-n' is not allowed to refer to a store path (such as '/nix/store/cz72rq7a4ppxjchjq78hvwn93ff912w3-n')",
    );
    check(
        "let a = { b = 1; }; in builtins.deepSeq a \"${[ a a ]}\"",
        "cannot coerce a list to a string: [ { b = 1; } «repeated» ]",
    );
    check(
        "assert map == (x: x); 1",
        "distinct functions and immediate comparisons of identical functions compare as unequal",
    );
}

#[test]
fn nothing_overflows_the_stack() {
    check_error(
        "let f = x: f x + 1; in f 1",
        &expect![[r#"
        error: stack overflow; max-call-depth exceeded
               at «string»:1:12:
                    1| let f = x: f x + 1; in f 1
                     |            ^"#]],
    );
    check_error(
        "let x = x; in x",
        &expect![[r#"
        error: infinite recursion encountered
               at «string»:1:9:
                    1| let x = x; in x
                     |         ^"#]],
    );
    let long = "builtins.foldl' (tail: _: { inherit tail; }) null (builtins.genList (n: n) 20000)";
    for function in ["builtins.toJSON", "builtins.toXML", "(x: builtins.deepSeq x x)"] {
        let text = eval(&format!("{function} ({long})"), Format::Nix);
        assert!(
            text.contains("error: stack overflow; max-call-depth exceeded"),
            "{function}: {text}"
        );
    }
}

#[test]
fn derivations_that_fail_name_the_places_that_nix_names() {
    let check = |text: &str, want: &Expect| {
        let error = eval(text, Format::Nix);
        let places = error.lines().filter(|line| line.contains('…') || line.contains(" at «"));
        want.assert_eq(&places.map(|line| format!("{}\n", line.trim())).collect::<String>());
    };
    check(
        "(derivation { name = \"x\"; builder = \"b\"; system = throw \"y\"; }).drvPath",
        &expect![[r#"
            … while calling the 'derivationStrict' builtin
            at «nix-internal»/derivation-internal.nix:37:12:
            … while evaluating derivation 'x'
            whose name attribute is located at «string»:1:15
            … while evaluating attribute 'system' of derivation 'x'
            at «string»:1:42:
        "#]],
    );
    check(
        "\"${derivation { name = \"x\"; builder = \"b\"; system = throw \"y\"; }}\"",
        &expect![[r#"
            … while calling the 'getAttr' builtin
            at «nix-internal»/derivation-internal.nix:50:17:
            … while calling the 'derivationStrict' builtin
            at «nix-internal»/derivation-internal.nix:37:12:
        "#]],
    );
    check(
        "(derivation { name = \"x\"; builder = \"b\"; system = \"s\"; outputs = 1; }).out",
        &expect![[r#"
            … while calling the 'head' builtin
            at «nix-internal»/derivation-internal.nix:60:2:
            … while calling the 'map' builtin
            at «nix-internal»/derivation-internal.nix:57:17:
        "#]],
    );
}

#[test]
fn functors_and_conditions_are_steps_of_the_way() {
    check_error(
        "let f = { __functor = self: x: x.y; }; in f { }",
        &expect![[r#"
        error:
               … while calling a functor (an attribute set with a '__functor' attribute)
                 at «string»:1:43:
                    1| let f = { __functor = self: x: x.y; }; in f { }
                     |                                           ^

               error: attribute 'y' missing
               at «string»:1:32:
                    1| let f = { __functor = self: x: x.y; }; in f { }
                     |                                ^"#]],
    );
    check_error(
        "assert throw \"x\"; 1",
        &expect![[r#"
        error:
               … in the condition of the assert statement
                 at «string»:1:1:
                    1| assert throw "x"; 1
                     | ^

               … while calling the 'throw' builtin
                 at «string»:1:8:
                    1| assert throw "x"; 1
                     |        ^

               error: x"#]],
    );
    check_error(
        "assert 1; 1",
        &expect![[r#"
        error:
               … in the condition of the assert statement
                 at «string»:1:1:
                    1| assert 1; 1
                     | ^

               error: expected a Boolean but found an integer: 1
               at «string»:1:1:
                    1| assert 1; 1
                     | ^"#]],
    );
}

#[test]
fn pure_evaluation_has_the_file_that_nix_provides() {
    let check = |text: &str, want: &str| {
        let run = || {
            let settings = Settings { is_pure: true, ..Settings::default() };
            let evaluation = Evaluation::new(settings, Box::new(files()), Box::new(|_| {}));
            let value = evaluation.text(text, Path::new("/p"))?;
            evaluation.write(value, Format::Raw, true)
        };
        match with_stack(run).unwrap() {
            Ok(bytes) => assert_eq!(String::from_utf8(bytes).unwrap(), want, "{text}"),
            Err(error) => assert_eq!(error.message, want, "{text}"),
        }
    };
    let hash = "0000000000000000000000000000000000000000000000000000";
    check(
        &format!(
            "(import <nix/fetchurl.nix> {{ url = \"http://x.org/a\"; sha256 = \"{hash}\"; }}).name"
        ),
        "a",
    );
    let refused = "cannot look up '<nixpkgs>' in pure evaluation mode (use '--impure' to override)";
    check("<nixpkgs>", refused);
    check(
        "builtins.findFile [ { prefix = \"nixpkgs\"; path = \"/p\"; } ] \"nixpkgs\"",
        "access to absolute path '/p' is forbidden in pure evaluation mode (use '--impure' to override)",
    );
}

#[test]
fn updates_begin_on_the_right() {
    check("{ a = 1; b = 1; } // { b = 2; c = 2; } // { c = 3; }", "{ a = 1; b = 2; c = 3; }");
    check("({ a = 1; } // { a = 2; }) // { }", "{ a = 2; }");
    let check = |text: &str, place: &str, message: &str| {
        let error = eval(text, Format::Nix);
        assert!(error.ends_with(&format!("error: {message}")), "{error}");
        let lines: Vec<&str> = error.lines().map(str::trim).collect();
        let at = lines.iter().rposition(|line| line.starts_with("… in the")).unwrap();
        let found = lines[at + 1].strip_prefix("at «string»:1:").unwrap_or("");
        let found = format!("{} {found}", lines[at].split(' ').nth(3).unwrap());
        assert_eq!(found.trim_end_matches([':', ' ']), place, "{error}");
    };
    let wrong = "expected a set but found an integer: 1";
    check("{ } // 1", "right", wrong);
    check("1 // 2", "right", "expected a set but found an integer: 2");
    check("({ } // 1) // { }", "right", wrong);
    check("{ } // (1 // { })", "left", wrong);
    check("let a.b = 1; in { } // a.b // { }", "left 24", wrong);
    check("let f = x: x; in (f 1) // { }", "left 19", wrong);
    check("(0 + 1) // { }", "left 4", wrong);
    check("(0 + 0 + 1) // { }", "left 8", wrong);
    check("(if true then 1 else 2) // { }", "left 2", wrong);
    check("(let a = 1; in a) // { }", "left", wrong);
    check("[ (0 + 1) ] // { }", "left 6", "expected a set but found a list: [ «thunk» ]");
    check("(! false) // { }", "left 4", "expected a set but found a Boolean: true");
    check("(0 == 1) // { }", "left", "expected a set but found a Boolean: false");
    check("\"a${\"b\"}\" // { }", "left 2", "expected a set but found a string: \"ab\"");
}

#[test]
fn functions_of_functions_have_one_name() {
    check_trace(
        "let f = { a }: { b }: a.c; g = f { a = { }; }; in [ (g { b = 2; }) ]",
        &expect![[r#"
            error:
                   … while evaluating list element at index 0

                   … from call site
                     at «string»:1:54:
                        1| let f = { a }: { b }: a.c; g = f { a = { }; }; in [ (g { b = 2; }) ]
                         |                                                      ^

                   … while calling 'f'
                     at «string»:1:16:
                        1| let f = { a }: { b }: a.c; g = f { a = { }; }; in [ (g { b = 2; }) ]
                         |                ^

                   error: attribute 'c' missing
                   at «string»:1:23:
                        1| let f = { a }: { b }: a.c; g = f { a = { }; }; in [ (g { b = 2; }) ]
                         |                       ^"#]],
    );
    check("let f = { a }: { b }: a + b; in f { a = 1; } { b = 2; }", "3");
}

#[test]
fn paths_that_are_none_of_the_store() {
    let check = |path: &str, want: &str| {
        let evaluated = with_stack(|| {
            let evaluation =
                Evaluation::new(Settings::default(), Box::new(files()), Box::new(|_| {}));
            let value =
                evaluation.text(&format!("builtins.storePath \"{path}\""), Path::new("/p"))?;
            evaluation.write(value, Format::Raw, true)
        });
        assert_eq!(evaluated.unwrap().unwrap_err().message, want, "{path}");
    };
    let zeros = "0".repeat(31);
    check("/nix/store/abc-x", "'abc-x' is too short to be a valid store path");
    check(
        &format!("/nix/store/{zeros}u-x!"),
        &format!("store path '{zeros}u-x!' contains illegal base-32 character 'u'"),
    );
    check(
        &format!("/nix/store/{zeros}0-a!/b"),
        &format!(
            "path '{zeros}0-a!' is not a valid store path: name 'a!' contains illegal character '!'"
        ),
    );
    check("/p/a", "path '/p/a' is not in the Nix store");
}

#[test]
fn who_was_stopped_is_stopped_again() {
    let kinds = with_stack(|| {
        let settings = Settings::default();
        settings.interrupt.set(crate::Stop::User);
        let evaluation = Evaluation::new(settings, Box::new(files()), Box::new(|_| {}));
        let calls = "let f = n: if n == 0 then 0 else f (n - 1); in builtins.foldl' (a: b: f 100) 0 (builtins.genList (i: i) 200)";
        let run = || evaluation.force(evaluation.text(calls, Path::new("/p"))?, true).map(|_| ());
        [run(), run(), run()].map(|result| result.map_err(|error| error.kind))
    });
    assert_eq!(kinds.unwrap(), [Err(crate::ErrorKind::Limit); 3]);
}
