//! `check`: findings in every format, which files are looked at, how a run ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::{Sandbox, is_root, stdout};

const FAULTY: &str = "\
//- a.nix
let
  unused = 1;
in
missing
//- b/clean.nix
{ a = 1; }
";

#[test]
fn findings_for_people() {
    Sandbox::new(FAULTY).check(
        "check",
        expect![[r#"
            [stdout]
            warning[DEAD001]: `unused` is never used
             --> a.nix:2:3
              |
            2 |   unused = 1;
              |   ^^^^^^
              |
              = fix: remove `unused` (with `--fix`)

            error[COR001]: undefined variable `missing`
             --> a.nix:4:1
              |
            4 | missing
              | ^^^^^^^

            1 error, 1 warning in 1 file of 2; 1 fixable with `--fix`
            [exit 1]
        "#]],
    );
}

#[test]
fn nothing_to_say() {
    Sandbox::new(FAULTY).check(
        "check b",
        expect![[r#"
        [stdout]
        no findings in 1 file
        [exit 0]
    "#]],
    );
    Sandbox::new("").check(
        "check",
        expect![[r#"
            [stderr]
            no Nix files found
            [exit 0]
        "#]],
    );
}

#[test]
fn one_line_a_finding() {
    Sandbox::new(FAULTY).check(
        "check --format concise",
        expect![[r#"
        [stdout]
        a.nix:2:3: warning[DEAD001] `unused` is never used
        a.nix:4:1: error[COR001] undefined variable `missing`
        [exit 1]
    "#]],
    );
}

#[test]
fn json_is_an_object_with_findings_and_summary() {
    let output = Sandbox::new(FAULTY).run("check --format json");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["version"], 1);
    let finding = &json["findings"][0];
    assert_eq!(finding["path"], "a.nix");
    assert_eq!(finding["code"], "DEAD001");
    assert_eq!(finding["range"]["start"], serde_json::json!({"line": 2, "column": 3, "offset": 6}));
    assert_eq!(finding["fix"]["applicability"], "safe");
    assert_eq!(json["findings"].as_array().unwrap().len(), 2);
    assert_eq!(json["summary"]["rules"], serde_json::json!({"COR001": 1, "DEAD001": 1}));
    assert_eq!((&json["summary"]["files"], output.status.code()), (&Value::from(2), Some(1)));
}

#[test]
fn json_of_nothing_is_an_object_too() {
    let output = Sandbox::new("").run("check --format json");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["findings"], serde_json::json!([]));
}

#[test]
fn json_lines_end_in_the_summary() {
    let text = stdout(&Sandbox::new(FAULTY).run("check --format json-lines"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<&Value> = lines.iter().map(|line| &line["code"]).collect();
    assert_eq!(codes, [&Value::from("DEAD001"), &Value::from("COR001"), &Value::Null]);
    assert_eq!(lines[2]["summary"]["findings"], 2);
}

#[test]
fn syntax_errors_are_worse_than_findings() {
    let sandbox = Sandbox::new("//- a.nix\n{ a = 1 }\n");
    sandbox.check(
        "check",
        expect![[r#"
        [stdout]
        error[SYN001]: expected `;`, found `}`
         --> a.nix:1:8
          |
        1 | { a = 1 }
          |        ^

        1 error, 0 warnings in 1 file
        [exit 2]
    "#]],
    );
    assert_eq!(sandbox.run("check --fail-on error").status.code(), Some(2));
    assert_eq!(sandbox.run("check --fail-on never").status.code(), Some(0));
}

#[test]
fn fail_on_decides_what_fails() {
    let sandbox = Sandbox::new("//- a.nix\nlet unused = 1; in 2\n");
    let code = |args| sandbox.run(args).status.code();
    assert_eq!(code("check"), Some(1));
    assert_eq!(code("check --fail-on error"), Some(0));
    assert_eq!(code("check --fail-on info"), Some(1));
    assert_eq!(code("check --fail-on never"), Some(0));
}

#[test]
fn rules_are_chosen_by_code_beginning_and_name() {
    let sandbox = Sandbox::new(FAULTY);
    sandbox.check(
        "check --format concise --select DEAD",
        expect![[r#"
            [stdout]
            a.nix:2:3: warning[DEAD001] `unused` is never used
            b/clean.nix:1:1: info[DEAD011] nothing leads to this file from the top of the project or a flake
            [exit 1]
        "#]],
    );
    sandbox.check(
        "check --format concise --ignore unused-binding",
        expect![[r#"
        [stdout]
        a.nix:4:1: error[COR001] undefined variable `missing`
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise --select COR001,DEAD --ignore DEAD001",
        expect![[r#"
            [stdout]
            a.nix:4:1: error[COR001] undefined variable `missing`
            b/clean.nix:1:1: info[DEAD011] nothing leads to this file from the top of the project or a flake
            [exit 1]
        "#]],
    );
}

#[test]
fn numbers_instead_of_findings() {
    Sandbox::new(FAULTY).check(
        "check --statistics",
        expect![[r#"
            [stdout]
            1  COR001       undefined-variable
            1  DEAD001  [*] unused-binding
            [*] `--fix` mends them

            1 error, 1 warning in 1 file of 2; 1 fixable with `--fix`
            [exit 1]
        "#]],
    );
}

#[test]
fn findings_can_be_few_and_quiet() {
    let sandbox = Sandbox::new(FAULTY);
    sandbox.check(
        "check --max-findings 1",
        expect![[r#"
            [stdout]
            warning[DEAD001]: `unused` is never used
             --> a.nix:2:3
              |
            2 |   unused = 1;
              |   ^^^^^^
              |
              = fix: remove `unused` (with `--fix`)

            1 error, 1 warning in 1 file of 2; 1 fixable with `--fix`
            1 finding not shown
            [exit 1]
        "#]],
    );
    sandbox.check(
        "check --quiet --select DEAD001",
        expect![[r#"
            [stdout]
            warning[DEAD001]: `unused` is never used
             --> a.nix:2:3
              |
            2 |   unused = 1;
              |   ^^^^^^
              |
              = fix: remove `unused` (with `--fix`)

            [exit 1]
        "#]],
    );
    let json: Value =
        serde_json::from_str(&stdout(&sandbox.run("check --format json --max-findings 1")))
            .unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    assert_eq!((&json["summary"]["shown"], &json["summary"]["findings"]), (&1.into(), &2.into()));
}

#[test]
fn standard_input_is_a_file() {
    let sandbox =
        Sandbox::new("//- cim-nix.toml\ncheck.per-file-ignores.\"tests/\" = [\"DEAD\"]\n");
    let text = "let x = 1; in y";
    sandbox.check_on(
        "check --format concise -",
        text,
        expect![[r#"
        [stdout]
        stdin.nix:1:5: warning[DEAD001] `x` is never used
        stdin.nix:1:15: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
    sandbox.check_on(
        "check --format concise - --stdin-filename tests/a.nix",
        text,
        expect![[r#"
        [stdout]
        tests/a.nix:1:15: error[COR001] undefined variable `y`
        [exit 1]
    "#]],
    );
}

#[test]
fn what_cannot_be_read_is_a_finding() {
    let sandbox = Sandbox::new("//- good.nix\n1\n");
    sandbox.write("bytes.nix", b"{ a = \"\xff\"; }");
    symlink("loop.nix", sandbox.project().join("loop.nix")).unwrap();
    sandbox.check(
        "check --format concise . loop.nix nowhere.nix",
        expect![[r#"
        [stdout]
        bytes.nix:1:8: warning[SYN007] this file is not UTF-8: byte 7 belongs to no character
        loop.nix:1:1: error[SYN008] cannot read this path: its symbolic links lead in a circle
        nowhere.nix:1:1: error[SYN008] cannot read this path: it does not exist
        [exit 2]
    "#]],
    );
}

#[test]
fn a_file_of_two_hundred_megabytes_is_a_finding() {
    let sandbox = Sandbox::new("");
    let file = fs::File::create(sandbox.project().join("huge.nix")).unwrap();
    file.set_len(200 << 20).unwrap();
    sandbox.check("check --format concise --select DEAD", expect![[r#"
        [stdout]
        huge.nix:1:1: error[SYN004] this file is too large to be checked: 209715200 bytes, 67108863 at most
        [exit 2]
    "#]]);
}

#[test]
fn what_may_not_be_read_is_a_finding() {
    let sandbox = Sandbox::new("//- closed.nix\n1\n//- folder/a.nix\n1\n");
    let set_mode = |path: &str, mode| {
        fs::set_permissions(sandbox.project().join(path), Permissions::from_mode(mode)).unwrap();
    };
    set_mode("closed.nix", 0o000);
    set_mode("folder", 0o000);
    if !is_root(&sandbox.project().join("closed.nix")) {
        sandbox.check(
            "check --format concise",
            expect![[r#"
            [stdout]
            closed.nix:1:1: error[SYN008] cannot read this path: permission denied
            folder:1:1: error[SYN008] cannot read this path: permission denied
            [exit 2]
        "#]],
        );
    }
    set_mode("folder", 0o700);
}

#[test]
fn any_module_of_the_project_may_enable_pipes() {
    let sandbox = Sandbox::new(
        "\
//- .git/HEAD
//- lib/a.nix
1 |> (x: x)
//- hosts/nix.nix
{ nix.settings.experimental-features = [ \"flakes\" \"pipe-operator\" ]; }
",
    );
    sandbox.check(
        "check --format concise lib",
        expect![[r#"
        [exit 0]
    "#]],
    );
    sandbox.write("hosts/nix.nix", "{ nix.settings.experimental-features = [ \"flakes\" ]; }\n");
    sandbox.check(
        "check --format concise lib/a.nix",
        expect![[r#"
        [stdout]
        lib/a.nix:1:3: error[SYN010] `|>` is experimental, and this project does not enable it
        [exit 2]
    "#]],
    );
}

#[test]
fn encrypted_files_are_no_code() {
    let sandbox = Sandbox::new("//- a.nix\nimport ./secrets/git.nix\n");
    sandbox.write("secrets/git.nix", b"\0GITCRYPT\0\xc8\xd5\x88%\xf2/\x8a\xee");
    sandbox.write("secrets/age.nix", b"age-encryption.org/v1\n-> ssh-ed25519 iC\n--- \xff\n\x12");
    let sops = "{\n\t\"data\": \"ENC[AES256_GCM,data:abc=,type:str]\",\n\t\"sops\": {}\n}\n";
    sandbox.write("secrets/sops.nix", sops);
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [exit 0]
    "#]],
    );
    sandbox.check(
        "check --format concise secrets/git.nix",
        expect![[r#"
        [stderr]
        left out: secrets/git.nix is encrypted by git-crypt
        [exit 0]
    "#]],
    );
    sandbox.check(
        "check --format concise --quiet secrets/git.nix",
        expect![[r#"
        [exit 0]
    "#]],
    );
    sandbox.check("check --format json", expect![[r#"
        [stdout]
        {"version":1,"findings":[
        ],"summary":{"files":4,"files_with_findings":0,"findings":0,"shown":0,"errors":0,"warnings":0,"infos":0,"fixable":{"safe":0,"unsafe":0},"suppressed":0,"generated":0,"encrypted":3,"rules":{},"fixed":{}}}
        [exit 0]
    "#]]);
    sandbox.check(
        "fmt --check --formatter nixfmt",
        expect![[r#"
        [stderr]
        would format 0 files, 1 already formatted, 3 encrypted
        [exit 0]
    "#]],
    );
    sandbox.check(
        "fmt --check --formatter nixfmt secrets/age.nix",
        expect![[r#"
        [stderr]
        left out: secrets/age.nix is encrypted
        would format 0 files, 1 encrypted
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph",
        expect![[r#"
        [stdout]
        a.nix [import]
          import secrets/git.nix [encrypted]
        secrets/age.nix [encrypted]
        secrets/sops.nix [encrypted]
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph --format dot",
        expect![[r#"
            [stdout]
            digraph {
              rankdir=LR;
              node [shape=box];
              n0 [label="a.nix" tooltip="import"];
              n1 [label="secrets/age.nix" tooltip="encrypted"];
              n2 [label="secrets/git.nix" tooltip="encrypted"];
              n3 [label="secrets/sops.nix" tooltip="encrypted"];
              n0 -> n2 [label="import"];
            }
            [exit 0]
        "#]],
    );
    sandbox.check(
        "files",
        expect![[r#"
        [stdout]
        a.nix: import: gives `import ./secrets/git.nix`
        secrets/age.nix: expression: is an expression of no special kind; encrypted by age
        secrets/git.nix: expression: holds no whole expression; encrypted by git-crypt
        secrets/sops.nix: expression: is a set of various values; encrypted by sops
        [exit 0]
    "#]],
    );
}

#[test]
fn generated_files_are_left_to_their_tools() {
    let sandbox = Sandbox::new(
        "\
//- node-packages.nix
# This file has been generated by node2nix 1.11.1. Do not edit!
let unused = 1; in 2
//- broken.nix
# This file has been generated by node2nix 1.11.1. Do not edit!
let unused = 1
",
    );
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        broken.nix:2:15: error[SYN001] expected `;`, found the end of the file
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --format concise --include-generated",
        expect![[r#"
        [stdout]
        broken.nix:2:15: error[SYN001] expected `;`, found the end of the file
        node-packages.nix:2:5: warning[DEAD001] `unused` is never used
        [exit 2]
    "#]],
    );
    sandbox.check(
        "check --format concise node-packages.nix",
        expect![[r#"
        [stdout]
        node-packages.nix:2:5: warning[DEAD001] `unused` is never used
        [exit 1]
    "#]],
    );
}

#[test]
fn the_walk_can_be_steered() {
    let sandbox = Sandbox::new(
        "\
//- .gitignore
/ignored.nix
//- ignored.nix
x
//- .hidden/a.nix
x
//- vendor/a.nix
x
//- flake.lock
{ }
//- readme.txt
x
",
    );
    fs::create_dir(sandbox.project().join(".git")).unwrap();
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        vendor/a.nix:1:1: error[COR001] undefined variable `x`
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise --no-ignore --hidden --exclude vendor/",
        expect![[r#"
        [stdout]
        .hidden/a.nix:1:1: error[COR001] undefined variable `x`
        ignored.nix:1:1: error[COR001] undefined variable `x`
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --format concise readme.txt ignored.nix",
        expect![[r#"
        [stdout]
        ignored.nix:1:1: error[COR001] undefined variable `x`
        readme.txt:1:1: error[COR001] undefined variable `x`
        [exit 1]
    "#]],
    );
}

#[test]
fn deep_nesting_is_a_finding() {
    let sandbox = Sandbox::new("");
    for (at, (open, close)) in
        [("(", ")"), ("[", "]"), ("{a=", ";}"), ("\"${", "}\""), ("x: ", ""), ("-", "")]
            .iter()
            .enumerate()
    {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        sandbox.write(&format!("{at}.nix"), text);
    }
    let output = sandbox.run("check --format concise");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = stdout(&output);
    assert_eq!(text.lines().filter(|line| line.contains("error[SYN003]")).count(), 6, "{text}");
}

#[test]
fn order_does_not_depend_on_threads() {
    let files: String =
        (0..200).map(|at| format!("//- f{at}.nix\nlet a = 1; in x{at}\n")).collect();
    let sandbox = Sandbox::new(&files);
    let one = stdout(&sandbox.run("check --threads 1"));
    let many = stdout(&sandbox.run("check --threads 7"));
    assert!(one.contains("x199") && one == many);
}

#[test]
fn imports_are_followed_and_their_findings_can_be_silenced() {
    let sandbox = Sandbox::new(
        "//- a.nix\n[\n  (import ./gone.nix)\n  (import ./lost.nix) # cim-nix: ignore[DEP014] made by the build\n]\n//- b.nix\nimport ./b.nix\n",
    );
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        a.nix:2:11: error[DEP014] nothing is at `gone.nix`
        b.nix:1:8: error[DEP013] this file imports itself, so evaluation cannot end
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --fix --format concise",
        expect![[r#"
        [stdout]
        a.nix:2:11: error[DEP014] nothing is at `gone.nix`
        b.nix:1:8: error[DEP013] this file imports itself, so evaluation cannot end
        [exit 1]
    "#]],
    );
}

#[test]
fn what_lies_above_the_project_says_nothing_about_it() {
    let sandbox = Sandbox::new("");
    let host = "{ services.openssh.settings.PermitRootLogin = \"yes\"; }\n";
    sandbox.write("test/infra/flake.nix", "{ outputs = _: { }; }\n");
    sandbox.write("test/infra/hosts/a.nix", host);
    sandbox.write("test/infra/tests/b.nix", host);
    let found = expect![[r#"
        [stdout]
        test/infra/hosts/a.nix:1:47: error[SEC040] root may log in by SSH with a password
        [exit 1]
    "#]];
    sandbox.check("check --format concise --select SEC040 test/infra", found);
    // Wherever it is run from.
    let mut inside = sandbox.command("check --format concise --select SEC040");
    inside.current_dir(sandbox.project().join("test/infra/tests"));
    assert!(inside.output().unwrap().status.success());
}

#[test]
fn a_report_replaces_no_code() {
    let sandbox = Sandbox::new("//- a.nix\nlet a = 1; in 2\n");
    let output = sandbox.run("check -o a.nix a.nix");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(sandbox.read("a.nix"), "let a = 1; in 2\n");
}

#[test]
fn a_check_is_recorded_on_request() {
    let sandbox = Sandbox::new(
        "//- flake.nix\n{ outputs = _: { }; }\n//- a.nix\nlet x = 1; in y\n//- sub/b.nix\n1\n",
    );
    let plain = sandbox.run("check --format json");
    assert!(!sandbox.state().join("cim-nix/store").exists(), "it is not recorded unasked");
    let recorded = sandbox.run("check --record --format json");
    assert_eq!(recorded.status.code(), plain.status.code());
    let mut report: Value = serde_json::from_slice(&recorded.stdout).unwrap();
    let id = report["summary"].as_object_mut().unwrap().remove("event").unwrap();
    assert_eq!(report, serde_json::from_slice::<Value>(&plain.stdout).unwrap());
    let said = String::from_utf8(recorded.stderr).unwrap();
    assert_eq!(said, format!("recorded as event {}\n", id.as_str().unwrap()));
    let event: Value = serde_json::from_slice(&sandbox.run("log --format json").stdout).unwrap();
    assert_eq!(
        (&event["event_type"], &event["event"]["identity"]["message_id"]),
        (&"ProjectChecked".into(), &id)
    );
    let (summary, body) = (&report["summary"], &event["event"]);
    assert_eq!((&body["files"], &summary["files"]), (&3.into(), &3.into()));
    for count in ["errors", "warnings", "infos"] {
        assert_eq!(body["findings"][count], summary[count], "{count}");
    }
    assert_eq!(body["findings"]["by_code"], summary["rules"]);
    assert_eq!(summary["rules"]["COR001"], 1, "{summary}");
    let log = String::from_utf8(sandbox.run("log").stdout).unwrap();
    assert!(log.contains("checked 3 files: 1 error, 1 warning"), "{log}");
}

#[test]
fn a_part_of_a_project_is_not_recorded_as_the_whole() {
    let sandbox = Sandbox::new("//- flake.nix\n{ outputs = _: { }; }\n//- sub/b.nix\n1\n");
    sandbox.check(
        "check --record sub",
        expect![[r#"
            [stderr]
            error: `--record` is for a whole project, and this is a part of one
              hint: the project is `.`
            [exit 2]
        "#]],
    );
    for args in ["check --record -", "check --record --select DEAD", "check --record --diff"] {
        assert_eq!(sandbox.run(args).status.code(), Some(2), "{args}");
    }
    assert!(!sandbox.state().exists());
}
