use expect_test::{Expect, expect};

use crate::parse;

fn check(text: &str, want: Expect) {
    let parse = parse(text);
    let mut out = parse.tree.dump();
    for problem in &parse.problems {
        out.push_str(&format!("{:?} {}: {}\n", problem.range, problem.code, problem.message));
    }
    want.assert_eq(&out);
}

#[test]
fn smoke() {
    check(
        "{ a.b = 1; c = x: x + 2 * 3; }",
        expect![[r#"
        Root@0..30
          AttrSet@0..30
            Binding@2..10
              AttrPath@2..5
                Name@2..3 "a"
                Name@4..5 "b"
              Literal@8..9 "1"
            Binding@11..28
              AttrPath@11..12
                Name@11..12 "c"
              Lambda@15..27
                Param@15..16 "x"
                Binary@18..27
                  Ident@18..19 "x"
                  Binary@22..27
                    Literal@22..23 "2"
                    Literal@26..27 "3"
    "#]],
    );
    check(
        "let a = [ 1 (2) ./x \"a${b}c\" ]; in a.b or c",
        expect![[r#"
        Root@0..43
          LetIn@0..43
            Binding@4..31
              AttrPath@4..5
                Name@4..5 "a"
              List@8..30
                Literal@10..11 "1"
                Paren@12..15
                  Literal@13..14 "2"
                Path@16..19 "./x"
                Str@20..28
                  Interpol@22..26
                    Ident@24..25 "b"
            Select@35..43
              Ident@35..36 "a"
              AttrPath@37..38
                Name@37..38 "b"
              Ident@42..43 "c"
    "#]],
    );
    check(
        "{ a, b ? 1, ... } @ args: -a -> !b + 1 == 2",
        expect![[r#"
        Root@0..43
          Lambda@0..43
            Pattern@0..24
              Formal@2..3 "a"
              Formal@5..10
                Literal@9..10 "1"
              PatBind@18..24 "@ args"
            Binary@26..43
              Unary@26..28
                Ident@27..28 "a"
              Binary@32..43
                Unary@32..38
                  Binary@33..38
                    Ident@33..34 "b"
                    Literal@37..38 "1"
                Literal@42..43 "2"
    "#]],
    );
    check(
        "{ a = ; b = foo.\n c = 1; d = [ 1 2; e = (1; f = 1 }",
        expect![[r#"
            Root@0..51
              AttrSet@0..51
                Binding@2..7
                  AttrPath@2..3
                    Name@2..3 "a"
                  Error@5..5
                Binding@8..16
                  AttrPath@8..9
                    Name@8..9 "b"
                  Select@12..16
                    Ident@12..15 "foo"
                    AttrPath@16..16
                      Error@16..16
                Binding@18..24
                  AttrPath@18..19
                    Name@18..19 "c"
                  Literal@22..23 "1"
                Binding@25..35
                  AttrPath@25..26
                    Name@25..26 "d"
                  List@29..34
                    Literal@31..32 "1"
                    Literal@33..34 "2"
                Binding@36..43
                  AttrPath@36..37
                    Name@36..37 "e"
                  Paren@40..42
                    Literal@41..42 "1"
                Binding@44..49
                  AttrPath@44..45
                    Name@44..45 "f"
                  Literal@48..49 "1"
            6..7 SYN001: expected an expression, found `;`
            16..16 SYN001: expected an attribute name, found a name
            34..34 SYN001: expected `]`, found `;`
            42..42 SYN001: expected `)`, found `;`
            49..49 SYN001: expected `;`, found `}`
        "#]],
    );
}

#[test]
fn a_binding_may_break_its_line_behind_a_dot() {
    assert!(parse("{ a.\nb.\nc = 1; }").problems.is_empty());
    assert_eq!(parse("{ a = b.\nc.d = 1; }").problems.len(), 1);
}
