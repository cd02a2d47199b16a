//! What is wrong between files, told from the import graph: DEP013 and DEP014, and what the rules
//! about all files find.

use std::collections::BTreeMap;

use cim_nix_analysis::{FileFacts, WantedFacts, find_across};
use cim_nix_base::{Code, Diagnostic, Related, Severity};
use cim_nix_project::{Cycle, FileId, ImportGraph, Lack, Missing};

use crate::scope::shown;
use crate::settings::Settings;

const CYCLE: Code = Code("DEP013");
const MISSING: Code = Code("DEP014");

/// What must be kept of each file for such findings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Whether any file is to be checked for them.
    pub(super) any: bool,
    pub(super) facts: WantedFacts,
}

impl Wanted {
    /// What the rules need that run for any file.
    pub(crate) fn of(settings: &Settings) -> Self {
        let is_on = |code| settings.all().any(|own| own.lints.severity(code).is_some());
        let facts = WantedFacts::new(is_on);
        Self { any: facts.any || [CYCLE, MISSING].into_iter().any(is_on), facts }
    }
}

/// The findings of each file.
pub(super) fn find(
    graph: &ImportGraph,
    facts: &[FileFacts],
    settings: &Settings,
) -> BTreeMap<FileId, Vec<Diagnostic>> {
    let severity = |file: FileId, code| {
        let path = &graph.snapshot().files()[file.index()].path;
        let own = settings.lints_of(path);
        own.as_deref().unwrap_or(&settings.lints).severity(code)
    };
    let mut all: BTreeMap<FileId, Vec<Diagnostic>> = BTreeMap::new();
    for missing in graph.missing() {
        if let Some(severity) = severity(missing.from, MISSING) {
            all.entry(missing.from).or_default().push(missing_file(graph, missing, severity));
        }
    }
    for cycle in graph.cycles() {
        let Some(&(first, _)) = cycle.steps.first() else { continue };
        if let Some(severity) = severity(first, CYCLE) {
            all.entry(first).or_default().extend(import_cycle(graph, &cycle, severity));
        }
    }
    for (file, finding) in find_across(graph, facts, severity) {
        all.entry(file).or_default().push(finding);
    }
    all
}

fn missing_file(graph: &ImportGraph, missing: &Missing, severity: Severity) -> Diagnostic {
    let path = shown(&missing.path);
    let message = match missing.what {
        Lack::Path => format!("nothing is at `{path}`"),
        Lack::Default => format!("the folder `{path}` has no `default.nix`"),
        Lack::Case => format!("nothing is at `{path}`, only at a path with other capitals"),
    };
    let range = graph.reference(missing.from, missing.reference).range;
    let finding = Diagnostic::new(MISSING, severity, range, message);
    match &missing.suggestion {
        Some(path) => finding.help(format!("did you mean `{path}`?")),
        None => finding,
    }
}

fn import_cycle(graph: &ImportGraph, cycle: &Cycle, severity: Severity) -> Option<Diagnostic> {
    let path = |file: FileId| &graph.snapshot().files()[file.index()].path;
    let (&(first, reference), others) = cycle.steps.split_first()?;
    let range = graph.reference(first, reference).range;
    let way: Vec<String> = cycle.steps.iter().map(|(file, _)| shown(path(*file))).collect();
    let message = match others.len() {
        0 => "this file imports itself, so evaluation cannot end".to_owned(),
        _ => format!("these files import each other without end: {}", way.join(", ")),
    };
    let mut finding = Diagnostic::new(CYCLE, severity, range, message);
    finding.related = others
        .iter()
        .map(|&(file, reference)| Related {
            file: path(file).clone(),
            range: graph.reference(file, reference).range,
            message: "imports the next one here".into(),
        })
        .collect();
    Some(finding)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use cim_nix_project::{MemoryFiles, Request, Snapshot, discover, summarise};
    use expect_test::{Expect, expect};

    use super::*;

    fn check(fixture: &str, want: Expect) {
        let files = MemoryFiles::fixture(fixture);
        let found = discover(&files, &Request::new(["/p"]));
        let snapshot = Snapshot::new("/p", found.files);
        let summaries = snapshot.files().iter().map(|file| {
            let text = cim_nix_project::Files::read(&files, &file.path, 1 << 20).unwrap();
            let tree = cim_nix_syntax::parse(text).tree;
            summarise(&tree, &cim_nix_semantics::lower(&tree))
        });
        let graph = ImportGraph::link(&snapshot, summaries.collect(), &files);
        let missing = graph.missing().iter();
        let missing = missing.map(|missing| missing_file(&graph, missing, Severity::Error));
        let cycles = graph.cycles();
        let cycles = cycles.iter().filter_map(|cycle| import_cycle(&graph, cycle, Severity::Error));
        let mut out = String::new();
        for Diagnostic { code, range, message, related, help, .. } in missing.chain(cycles) {
            let _ = writeln!(out, "{range:?} {code} {message}; {}", help.as_deref().unwrap_or("-"));
            for related in related {
                let _ = writeln!(out, "  {} {:?}", shown(&related.file), related.range);
            }
        }
        want.assert_eq(&out);
    }

    #[test]
    fn missing_files_are_told_with_what_may_be_meant() {
        check(
            "//- /p/a.nix\n[ (import ./nowhere.nix) (import ./empty) (import ./B.nix) ]\n//- /p/b.nix\n1\n//- /p/empty/x\n",
            expect![[r#"
                10..23 DEP014 nothing is at `/p/nowhere.nix`; -
                33..40 DEP014 the folder `/p/empty` has no `default.nix`; -
                50..57 DEP014 nothing is at `/p/B.nix`; did you mean `./b.nix`?
            "#]],
        );
    }

    #[test]
    fn a_cycle_is_told_at_its_first_file() {
        check(
            "//- /p/a.nix\nimport ./b.nix\n//- /p/b.nix\n1 + import ./c.nix\n//- /p/c.nix\nimport ./a.nix\n",
            expect![[r#"
                7..14 DEP013 these files import each other without end: /p/a.nix, /p/b.nix, /p/c.nix; -
                  /p/b.nix 11..18
                  /p/c.nix 7..14
            "#]],
        );
        check(
            "//- /p/a.nix\nimport ./a.nix\n",
            expect![[r#"
                7..14 DEP013 this file imports itself, so evaluation cannot end; -
            "#]],
        );
    }
}
