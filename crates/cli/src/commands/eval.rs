//! `cim-nix eval`: the value of a file, an expression or a flake's attribute.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Format, Handle};
use clap::{Args, ValueEnum};

use crate::evaluation::{Around, EvalArgs};
use crate::exit::Exit;
use crate::installable::Installable;
use crate::lock_args::{LockArgs, LockRequest};
use crate::reading::read_stdin;

const EXAMPLES: &str = "\
Examples:
  cim-nix eval -E '1 + 2'                            an expression
  cim-nix eval ./default.nix -A config.services      an attribute of a file's value
  cim-nix eval .#nixosConfigurations.web.config.networking.hostName --format raw
  cim-nix eval hosts.nix --format json               for another program
  cim-nix eval ./. -A lib --apply builtins.attrNames what a function makes of it
  echo '{ a = 1; }' | cim-nix eval -                 from standard input

Functions at the top are called with --arg and --argstr. Nix need not be installed.
Flakes are evaluated pure unless --impure is given. What their lock files lack is locked for this
run, and nothing is written.
Exit status: 0 evaluated, 1 evaluation failed, 2 wrong usage, 3 the machine failed.";

/// Evaluate a file, an expression or an attribute of a flake
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalCommand {
    /// A file, a folder with a default.nix, `-` for standard input, or a flake such as `.#a.b`
    #[arg(value_name = "WHAT", default_value = ".", conflicts_with = "expr")]
    what: String,
    /// Evaluate this expression
    #[arg(short = 'E', long, value_name = "EXPR")]
    expr: Option<String>,
    /// Evaluate this file
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with_all = ["expr", "what"])]
    file: Option<PathBuf>,
    /// Select an attribute of the value
    #[arg(short = 'A', long = "attr", value_name = "PATH", default_value = "")]
    attr: String,
    /// Call a function with the value
    #[arg(long, value_name = "FUNCTION")]
    apply: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ValueFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The same as --format raw
    #[arg(long, conflicts_with_all = ["format", "json"])]
    raw: bool,
    /// Leave what is inside of sets and lists as it is
    #[arg(long)]
    shallow: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

/// How to print a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ValueFormat {
    /// As Nix code, derivations and functions by where they are
    #[default]
    Nix,
    /// As JSON
    Json,
    /// As XML
    Xml,
    /// A string as it is
    Raw,
}

/// What is to be evaluated.
pub(crate) enum Target {
    Text(String),
    File(PathBuf),
    Flake(Installable),
}

/// What somebody means who gave an expression, a file, or one of them or a flake as `what`.
pub(crate) fn target(expr: Option<&str>, file: Option<&Path>, what: &str) -> Result<Target, Error> {
    if let Some(text) = expr {
        return Ok(Target::Text(text.to_owned()));
    }
    if let Some(file) = file {
        return Ok(Target::File(file.to_owned()));
    }
    if what == "-" {
        return Ok(Target::Text(String::from_utf8_lossy(&read_stdin()?).into_owned()));
    }
    if what.starts_with('<') && what.ends_with('>') {
        return Ok(Target::Text(what.to_owned()));
    }
    let path = PathBuf::from(what);
    let is_flake = what.contains('#')
        || (path.join("flake.nix").exists() && !path.join("default.nix").exists())
        || (!path.exists() && what.contains(':'));
    if is_flake {
        return Installable::parse(what).map(Target::Flake);
    }
    if !path.exists() {
        return Err(Error::user(format!("there is no file or folder `{what}`"))
            .hint(format!("an expression: cim-nix eval -E '{what}'"))
            .hint(format!("an attribute of the flake here: cim-nix eval '.#{what}'")));
    }
    if path.is_dir() && !path.join("default.nix").exists() {
        // As Nix does, look for a flake above.
        let above = path.canonicalize().unwrap_or_default();
        if above.ancestors().any(|folder| folder.join("flake.nix").exists()) {
            return Installable::parse(what).map(Target::Flake);
        }
        return Err(Error::user(format!("`{what}` has neither a default.nix nor a flake.nix")));
    }
    Ok(Target::File(path))
}

pub(crate) fn run(args: &EvalCommand) -> Result<Exit, Error> {
    let target = target(args.expr.as_deref(), args.file.as_deref(), &args.what)?;
    let format = match args.format {
        _ if args.json => Format::PlainJson,
        _ if args.raw => Format::Raw,
        ValueFormat::Nix => Format::Display,
        ValueFormat::Json => Format::PlainJson,
        ValueFormat::Xml => Format::Xml,
        ValueFormat::Raw => Format::Raw,
    };
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(matches!(target, Target::Flake(_)), args.eval_args.impure);
    let system = surroundings.settings.system.clone();
    surroundings.evaluate(|evaluation, around, out| {
        let arguments = around.arguments(evaluation)?;
        let root = target.value(evaluation, around, &request, &system)?;
        let mut value = evaluation.select(root, &args.attr, &arguments)?;
        if !matches!(target, Target::Flake(_)) {
            value = evaluation.auto_call(value, &arguments)?;
        }
        if let Some(function) = &args.apply {
            let function = evaluation.text(function, &around.folder)?;
            value = evaluation.apply(function, value)?;
        }
        let value = evaluation.force(value, false)?;
        out.bytes(&evaluation.write(value, format, !args.shallow)?);
        if matches!(format, Format::Display | Format::PlainJson) {
            out.text("\n");
        }
        Ok(())
    })
}

impl Target {
    /// The value that is meant, before an attribute of it is selected.
    pub(crate) fn value<'e>(
        &self,
        evaluation: &'e Evaluation,
        around: &Around,
        request: &LockRequest,
        system: &str,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        request.prepare(evaluation)?;
        match self {
            Self::Text(text) => evaluation.text(text, &around.folder),
            Self::File(file) => evaluation.import(&around.path(file)),
            Self::Flake(installable) => flake_attr(evaluation, installable, request, system),
        }
    }
}

/// The attribute of a flake's outputs that is meant, as `nix eval` looks for it.
fn flake_attr<'e>(
    evaluation: &'e Evaluation,
    installable: &Installable,
    request: &LockRequest,
    system: &str,
) -> Result<Handle<'e>, Box<EvalError>> {
    let locked = evaluation.lock(&installable.flake, &request.options)?;
    let flake = evaluation.flake(&locked)?;
    let outputs = evaluation.attr(flake, "outputs")?.unwrap_or(flake);
    let attr = installable.attr.as_str();
    let paths = match attr.strip_prefix('.') {
        Some(exact) => vec![exact.to_owned()],
        None if attr.is_empty() => {
            vec![format!("packages.{system}.default"), format!("defaultPackage.{system}")]
        }
        None => vec![
            format!("packages.{system}.{attr}"),
            format!("legacyPackages.{system}.{attr}"),
            attr.to_owned(),
        ],
    };
    match evaluation.first_of(outputs, &paths)? {
        Ok(found) => Ok(found),
        Err(near) => {
            let names = paths.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>();
            let shown = match &names[..] {
                [many @ .., last] if !many.is_empty() => format!("{} or {last}", many.join(", ")),
                _ => names.concat(),
            };
            let message =
                format!("flake '{}' does not provide attribute {shown}", installable.flake);
            Err(Box::new(EvalError::missing_attribute(message, near)))
        }
    }
}
