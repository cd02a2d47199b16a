//! The edits that are tried on each flake.

use cim_nix_base::TextEdit;
use cim_nix_flake::edit::{Edit, Follows, ModuleKind, NewInput, Origin, Request, plan};
use serde_json::json;

use super::FlakeChange;

/// The name of an input that no flake has.
const NEW: &str = "cim-probe";
/// Where it comes from.
const URL: &str = "github:cim-probe/cim-probe";
/// A system that few flakes are for.
const SYSTEM: &str = "mipsel-linux";
/// How many inputs of one flake are retargeted and renamed and follow others.
const MOST_INPUTS: usize = 2;

/// An edit to be tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What kind of edit it is.
    pub kind: &'static str,
    /// What our code is asked for.
    pub request: Request,
    /// What it should change.
    pub change: FlakeChange,
    /// What makes the old text of the new one.
    pub undo: Option<Request>,
}

impl Trial {
    /// The edits to try on a flake with the inputs `names`.
    #[must_use]
    pub fn all(names: &[String]) -> Vec<Self> {
        let mut all = added(names);
        let some = || names.iter().take(MOST_INPUTS);
        all.extend(some().enumerate().map(|(at, name)| followed(names, at, name)));
        all.extend(some().map(|name| Self {
            kind: "retarget",
            request: Request::RetargetInput { name: name.clone(), url: URL.to_owned() },
            change: FlakeChange::Retargeted(name.clone(), URL.to_owned()),
            undo: None,
        }));
        for (kind, even_if_handed_on) in [("rename", false), ("rename all", true)] {
            all.extend(some().map(|old| Self {
                kind,
                request: renaming(old, NEW, even_if_handed_on),
                change: FlakeChange::Renamed(old.clone(), NEW.to_owned()),
                undo: None,
            }));
        }
        all.extend(names.iter().map(|name| Self {
            kind: "remove",
            request: Request::RemoveInput { name: name.clone() },
            change: FlakeChange::Removed(name.clone()),
            undo: None,
        }));
        all.extend(outputs());
        all
    }

    /// Why a planned edit is wrong, as far as that can be told without Nix.
    #[must_use]
    pub fn faults(&self, text: &str, edit: &Edit) -> Vec<String> {
        let mut faults = Vec::new();
        let after = match edit.apply(text) {
            Ok(after) => after,
            Err(error) => return vec![error.to_string()],
        };
        if edit.edits.is_empty() {
            faults.push("nothing was to be done".to_owned());
        }
        if !keeps_others(text, &edit.edits, &after) {
            faults.push("lines that no edit touches are changed".to_owned());
        }
        match plan(&after, &self.request) {
            Ok(again) if again.edits.is_empty() => {}
            Ok(again) => faults.push(format!("twice is not once: {:?}", again.edits)),
            Err(refusal) => faults.push(format!("cannot be asked twice: {refusal}")),
        }
        if let Some(undo) = &self.undo {
            let back = plan(&after, undo).map(|edit| edit.apply(&after));
            if !matches!(&back, Ok(Ok(back)) if *back == *text) {
                faults.push(format!("undoing does not restore: {back:?}"));
            }
        }
        faults
    }
}

/// An input in four forms, that is removed again.
fn added(names: &[String]) -> Vec<Trial> {
    let plain = NewInput::of_url(NEW, URL);
    let source = NewInput { is_flake: false, ..plain.clone() };
    let mut forms = vec![
        ("add", plain.clone(), json!({ "url": URL })),
        ("add source", source, json!({ "url": URL, "flake": false })),
    ];
    if let Some(other) = names.first() {
        let follows = Follows { path: vec!["x".to_owned()], target: vec![other.clone()] };
        let new = NewInput { follows: vec![follows], ..plain.clone() };
        let wanted = json!({ "url": URL, "inputs": { "x": { "follows": other } } });
        forms.push(("add following", new, wanted));
        let new = NewInput { origin: Origin::Follows(vec![other.clone()]), ..plain };
        forms.push(("add alias", new, json!({ "follows": other })));
    }
    let trials = forms.into_iter().map(|(kind, new, wanted)| Trial {
        kind,
        request: Request::AddInput(new),
        change: FlakeChange::Added(NEW.to_owned(), wanted),
        undo: Some(Request::RemoveInput { name: NEW.to_owned() }),
    });
    trials.collect()
}

/// Outputs of every kind, and a system that hardly any flake is for.
fn outputs() -> Vec<Trial> {
    let path = |text: &str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
    let added = |kind, at: &str, value: &str, for_each| Trial {
        kind,
        request: Request::AddOutput { path: path(at), value: value.to_owned() },
        change: FlakeChange::Output { path: path(at), for_each },
        undo: None,
    };
    let module = |kind, class, at: &str| Trial {
        kind,
        request: Request::AddModule {
            kind: class,
            name: NEW.to_owned(),
            value: "{ lib, ... }: { }".to_owned(),
        },
        change: FlakeChange::Output { path: path(at), for_each: false },
        undo: None,
    };
    vec![
        added("add output", "cimProbe", "\"probe\"", false),
        added("add inner", "lib/cimProbe/inner", "x: x", false),
        added("add package", "packages/x86_64-linux/cim-probe", "null", false),
        added("add for each", "packages/cim-probe", "null", true),
        added("add check", "checks/cim-probe", "{\n  type = \"probe\";\n}", true),
        Trial {
            kind: "add overlay",
            request: Request::AddOverlay {
                name: NEW.to_owned(),
                value: "final: prev: { }".to_owned(),
            },
            change: FlakeChange::Output { path: path("overlays/cim-probe"), for_each: false },
            undo: None,
        },
        module("add module", ModuleKind::NixOs, "nixosModules/cim-probe"),
        module("add darwin", ModuleKind::Darwin, "darwinModules/cim-probe"),
        Trial {
            kind: "add system",
            request: Request::AddSystem { system: SYSTEM.to_owned(), list: None },
            change: FlakeChange::System(SYSTEM.to_owned()),
            undo: None,
        },
    ]
}

/// An input of an input that follows another one, or nothing where there is no other.
fn followed(names: &[String], at: usize, name: &str) -> Trial {
    let path = vec![name.to_owned(), "cim-inner".to_owned()];
    let other = names.get((at + 1) % names.len()).filter(|other| *other != name);
    let target: Vec<String> = other.cloned().into_iter().collect();
    Trial {
        kind: "follows",
        change: FlakeChange::Follows(path.clone(), target.join("/")),
        request: Request::SetFollows(vec![Follows { path: path.clone(), target }]),
        undo: Some(Request::RemoveFollows { path }),
    }
}

fn renaming(old: &str, new: &str, even_if_handed_on: bool) -> Request {
    Request::RenameInput { old: old.to_owned(), new: new.to_owned(), even_if_handed_on }
}

/// Whether every line that no edit touches stands in the new text, in the same order and with the
/// same bytes.
fn keeps_others(text: &str, edits: &[TextEdit], after: &str) -> bool {
    let mut rest = after;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let is_touched = edits.iter().any(|edit| {
            let range = edit.range.as_usize();
            range.start < end && start <= range.end
        });
        start = end;
        if is_touched {
            continue;
        }
        let Some(at) = rest.find(line) else { return false };
        rest = &rest[at + line.len()..];
    }
    true
}
