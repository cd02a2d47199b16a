//! Flakes in Git repositories. What these tests expect is what Nix 2.34.8 answers.

use expect_test::expect;

use crate::sandbox::{Sandbox, stdout};

const FLAKE: &str = r#"
//- flake.nix
{
  inputs.dep.url = "path:./dep";
  inputs.data = { url = "path:./data"; flake = false; };
  outputs = { self, dep, data }: {
    one = 1;
    fromDep = dep.y;
    text = builtins.readFile (data + "/t.txt");
    sub = "${./sub}";
    secret = builtins.readFile ./secret.txt;
    listed = builtins.attrNames (builtins.readDir ./.);
    env = builtins.getEnv "HOME";
    system = builtins.currentSystem or "none";
    absolute = builtins.readFile /etc/hostname;
    self = builtins.attrNames self.sourceInfo;
    commit = self.rev or "none";
    count = self.revCount or 0;
    names = builtins.attrNames self;
  };
}
//- flake.lock
{
  "nodes": {
    "data": { "flake": false, "locked": { "path": "./data", "type": "path" },
      "original": { "path": "./data", "type": "path" }, "parent": [] },
    "dep": { "locked": { "path": "./dep", "type": "path" },
      "original": { "path": "./dep", "type": "path" }, "parent": [] },
    "root": { "inputs": { "data": "data", "dep": "dep" } }
  },
  "root": "root",
  "version": 7
}
//- dep/flake.nix
{ outputs = { self }: { y = "of dep"; }; }
//- data/t.txt
some data
//- sub/file
x
//- nested/flake.nix
{ outputs = { self }: { above = builtins.attrNames (builtins.readDir ../.); }; }
"#;

fn git(sandbox: &Sandbox, arguments: &[&str]) {
    let status = std::process::Command::new("git")
        .args([
            "-c",
            "user.name=n",
            "-c",
            "user.email=n@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(sandbox.project())
        .env("GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z")
        .env("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status();
    assert!(status.unwrap().success(), "git {arguments:?}");
}

fn committed() -> Sandbox {
    let sandbox = Sandbox::new(FLAKE);
    git(&sandbox, &["init", "--quiet"]);
    git(&sandbox, &["add", "."]);
    git(&sandbox, &["commit", "--quiet", "--message=x"]);
    sandbox.write("secret.txt", "not for Git");
    sandbox
}

fn value(sandbox: &Sandbox, what: &str) -> String {
    let mut command = sandbox.command(&format!("eval {what}"));
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let output = command.output().unwrap();
    let text = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    sandbox.normal(text.trim_end())
}

#[test]
fn outputs_come_from_the_lock_file() {
    let sandbox = committed();
    assert_eq!(value(&sandbox, ".#one"), "1");
    assert_eq!(value(&sandbox, ".#fromDep"), "\"of dep\"");
    assert_eq!(value(&sandbox, ".#text"), "\"some data\\n\"");
    assert_eq!(value(&sandbox, ".#count"), "1");
    assert_eq!(
        value(&sandbox, ".#self"),
        r#"[ "lastModified" "lastModifiedDate" "narHash" "outPath" "rev" "revCount" "shortRev" "submodules" ]"#
    );
    assert_eq!(
        value(&sandbox, "./nested#above"),
        r#"[ "data" "dep" "flake.lock" "flake.nix" "nested" "sub" ]"#
    );
    assert_eq!(value(&sandbox, "path:./dep#y"), "\"of dep\"");
}

#[test]
fn a_copied_folder_has_the_path_that_nix_gives_it() {
    // As Nix 2.34.8 says of a folder `sub` with a file `file` that holds "x" and a line feed.
    let path = value(&committed(), ".#sub");
    assert_eq!(path, "\"/nix/store/b12b450v0lhac5j06xzmmdml7fdvp45n-sub\"");
}

#[test]
fn what_git_does_not_know_is_not_there() {
    let sandbox = committed();
    assert_eq!(
        value(&sandbox, ".#listed"),
        r#"[ "data" "dep" "flake.lock" "flake.nix" "nested" "sub" ]"#
    );
    let said = value(&sandbox, ".#secret");
    assert!(said.contains("error: Path 'secret.txt' in the repository"), "{said}");
    assert!(
        said.contains("is not tracked by Git.") && said.contains("add \"secret.txt\""),
        "{said}"
    );
    git(&sandbox, &["add", "secret.txt"]);
    let said = value(&sandbox, ".#secret");
    assert!(said.starts_with("\"not for Git\""), "{said}");
    assert!(said.contains("is dirty"), "{said}");
    let said = value(&sandbox, ".#commit");
    assert!(said.starts_with("\"none\""), "{said}");
}

#[test]
fn evaluation_is_pure_unless_it_is_said() {
    let sandbox = committed();
    assert_eq!(value(&sandbox, ".#env"), "\"\"");
    assert_eq!(value(&sandbox, ".#system"), "\"none\"");
    assert!(value(&sandbox, ".#absolute").contains(
        "access to absolute path '/etc/hostname' is forbidden in pure evaluation mode (use '--impure' to override)"
    ));
    assert_eq!(value(&sandbox, ".#env --impure"), "\"[tmp]\"");
}

#[test]
fn faults_name_the_flake_and_the_way_out() {
    let sandbox = committed();
    let project = sandbox.project();
    let check = |what: &str, want: &str| {
        let said = value(&sandbox, what).replace(&*project.to_string_lossy(), "[project]");
        assert!(said.contains(want), "{what}: {said}");
    };
    check(".#twoo", "does not provide attribute");
    check(".#onee", "Did you mean one?");
    check("/nowhere#x", "cannot read `/nowhere`");
    sandbox.write("flake.nix", "{ inputs.new.url = \"path:/x\"; outputs = { self, new }: { }; }");
    check(".#x", "input 'new' of flake");
    check(".#x", "nix flake lock");
    sandbox.write("flake.nix", "{ outptus = { self }: { }; }");
    check(".#x", "has an unsupported attribute 'outptus', at ");
    sandbox.write("flake.lock", "{ broken");
    check(".#x", "while parsing the lock file");
    sandbox.write("flake.lock", "{\"version\":9,\"root\":\"root\",\"nodes\":{\"root\":{}}}");
    sandbox.write("flake.nix", "{ outputs = { self }: { }; }");
    check(".#x", "unsupported version");
}

#[test]
fn a_hostile_lock_file_ends_in_an_error() {
    let sandbox = committed();
    sandbox
        .write("flake.nix", "{ inputs.a.url = \"path:./a\"; outputs = { self, a }: { x = a; }; }");
    let lock = |nodes: &str| {
        sandbox.write(
            "flake.lock",
            format!("{{\"version\":7,\"root\":\"root\",\"nodes\":{{\"root\":{{\"inputs\":{{\"a\":[\"a\"]}}}}{nodes}}}}}"),
        );
        value(&sandbox, ".#x")
    };
    // An input that follows itself.
    assert!(lock("").contains("error: "));
    let mut long = String::new();
    for n in 0..2_000 {
        long.push_str(&format!(",\"n{n}\":{{\"inputs\":{{\"a\":[\"a\",\"a\"]}}}}"));
    }
    assert!(lock(&long).contains("error: "));
}

#[test]
fn help_and_mistakes_lead_on() {
    Sandbox::new("").check(
        "eval 1+1",
        expect![[r#"
            [stderr]
            error: there is no file or folder `1+1`
              hint: an expression: cim-nix eval -E '1+1'
              hint: an attribute of the flake here: cim-nix eval '.#1+1'
            [exit 2]
        "#]],
    );
    Sandbox::new("").check(
        "eval",
        expect![[r#"
            [stderr]
            error: `.` has neither a default.nix nor a flake.nix
            [exit 2]
        "#]],
    );
}
