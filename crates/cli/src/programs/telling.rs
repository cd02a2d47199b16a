//! What programs tell while they run, on standard error: as a line that moves on a terminal, and
//! as plain lines elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use cim_nix_builder::{Level, Progress};

use crate::terminal::{note, one_line, printable};

/// How often the line that moves is drawn.
const PACE: Duration = Duration::from_millis(50);

/// Columns that the line that moves takes at most.
const COLUMNS: usize = 79;

/// Who is told.
pub(crate) type Listener = Box<dyn Fn(&Progress)>;

/// Tells what happens.
pub(super) struct Teller {
    is_quiet: bool,
    /// Whether what builders print is shown.
    has_logs: bool,
    is_terminal: bool,
    /// Who is told instead.
    listener: Option<Listener>,
    drawn: Option<Instant>,
    /// What is being copied or fetched, so that each is told once.
    current: String,
}

impl Teller {
    pub(super) fn new(is_quiet: bool, has_logs: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let current = String::new();
        Self { is_quiet, has_logs, is_terminal, listener: None, drawn: None, current }
    }

    /// Tells somebody else.
    pub(super) fn to(listener: Listener) -> Self {
        Self { listener: Some(listener), is_terminal: false, ..Self::new(true, false) }
    }

    pub(super) fn say(&mut self, progress: &Progress) {
        if let Some(listener) = &self.listener {
            return listener(progress);
        }
        match progress {
            Progress::Message { level: Level::Error, text } => self.line(text),
            _ if self.is_quiet => {}
            Progress::Started { derivation, machine } if machine.is_empty() => {
                self.step(&format!("building {derivation}"));
            }
            Progress::Started { derivation, machine } => {
                self.step(&format!("building {derivation} on {machine}"));
            }
            Progress::Phase { derivation, phase } if self.is_terminal => {
                self.draw(&format!("{phase} of {derivation}"));
            }
            Progress::Log { derivation: None, line } => self.line(line),
            Progress::Log { line, .. } if self.has_logs => self.line(line),
            Progress::Copying { path, done, expected, .. } => {
                self.amount(&format!("copying {path}"), *done, *expected);
            }
            Progress::Downloading { url, done, expected } => {
                self.amount(&format!("downloading {url}"), *done, *expected);
            }
            Progress::Deleting { path } => self.step(&format!("removing {path}")),
            // That a build without a link is not kept is what was asked for.
            Progress::Message { level: Level::Warning, text } if !text.contains("--add-root") => {
                self.line(text);
            }
            _ => {}
        }
    }

    /// Leaves nothing behind on the terminal.
    pub(super) fn finish(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// Something that begins: where nobody watches it is a line.
    fn step(&mut self, text: &str) {
        match self.is_terminal {
            true => self.draw(text),
            false => self.line(text),
        }
    }

    /// Something that goes on for a while.
    fn amount(&mut self, text: &str, done: u64, expected: u64) {
        if self.is_terminal {
            return match expected {
                0 => self.draw(text),
                _ => self.draw(&format!("{}% {text}", done.saturating_mul(100) / expected)),
            };
        }
        if self.current != text {
            text.clone_into(&mut self.current);
            self.line(text);
        }
    }

    fn draw(&mut self, text: &str) {
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < PACE) {
            return;
        }
        let text: String = one_line(text).chars().take(COLUMNS).collect();
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
        self.drawn = Some(Instant::now());
    }

    fn line(&mut self, text: &str) {
        self.finish();
        note(printable(text));
    }
}
