//! Outputs, overlays, modules and systems.

use expect_test::expect;

use super::*;

fn output(path: &str, value: &str) -> Request {
    let path = path.split('.').map(str::to_owned).collect();
    Request::AddOutput { path, value: value.to_owned() }
}

fn overlay(name: &str) -> Request {
    Request::AddOverlay { name: name.to_owned(), value: "final: prev: { }".to_owned() }
}

fn module(kind: ModuleKind, name: &str) -> Request {
    Request::AddModule { kind, name: name.to_owned(), value: format!("./{name}.nix") }
}

fn system(name: &str) -> Request {
    Request::AddSystem { system: name.to_owned(), list: None }
}

fn flake(body: &str) -> String {
    format!("{{\n  outputs = {{ self, nixpkgs, flake-utils, flake-parts }}@inputs:\n{body};\n}}\n")
}

/// The body of `outputs` after a request.
fn body(text: &str, request: &Request) -> String {
    let text = flake(text);
    let out = outcome(&text, request);
    let head = "{\n  outputs = { self, nixpkgs, flake-utils, flake-parts }@inputs:\n";
    match out.strip_prefix(head).and_then(|rest| rest.strip_suffix(";\n}\n")) {
        Some(body) => format!("{body}\n"),
        None => out,
    }
}

#[test]
fn plain_sets_take_outputs() {
    let text = "    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
    in
    {
      packages.x86_64-linux.a = pkgs.a; # a

      overlays.default = final: prev: { };
      nixosModules = {
        # modules
        a = ./a.nix;
      };
    }";
    let mut out = String::new();
    for request in [
        output("packages.x86_64-linux.b", "pkgs.b"),
        output("packages.x86_64-linux.c d", "pkgs.c"),
        output("packages.b", "pkgs.b"),
        output("packages.x86_64-linux.a", "pkgs.b"),
        output("packages.x86_64-linux.a", "pkgs.a"),
        output("nixosConfigurations.pc", "nixpkgs.lib.nixosSystem {\n  modules = [ ./pc.nix ];\n}"),
        output("lib", "{ }"),
        output("packages.x86_64-linux.b", "pgks.b"),
        output("packages.x86_64-linux.b", "pkgs.b; c = 1"),
        output("nixosModules.a.b", "{ }"),
        overlay("extra"),
        module(ModuleKind::NixOs, "b"),
        module(ModuleKind::Home, "b"),
        module(ModuleKind::Darwin, "b"),
    ] {
        out.push_str(&format!("--- {request:?}\n{}", body(text, &request)));
    }
    expect![[r#"
        --- AddOutput { path: ["packages", "x86_64-linux", "b"], value: "pkgs.b" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a
              packages.x86_64-linux.b = pkgs.b;

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
            }
        --- AddOutput { path: ["packages", "x86_64-linux", "c d"], value: "pkgs.c" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a
              packages.x86_64-linux."c d" = pkgs.c;

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
            }
        --- AddOutput { path: ["packages", "b"], value: "pkgs.b" }
        error: `packages` needs a system behind it
        --- AddOutput { path: ["packages", "x86_64-linux", "a"], value: "pkgs.b" }
        error: there is another `packages.x86_64-linux.a` already
          hint: flake.nix:7:33: it is here
        --- AddOutput { path: ["packages", "x86_64-linux", "a"], value: "pkgs.a" }
        unchanged
        --- AddOutput { path: ["nixosConfigurations", "pc"], value: "nixpkgs.lib.nixosSystem {\n  modules = [ ./pc.nix ];\n}" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
              nixosConfigurations.pc = nixpkgs.lib.nixosSystem {
                modules = [ ./pc.nix ];
              };
            }
        --- AddOutput { path: ["lib"], value: "{ }" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
              lib = { };
            }
        --- AddOutput { path: ["packages", "x86_64-linux", "b"], value: "pgks.b" }
        error: nothing supplies `pgks` there
        --- AddOutput { path: ["packages", "x86_64-linux", "b"], value: "pkgs.b; c = 1" }
        error: "pkgs.b; c = 1" is not an expression: unexpected `;` behind the expression
        --- AddOutput { path: ["nixosModules", "a", "b"], value: "{ }" }
        error: `nixosModules.a` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:12:13: here
        --- AddOverlay { name: "extra", value: "final: prev: { }" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a

              overlays.default = final: prev: { };
              overlays.extra = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
            }
        --- AddModule { kind: NixOs, name: "b", value: "./b.nix" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
                b = ./b.nix;
              };
            }
        --- AddModule { kind: Home, name: "b", value: "./b.nix" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
              homeModules.b = ./b.nix;
            }
        --- AddModule { kind: Darwin, name: "b", value: "./b.nix" }
            let
              pkgs = nixpkgs.legacyPackages.x86_64-linux;
            in
            {
              packages.x86_64-linux.a = pkgs.a; # a

              overlays.default = final: prev: { };
              nixosModules = {
                # modules
                a = ./a.nix;
              };
              darwinModules.b = ./b.nix;
            }
    "#]].assert_eq(&out);
}

#[test]
fn functions_over_systems_take_outputs_for_all() {
    let mut out = String::new();
    for text in [
        "    let\n      forAllSystems = nixpkgs.lib.genAttrs [ \"x86_64-linux\" ];\n    in\n    {\n      packages = forAllSystems (system: {\n        a = 1;\n      });\n    }",
        "    let\n      each = nixpkgs.lib.genAttrs [ \"x86_64-linux\" ];\n    in\n    {\n      packages = nixpkgs.lib.genAttrs [ ] (system: let pkgs = 1; in { a = 1; });\n    }",
        "    flake-utils.lib.eachDefaultSystem (system:\n      let pkgs = nixpkgs; in\n      {\n        packages = rec {\n          a = 1;\n          default = a;\n        };\n      }\n    )",
        "    flake-utils.lib.eachSystem [ ] (system: { devShells.x = 1; }) // {\n      overlays.a = 1;\n    }",
        "    { overlays.a = 1; } // flake-utils.lib.eachDefaultSystem (system: { })",
        "    flake-parts.lib.mkFlake { inherit inputs; } {\n      systems = [ ];\n      perSystem = { pkgs, ... }: {\n        packages.a = 1;\n      };\n      flake = {\n        # here\n      };\n    }",
        "    flake-parts.lib.mkFlake { inherit inputs; } ({ ... }: {\n      systems = [ ];\n    })",
    ] {
        for request in [
            output("packages.b", "2"),
            output("devShells.b", "2"),
            output("formatter", "2"),
            overlay("b"),
        ] {
            out.push_str(&format!("--- {request:?}\n{}", body(text, &request)));
        }
        out.push('\n');
    }
    expect![[r#"
        --- AddOutput { path: ["packages", "b"], value: "2" }
            let
              forAllSystems = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = forAllSystems (system: {
                a = 1;
                b = 2;
              });
            }
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            let
              forAllSystems = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = forAllSystems (system: {
                a = 1;
              });
              devShells = forAllSystems (system: {
                b = 2;
              });
            }
        --- AddOutput { path: ["formatter"], value: "2" }
            let
              forAllSystems = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = forAllSystems (system: {
                a = 1;
              });
              formatter = forAllSystems (system: 2);
            }
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            let
              forAllSystems = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = forAllSystems (system: {
                a = 1;
              });
              overlays.b = final: prev: { };
            }

        --- AddOutput { path: ["packages", "b"], value: "2" }
            let
              each = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = nixpkgs.lib.genAttrs [ ] (system: let pkgs = 1; in { a = 1; b = 2; });
            }
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            let
              each = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = nixpkgs.lib.genAttrs [ ] (system: let pkgs = 1; in { a = 1; });
              devShells = nixpkgs.lib.genAttrs [ ] (system: {
                b = 2;
              });
            }
        --- AddOutput { path: ["formatter"], value: "2" }
            let
              each = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = nixpkgs.lib.genAttrs [ ] (system: let pkgs = 1; in { a = 1; });
              formatter = nixpkgs.lib.genAttrs [ ] (system: 2);
            }
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            let
              each = nixpkgs.lib.genAttrs [ "x86_64-linux" ];
            in
            {
              packages = nixpkgs.lib.genAttrs [ ] (system: let pkgs = 1; in { a = 1; });
              overlays.b = final: prev: { };
            }

        --- AddOutput { path: ["packages", "b"], value: "2" }
            flake-utils.lib.eachDefaultSystem (system:
              let pkgs = nixpkgs; in
              {
                packages = rec {
                  a = 1;
                  default = a;
                  b = 2;
                };
              }
            )
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            flake-utils.lib.eachDefaultSystem (system:
              let pkgs = nixpkgs; in
              {
                packages = rec {
                  a = 1;
                  default = a;
                };
                devShells = {
                  b = 2;
                };
              }
            )
        --- AddOutput { path: ["formatter"], value: "2" }
            flake-utils.lib.eachDefaultSystem (system:
              let pkgs = nixpkgs; in
              {
                packages = rec {
                  a = 1;
                  default = a;
                };
                formatter = 2;
              }
            )
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            flake-utils.lib.eachDefaultSystem (system:
              let pkgs = nixpkgs; in
              {
                packages = rec {
                  a = 1;
                  default = a;
                };
              }
            ) // {
              overlays.b = final: prev: { };
            }

        --- AddOutput { path: ["packages", "b"], value: "2" }
            flake-utils.lib.eachSystem [ ] (system: { devShells.x = 1; packages.b = 2; }) // {
              overlays.a = 1;
            }
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            flake-utils.lib.eachSystem [ ] (system: { devShells.x = 1; devShells.b = 2; }) // {
              overlays.a = 1;
            }
        --- AddOutput { path: ["formatter"], value: "2" }
            flake-utils.lib.eachSystem [ ] (system: { devShells.x = 1; formatter = 2; }) // {
              overlays.a = 1;
            }
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            flake-utils.lib.eachSystem [ ] (system: { devShells.x = 1; }) // {
              overlays.a = 1;
              overlays.b = final: prev: { };
            }

        --- AddOutput { path: ["packages", "b"], value: "2" }
            { overlays.a = 1; } // flake-utils.lib.eachDefaultSystem (system: { packages.b = 2; })
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            { overlays.a = 1; } // flake-utils.lib.eachDefaultSystem (system: { devShells.b = 2; })
        --- AddOutput { path: ["formatter"], value: "2" }
            { overlays.a = 1; } // flake-utils.lib.eachDefaultSystem (system: { formatter = 2; })
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            { overlays.a = 1; overlays.b = final: prev: { }; } // flake-utils.lib.eachDefaultSystem (system: { })

        --- AddOutput { path: ["packages", "b"], value: "2" }
            flake-parts.lib.mkFlake { inherit inputs; } {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                packages.a = 1;
                packages.b = 2;
              };
              flake = {
                # here
              };
            }
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            flake-parts.lib.mkFlake { inherit inputs; } {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                packages.a = 1;
                devShells.b = 2;
              };
              flake = {
                # here
              };
            }
        --- AddOutput { path: ["formatter"], value: "2" }
            flake-parts.lib.mkFlake { inherit inputs; } {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                packages.a = 1;
                formatter = 2;
              };
              flake = {
                # here
              };
            }
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            flake-parts.lib.mkFlake { inherit inputs; } {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                packages.a = 1;
              };
              flake = {
                # here

                overlays.b = final: prev: { };
              };
            }

        --- AddOutput { path: ["packages", "b"], value: "2" }
            flake-parts.lib.mkFlake { inherit inputs; } ({ ... }: {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                packages.b = 2;
              };
            })
        --- AddOutput { path: ["devShells", "b"], value: "2" }
            flake-parts.lib.mkFlake { inherit inputs; } ({ ... }: {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                devShells.b = 2;
              };
            })
        --- AddOutput { path: ["formatter"], value: "2" }
            flake-parts.lib.mkFlake { inherit inputs; } ({ ... }: {
              systems = [ ];
              perSystem = { pkgs, ... }: {
                formatter = 2;
              };
            })
        --- AddOverlay { name: "b", value: "final: prev: { }" }
            flake-parts.lib.mkFlake { inherit inputs; } ({ ... }: {
              systems = [ ];
              flake.overlays.b = final: prev: { };
            })

    "#]].assert_eq(&out);
}

#[test]
fn what_has_no_place_is_refused() {
    let mut out = String::new();
    for (text, request) in [
        ("import ./o.nix inputs", overlay("a")),
        ("nixpkgs.lib.mkFlake { }", overlay("a")),
        ("{ overlays = import ./o.nix; }", overlay("a")),
        ("{ inherit (self) overlays; }", overlay("a")),
        ("let overlays = { b = 1; }; in { inherit overlays; }", overlay("a")),
        ("{ overlays = final: prev: { }; }", overlay("a")),
        ("{ overlays = f { } // { }; }", overlay("a")),
        ("if self ? a then { } else { }", overlay("a")),
        ("let x = y; y = x; in x", overlay("a")),
        ("{ packages = f (system: { }); }", output("packages.a", "1")),
        (
            "{ packages = forAllSystems (system: { }); forAllSystems = 1; }",
            output("packages.x86_64-linux.a", "1"),
        ),
        ("flake-utils.lib.eachDefaultSystem (system: { })", output("packages.x86_64-linux.a", "1")),
        ("flake-utils.lib.eachDefaultSystem (system: { })", overlay("a")),
        ("flake-parts.lib.mkFlake { } ./x.nix", overlay("a")),
        ("flake-parts.lib.mkFlake { } { }", output("packages.x86_64-linux.a", "1")),
        (
            "{ nixosConfigurations = nixpkgs.lib.genAttrs [ ] (n: { }); }",
            output("nixosConfigurations.a", "1"),
        ),
        ("{ }", output("packages.a", "1")),
    ] {
        out.push_str(&format!("{text}\n{}\n", body(text, &request)));
    }
    expect![[r#"
        import ./o.nix inputs
        error: `outputs` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:1: here

        nixpkgs.lib.mkFlake { }
        error: `outputs` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:1: here

        { overlays = import ./o.nix; }
        error: `overlays` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:14: here

        { inherit (self) overlays; }
        error: `overlays` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:3: here

        let overlays = { b = 1; }; in { inherit overlays; }
        let overlays = { b = 1; a = final: prev: { }; }; in { inherit overlays; }

        { overlays = final: prev: { }; }
        error: `overlays` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:14: here

        { overlays = f { } // { }; }
        { overlays = f { } // { a = final: prev: { }; }; }

        if self ? a then { } else { }
        error: `outputs` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:1: here

        let x = y; y = x; in x
        error: `outputs` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:9: here

        { packages = f (system: { }); }
        error: `packages` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:14: here

        { packages = forAllSystems (system: { }); forAllSystems = 1; }
        error: `packages` is made for every system at once, so it has none of its own
          hint: flake.nix:3:14: here

        flake-utils.lib.eachDefaultSystem (system: { })
        error: `packages` is made for every system at once, so it has none of its own
          hint: flake.nix:3:1: here

        flake-utils.lib.eachDefaultSystem (system: { })
        flake-utils.lib.eachDefaultSystem (system: { }) // { overlays.a = final: prev: { }; }

        flake-parts.lib.mkFlake { } ./x.nix
        error: `outputs` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:29: here

        flake-parts.lib.mkFlake { } { }
        error: `packages` is made for every system at once, so it has none of its own
          hint: flake.nix:3:29: here

        { nixosConfigurations = nixpkgs.lib.genAttrs [ ] (n: { }); }
        error: `nixosConfigurations` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:25: here

        { }
        error: `packages` needs a system behind it

    "#]].assert_eq(&out);
}

#[test]
fn systems_are_added_to_their_list() {
    let mut out = String::new();
    for text in [
        "let systems = [ \"x86_64-linux\" ]; in { }",
        "let supportedSystems = [\n  \"aarch64-linux\" # arm\n  \"x86_64-linux\"\n]; in { }",
        "flake-parts.lib.mkFlake { } { systems = [ ]; }",
        "flake-utils.lib.eachSystem [ \"x86_64-linux\" \"aarch64-darwin\" ] (s: { })",
        "nixpkgs.lib.genAttrs ([ \"i686-linux\" \"x86_64-linux\" ]) (s: { })",
        "let linuxSystems = [ \"x86_64-linux\" ]; darwinSystems = [ \"aarch64-darwin\" ]; in { }",
        "let systems = [ \"x86_64-linux\" \"riscv64-linux\" ]; in { }",
        "let a = [ \"x86_64-linux\" ]; b = [ \"x86_64-linux\" ]; in { }",
        "let systems = import inputs.systems; in { }",
        "flake-utils.lib.eachDefaultSystem (s: { })",
        "let systems = nixpkgs.lib.systems.flakeExposed; in { }",
        "let system = \"x86_64-linux\"; in { }",
        "{ }",
    ] {
        out.push_str(&format!("{text}\n{}\n", body(text, &system("riscv64-linux"))));
    }
    let two = "let a = [ \"x86_64-linux\" ]; b = [ \"x86_64-linux\" ]; in { }";
    let named = |list: &str| {
        let list = Some(list.to_owned());
        Request::AddSystem { system: "i686-linux".to_owned(), list }
    };
    out.push_str(&body(two, &named("b")));
    out.push_str(&body(two, &named("c")));
    out.push_str(&body(two, &system("linux")));
    expect![[r#"
        let systems = [ "x86_64-linux" ]; in { }
        let systems = [ "x86_64-linux" "riscv64-linux" ]; in { }

        let supportedSystems = [
          "aarch64-linux" # arm
          "x86_64-linux"
        ]; in { }
        let supportedSystems = [
          "aarch64-linux" # arm
          "riscv64-linux"
          "x86_64-linux"
        ]; in { }

        flake-parts.lib.mkFlake { } { systems = [ ]; }
        flake-parts.lib.mkFlake { } { systems = [ "riscv64-linux" ]; }

        flake-utils.lib.eachSystem [ "x86_64-linux" "aarch64-darwin" ] (s: { })
        flake-utils.lib.eachSystem [ "x86_64-linux" "aarch64-darwin" "riscv64-linux" ] (s: { })

        nixpkgs.lib.genAttrs ([ "i686-linux" "x86_64-linux" ]) (s: { })
        nixpkgs.lib.genAttrs ([ "i686-linux" "riscv64-linux" "x86_64-linux" ]) (s: { })

        let linuxSystems = [ "x86_64-linux" ]; darwinSystems = [ "aarch64-darwin" ]; in { }
        let linuxSystems = [ "x86_64-linux" "riscv64-linux" ]; darwinSystems = [ "aarch64-darwin" ]; in { }

        let systems = [ "x86_64-linux" "riscv64-linux" ]; in { }
        unchanged

        let a = [ "x86_64-linux" ]; b = [ "x86_64-linux" ]; in { }
        error: there are several lists of systems
          hint: flake.nix:3:9: `a`
          hint: flake.nix:3:33: `b`

        let systems = import inputs.systems; in { }
        error: there is no list of systems to add to: an input has them
          hint: flake.nix:3:15: here

        flake-utils.lib.eachDefaultSystem (s: { })
        error: there is no list of systems to add to: flake-utils has them
          hint: flake.nix:3:1: here

        let systems = nixpkgs.lib.systems.flakeExposed; in { }
        error: there is no list of systems to add to: Nixpkgs has them
          hint: flake.nix:3:15: here

        let system = "x86_64-linux"; in { }
        error: there is no list of systems to add to: there is a single one
          hint: flake.nix:3:14: here

        { }
        error: there is no list of systems to add to: `outputs` names no systems
          hint: flake.nix:2:3: here

        let a = [ "x86_64-linux" ]; b = [ "x86_64-linux" "i686-linux" ]; in { }
        error: there is no list of systems to add to: none is called `c`
          hint: flake.nix:2:3: here
        error: "linux" is no system: one is called like `x86_64-linux`
    "#]].assert_eq(&out);
}

#[test]
fn outputs_go_if_they_have_the_value() {
    let gone = |value: &str| Request::RemoveOutput {
        path: vec!["overlays".to_owned(), "a".to_owned()],
        value: value.to_owned(),
    };
    let text = "{\n  outputs = { self }: {\n    overlays = {\n      a = import  ./a.nix; # mine\n      b = 1;\n    };\n  };\n}\n";
    check(
        text,
        &gone("import ./a.nix"),
        expect![[r#"
            {
              outputs = { self }: {
                overlays = {
                  b = 1;
                };
              };
            }
        "#]],
    );
    check(
        text,
        &gone("import ./b.nix"),
        expect![[r#"
        error: there is another `overlays.a` already
          hint: flake.nix:4:11: it is here
    "#]],
    );
    let inherited = "{ outputs = { self }: { overlays = { inherit (self) a; }; }; }\n";
    check(
        inherited,
        &gone("1"),
        expect![[r#"
        error: there is another `overlays.a` already
          hint: flake.nix:1:38: it is here
    "#]],
    );
    check(
        "{ outputs = { self }: { overlays.b = 1; }; }\n",
        &gone("1"),
        expect![[r#"
        unchanged
    "#]],
    );
}

/// Found by real Nix over real flakes: the new attribute stood where a later operand hid it.
#[test]
fn what_a_later_operand_makes_hides_the_rest() {
    let mut out = String::new();
    for (text, request) in [
        (
            "    { lib.a = 1; } // (let f = nixpkgs.lib.genAttrs [ ]; in { packages = f (s: { }); })",
            output("packages.x86_64-linux.b", "2"),
        ),
        (
            "    { lib.a = 1; } // flake-utils.lib.eachDefaultSystem (s: { packages.a = 1; })",
            output("packages.x86_64-linux.b", "2"),
        ),
        ("    { } // flake-utils.lib.eachDefaultSystem (s: { lib.a = 1; })", output("lib.b", "2")),
        (
            "    { packages = nixpkgs.lib.genAttrs [ ] (s: { }); } // { lib.a = 1; }",
            output("packages.x86_64-linux.b", "2"),
        ),
        (
            "    { lib.a = 1; } // flake-utils.lib.eachDefaultSystem (s: { devShells.a = 1; })",
            output("packages.x86_64-linux.b", "2"),
        ),
        (
            "    flake-utils.lib.eachDefaultSystem (s: { devShells.a = 1; })",
            output("packages.x86_64-linux.b", "2"),
        ),
        (
            "    let system = nixpkgs.s; in { packages.${system}.a = 1; }",
            output("packages.x86_64-linux.b", "2"),
        ),
        (
            "    let system = nixpkgs.s; in { packages = { ${system}.a = 1; }; }",
            output("packages.x86_64-linux.b", "2"),
        ),
        (
            "    { checks = nixpkgs.lib.genAttrs [ ] (s: { }) // { x86_64-linux.a = 1; }; }",
            output("checks.b", "2"),
        ),
        ("    { lib.a = 1; } // import ./more.nix", output("lib.b", "2")),
        ("    import ./more.nix // { lib.a = 1; }", output("lib.b", "2")),
        (
            "    { lib.a = 1; } // flake-utils.lib.eachDefaultSystem (import ./more.nix)",
            output("lib.b", "2"),
        ),
    ] {
        out.push_str(&body(text, &request));
    }
    expect![[r#"
        error: `packages` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:74: here
        error: `packages` is made for every system at once, so it has none of its own
          hint: flake.nix:3:23: here
        error: `lib` is made for every system at once, so it has none of its own
          hint: flake.nix:3:12: here
        error: `packages` is made for every system at once, so it has none of its own
          hint: flake.nix:3:18: here
            { lib.a = 1; packages.x86_64-linux.b = 2; } // flake-utils.lib.eachDefaultSystem (s: { devShells.a = 1; })
        error: `packages` is made for every system at once, so it has none of its own
          hint: flake.nix:3:5: here
        error: `packages` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:34: here
        error: `packages` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:47: here
        error: `checks` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:53: here
        error: `outputs` is not written out as a set in this file, so nothing can be added to it
          hint: flake.nix:3:23: here
            import ./more.nix // { lib.a = 1; lib.b = 2; }
            { lib.a = 1; lib.b = 2; } // flake-utils.lib.eachDefaultSystem (import ./more.nix)
    "#]].assert_eq(&out);
}
