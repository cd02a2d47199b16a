//! The Nix language, evaluated lazily over the shared IR.
//!
//! An [`Evaluation`] owns one heap and sees the world through [`Io`]. Names are turned into slots
//! once per file; values are 8-byte words; nothing is collected, since most evaluations end before
//! that would pay. Values leave as text or JSON.
//!
//! ```
//! use std::path::Path;
//!
//! use cim_nix_eval::{Evaluation, Format, MemoryIo, Settings, with_stack};
//!
//! let json = with_stack(|| {
//!     let files = MemoryIo::new()
//!         .with_file("/p/default.nix", "{ port ? 80 }: { url = \"http://localhost:${toString port}\"; }");
//!     let evaluation = Evaluation::new(Settings::default(), Box::new(files), Box::new(|_| {}));
//!     let function = evaluation.file(Path::new("/p"))?;
//!     let port = evaluation.text("8000 + 80", Path::new("/p"))?;
//!     let set = evaluation.auto_call(function, &[("port".to_owned(), port)])?;
//!     evaluation.write(set, Format::Json, true)
//! })??;
//! assert_eq!(json, br#"{"url":"http://localhost:8080"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attrs;
mod builtins;
mod code;
mod contexts;
mod error;
mod eval;
mod evaluator;
mod fetching;
mod flake_file;
mod heap;
mod io;
mod link;
mod load;
mod locking;
mod look;
mod memory;
mod naming;
mod ops;
mod parses;
mod paths;
mod print;
mod regex;
mod session;
mod stack;
mod store;
mod symbols;
#[cfg(test)]
mod tests;
mod value;
mod world;

pub use error::{ErrorKind, EvalError, Frame, Place, Weight};
pub use evaluator::{Interrupt, Settings, Stop};
pub use io::{Fetched, FileKind, Io, Tracked};
pub use load::{Lint, Lints};
pub use locking::{FlakeOptions, GivenLockFile, LockedFlake};
pub use look::{File, Look};
pub use memory::MemoryIo;
pub use parses::SharedParses;
pub use session::{Evaluation, Format, Handle, with_stack};
