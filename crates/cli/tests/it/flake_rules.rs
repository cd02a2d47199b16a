//! `check` on flakes: what it tells of inputs and lock files, and how it mends them.

use expect_test::expect;

use crate::judge::Scene;
use crate::sandbox::Sandbox;

const HASH: &str = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A lock file with sources on GitHub: key, owner and repository, inputs.
fn lock(nodes: &[(&str, &str, &str)]) -> String {
    let node = |(key, place, inputs): &(&str, &str, &str)| {
        let Some((owner, repo)) = place.split_once('/') else {
            return format!("\"{key}\":{{\"inputs\":{inputs}}}");
        };
        let source = format!("\"type\":\"github\",\"owner\":\"{owner}\",\"repo\":\"{repo}\"");
        format!(
            "\"{key}\":{{\"inputs\":{inputs},\"locked\":{{{source},\"rev\":\"5a48e3c2e435e95103d56590188cfed7b70e108c\",\"narHash\":\"{HASH}\",\"lastModified\":1718835956}},\"original\":{{{source}}}}}"
        )
    };
    let nodes = nodes.iter().map(node).collect::<Vec<_>>().join(",");
    format!("{{\"version\":7,\"root\":\"root\",\"nodes\":{{{nodes}}}}}")
}

const FLAKE: &str = "//- flake.nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs\";
  inputs.a.url = \"github:o/a\";
  inputs.b.url = \"http://example.org/b.tar.gz\";
  outputs = { self, nixpkgs, a, b }: { x = nixpkgs; y = a; };
}
";

#[test]
fn a_flake_is_compared_with_its_lock_file() {
    let sandbox = Sandbox::new(FLAKE);
    sandbox.check("check --format concise --select DEP,DEAD012", expect![[r#"
        [stdout]
        flake.nix:2:10: warning[DEP003] there is no flake.lock, so nothing says which versions of 3 inputs are meant
        flake.nix:4:10: warning[DEAD012] the input `b` is never used
        flake.nix:4:18: warning[DEP010] `b` is fetched without encryption
        [exit 1]
    "#]]);
    let nodes = [
        ("root", "", "{\"a\":\"a\",\"nixpkgs\":\"nixpkgs\"}"),
        ("a", "o/a", "{\"nixpkgs\":\"nixpkgs_2\"}"),
        ("nixpkgs", "NixOS/nixpkgs", "{}"),
        ("nixpkgs_2", "NixOS/nixpkgs", "{}"),
    ];
    sandbox.write("flake.lock", lock(&nodes));
    sandbox.check(
        "check --format concise --select DEP,DEAD012",
        expect![[r#"
        [stdout]
        flake.nix:3:10: info[DEP001] `a/nixpkgs` is another copy of `nixpkgs`
        flake.nix:4:10: warning[DEAD012] the input `b` is never used
        flake.nix:4:10: warning[DEP004] `b` is not in flake.lock
        flake.nix:4:18: warning[DEP010] `b` is fetched without encryption
        [exit 1]
    "#]],
    );
    sandbox
        .check("check --format concise --select DEP,DEAD012 --fix --unsafe-fixes", expect![[r#"
            [stdout]
            flake.nix:4:19: warning[DEP004] flake.lock has `a/nixpkgs` from `github:NixOS/nixpkgs`, and this flake asks for `nixpkgs` by `follows`
            [exit 1]
        "#]]);
    expect![[r#"
        {
          inputs.nixpkgs.url = "github:NixOS/nixpkgs";
          inputs.a.url = "github:o/a";
          inputs.a.inputs.nixpkgs.follows = "nixpkgs";
          outputs = { self, nixpkgs, a }: { x = nixpkgs; y = a; };
        }
    "#]]
    .assert_eq(&sandbox.read("flake.nix"));
}

#[test]
fn lock_files_that_nix_refuses_are_findings() {
    let sandbox = Sandbox::new(
        "//- flake.nix\n{ inputs.a.url = \"github:o/a\"; outputs = i: { x = i.a; }; }\n",
    );
    for text in [
        "{",
        "{\"version\":9}",
        "{\"version\":7,\"root\":\"r\",\"nodes\":{\"r\":{\"inputs\":{\"a\":\"b\"}}}}",
        "{\"version\":7,\"root\":\"r\",\"nodes\":{\"r\":{\"inputs\":{\"a\":3}}}}",
    ] {
        sandbox.write("flake.lock", text);
        let output = sandbox.run("check --format concise");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("[DEP004] flake.lock cannot be used"), "{text}");
        assert_eq!(output.status.code(), Some(1));
    }
    sandbox.write("flake.lock", b"\xff\xfe");
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [stdout]
        flake.nix:1:3: warning[DEP004] flake.lock cannot be used: it is not UTF-8 (byte 0)
        [exit 1]
    "#]],
    );
}

#[test]
fn templates_and_parts_need_no_lock_file() {
    let flake = "{ inputs.a.url = \"github:o/a\"; outputs = i: { x = i.a; }; }\n";
    let sandbox = Sandbox::new("//- cim-nix.toml\n");
    for folder in ["templates/x", "top", "top/part"] {
        sandbox.write(&format!("{folder}/flake.nix"), flake);
    }
    sandbox.check("check --format concise", expect![[r#"
        [stdout]
        top/flake.nix:1:10: warning[DEP003] there is no flake.lock, so nothing says which version of `a` is meant
        [exit 1]
    "#]]);
}

#[test]
fn comments_and_settings_speak_of_flakes() {
    let sandbox = Sandbox::new(
        "//- flake.nix\n{\n  # cim-nix: ignore[DEP009] as it pleases the user\n  inputs.a.url = \"nixpkgs\";\n  outputs = i: { x = i.a; };\n}\n//- cim-nix.toml\n[check.per-file-ignores]\n\"flake.nix\" = [\"DEP003\"]\n",
    );
    sandbox.check(
        "check --format concise",
        expect![[r#"
        [exit 0]
    "#]],
    );
}

#[test]
fn what_flakes_get_to_is_known_over_all_files() {
    let sandbox = Sandbox::new(
        "//- flake.nix\n{ outputs = _: { x = import ./a.nix; }; }\n//- a.nix\nimport <nixpkgs> { system = builtins.currentSystem; }\n//- b.nix\nimport <nixpkgs> { }\n",
    );
    sandbox.check(
        "check --format concise --select DEP",
        expect![[r#"
        [stdout]
        a.nix:1:8: warning[DEP011] `<nixpkgs>` is looked up on the machine, which flakes cannot do
        a.nix:1:29: warning[DEP012] `builtins.currentSystem` does not exist in flakes
        [exit 1]
    "#]],
    );
    sandbox.check(
        "check b.nix --format concise --select DEP",
        expect![[r#"
        [exit 0]
    "#]],
    );
    sandbox.check(
        "check --format concise --select DEAD011",
        expect![[r#"
        [exit 0]
    "#]],
    );
}

/// Parts of a flake, `A`, `B` and `O` being those below, and the rule that speaks of them when the
/// lock file is that of all three.
const READINGS: &[(&str, &str)] = &[
    ("A B O", ""),
    ("inputs.a = { url = ./a; }; B O", "DEP004"),
    (r#"inputs = { a.url = "path:./a"; b.url = "path:./b"; }; O"#, ""),
    (r#"inputs = rec { a.url = "path:./a"; b.url = "path:./b"; }; O"#, ""),
    ("A B outputs = (x: { });", ""),
    ("A B O description = ''x'';", ""),
    (r#"A B O nixConfig.a = "b";"#, ""),
    (r#"inputs.a = { type = "path"; path = "./a"; }; B O"#, ""),
    (r#"inputs.${"a"}.url = path:./a; B O"#, ""),
    (r#"A B inputs."b".flake = true; O"#, ""),
    ("A B outputs = { self, a, b }@inputs: inputs;", ""),
    ("A O", "DEP004"),
    (r#"A B inputs.c.url = "path:./c"; O"#, "DEP004"),
    (r#"A inputs.b.url = "path:./a"; O"#, "DEP004"),
    (r#"A B inputs.a.inputs.b.follows = "b"; O"#, "DEP004"),
    (r#"A inputs.b.follows = "a/b"; O"#, "DEP004"),
    (r#"A B inputs.c.follows = "a"; O"#, "DEP004"),
    (r#"A B inputs.a.inputs.b.url = "path:./b"; O"#, "DEP004"),
    (r#"A B inputs.a.inputs.b.follows = "nope"; O"#, "DEP002"),
    (r#"A inputs.b.follows = "a/c"; O"#, "DEP002"),
    (r#"inputs.a.follows = "b"; inputs.b.follows = "a"; O"#, "DEP002"),
    (r#"A B inputs.a.inputs.zz.follows = "b"; O"#, "DEP002"),
    (r#"inputs.a.url = "path:" + "./a"; B O"#, "DEP018"),
    (r#"inputs = { a.url = "path:./a"; } // { b.url = "path:./b"; }; O"#, "DEP018"),
    ("A B outputs = import ./o.nix;", "DEP018"),
    ("A B", "DEP018"),
    ("A B O input = 1;", "DEP018"),
    (r#"A B O description = "a" + "b";"#, "DEP018"),
    (r#"inputs.a.owner = "x"; B O"#, "DEP018"),
    (r#"inputs.a = { type = "path"; path = "./a"; bogus = "x"; }; B O"#, "DEP018"),
    (r#"inputs.a = { type = "path"; path = 1; }; B O"#, "DEP018"),
    (r#"inputs.a = { url = "path:./a"; follows = "b"; }; B O"#, "DEP018"),
    (r#"A B inputs.a.inputs.self.follows = "b"; O"#, "DEP018"),
    (r#"A B inputs.${"a" + ""}.flake = true; O"#, "DEP018"),
    (r#"inputs.a.url = "::bad"; B O"#, "DEP004"),
    (r#"inputs.a.url = "path:./a#frag"; B O"#, "DEP018"),
    ("A B inputs.b.flake = 1; O", "DEP018"),
    (r#"A B inputs.a.inputs.b.follows = "bad name"; O"#, "DEP018"),
    ("inputs = null; O", "DEP018"),
    ("inputs = { inherit (builtins) a; }; O", "DEP018"),
];

/// What Nix says to a flake, as the rule that says the same.
fn verdict(said: &str, is_fine: bool) -> &'static str {
    let has = |text: &str| said.contains(text);
    match () {
        () if has("non-existent input") || has("follow cycle") => "DEP002",
        () if is_fine => "",
        () if has("requires lock file changes") || has("does not exist") => "DEP004",
        () => "DEP018",
    }
}

#[test]
fn nix_reads_flakes_as_the_rules_do() {
    let scene = Scene::new(
        "//- p/a/flake.nix\n{ inputs.b.url = \"path:../b\"; outputs = { self, b }: { }; }\n//- p/b/flake.nix\n{ outputs = x: { }; }\n",
    );
    let full = |parts: &str| {
        let part = |word: &str| match word {
            "A" => "inputs.a.url = \"path:./a\";".to_owned(),
            "B" => "inputs.b.url = \"path:./b\";".to_owned(),
            "O" => "outputs = { self, ... }: { x = 1; };".to_owned(),
            word => word.to_owned(),
        };
        format!("{{ {} }}\n", parts.split(' ').map(part).collect::<Vec<_>>().join(" "))
    };
    scene.sandbox.write("p/flake.nix", full("A B O"));
    scene.write_lock("p");
    for (parts, rule) in READINGS {
        let text = full(parts);
        scene.sandbox.write("p/flake.nix", &text);
        let output =
            scene.sandbox.run("check p/flake.nix --format concise --select DEP002,DEP004,DEP018");
        let found = String::from_utf8(output.stdout).unwrap();
        match *rule {
            "" => assert_eq!(found, "", "{text}"),
            rule => assert!(found.contains(&format!("[{rule}]")), "{text}: {found}"),
        }
        let asked = scene.ask_nix("", "flake metadata --no-update-lock-file ./p");
        if let Some((said, is_fine)) = asked {
            assert_eq!(verdict(&said, is_fine), *rule, "{text}: {said}");
        }
    }
}
