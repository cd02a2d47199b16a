//! Where inputs come from: retargeting and following.

use expect_test::expect;

use super::*;

#[test]
fn an_input_comes_from_elsewhere() {
    let text =
        |input: &str| format!("{{ inputs = {{ {input} }}; outputs = {{ self, ... }}: {{ }}; }}");
    let mut out = String::new();
    for input in [
        "a.url = \"github:o/a\";",
        "a.url = github:o/a; # c\n",
        "a.url=./a;",
        "a = { url = ''github:o/a''; flake = false; };",
        "a = { type = \"github\"; owner = \"o\"; repo = \"a\"; };",
        "a.type = \"github\"; a.owner = \"o\"; a.repo = \"a\"; a.inputs.b.follows = \"b\";",
        "a.follows = \"b\";",
        "a = { };",
        "a.flake = false;",
        "a.inputs.b.follows = \"b\";",
        "\"a\" = { inputs = { b.follows = \"b\"; }; };",
        "a.url = \"github:x/y\";",
        "b.url = \"github:x/y\";",
    ] {
        out.push_str(&outcome(&text(input), &retarget("a", "github:x/y")));
        out.push('\n');
    }
    let implicit = "{ outputs = { self, a }: { }; }";
    out.push_str(&outcome(implicit, &retarget("a", "github:x/y")));
    out.push_str(&outcome(&text("a.url = \"github:o/a\";"), &retarget("a", "github:x")));
    expect![[r#"
        { inputs = { a.url = "github:x/y"; }; outputs = { self, ... }: { }; }
        { inputs = { a.url = "github:x/y"; # c
         }; outputs = { self, ... }: { }; }
        { inputs = { a.url="github:x/y"; }; outputs = { self, ... }: { }; }
        { inputs = { a = { url = "github:x/y"; flake = false; }; }; outputs = { self, ... }: { }; }
        { inputs = { a = { url = "github:x/y"; }; }; outputs = { self, ... }: { }; }
        note: SourceReplaced(26..34)
        note: SourceReplaced(44..47)
        note: SourceReplaced(56..59)

        { inputs = { a.url = "github:x/y"; a.inputs.b.follows = "b"; }; outputs = { self, ... }: { }; }
        note: SourceReplaced(22..30)
        note: SourceReplaced(42..45)
        note: SourceReplaced(56..59)

        { inputs = { a.url = "github:x/y"; }; outputs = { self, ... }: { }; }
        note: SourceReplaced(25..28)

        { inputs = { a = { url = "github:x/y"; }; }; outputs = { self, ... }: { }; }
        { inputs = { a.flake = false; a.url = "github:x/y"; }; outputs = { self, ... }: { }; }
        { inputs = { a.inputs.b.follows = "b"; a.url = "github:x/y"; }; outputs = { self, ... }: { }; }
        { inputs = { "a" = { inputs = { b.follows = "b"; }; url = "github:x/y"; }; }; outputs = { self, ... }: { }; }
        unchanged

        error: there is no input `a`

        { inputs.a.url = "github:x/y"; outputs = { self, a }: { }; }
        note: WasInRegistry("a")
        error: "github:x" is no reference to a source: URL 'github:x' is invalid
    "#]].assert_eq(&out);
}

#[test]
fn inputs_follow_others() {
    let text = |input: &str| {
        format!(
            "{{\n  inputs = {{\n    n.url = \"github:o/n\";\n    {input}\n  }};\n  outputs = {{ self, ... }}: {{ }};\n}}\n"
        )
    };
    let mut out = String::new();
    for input in [
        "a.url = \"github:o/a\"; # a",
        "a = {\n      url = \"github:o/a\";\n    };",
        "a = {\n      url = \"github:o/a\";\n      inputs.m.follows = \"n\";\n      flake = true;\n    };",
        "a = {\n      inputs = {\n        m.follows = \"n\";\n      };\n      url = \"github:o/a\";\n    };",
        "a = {\n      inputs = { };\n      url = \"github:o/a\";\n    };",
        "a.inputs.n.follows = \"m\"; m.url = \"github:o/m\";",
        "a.inputs.n.url = \"github:o/m\";",
        "a.inputs.n.inputs.x.follows = \"n\";",
        "a.inputs.n.follows = \"n\";",
        "a = {};",
        "a = { };",
        "a = {\n    };",
    ] {
        let text = text(input);
        out.push_str(&outcome(&text, &follow("a/n", "n")));
        let after = plan(&text, &follow("a/n", "n")).unwrap().apply(&text).unwrap();
        let back = plan(&after, &unfollow("a/n")).unwrap().apply(&after).unwrap();
        if !input.contains("n.") && !input.contains("inputs = { }") {
            assert_eq!(back, text);
        }
        out.push('\n');
    }
    expect![[r#"
        {
          inputs = {
            n.url = "github:o/n";
            a.url = "github:o/a"; # a
            a.inputs.n.follows = "n";
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a = {
              url = "github:o/a";
              inputs.n.follows = "n";
            };
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a = {
              url = "github:o/a";
              inputs.m.follows = "n";
              inputs.n.follows = "n";
              flake = true;
            };
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a = {
              inputs = {
                m.follows = "n";
                n.follows = "n";
              };
              url = "github:o/a";
            };
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a = {
              inputs = { n.follows = "n"; };
              url = "github:o/a";
            };
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a.inputs.n.follows = "n"; m.url = "github:o/m";
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a.inputs.n.follows = "n";
          };
          outputs = { self, ... }: { };
        }
        note: SourceReplaced(62..74)

        {
          inputs = {
            n.url = "github:o/n";
            a.inputs.n.inputs.x.follows = "n";
            a.inputs.n.follows = "n";
          };
          outputs = { self, ... }: { };
        }

        unchanged

        {
          inputs = {
            n.url = "github:o/n";
            a = {inputs.n.follows = "n";};
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a = { inputs.n.follows = "n"; };
          };
          outputs = { self, ... }: { };
        }

        {
          inputs = {
            n.url = "github:o/n";
            a = {
              inputs.n.follows = "n";
            };
          };
          outputs = { self, ... }: { };
        }

    "#]]
    .assert_eq(&out);
}

#[test]
fn follows_go_and_leave_no_empty_sets() {
    let text = |input: &str| format!("{{ inputs = {{ {input} }}; outputs = inputs: {{ }}; }}");
    let mut out = String::new();
    for input in [
        "a.url = \"path:a\"; a.inputs.b.follows = \"c\"; c.url = \"path:c\";",
        "a = { url = \"path:a\"; inputs = { b.follows = \"\"; }; };",
        "a = { url = \"path:a\"; inputs = { b = { follows = \"\"; }; }; };",
        "a = { url = \"path:a\"; inputs = { b = { follows = \"\"; flake = false; }; }; };",
        "a = { inputs.b.follows = \"\"; };",
        "a.url = \"path:a\";",
        "c.url = \"path:c\";",
    ] {
        out.push_str(&outcome(&text(input), &unfollow("a/b")));
        out.push('\n');
    }
    out.push_str(&outcome(&text("a.follows = \"c\"; c.url = \"path:c\";"), &unfollow("a")));
    expect![[r#"
        { inputs = { a.url = "path:a"; c.url = "path:c"; }; outputs = inputs: { }; }
        { inputs = { a = { url = "path:a"; }; }; outputs = inputs: { }; }
        { inputs = { a = { url = "path:a"; }; }; outputs = inputs: { }; }
        { inputs = { a = { url = "path:a"; inputs = { b = { flake = false; }; }; }; }; outputs = inputs: { }; }
        { inputs = { a = { }; }; outputs = inputs: { }; }
        unchanged

        error: there is no input `a`

        error: the input `a` would have no source but what a registry has under its name
          hint: flake.nix:1:26: it is told here
          hint: give it a URL instead, or remove it
    "#]].assert_eq(&out);
}

#[test]
fn circles_and_strangers_are_refused() {
    let text =
        "{ inputs = { a.url = \"path:a\"; b.follows = \"a\"; }; outputs = { self, c, ... }: { }; }";
    let mut out = String::new();
    for (at, target) in [
        ("a", "a"),
        ("a", "b"),
        ("a", "a/x"),
        ("a/x", "a/x/y"),
        ("a/x", "a/y"),
        ("a/x", "z"),
        ("z/x", "a"),
        ("a/x", "c"),
        ("c/x", "a"),
        ("c", "a"),
        ("a/x", ""),
        ("a/self", "b"),
        ("", "b"),
        ("a/x y", "b"),
    ] {
        out.push_str(&format!("{at} -> {target}: {}\n", outcome(text, &follow(at, target))));
    }
    expect![[r#"
        a -> a: error: the input `a` would follow itself

        a -> b: error: the input `a` would follow itself

        a -> a/x: error: the input `a` would follow itself

        a/x -> a/x/y: error: the input `a/x` would follow itself

        a/x -> a/y: { inputs = { a.url = "path:a"; a.inputs.x.follows = "a/y"; b.follows = "a"; }; outputs = { self, c, ... }: { }; }
        a/x -> z: error: there is no input `z`

        z/x -> a: error: there is no input `z`

        a/x -> c: { inputs = { a.url = "path:a"; a.inputs.x.follows = "c"; b.follows = "a"; }; outputs = { self, c, ... }: { }; }
        c/x -> a: { inputs = { a.url = "path:a"; b.follows = "a"; c.inputs.x.follows = "a"; }; outputs = { self, c, ... }: { }; }
        note: WasInRegistry("c")

        c -> a: { inputs = { a.url = "path:a"; b.follows = "a"; c.follows = "a"; }; outputs = { self, c, ... }: { }; }
        note: WasInRegistry("c")

        a/x -> : { inputs = { a.url = "path:a"; a.inputs.x.follows = ""; b.follows = "a"; }; outputs = { self, c, ... }: { }; }
        a/self -> b: error: "self" cannot be the name of an input: it leads to no input

         -> b: error: "" cannot be the name of an input: it leads to no input

        a/x y -> b: { inputs = { a.url = "path:a"; a.inputs."x y".follows = "b"; b.follows = "a"; }; outputs = { self, c, ... }: { }; }
    "#]].assert_eq(&out);
}

#[test]
fn copies_are_made_to_follow() {
    let source = |owner: &str| {
        let place = format!(r#""type":"github","owner":"{owner}","repo":"r""#);
        let rev = "a".repeat(40);
        format!(
            r#""original":{{{place}}},"locked":{{{place},"rev":"{rev}","narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}"#
        )
    };
    let lock = format!(
        r#"{{"version":7,"root":"root","nodes":{{
        "root":{{"inputs":{{"a":"a","b":"b","n":"n"}}}},
        "a":{{"inputs":{{"n":"n2","m":"n3"}},{}}},"b":{{"inputs":{{"a":"a2"}},{}}},
        "a2":{{"inputs":{{"n":"n4"}},{}}},"n":{{{}}},"n2":{{{}}},"n3":{{{}}},"n4":{{{}}}}}}}"#,
        source("a"),
        source("b"),
        source("a"),
        source("n"),
        source("n"),
        source("n"),
        source("n"),
    );
    let crate::Lock::Read(lock) = crate::Lock::parse(&lock) else { panic!("{lock}") };
    let text = "{
  inputs = {
    n.url = \"github:n/r\";
    a.url = \"github:a/r\";
    b = {
      url = \"github:b/r\";
      # inputs.x.follows = \"n\";
    };
  };
  outputs = inputs: { };
}
";
    let request = deduplication(text, &lock).unwrap();
    check(
        text,
        &request,
        expect![[r#"
        {
          inputs = {
            n.url = "github:n/r";
            a.url = "github:a/r";
            a.inputs.m.follows = "n";
            a.inputs.n.follows = "n";
            b = {
              url = "github:b/r";
              inputs.a.follows = "a";
              # inputs.x.follows = "n";
            };
          };
          outputs = inputs: { };
        }
    "#]],
    );
    let after = plan(text, &request).unwrap().apply(text).unwrap();
    assert_eq!(deduplication(&after, &lock).unwrap(), Request::SetFollows(Vec::new()));
}

#[test]
fn a_description_is_set() {
    let mut out = String::new();
    for text in [
        "{\n  outputs = _: { };\n}\n",
        "{\n  inputs.a.url = \"path:a\";\n  inputs.b.url = \"path:b\";\n  outputs = _: { };\n}\n",
        "{ outputs = _: { }; }",
        "{ outputs = _: { }; description = ''old''; # c\n}",
        "{ outputs = _: { }; description = \"a\" + \"b\"; }",
        "{ outputs = _: { }; description = \"say \\\"\\${x}\\\"\"; }",
        "{ outputs = _: { }; inherit description; }",
    ] {
        out.push_str(&outcome(text, &Request::SetDescription("say \"${x}\"".to_owned())));
        out.push('\n');
    }
    expect![[r#"
        {
          description = "say \"\${x}\"";

          outputs = _: { };
        }

        {
          description = "say \"\${x}\"";
          inputs.a.url = "path:a";
          inputs.b.url = "path:b";
          outputs = _: { };
        }

        { description = "say \"\${x}\""; outputs = _: { }; }
        { outputs = _: { }; description = "say \"\${x}\""; # c
        }
        { outputs = _: { }; description = "say \"\${x}\""; }
        unchanged

        error: the `description` is not written as an attribute of its own
          hint: flake.nix:1:29: here

    "#]]
    .assert_eq(&out);
}
