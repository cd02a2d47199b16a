//! Commands on flakes: `lock`, `update`, `check`, `graph`, `new` and `init`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use expect_test::{Expect, expect};

use crate::judge::Scene;
use crate::sandbox::{Sandbox, stdout};

const PROJECT: &str = r#"
//- flake.nix
{
  inputs.dep.url = "path:./dep";
  outputs = { self, dep }: { x = dep.x; };
}
//- dep/flake.nix
{ outputs = _: { x = 42; }; }
"#;

/// Both streams and the exit status, with dates and hashes left out.
fn check(scene: &Scene, args: &str, want: Expect) {
    scene.check_alone("", args, want);
}

fn git(sandbox: &Sandbox, arguments: &str) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=n", "-c", "user.email=n@example.org"]);
    command.args(["-c", "init.defaultBranch=main"]).args(arguments.split(' '));
    let output = command.current_dir(sandbox.project()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stdout(&output)
}

#[test]
fn a_lock_file_is_written_once() {
    let scene = Scene::new(PROJECT);
    check(
        &scene,
        "flake lock --dry-run",
        expect![[r#"
        would create `flake.lock`:
        • Added input 'dep':
            'path:./dep'

        diff --git a/flake.lock b/flake.lock
        new file mode 100644
        --- /dev/null
        +++ b/flake.lock
        @@ -0,0 +1,22 @@
        +{
        +  "nodes": {
        +    "dep": {
        +      "locked": {
        +        "path": "./dep",
        +        "type": "path"
        +      },
        +      "original": {
        +        "path": "./dep",
        +        "type": "path"
        +      },
        +      "parent": []
        +    },
        +    "root": {
        +      "inputs": {
        +        "dep": "dep"
        +      }
        +    }
        +  },
        +  "root": "root",
        +  "version": 7
        +}
        [failed]
    "#]],
    );
    assert!(!scene.sandbox.project().join("flake.lock").exists());
    check(
        &scene,
        "flake lock --no-update-lock-file",
        expect![[r#"
        error: the lock file of `.` is not what its inputs need
          hint: `cim-nix flake lock` writes it
        [failed]
    "#]],
    );
    check(
        &scene,
        "flake lock",
        expect![[r#"
        created `flake.lock`:
        • Added input 'dep':
            'path:./dep'
    "#]],
    );
    let text = scene.sandbox.read("flake.lock");
    check(
        &scene,
        "flake lock",
        expect![[r#"
        `flake.lock` is as it should be
    "#]],
    );
    check(
        &scene,
        "flake update",
        expect![[r#"
        `flake.lock` is as it should be
    "#]],
    );
    check(&scene, "flake lock --no-update-lock-file --quiet", expect![[r#""#]]);
    assert_eq!(scene.sandbox.read("flake.lock"), text);
    check(
        &scene,
        "eval .#x --no-update-lock-file",
        expect![[r#"
        42
    "#]],
    );
}

#[test]
fn what_is_wanted_is_updated() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ inputs.a.url = "path:[project]/a"; inputs.b.url = "path:[project]/b"; outputs = _: { }; }
//- a/flake.nix
{ inputs.c.url = "path:[project]/c"; outputs = _: { }; }
//- b/flake.nix
{ outputs = _: { }; }
//- c/flake.nix
{ outputs = _: { }; }
"#,
    );
    check(&scene, "flake lock --quiet", expect![[r#""#]]);
    for folder in ["a", "b", "c"] {
        scene.write(&format!("{folder}/more"), "1");
    }
    check(
        &scene,
        "flake lock",
        expect![[r#"
        `flake.lock` is as it should be
    "#]],
    );
    check(
        &scene,
        "flake update b",
        expect![[r#"
        updated `flake.lock`:
        • Updated input 'b':
            'path:[project]/b?lastModified=[n]&narHash=sha256-[hash]' ([date])
          → 'path:[project]/b?lastModified=[n]&narHash=sha256-[hash]' ([date])
    "#]],
    );
    let output = scene.sandbox.run("flake update --dry-run --format json");
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&json["changed"], &json["written"], &json["file"], &json["version"]),
        (&true.into(), &false.into(), &"flake.lock".into(), &1.into())
    );
    let inputs = json["changes"].as_array().unwrap().iter().map(|change| {
        let locked = ["old", "new"].map(|side| change[side]["locked"]["narHash"].is_string());
        assert_eq!(locked, [true, true]);
        format!("{} {}", change["change"].as_str().unwrap(), change["input"].as_str().unwrap())
    });
    assert_eq!(inputs.collect::<Vec<_>>(), ["updated a", "updated a/c"]);
    check(
        &scene,
        "flake lock --update-input a --output-lock-file other.lock",
        expect![[r#"
        updated `other.lock`:
        • Updated input 'a':
            'path:[project]/a?lastModified=[n]&narHash=sha256-[hash]' ([date])
          → 'path:[project]/a?lastModified=[n]&narHash=sha256-[hash]' ([date])
        • Updated input 'a/c':
            'path:[project]/c?lastModified=[n]&narHash=sha256-[hash]' ([date])
          → 'path:[project]/c?lastModified=[n]&narHash=sha256-[hash]' ([date])
    "#]],
    );
    assert_ne!(scene.sandbox.read("other.lock"), scene.sandbox.read("flake.lock"));
    check(
        &scene,
        "flake lock --reference-lock-file other.lock",
        expect![[r#"
        `flake.lock` is as it should be
    "#]],
    );
    check(
        &scene,
        "flake update nothing",
        expect![[r#"
        `flake.lock` is as it should be
        warning: 'nothing' does not match any input of this flake
    "#]],
    );
    check(
        &scene,
        "flake update a//b!",
        expect![[r#"
        error: invalid flake input attribute path element 'b!'
        [failed]
    "#]],
    );
    check(
        &scene,
        "flake update --flake github:o/r",
        expect![[r#"
        error: cannot write the lock file of 'github:o/r'
          hint: name a folder on this machine, without a revision or a branch
        [failed]
    "#]],
    );
    check(
        &scene,
        "flake update --flake ./nowhere",
        expect![[r#"
        error: cannot read `./nowhere`: No such file or directory (os error 2)
        [failed]
    "#]],
    );
    scene.write("flake.nix", "{ inputs.a.url = \"path:/no/where\"; outputs = _: { }; }");
    check(
        &scene,
        "flake lock",
        expect![[r#"
        error: cannot lock the inputs of `.`: while updating the flake input 'a': while fetching the input 'path:/no/where': path '/no/where' does not exist
        [failed]
    "#]],
    );
    scene.write("flake.lock", "{}");
    check(
        &scene,
        "flake lock",
        expect![[r#"
        error: cannot lock the inputs of `.`: lock file '[project]/flake.lock' has unsupported version 0
        [failed]
    "#]],
    );
}

#[test]
fn git_hears_of_a_new_lock_file() {
    let scene = Scene::new(PROJECT);
    git(&scene.sandbox, "init --quiet");
    check(
        &scene,
        "flake lock",
        expect![[r#"
        error: `flake.nix` is not tracked by Git
          hint: what Git does not know is not part of a flake: `git add --intent-to-add flake.nix` makes it known
        [failed]
    "#]],
    );
    git(&scene.sandbox, "add flake.nix dep");
    git(&scene.sandbox, "commit --quiet --message=x");
    check(&scene, "flake lock --quiet", expect![[r#""#]]);
    assert_eq!(git(&scene.sandbox, "status --short"), " A flake.lock\n");
    // It is part of the flake now.
    check(
        &scene,
        "eval .#x --no-update-lock-file",
        expect![[r#"
        42
        warning: Git tree '[project]' is dirty
    "#]],
    );
    git(&scene.sandbox, "rm --quiet --cached flake.lock");
    scene.write(".gitignore", "flake.lock");
    check(&scene, "flake lock --quiet", expect![[r#""#]]);
    assert_eq!(git(&scene.sandbox, "status --short"), "?? .gitignore\n");
}

#[test]
fn a_lock_file_is_committed_as_nix_commits_it() {
    let scene = Scene::new(PROJECT);
    scene.commit_all("");
    git(&scene.sandbox, "config user.name n");
    git(&scene.sandbox, "config user.email n@example.org");
    scene.write("other", "is not committed");
    check(
        &scene,
        "flake update --commit-lock-file",
        expect![[r#"
        created `flake.lock`:
        • Added input 'dep':
            'path:./dep'
    "#]],
    );
    let log = git(&scene.sandbox, "log -1 --format=%B --name-only");
    expect![[r#"
        flake.lock: Add

        Flake lock file updates:

        • Added input 'dep':
            'path:./dep'


        flake.lock
    "#]]
    .assert_eq(&log);
    assert_eq!(git(&scene.sandbox, "status --short"), "?? other\n");
    // Nothing to commit is no failure.
    check(
        &scene,
        "flake update --commit-lock-file",
        expect![[r#"
        `flake.lock` is as it should be
    "#]],
    );
    scene.write("flake.nix", "{ outputs = _: { }; }");
    let line = "flake lock --commit-lock-file --option commit-lock-file-summary deps:";
    check(
        &scene,
        line,
        expect![[r#"
        updated `flake.lock`:
        • Removed input 'dep'
        warning: Git tree '[project]' is dirty
    "#]],
    );
    let log = git(&scene.sandbox, "log -1 --format=%B");
    expect![[r#"
        deps:

        Flake lock file updates:

        • Removed input 'dep'

    "#]]
    .assert_eq(&log);
}

const OUTPUTS: &str = r#"
//- flake.nix
{
  outputs = { self }: let
    package = name: derivation { inherit name; builder = "b"; system = "x86_64-linux"; };
  in {
    packages.x86_64-linux.good = package "good";
    packages.x86_64-linux.number = 1;
    packages.x86_64-linux.throws = throw "no";
    packages.aarch64-linux.elsewhere = throw "not here";
    packages.here.x = 1;
    devShells.x86_64-linux.default = package "shell";
    apps.x86_64-linux.plain = { type = "app"; program = "/bin/x"; };
    apps.x86_64-linux.whole = { type = "app"; program = "/bin/x"; meta.description = "x"; };
    apps.x86_64-linux.none = { type = "app"; };
    apps.x86_64-linux.more = { type = "app"; program = "/bin/x"; extra = 1; };
    overlays.default = final: prev: { };
    overlays.set = { };
    overlay = final: prev: { };
    nixosModules.default = { ... }: { };
    nixosConfigurations.good.config.system.build.toplevel = package "top";
    nixosConfigurations.none.config = { };
    nixosConfigurations.odd.config.system.build.toplevel = 1;
    homeConfigurations.ada.activationPackage = package "home";
    templates.good = { path = ./t; description = "t"; };
    templates.nowhere = { path = ./nowhere; description = "t"; };
    templates.bare.path = ./t;
    formatter.x86_64-linux = package "fmt";
    hydraJobs.deep.er = package "job";
    hydraJobs.number = 1;
    legacyPackages.x86_64-linux = throw "nobody looks";
    bundlers.x86_64-linux.one = x: x;
    bundlers.x86_64-linux.two = 2;
    checks = 1;
    lib = { };
    whatever = 1;
  };
}
//- t/file
x
"#;

#[test]
fn outputs_are_checked_for_what_they_promise() {
    let scene = Scene::new(OUTPUTS);
    check(
        &scene,
        "flake check",
        expect![[r#"
            26 outputs: 13 are wrong
            not checked: aarch64-linux (use '--all-systems' to check all)
            warning: app 'apps.x86_64-linux.more' lacks attribute 'meta'
            warning: app 'apps.x86_64-linux.plain' lacks attribute 'meta'
            warning: flake output attribute 'overlay' is deprecated; use 'overlays.default' instead
            warning: unknown flake output 'whatever'
            error:
                   … while checking the app definition 'apps.x86_64-linux.more'
                     at [project]/flake.nix:14:5:
                       13|     apps.x86_64-linux.none = { type = "app"; };
                       14|     apps.x86_64-linux.more = { type = "app"; program = "/bin/x"; extra = 1; };
                         |     ^
                       15|     overlays.default = final: prev: { };

                   error: app 'apps.x86_64-linux.more' has unsupported attribute 'extra'
            error:
                   … while checking the app definition 'apps.x86_64-linux.none'
                     at [project]/flake.nix:13:5:
                       12|     apps.x86_64-linux.whole = { type = "app"; program = "/bin/x"; meta.description = "x"; };
                       13|     apps.x86_64-linux.none = { type = "app"; };
                         |     ^
                       14|     apps.x86_64-linux.more = { type = "app"; program = "/bin/x"; extra = 1; };

                   error: app 'apps.x86_64-linux.none' lacks attribute 'program'
            error:
                   … while checking the bundler 'bundlers.x86_64-linux.two'
                     at [project]/flake.nix:31:5:
                       30|     bundlers.x86_64-linux.one = x: x;
                       31|     bundlers.x86_64-linux.two = 2;
                         |     ^
                       32|     checks = 1;

                   error: bundler is not a function, but an integer instead
            error:
                   … while checking flake output 'checks'
                     at [project]/flake.nix:32:5:
                       31|     bundlers.x86_64-linux.two = 2;
                       32|     checks = 1;
                         |     ^
                       33|     lib = { };

                   error: 'checks' is an integer while a set is expected
            error:
                   … while checking flake output 'hydraJobs.number'
                     at [project]/flake.nix:28:5:
                       27|     hydraJobs.deep.er = package "job";
                       28|     hydraJobs.number = 1;
                         |     ^
                       29|     legacyPackages.x86_64-linux = throw "nobody looks";

                   error: 'hydraJobs.number' is an integer while a set is expected
            error:
                   … while checking the configuration 'nixosConfigurations.none'
                     at [project]/flake.nix:20:5:
                       19|     nixosConfigurations.good.config.system.build.toplevel = package "top";
                       20|     nixosConfigurations.none.config = { };
                         |     ^
                       21|     nixosConfigurations.odd.config.system.build.toplevel = 1;

                   error: there is no attribute 'config.system'
            error:
                   … while checking the configuration 'nixosConfigurations.odd'
                     at [project]/flake.nix:21:5:
                       20|     nixosConfigurations.none.config = { };
                       21|     nixosConfigurations.odd.config.system.build.toplevel = 1;
                         |     ^
                       22|     homeConfigurations.ada.activationPackage = package "home";

                   error: attribute 'config.system.build.toplevel' is not a derivation
            error:
                   … while checking the overlay 'overlays.set'
                     at [project]/flake.nix:16:5:
                       15|     overlays.default = final: prev: { };
                       16|     overlays.set = { };
                         |     ^
                       17|     overlay = final: prev: { };

                   error: overlay is not a function, but a set instead
            error:
                   … while checking flake output 'packages.here'
                     at [project]/flake.nix:9:5:
                        8|     packages.aarch64-linux.elsewhere = throw "not here";
                        9|     packages.here.x = 1;
                         |     ^
                       10|     devShells.x86_64-linux.default = package "shell";

                   error: 'here' is not a valid system type
            error:
                   … while checking the derivation 'packages.x86_64-linux.number'
                     at [project]/flake.nix:6:5:
                        5|     packages.x86_64-linux.good = package "good";
                        6|     packages.x86_64-linux.number = 1;
                         |     ^
                        7|     packages.x86_64-linux.throws = throw "no";

                   error: 'packages.x86_64-linux.number' is not a derivation
            error:
                   … while checking the derivation 'packages.x86_64-linux.throws'
                     at [project]/flake.nix:7:5:
                        6|     packages.x86_64-linux.number = 1;
                        7|     packages.x86_64-linux.throws = throw "no";
                         |     ^
                        8|     packages.aarch64-linux.elsewhere = throw "not here";

                   … while calling the 'throw' builtin
                     at [project]/flake.nix:7:36:
                        6|     packages.x86_64-linux.number = 1;
                        7|     packages.x86_64-linux.throws = throw "no";
                         |                                    ^
                        8|     packages.aarch64-linux.elsewhere = throw "not here";

                   error: no
            error:
                   … while checking the template 'templates.bare'
                     at [project]/flake.nix:25:5:
                       24|     templates.nowhere = { path = ./nowhere; description = "t"; };
                       25|     templates.bare.path = ./t;
                         |     ^
                       26|     formatter.x86_64-linux = package "fmt";

                   error: template 'templates.bare' lacks attribute 'description'
            error:
                   … while checking the template 'templates.nowhere'
                     at [project]/flake.nix:24:5:
                       23|     templates.good = { path = ./t; description = "t"; };
                       24|     templates.nowhere = { path = ./nowhere; description = "t"; };
                         |     ^
                       25|     templates.bare.path = ./t;

                   error: template 'templates.nowhere' refers to a path that is not there
            [failed]
        "#]],
    );
    let output =
        scene.sandbox.run("flake check --format json --all-systems --option system x86_64-linux");
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let lines = json["outputs"].as_array().unwrap().iter().map(|output| {
        let outcome = match output["ok"].as_bool().unwrap() {
            true => output["derivation"].as_str().map_or("fine", |path| &path[44..]).to_owned(),
            false => format!("wrong: {}", output["message"].as_str().unwrap()),
        };
        format!("{} {} {outcome}\n", output["output"].as_str().unwrap(), output["kind"])
    });
    expect![[r#"
        apps.x86_64-linux.more "app definition" wrong: app 'apps.x86_64-linux.more' has unsupported attribute 'extra'
        apps.x86_64-linux.none "app definition" wrong: app 'apps.x86_64-linux.none' lacks attribute 'program'
        apps.x86_64-linux.plain "app definition" fine
        apps.x86_64-linux.whole "app definition" fine
        bundlers.x86_64-linux.one "bundler" fine
        bundlers.x86_64-linux.two "bundler" wrong: bundler is not a function, but an integer instead
        checks "set of outputs" wrong: 'checks' is an integer while a set is expected
        devShells.x86_64-linux.default "derivation" shell.drv
        formatter.x86_64-linux "derivation" fmt.drv
        homeConfigurations.ada "configuration" home.drv
        hydraJobs.deep.er "derivation" job.drv
        hydraJobs.number "set of outputs" wrong: 'hydraJobs.number' is an integer while a set is expected
        nixosConfigurations.good "configuration" top.drv
        nixosConfigurations.none "configuration" wrong: there is no attribute 'config.system'
        nixosConfigurations.odd "configuration" wrong: attribute 'config.system.build.toplevel' is not a derivation
        nixosModules.default "module" fine
        overlay "overlay" fine
        overlays.default "overlay" fine
        overlays.set "overlay" wrong: overlay is not a function, but a set instead
        packages.aarch64-linux.elsewhere "derivation" wrong: not here
        packages.here "set of outputs" wrong: 'here' is not a valid system type
        packages.x86_64-linux.good "derivation" good.drv
        packages.x86_64-linux.number "derivation" wrong: 'packages.x86_64-linux.number' is not a derivation
        packages.x86_64-linux.throws "derivation" wrong: no
        templates.bare "template" wrong: template 'templates.bare' lacks attribute 'description'
        templates.good "template" fine
        templates.nowhere "template" wrong: template 'templates.nowhere' refers to a path that is not there
    "#]].assert_eq(&lines.collect::<String>());
    expect![[r#"{"failed":14,"outputs":27}"#]].assert_eq(&json["summary"].to_string());
    assert_eq!(json["omitted_systems"], serde_json::json!([]));
    let place = json["outputs"][0]["place"].as_str().unwrap();
    assert!(place.ends_with("flake.nix:14:5"), "{place}");
}

/// Nix finds the same outputs wrong.
#[test]
fn nix_finds_the_same_outputs_wrong() {
    let scene = Scene::new(OUTPUTS);
    let Some((said, is_fine)) = scene.ask_nix("", "flake check path:. --no-build --keep-going")
    else {
        return;
    };
    assert!(!is_fine);
    let output = scene.sandbox.run("flake check --format json --option system x86_64-linux");
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    for output in json["outputs"].as_array().unwrap() {
        let name = output["output"].as_str().unwrap();
        let is_wrong = output["ok"] == false;
        // Of jobs, it blames the set.
        let shown = match name.starts_with("hydraJobs") && is_wrong {
            true => "'hydraJobs'".to_owned(),
            false => format!("'{name}'"),
        };
        let blamed = said.lines().any(|line| {
            let is_blame =
                line.contains("while checking") || line.contains("is not a valid system");
            is_blame
                && (line.contains(&shown) || name.ends_with(".here") && line.contains("'here'"))
        });
        assert_eq!(blamed, is_wrong, "{name}\n{said}");
    }
}

#[test]
fn a_flake_without_faults_is_fine() {
    let scene = Scene::new(
        "//- flake.nix\n{ outputs = { self }: { lib.x = 1; overlays.a = f: p: { }; }; }\n",
    );
    check(
        &scene,
        "flake check",
        expect![[r#"
        1 output: all fine
    "#]],
    );
    check(&scene, "flake check --quiet --no-build", expect![[r#""#]]);
    scene.write("flake.nix", "{ outputs = { self }: throw \"all\"; }");
    check(
        &scene,
        "flake check",
        expect![[r#"
        error:
               … while evaluating the attribute '"${...}".result'
                 at «flakes-internal»/call-flake.nix:37:7:
                   36|       inherit outPath sourceInfo;
                   37|       result =
                     |       ^
                   38|         if node.flake or true then assert isFunction file.outputs; flake

               … in the left operand of the update (//) operator
                 at «flakes-internal»/call-flake.nix:30:15:
                   29|       outputs = file.outputs (inputs // { self = flake; });
                   30|       flake = outputs // sourceInfo // {
                     |               ^
                   31|         inherit inputs outPath outputs sourceInfo;

               (stack trace truncated; use '--show-trace' to show the full, detailed trace)

               error: all
        [failed]
    "#]],
    );
    scene.write(
        "flake.nix",
        "{ outputs = { self }: { packages = let f = x: f (x + 1); in f 1; }; }",
    );
    let output = scene.sandbox.run("flake check --timeout 1s --max-call-depth 100000000");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn new_flakes_are_those_of_the_template() {
    let sandbox = Sandbox::new("");
    sandbox.check("flake new tool --dry-run", expect![[r#"
        [stdout]
        would write `tool/flake.nix`

        diff --git a/flake.nix b/flake.nix
        new file mode 100644
        --- /dev/null
        +++ b/flake.nix
        @@ -0,0 +1,31 @@
        +{
        +  description = "A package and a shell to work on it";
        +
        +  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
        +
        +  outputs =
        +    { self, nixpkgs }:
        +    let
        +      systems = [
        +        "x86_64-linux"
        +        "aarch64-linux"
        +        "x86_64-darwin"
        +        "aarch64-darwin"
        +      ];
        +      forEachSystem = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
        +    in
        +    {
        +      packages = forEachSystem (pkgs: {
        +        default = pkgs.hello;
        +      });
        +
        +      devShells = forEachSystem (pkgs: {
        +        default = pkgs.mkShell {
        +          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
        +          packages = [ pkgs.git ];
        +        };
        +      });
        +
        +      formatter = forEachSystem (pkgs: pkgs.nixfmt);
        +    };
        +}
        [exit 1]
    "#]]);
    assert!(!sandbox.project().join("tool").exists());
    sandbox.check(
        "flake new tool",
        expect![[r#"
        [stdout]
        wrote `tool/flake.nix`

        Put what you build in the place of `hello`, then run `cim-nix flake lock`.
        [exit 0]
    "#]],
    );
    sandbox.check(
        "check tool",
        expect![[r#"
        [stdout]
        warning[DEP003]: there is no flake.lock, so nothing says which version of `nixpkgs` is meant
         --> tool/flake.nix:4:10
          |
        4 |   inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
          |          ^^^^^^^
          |
          = help: `nix flake lock` writes one; commit it

        0 errors, 1 warning in 1 file
        [exit 1]
    "#]],
    );
    sandbox.check(
        "fmt --check tool",
        expect![[r#"
        [stderr]
        would format 0 files, 1 already formatted
        [exit 0]
    "#]],
    );
    sandbox.check("flake new tool --format json", expect![[r#"
        [stdout]
        {"conflicts":[],"files":[],"folder":"tool","same":["tool/flake.nix"],"version":1,"welcome":"Put what you build in the place of `hello`, then run `cim-nix flake lock`.","written":false}
        [exit 0]
    "#]]);
    sandbox.write("tool/flake.nix", "{ }");
    sandbox.check(
        "flake new tool",
        expect![[r#"
        [stderr]
        error: `tool/flake.nix` is there already, with other content, and stays as it is
          hint: merge them by hand, or move them away and try again
        [exit 2]
    "#]],
    );
    assert_eq!(sandbox.read("tool/flake.nix"), "{ }");
    sandbox.check(
        "flake new tool/flake.nix",
        expect![[r#"
        [stderr]
        error: `tool/flake.nix` is no folder
        [exit 2]
    "#]],
    );
}

/// The small flake works: its package and its shell are those of nixpkgs, whatever that is.
#[test]
fn the_small_flake_evaluates() {
    let scene = Scene::new("").with(
        r#"
//- nixpkgs/flake.nix
{
  outputs = { self }: {
    lib.genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
    legacyPackages = self.lib.genAttrs [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ] (system:
      let package = name: derivation { inherit name system; builder = "b"; }; in {
        hello = package "hello"; git = package "git"; nixfmt = package "nixfmt";
        stdenv.hostPlatform = { inherit system; };
        mkShell = { inputsFrom, packages }: package "shell-${(builtins.head inputsFrom).name}";
      });
  };
}
"#,
    );
    scene.sandbox.run("flake new tool");
    let args = "flake check ./tool --all-systems --override-input nixpkgs ./nixpkgs --quiet";
    check(
        &scene,
        args,
        expect![[r#"
        warning: not writing modified lock file of flake 'path:[project]/tool':
        • Added input 'nixpkgs':
            'path:[project]/nixpkgs?lastModified=[n]&narHash=sha256-[hash]' ([date])
    "#]],
    );
}

fn with_templates() -> Sandbox {
    let sandbox = Sandbox::new(
        r#"
//- templates/flake.nix
{
  outputs = _: {
    templates.web = { path = ./web; description = "w"; welcomeText = "  Hello\nthere\n"; };
    templates.default = { path = ./plain; description = "p"; };
    deep.er = { path = ./plain; description = "p"; };
    templates.nowhere = { path = ./nowhere; description = "p"; };
    templates.odd = { description = "p"; };
  };
}
//- templates/plain/flake.nix
{ outputs = _: { }; }
//- templates/web/a/b
text
//- templates/web/run
#!/bin/sh
"#,
    );
    let web = sandbox.project().join("templates/web");
    fs::write(web.join("bytes"), [0xff, 0]).unwrap();
    symlink("a/b", web.join("link")).unwrap();
    fs::set_permissions(web.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox
}

#[test]
fn templates_are_copied_whole() {
    let sandbox = with_templates();
    sandbox.check(
        "flake new site -t ./templates#web",
        expect![[r#"
        [stdout]
        wrote `site/a/b`
        wrote `site/run`
        wrote `site/bytes`
        wrote `site/link`

        Hello
        there
        [exit 0]
    "#]],
    );
    let site = sandbox.project().join("site");
    assert_eq!(fs::read(site.join("bytes")).unwrap(), [0xff, 0]);
    assert_eq!(fs::read_link(site.join("link")).unwrap().to_str(), Some("a/b"));
    let mode = |name: &str| fs::metadata(site.join(name)).unwrap().permissions().mode() & 0o100;
    assert_eq!((mode("run"), mode("a/b")), (0o100, 0));
    // Twice is once.
    sandbox.check(
        "flake new site -t ./templates#web",
        expect![[r#"
        [stdout]
        `site/a/b` is the same already
        `site/bytes` is the same already
        `site/link` is the same already
        `site/run` is the same already

        Hello
        there
        [exit 0]
    "#]],
    );
    fs::remove_file(site.join("a/b")).unwrap();
    fs::remove_file(site.join("link")).unwrap();
    symlink("elsewhere", site.join("link")).unwrap();
    sandbox.write("site/run", "mine");
    sandbox.check("flake new site -t ./templates#web", expect![[r#"
        [stdout]
        wrote `site/a/b`
        `site/bytes` is the same already
        [stderr]
        error: `site/link` and 1 other file are there already, with other content, and stay as they are
          hint: merge them by hand, or move them away and try again
        [exit 2]
    "#]]);
    assert_eq!(sandbox.read("site/run"), "mine");
    assert_eq!(sandbox.read("site/a/b"), "text\n");
}

#[test]
fn templates_are_found_by_their_names() {
    let sandbox = with_templates();
    sandbox.check(
        "flake new one -t ./templates",
        expect![[r#"
        [stdout]
        wrote `one/flake.nix`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "flake new two -t ./templates#deep.er",
        expect![[r#"
        [stdout]
        wrote `two/flake.nix`
        [exit 0]
    "#]],
    );
    sandbox.check("flake new three -t ./templates#wob", expect![[r#"
        [stderr]
        error: flake 'path:[tmp]/project/templates' does not provide attribute 'templates.wob' or 'wob'
               Did you mean web?
        [exit 1]
    "#]]);
    sandbox.check(
        "flake new three -t ./templates#odd",
        expect![[r#"
        [stderr]
        error: the template 'odd' lacks attribute 'path'
        [exit 1]
    "#]],
    );
    sandbox.check(
        "flake new three -t ./templates#nowhere",
        expect![[r#"
        [stderr]
        error: path '[tmp]/project/templates/nowhere' does not exist
        [exit 1]
    "#]],
    );
    sandbox.check(
        "flake new three -t ./nothing",
        expect![[r#"
        [stderr]
        error: cannot read `./nothing`: No such file or directory (os error 2)
        [exit 2]
    "#]],
    );
    assert!(!sandbox.project().join("three").exists());
}

#[test]
fn git_hears_of_new_files() {
    let sandbox = with_templates();
    git(&sandbox, "init --quiet");
    sandbox.write(".gitignore", "run\n");
    sandbox.check(
        "flake init -t path:./templates#web --quiet",
        expect![[r#"
        [exit 0]
    "#]],
    );
    let status = git(&sandbox, "status --short --untracked-files=no");
    assert_eq!(status, " A a/b\n A bytes\n A link\n A run\n");
}

#[test]
fn graphs_are_those_of_graph_inputs() {
    let sandbox = Sandbox::new(PROJECT);
    let both = ["flake graph", "graph inputs"].map(|args| stdout(&sandbox.run(args)));
    assert_eq!(both[0], both[1]);
    expect![[r#"
        project [flake]
          input dep [path] ./dep
    "#]]
    .assert_eq(&both[0]);
}
