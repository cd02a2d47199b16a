//! The module for NixOS below `deploy/`, by the module system of `fixtures/modules`, and beside real
//! Nix and a real nixpkgs where `CIM_NIX_ORACLE` and `CIM_NIX_NIXPKGS` name them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::Sandbox;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn expression(settings: &str) -> String {
    let root = repository();
    let root = root.display();
    format!(
        "import {root}/fixtures/deploy/nixos.nix {{ lib = import {root}/fixtures/modules/lib; \
         module = {root}/deploy/nixos/module.nix; settings = {settings}; }}"
    )
}

fn evaluated(mut command: Command, expression: &str) -> Result<Value, String> {
    command.args(["--eval", "--strict", "--json", "--expr", expression]);
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn machine(settings: &str) -> Result<Value, String> {
    evaluated(Sandbox::new("").command("eval-compat"), &expression(settings))
}

const SETTINGS: &str = r#"{
  address = "0.0.0.0";
  port = 9000;
  openFirewall = true;
  projects = [ "/srv/projects" ];
  credentials = { "nats.creds" = "/run/keys/nats"; };
  settings = {
    nats.login.credentials-file = "/run/credentials/cim-nix-server.service/nats.creds";
    tenant = [ { name = "main"; } ];
  };
}"#;

#[test]
fn settings_become_a_file_a_port_and_a_unit() {
    let machine = machine(SETTINGS).unwrap();
    let unit = &machine["unit"];
    let service = &unit["serviceConfig"];
    let shown = serde_json::json!({
        "etc": machine["etc"],
        "ports": machine["allowedTCPPorts"],
        "path": unit["path"],
        "start": service["ExecStart"],
        "secrets": service["LoadCredential"],
        "folders": service["ReadWritePaths"],
        "reload": unit["reloadTriggers"],
    });
    expect![[""]].assert_eq(&format!("{shown:#}"));
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |settings: &str| {
        let error = machine(settings).unwrap_err();
        let line = error.lines().rfind(|line| line.contains("error: ")).unwrap_or(&error);
        line.trim().to_owned()
    };
    let errors = [
        refused("{ port = 70000; }"),
        refused("{ package = \"cim-nix\"; }"),
        refused("{ credentials.nats = \"/nix/store/x/creds\"; }"),
        refused("{ credentials.nats = \"creds\"; }"),
        refused("{ projects = [ \"srv\" ]; }"),
    ];
    expect![[""]].assert_eq(&errors.join("\n"));
}

/// The unit for systemd and the module say the same, but for where programs are.
#[test]
fn the_unit_of_the_module_is_that_for_systemd() {
    let machine = machine("{ }").unwrap();
    let ours: BTreeMap<String, Vec<String>> = machine["unit"]["serviceConfig"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), words(value)))
        .collect();
    let path = repository().join("deploy/systemd/cim-nix-server.service");
    let unit = std::fs::read_to_string(path).unwrap();
    let (_, service) = unit.split_once("[Service]\nType").unwrap();
    let (service, _) = service.split_once("[Install]").unwrap();
    let mut theirs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in format!("Type{service}").lines().filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let values = value.split_ascii_whitespace().map(str::to_owned);
        theirs.entry(key.to_owned()).or_default().extend(values);
    }
    // Where programs are, what NixOS says elsewhere, and what only settings fill.
    let own = ["ExecStart", "ExecStartPre", "ExecReload", "Environment"];
    let filled = ["LoadCredential", "ReadWritePaths"];
    let keep = |map: BTreeMap<String, Vec<String>>| -> BTreeMap<String, Vec<String>> {
        let is_kept = |key: &String| !own.contains(&&**key) && !filled.contains(&&**key);
        map.into_iter().filter(|(key, _)| is_kept(key)).collect()
    };
    let (ours, theirs) = (keep(ours), keep(theirs));
    assert!(ours.len() > 35, "{ours:?}");
    for key in ours.keys().chain(theirs.keys()) {
        assert_eq!(ours.get(key), theirs.get(key), "{key}");
    }
}

/// A value as systemd has it.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Bool(is_set) => vec![if *is_set { "yes" } else { "no" }.to_owned()],
        Value::Array(values) => values.iter().flat_map(words).collect(),
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        other => vec![other.to_string()],
    }
}

#[test]
fn nix_makes_the_same_of_the_module() {
    let Ok(program) = std::env::var("CIM_NIX_ORACLE") else {
        eprintln!("skipped: CIM_NIX_ORACLE does not name a Nix");
        return;
    };
    let sandbox = Sandbox::new("");
    let nix = || {
        let mut nix = Command::new(&program);
        nix.env("HOME", sandbox.project()).env_remove("NIX_PATH");
        let store = format!("local?root={}", sandbox.project().join("store").display());
        nix.env("NIX_REMOTE", store);
        nix
    };
    assert_eq!(evaluated(nix(), &expression(SETTINGS)), machine(SETTINGS));
    let Ok(nixpkgs) = std::env::var("CIM_NIX_NIXPKGS") else {
        eprintln!("skipped: CIM_NIX_NIXPKGS does not name a nixpkgs");
        return;
    };
    let module = repository().join("deploy/nixos/module.nix");
    let whole = format!(
        "let pkgs = import {nixpkgs} {{ system = \"x86_64-linux\"; }};
         in (import {nixpkgs}/nixos/lib/eval-config.nix {{
           inherit pkgs;
           system = null;
           modules = [ {module} {{
             services.cim-nix-server = {SETTINGS} // {{ enable = true; package = pkgs.hello; }};
             system.stateVersion = \"24.05\";
           }} ];
         }}).config.systemd.units.\"cim-nix-server.service\".text",
        module = module.display(),
    );
    let theirs = evaluated(nix(), &whole).unwrap();
    let ours = evaluated(Sandbox::new("").command("eval-compat"), &whole).unwrap();
    assert_eq!(ours, theirs);
    let text = theirs.as_str().unwrap();
    for line in ["DynamicUser=true", "SystemCallFilter=~@privileged", "ProtectSystem=strict"] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
}
