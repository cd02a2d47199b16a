//! Options of modules, as the program shows them. What Nix says of the same options is the judge.

use std::path::PathBuf;
use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

fn fixtures() -> PathBuf {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/modules");
    PathBuf::from(path).canonicalize().unwrap()
}

/// The fixture's modules in a project of their own.
pub(crate) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new("");
    for name in [
        "lib/default.nix",
        "lib/modules.nix",
        "lib/options.nix",
        "lib/types.nix",
        "service.nix",
        "host.nix",
    ] {
        sandbox.write(name, std::fs::read(fixtures().join(name)).unwrap());
    }
    sandbox.write(
        "default.nix",
        "(import ./lib).evalModules { modules = [ ./service.nix ./host.nix ]; }",
    );
    sandbox
}

#[test]
fn a_group_is_a_table() {
    sandbox().check(
        "options --nixpkgs . --module service.nix services.demo.hosts services.demo.level",
        expect![[r#"
            [stdout]
            NAME                                    TYPE                          DEFAULT   DESCRIPTION
            services.demo.hosts                     attribute set of (submodule)  { }       Hosts by name.
            services.demo.hosts.<name>.aliases      list of string                [ ]       Other names.
            services.demo.hosts.<name>.name         string                        "<name>"  What it is called.
            services.demo.hosts.<name>.routes       list of (submodule)           [ ]       Where requests go.
            services.demo.hosts.<name>.routes.*.to  string                                  The target.
            services.demo.level                     one of "info", "debug"        "info"    How much it says.
            [exit 0]
        "#]],
    );
}

#[test]
fn one_option_is_shown_in_full() {
    let sandbox = sandbox();
    sandbox.check(
        "options . services.demo.port --values",
        expect![[r#"
        [stdout]
        services.demo.port
          Where it listens. See `services.demo.hosts`.

          Value:       9090
          Type:        16 bit unsigned integer; between 0 and 65535 (both inclusive)
          Default:     8080
          Example:     80
          Declared in: service.nix
          Set in:      host.nix: 9090
        [exit 0]
    "#]],
    );
    sandbox.check(
        "options . services.demo.hosts.a.aliases --values",
        expect![[r#"
        [stdout]
        services.demo.hosts.a.aliases
          Other names.

          Value:       [
                         "from-module"
                         "b"
                       ]
          Type:        list of string
          Default:     [ ]
          Set in:      service.nix: [
                         "from-module"
                       ]
                       host.nix: [
                         "b"
                       ]
        [exit 0]
    "#]],
    );
    sandbox.check("options . services.demo --values", expect![[r#"
        [stdout]
        NAME                       VALUE                                     SET IN
        services.demo.enable       true                                      host.nix
        services.demo.hosts        { a = { aliases = [ "from-module" "b" ]; name = "a"; routes = [ { to = "x"; } ]; }; }  service.nix, host.nix
        services.demo."if"         '' first second ''${x} ''' ''             service.nix
        services.demo.level        "info"                                    service.nix
        services.demo.lines        '' first last''                           service.nix
        services.demo."odd name"   "a \"quoted\" \${x} \\ text"              service.nix
        services.demo.package      <derivation demo-1.0>                     service.nix
        services.demo.port         9090                                      host.nix
        services.demo.required     «failed: The option `services.demo.required' is used but not defined.»
        services.demo.settings     { deep = { list = [ 1 2 ]; }; enabled = true; }  service.nix, host.nix
        services.demo.shallow      { inner = ""; }                           service.nix
        services.demo.state.since  «failed: `services.demo.state.since` is not set»
        services.demo.values       { a = [ 1 2.5 true null ]; "b c" = { }; f = <function>; g = <function, args: {a, b?}>; nested = [ [ ] [ { } ] ]; p = 3; }  service.nix
        [exit 0]
    "#]]);
}

#[test]
fn other_formats() {
    let sandbox = sandbox();
    sandbox.check(
        "options . services.demo.level services.demo.lines --format markdown",
        expect![[r#"
            [stdout]
            ## `services.demo.level`

            How much it says.

            More than one paragraph.

            *Type:* one of "info", "debug"

            *Default:* `"info"`

            *Declared in:* `service.nix`

            ## `services.demo.lines`

            *Type:* string

            *Default:*

            ```nix
            ''
              first

                last''
            ```

            *Declared in:* `service.nix`
            [exit 0]
        "#]],
    );
    sandbox.check("options -f default.nix services.demo.enable --json", expect![[r#"
        [stdout]
        {"services.demo.enable":{"declarations":["[tmp]/project/service.nix"],"default":{"_type":"literalExpression","text":"false"},"description":"Whether to enable the demo.","example":{"_type":"literalExpression","text":"true"},"loc":["services","demo","enable"],"readOnly":false,"type":"boolean"}}
        [exit 0]
    "#]]);
    sandbox.check("options -E import(./default.nix) broken --format full", expect![[r#"
        [stdout]
        broken.default
          Its default fails.

          Type:        signed integer
          Default:     «failed: no default today»
          Declared in: service.nix

        broken.description
          Type:        signed integer
          Declared in: service.nix
          description: «failed: cannot add a string to an integer (at [tmp]/project/service.nix:130:25)»

        broken.endless
          Type:        anything
          Default:     «failed: the value is too large to be shown: it may hold itself»
          Declared in: service.nix

        broken.example
          Type:        signed integer
          Default:     1
          Example:     «failed: attribute 'missing' missing (at [tmp]/project/service.nix:121:17)»
          Declared in: service.nix

        broken.group
          Option:      «failed: no options today»

        broken.parts
          Its parts fail.

          Type:        (submodule)
          Declared in: service.nix
          subOptions:  «failed: no parts today»

        broken.type
          Type:        «failed: no type today»
          Default:     1
          Declared in: service.nix
        [exit 0]
    "#]]);
}

#[test]
fn flakes_have_configurations() {
    let sandbox = sandbox();
    let flake = |outputs: &str| {
        sandbox.write("flake.nix", format!("{{ outputs = {{ self }}: {{ {outputs} }}; }}"));
        std::fs::remove_file(sandbox.project().join("default.nix")).ok();
    };
    let one = "(import ./lib).evalModules { modules = [ ./service.nix ./host.nix ]; }";
    flake(&format!("nixosConfigurations.web = {one};"));
    sandbox.check(
        "options . services.demo.port",
        expect![[r#"
            [stdout]
            services.demo.port
              Where it listens. See `services.demo.hosts`.

              Type:        16 bit unsigned integer; between 0 and 65535 (both inclusive)
              Default:     8080
              Example:     80
              Declared in: service.nix
            [exit 0]
        "#]],
    );
    flake(&format!("nixosConfigurations.web = {one}; homeConfigurations.\"ada@web\" = {one};"));
    sandbox.check("options", expect![[r#"
        [stderr]
        error: flake 'path:[tmp]/project' has several configurations, so say which: '.#NAME' with one of nixosConfigurations.web, homeConfigurations.ada@web
        [exit 1]
    "#]]);
    sandbox.check(
        "options .#wbe",
        expect![[r#"
        [stderr]
        error: flake 'path:[tmp]/project' has neither an attribute nor a configuration 'wbe'
               Did you mean web?
        [exit 1]
    "#]],
    );
    let by_name = stdout(&sandbox.run("options .#ada@web services.demo.level"));
    assert!(by_name.contains("Declared in: service.nix\n"), "{by_name}");
    let by_path = "options .#nixosConfigurations.web.options.services demo.level";
    assert_eq!(stdout(&sandbox.run(by_path)), by_name);
    flake("x = 1;");
    sandbox.check(
        "options .#x",
        expect![[r#"
        [stderr]
        error: this is an integer, and no set of modules or options
        [exit 1]
    "#]],
    );
    sandbox.check("options", expect![[r#"
        [stderr]
        error: flake 'path:[tmp]/project' has no nixosConfigurations, no homeConfigurations, no darwinConfigurations; an attribute with options can be named: '.#attr'
        [exit 1]
    "#]]);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let sandbox = sandbox();
    sandbox.check(
        "options . services.demo.prot",
        expect![[r#"
        [stderr]
        error: there is no option `services.demo.prot`: there is no `prot` in `services.demo`
               Did you mean port?
        [exit 1]
    "#]],
    );
    sandbox.check("options . -s nowhere", expect![[r#"
        [stderr]
        error: no option here has nowhere in its name or description; --all shows internal and invisible ones, too
        [exit 1]
    "#]]);
    sandbox.check(
        "options services.demo.port",
        expect![[r#"
        [stderr]
        error: there is no file or folder `services.demo.port`
          hint: an option of the only configuration here: cim-nix options . services.demo.port
          hint: an option of NixOS itself: cim-nix options --nixos services.demo.port
        [exit 2]
    "#]],
    );
    sandbox.check(
        "options . services..port",
        expect![[r#"
        [stderr]
        error: `services..port` is no name of an option: a part of it is empty
          hint: quote parts with dots or stars of their own: 'fileSystems."/".device'
        [exit 2]
    "#]],
    );
    sandbox.check("options --module service.nix", expect![[r#"
        [stderr]
        error: no nixpkgs to evaluate modules with (name one with --nixpkgs PATH or -I nixpkgs=PATH): file 'nixpkgs' was not found in the Nix search path (add it using $NIX_PATH or -I)
        [exit 1]
    "#]]);
    sandbox.check(
        "options --nixpkgs . --module nowhere.nix",
        expect![[r#"
            [stderr]
            error:
                   … while evaluating the attribute 'options'
                     at [tmp]/project/lib/modules.nix:163:22:
                      162|       _type = "configuration";
                      163|       inherit config options;
                         |                      ^
                      164|     };

                   … while calling the 'mapAttrs' builtin
                     at [tmp]/project/lib/modules.nix:96:5:
                       95|     in
                       96|     mapAttrs (
                         |     ^
                       97|       name: _:

                   (stack trace truncated; use '--show-trace' to show the full, detailed trace)

                   error: path '[tmp]/project/nowhere.nix' does not exist
            [exit 1]
        "#]],
    );
    sandbox.check(
        "options --nixpkgs .",
        expect![[r#"
        [stderr]
        error: --nixpkgs says what evaluates modules, and there are none
          hint: the options of NixOS: --nixos; those of a module: --module FILE
        [exit 2]
    "#]],
    );
    sandbox.check(
        "options --nixpkgs lib --nixos",
        expect![[r#"
            [stderr]
            error:
                   … while calling the 'import' builtin
                     at «string»:2:2:
                        1|
                        2| (import (nixpkgs + "/nixos/lib/eval-config.nix") {
                         |  ^
                        3|   inherit system;

                   error: path '[tmp]/project/lib/nixos/lib/eval-config.nix' does not exist
            [exit 1]
        "#]],
    );
}

/// What a real Nix makes of an expression, as JSON.
fn asked(program: &str, arguments: &[&str], expression: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(["--eval", "--strict", "--json", "-E", expression])
        .args(arguments)
        .env("NIX_REMOTE", "dummy://")
        .env("HOME", home.path())
        .env_remove("NIX_PATH")
        .output()
        .expect("CIM_NIX_ORACLE names a program that starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_same(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn rows_are_those_that_nix_computes() {
    let Ok(program) = std::env::var("CIM_NIX_ORACLE") else {
        eprintln!("skipped: CIM_NIX_ORACLE does not name a `nix-instantiate`");
        return;
    };
    let folder = fixtures().to_string_lossy().into_owned();
    let theirs = asked(
        &program,
        &[],
        &format!(
            "let lib = import {folder}/lib; in lib.optionAttrSetToDocList (lib.evalModules {{ \
             modules = [ {folder}/service.nix {folder}/host.nix ]; }}).options.services"
        ),
    );
    let arguments = format!(
        "options --nixpkgs {folder} -m {folder}/service.nix -m {folder}/host.nix services --all --format json-list"
    );
    let ours = serde_json::from_slice(&Sandbox::new("").run(&arguments).stdout).unwrap();
    assert_same(&ours, &theirs);
}

/// All of NixOS and Home Manager: where `CIM_NIX_NIXPKGS` and `CIM_NIX_HOME_MANAGER` name copies.
#[test]
fn all_options_of_nixos_and_home_manager_are_those_that_nix_computes() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(program), Some(nixpkgs)) = (variable("CIM_NIX_ORACLE"), variable("CIM_NIX_NIXPKGS"))
    else {
        eprintln!("skipped: CIM_NIX_ORACLE and CIM_NIX_NIXPKGS do not name a Nix and a nixpkgs");
        return;
    };
    let sandbox = Sandbox::new("");
    let ours = |arguments: &str| {
        let arguments = format!("options --nixpkgs {nixpkgs} {arguments} --format json-list");
        let output = sandbox.run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let theirs = asked(
        &program,
        &["--argstr", "nixpkgs", &nixpkgs],
        "{ nixpkgs }: (import (nixpkgs + \"/lib\")).optionAttrSetToDocList (import \
         (nixpkgs + \"/nixos/lib/eval-config.nix\") { system = \"x86_64-linux\"; modules = [ ]; }).options",
    );
    assert_same(&ours("--nixos --all"), &theirs);
    let Some(home_manager) = variable("CIM_NIX_HOME_MANAGER") else {
        eprintln!("skipped in part: CIM_NIX_HOME_MANAGER names no Home Manager");
        return;
    };
    let ours = ours(&format!("--home-manager {home_manager} --all"));
    // One option that fails would fail the whole list there, so these are left out on both sides.
    let has_failed = |row: &&Value| row.get("problems").is_some();
    let failed: Vec<&str> = ours
        .as_array()
        .unwrap()
        .iter()
        .filter(has_failed)
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert!(failed.len() < 10, "{failed:?}");
    let mut rest = ours.clone();
    rest.as_array_mut().unwrap().retain(|row| row.get("problems").is_none());
    let theirs = asked(
        &program,
        &[
            "--argstr",
            "nixpkgs",
            &nixpkgs,
            "--argstr",
            "hm",
            &home_manager,
            "--argstr",
            "failed",
            &serde_json::to_string(&failed).unwrap(),
        ],
        r#"{ nixpkgs, hm, failed }:
           let
             pkgs = import nixpkgs { system = "x86_64-linux"; };
             lib = import (hm + "/modules/lib/stdlib-extended.nix") pkgs.lib;
             modules = import (hm + "/modules/modules.nix") { inherit lib pkgs; check = false; };
             evaluated = lib.evalModules {
               class = "homeManager";
               modules = modules ++ [ { _module.check = false; home.stateVersion = "24.05"; } ];
               specialArgs.modulesPath = hm + "/modules";
             };
             rows = lib.optionAttrSetToDocList evaluated.options;
           in
           builtins.filter (row: !(builtins.elem row.name (builtins.fromJSON failed))) rows"#,
    );
    assert_same(&rest, &theirs);
}

#[test]
fn completions_and_help_know_it() {
    let sandbox = Sandbox::new("");
    assert!(stdout(&sandbox.run("completions bash")).contains("--home-manager"));
    let help = stdout(&sandbox.run("options --help"));
    for word in ["--module", "--nixos", "--search", "json-list", "Examples:"] {
        assert!(help.contains(word), "{help}");
    }
}
