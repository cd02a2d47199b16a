//! Whole machines and homes, beside a real Nix: where `CIM_NIX_NIXPKGS` and `CIM_NIX_HOME_MANAGER`
//! name a nixpkgs and a Home Manager. CI has neither, since they are too large to be kept here; it
//! has the module system of `fixtures/modules` instead, see `options`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::sandbox::Sandbox;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn ask(mut command: Command, arguments: &[&str]) -> Result<Value, String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/hosts/ask.nix");
    let file = PathBuf::from(file).canonicalize().unwrap();
    command.args(["--eval", "--strict", "--json"]).args(arguments).arg(file);
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn check(program: &str, what: &[&str], arguments: &[&str]) {
    let sandbox = Sandbox::new("");
    for what in what {
        let arguments = [arguments, &["--argstr", "what", what]].concat();
        let mut nix = Command::new(program);
        nix.env("HOME", sandbox.project()).env_remove("NIX_PATH");
        nix.env("NIX_REMOTE", format!("local?root={}", sandbox.project().join("store").display()));
        let theirs = ask(nix, &arguments);
        let ours = ask(sandbox.command("eval-compat"), &arguments);
        let theirs = theirs.unwrap_or_else(|error| panic!("Nix cannot compute {what}:\n{error}"));
        let ours = ours.unwrap_or_else(|error| panic!("we cannot compute {what}:\n{error}"));
        if let (Some(ours), Some(theirs)) = (ours.as_object(), theirs.as_object()) {
            for (name, theirs) in theirs {
                assert_eq!(ours.get(name), Some(theirs), "{what}: {name}");
            }
        }
        assert_eq!(ours, theirs, "{what}");
    }
}

#[test]
fn a_server_is_what_nix_makes_of_it() {
    let (Some(program), Some(nixpkgs)) = (variable("CIM_NIX_ORACLE"), variable("CIM_NIX_NIXPKGS"))
    else {
        eprintln!("skipped: CIM_NIX_ORACLE and CIM_NIX_NIXPKGS do not name a Nix and a nixpkgs");
        return;
    };
    let what = ["units", "userUnits", "etc", "activation", "packages", "system"];
    check(&program, &what, &["--argstr", "nixpkgs", &nixpkgs]);
}

#[test]
fn a_home_is_what_nix_makes_of_it() {
    let names = ["CIM_NIX_ORACLE", "CIM_NIX_NIXPKGS", "CIM_NIX_HOME_MANAGER"];
    let [Some(program), Some(nixpkgs), Some(home_manager)] = names.map(variable) else {
        eprintln!("skipped: {} are not all set", names.join(", "));
        return;
    };
    let arguments = ["--argstr", "nixpkgs", &nixpkgs, "--argstr", "homeManager", &home_manager];
    check(&program, &["homeFiles", "homeActivation", "homeServices", "home"], &arguments);
}
