use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::testing::{Random, real_nix, real_nix_accepts};
use crate::{NodeKind, Tree, parse};

fn expression(tree: &Tree) -> Node<'_> {
    tree.root().child(0).unwrap()
}

/// The value of a string, with `«x»` for an interpolated `x`.
fn value(node: Node<'_>) -> String {
    string_parts(node)
        .iter()
        .map(|part| match part {
            StrPart::Text(text) => text.to_string(),
            StrPart::Interpol(inner) => format!("«{}»", inner.child(0).unwrap().text()),
        })
        .collect()
}

fn check(text: &str, want: Expect) {
    let parse = parse(text);
    let mut out = String::new();
    for part in string_parts(expression(&parse.tree)) {
        match part {
            StrPart::Text(text) => writeln!(out, "{text:?}").unwrap(),
            StrPart::Interpol(node) => writeln!(out, "{}", node.text()).unwrap(),
        }
    }
    want.assert_eq(&out);
}

#[test]
fn escapes_of_quoted_strings() {
    check(
        r#""a\n\r\t\\\"\x\${y}$\{z$$""#,
        expect![[r#"
        "a\n\r\t\\\"x${y}${z$$"
    "#]],
    );
    check(
        "\"a\rb\r\nc\\\rd\"",
        expect![[r#"
        "a\nb\nc\rd"
    "#]],
    );
    check(
        r#""${a}b${c}""#,
        expect![[r#"
        ${a}
        "b"
        ${c}
    "#]],
    );
    check(r#""""#, expect![[r#""#]]);
}

#[test]
fn escapes_of_indented_strings() {
    check(
        r"''a''$b'''c''\n''\d$e$${f}'g''",
        expect![[r#"
        "a$b''c\nd$e$${f}'g"
    "#]],
    );
    check(
        "''a$''",
        expect![[r#"
        "a$"
    "#]],
    );
    check(
        "''a'${b}$''${c}''",
        expect![[r#"
        "a'"
        ${b}
        "$${c}"
    "#]],
    );
}

#[test]
fn indentation_is_the_least_of_all_lines_with_content() {
    check(
        "''\n    a\n      b\n\n   \n    c\n  ''",
        expect![[r#"
        "a\n  b\n\n\nc\n"
    "#]],
    );
    check(
        "''a\n  b''",
        expect![[r#"
        "a\n  b"
    "#]],
    );
    check(
        "''\n  \ta\n   b''",
        expect![[r#"
        "\ta\n b"
    "#]],
    );
    check(
        "''\n    a\n  ${b}\n    c''",
        expect![[r#"
        "  a\n"
        ${b}
        "\n  c"
    "#]],
    );
}

#[test]
fn an_escape_ends_the_indentation_of_its_line() {
    check(
        "''\n    a\n  ''\\n  b\n''",
        expect![[r#"
        "  a\n\nb\n"
    "#]],
    );
    // Even an escaped space goes when it stands at the start of a line.
    check(
        "''\n  a\n  b''\\n''\\ c''",
        expect![[r#"
        "a\nb\nc"
    "#]],
    );
}

#[test]
fn first_and_last_line() {
    check(
        "''  \n  a\n  ''",
        expect![[r#"
        "a\n"
    "#]],
    );
    check(
        "''  \r\n  a\r\n  ''",
        expect![[r#"
        "\r\na\r\n"
    "#]],
    );
    check("''   ''", expect![""]);
    check(
        "''\n   ${a}\n   ''",
        expect![[r#"
        ${a}
        "\n"
    "#]],
    );
    check(
        "''a\n  ${b}  ''",
        expect![[r#"
        "a\n  "
        ${b}
        "  "
    "#]],
    );
}

#[test]
fn text_without_surprises_is_borrowed() {
    for text in ["\"abc\"", "''abc''", "''\n  abc\n''", "''abc $d 'e' f\n''"] {
        let parse = parse(text);
        let parts = string_parts(expression(&parse.tree));
        assert!(matches!(parts.as_slice(), [StrPart::Text(Cow::Borrowed(_))]), "{text}: {parts:?}");
    }
}

#[test]
fn only_strings_without_interpolation_are_static() {
    let of = |text: &str| static_string(expression(&parse(text).tree)).map(Cow::into_owned);
    assert_eq!(of(r#""a\nb""#).as_deref(), Some("a\nb"));
    assert_eq!(of("''''").as_deref(), Some(""));
    assert_eq!(of(r#""a${b}""#), None);
    assert_eq!(of("a"), None);
}

/// Attribute names that stay what they are, and whether Nix knows them while it parses.
const NAMES: &[(&str, Option<&str>)] = &[
    ("a", Some("a")),
    ("or", Some("or")),
    (r#""a\tb""#, Some("a\tb")),
    (r#""""#, Some("")),
    (r#"${"a"}"#, Some("a")),
    ("${''a''}", Some("a")),
    ("${''''}", Some("")),
    ("${''\n  a\n''}", Some("a\n")),
    (r#"${((("a")))}"#, Some("a")),
    ("${x:y}", Some("x:y")),
    (r#"${''${("a")}''}"#, Some("a")),
    (r#"${"${"a"}"}"#, None),
    (r#""${"a"}""#, None),
    ("${''a''$b''}", None),
    ("${''a$''}", None),
    (r#"${"a" + "b"}"#, None),
];

#[test]
fn names_of_attributes() {
    for (source, want) in NAMES {
        let parse = parse(format!("{{ {source} = 1; }}"));
        let path = parse.tree.nodes().find(|node| node.kind() == NodeKind::AttrPath).unwrap();
        assert_eq!(attr_name(path.child(0).unwrap()).as_deref(), *want, "{source}");
    }
}

#[test]
fn paths_numbers_and_uris() {
    let parse = parse("[ ./a/b /c/${d}/e~ <f/g> 42 99999999999999999999 1.5e3 .5 2. 1.0e999 x:y ]");
    let mut out = String::new();
    for node in expression(&parse.tree).children() {
        let parts = path_parts(node);
        let path = search_path(node);
        let (int, float) = (int_value(node), float_value(node));
        writeln!(out, "{} {parts:?} {path:?} {int:?} {float:?} {:?}", node.text(), uri(node))
            .unwrap();
    }
    expect![[r#"
        ./a/b [Text("./a/b")] None None None None
        /c/${d}/e [Text("/c/"), Interpol(Interpol@11..15), Text("/e")] None None None None
        ~ [] None None None None
        <f/g> [] Some("f/g") None None None
        42 [] None Some(42) None None
        99999999999999999999 [] None None None None
        1.5e3 [] None None Some(1500.0) None
        .5 [] None None Some(0.5) None
        2. [] None None Some(2.0) None
        1.0e999 [] None None None None
        x:y [] None None None Some("x:y")
    "#]]
    .assert_eq(&out);
}

#[test]
fn broken_literals_have_values_still() {
    for text in ["\"a", "\"a\\", "''a", "''a''\\", "''$", "''a ${", "\"a${b", "./a${", "<a", "''"] {
        for node in parse(text).tree.nodes() {
            let _ = (string_parts(node), path_parts(node), attr_name(node), search_path(node));
            let _ = (int_value(node), float_value(node), static_string(node), uri(node));
        }
    }
}

const QUOTED: &[&str] = &[
    " ", "a", "\n", "\r", "\r\n", "\t", "$", "$$", "\\n", "\\r", "\\t", "\\\\", "\\\"", "\\$",
    "\\{", "{", "}", "'", "''", "\\\n", "\\\r", "é", "\\é", "${x}", "$\\${", "𝄞", "#", "/*",
];
const INDENTED: &[&str] = &[
    " ", "  ", "    ", "a", "b ", "\n", "\n", "\n  ", "\n    ", "\r", "\r\n", "\t", "$", "$$",
    "''$", "''${", "'''", "''\\n", "''\\ ", "''\\t", "''\\\\", "''\\$", "''\\'", "''\\\n", "'",
    "'${x}", "${x}", "\\", "\\n", "\"", "{", "é", "''\\é", "$''$", "#",
];

#[test]
fn real_nix_computes_the_same_values() {
    let mut random = Random::new(1);
    let mut sources = Vec::new();
    let mut want = Vec::new();
    while sources.len() < 4000 {
        let (quote, pieces) = random.pick(&[("\"", QUOTED), ("''", INDENTED)]);
        let text = format!("{quote}{}{quote}", random.text(pieces, 14));
        let parse = parse(text.as_str());
        let node = expression(&parse.tree);
        // Random text often ends the string early.
        if parse.problems.is_empty() && matches!(node.kind(), NodeKind::Str | NodeKind::IndStr) {
            want.push(value(node));
            sources.push(text);
        }
    }
    let all = sources.join("\n");
    let Some(found) = real_nix(&format!("let x = \"«x»\"; in [\n{all}\n]")) else { return };
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), sources.len());
    for ((source, ours), theirs) in sources.iter().zip(&want).zip(found) {
        assert_eq!(ours, theirs.as_str().unwrap(), "{source:?}");
    }
}

#[test]
fn real_nix_knows_the_same_names() {
    for (source, want) in NAMES {
        // Nix refuses names in a `let` that it does not know while it parses.
        let Some(known) = real_nix_accepts(&format!("let {source} = 1; in 1")) else { return };
        assert_eq!(known, want.is_some(), "{source}");
        let Some(name) = want else { continue };
        let names = real_nix(&format!("builtins.attrNames {{ {source} = 1; }}"));
        assert_eq!(names, Some(serde_json::json!([name])), "{source}");
    }
}
