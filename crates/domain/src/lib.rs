//! The Nix domain of CIM: what may happen to flakes, packages, modules, overlays, configurations and
//! the code of projects, what has happened, and what is the case.
//!
//! The crate is a library of words and of pure functions. It reads no file, asks no clock and knows no
//! runtime; whoever uses it brings all three, and a place for the events. What is where:
//!
//! * [`command`], [`event`] and [`query`] have the messages, as other services write them: 16
//!   commands, 16 events and 14 queries on the 46 [`Subject`]s, and some that only this product has.
//!   [`headers`] is what travels with them, [`MessageIdentity`] says who caused whom.
//! * [`aggregate`] has the [`Decider`]s: given a state, a command and the [`Evidence`] of what it
//!   would change, `decide` answers with events or a [`Rejection`], and `evolve` folds events to the
//!   state. [`State`] is any of them.
//! * [`undo`](undo()) gives the event that takes another one back; [`UndoStack`] knows which is next.
//! * [`EventStore`] says what a store has to do, [`MemoryStore`] does it in memory, and the feature
//!   `contract` has the tests that every store has to pass. [`Paired`] keeps events in one store and
//!   intents in another, [`copy`](copy()) brings all events to another store.
//! * [`projection`] has the read models and [`ask`] the answers to queries.
//! * The feature `schema` has JSON Schemas of all messages.
//!
//! Nothing here trusts its input: names and paths are checked when a command is decided upon, and any
//! bytes may come as a body.
//!
//! # Example
//!
//! A flake is made, and what happened is read back from its JSON.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use cim_domain_nix::command::CreateFlake;
//! use cim_domain_nix::{
//!     Command, Draft, Event, Evidence, FlakeFacts, MessageIdentity, State, Timestamp, Uuid,
//! };
//!
//! // Somebody wants a flake.
//! let command: Command = CreateFlake {
//!     path: "/home/ann/fleet".to_owned(),
//!     description: "machines of the shop".to_owned(),
//!     template: None,
//!     identity: MessageIdentity::root(Uuid::now_v7()),
//! }
//! .into();
//!
//! // Its stream has no events yet, so its state is the empty one.
//! let stream = command.stream();
//! let mut state = State::empty(&stream.kind);
//!
//! // What whoever runs the command has found out: no flake is there, and this is what it will say.
//! let after = FlakeFacts { description: "machines of the shop".to_owned(), inputs: BTreeMap::new() };
//! let evidence = Evidence::Flake { before: None, after, locks: Vec::new(), changes: Vec::new() };
//!
//! // The decision: time and ids come from outside.
//! let mut draft = Draft {
//!     cause: command.identity(),
//!     at: Timestamp::from_micros(1_795_530_059_000_000),
//!     new_id: &mut Uuid::now_v7,
//! };
//! let events = state.decide(&command, &evidence, &mut draft)?;
//! assert_eq!(events[0].event_type(), "FlakeCreated");
//! assert_eq!(events[0].identity().causation_id, command.identity().message_id);
//!
//! // What is stored or sent is JSON; read back, it leads to the state.
//! let body = events[0].to_json()?;
//! let event = Event::read("FlakeCreated", events[0].schema(), &body)?;
//! state.evolve(&event);
//! let State::Flake(flake) = &state else { unreachable!("the stream is a flake's") };
//! assert_eq!(flake.0.as_ref().map(|flake| flake.path.as_str()), Some("/home/ann/fleet"));
//!
//! // Where the flake is there, it is not made again.
//! let evidence = Evidence::Flake {
//!     before: Some(FlakeFacts::default()),
//!     after: FlakeFacts::default(),
//!     locks: Vec::new(),
//!     changes: Vec::new(),
//! };
//! let refused = state.decide(&command, &evidence, &mut draft).unwrap_err();
//! assert_eq!(refused.to_string(), "the flake in `/home/ann/fleet` exists already");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod paired;
pub mod projection;
pub mod query;
mod reading;
#[cfg(feature = "schema")]
pub mod schema;
mod staged;
mod store;
mod stream;
mod subject;
mod timestamp;
mod transfer;
mod undo;
mod upcast;
mod value;

pub use aggregate::{
    BuildState, Configuration, ConfigurationState, Flake, FlakeState, GenerationState, Module,
    OverlayAggregate, Package, Project,
};
pub use answer::{QueryError, ask};
pub use change::{
    FileChange, Irrevocable, Modes, UnspeakablePath, file_changes, is_project_path, reverted,
};
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
pub use paired::Paired;
pub use query::{Answer, Query, QueryEnvelope, QueryResponse};
pub use reading::Reading;
pub use staged::Staged;
pub use store::{
    Announced, Append, Appended, EventStore, Expected, Intent, IntentStore, NewEvent, Outgoing,
    Progress, Projection, Record, Rows, Snapshot, StoreError, Subscription, Visit,
};
pub use stream::{Kind, NoStream, StreamId};
pub use subject::{NoSubject, Role, Subject};
pub use timestamp::{NoTimestamp, Timestamp};
pub use transfer::{Copied, copy};
pub use undo::{NotUndoable, UndoStack, is_undoable, undo};
pub use uuid::Uuid;
pub use value::{
    ActivationType, BuiltOutput, ConfigurationKind, FlakeInputs, FlakeOutputs, ModuleOption,
    NixModule, NixOSConfiguration, Overlay, Took, package_name,
};
