//! Sources from Git repositories: what counts as their files, and how they are named.

use expect_test::expect;

use crate::judge::Scene;

/// A repository with a submodule that has one, too.
fn whole() -> Scene {
    let scene = Scene::new("").with(
        r#"
//- leaf/inside-leaf
leaf
//- sub/flake.nix
{ outputs = { self }: { sub = import ./sub.nix; root = import ../root.nix; }; }
//- sub/sub.nix
"in the submodule"
//- root/root.nix
"in the root"
//- root/flake.nix
{ outputs = { self }: { }; }
"#,
    );
    scene.commit_all("leaf");
    scene.commit_all("sub");
    scene.git("sub", "submodule --quiet add ../leaf leaf");
    scene.commit_all("sub");
    scene.commit_all("root");
    scene.git("root", "submodule --quiet add ../sub sub");
    scene.git("root", "submodule --quiet update --init --recursive");
    scene.commit_all("root");
    scene
}

/// The files of a source and its attributes, but for those that hold hashes.
fn shown(source: &str) -> String {
    format!(
        r#"
        let
          source = {source};
          files = folder: builtins.concatLists (builtins.attrValues (builtins.mapAttrs
            (name: kind: if kind == "directory"
              then map (file: name + "/" + file) ([ "" ] ++ files (folder + "/" + name))
              else [ (name + " " + kind) ])
            (builtins.readDir folder)));
        in removeAttrs source [ "lastModified" "lastModifiedDate" ] // {{ files = files source.outPath; }}
        "#
    )
}

#[test]
fn submodules_come_on_request() {
    let scene = whole();
    for options in
        ["", "submodules = true;", "ref = \"main\";", "ref = \"main\"; submodules = true;"]
    {
        let source = format!("builtins.fetchGit {{ url = [project]/root; {options} }}");
        scene.write("../expression.nix", &shown(&source));
        scene.judged("", "eval --impure --file ../expression.nix");
    }
    scene.expression(
        &shown("builtins.fetchGit { url = [project]/root; submodules = true; ref = \"main\"; }"),
        expect![[r#"
            { files = [ ".gitmodules regular" "flake.nix regular" "root.nix regular" "sub/" "sub/.gitmodules regular" "sub/flake.nix regular" "sub/leaf/" "sub/leaf/inside-leaf regular" "sub/sub.nix regular" ]; narHash = "sha256-CHUw431NLHJeaGx1WuUd0d1recVQ3wyLlNsWO599wO0="; outPath = "/nix/store/[hash]-source"; rev = "a663d2fb40dd70c89e5207e3efde672cc750ca42"; revCount = 2; shortRev = "a663d2f"; submodules = true; }
        "#]],
    );
    scene.expression(
        "builtins.fetchGit { url = [project]/root; submodules = true; exportIgnore = true; }",
        expect![[r#"
            error:
                   … while evaluating the file '[tmp]/expression.nix':

                   … while calling the 'fetchGit' builtin
                     at [tmp]/expression.nix:1:1:
                        1| builtins.fetchGit { url = [project]/root; submodules = true; exportIgnore = true; }
                         | ^

                   … while fetching the input 'git+file:[project]/root?exportIgnore=1&submodules=1'

                   error: exportIgnore and submodules are not supported together yet
            [failed]
        "#]],
    );
    // What is no submodule, whatever is declared.
    let modules = scene.sandbox.read("root/.gitmodules");
    scene.write("root/file", "x");
    scene.write(
        "root/.gitmodules",
        &format!("{modules}[submodule \"a\"]\n\tpath = missing\n\turl = /nowhere\n[submodule \"b\"]\n\tpath = file\n\turl = /nowhere\n"),
    );
    scene.commit_all("root");
    scene.write(
        "../expression.nix",
        &shown("builtins.fetchGit { url = [project]/root; submodules = true; ref = \"main\"; }"),
    );
    scene.judged("", "eval --impure --file ../expression.nix");
}

#[test]
fn a_flake_may_lie_in_a_submodule() {
    let scene = whole();
    let flake = "git+file://[project]/root?submodules=1&dir=sub";
    scene.value(&format!("eval --json {flake}#sub"), "\"in the submodule\"");
    scene.value(&format!("eval --json {flake}#root"), "\"in the root\"");
    scene.judged_json(&format!("flake metadata --json {flake}"));
    scene.write("root/sub/sub.nix", "\"changed\"");
    scene.value(&format!("eval --json {flake}#sub"), "\"changed\"");
    scene.judged_json(&format!("flake metadata --json {flake}"));
    // Without submodules, nothing has changed.
    scene.judged_json("flake metadata --json ./root");
}

#[test]
fn a_flake_may_ask_for_its_submodules() {
    let scene = whole();
    scene.write(
        "root/flake.nix",
        "{ inputs.self.submodules = true; outputs = { self }: { foo = builtins.readFile ./sub/sub.nix; path = self.outPath; }; }",
    );
    scene.commit_all("root");
    scene.value("eval ./root#foo", "\"\\\"in the submodule\\\"\\n\"");
    scene.judged_json("flake metadata --json ./root");
    scene.write(
        "other/flake.nix",
        "{ inputs.root.url = \"git+file://[project]/root\"; outputs = { self, root }: { inherit (root) foo path; }; }",
    );
    scene.commit_all("other");
    scene.check_locks(
        "./other --no-write-lock-file",
        expect![[r#"
        root
          root = root_2
        root_2: file:[project]/root git
    "#]],
    );
    scene.judged("", "eval ./other#path --no-write-lock-file");
    scene.write_lock("other");
    scene.commit_all("other");
    scene.judged("", "eval ./other#path");
}

#[test]
fn versions_are_named_as_in_nix() {
    let scene = Scene::new("")
        .with("\n//- a/x\nx\n//- a/.gitattributes\nx export-ignore\nfolder/inner export-ignore\n");
    scene.commit_all("a");
    scene.write("a/folder/inner/y", "y");
    scene.write("a/folder/z", "z");
    scene.commit_all("a");
    scene.git("", "clone --quiet --bare a bare");
    for url in ["url = [project]/a;", "url = [project]/bare;"] {
        for options in [
            "",
            "ref = \"main\";",
            "ref = \"HEAD\";",
            "shallow = true;",
            "allRefs = true;",
            "exportIgnore = false;",
        ] {
            let source = format!("builtins.fetchGit {{ {url} {options} }}");
            scene.write("../expression.nix", &shown(&source));
            scene.judged("", "eval --impure --file ../expression.nix");
        }
    }
    scene.expression(&shown("builtins.fetchGit [project]/a"), expect![[r#"
        { files = [ ".gitattributes regular" "folder/" "folder/z regular" ]; narHash = "sha256-MycFBpcDPAHxl8EpjYWrq+awrievpJ1CZE7d3WWvzyQ="; outPath = "/nix/store/[hash]-source"; rev = "45f565605d4c6459e8587706cddf26c87a1000f5"; revCount = 2; shortRev = "45f5656"; submodules = false; }
    "#]]);
    scene.expression(
        &shown("builtins.fetchTree { type = \"git\"; url = \"file://[project]/bare\"; }"),
        expect![[r#"
            { files = [ ".gitattributes regular" "folder/" "folder/inner/" "folder/inner/y regular" "folder/z regular" "x regular" ]; narHash = "sha256-H2Cn+4ZwHUg1z9Ot5plIHqAtPZKPIxefz6rO27K34qw="; outPath = "/nix/store/[hash]-source"; rev = "45f565605d4c6459e8587706cddf26c87a1000f5"; shortRev = "45f5656"; submodules = false; }
        "#]],
    );
    scene.write("a/folder/z", "changed");
    scene.expression(&shown("builtins.fetchGit [project]/a"), expect![[r#"
        { dirtyRev = "45f565605d4c6459e8587706cddf26c87a1000f5-dirty"; dirtyShortRev = "45f5656-dirty"; files = [ ".gitattributes regular" "folder/" "folder/z regular" ]; narHash = "sha256-VPMHeU7aa0q5p3Ng98AlLXOl2KlbX+pi3ynCdKKlPhE="; outPath = "/nix/store/[hash]-source"; rev = "0000000000000000000000000000000000000000"; revCount = 0; shortRev = "0000000"; submodules = false; }
        warning: Git tree '[project]/a' is dirty
    "#]]);
    scene.expression(
        "builtins.fetchGit [project]/nowhere",
        expect![[r#"
            error:
                   … while evaluating the file '[tmp]/expression.nix':

                   … while calling the 'fetchGit' builtin
                     at [tmp]/expression.nix:1:1:
                        1| builtins.fetchGit [project]/nowhere
                         | ^

                   … while fetching the input 'git+file:[project]/nowhere?exportIgnore=1'

                   error: Git repository "[project]/nowhere" does not exist.
            [failed]
        "#]],
    );
}

#[test]
fn signatures_are_not_taken_for_granted() {
    let scene = Scene::new("").with("\n//- a/x\nx\n");
    scene.commit_all("a");
    scene.write(
        "../expression.nix",
        "builtins.fetchGit { url = [project]/a; verifyCommit = true; }",
    );
    scene.check_alone("", "eval --impure --file ../expression.nix", expect![[r#"
        error:
               … while evaluating the file '[tmp]/expression.nix':

               … while calling the 'fetchGit' builtin
                 at [tmp]/expression.nix:1:1:
                    1| builtins.fetchGit { url = [project]/a; verifyCommit = true; }
                     | ^

               … while fetching the input 'git+file:[project]/a?exportIgnore=1&verifyCommit=1'

               error: cannot fetch 'git+file:[project]/a?exportIgnore=1&verifyCommit=1': signatures of commits are not verified here; remove 'verifyCommit' and the keys to fetch it without
        [failed]
    "#]]);
}

#[test]
fn shallow_repositories_are_told() {
    let scene = Scene::new("").with("\n//- a/x\nx\n");
    scene.commit_all("a");
    scene.write("a/y", "y");
    scene.commit_all("a");
    let url = format!("file://{}", scene.sandbox.project().join("a").display());
    scene.git("", &format!("clone --quiet --depth 1 {url} b"));
    scene.expression(
        &shown("builtins.fetchGit { url = [project]/b; shallow = true; }"),
        expect![[r#"
            { files = [ "x regular" "y regular" ]; narHash = "sha256-DGeWbBg/JYc7kC1RjF+2LXcV7Vh5xKca6vMVoyavmyc="; outPath = "/nix/store/[hash]-source"; rev = "3eda42e40303c527c49d57b0c11d61c9c9c13ffd"; revCount = 0; shortRev = "3eda42e"; submodules = false; }
        "#]],
    );
    scene.expression("builtins.fetchGit { url = [project]/b; ref = \"main\"; }", expect![[r#"
        error:
               … while evaluating the file '[tmp]/expression.nix':

               … while calling the 'fetchGit' builtin
                 at [tmp]/expression.nix:1:1:
                    1| builtins.fetchGit { url = [project]/b; ref = "main"; }
                     | ^

               … while fetching the input 'git+file:[project]/b?exportIgnore=1&ref=main'

               error: '[project]/b' is a shallow Git repository, but shallow repositories are only allowed when `shallow = true;` is specified
        [failed]
    "#]]);
}

#[test]
fn files_are_what_was_committed() {
    let scene = Scene::new("");
    scene.write(
        "a/.gitattributes",
        "crlf.txt text eol=crlf\nid.txt ident\nsubst.txt export-subst\n*.up filter=up\n",
    );
    scene.write("a/crlf.txt", "one\ntwo\n");
    scene.write("a/id.txt", "$Id$\n");
    scene.write("a/subst.txt", "$Format:%H$\n");
    scene.write("a/x.up", "x");
    scene.write("a/run", "#!/bin/sh\n");
    let run = scene.sandbox.project().join("a/run");
    std::fs::set_permissions(run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("nowhere", scene.sandbox.project().join("a/link")).unwrap();
    scene.commit_all("a");
    scene.git("a", "config filter.up.smudge false");
    for options in ["", "exportIgnore = false;"] {
        scene.write(
            "../expression.nix",
            &shown(&format!(
                "builtins.fetchGit {{ url = [project]/a; ref = \"main\"; {options} }}"
            )),
        );
        scene.judged("", "eval --impure --file ../expression.nix");
    }
    scene.expression(
        "let a = builtins.fetchGit { url = [project]/a; ref = \"main\"; }; in map (name: builtins.readFile (a + \"/${name}\")) [ \"crlf.txt\" \"id.txt\" \"subst.txt\" ]",
        expect![[r#"
            [ "one\ntwo\n" "$Id$\n" "$Format:%H$\n" ]
        "#]],
    );
}

#[test]
fn files_of_git_lfs_come_on_request() {
    let scene = Scene::new("");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\nsize 5\n";
    scene.write("a/big.bin", pointer);
    scene.write("a/small.txt", "small");
    scene.write("a/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    scene.commit_all("a");
    let file = |options: &str, name: &str| {
        scene.write(
            "../expression.nix",
            &format!("builtins.readFile (builtins.fetchGit {{ url = [project]/a; ref = \"main\"; {options} }} + \"/{name}\")"),
        );
        "eval --impure --raw --file ../expression.nix"
    };
    scene.value(file("", "big.bin"), pointer.trim_end());
    // Git LFS as far as we use it: it is asked for a file with the pointer on standard input.
    let program = scene.sandbox.project().join("bin/git-lfs");
    let path = format!(
        "{}:{}",
        scene.sandbox.project().join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let run = |path: &str, options: &str| {
        let mut command = scene.sandbox.command(file(options, "big.bin"));
        let output = command.env("PATH", path).env("GIT_CONFIG_GLOBAL", "/dev/null").output();
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    scene.write("bin/git-lfs", "#!/bin/sh\nexit 1\n");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let said = run(&path, "lfs = true;");
    assert!(said.contains("`git lfs` is not there; install Git LFS"), "{said}");
    scene.write(
        "bin/git-lfs",
        "#!/bin/sh\nif [ \"$1\" = smudge ]; then\n  grep -q ^oid && printf hello\nfi\n",
    );
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    assert_eq!(run(&path, "lfs = true;"), "hello");
    assert_eq!(run(&path, ""), pointer);
}
