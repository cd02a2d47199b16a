//! What deciders share: evidence, refusals, and the state of any aggregate.
//!
//! Deciding comes after looking and before doing: whoever runs a command finds out what it would
//! change ([`Evidence`]), asks the aggregate whether it may and which events say so, makes the
//! change, and stores the events. So a refused command changes nothing, and an event never says what
//! did not happen.

use std::collections::BTreeMap;
use std::fmt;

use crate::{
    BuiltOutput, Command, Configuration, Draft, Event, FailureReason, FileChange, Findings, Flake,
    Kind, LockChange, Module, NixValue, OverlayAggregate, Package, Project, Took,
};

/// What a flake says of itself.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct FlakeFacts {
    /// Its description; empty if it has none.
    pub description: String,
    /// Its inputs by name, as `flake.nix` has them; `follows:PATH` for one that follows another.
    pub inputs: BTreeMap<String, String>,
}

/// What was found out, or done, for a command.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Evidence {
    /// A flake before and after the change.
    Flake {
        /// What was there before; `None` where there was no flake.
        before: Option<FlakeFacts>,
        /// What it says after the change.
        after: FlakeFacts,
        /// How locked inputs move.
        locks: Vec<LockChange>,
        /// The files that change.
        changes: Vec<FileChange>,
    },
    /// Files that change. For a module and the like, `is_there` says whether its file is there
    /// before.
    Files {
        /// Whether the thing's own file is there before the change.
        is_there: bool,
        /// The files that change.
        changes: Vec<FileChange>,
    },
    /// A build that gave something.
    Built {
        /// The outputs by name, at least one.
        outputs: BTreeMap<String, BuiltOutput>,
        /// The derivation.
        drv_path: Option<String>,
        /// How long it took.
        took: Took,
    },
    /// A build that gave nothing.
    BuildFailed {
        /// Why.
        reason: FailureReason,
        /// What was said.
        message: String,
        /// The derivation that failed.
        drv_path: Option<String>,
        /// The end of its log.
        log_tail: String,
        /// How long it was tried.
        took: Took,
    },
    /// A copy to or from a cache.
    Copied {
        /// What was copied.
        output_path: String,
        /// How many store paths.
        paths: u64,
        /// Bytes of their archives.
        bytes: u64,
        /// How long it took.
        took: Took,
    },
    /// A generation that is in force.
    Activated {
        /// The generation.
        generation: u32,
        /// The one before.
        previous: Option<u32>,
        /// What it is.
        store_path: String,
        /// The profile.
        profile: String,
        /// How long it took.
        took: Took,
    },
    /// A generation that could not be put into force; the former one is.
    ActivationFailed {
        /// What was said.
        message: String,
        /// The generation in force.
        generation: Option<u32>,
        /// The profile.
        profile: String,
    },
    /// What a check found.
    Checked {
        /// How many files were read.
        files: u64,
        /// What was found.
        findings: Findings,
    },
    /// What fixing changes.
    Fixed {
        /// How often each rule mends something.
        fixes: BTreeMap<String, u64>,
        /// The files that change.
        changes: Vec<FileChange>,
    },
    /// What formatting changes.
    Formatted {
        /// The formatter.
        formatter: String,
        /// The files that change.
        changes: Vec<FileChange>,
    },
    /// What a rename changes.
    Renamed {
        /// The name before.
        from: String,
        /// The files that change.
        changes: Vec<FileChange>,
    },
    /// What an expression gave.
    Evaluated {
        /// Its value as text, or the error.
        result: String,
        /// Whether it is an error.
        is_error: bool,
    },
    /// What a garbage collection removed.
    Collected {
        /// Bytes that are free now.
        freed_bytes: u64,
        /// The paths.
        removed_paths: Vec<String>,
    },
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// What shall be made is there.
    AlreadyExists {
        /// What, with its name: `the module "web"`.
        what: String,
    },
    /// What the command is about is not there.
    NotFound {
        /// What, with its name.
        what: String,
    },
    /// A name or a value that cannot be.
    Invalid {
        /// What it is for: `the name of a module`.
        what: String,
        /// The value.
        value: String,
        /// Why not.
        why: String,
    },
    /// There is nothing to go back to.
    NothingBefore {
        /// What, with its name.
        what: String,
    },
    /// Somebody changed it in the meantime.
    Changed {
        /// What, with its name.
        what: String,
    },
    /// What was found out does not belong to the command: a mistake of whoever runs it.
    Unfit {
        /// The type of the command.
        command: &'static str,
    },
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists { what } => write!(f, "{what} exists already"),
            Self::NotFound { what } => write!(f, "there is no {what}"),
            Self::Invalid { what, value, why } => {
                let shown: String = value.chars().take(60).collect();
                write!(f, "`{}` cannot be {what}: {why}", shown.escape_debug())
            }
            Self::NothingBefore { what } => {
                write!(f, "{what} has no former generation to go back to")
            }
            Self::Changed { what } => write!(f, "{what} was changed in the meantime"),
            Self::Unfit { command } => write!(f, "what was found out does not belong to {command}"),
        }
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for cim_nix_base::Error {
    fn from(rejection: Rejection) -> Self {
        let message = rejection.to_string();
        match rejection {
            Rejection::Changed { .. } => Self::conflict(message).hint("run the command again"),
            Rejection::Unfit { .. } => Self::bug(message),
            _ => Self::user(message),
        }
    }
}

/// An aggregate as a pair of pure, total functions.
pub trait Decider: Default + Clone + PartialEq + fmt::Debug {
    /// The kind of its streams.
    const KIND: Kind;

    /// Which events say what `command` changes, given what was found out; none if nothing changes.
    ///
    /// Errors: the command is refused, and nothing may be changed.
    fn decide(
        &self,
        command: &Command,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection>;

    /// The state after `event`. Events of other kinds change nothing.
    fn evolve(&mut self, event: &Event);
}

macro_rules! states {
    ($($name:ident: $type:ty,)*) => {
        /// The state of any aggregate.
        #[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
        #[expect(missing_docs, reason = "each is the name of its aggregate, which is documented")]
        pub enum State {
            $($name($type),)*
            /// One-event streams (evaluations, collections): whether the event is there.
            Once(bool),
        }

        impl State {
            /// The version of what states are and of how events lead to them. Snapshots of another
            /// one are not used, so any change of either needs another number.
            pub const SCHEMA: u32 = 1;

            /// Whether it is a state of aggregates of this kind.
            #[must_use]
            pub fn is_of(&self, kind: &Kind) -> bool {
                std::mem::discriminant(self) == std::mem::discriminant(&Self::empty(kind))
            }

            /// The state of an aggregate without events.
            #[must_use]
            pub fn empty(kind: &Kind) -> Self {
                match kind {
                    $(Kind::$name => Self::$name(<$type>::default()),)*
                    _ => Self::Once(false),
                }
            }

            /// See [`Decider::decide`].
            ///
            /// Errors: the command is refused, and nothing may be changed.
            pub fn decide(
                &self,
                command: &Command,
                evidence: &Evidence,
                draft: &mut Draft<'_>,
            ) -> Result<Vec<Event>, Rejection> {
                match self {
                    $(Self::$name(state) => state.decide(command, evidence, draft),)*
                    Self::Once(is_done) => once(*is_done, command, evidence, draft),
                }
            }

            /// The state after `event`. Events of other kinds change nothing.
            pub fn evolve(&mut self, event: &Event) {
                match self {
                    $(Self::$name(state) => state.evolve(event),)*
                    Self::Once(is_done) => {
                        *is_done |= matches!(event.kind(), Kind::Evaluation | Kind::Collection);
                    }
                }
            }
        }
    };
}

states! {
    Flake: Flake,
    Package: Package,
    Module: Module,
    Overlay: OverlayAggregate,
    Configuration: Configuration,
    Project: Project,
}

/// Streams that hold what happened in one run.
fn once(
    is_done: bool,
    command: &Command,
    evidence: &Evidence,
    draft: &mut Draft<'_>,
) -> Result<Vec<Event>, Rejection> {
    if is_done {
        // The id of the stream is that of the command: it was run already.
        return Ok(Vec::new());
    }
    let id = command.stream().id;
    let event = match (command, evidence) {
        (Command::EvaluateExpression(command), Evidence::Evaluated { result, is_error }) => {
            crate::event::ExpressionEvaluated {
                expression_id: id,
                timestamp: draft.at,
                identity: draft.identity(),
                expression: command.expression.clone(),
                result: result.clone(),
                is_error: *is_error,
                undoes: None,
                changes: Vec::new(),
            }
            .into()
        }
        (
            Command::RunGarbageCollection(command),
            Evidence::Collected { freed_bytes, removed_paths },
        ) => crate::event::GarbageCollected {
            collection_id: id,
            timestamp: draft.at,
            identity: draft.identity(),
            freed_bytes: *freed_bytes,
            removed_paths: removed_paths.clone(),
            older_than_days: command.older_than_days,
            undoes: None,
            changes: Vec::new(),
        }
        .into(),
        _ => return Err(Rejection::Unfit { command: command.command_type() }),
    };
    Ok(vec![event])
}

/// Refuses names that could not be a file or an attribute: they are part of both.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Rejection> {
    let is_good = |c: char| c.is_alphanumeric() || "-_.+@".contains(c);
    let why = match name {
        "" => "it is empty",
        _ if name.len() > 200 => "it is longer than 200 bytes",
        _ if name.starts_with(['-', '.']) => "it starts with a dash or a dot",
        _ if !name.chars().all(is_good) => "it may have letters, digits and `-_.+@` only",
        _ => return Ok(()),
    };
    Err(Rejection::Invalid { what: what.to_owned(), value: name.to_owned(), why: why.to_owned() })
}

/// Refuses values that an event could not hold.
pub(crate) fn check_value(what: &str, name: &str, value: &NixValue) -> Result<(), Rejection> {
    value.check().map_err(|why| Rejection::Invalid {
        what: what.to_owned(),
        value: name.to_owned(),
        why,
    })
}

/// Refuses paths that lead out of the project.
pub(crate) fn check_file(what: &str, path: &str) -> Result<(), Rejection> {
    let is_out = path.split('/').any(|part| matches!(part, ".." | "." | "") || part.contains('\0'));
    match is_out {
        false => Ok(()),
        true => Err(Rejection::Invalid {
            what: what.to_owned(),
            value: path.to_owned(),
            why: "it has to be relative, without `.`, `..` and empty parts".to_owned(),
        }),
    }
}
