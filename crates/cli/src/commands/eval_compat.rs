//! `cim-nix eval-compat`: takes the arguments of `nix-instantiate`, so that scripts and suites that
//! are written for it run against us.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Format, Handle};
use clap::Args;

use crate::evaluation::{Around, EvalArgs};
use crate::exit::Exit;
use crate::reading::{is_stdin, read_named, read_stdin};
use crate::terminal::Out;

const EXAMPLES: &str = "\
Examples:
  cim-nix eval-compat --eval --strict -E '1 + 2'
  cim-nix eval-compat --eval --json -A config.services ./host.nix
  echo 'x: x' | cim-nix eval-compat --parse -

Exit status: 0 evaluated, 1 evaluation failed, 2 wrong usage, 3 the machine failed.";

/// Evaluate with the arguments of nix-instantiate
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalCompatArgs {
    /// Files or folders with Nix code; `-` is standard input
    #[arg(value_name = "FILE", default_value = "./default.nix")]
    files: Vec<String>,
    /// Print the value
    #[arg(long, conflicts_with = "parse")]
    eval: bool,
    /// Print the expression as it was understood
    #[arg(long)]
    parse: bool,
    /// FILE is an expression, not a file
    #[arg(short = 'E', long)]
    expr: bool,
    /// Select an attribute of the value
    #[arg(short = 'A', long = "attr", value_name = "PATH")]
    attr: Vec<String>,
    /// Evaluate all of the value, not only its surface
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["xml", "raw"])]
    json: bool,
    /// Print XML
    #[arg(long, conflicts_with = "raw")]
    xml: bool,
    /// Print a string as it is
    #[arg(long)]
    raw: bool,
    /// Leave the places of definition out of XML
    #[arg(long)]
    no_location: bool,
    /// Write derivations and sources to the store that NIX_REMOTE names as `local?root=FOLDER`
    #[arg(long)]
    read_write_mode: bool,
    #[command(flatten)]
    eval_args: EvalArgs,
}

/// The folder that NIX_REMOTE names. Real stores have a database, which is not ours to write.
fn store_root() -> Result<PathBuf, Error> {
    let remote = std::env::var("NIX_REMOTE").unwrap_or_default();
    match remote.strip_prefix("local?root=") {
        Some(root) if !root.is_empty() => Ok(PathBuf::from(root)),
        _ => Err(Error::user("--read-write-mode needs NIX_REMOTE=local?root=FOLDER")
            .hint("other stores have a database that this program does not write")),
    }
}

pub(crate) fn run(args: &EvalCompatArgs) -> Result<Exit, Error> {
    if args.parse {
        return run_parse(args);
    }
    let mut surroundings = args.eval_args.surroundings()?;
    if args.read_write_mode {
        surroundings.store_root = Some(store_root()?);
    }
    let stdin = match args.files.iter().any(|file| file == "-") {
        true => Some(String::from_utf8_lossy(&read_stdin()?).into_owned()),
        false => None,
    };
    surroundings.evaluate(|evaluation, around, out| {
        for file in &args.files {
            print_file(args, file, stdin.as_deref(), (evaluation, around), out)?;
        }
        Ok(())
    })
}

fn print_file(
    args: &EvalCompatArgs,
    file: &str,
    stdin: Option<&str>,
    (evaluation, around): (&Evaluation, &Around),
    out: &mut Out,
) -> Result<(), Box<EvalError>> {
    let arguments = around.arguments(evaluation)?;
    let root = match stdin {
        Some(text) if file == "-" => evaluation.text(text, &around.folder)?,
        _ if args.expr => evaluation.text(file, &around.folder)?,
        _ if file.starts_with('<') && file.ends_with('>') => {
            evaluation.text(&format!("import {file}"), &around.folder)?
        }
        _ => evaluation.file(&around.path(Path::new(file)))?,
    };
    let whole = [String::new()];
    let paths = if args.attr.is_empty() { &whole[..] } else { &args.attr };
    for path in paths {
        let selected = evaluation.select(root, path, &arguments)?;
        // As in Nix, without arguments a function is a value like any other.
        let value = match arguments.is_empty() {
            true => selected,
            false => evaluation.auto_call(selected, &arguments)?,
        };
        print_value(args, evaluation, value, out)?;
    }
    Ok(())
}

fn print_value<'e>(
    args: &EvalCompatArgs,
    evaluation: &'e Evaluation,
    value: Handle<'e>,
    out: &mut Out,
) -> Result<(), Box<EvalError>> {
    let format = match args {
        EvalCompatArgs { json: true, .. } => Format::Json,
        EvalCompatArgs { xml: true, no_location: true, .. } => Format::Xml,
        EvalCompatArgs { xml: true, .. } => Format::PlacedXml,
        EvalCompatArgs { raw: true, .. } => Format::Raw,
        _ => Format::Nix,
    };
    let value = evaluation.force(value, args.strict && format == Format::Nix)?;
    out.bytes(&evaluation.write(value, format, args.strict)?);
    if matches!(format, Format::Nix | Format::Json) {
        out.text("\n");
    }
    Ok(())
}

fn run_parse(args: &EvalCompatArgs) -> Result<Exit, Error> {
    let mut texts = Vec::new();
    for file in &args.files {
        let path = PathBuf::from(file);
        texts.push(match args.expr && !is_stdin(&path) {
            true => (file.clone(), "«string»".to_owned(), None),
            false if is_stdin(&path) => (read_named(&path)?.text, "«stdin»".to_owned(), None),
            false => (read_named(&path)?.text, String::new(), Some(path)),
        });
    }
    args.eval_args.surroundings()?.evaluate(|evaluation, around, out| {
        for (text, name, path) in &texts {
            let path = path.as_ref().map(|path| around.path(path));
            let name = path.as_ref().map_or(name.clone(), |path| path.to_string_lossy().into());
            let folder = path.as_ref().and_then(|path| path.parent()).unwrap_or(&around.folder);
            out.line(evaluation.print_text(text, &name, folder)?);
        }
        Ok(())
    })
}
