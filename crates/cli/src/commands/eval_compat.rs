//! `cim-nix eval-compat`: takes the arguments of `nix-instantiate`, so that scripts and suites that
//! are written for it run against us.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Format, Handle};
use cim_nix_semantics::{Lowerer, print};
use cim_nix_syntax::parse;
use clap::Args;

use crate::evaluation::{Around, EvalArgs};
use crate::exit::Exit;
use crate::output::{self, Rendered, Source, Style};
use crate::reading::{is_stdin, read_named, read_stdin};
use crate::scope::shown;
use crate::terminal::{Out, note};

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
    #[command(flatten)]
    eval_args: EvalArgs,
}

pub(crate) fn run(args: &EvalCompatArgs) -> Result<Exit, Error> {
    if args.parse {
        return run_parse(args);
    }
    let surroundings = args.eval_args.surroundings()?;
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
        _ => evaluation.file(&around.path(Path::new(file)))?,
    };
    let whole = [String::new()];
    let paths = if args.attr.is_empty() { &whole[..] } else { &args.attr };
    for path in paths {
        let selected = evaluation.select(root, path, &arguments)?;
        let value = evaluation.auto_call(selected, &arguments)?;
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
        EvalCompatArgs { xml: true, .. } => Format::Xml,
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
    let around = args.eval_args.surroundings()?;
    let mut out = Out::new();
    let mut exit = Exit::Clean;
    for file in &args.files {
        let path = PathBuf::from(file);
        let (text, name, folder) = if args.expr && !is_stdin(&path) {
            (file.clone(), "«string»".to_owned(), around.folder.clone())
        } else {
            let parent = match is_stdin(&path) {
                true => around.folder.clone(),
                false => around.folder.join(&path).parent().unwrap_or(Path::new("/")).to_owned(),
            };
            (read_named(&path)?.text, shown(&path), parent)
        };
        let parsed = parse(text);
        let ir = Lowerer::default().lower(&parsed.tree);
        let problems = parsed.problems.iter().chain(&ir.problems);
        let problems: Vec<_> = problems.cloned().collect();
        if problems.iter().any(|p| p.severity == cim_nix_base::Severity::Error) {
            let source = Source::new(&name, parsed.tree.text());
            let style =
                Style { format: output::Format::Concise, color: false, unsafe_fixes: false };
            let rendered = Rendered::new(style, &source, &problems);
            rendered.findings().for_each(|problem| note(problem.trim_end()));
            exit = Exit::Findings;
            continue;
        }
        let places = print::Places { folder: &folder, home: &around.settings.home };
        out.line(print::print(&ir, &parsed.tree, places));
    }
    out.finish()?;
    Ok(exit)
}
