//! One line a finding, for editors and `grep`.

use std::fmt::Write as _;

use cim_nix_base::Diagnostic;

use super::Source;
use crate::terminal::one_line;

pub(super) fn write(source: &Source<'_>, finding: &Diagnostic, out: &mut String) {
    let at = source.position(finding.range.start);
    let (severity, code) = (finding.severity.word(), finding.code);
    let message = one_line(&finding.message);
    let _ =
        writeln!(out, "{}:{}:{}: {severity}[{code}] {message}", source.path, at.line, at.column);
}

#[cfg(test)]
mod tests {
    use cim_nix_base::{Code, Severity, TextRange};

    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = Source::new("a.nix", "1\n\"λ\" x");
        let mut out = String::new();
        let range = TextRange::new(7, 8);
        write(
            &source,
            &Diagnostic::new(Code("X1"), Severity::Error, range, "two\nlines"),
            &mut out,
        );
        assert_eq!(out, "a.nix:2:5: error[X1] two lines\n");
    }
}
