//! Findings counted by rule, the most frequent first.

use std::cmp::Reverse;
use std::fmt::Write as _;

use serde::Serialize;

use super::Tally;

/// What is known of one rule's findings.
#[derive(Serialize)]
pub(super) struct RuleCount {
    code: &'static str,
    name: &'static str,
    count: usize,
    fixable: Fixable,
}

/// How many of them have a fix.
#[derive(Serialize)]
struct Fixable {
    safe: usize,
    r#unsafe: usize,
}

/// The counts of all rules that found something.
pub(super) fn counts(tally: &Tally) -> Vec<RuleCount> {
    let count = |(code, counts): (&cim_nix_base::Code, &super::tally::Counts)| RuleCount {
        code: code.0,
        name: cim_nix_analysis::find(code.0).map_or("", |rule| rule.name),
        count: counts.findings,
        fixable: Fixable { safe: counts.safe_fixes, r#unsafe: counts.unsafe_fixes },
    };
    let mut all: Vec<RuleCount> = tally.by_code.iter().map(count).collect();
    all.sort_by_key(|rule| (Reverse(rule.count), rule.code));
    all
}

/// The counts as a table for people.
pub(super) fn table(tally: &Tally) -> String {
    let all = counts(tally);
    let width = all.first().map_or(0, |rule| rule.count.to_string().len());
    let has_fixes = all.iter().any(|rule| !mark(rule).trim().is_empty());
    let mut out = String::new();
    for rule in &all {
        let RuleCount { code, name, count, .. } = rule;
        let mark = if has_fixes { mark(rule) } else { "" };
        let _ = writeln!(out, "{}", format!("{count:width$}  {code:8} {mark}{name}").trim_end());
    }
    let marks: Vec<&str> = all.iter().map(mark).collect();
    let legend = [
        ("[*] ", "`--fix` mends them"),
        ("[-] ", "`--fix` mends some, or all with `--unsafe-fixes`"),
    ];
    let legend: Vec<String> = legend
        .iter()
        .filter(|(mark, _)| marks.contains(mark))
        .map(|(mark, what)| format!("{mark}{what}"))
        .collect();
    if !legend.is_empty() {
        let _ = writeln!(out, "{}", legend.join("; "));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// How much of a rule's findings can be mended.
fn mark(rule: &RuleCount) -> &'static str {
    match &rule.fixable {
        Fixable { safe, .. } if *safe == rule.count => "[*] ",
        Fixable { safe: 0, r#unsafe: 0 } => "    ",
        Fixable { .. } => "[-] ",
    }
}
