//! Modules, overlays and configurations: from a command to an event, a file, an answer, and back.

use std::env;
use std::fs;
use std::process::{Command, Output};

use expect_test::expect;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, stdout};

const FLAKE: &str = r#"{
  description = "Hosts";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs";

  outputs =
    { self, nixpkgs, ... }:
    {
      packages = { };
    };
}
"#;

fn with_flake() -> Sandbox {
    let sandbox = Sandbox::new("");
    sandbox.write("flake.nix", FLAKE);
    sandbox
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.command("").args(args).output().unwrap()
}

/// Runs a command that has to work, and gives the one event that it answers.
#[track_caller]
fn event(sandbox: &Sandbox, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.extend(["--format", "json"]);
    let output = run(sandbox, &args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["changed"], true);
    assert_eq!(answer["events"].as_array().unwrap().len(), 1);
    answer["events"][0].clone()
}

#[track_caller]
fn refused(sandbox: &Sandbox, args: &[&str]) -> String {
    let output = run(sandbox, args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    sandbox.normal(&String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn answer(sandbox: &Sandbox, args: &[&str]) -> Value {
    let output = run(sandbox, args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// All files of the project, by their paths.
fn files(sandbox: &Sandbox) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut folders = vec![sandbox.project()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(sandbox.project()).unwrap().display().to_string();
                    all.push((name, fs::read_to_string(path).unwrap()));
                }
            }
        }
    }
    all.sort();
    all
}

/// Takes the last change back and brings it again; the files are the same each time.
#[track_caller]
fn there_and_back(sandbox: &Sandbox, before: &[(String, String)], query: &[&str]) {
    let after = files(sandbox);
    assert_ne!(after, before);
    assert_eq!(sandbox.run("undo").status.code(), Some(0));
    assert_eq!(files(sandbox), before);
    assert_eq!(run(sandbox, query).status.code(), Some(2), "nothing is there any more");
    assert_eq!(sandbox.run("redo").status.code(), Some(0));
    assert_eq!(files(sandbox), after);
    assert_eq!(run(sandbox, query).status.code(), Some(0));
    assert_eq!(sandbox.run("status").status.code(), Some(0));
}

#[test]
fn a_module_goes_all_the_way() {
    let sandbox = with_flake();
    let before = files(&sandbox);
    let event_of_it = event(
        &sandbox,
        &[
            "module",
            "create",
            "web",
            "--option",
            "services.web.port=types.port",
            "--default",
            "services.web.port=8080",
            "--describe",
            "services.web.port=Where \"it\" listens.",
            "--set",
            "networking.hostName=\"web\"",
            "--import",
            "./base.nix",
        ],
    );
    assert_eq!(event_of_it["event_type"], "ModuleCreated");
    let module = &event_of_it["event"]["module"];
    assert_eq!(module["file"], "modules/web.nix");
    assert_eq!(module["options"]["services.web.port"]["default"], json!({ "Int": 8080 }));
    expect![[r#"
        { lib, ... }:

        let
          inherit (lib) types;
        in
        {
          imports = [ ./base.nix ];

          options = {
            services.web.port = lib.mkOption {
              type = types.port;
              default = 8080;
              description = "Where \"it\" listens.";
            };
          };

          config = {
            networking.hostName = "web";
          };
        }
    "#]]
    .assert_eq(&sandbox.read("modules/web.nix"));
    expect![[r#"
        {
          description = "Hosts";

          inputs.nixpkgs.url = "github:NixOS/nixpkgs";

          outputs =
            { self, nixpkgs, ... }:
            {
              packages = { };
              nixosModules.web = ./modules/web.nix;
            };
        }
    "#]]
    .assert_eq(&sandbox.read("flake.nix"));
    let view = answer(&sandbox, &["module", "show", "web", "--format", "json"]);
    for field in ["options", "config", "imports", "file", "name"] {
        assert_eq!(view[field], module[field], "{field}");
    }
    let asked = answer(&sandbox, &["query", "get-module", "name=web", "--format", "json"]);
    assert_eq!(asked, view);
    sandbox.check(
        "module show web",
        expect![[r#"
        [stdout]
        module `web` in modules/web.nix
          imports ./base.nix
          declares services.web.port: types.port = 8080
          sets { networking = { hostName = "web"; }; }
        [exit 0]
    "#]],
    );
    sandbox.check(
        "module list",
        expect![[r#"
        [stdout]
        web  modules/web.nix  1 options
        [exit 0]
    "#]],
    );
    sandbox.check(
        "module list --option services.none",
        expect![[r#"
        [exit 0]
    "#]],
    );
    there_and_back(&sandbox, &before, &["module", "show", "web"]);

    let update = ["module", "update", "web", "--unset", "networking.hostName", "--set", "x.y=1"];
    assert_eq!(event(&sandbox, &update)["event_type"], "ModuleUpdated");
    expect![[r#"
        { lib, ... }:

        let
          inherit (lib) types;
        in
        {
          imports = [ ./base.nix ];

          options = {
            services.web.port = lib.mkOption {
              type = types.port;
              default = 8080;
              description = "Where \"it\" listens.";
            };
          };

          config = {
            x.y = 1;
          };
        }
    "#]]
    .assert_eq(&sandbox.read("modules/web.nix"));
    sandbox.check(
        "module update web --set x.y=1",
        expect![[r#"
        [stdout]
        nothing to change
        [exit 0]
    "#]],
    );
    sandbox.write("user.nix", "import ./modules/web.nix");
    sandbox.check(
        "module delete web",
        expect![[r#"
        [stderr]
        error: `modules/web.nix` is still used
          hint: by user.nix:1
        [exit 2]
    "#]],
    );
    fs::remove_file(sandbox.project().join("user.nix")).unwrap();
    assert_eq!(event(&sandbox, &["module", "delete", "web"])["event_type"], "ModuleDeleted");
    assert_eq!(files(&sandbox), before);
    sandbox.check(
        "module list",
        expect![[r#"
        [exit 0]
    "#]],
    );
    sandbox.check(
        "module show web",
        expect![[r#"
        [stderr]
        error: there is no module `web` in `[tmp]/project`
        [exit 2]
    "#]],
    );
}

#[test]
fn an_overlay_goes_all_the_way() {
    let sandbox = with_flake();
    let before = files(&sandbox);
    let event_of_it = event(
        &sandbox,
        &[
            "overlay",
            "create",
            "tools",
            "--override",
            "hello=prev.hello.overrideAttrs { doCheck = false; }",
            "--add",
            "tool=final.callPackage ./tool.nix { }",
        ],
    );
    assert_eq!(event_of_it["event_type"], "OverlayCreated");
    expect![[r#"
        final: prev: {
          hello = prev.hello.overrideAttrs { doCheck = false; };

          tool = final.callPackage ./tool.nix { };
        }
    "#]]
    .assert_eq(&sandbox.read("overlays/tools.nix"));
    assert!(sandbox.read("flake.nix").contains("overlays.tools = import ./overlays/tools.nix;"));
    let view = answer(&sandbox, &["query", "list-overlays", "package=tool", "--format", "json"]);
    assert_eq!(view["items"][0]["additions"], event_of_it["event"]["overlay"]["additions"]);
    sandbox.check(
        "overlay show tools",
        expect![[r#"
        [stdout]
        overlay `tools` in overlays/tools.nix
          changes hello = prev.hello.overrideAttrs { doCheck = false; }
          adds tool = final.callPackage ./tool.nix { }
        [exit 0]
    "#]],
    );
    sandbox.check(
        "overlay list --package hello",
        expect![[r#"
        [stdout]
        tools  overlays/tools.nix  2 packages
        [exit 0]
    "#]],
    );
    there_and_back(&sandbox, &before, &["overlay", "show", "tools"]);
    let update = ["overlay", "update", "tools", "--remove", "tool"];
    assert_eq!(event(&sandbox, &update)["event_type"], "OverlayUpdated");
    assert!(!sandbox.read("overlays/tools.nix").contains("tool.nix"));
    assert_eq!(event(&sandbox, &["overlay", "delete", "tools"])["event_type"], "OverlayDeleted");
    assert_eq!(files(&sandbox), before);
}

#[test]
fn a_configuration_goes_all_the_way() {
    let sandbox = with_flake();
    let before = files(&sandbox);
    let event_of_it = event(
        &sandbox,
        &[
            "config",
            "create",
            "web",
            "--system",
            "x86_64-linux",
            "--package",
            "git",
            "--module",
            "./hardware.nix",
            "--specialise",
            "quiet.services.xserver.enable=false",
        ],
    );
    assert_eq!(event_of_it["event_type"], "ConfigurationCreated");
    assert_eq!(event_of_it["event"]["configuration"]["hostname"], "web");
    expect![[r#"
        { pkgs, ... }:

        {
          imports = [ ./hardware.nix ];

          environment.systemPackages = [ pkgs.git ];
          networking.hostName = "web";
          nixpkgs.hostPlatform = "x86_64-linux";
          specialisation.quiet.configuration.services.xserver.enable = false;
        }
    "#]]
    .assert_eq(&sandbox.read("hosts/web/default.nix"));
    expect![[r#"
        {
          description = "Hosts";

          inputs.nixpkgs.url = "github:NixOS/nixpkgs";

          outputs =
            { self, nixpkgs, ... }:
            {
              packages = { };
              nixosConfigurations.web = nixpkgs.lib.nixosSystem {
                modules = [ ./hosts/web ];
              };
            };
        }
    "#]]
    .assert_eq(&sandbox.read("flake.nix"));
    let view = answer(&sandbox, &["query", "get-configuration", "name=web", "--format", "json"]);
    assert_eq!(view["said"], event_of_it["event"]["configuration"]);
    sandbox.check(
        "config show web",
        expect![[r#"
        [stdout]
        machine `web` for x86_64-linux in hosts/web/default.nix
          is called web
          imports ./hardware.nix
          has the package git
          specialises quiet: { services = { xserver = { enable = false; }; }; }
        [exit 0]
    "#]],
    );
    sandbox.check(
        "config list",
        expect![[r#"
        [stdout]
        web  machine  x86_64-linux  hosts/web/default.nix
        [exit 0]
    "#]],
    );
    there_and_back(&sandbox, &before, &["config", "show", "web"]);
    let update = ["config", "update", "web", "--remove-package", "git", "--hostname", "front"];
    assert_eq!(event(&sandbox, &update)["event_type"], "ConfigurationUpdated");
    assert!(sandbox.read("hosts/web/default.nix").contains("networking.hostName = \"front\";"));
    sandbox.check(
        "config update other --package git",
        expect![[r#"
        [stderr]
        error: no command has made a configuration `other`
          hint: `cim-nix config list` shows which there are
        [exit 2]
    "#]],
    );
    sandbox.check(
        "config create web --system x86_64-linux",
        expect![[r#"
        [stderr]
        error: the configuration `web` exists already
          hint: `hosts/web/default.nix` is there, and stays as it is
        [exit 2]
    "#]],
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let sandbox = with_flake();
    let before = files(&sandbox);
    sandbox.check(
        "module create web --set a.b=1 --dry-run",
        expect![[r#"
            [stdout]
            would be recorded: created the module `web`
              would create modules/web.nix
              would change flake.nix

            diff --git a/modules/web.nix b/modules/web.nix
            new file mode 100644
            --- /dev/null
            +++ b/modules/web.nix
            @@ -0,0 +1,3 @@
            +{
            +  a.b = 1;
            +}
            --- a/flake.nix
            +++ b/flake.nix
            @@ -7,5 +7,6 @@
                 { self, nixpkgs, ... }:
                 {
                   packages = { };
            +      nixosModules.web = ./modules/web.nix;
                 };
             }
            [exit 1]
        "#]],
    );
    assert_eq!(files(&sandbox), before);
    sandbox.check(
        "module create web --set a.b=1 --no-flake --quiet",
        expect![[r#"
        [exit 0]
    "#]],
    );
    assert_eq!(sandbox.read("flake.nix"), FLAKE);
}

/// What is written needs no mending, and real Nix reads it.
#[test]
fn what_is_written_is_good_code() {
    let sandbox = Sandbox::new("//- modules/hardware.nix\n{ system.stateVersion = \"24.05\"; }\n");
    event(
        &sandbox,
        &[
            "module",
            "create",
            "web",
            "--option",
            "services.web.enable=types.bool",
            "--default",
            "services.web.enable=false",
            "--describe",
            "services.web.enable=Whether to serve.",
            "--set",
            "environment.systemPackages=[ pkgs.git ]",
            "--import",
            "./hardware.nix",
            "--set",
            "users.motd=\"several\nlines of \\${text}\n\"",
        ],
    );
    event(&sandbox, &["module", "create", "empty"]);
    event(
        &sandbox,
        &[
            "overlay",
            "create",
            "tools",
            "--override",
            "hello=prev.hello.overrideAttrs { doCheck = false; }",
            "--add",
            "names=lib.attrNames final",
        ],
    );
    event(&sandbox, &["overlay", "create", "none"]);
    event(
        &sandbox,
        &[
            "config",
            "create",
            "host",
            "--system",
            "x86_64-linux",
            "--package",
            "git",
            "--module",
            "../../modules/web.nix",
            "--overlay",
            "import ../../overlays/tools.nix",
        ],
    );
    event(&sandbox, &["config", "create", "ada", "--home", "--system", "aarch64-darwin"]);
    sandbox.check(
        "check",
        expect![[r#"
        [stdout]
        no findings in 7 files
        [exit 0]
    "#]],
    );
    sandbox.check(
        "fmt --formatter nixfmt --check",
        expect![[r#"
        [stderr]
        would format 0 files, 7 already formatted
        [exit 0]
    "#]],
    );

    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|folder| folder.join("nix-instantiate"));
    let Some(nix) = found.find(|program| program.is_file()) else {
        assert!(env::var("CI").as_deref() != Ok("true"), "there is no Nix");
        eprintln!("skipped: there is no Nix");
        return;
    };
    for (file, _) in files(&sandbox) {
        let output = Command::new(&nix)
            .args(["--parse", &file])
            .current_dir(sandbox.project())
            .output()
            .unwrap();
        assert!(output.status.success(), "{file}: {output:?}");
    }
}

#[test]
fn bodies_that_do_not_fit_are_refused() {
    let sandbox = with_flake();
    let before = files(&sandbox);
    let deep = format!("{{\"config\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let nested = format!("{{\"config\": {{\"x\": {}1{}}}}}", "[".repeat(60), "]".repeat(60));
    let mut out = String::new();
    for body in [
        "",
        "[]",
        "{",
        "7",
        "{\"config\": {}, \"name\": \"other\"}",
        "{\"options\": []}",
        "{\"options\": {\"a\": {\"type\": 7}}}",
        "{\"options\": {\"a\": {\"type\": \"types.str; x = 1\"}}}",
        "{\"config\": {\"Int\": \"7\"}}",
        "{\"config\": 18446744073709551615}",
        "{\"imports\": \"./x.nix\"}",
        "{\"imports\": [\"\\\"; } builtins.exec\"]}",
        "{\"file\": \"../../etc/passwd\"}",
        "{\"config\": {\"a\": \"\\u0000\"}}",
        &deep,
        &nested,
    ] {
        sandbox.write("../body.json", body);
        out.push_str(&refused(&sandbox, &["module", "create", "web", "--from", "../body.json"]));
    }
    out.push_str(&refused(&sandbox, &["module", "create", "web", "--from", "../none.json"]));
    fs::write(sandbox.project().join("../body.json"), [0xff, 0xfe]).unwrap();
    out.push_str(&refused(&sandbox, &["module", "create", "web", "--from", "../body.json"]));
    expect![[r#"
        error: `../body.json` does not hold what it has to: EOF while parsing a value at line 1 column 0
        error: `../body.json` holds no JSON object
        error: `../body.json` does not hold what it has to: EOF while parsing an object at line 1 column 1
        error: `../body.json` holds no JSON object
        error: `../body.json` is about `other`, not about `web`
        error: `../body.json` does not hold what it has to: invalid type: sequence, expected a map
        error: `../body.json` does not hold what it has to: invalid type: integer `7`, expected a string
        error: the type of the option `a` is no expression: unexpected `;` behind the expression in line 1, column 10 of `types.str; x = 1`
        error: `../body.json` does not hold what it has to: what is tagged `Int` is something else
        error: `../body.json` does not hold what it has to: 18446744073709551615 is no 64-bit integer
        error: `../body.json` does not hold what it has to: invalid type: string "./x.nix", expected a sequence
        error: the import 1 is no expression: this string is never closed in line 1, column 1 of `"; } builtins.exec`
        error: `../../etc/passwd` cannot be the file of a module: it has to be relative, without `.`, `..` and empty parts
        error: what the module sets cannot be written: a Nix string cannot hold a NUL byte
        error: `../body.json` does not hold what it has to: recursion limit exceeded at line 1 column 138
        error: `config` cannot be a value that a module sets: it is nested deeper than 48 levels
        error: cannot read `../none.json`: it does not exist
        error: cannot read `../body.json`: it is not UTF-8 (byte 0)
    "#]].assert_eq(&out);
    for (command, body) in [
        ("overlay", "{\"additions\": []}"),
        ("overlay", "{\"additions\": {\"a\": \"pkgs.x\"}}"),
        ("config", "{\"system\": 7}"),
        ("config", "{}"),
        (
            "config",
            "{\"system\": \"x86_64-linux\", \"packages\": [\"a b; c\"], \"path\": \"/x.nix\"}",
        ),
        ("config", "{\"system\": \"x86_64-linux\", \"kind\": \"toaster\"}"),
    ] {
        sandbox.write("../body.json", body);
        refused(&sandbox, &[command, "create", "x", "--from", "../body.json"]);
    }
    assert_eq!(files(&sandbox), before);

    // A body of megabytes is taken.
    let wide: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("a{n}"), json!("x"))).collect();
    sandbox.write("../body.json", json!({ "config": wide }).to_string());
    event(&sandbox, &["module", "create", "web", "--from", "../body.json", "--no-flake"]);
}

#[test]
fn what_is_given_stays_data() {
    const CODE: &str = "1; } // builtins.exec [ \"sh\" ] // { x = 1";
    const EVIL: &str = "\"; } builtins.exec [ \"sh\" ] ${throw \"x\"} ''; x = \"";
    let sandbox = with_flake();
    let before = files(&sandbox);
    for field in ["--set", "--option", "--default"] {
        refused(
            &sandbox,
            &["module", "create", "web", "--option", "a=types.str", field, &format!("a={CODE}")],
        );
    }
    for args in [
        ["module", "create", "web", "--import", CODE],
        ["module", "create", EVIL, "--set", "a.b=1"],
        ["module", "create", "web", "--file", EVIL],
        ["overlay", "create", EVIL, "--add", "a=1"],
        ["overlay", "create", "web", "--file", EVIL],
    ] {
        refused(&sandbox, &args);
    }
    for (field, text) in [
        ("--module", CODE),
        ("--overlay", CODE),
        ("--package", EVIL),
        ("--hostname", EVIL),
        ("--file", EVIL),
    ] {
        refused(&sandbox, &["config", "create", "web", "--system", "x86_64-linux", field, text]);
    }
    refused(&sandbox, &["config", "create", "web", "--system", EVIL]);
    refused(&sandbox, &["overlay", "create", "web", "--add", &format!("a={CODE}")]);
    assert_eq!(files(&sandbox), before);

    // Where any text may stand, it stays that text.
    let body = json!({
        "options": { "a": { "type": "types.str", "description": EVIL, "default": EVIL } },
        "config": { EVIL: { EVIL: EVIL } },
    });
    sandbox.write("../body.json", body.to_string());
    event(&sandbox, &["module", "create", "web", "--from", "../body.json"]);
    let code = "let lib = { mkOption = x: x; types.str = 1; }; in
        (import ./modules/web.nix { inherit lib; }).config";
    let value = answer(&sandbox, &["eval", "--json", "--impure", "--expr", code]);
    assert_eq!(value, json!({ EVIL: { EVIL: EVIL } }));
}

#[test]
fn a_file_that_was_edited_is_shown_and_kept() {
    let sandbox = with_flake();
    event(&sandbox, &["module", "create", "web", "--set", "a.b=1"]);
    sandbox.write("modules/web.nix", "{\n  a.b = 2;\n}\n");
    sandbox.check(
        "module update web --set a.b=3",
        expect![[r#"
        [stderr]
        error: `modules/web.nix` was changed by hand since a command wrote it
          hint: it is left as it is; this is the difference:
        --- as commands made it
        +++ on disk
        @@ -1,3 +1,3 @@
         {
        -  a.b = 1;
        +  a.b = 2;
         }
          hint: go on by hand, or put the file back to what commands made it
        [exit 2]
    "#]],
    );
    sandbox.check(
        "module delete web",
        expect![[r#"
        [stderr]
        error: `modules/web.nix` was changed by hand since a command wrote it
          hint: it is left as it is; this is the difference:
        --- as commands made it
        +++ on disk
        @@ -1,3 +1,3 @@
         {
        -  a.b = 1;
        +  a.b = 2;
         }
          hint: go on by hand, or put the file back to what commands made it
        [exit 2]
    "#]],
    );
    assert_eq!(sandbox.read("modules/web.nix"), "{\n  a.b = 2;\n}\n");
    sandbox.check(
        "module create web --set a.b=3",
        expect![[r#"
        [stderr]
        error: the module `web` exists already
          hint: `modules/web.nix` is there, and stays as it is
        [exit 2]
    "#]],
    );
    sandbox.check(
        "module update web --set a=web",
        expect![[r#"
        [stderr]
        error: the value of `a` is the name `web`, not a value
          hint: for the text, write '"web"'
        [exit 2]
    "#]],
    );
    sandbox.check(
        "module update web --unset nothing.here",
        expect![[r#"
        [stderr]
        error: `nothing.here` is not set
        [exit 2]
    "#]],
    );
}
