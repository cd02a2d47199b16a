//! Renaming an input.

use cim_nix_base::{TextEdit, TextRange};
use cim_nix_model::show_input_path;
use cim_nix_semantics::builtins;
use cim_nix_syntax::ast::Binding;
use cim_nix_syntax::build::{attr_name_text, quote_string};
use cim_nix_syntax::edit::{self, EditError, Occurrence, Role};
use cim_nix_syntax::{Node, NodeId};

use super::draft::Draft;
use super::source::{Source, can_be_formal, check_name};
use super::uses::{Use, UseKind, Uses};
use super::{Edit, Note, Refusal};

pub(super) fn rename(
    source: &Source,
    old: &str,
    new: &str,
    even_if_handed_on: bool,
) -> Result<Edit, Refusal> {
    check_name(new)?;
    source.check_inputs(&[])?;
    if !source.has_input(old) || old == new {
        // It may be renamed already.
        let is_done = source.has_input(new);
        return if is_done {
            Ok(Edit::default())
        } else {
            Err(Refusal::NoSuchInput(old.to_owned()))
        };
    }
    if source.has_input(new) {
        let range = source.file.place(&source.tree, new);
        return Err(Refusal::AlreadyThere { name: new.to_owned(), range });
    }
    let Some(input) = source.input(old).filter(|i| i.reference.is_some() || i.follows.is_some())
    else {
        let range = source.file.place(&source.tree, old);
        return Err(Refusal::NoSource { name: new.to_owned(), range });
    };
    let uses = Uses::of(source, old);
    let mut unknown = uses.possible;
    if !even_if_handed_on {
        unknown.extend(&uses.handed_on);
    }
    if !unknown.is_empty() {
        unknown.sort_unstable();
        return Err(Refusal::Unknown { name: old.to_owned(), places: unknown });
    }
    // What asks for an input of that name gets none yet.
    if let Some(other) = Uses::of(source, new).certain.first() {
        return Err(Refusal::Hides { name: new.to_owned(), range: other.range });
    }
    check_scopes(source, old, new, &uses.certain)?;
    let mut draft = Draft::new(source);
    for entry in &input.entries {
        draft.edit(vec![named(source, *entry, new)?]);
    }
    refollow(source, &mut draft, old, new)?;
    let formal = source.file.outputs.iter().flat_map(|outputs| &outputs.formals);
    let formal = formal.into_iter().find(|formal| formal.name == old);
    let formal = formal.map(|f| Occurrence { range: f.range, role: Role::Definition });
    let places =
        uses.certain.iter().map(|place| Occurrence { range: place.range, role: Role::Use });
    let occurrences: Vec<Occurrence> = formal.into_iter().chain(places).collect();
    draft.edit(edit::rename(&source.tree, &occurrences, new)?);
    if even_if_handed_on {
        uses.handed_on.iter().for_each(|place| draft.note(Note::HandedOn(place.range)));
    }
    draft.finish()
}

/// Gives an entry that says something of an input another name.
fn named(source: &Source, entry: NodeId, new: &str) -> Result<TextEdit, Refusal> {
    let node = source.node(entry);
    let is_dotted = node.parent().map(Node::id) == Some(source.file.set);
    let path = Binding::cast(node).and_then(Binding::attr_path);
    let name = path.and_then(|path| path.elements().nth(usize::from(is_dotted)));
    let name = name.ok_or(EditError::Broken(node.range()))?;
    Ok(TextEdit::replace(name.node().range(), attr_name_text(new)))
}

/// Lets what followed the input follow it under its new name.
fn refollow(source: &Source, draft: &mut Draft<'_>, old: &str, new: &str) -> Result<(), Refusal> {
    for input in &source.file.inputs {
        for (_, inner) in input.all() {
            let Some(follows) = &inner.follows else { continue };
            if follows.value.first().map(String::as_str) != Some(old) {
                continue;
            }
            let mut path = follows.value.clone();
            new.clone_into(&mut path[0]);
            draft.replace(follows.node, &quote_string(&show_input_path(&path)))?;
        }
    }
    Ok(())
}

/// Refuses a name that means something else where the input is used, or that would hide what it
/// means elsewhere.
fn check_scopes(source: &Source, old: &str, new: &str, uses: &[Use]) -> Result<(), Refusal> {
    if source.is_formal(old) {
        if !can_be_formal(new) {
            let message = "`outputs` uses the input as a parameter, and this is no name there";
            return Err(Refusal::InvalidName { name: new.to_owned(), message: message.to_owned() });
        }
        if let Some(range) = source.free_use(new) {
            return Err(Refusal::Hides { name: new.to_owned(), range });
        }
        if let Some(range) = source.bind_name(new) {
            return Err(Refusal::Hidden { name: new.to_owned(), range });
        }
    }
    let by_name = |place: &&Use| matches!(place.kind, UseKind::Parameter | UseKind::With);
    let mut by_name = uses.iter().filter(by_name).peekable();
    if by_name.peek().is_none() {
        return Ok(());
    }
    let scopes = scopes_of(source, new);
    let is_builtin = builtins::global(new).is_some();
    for place in by_name {
        let within = scopes.partition_point(|scope| scope.start <= place.range.start);
        let is_hidden = within > 0 && scopes[within - 1].contains_range(place.range);
        if is_hidden || (is_builtin && place.kind == UseKind::With) {
            return Err(Refusal::Hidden { name: new.to_owned(), range: place.range });
        }
    }
    Ok(())
}

/// Where a name means something that the file binds: ranges that lie apart, in their order.
fn scopes_of(source: &Source, name: &str) -> Vec<TextRange> {
    let ir = &source.ir;
    let Some(symbol) = ir.find_symbol(name) else { return Vec::new() };
    let bindings = ir.bindings.iter().filter(|binding| binding.symbol == symbol);
    let scopes = bindings.map(|binding| ir.scopes[binding.scope.index()].node);
    let mut ranges: Vec<TextRange> = scopes.map(|node| source.node(node).range()).collect();
    ranges.sort_unstable();
    // Scopes lie in each other or apart.
    ranges.dedup_by(|inner, outer| outer.contains_range(*inner));
    ranges
}
