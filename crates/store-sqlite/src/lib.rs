//! Keeps the domain's events, intents, blobs and read models in one SQLite file.
//!
//! [`SqliteStore`] implements the traits of the domain and adds what only a file can do: checking,
//! backups, export and import. What events mean is left to the domain.
//!
//! # How it writes
//!
//! One connection writes. Callers queue up; whoever finds nobody writing takes all that wait,
//! writes them in one transaction and answers the others (group commit): many writers share one
//! flush of the disk, and a lone one neither waits nor is handed to another thread. Each request of
//! a group is judged alone: a conflict leaves its neighbours be. In the same transaction intents
//! are closed and registered projections moved.
//!
//! # How it reads
//!
//! Each read takes a connection of its own from a pool and sees one moment, however long it takes;
//! nobody waits for a reader. Rows go to the visitor as SQLite finds them, nothing is collected.
//!
//! # Files
//!
//! The store is `PATH`; while it is open, `PATH-wal` and `PATH-shm` belong to it and must not be
//! removed or copied alone. Several processes may use one store, on a local disk.

// This crate is the one that talks to the database, and so to the disk and the clock.
#![allow(clippy::disallowed_methods, reason = "an adapter: files and waiting are its work")]
#![forbid(unsafe_code)]

mod backup;
mod decode;
mod export;
mod fault;
mod follow;
mod group;
mod import;
mod integrity;
mod intents;
mod lines;
mod log;
mod models;
mod open;
mod packed;
mod partial;
mod reach;
mod read;
mod schema;
mod store;
mod tail;
mod upgrade;
mod write;

pub use integrity::Integrity;
pub use lines::Moved;
pub use open::Options;
pub use store::SqliteStore;

/// The page about the store; its example is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/store.md")]
struct Page;
