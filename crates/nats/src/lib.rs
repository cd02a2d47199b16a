//! The Nix domain on NATS: subjects, permissions, serving, publishing.
//!
//! [`Nats::start`] takes commands and queries of the tenants of a `Service` through queue groups,
//! replies, and publishes the events of their stores. Where a tenant's subjects are is what a
//! [`SubjectSpace`] says; [`Pattern`] knows what subjects with wildcards have in common.
//!
//! # A command's way
//!
//! 1. It comes on `nix.cmd.KIND.ACTION`, to one instance of the queue group.
//! 2. Headers and body are read; what is too large, malformed or on no known subject is refused.
//! 3. The service runs it. Its progress goes to `nix.progress.ID`, its reply to whoever asked.
//! 4. Its events are in the store, and go from there to `nix.event.KIND.ACTION`, in order, until the
//!    server has acknowledged each.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "it talks to servers: it waits, measures, and reads secrets from files"
)]

mod about;
mod client;
mod connection;
mod desk;
pub mod foreign;
mod nats;
mod outbox;
mod pattern;
mod permissions;
mod server_config;
mod settings;
mod space;
mod stats;
mod stream;
mod wire;

pub use client::{Asking, check_settings, connect_client};
pub use nats::{ConnectionHealth, Nats};
pub use pattern::{NoPattern, Pattern};
pub use permissions::{Hearing, Permissions};
pub use server_config::{Credential, JetStreamLimits, TenantUsers, User, server_config};
pub use settings::{ForeignSettings, Login, NatsSettings, Secret, StreamSettings, Tls};
pub use space::{Place, SubjectSpace, TenantsBy};
