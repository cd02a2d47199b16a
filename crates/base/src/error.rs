//! The error type of the edge.

use std::fmt;

/// Whose turn it is to act on an error; decides exit codes and HTTP or NATS status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The request or the input was wrong.
    User,
    /// A configuration file was wrong.
    Config,
    /// Somebody else changed the thing in the meantime; trying again may help.
    Conflict,
    /// Something outside failed: disk, network, another program.
    Outside,
    /// We are wrong; please report.
    Bug,
}

/// What we tried, on which thing, what we found, and what to do next.
///
/// The message is lower case without a full stop. The cause, if any, is given by
/// [`source`](std::error::Error::source) and not repeated in the message.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), source: None }
    }

    /// Shorthand for [`ErrorKind::User`].
    #[must_use]
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// Shorthand for [`ErrorKind::Config`].
    #[must_use]
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Shorthand for [`ErrorKind::Conflict`].
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Shorthand for [`ErrorKind::Outside`].
    #[must_use]
    pub fn outside(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Outside, message)
    }

    /// Shorthand for [`ErrorKind::Bug`].
    #[must_use]
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// Adds a next step for the reader.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Who has to act.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Next steps, in the order they were added.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message with every cause behind it, joined by `: `.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_every_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::outside("cannot read `a.nix`").because(cause).hint("put it out");
        assert_eq!(error.to_string(), "cannot read `a.nix`");
        assert_eq!(error.chain(), "cannot read `a.nix`: disk on fire");
        assert_eq!(error.hints(), ["put it out"]);
        assert_eq!(error.kind(), ErrorKind::Outside);
    }
}
