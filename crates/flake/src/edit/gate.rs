//! The last look at an edit: the text that it makes declares what was asked for and nothing else.

use std::collections::BTreeSet;

use cim_nix_model::{FlakeInput, FlakeInputs, FlakeRef, InputPath};

use super::source::Source;
use super::uses::Uses;
use super::{Edit, Refusal, Request, draft, inputs};
use crate::file::FlakeFile;

pub(super) fn check(source: &Source, request: &Request, edit: &Edit) -> Result<(), Refusal> {
    if edit.edits.is_empty() {
        return Ok(());
    }
    let unproven = |what: &str| Refusal::Unproven(what.to_owned());
    let after = edit.apply(source.tree.text()).map_err(|error| unproven(&error.to_string()))?;
    let after = match Source::read(&after) {
        Err(Refusal::NotAFlake) if source.file.outputs.is_none() => {
            let range = source.file.head(&source.tree);
            let message = "the flake has no `outputs`, and nothing would be left of it".to_owned();
            return Err(Refusal::Shape { range, message });
        }
        after => after.map_err(|refusal| unproven(&refusal.to_string()))?,
    };
    let file = &after.file;
    let wanted = wanted(source, request)?;
    if normal(&file.declared()) != normal(&wanted) {
        return Err(unproven("the inputs are others"));
    }
    if let Request::SetDescription(text) = request
        && file.description.as_ref().and_then(|old| old.value.as_ref()) != Some(text)
    {
        return Err(unproven("the description is another one"));
    }
    if let Request::RenameInput { old, new, .. } = request {
        let n_uses = |source: &Source, name: &str| Uses::of(source, name).certain.len();
        if n_uses(source, old) != n_uses(&after, new) {
            return Err(unproven("the input is used elsewhere"));
        }
    }
    if after.n_undefined() > source.n_undefined() {
        return Err(Refusal::Undefined(after.undefined_but(source)));
    }
    let again = draft(&after, request);
    if !again.is_ok_and(|again| again.edits.is_empty()) {
        return Err(unproven("it would have to be done again"));
    }
    let n_faults = |file: &FlakeFile| file.faults.len();
    if n_faults(file) > n_faults(&source.file) {
        return Err(unproven("Nix would refuse the flake"));
    }
    check_formals(source, file)
}

/// The parameters of `outputs` are those of before, of inputs that are still there.
fn check_formals(source: &Source, after: &FlakeFile) -> Result<(), Refusal> {
    let formals = |file: &FlakeFile| -> BTreeSet<String> {
        file.outputs.iter().flat_map(|outputs| &outputs.formals).map(|f| f.name.clone()).collect()
    };
    let (old, new) = (formals(&source.file), formals(after));
    let is_odd = new.difference(&old).any(|name| after.input(name).is_none());
    let is_lost = old.difference(&new).any(|name| after.input(name).is_some());
    if is_odd || is_lost {
        return Err(Refusal::Unproven("the parameters of `outputs` are others".to_owned()));
    }
    Ok(())
}

/// The inputs that a request asks for.
fn wanted(source: &Source, request: &Request) -> Result<FlakeInputs, Refusal> {
    let mut all = source.file.declared();
    match request {
        Request::AddInput(new) => {
            all.insert(new.name.clone(), inputs::declaration(source, new)?);
        }
        Request::RemoveInput { name } => {
            all.remove(name);
            all.values_mut().for_each(|input| unfollow(input, name));
        }
        Request::RenameInput { old, new, .. } => {
            if let Some(input) = all.remove(old) {
                all.insert(new.clone(), input);
            }
            all.values_mut().for_each(|input| refollow(input, old, new));
        }
        Request::AddOutput { .. }
        | Request::RemoveOutput { .. }
        | Request::AddOverlay { .. }
        | Request::AddModule { .. }
        | Request::AddSystem { .. }
        | Request::SetDescription(_) => {}
        Request::RetargetInput { name, url } => {
            let input = all.entry(name.clone()).or_default();
            input.reference = Some(inputs::reference(url, input.is_flake)?);
            input.follows = None;
        }
        Request::SetFollows(follows) => {
            for one in follows {
                let Some((name, below)) = one.path.split_first() else { continue };
                follow(all.entry(name.clone()).or_default(), below, &one.target);
            }
        }
        Request::RemoveFollows { path } => {
            let mut found = all.get_mut(&path[0]);
            for name in &path[1..] {
                found = found.and_then(|input| input.inputs.get_mut(name));
            }
            if let Some(found) = found {
                found.follows = None;
            }
        }
    }
    Ok(all)
}

/// Lets an input below another one follow a third.
pub(super) fn follow(input: &mut FlakeInput, path: &[String], target: &InputPath) {
    let mut at = input;
    for name in path {
        at = at.inputs.entry(name.clone()).or_default();
    }
    at.reference = None;
    at.follows = Some(target.clone());
}

/// Lets nothing below an input follow `name`.
fn unfollow(input: &mut FlakeInput, name: &str) {
    for inner in input.inputs.values_mut() {
        if inner.follows.as_ref().is_some_and(|path| path.first().is_some_and(|n| n == name)) {
            inner.follows = None;
        }
        unfollow(inner, name);
    }
}

/// Lets an input and all below it that follow `old` follow `new`.
fn refollow(input: &mut FlakeInput, old: &str, new: &str) {
    if let Some(name) = input.follows.as_mut().and_then(|path| path.first_mut())
        && name == old
    {
        new.clone_into(name);
    }
    input.inputs.values_mut().for_each(|inner| refollow(inner, old, new));
}

/// Whether two declarations mean the same.
pub(super) fn is_same(one: &FlakeInput, other: &FlakeInput) -> bool {
    inner_normal(one) == inner_normal(other)
}

/// The inputs without what means nothing: an input without a source comes from a registry, and one of
/// another input of which nothing is said is its own.
fn normal(inputs: &FlakeInputs) -> FlakeInputs {
    let all = inputs.iter().map(|(name, input)| {
        let mut input = inner_normal(input);
        if input.reference.is_none() && input.follows.is_none() {
            input.reference = FlakeRef::parse(name).ok();
        }
        (name.clone(), input)
    });
    all.collect()
}

fn inner_normal(input: &FlakeInput) -> FlakeInput {
    let inner = input.inputs.iter().map(|(name, input)| (name.clone(), inner_normal(input)));
    let is_said = |(_, input): &(String, FlakeInput)| *input != FlakeInput::default();
    FlakeInput { inputs: inner.filter(is_said).collect(), ..input.clone() }
}
