//! The Nix domain of CIM.
//!
//! (crate documentation follows)

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod answer;
mod change;
pub mod command;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod decide;
pub mod event;
pub mod headers;
mod identity;
mod lifecycle;
mod memory;
mod nix_value;
pub mod projection;
pub mod query;
#[cfg(feature = "schema")]
pub mod schema;
mod staged;
mod store;
mod stream;
mod subject;
mod timestamp;
mod undo;
mod upcast;
mod value;

pub use aggregate::{
    BuildState, Configuration, ConfigurationState, Flake, FlakeState, GenerationState, Module,
    OverlayAggregate, Package, Project,
};
pub use answer::{QueryError, ask};
pub use change::{FileChange, Modes, UnspeakablePath, file_changes, reverted};
/// The words of Nix's store and of flakes.
pub use cim_nix_model as model;
pub use command::{
    AcknowledgmentStatus, Command, CommandAcknowledgment, CommandEnvelope, Draft, EntityId,
    FlakeEdit, ModuleClass,
};
pub use decide::{Decider, Evidence, FlakeFacts, Rejection, State};
pub use event::{Event, FailureReason, Findings, LockChange, Unreadable};
pub use identity::{MessageId, MessageIdentity, NoMessageId};
pub use lifecycle::Transition;
pub use memory::MemoryStore;
pub use nix_value::NixValue;
pub use query::{Answer, Query, QueryEnvelope, QueryResponse};
pub use staged::Staged;
pub use store::{
    Append, Appended, EventStore, Expected, Intent, IntentStore, NewEvent, Outgoing, Progress,
    Projection, Record, Rows, Snapshot, StoreError, Subscription, Visit,
};
pub use stream::{Kind, NoStream, StreamId};
pub use subject::{NoSubject, Role, Subject};
pub use timestamp::{NoTimestamp, Timestamp};
pub use undo::{NotUndoable, UndoStack, is_undoable, undo};
pub use uuid::Uuid;
pub use value::{
    ActivationType, BuiltOutput, ConfigurationKind, FlakeInputs, FlakeOutputs, ModuleOption,
    NixModule, NixOSConfiguration, Overlay, Took, package_name,
};
