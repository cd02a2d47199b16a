//! `parse`, `symbols`, `files` and `graph`.

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

const PROJECT: &str = "\
//- flake.nix
{
  description = \"a flake\";
  outputs = { self, ... }: {
    /** Says hello. */
    lib.greet = name: \"hello ${name}\";
  };
}
//- flake.lock
{ \"nodes\": { \"root\": { } }, \"root\": \"root\", \"version\": 7 }
//- module.nix
{ config, lib, ... }:
{
  options.services.x.enable = lib.mkEnableOption \"x\";
  config = lib.mkIf config.services.x.enable { };
}
";

#[test]
fn the_tree_and_the_tokens() {
    let sandbox = Sandbox::new("//- a.nix\n[ 1 ] # x\n");
    sandbox.check(
        "parse a.nix",
        expect![[r#"
        [stdout]
        Root@0..10
          List@0..5
            Literal@2..3 "1"
        [exit 0]
    "#]],
    );
    sandbox.check(
        "parse --tokens a.nix",
        expect![[r##"
        [stdout]
        LBracket@0..1 "["
        Whitespace@1..2 " "
        Int@2..3 "1"
        Whitespace@3..4 " "
        RBracket@4..5 "]"
        Whitespace@5..6 " "
        LineComment@6..9 "# x"
        Whitespace@9..10 "\n"
        Eof@10..10 ""
        [exit 0]
    "##]],
    );
    sandbox.check_on("parse --format json -", "{ a = }", expect![[r#"
        [stdout]
        {"version":1,"path":"-","tree":{"kind":"Root","start":0,"end":7,"children":[{"kind":"AttrSet","start":0,"end":7,"children":[{"kind":"Binding","start":2,"end":5,"children":[{"kind":"AttrPath","start":2,"end":3,"children":[{"kind":"Name","start":2,"end":3,"text":"a","children":[]}]},{"kind":"Error","start":5,"end":5,"text":"","children":[]}]}]}]},"problems":[{"path":"-","code":"SYN001","severity":"error","message":"expected an expression, found `}`","range":{"start":{"line":1,"column":7,"offset":6},"end":{"line":1,"column":8,"offset":7}},"labels":[],"related":[],"help":null,"fix":null,"fingerprint":"de72a1d4a5443a30e884d8f2dc4fde0a"}]}
        [stderr]
        -:1:7: error[SYN001] expected an expression, found `}`
        [exit 2]
    "#]]);
    sandbox.check(
        "parse nowhere.nix",
        expect![[r#"
        [stderr]
        error: cannot read `nowhere.nix`: it does not exist
        [exit 2]
    "#]],
    );
}

#[test]
fn json_of_tokens_is_valid() {
    let sandbox = Sandbox::new("");
    let output = sandbox.run_on("parse --tokens --format json -", "\"a\\n\" # \u{1f600}\n");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let texts: Vec<&str> = json["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts.concat(), "\"a\\n\" # \u{1f600}\n");
}

#[test]
fn deep_trees_can_be_printed() {
    let sandbox = Sandbox::new("");
    let text = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    let output = sandbox.run_on("parse --format json -", text);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn symbols_of_a_project() {
    let sandbox = Sandbox::new(PROJECT);
    sandbox.check(
        "symbols",
        expect![[r#"
            [stdout]
            flake.nix:2:3: attribute description (string)
            flake.nix:3:3: attribute outputs (function)
            flake.nix:3:15: parameter outputs.self
            flake.nix:5:5: attribute outputs.lib.greet (function) - Says hello.
            flake.nix:5:17: parameter outputs.lib.greet.name
            module.nix:1:3: parameter config
            module.nix:1:11: parameter lib
            module.nix:3:3: attribute options.services.x.enable (call)
            module.nix:4:3: attribute config (call)
            [exit 0]
        "#]],
    );
    let json: Value =
        serde_json::from_str(&stdout(&sandbox.run("symbols --format json flake.nix"))).unwrap();
    let greet = &json["files"][0]["symbols"][3];
    assert_eq!(
        (&greet["name"], &greet["doc"]),
        (&"outputs.lib.greet".into(), &"Says hello.".into())
    );
    assert_eq!(greet["name_range"]["start"]["line"], 5);
}

#[test]
fn kinds_of_a_project() {
    let sandbox = Sandbox::new(PROJECT);
    sandbox.check(
        "files",
        expect![[r#"
        [stdout]
        flake.lock: lock-file: is JSON with the locked `nodes` of a flake
        flake.nix: flake: is a set with `outputs` made of its inputs
        module.nix: module: takes `config` and sets `options` as modules do
        [exit 0]
    "#]],
    );
    let json: Value = serde_json::from_str(&stdout(&sandbox.run("files --format json"))).unwrap();
    assert_eq!(json["files"][1]["kind"], "flake");
}

const IMPORTS: &str = "\
//- flake.nix
{ outputs = _: import ./lib; }
//- lib/default.nix
{ a = import ./a.nix; b = ./missing.nix; }
//- lib/a.nix
{ lib = import ./.; c = import ../gone.nix; }
//- other/alone.nix
1
";

#[test]
fn imports_of_a_project() {
    let sandbox = Sandbox::new(IMPORTS);
    sandbox.check(
        "graph",
        expect![[r#"
        [stdout]
        flake.nix [flake]
          import lib/default.nix [expression]
            import lib/a.nix [import]
              import lib/default.nix [expression] (cycle)
        other/alone.nix [expression]
        [stderr]
        lib/a.nix: nothing is at `gone.nix`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph lib",
        expect![[r#"
        [stdout]
        lib/a.nix [import]
          import lib/default.nix [expression]
            import lib/a.nix [import] (cycle)
        [stderr]
        lib/a.nix: nothing is at `gone.nix`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph lib/a.nix --format dot",
        expect![[r#"
        [stdout]
        digraph {
          rankdir=LR;
          node [shape=box];
          n0 [label="lib/a.nix" tooltip="import"];
          n1 [label="lib/default.nix" tooltip="expression"];
          n0 -> n1 [label="import"];
          n1 -> n0 [label="import"];
        }
        [stderr]
        lib/a.nix: nothing is at `gone.nix`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph other/alone.nix --format mermaid",
        expect![[r#"
        [stdout]
        flowchart LR
          n0["other/alone.nix"]
        [exit 0]
    "#]],
    );
    let json: Value = serde_json::from_str(&stdout(&sandbox.run("graph --format json"))).unwrap();
    assert_eq!(json["edges"][0]["kind"], "import");
    sandbox.check(
        "graph nowhere.nix",
        expect![[r#"
        [stderr]
        cannot read `nowhere.nix`: it does not exist
        [exit 2]
    "#]],
    );
}

#[test]
fn ways_and_circles() {
    let sandbox = Sandbox::new(IMPORTS);
    sandbox.check(
        "graph --why flake.nix a.nix",
        expect![[r#"
        [stdout]
        flake.nix [flake]
          import lib/default.nix [expression]
            import lib/a.nix [import]
        [stderr]
        lib/a.nix: nothing is at `gone.nix`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph --why a.nix flake.nix",
        expect![[r#"
        [stderr]
        `a.nix` does not lead to `flake.nix`
        lib/a.nix: nothing is at `gone.nix`
        [exit 1]
    "#]],
    );
    sandbox.check(
        "graph --why nix flake.nix",
        expect![[r#"
        [stderr]
        error: `nix` may mean several things in this graph
          hint: is `flake.nix` meant?
          hint: is `lib/a.nix` meant?
          hint: is `lib/default.nix` meant?
          hint: is `other/alone.nix` meant?
        [exit 2]
    "#]],
    );
    sandbox.check(
        "graph --cycles",
        expect![[r#"
        [stdout]
        lib/a.nix -> lib/default.nix -> lib/a.nix
        [stderr]
        lib/a.nix: nothing is at `gone.nix`
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph other/alone.nix --cycles --format mermaid",
        expect![[r#"
        [stdout]
        flowchart LR
        [stderr]
        nothing leads back to itself
        [exit 0]
    "#]],
    );
    let svg = stdout(&sandbox.run("graph files --format svg"));
    assert!(svg.starts_with("<svg") && svg.contains(">lib/a.nix</text>"), "{svg}");
}

#[test]
fn modules_and_their_hosts() {
    let sandbox = Sandbox::new(
        "\
//- flake.nix
{ outputs = i: { nixosConfigurations = { web = i.f { modules = [ ./web.nix ]; }; db = i.f { modules = [ ./db ]; }; }; }; }
//- web.nix
{ imports = [ ./base.nix ]; services.nginx.enable = true; }
//- db/default.nix
{ config, ... }: { imports = [ ../base.nix ]; boot.isContainer = true; }
//- base.nix
{ config, ... }: { boot.isContainer = true; }
//- unrelated.nix
x: x
",
    );
    sandbox.check(
        "graph modules",
        expect![[r#"
        [stdout]
        flake.nix [flake]
          host nixosConfigurations.web [host]
            module web.nix [module]
              module base.nix [module]
          host nixosConfigurations.db [host]
            module db/default.nix [module]
              module base.nix [module]
        [exit 0]
    "#]],
    );
}

#[test]
fn attributes_of_a_file() {
    let sandbox = Sandbox::new(
        "//- a.nix\nlet b = 1; c = { d = b; }; in { e = c.d; f = rec { g = h; h = 2; }; }\n",
    );
    sandbox.check(
        "graph attrs a.nix",
        expect![[r#"
        [stdout]
        c [let]
          has c.d [attribute]
            uses b [let]
        e [attribute]
          uses c.d [attribute] (*)
        f [attribute]
          has f.g [rec]
            uses f.h [rec]
          has f.h [rec]
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph attrs a.nix --why e b --format json",
        expect![[r#"
        [stdout]
        {
          "nodes": [
            {
              "name": "e",
              "kind": "attribute"
            },
            {
              "name": "c.d",
              "kind": "attribute"
            },
            {
              "name": "b",
              "kind": "let"
            }
          ],
          "edges": [
            {
              "from": 0,
              "to": 1,
              "kind": "uses"
            },
            {
              "from": 1,
              "to": 2,
              "kind": "uses"
            }
          ]
        }
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph attrs nowhere.nix",
        expect![[r#"
        [stderr]
        error: cannot read `nowhere.nix`: it does not exist
        [exit 2]
    "#]],
    );
}

#[test]
fn a_name_that_the_graph_of_modules_lacks() {
    let sandbox = Sandbox::new(
        "//- flake.nix\n{ outputs = _: import ./lib.nix; }\n//- lib.nix\n1\n//- m.nix\n{ config, ... }: { imports = [ ./n.nix ]; }\n//- n.nix\n{ config, ... }: { }\n",
    );
    sandbox.check(
        "graph modules --why flake.nix n.nix",
        expect![[r#"
            [stderr]
            error: nothing in this graph is called `flake.nix`
              hint: this graph holds modules and what leads to them; `cim-nix graph --why` follows all files
            [exit 2]
        "#]],
    );
}

#[test]
fn inputs_of_a_flake() {
    let sandbox = Sandbox::new(LOCKED);
    sandbox.check("graph inputs", expect![[r#"
        [stdout]
        project [flake]
          input h [github] o/h 7a48e3c, 2024-06-10, 9 days behind
            follows pkgs -> n [github] NixOS/nixpkgs 5a48e3c, 2024-06-19
            input h/nixpkgs [github] nixos/nixpkgs 6a48e3c, 2024-03-09, 102 days behind, another copy of n
          input n [github]
        [exit 0]
    "#]]);
    sandbox.check(
        "graph inputs --now 2024-06-20 --why h n",
        expect![[r#"
        [stdout]
        h [github] o/h 7a48e3c, 2024-06-10, 10 days behind
          follows pkgs -> n [github] NixOS/nixpkgs 5a48e3c, 2024-06-19, 1 day behind
        [exit 0]
    "#]],
    );
    sandbox.check("graph inputs --now yesterday", expect![[r#"
        [stderr]
        error: invalid value 'yesterday' for '--now <DATE>': `yesterday` is no date such as 2026-11-26

        For more information, try '--help'.
        [exit 2]
    "#]]);
    sandbox.write("flake.lock", "{ \"version\": 7, \"root\": \"r\", \"nodes\": { \"r\": { \"inputs\": { \"a\": \"b\" } } } }");
    sandbox.check(
        "graph inputs",
        expect![[r#"
        [stderr]
        error: cannot use `flake.lock`: lock file references missing node 'b'
        [exit 2]
    "#]],
    );
    std::fs::remove_file(sandbox.project().join("flake.lock")).unwrap();
    sandbox.check(
        "graph inputs flake.nix",
        expect![[r#"
        [stdout]
        project [flake]
          input h [github] o/h
          input n [github] NixOS/nixpkgs
        [stderr]
        there is no flake.lock: this is what flake.nix asks for
        [exit 0]
    "#]],
    );
    sandbox.check(
        "graph inputs nowhere",
        expect![[r#"
        [stderr]
        error: cannot read `nowhere`: it does not exist
        [exit 2]
    "#]],
    );
}

const LOCKED: &str = r#"//- flake.nix
{ inputs = { n.url = "github:NixOS/nixpkgs"; h.url = "github:o/h"; }; outputs = i: { x = [ i.n i.h ]; }; }
//- flake.lock
{ "version": 7, "root": "root", "nodes": {
  "root": { "inputs": { "n": "n", "h": "h" } },
  "n": {
    "locked": { "type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": "5a48e3c2e435e95103d56590188cfed7b70e108c", "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "lastModified": 1718835956 },
    "original": { "type": "github", "owner": "NixOS", "repo": "nixpkgs" }
  },
  "m": {
    "locked": { "type": "github", "owner": "nixos", "repo": "nixpkgs", "rev": "6a48e3c2e435e95103d56590188cfed7b70e108c", "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "lastModified": 1710000000 },
    "original": { "type": "github", "owner": "nixos", "repo": "nixpkgs", "ref": "nixos-23.11" }
  },
  "h": {
    "inputs": { "nixpkgs": "m", "pkgs": ["n"] },
    "locked": { "type": "github", "owner": "o", "repo": "h", "rev": "7a48e3c2e435e95103d56590188cfed7b70e108c", "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "lastModified": 1718000000 },
    "original": { "type": "github", "owner": "o", "repo": "h" }
  }
} }
"#;

#[test]
fn what_cannot_be_read_is_told() {
    let sandbox = Sandbox::new(PROJECT);
    sandbox.check(
        "symbols nowhere",
        expect![[r#"
        [stderr]
        cannot read `nowhere`: it does not exist
        [exit 2]
    "#]],
    );
    sandbox.check(
        "files nowhere",
        expect![[r#"
        [stderr]
        cannot read `nowhere`: it does not exist
        [exit 2]
    "#]],
    );
}
