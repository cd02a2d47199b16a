//! The description of a flake.

use cim_nix_syntax::ast::Binding;
use cim_nix_syntax::build::quote_string;
use cim_nix_syntax::edit::{Entries, Place};

use super::draft::Draft;
use super::source::Source;
use super::style::{self, Item};
use super::{Edit, Refusal};
use crate::file::Placed;

pub(super) fn set(source: &Source, text: &str) -> Result<Edit, Refusal> {
    if text.contains('\0') {
        let error = cim_nix_syntax::edit::EditError::InvalidName(text.to_owned());
        return Err(Refusal::Edit(error));
    }
    let mut draft = Draft::new(source);
    match &source.file.description {
        Some(Placed { value: Some(value), .. }) if value == text => return Ok(Edit::default()),
        Some(old) if !is_plain(source, old) => {
            let message = "the `description` is not written as an attribute of its own".to_owned();
            return Err(Refusal::Shape { range: old.range, message });
        }
        Some(old) => draft.replace(old.node, &quote_string(text))?,
        None => {
            let entries = Entries::of(&source.tree, source.file.set)?;
            let item = [Item::text(&["description"], quote_string(text))];
            let is_apart = source.file.input_entries.len() < 2;
            let edit = entries.insert(Place::Front, is_apart, |style| style::text(&item, style))?;
            draft.edit(vec![edit]);
        }
    }
    draft.finish()
}

/// Whether the description is written `description = …;`.
fn is_plain(source: &Source, old: &Placed<Option<String>>) -> bool {
    let path = Binding::cast(source.node(old.entry)).and_then(Binding::attr_path);
    path.is_some_and(|path| path.elements().count() == 1)
}
