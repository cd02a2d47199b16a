//! The report of a whole run.

use std::fmt::Write as _;

use super::{Format, Rendered, Style, Tally, html, json, junit, rdjson, sarif, statistics};
use crate::terminal::Out;

/// How a finding stands to the baseline and to comments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    /// It is there, and not at the baseline, if there is one.
    New,
    /// It was there at the baseline already.
    Unchanged,
    /// It was there at the baseline only.
    Gone,
    /// A comment silences it.
    Silenced,
}

/// Writes the findings of many files as one report.
pub(crate) struct Report<'o> {
    out: &'o mut Out,
    style: Style,
    ending: Ending,
    /// Findings that may still be shown.
    left: usize,
    shown: usize,
    /// Things that stand in the list so far, with a comma between them.
    listed: usize,
}

/// What the report is like as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// Counts by rule instead of the findings.
    pub(crate) statistics: bool,
    /// Nothing behind the findings.
    pub(crate) quiet: bool,
    /// Whether findings were compared with earlier ones.
    pub(crate) has_baseline: bool,
    /// At most so many findings.
    pub(crate) max_findings: Option<usize>,
}

impl Ending {
    /// How many findings may be shown.
    fn limit(self) -> usize {
        if self.statistics { 0 } else { self.max_findings.unwrap_or(usize::MAX) }
    }
}

impl<'o> Report<'o> {
    /// Begins the report of what `tally` counts, which `new` shows.
    pub(crate) fn new<'r>(
        out: &'o mut Out,
        style: Style,
        ending: Ending,
        tally: &Tally,
        new: impl Iterator<Item = &'r Rendered>,
    ) -> Self {
        let left = ending.limit();
        let shown = left.min(tally.findings());
        match style.format {
            Format::Json if ending.statistics => {
                out.text(&format!("{{\"version\":{},\"statistics\":[", json::VERSION));
                let counts = statistics::counts(tally);
                let counts: Vec<String> = counts.iter().map(json::text).collect();
                out.text(&format!("\n{}", counts.join(",\n")));
            }
            Format::JsonLines if ending.statistics => {
                for count in statistics::counts(tally) {
                    out.text(&format!("{}\n", json::text(&count)));
                }
            }
            Format::Json => {
                out.text(&format!("{{\"version\":{},\"findings\":[", json::VERSION));
            }
            Format::Sarif => out.text(&sarif::begin()),
            Format::Gitlab => out.text("["),
            Format::Junit => {
                let failures = junit::failures(new.flat_map(Rendered::findings).take(left));
                out.text(&junit::begin(tally, shown, failures));
            }
            Format::Rdjson => out.text(rdjson::BEGIN),
            Format::Html => out.text(&html::begin(tally, ending)),
            Format::Human | Format::Concise | Format::JsonLines | Format::Github => {}
        }
        Self { out, style, ending, left, shown: 0, listed: 0 }
    }

    /// Adds the findings of one file. Only those that are new count.
    pub(crate) fn file(&mut self, parts: &[(Status, &Rendered)]) {
        let mut frame = Frame::default();
        for &(status, rendered) in parts {
            let left = if status == Status::New { self.left } else { usize::MAX };
            let n = rendered.ends.len().min(left);
            if n == 0 || !self.has_place_for(status) {
                continue;
            }
            if !frame.is_open {
                self.out.text(&frame.open(self.style.format, rendered, n));
            }
            for finding in rendered.findings().take(n) {
                self.finding(status, finding);
            }
            if status == Status::New {
                self.shown += n;
                self.left -= n;
            }
        }
        if frame.is_open {
            self.out.text(frame.close(self.style.format));
        }
    }

    fn has_place_for(&self, status: Status) -> bool {
        // The state since the baseline must be told of all results, and of these it is not known.
        let is_odd = self.style.format == Format::Sarif && self.ending.has_baseline;
        status == Status::New || !(self.ending.statistics || is_odd)
    }

    fn finding(&mut self, status: Status, text: &str) {
        let out = &mut *self.out;
        let is_list = matches!(
            self.style.format,
            Format::Json | Format::Sarif | Format::Gitlab | Format::Rdjson
        );
        if is_list {
            out.text(if self.listed == 0 { "\n" } else { ",\n" });
        }
        self.listed += 1;
        match self.style.format {
            Format::Sarif if self.ending.has_baseline => out.text(&sarif::marked_new(text)),
            Format::Html => html::finding(out, status, text),
            Format::JsonLines => {
                out.text(text);
                out.text("\n");
            }
            _ => out.text(text),
        }
    }

    /// Ends the report. `event` is the one that tells of the check, if it was recorded.
    pub(crate) fn end(self, tally: &Tally, event: Option<&str>) {
        let Self { out, style, ending, shown, .. } = self;
        let version = json::VERSION;
        let summary = || json::summary(tally, shown, ending.has_baseline, event);
        match style.format {
            Format::Json => out.text(&format!("\n],\"summary\":{}}}\n", summary())),
            Format::JsonLines => {
                out.text(&format!("{{\"version\":{version},\"summary\":{}}}\n", summary()));
            }
            Format::Sarif => out.text(&sarif::end(tally)),
            Format::Gitlab => out.text("\n]\n"),
            Format::Junit => out.text(junit::END),
            Format::Rdjson => out.text("\n]}\n"),
            Format::Html => out.text(&html::end(tally, shown)),
            Format::Human | Format::Concise if ending.statistics => {
                out.text(&statistics::table(tally));
            }
            Format::Human | Format::Concise | Format::Github => {}
        }
        if style.format == Format::Human && !ending.quiet {
            out.text(&closing(tally, style, shown, ending));
        }
    }
}

/// What stands around the findings of one file, where a format groups them.
#[derive(Default)]
struct Frame {
    is_open: bool,
}

impl Frame {
    fn open(&mut self, format: Format, rendered: &Rendered, n: usize) -> String {
        self.is_open = true;
        match format {
            Format::Junit => junit::begin_suite(rendered, n),
            Format::Html => html::begin_file(rendered),
            _ => String::new(),
        }
    }

    fn close(&self, format: Format) -> &'static str {
        match format {
            Format::Junit => junit::END_SUITE,
            Format::Html => html::END_FILE,
            _ => "",
        }
    }
}

/// The last lines for people.
fn closing(tally: &Tally, style: Style, shown: usize, ending: Ending) -> String {
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
        let left = match ending.has_baseline {
            _ if tally.n_fixed() > 0 => "nothing left",
            true => "no new findings",
            false => "no findings",
        };
        let _ = writeln!(out, "{left} in {}", files(tally.files));
        out.push_str(&since_baseline(tally, ending));
        return out;
    }
    let counts = [(tally.errors, "error"), (tally.warnings, "warning"), (tally.infos, "info")];
    let counts = counts.iter().filter(|(n, word)| *n > 0 || *word != "info");
    let counts: Vec<String> = counts.map(|(n, word)| number(*n, word)).collect();
    let _ = write!(out, "{} in {}", counts.join(", "), files(tally.files_with_findings));
    if tally.files > tally.files_with_findings {
        let _ = write!(out, " of {}", thousands(tally.files));
    }
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
    if hidden > 0 && !ending.statistics {
        let _ = writeln!(out, "{} not shown", findings(hidden));
    }
    out.push_str(&since_baseline(tally, ending));
    out
}

/// What the baseline leaves out, and what has gone since.
fn since_baseline(tally: &Tally, ending: Ending) -> String {
    if !ending.has_baseline {
        return String::new();
    }
    let gone = match tally.n_gone() {
        0 => String::new(),
        n => format!("; {} gone since", thousands(n)),
    };
    format!("{} of the baseline not shown{gone}\n", findings(tally.n_old()))
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
