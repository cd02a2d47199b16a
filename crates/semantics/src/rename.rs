//! Renaming what a name in a file stands for, wherever the file speaks of it.
//!
//! A name is more than its variables: an attribute of a recursive set is selected as well, and a name
//! in a pattern is what callers pass. So a renaming begins with one thing (a [`Slot`]) and takes in
//! every other that has to be called the same: [`Search`] follows values through names, selections and
//! calls as far as that is certain, and notes each place at which it is not. Where there is such a
//! place, other code may ask for the old name, and the renaming is refused unless that is accepted.
//!
//! What comes out is proven: the new text is lowered again, and both IRs are walked together; every
//! variable has to refer to the same thing as before, and nothing else may differ. What this finds is
//! the reason of a refusal: a use that something else would catch, or something that would be caught.

mod proof;
mod refusal;
mod search;
mod spelling;

use cim_nix_base::{Diagnostic, Severity, TextEdit, TextRange, apply_edits};
use cim_nix_syntax::build::is_bare_name;
use cim_nix_syntax::edit::{self, EditError, Occurrence, Role};
use cim_nix_syntax::{Parse, Tree};

pub use refusal::{CannotRename, Why};
use search::Search;

use crate::ir::{BindingId, Ir, SetId};
use crate::symbols::OPERATOR_NAMES;

/// A renaming that is proven to keep what the file means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renaming {
    /// The name before.
    pub from: String,
    /// The places of the name.
    pub places: Vec<TextRange>,
    /// The changes; none if the new name is the old one.
    pub edits: Vec<TextEdit>,
    /// Places from which other code may ask for the old name.
    pub elsewhere: Vec<(TextRange, Why)>,
}

/// A thing that has a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Slot {
    /// A parameter, the name beside `@`, or a name of a `let`: only variables speak of it.
    Variable(BindingId),
    /// A name in a pattern, which callers pass.
    Formal(BindingId),
    /// An attribute, by its place in [`Ir::attrs`].
    Attr(SetId, u32),
}

/// Renames what the name at byte `offset` of the file stands for to `new`.
///
/// In `inherit x;` that is the variable outside, in `inherit (set) x;` what is defined there.
/// `ir` is what the tree was lowered to. Where other code may ask for the old name, the renaming is
/// refused unless `even_if_used_elsewhere`.
///
/// Cost: linear in the size of the file but for the ways that a set goes through names, which are
/// followed up to a limit.
///
/// Errors: see [`CannotRename`].
pub fn rename(
    parsed: &Parse,
    ir: &Ir,
    offset: u32,
    new: &str,
    even_if_used_elsewhere: bool,
) -> Result<Renaming, CannotRename> {
    let tree = &parsed.tree;
    check_sound(parsed, ir)?;
    let mut search = Search::new(tree, ir);
    let (first, old) = search.slot_at(offset)?;
    if OPERATOR_NAMES.contains(&new) || new == "__curPos" {
        return Err(CannotRename::Reserved(new.to_owned()));
    }
    if !(is_bare_name(new) && new != "or") {
        return Err(CannotRename::InvalidName(new.to_owned()));
    }
    search.run(first, &old, new)?;
    let places = search.occurrences.keys().copied().collect();
    let elsewhere: Vec<_> = search.escapes.iter().map(|(range, why)| (*range, *why)).collect();
    if !elsewhere.is_empty() && !even_if_used_elsewhere {
        return Err(CannotRename::Elsewhere { name: old, places: elsewhere });
    }
    if old == new {
        return Ok(Renaming { from: old, places, edits: Vec::new(), elsewhere });
    }
    search.check_free(new)?;
    let edits = edits(tree, &search, new)?;
    proof::prove(&search, &edits, new)?;
    Ok(Renaming { from: old, places, edits, elsewhere })
}

/// Errors: the file is one that Nix refuses, so what its names mean is a guess.
fn check_sound(parsed: &Parse, ir: &Ir) -> Result<(), CannotRename> {
    let is_error = |problem: &&Diagnostic| problem.severity == Severity::Error;
    match parsed.problems.iter().chain(&ir.problems).find(is_error) {
        Some(problem) => {
            Err(CannotRename::Broken { range: problem.range, message: problem.message.to_string() })
        }
        None => Ok(()),
    }
}

/// The text edits for all places.
fn edits(tree: &Tree, search: &Search<'_>, new: &str) -> Result<Vec<TextEdit>, CannotRename> {
    let mut occurrences = Vec::new();
    let mut edits = Vec::new();
    for (&range, roles) in &search.occurrences {
        match roles[..] {
            [role] => occurrences.push(Occurrence { range, role }),
            // `inherit x;` where both sides get the new name stays one.
            _ => edits.push(TextEdit::replace(range, new)),
        }
    }
    edits.extend(edit::rename(tree, &occurrences, new).map_err(|error| match error {
        EditError::InvalidName(name) => CannotRename::InvalidName(name),
        EditError::NotAName(range) => CannotRename::Spoken(range),
        other => CannotRename::Unproven(other.to_string()),
    })?);
    edits.sort_by_key(|edit| edit.range);
    // What applying refuses is not worth a proof.
    apply_edits(tree.text(), &edits)
        .map(|_| edits)
        .map_err(|error| CannotRename::Unproven(error.to_string()))
}

/// The places of a name, each with what the renamed thing has to do with it.
type Occurrences = std::collections::BTreeMap<TextRange, Vec<Role>>;

#[cfg(test)]
mod tests;
