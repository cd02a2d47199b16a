//! Runs one program: its lines as they come, an end to it on request, and nothing left behind.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::command::Invocation;
use crate::descendants::Family;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// How long its streams are read after it has ended: what it left in the background may keep them
/// open for ever.
const LINGER: Duration = Duration::from_secs(2);

/// How often the flag and the clock are looked at.
const TICK: Duration = Duration::from_millis(20);

/// The most bytes of a line of errors; the rest of the line is dropped.
const ERROR_LINE: usize = 1 << 20;

/// The most bytes of a line of output: answers in JSON are one line.
const OUTPUT_LINE: usize = 256 << 20;

/// Lines that are read ahead. A reader that is slow slows the program down.
const AHEAD: usize = 64;

/// Where a line comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Output,
    Errors,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was asked to, because of the flag.
    Cancelled,
    /// It was asked to, because time was up.
    TimedOut,
}

impl Ended {
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

/// When a run has to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop<'s> {
    pub(crate) cancel: &'s AtomicBool,
    pub(crate) deadline: Option<Instant>,
}

/// Runs a program to its end and hands each of its lines to `on_line`.
///
/// Bytes that are no UTF-8 become replacement characters. Standard input is empty. However this
/// function is left, the program and all it has started have ended before. Answers its number, too,
/// which is 0 if it was never started.
///
/// Errors: it cannot be started.
pub(crate) fn run(
    invocation: &Invocation,
    stop: Stop<'_>,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<(Ended, u32), Error> {
    if stop.cancel.load(Ordering::Relaxed) {
        return Ok((Ended::Cancelled, 0));
    }
    let mut command = Command::new(&invocation.program);
    command.args(&invocation.arguments).current_dir(&invocation.folder);
    command.env_clear().envs(invocation.environment.variables());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.process_group(0).spawn();
    let mut child = started.map_err(|error| {
        let program = invocation.program.display();
        Error::outside(format!("cannot run `{program}`")).because(error)
    })?;
    let (send, lines) = sync_channel(AHEAD);
    if let Some(stream) = child.stdout.take() {
        read(stream, Stream::Output, OUTPUT_LINE, send.clone());
    }
    if let Some(stream) = child.stderr.take() {
        read(stream, Stream::Errors, ERROR_LINE, send);
    }
    let id = child.id();
    let running = Running { family: Family::new(id), child, lines, is_over: false };
    Ok((running.attend(stop, on_line), id))
}

/// Reads lines in a thread of its own, until the stream ends or nobody listens.
fn read(
    stream: impl Read + Send + 'static,
    name: Stream,
    most: usize,
    send: SyncSender<(Stream, Vec<u8>)>,
) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        while let Ok(Some(line)) = read_line(&mut stream, most) {
            if send.send((name, line)).is_err() {
                return;
            }
        }
    });
}

/// The next line without its end, cut after `most` bytes.
fn read_line(stream: &mut impl BufRead, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut is_there = false;
    loop {
        let bytes = stream.fill_buf()?;
        if bytes.is_empty() {
            return Ok(is_there.then_some(line));
        }
        is_there = true;
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        line.extend_from_slice(&part[..part.len().min(most - line.len())]);
        let n_used = end.map_or(bytes.len(), |end| end + 1);
        stream.consume(n_used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// A process and all that it started. They end with this value.
struct Running {
    child: Child,
    family: Family,
    lines: Receiver<(Stream, Vec<u8>)>,
    is_over: bool,
}

impl Running {
    fn attend(mut self, stop: Stop<'_>, on_line: &mut dyn FnMut(Stream, &str)) -> Ended {
        let mut say = |stream, line: &[u8]| on_line(stream, &String::from_utf8_lossy(line));
        loop {
            match self.lines.recv_timeout(TICK) {
                Ok((stream, line)) => say(stream, &line),
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(1)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.is_over = true;
                self.drain(Instant::now() + LINGER, &mut say);
                return Ended::Exited(status);
            }
            let is_late = stop.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if stop.cancel.load(Ordering::Relaxed) || is_late {
                self.end(GRACE, &mut say);
                return if is_late { Ended::TimedOut } else { Ended::Cancelled };
            }
        }
    }

    /// Hands over what is still to be read, until the streams end or time is up.
    fn drain(&self, until: Instant, say: &mut dyn FnMut(Stream, &[u8])) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((stream, line)) => say(stream, &line),
                Err(_) => return,
            }
        }
    }

    /// Asks the process to end, and ends it and all it started once `grace` is over.
    fn end(&mut self, grace: Duration, say: &mut dyn FnMut(Stream, &[u8])) {
        let group = Pid::from_child(&self.child);
        self.family.look();
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::TERM);
        let until = Instant::now() + grace;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            self.family.look();
            // Who waits for room in a pipe does not end.
            self.drain(Instant::now() + TICK, say);
        }
        self.family.look();
        // First who starts others. It stays known by its number until it is waited for.
        let is_left = matches!(self.child.try_wait(), Ok(None));
        if is_left {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.family.kill();
        if is_left {
            let _ = self.child.wait();
        }
        self.is_over = true;
        self.drain(Instant::now() + TICK, say);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Duration::ZERO, &mut |_, _| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Environment;

    fn shell(script: &str) -> Invocation {
        let mut environment = Environment::empty();
        environment.set("PATH", "/usr/bin:/bin");
        let arguments = vec!["-c".into(), script.into()];
        Invocation { program: "/bin/sh".into(), arguments, folder: "/".into(), environment }
    }

    fn lines(script: &str, seconds: u64) -> (Ended, Vec<(Stream, String)>) {
        let cancel = AtomicBool::new(false);
        let deadline = Some(Instant::now() + Duration::from_secs(seconds));
        let mut lines = Vec::new();
        let stop = Stop { cancel: &cancel, deadline };
        let mut on_line = |stream, line: &str| lines.push((stream, line.to_owned()));
        let (ended, _) = run(&shell(script), stop, &mut on_line).unwrap();
        (ended, lines)
    }

    fn is_alive(id: &str) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z")
    }

    #[test]
    fn lines_of_both_streams_come_whole() {
        let (ended, lines) = lines("echo a; printf 'b\\377\\n\\nc'", 60);
        assert!(ended.is_success());
        let want = ["a", "b\u{fffd}", "", "c"].map(|line| (Stream::Output, line.to_owned()));
        assert_eq!(lines, want);
        let (ended, lines) = self::lines("echo no >&2; exit 3", 60);
        assert!(!ended.is_success());
        assert_eq!(lines, [(Stream::Errors, "no".to_owned())]);
    }

    #[test]
    fn long_lines_are_cut_and_do_not_stop_the_program() {
        let (ended, lines) = lines("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo; echo b", 60);
        assert!(ended.is_success());
        let lengths: Vec<usize> = lines.iter().map(|(_, line)| line.len()).collect();
        assert!(lengths.contains(&ERROR_LINE) && lengths.len() == 3, "{lengths:?}");
    }

    #[test]
    fn who_leaves_something_in_the_background_has_ended_all_the_same() {
        let start = Instant::now();
        let (ended, lines) = lines("sleep 30 & echo $!", 60);
        assert!(ended.is_success());
        assert!(start.elapsed() < Duration::from_secs(20));
        let id = lines[0].1.parse().ok().and_then(Pid::from_raw).unwrap();
        rustix::process::kill_process(id, Signal::KILL).unwrap();
    }

    #[test]
    fn what_does_not_listen_is_ended_with_all_it_started() {
        // A session of its own, as Nix gives to builders, and a child that belongs to nobody.
        let script = "trap '' TERM; \
            setsid sh -c 'trap \"\" TERM; (sleep 70 & echo $!); echo $$; while :; do sleep 1; done' & \
            sleep 71 & echo $!; while :; do sleep 1; done";
        let (ended, lines) = lines(script, 4);
        assert_eq!(ended, Ended::TimedOut);
        let ids: Vec<_> = lines.iter().filter(|(stream, _)| *stream == Stream::Output).collect();
        assert_eq!(ids.len(), 3, "{lines:?}");
        for (_, id) in ids {
            assert!(!is_alive(id), "{id} is still there");
        }
    }

    #[test]
    fn a_flag_ends_what_listens_at_once() {
        let cancel = AtomicBool::new(false);
        let stop = Stop { cancel: &cancel, deadline: None };
        let start = Instant::now();
        let mut on_line = |_, _: &str| cancel.store(true, Ordering::Relaxed);
        let (ended, _) = run(&shell("echo a; exec sleep 60"), stop, &mut on_line).unwrap();
        assert_eq!(ended, Ended::Cancelled);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let mut invocation = shell("");
        invocation.program = "/nowhere/nix".into();
        let cancel = AtomicBool::new(false);
        let stop = Stop { cancel: &cancel, deadline: None };
        let error = run(&invocation, stop, &mut |_, _| {}).unwrap_err();
        assert!(error.chain().starts_with("cannot run `/nowhere/nix`: No such file"), "{error}");
    }
}
