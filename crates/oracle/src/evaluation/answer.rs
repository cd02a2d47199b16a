//! What an evaluator says of an expression.

use std::fmt;

/// The answer to one expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What it is worth.
    pub outcome: Outcome,
    /// What was said on the way: traces and warnings, in their order.
    pub notes: String,
}

/// What an expression is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Its value, all of it, in Nix's notation.
    Value(String),
    /// Why it has none.
    Failure(Failure),
    /// The evaluator has broken down or given up.
    Lost(String),
}

/// Why an evaluation failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The last of the errors that were printed, without `error: `; its lines, joined by `\n`.
    pub message: String,
    /// `FILE:LINE:COLUMN` of it.
    pub place: Option<String>,
    /// `Did you mean …`.
    pub hint: Option<String>,
}

impl Failure {
    /// Reads the error that a report of Nix ends with.
    #[must_use]
    pub fn read(report: &str) -> Option<Self> {
        const INDENT: &str = "       ";
        let lines: Vec<&str> = report.lines().collect();
        let start = lines.iter().rposition(|line| {
            line.starts_with("error: ") || line.strip_prefix(INDENT).is_some_and(is_error)
        })?;
        let first = lines[start].trim_start().strip_prefix("error:")?;
        let mut failure = Self { message: first.trim().to_owned(), place: None, hint: None };
        for line in &lines[start + 1..] {
            let line = line.strip_prefix(INDENT).unwrap_or(line.trim());
            // What the command says to whoever used it wrongly.
            if line.starts_with("Try 'nix") {
                continue;
            }
            if let Some(hint) = line.strip_prefix("Did you mean ") {
                failure.hint = Some(hint.to_owned());
            } else if failure.place.is_some() {
                continue;
            } else if let Some(place) = place(line) {
                failure.place = Some(place.to_owned());
            } else {
                failure.message.push('\n');
                failure.message.push_str(line);
            }
        }
        failure.message.truncate(failure.message.trim_end().len());
        Some(failure)
    }

    /// The first line of the message.
    #[must_use]
    pub fn first_line(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

fn is_error(line: &str) -> bool {
    line.starts_with("error:")
}

fn place(line: &str) -> Option<&str> {
    let place = line.strip_prefix("at ")?.strip_suffix(':')?;
    let (rest, column) = place.rsplit_once(':')?;
    let (_, line) = rest.rsplit_once(':')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(line) && is_number(column)).then_some(place)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Value(text) => f.write_str(text)?,
            Outcome::Failure(Failure { message, place, hint }) => {
                write!(f, "error: {message}")?;
                if let Some(place) = place {
                    write!(f, " at {place}")?;
                }
                if let Some(hint) = hint {
                    write!(f, " (did you mean {hint})")?;
                }
            }
            Outcome::Lost(why) => write!(f, "lost: {why}")?,
        }
        if !self.notes.is_empty() {
            write!(f, "  said: {:?}", self.notes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_counts() {
        let report = "error:\n       … while calling the 'trace' builtin\n         at «string»:1:1:\n            1| x\n             | ^\n\n       error: attribute 'nam' missing\n       at /a.nix:1:14:\n            1| x\n             | ^\n       Did you mean name?";
        let want = Failure {
            message: "attribute 'nam' missing".to_owned(),
            place: Some("/a.nix:1:14".to_owned()),
            hint: Some("name?".to_owned()),
        };
        assert_eq!(Failure::read(report), Some(want));
        let short = Failure::read("error: undefined variable 'x'\n       at /a.nix:1:1:").unwrap();
        assert_eq!(short.message, "undefined variable 'x'");
        assert_eq!(short.place.as_deref(), Some("/a.nix:1:1"));
        assert_eq!(Failure::read("trace: x"), None);
    }
}
