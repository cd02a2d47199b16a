//! Formatting, from text to text.

use cim_nix_syntax::parse;
use expect_test::{Expect, expect};

use super::*;

fn official(text: &str) -> Result<String, Failure> {
    nixfmt(text, Options::default())
}

#[track_caller]
fn refused(before: &str, after: &str, want: Expect) {
    let answer = Gate::default().format(before, "mine", |_| Ok(after.to_owned()));
    want.assert_eq(&match answer {
        Ok(_) => "passed".to_owned(),
        Err(Refusal::Broken(problems)) => format!("broken: {:?}", problems[0].message),
        Err(Refusal::Formatter(finding)) => {
            let place = &before[finding.range.as_usize()];
            format!("{} at {:?} {place:?}: {}", finding.code, finding.range, finding.message)
        }
    });
}

#[test]
fn what_does_not_pass_says_why() {
    refused(
        "[ 1 2 ] |> f",
        "[ 1 2 ] | > f",
        expect![[
            r#"FMT003 at 8..8 "": mine would break the syntax: unexpected an unknown character behind the expression"#
        ]],
    );
    refused(
        "''\n  a \n''",
        "''\n  a\n''",
        expect![[
            r#"FMT001 at 0..10 "''\n  a \n''": mine would change the meaning: the value of a string changed: the line "a " became "a""#
        ]],
    );
    refused(
        "# why\n1",
        "1",
        expect![[r##"FMT002 at 0..5 "# why": mine would lose a part of this comment"##]],
    );
    refused(
        "{ a = 1; }",
        "{ a = 2; }",
        expect![[r#"FMT001 at 6..7 "1": mine would change the meaning: `1` became `2`"#]],
    );
    refused("{ a = 1 }", "{ a = 1; }", expect![[r#"broken: "expected `;`, found `}`""#]]);
    refused("{a=1;}", "{ a = 1; }", expect![["passed"]]);
}

#[test]
fn a_failure_has_its_place() {
    let answer = Gate::default().format("{ a, a }: 1", "nixfmt", official);
    let Err(Refusal::Formatter(finding)) = answer else { panic!("{answer:?}") };
    expect!["5..5 nixfmt cannot format this file: duplicate formal function argument 'a'"]
        .assert_eq(&format!("{:?} {}", finding.range, finding.message));
}

#[test]
fn unchanged_text_has_no_edits() {
    let formatted = Gate::default().format("{ a = 1; }\n", "nixfmt", official).unwrap();
    assert!(!formatted.is_changed() && formatted.edits().is_empty());
    assert_eq!(formatted.text(), formatted.before());
}

#[test]
fn some_lines_are_formatted() {
    let text = "{\na=1;\nb=2;\nc=''\n x\n'';\n}\n";
    let mut gate = Gate::default();
    let formatted = gate.format(text, "nixfmt", official).unwrap();
    let mut only = |lines| {
        let edits = gate.edits_within(&formatted, &[lines], "nixfmt").unwrap();
        apply_edits(text, &edits).unwrap()
    };
    assert_eq!(only(2..=2), "{\na=1;\n  b = 2;\nc=''\n x\n'';\n}\n");
    assert_eq!(only(4..=4), "{\na=1;\nb=2;\nc=''\n    x\n  '';\n}\n");
    assert_eq!(only(0..=6), formatted.text());
}

/// Pieces that make up code when they are joined in any order.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "a",
    "b",
    "or",
    ".",
    "=",
    ";",
    ":",
    "?",
    "@",
    ",",
    "...",
    "1",
    "1.5",
    "\"",
    "''",
    "${",
    "}",
    "\n",
    "  ",
    "\t",
    "\r\n",
    "# c\n",
    "/* d */",
    "/** e */",
    "let",
    "in",
    "rec",
    "with",
    "assert",
    "if",
    "then",
    "else",
    "inherit",
    "+",
    "-",
    "->",
    "++",
    "//",
    "|>",
    "<|",
    "!",
    "==",
    "./a",
    "<n>",
    "http://x.y",
    "''$",
    "\\",
    "λ",
    "'''",
];

/// Code of bounded depth that parses more often than not.
fn expression(random: &mut fastrand::Rng, depth: u32, out: &mut String) {
    const GAPS: &[&str] =
        &[" ", "\n", "  \n\n", " # c\n", " /* d */ ", "\n  /** e\n  f */\n", "\t"];
    let gap = |random: &mut fastrand::Rng, out: &mut String| {
        out.push_str(if random.u8(..4) > 0 { " " } else { GAPS[random.usize(..GAPS.len())] });
    };
    let kind = if depth == 0 { random.u8(..6) } else { random.u8(..16) };
    match kind {
        0 => out.push('a'),
        1 => out.push_str("12"),
        2 => out.push_str("\"x\\n\ty\""),
        3 => out.push_str("''\n    x\n  \ty \n     ''${z}\n  ''"),
        4 => out.push_str("./p/q"),
        5 => out.push_str("{ }"),
        6 | 7 => {
            out.push('{');
            for name in ["a", "b.c", "\"d e\""].into_iter().take(random.usize(..4)) {
                gap(random, out);
                out.push_str(name);
                gap(random, out);
                out.push('=');
                gap(random, out);
                expression(random, depth - 1, out);
                gap(random, out);
                out.push(';');
            }
            gap(random, out);
            out.push('}');
        }
        8 | 9 => {
            out.push('[');
            for _ in 0..random.u8(..4) {
                gap(random, out);
                out.push('(');
                gap(random, out);
                expression(random, depth - 1, out);
                gap(random, out);
                out.push(')');
            }
            gap(random, out);
            out.push(']');
        }
        10 => {
            out.push_str("(f");
            gap(random, out);
            out.push('(');
            expression(random, depth - 1, out);
            out.push_str("))");
        }
        11 => {
            out.push_str("({ a, b ? ");
            expression(random, depth - 1, out);
            gap(random, out);
            out.push_str(", ... }@c:");
            gap(random, out);
            expression(random, depth - 1, out);
            out.push(')');
        }
        12 => {
            out.push_str("(let a =");
            gap(random, out);
            expression(random, depth - 1, out);
            out.push_str("; in");
            gap(random, out);
            expression(random, depth - 1, out);
            out.push(')');
        }
        13 => {
            out.push_str("''\n  x ${");
            gap(random, out);
            expression(random, depth - 1, out);
            out.push_str("}\n y''");
        }
        14 => {
            out.push_str("(if a then");
            gap(random, out);
            expression(random, depth - 1, out);
            out.push_str(" else");
            gap(random, out);
            expression(random, depth - 1, out);
            out.push(')');
        }
        _ => {
            out.push('(');
            expression(random, depth - 1, out);
            gap(random, out);
            out.push_str(["+", "++", "//", "->", "&&"][random.usize(..5)]);
            gap(random, out);
            expression(random, depth - 1, out);
            out.push(')');
        }
    }
}

#[test]
fn generated_code_keeps_its_meaning() {
    let mut gate = Gate::default();
    let mut random = fastrand::Rng::with_seed(1);
    let mut n_formatted = 0;
    for _ in 0..600 {
        let mut text = String::new();
        expression(&mut random, 4, &mut text);
        assert!(parse(&*text).problems.is_empty(), "{text}");
        let formatted = match gate.format(&*text, "nixfmt", official) {
            Ok(formatted) => formatted,
            Err(refusal) => panic!("{refusal:?}\n{text}"),
        };
        n_formatted += usize::from(formatted.is_changed());
        assert_eq!(apply_edits(&text, &formatted.edits()).unwrap(), formatted.text(), "{text}");
        let n_lines = text.matches('\n').count() as u32 + 1;
        let line = random.u32(..n_lines);
        // Refused or not: it must not panic, and what it gives must fit.
        if let Ok(edits) = gate.edits_within(&formatted, &[line..=line], "nixfmt") {
            assert!(apply_edits(&text, &edits).is_ok(), "{text}");
        }
    }
    assert!(n_formatted > 300, "{n_formatted}");
}

#[test]
fn soup_never_panics() {
    let mut gate = Gate::default();
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..3000 {
        let text: String =
            (0..random.usize(..12)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        let Ok(formatted) = gate.format(&*text, "nixfmt", official) else { continue };
        assert_eq!(apply_edits(&text, &formatted.edits()).unwrap(), formatted.text(), "{text}");
    }
}
