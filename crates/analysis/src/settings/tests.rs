//! Paths of settings, as text.

use cim_nix_semantics::lower;
use cim_nix_syntax::parse;

use super::*;

#[track_caller]
fn check_in(path: &str, text: &str, want: &[&str]) {
    let tree = parse(text).tree;
    let ir = lower(&tree);
    let context = Context::new(path, &tree, &ir);
    let settings = context.settings();
    let line = |setting: Setting<'_>| {
        let mut names: Vec<&str> =
            settings.names(setting).map(|name| name.unwrap_or("*")).collect();
        names.reverse();
        let sign = if setting.is_element { "+=" } else { "=" };
        format!("{} {sign} {}", names.join("."), setting.value.text())
    };
    let got: Vec<String> = settings.on_hosts().map(line).collect();
    assert_eq!(got, want, "{text}");
}

#[track_caller]
fn check(text: &str, want: &[&str]) {
    check_in("hosts/a.nix", text, want);
}

#[test]
fn nested_and_dotted_sets_are_one() {
    check(
        "{ a.b = { c = 1; \"d\".e = 2; ${f} = 3; }; }",
        &["a.b.c = 1", "a.b.d.e = 2", "a.b.* = 3"],
    );
    check(r#"{ "" = 1; "a\"b".c = 2; }"#, &[" = 1", "a\"b.c = 2"]);
    check("{ a = { inherit (x) b; inherit c; }; }", &["a.b = b", "a.c = c"]);
}

#[test]
fn conditions_and_priorities_are_looked_through() {
    check("{ a = lib.mkIf c { b = mkForce (mkOverride 10 1); }; }", &["a.b = 1"]);
    check(
        "{ config = mkMerge [ { a = 1; } (mkIf c { b = 2; }) ]; }",
        &["config.a = 1", "config.b = 2"],
    );
    check(
        "{ a = lib.mkBefore [ 1 ] ++ lib.optionals c [ 2 ] ++ optional d 3; }",
        &["a += 1", "a += 2", "a += 3"],
    );
    check("{ a = if c then 1 else 2; }", &["a = 1", "a = 2"]);
    check("{ a = { b = 1; } // lib.optionalAttrs c { d = 2; }; }", &["a.b = 1", "a.d = 2"]);
}

#[test]
fn modules_lie_within_other_things() {
    check("{ config, ... }: let x = 1; in with lib; { a.b = x; }", &["x = 1", "a.b = x"]);
    check(
        "nixosSystem { modules = [ ./m.nix ({ ... }: { a = 1; }) ]; }",
        &["modules += ./m.nix", "modules.a = 1"],
    );
    check(
        "{ outputs = { self }: { nixosModules.x = { ... }: { a = 1; }; }; }",
        &["outputs.nixosModules.x.a = 1"],
    );
    check(
        "{ users.users = lib.genAttrs names (name: { a = 1; }); }",
        &["users.users = lib.genAttrs names (name: { a = 1; })", "users.users.*.a = 1"],
    );
}

#[test]
fn declarations_set_nothing() {
    check("{ options.a = { b = 1; }; }", &[]);
    check("{ fileSystems.a.options = [ 1 ]; }", &["fileSystems.a.options += 1"]);
    check("{ x = lib.mkOption { default = { a = 1; }; }; }", &[]);
}

#[test]
fn tests_and_machines_for_trying_are_left_out() {
    check("import ./make-test-python.nix ({ ... }: { nodes.a = { b = 1; }; })", &[]);
    check("pkgs.nixosTest { nodes.a = { b = 1; }; testScript = ''''; }", &[]);
    check("{ name = \"x\"; nodes.a = { b = 1; }; testScript = ''''; }", &[]);
    check("{ virtualisation.vmVariant = { a = 1; }; b = 2; }", &["b = 2"]);
    check("{ a = mkVMOverride 1; b.c = mkImageMediaOverride 2; }", &[]);
    check("{ imports = [ (modulesPath + \"/virtualisation/qemu-vm.nix\") ]; a = 1; }", &[]);
    // Only for the machine that imports it.
    check(
        "{ x = f { modules = [ \"${y}/installer/cd-dvd/installation-cd-minimal.nix\" { a = 1; } ]; }; \
           y = f { modules = [ { b = 2; } ]; }; }",
        &[
            "x = f { modules = [ \"${y}/installer/cd-dvd/installation-cd-minimal.nix\" { a = 1; } ]; }",
            "y = f { modules = [ { b = 2; } ]; }",
            "modules.b = 2",
        ],
    );
    check("{ imports = [ /* ./qemu-vm.nix */ ]; a = 1; }", &["a = 1"]);
    check("{ a = \"./qemu-vm.nix\"; }", &["a = \"./qemu-vm.nix\""]);
    for path in
        ["lxc-web.nix", "vm-mail.nix", "amazon-db/a.nix", "mail-vm.nix", "live/a.nix", "demo.nix"]
    {
        check_in(path, "{ a = 1; }", &["a = 1"]);
    }
    check_in("nixos/tests/a.nix", "{ a = 1; }", &[]);
    check_in("hosts/vm.nix", "{ a = 1; }", &[]);
}

#[test]
fn deep_code_is_walked_without_recursion() {
    let text = format!("{{ a = {}1{}; }}", "{ b = ".repeat(2_000), "; }".repeat(2_000));
    let tree = parse(text.as_str()).tree;
    let ir = lower(&tree);
    let context = Context::new("a.nix", &tree, &ir);
    let settings = context.settings();
    let found: Vec<usize> =
        settings.on_hosts().map(|setting| settings.names(setting).count()).collect();
    assert_eq!(found, [2_001]);
}

#[test]
fn patterns_match_the_ends_of_paths() {
    let tree =
        parse("{ containers.a.config.users.users.${n}.password = \"x\"; password = 1; }").tree;
    let ir = lower(&tree);
    let context = Context::new("a.nix", &tree, &ir);
    let settings = context.settings();
    let count = |patterns| settings.matching(patterns).count();
    assert_eq!(count(&["users.users.*.password"]), 1);
    assert_eq!(count(&["users.users.alice.password"]), 0);
    assert_eq!(count(&["password"]), 2);
    assert_eq!(count(&["*.password", "x"]), 1);
}
