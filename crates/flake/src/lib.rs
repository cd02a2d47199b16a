//! What a flake says of itself: `flake.nix` as it is written, `flake.lock`, and whether they fit.
//!
//! [`FlakeFile`] is a view of the tree that keeps the place of every word, since Nix reads the inputs
//! of a flake without evaluating anything; whatever it would refuse is a [`Fault`]. [`Lock`] is the
//! lock file in whatever state it is, and [`Relock`] is what Nix would make of both without fetching
//! anything. Reading files is left to others, and so are findings.
//!
//! ```
//! use cim_nix_flake::{FlakeFile, Lock, Relock};
//!
//! let text = "{ inputs.a.url = \"github:o/a\"; outputs = { self, a }: { }; }";
//! let flake = FlakeFile::read(&cim_nix_syntax::parse(text).tree).unwrap();
//! let url = flake.inputs[0].url.as_ref().unwrap();
//! assert_eq!(&text[url.range.as_usize()], "\"github:o/a\"");
//!
//! let lock = Lock::parse(r#"{"version":7,"root":"root","nodes":{"root":{}}}"#);
//! let Lock::Read(old) = &lock else { panic!() };
//! let relock = Relock::of(&flake.declared(), old).unwrap();
//! assert_eq!(relock.changes(old)[0].path, ["a"]);
//! ```

mod copies;
pub mod edit;
mod file;
mod identity;
mod inputs;
mod lock;
mod picture;
mod relock;

pub use copies::{Copy, copies};
pub use file::{Argument, Fault, FlakeFile, FormalName, Outputs, Placed};
pub use identity::{Repository, is_same_source};
pub use inputs::{Input, MAX_NESTING};
pub use lock::{Lock, MAX_NODES, Unfixed, unfixed};
pub use picture::{InputGraph, date, days, paths, picture};
pub use relock::{Change, Lead, Relock};
