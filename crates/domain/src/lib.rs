//! The Nix domain of CIM.
//!
//! (crate documentation follows)

#![forbid(unsafe_code)]

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod identity;
mod memory;
mod staged;
mod store;
mod stream;
mod timestamp;

/// The words of Nix's store and of flakes.
pub use cim_nix_model as model;
pub use identity::{MessageId, MessageIdentity, NoMessageId};
pub use memory::MemoryStore;
pub use staged::Staged;
pub use store::{
    Append, Appended, EventStore, Expected, Intent, IntentStore, NewEvent, Outgoing, Progress,
    Projection, Record, Rows, Snapshot, StoreError, Subscription, Visit,
};
pub use stream::{Kind, NoStream, StreamId};
pub use timestamp::{NoTimestamp, Timestamp};
pub use uuid::Uuid;
