//! Changes to a flake that were computed, and the one place where they are made: all files or none,
//! and then what Git has to know of them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cim_domain_nix::command::{CreateFlake, UpdateFlake};
use cim_domain_nix::{FlakeEdit, LockChange};
use cim_nix_app::Mode;
use cim_nix_base::{Change, ChangeSet, Error, Op};
use cim_nix_fetch::git_command;

use crate::fixing::Target;
use crate::output::number;
use crate::recording::{self, Recorder, new_identity};
use crate::scope::{self, shown};
use crate::terminal::note;

/// A change to the files of a flake.
#[derive(Debug)]
pub(crate) struct FlakeChange {
    /// The folder that all paths start from. It is made if it is not there.
    pub(crate) root: PathBuf,
    /// The files.
    pub(crate) set: ChangeSet,
    /// New files that a change set cannot hold. They are made after it.
    pub(crate) others: Vec<(PathBuf, OtherFile)>,
    /// What Git is told, where the folder lies in a repository.
    pub(crate) git: GitStep,
    /// What it is for: the event says so.
    pub(crate) reason: Reason,
}

/// What a flake is changed for.
#[derive(Debug)]
pub(crate) enum Reason {
    /// It is made from a template; the one that is built in if none is named.
    Create(Option<String>),
    /// Its lock file is brought up to date.
    Lock {
        /// The inputs that were to move: none, these, or all for an empty list.
        updates: Option<Vec<String>>,
        /// How inputs move.
        changes: Vec<LockChange>,
    },
}

/// A file that is no text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum OtherFile {
    /// Bytes, and whether they may be run.
    Bytes(Vec<u8>, bool),
    /// A symbolic link.
    Link(PathBuf),
}

/// What Git is told of files that were written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum GitStep {
    /// Nothing.
    Nothing,
    /// That they will be added, so that they are part of the flake from now on; those that it
    /// ignores, too, if they are `forced`.
    Announce {
        /// Whether that goes for files that are ignored.
        forced: bool,
    },
    /// The same, and they are committed with this message.
    Commit(String),
}

/// Makes a change.
///
/// Errors: no file of the change set has changed, or all have and the error is about what comes
/// after them: [`Outside`](cim_nix_base::ErrorKind::Outside) names what failed.
pub(crate) fn apply(change: &FlakeChange) -> Result<(), Error> {
    let FlakeChange { root, set, others, git, .. } = change;
    if set.is_empty() && others.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(|error| {
        Error::user(format!("cannot make the folder `{}`", shown(root))).because(error)
    })?;
    let root = &root.canonicalize().map_err(|error| {
        Error::user(format!("cannot open the folder `{}`", shown(root))).because(error)
    })?;
    record(change, root)?;
    for (path, file) in others {
        make(&root.join(path), file).map_err(|error| {
            Error::outside(format!("cannot write `{}`", shown(&root.join(path)))).because(error)
        })?;
    }
    let written = set.changes.iter().filter(|change| !matches!(change.op, Op::Remove { .. }));
    let written = written.map(|change| change.path.as_path());
    let written: Vec<&Path> = written.chain(others.iter().map(|(path, _)| &**path)).collect();
    tell_git(root, &written, git)
}

/// Makes the changes to text files, as a command of the domain.
fn record(change: &FlakeChange, root: &Path) -> Result<(), Error> {
    let FlakeChange { set, reason, .. } = change;
    let creates = |change: &Change| matches!(change.op, Op::Create { .. });
    let makes_flake =
        set.changes.iter().any(|change| change.path == Path::new("flake.nix") && creates(change));
    if let Reason::Create(_) = reason
        && !makes_flake
    {
        // Files of a template beside a flake that is there: nothing that the domain has a word for.
        let target = Target::new(root.to_owned(), false)?;
        target.recover()?;
        return target.apply(set);
    }
    // A folder that gets a flake is a project of its own from then on.
    let project = match makes_flake {
        true => root.to_owned(),
        false => scope::project_root(&[root.to_owned()]),
    };
    let recorder = Recorder::open(&project)?;
    let app = recorder.app();
    recording::tell(&app.recover_files()?);
    let (path, identity) = (recording::text_of(root)?, new_identity());
    let outcome = match reason {
        Reason::Create(template) => {
            let (description, template) = (String::new(), template.clone());
            let command = CreateFlake { path, description, template, identity };
            let outcome = app.create_flake(&command.into(), set.clone(), Mode::Apply)?;
            if !change.others.is_empty() {
                let n = number(change.others.len(), "file");
                note(format_args!("note: `cim-nix undo` will leave {n} that are no text"));
            }
            outcome
        }
        Reason::Lock { updates, changes } => {
            let lock = set.changes.iter().find_map(|change| match &change.op {
                Op::Create { content, .. } | Op::Write { content, .. } => Some(content),
                _ => None,
            });
            let Some(lock) = lock else { return Ok(()) };
            let edit = updates.is_none().then_some(FlakeEdit::Lock);
            let inputs = updates.clone().unwrap_or_default();
            let command = UpdateFlake { path, edit, inputs, lock: true, identity };
            app.write_lock(&command.into(), lock, changes.clone(), Mode::Apply)?
        }
    };
    outcome.notes.iter().for_each(|text| note(format_args!("note: {text}")));
    Ok(())
}

/// Tells Git of new files of a flake, where it lies in a repository.
///
/// Errors: Git fails.
pub(crate) fn announce(root: &Path, files: &[&Path]) -> Result<(), Error> {
    tell_git(root, files, &GitStep::Announce { forced: false })
}

fn make(path: &Path, file: &OtherFile) -> std::io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    match file {
        OtherFile::Link(target) => symlink(target, path),
        OtherFile::Bytes(bytes, is_executable) => {
            let mode = if *is_executable { 0o777 } else { 0o666 };
            let mut options = fs::File::options();
            let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
            file.write_all(bytes)
        }
    }
}

/// Whether a folder lies in the working tree of a Git repository, as Nix sees it.
pub(crate) fn is_in_repository(folder: &Path) -> bool {
    folder.ancestors().any(|above| above.join(".git").exists())
}

/// Does what Nix does when it has written files: what Git does not know is not part of a flake.
fn tell_git(root: &Path, files: &[&Path], step: &GitStep) -> Result<(), Error> {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    if files.is_empty() || *step == GitStep::Nothing || !is_in_repository(&real) {
        return Ok(());
    }
    let is_forced = matches!(step, GitStep::Announce { forced: true });
    let mut known = Vec::new();
    for file in files {
        if !is_forced {
            let mut ask = git_command(root);
            let ask = ask.args(["check-ignore", "--quiet", "--"]).arg(file);
            if ask.stdin(Stdio::null()).status().is_ok_and(|status| status.success()) {
                continue;
            }
        }
        known.push(*file);
    }
    if known.is_empty() {
        return Ok(());
    }
    let force: &[&str] = if is_forced { &["--force"] } else { &[] };
    run_git(root, &[&["add", "--intent-to-add"], force, &["--"]].concat(), &known, "")?;
    match step {
        GitStep::Nothing | GitStep::Announce { .. } => Ok(()),
        GitStep::Commit(message) => {
            run_git(root, &["commit", "--quiet", "-F", "-", "--"], &known, message)
        }
    }
}

fn run_git(root: &Path, arguments: &[&str], files: &[&Path], input: &str) -> Result<(), Error> {
    let what = arguments[0];
    let failed = |error: std::io::Error| {
        Error::outside(format!("the files are written, but `git {what}` cannot be run"))
            .because(error)
    };
    let mut child = git_command(root)
        .args(arguments)
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // A message is far shorter than what a pipe holds, and Git says why it did not read it.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let message = format!("the files are written, but `git {what}` failed");
    Err(Error::outside(message).because(said.trim().to_owned()))
}
