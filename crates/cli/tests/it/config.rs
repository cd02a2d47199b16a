//! `cim-nix.toml`: where it is found, what it changes, what is wrong with it.

use expect_test::expect;

use crate::sandbox::{Sandbox, stdout};

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

const FOLDERS: &str = "\
//- cim-nix.toml
[check]
select = [\"DEAD\"]
[check.severity]
DEAD001 = \"info\"
//- a.nix
let x = 1; in f: y
//- strict/cim-nix.toml
check.extend-select = [\"DEAD005\"]
//- strict/deep/a.nix
let x = 1; in f: y
//- more/cim-nix.toml
extend = \"../cim-nix.toml\"
[check]
extend-select = [\"COR001\"]
exclude = [\"out/\"]
fail-on = \"error\"
[check.per-file-ignores]
\"quiet.nix\" = [\"COR001\", \"DEAD\"]
//- more/a.nix
let x = 1; in f: y
//- more/quiet.nix
let x = 1; in f: y
//- more/out/a.nix
let x = 1; in f: y
";

#[test]
fn the_nearest_file_holds_for_a_file() {
    let sandbox = Sandbox::new(FOLDERS);
    sandbox.check(
        "check --format concise",
        expect![[r#"
            [stdout]
            a.nix:1:5: info[DEAD001] `x` is never used
            a.nix:1:15: warning[DEAD005] the parameter `f` is never used
            more/a.nix:1:1: info[DEAD011] nothing leads to this file from the top of the project or a flake
            more/a.nix:1:5: info[DEAD001] `x` is never used
            more/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
            more/a.nix:1:18: error[COR001] undefined variable `y`
            strict/deep/a.nix:1:5: warning[DEAD001] `x` is never used
            strict/deep/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
            strict/deep/a.nix:1:18: error[COR001] undefined variable `y`
            [exit 1]
        "#]],
    );
    // It makes no difference from where a run starts.
    sandbox.check(
        "check --format concise more strict",
        expect![[r#"
        [stdout]
        more/a.nix:1:5: info[DEAD001] `x` is never used
        more/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
        more/a.nix:1:18: error[COR001] undefined variable `y`
        strict/deep/a.nix:1:5: warning[DEAD001] `x` is never used
        strict/deep/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
        strict/deep/a.nix:1:18: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise strict",
        expect![[r#"
        [stdout]
        strict/deep/a.nix:1:5: warning[DEAD001] `x` is never used
        strict/deep/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
        strict/deep/a.nix:1:18: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
    // One file for all, if it is named, and none at all.
    sandbox.check(
        "check --format concise --config strict/cim-nix.toml more",
        expect![[r#"
        [stdout]
        more/a.nix:1:5: warning[DEAD001] `x` is never used
        more/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
        more/a.nix:1:18: error[COR001] undefined variable `y`
        more/out/a.nix:1:5: warning[DEAD001] `x` is never used
        more/out/a.nix:1:15: warning[DEAD005] the parameter `f` is never used
        more/out/a.nix:1:18: error[COR001] undefined variable `y`
        more/quiet.nix:1:5: warning[DEAD001] `x` is never used
        more/quiet.nix:1:15: warning[DEAD005] the parameter `f` is never used
        more/quiet.nix:1:18: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise --isolated more/quiet.nix",
        expect![[r#"
        [stdout]
        more/quiet.nix:1:5: warning[DEAD001] `x` is never used
        more/quiet.nix:1:18: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
}

#[test]
fn each_folder_fails_by_its_own_settings() {
    let sandbox = Sandbox::new("//- a.nix\n1\n//- sub/cim-nix.toml\ncheck.fail-on = \"never\"\n");
    sandbox.write("sub/a.nix", "{ a = }");
    assert_eq!(sandbox.run("check").status.code(), Some(0));
    assert_eq!(sandbox.run("check --fail-on warning").status.code(), Some(2));
    sandbox.write("a.nix", "let x = 1; in 2");
    assert_eq!(sandbox.run("check").status.code(), Some(1));
}

#[test]
fn what_is_extended_must_be_there() {
    let sandbox =
        Sandbox::new("//- sub/cim-nix.toml\nextend = \"../nowhere.toml\"\n//- sub/a.nix\n1\n");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: sub/cim-nix.toml:1:10: there is no file `sub/../nowhere.toml` to extend
          hint: the path counts from the folder of this file
        [exit 2]
    "#]],
    );
    sandbox.write("sub/cim-nix.toml", "\nextend = \"cim-nix.toml\"");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: sub/cim-nix.toml:2:10: these files extend each other without end
          hint: `extend` names a file above this one
        [exit 2]
    "#]],
    );
    sandbox.write("sub/cim-nix.toml", "check.select = [\"DEAD0O1\"]");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: sub/cim-nix.toml:1:17: no rule is called `DEAD0O1`
          hint: did you mean `DEAD001`?
        [exit 2]
    "#]],
    );
    sandbox.write("sub/cim-nix.toml", "extend = 1");
    sandbox.check(
        "check",
        expect![[r#"
        [stderr]
        error: sub/cim-nix.toml:1:10: `extend` should be the path of a file, but is of type integer
          hint: docs/config.md lists every key
        [exit 2]
    "#]],
    );
}

#[test]
fn unknown_rules_are_told_wherever_they_stand() {
    let sandbox = Sandbox::new("//- a.nix\n1\n");
    for line in [
        "check.select = [\"NOPE\"]",
        "check.extend-select = [\"NOPE\"]",
        "check.ignore = [\"NOPE\"]",
        "check.severity.NOPE = \"info\"",
        "check.per-file-ignores.\"a\" = [\"NOPE\"]",
    ] {
        sandbox.write("cim-nix.toml", line);
        let output = sandbox.run("check");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("no rule is called `NOPE`"), "{line}: {said}");
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
}

const LEFT_OUT: &str = "\
//- cim-nix.toml
[check]
exclude = [\"vendor/\"]
[format]
exclude = [\"raw.nix\"]
//- a.nix
let unused = 1; in 2
//- raw.nix
{   }
//- vendor/b.nix
let unused = 1; in 2
//- sub/cim-nix.toml
[check]
exclude = [\"c.nix\"]
//- sub/c.nix
let unused = 1; in 2
//- hardware-configuration.nix
# Do not modify this file!  It was generated by \u{2018}nixos-generate-config\u{2019}
# and may be overwritten by future invocations.
let unused   = 1; in 2
";

#[test]
fn files_that_are_named_can_be_left_out() {
    let sandbox = Sandbox::new(LEFT_OUT);
    let named = "a.nix raw.nix vendor/b.nix sub/c.nix hardware-configuration.nix";
    let files = |args: &str| {
        let text = stdout(&sandbox.run(&format!("check --format concise -q {args} {named}")));
        text.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(files(""), ["a.nix", "hardware-configuration.nix", "sub/c.nix", "vendor/b.nix"]);
    assert_eq!(files("--force-exclude"), ["a.nix"]);
    assert_eq!(files("--force-exclude --exclude a.nix"), [""; 0]);
    let listed = |args: &str| stdout(&sandbox.run(&format!("fmt --check -q {args} {named}")));
    assert!(listed("").contains("raw.nix") && listed("").contains("hardware-"));
    let strict = listed("--force-exclude");
    assert!(strict.contains("vendor/b.nix"), "{strict}");
    assert!(!strict.contains("raw.nix") && !strict.contains("hardware-"), "{strict}");
}

#[test]
fn a_folder_that_is_named_can_be_left_out() {
    let sandbox = Sandbox::new(LEFT_OUT);
    assert!(stdout(&sandbox.run("check -q vendor")).contains("DEAD001"));
    assert_eq!(stdout(&sandbox.run("check -q --force-exclude vendor")), "");
    assert!(stdout(&sandbox.run("check -q --force-exclude a.nix")).contains("DEAD001"));
}

#[test]
fn hooks_give_arguments_that_hold() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.pre-commit-hooks.yaml");
    let hooks = std::fs::read_to_string(path).unwrap();
    let entries: Vec<_> =
        hooks.lines().filter_map(|line| line.trim().strip_prefix("entry: cim-nix ")).collect();
    assert_eq!(entries.len(), 3);
    assert!(!hooks.contains("pass_filenames"));
    for entry in entries {
        let sandbox = Sandbox::new("//- a.nix\nlet unused = 1; in [ 1\n 2 ]\n");
        let output = sandbox.run(&format!("{entry} a.nix"));
        let is_mended = sandbox.read("a.nix") != "let unused = 1; in [ 1\n 2 ]\n";
        assert!(is_mended || output.status.code() == Some(1), "{entry}");
    }
}
