//! `check --fix` and `--diff`.

use std::fs::{self, File};

use expect_test::expect;

use crate::sandbox::{Sandbox, stdout};

const FAULTY: &str = "\
//- a.nix
let
  unused = 1; # gone
  used = 2;
in
used + missing
//- b.nix
let x = 1; in 3
//- clean.nix
1
";

#[test]
fn mends_what_is_safe_and_reports_the_rest() {
    let sandbox = Sandbox::new(FAULTY);
    sandbox.check(
        "check --fix --select DEAD001,COR001",
        expect![[r#"
            [stdout]
            error[COR001]: undefined variable `missing`
             --> a.nix:4:8
              |
            4 | used + missing
              |        ^^^^^^^

            fixed 2 findings in 2 files:
              2 x DEAD001 unused-binding
            1 error, 0 warnings in 1 file of 3
            [exit 1]
        "#]],
    );
    expect![[r#"
        let
          used = 2;
        in
        used + missing
    "#]]
    .assert_eq(&sandbox.read("a.nix"));
    assert_eq!(sandbox.read("clean.nix"), "1\n");
    sandbox.check(
        "check --fix --select DEAD001",
        expect![[r#"
        [stdout]
        no findings in 3 files
        [exit 0]
    "#]],
    );
}

#[test]
fn a_diff_changes_nothing() {
    let sandbox = Sandbox::new(FAULTY);
    sandbox.check(
        "check --diff --select DEAD001",
        expect![[r#"
        [stdout]
        --- a/a.nix
        +++ b/a.nix
        @@ -1,5 +1,4 @@
         let
        -  unused = 1; # gone
           used = 2;
         in
         used + missing
        --- a/b.nix
        +++ b/b.nix
        @@ -1 +1 @@
        -let x = 1; in 3
        +let in 3
        [stderr]
        would fix 2 findings in 2 files
        [exit 1]
    "#]],
    );
    assert!(sandbox.read("a.nix").contains("unused"));
    sandbox.check(
        "check --diff clean.nix",
        expect![[r#"
        [stderr]
        nothing to fix
        [exit 0]
    "#]],
    );
    assert!(!sandbox.state().exists());
}

#[test]
fn a_diff_can_be_coloured_and_applied() {
    let sandbox = Sandbox::new("//- a.nix\nlet x = 1; in 3\n");
    let output = sandbox.run("check --diff --select DEAD001 --color always");
    assert!(stdout(&output).contains("\x1b[31m-let x = 1; in 3\x1b[0m\n"), "{output:?}");
}

#[test]
fn standard_input_comes_back_fixed() {
    let sandbox = Sandbox::new("");
    let args = "check --fix --select DEAD001,COR001 --format concise -";
    sandbox.check_on(
        args,
        "let x = 1; in y\n",
        expect![[r#"
        [stdout]
        let in y
        [stderr]
        stdin.nix:1:8: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
    sandbox.check_on(
        args,
        "1\n",
        expect![[r#"
        [stdout]
        1
        [exit 0]
    "#]],
    );
    let broken = sandbox.run_on(args, b"\"\xff\"");
    assert_eq!(broken.stdout, b"\"\xff\"");
    sandbox.check_on(
        "check --diff --select DEAD001 -",
        "let x = 1; in 3\n",
        expect![[r#"
        [stdout]
        --- a/stdin.nix
        +++ b/stdin.nix
        @@ -1 +1 @@
        -let x = 1; in 3
        +let in 3
        [stderr]
        would fix 1 finding in 1 file
        [exit 1]
    "#]],
    );
}

#[test]
fn replaced_bytes_are_never_written() {
    let sandbox = Sandbox::new("");
    let bytes = b"let x = \"\xff\"; in 3\n";
    sandbox.write("a.nix", bytes);
    sandbox.run("check --fix --select ALL");
    assert_eq!(fs::read(sandbox.project().join("a.nix")).unwrap(), bytes);
}

#[test]
fn fixing_counts_in_json() {
    let output = Sandbox::new(FAULTY).run("check --fix --select DEAD001 --format json");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["summary"]["fixed"], serde_json::json!({"DEAD001": 2}));
    assert_eq!(json["summary"]["findings"], 0);
}

#[test]
fn without_a_place_for_the_journal_nothing_is_fixed() {
    let sandbox = Sandbox::new(FAULTY);
    let mut command = sandbox.command("check --fix");
    let output = command.env_remove("HOME").env_remove("XDG_STATE_HOME").output().unwrap();
    sandbox.compare(
        &output,
        expect![[r#"
        [stderr]
        error: there is no place for the journal of what is written: HOME is not set
          hint: set XDG_STATE_HOME to a folder of yours
        [exit 2]
    "#]],
    );
    assert!(sandbox.read("a.nix").contains("unused"));
}

#[test]
fn a_file_outside_the_first_project_is_fixed_too() {
    let sandbox = Sandbox::new("//- p/flake.nix\nlet x = 1; in 1\n//- q/a.nix\nlet x = 1; in 2\n");
    let output = sandbox.run("check --fix --select DEAD001 p q");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let texts = [sandbox.read("p/flake.nix"), sandbox.read("q/a.nix")];
    assert!(!texts.concat().contains('x'), "{texts:?}");
}

#[test]
fn another_run_in_the_same_project_is_a_conflict() {
    let sandbox = Sandbox::new("//- a.nix\nlet x = 1; in 1\n");
    sandbox.run("check --fix --select DEAD001");
    sandbox.write("a.nix", "let y = 1; in 1\n");
    let journals = sandbox.state().join("cim-nix/journal");
    let journal = fs::read_dir(journals).unwrap().next().unwrap().unwrap().path();
    let lock = File::options().append(true).open(journal.join("lock")).unwrap();
    lock.lock().unwrap();
    sandbox.check(
        "check --fix --select DEAD001",
        expect![[r#"
        [stderr]
        error: another cim-nix is changing this project
          hint: wait for it to end, then run the command again
        [exit 2]
    "#]],
    );
    assert_eq!(sandbox.read("a.nix"), "let y = 1; in 1\n");
}
