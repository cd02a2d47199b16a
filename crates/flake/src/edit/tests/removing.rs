//! Removing inputs.

use expect_test::expect;

use super::*;

#[test]
fn an_input_goes_with_all_that_speaks_of_it() {
    let text = "{
  inputs = {
    # of a
    a.url = \"github:o/a\"; # a
    b = {
      url = \"github:o/b\";
      inputs.a.follows = \"a\";
    };
    c = {
      url = \"github:o/c\";
      inputs = {
        x.follows = \"a/x\";
      };
    };
    d = {
      url = \"github:o/d\";
      inputs = {
        x.follows = \"b\";
        x.inputs.y.follows = \"a\";
      };
    };
  };
  inputs.a.flake = false;
  inputs.e.inputs.a.follows = \"a\";
  outputs = { self, a, b, ... }@inputs: { x = b; y = inputs.c; z = f inputs; };
}
";
    check(
        text,
        &remove("a"),
        expect![[r#"
        {
          inputs = {
            b = {
              url = "github:o/b";
            };
            c = {
              url = "github:o/c";
            };
            d = {
              url = "github:o/d";
              inputs = {
                x.follows = "b";
              };
            };
          };
          inputs.e = { };
          outputs = { self, b, ... }@inputs: { x = b; y = inputs.c; z = f inputs; };
        }
        note: NoLongerFollows { path: ["b", "a"], range: 117..120 }
        note: NoLongerFollows { path: ["c", "x"], range: 202..207 }
        note: NoLongerFollows { path: ["d", "x", "y"], range: 332..335 }
        note: NoLongerFollows { path: ["e", "a"], range: 414..417 }
        note: HandedOn(488..494)
    "#]],
    );
    check(
        text,
        &remove("n"),
        expect![[r#"
        unchanged
        note: NoSuchInput("n")
    "#]],
    );
    check(
        text,
        &remove("b"),
        expect![[r#"
        error: the input `b` is still used
          hint: flake.nix:25:47: it is used as a parameter
          hint: remove what uses it first
    "#]],
    );
    check(
        text,
        &remove("self"),
        expect![[r#"
        error: "self" cannot be the name of an input: it stands for the flake itself
    "#]],
    );
}

#[test]
fn what_is_used_stays() {
    let mut out = String::new();
    for outputs in [
        "{ self, a }: { x = a; }",
        "{ self, a, b ? a }: { }",
        "{ self, a }@args: { x = args.a.y; }",
        "i: { x = i.a; y = i ? a; z = i.a or 1; w = (i).\"a\"; v = i.${\"a\"}; }",
        "{ self, ... }@i: { inherit (i) a; }",
        "i: { x = i.${n}; }",
        "i: with i; a",
        "i: with i; { x = with y; a; }",
        "i: with y; with i; [ b ]",
        "{ self, ... }: { x = self.inputs.a; }",
        "i: { x = i.self.inputs.a; }",
        "{ self, ... }: with self.inputs; a",
        "i: { inherit (i.self.inputs) a; }",
        "{ self, ... }: { x = self.${n}; }",
        "{ a, ... }: let a = 1; in a",
        "i: { x = i.b; }",
    ] {
        let text = format!("{{ inputs.a.url = \"path:a\"; outputs = {outputs}; }}");
        out.push_str(&format!("{outputs}\n{}\n", outcome(&text, &remove("a"))));
    }
    expect![[r#"
        { self, a }: { x = a; }
        error: the input `a` is still used
          hint: flake.nix:1:57: it is used as a parameter
          hint: remove what uses it first

        { self, a, b ? a }: { }
        error: the input `a` is still used
          hint: flake.nix:1:53: it is used as a parameter
          hint: remove what uses it first

        { self, a }@args: { x = args.a.y; }
        error: the input `a` is still used
          hint: flake.nix:1:67: it is selected from the inputs
          hint: remove what uses it first

        i: { x = i.a; y = i ? a; z = i.a or 1; w = (i)."a"; v = i.${"a"}; }
        error: the input `a` is still used
          hint: flake.nix:1:49: it is selected from the inputs
          hint: flake.nix:1:60: it is selected from the inputs
          hint: flake.nix:1:69: it is selected from the inputs
          hint: flake.nix:1:85: it is selected from the inputs
          hint: flake.nix:1:96: it is selected from the inputs
          hint: remove what uses it first

        { self, ... }@i: { inherit (i) a; }
        error: the input `a` is still used
          hint: flake.nix:1:69: it is inherited from the inputs
          hint: remove what uses it first

        i: { x = i.${n}; }
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:49: an input with a computed name is used
          hint: look there, and change it in a way that says what is used

        i: with i; a
        error: the input `a` is still used
          hint: flake.nix:1:49: its name is supplied by `with`
          hint: remove what uses it first

        i: with i; { x = with y; a; }
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:63: its name may be supplied by `with`
          hint: look there, and change it in a way that says what is used

        i: with y; with i; [ b ]
        { outputs = i: with y; with i; [ b ]; }
        { self, ... }: { x = self.inputs.a; }
        error: the input `a` is still used
          hint: flake.nix:1:71: it is selected from the inputs
          hint: remove what uses it first

        i: { x = i.self.inputs.a; }
        error: the input `a` is still used
          hint: flake.nix:1:61: it is selected from the inputs
          hint: remove what uses it first

        { self, ... }: with self.inputs; a
        error: the input `a` is still used
          hint: flake.nix:1:71: its name is supplied by `with`
          hint: remove what uses it first

        i: { inherit (i.self.inputs) a; }
        error: the input `a` is still used
          hint: flake.nix:1:67: it is inherited from the inputs
          hint: remove what uses it first

        { self, ... }: { x = self.${n}; }
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:64: an input with a computed name is used
          hint: look there, and change it in a way that says what is used

        { a, ... }: let a = 1; in a
        { outputs = { ... }: let a = 1; in a; }
        i: { x = i.b; }
        { outputs = i: { x = i.b; }; }
    "#]]
    .assert_eq(&out);
}

#[test]
fn inputs_that_are_handed_on_are_told() {
    let mut out = String::new();
    for outputs in [
        "import ./o.nix",
        "inputs: import ./o.nix inputs",
        "{ self, ... }@inputs: { x = { inherit inputs; }; }",
        "{ self, ... }@inputs: { x = inputs // { }; inherit (inputs) self; }",
        "{ self, ... }: { x = f self; y = \"${self}/z\"; inherit (self) inputs packages; }",
    ] {
        let text = format!("{{ inputs.a.url = \"path:a\"; outputs = {outputs}; }}");
        for note in plan(&text, &remove("a")).unwrap().notes {
            let Note::HandedOn(range) = note else { panic!("{note:?}") };
            out.push_str(&format!("{outputs} --- {}\n", &text[range.as_usize()]));
        }
    }
    expect![[r#"
        import ./o.nix --- outputs = import ./o.nix;
        inputs: import ./o.nix inputs --- inputs
        { self, ... }@inputs: { x = { inherit inputs; }; } --- inputs
        { self, ... }@inputs: { x = inputs // { }; inherit (inputs) self; } --- inputs
        { self, ... }@inputs: { x = inputs // { }; inherit (inputs) self; } --- self
        { self, ... }: { x = f self; y = "${self}/z"; inherit (self) inputs packages; } --- self
        { self, ... }: { x = f self; y = "${self}/z"; inherit (self) inputs packages; } --- inputs
    "#]]
    .assert_eq(&out);
}

#[test]
fn an_input_that_only_overrides_stays_declared() {
    let inputs = "{ inputs.a.url = \"path:a\"; inputs.b.inputs.c.follows = \"a\"; outputs = ";
    check(
        &format!("{inputs} i: i.b; }}"),
        &remove("a"),
        expect![[r#"
        { inputs.b = { }; outputs =  i: i.b; }
        note: NoLongerFollows { path: ["b", "c"], range: 55..58 }
    "#]],
    );
    check(
        &format!("{inputs} {{ self, b, ... }}: b; }}"),
        &remove("a"),
        expect![[r#"
        { outputs =  { self, b, ... }: b; }
        note: NoLongerFollows { path: ["b", "c"], range: 55..58 }
    "#]],
    );
}
