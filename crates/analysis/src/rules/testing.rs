//! What the tests of rules share: text in, text out.

use std::collections::BTreeSet;

use cim_nix_semantics::builtins;

use crate::{Checker, FixMode, Lints, fix_text};

fn lints(code: &str) -> Lints {
    let mut lints = Lints::nothing();
    for code in code.split(' ') {
        lints.select(code).unwrap();
    }
    lints
}

/// The findings of the rules `code`, one a line: what is marked and the message.
pub(super) fn found(code: &str, text: &str) -> String {
    let checked = Checker::default().check("default.nix", text, &lints(code));
    let line = |found: &crate::Found| {
        let marked = &text[found.diagnostic.range.as_usize()];
        format!("{marked}: {}\n", found.diagnostic.message)
    };
    checked.findings.iter().map(line).collect()
}

/// What is marked by the rules `code`, joined by blanks.
pub(super) fn marked(code: &str, text: &str) -> String {
    let checked = Checker::default().check("default.nix", text, &lints(code));
    let marks = checked.findings.iter().map(|found| &text[found.diagnostic.range.as_usize()]);
    marks.collect::<Vec<_>>().join(" ")
}

fn fixed_by(code: &str, text: &str, mode: FixMode) -> String {
    let (mut checker, lints) = (Checker::default(), lints(code));
    // What Nix refuses is fixed without a proof, so unknown names become parameters.
    let checked = checker.check("default.nix", text, &lints);
    let is_unknown = |name: &&str| builtins::global(name).is_none();
    let unknown = checked.ir.free_names().map(|(name, _)| checked.ir.symbol(name));
    let unknown: BTreeSet<&str> = unknown.filter(is_unknown).collect();
    let head: String = unknown.iter().map(|name| format!("{name}:\n")).collect();
    let checked = checker.check("default.nix", format!("{head}{text}"), &lints);
    assert!(!checked.is_refused, "Nix refuses {text:?}");
    let fixed = fix_text(&mut checker, "default.nix", checked, &lints, mode);
    let again = checker.check("default.nix", fixed.text.as_str(), &lints);
    let twice = fix_text(&mut checker, "default.nix", again, &lints, mode);
    assert_eq!(twice.text, fixed.text, "fixing twice");
    fixed.text.strip_prefix(&head).unwrap().to_owned()
}

/// The text after the safe fixes of the rules `code`.
pub(super) fn fixed(code: &str, text: &str) -> String {
    fixed_by(code, text, FixMode::Safe)
}

/// The text after all fixes of the rules `code`.
pub(super) fn fixed_unsafely(code: &str, text: &str) -> String {
    fixed_by(code, text, FixMode::Unsafe)
}
