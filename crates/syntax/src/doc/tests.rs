use expect_test::{Expect, expect};

use super::*;
use crate::parse;

/// Shows the doc comments of all nodes that are meant to have some.
fn check(source: &str, want: Expect) {
    let parse = parse(source);
    let mut out = String::new();
    for node in parse.tree.nodes() {
        let what = match node.kind() {
            NodeKind::Root => "file".to_owned(),
            NodeKind::Binding | NodeKind::Formal | NodeKind::Inherit => {
                node.text().lines().next().unwrap().to_owned()
            }
            NodeKind::Name if node.parent().unwrap().kind() == NodeKind::Inherit => {
                node.text().to_owned()
            }
            NodeKind::Lambda => format!("{}:", node.child(0).unwrap().text()),
            _ => continue,
        };
        if let Some(doc) = doc_comment(node) {
            assert!(
                !doc.text.contains('\r') && source[doc.range.as_usize()].starts_with(['/', '#'])
            );
            out.push_str(&format!("{what} -- {:?} {:?}\n", doc.style, doc.text));
        }
    }
    want.assert_eq(&out);
}

#[test]
fn a_doc_comment_reaches_from_the_binding_into_its_functions() {
    check(
        "{ /** Adds. */ add = (x: y: x + y); }",
        expect![[r#"
        add = (x: y: x + y); -- Doc "Adds."
        x: -- Doc "Adds."
        y: -- Doc "Adds."
    "#]],
    );
}

#[test]
fn the_innermost_doc_comment_wins() {
    check(
        "{ /** a */ f = /** b */ x: /** c */ y: z: 1; }",
        expect![[r#"
        f = /** b */ x: /** c */ y: z: 1; -- Doc "b"
        x: -- Doc "b"
        y: -- Doc "c"
        z: -- Doc "c"
    "#]],
    );
}

#[test]
fn other_comments_may_stand_between() {
    check(
        "{ /** doc */ # note\n  /* more */\n\n a = 1; }",
        expect![[r#"
        a = 1; -- Doc "doc"
    "#]],
    );
    check(
        "{ /** old */ /** new */ a = 1; }",
        expect![[r#"
        a = 1; -- Doc "new"
    "#]],
    );
}

#[test]
fn neither_empty_comments_nor_boxes_are_doc_comments() {
    check("{ x = 1; /**/ a = 1; /*** box ***/ b = 2; /** */ c = 3; }", expect![""]);
}

#[test]
fn values_parameters_and_inherits() {
    check(
        "{ /** p */ a ? 1, # q\n  b }: { c = /** r */ 1; inherit /** s */ d; /** t */ inherit e; }",
        expect![[r#"
            a ? 1 -- Doc "p"
            c = /** r */ 1; -- Doc "r"
            d -- Doc "s"
            inherit e; -- Doc "t"
        "#]],
    );
}

#[test]
fn indentation_goes() {
    check(
        "{\n  /**\n    One.\n\n      two\n    three  \n  */\n  a = 1;\n}",
        expect![[r#"
        a = 1; -- Doc "One.\n\n  two\nthree"
    "#]],
    );
    check(
        "{\r\n  /** One.\r\n      two\r\n        three */\r\n  a = 1;\r\n}",
        expect![[r#"
        a = 1; -- Doc "One.\ntwo\n  three"
    "#]],
    );
    check(
        "{\n  /** One.\n\n      two */\n  a = 1;\n}",
        expect![[r#"
        a = 1; -- Doc "One.\n\ntwo"
    "#]],
    );
}

#[test]
fn older_forms_stand_directly_above() {
    check(
        "{\n  /* One\n     two */\n  a = 1;\n  # three\n  #   four\n  b = 2;\n}",
        expect![[r#"
        a = 1; -- Block "One\ntwo"
        b = 2; -- Lines "three\n  four"
    "#]],
    );
    check(
        "{\n  /* One\n   * two\n   *\n   * three\n   */\n  a = 1;\n}",
        expect![[r#"
        a = 1; -- Block "One\ntwo\n\nthree"
    "#]],
    );
    check(
        "{\n  ### One ###\n  a = 1; # of a\n  b = 2;\n  # lost\n\n  c = 3;\n}",
        expect![[r#"
        a = 1; -- Lines "One ###"
    "#]],
    );
    check(
        "{\n  # far\n\n  # near\n  a = x: 1;\n}",
        expect![[r#"
        a = x: 1; -- Lines "near"
        x: -- Lines "near"
    "#]],
    );
}

#[test]
fn a_file_has_its_first_comment() {
    check(
        "#! shell\n# A file.\n{ }",
        expect![[r#"
        file -- Lines "A file."
    "#]],
    );
    check(
        "/** A file. */ { lib }: 1",
        expect![[r#"
        file -- Doc "A file."
        { lib }: -- Doc "A file."
    "#]],
    );
    check("# Licence\n\n{ lib }: 1", expect![""]);
}

#[test]
fn broken_code_has_comments_too() {
    check(
        "{ /** a */ a = ; # b\n b",
        expect![[r#"
        a = ; -- Doc "a"
    "#]],
    );
    check("/** never closed", expect![""]);
    check("# x\n", expect![""]);
}
