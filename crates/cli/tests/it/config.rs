//! `cim-nix.toml`: where it is found, what it changes, what is wrong with it.

use expect_test::expect;

use crate::sandbox::Sandbox;

const PROJECT: &str = "\
//- cim-nix.toml
[check]
select = [\"COR001\"]
exclude = [\"/vendor\"]
fail-on = \"error\"
[check.severity]
COR001 = \"warning\"
[check.per-file-ignores]
\"tests\" = [\"COR001\"]
//- sub/a.nix
let x = 1; in y
//- tests/a.nix
y
//- vendor/a.nix
y
";

#[test]
fn holds_for_the_folders_below() {
    let sandbox = Sandbox::new(PROJECT);
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        sub/a.nix:1:15: warning[COR001] undefined variable `y`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "check --format concise sub",
        expect![[r#"
        [stdout]
        sub/a.nix:1:15: warning[COR001] undefined variable `y`
        [exit 0]
    "#]],
    );
}

#[test]
fn arguments_are_stronger() {
    let sandbox = Sandbox::new(PROJECT);
    sandbox.check(
        "check --format concise --select DEAD001 --fail-on info sub",
        expect![[r#"
        [stdout]
        sub/a.nix:1:5: warning[DEAD001] `x` is never used
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise --isolated",
        expect![[r#"
        [stdout]
        sub/a.nix:1:5: warning[DEAD001] `x` is never used
        sub/a.nix:1:15: error[COR001] undefined variable `y`
        tests/a.nix:1:1: error[COR001] undefined variable `y`
        vendor/a.nix:1:1: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
}

#[test]
fn another_file_can_be_named() {
    let sandbox =
        Sandbox::new("//- other/x.toml\ncheck.select = [\"DEAD\"]\n//- a.nix\nlet x = 1; in y\n");
    sandbox.check(
        "check --format concise --config other/x.toml",
        expect![[r#"
        [stdout]
        a.nix:1:5: warning[DEAD001] `x` is never used
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise --config nowhere.toml",
        expect![[r#"
        [stderr]
        error: cannot read the settings in `nowhere.toml`: it does not exist
        [exit 2]
    "#]],
    );
}

#[test]
fn mistakes_are_told_with_their_place() {
    let sandbox = Sandbox::new("//- cim-nix.toml\n[check]\nseverty = { }\n//- a.nix\n1\n");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: cim-nix.toml:2:1: unknown key `severty` in `[check]`
          hint: did you mean `severity`?
        [exit 2]
    "#]],
    );
    sandbox.write("cim-nix.toml", "[check\n");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: cim-nix.toml:1:7: unclosed table, expected `]`
          hint: docs/config.md lists every key
        [exit 2]
    "#]],
    );
    sandbox.write("cim-nix.toml", b"\xff");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: cannot read the settings in `cim-nix.toml`: it is not UTF-8 (byte 0)
        [exit 2]
    "#]],
    );
    sandbox.write("cim-nix.toml", "check.exclude = [\"[\"]");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: the pattern `[` can match nothing
          hint: patterns are written as in a .gitignore file, for example `/vendor/`
        [exit 2]
    "#]],
    );
}

#[test]
fn pipe_operators_need_their_feature() {
    let sandbox = Sandbox::new("//- a.nix\n1 |> (x: x)\n//- flake/sub/b.nix\n(x: x) <| 1\n");
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        a.nix:1:3: error[SYN010] `|>` is experimental, and this project does not enable it
        flake/sub/b.nix:1:8: error[SYN010] `<|` is experimental, and this project does not enable it
        [exit 2]
    "#]],
    );
    sandbox.write(
        "flake/flake.nix",
        "{ nixConfig.extra-experimental-features = [ \"pipe-operators\" ]; }",
    );
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        a.nix:1:3: error[SYN010] `|>` is experimental, and this project does not enable it
        [exit 2]
    "#]],
    );
    sandbox.write("cim-nix.toml", "experimental-features = [\"pipe-operators\"]");
    sandbox.check(
        "check",
        expect![[r#"
        [stdout]
        no findings in 3 files
        [exit 0]
    "#]],
    );
}
