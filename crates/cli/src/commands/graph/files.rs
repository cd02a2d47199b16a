//! The graphs of files and of modules.

use std::path::PathBuf;

use cim_nix_base::{Error, Graph};
use cim_nix_project::{
    Discovery, FileId, Host, ImportGraph, Panicked, Snapshot, Summary, encrypted_reason, for_each,
    hosts, summarise,
};
use cim_nix_semantics::Lowerer;
use cim_nix_syntax::Parser;
use cim_nix_syntax::file_kind::detect;
use cim_nix_vfs::DiskFiles;

use crate::args::WalkArgs;
use crate::checking::is_nix;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::reading::read;
use crate::scope::{self, shown};
use crate::terminal::note;

/// The import graph of a project, and what was asked of it.
pub(super) struct FileGraph {
    graph: ImportGraph,
    facts: Vec<Facts>,
    asked: Discovery,
    /// Whether some files were named, which are followed.
    follows: bool,
}

/// What is shown of a file beyond its imports.
struct Facts {
    kind: &'static str,
    hosts: Vec<Host>,
}

impl FileGraph {
    /// Errors: the configuration or a pattern is wrong, or this program failed on a file.
    pub(super) fn of(paths: &[PathBuf], walk: &WalkArgs) -> Result<Self, Error> {
        let config = scope::config(walk, paths)?;
        let root = scope::project_root(paths);
        let asked = scope::find_files(&DiskFiles, walk, paths, &config)?;
        let follows = asked.files.iter().any(|file| file.is_named);
        let mut all = if follows {
            // What a file leads to may lie anywhere in its project.
            let paths: Vec<PathBuf> = paths.iter().cloned().chain([root.clone()]).collect();
            scope::find_files(&DiskFiles, walk, &paths, &config)?
        } else {
            asked.clone()
        };
        let snapshot = Snapshot::new(root, std::mem::take(&mut all.files));
        let (graph, facts) = link(&snapshot, walk)?;
        Ok(Self { graph, facts, asked, follows })
    }

    /// The files to show: those that were asked for and, behind files that were named, all that they
    /// lead to.
    pub(super) fn selection(&self) -> Vec<FileId> {
        let find = |is_named: bool| {
            let files = self.asked.files.iter().filter(move |file| file.is_named == is_named);
            let files = files.filter(|file| is_nix(file));
            files.filter_map(|file| self.graph.snapshot().find(&file.path))
        };
        let mut all: Vec<FileId> = find(false).collect();
        if self.follows {
            all.extend(self.graph.reach(&find(true).collect::<Vec<_>>()));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) fn files(&self, shown_files: &[FileId]) -> Graph {
        self.graph.to_graph(shown_files, |file| self.facts[file.index()].kind.to_owned())
    }

    pub(super) fn modules(&self) -> Graph {
        self.graph.to_module_graph(
            |file| self.facts[file.index()].kind.to_owned(),
            |file| self.facts[file.index()].hosts.clone(),
        )
    }

    /// Tells what the files that are shown miss, and what could not be read.
    pub(super) fn report(&self, shown_files: &[FileId]) -> Exit {
        let files = self.graph.snapshot().files();
        for missing in self.graph.missing() {
            if shown_files.binary_search(&missing.from).is_ok() {
                let from = shown(&files[missing.from.index()].path);
                let hint = missing.suggestion.as_ref();
                let hint = hint.map(|path| format!("; did you mean `{path}`?")).unwrap_or_default();
                note(format_args!("{from}: nothing is at `{}`{hint}", shown(&missing.path)));
            }
        }
        for trouble in &self.asked.troubles {
            note(format_args!("cannot read `{}`: {}", shown(&trouble.path), trouble.problem));
        }
        if self.asked.troubles.is_empty() { Exit::Clean } else { Exit::Refused }
    }
}

/// The graph of all files, and what is shown of each.
fn link(snapshot: &Snapshot, walk: &WalkArgs) -> Result<(ImportGraph, Vec<Facts>), Error> {
    let files = snapshot.files();
    let progress = Progress::new(true);
    progress.start(files.len());
    let scratch = || (Parser::default(), Lowerer::default());
    let plain = |kind| (Summary::default(), Facts { kind, hosts: Vec::new() });
    let answers = for_each(scope::workers(walk), files.len(), scratch, |(parser, lowerer), at| {
        progress.step();
        if !is_nix(&files[at]) {
            return plain("lock-file");
        }
        // What cannot be read is still a node.
        let Ok(source) = read(&files[at].path) else { return plain("unreadable") };
        if encrypted_reason(&source.text).is_some() {
            return plain("encrypted");
        }
        let tree = parser.parse(source.text).tree;
        let kind = detect(&shown(&files[at].path), &tree).kind.name();
        (summarise(&tree, &lowerer.lower(&tree)), Facts { kind, hosts: hosts(&tree) })
    })?;
    drop(progress);
    let mut summaries = Vec::with_capacity(files.len());
    let mut all_facts = Vec::with_capacity(files.len());
    for (file, answer) in files.iter().zip(answers) {
        let (summary, facts) = answer.map_err(|Panicked(text)| {
            let message = format!("internal error on `{}`: {text}", shown(&file.path));
            Error::bug(message).hint("please report it")
        })?;
        summaries.push(summary);
        all_facts.push(facts);
    }
    Ok((ImportGraph::link(snapshot, summaries, &DiskFiles), all_facts))
}
