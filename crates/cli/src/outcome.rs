//! How the end of a command of the domain is told: what changed, and the event that says so.

use cim_domain_nix::Event;
use cim_nix_app::{App, Mode, Outcome};
use cim_nix_base::Error;
use cim_nix_model::without_passwords;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::number;
use crate::terminal::{ColorWhen, Out, colored_diff, note, one_line};

/// Options of every command that changes something.
#[derive(Args, Debug, Default)]
pub(crate) struct ChangeArgs {
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to say what changed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: ResultFormat,
    /// Say nothing but what is wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How to say what changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum ResultFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

impl ChangeArgs {
    pub(crate) fn mode(&self) -> Mode {
        match self.dry_run {
            true => Mode::DryRun,
            false => Mode::Apply,
        }
    }

    /// Tells what came of a command.
    ///
    /// Errors: standard output fails.
    pub(crate) fn tell(&self, outcome: &Outcome, color: ColorWhen) -> Result<Exit, Error> {
        self.tell_as(title, outcome, color)
    }

    /// The same with other words for an event.
    pub(crate) fn tell_as(
        &self,
        title: impl Fn(&Event) -> String,
        outcome: &Outcome,
        color: ColorWhen,
    ) -> Result<Exit, Error> {
        let would_change = self.dry_run && !outcome.events.is_empty();
        let exit = if would_change { Exit::Findings } else { Exit::Clean };
        let mut out = Out::new();
        if self.format == ResultFormat::Json {
            out.line(self.json(outcome));
            out.finish()?;
            return Ok(exit);
        }
        for text in &outcome.notes {
            note(format_args!("note: {}", one_line(text)));
        }
        if self.quiet {
            return Ok(exit);
        }
        if outcome.events.is_empty() {
            out.line("nothing to change");
            out.finish()?;
            return Ok(exit);
        }
        for event in &outcome.events {
            let (said, id) = (title(event), &event.identity().message_id);
            match self.dry_run {
                true => out.line(format_args!("would be recorded: {said}")),
                false => out.line(format_args!("{said}  {id}")),
            }
        }
        for change in outcome.events.iter().flat_map(Event::changes) {
            let verb = match (&change.before, &change.after, &change.to) {
                (_, _, Some(_)) if self.dry_run => "would move",
                (None, Some(_), _) if self.dry_run => "would create",
                (Some(_), None, _) if self.dry_run => "would remove",
                _ if self.dry_run => "would change",
                (_, _, Some(_)) => "moved",
                (None, Some(_), _) => "created",
                (Some(_), None, _) => "removed",
                _ => "changed",
            };
            out.line(format_args!("  {verb} {}", one_line(&change.path)));
        }
        if self.dry_run {
            let color = color.applies_to(&std::io::stdout());
            out.text(&format!("\n{}", colored_diff(&outcome.diff(), color)));
        }
        out.finish()?;
        Ok(exit)
    }

    fn json(&self, outcome: &Outcome) -> Value {
        let events: Vec<Value> = outcome.events.iter().map(event_json).collect();
        json!({
            "version": 1,
            "changed": !outcome.events.is_empty(),
            "written": outcome.position.is_some(),
            "position": outcome.position,
            "events": events,
            "diff": outcome.diff(),
            "notes": outcome.notes,
        })
    }
}

/// An event with the name of its type.
pub(crate) fn event_json(event: &Event) -> Value {
    let body = event.to_json().ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    json!({
        "event_type": event.event_type(),
        "schema": event.schema(),
        "stream": event.stream().to_string(),
        "event": body,
    })
}

/// What an event says, in a few words. For one that takes another back, it is what that one says:
/// `command` is the type of the command that it comes from, as the origin of a stored event has it.
pub(crate) fn titled(app: &App<'_>, event: &Event, command: Option<&str>) -> String {
    let Some(_) = event.undoes() else { return title(event) };
    let verb = if command == Some("Redo") { "redo" } else { "undo" };
    match app.origin_of(event) {
        Ok(origin) => format!("{verb}: {}", title(&origin)),
        Err(_) => format!("{verb}: {}", title(event)),
    }
}

/// What an event says, in a few words.
pub(crate) fn title(event: &Event) -> String {
    let said = match event {
        Event::FlakeCreated(it) => format!("created the flake {}", it.path),
        Event::FlakeUpdated(it) => match (&it.edit, it.undoes) {
            (_, Some(_)) => "changed the flake back".to_owned(),
            (None, _) => {
                format!("updated the lock file ({} moved)", number(it.locks.len(), "input"))
            }
            (Some(edit), _) => edit_title(edit),
        },
        Event::FlakeInputAdded(it) => {
            format!("added the input `{}` from {}", it.input_name, without_passwords(&it.input_url))
        }
        Event::FlakeInputRemoved(it) => format!("removed the input `{}`", it.input_name),
        Event::FlakeObserved(it) => format!("took note of the flake in {} as it is", it.path),
        Event::FlakeDeleted(it) => format!("removed the flake {}", it.path),
        Event::PackageBuilt(it) => {
            format!("built {}#{}: {}", it.flake_ref, it.attribute, it.output_path)
        }
        Event::PackageBuildFailed(it) => {
            format!("failed to build {}#{}: {}", it.flake_ref, it.attribute, it.message)
        }
        Event::PackageCached(it) => {
            let to = if it.is_download { "from" } else { "to" };
            format!("copied {} {to} {}", it.output_path, it.cache)
        }
        Event::ModuleCreated(it) => format!("created the module `{}`", it.module.name),
        Event::ModuleUpdated(it) => format!("changed the module `{}`", it.module.name),
        Event::ModuleDeleted(it) => format!("removed the module `{}`", it.name),
        Event::OverlayCreated(it) => format!("created the overlay `{}`", it.overlay.name),
        Event::OverlayUpdated(it) => format!("changed the overlay `{}`", it.overlay.name),
        Event::OverlayDeleted(it) => format!("removed the overlay `{}`", it.name),
        Event::ConfigurationCreated(it) => {
            format!("created the configuration `{}`", it.configuration.name)
        }
        Event::ConfigurationUpdated(it) => {
            format!("changed the configuration `{}`", it.configuration.name)
        }
        Event::ConfigurationDeleted(it) => format!("removed the configuration `{}`", it.name),
        Event::ConfigurationObserved(it) => format!("found the configuration `{}`", it.name),
        Event::ConfigurationActivated(it) => {
            format!("activated generation {} ({})", it.generation, it.activation_type.word())
        }
        Event::ConfigurationActivationFailed(it) => format!("failed to activate: {}", it.message),
        Event::ConfigurationRolledBack(it) => {
            format!("rolled back to generation {}", it.generation)
        }
        Event::ProjectChecked(it) => format!(
            "checked {}: {}, {}",
            number(it.files as usize, "file"),
            number(it.findings.errors as usize, "error"),
            number(it.findings.warnings as usize, "warning")
        ),
        Event::ProjectFixed(it) => {
            let n: u64 = it.fixes.values().sum();
            format!(
                "fixed {n} findings ({})",
                it.fixes.keys().cloned().collect::<Vec<_>>().join(", ")
            )
        }
        Event::ProjectFormatted(it) => format!("formatted with {}", it.formatter),
        Event::SymbolRenamed(it) => format!("renamed `{}` to `{}` in {}", it.from, it.to, it.file),
        Event::ProjectReverted(it) => it.title.clone(),
        Event::ExpressionEvaluated(it) => format!("evaluated {}", it.expression),
        Event::GarbageCollected(it) => {
            format!("collected {} store paths ({} bytes)", it.removed_paths.len(), it.freed_bytes)
        }
    };
    one_line(&said)
}

fn edit_title(edit: &cim_domain_nix::FlakeEdit) -> String {
    use cim_domain_nix::FlakeEdit as E;
    match edit {
        E::RetargetInput { name, url } => {
            format!("took the input `{name}` from {}", without_passwords(url))
        }
        E::RenameInput { from, to, .. } => format!("renamed the input `{from}` to `{to}`"),
        E::SetFollows { input, target } => format!("let `{input}` follow `{target}`"),
        E::RemoveFollows { input } => format!("let `{input}` follow nothing"),
        E::DedupeInputs => "let copies of inputs follow one".to_owned(),
        E::SetDescription { description } => format!("described the flake as \"{description}\""),
        E::AddOutput { attribute, .. } => format!("added the output `{attribute}`"),
        E::AddSystem { system } => format!("added the system {system}"),
        E::AddOverlay { name, .. } => format!("added the overlay `{name}`"),
        E::AddModule { name, .. } => format!("added the module `{name}`"),
        E::Lock => "locked the inputs".to_owned(),
    }
}
