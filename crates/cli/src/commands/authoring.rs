//! What `cim-nix module`, `overlay` and `config` share where they write files.

use std::path::{Path, PathBuf};

use cim_domain_nix::{Answer, Kind, ModuleClass, NixValue, Query, State, StreamId, ask};
use cim_nix_app::{Listing, Sources};
use cim_nix_base::{Change, Error, Op};
use cim_nix_model::AttributePath;
use cim_nix_project::{Excludes, Files as _, Request, discover};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};
use clap::Args;
use serde_json::Value;

use crate::checking::is_nix;
use crate::commands::history::ProjectArgs;
use crate::exit::Exit;
use crate::flake_writing::announce;
use crate::outcome::{ChangeArgs, ResultFormat};
use crate::recording::{self, Recorder, text_of};
use crate::scope::{self, shown};
use crate::terminal::{ColorWhen, Out, note, one_line};

/// Options of every command that writes a file and lists it in the flake.
#[derive(Args, Debug)]
pub(crate) struct WritingArgs {
    /// Leave flake.nix as it is
    #[arg(long)]
    no_flake: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    project: ProjectArgs,
}

/// What is known of a thing before a command about it.
pub(crate) struct Known {
    pub(crate) project: String,
    pub(crate) state: State,
}

impl WritingArgs {
    /// Runs the command that `make` makes of what is known of `name`.
    pub(crate) fn run(
        &self,
        (kind, name): (Kind, &str),
        class: ModuleClass,
        color: ColorWhen,
        make: impl FnOnce(Known) -> Result<cim_domain_nix::Command, Error>,
    ) -> Result<Exit, Error> {
        let root = self.project.root();
        let recorder = Recorder::open(&root)?;
        let app = recorder.app();
        recording::tell(&app.recover_files()?);
        // Commands, queries and rollbacks name the project in the same way.
        let project = text_of(recorder.root())?;
        let (state, _) = app.load(&StreamId::of(kind, &[&project, name]))?;
        let command = make(Known { project, state })?;
        let listing = if self.no_flake { Listing::None } else { Listing::Output(class) };
        let sources = SourcesHere { root: recorder.root() };
        let outcome = app.author(&command, listing, &sources, self.change.mode())?;
        if outcome.position.is_some() && recorder.root().join("flake.nix").exists() {
            let new = |change: &&Change| matches!(change.op, Op::Create { .. });
            let new = outcome.set.changes.iter().filter(new).map(|change| change.path.as_path());
            announce(recorder.root(), &new.collect::<Vec<_>>())?;
        }
        self.change.tell(&outcome, color)
    }
}

/// The Nix files of a project, those that Git leaves out included: they may be imported as well.
pub(crate) struct SourcesHere<'a> {
    pub(crate) root: &'a Path,
}

impl Sources for SourcesHere<'_> {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        let request = Request {
            paths: vec![self.root.to_owned()],
            excludes: Excludes::default(),
            hidden: true,
            ignore_files: false,
        };
        let found = discover(&DiskFiles, &request);
        for trouble in &found.troubles {
            note(format_args!("cannot read `{}`: {}", shown(&trouble.path), trouble.problem));
        }
        let files = found.files.iter().filter(|file| is_nix(file));
        let below = files.filter_map(|file| file.path.strip_prefix(self.root).ok());
        Ok(below.map(Path::to_path_buf).collect())
    }
}

/// The body of a command as JSON from a file, with the name that the command has.
///
/// Errors: the file cannot be read, or does not hold what it has to.
pub(crate) fn body<T: serde::de::DeserializeOwned>(path: &Path, name: &str) -> Result<T, Error> {
    let full = scope::here().join(path);
    let text = DiskFiles
        .read(&full, SOURCE_LIMIT)
        .map_err(|problem| Error::user(format!("cannot read `{}`: {problem}", shown(path))))?;
    let unfit = |error: serde_json::Error| {
        Error::user(format!("`{}` does not hold what it has to", shown(path))).because(error)
    };
    let mut value: Value = serde_json::from_str(&text).map_err(unfit)?;
    let Value::Object(fields) = &mut value else {
        return Err(Error::user(format!("`{}` holds no JSON object", shown(path))));
    };
    match fields.insert("name".to_owned(), Value::from(name)) {
        Some(Value::String(other)) if other != name => {
            return Err(Error::user(format!(
                "`{}` is about `{}`, not about `{}`",
                shown(path),
                one_line(&other),
                one_line(name)
            )));
        }
        _ => {}
    }
    serde_json::from_value(value).map_err(unfit)
}

/// `PATH=REST`, where the path may have quoted names with anything in them.
pub(crate) fn pair(text: &str) -> Result<(AttributePath, String), String> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '=' if !is_quoted => {
                let path: AttributePath =
                    text[..at].trim().parse().map_err(|error| format!("{error}"))?;
                if path.segments().is_empty() {
                    return Err("there is no path in front of the `=`".to_owned());
                }
                return Ok((path, text[at + 1..].to_owned()));
            }
            _ => {}
        }
    }
    Err("write it as PATH=VALUE".to_owned())
}

/// `NAME=CODE`.
pub(crate) fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, code)) if !name.is_empty() => Ok((name.to_owned(), code.to_owned())),
        _ => Err("write it as NAME=CODE".to_owned()),
    }
}

/// Takes elements out of a list.
///
/// Errors: one is not there.
pub(crate) fn remove_all(list: &mut Vec<String>, gone: &[String], what: &str) -> Result<(), Error> {
    for one in gone {
        let n_before = list.len();
        list.retain(|other| other != one);
        if list.len() == n_before {
            return Err(Error::user(format!("there is no {what} `{}`", one_line(one))));
        }
    }
    Ok(())
}

/// Appends what is not there yet.
pub(crate) fn add_all(list: &mut Vec<String>, new: &[String]) {
    for one in new {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

/// How to show what is known.
#[derive(Args, Debug)]
pub(crate) struct AskingArgs {
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

impl AskingArgs {
    /// Asks about the project, if anything was recorded of it, and tells `show` the answer. A list
    /// is asked for part by part: `next` says where to go on.
    pub(crate) fn run(
        &self,
        query: impl Fn(String, Option<String>) -> Query,
        mut show: impl FnMut(&Answer, &mut Out) -> Option<String>,
    ) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let project = text_of(recorder.root())?;
        let mut out = Out::new();
        let mut cursor = None;
        loop {
            let answer = ask(recorder.store(), &query(project.clone(), cursor))?;
            cursor = if self.format == ResultFormat::Json {
                let value = answer.to_value();
                let value = value.map_err(|error| {
                    Error::bug("an answer cannot be written as JSON").because(error)
                })?;
                match &value["items"] {
                    Value::Array(items) => items.iter().for_each(|item| out.line(item)),
                    _ => out.line(&value),
                }
                value["next"].as_str().map(str::to_owned)
            } else {
                show(&answer, &mut out)
            };
            if cursor.is_none() || out.is_closed() {
                break;
            }
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

/// A value as people read it: its code.
pub(crate) fn code(value: &NixValue) -> String {
    one_line(&value.to_code())
}
