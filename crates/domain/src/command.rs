//! Commands: what somebody wants to happen, in the imperative. Sixteen are on the wire of other
//! services; the rest are what people do to code by hand.
//!
//! Names and paths are checked when a command is decided upon, so a command from the wire is read
//! whatever it says, and its refusal names the command.

use std::collections::BTreeMap;

use cim_nix_model::AttributePath;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ActivationType, Kind, MessageIdentity, NixModule, NixOSConfiguration, Overlay, StreamId,
    Timestamp, Unreadable,
};

/// What a module of a flake is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ModuleClass {
    /// NixOS.
    #[default]
    Nixos,
    /// Home Manager.
    Home,
    /// nix-darwin.
    Darwin,
    /// flake-parts.
    Flake,
}

fn is_nixos(class: &ModuleClass) -> bool {
    *class == ModuleClass::Nixos
}

/// An edit to a flake that has no command of its own in the contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FlakeEdit {
    /// An input comes from elsewhere.
    RetargetInput {
        /// The input.
        name: String,
        /// Where it comes from.
        url: String,
    },
    /// An input gets another name, wherever it is used.
    RenameInput {
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
        /// Whether to go on where all inputs are handed on as a whole, so that other files may use
        /// the former name.
        #[serde(default, skip_serializing_if = "is_false")]
        even_if_handed_on: bool,
    },
    /// An input of an input is the same as another one of the flake.
    SetFollows {
        /// The path of the input, `a/b` for the input `b` of the input `a`.
        input: String,
        /// The path of what it follows; empty for nothing at all.
        target: String,
    },
    /// An input of an input is its own again.
    RemoveFollows {
        /// The path of the input.
        input: String,
    },
    /// Inputs that are locked several times follow one.
    DedupeInputs,
    /// The flake says something else of itself.
    SetDescription {
        /// What.
        description: String,
    },
    /// The flake has an output more.
    AddOutput {
        /// Its path below the outputs.
        #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
        attribute: AttributePath,
        /// Its value as code.
        expression: String,
    },
    /// The outputs are for one more system.
    AddSystem {
        /// The system.
        system: String,
    },
    /// The flake has an overlay more.
    AddOverlay {
        /// Its name.
        name: String,
        /// Its value as code.
        expression: String,
    },
    /// The flake has a module more.
    AddModule {
        /// What it is for.
        #[serde(default, skip_serializing_if = "is_nixos")]
        class: ModuleClass,
        /// Its name.
        name: String,
        /// Its value as code.
        expression: String,
    },
    /// What the lock file lacks is locked; nothing else moves.
    Lock,
}

macro_rules! commands {
    ($(
        $(#[$doc:meta])*
        $name:ident: $kind:ident $action:literal $(contract $contract:literal)? {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        } |$c:ident| $stream:expr;
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
                /// Which message it is, and who caused it.
                pub identity: MessageIdentity,
            }

            impl From<$name> for Command {
                fn from(command: $name) -> Self {
                    Self::$name(command)
                }
            }
        )*

        /// Any command.
        #[derive(Clone, PartialEq, Debug)]
        #[expect(missing_docs, reason = "each is the name of its struct, which is documented")]
        pub enum Command {
            $($name($name),)*
        }

        impl Command {
            /// The schemas of all types, by name.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$((stringify!($name), crate::schema::of::<$name>()),)*]
            }

            /// The names of all types of commands, those of the contract first.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The name of its type.
            #[must_use]
            pub fn command_type(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// The kind of the aggregate that it is for.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$kind,)* }
            }

            /// What is wanted, as in its subject: `add_input`.
            #[must_use]
            pub fn action(&self) -> &'static str {
                match self { $(Self::$name(_) => $action,)* }
            }

            /// Which message it is, and who caused it.
            #[must_use]
            pub fn identity(&self) -> &MessageIdentity {
                match self { $(Self::$name(command) => &command.identity,)* }
            }

            /// The stream that its events will stand in.
            #[must_use]
            pub fn stream(&self) -> StreamId {
                match self { $(Self::$name($c) => $stream,)* }
            }

            /// Its body as JSON.
            ///
            /// Errors: a number that JSON cannot write, such as infinity.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$name(command) => serde_json::to_string(command),)* }
            }

            /// Reads the body of a command.
            ///
            /// Errors: the type is not known, or the body does not have its shape.
            pub fn read(command_type: &str, body: &str) -> Result<Self, Unreadable> {
                let read = match command_type {
                    $(stringify!($name) => {
                        Unreadable::check_object(command_type, body)?;
                        serde_json::from_str(body).map(Self::$name)
                    })*
                    _ => {
                        let message_type = command_type.to_owned();
                        return Err(Unreadable::UnknownType { message_type });
                    }
                };
                read.map_err(|error| Unreadable::malformed(command_type, &error))
            }

            /// The subject on which other services send a type of commands.
            #[must_use]
            pub fn subject_of(command_type: &str) -> Option<&'static str> {
                match command_type {
                    $(stringify!($name) => commands!(@subject $($contract)?),)*
                    _ => None,
                }
            }
        }
    };
    (@subject) => { None };
    (@subject $contract:literal) => { Some($contract) };
}

/// The stream of the flake in a folder.
fn flake(path: &str) -> StreamId {
    StreamId::of(Kind::Flake, &[path])
}

/// The stream of a named thing of a project. An id that the command may have plays no part: two
/// commands about one name are about one thing.
fn named(kind: Kind, project: &str, name: &str) -> StreamId {
    StreamId::of(kind, &[project, name])
}

/// The stream of one run of something: its id is that of the command.
fn run(kind: Kind, identity: &MessageIdentity) -> StreamId {
    match identity.message_id.uuid() {
        Some(id) => StreamId::new(kind, id),
        None => StreamId::of(kind, &[&identity.message_id.to_string()]),
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_true(value: &bool) -> bool {
    *value
}

fn yes() -> bool {
    true
}

commands! {
    /// Make a flake in a folder.
    CreateFlake: Flake "create" contract "nix.cmd.flake.create" {
        /// The folder.
        path: String,
        /// What the flake says of itself.
        description: String,
        /// The template to make it from; a small one is built in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<String>,
    } |c| flake(&c.path);
    /// Change what a flake says, or move what its inputs are locked to.
    UpdateFlake: Flake "update" contract "nix.cmd.flake.update" {
        /// The folder.
        path: String,
        /// What to change; the lock file is updated if this is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<FlakeEdit>,
        /// The inputs to update; all for none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inputs: Vec<String>,
        /// Whether the lock file follows an edit at once.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        lock: bool,
    } |c| flake(&c.path);
    /// Give a flake an input.
    AddFlakeInput: Flake "add_input" contract "nix.cmd.flake.add_input" {
        /// The folder.
        path: String,
        /// The input.
        name: String,
        /// Where it comes from.
        url: String,
        /// Inputs of the input that follow others of the flake.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        follows: BTreeMap<String, String>,
        /// Whether the input is a flake itself.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        flake: bool,
        /// Whether the lock file follows at once.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        lock: bool,
    } |c| flake(&c.path);
    /// Take an input from a flake.
    RemoveFlakeInput: Flake "remove_input" contract "nix.cmd.flake.remove_input" {
        /// The folder.
        path: String,
        /// The input.
        name: String,
        /// Whether the lock file follows at once.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        lock: bool,
    } |c| flake(&c.path);
    /// Build a package.
    BuildPackage: Package "build" contract "nix.cmd.package.build" {
        /// The flake, or the file, that it is in.
        flake_ref: String,
        /// Which one.
        #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
        attribute: AttributePath,
        /// The link to what was built; none is made if this is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_path: Option<String>,
    } |c| StreamId::of(Kind::Package, &[&c.flake_ref, &c.attribute.to_string()]);
    /// Copy what a package's build made to a cache, or from one.
    CachePackage: Package "cache" contract "nix.cmd.package.cache" {
        /// The flake, or the file, that it is in.
        flake_ref: String,
        /// Which one.
        #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Path"))]
        attribute: AttributePath,
        /// The cache: a store's URL.
        cache: String,
        /// Whether to copy from the cache instead of to it.
        #[serde(default)]
        is_download: bool,
    } |c| StreamId::of(Kind::Package, &[&c.flake_ref, &c.attribute.to_string()]);
    /// Make a module.
    CreateModule: Module "create" contract "nix.cmd.module.create" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The module.
        module: NixModule,
    } |c| named(Kind::Module, &c.project, &c.name);
    /// Change a module.
    UpdateModule: Module "update" contract "nix.cmd.module.update" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The module as it shall be.
        module: NixModule,
    } |c| named(Kind::Module, &c.project, &c.name);
    /// Remove a module.
    DeleteModule: Module "delete" contract "nix.cmd.module.delete" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
    } |c| named(Kind::Module, &c.project, &c.name);
    /// Make an overlay.
    CreateOverlay: Overlay "create" contract "nix.cmd.overlay.create" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The overlay.
        overlay: Overlay,
    } |c| named(Kind::Overlay, &c.project, &c.name);
    /// Change an overlay.
    UpdateOverlay: Overlay "update" contract "nix.cmd.overlay.update" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The overlay as it shall be.
        overlay: Overlay,
    } |c| named(Kind::Overlay, &c.project, &c.name);
    /// Remove an overlay.
    DeleteOverlay: Overlay "delete" contract "nix.cmd.overlay.delete" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
    } |c| named(Kind::Overlay, &c.project, &c.name);
    /// Make the configuration of a machine or a home.
    CreateConfiguration: Configuration "create" contract "nix.cmd.config.create" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The configuration.
        configuration: NixOSConfiguration,
    } |c| named(Kind::Configuration, &c.project, &c.name);
    /// Change the configuration of a machine or a home.
    UpdateConfiguration: Configuration "update" contract "nix.cmd.config.update" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The configuration as it shall be.
        configuration: NixOSConfiguration,
    } |c| named(Kind::Configuration, &c.project, &c.name);
    /// Build a configuration and put it into force.
    ActivateConfiguration: Configuration "activate" contract "nix.cmd.config.activate" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// What becomes of it.
        activation_type: ActivationType,
        /// The profile that gets the generation; that of the system or the home if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<String>,
        /// A store path that is activated as it is, instead of building the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store_path: Option<String>,
    } |c| named(Kind::Configuration, &c.project, &c.name);
    /// Go back to a former generation.
    RollbackConfiguration: Configuration "rollback" contract "nix.cmd.config.rollback" {
        /// The project's folder.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        project: String,
        /// Its name.
        name: String,
        /// The generation; the one before the present if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<u32>,
        /// The profile; the one that was last used if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<String>,
    } |c| named(Kind::Configuration, &c.project, &c.name);
    /// Check the code of a project, and note what was found.
    CheckFlake: Project "check" {
        /// The folder.
        path: String,
    } |c| StreamId::of(Kind::Project, &[&c.path]);
    /// Mend what checks find.
    FixProject: Project "fix" {
        /// The folder.
        path: String,
        /// The rules whose fixes are wanted; those of the project's settings for none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        select: Vec<String>,
        /// Whether fixes are applied that may change what code means.
        #[serde(default)]
        unsafe_fixes: bool,
    } |c| StreamId::of(Kind::Project, &[&c.path]);
    /// Lay files out anew.
    FormatProject: Project "format" {
        /// The folder.
        path: String,
        /// The formatter; that of the project if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        formatter: Option<String>,
    } |c| StreamId::of(Kind::Project, &[&c.path]);
    /// Change a name wherever it is used.
    RenameSymbol: Project "rename" {
        /// The folder.
        path: String,
        /// The file that the name is bound in, relative to the folder.
        file: String,
        /// Byte of the file at which the name stands.
        offset: u32,
        /// The new name.
        to: String,
        /// Whether to go on where other code may ask for the old name.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        even_if_used_elsewhere: bool,
    } |c| StreamId::of(Kind::Project, &[&c.path]);
    /// Evaluate an expression.
    EvaluateExpression: Evaluation "evaluate" {
        /// The expression.
        expression: String,
    } |c| run(Kind::Evaluation, &c.identity);
    /// Remove store paths that nothing needs.
    RunGarbageCollection: Collection "collect" {
        /// Generations of profiles that are older go first; none for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        older_than_days: Option<u32>,
    } |c| run(Kind::Collection, &c.identity);
}

/// A command or a query with who issued it, as other services send it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandEnvelope<C> {
    /// The id of the command.
    pub id: EntityId,
    /// The command.
    pub command: C,
    /// Who issued it.
    pub issued_by: String,
    /// Which message it is, and who caused it.
    pub identity: MessageIdentity,
}

/// An id as other services write those of entities: `{"id": ".."}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntityId {
    /// The id.
    pub id: Uuid,
}

/// Whether a command was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AcknowledgmentStatus {
    /// It was, and its events are stored.
    Accepted,
    /// It was not, and nothing has changed.
    Rejected,
}

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandAcknowledgment {
    /// The command.
    pub command_id: EntityId,
    /// The conversation.
    pub correlation_id: crate::MessageId,
    /// Whether it was taken.
    pub status: AcknowledgmentStatus,
    /// Why not.
    pub reason: Option<String>,
}

/// When events of a decision happen and what they are called.
pub struct Draft<'a> {
    /// The command's identity, which causes them.
    pub cause: &'a MessageIdentity,
    /// When they happen.
    pub at: Timestamp,
    /// Gives an id that nobody has used.
    pub new_id: &'a mut dyn FnMut() -> Uuid,
}

impl Draft<'_> {
    /// The identity of the next event.
    pub(crate) fn identity(&mut self) -> MessageIdentity {
        self.cause.caused((self.new_id)())
    }
}

impl std::fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("cause", self.cause).field("at", &self.at).finish()
    }
}
