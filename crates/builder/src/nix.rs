//! The programs together with what all of them get.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use cim_nix_base::Error;

use crate::command::{Environment, Invocation};
use crate::outcome::Outcome;
use crate::programs::{Programs, Tool, looks_like_option};
use crate::progress::{Progress, Reader};
use crate::run::{Ended, Stop, Stream, run};
use crate::text::{LogTail, Tail, cut, plain};
use crate::watch::{Ran, Span};

/// Of how many lines a log keeps its end.
const LOG_LINES: usize = 50;

/// The most bytes of a line of output that are kept with a log.
const LOG_LINE: usize = 4096;

/// What all programs get.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The environment, and nothing else of it.
    pub environment: Environment,
    /// The folder that relative paths and flake references start from; absolute.
    pub folder: PathBuf,
    /// The store, as `--store` takes it; nothing for the one that Nix is set up for.
    pub store: Option<String>,
    /// Settings of Nix, as `--option` takes them: `("sandbox", "false")`.
    pub options: Vec<(String, String)>,
    /// How many lines of the end of a log are kept.
    pub log_lines: usize,
    /// Is told of each program that was run.
    pub watch: Option<fn(&Ran<'_>)>,
}

impl Settings {
    /// The store and the options that Nix is set up with.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, environment: Environment) -> Self {
        let folder = folder.into();
        let (store, options, log_lines, watch) = (None, Vec::new(), LOG_LINES, None);
        Self { environment, folder, store, options, log_lines, watch }
    }
}

/// Stops what is running, and gets told what happens.
pub struct Control<'c> {
    cancel: &'c AtomicBool,
    say: &'c mut dyn FnMut(Progress),
}

impl<'c> Control<'c> {
    /// Once `cancel` is set, what runs is ended. `say` is called in the caller's thread; while it
    /// takes its time, the program waits.
    pub fn new(cancel: &'c AtomicBool, say: &'c mut dyn FnMut(Progress)) -> Self {
        Self { cancel, say }
    }

    /// Whoever gets told.
    pub(crate) fn listener(&mut self) -> &mut dyn FnMut(Progress) {
        self.say
    }
}

/// The programs of Nix with the environment, store and settings that they get.
#[derive(Clone, Debug)]
pub struct Nix {
    programs: Programs,
    settings: Settings,
}

/// What came of one call.
pub(crate) struct Done {
    pub(crate) ended: Ended,
    pub(crate) output: String,
    pub(crate) reader: Reader,
    /// What belongs to no build, and what was said.
    pub(crate) log: LogTail,
}

impl Done {
    pub(crate) fn reason(&self) -> String {
        reason(&self.reader, &self.log, self.ended)
    }
}

/// The last error that was told, or else the last line.
fn reason(reader: &Reader, log: &LogTail, ended: Ended) -> String {
    let is_text = |line: &&String| !line.trim().is_empty();
    let last = reader.errors.last().or_else(|| log.lines.iter().rfind(is_text));
    match (last, ended) {
        (Some(line), _) => line.clone(),
        (None, Ended::Exited(status)) => format!("it ended with {status} and said nothing"),
        (None, Ended::Cancelled) => "it was cancelled".to_owned(),
        (None, Ended::TimedOut) => "it took too long".to_owned(),
    }
}

/// Gets each line of a program's output, and what tells progress.
type OnOutput<'o> = &'o mut dyn FnMut(&str, &mut dyn FnMut(Progress));

/// Until when a call may take.
pub(crate) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

impl Nix {
    /// The `programs` with what all of them get.
    #[must_use]
    pub fn new(programs: Programs, settings: Settings) -> Self {
        Self { programs, settings }
    }

    /// Which programs there are.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// What all programs get.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A program without arguments.
    pub(crate) fn bare(&self, tool: Tool) -> Result<Invocation, Error> {
        Ok(self.invocation(self.programs.path(tool)?.to_owned()))
    }

    pub(crate) fn invocation(&self, program: PathBuf) -> Invocation {
        let Settings { environment, folder, .. } = &self.settings;
        let (folder, environment) = (folder.clone(), environment.clone());
        Invocation { program, arguments: Vec::new(), folder, environment }
    }

    /// A program of Nix with its first arguments and what all of them get.
    pub(crate) fn tool(&self, tool: Tool, words: &[&str]) -> Result<Invocation, Error> {
        let mut invocation = self.bare(tool)?.args(words);
        if tool == Tool::Nix {
            invocation = invocation.args(["--extra-experimental-features", "nix-command flakes"]);
        }
        if let Some(store) = &self.settings.store {
            invocation = invocation.args(["--store", store]);
        }
        for (name, value) in &self.settings.options {
            invocation = invocation.args(["--option", name, value]);
        }
        Ok(invocation)
    }

    /// A path as an argument: never taken for an option, and below the folder if it is relative.
    pub(crate) fn path_argument(&self, path: &Path) -> PathBuf {
        self.settings.folder.join(path)
    }

    /// Runs a program and keeps what it printed.
    pub(crate) fn call(
        &self,
        invocation: &Invocation,
        until: Option<Instant>,
        control: &mut Control<'_>,
    ) -> Result<Done, Error> {
        let mut output = String::new();
        let mut on_output = |line: &str, _: &mut dyn FnMut(Progress)| {
            output.push_str(line);
            output.push('\n');
        };
        let (ended, reader, log) = self.lines(invocation, until, control, &mut on_output)?;
        Ok(Done { ended, output, reader, log })
    }

    /// The same; `note` sees what is told, before the caller does.
    pub(crate) fn call_with(
        &self,
        invocation: &Invocation,
        until: Option<Instant>,
        control: &mut Control<'_>,
        note: &mut dyn FnMut(&Progress),
    ) -> Result<Done, Error> {
        let Control { cancel, say } = control;
        let mut say = |progress: Progress| {
            note(&progress);
            say(progress);
        };
        self.call(invocation, until, &mut Control::new(cancel, &mut say))
    }

    /// Runs a program and gives each line of its output to `on_output`, with what tells progress.
    pub(crate) fn lines(
        &self,
        invocation: &Invocation,
        until: Option<Instant>,
        control: &mut Control<'_>,
        on_output: OnOutput<'_>,
    ) -> Result<(Ended, Reader, LogTail), Error> {
        let most = self.settings.log_lines;
        let (mut reader, mut tail) = (Reader::default(), Tail::default());
        let stop = Stop { cancel: control.cancel, deadline: until };
        let say = &mut *control.say;
        let mut listen = |progress: Progress| {
            match &progress {
                Progress::Log { derivation: None, line } => tail.push(line, most),
                Progress::Message { text, .. } => {
                    text.lines().for_each(|line| tail.push(line, most));
                }
                _ => {}
            }
            say(progress);
        };
        let mut on_line = |stream, line: &str| match stream {
            Stream::Output => on_output(line, &mut listen),
            Stream::Errors => reader.line(line, &mut listen),
        };
        let (span, invocation) = Span::begin(invocation, self.settings.watch.is_some());
        let ended = match run(&invocation, stop, &mut on_line) {
            Ok(ended) => Ok(ended),
            Err(error) => {
                self.tell(&span, &invocation, None, &error.chain());
                Err(error)
            }
        };
        let (ended, id) = ended?;
        reader.finish(&mut listen);
        let log = tail.into_log();
        self.tell(&span, &invocation, Some((ended, id)), &reason(&reader, &log, ended));
        Ok((ended, reader, log))
    }

    /// Tells whoever watches of a program that was run.
    fn tell(&self, span: &Span, invocation: &Invocation, ended: Option<(Ended, u32)>, why: &str) {
        let Some(watch) = self.settings.watch else { return };
        let ended = ended.filter(|(_, id)| *id != 0);
        watch(&span.ended(invocation, ended, why));
    }

    /// Runs a program whose output is for people: its lines are told, and the last ones kept.
    pub(crate) fn told(
        &self,
        invocation: &Invocation,
        until: Option<Instant>,
        control: &mut Control<'_>,
    ) -> Result<(Outcome, LogTail), Error> {
        let mut on_output = |line: &str, listen: &mut dyn FnMut(Progress)| {
            let line = plain(cut(line, LOG_LINE));
            listen(Progress::Log { derivation: None, line });
        };
        let (ended, reader, log) = self.lines(invocation, until, control, &mut on_output)?;
        Ok((Outcome::of(ended, || reason(&reader, &log, ended)), log))
    }

    /// Runs a program that must not fail and has nothing to tell.
    ///
    /// Errors: it failed; `what` says what it was to do.
    pub(crate) fn ask(&self, invocation: &Invocation, what: &str) -> Result<String, Error> {
        let cancel = AtomicBool::new(false);
        let mut say = |_| {};
        let done = self.call(invocation, None, &mut Control::new(&cancel, &mut say))?;
        if done.ended.is_success() {
            return Ok(done.output);
        }
        Err(Error::outside(format!("cannot {what}: {}", done.reason()))
            .hint(format!("this was run: {invocation}")))
    }
}

/// A word that must not be taken for an option.
pub(crate) fn checked(word: &str, what: &str) -> Result<(), Error> {
    if word.is_empty() {
        return Err(Error::user(format!("{what} is empty")));
    }
    if looks_like_option(OsStr::new(word)) {
        return Err(Error::user(format!(
            "{what} `{word}` starts with `-`, which Nix would take for an option"
        )));
    }
    Ok(())
}
