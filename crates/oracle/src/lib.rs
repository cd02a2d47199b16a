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

mod nix;
pub mod verdicts;

pub use nix::{Fault, Nix, Place, Verdict};
