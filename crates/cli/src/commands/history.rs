//! `cim-nix log`, `show`, `undo`, `redo`, `blame`, `replay`, `status` and `recover`: what happened to a
//! project, and the way back.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cim_domain_nix::{EventStore as _, StreamId, Timestamp, Uuid};
use cim_nix_app::{App, Filter, Logged, Outcome, Stored, Writer};
use cim_nix_base::Error;
use clap::Args;
use serde_json::{Value, json};

use crate::effects::Effect;
use crate::exit::Exit;
use crate::outcome::{ChangeArgs, ResultFormat, event_json, title, titled};
use crate::output::number;
use crate::programs::{NixArgs, NixPrograms, Wishes};
use crate::recording::{self, Recorder};
use crate::scope::{self, shown};
use crate::terminal::{ColorWhen, Out, colored_diff, note, one_line, printable};

const LOG_EXAMPLES: &str = "\
Examples:
  cim-nix log                          what happened to the project here, the newest first
  cim-nix log flake.nix                what changed one file
  cim-nix log --type FlakeInputAdded --type FlakeInputRemoved
  cim-nix log -n 3 --format json       for a program: one JSON object for each event
  cim-nix log --since 2026-11-01T00:00:00Z --actor ada

Times are those of the clock of whoever wrote an event; the order is that of the store.
Exit status: 0 shown, 2 wrong usage, 3 the store cannot be read.";

const SHOW_EXAMPLES: &str = "\
Examples:
  cim-nix show                         the last event
  cim-nix show 12                      the event at position 12, as `cim-nix log` numbers them
  cim-nix show 12 --format json        all that is stored of it

Exit status: 0 shown, 2 there is no such event, 3 the store cannot be read.";

const RECOVER_EXAMPLES: &str = "\
Examples:
  cim-nix recover                      finish or revert what an interrupted run left behind

Files of a change whose event is stored become new, all others old. A build or an activation that was
interrupted is looked into, and an event says what became of it. Commands that change something do the
part about files by themselves. Exit status: 0 done, or nothing was interrupted; 2 a file was edited
since, and you have to choose; 3 the disk or the store failed.";

const UNDO_EXAMPLES: &str = "\
Examples:
  cim-nix undo                         take the last change back
  cim-nix undo --dry-run               show what that would do
  cim-nix undo 0198f7a2-7c00-7000-8000-000000000001
  cim-nix redo                         bring back what was undone last

Files are restored to the byte. A file that somebody changed since is never overwritten: the command
stops and shows both sides. An activation is rolled back to the generation before, with the programs
of Nix. What was built, copied or collected as garbage cannot be undone.
Exit status: 0 done, 1 --dry-run found something to change, 2 refused, or a file was changed since,
3 the machine failed.";

const BLAME_EXAMPLES: &str = "\
Examples:
  cim-nix blame flake.nix              which event wrote each line

A line that no event wrote is one of others, or was there before the first event.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  cim-nix replay --to 12               which files and aggregates there were after event 12
  cim-nix replay --to 12 --into /tmp/past
                                       write the files as they were into an empty folder

An event is named by its position or its id, as `cim-nix log` shows them. Nothing in the project
changes.";

const STATUS_EXAMPLES: &str = "\
Examples:
  cim-nix status                       whether files are what the events say
  cim-nix status --diff                and how they differ

Exit status: 0 all is as recorded, 1 files differ or something was interrupted, 3 the store cannot be
read.";

/// Where the project is.
#[derive(Args, Debug)]
pub(crate) struct ProjectArgs {
    /// The project, by a folder or a file in it
    #[arg(long, value_name = "FOLDER", default_value = ".", value_parser = existing)]
    project: PathBuf,
}

/// Refuses what is not there: otherwise the project above would be meant, silently.
fn existing(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.try_exists() {
        Ok(true) => Ok(path),
        Ok(false) => Err("there is no such folder (`cim-nix store adopt OLD` takes over the history of a project that was moved)".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A moment, or the start of a day.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || format!("{text}T00:00:00Z").parse();
    text.parse()
        .or_else(|_| day())
        .map_err(|_| "write it as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

impl ProjectArgs {
    /// The folder that the project begins in.
    pub(crate) fn root(&self) -> PathBuf {
        scope::project_root(&[scope::real(&self.project)])
    }

    /// The project with its store; tells that there is none.
    ///
    /// Errors: the store cannot be opened.
    fn existing_recorder(&self) -> Result<Option<Recorder>, Error> {
        let root = self.root();
        let recorder = Recorder::open_existing(&root)?;
        if recorder.is_none() {
            note(format_args!("nothing was recorded of the project `{}` yet", shown(&root)));
        }
        Ok(recorder)
    }

    /// The project with its store.
    ///
    /// Errors: nothing was recorded of it yet.
    pub(crate) fn recorder(&self) -> Result<Recorder, Error> {
        let root = self.root();
        Recorder::open_existing(&root)?.ok_or_else(|| {
            Error::user(format!("nothing was recorded of the project `{}` yet", shown(&root)))
                .hint("`cim-nix flake add-input`, `cim-nix check --fix` and others record what they change")
                .hint("where the project was moved, `cim-nix store adopt OLD-FOLDER` takes its history over")
        })
    }
}

/// Show what happened to a project
#[derive(Args, Debug)]
#[command(after_help = LOG_EXAMPLES)]
pub(crate) struct LogArgs {
    /// Only what changed this file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// At most so many events
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Only events of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this stream
    #[arg(long, value_name = "STREAM")]
    stream: Option<StreamId>,
    /// Only events of this actor
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only events at or after this moment
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    since: Option<Timestamp>,
    /// How to show them
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl LogArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let Some(recorder) = self.project.existing_recorder()? else { return Ok(Exit::Clean) };
        let app = recorder.app();
        let filter = Filter {
            file: self.file.as_deref().map(|file| inside(&recorder, file)).transpose()?,
            types: self.types.clone(),
            stream: self.stream.clone(),
            actor: self.actor.clone(),
            since: self.since,
            limit: self.limit,
        };
        for unknown in
            self.types.iter().filter(|it| !cim_domain_nix::Event::TYPES.contains(&it.as_str()))
        {
            note(format_args!(
                "note: no event of this version has the type `{}`",
                one_line(unknown)
            ));
        }
        let mut out = Out::new();
        let bold = color.applies_to(&std::io::stdout());
        let mut n = 0;
        app.log(&filter, &mut |logged| {
            n += 1;
            match (&logged, self.format) {
                (Logged::Event(stored), ResultFormat::Json) => out.line(stored_json(stored)),
                (Logged::Event(stored), ResultFormat::Text) => {
                    let undone = match stored.event.identity().message_id.uuid() {
                        Some(id) => app.undone_by(id)?.is_some(),
                        None => false,
                    };
                    out.text(&log_entry(&app, stored, undone, bold));
                }
                (Logged::Unreadable { position, id, event_type, problem }, ResultFormat::Json) => {
                    out.line(json!({
                        "position": position, "id": id, "event_type": event_type,
                        "problem": problem.to_string(),
                    }));
                }
                (Logged::Unreadable { position, id, problem, .. }, ResultFormat::Text) => {
                    out.line(format_args!(
                        "{position:>5}  {id}\n       {}",
                        one_line(&problem.to_string())
                    ));
                }
            }
            Ok(if out.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if n == 0 && self.format == ResultFormat::Text {
            note("no event fits");
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

fn log_entry(app: &App<'_>, stored: &Stored, is_undone: bool, bold: bool) -> String {
    let Stored { position, event, meta, .. } = stored;
    let origin: Value = serde_json::from_str(meta).unwrap_or_default();
    let actor = origin["actor"].as_str().unwrap_or("unknown");
    let (on, off) = if bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let undone = if is_undone { " (undone)" } else { "" };
    let when = event.at().to_string();
    let when = when.split('.').next().unwrap_or(&when).replace('T', " ");
    format!(
        "{position:>5}  {on}{}{off}{undone}\n       {}  {}  {}\n",
        printable(&titled(app, event, origin["command"].as_str())),
        event.identity().message_id,
        when.trim_end_matches('Z'),
        one_line(actor),
    )
}

fn stored_json(stored: &Stored) -> Value {
    let mut json = event_json(&stored.event);
    json["position"] = stored.position.into();
    json["version"] = stored.version.into();
    json["id"] = stored.event.identity().message_id.to_string().into();
    json["origin"] = serde_json::from_str(&stored.meta).unwrap_or_default();
    json
}

/// Show one event: who, when, what, and what it did to files
#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The event, by its id or its position [default: the last one]
    #[arg(value_name = "EVENT")]
    event: Option<String>,
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl ShowArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let app = recorder.app();
        let id = event_id(&recorder, self.event.as_deref())?;
        let stored = app.event(id)?;
        let diff = app.event_diff(&stored.event)?;
        let mut out = Out::new();
        if self.format == ResultFormat::Json {
            let mut json = stored_json(&stored);
            json["diff"] = diff.into();
            out.line(json);
            out.finish()?;
            return Ok(Exit::Clean);
        }
        let color = color.applies_to(&std::io::stdout());
        let undone = app.undone_by(id)?;
        out.text(&log_entry(&app, &stored, undone.is_some(), color));
        let mut line = |name: &str, value: String| {
            out.line(format_args!("       {name:<12} {}", one_line(&value)));
        };
        let identity = stored.event.identity();
        line("type", format!("{} (shape {})", stored.event.event_type(), stored.event.schema()));
        line("stream", format!("{}, version {}", stored.event.stream(), stored.version));
        line("correlation", identity.correlation_id.to_string());
        line("causation", identity.causation_id.to_string());
        let origin: Value = serde_json::from_str(&stored.meta).unwrap_or_default();
        for name in ["command", "host", "program"] {
            if let Some(value) = origin[name].as_str() {
                line(name, value.to_owned());
            }
        }
        if let Some(undone) = stored.event.undoes() {
            line("undoes", undone.to_string());
        }
        if let Some(by) = undone {
            line("undone by", by.to_string());
        }
        if !diff.is_empty() {
            out.text(&format!("\n{}", colored_diff(&diff, color)));
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

/// Take a change back
#[derive(Args, Debug)]
#[command(after_help = UNDO_EXAMPLES)]
pub(crate) struct UndoArgs {
    /// The event, by its id or its position [default: the last one that can be undone]
    #[arg(value_name = "EVENT")]
    event: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    project: ProjectArgs,
}

impl UndoArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let programs = programs_of(&recorder, self.change.quiet);
        let app = recorder.app_with(&programs);
        recording::tell(&app.recover_files()?);
        let id = self.event.as_deref().map(|event| event_id(&recorder, Some(event))).transpose()?;
        let outcome = app.undo(id, self.change.mode())?;
        told(&app, &self.change, "Undo", &outcome, &programs, color)
    }
}

/// Bring back what was undone last
#[derive(Args, Debug)]
#[command(after_help = UNDO_EXAMPLES)]
pub(crate) struct RedoArgs {
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    project: ProjectArgs,
}

impl RedoArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let programs = programs_of(&recorder, self.change.quiet);
        let app = recorder.app_with(&programs);
        recording::tell(&app.recover_files()?);
        let outcome = app.redo(self.change.mode())?;
        told(&app, &self.change, "Redo", &outcome, &programs, color)
    }
}

/// Say which event wrote each line of a file
#[derive(Args, Debug)]
#[command(after_help = BLAME_EXAMPLES)]
pub(crate) struct BlameArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl BlameArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let app = recorder.app();
        let file = inside(&recorder, &self.file)?;
        let lines = app.blame(&file)?;
        let mut out = Out::new();
        let mut known = std::collections::HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            let id = match line.writer {
                Writer::Event(id) => Some(id),
                _ => None,
            };
            if self.format == ResultFormat::Json {
                let writer = match line.writer {
                    Writer::Event(_) => "event",
                    Writer::Before => "before",
                    Writer::Others(_) => "others",
                };
                out.line(
                    json!({ "line": at + 1, "writer": writer, "event": id, "text": line.text }),
                );
                continue;
            }
            let who = match id {
                None if line.writer == Writer::Before => "before".to_owned(),
                None => "others".to_owned(),
                Some(id) => match known.get(&id) {
                    Some(known) => String::clone(known),
                    None => {
                        let stored = app.event(id)?;
                        let who = format!("{} {}", stored.position, stored.event.event_type());
                        known.insert(id, who.clone());
                        who
                    }
                },
            };
            out.line(format_args!("{who:<28} {:>5}  {}", at + 1, printable(&line.text)));
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

/// Show what there was after an event
#[derive(Args, Debug)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// The event, by its position or its id [default: the last one]
    #[arg(long, value_name = "EVENT")]
    to: Option<String>,
    /// Write the files as they were into this folder, which must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl ReplayArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let app = recorder.app();
        let position = match &self.to {
            Some(to) => app.event(event_id(&recorder, Some(to))?)?.position,
            None => recorder.store().head()?,
        };
        let past = app.replay(position)?;
        if let Some(folder) = &self.into {
            write_past(&app, &past, folder)?;
        }
        let mut out = Out::new();
        if self.format == ResultFormat::Json {
            let states: Vec<_> = past
                .states
                .iter()
                .map(|(stream, state)| json!({ "stream": stream, "state": state }))
                .collect();
            out.line(json!({
                "position": position,
                "events": past.n_events,
                "files": past.files,
                "aggregates": states,
                "unreadable": past.unreadable,
            }));
            out.finish()?;
            return Ok(Exit::Clean);
        }
        let events = number(usize::try_from(past.n_events).unwrap_or(usize::MAX), "event");
        out.line(format_args!("after {events}:"));
        for (path, hash) in &past.files {
            match hash {
                Some(hash) => {
                    out.line(format_args!("  {}  {}", &hash.to_string()[..12], one_line(path)));
                }
                None => out.line(format_args!("  {:<12}  {}", "removed", one_line(path))),
            }
        }
        for stream in past.states.keys() {
            out.line(format_args!("  {stream}"));
        }
        for id in &past.unreadable {
            note(format_args!(
                "note: event {id} cannot be read by this version and was passed over"
            ));
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

fn write_past(app: &App<'_>, past: &cim_nix_app::Past, folder: &Path) -> Result<(), Error> {
    let cannot = |error: std::io::Error| {
        Error::user(format!("cannot write to `{}`", shown(folder))).because(error)
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    if fs::read_dir(folder).map_err(cannot)?.next().is_some() {
        return Err(Error::user(format!("the folder `{}` is not empty", shown(folder)))
            .hint("name a folder that is not there yet"));
    }
    for (path, hash) in &past.files {
        let Some(hash) = hash else { continue };
        // Paths of events are checked when they are made, but a store may come from anywhere.
        let is_inside = Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_inside {
            return Err(Error::user(format!("`{}` leads out of a project", one_line(path))));
        }
        let text = app.past_text(path, *hash)?;
        let file = folder.join(path);
        if let Some(above) = file.parent() {
            fs::create_dir_all(above).map_err(cannot)?;
        }
        fs::write(&file, text).map_err(cannot)?;
    }
    Ok(())
}

/// Say whether files are what the events say
#[derive(Args, Debug)]
#[command(after_help = STATUS_EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Show how files differ
    #[arg(long)]
    diff: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl StatusArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let Some(recorder) = self.project.existing_recorder()? else { return Ok(Exit::Clean) };
        let app = recorder.app();
        let drift = app.drift()?;
        let open = app.open_changes()?;
        let place = app.undo_place()?;
        let exit = match drift.is_empty() && open.iter().all(|open| open.is_running) {
            true => Exit::Clean,
            false => Exit::Findings,
        };
        let mut out = Out::new();
        if self.format == ResultFormat::Json {
            let drift: Vec<_> = drift
                .iter()
                .map(|it| {
                    json!({
                        "path": it.path, "event": it.event,
                        "recorded": it.recorded, "found": it.found, "problem": it.problem,
                    })
                })
                .collect();
            let open: Vec<_> = open
                .iter()
                .map(|it| json!({ "title": it.title, "since": it.at, "running": it.is_running }))
                .collect();
            out.line(json!({
                "project": recorder.root(), "store": recorder.store().path(),
                "events": recorder.store().head()?, "drift": drift, "open": open,
                "next_undo": place.next_undo, "next_redo": place.next_redo,
            }));
            out.finish()?;
            return Ok(exit);
        }
        out.line(format_args!("project  {}", shown(recorder.root())));
        out.line(format_args!("store    {}", shown(recorder.store().path())));
        out.line(format_args!("events   {}", recorder.store().head()?));
        for (name, id) in [("undo", place.next_undo), ("redo", place.next_redo)] {
            if let Some(id) = id {
                let stored = app.event(id)?;
                out.line(format_args!(
                    "{name:<8} {} {}",
                    stored.position,
                    printable(&title(&app.origin_of(&stored.event)?))
                ));
            }
        }
        for open in &open {
            let what = if open.is_running { "running" } else { "interrupted" };
            out.line(format_args!("{what}: {} (since {})", one_line(&open.title), open.at));
        }
        if open.iter().any(|open| !open.is_running) {
            note("`cim-nix recover` finishes or reverts what was interrupted");
        }
        for it in &drift {
            let what = match (&it.recorded, &it.found) {
                _ if it.problem.is_some() => "cannot be read",
                (_, None) => "gone",
                (None, _) => "there again",
                _ => "changed by others",
            };
            out.line(format_args!("{what}: {}", one_line(&it.path)));
            if self.diff {
                let color = color.applies_to(&std::io::stdout());
                out.text(&colored_diff(&app.drift_diff(it)?, color));
            }
        }
        if drift.is_empty() {
            out.line("files are as recorded");
        }
        out.finish()?;
        Ok(exit)
    }
}

/// Finish or revert what was interrupted
#[derive(Args, Debug)]
#[command(after_help = RECOVER_EXAMPLES)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    project: ProjectArgs,
}

impl RecoverArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let programs = programs_of(&recorder, false);
        let recovery = recorder.app_with(&programs).recover()?;
        recording::tell(&recovery);
        for text in programs.conclude() {
            note(format_args!("note: {}", one_line(&text)));
        }
        for title in &recovery.dropped {
            note(format_args!(
                "note: \"{}\" was never begun, or its files were put back",
                one_line(title)
            ));
        }
        for title in &recovery.running {
            note(format_args!("note: \"{}\" is still running", one_line(title)));
        }
        if recovery.is_nothing() {
            note("nothing was interrupted");
        }
        Ok(Exit::Clean)
    }
}

/// The programs of Nix, for what was activated.
fn programs_of(recorder: &Recorder, is_quiet: bool) -> NixPrograms {
    let wishes = Wishes { is_quiet, ..Wishes::default() };
    NixPrograms::new(recorder.root(), &NixArgs::default(), wishes)
}

/// Tells what was taken back: files, or an activation.
fn told(
    app: &App<'_>,
    change: &ChangeArgs,
    command: &str,
    outcome: &Outcome,
    programs: &NixPrograms,
    color: ColorWhen,
) -> Result<Exit, Error> {
    match Effect::is_in(outcome) {
        true => Effect { outcome, trouble: programs.conclude() }.tell(change),
        false => change.tell_as(|event| titled(app, event, Some(command)), outcome, color),
    }
}

/// A file as events name it.
fn inside(recorder: &Recorder, file: &Path) -> Result<String, Error> {
    // A file that is gone has no real path, but its folder may.
    let full = match (file.parent(), file.file_name()) {
        (Some(folder), Some(name)) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            scope::real(folder).join(name)
        }
        _ => scope::real(file),
    };
    let below = full.strip_prefix(recorder.root()).ok().and_then(Path::to_str);
    below.map(str::to_owned).ok_or_else(|| {
        Error::user(format!("`{}` is not in the project `{}`", shown(file), shown(recorder.root())))
    })
}

/// An event by its id, its position, or the last one.
fn event_id(recorder: &Recorder, text: Option<&str>) -> Result<Uuid, Error> {
    if let Some(text) = text
        && let Ok(id) = Uuid::try_parse(text)
    {
        return Ok(id);
    }
    let position = match text {
        None => recorder.store().head()?,
        Some(text) => text.parse::<u64>().map_err(|_| {
            Error::user(format!("`{}` is neither an id nor a position of an event", one_line(text)))
                .hint("`cim-nix log` shows both")
        })?,
    };
    let mut found = None;
    recorder.store().read_all(position.saturating_sub(1), &mut |record| {
        if record.position == position {
            found = Some(record.id);
        }
        Ok(ControlFlow::Break(()))
    })?;
    found.ok_or_else(|| {
        Error::user(format!("there is no event at position {position}"))
            .hint("`cim-nix log` shows the events")
    })
}
