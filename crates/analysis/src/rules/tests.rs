//! The pages' examples, run.

use std::sync::Arc;

use cim_nix_flake::Lock;

use crate::rule::{Check, FixKind, Rule};
use crate::{
    Checker, FixMode, Lints, OptionFact, OptionTable, OptionType, RuleDoc, Surroundings, all,
    fix_text,
};

/// A checker that knows the options of the examples.
fn checker() -> Checker {
    let options = [
        ("services.web.enable", "boolean", None),
        (
            "services.web.port",
            "16 bit unsigned integer; between 0 and 65535 (both inclusive)",
            None,
        ),
        ("services.web.listenPort", "submodule", Some("services.web.port")),
        ("services.web.password", "null or string", None),
        ("services.web.passwordFile", "null or path", None),
        ("services.web.hosts", "list of string", None),
    ];
    let parts = options.map(|(name, _, _)| name.split('.').map(str::to_owned).collect::<Vec<_>>());
    let facts = options.map(|(_, words, alias)| OptionFact {
        kind: OptionType::parse(words),
        type_words: words.into(),
        alias_of: alias.map(Into::into),
    });
    let table = OptionTable::new("test", parts.iter().map(|name| &name[..]).zip(facts));
    Checker::with_options(Arc::from([table]))
}

fn lints_for(code: &str) -> Lints {
    let mut lints = Lints::nothing();
    lints.select(code).unwrap();
    if code == "DEAD016" {
        // Only what ran can be silenced in vain.
        lints.select("DEAD001").unwrap();
    }
    lints
}

/// Checks `text` with one rule; `want` lists `range message` for each of its findings.
#[track_caller]
pub(crate) fn check(code: &str, text: &str, want: &[&str]) {
    let checked = checker().check("default.nix", text, &lints_for(code));
    let found = checked.findings.iter().map(|found| &found.diagnostic);
    let found: Vec<String> = found
        .filter(|found| found.code.0 == code)
        .map(|found| format!("{:?} {}", found.range, found.message))
        .collect();
    assert_eq!(found, want, "{code} on {text:?}");
}

/// Rules about what lies beside a file: their examples alone say nothing.
const BESIDE: &[&str] = &[
    "DEAD011", "DEAD013", "DEAD015", "DEP001", "DEP004", "DEP005", "DEP006", "DEP011", "DEP012",
    "DEP013", "DEP014", "DEP015", "DEP016", "DEP017", "DEP019",
];

/// The name of the file that examples of a rule are taken for.
fn path_for(rule: &Rule) -> &'static str {
    // What a flake asks its users for means nothing elsewhere.
    let is_of_flakes = matches!(rule.check, Check::Flake(_)) || rule.code.0 == "SEC056";
    if is_of_flakes { "flake.nix" } else { "default.nix" }
}

fn codes(checker: &mut Checker, path: &str, text: &str, lints: &Lints) -> Vec<&'static str> {
    checker.surround(Surroundings { lock: Lock::Absent, is_template: false });
    let checked = checker.check(path, text, lints);
    checked.findings.iter().map(|found| found.diagnostic.code.0).collect()
}

#[test]
fn rules_are_sorted_and_documented() {
    assert!(all().is_sorted_by_key(|rule| rule.code));
    for rule in all() {
        let doc = RuleDoc::of(rule);
        assert!(
            doc.summary.ends_with('.'),
            "{}: the first sentence is {:?}",
            rule.code,
            doc.summary
        );
        assert!(rule.doc.contains("## Why it matters"), "{} lacks a section", rule.code);
        assert!(rule.doc.contains("## Source"), "{} lacks its source", rule.code);
        let is_fixing = rule.fix != FixKind::None;
        assert_eq!(rule.doc.contains("## When the fix is unsafe"), is_fixing, "{}", rule.code);
        let has = |section| doc.examples.iter().any(|example| example.section == section);
        // Some of what keeps a file from being read cannot be shown on a page.
        let is_showable = has("Example") && has("Better");
        let may_lack = rule.code.0.starts_with("SYN") || rule.code.0 == "INT001";
        assert!(is_showable || may_lack, "{} lacks examples", rule.code);
    }
}

#[test]
fn examples_fire_and_better_ones_do_not() {
    let mut checker = checker();
    for rule in all().iter().filter(|rule| !BESIDE.contains(&rule.code.0)) {
        let lints = lints_for(rule.code.0);
        for example in RuleDoc::of(rule).examples {
            let found =
                codes(&mut checker, path_for(rule), example.code, &lints).contains(&rule.code.0);
            let wanted = example.section == "Example";
            assert_eq!(found, wanted, "{} on {:?}", rule.code, example.code);
        }
    }
}

#[test]
fn fixing_an_example_gives_the_better_one() {
    let can_fix = |rule: &&&Rule| rule.fix != FixKind::None && !BESIDE.contains(&rule.code.0);
    for rule in all().iter().filter(can_fix) {
        let mode = match rule.fix {
            FixKind::Unsafe => FixMode::Unsafe,
            _ => FixMode::Safe,
        };
        let lints = lints_for(rule.code.0);
        let doc = RuleDoc::of(rule);
        let of = |section| doc.examples.iter().filter(move |example| example.section == section);
        for (before, after) in of("Example").zip(of("Better")) {
            let (mut checker, path) = (checker(), path_for(rule));
            let checked = checker.check(path, before.code, &lints);
            let fixed = fix_text(&mut checker, path, checked, &lints, mode);
            assert_eq!(fixed.text.trim(), after.code.trim(), "{}", rule.code);
            let again = checker.check(path, fixed.text.as_str(), &lints);
            let twice = fix_text(&mut checker, path, again, &lints, mode);
            assert_eq!(twice.text, fixed.text, "{} twice", rule.code);
        }
    }
}

#[test]
fn rules_survive_half_typed_code() {
    let mut checker = checker();
    for rule in all().iter().filter(|rule| !matches!(rule.check, Check::Elsewhere)) {
        let lints = lints_for(rule.code.0);
        for example in RuleDoc::of(rule).examples {
            for end in (0..example.code.len()).filter(|at| example.code.is_char_boundary(*at)) {
                codes(&mut checker, path_for(rule), &example.code[..end], &lints);
            }
        }
    }
}

#[test]
fn which_security_rules_ask_for_the_place_is_documented() {
    let mut checker = checker();
    let mut silent_in = |folder: &str| {
        let is_silent = |rule: &&&Rule| {
            let lints = lints_for(rule.code.0);
            let path = format!("{folder}/{}", path_for(rule));
            let mut examples = RuleDoc::of(rule).examples.into_iter();
            let first = examples.find(|example| example.section == "Example");
            first.is_some_and(|it| codes(&mut checker, &path, it.code, &lints).is_empty())
        };
        let security = all().iter().filter(|rule| rule.code.0.starts_with("SEC"));
        security.filter(is_silent).map(|rule| rule.code.0).collect::<Vec<_>>()
    };
    let in_machine = silent_in("vm");
    let mut in_test = silent_in("tests");
    in_test.retain(|code| !in_machine.contains(code));
    let page = include_str!("../../../../docs/suppressions.md");
    let documented = |start: &str| {
        let line = page.lines().find(|line| line.starts_with(start)).unwrap();
        line.split('`').filter(|word| word.starts_with("SEC")).collect::<Vec<_>>()
    };
    assert_eq!(in_machine, documented("These rules follow an option"));
    assert_eq!(in_test, documented("Of the other rules about security"));
}
