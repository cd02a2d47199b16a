//! What was done, for other programs.

use cim_nix_base::LineIndex;
use cim_nix_project::SourceFile;
use serde::Serialize;

use super::{LeftOut, Outcome, Project, Tally, project_of};
use crate::output::json_text;
use crate::scope::shown;

#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    projects: Vec<JsonProject<'a>>,
    files: Vec<JsonFile<'a>>,
    summary: JsonSummary,
}

#[derive(Serialize)]
struct JsonExplanation<'a> {
    version: u32,
    projects: Vec<JsonProject<'a>>,
}

#[derive(Serialize)]
struct JsonProject<'a> {
    root: String,
    formatter: &'a str,
    /// How it is run.
    runs: String,
    rule: &'static str,
    because: &'a str,
    width: Option<u16>,
    indent: Option<u8>,
    excludes: &'a [String],
    notes: &'a [String],
}

#[derive(Serialize)]
struct JsonFile<'a> {
    path: String,
    formatter: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<JsonProblem<'a>>,
}

#[derive(Serialize)]
struct JsonProblem<'a> {
    code: Option<&'static str>,
    message: &'a str,
    /// From 1, in characters.
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Serialize)]
struct JsonSummary {
    formatted: usize,
    unchanged: usize,
    generated: usize,
    encrypted: usize,
    excluded: usize,
    broken: usize,
    refused: usize,
    failed: usize,
}

/// All projects with their formatters.
pub(super) fn explanation(projects: &[Project]) -> String {
    json_text(&JsonExplanation { version: 1, projects: projects.iter().map(project).collect() })
        + "\n"
}

/// What was done with each file.
pub(super) fn report(
    projects: &[Project],
    files: &[(SourceFile, Outcome)],
    tally: &Tally,
    is_dry: bool,
) -> String {
    let report = JsonReport {
        version: 1,
        projects: projects.iter().map(project).collect(),
        files: files
            .iter()
            .map(|(file, outcome)| json_file(projects, file, outcome, is_dry))
            .collect(),
        summary: JsonSummary {
            formatted: tally.formatted,
            unchanged: tally.unchanged,
            generated: tally.generated,
            encrypted: tally.encrypted,
            excluded: tally.excluded,
            broken: tally.broken,
            refused: tally.refused,
            failed: tally.unreadable + tally.failures,
        },
    };
    json_text(&report) + "\n"
}

fn project(project: &Project) -> JsonProject<'_> {
    let decision = &project.decision;
    JsonProject {
        root: shown(&project.root),
        formatter: decision.formatter.name(),
        runs: project.way.describe(),
        rule: decision.rule.word(),
        because: &decision.because,
        width: decision.options.width,
        indent: decision.options.indent,
        excludes: &decision.filter.excludes,
        notes: &decision.notes,
    }
}

fn json_file<'a>(
    projects: &'a [Project],
    file: &SourceFile,
    outcome: &'a Outcome,
    is_dry: bool,
) -> JsonFile<'a> {
    let formatter = project_of(projects, &file.path);
    let formatter = formatter.map(|at| projects[at].decision.formatter.name());
    let (status, problems) = match outcome {
        Outcome::Unchanged => ("unchanged", Vec::new()),
        Outcome::Formatted(_) if is_dry => ("would-format", Vec::new()),
        Outcome::Formatted(_) => ("formatted", Vec::new()),
        Outcome::LeftOut(LeftOut::Generated) => ("generated", Vec::new()),
        Outcome::LeftOut(LeftOut::Encrypted) => ("encrypted", Vec::new()),
        Outcome::LeftOut(LeftOut::Excluded) => ("excluded", Vec::new()),
        Outcome::Refused { text, findings, is_broken } => {
            let index = LineIndex::new(text);
            let problem = |finding: &'a cim_nix_base::Diagnostic| {
                let at = index.position_chars(text, finding.range.start);
                JsonProblem {
                    code: Some(finding.code.0),
                    message: &finding.message,
                    line: Some(at.line + 1),
                    column: Some(at.column + 1),
                }
            };
            let status = if *is_broken { "broken" } else { "refused" };
            (status, findings.iter().map(problem).collect())
        }
        Outcome::Unreadable(message) | Outcome::Failed(message) => {
            ("failed", vec![JsonProblem { code: None, message, line: None, column: None }])
        }
    };
    JsonFile { path: shown(&file.path), formatter, status, problems }
}
