//! `check --eval`: findings that only evaluation can tell.

use expect_test::expect;

use crate::options::sandbox;

#[test]
fn what_is_set_is_held_against_the_options() {
    let sandbox = sandbox();
    sandbox.write(
        "host.nix",
        r#"{
  services.demo.enable = "yes";
  services.demo.prot = 80;
  services.demo.level = "loud";
  services.demo.hosts.web.aliases = [ "www" 1 ];
}
"#,
    );
    sandbox.check("check --eval=. --format concise host.nix", expect![[r#"
        [stdout]
        host.nix:2:26: error[COR018] `services.demo.enable` takes boolean, and this is a string
        host.nix:3:17: error[COR017] there is no option `services.demo.prot`
        host.nix:4:25: error[COR018] `services.demo.level` takes one of "info", "debug", and this is a string
        host.nix:5:45: error[COR018] `services.demo.hosts.web.aliases` takes list of string, and this is an integer
        [exit 1]
    "#]]);
    // Without evaluation nobody can tell.
    sandbox.check(
        "check --format concise host.nix",
        expect![[r#"
        [exit 0]
    "#]],
    );
}

#[test]
fn what_cannot_be_evaluated_is_told() {
    let sandbox = sandbox();
    sandbox.write("default.nix", "throw \"no\"");
    sandbox.check(
        "check --eval=. host.nix",
        expect![[r#"
        [stdout]
        no findings in 1 file
        [stderr]
        cannot evaluate the options of `.`, so they are not checked:
        error:
               … while evaluating the file '[tmp]/project/default.nix':

               … while calling the 'throw' builtin
                 at [tmp]/project/default.nix:1:1:
                    1| throw "no"
                     | ^

               error: no
        [exit 2]
    "#]],
    );
    sandbox.write("default.nix", "let f = n: if n == 0 then 1 else f (n - 1) + f (n - 1); in f 99");
    // Where it is stopped depends on the machine.
    let output = sandbox.run("check --eval=. --eval-timeout 50ms --quiet host.nix");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("evaluation took longer than `--eval-timeout` allows"), "{told}");
    assert_eq!(output.status.code(), Some(2));
    sandbox.check(
        "check --eval=./nothing host.nix",
        expect![[r#"
        [stderr]
        error: there is no file or folder `./nothing`
          hint: an expression: cim-nix eval -E './nothing'
          hint: an attribute of the flake here: cim-nix eval '.#./nothing'
        [exit 2]
    "#]],
    );
}

#[test]
fn configurations_of_flakes_are_found() {
    let sandbox = sandbox();
    sandbox.write(
        "flake.nix",
        "{ outputs = _: { nixosConfigurations.web = import ./default.nix; }; }",
    );
    sandbox.write("host.nix", "{ services.demo.enable = 1; }");
    sandbox.check(
        "check --eval --format concise host.nix",
        expect![[r#"
        [stdout]
        host.nix:1:26: error[COR018] `services.demo.enable` takes boolean, and this is an integer
        [exit 1]
    "#]],
    );
    sandbox.write("flake.nix", "{ outputs = _: { }; }");
    sandbox.check(
        "check --eval --format concise host.nix",
        expect![[r#"
        [stderr]
        `[tmp]/project#` has no configurations to evaluate
        [exit 2]
    "#]],
    );
}

#[test]
fn files_that_the_module_system_names_are_modules_whatever_they_set() {
    let sandbox = sandbox();
    sandbox.write(
        "default.nix",
        "let base = (import ./lib).evalModules { modules = [ ./service.nix ]; }; in
base // {
  options = throw \"The option `nothing' does not exist. Definition values:\\n- In `${toString ./host.nix}': 1\";
  extendModules = _: base;
}",
    );
    sandbox.write("host.nix", "{ nothing = 1; }");
    sandbox.check(
        "check --eval=. --format concise host.nix",
        expect![[r#"
        [stdout]
        host.nix:1:3: error[COR017] there is no option `nothing`
        [stderr]
        `.` cannot be evaluated: The option `nothing' does not exist. Definition values
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check --eval .#web host.nix",
        expect![[r#"
        [stderr]
        error: `.#web` is no file to check
          hint: a configuration to evaluate is joined to the option: --eval=.#web
        [exit 2]
    "#]],
    );
}
