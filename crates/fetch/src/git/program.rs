//! The `git` program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use cim_nix_model::without_passwords;

use crate::watch::Watched;
use crate::{FetchKind, Res};

/// The program `git` in a repository, so set up that it asks nobody and changes nothing on the way.
pub fn command(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository);
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
    // Of a repository that Git runs us for, as a hook, say.
    for name in [
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs `git` in a repository and gives what it printed.
pub(super) fn git(repository: &Path, arguments: &[&str]) -> Res<Vec<u8>> {
    run(command(repository).args(arguments), arguments, &[])
}

/// What `git` is asked for that others have.
const ELSEWHERE: [&str; 2] = ["fetch", "ls-remote"];

/// Runs a command with something on its standard input.
pub(super) fn run(command: &mut Command, arguments: &[&str], input: &[u8]) -> Res<Vec<u8>> {
    let is_elsewhere = arguments.first().is_some_and(|what| ELSEWHERE.contains(what));
    let watched = Watched::begin().filter(|_| is_elsewhere);
    let mut ran = (None, None);
    let ended = run_unseen(command, arguments, input, &mut ran);
    if let Some(watched) = watched {
        let (id, exit_code) = ran;
        let why = ended.as_ref().err().map(|why| without_passwords(why));
        let arguments: Vec<String> =
            arguments.iter().map(|argument| without_passwords(argument)).collect();
        let arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
        watched.end(FetchKind::Git { arguments: &arguments, id, exit_code }, why.as_deref());
    }
    ended
}

/// The same; the process's number and its exit status go to `ran`.
fn run_unseen(
    command: &mut Command,
    arguments: &[&str],
    input: &[u8],
    (id, exit_code): &mut (Option<u32>, Option<i32>),
) -> Res<Vec<u8>> {
    let failed = |error: std::io::Error| {
        format!("cannot run 'git', which sources of type 'git' need: {error}")
    };
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(failed)?;
    *id = Some(child.id());
    // It may answer before it has read everything, so both must go on at once.
    let output = std::thread::scope(|scope| {
        if let Some(mut stdin) = child.stdin.take() {
            // If it ends early, its exit status says more than a broken pipe.
            scope.spawn(move || stdin.write_all(input));
        }
        child.wait_with_output()
    });
    let output = output.map_err(failed)?;
    *exit_code = output.status.code();
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let what = arguments.first().copied().unwrap_or_default();
    Err(format!("'git {what}' failed: {}", said.trim()))
}

/// The same as a line of text.
pub(super) fn line(repository: &Path, arguments: &[&str]) -> Res<String> {
    Ok(String::from_utf8_lossy(&git(repository, arguments)?).trim().to_owned())
}

/// The parts of what Git separates with NUL.
pub(super) fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == 0).filter(|part| !part.is_empty())
}
