//! `migrate-config`: settings of other tools.

use expect_test::{Expect, expect};

use crate::sandbox::{Sandbox, stdout};

/// What is printed, without rules of style, of which every version may have more.
fn check(sandbox: &Sandbox, args: &str, want: Expect) {
    let text = stdout(&sandbox.run(args));
    let is_stable = |line: &&str| !["STY0", "COR005"].iter().any(|code| line.contains(code));
    let lines: Vec<&str> = text.lines().filter(is_stable).collect();
    want.assert_eq(&format!("{}\n", lines.join("\n")));
}

#[test]
fn settings_of_three_tools_become_one() {
    let sandbox = Sandbox::new(
        "\
//- statix.toml
disabled = [\"manual_inherit\", \"manual_inherit_from\", \"repeated_keys\", \"no_such_lint\"]
nix_version = \"2.4\"
ignore = ['.direnv', \"generated/*.nix\"]
//- treefmt.toml
[formatter.deadnix]
command = \"/nix/store/x-deadnix/bin/deadnix\"
options = [\"--edit\", \"-L\", \"--exclude\", \"./vendor\"]
excludes = [\"npins/**\"]
[formatter.nixf-diagnose]
command = \"nixf-diagnose\"
options = [\"--ignore=sema-unused-def-lambda-noarg-formal\", \"--ignore=sema-escaping-with\"]
[formatter.nixfmt]
command = \"nixfmt\"
",
    );
    check(
        &sandbox,
        "migrate-config",
        expect![[r##"
            # Written by `cim-nix migrate-config` from statix.toml and treefmt.toml.
            # Rules that those tools do not have stay as they are by default.

            [check]
            extend-select = [
              "DEAD003", # unused-closed-formal: nixf-diagnose `sema-unused-def-lambda-witharg-formal`
              "DEAD005", # unused-parameter: deadnix without --no-lambda-arg
            ]
            exclude = [
              ".direnv", # statix `ignore`
              "generated/*.nix", # statix `ignore`
              "/vendor", # deadnix --exclude
            ]

            [check.severity]

            # What has no counterpart here, or needs a look:
            # * treefmt.toml excludes `npins/**` for deadnix: `exclude` here is for all rules
            # * statix `unquoted_splice` finds what no rule here does
            # * statix `bool_simplification` finds what no rule here does
            # * statix.toml disables `no_such_lint`, which is no lint of statix
            # * statix `nix_version = "2.4"`: rules here hold for every version
            # * deadnix --edit: use `cim-nix check --fix`
            # * nixf-diagnose `sema-escaping-with` finds what no rule here does
        "##]],
    );
    // What is printed is accepted.
    sandbox.write("cim-nix.toml", stdout(&sandbox.run("migrate-config")));
    sandbox.write("a.nix", "{ a = 1; }");
    assert_eq!(sandbox.run("check").status.code(), Some(0));
}

#[test]
fn hooks_of_pre_commit() {
    let sandbox = Sandbox::new(
        "\
//- .pre-commit-config.yaml
repos:
- repo: https://example.org/hooks
  hooks:
  - id: deadnix
    args: [--no-lambda-arg, -_]
    exclude: ^vendor/
  - id: shellcheck
    args: [--severity=error]
- repo: local
  hooks:
  - id: lint
    entry: /nix/store/x/bin/statix check
",
    );
    check(
        &sandbox,
        "migrate-config",
        expect![[r##"
            # Written by `cim-nix migrate-config` from .pre-commit-config.yaml.
            # Rules that those tools do not have stay as they are by default.

            [check]
            extend-select = [
              "DEAD003", # unused-closed-formal: deadnix without --no-lambda-pattern-names
            ]

            [check.severity]

            # What has no counterpart here, or needs a look:
            # * .pre-commit-config.yaml excludes `^vendor/` for deadnix, a regular expression: write it as a pattern of .gitignore
            # * statix `unquoted_splice` finds what no rule here does
            # * statix `bool_simplification` finds what no rule here does
            # * deadnix --no-underscore: names that begin with `_` are reported here as others are
        "##]],
    );
}

#[test]
fn what_holds_for_all_tools() {
    let sandbox = Sandbox::new(
        "\
//- .pre-commit-config.yaml
exclude: ^generated/
repos:
- repo: local
  hooks:
  - id: dead
    entry: nix run nixpkgs#deadnix -- --fail -L
  - id: style
    entry: statix check -i vendor/* third/*
  - id: shell
    entry: bash -c 'deadnix .'
//- treefmt.toml
excludes = [\"*.lock\"]
[global]
excludes = [\"a/*.nix\"]
[formatter.statix]
command = \"statix\"
options = [\"fix\"]
",
    );
    check(
        &sandbox,
        "migrate-config",
        expect![[r##"
        # Written by `cim-nix migrate-config` from .pre-commit-config.yaml and treefmt.toml.
        # Rules that those tools do not have stay as they are by default.

        [check]
        extend-select = [
          "DEAD005", # unused-parameter: deadnix without --no-lambda-arg
        ]
        ignore = [
          "DEAD002", # unused-formal: deadnix --no-lambda-pattern-names
        ]
        exclude = [
          "vendor/*", # statix --ignore
          "third/*", # statix --ignore
          "*.lock", # treefmt.toml excludes it for all
          "a/**/*.nix", # treefmt.toml excludes it for all
        ]

        [check.severity]

        # What has no counterpart here, or needs a look:
        # * .pre-commit-config.yaml runs `bash -c 'deadnix .'`, in which the flags of deadnix are not found: give them with --deadnix
        # * .pre-commit-config.yaml excludes `^generated/` for all hooks, a regular expression: write it as a pattern of .gitignore
        # * statix `unquoted_splice` finds what no rule here does
        # * statix `bool_simplification` finds what no rule here does
    "##]],
    );
    sandbox.write("cim-nix.toml", stdout(&sandbox.run("migrate-config")));
    sandbox.write("x.nix", "{ a = (1); }\n");
    assert_eq!(sandbox.run("check").status.code(), Some(1), "as statix would fail");
    let given = stdout(&Sandbox::new("").run("migrate-config --statix=--ignore=old"));
    assert!(given.contains("  \"old\", # statix --ignore\n"), "{given}");
    assert!(given.contains("\nSTY006 = \"warning\""), "{given}");
}

#[test]
fn flags_can_be_given() {
    let sandbox = Sandbox::new("");
    check(
        &sandbox,
        "migrate-config --deadnix=-lL",
        expect![[r##"
        # Written by `cim-nix migrate-config` from --deadnix.
        # Rules that those tools do not have stay as they are by default.

        [check]
        ignore = [
          "DEAD002", # unused-formal: deadnix --no-lambda-pattern-names
        ]
    "##]],
    );
    check(
        &sandbox,
        "migrate-config --nixf-diagnose=--only=sema-extra-with",
        expect![[r##"
        # Written by `cim-nix migrate-config` from --nixf-diagnose.
        # Rules that those tools do not have stay as they are by default.

        [check]
        ignore = [
          "COR001", # undefined-variable: nixf-diagnose ignores `sema-undefined-variable`
          "COR002", # duplicate-definition: nixf-diagnose ignores `sema-dup-formal-arg`, nixf-diagnose ignores `sema-dup-formal`, nixf-diagnose ignores `sema-duplicated-attrname`
          "COR003", # or-as-variable: nixf-diagnose ignores `or-identifier`
          "COR004", # unknown-builtin: nixf-diagnose ignores `sema-primop-needs-prefix`, nixf-diagnose ignores `sema-primop-unknown`
          "COR012", # mixed-rec-merge: nixf-diagnose ignores `merge-diff-rec`
          "COR016", # trailing-slash: nixf-diagnose ignores `path-trailing-slash`
          "DEAD001", # unused-binding: nixf-diagnose ignores `sema-unused-def-let`
          "DEAD002", # unused-formal: nixf-diagnose ignores `sema-unused-def-lambda-noarg-formal`, nixf-diagnose ignores `sema-unused-def-lambda-witharg-formal`
          "DEAD004", # unused-at-name: nixf-diagnose ignores `sema-unused-def-lambda-witharg-arg`
          "DEAD006", # unused-inherit: nixf-diagnose ignores `sema-unused-def-let`
          "DEAD008", # needless-rec: nixf-diagnose ignores `sema-extra-rec`
          "DEAD017", # empty-construct: nixf-diagnose ignores `empty-inherit`
          "SYN009", # dynamic-name: nixf-diagnose ignores `let-dynamic`
        ]
    "##]],
    );
}

#[test]
fn what_is_there_stays() {
    let sandbox = Sandbox::new("//- statix.toml\ndisabled = []\n");
    sandbox.check(
        "migrate-config --write",
        expect![[r#"
        [stderr]
        wrote cim-nix.toml
        [exit 0]
    "#]],
    );
    let written = sandbox.read("cim-nix.toml");
    assert!(written.contains("[check]"));
    sandbox.check(
        "migrate-config --write",
        expect![[r#"
        [stderr]
        error: `cim-nix.toml` is there already and stays as it is
          hint: without --write, what it could say is printed
        [exit 2]
    "#]],
    );
    assert_eq!(sandbox.read("cim-nix.toml"), written);
}

#[test]
fn what_cannot_be_read_is_told() {
    Sandbox::new("").check("migrate-config", expect![[r#"
        [stderr]
        error: there is nothing to migrate in `.`
          hint: statix.toml, treefmt.toml and .pre-commit-config.yaml are read; flags of scripts and of Nix code can be given with --deadnix, --statix and --nixf-diagnose
        [exit 2]
    "#]]);
    Sandbox::new("//- statix.toml\ndisabled = [\n").check(
        "migrate-config",
        expect![[r#"
        [stderr]
        error: statix.toml: unclosed array, expected `]`
        [exit 2]
    "#]],
    );
    Sandbox::new("//- .pre-commit-config.yaml\na: b: c\n").check("migrate-config", expect![[r#"
        [stderr]
        error: .pre-commit-config.yaml: mapping values are not allowed in this context at byte 4 line 1 column 5
        [exit 2]
    "#]]);
    Sandbox::new("").check(
        "migrate-config nowhere",
        expect![[r#"
        [stderr]
        error: `nowhere` is no folder
        [exit 2]
    "#]],
    );
}
