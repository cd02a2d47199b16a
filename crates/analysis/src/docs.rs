//! Rule pages.

use crate::rule::{FixKind, Rule};

/// A piece of Nix code on a rule's page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocExample {
    /// The section it stands in: `Example` code must be flagged, `Better` code must not.
    pub section: &'static str,
    /// The code.
    pub code: &'static str,
}

/// A rule's page, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleDoc {
    /// The first sentence, without Markdown headings.
    pub summary: &'static str,
    /// The code blocks, in order.
    pub examples: Vec<DocExample>,
}

impl RuleDoc {
    /// Takes a rule's page apart.
    #[must_use]
    pub fn of(rule: &Rule) -> Self {
        let doc = rule.doc.trim_start();
        let summary = doc.split("\n\n").next().unwrap_or(doc).trim();
        let mut examples = Vec::new();
        let mut section = "";
        let mut rest = doc;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            if let Some(heading) = line.strip_prefix("## ") {
                section = heading.trim();
            } else if line.trim() == "```nix"
                && let Some((code, after)) = rest.split_once("\n```")
            {
                examples.push(DocExample { section, code });
                rest = after;
            }
        }
        Self { summary, examples }
    }

    /// The page in Markdown, with a heading and a table of facts.
    #[must_use]
    pub fn page(rule: &Rule) -> String {
        let by_default = if rule.is_default { "on" } else { "off" };
        let fix = match rule.fix {
            FixKind::None => "none",
            FixKind::Safe => "safe",
            FixKind::Unsafe => "only with `--unsafe-fixes`",
        };
        format!(
            "# {} {}\n\n| severity | by default | fix |\n| --- | --- | --- |\n| {} | {by_default} | {fix} |\n\n{}\n",
            rule.code,
            rule.name,
            rule.severity.word(),
            rule.doc.trim(),
        )
    }
}
