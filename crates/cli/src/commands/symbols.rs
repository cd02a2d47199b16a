//! `cim-nix symbols`: what files define.

use std::fmt::Write as _;
use std::path::PathBuf;

use cim_nix_base::Error;
use cim_nix_syntax::Parser;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::WalkArgs;
use crate::exit::Exit;
use crate::listing::{Listing, list};
use crate::outline::{Symbol, outline};
use crate::output::{JsonRange, Source, json_text};
use crate::terminal::printable;

const EXAMPLES: &str = "\
Examples:
  cim-nix symbols flake.nix            path:line:column: kind name (value) - doc
  cim-nix symbols lib/ | grep mkIf     where a name is defined
  cim-nix symbols --format json .      for another program";

/// List what files define: bindings, attributes, parameters
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SymbolsArgs {
    /// Files and folders; `-` is standard input
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to list
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: SymbolFormat,
    #[command(flatten)]
    walk: WalkArgs,
}

/// How to list symbols.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum SymbolFormat {
    /// One name a line
    #[default]
    Text,
    /// One JSON object; its schema is documented in docs/cli.md
    Json,
}

pub(crate) fn run(args: &SymbolsArgs) -> Result<Exit, Error> {
    let is_json = args.format == SymbolFormat::Json;
    list(
        Listing { paths: &args.paths, walk: &args.walk, nix_only: true, is_json },
        Parser::default,
        |parser, file| {
            let tree = parser.parse(file.text).tree;
            let source = Source::new(file.name, tree.text());
            let symbols = outline(&tree);
            if is_json { json(&source, &symbols) } else { text(&source, &symbols) }
        },
    )
}

fn text(source: &Source<'_>, symbols: &[Symbol]) -> String {
    let mut out = String::new();
    for symbol in symbols {
        let at = source.position(symbol.name_range.start);
        let name = symbol.path.split_whitespace().collect::<Vec<_>>().join(" ");
        let (name, kind) = (printable(&name), symbol.kind.word());
        let _ = write!(out, "{}:{}:{}: {kind} {name}", source.path, at.line, at.column);
        if let Some(value) = symbol.value {
            let _ = write!(out, " ({value})");
        }
        if let Some(doc) = &symbol.doc {
            let _ = write!(out, " - {}", printable(doc));
        }
        out.push('\n');
    }
    out
}

#[derive(Serialize)]
struct JsonSymbols<'a> {
    path: &'a str,
    symbols: Vec<JsonSymbol<'a>>,
}

#[derive(Serialize)]
struct JsonSymbol<'a> {
    name: &'a str,
    kind: &'a str,
    value: Option<&'a str>,
    depth: usize,
    range: JsonRange,
    name_range: JsonRange,
    doc: Option<&'a str>,
}

fn json(source: &Source<'_>, symbols: &[Symbol]) -> String {
    let symbols = symbols.iter().map(|symbol| JsonSymbol {
        name: &symbol.path,
        kind: symbol.kind.word(),
        value: symbol.value,
        depth: symbol.depth,
        range: JsonRange::of(source, symbol.range),
        name_range: JsonRange::of(source, symbol.name_range),
        doc: symbol.doc.as_deref(),
    });
    json_text(&JsonSymbols { path: source.path, symbols: symbols.collect() })
}
