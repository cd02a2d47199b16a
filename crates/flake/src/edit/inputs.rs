//! Adding, removing and retargeting inputs.

use cim_nix_base::{TextEdit, TextSize};
use cim_nix_model::{FlakeInput, FlakeRef, InputPath, show_input_path};
use cim_nix_syntax::build::quote_string;
use cim_nix_syntax::edit::{self, Entries};
use cim_nix_syntax::{Node, NodeId, TokenKind};

use super::draft::Draft;
use super::source::{Source, can_be_formal, check_name};
use super::style::{self, Home, Item};
use super::uses::{UseKind, Uses};
use super::{Edit, NewInput, Note, Origin, Refusal, follows, gate};
use crate::file::Argument;
use crate::inputs::Input;

pub(super) fn add(source: &Source, new: &NewInput) -> Result<Edit, Refusal> {
    check_name(&new.name)?;
    source.check_inputs(&[])?;
    let wanted = declaration(source, new)?;
    if let Some(input) = source.input(&new.name) {
        if gate::is_same(&input.declared(), &wanted) {
            return Ok(Edit::default());
        }
        return Err(Refusal::AlreadyThere { name: new.name.clone(), range: input.range });
    }
    let mut draft = Draft::new(source);
    if source.is_formal(&new.name) {
        draft.note(Note::WasInRegistry(new.name.clone()));
    } else {
        add_formal(source, &mut draft, &new.name)?;
    }
    declare(source, &mut draft, &new.name, attrs(new))?;
    // What gets all inputs may be written for those that are there.
    let passed = Uses::of(source, &new.name).handed_on.into_iter();
    for place in passed.filter(|place| place.kind == UseKind::Passed) {
        draft.note(Note::HandedOn(place.range));
    }
    draft.finish()
}

/// The input as Nix will read it.
pub(super) fn declaration(source: &Source, new: &NewInput) -> Result<FlakeInput, Refusal> {
    let mut input = FlakeInput { is_flake: new.is_flake, ..FlakeInput::default() };
    match &new.origin {
        Origin::Url(url) => input.reference = Some(reference(url, new.is_flake)?),
        Origin::Follows(target) => {
            follows::check_target(source, target)?;
            if target.first() == Some(&new.name) {
                return Err(Refusal::Circle(vec![new.name.clone()]));
            }
            input.follows = Some(target.clone());
        }
    }
    for follows in &new.follows {
        follows::check_path(&follows.path)?;
        // An input may be followed by what it brings itself.
        if follows.target.first() != Some(&new.name) {
            follows::check_target(source, &follows.target)?;
        }
        let whole: InputPath = std::iter::once(&new.name).chain(&follows.path).cloned().collect();
        if follows.target.starts_with(&whole) {
            return Err(Refusal::Circle(whole));
        }
        gate::follow(&mut input, &follows.path, &follows.target);
    }
    Ok(input)
}

/// Reads the reference of an input.
pub(super) fn reference(url: &str, is_flake: bool) -> Result<FlakeRef, Refusal> {
    if url.is_empty() {
        let message = "it is empty".to_owned();
        return Err(Refusal::InvalidUrl { url: String::new(), message });
    }
    let parse = if is_flake { FlakeRef::parse } else { FlakeRef::parse_source };
    parse(url)
        .map_err(|error| Refusal::InvalidUrl { url: url.to_owned(), message: error.to_string() })
}

fn attrs(new: &NewInput) -> Vec<Item> {
    let mut attrs = vec![match &new.origin {
        Origin::Url(url) => Item::text(&["url"], quote_string(url)),
        Origin::Follows(target) => Item::text(&["follows"], quote_string(&show_input_path(target))),
    }];
    if !new.is_flake {
        attrs.push(Item::text(&["flake"], "false"));
    }
    attrs.extend(new.follows.iter().map(|follows| {
        let path = follows::attr_path(&follows.path);
        Item::text(&path, quote_string(&show_input_path(&follows.target)))
    }));
    attrs
}

/// Writes a new input with its attributes.
pub(super) fn declare(
    source: &Source,
    draft: &mut Draft<'_>,
    name: &str,
    attrs: Vec<Item>,
) -> Result<(), Refusal> {
    let home = Home::of(source);
    let spot = home.spot(name);
    let items = home.items(name, attrs);
    let entries = Entries::of(&source.tree, home.set)?;
    let edit = entries.insert(spot.place, spot.is_apart, |style| style::text(&items, style))?;
    draft.edit(vec![edit]);
    Ok(())
}

/// Adds a parameter for an input: where `outputs` would else refuse it, and where all other inputs
/// have one.
fn add_formal(source: &Source, draft: &mut Draft<'_>, name: &str) -> Result<(), Refusal> {
    let Some(outputs) = &source.file.outputs else { return Ok(()) };
    let (Some(pattern), Argument::Pattern { has_ellipsis }) = (outputs.pattern, &outputs.argument)
    else {
        return Ok(());
    };
    if *has_ellipsis && !lists_inputs(source, pattern) {
        return Ok(());
    }
    let hidden = source.free_use(name).or_else(|| source.bind_name(name));
    if can_be_formal(name) && hidden.is_none() {
        draft.edit(match between_braces(source.node(pattern)) {
            Some(at) => vec![TextEdit::insert(at, name)],
            None => edit::add_formal(&source.tree, pattern, name, None)?,
        });
        return Ok(());
    }
    let range = hidden.unwrap_or(source.node(pattern).range());
    if *has_ellipsis {
        draft.note(Note::NoParameter { name: name.to_owned(), range });
        return Ok(());
    }
    if !can_be_formal(name) {
        let message = "`outputs` names its inputs one by one, and this is no name there".to_owned();
        return Err(Refusal::InvalidName { name: name.to_owned(), message });
    }
    Err(Refusal::Hides { name: name.to_owned(), range })
}

/// Where a parameter goes into `{}`: no blank is put where there was none, since removing the
/// parameter would leave it.
fn between_braces(pattern: Node<'_>) -> Option<TextSize> {
    let (open, close) =
        (pattern.own_token(TokenKind::LBrace)?, pattern.own_token(TokenKind::RBrace)?);
    (open.next() == Some(close)).then(|| close.range().start)
}

/// Whether a pattern names all inputs although it need not.
fn lists_inputs(source: &Source, pattern: NodeId) -> bool {
    let pattern = cim_nix_syntax::ast::Pattern::cast(source.node(pattern));
    let has_name = pattern.is_some_and(|pattern| pattern.bind_name().is_some());
    let mut inputs = source.file.inputs.iter();
    inputs.all(|input| source.is_formal(&input.name))
        && !(has_name && source.file.inputs.is_empty())
}

pub(super) fn remove(source: &Source, name: &str) -> Result<Edit, Refusal> {
    if name == "self" {
        check_name(name)?;
    }
    let input = source.input(name);
    source.check_inputs(input.map_or(&[], |input| &input.entries))?;
    if !source.has_input(name) {
        let notes = vec![Note::NoSuchInput(name.to_owned())];
        return Ok(Edit { edits: Vec::new(), notes });
    }
    let uses = Uses::of(source, name);
    if !uses.certain.is_empty() {
        return Err(Refusal::StillUsed { name: name.to_owned(), places: uses.certain });
    }
    if !uses.possible.is_empty() {
        return Err(Refusal::Unknown { name: name.to_owned(), places: uses.possible });
    }
    let mut draft = Draft::new(source);
    unfollow(source, &mut draft, name)?;
    for entry in input.into_iter().flat_map(|input| &input.entries) {
        if let Some(range) = not_a_binding(source, *entry) {
            let message = format!("`{name}` is inherited, which Nix does not read");
            return Err(Refusal::Shape { range, message });
        }
        draft.remove(*entry);
    }
    if let Some(outputs) = &source.file.outputs
        && let Some(pattern) = outputs.pattern
        && source.is_formal(name)
    {
        draft.edit(edit::remove_formal(&source.tree, pattern, name)?);
    }
    for place in uses.handed_on {
        draft.note(Note::HandedOn(place.range));
    }
    draft.finish()
}

fn not_a_binding(source: &Source, entry: NodeId) -> Option<cim_nix_base::TextRange> {
    let node = source.node(entry);
    (node.kind() != cim_nix_syntax::NodeKind::Binding).then(|| node.range())
}

/// Takes out what other inputs follow of an input that goes.
fn unfollow(source: &Source, draft: &mut Draft<'_>, name: &str) -> Result<(), Refusal> {
    let mut roots = Vec::new();
    for input in source.file.inputs.iter().filter(|input| input.name != name) {
        let mut is_touched = false;
        for (path, inner) in input.all() {
            let Some(follows) = &inner.follows else { continue };
            if follows.value.first().map(String::as_str) != Some(name) {
                continue;
            }
            if path.len() == 1 {
                roots.push((path, follows.range));
                continue;
            }
            is_touched = true;
            draft.remove_part(follows.entry);
            draft.note(Note::NoLongerFollows { path, range: follows.range });
        }
        if is_touched && !source.is_formal(&input.name) {
            draft.keep(&input.entries)?;
        }
    }
    if roots.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Followed { name: name.to_owned(), by: roots })
    }
}

pub(super) fn retarget(source: &Source, name: &str, url: &str) -> Result<Edit, Refusal> {
    source.check_inputs(&[])?;
    let Some(input) = source.input(name) else {
        if !source.is_formal(name) {
            return Err(Refusal::NoSuchInput(name.to_owned()));
        }
        return add(source, &NewInput::of_url(name, url));
    };
    let is_flake = input.is_flake.as_ref().is_none_or(|flag| flag.value);
    let reference = reference(url, is_flake)?;
    if input.attrs.is_empty()
        && input.follows.is_none()
        && input.reference.as_ref() == Some(&reference)
    {
        return Ok(Edit::default());
    }
    let mut draft = Draft::new(source);
    tell_source(&mut draft, input, &[], "url", &quote_string(url), &input.entries)?;
    draft.finish()
}

/// Makes an input come from somewhere: its `url` or `follows` is `value` now, and whatever told its
/// source otherwise goes. `path` are the attributes that lead from the input with the entries
/// `entries` to this one.
pub(super) fn tell_source(
    draft: &mut Draft<'_>,
    input: &Input,
    path: &[&str],
    attr: &str,
    value: &str,
    entries: &[NodeId],
) -> Result<(), Refusal> {
    let url = input.url.iter().map(|url| ("url", url.entry, url.range));
    let follows = input.follows.iter().map(|follows| ("follows", follows.entry, follows.range));
    let attrs = input.attrs.iter().map(|(name, attr)| (name.as_str(), attr.entry, attr.range));
    let mut told: Vec<_> = url.chain(follows).chain(attrs).collect();
    told.sort_by_key(|(name, entry, _)| (*name != attr, *entry));
    let Some(&(first, entry, range)) = told.first() else {
        let path: Vec<&str> = path.iter().copied().chain([attr]).collect();
        draft.set_below(entries, &path, value);
        return Ok(());
    };
    draft.turn(entry, attr, value)?;
    if first != attr {
        draft.note(Note::SourceReplaced(range));
    }
    for (_, entry, range) in told.into_iter().skip(1) {
        draft.remove(entry);
        draft.note(Note::SourceReplaced(range));
    }
    Ok(())
}
