//! The worker from outside: starts one for a request, listens, and ends it with all it has started.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cim_nix_app::Run;
use cim_nix_base::{Error, ErrorKind};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::de::DeserializeOwned;

use crate::protocol::{Cause, Dependency, GRACE_MILLIS, Line, Request, WorkSpan};

/// What it is called.
const NAME: &str = "cim-nix";

/// How often the flag and the clock are looked at.
const TICK: Duration = Duration::from_millis(20);

/// How long a worker has after it was told to end: what it runs gets its own time to end well.
const GRACE: Duration = Duration::from_millis(GRACE_MILLIS + 4_000);

/// How long a worker may go on after its answer.
const LINGER: Duration = Duration::from_secs(5);

/// Lines that are read ahead. A reader that is slow slows the worker down.
const AHEAD: usize = 64;

/// Programs of one worker that traces tell of.
const MOST_SPANS: usize = 256;

/// Bytes of standard error that are kept.
const ERRORS: usize = 4 << 10;

/// The program that does what is asked, in a process for each request.
#[derive(Clone, Debug)]
pub struct Worker {
    program: PathBuf,
    arguments: Vec<OsString>,
    grace: Duration,
    watch: Option<fn(&Ran)>,
    tracing: Option<Tracing>,
}

/// What takes down traces, for a worker that does not do it itself: it may have no network.
#[derive(Clone, Copy, Debug)]
pub struct Tracing {
    /// How the present span is named to those that are called in it: the header `traceparent`.
    pub current: fn() -> Option<String>,
    /// Takes what was run or asked for in the present span.
    pub program: fn(&WorkSpan),
}

/// One run of the worker, for whoever counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// What was asked for.
    pub task: &'static str,
    /// How long it took, start and end of the process included.
    pub time: Duration,
    /// How it ended.
    pub end: RanEnd,
}

/// How a run of the worker ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RanEnd {
    /// With a result.
    Done,
    /// With an error, of which this kind was told.
    Failed(ErrorKind),
    /// It was ended since nobody wanted the answer any more.
    Cancelled,
    /// It was ended since it took too long.
    TimedOut,
    /// It was ended since it said more than it may.
    SaidTooMuch,
    /// It ended by itself without an answer, or with one that is none.
    Broke,
}

/// What did not do its part in an error, if it is known to be something outside.
#[must_use]
pub fn dependency_of(error: &Error) -> Option<&Dependency> {
    let cause = std::error::Error::source(error)?.downcast_ref::<Cause>()?;
    cause.dependency.as_ref()
}

/// Whether there is a file that somebody may execute.
fn is_program(path: &Path) -> bool {
    let found = path.metadata();
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

impl Worker {
    /// The program `cim-nix`: the one that is named, or else beside the running program, or else on
    /// `PATH`.
    ///
    /// Errors: it is not there.
    pub fn find(named: Option<&Path>) -> Result<Self, Error> {
        if let Some(program) = named {
            return match is_program(program) {
                true => Ok(Self::new(program)),
                false => Err(Error::config(format!(
                    "there is no program `{}` to do the work",
                    program.display()
                ))
                .hint("`worker` names the program `cim-nix`, a file that may be executed")),
            };
        }
        let beside = env::current_exe().ok().and_then(|own| Some(own.parent()?.join(NAME)));
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(NAME));
        let found = beside.into_iter().chain(on_path).find(|program| is_program(program));
        found.map(Self::new).ok_or_else(|| {
            Error::config(format!("there is no program `{NAME}` to do the work"))
                .hint("it is looked for beside this program and on PATH; the settings can name it")
        })
    }

    /// The program at a path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["worker".into()],
            grace: GRACE,
            watch: None,
            tracing: None,
        }
    }

    /// The same, and `watch` is told of each run.
    #[must_use]
    pub fn watched(self, watch: fn(&Ran)) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// The same, and traces have each run and each program that was run in it.
    #[must_use]
    pub fn traced(self, tracing: Tracing) -> Self {
        Self { tracing: Some(tracing), ..self }
    }

    /// The same with other arguments, and another time to end in.
    #[cfg(test)]
    fn with(self, arguments: &[&str], grace: Duration) -> Self {
        Self { arguments: arguments.iter().map(Into::into).collect(), grace, ..self }
    }

    /// Asks for one thing and waits for the answer. When this returns, nothing of the worker is left.
    ///
    /// Errors: what was asked for failed; it was cancelled or took too long; or the worker did not
    /// do its part, which [`dependency_of`] tells.
    pub fn ask<T: DeserializeOwned>(&self, request: &Request, run: &Run) -> Result<T, Error> {
        let what = request.task.name();
        if run.cancelled.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        let span = self.span(what);
        let _inside = span.enter();
        let line = self.line(request)?;
        let began = Instant::now();
        let mut running = self
            .start(line, request.setup.bounds.answer)
            .inspect_err(|error| tell(&span, None, "not_started", &error.chain()))?;
        let program = self.tracing.map(|tracing| tracing.program);
        let ended = running.attend(run, self.grace, program);
        // Who has answered ends by itself; whoever has not gets no more time.
        running.end(if matches!(ended, Ended::Answered(_)) { LINGER } else { Duration::ZERO });
        if let Some(watch) = self.watch {
            watch(&Ran { task: what, time: began.elapsed(), end: ended.told() });
        }
        ended.tell(&span, running.child.id());
        let result = match ended {
            Ended::Answered(Line::Result { result }) => result,
            Ended::Answered(Line::Error { error }) => return Err(error.into_error()),
            Ended::Answered(Line::Progress { .. } | Line::Span { .. }) => {
                return Err(Error::bug("progress is no answer"));
            }
            Ended::Cancelled => return Err(cancelled()),
            Ended::TimedOut => return Err(Error::outside(format!("`{what}` took too long"))),
            Ended::Broken { why, .. } => {
                let said = running.said();
                let text = if said.is_empty() { why } else { format!("{why}; it said: {said}") };
                return Err(Error::outside(format!("the worker did not answer to `{what}`"))
                    .because(Cause::new(text, Some(Dependency::Worker))));
            }
        };
        serde_json::from_value(result).map_err(|error| {
            let cause = Cause::new(error.to_string(), Some(Dependency::Worker));
            Error::outside(format!("the worker's answer to `{what}` is none")).because(cause)
        })
    }

    /// The span of one run, named as those of programs are.
    fn span(&self, what: &'static str) -> tracing::Span {
        if self.tracing.is_none() {
            return tracing::Span::none();
        }
        let executable = self.program.file_name().unwrap_or_default().to_string_lossy();
        tracing::info_span!(
            "worker",
            otel.name = %format_args!("{executable} worker {what}"),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            process.executable.name = %executable,
            process.pid = tracing::field::Empty,
            error.type = tracing::field::Empty,
            task = what,
        )
    }

    /// The request as it is written. What the worker runs belongs to the present span.
    fn line(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let trace = self.tracing.and_then(|tracing| (tracing.current)());
        let mut line = match trace {
            None => serde_json::to_vec(request),
            Some(trace) => {
                let mut request = request.clone();
                request.setup.traceparent = Some(trace);
                serde_json::to_vec(&request)
            }
        }
        .map_err(|error| Error::bug("a request cannot be written").because(error))?;
        line.push(b'\n');
        Ok(line)
    }

    fn start(&self, request: Vec<u8>, limit: u64) -> Result<Running, Error> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir("/").env_clear();
        // It makes the environment of what it runs itself.
        command.envs(env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = command.process_group(0).spawn();
        let mut child = started.map_err(|error| {
            let text = error.to_string();
            Error::outside(format!("cannot run `{}`", self.program.display()))
                .because(Cause::new(text, Some(Dependency::Worker)))
        })?;
        let input: Input = Arc::new(Mutex::new(None));
        if let Some(mut stdin) = child.stdin.take() {
            let input = Arc::clone(&input);
            // What does not read must not keep us.
            thread::spawn(move || {
                let is_written = stdin.write_all(&request).and_then(|()| stdin.flush()).is_ok();
                if is_written {
                    let mut open = input.lock().unwrap_or_else(PoisonError::into_inner);
                    // Whoever wants it to end may have come before.
                    if open.is_none() {
                        *open = Some(Open::Pipe(stdin));
                    }
                }
            });
        }
        let (send, lines) = sync_channel(AHEAD);
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || read_lines(stdout, limit, &send));
        }
        let errors = Arc::new(Mutex::new(Vec::new()));
        let (reading, errors_end) = sync_channel(0);
        if let Some(stderr) = child.stderr.take() {
            let errors = Arc::clone(&errors);
            thread::spawn(move || {
                read_errors(stderr, &errors);
                drop(reading);
            });
        }
        Ok(Running { child, input, lines, errors, errors_end, is_over: false })
    }
}

/// Says in a span what went wrong.
fn tell(span: &tracing::Span, process: Option<u32>, kind: &str, message: &str) {
    if let Some(process) = process {
        span.record("process.pid", process);
    }
    if !kind.is_empty() {
        span.record("error.type", kind);
        span.record("otel.status_code", "error");
        span.record("otel.status_description", message);
    }
}

fn cancelled() -> Error {
    Error::outside("it was cancelled")
}

/// How the way to the worker is.
enum Open {
    /// Open: when it is dropped, the worker ends.
    Pipe(#[expect(dead_code, reason = "it is there to be dropped")] ChildStdin),
    Closed,
}

type Input = Arc<Mutex<Option<Open>>>;

/// What comes from the worker.
enum Heard {
    Line(Vec<u8>),
    /// It says more than it may.
    TooMuch,
}

fn read_lines(stream: impl Read, limit: u64, send: &SyncSender<Heard>) {
    let mut stream = BufReader::new(stream.take(limit.saturating_add(1)));
    let mut n_read = 0;
    loop {
        let mut line = Vec::new();
        match stream.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(n) => n_read += n as u64,
        }
        let heard = if n_read > limit { Heard::TooMuch } else { Heard::Line(line) };
        if send.send(heard).is_err() {
            return;
        }
    }
}

fn read_errors(mut stream: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..n]);
        let surplus = kept.len().saturating_sub(ERRORS);
        kept.drain(..surplus);
    }
}

enum Ended {
    Answered(Line),
    Cancelled,
    TimedOut,
    Broken { why: String, says_too_much: bool },
}

impl Ended {
    fn broken(why: impl Into<String>) -> Self {
        Self::Broken { why: why.into(), says_too_much: false }
    }

    /// Says in the span of the run how it ended. What is the caller's own fault is none of it.
    fn tell(&self, span: &tracing::Span, process: u32) {
        let (kind, message) = match self {
            Self::Answered(Line::Error { error }) => match ErrorKind::from(error.kind) {
                ErrorKind::User | ErrorKind::Config | ErrorKind::Conflict => ("", ""),
                ErrorKind::Outside => ("outside", &*error.message),
                ErrorKind::Bug => ("bug", &*error.message),
            },
            Self::Answered(_) => ("", ""),
            Self::Cancelled => ("cancelled", "nobody wanted the answer any more"),
            Self::TimedOut => ("timeout", "it took too long"),
            Self::Broken { why, .. } => ("broken", &**why),
        };
        tell(span, Some(process), kind, message);
    }

    fn told(&self) -> RanEnd {
        match self {
            Self::Answered(Line::Error { error }) => RanEnd::Failed(error.kind.into()),
            Self::Answered(_) => RanEnd::Done,
            Self::Cancelled => RanEnd::Cancelled,
            Self::TimedOut => RanEnd::TimedOut,
            Self::Broken { says_too_much: true, .. } => RanEnd::SaidTooMuch,
            Self::Broken { .. } => RanEnd::Broke,
        }
    }
}

/// A worker that was started. It ends with this value.
struct Running {
    child: Child,
    input: Input,
    lines: Receiver<Heard>,
    errors: Arc<Mutex<Vec<u8>>>,
    /// Closed when all of them were read.
    errors_end: Receiver<()>,
    is_over: bool,
}

impl Running {
    /// Listens until there is an answer. `program` is told of what the worker has run and asked for.
    fn attend(&mut self, run: &Run, grace: Duration, program: Option<fn(&WorkSpan)>) -> Ended {
        let mut n_spans = 0;
        // Why it has to end, and until when.
        let mut stop: Option<(Ended, Instant)> = None;
        loop {
            let now = Instant::now();
            if stop.is_none() {
                let reason = match run.cancelled.load(Ordering::Relaxed) {
                    true => Some(Ended::Cancelled),
                    false => (now >= run.deadline).then_some(Ended::TimedOut),
                };
                if let Some(reason) = reason {
                    // It ends what it runs, and may have something to say of it.
                    self.close();
                    stop = Some((reason, now + grace));
                }
            }
            if let Some((_, until)) = &stop
                && now >= *until
            {
                return stop.map_or(Ended::TimedOut, |(reason, _)| reason);
            }
            let line = match self.lines.recv_timeout(TICK) {
                Ok(Heard::Line(line)) => line,
                Ok(Heard::TooMuch) => {
                    let why = "it says more than it may".to_owned();
                    return Ended::Broken { why, says_too_much: true };
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return match stop {
                        Some((reason, _)) => reason,
                        None => Ended::broken("it ended without an answer"),
                    };
                }
            };
            match serde_json::from_slice(&line) {
                Ok(Line::Progress { progress }) => (run.progress)(&progress.to_string()),
                Ok(Line::Span { span }) => {
                    n_spans += 1;
                    if let Some(program) = program.filter(|_| n_spans <= MOST_SPANS) {
                        program(&span);
                    }
                }
                Ok(answer) => return Ended::Answered(answer),
                Err(error) => {
                    return Ended::broken(format!("it says what is no answer ({error})"));
                }
            }
        }
    }

    fn close(&self) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = Some(Open::Closed);
    }

    /// Waits a little for the end of the process, and ends it otherwise.
    fn end(&mut self, linger: Duration) {
        if self.is_over {
            return;
        }
        self.close();
        let until = Instant::now() + linger;
        while matches!(self.child.try_wait(), Ok(None)) {
            // What it still says is read, since a full pipe would keep it.
            let disconnected = self.lines.recv_timeout(Duration::from_millis(1));
            if matches!(disconnected, Err(RecvTimeoutError::Disconnected)) {
                thread::sleep(Duration::from_millis(1));
            }
            if Instant::now() >= until {
                break;
            }
        }
        // The number is the group's as long as the process was not waited for; where it was, others
        // of the group may be left, and the number is nobody else's until they are gone.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        self.is_over = true;
    }

    /// What it said on standard error, on one line. Its last words may still be on their way.
    fn said(&self) -> String {
        let _ = self.errors_end.recv_timeout(Duration::from_millis(200));
        let kept = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().escape_debug().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests;
