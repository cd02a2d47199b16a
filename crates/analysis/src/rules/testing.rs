//! What the tests of rules share: text in, text out.

use std::collections::BTreeSet;

use cim_nix_flake::Lock;
use cim_nix_semantics::builtins;

use crate::{Checker, FixMode, Lints, Surroundings, fix_text};

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

/// A checker of a `flake.nix` beside a lock file, if its text is not empty.
pub(super) fn flake_checker(lock: &str) -> Checker {
    let mut checker = Checker::default();
    let lock = if lock.is_empty() { Lock::Absent } else { Lock::parse(lock) };
    checker.surround(Surroundings { lock, is_template: false });
    checker
}

/// The findings of the rules `code` in a `flake.nix` beside a lock file, if its text is not empty.
pub(super) fn flake_found(code: &str, text: &str, lock: &str) -> String {
    flake_found_by(&lints(code), text, lock)
}

/// The same with rules that go by given numbers.
pub(super) fn flake_found_by(lints: &Lints, text: &str, lock: &str) -> String {
    let checked = flake_checker(lock).check("flake.nix", text, lints);
    let line = |found: &crate::Found| {
        let marked = &text[found.diagnostic.range.as_usize()];
        format!("{marked}: {}\n", found.diagnostic.message)
    };
    checked.findings.iter().map(line).collect()
}

/// The text of a `flake.nix` after all fixes of the rules `code`.
pub(super) fn fixed_flake(code: &str, text: &str, lock: &str) -> String {
    let (mut checker, lints) = (flake_checker(lock), lints(code));
    let checked = checker.check("flake.nix", text, &lints);
    assert!(!checked.is_refused, "Nix refuses {text:?}");
    let fixed = fix_text(&mut checker, "flake.nix", checked, &lints, FixMode::Unsafe);
    let again = checker.check("flake.nix", fixed.text.as_str(), &lints);
    let twice = fix_text(&mut checker, "flake.nix", again, &lints, FixMode::Unsafe);
    assert_eq!(twice.text, fixed.text, "fixing twice");
    fixed.text
}

/// A lock file from lines such as `key: a; b=node; c=>a/b @ github:owner/repo/ref ~SECONDS`: the
/// inputs of a node, which lead to a node of the same name, to another one, or follow a path; its
/// source; and when that changed. The first line is about the root.
pub(super) fn flake_lock(lines: &str) -> String {
    let node = |(at, line): (usize, &str)| {
        let (key, rest) = line.split_once(':').unwrap();
        let (rest, date) = rest.split_once('~').unwrap_or((rest, "1700000000"));
        let (inputs, source) = rest.split_once('@').unwrap_or((rest, ""));
        let inputs = inputs.split(';').map(str::trim).filter(|input| !input.is_empty());
        let inputs = inputs.map(|input| match input.split_once("=>") {
            Some((name, path)) => format!("\"{name}\":[\"{}\"]", path.replace('/', "\",\"")),
            None => {
                let (name, node) = input.split_once('=').unwrap_or((input, input));
                format!("\"{name}\":\"{node}\"")
            }
        });
        let inputs = inputs.collect::<Vec<_>>().join(",");
        if at == 0 {
            return format!("\"{key}\":{{\"inputs\":{{{inputs}}}}}");
        }
        let mut parts = source.trim().strip_prefix("github:").unwrap().split('/');
        let (owner, repo) = (parts.next().unwrap(), parts.next().unwrap());
        let branch = parts.next().map(|name| format!(",\"ref\":\"{name}\"")).unwrap_or_default();
        let source = format!("\"type\":\"github\",\"owner\":\"{owner}\",\"repo\":\"{repo}\"");
        let fixed = format!(
            "\"lastModified\":{},\"narHash\":\"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"rev\":\"{at:040x}\"",
            date.trim()
        );
        format!(
            "\"{key}\":{{\"inputs\":{{{inputs}}},\"locked\":{{{source},{fixed}}},\"original\":{{{source}{branch}}}}}"
        )
    };
    let nodes = lines.lines().enumerate().map(node).collect::<Vec<_>>().join(",");
    let root = lines.split(':').next().unwrap();
    format!("{{\"version\":7,\"root\":\"{root}\",\"nodes\":{{{nodes}}}}}")
}
