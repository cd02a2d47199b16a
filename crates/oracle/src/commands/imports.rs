//! The import graph beside the files that real Nix evaluates.
//!
//! Nix says on standard error which files it evaluates, so every edge that an evaluation takes ends
//! at one of them. Each must be led to by an edge of our graph from another one; the files that an
//! entry names itself are left out, as the entry is no part of the corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cim_nix_base::Error;
use cim_nix_project::{
    Destination, FileId, ImportGraph, Snapshot, SourceFile, Summary, Target, summarise,
};
use cim_nix_semantics::Lowerer;
use cim_nix_syntax::Parser;
use cim_nix_vfs::DiskFiles;

use super::Report;
use super::files::{corpus_files, corpus_root, read};
use crate::args::Args;

/// How entries name the corpus: `<corpus/nixpkgs>`.
const NAME: &str = "corpus";
/// What Nix prints before the path of each file that it evaluates.
const EVALUATING: &str = "evaluating file '";

/// How an evaluated file is led to, the weakest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// By an edge to the file.
    File,
    /// By an edge to a folder that files are picked from at run time.
    Folder,
    /// By a folder that is named for whatever use.
    Named,
    /// By nothing.
    None,
}

/// Compares for every program below `--entries`.
pub(super) fn run(args: &Args) -> Result<Report, Error> {
    let root = corpus_root(args)?;
    let entries = corpus_files(&args.path("entries")?)?;
    let graph = link(&root)?;
    let mut text = String::new();
    let mut total = BTreeMap::new();
    for entry in &entries {
        let evaluated = evaluate(&args.path("nix")?, &root, entry)?;
        let found = ways(&graph, &evaluated, &named(entry, &root)?);
        let name = entry.file_stem().unwrap_or_default().to_string_lossy();
        let _ = writeln!(text, "{name}: {}", counted(found.values()));
        for (&file, &way) in &found {
            *total.entry(way).or_insert(0) += 1;
            let path = graph.snapshot().relative(&graph.snapshot().files()[file.index()].path);
            match way {
                Way::Named => {
                    let _ = writeln!(text, "  by the name of a folder only: {}", path.display());
                }
                Way::None => {
                    let _ = writeln!(text, "  by nothing: {}", path.display());
                }
                Way::File | Way::Folder => {}
            }
        }
    }
    let all = total.iter().flat_map(|(way, n)| std::iter::repeat_n(way, *n));
    let _ = writeln!(text, "{} entries: {}", entries.len(), counted(all));
    Ok(Report { text, agrees: !total.contains_key(&Way::None) })
}

fn counted<'a>(ways: impl Iterator<Item = &'a Way>) -> String {
    let mut count = [0; 4];
    ways.for_each(|way| count[*way as usize] += 1);
    let [file, folder, named, none] = count;
    let all = file + folder + named + none;
    format!(
        "{all} files evaluated, led to by an edge {file}, by a folder at run time {folder}, \
         by the name of a folder {named}, by nothing {none}"
    )
}

/// The graph of all files of the corpus.
fn link(root: &Path) -> Result<ImportGraph, Error> {
    let files = corpus_files(root)?;
    let file = |path: PathBuf| SourceFile { path: path.into(), is_named: false };
    let snapshot = Snapshot::new(root, files.into_iter().map(file).collect());
    let mut summaries = Vec::with_capacity(snapshot.files().len());
    for file in snapshot.files() {
        summaries.push(summary(&file.path)?);
    }
    Ok(ImportGraph::link(&snapshot, summaries, &DiskFiles))
}

fn summary(path: &Path) -> Result<Summary, Error> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let tree = Parser::default().parse(text).tree;
    Ok(summarise(&tree, &Lowerer::default().lower(&tree)))
}

/// The paths of the corpus that an entry names.
fn named(entry: &Path, root: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut found = BTreeSet::new();
    for reference in summary(entry)?.references {
        if let Target::Search(text) = &reference.target
            && let Some(below) = text.strip_prefix(NAME)
        {
            let path = root.join(below.trim_start_matches('/'));
            found.insert(path.join("default.nix"));
            found.insert(path);
        }
    }
    Ok(found)
}

/// The files that Nix evaluates for the program at `entry`. An evaluation that fails counts as far
/// as it gets.
fn evaluate(nix: &Path, root: &Path, entry: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let failed = |cause| Error::outside(format!("cannot run `{}`", nix.display())).because(cause);
    let store = tempfile::tempdir().map_err(failed)?;
    let output = Command::new(nix)
        .args(["--eval", "--strict", "-vvvvv", "-I"])
        .arg(format!("{NAME}={}", root.display()))
        .arg(entry)
        // Store paths are computed; nothing is written but the store's own database.
        .env("NIX_REMOTE", format!("local?root={}", store.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let paths = said.lines().filter_map(|line| line.strip_prefix(EVALUATING)?.strip_suffix('\''));
    let real = |path: &str| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let found: BTreeSet<PathBuf> = paths.map(real).filter(|path| path.starts_with(root)).collect();
    if found.is_empty() {
        let last = said.lines().last().unwrap_or_default().trim();
        return Err(Error::outside(format!(
            "`{}` evaluates no file of the corpus: {last}",
            entry.display()
        )));
    }
    Ok(found)
}

/// How each evaluated file is led to by the others.
fn ways(
    graph: &ImportGraph,
    evaluated: &BTreeSet<PathBuf>,
    named: &BTreeSet<PathBuf>,
) -> BTreeMap<FileId, Way> {
    let find = |path: &PathBuf| graph.snapshot().find(path);
    let files: BTreeSet<FileId> = evaluated.iter().filter_map(find).collect();
    let mut best: BTreeMap<FileId, Way> = files.iter().map(|&file| (file, Way::None)).collect();
    let mut note = |file: FileId, way: Way| {
        best.entry(file).and_modify(|best| *best = way.min(*best));
    };
    for &from in &files {
        for edge in graph.edges_from(from) {
            match edge.to {
                Destination::File(to) if to != from => note(to, Way::File),
                Destination::Folder(at) => {
                    let folder = &graph.folders()[at as usize];
                    let way = if edge.is_way() { Way::Folder } else { Way::Named };
                    let path = |file: FileId| &*graph.snapshot().files()[file.index()].path;
                    let inside = |file: &&FileId| folder.may_open(**file, path(**file));
                    files.iter().filter(|file| **file != from).filter(inside).for_each(|&file| {
                        note(file, way);
                    });
                }
                _ => {}
            }
        }
    }
    best.retain(|file, _| !named.contains(&*graph.snapshot().files()[file.index()].path));
    best
}
