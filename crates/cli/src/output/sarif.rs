//! Findings as SARIF 2.1.0, which code scanners and editors read.
//!
//! Silenced findings are part of it, each with the reason that its comment gives. Paths are
//! relative to the repository, which is called `SRCROOT`. Columns count UTF-16 units, as most
//! readers do whatever the log says.

use std::collections::BTreeMap;
use std::path::Path;

use cim_nix_analysis::{FixKind, Rule, RuleDoc};
use cim_nix_base::{Applicability, Diagnostic, Fix, Severity, TextRange};
use serde::Serialize;

use super::place::{escaped, folder_uri, repository, rule_page};
use super::{Source, Tally, Unit, json, text_of};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The folder that paths count from.
const ROOT: &str = "SRCROOT";

/// Under which name fingerprints stand; another number would mean another way to compute them.
const FINGERPRINT: &str = "cimNixFinding/v1";

/// Longer marks are not repeated in the log.
const MAX_SNIPPET: u32 = 400;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<SarifFix>,
    /// Where one result has them, all must: an empty list says that it is not silenced.
    suppressions: Vec<Suppression<'a>>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifFix {
    description: Text,
    artifact_changes: [ArtifactChange; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange {
    artifact_location: ArtifactLocation,
    replacements: Vec<Replacement>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    deleted_region: Region,
    inserted_content: Text,
}

#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    justification: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    full_name: String,
    version: &'static str,
    semantic_version: &'static str,
    information_uri: &'static str,
    rules: Vec<Descriptor>,
}

/// A rule as the log describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    name: &'static str,
    short_description: Text,
    full_description: Text,
    help: Help,
    help_uri: String,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Help {
    text: &'static str,
    markdown: &'static str,
}

#[derive(Serialize)]
struct Configuration {
    enabled: bool,
    level: &'static str,
}

#[derive(Serialize)]
struct Properties {
    tags: Vec<&'static str>,
    #[serde(rename = "problem.severity")]
    problem_severity: &'static str,
    #[serde(rename = "security-severity", skip_serializing_if = "Option::is_none")]
    security_severity: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    working_directory: ArtifactLocation,
}

/// What stands before the results.
pub(super) fn begin() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let driver = Driver {
        name: "cim-nix",
        full_name: format!("cim-nix {version}"),
        version,
        semantic_version: version,
        information_uri: env!("CARGO_PKG_REPOSITORY"),
        rules: cim_nix_analysis::all().iter().map(|rule| descriptor(rule)).collect(),
    };
    let tool = json::text(&Tool { driver });
    let root = json::text(&folder_uri(repository()));
    format!(
        "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{tool},\n\
         \"columnKind\":\"utf16CodeUnits\",\n\
         \"originalUriBaseIds\":{{\"{ROOT}\":{{\"uri\":{root}}}}},\n\"results\":["
    )
}

/// What stands behind them.
pub(super) fn end(tally: &Tally) -> String {
    let working_directory =
        ArtifactLocation { uri: folder_uri(crate::scope::here()), uri_base_id: None };
    let execution_successful = tally.failures == 0;
    let invocation = json::text(&Invocation { execution_successful, working_directory });
    format!("\n],\n\"invocations\":[{invocation}]}}]}}\n")
}

/// `result` with its state since the baseline, which holds for all results of a run or for none.
pub(super) fn marked_new(result: &str) -> String {
    format!("{{\"baselineState\":\"new\",{}", result.strip_prefix('{').unwrap_or(result))
}

/// Appends one result, without a line feed. There is a reason, even if it is empty, for what a
/// comment silences.
pub(super) fn write(
    source: &Source<'_>,
    finding: &Diagnostic,
    print: &str,
    reason: Option<&str>,
    out: &mut String,
) {
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    let result = SarifResult {
        rule_id: finding.code.0,
        rule_index: cim_nix_analysis::all().iter().position(|rule| rule.code == finding.code),
        level: level(finding.severity),
        message: Text { text: format!("{}{help}", finding.message) },
        locations: [location(source, finding.range)],
        related_locations: related(source, finding),
        partial_fingerprints: BTreeMap::from([(FINGERPRINT, print)]),
        fixes: finding.fix.iter().map(|fix| sarif_fix(source, fix)).collect(),
        suppressions: reason
            .map(|justification| Suppression { kind: "inSource", justification })
            .into_iter()
            .collect(),
    };
    out.push_str(&json::text(&result));
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn location(source: &Source<'_>, range: TextRange) -> Location {
    let artifact_location = artifact(source);
    // Of a file that could not be read nothing can be shown.
    let region = source.is_read.then(|| region(source, range, true));
    Location {
        id: None,
        physical_location: PhysicalLocation { artifact_location, region },
        message: None,
    }
}

/// Further places, numbered from 1.
fn related(source: &Source<'_>, finding: &Diagnostic) -> Vec<Location> {
    let labels = finding.labels.iter().map(|label| {
        let message = Some(Text { text: label.message.to_string() });
        Location { message, ..location(source, label.range) }
    });
    let elsewhere = finding.related.iter().map(|related| {
        let text = text_of(related);
        let path = related.file.to_string_lossy();
        let source = Source::new(&path, &text).at(&related.file);
        let message = Some(Text { text: related.message.to_string() });
        Location { message, ..location(&source, related.range) }
    });
    let numbered = (1..).zip(labels.chain(elsewhere));
    numbered.map(|(id, location)| Location { id: Some(id), ..location }).collect()
}

fn artifact(source: &Source<'_>) -> ArtifactLocation {
    let path = source.file.unwrap_or(Path::new(source.path));
    match path.strip_prefix(repository()) {
        Ok(inside) => ArtifactLocation { uri: escaped(inside), uri_base_id: Some(ROOT) },
        Err(_) if path.is_absolute() => {
            ArtifactLocation { uri: format!("file://{}", escaped(path)), uri_base_id: None }
        }
        Err(_) => ArtifactLocation { uri: escaped(path), uri_base_id: Some(ROOT) },
    }
}

fn region(source: &Source<'_>, range: TextRange, has_snippet: bool) -> Region {
    let start = source.position_in(Unit::Utf16, range.start);
    let end = source.position_in(Unit::Utf16, range.end);
    let is_short = has_snippet && !range.is_empty() && range.len() <= MAX_SNIPPET;
    let snippet = source.text.get(range.as_usize()).filter(|_| is_short);
    Region {
        start_line: start.line,
        start_column: start.column,
        end_line: end.line,
        end_column: end.column,
        snippet: snippet.map(|text| Text { text: text.to_owned() }),
    }
}

fn sarif_fix(source: &Source<'_>, fix: &Fix) -> SarifFix {
    let note = match fix.applicability {
        Applicability::Safe => "",
        Applicability::Unsafe => " (this may change the meaning)",
    };
    let replacements = fix.edits.iter().map(|edit| Replacement {
        deleted_region: region(source, edit.range, false),
        inserted_content: Text { text: edit.text.clone() },
    });
    let replacements = replacements.collect();
    SarifFix {
        description: Text { text: format!("{}{note}", fix.title) },
        artifact_changes: [ArtifactChange { artifact_location: artifact(source), replacements }],
    }
}

fn descriptor(rule: &Rule) -> Descriptor {
    let doc = rule.doc.trim();
    let about = doc.split("\n## ").next().unwrap_or(doc).trim();
    let mut tags = vec![rule.category().word()];
    if rule.fix != FixKind::None {
        tags.push("fixable");
    }
    Descriptor {
        id: rule.code.0,
        name: rule.name,
        short_description: Text { text: RuleDoc::of(rule).summary.replace('\n', " ") },
        full_description: Text { text: about.to_owned() },
        help: Help { text: doc, markdown: doc },
        help_uri: rule_page(rule.name),
        default_configuration: Configuration {
            enabled: rule.is_default,
            level: level(rule.severity),
        },
        properties: Properties {
            tags,
            problem_severity: match rule.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "recommendation",
            },
            security_severity: rule.security_severity(rule.severity),
        },
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_base::{Code, TextEdit};
    use serde_json::{Value, json};

    use super::*;

    fn result(text: &str, finding: &Diagnostic, reason: Option<&str>) -> Value {
        let mut out = String::new();
        let source = Source::new("a b.nix", text).at(Path::new("/nowhere/a b.nix"));
        write(&source, finding, "0123", reason, &mut out);
        serde_json::from_str(&out).unwrap()
    }

    fn finding(start: u32, end: u32) -> Diagnostic {
        Diagnostic::new(Code("DEAD001"), Severity::Warning, TextRange::new(start, end), "odd")
    }

    #[test]
    fn columns_count_utf16_units() {
        let result = result("1\n\"\u{1f600}λ\" x", &finding(11, 12), None);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"], json!({"uri": "file:///nowhere/a%20b.nix"}));
        let region = json!({
            "startLine": 2, "startColumn": 7, "endLine": 2, "endColumn": 8,
            "snippet": {"text": "x"},
        });
        assert_eq!(place["region"], region);
        assert_eq!(result["suppressions"], json!([]));
    }

    #[test]
    fn fixes_and_further_places() {
        let edits = vec![TextEdit::remove(TextRange::new(0, 2)), TextEdit::insert(3, "b")];
        let finding = finding(0, 1).label(TextRange::new(2, 3), "here").fix(
            "mend it",
            Applicability::Unsafe,
            edits,
        );
        let result = result("a x", &finding, Some("it is so"));
        assert_eq!(result["relatedLocations"][0]["id"], 1);
        assert_eq!(result["relatedLocations"][0]["message"], json!({"text": "here"}));
        let fix = &result["fixes"][0];
        assert_eq!(fix["description"]["text"], "mend it (this may change the meaning)");
        let replacements = fix["artifactChanges"][0]["replacements"].as_array().unwrap();
        assert_eq!(replacements.len(), 2);
        assert_eq!(replacements[1]["insertedContent"], json!({"text": "b"}));
        let silenced = json!([{"kind": "inSource", "justification": "it is so"}]);
        assert_eq!(result["suppressions"], silenced);
    }

    #[test]
    fn rules_stand_at_their_index() {
        let text = format!("{}{}", begin(), end(&Tally::default()));
        let log: Value = serde_json::from_str(&text).unwrap();
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().clone();
        let index = result("x", &finding(0, 1), None)["ruleIndex"].as_u64().unwrap();
        assert_eq!(rules[index as usize]["id"], "DEAD001");
        assert_eq!(rules[index as usize]["properties"]["tags"][0], "dead-code");
        for rule in &rules {
            let is_security = rule["properties"]["tags"][0] == "security";
            assert_eq!(rule["properties"]["security-severity"].is_string(), is_security, "{rule}");
        }
    }

    #[test]
    fn the_state_goes_in_front() {
        assert_eq!(marked_new("{\"a\":1}"), "{\"baselineState\":\"new\",\"a\":1}");
    }
}
