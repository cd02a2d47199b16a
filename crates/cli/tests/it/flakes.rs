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
    check(".#x", "while updating the flake input 'new'");
    check(".#x", "while fetching the input 'path:/x'");
    sandbox.write("flake.nix", "{ outptus = 1; }");
    check(".#x", "lacks attribute 'outputs'");
    sandbox.write("flake.nix", "{ outptus = 1; outputs = { self }: { }; }");
    check(".#x", "has an unsupported attribute 'outptus', at ");
    sandbox.write("flake.lock", "{ broken");
    sandbox.write("flake.nix", "{ outputs = { self }: { }; }");
    check(".#x", "Could not parse '");
    sandbox.write("flake.lock", "{\"version\":9,\"root\":\"root\",\"nodes\":{\"root\":{}}}");
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

/// What Nix 2.34.8 shows of the same flake, but for the first line.
const SHOWN: &str = "\
├───apps
│   └───x86_64-linux
│       └───run: app: runs
├───checks
│   └───x86_64-linux
│       └───t: derivation 't'
├───devShells
│   └───x86_64-linux
│       └───default: development environment 'shell'
├───legacyPackages
│   └───x86_64-linux omitted (use '--legacy' to show)
├───nixosConfigurations
│   └───host: NixOS configuration
├───other: unknown
├───overlays
│   └───default: Nixpkgs overlay
├───packages
│   ├───aarch64-linux
│   │   └───default omitted (use '--all-systems' to show)
│   └───x86_64-linux
│       └───tool: package 'tool-1.2'
└───templates
    └───t: template: A template";

const OUTPUTS: &str = r#"
//- flake.nix
{
  description = "what it shows";
  outputs = { self }:
    let
      d = name: derivation { inherit name; system = "x86_64-linux"; builder = "/bin/sh"; src = ./src; };
    in
    {
      packages.x86_64-linux.tool = (d "tool-1.2") // { meta.description = "A tool"; };
      packages.aarch64-linux.default = d "arm";
      legacyPackages.x86_64-linux.a = d "a";
      checks.x86_64-linux.t = d "t";
      devShells.x86_64-linux.default = d "shell";
      apps.x86_64-linux.run = { type = "app"; program = "/bin/x"; meta.description = "runs"; };
      overlays.default = final: prev: { };
      nixosConfigurations.host = { config = throw "no"; };
      templates.t = { path = ./.; description = "A template"; };
      other = 3;
    };
}
//- src/file
x
"#;

#[test]
fn show_shows_what_nix_shows() {
    let sandbox = Sandbox::new(OUTPUTS);
    let value = |args: &str| {
        let output = sandbox.command(args).env("NIX_CONFIG", "system = x86_64-linux").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{args}: {output:?}");
        stdout(&output)
    };
    let text = value("flake show");
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.starts_with("path:/"), "{first}");
    assert_eq!(rest.trim_end(), SHOWN);
    let json: serde_json::Value =
        serde_json::from_str(&value("flake show --json --legacy")).unwrap();
    assert_eq!(json["packages"]["x86_64-linux"]["tool"]["description"], "A tool");
    assert_eq!(json["legacyPackages"]["x86_64-linux"]["a"]["type"], "derivation");
    assert_eq!(json["packages"]["aarch64-linux"]["default"], serde_json::json!({}));
    let text = value("flake metadata");
    assert!(text.contains("Description:   what it shows\n"), "{text}");
    assert!(text.contains("Path:          /nix/store/"), "{text}");
}

#[test]
fn metadata_shows_inputs_and_survives_circles() {
    let sandbox = committed();
    let text = value(&sandbox, ".#one");
    assert_eq!(text, "1");
    let mut command = sandbox.command("flake metadata");
    let output = command.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("Inputs:\n├───data: path:./data\n└───dep: path:./dep\n"), "{text}");
    assert!(
        text.contains("Revision:      ") && text.contains("Last modified: 2024-01-02 03:04:05"),
        "{text}"
    );
    sandbox.write("flake.nix", "{ inputs.a.url = \"path:/a\"; outputs = { self, a }: { }; }");
    sandbox.write(
        "flake.lock",
        r#"{"version":7,"root":"root","nodes":{"root":{"inputs":{"a":"a"}},"a":{"inputs":{"a":"a"},
          "locked":{"type":"path","path":"/a","narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
          "original":{"type":"path","path":"/a"}}}}"#,
    );
    let mut command = sandbox.command("flake metadata");
    let output = command.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the inputs of the flake are too many or too deep"), "{output:?}");
}

#[test]
fn instantiate_writes_what_the_derivation_needs() {
    let sandbox = Sandbox::new(OUTPUTS);
    let mut command = sandbox.command("instantiate .#packages.x86_64-linux.tool --to out");
    let output = command.output().unwrap();
    // As `nix eval .#packages.x86_64-linux.tool.drvPath` of Nix 2.34.8 says.
    let path = stdout(&output);
    let path = path.trim_end();
    assert!(path.starts_with("/nix/store/") && path.ends_with("-tool-1.2.drv"), "{output:?}");
    let text = sandbox.read(&format!("out{path}"));
    assert!(text.starts_with("Derive([(\"out\",\"/nix/store/"), "{text}");
    let source = text.split('"').find(|part| part.ends_with("-src")).unwrap().to_owned();
    assert_eq!(sandbox.read(&format!("out{source}/file")), "x\n");
    // A second time, all is there already.
    let again = sandbox.command("instantiate .#packages.x86_64-linux.tool --to out").output();
    assert_eq!(stdout(&again.unwrap()).trim_end(), path);
    let none = sandbox.command("instantiate -E 1").output().unwrap();
    assert!(String::from_utf8_lossy(&none.stderr).contains("is no derivation"), "{none:?}");
}

#[test]
fn options_on_locks_hold_for_all_commands() {
    let sandbox = Sandbox::new(
        r#"
//- flake.nix
{ inputs.a.url = "path:./a"; outputs = { self, a }: { x = a.x; d = derivation { name = a.x; system = "s"; builder = "b"; }; }; }
//- a/flake.nix
{ outputs = _: { x = "locked"; }; }
//- b/flake.nix
{ outputs = _: { x = "other"; }; }
"#,
    );
    let output = |args: &str| {
        let output = sandbox.run(args);
        assert!(output.status.success(), "{args}: {output:?}");
        stdout(&output)
    };
    assert_eq!(output("eval .#x"), "\"locked\"\n");
    assert_eq!(output("eval .#x --override-input a ./b"), "\"other\"\n");
    assert!(output("instantiate .#d --override-input a ./b").ends_with("-other.drv\n"));
    assert!(output("flake metadata --override-input a ./b").contains("└───a: path:/"));
    assert!(output("flake show --override-input a path:./b").contains("x: unknown"));
    let repl = sandbox.run_on("repl . --override-input a ./b", "x\n");
    assert!(stdout(&repl).contains("\"other\""), "{repl:?}");
    assert!(!sandbox.project().join("flake.lock").exists());
    let said = |args: &str| String::from_utf8(sandbox.run(args).stderr).unwrap();
    assert!(said("eval .#x --override-input 1 ./b").contains("path element '1'"));
    assert!(
        said("eval .#x --override-input / ./b").contains("was passed a zero-length input path")
    );
    assert!(said("eval .#x --override-input a ./nowhere").contains("cannot read `./nowhere`"));
    assert!(said("eval .#x --override-input a").contains("2 values required"));
    assert!(said("eval .#x --reference-lock-file nowhere").contains("lock file `nowhere`"));
}
