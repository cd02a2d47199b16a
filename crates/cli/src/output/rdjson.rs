//! Findings for reviewdog, which puts them and their fixes on reviews.

use cim_nix_base::{Diagnostic, Fix, Severity, TextRange};
use serde::Serialize;

use super::place::rule_page;
use super::{Source, Unit, json};

/// What stands before the findings; `]}` follows them.
pub(super) const BEGIN: &str = "{\"source\":{\"name\":\"cim-nix\"},\"diagnostics\":[";

#[derive(Serialize)]
struct RdDiagnostic<'a> {
    message: String,
    location: RdLocation<'a>,
    severity: &'static str,
    code: RdCode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<RdSuggestion>,
}

#[derive(Serialize)]
struct RdLocation<'a> {
    path: &'a str,
    range: RdRange,
}

#[derive(Serialize)]
struct RdRange {
    start: RdPosition,
    end: RdPosition,
}

/// From 1, columns in bytes.
#[derive(Serialize)]
struct RdPosition {
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct RdCode {
    value: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Serialize)]
struct RdSuggestion {
    range: RdRange,
    text: String,
}

/// Appends one finding, without a line feed.
pub(super) fn write(source: &Source<'_>, finding: &Diagnostic, out: &mut String) {
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    let diagnostic = RdDiagnostic {
        message: format!("{}{help}", finding.message),
        location: RdLocation { path: source.path, range: range(source, finding.range) },
        severity: match finding.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
        },
        code: RdCode {
            value: finding.code.0,
            url: cim_nix_analysis::find(finding.code.0).map(|rule| rule_page(rule.name)),
        },
        suggestions: finding.fix.iter().filter_map(|fix| suggestion(source, fix)).collect(),
    };
    out.push_str(&json::text(&diagnostic));
}

fn range(source: &Source<'_>, range: TextRange) -> RdRange {
    let at = |offset| {
        let at = source.position_in(Unit::Bytes, offset);
        RdPosition { line: at.line, column: at.column }
    };
    RdRange { start: at(range.start), end: at(range.end) }
}

/// The fix as one replacement: suggestions are taken one by one, and half a fix is none.
fn suggestion(source: &Source<'_>, fix: &Fix) -> Option<RdSuggestion> {
    let (first, last) = (fix.edits.first()?, fix.edits.last()?);
    let all = TextRange::new(first.range.start, last.range.end);
    let mut text = String::new();
    let mut done = all.start;
    for edit in &fix.edits {
        text.push_str(source.text.get(done as usize..edit.range.start as usize)?);
        text.push_str(&edit.text);
        done = edit.range.end;
    }
    Some(RdSuggestion { range: range(source, all), text })
}

#[cfg(test)]
mod tests {
    use cim_nix_base::{Applicability, Code, TextEdit};

    use super::*;

    #[test]
    fn a_fix_is_one_suggestion_with_columns_in_bytes() {
        let source = Source::new("a.nix", "λ (x) y");
        let edits = [TextRange::new(3, 4), TextRange::new(5, 6)].map(TextEdit::remove);
        let finding = Diagnostic::new(Code("X1"), Severity::Info, TextRange::new(3, 6), "odd").fix(
            "unwrap",
            Applicability::Safe,
            edits.to_vec(),
        );
        let mut out = String::new();
        write(&source, &finding, &mut out);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let want = serde_json::json!({
            "range": {"start": {"line": 1, "column": 4}, "end": {"line": 1, "column": 7}},
            "text": "x",
        });
        assert_eq!(json["suggestions"], serde_json::json!([want]));
        assert_eq!(json["severity"], "INFO");
    }
}
