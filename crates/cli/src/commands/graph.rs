//! `cim-nix graph`: what leads where, as trees and pictures.

mod files;
pub(crate) mod inputs;
mod print;

use std::path::PathBuf;

use cim_nix_base::Error;
use cim_nix_semantics::attribute_graph;
use clap::{Args, Subcommand};

use self::files::FileGraph;
use self::inputs::InputsArgs;
use self::print::PrintArgs;
use crate::args::WalkArgs;
use crate::exit::Exit;
use crate::reading::read_named;

const EXAMPLES: &str = "\
Examples:
  cim-nix graph                                 the imports of a project as trees
  cim-nix graph flake.nix                       what one file imports, and what that imports
  cim-nix graph --why flake.nix lib/net.nix     a shortest way from one file to another
  cim-nix graph modules                         which module brings in which, host by host
  cim-nix graph inputs                          locked inputs with their ages and copies
  cim-nix graph attrs default.nix --format svg  which attributes of a file need which, drawn
  cim-nix graph --format dot | dot -Tsvg        a picture, by Graphviz

Names are relative to the folder of the project. References to files that are not there are told on
standard error. A folder called like a kind of graph is named with a dot: ./modules.";

/// Show which files import which, and other graphs
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct GraphArgs {
    #[command(subcommand)]
    kind: Option<GraphKind>,
    #[command(flatten)]
    files: FilesGraphArgs,
}

#[derive(Subcommand, Debug)]
enum GraphKind {
    /// Which files import which
    Files(FilesGraphArgs),
    /// Which modules bring in which others, and which hosts they make up
    Modules(ModulesArgs),
    /// The inputs of a flake as they are locked, with `follows`, ages and copies
    Inputs(InputsArgs),
    /// Which attributes and bindings of a file need which
    Attrs(AttrsArgs),
}

#[derive(Args, Debug)]
struct FilesGraphArgs {
    /// Folders, all of whose files are shown, and files, which are followed
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    walk: WalkArgs,
}

#[derive(Args, Debug)]
struct ModulesArgs {
    /// Folders whose modules are shown
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    walk: WalkArgs,
}

#[derive(Args, Debug)]
struct AttrsArgs {
    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    print: PrintArgs,
}

pub(crate) fn run(args: &GraphArgs) -> Result<Exit, Error> {
    match &args.kind {
        None => show_files(&args.files),
        Some(GraphKind::Files(args)) => show_files(args),
        Some(GraphKind::Modules(ModulesArgs { paths, print, walk })) => {
            let all = FileGraph::of(paths, walk)?;
            let exit = print::show(&all.modules(), print).map_err(|error| {
                let hint = "this graph holds modules and what leads to them; `cim-nix graph --why` follows all files";
                if print.asks_why() { error.hint(hint) } else { error }
            })?;
            Ok(exit.max(all.report(&[])))
        }
        Some(GraphKind::Inputs(args)) => inputs::run(args),
        Some(GraphKind::Attrs(AttrsArgs { file, print })) => {
            let tree = cim_nix_syntax::parse(read_named(file)?.text).tree;
            print::show(&attribute_graph(&cim_nix_semantics::lower(&tree)), print)
        }
    }
}

fn show_files(FilesGraphArgs { paths, print, walk }: &FilesGraphArgs) -> Result<Exit, Error> {
    let all = FileGraph::of(paths, walk)?;
    let shown_files = all.selection();
    let exit = print::show(&all.files(&shown_files), print)?;
    Ok(exit.max(all.report(&shown_files)))
}
