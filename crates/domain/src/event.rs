//! Events: what has happened, in the past tense. Sixteen are on the wire of other services; the rest
//! say what those leave open: code that changed, what was found on disk, builds that failed.
//!
//! Fields that only this product writes are left out where they say nothing, so that an event with
//! the fields of the contract alone is read as well.

use std::collections::BTreeMap;

use cim_nix_model::AttributePath;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{
    ActivationType, BuiltOutput, ConfigurationKind, FileChange, FlakeEdit, Kind, MessageIdentity,
    NixModule, NixOSConfiguration, Overlay, StreamId, Timestamp, Took,
};

/// How a locked input moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockChange {
    /// The input, `a/b` for the input `b` of the input `a`.
    pub input: String,
    /// What it was locked to; absent for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is locked to; absent for a removed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl LockChange {
    /// The way back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let Self { input, before, after } = self.clone();
        Self { input, before: after, after: before }
    }
}

/// What a check found, as far as a log needs it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Findings {
    /// How many are errors.
    pub errors: u64,
    /// How many are warnings.
    pub warnings: u64,
    /// How many only inform.
    pub infos: u64,
    /// How many there are of each rule.
    pub by_code: BTreeMap<String, u64>,
}

/// Why a build gave nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// A builder or the evaluation failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// It took longer than allowed.
    TimedOut,
    /// The process that built it was interrupted, and what became of the build is not known.
    Interrupted,
}

/// Reads store paths, as text or as other services write them.
fn store_paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a store path is a text or has `hash` and `name`")]
    enum Path {
        Text(String),
        Parts { hash: String, name: String },
    }
    let text = |path| match path {
        Path::Text(path) => path,
        Path::Parts { hash, name } => format!("/nix/store/{hash}-{name}"),
    };
    Ok(Vec::<Path>::deserialize(deserializer)?.into_iter().map(text).collect())
}

macro_rules! event_structs {
    ($(
        $(#[$doc:meta])*
        $name:ident { $id:ident, $at:ident; $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name {
            /// The id of the aggregate, or of the event where the contract has it so.
            pub $id: Uuid,
            /// When it happened.
            pub $at: Timestamp,
            /// Who caused it.
            pub identity: MessageIdentity,
            $($(#[$field_doc])* pub $field: $type,)*
            /// The event that this one takes back.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub undoes: Option<Uuid>,
            /// The files that changed with it.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub changes: Vec<FileChange>,
        }
    )*};
}

event_structs! {
    /// A flake was made.
    FlakeCreated { flake_id, timestamp;
        /// Its folder.
        path: String,
        /// What it says of itself.
        description: String,
        /// The template that it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<String>,
        /// Its inputs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inputs: BTreeMap<String, String>,
    }
    /// What a flake says, or what its inputs are locked to, was changed.
    FlakeUpdated { flake_id, timestamp;
        /// Its folder.
        path: String,
        /// What was done to it; absent where its lock file was updated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<FlakeEdit>,
        /// What it says of itself now, where that changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// All its inputs now, where they changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inputs: Option<BTreeMap<String, String>>,
        /// How locked inputs moved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locks: Vec<LockChange>,
    }
    /// A flake has an input more.
    FlakeInputAdded { flake_id, timestamp;
        /// Its folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
        /// The input.
        input_name: String,
        /// Where it comes from.
        input_url: String,
        /// All inputs now, where others changed with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inputs: Option<BTreeMap<String, String>>,
        /// How locked inputs moved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locks: Vec<LockChange>,
    }
    /// A flake has an input less.
    FlakeInputRemoved { flake_id, timestamp;
        /// Its folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
        /// The input.
        input_name: String,
        /// All inputs now, where others changed with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inputs: Option<BTreeMap<String, String>>,
        /// How locked inputs moved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locks: Vec<LockChange>,
    }
    /// A flake was found to be other than its events say: somebody made or changed it by other means.
    FlakeObserved { flake_id, timestamp;
        /// Its folder.
        path: String,
        /// What it says of itself.
        #[serde(default)]
        description: String,
        /// Its inputs.
        #[serde(default)]
        inputs: BTreeMap<String, String>,
    }
    /// A flake was removed; only taking back its creation does that.
    FlakeDeleted { flake_id, timestamp;
        /// Its folder.
        path: String,
    }
    /// A package was built.
    PackageBuilt { package_id, timestamp;
        /// The flake, or the file, that it is in.
        flake_ref: String,
        /// Which one.
        #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
        attribute: AttributePath,
        /// Its first output.
        output_path: String,
        /// How long the build took.
        build_time: Took,
        /// All outputs by name.
        outputs: BTreeMap<String, BuiltOutput>,
        /// The derivation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drv_path: Option<String>,
    }
    /// A build gave nothing.
    PackageBuildFailed { package_id, timestamp;
        /// The flake, or the file, that it is in.
        flake_ref: String,
        /// Which one.
        #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
        attribute: AttributePath,
        /// Why.
        reason: FailureReason,
        /// What was said of it.
        message: String,
        /// The derivation that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drv_path: Option<String>,
        /// The end of the builder's log.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        log_tail: String,
        /// How long it was tried.
        build_time: Took,
    }
    /// What a package's build made was copied to a cache, or from one.
    PackageCached { package_id, timestamp;
        /// The flake, or the file, that it is in.
        flake_ref: String,
        /// Which one.
        #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
        attribute: AttributePath,
        /// What was copied.
        output_path: String,
        /// The cache.
        cache: String,
        /// Whether it was copied from the cache instead of to it.
        #[serde(default)]
        is_download: bool,
        /// How many store paths the copy has, those that were there before included.
        #[serde(default)]
        paths: u64,
        /// Bytes of their archives.
        #[serde(default)]
        bytes: u64,
        /// How long it took.
        #[serde(default)]
        took: Took,
    }
    /// A module was made.
    ModuleCreated { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The module.
        module: NixModule,
    }
    /// A module was changed.
    ModuleUpdated { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The module as it is now.
        module: NixModule,
    }
    /// A module was removed.
    ModuleDeleted { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The module.
        module_id: Uuid,
        /// Its name.
        name: String,
    }
    /// An overlay was made.
    OverlayCreated { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The overlay.
        overlay: Overlay,
    }
    /// An overlay was changed.
    OverlayUpdated { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The overlay as it is now.
        overlay: Overlay,
    }
    /// An overlay was removed.
    OverlayDeleted { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The overlay.
        overlay_id: Uuid,
        /// Its name.
        name: String,
    }
    /// A configuration was made.
    ConfigurationCreated { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The configuration.
        configuration: NixOSConfiguration,
    }
    /// A configuration was changed.
    ConfigurationUpdated { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The configuration as it is now.
        configuration: NixOSConfiguration,
    }
    /// A configuration was removed; only taking back its creation does that.
    ConfigurationDeleted { event_id, occurred_at;
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// The configuration.
        configuration_id: Uuid,
        /// Its name.
        name: String,
    }
    /// A configuration that nobody made here was found, since a command is about it.
    ConfigurationObserved { event_id, occurred_at;
        /// The project's folder.
        project: String,
        /// The configuration.
        configuration_id: Uuid,
        /// Its name.
        name: String,
        /// A machine or a home.
        #[serde(default)]
        kind: ConfigurationKind,
        /// The generation that its profile is at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<u32>,
        /// The profile.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        profile: String,
    }
    /// A generation of a configuration was made and activated.
    ConfigurationActivated { event_id, occurred_at;
        /// The configuration.
        configuration_id: Uuid,
        /// The generation.
        generation: u32,
        /// What became of it.
        activation_type: ActivationType,
        /// What the generation is.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        store_path: String,
        /// The generation before, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<u32>,
        /// The profile.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        profile: String,
        /// How long it took.
        #[serde(default)]
        took: Took,
    }
    /// An activation failed, and the former generation is in force again.
    ConfigurationActivationFailed { event_id, occurred_at;
        /// The configuration.
        configuration_id: Uuid,
        /// What was to become of the generation.
        activation_type: ActivationType,
        /// What was said.
        message: String,
        /// The generation in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<u32>,
    }
    /// A configuration went back to a former generation.
    ConfigurationRolledBack { event_id, occurred_at;
        /// The configuration.
        configuration_id: Uuid,
        /// The generation that is in force now.
        generation: u32,
        /// The generation that was in force before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<u32>,
        /// What the generation is.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        store_path: String,
        /// The profile.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        profile: String,
    }
    /// The code of a project was checked.
    ProjectChecked { project_id, timestamp;
        /// The project's folder.
        path: String,
        /// How many files were read.
        files: u64,
        /// What was found.
        findings: Findings,
    }
    /// Findings were mended.
    ProjectFixed { project_id, timestamp;
        /// The project's folder.
        path: String,
        /// How often each rule mended something.
        fixes: BTreeMap<String, u64>,
    }
    /// Files were laid out anew.
    ProjectFormatted { project_id, timestamp;
        /// The project's folder.
        path: String,
        /// The formatter.
        formatter: String,
    }
    /// A name was changed wherever it is used.
    SymbolRenamed { project_id, timestamp;
        /// The project's folder.
        path: String,
        /// The file that the name is bound in.
        file: String,
        /// The name before.
        from: String,
        /// The name now.
        to: String,
    }
    /// A change to a project's code was taken back.
    ProjectReverted { project_id, timestamp;
        /// The project's folder.
        path: String,
        /// What was taken back, in words.
        title: String,
    }
    /// An expression was evaluated.
    ExpressionEvaluated { expression_id, timestamp;
        /// The expression.
        expression: String,
        /// Its value as text.
        result: String,
        /// Whether `result` is the error that it ended with.
        #[serde(default)]
        is_error: bool,
    }
    /// Store paths that nothing needs were removed.
    GarbageCollected { collection_id, timestamp;
        /// Bytes that are free now.
        freed_bytes: u64,
        /// The paths. Other services write hash and name of each apart, which is read as well.
        #[serde(deserialize_with = "store_paths")]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::schema::Removed>"))]
        removed_paths: Vec<String>,
        /// Age in days of the generations that went before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        older_than_days: Option<u32>,
    }
}

/// Which message cannot be read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unreadable {
    /// No version of this product up to this one has such a message.
    UnknownType {
        /// The name of its type.
        message_type: String,
    },
    /// A newer version of this product wrote it.
    Newer {
        /// The name of its type.
        message_type: String,
        /// The version of its shape.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// Its body does not have the shape of its type.
    Malformed {
        /// The name of its type.
        message_type: String,
        /// What is wrong.
        problem: String,
    },
}

impl Unreadable {
    /// Refuses a body that is no object: lists would be taken for the fields in their order.
    pub(crate) fn check_object(message_type: &str, body: &str) -> Result<(), Self> {
        match body.trim_ascii_start().starts_with('{') {
            true => Ok(()),
            false => Err(Self::malformed(message_type, &"it is no object")),
        }
    }

    /// A body without the shape of its type. What is wrong may quote the whole of a hostile body, so
    /// its start has to do.
    pub(crate) fn malformed(message_type: &str, problem: &dyn std::fmt::Display) -> Self {
        const MOST: usize = 300;
        let mut problem = problem.to_string();
        if let Some((end, _)) = problem.char_indices().nth(MOST) {
            problem.truncate(end);
            problem.push_str(" ...");
        }
        Self::Malformed { message_type: message_type.to_owned(), problem }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownType { message_type } => {
                let shown: String = message_type.chars().take(60).collect();
                write!(f, "no message of the type `{}` is known", shown.escape_debug())
            }
            Self::Newer { message_type, found, known } => write!(
                f,
                "{message_type} was written by a newer version: its shape is {found}, {known} is known here"
            ),
            Self::Malformed { message_type, problem } => {
                write!(f, "the body of {message_type} does not fit: {problem}")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

macro_rules! named {
    ($($name:ident)*) => {$(
        impl $name {
            /// The event, with the id that its identity has: in these the contract repeats it.
            pub(crate) fn named(mut self) -> Event {
                self.event_id = self.identity.message_id.uuid().unwrap_or_default();
                self.into()
            }
        }
    )*};
}

named! {
    ModuleCreated ModuleUpdated ModuleDeleted OverlayCreated OverlayUpdated OverlayDeleted
    ConfigurationCreated ConfigurationUpdated ConfigurationDeleted ConfigurationObserved
    ConfigurationActivated ConfigurationActivationFailed ConfigurationRolledBack
}

macro_rules! events {
    ($($name:ident: $kind:ident $action:literal schema $schema:literal
        $(contract $contract:literal)?, $at:ident, |$e:ident| $aggregate:expr;)*) => {
        /// Any event.
        #[derive(Clone, PartialEq, Debug)]
        #[expect(missing_docs, reason = "each is the name of its struct, which is documented")]
        pub enum Event {
            $($name(Box<$name>),)*
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(Box::new(event))
            }
        })*

        impl Event {
            /// The schemas of all types, by name.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$((stringify!($name), crate::schema::of::<$name>()),)*]
            }

            /// The names of all types of events, those of the contract first.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The name of its type.
            #[must_use]
            pub fn event_type(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// The kind of the aggregate that it is about.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$kind,)* }
            }

            /// What happened, as in its subject: `input_added`.
            #[must_use]
            pub fn action(&self) -> &'static str {
                match self { $(Self::$name(_) => $action,)* }
            }

            /// The version of its shape that this product writes.
            #[must_use]
            pub fn schema(&self) -> u32 {
                match self { $(Self::$name(_) => $schema,)* }
            }

            /// Who caused it.
            #[must_use]
            pub fn identity(&self) -> &MessageIdentity {
                match self { $(Self::$name(event) => &event.identity,)* }
            }

            /// When it happened, by the clock of whoever wrote it.
            #[must_use]
            pub fn at(&self) -> Timestamp {
                match self { $(Self::$name(event) => event.$at,)* }
            }

            /// The aggregate that it is about.
            #[must_use]
            pub fn aggregate(&self) -> Uuid {
                match self { $(Self::$name($e) => $aggregate,)* }
            }

            /// The files that changed with it.
            #[must_use]
            pub fn changes(&self) -> &[FileChange] {
                match self { $(Self::$name(event) => &event.changes,)* }
            }

            /// The event that it takes back.
            #[must_use]
            pub fn undoes(&self) -> Option<Uuid> {
                match self { $(Self::$name(event) => event.undoes,)* }
            }

            /// Its body as JSON.
            ///
            /// Errors: a number that JSON cannot write, such as infinity.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$name(event) => serde_json::to_string(event),)* }
            }

            /// Reads the body of an event of the newest shape.
            fn of_newest(event_type: &str, body: &str) -> Option<serde_json::Result<Self>> {
                Some(match event_type {
                    $(stringify!($name) => serde_json::from_str::<$name>(body).map(Self::from),)*
                    _ => return None,
                })
            }

            /// The newest shape of a type of events.
            #[must_use]
            pub fn newest_schema(event_type: &str) -> Option<u32> {
                Some(match event_type {
                    $(stringify!($name) => $schema,)*
                    _ => return None,
                })
            }

            /// The subject on which other services expect a type of events.
            #[must_use]
            pub fn subject_of(event_type: &str) -> Option<&'static str> {
                match event_type {
                    $(stringify!($name) => events!(@subject $($contract)?),)*
                    _ => None,
                }
            }
        }
    };
    (@subject) => { None };
    (@subject $contract:literal) => { Some($contract) };
}

events! {
    FlakeCreated: Flake "created" schema 1 contract "nix.event.flake.created", timestamp, |e| e.flake_id;
    FlakeUpdated: Flake "updated" schema 1 contract "nix.event.flake.updated", timestamp, |e| e.flake_id;
    FlakeInputAdded: Flake "input_added" schema 1 contract "nix.event.flake.input_added", timestamp, |e| e.flake_id;
    FlakeInputRemoved: Flake "input_removed" schema 1 contract "nix.event.flake.input_removed", timestamp, |e| e.flake_id;
    PackageBuilt: Package "built" schema 2 contract "nix.event.package.built", timestamp, |e| e.package_id;
    PackageCached: Package "cached" schema 1 contract "nix.event.package.cached", timestamp, |e| e.package_id;
    ModuleCreated: Module "created" schema 1 contract "nix.event.module.created", occurred_at, |e| e.module.id;
    ModuleUpdated: Module "updated" schema 1 contract "nix.event.module.updated", occurred_at, |e| e.module.id;
    ModuleDeleted: Module "deleted" schema 1 contract "nix.event.module.deleted", occurred_at, |e| e.module_id;
    OverlayCreated: Overlay "created" schema 1 contract "nix.event.overlay.created", occurred_at, |e| e.overlay.id;
    OverlayUpdated: Overlay "updated" schema 1 contract "nix.event.overlay.updated", occurred_at, |e| e.overlay.id;
    OverlayDeleted: Overlay "deleted" schema 1 contract "nix.event.overlay.deleted", occurred_at, |e| e.overlay_id;
    ConfigurationCreated: Configuration "created" schema 1 contract "nix.event.config.created", occurred_at, |e| e.configuration.id;
    ConfigurationUpdated: Configuration "updated" schema 1 contract "nix.event.config.updated", occurred_at, |e| e.configuration.id;
    ConfigurationActivated: Configuration "activated" schema 1 contract "nix.event.config.activated", occurred_at, |e| e.configuration_id;
    ConfigurationRolledBack: Configuration "rolled_back" schema 1 contract "nix.event.config.rolled_back", occurred_at, |e| e.configuration_id;
    FlakeObserved: Flake "observed" schema 1, timestamp, |e| e.flake_id;
    FlakeDeleted: Flake "deleted" schema 1, timestamp, |e| e.flake_id;
    PackageBuildFailed: Package "build_failed" schema 1, timestamp, |e| e.package_id;
    ConfigurationDeleted: Configuration "deleted" schema 1, occurred_at, |e| e.configuration_id;
    ConfigurationObserved: Configuration "observed" schema 1, occurred_at, |e| e.configuration_id;
    ConfigurationActivationFailed: Configuration "activation_failed" schema 1, occurred_at, |e| e.configuration_id;
    ProjectChecked: Project "checked" schema 1, timestamp, |e| e.project_id;
    ProjectFixed: Project "fixed" schema 1, timestamp, |e| e.project_id;
    ProjectFormatted: Project "formatted" schema 1, timestamp, |e| e.project_id;
    SymbolRenamed: Project "renamed" schema 1, timestamp, |e| e.project_id;
    ProjectReverted: Project "reverted" schema 1, timestamp, |e| e.project_id;
    ExpressionEvaluated: Evaluation "evaluated" schema 1, timestamp, |e| e.expression_id;
    GarbageCollected: Collection "collected" schema 1, timestamp, |e| e.collection_id;
}

impl Event {
    /// The stream that it stands in.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::new(self.kind(), self.aggregate())
    }

    /// What went wrong, where it says that something was run and failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::PackageBuildFailed(event) => Some(&event.message),
            Self::ConfigurationActivationFailed(event) => Some(&event.message),
            // Evaluators begin with the word themselves.
            Self::ExpressionEvaluated(event) if event.is_error => {
                Some(event.result.strip_prefix("error:").unwrap_or(&event.result).trim())
            }
            _ => None,
        }
    }

    /// Reads an event of any shape that was ever written, and brings it up to date.
    ///
    /// Fields that are not known are passed over here; they stay in the stored body.
    ///
    /// Errors: [`Unreadable`] says which event and why.
    pub fn read(event_type: &str, schema: u32, body: &str) -> Result<Self, Unreadable> {
        let message_type = || event_type.to_owned();
        let Some(known) = Self::newest_schema(event_type) else {
            return Err(Unreadable::UnknownType { message_type: message_type() });
        };
        Unreadable::check_object(event_type, body)?;
        let upcast;
        let body = match schema {
            newer if newer > known => {
                let message_type = message_type();
                return Err(Unreadable::Newer { message_type, found: newer, known });
            }
            newest if newest == known => body,
            older => {
                upcast = crate::upcast::upcast(event_type, older, body)
                    .map_err(|problem| Unreadable::malformed(event_type, &problem))?;
                &upcast
            }
        };
        match Self::of_newest(event_type, body) {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Unreadable::malformed(event_type, &error)),
            None => Err(Unreadable::UnknownType { message_type: message_type() }),
        }
    }
}
