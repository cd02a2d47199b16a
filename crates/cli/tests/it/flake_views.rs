//! What `flake show` and `flake metadata` print, beside what Nix prints.

use expect_test::expect;

use crate::judge::Scene;

fn outputs() -> Scene {
    Scene::new("").with(
        r#"
//- flake.nix
{
  description = "what it shows";
  outputs = { self }:
    let d = name: derivation { inherit name; system = "x86_64-linux"; builder = "/bin/sh"; };
    in {
      packages.x86_64-linux = {
        number = 42;
        set = { };
        tool = d "tool-1.2" // { meta.description = "A tool"; };
        built = import (d "x");
      };
      packages.aarch64-linux.default = d "arm";
      legacyPackages.x86_64-linux = {
        broken = throw "no";
        plain = d "plain";
        set.inner = d "inner";
        more = { recurseForDerivations = true; inner = d "inner"; };
      };
      checks.x86_64-linux.t = d "t";
      devShells.x86_64-linux.default = d "shell";
      devShell.x86_64-linux = d "old-shell";
      apps.x86_64-linux.run = { type = "app"; program = "/bin/x"; meta.description = "runs"; };
      defaultApp.x86_64-linux = { type = "app"; program = "/bin/x"; };
      overlay = final: prev: { };
      overlays.default = final: prev: { };
      nixosModules.m = { };
      nixosConfigurations.host = throw "not looked at";
      templates.t = { path = ./.; description = "A template"; };
      defaultTemplate = { path = ./.; description = "The template"; };
      hydraJobs.a.b = d "job";
      formatter.x86_64-linux = d "fmt";
      lib.x = throw "not looked at";
    };
}
//- empty/flake.nix
{
  outputs = _: {
    apps.x86_64-linux = { };
    checks.x86_64-linux = { };
    devShells.x86_64-linux = { };
    legacyPackages.x86_64-linux = { };
    packages = { x86_64-linux = { }; other = { }; };
    formatter = { };
    nixosConfigurations = { };
    nixosModules = { };
  };
}
//- wrong/flake.nix
{ outputs = _: { apps.x86_64-linux.a = { }; checks = 1; }; }
"#,
    )
}

#[test]
fn outputs_are_shown_as_a_tree() {
    let scene = outputs();
    scene.commit_all("");
    scene.check(
        "flake show .",
        expect![[r#"
        git+file:[project]?ref=refs/heads/main&rev=[rev]
        ├───apps
        │   └───x86_64-linux
        │       └───run: app: runs
        ├───checks
        │   └───x86_64-linux
        │       └───t: derivation 't'
        ├───defaultApp
        │   └───x86_64-linux: app: no description
        ├───defaultTemplate: template: The template
        ├───devShell
        │   └───x86_64-linux: development environment 'old-shell'
        ├───devShells
        │   └───x86_64-linux
        │       └───default: development environment 'shell'
        ├───formatter
        │   └───x86_64-linux: package 'fmt'
        ├───hydraJobs
        │   └───a
        │       └───b: derivation 'job'
        ├───legacyPackages
        │   └───x86_64-linux omitted (use '--legacy' to show)
        ├───lib: unknown
        ├───nixosConfigurations
        │   └───host: NixOS configuration
        ├───nixosModules
        │   └───m: NixOS module
        ├───overlay: Nixpkgs overlay
        ├───overlays
        │   └───default: Nixpkgs overlay
        ├───packages
        │   ├───aarch64-linux
        │   │   └───default omitted (use '--all-systems' to show)
        │   └───x86_64-linux
        │       ├───built omitted due to use of import from derivation
        │       └───tool: package 'tool-1.2'
        └───templates
            └───t: template: A template
        warning: packages.x86_64-linux.number.name is not a derivation
        warning: packages.x86_64-linux.set.name is not a derivation
    "#]],
    );
    scene.check(
        "flake show . --legacy --all-systems",
        expect![[r#"
        git+file:[project]?ref=refs/heads/main&rev=[rev]
        ├───apps
        │   └───x86_64-linux
        │       └───run: app: runs
        ├───checks
        │   └───x86_64-linux
        │       └───t: derivation 't'
        ├───defaultApp
        │   └───x86_64-linux: app: no description
        ├───defaultTemplate: template: The template
        ├───devShell
        │   └───x86_64-linux: development environment 'old-shell'
        ├───devShells
        │   └───x86_64-linux
        │       └───default: development environment 'shell'
        ├───formatter
        │   └───x86_64-linux: package 'fmt'
        ├───hydraJobs
        │   └───a
        │       └───b: derivation 'job'
        ├───legacyPackages
        │   └───x86_64-linux
        │       ├───plain: package 'plain'
        ├───lib: unknown
        ├───nixosConfigurations
        │   └───host: NixOS configuration
        ├───nixosModules
        │   └───m: NixOS module
        ├───overlay: Nixpkgs overlay
        ├───overlays
        │   └───default: Nixpkgs overlay
        ├───packages
        │   ├───aarch64-linux
        │   │   └───default: package 'arm'
        │   └───x86_64-linux
        │       ├───built omitted due to use of import from derivation
        │       └───tool: package 'tool-1.2'
        └───templates
            └───t: template: A template
        warning: packages.x86_64-linux.number.name is not a derivation
        warning: packages.x86_64-linux.set.name is not a derivation
    "#]],
    );
    scene.check(
        "flake show ./empty",
        expect![[r#"
        git+file:[project]?dir=empty&ref=refs/heads/main&rev=[rev]
    "#]],
    );
    scene.check(
        "flake show ./wrong",
        expect![[r#"
        git+file:[project]?dir=wrong&ref=refs/heads/main&rev=[rev]
        ├───apps
        │   └───x86_64-linux
        error: not an app definition
        [failed]
    "#]],
    );
}

#[test]
fn outputs_are_shown_as_json() {
    let scene = outputs();
    scene.commit_all("");
    scene.check("flake show . --json", expect![[r#"
        {"apps":{"x86_64-linux":{"run":{"description":"runs","type":"app"}}},"checks":{"x86_64-linux":{"t":{"description":"","name":"t","type":"derivation"}}},"defaultApp":{"x86_64-linux":{"type":"app"}},"defaultTemplate":{"description":"The template","type":"template"},"devShell":{"x86_64-linux":{"description":"","name":"old-shell","type":"derivation"}},"devShells":{"x86_64-linux":{"default":{"description":"","name":"shell","type":"derivation"}}},"formatter":{"x86_64-linux":{"description":"","name":"fmt","type":"derivation"}},"hydraJobs":{"a":{"b":{"description":"","name":"job","type":"derivation"}}},"legacyPackages":{"x86_64-linux":{}},"lib":{"type":"unknown"},"nixosConfigurations":{"host":{"type":"nixos-configuration"}},"nixosModules":{"m":{"type":"nixos-module"}},"overlay":{"type":"nixpkgs-overlay"},"overlays":{"default":{"type":"nixpkgs-overlay"}},"packages":{"aarch64-linux":{"default":{}},"x86_64-linux":{"built":{},"number":{},"set":{},"tool":{"description":"A tool","name":"tool-1.2","type":"derivation"}}},"templates":{"t":{"description":"A template","type":"template"}}}
        warning: legacyPackages.x86_64-linux omitted (use '--legacy' to show)
        warning: packages.aarch64-linux.default omitted (use '--all-systems' to show)
        warning: packages.x86_64-linux.built omitted due to use of import from derivation
        warning: packages.x86_64-linux.number.name is not a derivation
        warning: packages.x86_64-linux.set.name is not a derivation
    "#]]);
    scene.check("flake show . --json --legacy --all-systems", expect![[r#"
        {"apps":{"x86_64-linux":{"run":{"description":"runs","type":"app"}}},"checks":{"x86_64-linux":{"t":{"description":"","name":"t","type":"derivation"}}},"defaultApp":{"x86_64-linux":{"type":"app"}},"defaultTemplate":{"description":"The template","type":"template"},"devShell":{"x86_64-linux":{"description":"","name":"old-shell","type":"derivation"}},"devShells":{"x86_64-linux":{"default":{"description":"","name":"shell","type":"derivation"}}},"formatter":{"x86_64-linux":{"description":"","name":"fmt","type":"derivation"}},"hydraJobs":{"a":{"b":{"description":"","name":"job","type":"derivation"}}},"legacyPackages":{"x86_64-linux":{"broken":{},"more":{},"plain":{"description":"","name":"plain","type":"derivation"},"set":{}}},"lib":{"type":"unknown"},"nixosConfigurations":{"host":{"type":"nixos-configuration"}},"nixosModules":{"m":{"type":"nixos-module"}},"overlay":{"type":"nixpkgs-overlay"},"overlays":{"default":{"type":"nixpkgs-overlay"}},"packages":{"aarch64-linux":{"default":{"description":"","name":"arm","type":"derivation"}},"x86_64-linux":{"built":{},"number":{},"set":{},"tool":{"description":"A tool","name":"tool-1.2","type":"derivation"}}},"templates":{"t":{"description":"A template","type":"template"}}}
        warning: packages.x86_64-linux.built omitted due to use of import from derivation
        warning: packages.x86_64-linux.number.name is not a derivation
        warning: packages.x86_64-linux.set.name is not a derivation
    "#]]);
    scene.check(
        "flake show ./empty --json --all-systems",
        expect![[r#"
        {}
    "#]],
    );
}

#[test]
fn metadata_is_that_of_nix() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ description = "d"; inputs.a.url = "path:./a"; inputs.b.follows = "a"; outputs = _: { }; }
//- a/flake.nix
{ inputs.c = { url = "path:./c"; flake = false; }; outputs = _: { }; }
//- a/c/file
x
"#,
    );
    scene.git("", "init --quiet");
    scene.git("", "add flake.nix");
    // Nothing is committed yet.
    scene.check(
        "flake metadata . --no-write-lock-file",
        expect![[r#"
        warning: Git tree '[project]' is dirty
        error:
               … while updating the lock file of flake 'git+file:[project]'

               … while updating the flake input 'a'

               error: Path 'a/flake.nix' in the repository "[project]" is not tracked by Git.

               To make it visible to Nix, run:

               git -C "[project]" add "a/flake.nix"
        [failed]
    "#]],
    );
    scene.git("", "add .");
    scene.check_locks(
        ". --no-write-lock-file",
        expect![[r#"
        a: ./a path, in /
          c = c
        c: ./c path, a tree, in /a
        root
          a = a
          b = /a
    "#]],
    );
    scene.commit_all("");
    for reference in [
        ".",
        "git+file://[project]",
        "git+file://[project]?ref=main",
        "git+file://[project]?shallow=1",
        "git+file://[project]?ref=main&shallow=1",
        "git+file://[project]?ref=refs/heads/main&allRefs=1",
        "path:[project]/a",
    ] {
        scene.judged_json(&format!("flake metadata --json --no-write-lock-file {reference}"));
    }
    scene.write("a/c/file", "y");
    scene.check_locks(
        ". --no-write-lock-file",
        expect![[r#"
        a: ./a path, in /
          c = c
        c: ./c path, a tree, in /a
        root
          a = a
          b = /a
    "#]],
    );
    scene.write("a/untracked", "y");
    scene.check_locks(
        ". --no-write-lock-file",
        expect![[r#"
        a: ./a path, in /
          c = c
        c: ./c path, a tree, in /a
        root
          a = a
          b = /a
    "#]],
    );
}

#[test]
fn a_repository_without_commits_has_no_revision() {
    let scene = Scene::new("").with("\n//- flake.nix\n{ outputs = _: { x = 1; }; }\n");
    scene.git("", "init --quiet");
    scene.expression("builtins.fetchGit [project]", expect![[r#"
        { lastModified = 0; lastModifiedDate = "19700101000000"; narHash = "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="; outPath = "/nix/store/[hash]-source"; rev = "0000000000000000000000000000000000000000"; revCount = 0; shortRev = "0000000"; submodules = false; }
    "#]]);
}
