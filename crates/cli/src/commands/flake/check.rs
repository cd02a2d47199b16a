//! `cim-nix flake check`: whether the outputs of a flake are what their names promise.

use std::cell::Cell;

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, with_stack};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::evaluation::{EvalArgs, Surroundings};
use crate::exit::Exit;
use crate::flake_check::{CheckOptions, Checked, Report, check};
use crate::installable::Installable;
use crate::lock_args::{LockArgs, LockRequest};
use crate::output::number;
use crate::progress::Progress;
use crate::terminal::{self, Out, printable};

const EXAMPLES: &str = "\
Examples:
  cim-nix flake check                    evaluate the outputs for this system
  cim-nix flake check --all-systems      those for all systems
  cim-nix flake check github:owner/repo
  cim-nix flake check --format json      every output, what it is and what is wrong, for a program

As `nix flake check --no-build`: derivations are evaluated, not built; apps, overlays, modules,
templates and the rest have to be of their kind; configurations of NixOS, nix-darwin and Home Manager
are evaluated up to the derivation that they come to. Nothing is written.
Exit status: 0 all is fine, 1 something is wrong, 2 wrong usage, 3 the machine failed.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckCommand {
    /// The flake
    #[arg(value_name = "FLAKE", default_value = ".")]
    flake: String,
    /// Check what is for other systems, too
    #[arg(long)]
    all_systems: bool,
    /// How to say what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    /// Say nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
    /// Accepted, as scripts for Nix give it: nothing is ever built
    #[arg(long, hide = true)]
    no_build: bool,
    /// Accepted, as scripts for Nix give it: all outputs are checked, whatever fails
    #[arg(long, hide = true)]
    keep_going: bool,
    #[command(flatten)]
    lock_args: LockArgs,
    #[command(flatten)]
    eval_args: EvalArgs,
}

/// How to say what was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ResultFormat {
    /// What is wrong, and a summary
    #[default]
    Text,
    /// One JSON object; its fields are documented in docs/flakes.md
    Json,
}

/// Errors: there is no such flake, or the machine does not let us.
pub(super) fn run(args: &CheckCommand) -> Result<Exit, Error> {
    let flake = Installable::parse(&args.flake)?.flake;
    let request = args.lock_args.request()?;
    let mut surroundings = args.eval_args.surroundings()?;
    surroundings.with_flakes(true, args.eval_args.impure);
    let work = || evaluate(args, &surroundings, &request, &flake);
    let ended = with_stack(work)
        .map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))?;
    let (report, url) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            terminal::say(&error.render(surroundings.show_trace));
            return Ok(Exit::Findings);
        }
    };
    let failed = |output: &&Checked| output.outcome.is_err();
    let n_failed = report.outputs.iter().filter(failed).count();
    let mut out = Out::new();
    let (system, show_trace) = (&surroundings.settings.system, surroundings.show_trace);
    match args.format {
        ResultFormat::Json => out.line(json(&report, &url, system, n_failed, show_trace)),
        ResultFormat::Text => {
            for warning in &report.warnings {
                terminal::say(&format!("warning: {warning}"));
            }
            for output in &report.outputs {
                if let Err(error) = &output.outcome {
                    terminal::say(&error.render(show_trace));
                }
            }
            if !args.quiet {
                out.line(printable(&summary(&report, n_failed)));
            }
        }
    }
    out.finish()?;
    Ok(if n_failed > 0 { Exit::Findings } else { Exit::Clean })
}

/// What was found, and the URL of the flake.
fn evaluate(
    args: &CheckCommand,
    surroundings: &Surroundings,
    request: &LockRequest,
    flake: &cim_nix_model::FlakeRef,
) -> Result<(Report, String), Box<EvalError>> {
    let (evaluation, _) = surroundings.start();
    request.prepare(&evaluation)?;
    let locked = evaluation.lock(flake, &request.options)?;
    let value = evaluation.flake(&locked)?;
    let outputs = evaluation.attr(value, "outputs")?.unwrap_or(value);
    let progress = Progress::of("outputs", true);
    let n_begun = Cell::new(0);
    let on_output = || {
        if n_begun.get() > 0 {
            progress.step();
        }
        n_begun.set(n_begun.get() + 1);
        progress.start(n_begun.get());
    };
    let options = CheckOptions {
        system: &surroundings.settings.system,
        has_all_systems: args.all_systems,
        on_output: &on_output,
    };
    Ok((check(&evaluation, outputs, options)?, locked.locked.to_string()))
}

fn summary(report: &Report, n_failed: usize) -> String {
    let n_outputs = number(report.outputs.len(), "output");
    let mut text = match n_failed {
        0 => format!("{n_outputs}: all fine"),
        1 => format!("{n_outputs}: 1 is wrong"),
        n => format!("{n_outputs}: {n} are wrong"),
    };
    if !report.omitted.is_empty() {
        let systems: Vec<&str> = report.omitted.iter().map(String::as_str).collect();
        let systems = systems.join(", ");
        text.push_str(&format!("\nnot checked: {systems} (use '--all-systems' to check all)"));
    }
    text
}

fn json(report: &Report, url: &str, system: &str, n_failed: usize, show_trace: bool) -> Value {
    let output = |output: &Checked| {
        let (derivation, error) = match &output.outcome {
            Ok(derivation) => (derivation.as_deref(), None),
            Err(error) => (None, Some(error)),
        };
        let place = error.and_then(|error| error.trace.first()?.place.as_ref());
        let place = place.map(|at| format!("{}:{}:{}", at.origin, at.line, at.column));
        json!({
            "output": output.path.join("."),
            "path": output.path,
            "kind": output.kind,
            "ok": error.is_none(),
            "derivation": derivation,
            "place": place,
            "message": error.map(|error| &error.message),
            "error": error.map(|error| error.render(show_trace)),
        })
    };
    json!({
        "version": 1,
        "flake": url,
        "system": system,
        "outputs": report.outputs.iter().map(output).collect::<Vec<_>>(),
        "warnings": report.warnings,
        "omitted_systems": report.omitted,
        "summary": { "outputs": report.outputs.len(), "failed": n_failed },
    })
}
