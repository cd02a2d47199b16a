//! Import from derivation, with a real Nix that builds in a store of its own.

use std::path::PathBuf;
use std::process::Command;

use expect_test::expect;

use crate::sandbox::{Sandbox, stdout};

const PROJECT: &str = r#"
//- default.nix
let
  build = name: more: script: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  } // more);
  input = builtins.toFile "input" "40 + 2";
  one = build "one" { } "cat ${input} > $out";
  two = build "two" { inherit one; } "mkdir $out; cp $one $out/a; cat ${./tree}/file > $out/b";
  floating = build "floating" {
    __contentAddressed = true; outputHashMode = "nar"; outputHashAlgo = "sha256";
  } "mkdir $out; echo 7 > $out/default.nix";
in {
  imported = import one;
  listed = builtins.readDir two;
  read = builtins.readFile (two + "/b");
  exists = builtins.pathExists "${two}/b" && ! builtins.pathExists "${two}/c";
  hash = builtins.hashFile "sha256" "${two}/a";
  copied = builtins.path { path = two; name = "copy"; };
  floating = import floating;
  broken = import (build "broken" { } "echo no such luck >&2; exit 3");
}
//- tree/file
of the tree
//- conf/nix.conf
sandbox = false
build-users-group =
build-hook =
substitute = false
extra-experimental-features = ca-derivations
"#;

/// The folder of the judge's programs, if there is one.
fn nix() -> Option<PathBuf> {
    let judge = std::env::var_os("CIM_NIX_ORACLE").map(PathBuf::from);
    if judge.is_none() {
        eprintln!("skipped: CIM_NIX_ORACLE names no nix-instantiate");
    }
    judge.and_then(|judge| Some(judge.parent()?.to_owned()))
}

fn with_store(sandbox: &Sandbox, command: &mut Command, store: &str) {
    let at = |name: &str| sandbox.project().join(name);
    command.env("NIX_STORE_DIR", at(store).join("store"));
    command.env("NIX_STATE_DIR", at(store).join("var")).env("NIX_LOG_DIR", at(store).join("log"));
    command.env("NIX_CONF_DIR", at("conf")).env("PATH", "/usr/bin:/bin");
}

#[test]
fn what_is_read_is_built_first() {
    let Some(nix) = nix() else { return };
    let sandbox = Sandbox::new(PROJECT);
    let builder = nix.join("nix-store");
    for name in ["imported", "listed", "read", "exists", "hash", "floating", "copied"] {
        // The same paths for both, one after the other.
        let args = ["--read-write-mode", "--eval", "--strict", "-A", name, "default.nix"];
        let mut theirs = Command::new(nix.join("nix-instantiate"));
        theirs.args(args).current_dir(sandbox.project()).env("HOME", sandbox.state());
        with_store(&sandbox, &mut theirs, "s");
        let theirs = theirs.output().unwrap();
        assert!(theirs.status.success(), "{name}: {}", String::from_utf8_lossy(&theirs.stderr));
        clear(&sandbox);
        let mut ours = sandbox.command("eval-compat --build-with");
        ours.arg(&builder).args(&args[1..]);
        with_store(&sandbox, &mut ours, "s");
        let ours = ours.output().unwrap();
        let said = String::from_utf8_lossy(&ours.stderr).into_owned();
        assert_eq!(stdout(&ours), stdout(&theirs), "{name}: {said}");
        clear(&sandbox);
    }
}

/// Removes the store, in which nothing may be written to.
fn clear(sandbox: &Sandbox) {
    let store = sandbox.project().join("s");
    let status = Command::new("chmod").args(["-R", "u+w"]).arg(&store).status().unwrap();
    assert!(status.success());
    std::fs::remove_dir_all(store).unwrap();
}

#[test]
fn failures_say_what_failed() {
    let sandbox = Sandbox::new(PROJECT);
    let mut command =
        sandbox.command("eval-compat --eval -A imported --build-with no-such-program");
    let output = command.arg("default.nix").env("NIX_STORE_DIR", "/s").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let want = "cannot run 'no-such-program', which is to build: No such file or directory";
    assert!(said.contains(want), "{said}");
    assert_eq!(output.status.code(), Some(1));
    if let Some(nix) = nix() {
        let mut command = sandbox.command("eval-compat --eval -A broken default.nix --build-with");
        command.arg(nix.join("nix-store"));
        with_store(&sandbox, &mut command, "s");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("no such luck"), "{said}");
        assert!(said.contains("could not build output 'out' of"), "{said}");
        clear(&sandbox);
    }
}

#[test]
fn nothing_is_built_unless_somebody_says_with_what() {
    let sandbox = Sandbox::new(PROJECT);
    let mut command = sandbox.command("eval-compat --eval -A imported default.nix");
    let output = command.output().unwrap();
    sandbox.compare(
        &output,
        expect![[r#"
            [stderr]
            error:
                   … while calling the 'import' builtin
                     at [tmp]/project/default.nix:16:14:
                       15| in {
                       16|   imported = import one;
                         |              ^
                       17|   listed = builtins.readDir two;

                   … while realising the context of path '/nix/store/xzhckjfl8dqfpp7bka93dwi8advsvsp2-one'

                   error: output 'out' of '/nix/store/g2p0xlfxdfgxwfg8167bmg57h3cyqzw1-one.drv' is needed to go on, but it is not built: import from derivation is off; name what builds with `--build-with nix-store`
            [exit 1]
        "#]],
    );
}
