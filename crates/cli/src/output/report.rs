//! The report of a whole run.

use std::fmt::Write as _;

use super::{Format, Rendered, Style, Tally, json};
use crate::terminal::Out;

/// Writes the findings of many files as one report.
pub(crate) struct Report<'o> {
    out: &'o mut Out,
    style: Style,
    /// Findings that may still be shown.
    left: usize,
    shown: usize,
}

/// What is said behind the findings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// Counts by rule instead of the findings.
    pub(crate) statistics: bool,
    /// Nothing behind the findings.
    pub(crate) quiet: bool,
}

impl<'o> Report<'o> {
    pub(crate) fn new(out: &'o mut Out, style: Style, max_findings: Option<usize>) -> Self {
        if style.format == Format::Json {
            out.text(&format!("{{\"version\":{},\"findings\":[", json::VERSION));
        }
        Self { out, style, left: max_findings.unwrap_or(usize::MAX), shown: 0 }
    }

    /// Adds the findings of one file.
    pub(crate) fn file(&mut self, rendered: &Rendered) {
        for finding in rendered.findings().take(self.left) {
            if self.style.format == Format::Json {
                self.out.text(if self.shown == 0 { "\n" } else { ",\n" });
            }
            self.out.text(finding);
            if self.style.format == Format::JsonLines {
                self.out.text("\n");
            }
            self.shown += 1;
            self.left -= 1;
        }
    }

    /// Ends the report.
    pub(crate) fn end(self, tally: &Tally, ending: Ending) {
        let Self { out, style, shown, .. } = self;
        let version = json::VERSION;
        match style.format {
            Format::Json => {
                let summary = json::summary(tally, shown);
                out.text(&format!("\n],\"summary\":{summary}}}\n"));
            }
            Format::JsonLines => {
                let summary = json::summary(tally, shown);
                out.text(&format!("{{\"version\":{version},\"summary\":{summary}}}\n"));
            }
            _ if ending.statistics => out.text(&statistics(tally)),
            _ => {}
        }
        if style.format == Format::Human && !ending.quiet {
            out.text(&closing(tally, style, shown, ending.statistics));
        }
    }
}

/// Findings by rule, the most frequent first.
fn statistics(tally: &Tally) -> String {
    let mut counts: Vec<_> = tally.by_code.iter().collect();
    counts.sort_by_key(|(code, n)| (std::cmp::Reverse(**n), **code));
    let width = counts.first().map_or(0, |(_, n)| n.to_string().len());
    let mut out = String::new();
    for (code, n) in counts {
        let name = cim_nix_analysis::find(code.0).map_or("", |rule| rule.name);
        let _ = writeln!(out, "{}", format!("{n:width$}  {code:8} {name}").trim_end());
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The last lines for people.
fn closing(tally: &Tally, style: Style, shown: usize, is_table: bool) -> String {
    let mut out = String::new();
    if tally.n_fixed() > 0 {
        let _ =
            writeln!(out, "fixed {} in {}:", findings(tally.n_fixed()), files(tally.fixed_files));
        for (code, n) in &tally.fixed {
            let name = cim_nix_analysis::find(code.0).map_or("", |rule| rule.name);
            let _ = writeln!(out, "  {n} x {code} {name}");
        }
    }
    if tally.findings() == 0 {
        if tally.files == 0 {
            return out;
        }
        let left = if tally.n_fixed() > 0 { "nothing left" } else { "no findings" };
        let _ = writeln!(out, "{left} in {}", files(tally.files));
        return out;
    }
    let counts = [(tally.errors, "error"), (tally.warnings, "warning"), (tally.infos, "info")];
    let counts = counts.iter().filter(|(n, word)| *n > 0 || *word != "info");
    let counts: Vec<String> = counts.map(|(n, word)| number(*n, word)).collect();
    let _ = write!(out, "{} in {}", counts.join(", "), files(tally.files_with_findings));
    let fixable = tally.safe_fixes + if style.unsafe_fixes { tally.unsafe_fixes } else { 0 };
    if fixable > 0 {
        let _ = write!(out, "; {} fixable with `--fix`", thousands(fixable));
    }
    if !style.unsafe_fixes && tally.unsafe_fixes > 0 {
        let more = if fixable > 0 { " more" } else { "" };
        let _ = write!(out, "; {}{more} with `--unsafe-fixes`", thousands(tally.unsafe_fixes));
    }
    out.push('\n');
    let hidden = tally.findings() - shown;
    if hidden > 0 && !is_table {
        let _ = writeln!(out, "{} not shown", findings(hidden));
    }
    out
}

fn findings(n: usize) -> String {
    number(n, "finding")
}

fn files(n: usize) -> String {
    number(n, "file")
}

/// `n` with the word for what is counted.
pub(crate) fn number(n: usize, word: &str) -> String {
    format!("{} {word}{}", thousands(n), if n == 1 || word == "info" { "" } else { "s" })
}

/// `12345` as `12,345`.
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        let shown: Vec<String> = [0, 999, 1000, 1234567].into_iter().map(thousands).collect();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
