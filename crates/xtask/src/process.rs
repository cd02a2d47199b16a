//! Runs other programs and says what went wrong in words.

use std::io::{self, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use crate::Result;

/// Runs `command` with our own streams.
///
/// Errors: it could not be started, or it did not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    succeeded(command, status)
}

/// Runs `command` and returns what it wrote to standard output; errors go to ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    succeeded(command, output.status)?;
    text(command, output.stdout)
}

/// Runs `command` and returns its standard output; its complaints appear only in the error.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| not_started(command, &error))?;
    succeeded(command, output.status).map_err(|message| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let last = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
        format!("{message}: {last}")
    })?;
    text(command, output.stdout)
}

/// What a command printed on both streams, and whether it succeeded.
pub(crate) struct Transcript {
    pub(crate) result: Result<()>,
    pub(crate) text: String,
}

/// Runs `command`, passes everything it prints through at once and keeps a copy.
///
/// Shape: the order between the two streams is not kept in the copy.
pub(crate) fn transcript(command: &mut Command) -> Result<Transcript> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let stdout = child.stdout.take().expect("the stream was asked for two lines above");
    let stderr = child.stderr.take().expect("the stream was asked for two lines above");
    let errors = thread::spawn(move || copy(stderr, io::stderr()));
    let mut seen = copy(stdout, io::stdout());
    seen.extend(errors.join().map_err(|_| "the thread that copies standard error died")?);
    let status = child.wait().map_err(|error| not_started(command, &error))?;
    let text = String::from_utf8_lossy(&seen).into_owned();
    Ok(Transcript { result: succeeded(command, status), text })
}

fn copy(mut from: impl Read, mut to: impl Write) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut chunk = [0; 8 * 1024];
    while let Ok(n_bytes @ 1..) = from.read(&mut chunk) {
        // A closed terminal must not stop the tests whose result we are after.
        let _ = to.write_all(&chunk[..n_bytes]).and_then(|()| to.flush());
        seen.extend_from_slice(&chunk[..n_bytes]);
    }
    seen
}

fn not_started(command: &Command, error: &io::Error) -> String {
    format!("cannot start `{}`: {error}", shown(command))
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command))) }
}

fn text(command: &Command, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| format!("`{}` printed no UTF-8", shown(command)))
}

/// Prints a command as one would type it; of a long one, what it is and what it is about.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words: Vec<_> = std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match words.as_slice() {
        [a, b, c, .., last] if words.len() > 8 => format!("{a} {b} {c} ... {last}"),
        _ => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_arguments() {
        let message = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(message, "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn a_long_command_is_cut_in_the_middle() {
        let mut command = Command::new("/bin/pip");
        command.args(["install", "-1", "-2", "-3", "-4", "-5", "-6", "x"]);
        assert_eq!(shown(&command), "pip install -1 ... x");
    }

    #[test]
    fn a_quiet_command_gives_its_last_complaint() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo second >&2; exit 1"]);
        assert!(quiet(&mut command).unwrap_err().ends_with(": second"));
    }

    #[test]
    fn a_transcript_holds_both_streams() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 1"]);
        let transcript = transcript(&mut command).unwrap();
        assert!(transcript.result.is_err());
        assert_eq!(transcript.text, "out\nerr\n");
    }

    #[test]
    fn a_missing_program_is_no_panic() {
        let message = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(message.starts_with("cannot start `no-such-program-here`: "), "{message}");
    }
}
