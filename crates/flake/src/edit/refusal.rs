//! Why a `flake.nix` cannot be changed as was asked.

use std::fmt;

use cim_nix_base::{Error, LineIndex, TextRange};
use cim_nix_model::{InputPath, show_input_path};
use cim_nix_syntax::edit::EditError;

use super::uses::Use;

/// Why an edit cannot be made.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The file does not parse, or Nix refuses it for a reason that parsing does not show.
    Broken {
        /// Where.
        range: TextRange,
        /// What was found.
        message: String,
    },
    /// The file sets neither `inputs` nor `outputs`.
    NotAFlake,
    /// Something is written in a way that leaves open what an edit of it would mean.
    Shape {
        /// Where.
        range: TextRange,
        /// What was found.
        message: String,
    },
    /// The text cannot be the name of an input here.
    InvalidName {
        /// The text.
        name: String,
        /// Why.
        message: String,
    },
    /// The text is no reference to a source.
    InvalidUrl {
        /// The text.
        url: String,
        /// Why.
        message: String,
    },
    /// There is no such input.
    NoSuchInput(String),
    /// There is something else of that name.
    AlreadyThere {
        /// Its name.
        name: String,
        /// Where.
        range: TextRange,
    },
    /// `outputs` uses the input.
    StillUsed {
        /// The input.
        name: String,
        /// Where.
        places: Vec<Use>,
    },
    /// Whether the input is used, and how, cannot be told.
    Unknown {
        /// The input.
        name: String,
        /// Where.
        places: Vec<Use>,
    },
    /// Other inputs of the flake get their sources from the input.
    Followed {
        /// The input.
        name: String,
        /// The others, and where they say so.
        by: Vec<(InputPath, TextRange)>,
    },
    /// The name is used for something else in `outputs`, which would change its meaning.
    Hides {
        /// The name.
        name: String,
        /// Where it is used.
        range: TextRange,
    },
    /// The name means something else where the input is used.
    Hidden {
        /// The name.
        name: String,
        /// Where the input is used, or the name is bound.
        range: TextRange,
    },
    /// The lock file cannot be compared with the flake.
    Lock(String),
    /// The attribute is made where no entry can be added: in another file, or by a function.
    Elsewhere {
        /// The attribute.
        what: String,
        /// Where it is made.
        range: TextRange,
    },
    /// The output is made for every system at once, so that it has no place for a single one.
    EverySystem {
        /// The output.
        name: String,
        /// Where it is made.
        range: TextRange,
    },
    /// The output needs a system in its path.
    NoSystem(String),
    /// The text is no system.
    InvalidSystem(String),
    /// The systems are not written in a list in this file.
    SystemsElsewhere {
        /// What there is instead.
        what: String,
        /// Where that is told.
        range: TextRange,
    },
    /// There are several places for it.
    Ambiguous {
        /// What there are several of.
        what: String,
        /// What they are called, and where they are.
        places: Vec<(String, TextRange)>,
    },
    /// The value uses names that nothing supplies there.
    Undefined(Vec<String>),
    /// The input would follow itself.
    Circle(InputPath),
    /// The input would have no source but what a registry has under its name.
    NoSource {
        /// The input.
        name: String,
        /// Where it is spoken of.
        range: TextRange,
    },
    /// What was to be written cannot stand there.
    Edit(EditError),
    /// The edit would have done something else than was asked for; please report.
    Unproven(String),
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Broken(range) => {
                Self::Broken { range, message: "the code does not parse".to_owned() }
            }
            other => Self::Edit(other),
        }
    }
}

impl Refusal {
    /// The places in the file that speak against the edit.
    #[must_use]
    pub fn places(&self) -> Vec<TextRange> {
        match self {
            Self::Broken { range, .. }
            | Self::Shape { range, .. }
            | Self::AlreadyThere { range, .. }
            | Self::Hides { range, .. }
            | Self::Hidden { range, .. }
            | Self::Elsewhere { range, .. }
            | Self::EverySystem { range, .. }
            | Self::SystemsElsewhere { range, .. }
            | Self::NoSource { range, .. } => vec![*range],
            Self::StillUsed { places, .. } | Self::Unknown { places, .. } => {
                places.iter().map(|place| place.range).collect()
            }
            Self::Followed { by, .. } => by.iter().map(|(_, range)| *range).collect(),
            Self::Ambiguous { places, .. } => places.iter().map(|(_, range)| *range).collect(),
            _ => Vec::new(),
        }
    }

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
        let at = |range: TextRange| {
            let place = index.position_chars(text, range.start);
            format!("{path}:{}:{}", place.line + 1, place.column + 1)
        };
        let places = self.told_places();
        for (range, what) in places.iter().take(MOST) {
            error = error.hint(format!("{}: {what}", at(*range)));
        }
        if places.len() > MOST {
            error = error.hint(format!("and {} more places", places.len() - MOST));
        }
        match self.advice() {
            Some(advice) => error.hint(advice),
            None => error,
        }
    }

    /// The places with what stands there.
    fn told_places(&self) -> Vec<(TextRange, String)> {
        match self {
            Self::StillUsed { places, .. } | Self::Unknown { places, .. } => {
                places.iter().map(|place| (place.range, place.kind.words().to_owned())).collect()
            }
            Self::Followed { by, .. } => by
                .iter()
                .map(|(path, range)| (*range, format!("`{}` follows it", show_input_path(path))))
                .collect(),
            Self::Ambiguous { places, .. } => {
                places.iter().map(|(name, range)| (*range, format!("`{name}`"))).collect()
            }
            Self::AlreadyThere { .. } => self.with_places("it is here"),
            Self::Hides { .. } => self.with_places("it is used here"),
            Self::NoSource { .. } => self.with_places("it is told here"),
            _ => self.with_places("here"),
        }
    }

    fn with_places(&self, what: &str) -> Vec<(TextRange, String)> {
        self.places().into_iter().map(|range| (range, what.to_owned())).collect()
    }

    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Broken { .. } => Some("correct the file first"),
            Self::StillUsed { .. } => Some("remove what uses it first"),
            Self::Followed { .. } => Some("give these another source first, or remove them"),
            Self::NoSource { .. } => Some("give it a URL instead, or remove it"),
            Self::Hides { .. } | Self::Hidden { .. } => Some("take another name"),
            Self::Unknown { .. } => {
                Some("look there, and change it in a way that says what is used")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { message, .. } => write!(f, "the file is broken: {message}"),
            Self::NotAFlake => f.write_str("the file is no flake: it has no `inputs` or `outputs`"),
            Self::Shape { message, .. } => f.write_str(message),
            Self::InvalidName { name, message } => {
                write!(f, "{name:?} cannot be the name of an input: {message}")
            }
            Self::InvalidUrl { url, message } => {
                write!(f, "{url:?} is no reference to a source: {message}")
            }
            Self::NoSuchInput(name) => write!(f, "there is no input `{name}`"),
            Self::AlreadyThere { name, .. } => write!(f, "there is another `{name}` already"),
            Self::StillUsed { name, .. } => write!(f, "the input `{name}` is still used"),
            Self::Unknown { name, .. } => {
                write!(f, "it cannot be told whether the input `{name}` is used")
            }
            Self::Followed { name, .. } => {
                write!(f, "other inputs get their sources from the input `{name}`")
            }
            Self::Hides { name, .. } => {
                write!(f, "`{name}` is used for something else in `outputs`")
            }
            Self::Hidden { name, .. } => {
                write!(f, "`{name}` means something else where the input is used")
            }
            Self::Elsewhere { what, .. } => write!(
                f,
                "`{what}` is not written out as a set in this file, so nothing can be added to it"
            ),
            Self::EverySystem { name, .. } => {
                write!(f, "`{name}` is made for every system at once, so it has none of its own")
            }
            Self::NoSystem(name) => write!(f, "`{name}` needs a system behind it"),
            Self::InvalidSystem(text) => {
                write!(f, "{text:?} is no system: one is called like `x86_64-linux`")
            }
            Self::SystemsElsewhere { what, .. } => {
                write!(f, "there is no list of systems to add to: {what}")
            }
            Self::Ambiguous { what, .. } => write!(f, "there are several {what}"),
            Self::Undefined(names) => {
                write!(f, "nothing supplies `{}` there", names.join("`, `"))
            }
            Self::Lock(message) => write!(f, "the lock file cannot be used: {message}"),
            Self::Circle(path) => {
                write!(f, "the input `{}` would follow itself", show_input_path(path))
            }
            Self::NoSource { name, .. } => write!(
                f,
                "the input `{name}` would have no source but what a registry has under its name"
            ),
            Self::Edit(error) => error.fmt(f),
            Self::Unproven(what) => {
                write!(f, "the edit would have done something else than was asked for: {what}")
            }
        }
    }
}

impl std::error::Error for Refusal {}
