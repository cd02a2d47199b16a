//! Renaming inputs.

use expect_test::expect;

use super::*;

fn rename(new: &str) -> Request {
    Request::RenameInput { old: "a".to_owned(), new: new.to_owned(), even_if_handed_on: false }
}

#[test]
fn an_input_is_renamed_wherever_it_is_spoken_of() {
    let text = "{
  inputs.a.url = \"github:o/a\"; # a
  inputs.\"a\".inputs.a.follows = \"c\";
  inputs = {
    a.flake = false;
    b = {
      url = \"github:o/b\";
      inputs.a.follows = \"a\";
      inputs.x.follows = ''a/y/z'';
    };
    c.follows = \"a/c\";
  };
  outputs = { self, a, b ? a, ... }@inputs: let
    inherit (inputs) a b;
    inherit (self.inputs) c;
  in {
    x = { inherit a; inherit (inputs.a) b; y.a = inputs ? a; };
    z = { a }: inputs.\"a\".a or self.inputs.${\"a\"};
    v = with inputs; a;
    w = x: \"${x.a}\";
  };
}
";
    check(
        text,
        &rename("n"),
        expect![[r#"
            {
              inputs.n.url = "github:o/a"; # a
              inputs.n.inputs.a.follows = "c";
              inputs = {
                n.flake = false;
                b = {
                  url = "github:o/b";
                  inputs.a.follows = "n";
                  inputs.x.follows = "n/y/z";
                };
                c.follows = "n/c";
              };
              outputs = { self, n, b ? n, ... }@inputs: let
                inherit (inputs) b;
                a = inputs.n;
                inherit (self.inputs) c;
              in {
                x = { inherit a; inherit (inputs.n) b; y.a = inputs ? n; };
                z = { a }: inputs.n.a or self.inputs.n;
                v = with inputs; a;
                w = x: "${x.a}";
              };
            }
        "#]],
    );
}

#[test]
fn uses_of_parameters_are_renamed() {
    let mut out = String::new();
    for outputs in [
        "{ self, a }: { x = a.y; inherit a; inherit (a) b; }",
        "{ self, a }: [ a a.b (a) \"${a}\" { a = 1; } ]",
        "inputs: with inputs; [ a ]",
        "{ self, ... }: { }",
    ] {
        let text = format!("{{ inputs.a.url = \"path:a\"; outputs = {outputs}; }}");
        out.push_str(&outcome(&text, &rename("long-name")));
        out.push('\n');
    }
    expect![[r#"
        { inputs.long-name.url = "path:a"; outputs = { self, long-name }: { x = long-name.y; a = long-name; inherit (long-name) b; }; }
        { inputs.long-name.url = "path:a"; outputs = { self, long-name }: [ long-name long-name.b (long-name) "${long-name}" { a = 1; } ]; }
        { inputs.long-name.url = "path:a"; outputs = inputs: with inputs; [ long-name ]; }
        { inputs.long-name.url = "path:a"; outputs = { self, ... }: { }; }
    "#]].assert_eq(&out);
}

#[test]
fn what_cannot_be_known_is_refused() {
    let mut out = String::new();
    for (outputs, new) in [
        ("i: { x = i.${n}; }", "n"),
        ("i: with i; with y; a", "n"),
        ("i: f i", "n"),
        ("{ self, a }: { inherit self; }", "n"),
        ("import ./o.nix", "n"),
        ("{ self, a }: let n = 1; in a", "n"),
        ("{ self, a }: (let n = 1; in n) a", "n"),
        ("{ self, a }: n: a", "n"),
        ("{ self, a }: rec { n = 1; x = a; }", "n"),
        ("{ self, a }: a map", "map"),
        ("{ self, a }: with a; n", "n"),
        ("{ self, a }@n: a", "n"),
        ("{ self, a }: a", "in"),
        ("i: i.a", "in"),
        ("i: with i; a", "map"),
        ("i: with i; let n = 1; in a", "n"),
        ("{ self, n }: 1", "n"),
        ("{ self, a }: a", "self"),
        ("{ self, a }: a", "x y"),
        ("{ self, a }: a", "a"),
    ] {
        let text = format!("{{ inputs.a.url = \"path:a\"; outputs = {outputs}; }}");
        out.push_str(&format!("{outputs} / {new}\n{}\n", outcome(&text, &rename(new))));
    }
    for inputs in ["", "a = { };", "a.inputs.b.follows = \"\";", "b.url = \"path:b\";"] {
        let text = format!("{{ inputs = {{ {inputs} }}; outputs = {{ self, ... }}: {{ }}; }}");
        out.push_str(&format!("{inputs}\n{}\n", outcome(&text, &rename("n"))));
    }
    expect![[r#"
        i: { x = i.${n}; } / n
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:49: an input with a computed name is used
          hint: look there, and change it in a way that says what is used

        i: with i; with y; a / n
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:57: its name may be supplied by `with`
          hint: look there, and change it in a way that says what is used

        i: f i / n
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:43: the inputs are handed on as a whole
          hint: look there, and change it in a way that says what is used

        { self, a }: { inherit self; } / n
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:61: the inputs are handed on as a whole
          hint: look there, and change it in a way that says what is used

        import ./o.nix / n
        error: it cannot be told whether the input `a` is used
          hint: flake.nix:1:28: the inputs are handed on as a whole
          hint: look there, and change it in a way that says what is used

        { self, a }: let n = 1; in a / n
        error: `n` means something else where the input is used
          hint: flake.nix:1:65: here
          hint: take another name

        { self, a }: (let n = 1; in n) a / n
        { inputs.n.url = "path:a"; outputs = { self, n }: (let n = 1; in n) n; }
        { self, a }: n: a / n
        error: `n` means something else where the input is used
          hint: flake.nix:1:54: here
          hint: take another name

        { self, a }: rec { n = 1; x = a; } / n
        error: `n` means something else where the input is used
          hint: flake.nix:1:68: here
          hint: take another name

        { self, a }: a map / map
        error: `map` is used for something else in `outputs`
          hint: flake.nix:1:53: it is used here
          hint: take another name

        { self, a }: with a; n / n
        error: `n` is used for something else in `outputs`
          hint: flake.nix:1:59: it is used here
          hint: take another name

        { self, a }@n: a / n
        error: `n` means something else where the input is used
          hint: flake.nix:1:50: here
          hint: take another name

        { self, a }: a / in
        error: "in" cannot be the name of an input: `outputs` uses the input as a parameter, and this is no name there

        i: i.a / in
        { inputs."in".url = "path:a"; outputs = i: i."in"; }
        i: with i; a / map
        error: `map` means something else where the input is used
          hint: flake.nix:1:49: here
          hint: take another name

        i: with i; let n = 1; in a / n
        error: `n` means something else where the input is used
          hint: flake.nix:1:63: here
          hint: take another name

        { self, n }: 1 / n
        error: there is another `n` already
          hint: flake.nix:1:46: it is here

        { self, a }: a / self
        error: "self" cannot be the name of an input: it stands for the flake itself

        { self, a }: a / x y
        error: "x y" cannot be the name of an input: letters, digits, `_` and `-` are allowed, and a letter comes first

        { self, a }: a / a
        unchanged


        error: there is no input `a`

        a = { };
        error: the input `n` would have no source but what a registry has under its name
          hint: flake.nix:1:14: it is told here
          hint: give it a URL instead, or remove it

        a.inputs.b.follows = "";
        error: the input `n` would have no source but what a registry has under its name
          hint: flake.nix:1:14: it is told here
          hint: give it a URL instead, or remove it

        b.url = "path:b";
        error: there is no input `a`

    "#]].assert_eq(&out);
}

#[test]
fn other_files_are_left_to_who_asks_for_it() {
    let text = "{ inputs.a.url = \"path:a\"; outputs = { a, ... }@inputs: { x = { inherit a inputs; }; }; }";
    let request =
        Request::RenameInput { old: "a".to_owned(), new: "n".to_owned(), even_if_handed_on: true };
    check(
        text,
        &request,
        expect![[r#"
        { inputs.n.url = "path:a"; outputs = { n, ... }@inputs: { x = { inherit inputs; a = n; }; }; }
        note: HandedOn(74..80)
    "#]],
    );
}
