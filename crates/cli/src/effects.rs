//! Commands that run programs outside: how they are run, and how their end is told.

use std::collections::BTreeMap;

use std::path::Path;

use cim_domain_nix::{BuiltOutput, Command, Event, State};
use cim_nix_app::{Mode, Outcome, Programs as _};
use cim_nix_base::{ChangeSet, Error};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::outcome::{ChangeArgs, ResultFormat, event_json, title};
use crate::output::thousands;
use crate::programs::{NixArgs, NixPrograms, Wishes};
use crate::recording::{self, Recorder};
use crate::terminal::{Out, note, one_line, printable};

/// What came of an effect.
pub(crate) struct Effect<'o> {
    pub(crate) outcome: &'o Outcome,
    /// What went wrong beside what the events say.
    pub(crate) trouble: Vec<String>,
}

/// Runs a command in the project at `root`, and tells what came of it.
///
/// Errors: it was refused, or not begun, or what it does has no event for its failure.
pub(crate) fn run(
    root: &Path,
    command: &Command,
    args: &NixArgs,
    wishes: Wishes,
    change: &ChangeArgs,
) -> Result<Exit, Error> {
    let wishes = Wishes { is_quiet: change.quiet, ..wishes };
    let programs = NixPrograms::new(root, args, wishes);
    if change.mode() == Mode::DryRun && Recorder::open_existing(root)?.is_none() {
        // Not even a store is made.
        let state = State::empty(&command.kind());
        let before = programs.before(command, &state)?;
        let outcome = Outcome {
            events: Vec::new(),
            set: ChangeSet::default(),
            former: BTreeMap::new(),
            position: None,
            version: None,
            earlier: None,
            notes: programs.plan(command, &state, &before)?,
        };
        return Effect { outcome: &outcome, trouble: programs.conclude() }.tell(change);
    }
    let recorder = Recorder::open(root)?;
    let app = recorder.app_with(&programs);
    if change.mode() == Mode::Apply {
        recording::tell(&app.recover_files()?);
    }
    let outcome = app.effect(command, change.mode())?;
    Effect { outcome: &outcome, trouble: programs.conclude() }.tell(change)
}

impl Effect<'_> {
    /// Whether what was taken back is an activation, and not a change to files.
    pub(crate) fn is_in(outcome: &Outcome) -> bool {
        let is_switch = |event: &Event| {
            matches!(
                event,
                Event::ConfigurationRolledBack(_) | Event::ConfigurationActivationFailed(_)
            )
        };
        let is_planned = outcome.events.is_empty() && !outcome.notes.is_empty();
        outcome.set.is_empty() && (is_planned || outcome.events.iter().any(is_switch))
    }

    /// Tells what came of it.
    ///
    /// Errors: standard output fails.
    pub(crate) fn tell(&self, change: &ChangeArgs) -> Result<Exit, Error> {
        let Self { outcome, trouble } = self;
        let mut out = Out::new();
        for text in trouble {
            note(format_args!("warning: {}", printable(text)));
        }
        if change.format == ResultFormat::Json {
            out.line(self.json(change));
            out.finish()?;
            return Ok(self.exit());
        }
        if change.dry_run {
            if !change.quiet {
                out.line("would run:");
                outcome.notes.iter().for_each(|line| out.line(format_args!("  {line}")));
            }
            out.finish()?;
            return Ok(Exit::Clean);
        }
        for event in &outcome.events {
            if event.failure().is_some() {
                tell_failure(event);
            } else if !change.quiet {
                tell_event(event, &mut out);
            }
        }
        out.finish()?;
        Ok(self.exit())
    }

    fn exit(&self) -> Exit {
        match self.outcome.events.iter().any(|event| event.failure().is_some()) {
            true => Exit::Findings,
            false if self.trouble.is_empty() => Exit::Clean,
            false => Exit::Broken,
        }
    }

    fn json(&self, change: &ChangeArgs) -> Value {
        let Self { outcome, trouble } = self;
        let events: Vec<Value> = outcome.events.iter().map(event_json).collect();
        let commands = if change.dry_run { &outcome.notes[..] } else { &[] };
        json!({
            "version": 1,
            "changed": !outcome.events.is_empty(),
            "position": outcome.position,
            "events": events,
            "commands": commands,
            "notes": trouble,
        })
    }
}

/// Tells what failed, with what its builder said last.
fn tell_failure(event: &Event) {
    if let Event::PackageBuildFailed(event) = event
        && !event.log_tail.is_empty()
        && !event.message.contains(&event.log_tail)
    {
        note("the log ends with");
        for line in event.log_tail.lines() {
            note(format_args!("  {}", printable(line)));
        }
    }
    match event {
        Event::ExpressionEvaluated(event) => note(printable(event.result.trim_end())),
        _ => note(format_args!("error: {}", printable(&title(event)))),
    }
    note(format_args!("recorded as event {}", event.identity().message_id));
}

fn tell_event(event: &Event, out: &mut Out) {
    if let Event::ExpressionEvaluated(event) = event {
        out.line(&event.result);
        return;
    }
    out.line(format_args!("{}  {}", printable(&title(event)), event.identity().message_id));
    if let Event::PackageBuilt(event) = event {
        outputs(event.outputs.iter(), out);
    }
}

/// One line for each output.
pub(crate) fn outputs<'o>(
    outputs: impl Iterator<Item = (&'o String, &'o BuiltOutput)>,
    out: &mut Out,
) {
    for (name, output) in outputs {
        let bytes = |size: Option<u64>| {
            let size = usize::try_from(size?).unwrap_or(usize::MAX);
            Some(format!("{} bytes", thousands(size)))
        };
        let size = match (bytes(output.nar_size), bytes(output.closure_size)) {
            (Some(own), Some(all)) => format!("  {own}, {all} with all it needs"),
            (Some(own), None) => format!("  {own}"),
            _ => String::new(),
        };
        out.line(format_args!("  {name:<8} {}{size}", one_line(&output.path)));
    }
}
