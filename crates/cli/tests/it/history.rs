//! Commands about flakes on their way: file, event, read model, answer, undo, redo; and what the
//! commands that look back say.

use std::fs;

use expect_test::expect;
use regex::Regex;
use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

const FLAKE: &str = "\
//- flake.nix
{
  description = \"small\";
  inputs.base.url = \"path:./base\";
  outputs = { self, base }: { };
}
//- base/flake.nix
{ outputs = _: { }; }
//- data/file
1
";

/// Runs a command and shows it without what differs from run to run.
fn told(sandbox: &Sandbox, args: &str) -> String {
    let output = sandbox.run(args);
    let mut text = stdout(&output);
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let text = sandbox.normal(&text);
    let id = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
    let text = id.replace_all(&text, "[id]");
    let time = Regex::new("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}").unwrap();
    let text = time.replace_all(&text, "[time]");
    let moment = Regex::new("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z").unwrap();
    let text = moment.replace_all(&text, "[moment]");
    let user = Regex::new("uid [0-9]+").unwrap();
    let text = user.replace_all(&text, "uid N");
    let store = Regex::new("[0-9a-f]{32}[.]sqlite").unwrap();
    let text = store.replace_all(&text, "[store].sqlite").into_owned();
    format!("$ cim-nix {args}\n{text}[exit {}]\n", output.status.code().unwrap())
}

fn all(sandbox: &Sandbox, commands: &[&str]) -> String {
    commands.iter().map(|args| told(sandbox, args)).collect()
}

fn json(sandbox: &Sandbox, args: &str) -> Value {
    let output = sandbox.run(args);
    serde_json::from_str(&stdout(&output))
        .unwrap_or_else(|error| panic!("{args}: {error}: {output:?}"))
}

#[test]
fn an_input_comes_and_goes() {
    let sandbox = Sandbox::new(FLAKE);
    let before = sandbox.read("flake.nix");
    expect![[r#"
        $ cim-nix flake add-input data ./data --not-a-flake --dry-run --no-lock
        would be recorded: took note of the flake in [tmp]/project as it is
        would be recorded: added the input `data` from ./data
          would change flake.nix

        --- a/flake.nix
        +++ b/flake.nix
        @@ -1,5 +1,7 @@
         {
           description = "small";
           inputs.base.url = "path:./base";
        -  outputs = { self, base }: { };
        +  inputs.data.url = "./data";
        +  inputs.data.flake = false;
        +  outputs = { self, base, data }: { };
         }
        [exit 1]
        $ cim-nix flake add-input data path:./data --not-a-flake
        took note of the flake in [tmp]/project as it is  [id]
        added the input `data` from path:./data  [id]
          changed flake.nix
          created flake.lock
        [exit 0]
        $ cim-nix flake add-input data path:./data --not-a-flake
        nothing to change
        [exit 0]
        $ cim-nix query get-flake-inputs path=.
        changed:
          at: [moment]
          by: uid N
          event: [id]
          event_type: FlakeInputAdded
          version: 2
        id: [id]
        inputs:
          base: path:./base
          data: path:./data
        locked:
          base: path:./base
          data: path:./data
        path: [tmp]/project
        [exit 0]
        $ cim-nix log
            2  added the input `data` from path:./data
               [id]  [time]  uid N
            1  took note of the flake in [tmp]/project as it is
               [id]  [time]  uid N
        [exit 0]
        $ cim-nix undo
        undo: added the input `data` from path:./data  [id]
          removed flake.lock
          changed flake.nix
        [exit 0]
        $ cim-nix redo
        redo: added the input `data` from path:./data  [id]
          changed flake.nix
          created flake.lock
        [exit 0]
        $ cim-nix flake remove-input data
        removed the input `data`  [id]
          changed flake.nix
          changed flake.lock
        [exit 0]
        $ cim-nix undo
        undo: removed the input `data`  [id]
          changed flake.lock
          changed flake.nix
        [exit 0]
        $ cim-nix undo
        undo: added the input `data` from path:./data  [id]
          removed flake.lock
          changed flake.nix
        [exit 0]
        $ cim-nix undo
        error: there is nothing to undo
          hint: `cim-nix log` lists the events
        [exit 2]
        $ cim-nix status
        project  .
        store    [tmp]/state/cim-nix/store/[store].sqlite
        events   7
        redo     7 added the input `data` from path:./data
        files are as recorded
        [exit 0]
    "#]]
    .assert_eq(&all(
        &sandbox,
        &[
            "flake add-input data ./data --not-a-flake --dry-run --no-lock",
            "flake add-input data path:./data --not-a-flake",
            "flake add-input data path:./data --not-a-flake",
            "query get-flake-inputs path=.",
            "log",
            "undo",
            "redo",
            "flake remove-input data",
            "undo",
            "undo",
            "undo",
            "status",
        ],
    ));
    assert_eq!(sandbox.read("flake.nix"), before);
    assert!(!sandbox.project().join("flake.lock").exists());
}

#[test]
fn every_edit_is_an_event_with_its_answer() {
    let sandbox = Sandbox::new(FLAKE);
    let edits = [
        ("flake describe other", "description = \"other\""),
        ("flake set-input base path:./data --no-lock", "path:./data"),
        ("flake set-input base path:./base --no-lock", "path:./base"),
        ("flake rename-input base ground --no-lock", "inputs.ground.url"),
        ("flake follow ground/x ground --no-lock", "inputs.ground.inputs.x.follows"),
        ("flake unfollow ground/x --no-lock", "inputs.ground.url"),
        (
            "flake add-output packages.x86_64-linux.tool self --no-lock",
            "packages.x86_64-linux.tool",
        ),
        ("flake add-overlay tools _final:_prev:{} --no-lock", "overlays.tools"),
        ("flake add-module web ./data/file --no-lock", "nixosModules.web"),
    ];
    let mut texts = vec![sandbox.read("flake.nix")];
    for (args, shown) in edits {
        let told = json(&sandbox, &format!("{args} --format json"));
        assert!(told["position"].is_u64(), "{args}: {told}");
        let text = sandbox.read("flake.nix");
        assert!(text.contains(shown), "{args}:\n{text}");
        // Asked twice, it is done once.
        let again = json(&sandbox, &format!("{args} --format json"));
        assert!(again["position"].is_null(), "{args}: {again}");
        texts.push(text);
    }
    let view = json(&sandbox, "query get-flake path=. --format json");
    assert_eq!(
        (&view["description"], view["inputs"]["ground"].is_string()),
        (&"other".into(), true)
    );
    for text in texts.iter().rev().skip(1) {
        assert!(sandbox.run("undo").status.success());
        assert_eq!(&sandbox.read("flake.nix"), text);
    }
    for text in texts.iter().skip(1) {
        assert!(sandbox.run("redo").status.success());
        assert_eq!(&sandbox.read("flake.nix"), text);
    }
}

#[test]
fn a_flake_is_made_and_unmade() {
    let sandbox = Sandbox::new("//- x\n");
    assert!(sandbox.run("flake new tool").status.success());
    let log = json(&sandbox, "log --format json --project tool");
    assert_eq!(log["event_type"], "FlakeCreated");
    let view = json(&sandbox, "query list-flakes --format json --project tool");
    assert_eq!(view["items"].as_array().unwrap().len(), 1);
    assert!(sandbox.run("undo --project tool").status.success());
    assert!(!sandbox.project().join("tool/flake.nix").exists());
}

#[test]
fn what_others_wrote_stays() {
    let sandbox =
        Sandbox::new("//- flake.nix\n{ outputs = _: { }; }\n//- a.nix\nlet x = 1; in 2\n");
    assert!(sandbox.run("check --fix --select DEAD001 a.nix").status.success());
    sandbox.write("a.nix", "3\n");
    expect![[r#"
        $ cim-nix undo
        error: cannot undo event 1, ProjectFixed: `a.nix` changed since
          hint: `a.nix` was changed by others:
        --- as recorded
        +++ on disk
        @@ -1 +1 @@
        -let in 2
        +3
        and this is what would have been done:
        --- as recorded
        +++ wanted
        @@ -1 +1 @@
        -let in 2
        +let x = 1; in 2
          hint: put the file back as it was recorded, or make the change by hand: `cim-nix show 1` has it
        [exit 2]
        $ cim-nix status
        project  .
        store    [tmp]/state/cim-nix/store/[store].sqlite
        events   1
        undo     1 fixed 1 findings (DEAD001)
        changed by others: a.nix
        [exit 1]
        $ cim-nix status --diff
        project  .
        store    [tmp]/state/cim-nix/store/[store].sqlite
        events   1
        undo     1 fixed 1 findings (DEAD001)
        changed by others: a.nix
        --- as recorded
        +++ on disk
        @@ -1 +1 @@
        -let in 2
        +3
        [exit 1]
        $ cim-nix blame a.nix
        others                           1  3
        [exit 0]
    "#]].assert_eq(&all(&sandbox, &["undo", "status", "status --diff", "blame a.nix"]));
    assert_eq!(sandbox.read("a.nix"), "3\n");
}

#[test]
fn the_past_can_be_had_again() {
    let sandbox = Sandbox::new("//- flake.nix\n{outputs=_:{};}\n//- a.nix\nlet x = 1; in 2\n");
    assert!(sandbox.run("check --fix --select DEAD001 a.nix").status.success());
    assert!(sandbox.run("fmt --formatter nixfmt flake.nix").status.success());
    let fixed = sandbox.read("a.nix");
    sandbox.write("a.nix", "broken");
    assert!(sandbox.run("replay --to 1 --into past").status.success());
    assert_eq!(sandbox.read("past/a.nix"), fixed);
    assert!(!sandbox.project().join("past/flake.nix").exists());
    fs::remove_dir_all(sandbox.project().join("past")).unwrap();
    // Events go to another project and back, once.
    assert!(sandbox.run("export all.jsonl").status.success());
    sandbox.write("other/flake.nix", "{ outputs = _: { }; }\n");
    assert!(sandbox.run("import all.jsonl --project other").status.success());
    assert!(sandbox.run("import all.jsonl --project other").status.success());
    let lines = stdout(&sandbox.run("log --format json --project other"));
    assert_eq!(lines.lines().count(), 2);
    // A project that was moved finds its history.
    fs::rename(sandbox.project().join("other"), sandbox.project().join("moved")).unwrap();
    let old = sandbox.project().join("other");
    let adopt = format!("store adopt {} --project moved", old.display());
    assert!(sandbox.run(&adopt).status.success());
    assert_eq!(stdout(&sandbox.run("log --format json --project moved")), lines);
}

#[test]
fn a_store_of_strangers_is_not_believed() {
    let sandbox =
        Sandbox::new("//- flake.nix\n{\n  description = \"x\";\n  outputs = _: { };\n}\n");
    assert!(sandbox.run("store here").status.success());
    assert!(sandbox.run("flake describe y --no-lock").status.success());
    assert!(sandbox.project().join(".cim-nix/events.sqlite").exists());
    assert_eq!(fs::read_to_string(sandbox.project().join(".cim-nix/.gitignore")).unwrap(), "*\n");
    // The same folder for somebody else, who has not said that it is to be believed.
    let other = sandbox.project().join("../elsewhere");
    let run = |args: &str| sandbox.command(args).env("XDG_STATE_HOME", &other).output().unwrap();
    let said = run("log");
    assert!(String::from_utf8_lossy(&said.stderr).contains("was not made here by you"), "{said:?}");
    assert!(stdout(&said).is_empty());
    assert!(run("store here").status.success());
    assert!(stdout(&run("log")).contains("described the flake"));
}
