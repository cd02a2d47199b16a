//! Adding inputs.

use expect_test::expect;

use super::*;

#[test]
fn a_new_input_is_written_as_its_neighbours_are() {
    let flat = "{\n  inputs.a.url = \"github:o/a\";\n\n  outputs = { self, a }: { };\n}\n";
    check(
        flat,
        &add("b"),
        expect![[r#"
        {
          inputs.a.url = "github:o/a";
          inputs.b.url = "github:o/b";

          outputs = { self, a, b }: { };
        }
    "#]],
    );
    check(
        flat,
        &add_source("b"),
        expect![[r#"
        {
          inputs.a.url = "github:o/a";
          inputs.b.url = "github:o/b";
          inputs.b.flake = false;

          outputs = { self, a, b }: { };
        }
    "#]],
    );
    let nested = "{\n  inputs = {\n    a.url = \"github:o/a\"; # first\n  };\n  outputs = { self, ... }@inputs: { };\n}\n";
    check(
        nested,
        &add("b"),
        expect![[r#"
        {
          inputs = {
            a.url = "github:o/a"; # first
            b.url = "github:o/b";
          };
          outputs = { self, ... }@inputs: { };
        }
    "#]],
    );
    check(
        nested,
        &add_with("b", &[("a", "a"), ("x/y", "a/z")]),
        expect![[r#"
        {
          inputs = {
            a.url = "github:o/a"; # first
            b = {
              url = "github:o/b";
              inputs.a.follows = "a";
              inputs.x.inputs.y.follows = "a/z";
            };
          };
          outputs = { self, ... }@inputs: { };
        }
    "#]],
    );
    let sets = "{\n    inputs = {\n        a = {\n            url = \"github:o/a\";\n        };\n    };\n    outputs = inputs: { };\n}\n";
    check(
        sets,
        &add("b"),
        expect![[r#"
        {
            inputs = {
                a = {
                    url = "github:o/a";
                };
                b = {
                    url = "github:o/b";
                };
            };
            outputs = inputs: { };
        }
    "#]],
    );
    let inline_sets = "{\n  inputs = {\n    a = { url = \"github:o/a\"; flake = false; };\n  };\n  outputs = inputs: { };\n}\n";
    check(
        inline_sets,
        &add_source("b"),
        expect![[r#"
        {
          inputs = {
            a = { url = "github:o/a"; flake = false; };
            b = { url = "github:o/b"; flake = false; };
          };
          outputs = inputs: { };
        }
    "#]],
    );
    let several = "{\n  inputs = {\n    a.url = \"github:o/a\";\n\n    c.url = \"github:o/c\";\n    c.inputs.a.follows = \"a\";\n  };\n  outputs = inputs: { };\n}\n";
    check(
        several,
        &add_with("d", &[("a", "a")]),
        expect![[r#"
        {
          inputs = {
            a.url = "github:o/a";

            c.url = "github:o/c";
            c.inputs.a.follows = "a";

            d.url = "github:o/d";
            d.inputs.a.follows = "a";
          };
          outputs = inputs: { };
        }
    "#]],
    );
    let inner = "{\n  inputs.a = {\n    url = \"github:o/a\";\n    inputs = {\n      x.follows = \"x\";\n    };\n  };\n  inputs.x.url = \"github:o/x\";\n  outputs = inputs: { };\n}\n";
    check(
        inner,
        &add_with("b", &[("x", "x"), ("y", "x")]),
        expect![[r#"
        {
          inputs.a = {
            url = "github:o/a";
            inputs = {
              x.follows = "x";
            };
          };
          inputs.x.url = "github:o/x";
          inputs.b = {
            url = "github:o/b";
            inputs = {
              x.follows = "x";
              y.follows = "x";
            };
          };
          outputs = inputs: { };
        }
    "#]],
    );
}

#[test]
fn the_first_input_stands_before_outputs() {
    check(
        "{\n  outputs = { self }: { };\n}\n",
        &add("a"),
        expect![[r#"
        {
          inputs.a.url = "github:o/a";

          outputs = { self, a }: { };
        }
    "#]],
    );
    check(
        "{\n  description = \"d\"; # d\n\n  # o\n  outputs = { self }: { };\n}\n",
        &add("a"),
        expect![[r#"
            {
              description = "d"; # d

              inputs.a.url = "github:o/a";

              # o
              outputs = { self, a }: { };
            }
        "#]],
    );
    check(
        "{ outputs = { self }: { }; }",
        &add("a"),
        expect![[r#"{ inputs.a.url = "github:o/a"; outputs = { self, a }: { }; }"#]],
    );
    check(
        "{ outputs = _: { }; }",
        &add_source("a"),
        expect![[r#"{ inputs.a.url = "github:o/a"; inputs.a.flake = false; outputs = _: { }; }"#]],
    );
    check(
        "{ inputs = { }; outputs = _: { }; }",
        &add("a"),
        expect![[r#"{ inputs = { a.url = "github:o/a"; }; outputs = _: { }; }"#]],
    );
    check(
        "{ inputs = {}; outputs = _: { }; }",
        &add_source("a"),
        expect![[
            r#"{ inputs = {a = { url = "github:o/a"; flake = false; };}; outputs = _: { }; }"#
        ]],
    );
    check(
        "{\n  inputs = {\n    # none yet\n  };\n  outputs = _: { };\n}",
        &add("a"),
        expect![[r#"
        {
          inputs = {
            # none yet

            a.url = "github:o/a";
          };
          outputs = _: { };
        }"#]],
    );
}

#[test]
fn sorted_inputs_stay_sorted() {
    let text = "{ inputs = {\n  b.url = \"path:b\";\n  d.url = \"path:d\";\n  # of f\n  f.url = \"path:f\";\n}; outputs = _: { }; }";
    for name in ["a", "c", "e", "g"] {
        let after = plan(text, &add(name)).unwrap().apply(text).unwrap();
        let names: Vec<&str> =
            after.lines().filter_map(|line| line.trim().split_once(".url")).map(|l| l.0).collect();
        assert!(names.is_sorted(), "{after}");
        outcome(text, &add(name));
    }
    let first = text.replace(
        "b.url = \"path:b\"",
        "nixpkgs.url = \"path:n\";\n  a.url = \"path:a\";\n  c.url = \"path:c\"",
    );
    check(
        &first,
        &add("b"),
        expect![[r#"
        { inputs = {
          nixpkgs.url = "path:n";
          a.url = "path:a";
          b.url = "github:o/b";
          c.url = "path:c";
          d.url = "path:d";
          # of f
          f.url = "path:f";
        }; outputs = _: { }; }"#]],
    );
}

#[test]
fn parameters_follow_where_they_must() {
    let text =
        |formals: &str| format!("{{ inputs.a.url = \"path:a\"; outputs = {formals}: {{ }}; }}");
    let mut out = String::new();
    for formals in [
        "{ self, a }",
        "{ self, a, ... }",
        "{ self, ... }",
        "{ self, a, ... }@inputs",
        "{ self, ... }@inputs",
        "inputs@{ self, a }",
        "inputs",
        "{ self\n, a\n}",
        "{\n  self,\n  a,\n}",
        "{ self, a,\n  # last\n}",
        "{ self, a, b }",
        "{ self\n  , a, ... }",
    ] {
        out.push_str(&outcome(&text(formals), &add("b")));
        out.push('\n');
    }
    expect![[r#"
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, a, b }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, a, b, ... }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, ... }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, a, b, ... }@inputs: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, ... }@inputs: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = inputs@{ self, a, b }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = inputs: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self
        , a
        , b
        }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = {
          self,
          a,
          b,
        }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, a, b,
          # last
        }: { }; }
        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self, a, b }: { }; }
        note: WasInRegistry("b")

        { inputs.a.url = "path:a"; inputs.b.url = "github:o/b"; outputs = { self
          , a, b, ... }: { }; }
    "#]].assert_eq(&out);
}

#[test]
fn what_gets_all_inputs_is_told() {
    let mut out = String::new();
    for outputs in [
        "inputs: f inputs",
        "{ self, ... }@inputs: import ./o.nix (inputs)",
        "{ self, ... }@inputs: f { inherit inputs; } self",
        "import ./o.nix",
    ] {
        out.push_str(&outcome(&format!("{{ outputs = {outputs}; }}"), &add("b")));
    }
    expect![[r#"
        { inputs.b.url = "github:o/b"; outputs = inputs: f inputs; }
        note: HandedOn(22..28)
        { inputs.b.url = "github:o/b"; outputs = { self, ... }@inputs: import ./o.nix (inputs); }
        note: HandedOn(49..57)
        { inputs.b.url = "github:o/b"; outputs = { self, ... }@inputs: f { inherit inputs; } self; }{ inputs.b.url = "github:o/b"; outputs = import ./o.nix; }
        note: HandedOn(2..27)
    "#]].assert_eq(&out);
}

#[test]
fn names_that_cannot_be_parameters() {
    let closed = "{ outputs = { self }: { x = map; }; }";
    let open = "{ outputs = { self, ... }: { x = map; }; }";
    let mut out = String::new();
    for name in ["in", "or", "map"] {
        out.push_str(&outcome(closed, &add(name)));
        out.push_str(&outcome(open, &add(name)));
        out.push('\n');
    }
    expect![[r#"
        error: "in" cannot be the name of an input: `outputs` names its inputs one by one, and this is no name there
        { inputs."in".url = "github:o/in"; outputs = { self, ... }: { x = map; }; }
        note: NoParameter { name: "in", range: 12..25 }

        error: "or" cannot be the name of an input: `outputs` names its inputs one by one, and this is no name there
        { inputs.or.url = "github:o/or"; outputs = { self, ... }: { x = map; }; }
        note: NoParameter { name: "or", range: 12..25 }

        error: `map` is used for something else in `outputs`
          hint: flake.nix:1:29: it is used here
          hint: take another name
        { inputs.map.url = "github:o/map"; outputs = { self, ... }: { x = map; }; }
        note: NoParameter { name: "map", range: 33..36 }

    "#]].assert_eq(&out);
}

#[test]
fn what_cannot_be_added_is_refused() {
    let text = "{ inputs.a.url = \"github:o/a\"; outputs = _: { }; }";
    let mut out = String::new();
    for request in [
        add("a"),
        Request::AddInput(NewInput::of_url("a", "github:o/b")),
        add("self"),
        add("1a"),
        add("a.b"),
        add(""),
        add("ä"),
        Request::AddInput(NewInput::of_url("b", "github:")),
        Request::AddInput(NewInput::of_url("b", "github:o/b#c")),
        Request::AddInput(NewInput::of_url("b", "")),
        add_with("b", &[("x", "y")]),
        add_with("b", &[("", "a")]),
        add_with("b", &[("x", "b/x")]),
        add_with("b", &[("x", "b/y")]),
        add_with("b", &[("x", "")]),
    ] {
        out.push_str(&outcome(text, &request));
        out.push('\n');
    }
    expect![[r#"
        unchanged

        error: there is another `a` already
          hint: flake.nix:1:10: it is here

        error: "self" cannot be the name of an input: it stands for the flake itself

        error: "1a" cannot be the name of an input: letters, digits, `_` and `-` are allowed, and a letter comes first

        error: "a.b" cannot be the name of an input: letters, digits, `_` and `-` are allowed, and a letter comes first

        error: "" cannot be the name of an input: letters, digits, `_` and `-` are allowed, and a letter comes first

        error: "ä" cannot be the name of an input: letters, digits, `_` and `-` are allowed, and a letter comes first

        error: "github:" is no reference to a source: URL 'github:' is invalid

        error: "github:o/b#c" is no reference to a source: unexpected fragment 'c' in flake reference 'github:o/b#c'

        error: "" is no reference to a source: it is empty

        error: there is no input `y`

        error: "" cannot be the name of an input: it leads to no input

        error: the input `b/x` would follow itself

        { inputs.a.url = "github:o/a"; inputs.b.url = "github:o/b"; inputs.b.inputs.x.follows = "b/y"; outputs = _: { }; }
        { inputs.a.url = "github:o/a"; inputs.b.url = "github:o/b"; inputs.b.inputs.x.follows = ""; outputs = _: { }; }
    "#]].assert_eq(&out);
}

#[test]
fn odd_flakes_are_refused() {
    let mut out = String::new();
    for text in [
        "",
        "{ }",
        "x: { inputs = { }; outputs = _: { }; }",
        "let x = 1; in { inputs = { }; outputs = _: { }; }",
        "{ inputs = import ./i.nix; outputs = _: { }; }",
        "{ inputs = { inherit x; }; outputs = _: { }; }",
        "{ inputs = { ${x}.url = \"y\"; }; outputs = _: { }; }",
        "{ inputs = { a.url = \"x:\" + y; }; outputs = _: { }; }",
        "{ inputs = x: { }; outputs = _: { }; }",
        "rec { inputs.a.url = \"path:a\"; outputs = _: inputs; }",
        "rec { inputs.a.url = \"path:a\"; outputs = _: { }; }",
        "{ inputs = rec { a.url = \"path:a\"; }; outputs = _: { }; }",
        "{ inputs.a.url = \"path:a\"; inputs.a.url = \"path:b\"; outputs = _: { }; }",
        "{ inputs.a.url = ; outputs = _: { }; }",
        "{ inputs = { a.url = \"path:a\"; ",
        "\u{feff}{ inputs.a.url = \"path:a\"; outputs = _: { }; }",
    ] {
        out.push_str(&format!("{text}\n"));
        out.push_str(&outcome(text, &add("n")));
        out.push('\n');
    }
    expect![[r#"

        error: the file is broken: expected an expression, found the end of the file
          hint: flake.nix:1:1: here
          hint: correct the file first

        { }
        error: the file is no flake: it has no `inputs` or `outputs`

        x: { inputs = { }; outputs = _: { }; }
        error: the file is no flake: it has no `inputs` or `outputs`

        let x = 1; in { inputs = { }; outputs = _: { }; }
        error: the flake is not written as a set, and Nix evaluates nothing to read it
          hint: flake.nix:1:1: here

        { inputs = import ./i.nix; outputs = _: { }; }
        error: `inputs` must be a set as it stands: Nix evaluates nothing to read a flake
          hint: flake.nix:1:12: here

        { inputs = { inherit x; }; outputs = _: { }; }
        error: `inputs.x` must be a set as it stands: Nix evaluates nothing to read a flake
          hint: flake.nix:1:22: here

        { inputs = { ${x}.url = "y"; }; outputs = _: { }; }
        error: this name is computed, but Nix evaluates nothing to read a flake
          hint: flake.nix:1:14: here

        { inputs = { a.url = "x:" + y; }; outputs = _: { }; }
        error: `inputs.a.url` must be a string as it stands: Nix evaluates nothing to read a flake
          hint: flake.nix:1:22: here

        { inputs = x: { }; outputs = _: { }; }
        error: `inputs` must be a set as it stands: Nix evaluates nothing to read a flake
          hint: flake.nix:1:12: here

        rec { inputs.a.url = "path:a"; outputs = _: inputs; }
        error: the set around the inputs is recursive, and one of its names is used
          hint: flake.nix:1:45: here

        rec { inputs.a.url = "path:a"; outputs = _: { }; }
        rec { inputs.a.url = "path:a"; inputs.n.url = "github:o/n"; outputs = _: { }; }
        { inputs = rec { a.url = "path:a"; }; outputs = _: { }; }
        { inputs = rec { a.url = "path:a"; n.url = "github:o/n"; }; outputs = _: { }; }
        { inputs.a.url = "path:a"; inputs.a.url = "path:b"; outputs = _: { }; }
        error: the file is broken: the attribute `url` is defined twice
          hint: flake.nix:1:28: here
          hint: correct the file first

        { inputs.a.url = ; outputs = _: { }; }
        error: the file is broken: expected an expression, found `;`
          hint: flake.nix:1:18: here
          hint: correct the file first

        { inputs = { a.url = "path:a"; 
        error: the file is broken: expected `}`, found the end of the file
          hint: flake.nix:1:31: here
          hint: correct the file first

        ﻿{ inputs.a.url = "path:a"; outputs = _: { }; }
        error: the file is broken: the file begins with a byte order mark, which Nix refuses
          hint: flake.nix:1:1: here
          hint: correct the file first

    "#]]
    .assert_eq(&out);
}
