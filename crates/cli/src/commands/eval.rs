//! `cim-nix eval`: the value of a file, an expression or a flake's attribute.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use cim_domain_nix::command::EvaluateExpression;
use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Format, Handle};
use cim_nix_syntax::build::attr_name_text;
use clap::{Args, ValueEnum};

use crate::effects;
use crate::evaluation::{Around, EvalArgs, Surroundings, Target, target};
use crate::exit::Exit;
use crate::lock_args::{LockArgs, LockRequest};
use crate::outcome::ChangeArgs;
use crate::programs::{NixArgs, Wishes};
use crate::recording::new_identity;
use crate::roots::{self, Roots};
use crate::scope;

const EXAMPLES: &str = "\
Examples:
  cim-nix eval -E '1 + 2'                            an expression
  cim-nix eval ./default.nix -A config.services      an attribute of a file's value
  cim-nix eval .#nixosConfigurations.web.config.networking.hostName --format raw
  cim-nix eval hosts.nix --format json               for another program
  cim-nix eval .#lib --apply builtins.attrNames      what a function makes of it
  cim-nix eval .#nixosConfigurations --each --apply 'host: host.config.system.stateVersion'
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
    /// Evaluate each attribute of the value on its own, on all processors; one that fails is told
    /// at the end and stops no other
    #[arg(long, conflicts_with = "raw")]
    each: bool,
    /// With --each, work on N threads [default: one for each processor]
    #[arg(short = 'j', long, value_name = "N", requires = "each")]
    jobs: Option<NonZeroUsize>,
    /// Note the expression and its value in the log of the project here; it is evaluated pure, and
    /// for a minute at most unless --timeout says otherwise
    #[arg(long, requires = "expr", conflicts_with_all = ["attr", "apply", "format", "json", "raw", "each"])]
    record: bool,
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

pub(crate) fn run(args: &EvalCommand) -> Result<Exit, Error> {
    if let (true, Some(expression)) = (args.record, &args.expr) {
        let (expression, identity) = (expression.clone(), new_identity());
        let command = EvaluateExpression { expression, identity }.into();
        let root = scope::project_root(&[scope::here().to_owned()]);
        let nix = NixArgs::within(args.eval_args.timeout);
        return effects::run(&root, &command, &nix, Wishes::default(), &ChangeArgs::default());
    }
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
    let command = Command { args, target, request, system, format };
    if args.each {
        return command.each(surroundings);
    }
    surroundings.evaluate(|evaluation, around, out| {
        let value = command.found(evaluation, around)?;
        let value = command.applied(evaluation, around, value)?;
        out.bytes(&command.written(evaluation, value)?);
        if matches!(format, Format::Display | Format::PlainJson) {
            out.text("\n");
        }
        Ok(())
    })
}

/// What is asked for.
struct Command<'a> {
    args: &'a EvalCommand,
    target: Target,
    request: LockRequest,
    system: String,
    format: Format,
}

impl Command<'_> {
    /// The value that is meant.
    fn found<'e>(
        &self,
        evaluation: &'e Evaluation,
        around: &Around,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        let arguments = around.arguments(evaluation)?;
        let root = self.target.value(evaluation, around, &self.request, &self.system)?;
        let value = evaluation.select(root, &self.args.attr, &arguments)?;
        match self.target {
            Target::Flake(_) => Ok(value),
            _ => evaluation.auto_call(value, &arguments),
        }
    }

    /// What the function of `--apply` makes of it.
    fn applied<'e>(
        &self,
        evaluation: &'e Evaluation,
        around: &Around,
        value: Handle<'e>,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        match &self.args.apply {
            Some(function) => {
                let function = evaluation.text(function, &around.folder)?;
                evaluation.apply(function, value)
            }
            None => Ok(value),
        }
    }

    fn written(
        &self,
        evaluation: &Evaluation,
        value: Handle<'_>,
    ) -> Result<Vec<u8>, Box<EvalError>> {
        let value = evaluation.force(value, false)?;
        evaluation.write(value, self.format, !self.args.shallow)
    }

    /// Each attribute on its own.
    fn each(&self, surroundings: Surroundings) -> Result<Exit, Error> {
        let is_json = match self.format {
            Format::PlainJson => true,
            Format::Display => false,
            _ => {
                return Err(Error::user("`--each` prints Nix code or JSON only")
                    .hint("leave out `--format`, or use `--format json`"));
            }
        };
        roots::each(self, self.args.jobs, surroundings, |answers, out| {
            let mut is_first = true;
            out.text(if is_json { "{" } else { "{ " });
            for (name, value) in answers {
                if is_json {
                    out.text(if is_first { "" } else { "," });
                    out.text(&serde_json::Value::from(*name).to_string());
                    out.text(":");
                } else {
                    out.text(&attr_name_text(name));
                    out.text(" = ");
                }
                out.bytes(value);
                out.text(if is_json { "" } else { "; " });
                is_first = false;
            }
            out.line("}");
        })
    }
}

impl Roots for Command<'_> {
    fn find<'e>(
        &self,
        evaluation: &'e Evaluation,
        around: &Around,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        self.found(evaluation, around)
    }

    fn work(
        &self,
        evaluation: &Evaluation,
        around: &Around,
        root: Handle<'_>,
    ) -> Result<Vec<u8>, Box<EvalError>> {
        let value = self.applied(evaluation, around, root)?;
        self.written(evaluation, value)
    }
}
