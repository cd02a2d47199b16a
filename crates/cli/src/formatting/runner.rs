//! Running a formatter: in this process, in one that answers text after text, or in one for each text.
//!
//! Whatever can crash or take any time is another process, with a limit on time and memory.

use std::env;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use cim_nix_format::{Failure, Formatter, Options, child, nixfmt, takes_long};
use cim_nix_syntax::Tree;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};

/// The most memory that a process of a formatter may take.
const MAX_MEMORY: u64 = 2 << 30;

/// What a formatter may write beyond sixteen times what it was given.
const MAX_OUTPUT: usize = 1 << 20;

/// The program beside this one that runs alejandra.
const ALEJANDRA: &str = "cim-nix-alejandra";

/// How a formatter is run.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// In this process; code that would take long goes to a process that answers.
    Here(Options),
    /// By a process that answers text after text.
    Service(Vec<String>),
    /// By a process for each text.
    Command(Vec<String>),
}

impl Way {
    /// How `formatter` is run.
    ///
    /// Errors: there is no such program.
    pub(crate) fn of(formatter: &Formatter, options: Options) -> Result<Self, Error> {
        match formatter {
            Formatter::Nixfmt => Ok(Self::Here(options)),
            Formatter::NixpkgsFmt => Ok(Self::Service(own(&["--serve", "nixpkgs-fmt"])?)),
            Formatter::Alejandra => alejandra(),
            Formatter::Command(words) => {
                let name = words.first().map_or("", String::as_str);
                if find_program(name).is_none() {
                    return Err(missing(name));
                }
                Ok(Self::Command(bounded(words)?))
            }
        }
    }

    /// What runs it, for people.
    pub(crate) fn describe(&self) -> String {
        let behind = |words: &[String]| {
            let at = words.iter().position(|word| word == "--")?;
            Some(words[at + 1..].join(" "))
        };
        match self {
            Self::Here(_) => {
                let version = cim_nix_format::NIXFMT_VERSION;
                format!("built in (nixfmt_rs {version}, the style of nixfmt 1.2)")
            }
            Self::Service(words) => match behind(words) {
                Some(program) => format!("run by `{program}`"),
                None => "built in, in a child process".to_owned(),
            },
            Self::Command(words) => {
                let command = behind(words).unwrap_or_default();
                format!("not built in, run by the command `{command}`")
            }
        }
    }
}

/// The program beside this one, or else whatever alejandra the user has.
fn alejandra() -> Result<Way, Error> {
    let beside = env::current_exe().ok().map(|own| own.with_file_name(ALEJANDRA));
    if let Some(path) = beside.filter(|path| path.is_file()) {
        return Ok(Way::Service(bounded(&[path.to_string_lossy().into_owned()])?));
    }
    if find_program("alejandra").is_some() {
        return Ok(Way::Command(bounded(&["alejandra", "--quiet", "-"].map(str::to_owned))?));
    }
    Err(missing("alejandra"))
}

fn missing(name: &str) -> Error {
    let error = Error::config(format!(
        "the formatter `{name}` is not built in, and there is no such program"
    ));
    match name {
        "alejandra" => error.hint(format!(
            "install `alejandra`, or put `{ALEJANDRA}`, which is built with cim-nix, beside it"
        )),
        "nixfmt-classic" => error
            .hint("install the classic nixfmt under this name, or give its path: `--formatter /path/to/nixfmt`")
            .hint("the official style is built in: `--formatter nixfmt`"),
        _ => error.hint("built in are `nixfmt` and `nixpkgs-fmt`; `docs/formatting.md` says more"),
    }
}

/// This program with hidden arguments of `fmt`.
fn own(args: &[&str]) -> Result<Vec<String>, Error> {
    let path = env::current_exe()
        .map_err(|error| Error::outside("cannot find the program itself").because(error))?;
    let words = [path.to_string_lossy().into_owned(), "fmt".to_owned()];
    Ok(words.into_iter().chain(args.iter().map(|&arg| arg.to_owned())).collect())
}

/// A command with a limit on its memory: this program sets it and becomes the command.
fn bounded(words: &[String]) -> Result<Vec<String>, Error> {
    let mut all = own(&["--run-bounded", "--"])?;
    all.extend(words.iter().cloned());
    Ok(all)
}

/// Where a program is, as a shell would find it.
fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Sets the limit on memory that holds for this process and what it becomes.
pub(crate) fn limit_memory() {
    let limit = Rlimit { current: Some(MAX_MEMORY), maximum: Some(MAX_MEMORY) };
    // A system that knows no such limit has none; the one on time holds anyway.
    let _ = setrlimit(Resource::Data, limit);
}

/// Becomes the command `words`.
///
/// Errors: it cannot be started.
pub(crate) fn become_command(words: &[PathBuf]) -> Error {
    limit_memory();
    let Some((program, args)) = words.split_first() else {
        return Error::user("there is no command");
    };
    let error = Command::new(program).args(args).exec();
    Error::config(format!("cannot start `{}`", program.display())).because(error)
}

/// Runs one formatter for one worker.
pub(crate) struct Runner<'w> {
    way: &'w Way,
    limit: Duration,
    service: Option<Service>,
}

impl<'w> Runner<'w> {
    /// `limit` is the time for each text.
    pub(crate) fn new(way: &'w Way, limit: Duration) -> Self {
        Self { way, limit, service: None }
    }

    /// Formats the text of `tree`.
    pub(crate) fn run(&mut self, tree: &Tree) -> Result<String, Failure> {
        match self.way {
            Way::Here(options) if !takes_long(tree) => nixfmt(tree.text(), *options),
            Way::Here(options) => {
                let width = options.width.map(|width| format!("--width={width}"));
                let indent = options.indent.map(|indent| format!("--indent={indent}"));
                let args = ["--serve", "nixfmt"].into_iter();
                let args: Vec<&str> =
                    args.chain(width.as_deref()).chain(indent.as_deref()).collect();
                let words = own(&args).map_err(|error| Failure::new(error.to_string()))?;
                self.ask(&words, tree.text())
            }
            Way::Service(words) => self.ask(words, tree.text()),
            Way::Command(words) => run_command(words, tree.text(), self.limit),
        }
    }

    fn ask(&mut self, words: &[String], text: &str) -> Result<String, Failure> {
        let mut service = match self.service.take() {
            Some(service) => service,
            None => Service::start(words)?,
        };
        let answer = service.ask(text, self.limit);
        // One that did not answer is dropped, which ends it.
        if answer.is_ok() {
            self.service = Some(service);
        }
        answer.unwrap_or_else(Err)
    }
}

/// A process that answers text after text. It ends with this value.
struct Service {
    process: Process,
    input: BufWriter<ChildStdin>,
    answers: Receiver<std::io::Result<Result<String, Failure>>>,
}

impl Service {
    fn start(words: &[String]) -> Result<Self, Failure> {
        let mut process = Process::start(words, Stdio::null())?;
        let (Some(input), Some(output)) = (process.0.stdin.take(), process.0.stdout.take()) else {
            return Err(Failure::new("it has no streams"));
        };
        let (send, answers) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let answer = child::answer(&mut output);
                let is_end = answer.is_err();
                if send.send(answer).is_err() || is_end {
                    return;
                }
            }
        });
        Ok(Self { process, input: BufWriter::new(input), answers })
    }

    /// Errors: there was no answer, and there will be none.
    fn ask(&mut self, text: &str, limit: Duration) -> Result<Result<String, Failure>, Failure> {
        // One that has died says so when it is read from.
        let _ = child::ask(&mut self.input, text);
        match self.answers.recv_timeout(limit) {
            Ok(Ok(answer)) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => Err(too_long(limit)),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(self.process.post_mortem()),
        }
    }
}

fn too_long(limit: Duration) -> Failure {
    Failure::new(format!("it took more than {} s and was ended", limit.as_secs_f64()))
}

/// A process and all that it started. They end with this value.
struct Process(Child);

impl Process {
    fn start(words: &[String], errors: Stdio) -> Result<Self, Failure> {
        let (program, args) =
            words.split_first().ok_or_else(|| Failure::new("there is no command"))?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let started = command.process_group(0).spawn();
        started.map(Self).map_err(|error| Failure::new(format!("it cannot be started: {error}")))
    }

    /// What became of a process that closed its output without an answer.
    fn post_mortem(&mut self) -> Failure {
        match self.wait(Duration::from_secs(1)) {
            Some(status) => Failure::new(format!("it crashed ({status})")),
            None => Failure::new("it stopped to answer"),
        }
    }

    /// Waits for the end, `limit` at most.
    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(1)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

/// Runs a command on one text.
fn run_command(words: &[String], text: &str, limit: Duration) -> Result<String, Failure> {
    let start = Instant::now();
    let mut process = Process::start(words, Stdio::piped())?;
    let most = text.len() * 16 + MAX_OUTPUT;
    if let Some(mut input) = process.0.stdin.take() {
        let text = text.to_owned();
        // Whoever does not read all of its input is no failure for that alone.
        thread::spawn(move || input.write_all(text.as_bytes()));
    }
    let output = process.0.stdout.take().map(|stream| collect(stream, most));
    let errors = process.0.stderr.take().map(|stream| collect(stream, MAX_OUTPUT));
    let receive = |stream: Option<Receiver<Vec<u8>>>| {
        let left = limit.saturating_sub(start.elapsed());
        stream.map_or(Ok(Vec::new()), |stream| stream.recv_timeout(left))
    };
    let (Ok(output), Ok(errors)) = (receive(output), receive(errors)) else {
        return Err(too_long(limit));
    };
    let Some(status) = process.wait(limit.saturating_sub(start.elapsed())) else {
        return Err(too_long(limit));
    };
    if !status.success() {
        let errors = String::from_utf8_lossy(&errors);
        let line = errors.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        return Err(Failure::new(format!("it failed ({status}): {}", line.trim())));
    }
    if output.len() > most {
        return Err(Failure::new("it writes far more than it was given"));
    }
    let output =
        String::from_utf8(output).map_err(|_| Failure::new("what it writes is not UTF-8"))?;
    if output.trim().is_empty() && !text.trim().is_empty() {
        return Err(Failure::new("it writes nothing; it has to answer on its standard output"));
    }
    Ok(output)
}

/// Reads all of a stream, in a thread of its own, up to one byte beyond `most`.
fn collect(stream: impl Read + Send + 'static, most: usize) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before a failure is all there is.
        let _ = stream.take(most as u64 + 1).read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, text: &str, seconds: u64) -> Result<String, String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let answer = run_command(&words, text, Duration::from_secs(seconds));
        answer.map_err(|failure| failure.message)
    }

    #[test]
    fn a_command_answers_or_says_why_not() {
        assert_eq!(run("tr a b", "aca", 20).unwrap(), "bcb");
        assert_eq!(
            run("echo no >&2; exit 3", "a", 20).unwrap_err(),
            "it failed (exit status: 3): no"
        );
        let nothing = "it writes nothing; it has to answer on its standard output";
        assert_eq!(run("cat > /dev/null", "a", 20).unwrap_err(), nothing);
        assert!(run("yes", "a", 20).unwrap_err().starts_with("it failed ("));
        assert_eq!(run("printf '\\377'", "a", 20).unwrap_err(), "what it writes is not UTF-8");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let start = Instant::now();
        // The grandchild keeps the stream open.
        let error = run("sleep 60 & sleep 60", "a", 1).unwrap_err();
        assert_eq!(error, "it took more than 1 s and was ended");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn programs_are_found_as_by_a_shell() {
        assert!(find_program("sh").is_some() && find_program("/bin/sh").is_some());
        assert_eq!(find_program("no-such-program"), None);
        assert_eq!(find_program("./sh"), None);
    }
}
