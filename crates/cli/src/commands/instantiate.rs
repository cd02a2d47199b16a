//! `cim-nix instantiate`: the derivation of a package, without Nix.

use std::path::PathBuf;

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Format, Handle};
use clap::Args;

use crate::evaluation::{EvalArgs, Target, target};
use crate::exit::Exit;
use crate::lock_args::LockArgs;

const EXAMPLES: &str = "\
Examples:
  cim-nix instantiate .#default                   the store path of a flake's package's derivation
  cim-nix instantiate '<nixpkgs>' -A hello -A git  of several packages
  cim-nix instantiate release.nix --to out        and all derivations and sources below out/nix/store

What --to writes is a store without its database; `nix copy` and `nix-store --load-db` make one of
it, and `nix derivation show` reads it. Nix need not be installed.
Exit status: 0 instantiated, 1 evaluation failed, 2 wrong usage, 3 the machine failed.";

/// Print the store paths of derivations, and write them on request
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InstantiateArgs {
    /// A file, a folder with a default.nix, `-` for standard input, or a flake such as `.#a.b`
    #[arg(value_name = "WHAT", default_value = ".", conflicts_with = "expr")]
    what: String,
    /// Instantiate the value of this expression
    #[arg(short = 'E', long, value_name = "EXPR")]
    expr: Option<String>,
    /// Select an attribute of the value; may be given several times
    #[arg(short = 'A', long = "attr", value_name = "PATH")]
    attr: Vec<String>,
    /// Write the derivations and sources below FOLDER
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

pub(crate) fn run(args: &InstantiateArgs) -> Result<Exit, Error> {
    let target = target(args.expr.as_deref(), None, &args.what)?;
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(matches!(target, Target::Flake(_)), args.eval_args.impure);
    surroundings.store_root = args.to.as_ref().map(|folder| surroundings.folder.join(folder));
    if let Some(folder) = &surroundings.store_root {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::outside(format!("cannot write below `{}`", folder.display())).because(error)
        })?;
    }
    let system = surroundings.settings.system.clone();
    surroundings.evaluate(|evaluation, around, out| {
        let arguments = around.arguments(evaluation)?;
        let root = target.value(evaluation, around, &request, &system)?;
        let whole = [String::new()];
        let paths = if args.attr.is_empty() { &whole[..] } else { &args.attr };
        for path in paths {
            let value = evaluation.select(root, path, &arguments)?;
            let value = evaluation.auto_call(value, &arguments)?;
            let mut found = Vec::new();
            derivations(evaluation, value, 0, &mut found)?;
            if found.is_empty() {
                let what = if path.is_empty() { "the value" } else { path.as_str() };
                let message = format!("{what} is no derivation and has none in it");
                return Err(Box::new(EvalError::other(message)));
            }
            found.iter().for_each(|path| out.line(path));
        }
        Ok(())
    })
}

/// The derivations that a value is or has: those of its attributes and elements, and deeper where
/// `recurseForDerivations` says so.
fn derivations<'e>(
    evaluation: &'e Evaluation,
    value: Handle<'e>,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), Box<EvalError>> {
    let value = evaluation.force(value, false)?;
    let text = |name: &str| -> Result<Option<String>, Box<EvalError>> {
        let Some(member) = evaluation.attr(value, name)? else { return Ok(None) };
        let member = evaluation.force(member, false)?;
        if evaluation.type_word(member) != "string" {
            return Ok(None);
        }
        let bytes = evaluation.write(member, Format::Raw, false)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    };
    if text("type")?.as_deref() == Some("derivation") {
        found.extend(text("drvPath")?);
        return Ok(());
    }
    let descends = match evaluation.attr(value, "recurseForDerivations")? {
        Some(flag) => {
            evaluation.write(evaluation.force(flag, false)?, Format::Nix, false)? == b"true"
        }
        None => false,
    };
    if depth > 0 && !descends && evaluation.type_word(value) != "list" {
        return Ok(());
    }
    if depth > 64 {
        return Ok(());
    }
    for name in evaluation.attr_names(value)? {
        if let Some(member) = evaluation.attr(value, &name)? {
            derivations(evaluation, member, depth + 1, found)?;
        }
    }
    for element in evaluation.elements(value)? {
        derivations(evaluation, element, depth + 1, found)?;
    }
    Ok(())
}
