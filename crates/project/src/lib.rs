//! Which files belong to a Nix project.
//!
//! [`discover`] walks folders through the [`Files`] trait, obeys gitignore rules and `exclude`
//! patterns and answers with sorted [`SourceFile`]s; what could not be looked at is a [`Trouble`],
//! never an abort. A [`Snapshot`] shares that list cheaply, [`for_each`] works through it on all
//! cores, [`generated_reason`] tells files that a tool wrote from those that people wrote, and
//! [`encrypted_reason`] those that are no code before somebody decrypts them.
//! [`summarise`] says which other files a parsed file refers to, and [`ImportGraph`] links all such
//! summaries: what leads where, what is missing, what imports itself.
//!
//! This crate does no I/O of its own: the disk lives behind [`Files`] in `vfs`, and
//! [`MemoryFiles`] stands in for it in tests.
//!
//! ```
//! use cim_nix_project::{MemoryFiles, Request, Snapshot, discover};
//!
//! let files = MemoryFiles::fixture(
//!     "\
//! //- /home/me/flake.nix
//! { outputs = _: { }; }
//! //- /home/me/.gitignore
//! /vendor
//! //- /home/me/vendor/big.nix
//! 1
//! ",
//! );
//! let found = discover(&files, &Request::new(["/home/me"]));
//! assert_eq!(found.files.len(), 1);
//! assert_eq!(found.left_out.ignored, 1);
//!
//! let snapshot = Snapshot::new("/home/me", found.files);
//! assert!(snapshot.find("/home/me/flake.nix".as_ref()).is_some());
//! ```

mod discover;
mod encrypted;
mod files;
mod generated;
mod graph;
mod imports;
mod memory;
mod parallel;
mod patterns;
mod rules;
mod snapshot;

pub use discover::{Discovery, LeftOut, Request, Trouble, discover};
pub use encrypted::encrypted_reason;
pub use files::{EntryKind, Files, Problem};
pub use generated::generated_reason;
pub use graph::{
    Cycle, Destination, Folder, Host, ImportEdge, ImportGraph, Lack, Missing, Outside, hosts,
};
pub use imports::{Reference, ReferenceKind, Strict, Summary, Target, summarise};
pub use memory::MemoryFiles;
pub use parallel::{Panicked, Workers, for_each};
pub use rules::Excludes;
pub use snapshot::{FileId, Snapshot, SourceFile};
