//! Findings as JUnit XML: a file is a suite, and each of its findings a test that fails, or one that
//! was skipped where the finding does not fail the run.
//!
//! Written here rather than with a crate: those at hand build the whole report as a tree of strings
//! first, and bring clocks and random numbers along.

use std::fmt::Write as _;

use cim_nix_base::Diagnostic;

use super::{Rendered, Source, Tally};

/// What begins the element inside a test that failed.
const FAILURE: &str = "<failure ";

/// Number of tests among these that failed; in what was told of files there is no such text.
pub(super) fn failures<'a>(tests: impl Iterator<Item = &'a str>) -> usize {
    tests.filter(|test| test.contains(FAILURE)).count()
}

/// What stands before the suites.
pub(super) fn begin(tally: &Tally, shown: usize, failures: usize) -> String {
    // A report without a single test is taken for a run that broke off.
    let tests = shown.max(1);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"cim-nix check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
    );
    if shown == 0 {
        let files = super::number(tally.files, "file");
        let _ = write!(
            out,
            "  <testsuite name=\"cim-nix check\" tests=\"1\" failures=\"0\" errors=\"0\">\n    \
             <testcase classname=\"cim-nix\" name=\"no findings in {files}\"/>\n  </testsuite>\n"
        );
    }
    out
}

/// What stands behind them.
pub(super) const END: &str = "</testsuites>\n";

/// The first line of the suite of a file of which `n` findings are shown.
pub(super) fn begin_suite(rendered: &Rendered, n: usize) -> String {
    let name = escaped(&rendered.path);
    let failures = failures(rendered.findings().take(n));
    let skipped = match n - failures {
        0 => String::new(),
        skipped => format!(" skipped=\"{skipped}\""),
    };
    format!(
        "  <testsuite name=\"{name}\" tests=\"{n}\" failures=\"{failures}\" errors=\"0\"{skipped}>\n"
    )
}

/// The last line of a suite.
pub(super) const END_SUITE: &str = "  </testsuite>\n";

/// Appends one test.
pub(super) fn write(source: &Source<'_>, finding: &Diagnostic, out: &mut String) {
    let at = source.position(finding.range.start);
    let name = cim_nix_analysis::find(finding.code.0).map_or("", |rule| rule.name);
    let path = escaped(source.path);
    let (code, severity, line, column) =
        (finding.code, finding.severity.word(), at.line, at.column);
    let message = escaped(&finding.message);
    let (begin, end) = match source.fail_on.fails(finding.severity) {
        true => (format!("{FAILURE}type=\"{severity}\""), "</failure>"),
        false => ("<skipped".to_owned(), "</skipped>"),
    };
    let _ = write!(
        out,
        "    <testcase classname=\"{path}\" name=\"{code} {name} at {line}:{column}\" \
         file=\"{path}\" line=\"{line}\">\n      \
         {begin} message=\"{message}\">\
         {path}:{line}:{column}: {severity}[{code}] {message}"
    );
    if let Some(help) = &finding.help {
        let _ = write!(out, "\n{}", escaped(help));
    }
    let _ = write!(out, "{end}\n    </testcase>\n");
}

/// `text` as it may stand in an attribute or an element. Characters that XML has no place for are
/// written as Rust escapes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_unicode()),
            _ if c.is_control() => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use cim_nix_base::{Code, Severity, TextRange};
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_finding_is_a_test_that_fails() {
        let source = Source::new("a<&\">.nix", "1\nx");
        let range = TextRange::new(2, 3);
        let finding =
            Diagnostic::new(Code("COR001"), Severity::Error, range, "no `<x>`\x1b[0m\u{ffff}")
                .help("two\nlines");
        let mut out = String::new();
        write(&source, &finding, &mut out);
        expect![[r#"
                <testcase classname="a&lt;&amp;&quot;&gt;.nix" name="COR001 undefined-variable at 2:1" file="a&lt;&amp;&quot;&gt;.nix" line="2">
                  <failure type="error" message="no `&lt;x&gt;`\u{1b}[0m\u{ffff}">a&lt;&amp;&quot;&gt;.nix:2:1: error[COR001] no `&lt;x&gt;`\u{1b}[0m\u{ffff}
            two&#10;lines</failure>
                </testcase>
        "#]]
        .assert_eq(&out);
    }
}
