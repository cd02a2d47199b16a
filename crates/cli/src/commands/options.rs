//! `cim-nix options`: the options of a configuration, of NixOS or Home Manager, or of own modules.

mod documents;
mod full;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Handle};
use cim_nix_options::{Base, OptionDoc, Pattern, Request, Source, document, tree_of};
use clap::{Args, ValueEnum};

use crate::evaluation::{Around, EvalArgs, Target, configuration, local_path, target};
use crate::exit::Exit;
use crate::lock_args::{LockArgs, LockRequest};
use crate::scope::shown;
use crate::terminal::{ColorWhen, width};

const EXAMPLES: &str = "\
Examples:
  cim-nix options .#web services.nginx               the options of a host of the flake here
  cim-nix options .#web services.nginx.enable --values   what is set, and where
  cim-nix options --nixos 'services.*.enable'        NixOS itself, of <nixpkgs>
  cim-nix options --nixos --nixpkgs ../nixpkgs --search wireguard
  cim-nix options --module ./module.nix --format markdown > options.md
  cim-nix options --home-manager ../home-manager --format json > options.json

An OPTION is a name, the beginning of one, or a pattern: * and ? stand for characters of one part,
** for any number of parts. Nix need not be installed.
Exit status: 0 shown, 1 evaluation failed or no such option, 2 wrong usage, 3 the machine failed.";

/// Show the options of NixOS, Home Manager or own modules
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OptionsArgs {
    /// A configuration of a flake such as `.#host`, a file, or `-`; then the options that are
    /// wanted. Without a configuration, with one of the sources below, options only
    #[arg(value_name = "WHAT] [OPTION", verbatim_doc_comment)]
    what: Vec<String>,
    /// The options of NixOS itself
    #[arg(long, conflicts_with_all = ["home_manager", "file", "expr"], help_heading = "Sources")]
    nixos: bool,
    /// The options of the Home Manager in PATH
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["file", "expr"],
        help_heading = "Sources"
    )]
    home_manager: Option<String>,
    /// The options of a module of your own; with --nixos or --home-manager on top of those. It gets
    /// what --arg and --argstr name
    #[arg(
        short = 'm',
        long = "module",
        value_name = "FILE",
        conflicts_with_all = ["file", "expr"],
        help_heading = "Sources"
    )]
    modules: Vec<PathBuf>,
    /// The nixpkgs, or its `lib`, that evaluates them; `<nixpkgs>` unless one is named
    #[arg(long, value_name = "PATH", help_heading = "Sources")]
    nixpkgs: Option<String>,
    /// The options of what this file evaluates to
    #[arg(
        short = 'f',
        long,
        value_name = "FILE",
        conflicts_with = "expr",
        help_heading = "Sources"
    )]
    file: Option<PathBuf>,
    /// The options of what this expression evaluates to
    #[arg(short = 'E', long, value_name = "EXPR", help_heading = "Sources")]
    expr: Option<String>,
    /// Select an attribute of the file's or the expression's value
    #[arg(
        short = 'A',
        long = "attr",
        value_name = "PATH",
        default_value = "",
        help_heading = "Sources"
    )]
    attr: String,
    /// Only options with WORD in the name or the description; with several, with all of them
    #[arg(short = 's', long, value_name = "WORD")]
    search: Vec<String>,
    /// Show internal and invisible options, too
    #[arg(long)]
    all: bool,
    /// Show what is set, and where
    #[arg(long)]
    values: bool,
    /// How to print [default: full for one option, else table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<OptionsFormat>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

/// How to print options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum OptionsFormat {
    /// A line an option
    Table,
    /// All that is known of each
    Full,
    /// One object by names, as nixpkgs' options.json
    Json,
    /// A list, as lib.optionAttrSetToDocList gives it
    JsonList,
    /// A page
    Markdown,
}

/// Where the options come from.
enum From {
    /// Modules on top of something.
    Modules,
    /// What is evaluated.
    Value(Target),
}

type Res<T> = Result<T, Box<EvalError>>;

pub(crate) fn run(args: &OptionsArgs, color: ColorWhen) -> Result<Exit, Error> {
    let (from, names) = from(args)?;
    let mut patterns = Vec::new();
    for name in names {
        let pattern = Pattern::parse(name);
        patterns.push(pattern.map_err(|error| {
            Error::user(error.to_string())
                .hint("quote parts with dots or stars of their own: 'fileSystems.\"/\".device'")
        })?);
    }
    let locks = args.lock_args.request()?;
    let request =
        Request { patterns, words: args.search.clone(), hidden: args.all, values: args.values };
    let mut surroundings = args.eval_args.surroundings()?;
    let is_flake = matches!(from, From::Value(Target::Flake(_)));
    surroundings.with_flakes(is_flake, args.eval_args.impure);
    let system = surroundings.settings.system.clone();
    let color = color.applies_to(&io::stdout());
    surroundings.evaluate(|evaluation, around, out| {
        let tree = match &from {
            From::Modules => {
                locks.prepare(evaluation)?;
                modules(args, evaluation, around, system)?
            }
            From::Value(target) => {
                let value = value(args, target, (evaluation, around), &locks, &system)?;
                tree_of(evaluation, value)?
            }
        };
        let mut rows = document(evaluation, tree, &request)?;
        let format = match args.format {
            Some(format) => format,
            None if args.json => OptionsFormat::Json,
            None if rows.len() == 1 => OptionsFormat::Full,
            None => OptionsFormat::Table,
        };
        if rows.is_empty() && matches!(format, OptionsFormat::Table | OptionsFormat::Full) {
            return Err(Box::new(EvalError::other(nothing(&request))));
        }
        if !matches!(format, OptionsFormat::Json | OptionsFormat::JsonList) {
            rows.iter_mut().for_each(|row| show_files(evaluation, row));
        }
        out.text(&match format {
            OptionsFormat::Table => table::table(&rows, args.values, width(), color),
            OptionsFormat::Full => full::full(&rows, color),
            OptionsFormat::Json => documents::json(&rows),
            OptionsFormat::JsonList => documents::json_list(&rows),
            OptionsFormat::Markdown => documents::markdown(&rows),
        });
        Ok(())
    })
}

/// Puts files as people know them in place of those that evaluation sees.
fn show_files(evaluation: &Evaluation, row: &mut OptionDoc) {
    let show = |file: &mut String| *file = shown(Path::new(&local_path(evaluation, file)));
    row.declarations.iter_mut().for_each(show);
    let definitions = row.current.iter_mut().flat_map(|current| &mut current.definitions);
    definitions.for_each(|definition| show(&mut definition.file));
}

/// Why there is nothing to show.
fn nothing(request: &Request) -> String {
    let what = match request.patterns.is_empty() {
        true => "here",
        false => "of these names",
    };
    let mut message = match &request.words[..] {
        [] if request.hidden => format!("there are no options {what}"),
        [] => format!("there are no visible options {what}"),
        words => format!("no option {what} has {} in its name or description", words.join(" and ")),
    };
    if !request.hidden {
        message.push_str("; --all shows internal and invisible ones, too");
    }
    message
}

/// Tells the source from the options that are wanted.
fn from(args: &OptionsArgs) -> Result<(From, &[String]), Error> {
    if args.nixos || args.home_manager.is_some() || !args.modules.is_empty() {
        return Ok((From::Modules, &args.what));
    }
    if args.file.is_some() || args.expr.is_some() {
        let target = target(args.expr.as_deref(), args.file.as_deref(), "")?;
        return Ok((From::Value(target), &args.what));
    }
    if args.nixpkgs.is_some() {
        return Err(Error::user("--nixpkgs says what evaluates modules, and there are none")
            .hint("the options of NixOS: --nixos; those of a module: --module FILE"));
    }
    let (what, names) = match args.what.split_first() {
        Some((what, names)) => (what.as_str(), names),
        None => (".", &args.what[..]),
    };
    let target = target(None, None, what).map_err(|error| match Pattern::parse(what) {
        Ok(_) if !what.contains(['/', '#']) => {
            Error::user(format!("there is no file or folder `{what}`"))
                .hint(format!("an option of the only configuration here: cim-nix options . {what}"))
                .hint(format!("an option of NixOS itself: cim-nix options --nixos {what}"))
        }
        _ => error,
    })?;
    Ok((From::Value(target), names))
}

/// The options of modules.
fn modules<'e>(
    args: &OptionsArgs,
    evaluation: &'e Evaluation,
    around: &Around,
    system: String,
) -> Res<Handle<'e>> {
    let path = |typed: &Path| {
        let text = around.path(typed);
        let scope = [("path".to_owned(), evaluation.string(&text.to_string_lossy()))];
        evaluation.text_in("/. + path", &around.folder, &scope)
    };
    // As on other command lines of Nix, `<name>` is looked up.
    let folder = |typed: &str| match typed.starts_with('<') {
        true => evaluation.text(typed, &around.folder),
        false => path(Path::new(typed)),
    };
    let nixpkgs = folder(args.nixpkgs.as_deref().unwrap_or("<nixpkgs>"))?;
    let nixpkgs = evaluation.force(nixpkgs, false).map_err(|error| {
        let hint = "name one with --nixpkgs PATH or -I nixpkgs=PATH";
        Box::new(EvalError::other(format!("no nixpkgs to evaluate modules with ({hint}): {error}")))
    })?;
    let base = match &args.home_manager {
        Some(home_manager) => Base::HomeManager { home_manager: folder(home_manager)?, nixpkgs },
        None if args.nixos => Base::NixOs { nixpkgs },
        None => Base::Nothing { nixpkgs },
    };
    let modules = args.modules.iter().map(|module| path(module)).collect::<Res<_>>()?;
    let source = Source { base, modules, arguments: around.arguments(evaluation)?, system };
    source.tree(evaluation)
}

/// The value that a file, an expression or a flake's configuration has.
fn value<'e>(
    args: &OptionsArgs,
    target: &Target,
    (evaluation, around): (&'e Evaluation, &Around),
    locks: &LockRequest,
    system: &str,
) -> Res<Handle<'e>> {
    if let Target::Flake(installable) = target {
        locks.prepare(evaluation)?;
        return configuration(installable, locks, evaluation);
    }
    let arguments = around.arguments(evaluation)?;
    let root = target.value(evaluation, around, locks, system)?;
    let value = evaluation.select(root, &args.attr, &arguments)?;
    evaluation.auto_call(value, &arguments)
}
