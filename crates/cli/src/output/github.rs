//! Findings as workflow commands of GitHub Actions, which become annotations.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use cim_nix_base::{Diagnostic, Severity};

use super::{Source, place};
use crate::terminal::printable;

pub(super) fn write(source: &Source<'_>, finding: &Diagnostic, out: &mut String) {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    let base = BASE.get_or_init(|| place::base("GITHUB_WORKSPACE"));
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let name = cim_nix_analysis::find(finding.code.0).map_or("", |rule| rule.name);
    let title = format!("{} {name}", finding.code);
    let path = place::path_from(base, source);
    let _ = write!(out, "::{command} title={},file={}", property(&title), property(&path));
    let (start, end) = (source.position(finding.range.start), source.position(finding.range.end));
    let _ = write!(out, ",line={}", start.line);
    // Columns are refused where the lines differ.
    if start.line == end.line {
        let _ = write!(out, ",col={},endColumn={}", start.column, end.column);
    } else {
        let _ = write!(out, ",endLine={}", end.line);
    }
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    let _ = writeln!(out, "::{}", data(&format!("{}{help}", finding.message)));
}

/// What stands behind the colons: one line, whatever it says.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property, which a colon or a comma would end, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cim_nix_base::{Code, TextRange};
    use expect_test::{Expect, expect};

    use super::*;

    fn check(file: &str, range: TextRange, message: &'static str, want: Expect) {
        let source = Source::new("shown", "λ = 1;\nx\n").at(Path::new(file));
        let mut out = String::new();
        write(
            &source,
            &Diagnostic::new(Code("DEAD001"), Severity::Warning, range, message),
            &mut out,
        );
        want.assert_eq(&out);
    }

    #[test]
    fn one_line_each() {
        check(
            "/nowhere/a.nix",
            TextRange::new(3, 4),
            "odd",
            expect![[r#"
                ::warning title=DEAD001 unused-binding,file=/nowhere/a.nix,line=1,col=3,endColumn=4::odd
            "#]],
        );
        check(
            "/nowhere/a.nix",
            TextRange::new(0, 9),
            "odd",
            expect![[r#"
                ::warning title=DEAD001 unused-binding,file=/nowhere/a.nix,line=1,endLine=2::odd
            "#]],
        );
    }

    #[test]
    fn nothing_breaks_out() {
        check(
            "/a,b:c\n::error::%.nix",
            TextRange::new(0, 1),
            "50 %\r\n::error::x\x1b",
            expect![[r#"
                ::warning title=DEAD001 unused-binding,file=/a%2Cb%3Ac%0A%3A%3Aerror%3A%3A%25.nix,line=1,col=1,endColumn=1::50 %25\r%0A::error::x\u{1b}
            "#]],
        );
    }
}
