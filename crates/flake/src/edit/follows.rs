//! What inputs follow.

use std::collections::HashMap;

use cim_nix_model::{InputPath, LockFile, input_path, show_input_path};
use cim_nix_syntax::build::quote_string;

use super::draft::Draft;
use super::inputs::tell_source;
use super::source::{Source, check_name};
use super::style::Item;
use super::{Edit, Follows, Note, Refusal, gate, inputs};
use crate::copies::copies;
use crate::inputs::Input;
use crate::relock::Relock;

/// The attributes that lead to `follows` of an input below another one.
pub(super) fn attr_path(path: &[String]) -> Vec<&str> {
    let names = path.iter().flat_map(|name| ["inputs", name.as_str()]);
    names.chain(["follows"]).collect()
}

/// Refuses what cannot be the path of an input: Nix takes any names there.
pub(super) fn check_path(path: &[String]) -> Result<(), Refusal> {
    let is_odd = |name: &&String| name.is_empty() || name.contains('\0') || *name == "self";
    match path.iter().find(is_odd) {
        None if !path.is_empty() => Ok(()),
        name => {
            let message = "it leads to no input".to_owned();
            Err(Refusal::InvalidName { name: name.cloned().unwrap_or_default(), message })
        }
    }
}

/// Refuses to follow what is not there, or what Nix would not follow.
pub(super) fn check_target(source: &Source, target: &[String]) -> Result<(), Refusal> {
    let Some(first) = target.first() else { return Ok(()) };
    for name in target {
        check_name(name)?;
    }
    if source.has_input(first) { Ok(()) } else { Err(Refusal::NoSuchInput(first.clone())) }
}

pub(super) fn set(source: &Source, all: &[Follows]) -> Result<Edit, Refusal> {
    source.check_inputs(&[])?;
    let mut wanted: HashMap<&[String], &Follows> = HashMap::new();
    for follows in all {
        check_path(&follows.path)?;
        check_target(source, &follows.target)?;
        if let Some(other) = wanted.insert(&follows.path, follows)
            && other.target != follows.target
        {
            let name = show_input_path(&follows.path);
            let message = "it would follow two inputs at once".to_owned();
            return Err(Refusal::InvalidName { name, message });
        }
    }
    check_circles(source, all)?;
    let mut draft = Draft::new(source);
    // Inputs that only parameters of `outputs` speak of get entries together.
    let mut new: Vec<(&str, Vec<Item>)> = Vec::new();
    for follows in all {
        if wanted.remove(follows.path.as_slice()).is_none() {
            continue;
        }
        let value = quote_string(&show_input_path(&follows.target));
        let (name, below) = (follows.path[0].as_str(), &follows.path[1..]);
        match source.input(name) {
            Some(input) => follow(&mut draft, input, below, follows, &value)?,
            None if source.is_formal(name) => {
                let item = Item::text(&attr_path(below), value);
                match new.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, items)) => items.push(item),
                    None => new.push((name, vec![item])),
                }
            }
            None => return Err(Refusal::NoSuchInput(name.to_owned())),
        }
    }
    for (name, items) in new {
        draft.note(Note::WasInRegistry(name.to_owned()));
        inputs::declare(source, &mut draft, name, items)?;
    }
    draft.finish()
}

fn follow(
    draft: &mut Draft<'_>,
    input: &Input,
    below: &[String],
    follows: &Follows,
    value: &str,
) -> Result<(), Refusal> {
    let mut found = Some(input);
    for name in below {
        found = found.and_then(|input| input.inputs.iter().find(|inner| inner.name == *name));
    }
    let path = attr_path(below);
    match found {
        Some(inner) => {
            let is_so = inner.follows.as_ref().is_some_and(|old| old.value == follows.target);
            if is_so && inner.reference.is_none() {
                return Ok(());
            }
            let above = &path[..path.len() - 1];
            tell_source(draft, inner, above, "follows", value, &input.entries)
        }
        None => {
            draft.set_below(&input.entries, &path, value);
            Ok(())
        }
    }
}

/// Refuses inputs that would follow themselves.
fn check_circles(source: &Source, all: &[Follows]) -> Result<(), Refusal> {
    let mut map: HashMap<InputPath, InputPath> = HashMap::new();
    for input in &source.file.inputs {
        for (path, inner) in input.all() {
            if let Some(follows) = &inner.follows {
                map.insert(path, follows.value.clone());
            }
        }
    }
    map.extend(all.iter().map(|follows| (follows.path.clone(), follows.target.clone())));
    for follows in all {
        let mut at = follows.target.clone();
        for _ in 0..=map.len() {
            if at.starts_with(&follows.path) {
                return Err(Refusal::Circle(follows.path.clone()));
            }
            let Some(end) = (1..=at.len()).find(|end| map.contains_key(&at[..*end])) else { break };
            let rest = at.split_off(end);
            at = map[&at].iter().cloned().chain(rest).collect();
        }
    }
    Ok(())
}

/// What lets all copies in a lock file follow what is there already.
pub(super) fn of_copies(source: &Source, lock: &LockFile) -> Result<Vec<Follows>, Refusal> {
    /// A copy that goes can show another one, but not for ever.
    const MOST_ROUNDS: usize = 16;
    let mut declared = source.file.declared();
    let mut all: Vec<Follows> = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let relock = Relock::of(&declared, lock).map_err(Refusal::Lock)?;
        let found = copies(&relock.file, Some(&source.file));
        let n_known = all.len();
        for copy in found.into_iter().filter(|copy| !relock.is_unread(copy.node)) {
            let target = input_path(&copy.target).map_err(|e| Refusal::Lock(e.to_string()))?;
            if let Some((name, below)) = copy.path.split_first() {
                gate::follow(declared.entry(name.clone()).or_default(), below, &target);
            }
            all.push(Follows { path: copy.path, target });
        }
        if all.len() == n_known {
            break;
        }
    }
    Ok(all)
}

pub(super) fn remove(source: &Source, path: &[String]) -> Result<Edit, Refusal> {
    check_path(path)?;
    source.check_inputs(&[])?;
    let input = source.input(&path[0]);
    if input.is_none() && !source.is_formal(&path[0]) {
        return Err(Refusal::NoSuchInput(path[0].clone()));
    }
    let mut found = input;
    for name in &path[1..] {
        found = found.and_then(|input| input.inputs.iter().find(|inner| inner.name == *name));
    }
    let follows = found.and_then(|found| found.follows.as_ref());
    let (Some(input), Some(follows)) = (input, follows) else { return Ok(Edit::default()) };
    if path.len() == 1 {
        return Err(Refusal::NoSource { name: path[0].clone(), range: follows.range });
    }
    let mut draft = Draft::new(source);
    draft.remove_part(follows.entry);
    if !source.is_formal(&input.name) {
        draft.keep(&input.entries)?;
    }
    draft.finish()
}
