//! `rename`: a name on its way through a file, the event that tells of it, and the way back.

use expect_test::expect;
use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

const PROJECT: &str = "\
//- flake.nix
{ outputs = { self }: { lib = import ./lib; }; }
//- lib/default.nix
let
  port = 80; # λ
  hosts = {
    web.port = port;
    db = { inherit port; };
  };
in
{
  inherit (hosts) web;
  url = \"http://${toString port}\";
}
";

#[test]
fn a_name_is_changed_in_its_file_and_back() {
    let sandbox = Sandbox::new(PROJECT);
    let before = sandbox.read("lib/default.nix");
    sandbox.check(
        "rename lib/default.nix:2:3 listen --dry-run",
        expect![[r#"
        [stdout]
        would be recorded: renamed `port` to `listen` in lib/default.nix
          would change lib/default.nix

        --- a/lib/default.nix
        +++ b/lib/default.nix
        @@ -1,11 +1,11 @@
         let
        -  port = 80; # λ
        +  listen = 80; # λ
           hosts = {
        -    web.port = port;
        -    db = { inherit port; };
        +    web.port = listen;
        +    db = { port = listen; };
           };
         in
         {
           inherit (hosts) web;
        -  url = "http://${toString port}";
        +  url = "http://${toString listen}";
         }
        [exit 1]
    "#]],
    );
    assert_eq!(sandbox.read("lib/default.nix"), before);
    let output = sandbox.run("rename lib/default.nix:10:28 listen --format json");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&told["changed"], &told["written"]), (&true.into(), &true.into()));
    let event = &told["events"][0];
    assert_eq!(event["event_type"], "SymbolRenamed");
    assert_eq!(
        (&event["event"]["file"], &event["event"]["from"], &event["event"]["to"]),
        (&"lib/default.nix".into(), &"port".into(), &"listen".into())
    );
    expect![[r#"
        let
          listen = 80; # λ
          hosts = {
            web.port = listen;
            db = { port = listen; };
          };
        in
        {
          inherit (hosts) web;
          url = "http://${toString listen}";
        }
    "#]]
    .assert_eq(&sandbox.read("lib/default.nix"));
    let log = stdout(&sandbox.run("log"));
    assert!(log.contains("renamed `port` to `listen` in lib/default.nix"), "{log}");
    assert_eq!(sandbox.run("undo").status.code(), Some(0));
    assert_eq!(sandbox.read("lib/default.nix"), before);
    assert_eq!(sandbox.run("redo").status.code(), Some(0));
    assert!(sandbox.read("lib/default.nix").contains("web.port = listen;"));
    sandbox.check(
        "rename lib/default.nix:2:3 listen",
        expect![[r#"
            [stdout]
            nothing to change
            [exit 0]
        "#]],
    );
}

#[test]
fn what_would_change_the_meaning_is_refused_with_its_places() {
    let sandbox = Sandbox::new(PROJECT);
    let before = sandbox.read("lib/default.nix");
    let all = [
        "rename lib/default.nix:2:3 hosts",
        "rename lib/default.nix:2:3 toString",
        "rename lib/default.nix:2:3 in",
        "rename lib/default.nix:10:3 address",
        "rename lib/default.nix:1:1 x",
        "rename lib/default.nix:99:1 x",
        "rename lib/default.nix:2 x",
        "rename lib/none.nix:1:1 x",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|args| {
            let output = sandbox.run(args);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            format!("$ {args}\n{}", sandbox.normal(&String::from_utf8_lossy(&output.stderr)))
        })
        .collect();
    expect![[r#"
        $ rename lib/default.nix:2:3 hosts
        error: there is another `hosts` already
          hint: lib/default.nix:3:3: it is here
          hint: take another name
        $ rename lib/default.nix:2:3 toString
        error: `toString` is used for something else, which would change its meaning
          hint: lib/default.nix:10:19: it is used here
          hint: take another name
        $ rename lib/default.nix:2:3 in
        error: "in" cannot be a name here
        $ rename lib/default.nix:10:3 address
        error: other code may ask for `url` by this name
          hint: lib/default.nix:1:1: the file gives it, and other files may use it
          hint: --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
        $ rename lib/default.nix:1:1 x
        error: there is no name at this place
          hint: lib/default.nix:1:1: here
          hint: `cim-nix symbols` lists names with their places
        $ rename lib/default.nix:99:1 x
        error: there is no line 99 in `lib/default.nix`: it has 12 lines
        $ rename lib/default.nix:2 x
        error: invalid value 'lib/default.nix:2' for '<FILE:LINE:COLUMN>': a place is written as a file, a line and a column, such as `flake.nix:3:5`

        For more information, try '--help'.
        $ rename lib/none.nix:1:1 x
        error: cannot read `lib/none.nix`: it does not exist
    "#]].assert_eq(&told.concat());
    assert_eq!(sandbox.read("lib/default.nix"), before);
}

#[test]
fn who_insists_is_told_where_to_look() {
    let sandbox = Sandbox::new(PROJECT);
    let output = sandbox.run("rename lib/default.nix:10:3 address --even-if-used-elsewhere");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "note: lib/default.nix:1:1: the file gives it, and other files may use it\n");
    assert!(sandbox.read("lib/default.nix").contains("address = \"http"));
}

#[test]
fn a_file_that_somebody_writes_meanwhile_is_a_conflict_or_done() {
    let sandbox = Sandbox::new(PROJECT);
    let names = ["a", "b", "c", "d"];
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let mut command = sandbox.command(&format!("rename lib/default.nix:2:3 {name}"));
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let n_done = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .inspect(|output| assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}"))
        .filter(|output| output.status.code() == Some(0))
        .count();
    let log = stdout(&sandbox.run("log --format json"));
    assert_eq!(log.lines().count(), n_done, "{log}");
    let text = sandbox.read("lib/default.nix");
    assert!(n_done > 0 && names.iter().any(|name| text.contains(&format!("  {name} = 80;"))));
}
