//! Values in, files out.

use std::path::Path;

use cim_domain_nix::{NixModule, NixOSConfiguration, NixValue, Overlay};
use cim_nix_base::Error;
use cim_nix_eval::{Evaluation, Format, MemoryIo, Settings, with_stack};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn text(rendered: Result<Rendered, Error>) -> String {
    match rendered {
        Ok(Rendered { text, notes, .. }) => {
            let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
            format!("{text}{notes}")
        }
        Err(error) => {
            let hints: String =
                error.hints().iter().map(|hint| format!("hint: {hint}\n")).collect();
            format!("error: {}\n{hints}", error.chain())
        }
    }
}

fn a_module(body: Value) -> Result<Rendered, Error> {
    let mut body = body;
    body["name"] = json!("web");
    render_module(&serde_json::from_value::<NixModule>(body).expect("a module"))
}

fn an_overlay(body: Value) -> Result<Rendered, Error> {
    let mut body = body;
    body["name"] = json!("tools");
    render_overlay(&serde_json::from_value::<Overlay>(body).expect("an overlay"))
}

fn a_configuration(body: Value) -> Result<Rendered, Error> {
    let mut full = json!({ "name": "web", "hostname": "web", "system": "x86_64-linux" });
    full.as_object_mut().expect("a set").extend(body.as_object().expect("a set").clone());
    render_configuration(
        &serde_json::from_value::<NixOSConfiguration>(full).expect("a configuration"),
    )
}

#[track_caller]
fn check(rendered: Result<Rendered, Error>, want: Expect) {
    want.assert_eq(&text(rendered));
}

/// What `apply` makes of a file, as JSON.
#[track_caller]
fn value_of(text: &str, apply: &str) -> Value {
    let json = with_stack(|| {
        let files = MemoryIo::new().with_file("/p/modules/it.nix", text);
        let evaluation = Evaluation::new(Settings::default(), Box::new(files), Box::new(|_| {}));
        let code = format!("({apply}) (import /p/modules/it.nix)");
        let value = evaluation.text(&code, Path::new("/p"))?;
        evaluation.write(value, Format::Json, true)
    });
    let json = json.expect("a stack").unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    serde_json::from_slice(&json).expect("JSON")
}

/// A module applied to a library that keeps what it is given.
const AS_MODULE: &str = "it: let
    lib = { mkOption = x: x; mkIf = c: x: { inherit c x; }; literalExpression = x: x;
      types = { bool = \"bool\"; port = \"port\"; str = \"str\"; listOf = t: [ t ]; }; };
  in if builtins.isFunction it then it { inherit lib; config = { on = true; }; pkgs = { }; }
  else it";

#[test]
fn a_module_with_all_parts() {
    let body = json!({
        "imports": ["./base.nix", "(import ./more.nix { })"],
        "options": {
            "services.web.enable": { "type": "types.bool", "default": false,
                "description": "Whether to serve." },
            "services.web.port": { "type": "lib.types.port", "default": 8080, "example": 80 },
            "services.web.package": { "type": "types.package",
                "default": { "Expression": "pkgs.hello" },
                "description": "What serves.\nIt has \"quotes\", ''two'' and ${no} value." },
        },
        "config": { "AttrSet": {
            "systemd": { "AttrSet": { "services": { "AttrSet": { "web": { "AttrSet": {
                "script": { "Expression": "mkIf config.services.web.enable \"run\"" },
                "path": { "List": [{ "Expression": "pkgs.coreutils" }, { "Path": "./bin" }] },
            } } } } } },
            "networking": { "AttrSet": { "hostName": { "String": "a\"b${c}" } } },
        } },
    });
    check(
        a_module(body),
        expect![[r#"
        {
          config,
          lib,
          pkgs,
          ...
        }:

        let
          inherit (lib) mkIf types;
        in
        {
          imports = [
            ./base.nix
            (import ./more.nix { })
          ];

          options = {
            services.web = {
              enable = lib.mkOption {
                type = types.bool;
                default = false;
                description = "Whether to serve.";
              };

              package = lib.mkOption {
                type = types.package;
                default = pkgs.hello;
                defaultText = lib.literalExpression "pkgs.hello";
                description = ''
                  What serves.
                  It has "quotes", '''two''' and ''${no} value.'';
              };

              port = lib.mkOption {
                type = lib.types.port;
                default = 8080;
                example = 80;
              };
            };
          };

          config = {
            networking.hostName = "a\"b\${c}";
            systemd.services.web = {
              path = [
                pkgs.coreutils
                ./bin
              ];
              script = mkIf config.services.web.enable "run";
            };
          };
        }
    "#]],
    );
}

#[test]
fn small_modules() {
    check(
        a_module(json!({})),
        expect![[r#"
        { }
    "#]],
    );
    check(
        a_module(json!({ "config": { "services": { "web": { "port": 80 } } } })),
        expect![[r#"
        {
          services.web.port = 80;
        }
    "#]],
    );
    check(
        a_module(json!({ "config": { "options": 1, "x": 2 } })),
        expect![[r#"
        {
          config = {
            options = 1;
            x = 2;
          };
        }
    "#]],
    );
    let body =
        json!({ "config": { "Expression": "lib.mkIf (hostKind == \"server\") { a = 1; }" } });
    check(
        a_module(body),
        expect![[r#"
        { lib, hostKind, ... }:

        {
          config = lib.mkIf (hostKind == "server") { a = 1; };
        }
        note: `hostKind` becomes a parameter: whoever evaluates the module has to hand it in, with `specialArgs`
    "#]],
    );
}

#[test]
fn what_a_module_means_is_what_was_said() {
    let values = json!({
        "text": "quotes \" and '' and ${x} and \\ and \n lines\n\ttabs\r\n",
        "lines": "one\n  two\nthree",
        "numbers": [0, -1, 9223372036854775807_i64, -9223372036854775808_i64, 0.5, -1e300, 1e-7],
        "sets": { "a b": { "${c}": null }, "": {}, "if": [[], [{}], [true, false]] },
        "one": { "way": { "down": "here" } },
    });
    let rendered = a_module(json!({ "config": values })).expect("rendered");
    assert_eq!(value_of(&rendered.text, AS_MODULE), values);

    let body = json!({
        "imports": [],
        "options": { "a.b": { "type": "types.listOf types.str", "default": ["x"], "example": "y" },
            "a.\"c.d\"": "types.bool" },
        "config": { "z": 1 },
    });
    let rendered = a_module(body).expect("rendered");
    assert_eq!(
        value_of(&rendered.text, AS_MODULE),
        json!({
            "options": { "a": {
                "b": { "type": ["str"], "default": ["x"], "example": "y" },
                "c.d": { "type": "bool" } } },
            "config": { "z": 1 },
        })
    );
}

#[test]
fn random_values_survive() {
    let mut random = Random(42);
    for _ in 0..200 {
        let value = json!({ "x": random.value(0) });
        let rendered = a_module(json!({ "config": value })).expect("rendered");
        assert_eq!(value_of(&rendered.text, AS_MODULE), value, "{}", rendered.text);
        let styled = in_our_style(&rendered.text);
        assert_eq!(styled.as_ref(), Some(&rendered.text), "it is in our style already");
    }
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % n
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 16] = [
            "a", "\"", "''", "$", "${", "}", "\\", "\n", " ", "\t", "'", ";", "#", "é", "/*", "\r",
        ];
        (0..self.below(9)).map(|_| PIECES[self.below(16) as usize]).collect()
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth > 4 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(1 << 31) as i64 - (1 << 30)),
            3 | 4 => json!(self.text()),
            5 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            _ => {
                let n = self.below(4);
                let attrs = (0..n).map(|_| (self.text(), self.value(depth + 1)));
                Value::Object(attrs.collect())
            }
        }
    }
}

#[test]
fn code_is_one_expression_or_refused() {
    let mut out = String::new();
    for code in [
        "",
        " # nothing",
        "1; b = 2",
        "1 } { 2",
        "\"; } builtins.exec",
        "x: y: ",
        "{ a = 1; a = 2; }",
        "''open",
        "1)\n+(2",
        "let in",
        "a\0b",
    ] {
        let option = json!({ "options": { "x": { "type": code } } });
        out.push_str(&format!("{code:?}\n  {}", text(a_module(option))));
        assert!(a_module(json!({ "config": { "Expression": code } })).is_err(), "{code}");
        assert!(
            a_module(json!({ "config": { "AttrSet": { "x": { "List": [
            { "Expression": code }] } } } }))
            .is_err(),
            "{code}"
        );
        assert!(a_module(json!({ "imports": [code] })).is_err(), "{code}");
        assert!(an_overlay(json!({ "overrides": { "x": code } })).is_err(), "{code}");
        assert!(a_configuration(json!({ "modules": [code] })).is_err(), "{code}");
        assert!(a_configuration(json!({ "overlays": [code] })).is_err(), "{code}");
    }
    expect![[r#"
        ""
          error: the type of the option `x` is no expression: expected an expression, found the end of the file in line 1, column 1 of ``
        " # nothing"
          error: the type of the option `x` is no expression: expected an expression, found the end of the file in line 1, column 11 of ` # nothing`
        "1; b = 2"
          error: the type of the option `x` is no expression: unexpected `;` behind the expression in line 1, column 2 of `1; b = 2`
        "1 } { 2"
          error: the type of the option `x` is no expression: unexpected `}` behind the expression in line 1, column 3 of `1 } { 2`
        "\"; } builtins.exec"
          error: the type of the option `x` is no expression: this string is never closed in line 1, column 1 of `"; } builtins.exec`
        "x: y: "
          error: the type of the option `x` is no expression: expected an expression, found the end of the file in line 1, column 7 of `x: y: `
        "{ a = 1; a = 2; }"
          error: the type of the option `x` is no expression: the attribute `a` is defined twice in line 1, column 10 of `{ a = 1; a = 2; }`
        "''open"
          error: the type of the option `x` is no expression: this string is never closed in line 1, column 1 of `''open`
        "1)\n+(2"
          error: the type of the option `x` is no expression: unexpected `)` behind the expression in line 1, column 2 of `1)\n+(2`
        "let in"
          error: the type of the option `x` is no expression: expected an expression, found the end of the file in line 1, column 7 of `let in`
        "a\0b"
          error: the type of the option `x` has a NUL byte, which no Nix code can have
    "#]].assert_eq(&out);
}

#[test]
fn code_that_ends_in_a_comment_hides_nothing() {
    let body = json!({ "config": { "AttrSet": {
        "a": { "Expression": "1 # one" }, "b": { "List": [{ "Expression": "x: x # two" }] } } } });
    check(
        a_module(body),
        expect![[r#"
        {
          a = (
            1 # one
          );
          b = [
            (
              x: x # two
            )
          ];
        }
    "#]],
    );
}

#[test]
fn texts_and_names_stay_data() {
    const EVIL: &str = "\"; } builtins.exec [ \"sh\" ] ${throw \"x\"} '' ; x = \"";
    let body = json!({
        "options": { "a": { "type": "types.str", "description": EVIL, "default": EVIL } },
        "config": { EVIL: { EVIL: EVIL } },
    });
    let rendered = a_module(body).expect("rendered");
    assert_eq!(
        value_of(&rendered.text, AS_MODULE),
        json!({
            "options": { "a": { "type": "str", "description": EVIL, "default": EVIL } },
            "config": { EVIL: { EVIL: EVIL } },
        })
    );
    let rendered = an_overlay(json!({ "additions": { EVIL: "1" } })).expect("rendered");
    assert_eq!(value_of(&rendered.text, "it: it null null"), json!({ EVIL: 1 }));
    let rendered = a_configuration(json!({ "specialisations": { EVIL: { "x": EVIL } } }));
    let value = value_of(&rendered.expect("rendered").text, AS_MODULE);
    assert_eq!(value["specialisation"][EVIL]["configuration"]["x"], EVIL);
    assert!(a_module(json!({ "config": { "a\0b": 1 } })).is_err());
    assert!(a_module(json!({ "config": { "a": "\0" } })).is_err());
    assert!(a_configuration(json!({ "hostname": EVIL })).is_err());
    assert!(a_configuration(json!({ "system": EVIL })).is_err());
    assert!(a_configuration(json!({ "packages": [EVIL] })).is_err());
}

#[test]
fn option_paths() {
    let mut out = String::new();
    for options in [
        json!({ "a": "types.str", "a.b": "types.str" }),
        json!({ "a.b": "types.str", "a.\"b\"": "types.str" }),
        json!({ "": "types.str" }),
        json!({ "a..b": "types.str" }),
        json!({ "a.\"": "types.str" }),
    ] {
        out.push_str(&text(a_module(json!({ "options": options }))));
    }
    expect![[r#"
        error: `a.b` cannot be the path of an option: another option has the same path, or one above or below it
        error: `a.b` cannot be the path of an option: another option has the same path, or one above or below it
        error: `` cannot be the path of an option: it is empty
        error: `a..b` cannot be the path of an option: attribute path 'a..b': a name is missing at byte 2
        error: `a."` cannot be the path of an option: attribute path 'a."': unclosed quote at byte 2
    "#]].assert_eq(&out);
}

#[test]
fn overlays() {
    let body = json!({
        "overrides": { "hello": "prev.hello.overrideAttrs (old: { doCheck = false; })" },
        "additions": { "tool": "final.callPackage ./tool.nix { }", "four": 4,
            "names": "lib.attrNames { }" },
    });
    check(
        an_overlay(body),
        expect![[r#"
        final: prev:
        let
          inherit (prev) lib;
        in
        {
          hello = prev.hello.overrideAttrs (old: {
            doCheck = false;
          });

          four = 4;

          names = lib.attrNames { };

          tool = final.callPackage ./tool.nix { };
        }
    "#]],
    );
    check(
        an_overlay(json!({})),
        expect![[r#"
        _final: _prev: { }
    "#]],
    );
    check(
        an_overlay(json!({ "additions": { "a": "pkgs.hello" } })),
        expect![[r#"
        error: what the overlay adds as `a` uses `pkgs`, which nothing supplies
        hint: code of an overlay has `final`, `prev` and `lib`; a package is `prev.NAME`
    "#]],
    );
    check(
        an_overlay(json!({ "additions": { "a": "1" }, "overrides": { "a": "2" } })),
        expect![[r#"
        error: the overlay both changes and adds `a`
    "#]],
    );
    check(
        an_overlay(json!({ "additions": { "a.b": "with prev; hello" } })),
        expect![[r#"
        _final: prev: {
          "a.b" = with prev; hello;
        }
        note: `a.b` is one name, with the dot in it: an overlay gives whole attributes
    "#]],
    );
}

#[test]
fn configurations() {
    let body = json!({
        "modules": ["./hardware.nix", "inputs.disko.nixosModules.disko"],
        "overlays": ["import ../../overlays/tools.nix"],
        "packages": ["git", "python3Packages.\"3to2\""],
        "specialisations": { "quiet": { "services": { "xserver": { "enable": false } } } },
    });
    check(
        a_configuration(body),
        expect![[r#"
        { pkgs, inputs, ... }:

        {
          imports = [
            ./hardware.nix
            inputs.disko.nixosModules.disko
          ];

          environment.systemPackages = [
            pkgs.git
            pkgs.python3Packages."3to2"
          ];
          networking.hostName = "web";
          nixpkgs = {
            hostPlatform = "x86_64-linux";
            overlays = [ (import ../../overlays/tools.nix) ];
          };
          specialisation.quiet.configuration.services.xserver.enable = false;
        }
        note: `inputs` becomes a parameter: whoever evaluates the module has to hand it in, with `specialArgs`
    "#]],
    );
    let body = json!({ "name": "ada@laptop", "hostname": "", "kind": "home",
        "packages": ["git"], "system": "aarch64-darwin" });
    check(
        a_configuration(body),
        expect![[r#"
        { pkgs, ... }:

        {
          home = {
            homeDirectory = "/Users/ada";
            packages = [ pkgs.git ];
            username = "ada";
          };
        }
    "#]],
    );
    check(
        a_configuration(json!({ "modules": ["hardware.nix"] })),
        expect![[r#"
        error: the module 1 is no path: `hardware.nix`
        hint: write `./hardware.nix` for a file beside the one that is made
    "#]],
    );
    check(
        a_configuration(json!({ "hostname": "a b" })),
        expect![[r#"
        error: `a b` cannot be the name of a machine
        hint: it has 63 letters, digits and dashes at most; give one with --hostname
    "#]],
    );
    check(
        a_configuration(json!({ "system": "x86-linx" })),
        expect![[r#"
        error: 'x86-linx' is no known system: there is no CPU 'x86'; did you mean 'i686'?
    "#]],
    );
    check(
        a_configuration(json!({ "packages": [""] })),
        expect![[r#"
        error: `` cannot be the path of a package: it names nothing
    "#]],
    );
}

#[test]
fn hostile_sizes() {
    let deep = (0..60).fold(json!(1), |value, _| json!([value]));
    check(
        a_module(json!({ "config": { "x": deep } })),
        expect![[r#"
        error: what the module sets cannot be written: it is nested deeper than 48 levels
    "#]],
    );
    let code = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let error = text(a_module(json!({ "config": { "Expression": code } })));
    assert!(error.starts_with("error: "), "{error}");
    let code = format!("{}1", "a.".repeat(20_000));
    text(a_module(json!({ "config": { "Expression": code } })));
    let path = ["a"; 5_000].join(".");
    let error = text(a_module(json!({ "options": { path: "types.str" } })));
    assert!(error.contains("more than 40 parts"), "{error}");
    let wide: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("a{n}"), json!(n))).collect();
    let wide = json!({ "config": wide });
    let rendered = a_module(wide.clone()).expect("rendered");
    assert_eq!(value_of(&rendered.text, AS_MODULE), wide["config"]);
}

#[test]
fn code_as_values() {
    let mut out = String::new();
    for code in [
        "true",
        "null",
        "7",
        "-7",
        "0.5",
        "\"a\"",
        "''\n  a\n  b\n''",
        "[ 1 \"x\" ./a.nix ]",
        "{ a.b = 1; a.c = [ ]; }",
        "{ inherit x; }",
        "pkgs.hello",
        "\"${x}\"",
        "rec { a = 1; }",
        "{ a = 1; a.b = 2; }",
        "web",
        "https://example.org/x",
        "./a",
        "<nixpkgs>",
        "~/x",
    ] {
        let said = match value_of_code("a value", code) {
            Ok(value) => serde_json::to_string(&value).expect("JSON"),
            Err(error) => format!("{} {:?}", error.chain(), error.hints()),
        };
        out.push_str(&format!("{code:?}: {said}\n"));
    }
    expect![[r#"
        "true": {"Bool":true}
        "null": "Null"
        "7": {"Int":7}
        "-7": {"Int":-7}
        "0.5": {"Float":0.5}
        "\"a\"": {"String":"a"}
        "''\n  a\n  b\n''": {"String":"a\nb\n"}
        "[ 1 \"x\" ./a.nix ]": {"List":[{"Int":1},{"String":"x"},{"Path":"./a.nix"}]}
        "{ a.b = 1; a.c = [ ]; }": {"AttrSet":{"a":{"AttrSet":{"b":{"Int":1},"c":{"List":[]}}}}}
        "{ inherit x; }": {"Expression":"{ inherit x; }"}
        "pkgs.hello": {"Expression":"pkgs.hello"}
        "\"${x}\"": {"Expression":"\"${x}\""}
        "rec { a = 1; }": {"Expression":"rec { a = 1; }"}
        "{ a = 1; a.b = 2; }": a value is no expression: the attribute `a` is defined twice in line 1, column 10 of `{ a = 1; a.b = 2; }` []
        "web": a value is the name `web`, not a value ["for the text, write '\"web\"'"]
        "https://example.org/x": {"String":"https://example.org/x"}
        "./a": {"Path":"./a"}
        "<nixpkgs>": {"Expression":"<nixpkgs>"}
        "~/x": {"Expression":"~/x"}
    "#]].assert_eq(&out);
    let NixValue::List(_) = value_of_code("a value", "[ 1 ]").expect("a list") else {
        panic!("it is a list")
    };
}
