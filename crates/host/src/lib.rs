//! This machine, as the application sees it: files, clock, and the worker that evaluates and builds.
//!
//! Who runs commands for others ([`Here`]) links neither the evaluator nor the formatters. What
//! evaluates, locks, fetches, checks or runs Nix is asked of a process of its own, `cim-nix worker`,
//! one request a process ([`Worker`], [`protocol`]): a bomb takes that process down and nothing
//! else. What a command may name at all is decided before, by [`Limits`].
//!
//! The command line uses [`Disk`] and [`Machine`] from here, and does the rest by itself.
//!
//! ```no_run
//! use cim_nix_host::{Here, Settings, Worker};
//!
//! let worker = Worker::find(None)?;
//! let here = Here::new(Settings::new("/srv/tenants/acme/project", "/srv/tenants/acme/state"), worker)?;
//! # Ok::<(), cim_nix_base::Error>(())
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "the edge: files, the clock and processes")]

mod disk;
mod here;
mod limits;
mod machine;
pub mod protocol;
pub mod sources;
mod worker;

pub use disk::Disk;
pub use here::{Here, Settings};
pub use limits::{FORMATTERS, Limits};
pub use machine::{Machine, new_id};
pub use worker::{Ran, RanEnd, Tracing, Worker, dependency_of};
