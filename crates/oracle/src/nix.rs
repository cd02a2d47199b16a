//! Asks real Nix whether it accepts a program.
//!
//! A process start costs far more than parsing a small file, so many files go to one process and
//! the rest of a batch goes to a new one after each refusal. A refusal is always taken from a
//! process that saw that one file only: which of several faults Nix reports depends on the names
//! that the process met before.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cim_nix_base::Error;

/// Line and column, both from 1; the column counts bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// From 1; `\n`, `\r\n` and a lone `\r` end a line.
    pub line: u32,
    /// From 1, in bytes.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// The place of byte `offset` of `text`, by Nix's rules for lines.
    #[must_use]
    pub fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let ends_line = |at: usize| match before[at] {
            b'\n' => true,
            b'\r' => text.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let starts: Vec<usize> = (0..before.len()).filter(|&at| ends_line(at)).collect();
        let line_start = starts.last().map_or(0, |end| end + 1);
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: as_u32(starts.len() + 1), column: as_u32(before.len() - line_start + 1) }
    }

    /// The byte of `text` at this place; the end where there is no such place.
    #[must_use]
    pub fn offset(self, text: &[u8]) -> usize {
        let mut line = 1;
        let mut start = 0;
        while line < self.line && start < text.len() {
            let is_pair = text[start] == b'\r' && text.get(start + 1) == Some(&b'\n');
            line += u32::from(text[start] == b'\n' || (text[start] == b'\r' && !is_pair));
            start += 1;
        }
        (start + self.column.saturating_sub(1) as usize).min(text.len())
    }

    /// Reads `3:14`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (line, column) = text.split_once(':')?;
        Some(Self { line: line.parse().ok()?, column: column.parse().ok()? })
    }
}

/// What a judge says of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Accepted: it parses and every name is bound.
    Ok,
    /// Refused.
    Error {
        /// The reason on one line, without the file's name.
        message: String,
        /// Where; a few errors have no place.
        place: Option<Place>,
    },
}

impl Verdict {
    /// Whether the program is accepted.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }

    /// What kind of fault it is.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Ok => None,
            Self::Error { message, .. } => Some(Fault::of(message)),
        }
    }

    /// Where the fault is.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Ok => None,
            Self::Error { place, .. } => *place,
        }
    }

    /// The variable of an "undefined variable" fault.
    #[must_use]
    pub fn undefined(&self) -> Option<&str> {
        match self {
            Self::Error { message, .. } => {
                message.strip_prefix("undefined variable '")?.strip_suffix('\'')
            }
            Self::Ok => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Error { message, place: Some(place) } => write!(f, "{place}: {message}"),
            Self::Error { message, place: None } => f.write_str(message),
        }
    }
}

/// The kinds of faults that Nix finds before it evaluates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// The grammar does not allow it.
    Syntax,
    /// A token is malformed: a number out of range, a path that ends in a slash, a NUL byte.
    Token,
    /// An attribute is defined twice.
    DuplicateAttr,
    /// A function argument is named twice.
    DuplicateFormal,
    /// A computed name where only a written one is allowed.
    Dynamic,
    /// A variable that nothing binds.
    Undefined,
    /// Anything else, such as a stack overflow.
    Other,
}

impl Fault {
    /// Reads the kind from one of Nix's messages.
    #[must_use]
    pub fn of(message: &str) -> Self {
        const WORDS: [(&str, Fault); 8] = [
            ("syntax error", Fault::Syntax),
            ("undefined variable", Fault::Undefined),
            ("duplicate formal", Fault::DuplicateFormal),
            ("dynamic attributes not allowed", Fault::Dynamic),
            ("invalid integer", Fault::Token),
            ("invalid float", Fault::Token),
            ("path has a trailing slash", Fault::Token),
            ("input string", Fault::Token),
        ];
        if message.starts_with("attribute '") && message.contains("already defined") {
            return Self::DuplicateAttr;
        }
        WORDS.iter().find(|(word, _)| message.starts_with(word)).map_or(Self::Other, |word| word.1)
    }

    /// A short lower-case word for tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Token => "token",
            Self::DuplicateAttr => "duplicate",
            Self::DuplicateFormal => "formal",
            Self::Dynamic => "dynamic",
            Self::Undefined => "undefined",
            Self::Other => "other",
        }
    }
}

/// A real Nix.
#[derive(Clone, Debug)]
pub struct Nix {
    command: PathBuf,
    jobs: usize,
}

/// How many files one process is given.
const BATCH: usize = 64;

impl Nix {
    /// Where home paths start.
    pub const HOME: &str = "/home/oracle";

    /// The Nix whose `nix-instantiate` is `command`; runs one process at a time.
    #[must_use]
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self { command: command.into(), jobs: 1 }
    }

    /// Runs up to `jobs` processes at a time.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// What it says of its version, such as `nix-instantiate (Nix) 2.34.8`.
    ///
    /// Errors: it cannot be started, or answers nothing.
    pub fn version(&self) -> Result<String, Error> {
        let output = self.base().arg("--version").output().map_err(|e| self.unstartable(e))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if said.is_empty() {
            let command = self.command.display();
            return Err(Error::outside(format!("`{command} --version` says nothing")));
        }
        Ok(said)
    }

    /// Judges one file.
    ///
    /// Errors: Nix cannot be started.
    pub fn judge_file(&self, path: &Path) -> Result<Verdict, Error> {
        let mut command = self.parse([path]);
        let output = command.stdout(Stdio::null()).output().map_err(|e| self.unstartable(e))?;
        Ok(verdict(&output, path))
    }

    /// The trees of files that it accepts, as Nix prints them: one line for each.
    ///
    /// Shape: `None` for all when it refuses one of them.
    /// Errors: Nix cannot be started.
    pub fn print_files(&self, paths: &[PathBuf]) -> Result<Option<Vec<String>>, Error> {
        let output = self.parse(paths).output().map_err(|e| self.unstartable(e))?;
        let lines: Vec<String> =
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        Ok((output.status.success() && lines.len() == paths.len()).then_some(lines))
    }

    /// Judges many files, in their order.
    ///
    /// Errors: Nix cannot be started.
    pub fn judge_files(&self, paths: &[PathBuf]) -> Result<Vec<Verdict>, Error> {
        let batches: Vec<&[PathBuf]> = paths.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(batches.len()));
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.min(batches.len()) {
                scope.spawn(|| {
                    while let Some((idx, batch)) = take(&batches, &next) {
                        let verdicts = self.judge_batch(batch);
                        let failed = verdicts.is_err();
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((idx, verdicts));
                        if failed {
                            break;
                        }
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(idx, _)| *idx);
        let mut all = Vec::with_capacity(paths.len());
        for (_, verdicts) in done {
            all.extend(verdicts?);
        }
        Ok(all)
    }

    /// Judges many texts, in their order. They are written to a folder that is removed afterwards.
    ///
    /// Errors: Nix cannot be started, or the folder cannot be written.
    pub fn judge_texts<T: AsRef<[u8]>>(&self, texts: &[T]) -> Result<Vec<Verdict>, Error> {
        let folder = tempfile::Builder::new().prefix("oracle-").tempdir().map_err(unwritable)?;
        let mut paths = Vec::with_capacity(texts.len());
        for (idx, text) in texts.iter().enumerate() {
            let path = folder.path().join(format!("{idx}.nix"));
            fs::write(&path, text.as_ref()).map_err(unwritable)?;
            paths.push(path);
        }
        self.judge_files(&paths)
    }

    /// Judges one text.
    ///
    /// Errors: those of [`judge_texts`](Self::judge_texts).
    pub fn judge_text(&self, text: impl AsRef<[u8]>) -> Result<Verdict, Error> {
        let verdict = self.judge_texts(&[text])?.pop();
        verdict.ok_or_else(|| Error::bug("one text has no verdict"))
    }

    /// Gives the whole batch to one process; after a refusal the rest goes to the next one.
    fn judge_batch(&self, batch: &[PathBuf]) -> Result<Vec<Verdict>, Error> {
        let mut verdicts = Vec::with_capacity(batch.len());
        while verdicts.len() < batch.len() {
            let rest = &batch[verdicts.len()..];
            let accepted = self.accepted_before_refusal(rest)?;
            let Some(suspect) = rest.get(accepted) else {
                verdicts.resize(batch.len(), Verdict::Ok);
                break;
            };
            match self.judge_file(suspect)? {
                // It was not this file after all (the process died in a way that lost output).
                Verdict::Ok => {
                    for path in rest {
                        verdicts.push(self.judge_file(path)?);
                    }
                }
                refusal => {
                    verdicts.resize(verdicts.len() + accepted, Verdict::Ok);
                    verdicts.push(refusal);
                }
            }
        }
        Ok(verdicts)
    }

    /// How many files a process accepts before it refuses one; it prints one line for each.
    fn accepted_before_refusal(&self, paths: &[PathBuf]) -> Result<usize, Error> {
        let mut command = self.parse(paths);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| self.unstartable(e))?;
        let lines = match child.stdout.take() {
            Some(out) => count_lines(BufReader::new(out)).map_err(|e| self.unstartable(e))?,
            None => 0,
        };
        let status = child.wait().map_err(|e| self.unstartable(e))?;
        Ok(if status.success() { paths.len() } else { lines.min(paths.len() - 1) })
    }

    fn parse<P: AsRef<OsStr>>(&self, paths: impl IntoIterator<Item = P>) -> Command {
        let mut command = self.base();
        command.arg("--parse").args(paths);
        command
    }

    fn base(&self) -> Command {
        let mut command = Command::new(&self.command);
        command
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_CONFIG", "extra-experimental-features = nix-command flakes pipe-operators")
            .env("NO_COLOR", "1")
            .env("HOME", Self::HOME)
            .stdin(Stdio::null());
        command
    }

    fn unstartable(&self, cause: std::io::Error) -> Error {
        Error::outside(format!("cannot run `{}`", self.command.display()))
            .hint("`cargo xtask oracle` puts a current Nix beside the build output")
            .because(cause)
    }
}

fn unwritable(cause: std::io::Error) -> Error {
    Error::outside("cannot write the texts for Nix to a temporary folder").because(cause)
}

fn take<'b>(batches: &[&'b [PathBuf]], next: &AtomicUsize) -> Option<(usize, &'b [PathBuf])> {
    let idx = next.fetch_add(1, Ordering::Relaxed);
    batches.get(idx).map(|batch| (idx, *batch))
}

fn count_lines(mut from: impl Read) -> std::io::Result<usize> {
    let (mut buffer, mut n_lines) = (vec![0; 1 << 16], 0);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(n_lines),
            n => n_lines += buffer[..n].iter().filter(|&&byte| byte == b'\n').count(),
        }
    }
}

fn verdict(output: &Output, path: &Path) -> Verdict {
    if output.status.success() {
        return Verdict::Ok;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    read_refusal(&said, &path.to_string_lossy())
        .unwrap_or_else(|| Verdict::Error { message: format!("{}", output.status), place: None })
}

/// Reads what Nix prints on a refusal of the file at `path`: a message, maybe on several lines,
/// then `at FILE:LINE:COLUMN:` and an excerpt. Warnings may stand before it.
fn read_refusal(said: &str, path: &str) -> Option<Verdict> {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("error:"));
    let mut message = lines.next()?.strip_prefix("error:")?.trim().to_owned();
    let mut place = None;
    for line in lines.map(str::trim) {
        if let Some(at) = line.strip_prefix("at ") {
            let at = at.trim_end_matches(':');
            let digits = at.rmatch_indices(':').nth(1).map_or(at, |(idx, _)| &at[idx + 1..]);
            place = Place::read(digits);
            break;
        }
        if !line.is_empty() {
            message.push_str(if message.is_empty() { "" } else { " " });
            message.push_str(line);
        }
    }
    let message = message.replace(&format!("{path}:"), "");
    Some(Verdict::Error { message, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(said: &str) -> Verdict {
        read_refusal(said, "/t/0.nix").unwrap()
    }

    #[test]
    fn reads_a_refusal_behind_a_warning() {
        let said = "warning: at /t/0.nix:9:9: careful\n\
                    error: undefined variable 'x'\n       at /t/0.nix:3:14:\n            2| x\n";
        let place = Some(Place { line: 3, column: 14 });
        let message = "undefined variable 'x'".to_owned();
        let verdict = refusal(said);
        assert_eq!(verdict, Verdict::Error { message, place });
        assert_eq!(verdict.undefined(), Some("x"));
        assert_eq!(verdict.fault(), Some(Fault::Undefined));
    }

    #[test]
    fn cuts_the_file_name_out_of_a_message() {
        let said =
            "error: attribute 'a' already defined at /t/0.nix:1:3\n       at /t/0.nix:2:1:\n";
        let verdict = refusal(said);
        assert_eq!(verdict.to_string(), "2:1: attribute 'a' already defined at 1:3");
        assert_eq!(verdict.fault(), Some(Fault::DuplicateAttr));
    }

    #[test]
    fn joins_a_message_on_several_lines() {
        let verdict = refusal("error:\n       … while x\n       error: y\n");
        assert_eq!(verdict.to_string(), "… while x error: y");
        assert_eq!(verdict.place(), None);
    }

    #[test]
    fn lines_end_at_every_kind_of_line_break() {
        let text = b"a\nb\r\nc\rd";
        let places: Vec<String> = [0, 2, 5, 7].map(|at| Place::of(text, at).to_string()).into();
        assert_eq!(places, ["1:1", "2:1", "3:1", "4:1"]);
        assert_eq!(Place::of("é x".as_bytes(), 3).to_string(), "1:4");
        assert!((0..text.len()).all(|at| Place::of(text, at).offset(text) == at));
    }
}
