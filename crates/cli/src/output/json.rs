//! Findings for programs. The structs are the schema that `docs/cli.md` documents: fields are
//! added, never renamed or removed, while [`VERSION`] stays.

use std::collections::BTreeMap;

use cim_nix_base::{Diagnostic, Fix, Label, Related, TextRange};
use serde::Serialize;

use super::{Source, Tally, text_of};
use crate::scope::shown;

/// The version of the schema.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize)]
struct JsonFinding<'a> {
    path: &'a str,
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    range: JsonRange,
    labels: Vec<JsonLabel<'a>>,
    related: Vec<JsonRelated<'a>>,
    help: Option<&'a str>,
    fix: Option<JsonFix<'a>>,
    fingerprint: &'a str,
}

/// A range of a text.
#[derive(Serialize)]
pub(crate) struct JsonRange {
    start: JsonPosition,
    end: JsonPosition,
}

/// `line` and `column` count from 1, columns in characters; `offset` counts bytes from 0.
#[derive(Serialize)]
struct JsonPosition {
    line: u32,
    column: u32,
    offset: u32,
}

#[derive(Serialize)]
struct JsonLabel<'a> {
    range: JsonRange,
    message: &'a str,
}

#[derive(Serialize)]
struct JsonRelated<'a> {
    path: String,
    range: JsonRange,
    message: &'a str,
}

#[derive(Serialize)]
struct JsonFix<'a> {
    title: &'a str,
    applicability: cim_nix_base::Applicability,
    edits: Vec<JsonEdit<'a>>,
}

#[derive(Serialize)]
struct JsonEdit<'a> {
    range: JsonRange,
    text: &'a str,
}

/// What stands behind the findings.
#[derive(Serialize)]
pub(super) struct JsonSummary<'a> {
    files: usize,
    files_with_findings: usize,
    findings: usize,
    shown: usize,
    errors: usize,
    warnings: usize,
    infos: usize,
    fixable: JsonFixable,
    suppressed: usize,
    generated: usize,
    encrypted: usize,
    /// Number of findings by code.
    rules: BTreeMap<&'static str, usize>,
    /// Number of findings by code that this run has mended.
    fixed: BTreeMap<&'static str, usize>,
    /// Where a baseline was given: how many of its findings are left and how many are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<JsonBaseline>,
    /// The event that tells of the check, where it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonBaseline {
    unchanged: usize,
    gone: usize,
}

#[derive(Serialize)]
struct JsonFixable {
    safe: usize,
    r#unsafe: usize,
}

/// Appends one finding, without a line feed.
pub(super) fn write(source: &Source<'_>, finding: &Diagnostic, print: &str, out: &mut String) {
    let json = JsonFinding {
        path: source.path,
        code: finding.code.0,
        severity: finding.severity.word(),
        message: &finding.message,
        range: JsonRange::of(source, finding.range),
        labels: finding.labels.iter().map(|found| label(source, found)).collect(),
        related: finding.related.iter().map(related).collect(),
        help: finding.help.as_deref(),
        fix: finding.fix.as_ref().map(|found| fix(source, found)),
        fingerprint: print,
    };
    out.push_str(&text(&json));
}

/// The summary as one object.
pub(super) fn summary(
    tally: &Tally,
    shown: usize,
    has_baseline: bool,
    event: Option<&str>,
) -> String {
    let baseline = JsonBaseline { unchanged: tally.n_old(), gone: tally.n_gone() };
    text(&JsonSummary {
        files: tally.files,
        files_with_findings: tally.files_with_findings,
        findings: tally.findings(),
        shown,
        errors: tally.errors,
        warnings: tally.warnings,
        infos: tally.infos,
        fixable: JsonFixable { safe: tally.safe_fixes, r#unsafe: tally.unsafe_fixes },
        suppressed: tally.suppressed,
        generated: tally.generated,
        encrypted: tally.encrypted,
        rules: tally.by_code.iter().map(|(code, counts)| (code.0, counts.findings)).collect(),
        fixed: tally.fixed.iter().map(|(code, n)| (code.0, *n)).collect(),
        baseline: has_baseline.then_some(baseline),
        event,
    })
}

impl JsonRange {
    pub(crate) fn of(source: &Source<'_>, range: TextRange) -> Self {
        Self { start: position(source, range.start), end: position(source, range.end) }
    }
}

fn position(source: &Source<'_>, offset: u32) -> JsonPosition {
    let at = source.position(offset);
    JsonPosition { line: at.line, column: at.column, offset }
}

fn label<'a>(source: &Source<'_>, label: &'a Label) -> JsonLabel<'a> {
    JsonLabel { range: JsonRange::of(source, label.range), message: &label.message }
}

fn related(related: &Related) -> JsonRelated<'_> {
    let (path, text) = (shown(&related.file), text_of(related));
    let range = JsonRange::of(&Source::new(&path, &text), related.range);
    JsonRelated { path, range, message: &related.message }
}

fn fix<'a>(source: &Source<'_>, fix: &'a Fix) -> JsonFix<'a> {
    let edit = |edit: &'a cim_nix_base::TextEdit| JsonEdit {
        range: JsonRange::of(source, edit.range),
        text: &edit.text,
    };
    JsonFix {
        title: &fix.title,
        applicability: fix.applicability,
        edits: fix.edits.iter().map(edit).collect(),
    }
}

/// `json` as one line.
pub(crate) fn text(json: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(json).expect("strings, numbers and maps with text keys always serialise")
}
