use super::{FileKind, ModuleSystem, detect, detect_lock};
use crate::parse;

/// `kind[ system]: reason` of a text at a path.
fn kind_at(path: &str, text: &str) -> String {
    let found = detect(path, &parse(text).tree);
    match found.system {
        Some(system) => format!("{} {}: {}", found.kind, system.name(), found.reason),
        None => format!("{}: {}", found.kind, found.reason),
    }
}

fn kind(text: &str) -> String {
    kind_at("", text)
}

/// The text that a verdict points at.
fn place(text: &str) -> &str {
    let range = detect("", &parse(text).tree).range.expect("the verdict has a place");
    &text[range.as_usize()]
}

#[track_caller]
fn check(text: &str, verdict: &str) {
    assert_eq!(kind(text), verdict, "{text}");
}

#[track_caller]
fn check_at(path: &str, text: &str, verdict: &str) {
    assert_eq!(kind_at(path, text), verdict, "{path}: {text}");
}

#[test]
fn flake_by_its_outputs() {
    let verdict = "flake: is a set with `outputs` made of its inputs";
    check("{ inputs = { }; outputs = { self }: { }; }", verdict);
    check("{ outputs = inputs: { }; }", verdict);
    check("{ inputs.a.url = \"x\"; outputs = import ./outputs.nix; }", verdict);
    check_at("flake.nix", "{ outputs = import ./outputs.nix; }", verdict);
}

#[test]
fn half_typed_flake_by_name_and_inputs() {
    check_at(
        "a/flake.nix",
        "{ inputs.a.url = 1; out }",
        "flake: is named `flake.nix` and sets `inputs`",
    );
}

#[test]
fn outputs_of_a_derivation_make_no_flake() {
    check("{ name = \"x\"; outputs = [ \"out\" \"dev\" ]; }", "data: holds plain values only");
    check_at("flake.nix", "{ }", "data: holds plain values only");
}

#[test]
fn lock_files_by_their_text() {
    let flake = r#"{ "nodes": { "root": { } }, "root": "root", "version": 7 }"#;
    let reason = "is JSON with the locked `nodes` of a flake";
    check_at("flake.lock", flake, &format!("lock-file: {reason}"));
    let found = detect_lock(flake).expect("a lock file");
    assert_eq!((found.kind, &*found.reason), (FileKind::LockFile, reason));
    let npins = r#"{"pins":{"nixpkgs":{"type":"Channel"}},"version":3}"#;
    assert_eq!(detect_lock(npins).expect("pins").reason, "is JSON with the `pins` of npins");
}

#[test]
fn other_json_and_nix_are_no_lock_files() {
    for text in ["", "{", "{ }", r#"{ "nodes" = 1; "root" = 2; }"#, r#"{"name": "x"}"#, "[1]"] {
        assert_eq!(detect_lock(text), None, "{text}");
    }
    assert!(detect_lock(&format!("{{\"nodes\": {{\"{}", "ä".repeat(5_000))).is_none());
}

#[test]
fn tests_by_their_runner() {
    check(
        "import ./make-test-python.nix ({ pkgs, ... }: { name = \"x\"; })",
        "test: calls `import ./make-test-python.nix`",
    );
    check(
        "{ pkgs }: pkgs.testers.runNixOSTest { name = \"x\"; }",
        "test: calls `pkgs.testers.runNixOSTest`",
    );
    check("{ makeDiskoTest }: makeDiskoTest { name = \"x\"; }", "test: calls `makeDiskoTest`");
    check(
        "{ lib }: lib.runTests { testA = { expr = 1; expected = 1; }; }",
        "test: calls `lib.runTests`",
    );
}

#[test]
fn tests_by_machines_and_script() {
    check(
        "{ name = \"x\"; nodes.a = { }; testScript = \"\"; }",
        "test: sets machines and a `testScript`",
    );
    check(
        "{ lib, ... }: { name = \"x\"; nodes.a = { }; testScript = \"\"; }",
        "test: sets machines and a `testScript`",
    );
}

#[test]
fn sets_of_tests() {
    check("{ pkgs }: { a = runTest ./a.nix; b = runTest ./b.nix; }", "test: is a set of tests");
    check(
        "let f = v: import ./make-test-python.nix { }; in { a = f 1; }",
        "test: is a set of tests",
    );
    check(
        "{ pkgs }: with import ../lib/testing-python.nix { }; mapAttrs go { }",
        "test: imports the test driver of NixOS",
    );
    let text = "{ pkgs }: { a = import ./a.nix { inherit pkgs; }; }";
    check_at("tests/default.nix", text, "test: gathers files in a folder of tests");
    check_at("other/default.nix", text, "import: gathers the values of other files");
}

#[test]
fn overlays_by_their_two_parameters() {
    check("final: prev: { }", "overlay: is a function of `final` and `prev`");
    check("self: super: with self; { }", "overlay: is a function of `self` and `super`");
    check("_: prev: { }", "overlay: is a function of `_` and `prev`");
    check("{ inputs, ... }: final: _prev: { }", "overlay: is a function of `final` and `_prev`");
}

#[test]
fn several_overlays() {
    let verdict = "overlay: holds functions of the final and the previous packages";
    check("{ inputs, ... }: { additions = final: _: { }; fixes = final: prev: { }; }", verdict);
    check("[ (self: super: { }) ]", verdict);
    check("{ lib }: lib.composeManyExtensions [ ]", "overlay: calls `lib.composeManyExtensions`");
}

#[test]
fn two_other_parameters_make_no_overlay() {
    check("x: y: { a = x; }", "library: is a function for other code to call");
}

#[test]
fn module_that_adds_overlays_is_a_module() {
    check(
        "{ pkgs, ... }: { nixpkgs.overlays = [ (final: prev: { }) ]; }",
        "module: takes `pkgs` and sets the option `nixpkgs.overlays`",
    );
}

#[test]
fn shells_by_what_they_call() {
    check("{ pkgs ? import <nixpkgs> { } }: pkgs.mkShell { }", "shell: gives `pkgs.mkShell`");
    check("with import <nixpkgs> { }; mkShellNoCC { }", "shell: gives `mkShellNoCC`");
    check(
        "{ pkgs, ... }: { default = pkgs.mkShell { }; }",
        "shell: is a set of development shells",
    );
    check(
        "(import ./compat.nix { src = ./.; }).shellNix",
        "shell: gives `(import ./compat.nix { src = ./.; }).shellNix`",
    );
}

#[test]
fn shells_by_name() {
    let text = "with import <nixpkgs> { }; stdenv.mkDerivation { name = \"env\"; }";
    check_at("shell.nix", text, "shell: is named `shell.nix` and gives `stdenv.mkDerivation`");
    check_at("env.nix", text, "package: calls `stdenv.mkDerivation`");
    check_at(
        "home/shell.nix",
        "{ programs.zsh.enable = true; }",
        "module home-manager: sets the option `programs.zsh.enable`; \
         `home` in its path stands for Home Manager",
    );
}

#[test]
fn modules_by_imports_options_and_config() {
    check(
        "{ config, lib, ... }: { options.a = 1; config = { }; }",
        "module: takes `config` and sets `options` as modules do",
    );
    check("{ imports = [ ./a.nix ]; }", "module: sets `imports` as modules do");
    check(
        "{ config, ... }: let cfg = config.a; in { config = lib.mkIf cfg.b { }; }",
        "module: takes `config` and sets `config` as modules do",
    );
}

#[test]
fn modules_by_the_options_they_set() {
    check(
        "{ boot.kernelParams = [ ]; }",
        "module nixos: sets the option `boot.kernelParams`; \
         `boot.kernelParams` is an option of NixOS",
    );
    check(
        "{ pkgs, ... }: { home.packages = [ pkgs.hello ]; }",
        "module home-manager: takes `pkgs` and sets the option `home.packages`; \
         `home.packages` is an option of Home Manager",
    );
    check(
        "{ homebrew = { enable = true; }; }",
        "module darwin: sets the option `homebrew`; `homebrew.enable` is an option of nix-darwin",
    );
    check(
        "{ disko.devices.disk.a.type = \"disk\"; }",
        "module: sets the option `disko.devices.disk.a.type`",
    );
}

#[test]
fn modules_inside_option_calls() {
    check(
        "{ config, lib, ... }: lib.mkMerge [ (lib.mkIf config.a { services.nginx.b = 1; }) ]",
        "module nixos: takes `config` and sets the option `services.nginx.b`; \
         `services.nginx` is an option of NixOS",
    );
    check(
        "{ lib, ... }: lib.mkForce { a = 1; }",
        "module: takes `lib` and uses `mkForce` for a setting",
    );
    check(
        "{ lib, ... }: { a = lib.mkIf true { }; }",
        "module: takes `lib` and uses `mkIf` for a setting",
    );
}

#[test]
fn modules_by_their_parameters() {
    check(
        "{ config, ... }: { time = \"x\"; condition = config.a; }",
        "module: takes `config` and gives a set of settings",
    );
    check(
        "{ pkgs, ... }: { fonts2 = { package = pkgs.a; size = 1; }; }",
        "module: takes `pkgs` and gives a set of settings",
    );
    check(
        "{ self }: { config, ... }: { a.b = config.c; }",
        "module: takes `config` and gives a set of settings",
    );
}

#[test]
fn modules_made_by_a_function() {
    check(
        "{ lib, mkTarget, ... }: mkTarget { config = [ ]; }",
        "module: takes module arguments and calls `mkTarget`",
    );
    check(
        "lib.mkRenamedOptionModule [ \"a\" ] [ \"b\" ]",
        "module: takes module arguments and calls `mkRenamedOptionModule`",
    );
}

#[test]
fn plugin_of_an_editor_is_a_module_unless_it_is_built() {
    check(
        "{ lib, ... }: lib.nixvim.plugins.mkNeovimPlugin { name = \"x\"; }",
        "module: takes module arguments and calls `mkNeovimPlugin`",
    );
    check("{ mkRtmpPlugin }: mkRtmpPlugin { pname = \"x\"; }", "package: calls `mkRtmpPlugin`");
}

#[test]
fn something_switched_on_makes_a_module() {
    check(
        "{ etc.certificates.enable = true; bubblewrap = { a = 1; }; }",
        "module: sets `etc.certificates.enable`",
    );
}

#[test]
fn set_of_modules_is_a_module() {
    check("{ a = { pkgs, ... }: { programs.zsh.enable = true; }; }", "module: holds modules");
}

#[test]
fn module_that_also_tests_is_a_module() {
    check(
        "{ programs.zsh.enable = true; nmt.script = \"\"; }",
        "module home-manager: sets the option `programs.zsh.enable`; \
         `nmt.script` is an option of Home Manager",
    );
}

#[test]
fn folder_tells_the_system_where_options_do_not() {
    let text = "{ pkgs, ... }: { programs.fish.enable = true; }";
    let system = |path: &str| detect(path, &parse(text).tree).system;
    assert_eq!(system("modules/nixos/fish.nix"), Some(ModuleSystem::NixOs));
    assert_eq!(system("hosts/a/fish.nix"), Some(ModuleSystem::NixOs));
    assert_eq!(system("home/fish.nix"), Some(ModuleSystem::HomeManager));
    assert_eq!(system("users/a/home-manager.nix"), Some(ModuleSystem::HomeManager));
    assert_eq!(system("darwinModules/fish.nix"), Some(ModuleSystem::Darwin));
    assert_eq!(system("fish.nix"), None);
}

#[test]
fn options_of_one_system_beat_the_folder() {
    check_at(
        "hosts/a/x.nix",
        "{ xdg.configFile.a.text = \"\"; }",
        "module home-manager: sets the option `xdg.configFile.a.text`; \
         `xdg.configFile` is an option of Home Manager",
    );
}

#[test]
fn options_of_two_systems_leave_it_open() {
    let found = detect("", &parse("{ boot.a = 1; home.packages = [ ]; }").tree);
    assert_eq!((found.kind, found.system), (FileKind::Module, None));
}

#[test]
fn chance_option_name_in_data_makes_no_module() {
    let text = "{ a.groups = [ ]; b.groups = [ ]; c.groups = [ ]; i18n.groups = [ ]; }";
    check(text, "data: holds plain values only");
}

#[test]
fn packages_by_their_builder() {
    check(
        "{ lib, stdenv }: stdenv.mkDerivation rec { pname = \"x\"; }",
        "package: calls `stdenv.mkDerivation`",
    );
    check("{ stdenv }: stdenv.mkDerivation (self: { })", "package: calls `stdenv.mkDerivation`");
    check(
        "{ buildGoModule }: let v = 1; in assert v == 1; buildGoModule { }",
        "package: calls `buildGoModule`",
    );
    check(
        "{ python3Packages }: with python3Packages; buildPythonApplication { }",
        "package: calls `buildPythonApplication`",
    );
    check("{ hello }: hello.overrideAttrs (old: { })", "package: calls `hello.overrideAttrs`");
    check("{ callPackage }@args: callPackage ./generic.nix args", "package: calls `callPackage`");
    check("with import <nixpkgs> { }; runCommand \"x\" { } \"\"", "package: calls `runCommand`");
}

#[test]
fn packages_by_what_the_builder_is_told() {
    check("{ craft }: craft { pname = \"x\"; src = ./.; }", "package: calls `craft`");
    check("{ craft }: craft (args: { installPhase = \"\"; })", "package: calls `craft`");
    check("{ stdenv, wide }: wide { }", "package: takes `stdenv` and gives `wide`");
}

#[test]
fn packages_behind_conditions_and_wrappers() {
    check(
        "{ stdenv }: if stdenv.a then throw \"x\" else stdenv.mkDerivation { }",
        "package: calls `stdenv.mkDerivation`",
    );
    check(
        "{ lib, stdenv }: lib.makeOverridable ({ a }: stdenv.mkDerivation { }) { }",
        "package: calls `stdenv.mkDerivation`",
    );
    check(
        "{ stdenv }: let generic = v: stdenv.mkDerivation { }; in generic 1",
        "package: calls `stdenv.mkDerivation`",
    );
    check(
        "{ stdenv, lib }: lib.addMetaAttrs { } (stdenv.mkDerivation { }) // { a = 1; }",
        "package: calls `stdenv.mkDerivation`",
    );
}

#[test]
fn packages_with_module_like_parameters_are_packages() {
    check(
        "{ pkgs, ... }: pkgs.writeShellApplication { name = \"x\"; }",
        "package: calls `pkgs.writeShellApplication`",
    );
    check(
        "{ lib, config, stdenv, ... }: stdenv.mkDerivation { pname = config.a; }",
        "package: calls `stdenv.mkDerivation`",
    );
}

#[test]
fn builder_that_waits_for_arguments_is_a_library() {
    check(
        "{ stdenv }: { name, src }: stdenv.mkDerivation { inherit name src; }",
        "library: is a function for other code to call",
    );
    check("{ fetchurl }: args: fetchurl args", "library: is a function for other code to call");
    check(
        "{ version }: { lib, stdenv }: stdenv.mkDerivation { inherit version; }",
        "package: calls `stdenv.mkDerivation`",
    );
}

#[test]
fn package_sets() {
    check(
        "{ pkgs }: { a = pkgs.callPackage ./a { }; b = pkgs.callPackage ./b { }; }",
        "package-set: is a set of derivations",
    );
    check(
        "{ lib, newScope }: lib.makeScope newScope (self: { a = self.callPackage ./a { }; })",
        "package-set: is a set of derivations",
    );
    check("{ fetchNuGet }: [ (fetchNuGet { }) ]", "package-set: is a list of derivations");
    check("{ fetchNuGet }: [ ]", "package-set: takes `fetchNuGet` for an empty list");
    check(
        "{ lib, stdenv }: lib.mapAttrs (n: v: stdenv.mkDerivation { }) { a = 1; }",
        "package-set: makes a derivation of each of several values",
    );
    check(
        "{ stdenv, hello, cowsay }: { greet = hello; inherit cowsay; }",
        "package-set: is a set of derivations",
    );
}

#[test]
fn libraries() {
    check("{ lib }: { f = x: x; g = x: y: y; n = 1; }", "library: is a set of functions");
    check("{ lib, ... }: rec { f = x: x; }", "library: is a set of functions");
    check("{ lib, ... }: { inherit (lib) a b; c = lib.d; }", "library: is a set of functions");
    check("x: x + 1", "library: is a function for other code to call");
    check("{ lib }: path: lib.unions [ path ]", "library: is a function for other code to call");
    check("{ a, b ? 1 }: a + b", "library: is a function for other code to call");
    check_at(
        "lib/x.nix",
        "{ lib, inputs }: inputs.a.system { }",
        "library: is a function in a folder `lib`",
    );
}

#[test]
fn imports_of_other_files() {
    check("import ./a.nix", "import: gives `import ./a.nix`");
    check("{ system }: import ./a.nix { inherit system; }", "import: gives `import ./a.nix`");
    check(
        "args: import ./generic.nix (args // { v = 1; })",
        "import: gives `import ./generic.nix`",
    );
    check(
        "{ lib }: { a = import ./a.nix; b = import ./b.nix { inherit lib; }; }",
        "import: gathers the values of other files",
    );
}

#[test]
fn data() {
    let verdict = "data: holds plain values only";
    check("{ a = 1; b = [ \"x\" ./y true null (-1) ]; c.d = { }; }", verdict);
    check("[ { url = \"x\"; } ]", verdict);
    check("let key = \"x\"; in { \"a.age\".publicKeys = [ key ]; }", verdict);
    check("{ lib, pkgs, ... }: lib.optionalAttrs pkgs.isLinux { a = ./a.nix; }", verdict);
    check("{ lib, ... }: { a = ./a.nix; } // lib.optionalAttrs true { b = ./b.nix; }", verdict);
}

#[test]
fn expressions() {
    check("1 + 2", "expression: is an expression of no special kind");
    check("\"x\"", "expression: is a string");
    check("builtins.map (x: x) [ 1 ]", "expression: is the result of a call");
    check(
        "{ lib, outputs }: lib.genAttrs [ ] (n: outputs.a)",
        "expression: is the result of a call",
    );
    check(
        "{ inputs, ... }: { nixosConfigurations = inputs.a { }; }",
        "expression: is a set of various values",
    );
}

#[test]
fn unit_tests_by_expectation() {
    check("{ lib }: { testA = { expr = lib.a 1; expected = 2; }; }", "test: is a set of tests");
    check("{ a }: a { nodes.m = { }; testScript = \"\"; }", "test: calls `a`");
}

#[test]
fn functions_that_only_speak_of_tests_make_none() {
    check(
        "{ fetchTestData }: { a = fetchTestData { sha256 = \"\"; }; }",
        "package-set: is a set of derivations",
    );
}

#[test]
fn call_of_a_dependency_builds() {
    check("{ mkEffects }: mkEffects { a = 1; }", "package: calls `mkEffects`");
    check("{ path, lib }: lib.a { }", "expression: is the result of a call");
}

#[test]
fn import_that_sets_config_is_no_module() {
    check(
        "{ system ? 1, ... }: import ./nixpkgs.nix { config = { }; }",
        "import: gives `import ./nixpkgs.nix`",
    );
}

#[test]
fn computed_names_are_no_data() {
    check("{ lib }: let a = lib.b 1; in { inherit a; }", "expression: is a set of various values");
    check("let self = { a = 1; b = self.a; }; in self", "data: holds plain values only");
}

#[test]
fn home_manager_inside_nixos_belongs_to_nixos() {
    let text = "{ ... }: { home-manager.useGlobalPkgs = true; }";
    assert_eq!(detect("", &parse(text).tree).system, Some(ModuleSystem::NixOs));
}

#[test]
fn flake_parts_module_by_per_system() {
    check(
        "{ perSystem = { pkgs, ... }: { packages.a = pkgs.a; }; }",
        "module: sets the option `perSystem`",
    );
}

#[test]
fn broken_code_is_judged_by_what_is_left() {
    check("", "expression: holds no whole expression");
    check(
        "{ config, ... }: { options.a = ",
        "module: takes `config` and sets `options` as modules do",
    );
    check(
        "{ stdenv }: stdenv.mkDerivation { pname = \"x\"",
        "package: calls `stdenv.mkDerivation`",
    );
    for text in ["{", "(", "let", "x:", "{ a }:", "a.", "with", "if", "import", "//", "{ ${", "\""]
    {
        let _ = kind(text);
    }
}

#[test]
fn verdict_points_at_its_cause() {
    assert_eq!(place("{ a = 1; imports = [ ]; }"), "imports = [ ];");
    assert_eq!(
        place("{ stdenv }: let v = 1; in stdenv.mkDerivation { }"),
        "stdenv.mkDerivation { }"
    );
    assert_eq!(place("{ a }: final: prev: { }"), "final");
}

#[test]
fn names_that_stand_for_each_other_end() {
    check("let a = b; b = a; in a", "expression: is an expression of no special kind");
    check("let f = f; in f 1", "expression: is the result of a call");
    let wide: String = (0..40)
        .map(|n| {
            let values: String = (0..40).map(|v| format!("v{v} = a{}; ", n + 1)).collect();
            format!("a{n} = {{ {values} }}; ")
        })
        .collect();
    let _ = kind(&format!("let {wide} in a0"));
}

#[test]
fn deep_code_ends() {
    for (open, close) in [("(", ")"), ("{ a = ", "; }"), ("[ ", " ]"), ("x: ", ""), ("f (", ")")] {
        let text = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        let _ = kind(&text);
    }
}

#[test]
fn names_are_distinct() {
    let mut names: Vec<&str> = FileKind::ALL.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FileKind::ALL.len());
    assert_eq!(FileKind::Module.to_string(), "module");
    assert_eq!(ModuleSystem::HomeManager.to_string(), "Home Manager");
}

#[test]
fn flake_compat_with_a_long_import() {
    let pin = "x".repeat(200);
    let text =
        format!("(import (fetchTarball {{ url = \"{pin}\"; }}) {{ src = ./.; }}).defaultNix");
    check_at("default.nix", &text, "import: gives `defaultNix`");
}

#[test]
fn maintainers_are_no_functions() {
    check(
        "{ lib, ... }: { name = \"x\"; maintainers = [ lib.maintainers.a ]; }",
        "module: takes `lib` and gives a set of settings",
    );
}

#[test]
fn devenv_by_its_file_name() {
    let text = "{ processes.hello.exec = \"hello\"; }";
    check_at("a/devenv.nix", text, "module: is named as devenv's modules are");
    check_at("a/b.nix", text, "data: holds plain values only");
    let verdict = "module: takes `pkgs` and sets the option `services.postgres.enable`";
    check_at("devenv.nix", "{ pkgs, ... }: { services.postgres.enable = true; }", verdict);
}
