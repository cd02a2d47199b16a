//! What is wrong with flakes, in the words of Nix.

use expect_test::{Expect, expect};

use crate::judge::Scene;

#[test]
fn flake_files_are_read_and_not_computed() {
    let check = |text: &str, want: Expect| {
        let scene = Scene::new("");
        scene.write("flake.nix", text);
        scene.commit_all("");
        scene.check("eval .#x --no-write-lock-file", want);
    };
    check(
        r#"{ inputs.a.url = "x" + "y"; outputs = _: { }; }"#,
        expect![[r#"
        error:
               … while evaluating flake attribute 'url'
                 at [project]/flake.nix:1:3:
                    1| { inputs.a.url = "x" + "y"; outputs = _: { }; }
                     |   ^

               error: expected a string or a path but got a thunk at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ inputs = let a = 1; in { }; outputs = _: { }; }",
        expect![[r#"
        error: expected a set but got a thunk at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ inputs.a = 1; outputs = _: { }; }",
        expect![[r#"
        error: expected a set but got an integer at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ inputs.a.flake = 1; outputs = _: { }; }",
        expect![[r#"
        error:
               … while evaluating flake attribute 'flake'
                 at [project]/flake.nix:1:3:
                    1| { inputs.a.flake = 1; outputs = _: { }; }
                     |   ^

               error: expected a Boolean but got an integer at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ inputs.a.type = [ ]; outputs = _: { }; }",
        expect![[r#"
        error:
               … while evaluating flake attribute 'type'
                 at [project]/flake.nix:1:3:
                    1| { inputs.a.type = [ ]; outputs = _: { }; }
                     |   ^

               error: flake input attribute 'type' is a list while a string, Boolean, or integer is expected
        [failed]
    "#]],
    );
    check(
        "{ inputs.a.n = -1; outputs = _: { }; }",
        expect![[r#"
        error:
               … while evaluating flake attribute 'n'
                 at [project]/flake.nix:1:3:
                    1| { inputs.a.n = -1; outputs = _: { }; }
                     |   ^

               error: flake input attribute 'n' is a thunk while a string, Boolean, or integer is expected
        [failed]
    "#]],
    );
    check(
        "{ inputs.a.n = 1; outputs = _: { }; }",
        expect![[r#"
        error: unexpected flake input attribute 'n', at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        r#"{ inputs.a.type = "github"; outputs = _: { }; }"#,
        expect![[r#"
        error:
               … while evaluating flake input
                 at [project]/flake.nix:1:3:
                    1| { inputs.a.type = "github"; outputs = _: { }; }
                     |   ^

               error: input attribute 'owner' is missing
        [failed]
    "#]],
    );
    check(
        r#"{ inputs.a = { url = "path:/b"; follows = "b"; }; outputs = _: { }; }"#,
        expect![[r#"
        error: flake input has both a flake reference and a follows attribute, at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        r#"{ inputs.a.url = "nowhere:x"; outputs = _: { }; }"#,
        expect![[r#"
        error: input 'nowhere:x' is unsupported
        [failed]
    "#]],
    );
    check(
        "{ inputs.self.other = 1; outputs = _: { }; }",
        expect![[r#"
        error: flake 'self' attribute 'other' is not supported
        [failed]
    "#]],
    );
    check(
        "{ inputs.a.inputs.self.lfs = true; outputs = _: { }; }",
        expect![[r#"
        error:
               … while evaluating flake attribute 'inputs'
                 at [project]/flake.nix:1:3:
                    1| { inputs.a.inputs.self.lfs = true; outputs = _: { }; }
                     |   ^

               error: 'self' input attribute not allowed at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ description = 1; outputs = _: { }; }",
        expect![[r#"
        error: expected a string but got an integer at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ outputs = 1; }",
        expect![[r#"
        error: expected a function but got an integer at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ }",
        expect![[r#"
        error: flake 'git+file:[project]' lacks attribute 'outputs'
        [failed]
    "#]],
    );
    check(
        "let a = 1; in { outputs = a; }",
        expect![[r#"
        error:
               … while evaluating the file '[project]/flake.nix':

               error: file '[project]/flake.nix' must be an attribute set
        [failed]
    "#]],
    );
    check(
        "{ edition = 1; outputs = _: { }; }",
        expect![[r#"
        error: flake 'git+file:[project]' has an unsupported attribute 'edition', at [project]/flake.nix:1:3
        [failed]
    "#]],
    );
    check(
        "{ nixConfig.a = null; outputs = _: { }; }",
        expect![[r#"
        error: flake configuration setting 'a' is null
        [failed]
    "#]],
    );
    check(
        "{ nixConfig.a = [ 1 ]; outputs = _: { }; }",
        expect![[r#"
        error: list element in flake configuration setting 'a' is a list while a string is expected
        [failed]
    "#]],
    );
    check(
        "{ outputs = { self, nobody }: { }; }",
        expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]?ref=refs/heads/main&rev=[rev]'

               … while updating the flake input 'nobody'

               error: cannot find flake 'flake:nobody' in the flake registries
        [failed]
    "#]],
    );
    check(
        "({ outputs = _: { x = 1; }; })",
        expect![[r#"
        1
    "#]],
    );
    check(
        "rec { description = \"d\"; outputs = _: { x = description; }; }",
        expect![[r#"
        "d"
    "#]],
    );
    check(
        "{ inputs = rec { self = { submodules = false; }; }; outputs = _: { x = 1; }; }",
        expect![[r#"
            1
        "#]],
    );
    check(
        "{ inputs.a.url = ./nowhere; outputs = _: { x = 1; }; }",
        expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]?ref=refs/heads/main&rev=[rev]'

               … while updating the flake input 'a'

               error: Path 'nowhere/flake.nix' does not exist in Git repository "[project]".
        [failed]
    "#]],
    );
    check(
        "{ inputs.a.url = \"path:/nowhere\"; outputs = _: { x = 1; }; }",
        expect![[r#"
        error:
               … while updating the lock file of flake 'git+file:[project]?ref=refs/heads/main&rev=[rev]'

               … while updating the flake input 'a'

               … while fetching the input 'path:/nowhere'

               error: path '/nowhere' does not exist
        [failed]
    "#]],
    );
}

#[test]
fn lock_files_are_checked() {
    let check = |lock: &str, want: Expect| {
        let scene = Scene::new("");
        scene.write("flake.nix", "{ inputs.a.url = \"path:/a\"; outputs = _: { x = 1; }; }");
        scene.write("flake.lock", lock);
        scene.check("eval path:[project]#x --no-write-lock-file", want);
    };
    check(
        r#"{"version":8}"#,
        expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

               error: lock file '[project]/flake.lock' has unsupported version 8
        [failed]
    "#]],
    );
    check(
        r#"{"version":7,"root":"root","nodes":{"root":{"inputs":{"a":"b"}}}}"#,
        expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

               error: lock file references missing node 'b'
        [failed]
    "#]],
    );
    check(
        r#"{"version":7,"root":"root","nodes":{"root":{"inputs":{"a":"root"}}}}"#,
        expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

               error: lock file contains cycle to root node
        [failed]
    "#]],
    );
    check(
        r#"{"version":7,"root":"root","nodes":{"root":{"inputs":{"a":"b"}},"b":{"original":{"type":"path","path":"/a"}}}}"#,
        expect![[r#"
            error:
                   … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

                   error: attribute 'locked' missing in lock file
            [failed]
        "#]],
    );
    check(
        r#"{"version":7,"root":"root","nodes":{"root":{"inputs":{"a":"b"}},"b":{"locked":{"type":"path","path":"/a"},"original":{"type":"path","path":"/a"}}}}"#,
        expect![[r#"
            error:
                   … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

                   error: Lock file contains unlocked input '{"path":"/a","type":"path"}'. Use '--allow-dirty-locks' to accept this lock file.
            [failed]
        "#]],
    );
    check(
        r#"{"version":7,"root":"root","nodes":{"root":{"inputs":{"a":"b"}},"b":{"locked":{"type":"git","url":"file:///a","narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"original":{"type":"path","path":"/a"}}}}"#,
        expect![[r#"
            1
            warning: Lock file entry 'git+file:///a' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. This is not reproducible and will break after garbage collection or when shared.
        "#]],
    );
}

#[test]
fn files_are_named_as_people_know_them() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{
  outputs = { ... }: {
    x = 1;
    y = assert false; 1;
    z = builtins.readFile ./foo;
    a = import ./foo;
    b = import ./dir;
    parent = builtins.dirOf ./.;
    base = builtins.baseNameOf ./.;
    top = ./.;
  };
}
"#,
    );
    scene.git("", "init --quiet");
    scene.check(
        "eval .#x",
        expect![[r#"
            error: Path 'flake.nix' in the repository "[project]" is not tracked by Git.

                   To make it visible to Nix, run:

                   git -C "[project]" add "flake.nix"
            [failed]
        "#]],
    );
    scene.git("", "add flake.nix");
    scene.value("eval .#x", "1");
    scene.check(
        "eval .#y",
        expect![[r#"
        warning: Git tree '[project]' is dirty
        error: assertion 'false' failed
               at [project]/flake.nix:4:9:
                    3|     x = 1;
                    4|     y = assert false; 1;
                     |         ^
                    5|     z = builtins.readFile ./foo;
        [failed]
    "#]],
    );
    scene.git("", "commit --quiet --all --message=x");
    scene.check(
        "eval git+file://[project]?ref=main#y",
        expect![[r#"
            error: assertion 'false' failed
                   at «git+file:[project]?ref=main&rev=[rev]»/flake.nix:4:9:
                        3|     x = 1;
                        4|     y = assert false; 1;
                         |         ^
                        5|     z = builtins.readFile ./foo;
            [failed]
        "#]],
    );
    scene.check(
        "eval .#z",
        expect![[r#"
        error:
               … while calling the 'readFile' builtin
                 at [project]/flake.nix:5:9:
                    4|     y = assert false; 1;
                    5|     z = builtins.readFile ./foo;
                     |         ^
                    6|     a = import ./foo;

               error: Path 'foo' does not exist in Git repository "[project]".
        [failed]
    "#]],
    );
    scene.check(
        "eval git+file://[project]?ref=main#z",
        expect![[r#"
            error:
                   … while calling the 'readFile' builtin
                     at «git+file:[project]?ref=main&rev=[rev]»/flake.nix:5:9:
                        4|     y = assert false; 1;
                        5|     z = builtins.readFile ./foo;
                         |         ^
                        6|     a = import ./foo;

                   error: '«git+file:[project]?ref=main&rev=[rev]»/foo' does not exist
            [failed]
        "#]],
    );
    scene.check(
        "eval .#a",
        expect![[r#"
        error:
               … while calling the 'import' builtin
                 at [project]/flake.nix:6:9:
                    5|     z = builtins.readFile ./foo;
                    6|     a = import ./foo;
                     |         ^
                    7|     b = import ./dir;

               error: Path 'foo' does not exist in Git repository "[project]".
        [failed]
    "#]],
    );
    scene.value("eval .#parent", "/nix/store/");
    scene.value("eval .#base", "\"914jabvlzmww1zninirndqpi9jzkvf5f-source\"");
    scene.value("eval .#top", "[project]/");
    scene.value("eval .#top --json", "\"/nix/store/[hash]-source\"");
    scene.write("foo", "123");
    scene.check(
        "eval .#z",
        expect![[r#"
        error:
               … while calling the 'readFile' builtin
                 at [project]/flake.nix:5:9:
                    4|     y = assert false; 1;
                    5|     z = builtins.readFile ./foo;
                     |         ^
                    6|     a = import ./foo;

               error: Path 'foo' in the repository "[project]" is not tracked by Git.

               To make it visible to Nix, run:

               git -C "[project]" add "foo"
        [failed]
    "#]],
    );
    scene.check(
        "eval .#a",
        expect![[r#"
        error:
               … while calling the 'import' builtin
                 at [project]/flake.nix:6:9:
                    5|     z = builtins.readFile ./foo;
                    6|     a = import ./foo;
                     |         ^
                    7|     b = import ./dir;

               error: Path 'foo' in the repository "[project]" is not tracked by Git.

               To make it visible to Nix, run:

               git -C "[project]" add "foo"
        [failed]
    "#]],
    );
    scene.git("", "add foo");
    scene.value("eval .#z", "\"123\"");
    scene.check(
        "eval .#b",
        expect![[r#"
        warning: Git tree '[project]' is dirty
        error:
               … while calling the 'import' builtin
                 at [project]/flake.nix:7:9:
                    6|     a = import ./foo;
                    7|     b = import ./dir;
                     |         ^
                    8|     parent = builtins.dirOf ./.;

               error: Path 'dir' does not exist in Git repository "[project]".
        [failed]
    "#]],
    );
    scene.write("dir/default.nix", "456");
    scene.check(
        "eval .#b",
        expect![[r#"
        warning: Git tree '[project]' is dirty
        error:
               … while calling the 'import' builtin
                 at [project]/flake.nix:7:9:
                    6|     a = import ./foo;
                    7|     b = import ./dir;
                     |         ^
                    8|     parent = builtins.dirOf ./.;

               error: Path 'dir' in the repository "[project]" is not tracked by Git.

               To make it visible to Nix, run:

               git -C "[project]" add "dir"
        [failed]
    "#]],
    );
    scene.git("", "add dir");
    scene.value("eval .#b", "456");
    scene.check("eval .#nobody", expect![[r#"
        warning: Git tree '[project]' is dirty
        error: flake 'git+file:[project]' does not provide attribute 'packages.x86_64-linux.nobody', 'legacyPackages.x86_64-linux.nobody' or 'nobody'
        [failed]
    "#]]);
    scene.check("eval .#xx", expect![[r#"
        warning: Git tree '[project]' is dirty
        error: flake 'git+file:[project]' does not provide attribute 'packages.x86_64-linux.xx', 'legacyPackages.x86_64-linux.xx' or 'xx'
               Did you mean one of x, a, b, y or z?
        [failed]
    "#]]);
}

#[test]
fn attributes_are_looked_for_as_nix_does() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{
  outputs = { self }: {
    x = 1;
    packages.x86_64-linux.x = 2;
    packages.x86_64-linux.hello = "packages";
    legacyPackages.x86_64-linux.hello = { type = "derivation"; out = "legacy"; outputName = "out"; };
    packages.x86_64-linux."sth sth" = 3;
    broken = throw "breaks";
    set = { };
  };
}
"#,
    );
    scene.value("eval path:[project]#.x", "1");
    scene.value("eval path:[project]#x", "2");
    scene.value("eval path:[project]#.packages.x86_64-linux.x", "2");
    scene.value("eval path:[project]#hello", "\"packages\"");
    scene.check(
        "eval path:[project]#hello.out",
        expect![[r#"
        error: 'packages.x86_64-linux.hello' is not an attribute set
        [failed]
    "#]],
    );
    scene.value("eval path:[project]#sth%20sth", "3");
    scene.check(
        "eval path:[project]#packages.x86_64-linux.hello.out",
        expect![[r#"
        error: 'packages.x86_64-linux.hello' is not an attribute set
        [failed]
    "#]],
    );
    scene.check(
        "eval path:[project]#broken",
        expect![[r#"
        error:
               … while calling the 'throw' builtin
                 at [project]/flake.nix:8:14:
                    7|     packages.x86_64-linux."sth sth" = 3;
                    8|     broken = throw "breaks";
                     |              ^
                    9|     set = { };

               error: breaks
        [failed]
    "#]],
    );
    scene.check(
        "eval path:[project]#broken.x",
        expect![[r#"
        error:
               … while calling the 'throw' builtin
                 at [project]/flake.nix:8:14:
                    7|     packages.x86_64-linux."sth sth" = 3;
                    8|     broken = throw "breaks";
                     |              ^
                    9|     set = { };

               error: breaks
        [failed]
    "#]],
    );
    scene.check("eval path:[project]#set.x", expect![[r#"
        error: flake 'path:[project]' does not provide attribute 'packages.x86_64-linux.set.x', 'legacyPackages.x86_64-linux.set.x' or 'set.x'
        [failed]
    "#]]);
    scene.check("eval path:[project]", expect![[r#"
        error: flake 'path:[project]' does not provide attribute 'packages.x86_64-linux.default' or 'defaultPackage.x86_64-linux'
        [failed]
    "#]]);
    // What stands behind the `#` is one piece.
    scene.check("eval path:[project]#foo?bar", expect![[r#"
        error: flake 'path:[project]' does not provide attribute 'packages.x86_64-linux.foo?bar', 'legacyPackages.x86_64-linux.foo?bar' or 'foo?bar'
        [failed]
    "#]]);
}

#[test]
fn queries_without_a_value_are_dubious() {
    let scene = Scene::new("").with("\n//- flake.nix\n{ outputs = _: { x = 1; }; }\n");
    scene.commit_all("");
    scene.check(
        "eval git+file://[project]?bar#x",
        expect![[r#"
            1
            warning: dubious URI query 'bar' is missing equal sign '=', ignoring
        "#]],
    );
    scene.check(
        "eval git+file://[project]?foo=bar#x",
        expect![[r#"
        1
    "#]],
    );
    scene.check(
        "eval git+file://[project]?#x",
        expect![[r#"
        1
    "#]],
    );
    scene.check(
        "eval git+file://[project]?=#x",
        expect![[r#"
        1
    "#]],
    );
    scene.check(
        "eval path:[project]?foo=bar#x",
        expect![[r#"
        error: path URL 'path:[project]?foo=bar' has unsupported parameter 'foo'
        [failed]
    "#]],
    );
}

#[test]
fn flakes_are_found_above() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ inputs.foo.url = "[project]/foo"; outputs = a: { x = 1; packages.x86_64-linux.default = 2; }; }
//- foo/flake.nix
{ outputs = _: { }; }
//- foo/sub/file
x
//- sub/file
x
"#,
    );
    for what in [".", ".#", ".#x", "../sub", "../sub#x", "[project]", "[project]/sub#x"] {
        scene.judged("sub", &format!("eval {what} --no-write-lock-file"));
    }
    // Nix names these files by their store paths.
    scene.check_alone(
        "sub",
        "eval path:. --no-write-lock-file",
        expect![[r#"
        error: path '[project]/sub/flake.nix' does not exist
        [failed]
    "#]],
    );
    scene.check_alone("sub", "eval .#x --override-input foo .", expect![[r#"
        path "[project]/sub" does not contain a 'flake.nix', searching up
        error:
               … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

               … while updating the flake input 'foo'

               error: path '[project]/sub/flake.nix' does not exist
        [failed]
    "#]]);
    scene.check_in(
        "sub",
        "eval ../flake.nix#x --no-write-lock-file",
        expect![[r#"
            1
            warning: Path "[project]/flake.nix" should point at the directory containing the 'flake.nix' file, not the file itself. Pretending that you meant "[project]"
            warning: not writing modified lock file of flake 'path:[project]':
            • Added input 'foo':
                'path:[project]/foo?lastModified=[n]&narHash=sha256-[hash]' ([date])
        "#]],
    );
    scene
        .write("flake.nix", "{ inputs.foo.url = \"[project]/foo/sub\"; outputs = a: { x = 1; }; }");
    scene.check_alone("", "eval .#x --no-write-lock-file", expect![[r#"
        error:
               … while updating the lock file of flake 'path:[project]?lastModified=[n]&narHash=sha256-[hash]'

               … while updating the flake input 'foo'

               error: path '[project]/foo/sub/flake.nix' does not exist
        [failed]
    "#]]);
    scene.git("sub", "init --quiet");
    // But for the hint, these are the words of Nix.
    scene.check_alone(
        "sub",
        "eval .#x --no-write-lock-file",
        expect![[r#"
            path "[project]/sub" does not contain a 'flake.nix', searching up
            error: path "[project]/sub" is not part of a flake (neither it nor its parent directories contain a 'flake.nix' file)
              hint: to evaluate a file or an expression, use `cim-nix eval FILE` or `-E EXPR`
            [failed]
        "#]],
    );
}

#[test]
fn outputs_and_odd_attributes_are_taken() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ outputs = _: { a.b = 1; a."b.c".d = 2; "a^b" = 3; "a#é" = 4; "" = { e = 5; }; x = 6; }; }
//- sub/flake.nix
{ outputs = _: { x = 7; a.b = builtins.readFile ../file; }; }
//- file
Hello
"#,
    );
    for (what, want) in [
        (".#a.b^out", "1"),
        (".#a.b^out,dev", "1"),
        (".#a.b^*", "1"),
        (".#a.\"b.c\".d", "2"),
        (".#a%5Eb", "3"),
        (".#a#é", "4"),
        ("path:[project]#a#%C3%A9", "4"),
        (".#..e", "5"),
        (".#.a.", "{ b = 1; \"b.c\" = { d = 2; }; }"),
        (".?dir=sub#x", "7"),
    ] {
        scene.value(&format!("eval {what}"), want);
    }
    for what in [".?x=1#a", ".#a.c", ".#a..b", ".#a^b^c"] {
        scene.judged("", &format!("eval {what}"));
    }
    // Nix does not say why.
    for what in [".#a.b^", ".#a.b^out,", ".#\"a^b\"", ".#\"a"] {
        assert!(!scene.sandbox.command(&format!("eval {what}")).status().unwrap().success());
    }
    scene.check_alone(
        "",
        "eval .#a.b^out,",
        expect![[r#"
        error: invalid extended outputs specifier '.#a.b^out,': name must not be empty
        [failed]
    "#]],
    );
    scene.commit_all("");
    // Of a repository, more can be said than of a folder.
    scene.value("eval .?submodules=1&ref=HEAD#a.b", "1");
    scene.value("eval ./sub?shallow=1#a.b", "\"Hello\\n\"");
    scene.value("eval .?dir=sub&x=y#a.b", "\"Hello\\n\"");
    scene.check_alone(
        "",
        "eval ./sub?dir=sub#x",
        expect![[r#"
        error: flake URL './sub?dir=sub' has an inconsistent 'dir' parameter
        [failed]
    "#]],
    );
    scene.check_alone(
        "",
        "eval /nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo.drv^out",
        expect![[r#"
            error: `/nix/store/[hash]-foo.drv^out` stands for outputs of a derivation and has no value
            [failed]
        "#]],
    );
}

#[test]
fn links_lead_to_flakes() {
    let scene = Scene::new("").with(
        r#"
//- repo/flake.nix
{ outputs = _: { x = 2; }; }
//- repo/sub/flake.nix
{ outputs = _: { x = builtins.readFile ../file; }; }
//- repo/file
Hello
//- two/file
World
"#,
    );
    scene.commit_all("repo");
    let link = |to: &str, at: &str| {
        let project = scene.sandbox.project();
        std::os::unix::fs::symlink(project.join(to), project.join(at)).unwrap();
    };
    link("repo", "to-repo");
    link("repo/sub", "to-sub");
    link("repo/sub", "two/to-sub");
    scene.commit_all("two");
    scene.value("eval ./to-repo#x", "2");
    scene.value("eval [project]/to-repo/sub#x", "\"Hello\\n\"");
    scene.value("eval ./to-sub#x", "\"Hello\\n\"");
    scene.value("eval ./two/to-sub#x", "\"Hello\\n\"");
}

#[test]
fn flakes_get_flakes() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ outputs = _: { number = 123; }; }
//- sub/flake.nix
{
  outputs = { self }: {
    x = (builtins.getFlake (builtins.flakeRefToString { type = "path"; path = self.sourceInfo.outPath; narHash = self.narHash; })).number;
    y = (builtins.getFlake ./..).number;
    z = (builtins.getFlake "path:[project]").number;
  };
}
//- locked/flake.nix
{ inputs.one.url = "path:[project]"; outputs = { one, ... }: { number = one.number; }; }
"#,
    );
    scene.commit_all("");
    scene.value("eval ./sub#x", "123");
    scene.check("eval ./sub#y", expect![[r#"
        error:
               … while calling the 'getFlake' builtin
                 at [project]/sub/flake.nix:4:10:
                    3|     x = (builtins.getFlake (builtins.flakeRefToString { type = "path"; path = self.sourceInfo.outPath; narHash = self.narHash; })).number;
                    4|     y = (builtins.getFlake ./..).number;
                     |          ^
                    5|     z = (builtins.getFlake "path:[project]").number;

               … while evaluating the argument passed to builtins.getFlake

               error: expected a string but found a path: [project]/
        [failed]
    "#]]);
    scene.check("eval ./sub#z", expect![[r#"
        error:
               … while calling the 'getFlake' builtin
                 at [project]/sub/flake.nix:5:10:
                    4|     y = (builtins.getFlake ./..).number;
                    5|     z = (builtins.getFlake "path:[project]").number;
                     |          ^
                    6|   };

               error: cannot call 'getFlake' on unlocked flake reference 'path:[project]', at «none»:0 (use --impure to override)
        [failed]
    "#]]);
    scene.value("eval ./sub#z --impure", "123");
    scene.write("get.nix", "(builtins.getFlake \"path:[project]/locked\").number");
    scene.check(
        "eval --impure --file ./get.nix",
        expect![[r#"
        123
        warning: not writing modified lock file of flake 'path:[project]/locked':
        • Added input 'one':
            'path:[project]?lastModified=[n]&narHash=sha256-[hash]' ([date])
    "#]],
    );
}

#[test]
fn absolute_paths_are_impure() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{ outputs = { self }: { x = builtins.readFile "[project]/file"; y = builtins.pathExists "[project]/file"; }; }
//- file
content
"#,
    );
    scene.commit_all("");
    scene.check("eval .#x", expect![[r#"
        error:
               … while calling the 'readFile' builtin
                 at [project]/flake.nix:1:29:
                    1| { outputs = { self }: { x = builtins.readFile "[project]/file"; y = builtins.pathExists "[project]/file"; }; }
                     |                             ^
                    2|

               error: access to absolute path '[project]/file' is forbidden in pure evaluation mode (use '--impure' to override)
        [failed]
    "#]]);
    scene.check(
        "eval .#y",
        expect![[r#"
        false
    "#]],
    );
    scene.value("eval --impure --json .#x", "\"content\\n\"");
}

#[test]
fn what_nix_itself_has_is_pure() {
    let scene = Scene::new("").with(
        r#"
//- flake.nix
{
  outputs = { self }: {
    fetched = (import <nix/fetchurl.nix> { url = "http://x.org/y"; sha256 = "0000000000000000000000000000000000000000000000000000"; }).drvPath;
    found = builtins.findFile [ { prefix = "here"; path = ./.; } ] "here/flake.nix" == ./flake.nix;
    path = builtins.nixPath;
    missing = <nixpkgs>;
  };
}
"#,
    );
    scene.commit_all("");
    scene.value("eval .#fetched", "\"/nix/store/[hash]-y.drv\"");
    scene.value("eval .#found", "true");
    scene.value("eval .#path", "[ ]");
    scene.check("eval .#missing", expect![[r#"
        error:
               … while calling the 'findFile' builtin
                 at [project]/flake.nix:6:15:
                    5|     path = builtins.nixPath;
                    6|     missing = <nixpkgs>;
                     |               ^
                    7|   };

               error: cannot look up '<nixpkgs>' in pure evaluation mode (use '--impure' to override)
        [failed]
    "#]]);
}
