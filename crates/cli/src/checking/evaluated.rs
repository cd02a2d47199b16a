//! `check --eval`: the options of the configurations here, for the rules that ask evaluation.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cim_nix_analysis::{OptionFact, OptionTable, OptionType};
use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Handle, with_stack};
use cim_nix_options::{OptionDoc, Request, document, tree_of, unchecked_tree_of};

use crate::evaluation::{EvalArgs, Target, configurations, local_path, target};
use crate::lock_args::LockArgs;

/// What is to be evaluated, and how much it may take.
#[derive(Clone, Debug)]
pub(crate) struct EvalRequest {
    /// Configurations of flakes such as `.#web`, or files; nothing stands for all configurations of
    /// the flake in the project.
    pub(crate) what: Vec<String>,
    pub(crate) timeout: Duration,
    pub(crate) max_memory: usize,
    pub(crate) offline: bool,
    /// Whether evaluation keeps its warnings to itself.
    pub(crate) quiet: bool,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Evaluated {
    pub(crate) tables: Arc<[OptionTable]>,
    /// What could not be evaluated, and why.
    pub(crate) failures: Vec<String>,
    /// What the module system says against a configuration as a whole.
    pub(crate) complaints: Vec<String>,
}

type Res<T> = Result<T, Box<EvalError>>;

/// Evaluates the options of what is asked for, in the project at `root`.
///
/// Errors: what is asked for is no flake and no file, or no thread can be started.
pub(crate) fn evaluate(request: &EvalRequest, root: &Path) -> Result<Evaluated, Error> {
    let named = |what: &String| match what.is_empty() {
        // A flake, even where a `default.nix` lies beside it.
        true => format!("{}#", root.to_string_lossy()),
        false => what.clone(),
    };
    let whats: Vec<String> = request.what.iter().map(named).collect();
    let targets: Vec<Target> =
        whats.iter().map(|what| target(None, None, what)).collect::<Result<_, _>>()?;
    let args = EvalArgs {
        timeout: Some(request.timeout),
        max_memory: Some(request.max_memory),
        offline: request.offline,
        ..EvalArgs::default()
    };
    let mut surroundings = args.surroundings()?;
    let is_flake = targets.iter().all(|target| matches!(target, Target::Flake(_)));
    surroundings.with_flakes(is_flake, false);
    let locks = LockArgs::default().request()?;
    let show_trace = surroundings.show_trace;
    let run = || {
        let (evaluation, around, is_quiet) = surroundings.start_quietly();
        is_quiet.set(request.quiet);
        let mut tables = Vec::new();
        let mut failures = Vec::new();
        let mut complaints = Vec::new();
        for (what, target) in whats.iter().zip(&targets) {
            let found = match target {
                Target::Flake(installable) => configurations(installable, &locks, &evaluation),
                other => other
                    .value(&evaluation, &around, &locks, &surroundings.settings.system)
                    .map(|value| vec![(what.clone(), value)]),
            };
            match found {
                Ok(found) if found.is_empty() => {
                    failures.push(format!("`{what}` has no configurations to evaluate"));
                }
                Ok(found) => {
                    for (label, value) in found {
                        match table(&evaluation, &label, value) {
                            Ok((table, complaint)) => {
                                tables.push(table);
                                complaints.extend(complaint);
                            }
                            Err(error) => failures.push(failure(&label, &error, show_trace)),
                        }
                    }
                }
                Err(error) => failures.push(failure(what, &error, show_trace)),
            }
        }
        Evaluated { tables: tables.into(), failures, complaints }
    };
    with_stack(run)
        .map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))
}

fn failure(what: &str, error: &EvalError, show_trace: bool) -> String {
    // The options of `check` have names of their own.
    let text = error.render(show_trace).replace("`--timeout`", "`--eval-timeout`");
    let text = text.replace("`--max-memory`", "`--eval-max-memory`");
    let text = text.replace("'--offline'", "'--eval-offline'");
    let text = text.replace("; use '--show-trace' to show the full, detailed trace", "");
    format!("cannot evaluate the options of `{what}`, so they are not checked:\n{text}")
}

/// The options of a configuration, and what the module system says against it.
fn table(
    evaluation: &Evaluation,
    label: &str,
    value: Handle<'_>,
) -> Res<(OptionTable, Option<String>)> {
    let tree = unchecked_tree_of(evaluation, value)?;
    let request = Request { hidden: true, ..Request::default() };
    let rows = document(evaluation, tree, &request)?;
    let table = OptionTable::new(label, rows.iter().map(|row| (&row.loc[..], fact(row))));
    let checked = tree_of(evaluation, value).and_then(|tree| evaluation.force(tree, false));
    let Err(error) = checked else { return Ok((table, None)) };
    let message = &error.message;
    let modules = named_files(message).map(|file| local_path(evaluation, file).into()).collect();
    let first = message.lines().next().unwrap_or(message);
    let complaint = format!("`{label}` cannot be evaluated: {}", first.trim_end_matches(':'));
    Ok((table.with_modules(modules), Some(complaint)))
}

/// The files that the module system names: "- In `FILE'" for each definition.
fn named_files(message: &str) -> impl Iterator<Item = &str> {
    message.split("- In `").skip(1).filter_map(|rest| Some(rest.split_once('\'')?.0))
}

fn fact(row: &OptionDoc) -> OptionFact {
    let words = row.type_.as_deref().unwrap_or("unspecified value");
    // What `lib.mkRenamedOptionModule` and its like write.
    let description = row.description.as_ref().map(|text| text.text().into_owned());
    let alias_of = description.as_deref().and_then(|text| {
        let name = text.strip_prefix("Alias of {option}`")?;
        Some(name.split_once('`')?.0.into())
    });
    OptionFact { kind: OptionType::parse(words), type_words: words.into(), alias_of }
}
