//! The outer process: starts the inner one, listens, watches, and ends all there is.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use cim_nix_builder::Family;
use cim_nix_host::protocol::{Dependency, Failure, GRACE_MILLIS, Line, Request};
use rustix::process::WaitOptions;

use super::{environment, say, say_text};

/// How often clock and memory are looked at.
const TICK: Duration = Duration::from_millis(20);

/// How lines begin after which others come.
const GOES_ON: [&[u8]; 2] = [br#"{"line":"progress""#, br#"{"line":"span""#];

/// Between two looks at all processes there are, which costs more.
const PACE: Duration = Duration::from_millis(250);

/// How long what evaluates may take to say itself that time is up.
const SLACK: Duration = Duration::from_millis(700);

/// How long what is killed may take to be gone.
const BURIAL: Duration = Duration::from_secs(3);

/// How long the programs of Nix may take to end.
const GRACE: Duration = Duration::from_millis(GRACE_MILLIS);

/// Runs the request in a process of its own, and answers.
///
/// Errors: it cannot be begun.
pub(super) fn run(text: &[u8], request: &Request) -> Result<(), Error> {
    let setup = &request.setup;
    let variables = environment::of(setup)?;
    for folder in [&setup.state_home, &setup.cache_home, &setup.state_home.join("home")] {
        fs::create_dir_all(folder).map_err(|error| {
            Error::outside(format!("cannot make the folder `{}`", folder.display())).because(error)
        })?;
    }
    if !setup.root.is_dir() {
        return Err(Error::user("the project's folder is not there"));
    }
    // What the inner process leaves behind becomes ours, so that it can be ended.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let program = env::current_exe()
        .map_err(|error| Error::outside("cannot find this program").because(error))?;
    let mut command = Command::new(program);
    command.args(["worker", "--inside"]).current_dir(&setup.root).env_clear().envs(variables);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| Error::outside("cannot start the worker").because(error))?;
    let (send, events) = sync_channel(64);
    let input = child.stdin.take().map(|stdin| feed(stdin, text.to_vec()));
    if let Some(stdout) = child.stdout.take() {
        let (send, limit) = (send.clone(), setup.bounds.answer);
        thread::spawn(move || listen(stdout, limit, &send));
    }
    thread::spawn(move || wait_for_end(&send));
    let family = Family::new(std::process::id());
    let looked = Instant::now();
    let inner = Inner { request, child, input, events, family, looked, is_over: false };
    inner.attend();
    Ok(())
}

/// What happens.
enum Event {
    /// A line of the inner process, with its end.
    Line(Vec<u8>),
    /// It says more than it may.
    TooMuch,
    /// It says nothing any more.
    Silent,
    /// Nobody wants the answer any more.
    Unwanted,
}

/// Gives the request, and keeps the way open until what is returned is dropped.
fn feed(mut stdin: ChildStdin, text: Vec<u8>) -> SyncSender<()> {
    let (send, closed) = sync_channel::<()>(1);
    thread::spawn(move || {
        if stdin.write_all(&text).and_then(|()| stdin.flush()).is_ok() {
            // Nothing is ever sent: it ends when the other side is gone.
            let _ = closed.recv();
        }
    });
    send
}

fn listen(stdout: impl Read, limit: u64, send: &SyncSender<Event>) {
    let mut stdout = BufReader::new(stdout.take(limit.saturating_add(1)));
    let mut n_read = 0;
    loop {
        let mut line = Vec::new();
        let event = match stdout.read_until(b'\n', &mut line) {
            Ok(n @ 1..) => {
                n_read += n as u64;
                if n_read > limit { Event::TooMuch } else { Event::Line(line) }
            }
            _ => Event::Silent,
        };
        let is_last = !matches!(event, Event::Line(_));
        if send.send(event).is_err() || is_last {
            return;
        }
    }
}

fn wait_for_end(send: &SyncSender<Event>) {
    let mut buffer = [0; 256];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut buffer) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let _ = send.send(Event::Unwanted);
}

/// Why the inner process is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    Unwanted,
    TimedOut,
    Memory,
    TooMuch,
}

/// The inner process. It and all there is ends with this value.
struct Inner<'r> {
    request: &'r Request,
    child: Child,
    input: Option<SyncSender<()>>,
    events: Receiver<Event>,
    family: Family,
    looked: Instant,
    is_over: bool,
}

impl Inner<'_> {
    fn attend(mut self) {
        let begun = Instant::now();
        let limit = begun + Duration::from_millis(self.request.setup.bounds.millis) + SLACK;
        let mut stop: Option<(Why, Instant)> = None;
        let mut has_answered = false;
        loop {
            let now = Instant::now();
            if stop.is_none() {
                let why = match now >= limit {
                    true => Some(Why::TimedOut),
                    false => self.uses_too_much().then_some(Why::Memory),
                };
                stop = why.map(|why| self.stop(why));
            }
            if stop.is_some_and(|(_, until)| now >= until) {
                break;
            }
            match self.events.recv_timeout(TICK) {
                Ok(Event::Line(line)) if line.ends_with(b"\n") && !has_answered => {
                    has_answered = !GOES_ON.iter().any(|start| line.starts_with(start));
                    say_text(&line);
                }
                Ok(Event::Line(_)) => {}
                Ok(Event::TooMuch) => {
                    stop.get_or_insert((Why::TooMuch, now));
                    break;
                }
                Ok(Event::Unwanted) if stop.is_none() => stop = Some(self.stop(Why::Unwanted)),
                Ok(Event::Unwanted) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Silent) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.end();
        if !has_answered {
            let error = self.failure(stop.map(|(why, _)| why), status);
            say(&Line::Error { error });
        }
    }

    /// Asks the inner process to end; it is ended at the moment that is returned.
    fn stop(&mut self, why: Why) -> (Why, Instant) {
        self.input = None;
        let grace = match (why, self.request.task.runs_programs()) {
            (Why::Memory | Why::TooMuch, _) => Duration::ZERO,
            // They are asked to end first, and what became of them is worth an answer.
            (_, true) => GRACE,
            (Why::Unwanted, false) => Duration::ZERO,
            (Why::TimedOut, false) => Duration::ZERO,
        };
        (why, Instant::now() + grace)
    }

    /// Whether more memory is used than may be.
    fn uses_too_much(&mut self) -> bool {
        let bounds = &self.request.setup.bounds;
        if resident(self.child.id()) > bounds.memory {
            return true;
        }
        let Some(limit) = bounds.program_memory else { return false };
        if !self.request.task.runs_programs() || self.looked.elapsed() < PACE {
            return false;
        }
        self.looked = Instant::now();
        self.family.look();
        self.family.members().map(resident).sum::<u64>() > limit
    }

    /// Ends the inner process with all there is.
    fn end(&mut self) -> Option<ExitStatus> {
        self.input = None;
        // After its last word it needs a moment.
        let until = Instant::now() + Duration::from_millis(50);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.family.look();
            let _ = self.child.kill();
        }
        let status = self.child.wait().ok();
        self.bury();
        self.is_over = true;
        status
    }

    /// Ends what the inner process left behind: it has become ours, so there is somebody as long as
    /// we have children.
    fn bury(&mut self) {
        let until = Instant::now() + BURIAL;
        while Instant::now() < until {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.family.kill();
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return,
            }
        }
    }

    fn failure(&self, why: Option<Why>, status: Option<ExitStatus>) -> Failure {
        let Request { setup, task, .. } = self.request;
        let what = task.name();
        let error = match why {
            Some(Why::Unwanted) => Error::outside(format!("`{what}` was cancelled")),
            Some(Why::TimedOut) => {
                Error::outside(format!("`{what}` took longer than {} ms", setup.bounds.millis))
            }
            Some(Why::Memory) => memory(what, setup.bounds.memory),
            Some(Why::TooMuch) => Error::user(format!(
                "the answer to `{what}` has more than {} bytes",
                setup.bounds.answer
            )),
            // Where memory cannot be had, a program in Rust aborts.
            None if status.is_some_and(is_abort) => memory(what, setup.bounds.memory),
            None => {
                let status = status.map_or("nothing".to_owned(), |status| status.to_string());
                let error = Error::outside(format!("`{what}` ended without an answer"));
                return Failure::of(&error.because(status), Some(Dependency::Worker));
            }
        };
        Failure::of(&error, None)
    }
}

impl Drop for Inner<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end();
        }
    }
}

fn memory(what: &str, limit: u64) -> Error {
    Error::user(format!("`{what}` needed more memory than the {} MiB it may have", limit >> 20))
}

fn is_abort(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;

    status.signal() == Some(rustix::process::Signal::ABORT.as_raw())
}

/// Bytes of memory that are a process's own.
fn resident(id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
    let mut pages = text.split_ascii_whitespace().skip(1).map(|word| word.parse().unwrap_or(0));
    let (all, shared): (u64, u64) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    all.saturating_sub(shared).saturating_mul(rustix::param::page_size() as u64)
}
