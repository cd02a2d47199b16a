//! Edits of outputs beside real Nix: what was there is there, and exactly what was asked for is new.
//!
//! Names are asked for at the place where the new one should be. Stubs are no packages, so evaluation
//! may fail there; then it must fail in the same way before and after.

use std::collections::BTreeMap;
use std::path::Path;

use cim_nix_base::Error;
use serde_json::Value;

use super::{FlakeAnswer, FlakeChange, FlakeJudge, FlakeOutcome, Variant, given, unwritable};

/// Outputs that are there for each system.
const FOR_EACH: [&str; 8] = [
    "apps",
    "checks",
    "defaultPackage",
    "devShell",
    "devShells",
    "formatter",
    "legacyPackages",
    "packages",
];

/// A question about outputs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Probe {
    /// The names that lead to what is asked about.
    path: Vec<String>,
    /// Whether the names in its attributes are asked for, not its own.
    is_deep: bool,
}

impl Probe {
    pub(super) fn to_nix(&self) -> String {
        let names: Vec<String> = self.path.iter().map(|name| format!("\"{name}\"")).collect();
        format!("{{ path = [ {} ]; deep = {}; }}", names.join(" "), self.is_deep)
    }
}

/// What was found of the flake before an edit.
type Seen = BTreeMap<Probe, Result<Value, String>>;

impl FlakeJudge {
    /// Judges edits of the outputs of the flake in `folder` by the texts after them. One process looks
    /// at all, where none fails.
    pub(super) fn judge_outputs(
        &self,
        folder: &Path,
        before: &FlakeAnswer,
        edited: &[(String, FlakeChange)],
    ) -> Result<Vec<FlakeOutcome>, Error> {
        let mut outcomes = match &before.names {
            Ok(_) => self.judge_together(folder, before, edited)?,
            Err(_) => Vec::new(),
        };
        let mut seen = Seen::default();
        for (at, (text, change)) in edited.iter().enumerate() {
            // A flake may read its own folder, so that only one text lies there.
            if outcomes.get(at).is_some_and(|it| !matches!(it, FlakeOutcome::Different(_))) {
                continue;
            }
            let file = folder.join(".flake-0.nix");
            std::fs::write(&file, text).map_err(unwritable)?;
            let edited = Variant { file: file.clone(), alias: None, probe: None };
            let outcome = self.judge_alone(folder, before, edited, change, &mut seen)?;
            std::fs::remove_file(file).map_err(unwritable)?;
            match outcomes.get_mut(at) {
                Some(slot) => *slot = outcome,
                None => outcomes.push(outcome),
            }
        }
        Ok(outcomes)
    }

    /// Judges all in one process; no outcomes if something fails in it.
    fn judge_together(
        &self,
        folder: &Path,
        before: &FlakeAnswer,
        edited: &[(String, FlakeChange)],
    ) -> Result<Vec<FlakeOutcome>, Error> {
        let (mut variants, mut files) = (Vec::new(), Vec::new());
        for (at, (text, change)) in edited.iter().enumerate() {
            let file = folder.join(format!(".flake-{at}.nix"));
            std::fs::write(&file, text).map_err(unwritable)?;
            variants.push(Variant { file: file.clone(), alias: None, probe: None });
            for probe in change.probes(before) {
                variants.push(Variant { probe: Some(probe.clone()), ..Variant::of(folder) });
                variants.push(Variant { file: file.clone(), alias: None, probe: Some(probe) });
            }
            files.push(file);
        }
        let all = self.evaluate(folder, &variants, "")?;
        for file in files {
            std::fs::remove_file(file).map_err(unwritable)?;
        }
        let Ok(all) = all else { return Ok(Vec::new()) };
        let mut answers = all.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let mut outcomes = Vec::with_capacity(edited.len());
        for (_, change) in edited {
            let as_a_whole = change.judge(before, &given(&next()));
            let mut outcome = FlakeOutcome::Unseen;
            for probe in change.probes(before) {
                let (was, is) = (next()["probed"].take(), next()["probed"].take());
                outcome = outcome.and(change.judge_probe(&Ok(was), &Ok(is)), &probe);
            }
            outcomes.push(match as_a_whole {
                FlakeOutcome::Same => outcome,
                other => other,
            });
        }
        Ok(outcomes)
    }

    fn judge_alone(
        &self,
        folder: &Path,
        before: &FlakeAnswer,
        mut edited: Variant,
        change: &FlakeChange,
        seen: &mut Seen,
    ) -> Result<FlakeOutcome, Error> {
        let as_a_whole = change.judge(before, &self.ask_one(folder, &edited)?);
        if as_a_whole != FlakeOutcome::Same {
            return Ok(as_a_whole);
        }
        let mut outcome = FlakeOutcome::Unseen;
        for probe in change.probes(before) {
            if !seen.contains_key(&probe) {
                let variant = Variant { probe: Some(probe.clone()), ..Variant::of(folder) };
                seen.insert(probe.clone(), self.probed(folder, &variant)?);
            }
            edited.probe = Some(probe.clone());
            let now = self.probed(folder, &edited)?;
            let judged = match (&seen[&probe], &now) {
                // The function over systems may fail, as it does for other outputs.
                (Ok(Value::Null), Err(failure)) if self.fails(folder, before, failure)? => {
                    FlakeOutcome::Unseen
                }
                (was, now) => change.judge_probe(was, now),
            };
            outcome = outcome.and(judged, &probe);
        }
        Ok(outcome)
    }

    /// Whether an output that is there for each system fails in this way before any edit.
    fn fails(&self, folder: &Path, before: &FlakeAnswer, failure: &String) -> Result<bool, Error> {
        for path in of_each_system(before).map(|name| vec![name.clone()]) {
            let probe = Some(Probe { path, is_deep: false });
            if self.probed(folder, &Variant { probe, ..Variant::of(folder) })?.err().as_ref()
                == Some(failure)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn probed(&self, folder: &Path, variant: &Variant) -> Result<Result<Value, String>, Error> {
        let answer = self.evaluate(folder, std::slice::from_ref(variant), ".probed")?;
        Ok(answer.map(|all| all.into_iter().next().unwrap_or_default()))
    }
}

impl FlakeOutcome {
    /// The outcome of several questions: a difference counts most, then what was seen.
    fn and(self, other: Self, probe: &Probe) -> Self {
        match (self, other) {
            (different @ Self::Different(_), _) => different,
            (_, Self::Different(what)) => {
                Self::Different(format!("at `{}`: {what}", probe.path.join(".")))
            }
            (Self::Unseen, other) => other,
            (seen, _) => seen,
        }
    }
}

impl FlakeChange {
    /// What is asked before and after.
    fn probes(&self, before: &FlakeAnswer) -> Vec<Probe> {
        match self {
            Self::Output { path, for_each } => {
                let around = path.split_last().map_or(&[][..], |(_, around)| around);
                vec![Probe { path: around.to_vec(), is_deep: *for_each }]
            }
            _ => {
                let probe = |name: &String| Probe { path: vec![name.clone()], is_deep: false };
                of_each_system(before).map(probe).collect()
            }
        }
    }

    /// Compares what Nix answers before and after.
    fn judge_probe(
        &self,
        before: &Result<Value, String>,
        after: &Result<Value, String>,
    ) -> FlakeOutcome {
        let (old, new) = match (before, after) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(old), Err(new)) if old == new => return FlakeOutcome::Unseen,
            _ => return FlakeOutcome::Different(format!("{before:?}, then {after:?}")),
        };
        // There is no system at all.
        let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
        if is_empty(old) && is_empty(new) {
            return FlakeOutcome::Unseen;
        }
        let is_so = match self {
            Self::Output { path, for_each: false } => names(new) == with(old, path.last()),
            Self::Output { path, for_each: true } => has_for_each(old, new, path.last()),
            Self::System(system) => {
                if old == new {
                    return FlakeOutcome::Unseen;
                }
                names(new) == with(old, Some(system))
            }
            _ => false,
        };
        match is_so {
            true => FlakeOutcome::Same,
            false => FlakeOutcome::Different(format!("{old}, then {new}")),
        }
    }
}

/// The outputs of a flake that are there for each system.
fn of_each_system(before: &FlakeAnswer) -> impl Iterator<Item = &String> {
    let names = before.names.iter().flatten();
    names.filter(|name| FOR_EACH.contains(&name.as_str()))
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The names with one more, which is not there yet.
fn with<'v>(value: &'v Value, name: Option<&'v String>) -> Vec<&'v str> {
    let mut names = names(value);
    names.extend(name.map(String::as_str));
    names.sort_unstable();
    names
}

/// Whether every system that there was, or any if there was none, has one name more.
fn has_for_each(old: &Value, new: &Value, name: Option<&String>) -> bool {
    let Some(new) = new.as_object() else { return false };
    let none = serde_json::Map::new();
    let old = old.as_object().unwrap_or(&none);
    let is_complete = !new.is_empty() && (old.is_empty() || old.keys().eq(new.keys()));
    is_complete
        && new.iter().all(|(system, inner)| {
            let before = old.get(system).unwrap_or(&Value::Null);
            names(inner) == with(before, name)
        })
}
