//! Judges of our Nix front end that share no code with it.
//!
//! Real Nix says which programs it accepts ([`Nix`]); rnix says which tree a program has and where
//! a mutation may strike. Programs come from real files, from mutations of them and from a
//! grammar. This crate is for tests and for people who work on the parser; no product crate
//! depends on it.
//!
//! ```
//! use cim_nix_oracle::{Ours, Verdict, compare};
//!
//! let program = b"{ a = x; }";
//! let ours = Ours::judge(program);
//! assert_eq!(ours.summary(), "1:7: undefined variable 'x'");
//! // Real Nix would be asked by `Nix::judge_text`.
//! let nix = Verdict::Ok;
//! assert!(compare(&nix, &ours, program).is_err());
//! ```

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for people who work on the parser, no part of the product"
)]

mod compare;
pub mod corpus;
pub mod evaluation;
pub mod flakes;
pub mod generate;
pub mod locks;
pub mod mutate;
mod nix;
#[cfg(test)]
mod oracle;
mod ours;
pub mod printed;
mod shrink;
mod trees;
pub mod verdicts;

pub use compare::{Difference, Known, Statistics, compare};
pub use nix::{Fault, Nix, Place, Verdict};
pub use ours::{Finding, Ours, Undefined};
pub use shrink::shrink;
pub use trees::{Entry, Outcome, compare_trees, rebuilds};
