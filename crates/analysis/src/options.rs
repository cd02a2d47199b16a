//! What evaluation knows of options, for the rules that ask it.
//!
//! Only evaluation can tell which options there are and what they take. Whoever has evaluated a
//! configuration hands its options over as an [`OptionTable`]; rules then hold what a module sets
//! against it. Without a table these rules are silent.

mod fit;
mod held;
mod kinds;
mod table;

pub(crate) use fit::misfit;
pub(crate) use held::Held;
pub use kinds::OptionType;
pub(crate) use table::Lookup;
pub use table::{OptionFact, OptionTable};
