//! The read-evaluate-print loop, fed through a pipe; in a terminal the same code reads lines.

use expect_test::expect;

use crate::sandbox::Sandbox;

#[test]
fn values_get_names_and_are_shown() {
    Sandbox::new("\n//- x.nix\n{ fromFile = 5; }\n").check_on(
        "repl",
        "x = 1\nx + 2\n:t x\n{ a = { b = 1; }; c = throw \"no\"; }\n:p { a.b = [ 1 ]; }\n:l ./x.nix\nfromFile\nlet\n  z = 3;\nin z\n:a { y = 7; w = 8; }\ny + w\n:q\nnever\n",
        expect![[r#"
            [stdout]
            3
            an integer
            { a = { ... }; c = «error: no»; }
            { a = { b = [ 1 ]; }; }
            Added 1 variable.
            5
            3
            Added 2 variables.
            15
            [exit 0]
        "#]],
    );
}

#[test]
fn faults_do_not_end_it() {
    Sandbox::new("").check_on(
        "repl",
        "throw \"a\"\n1 + \"x\"\n:zz\n:doc 1\n:l nowhere.nix\n)\n1\n",
        expect![[r#"
            [stdout]
            1
            [stderr]
            error:
                   … while calling the 'throw' builtin
                     at «string»:1:1:
                        1| throw "a"
                         | ^

                   error: a
            error: cannot add a string to an integer
                   at «string»:1:5:
                        1| 1 + "x"
                         |     ^
            error: unknown command ':zz'; `:?` lists them
            error: value does not have documentation
            error: cannot read `./nowhere.nix`
            error: expected an expression, found `)`
                   at «string»:1:1:
                        1| )
                         | ^
            [exit 0]
        "#]],
    );
}

#[test]
fn files_are_read_again_on_request() {
    let sandbox = Sandbox::new("\n//- x.nix\n{ v = 1; }\n");
    sandbox.check_on(
        "repl x.nix",
        "v\n:r\nv\n:doc builtins.isNull\n",
        expect![[r#"
            [stdout]
            Added 1 variable.
            1
            Added 1 variable.
            1
            builtins.isNull e

            Whether *e* is `null`: the same as `e == null`.
            [exit 0]
        "#]],
    );
}
