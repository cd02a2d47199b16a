use cim_nix_base::apply_edits;
use expect_test::{Expect, expect};

use super::*;
use crate::{NodeKind, parse};

mod random;

type Edits = Result<Vec<TextEdit>, EditError>;

/// The text after an edit, or why there is none.
fn outcome(source: &str, edit: impl FnOnce(&Tree) -> Edits) -> String {
    let parse_before = parse(source);
    match edit(&parse_before.tree) {
        Err(error) => format!("error: {error}\n"),
        Ok(edits) => {
            let after = apply_edits(source, &edits).unwrap();
            let parse_after = parse(after.as_str());
            if parse_before.problems.is_empty() {
                assert!(parse_after.problems.is_empty(), "{after}\n{:?}", parse_after.problems);
            }
            after
        }
    }
}

fn split(path: &str) -> Vec<&str> {
    path.split('.').filter(|name| !name.is_empty()).collect()
}

fn set(source: &str, path: &str, value: &str) -> String {
    outcome(source, |tree| set_attr(tree, file_set(tree).unwrap_or(NodeId(0)), &split(path), value))
}

fn check_set(source: &str, path: &str, value: &str, want: Expect) {
    want.assert_eq(&set(source, path, value));
}

fn check_remove(source: &str, path: &str, want: Expect) {
    let after = outcome(source, |tree| {
        remove_attr(tree, file_set(tree).unwrap_or(NodeId(0)), &split(path))
    });
    want.assert_eq(&after);
}

/// The first node of a kind.
fn first(tree: &Tree, kind: NodeKind) -> NodeId {
    tree.nodes().find(|node| node.kind() == kind).map_or(NodeId(0), |node| node.id())
}

// Setting attributes that are there.

#[test]
fn a_value_is_replaced() {
    check_set("{ a = 1; b = 2; }", "a", "x: x", expect!["{ a = x: x; b = 2; }"]);
    check_set(
        "{ a.b = /* old */ 1 /* one */; }",
        "a.b",
        "3",
        expect!["{ a.b = /* old */ 3 /* one */; }"],
    );
    check_set("{ a = { b.c = 1; }; }", "a.b.c", "2", expect!["{ a = { b.c = 2; }; }"]);
    check_set(
        "{ a.b = ({ \"c\" = 1; }); }",
        "a.b.c",
        "2",
        expect![[r#"{ a.b = ({ "c" = 2; }); }"#]],
    );
    check_set("{ ${\"a\"} = 1; }", "a", "2", expect![[r#"{ ${"a"} = 2; }"#]]);
    check_set("x: let y = 1; in { a = 1; }", "a", "2", expect!["x: let y = 1; in { a = 2; }"]);
}

#[test]
fn several_definitions_become_one() {
    check_set(
        "{\n  a.b = 1;\n  c = 2;\n  a.d = 3; # gone\n}",
        "a",
        "4",
        expect![[r#"
        {
          a = 4;
          c = 2;
        }"#]],
    );
    check_set("{ a = { b = 1; }; x = 1; a.c = 2; }", "a", "null", expect!["{ a = null; x = 1; }"]);
}

#[test]
fn an_inherited_name_becomes_a_binding() {
    check_set("{ inherit a; }", "a", "1", expect!["{ a = 1; }"]);
    check_set(
        "{\n  inherit (x) a b c; # some\n  d = 1;\n}",
        "b",
        "1",
        expect![[r#"
        {
          inherit (x) a c; # some
          b = 1;
          d = 1;
        }"#]],
    );
}

#[test]
fn values_of_several_lines_are_indented() {
    check_set(
        "{\n  a = {\n    b = 1;\n  };\n}",
        "a.b",
        "''\n  x\n\n    y\n''",
        expect![[r#"
        {
          a = {
            b = ''
              x

                y
            '';
          };
        }"#]],
    );
    check_set(
        "{\n  a = 1;\n}",
        "b",
        "{\n  c = \"x\n  y\";\n  # d\n}",
        expect![[r#"
        {
          a = 1;
          b = {
            c = "x
          y";
            # d
          };
        }"#]],
    );
    check_set(
        "{\n\ta = 1;\n}",
        "b",
        "[\n  ''\n    x\n  ''\n]",
        expect![[r#"
        {
        	a = 1;
        	b = [
        	  ''
            x
          ''
        	];
        }"#]],
    );
}

// Adding attributes.

#[test]
fn a_new_attribute_goes_to_the_end() {
    check_set("{ a = 1; }", "b", "2", expect!["{ a = 1; b = 2; }"]);
    check_set(
        "{\n  a = 1; # one\n}\n",
        "b",
        "2",
        expect![[r#"
        {
          a = 1; # one
          b = 2;
        }
    "#]],
    );
    check_set(
        "{\n  a = 1;\n\n  b = 2;\n}\n",
        "c",
        "3",
        expect![[r#"
        {
          a = 1;

          b = 2;

          c = 3;
        }
    "#]],
    );
    check_set(
        "{\n  a = 1;\n  # end\n}\n",
        "b",
        "2",
        expect![[r#"
        {
          a = 1;
          b = 2;
          # end
        }
    "#]],
    );
    check_set(
        "{ a = 1;\n  b = 2; }",
        "c",
        "3",
        expect![[r#"
        { a = 1;
          b = 2;
          c = 3; }"#]],
    );
    check_set("rec { a=1;}", "b", "2", expect!["rec { a=1; b = 2;}"]);
}

#[test]
fn empty_sets_are_filled() {
    check_set("{ }", "a", "1", expect!["{ a = 1; }"]);
    check_set("{}", "a", "1", expect!["{ a = 1; }"]);
    check_set(
        "{\n}",
        "a",
        "1",
        expect![[r#"
        {
          a = 1;
        }"#]],
    );
    check_set(
        "x:\n  {\n    # nothing\n  }",
        "a",
        "1",
        expect![[r#"
            x:
              {
                # nothing

                a = 1;
              }"#]],
    );
    check_set("{ /* nothing */ }", "a", "1", expect!["{ a = 1; /* nothing */ }"]);
    check_set(
        "{ }",
        "a",
        "{\n  b = 1;\n}",
        expect![[r#"
        {
          a = {
            b = 1;
          };
        }"#]],
    );
}

#[test]
fn a_new_attribute_joins_its_siblings() {
    check_set(
        "{\n  a.b = 1;\n\n  a.c = 1;\n\n  z = 1;\n}",
        "a.d",
        "2",
        expect![[r#"
        {
          a.b = 1;

          a.c = 1;

          a.d = 2;

          z = 1;
        }"#]],
    );
    check_set(
        "{\n  a.b.x = 1;\n  a.c = 1;\n\n  z = 1;\n}",
        "a.b.y",
        "2",
        expect![[r#"
        {
          a.b.x = 1;
          a.b.y = 2;
          a.c = 1;

          z = 1;
        }"#]],
    );
    check_set(
        "{\n  a = {\n    b = 1;\n  };\n  c = 1;\n}",
        "a.d.e",
        "2",
        expect![[r#"
        {
          a = {
            b = 1;
            d.e = 2;
          };
          c = 1;
        }"#]],
    );
    check_set(
        "{ a = { }; a.b.c = 1; }",
        "a.b.d",
        "2",
        expect!["{ a = { }; a.b.c = 1; a.b.d = 2; }"],
    );
    check_set(
        "{ a = { b = { }; }; a.b.c = 1; }",
        "a.b.d",
        "2",
        expect!["{ a = { b = { d = 2; }; }; a.b.c = 1; }"],
    );
}

#[test]
fn new_paths_are_dotted_or_nested_like_the_others() {
    check_set(
        "{\n  a.x = 1;\n}",
        "b.c.d",
        "2",
        expect![[r#"
        {
          a.x = 1;
          b.c.d = 2;
        }"#]],
    );
    check_set(
        "{\n  a = {\n    x = 1;\n  };\n}",
        "b.c.d",
        "2",
        expect![[r#"
        {
          a = {
            x = 1;
          };
          b = {
            c = {
              d = 2;
            };
          };
        }"#]],
    );
    check_set(
        "{ a = { x = 1; }; }",
        "b.c.d",
        "2",
        expect!["{ a = { x = 1; }; b = { c = { d = 2; }; }; }"],
    );
    check_set("{ a = 1; }", "my site.if.c", "2", expect![[r#"{ a = 1; "my site"."if".c = 2; }"#]]);
}

#[test]
fn a_let_takes_bindings_too() {
    let set = |source: &str| {
        outcome(source, |tree| set_attr(tree, first(tree, NodeKind::LetIn), &["b"], "2"))
    };
    expect!["let a = 1; b = 2; in a"].assert_eq(&set("let a = 1; in a"));
    expect![[r#"
        let
          a = 1;
          b = 2;
        in
        a"#]]
    .assert_eq(&set("let\n  a = 1;\nin\na"));
    expect!["let b = 2; in a"].assert_eq(&set("let in a"));
    expect![[r#"
        let
          b = 2;
        in a"#]]
    .assert_eq(&set("let\nin a"));
}

#[test]
fn windows_line_ends_stay() {
    let after = set("{\r\n  a = 1;\r\n}\r\n", "b", "{\n  c = 1;\n  d = ''\n    x\n  '';\n}");
    expect![[r#"
        "{\r\n  a = 1;\r\n  b = {\r\n    c = 1;\r\n    d = ''\n      x\n    '';\r\n  };\r\n}\r\n"
    "#]]
    .assert_eq(&format!("{after:?}\n"));
}

#[test]
fn what_cannot_be_set_is_refused() {
    check_set(
        "{ }",
        "a\0",
        "1",
        expect![[r#"
        error: "a\0" cannot be a name here
    "#]],
    );
    check_set(
        "{ a = import ./a; }",
        "a.b",
        "1",
        expect![[r#"
        error: `a` gets its value at bytes 2..17 from something other than a set written out, so nothing can be set in it
    "#]],
    );
    check_set(
        "{ inherit a; }",
        "a.b",
        "1",
        expect![[r#"
        error: `a` gets its value at bytes 10..11 from something other than a set written out, so nothing can be set in it
    "#]],
    );
    check_set(
        "{ }",
        "",
        "1",
        expect![[r#"
        error: the attribute path is empty
    "#]],
    );
    check_set(
        "{ }",
        "a",
        "1; b = 2",
        expect![[r#"
        error: "1; b = 2" is not an expression: unexpected `;` behind the expression
    "#]],
    );
    check_set(
        "{ a = ; }",
        "a",
        "1",
        expect![[r#"
        error: the code at bytes 2..7 does not parse; correct it first
    "#]],
    );
    check_set(
        "{ a = 1 }",
        "b",
        "1",
        expect![[r#"
        error: the code at bytes 0..9 does not parse; correct it first
    "#]],
    );
    check_set(
        "[ ]",
        "b",
        "1",
        expect![[r#"
        error: bytes 0..3 are not a set or `let`
    "#]],
    );
}

// Removing.

#[test]
fn a_binding_goes_with_its_comments() {
    check_remove(
        "{\n  # of a\n  # too\n  a = 1; # one\n  # of b\n  b = 2;\n}",
        "a",
        expect![[r#"
        {
          # of b
          b = 2;
        }"#]],
    );
    check_remove(
        "{\n  x = 1; # of x\n  /** doc */\n  a = 1;\n}",
        "a",
        expect![[r#"
        {
          x = 1; # of x
        }"#]],
    );
    check_remove(
        "{\n  # far\n\n  a = 1;\n}",
        "a",
        expect![[r#"
        {
          # far
        }"#]],
    );
    check_remove("{ a = 1; /* b */ b = 2; c = 3; }", "b", expect!["{ a = 1; c = 3; }"]);
}

#[test]
fn blank_lines_close_up() {
    check_remove(
        "{\n  a = 1;\n\n  b = 2;\n\n  c = 3;\n}",
        "b",
        expect![[r#"
        {
          a = 1;

          c = 3;
        }"#]],
    );
    check_remove(
        "{\n  a = 1;\n\n  b = 2;\n  c = 3;\n}",
        "b",
        expect![[r#"
        {
          a = 1;

          c = 3;
        }"#]],
    );
    check_remove(
        "{\n  a = 1;\n\n  b = 2;\n}",
        "b",
        expect![[r#"
        {
          a = 1;
        }"#]],
    );
    check_remove(
        "{\n  a = 1;\n\n  b = 2;\n}",
        "a",
        expect![[r#"
        {
          b = 2;
        }"#]],
    );
}

#[test]
fn the_last_binding_leaves_an_empty_set() {
    check_remove("{ a = 1; }", "a", expect!["{ }"]);
    check_remove("{a=1;}", "a", expect!["{}"]);
    check_remove(
        "{\n  a = 1;\n}",
        "a",
        expect![[r#"
        {
        }"#]],
    );
    check_remove("{ a = { b = 1; }; }", "a.b", expect!["{ a = { }; }"]);
}

#[test]
fn all_definitions_of_an_attribute_go() {
    check_remove(
        "{\n  a.b = 1;\n  c = 1;\n  a.d.e = 2;\n  inherit x;\n}",
        "a",
        expect![[r#"
        {
          c = 1;
          inherit x;
        }"#]],
    );
    check_remove("{ a = { b.c = 1; b.d = 2; e = 3; }; }", "a.b", expect!["{ a = { e = 3; }; }"]);
    check_remove(
        "{ a = 1; }",
        "b",
        expect![[r#"
        error: there is no `b` here
    "#]],
    );
}

#[test]
fn names_go_out_of_an_inherit() {
    check_remove("{ inherit a b c; }", "b", expect!["{ inherit a c; }"]);
    check_remove("{ inherit (x) a b; }", "a", expect!["{ inherit (x) b; }"]);
    check_remove("{ inherit \"a\"b\"c\"; }", "b", expect![[r#"{ inherit "a" "c"; }"#]]);
    check_remove(
        "{\n  inherit (x)\n    a # of a\n    b\n    ;\n}",
        "a",
        expect![[r#"
        {
          inherit (x)
            b
            ;
        }"#]],
    );
    check_remove("{ inherit (x) a; b = 1; }", "a", expect!["{ b = 1; }"]);
}

#[test]
fn tokens_do_not_run_together() {
    let remove =
        |source: &str| outcome(source, |tree| remove_binding(tree, first(tree, NodeKind::Binding)));
    expect!["let in b"].assert_eq(&remove("let a=1;in b"));
    expect!["let in b"].assert_eq(&remove("let\n# c\na=1;in b"));
    expect!["let in b"].assert_eq(&remove("let/**/a=1;in b"));
}

// Lists.

#[test]
fn elements_are_added() {
    let add = |source: &str, at: Option<usize>, element: &str| {
        outcome(source, |tree| insert_in_list(tree, first(tree, NodeKind::List), at, element))
    };
    let mut out = String::new();
    for (source, at) in [
        ("[ ]", None),
        ("[]", Some(3)),
        ("[\n]", None),
        ("[ a b ]", None),
        ("[ a b ]", Some(0)),
        ("[ a b ]", Some(1)),
        ("[a\"b\"c]", Some(2)),
        ("{\n  l = [\n    a # of a\n    b\n  ];\n}", None),
        ("{\n  l = [\n    # of a\n    a # of a\n    b\n  ];\n}", Some(0)),
        ("{\n  l = [\n    a # of a\n    b\n  ];\n}", Some(1)),
        ("[\n  a b\n  c d\n]", None),
    ] {
        out.push_str(&add(source, at, "f x"));
        out.push('\n');
    }
    expect![[r#"
        [ (f x) ]
        [ (f x) ]
        [
          (f x)
        ]
        [ a b (f x) ]
        [ (f x) a b ]
        [ a (f x) b ]
        [a"b" (f x) c]
        {
          l = [
            a # of a
            b
            (f x)
          ];
        }
        {
          l = [
            (f x)
            # of a
            a # of a
            b
          ];
        }
        {
          l = [
            a # of a
            (f x)
            b
          ];
        }
        [
          a b
          c d (f x)
        ]
    "#]]
    .assert_eq(&out);
    expect![[r#"
        [
          1
          {
            a = 1;
          }
        ]"#]]
    .assert_eq(&add("[\n  1\n]", None, "{\n  a = 1;\n}"));
    expect![[r#"
        error: "1 2 ]" is not an expression: unexpected `]` behind the expression
    "#]]
    .assert_eq(&add("[ ]", None, "1 2 ]"));
    expect![[r#"
        error: bytes 0..3 are not a list
    "#]]
    .assert_eq(&add("{ }", None, "1"));
}

#[test]
fn elements_are_removed() {
    let remove = |source: &str, at: usize| {
        outcome(source, |tree| remove_from_list(tree, first(tree, NodeKind::List), at))
    };
    expect!["[ a c ]"].assert_eq(&remove("[ a b c ]", 1));
    expect!["[ ]"].assert_eq(&remove("[ a ]", 0));
    expect!["[a c]"].assert_eq(&remove("[a\"b\"c]", 1));
    expect![[r#"
        [
          a # of a
          c
        ]"#]]
    .assert_eq(&remove("[\n  a # of a\n  # of b\n  b # too\n  c\n]", 1));
    expect![[r#"
        [
          a b
          d
        ]"#]]
    .assert_eq(&remove("[\n  a b\n  c d\n]", 2));
    expect![[r#"
        error: there is no `element 1` here
    "#]]
    .assert_eq(&remove("[ a ]", 1));
}

// Parameters.

#[test]
fn parameters_are_added() {
    let add = |source: &str, default: Option<&str>| {
        outcome(source, |tree| add_formal(tree, first(tree, NodeKind::Pattern), "new", default))
    };
    let mut out = String::new();
    for source in [
        "{ }: 1",
        "{}: 1",
        "{\n}: 1",
        "{ ... }: 1",
        "{\n  ...\n}@args: 1",
        "{ a, b }: 1",
        "{ a, b, }: 1",
        "{ a ? 1, ... }: 1",
        "{\n  a,\n  b, # of b\n  ...\n}: 1",
        "{\n  a,\n  b # of b\n}: 1",
        "{\n  a,\n  b,\n}: 1",
        "{ a\n, b # of b\n, ...\n}: 1",
        "{ a # of a\n, ...\n}: 1",
        "{ a\n, b, ... }: 1",
        "{ a # of a\n}: 1",
        "{ a, # of a\n  ... }: 1",
        "{ a\n}: 1",
    ] {
        out.push_str(&add(source, None));
        out.push('\n');
    }
    expect![[r#"
        { new }: 1
        { new }: 1
        {
          new
        }: 1
        { new, ... }: 1
        {
          new,
          ...
        }@args: 1
        { a, b, new }: 1
        { a, b, new, }: 1
        { a ? 1, new, ... }: 1
        {
          a,
          b, # of b
          new,
          ...
        }: 1
        {
          a,
          b, # of b
          new
        }: 1
        {
          a,
          b,
          new,
        }: 1
        { a
        , b # of b
        , new
        , ...
        }: 1
        { a # of a
        , new
        , ...
        }: 1
        { a
        , b, new, ... }: 1
        { a # of a
          , new
        }: 1
        { a, # of a
          new,
          ... }: 1
        { a, new
        }: 1
    "#]]
    .assert_eq(&out);
    expect!["{ a, new ? x: y }: 1"].assert_eq(&add("{ a }: 1", Some("x: y")));
    expect![[r#"
        error: `new` is there already
    "#]]
    .assert_eq(&add("{ new ? 1 }: 1", None));
    expect!["{ a, b c, new }: 1"].assert_eq(&add("{ a, b c }: 1", None));
    let named = |name| {
        outcome("{ a }@all: 1", |tree| add_formal(tree, first(tree, NodeKind::Pattern), name, None))
    };
    expect![[r#"
        error: `all` is there already
        error: "in" cannot be a name here
        error: "a b" cannot be a name here
    "#]]
    .assert_eq(&[named("all"), named("in"), named("a b")].concat());
}

#[test]
fn parameters_are_removed() {
    let remove = |source: &str| {
        outcome(source, |tree| remove_formal(tree, first(tree, NodeKind::Pattern), "a"))
    };
    let mut out = String::new();
    for source in [
        "{ a }: 1",
        "{ a, b }: 1",
        "{ a ? 1, ... }@x: 1",
        "{ b, a }: 1",
        "{ b, a, }: 1",
        "{ b, a, ... }: 1",
        "{\n  a, # of a\n  b,\n}: 1",
        "{\n  b, # of b\n  # of a\n  a # too\n}: 1",
        "{ a # of a\n, b\n}: 1",
        "{ a\n  # of b\n, b\n}: 1",
        "{ b\n, a # of a\n, ...\n}: 1",
        "{ b\n, a\n}: 1",
        "{ b }: 1",
    ] {
        out.push_str(&remove(source));
        out.push('\n');
    }
    expect![[r#"
        { }: 1
        { b }: 1
        { ... }@x: 1
        { b }: 1
        { b, }: 1
        { b, ... }: 1
        {
          b,
        }: 1
        {
          b # of b
        }: 1
        { b
        }: 1
        { 
          # of b
        b
        }: 1
        { b
        , ...
        }: 1
        { b
        }: 1
        error: there is no `a` here

    "#]]
    .assert_eq(&out);
}

// Replacing and renaming.

#[test]
fn a_replaced_expression_gets_parentheses_where_it_needs_them() {
    let replace = |source: &str, text: &str| {
        outcome(source, |tree| {
            let hole = tree.nodes().find(|node| node.text() == "HOLE").unwrap();
            replace_node(tree, hole.id(), text)
        })
    };
    let mut out = String::new();
    for source in [
        "HOLE",
        "[ HOLE ]",
        "f HOLE",
        "HOLE.a",
        "a.b or HOLE",
        "-HOLE",
        "1+HOLE",
        "HOLE ? a",
        "\"${HOLE}\"",
    ] {
        for text in ["f x", "a.b or c", "x: y", "1 + 2", "[ ]"] {
            out.push_str(&replace(source, text));
            out.push_str("   ");
        }
        out.push('\n');
    }
    expect![[r#"
        f x   a.b or c   x: y   1 + 2   [ ]   
        [ (f x) ]   [ a.b or c ]   [ (x: y) ]   [ (1 + 2) ]   [ [ ] ]   
        f (f x)   f a.b or c   f (x: y)   f (1 + 2)   f [ ]   
        (f x).a   (a.b or c).a   (x: y).a   (1 + 2).a   [ ].a   
        a.b or (f x)   a.b or (a.b or c)   a.b or (x: y)   a.b or (1 + 2)   a.b or [ ]   
        -f x   -a.b or c   -(x: y)   -(1 + 2)   -[ ]   
        1+f x   1+a.b or c   1+(x: y)   1+(1 + 2)   1+[ ]   
        f x ? a   a.b or c ? a   (x: y) ? a   (1 + 2) ? a   [ ] ? a   
        "${f x}"   "${a.b or c}"   "${x: y}"   "${1 + 2}"   "${[ ]}"   
    "#]]
    .assert_eq(&out);
    expect![[r#"
        [ (1 # one
        ) ]"#]]
    .assert_eq(&replace("[ HOLE ]", "1 # one"));
    expect!["a/**/(b c)"].assert_eq(&replace("a/**/HOLE", "b c"));
    expect!["{ a.b = 1; }"].assert_eq(&replace("{ HOLE = 1; }", "a.b"));
    expect![[r#"
        error: the code at bytes 2..6 does not parse; correct it first
    "#]]
    .assert_eq(&replace("{ HOLE = 1; }", "a = b"));
}

/// Renames `x` to `new`; `«x»` marks a definition and `‹x›` a use.
fn renamed(marked: &str, new: &str) -> String {
    let mut occurrences = Vec::new();
    let mut source = String::new();
    let mut start = 0;
    for c in marked.chars() {
        match c {
            '«' | '‹' => start = source.len() as u32,
            '»' | '›' => occurrences.push(Occurrence {
                range: TextRange::new(start, source.len() as u32),
                role: if c == '»' { Role::Definition } else { Role::Use },
            }),
            other => source.push(other),
        }
    }
    outcome(&source, |tree| rename(tree, &occurrences, new))
}

#[test]
fn variables_and_attributes_are_renamed() {
    expect![[r#"let new = 1; in new + "${new}""#]]
        .assert_eq(&renamed("let «x» = 1; in ‹x› + \"${‹x›}\"", "new"));
    expect!["new: { a ? new }: new"].assert_eq(&renamed("«x»: { a ? ‹x› }: ‹x›", "new"));
    expect!["{ new, y ? new }: new"].assert_eq(&renamed("{ «x», y ? ‹x› }: ‹x›", "new"));
    expect!["{ new ? 1 }@a: new"].assert_eq(&renamed("{ «x» ? 1 }@a: ‹x›", "new"));
    expect!["{ }@new: new"].assert_eq(&renamed("{ }@«x»: ‹x›", "new"));
    expect![[r#"let s = { "a b" = 1; }; in s."a b" or s.${"a b"} ? "a b""#]].assert_eq(&renamed(
        "let s = { «\"x\"» = 1; }; in s.‹x› or s.${‹\"x\"›} ? ‹${\"x\"}›",
        "a b",
    ));
}

#[test]
fn an_inherit_becomes_a_binding() {
    expect!["let new = 1; in { x = new; }"]
        .assert_eq(&renamed("let «x» = 1; in { inherit ‹x›; }", "new"));
    expect![[r#"
        new: {
          inherit a b; # some
          x = new;
        }"#]]
    .assert_eq(&renamed("«x»: {\n  inherit a ‹x› b; # some\n}", "new"));
    expect!["let inherit (lib) y; new = lib.x; in new"]
        .assert_eq(&renamed("let inherit (lib) «x» y; in ‹x›", "new"));
    expect!["let new = a.b.x; in new"].assert_eq(&renamed("let inherit (a.b) «x»; in ‹x›", "new"));
    expect!["let new = (a.b or c).x; in new"]
        .assert_eq(&renamed("let inherit (a.b or c) «x»; in ‹x›", "new"));
    expect!["rec { x = lib.new; new = 1; }"]
        .assert_eq(&renamed("rec { inherit (lib) ‹x›; new = 1; }", "new"));
    expect!["let new = x; in new"].assert_eq(&renamed("let inherit «x»; in ‹x›", "new"));
}

#[test]
fn names_keep_apart_from_what_they_touch() {
    expect!["ab :c"].assert_eq(&renamed("«a_b»:c", "ab"));
    expect!["a': [ a /b ]"].assert_eq(&renamed("a': [ ‹a'›/b ]", "a"));
}

#[test]
fn what_cannot_be_renamed_is_refused() {
    expect![[r#"
        error: "a b" cannot be a name here
    "#]]
    .assert_eq(&renamed("let «x» = 1; in ‹x›", "a b"));
    expect![[r#"
        error: `y` is there already
    "#]]
    .assert_eq(&renamed("let «x» = 1; y = 2; in ‹x›", "y"));
    expect![[r#"
        error: `y` is there already
    "#]]
    .assert_eq(&renamed("«x»: rec { inherit ‹x›; y = 1; }", "y"));
    expect![[r#"
        error: there is no name at bytes 2..3 to change
    "#]]
    .assert_eq(&renamed("x ‹+› 1", "y"));
}
