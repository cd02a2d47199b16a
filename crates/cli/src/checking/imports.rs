//! DEP013 and DEP014: what is wrong between files, told from the import graph.

use std::collections::BTreeMap;

use cim_nix_base::{Code, Diagnostic, Related, Severity};
use cim_nix_project::{Cycle, FileId, ImportGraph, Lack, Missing};

use crate::scope::shown;
use crate::settings::Settings;

const CYCLE: Code = Code("DEP013");
const MISSING: Code = Code("DEP014");

/// Whether any file is to be checked for such findings.
pub(super) fn is_wanted(settings: &Settings) -> bool {
    [CYCLE, MISSING].iter().any(|code| settings.lints.severity(*code).is_some())
}

/// The findings of each file.
pub(super) fn find(graph: &ImportGraph, settings: &Settings) -> BTreeMap<FileId, Vec<Diagnostic>> {
    let severity = |file: FileId, code| {
        let path = &graph.snapshot().files()[file.index()].path;
        let own = settings.lints_of(path);
        own.as_ref().unwrap_or(&settings.lints).severity(code)
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
