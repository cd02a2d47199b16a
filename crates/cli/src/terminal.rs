//! The streams and files that people and programs read.
//!
//! Answers whether to colour, and writes so that a reader who left (`cim-nix check | head`) is no
//! failure. What is written is left to others.

use std::borrow::Cow;
use std::env;
use std::fmt::Display;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use clap::ValueEnum;
use tempfile::{Builder, NamedTempFile};

use crate::escapes;

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set; with CLICOLOR_FORCE everywhere
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl ColorWhen {
    /// Whether `stream` gets colours.
    pub(crate) fn applies_to(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => auto(|name| env::var(name).ok(), stream.is_terminal()),
        }
    }
}

/// The conventions of no-color.org and bixense.com/clicolors; NO_COLOR is the stronger.
fn auto(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") {
        return true;
    }
    is_terminal
        && variable("CLICOLOR").as_deref() != Some("0")
        && variable("TERM").as_deref() != Some("dumb")
}

/// Standard output, or a file instead. A reader who closes the stream early is served no more; any
/// other trouble is told at the end.
pub(crate) struct Out {
    stream: BufWriter<Box<dyn Write>>,
    trouble: Option<io::Error>,
    /// The file that gets its content when all is written.
    file: Option<Replaced>,
}

/// A file that is replaced as a whole.
struct Replaced {
    new: NamedTempFile,
    path: PathBuf,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self::over(Box::new(io::stdout()), None)
    }

    /// Writes to the file at `path`, which is what it was until [`finish`](Self::finish). What is no
    /// regular file, such as a pipe, is written to as it is.
    ///
    /// Errors: its folder is not there, or does not let us.
    pub(crate) fn to_file(path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::user(format!("cannot write `{}`", printable(&path.to_string_lossy())))
                .because(error)
        };
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let before = fs::metadata(&real);
        if before.as_ref().is_ok_and(|before| !before.is_file()) {
            let file = OpenOptions::new().write(true).open(&real).map_err(failed)?;
            return Ok(Self::over(Box::new(file), None));
        }
        let folder = match real.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            let folder = printable(&folder.to_string_lossy()).into_owned();
            return Err(failed(io::Error::other(format!("there is no folder `{folder}`"))));
        }
        // What the file was allowed before, or whatever the process gives to new files.
        let mode = before.map_or(Permissions::from_mode(0o666), |before| before.permissions());
        let new = Builder::new().prefix(".cim-nix-").permissions(mode).tempfile_in(folder);
        // The name of the temporary file is nobody's business.
        let new = new.map_err(|error| failed(error.kind().into()))?;
        let stream = new.reopen().map_err(failed)?;
        Ok(Self::over(Box::new(stream), Some(Replaced { new, path: real })))
    }

    fn over(stream: Box<dyn Write>, file: Option<Replaced>) -> Self {
        Self { stream: BufWriter::with_capacity(64 << 10, stream), trouble: None, file }
    }

    /// Writes `text`.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes bytes that need not be text.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if self.trouble.is_none() {
            self.trouble = self.stream.write_all(bytes).err();
        }
    }

    /// Writes `text` and a line feed.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.text(&format!("{text}\n"));
    }

    /// Hands over what was written so far.
    pub(crate) fn flush(&mut self) {
        if self.trouble.is_none() {
            self.trouble = self.stream.flush().err();
        }
    }

    /// Whether nothing more can be written.
    pub(crate) fn is_closed(&self) -> bool {
        self.trouble.is_some()
    }

    /// Errors: the first trouble, unless it is that the reader left. A file is then what it was.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.flush();
        // What could not be written is dropped here, not written again by the buffer's own drop.
        let Self { stream, trouble, file } = self;
        let _ = stream.into_parts();
        match (trouble, file) {
            (None, Some(Replaced { new, path })) => {
                let name = printable(&path.to_string_lossy()).into_owned();
                new.persist(&path).map(drop).map_err(|error| {
                    Error::user(format!("cannot write `{name}`")).because(error.error)
                })
            }
            (Some(error), file) if error.kind() != ErrorKind::BrokenPipe || file.is_some() => {
                let place = file.map(|file| format!("`{}`", file.path.display()));
                let place = place.unwrap_or_else(|| "standard output".to_owned());
                Err(Error::outside(format!("cannot write to {place}")).because(error))
            }
            _ => Ok(()),
        }
    }
}

/// How many columns standard output has, if it is a terminal. COLUMNS is the stronger.
pub(crate) fn width() -> Option<usize> {
    let stream = io::stdout();
    if !stream.is_terminal() {
        return None;
    }
    let said = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    #[cfg(unix)]
    let said = said.or_else(|| {
        let size = rustix::termios::tcgetwinsize(&stream).ok()?;
        Some(usize::from(size.ws_col))
    });
    Some(said.filter(|&columns| columns > 0).unwrap_or(80))
}

/// Writes a line to standard error; nobody there is no failure.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes what Nix code has to say to standard error: where Nix would, and as Nix would, so that no
/// text can steer a terminal.
pub(crate) fn say(text: &str) {
    note(escapes::filtered(text, io::stderr().is_terminal()));
}

/// Reports an error with its hints.
pub(crate) fn report(error: &Error, color: ColorWhen) {
    let (red, bold, plain) = match color.applies_to(&io::stderr()) {
        true => ("\x1b[1m\x1b[91m", "\x1b[1m", "\x1b[0m"),
        false => ("", "", ""),
    };
    note(format_args!("{red}error{plain}{bold}:{plain} {}", printable(&error.chain())));
    for hint in error.hints() {
        note(format_args!("  {bold}hint:{plain} {}", printable(hint)));
    }
}

/// A unified diff, as it is or with colours.
pub(crate) fn colored_diff(diff: &str, color: bool) -> String {
    if !color {
        return diff.to_owned();
    }
    let mut out = String::with_capacity(diff.len() * 2);
    for line in diff.split_inclusive('\n') {
        let (body, end) = match line.strip_suffix('\n') {
            Some(body) => (body, "\n"),
            None => (line, ""),
        };
        let style = match line.as_bytes() {
            [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => "\x1b[1m",
            [b'-', ..] => "\x1b[31m",
            [b'+', ..] => "\x1b[32m",
            [b'@', ..] => "\x1b[36m",
            _ => "",
        };
        out.push_str(style);
        out.push_str(body);
        out.push_str(if style.is_empty() { "" } else { "\x1b[0m" });
        out.push_str(end);
    }
    out
}

/// `text` on one line that somebody may still want to read: printable and cut where it gets long.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = printable(text).replace('\n', " ");
    if let Some((end, _)) = line.char_indices().nth(MAX_LINE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The longest message that is shown whole, in characters.
const MAX_LINE: usize = 300;

/// `text` with control characters, which could steer a terminal, as escapes. Line feeds stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c == '\n' || !c.is_control();
    if text.chars().all(is_fine) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_fine(c) {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], is_terminal: bool, want: bool) {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        let found = auto(|name| find(name).map(|(_, value)| (*value).to_owned()), is_terminal);
        assert_eq!(found, want, "{variables:?}, terminal: {is_terminal}");
    }

    #[test]
    fn colour_follows_the_conventions() {
        check(&[], true, true);
        check(&[], false, false);
        check(&[("NO_COLOR", "1")], true, false);
        check(&[("NO_COLOR", "")], true, true);
        check(&[("CLICOLOR_FORCE", "1")], false, true);
        check(&[("CLICOLOR_FORCE", "0")], false, false);
        check(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false);
        check(&[("CLICOLOR", "0")], true, false);
        check(&[("TERM", "dumb")], true, false);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\x1b[31mb\u{7f}\nλ"), "a\\u{1b}[31mb\\u{7f}\nλ");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\nb\x1b"), "a b\\u{1b}");
        assert_eq!(one_line(&"λ".repeat(1000)), format!("{}…", "λ".repeat(300)));
    }
}
