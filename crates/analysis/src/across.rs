//! Rules about the files of a project among each other.
//!
//! [`FileFacts`] keeps of each file what these rules must know, so that text, tree and IR can be
//! dropped; [`find_across`] asks them and the import graph. Findings are about places in files; who
//! asks checks those files once more, so that suppression comments hold.

mod names;
mod reach;

use std::collections::{HashMap, HashSet};

use cim_nix_base::{Code, Diagnostic, Severity, TextRange};
use cim_nix_project::{FileId, Host, ImportGraph, Summary, Target, hosts};
use cim_nix_syntax::{NodeId, Tree};

use crate::checker::CheckedFile;
use crate::rule::Finding;
use crate::rules::{
    impure_builtin, impure_lookup, no_state_version, unreached_file, unread_option, unused_helper,
};

pub(crate) use names::{DeclaredKind, Names};
pub(crate) use reach::{Reached, is_avoidable};

/// What the rules about all files must know of one.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    /// Look-ups that depend on the machine and that evaluation cannot avoid.
    pub(crate) impure: Box<[Impure]>,
    /// Whether it speaks of a `stateVersion` at all.
    pub(crate) has_state_version: bool,
    /// The configurations that it writes out.
    pub(crate) hosts: Box<[Host]>,
    pub(crate) names: Option<Box<Names>>,
}

/// A look-up that depends on the machine.
#[derive(Clone, Debug)]
pub(crate) struct Impure {
    pub(crate) range: TextRange,
    pub(crate) what: ImpureKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ImpureKind {
    /// `<nixpkgs>`.
    SearchPath(Box<str>),
    /// `builtins.currentSystem`.
    Builtin(&'static str),
}

/// The rules that are asked here.
const CODES: [Code; 6] = [
    unreached_file::RULE.code,
    unused_helper::RULE.code,
    unread_option::RULE.code,
    impure_lookup::RULE.code,
    impure_builtin::RULE.code,
    no_state_version::RULE.code,
];

/// Which facts the rules that run need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WantedFacts {
    /// Whether any are needed.
    pub any: bool,
    /// Whether names are, which take more.
    names: bool,
}

impl WantedFacts {
    /// The facts for the rules of which `runs` is true.
    #[must_use]
    pub fn new(runs: impl Fn(Code) -> bool) -> Self {
        let names = runs(unused_helper::RULE.code) || runs(unread_option::RULE.code);
        Self { any: CODES.into_iter().any(runs), names }
    }
}

impl FileFacts {
    /// What is to be known of a checked file.
    #[must_use]
    pub fn of(checked: &CheckedFile, summary: &Summary, wanted: WantedFacts) -> Self {
        if !wanted.any {
            return Self::default();
        }
        if checked.is_refused {
            return Self::reading(checked, wanted);
        }
        let tree = &checked.tree;
        let lookups = summary.references.iter().filter_map(|reference| match &reference.target {
            // These are a part of Nix.
            Target::Search(text) if !text.starts_with("nix/") => {
                Some((reference.range, ImpureKind::SearchPath(text.clone())))
            }
            _ => None,
        });
        let lookups: Vec<Impure> = lookups.map(|(range, what)| Impure { range, what }).collect();
        let nodes = nodes_at(tree, &lookups);
        let is_certain = |it: &Impure| {
            nodes.get(&ends(it.range)).is_some_and(|node| !is_avoidable(tree.node(*node)))
        };
        let mut impure: Vec<Impure> = lookups.into_iter().filter(is_certain).collect();
        impure.extend(impure_builtin::uses(checked));
        Self {
            impure: impure.into(),
            has_state_version: speaks_of_state_version(checked),
            hosts: hosts(tree).into(),
            names: wanted.names.then(|| Box::new(Names::of(checked))),
        }
    }

    /// What is to be known for the sake of other files of one in which nothing is to be found: it is
    /// generated, or Nix refuses it.
    #[must_use]
    pub fn reading(checked: &CheckedFile, wanted: WantedFacts) -> Self {
        if !wanted.any {
            return Self::default();
        }
        Self {
            has_state_version: speaks_of_state_version(checked),
            names: wanted.names.then(|| Box::new(Names::reading(checked))),
            ..Self::default()
        }
    }
}

fn ends(range: TextRange) -> (u32, u32) {
    (range.start, range.end)
}

/// The innermost node at each of the places, found in one go through the tree.
fn nodes_at(tree: &Tree, places: &[Impure]) -> HashMap<(u32, u32), NodeId> {
    if places.is_empty() {
        return HashMap::new();
    }
    let wanted: HashSet<(u32, u32)> = places.iter().map(|it| ends(it.range)).collect();
    let nodes = tree.nodes().map(|node| (ends(node.range()), node.id()));
    nodes.filter(|(place, _)| wanted.contains(place)).collect()
}

fn speaks_of_state_version(checked: &CheckedFile) -> bool {
    memchr::memmem::find(checked.tree.text().as_bytes(), b"stateVersion").is_some()
}

/// The findings of the rules about all files, by the files that they are in.
#[must_use]
pub fn find_across(
    graph: &ImportGraph,
    facts: &[FileFacts],
    severity: impl Fn(FileId, Code) -> Option<Severity>,
) -> Vec<(FileId, Diagnostic)> {
    let mut out = Vec::new();
    let mut add = |code: Code, found: Vec<(FileId, Finding)>| {
        for (file, finding) in found {
            if let Some(severity) = severity(file, code) {
                out.push((file, crate::checker::found(code, severity, finding).diagnostic));
            }
        }
    };
    let project = Across { graph, facts };
    let reached = Reached::from_flakes(graph);
    add(impure_lookup::RULE.code, impure_lookup::find(&project, &reached));
    add(impure_builtin::RULE.code, impure_builtin::find(&project, &reached));
    add(no_state_version::RULE.code, no_state_version::find(&project));
    // These take longer, and few ask for them.
    if facts.iter().any(|facts| facts.names.is_some()) {
        let read = names::read_names(facts);
        add(unused_helper::RULE.code, unused_helper::find(&project, &read));
        add(unread_option::RULE.code, unread_option::find(&project, &read));
    }
    add(unreached_file::RULE.code, unreached_file::find(&project));
    out
}

/// All files with what is known of each.
pub(crate) struct Across<'p> {
    pub(crate) graph: &'p ImportGraph,
    pub(crate) facts: &'p [FileFacts],
}

impl Across<'_> {
    pub(crate) fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..self.graph.snapshot().files().len() as u32).map(FileId)
    }

    pub(crate) fn facts(&self, file: FileId) -> Option<&FileFacts> {
        self.facts.get(file.index())
    }

    /// The path of a file as it is told, from the folder of the project.
    pub(crate) fn shown(&self, file: FileId) -> String {
        let snapshot = self.graph.snapshot();
        snapshot.relative(&snapshot.files()[file.index()].path).to_string_lossy().into_owned()
    }

    /// Whether the whole project was looked at: a file at its top was found and not named.
    pub(crate) fn is_whole(&self) -> bool {
        let snapshot = self.graph.snapshot();
        let is_top = |file: &cim_nix_project::SourceFile| {
            file.path.parent() == Some(snapshot.root()) && !file.is_named
        };
        snapshot.files().iter().any(is_top)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::fmt::Write as _;

    use cim_nix_project::{
        Files as _, ImportGraph, MemoryFiles, Request, Snapshot, discover, summarise,
    };

    use super::{FileFacts, WantedFacts, find_across};
    use crate::{Checker, Lints};

    /// The findings of the rule `code` in a project given as one text: path, what is marked, message.
    pub(crate) fn found(code: &str, fixture: &str) -> String {
        let files = MemoryFiles::fixture(fixture);
        let snapshot = Snapshot::new("/p", discover(&files, &Request::new(["/p"])).files);
        let mut lints = Lints::nothing();
        lints.select(code).unwrap();
        let wanted = WantedFacts::new(|code| lints.severity(code).is_some());
        let read = |path: &std::path::Path| files.read(path, 1 << 20).unwrap();
        let (mut summaries, mut facts) = (Vec::new(), Vec::new());
        for file in snapshot.files() {
            if !file.path.to_string_lossy().ends_with(".nix") {
                summaries.push(Default::default());
                facts.push(FileFacts::default());
                continue;
            }
            let checked = Checker::default().check("x.nix", read(&file.path), &Lints::nothing());
            let summary = summarise(&checked.tree, &checked.ir);
            facts.push(FileFacts::of(&checked, &summary, wanted));
            summaries.push(summary);
        }
        let graph = ImportGraph::link(&snapshot, summaries, &files);
        let mut out = String::new();
        for (file, found) in find_across(&graph, &facts, |_, code| lints.severity(code)) {
            let path = &snapshot.files()[file.index()].path;
            let text = read(path);
            let marked = &text[found.range.as_usize()];
            let _ = writeln!(out, "{} {marked}: {}", path.display(), found.message);
        }
        out
    }
}
