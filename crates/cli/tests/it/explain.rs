//! `explain`.

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

#[test]
fn pages_by_code_and_name() {
    let sandbox = Sandbox::new("");
    let by_code = stdout(&sandbox.run("explain DEAD001"));
    assert!(
        by_code.starts_with("DEAD001 unused-binding\nwarning, on by default, safe fix\n\n"),
        "{by_code}"
    );
    assert!(by_code.contains("\nWhy it matters\n"));
    assert!(!by_code.contains("```") && !by_code.contains("## "));
    assert_eq!(by_code, stdout(&sandbox.run("explain unused-binding")));
    assert_eq!(by_code, stdout(&sandbox.run("explain dead001")));
    let markdown = stdout(&sandbox.run("explain DEAD001 --format markdown"));
    assert!(markdown.starts_with("# DEAD001 unused-binding\n"), "{markdown}");
}

#[test]
fn json_has_every_page() {
    let sandbox = Sandbox::new("");
    let all: Value =
        serde_json::from_str(&stdout(&sandbox.run("explain --all --format json"))).unwrap();
    let all = all.as_array().unwrap();
    assert!(all.len() > 3);
    for rule in all {
        let heading =
            format!("# {} {}\n", rule["code"].as_str().unwrap(), rule["name"].as_str().unwrap());
        assert!(rule["page"].as_str().unwrap().starts_with(&heading), "{rule}");
    }
    assert_eq!(stdout(&sandbox.run("explain --all")).lines().count(), all.len());
}

#[test]
fn codes_of_fmt_have_pages() {
    let sandbox = Sandbox::new("");
    let page = stdout(&sandbox.run("explain fmt003"));
    assert!(
        page.starts_with("FMT003 broken-result\nerror of `cim-nix fmt`\n\nSays that"),
        "{page}"
    );
    assert!(page.contains("\nExample\n") && page.contains("\n    [ 1 2 ] |> f\n"), "{page}");
    assert_eq!(page, stdout(&sandbox.run("explain broken-result")));
    let markdown = stdout(&sandbox.run("explain FMT003 --format markdown"));
    assert!(markdown.starts_with("# FMT003 broken-result\n\nSays that"), "{markdown}");
    // They are no rules, and nothing can select them.
    assert!(!stdout(&sandbox.run("explain --all")).contains("FMT0"));
    sandbox.check(
        "explain FMT003 --format json",
        expect![[r#"
        [stderr]
        error: `FMT003` is no rule, and JSON is for rules
          hint: `--format markdown` writes its page
        [exit 2]
    "#]],
    );
    sandbox.check(
        "explain FMT009",
        expect![[r#"
        [stderr]
        error: `FMT009` is no code of `cim-nix fmt`
          hint: its codes are FMT001, FMT002, FMT003, FMT004
        [exit 2]
    "#]],
    );
}

#[test]
fn unknown_rules_get_a_suggestion() {
    let sandbox = Sandbox::new("");
    sandbox.check(
        "explain DEAD0O1",
        expect![[r#"
        [stderr]
        error: no rule is called `DEAD0O1`
          hint: did you mean `DEAD001`?
        [exit 2]
    "#]],
    );
    sandbox.check(
        "explain DEAD",
        expect![[r#"
        [stderr]
        error: `DEAD` stands for several rules
          hint: `cim-nix explain --all` lists them with their codes
        [exit 2]
    "#]],
    );
    sandbox.check(
        "explain xyzzy",
        expect![[r#"
        [stderr]
        error: no rule is called `xyzzy`
          hint: `cim-nix explain --all` lists the rules
        [exit 2]
    "#]],
    );
}
