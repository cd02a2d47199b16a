//! What is known of an option, as plain data.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// An option.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OptionDoc {
    /// The whole name, with quotes where a part needs them: `services.nginx.enable`.
    pub name: String,
    /// The parts of the name. `<name>` and `*` stand for what the user chooses.
    pub loc: Vec<String>,
    /// The type in words.
    pub type_: Option<String>,
    /// The value where nobody sets one.
    pub default: Option<Text>,
    /// A value that makes sense.
    pub example: Option<Text>,
    /// What it is for.
    pub description: Option<Text>,
    /// The files that declare it.
    pub declarations: Vec<String>,
    /// Whether modules may only read it.
    pub read_only: bool,
    /// Whether it is for the modules alone.
    pub internal: bool,
    /// Whether it belongs in documentation.
    pub visible: bool,
    /// Packages that have to do with it.
    pub related_packages: Option<Value>,
    /// What is set, if that was asked for.
    pub current: Option<Current>,
    /// Parts that failed to evaluate.
    pub problems: Vec<Problem>,
}

/// A text of an option.
#[derive(Clone, PartialEq, Debug)]
pub enum Text {
    /// Just a text: Markdown, for descriptions.
    Plain(String),
    /// A text and what it is: `literalExpression` for Nix code, `literalMD` and `mdDoc` for
    /// Markdown.
    Marked {
        /// What it is.
        kind: String,
        /// The text.
        text: String,
    },
    /// Whatever else somebody has written.
    Other(Value),
}

impl Text {
    /// Nix code.
    pub(crate) fn code(text: String) -> Self {
        Self::Marked { kind: "literalExpression".to_owned(), text }
    }

    /// The text itself.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) | Self::Marked { text, .. } => Cow::Borrowed(text),
            Self::Other(value) => match value.get("text").and_then(Value::as_str) {
                Some(text) => Cow::Borrowed(text),
                None => Cow::Owned(value.to_string()),
            },
        }
    }

    /// Whether it is Nix code.
    #[must_use]
    pub fn is_code(&self) -> bool {
        let kind = match self {
            Self::Plain(_) => return false,
            Self::Marked { kind, .. } => Some(kind.as_str()),
            Self::Other(value) => value.get("_type").and_then(Value::as_str),
        };
        matches!(kind, Some("literalExpression" | "literalExample"))
    }

    /// As `lib.optionAttrSetToDocList` has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Plain(text) => Value::from(text.as_str()),
            Self::Marked { kind, text } => serde_json::json!({ "_type": kind, "text": text }),
            Self::Other(value) => value.clone(),
        }
    }
}

/// What is set.
#[derive(Clone, PartialEq, Debug)]
pub struct Current {
    /// The name of what is set: that of the option, with what the user chose in place of `<name>`.
    pub name: String,
    /// The value as Nix code, if it can be computed.
    pub value: Option<String>,
    /// Where it is set.
    pub definitions: Vec<Definition>,
}

/// A place that sets an option.
#[derive(Clone, PartialEq, Debug)]
pub struct Definition {
    /// The file.
    pub file: String,
    /// What it says, as Nix code, if it can be computed.
    pub value: Option<String>,
}

/// A part of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "they are the fields of `OptionDoc`")]
pub enum Part {
    /// The option as such: nothing is known but its place in the tree.
    Option,
    Type,
    Default,
    Example,
    Description,
    Declarations,
    RelatedPackages,
    /// `readOnly`, `internal` or `visible`.
    Flags,
    /// The options inside of it.
    SubOptions,
    Value,
    Definitions,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "option",
            Self::Type => "type",
            Self::Default => "default",
            Self::Example => "example",
            Self::Description => "description",
            Self::Declarations => "declarations",
            Self::RelatedPackages => "relatedPackages",
            Self::Flags => "flags",
            Self::SubOptions => "subOptions",
            Self::Value => "value",
            Self::Definitions => "definitions",
        })
    }
}

/// A part that failed to evaluate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What of the option.
    pub part: Part,
    /// What the evaluator says.
    pub message: String,
}

impl OptionDoc {
    /// Why a part is not there, if it failed to evaluate.
    #[must_use]
    pub fn problem(&self, part: Part) -> Option<&str> {
        let found = self.problems.iter().find(|problem| problem.part == part);
        found.map(|problem| problem.message.as_str())
    }
}
