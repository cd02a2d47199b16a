//! Judges of our Nix front end that share no code with it.
//!
//! Real Nix says which programs it accepts ([`Nix`]); rnix says which tree a program has and where
//! a mutation may strike. Programs come from real files, from mutations of them and from a
//! grammar. This crate is for tests and for people who work on the parser; no product crate
//! depends on it.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for people who work on the parser, no part of the product"
)]

mod compare;
pub mod corpus;
mod first_name;
pub mod generate;
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
