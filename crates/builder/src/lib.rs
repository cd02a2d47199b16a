//! Runs the programs of Nix for those effects that only Nix can have: builds, copies between
//! stores, garbage collection, profiles and activations.
//!
//! Everything starts from a [`Nix`]: which programs there are ([`Programs`]), the environment and
//! the store that they get ([`Settings`]). Each effect is a request (a plain struct), has a plan
//! (what would be run, as [`Invocation`]s, without running it), and gives a record of what
//! happened. A build that failed, was cancelled or took too long is a record like any other: the
//! error of [`cim_nix_base`] is for what could not be tried, such as for want of a program.
//!
//! What happens meanwhile is told as [`Progress`], and a flag stops it ([`Control`]). Programs run
//! in a group of processes of their own, so Ctrl-C in a terminal does not reach them: the caller
//! sets the flag. No program, and nothing that it started, goes on after a call has returned, but
//! for what it put into the background before it ended by itself. If this process is killed,
//! running programs go on without it; to ask for the same again is safe, since Nix locks what it
//! builds, and activations are made to be repeated.
//!
//! What is left to others: evaluation without Nix, records that last, and when to do what.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use cim_nix_builder::{Build, BuildEnd, Control, Environment, Nix, Programs, Settings, Source};
//!
//! let environment = Environment::inherited();
//! let nix = Nix::new(Programs::find(&environment), Settings::new("/home/me/project", environment));
//! let request = Build::new(Source::Flake { reference: ".".into(), attribute: Some("hello".into()) });
//! let cancel = AtomicBool::new(false);
//! let mut say = |progress| println!("{progress:?}");
//! let record = nix.build(&request, &mut Control::new(&cancel, &mut say))?;
//! if let BuildEnd::Built(outputs) = record.end {
//!     println!("{} in {:?}", outputs[0].path, record.duration);
//! }
//! # Ok::<(), cim_nix_base::Error>(())
//! ```
#![allow(clippy::disallowed_methods, reason = "the edge: processes, their environment and time")]

mod activation;
mod build;
mod cache;
mod command;
mod descendants;
mod garbage;
mod info;
mod nix;
mod outcome;
mod profile;
mod programs;
mod progress;
mod rebuild;
mod run;
mod text;
mod watch;

pub use activation::{
    Activation, ActivationPlan, ActivationRecord, Kind, Marker, Mode, OnFailure, PutBack, Standing,
    Step, Target,
};
pub use build::{Build, BuildEnd, BuildFailure, BuildRecord, BuiltOutput, Outputs, Source, Stage};
pub use cache::{Copy, CopyRecord, Verification};
pub use command::{Environment, Invocation};
pub use descendants::Family;
pub use garbage::{Collect, DeadGeneration, DeadPath, GarbageRecord, Old};
pub use info::PathInfo;
pub use nix::{Control, Nix, Settings};
pub use outcome::Outcome;
pub use profile::{Generation, Profile};
pub use programs::{Programs, Tool, Version};
pub use progress::{FailedBuild, Level, Progress};
pub use rebuild::{Rebuild, RebuildRecord, Verb};
pub use text::LogTail;
pub use watch::{Ran, RanEnd, new_span_id};
