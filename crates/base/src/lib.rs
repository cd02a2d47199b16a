//! Words that every crate of cim-nix shares.
//!
//! Three currencies flow through the program: a [`Diagnostic`] says what was found at a place,
//! a [`ChangeSet`] says what should change on disk, and (once the evaluator lands) `Data` carries
//! values. This crate defines them together with text positions, content hashes, graphs and the
//! error type of the edge. It does no I/O and knows nothing about Nix.
//!
//! ```
//! use cim_nix_base::{LineIndex, TextRange};
//!
//! let text = "let\n  x = 1;\nin x";
//! let index = LineIndex::new(text);
//! let x = TextRange::new(6, 7);
//! assert_eq!(&text[x.as_usize()], "x");
//! assert_eq!((index.position(text, x.start).line, index.position(text, x.start).column), (1, 2));
//! ```

mod changeset;
mod diagnostic;
mod error;
mod graph;
mod hash;
mod ledger;
mod text;

pub use changeset::{Change, ChangeSet, FileMode, Op, TextEdit, apply_edits, unified_diff};
pub use diagnostic::{Applicability, Code, Diagnostic, FileReport, Fix, Label, Related, Severity};
pub use error::{Error, ErrorKind};
pub use graph::{Edge, Graph, GraphNode, TooLarge};
pub use hash::ContentHash;
pub use ledger::Ledger;
pub use text::{LineIndex, Position, TextRange, TextSize};
