//! The streams that people and programs read.
//!
//! Answers whether to colour, and writes so that a reader who left (`cim-nix check | head`) is no
//! failure. What is written is left to others.

use std::borrow::Cow;
use std::env;
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};

use cim_nix_base::Error;
use clap::ValueEnum;

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

/// Standard output. A reader who closes it early is served no more; any other trouble is told at
/// the end.
pub(crate) struct Out {
    stream: BufWriter<Stdout>,
    trouble: Option<io::Error>,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self { stream: BufWriter::with_capacity(64 << 10, io::stdout()), trouble: None }
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

    /// Errors: the first trouble, unless it is that the reader left.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.flush();
        // What could not be written is dropped here, not written again by the buffer's own drop.
        let Self { stream, trouble } = self;
        let _ = stream.into_parts();
        match trouble {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Error::outside("cannot write to standard output").because(error))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a line to standard error; nobody there is no failure.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes what Nix code has to say to standard error: where Nix would, and as Nix would, so that no
/// text can steer a terminal.
pub(crate) fn say(text: &str) {
    note(filtered(text, io::stderr().is_terminal()));
}

/// `text` with tabs as blanks, without carriage returns and bells, and without what steers a
/// terminal; colours stay if `keeps_colour`.
fn filtered(text: &str, keeps_colour: bool) -> Cow<'_, str> {
    if !text.contains(['\x1b', '\t', '\r', '\x07']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    // As Nix does, columns are counted through, not for each line.
    let mut column = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '\x1b' => {
                let len = sequence(rest);
                if keeps_colour && rest[..len].starts_with("\x1b[") && rest[..len].ends_with('m') {
                    out.push_str(&rest[..len]);
                }
                len
            }
            '\t' => {
                let blanks = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
                1
            }
            '\r' | '\x07' => 1,
            c => {
                out.push(c);
                column += usize::from(!c.is_control());
                c.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    Cow::Owned(out)
}

/// How many bytes at the start of a text, which is an escape, are one sequence.
fn sequence(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize, range: std::ops::RangeInclusive<u8>| {
        from + bytes[from..].iter().take_while(|byte| range.contains(byte)).count()
    };
    let one = |from: usize, range: std::ops::RangeInclusive<u8>| {
        from + usize::from(bytes.get(from).is_some_and(|byte| range.contains(byte)))
    };
    match bytes.get(1) {
        Some(b'[') => one(run(run(2, 0x30..=0x3f), 0x20..=0x2f), 0x40..=0x7e),
        Some(b']') => {
            let end = text[2..].find(['\x1b', '\x07']).map(|at| at + 2);
            match end.map(|end| (end, bytes[end])) {
                None => text.len(),
                Some((end, 0x1b)) => one(end + 1, b'\\'..=b'\\'),
                Some((end, _)) => end + 1,
            }
        }
        _ => one(1, 0x40..=0x5f),
    }
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
    fn what_nix_code_says_cannot_steer_a_terminal() {
        let check = |text: &str, want: &str, want_coloured: &str| {
            assert_eq!(filtered(text, false), want, "{text:?}");
            assert_eq!(filtered(text, true), want_coloured, "{text:?}");
        };
        check("plain λ\nplain", "plain λ\nplain", "plain λ\nplain");
        check("trace: a\tb\r\nüx\ty", "trace: a        b\nüx     y", "trace: a        b\nüx     y");
        check("\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m");
        check("\x1b]8;;http://x\x07l\x1b]8;;\x07 \x1bM \x07bell \x1b[1;2", "l  bell ", "l  bell ");
        check("\x1b]0;t\x1b\\a\x1b[2Jb\x1bλ\x1b", "abλ", "abλ");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\x1b[31mb\u{7f}\nλ"), "a\\u{1b}[31mb\\u{7f}\nλ");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\nb\x1b"), "a b\\u{1b}");
        assert_eq!(one_line(&"λ".repeat(1000)), format!("{}…", "λ".repeat(300)));
    }
}
