//! How the inputs of flakes are locked: the same graph as in Nix, kept in memory.

use expect_test::expect;

use crate::judge::Scene;

const KEEP: &str = "--no-write-lock-file";

/// A flake in a repository with flakes below it, some of which follow each other.
fn nested() -> Scene {
    let scene = Scene::new("").with(
        r#"
//- a/flake.nix
{
  inputs.b = { url = "path:./b"; inputs.leaf.follows = "leaf"; };
  inputs.leaf.url = "path:[project]/a/leaf";
  outputs = { b, ... }: { name = "a"; of-b = b.leaf; };
}
//- a/b/flake.nix
{
  inputs.leaf.url = "path:[project]/a/leaf";
  inputs.twig.follows = "c/twig";
  inputs.c = { url = "path:./c"; inputs.leaf.follows = "leaf"; };
  outputs = { leaf, twig, ... }: { name = "b"; leaf = leaf.name + twig.name; };
}
//- a/b/c/flake.nix
{
  inputs.leaf.url = "path:[project]/a/leaf";
  inputs.twig.follows = "leaf";
  outputs = { ... }: { name = "c"; };
}
//- a/leaf/flake.nix
{ inputs = { }; outputs = { ... }: { name = "leaf"; }; }
//- a/d/flake.nix
{ outputs = { self }: { name = "d"; }; }
"#,
    );
    scene.commit_all("a");
    scene
}

#[test]
fn inputs_follow_each_other() {
    let scene = nested();
    scene.check_locks(
        &format!("./a {KEEP}"),
        expect![[r#"
        b: ./b path, in /
          c = c
          leaf = /leaf
          twig = /b/c/twig
        c: ./c path, in /b
          leaf = /b/leaf
          twig = /b/c/leaf
        leaf: [project]/a/leaf path
        root
          b = b
          leaf = leaf
    "#]],
    );
    scene.value(&format!("eval ./a#of-b {KEEP}"), r#""leafleaf""#);
    // Once it is locked, another lock is no change.
    scene.write_lock("a");
    scene.commit_all("a");
    scene.check_locks(
        "./a",
        expect![[r#"
        b: ./b path, in /
          c = c
          leaf = /leaf
          twig = /b/c/twig
        c: ./c path, in /b
          leaf = /b/leaf
          twig = /b/c/leaf
        leaf: [project]/a/leaf path
        root
          b = b
          leaf = leaf
    "#]],
    );
    scene.value("eval ./a#of-b", r#""leafleaf""#);
}

#[test]
fn lock_files_are_written_as_nix_writes_them() {
    let scene = nested();
    scene.check_lock_file("a");
    let scene = Scene::new("").with(
        "\n//- flake.nix\n{ inputs.a = { url = \"path:./ü\\\"\\t\"; flake = false; }; outputs = _: { }; }\n//- empty/flake.nix\n{ outputs = _: { }; }\n",
    );
    scene.check_lock_file("");
}

#[test]
fn what_follows_no_more_is_locked_anew() {
    let scene = nested();
    scene.write_lock("a");
    scene.write(
        "a/flake.nix",
        r#"{ inputs.b.url = "path:./b"; inputs.d.url = "path:./d"; outputs = { b, d, ... }: { x = b.leaf + d.name; }; }"#,
    );
    scene.commit_all("a");
    scene.check_locks(
        &format!("./a {KEEP}"),
        expect![[r#"
        b: ./b path, in /
          c = c
          leaf = leaf
          twig = /b/c/twig
        c: ./c path, in /b
          leaf = /b/leaf
          twig = /b/c/leaf
        d: ./d path, in /
        leaf: [project]/a/leaf path
        root
          b = b
          d = d
    "#]],
    );
    scene.value(&format!("eval ./a#x {KEEP}"), r#""leafleafd""#);
    scene.check("eval ./a#x --no-update-lock-file", expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]/a?ref=refs/heads/main&rev=[rev]'

               error: flake 'git+file:[project]/a' requires lock file changes but they're not allowed due to '--no-update-lock-file'
        [failed]
    "#]]);
}

#[test]
fn relative_inputs_stay_in_their_source() {
    let scene = nested();
    scene.write(
        "a/flake.nix",
        r#"{ inputs.b.url = "path:../b"; outputs = { b, ... }: { x = 1; }; }"#,
    );
    scene.commit_all("a");
    scene.check(&format!("eval ./a#x {KEEP}"), expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]/a?ref=refs/heads/main&rev=[rev]'

               … while updating the flake input 'b'

               error: access to absolute path '/nix/store/b/flake.nix' is forbidden in pure evaluation mode (use '--impure' to override)
        [failed]
    "#]]);
    scene.write(
        "a/flake.nix",
        r#"{ inputs.e = { flake = false; url = "./foo.nix"; }; outputs = { e, ... }: { x = import e; }; }"#,
    );
    scene.write("a/foo.nix", "123");
    scene.commit_all("a");
    scene.check_locks(
        &format!("./a {KEEP}"),
        expect![[r#"
        e: ./foo.nix path, a tree, in /
        root
          e = e
    "#]],
    );
    scene.value(&format!("eval ./a#x {KEEP}"), "123");
    scene.write_lock("a");
    scene.commit_all("a");
    scene.value("eval ./a#x", "123");
}

#[test]
fn overrides_of_what_is_not_there_are_told() {
    let scene = nested();
    scene.write(
        "a/flake.nix",
        r#"{
          inputs.b = { url = "path:./b"; inputs.nothing.follows = "d"; inputs.nobody.url = "path:./d"; };
          inputs.d.url = "path:./d";
          outputs = { ... }: { x = 1; };
        }"#,
    );
    scene.commit_all("a");
    scene.value(&format!("eval ./a#x {KEEP}"), "1");
    scene.check(
        &format!("eval ./a#x {KEEP} --override-input q ./a/d"),
        expect![[r#"
        1
        warning: input '' has an override for a non-existent input 'q'
        warning: input 'b' has an override for a non-existent input 'nobody'
        warning: input 'b' has an override for a non-existent input 'nothing'
        warning: the flag '--override-input q git+file:[project]/a?dir=d' does not match any input
        warning: not writing modified lock file of flake 'git+file:[project]/a':
        • Added input 'b':
            'path:./b'
        • Added input 'b/c':
            'path:./c'
        • Added input 'b/c/leaf':
            follows 'b/leaf'
        • Added input 'b/c/twig':
            follows 'b/c/leaf'
        • Added input 'b/leaf':
            'path:[project]/a/leaf?lastModified=[n]&narHash=sha256-[hash]' ([date])
        • Added input 'b/twig':
            follows 'b/c/twig'
        • Added input 'd':
            'path:./d'
    "#]],
    );
    scene.check(
        &format!("eval ./a#x {KEEP} --update-input q"),
        expect![[r#"
        1
        warning: input 'b' has an override for a non-existent input 'nobody'
        warning: input 'b' has an override for a non-existent input 'nothing'
        warning: 'q' does not match any input of this flake
        warning: not writing modified lock file of flake 'git+file:[project]/a':
        • Added input 'b':
            'path:./b'
        • Added input 'b/c':
            'path:./c'
        • Added input 'b/c/leaf':
            follows 'b/leaf'
        • Added input 'b/c/twig':
            follows 'b/c/leaf'
        • Added input 'b/leaf':
            'path:[project]/a/leaf?lastModified=[n]&narHash=sha256-[hash]' ([date])
        • Added input 'b/twig':
            follows 'b/c/twig'
        • Added input 'd':
            'path:./d'
    "#]],
    );
}

#[test]
fn a_follow_may_lead_through_another_one() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{
  inputs.b = { url = "path:./b"; inputs.c.follows = "c"; };
  inputs.c.url = "path:./b/c";
  outputs = { b, ... }: { x = b.x; };
}
//- b/flake.nix
{ inputs.c.url = "path:./c"; inputs.d.follows = "c/d"; outputs = { c, d, ... }: { x = c.x + d.x; }; }
//- b/c/flake.nix
{ inputs.d.url = "path:./d"; outputs = { d, ... }: { x = "c" + d.x; }; }
//- b/c/d/flake.nix
{ outputs = { ... }: { x = "d"; }; }
"#,
    );
    scene.check_locks(
        &format!("path:[project] {KEEP}"),
        expect![[r#"
        b: ./b path, in /
          c = /c
          d = /b/c/d
        c: ./b/c path, in /
          d = d
        d: ./d path, in /c
        root
          b = b
          c = c
    "#]],
    );
    scene.value(&format!("eval path:[project]#x {KEEP}"), r#""cdd""#);
}

#[test]
fn circles_of_follows_are_told() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ inputs = { foo.follows = "bar"; bar.follows = "baz"; baz.follows = "foo"; }; outputs = _: { }; }
//- missing/flake.nix
{ inputs.a.follows = "b"; outputs = _: { }; }
"#,
    );
    scene.check(&format!("eval path:[project]#x {KEEP}"), expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

               error: follow cycle detected: [baz -> foo -> bar -> baz]
        [failed]
    "#]]);
    scene.check(&format!("eval path:[project]/missing#x {KEEP}"), expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]/missing?lastModified=[n]&narHash=sha256-[hash]'

               error: input 'a' follows a non-existent input 'b'
        [failed]
    "#]]);
}

#[test]
fn a_flake_may_replace_inputs_of_its_inputs() {
    let scene = Scene::new("").with(
        r#"
//- a/flake.nix
{
  inputs.b = { url = "path:./b"; inputs.c.url = "path:./b/d"; };
  outputs = { b, ... }: { x = b.x; };
}
//- a/b/flake.nix
{ inputs.c.url = "path:./c"; outputs = { c, ... }: { x = c.x; }; }
//- a/b/c/flake.nix
{ outputs = _: { x = "c"; }; }
//- a/b/d/flake.nix
{ outputs = _: { x = "d"; }; }
//- deep/flake.nix
{
  inputs.b.url = "path:[project]/deep-b";
  inputs.d.url = "path:[project]/a/b/d";
  inputs.b.inputs.c.inputs.d.follows = "d";
  outputs = { b, ... }: { x = b.x; };
}
//- deep-b/flake.nix
{ inputs.c.url = "path:[project]/deep-c"; outputs = { c, ... }: { x = c.x; }; }
//- deep-c/flake.nix
{ inputs.d.url = "path:nowhere"; outputs = { d, ... }: { x = d.x; }; }
"#,
    );
    scene.check_locks(
        &format!("path:[project]/a {KEEP}"),
        expect![[r#"
        b: ./b path, in /
          c = c
        c: ./b/d path, in /
        root
          b = b
    "#]],
    );
    scene.value(&format!("eval path:[project]/a#x {KEEP}"), r#""d""#);
    // What is given for one run is not what is wanted.
    scene.check_locks(
        "path:[project]/a --override-input b/c path:./a/b/c",
        expect![[r#"
        b: ./b path, in /
          c = c
        c: ./c path
        root
          b = b
    "#]],
    );
    scene.value("eval path:[project]/a#x --override-input b/c path:./a/b/c", r#""c""#);
    scene.value("eval path:[project]/a#x --override-input b ./deep-b", r#""d""#);
    scene.check_locks(
        &format!("path:[project]/deep {KEEP}"),
        expect![[r#"
        b: [project]/deep-b path
          c = c
        c: [project]/deep-c path
          d = /d
        d: [project]/a/b/d path
        root
          b = b
          d = d
    "#]],
    );
    scene.value(&format!("eval path:[project]/deep#x {KEEP}"), r#""d""#);
}

#[test]
fn inputs_have_lock_files_of_their_own() {
    let scene = Scene::new("").with(
        r#"
//- one/flake.nix
{ outputs = _: { x = 1; }; }
//- two/flake.nix
{ outputs = _: { x = 2; }; }
//- sub/flake.nix
{ inputs.dep.url = "path:[project]/one"; outputs = { dep, ... }: { x = 10 * dep.x; }; }
//- root/flake.nix
{ inputs.sub.url = "path:[project]/sub"; outputs = { sub, ... }: { x = sub.x; }; }
"#,
    );
    scene.write_lock("sub --override-input dep ./two");
    scene.check_locks(
        &format!("path:[project]/root {KEEP}"),
        expect![[r#"
        dep: [project]/one path
        root
          sub = sub
        sub: [project]/sub path
          dep = dep
    "#]],
    );
    scene.value(&format!("eval path:[project]/root#x {KEEP}"), "20");
    scene.write_lock("root");
    scene.value(&format!("eval path:[project]/root#x {KEEP} --recreate-lock-file"), "20");
    scene.check(
        &format!("eval path:[project]/root#x {KEEP} --update-input sub"),
        expect![[r#"
        20
    "#]],
    );
    scene.check(
        &format!("eval path:[project]/root#x {KEEP} --update-input sub/dep"),
        expect![[r#"
        10
        warning: not writing modified lock file of flake 'path:[project]/root':
        • Updated input 'sub/dep':
            'path:[project]/two?lastModified=[n]&narHash=sha256-[hash]' ([date])
          → 'path:[project]/one?lastModified=[n]&narHash=sha256-[hash]' ([date])
    "#]],
    );
}

#[test]
fn relative_flakes_may_go_up_and_aside() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ inputs.sub0.url = ./sub0; outputs = { self, sub0 }: { x = 2; y = self.x * sub0.x; }; }
//- sub0/flake.nix
{ outputs = { self }: { x = 7; }; }
//- sub1/flake.nix
{ inputs.root.url = "../"; outputs = { self, root }: { x = 3; y = self.x * root.x; }; }
//- sub2/flake.nix
{
  inputs.root.url = ./..;
  inputs.sub1.url = "../sub1";
  outputs = { self, root, sub1 }: { x = 5; y = self.x * sub1.x * root.y; };
}
"#,
    );
    scene.value(&format!("eval path:[project]?dir=sub1#y {KEEP}"), "6");
    scene.commit_all("");
    scene.value(&format!("eval .#y {KEEP}"), "14");
    scene.value(&format!("eval ./sub1#y {KEEP}"), "6");
    scene.check_locks(
        &format!("./sub2 {KEEP}"),
        expect![[r#"
        root
          root = root_2
          sub1 = sub1
        root_2: .. path, in /
          sub0 = sub0
        root_3: ../ path, in /sub1
          sub0 = sub0_2
        sub0: path sub0, in /root
        sub0_2: path sub0, in /sub1/root
        sub1: ../sub1 path, in /
          root = root_3
    "#]],
    );
    scene.value(&format!("eval ./sub2#y {KEEP}"), "210");
    scene.write_lock("sub2");
    scene.commit_all("");
    scene.value("eval ./sub2#y", "210");
}

#[test]
fn a_folder_in_a_relative_input_counts() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ inputs.sub.url = "path:./sub?dir=inner"; outputs = { sub, ... }: { x = sub.x; p = sub.outPath; }; }
//- sub/inner/flake.nix
{ outputs = _: { x = "inner"; }; }
//- alt/deep/flake.nix
{ outputs = _: { x = "deep"; }; }
"#,
    );
    scene.check_locks(
        &format!("path:[project] {KEEP}"),
        expect![[r#"
        root
          sub = sub
        sub: ./sub inner path, in /
    "#]],
    );
    scene.value(&format!("eval path:[project]#x {KEEP}"), r#""inner""#);
    scene.value(
        "eval path:[project]#x --override-input sub path:[project]/alt?dir=deep",
        r#""deep""#,
    );
    // Nix 2.34 forgets the folder if the lock file is there; newer ones do not.
    scene.write_lock("");
    scene.check_alone(
        "",
        "eval path:[project]#x",
        expect![[r#"
        "inner"
    "#]],
    );
}

#[test]
fn a_flake_may_be_the_input_of_its_input() {
    let scene = Scene::new("").with(
        r#"
//- a/flake.nix
{
  inputs.b.url = "git+file://[project]/b";
  inputs.b.inputs.a.follows = "/";
  outputs = { self, b }: { foo = 123 + b.bar; xyzzy = 1000; };
}
//- b/flake.nix
{ inputs.a.url = "git+file://[project]/a"; outputs = { self, a }: { bar = 456 + a.xyzzy; }; }
//- c/flake.nix
{ inputs.d.url = "path:[project]/d"; outputs = { ... }: { x = 1; }; }
//- d/flake.nix
{ inputs.c.url = "path:[project]/c"; outputs = { ... }: { x = 1; }; }
"#,
    );
    scene.commit_all("a");
    scene.commit_all("b");
    scene.check_locks(
        &format!("./a {KEEP}"),
        expect![[r#"
        b: file:[project]/b git
          a = /
        root
          b = b
    "#]],
    );
    scene.value(&format!("eval ./a#foo {KEEP}"), "1579");
    scene.check(&format!("eval path:[project]/c#x {KEEP}"), expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]/c?lastModified=[n]&narHash=sha256-[hash]'

               … while updating the flake input 'd'

               … while updating the flake input 'd/c'

               … while updating the flake input 'd/c/d'

               error: found circular import of flake 'path:[project]/d'
        [failed]
    "#]]);
}

/// Flakes with names in a registry.
fn named() -> Scene {
    let scene = Scene::new("")
        .with(
            r#"
//- flake1/flake.nix
{ description = "one"; outputs = inputs: { number = 123; name = baseNameOf ./.; folder = dirOf ./.; }; }
//- flake2/flake.nix
{ outputs = { self, flake1 }: { number = flake1.number + 1; }; }
//- tree/README.md
FNORD
//- plain/README.md
FNORD
//- flake3/flake.nix
{
  inputs = {
    flake1 = { };
    flake2 = { };
    tree = { url = "git+file://[project]/tree"; flake = false; };
    file = { url = "path://[project]/plain/README.md"; flake = false; };
    file2 = { url = "[project]/plain/README.md"; flake = false; };
    file3 = { url = "[project]/plain?dir=README.md"; flake = false; };
    own = { url = ./config.nix; flake = false; };
  };
  outputs = inputs: {
    paths = builtins.mapAttrs (_: input: [ input.outPath input.sourceInfo.outPath (builtins.attrNames input) ])
      { inherit (inputs) tree file file2 file3 own; };
    read = builtins.mapAttrs (_: builtins.readFile) { inherit (inputs) file file2 own; };
    number = inputs.flake2.number;
  };
}
//- flake3/config.nix
{ }
"#,
        )
        .with_registry(&[
            ("flake1", r#"{"type":"git","url":"file://[project]/flake1"}"#),
            ("flake2", r#"{"type":"git","url":"file://[project]/flake2"}"#),
            ("flake3", r#"{"type":"git","url":"file://[project]/flake3"}"#),
            ("alias", r#"{"type":"indirect","id":"flake1"}"#),
            ("inner", r#"{"type":"path","path":"[project]","dir":"flake1"}"#),
        ]);
    for folder in ["flake1", "flake2", "flake3", "tree"] {
        scene.commit_all(folder);
    }
    scene
}

#[test]
fn names_are_looked_up_in_registries() {
    let scene = named();
    scene.check_locks(
        "flake1",
        expect![[r#"
        root
    "#]],
    );
    scene.check_locks(
        "alias",
        expect![[r#"
        root
    "#]],
    );
    scene.check_locks(
        "inner",
        expect![[r#"
        root
    "#]],
    );
    scene.value("eval alias#number", "123");
    scene.value("eval inner#number", "123");
    scene.check_locks(
        &format!("./flake2 {KEEP}"),
        expect![[r#"
        flake1: flake1 indirect
        root
          flake1 = flake1
    "#]],
    );
    scene.value(&format!("eval ./flake2#number {KEEP}"), "124");
    scene.check(&format!("eval ./flake2#number {KEEP} --no-use-registries"), expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]/flake2?ref=refs/heads/main&rev=[rev]'

               … while updating the flake input 'flake1'

               error: 'flake:flake1' is an indirect flake reference, but registry lookups are not allowed
        [failed]
    "#]]);
    // Nobody can write there.
    scene.check("eval flake2#number", expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]/flake2?ref=refs/heads/main&rev=[rev]'

               error: cannot write modified lock file of flake 'flake:flake2' (use '--no-write-lock-file' to ignore)
        [failed]
    "#]]);
    scene.value(&format!("eval flake2#number {KEEP}"), "124");
    scene.value("eval ./flake2#number --override-input flake1 alias", "124");
    scene.value(
        &format!("eval ./flake2#number {KEEP} --override-flake flake1 path:[project]/flake1"),
        "124",
    );
    scene.write_lock("flake2");
    scene.commit_all("flake2");
    // A lock file needs no registry.
    scene.value("eval ./flake2#number --no-use-registries", "124");
    scene.value("eval flake1#number --inputs-from ./flake2", "123");
}

#[test]
fn trees_are_inputs_too() {
    let scene = named();
    scene.check_locks(
        &format!("./flake3 {KEEP}"),
        expect![[r#"
            file: [project]/plain/README.md path, a tree
            file2: [project]/plain/README.md path, a tree
            file3: README.md [project]/plain path, a tree
            flake1: flake1 indirect
            flake1_2: flake1 indirect
            flake2: flake2 indirect
              flake1 = flake1_2
            own: config.nix path, a tree, in /
            root
              file = file
              file2 = file2
              file3 = file3
              flake1 = flake1
              flake2 = flake2
              own = own
              tree = tree
            tree: file:[project]/tree git, a tree
        "#]],
    );
    scene.value(&format!("eval ./flake3#paths {KEEP}"), r#"{ file = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "sourceInfo" ] ]; file2 = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "sourceInfo" ] ]; file3 = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "sourceInfo" ] ]; own = [ "/nix/store/[hash]-source/config.nix" "/nix/store/[hash]-source" [ "outPath" "sourceInfo" ] ]; tree = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "rev" "revCount" "shortRev" "sourceInfo" "submodules" ] ]; }"#);
    scene.value(
        &format!("eval ./flake3#read {KEEP}"),
        r#"{ file = "FNORD\n"; file2 = "FNORD\n"; own = "{ }\n"; }"#,
    );
    scene.value(&format!("eval ./flake3#number {KEEP}"), "124");
    scene.write_lock("flake3");
    scene.commit_all("flake3");
    scene.value("eval ./flake3#paths", r#"{ file = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "sourceInfo" ] ]; file2 = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "sourceInfo" ] ]; file3 = [ "/nix/store/[hash]-source/README.md" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "sourceInfo" ] ]; own = [ "/nix/store/[hash]-source/config.nix" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "rev" "revCount" "shortRev" "sourceInfo" "submodules" ] ]; tree = [ "/nix/store/[hash]-source" "/nix/store/[hash]-source" [ "lastModified" "lastModifiedDate" "narHash" "outPath" "rev" "revCount" "shortRev" "sourceInfo" "submodules" ] ]; }"#);
    scene.value("eval ./flake3#read", r#"{ file = "FNORD\n"; file2 = "FNORD\n"; own = "{ }\n"; }"#);
    scene.value("eval ./flake3#number", "124");
    // Sources that nobody asks for are not fetched.
    std::fs::rename(scene.sandbox.project().join("tree"), scene.sandbox.project().join("gone"))
        .unwrap();
    scene.value("eval ./flake3#number", "124");
}

#[test]
fn what_is_not_committed_is_no_version() {
    let scene = named();
    scene.write("flake1/flake.nix", "{ outputs = _: { number = 7; }; }");
    scene.value("eval ./flake2#number --override-input flake1 ./flake1", "8");
    scene.check_locks(
        "./flake2 --override-input flake1 ./flake1",
        expect![[r#"
        flake1: flake1 indirect
        root
          flake1 = flake1
    "#]],
    );
    scene.write("flake2/flake.nix", r#"{ inputs.flake1.url = "git+file://[project]/flake1"; outputs = { self, flake1 }: { x = flake1.number; r = self.rev or "none"; }; }"#);
    scene.value(&format!("eval ./flake2#x {KEEP}"), "7");
    scene.commit_all("flake2");
    scene.value(&format!("eval ./flake2#r {KEEP}"), r#""none""#);
    scene.commit_all("flake1");
    scene.value(&format!("eval ./flake2#r {KEEP}"), r#""none""#);
}

#[test]
fn another_lock_file_can_be_named() {
    let scene = named();
    scene.write_lock("flake2");
    std::fs::copy(
        scene.sandbox.project().join("flake2/flake.lock"),
        scene.sandbox.project().join("other.lock"),
    )
    .unwrap();
    std::fs::remove_file(scene.sandbox.project().join("flake2/flake.lock")).unwrap();
    scene.write("flake1/flake.nix", "{ outputs = _: { number = 7; }; }");
    scene.commit_all("flake1");
    scene.value("eval ./flake2#number --reference-lock-file other.lock", "124");
    scene.value(&format!("eval ./flake2#number {KEEP}"), "8");
}

#[test]
fn older_lock_files_are_current() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ inputs.dep.url = "git+file:///no-such-path?dir=subdir"; outputs = { dep, self }: { x = 1; y = dep.x; }; }
//- flake.lock
{
  "nodes": {
    "dep": {
      "locked": {
        "dir": "subdir", "lastModified": 1746721011, "narHash": "sha256-9aIDvIdyHAfQyvT5SwPgYxUUhf1GwQVAWq+qa5LcEQE=",
        "ref": "refs/heads/master", "rev": "432058dbfc82b0369bc9cce440e4af2aece52b54", "revCount": 1,
        "type": "git", "url": "file:///no-such-path?dir=subdir"
      },
      "original": { "dir": "subdir", "type": "git", "url": "file:///no-such-path?dir=subdir" }
    },
    "root": { "inputs": { "dep": "dep" } }
  },
  "root": "root",
  "version": 7
}
//- old/flake.nix
{ inputs.dep.url = "path:[project]/gone"; outputs = { dep, self }: { x = 1; }; }
//- old/flake.lock
{
  "nodes": {
    "dep": {
      "info": { "lastModified": 5, "narHash": "sha256-9aIDvIdyHAfQyvT5SwPgYxUUhf1GwQVAWq+qa5LcEQE=" },
      "locked": { "path": "[project]/gone", "type": "path" },
      "original": { "path": "[project]/gone", "type": "path" }
    },
    "root": { "inputs": { "dep": "dep" } }
  },
  "root": "root",
  "version": 5
}
"#,
    );
    scene.check_locks(
        "path:[project]",
        expect![[r#"
        dep: file:///no-such-path?dir=subdir git subdir
        root
          dep = dep
    "#]],
    );
    scene.value("eval path:[project]#x", "1");
    scene.check_locks(
        "path:[project]/old",
        expect![[r#"
        dep: [project]/gone path
        root
          dep = dep
    "#]],
    );
    scene.value("eval path:[project]/old#x", "1");
}
