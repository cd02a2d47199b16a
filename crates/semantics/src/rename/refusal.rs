//! Why a name cannot be changed.

use std::fmt;

use cim_nix_base::{Error, LineIndex, TextRange};

/// Why a name cannot be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CannotRename {
    /// Nix refuses the file.
    Broken {
        /// Where.
        range: TextRange,
        /// Why.
        message: String,
    },
    /// There is no name at this place.
    NoName(u32),
    /// The file uses the name and does not bind it.
    NotBound {
        /// The name.
        name: String,
        /// Where it is used.
        range: TextRange,
        /// What supplies it instead.
        by: &'static str,
    },
    /// It cannot be told which attribute this is: the set is not written out here.
    Unclear {
        /// The name.
        name: String,
        /// Where it stands.
        range: TextRange,
    },
    /// The text is no name.
    InvalidName(String),
    /// The language gives this name a meaning of its own.
    Reserved(String),
    /// The language speaks of the name at this place without a word: an operator, say.
    Spoken(TextRange),
    /// There is something else of that name.
    AlreadyThere {
        /// The name.
        name: String,
        /// Where.
        range: TextRange,
    },
    /// Other names beside it are computed, and may be the new one.
    Computed(TextRange),
    /// Other code may ask for the old name.
    Elsewhere {
        /// The old name.
        name: String,
        /// Where that begins, and why.
        places: Vec<(TextRange, Why)>,
    },
    /// The new name means something else where the old one is used.
    Hidden {
        /// The new name.
        name: String,
        /// Where the old one is used.
        range: TextRange,
    },
    /// The new name is used for something else, which would get another meaning.
    Hides {
        /// The new name.
        name: String,
        /// Where it is used.
        range: TextRange,
    },
    /// What was found to do would change what the file means; please report.
    Unproven(String),
}

/// Why other code may ask for a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Why {
    /// It is part of what the file gives.
    Given,
    /// The value goes where it is not followed to: into a function, a list, an operator.
    HandedOn,
    /// A `with` makes it a variable.
    With,
    /// It is asked for by a computed name.
    Computed,
    /// The function is called with a set that is not written out.
    Called,
}

impl Why {
    /// In a few words, about a place.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Given => "the file gives it, and other files may use it",
            Self::HandedOn => "the value is handed on here",
            Self::With => "`with` makes its attributes variables here",
            Self::Computed => "an attribute is asked for by a computed name here",
            Self::Called => "the function is called with a set that is not written out here",
        }
    }
}

impl CannotRename {
    /// The error for people: the message, and a hint for each place in `text`, the file called
    /// `path`.
    #[must_use]
    pub fn error(&self, path: &str, text: &str) -> Error {
        /// More places are not told one by one.
        const MOST: usize = 10;
        let mut error = match self {
            Self::Unproven(_) => Error::bug(self.to_string()),
            _ => Error::user(self.to_string()),
        };
        let index = LineIndex::new(text);
        let at = |offset: u32| {
            let place = index.position_chars(text, offset);
            format!("{path}:{}:{}", place.line + 1, place.column + 1)
        };
        let places = self.places();
        for (offset, what) in places.iter().take(MOST) {
            error = error.hint(format!("{}: {what}", at(*offset)));
        }
        if places.len() > MOST {
            error = error.hint(format!("and {} more places", places.len() - MOST));
        }
        match self.advice() {
            Some(advice) => error.hint(advice),
            None => error,
        }
    }

    /// The places that speak against it, with what stands there.
    fn places(&self) -> Vec<(u32, &'static str)> {
        match self {
            Self::NoName(offset) => vec![(*offset, "here")],
            Self::Broken { range, .. }
            | Self::NotBound { range, .. }
            | Self::Unclear { range, .. }
            | Self::Spoken(range)
            | Self::Computed(range) => vec![(range.start, "here")],
            Self::AlreadyThere { range, .. } => vec![(range.start, "it is here")],
            Self::Hidden { range, .. } => vec![(range.start, "the old name is used here")],
            Self::Hides { range, .. } => vec![(range.start, "it is used here")],
            Self::Elsewhere { places, .. } => {
                places.iter().map(|(range, why)| (range.start, why.words())).collect()
            }
            Self::InvalidName(_) | Self::Reserved(_) | Self::Unproven(_) => Vec::new(),
        }
    }

    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Broken { .. } => Some("correct the file first"),
            Self::NoName(_) => Some("`cim-nix symbols` lists names with their places"),
            Self::Hides { .. } | Self::Hidden { .. } | Self::AlreadyThere { .. } => {
                Some("take another name")
            }
            Self::Elsewhere { .. } => Some(
                "--even-if-used-elsewhere goes on: look afterwards at what asks for the old name",
            ),
            Self::Unclear { .. } => Some("point at where it is defined"),
            _ => None,
        }
    }
}

impl fmt::Display for CannotRename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { message, .. } => write!(f, "the file is broken: {message}"),
            Self::NoName(_) => f.write_str("there is no name at this place"),
            Self::NotBound { name, by, .. } => {
                write!(f, "`{name}` is not bound in this file: {by}")
            }
            Self::Unclear { name, .. } => {
                write!(f, "it cannot be told which set this attribute `{name}` belongs to")
            }
            Self::InvalidName(name) => write!(f, "{name:?} cannot be a name here"),
            Self::Reserved(name) => write!(f, "the language itself uses the name `{name}`"),
            Self::Spoken(_) => {
                f.write_str("the name is used without being written, so it cannot be changed")
            }
            Self::AlreadyThere { name, .. } => write!(f, "there is another `{name}` already"),
            Self::Computed(_) => {
                f.write_str("names beside it are computed, and one of them may be the new name")
            }
            Self::Elsewhere { name, .. } => {
                write!(f, "other code may ask for `{name}` by this name")
            }
            Self::Hidden { name, .. } => {
                write!(f, "`{name}` means something else where the old name is used")
            }
            Self::Hides { name, .. } => {
                write!(f, "`{name}` is used for something else, which would change its meaning")
            }
            Self::Unproven(what) => {
                write!(f, "the renaming would have changed what the file means: {what}")
            }
        }
    }
}

impl std::error::Error for CannotRename {}
