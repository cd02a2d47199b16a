//! What the worker is asked, and what it answers.
//!
//! A request is one line of JSON on standard input, which stays open: when it closes, the worker
//! ends what it does. Answers are lines of JSON on standard output: any number of
//! [`Progress`](Line::Progress) and [`Span`](Line::Span), then one [`Result`](Line::Result) or
//! [`Error`](Line::Error).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use cim_domain_nix::{Command, Evidence, LockChange, State};
use cim_nix_base::{ChangeSet, Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the protocol; a worker takes no other.
pub const VERSION: u32 = 1;

/// The longest line of a request.
pub const REQUEST_LIMIT: usize = 64 << 20;

/// How long what runs may take to end after it was asked to, before it is killed.
pub const GRACE_MILLIS: u64 = 8_000;

/// One request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// For whom, and within which bounds.
    pub setup: Setup,
    /// What to do.
    pub task: Task,
}

/// For whom something is done, and within which bounds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The tenant's folder, absolute and without symbolic links. Nothing else is read, but for the
    /// store, what was fetched, and `readable`.
    pub root: PathBuf,
    /// Folders beside it that code may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readable: Vec<PathBuf>,
    /// Where programs keep their state: the trails of effects, settings of Git and the like.
    pub state_home: PathBuf,
    /// Where fetched sources lie. Tenants must not share it.
    pub cache_home: PathBuf,
    /// How much of the machine may be used.
    pub bounds: Bounds,
    /// Where sources may come from.
    pub sources: Sources,
    /// How Nix is run.
    #[serde(default)]
    pub nix: NixSetup,
    /// The span that it belongs to; programs get it as `TRACEPARENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How much of the machine one request may use.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Milliseconds until it has to be over.
    pub millis: u64,
    /// Bytes of memory for what this program does itself: evaluation, checks, formatting.
    pub memory: u64,
    /// Bytes of memory for the programs of Nix and all they start; no bound for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_memory: Option<u64>,
    /// Bytes of the whole answer.
    pub answer: u64,
}

/// Where sources may come from.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Whether the network may be used.
    pub network: bool,
    /// The hosts that may be asked, `*.example.org` for all below one; all for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The kinds of references that may be used, such as `github` or `path`; all for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
}

/// How Nix is run.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NixSetup {
    /// Whether its programs may be run at all.
    pub is_allowed: bool,
    /// The store, as `--store` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Settings of nix.conf.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
    /// Variables whose names begin with `NIX_`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The folders in which programs are looked for; those of the server's `PATH` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What to do.
///
/// It is written as one key with its fields: what is tagged inside loses maps by number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Compute a lock file; the answer is [`Locked`].
    Lock {
        /// The flake's folder, absolute.
        folder: PathBuf,
        /// What `flake.nix` says, or is to say.
        flake_nix: String,
        /// The lock file so far.
        old_lock: Option<String>,
        /// The inputs that move; all for `Some` of none.
        updates: Option<Vec<String>>,
    },
    /// Read a template; the answer is a [`ChangeSet`].
    Template {
        /// The folder of the new flake, relative to the root.
        folder: PathBuf,
        /// The template; the one that is built in for none.
        template: Option<String>,
        /// What the new flake says of itself.
        description: String,
    },
    /// List the Nix files of the project, relative to the root.
    NixFiles {},
    /// Tell Git of files that were made, where they lie in a repository: what Git does not know is
    /// no part of a flake. The answer is nothing.
    Announce {
        /// The files, relative to the root.
        files: Vec<PathBuf>,
    },
    /// Find out what a command about code comes to; the answer is [`Worked`].
    Work {
        /// The command.
        command: CommandText,
    },
    /// What is the case before an effect; any JSON.
    Before {
        /// The command.
        command: CommandText,
        /// The state that it meets.
        state: State,
    },
    /// What an effect would run; a list of command lines.
    Plan {
        /// The command.
        command: CommandText,
        /// The state that it meets.
        state: State,
        /// The answer to [`Before`](Self::Before).
        before: Value,
    },
    /// Run an effect; the answer is [`Evidence`].
    Run {
        /// The command.
        command: CommandText,
        /// The state that it meets.
        state: State,
        /// The answer to [`Before`](Self::Before).
        before: Value,
    },
    /// What became of an interrupted effect; [`Evidence`] or nothing.
    Settle {
        /// The command.
        command: CommandText,
        /// The answer to [`Before`](Self::Before).
        before: Value,
    },
    /// The generation that a profile leads to, or nothing.
    Generation {
        /// The profile.
        profile: String,
    },
}

impl Task {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lock { .. } => "lock",
            Self::Template { .. } => "template",
            Self::NixFiles {} => "nix_files",
            Self::Announce { .. } => "announce",
            Self::Work { .. } => "work",
            Self::Before { .. } => "before",
            Self::Plan { .. } => "plan",
            Self::Run { .. } => "run",
            Self::Settle { .. } => "settle",
            Self::Generation { .. } => "generation",
        }
    }

    /// Whether it is about the programs of Nix.
    #[must_use]
    pub fn runs_programs(&self) -> bool {
        let command = match self {
            Self::Before { command, .. }
            | Self::Plan { command, .. }
            | Self::Run { command, .. }
            | Self::Settle { command, .. } => command,
            _ => return false,
        };
        command.command_type != "EvaluateExpression"
    }
}

/// A command of the domain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandText {
    /// Its type, such as `BuildPackage`.
    pub command_type: String,
    /// Its body.
    pub body: Value,
}

impl CommandText {
    /// Errors: it holds a number that JSON cannot write.
    pub fn new(command: &Command) -> Result<Self, Error> {
        let body = command.to_json().and_then(|text| serde_json::from_str(&text));
        let body = body
            .map_err(|error| Error::user("the command cannot be written as JSON").because(error))?;
        Ok(Self { command_type: command.command_type().to_owned(), body })
    }

    /// Errors: its type is not known, or its body does not have its shape.
    pub fn read(&self) -> Result<Command, Error> {
        Command::read(&self.command_type, &self.body.to_string())
            .map_err(|problem| Error::user(problem.to_string()))
    }
}

/// A lock file that was computed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Locked {
    /// Its text; none if it is as before, or if none is needed.
    pub text: Option<String>,
    /// How inputs moved.
    pub changes: Vec<LockChange>,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

/// What a command about code comes to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Worked {
    /// The changes to files, relative to the root.
    pub set: ChangeSet,
    /// What was found out.
    pub evidence: Evidence,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// One line of an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// Something goes on.
    Progress {
        /// What: an object.
        progress: Value,
    },
    /// A program was run, or others were asked, for whoever collects traces. Told only where a trace
    /// is kept.
    Span {
        /// Which, and how it ended.
        span: WorkSpan,
    },
    /// It is done.
    Result {
        /// The answer.
        result: Value,
    },
    /// It is not.
    Error {
        /// Why.
        error: Failure,
    },
}

/// A program that a worker has run, or something that it has asked others for, as a span of a trace.
/// Its parent is the worker's own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkSpan {
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    /// The name of the program, and what it was to do: `nix-store --realise`. Of a request its
    /// method.
    pub name: String,
    /// When it began, in microseconds since 1970.
    pub began_micros: i64,
    /// How many microseconds it took.
    pub took_micros: u64,
    /// What it was.
    #[serde(flatten)]
    pub of: SpanOf,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<SpanError>,
}

/// What a span is of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SpanOf {
    /// A program.
    Program {
        /// The program's file.
        executable: String,
        /// Its arguments, the program's name first.
        arguments: Vec<String>,
        /// Its number, unless it could not be started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<u32>,
        /// Its exit status, if it ended by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
    /// A document that was asked for by HTTP.
    Request {
        /// Its URL.
        url: String,
        /// The status of the answer, if one came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

/// What went wrong in a span.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpanError {
    /// A word for it: the exit status, or `timeout`, `cancelled`, `killed`, `not_started`.
    pub kind: String,
    /// What was said of it.
    pub message: String,
}

/// Whether a `traceparent` says that its trace is kept, so that telling of it is worth something.
#[must_use]
pub fn is_kept(traceparent: &str) -> bool {
    let flags = traceparent.split('-').nth(3).and_then(|flags| u8::from_str_radix(flags, 16).ok());
    flags.is_some_and(|flags| flags & 1 == 1)
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// What went wrong.
    pub message: String,
    /// The causes behind it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Next steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// What outside did not do its part, if it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Dependency>,
}

/// The kinds of [`Error`], as they are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are those of `ErrorKind`")]
pub enum FailureKind {
    User,
    Config,
    Conflict,
    Outside,
    Bug,
}

impl From<ErrorKind> for FailureKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::User => Self::User,
            ErrorKind::Config => Self::Config,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Outside => Self::Outside,
            ErrorKind::Bug => Self::Bug,
        }
    }
}

impl From<FailureKind> for ErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::User => Self::User,
            FailureKind::Config => Self::Config,
            FailureKind::Conflict => Self::Conflict,
            FailureKind::Outside => Self::Outside,
            FailureKind::Bug => Self::Bug,
        }
    }
}

/// What outside can fail, for whoever stops asking it for a while.
///
/// As text: `nix`, `git`, `worker`, or `http:HOST`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Dependency {
    /// The programs of Nix.
    Nix,
    /// The program `git`, or a repository that it asks.
    Git,
    /// A server, by its host.
    Http(String),
    /// The worker itself.
    Worker,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nix => f.write_str("nix"),
            Self::Git => f.write_str("git"),
            Self::Http(host) => write!(f, "http:{host}"),
            Self::Worker => f.write_str("worker"),
        }
    }
}

impl From<Dependency> for String {
    fn from(dependency: Dependency) -> Self {
        dependency.to_string()
    }
}

impl TryFrom<String> for Dependency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "nix" => Ok(Self::Nix),
            "git" => Ok(Self::Git),
            "worker" => Ok(Self::Worker),
            _ => match text.strip_prefix("http:") {
                Some(host) => Ok(Self::Http(host.to_owned())),
                None => Err(format!("`{text}` is nothing that we depend on")),
            },
        }
    }
}

impl Failure {
    /// An error as it is written, with what did not do its part.
    #[must_use]
    pub fn of(error: &Error, dependency: Option<Dependency>) -> Self {
        let mut chain = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        Self {
            kind: error.kind().into(),
            message: error.to_string(),
            chain,
            hints: error.hints().to_vec(),
            dependency,
        }
    }

    /// The error that was written; what did not do its part is its cause.
    #[must_use]
    pub fn into_error(self) -> Error {
        let mut error = Error::new(self.kind.into(), self.message);
        for hint in self.hints {
            error = error.hint(hint);
        }
        if self.chain.is_empty() && self.dependency.is_none() {
            return error;
        }
        let text = match (&self.chain[..], &self.dependency) {
            ([], Some(dependency)) => format!("`{dependency}` did not do its part"),
            (chain, _) => chain.join(": "),
        };
        error.because(Cause { text, dependency: self.dependency })
    }
}

/// Why the worker could not do something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    text: String,
    /// What did not do its part.
    pub dependency: Option<Dependency>,
}

impl Cause {
    pub(crate) fn new(text: impl Into<String>, dependency: Option<Dependency>) -> Self {
        Self { text: text.into(), dependency }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_as_it_was() {
        let cause = std::io::Error::other("no route");
        let error = Error::outside("cannot fetch it").because(cause).hint("try again");
        let failure = Failure::of(&error, Some(Dependency::Http("example.org".into())));
        let text = serde_json::to_string(&Line::Error { error: failure.clone() }).unwrap();
        let want = r#"{"line":"error","error":{"kind":"outside","message":"cannot fetch it","chain":["no route"],"hints":["try again"],"dependency":"http:example.org"}}"#;
        assert_eq!(text, want);
        let Line::Error { error: read } = serde_json::from_str(&text).unwrap() else { panic!() };
        assert_eq!(read, failure);
        let back = read.into_error();
        assert_eq!(back.chain(), error.chain());
        assert_eq!(back.hints(), error.hints());
        assert_eq!(back.kind(), error.kind());
        assert_eq!(crate::dependency_of(&back), Some(&Dependency::Http("example.org".into())));
        assert_eq!(crate::dependency_of(&error), None);
    }

    #[test]
    fn a_dependency_is_a_word() {
        for text in ["nix", "git", "worker", "http:cache.nixos.org"] {
            assert_eq!(Dependency::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        assert!(Dependency::try_from("moon".to_owned()).is_err());
    }

    #[test]
    fn what_is_not_known_is_no_request() {
        let read = |text| serde_json::from_str::<Task>(text).map_err(|error| error.to_string());
        assert!(read(r#"{"nix_files":{}}"#).is_ok());
        assert!(read(r#"{"explode":{}}"#).is_err());
        assert!(read(r#"{"generation":{"profile":"p","more":1}}"#).is_err());
    }
}
