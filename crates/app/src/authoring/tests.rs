//! Commands in, files and events out.

use std::path::PathBuf;

use cim_domain_nix::{Command, ModuleClass};
use cim_nix_base::{Error, ErrorKind};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::testing::{Files, Kit};
use crate::{Listing, Mode, Outcome, Sources};

impl Sources for Files {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        let texts = self.texts.borrow();
        Ok(texts
            .keys()
            .filter(|path| path.extension().is_some_and(|it| it == "nix"))
            .cloned()
            .collect())
    }
}

const FLAKE: &str = "\
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs\";

  outputs =
    { self, nixpkgs, ... }@inputs:
    {
      packages = { };
    };
}
";

const LISTED: Listing = Listing::Output(ModuleClass::Nixos);

impl Kit {
    fn author(&self, command_type: &str, body: Value) -> Result<Outcome, Error> {
        self.author_with(command_type, body, LISTED)
    }

    fn author_with(
        &self,
        command_type: &str,
        mut body: Value,
        listing: Listing,
    ) -> Result<Outcome, Error> {
        body["project"] = json!("/project");
        body["identity"] = serde_json::to_value(self.root()).expect("JSON");
        let command = Command::read(command_type, &body.to_string()).expect("a command");
        self.app().author(&command, listing, &self.files, Mode::Apply)
    }

    fn put(&self, path: &str, text: &str) {
        self.files.texts.borrow_mut().insert(path.into(), text.to_owned());
    }

    fn text(&self, path: &str) -> Option<String> {
        self.files.texts.borrow().get(std::path::Path::new(path)).cloned()
    }
}

fn module(config: Value) -> Value {
    json!({ "name": "web", "module": { "name": "web", "config": config } })
}

fn said(result: Result<Outcome, Error>) -> String {
    match result {
        Ok(outcome) => {
            let mut out = String::new();
            for event in &outcome.events {
                out.push_str(&format!("{}\n", event.event_type()));
                for change in event.changes() {
                    out.push_str(&format!("  {}\n", change.path));
                }
            }
            outcome.notes.iter().for_each(|note| out.push_str(&format!("note: {note}\n")));
            out
        }
        Err(error) => {
            let mut out = format!("{:?}: {}\n", error.kind(), error.chain());
            error.hints().iter().for_each(|hint| out.push_str(&format!("hint: {hint}\n")));
            out
        }
    }
}

#[track_caller]
fn check(result: Result<Outcome, Error>, want: Expect) {
    want.assert_eq(&said(result));
}

#[test]
fn a_module_lives_and_dies_with_its_output() {
    let kit = Kit::new(&[("flake.nix", FLAKE)]);
    check(
        kit.author("CreateModule", module(json!({ "a": 1 }))),
        expect![[r#"
        ModuleCreated
          modules/web.nix
          flake.nix
    "#]],
    );
    expect![[r#"
        flake.nix: {
          inputs.nixpkgs.url = "github:NixOS/nixpkgs";

          outputs =
            { self, nixpkgs, ... }@inputs:
            {
              packages = { };
              nixosModules.web = ./modules/web.nix;
            };
        }

        modules/web.nix: {
          a = 1;
        }

    "#]]
    .assert_eq(&kit.files.show());
    check(
        kit.author("CreateModule", module(json!({ "a": 2 }))),
        expect![[r#"
        User: the module `web` exists already
        hint: `modules/web.nix` is there, and stays as it is
    "#]],
    );
    check(kit.author("UpdateModule", module(json!({ "a": 1 }))), expect![[""]]);
    check(
        kit.author("UpdateModule", module(json!({ "a": 2 }))),
        expect![[r#"
        ModuleUpdated
          modules/web.nix
    "#]],
    );
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        ModuleDeleted
          modules/web.nix
          flake.nix
    "#]],
    );
    assert_eq!(kit.files.show(), format!("flake.nix: {FLAKE}\n"), "as it was before");
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        User: there is no module `web`
    "#]],
    );
}

#[test]
fn undo_and_redo_restore_the_bytes() {
    let kit = Kit::new(&[("flake.nix", FLAKE)]);
    let mut seen = vec![kit.files.show()];
    for (command_type, body) in [
        ("CreateModule", module(json!({ "a": 1 }))),
        ("UpdateModule", module(json!({ "a": 2 }))),
        (
            "CreateOverlay",
            json!({ "name": "x", "overlay": { "name": "x", "additions": { "y": "1" } } }),
        ),
        (
            "CreateConfiguration",
            json!({ "name": "host", "configuration": {
            "name": "host", "system": "x86_64-linux", "modules": ["../../modules/web.nix"] } }),
        ),
    ] {
        kit.author(command_type, body).expect("done");
        seen.push(kit.files.show());
    }
    assert!(kit.author("DeleteModule", json!({ "name": "web" })).is_err(), "the host needs it");
    for before in seen.iter().rev().skip(1) {
        kit.app().undo(None, Mode::Apply).expect("undone");
        assert_eq!(&kit.files.show(), before);
    }
    for after in &seen[1..] {
        kit.app().redo(Mode::Apply).expect("redone");
        assert_eq!(&kit.files.show(), after);
    }
    // What was undone and redone is what commands made, so it can be changed.
    kit.author("UpdateModule", module(json!({ "a": 3 }))).expect("changed");
}

#[test]
fn what_somebody_wrote_is_left_alone() {
    let kit = Kit::new(&[("modules/web.nix", "{ mine = true; }\n")]);
    check(
        kit.author("CreateModule", module(json!({ "a": 1 }))),
        expect![[r#"
        User: the module `web` exists already
        hint: `modules/web.nix` is there, and stays as it is
    "#]],
    );
    check(
        kit.author("UpdateModule", module(json!({ "a": 1 }))),
        expect![[r#"
        Conflict: `modules/web.nix` was not written by a command
        hint: nothing here knows what it says: change it by hand, or move it away first
    "#]],
    );
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        User: there is no module `web`
    "#]],
    );
    assert_eq!(kit.text("modules/web.nix").as_deref(), Some("{ mine = true; }\n"));

    let kit = Kit::new(&[]);
    kit.author("CreateModule", module(json!({ "a": 1, "b": 2 }))).expect("made");
    let made = kit.text("modules/web.nix").expect("made");
    // Laid out otherwise, it is still what a command has made.
    kit.put("modules/web.nix", &made.replace('\n', "  \n").replace("  a", "      a"));
    kit.author("UpdateModule", module(json!({ "a": 1, "b": 3 }))).expect("changed");
    let edited = made.replace("a = 1", "a = 7");
    kit.put("modules/web.nix", &edited);
    check(
        kit.author("UpdateModule", module(json!({ "a": 2 }))),
        expect![[r#"
        Conflict: `modules/web.nix` was changed by hand since a command wrote it
        hint: it is left as it is; this is the difference:
        --- as commands made it
        +++ on disk
        @@ -1,4 +1,4 @@
         {
        -  a = 1;
        -  b = 3;
        +  a = 7;
        +  b = 2;
         }
        hint: go on by hand, or put the file back to what commands made it
    "#]],
    );
    let error = kit.author("DeleteModule", json!({ "name": "web" })).expect_err("it was edited");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(kit.text("modules/web.nix"), Some(edited));
}

#[test]
fn what_is_used_is_not_removed() {
    let kit = Kit::new(&[
        ("flake.nix", FLAKE),
        ("hosts/a.nix", "{ imports = [ ../modules/web.nix ]; }"),
        ("hosts/b.nix", "# ../modules/web.nix\n{ imports = [ ../modules/website.nix ]; }"),
        ("c.nix", "1 +\n  import (./modules + \"/web.nix\")"),
        ("broken.nix", "{ ./modules/web.nix"),
    ]);
    kit.author("CreateModule", module(json!({ "a": 1 }))).expect("made");
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        User: `modules/web.nix` is still used
        hint: by c.nix:2
        hint: by hosts/a.nix:1
    "#]],
    );
    // An output that is written otherwise is a use like any other.
    for file in ["hosts/a.nix", "c.nix", "broken.nix"] {
        kit.put(file, "{ }");
    }
    let listed = kit.text("flake.nix").expect("a flake");
    kit.put("flake.nix", &listed.replace("= ./modules/web.nix", "= import ./modules/web.nix"));
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        User: `modules/web.nix` is still used
        hint: by flake.nix:8
    "#]],
    );
    kit.put("flake.nix", &listed);
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        ModuleDeleted
          modules/web.nix
          flake.nix
    "#]],
    );
}

#[test]
fn flakes_that_cannot_be_edited_stay() {
    let kit = Kit::new(&[("flake.nix", "{ outputs = inputs: import ./outputs.nix inputs; }")]);
    check(
        kit.author("CreateModule", module(json!({ "a": 1 }))),
        expect![[r#"
        ModuleCreated
          modules/web.nix
        note: `flake.nix` stays as it is: `outputs` is not written out as a set in this file, so nothing can be added to it; what to add to its outputs is `nixosModules.web = ./modules/web.nix;`
    "#]],
    );
    check(
        kit.author("DeleteModule", json!({ "name": "web" })),
        expect![[r#"
        ModuleDeleted
          modules/web.nix
    "#]],
    );
    let host = json!({ "name": "ada", "configuration": { "name": "ada", "system": "x86_64-linux",
        "kind": "home", "modules": ["inputs.x.y"] } });
    check(
        kit.author("CreateConfiguration", host.clone()),
        expect![[r#"
        ConfigurationCreated
          homes/ada/default.nix
        note: `flake.nix` stays as it is: `outputs` is not written out as a set in this file, so nothing can be added to it; what to add to its outputs is `homeConfigurations.ada = home-manager.lib.homeManagerConfiguration { pkgs = nixpkgs.legacyPackages.x86_64-linux; extraSpecialArgs = { inherit inputs; }; modules = [ ./homes/ada ]; };`
        note: `inputs` becomes a parameter: whoever evaluates the module has to hand it in, with `specialArgs`
    "#]],
    );

    let kit = Kit::new(&[("flake.nix", FLAKE)]);
    check(
        kit.author("CreateConfiguration", host.clone()),
        expect![[r#"
        ConfigurationCreated
          homes/ada/default.nix
        note: `flake.nix` stays as it is: nothing supplies `home-manager` there; what to add to its outputs is `homeConfigurations.ada = home-manager.lib.homeManagerConfiguration { pkgs = nixpkgs.legacyPackages.x86_64-linux; extraSpecialArgs = { inherit inputs; }; modules = [ ./homes/ada ]; };`
        note: `inputs` becomes a parameter: whoever evaluates the module has to hand it in, with `specialArgs`
    "#]],
    );

    let kit = Kit::new(&[("flake.nix", FLAKE)]);
    check(
        kit.author_with("CreateConfiguration", host, Listing::None),
        expect![[r#"
        ConfigurationCreated
          homes/ada/default.nix
        note: `inputs` becomes a parameter: whoever evaluates the module has to hand it in, with `specialArgs`
    "#]],
    );
    assert_eq!(kit.text("flake.nix").as_deref(), Some(FLAKE));
}

#[test]
fn homes_are_listed_with_their_system() {
    let flake = FLAKE.replace(
        "  outputs",
        "  inputs.hm.url = \"github:nix-community/home-manager\";\n\n  outputs",
    );
    let kit = Kit::new(&[("flake.nix", &flake)]);
    let home = |system: &str| {
        json!({ "name": "ada@laptop", "configuration": { "name": "ada@laptop",
        "system": system, "kind": "home", "modules": ["inputs.x.y"] } })
    };
    check(
        kit.author("CreateConfiguration", home("x86_64-linux")),
        expect![[r#"
        ConfigurationCreated
          homes/ada@laptop/default.nix
          flake.nix
    "#]],
    );
    check(
        kit.author("UpdateConfiguration", home("aarch64-linux")),
        expect![[r#"
        ConfigurationUpdated
          flake.nix
    "#]],
    );
    expect![[r#"
        {
          inputs.nixpkgs.url = "github:NixOS/nixpkgs";

          inputs.hm.url = "github:nix-community/home-manager";

          outputs =
            { self, nixpkgs, ... }@inputs:
            {
              packages = { };
              homeConfigurations."ada@laptop" = inputs.hm.lib.homeManagerConfiguration {
                pkgs = inputs.nixpkgs.legacyPackages.aarch64-linux;
                extraSpecialArgs = { inherit inputs; };
                modules = [ (./. + "/homes/ada@laptop") ];
              };
            };
        }
    "#]]
    .assert_eq(&kit.text("flake.nix").expect("a flake"));
}

#[test]
fn hostile_names_and_files_are_refused() {
    let kit = Kit::new(&[("flake.nix", FLAKE)]);
    let mut out = String::new();
    for name in ["", "..", "../x", "a/b", "-x", "a b", "${x}", "\"", "a\0b", "x\n"] {
        let body = json!({ "name": name, "module": { "name": name } });
        out.push_str(&said(kit.author("CreateModule", body)));
    }
    for file in [
        "/etc/x.nix",
        "../x.nix",
        "a/../../x.nix",
        "a//x.nix",
        "a\0.nix",
        "flake.nix",
        ".git/x.nix",
        "x.sh",
    ] {
        let body = json!({ "name": "web", "module": { "name": "web", "file": file } });
        out.push_str(&said(kit.author("CreateModule", body)));
    }
    assert!(kit.author("DeleteModule", json!({ "name": "../flake" })).is_err());
    assert!(
        kit.author("UpdateModule", json!({ "name": "../flake", "module": { "name": "" } }))
            .is_err()
    );
    assert_eq!(kit.files.show(), format!("flake.nix: {FLAKE}\n"));
    expect![[r#"
        User: `` cannot be the name of a module: it is empty
        User: `..` cannot be the name of a module: it starts with a dash or a dot
        User: `../x` cannot be the name of a module: it starts with a dash or a dot
        User: `a/b` cannot be the name of a module: it may have letters, digits and `-_.+@` only
        User: `-x` cannot be the name of a module: it starts with a dash or a dot
        User: `a b` cannot be the name of a module: it may have letters, digits and `-_.+@` only
        User: `${x}` cannot be the name of a module: it may have letters, digits and `-_.+@` only
        User: `\"` cannot be the name of a module: it may have letters, digits and `-_.+@` only
        User: `a\0b` cannot be the name of a module: it may have letters, digits and `-_.+@` only
        User: `x\n` cannot be the name of a module: it may have letters, digits and `-_.+@` only
        User: `/etc/x.nix` cannot be the file of a module: it has to be relative, without `.`, `..` and empty parts
        User: `../x.nix` cannot be the file of a module: it has to be relative, without `.`, `..` and empty parts
        User: `a/../../x.nix` cannot be the file of a module: it has to be relative, without `.`, `..` and empty parts
        User: `a//x.nix` cannot be the file of a module: it has to be relative, without `.`, `..` and empty parts
        User: `a\0.nix` cannot be the file of a module: it has to be relative, without `.`, `..` and empty parts
        User: `flake.nix` cannot be written: it is the flake
        User: `.git/x.nix` cannot be written: it is inside of Git's own folder
        User: `x.sh` cannot be written: its name does not end in `.nix`
    "#]].assert_eq(&out);
    // Odd, but a name: what leads to it is no literal.
    kit.author("CreateModule", json!({ "name": "ü@x", "module": { "name": "" } })).expect("made");
    assert!(kit.text("flake.nix").expect("a flake").contains("(./. + \"/modules/ü@x.nix\")"));
    kit.author("DeleteModule", json!({ "name": "ü@x" })).expect("removed");
    assert_eq!(kit.text("flake.nix").as_deref(), Some(FLAKE));
}
