use expect_test::{Expect, expect};

use super::*;

fn shown(path: Res<AttributePath>) -> String {
    path.map_or_else(|error| error.to_string(), |path| format!("{:?}", path.segments))
}

fn check(text: &str, want: Expect) {
    want.assert_eq(&shown(AttributePath::parse(text)));
}

#[test]
fn names_stand_as_in_nix_code() {
    check("", expect!["[]"]);
    check("a", expect![[r#"["a"]"#]]);
    check("packages.x86_64-linux.hello", expect![[r#"["packages", "x86_64-linux", "hello"]"#]]);
    check(r#"a."b.c".d"#, expect![[r#"["a", "b.c", "d"]"#]]);
    check(r#""".a"#, expect![[r#"["", "a"]"#]]);
    check(
        r#""\"\\\n\q$$${\${""#,
        expect!["attribute path '\"\\\"\\\\\\n\\q$$${\\${\"': a computed name at byte 11"],
    );
    check(r#""\"\\\n\q$${\${$""#, expect![[r#"["\"\\\nq$${${$"]"#]]);
    check("\"a\r\nb\rc\"", expect![[r#"["a\nb\nc"]"#]]);
    check("python3.12.é|", expect![[r#"["python3", "12", "é|"]"#]]);
}

#[test]
fn what_is_no_path_is_refused() {
    check(".", expect!["attribute path '.': a name is missing at byte 0"]);
    check("a..b", expect!["attribute path 'a..b': a name is missing at byte 2"]);
    check("a.", expect!["attribute path 'a.': a name is missing at byte 2"]);
    check(r#"a."b"#, expect![[r#"attribute path 'a."b': unclosed quote at byte 2"#]]);
    check(r#"a."b\"#, expect![[r#"attribute path 'a."b\': unclosed quote at byte 2"#]]);
    check(r#"a."b\""#, expect![[r#"attribute path 'a."b\"': unclosed quote at byte 2"#]]);
    check(r#"a"b""#, expect![[r#"attribute path 'a"b"': a quote inside a name at byte 1"#]]);
    check(
        r#""a"b"#,
        expect![[r#"attribute path '"a"b': a dot was expected behind the quotes at byte 3"#]],
    );
    check("a.${b}", expect!["attribute path 'a.${b}': a computed name at byte 2"]);
    check(r#""a${b}""#, expect![[r#"attribute path '"a${b}"': a computed name at byte 2"#]]);
}

/// Selection paths, and what Nix 2.34.8 looks up for them.
#[test]
fn selections_are_read_as_nix_does() {
    let check = |text: &str, want: Expect| {
        want.assert_eq(&shown(AttributePath::parse_selection(text)));
    };
    check("", expect!["[]"]);
    check(r#"a."b.c".d"#, expect![[r#"["a", "b.c", "d"]"#]]);
    check("a..b", expect![[r#"["a", "", "b"]"#]]);
    check(".a", expect![[r#"["", "a"]"#]]);
    check("a.", expect![[r#"["a"]"#]]);
    check(r#"a."""#, expect![[r#"["a"]"#]]);
    check(r#"x\y"#, expect![[r#"["x\\y"]"#]]);
    check(r#""q"r"#, expect![[r#"["qr"]"#]]);
    check(r#"a"."b"#, expect![[r#"["a.b"]"#]]);
    check(r#"a b.${c}"#, expect![[r#"["a b", "${c}"]"#]]);
    check(r#"a."é"b"#, expect![[r#"["a", "éb"]"#]]);
    check(r#"a.b"c"#, expect![[r#"attribute path 'a.b"c': unclosed quote at byte 3"#]]);
    check(r#""a"b""#, expect![[r#"attribute path '"a"b"': unclosed quote at byte 4"#]]);
}

#[test]
fn quotes_are_printed_where_they_must_be() {
    let names =
        ["or", "if", "a'-1", "_", "1a", "a.b", "", "é", "${x}", "$$${", "\"\\\n\r\t", "a b"];
    expect![[r#"or."if".a'-1._."1a"."a.b".""."é"."\${x}"."$$\${"."\"\\\n\r\t"."a b""#]]
        .assert_eq(&AttributePath::new(names).to_string());
    let selection = |names: &[&str]| AttributePath::new(names.iter().copied()).to_selection();
    assert_eq!(selection(&["", "if", "a.b", "é c"]).as_deref(), Some(r#""".if."a.b".é c"#));
    assert_eq!(selection(&["a", ""]).as_deref(), Some("a.."));
    assert_eq!(selection(&["a", "b\"c"]), None);
}

fn some_path(random: &mut fastrand::Rng) -> AttributePath {
    const PIECES: [&str; 16] =
        ["a", "B1", "if", ".", "\"", "\\", "$", "{", "${", "\n", "\r", "\t", "é", " ", "-", "'"];
    let n_names = random.usize(..4);
    AttributePath::new((0..n_names).map(|_| {
        let n_pieces = random.usize(..4);
        (0..n_pieces).map(|_| PIECES[random.usize(..PIECES.len())]).collect::<String>()
    }))
}

#[test]
fn what_is_printed_is_read_again() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut n_typed = 0;
    for _ in 0..4_000 {
        let path = some_path(&mut random);
        assert_eq!(AttributePath::parse(&path.to_string()).as_ref(), Ok(&path));
        if let Some(typed) = path.to_selection() {
            n_typed += 1;
            assert_eq!(AttributePath::parse_selection(&typed).as_ref(), Ok(&path), "{typed}");
        }
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<AttributePath>(&json).unwrap(), path);
    }
    assert!(n_typed > 1_000, "too few paths can be typed");
}

#[test]
fn both_forms_are_read_from_json() {
    let read = |json: &str| match serde_json::from_str::<AttributePath>(json) {
        Ok(path) => serde_json::to_string(&path).unwrap(),
        Err(error) => error.to_string(),
    };
    expect![[r#"{"segments":["a","b.c"]}"#]].assert_eq(&read(r#"{"segments":["a","b.c"]}"#));
    expect![[r#"{"segments":["a","b.c"]}"#]].assert_eq(&read(r#""a.\"b.c\"""#));
    expect!["attribute path 'a..b': a name is missing at byte 2"].assert_eq(&read(r#""a..b""#));
    expect!["an attribute path is a text or has a list of 'segments'"].assert_eq(&read("7"));
}

#[test]
fn paths_lead_through_others() {
    let path = AttributePath::new(["a", "b"]);
    assert_eq!(path.parent(), Some(AttributePath::new(["a"])));
    assert_eq!(AttributePath::default().parent(), None);
    assert_eq!(path.child("c.d").name(), Some("c.d"));
    assert_eq!(path.join(&AttributePath::new(["c"])), AttributePath::new(["a", "b", "c"]));
    assert!(path.starts_with(&AttributePath::new(["a"])));
    assert!(!AttributePath::new(["ab"]).starts_with(&AttributePath::new(["a"])));
}
