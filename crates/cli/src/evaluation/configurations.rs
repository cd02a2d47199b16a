//! The configurations of a flake: machines of NixOS and of nix-darwin, and homes.

use cim_nix_eval::{EvalError, Evaluation, Handle};
use cim_nix_model::{FlakeAttr, FlakeRef};

use crate::installable::Installable;
use crate::lock_args::LockRequest;

type Res<T> = Result<T, Box<EvalError>>;

/// The outputs of a flake that hold configurations.
const CONFIGURATIONS: [&str; 3] =
    ["nixosConfigurations", "homeConfigurations", "darwinConfigurations"];

/// A configuration of a flake: its group, its name, its value.
type Known<'e> = (&'static str, String, Handle<'e>);

/// The configurations of a flake by group and name, and its outputs.
fn known<'e>(
    installable: &Installable,
    locks: &LockRequest,
    evaluation: &'e Evaluation,
) -> Res<(Vec<Known<'e>>, Handle<'e>)> {
    let flake = evaluation.flake(&evaluation.lock(&installable.flake, &locks.options)?)?;
    let outputs = evaluation.attr(flake, "outputs")?.unwrap_or(flake);
    let mut known = Vec::new();
    for group in CONFIGURATIONS {
        let Some(set) = evaluation.attr(outputs, group)? else { continue };
        for (name, value) in evaluation.members(set)? {
            known.push((group, name, value));
        }
    }
    Ok((known, outputs))
}

/// The names of the configurations of a flake, each with its group.
pub(crate) fn configuration_groups(
    flake: &FlakeRef,
    evaluation: &Evaluation,
) -> Res<Vec<(&'static str, String)>> {
    let installable = Installable { flake: flake.clone(), attr: FlakeAttr::default() };
    let (known, _) = known(&installable, &LockRequest::default(), evaluation)?;
    Ok(known.into_iter().map(|(group, name, _)| (group, name)).collect())
}

/// The configurations of a flake that are meant, each with what it is called: the one that is
/// named, or all of them.
pub(crate) fn configurations<'e>(
    installable: &Installable,
    locks: &LockRequest,
    evaluation: &'e Evaluation,
) -> Res<Vec<(String, Handle<'e>)>> {
    let path = installable.attr.path();
    if !path.is_empty() {
        let value = configuration(installable, locks, evaluation)?;
        return Ok(vec![(path.to_string(), value)]);
    }
    let (known, _) = known(installable, locks, evaluation)?;
    Ok(known.into_iter().map(|(group, name, value)| (format!("{group}.{name}"), value)).collect())
}

/// The configuration of a flake that is meant: by its path or by its name, or the only one.
pub(crate) fn configuration<'e>(
    installable: &Installable,
    locks: &LockRequest,
    evaluation: &'e Evaluation,
) -> Res<Handle<'e>> {
    let (known, outputs) = known(installable, locks, evaluation)?;
    let path = installable.attr.path();
    let typed = &*path.segments().join(".");
    let flake = &installable.flake;
    let shown = || {
        let shown = known.iter().map(|(group, name, _)| match name.contains('.') {
            true => format!("{group}.\"{name}\""),
            false => format!("{group}.{name}"),
        });
        shown.collect::<Vec<_>>()
    };
    let message = match (typed, &known[..]) {
        ("", [(_, _, value)]) => return Ok(*value),
        ("", []) => format!(
            "flake '{flake}' has no {}; an attribute with options can be named: '.#attr'",
            CONFIGURATIONS.join(", no ")
        ),
        ("", _) => format!(
            "flake '{flake}' has several configurations, so say which: '.#NAME' with one of {}",
            shown().join(", ")
        ),
        _ => {
            if let Ok(value) = evaluation.first_of(outputs, std::slice::from_ref(path))? {
                return Ok(value);
            }
            if let Some((_, _, value)) = known.iter().find(|(_, name, _)| name == typed) {
                return Ok(*value);
            }
            let message =
                format!("flake '{flake}' has neither an attribute nor a configuration '{typed}'");
            let mut names = evaluation.attr_names(outputs)?;
            names.extend(known.into_iter().map(|(_, name, _)| name));
            return Err(Box::new(EvalError::unknown_name(message, typed, names)));
        }
    };
    Err(Box::new(EvalError::other(message)))
}
