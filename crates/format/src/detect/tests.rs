//! Projects as one text, and what is decided about them.

use std::fmt::Write as _;

use cim_nix_project::MemoryFiles;
use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(project: &str, want: Expect) {
    check_at("/p", project, want);
}

#[track_caller]
fn check_at(root: &str, project: &str, want: Expect) {
    let files = MemoryFiles::fixture(project);
    let found = declared(&files, root.as_ref());
    let mut text = match &found {
        Some(found) => format!("{} ({}): {}", found.formatter, found.rule.word(), found.because),
        None => "nothing".to_owned(),
    };
    if let Some(found) = found {
        if found.options != Options::default() {
            let _ = write!(text, "\n{:?}", found.options);
        }
        if found.filter != Filter::default() {
            let _ = write!(text, "\n{:?}", found.filter);
        }
        for note in found.notes {
            let _ = write!(text, "\nnote: {note}");
        }
    }
    want.assert_eq(&text);
}

#[test]
fn treefmt_toml_comes_first() {
    check(
        "\
//- /p/.treefmt.toml
[formatter.nixpkgs-fmt]
command = \"nixpkgs-fmt\"
includes = [\"*.nix\"]
excludes = [\"gen/*\"]
//- /p/flake.nix
{ outputs = _: { formatter.x86_64-linux = pkgs.alejandra; }; }
",
        expect![[r#"
            nixpkgs-fmt (treefmt-toml): `.treefmt.toml:1` runs nixpkgs-fmt on `*.nix`
            Filter { includes: ["*.nix"], excludes: ["gen/*"] }"#]],
    );
    check(
        "\
//- /p/treefmt.toml
[formatter.nix]
command = \"nixfmt\"
options = [\"--strict\", \"--width=80\"]
includes = [\"*.nix\"]
",
        expect![[r#"
            nixfmt (treefmt-toml): `treefmt.toml:1` runs nixfmt on `*.nix`
            Options { width: Some(80), indent: None }
            Filter { includes: ["*.nix"], excludes: [] }
            note: `--strict` among the options of `[formatter.nix]` in `treefmt.toml` is not obeyed"#]],
    );
}

#[test]
fn treefmt_in_nix() {
    check(
        "\
//- /p/treefmt.nix
{ pkgs, ... }:
{
  projectRootFile = \"flake.nix\";
  programs.deadnix.enable = true;
  programs.nixfmt = {
    enable = pkgs.lib.mkDefault true;
    width = 80;
    indent = 4;
    excludes = [ \"a/*\" ];
  };
  settings.global.excludes = [ \"*.lock\" ];
}
",
        expect![[r#"
            nixfmt (treefmt-nix): `programs.nixfmt.enable` is set in `treefmt.nix:6`
            Options { width: Some(80), indent: Some(4) }
            Filter { includes: [], excludes: ["a/*", "*.lock"] }"#]],
    );
    check(
        "\
//- /p/flake.nix
{
  outputs = inputs: inputs.flake-parts.lib.mkFlake { inherit inputs; } {
    imports = [ ./dev ];
  };
}
//- /p/dev/default.nix
{
  perSystem.treefmt.programs = {
    alejandra.enable = true;
    nixfmt.enable = false;
  };
}
",
        expect![
            "alejandra (treefmt-nix): `perSystem.treefmt.programs.alejandra.enable` is set in `dev/default.nix:3`"
        ],
    );
    check(
        "\
//- /p/treefmt.nix
{ programs.nixfmt.enable = true; programs.nixfmt.package = pkgs.nixfmt-classic; }
",
        expect![
            "the command `nixfmt-classic` (treefmt-nix): `programs.nixfmt.enable` is set in `treefmt.nix:1`"
        ],
    );
}

#[test]
fn folders_that_are_imported_whole_are_looked_into() {
    check(
        "\
//- /p/flake.nix
{ outputs = inputs: inputs.flake-parts.lib.mkFlake { } (inputs.import-tree ./modules); }
//- /p/modules/flake/treefmt.nix
{ perSystem.treefmt.programs.nixfmt.enable = true; }
//- /p/modules/hosts/format.nix
{ programs.alejandra.enable = true; }
",
        expect![[
            "nixfmt (treefmt-nix): `perSystem.treefmt.programs.nixfmt.enable` is set in `modules/flake/treefmt.nix:1`"
        ]],
    );
}

#[test]
fn the_formatter_of_a_flake() {
    for (value, want) in [
        ("nixpkgs.legacyPackages.x86_64-linux.nixfmt-tree", "nixfmt"),
        ("pkgs.nixfmt-rfc-style", "nixfmt"),
        ("alejandra.defaultPackage.${system}", "-"),
        ("let p = import nixpkgs { }; in p.alejandra", "alejandra"),
        ("pkgs.nixfmt-classic", "nixfmt-classic"),
        ("treefmtEval.config.build.wrapper", "-"),
        (
            "pkgs.writeShellScriptBin \"fmt\" \"exec ${pkgs.nixpkgs-fmt}/bin/nixpkgs-fmt .\"",
            "nixpkgs-fmt",
        ),
        ("pkgs.writeShellScriptBin \"fmt\" \"nixfmt . || alejandra .\"", "-"),
        ("pkgs.callPackage ./fmt.nix { }", "alejandra"),
        ("mine", "nixpkgs-fmt"),
        ("mine2", "-"),
    ] {
        let flake = format!(
            "\
//- /p/fmt.nix
{{ alejandra, writeShellApplication }}: writeShellApplication {{ runtimeInputs = [ alejandra ]; }}
//- /p/flake.nix
{{ outputs = {{ self, nixpkgs }}: let mine = pkgs.nixpkgs-fmt; mine2 = mine2; in {{
  formatter = forAllSystems (system: {value});
  packages.x.formatter = pkgs.nixfmt;
}}; }}
"
        );
        let found = declared(&MemoryFiles::fixture(&flake), "/p".as_ref());
        let name = found.as_ref().map_or("-", |found| found.formatter.name());
        assert_eq!(name, want, "{value}");
    }
    check(
        "\
//- /p/flake.nix
{ outputs = { nixpkgs, ... }: { formatter.x86_64-linux = nixpkgs.legacyPackages.x86_64-linux.nixfmt; }; }
",
        expect!["nixfmt (flake-formatter): the flake's `formatter` in `flake.nix:1` is `nixfmt`"],
    );
    check(
        "//- /p/flake.nix\n{ outputs = _: { perSystem = { pkgs, ... }: { formatter = pkgs.alejandra; }; }; }\n",
        expect![
            "alejandra (flake-formatter): the flake's `formatter` in `flake.nix:1` is `alejandra`"
        ],
    );
}

#[test]
fn settings_of_other_programs_say_nothing() {
    check(
        "\
//- /p/flake.nix
{ outputs = _: { nixosConfigurations.a = f { modules = [ ./m.nix ]; }; }; }
//- /p/m.nix
{
  programs.helix.languages.language = [ { formatter = { command = \"alejandra\"; }; } ];
  programs.nixvim.plugins.conform-nvim.settings.formatter.nix = \"nixfmt\";
  formatter = pkgs.alejandra;
}
",
        expect![["nothing"]],
    );
}

#[test]
fn hooks() {
    check(
        "\
//- /p/flake.nix
{
  outputs = _: {
    checks.pre-commit = git-hooks.lib.x.run {
      src = ./.;
      hooks = { nixpkgs-fmt.enable = true; shellcheck.enable = true; };
    };
  };
}
",
        expect!["nixpkgs-fmt (hooks): the hook `nixpkgs-fmt` is enabled in `flake.nix:5`"],
    );
    check(
        "\
//- /p/.pre-commit-config.yaml
repos:
  - repo: local
    hooks:
      - id: shellcheck
      - id: 'alejandra'
",
        expect!["alejandra (hooks): `.pre-commit-config.yaml:5` has the hook `alejandra`"],
    );
}

#[test]
fn a_file_of_its_own() {
    check(
        "//- /p/alejandra.toml\nindentation = \"FourSpaces\"\n",
        expect![[r#"
        alejandra (own-file): there is an `alejandra.toml`
        note: `alejandra.toml` is for alejandra 4; the `alejandra` that runs must be that version to obey it"#]],
    );
}

#[test]
fn a_project_inside_asks_the_one_around_it() {
    let project = "\
//- /p/.git/
//- /p/treefmt.toml
[formatter.nix]
command = \"alejandra\"
includes = [\"*.nix\"]
//- /p/templates/a/flake.nix
{ outputs = _: { }; }
";
    check_at(
        "/p/templates/a",
        project,
        expect![[r#"
        alejandra (treefmt-toml): `treefmt.toml:1` runs alejandra on `*.nix`
        Filter { includes: ["*.nix"], excludes: [] }"#]],
    );
    check_at("/p/templates/a", &project.replace("//- /p/.git/\n", ""), expect![["nothing"]]);
}

#[test]
fn nothing_is_said() {
    check("//- /p/flake.nix\n{ outputs = _: { }; }\n", expect![["nothing"]]);
    check("//- /p/flake.nix\n{ outputs = _: { formatter = \n", expect![["nothing"]]);
    check(
        "//- /p/flake.nix\n{ outputs = import ./a.nix; }\n//- /p/a.nix\nimport ./flake.nix\n",
        expect![["nothing"]],
    );
}

#[test]
fn the_default_takes_options_from_editorconfig() {
    let files = MemoryFiles::fixture(
        "\
//- /p/.git/
//- /p/.editorconfig
[*.nix]
indent_size = 4
//- /p/a/.editorconfig
[*.nix]
max_line_length = 80
//- /p/a/b.nix
1
",
    );
    let found = fallback(&files, "/p/a".as_ref());
    assert_eq!(found.options, Options { width: Some(80), indent: Some(4) });
    assert_eq!(options_for(&files, "/p/a".as_ref(), &Formatter::Alejandra), Options::default());
}

#[test]
fn build_files_hint_at_one_formatter() {
    let hint = |text: &str| hint(&MemoryFiles::fixture(text), "/p".as_ref());
    assert_eq!(hint("//- /p/justfile\nfmt:\n  alejandra -c .\n"), Some(Formatter::Alejandra));
    let two = "//- /p/Makefile\na: nixfmt\n//- /p/.github/workflows/ci.yml\nrun: alejandra .\n";
    assert_eq!(hint(two), None);
    assert_eq!(hint(""), None);
}

#[test]
fn patterns_begin_at_the_folder() {
    let mut decision = Decision::new(Formatter::Nixfmt, Rule::Asked, "", "/p".as_ref());
    decision.filter.excludes.push("gen/*".to_owned());
    assert!(!decision.takes("/p/gen/a.nix".as_ref()) && decision.takes("/p/a/gen/a.nix".as_ref()));
}
