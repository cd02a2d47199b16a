//! Answers: what read models say of a query, with the views that other services expect and what
//! people need beside.

mod ask;
mod configurations;
mod find;
mod flakes;
mod modules;
mod overlays;
mod packages;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use ask::ask;
pub use modules::{option_conflicts, option_owners};

use crate::model::AttributePath;
use crate::{
    ActivationType, BuiltOutput, ConfigurationKind, FailureReason, FlakeOutputs, ModuleOption,
    NixOSConfiguration, NixValue, StoreError, Timestamp, Took,
};

/// Which event something is as it is since.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Changed {
    /// When it happened, by the clock of whoever wrote it.
    pub at: Timestamp,
    /// Who did it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The event.
    pub event: Uuid,
    /// The type of the event.
    pub event_type: String,
    /// Its place in the stream of the thing, from 1.
    pub version: u64,
}

/// A part of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page<T> {
    /// What it has.
    pub items: Vec<T>,
    /// The `cursor` for what follows; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A flake.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlakeView {
    /// Its id.
    pub id: Uuid,
    /// Its folder.
    pub path: String,
    /// What it says of itself.
    pub description: String,
    /// Its inputs: name to reference, as `flake.nix` has them.
    pub inputs: BTreeMap<String, String>,
    /// Its outputs as far as commands have added them; those that were written by hand are known
    /// to the flake alone.
    #[serde(default)]
    pub outputs: FlakeOutputs,
    /// The template that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The last event about it.
    pub changed: Changed,
}

/// The inputs of a flake.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlakeInputsView {
    /// The flake.
    pub id: Uuid,
    /// Its folder.
    pub path: String,
    /// Its inputs: name to reference, as `flake.nix` has them.
    pub inputs: BTreeMap<String, String>,
    /// What events say that inputs were locked to, `a/b` for the input `b` of the input `a`.
    #[serde(default)]
    pub locked: BTreeMap<String, String>,
    /// The last event about the flake.
    pub changed: Changed,
}

/// How the last build of a package ended.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BuildOutcome {
    /// It was never tried; the package was copied from a cache.
    #[default]
    Never,
    /// It gave something.
    Built,
    /// A builder or the evaluation failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// It took longer than allowed.
    TimedOut,
    /// The process that built it was interrupted.
    Interrupted,
}

impl From<FailureReason> for BuildOutcome {
    fn from(reason: FailureReason) -> Self {
        match reason {
            FailureReason::Failed => Self::Failed,
            FailureReason::Cancelled => Self::Cancelled,
            FailureReason::TimedOut => Self::TimedOut,
            FailureReason::Interrupted => Self::Interrupted,
        }
    }
}

/// A package that was built, or tried, or copied.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PackageView {
    /// Its id.
    pub id: Uuid,
    /// Its name: what follows the system in its path, else the path; that of the derivation, or
    /// `default`, if it has no path.
    pub name: String,
    /// The system that it is for; empty if its path does not say.
    pub system: String,
    /// The version in the name of what was built last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the package says of itself, if an event has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The flake, or the file, that it is in.
    pub flake_ref: String,
    /// Its path there, as text.
    pub attribute_path: String,
    /// Its path there.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
    pub attribute: AttributePath,
    /// How the last build ended.
    pub last: BuildOutcome,
    /// What the last build that gave something gave, by output.
    #[serde(default)]
    pub outputs: BTreeMap<String, BuiltOutput>,
    /// The caches that hold it.
    #[serde(default)]
    pub caches: Vec<CacheCopy>,
    /// How many builds there were.
    pub n_builds: u64,
    /// How many of them gave nothing.
    pub n_failures: u64,
    /// The last event about it.
    pub changed: Changed,
}

/// A copy of a package in a cache.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CacheCopy {
    /// The cache: a store's URL.
    pub cache: String,
    /// What was copied.
    pub output_path: String,
    /// Whether it was copied from the cache instead of to it.
    pub is_download: bool,
    /// How many store paths.
    pub paths: u64,
    /// Bytes of their archives.
    pub bytes: u64,
    /// How long it took.
    pub took: Took,
    /// When.
    pub at: Timestamp,
}

/// A build.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildView {
    /// Which build of the package it was, from 1.
    pub number: u64,
    /// How it ended.
    pub outcome: BuildOutcome,
    /// What it gave, by output.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, BuiltOutput>,
    /// The derivation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drv_path: Option<String>,
    /// What was said of a failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The end of the builder's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_tail: String,
    /// How long it took.
    pub took: Took,
    /// The event.
    pub changed: Changed,
}

/// How the builds of a package ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildStatus {
    /// The package.
    pub package: PackageView,
    /// Its builds, the latest first; the last hundred are kept.
    pub builds: Vec<BuildView>,
}

/// A module.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleView {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The project's folder.
    pub project: String,
    /// Its file, relative to the project's folder.
    pub file: String,
    /// What it declares, by the option's path.
    #[serde(default)]
    pub options: BTreeMap<String, ModuleOption>,
    /// What it sets.
    pub config: NixValue,
    /// What it imports, as written.
    #[serde(default)]
    pub imports: Vec<String>,
    /// Options that another module of the project declares as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<OptionConflict>,
    /// The last event about it.
    pub changed: Changed,
}

/// An option that several modules of a project declare.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OptionConflict {
    /// The option's path.
    pub option: String,
    /// The modules that declare it, by name.
    pub modules: Vec<String>,
}

/// An option and the module that declares it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OptionOwner {
    /// The option's path.
    pub option: String,
    /// The module.
    pub module: Uuid,
    /// The module's name.
    pub name: String,
    /// The module's file.
    pub file: String,
    /// What it declares.
    pub declared: ModuleOption,
}

/// An overlay.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverlayView {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The project's folder.
    pub project: String,
    /// Its file, relative to the project's folder.
    pub file: String,
    /// Changed packages: name to code.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
    /// New packages: name to code.
    #[serde(default)]
    pub additions: BTreeMap<String, String>,
    /// The last event about it.
    pub changed: Changed,
}

/// The configuration of a machine or a home.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigurationView {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The system that it is for; empty if it was only found.
    pub system: String,
    /// The generation in force.
    pub current_generation: Option<u32>,
    /// When a generation last came into force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activated: Option<Timestamp>,
    /// The project's folder.
    pub project: String,
    /// A machine or a home.
    pub kind: ConfigurationKind,
    /// The profile that its generations are in; empty if none was made yet.
    pub profile: String,
    /// What commands said of it; absent if it was only found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<NixOSConfiguration>,
    /// The last event about it.
    pub changed: Changed,
}

/// A generation of a configuration that was in force once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GenerationView {
    /// Its number in its profile.
    pub number: u32,
    /// What it is; empty if it was only found.
    pub store_path: String,
    /// What became of it; absent if it was only found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationType>,
    /// How long making it and putting it into force took; absent if it was only found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
    /// The event that last put it into force, or found it.
    pub changed: Changed,
}

/// The generation of a configuration that is in force.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CurrentConfiguration {
    /// The configuration.
    pub configuration: ConfigurationView,
    /// The generation; absent if none was put into force yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<GenerationView>,
}

/// What happened to a configuration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigurationHistory {
    /// The configuration.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The project's folder.
    pub project: String,
    /// Whether it is there still.
    pub is_present: bool,
    /// The generations of its profile, the highest number first, as many as entries.
    pub generations: Vec<GenerationView>,
    /// What happened, the latest first.
    pub entries: Page<HistoryEntry>,
}

/// One thing that happened to a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// The event.
    pub changed: Changed,
    /// The event that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<Uuid>,
    /// The generation that is in force after it, as far as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The generation that was in force before it, as far as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// What the generation is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub store_path: String,
    /// What became of the generation, or was to become of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationType>,
    /// What was said of a failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Why a query has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such thing.
    NotFound {
        /// What was looked for: `module "web"`.
        what: String,
        /// What is called alike, the nearest first.
        near: Vec<String>,
    },
    /// Several things fit.
    Ambiguous {
        /// What was looked for.
        what: String,
        /// Some of those that fit, with what tells them apart.
        candidates: Vec<String>,
        /// What a query can say to mean one of them: `its project or its id`.
        apart_by: &'static str,
    },
    /// A query that nothing can be looked for with.
    Invalid {
        /// What is wrong.
        problem: String,
    },
    /// The store did not give what it has.
    Store(StoreError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { what, .. } => write!(f, "there is no {what}"),
            Self::Ambiguous { what, candidates, .. } => {
                write!(f, "more than one {what} is there: {}", candidates.join(", "))
            }
            Self::Invalid { problem } => f.write_str(problem),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueryError {}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<QueryError> for cim_nix_base::Error {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::NotFound { near, .. } => match near.as_slice() {
                [] => Self::user(message),
                near => Self::user(message).hint(format!("there is {}", near.join(", "))),
            },
            QueryError::Ambiguous { apart_by, .. } => {
                Self::user(message).hint(format!("say which one is meant, by {apart_by}"))
            }
            QueryError::Invalid { .. } => Self::user(message),
            QueryError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
