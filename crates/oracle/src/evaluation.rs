//! Expressions that real Nix and our evaluator evaluate, to compare what they are worth.
//!
//! [`Generator`] makes them, [`Judge`] asks Nix, [`ours`] asks our evaluator, [`compare`] says
//! whether the answers agree, and [`Census`] counts what was tried.

mod answer;
mod census;
mod compare;
mod errors;
mod generate;
mod grammar;
mod judge;
mod old;
pub mod ours;
mod recorded;
#[cfg(test)]
mod tests;
mod types;
mod world;

pub use answer::{Answer, Failure, Outcome};
pub use census::Census;
pub use compare::{Known, Verdict, compare};
pub use generate::Generator;
pub use judge::{Calls, Judge};
pub use old::{OldAnswer, old_agrees, old_answers};
pub use recorded::{Recorded, read_lines, render_line};
pub use world::{ROOT, path_of, prepare};

use cim_nix_base::Error;

/// Writes expressions to their files, the first to slot `first`.
///
/// Errors: a file cannot be written.
pub fn write<T: AsRef<str>>(first: usize, texts: &[T]) -> Result<Vec<usize>, Error> {
    let slots = first..first + texts.len();
    for (slot, text) in slots.clone().zip(texts) {
        world::write_expression(slot, text.as_ref())?;
    }
    Ok(slots.collect())
}
