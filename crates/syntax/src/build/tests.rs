use expect_test::{Expect, expect};

use super::*;
use crate::ast::{AttrSet, Entry, Expr, file_expr};
use crate::literal::{attr_name, float_value, int_value, static_string};
use crate::testing::{Random, real_nix};
use crate::{Node, NodeKind};

fn check(value: &Value, want: Expect) {
    let text = value.render(0).unwrap_or_else(|error| format!("error: {error}"));
    want.assert_eq(&format!("{text}\n"));
}

/// Pieces of strings that are hard to write.
const PIECES: &[&str] = &[
    " ", "  ", "a", "b", "\n", "\n", "\n  ", "\r", "\r\n", "\t", "$", "${", "${a}", "$$", "{", "}",
    "'", "''", "'''", "\"", "\\", "\\n", "\u{1}", "\u{7f}", "é", "𝄞", "\u{feff}", "#", "/*",
    "''\\", "\u{2028}",
];

fn value_of(text: &str) -> String {
    let parse = parse(text);
    assert!(parse.problems.is_empty(), "{text:?}: {:?}", parse.problems);
    static_string(file_expr(&parse.tree).unwrap()).unwrap().into_owned()
}

#[test]
fn strings_read_back_as_they_were() {
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let text = random.text(PIECES, 10);
        assert_eq!(value_of(&quote_string(&text)), text);
        for indent in [0, 3] {
            let built = indented_string(&text, indent);
            assert_eq!(value_of(&built), text, "{built}");
        }
    }
}

#[test]
fn every_short_string_of_marks_reads_back() {
    let marks = ["'", "$", "{", "\n", " ", "\r", "\\", "a"];
    let mut texts = vec![String::new()];
    for _ in 0..5 {
        texts = texts
            .iter()
            .flat_map(|text| marks.iter().map(move |mark| format!("{text}{mark}")))
            .collect();
        for text in &texts {
            assert_eq!(value_of(&quote_string(text)), *text);
            assert_eq!(value_of(&indented_string(text, 2)), *text);
        }
    }
}

#[test]
fn names_are_quoted_only_where_they_must_be() {
    let names =
        ["a", "or", "if", "inherit", "a-b", "a'", "_", "1a", "", "a b", "a.b", "é", "${x}", "-a"];
    let mut out = String::new();
    for name in names {
        let text = attr_name_text(name);
        let parse = parse(format!("{{ {text} = 1; }}"));
        assert!(parse.problems.is_empty());
        let path = parse.tree.nodes().find(|node| node.kind() == NodeKind::AttrPath).unwrap();
        assert_eq!(attr_name(path.child(0).unwrap()).as_deref(), Some(name));
        out.push_str(&text);
        out.push('\n');
    }
    expect![[r#"
        a
        or
        "if"
        "inherit"
        a-b
        a'
        _
        "1a"
        ""
        "a b"
        "a.b"
        "é"
        "\${x}"
        "-a"
    "#]]
    .assert_eq(&out);
}

#[test]
fn values_are_laid_out() {
    check(
        &Value::attrs([
            ("enable", Value::Bool(true)),
            ("my site", Value::attrs([("root", Value::Path("./www".to_owned()))])),
            ("ports", Value::list([80, -1])),
            ("script", "cd $out\n  echo ${x}\n".into()),
            (
                "list",
                Value::list([
                    "a long element of a list",
                    "another long element",
                    "and a last long one",
                ]),
            ),
            ("raw", Value::Raw("pkgs.hello // x".to_owned())),
            (
                "fns",
                Value::List(vec![Value::Raw("x: x".to_owned()), Value::Raw("a.b or c".to_owned())]),
            ),
            ("none", Value::List(Vec::new())),
            ("set", Value::attrs([("a", Value::Null), ("b", Value::attrs::<&str>([]))])),
        ]),
        expect![[r#"
            {
              enable = true;
              "my site" = { root = ./www; };
              ports = [ 80 (-1) ];
              script = ''
                cd $out
                  echo ''${x}
              '';
              list = [ "a long element of a list" "another long element" "and a last long one" ];
              raw = pkgs.hello // x;
              fns = [ (x: x) a.b or c ];
              none = [ ];
              set = {
                a = null;
                b = { };
              };
            }
        "#]],
    );
}

#[test]
fn numbers_without_a_plain_literal() {
    let texts = [i64::MIN, i64::MAX, -5].map(|value| Value::Int(value).render_element(0).unwrap());
    expect!["(-9223372036854775807 - 1) 9223372036854775807 (-5)"].assert_eq(&texts.join(" "));
    let floats = [1.0, -2.5, 1e21, 1e-7, f64::MAX, f64::MIN_POSITIVE, 0.0, -0.0, 0.1];
    let texts = floats.map(|value| Value::Float(value).render(0).unwrap());
    expect!["1.0 -2.5 1.0e21 1.0e-7 1.7976931348623157e308 2.2250738585072014e-308 0.0 -0.0 0.1"]
        .assert_eq(&texts.join(" "));
}

#[test]
fn a_comment_at_the_end_swallows_nothing() {
    check(
        &Value::attrs([("a", Value::Raw("1 # one".to_owned()))]),
        expect![[r#"
        {
          a = (1 # one
        );
        }
    "#]],
    );
    check(
        &Value::list([Value::Raw("f x /* y */".to_owned())]),
        expect![[r#"
        [ (f x /* y */) ]
    "#]],
    );
}

#[test]
fn what_has_no_text_is_refused() {
    check(
        &Value::from("a\0b"),
        expect![[r#"
        error: a Nix string cannot hold a NUL byte
    "#]],
    );
    check(
        &Value::attrs([("\0", Value::Null)]),
        expect![[r#"
        error: a Nix string cannot hold a NUL byte
    "#]],
    );
    check(
        &Value::Float(f64::NAN),
        expect![[r#"
        error: Nix has no literal for the number NaN
    "#]],
    );
    check(
        &Value::Float(1e-310),
        expect![[r#"
        error: Nix has no literal for the number 1e-310
    "#]],
    );
    check(
        &Value::Path("./a b".to_owned()),
        expect![[r#"
        error: "./a b" is not a path literal
    "#]],
    );
    check(
        &Value::Path("./a/".to_owned()),
        expect![[r#"
        error: "./a/" is not a path literal
    "#]],
    );
    check(
        &Value::Raw("a = 1".to_owned()),
        expect![[r#"
        error: "a = 1" is not an expression: unexpected `=` behind the expression
    "#]],
    );
    check(
        &Value::Raw("".to_owned()),
        expect![[r#"
        error: "" is not an expression: expected an expression, found the end of the file
    "#]],
    );
    check(
        &Value::attrs([("a", Value::Null), ("a", Value::Null)]),
        expect![[r#"
        error: the attribute "a" is given twice
    "#]],
    );
    let deep = (0..2000).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    check(
        &deep,
        expect![[r#"
        error: the value is nested more than 500 levels deep
    "#]],
    );
}

/// Reads a value back from the tree.
fn read(node: Node<'_>) -> Value {
    match Expr::cast(node).unwrap() {
        Expr::Ident(ident) if ident.name() == "null" => Value::Null,
        Expr::Ident(ident) => Value::Bool(ident.name() == "true"),
        Expr::Literal(_) => match int_value(node) {
            Some(value) => Value::Int(value),
            None => Value::Float(float_value(node).unwrap()),
        },
        Expr::Unary(unary) => match read(unary.operand().unwrap()) {
            Value::Int(value) => Value::Int(-value),
            Value::Float(value) => Value::Float(-value),
            other => other,
        },
        Expr::Paren(paren) => read(paren.inner().unwrap()),
        Expr::Str(string) => Value::Str(string.static_value().unwrap().into_owned()),
        Expr::Path(path) => Value::Path(path.static_text().unwrap().to_owned()),
        Expr::List(list) => Value::List(list.elements().map(read).collect()),
        Expr::AttrSet(set) => Value::Attrs(read_attrs(set)),
        other => panic!("{other:?}"),
    }
}

fn read_attrs(set: AttrSet<'_>) -> Vec<(String, Value)> {
    set.entries()
        .map(|entry| match entry {
            Entry::Binding(binding) => {
                let name = binding.attr_path().unwrap().elements().next().unwrap().name().unwrap();
                (name.into_owned(), read(binding.value().unwrap()))
            }
            Entry::Inherit(inherit) => panic!("{inherit:?}"),
        })
        .collect()
}

fn random_value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 9 }) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => Value::Int((random.next() as i64) >> random.below(63)),
        3 => Value::Float(random.next() as f64 / 1e9 * 10f64.powi(random.below(40) as i32 - 20)),
        4 | 5 => Value::Str(random.text(PIECES, 8)),
        6 => Value::list((0..random.below(4)).map(|_| random_value(random, depth - 1))),
        _ => {
            let mut names: Vec<_> = (0..random.below(4)).map(|_| random.text(PIECES, 3)).collect();
            names.sort();
            names.dedup();
            Value::attrs(names.into_iter().map(|name| (name, random_value(random, depth - 1))))
        }
    }
}

#[test]
fn values_read_back_as_they_were() {
    let mut random = Random::new(3);
    for round in 0..3000 {
        let value = random_value(&mut random, 4);
        let text = value.render(round % 5).unwrap();
        let parse = parse(text.as_str());
        assert!(parse.problems.is_empty(), "{text}\n{:?}", parse.problems);
        assert_eq!(read(file_expr(&parse.tree).unwrap()), value, "{text}");
    }
}

/// The value as real Nix shows it.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Str(text) => text.as_str().into(),
        Value::List(elements) => elements.iter().map(json).collect(),
        Value::Attrs(attrs) => {
            attrs.iter().map(|(name, value)| (name.clone(), json(value))).collect()
        }
        _ => serde_json::Value::Null,
    }
}

#[test]
fn real_nix_reads_the_same_values() {
    let mut random = Random::new(4);
    let value = Value::list((0..1500).map(|_| without_floats(random_value(&mut random, 3))));
    let Some(found) = real_nix(&value.render(0).unwrap()) else { return };
    assert_eq!(found, json(&value));
}

/// Nix prints floats with less than all of their digits, so they cannot be compared.
fn without_floats(value: Value) -> Value {
    match value {
        Value::Float(_) => Value::Null,
        Value::List(elements) => Value::list(elements.into_iter().map(without_floats)),
        Value::Attrs(attrs) => {
            Value::attrs(attrs.into_iter().map(|(name, value)| (name, without_floats(value))))
        }
        other => other,
    }
}
