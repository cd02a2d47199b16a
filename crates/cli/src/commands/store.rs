//! `cim-nix export`, `import` and `store`: the store of a project as a whole.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cim_domain_nix::projection::PROJECTIONS;
use cim_domain_nix::{EventStore as _, StoreError};
use cim_nix_base::Error;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::commands::history::ProjectArgs;
use crate::exit::Exit;
use crate::outcome::ResultFormat;
use crate::recording::{self, OWN_FOLDER, Recorder};
use crate::scope::{self, shown};
use crate::terminal::{Out, note, one_line};

const EXAMPLES: &str = "\
Examples:
  cim-nix export > events.jsonl            all events and former bytes of files, a line each
  cim-nix import events.jsonl              into the store of the project here, all or nothing
  cim-nix store path                       where the store of the project here lies
  cim-nix store check                      whether it is sound
  cim-nix store backup /backup/events.sqlite
  cim-nix store rebuild                    make the read models anew
  cim-nix store adopt /home/ada/old-place  take over the history of a project that was moved here
  cim-nix store here                       keep the store of this project in its folder `.cim-nix`

Exit status: 0 done, 1 `store check` found damage, 2 wrong usage, 3 the store or the disk failed.";

/// Write all events as JSON lines
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The file to write, which must not exist [default: standard output]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    project: ProjectArgs,
}

impl ExportArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let recorder = self.project.recorder()?;
        let moved = match &self.file {
            None => recorder.store().export(&mut BufWriter::new(io::stdout().lock()))?,
            Some(path) => {
                refuse_existing(path)?;
                recorder.store().export_to(path)?
            }
        };
        note(format_args!("{} events and {} former texts written", moved.events, moved.blobs));
        Ok(Exit::Clean)
    }
}

/// Refuses to replace a file.
fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::user(format!("there is a `{}` already", shown(path)))
            .hint("name a file that does not exist; nothing is ever replaced")),
        Err(_) => Ok(()),
    }
}

/// Take events over that `export` wrote
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    project: ProjectArgs,
}

impl ImportArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let recorder = Recorder::open(&self.project.root())?;
        let moved = if self.file.as_os_str() == "-" {
            recorder.store().import(&mut BufReader::new(io::stdin()))?
        } else {
            let file = File::open(&self.file).map_err(|error| {
                Error::user(format!("cannot read `{}`", shown(&self.file))).because(error)
            })?;
            recorder.store().import(&mut BufReader::new(file))?
        };
        if moved.events == 0 && moved.blobs == 0 {
            note(format_args!("nothing is new: all of it was here already"));
        } else {
            note(format_args!(
                "{} events and {} former texts taken over",
                moved.events, moved.blobs
            ));
        }
        Ok(Exit::Clean)
    }
}

/// Check, back up and move the store of a project
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Subcommand, Debug)]
enum StoreCommand {
    /// Say where the store lies
    Path(ProjectArgs),
    /// Check that the store is sound
    Check(CheckStore),
    /// Write a copy of the store, which is a store itself
    Backup(BackupStore),
    /// Make the read models anew from the events
    Rebuild(ProjectArgs),
    /// Take over the store of a project that was moved here
    Adopt(AdoptStore),
    /// Keep the store in the project's folder `.cim-nix`, which Git ignores
    Here(ProjectArgs),
}

#[derive(Args, Debug)]
struct CheckStore {
    /// How to say what was found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Args, Debug)]
struct AdoptStore {
    /// The folder that the project was in
    #[arg(value_name = "OLD")]
    old: PathBuf,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Args, Debug)]
struct BackupStore {
    /// The file to write, which must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    project: ProjectArgs,
}

impl StoreArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let mut out = Out::new();
        let mut exit = Exit::Clean;
        match &self.command {
            StoreCommand::Path(project) => {
                out.line(recording::store_path(&project.root())?.display());
            }
            StoreCommand::Check(args) => {
                let found = args.project.recorder()?.store().integrity()?;
                if !found.problems.is_empty() {
                    exit = Exit::Findings;
                }
                match args.format {
                    ResultFormat::Json => out.line(json!({
                        "events": found.events, "streams": found.streams,
                        "blobs": found.blobs, "problems": found.problems,
                    })),
                    ResultFormat::Text => {
                        for problem in &found.problems {
                            out.line(one_line(problem));
                        }
                        let verdict = if found.problems.is_empty() { "sound" } else { "damaged" };
                        out.line(format_args!(
                            "{verdict}: {} events in {} streams, {} former texts",
                            found.events, found.streams, found.blobs
                        ));
                    }
                }
            }
            StoreCommand::Backup(args) => {
                let recorder = args.project.recorder()?;
                refuse_existing(&args.file)?;
                recorder.store().backup(&args.file)?;
                out.line(format_args!("wrote `{}`", shown(&args.file)));
            }
            StoreCommand::Rebuild(project) => {
                let recorder = project.recorder()?;
                // What cannot be read again is not dropped.
                recorder.store().read_all(0, &mut |_| Ok(ControlFlow::Continue(())))?;
                for projection in PROJECTIONS {
                    recorder.store().drop_projection(projection.name())?;
                    let progress = recorder.store().catch_up(projection)?;
                    out.line(format_args!("{}: {} events", projection.name(), progress.position));
                }
            }
            StoreCommand::Adopt(args) => adopt(args, &mut out)?,
            StoreCommand::Here(project) => move_here(project, &mut out)?,
        }
        out.finish()?;
        Ok(exit)
    }
}

/// Copies the store of a former folder to the place for this one.
fn adopt(args: &AdoptStore, out: &mut Out) -> Result<(), Error> {
    let root = args.project.root();
    // The folder is gone, so its name is taken as it is written.
    let old = std::path::absolute(&args.old).unwrap_or_else(|_| args.old.clone());
    let (from, to) = (recording::store_path(&old)?, recording::store_path(&root)?);
    if !recording::exists(&from)? {
        return Err(Error::user(format!("nothing was recorded of `{}`", shown(&old)))
            .hint("name the folder as it was, from the root"));
    }
    if recording::exists(&to)? {
        return Err(Error::user(format!("`{}` has a history already", shown(&root)))
            .hint("`cim-nix export` and `import` bring two of them together"));
    }
    recording::open_file(&from, None)?.backup(&to)?;
    out.line(format_args!("took over the history of `{}`", shown(&old)));
    Ok(())
}

/// Moves the store of a project into a folder of the project that Git ignores.
fn move_here(project: &ProjectArgs, out: &mut Out) -> Result<(), Error> {
    let root = scope::real(&project.root());
    let folder = root.join(OWN_FOLDER);
    let own = recording::own_path(&root);
    let cannot = |error: io::Error| {
        Error::outside(format!("cannot write to `{}`", shown(&folder))).because(error)
    };
    // Two at once would both copy.
    let lock = File::open(&root).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    recording::trust(&root)?;
    if recording::exists(&own)? {
        recording::ignore(&folder)?;
        out.line(format_args!("the store is in `{}` already", shown(&folder)));
        return Ok(());
    }
    // The usual store is looked for first: the folder counts only where there is none.
    let old = recording::usual_path(&root).ok();
    let recorder = match &old {
        Some(old) if recording::exists(old)? => Some(Recorder::open_quietly(&root)?),
        _ => None,
    };
    let is_new = make_folder(&folder)?;
    let moved = recording::ignore(&folder).and_then(|()| take_along(recorder.as_ref(), &folder));
    if let Err(error) = moved {
        if is_new {
            // It held what was made here alone.
            let _ = fs::remove_dir_all(&folder);
        }
        return Err(error);
    }
    out.line(format_args!("the store is in `{}` from now on", shown(&folder)));
    if recorder.is_some()
        && let Some(old) = old
    {
        out.line(format_args!("the former one stays as it is: `{}`", shown(&old)));
    }
    if !root.ancestors().any(|folder| folder.join(".git").exists()) {
        note(format_args!(
            "warning: `{}` is in no Git repository: Nix copies it into its store, which everybody \
             can read, whenever it evaluates a flake of this folder by its path",
            shown(&folder)
        ));
    }
    Ok(())
}

/// Makes the folder, unless it is there; answers whether it was not.
fn make_folder(folder: &Path) -> Result<bool, Error> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(true),
        Err(_) if folder.is_dir() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::user(format!("`{}` is not a folder", shown(folder)))
                .hint("move it away; the store needs a folder with this name"))
        }
        Err(error) => {
            Err(Error::outside(format!("cannot make `{}`", shown(folder))).because(error))
        }
    }
}

/// Moves the history into the folder, while nobody writes and nothing is under way.
fn take_along(recorder: Option<&Recorder>, folder: &Path) -> Result<(), Error> {
    let left = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in left.filter(|entry| is_unfinished(&entry.file_name())) {
        // What an earlier run left that was killed; it counts for nothing.
        let _ = fs::remove_file(entry.path());
    }
    let Some(recorder) = recorder else { return Ok(()) };
    let check = &mut || {
        let running = recorder.app().open_changes().map_err(visitor)?;
        match running.into_iter().find(|change| change.is_running) {
            None => Ok(()),
            Some(change) => Err(visitor(
                Error::conflict(format!("cannot move the store during a change: {}", change.title))
                    .hint("wait for the other cim-nix to end, then run the command again"),
            )),
        }
    };
    Ok(recorder.store().move_to(&folder.join("events.sqlite"), check)?)
}

fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("events.sqlite.partial-"))
}

fn visitor(error: Error) -> StoreError {
    StoreError::Visitor(Box::new(error))
}
