//! Findings as a Code Quality report of GitLab, which widgets of merge requests show.

use std::path::PathBuf;
use std::sync::OnceLock;

use cim_nix_analysis::Category;
use cim_nix_base::{Diagnostic, Severity};
use serde::Serialize;

use super::fingerprint::short_hash;
use super::{Source, json, place};

/// One issue, as far as GitLab looks at it.
#[derive(Serialize)]
struct Issue<'a> {
    r#type: &'static str,
    check_name: &'a str,
    description: String,
    categories: [&'static str; 1],
    severity: &'static str,
    fingerprint: String,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

/// Appends one finding, without a line feed.
pub(super) fn write(source: &Source<'_>, finding: &Diagnostic, print: &str, out: &mut String) {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    let base = BASE.get_or_init(|| place::base("CI_PROJECT_DIR"));
    let path = place::path_from(base, source);
    let line = |offset| source.position(offset).line;
    let lines = Lines { begin: line(finding.range.start), end: line(finding.range.end) };
    let category = cim_nix_analysis::find(finding.code.0).map(|rule| rule.category());
    let issue = Issue {
        r#type: "issue",
        check_name: finding.code.0,
        description: format!("{}: {}", finding.code, finding.message),
        categories: [category.map_or("Bug Risk", heading)],
        severity: severity(finding.severity, category),
        // Unique in a report; it stays while the finding does, wherever it moves in its file.
        fingerprint: short_hash(&format!("{path}\0{print}")),
        location: Location { path, lines },
    };
    out.push_str(&json::text(&issue));
}

/// The category in the words that GitLab took over from Code Climate.
fn heading(category: Category) -> &'static str {
    match category {
        Category::Security => "Security",
        Category::Performance => "Performance",
        Category::Dependencies => "Compatibility",
        Category::DeadCode => "Clarity",
        Category::Style => "Style",
        _ => "Bug Risk",
    }
}

fn severity(severity: Severity, category: Option<Category>) -> &'static str {
    match (severity, category) {
        (Severity::Error, Some(Category::Syntax)) => "blocker",
        (Severity::Error, Some(Category::Security)) => "critical",
        (Severity::Error, _) => "major",
        (Severity::Warning, _) => "minor",
        (Severity::Info, _) => "info",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cim_nix_base::{Code, TextRange};

    use super::*;

    fn issue(path: &str, print: &str) -> serde_json::Value {
        let source = Source::new("shown", "a\n x").at(Path::new(path));
        let range = TextRange::new(3, 4);
        let mut out = String::new();
        let finding = Diagnostic::new(Code("SYN001"), Severity::Error, range, "odd");
        write(&source, &finding, print, &mut out);
        serde_json::from_str(&out).unwrap()
    }

    #[test]
    fn has_what_gitlab_wants() {
        let issue = issue("/nowhere/a.nix", "1");
        assert_eq!(issue["severity"], "blocker");
        assert_eq!(issue["description"], "SYN001: odd");
        assert_eq!(issue["location"]["path"], "/nowhere/a.nix");
        assert_eq!(issue["location"]["lines"], serde_json::json!({"begin": 2, "end": 2}));
    }

    #[test]
    fn fingerprints_differ_between_files() {
        let print = |path, print| issue(path, print)["fingerprint"].clone();
        assert_ne!(print("/a.nix", "1"), print("/b.nix", "1"));
        assert_ne!(print("/a.nix", "1"), print("/a.nix", "2"));
    }
}
