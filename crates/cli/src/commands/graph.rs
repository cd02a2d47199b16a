//! `cim-nix graph`: which files import which.

use std::path::PathBuf;

use cim_nix_base::{Error, Graph};
use cim_nix_project::{
    Discovery, FileId, ImportGraph, Panicked, Snapshot, Summary, for_each, summarise,
};
use cim_nix_semantics::Lowerer;
use cim_nix_syntax::Parser;
use cim_nix_syntax::file_kind::detect;
use cim_nix_vfs::DiskFiles;
use clap::{Args, ValueEnum};

use crate::args::WalkArgs;
use crate::checking::is_nix;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::reading::read;
use crate::scope::{self, shown};
use crate::terminal::{Out, note, printable};

const EXAMPLES: &str = "\
Examples:
  cim-nix graph                                 the imports of a project as trees
  cim-nix graph flake.nix                       what one file imports, and what that imports
  cim-nix graph --format dot | dot -Tsvg        a picture, by Graphviz
  cim-nix graph --format mermaid                a picture for Markdown

Names are relative to the folder of the project. References to files that are not there are told on
standard error.";

/// Show which files import which
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GraphArgs {
    /// Folders, all of whose files are shown, and files, which are followed
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: GraphFormat,
    #[command(flatten)]
    walk: WalkArgs,
}

/// How to print a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum GraphFormat {
    /// Indented trees; (*) stands for what was printed before, (cycle) for a way back
    #[default]
    Text,
    /// Nodes and edges in one JSON object; its schema is documented in docs/cli.md
    Json,
    /// For Graphviz
    Dot,
    /// For Mermaid
    Mermaid,
}

pub(crate) fn run(args: &GraphArgs) -> Result<Exit, Error> {
    let config = scope::config(&args.walk, &args.paths)?;
    let root = scope::project_root(&args.paths);
    let asked = scope::find_files(&DiskFiles, &args.walk, &args.paths, &config)?;
    let follows = asked.files.iter().any(|file| file.is_named);
    let mut all = if follows {
        // What a file leads to may lie anywhere in its project.
        let paths: Vec<PathBuf> = args.paths.iter().cloned().chain([root.clone()]).collect();
        scope::find_files(&DiskFiles, &args.walk, &paths, &config)?
    } else {
        asked.clone()
    };
    let snapshot = Snapshot::new(root, std::mem::take(&mut all.files));
    let (graph, kinds) = link(&snapshot, &args.walk)?;
    let shown_files = selection(&graph, &asked, follows);
    let kind_of = |file: FileId| kinds[file.index()].to_owned();
    print(args.format, &graph.to_graph(&shown_files, kind_of))?;
    report_missing(&graph, &shown_files);
    for trouble in &asked.troubles {
        note(format_args!("cannot read `{}`: {}", shown(&trouble.path), trouble.problem));
    }
    Ok(if asked.troubles.is_empty() { Exit::Clean } else { Exit::Refused })
}

/// The graph of all files, and the kind of each.
fn link(snapshot: &Snapshot, walk: &WalkArgs) -> Result<(ImportGraph, Vec<&'static str>), Error> {
    let files = snapshot.files();
    let progress = Progress::new(true);
    progress.start(files.len());
    let scratch = || (Parser::default(), Lowerer::default());
    let answers = for_each(scope::workers(walk), files.len(), scratch, |(parser, lowerer), at| {
        progress.step();
        if !is_nix(&files[at]) {
            return (Summary::default(), "lock-file");
        }
        // What cannot be read is still a node.
        let Ok(source) = read(&files[at].path) else { return (Summary::default(), "unreadable") };
        let tree = parser.parse(source.text).tree;
        let kind = detect(&shown(&files[at].path), &tree).kind.name();
        (summarise(&tree, &lowerer.lower(&tree)), kind)
    })?;
    drop(progress);
    let mut summaries = Vec::with_capacity(files.len());
    let mut kinds = Vec::with_capacity(files.len());
    for (file, answer) in files.iter().zip(answers) {
        let (summary, kind) = answer.map_err(|Panicked(text)| {
            let message = format!("internal error on `{}`: {text}", shown(&file.path));
            Error::bug(message).hint("please report it")
        })?;
        summaries.push(summary);
        kinds.push(kind);
    }
    Ok((ImportGraph::link(snapshot, summaries, &DiskFiles), kinds))
}

/// The files to show: those that were asked for and, behind files that were named, all that they
/// lead to.
fn selection(graph: &ImportGraph, asked: &Discovery, follows: bool) -> Vec<FileId> {
    let find = |is_named: bool| {
        let files = asked.files.iter().filter(move |file| file.is_named == is_named);
        files.filter(|file| is_nix(file)).filter_map(|file| graph.snapshot().find(&file.path))
    };
    let mut all: Vec<FileId> = find(false).collect();
    if follows {
        all.extend(graph.reach(&find(true).collect::<Vec<_>>()));
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn print(format: GraphFormat, graph: &Graph) -> Result<(), Error> {
    let mut out = Out::new();
    match format {
        GraphFormat::Text => out.text(&printable(&graph.to_text())),
        GraphFormat::Json => out.line(graph.to_json()),
        GraphFormat::Dot => out.text(&graph.to_dot()),
        GraphFormat::Mermaid => out.text(&graph.to_mermaid()),
    }
    out.finish()
}

fn report_missing(graph: &ImportGraph, shown_files: &[FileId]) {
    let files = graph.snapshot().files();
    for missing in graph.missing() {
        if shown_files.binary_search(&missing.from).is_ok() {
            let from = shown(&files[missing.from.index()].path);
            let hint = missing.suggestion.as_ref();
            let hint = hint.map(|path| format!("; did you mean `{path}`?")).unwrap_or_default();
            note(format_args!("{from}: nothing is at `{}`{hint}", shown(&missing.path)));
        }
    }
}
