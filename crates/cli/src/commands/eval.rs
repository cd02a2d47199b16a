//! `cim-nix eval`: the value of a file or expression.

use std::path::PathBuf;

use cim_nix_base::Error;
use cim_nix_eval::Format;
use clap::{Args, ValueEnum};

use crate::evaluation::EvalArgs;
use crate::exit::Exit;
use crate::reading::{is_stdin, read_stdin};

const EXAMPLES: &str = "\
Examples:
  cim-nix eval -E '1 + 2'                            an expression
  cim-nix eval ./default.nix -A config.services      an attribute of a file's value
  cim-nix eval hosts.nix --format json               for another program
  cim-nix eval ./. -A lib --apply builtins.attrNames what a function makes of it
  echo '{ a = 1; }' | cim-nix eval -                 from standard input

Functions at the top are called with --arg and --argstr. Nix need not be installed.
Exit status: 0 evaluated, 1 evaluation failed, 2 wrong usage, 3 the machine failed.";

/// Evaluate a file or expression
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalCommand {
    /// The file, or a folder with a default.nix; `-` is standard input
    #[arg(value_name = "FILE", default_value = ".", conflicts_with = "expr")]
    file: PathBuf,
    /// Evaluate this expression
    #[arg(short = 'E', long, value_name = "EXPR")]
    expr: Option<String>,
    /// Select an attribute of the value
    #[arg(short = 'A', long = "attr", value_name = "PATH", default_value = "")]
    attr: String,
    /// Call a function with the value
    #[arg(long, value_name = "FUNCTION")]
    apply: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ValueFormat,
    /// Leave what is inside of sets and lists as it is
    #[arg(long)]
    shallow: bool,
    #[command(flatten)]
    eval_args: EvalArgs,
}

/// How to print a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ValueFormat {
    /// As Nix code
    #[default]
    Nix,
    /// As JSON
    Json,
    /// As XML
    Xml,
    /// A string as it is
    Raw,
}

pub(crate) fn run(args: &EvalCommand) -> Result<Exit, Error> {
    let text = match &args.expr {
        Some(text) => Some(text.clone()),
        None if is_stdin(&args.file) => Some(String::from_utf8_lossy(&read_stdin()?).into_owned()),
        None => None,
    };
    let format = match args.format {
        ValueFormat::Nix => Format::Nix,
        ValueFormat::Json => Format::Json,
        ValueFormat::Xml => Format::Xml,
        ValueFormat::Raw => Format::Raw,
    };
    args.eval_args.surroundings()?.evaluate(|evaluation, around, out| {
        let arguments = around.arguments(evaluation)?;
        let root = match &text {
            Some(text) => evaluation.text(text, &around.folder)?,
            None => evaluation.file(&around.path(&args.file))?,
        };
        let mut value = evaluation.select(root, &args.attr, &arguments)?;
        value = evaluation.auto_call(value, &arguments)?;
        if let Some(function) = &args.apply {
            let function = evaluation.text(function, &around.folder)?;
            value = evaluation.apply(function, value)?;
        }
        let value = evaluation.force(value, !args.shallow)?;
        out.bytes(&evaluation.write(value, format, !args.shallow)?);
        if matches!(format, Format::Nix | Format::Json) {
            out.text("\n");
        }
        Ok(())
    })
}
