//! The inner process: bounds itself, does what is asked, and answers.

use std::io::{self, Read as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use cim_domain_nix::Command;
use cim_nix_app::{LockWish, Locks as _, Programs as _};
use cim_nix_base::{ChangeSet, Error, ErrorKind, Op};
use cim_nix_builder::Progress;
use cim_nix_eval::with_stack;
use cim_nix_flake::edit::{Request as Edit, plan};
use cim_nix_host::protocol::{
    CommandText, Dependency, Failure, FailureKind, Line, Locked, Request, Setup, Task, is_kept,
};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::Serialize;
use serde_json::{Value, json};

use super::{code, preflight, say, spans};
use crate::commands::authoring::SourcesHere;
use crate::commands::flake::edit::LocksHere;
use crate::confinement::{self, Confinement};
use crate::evaluation::EvalArgs;
use crate::flake_template::Template;
use crate::flake_writing::announce;
use crate::installable::Installable;
use crate::lock_args::{LockArgs, LockRequest};
use crate::programs::{self, NixArgs, NixPrograms, Wishes};
use crate::scope::shown;

/// Address space beside what may be used: stacks are laid out for the deepest code and hardly used.
const LAYOUT: u64 = 4 << 30;

/// Does what is asked, and answers.
///
/// Errors: none; what goes wrong is an answer.
pub(super) fn run(request: Request) -> Result<(), Error> {
    let Request { setup, task, .. } = request;
    bound(&setup, &task);
    if setup.traceparent.as_deref().is_some_and(is_kept) {
        programs::watch(spans::tell);
        cim_nix_fetch::watch(spans::tell_fetch);
    }
    let around = confinement::enter(setup);
    thread::spawn(wait_for_end);
    match answer(around, &task) {
        Ok(result) => say(&Line::Result { result }),
        Err(error) => say(&Line::Error { error: failure(around, &task, &error) }),
    }
    Ok(())
}

/// Keeps this process, and what it starts, within what the system can bound.
fn bound(setup: &Setup, task: &Task) {
    let set = |resource, limit| {
        // A system that knows no such limit has none; others watch, too.
        let _ = setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) });
    };
    set(Resource::Core, 0);
    if !task.runs_programs() {
        set(Resource::As, setup.bounds.memory.saturating_add(LAYOUT));
    }
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    set(Resource::Cpu, (setup.bounds.millis / 1000).saturating_mul(threads).saturating_add(10));
    // Whoever started this is one process that waits: without it nobody watches.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if !setup.sources.network && rustix::process::geteuid().is_root() {
        leave_network();
    }
}

/// Leaves the network for one that has nothing in it, if the system lets us.
fn leave_network() {
    #[expect(unsafe_code, reason = "there is no safe way to leave the network")]
    // SAFETY: file descriptors stay shared, which is all that could go wrong; and this is the only
    // thread so far.
    let _ = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
}

/// Ends what runs outside when nobody wants the answer any more.
fn wait_for_end() {
    let mut buffer = [0; 256];
    while let Ok(1..) = io::stdin().lock().read(&mut buffer) {}
    programs::stop();
}

fn failure(around: &Confinement, task: &Task, error: &Error) -> Failure {
    let fetched = around.failed();
    let is_outside = error.kind() == ErrorKind::Outside;
    let dependency = match fetched {
        None if is_outside && task.runs_programs() => Some(Dependency::Nix),
        fetched => fetched.filter(|_| is_outside || error.kind() == ErrorKind::User),
    };
    let mut failure = Failure::of(error, dependency);
    failure.kind = match (&failure.dependency, failure.kind) {
        (Some(_), _) => FailureKind::Outside,
        // What this process reads is the tenant's own, and so are its limits.
        (None, FailureKind::Outside) if !failure.message.starts_with("cannot start") => {
            FailureKind::User
        }
        (None, kind) => kind,
    };
    failure
}

fn value(answer: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(answer)
        .map_err(|error| Error::bug("an answer cannot be written").because(error))
}

fn answer(around: &'static Confinement, task: &Task) -> Result<Value, Error> {
    match task {
        Task::Lock { folder, flake_nix, old_lock, updates } => {
            let wish = LockWish { updates: updates.clone() };
            value(lock(&around.folder(folder)?, flake_nix, old_lock.as_deref(), &wish)?)
        }
        Task::Template { folder, template, description } => {
            value(files(around, folder, template.as_deref(), description)?)
        }
        Task::NixFiles {} => {
            use cim_nix_app::Sources as _;

            value(SourcesHere { root: &around.setup.root }.nix_files()?)
        }
        Task::Announce { files } => {
            for file in files {
                let full = around.folder(file)?;
                let (Some(folder), Some(name)) = (full.parent(), full.file_name()) else {
                    continue;
                };
                announce(folder, &[Path::new(name)])?;
            }
            value(())
        }
        Task::Work { command } => value(code::work(around, &command.read()?)?),
        Task::Before { command, state } => {
            let (programs, mut command) = effect(around, command)?;
            sweep(around);
            preflight::check(around, &mut command)?;
            value(programs.before(&command, state)?)
        }
        Task::Plan { command, state, before } => {
            let (programs, command) = effect(around, command)?;
            value(programs.plan(&command, state, before)?)
        }
        Task::Run { command, state, before } => {
            let (programs, mut command) = effect(around, command)?;
            preflight::check(around, &mut command)?;
            let evidence = programs.run(&command, state, before);
            for text in programs.troubles() {
                say(&Line::Progress { progress: json!({ "what": "trouble", "text": text }) });
            }
            value(evidence?)
        }
        Task::Settle { command, before } => {
            let (programs, command) = effect(around, command)?;
            value(programs.settle(&command, before)?)
        }
        Task::Generation { profile } => {
            value(nix_programs(around, Vec::new()).generation(profile)?)
        }
    }
}

fn lock(
    folder: &Path,
    flake_nix: &str,
    old_lock: Option<&str>,
    wish: &LockWish,
) -> Result<Locked, Error> {
    let mut surroundings = EvalArgs::default().surroundings()?;
    surroundings.asks_anew();
    let locks = LocksHere { surroundings, args: &LockArgs::default() };
    let new = locks.lock(folder, flake_nix, old_lock, wish)?;
    Ok(Locked { text: new.text, changes: new.changes, warnings: new.warnings })
}

/// The files of a template, relative to the project's folder.
fn files(
    around: &Confinement,
    folder: &Path,
    template: Option<&str>,
    description: &str,
) -> Result<ChangeSet, Error> {
    let full = around.folder(folder)?;
    let read = match template {
        None => Template::built_in(),
        Some(typed) => {
            let installable = Installable::parse(typed)?;
            around.admit(&installable.flake)?;
            let mut surroundings = EvalArgs::default().surroundings()?;
            surroundings.with_flakes(true, false);
            let read = with_stack(|| {
                let (evaluation, _) = surroundings.start();
                Template::of_flake(&evaluation, &installable, &LockRequest::default())
            });
            let read = read.map_err(|error| {
                Error::outside("cannot start a thread to evaluate on").because(error)
            })?;
            read.map_err(|error| {
                Error::user(format!("cannot read the template `{}`", shown(Path::new(typed))))
                    .because(error.render(false))
            })?
        }
    };
    let planned = read.planned(&full, template)?;
    if let Some(path) = planned.conflicts.first() {
        return Err(Error::user(format!(
            "`{}` is there already, with other content",
            shown(&full.join(path))
        )));
    }
    if let Some((path, _)) = planned.change.others.first() {
        return Err(Error::user(format!(
            "the template's file `{}` is no text, which cannot be brought here",
            shown(path)
        )));
    }
    let below = full.strip_prefix(&around.setup.root).unwrap_or(Path::new(""));
    let mut set = ChangeSet::new(planned.change.set.title.clone());
    for change in planned.change.set.changes {
        let mut op = change.op;
        if template.is_none() && !description.is_empty() && change.path == Path::new("flake.nix") {
            describe(&mut op, description)?;
        }
        set.push(below.join(&change.path), op);
    }
    Ok(set)
}

/// Lets a flake say something else of itself.
fn describe(op: &mut Op, description: &str) -> Result<(), Error> {
    if let Op::Create { content, .. } = op {
        let edit = plan(content, &Edit::SetDescription(description.to_owned()))
            .map_err(|refusal| refusal.error("flake.nix", content))?;
        *content = edit.apply(content)?;
    }
    Ok(())
}

/// What an effect is run with.
fn effect(
    around: &'static Confinement,
    command: &CommandText,
) -> Result<(NixPrograms, Command), Error> {
    let command = command.read()?;
    let is_ours = matches!(command, Command::EvaluateExpression(_));
    if !is_ours && !around.setup.nix.is_allowed {
        return Err(Error::user("running Nix is not allowed here"));
    }
    Ok((nix_programs(around, preflight::options(around)), command))
}

fn nix_programs(around: &Confinement, more: Vec<(String, String)>) -> NixPrograms {
    let Setup { nix, root, .. } = &around.setup;
    let options = [nix.options.clone(), more].concat();
    let args = NixArgs::of_service(nix.store.clone(), &options, around.time_left());
    let programs = NixPrograms::new(root, &args, Wishes { is_quiet: true, ..Wishes::default() });
    programs.listened_to(Box::new(|progress| {
        if let Some(progress) = told(progress) {
            say(&Line::Progress { progress });
        }
    }))
}

/// Progress as it is written.
fn told(progress: &Progress) -> Option<Value> {
    Some(match progress {
        Progress::Instantiated { derivation, .. } => {
            json!({ "what": "instantiated", "derivation": derivation })
        }
        Progress::Started { derivation, machine } => {
            json!({ "what": "started", "derivation": derivation, "machine": machine })
        }
        Progress::Phase { derivation, phase } => {
            json!({ "what": "phase", "derivation": derivation, "phase": phase })
        }
        Progress::Log { derivation, line } => {
            json!({ "what": "log", "derivation": derivation, "line": line })
        }
        Progress::Copying { path, done, expected, .. } => {
            json!({ "what": "copying", "path": path, "done": done, "expected": expected })
        }
        Progress::Copied { path } => json!({ "what": "copied", "path": path }),
        Progress::Downloading { url, done, expected } => {
            json!({ "what": "downloading", "url": url, "done": done, "expected": expected })
        }
        Progress::Finished { derivation } => {
            json!({ "what": "finished", "derivation": derivation })
        }
        Progress::Deleting { path } => json!({ "what": "deleting", "path": path }),
        Progress::Message { text, .. } => json!({ "what": "message", "text": text }),
        _ => return None,
    })
}

/// How long the trail of an effect is kept: whoever finds the effect interrupted needs it.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Removes trails that nobody needs any more.
fn sweep(around: &Confinement) {
    let folder = around.setup.state_home.join("cim-nix/effects");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
