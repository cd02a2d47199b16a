//! `check --baseline` and `--changed-since`: what is new since a revision or a report.

use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

/// Runs Git in the project.
fn git(sandbox: &Sandbox, arguments: &str) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]);
    git.args(["-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]);
    git.args(arguments.split_whitespace()).current_dir(sandbox.project());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = git.output().unwrap();
    assert!(output.status.success(), "git {arguments}: {output:?}");
}

/// A project with these files in its first commit.
fn repository(fixture: &str) -> Sandbox {
    let sandbox = Sandbox::new(fixture);
    git(&sandbox, "init --quiet");
    git(&sandbox, "add --all");
    git(&sandbox, "commit --quiet -m first");
    sandbox
}

/// The program with a `git` to ask.
fn command(sandbox: &Sandbox, args: &str) -> Command {
    let mut command = sandbox.command(args);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

fn check(sandbox: &Sandbox, args: &str, want: expect_test::Expect) {
    sandbox.compare(&command(sandbox, args).output().unwrap(), want);
}

const OLD: &str = "\
//- a.nix
let
  one = 1;
in
2
//- b.nix
let x = 1; in 2
//- sub/c.nix
{ a = 1; }
";

#[test]
fn what_was_there_is_left_out() {
    let sandbox = repository(OLD);
    check(
        &sandbox,
        "check --format concise --baseline HEAD",
        expect![[r#"
        [exit 0]
    "#]],
    );
    // The old finding moves, and a new one comes before it.
    sandbox.write("a.nix", "\n\nlet\n  two = 1;\n  one   = 1;\nin\n2\n");
    sandbox.write("sub/c.nix", "let x = 1; in 2\n");
    check(
        &sandbox,
        "check --baseline HEAD",
        expect![[r#"
            [stdout]
            warning[DEAD001]: `two` is never used
             --> a.nix:4:3
              |
            4 |   two = 1;
              |   ^^^
              |
              = fix: remove `two` (with `--fix`)

            warning[DEAD001]: `x` is never used
             --> sub/c.nix:1:5
              |
            1 | let x = 1; in 2
              |     ^
              |
              = fix: remove `x` (with `--fix`)

            0 errors, 2 warnings in 2 files of 3; 2 fixable with `--fix`
            2 findings of the baseline not shown
            [exit 1]
        "#]],
    );
    check(
        &sandbox,
        "check --format concise --baseline HEAD",
        expect![[r#"
        [stdout]
        a.nix:4:3: warning[DEAD001] `two` is never used
        sub/c.nix:1:5: warning[DEAD001] `x` is never used
        [exit 1]
    "#]],
    );
}

#[test]
fn the_one_that_is_new_of_several_is_told() {
    let sandbox = repository("//- a.nix\n[\n  (rec { a = 1; })\n  (rec { b = 1; })\n]\n");
    sandbox.write("a.nix", "[\n  (rec { c = 1; })\n  (rec { a = 1; })\n    (rec { b = 1; })\n]\n");
    check(
        &sandbox,
        "check --format concise --baseline HEAD",
        expect![[r#"
        [stdout]
        a.nix:2:4: warning[DEAD008] this set does not refer to itself
        [exit 1]
    "#]],
    );
}

#[test]
fn files_are_followed_where_they_were_renamed() {
    let sandbox = repository(OLD);
    git(&sandbox, "mv b.nix moved.nix");
    git(&sandbox, "mv a.nix sub/a.nix");
    check(
        &sandbox,
        "check --baseline HEAD",
        expect![[r#"
        [stdout]
        no new findings in 3 files
        2 findings of the baseline not shown
        [exit 0]
    "#]],
    );
}

#[test]
fn files_are_followed_from_outside_of_what_is_checked() {
    let text = |more: &str| format!("let x = 1; in\n[\n{}{more}]\n", "  1\n".repeat(30));
    let sandbox = repository(&format!("//- old/a.nix\n{}//- new/b.nix\n1\n", text("")));
    git(&sandbox, "mv old/a.nix new/a.nix");
    sandbox.write("new/a.nix", text("  (let y = 1; in 2)\n"));
    for paths in ["new", "new/a.nix", "."] {
        let found =
            command(&sandbox, &format!("check --format concise -q --baseline HEAD {paths}"));
        let found = stdout(&{ found }.output().unwrap());
        assert_eq!(found, "new/a.nix:33:8: warning[DEAD001] `y` is never used\n", "{paths}");
    }
}

#[test]
fn findings_about_other_files_are_compared_with_all_files() {
    let sandbox = repository("//- a.nix\n[ (import ./b.nix) (import ./gone.nix) ]\n//- b.nix\n1\n");
    check(
        &sandbox,
        "check --baseline HEAD",
        expect![[r#"
        [stdout]
        no new findings in 2 files
        1 finding of the baseline not shown
        [exit 0]
    "#]],
    );
    std::fs::remove_file(sandbox.project().join("b.nix")).unwrap();
    check(
        &sandbox,
        "check --format concise --baseline HEAD",
        expect![[r#"
        [stdout]
        a.nix:1:11: error[DEP014] nothing is at `b.nix`
        [exit 1]
    "#]],
    );
}

#[test]
fn files_that_are_named_may_be_new() {
    let sandbox = repository(OLD);
    sandbox.write("new.nix", "let x = 1; in 2\n");
    check(
        &sandbox,
        "check --format concise --baseline HEAD new.nix b.nix",
        expect![[r#"
        [stdout]
        new.nix:1:5: warning[DEAD001] `x` is never used
        [exit 1]
    "#]],
    );
    let output = command(&sandbox, "check --format json --baseline HEAD new.nix b.nix").output();
    let json: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(json["summary"]["baseline"], serde_json::json!({"unchanged": 1, "gone": 0}));
    // In a folder of the repository that is new, too.
    sandbox.write("new/a.nix", "let x = 1; in 2\n");
    check(
        &sandbox,
        "check --format concise --baseline HEAD new",
        expect![[r#"
        [stdout]
        new/a.nix:1:5: warning[DEAD001] `x` is never used
        [exit 1]
    "#]],
    );
}

#[test]
fn settings_are_those_of_today() {
    let sandbox = repository("//- a.nix\nlet x = 1; in f: 2\n");
    sandbox.write("cim-nix.toml", "check.extend-select = [\"DEAD005\"]");
    check(
        &sandbox,
        "check --baseline HEAD",
        expect![[r#"
        [stdout]
        no new findings in 1 file
        2 findings of the baseline not shown
        [exit 0]
    "#]],
    );
}

#[test]
fn syntax_errors_can_be_old_news() {
    let sandbox = repository("//- a.nix\n{ a = }\n");
    check(
        &sandbox,
        "check --baseline HEAD",
        expect![[r#"
        [stdout]
        no new findings in 1 file
        1 finding of the baseline not shown
        [exit 0]
    "#]],
    );
    sandbox.write("b.nix", "{ b = }\n");
    check(
        &sandbox,
        "check --format concise --baseline HEAD",
        expect![[r#"
        [stdout]
        b.nix:1:7: error[SYN001] expected an expression, found `}`
        [exit 2]
    "#]],
    );
}

#[test]
fn trends_are_shown_on_the_page() {
    let sandbox = repository(OLD);
    sandbox.write("a.nix", "let two = 1; in 2\n");
    std::fs::remove_file(sandbox.project().join("b.nix")).unwrap();
    sandbox.write("new.nix", "let x = 1; in 2\n");
    git(&sandbox, "mv sub/c.nix d.nix");
    let page = stdout(&command(&sandbox, "check --format html --baseline HEAD").output().unwrap());
    let counts = |word: &str| page.matches(&format!("data-status=\"{word}\"")).count();
    assert_eq!((counts("new"), counts("unchanged"), counts("gone")), (2, 0, 2), "{page}");
    let output = command(&sandbox, "check --format json --baseline HEAD").output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["summary"]["baseline"]["unchanged"], 0);
}

#[test]
fn sarif_says_what_is_new() {
    let sandbox = repository(OLD);
    sandbox.write("new.nix", "let x = 1; in 2\n");
    let output = command(&sandbox, "check --format sarif --baseline HEAD").output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = json["runs"][0]["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[0]["baselineState"]), (1, &Value::from("new")));
}

#[test]
fn an_earlier_report_is_a_baseline_too() {
    let sandbox = Sandbox::new(OLD);
    assert!(sandbox.run("check --quiet --format json --output old.json").stdout.is_empty());
    sandbox.write("a.nix", "# moved\nlet\n  one = 1;\n  two = 2;\nin\n2\n");
    sandbox.write("b.nix", "1\n");
    sandbox.check(
        "check --baseline old.json",
        expect![[r#"
            [stdout]
            warning[DEAD001]: `two` is never used
             --> a.nix:4:3
              |
            4 |   two = 2;
              |   ^^^
              |
              = fix: remove `two` (with `--fix`)

            0 errors, 1 warning in 1 file of 3; 1 fixable with `--fix`
            1 finding of the baseline not shown; 1 gone since
            [exit 1]
        "#]],
    );
    sandbox.write("old.json", "{}");
    sandbox.check(
        "check --baseline old.json",
        expect![[r#"
            [stderr]
            error: `old.json` is no report of cim-nix: missing field `version` at line 1 column 2
              hint: write one with `cim-nix check --format json --output FILE.json`
            [exit 2]
        "#]],
    );
}

#[test]
fn only_what_changed_is_checked() {
    let sandbox = repository(OLD);
    check(
        &sandbox,
        "check --changed-since HEAD",
        expect![[r#"
        [stderr]
        no Nix files changed
        [exit 0]
    "#]],
    );
    sandbox.write("b.nix", "let x = 1; in import ./gone.nix\n");
    sandbox.write("untracked.nix", "let y = 1; in import ./a.nix\n");
    check(
        &sandbox,
        "check --format concise --changed-since HEAD",
        expect![[r#"
        [stdout]
        b.nix:1:5: warning[DEAD001] `x` is never used
        b.nix:1:22: error[DEP014] nothing is at `gone.nix`
        untracked.nix:1:5: warning[DEAD001] `y` is never used
        [exit 1]
    "#]],
    );
    // A cycle through a file that has not changed is seen.
    let sandbox = repository("//- a.nix\nimport ./b.nix\n//- b.nix\n1\n");
    sandbox.write("b.nix", "import ./a.nix\n");
    sandbox.write("a.nix", "import ./b.nix\n");
    check(
        &sandbox,
        "check --format concise --changed-since HEAD",
        expect![[r#"
        [stdout]
        a.nix:1:8: error[DEP013] these files import each other without end: a.nix, b.nix
        [exit 1]
    "#]],
    );
}

#[test]
fn what_files_must_know_of_others_holds_where_only_some_are_checked() {
    let sandbox = repository(
        "//- flake.nix
{ outputs = x: { nixosConfigurations.host = x.f { modules = [ ./a.nix ]; }; }; }
//- a.nix
{ config, ... }:
{
  system.stateVersion = \"24.05\";
  services.b = config.my.read;
}
//- options.nix
{ lib, ... }:
{
  options.my.read = lib.mkOption { };
}
",
    );
    sandbox.write("flake.nix", "{ outputs = x: { nixosConfigurations.host = x.f { modules = [ ./a.nix ./options.nix ]; }; }; }\n");
    sandbox.write("options.nix", "{ lib, ... }:\n{\n  options.my.read = lib.mkOption { };\n  options.my.unread = lib.mkOption { };\n}\n");
    check(
        &sandbox,
        "check --format concise --changed-since HEAD --select DEP019,DEAD015",
        expect![[r#"
            [stdout]
            options.nix:4:14: info[DEAD015] nothing in this project reads an option of this name
            [exit 0]
        "#]],
    );
    // Neither does a file count less that is generated or broken.
    let flake = "{ outputs = x: { nixosConfigurations.host = x.f { }; }; }\n";
    for other in [
        "# Do not modify this file!  It was generated by ‘nixos-generate-config’\n{ system.stateVersion = \"24.05\"; }\n",
        "{ system.stateVersion = \"24.05\"\n",
    ] {
        let sandbox = Sandbox::new("");
        sandbox.write("flake.nix", flake);
        sandbox.write("hardware-configuration.nix", other);
        let output = sandbox.command("check --format concise --select DEP019").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("DEP019"), "{text}");
    }
}

#[test]
fn what_cannot_be_compared_is_told() {
    let sandbox = Sandbox::new(OLD);
    check(
        &sandbox,
        "check --baseline HEAD",
        expect![[r#"
        [stderr]
        error: `.` is in no Git repository
          hint: `--baseline` compares with what Git has recorded
        [exit 2]
    "#]],
    );
    let mut without_git = sandbox.command("check --baseline HEAD");
    without_git.env("PATH", "/nowhere");
    sandbox.compare(
        &without_git.output().unwrap(),
        expect![[r#"
        [stderr]
        error: cannot run `git`, which `--baseline` needs: No such file or directory (os error 2)
          hint: install Git, or compare with an earlier report: `--baseline FILE.json`
        [exit 3]
    "#]],
    );
    git(&sandbox, "init --quiet");
    check(
        &sandbox,
        "check --baseline nowhere",
        expect![[r#"
        [stderr]
        error: `nowhere` names no commit of this repository
          hint: a branch of another repository has to be fetched first; `git log --oneline` lists revisions
        [exit 2]
    "#]],
    );
    check(
        &sandbox,
        "check --changed-since --output=x",
        expect![[r#"
        [stderr]
        error: a value is required for '--changed-since <REV>' but none was supplied

        For more information, try '--help'.
        [exit 2]
    "#]],
    );
    sandbox.check_on(
        "check --baseline HEAD -",
        "1",
        expect![[r#"
        [stderr]
        error: `--baseline` is for files, not for standard input
        [exit 2]
    "#]],
    );
}

#[test]
fn what_is_no_report_is_told() {
    let sandbox = repository(OLD);
    check(
        &sandbox,
        "check --baseline nofile.json",
        expect![[r#"
        [stderr]
        error: there is no file `nofile.json`, nor a revision of that name
        [exit 2]
    "#]],
    );
    sandbox.write("lines.json", stdout(&sandbox.run("check --format json-lines")));
    check(
        &sandbox,
        "check --baseline lines.json",
        expect![[r#"
        [stderr]
        error: `lines.json` is JSON lines, which are no baseline
          hint: write one with `cim-nix check --format json --output FILE.json`
        [exit 2]
    "#]],
    );
    sandbox.write("report.txt", "{}");
    check(
        &sandbox,
        "check --baseline report.txt",
        expect![[r#"
        [stderr]
        error: `report.txt` is no revision
          hint: a report of an earlier run is read where its name ends in `.json`
        [exit 2]
    "#]],
    );
}

#[test]
fn names_and_bytes_may_be_anything() {
    let sandbox = repository("//- a b.nix\nlet x = 1; in 2\n");
    sandbox.write("λ\n\".nix", "let x = 1; in \"\\xff\"\n");
    sandbox.write("bytes.nix", b"let x = 1; in \"\xff\"\n");
    git(&sandbox, "add --all");
    git(&sandbox, "commit --quiet -m second");
    sandbox.write("λ\n\".nix", "let x = 1; y = 2; in 3\n");
    sandbox.write("bytes.nix", b"let x = 1; z = 1; in \"\xff\"\n");
    check(
        &sandbox,
        "check --format concise --baseline HEAD",
        expect![[r#"
        [stdout]
        bytes.nix:1:12: warning[DEAD001] `z` is never used
        λ\n".nix:1:12: warning[DEAD001] `y` is never used
        [exit 1]
    "#]],
    );
}
