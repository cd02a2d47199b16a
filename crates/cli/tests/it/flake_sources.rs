//! Flakes from archives, from registries and from folders with unusual names.

use expect_test::expect;

use crate::judge::Scene;

const KEEP: &str = "--no-write-lock-file";

fn tar(scene: &Scene, arguments: &str) {
    let status = std::process::Command::new("tar")
        .args(arguments.split_whitespace())
        .args(["--mtime=2024-01-02T03:04:05Z", "--owner=0", "--group=0", "--sort=name"])
        .current_dir(scene.sandbox.project())
        .status();
    assert!(status.unwrap().success(), "tar {arguments}");
}

#[test]
fn a_flake_may_come_from_an_archive() {
    let scene = Scene::new("").with(
        r#"
//- flake/flake.nix
{ outputs = { self }: { x = 1; attrs = builtins.attrNames self.sourceInfo; date = self.lastModifiedDate; }; }
//- dependent/flake.nix
{ inputs.a.url = "file://[project]/flake.tar.gz"; outputs = { a, ... }: { x = a.x; }; }
//- tree/flake.nix
{
  inputs.a = { url = "file://[project]/flake.tar.gz"; flake = false; };
  inputs.b = { url = "file://[project]/text.txt"; flake = false; };
  inputs.c = { url = "file+file://[project]/flake.tar.gz"; flake = false; };
  outputs = { a, b, c, ... }: {
    a = builtins.attrNames (builtins.readDir a);
    b = builtins.readFile b;
    c = builtins.hashFile "sha256" c == builtins.hashFile "sha256" c.outPath;
    names = map builtins.attrNames [ a.sourceInfo b.sourceInfo c.sourceInfo ];
  };
}
//- text.txt
text
"#,
    );
    tar(&scene, "-czf flake.tar.gz flake");
    let flake = "file://[project]/flake.tar.gz";
    scene.value(&format!("eval {flake}#x"), "1");
    scene.judged("", &format!("eval {flake}#attrs"));
    scene.value(&format!("eval {flake}#date"), "\"20240102030405\"");
    let json = scene.judged_json(&format!("flake metadata --json {flake}"));
    let url = json["url"].as_str().unwrap().replace("file:[project]", "file://[project]");
    assert!(url.contains("narHash=sha256-"), "{url}");
    scene.value(&format!("eval {url}#x"), "1");
    scene.check_locks(
        &format!("path:[project]/dependent {KEEP}"),
        expect![[r#"
        a: file:[project]/flake.tar.gz tarball
        root
          a = a
    "#]],
    );
    scene.value(&format!("eval path:[project]/dependent#x {KEEP}"), "1");
    scene.check_locks(
        &format!("path:[project]/tree {KEEP}"),
        expect![[r#"
        a: file:[project]/flake.tar.gz tarball, a tree
        b: file file:[project]/text.txt, a tree
        c: file file:[project]/flake.tar.gz, a tree
        root
          a = a
          b = b
          c = c
    "#]],
    );
    for attr in ["a", "b", "c", "names"] {
        scene.judged("", &format!("eval path:[project]/tree#{attr} {KEEP}"));
    }
    scene.write_lock("tree");
    for attr in ["a", "b", "c", "names"] {
        scene.judged("", &format!("eval path:[project]/tree#{attr}"));
    }
    let wrong = "narHash=sha256-qQ2Zz4DNHViCUrp6gTS7EE4+RMqFQtUfWF2UNUtJKS0=";
    scene.check_alone("", &format!("eval {flake}?{wrong}#x"), expect![[r#"
        error: NAR hash mismatch in input 'file:[project]/flake.tar.gz?narHash=sha256-[hash]', expected 'sha256-qQ2Zz4DNHViCUrp6gTS7EE4+RMqFQtUfWF2UNUtJKS0=' but got 'sha256-eXp9s+oVbBzaaLagtRKW2EBhg9bRqoSIwtt8X99FWaY='
        [failed]
    "#]]);
}

#[test]
fn names_of_folders_may_be_unusual() {
    let scene = Scene::new("").with(
        r#"
//- with blank/flake.nix
{ outputs = _: { x = 1; p = ./.; }; }
//- per%20cent/flake.nix
{ inputs.a.url = "git+file://[project]/with%20blank"; inputs.b.url = "path:[project]/%C3%BCmlaut+"; outputs = { a, b, ... }: { x = a.x + b.x; }; }
//- ümlaut+/flake.nix
{ outputs = _: { x = 3; }; }
"#,
    );
    scene.commit_all("with blank");
    scene.commit_all("per%20cent");
    scene.value("eval git+file://[project]/with%20blank#x", "1");
    scene.value("eval git+file://[project]/per%2520cent#x --no-write-lock-file", "4");
    scene.check_locks(
        "git+file://[project]/per%2520cent --no-write-lock-file",
        expect![[r#"
        a: file:[project]/with%20blank git
        b: [project]/ümlaut+ path
        root
          a = a
          b = b
    "#]],
    );
    scene.value("eval ./per%20cent#x --no-write-lock-file", "4");
    scene.value("eval path:./with%20blank#x", "1");
    scene.value("eval ./ümlaut+#x", "3");
    scene.value("eval path:./%C3%BCmlaut+#x", "3");
}

#[test]
fn a_branch_or_commit_may_be_named_with_a_name() {
    let scene = Scene::new("")
        .with("\n//- one/flake.nix\n{ outputs = _: { x = 1; }; }\n//- two/flake.nix\n{ outputs = { self, one }: { x = one.x; }; }\n")
        .with_registry(&[
            ("one", r#"{"type":"git","url":"file://[project]/one"}"#),
            ("folder", r#"{"type":"path","path":"[project]/one"}"#),
        ]);
    scene.commit_all("one");
    let first = scene.judged_json("flake metadata --json one")["revision"].clone();
    let first = first.as_str().unwrap().to_owned();
    scene.git("one", "branch old");
    scene.write("one/flake.nix", "{ outputs = _: { x = 2; }; }");
    scene.commit_all("one");
    scene.commit_all("two");
    scene.value("eval one#x", "2");
    scene.value("eval one/old#x", "1");
    scene.value(&format!("eval one/main/{first}#x"), "1");
    scene.check(
        &format!("eval one/{first}#x"),
        expect![[r#"
        error: Git input 'git+file:[project]/one?rev=[rev]' has a commit hash but no branch/tag name
        [failed]
    "#]],
    );
    scene.check(
        "eval folder/old#x",
        expect![[r#"
        error: don't know how to set branch/tag name of input 'path:[project]/one' to 'old'
        [failed]
    "#]],
    );
    scene.value(&format!("eval ./two#x --override-input one one/main/{first}"), "1");
    scene.value("eval ./two#x --override-input one one/old", "1");
    scene.judged_json("flake metadata --json ./two --override-input one one/old");
    scene.check(
        "eval nobody#x",
        expect![[r#"
        error: cannot find flake 'flake:nobody' in the flake registries
        [failed]
    "#]],
    );
}

#[test]
fn the_registry_of_the_user_counts_for_people_only() {
    let scene = Scene::new("").with(
        "\n//- one/flake.nix\n{ outputs = _: { x = 1; }; }\n//- two/flake.nix\n{ outputs = { self, one }: { x = one.x; }; }\n",
    );
    let project = scene.sandbox.project();
    let registry = format!(
        r#"{{"version":2,"flakes":[{{"from":{{"type":"indirect","id":"one"}},"to":{{"type":"path","path":"{}/one"}}}}]}}"#,
        project.display()
    );
    for home in [".", "nix-home"] {
        scene.sandbox.write(&format!("../{home}/.config/nix/registry.json"), &registry);
    }
    scene.value("eval one#x", "1");
    // A lock file must not depend on who made it.
    scene.check(&format!("eval path:[project]/two#x {KEEP}"), expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]/two?lastModified=[n]&narHash=sha256-[hash]'

               … while updating the flake input 'one'

               error: cannot find flake 'flake:one' in the flake registries
        [failed]
    "#]]);
    scene.value("eval path:[project]/two#x --override-input one one", "1");
}

#[test]
fn inputs_of_a_flake_may_be_names() {
    let scene = Scene::new("").with(
        r#"
//- base/one/flake.nix
{ outputs = _: { x = 1; }; }
//- base/two/flake.nix
{ outputs = _: { x = 2; }; }
//- user/flake.nix
{
  inputs.one.url = "path:[project]/base?dir=one";
  inputs.two.url = "git+file://[project]/base?dir=two";
  inputs.three.follows = "one";
  outputs = _: { };
}
//- other/flake.nix
{ outputs = { one, ... }: { x = one.x; }; }
"#,
    );
    scene.commit_all("base");
    for name in ["one", "two", "three"] {
        scene.judged("", &format!("eval {name}#x --inputs-from path:[project]/user"));
        scene.judged_json(&format!(
            "flake metadata --json {name} --inputs-from path:[project]/user"
        ));
    }
    scene.value(
        &format!("eval path:[project]/other#x --inputs-from path:[project]/user {KEEP}"),
        "1",
    );
    scene.check(
        "eval four#x --inputs-from path:[project]/user",
        expect![[r#"
        warning: not writing modified lock file of flake 'path:[project]/user':
        • Added input 'one':
            'path:[project]/base?dir=one&lastModified=[n]&narHash=sha256-[hash]' ([date])
        • Added input 'three':
            follows 'one'
        • Added input 'two':
            'git+file:[project]/base?dir=two&ref=refs/heads/main&rev=[rev]' ([date])
        error: cannot find flake 'flake:four' in the flake registries
        [failed]
    "#]],
    );
}
