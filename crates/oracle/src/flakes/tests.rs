use std::path::PathBuf;

use cim_nix_base::apply_edits;
use cim_nix_flake::edit::{NewInput, Request, plan};

use super::*;

/// Flakes in all the ways in which people write them.
const FLAKES: &[&str] = &[
    "{\n  description = \"flat\";\n  inputs.a.url = \"github:o/a\";\n  inputs.b.url = \"github:o/b\";\n  inputs.b.inputs.a.follows = \"a\";\n\n  outputs = { self, a, b }: { lib = a.lib; packages = { }; };\n}\n",
    "{\n  inputs = {\n    a.url = \"github:o/a\"; # first\n    b = {\n      url = \"github:o/b\";\n      inputs.a.follows = \"a\";\n    };\n    c = {\n      type = \"github\";\n      owner = \"o\";\n      repo = \"c\";\n      flake = false;\n    };\n  };\n\n  outputs =\n    { self, a, ... }@inputs:\n    let\n      inherit (inputs) b;\n    in\n    {\n      overlays.default = b.overlays.default;\n      checks = if a ? lib then { } else { };\n    };\n}\n",
    "{\n  inputs = { a.url = \"path:./a\"; a.inputs.x.follows = \"\"; };\n  outputs = inputs: with inputs; { inherit (a) packages; names = [ a ]; };\n}\n",
    "{ outputs = { self }: { a = self; b = { }; }; }",
    "{\r\n  inputs.a.follows = \"b/c\";\r\n  inputs.b.url = \"github:o/b\";\r\n  outputs = { self\r\n  , a\r\n  , b # two\r\n  }: { ${\"x\" + \"y\"} = a; z = b; };\r\n}\r\n",
    "{\n  inputs = {\n    b.url = \"github:o/b\";\n    d.url = \"github:o/d\";\n    # of f\n    f.url = \"github:o/f\";\n  };\n  outputs = { self, b, d, f, ... }: throw \"no outputs\";\n}\n",
    "{\n  inputs = { };\n  outputs = inputs: { all = inputs; };\n}\n",
    "{\n  inputs.a.url = \"github:o/a\";\n  outputs = { self, ... }@args: args;\n}\n",
];

/// A Nix to ask: any that knows flakes as files will do.
fn judge() -> Option<FlakeJudge> {
    let named = std::env::var_os("CIM_NIX_ORACLE").map(PathBuf::from);
    let nix = named.unwrap_or_else(|| PathBuf::from("nix-instantiate"));
    if Command::new(&nix).arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no `nix-instantiate` on the PATH or in CIM_NIX_ORACLE");
        return None;
    }
    Some(FlakeJudge::new(nix, None).unwrap())
}

/// A folder with a flake in it, and what Nix says of it.
struct Stage {
    folder: tempfile::TempDir,
    before: FlakeAnswer,
}

impl Stage {
    fn of(judge: &FlakeJudge, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flake.nix");
        std::fs::write(&file, text).unwrap();
        let before = judge.ask(folder.path()).unwrap();
        Self { folder, before }
    }

    fn names(&self) -> Vec<String> {
        self.before.inputs.as_ref().unwrap().as_object().unwrap().keys().cloned().collect()
    }
}

#[test]
fn edits_change_what_they_should_and_nothing_else() {
    let Some(judge) = judge() else { return };
    let mut made = std::collections::BTreeMap::new();
    for text in FLAKES {
        let stage = Stage::of(&judge, text);
        let (mut kinds, mut edited) = (Vec::new(), Vec::new());
        for trial in Trial::all(&stage.names()) {
            let Ok(edit) = plan(text, &trial.request) else { continue };
            assert_eq!(trial.faults(text, &edit), Vec::<String>::new(), "{text}\n{trial:?}");
            edited.push((edit.apply(text).unwrap(), trial.change));
            kinds.push(trial.kind);
        }
        let outcomes = judge.judge(stage.folder.path(), &stage.before, &edited).unwrap();
        for ((kind, outcome), (after, _)) in kinds.iter().zip(outcomes).zip(&edited) {
            assert!(!matches!(outcome, FlakeOutcome::Different(_)), "{kind} {outcome:?}\n{after}");
            *made.entry(*kind).or_insert(0) += 1;
        }
    }
    // Every kind of edit was made, and none was always refused.
    let kinds = ["add", "add alias", "add following", "add source", "follows", "remove", "rename"];
    let of_outputs = ["add inner", "add module", "add output", "add overlay", "add package"];
    for kind in kinds.iter().chain(&of_outputs) {
        assert!(made.get(kind).is_some_and(|n| *n > 1), "{kind}: {made:?}");
    }
}

#[test]
fn broken_edits_are_noticed() {
    let Some(judge) = judge() else { return };
    let text = FLAKES[0];
    let stage = Stage::of(&judge, text);
    let judged = |after: &str, change: &FlakeChange| {
        let edited = [(after.to_owned(), change.clone())];
        judge.judge(stage.folder.path(), &stage.before, &edited).unwrap().remove(0)
    };
    let all = Trial::all(&stage.names());
    let trial = |kind: &str| all.iter().find(|trial| trial.kind == kind).unwrap();

    // The parameter is left out, or the input.
    let add = trial("add");
    let edits = plan(text, &add.request).unwrap().edits;
    assert_eq!(edits.len(), 2);
    for edit in &edits {
        let after = apply_edits(text, std::slice::from_ref(edit)).unwrap();
        assert!(matches!(judged(&after, &add.change), FlakeOutcome::Different(_)), "{after}");
    }
    // Something else is lost on the way.
    let after = apply_edits(text, &edits).unwrap();
    assert_eq!(judged(&after, &add.change), FlakeOutcome::Same);
    for (old, new) in [("packages = { };", ""), ("github:o/b", "github:o/x"), ("\"a\"", "\"b\"")] {
        let after = after.replacen(old, new, 1);
        assert!(matches!(judged(&after, &add.change), FlakeOutcome::Different(_)), "{after}");
    }
    // Nothing is done at all, and one place is forgotten.
    for kind in ["retarget", "follows", "rename"] {
        let trial = trial(kind);
        assert!(matches!(judged(text, &trial.change), FlakeOutcome::Different(_)), "{kind}");
        let edits = plan(text, &trial.request).unwrap().edits;
        assert!(kind != "rename" || edits.len() > 3);
        for without in 0..edits.len() {
            let mut edits = edits.clone();
            edits.remove(without);
            let after = apply_edits(text, &edits).unwrap();
            assert!(matches!(judged(&after, &trial.change), FlakeOutcome::Different(_)), "{after}");
        }
    }
    // Edits that do not belong to the text.
    let other =
        plan("{ outputs = _: { }; }", &Request::AddInput(NewInput::of_url("x", "github:o/x")));
    assert_ne!(add.faults(text, &other.unwrap()), Vec::<String>::new());
}

/// Flakes with outputs for each system, in the ways that take more of them.
const SYSTEMS: &[&str] = &[
    "{\n  outputs = { self }:\n    let\n      systems = [ \"x86_64-linux\" ];\n      forAllSystems = f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) systems);\n    in\n    {\n      packages = forAllSystems (system: {\n        a = system;\n      });\n      lib.x = 1;\n    };\n}\n",
    "{\n  outputs = { self }: {\n    packages.x86_64-linux.a = 1;\n    packages.aarch64-linux.a = 1;\n    overlays.a = final: prev: { };\n  };\n}\n",
];

#[test]
fn outputs_come_to_where_nix_finds_them() {
    let Some(judge) = judge() else { return };
    let mut made = std::collections::BTreeMap::new();
    for text in SYSTEMS {
        let stage = Stage::of(&judge, text);
        for trial in Trial::all(&[]) {
            let Ok(edit) = plan(text, &trial.request) else { continue };
            assert_eq!(trial.faults(text, &edit), Vec::<String>::new(), "{text}\n{trial:?}");
            let edited = [(edit.apply(text).unwrap(), trial.change)];
            let outcome = judge.judge(stage.folder.path(), &stage.before, &edited).unwrap();
            assert_eq!(outcome, [FlakeOutcome::Same], "{}\n{}", trial.kind, edited[0].0);
            *made.entry(trial.kind).or_insert(0) += 1;
        }
    }
    for (kind, n) in [("add for each", 1), ("add check", 1), ("add package", 1), ("add system", 1)]
    {
        assert_eq!(made.get(kind), Some(&n), "{made:?}");
    }
}

#[test]
fn outputs_that_are_lost_are_noticed() {
    let Some(judge) = judge() else { return };
    let text = SYSTEMS[0];
    let stage = Stage::of(&judge, text);
    let all = Trial::all(&[]);
    let differs = |after: &str, kind: &str| {
        let change = all.iter().find(|trial| trial.kind == kind).unwrap().change.clone();
        let edited = [(after.to_owned(), change)];
        let outcomes = judge.judge(stage.folder.path(), &stage.before, &edited).unwrap();
        assert!(
            matches!(outcomes[..], [FlakeOutcome::Different(_)]),
            "{kind} {outcomes:?}\n{after}"
        );
    };
    let instead = |new: &str| text.replacen("lib.x = 1;", new, 1);
    // Nothing is done, or it stands elsewhere, or hides what was there.
    for kind in ["add output", "add inner", "add overlay", "add module", "add for each"] {
        differs(text, kind);
    }
    differs(&instead("lib.x = 1; overlays.other = 1;"), "add overlay");
    differs(&instead("overlays.cim-probe = 1;"), "add overlay");
    differs(&text.replacen("a = system;", "cim-probe = system;", 1), "add for each");
    differs(&text.replacen("\"x86_64-linux\"", "\"mipsel-linux\"", 1), "add system");
}
