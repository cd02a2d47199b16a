//! Keeps the domain's events in a stream of NATS JetStream.
//!
//! [`JetStreamStore`] implements `EventStore` of the domain for any number of programs at once: the
//! stream is the truth, and each program folds it to the same index (see `index`). Intents are files
//! of one machine and stay there: pair it with a store that keeps them (`Paired` of the domain).
//!
//! # How it writes
//!
//! One message per append, with all its events; so it is stored whole or not at all, and costs what
//! a message costs. The server compares the last message on the stream's subject; where an answer is
//! lost, the stream is read until it is clear what became of the message. All answers come on one
//! subscription (see `post`).
//!
//! # How it reads
//!
//! Each call first asks the stream's leader how far the stream is, and brings the index there. What
//! the index finds is taken from a cache of recent messages, or fetched in runs.
//!
//! # Threads
//!
//! The store has a runtime of its own, on which its connection lives, messages are made and answers
//! come in; a blocking call does the rest on the thread that it is made on, and sleeps there
//! meanwhile. That may be any thread, also one of another runtime.

// This crate talks to a server: it waits, and it keeps its index in a file.
#![allow(clippy::disallowed_methods, reason = "an adapter: waiting and files are its work")]
#![forbid(unsafe_code)]

mod append;
mod cache;
mod fault;
mod follow;
mod hash;
mod index;
mod kept;
mod models;
mod options;
mod outbox;
mod post;
mod remote;
mod saved;
mod shared;
mod store;
mod wire;

/// The client of NATS whose connections the store takes.
pub use async_nats;
pub use models::Models;
pub use options::Options;
pub use store::{JetStreamStore, Status};

/// The page about the store; its example is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/jetstream.md")]
struct Page;
